/*
 * Where is one host, and does DNS say what it must prove?  Its addresses, and
 * its TLSA records where RFC 7672 2.2 says to look for them.
 */
#ifndef CULVER_HOST_H
#define CULVER_HOST_H

#include "conf/config.h"
#include "policy/dns.h"
#include "policy/policy.h"

struct host_found {
	struct domain		name;		/* as it was asked for */
	enum route_outcome	lookup;		/* of the addresses */
	char			text[128];	/* why there are none */
	bool			secure;		/* the addresses had AD */
	/* Where an alias leads, all of it secure; "" none, or not secure. */
	struct domain		canonical;
	struct address		addresses[ROUTE_ADDRESSES_MAX];
	unsigned		addresses_n;
	enum tlsa_state		tlsa_state;
	struct domain		tlsa_base;	/* RFC 7672 2.2.2, 2.2.3 */
	uint8_t			*tlsa;		/* as in struct r_host */
	uint32_t		tlsa_len;
	uint32_t		ttl_s;		/* least of all answers */
};

/* found is the callee's: host_free. */
typedef void	host_call(void *context, struct host_found *found);

/*
 * Look up a host.  call is made exactly once, never inside this call; the
 * deadlines are those of dns_ask (A and AAAA together, then up to three
 * questions one after the other).  tlsa_port: where TLS is to be spoken; 0: no
 * TLSA is asked for, and tlsa_state is TLSA_INSECURE.
 */
void	host_find(struct dns *, const struct domain *name, enum config_ip,
	    uint16_t tlsa_port, host_call *call, void *context);
void	host_free(struct host_found **);

/*
 * Keep only addresses that we may be sent to by a stranger's DNS: of a policy
 * host, of a report's receiver.  Pure.  private_too: any
 * (fetch-private-addresses).  refused is the first one that went, or "".
 * RFC 8460 7 (RPT-7-4)
 */
void	host_permit(struct host_found *, bool private_too,
	    char refused[ADDRESS_TEXT_MAX]);

#endif
