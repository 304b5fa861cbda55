/*
 * Where mail of one destination may go: policy's answer to R_ASK, as the
 * manager keeps it for the length of an attempt.
 */
#ifndef CULVER_NEXTHOP_H
#define CULVER_NEXTHOP_H

#include "conf/relayhost.h"
#include "policy/policy.h"
#include "reports/reports.h"

struct w_socket;

struct nexthop_host {
	char			name[DOMAIN_TEXT_MAX];
	uint16_t		port;
	bool			mx_match;
	enum route_outcome	lookup;		/* of its addresses */
	char			lookup_text[128];
	bool			address_secure;
	enum tlsa_state		tlsa;
	char			tlsa_base[DOMAIN_TEXT_MAX];
	/*
	 * As in struct r_host, all of them; of these the first tlsa_len octets
	 * are as many whole ones as a report takes (REPORT_TLSA_MAX).
	 */
	uint32_t		tlsa_all_len;
	uint32_t		tlsa_len;
	uint8_t			*tlsa_records;	/* NULL: none */
	uint64_t		tlsa_mark;	/* host_facts.tlsa_mark */
	unsigned		addresses_n;
	struct address		addresses[ROUTE_ADDRESSES_MAX];
};

struct nexthop {
	struct r_route		 route;
	/* Whose policy it is: the domain asked for, or the relay's. */
	struct domain		 domain;
	bool			 literal;	/* that is an address */
	bool			 is_relay;	/* asked for a relayhost: */
	enum relayhost_scheme	 scheme;	/* how it is spoken to */
	bool			 direct;	/* by its name, not by MX */
	unsigned		 hosts_n;	/* that have come so far */
	struct nexthop_host	*hosts;		/* route.hosts of them */
};

/*
 * Begin with an R_ROUTE about this domain, literal or relayhost's URL; free
 * with nexthop_free.
 */
struct nexthop	*nexthop_new(const struct r_route *route, const char *asked);
/* Nulls the pointer; NULL is fine. */
void	 nexthop_free(struct nexthop **nexthop);
/* Add an R_HOST.  False: more came than were announced, it is dropped. */
bool	 nexthop_add(struct nexthop *nexthop, const struct r_host *host);
/* The host of this name, or NULL.  Pure. */
struct nexthop_host *nexthop_find(const struct nexthop *nexthop,
	    const char *name);
/*
 * By which name is it spoken of in log and reports?  The domain's, or that by
 * which the relay's policy is found (STS-3.4-1).  Pure.
 */
const char *nexthop_name(const struct nexthop *nexthop);
/*
 * What decide_host wants to know of a host, for mail of this class under the
 * operator's rules.  wall_s: for rules that end.  Pure.
 */
void	 nexthop_facts(const struct nexthop *nexthop,
	    const struct nexthop_host *host, enum mail_class class,
	    const struct config *config, int64_t wall_s,
	    struct host_facts *facts);
/*
 * What a worker needs to compare a certificate with these facts' TLSA
 * records: records, their base, and the further names that a certificate
 * under usage DANE-TA may bear.  Nothing where none decide.  Pure.
 */
void	 nexthop_put_tlsa(const struct nexthop *nexthop,
	    const struct nexthop_host *host, const struct host_facts *facts,
	    struct w_socket *socket);

#endif
