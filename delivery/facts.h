/*
 * What queue is told of a host (D_HOST): the facts and the rule that decided,
 * in words.  Pure.
 */
#ifndef CULVER_FACTS_H
#define CULVER_FACTS_H

#include "delivery/delivery.h"
#include "delivery/nexthop.h"

/*
 * A host as judged before anything is sent: verdict "skip" or "try".  tlsa ""
 * where no address was found by a look-up: then it is not known either
 * whether that is signed.
 */
void	facts_host(struct d_host *note, uint64_t destination,
	    const struct nexthop *nexthop, const struct nexthop_host *host,
	    const struct host_facts *facts,
	    const struct host_verdict *verdict);
/* It had no address, or did not let us connect: why. */
void	facts_unreachable(struct d_host *note, const char *why);
/*
 * A session's proof, or its failure, and decide_session's verdict where it
 * had one (else NULL).
 */
void	facts_session(struct d_host *note, const struct w_proof *proof,
	    const struct session_verdict *verdict);

/* The facts of a proof in the form that decide_session takes. */
void	facts_of_proof(const struct host_facts *host, bool clear_retry,
	    const struct w_proof *proof, struct session_facts *facts);

#endif
