/*
 * Mail on its way out: what queue says to delivery and hears from it (D_*).
 */
#ifndef CULVER_QUEUE_DISPATCH_H
#define CULVER_QUEUE_DISPATCH_H

#include "conf/loop.h"
#include "queue/flight.h"

struct dispatch;

/*
 * All are borrowed.  end_turn ends the turn early when there is enough in it;
 * it calls the functions below.
 */
struct dispatch	*dispatch_new(struct loop *, struct books *,
		    void (*end_turn)(void *context), void *context);
void	 dispatch_free(struct dispatch **);
/*
 * Serve a fresh link to delivery (fd taken over).  Nothing is handed out
 * before its D_SYNCED.
 */
void	 dispatch_serve(struct dispatch *, int fd);
/* Hand out nothing more; jobs under way go on. */
void	 dispatch_stop(struct dispatch *);
/* Is no job under way and no result unanswered? */
bool	 dispatch_idle(const struct dispatch *);
/* Is this recipient with delivery? */
bool	 dispatch_has(const struct dispatch *, const struct recipient *);
/* Is this destination being served? */
bool	 dispatch_serves(const struct dispatch *, uint64_t destination);
/*
 * The operator held a destination until then, and its record says so; 0:
 * released it.  What runs there may end, nothing more is given out.
 */
void	 dispatch_hold(struct dispatch *, uint64_t destination,
	    uint64_t until_ms);

/* The turn is about to end: apply results and ends of attempts. */
void	 dispatch_before_commit(struct dispatch *);
/*
 * It ended.  durable: settle the results, answer D_NEXT, hand out what is due
 * (a timer waits for what will be).  Else all that was heard is kept and
 * tried again in a second; delivery waits meanwhile.
 * True: there is more to do, do not wait before the next turn.
 */
bool	 dispatch_after_commit(struct dispatch *, bool durable);

#endif
