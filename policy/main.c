/*
 * culver-policy: where may mail for this domain go, and what must the server
 * prove?
 *
 * Started by culverd, or alone as `culver-policy ctl'.  This file wires: the
 * resolvers (dns.c, trust.c), the policies (cache.c, discover.c, refresher.c
 * and what they use), the questions of culver-delivery (route.c) and of
 * culver-reports (inquiry.c), the talk with culver-fetch (fetcher.c), and the
 * operator's verbs (ctl.c).
 *
 * Everything that reads files or the machine's state is made before
 * confinement; the store is opened after it.
 */
#include "conf/control.h"
#include "conf/log.h"
#include "conf/parent.h"
#include "policy/ctl.h"
#include "policy/discover.h"
#include "policy/inquiry.h"
#include "policy/route.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct policy {
	struct loop		*loop;
	struct config		*config;
	char			 resolvers[1024];	/* resolv.conf's */
	struct dns		*dns;
	struct trust		*trust;
	struct self		*self;
	struct cache		*cache;
	struct fetcher		*fetcher;
	struct obtain		*obtain;
	struct refresher	*refresher;
	struct discover		*discover;
	struct route		*route;
	struct inquiry		*inquiry;
	struct ctl_policy	 ctl;
};

/* The configured resolvers, else the machine's, else the one on loopback. */
static void
set_resolvers(struct policy *policy)
{
	struct config_endpoint list[RESOLVERS_MAX];
	const struct config *config = policy->config;
	size_t n = config->resolvers_n, i;

	for (i = 0; i < n && i < RESOLVERS_MAX; i++)
		list[i] = config->resolvers[i];
	n = i;
	if (n == 0)
		n = resolvers_parse(policy->resolvers, list, RESOLVERS_MAX);
	if (n == 0)
		n = resolvers_parse(RESOLVER_DEFAULT, list, RESOLVERS_MAX);
	trust_set(policy->trust, config, list, n);
}

static void
take_config(struct policy *policy, struct config *config)
{
	config_free(&policy->config);
	policy->config = config;
	self_set(policy->self, config);
	obtain_set(policy->obtain, config);
	discover_set(policy->discover, config);
	route_set(policy->route, config);
	refresher_set(policy->refresher, config);
	inquiry_set(policy->inquiry, config);
	set_resolvers(policy);
}

/*
 * What the parent says.
 */

static void
on_link(void *context, enum program peer, int fd)
{
	struct policy *policy = context;

	if (peer == PROGRAM_DELIVERY)
		route_link(policy->route, fd);
	else if (peer == PROGRAM_FETCH)
		fetcher_link(policy->fetcher, fd);
	else if (peer == PROGRAM_REPORTS)
		inquiry_link(policy->inquiry, fd);
	else
		close(fd);
}

static void
on_connection(void *context, const struct p_connection *connection, int fd)
{
	struct policy *policy = context;

	if (connection->socket == PROC_CONTROL)
		control_serve(policy->loop, fd, connection->uid,
		    connection->admin, ctl_policy_verbs, &policy->ctl);
	else
		close(fd);
}

static void
on_settings(void *context, struct config *config, int ca_fd)
{
	if (ca_fd != -1)
		close(ca_fd);
	take_config(context, config);
}

static void
on_resolvers(void *context, const char *text)
{
	struct policy *policy = context;

	snprintf(policy->resolvers, sizeof(policy->resolvers), "%s", text);
	if (policy->config->resolvers_n == 0)
		set_resolvers(policy);
}

/* Nothing here is owed to anybody: who asked asks again. */
static void
on_stop(void *context)
{
	struct policy *policy = context;

	loop_stop(policy->loop);
}

static void
on_turn_end(void *context)
{
	struct policy *policy = context;
	unsigned unsaved;

	cache_turn_end(policy->cache, loop_now_ms());
	unsaved = cache_unsaved(policy->cache);
	parent_alarm("policy-cache", unsaved > 0, "policies that the disk did "
	    "not take: %u", unsaved);
}

/*
 * The beginning.
 */

static void
make_parts(struct policy *policy)
{
	struct route_needs needs;

	policy->fetcher = fetcher_new(policy->loop);
	policy->inquiry = inquiry_new(policy->loop, policy->dns,
	    policy->cache);
	policy->obtain = obtain_new(policy->dns, policy->cache,
	    policy->fetcher, inquiry_failed, policy->inquiry);
	policy->refresher = refresher_new(policy->loop, policy->dns,
	    policy->cache, policy->obtain);
	policy->discover = discover_new(policy->loop, policy->dns,
	    policy->cache, policy->obtain, refresher_plan, policy->refresher);
	needs.loop = policy->loop;
	needs.dns = policy->dns;
	needs.trust = policy->trust;
	needs.discover = policy->discover;
	needs.self = policy->self;
	policy->route = route_new(&needs);
	policy->ctl.cache = policy->cache;
	policy->ctl.refresher = policy->refresher;
}

/* trust.c speaks before route.c is there. */
static void
on_trust(void *context)
{
	struct policy *policy = context;

	if (policy->route != NULL)
		route_go_on(policy->route);
}

static void
serve(struct policy *policy, const struct proc_start *start)
{
	static const struct parent_calls calls = {
		.link = on_link, .connection = on_connection,
		.settings = on_settings, .resolvers = on_resolvers,
		.stop = on_stop
	};
	struct config *config = policy->config;
	size_t i;

	make_parts(policy);
	parent_serve(policy->loop, &calls, policy);
	policy->config = NULL;
	take_config(policy, config);
	for (i = 0; i < start->links_n; i++)
		on_link(policy, start->links[i].peer, start->links[i].fd);
	refresher_begin(policy->refresher);
	loop_at_turn_end(policy->loop, on_turn_end, policy);
	loop_run(policy->loop);
	on_turn_end(policy);
	cache_close(&policy->cache);
	config_free(&policy->config);
}

int
main(int argc, char **argv)
{
	struct policy policy = { .loop = NULL };
	struct proc_start start;
	char dir[4096];

	if (argc > 1 && strcmp(argv[1], "ctl") == 0)
		return ctl_policy_alone(argc - 2, argv + 2);
	proc_begin(PROGRAM_POLICY, &start);
	policy.config = start.config;
	memcpy(policy.resolvers, start.resolvers, sizeof(policy.resolvers));
	if (start.ca_fd != -1)
		close(start.ca_fd);
	tzset();
	policy.loop = loop_new();
	policy.dns = dns_new(policy.loop);
	policy.trust = trust_new(policy.loop, policy.dns, on_trust, &policy);
	policy.self = self_new();
	if (snprintf(dir, sizeof(dir), "%s/policy", policy.config->spool) >=
	    (int)sizeof(dir))
		fatal("spool %s: the path is too long", policy.config->spool);
	proc_confine(PROGRAM_POLICY, policy.config, dir);
	policy.cache = cache_open(proc_path(""), NULL, 0);
	serve(&policy, &start);
	return 0;
}
