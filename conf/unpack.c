/*
 * Where do the files go that a program says?
 *
 * Called by culverctl, which may be root, for a program that may be in the
 * hands of a stranger: it chooses octets, and names within the folder, and
 * nothing else.  States: a line is awaited; octets of a piece are; all was
 * said.
 *
 * It does not know what the files are.
 */
#include "conf/unpack.h"

#include "conf/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_OCTETS	128
#define FOLDER		"bodies"
/* A device that is slow to flush must not keep the other side waiting. */
#define FLUSH_OCTETS	(16u << 20)

struct unpack {
	char		*dir;
	int		 dir_fd;
	bool		 made;		/* the folder is ours */
	char		 line[LINE_OCTETS];
	size_t		 line_len;
	char		 name[LINE_OCTETS];
	int		 file;		/* -1: none was begun */
	uint64_t	 left;		/* of the piece; 0: a line */
	uint64_t	 unflushed;
	uint64_t	 files, octets;
	bool		 over;
};

static bool
is_empty(int dir_fd)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *all = fd == -1 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	bool empty = all != NULL;

	if (all == NULL)
		return false;
	while (empty && (entry = readdir(all)) != NULL)
		empty = strcmp(entry->d_name, ".") == 0 ||
		    strcmp(entry->d_name, "..") == 0;
	closedir(all);
	return empty;
}

static bool
refuse(const struct unpack *unpack, char *error, size_t size,
    const char *what)
{
	snprintf(error, size, "%s%s%s: %s", unpack->dir,
	    unpack->name[0] != '\0' ? "/" : "", unpack->name, what);
	return false;
}

static bool
refuse_full(const struct unpack *unpack, char *error, size_t size)
{
	errno = ENOTEMPTY;
	return refuse(unpack, error, size, "it is not empty; wanted is a "
	    "folder that is empty or does not exist");
}

static bool
open_folder(struct unpack *unpack, char *error, size_t size)
{
	errno = 0;
	unpack->made = mkdir(unpack->dir, 0700) == 0;
	if (!unpack->made && errno != EEXIST)
		return refuse(unpack, error, size, strerror(errno));
	unpack->dir_fd = open(unpack->dir, O_RDONLY | O_DIRECTORY |
	    O_CLOEXEC);
	if (unpack->dir_fd == -1)
		return refuse(unpack, error, size, errno == ENOTDIR ?
		    "it is a file; wanted is a folder that is empty or does "
		    "not exist" : strerror(errno));
	if (!is_empty(unpack->dir_fd))
		return refuse_full(unpack, error, size);
	return true;
}

static int
make_file(const struct unpack *unpack, const char *name)
{
	return openat(unpack->dir_fd, name, O_WRONLY | O_CREAT | O_EXCL |
	    O_NOFOLLOW | O_CLOEXEC, 0600);
}

/* errno stays. */
static void
unpack_free(struct unpack *unpack)
{
	int error = errno;

	if (unpack->file != -1)
		close(unpack->file);
	if (unpack->dir_fd != -1)
		close(unpack->dir_fd);
	free(unpack->dir);
	free(unpack);
	errno = error;
}

struct unpack *
unpack_new(const char *dir, char *error, size_t error_size)
{
	struct unpack *unpack = mem_alloc(sizeof(*unpack));
	int fd, reason;

	unpack->dir = mem_copy(dir);
	unpack->dir_fd = unpack->file = -1;
	if (!open_folder(unpack, error, error_size)) {
		unpack_free(unpack);
		return NULL;
	}
	fd = make_file(unpack, UNPACK_INCOMPLETE);
	if (fd != -1) {
		close(fd);
		return unpack;
	}
	reason = errno;
	refuse(unpack, error, error_size, strerror(reason));
	if (unpack->made)
		rmdir(unpack->dir);
	errno = reason;
	unpack_free(unpack);
	return NULL;
}

/* ---- a line ---- */

static bool
is_plain(struct slice name)
{
	for (size_t i = 0; i < name.len; i++)
		if (!((name.at[i] >= 'a' && name.at[i] <= 'z') ||
		    (name.at[i] >= '0' && name.at[i] <= '9') ||
		    (name.at[i] == '.' && i > 0) || name.at[i] == '_' ||
		    name.at[i] == '-'))
			return false;
	return name.len > 0;
}

/* "x", or "bodies/x". */
static bool
is_name(struct slice name)
{
	struct slice folder = SLICE(FOLDER "/");

	if (name.len > folder.len && slice_equal((struct slice){ name.at,
	    folder.len }, folder))
		name = (struct slice){ name.at + folder.len,
		    name.len - folder.len };
	return is_plain(name);
}

/* What there is of it is safe then. */
static bool
close_file(struct unpack *unpack)
{
	int fd = unpack->file;
	bool good = fd == -1 || fsync(fd) == 0;

	unpack->file = -1;
	return (fd == -1 || close(fd) == 0) && good;
}

static bool
begin_file(struct unpack *unpack, struct slice name)
{
	if (!close_file(unpack) ||
	    !slice_store(name, unpack->name, sizeof(unpack->name)) ||
	    (strchr(unpack->name, '/') != NULL && mkdirat(unpack->dir_fd,
	    FOLDER, 0700) == -1 && errno != EEXIST))
		return false;
	unpack->file = make_file(unpack, unpack->name);
	unpack->files += unpack->file != -1;
	unpack->unflushed = 0;
	return unpack->file != -1;
}

static bool
take_end(struct unpack *unpack)
{
	unpack->over = true;
	return close_file(unpack);
}

static bool
take_piece(struct unpack *unpack, struct slice name)
{
	return (unpack->file != -1 && slice_equal(name,
	    slice_of(unpack->name))) || begin_file(unpack, name);
}

static bool
take_line(struct unpack *unpack, char *error, size_t error_size)
{
	struct slice rest = { unpack->line, unpack->line_len }, name;
	bool good;

	unpack->line_len = 0;
	if (slice_equal(rest, SLICE("end"))) {
		good = take_end(unpack);
	} else {
		name = slice_cut(&rest, ' ');
		if (!is_name(name) || !slice_number(rest, INT64_MAX,
		    &unpack->left))
			return refuse(unpack, error, error_size,
			    "what came is not understood");
		good = take_piece(unpack, name);
	}
	return good || refuse(unpack, error, error_size, strerror(errno));
}

/* ---- octets ---- */

static bool
write_all(int fd, const char *octets, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, octets, len);

		if (n == -1 && errno != EINTR)
			return false;
		if (n > 0) {
			octets += n;
			len -= (size_t)n;
		}
	}
	return true;
}

static bool
take_octets(struct unpack *unpack, const char *octets, size_t len)
{
	if (!write_all(unpack->file, octets, len))
		return false;
	unpack->octets += len;
	unpack->left -= len;
	unpack->unflushed += len;
	if (unpack->unflushed < FLUSH_OCTETS)
		return true;
	unpack->unflushed = 0;
	return fdatasync(unpack->file) == 0;
}

/* One octet of a line; false: it is no line of ours. */
static bool
take_letter(struct unpack *unpack, char c, char *error, size_t error_size)
{
	if (unpack->over || unpack->line_len == sizeof(unpack->line))
		return refuse(unpack, error, error_size,
		    "what came is not understood");
	if (c == '\n')
		return take_line(unpack, error, error_size);
	unpack->line[unpack->line_len++] = c;
	return true;
}

bool
unpack_add(struct unpack *unpack, const void *octets, size_t len,
    char *error, size_t error_size)
{
	const char *at = octets;

	while (len > 0) {
		size_t n = 1;

		if (unpack->left == 0) {
			if (!take_letter(unpack, *at, error, error_size))
				return false;
		} else {
			n = len < unpack->left ? len : (size_t)unpack->left;
			if (!take_octets(unpack, at, n))
				return refuse(unpack, error, error_size,
				    strerror(errno));
		}
		at += n;
		len -= n;
	}
	return true;
}

void
unpack_count(const struct unpack *unpack, uint64_t *files, uint64_t *octets)
{
	*files = unpack->files;
	*octets = unpack->octets;
}

/* ---- the end ---- */

/* The names: those in the folder that is opened by this one from dir_fd. */
static bool
sync_folder(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool good = fd != -1 ? fsync(fd) == 0 : errno == ENOENT;

	if (fd != -1)
		close(fd);
	return good;
}

static bool
finish(const struct unpack *unpack)
{
	return sync_folder(unpack->dir_fd, FOLDER) &&
	    fsync(unpack->dir_fd) == 0 &&
	    unlinkat(unpack->dir_fd, UNPACK_INCOMPLETE, 0) == 0 &&
	    fsync(unpack->dir_fd) == 0 && sync_folder(unpack->dir_fd, "..");
}

bool
unpack_end(struct unpack **pointer)
{
	struct unpack *unpack = *pointer;
	bool whole = unpack->over && finish(unpack);

	*pointer = NULL;
	if (unpack->files == 0 && !unpack->over) {
		unlinkat(unpack->dir_fd, UNPACK_INCOMPLETE, 0);
		if (unpack->made)
			rmdir(unpack->dir);
	}
	unpack_free(unpack);
	return whole;
}
