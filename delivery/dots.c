/*
 * What do a message's octets look like on the wire?
 *
 * Called by session.c for each piece of a body.  The queue keeps messages
 * with CRLF line ends; that nothing else leaves is made sure here once more,
 * because a bare CR or LF on the wire is how messages are smuggled.  It knows
 * no sockets and counts nothing.
 */
#include "delivery/dots.h"

#include <string.h>

/*
 * Copy what stands before the next CR or LF as it is; returns its length.
 * SMTP-4.5.2-1: a dot at the beginning of a line is doubled.
 */
static size_t
copy_plain(struct dots *dots, const uint8_t *in, size_t len, uint8_t **out)
{
	const uint8_t *cr, *lf;
	size_t plain = len;

	lf = memchr(in, '\n', plain);
	if (lf != NULL)
		plain = (size_t)(lf - in);
	cr = plain > 0 ? memchr(in, '\r', plain) : NULL;
	if (cr != NULL)
		plain = (size_t)(cr - in);
	if (plain == 0)
		return 0;
	if (!dots->in_line && in[0] == '.')
		*(*out)++ = '.';
	memcpy(*out, in, plain);
	*out += plain;
	dots->in_line = true;
	return plain;
}

size_t
dots_stuff(struct dots *dots, const uint8_t *in, size_t len, uint8_t *out)
{
	uint8_t *const begin = out;
	size_t taken, i = 0;

	while (i < len) {
		if (dots->after_cr) {
			/* SMTP-2.3.8-2: CRLF, or made one. */
			*out++ = '\n';
			dots->after_cr = false;
			dots->in_line = false;
			if (in[i] == '\n') {
				i++;
				continue;
			}
		}
		taken = copy_plain(dots, in + i, len - i, &out);
		i += taken;
		if (i == len)
			break;
		*out++ = '\r';
		dots->in_line = true;
		dots->after_cr = true;
		/* A bare LF stays here to be the other half. */
		if (in[i] == '\r')
			i++;
	}
	return (size_t)(out - begin);
}

const char *
dots_end(const struct dots *dots)
{
	if (dots->after_cr)
		return "\n.\r\n";
	return dots->in_line ? "\r\n.\r\n" : ".\r\n";
}
