/*
 * Which address is tried next, and has enough been tried?
 *
 * Called by attempt.c for each step.  It remembers by name and address, not
 * by place, because the route may be asked for anew in the middle of a walk
 * and come in another order.  It opens nothing and tells nobody.
 */
#include "delivery/walk.h"

#include <stdio.h>
#include <string.h>

static struct walk_host *
find_host(struct walk *walk, const char *name)
{
	struct walk_host *host;
	unsigned i;

	for (i = 0; i < walk->hosts_n; i++)
		if (strcmp(walk->hosts[i].name, name) == 0)
			return &walk->hosts[i];
	/* Full: two routes of 32 new names each; the last place is shared. */
	if (walk->hosts_n == WALK_HOSTS_MAX)
		return &walk->hosts[WALK_HOSTS_MAX - 1];
	host = &walk->hosts[walk->hosts_n++];
	*host = (struct walk_host){ .end = END_OPEN };
	memcpy(host->name, name, strlen(name) + 1);
	return host;
}

static bool
was_tried(const struct walk *walk, const char *name,
    const struct address *address)
{
	unsigned i;

	for (i = 0; i < walk->tried_n; i++)
		if (strcmp(walk->tried[i].name, name) == 0 &&
		    address_equal(&walk->tried[i].address, address))
			return true;
	return false;
}

static bool
is_excepted(const struct walk_except *except, const char *name)
{
	unsigned i;

	for (i = 0; except != NULL && i < except->names_n; i++)
		if (strcmp(except->names[i], name) == 0)
			return true;
	return false;
}

/* SMTP-5.2-1: both families, unless the operator wants one. */
static bool
may_use(const struct config *config, const struct address *address)
{
	return config->ip == CONFIG_IP_BOTH ||
	    (config->ip == CONFIG_IP_4) == (address->family == 4);
}

/* Has it any address for us?  If not, *text says why. */
static bool
has_address(const struct nexthop_host *host, const struct config *config,
    const char **text)
{
	unsigned i;

	if (host->lookup != ROUTE_OK || host->addresses_n == 0) {
		*text = host->lookup_text[0] != '\0' ? host->lookup_text :
		    "no address";
		return false;
	}
	for (i = 0; i < host->addresses_n; i++)
		if (may_use(config, &host->addresses[i]))
			return true;
	*text = "no address of the family that `ip` allows";
	return false;
}

/* SMTP-5.1-9, SMTP-5.1-13: all of them, in the order that they have. */
static bool
next_address(const struct walk *walk, const struct nexthop_host *host,
    const struct config *config, struct address *address)
{
	unsigned i;

	for (i = 0; i < host->addresses_n; i++) {
		if (!may_use(config, &host->addresses[i]) ||
		    was_tried(walk, host->name, &host->addresses[i]))
			continue;
		*address = host->addresses[i];
		return true;
	}
	return false;
}

static bool
is_enough(const struct walk *walk, int64_t now_ms)
{
	unsigned n = walk->connections - walk->past_connections;

	return n >= WALK_CONNECTIONS_MAX ||
	    (n > 0 && now_ms - walk->begun_ms >= WALK_CONNECT_MS);
}

/* One host; false: there is nothing to be done with it. */
static bool
consider(struct walk *walk, const struct nexthop_host *host,
    const struct config *config, struct walk_step *step)
{
	struct walk_host *known = find_host(walk, host->name);

	if (known->over)
		return false;
	step->host = host;
	step->verdict = decide_host(&step->facts);
	if (step->verdict.action == HOST_SKIP) {
		step->what = WALK_SKIP;
		return true;
	}
	if (!has_address(host, config, &step->text)) {
		step->what = WALK_NOWHERE;
		return true;
	}
	if (!next_address(walk, host, config, &step->address)) {
		known->over = true;
		return false;
	}
	step->what = WALK_CONNECT;
	return true;
}

void
walk_next(struct walk *walk, const struct nexthop *nexthop,
    enum mail_class class, const struct config *config,
    const struct walk_except *except, int64_t wall_s, int64_t now_ms,
    struct walk_step *step)
{
	const struct nexthop_host *host;
	unsigned i;

	*step = (struct walk_step){ .what = WALK_OVER };
	if (is_enough(walk, now_ms))
		return;
	/* STS-5.1-3, STS-8.4-1: in MX order, an unfit one in its turn. */
	for (i = 0; i < nexthop->hosts_n; i++) {
		host = &nexthop->hosts[i];
		if (is_excepted(except, host->name))
			continue;
		nexthop_facts(nexthop, host, class, config, wall_s,
		    &step->facts);
		if (!consider(walk, host, config, step))
			continue;
		if (step->what == WALK_CONNECT &&
		    wall_s > nexthop->route.valid_until)
			step->what = WALK_ASK;
		return;
	}
}

void
walk_note_try(struct walk *walk, const char *name,
    const struct address *address, int64_t now_ms)
{
	struct walk_tried *tried;

	if (walk->connections++ == walk->past_connections)
		walk->begun_ms = now_ms;
	if (walk->tried_n == sizeof(walk->tried) / sizeof(walk->tried[0]))
		return;
	tried = &walk->tried[walk->tried_n++];
	memcpy(tried->name, name, strlen(name) + 1);
	tried->address = *address;
}

void
walk_forget_try(struct walk *walk, const char *name,
    const struct address *address)
{
	unsigned i, kept = 0;

	for (i = 0; i < walk->tried_n; i++)
		if (strcmp(walk->tried[i].name, name) != 0 ||
		    !address_equal(&walk->tried[i].address, address))
			walk->tried[kept++] = walk->tried[i];
	walk->tried_n = kept;
	find_host(walk, name)->over = false;
}

void
walk_note_end(struct walk *walk, const char *name, enum walk_end end,
    bool over, const struct rule *rule, const char *text)
{
	struct walk_host *host = find_host(walk, name);

	/* Where there is a rule, its own words; else the last. */
	if (end > host->end || (end == host->end && host->rule.name == NULL))
		snprintf(host->text, sizeof(host->text), "%.*s",
		    WALK_TEXT_MAX - 1, text);
	if (end > host->end) {
		host->end = end;
		if (rule != NULL)
			host->rule = *rule;
	}
	if (over)
		host->over = true;
	walk->last = host;
}

/* What is known of a host by this name; NULL: nothing. */
static const struct walk_host *
known_host(const struct walk *walk, const char *name)
{
	unsigned i;

	for (i = 0; i < walk->hosts_n; i++)
		if (strcmp(walk->hosts[i].name, name) == 0)
			return &walk->hosts[i];
	return NULL;
}

static const struct walk_host *
first_with(const struct walk *walk, const struct nexthop *nexthop,
    enum walk_end end)
{
	const struct walk_host *host;
	unsigned i;

	for (i = 0; i < nexthop->hosts_n; i++) {
		host = known_host(walk, nexthop->hosts[i].name);
		if (host != NULL && host->end == end)
			return host;
	}
	return NULL;
}

const struct walk_host *
walk_decider(const struct walk *walk, const struct nexthop *nexthop)
{
	const struct walk_host *host = first_with(walk, nexthop, END_POLICY);

	if (host == NULL && walk->past_policy)
		return &walk->past_refused;
	if (host == NULL)
		host = first_with(walk, nexthop, END_UNFIT_TLS);
	if (host == NULL && walk->past_unfit)
		return &walk->past_refused;
	return host != NULL ? host : walk->last;
}

void
walk_domain_facts(const struct walk *walk, const struct nexthop *nexthop,
    enum mail_class class, struct domain_facts *facts)
{
	const struct walk_host *host;
	unsigned i;

	*facts = walk->past;
	facts->class = class;
	facts->hosts += nexthop->hosts_n;
	for (i = 0; i < nexthop->hosts_n; i++) {
		host = known_host(walk, nexthop->hosts[i].name);
		if (host == NULL)
			continue;
		facts->policy += host->end == END_POLICY;
		facts->temporary += host->end == END_TEMPORARY;
		facts->nonexistent += host->end == END_NONEXISTENT;
		facts->unfit_tls += host->end == END_UNFIT_TLS;
	}
	/* Rule and words are of the same host. */
	facts->policy_rule = (struct rule){ .name = NULL };
	if (facts->policy + facts->unfit_tls > 0)
		facts->policy_rule = walk_decider(walk, nexthop)->rule;
}

/* Keep the host whose rule stands for the relays so far. */
static void
keep_refused(struct walk *walk, const struct nexthop *nexthop)
{
	const struct walk_host *host = walk_decider(walk, nexthop);

	if (host == NULL || (host->end != END_POLICY &&
	    host->end != END_UNFIT_TLS))
		return;
	walk->past_policy = host->end == END_POLICY;
	walk->past_unfit = host->end == END_UNFIT_TLS;
	if (host != &walk->past_refused)
		walk->past_refused = *host;
}

void
walk_next_relay(struct walk *walk, const struct nexthop *nexthop,
    enum mail_class class)
{
	struct domain_facts facts;

	walk_domain_facts(walk, nexthop, class, &facts);
	/* No way there: it counts as one host. */
	if (nexthop->hosts_n == 0)
		facts.hosts++;
	if (nexthop->route.outcome == ROUTE_FAIL)
		facts.nonexistent++;
	else if (nexthop->route.outcome == ROUTE_AGAIN)
		facts.temporary++;
	keep_refused(walk, nexthop);
	walk->past = facts;
	if (walk->last != NULL && walk->last != &walk->past_last)
		walk->past_last = *walk->last;
	if (walk->last != NULL)
		walk->last = &walk->past_last;
	walk->past_connections = walk->connections;
	walk->hosts_n = 0;
	walk->tried_n = 0;
}
