/*
 * Whose is the store, does it open, and what does a failure mean?
 *
 * Called by store.c and by owners (store.h).  One private environment in one
 * directory, for one process at a time.  States of a store: locked (no
 * environment yet, or it is at rest); open; gone (the environment panicked,
 * an abort or a flush failed: only recovery, that is another process, knows
 * what is on disk).
 *
 * It never reads outside its directory once it is open.
 */
#include "conf/storeenv.h"

#include "conf/log.h"
#include "conf/storefile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ENV_FLAGS	(DB_CREATE | DB_INIT_TXN | DB_INIT_LOG | \
			DB_INIT_MPOOL | DB_PRIVATE | DB_RECOVER)
#define TABLE_FLAGS	(DB_CREATE | DB_AUTO_COMMIT)
#define LOG_BUFFER_MAX	(1u << 20)
#define LOCK_WAIT_MS	5000
#define LOCK_RETRY_MS	50
#define PROBE		"probe"

/* ---- the lock ---- */

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
	int64_t deadline_ms = wire_now_ms() + LOCK_WAIT_MS;

	while (fcntl(fd, F_SETLK, &lock) == -1) {
		if (errno != EAGAIN && errno != EACCES && errno != EINTR)
			return false;
		if (wire_now_ms() >= deadline_ms)
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

/* ---- failures ---- */

bool
storeenv_is_usable(const struct store *store)
{
	return !store->lost && !store->gone;
}

bool
storeenv_is_full(int error)
{
	return error == ENOSPC || error == EDQUOT;
}

/*
 * May this error come from a damaged file?  Not those that a healthy store has
 * in a bad world: no room, no memory, no right, a device that fails.
 */
bool
storeenv_may_be_damage(int error)
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
void
storeenv_fail(struct store *store, int error, const char *what)
{
	log_line(LOG_LEVEL_ERROR, "%s: %s: %s", store->dir, what,
	    db_strerror(error));
	store->lost = true;
	if (error == DB_RUNRECOVERY)
		store->gone = true;
	if (storeenv_is_full(error)) {
		storeroom_drop_ballast(store);
	} else if (storeenv_may_be_damage(error)) {
		store->gone = true;
		store_suspect(store);
	}
}

/* ---- open ---- */

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

static bool
is_before(const struct storefile_end *a, const struct storefile_end *b)
{
	return a->file < b->file || (a->file == b->file &&
	    a->offset < b->offset);
}

/* Where the library would say that the log ends; without recovery. */
static bool
find_log_end(struct store *store, struct storefile_end *end)
{
	struct buffer home = { NULL, 0, 0 };
	DB_ENV *env;
	DB_LOG_STAT *status = NULL;
	int error = db_env_create(&env, 0);

	if (error != 0)
		return false;
	env->app_private = store;
	env->set_errcall(env, on_db_error);
	env->set_lg_max(env, store->options.log_file_bytes);
	/* Named, or it would look for one under /. */
	env->set_tmp_dir(env, ".");
	buffer_printf(&home, "%s/.", store->dir);
	error = env->open(env, home.text, DB_CREATE | DB_INIT_LOG |
	    DB_PRIVATE, FILE_MODE);
	buffer_free(&home);
	if (error == 0)
		error = env->log_stat(env, &status, 0);
	if (error == 0)
		*end = (struct storefile_end){ status->st_cur_file,
		    status->st_cur_offset };
	free(status);
	env->close(env, 0);
	return error == 0;
}

bool
store_log_is_cut(struct store *store, struct storefile_end *end,
    struct storefile_end *was)
{
	return store->options.mark_log && storemark_read(store->dir_fd,
	    was) && find_log_end(store, end) && is_before(end, was);
}

/* From now on; what was noted before is of another life. */
static void
begin_mark(struct store *store)
{
	struct storefile_end end;

	if (!store->options.mark_log)
		return;
	store->mark = storemark_open(store->dir_fd);
	if (store_log_end(store, &end))
		storemark_set(store->mark, &end);
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
	if ((storeenv_is_full(code) || code == DB_RUNRECOVERY) &&
	    storeroom_has_ballast(store)) {
		storeroom_drop_ballast(store);
		code = open_env(store);
	}
	*damaged = code != 0 && storeenv_may_be_damage(code) &&
	    storefile_is_reachable(store->dir_fd) && probe_opens(store);
	/* The world is well now: was it, a moment ago? */
	if (*damaged) {
		code = open_env(store);
		*damaged = code != 0 && storeenv_may_be_damage(code) &&
		    storefile_is_reachable(store->dir_fd);
	}
	if (code != 0) {
		snprintf(error, error_size, "%s cannot be opened: %s",
		    store->dir, db_strerror(code));
		return false;
	}
	end_restore(store);
	begin_mark(store);
	/* Just given up for the recovery: not before there is room again. */
	if (!store->full)
		storeroom_make_ballast(store);
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

	if (!storeenv_is_usable(store))
		return false;
	error = env->log_set_config(env, DB_LOG_AUTO_REMOVE, 0);
	if (error == 0)
		error = env->txn_checkpoint(env, 0, 0, DB_FORCE);
	if (error == 0)
		return true;
	storeenv_fail(store, error, "backup");
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

/* ---- close ---- */

void
storeenv_abort(struct store *store)
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
	storeenv_abort(store);
	close_tables(store);
	if (!store->gone)
		store->env->txn_checkpoint(store->env, 0, 0, DB_FORCE);
	storemark_close(&store->mark);
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

/* ---- tables ---- */

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
	if (storeenv_is_full(error)) {
		storeroom_drop_ballast(store);
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
