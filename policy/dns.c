/*
 * What does DNS answer to (name, type)?
 *
 * Called by route.c, host.c and txt.c.  A question lives until its answer is
 * there; whoever asks the same meanwhile joins it.
 *
 * A question is: queued (as many are in flight as a resolver's socket bears),
 * asked (an attempt is with one resolver), or chasing (the answer was a bare
 * alias; its target is a question of its own).  A resolver that fails or is
 * silent is followed by the next one that may be used, until the question's
 * deadline.  Only answers are kept, never failures.
 *
 * Does not decide which resolvers may be used (trust.c) and does not judge
 * what an answer means for mail (route.c, host.c).
 */
#include "policy/dns.h"

#include "conf/log.h"
#include "policy/kept.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEADLINE_MS	15000
/* Another resolver is tried after this; the last one has what is left. */
#define ATTEMPT_MS	5000
/* One that was silent is asked last for so long. */
#define SLOW_MS		60000
/* More replies at once overflow the socket, and are waited for in vain. */
#define IN_FLIGHT_MAX	100
#define CHASE_MAX	8

/* One who waits for an answer. */
struct wait {
	struct wait	*next;
	dns_call	*call;
	void		*context;
	struct answer	*answer;		/* once it is there */
};

struct question {
	struct question	*next, **at;		/* of dns->questions */
	struct question	*queue_next;
	struct dns	*dns;
	struct domain	 name;
	enum rr_type	 type;
	struct wait	*waits;
	bool		 queued;
	unsigned	 tried;			/* bit i: resolver i */
	struct attempt	*attempt;
	struct timer	*timer;
	int64_t		 deadline_ms;
	unsigned	 depth;			/* aliases chased before */
	struct answer	*alias;			/* chasing from this answer */
	const char	*failure;		/* of the last attempt */
};

/* A question as one resolver has it; outlives a question that gave it up. */
struct attempt {
	struct dns	*dns;
	struct question	*question;		/* NULL: given up */
	unsigned	 resolver;
};

struct dns {
	struct loop	*loop;
	struct resolvers *resolvers;
	unsigned	 n;
	unsigned	 used, believed;
	int64_t		 slow_until_ms[RESOLVERS_MAX];
	struct question	*questions;
	struct question	*queue, **queue_end;
	struct kept	*kept;
	struct wait	*ready, **ready_end;
	struct timer	*ready_timer;
};

static void	question_go_on(struct question *);
static void	queue_run(struct dns *);
static void	ask(struct dns *, const struct domain *, enum rr_type,
		    unsigned depth, int64_t deadline_ms, bool fresh,
		    dns_call *, void *context);

/*
 * Handing out.  From the loop, so that no asker hears an answer in his call.
 */

static void
ready_add(struct dns *dns, struct wait *wait, struct answer *answer)
{
	wait->answer = answer_hold(answer);
	wait->next = NULL;
	*dns->ready_end = wait;
	dns->ready_end = &wait->next;
	if (!timer_is_set(dns->ready_timer))
		timer_set(dns->ready_timer, 0);
}

static void
hand_out(struct wait *wait)
{
	struct rr_answer rr = wait->answer->rr;
	int64_t left_ms = wait->answer->expires_ms - loop_now_ms();

	rr.ttl_s = left_ms > 0 ? (uint32_t)((left_ms + 999) / 1000) : 0;
	wait->call(wait->context, &rr, wait->answer->failure);
	answer_release(&wait->answer);
	free(wait);
}

/* What becomes ready meanwhile has its turn later. */
static void
on_ready(void *context)
{
	struct dns *dns = context;
	struct wait *wait = dns->ready, *next;

	dns->ready = NULL;
	dns->ready_end = &dns->ready;
	for (; wait != NULL; wait = next) {
		next = wait->next;
		hand_out(wait);
	}
}

/*
 * Questions.
 */

static struct question *
question_find(const struct dns *dns, const struct domain *name,
    enum rr_type type)
{
	struct question *question = dns->questions;

	while (question != NULL && (question->type != type ||
	    !domain_equal(&question->name, name)))
		question = question->next;
	return question;
}

static void
queue_remove(struct question *question)
{
	struct dns *dns = question->dns;
	struct question **at = &dns->queue;

	if (!question->queued)
		return;
	while (*at != question)
		at = &(*at)->queue_next;
	*at = question->queue_next;
	if (*at == NULL)
		dns->queue_end = at;
	question->queued = false;
}

static void
queue_add(struct question *question)
{
	struct dns *dns = question->dns;

	question->queued = true;
	question->queue_next = NULL;
	*dns->queue_end = question;
	dns->queue_end = &question->queue_next;
}

static void
attempt_give_up(struct question *question)
{
	if (question->attempt != NULL)
		question->attempt->question = NULL;
	question->attempt = NULL;
}

/* The answer is there, whatever it is: everybody gets it.  Takes answer. */
static void
question_end(struct question *question, struct answer *answer)
{
	struct dns *dns = question->dns;
	struct wait *wait, *next;

	kept_add(dns->kept, answer, loop_now_ms());
	for (wait = question->waits; wait != NULL; wait = next) {
		next = wait->next;
		ready_add(dns, wait, answer);
	}
	answer_release(&answer);
	queue_remove(question);
	attempt_give_up(question);
	*question->at = question->next;
	if (question->next != NULL)
		question->next->at = question->at;
	timer_free(&question->timer);
	answer_release(&question->alias);
	free(question);
}

static void
question_fail(struct question *question, const char *failure)
{
	question_end(question, answer_failed(&question->name, question->type,
	    failure));
}

/*
 * The alias' target has answered.  DANE-7672-2.1.3-4, DANE-7672-2.1.3-5
 * RFC 7672 2.1.3: an error anywhere is the look-up's; what is insecure
 * anywhere is insecure.
 */
static void
on_chased(void *context, const struct rr_answer *end, const char *failure)
{
	struct question *question = context;
	const struct rr_answer *alias = &question->alias->rr;
	struct rr_answer whole = *end;

	if (failure != NULL) {
		question_fail(question, failure);
		return;
	}
	whole.alias = true;
	whole.secure = end->secure && alias->secure;
	if (alias->ttl_s < end->ttl_s)
		whole.ttl_s = alias->ttl_s;
	question_end(question, answer_new(&question->name, question->type,
	    &whole, NULL));
}

/*
 * DANE-7672-2.1.3-3 RFC 7672 2.1.3: an alias without its target's data, or
 * one whose target has no such data: asking there tells.
 */
static bool
is_bare_alias(const struct answer *answer)
{
	return answer->failure == NULL && answer->rr.status == RR_OK &&
	    answer->rr.alias && answer->rr.records_n == 0 &&
	    answer->type != RR_CNAME;
}

/* Does who is to be asked wait, over other aliases, for this question? */
static bool
is_circle(const struct question *question, const struct domain *target)
{
	const struct question *other;
	unsigned steps;

	for (steps = 0; steps <= CHASE_MAX; steps++) {
		if (domain_equal(target, &question->name))
			return true;
		other = question_find(question->dns, target, question->type);
		if (other == NULL || other->alias == NULL)
			return false;
		target = &other->alias->rr.canonical;
	}
	return true;
}

static void
question_answered(struct question *question, struct answer *answer)
{
	if (!is_bare_alias(answer)) {
		question_end(question, answer);
		return;
	}
	if (question->depth >= CHASE_MAX ||
	    is_circle(question, &answer->rr.canonical)) {
		answer_release(&answer);
		question_fail(question, "endless aliases");
		return;
	}
	question->alias = answer;
	timer_stop(question->timer);
	ask(question->dns, &answer->rr.canonical, question->type,
	    question->depth + 1, loop_now_ms() + DEADLINE_MS, false,
	    on_chased, question);
}

static const char *
failure_of(const struct rr_answer *answer)
{
	static const char *const names[] = {
		"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP",
		"REFUSED"
	};

	if (answer->status == RR_OK || answer->status == RR_NXDOMAIN)
		return NULL;
	if (answer->status == RR_MALFORMED)
		return "malformed answer";
	if (answer->rcode < sizeof(names) / sizeof(names[0]))
		return names[answer->rcode];
	return "error answer";
}

/* The octets read, with AD only where it counts. */
static struct answer *
read_reply(const struct attempt *attempt, struct slice octets)
{
	const struct question *question = attempt->question;
	struct region *region = region_new();
	struct rr_answer rr;
	struct answer *answer;

	rr_parse(octets, &question->name, question->type, region, &rr);
	if (!(attempt->dns->believed & 1u << attempt->resolver))
		rr.secure = false;
	answer = answer_new(&question->name, question->type, &rr,
	    failure_of(&rr));
	region_free(&region);
	return answer;
}

/* This resolver had no answer, or a failure: perhaps another has one. */
static void
attempt_failed(struct question *question, const char *failure)
{
	question->failure = failure;
	question_go_on(question);
}

static void
on_reply(void *context, struct slice octets)
{
	struct attempt attempt = *(struct attempt *)context;
	struct question *question = attempt.question;
	int64_t *slow_until_ms =
	    &attempt.dns->slow_until_ms[attempt.resolver];
	struct answer *answer = NULL;

	free(context);
	if (question != NULL) {
		question->attempt = NULL;
		*slow_until_ms = octets.at == NULL ?
		    loop_now_ms() + SLOW_MS : 0;
		if (octets.at != NULL)
			answer = read_reply(&attempt, octets);
		if (answer == NULL) {
			attempt_failed(question, "no answer");
		} else if (answer->failure != NULL) {
			attempt_failed(question, answer->failure);
			answer_release(&answer);
		} else {
			question_answered(question, answer);
		}
	}
	queue_run(attempt.dns);
}

/* The next one to ask: in their order, those lately silent last; or -1. */
static int
choose(const struct question *question)
{
	const struct dns *dns = question->dns;
	int64_t now_ms = loop_now_ms();
	unsigned left = dns->used & ~question->tried, i;
	int chosen = -1;

	for (i = 0; i < dns->n; i++) {
		if (!(left & 1u << i))
			continue;
		if (dns->slow_until_ms[i] <= now_ms)
			return (int)i;
		if (chosen == -1)
			chosen = (int)i;
	}
	return chosen;
}

static void
on_question_timer(void *context)
{
	struct question *question = context;
	struct dns *dns = question->dns;

	if (question->attempt != NULL)
		dns->slow_until_ms[question->attempt->resolver] =
		    loop_now_ms() + SLOW_MS;
	attempt_give_up(question);
	if (loop_now_ms() >= question->deadline_ms) {
		question_fail(question, "timeout");
		return;
	}
	question->failure = "timeout";
	question_go_on(question);
}

/* Ask the next resolver; there is room in flight. */
static void
attempt_begin(struct question *question, unsigned resolver)
{
	struct dns *dns = question->dns;
	int64_t left_ms = question->deadline_ms - loop_now_ms();
	struct attempt *attempt;

	attempt = mem_alloc(sizeof(*attempt));
	attempt->dns = dns;
	attempt->question = question;
	attempt->resolver = resolver;
	if (!resolvers_ask(dns->resolvers, resolver, &question->name,
	    question->type, on_reply, attempt)) {
		free(attempt);
		question_fail(question, "not a name");
		return;
	}
	question->attempt = attempt;
	question->tried |= 1u << resolver;
	if (choose(question) != -1 && left_ms > ATTEMPT_MS)
		left_ms = ATTEMPT_MS;
	timer_set(question->timer, left_ms);
}

/*
 * To the next resolver, or to the end; into the queue while too many are in
 * flight, or while it is not known which resolvers may be used.
 */
static void
question_go_on(struct question *question)
{
	struct dns *dns = question->dns;
	int resolver = choose(question);

	queue_remove(question);
	if (dns->n == 0 || (resolver == -1 && dns->used != 0)) {
		question_fail(question, question->failure);
		return;
	}
	if (resolver != -1 &&
	    resolvers_in_flight(dns->resolvers) < IN_FLIGHT_MAX) {
		attempt_begin(question, (unsigned)resolver);
		return;
	}
	queue_add(question);
	timer_set(question->timer, question->deadline_ms - loop_now_ms());
}

static void
queue_run(struct dns *dns)
{
	struct question *question;

	while (dns->queue != NULL && dns->used != 0 &&
	    resolvers_in_flight(dns->resolvers) < IN_FLIGHT_MAX) {
		question = dns->queue;
		question_go_on(question);
	}
}

static struct question *
question_new(struct dns *dns, const struct domain *name, enum rr_type type)
{
	struct question *question;

	question = mem_alloc(sizeof(*question));
	question->dns = dns;
	question->name = *name;
	question->type = type;
	question->timer = timer_new(dns->loop, on_question_timer, question);
	question->failure = "no resolver";
	question->next = dns->questions;
	question->at = &dns->questions;
	if (question->next != NULL)
		question->next->at = &question->next;
	dns->questions = question;
	return question;
}

static void
ask(struct dns *dns, const struct domain *name, enum rr_type type,
    unsigned depth, int64_t deadline_ms, bool fresh, dns_call *call,
    void *context)
{
	struct answer *answer = fresh ? NULL :
	    kept_find(dns->kept, name, type, loop_now_ms());
	struct question *question = question_find(dns, name, type);
	struct wait *wait;

	wait = mem_alloc(sizeof(*wait));
	wait->call = call;
	wait->context = context;
	if (answer != NULL) {
		ready_add(dns, wait, answer);
		return;
	}
	if (question != NULL) {
		wait->next = question->waits;
		question->waits = wait;
		return;
	}
	question = question_new(dns, name, type);
	question->waits = wait;
	question->depth = depth;
	question->deadline_ms = deadline_ms;
	question_go_on(question);
}

void
dns_ask(struct dns *dns, const struct domain *name, enum rr_type type,
    dns_call *call, void *context)
{
	ask(dns, name, type, 0, loop_now_ms() + DEADLINE_MS, false, call,
	    context);
}

void
dns_ask_fresh(struct dns *dns, const struct domain *name, enum rr_type type,
    dns_call *call, void *context)
{
	ask(dns, name, type, 0, loop_now_ms() + DEADLINE_MS, true, call,
	    context);
}

/*
 * Resolvers.
 */

struct dns *
dns_new(struct loop *loop)
{
	struct dns *dns;

	dns = mem_alloc(sizeof(*dns));
	dns->loop = loop;
	dns->resolvers = resolvers_new(loop);
	dns->kept = kept_new();
	dns->queue_end = &dns->queue;
	dns->ready_end = &dns->ready;
	dns->ready_timer = timer_new(loop, on_ready, dns);
	return dns;
}

struct resolvers *
dns_resolvers(struct dns *dns)
{
	return dns->resolvers;
}

void
dns_set_resolvers(struct dns *dns, const struct config_endpoint *list,
    size_t n)
{
	struct question *question, *next;
	unsigned i;

	kept_forget_all(dns->kept);
	for (question = dns->questions; question != NULL;
	    question = question->next) {
		attempt_give_up(question);
		question->tried = 0;
	}
	dns->n = n > RESOLVERS_MAX ? RESOLVERS_MAX : (unsigned)n;
	dns->used = dns->believed = 0;
	for (i = 0; i < dns->n; i++) {
		resolvers_set(dns->resolvers, i, &list[i]);
		dns->slow_until_ms[i] = 0;
	}
	for (question = dns->questions; question != NULL; question = next) {
		next = question->next;
		if (question->alias == NULL)
			question_go_on(question);
	}
}

void
dns_use(struct dns *dns, unsigned used, unsigned believed)
{
	if (used != dns->used || believed != dns->believed)
		kept_forget_all(dns->kept);
	dns->used = used;
	dns->believed = believed;
	queue_run(dns);
}

bool
dns_under(const char *prefix, const struct domain *base, struct domain *name)
{
	int len;

	len = snprintf(name->name, sizeof(name->name), "%s.%s", prefix,
	    base->name);
	/* 253 characters are 255 octets on the wire. */
	return len > 0 && len <= 253;
}
