/*
 * The text of a delivery status notification: of failure, of delay, and of
 * mail that was handed on to a system without such notifications.  Pure.
 * RFC 3461, 3464, 6522, 3834
 */
#ifndef CULVER_QUEUE_BOUNCE_H
#define CULVER_QUEUE_BOUNCE_H

#include "conf/mem.h"

#include <stdbool.h>
#include <stdint.h>

enum bounce_action {
	BOUNCE_FAILED,		/* it is given up */
	BOUNCE_DELAYED,		/* it is tried further */
	BOUNCE_RELAYED,		/* a server without DSN took it */
	BOUNCE_ACTIONS
};

/* One recipient, and what there is to be said of it. */
struct bounce_recipient {
	enum bounce_action action;
	const char	*address;	/* as it stood in the envelope */
	const char	*orcpt;		/* ORCPT as it came; "" none */
	uint32_t	 code;		/* SMTP reply, 0: none was heard */
	const char	*enhanced;	/* "5.1.1"; "" or nonsense: made up */
	const char	*host;		/* that took part; "" none */
	const char	*ip;		/* of it; "" */
	const char	*reply;		/* its words, lines by "\n"; or ours */
	const char	*rule;		/* "sts-mx-mismatch"; "" or NULL */
	const char	*clause;	/* "RFC 8461 5"; "" */
	const char	*repair;	/* what would mend it; "" */
	bool		 expired;	/* after so long, that was the last */
	uint64_t	 tried_ms;	/* wall clock; 0: never */
	uint64_t	 next_ms;	/* delayed: the next try; 0: when the
					   operator says so */
};

struct bounce {
	const char	*hostname;	/* ours; "" unknown */
	const char	*id;		/* of the bounce, as text */
	const char	*to;		/* the original's return path */
	uint64_t	 now_ms;
	/* the original */
	const char	*original_id;
	const char	*envid;		/* ENVID as it came; "" none */
	uint64_t	 arrived_ms;
	int64_t		 expire_s;
	struct slice	 original;	/* its octets, at least the header */
	bool		 complete;	/* they are all of it: return it whole
					   where that is safe, and where a
					   recipient failed */
	const struct bounce_recipient *recipients;
	uint32_t	 recipients_n;
};

/*
 * Append the message, with CRLF, to *text.  Pure; borrows all.
 * It is 7 bit with no line above 998 octets, whatever peers and original
 * said: their controls and octets above 126 become "?", their line breaks
 * blanks (DSN-3464-2.3.6-2).  The original comes back whole only where it is
 * 7 bit with such lines itself; else its header (DSN-6522-3-4).
 */
void	bounce_build(const struct bounce *, struct buffer *text);

/*
 * The Status of a recipient: what was heard if it is one that may stand with
 * its action, else what fits.  Pure.  Writes at most 16 octets; returns
 * status.
 */
const char *bounce_status(const struct bounce_recipient *, char status[16]);

/* "failed", "delayed", "relayed": Action, and for the log.  Pure. */
const char *bounce_action(enum bounce_action);

#endif
