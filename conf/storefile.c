/*
 * What does the file of a table hold, whatever state it is in?
 *
 * Called by store.c to judge a failure, and by an owner that salvages what it
 * can (queue/salvage.c).  The database's own salvage (store.c is its door)
 * writes its finds as text, a line for each key and each value; the lines are
 * taken as they come, so that nothing is as large as the table.
 *
 * It does not know what keys and values mean, and changes no file.
 */
#include "conf/storefile.h"

#include "conf/store.h"

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
/* A longer line is no entry of ours: twice the longest value, in hex. */
#define LINE_MAX_OCTETS	(1u << 20)

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
	    (store_look_at_file(path, NULL) == STORE_FILE_DAMAGED ||
	    (end != NULL && has_page_ahead(path, end)));
}

/* ---- salvage ---- */

struct salvage {
	storefile_entry	*entry;
	void		*context;
	bool		 has_key;
	bool		 skip;		/* the rest of too long a line */
	char		*key, *line;
	size_t		 key_len, len, size;
};

static int
digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* " 0a1b..." becomes octets, in place; false: it is no such line. */
static bool
decode_line(char *line, size_t len, size_t *octets)
{
	if (len < 1 || line[0] != ' ' || len % 2 != 1)
		return false;
	for (size_t i = 1; i < len; i += 2) {
		int high = digit_of(line[i]), low = digit_of(line[i + 1]);

		if (high == -1 || low == -1)
			return false;
		line[i / 2] = (char)(high << 4 | low);
	}
	*octets = len / 2;
	return true;
}

/* A key and then its value. */
static void
take_data(struct salvage *salvage, size_t octets)
{
	if (salvage->has_key) {
		salvage->has_key = false;
		salvage->entry(salvage->context,
		    (struct slice){ salvage->key, salvage->key_len },
		    (struct slice){ salvage->line, octets });
		return;
	}
	salvage->key = mem_grow(salvage->key, octets + 1);
	memcpy(salvage->key, salvage->line, octets);
	salvage->key_len = octets;
	salvage->has_key = true;
}

/*
 * Keys and values begin with a blank; a header, which a damaged file may have
 * or not, does not, and stands between pairs.
 */
static void
take_line(struct salvage *salvage)
{
	size_t octets;

	if (salvage->len == 0 || salvage->line[0] != ' ')
		salvage->has_key = false;
	else if (!salvage->skip && decode_line(salvage->line, salvage->len,
	    &octets))
		take_data(salvage, octets);
	else
		salvage->has_key = !salvage->has_key;
	salvage->skip = false;
}

static void
add_octet(struct salvage *salvage, char c)
{
	if (salvage->len == salvage->size) {
		salvage->size = salvage->size * 2 + 4096;
		salvage->line = mem_grow(salvage->line, salvage->size);
	}
	salvage->line[salvage->len++] = c;
}

/* What the library writes, for fopencookie. */
static ssize_t
take_text(void *context, const char *text, size_t len)
{
	struct salvage *salvage = context;

	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\n') {
			take_line(salvage);
			salvage->len = 0;
		} else if (salvage->len < LINE_MAX_OCTETS) {
			add_octet(salvage, text[i]);
		} else {
			salvage->skip = true;
		}
	}
	return (ssize_t)len;
}

bool
storefile_salvage(const char *path, storefile_entry *entry, void *context)
{
	static const cookie_io_functions_t calls = { .write = take_text };
	struct salvage salvage = { .entry = entry, .context = context };
	FILE *text = fopencookie(&salvage, "w", calls);
	enum store_file found;

	if (text == NULL)
		return false;
	found = store_look_at_file(path, text);
	fclose(text);
	free(salvage.key);
	free(salvage.line);
	/* Damaged is what was expected. */
	return found != STORE_FILE_UNKNOWN;
}
