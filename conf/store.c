/*
 * What have we written down so that it survives us?
 *
 * Called by queue and policy (later reports).  Hides Berkeley DB: one private
 * environment in one directory, one thread, one transaction a turn.
 *
 * States of a turn: clean (no transaction); changed (one is open); lost (a
 * call failed: nothing more is done until store_turn_end aborts).  States of
 * a store: good; gone (the environment panicked, or an abort failed, or a
 * flush did: only recovery, that is another process, knows what is on disk).
 *
 * Full disk: an environment that cannot write its log can neither delete nor
 * recover, so a ballast file is kept and given up at the first ENOSPC.
 *
 * It does not know what keys and values mean, and never reads outside its
 * directory once it is open.
 */
#include "conf/store.h"

#include "conf/log.h"

#include <db.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define ENV_FLAGS	(DB_CREATE | DB_INIT_TXN | DB_INIT_LOG | \
			DB_INIT_MPOOL | DB_PRIVATE | DB_RECOVER)
#define TABLE_FLAGS	(DB_CREATE | DB_AUTO_COMMIT)
#define FILE_MODE	0600
#define PAGE_OCTETS	4096	/* a page torn at 4096 recovers (facts 9) */
#define LOG_BUFFER_MAX	(1u << 20)
#define LOCK_WAIT_MS	5000
#define LOCK_RETRY_MS	50
#define BALLAST_RETRY_MS	10000
/* Of the pages in the cache this many percent are kept clean. */
#define CLEAN_PERCENT	60

/* Around the octets of a value: version before, CRC behind. */
#define HEAD		1
#define TAIL		4

struct store_table {
	struct store_table	*next;
	struct store		*store;
	DB			*db;
	uint8_t			 version;
	char			 name[64];
};

struct store {
	DB_ENV			*env;
	DB_TXN			*txn;
	struct store_table	*tables;
	struct store_options	 options;
	char			*dir;
	int			 dir_fd;
	int			 lock_fd;
	bool			 lost;
	bool			 gone;
	bool			 full;		/* ENOSPC was seen */
	uint64_t		 flushes;
	uint32_t		 synced_file;	/* log file whose entry is */
	uint64_t		 changed_octets;	/* since the trickle */
	int64_t			 ballast_again_ms;
	uint64_t		 damaged;
	/* What the last read returned, and room to build a value in. */
	char			*from;
	void			*key;
	void			*value;
	uint8_t			*record;
	size_t			 record_size;
};

/* CRC-32C, the reflected polynomial; the table is made at its first use. */
static uint32_t crc_table[256];

static void
make_crc_table(void)
{
	uint32_t crc;
	unsigned i, bit;

	for (i = 0; i < 256; i++) {
		crc = i;
		for (bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
		crc_table[i] = crc;
	}
}

uint32_t
store_crc(uint32_t crc, const void *octets, size_t len)
{
	const uint8_t *at = octets;

	if (crc_table[1] == 0)
		make_crc_table();
	crc = ~crc;
	while (len-- > 0)
		crc = crc >> 8 ^ crc_table[(crc ^ *at++) & 0xff];
	return ~crc;
}

void
store_key_u64(uint8_t octets[8], uint64_t number)
{
	unsigned i;

	for (i = 0; i < 8; i++)
		octets[i] = (uint8_t)(number >> (56 - 8 * i));
}

uint64_t
store_u64_of_key(const uint8_t octets[8])
{
	uint64_t number = 0;
	unsigned i;

	for (i = 0; i < 8; i++)
		number = number << 8 | octets[i];
	return number;
}

static int64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The pid of who holds the lock, or 0. */
static long
lock_holder(int fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_GETLK, &lock) == -1 || lock.l_type == F_UNLCK)
		return 0;
	return (long)lock.l_pid;
}

/*
 * A POSIX lock: unlike flock's it is not inherited by a child, and it dies
 * with us.  Two owners of a private environment lose mail silently.
 */
static bool
take_lock(int fd)
{
	static const struct timespec pause = {
		.tv_nsec = LOCK_RETRY_MS * 1000000
	};
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int64_t deadline_ms = now_ms() + LOCK_WAIT_MS;

	while (fcntl(fd, F_SETLK, &lock) == -1) {
		if (errno != EAGAIN && errno != EACCES && errno != EINTR)
			return false;
		if (now_ms() >= deadline_ms)
			return false;
		nanosleep(&pause, NULL);
	}
	return true;
}

static bool
lock_store(struct store *store, char *error, size_t error_size)
{
	store->lock_fd = openat(store->dir_fd, "lock",
	    O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
	if (store->lock_fd == -1) {
		snprintf(error, error_size, "%s/lock cannot be opened: %s",
		    store->dir, strerror(errno));
		return false;
	}
	if (take_lock(store->lock_fd))
		return true;
	if (errno == EAGAIN || errno == EACCES)
		snprintf(error, error_size, "%s is in use by process %ld",
		    store->dir, lock_holder(store->lock_fd));
	else
		snprintf(error, error_size, "%s/lock cannot be locked: %s",
		    store->dir, strerror(errno));
	return false;
}

/* The ballast: present in full, or not at all. */
static bool
has_ballast(const struct store *store)
{
	struct stat status;

	return fstatat(store->dir_fd, "ballast", &status,
	    AT_SYMLINK_NOFOLLOW) == 0 &&
	    (uint64_t)status.st_size >= store->options.ballast_bytes;
}

static void
make_ballast(struct store *store)
{
	int fd, error;

	if (store->options.ballast_bytes == 0 || has_ballast(store))
		return;
	store->ballast_again_ms = now_ms() + BALLAST_RETRY_MS;
	fd = openat(store->dir_fd, "ballast",
	    O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
	if (fd == -1) {
		log_line(LOG_LEVEL_ERROR, "%s/ballast cannot be made: %s",
		    store->dir, strerror(errno));
		return;
	}
	error = posix_fallocate(fd, 0, (off_t)store->options.ballast_bytes);
	close(fd);
	if (error == 0) {
		store->ballast_again_ms = 0;
		return;
	}
	unlinkat(store->dir_fd, "ballast", 0);
	log_line(LOG_LEVEL_ERROR, "%s/ballast cannot be made: %s", store->dir,
	    strerror(error));
}

/* The disk is full: give the log room to say so. */
static void
drop_ballast(struct store *store)
{
	bool dropped = unlinkat(store->dir_fd, "ballast", 0) == 0;

	store->ballast_again_ms = now_ms() + BALLAST_RETRY_MS;
	if (!store->full)
		log_alarm("disk", "no room in %s%s", store->dir,
		    dropped ? ", the ballast is given up" : "");
	store->full = true;
}

/* Make the ballast again once there is room for more than it. */
static void
restore_ballast(struct store *store)
{
	uint64_t need = 2 * store->options.ballast_bytes +
	    store->options.log_file_bytes;
	struct statvfs status;

	if (store->ballast_again_ms == 0 ||
	    now_ms() < store->ballast_again_ms)
		return;
	store->ballast_again_ms = now_ms() + BALLAST_RETRY_MS;
	if (fstatvfs(store->dir_fd, &status) == -1 ||
	    (uint64_t)status.f_bavail * status.f_frsize < need)
		return;
	make_ballast(store);
	if (store->ballast_again_ms != 0 && store->options.ballast_bytes > 0)
		return;
	store->ballast_again_ms = 0;
	store->full = false;
	log_line(LOG_LEVEL_INFO, "there is room again in %s", store->dir);
}

static bool
is_full(int error)
{
	return error == ENOSPC || error == EDQUOT;
}

/* A call of the database failed: the turn is lost, perhaps the store. */
static void
fail(struct store *store, int error, const char *what)
{
	log_line(LOG_LEVEL_ERROR, "%s: %s: %s", store->dir, what,
	    db_strerror(error));
	store->lost = true;
	if (error == DB_RUNRECOVERY)
		store->gone = true;
	if (is_full(error))
		drop_ballast(store);
}

static void
on_db_error(const DB_ENV *env, const char *prefix, const char *text)
{
	const struct store *store = env->app_private;

	(void)prefix;
	log_line(LOG_LEVEL_ERROR, "%s: database: %s", store->dir, text);
}

static void
on_db_event(DB_ENV *env, uint32_t event, void *unused)
{
	struct store *store = env->app_private;

	(void)unused;
	if (event == DB_EVENT_PANIC)
		store->gone = true;
}

/* All that is set before the environment opens; the first error or 0. */
static int
configure(struct store *store)
{
	DB_ENV *env = store->env;
	uint32_t log_buffer = store->options.log_file_bytes / 4;
	int error;

	env->app_private = store;
	env->set_errcall(env, on_db_error);
	if (log_buffer > LOG_BUFFER_MAX)
		log_buffer = LOG_BUFFER_MAX;
	if ((error = env->set_event_notify(env, on_db_event)) != 0 ||
	    (error = env->set_cachesize(env, 0, store->options.cache_bytes,
	    1)) != 0 ||
	    (error = env->set_lg_bsize(env, log_buffer)) != 0 ||
	    (error = env->set_lg_max(env,
	    store->options.log_file_bytes)) != 0 ||
	    /* Named, or it would look for one under /. */
	    (error = env->set_tmp_dir(env, ".")) != 0)
		return error;
	return env->log_set_config(env, DB_LOG_AUTO_REMOVE, 1);
}

static int
open_env(struct store *store)
{
	struct buffer home = { NULL, 0, 0 };
	int error;

	store->gone = false;
	if ((error = db_env_create(&store->env, 0)) != 0)
		return error;
	/* The library takes the folder of "/log.1" to be "". */
	buffer_printf(&home, "%s/.", store->dir);
	if ((error = configure(store)) == 0)
		error = store->env->open(store->env, home.text, ENV_FLAGS,
		    FILE_MODE);
	buffer_free(&home);
	if (error != 0) {
		/* A handle whose open failed is good for nothing else. */
		store->env->close(store->env, 0);
		store->env = NULL;
	}
	return error;
}

/* Open and recover; on a full disk once more without the ballast. */
static bool
open_and_recover(struct store *store, char *error, size_t error_size)
{
	int code = open_env(store);

	/* Recovery calls a full disk by either name. */
	if ((is_full(code) || code == DB_RUNRECOVERY) && has_ballast(store)) {
		drop_ballast(store);
		code = open_env(store);
	}
	if (code == 0)
		return true;
	snprintf(error, error_size, "%s cannot be opened: %s", store->dir,
	    db_strerror(code));
	return false;
}

static bool
open_dir(struct store *store, char *error, size_t error_size)
{
	if (mkdir(store->dir, 0700) == -1 && errno != EEXIST) {
		snprintf(error, error_size, "%s cannot be made: %s",
		    store->dir, strerror(errno));
		return false;
	}
	store->dir_fd = open(store->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store->dir_fd != -1)
		return true;
	snprintf(error, error_size, "%s cannot be opened: %s", store->dir,
	    strerror(errno));
	return false;
}

static void
free_store(struct store *store)
{
	free(store->from);
	free(store->key);
	free(store->value);
	free(store->record);
	free(store->dir);
	if (store->dir_fd != -1)
		close(store->dir_fd);
	/* Last: closing it gives the lock back. */
	if (store->lock_fd != -1)
		close(store->lock_fd);
	free(store);
}

struct store *
store_open(const char *dir, const struct store_options *options, char *error,
    size_t error_size)
{
	struct store *store;

	if (error_size > 0)
		error[0] = '\0';
	store = mem_alloc(sizeof(*store));
	store->dir = mem_copy(dir);
	store->dir_fd = store->lock_fd = -1;
	store->options = *options;
	if (!open_dir(store, error, error_size) ||
	    !lock_store(store, error, error_size) ||
	    !open_and_recover(store, error, error_size)) {
		free_store(store);
		return NULL;
	}
	/* Just given up for the recovery: not before there is room again. */
	if (!store->full)
		make_ballast(store);
	return store;
}

static void
abort_turn(struct store *store)
{
	int error;

	if (store->txn == NULL)
		return;
	error = store->txn->abort(store->txn);
	store->txn = NULL;
	if (error == 0)
		return;
	log_line(LOG_LEVEL_ERROR, "%s: abort: %s", store->dir,
	    db_strerror(error));
	store->gone = true;
}

static void
close_tables(struct store *store)
{
	struct store_table *table, *next;

	for (table = store->tables; table != NULL; table = next) {
		next = table->next;
		table->db->close(table->db, store->gone ? DB_NOSYNC : 0);
		free(table);
	}
	store->tables = NULL;
}

void
store_close(struct store **pointer)
{
	struct store *store = *pointer;

	*pointer = NULL;
	if (store == NULL)
		return;
	abort_turn(store);
	close_tables(store);
	if (!store->gone)
		store->env->txn_checkpoint(store->env, 0, 0, DB_FORCE);
	store->env->close(store->env, 0);
	free_store(store);
}

static int
open_table(struct store_table *table)
{
	struct store *store = table->store;
	char file[80];
	int error;

	snprintf(file, sizeof(file), "%s.db", table->name);
	if ((error = db_create(&table->db, store->env, 0)) != 0)
		return error;
	if ((error = table->db->set_pagesize(table->db, PAGE_OCTETS)) == 0)
		error = table->db->open(table->db, NULL, file, NULL, DB_BTREE,
		    TABLE_FLAGS, FILE_MODE);
	if (error != 0)
		table->db->close(table->db, 0);
	return error;
}

struct store_table *
store_table(struct store *store, const char *name, uint8_t version)
{
	struct store_table *table;
	int error;

	table = mem_alloc(sizeof(*table));
	table->store = store;
	table->version = version;
	if (!slice_store(slice_of(name), table->name, sizeof(table->name)))
		bug("table name %s", name);
	error = open_table(table);
	if (is_full(error)) {
		drop_ballast(store);
		error = open_table(table);
	}
	if (error != 0) {
		errno = 0;
		fatal("%s: table %s cannot be opened: %s", store->dir, name,
		    db_strerror(error));
	}
	table->next = store->tables;
	store->tables = table;
	return table;
}

/*
 * DBTs: what we pass is memory of ours, what we get goes into memory that
 * grows.  Never the library's own, which a replicated environment forbids.
 */
static DBT
dbt_of(struct slice octets)
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

static DBT
dbt_growing(void *memory, uint32_t size)
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

/* Take version and CRC off what lies on disk. */
static enum store_found
unwrap(struct store_table *table, const DBT *dbt, struct slice *value)
{
	const uint8_t *octets = dbt->data;
	uint32_t crc = 0;
	size_t len;
	unsigned i;

	*value = (struct slice){ NULL, 0 };
	if (dbt->size < HEAD + TAIL) {
		say_damaged(table, "short");
		return STORE_DAMAGED;
	}
	len = dbt->size - TAIL;
	for (i = 0; i < TAIL; i++)
		crc |= (uint32_t)octets[len + i] << 8 * i;
	if (crc != store_crc(0, octets, len)) {
		say_damaged(table, "checksum");
		return STORE_DAMAGED;
	}
	if (octets[0] > table->version)
		return STORE_NEWER;
	*value = (struct slice){ (const char *)octets + HEAD, len - HEAD };
	return STORE_FOUND;
}

static bool
is_usable(const struct store *store)
{
	return !store->lost && !store->gone;
}

enum store_found
store_get(struct store_table *table, struct slice key, struct slice *value)
{
	struct store *store = table->store;
	DBT key_dbt = dbt_of(key);
	DBT value_dbt = dbt_growing(store->value, 0);
	int error;

	*value = (struct slice){ NULL, 0 };
	if (!is_usable(store))
		return STORE_FAILED;
	error = table->db->get(table->db, store->txn, &key_dbt, &value_dbt,
	    0);
	store->value = value_dbt.data;
	if (error == DB_NOTFOUND)
		return STORE_ABSENT;
	if (error != 0) {
		fail(store, error, "get");
		return STORE_FAILED;
	}
	return unwrap(table, &value_dbt, value);
}

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
	*key = dbt_growing(store->key, (uint32_t)from.len);
	return (struct slice){ kept, from.len };
}

enum store_found
store_next(struct store_table *table, struct slice from, bool after,
    struct slice *key, struct slice *value)
{
	struct store *store = table->store;
	DBT key_dbt, value_dbt = dbt_growing(store->value, 0);
	DBC *cursor;
	int error, closing;

	*key = *value = (struct slice){ NULL, 0 };
	if (!is_usable(store))
		return STORE_FAILED;
	error = table->db->cursor(table->db, store->txn, &cursor, 0);
	if (error != 0) {
		fail(store, error, "cursor");
		return STORE_FAILED;
	}
	from = copy_from(store, from, &key_dbt);
	error = seek(cursor, from, after, &key_dbt, &value_dbt);
	store->key = key_dbt.data;
	store->value = value_dbt.data;
	closing = cursor->close(cursor);
	if (error == DB_NOTFOUND && closing == 0)
		return STORE_ABSENT;
	if (error != 0 || closing != 0) {
		fail(store, error != 0 ? error : closing, "next");
		return STORE_FAILED;
	}
	*key = (struct slice){ key_dbt.data, key_dbt.size };
	return unwrap(table, &value_dbt, value);
}

/* Is there a transaction for a change, begun if need be? */
static bool
begin_change(struct store *store)
{
	int error;

	if (!is_usable(store))
		return false;
	if (store->txn != NULL)
		return true;
	error = store->env->txn_begin(store->env, NULL, &store->txn, 0);
	if (error == 0)
		return true;
	store->txn = NULL;
	fail(store, error, "begin");
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

/* Put the len octets that stand in record_room, wrapping them. */
static void
put_wrapped(struct store_table *table, struct slice key, size_t len)
{
	struct store *store = table->store;
	uint8_t *record = store->record;
	DBT key_dbt = dbt_of(key), value_dbt;
	uint32_t crc;
	unsigned i;
	int error;

	record[0] = table->version;
	crc = store_crc(0, record, HEAD + len);
	for (i = 0; i < TAIL; i++)
		record[HEAD + len + i] = (uint8_t)(crc >> 8 * i);
	value_dbt = dbt_of((struct slice){ (const char *)record,
	    HEAD + len + TAIL });
	store->changed_octets += key.len + value_dbt.size;
	error = table->db->put(table->db, store->txn, &key_dbt, &value_dbt,
	    0);
	if (error != 0)
		fail(store, error, "put");
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
	DBT key_dbt = dbt_of(key);
	int error;

	if (!begin_change(store))
		return;
	store->changed_octets += key.len;
	error = table->db->del(table->db, store->txn, &key_dbt, 0);
	if (error != 0 && error != DB_NOTFOUND)
		fail(store, error, "delete");
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

/*
 * Is the log on disk up to its end, and the name of its file too?  A commit
 * that returns 0 does not say so: when the first flush into a new log file
 * fails, the library (5.3.28, __log_flush_commit) takes the commit for one of
 * an older file, and reports nothing.  A file's name is synced once.
 */
static bool
is_flushed(struct store *store)
{
	DB_LOG_STAT *status;
	bool whole;
	uint32_t file;
	int error;

	error = store->env->log_stat(store->env, &status, 0);
	if (error != 0) {
		fail(store, error, "log status");
		return false;
	}
	file = status->st_cur_file;
	whole = status->st_disk_file == file &&
	    status->st_disk_offset == status->st_cur_offset;
	free(status);
	if (!whole)
		log_line(LOG_LEVEL_ERROR, "%s: the log was not flushed",
		    store->dir);
	if (!whole || file == store->synced_file)
		return whole;
	if (fsync(store->dir_fd) == -1) {
		log_line(LOG_LEVEL_ERROR, "%s: sync: %s", store->dir,
		    strerror(errno));
		return false;
	}
	store->synced_file = file;
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
	fail(store, error, "commit");
	store->lost = false;
	if (!is_full(error))
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
	drop_ballast(store);
	store->gone = true;
	return STORE_GONE;
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
	}
	if (error == 0)
		error = env->txn_checkpoint(env,
		    store->options.log_file_bytes / 1024, 0, 0);
	if (error == 0)
		return;
	fail(store, error, "checkpoint");
	store->lost = false;
}

enum durability
store_turn_end(struct store *store, bool flush)
{
	enum durability result = STORE_DURABLE;

	if (store->lost || store->gone) {
		abort_turn(store);
		store->lost = false;
		result = store->gone ? STORE_GONE : STORE_NOT_DURABLE;
	} else if (store->txn != NULL) {
		result = commit(store, flush);
		if (result == STORE_DURABLE)
			write_back(store, flush);
	}
	if (result != STORE_GONE)
		restore_ballast(store);
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
