/*
 * What does a delivery status notification say?
 *
 * Called by notice.c with what is known of each recipient.  Pure.  Three parts
 * (RFC 6522 3): words for people, message/delivery-status for programs, and
 * what identifies the original.  Everything that a peer or the original
 * could have chosen is written by the functions of the first section, which
 * let nothing through that could end a line, a field or a part.
 */
#include "queue/bounce.h"

#include "conf/stamp.h"
#include "queue/queue.h"

#include <stdio.h>
#include <string.h>

#define LINE_OCTETS	76	/* MSG-5322-2.1.1-2 RFC 5322 2.1.1: ≤ 78 */
#define LINE_MAX_OCTETS	998	/* RFC 5322 2.1.1 */
#define WORD_MAX_OCTETS	400	/* longer ones are broken */
#define HEADER_MAX	(32u << 10)	/* of the original, returned */
#define COMPLETE_MAX	(256u << 10)

/* ---- other people's text ---- */

/* DSN-3464-2.1-1 RFC 3464 2.1, DSN-3464-2.3.6-2 RFC 3464 2.3.6 */
static char
neutral(char c)
{
	return c >= 0x20 && c <= 0x7e ? c : '?';
}

static void
add_char(struct buffer *out, char c)
{
	buffer_add(out, (struct slice){ &c, 1 });
}

static void
add_neutral(struct buffer *out, struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		add_char(out, neutral(text.at[i]));
}

static bool
is_break(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The next word of text, cut off it; empty at the end. */
static struct slice
next_word(struct slice *text)
{
	struct slice word;
	size_t n = 0;

	while (text->len > 0 && is_break(text->at[0])) {
		text->at++;
		text->len--;
	}
	while (n < text->len && n < WORD_MAX_OCTETS && !is_break(text->at[n]))
		n++;
	word = (struct slice){ text->at, n };
	text->at += n;
	text->len -= n;
	return word;
}

/*
 * Write text in lines of LINE_OCTETS: the first goes on at column, further
 * ones begin with indent.  Ends the last line.
 */
static void
add_wrapped(struct buffer *out, size_t column, const char *indent,
    struct slice text)
{
	bool first = true;
	struct slice word;

	while ((word = next_word(&text)).len > 0) {
		if (!first && column + 1 + word.len > LINE_OCTETS) {
			buffer_printf(out, "\r\n%s", indent);
			column = strlen(indent);
		} else if (!first) {
			add_char(out, ' ');
			column++;
		}
		add_neutral(out, word);
		column += word.len;
		first = false;
	}
	buffer_add(out, SLICE("\r\n"));
}

/* A header field: "Name: text", folded. */
static void
add_field(struct buffer *out, const char *name, const char *text)
{
	buffer_printf(out, "%s: ", name);
	add_wrapped(out, strlen(name) + 2, " ", slice_of(text));
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/*
 * What xtext stands for, octet by octet (DSN-3461-6.3-1 RFC 3461 4, 6.3);
 * smtpd has let in what is well-formed.
 */
static void
add_decoded(struct buffer *out, struct slice xtext)
{
	for (size_t i = 0; i < xtext.len; i++) {
		bool coded = xtext.at[i] == '+' && xtext.len - i > 2 &&
		    hex_digit(xtext.at[i + 1]) >= 0 &&
		    hex_digit(xtext.at[i + 2]) >= 0;

		add_char(out, neutral(coded ? (char)(hex_digit(
		    xtext.at[i + 1]) * 16 + hex_digit(xtext.at[i + 2])) :
		    xtext.at[i]));
		i += coded ? 2 : 0;
	}
}

/* ---- codes ---- */

/* DSN-3464-2.3.4-1, EXT-3463-2-1: up to three digits, no leading zero */
static bool
is_status_part(struct slice text)
{
	if (text.len < 1 || text.len > 3 || (text.len > 1 &&
	    text.at[0] == '0'))
		return false;
	for (size_t i = 0; i < text.len; i++)
		if (text.at[i] < '0' || text.at[i] > '9')
			return false;
	return true;
}

static bool
is_status(const char *text, const char *classes)
{
	struct slice rest = slice_of(text);
	struct slice class = slice_cut(&rest, '.');
	struct slice subject = rest.at != NULL ? slice_cut(&rest, '.') : rest;

	return class.len == 1 && strchr(classes, class.at[0]) != NULL &&
	    rest.at != NULL && is_status_part(subject) &&
	    is_status_part(rest);
}

/*
 * What an enforced policy refused keeps its code (ruling 20), other mail has
 * simply waited too long: EXT-3463-3-1, EXT-3463-3.8-1
 */
static const char *
expired_status(const char *heard)
{
	return is_status(heard, "45") && strncmp(heard, "4.7.", 4) == 0 ?
	    heard : "4.4.7";
}

const char *
bounce_status(const struct bounce_recipient *recipient, char status[16])
{
	/* DSN-3464-2.3.4-1 RFC 3464 2.3.4: the class fits the action */
	static const struct {
		const char	*classes, *made_up;
		char		 class;
	} fitting[BOUNCE_ACTIONS] = {
		[BOUNCE_FAILED] = { "45", "5.0.0", '5' },
		[BOUNCE_DELAYED] = { "45", "4.0.0", '4' },
		[BOUNCE_RELAYED] = { "2", "2.0.0", '2' },
	};
	const char *heard = recipient->enhanced;

	if (!is_status(heard, fitting[recipient->action].classes))
		heard = fitting[recipient->action].made_up;
	if (recipient->expired) {
		snprintf(status, 16, "%s", expired_status(heard));
		return status;
	}
	snprintf(status, 16, "%s", heard);
	status[0] = fitting[recipient->action].class;
	return status;
}

/* DSN-3464-2.3.3-1 RFC 3464 2.3.3 */
const char *
bounce_action(enum bounce_action action)
{
	static const char *const names[BOUNCE_ACTIONS] = {
		[BOUNCE_FAILED] = "failed", [BOUNCE_DELAYED] = "delayed",
		[BOUNCE_RELAYED] = "relayed"
	};

	return names[action];
}

/* How many recipients have that action? */
static uint32_t
count(const struct bounce *bounce, enum bounce_action action)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < bounce->recipients_n; i++)
		n += bounce->recipients[i].action == action;
	return n;
}

/* ---- the parts ---- */

static const char *
host_of(const struct bounce *bounce)
{
	return bounce->hostname[0] != '\0' ? bounce->hostname : "localhost";
}

/* The gravest first. */
static const char *
subject_of(const struct bounce *bounce)
{
	if (count(bounce, BOUNCE_FAILED) > 0)
		return "Your message could not be delivered";
	if (count(bounce, BOUNCE_DELAYED) > 0)
		return "Your message is delayed, and is tried further";
	return "Your message was handed on";
}

/* DSN-3464-4-1 RFC 3464 4: a complete message; MSG-5322-4-2 */
static void
add_header(struct buffer *out, const struct bounce *bounce)
{
	char text[STAMP_MAX];

	buffer_printf(out, "From: Mail Delivery System\r\n"
	    " <MAILER-DAEMON@%s>\r\n", host_of(bounce)); /* DSN-3464-2-3 */
	buffer_add(out, SLICE("To: <"));		/* DSN-3464-2-2 */
	add_neutral(out, slice_of(bounce->to));
	buffer_add(out, SLICE(">\r\n"));
	buffer_printf(out, "Subject: %s\r\n", subject_of(bounce));
	buffer_printf(out, "Date: %s\r\n", stamp_mail(bounce->now_ms, text));
	/* MSG-5322-3.6.4-2 RFC 5322 3.6.4 */
	buffer_printf(out, "Message-ID: <%s@%s>\r\n", bounce->id,
	    host_of(bounce));
	/* DSN-3834-3.1.7-1 RFC 3834 3.1.7 */
	buffer_add(out, SLICE("Auto-Submitted: auto-replied\r\n"));
}

/* "2 days", "3 hours": for people. */
static void
add_span(struct buffer *out, int64_t seconds)
{
	static const struct { int64_t s; const char *name; } units[] = {
		{ 86400, "day" }, { 3600, "hour" }, { 60, "minute" },
		{ 1, "second" }
	};
	size_t i = 0;

	while (i < 3 && seconds < units[i].s)
		i++;
	buffer_printf(out, "%lld %s%s", (long long)(seconds / units[i].s),
	    units[i].name, seconds / units[i].s == 1 ? "" : "s");
}

/* What the server said, with the code that its words may lack. */
static void
add_reply(struct buffer *text, const struct bounce_recipient *recipient)
{
	char code[16];

	snprintf(code, sizeof(code), "%u", recipient->code);
	if (recipient->code != 0 &&
	    strncmp(recipient->reply, code, strlen(code)) != 0)
		buffer_printf(text, "%s ", code);
	buffer_add(text, slice_of(recipient->reply));
}

static void
add_reason(struct buffer *out, const struct bounce *bounce,
    const struct bounce_recipient *recipient)
{
	struct buffer text = { NULL, 0, 0 };
	char status[16];

	if (recipient->expired) {
		buffer_add(&text, SLICE("It could not be delivered for "));
		add_span(&text, bounce->expire_s);
		buffer_add(&text, SLICE(" and is given up. At last: "));
	}
	if (recipient->code != 0)
		buffer_printf(&text, "%s%s%s%s said: ", recipient->host,
		    recipient->ip[0] != '\0' ? " [" : "", recipient->ip,
		    recipient->ip[0] != '\0' ? "]" : "");
	add_reply(&text, recipient);
	buffer_printf(&text, " (%s)", bounce_status(recipient, status));
	buffer_add(out, SLICE("    "));
	add_wrapped(out, 4, "    ", (struct slice){ text.text, text.len });
	buffer_free(&text);
}

/* The rule that decided, with its clause; either may be missing. */
static void
add_rule(struct buffer *out, const struct bounce_recipient *recipient)
{
	const char *rule = recipient->rule != NULL ? recipient->rule : "";
	const char *clause = recipient->clause;
	struct buffer text = { NULL, 0, 0 };

	if (rule[0] == '\0' && clause[0] == '\0')
		return;
	if (rule[0] != '\0' && clause[0] != '\0')
		buffer_printf(&text, "%s (%s)", rule, clause);
	else
		buffer_printf(&text, "%s%s", rule, clause);
	buffer_add(out, SLICE("    Rule: "));
	add_wrapped(out, 10, "    ", (struct slice){ text.text, text.len });
	buffer_free(&text);
}

static uint64_t
life_ends_ms(const struct bounce *bounce)
{
	return bounce->arrived_ms + (uint64_t)bounce->expire_s * 1000;
}

static void
add_next_try(struct buffer *out, const struct bounce *bounce,
    const struct bounce_recipient *recipient)
{
	char text[STAMP_MAX];

	if (recipient->next_ms == 0)
		buffer_add(out, SLICE("    Next try: when the operator "
		    "releases it\r\n"));
	else
		buffer_printf(out, "    Next try: %s\r\n",
		    stamp_mail(recipient->next_ms, text));
	buffer_printf(out, "    Tried until: %s\r\n",
	    stamp_mail(life_ends_ms(bounce), text));
}

static void
add_words_on(struct buffer *out, const struct bounce *bounce,
    const struct bounce_recipient *recipient)
{
	buffer_add(out, SLICE("\r\n<"));
	add_neutral(out, slice_of(recipient->address));
	buffer_add(out, SLICE(">\r\n"));
	add_reason(out, bounce, recipient);
	add_rule(out, recipient);
	if (recipient->repair[0] != '\0') {
		buffer_add(out, SLICE("    What helps: "));
		add_wrapped(out, 16, "    ", slice_of(recipient->repair));
	}
	if (recipient->action == BOUNCE_DELAYED)
		add_next_try(out, bounce, recipient);
}

/* All recipients with that action, between two sentences about them. */
static void
add_section(struct buffer *out, const struct bounce *bounce,
    enum bounce_action action)
{
	static const struct {
		const char	*before, *after;
	} sentences[BOUNCE_ACTIONS] = {
		[BOUNCE_FAILED] = { "did not reach:", "Nobody is trying any "
		    "more. Send the message again once the cause is\r\n"
		    "mended, or ask the postmaster of the recipient's "
		    "domain." },
		[BOUNCE_DELAYED] = { "has not reached yet:", "It is kept and "
		    "tried further: there is no need to send it again. If\r\n"
		    "it cannot be delivered in time, you will be told." },
		[BOUNCE_RELAYED] = { "was handed on for:", "The next mail "
		    "system does not offer notifications of delivery: what\r\n"
		    "becomes of the message there you may not be told." },
	};

	if (count(bounce, action) == 0)
		return;
	buffer_printf(out, "%s\r\n", sentences[action].before);
	for (uint32_t i = 0; i < bounce->recipients_n; i++)
		if (bounce->recipients[i].action == action)
			add_words_on(out, bounce, &bounce->recipients[i]);
	buffer_printf(out, "\r\n%s\r\n", sentences[action].after);
}

/* DSN-6522-3-1 RFC 6522 3: what happened, to whom, what to do */
static void
add_words(struct buffer *out, const struct bounce *bounce)
{
	char text[STAMP_MAX];

	buffer_printf(out, "This is the mail system at %s.\r\n",
	    host_of(bounce));
	for (int action = 0; action < BOUNCE_ACTIONS; action++) {
		if (count(bounce, (enum bounce_action)action) == 0)
			continue;
		buffer_printf(out, "\r\nYour message of %s\r\n"
		    "(number %s here) ", stamp_mail(bounce->arrived_ms, text),
		    bounce->original_id);
		add_section(out, bounce, (enum bounce_action)action);
	}
}

static void
add_diagnostic(struct buffer *out, const struct bounce_recipient *recipient)
{
	struct buffer text = { NULL, 0, 0 };

	buffer_add(&text, SLICE("smtp; "));
	add_reply(&text, recipient);
	add_field(out, "Diagnostic-Code", text.text);
	buffer_free(&text);
}

/*
 * DSN-3464-2.3.1-1 RFC 3464 2.3.1, DSN-3461-6.3-1 RFC 3461 6.3: the type as it
 * is, the address decoded
 */
static void
add_original_recipient(struct buffer *out, const char *orcpt)
{
	struct slice address = slice_of(orcpt);
	struct slice type = slice_cut(&address, ';');

	if (address.at == NULL || address.len == 0)
		return;
	buffer_add(out, SLICE("Original-Recipient: "));
	add_neutral(out, type);
	/* A line of blanks alone would be no fold. */
	buffer_add(out, address.len > 50 && !slice_begins(address,
	    SLICE("+20")) ? SLICE(";\r\n ") : SLICE("; "));
	add_decoded(out, address);
	buffer_add(out, SLICE("\r\n"));
}

/* DSN-3464-2.3.2-1 RFC 3464 2.3.2: exactly as it came */
static void
add_final_recipient(struct buffer *out, const char *address)
{
	buffer_add(out, SLICE("Final-Recipient: rfc822;"));
	buffer_add(out, strlen(address) > 50 ? SLICE("\r\n ") : SLICE(" "));
	add_neutral(out, slice_of(address));
	buffer_add(out, SLICE("\r\n"));
}

/* A group; DSN-3464-2.1-2 RFC 3464 2.1: an empty line stands before it. */
static void
add_group(struct buffer *out, const struct bounce *bounce,
    const struct bounce_recipient *recipient)
{
	char text[STAMP_MAX], status[16];

	buffer_add(out, SLICE("\r\n"));
	add_original_recipient(out, recipient->orcpt);
	add_final_recipient(out, recipient->address);
	buffer_printf(out, "Action: %s\r\n",
	    bounce_action(recipient->action));
	/* DSN-3464-2.3.4-1 RFC 3464 2.3.4 */
	add_field(out, "Status", bounce_status(recipient, status));
	/* DSN-3464-2.3.5-1 RFC 3464 2.3.5 */
	if (recipient->host[0] != '\0') {
		buffer_add(out, SLICE("Remote-MTA: dns; "));
		add_neutral(out, slice_of(recipient->host));
		buffer_add(out, SLICE("\r\n"));
	}
	/* DSN-3464-2.3.6-1 RFC 3464 2.3.6 */
	if (recipient->code != 0)
		add_diagnostic(out, recipient);
	/* DSN-3464-2.3.7-1 RFC 3464 2.3.7 */
	if (recipient->tried_ms != 0)
		buffer_printf(out, "Last-Attempt-Date: %s\r\n",
		    stamp_mail(recipient->tried_ms, text));
	/* DSN-3464-2.3.9-1 RFC 3464 2.3.9 */
	if (recipient->action == BOUNCE_DELAYED)
		buffer_printf(out, "Will-Retry-Until: %s\r\n",
		    stamp_mail(life_ends_ms(bounce), text));
}

static void
add_status(struct buffer *out, const struct bounce *bounce)
{
	char text[STAMP_MAX];

	/*
	 * DSN-3464-2.2.1-1 RFC 3464 2.2.1: spelling and case as they were;
	 * DSN-3464-2.2.1-2: none is made up
	 */
	if (bounce->envid[0] != '\0') {
		buffer_add(out, SLICE("Original-Envelope-Id: "));
		add_decoded(out, slice_of(bounce->envid));
		buffer_add(out, SLICE("\r\n"));
	}
	/*
	 * DSN-3464-2.2.2-1 RFC 3464 2.2.2, DSN-3464-2.2.5-1 RFC 3464 2.2.5;
	 * DSN-3464-2.2.3-1 RFC 3464 2.2.3: we are no gateway
	 */
	buffer_printf(out, "Reporting-MTA: dns; %s\r\n", host_of(bounce));
	buffer_printf(out, "Arrival-Date: %s\r\n",
	    stamp_mail(bounce->arrived_ms, text));
	for (uint32_t i = 0; i < bounce->recipients_n; i++)
		add_group(out, bounce, &bounce->recipients[i]);
}

/* ---- the original ---- */

/* Where its header ends, behind the last field's CRLF. */
static size_t
header_length(struct slice original)
{
	size_t start = 0;

	for (size_t i = 0; i + 1 < original.len; i++) {
		if (original.at[i] != '\r' || original.at[i + 1] != '\n')
			continue;
		if (i == start)
			return i;
		start = i + 2;
	}
	return original.len;
}

/* Can it be returned as it is: 7 bit, lines as they should be? */
static bool
is_harmless(const struct bounce *bounce)
{
	struct slice text = bounce->original;
	char boundary[64];
	size_t line = 0;

	/* DSN-3461-6.2-1 RFC 3461 6.2: it was lost on the way to nobody */
	if (!bounce->complete || text.len > COMPLETE_MAX ||
	    count(bounce, BOUNCE_FAILED) == 0)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.at[i];
		bool ends = c == '\r' && i + 1 < text.len &&
		    text.at[i + 1] == '\n';

		if (c != neutral(c) && c != '\t' && !ends)
			return false;
		i += ends;
		line = ends ? 0 : line + 1;
		if (line > LINE_MAX_OCTETS)
			return false;
	}
	snprintf(boundary, sizeof(boundary), "--=_culver/%s", bounce->id);
	return text.len == 0 || memmem(text.at, text.len, boundary,
	    strlen(boundary)) == NULL;
}

/* One line of the header: neutral, tabs kept, not too long. */
static void
add_header_line(struct buffer *out, struct slice line)
{
	if (line.len > LINE_MAX_OCTETS)
		line.len = LINE_MAX_OCTETS;
	for (size_t i = 0; i < line.len; i++)
		add_char(out, line.at[i] == '\t' ? '\t' :
		    neutral(line.at[i]));
	buffer_add(out, SLICE("\r\n"));
}

static void
add_original_header(struct buffer *out, struct slice original)
{
	size_t end = header_length(original);
	size_t limit = out->len + HEADER_MAX;
	struct slice rest = { original.at, end };

	while (rest.len > 0 && out->len < limit) {
		struct slice line = slice_cut(&rest, '\n');

		if (line.len > 0 && line.at[line.len - 1] == '\r')
			line.len--;
		/* A line of two dashes could be taken for a boundary. */
		if (slice_begins(line, SLICE("--")))
			add_char(out, ' ');
		add_header_line(out, line);
		if (rest.at == NULL)
			return;
	}
}

/* DSN-6522-3-3, DSN-6522-3-4 RFC 6522 3 */
static void
add_original(struct multipart *parts, const struct bounce *bounce)
{
	if (!is_harmless(bounce)) {
		multipart_part(parts, "Content-Type: "
		    "text/rfc822-headers\r\n");
		add_original_header(parts->out, bounce->original);
		return;
	}
	multipart_part(parts, "Content-Type: message/rfc822\r\n");
	buffer_add(parts->out, bounce->original);
}

void
bounce_build(const struct bounce *bounce, struct buffer *text)
{
	struct multipart parts;

	add_header(text, bounce);
	/* DSN-3464-2-1, DSN-6522-3-2 */
	multipart_begin(&parts, text, "delivery-status", bounce->id);
	multipart_part(&parts, "Content-Type: text/plain; "
	    "charset=us-ascii\r\n");
	add_words(text, bounce);
	multipart_part(&parts, "Content-Type: message/delivery-status\r\n");
	add_status(text, bounce);
	add_original(&parts, bounce);
	multipart_end(&parts);
}
