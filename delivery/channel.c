/*
 * What is this session doing, seen from the manager?
 *
 * Called by attempt.c (open, leave), job.c (run), manager.c (stop) and
 * pool.c (what its worker says).
 *
 * States: CONNECTING (a socket of ours, until it is writable or the time is
 * up), PROVING (the socket is a worker's), READY, ASKED (D_NEXT), FILLING
 * (D_JOB), RUNNING, then READY again; CLOSING until the worker is idle.  It
 * counts as a connection of ours from its making to its freeing.
 *
 * While a message runs and many wait, the next one is asked for already, so
 * that queue's turn, with its flush, passes beside it and not behind it.
 * What is drawn ahead is judged when it begins, like any other; it is given
 * back when the session ends, or goes to a session that has nothing to do.
 *
 * A worker is not trusted: what it says out of turn ends it, and what it
 * claims to have proven is judged again here.
 */
#include "delivery/manager.h"

#include "conf/log.h"
#include "conf/relayhost.h"
#include "delivery/connect.h"
#include "delivery/facts.h"
#include "delivery/tell.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MESSAGES_MAX	100
/* For a next relay: those that are under way meanwhile come on top. */
#define HOMELESS_MAX	(MESSAGES_MAX / 2)
#define SESSION_MS	(5 * 60 * 1000)

static void	on_connected(void *context, int what);
static void	on_time(void *context);

/* ---- making and freeing ---- */

/*
 * What its worker will be told.  Made with the facts that its proof is judged
 * by: the route may be another when it is connected.
 */
static void
prepare_socket(struct channel *channel, const struct nexthop *route,
    const struct nexthop_host *host)
{
	struct w_socket *socket = mem_alloc(sizeof(*socket));

	socket->session = channel->number;
	socket->clear_retry = channel->clear_retry;
	socket->implicit_tls = route->is_relay &&
	    route->scheme == RELAYHOST_SMTPS;
	memcpy(socket->host, host->name, sizeof(socket->host));
	delivery_put_facts(&channel->facts, socket);
	nexthop_put_tlsa(route, host, &channel->facts, socket);
	channel->socket = socket;
}

/* From now on it takes a slot, of all and of its address. */
static void
enlist(struct channel *channel)
{
	struct manager *manager = channel->manager;

	channel->load = manager_load(manager, &channel->address);
	channel->load->channels++;
	manager->channels_n++;
	TAILQ_INSERT_TAIL(&manager->channels, channel, entry);
	LIST_INSERT_HEAD(&manager->by_session[channel->number %
	    CHANNEL_BUCKETS], channel, bucket);
}

static struct channel *
channel_new(struct attempt *attempt, const struct channel_plan *plan)
{
	struct manager *manager = attempt->manager;
	struct host_verdict verdict;
	struct channel *channel;

	channel = mem_alloc(sizeof(*channel));
	channel->manager = manager;
	channel->attempt = attempt;
	channel->number = ++manager->last_session;
	channel->fd = -1;
	channel->clear_retry = plan->clear_retry;
	channel->extra = plan->extra;
	channel->secondary = plan->secondary;
	channel->since_ms = loop_now_ms();
	snprintf(channel->domain, sizeof(channel->domain), "%s",
	    nexthop_name(attempt->route));
	memcpy(channel->host, plan->host->name, sizeof(channel->host));
	channel->address = plan->address;
	address_print(&plan->address, channel->address_text);
	channel->port = plan->host->port;
	nexthop_facts(attempt->route, plan->host, attempt->class,
	    manager->config, loop_wall_s(), &channel->facts);
	prepare_socket(channel, attempt->route, plan->host);
	verdict = decide_host(&channel->facts);
	facts_host(&channel->note, attempt->destination, attempt->route,
	    plan->host, &channel->facts, &verdict);
	memcpy(channel->note.address, channel->address_text,
	    sizeof(channel->note.address));
	/* Ruling 18: the retry in clear is not a second session. */
	if (!channel->clear_retry)
		channel->telling = tell_begin(attempt, plan->host,
		    &channel->facts);
	channel->timer = timer_new(manager->loop, on_time, channel);
	enlist(channel);
	return channel;
}

static void
close_socket(struct channel *channel)
{
	watch_free(&channel->watch);
	if (channel->fd >= 0)
		close(channel->fd);
	channel->fd = -1;
}

void
channel_orphan(struct channel *channel)
{
	struct attempt *attempt = channel->attempt;

	if (attempt == NULL)
		return;
	if (channel->ahead != NULL)
		job_return(channel->ahead);
	channel->attempt = NULL;
	if (attempt->walker == channel) {
		attempt->walker = NULL;
	} else {
		TAILQ_REMOVE(&attempt->channels, channel, in_attempt);
		attempt->channels_n--;
	}
	attempt_mark(attempt);
}

/* Its worker has let go of it, or it never had one. */
static void
channel_free(struct channel *channel)
{
	struct manager *manager = channel->manager;
	struct load *load = channel->load;

	if (channel->worker != NULL || channel->job != NULL)
		bug("a channel in use is freed");
	channel_orphan(channel);
	close_socket(channel);
	timer_free(&channel->timer);
	TAILQ_REMOVE(&manager->channels, channel, entry);
	LIST_REMOVE(channel, bucket);
	manager->channels_n--;
	load->channels--;
	manager->loads_changed = true;
	free(channel->telling);
	free(channel->socket);
	free(channel);
}

struct channel *
channel_find(struct manager *manager, uint64_t number)
{
	struct channel *channel;

	LIST_FOREACH(channel, &manager->by_session[number % CHANNEL_BUCKETS],
	    bucket)
		if (channel->number == number)
			return channel;
	return NULL;
}

/* ---- connecting ---- */

/* No connection: the attempt goes on elsewhere. */
static void
fail_to_connect(struct channel *channel, const char *why)
{
	struct attempt *attempt = channel->attempt;

	facts_unreachable(&channel->note, why);
	log_line(LOG_LEVEL_DEBUG, "%s: %s [%s]: %s", channel->domain,
	    channel->host, channel->address_text, why);
	if (attempt != NULL) {
		manager_tell_queue(channel->manager, D_HOST, &channel->note);
		attempt_failed(attempt, channel, END_TEMPORARY, NULL, why);
	}
	channel_free(channel);
}

bool
channel_open(struct attempt *attempt, const struct channel_plan *plan)
{
	struct manager *manager = attempt->manager;
	struct channel *channel;
	char why[128];

	channel = channel_new(attempt, plan);
	attempt->walker = channel;
	channel->fd = connect_begin(&channel->address, channel->port,
	    manager->config, channel->number, why, sizeof(why));
	if (channel->fd < 0) {
		fail_to_connect(channel, why);
		return false;
	}
	channel->state = CHANNEL_CONNECTING;
	channel->watch = watch_new(manager->loop, channel->fd, WATCH_WRITE,
	    on_connected, channel);
	timer_set(channel->timer, manager->config->connect_timeout_s * 1000);
	return true;
}

static void
note_timeout(struct channel *channel)
{
	if (channel->attempt != NULL && channel->port == CONNECT_PORT)
		channel->attempt->timeouts++;
}

void
channel_await_body(struct channel *channel, bool awaits)
{
	if (awaits)
		timer_set(channel->timer, channel->manager->body_ms);
	else
		timer_stop(channel->timer);
}

/* What takes too long: the connection, or a body that queue owes us. */
static void
on_time(void *context)
{
	struct channel *channel = context;

	if (channel->state == CHANNEL_CONNECTING) {
		note_timeout(channel);
		fail_to_connect(channel, "connect: timed out");
	} else if (channel->state == CHANNEL_RUNNING &&
	    channel->job != NULL && channel->job->body_due) {
		log_line(LOG_LEVEL_ERROR, "queue has no body for a message "
		    "to %s: it is given back", channel->domain);
		channel_cut(channel);
	}
}

/*
 * Who we say we are: SMTP-2.2.1-2; without a name the address literal of
 * this connection's end.
 */
static void
print_ehlo_name(const struct channel *channel, char *name, size_t size)
{
	const char *hostname = channel->manager->config->hostname;
	const struct address *own = &channel->own;
	char text[ADDRESS_TEXT_MAX];

	if (hostname[0] != '\0')
		snprintf(name, size, "%s", hostname);
	else if (own->family != 0)
		snprintf(name, size, own->family == 4 ? "[%s]" : "[IPv6:%s]",
		    address_print(own, text));
	else
		snprintf(name, size, "[127.0.0.1]");
}

/* Hand the connection over to a worker. */
static void
begin_to_prove(struct channel *channel)
{
	struct w_socket *socket = channel->socket;
	int fd = channel->fd;

	timer_stop(channel->timer);
	/* Before the descriptor leaves: facts.md 2. */
	watch_free(&channel->watch);
	if (!connect_own_address(fd, &channel->own))
		channel->own.family = 0;
	print_ehlo_name(channel, socket->ehlo, sizeof(socket->ehlo));
	channel->fd = -1;
	channel->state = CHANNEL_PROVING;
	pool_take(channel);
	pool_send(channel->worker, W_SOCKET, socket, &fd);
	free(socket);
	channel->socket = NULL;
}

static void
on_connected(void *context, int what)
{
	struct channel *channel = context;
	char why[128];
	int error;

	(void)what;
	error = connect_result(channel->fd);
	if (error == 0) {
		if (channel->port == CONNECT_PORT)
			manager_note_connected(channel->manager);
		begin_to_prove(channel);
		return;
	}
	if (error == ETIMEDOUT)
		note_timeout(channel);
	snprintf(why, sizeof(why), "connect: %s", strerror(error));
	fail_to_connect(channel, why);
}

/* ---- ending ---- */

static void
quit(struct channel *channel)
{
	channel->state = CHANNEL_CLOSING;
	pool_send(channel->worker, W_QUIT, NULL, NULL);
	channel_orphan(channel);
}

/* Once: more would be read by the worker's next session. */
static void
say_cut(struct channel *channel)
{
	if (!channel->cut)
		pool_send(channel->worker, W_CUT, NULL, NULL);
	channel->cut = true;
}

void
channel_cut(struct channel *channel)
{
	switch (channel->state) {
	case CHANNEL_CONNECTING:
		channel_free(channel);
		return;
	case CHANNEL_CLOSING:
	case CHANNEL_RUNNING:
		/* How far the message was, its end will tell. */
		say_cut(channel);
		return;
	case CHANNEL_FILLING:
		if (channel->job != NULL)
			job_return(channel->job);
		break;
	case CHANNEL_PROVING:
	case CHANNEL_READY:
	case CHANNEL_ASKED:
		break;
	}
	channel->state = CHANNEL_CLOSING;
	say_cut(channel);
	channel_orphan(channel);
}

void
channel_end(struct channel *channel)
{
	if (channel->worker != NULL)
		pool_end(channel->worker);
	if (channel->job != NULL)
		job_return(channel->job);
	channel_free(channel);
}

void
channel_leave(struct channel *channel)
{
	switch (channel->state) {
	case CHANNEL_CONNECTING:
		channel_free(channel);
		return;
	case CHANNEL_PROVING:
	case CHANNEL_RUNNING:
		/* SMTP-4.1.1.10-3: QUIT follows when it is ready again. */
		channel_orphan(channel);
		return;
	case CHANNEL_FILLING:
		if (channel->job != NULL)
			job_return(channel->job);
		quit(channel);
		return;
	case CHANNEL_READY:
	case CHANNEL_ASKED:
		quit(channel);
		return;
	case CHANNEL_CLOSING:
		return;
	}
}

/*
 * It spoke out of turn, or claims what its own facts deny: whoever moves it,
 * it is not ours any more.
 */
static void
distrust(struct channel *channel, const char *why)
{
	log_line(LOG_LEVEL_ERROR, "a worker talking to %s [%s] is ended: %s",
	    channel->host, channel->address_text, why);
	pool_end(channel->worker);
	channel_worker_gone(channel);
}

/* The same address once more: in clear, or because our worker died. */
static void
open_again(struct channel *channel, bool clear)
{
	struct attempt *attempt = channel->attempt;
	struct channel_plan plan = {
		.address = channel->address, .clear_retry = clear,
		.extra = channel->extra, .secondary = channel->secondary
	};

	plan.host = nexthop_find(attempt->route, channel->host);
	if (plan.host == NULL || !attempt_route_holds(attempt)) {
		/* What it had to prove may not be what counts by now. */
		walk_note_end(&attempt->walk, channel->host, END_TEMPORARY,
		    false, NULL, "what is known of the domain ran out");
		channel_orphan(channel);
		return;
	}
	channel_orphan(channel);
	walk_note_try(&attempt->walk, channel->host, &channel->address,
	    loop_now_ms());
	channel_open(attempt, &plan);
}

/* The death of our own program is no fact about the peer. */
static void
note_death(struct channel *channel)
{
	struct attempt *attempt = channel->attempt;

	if (attempt == NULL)
		return;
	attempt_note_death(attempt, channel->state != CHANNEL_PROVING);
	if (channel->state != CHANNEL_PROVING)
		return;
	if (!attempt->again && !attempt->over)
		open_again(channel, channel->clear_retry);
	else
		attempt_failed(attempt, channel, END_TEMPORARY, NULL,
		    "our own worker ended");
}

void
channel_worker_gone(struct channel *channel)
{
	if (channel->state != CHANNEL_CLOSING) {
		log_line(LOG_LEVEL_ERROR, "a worker ended while it talked to "
		    "%s [%s]", channel->host, channel->address_text);
		note_death(channel);
	}
	if (channel->job != NULL)
		job_return(channel->job);
	channel_free(channel);
}

/* ---- what the worker says ---- */

/*
 * TLS-3207-4.1-1, RTLS-4.2.1-10 once more, on the facts reported: a session
 * that may not carry mail gets none, whatever its worker says.
 */
static void
take_ready(struct channel *channel, const struct w_proof *proof)
{
	struct session_verdict verdict;
	struct session_facts facts;

	facts_of_proof(&channel->facts, channel->clear_retry, proof, &facts);
	verdict = decide_session(&facts);
	if (proof->failure != PROOF_READY || !proof->starttls_known ||
	    verdict.action != SESSION_SEND) {
		distrust(channel, "its proof does not hold");
		return;
	}
	tell_proof(channel, proof);
	channel->has_8bitmime = proof->has_8bitmime;
	channel->has_size = proof->has_size;
	channel->size_limit = proof->size_limit;
	facts_session(&channel->note, proof, &verdict);
	channel->note.session = channel->number;
	channel->note.ready = true;
	channel->state = CHANNEL_READY;
	if (channel->attempt == NULL) {
		quit(channel);
		return;
	}
	manager_tell_queue(channel->manager, D_HOST, &channel->note);
	attempt_found(channel->attempt, channel);
}

/* How a host counts in decide_domain; refused by nobody: verdict NULL. */
static enum walk_end
end_of(const struct session_verdict *verdict)
{
	if (verdict == NULL)
		return END_TEMPORARY;
	return verdict->definite ? END_UNFIT_TLS : END_POLICY;
}

/*
 * What was wrong, for the message that waits: of a certificate what it was
 * refused for, by DANE or by PKIX; else what would mend it.
 */
static const char *
fault_of(const struct d_host *note, const struct session_verdict *refused)
{
	bool by_dane = slice_begins(slice_of(refused->rule.name),
	    SLICE("dane-"));
	const char *found = by_dane ? note->dane : note->certificate;

	/* Without a result it was not TLS that was wrong. */
	return refused->result != RESULT_NONE && found[0] != '\0' ? found :
	    refused->rule.repair;
}

/*
 * RTLS-4.2.1-8 RFC 8689 4.2.1: QUIT is its worker's to say; the attempt goes
 * on with the next host.
 */
static void
take_failed(struct channel *channel, const struct w_proof *proof)
{
	const struct session_verdict *judged = NULL, *refused = NULL;
	struct session_verdict verdict;
	struct session_facts facts;
	char why[300];

	if (proof->failure == PROOF_POLICY ||
	    proof->failure == PROOF_RECONNECT) {
		facts_of_proof(&channel->facts, channel->clear_retry, proof,
		    &facts);
		verdict = decide_session(&facts);
		judged = &verdict;
		if (verdict.action == SESSION_NEXT)
			refused = &verdict;
	}
	channel->state = CHANNEL_CLOSING;
	tell_proof(channel, proof);
	if (channel->attempt == NULL || proof->failure == PROOF_CUT) {
		channel_orphan(channel);
		return;
	}
	facts_session(&channel->note, proof, judged);
	manager_tell_queue(channel->manager, D_HOST, &channel->note);
	/*
	 * DANE-7672-1.3-1 RFC 7672 1.3, ruling 19: in clear, only if our own
	 * judgement says so too.
	 */
	if (proof->failure == PROOF_RECONNECT &&
	    verdict.action == SESSION_RECONNECT) {
		open_again(channel, true);
		return;
	}
	snprintf(why, sizeof(why), "%.250s", refused == NULL ? proof->reply :
	    fault_of(&channel->note, refused));
	attempt_failed(channel->attempt, channel, end_of(refused),
	    refused != NULL ? &refused->rule : NULL, why);
	channel_orphan(channel);
}

static void
take_done(struct channel *channel, const struct w_done *done)
{
	struct job *job = channel->job;

	/* W_CUT may have crossed with this: then nothing more is said. */
	bool alive = done->alive && !channel->cut;

	channel->job = NULL;
	job->channel = NULL;
	channel->state = alive ? CHANNEL_READY : CHANNEL_CLOSING;
	job_take_done(job, channel, done);
	if (!alive)
		channel_orphan(channel);
	else if (channel->attempt == NULL)
		quit(channel);
	else
		attempt_mark(channel->attempt);
}

/* Messages that belong to a job; false: it is not the one under way. */
static bool
take_of_job(struct channel *channel, unsigned kind, const void *message)
{
	/* All of them begin with the job's number. */
	uint64_t number = ((const struct w_id *)message)->job;
	struct job *job = channel->job;

	if (channel->state != CHANNEL_RUNNING || job == NULL ||
	    job->about.job != number)
		return false;
	if (kind == W_BODY)
		job_take_body(job);
	else if (kind == W_DOT)
		job_take_dot(job);
	else if (kind == W_RESULT)
		return job_take_result(job, message);
	else
		take_done(channel, message);
	return true;
}

static void
take_idle(struct channel *channel)
{
	pool_release(channel->worker);
	channel_free(channel);
}

void
channel_take(struct channel *channel, unsigned kind, const void *message)
{
	const struct w_proof *proof = message;
	bool in_turn = false;

	switch (kind) {
	case W_READY:
	case W_FAILED:
		in_turn = proof->session == channel->number;
		if (in_turn && channel->state == CHANNEL_PROVING) {
			if (kind == W_READY)
				take_ready(channel, proof);
			else
				take_failed(channel, proof);
			return;
		}
		/* It crossed with our W_CUT. */
		in_turn = in_turn && channel->state == CHANNEL_CLOSING;
		break;
	case W_BODY:
	case W_DOT:
	case W_RESULT:
	case W_DONE:
		in_turn = take_of_job(channel, kind, message);
		break;
	case W_IDLE:
		in_turn = channel->state == CHANNEL_CLOSING;
		if (in_turn)
			take_idle(channel);
		break;
	}
	if (!in_turn)
		distrust(channel, "it spoke out of turn");
}

/* ---- what next? ---- */

/*
 * Why it may carry no message by the route and the settings as they are now;
 * NULL: it may.  decide_reuse: a proof holds for what was asked of it, and no
 * longer.
 */
static const char *
what_changed(const struct channel *channel)
{
	struct attempt *attempt = channel->attempt;
	const struct nexthop_host *host;
	struct host_facts now;
	unsigned i;

	host = nexthop_find(attempt->route, channel->host);
	if (host == NULL)
		return "the domain named other hosts";
	for (i = 0; i < host->addresses_n; i++)
		if (address_equal(&host->addresses[i], &channel->address))
			break;
	if (i == host->addresses_n)
		return "its address changed";
	nexthop_facts(attempt->route, host, attempt->class,
	    channel->manager->config, loop_wall_s(), &now);
	return decide_reuse(&channel->facts, &now) ? NULL :
	    "what is asked of the host changed";
}

/* Has it carried enough?  A slow proof does not make it old. */
static bool
is_worn(const struct channel *channel)
{
	return channel->messages >= MESSAGES_MAX || (channel->messages > 0 &&
	    loop_now_ms() - channel->since_ms >= SESSION_MS);
}

bool
channel_still_good(const struct channel *channel)
{
	const struct attempt *attempt = channel->attempt;

	return attempt_route_holds(attempt) && !is_worn(channel) &&
	    what_changed(channel) == NULL;
}

/* A message that left another host and may go here. */
static struct job *
find_homeless(struct channel *channel)
{
	struct attempt *attempt = channel->attempt;
	struct job *job;
	unsigned i;

	TAILQ_FOREACH(job, &attempt->homeless, in_attempt) {
		for (i = 0; i < job->hosts_n; i++)
			if (strcmp(job->hosts[i], channel->host) == 0)
				break;
		if (i < job->hosts_n)
			continue;
		if (job_fits(job, channel))
			return job;
		job_note_host(job, channel->host);
	}
	return NULL;
}

/* Do as many wait for the next relay as one session with it will take? */
static bool
has_many_homeless(const struct attempt *attempt)
{
	const struct job *job;
	unsigned n = 0;

	if (!relayhost_is(attempt->domain))
		return false;
	TAILQ_FOREACH(job, &attempt->homeless, in_attempt)
		n++;
	return n >= HOMELESS_MAX;
}

/*
 * Is it here for homeless messages only, and the others are served?  What is
 * drawn anew has to be offered to the first relay first.
 */
static bool
is_spare(const struct channel *channel)
{
	const struct channel *other;

	if (channel->attempt->beyond || has_many_homeless(channel->attempt))
		return true;
	if (!channel->secondary)
		return false;
	TAILQ_FOREACH(other, &channel->attempt->channels, in_attempt)
		if (!other->secondary)
			return true;
	return false;
}

static void
ask_for_message(struct channel *channel)
{
	struct d_next next = {
		.destination = channel->attempt->destination,
		.session = channel->number,
		.has_8bitmime = channel->has_8bitmime,
		.has_size = channel->has_size,
		.size_limit = channel->size_limit
	};

	channel->asked = true;
	channel->attempt->asked = true;
	channel->attempt->nexts_n++;
	manager_tell_queue(channel->manager, D_NEXT, &next);
}

/*
 * Only while more wait than there are sessions: nobody shall want for the
 * message that lies here behind another.
 */
void
channel_look_ahead(struct channel *channel)
{
	const struct manager *manager = channel->manager;
	const struct attempt *attempt = channel->attempt;

	if (attempt == NULL || attempt->over || manager->stopping ||
	    manager->queue == NULL || link_full(manager->queue) ||
	    channel->asked || channel->ahead != NULL || channel->secondary ||
	    channel->messages >= MESSAGES_MAX ||
	    attempt->more < attempt->channels_n ||
	    !TAILQ_EMPTY(&attempt->homeless))
		return;
	ask_for_message(channel);
}

/* The one drawn ahead is next; recipients may still be missing. */
static void
begin_ahead(struct channel *channel)
{
	struct job *job = channel->ahead;

	channel->ahead = NULL;
	channel->job = job;
	if (job->rcpts_n < job->about.recipients)
		channel->state = CHANNEL_FILLING;
	else
		job_begin(job);
}

void
channel_next(struct channel *channel)
{
	struct manager *manager = channel->manager;
	struct attempt *attempt = channel->attempt;
	const char *change;
	struct job *job;

	if (attempt->over || manager->stopping || manager->queue == NULL) {
		quit(channel);
		return;
	}
	/* With a new route, or when queue takes more, it comes here again. */
	if (attempt_route_is_old(attempt) || link_full(manager->queue))
		return;
	change = what_changed(channel);
	if (change != NULL)
		attempt_note_change(attempt, channel, change);
	/* One of several makes room for a destination that has none. */
	if (change != NULL || is_worn(channel) ||
	    (attempt->channels_n > 1 && manager_is_short(manager))) {
		quit(channel);
		return;
	}
	job = find_homeless(channel);
	if (job != NULL) {
		job_run(job, channel);
	} else if (channel->ahead != NULL) {
		begin_ahead(channel);
	} else if (!channel->asked && is_spare(channel)) {
		quit(channel);
	} else {
		if (!channel->asked)
			ask_for_message(channel);
		channel->state = CHANNEL_ASKED;
	}
}

bool
channel_take_job(struct channel *channel, struct job *job)
{
	/* It may have left meanwhile: nobody is to blame. */
	if (!channel->asked || channel->attempt == NULL)
		return false;
	channel->asked = false;
	job->channel = channel;
	if (channel->state == CHANNEL_ASKED) {
		channel->job = job;
		channel->state = CHANNEL_FILLING;
	} else {
		channel->ahead = job;
	}
	channel->attempt->more = job->about.more;
	channel->attempt->drained = false;
	attempt_mark(channel->attempt);
	return true;
}

/*
 * Nothing waits in the queue: take what lies behind another's message, if
 * both servers offer the same (queue chose it by that).
 */
static bool
take_over(struct channel *channel)
{
	struct channel *other;
	struct job *job;

	TAILQ_FOREACH(other, &channel->attempt->channels, in_attempt) {
		job = other->ahead;
		if (job == NULL || job->rcpts_n < job->about.recipients ||
		    other->state != CHANNEL_RUNNING ||
		    other->has_8bitmime != channel->has_8bitmime)
			continue;
		other->ahead = NULL;
		job->channel = channel;
		channel->job = job;
		job_begin(job);
		return true;
	}
	return false;
}

void
channel_take_none(struct manager *manager, const struct d_none *none)
{
	struct channel *channel = channel_find(manager, none->session);
	struct attempt *attempt;
	struct job *job;

	attempt_take_answer(manager, none->destination);
	if (channel == NULL || !channel->asked || channel->attempt == NULL)
		return;
	attempt = channel->attempt;
	channel->asked = false;
	attempt->drained = true;
	/* It runs: then it asks once more when it is ready. */
	if (channel->state != CHANNEL_ASKED)
		return;
	channel->state = CHANNEL_READY;
	job = find_homeless(channel);
	if (job != NULL && channel_still_good(channel))
		job_run(job, channel);
	else if (!take_over(channel))
		quit(channel);
	if (attempt->walker != NULL && attempt->walker->extra)
		channel_leave(attempt->walker);
}
