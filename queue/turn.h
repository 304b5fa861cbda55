/*
 * The queue as a whole, and the end of each of its turns.
 */
#ifndef CULVER_QUEUE_TURN_H
#define CULVER_QUEUE_TURN_H

#include "queue/dispatch.h"
#include "queue/receive.h"
#include "queue/signer.h"
#include "queue/sweep.h"

/* All of a running queue; made once. */
struct queue {
	struct loop		*loop;
	struct spool		*spool;
	const struct config	*config;
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
 * End the turn: write what became whole or was settled, commit, and only then
 * answer.  Called after each turn of the loop, early when it is full, and by
 * verbs that change something.  True: it is durable.  A store that is gone
 * ends the program: recovery decides, and the parent starts us again.
 */
bool	 turn_end(struct queue *);

#endif
