/*
 * What did policy say of this destination?
 *
 * Called by attempt.c as R_ROUTE, R_HOST and R_END come, by walk.c, and by
 * channel.c for a session.  The operator's rules for the domain (`exempt',
 * `tls-required', relayhost) are put beside policy's facts here.  It decides
 * nothing.
 */
#include "delivery/nexthop.h"

#include "conf/log.h"
#include "delivery/connect.h"
#include "delivery/delivery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * STS-3.4-1 RFC 8461 3.4, trap T46: a relay is judged by its own name, never
 * by a recipient's.
 */
static void
take_relay(struct nexthop *nexthop, const char *url)
{
	struct relayhost relay;
	const char *why;

	/* Written by queue with the same module. */
	if (!relayhost_parse(slice_of(url), &relay, &why))
		bug("relayhost %s %s", url, why);
	nexthop->is_relay = true;
	nexthop->scheme = relay.scheme;
	nexthop->direct = relay.direct;
	nexthop->domain = relay.host;
}

struct nexthop *
nexthop_new(const struct r_route *route, const char *asked)
{
	struct nexthop *nexthop;

	nexthop = mem_alloc(sizeof(*nexthop));
	nexthop->route = *route;
	if (relayhost_is(asked))
		take_relay(nexthop, asked);
	else
		snprintf(nexthop->domain.name, sizeof(nexthop->domain.name),
		    "%s", asked);
	/* Trap T43: an address has no policy and no name to look up. */
	nexthop->literal = nexthop->domain.name[0] == '[';
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

/*
 * Names of the domain itself that a certificate of this host may bear.
 * DANE-7672-3.2.2-4 RFC 7672 3.2.2: none where an insecure answer led to the
 * host.
 */
static bool
vouches_for_domain(const struct nexthop *nexthop)
{
	return (nexthop->route.mx_secure || nexthop->route.mx_implicit ||
	    nexthop->direct) && !nexthop->literal;
}

/*
 * Two sets of records with the names that go with them are told apart by
 * this.  A resolver gives a set in any order.
 */
static uint64_t
mark_tlsa(const struct nexthop *nexthop, const struct nexthop_host *host)
{
	uint64_t mark = policy_text_mark(slice_of(host->tlsa_base));
	uint32_t at = 0, len;

	if (vouches_for_domain(nexthop))
		mark = mark * 31 +
		    policy_text_mark(slice_of(nexthop->route.canonical));
	while (at < host->tlsa_all_len) {
		len = host->tlsa_records[at] +
		    256u * host->tlsa_records[at + 1];
		mark += policy_text_mark((struct slice){
		    (const char *)host->tlsa_records + at + 2, len });
		at += 2 + len;
	}
	return mark == 0 ? 1 : mark;
}

/* RPT-4.5-1 RFC 8460 4.5: no record in part. */
static void
keep_tlsa(struct nexthop_host *host, const struct r_host *from)
{
	uint32_t next = 0;

	memcpy(host->tlsa_base, from->tlsa_base, sizeof(host->tlsa_base));
	while (next + 2 <= from->tlsa_len) {
		next += 2u + from->tlsa[next] + 256u * from->tlsa[next + 1];
		if (next > from->tlsa_len)
			break;
		host->tlsa_all_len = next;
		if (next <= REPORT_TLSA_MAX)
			host->tlsa_len = next;
	}
	if (host->tlsa_all_len == 0)
		return;
	host->tlsa_records = mem_alloc(host->tlsa_all_len);
	memcpy(host->tlsa_records, from->tlsa, host->tlsa_all_len);
}

bool
nexthop_add(struct nexthop *nexthop, const struct r_host *from)
{
	struct nexthop_host *host;

	if (nexthop->hosts_n >= nexthop->route.hosts)
		return false;
	host = &nexthop->hosts[nexthop->hosts_n++];
	memcpy(host->name, from->name, sizeof(host->name));
	host->port = from->port != 0 ? (uint16_t)from->port : CONNECT_PORT;
	host->mx_match = from->mx_match;
	host->lookup = (enum route_outcome)from->lookup;
	memcpy(host->lookup_text, from->lookup_text,
	    sizeof(host->lookup_text));
	host->address_secure = from->address_secure;
	host->tlsa = (enum tlsa_state)from->tlsa_state;
	keep_tlsa(host, from);
	if (host->tlsa == TLSA_USABLE)
		host->tlsa_mark = mark_tlsa(nexthop, host);
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

const char *
nexthop_name(const struct nexthop *nexthop)
{
	return nexthop->route.policy_domain[0] != '\0' ?
	    nexthop->route.policy_domain : nexthop->domain.name;
}

/* No policy, but something went wrong on the way to one. */
static bool
is_unknown(const struct r_route *route)
{
	return route->sts == STS_ABSENT && (route->sts_cached ||
	    route->sts_error != RESULT_NONE ||
	    route->sts_error_text[0] != '\0');
}

/* What the operator says of this domain, or of the relay that he gave. */
static void
put_operators_rules(const struct nexthop *nexthop,
    const struct config *config, int64_t wall_s, struct host_facts *facts)
{
	/* The recipients' domain is in tls-required, or the next hop's is. */
	facts->tls_required = (nexthop->is_relay &&
	    nexthop->scheme == RELAYHOST_SMTP_TLS) ||
	    config_tls_required(config, &nexthop->domain);
	facts->exempt = config_exempt_for(config, &nexthop->domain,
	    wall_s) != NULL;
	facts->relayhost = nexthop->is_relay;
	facts->relayhost_verified = nexthop->is_relay &&
	    nexthop->scheme != RELAYHOST_SMTP &&
	    nexthop->scheme != RELAYHOST_SMTP_TLS;
	facts->sts_report_only = config->mta_sts == CONFIG_STS_REPORT;
	if (config->mta_sts == CONFIG_STS_OFF) {
		facts->sts = STS_ABSENT;
		facts->sts_unknown = false;
		facts->mx_match = true;
	}
	if (config->dane == CONFIG_DANE_OFF) {
		facts->tlsa = TLSA_INSECURE;
		facts->tlsa_mark = 0;
	}
}

void
nexthop_facts(const struct nexthop *nexthop, const struct nexthop_host *host,
    enum mail_class class, const struct config *config, int64_t wall_s,
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
		.mx_match = host->mx_match,
		.mx_secure = route->mx_secure,
		.dnssec_unjudged = !route->dnssec_judged,
		.name_given = route->mx_implicit || nexthop->literal ||
		    nexthop->direct,
		.tlsa = host->tlsa,
		.tlsa_mark = host->tlsa_mark
	};
	put_operators_rules(nexthop, config, wall_s, facts);
}

/*
 * DANE-7672-3.2.2-2, DANE-7672-3.2.2-3, DANE-7672-3.2.2-5 RFC 7672 3.2.2:
 * beside the base domain the next hop's own name, and what that stands for
 * by CNAME.
 */
void
nexthop_put_tlsa(const struct nexthop *nexthop,
    const struct nexthop_host *host, const struct host_facts *facts,
    struct w_socket *socket)
{
	if (facts->tlsa != TLSA_USABLE)
		return;
	memcpy(socket->tlsa_base, host->tlsa_base, sizeof(host->tlsa_base));
	socket->tlsa_records_len = host->tlsa_all_len;
	if (host->tlsa_all_len > 0)
		memcpy(socket->tlsa_records, host->tlsa_records,
		    host->tlsa_all_len);
	if (!vouches_for_domain(nexthop))
		return;
	memcpy(socket->next_hop, nexthop->domain.name,
	    sizeof(socket->next_hop));
	memcpy(socket->next_hop_canonical, nexthop->route.canonical,
	    sizeof(socket->next_hop_canonical));
}
