/*
 * What did policy say of this destination?
 *
 * Called by attempt.c as R_ROUTE, R_HOST and R_END come, and by walk.c.  The
 * TLSA records are kept for the report of what was applied: until certificates
 * are compared with them their state alone counts.  It decides nothing.
 */
#include "delivery/nexthop.h"

#include <stdlib.h>
#include <string.h>

struct nexthop *
nexthop_new(const struct r_route *route, const char *domain)
{
	struct nexthop *nexthop;

	nexthop = mem_alloc(sizeof(*nexthop));
	nexthop->route = *route;
	/* Trap T43: an address has no policy and no name to look up. */
	nexthop->literal = domain[0] == '[';
	nexthop->hosts = mem_alloc(route->hosts * sizeof(*nexthop->hosts));
	return nexthop;
}

void
nexthop_free(struct nexthop **nexthop)
{
	unsigned i;

	if (*nexthop == NULL)
		return;
	for (i = 0; i < (*nexthop)->hosts_n; i++)
		free((*nexthop)->hosts[i].tlsa_records);
	free((*nexthop)->hosts);
	free(*nexthop);
	*nexthop = NULL;
}

/* RPT-4.5-1 RFC 8460 4.5: no record in part. */
static void
keep_tlsa(struct nexthop_host *host, const struct r_host *from)
{
	uint32_t len = 0, next = 0;

	memcpy(host->tlsa_base, from->tlsa_base, sizeof(host->tlsa_base));
	while (next + 2 <= from->tlsa_len) {
		next += 2u + from->tlsa[next] + 256u * from->tlsa[next + 1];
		if (next > from->tlsa_len || next > REPORT_TLSA_MAX)
			break;
		len = next;
	}
	if (len == 0)
		return;
	host->tlsa_records = mem_alloc(len);
	memcpy(host->tlsa_records, from->tlsa, len);
	host->tlsa_len = len;
}

bool
nexthop_add(struct nexthop *nexthop, const struct r_host *from)
{
	struct nexthop_host *host;

	if (nexthop->hosts_n >= nexthop->route.hosts)
		return false;
	host = &nexthop->hosts[nexthop->hosts_n++];
	memcpy(host->name, from->name, sizeof(host->name));
	host->mx_match = from->mx_match;
	host->lookup = (enum route_outcome)from->lookup;
	memcpy(host->lookup_text, from->lookup_text,
	    sizeof(host->lookup_text));
	host->address_secure = from->address_secure;
	host->tlsa = (enum tlsa_state)from->tlsa_state;
	keep_tlsa(host, from);
	while (host->addresses_n < ROUTE_ADDRESSES_MAX &&
	    route_get_address(from->addresses, from->addresses_len,
	    host->addresses_n, &host->addresses[host->addresses_n]))
		host->addresses_n++;
	return true;
}

struct nexthop_host *
nexthop_find(const struct nexthop *nexthop, const char *name)
{
	unsigned i;

	for (i = 0; i < nexthop->hosts_n; i++)
		if (strcmp(nexthop->hosts[i].name, name) == 0)
			return &nexthop->hosts[i];
	return NULL;
}

/* No policy, but something went wrong on the way to one. */
static bool
is_unknown(const struct r_route *route)
{
	return route->sts == STS_ABSENT && (route->sts_cached ||
	    route->sts_error != RESULT_NONE ||
	    route->sts_error_text[0] != '\0');
}

void
nexthop_facts(const struct nexthop *nexthop, const struct nexthop_host *host,
    enum mail_class class, const struct config *config,
    struct host_facts *facts)
{
	const struct r_route *route = &nexthop->route;

	/*
	 * RPT-5.3.1-2 RFC 8460 5.3.1: the class is queue's word about the
	 * message, never what the message looks like.
	 */
	*facts = (struct host_facts){
		.class = class,
		.sts = (enum sts_mode)route->sts,
		.sts_unknown = is_unknown(route),
		.sts_report_only = config->mta_sts == CONFIG_STS_REPORT,
		.mx_match = host->mx_match,
		.mx_secure = route->mx_secure,
		.name_given = route->mx_implicit || nexthop->literal,
		.tlsa = host->tlsa
	};
	if (config->mta_sts == CONFIG_STS_OFF) {
		facts->sts = STS_ABSENT;
		facts->sts_unknown = false;
		facts->mx_match = true;
	}
}
