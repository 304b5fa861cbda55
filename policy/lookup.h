/*
 * `culver-policy ctl check txt NAME': the TXT records of a name, asked of the
 * relay's own resolvers.  For culverctl's verbs that need them, not for
 * people.
 */
#ifndef CULVER_LOOKUP_H
#define CULVER_LOOKUP_H

#include "conf/config.h"
#include "conf/control.h"
#include "policy/dns.h"

struct lookup;

/*
 * Ready to ask the configured resolvers, else those of /etc/resolv.conf, else
 * the one on loopback.  Local I/O; call before confinement.
 */
struct lookup	*lookup_new(const struct config *);
void		 lookup_free(struct lookup **);
/*
 * Read the nameservers of a resolv.conf (resolv.conf(5): three at most; what
 * cannot be read is passed over).  Local I/O.  Returns how many.
 */
size_t		 lookup_read_conf(const char *file,
		    struct config_endpoint *list, size_t max);

/*
 * The verb; its program is a struct lookup.  Blocks for some seconds, at most
 * for the deadlines of txt_ask.  Answers one line, {"name":..., "outcome":
 * "ok"|"none"|"again", "text": why not, "records":[...]}, octets outside
 * printable ASCII as \u00XX; ends with 0, 1, 75.
 */
extern const struct control_verb lookup_verbs[];

/* That line.  Pure.  failure: of dns_call. */
void	lookup_print(struct buffer *json, const struct domain *name,
	    const struct rr_answer *, const char *failure);

#endif
