/*
 * The lines that choose next hops have changed: what waits goes by the new ones.
 */
#ifndef CULVER_QUEUE_REHOME_H
#define CULVER_QUEUE_REHOME_H

#include "conf/loop.h"
#include "queue/books.h"
#include "queue/flight.h"

struct rehome;

/* All are borrowed. */
struct rehome	*rehome_new(struct loop *, struct books *, struct flight *);
void	 rehome_free(struct rehome **);
/*
 * The turn is about to end: notice that the lines are others than those that
 * the queue follows and, if may_move, move a slice of what waits.  may_move:
 * flight knows all that is with delivery.  Local I/O, at most some
 * milliseconds; nothing where nothing has changed.
 */
void	 rehome_before_commit(struct rehome *, bool may_move);
/* It ended.  True: there is more to do, do not wait before the next turn. */
bool	 rehome_after_commit(struct rehome *, bool durable);

#endif
