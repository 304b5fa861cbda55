/*
 * Who asked to know?  The _smtp._tls record (RFC 8460 3).  Pure.
 */
#ifndef CULVER_RUA_H
#define CULVER_RUA_H

#include "conf/addr.h"

#define RUA_MAX		5	/* receivers of a report, RPT-3-22 */
#define RUA_URI_MAX	2048

enum rua_scheme { RUA_MAILTO = 1, RUA_HTTPS };

struct rua_receiver {
	uint32_t	scheme;			/* enum rua_scheme */
	char		uri[RUA_URI_MAX];	/* as it stands: its identity */
	struct mailbox	mailbox;		/* of mailto */
	/* of https */
	char		host[DOMAIN_TEXT_MAX];	/* in struct domain's form: a
						   name, "[192.0.2.1]", or
						   "[IPv6:2001:db8::1]" */
	uint32_t	port;
};

enum rua_found {
	RUA_FOUND,	/* a record with receivers that we can serve */
	RUA_NONE,	/* no TLSRPT record at all */
	RUA_INVALID	/* one that is wrong, several, or nobody we can serve */
};

struct rua {
	unsigned		 n;
	struct rua_receiver	 receiver[RUA_MAX];
	unsigned		 skipped;	/* URIs: other scheme, too many,
						   broken */
	char			 reason[256];	/* of NONE, INVALID; or what
						   was skipped and why; "" */
	const char		*clause;	/* "RFC 8460 3" */
};

/*
 * Read the TXT answer: records_n records, their strings joined.  Receivers
 * are the first five that we can serve, none twice: neither an URI nor a
 * mailbox under two URIs.  Of an URI that names several mailboxes the first
 * counts.  Bounded in time and memory whatever the records are.  Pure.
 */
enum rua_found	rua_read(const struct slice *records, unsigned records_n,
		    struct rua *);
/*
 * `culverctl check tlsrpt-record': all URIs of the record, also of schemes
 * that we do not serve, as JSON: {"valid":true,"rua":[…]} or
 * {"valid":false,"reason":…,"clause":…}.  True: valid.  Where some get no
 * report (another scheme, doubled, beyond five, broken),
 * "skipped":[{"uri":…,"reason":…}] says which and why; what is no URI at all
 * stands only there.  Pure.
 */
bool		rua_check(const struct slice *records, unsigned records_n,
		    struct buffer *json);

#endif
