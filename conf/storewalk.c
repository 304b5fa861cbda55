/*
 * What comes next in a table, even past records that are damaged?
 *
 * Called by whoever walks (store_next in store.h).  No cursor lives across
 * calls: a walk goes on by key.  A damaged key may stand anywhere in the
 * order, so past such a one it goes on from the last good place, by number.
 */
#include "conf/storeenv.h"

#include "conf/log.h"

#include <stdlib.h>
#include <string.h>

/* The cursor's move for store_next; 0, DB_NOTFOUND or an error. */
static int
seek(DBC *cursor, struct slice from, bool after, DBT *key, DBT *value)
{
	int error = cursor->get(cursor, key, value, DB_SET_RANGE);

	if (error != 0 || !after || key->size != from.len ||
	    memcmp(key->data, from.at, from.len) != 0)
		return error;
	return cursor->get(cursor, key, value, DB_NEXT);
}

static struct slice
slice_of_dbt(const DBT *dbt)
{
	return (struct slice){ dbt->data, dbt->size };
}

/* Past n records, as long as they are the damaged ones that were told. */
static int
pass(DBC *cursor, unsigned n, DBT *key, DBT *value)
{
	int error = 0;

	while (error == 0 && n-- > 0 && !store_is_whole(slice_of_dbt(key),
	    slice_of_dbt(value)))
		error = cursor->get(cursor, key, value, DB_NEXT);
	return error;
}

/*
 * The memory where the found key comes begins as a copy of from, which may
 * be that memory itself: the caller walks on from what it was given.  Returns
 * from in memory that stays.
 */
static struct slice
copy_from(struct store *store, struct slice from, DBT *key)
{
	char *kept = mem_alloc(from.len);

	if (from.len > 0)
		memcpy(kept, from.at, from.len);
	free(store->from);
	store->from = kept;
	store->key = mem_grow(store->key, from.len);
	if (from.len > 0)
		memcpy(store->key, kept, from.len);
	*key = store_dbt_growing(store->key, (uint32_t)from.len);
	return (struct slice){ kept, from.len };
}

/*
 * A walk stands at a damaged record: where did it come from?  False: it does
 * not.
 */
static bool
is_passing(const struct store_table *table, struct slice from, bool after)
{
	const struct passed *passed = &table->store->passed;

	return after && passed->table == table && slice_equal(from,
	    (struct slice){ passed->key, passed->key_len });
}

static char *
keep(char *memory, struct slice octets)
{
	char *kept = mem_grow(memory, octets.len + 1);

	if (octets.len > 0)
		memcpy(kept, octets.at, octets.len);
	return kept;
}

/* A damaged record is told, found from there. */
static void
note_passed(struct store_table *table, struct slice from, bool after,
    unsigned n, struct slice key)
{
	struct passed *passed = &table->store->passed;

	if (n == 1) {
		passed->table = table;
		passed->from = keep(passed->from, from);
		passed->from_len = from.len;
		passed->after = after;
	}
	passed->n = n;
	passed->key = keep(passed->key, key);
	passed->key_len = key.len;
}

static int
compare(struct slice a, struct slice b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	int order = len > 0 ? memcmp(a.at, b.at, len) : 0;

	if (order != 0 || a.len == b.len)
		return order;
	return a.len < b.len ? -1 : 1;
}

/*
 * Keys out of order hide others from a look by key: all of the table is to be
 * read anew.
 */
static void
check_order(struct store *store, struct slice before, bool after,
    struct slice key)
{
	int order = compare(before, key);

	if (order > 0 || (after && order == 0))
		store_suspect(store);
}

enum store_found
store_next(struct store_table *table, struct slice from, bool after,
    struct slice *key, struct slice *value)
{
	struct store *store = table->store;
	DBT key_dbt, value_dbt = store_dbt_growing(store->value, 0);
	bool passing = is_passing(table, from, after);
	unsigned n = passing ? store->passed.n : 0;
	enum store_found found;
	DBC *cursor;
	int error, closing;

	*key = *value = (struct slice){ NULL, 0 };
	if (!storeenv_is_usable(store))
		return STORE_FAILED;
	error = table->db->cursor(table->db, store->txn, &cursor, 0);
	if (error != 0) {
		storeenv_fail(store, error, "cursor");
		return STORE_FAILED;
	}
	if (passing) {
		from = (struct slice){ store->passed.from,
		    store->passed.from_len };
		after = store->passed.after;
	}
	from = copy_from(store, from, &key_dbt);
	error = seek(cursor, from, after, &key_dbt, &value_dbt);
	if (error == 0)
		error = pass(cursor, n, &key_dbt, &value_dbt);
	store->key = key_dbt.data;
	store->value = value_dbt.data;
	closing = cursor->close(cursor);
	if (error == DB_NOTFOUND && closing == 0)
		return STORE_ABSENT;
	if (error != 0 || closing != 0) {
		storeenv_fail(store, error != 0 ? error : closing, "next");
		return STORE_FAILED;
	}
	*key = slice_of_dbt(&key_dbt);
	found = store_unwrap(table, *key, &value_dbt, value);
	check_order(store, from, after, *key);
	if (passing)
		check_order(store, (struct slice){ store->passed.key,
		    store->passed.key_len }, true, *key);
	if (found == STORE_DAMAGED)
		note_passed(table, from, after, n + 1, *key);
	else
		store->passed.table = NULL;
	return found;
}
