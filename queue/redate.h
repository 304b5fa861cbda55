/*
 * After the wall clock was doubted: times that were written by it are put
 * right.
 */
#ifndef CULVER_QUEUE_REDATE_H
#define CULVER_QUEUE_REDATE_H

#include "queue/spool.h"

#include <stdbool.h>

/* A walk: messages taken while it was doubted, then destinations. */
struct redate {
	struct spool	*spool;		/* borrowed */
	uint64_t	 number;	/* the last destination seen */
};

/* Is there a message that was taken while the clock was doubted? */
bool	redate_is_needed(struct spool *);
void	redate_begin(struct redate *, struct spool *);
/*
 * Put some right, in this turn, by a clock that says now_ms.  Local I/O.
 * False: that was all (or the turn is lost; then it is to be begun again).
 */
bool	redate_slice(struct redate *, uint64_t now_ms);

#endif
