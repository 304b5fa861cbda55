/*
 * How a message begins to exist.
 */
#ifndef CULVER_QUEUE_DEPOSIT_H
#define CULVER_QUEUE_DEPOSIT_H

#include "queue/spool.h"

/*
 * Write the message and a recipient for each of n addresses, due at once (or,
 * where it needs a signature, not before it is signed: signer.c);
 * with the turn that holds it, it exists.  Its chunks and file are the
 * caller's and belong to the same turn or an earlier one.  addresses are the
 * texts one after the other, each with its end; every one parses as a mailbox
 * with a domain.  Local I/O.
 */
void	deposit_message(struct spool *, const struct message *,
	    const char *addresses, uint32_t n);

#endif
