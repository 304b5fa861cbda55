/*
 * Bodies on their way out: from the store or a file into the pipe of whoever
 * sends the message, or signs it.
 *
 * A worker asks for it when the server has said 354, and sends the final dot
 * only when exactly the announced count came and the pipe ended.  So a body
 * that turns out damaged on the way simply ends early.
 */
#ifndef CULVER_QUEUE_PULL_H
#define CULVER_QUEUE_PULL_H

#include "conf/loop.h"
#include "queue/spool.h"

struct pulls;

struct pull_calls {
	/* The body of that job can be read from fd (the callee's). */
	void	(*ready)(void *context, uint64_t job, int fd);
	/* It is damaged: after an alarm; the job will come to nothing. */
	void	(*damaged)(void *context, uint64_t message);
};

/* All are borrowed. */
struct pulls	*pull_new(struct loop *, struct spool *,
		    const struct pull_calls *, void *context);
void	 pull_free(struct pulls **);
/*
 * Provide a message's octets for a job: signature, if it has one, and body.
 * `ready` follows, perhaps inside this call.  message NULL: it is gone or
 * cannot be read; the pipe ends at once.  One that still is to be signed comes
 * by a pipe always: it is read by who signs.
 */
void	 pull_begin(struct pulls *, uint64_t job, const struct message *);
/* Nobody reads any more (delivery is gone): close all. */
void	 pull_stop(struct pulls *);
/*
 * Once a turn: go on with the checks of files.  True: there is more to do, do
 * not wait before the next turn.
 */
bool	 pull_turn(struct pulls *);

#endif
