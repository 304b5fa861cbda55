/*
 * The recipients of a message that comes in.
 */
#ifndef CULVER_QUEUE_ADDRESSEE_H
#define CULVER_QUEUE_ADDRESSEE_H

#include "queue/queue.h"

/* Zero-initialise; free with addressee_free. */
struct addressees {
	char		*octets;	/* of each, see addressee.c */
	size_t		 len, size;	/* octets used, and allocated */
	uint32_t	*hashes;	/* one for each */
	uint32_t	 n;
};

struct addressee {
	const char	*address;
	uint32_t	 notify;	/* set of enum dsn_notify */
	const char	*orcpt;		/* in xtext, "" none */
};

/*
 * Add a recipient as it was written, unless it is there already in any form
 * (quoted or not, its domain in any case): then what the first asked for
 * holds.  Copies.  False: it is no mailbox with a domain, or its ORCPT is not
 * addressee_is_graphic.
 */
bool	addressee_add(struct addressees *, const struct addressee *);
/*
 * The recipient at *at, which counts from 0 and is moved on; its texts live as
 * long as nothing is added.  False: there is none.  Pure.
 */
bool	addressee_next(const struct addressees *, size_t *at,
	    struct addressee *);
/*
 * Has this text nothing in it that could end a command line or stand for two
 * words?  What smtpd has parsed has not; it is asked once more where it comes
 * from another program.  Pure.
 */
bool	addressee_is_graphic(const char *text);
void	addressee_free(struct addressees *);

#endif
