/*
 * queue/redate.c: times that a wrong clock wrote are put right, and no other.
 */
#include "spool_fixture.h"

#include "queue/destination.h"
#include "queue/redate.h"

#define S	UINT64_C(1000)
#define H	(3600 * S)
#define D	(24 * H)
#define NOW	(20800 * D)		/* what the clock says that is right */
#define FAR	(2 * D)

/* Mail for destination number, which is made; ids are those numbers, too. */
static void
put_mail(struct spool *spool, uint64_t number, bool doubted,
    uint64_t arrived_ms, uint64_t due_ms)
{
	struct message message = { .id = number, .arrived_ms = arrived_ms };
	struct recipient recipient = { .id = number, .due_ms = due_ms,
	    .destination = number, .address = "b@far.example" };

	spool_doubt(spool, doubted);
	spool_put_message(spool, &message);
	spool_put_recipient(spool, &recipient);
	spool_doubt(spool, false);
}

static void
put_destination(struct spool *spool, uint64_t number, uint64_t backoff_ms,
    bool held)
{
	struct destination destination = { .number = number,
	    .class = CLASS_MAIL, .backoff_ms = backoff_ms, .held = held };

	snprintf(destination.domain, sizeof(destination.domain),
	    "d%llu.example", (unsigned long long)number);
	spool_put_destination(spool, &destination);
	spool_put_name(spool, &destination);
	destination_settle(spool, &destination);
}

/* All slices, each in a turn of its own; how many. */
static unsigned
redate_all(struct disk *disk)
{
	struct redate redate;
	unsigned n = 1;

	redate_begin(&redate, disk->spool);
	while (redate_slice(&redate, NOW)) {
		commit(disk);
		n++;
		assert_true(n < 1000);
	}
	commit(disk);
	return n;
}

static struct recipient
recipient_of(struct spool *spool, uint64_t id, uint32_t number)
{
	struct recipient recipient;

	assert_int_equal(spool_get_recipient(spool, id, number, &recipient),
	    STORE_FOUND);
	return recipient;
}

/* ---- which times ---- */

static const struct row {
	const char	*what;
	bool		 doubted, held;
	uint64_t	 arrived_ms, due_ms, backoff_ms;
	/* as they are then; next_ms: of the destination's entry */
	uint64_t	 is_arrived_ms, is_due_ms, is_backoff_ms, is_next_ms;
} rows[] = {
	{ "taken in 1970", true, false, 5 * S, 5 * S, 0,
	    NOW, NOW, 0, NOW },
	{ "taken next year", true, false, NOW + 365 * D, NOW + 365 * D, 0,
	    NOW, NOW, 0, NOW },
	{ "taken an hour ahead", true, false, NOW + H, NOW + H, 0,
	    NOW, NOW, 0, NOW },
	{ "taken in 1970 and held", true, false, 5 * S, DUE_HELD, 0,
	    NOW, DUE_HELD, 0, 0 },
	{ "taken in 1970 and not signed", true, false, 5 * S, DUE_UNSIGNED,
	    0, NOW, DUE_UNSIGNED, 0, 0 },
	{ "taken in 1970, in a back-off of today", true, false, 5 * S, 5 * S,
	    NOW + H, NOW, NOW, NOW + H, NOW + H },
	{ "due days ago", false, false, NOW - 9 * D, NOW - 5 * D, 0,
	    NOW - 9 * D, NOW - 5 * D, 0, NOW - 5 * D },
	{ "due in a day", false, false, NOW - D, NOW + D, 0,
	    NOW - D, NOW + D, 0, NOW + D },
	{ "just before it is far", false, false, NOW - D, NOW + FAR - 1, 0,
	    NOW - D, NOW + FAR - 1, 0, NOW + FAR - 1 },
	{ "far", false, false, NOW - D, NOW + FAR, 0,
	    NOW - D, NOW, 0, NOW },
	{ "due next year", false, false, NOW - D, NOW + 365 * D, 0,
	    NOW - D, NOW, 0, NOW },
	{ "held", false, false, NOW - D, DUE_HELD, 0,
	    NOW - D, DUE_HELD, 0, 0 },
	{ "not signed", false, false, NOW - D, DUE_UNSIGNED, 0,
	    NOW - D, DUE_UNSIGNED, 0, 0 },
	{ "the longest back-off there is", false, false, NOW - D, NOW - H,
	    NOW + FAR, NOW - D, NOW - H, NOW + FAR, NOW + FAR },
	{ "a back-off that is too far", false, false, NOW - D, NOW - H,
	    NOW + FAR + 1, NOW - D, NOW - H, 0, NOW - H },
	{ "a back-off of next year, held mail", false, false, NOW - D,
	    DUE_HELD, NOW + 365 * D, NOW - D, DUE_HELD, 0, 0 },
	{ "a held destination", false, true, NOW - D, NOW + 365 * D,
	    NOW + 365 * D, NOW - D, NOW, 0, 0 },
};

static void
check_row(struct spool *spool, uint64_t number, const struct row *row)
{
	struct recipient recipient = recipient_of(spool, number, 0);
	struct destination destination;
	struct message message;
	struct soon at, found;

	assert_int_equal(spool_get_message(spool, number, &message),
	    STORE_FOUND);
	assert_int_equal(spool_get_destination(spool, number, &destination),
	    STORE_FOUND);
	if (message.arrived_ms != row->is_arrived_ms ||
	    recipient.due_ms != row->is_due_ms ||
	    destination.backoff_ms != row->is_backoff_ms ||
	    destination.next_ms != row->is_next_ms)
		fail_msg("%s: arrived %lld, due %lld, back-off %lld, next "
		    "%lld s from now", row->what,
		    (long long)(message.arrived_ms - NOW) / 1000,
		    (long long)(recipient.due_ms - NOW) / 1000,
		    (long long)(destination.backoff_ms - NOW) / 1000,
		    (long long)(destination.next_ms - NOW) / 1000);
	if (row->is_next_ms == 0)
		return;
	at = (struct soon){ row->is_next_ms, number };
	if (!spool_next_soon(spool, &at, &found) ||
	    found.next_ms != at.next_ms || found.destination != number)
		fail_msg("%s: no entry in the index", row->what);
}

static void
each_time(void **state)
{
	struct disk *disk = *state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		put_mail(disk->spool, i + 1, rows[i].doubted,
		    rows[i].arrived_ms, rows[i].due_ms);
		put_destination(disk->spool, i + 1, rows[i].backoff_ms,
		    rows[i].held);
	}
	commit(disk);
	assert_true(redate_is_needed(disk->spool));
	redate_all(disk);
	for (size_t i = 0; i < COUNT(rows); i++)
		check_row(disk->spool, i + 1, &rows[i]);
	/* and is done: a message that is taken now is as it is */
	assert_false(redate_is_needed(disk->spool));
	put_mail(disk->spool, 1000, false, 7 * S, 7 * S);
	commit(disk);
	redate_all(disk);
	assert_int_equal(recipient_of(disk->spool, 1000, 0).due_ms, 7 * S);
}

/* ---- in slices ---- */

#define MANY	450

/* How many recipients of destination 1 are due next year? */
static unsigned
count_far(struct spool *spool)
{
	struct due place = { .destination = 1, .due_ms = NOW + FAR };
	unsigned n = 0;

	while (spool_next_due(spool, &place, n > 0, &place))
		n++;
	return n;
}

static unsigned
count_doubted(struct spool *spool)
{
	uint64_t id = 0;
	unsigned n = 0;

	while (spool_next_doubted(spool, id, &id))
		n++;
	return n;
}

/* A turn does some of it, whatever there is much of. */
static void
in_slices(void **state)
{
	struct disk *disk = *state;
	unsigned places = MANY, doubted = MANY, slices = 1;
	struct redate redate;
	bool more;

	for (uint32_t n = 0; n < MANY; n++) {
		struct recipient recipient = { .id = 1, .number = n + 1,
		    .due_ms = NOW + 365 * D + n, .destination = 1,
		    .address = "b@far.example" };

		spool_put_recipient(disk->spool, &recipient);
		put_mail(disk->spool, n + 1, true, n, n);
		put_destination(disk->spool, n + 1, 0, false);
	}
	commit(disk);
	redate_begin(&redate, disk->spool);
	do {
		unsigned places_before = places, doubted_before = doubted;

		more = redate_slice(&redate, NOW);
		commit(disk);
		places = count_far(disk->spool);
		doubted = count_doubted(disk->spool);
		assert_true(places_before - places <= 200 ||
		    doubted_before > doubted);
		assert_true(doubted_before - doubted <= 50);
		slices += more;
	} while (more && slices < 100);
	assert_in_range(slices, MANY / 50 + MANY / 200, 30);
	assert_int_equal(places, 0);
	assert_int_equal(doubted, 0);
	for (uint64_t id = 1; id <= MANY; id++)
		assert_int_equal(recipient_of(disk->spool, id, 0).due_ms,
		    NOW);
}

/* Cut off anywhere, it begins again, and forgets none. */
static void
cut_off(void **state)
{
	struct disk *disk = *state;

	for (uint64_t id = 1; id <= MANY; id++) {
		put_mail(disk->spool, id, true, 5 * S, 5 * S);
		put_destination(disk->spool, id, NOW + 365 * D, false);
	}
	commit(disk);
	for (unsigned n = 0; n < 14; n += 3) {
		struct redate redate;

		redate_begin(&redate, disk->spool);
		for (unsigned i = 0; i < n; i++) {
			redate_slice(&redate, NOW);
			commit(disk);
		}
		/* a turn that is lost */
		redate_slice(&redate, NOW);
		reopen(disk);
	}
	redate_all(disk);
	assert_false(redate_is_needed(disk->spool));
	for (uint64_t id = 1; id <= MANY; id++) {
		struct destination destination;

		assert_int_equal(recipient_of(disk->spool, id, 0).due_ms,
		    NOW);
		spool_get_destination(disk->spool, id, &destination);
		assert_int_equal(destination.backoff_ms, 0);
		assert_int_equal(destination.next_ms, NOW);
	}
}

/* What is gone, or cannot be read, stops nothing. */
static void
what_is_gone(void **state)
{
	struct disk *disk = *state;
	struct message message = { .id = 1 };
	struct recipient recipient;

	put_mail(disk->spool, 1, true, 5 * S, 5 * S);
	put_mail(disk->spool, 2, true, 5 * S, 5 * S);
	put_destination(disk->spool, 2, 0, false);
	/* removed by the operator while the clock was doubted */
	recipient = recipient_of(disk->spool, 1, 0);
	spool_delete_recipient(disk->spool, &recipient);
	spool_delete_message(disk->spool, &message);
	commit(disk);
	assert_int_equal(redate_all(disk), 1);
	assert_false(redate_is_needed(disk->spool));
	assert_int_equal(recipient_of(disk->spool, 2, 0).due_ms, NOW);
}

#define ON_DISK(name, function) \
	{ name, function, make_disk, remove_disk, NULL }

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		ON_DISK("each time that a wrong clock wrote, and no other",
		    each_time),
		ON_DISK("in slices", in_slices),
		ON_DISK("cut off, it begins again", cut_off),
		ON_DISK("what is gone stops nothing", what_is_gone),
	};

	log_start("test");
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("redate", tests, NULL, NULL);
}
