/*
 * What of this turn is durable, and who is told?
 *
 * Called by the loop after everything that was ready has run.  One
 * transaction holds all that a turn changed; "is it safe?" is its result,
 * never that of a single write.  250 and D_SETTLED go out behind it.
 */
#include "queue/turn.h"

#include "conf/log.h"
#include "conf/parent.h"
#include "conf/proc.h"

#include <errno.h>
#include <stdlib.h>

#define KEEP_CLOCK_MS	60000
#define HURRY_MS	1000
/* Longer than any clock is doubted. */
#define NEVER_S		(INT64_C(10) * 366 * 86400)

/* ---- the clock ---- */

/*
 * While it is doubted: nothing is handed to delivery, and what comes back from
 * sessions that are open is neither too late nor late.
 */
static void
apply_settings(struct queue *queue)
{
	bool right = queue->clock.state == CLOCK_RIGHT;

	queue->doubting = *queue->given;
	queue->doubting.workers = 0;
	queue->doubting.warn_s = queue->doubting.expire_s = NEVER_S;
	queue->config = right && !queue->redating ? queue->given :
	    &queue->doubting;
	sweep_forget(queue->sweep, right);
	spool_doubt(queue->spool, !right);
}

/* It is believed, or not any more. */
static void
turn_clock(struct queue *queue)
{
	queue->redating = queue->clock.state == CLOCK_RIGHT;
	redate_begin(&queue->redate, queue->spool);
	apply_settings(queue);
}

/* A slice, if it is time for one; the last lets deliveries go on. */
static bool
go_on_redating(struct queue *queue)
{
	if (!queue->redating)
		return false;
	queue->redating = redate_slice(&queue->redate,
	    (uint64_t)loop_wall_ms());
	if (!queue->redating)
		apply_settings(queue);
	return true;
}

/* Of a turn that had a slice. */
static void
after_redating(struct queue *queue, bool durable)
{
	if (!durable)
		turn_clock(queue);
	else
		loop_again(queue->loop);
}

static void
say_clock(const struct queue *queue)
{
	struct clock_time now = clock_now();
	char text[400];

	clock_say(&queue->clock, &now, text, sizeof(text));
	parent_alarm("clock", queue->clock.state != CLOCK_RIGHT, "%s", text);
}

/* There is a turn; its end looks at the clock, and the store at the disk. */
static void
on_clock_timer(void *context)
{
	struct queue *queue = context;

	/* At the start the parent did not listen yet. */
	if (queue->clock.state != CLOCK_RIGHT)
		say_clock(queue);
	timer_set(queue->clock_timer, queue->hurry ? HURRY_MS :
	    KEEP_CLOCK_MS);
}

/* Is there something to be seen soon, whether mail comes or not? */
static void
hurry(struct queue *queue)
{
	bool before = queue->hurry;

	queue->hurry = queue->clock.state != CLOCK_RIGHT ||
	    spool_lacks_ballast(queue->spool);
	if (queue->hurry && !before)
		timer_set(queue->clock_timer, HURRY_MS);
}

static void
begin_clock(struct queue *queue)
{
	struct clock_time now = clock_now();
	struct clock_seen seen;

	spool_get_clock(queue->spool, &seen);
	clock_begin(&queue->clock, &seen, clock_built_ms(), &now);
	queue->redating = queue->clock.state == CLOCK_RIGHT &&
	    redate_is_needed(queue->spool);
	redate_begin(&queue->redate, queue->spool);
	queue->clock_timer = timer_new(queue->loop, on_clock_timer, queue);
	timer_set(queue->clock_timer, 0);
}

/* Before anything of this turn is decided by it. */
static void
look_at_clock(struct queue *queue)
{
	struct clock_time now = clock_now();
	struct clock_seen seen;

	if (clock_look(&queue->clock, &now)) {
		turn_clock(queue);
		say_clock(queue);
	}
	if (queue->clock_kept_ms != 0 &&
	    now.boot_ms - queue->clock_kept_ms < KEEP_CLOCK_MS)
		return;
	if (clock_keep(&queue->clock, &now, &seen)) {
		queue->clock_kept_ms = now.boot_ms;
		spool_put_clock(queue->spool, &seen);
	}
}

bool
turn_believe_clock(struct queue *queue)
{
	struct clock_time now = clock_now();

	if (queue->clock.state == CLOCK_RIGHT)
		return false;
	clock_accept(&queue->clock, &now);
	queue->clock_kept_ms = 0;
	turn_clock(queue);
	say_clock(queue);
	spool_want_flush(queue->spool);
	return true;
}

/* ---- the turn ---- */

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
	queue->config = queue->given = config;
	queue->books.spool = spool;
	queue->books.config = &queue->config;
	queue->books.notices = notice_new(spool, &queue->config,
	    &queue->books.ledger, is_on_its_way, queue);
	queue->receiver = receive_new(loop, spool, &queue->config, end_turn,
	    queue);
	queue->dispatch = dispatch_new(loop, &queue->books, end_turn, queue);
	queue->signer = signer_new(loop, &queue->books);
	queue->sweep = sweep_new(loop, spool, queue->receiver);
	begin_clock(queue);
	apply_settings(queue);
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
	timer_free(&queue->clock_timer);
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
	queue->given = config;
	apply_settings(queue);
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
	bool durable, more, unsigned_left, redated;

	proc_log_together();
	look_at_clock(queue);
	redated = go_on_redating(queue);
	receive_before_commit(queue->receiver);
	dispatch_before_commit(queue->dispatch);
	signer_before_commit(queue->signer);
	notice_write(queue->books.notices);
	sweep_before_commit(queue->sweep);
	durable = commit(queue);
	hurry(queue);
	if (redated)
		after_redating(queue, durable);
	receive_after_commit(queue->receiver, durable);
	unsigned_left = signer_after_commit(queue->signer, durable);
	more = dispatch_after_commit(queue->dispatch, durable);
	if (sweep_after_commit(queue->sweep, durable) || more ||
	    unsigned_left)
		loop_again(queue->loop);
	proc_log_singly();
	return durable;
}
