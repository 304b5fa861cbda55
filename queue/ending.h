/*
 * The end of an attempt at a destination: one back-off, or one verdict, for
 * all that was due there.
 */
#ifndef CULVER_QUEUE_ENDING_H
#define CULVER_QUEUE_ENDING_H

#include "queue/trail.h"

/*
 * An end under way: it takes several turns when much is to be given up.  Work
 * on a copy and keep it only once the turn is durable: then a lost turn is
 * simply done again.
 */
struct ending {
	struct d_ended	said;
	uint64_t	began_ms;	/* the attempt, wall clock */
	uint64_t	ended_ms;
	bool		idle;		/* nothing at all came of it */
	/* the walk */
	bool		walking;
	bool		walked;
	struct due	cursor;		/* the last place that was seen */
	uint64_t	oldest_ms;	/* of what stays, so far; 0: none */
	uint64_t	first_ms;	/* least first attempt; 0: none */
	uint64_t	unwarned_ms;	/* least arrival of those whose delay
					   may have to be told; 0: none */
};

struct ending_calls {
	/* Is this recipient with delivery (an older job still runs)? */
	bool	(*in_flight)(void *context, const struct due *);
	void	*context;
};

/*
 * Do a slice of it in this turn, at most some 100 recipients.  Local I/O.
 * True: it is done, and the destination settled.
 */
bool	ending_slice(struct books *, struct ending *, struct trail *,
	    const struct ending_calls *);

#endif
