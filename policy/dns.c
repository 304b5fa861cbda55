/*
 * What does DNS answer to (name, type)?
 *
 * Called by host.c, route.c, discover.c and fetcher.c.  A question lives
 * until its answer is there; whoever asks the same meanwhile joins it.
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

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS		1024
#define DEADLINE_MS	15000
/* Another resolver is tried after this; the last one has what is left. */
#define ATTEMPT_MS	5000
/* One that was silent is asked last for so long. */
#define SLOW_MS		60000
/* facts.md 4: more replies at once overflow the socket. */
#define IN_FLIGHT_MAX	100
#define KEPT_OCTETS_MAX	(8u << 20)
#define TTL_MAX_S	86400
#define NEGATIVE_MAX_S	300
#define CHASE_MAX	8

/* An answer that is kept, or only handed out; counted by who holds it. */
struct entry {
	struct entry	*next;			/* in its bucket */
	struct entry	*newer, *older;		/* by use */
	unsigned	 held;
	bool		 kept;
	size_t		 octets;
	struct domain	 name;
	enum rr_type	 type;
	struct rr_answer answer;	/* records and data: one piece */
	const char	*failure;
	int64_t		 expires_ms;
};

/* One who waits for an answer. */
struct wait {
	struct wait	*next;
	dns_call	*call;
	void		*context;
	struct entry	*entry;			/* once it is there */
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
	struct entry	*alias;			/* chasing from this answer */
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
	struct entry	*buckets[BUCKETS];
	struct entry	*newest, *oldest;
	size_t		 kept_octets;
	struct wait	*ready, **ready_end;
	struct timer	*ready_timer;
};

static void	question_go_on(struct question *);
static void	queue_run(struct dns *);
static void	ask(struct dns *, const struct domain *, enum rr_type,
		    unsigned depth, int64_t deadline_ms, bool fresh,
		    dns_call *, void *context);

/*
 * Answers that are kept.
 */

static struct entry **
bucket_of(struct dns *dns, const struct domain *name, enum rr_type type)
{
	uint32_t hash = 2166136261u ^ (uint32_t)type;
	const char *at;

	for (at = name->name; *at != '\0'; at++)
		hash = (hash ^ (uint8_t)*at) * 16777619u;
	return &dns->buckets[hash % BUCKETS];
}

static void
entry_release(struct entry *entry)
{
	if (--entry->held > 0)
		return;
	free(entry->answer.records);
	free(entry);
}

static struct entry *
entry_new(const struct domain *name, enum rr_type type)
{
	struct entry *entry;

	entry = mem_alloc(sizeof(*entry));
	entry->held = 1;
	entry->name = *name;
	entry->type = type;
	return entry;
}

/* Copy an answer of other memory into the entry's own. */
static void
entry_fill(struct entry *entry, const struct rr_answer *from)
{
	size_t octets = from->records_n * sizeof(from->records[0]), i;
	struct rr *records;
	char *data;

	for (i = 0; i < from->records_n; i++)
		octets += from->records[i].data.len;
	entry->answer = *from;
	entry->octets = sizeof(*entry) + octets;
	entry->answer.records = records = mem_alloc(octets + 1);
	data = (char *)(records + from->records_n);
	for (i = 0; i < from->records_n; i++) {
		records[i] = from->records[i];
		records[i].data.at = data;
		if (records[i].data.len > 0)
			memcpy(data, from->records[i].data.at,
			    records[i].data.len);
		data += records[i].data.len;
	}
}

static struct entry *
entry_failed(const struct domain *name, enum rr_type type,
    const char *failure)
{
	struct entry *entry = entry_new(name, type);

	entry->answer.status = RR_SERVFAIL;
	entry->answer.canonical = *name;
	entry->failure = failure;
	return entry;
}

static void
use_add(struct dns *dns, struct entry *entry)
{
	entry->older = dns->newest;
	entry->newer = NULL;
	if (dns->newest != NULL)
		dns->newest->newer = entry;
	else
		dns->oldest = entry;
	dns->newest = entry;
}

static void
use_remove(struct dns *dns, struct entry *entry)
{
	if (entry->newer != NULL)
		entry->newer->older = entry->older;
	else
		dns->newest = entry->older;
	if (entry->older != NULL)
		entry->older->newer = entry->newer;
	else
		dns->oldest = entry->newer;
}

static void
forget(struct dns *dns, struct entry *entry)
{
	struct entry **at = bucket_of(dns, &entry->name, entry->type);

	while (*at != entry)
		at = &(*at)->next;
	*at = entry->next;
	use_remove(dns, entry);
	dns->kept_octets -= entry->octets;
	entry->kept = false;
	entry_release(entry);
}

static void
forget_all(struct dns *dns)
{
	while (dns->oldest != NULL)
		forget(dns, dns->oldest);
}

static struct entry *
find(struct dns *dns, const struct domain *name, enum rr_type type)
{
	struct entry *entry = *bucket_of(dns, name, type);

	while (entry != NULL && (entry->type != type ||
	    !domain_equal(&entry->name, name)))
		entry = entry->next;
	if (entry == NULL)
		return NULL;
	if (entry->expires_ms <= loop_now_ms()) {
		forget(dns, entry);
		return NULL;
	}
	use_remove(dns, entry);
	use_add(dns, entry);
	return entry;
}

/* STS-8.1-1 RFC 8461 8.1: for its TTL, and not a second longer. */
static void
keep(struct dns *dns, struct entry *entry)
{
	uint32_t ttl_s = entry->answer.ttl_s;
	struct entry **bucket, *old;

	if (entry->answer.records_n == 0 && ttl_s > NEGATIVE_MAX_S)
		ttl_s = NEGATIVE_MAX_S;
	if (ttl_s > TTL_MAX_S)
		ttl_s = TTL_MAX_S;
	entry->expires_ms = loop_now_ms() + (int64_t)ttl_s * 1000;
	if (entry->failure != NULL)
		return;
	old = find(dns, &entry->name, entry->type);
	if (old != NULL)
		forget(dns, old);
	if (ttl_s == 0)
		return;
	bucket = bucket_of(dns, &entry->name, entry->type);
	entry->next = *bucket;
	*bucket = entry;
	use_add(dns, entry);
	entry->kept = true;
	entry->held++;
	dns->kept_octets += entry->octets;
	while (dns->kept_octets > KEPT_OCTETS_MAX && dns->oldest != entry)
		forget(dns, dns->oldest);
}

/*
 * Handing out.  From the loop, so that no asker hears an answer in his call.
 */

static void
ready_add(struct dns *dns, struct wait *wait, struct entry *entry)
{
	wait->entry = entry;
	entry->held++;
	wait->next = NULL;
	*dns->ready_end = wait;
	dns->ready_end = &wait->next;
	if (!timer_is_set(dns->ready_timer))
		timer_set(dns->ready_timer, 0);
}

static void
hand_out(struct wait *wait)
{
	struct entry *entry = wait->entry;
	struct rr_answer answer = entry->answer;
	int64_t left_ms = entry->expires_ms - loop_now_ms();

	answer.ttl_s = left_ms > 0 ? (uint32_t)((left_ms + 999) / 1000) : 0;
	wait->call(wait->context, &answer, entry->failure);
	entry_release(entry);
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

/* The answer is there, whatever it is: everybody gets it.  Takes entry. */
static void
question_end(struct question *question, struct entry *entry)
{
	struct dns *dns = question->dns;
	struct wait *wait, *next;

	keep(dns, entry);
	for (wait = question->waits; wait != NULL; wait = next) {
		next = wait->next;
		ready_add(dns, wait, entry);
	}
	entry_release(entry);
	queue_remove(question);
	attempt_give_up(question);
	*question->at = question->next;
	if (question->next != NULL)
		question->next->at = question->at;
	timer_free(&question->timer);
	if (question->alias != NULL)
		entry_release(question->alias);
	free(question);
}

static void
question_fail(struct question *question, const char *failure)
{
	question_end(question, entry_failed(&question->name, question->type,
	    failure));
}

/*
 * The alias' target has answered.  DANE-7672-2.1.3-4, DANE-7672-2.1.3-5
 * RFC 7672 2.1.3: an error anywhere is the look-up's; what is insecure
 * anywhere is insecure.
 */
static void
on_chased(void *context, const struct rr_answer *answer, const char *failure)
{
	struct question *question = context;
	const struct rr_answer *alias = &question->alias->answer;
	struct entry *entry;

	if (failure != NULL) {
		question_fail(question, failure);
		return;
	}
	entry = entry_new(&question->name, question->type);
	entry_fill(entry, answer);
	entry->answer.alias = true;
	entry->answer.secure = answer->secure && alias->secure;
	if (alias->ttl_s < answer->ttl_s)
		entry->answer.ttl_s = alias->ttl_s;
	question_end(question, entry);
}

/*
 * DANE-7672-2.1.3-3 RFC 7672 2.1.3: an alias without its target's data, or
 * one whose target has no such data: asking there tells.
 */
static bool
is_bare_alias(const struct question *question, const struct entry *entry)
{
	return entry->failure == NULL && entry->answer.status == RR_OK &&
	    entry->answer.alias && entry->answer.records_n == 0 &&
	    question->type != RR_CNAME;
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
		target = &other->alias->answer.canonical;
	}
	return true;
}

static void
question_answered(struct question *question, struct entry *entry)
{
	if (!is_bare_alias(question, entry)) {
		question_end(question, entry);
		return;
	}
	if (question->depth >= CHASE_MAX ||
	    is_circle(question, &entry->answer.canonical)) {
		entry_release(entry);
		question_fail(question, "endless aliases");
		return;
	}
	question->alias = entry;
	timer_stop(question->timer);
	ask(question->dns, &entry->answer.canonical, question->type,
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

/* The octets as an entry, AD only where it counts. */
static struct entry *
read_reply(const struct attempt *attempt, struct slice octets)
{
	const struct question *question = attempt->question;
	struct region *region = region_new();
	struct rr_answer answer;
	struct entry *entry;

	rr_parse(octets, &question->name, question->type, region, &answer);
	if (!(attempt->dns->believed & 1u << attempt->resolver))
		answer.secure = false;
	entry = entry_new(&question->name, question->type);
	entry_fill(entry, &answer);
	entry->failure = failure_of(&answer);
	region_free(&region);
	return entry;
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
	struct entry *entry = NULL;

	free(context);
	if (question != NULL) {
		question->attempt = NULL;
		*slow_until_ms = octets.at == NULL ?
		    loop_now_ms() + SLOW_MS : 0;
		if (octets.at != NULL)
			entry = read_reply(&attempt, octets);
		if (entry == NULL) {
			attempt_failed(question, "no answer");
		} else if (entry->failure != NULL) {
			attempt_failed(question, entry->failure);
			entry_release(entry);
		} else {
			question_answered(question, entry);
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
	struct entry *entry = fresh ? NULL : find(dns, name, type);
	struct question *question = question_find(dns, name, type);
	struct wait *wait;

	wait = mem_alloc(sizeof(*wait));
	wait->call = call;
	wait->context = context;
	if (entry != NULL) {
		ready_add(dns, wait, entry);
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

	forget_all(dns);
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
		forget_all(dns);
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
