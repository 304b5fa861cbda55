/*
 * The words of a `dkim` line, and of the commands that make one: DOMAIN,
 * SELECTOR and the path of a key file.
 */
#ifndef CULVER_KEYLINE_H
#define CULVER_KEYLINE_H

#include "addr.h"
#include "mem.h"

#include <stdbool.h>
#include <stddef.h>

#define KEYLINE_PATH_MAX	255	/* octets, as `dkim` has it */
#define KEYLINE_SHOWN_MAX	200	/* octets in a sentence */

struct keyline {
	struct domain	domain;			/* in lower case, */
	char		selector[64];		/* so are these two */
	char		name[DOMAIN_TEXT_MAX];	/* of the record */
};
/*
 * Parse the two names in any case, with or without a final dot.  Pure.
 * False: *why has a sentence appended.  RFC 6376 3.1, 3.6.2.1
 */
bool	keyline_parse(const char *domain, const char *selector,
	    struct keyline *, struct buffer *why);

/*
 * Can a line, and an answer in JSON, name this file?  Pure.
 * False: *why has a sentence without end and without the path appended.
 */
bool	keyline_path(const char *path, struct buffer *why);

/*
 * Is this open file a key file as culverd takes it?  Local I/O; nothing of
 * the file is read.  path is for the sentence that is appended to *why where
 * the answer is another than KEYLINE_PRIVATE.
 */
enum keyline_file {
	KEYLINE_PRIVATE,	/* its owner's alone, and that is us or root */
	KEYLINE_OPEN,		/* others may use it, or own it */
	KEYLINE_NO_FILE		/* a folder, pipe or device */
};
enum keyline_file keyline_look(int fd, const char *path, struct buffer *why);

/*
 * Append what a person typed, as a sentence may show it: most octets of it,
 * and ? for what would garble a terminal.  Pure.
 */
void	keyline_show(struct buffer *out, const char *text, size_t most);

#endif
