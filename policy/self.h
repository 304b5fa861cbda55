/*
 * Is this address ourselves?  (RFC 5321 5.1, loop avoidance)
 */
#ifndef CULVER_SELF_H
#define CULVER_SELF_H

#include "conf/config.h"

struct self;

/* Reads the machine's addresses.  Local I/O; call before confinement. */
struct self	*self_new(void);
void	 self_free(struct self **);
/* These listeners are ours from now on; config is read during the call. */
void	 self_set(struct self *, const struct config *);
/*
 * Is a listener of ours bound to this address, or to all of this family and
 * the machine has this address?  Pure.  The unspecified addresses are always
 * ourselves.  At port 25 whatever the listener's port is (it may be redirected
 * to ours); at another, that of a relayhost, only where it is a listener's.
 * SMTP-5.1-14 RFC 5321 5.1
 */
bool	 self_is(const struct self *, const struct address *, uint16_t port);

#endif
