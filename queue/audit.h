/*
 * Is everything that is owed found by the indexes?
 */
#ifndef CULVER_QUEUE_AUDIT_H
#define CULVER_QUEUE_AUDIT_H

#include "queue/spool.h"

#include <stdbool.h>

/* A walk through all recipients, from the first. */
struct audit {
	struct spool	*spool;		/* borrowed */
	struct recipient seen;		/* the last */
	bool		 begun;
};

void	audit_begin(struct audit *, struct spool *);
/*
 * Look at the next ones, and mend what the indexes lack, in this turn.  Local
 * I/O.  False: all have been seen (or the turn is lost).
 */
bool	audit_slice(struct audit *);

#endif
