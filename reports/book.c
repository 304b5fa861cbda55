/*
 * What is written down, and is it on disk yet?
 *
 * Called by main.c (turns, acknowledgements), life.c (reports and receivers)
 * and ctl.c; count.c, load.c and forget.c are its other halves.
 *
 * Every turn is committed without waiting for the disk; such a commit lives in
 * the store's memory alone and dies with us.  A flush within a second of the
 * first of them makes all durable, and only then is it said to be kept.
 *
 * A peer, by its epoch and sequence: told (noted in a turn), committed,
 * durable, said.  When a turn is lost, what was told in it is lost from there
 * on: the peer is behind, and what it tells further is refused until it has
 * told the lost again, or sequences would be left out unseen.
 */
#include "reports/tables.h"

#include "conf/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FLUSH_MS	1000
/* So many turns are lost, though there is room: a restart must mend it. */
#define LOST_TURNS_MAX	3
#define ROW_VERSION	1
#define TEXT_MAX	65536	/* of a policy, RFC 8461 3.2 */
/* "nothing may be said": more than any sequence. */
#define UNSAID		UINT64_MAX

static const struct store_options options = {
	.cache_bytes = 2u << 20,
	.log_file_bytes = 1u << 20,
	/* a full log's checkpoint, and what recovery writes */
	.ballast_bytes = 4u << 20
};

/*
 * Opening.
 */

static void
open_tables(struct book *book)
{
	struct store *store = book->store;

	book->senders = store_table(store, "senders", ROW_VERSION);
	book->policies = store_table(store, "policies", ROW_VERSION);
	book->blocks = store_table(store, "blocks", ROW_VERSION);
	book->failures = store_table(store, "failures", ROW_VERSION);
	book->texts = store_table(store, "texts", ROW_VERSION);
	book->wanted = store_table(store, "wanted", ROW_VERSION);
	book->contributors = store_table(store, "contributors", ROW_VERSION);
	book->reports = store_table(store, "reports", ROW_VERSION);
	book->receivers = store_table(store, "receivers", ROW_VERSION);
	book->soon = store_table(store, "soon", ROW_VERSION);
	book->refusers = store_table(store, "refusers", ROW_VERSION);
}

static struct key
sender_key(enum program peer)
{
	struct key key = { .len = 0 };

	if (peer <= PROGRAM_NONE || peer >= PROGRAMS_N)
		bug("sender %u", (unsigned)peer);
	key_u32(&key, peer);
	return key;
}

static void
read_sender(struct book *book, enum program peer)
{
	struct sender *sender = &book->sender[peer];
	struct key key = sender_key(peer);

	if (store_get_record(book->senders, key_slice(&key), &sender_row,
	    sender) != STORE_FOUND)
		memset(sender, 0, sizeof(*sender));
	else
		sender->known = true;
	sender->committed = sender->durable = sender->sequence;
	sender->said = UNSAID;
}

static int64_t
at_day_end(void *context, uint32_t day, const char *domain)
{
	(void)context;
	(void)domain;
	return ((int64_t)day + 1) * DAY_S;
}

struct book *
book_open(const char *dir, char *error, size_t error_size)
{
	struct store *store = store_open(dir, &options, error, error_size);
	struct book *book;
	unsigned peer;

	if (store == NULL)
		return NULL;
	book = mem_alloc(sizeof(*book));
	book->store = store;
	book->dir = mem_copy(dir);
	book->unflushed_ms = -1;
	book->due_s = at_day_end;
	open_tables(book);
	for (peer = PROGRAM_NONE + 1; peer < PROGRAMS_N; peer++)
		read_sender(book, (enum program)peer);
	return book;
}

void
book_set_due(struct book *book, int64_t (*due_s)(void *context, uint32_t day,
    const char *domain), void *context)
{
	book->due_s = due_s != NULL ? due_s : at_day_end;
	book->due_context = context;
}

void
book_drop(struct book **pointer)
{
	struct book *book = *pointer;

	*pointer = NULL;
	store_close(&book->store);
	free(book->dir);
	free(book);
}

void
book_close(struct book **pointer)
{
	struct book *book = *pointer;

	*pointer = NULL;
	if (book == NULL)
		return;
	book->want_flush = true;
	book_turn_end(book);
	book_drop(&book);
}

static bool
table_can_be_walked(struct store_table *table)
{
	struct slice key = SLICE(""), value;
	enum store_found found;
	bool after = false;

	do {
		found = store_next(table, key, after, &key, &value);
		after = true;
	} while (found != STORE_ABSENT && found != STORE_FAILED);
	return found == STORE_ABSENT;
}

bool
book_can_be_walked(struct book *book)
{
	struct store_table *const tables[] = { book->senders, book->policies,
		book->blocks, book->failures, book->texts, book->wanted,
		book->contributors, book->reports, book->receivers,
		book->soon, book->refusers };
	size_t i;

	for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		if (!table_can_be_walked(tables[i]))
			return false;
	return true;
}

/*
 * The turn.
 */

/* A commit that changes nothing would flush nothing. */
static void
change_something(struct book *book)
{
	struct key key = { .len = 0 };

	key_text(&key, "flush");
	book_change(book, book->senders, &key, SLICE(""));
}

static void
turn_kept(struct book *book, bool flushed)
{
	struct sender *sender;

	if (book->changed)
		book->lost_turns = 0;
	for (sender = book->sender; sender < book->sender + PROGRAMS_N;
	    sender++) {
		sender->committed = sender->sequence;
		sender->first = 0;
		if (flushed)
			sender->durable = sender->committed;
	}
	if (flushed) {
		book->unflushed_ms = -1;
		book->want_flush = false;
	} else if (book->changed && book->unflushed_ms == -1)
		book->unflushed_ms = wire_now_ms();
}

/* Nothing of the turn exists; what went before still waits for a flush. */
static void
turn_lost(struct book *book)
{
	struct sender *sender;

	for (sender = book->sender; sender < book->sender + PROGRAMS_N;
	    sender++) {
		sender->sequence = sender->committed;
		if (sender->first != 0)
			sender->lost_from = sender->first;
		sender->first = 0;
	}
	book->want_flush = false;
	if (book->unflushed_ms != -1)
		book->unflushed_ms = wire_now_ms();
}

/* Only a restart tells what is on disk, or mends what cannot be read. */
static void
give_up(struct book *book)
{
	mend_suspect(book->dir);
	errno = 0;
	fatal("the store of what was counted failed");
}

bool
book_turn_end(struct book *book)
{
	bool flush = book->want_flush || (book->unflushed_ms != -1 &&
	    wire_now_ms() >= book->unflushed_ms + FLUSH_MS);
	enum durability durability;

	if (flush && !book->changed && book->unflushed_ms != -1)
		change_something(book);
	durability = store_turn_end(book->store, flush);
	if (durability == STORE_GONE)
		give_up(book);
	if (durability == STORE_NOT_DURABLE &&
	    ++book->lost_turns >= LOST_TURNS_MAX && mend_has_room(book->dir))
		give_up(book);
	if (durability == STORE_DURABLE)
		turn_kept(book, flush);
	else
		turn_lost(book);
	book->changed = false;
	return durability == STORE_DURABLE;
}

void
book_want_flush(struct book *book)
{
	book->want_flush = true;
}

int64_t
book_flush_at_ms(const struct book *book)
{
	return book->unflushed_ms == -1 ? -1 : book->unflushed_ms + FLUSH_MS;
}

uint64_t
book_flushes(const struct book *book)
{
	return store_flushes(book->store);
}

/*
 * Who told what.
 */

uint64_t
book_kept(struct book *book, enum program peer)
{
	struct sender *sender = &book->sender[peer];

	if (sender->durable <= sender->said)
		return 0;
	sender->said = sender->durable;
	return sender->durable;
}

void
book_fresh_peer(struct book *book, enum program peer)
{
	book->sender[peer].said = UNSAID;
}

bool
book_is_behind(const struct book *book, enum program peer)
{
	return book->sender[peer].lost_from != 0;
}

/* Another outbox: it begins again at 1. */
static void
begin_epoch(struct sender *sender, uint64_t epoch)
{
	memset(sender, 0, sizeof(*sender));
	sender->known = true;
	sender->epoch = epoch;
}

bool
book_is_repeated(struct book *book, enum program peer, uint64_t epoch,
    uint64_t sequence)
{
	struct sender *sender = &book->sender[peer];
	struct key key = sender_key(peer);

	if (!sender->known || sender->epoch != epoch)
		begin_epoch(sender, epoch);
	if (sender->said == UNSAID)
		sender->said = 0;
	if (sender->lost_from != 0 && sequence > sender->lost_from)
		return true;
	sender->lost_from = 0;
	if (sequence <= sender->sequence) {
		/* It did not hear that we have it. */
		sender->said = 0;
		return true;
	}
	sender->sequence = sequence;
	if (sender->first == 0)
		sender->first = sequence;
	book_change_record(book, book->senders, &key, &sender_row, sender);
	return false;
}

/*
 * Texts of policies.
 */

static bool
read_wanted(struct slice key, char domain[DOMAIN_TEXT_MAX],
    uint64_t *sts_text, uint32_t *day)
{
	size_t offset = 0;

	return key_get_text(key, &offset, domain, DOMAIN_TEXT_MAX) &&
	    key_get_u64(key, &offset, sts_text) &&
	    key_get_u32(key, &offset, day) && offset == key.len;
}

bool
book_wanted_text(struct book *book, char domain[DOMAIN_TEXT_MAX],
    uint64_t *sts_text)
{
	struct slice key, value;
	enum store_found found;
	uint32_t day;

	found = store_next(book->wanted, SLICE(""), false, &key, &value);
	return found != STORE_ABSENT && found != STORE_FAILED &&
	    read_wanted(key, domain, sts_text, &day);
}

/* What a text is, in front of it. */
static void
put_text(struct book *book, uint32_t day, const char *domain,
    uint64_t sts_text, struct slice text)
{
	struct key key = key_of(day, domain);
	struct buffer value = { NULL, 0, 0 };
	bool here = text.at != NULL && text.len <= TEXT_MAX;
	char state = here ? TEXT_HERE : TEXT_GONE;

	key_u64(&key, sts_text);
	buffer_add(&value, (struct slice){ &state, 1 });
	if (here)
		buffer_add(&value, text);
	book_change(book, book->texts, &key,
	    (struct slice){ value.text, value.len });
	buffer_free(&value);
}

/* For each day that counted under it. */
void
book_put_text(struct book *book, const char *domain, uint64_t sts_text,
    struct slice text)
{
	struct key prefix = { .len = 0 }, at;
	struct slice key, value;
	char name[DOMAIN_TEXT_MAX];
	enum store_found found;
	uint64_t mark;
	uint32_t day;
	bool after = false;

	key_text(&prefix, domain);
	key_u64(&prefix, sts_text);
	for (at = prefix;; after = true) {
		found = store_next(book->wanted, key_slice(&at), after, &key,
		    &value);
		if (found == STORE_ABSENT || found == STORE_FAILED ||
		    !key_begins(key, &prefix) || !key_copy(&at, key))
			return;
		if (read_wanted(key_slice(&at), name, &mark, &day))
			put_text(book, day, domain, sts_text, text);
		book_remove(book, book->wanted, &at);
	}
}

/*
 * Reports.
 */

/* Day and domain from a key that begins with them. */
static bool
read_day(struct slice key, size_t offset, uint32_t *day,
    char domain[DOMAIN_TEXT_MAX])
{
	return key_get_u32(key, &offset, day) &&
	    key_get_text(key, &offset, domain, DOMAIN_TEXT_MAX) &&
	    offset == key.len;
}

bool
book_get_report(struct book *book, uint32_t day, const char *domain,
    struct report_state *state)
{
	struct key key = key_of(day, domain);

	if (store_get_record(book->reports, key_slice(&key), &report_row,
	    state) != STORE_FOUND)
		return false;
	state->day = day;
	slice_store(slice_of(domain), state->domain, sizeof(state->domain));
	return true;
}

static struct key
soon_key(const struct report_state *state)
{
	struct key key = { .len = 0 };

	key_u64(&key, state->next_s > 0 ? (uint64_t)state->next_s : 1);
	key_u32(&key, state->day);
	key_text(&key, state->domain);
	return key;
}

void
book_put_report(struct book *book, const struct report_state *state)
{
	struct key key = key_of(state->day, state->domain), soon;
	struct report_state old;

	if (book_get_report(book, state->day, state->domain, &old) &&
	    old.next_s != 0 && old.next_s != state->next_s) {
		soon = soon_key(&old);
		book_remove(book, book->soon, &soon);
	}
	if (state->next_s != 0) {
		soon = soon_key(state);
		book_change(book, book->soon, &soon, SLICE(""));
	}
	book_change_record(book, book->reports, &key, &report_row, state);
}

bool
book_next_report(struct book *book, uint32_t day, const char *domain,
    struct report_state *state)
{
	struct key at = key_of(day, domain);
	struct slice key, value;
	enum store_found found;

	for (;;) {
		found = store_next(book->reports, key_slice(&at), true, &key,
		    &value);
		if (found == STORE_ABSENT || found == STORE_FAILED ||
		    !key_copy(&at, key))
			return false;
		if (found == STORE_FOUND &&
		    store_decode(value, &report_row, state) &&
		    read_day(key_slice(&at), 0, &state->day, state->domain))
			return true;
	}
}

/* Does the report that this key speaks of wait for that time? */
static bool
is_soon(struct book *book, const struct key *key, struct report_state *state)
{
	char domain[DOMAIN_TEXT_MAX];
	struct key soon;
	uint32_t day;

	if (!read_day(key_slice(key), 8, &day, domain) ||
	    !book_get_report(book, day, domain, state) || state->next_s == 0)
		return false;
	soon = soon_key(state);
	return slice_equal(key_slice(&soon), key_slice(key));
}

/*
 * What the index says and the report does not (its record was damaged) is
 * taken out.
 */
bool
book_soonest_report(struct book *book, struct report_state *state)
{
	struct key at = { .len = 0 };
	struct slice key, value;
	enum store_found found;
	bool after = false;

	for (;; after = true) {
		found = store_next(book->soon, key_slice(&at), after, &key,
		    &value);
		if (found == STORE_ABSENT || found == STORE_FAILED ||
		    !key_copy(&at, key))
			return false;
		if (is_soon(book, &at, state))
			return true;
		book_remove(book, book->soon, &at);
	}
}

static struct key
receiver_key(const struct report_state *report, uint32_t n)
{
	struct key key = key_of(report->day, report->domain);

	if (n >= RUA_MAX)
		bug("receiver %u", n);
	key_u8(&key, (uint8_t)n);
	return key;
}

bool
book_get_receiver(struct book *book, const struct report_state *report,
    uint32_t n, struct receiver_state *state)
{
	struct key key = receiver_key(report, n);

	if (store_get_record(book->receivers, key_slice(&key), &receiver_row,
	    state) != STORE_FOUND)
		return false;
	state->n = n;
	return true;
}

void
book_put_receiver(struct book *book, const struct report_state *report,
    const struct receiver_state *state)
{
	struct key key = receiver_key(report, state->n);

	book_change_record(book, book->receivers, &key, &receiver_row, state);
}

/*
 * Receivers over the days.
 */

void
book_get_refuser(struct book *book, const char *uri, struct refuser *refuser)
{
	struct refuser_row row;

	memset(refuser, 0, sizeof(*refuser));
	if (store_get_record(book->refusers, slice_of(uri), &refuser_row,
	    &row) == STORE_FOUND)
		*refuser = row.refuser;
}

void
book_put_refuser(struct book *book, const char *uri,
    const struct refuser *refuser)
{
	struct refuser_row row = { .refuser = *refuser };

	book->changed = true;
	row.day = (uint32_t)(time(NULL) / DAY_S);
	if (refuser->refusals == 0 && refuser->until_s == 0)
		store_delete(book->refusers, slice_of(uri));
	else
		store_put_record(book->refusers, slice_of(uri), &refuser_row,
		    &row);
}
