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
#include "conf/storefile.h"

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
#define LOG_BUFFER_MAX	(1u << 20)
#define LOCK_WAIT_MS	5000
#define LOCK_RETRY_MS	50
#define BALLAST_RETRY_MS	10000
#define PROBE		"probe"
#define LOOK_CACHE_OCTETS	(8u << 20)
/* Of the pages in the cache this many percent are kept clean. */
#define CLEAN_PERCENT	60

/*
 * Around the octets of a value: version before, CRC behind.  With KEYED in
 * the version the CRC covers the key, too: a record that a flipped bit moved
 * to another key is not believed.  Values without it are of older stores.
 */
#define HEAD		1
#define TAIL		4
#define KEYED		0x80

struct store_table {
	struct store_table	*next;
	struct store		*store;
	DB			*db;
	uint8_t			 version;
	char			 name[64];
};

/*
 * A walk came past damaged records: their keys may stand anywhere in the
 * order, so it goes on from the last good place, by number.
 */
struct passed {
	const struct store_table	*table;	/* NULL: it did not */
	char		*from;		/* the last good place */
	size_t		 from_len;
	bool		 after;
	char		*key;		/* of the damaged record told last */
	size_t		 key_len;
	unsigned	 n;		/* damaged records since from */
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
	uint64_t		 log_octets;	/* since the checkpoint, as of
						   the last flush */
	int64_t			 ballast_again_ms;
	uint64_t		 damaged;
	/* What the last read returned, and room to build a value in. */
	char			*from;
	void			*key;
	void			*value;
	uint8_t			*record;
	size_t			 record_size;
	struct passed		 passed;
	bool			 suspect;
};

/*
 * CRC-32C, the reflected polynomial; the tables are made at their first use.
 * Table n has the CRC of an octet with n zero octets behind it: eight octets
 * are looked up at once, for every body goes through here.
 */
static uint32_t crc_tables[8][256];

static void
make_crc_tables(void)
{
	uint32_t crc;
	unsigned n, i, bit;

	for (i = 0; i < 256; i++) {
		crc = i;
		for (bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
		crc_tables[0][i] = crc;
	}
	for (n = 1; n < 8; n++)
		for (i = 0; i < 256; i++) {
			crc = crc_tables[n - 1][i];
			crc_tables[n][i] = crc >> 8 ^
			    crc_tables[0][crc & 0xff];
		}
}

static uint32_t
crc_word(const uint8_t *at)
{
	return (uint32_t)at[0] | (uint32_t)at[1] << 8 |
	    (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint32_t
crc_eight(uint32_t crc, const uint8_t *at)
{
	uint32_t low = crc ^ crc_word(at), high = crc_word(at + 4);

	return crc_tables[7][low & 0xff] ^ crc_tables[6][low >> 8 & 0xff] ^
	    crc_tables[5][low >> 16 & 0xff] ^ crc_tables[4][low >> 24] ^
	    crc_tables[3][high & 0xff] ^ crc_tables[2][high >> 8 & 0xff] ^
	    crc_tables[1][high >> 16 & 0xff] ^ crc_tables[0][high >> 24];
}

uint32_t
store_crc(uint32_t crc, const void *octets, size_t len)
{
	const uint8_t *at = octets;

	if (crc_tables[0][1] == 0)
		make_crc_tables();
	crc = ~crc;
	for (; len >= 8; at += 8, len -= 8)
		crc = crc_eight(crc, at);
	while (len-- > 0)
		crc = crc >> 8 ^ crc_tables[0][(crc ^ *at++) & 0xff];
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

void
store_give_room(struct store *store)
{
	drop_ballast(store);
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
is_usable(const struct store *store)
{
	return !store->lost && !store->gone;
}

static bool
is_full(int error)
{
	return error == ENOSPC || error == EDQUOT;
}

/*
 * May this error come from a damaged file?  Not those that a healthy store has
 * in a bad world: no room, no memory, no right, a device that fails.
 */
static bool
may_be_damage(int error)
{
	switch (error) {
	case DB_RUNRECOVERY:
	case DB_PAGE_NOTFOUND:
	case DB_VERIFY_BAD:
	case DB_LOG_VERIFY_BAD:
	case DB_NOTFOUND:
	case EINVAL:
	case EFAULT:
	case ENOENT:
		return true;
	default:
		return false;
	}
}

void
store_suspect(struct store *store)
{
	int fd;

	if (store->suspect)
		return;
	store->suspect = true;
	fd = openat(store->dir_fd, STORE_SUSPECT, O_WRONLY | O_CREAT |
	    O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
	if (fd != -1)
		close(fd);
}

bool
store_is_suspect(const struct store *store)
{
	return store->suspect;
}

/*
 * A call of the database failed: the turn is lost, perhaps the store.  What
 * may come of a damaged page is not tried again and again: the next start is
 * told to look.
 */
static void
fail(struct store *store, int error, const char *what)
{
	log_line(LOG_LEVEL_ERROR, "%s: %s: %s", store->dir, what,
	    db_strerror(error));
	store->lost = true;
	if (error == DB_RUNRECOVERY)
		store->gone = true;
	if (is_full(error)) {
		drop_ballast(store);
	} else if (may_be_damage(error)) {
		store->gone = true;
		store_suspect(store);
	}
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

/*
 * A restored backup: its pages are as old as the beginning of the backup, so
 * not only what followed its last checkpoint is to be done again.
 */
static uint32_t
env_flags(const struct store *store)
{
	return faccessat(store->dir_fd, STORE_BACKUP, F_OK, 0) == 0 ?
	    (ENV_FLAGS & ~DB_RECOVER) | DB_RECOVER_FATAL : ENV_FLAGS;
}

/* sub: "" the store's own, or a folder in it. */
static int
open_env_in(struct store *store, const char *sub)
{
	struct buffer home = { NULL, 0, 0 };
	int error;

	store->gone = false;
	if ((error = db_env_create(&store->env, 0)) != 0)
		return error;
	/* The library takes the folder of "/log.1" to be "". */
	buffer_printf(&home, "%s/%s.", store->dir, sub);
	if ((error = configure(store)) == 0)
		error = store->env->open(store->env, home.text,
		    env_flags(store), FILE_MODE);
	buffer_free(&home);
	if (error != 0) {
		/* A handle whose open failed is good for nothing else. */
		store->env->close(store->env, 0);
		store->env = NULL;
	}
	return error;
}

static int
open_env(struct store *store)
{
	return open_env_in(store, "");
}

/*
 * Would the library open an empty environment here?  If not, it is not the
 * files that it objects to.
 */
static bool
probe_opens(struct store *store)
{
	bool opens;

	storefile_remove_folder(store->dir_fd, PROBE);
	if (mkdirat(store->dir_fd, PROBE, 0700) == -1)
		return false;
	opens = open_env_in(store, PROBE "/") == 0;
	if (opens)
		store->env->close(store->env, 0);
	store->env = NULL;
	storefile_remove_folder(store->dir_fd, PROBE);
	return opens;
}

/* The restored backup is a store like any other now. */
static void
end_restore(struct store *store)
{
	if (unlinkat(store->dir_fd, STORE_BACKUP, 0) == 0)
		fsync(store->dir_fd);
}

bool
store_recover(struct store *store, bool *damaged, char *error,
    size_t error_size)
{
	int code = open_env(store);

	/* Recovery calls a full disk by either name. */
	if ((is_full(code) || code == DB_RUNRECOVERY) && has_ballast(store)) {
		drop_ballast(store);
		code = open_env(store);
	}
	*damaged = code != 0 && may_be_damage(code) &&
	    storefile_is_reachable(store->dir_fd) && probe_opens(store);
	/* The world is well now: was it, a moment ago? */
	if (*damaged) {
		code = open_env(store);
		*damaged = code != 0 && may_be_damage(code) &&
		    storefile_is_reachable(store->dir_fd);
	}
	if (code != 0) {
		snprintf(error, error_size, "%s cannot be opened: %s",
		    store->dir, db_strerror(code));
		return false;
	}
	end_restore(store);
	/* Just given up for the recovery: not before there is room again. */
	if (!store->full)
		make_ballast(store);
	return true;
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
	free(store->passed.from);
	free(store->passed.key);
	free(store->dir);
	if (store->dir_fd != -1)
		close(store->dir_fd);
	/* Last: closing it gives the lock back. */
	if (store->lock_fd != -1)
		close(store->lock_fd);
	free(store);
}

struct store *
store_lock(const char *dir, const struct store_options *options, char *error,
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
	    !lock_store(store, error, error_size)) {
		free_store(store);
		return NULL;
	}
	return store;
}

struct store *
store_open(const char *dir, const struct store_options *options, char *error,
    size_t error_size)
{
	struct store *store = store_lock(dir, options, error, error_size);
	bool damaged;

	if (store != NULL && !store_recover(store, &damaged, error,
	    error_size)) {
		free_store(store);
		return NULL;
	}
	return store;
}

bool
store_begin_backup(struct store *store)
{
	DB_ENV *env = store->env;
	int error;

	if (!is_usable(store))
		return false;
	error = env->log_set_config(env, DB_LOG_AUTO_REMOVE, 0);
	if (error == 0)
		error = env->txn_checkpoint(env, 0, 0, DB_FORCE);
	if (error == 0)
		return true;
	fail(store, error, "backup");
	store->lost = false;
	store_end_backup(store);
	return false;
}

void
store_end_backup(struct store *store)
{
	store->env->log_set_config(store->env, DB_LOG_AUTO_REMOVE, 1);
}

bool
store_log_end(struct store *store, struct storefile_end *end)
{
	DB_LOG_STAT *status;

	*end = (struct storefile_end){ UINT32_MAX, UINT32_MAX };
	if (store->env->log_flush(store->env, NULL) != 0 ||
	    store->env->log_stat(store->env, &status, 0) != 0)
		return false;
	*end = (struct storefile_end){ status->st_cur_file,
	    status->st_cur_offset };
	free(status);
	return true;
}

int
store_dir_fd(const struct store *store)
{
	return store->dir_fd;
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
store_rest(struct store *store)
{
	if (store->env == NULL)
		return;
	abort_turn(store);
	close_tables(store);
	if (!store->gone)
		store->env->txn_checkpoint(store->env, 0, 0, DB_FORCE);
	store->env->close(store->env, 0);
	store->env = NULL;
	store->lost = store->gone = false;
	store->synced_file = 0;
	store->passed.table = NULL;
}

void
store_close(struct store **pointer)
{
	struct store *store = *pointer;

	*pointer = NULL;
	if (store == NULL)
		return;
	store_rest(store);
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
	if ((error = table->db->set_pagesize(table->db,
	    STORE_PAGE_OCTETS)) == 0)
		error = table->db->open(table->db, NULL, file, NULL, DB_BTREE,
		    TABLE_FLAGS, FILE_MODE);
	if (error != 0)
		table->db->close(table->db, 0);
	return error;
}

struct store_table *
store_try_table(struct store *store, const char *name, uint8_t version,
    char *why, size_t why_size)
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
		snprintf(why, why_size, "%s: table %s cannot be opened: %s",
		    store->dir, name, db_strerror(error));
		free(table);
		return NULL;
	}
	table->next = store->tables;
	store->tables = table;
	return table;
}

struct store_table *
store_table(struct store *store, const char *name, uint8_t version)
{
	char why[512];
	struct store_table *table = store_try_table(store, name, version, why,
	    sizeof(why));

	errno = 0;
	if (table == NULL)
		fatal("%s", why);
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
static enum store_found
unwrap(struct store_table *table, struct slice key, const DBT *dbt,
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
	return unwrap(table, key, &value_dbt, value);
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
	*key = dbt_growing(store->key, (uint32_t)from.len);
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
	DBT key_dbt, value_dbt = dbt_growing(store->value, 0);
	bool passing = is_passing(table, from, after);
	unsigned n = passing ? store->passed.n : 0;
	enum store_found found;
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
		fail(store, error != 0 ? error : closing, "next");
		return STORE_FAILED;
	}
	*key = slice_of_dbt(&key_dbt);
	found = unwrap(table, *key, &value_dbt, value);
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

static void
put_raw(struct store_table *table, struct slice key, struct slice raw)
{
	struct store *store = table->store;
	DBT key_dbt = dbt_of(key), value_dbt = dbt_of(raw);
	int error;

	/* A walk that passes damage counts places. */
	if (store->passed.table == table)
		store->passed.table = NULL;
	store->changed_octets += key.len + raw.len;
	error = table->db->put(table->db, store->txn, &key_dbt, &value_dbt,
	    0);
	if (error != 0)
		fail(store, error, "put");
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
	store->log_octets = (uint64_t)status->st_wc_mbytes << 20 |
	    status->st_wc_bytes;
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
	/* Asking in vain costs a look at all log files. */
	if (error == 0 && (!flushed ||
	    store->log_octets >= store->options.log_file_bytes))
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

static void
say_looked(const DB_ENV *env, const char *prefix, const char *text)
{
	(void)env;
	(void)prefix;
	log_line(LOG_LEVEL_DEBUG, "database: %s", text);
}

enum store_file
store_look_at_file(const char *path, FILE *text)
{
	int error;
	DB *db;

	if (db_create(&db, NULL, 0) != 0)
		return STORE_FILE_UNKNOWN;
	db->set_errcall(db, say_looked);
	db->set_cachesize(db, 0, LOOK_CACHE_OCTETS, 1);
	/* The handle is gone with the call, whatever it says. */
	error = db->verify(db, path, NULL, text, text != NULL ? DB_SALVAGE :
	    0);
	if (error == 0)
		return STORE_FILE_SOUND;
	return may_be_damage(error) ? STORE_FILE_DAMAGED :
	    STORE_FILE_UNKNOWN;
}
