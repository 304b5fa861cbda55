/*
 * Where mail of one destination may go: policy's answer to R_ASK, as the
 * manager keeps it for the length of an attempt.
 */
#ifndef CULVER_NEXTHOP_H
#define CULVER_NEXTHOP_H

#include "conf/config.h"
#include "policy/policy.h"
#include "reports/reports.h"

struct nexthop_host {
	char			name[DOMAIN_TEXT_MAX];
	bool			mx_match;
	enum route_outcome	lookup;		/* of its addresses */
	char			lookup_text[128];
	bool			address_secure;
	enum tlsa_state		tlsa;
	char			tlsa_base[DOMAIN_TEXT_MAX];
	/* as in struct r_host; whole ones, cut at REPORT_TLSA_MAX */
	uint32_t		tlsa_len;
	uint8_t			*tlsa_records;	/* NULL: none */
	unsigned		addresses_n;
	struct address		addresses[ROUTE_ADDRESSES_MAX];
};

struct nexthop {
	struct r_route		 route;
	bool			 literal;	/* asked for an address */
	unsigned		 hosts_n;	/* that have come so far */
	struct nexthop_host	*hosts;		/* route.hosts of them */
};

/* Begin with an R_ROUTE about this domain; free with nexthop_free. */
struct nexthop	*nexthop_new(const struct r_route *route, const char *domain);
/* Nulls the pointer; NULL is fine. */
void	 nexthop_free(struct nexthop **nexthop);
/* Add an R_HOST.  False: more came than were announced, it is dropped. */
bool	 nexthop_add(struct nexthop *nexthop, const struct r_host *host);
/* The host of this name, or NULL.  Pure. */
struct nexthop_host *nexthop_find(const struct nexthop *nexthop,
	    const char *name);
/*
 * What decide_host wants to know of a host, for mail of this class under the
 * operator's rules.  Pure.
 */
void	 nexthop_facts(const struct nexthop *nexthop,
	    const struct nexthop_host *host, enum mail_class class,
	    const struct config *config, struct host_facts *facts);

#endif
