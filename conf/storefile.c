/*
 * What does the file of a table hold, whatever state it is in?
 *
 * Called by storeenv.c to judge a failure, and by an owner that salvages what
 * it can (queue/salvage.c).  The library verifies; what is salvaged is read
 * here, page by page, so that nothing is as large as the table.
 *
 * It does not know what keys and values mean, and changes no file.
 */
#include "conf/storefile.h"

#include "conf/log.h"
#include "conf/storeenv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROOM_OCTETS	(8 << 20)
#define ROOM_FILE	"room"
/* Of a log file: where magic number and version stand. */
#define LOG_HEAD_AT	12
#define LOG_MAGIC	0x040988u
#define LOG_VERSION	19u	/* of Berkeley DB 5.3 */
#define LOOK_CACHE_OCTETS	(32u << 20)

/* ---- is the world to blame? ---- */

/* By every call that the database writes with. */
static bool
write_some(int fd)
{
	static const char octets[4096] = { 1 };

	return posix_fallocate(fd, 0, ROOM_OCTETS) == 0 &&
	    write(fd, octets, sizeof(octets)) == sizeof(octets) &&
	    pwrite(fd, octets, sizeof(octets), ROOM_OCTETS) ==
	    sizeof(octets) && fdatasync(fd) == 0 && fsync(fd) == 0;
}

static bool
can_be_written(int dir_fd)
{
	int fd = openat(dir_fd, ROOM_FILE,
	    O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool good;

	if (fd == -1)
		return false;
	good = write_some(fd);
	close(fd);
	unlinkat(dir_fd, ROOM_FILE, 0);
	return good;
}

static bool
can_be_read(int fd)
{
	static char octets[65536];
	ssize_t n;

	while ((n = read(fd, octets, sizeof(octets))) != 0)
		if (n == -1 && errno != EINTR)
			return false;
	return true;
}

/*
 * Is it a log file of another release of the library?  That one does not open
 * here, and is none the worse for it.
 */
static bool
is_foreign_log(int fd, const char *name)
{
	uint32_t head[2];

	return strncmp(name, "log.", 4) == 0 &&
	    pread(fd, head, sizeof(head), LOG_HEAD_AT) == sizeof(head) &&
	    head[0] == LOG_MAGIC && head[1] != LOG_VERSION;
}

/* The lock is left alone: to close any descriptor of it would give it back. */
static bool
is_reachable(int dir_fd, const char *name)
{
	struct stat status;
	bool good;
	int fd;

	if (strcmp(name, "lock") == 0 || fstatat(dir_fd, name, &status,
	    AT_SYMLINK_NOFOLLOW) == -1 || !S_ISREG(status.st_mode))
		return true;
	fd = openat(dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd == -1)
		return false;
	good = can_be_read(fd) && !is_foreign_log(fd, name);
	close(fd);
	return good;
}

bool
storefile_is_reachable(int dir_fd)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;
	bool good = true;
	DIR *all;

	all = fd == -1 ? NULL : fdopendir(fd);
	if (all == NULL)
		return false;
	while (good && (entry = readdir(all)) != NULL)
		good = is_reachable(dir_fd, entry->d_name);
	closedir(all);
	return good && can_be_written(dir_fd);
}

void
storefile_remove_folder(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name,
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *all = fd == -1 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (all == NULL)
		return;
	while ((entry = readdir(all)) != NULL)
		unlinkat(fd, entry->d_name, 0);
	closedir(all);
	unlinkat(dir_fd, name, AT_REMOVEDIR);
}

/* ---- the structure ---- */

enum store_file {
	STORE_FILE_SOUND,
	STORE_FILE_DAMAGED,
	STORE_FILE_UNKNOWN	/* it cannot be judged: memory, rights */
};

static void
say_looked(const DB_ENV *env, const char *prefix, const char *text)
{
	(void)env;
	(void)prefix;
	log_line(LOG_LEVEL_DEBUG, "database: %s", text);
}

/*
 * The look keeps a database of its own of what it saw: of a large file that
 * does not fit into memory, and needs a file beside it.
 */
static DB_ENV *
open_look(const char *path)
{
	const char *slash = strrchr(path, '/');
	struct buffer home = { NULL, 0, 0 };
	DB_ENV *env;
	int error = db_env_create(&env, 0);

	if (error != 0)
		return NULL;
	/* See open_env_in. */
	buffer_printf(&home, "%.*s/.", slash != NULL ?
	    (int)(slash - path) : 1, slash != NULL ? path : ".");
	env->set_errcall(env, say_looked);
	if ((error = env->set_cachesize(env, 0, LOOK_CACHE_OCTETS, 1)) != 0 ||
	    (error = env->set_tmp_dir(env, ".")) != 0 ||
	    (error = env->open(env, home.text, DB_CREATE | DB_INIT_MPOOL |
	    DB_PRIVATE, FILE_MODE)) != 0) {
		env->close(env, 0);
		env = NULL;
	}
	buffer_free(&home);
	return env;
}

/*
 * The library's own look at a table's file that nobody has open: at its
 * structure, order of keys included.  The file is not changed.
 */
static enum store_file
look_at_file(const char *path)
{
	const char *slash = strrchr(path, '/');
	DB_ENV *env = open_look(path);
	int error;
	DB *db;

	if (env == NULL)
		return STORE_FILE_UNKNOWN;
	error = db_create(&db, env, 0);
	/* The handle is gone with the call, whatever it says. */
	if (error == 0)
		error = db->verify(db, slash != NULL ? slash + 1 : path,
		    NULL, NULL, 0);
	env->close(env, 0);
	if (error == 0)
		return STORE_FILE_SOUND;
	/* It is there: one beside it could not be made. */
	if (error == ENOENT)
		return STORE_FILE_UNKNOWN;
	return storeenv_may_be_damage(error) ? STORE_FILE_DAMAGED :
	    STORE_FILE_UNKNOWN;
}

/* Does the page that begins so say that it changed after the log's end? */
static bool
is_ahead(const uint8_t *page, const struct storefile_end *end)
{
	uint32_t lsn[2];

	memcpy(lsn, page, sizeof(lsn));
	return lsn[0] > end->file || (lsn[0] == end->file &&
	    lsn[1] > end->offset);
}

/*
 * Does any page?  The library does not look at that when it verifies, and
 * ends when it writes one.
 */
static bool
has_page_ahead(const char *path, const struct storefile_end *end)
{
	static uint8_t pages[16 * STORE_PAGE_OCTETS];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	bool ahead = false;
	ssize_t n;

	if (fd == -1)
		return false;
	while (!ahead && (n = read(fd, pages, sizeof(pages))) > 0)
		for (ssize_t at = 0; at + STORE_PAGE_OCTETS <= n;
		    at += STORE_PAGE_OCTETS)
			ahead |= is_ahead(pages + at, end);
	close(fd);
	return ahead;
}

bool
storefile_is_damaged(const char *path, const struct storefile_end *end)
{
	return access(path, F_OK) == 0 &&
	    (look_at_file(path) == STORE_FILE_DAMAGED ||
	    (end != NULL && has_page_ahead(path, end)));
}

/* ---- salvage ---- */

/*
 * A page of Berkeley DB 5.3, in the machine's order, without checksums (no
 * DB_CHKSUM): where its parts stand.
 */
#define PAGE_NEXT_AT	16
#define PAGE_ENTRIES_AT	20
#define PAGE_LEN_AT	22	/* overflow: octets in this page */
#define PAGE_TYPE_AT	25
#define PAGE_HEAD	26	/* then places of items, or octets */
#define PAGE_LEAF	5
#define PAGE_OVERFLOW	7
#define ITEM_TYPE_AT	2
#define ITEM_PLAIN	1	/* length, type, octets */
#define ITEM_OVERFLOW	3	/* its first page and its length */
#define ITEM_PLAIN_HEAD	3
#define ITEM_PAGE_AT	4
#define ITEM_LEN_AT	8
#define ITEM_OVERFLOW_HEAD 12
/* A longer value is none of ours. */
#define VALUE_MAX	(1u << 20)

struct salvage {
	int	 fd;
	uint8_t	 page[STORE_PAGE_OCTETS], more[STORE_PAGE_OCTETS];
	char	*key, *value;		/* of overflow items */
};

static unsigned
u16_at(const uint8_t *octets, size_t at)
{
	uint16_t number;

	memcpy(&number, octets + at, sizeof(number));
	return number;
}

static uint32_t
u32_at(const uint8_t *octets, size_t at)
{
	uint32_t number;

	memcpy(&number, octets + at, sizeof(number));
	return number;
}

static bool
read_page(const struct salvage *salvage, uint64_t number, uint8_t *page)
{
	return pread(salvage->fd, page, STORE_PAGE_OCTETS, (off_t)(number *
	    STORE_PAGE_OCTETS)) == STORE_PAGE_OCTETS;
}

/* Follow a chain of overflow pages; false: it does not hold so much. */
static bool
read_chain(struct salvage *salvage, uint32_t page, uint32_t len,
    char **memory, struct slice *found)
{
	uint32_t have = 0, n;

	if (len > VALUE_MAX)
		return false;
	*memory = mem_grow(*memory, len + 1);
	while (have < len) {
		if (page == 0 || !read_page(salvage, page, salvage->more) ||
		    salvage->more[PAGE_TYPE_AT] != PAGE_OVERFLOW)
			return false;
		n = u16_at(salvage->more, PAGE_LEN_AT);
		/* None would go round in circles. */
		if (n == 0 || n > STORE_PAGE_OCTETS - PAGE_HEAD ||
		    n > len - have)
			return false;
		memcpy(*memory + have, salvage->more + PAGE_HEAD, n);
		have += n;
		page = u32_at(salvage->more, PAGE_NEXT_AT);
	}
	*found = (struct slice){ *memory, len };
	return true;
}

/* Item n of the leaf; false: there is none that can be had. */
static bool
read_item(struct salvage *salvage, unsigned n, char **memory,
    struct slice *found)
{
	const uint8_t *page = salvage->page;
	size_t at = u16_at(page, PAGE_HEAD + 2 * n), len;

	if (at < PAGE_HEAD || at + ITEM_PLAIN_HEAD > STORE_PAGE_OCTETS)
		return false;
	len = u16_at(page, at);
	/* A bit above the type says that it was deleted. */
	switch (page[at + ITEM_TYPE_AT]) {
	case ITEM_PLAIN:
		if (len > STORE_PAGE_OCTETS - at - ITEM_PLAIN_HEAD)
			return false;
		*found = (struct slice){ (const char *)page + at +
		    ITEM_PLAIN_HEAD, len };
		return true;
	case ITEM_OVERFLOW:
		return at + ITEM_OVERFLOW_HEAD <= STORE_PAGE_OCTETS &&
		    read_chain(salvage, u32_at(page, at + ITEM_PAGE_AT),
		    u32_at(page, at + ITEM_LEN_AT), memory, found);
	default:
		return false;
	}
}

/* Keys and values take turns. */
static void
take_leaf(struct salvage *salvage, storefile_entry *entry, void *context)
{
	unsigned n = u16_at(salvage->page, PAGE_ENTRIES_AT);
	struct slice key, value;

	if (n > (STORE_PAGE_OCTETS - PAGE_HEAD) / 2)
		n = (STORE_PAGE_OCTETS - PAGE_HEAD) / 2;
	for (unsigned i = 0; i + 1 < n; i += 2)
		if (read_item(salvage, i, &salvage->key, &key) &&
		    read_item(salvage, i + 1, &salvage->value, &value))
			entry(context, key, value);
}

/*
 * Every leaf, as it lies: nothing that leads to it is needed.  The library's
 * own salvage keeps what it saw in a database that has no room where we are
 * confined.
 */
bool
storefile_salvage(const char *path, storefile_entry *entry, void *context)
{
	struct salvage *salvage = mem_alloc(sizeof(*salvage));
	struct stat status;
	bool good;

	salvage->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	good = salvage->fd != -1 && fstat(salvage->fd, &status) == 0;
	for (uint64_t n = 0; good && n < (uint64_t)status.st_size /
	    STORE_PAGE_OCTETS; n++)
		if (read_page(salvage, n, salvage->page) &&
		    salvage->page[PAGE_TYPE_AT] == PAGE_LEAF)
			take_leaf(salvage, entry, context);
	if (salvage->fd != -1)
		close(salvage->fd);
	free(salvage->key);
	free(salvage->value);
	free(salvage);
	return good;
}
