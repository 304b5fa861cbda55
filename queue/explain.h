/*
 * Why is this message still here?
 */
#ifndef CULVER_QUEUE_EXPLAIN_H
#define CULVER_QUEUE_EXPLAIN_H

#include "conf/control.h"
#include "queue/spool.h"

/* A message being explained, a destination at a time. */
struct explain {
	struct message	 message;
	uint32_t	 number;	/* the next recipient to look at */
	uint64_t	*seen;		/* destinations */
	size_t		 seen_n;
	unsigned	 rows;		/* written so far */
};

/*
 * Write a row for each attempt since the message arrived at its next
 * destination that left a recipient of it waiting.  Local I/O.  True: that
 * was the last destination.
 */
bool	explain_slice(struct spool *, struct control *, struct explain *);
void	explain_free(void *explain);

#endif
