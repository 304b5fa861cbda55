/*
 * What a session is told as for the day's TLS reports (RFC 8460 4): facts and
 * verdicts in, struct t_session out.  Pure.
 */
#ifndef CULVER_TELLING_H
#define CULVER_TELLING_H

#include "delivery/delivery.h"
#include "delivery/nexthop.h"

/*
 * Begin with what was applied to this host: the domain that mail goes to, the
 * policy, the TLSA records.  *session is overwritten; when_s and the
 * connection's addresses are the caller's to add.
 */
void	telling_begin(struct t_session *session, const char *domain,
	    const struct nexthop *nexthop, const struct nexthop_host *host,
	    const struct host_facts *facts);
/*
 * Add the details: for each block that counts it (blocks, of decide_session
 * or decide_host) its result, with further defects behind it (ruling 29).
 * proof is the worker's, believed in nothing but words; NULL: there was no
 * connection.  False: no block counts it, there is nothing to tell.
 */
bool	telling_end(struct t_session *session,
	    const struct session_facts *facts,
	    const struct block_results *blocks, const struct w_proof *proof);
/*
 * An address as a report has it: dotted IPv4, also of a mapped one, or
 * RFC 5952.  Returns text.  RPT-4.4-12, RPT-4.4-15 RFC 8460 4.4
 */
char	*telling_address(const struct address *address,
	    char text[ADDRESS_TEXT_MAX]);
/*
 * The first detail of a block: what the session is in the log.  False: the
 * block does not count it.
 */
bool	telling_first(const struct t_session *session, uint32_t block,
	    struct report_detail *detail);
/*
 * A reason as it may stand in a report: one line of printable UTF-8, cut at
 * the room; what is neither is "?", a line's end a blank.
 * RPT-4.3.3-2 RFC 8460 4.3.3
 */
void	telling_clean(const char *text, char reason[REPORT_REASON_MAX]);

#endif
