/*
 * The Received field that goes on top of each message that we take.
 */
#ifndef CULVER_TRACE_H
#define CULVER_TRACE_H

#include "conf/addr.h"

#include <stdint.h>
#include <sys/types.h>

struct trace {
	bool		 local;		/* handed over on the submit socket */
	uid_t		 uid;		/* local: by whom */
	const char	*helo;		/* else: EHLO or HELO name */
	struct address	 client;
	const char	*by;		/* our name, or an address literal */
	const char	*proto;		/* "ESMTP", "SMTP", "local" */
	const char	*id;
	int64_t		 wall_s;
};

/*
 * Append the field, folded and with its CRLF.  Pure but for the time zone
 * (date.h).  There is never a `for` clause: who else got the message is
 * nobody's business (SMTP-4.4-6, SMTP-7.2-1).  RFC 5321 4.4
 */
void	trace_received(const struct trace *trace, struct buffer *out);

/* An address as a literal, "[192.0.2.1]" or "[IPv6:2001:db8::1]".  Pure. */
char	*trace_literal(const struct address *address,
	    char text[DOMAIN_TEXT_MAX]);

#endif
