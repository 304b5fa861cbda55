/*
 * Whose AD bit counts?  (trust-resolver; RFC 7672 2.1.3)
 *
 * Under `auto` a resolver on loopback is believed when it proves that it
 * validates: AD for a signed name, no data for a bogus one.
 */
#ifndef CULVER_TRUST_H
#define CULVER_TRUST_H

#include "policy/dns.h"

/* What one resolver has shown. */
enum trust_proof {
	TRUST_REMOTE,	/* not on loopback: nothing it says is proof */
	TRUST_SILENT,	/* on loopback; no answer for the signed name */
	TRUST_PROVEN,
	TRUST_REFUSED	/* no AD for the signed name, or bogus data */
};

enum trust_state {
	TRUST_ASKING,	/* the first probe is under way: wait for it */
	TRUST_WAITING,	/* no answer yet: mail waits */
	TRUST_ON,	/* AD counts: DANE */
	TRUST_OFF	/* AD never counts: no DANE */
};

/* What to use, as bits over the resolvers. */
struct trust_choice {
	enum trust_state	state;	/* never TRUST_ASKING */
	unsigned		used;
	unsigned		believed;
};

/*
 * What does an answer to the two probes prove?  Pure.  bogus NULL: none was
 * asked for.  A signed answer with failure is silence; only data for the
 * bogus name count against a resolver (interfaces.md, trust-resolver).
 */
enum trust_proof	trust_judge(const struct rr_answer *signed_name,
			    const struct rr_answer *bogus);
/*
 * Which of n resolvers are used?  Pure.  Those that are proven, and no other
 * then: a second opinion of one that does not validate would turn bogus into
 * insecure.  DANE-7672-2.1.3-1 RFC 7672 2.1.3
 */
struct trust_choice	trust_choose(const enum trust_proof *, unsigned n);

struct trust;
/* changed: the state is another than it was. */
struct trust	*trust_new(struct loop *, struct dns *,
		    void (*changed)(void *), void *context);
/*
 * Use these resolvers (at least one) by the configuration's trust_resolver;
 * begins to probe where that is needed: not for `dane off', which believes
 * nobody unless told to.  config is read during the call only.
 */
void	 trust_set(struct trust *, const struct config *,
	    const struct config_endpoint *, size_t n);
enum trust_state trust_state(const struct trust *);

#endif
