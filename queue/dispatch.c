/*
 * Who gets which message next, and what became of it?
 *
 * Called by the loop for delivery's link and by turn.c for the two ends of
 * the turn.  What delivery says is gathered during the turn.  Before its end
 * results are applied to the spool; after it, and only if it is durable,
 * memory follows and answers go out, in the order in which things were said.
 * So a lost turn changes nothing and is simply done again.
 *
 * States of a destination, as seen from here: resting (not in memory), handed
 * (D_DUE was said, D_ENDED will come), ending (D_ENDED came; its consequences
 * are written in the next turns).  A fresh link starts with none handed;
 * D_HELD names jobs that a surviving delivery still has.
 *
 * handout.c says which destination is next, draw.c which message.
 */
#include "queue/dispatch.h"

#include "conf/link.h"
#include "conf/log.h"
#include "queue/draw.h"
#include "queue/handout.h"
#include "queue/pull.h"
#include "queue/relayed.h"
#include "queue/rehome.h"
#include "queue/result.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AGAIN_MS	1000	/* after a lost turn */
#define SLICES_A_TURN	16	/* of ends of attempts */
#define WORKERS_AHEAD	2	/* destinations handed for each worker */

/* Something delivery said that is dealt with at the end of the turn. */
struct heard {
	TAILQ_ENTRY(heard)	 line;
	unsigned		 kind;
	bool			 applied;	/* D_RESULT: in this turn */
	union {
		struct d_result	result;
		struct d_next	next;
		struct d_return	returned;
		struct d_ended	ended;
	};
};

struct dispatch {
	struct loop		*loop;
	struct books		*books;
	void			(*end_turn)(void *);
	void			*context;
	struct link		*link;		/* NULL: delivery is gone */
	bool			 synced;
	bool			 stopping;
	struct flight		*flight;
	struct pulls		*pulls;
	struct draw		 draw;
	uint64_t		 settled;	/* sequence, on this link */
	TAILQ_HEAD(, heard)	 heard;
	TAILQ_HEAD(, active)	 endings;
	/* A turn was lost: wait before it is done again. */
	bool			 waiting;
	bool			 applied;	/* in the turn about to end */
	struct timer		*again_timer;
	uint64_t		*damaged;	/* messages to be held */
	size_t			 damaged_n;
	struct handout		*handout;
	struct rehome		*rehome;
};

static void	on_message(void *context, struct link *, unsigned kind,
		    const void *message, int *fds);
static void	on_closed(void *context, struct link *);
static void	on_drained(void *context, struct link *);
static void	on_again(void *context);
static void	send_body(void *context, uint64_t job, int fd);
static void	on_damaged(void *context, uint64_t message);

static const struct link_calls calls = { on_message, on_closed, on_drained };
static const struct pull_calls pull_calls = { send_body, on_damaged };

struct dispatch *
dispatch_new(struct loop *loop, struct books *books,
    void (*end_turn)(void *context), void *context)
{
	struct dispatch *dispatch = mem_alloc(sizeof(*dispatch));

	dispatch->loop = loop;
	dispatch->books = books;
	dispatch->end_turn = end_turn;
	dispatch->context = context;
	dispatch->flight = flight_new();
	dispatch->pulls = pull_new(loop, books->spool, &pull_calls, dispatch);
	draw_init(&dispatch->draw, books->spool, dispatch->flight);
	TAILQ_INIT(&dispatch->heard);
	TAILQ_INIT(&dispatch->endings);
	dispatch->again_timer = timer_new(loop, on_again, dispatch);
	dispatch->handout = handout_new(loop, books->spool,
	    dispatch->flight);
	relayed_follow(books->config);
	dispatch->rehome = rehome_new(loop, books, dispatch->flight);
	return dispatch;
}

static void
forget_heard(struct dispatch *dispatch, struct heard *heard)
{
	TAILQ_REMOVE(&dispatch->heard, heard, line);
	free(heard);
}

static void
clear_memory(struct dispatch *dispatch)
{
	struct heard *heard;

	while ((heard = TAILQ_FIRST(&dispatch->heard)) != NULL)
		forget_heard(dispatch, heard);
	TAILQ_INIT(&dispatch->endings);
	pull_stop(dispatch->pulls);
	flight_clear(dispatch->flight);
	handout_restart(dispatch->handout);
}

void
dispatch_free(struct dispatch **pointer)
{
	struct dispatch *dispatch = *pointer;

	*pointer = NULL;
	clear_memory(dispatch);
	link_close(&dispatch->link);
	flight_free(&dispatch->flight);
	pull_free(&dispatch->pulls);
	timer_free(&dispatch->again_timer);
	handout_free(&dispatch->handout);
	rehome_free(&dispatch->rehome);
	relayed_follow(NULL);
	free(dispatch->damaged);
	free(dispatch);
}

/* ---- what is said during the turn ---- */

static struct heard *
hear(struct dispatch *dispatch, unsigned kind, const void *message,
    size_t size)
{
	struct heard *heard = mem_alloc(sizeof(*heard));

	heard->kind = kind;
	if (message != NULL)
		memcpy(&heard->result, message, size);
	TAILQ_INSERT_TAIL(&dispatch->heard, heard, line);
	spool_count_event(dispatch->books->spool);
	return heard;
}

/*
 * Delivery says a job's results together, at its end; they may come in two
 * turns.  They are applied in one, so that one bounce names all recipients
 * that failed (SMTP-4.4-3 RFC 5321 4.4).
 */
static void
hear_result(struct dispatch *dispatch, const struct d_result *result)
{
	struct job *job = flight_find_job(dispatch->flight, result->job);

	if (job != NULL)
		job->heard++;
	hear(dispatch, D_RESULT, result, sizeof(*result));
}

static void
hear_return(struct dispatch *dispatch, const struct d_return *returned)
{
	struct job *job = flight_find_job(dispatch->flight, returned->job);

	if (job != NULL)
		job->returned = true;
	hear(dispatch, D_RETURN, returned, sizeof(*returned));
}

/* Will nothing more be heard of this result's job? */
static bool
is_whole(const struct dispatch *dispatch, const struct d_result *result)
{
	const struct job *job = flight_find_job(dispatch->flight,
	    result->job);

	return dispatch->link == NULL || job == NULL || job->returned ||
	    job->heard >= job->left;
}

/* A destination that delivery names; NULL: it is not one of ours any more. */
static struct active *
active_of(struct dispatch *dispatch, uint64_t number)
{
	struct active *active = flight_find(dispatch->flight, number);
	struct destination destination;

	if (active == NULL && spool_get_destination(dispatch->books->spool,
	    number, &destination) == STORE_FOUND)
		active = flight_add(dispatch->flight, &destination);
	return active;
}

/* The same, of which delivery says that it is serving it. */
static struct active *
handed_of(struct dispatch *dispatch, uint64_t number)
{
	struct active *active = flight_find(dispatch->flight, number);
	struct destination destination;

	if (active != NULL && active->handed)
		return active;
	if (spool_get_destination(dispatch->books->spool, number,
	    &destination) != STORE_FOUND)
		return NULL;
	if (active == NULL)
		active = flight_add(dispatch->flight, &destination);
	flight_hand(dispatch->flight, active, &destination,
	    (uint64_t)loop_wall_ms());
	return active;
}

/* A surviving delivery has it in hand: nobody else may get it. */
static void
on_held(struct dispatch *dispatch, const struct d_held *held)
{
	struct flight *flight = dispatch->flight;
	struct job *job = flight_find_job(flight, held->job);
	struct recipient recipient;
	struct message message;
	struct active *active;

	if (!result_find(dispatch->books->spool, held->message,
	    held->recipient, 0, &recipient) ||
	    spool_get_message(dispatch->books->spool, held->message,
	    &message) != STORE_FOUND)
		return;		/* its result is a repeated one */
	active = active_of(dispatch, recipient.destination);
	if (active == NULL)
		return;
	if (job == NULL)
		job = flight_new_job(flight, active, held->job, &message);
	/* Its attempt began we do not know when: nothing expires by it. */
	job->began_ms = 0;
	flight_add_to(job, &recipient);
}

static void
on_host(struct dispatch *dispatch, const struct d_host *host)
{
	struct active *active = flight_find(dispatch->flight,
	    host->destination);

	if (active != NULL && active->handed)
		trail_add(&active->trail, host);
}

static void
on_body(struct dispatch *dispatch, const struct d_body *body)
{
	const struct job *job = flight_find_job(dispatch->flight, body->job);
	struct message message;
	bool exists = job != NULL && spool_get_message(
	    dispatch->books->spool, job->message.id, &message) ==
	    STORE_FOUND;

	/* Removed by the operator: the pipe ends at once, nothing is sent. */
	pull_begin(dispatch->pulls, body->job, exists ? &message : NULL);
}

static void
send_body(void *context, uint64_t number, int fd)
{
	struct dispatch *dispatch = context;
	const struct job *job = flight_find_job(dispatch->flight, number);
	struct d_pipe pipe = { .job = number };

	if (dispatch->link == NULL || job == NULL) {
		close(fd);
		return;
	}
	pipe.size_bytes = record_octets(&job->message);
	link_send(dispatch->link, D_PIPE, &pipe, &fd);
}

static void
on_damaged(void *context, uint64_t message)
{
	struct dispatch *dispatch = context;

	dispatch->damaged = mem_grow(dispatch->damaged,
	    (dispatch->damaged_n + 1) * sizeof(*dispatch->damaged));
	dispatch->damaged[dispatch->damaged_n++] = message;
}

static void
on_message(void *context, struct link *link, unsigned kind,
    const void *message, int *fds)
{
	struct dispatch *dispatch = context;

	(void)link;
	(void)fds;
	if (kind == D_HOST)
		on_host(dispatch, message);
	else if (kind == D_BODY)
		on_body(dispatch, message);
	else if (kind == D_HELD)
		on_held(dispatch, message);
	else if (kind == D_SYNCED)
		dispatch->synced = true;
	else if (kind == D_RESULT)
		hear_result(dispatch, message);
	else if (kind == D_NEXT)
		hear(dispatch, kind, message, sizeof(struct d_next));
	else if (kind == D_RETURN)
		hear_return(dispatch, message);
	else if (kind == D_ENDED)
		hear(dispatch, kind, message, sizeof(struct d_ended));
	if (spool_turn_is_full(dispatch->books->spool))
		dispatch->end_turn(dispatch->context);
}

static void
on_drained(void *context, struct link *link)
{
	(void)context;
	(void)link;	/* the end of this turn goes on where it stopped */
}

/*
 * Delivery is gone: its results in hand still count, all else waits as before.
 */
static void
on_closed(void *context, struct link *link)
{
	struct dispatch *dispatch = context;

	(void)link;
	dispatch->link = NULL;
	dispatch->synced = false;
	dispatch->end_turn(dispatch->context);
	clear_memory(dispatch);
}

void
dispatch_serve(struct dispatch *dispatch, int fd)
{
	if (dispatch->link != NULL) {
		link_close(&dispatch->link);
		dispatch->end_turn(dispatch->context);
		clear_memory(dispatch);
	}
	dispatch->synced = false;
	dispatch->settled = 0;
	dispatch->link = link_new(dispatch->loop, fd, &feed_wire, &calls,
	    dispatch);
	link_pause(dispatch->link, dispatch->waiting);
}

/* ---- before the end of the turn ---- */

static bool
is_repeated(const struct dispatch *dispatch, const struct d_result *result)
{
	return result->sequence != 0 && result->sequence <= dispatch->settled;
}

static void
apply_result(struct dispatch *dispatch, const struct d_result *result)
{
	struct job *job = flight_find_job(dispatch->flight, result->job);
	struct active *active = flight_find(dispatch->flight,
	    result->destination);
	int place = job != NULL ? flight_place(job, result->recipient) : -1;
	bool attempt = active != NULL && active->handed;

	spool_want_flush(dispatch->books->spool);
	if (is_repeated(dispatch, result))
		return;
	result_apply(dispatch->books, result,
	    place >= 0 ? job->to[place].number : 0,
	    attempt ? &active->trail : NULL, job != NULL ? job->began_ms : 0);
}

static bool
in_flight(void *context, const struct due *place)
{
	const struct dispatch *dispatch = context;

	return flight_has(dispatch->flight, place->destination, place->id,
	    place->number);
}

/* On a copy: the turn may be lost. */
static void
apply_ending(struct dispatch *dispatch, struct active *active)
{
	const struct ending_calls walk = { in_flight, dispatch };

	active->ending_turn = spool_turn(dispatch->books->spool);
	active->ending_next = *active->ending;
	active->ending_done = ending_slice(dispatch->books,
	    &active->ending_next, &active->trail, &walk);
}

void
dispatch_before_commit(struct dispatch *dispatch)
{
	struct spool *spool = dispatch->books->spool;
	struct active *active;
	struct heard *heard;
	unsigned slices = 0;

	dispatch->applied = !dispatch->waiting;
	/* What delivery has in hand is known once it has said so. */
	rehome_before_commit(dispatch->rehome, dispatch->synced &&
	    !dispatch->stopping && !dispatch->waiting);
	if (dispatch->waiting)
		return;
	TAILQ_FOREACH(heard, &dispatch->heard, line) {
		heard->applied = heard->kind == D_RESULT &&
		    is_whole(dispatch, &heard->result);
		if (heard->applied)
			apply_result(dispatch, &heard->result);
	}
	TAILQ_FOREACH(active, &dispatch->endings, endings) {
		if (slices++ == SLICES_A_TURN || (slices > 1 &&
		    spool_turn_is_full(spool)))
			break;
		apply_ending(dispatch, active);
	}
	for (unsigned i = 0; i < dispatch->draw.bad_n; i++)
		spool_hold_due(spool, &dispatch->draw.bad[i]);
	/* Not to be drawn again. */
	for (size_t i = 0; i < dispatch->damaged_n; i++)
		spool_hold_message(spool, dispatch->damaged[i]);
	handout_before_commit(dispatch->handout);
}

/* ---- drawing a message ---- */

static void
send_job(struct dispatch *dispatch, const struct job *job,
    const struct d_next *next)
{
	const struct message *message = &job->message;
	struct d_job out = {
		.destination = job->active->number,
		.session = job->session,
		.job = job->number,
		.message = message->id,
		.size_bytes = record_octets(message),
		.body = message->eight_bit ? BODY_8BITMIME : BODY_7BIT,
		.recipients = job->n,
		.more = flight_waiting(job->active),
		.ret = message->ret,
		.requiretls = message->class == CLASS_REQUIRETLS
	};
	struct d_rcpt rcpt = { .job = job->number };

	/* EXT-6152-3-4: what was announced, where it can be said */
	if (next->has_8bitmime && message->body == BODY_8BITMIME)
		out.body = BODY_8BITMIME;
	memcpy(out.sender, message->sender, sizeof(out.sender));
	memcpy(out.envid, message->envid, sizeof(out.envid));
	link_send(dispatch->link, D_JOB, &out, NULL);
	for (uint32_t i = 0; i < job->n; i++) {
		rcpt.number = i;
		memcpy(rcpt.recipient, dispatch->draw.addresses[i],
		    sizeof(rcpt.recipient));
		rcpt.notify = dispatch->draw.notify[i];
		memcpy(rcpt.orcpt, dispatch->draw.orcpt[i],
		    sizeof(rcpt.orcpt));
		link_send(dispatch->link, D_RCPT, &rcpt, NULL);
	}
}

static void
answer_next(struct dispatch *dispatch, const struct d_next *next)
{
	struct active *active = dispatch->stopping ? NULL :
	    handed_of(dispatch, next->destination);
	struct d_none none = { next->destination, next->session };
	struct job *job = NULL;

	if (active != NULL && active->ending == NULL &&
	    books_may_leave(dispatch->books))
		job = draw_job(&dispatch->draw, active, next->session,
		    (uint64_t)loop_wall_ms());
	if (job != NULL)
		send_job(dispatch, job, next);
	else
		link_send(dispatch->link, D_NONE, &none, NULL);
}

/* ---- after the end of the turn ---- */

/*
 * A job of an older queue or delivery: no D_ENDED will say where the
 * destination's index entry belongs now.
 */
static void
look_again(struct dispatch *dispatch, const struct active *active)
{
	if (!active->handed)
		handout_look_again(dispatch->handout, active->number);
}

static void
after_result(struct dispatch *dispatch, const struct d_result *result)
{
	struct active *active = flight_find(dispatch->flight,
	    result->destination);
	struct job *job = flight_find_job(dispatch->flight, result->job);
	int place = job != NULL ? flight_place(job, result->recipient) : -1;

	if (result->sequence > dispatch->settled)
		dispatch->settled = result->sequence;
	if (active != NULL) {
		active->results++;
		look_again(dispatch, active);
	}
	if (job != NULL && job->heard > 0)
		job->heard--;
	if (place >= 0)
		flight_done(dispatch->flight, job, place);
}

static void
after_return(struct dispatch *dispatch, const struct d_return *returned)
{
	struct job *job = flight_find_job(dispatch->flight, returned->job);

	if (job == NULL)
		return;
	look_again(dispatch, job->active);
	flight_return(dispatch->flight, job);
}

/* Its consequences are written in the turns to come. */
static void
after_ended(struct dispatch *dispatch, const struct d_ended *ended)
{
	struct active *active = handed_of(dispatch, ended->destination);
	struct ending *ending;

	if (active == NULL || active->ending != NULL)
		return;
	ending = mem_alloc(sizeof(*ending));
	ending->said = *ended;
	ending->began_ms = active->trail.began_ms;
	ending->ended_ms = (uint64_t)loop_wall_ms();
	ending->idle = active->results == 0;
	active->ending = ending;
	TAILQ_INSERT_TAIL(&dispatch->endings, active, endings);
}

static bool
is_waiting_for_room(const struct dispatch *dispatch)
{
	return dispatch->link != NULL && link_full(dispatch->link);
}

/* One thing that was heard; false: not now, the link is full. */
static bool
after_heard(struct dispatch *dispatch, const struct heard *heard)
{
	if (heard->kind == D_NEXT && is_waiting_for_room(dispatch))
		return false;
	if (heard->kind == D_RESULT && !heard->applied)
		return false;
	if (heard->kind == D_RESULT)
		after_result(dispatch, &heard->result);
	else if (heard->kind == D_RETURN)
		after_return(dispatch, &heard->returned);
	else if (heard->kind == D_ENDED)
		after_ended(dispatch, &heard->ended);
	else if (dispatch->link != NULL)
		answer_next(dispatch, &heard->next);
	return true;
}

/* In the order in which it was said. */
static void
after_all_heard(struct dispatch *dispatch)
{
	struct heard *heard, *next;
	bool results = false;

	for (heard = TAILQ_FIRST(&dispatch->heard); heard != NULL;
	    heard = next) {
		next = TAILQ_NEXT(heard, line);
		results = results || heard->applied;
		if (after_heard(dispatch, heard))
			forget_heard(dispatch, heard);
	}
	if (dispatch->link != NULL && results) {
		struct d_settled out = { dispatch->settled };

		link_send(dispatch->link, D_SETTLED, &out, NULL);
	}
}

/* Endings that had a slice in this turn; others come first in the next. */
static void
after_endings(struct dispatch *dispatch)
{
	uint64_t turn = spool_turn(dispatch->books->spool) - 1;
	struct active *active;

	while ((active = TAILQ_FIRST(&dispatch->endings)) != NULL &&
	    active->ending_turn == turn) {
		active->ending_turn = 0;
		*active->ending = active->ending_next;
		TAILQ_REMOVE(&dispatch->endings, active, endings);
		if (active->ending_done)
			flight_end(dispatch->flight, active);
		else
			TAILQ_INSERT_TAIL(&dispatch->endings, active,
			    endings);
	}
}

/* The store failed: what was heard is kept, and nothing more is taken. */
static void
wait_and_repeat(struct dispatch *dispatch)
{
	dispatch->waiting = true;
	handout_restart(dispatch->handout);
	timer_set(dispatch->again_timer, AGAIN_MS);
	if (dispatch->link != NULL)
		link_pause(dispatch->link, true);
}

static void
on_again(void *context)
{
	struct dispatch *dispatch = context;

	dispatch->waiting = false;
	if (dispatch->link != NULL)
		link_pause(dispatch->link, false);
}

/* How many destinations may delivery have at a time? */
static unsigned
handed_most(const struct dispatch *dispatch)
{
	if (!dispatch->synced || dispatch->stopping || dispatch->waiting)
		return 0;
	return WORKERS_AHEAD * (*dispatch->books->config)->workers;
}

bool
dispatch_after_commit(struct dispatch *dispatch, bool durable)
{
	bool moving = rehome_after_commit(dispatch->rehome, durable);

	if (!durable && dispatch->applied)
		wait_and_repeat(dispatch);
	if (durable && dispatch->applied) {
		dispatch->damaged_n = 0;
		handout_settled(dispatch->handout);
		dispatch->draw.bad_n = 0;
		after_endings(dispatch);
		after_all_heard(dispatch);
	}
	handout_run(dispatch->handout, dispatch->link,
	    handed_most(dispatch));
	return pull_turn(dispatch->pulls) || moving || (!dispatch->waiting &&
	    (!TAILQ_EMPTY(&dispatch->endings) ||
	    dispatch->draw.bad_n > 0 || dispatch->damaged_n > 0 ||
	    handout_has_unsettled(dispatch->handout)));
}

void
dispatch_stop(struct dispatch *dispatch)
{
	dispatch->stopping = true;
}

bool
dispatch_idle(const struct dispatch *dispatch)
{
	return flight_jobs(dispatch->flight) == 0 &&
	    TAILQ_EMPTY(&dispatch->heard);
}

bool
dispatch_has(const struct dispatch *dispatch,
    const struct recipient *recipient)
{
	return flight_has(dispatch->flight, recipient->destination,
	    recipient->id, recipient->number);
}

bool
dispatch_serves(const struct dispatch *dispatch, uint64_t destination)
{
	const struct active *active = flight_find(dispatch->flight,
	    destination);

	return active != NULL && active->handed;
}

void
dispatch_hold(struct dispatch *dispatch, uint64_t destination,
    uint64_t until_ms)
{
	struct active *active = flight_find(dispatch->flight, destination);
	const struct d_destination hold = { destination };

	if (active == NULL)
		return;
	flight_hold(active, until_ms);
	if (until_ms != 0 && active->handed && dispatch->link != NULL)
		link_send(dispatch->link, D_HOLD, &hold, NULL);
}
