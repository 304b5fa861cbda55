/*
 * How does a cache that cannot be read get out of the way?
 *
 * Called by cache.c when opening failed.  The database ends the program when
 * a table cannot be opened, so an open leaves a count behind that only its
 * good end removes.  Nothing is deleted: an operator may look at it, and the
 * folder's name says for as long as mail is kept that something was lost.
 */
#include "policy/aside.h"

#include "conf/log.h"
#include "conf/mem.h"

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
#define ASIDE		"damaged-"	/* and the time */
/* With less an empty cache could not be made either. */
#define ROOM_OCTETS	(8 << 20)
#define PATH_SIZE	4096

static char *
path_in(const char *dir, const char *name, char path[PATH_SIZE])
{
	if (snprintf(path, PATH_SIZE, "%s/%s", dir, name) >= PATH_SIZE)
		fatal("path %s/%s is too long", dir, name);
	return path;
}

unsigned
aside_opens(const char *dir)
{
	char path[PATH_SIZE], text[16] = "";
	ssize_t len;
	int fd;

	fd = open(path_in(dir, COUNT_FILE, path),
	    O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd == -1)
		return 0;
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	return len > 0 ? (unsigned)strtoul(text, NULL, 10) : 0;
}

void
aside_opening(const char *dir)
{
	char path[PATH_SIZE];
	unsigned opens = aside_opens(dir) + 1;
	int fd;

	fd = open(path_in(dir, COUNT_FILE, path),
	    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd == -1)
		return;
	dprintf(fd, "%u\n", opens);
	close(fd);
}

void
aside_opened(const char *dir)
{
	char path[PATH_SIZE];

	unlink(path_in(dir, COUNT_FILE, path));
}

/* Does another process own the cache?  Our own lock does not show. */
static bool
is_locked(const char *dir)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[PATH_SIZE];
	bool locked;
	int fd;

	fd = open(path_in(dir, "lock", path),
	    O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd == -1)
		return false;
	locked = fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
	close(fd);
	return locked;
}

/* Could a cache be written here at all?  0, or why not. */
static int
no_room(const char *dir)
{
	char path[PATH_SIZE];
	int fd, error;

	fd = open(path_in(dir, ROOM_FILE, path),
	    O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd == -1)
		return errno;
	error = posix_fallocate(fd, 0, ROOM_OCTETS);
	close(fd);
	unlink(path);
	return error;
}

static bool
is_to_move(const char *name)
{
	return strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
	    strcmp(name, "lock") != 0 &&
	    strncmp(name, ASIDE, strlen(ASIDE)) != 0;
}

static int
move_all(const char *dir, const char *to)
{
	char old[PATH_SIZE], new[PATH_SIZE];
	struct dirent *entry;
	int error = 0;
	DIR *all;

	all = opendir(dir);
	if (all == NULL)
		return errno;
	while (error == 0 && (entry = readdir(all)) != NULL)
		if (is_to_move(entry->d_name) &&
		    rename(path_in(dir, entry->d_name, old),
		    path_in(to, entry->d_name, new)) == -1)
			error = errno;
	closedir(all);
	return error;
}

bool
aside_move(const char *dir, const char *why, char *error, size_t error_size)
{
	char name[64], to[PATH_SIZE], reason[256];
	int code;

	snprintf(reason, sizeof(reason), "%s", why);	/* may be error */
	code = is_locked(dir) ? EBUSY : no_room(dir);
	snprintf(name, sizeof(name), ASIDE "%lld", (long long)time(NULL));
	if (code == 0 && mkdir(path_in(dir, name, to), 0700) == -1)
		code = errno;
	if (code == 0)
		code = move_all(dir, to);
	if (code != 0) {
		snprintf(error, error_size, "%s (and not moved aside: %s)",
		    reason, strerror(code));
		return false;
	}
	log_alarm("policy-cache", "the policy cache cannot be read (%s); it is "
	    "kept in %s and an empty one begins", reason, name);
	return true;
}

int64_t
aside_last_s(const char *dir)
{
	struct dirent *entry;
	int64_t last_s = 0;
	uint64_t when_s;
	DIR *all;

	all = opendir(dir);
	if (all == NULL)
		return 0;
	while ((entry = readdir(all)) != NULL)
		if (strncmp(entry->d_name, ASIDE, strlen(ASIDE)) == 0 &&
		    slice_number(slice_of(entry->d_name + strlen(ASIDE)),
		    INT64_MAX, &when_s) && (int64_t)when_s > last_s)
			last_s = (int64_t)when_s;
	closedir(all);
	return last_s;
}
