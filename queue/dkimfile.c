/*
 * Which file holds a key, and how does one come to be?
 *
 * Called by dkimctl.c, as who calls it, before it is confined.  What a dkim
 * line can name, and whose a key file may be, conf/keyline.c says.
 *
 * It knows no key: only octets that must not be there by half.
 */
#include "queue/dkimfile.h"

#include "conf/control.h"
#include "conf/keyline.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Why the folder cannot be used; the exit status. */
static int
blame_folder(struct slice folder, struct buffer *why)
{
	const int error = errno;

	buffer_printf(why, "the folder %.*s ", folder.len < KEYLINE_SHOWN_MAX ?
	    (int)folder.len : KEYLINE_SHOWN_MAX, folder.at);
	if (error == ENOENT)
		buffer_printf(why, "does not exist: make it, or name another "
		    "file by --file");
	else
		buffer_printf(why, "cannot be used: %s", strerror(error));
	return error == EACCES ? CONTROL_DENIED : CONTROL_NO;
}

/* The folder of file: "." where it names none. */
static struct slice
folder_of(const char *file)
{
	const char *slash = strrchr(file, '/');

	if (slash == NULL)
		return SLICE(".");
	return (struct slice){ file, slash == file ? 1 :
	    (size_t)(slash - file) };
}

int
dkimfile_place(const char *file, struct buffer *path, struct buffer *why)
{
	const struct slice folder = folder_of(file);
	const char *slash = strrchr(file, '/');
	const char *name = slash != NULL ? slash + 1 : file;
	struct buffer inside = { NULL, 0, 0 }, reason = { NULL, 0, 0 };
	char *real;

	if (name[0] == '\0' || strcmp(name, ".") == 0 ||
	    strcmp(name, "..") == 0) {
		buffer_printf(why, "\"%.200s\" names no file", file);
		return CONTROL_USAGE;
	}
	/* A name in it is asked for: what is no folder has none. */
	buffer_printf(&inside, "%.*s/.", (int)folder.len, folder.at);
	real = realpath(inside.text, NULL);
	buffer_free(&inside);
	if (real == NULL)
		return blame_folder(folder, why);
	buffer_printf(path, "%s/%s", strcmp(real, "/") == 0 ? "" : real,
	    name);
	free(real);
	if (keyline_path(path->text, &reason))
		return 0;
	buffer_printf(why, "%.200s: %s", file, reason.text);
	buffer_free(&reason);
	return CONTROL_NO;
}

static bool
write_all(int fd, const struct buffer *octets)
{
	size_t done = 0;
	ssize_t n;

	while (done < octets->len) {
		n = write(fd, octets->text + done, octets->len - done);
		if (n == -1 && errno != EINTR)
			return false;
		done += n > 0 ? (size_t)n : 0;
	}
	return fsync(fd) == 0;
}

/* A name in a folder lasts when the folder is written, too. */
static bool
sync_folder(const char *path)
{
	const struct slice folder = folder_of(path);
	struct buffer name = { NULL, 0, 0 };
	bool done;
	int fd;

	buffer_add(&name, folder);
	fd = open(name.text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	buffer_free(&name);
	done = fd != -1 && fsync(fd) == 0;
	if (fd != -1)
		close(fd);
	return done;
}

bool
dkimfile_make(const char *path, const struct buffer *octets)
{
	int fd, error;

	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd == -1)
		return false;
	if (write_all(fd, octets) && close(fd) == 0 && sync_folder(path))
		return true;
	error = errno;
	unlink(path);
	errno = error;
	return false;
}

int
dkimfile_open(const char *file, struct buffer *warning, int *status,
    struct buffer *why)
{
	struct buffer judged = { NULL, 0, 0 }, shown = { NULL, 0, 0 };
	enum keyline_file kind;
	int fd;

	fd = open(file, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd == -1) {
		*status = errno == EACCES ? CONTROL_DENIED : CONTROL_NO;
		buffer_printf(why, "%.200s: %s", file, strerror(errno));
		return -1;
	}
	keyline_show(&shown, file, KEYLINE_SHOWN_MAX);
	kind = keyline_look(fd, shown.text, &judged);
	if (kind == KEYLINE_NO_FILE) {
		*status = CONTROL_DATA;
		buffer_add(why, slice_of(judged.text));
		close(fd);
		fd = -1;
	} else if (kind == KEYLINE_OPEN) {
		buffer_add(warning, slice_of(judged.text));
	}
	buffer_free(&judged);
	buffer_free(&shown);
	return fd;
}
