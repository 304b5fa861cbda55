/*
 * The resolvers, one c-ares channel each: octets of one question go to one
 * resolver, octets of its answer come back.  Which resolver, how often, what
 * an answer means: dns.h.
 *
 * All channels are made by resolvers_new, before confinement (c-ares reads
 * files when it makes one), and pointed elsewhere at run time.
 */
#ifndef CULVER_RESOLVERS_H
#define CULVER_RESOLVERS_H

#include "conf/config.h"
#include "conf/loop.h"
#include "policy/rr.h"

#define RESOLVERS_MAX	16	/* as many as the configuration may name */
#define RESOLVER_DEFAULT	"127.0.0.1:53"	/* as resolv.conf(5) has it */

struct resolvers;

/*
 * What became of a question.  octets.at NULL: this resolver gave no answer
 * (silent for 14 s, refused the connection, or was replaced by
 * resolvers_set).  octets are valid during the call.
 */
typedef void	resolvers_call(void *context, struct slice octets);

/* Make RESOLVERS_MAX channels.  Local I/O; call before confinement. */
struct resolvers	*resolvers_new(struct loop *);
/*
 * Point channel `index` at this resolver.  What is under way there is
 * answered first, inside this call, with octets.at NULL.
 */
void	 resolvers_set(struct resolvers *, unsigned index,
	    const struct config_endpoint *);
/*
 * Ask one resolver once (with its repetitions over UDP, and TCP when the
 * answer was cut).  call is made exactly once, never inside this call.
 * False, and no call: it is no name that can be asked for (too long).
 */
bool	 resolvers_ask(struct resolvers *, unsigned index,
	    const struct domain *, enum rr_type, resolvers_call *call,
	    void *context);
/* How many questions are not answered yet, over all resolvers. */
unsigned resolvers_in_flight(const struct resolvers *);

/*
 * Read "127.0.0.1:53 [::1]:53" (P_RESOLVERS).  Pure.  Returns how many were
 * stored; what cannot be read is passed over.
 */
size_t	 resolvers_parse(const char *text, struct config_endpoint *list,
	    size_t max);

#endif
