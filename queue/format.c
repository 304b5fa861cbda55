/*
 * Was this queue written by a newer culver?
 *
 * Called by spool.c when it opens.  Records carry their version themselves
 * and old ones are read as they are, so nothing is ever converted, and an
 * upgrade that is killed leaves nothing half done.  The other way there is no
 * road: what an older culver cannot read it would leave out, so it does not
 * begin.
 *
 * The file is text, a line for each table, and ends in a line with the CRC of
 * all before: a flipped bit must not look like a newer version.
 */
#include "queue/format.h"

#include "conf/log.h"
#include "conf/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FORMAT_FILE	"format"
#define FORMAT_NEW	"format.new"
#define FORMAT_MAX	4096
#define REFUSED	": the queue was written by a newer culver. Nothing was " \
	"changed; start that one again, or let it deliver what waits first"

/* The text up to the line with its CRC; false: missing or damaged. */
static bool
read_format(int dir_fd, char text[FORMAT_MAX])
{
	int fd = openat(dir_fd, FORMAT_FILE,
	    O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char *crc;
	ssize_t len;

	if (fd == -1)
		return false;
	len = read(fd, text, FORMAT_MAX - 1);
	close(fd);
	if (len <= 0)
		return false;
	text[len] = '\0';
	crc = strstr(text, "crc ");
	if (crc == NULL || strlen(text) != (size_t)len ||
	    store_crc(0, text, (size_t)(crc - text)) !=
	    (uint32_t)strtoul(crc + 4, NULL, 16)) {
		log_line(LOG_LEVEL_ERROR, "the file %s is damaged and is "
		    "written anew", FORMAT_FILE);
		return false;
	}
	*crc = '\0';
	return true;
}

static const struct format_table *
find(const struct format_table *tables, size_t n, struct slice name)
{
	for (size_t i = 0; i < n; i++)
		if (slice_equal(name, slice_of(tables[i].name)))
			return &tables[i];
	return NULL;
}

/* One line, "NAME VERSION". */
static bool
line_allows(struct slice line, const struct format_table *tables, size_t n,
    char *error, size_t error_size)
{
	struct slice name = slice_cut(&line, ' ');
	const struct format_table *table = find(tables, n, name);
	uint64_t version = 0;

	if (name.len == 0 || !slice_number(line, 255, &version) ||
	    (table != NULL && version <= table->version))
		return true;
	if (table != NULL)
		snprintf(error, error_size, "table %s has records of version "
		    "%u, and this culver knows them up to %u" REFUSED,
		    table->name, (unsigned)version, table->version);
	else
		snprintf(error, error_size, "there is a table %.*s, which "
		    "this culver does not know" REFUSED, (int)name.len,
		    name.at);
	return false;
}

bool
format_allows(int dir_fd, const struct format_table *tables, size_t n,
    char *error, size_t error_size)
{
	char text[FORMAT_MAX];
	struct slice rest;

	if (!read_format(dir_fd, text))
		return true;
	rest = slice_of(text);
	while (rest.len > 0)
		if (!line_allows(slice_cut(&rest, '\n'), tables, n, error,
		    error_size))
			return false;
	return true;
}

static void
make_text(const struct format_table *tables, size_t n, struct buffer *text)
{
	for (size_t i = 0; i < n; i++)
		buffer_printf(text, "%s %u\n", tables[i].name,
		    (unsigned)tables[i].version);
}

/* Is that what stands there already? */
static bool
is_written(int dir_fd, const struct buffer *text)
{
	char old[FORMAT_MAX];

	return read_format(dir_fd, old) && strcmp(old, text->text) == 0;
}

static bool
write_new(int dir_fd, const struct buffer *text)
{
	int fd = openat(dir_fd, FORMAT_NEW, O_WRONLY | O_CREAT | O_TRUNC |
	    O_CLOEXEC | O_NOFOLLOW, 0600);
	bool good;

	if (fd == -1)
		return false;
	good = dprintf(fd, "%scrc %08x\n", text->text, (unsigned)store_crc(0,
	    text->text, text->len)) > 0 && fsync(fd) == 0;
	close(fd);
	return good && renameat(dir_fd, FORMAT_NEW, dir_fd, FORMAT_FILE) ==
	    0 && fsync(dir_fd) == 0;
}

bool
format_write(int dir_fd, const struct format_table *tables, size_t n,
    char *error, size_t error_size)
{
	struct buffer text = { NULL, 0, 0 };
	bool good;

	make_text(tables, n, &text);
	good = is_written(dir_fd, &text) || write_new(dir_fd, &text);
	buffer_free(&text);
	if (!good)
		snprintf(error, error_size, "%s cannot be written: %s",
		    FORMAT_FILE, strerror(errno));
	return good;
}
