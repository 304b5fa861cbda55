/*
 * queue/spool.c and record.c: what of the queue lies on disk.
 */
#include "spool_fixture.h"

#include "queue/deposit.h"
#include "queue/destination.h"

/* Structs have gaps: what is on disk is compared. */
static void
assert_same(const struct wire_message *row, const void *a, const void *b)
{
	static uint8_t octets_a[WIRE_MAX], octets_b[WIRE_MAX];
	size_t len = wire_encode(row, a, octets_a, sizeof(octets_a));

	assert_int_equal(wire_encode(row, b, octets_b, sizeof(octets_b)),
	    len);
	assert_memory_equal(octets_a, octets_b, len);
}

static struct message
message_of(uint64_t id)
{
	return (struct message){ .id = id, .sender = "a@near.example",
	    .size_bytes = 1234567890123, .arrived_ms = 1790000000000,
	    .body = BODY_8BITMIME, .class = CLASS_REPORT, .eight_bit = true,
	    .chunks = 3, .file_bytes = 99, .file_crc = 0xdeadbeef,
	    .local = true, .uid = 1000, .key = "2026-11-24.a",
	    .needs_signature = true, .signature_bytes = 4711 };
}

static void
messages_come_back(void **state)
{
	struct disk *disk = *state;
	struct message message = message_of(5), back;

	spool_put_message(disk->spool, &message);
	commit(disk);
	reopen(disk);
	assert_int_equal(spool_get_message(disk->spool, 5, &back),
	    STORE_FOUND);
	assert_same(&record_message, &back, &message);
	assert_int_equal(spool_get_message(disk->spool, 6, &back),
	    STORE_ABSENT);
	assert_true(spool_has_message(disk->spool, 5));
	assert_false(spool_has_message(disk->spool, 6));
}

static void
uncommitted_is_undone(void **state)
{
	struct disk *disk = *state;
	struct message message = message_of(5), back;

	spool_put_message(disk->spool, &message);
	assert_int_equal(spool_get_message(disk->spool, 5, &back),
	    STORE_FOUND);
	reopen(disk);
	assert_int_equal(spool_get_message(disk->spool, 5, &back),
	    STORE_ABSENT);
}

static void
messages_in_order_of_ids(void **state)
{
	static const uint64_t ids[] = { 256, 1, UINT64_MAX, 255, 65536, 2 };
	static const uint64_t sorted[] = { 1, 2, 255, 256, 65536,
	    UINT64_MAX };
	struct disk *disk = *state;
	struct message message = { .id = 0 };

	for (size_t i = 0; i < COUNT(ids); i++) {
		message = message_of(ids[i]);
		spool_put_message(disk->spool, &message);
	}
	commit(disk);
	message.id = 0;
	for (size_t i = 0; i < COUNT(sorted); i++) {
		assert_int_equal(spool_next_message(disk->spool, message.id,
		    &message), STORE_FOUND);
		assert_int_equal(message.id, sorted[i]);
	}
	assert_int_equal(spool_next_message(disk->spool, message.id,
	    &message), STORE_ABSENT);
}

static struct recipient
recipient_of(uint64_t id, uint32_t number, uint64_t destination,
    uint64_t due_ms)
{
	return (struct recipient){ .id = id, .number = number,
	    .address = "b@far.example", .destination = destination,
	    .due_ms = due_ms, .attempts = 7, .failures_before = 8,
	    .last_ms = 9, .attempt = 10, .code = 450, .enhanced = "4.2.1",
	    .verdict = "send", .clause = "RFC 8461 5", .host = "mx.example",
	    .address_tried = "192.0.2.1", .reply = "450 later" };
}

static void
recipients_and_places(void **state)
{
	struct disk *disk = *state;
	struct recipient recipient, back;
	struct due place = { .destination = 2 };
	uint64_t due_before = 0;
	unsigned n = 0;

	/* three destinations, of which the middle one is walked */
	for (uint64_t destination = 1; destination <= 3; destination++)
		for (uint32_t number = 0; number < 10; number++) {
			recipient = recipient_of(100 + number % 3,
			    (uint32_t)destination * 10 + number, destination,
			    1000 - number);
			spool_put_recipient(disk->spool, &recipient);
		}
	commit(disk);
	reopen(disk);
	while (spool_next_due(disk->spool, &place, n > 0, &place)) {
		assert_int_equal(place.destination, 2);
		assert_true(place.due_ms > due_before);
		due_before = place.due_ms;
		assert_int_equal(spool_get_recipient(disk->spool, place.id,
		    place.number, &back), STORE_FOUND);
		recipient = recipient_of(place.id, place.number, 2,
		    place.due_ms);
		assert_same(&record_recipient, &back, &recipient);
		n++;
	}
	assert_int_equal(n, 10);
}

static void
recipients_of_a_message(void **state)
{
	struct disk *disk = *state;
	struct recipient recipient;
	uint32_t number = 0;
	unsigned n = 0;

	for (uint64_t id = 1; id <= 3; id++)
		for (uint32_t i = 0; i < 300; i += 3) {
			recipient = recipient_of(id, i, 1, 1);
			spool_put_recipient(disk->spool, &recipient);
		}
	while (spool_next_recipient(disk->spool, 2, number, &recipient) ==
	    STORE_FOUND) {
		assert_int_equal(recipient.id, 2);
		assert_int_equal(recipient.number, 3 * n++);
		number = recipient.number + 1;
	}
	assert_int_equal(n, 100);
	assert_true(spool_is_owed(disk->spool, 2));
	assert_false(spool_is_owed(disk->spool, 4));
	assert_int_equal(spool_next_recipient(disk->spool, 4, 0, &recipient),
	    STORE_ABSENT);
}

static void
a_place_moves(void **state)
{
	struct disk *disk = *state;
	struct recipient recipient = recipient_of(1, 2, 3, 1000), back;
	struct due place = { .destination = 3 };

	spool_put_recipient(disk->spool, &recipient);
	spool_move_recipient(disk->spool, &recipient, 2000);
	commit(disk);
	assert_true(spool_next_due(disk->spool, &place, false, &place));
	assert_int_equal(place.due_ms, 2000);
	assert_false(spool_next_due(disk->spool, &place, true, &place));
	/* to where it stands already */
	spool_move_recipient(disk->spool, &recipient, 2000);
	commit(disk);
	place = (struct due){ .destination = 3 };
	assert_true(spool_next_due(disk->spool, &place, false, &place));
	spool_hold_due(disk->spool, &place);
	spool_get_recipient(disk->spool, 1, 2, &back);
	assert_true(back.due_ms == DUE_HELD);
	/* a place that is no more */
	spool_hold_due(disk->spool, &(struct due){ 3, 2000, 1, 2 });
	spool_delete_recipient(disk->spool, &back);
	spool_hold_due(disk->spool, &(struct due){ 3, DUE_HELD, 1, 2 });
	commit(disk);
	place = (struct due){ .destination = 3 };
	assert_false(spool_next_due(disk->spool, &place, false, &place));
	assert_false(spool_is_owed(disk->spool, 1));
}

static void
bodies(void **state)
{
	static uint8_t octets[CHUNK_OCTETS];
	struct disk *disk = *state;
	struct message message = message_of(9);
	struct slice chunk;

	message.file_bytes = 0;
	for (uint32_t n = 0; n < 3; n++) {
		memset(octets, 'a' + (int)n, sizeof(octets));
		spool_put_chunk(disk->spool, 9, n, octets, sizeof(octets));
		spool_put_chunk(disk->spool, 10, n, octets, 5);
	}
	spool_put_message(disk->spool, &message);
	commit(disk);
	for (uint32_t n = 0; n < 3; n++) {
		assert_int_equal(spool_get_chunk(disk->spool, 9, n, &chunk),
		    STORE_FOUND);
		assert_int_equal(chunk.len, CHUNK_OCTETS);
		assert_int_equal(chunk.at[16279], 'a' + (int)n);
	}
	assert_int_equal(spool_get_chunk(disk->spool, 9, 3, &chunk),
	    STORE_ABSENT);
	spool_delete_message(disk->spool, &message);
	commit(disk);
	assert_int_equal(spool_get_chunk(disk->spool, 9, 0, &chunk),
	    STORE_ABSENT);
	assert_int_equal(spool_get_chunk(disk->spool, 10, 0, &chunk),
	    STORE_FOUND);
	spool_drop_body(disk->spool, 10);
	commit(disk);
	assert_int_equal(spool_get_chunk(disk->spool, 10, 0, &chunk),
	    STORE_ABSENT);
}

static void
index_of_destinations(void **state)
{
	struct disk *disk = *state;
	struct soon entry = { 500, 7 }, found, lowest;

	assert_false(spool_soon_written(disk->spool, &lowest));
	spool_put_soon(disk->spool, &entry);
	entry = (struct soon){ 300, 9 };
	spool_put_soon(disk->spool, &entry);
	entry = (struct soon){ 300, 8 };
	spool_put_soon(disk->spool, &entry);
	commit(disk);
	assert_true(spool_soon_written(disk->spool, &lowest));
	assert_int_equal(lowest.next_ms, 300);
	assert_int_equal(lowest.destination, 8);
	assert_false(spool_soon_written(disk->spool, &lowest));
	assert_true(spool_next_soon(disk->spool, &(struct soon){ 0, 0 },
	    &found));
	assert_int_equal(found.destination, 8);
	assert_true(spool_next_soon(disk->spool, &(struct soon){ 300, 9 },
	    &found));
	assert_int_equal(found.destination, 9);
	assert_true(spool_next_soon(disk->spool, &(struct soon){ 300, 10 },
	    &found));
	assert_int_equal(found.destination, 7);
	spool_delete_soon(disk->spool, &found);
	assert_false(spool_next_soon(disk->spool, &(struct soon){ 300, 10 },
	    &found));
}

static void
names_and_classes(void **state)
{
	struct disk *disk = *state;
	struct destination one, other;

	assert_true(destination_for(disk->spool, "far.example", CLASS_MAIL,
	    &one));
	spool_put_destination(disk->spool, &one);
	assert_true(destination_for(disk->spool, "far.example", CLASS_REPORT,
	    &other));
	spool_put_destination(disk->spool, &other);
	assert_int_not_equal(one.number, other.number);
	commit(disk);
	reopen(disk);
	assert_int_equal(spool_get_name(disk->spool, "far.example",
	    CLASS_MAIL), one.number);
	assert_int_equal(spool_get_name(disk->spool, "far.example",
	    CLASS_REPORT), other.number);
	assert_int_equal(spool_get_name(disk->spool, "far.exampl",
	    CLASS_MAIL), 0);
	spool_delete_destination(disk->spool, &one);
	assert_int_equal(spool_get_name(disk->spool, "far.example",
	    CLASS_MAIL), 0);
}

/* Attempts with hosts of the greatest size come back, or go as a whole. */
static void
attempts_and_hosts(void **state)
{
	struct disk *disk = *state;
	struct attempt attempt = { .destination = 4, .began_ms = 1,
	    .ended_ms = 2, .outcome = OUTCOME_DEFERRED, .enhanced = "4.7.5",
	    .rule = "sts", .clause = "RFC 8461 5", .repair = "mend it",
	    .text = "certificate expired" }, back;
	struct d_host host = { .destination = 4 }, kept;
	uint8_t octets[2 * sizeof(host)];
	size_t len;

	memset(host.reply, 'r', sizeof(host.reply) - 1);
	memset(host.host, 'h', sizeof(host.host) - 1);
	len = wire_encode(record_host(), &host, octets, sizeof(octets));
	assert_true(len > 2000);
	for (uint64_t number = 1; number <= 5; number++) {
		attempt.number = number;
		spool_put_attempt(disk->spool, &attempt);
		for (uint32_t n = 0; n < 3; n++)
			spool_put_host(disk->spool, 4, number, n,
			    (struct slice){ (char *)octets, len });
	}
	spool_drop_attempt(disk->spool, 4, 2);
	commit(disk);
	reopen(disk);
	assert_int_equal(spool_next_attempt(disk->spool, 4, 2, &back),
	    STORE_FOUND);
	assert_int_equal(back.number, 3);
	attempt.number = 3;
	assert_same(&record_attempt, &back, &attempt);
	assert_int_equal(spool_get_host(disk->spool, 4, 3, 2, &kept),
	    STORE_FOUND);
	assert_same(record_host(), &kept, &host);
	assert_int_equal(spool_get_host(disk->spool, 4, 3, 3, &kept),
	    STORE_ABSENT);
	assert_int_equal(spool_get_host(disk->spool, 4, 2, 0, &kept),
	    STORE_ABSENT);
	spool_drop_attempts(disk->spool, 4);
	commit(disk);
	assert_int_equal(spool_next_attempt(disk->spool, 4, 0, &back),
	    STORE_ABSENT);
}

static void
keys(void **state)
{
	struct disk *disk = *state;
	struct used_key used = { 5, 6, KEY_REFUSED, 7, 550,
	    "mx.far.example", "550 no" }, back;
	char at[64] = "";

	spool_put_key(disk->spool, "b", &used);
	spool_put_key(disk->spool, "a", &used);
	commit(disk);
	assert_int_equal(spool_get_key(disk->spool, "a", &back), STORE_FOUND);
	assert_int_equal(back.message, 5);
	assert_int_equal(spool_get_key(disk->spool, "c", &back),
	    STORE_ABSENT);
	assert_true(spool_next_key(disk->spool, at, &back));
	assert_string_equal(at, "a");
	assert_true(spool_next_key(disk->spool, at, &back));
	assert_string_equal(at, "b");
	assert_false(spool_next_key(disk->spool, at, &back));
	spool_delete_key(disk->spool, "a");
	assert_int_equal(spool_get_key(disk->spool, "a", &back),
	    STORE_ABSENT);
}

static void
deposit_one(struct spool *spool, const struct message *message,
    const char *address)
{
	struct addressees addressees = { NULL, 0, 0, NULL, 0 };
	const struct addressee one = { address, 0, "" };

	assert_true(addressee_add(&addressees, &one));
	deposit_message(spool, message, &addressees);
	addressee_free(&addressees);
}

/* An entry is as early as what is due, and never earlier than back-off. */
static void
the_entry_follows(void **state)
{
	struct disk *disk = *state;
	struct message message = { .id = 1, .arrived_ms = 5000,
	    .class = CLASS_MAIL };
	struct destination destination;
	struct recipient recipient;
	struct soon found;
	uint64_t number;

	deposit_one(disk->spool, &message, "b@far.example");
	commit(disk);
	number = spool_get_name(disk->spool, "far.example", CLASS_MAIL);
	assert_true(spool_next_soon(disk->spool, &(struct soon){ 0, 0 },
	    &found));
	assert_int_equal(found.next_ms, 5000);
	assert_int_equal(found.destination, number);
	/* back-off */
	spool_get_destination(disk->spool, number, &destination);
	assert_int_equal(destination.oldest_ms, 5000);
	destination.backoff_ms = 9000;
	destination_settle(disk->spool, &destination);
	assert_true(spool_next_soon(disk->spool, &(struct soon){ 0, 0 },
	    &found));
	assert_int_equal(found.next_ms, 9000);
	/* new mail does not lower it */
	message.id = 2;
	message.arrived_ms = 6000;
	deposit_one(disk->spool, &message, "c@far.example");
	assert_true(spool_next_soon(disk->spool, &(struct soon){ 0, 0 },
	    &found));
	assert_int_equal(found.next_ms, 9000);
	/* held: no entry, new mail makes none */
	spool_get_destination(disk->spool, number, &destination);
	destination.held = true;
	destination_settle(disk->spool, &destination);
	assert_false(spool_next_soon(disk->spool, &(struct soon){ 0, 0 },
	    &found));
	message.id = 3;
	deposit_one(disk->spool, &message, "d@far.example");
	assert_false(spool_next_soon(disk->spool, &(struct soon){ 0, 0 },
	    &found));
	spool_get_destination(disk->spool, number, &destination);
	destination.held = false;
	destination.backoff_ms = 0;
	destination_settle(disk->spool, &destination);
	assert_true(spool_next_soon(disk->spool, &(struct soon){ 0, 0 },
	    &found));
	assert_int_equal(found.next_ms, 5000);
	/* nothing waits: no entry, no destination */
	for (uint64_t id = 1; id <= 3; id++) {
		spool_get_recipient(disk->spool, id, 0, &recipient);
		spool_delete_recipient(disk->spool, &recipient);
	}
	destination_settle_number(disk->spool, number);
	commit(disk);
	assert_false(spool_next_soon(disk->spool, &(struct soon){ 0, 0 },
	    &found));
	assert_int_equal(spool_get_name(disk->spool, "far.example",
	    CLASS_MAIL), 0);
}

/* Where the record lies in the table's file. */
static off_t
find_record(const char *path)
{
	char octets[65536];
	const char *found;
	FILE *file = fopen(path, "r");
	size_t len;

	assert_non_null(file);
	len = fread(octets, 1, sizeof(octets), file);
	fclose(file);
	found = memmem(octets, len, "a@near.example", 14);
	assert_non_null(found);
	return found - octets;
}

static void
flip(const char *path, off_t at)
{
	int fd = open(path, O_RDWR);
	char octet;

	assert_int_equal(pread(fd, &octet, 1, at), 1);
	octet = (char)(octet ^ 0x20);
	assert_int_equal(pwrite(fd, &octet, 1, at), 1);
	close(fd);
}

/*
 * Each octet of a record is changed, one at a time: nothing that is wrong is
 * believed.  (The pages' own structure is the library's to judge, and it
 * judges nothing: design.md 4.)
 */
static void
flipped_octets_are_seen(void **state)
{
	struct disk *disk = *state;
	struct message message = message_of(77), back;
	char path[128];
	off_t first;

	spool_put_message(disk->spool, &message);
	commit(disk);
	spool_close(&disk->spool);
	snprintf(path, sizeof(path), "%s/messages.db", disk->dir);
	/* version, kind and length stand before the sender */
	first = find_record(path) - 7;
	for (off_t at = first; at < first + 71; at++) {
		flip(path, at);
		open_disk(disk);
		assert_int_equal(spool_get_message(disk->spool, 77, &back),
		    STORE_ABSENT);
		assert_true(spool_has_message(disk->spool, 77));
		assert_int_equal(spool_next_message(disk->spool, 0, &back),
		    STORE_ABSENT);
		spool_close(&disk->spool);
		flip(path, at);
	}
	assert_logged("alarm what=record text=\"message 000000000000004d/0 "
	    "is damaged and left out\"");
	open_disk(disk);
	assert_int_equal(spool_get_message(disk->spool, 77, &back),
	    STORE_FOUND);
	assert_same(&record_message, &back, &message);
}

/* ---- records of the first version ---- */

/* Write a record as version 1 did: without its last fields. */
static void
put_old(struct disk *disk, const char *table, struct slice key,
    const struct wire_message *row, unsigned fields_n, const void *record)
{
	static const struct store_options options = { 1u << 20, 1u << 20, 0, false };
	struct wire_message old = *row;
	struct store *store;
	char error[256];

	spool_close(&disk->spool);
	old.fields_n = fields_n;
	store = store_open(disk->dir, &options, error, sizeof(error));
	assert_non_null(store);
	store_put_record(store_table(store, table, 1), key, &old, record);
	assert_int_equal(store_turn_end(store, true), STORE_DURABLE);
	store_close(&store);
	open_disk(disk);
}

static void
old_records_are_read(void **state)
{
	struct disk *disk = *state;
	struct message message = message_of(5), message_back;
	struct recipient recipient = { .id = 5, .number = 1,
	    .address = "b@far.example", .destination = 3, .due_ms = 9,
	    .reply = "450 later" }, recipient_back;
	struct used_key used = { .message = 5, .taken_ms = 6 }, used_back;
	struct destination destination = { .number = 5, .class = CLASS_MAIL,
	    .domain = "far.example", .held = true, .proof = "dane",
	    .text = "no answer" }, destination_back;
	static const char id[] = "\0\0\0\0\0\0\0\5\0\0\0\1";

	message.key[0] = '\0';
	message.needs_signature = false;
	message.signature_bytes = 0;
	put_old(disk, "messages", (struct slice){ id, 8 }, &record_message,
	    11, &message);
	put_old(disk, "recipients", (struct slice){ id, 12 },
	    &record_recipient, 14, &recipient);
	put_old(disk, "keys", SLICE("k"), &record_key, 2, &used);
	put_old(disk, "destinations", (struct slice){ id, 8 },
	    &record_destination, 17, &destination);
	assert_int_equal(spool_get_destination(disk->spool, 5,
	    &destination_back), STORE_FOUND);
	assert_same(&record_destination, &destination_back, &destination);
	assert_int_equal(spool_get_message(disk->spool, 5, &message_back),
	    STORE_FOUND);
	assert_same(&record_message, &message_back, &message);
	assert_int_equal(spool_next_message(disk->spool, 0, &message_back),
	    STORE_FOUND);
	assert_same(&record_message, &message_back, &message);
	assert_int_equal(spool_next_recipient(disk->spool, 5, 0,
	    &recipient_back), STORE_FOUND);
	assert_same(&record_recipient, &recipient_back, &recipient);
	assert_int_equal(spool_get_key(disk->spool, "k", &used_back),
	    STORE_FOUND);
	assert_same(&record_key, &used_back, &used);
	/* and written anew as they are now */
	message.signature_bytes = 17;
	spool_put_message(disk->spool, &message);
	commit(disk);
	reopen(disk);
	spool_get_message(disk->spool, 5, &message_back);
	assert_same(&record_message, &message_back, &message);
}

/* Signature and mark go with their message. */
static void
unsigned_marks(void **state)
{
	struct disk *disk = *state;
	struct message message = message_of(5);
	struct slice octets;
	uint64_t id = 0;

	assert_false(spool_unsigned_marked(disk->spool, &id));
	assert_false(spool_next_unsigned(disk->spool, 0, &id));
	spool_mark_unsigned(disk->spool, 9);
	spool_mark_unsigned(disk->spool, 5);
	spool_mark_unsigned(disk->spool, 7);
	assert_true(spool_unsigned_marked(disk->spool, &id));
	assert_int_equal(id, 5);
	assert_false(spool_unsigned_marked(disk->spool, &id));
	spool_put_message(disk->spool, &message);
	spool_put_chunk(disk->spool, 5, CHUNK_SIGNATURE, "DKIM", 4);
	commit(disk);
	reopen(disk);
	assert_true(spool_next_unsigned(disk->spool, 0, &id));
	assert_int_equal(id, 5);
	assert_true(spool_next_unsigned(disk->spool, 5, &id));
	assert_int_equal(id, 7);
	spool_unmark_unsigned(disk->spool, 7);
	assert_true(spool_next_unsigned(disk->spool, 5, &id));
	assert_int_equal(id, 9);
	assert_int_equal(spool_get_chunk(disk->spool, 5, CHUNK_SIGNATURE,
	    &octets), STORE_FOUND);
	spool_delete_message(disk->spool, &message);
	assert_int_equal(spool_get_chunk(disk->spool, 5, CHUNK_SIGNATURE,
	    &octets), STORE_ABSENT);
	assert_true(spool_next_unsigned(disk->spool, 0, &id));
	assert_int_equal(id, 9);
}

static void
ids(void **state)
{
	static const struct {
		const char	*text;
		bool		 valid;
	} texts[] = {
		{ "0123456789abcdef", true }, { "ffffffffffffffff", true },
		{ "0000000000000001", true }, { "0000000000000000", false },
		{ "0123456789ABCDEF", false }, { "0123456789abcde", false },
		{ "0123456789abcdef0", false }, { "", false },
		{ "0123456789abcdeg", false }, { " 123456789abcdef", false },
		{ "0x23456789abcdef", false },
	};
	char text[ID_TEXT_MAX];
	uint64_t id, before = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++)
		if (queue_id_parse(texts[i].text, &id) != texts[i].valid)
			fail_msg("%s", texts[i].text);
	for (int i = 0; i < 1000; i++) {
		uint64_t new = queue_id_new();

		assert_true(queue_id_parse(queue_id_print(new, text), &id));
		assert_true(id == new);
		assert_true(new >> 22 >= before >> 22);
		assert_true(new >> 22 <= (uint64_t)loop_wall_ms());
		before = new;
	}
}

#define ON_DISK(name, function)	{ name, function, make_disk, remove_disk, NULL }

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		ON_DISK("messages come back as they were", messages_come_back),
		ON_DISK("what no turn's end committed is undone",
		    uncommitted_is_undone),
		ON_DISK("messages are walked in the order of ids",
		    messages_in_order_of_ids),
		ON_DISK("recipients are found by destination and due time",
		    recipients_and_places),
		ON_DISK("recipients of a message, whatever numbers they have",
		    recipients_of_a_message),
		ON_DISK("a place moves, is held, and is not made up",
		    a_place_moves),
		ON_DISK("bodies are deleted with their message", bodies),
		ON_DISK("the index of destinations and its hint",
		    index_of_destinations),
		ON_DISK("a destination is a name and a class",
		    names_and_classes),
		ON_DISK("attempts and hosts of any size", attempts_and_hosts),
		ON_DISK("idempotency keys", keys),
		ON_DISK("the index entry follows recipients, back-off, hold",
		    the_entry_follows),
		ON_DISK("SMTP-6.1-1 a flipped octet on disk is never believed",
		    flipped_octets_are_seen),
		ON_DISK("records of the first version are read",
		    old_records_are_read),
		ON_DISK("marks and signatures of unsigned messages",
		    unsigned_marks),
		{ "ids: made, printed, parsed", ids, NULL, NULL, NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("spool", tests, NULL, NULL);
}
