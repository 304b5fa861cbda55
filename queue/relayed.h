/*
 * Where does a message go: to its recipient's domain, or to relayhosts that
 * the operator gives?
 */
#ifndef CULVER_QUEUE_RELAYED_H
#define CULVER_QUEUE_RELAYED_H

#include "conf/config.h"
#include "queue/record.h"

/*
 * Follow these settings from now on; both pointers are borrowed and *config
 * may change.  NULL: none, as at first: all mail goes to its domain.
 */
void	relayed_follow(const struct config *const *config);
/*
 * The next hop of this recipient: a domain, a literal, or a list of relayhost
 * URLs (conf/relayhost.h).  Pure but for the settings.  False: the recipient
 * has no domain.
 */
bool	relayed_next_hop(const struct message *, const char *recipient,
	    char next_hop[DOMAIN_TEXT_MAX]);
/*
 * The class of its destinations.  Pure.  It is the message's own, but a
 * message from the null sender is not given up because nobody on its way
 * offers REQUIRETLS: it goes in class mail and keeps its tag.
 * RFC 8689 5 (RTLS-5-5, RTLS-5-6)
 */
uint32_t relayed_class(const struct message *);
/*
 * A number for all that these settings say of next hops, never 0.  Pure.
 * Others have another one (but for one in 2^64).
 */
uint64_t relayed_mark(const struct config *);
/* Is anything exempt at all?  Pure but for the settings. */
bool	relayed_exempts(void);
/*
 * Does an exemption hold, at now_s (wall clock), for this next hop: the domain,
 * or a relay of the list?  Pure but for the settings.
 */
bool	relayed_is_exempt(const char *next_hop, int64_t now_s);
/* Is this next hop that domain, or a list with that host?  Pure. */
bool	relayed_leads_to(const char *next_hop, const struct domain *);

#endif
