/*
 * Which MTA-STS policy applies to mail for this domain now?  (RFC 8461 3, 5.1)
 */
#ifndef CULVER_DISCOVER_H
#define CULVER_DISCOVER_H

#include "policy/cache.h"
#include "policy/dns.h"
#include "policy/obtain.h"

/* What was found.  Shared by all who asked: discovered_hold. */
struct discovered {
	unsigned	held;
	/* Not to be decided now (our own programs, or a lost cache). */
	bool		again;
	enum sts_mode	mode;		/* STS_ABSENT: no policy */
	char		id[STS_ID_SIZE];
	int64_t		expires_s;	/* wall clock; 0: no policy */
	bool		cached;		/* the live one could not be had */
	enum tls_result	error;		/* what failed on the way, if it is
					   the policy host's failure */
	char		error_text[256];
	uint64_t	text_mark;	/* policy_text_mark; 0: no policy */
	uint32_t	ttl_s;		/* of the TXT's answer */
	struct sts_policy policy;	/* empty without policy */
};

/* found: borrowed; discovered_hold keeps it beyond the call. */
typedef void	discover_call(void *context, struct discovered *found);

struct discover;
/*
 * planned: a policy's next unasked fetch is due then (refresher.c).
 */
struct discover	*discover_new(struct loop *, struct dns *, struct cache *,
		    struct obtain *, void (*planned)(void *context,
		    const struct domain *, int64_t when_s), void *context);
/* How long mail is kept (`expire`) holds from now on. */
void	 discover_set(struct discover *, const struct config *);
/*
 * Find the policy.  call is made exactly once, never inside this call: at once
 * from what is kept while its TXT holds, else after the TXT's answer, else
 * after a fetch (at most about two and a half minutes in all).  Concurrent
 * questions about a domain are one.
 */
void	 discover_policy(struct discover *, const struct domain *,
	    discover_call *call, void *context);
struct discovered *discovered_hold(struct discovered *);
void	 discovered_release(struct discovered **);

#endif
