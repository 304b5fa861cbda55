/*
 * The queue as a whole, and the end of each of its turns.
 */
#ifndef CULVER_QUEUE_TURN_H
#define CULVER_QUEUE_TURN_H

#include "queue/clock.h"
#include "queue/dispatch.h"
#include "queue/receive.h"
#include "queue/redate.h"
#include "queue/signer.h"
#include "queue/sweep.h"

/* All of a running queue; made once. */
struct queue {
	struct loop		*loop;
	struct spool		*spool;
	const struct config	*config;	/* in force: one of these */
	const struct config	*given;
	struct config		 doubting;	/* nothing leaves or ends */
	struct clock		 clock;
	bool			 redating;	/* what was taken meanwhile */
	struct redate		 redate;
	struct timer		*clock_timer;	/* for a turn */
	bool			 hurry;		/* soon, not by the minute */
	int64_t			 clock_kept_ms;	/* boot time; 0: never */
	struct books		 books;
	struct receiver		*receiver;
	struct dispatch		*dispatch;
	struct signer		*signer;
	struct sweep		*sweep;
};

/*
 * Put a queue together; spool and config are borrowed.  The queue asks the
 * loop to end its turns.
 */
struct queue	*turn_new(struct loop *, struct spool *,
		    const struct config *);
void	 turn_free(struct queue **);
/* New settings from now on; borrowed. */
void	 turn_configure(struct queue *, const struct config *);
/*
 * The operator says that the clock is right: deliveries go on, and the end of
 * this turn writes it down.  False: it was not doubted.
 */
bool	 turn_believe_clock(struct queue *);
/*
 * End the turn: write what became whole or was settled, commit, and only then
 * answer.  Called after each turn of the loop, early when it is full, and by
 * verbs that change something.  True: it is durable.  A store that is gone
 * ends the program: recovery decides, and the parent starts us again.
 */
bool	 turn_end(struct queue *);

#endif
