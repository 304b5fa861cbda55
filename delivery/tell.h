/*
 * What culver-reports is told of sessions, and the log with it.
 */
#ifndef CULVER_TELL_H
#define CULVER_TELL_H

#include "delivery/manager.h"

/* Begin, or begin anew with other settings: with `tls-report off` none is
   kept. */
void	 tell_settings(struct manager *);
/* A fresh link to culver-reports (fd is the callee's). */
void	 tell_link(struct manager *, int fd);
/* Is there something that its program has not on disk and could have? */
bool	 tell_is_owed(const struct manager *);

/*
 * A connection to this host is begun: what will be told of it, but for its
 * proof.  NULL: nothing, it is of no kind that counts.  Free with free.
 */
struct t_session *tell_begin(const struct attempt *,
	    const struct nexthop_host *host, const struct host_facts *facts);
/*
 * The session's proof is known: told now if it counts, and never again
 * (channel->telling is freed).
 */
void	 tell_proof(struct channel *, const struct w_proof *);
/* A host that is refused by name alone (ruling 18). */
void	 tell_refused(const struct attempt *, const struct walk_step *);

#endif
