/*
 * How does a book that cannot be read get out of the way?
 *
 * Called by main.c at the start.  Opening ends the program when a table is
 * broken, so a count is left behind that only a good end removes: what did
 * not open three times is not tried for ever.  After a store that failed while
 * it ran, all of the book is read before it is used again: a bad page would
 * else end the program for ever anew.  Nothing is deleted; the counts and
 * reports of some days are lost to the domains, and the alarm says so.
 */
#include "reports/tables.h"

#include "conf/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define COUNT_FILE	"opening"
#define ROOM_FILE	"room"
#define SUSPECT_FILE	"suspect"
#define ASIDE		"damaged-"	/* and the time */
#define OPENS_MAX	3
/* With less an empty book could not be made either. */
#define ROOM_OCTETS	(8 << 20)

/* How often did an open begin and not end well? */
static unsigned
opens_of(int dir)
{
	char text[16] = "";
	ssize_t len;
	int fd;

	fd = openat(dir, COUNT_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd == -1)
		return 0;
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	return len > 0 ? (unsigned)strtoul(text, NULL, 10) : 0;
}

static void
note_open(int dir, unsigned opens)
{
	int fd;

	fd = openat(dir, COUNT_FILE,
	    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd == -1)
		return;
	dprintf(fd, "%u\n", opens);
	close(fd);
}

/* Does another process own the book?  (The store waited for it.) */
static bool
is_locked(int dir)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	bool locked;
	int fd;

	fd = openat(dir, "lock", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd == -1)
		return false;
	locked = fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
	close(fd);
	return locked;
}

/* Could a book be written here at all?  0, or why not. */
static int
no_room(int dir)
{
	int fd, error;

	fd = openat(dir, ROOM_FILE,
	    O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd == -1)
		return errno;
	error = posix_fallocate(fd, 0, ROOM_OCTETS);
	close(fd);
	unlinkat(dir, ROOM_FILE, 0);
	return error;
}

bool
mend_has_room(const char *path)
{
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool room = dir != -1 && no_room(dir) == 0;

	if (dir != -1)
		close(dir);
	return room;
}

void
mend_suspect(const char *path)
{
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd;

	if (dir == -1)
		return;
	fd = openat(dir, SUSPECT_FILE,
	    O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd != -1)
		close(fd);
	close(dir);
}

static bool
is_to_move(const char *name)
{
	return strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
	    strcmp(name, "lock") != 0 &&
	    strncmp(name, ASIDE, strlen(ASIDE)) != 0;
}

/* 0, or why not. */
static int
move_all(int dir, const char *path, const char *name)
{
	struct dirent *entry;
	int to, error = 0;
	DIR *all;

	if (mkdirat(dir, name, 0700) == -1 || (to = openat(dir, name,
	    O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		return errno;
	all = opendir(path);
	if (all == NULL)
		error = errno;
	while (error == 0 && (entry = readdir(all)) != NULL)
		if (is_to_move(entry->d_name) &&
		    renameat(dir, entry->d_name, to, entry->d_name) == -1)
			error = errno;
	if (all != NULL)
		closedir(all);
	close(to);
	return error;
}

/* What is no damage, or cannot be mended, ends the program. */
static struct book *
begin_anew(int dir, const char *path, const char *why)
{
	char error[512], name[64];
	struct book *book;
	int code = is_locked(dir) ? EBUSY : no_room(dir);

	snprintf(name, sizeof(name), ASIDE "%lld", (long long)time(NULL));
	if (code == 0)
		code = move_all(dir, path, name);
	if (code != 0) {
		errno = 0;
		fatal("%s (and not moved aside: %s)", why, strerror(code));
	}
	/* The alarm is main.c's, once the parent listens. */
	log_line(LOG_LEVEL_ERROR, "what was counted for TLS reports cannot be "
	    "read (%s); it is kept in %s and counting begins anew", why, name);
	book = book_open(path, error, sizeof(error));
	errno = 0;
	if (book == NULL)
		fatal("%s", error);
	return book;
}

int64_t
book_moved_s(const char *path)
{
	int64_t last_s = 0, moved_s;
	struct dirent *entry;
	DIR *all = opendir(path);

	while (all != NULL && (entry = readdir(all)) != NULL) {
		if (strncmp(entry->d_name, ASIDE, strlen(ASIDE)) != 0)
			continue;
		moved_s = strtoll(entry->d_name + strlen(ASIDE), NULL, 10);
		if (moved_s > last_s)
			last_s = moved_s;
	}
	if (all != NULL)
		closedir(all);
	return last_s;
}

struct book *
book_open_or_begin(const char *path)
{
	char error[512] = "it could not be opened three times";
	struct book *book = NULL;
	unsigned opens;
	int dir;

	if ((mkdir(path, 0700) == -1 && errno != EEXIST) || (dir = open(path,
	    O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		fatal("%s", path);
	opens = opens_of(dir);
	if (opens < OPENS_MAX) {
		note_open(dir, opens + 1);
		book = book_open(path, error, sizeof(error));
	}
	if (book != NULL && faccessat(dir, SUSPECT_FILE, F_OK, 0) == 0 &&
	    !book_can_be_walked(book)) {
		snprintf(error, sizeof(error), "not all of it can be read");
		book_drop(&book);
	}
	if (book == NULL)
		book = begin_anew(dir, path, error);
	unlinkat(dir, COUNT_FILE, 0);
	unlinkat(dir, SUSPECT_FILE, 0);
	close(dir);
	return book;
}
