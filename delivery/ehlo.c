/*
 * What does this server offer?
 *
 * Called by session.c for each line of an EHLO answer, of which there may be
 * any number and length; what is not known here is ignored.  It remembers
 * nothing between two answers: the caller empties struct ehlo, above all
 * after STARTTLS (TLS-3207-4.2-2).
 */
#include "delivery/ehlo.h"

#include <string.h>

/*
 * SIZE [limit] (RFC 1870 4): 1 to 20 digits, 0 is no limit.  A limit that is
 * no number is as none; one too great for us cannot be reached.
 */
static void
take_size(struct ehlo *ehlo, struct slice parameter)
{
	uint64_t limit;

	ehlo->size = true;
	if (slice_number(parameter, UINT64_MAX, &limit))
		ehlo->size_limit = limit;
}

/* RPT-4.4-14 RFC 8460 4.4: an address literal is no name. */
static void
take_name(struct ehlo *ehlo, struct slice name)
{
	struct domain domain = { "" };

	if (domain_parse(name, &domain) && !domain_is_literal(&domain))
		memcpy(ehlo->name, domain.name, sizeof(ehlo->name));
}

void
ehlo_line(struct ehlo *ehlo, struct slice line, bool first)
{
	struct slice keyword, rest = slice_trim(line);

	if (first) {
		take_name(ehlo, slice_cut(&rest, ' '));
		return;
	}
	/* SMTP-4.1.1.1-2: case and order say nothing. */
	keyword = slice_cut(&rest, ' ');
	if (slice_equal_nocase(keyword, SLICE("STARTTLS")))
		ehlo->starttls = true;
	else if (slice_equal_nocase(keyword, SLICE("PIPELINING")))
		ehlo->pipelining = true;
	else if (slice_equal_nocase(keyword, SLICE("8BITMIME")))
		ehlo->eightbitmime = true;
	else if (slice_equal_nocase(keyword, SLICE("REQUIRETLS")))
		ehlo->requiretls = true;
	else if (slice_equal_nocase(keyword, SLICE("DSN")))
		ehlo->dsn = true;
	else if (slice_equal_nocase(keyword, SLICE("SIZE")))
		take_size(ehlo, rest.at != NULL ? slice_trim(rest) : rest);
}
