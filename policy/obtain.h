/*
 * Fetch a domain's policy and write down what came of it.
 */
#ifndef CULVER_OBTAIN_H
#define CULVER_OBTAIN_H

#include "conf/config.h"
#include "policy/cache.h"
#include "policy/currency.h"
#include "policy/dns.h"
#include "policy/fetcher.h"

struct obtain;

/* What came of it; borrowed for the call.  The record is up to date. */
struct obtained {
	enum currency_fetch	outcome;
	enum tls_result		result;	/* of FETCHED_BAD */
	const char		*text;	/* why not; "" */
};
typedef void	obtain_call(void *context, const struct obtained *);

/*
 * A fetch failed, whoever wanted it: made once for each, with the `policy'
 * line that says the same.  epoch and sequence are the callee's to fill in.
 */
typedef void	obtain_failed(void *context, struct r_failed *);

/* failed may be NULL: nobody wants to know. */
struct obtain	*obtain_new(struct dns *, struct cache *, struct fetcher *,
		    obtain_failed *failed, void *context);
/* ip and fetch_private_addresses hold from now on. */
void	 obtain_set(struct obtain *, const struct config *);
/*
 * Fetch the policy that stands under this id (the TXT's, or the kept one's).
 * Whoever asks for the same meanwhile joins.  call is made exactly once, never
 * inside this call; deadlines are those of host_find and fetcher_get together.
 *
 * A good policy replaces the record's, unless a fetch that began later has
 * brought another meanwhile: then that one stays, and is as good.  A failure
 * of the policy host is noted in the record and changes nothing of the policy;
 * a failure of our own programs is not noted at all.  RFC 8461 3.3
 */
void	 obtain_policy(struct obtain *, const struct domain *, const char *id,
	    obtain_call *call, void *context);

#endif
