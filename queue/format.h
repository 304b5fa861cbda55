/*
 * Which versions of records may this queue hold?
 *
 * The file `format` beside the tables says so, and is read before anything
 * else: an older culver leaves a newer one's queue as it found it.
 */
#ifndef CULVER_QUEUE_FORMAT_H
#define CULVER_QUEUE_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A table and the highest version of its records that we know. */
struct format_table {
	const char	*name;
	uint8_t		 version;
};

/*
 * May we open what lies in this folder?  False, and a sentence in error, when
 * `format` names a version or a table that is not among the n tables.  One
 * that is missing or damaged forbids nothing.  Local I/O, changes nothing.
 */
bool	format_allows(int dir_fd, const struct format_table *, size_t n,
	    char *error, size_t error_size);
/*
 * From now on these may be there: on stable storage before any such record
 * is written.  Local I/O.  False, and a sentence in error, when it cannot be.
 */
bool	format_write(int dir_fd, const struct format_table *, size_t n,
	    char *error, size_t error_size);

#endif
