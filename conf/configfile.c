/*
 * Which lines does a configuration have, and where does each stand?
 *
 * Called by config.c.  A file may include others, eight deep and not itself;
 * faults are gathered with file and line, so that an operator sees all of
 * them at once.  It knows one keyword, `include`.
 */
#include "conf/configfile.h"

#include "conf/log.h"
#include "conf/words.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX	8		/* of include */
#define OCTETS_MAX	(4u << 20)	/* of all files */
#define ERRORS_MAX	20
#define WRITER_MS	5000		/* of a pipe, to say something */

/* A file being read, and those that included it. */
struct source {
	const char		*name;
	const struct source	*outer;
	dev_t			 device;
	ino_t			 inode;
	unsigned		 depth;
	unsigned		 line;
};

struct reader {
	bool		(*take)(void *, const char *, const char *,
			    const char *, struct buffer *);
	void		*context;
	struct buffer	*error;
	unsigned	 errors;
	size_t		 octets;	/* read so far, of all files */
};

static void	read_source(struct reader *, struct source *);

/* Begin a line of errors; false: there are enough of them. */
static bool
complain(struct reader *reader, const struct source *source)
{
	if (++reader->errors > ERRORS_MAX)
		return false;
	if (reader->error->len > 0)
		buffer_add(reader->error, SLICE("\n"));
	if (source != NULL)
		buffer_printf(reader->error, "%s:%u: ", source->name,
		    source->line);
	return true;
}

/* `include FILE`: a path that is not absolute starts where this file lies. */
static void
read_include(struct reader *reader, const struct source *outer,
    const char *value)
{
	struct source source = { .outer = outer, .depth = outer->depth + 1 };
	struct buffer path = { NULL, 0, 0 };
	const char *slash = strrchr(outer->name, '/'), *why;
	struct words words;

	why = words_cut(value, &words);
	if (why != NULL || words.n != 1 || words.word[0][0] == '\0') {
		if (complain(reader, outer))
			buffer_printf(reader->error, "include: %s; accepted: "
			    "one file", why != NULL ? why : "not understood");
		return;
	}
	if (words.word[0][0] != '/' && slash != NULL)
		buffer_add(&path, (struct slice){ outer->name,
		    (size_t)(slash - outer->name) + 1 });
	buffer_add(&path, slice_of(words.word[0]));
	source.name = path.text;
	read_source(reader, &source);
	buffer_free(&path);
}

/* One line without its end. */
static void
read_line(struct reader *reader, const struct source *source, char *line)
{
	struct buffer why = { NULL, 0, 0 }, where = { NULL, 0, 0 };
	char *value;

	line += strspn(line, " \t");
	if (line[0] == '\0' || line[0] == '#')
		return;
	value = line + strcspn(line, " \t");
	if (*value != '\0')
		*value++ = '\0';
	value += strspn(value, " \t");
	buffer_printf(&where, "%s:%u", source->name, source->line);
	if (strcmp(line, "include") == 0)
		read_include(reader, source, value);
	else if (!reader->take(reader->context, where.text, line, value,
	    &why) && complain(reader, source))
		buffer_add(reader->error, slice_of(why.text));
	buffer_free(&where);
	buffer_free(&why);
}

static void
read_lines(struct reader *reader, struct source *source, FILE *file)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t len;

	while ((len = getline(&line, &size, file)) != -1) {
		source->line++;
		reader->octets += (size_t)len;
		if (reader->octets > OCTETS_MAX) {
			if (complain(reader, source))
				buffer_add(reader->error,
				    SLICE("the configuration is too large"));
			break;
		}
		if (strlen(line) != (size_t)len) {
			if (complain(reader, source))
				buffer_add(reader->error,
				    SLICE("there is a NUL in this line"));
			continue;
		}
		line[strcspn(line, "\r\n")] = '\0';
		read_line(reader, source, line);
	}
	free(line);
}

/* May this open file be read as source?  If not, why not. */
static const char *
refusal(struct source *source, int fd)
{
	const struct source *outer;
	struct stat status;

	if (fstat(fd, &status) != 0)
		return strerror(errno);
	if (S_ISDIR(status.st_mode))
		return "is a folder";
	/*
	 * A terminal or a pipe that the shell made (/dev/stdin) is for the
	 * command line alone; it never ends for a file that includes it.
	 */
	if (source->outer != NULL && !S_ISREG(status.st_mode))
		return "is not a file";
	source->device = status.st_dev;
	source->inode = status.st_ino;
	if (source->depth > DEPTH_MAX)
		return "is included too deep";
	for (outer = source->outer; outer != NULL; outer = outer->outer)
		if (outer->device == status.st_dev &&
		    outer->inode == status.st_ino)
			return "includes itself";
	return NULL;
}

/*
 * The file was opened without waiting.  From here on reading waits; but a pipe
 * that nobody writes to would be waited for without end, or be taken for an
 * empty file.
 */
static const char *
wait_for_writer(int fd)
{
	struct pollfd ready = { fd, POLLIN, 0 };
	struct stat status;

	if (fstat(fd, &status) != 0 || fcntl(fd, F_SETFL, 0) != 0)
		return strerror(errno);
	if (S_ISFIFO(status.st_mode) && poll(&ready, 1, WRITER_MS) != 1)
		return "is a pipe that nobody writes to";
	return NULL;
}

static void
read_source(struct reader *reader, struct source *source)
{
	const char *why;
	FILE *file;
	int fd;

	fd = open(source->name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	why = fd == -1 ? strerror(errno) : refusal(source, fd);
	if (why == NULL)
		why = wait_for_writer(fd);
	if (why != NULL) {
		if (complain(reader, source->outer))
			buffer_printf(reader->error, fd == -1 ?
			    "cannot read %s: %s" : "%s %s", source->name, why);
		if (fd != -1)
			close(fd);
		return;
	}
	file = fdopen(fd, "r");
	if (file == NULL)
		fatal("fdopen");
	read_lines(reader, source, file);
	fclose(file);
}

bool
configfile_read(const char *file, bool (*take)(void *, const char *,
    const char *, const char *, struct buffer *), void *context,
    struct buffer *error)
{
	struct reader reader = { .take = take, .context = context,
	    .error = error };
	struct source source = { .name = file };

	read_source(&reader, &source);
	if (reader.errors > ERRORS_MAX)
		buffer_printf(error, "\nand %u more",
		    reader.errors - ERRORS_MAX);
	return reader.errors == 0;
}
