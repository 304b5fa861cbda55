/*
 * What does DNS answer to (name, type)?  Asked through resolvers.h, kept for
 * the answer's TTL, asked once for all who want it at the same time.
 *
 * Which resolvers may be asked, and whose AD bit counts, is said by trust.h.
 */
#ifndef CULVER_DNS_H
#define CULVER_DNS_H

#include "policy/resolvers.h"

struct dns;

/*
 * The answer.  Borrowed for the call.  status is RR_OK, RR_NXDOMAIN or
 * RR_SERVFAIL (every kind of failure: then failure is a short, static text,
 * "SERVFAIL", "timeout"; else NULL).  secure: AD, of a resolver whose AD
 * counts.  ttl_s: what is left of it.  An alias without its target's data has
 * been followed.
 */
typedef void	dns_call(void *context, const struct rr_answer *answer,
		    const char *failure);

/* Local I/O (resolvers_new): call before confinement. */
struct dns	*dns_new(struct loop *);
/* For probes past the cache (trust.c). */
struct resolvers *dns_resolvers(struct dns *);

/*
 * Use these resolvers, in this order; none is asked until dns_use.  What is
 * kept is forgotten, what is under way is asked again.
 */
void	 dns_set_resolvers(struct dns *, const struct config_endpoint *list,
	    size_t n);
/*
 * Bit i of used: resolver i may be asked; bit i of believed: its AD counts.
 * A change forgets what is kept.  While none is used questions wait, to
 * their deadline.
 * DANE-7672-2.1.3-1 RFC 7672 2.1.3
 */
void	 dns_use(struct dns *, unsigned used, unsigned believed);

/*
 * Ask.  call is made exactly once, never inside dns_ask, at the latest after
 * 15 s for each alias that has to be asked for on its own (at most 8).
 */
void	 dns_ask(struct dns *, const struct domain *, enum rr_type,
	    dns_call *call, void *context);
/* The same, past what is kept (but with others that wait for it). */
void	 dns_ask_fresh(struct dns *, const struct domain *, enum rr_type,
	    dns_call *call, void *context);

/*
 * "_mta-sts" + "example.org" -> "_mta-sts.example.org".  Pure.  False when
 * that is too long for a name.
 */
bool	 dns_under(const char *prefix, const struct domain *base,
	    struct domain *name);

#endif
