/*
 * What was left behind by a crash, a lost turn, or time.
 */
#ifndef CULVER_QUEUE_SWEEP_H
#define CULVER_QUEUE_SWEEP_H

#include "conf/loop.h"
#include "queue/receive.h"

struct sweep;

/* Begin with all of it.  All are borrowed. */
struct sweep	*sweep_new(struct loop *, struct spool *, struct receiver *);
void	 sweep_free(struct sweep **);
/* A turn was lost: parts of messages may be left. */
void	 sweep_intakes(struct sweep *);
/* May what is old be forgotten?  Not while the clock is doubted. */
void	 sweep_forget(struct sweep *, bool);
/* Once a turn, before its end: do a slice.  Local I/O. */
void	 sweep_before_commit(struct sweep *);
/*
 * The turn ended.  True: there is more to do, do not wait before the next.
 */
bool	 sweep_after_commit(struct sweep *, bool durable);

#endif
