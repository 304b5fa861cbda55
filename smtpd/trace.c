/*
 * What does our Received field say?
 *
 * Called by transaction.c when a message begins.  What was said by others (the
 * EHLO name) came through domain_parse and cannot break the line.
 */
#include "smtpd/trace.h"

#include "smtpd/date.h"

#include <stdio.h>

char *
trace_literal(const struct address *address, char text[DOMAIN_TEXT_MAX])
{
	char ip[ADDRESS_TEXT_MAX];

	snprintf(text, DOMAIN_TEXT_MAX, "[%s%s]",
	    address->family == 6 ? "IPv6:" : "", address_print(address, ip));
	return text;
}

/*
 * SMTP-4.4-1, SMTP-4.4-2, SMTP-4.4-5 RFC 5321 4.4: from the EHLO name and the
 * literal of its address, by us, with a registered protocol (RFC 3848).  A
 * message of a local user came through no network: it has no from clause,
 * the uid in a comment, and `local` for the protocol.
 */
void
trace_received(const struct trace *trace, struct buffer *out)
{
	char literal[DOMAIN_TEXT_MAX], date[DATE_TEXT_MAX];

	if (trace->local)
		buffer_printf(out, "Received: by %s (uid %lu)\r\n"
		    "\twith %s id %s;\r\n", trace->by,
		    (unsigned long)trace->uid, trace->proto, trace->id);
	else
		buffer_printf(out, "Received: from %s (%s)\r\n"
		    "\tby %s with %s id %s;\r\n", trace->helo,
		    trace_literal(&trace->client, literal), trace->by,
		    trace->proto, trace->id);
	buffer_printf(out, "\t%s\r\n", date_print(trace->wall_s, date));
}
