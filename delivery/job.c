/*
 * Which message is on its way, and what became of each recipient?
 *
 * Called by manager.c with what queue says, by channel.c with what a worker
 * says.  A job lives from D_JOB until each of its recipients has a result or
 * was given back.  It runs on a channel; or it is homeless, in its attempt's
 * list, because its host would not take it; or, for a moment, it fills.
 *
 * Results are said together at the end of a job, so that one message's
 * refusals become one notification.  They are kept until queue says that they
 * are durable, over queue's death too: what a server took is said until it is
 * known.  D_RESULT of a stale job
 * (its queue died while it was past the final dot) names recipient and
 * message; numbers of jobs mean nothing to the new queue but by D_HELD.
 *
 * A body is asked for when the server has said 354.  Where more messages wait
 * it is asked for when the message is drawn for its proven session, so that
 * queue's turn passes beside the envelope: the manager keeps the pipe unread,
 * and the worker gets it at 354 as ever.
 */
#include "delivery/manager.h"

#include "conf/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct job *
find(struct manager *manager, uint64_t number)
{
	struct job *job;

	LIST_FOREACH(job, &manager->by_job[number % JOB_BUCKETS], bucket)
		if (job->about.job == number)
			return job;
	return NULL;
}

void
job_make_stale(struct job *job)
{
	if (!job->stale)
		LIST_REMOVE(job, bucket);
	job->stale = true;
}

/* Its results so far are queue's from now on, in one piece. */
static void
release(struct job *job)
{
	struct manager *manager = job->manager;
	struct unsettled *unsettled;

	while ((unsettled = TAILQ_FIRST(&job->results)) != NULL) {
		TAILQ_REMOVE(&job->results, unsettled, entry);
		unsettled->result.sequence = ++manager->last_sequence;
		unsettled->kind = D_RESULT;
		/* Told as running before; its result follows. */
		unsettled->held = job->held_n > unsettled->place;
		TAILQ_INSERT_TAIL(&manager->unsettled, unsettled, entry);
		if (manager->unsent == NULL)
			manager->unsent = unsettled;
	}
	job_say_results(manager);
}

void
job_free(struct job *job)
{
	release(job);
	if (job->channel != NULL && job->channel->ahead == job)
		job->channel->ahead = NULL;
	else if (job->channel != NULL)
		job->channel->job = NULL;
	if (job->attempt != NULL)
		TAILQ_REMOVE(&job->attempt->homeless, job, in_attempt);
	TAILQ_REMOVE(&job->manager->jobs, job, entry);
	if (!job->stale)
		LIST_REMOVE(job, bucket);
	if (job->body_fd >= 0)
		close(job->body_fd);
	free(job->rcpts);
	free(job->hosts);
	free(job);
}

static void
say_return(struct manager *manager, uint64_t number)
{
	struct d_return message = { .job = number };

	manager_tell_queue(manager, D_RETURN, &message);
}

/* Something to be said when all before it was: NULL where it may be now. */
static struct unsettled *
say_later(struct manager *manager, unsigned kind)
{
	struct unsettled *later;

	if (manager->unsent == NULL)
		return NULL;
	later = mem_alloc(sizeof(*later));
	later->kind = kind;
	TAILQ_INSERT_TAIL(&manager->unsettled, later, entry);
	return later;
}

static void
forget_unsettled(struct manager *manager, struct unsettled *one)
{
	TAILQ_REMOVE(&manager->unsettled, one, entry);
	free(one->ended);
	free(one);
}

/* Never before its results: queue would give the delivered ones out again. */
void
job_return(struct job *job)
{
	struct manager *manager = job->manager;
	uint64_t number = job->about.job;
	/* A number of an older queue's is known by D_HELD alone. */
	bool known = !job->stale || job->held_n > 0;
	struct unsettled *later;

	job_free(job);
	if (manager->queue == NULL || !known)
		return;
	later = say_later(manager, D_RETURN);
	if (later != NULL)
		later->result.job = number;
	else
		say_return(manager, number);
}

void
job_say_ended(struct manager *manager, const struct d_ended *ended)
{
	struct unsettled *later;

	if (manager->queue == NULL)
		return;
	later = say_later(manager, D_ENDED);
	if (later == NULL) {
		manager_tell_queue(manager, D_ENDED, ended);
		return;
	}
	later->ended = mem_alloc(sizeof(*ended));
	*later->ended = *ended;
}

/* ---- from queue ---- */

void
job_take(struct manager *manager, const struct d_job *about)
{
	struct channel *channel = channel_find(manager, about->session);
	struct job *job;

	attempt_take_answer(manager, about->destination);
	job = mem_alloc(sizeof(*job));
	job->manager = manager;
	job->about = *about;
	job->body_fd = -1;
	TAILQ_INIT(&job->results);
	TAILQ_INSERT_TAIL(&manager->jobs, job, entry);
	LIST_INSERT_HEAD(&manager->by_job[about->job % JOB_BUCKETS], job,
	    bucket);
	if (channel == NULL || about->recipients == 0 ||
	    !channel_take_job(channel, job)) {
		job_return(job);
		return;
	}
	job->rcpts = mem_alloc(about->recipients * sizeof(*job->rcpts));
}

void
job_begin(struct job *job)
{
	struct channel *channel = job->channel;

	channel->state = CHANNEL_READY;
	if (channel->attempt->over || !channel_still_good(channel)) {
		/* Meanwhile the route ran out, or our workers died. */
		job_return(job);
		channel_leave(channel);
		return;
	}
	if (job_fits(job, channel)) {
		job_run(job, channel);
		return;
	}
	job_note_host(job, channel->host);
	channel->job = NULL;
	job->channel = NULL;
	attempt_take_homeless(channel->attempt, job);
}

void
job_take_rcpt(struct manager *manager, const struct d_rcpt *from)
{
	struct job *job = find(manager, from->job);
	struct job_rcpt *rcpt;

	/* Unknown: it was given back while they were under way. */
	if (job == NULL || job->rcpts_n == job->about.recipients ||
	    from->number != job->rcpts_n)
		return;
	rcpt = &job->rcpts[job->rcpts_n++];
	memcpy(rcpt->recipient, from->recipient, sizeof(from->recipient));
	rcpt->notify = from->notify;
	memcpy(rcpt->orcpt, from->orcpt, sizeof(from->orcpt));
	job->open_n++;
	if (job->rcpts_n < job->about.recipients)
		return;
	/* One drawn ahead waits for its turn. */
	if (job->channel->job == job)
		job_begin(job);
	else
		job_ask_body(job);
}

void
job_ask_body(struct job *job)
{
	struct d_body body = { .job = job->about.job };

	if (job->body_asked || job->body_fd >= 0)
		return;
	job->body_asked = true;
	manager_tell_queue(job->manager, D_BODY, &body);
}

/* The body is here, and its worker waits for it. */
static void
hand_over_body(struct job *job)
{
	struct w_pipe pipe = {
		.job = job->about.job, .size_bytes = job->body_bytes
	};
	int fd = job->body_fd;

	job->body_fd = -1;
	job->body_due = false;
	if (job->channel != NULL)
		channel_await_body(job->channel, false);
	/* After W_CUT it does not wait any more. */
	if (job->channel == NULL || job->channel->cut ||
	    job->channel->state != CHANNEL_RUNNING)
		close(fd);
	else
		pool_send(job->channel->worker, W_PIPE, &pipe, &fd);
}

void
job_take_pipe(struct manager *manager, const struct d_pipe *from, int *fds)
{
	struct job *job = find(manager, from->job);

	if (job == NULL || !job->body_asked)
		return;
	job->body_asked = false;
	job->body_fd = fds[0];
	job->body_bytes = from->size_bytes;
	fds[0] = -1;
	if (job->body_due)
		hand_over_body(job);
}

void
job_settle(struct manager *manager, const struct d_settled *settled)
{
	struct unsettled *first;

	while ((first = TAILQ_FIRST(&manager->unsettled)) != NULL &&
	    first->kind == D_RESULT &&
	    first->result.sequence <= settled->sequence) {
		if (manager->unsent == first)
			manager->unsent = TAILQ_NEXT(first, entry);
		forget_unsettled(manager, first);
	}
}

static void
say_held(struct manager *manager, uint64_t job, uint64_t message,
    uint64_t destination, const char *recipient, bool running)
{
	struct d_held held = {
		.running = running, .job = job, .message = message,
		.destination = destination
	};

	snprintf(held.recipient, sizeof(held.recipient), "%s", recipient);
	manager_tell_queue(manager, D_HELD, &held);
}

/* False: the link is full, there is more to say. */
static bool
say_running(struct manager *manager)
{
	struct job *job;
	unsigned i;

	TAILQ_FOREACH(job, &manager->jobs, entry) {
		while (job->held_n < job->rcpts_n) {
			if (link_full(manager->queue))
				return false;
			i = job->held_n++;
			say_held(manager, job->about.job, job->about.message,
			    job->about.destination, job->rcpts[i].recipient,
			    true);
		}
	}
	return true;
}

static bool
say_achieved(struct manager *manager)
{
	struct unsettled *unsettled;

	TAILQ_FOREACH(unsettled, &manager->unsettled, entry) {
		if (unsettled->held || unsettled->kind != D_RESULT)
			continue;
		if (link_full(manager->queue))
			return false;
		unsettled->held = true;
		say_held(manager, unsettled->result.job,
		    unsettled->result.message, unsettled->result.destination,
		    unsettled->result.recipient, false);
	}
	return true;
}

/*
 * The queue is another one, or the same started again: it must send to
 * nobody whom we may just have served.
 */
void
job_begin_sync(struct manager *manager)
{
	struct unsettled *unsettled, *next;
	struct job *job;

	manager->synced = false;
	/*
	 * What was given back to an older queue waits in the new one anyway,
	 * and of its attempts that knows nothing.
	 */
	for (unsettled = TAILQ_FIRST(&manager->unsettled); unsettled != NULL;
	    unsettled = next) {
		next = TAILQ_NEXT(unsettled, entry);
		if (unsettled->kind != D_RESULT)
			forget_unsettled(manager, unsettled);
	}
	manager->unsent = TAILQ_FIRST(&manager->unsettled);
	TAILQ_FOREACH(job, &manager->jobs, entry)
		job->held_n = 0;
	TAILQ_FOREACH(unsettled, &manager->unsettled, entry)
		unsettled->held = false;
	job_say_results(manager);
}

static void
say_next(struct manager *manager)
{
	struct unsettled *one = manager->unsent;

	manager->unsent = TAILQ_NEXT(one, entry);
	if (one->kind == D_RESULT) {
		manager_tell_queue(manager, D_RESULT, &one->result);
		return;
	}
	if (one->kind == D_RETURN)
		say_return(manager, one->result.job);
	else
		manager_tell_queue(manager, D_ENDED, one->ended);
	forget_unsettled(manager, one);
}

void
job_say_results(struct manager *manager)
{
	if (manager->queue == NULL)
		return;
	if (!manager->synced) {
		if (!say_running(manager) || !say_achieved(manager))
			return;
		manager->synced = true;
		manager_tell_queue(manager, D_SYNCED, NULL);
	}
	while (manager->unsent != NULL && !link_full(manager->queue))
		say_next(manager);
}

/* ---- to a channel ---- */

/*
 * EXT-6152-3-2: 8-bit content only where 8BITMIME is offered (ruling 14);
 * EXT-1870-4-1: nothing above the limit that the server names.
 */
bool
job_fits(struct job *job, const struct channel *channel)
{
	if (job->about.body == BODY_8BITMIME && !channel->has_8bitmime) {
		job->lacking_8bit++;
		return false;
	}
	if (channel->size_limit > 0 &&
	    job->about.size_bytes > channel->size_limit) {
		job->lacking_size++;
		return false;
	}
	return true;
}

void
job_note_host(struct job *job, const char *host)
{
	job->hosts = mem_grow(job->hosts,
	    (job->hosts_n + 1) * sizeof(*job->hosts));
	memcpy(job->hosts[job->hosts_n++], host, strlen(host) + 1);
}

static void
keep_facts(struct job *job, const struct d_host *note)
{
	memcpy(job->facts.policy, note->policy, sizeof(note->policy));
	memcpy(job->facts.requirement, note->requirement,
	    sizeof(note->requirement));
	memcpy(job->facts.verdict, note->verdict, sizeof(note->verdict));
	memcpy(job->facts.rule, note->rule, sizeof(note->rule));
	memcpy(job->facts.repair, note->repair, sizeof(note->repair));
	memcpy(job->facts.tls_version, note->tls_version,
	    sizeof(note->tls_version));
	memcpy(job->facts.tls_cipher, note->tls_cipher,
	    sizeof(note->tls_cipher));
}

static void
send_recipients(const struct job *job)
{
	struct w_rcpt rcpt = { .job = job->about.job };
	unsigned i;

	for (i = 0; i < job->rcpts_n; i++) {
		if (job->rcpts[i].over)
			continue;
		rcpt.number = i;
		memcpy(rcpt.recipient, job->rcpts[i].recipient,
		    sizeof(rcpt.recipient));
		rcpt.notify = job->rcpts[i].notify;
		memcpy(rcpt.orcpt, job->rcpts[i].orcpt, sizeof(rcpt.orcpt));
		pool_send(job->channel->worker, W_RCPT, &rcpt, NULL);
	}
}

void
job_run(struct job *job, struct channel *channel)
{
	struct w_job message = {
		.job = job->about.job, .size_bytes = job->about.size_bytes,
		.body = job->about.body, .recipients = job->open_n,
		.ret = job->about.ret,
		/* RTLS-4.2.1-14: what this class was proven for (RTLS-3-1),
		   and notifications in class mail (RTLS-5-5). */
		.requiretls = job->about.requiretls ||
		    channel->facts.class == CLASS_REQUIRETLS
	};

	if (job->attempt != NULL) {
		TAILQ_REMOVE(&job->attempt->homeless, job, in_attempt);
		job->attempt = NULL;
	}
	job->channel = channel;
	job->body_due = false;
	channel->job = job;
	channel->state = CHANNEL_RUNNING;
	channel->messages++;
	job->session = channel->number;
	memcpy(job->host, channel->host, sizeof(job->host));
	memcpy(job->address, channel->address_text, sizeof(job->address));
	memcpy(job->clause, channel->note.clause, sizeof(job->clause));
	keep_facts(job, &channel->note);
	memcpy(message.sender, job->about.sender, sizeof(message.sender));
	memcpy(message.envid, job->about.envid, sizeof(message.envid));
	pool_send(channel->worker, W_JOB, &message, NULL);
	send_recipients(job);
	if (job->about.more > 0)
		job_ask_body(job);
	channel_look_ahead(channel);
}

/* ---- from a worker ---- */

void
job_take_body(struct job *job)
{
	/* Its queue is gone: W_CUT is on its way. */
	if (job->stale)
		return;
	job->body_due = true;
	if (job->body_fd >= 0) {
		hand_over_body(job);
		return;
	}
	channel_await_body(job->channel, true);
	job_ask_body(job);
}

void
job_take_dot(struct job *job)
{
	job->dotted = true;
}

/* A queue that was started since has not heard the session's D_HOST. */
static void
tell_facts(const struct job *job, struct d_result *result)
{
	memcpy(result->policy, job->facts.policy, sizeof(result->policy));
	memcpy(result->requirement, job->facts.requirement,
	    sizeof(result->requirement));
	memcpy(result->verdict, job->facts.verdict, sizeof(result->verdict));
	memcpy(result->rule, job->facts.rule, sizeof(result->rule));
	memcpy(result->repair, job->facts.repair, sizeof(result->repair));
	memcpy(result->tls_version, job->facts.tls_version,
	    sizeof(result->tls_version));
	memcpy(result->tls_cipher, job->facts.tls_cipher,
	    sizeof(result->tls_cipher));
}

/* Keep it until the job is over. */
static void
record(struct job *job, struct job_rcpt *rcpt, struct d_result *result)
{
	struct unsettled *unsettled;

	rcpt->over = true;
	job->open_n--;
	result->job = job->about.job;
	result->message = job->about.message;
	result->session = job->session;
	result->destination = job->about.destination;
	memcpy(result->recipient, rcpt->recipient, sizeof(result->recipient));
	memcpy(result->host, job->host, sizeof(result->host));
	memcpy(result->address, job->address, sizeof(result->address));
	tell_facts(job, result);
	unsettled = mem_alloc(sizeof(*unsettled));
	unsettled->result = *result;
	unsettled->place = (unsigned)(rcpt - job->rcpts);
	TAILQ_INSERT_TAIL(&job->results, unsettled, entry);
}

bool
job_take_result(struct job *job, const struct w_result *from)
{
	struct d_result result = {
		.outcome = from->outcome, .code = from->code,
		.dsn_passed = from->dsn_passed
	};

	if (from->number >= job->rcpts_n || job->rcpts[from->number].over ||
	    from->outcome < OUTCOME_DELIVERED)
		return false;
	memcpy(result.enhanced, from->enhanced, sizeof(result.enhanced));
	/* Delivered: by the rule that let it go there. */
	memcpy(result.clause, from->outcome == OUTCOME_DELIVERED ?
	    job->clause : from->clause, sizeof(result.clause));
	memcpy(result.reply, from->reply, sizeof(result.reply));
	record(job, &job->rcpts[from->number], &result);
	return true;
}

/* The host would not take it: is there another? */
static void
move_on(struct job *job, struct channel *channel, const struct w_done *done)
{
	struct attempt *attempt = channel->attempt;

	job->code = done->code;
	job->lost = done->done == DONE_LOST;
	memcpy(job->enhanced, done->enhanced, sizeof(job->enhanced));
	memcpy(job->reply, done->reply, sizeof(job->reply));
	if (attempt == NULL || job->stale) {
		job_end(job, NULL);
		return;
	}
	if (job->lost)
		attempt_note_loss(attempt, channel, done->reply);
	/* Lost before anything was said: the address may be at fault alone. */
	if (!job->lost || !done->untouched)
		job_note_host(job, channel->host);
	attempt_take_homeless(attempt, job);
}

void
job_take_done(struct job *job, struct channel *channel,
    const struct w_done *done)
{
	if (job->open_n == 0) {
		job_free(job);
		return;
	}
	switch ((enum done)done->done) {
	case DONE_REFUSED:
	case DONE_LOST:
		/*
		 * A session that carried mail before and ends between two
		 * messages (421, too many; or closed) says nothing of this one.
		 */
		if (done->done == DONE_LOST && done->untouched &&
		    channel->messages > 1)
			break;
		if (!job->dotted) {
			move_on(job, channel, done);
			return;
		}
		break;
	case DONE_CUT:
	case DONE_SERVED:
		/* By us, if not by a fault of our own programs. */
		if (channel->attempt != NULL && !job->stale &&
		    !job->manager->stopping)
			attempt_note_death(channel->attempt, true);
		break;
	}
	job_return(job);
}

/* ---- no host is left ---- */

/* Was every host of the route reached, and did each lack it? */
static bool
lacks_everywhere(const struct job *job, const struct nexthop *route)
{
	unsigned i, j;

	if (route == NULL || route->hosts_n == 0 ||
	    job->lacking_8bit + job->lacking_size != job->hosts_n)
		return false;
	for (i = 0; i < route->hosts_n; i++) {
		for (j = 0; j < job->hosts_n; j++)
			if (strcmp(job->hosts[j], route->hosts[i].name) == 0)
				break;
		if (j == job->hosts_n)
			return false;
	}
	return true;
}

static void
print_lacking(const struct job *job, bool everywhere, struct d_result *result)
{
	const char *what = job->lacking_8bit > 0 ?
	    "a message with 8-bit content (8BITMIME is not offered)" :
	    "a message of this size";

	result->outcome = everywhere ? OUTCOME_FAILED : OUTCOME_DEFERRED;
	snprintf(result->enhanced, sizeof(result->enhanced), "%s",
	    job->lacking_8bit > 0 ? (everywhere ? "5.6.3" : "4.6.3") :
	    everywhere ? "5.3.4" : "4.3.4");
	snprintf(result->clause, sizeof(result->clause), "%s",
	    job->lacking_8bit > 0 ? "RFC 6152 3" : "RFC 1870 6.1");
	snprintf(result->reply, sizeof(result->reply),
	    "%s of the domain takes %s",
	    everywhere ? "no host" : "no host that was reached", what);
}

void
job_end(struct job *job, const struct nexthop *route)
{
	struct d_result result = {
		.outcome = OUTCOME_DEFERRED, .code = job->code
	};
	unsigned i;

	if (job->reply[0] == '\0' &&
	    job->lacking_8bit + job->lacking_size > 0) {
		print_lacking(job, lacks_everywhere(job, route), &result);
	} else {
		memcpy(result.enhanced, job->enhanced,
		    sizeof(result.enhanced));
		memcpy(result.reply, job->reply, sizeof(result.reply));
		snprintf(result.clause, sizeof(result.clause), "%s",
		    job->code != 0 ? "RFC 5321 4.2.1" : "RFC 5321 3.8");
	}
	for (i = 0; i < job->rcpts_n; i++)
		if (!job->rcpts[i].over)
			record(job, &job->rcpts[i], &result);
	job_free(job);
}
