/*
 * What is old enough to be forgotten?
 *
 * Called by life.c once a day, in slices.  Keys begin with the day, so the
 * oldest stand first in each table; what waits for a text and who refused
 * stand elsewhere.
 */
#include "reports/tables.h"

#include <string.h>

#define SLICE_ROWS	200
/* One that refused and was not written to for so long begins anew. */
#define REFUSER_DAYS	60

/* With a text goes the wish for it. */
static void
forget_wish(struct book *book, const struct key *text)
{
	struct key wanted = { .len = 0 };
	char domain[DOMAIN_TEXT_MAX];
	size_t offset = 0;
	uint64_t mark;
	uint32_t day;

	if (!key_get_u32(key_slice(text), &offset, &day) ||
	    !key_get_text(key_slice(text), &offset, domain, sizeof(domain)) ||
	    !key_get_u64(key_slice(text), &offset, &mark))
		return;
	key_text(&wanted, domain);
	key_u64(&wanted, mark);
	key_u32(&wanted, day);
	book_remove(book, book->wanted, &wanted);
}

static void
forget_soon(struct book *book, const struct key *report)
{
	char domain[DOMAIN_TEXT_MAX];
	struct report_state state;
	struct key soon = { .len = 0 };
	size_t offset = 0;
	uint32_t day;

	if (!key_get_u32(key_slice(report), &offset, &day) ||
	    !key_get_text(key_slice(report), &offset, domain,
	    sizeof(domain)) || !book_get_report(book, day, domain, &state) ||
	    state.next_s == 0)
		return;
	key_u64(&soon, state.next_s > 0 ? (uint64_t)state.next_s : 1);
	key_u32(&soon, day);
	key_text(&soon, domain);
	book_remove(book, book->soon, &soon);
}

/* Takes at most *left rows out; true: there are none before that day. */
static bool
forget_days(struct book *book, struct store_table *table, uint32_t day,
    unsigned *left)
{
	struct key at = { .len = 0 };
	struct slice key, value;
	enum store_found found;
	size_t offset;
	uint32_t of;

	for (; *left > 0; (*left)--) {
		found = store_next(table, SLICE(""), false, &key, &value);
		offset = 0;
		if (found == STORE_ABSENT || found == STORE_FAILED ||
		    !key_copy(&at, key) ||
		    !key_get_u32(key_slice(&at), &offset, &of) || of >= day)
			return true;
		if (table == book->texts)
			forget_wish(book, &at);
		else if (table == book->reports)
			forget_soon(book, &at);
		book_remove(book, table, &at);
	}
	return false;
}

static bool
is_stale(enum store_found found, struct slice value, uint32_t day)
{
	struct refuser_row row;

	return found == STORE_DAMAGED || (found == STORE_FOUND &&
	    store_decode(value, &refuser_row, &row) &&
	    (int64_t)row.day + REFUSER_DAYS < day &&
	    row.refuser.until_s < (int64_t)day * DAY_S);
}

/* Walks all refusers once for each day; true: it is at their end. */
static bool
forget_refusers(struct book *book, uint32_t day, unsigned *left)
{
	struct slice key, value;
	enum store_found found;
	bool stale;

	if (book->refusers_day == day)
		return true;
	for (; *left > 0; (*left)--) {
		found = store_next(book->refusers,
		    slice_of(book->refuser_after), true, &key, &value);
		if (found == STORE_FAILED)
			return true;
		if (found == STORE_ABSENT || !slice_store(key,
		    book->refuser_after, sizeof(book->refuser_after))) {
			book->refuser_after[0] = '\0';
			book->refusers_day = day;
			return true;
		}
		stale = is_stale(found, value, day);
		if (stale) {
			book->changed = true;
			store_delete(book->refusers,
			    slice_of(book->refuser_after));
		}
	}
	return false;
}

bool
book_forget_before(struct book *book, uint32_t day)
{
	struct store_table *const tables[] = { book->failures, book->blocks,
		book->policies, book->texts, book->contributors,
		book->receivers, book->reports };
	unsigned left = SLICE_ROWS, i;

	for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		if (!forget_days(book, tables[i], day, &left))
			return true;
	return !forget_refusers(book, day, &left);
}
