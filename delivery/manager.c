/*
 * Who is served next, and who may ask?
 *
 * Called by main.c.  It holds the links to queue, policy, reports (tell.c)
 * and the spawner, passes on what they say, and hands out what is scarce:
 * questions to policy, connections in all, connections to one address.  All
 * steps are taken at the end of a turn, one attempt after the other, so that
 * nothing is freed under anybody's feet.
 *
 * When queue dies, messages past their final dot are kept, others are cut;
 * attempts are forgotten, for the next queue says what is due.  When policy
 * dies its questions wait for the next one.  Stopping lets messages end for
 * STOP_MS, those past the dot for STOP_DOTTED_MS.
 */
#include "delivery/manager.h"

#include "conf/log.h"
#include "conf/parent.h"
#include "delivery/tell.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Questions that were put just now; and all that have no answer. */
#define ASKS_MAX	100
#define ALL_ASKS_MAX	3000
/* A server that said 354 waits for some minutes at least. */
#define BODY_MS		(60 * 1000)
#define STOP_MS		(20 * 1000)
#define STOP_DOTTED_MS	(60 * 1000)
#define STOP_END_MS	(65 * 1000)
/* What reports has not on disk by then is lost. */
#define STOP_TOLD_MS	(5 * 1000)
#define STOP_TICK_MS	250

static void	on_stop_tick(void *context);
static void	on_ask_tick(void *context);

/* ---- links ---- */

static void
on_queue_message(void *context, struct link *link, unsigned kind,
    const void *message, int *fds)
{
	struct manager *manager = context;
	struct attempt *attempt;

	(void)link;
	switch (kind) {
	case D_DUE:
		attempt_new(manager, message);
		return;
	case D_JOB:
		job_take(manager, message);
		return;
	case D_RCPT:
		job_take_rcpt(manager, message);
		return;
	case D_NONE:
		channel_take_none(manager, message);
		return;
	case D_PIPE:
		job_take_pipe(manager, message, fds);
		return;
	case D_SETTLED:
		job_settle(manager, message);
		return;
	case D_HOLD:
		attempt = attempt_find(manager,
		    ((const struct d_destination *)message)->destination);
		if (attempt != NULL)
			attempt_stop(attempt);
		return;
	default:
		bug("message %#x from queue", kind);
	}
}

/*
 * What was not past its final dot is cut, what was goes on.  W_DOT may be
 * under way: then its worker does not heed W_CUT, and the job goes on as well.
 * One that never began is forgotten like everything else that queue will say
 * again.
 */
static void
drop_jobs(struct manager *manager)
{
	struct job *job, *next;

	for (job = TAILQ_FIRST(&manager->jobs); job != NULL; job = next) {
		next = TAILQ_NEXT(job, entry);
		job_make_stale(job);
		if (job->channel == NULL || job->channel->ahead == job ||
		    job->channel->state != CHANNEL_RUNNING)
			job_free(job);
		else if (!job->dotted)
			channel_cut(job->channel);
	}
}

static void
drop_attempts(struct manager *manager)
{
	struct channel *channel, *next;
	struct attempt *attempt;
	unsigned i;

	for (i = 0; i < ATTEMPT_BUCKETS; i++)
		while ((attempt = LIST_FIRST(&manager->attempts[i])) != NULL)
			attempt_drop(attempt);
	for (channel = TAILQ_FIRST(&manager->channels); channel != NULL;
	    channel = next) {
		next = TAILQ_NEXT(channel, entry);
		if (channel->state != CHANNEL_RUNNING)
			channel_leave(channel);
	}
}

static void
on_queue_closed(void *context, struct link *link)
{
	struct manager *manager = context;

	manager->queue = NULL;
	drop_jobs(manager);
	drop_attempts(manager);
	/* NULL: it is replaced already. */
	if (link != NULL && !manager->stopping)
		parent_need(PROGRAM_QUEUE);
}

static void
on_queue_drained(void *context, struct link *link)
{
	struct manager *manager = context;
	struct channel *channel;

	(void)link;
	job_say_results(manager);
	TAILQ_FOREACH(channel, &manager->channels, entry)
		if (channel->state == CHANNEL_READY &&
		    channel->attempt != NULL)
			attempt_mark(channel->attempt);
}

static const struct link_calls queue_calls = {
	.message = on_queue_message, .closed = on_queue_closed,
	.drained = on_queue_drained
};

static void
on_policy_message(void *context, struct link *link, unsigned kind,
    const void *message, int *fds)
{
	(void)link;
	(void)fds;
	if (kind == R_ROUTE)
		attempt_take_route(context, message);
	else if (kind == R_HOST)
		attempt_take_host(context, message);
	else if (kind == R_END)
		attempt_take_end(context, message);
	else
		bug("message %#x from policy", kind);
}

/* Trap T30: without policy mail waits. */
static void
on_policy_closed(void *context, struct link *link)
{
	(void)link;
	((struct manager *)context)->policy = NULL;
	parent_need(PROGRAM_POLICY);
}

static const struct link_calls policy_calls = {
	.message = on_policy_message, .closed = on_policy_closed
};

void
manager_link(struct manager *manager, enum program peer, int fd)
{
	if (peer == PROGRAM_QUEUE) {
		if (manager->queue != NULL) {
			link_close(&manager->queue);
			on_queue_closed(manager, NULL);
		}
		manager->queue = link_new(manager->loop, fd, &feed_wire,
		    &queue_calls, manager);
		job_begin_sync(manager);
	} else if (peer == PROGRAM_POLICY) {
		link_close(&manager->policy);
		manager->policy = link_new(manager->loop, fd, &route_wire,
		    &policy_calls, manager);
		attempt_ask_again(manager);
	} else if (peer == PROGRAM_REPORTS) {
		tell_link(manager, fd);
	} else {
		close(fd);
	}
}

void
manager_tell_queue(struct manager *manager, unsigned kind,
    const void *message)
{
	if (manager->queue != NULL)
		link_send(manager->queue, kind, message, NULL);
}

/* ---- what is scarce ---- */

bool
manager_has_slot(const struct manager *manager)
{
	return manager->channels_n < manager->config->workers;
}

bool
manager_is_short(const struct manager *manager)
{
	return !manager_has_slot(manager) &&
	    (!TAILQ_EMPTY(&manager->for_slot) ||
	    !TAILQ_EMPTY(&manager->fresh));
}

/*
 * A question is worth asking when its answer can be used soon.  T45: one whose
 * answer is long in coming, for a policy host says nothing, keeps nobody from
 * asking.
 */
static bool
may_ask(const struct manager *manager)
{
	return !manager->stopping && manager->asks_n < ASKS_MAX &&
	    manager->asks_n + manager->slow_asks_n < ALL_ASKS_MAX &&
	    manager->channels_n + manager->asks_n < manager->config->workers;
}

struct load *
manager_load(struct manager *manager, const struct address *address)
{
	struct load *load;

	LIST_FOREACH(load, &manager->loads, entry)
		if (address_equal(&load->address, address))
			return load;
	load = mem_alloc(sizeof(*load));
	load->address = *address;
	TAILQ_INIT(&load->waiting);
	LIST_INSERT_HEAD(&manager->loads, load, entry);
	manager->loads_changed = true;
	return load;
}

static void
on_ask_tick(void *context)
{
	attempt_look_at_questions(context);
}

/* Wake who waits for an address that has room; drop loads without use. */
static void
look_at_loads(struct manager *manager)
{
	struct load *load, *next;
	struct attempt *attempt;

	manager->loads_changed = false;
	for (load = LIST_FIRST(&manager->loads); load != NULL; load = next) {
		next = LIST_NEXT(load, entry);
		attempt = TAILQ_FIRST(&load->waiting);
		if (attempt == NULL) {
			if (load->channels > 0)
				continue;
			LIST_REMOVE(load, entry);
			free(load);
		} else if (load->channels < manager->config->per_host) {
			attempt_stop_waiting(attempt);
			attempt_mark(attempt);
		}
	}
}

void
manager_note_connected(struct manager *manager)
{
	if (!manager->has_connected && manager->timed_out_n >= ALARM_DOMAINS)
		parent_alarm("port25", false, "a connection to port 25 has "
		    "succeeded");
	manager->has_connected = true;
}

void
manager_note_timed_out(struct manager *manager, const char *domain)
{
	unsigned i;

	if (manager->has_connected || manager->timed_out_n >= ALARM_DOMAINS)
		return;
	for (i = 0; i < manager->timed_out_n; i++)
		if (strcmp(manager->timed_out[i], domain) == 0)
			return;
	memcpy(manager->timed_out[manager->timed_out_n++], domain,
	    strlen(domain) + 1);
	if (manager->timed_out_n == ALARM_DOMAINS)
		parent_alarm("port25", true, "five destinations timed out "
		    "and no connection to port 25 has succeeded since start: "
		    "the provider probably blocks it");
}

/* ---- turns ---- */

/* One step for somebody; false: there is nothing to do. */
static bool
step(struct manager *manager)
{
	struct attempt *attempt;

	attempt = TAILQ_FIRST(&manager->marked);
	if (attempt != NULL) {
		TAILQ_REMOVE(&manager->marked, attempt, mark);
		attempt->is_marked = false;
		attempt_advance(attempt);
		return true;
	}
	if (manager->loads_changed) {
		look_at_loads(manager);
		return true;
	}
	attempt = TAILQ_FIRST(&manager->for_slot);
	if (attempt == NULL || !manager_has_slot(manager))
		attempt = may_ask(manager) ? TAILQ_FIRST(&manager->fresh) :
		    NULL;
	if (attempt == NULL)
		return false;
	attempt_stop_waiting(attempt);
	attempt_advance(attempt);
	return true;
}

void
manager_turn(void *context)
{
	while (step(context))
		continue;
}

/* ---- beginning, settings, end ---- */

struct manager *
manager_new(struct loop *loop, struct config *config, int spawner_fd)
{
	struct manager *manager;
	unsigned i;

	manager = mem_alloc(sizeof(*manager));
	manager->loop = loop;
	manager->config = config;
	manager->body_ms = BODY_MS;
	for (i = 0; i < ATTEMPT_BUCKETS; i++)
		LIST_INIT(&manager->attempts[i]);
	for (i = 0; i < CHANNEL_BUCKETS; i++)
		LIST_INIT(&manager->by_session[i]);
	for (i = 0; i < JOB_BUCKETS; i++)
		LIST_INIT(&manager->by_job[i]);
	TAILQ_INIT(&manager->marked);
	TAILQ_INIT(&manager->fresh);
	TAILQ_INIT(&manager->for_slot);
	TAILQ_INIT(&manager->asking);
	TAILQ_INIT(&manager->channels);
	LIST_INIT(&manager->loads);
	TAILQ_INIT(&manager->jobs);
	TAILQ_INIT(&manager->unsettled);
	manager->stop_timer = timer_new(loop, on_stop_tick, manager);
	manager->ask_timer = timer_new(loop, on_ask_tick, manager);
	manager->settings = policy_settings_mark(config);
	tell_settings(manager);
	pool_begin(manager, spawner_fd);
	loop_at_turn_end(loop, manager_turn, manager);
	return manager;
}

void
manager_settings(struct manager *manager, struct config *config,
    int bundle_fd)
{
	config_free(&manager->config);
	manager->config = config;
	manager->settings = policy_settings_mark(config);
	manager->loads_changed = true;
	tell_settings(manager);
	if (bundle_fd >= 0)
		pool_set_bundle(manager, bundle_fd);
}

/* The time that a message under way may still have is over. */
static void
cut_late(struct manager *manager, int64_t spent_ms)
{
	struct channel *channel, *next;

	for (channel = TAILQ_FIRST(&manager->channels); channel != NULL;
	    channel = next) {
		next = TAILQ_NEXT(channel, entry);
		if (channel->job == NULL || !channel->job->dotted)
			channel_cut(channel);
		else if (spent_ms >= STOP_DOTTED_MS)
			channel_end(channel);
	}
}

/* Nothing runs, and all that was achieved is durable. */
static bool
is_over(const struct manager *manager, int64_t spent_ms)
{
	if (spent_ms >= STOP_END_MS)
		return true;
	return manager->channels_n == 0 && TAILQ_EMPTY(&manager->jobs) &&
	    (manager->queue == NULL || (TAILQ_EMPTY(&manager->unsettled) &&
	    manager->attempts_n == 0)) &&
	    (!tell_is_owed(manager) || spent_ms >= STOP_TOLD_MS);
}

static void
on_stop_tick(void *context)
{
	struct manager *manager = context;
	int64_t spent_ms = loop_now_ms() - manager->stop_ms;

	if (is_over(manager, spent_ms)) {
		loop_stop(manager->loop);
		return;
	}
	if (spent_ms >= STOP_MS)
		cut_late(manager, spent_ms);
	timer_set(manager->stop_timer, STOP_TICK_MS);
}

void
manager_stop(struct manager *manager)
{
	struct channel *channel, *next;
	struct attempt *attempt;
	unsigned i;

	if (manager->stopping)
		return;
	manager->stopping = true;
	manager->stop_ms = loop_now_ms();
	for (i = 0; i < ATTEMPT_BUCKETS; i++)
		LIST_FOREACH(attempt, &manager->attempts[i], entry)
			attempt_stop(attempt);
	for (channel = TAILQ_FIRST(&manager->channels); channel != NULL;
	    channel = next) {
		next = TAILQ_NEXT(channel, entry);
		if (channel->state == CHANNEL_PROVING)
			channel_cut(channel);
	}
	timer_set(manager->stop_timer, 0);
}
