/*
 * How a message begins to exist.
 */
#ifndef CULVER_QUEUE_DEPOSIT_H
#define CULVER_QUEUE_DEPOSIT_H

#include "queue/addressee.h"
#include "queue/spool.h"

/*
 * Write the message and a recipient for each of the addressees, due at once
 * (or, where it needs a signature, not before it is signed: signer.c);
 * with the turn that holds it, it exists.  Its chunks and file are the
 * caller's and belong to the same turn or an earlier one.  Local I/O.
 */
void	deposit_message(struct spool *, const struct message *,
	    const struct addressees *);

#endif
