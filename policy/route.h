/*
 * Where does mail for this domain go, and what must the server prove?  The
 * answers to R_ASK (policy.h).  RFC 5321 5.1
 */
#ifndef CULVER_ROUTE_H
#define CULVER_ROUTE_H

#include "conf/config.h"
#include "conf/link.h"
#include "policy/discover.h"
#include "policy/dns.h"
#include "policy/self.h"
#include "policy/trust.h"

struct route;

/* All are borrowed for the route's life. */
struct route_needs {
	struct loop	*loop;
	struct dns	*dns;
	struct trust	*trust;
	struct discover	*discover;
	struct self	*self;
};
struct route	*route_new(const struct route_needs *);
/* These settings hold for questions that come from now on. */
void	 route_set(struct route *, const struct config *);
/*
 * Answer what comes on this link (fd is taken over); an older one's questions
 * are dropped.  Each R_ASK is answered by R_ROUTE, R_HOST each, R_END, or not
 * at all when the link is gone: after some milliseconds, or at most after the
 * deadlines of discover_policy or of host_find after an MX look-up.
 */
void	 route_link(struct route *, int fd);
/* trust_state is another now: questions that waited for it go on. */
void	 route_go_on(void *route);

#endif
