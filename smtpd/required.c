/*
 * Does the sender of this message say "TLS-Required: No"?
 *
 * Called by transaction.c for all octets of a message on their way to queue;
 * pure, and done with it at the end of the header.  What it notes is bounded
 * however long a line is.  The field asks for less than the recipient's domain
 * does, so doubt speaks against it: a line that is no field ends the header
 * here, and so do an octet above 127 in a name and a continuation of nothing.
 */
#include "smtpd/required.h"

#include <string.h>

static const char name[] = "tls-required";
#define NAME_LEN	(sizeof(name) - 1)
#define DEPTH_MAX	100		/* of comments in each other */

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* The first octet of a line. */
static void
begin_line(struct required *required, char c)
{
	if (is_blank(c)) {		/* RFC 5322 2.2.3: folded */
		required->state = required->ours ? REQUIRED_VALUE :
		    required->other ? REQUIRED_OTHER : REQUIRED_BODY;
		return;
	}
	required->ours = required->other = false;
	required->matched = 0;
	required->state = REQUIRED_NAME;
}

static void
begin_value(struct required *required)
{
	required->ours = required->matched == NAME_LEN && !required->other;
	required->other = !required->ours;
	required->state = REQUIRED_OTHER;
	if (!required->ours)
		return;
	/* RTLS-4-4 RFC 8689 4: they are counted, whatever they say */
	if (required->fields < UINT32_MAX)
		required->fields++;
	required->value = REQUIRED_NOTHING;
	required->depth = 0;
	required->quoted = false;
	required->state = REQUIRED_VALUE;
}

/* RFC 5322 2.2, and 4.5 for blanks before the colon */
static void
take_name(struct required *required, char c)
{
	if (c == ':' && required->named)
		begin_value(required);
	else if (is_blank(c) && required->named)
		required->state = REQUIRED_COLON;
	else if (c <= ' ' || c > '~' || c == ':' ||
	    required->state == REQUIRED_COLON)
		required->state = REQUIRED_BODY;
	else if (required->matched < NAME_LEN &&
	    lower(c) == name[required->matched])
		required->matched++;
	else
		required->other = true;
	required->named = true;
}

/* Octets of a comment; RFC 5322 3.2.2 */
static void
take_comment(struct required *required, char c)
{
	if (c == '\r' && required->quoted)
		required->value = REQUIRED_ELSE;	/* nothing to quote */
	else if (required->quoted)
		required->quoted = false;
	else if (c == '\\')
		required->quoted = true;
	else if (c == ')')
		required->depth--;
	else if (c == '(' && required->depth == DEPTH_MAX)
		required->value = REQUIRED_ELSE;
	else if (c == '(')
		required->depth++;
}

/*
 * RTLS-4-1 RFC 8689 4: "No", without case, between comments and blanks that
 * may be folded.
 */
static void
take_value(struct required *required, char c)
{
	if (required->value == REQUIRED_ELSE)
		return;
	if (required->depth > 0)
		take_comment(required, c);
	else if (c == '(' && required->value != REQUIRED_N)
		required->depth = 1;
	else if (lower(c) == 'n' && required->value == REQUIRED_NOTHING)
		required->value = REQUIRED_N;
	else if (lower(c) == 'o' && required->value == REQUIRED_N)
		required->value = REQUIRED_NO;
	else if ((!is_blank(c) && c != '\r') || required->value == REQUIRED_N)
		required->value = REQUIRED_ELSE;
}

static void
take(struct required *required, char c)
{
	if (required->state == REQUIRED_LINE) {
		required->named = false;
		begin_line(required, c);
	}
	if (required->state == REQUIRED_NAME ||
	    required->state == REQUIRED_COLON)
		take_name(required, c);
	else if (required->state == REQUIRED_VALUE && c != '\n')
		take_value(required, c);
	if (c == '\n' && required->state != REQUIRED_BODY)
		required->state = REQUIRED_LINE;
}

void
required_take(struct required *required, struct slice octets)
{
	const char *lf;

	while (octets.len > 0 && required->state != REQUIRED_BODY) {
		lf = NULL;
		if (required->state == REQUIRED_OTHER) {
			lf = memchr(octets.at, '\n', octets.len);
			if (lf == NULL)
				return;
			octets.len -= (size_t)(lf - octets.at);
			octets.at = lf;
		}
		take(required, octets.at[0]);
		octets.at++;
		octets.len--;
	}
}

bool
required_is_no(const struct required *required)
{
	return required->fields == 1 && required->value == REQUIRED_NO &&
	    required->depth == 0;
}
