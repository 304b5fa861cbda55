/*
 * How does a reply look on the wire?
 *
 * Called by visitor.c for each reply.  It does not choose replies: those that
 * judge do (command.c, access.c, data.c, dialogue.c).
 */
#include "smtpd/answer.h"

#include <string.h>

/*
 * The enhanced status code that text begins with, its blank included; empty
 * when it has none (greeting, EHLO, 354).  It stands beside its code in one
 * text wherever a reply is chosen, so that they agree, and does not depend on
 * how the client said hello.
 * EXT-2034-4-1, EXT-2034-4-2, EXT-2034-4-4 RFC 2034 4
 */
static struct slice
enhanced_code(const char *text)
{
	size_t digits = strspn(text, "0123456789.");

	if (digits < sizeof("2.0.0") - 1 || text[1] != '.' ||
	    text[digits] != ' ')
		return (struct slice){ text, 0 };
	return (struct slice){ text, digits + 1 };
}

void
answer_print(struct buffer *out, unsigned code, const char *text)
{
	struct slice rest = slice_of(text), line;
	struct slice enhanced = enhanced_code(text);
	bool first = true;

	while (rest.at != NULL) {
		line = slice_cut(&rest, '\n');
		/* SMTP-4.2-6 RFC 5321 4.2.1: the last line has a blank */
		buffer_printf(out, "%u%c", code, rest.at != NULL ? '-' : ' ');
		if (!first)	/* EXT-2034-4-3 */
			buffer_add(out, enhanced);
		buffer_add(out, line);
		buffer_add(out, SLICE("\r\n"));
		first = false;
	}
}
