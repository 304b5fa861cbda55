/*
 * The recipients of a message that comes in.
 */
#ifndef CULVER_QUEUE_ADDRESSEE_H
#define CULVER_QUEUE_ADDRESSEE_H

#include "conf/addr.h"

/* Zero-initialise; free with addressee_free. */
struct addressees {
	char		*addresses;	/* one after the other, each ended */
	size_t		 len, size;	/* octets used, and allocated */
	uint32_t	*hashes;	/* one for each */
	uint32_t	 n;
};

/*
 * Add a recipient as it was written, unless it is there already in any form
 * (quoted or not, its domain in any case).  False: it is no mailbox with a
 * domain.
 */
bool	addressee_add(struct addressees *, const char *address);
void	addressee_free(struct addressees *);

#endif
