/*
 * sendmail's conversation with the running relay, over submit-socket.
 */
#ifndef CULVER_HANDOVER_H
#define CULVER_HANDOVER_H

#include "smtpd/envelope.h"

/* What sendmail exits with: sysexits.h, by the names of interfaces.md. */
enum {
	HANDOVER_TAKEN = 0,
	HANDOVER_DATA = 65,		/* the message or an address is bad */
	HANDOVER_UNKNOWN = 67,		/* all recipients are unknown */
	HANDOVER_REFUSED = 69,		/* for good */
	HANDOVER_AGAIN = 75,
	HANDOVER_DENIED = 77
};

/*
 * Give the message to the relay that listens at path.  May block, at most
 * ten minutes for each reply.  Borrows everything.
 *
 * Returns HANDOVER_TAKEN when it is durable for every recipient.  Otherwise
 * says why in *said, one line; it was then taken for none (all the same
 * code), or for those whose addresses are not named there.  On success *said
 * is the relay's last reply.
 */
int	handover(const char *path, const struct envelope *envelope,
	    struct slice message, struct buffer *said);

#endif
