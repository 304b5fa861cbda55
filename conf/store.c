/*
 * What have we written down so that it survives us?
 *
 * Called by queue, policy and reports.  Here are values, changes and the end
 * of a turn; storeenv.c opens and closes, storewalk.c walks, storeroom.c has
 * room on a full disk, storecrc.c judges octets, storefile.c looks at files.
 * Together they hide Berkeley DB: one private environment in one directory,
 * one thread, one transaction a turn.
 *
 * States of a turn: clean (no transaction); changed (one is open); lost (a
 * call failed: nothing more is done until store_turn_end aborts).
 *
 * It does not know what keys and values mean.
 */
#include "conf/storeenv.h"

#include "conf/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of the pages in the cache this many percent are kept clean. */
#define CLEAN_PERCENT	85

/*
 * Around the octets of a value: version before, CRC behind.  With KEYED in
 * the version the CRC covers the key, too: a record that a flipped bit moved
 * to another key is not believed.  Values without it are of older stores.
 */
#define HEAD		1
#define TAIL		4
#define KEYED		0x80

/*
 * DBTs: what we pass is memory of ours, what we get goes into memory that
 * grows.  Never the library's own, which a replicated environment forbids.
 */
DBT
store_dbt(struct slice octets)
{
	/* The library does not write to it; DBT has no const. */
	union { const char *in; void *out; } data = { .in = octets.at };
	DBT dbt;

	if (octets.len > UINT32_MAX)
		bug("%zu octets to store", octets.len);
	memset(&dbt, 0, sizeof(dbt));
	dbt.data = data.out;
	dbt.size = dbt.ulen = (uint32_t)octets.len;
	dbt.flags = DB_DBT_USERMEM;
	return dbt;
}

DBT
store_dbt_growing(void *memory, uint32_t size)
{
	DBT dbt;

	memset(&dbt, 0, sizeof(dbt));
	dbt.data = memory;
	dbt.size = size;
	dbt.flags = DB_DBT_REALLOC;
	return dbt;
}

static void
say_damaged(struct store_table *table, const char *why)
{
	/* One bad row may be read often. */
	if (table->store->damaged++ % 1000 < 10)
		log_line(LOG_LEVEL_ERROR, "%s: table %s: a record is damaged "
		    "(%s)", table->store->dir, table->name, why);
}

/* Of a value as it lies on disk, without its tail, under that key. */
static uint32_t
crc_of(struct slice key, const uint8_t *octets, size_t len)
{
	uint32_t crc = store_crc(0, octets, len);

	return octets[0] & KEYED ? store_crc(crc, key.at, key.len) : crc;
}

/* Whatever its version. */
bool
store_is_whole(struct slice key, struct slice raw)
{
	const uint8_t *octets = (const uint8_t *)raw.at;
	uint32_t crc = 0;
	size_t len;
	unsigned i;

	if (raw.len < HEAD + TAIL)
		return false;
	len = raw.len - TAIL;
	for (i = 0; i < TAIL; i++)
		crc |= (uint32_t)octets[len + i] << 8 * i;
	return crc == crc_of(key, octets, len);
}

static unsigned
version_of(struct slice raw)
{
	return (uint8_t)raw.at[0] & (KEYED - 1u);
}

/* Take version and CRC off what lies on disk. */
enum store_found
store_unwrap(struct store_table *table, struct slice key, const DBT *dbt,
    struct slice *value)
{
	struct slice raw = { dbt->data, dbt->size };

	*value = (struct slice){ NULL, 0 };
	if (!store_is_whole(key, raw)) {
		say_damaged(table, "checksum");
		return STORE_DAMAGED;
	}
	if (version_of(raw) > table->version)
		return STORE_NEWER;
	*value = (struct slice){ raw.at + HEAD, raw.len - HEAD - TAIL };
	return STORE_FOUND;
}

enum store_found
store_get(struct store_table *table, struct slice key, struct slice *value)
{
	struct store *store = table->store;
	DBT key_dbt = store_dbt(key);
	DBT value_dbt = store_dbt_growing(store->value, 0);
	int error;

	*value = (struct slice){ NULL, 0 };
	if (!storeenv_is_usable(store))
		return STORE_FAILED;
	error = table->db->get(table->db, store->txn, &key_dbt, &value_dbt,
	    0);
	store->value = value_dbt.data;
	if (error == DB_NOTFOUND)
		return STORE_ABSENT;
	if (error != 0) {
		storeenv_fail(store, error, "get");
		return STORE_FAILED;
	}
	return store_unwrap(table, key, &value_dbt, value);
}

/* Is there a transaction for a change, begun if need be? */
static bool
begin_change(struct store *store)
{
	int error;

	if (!storeenv_is_usable(store))
		return false;
	if (store->txn != NULL)
		return true;
	storeroom_look(store);
	error = store->env->txn_begin(store->env, NULL, &store->txn, 0);
	if (error == 0)
		return true;
	store->txn = NULL;
	storeenv_fail(store, error, "begin");
	return false;
}

/* Room in store->record for a value of len octets, wrapped. */
static uint8_t *
record_room(struct store *store, size_t len)
{
	if (store->record_size < HEAD + len + TAIL) {
		store->record_size = HEAD + len + TAIL;
		store->record = mem_grow(store->record, store->record_size);
	}
	return store->record + HEAD;
}

static void
put_raw(struct store_table *table, struct slice key, struct slice raw)
{
	struct store *store = table->store;
	DBT key_dbt = store_dbt(key), value_dbt = store_dbt(raw);
	int error;

	/* A walk that passes damage counts places. */
	if (store->passed.table == table)
		store->passed.table = NULL;
	store->changed_octets += key.len + raw.len;
	error = table->db->put(table->db, store->txn, &key_dbt, &value_dbt,
	    0);
	if (error != 0)
		storeenv_fail(store, error, "put");
}

/* Put the len octets that stand in record_room, wrapping them. */
static void
put_wrapped(struct store_table *table, struct slice key, size_t len)
{
	uint8_t *record = table->store->record;
	uint32_t crc;
	unsigned i;

	record[0] = table->version | KEYED;
	crc = crc_of(key, record, HEAD + len);
	for (i = 0; i < TAIL; i++)
		record[HEAD + len + i] = (uint8_t)(crc >> 8 * i);
	put_raw(table, key, (struct slice){ (const char *)record,
	    HEAD + len + TAIL });
}

void
store_put_raw(struct store_table *table, struct slice key, struct slice raw)
{
	if (begin_change(table->store))
		put_raw(table, key, raw);
}

void
store_put(struct store_table *table, struct slice key, struct slice value)
{
	if (!begin_change(table->store))
		return;
	if (value.len > 0)
		memcpy(record_room(table->store, value.len), value.at,
		    value.len);
	else
		record_room(table->store, 0);
	put_wrapped(table, key, value.len);
}

void
store_delete(struct store_table *table, struct slice key)
{
	struct store *store = table->store;
	DBT key_dbt = store_dbt(key);
	int error;

	if (!begin_change(store))
		return;
	store->changed_octets += key.len;
	error = table->db->del(table->db, store->txn, &key_dbt, 0);
	if (error != 0 && error != DB_NOTFOUND)
		storeenv_fail(store, error, "delete");
}

bool
store_decode(struct slice value, const struct wire_message *row, void *record)
{
	return wire_decode(row, (const uint8_t *)value.at, value.len, record);
}

enum store_found
store_get_record(struct store_table *table, struct slice key,
    const struct wire_message *row, void *record)
{
	struct slice value;
	enum store_found found;

	found = store_get(table, key, &value);
	if (found == STORE_FOUND && !store_decode(value, row, record)) {
		say_damaged(table, row->name);
		return STORE_DAMAGED;
	}
	return found;
}

void
store_put_record(struct store_table *table, struct slice key,
    const struct wire_message *row, const void *record)
{
	size_t len;

	if (!begin_change(table->store))
		return;
	len = wire_encode(row, record, record_room(table->store, WIRE_MAX),
	    WIRE_MAX);
	if (len == 0)
		bug("record %s is too long", row->name);
	put_wrapped(table, key, len);
}

/* A log file's name is synced once. */
static bool
is_name_synced(struct store *store, uint32_t file)
{
	if (file == store->synced_file)
		return true;
	if (fsync(store->dir_fd) == -1) {
		log_line(LOG_LEVEL_ERROR, "%s: sync: %s", store->dir,
		    strerror(errno));
		return false;
	}
	store->synced_file = file;
	return true;
}

/*
 * Is the log on disk up to its end, and the name of its file too?  A commit
 * that returns 0 does not say so: when the first flush into a new log file
 * fails, the library (5.3.28, __log_flush_commit) takes the commit for one of
 * an older file, and reports nothing.
 */
static bool
is_flushed(struct store *store)
{
	struct storefile_end end;
	DB_LOG_STAT *status;
	bool whole;
	int error;

	error = store->env->log_stat(store->env, &status, 0);
	if (error != 0) {
		storeenv_fail(store, error, "log status");
		return false;
	}
	end = (struct storefile_end){ status->st_cur_file,
	    status->st_cur_offset };
	store->log_octets = (uint64_t)status->st_wc_mbytes << 20 |
	    status->st_wc_bytes;
	whole = status->st_disk_file == end.file &&
	    status->st_disk_offset == end.offset;
	free(status);
	if (!whole)
		log_line(LOG_LEVEL_ERROR, "%s: the log was not flushed",
		    store->dir);
	if (!whole || !is_name_synced(store, end.file))
		return false;
	storemark_set(store->mark, &end);
	return true;
}

/*
 * After a failed commit the library has undone the turn.  But when a flush
 * failed for another reason than room, the record that commits may be on
 * disk or not: only recovery knows.
 */
static enum durability
commit_failed(struct store *store, int error)
{
	storeenv_fail(store, error, "commit");
	store->lost = false;
	if (!storeenv_is_full(error))
		store->gone = true;
	return store->gone ? STORE_GONE : STORE_NOT_DURABLE;
}

static enum durability
commit(struct store *store, bool flush)
{
	DB_TXN *txn = store->txn;
	int error;

	store->txn = NULL;	/* whatever commit returns */
	error = txn->commit(txn, flush ? DB_TXN_SYNC : DB_TXN_NOSYNC);
	if (error != 0)
		return commit_failed(store, error);
	if (!flush)
		return STORE_DURABLE;
	store->flushes++;
	if (is_flushed(store))
		return STORE_DURABLE;
	/* It counts as committed in memory and cannot be undone here.  Most
	 * likely there was no room; recovery will need some. */
	storeroom_drop_ballast(store);
	store->gone = true;
	return STORE_GONE;
}

/*
 * What was written of the tables begins its way to the disk beside us, so that
 * the checkpoint's flush finds little left.
 */
static void
begin_writeback(const struct store *store)
{
	const struct store_table *table;
	int fd;

	for (table = store->tables; table != NULL; table = table->next)
		if (table->db->fd(table->db, &fd) == 0)
			sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

/*
 * Checkpoint when a log file's worth was written.  Some of the work is done
 * before, right after a flush when the pages' log records are safe already,
 * so that the checkpoint itself does not hold up a turn for long.  A failure
 * here takes nothing back that was committed.
 */
static void
write_back(struct store *store, bool flushed)
{
	DB_ENV *env = store->env;
	int error = 0, written;

	if (flushed && store->changed_octets >=
	    store->options.log_file_bytes / 8) {
		store->changed_octets = 0;
		error = env->memp_trickle(env, CLEAN_PERCENT, &written);
		if (error == 0)
			begin_writeback(store);
	}
	/* Asking in vain costs a look at all log files. */
	if (error == 0 && (!flushed ||
	    store->log_octets >= store->options.log_file_bytes))
		error = env->txn_checkpoint(env,
		    store->options.log_file_bytes / 1024, 0, 0);
	if (error == 0)
		return;
	storeenv_fail(store, error, "checkpoint");
	store->lost = false;
}

enum durability
store_turn_end(struct store *store, bool flush)
{
	enum durability result = STORE_DURABLE;

	if (store->lost || store->gone) {
		storeenv_abort(store);
		store->lost = false;
		result = store->gone ? STORE_GONE : STORE_NOT_DURABLE;
	} else if (store->txn != NULL) {
		result = commit(store, flush);
		if (result == STORE_DURABLE)
			write_back(store, flush);
	}
	if (result != STORE_GONE)
		storeroom_restore_ballast(store);
	return result;
}

bool
store_turn_lost(const struct store *store)
{
	return store->lost || store->gone;
}

uint64_t
store_flushes(const struct store *store)
{
	return store->flushes;
}
