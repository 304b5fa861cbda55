/*
 * reports: what happened to TLS today, and who asked to know?
 *
 * What culver-delivery tells culver-reports (T_*).  What policy and reports
 * say to each other stands in policy/policy.h, the way to queue in
 * queue/queue.h.
 */
#ifndef CULVER_REPORTS_H
#define CULVER_REPORTS_H

#include "conf/addr.h"
#include "conf/wire.h"

#define REPORT_REASON_MAX	256	/* RPT-4.3.3-2: short, and its end */
#define REPORT_TLSA_MAX		8192
#define REPORT_DETAILS_MAX	2048

enum {
	/* delivery to reports */
	T_SESSION = 0x0801,	/* a session that counts, conf/outbox.h */
	/* reports to delivery */
	T_COUNTED		/* durable up to this sequence */
};

/* A block of a report (RFC 8460 4.4 policy-type). */
enum report_block { REPORT_STS = 1, REPORT_TLSA, REPORT_NO_POLICY };

/*
 * One session, or a host that was refused by name alone (address ""); each
 * block that counts it has at least one detail, see below.  Nothing of a
 * message: no address, subject or id (RPT-8-1 RFC 8460 8).
 */
struct t_session {
	uint64_t	epoch;		/* these two: conf/outbox.h */
	uint64_t	sequence;
	int64_t		when_s;		/* wall clock: which day it was */
	/* the recipient's: policy domain of sts and no-policy-found */
	char		domain[DOMAIN_TEXT_MAX];
	/* the policy as applied; "" and 0: none */
	char		sts_id[33];
	uint64_t	sts_text;	/* which text: r_route.sts_text */
	/* of the host: policy domain of tlsa; "" without TLSA records */
	char		tlsa_base[DOMAIN_TEXT_MAX];
	uint32_t	tlsa_len;	/* as in struct r_host, whole records */
	uint8_t		tlsa[REPORT_TLSA_MAX];
	/* the connection */
	char		local[ADDRESS_TEXT_MAX];	/* sending-mta-ip */
	char		host[DOMAIN_TEXT_MAX];		/* the MX */
	char		helo[DOMAIN_TEXT_MAX];		/* it said; "" */
	char		address[ADDRESS_TEXT_MAX];	/* receiving-ip */
	uint32_t	details_len;
	uint8_t		details[REPORT_DETAILS_MAX];
};
struct t_counted {
	uint64_t	sequence;
};

/* Rows stand in reports/wire.c. */
extern const struct wire_table session_wire;	/* delivery and reports */

/*
 * A detail: what a session was in the eyes of one block.  Several of one
 * block are one session with several defects (ruling 29); RESULT_SUCCESS
 * stands alone in its block.
 */
struct report_detail {
	uint32_t	block;		/* enum report_block */
	uint32_t	result;		/* enum tls_result of policy/decide.h */
	char		reason[REPORT_REASON_MAX];	/* "" none */
};
/* Append one.  False: no room (nothing is written).  Pure. */
bool	report_put_detail(uint8_t *octets, uint32_t *len, uint32_t size,
	    const struct report_detail *);
/*
 * Read the one at *offset and move behind it.  False: the end, or what is no
 * detail (*offset is then below len).  Control characters and ill-formed
 * UTF-8 of a reason come out as "?".  Pure.
 */
bool	report_get_detail(const uint8_t *octets, uint32_t len,
	    uint32_t *offset, struct report_detail *);
/*
 * A peer's text as one line of well-formed UTF-8: control characters and what
 * is no UTF-8 become "?", what does not fit in size (at least 1) is cut.
 * Pure.
 */
void	report_clean(struct slice from, char *text, size_t size);
/* "sts", "tlsa", "no-policy-found"; also in the log. */
const char *report_block_name(uint32_t block);

#endif
