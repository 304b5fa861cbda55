/*
 * Where does mail for this domain go, and what must the server prove?
 *
 * Called by main.c; serves the link to culver-delivery.  One work is one
 * question:
 *	parked		the resolver is still being judged (trust.c)
 *	MX, policy	asked side by side; no MX for a relayhost in brackets
 *	hosts		all of them side by side, once the MX set is known
 *	answered	perhaps before everything it asked for has come
 * An answered work whose asker still listens waits in a list until all of its
 * messages are in the link: an answer may be a mebibyte, and a link that is
 * full takes no more until its peer has read.  A work is freed when nothing it
 * asked for is outstanding and its answer has been handed over.
 *
 * A relayhost's name is the domain of its question in every respect: its MX,
 * its policy, its TLSA records (RFC 8461 3.4).  Only what is refused for good
 * elsewhere is put off there: no recipient is to blame for it.
 *
 * Hosts are not filtered by the policy, only marked (RFC 8461 8.4); verdicts
 * are decide.c's, made by culver-delivery.
 */
#include "policy/route.h"

#include "conf/log.h"
#include "conf/relayhost.h"
#include "policy/host.h"
#include "policy/mx.h"
#include "policy/policy.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define VALID_LEAST_S	30
#define VALID_MOST_S	3600
#define SMTP_PORT	25

struct work;

struct slot {
	struct work		*work;
	struct host_found	*found;
};

struct work {
	struct work		*next;		/* parked, or answering */
	struct route		*route;
	unsigned		 asker;		/* route->asker then */
	uint64_t		 question;
	struct domain		 domain;
	bool			 relayhost;
	bool			 direct;	/* no MX look-up */
	uint16_t		 port;
	enum config_ip		 ip;
	unsigned		 outstanding;	/* look-ups, and the answer */
	bool			 answered;
	struct r_route		 answer;
	bool			 begun;		/* R_ROUTE is in the link */
	unsigned		 hosts_sent;
	uint32_t		 ttl_s;
	bool			 dane;		/* as at the beginning */
	bool			 mx_done;
	bool			 mx_secure, mx_implicit;
	struct domain		 canonical;	/* of r_route; "" none */
	struct mx_list		 list;
	unsigned		 hosts_outstanding;
	struct slot		 slots[ROUTE_HOSTS_MAX];
	bool			 policy_done;
	struct discovered	*policy;	/* NULL: mta-sts off */
};

struct route {
	struct route_needs	 needs;
	struct link		*link;
	unsigned		 asker;		/* counts links */
	struct work		*parked;
	struct work		*answering, **answering_end;
	enum config_ip		 ip;
	bool			 sts, dane;
	uint64_t		 settings;	/* policy_settings_mark */
	char			 hostname[DOMAIN_TEXT_MAX];
};

/*
 * Answers.
 */

static bool
is_heard(const struct work *work)
{
	return work->route->link != NULL &&
	    work->asker == work->route->asker;
}

/* work->answer is what is to be said, with its hosts if it has any. */
static void
answer_begin(struct work *work)
{
	struct route *route = work->route;

	work->answered = true;
	if (!is_heard(work))
		return;
	work->outstanding++;
	work->next = NULL;
	*route->answering_end = work;
	route->answering_end = &work->next;
}

static void
answer_head(struct work *work, enum route_outcome outcome)
{
	struct r_route *route = &work->answer;

	route->question = work->question;
	route->outcome = outcome;
	route->mx_secure = work->mx_secure;
	/* STS-3.4-1, STS-1.1-1 RFC 8461 3.4: not the recipient's */
	if (work->relayhost)
		memcpy(route->policy_domain, work->domain.name,
		    sizeof(route->policy_domain));
}

/* No hosts: not now, or never. */
static void	refuse(struct work *, enum route_outcome, const char *enhanced,
		    const char *rule, const char *clause, const char *format,
		    ...) __attribute__((format(printf, 6, 7)));

static void
refuse(struct work *work, enum route_outcome outcome, const char *enhanced,
    const char *rule, const char *clause, const char *format, ...)
{
	bool ours = work->relayhost && outcome == ROUTE_FAIL;
	struct r_route *route = &work->answer;
	va_list args;

	answer_head(work, ours ? ROUTE_AGAIN : outcome);
	route->valid_until = loop_wall_s() + VALID_LEAST_S;
	snprintf(route->enhanced, sizeof(route->enhanced), "%s",
	    ours ? "4.3.5" : enhanced);
	snprintf(route->rule, sizeof(route->rule), "%s", rule);
	snprintf(route->clause, sizeof(route->clause), "%s", clause);
	va_start(args, format);
	vsnprintf(route->text, sizeof(route->text), format, args);
	va_end(args);
	answer_begin(work);
}

/*
 * Until when may a host of this route be started?  The least TTL, within
 * bounds, and not past the policy's end; but always long enough for the
 * attempt that asked (a policy of max_age 0 serves just that one).
 */
static int64_t
valid_until(const struct work *work)
{
	int64_t now_s = loop_wall_s(), until_s, ttl_s = work->ttl_s;

	if (work->policy != NULL && work->policy->ttl_s < ttl_s)
		ttl_s = work->policy->ttl_s;
	if (ttl_s > VALID_MOST_S)
		ttl_s = VALID_MOST_S;
	until_s = now_s + ttl_s;
	if (work->policy != NULL && work->policy->mode != STS_ABSENT &&
	    work->policy->expires_s < until_s)
		until_s = work->policy->expires_s;
	return until_s < now_s + VALID_LEAST_S ? now_s + VALID_LEAST_S :
	    until_s;
}

static void
answer_hosts(struct work *work)
{
	const struct discovered *policy = work->policy;
	struct r_route *route = &work->answer;

	answer_head(work, ROUTE_OK);
	route->mx_implicit = work->mx_implicit;
	memcpy(route->canonical, work->canonical.name,
	    sizeof(route->canonical));
	route->valid_until = valid_until(work);
	route->sts = STS_ABSENT;
	route->hosts = work->list.hosts_n;
	route->hosts_dropped = work->list.dropped;
	if (policy != NULL) {
		route->sts = policy->mode;
		route->sts_cached = policy->cached;
		route->sts_expires = policy->expires_s;
		route->sts_text = policy->text_mark;
		route->sts_error = policy->error;
		memcpy(route->sts_id, policy->id, sizeof(policy->id));
		memcpy(route->sts_error_text, policy->error_text,
		    sizeof(policy->error_text));
	}
	answer_begin(work);
}

/*
 * STS-4-1, STS-4.1-1 RFC 8461 4.1: the exchange as the MX record has it;
 * STS-4.1-5: without MX records, the domain itself; STS-5-5: under none
 * nothing needs to match.
 */
static bool
is_permitted(const struct work *work, const struct domain *host)
{
	const struct discovered *policy = work->policy;

	return policy == NULL || (policy->mode != STS_TESTING &&
	    policy->mode != STS_ENFORCE) ||
	    sts_match_mx(&policy->policy, host) >= 0;
}

static void
send_host(const struct work *work, const struct mx_host *host,
    const struct host_found *found)
{
	struct r_host message = {
		.question = work->question,
		.preference = host->preference,
		.port = work->port,
		.mx_match = is_permitted(work, &host->name),
		.lookup = work->relayhost && found->lookup == ROUTE_FAIL ?
		    ROUTE_AGAIN : found->lookup,
		.address_secure = found->secure,
		.tlsa_state = found->tlsa_state,
		.tlsa_len = found->tlsa_len
	};
	unsigned i;

	memcpy(message.name, host->name.name, sizeof(message.name));
	memcpy(message.lookup_text, found->text, sizeof(found->text));
	memcpy(message.tlsa_base, found->tlsa_base.name,
	    sizeof(message.tlsa_base));
	for (i = 0; i < found->addresses_n; i++)
		route_put_address(message.addresses, &message.addresses_len,
		    sizeof(message.addresses), &found->addresses[i]);
	if (found->tlsa_len > 0)
		memcpy(message.tlsa, found->tlsa, found->tlsa_len);
	link_send(work->route->link, R_HOST, &message, NULL);
}

/* SMTP-5.1-14 RFC 5321 5.1, by address.  False: nothing is left. */
static bool
drop_ourselves(struct work *work)
{
	const struct host_found *found;
	unsigned i, j;

	for (i = 0; i < work->list.hosts_n; i++) {
		found = work->slots[i].found;
		for (j = 0; j < found->addresses_n; j++)
			if (self_is(work->route->needs.self,
			    &found->addresses[j], work->port))
				return mx_keep_better(&work->list,
				    work->list.hosts[i].preference);
	}
	return true;
}

/* SMTP-5.1-15 RFC 5321 5.1 */
static void
refuse_loop(struct work *work)
{
	refuse(work, ROUTE_FAIL, "5.4.6", "loop", "RFC 5321 5.1",
	    "the best mail host of %s is this relay itself",
	    work->domain.name);
}

/*
 * Does the resolver prove nothing any more?  What it then says of hosts is
 * insecure, and must not stand in the place of TLSA.
 */
static bool
is_doubted(const struct work *work)
{
	return work->dane &&
	    trust_state(work->route->needs.trust) != TRUST_ON;
}

static void
refuse_doubted(struct work *work)
{
	refuse(work, ROUTE_AGAIN, "4.4.3", "resolver", "RFC 7672 2.1",
	    "the resolver changed while %s was looked up",
	    work->domain.name);
}

/* Everything that was asked for is here. */
static void
answer(struct work *work)
{
	unsigned i, n = work->list.hosts_n;

	if (is_doubted(work)) {
		refuse_doubted(work);
		return;
	}
	if (!drop_ourselves(work)) {
		refuse_loop(work);
		return;
	}
	/* T30: what a policy would demand is not known: mail waits. */
	if (work->policy != NULL && work->policy->again) {
		refuse(work, ROUTE_AGAIN, "4.7.5", "policy-again",
		    "RFC 8461 5.1", "the MTA-STS policy of %s is not known: "
		    "%s; try again", work->domain.name,
		    work->policy->error_text);
		return;
	}
	for (i = 0; i < n; i++)
		if (work->slots[i].found->ttl_s < work->ttl_s)
			work->ttl_s = work->slots[i].found->ttl_s;
	if (work->mx_implicit)
		work->canonical = work->slots[0].found->canonical;
	answer_hosts(work);
}

static void
work_free(struct work *work)
{
	unsigned i;

	for (i = 0; i < ROUTE_HOSTS_MAX; i++)
		host_free(&work->slots[i].found);
	discovered_release(&work->policy);
	free(work);
}

/* The next message of an answer.  True: it was the last. */
static bool
send_next(struct work *work)
{
	const struct r_end end = { .question = work->question };
	struct link *link = work->route->link;
	unsigned i = work->hosts_sent;

	if (!work->begun) {
		work->begun = true;
		link_send(link, R_ROUTE, &work->answer, NULL);
		return false;
	}
	if (i < work->answer.hosts) {
		work->hosts_sent++;
		send_host(work, &work->list.hosts[i], work->slots[i].found);
		return false;
	}
	link_send(link, R_END, &end, NULL);
	return true;
}

/* The first answer of the list is over, or nobody wants it. */
static void
answer_end(struct route *route)
{
	struct work *work = route->answering;

	route->answering = work->next;
	if (route->answering == NULL)
		route->answering_end = &route->answering;
	if (--work->outstanding == 0)
		work_free(work);
}

/* As much as the link takes; the rest when it has drained. */
static void
send_answers(struct route *route)
{
	while (route->answering != NULL && route->link != NULL &&
	    !link_full(route->link))
		if (send_next(route->answering))
			answer_end(route);
}

/*
 * Something came: answer if it was the last, and go when all is over.  The
 * work may be gone afterwards.
 */
static void
step(struct work *work)
{
	struct route *route = work->route;

	if (!work->answered && work->mx_done && work->policy_done &&
	    work->hosts_outstanding == 0)
		answer(work);
	if (work->outstanding == 0)
		work_free(work);
	send_answers(route);
}

/*
 * Look-ups.
 */

static void
on_host(void *context, struct host_found *found)
{
	struct slot *slot = context;
	struct work *work = slot->work;

	slot->found = found;
	work->hosts_outstanding--;
	work->outstanding--;
	step(work);
}

static void
find_hosts(struct work *work)
{
	struct route *route = work->route;
	unsigned i;

	for (i = 0; i < work->list.hosts_n; i++) {
		work->slots[i].work = work;
		work->hosts_outstanding++;
		work->outstanding++;
		host_find(route->needs.dns, &work->list.hosts[i].name,
		    work->ip, work->dane ? work->port : 0, on_host,
		    &work->slots[i]);
	}
}

/* SMTP-5.1-6 RFC 5321 5.1; DANE-7672-2.2.2-7 RFC 7672 2.2.2 */
static void
take_implicit(struct work *work)
{
	work->mx_implicit = true;
	work->list.hosts[0].name = work->domain;
	work->list.hosts_n = 1;
	find_hosts(work);
}

static void
say_ignored(const struct work *work)
{
	if (work->list.ignored > 0)
		log_line(LOG_LEVEL_INFO, "MX of %s: \"%s\" is no host's name "
		    "and is ignored", work->domain.name,
		    work->list.ignored_name);
}

static void
take_records(struct work *work, const struct rr_answer *answered)
{
	enum mx_outcome outcome;
	uint64_t seed;

	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		fatal("no random number for a route");
	outcome = mx_order(answered->records, answered->records_n,
	    work->route->hostname, seed, &work->list);
	say_ignored(work);
	switch (outcome) {
	case MX_HOSTS:
		/* SMTP-5.1-8 RFC 5321 5.1: never the domain's own addresses */
		find_hosts(work);
		return;
	case MX_NULL:
		/* EXT-7505-3-1, EXT-7505-4.1-1 RFC 7505 3, 4.1 */
		refuse(work, ROUTE_FAIL, "5.1.10", "null-mx", "RFC 7505 3",
		    "%s takes no mail (null MX)", work->domain.name);
		return;
	case MX_UNUSABLE:
		/* SMTP-5.1-7 RFC 5321 5.1 */
		refuse(work, ROUTE_FAIL, "5.4.4", "mx-unusable",
		    "RFC 5321 5.1", "no MX record of %s names a host",
		    work->domain.name);
		return;
	case MX_LOOP:
		refuse_loop(work);
	}
}

/*
 * DANE-7672-2.1.2-1 RFC 7672 2.1.2, SMTP-5.1-5 RFC 5321 5.1: a failure is
 * neither "no MX" nor "no domain".  DANE-7672-2.2.1-2 RFC 7672 2.2.1: dns.c
 * has followed the domain's aliases; the records are those at their end.
 */
static void
on_mx(void *context, const struct rr_answer *answered, const char *failure)
{
	struct work *work = context;

	work->outstanding--;
	work->mx_done = true;
	work->mx_secure = answered->secure;
	/* RFC 7672 3.2.2: the MX answer tells it, nothing more is asked */
	if (answered->secure && answered->alias)
		work->canonical = answered->canonical;
	work->ttl_s = answered->ttl_s;
	if (failure != NULL)
		refuse(work, ROUTE_AGAIN, "4.4.3", "dns", "RFC 5321 5.1",
		    "the MX records of %s cannot be looked up: %s",
		    work->domain.name, failure);
	else if (answered->status == RR_NXDOMAIN)
		refuse(work, ROUTE_FAIL, "5.1.2", "nxdomain", "RFC 5321 5.1",
		    "there is no domain %s", work->domain.name);
	else if (is_doubted(work))
		refuse_doubted(work);
	else if (answered->records_n == 0)
		take_implicit(work);
	else
		take_records(work, answered);
	step(work);
}

static void
on_policy(void *context, struct discovered *found)
{
	struct work *work = context;

	work->outstanding--;
	work->policy_done = true;
	work->policy = discovered_hold(found);
	step(work);
}

/*
 * SMTP-5.1-1 RFC 5321 5.1; STS-5.1-1 RFC 8461 5.1: beside each other.  No MX
 * is asked for where the operator named the server.
 */
static void
begin(struct work *work)
{
	struct route *route = work->route;
	bool believed = trust_state(route->needs.trust) == TRUST_ON;

	work->dane = route->dane && believed;
	work->answer.settings = route->settings;
	work->answer.dnssec_judged = believed;
	work->policy_done = !route->sts;
	if (route->sts) {
		work->outstanding++;
		discover_policy(route->needs.discover, &work->domain,
		    on_policy, work);
	}
	if (work->direct) {
		work->mx_done = true;
		work->ttl_s = VALID_MOST_S;
		take_implicit(work);
		return;
	}
	work->outstanding++;
	dns_ask(route->needs.dns, &work->domain, RR_MX, on_mx, work);
}

/*
 * STS-3.4-2 RFC 8461 3.4, DANE-7672-2.2-9 RFC 7672 2.2, SMTP-4.1.3-1
 * RFC 5321 4.1.3: one host, no question to DNS, no policy (T43).
 */
static void
answer_literal(struct work *work)
{
	struct host_found *found = mem_alloc(sizeof(*found));

	work->answer.settings = work->route->settings;
	work->answer.dnssec_judged = true;	/* there is nothing to judge */
	work->mx_implicit = true;
	work->ttl_s = VALID_MOST_S;
	work->slots[0].found = found;
	work->list.hosts[0].name = found->name = work->domain;
	work->list.hosts_n = 1;
	found->tlsa_state = TLSA_INSECURE;
	found->addresses_n = 1;
	if (!domain_literal_address(&work->domain, &found->addresses[0]))
		refuse(work, ROUTE_FAIL, "5.1.2", "bad-domain",
		    "RFC 5321 4.1.3", "%s is no address",
		    work->domain.name);
	else if (self_is(work->route->needs.self, &found->addresses[0],
	    work->port))
		refuse_loop(work);
	else
		answer_hosts(work);
	step(work);
}

/*
 * The question waits while the resolver is being judged; when it gives no
 * answer, mail waits (trust-resolver).
 */
static void
judge_and_begin(struct work *work)
{
	struct route *route = work->route;

	switch (trust_state(route->needs.trust)) {
	case TRUST_ASKING:
		work->next = route->parked;
		route->parked = work;
		return;
	case TRUST_WAITING:
		refuse(work, ROUTE_AGAIN, "4.4.3", "resolver", "RFC 7672 2.1",
		    "the resolver does not answer; `trust-resolver no' "
		    "delivers without DANE");
		step(work);
		return;
	case TRUST_ON:
	case TRUST_OFF:
		begin(work);
	}
}

void
route_go_on(void *context)
{
	struct route *route = context;
	struct work *work = route->parked, *next;

	route->parked = NULL;
	for (; work != NULL; work = next) {
		next = work->next;
		judge_and_begin(work);
	}
}

/*
 * A domain, a literal, or a relayhost's URL.  DANE-7672-2.2.2-7: in brackets
 * it is the server itself.
 */
static bool
read_next_hop(struct work *work, const char *text)
{
	struct relayhost relayhost;
	const char *why;

	work->port = SMTP_PORT;
	if (!relayhost_is(text))
		return domain_parse(slice_of(text), &work->domain);
	work->relayhost = true;
	if (!relayhost_parse(slice_of(text), &relayhost, &why))
		return false;
	work->domain = relayhost.host;
	work->direct = relayhost.direct;
	work->port = relayhost.port;
	return true;
}

static void
on_message(void *context, struct link *link, unsigned kind,
    const void *message, int *fds)
{
	struct route *route = context;
	const struct r_ask *ask = message;
	struct work *work;

	(void)fds;
	if (kind != R_ASK)
		return;
	work = mem_alloc(sizeof(*work));
	work->route = route;
	work->asker = route->asker;
	work->question = ask->question;
	work->ip = route->ip;
	if (!read_next_hop(work, ask->domain)) {
		refuse(work, ROUTE_FAIL, "5.1.2", "bad-domain",
		    "RFC 5321 4.1.2", "\"%s\" is no domain", ask->domain);
		step(work);
	} else if (domain_is_literal(&work->domain)) {
		answer_literal(work);
	} else {
		judge_and_begin(work);
	}
	if (link_full(link))
		link_pause(link, true);
}

static void
on_drained(void *context, struct link *link)
{
	send_answers(context);
	link_pause(link, link_full(link));
}

/* Who asked is gone. */
static void
drop_answers(struct route *route)
{
	while (route->answering != NULL)
		answer_end(route);
}

static void
on_closed(void *context, struct link *link)
{
	struct route *route = context;

	(void)link;
	route->link = NULL;
	drop_answers(route);
}

void
route_link(struct route *route, int fd)
{
	static const struct link_calls calls = {
		.message = on_message, .closed = on_closed,
		.drained = on_drained
	};

	link_close(&route->link);
	drop_answers(route);
	route->asker++;
	route->link = link_new(route->needs.loop, fd, &route_wire, &calls,
	    route);
}

struct route *
route_new(const struct route_needs *needs)
{
	struct route *route;

	route = mem_alloc(sizeof(*route));
	route->needs = *needs;
	route->answering_end = &route->answering;
	return route;
}

void
route_set(struct route *route, const struct config *config)
{
	route->ip = config->ip;
	route->sts = config->mta_sts != CONFIG_STS_OFF;
	route->dane = config->dane != CONFIG_DANE_OFF;
	route->settings = policy_settings_mark(config);
	memcpy(route->hostname, config->hostname, sizeof(route->hostname));
}
