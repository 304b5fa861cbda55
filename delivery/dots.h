/*
 * Message data in the form of RFC 5321 4.5.2: dots doubled, every line ended
 * by CRLF.  Pure.
 */
#ifndef CULVER_DOTS_H
#define CULVER_DOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero-initialised at the beginning of a message. */
struct dots {
	bool	in_line;	/* something of the present line was written */
	bool	after_cr;	/* the last octet taken was CR */
};

/* Room that dots_stuff may need for len octets. */
#define DOTS_ROOM(len)	(2 * (len) + 1)

/*
 * Write len octets of the message into out (DOTS_ROOM(len)); returns how
 * many were written.  A bare CR or LF leaves as CRLF, whatever brought it
 * there: SMTP-2.3.8-2.
 */
size_t	dots_stuff(struct dots *dots, const uint8_t *in, size_t len,
	    uint8_t *out);

/*
 * The end: the CRLF that a last line may lack, then the lone dot
 * (SMTP-4.1.1.4-3).  Returns the text, static.
 */
const char *dots_end(const struct dots *dots);

#endif
