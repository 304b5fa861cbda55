/*
 * What of this turn is durable, and who is told?
 *
 * Called by the loop after everything that was ready has run.  One
 * transaction holds all that a turn changed; "is it safe?" is its result,
 * never that of a single write.  250 and D_SETTLED go out behind it.
 */
#include "queue/turn.h"

#include "conf/log.h"
#include "conf/proc.h"

#include <errno.h>
#include <stdlib.h>

static void
end_turn(void *context)
{
	turn_end(context);
}

static bool
is_on_its_way(void *context, uint64_t id)
{
	const struct queue *queue = context;

	return receive_has(queue->receiver, id);
}

struct queue *
turn_new(struct loop *loop, struct spool *spool, const struct config *config)
{
	struct queue *queue = mem_alloc(sizeof(*queue));

	queue->loop = loop;
	queue->spool = spool;
	queue->config = config;
	queue->books.spool = spool;
	queue->books.config = &queue->config;
	queue->books.notices = notice_new(spool, &queue->config,
	    &queue->books.ledger, is_on_its_way, queue);
	queue->receiver = receive_new(loop, spool, &queue->config, end_turn,
	    queue);
	queue->dispatch = dispatch_new(loop, &queue->books, end_turn, queue);
	queue->signer = signer_new(loop, &queue->books);
	queue->sweep = sweep_new(loop, spool, queue->receiver);
	loop_at_turn_end(loop, end_turn, queue);
	loop_again(loop);
	return queue;
}

void
turn_free(struct queue **pointer)
{
	struct queue *queue = *pointer;

	*pointer = NULL;
	loop_at_turn_end(queue->loop, NULL, NULL);
	sweep_free(&queue->sweep);
	signer_free(&queue->signer);
	dispatch_free(&queue->dispatch);
	receive_free(&queue->receiver);
	notice_free(&queue->books.notices);
	ledger_free(&queue->books.ledger);
	free(queue);
}

void
turn_configure(struct queue *queue, const struct config *config)
{
	queue->config = config;
	signer_hurry(queue->signer);
}

static bool
commit(struct queue *queue)
{
	enum durability result = spool_turn_end(queue->spool);

	if (result == STORE_GONE) {
		errno = 0;
		fatal("the store is gone; what was not acknowledged is "
		    "decided by its recovery");
	}
	if (result == STORE_DURABLE)
		ledger_write(&queue->books.ledger);
	else
		ledger_drop(&queue->books.ledger);
	notice_clear(queue->books.notices, result == STORE_DURABLE);
	return result == STORE_DURABLE;
}

bool
turn_end(struct queue *queue)
{
	bool durable, more, unsigned_left;

	proc_log_together();
	receive_before_commit(queue->receiver);
	dispatch_before_commit(queue->dispatch);
	signer_before_commit(queue->signer);
	notice_write(queue->books.notices);
	sweep_before_commit(queue->sweep);
	durable = commit(queue);
	receive_after_commit(queue->receiver, durable);
	unsigned_left = signer_after_commit(queue->signer, durable);
	more = dispatch_after_commit(queue->dispatch, durable);
	if (sweep_after_commit(queue->sweep, durable) || more ||
	    unsigned_left)
		loop_again(queue->loop);
	proc_log_singly();
	return durable;
}
