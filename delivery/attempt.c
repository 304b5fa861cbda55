/*
 * Where does this destination's mail go, now?
 *
 * Called by manager.c (D_DUE, D_HOLD, policy's answers, the end of a turn)
 * and by channel.c and job.c when something became of a host.
 *
 * An attempt asks policy for the route, then walks: host by host, address by
 * address, until a session is proven.  Proven, it lives as long as one of
 * its sessions; more are opened to the proven host while messages wait.  A
 * message that its host would not take is homeless until a further host
 * takes it.  Where the next hop is a list of relayhosts, the one behind is
 * asked for when all hosts of one came to nothing, or would not take some
 * messages: then for these alone, when the sessions with the first are over,
 * for a session is judged by its own relay's route.  With no session, no
 * search and no homeless message left, the attempt is over and says D_ENDED.
 *
 * It does not connect or prove (channel.c), and what a verdict is it does not
 * know: decide.c does.
 */
#include "delivery/manager.h"

#include "conf/log.h"
#include "conf/relayhost.h"
#include "delivery/connect.h"
#include "delivery/facts.h"
#include "delivery/tell.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How long the death of a worker is remembered. */
#define DEATH_MS	(24 * 3600 * (int64_t)1000)
/* A question that waits longer waits for somebody's web server. */
#define ASK_YOUNG_MS	2000
/* Until policy and we have the same settings, after a reload. */
#define REPEAT_MS	200
#define REPEATS_MAX	15

/* ---- making, finding, marking ---- */

static unsigned
bucket_of(uint64_t destination)
{
	return (unsigned)(destination % ATTEMPT_BUCKETS);
}

struct attempt *
attempt_find(struct manager *manager, uint64_t destination)
{
	struct attempt *attempt;

	LIST_FOREACH(attempt, &manager->attempts[bucket_of(destination)],
	    entry)
		if (attempt->destination == destination)
			return attempt;
	return NULL;
}

void
attempt_mark(struct attempt *attempt)
{
	if (attempt->is_marked)
		return;
	attempt->is_marked = true;
	TAILQ_INSERT_TAIL(&attempt->manager->marked, attempt, mark);
}

static void
wait_in(struct attempt *attempt, struct attempts *list)
{
	attempt->waits_in = list;
	TAILQ_INSERT_TAIL(list, attempt, wait);
}

void
attempt_stop_waiting(struct attempt *attempt)
{
	if (attempt->waits_in == NULL)
		return;
	TAILQ_REMOVE(attempt->waits_in, attempt, wait);
	attempt->waits_in = NULL;
	attempt->manager->loads_changed = true;
}

/* What policy is asked for; false: the list has no such relay. */
static bool
name_target(struct attempt *attempt)
{
	if (relayhost_is(attempt->domain))
		return relayhost_nth(attempt->domain, attempt->relay_n,
		    attempt->target);
	memcpy(attempt->target, attempt->domain, sizeof(attempt->target));
	return attempt->relay_n == 0;
}

void
attempt_new(struct manager *manager, const struct d_due *due)
{
	struct attempt *attempt;

	if (attempt_find(manager, due->destination) != NULL) {
		log_line(LOG_LEVEL_ERROR, "destination %s is due twice",
		    due->domain);
		return;
	}
	attempt = mem_alloc(sizeof(*attempt));
	attempt->manager = manager;
	attempt->destination = due->destination;
	memcpy(attempt->domain, due->domain, sizeof(attempt->domain));
	name_target(attempt);
	attempt->class = (enum mail_class)due->class;
	attempt->ended.destination = due->destination;
	TAILQ_INIT(&attempt->channels);
	TAILQ_INIT(&attempt->homeless);
	LIST_INSERT_HEAD(&manager->attempts[bucket_of(due->destination)],
	    attempt, entry);
	manager->attempts_n++;
	wait_in(attempt, &manager->fresh);
	if (manager->stopping)
		attempt_stop(attempt);
}

static void
forget_question(struct attempt *attempt)
{
	if (attempt->question == 0)
		return;
	attempt->question = 0;
	attempt->repeat_ms = 0;
	nexthop_free(&attempt->coming);
	TAILQ_REMOVE(&attempt->manager->asking, attempt, ask);
	if (attempt->slow)
		attempt->manager->slow_asks_n--;
	else
		attempt->manager->asks_n--;
	attempt->slow = false;
}

static void
attempt_free(struct attempt *attempt)
{
	struct manager *manager = attempt->manager;

	if (attempt->is_marked)
		TAILQ_REMOVE(&manager->marked, attempt, mark);
	attempt_stop_waiting(attempt);
	forget_question(attempt);
	nexthop_free(&attempt->route);
	LIST_REMOVE(attempt, entry);
	manager->attempts_n--;
	free(attempt);
}

/* ---- the route ---- */

static void
put_question(struct attempt *attempt)
{
	struct r_ask ask = {
		.question = attempt->question, .class = attempt->class
	};

	memcpy(ask.domain, attempt->target, sizeof(ask.domain));
	attempt->repeat_ms = 0;
	if (attempt->manager->policy != NULL)
		link_send(attempt->manager->policy, R_ASK, &ask, NULL);
}

static void
ask(struct attempt *attempt)
{
	struct manager *manager = attempt->manager;

	if (attempt->question != 0)
		return;
	attempt->question = ++manager->last_question;
	attempt->asked_ms = loop_now_ms();
	if (TAILQ_EMPTY(&manager->asking))
		timer_set(manager->ask_timer, REPEAT_MS);
	TAILQ_INSERT_TAIL(&manager->asking, attempt, ask);
	manager->asks_n++;
	put_question(attempt);
}

void
attempt_look_at_questions(struct manager *manager)
{
	int64_t now_ms = loop_now_ms();
	struct attempt *attempt;

	TAILQ_FOREACH(attempt, &manager->asking, ask) {
		if (attempt->repeat_ms != 0 && now_ms >= attempt->repeat_ms)
			put_question(attempt);
		if (attempt->slow || now_ms - attempt->asked_ms < ASK_YOUNG_MS)
			continue;
		attempt->slow = true;
		manager->asks_n--;
		manager->slow_asks_n++;
	}
	if (!TAILQ_EMPTY(&manager->asking))
		timer_set(manager->ask_timer, REPEAT_MS);
}

/*
 * A question that died with policy is put once more; what came of an answer
 * to it is worth nothing without its end.
 */
void
attempt_ask_again(struct manager *manager)
{
	struct attempt *attempt;

	TAILQ_FOREACH(attempt, &manager->asking, ask) {
		nexthop_free(&attempt->coming);
		put_question(attempt);
	}
}

static struct attempt *
find_asker(struct manager *manager, uint64_t question)
{
	struct attempt *attempt;

	TAILQ_FOREACH(attempt, &manager->asking, ask)
		if (attempt->question == question)
			return attempt;
	return NULL;
}

void
attempt_take_route(struct manager *manager, const struct r_route *route)
{
	struct attempt *attempt = find_asker(manager, route->question);

	if (attempt == NULL)
		return;
	nexthop_free(&attempt->coming);
	attempt->coming = nexthop_new(route, attempt->target);
}

void
attempt_take_host(struct manager *manager, const struct r_host *from)
{
	struct attempt *attempt = find_asker(manager, from->question);
	struct nexthop_host *host;

	if (attempt == NULL || attempt->coming == NULL ||
	    !nexthop_add(attempt->coming, from))
		return;
	host = &attempt->coming->hosts[attempt->coming->hosts_n - 1];
	connect_order(host->addresses, host->addresses_n, manager->config);
}

static bool
has_next_relay(const struct attempt *attempt)
{
	char url[DOMAIN_TEXT_MAX];

	return relayhost_is(attempt->domain) && relayhost_nth(attempt->domain,
	    attempt->relay_n + 1, url);
}

/*
 * The owner of a relay that nobody can use any more would not learn it while
 * the next one takes all mail.
 */
static void
say_left(const struct attempt *attempt, const char *left)
{
	const struct r_route *route = &attempt->route->route;
	const struct walk_host *last = attempt->walk.last;
	const char *why = "no host of it was left to try";

	if (route->outcome != ROUTE_OK)
		why = route->text;
	else if (attempt->proven)
		why = "it did not take every message";
	else if (last != NULL)
		why = last->text;
	log_line(LOG_LEVEL_INFO, "relayhost %s: %s; the next one is %s", left,
	    why, attempt->target);
}

/*
 * This relay came to nothing, or has not taken the homeless messages: is there
 * one behind it, to be asked for in the same attempt?  What waits goes there,
 * and is judged by that relay's own policy.  True: it is, or will be when the
 * sessions with this one are over.
 */
static bool
try_next_relay(struct attempt *attempt)
{
	char left[DOMAIN_TEXT_MAX];

	if (!has_next_relay(attempt) ||
	    (attempt->proven && TAILQ_EMPTY(&attempt->homeless)))
		return false;
	if (attempt->channels_n > 0 || attempt->walker != NULL)
		return true;
	attempt->beyond = attempt->proven;
	attempt->relay_n++;
	memcpy(left, attempt->target, sizeof(left));
	name_target(attempt);
	say_left(attempt, left);
	walk_next_relay(&attempt->walk, attempt->route, attempt->class);
	attempt->unchecked |= attempt->route->route.sts_cached;
	nexthop_free(&attempt->route);
	ask(attempt);
	return true;
}

/* Do the relays before this one, if any, stand in the way of a failure? */
static bool
may_fail(const struct attempt *attempt)
{
	const struct domain_facts *past = &attempt->walk.past;

	return past->hosts == 0 || decide_domain(past).action == DOMAIN_FAIL;
}

/* There is no way there, or none for now: policy has said why. */
static void
end_without_route(struct attempt *attempt, const struct r_route *route)
{
	struct d_ended *ended = &attempt->ended;
	bool fails = route->outcome == ROUTE_FAIL;

	if (try_next_relay(attempt))
		return;
	attempt->over = true;
	if (attempt->proven)
		return;		/* it is asked anew when it is due again */
	ended->outcome = fails && may_fail(attempt) ? OUTCOME_FAILED :
	    OUTCOME_DEFERRED;
	memcpy(ended->enhanced, route->enhanced, sizeof(ended->enhanced));
	if (fails && ended->outcome == OUTCOME_DEFERRED)
		snprintf(ended->enhanced, sizeof(ended->enhanced), "4.4.4");
	memcpy(ended->rule, route->rule, sizeof(ended->rule));
	memcpy(ended->clause, route->clause, sizeof(ended->clause));
	memcpy(ended->text, route->text, sizeof(ended->text));
	ended->policy_refused = attempt->walk.past.policy > 0;
	ended->policy_checked = !attempt->unchecked && !route->sts_cached;
}

/* What is said of a failure of our own programs. */
static void
blame_us(struct d_ended *ended, const char *repair, const char *text)
{
	ended->outcome = OUTCOME_DEFERRED;
	snprintf(ended->enhanced, sizeof(ended->enhanced), "4.3.0");
	snprintf(ended->rule, sizeof(ended->rule), "own-failure");
	snprintf(ended->clause, sizeof(ended->clause), "RFC 3463 3.4");
	snprintf(ended->repair, sizeof(ended->repair), "%s", repair);
	snprintf(ended->text, sizeof(ended->text), "%s", text);
}

/* What was refused without any look-up is of no settings. */
static bool
has_our_settings(const struct manager *manager, const struct r_route *route)
{
	return route->settings == manager->settings ||
	    (route->settings == 0 && route->outcome != ROUTE_OK);
}

/*
 * After a reload policy has the new settings a moment sooner or later than
 * we, and what it began before is of the old ones.  STS-5-3 RFC 8461 5,
 * DANE-7672-2.2-2 RFC 7672 2.2: such a route may lack the policy that counts
 * now.
 */
static void
repeat_question(struct attempt *attempt)
{
	nexthop_free(&attempt->coming);
	if (attempt->repeats++ < REPEATS_MAX) {
		attempt->repeat_ms = loop_now_ms() + REPEAT_MS;
		return;
	}
	log_line(LOG_LEVEL_ERROR, "%s: policy answers by other settings than "
	    "delivery has", attempt->target);
	forget_question(attempt);
	attempt->over = true;
	if (!attempt->proven)
		blame_us(&attempt->ended, "This relay failed, not the "
		    "domain's hosts: its programs did not agree on their "
		    "settings; a reload or restart mends it.",
		    "this relay's programs do not have the same settings");
	attempt_mark(attempt);
}

void
attempt_take_end(struct manager *manager, const struct r_end *end)
{
	struct attempt *attempt = find_asker(manager, end->question);

	if (attempt == NULL || attempt->coming == NULL)
		return;
	if (!has_our_settings(manager, &attempt->coming->route)) {
		repeat_question(attempt);
		return;
	}
	attempt->repeats = 0;
	nexthop_free(&attempt->route);
	attempt->route = attempt->coming;
	attempt->coming = NULL;
	attempt->route_unused = true;
	forget_question(attempt);
	if (attempt->route->route.outcome != ROUTE_OK)
		end_without_route(attempt, &attempt->route->route);
	attempt_mark(attempt);
}

/* Is there a route, and do the settings that it was found under count? */
static bool
has_current_route(const struct attempt *attempt)
{
	return attempt->route != NULL &&
	    has_our_settings(attempt->manager, &attempt->route->route);
}

bool
attempt_route_holds(const struct attempt *attempt)
{
	return attempt->question == 0 && has_current_route(attempt) &&
	    loop_wall_s() <= attempt->route->route.valid_until;
}

bool
attempt_route_is_old(struct attempt *attempt)
{
	if (attempt->question != 0)
		return true;
	/* One step is made on every answer, however short its life. */
	if (attempt_route_holds(attempt) ||
	    (attempt->route_unused && has_current_route(attempt))) {
		attempt->route_unused = false;
		return false;
	}
	ask(attempt);
	return true;
}

/* ---- the search ---- */

/* STS-8.4-1, DANE-7672-10-1: as if unreachable, in its turn, untouched. */
static void
tell_skipped(struct attempt *attempt, const struct walk_step *step)
{
	struct walk *walk = &attempt->walk;
	struct d_host note;

	facts_host(&note, attempt->destination, attempt->route, step->host,
	    &step->facts, &step->verdict);
	manager_tell_queue(attempt->manager, D_HOST, &note);
	tell_refused(attempt, step);
	walk_note_end(walk, step->host->name, step->verdict.definite ?
	    END_UNFIT_TLS : END_POLICY, true, &step->verdict.rule,
	    step->verdict.rule.repair);
}

static void
tell_nowhere(struct attempt *attempt, const struct walk_step *step)
{
	struct d_host note;

	facts_host(&note, attempt->destination, attempt->route, step->host,
	    &step->facts, &step->verdict);
	facts_unreachable(&note, step->text);
	manager_tell_queue(attempt->manager, D_HOST, &note);
	walk_note_end(&attempt->walk, step->host->name,
	    step->host->lookup == ROUTE_FAIL ? END_NONEXISTENT :
	    END_TEMPORARY, true, NULL, step->text);
}

/* True: wait, there is no room for a connection to it now. */
static bool
must_wait(struct attempt *attempt, const struct address *address)
{
	struct manager *manager = attempt->manager;
	struct load *load;

	if (!manager_has_slot(manager)) {
		wait_in(attempt, &manager->for_slot);
		return true;
	}
	load = manager_load(manager, address);
	if (load->channels >= manager->config->per_host) {
		wait_in(attempt, &load->waiting);
		return true;
	}
	return false;
}

/* True: a connection is begun, or waited for. */
static bool
open_host(struct attempt *attempt, const struct walk_step *step,
    bool secondary)
{
	struct channel_plan plan = {
		.host = step->host, .address = step->address,
		.secondary = secondary
	};

	/* What is waited for may outlast the route: then it is asked anew. */
	attempt->route_unused = false;
	if (must_wait(attempt, &step->address))
		return true;
	walk_note_try(&attempt->walk, step->host->name, &step->address,
	    loop_now_ms());
	return channel_open(attempt, &plan);
}

/*
 * Find a host, for this message if it is not NULL.  False: there is none,
 * after all; true: something is under way.
 */
static bool
search(struct attempt *attempt, struct job *job)
{
	struct walk_except except = { NULL, 0 };
	struct walk_step step;

	for (;;) {
		if (!has_current_route(attempt)) {
			ask(attempt);
			return true;
		}
		if (job != NULL)
			except = (struct walk_except){ job->hosts,
			    job->hosts_n };
		walk_next(&attempt->walk, attempt->route, attempt->class,
		    attempt->manager->config, &except, loop_wall_s(),
		    loop_now_ms(), &step);
		if (step.what == WALK_ASK && !attempt->route_unused) {
			ask(attempt);
			return true;
		}
		if (step.what == WALK_OVER)
			return false;
		if (step.what == WALK_SKIP)
			tell_skipped(attempt, &step);
		else if (step.what == WALK_NOWHERE)
			tell_nowhere(attempt, &step);
		else if (open_host(attempt, &step, job != NULL))
			return true;
	}
}

/* Is there a proven session that may take this message when it is free? */
static bool
has_home(const struct attempt *attempt, const struct job *job)
{
	const struct channel *channel;
	unsigned i;

	TAILQ_FOREACH(channel, &attempt->channels, in_attempt) {
		for (i = 0; i < job->hosts_n; i++)
			if (strcmp(job->hosts[i], channel->host) == 0)
				break;
		if (i == job->hosts_n)
			return true;
	}
	return false;
}

/* No host takes it in this attempt. */
static void
settle(struct attempt *attempt, struct job *job)
{
	attempt->lost = attempt->lost || job->lost;
	/* Of several relays not every host was heard. */
	job_end(job, strchr(attempt->domain, ',') != NULL ? NULL :
	    attempt->route);
}

/*
 * A host for the first homeless message; without one, or when nothing is
 * begun any more, it is settled, unless there is one more relay to ask.
 */
static void
search_for_homeless(struct attempt *attempt)
{
	bool may_wait = !attempt->over && has_next_relay(attempt);
	struct job *job, *next;

	for (job = TAILQ_FIRST(&attempt->homeless); job != NULL; job = next) {
		next = TAILQ_NEXT(job, in_attempt);
		if (!attempt->over &&
		    (has_home(attempt, job) || search(attempt, job)))
			return;
		if (!may_wait)
			settle(attempt, job);
	}
	if (may_wait)
		try_next_relay(attempt);
}

/* ---- more sessions ---- */

/*
 * Worth one more?  Only where one has succeeded, while each has two messages
 * to carry, and never more than a quarter of all workers.
 */
static bool
wants_more(const struct attempt *attempt)
{
	const struct manager *manager = attempt->manager;
	unsigned most = manager->config->workers / 4;

	if (most < 1)
		most = 1;
	if (most > manager->config->per_domain)
		most = manager->config->per_domain;
	return !attempt->drained && !attempt->extra_failed &&
	    !attempt->beyond && attempt->channels_n > 0 &&
	    attempt->channels_n < most &&
	    attempt->more >= 2 * attempt->channels_n &&
	    TAILQ_EMPTY(&manager->fresh) && TAILQ_EMPTY(&manager->for_slot) &&
	    manager_has_slot(manager);
}

static void
open_extra(struct attempt *attempt)
{
	struct manager *manager = attempt->manager;
	struct channel_plan plan = {
		.address = attempt->proven_address, .extra = true
	};
	struct load *load = manager_load(manager, &plan.address);

	if (load->channels >= manager->config->per_host ||
	    !TAILQ_EMPTY(&load->waiting) || attempt_route_is_old(attempt))
		return;
	plan.host = nexthop_find(attempt->route, attempt->proven_host);
	if (plan.host != NULL)
		channel_open(attempt, &plan);
}

/* ---- what became of it ---- */

void
attempt_found(struct attempt *attempt, struct channel *channel)
{
	attempt->walker = NULL;
	TAILQ_INSERT_TAIL(&attempt->channels, channel, in_attempt);
	attempt->channels_n++;
	if (!channel->secondary && !channel->clear_retry) {
		attempt->proven = true;
		memcpy(attempt->proven_host, channel->host,
		    sizeof(attempt->proven_host));
		attempt->proven_address = channel->address;
	}
	attempt->proven = true;
	attempt_mark(attempt);
}

void
attempt_failed(struct attempt *attempt, struct channel *channel,
    enum walk_end end, const struct rule *rule, const char *what)
{
	if (channel->extra) {
		attempt->extra_failed = true;
	} else {
		walk_note_end(&attempt->walk, channel->host, end, false,
		    rule, what);
	}
	attempt_mark(attempt);
}

/*
 * By a reload, or a new route: its host is tried once more by what counts
 * now.  A second time the mail waits, or settings that come and go would keep
 * the attempt for ever.
 */
void
attempt_note_change(struct attempt *attempt, const struct channel *channel,
    const char *what)
{
	if (attempt->asked)
		return;
	attempt->change = what;
	if (attempt->walked_again)
		return;
	attempt->walked_again = true;
	attempt->proven = false;
	walk_forget_try(&attempt->walk, channel->host, &channel->address);
}

void
attempt_note_loss(struct attempt *attempt, struct channel *channel,
    const char *what)
{
	walk_note_end(&attempt->walk, channel->host, END_TEMPORARY, false,
	    NULL, what);
	attempt->loser = *attempt->walk.last;
}

void
attempt_take_answer(struct manager *manager, uint64_t destination)
{
	struct attempt *attempt = attempt_find(manager, destination);

	if (attempt == NULL || attempt->nexts_n == 0)
		return;
	attempt->nexts_n--;
	attempt_mark(attempt);
}

void
attempt_take_homeless(struct attempt *attempt, struct job *job)
{
	job->attempt = attempt;
	TAILQ_INSERT_TAIL(&attempt->homeless, job, in_attempt);
	attempt_mark(attempt);
}

/* The record of this destination, else the one that is longest ago. */
static struct death *
find_death(struct manager *manager, uint64_t destination)
{
	struct death *death, *oldest = manager->deaths;
	unsigned i;

	for (i = 0; i < DEATHS_KEPT; i++) {
		death = &manager->deaths[i];
		if (death->destination == destination)
			return death;
		if (death->last_ms < oldest->last_ms)
			oldest = death;
	}
	return oldest;
}

/*
 * A message that ends workers does so on every session that draws it, and
 * each may leave a copy behind: after the second no more is asked for.
 */
void
attempt_note_death(struct attempt *attempt, bool proven)
{
	struct death *death = find_death(attempt->manager,
	    attempt->destination);
	int64_t now_ms = loop_now_ms();

	attempt->ours++;
	attempt->spoiled += proven;
	if (attempt->ours > 1 ||
	    (death->destination == attempt->destination &&
	    now_ms - death->last_ms < DEATH_MS))
		attempt->again = true;
	death->destination = attempt->destination;
	death->last_ms = now_ms;
	if (attempt->again && proven)
		attempt->over = true;
	attempt_mark(attempt);
}

static void
forget_death(struct attempt *attempt)
{
	struct death *death = find_death(attempt->manager,
	    attempt->destination);

	if (death->destination == attempt->destination)
		*death = (struct death){ 0 };
}

/* ---- the end ---- */

/* The words of one host (NULL: of none), as its rule and repair are. */
static void
print_host(struct d_ended *ended, const struct walk_host *host)
{
	if (host != NULL)
		snprintf(ended->text, sizeof(ended->text), "%s: %.250s",
		    host->name, host->text);
}

/*
 * No host: what does that mean for the mail?  T20, STS-5-7 RFC 8461 5 are
 * decide_domain's to know.
 */
static void
judge_domain(struct attempt *attempt)
{
	struct d_ended *ended = &attempt->ended;
	const struct walk_host *host;
	struct domain_verdict verdict;
	struct domain_facts facts;

	walk_domain_facts(&attempt->walk, attempt->route, attempt->class,
	    &facts);
	verdict = decide_domain(&facts);
	host = walk_decider(&attempt->walk, attempt->route);
	ended->outcome = verdict.action == DOMAIN_FAIL ? OUTCOME_FAILED :
	    OUTCOME_DEFERRED;
	ended->policy_refused = facts.policy > 0;
	ended->policy_checked = !attempt->unchecked &&
	    !attempt->route->route.sts_cached;
	snprintf(ended->enhanced, sizeof(ended->enhanced), "%s",
	    verdict.rule.enhanced);
	snprintf(ended->rule, sizeof(ended->rule), "%s", verdict.rule.name);
	snprintf(ended->clause, sizeof(ended->clause), "%s",
	    verdict.rule.clause);
	snprintf(ended->repair, sizeof(ended->repair), "%s",
	    verdict.rule.repair);
	print_host(ended, host);
	if (attempt->timeouts > 0 &&
	    attempt->timeouts == attempt->walk.connections)
		manager_note_timed_out(attempt->manager, attempt->target);
}

/*
 * Not one host but our own programs failed.  Once, it is as if nothing had
 * been: due again at once.  Again, the destination waits like any that fails,
 * or it would end worker after worker, with a copy of the message each, for
 * ever; and what is said of it is said of us.
 */
static void
judge_ours(struct attempt *attempt)
{
	struct d_ended *ended = &attempt->ended;

	if (!attempt->again) {
		ended->ours = true;
		return;
	}
	blame_us(ended, "This relay failed, not the domain's hosts: its log "
	    "says what ended its worker.", "a worker of this relay ended "
	    "again while it talked to a host of the domain");
}

/* A message broke each connection: the rest of the mail had better wait. */
static void
judge_loss(struct attempt *attempt)
{
	struct d_ended *ended = &attempt->ended;

	ended->outcome = OUTCOME_DEFERRED;
	snprintf(ended->enhanced, sizeof(ended->enhanced), "4.4.2");
	snprintf(ended->rule, sizeof(ended->rule), "closed");
	snprintf(ended->clause, sizeof(ended->clause), "RFC 5321 3.8");
	print_host(ended, &attempt->loser);
}

/*
 * A host proved itself, but before it could ask for a message the route was
 * over, or something else was asked of it.  No attempt ends without a result
 * or a back-off.
 */
static void
judge_unasked(struct attempt *attempt)
{
	struct d_ended *ended = &attempt->ended;

	ended->outcome = OUTCOME_DEFERRED;
	snprintf(ended->enhanced, sizeof(ended->enhanced), "4.4.1");
	snprintf(ended->rule, sizeof(ended->rule), "route-outdated");
	snprintf(ended->clause, sizeof(ended->clause), "RFC 5321 4.5.4.1");
	snprintf(ended->text, sizeof(ended->text), "%s: %s before it was "
	    "ready", attempt->proven_host, attempt->change != NULL ?
	    attempt->change : "what is known of the domain ran out");
}

/* A proof was for nothing, and no host gave a reason since. */
static bool
ended_unasked(const struct attempt *attempt)
{
	return !attempt->asked && (attempt->proven ||
	    (attempt->change != NULL && attempt->walk.last == NULL));
}

/* Did none of its connections fail but by our own doing? */
static bool
is_ours_alone(const struct attempt *attempt)
{
	return attempt->spoiled > 0 || (!attempt->proven &&
	    attempt->ours > 0 && attempt->ours == attempt->walk.connections);
}

static void
judge(struct attempt *attempt)
{
	if (attempt->lost)
		judge_loss(attempt);
	else if (is_ours_alone(attempt))
		judge_ours(attempt);
	else if (ended_unasked(attempt))
		judge_unasked(attempt);
	else if (!attempt->proven && attempt->route != NULL)
		judge_domain(attempt);
	else if (attempt->ours == 0)
		forget_death(attempt);
}

static void
end(struct attempt *attempt)
{
	if (attempt->ended.outcome == 0 && !attempt->ended.ours)
		judge(attempt);
	job_say_ended(attempt->manager, &attempt->ended);
	attempt_free(attempt);
}

/* What runs may finish; nothing is begun any more. */
void
attempt_stop(struct attempt *attempt)
{
	struct channel *channel, *next;
	struct job *job;

	attempt->over = true;
	attempt_stop_waiting(attempt);
	forget_question(attempt);
	while ((job = TAILQ_FIRST(&attempt->homeless)) != NULL)
		job_return(job);
	if (attempt->walker != NULL)
		channel_leave(attempt->walker);
	for (channel = TAILQ_FIRST(&attempt->channels); channel != NULL;
	    channel = next) {
		next = TAILQ_NEXT(channel, in_attempt);
		if (channel->state != CHANNEL_RUNNING)
			channel_leave(channel);
		else if (channel->ahead != NULL)
			job_return(channel->ahead);
	}
	/* Held or stopped: nothing is known against the peer. */
	attempt->ended.ours = attempt->manager->stopping || !attempt->proven;
	attempt_mark(attempt);
}

void
attempt_drop(struct attempt *attempt)
{
	struct channel *channel;

	if (attempt->walker != NULL)
		channel_leave(attempt->walker);
	while ((channel = TAILQ_FIRST(&attempt->channels)) != NULL)
		channel_orphan(channel);
	attempt_free(attempt);
}

static bool
is_finished(const struct attempt *attempt)
{
	/* An answer to D_NEXT after D_ENDED would be for nobody. */
	return attempt->walker == NULL && attempt->channels_n == 0 &&
	    TAILQ_EMPTY(&attempt->homeless) && attempt->waits_in == NULL &&
	    attempt->nexts_n == 0 && (attempt->proven || attempt->over);
}

/* Nothing is under way to find a host: should it be? */
static void
seek(struct attempt *attempt)
{
	if (!TAILQ_EMPTY(&attempt->homeless))
		search_for_homeless(attempt);
	else if (!attempt->proven)
		attempt->over = !search(attempt, NULL) &&
		    !try_next_relay(attempt);
	else if (wants_more(attempt))
		open_extra(attempt);
}

void
attempt_advance(struct attempt *attempt)
{
	struct channel *channel, *next;

	for (channel = TAILQ_FIRST(&attempt->channels); channel != NULL;
	    channel = next) {
		next = TAILQ_NEXT(channel, in_attempt);
		if (channel->state == CHANNEL_READY)
			channel_next(channel);
	}
	if (attempt->over)
		search_for_homeless(attempt);
	else if (attempt->walker == NULL && attempt->question == 0 &&
	    attempt->waits_in == NULL)
		seek(attempt);
	if (is_finished(attempt))
		end(attempt);
}
