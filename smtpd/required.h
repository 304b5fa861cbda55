/*
 * The header field "TLS-Required: No" of a message (RFC 8689 4).
 */
#ifndef CULVER_REQUIRED_H
#define CULVER_REQUIRED_H

#include "conf/mem.h"

#include <stdbool.h>
#include <stdint.h>

/* Where the next octet stands. */
enum required_state {
	REQUIRED_LINE,		/* at the beginning of a line */
	REQUIRED_NAME,		/* in the name of a field */
	REQUIRED_COLON,		/* behind a name, before its colon */
	REQUIRED_VALUE,		/* in the value of TLS-Required */
	REQUIRED_OTHER,		/* in the value of another field */
	REQUIRED_BODY		/* the header is over */
};

/* How much of the value was seen. */
enum required_value {
	REQUIRED_NOTHING,
	REQUIRED_N,
	REQUIRED_NO,
	REQUIRED_ELSE		/* something that is not "No" */
};

/* Zero-initialise. */
struct required {
	enum required_state	state;
	enum required_value	value;	/* of the last TLS-Required */
	uint32_t		fields;	/* TLS-Required, of any value */
	uint8_t			matched; /* octets of the name under way */
	uint8_t			depth;	/* of comments */
	bool			named;	/* the name under way has octets */
	bool			ours;	/* the field under way is that */
	bool			other;	/* it, or its name, is another */
	bool			quoted;	/* behind a "\" in a comment */
};

/* Take the next octets of the message.  Pure. */
void	required_take(struct required *required, struct slice octets);
/*
 * Does the message, as far as it was taken, have one field TLS-Required, and
 * is that "No"?  Pure.  Several count as none.
 */
bool	required_is_no(const struct required *required);

#endif
