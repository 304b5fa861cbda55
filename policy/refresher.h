/*
 * Fetch kept policies again before they are asked for.  When: refresh.h.
 */
#ifndef CULVER_REFRESHER_H
#define CULVER_REFRESHER_H

#include "conf/config.h"
#include "policy/cache.h"
#include "policy/dns.h"
#include "policy/obtain.h"

struct refresher;

struct refresher *refresher_new(struct loop *, struct dns *, struct cache *,
		    struct obtain *);
/* With `mta-sts off' nothing is fetched but for refresher_now. */
void	 refresher_set(struct refresher *, const struct config *);
/*
 * Read the whole cache, in slices between turns: plan what is to be fetched,
 * drop what nobody needs any more; then again each day.
 */
void	 refresher_begin(struct refresher *);
/* A policy's record says now that it is due then (wall clock, seconds).  Any
 * number of plans for a domain may stand; the record decides. */
void	 refresher_plan(void *refresher, const struct domain *,
	    int64_t when_s);

/* How a refresh ended: text "" or why it failed; borrowed. */
typedef void	refresher_call(void *context, bool good, const char *text);
/*
 * Refresh at once, for an operator: the TXT is asked anew, and the fetch made
 * whatever it says.  call (or NULL) is made exactly once, never inside this
 * call.
 */
void	 refresher_now(struct refresher *, const struct domain *,
	    refresher_call *call, void *context);

#endif
