/*
 * queue/bounce.c: the text of a non-delivery notification, read back by a
 * strict parser.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "queue/bounce.h"
#include "queue/queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))
#define FIELDS_MAX	40
#define GROUPS_MAX	300

/* ---- a strict reader ---- */

struct field {
	char	name[64];
	char	value[4096];	/* unfolded: line breaks taken out */
};

struct fields {
	struct field	at[FIELDS_MAX];
	size_t		n;
};

struct report {
	struct fields	header;
	char		words[200000];
	struct fields	groups[GROUPS_MAX];
	size_t		groups_n;
	char		original_type[64];
	char		original[400000];
};

/* One line without its CRLF; fails where a line is not as it must be. */
static struct slice
take_line(struct slice *text)
{
	struct slice line = { text->at, 0 };

	for (size_t i = 0; i < text->len; i++) {
		unsigned char c = (unsigned char)text->at[i];

		if (c == '\r' && i + 1 < text->len && text->at[i + 1] ==
		    '\n') {
			line.len = i;
			text->at += i + 2;
			text->len -= i + 2;
			assert_true(line.len <= 998);
			return line;
		}
		if (c != '\t' && (c < 0x20 || c > 0x7e))
			fail_msg("octet %u", c);
	}
	fail_msg("the last line has no end: %.60s", text->at);
	return line;
}

static void
add_field(struct fields *fields, struct slice line)
{
	struct slice name = slice_cut(&line, ':');
	struct field *field;

	assert_non_null(line.at);
	assert_true(fields->n < FIELDS_MAX);
	field = &fields->at[fields->n++];
	assert_true(name.len > 0);
	for (size_t i = 0; i < name.len; i++)
		if (name.at[i] <= ' ' || name.at[i] == 0x7f)
			fail_msg("field name %.*s", (int)name.len, name.at);
	assert_true(slice_store(name, field->name, sizeof(field->name)));
	assert_true(slice_store(slice_trim(line), field->value,
	    sizeof(field->value)));
}

/* Fields up to an empty line, or to the line `end`; which of them it was. */
static bool
take_fields(struct slice *text, struct fields *fields, const char *end)
{
	fields->n = 0;
	for (;;) {
		struct slice before = *text;
		struct slice line = take_line(text);
		struct field *last = fields->at + fields->n;

		if (line.len == 0) {
			/* the empty line before a boundary ends the part */
			struct slice peek = *text;

			if (end != NULL && slice_equal(take_line(&peek),
			    slice_of(end))) {
				*text = before;
				return false;
			}
			return true;
		}
		if (line.at[0] != ' ' && line.at[0] != '\t') {
			add_field(fields, line);
			continue;
		}
		assert_true(fields->n > 0);
		last--;
		if (slice_trim(line).len == 0)
			fail_msg("a fold of blanks only");
		assert_true(strlen(last->value) + line.len <
		    sizeof(last->value));
		strncat(last->value, line.at, line.len);
	}
}

static const char *
value_of(const struct fields *fields, const char *name)
{
	const char *value = NULL;

	for (size_t i = 0; i < fields->n; i++)
		if (strcmp(fields->at[i].name, name) == 0) {
			if (value != NULL)
				fail_msg("%s stands twice", name);
			value = fields->at[i].value;
		}
	return value;
}

/* Take lines up to the boundary, which is taken too. */
static void
take_part(struct slice *text, const char *boundary, char *part, size_t size)
{
	size_t len = 0;

	for (;;) {
		struct slice line = take_line(text);

		if (slice_equal(line, slice_of(boundary))) {
			/* the CRLF before it belongs to it */
			assert_true(len >= 2);
			part[len - 2] = '\0';
			return;
		}
		assert_true(len + line.len + 3 < size);
		memcpy(part + len, line.at, line.len);
		memcpy(part + len + line.len, "\r\n", 3);
		len += line.len + 2;
	}
}

static void
parse(struct slice text, struct report *report)
{
	char dash[260], dash_end[264], type[256];
	struct fields part;
	struct slice line;
	const char *at;
	bool more = true;

	memset(report, 0, sizeof(*report));
	take_fields(&text, &report->header, NULL);
	at = value_of(&report->header, "Content-Type");
	assert_non_null(at);
	/* DSN-6522-3-2 */
	assert_int_equal(sscanf(at, "multipart/report; "
	    "report-type=delivery-status; boundary=\"%100[^\"]\"", type), 1);
	snprintf(dash, sizeof(dash), "--%s", type);
	snprintf(dash_end, sizeof(dash_end), "%s--", dash);
	line = take_line(&text);
	assert_true(slice_equal(line, slice_of(dash)));

	take_fields(&text, &part, NULL);
	assert_string_equal(value_of(&part, "Content-Type"),
	    "text/plain; charset=us-ascii");
	take_part(&text, dash, report->words, sizeof(report->words));

	take_fields(&text, &part, NULL);
	assert_string_equal(value_of(&part, "Content-Type"),
	    "message/delivery-status");
	while (more) {
		assert_true(report->groups_n < GROUPS_MAX);
		more = take_fields(&text,
		    &report->groups[report->groups_n++], dash);
	}
	line = take_line(&text);
	assert_int_equal(line.len, 0);
	line = take_line(&text);
	assert_true(slice_equal(line, slice_of(dash)));

	take_fields(&text, &part, NULL);
	snprintf(report->original_type, sizeof(report->original_type), "%s",
	    value_of(&part, "Content-Type"));
	take_part(&text, dash_end, report->original,
	    sizeof(report->original));
	assert_int_equal(text.len, 0);
}

/* ---- inputs ---- */

#define ORIGINAL	"Received: from x\r\n\tby y\r\n"			\
			"From: a@near.example\r\n"			\
			"Subject: hello\r\n\r\nbody line\r\n"

static struct bounce_recipient
recipient_of(const char *address)
{
	return (struct bounce_recipient){ .address = address, .orcpt = "",
	    .code = 550, .enhanced = "5.1.1", .host = "mx.far.example",
	    .ip = "192.0.2.25", .reply = "550 5.1.1 no such user",
	    .rule = "", .clause = "", .repair = "",
	    .tried_ms = 1790000000000 };
}

static struct bounce
bounce_of(const struct bounce_recipient *recipients, uint32_t n)
{
	return (struct bounce){ .hostname = "relay.our.example",
	    .id = "6883a40000000001", .to = "a@near.example",
	    .now_ms = 1790000000000, .original_id = "6883a30000000001",
	    .envid = "",
	    .arrived_ms = 1789999000000, .expire_s = 432000,
	    .original = SLICE(ORIGINAL), .complete = true,
	    .recipients = recipients, .recipients_n = n };
}

static struct report *
built(const struct bounce *bounce)
{
	static struct report report;
	struct buffer text = { NULL, 0, 0 };

	bounce_build(bounce, &text);
	parse((struct slice){ text.text, text.len }, &report);
	buffer_free(&text);
	return &report;
}

static void
usual(void **state)
{
	struct bounce_recipient one = recipient_of("UsEr@far.example");
	struct bounce bounce = bounce_of(&one, 1);
	const struct report *report = built(&bounce);
	const struct fields *message = &report->groups[0];
	const struct fields *group = &report->groups[1];

	(void)state;
	assert_int_equal(report->groups_n, 2);
	assert_string_equal(value_of(&report->header, "From"),
	    "Mail Delivery System <MAILER-DAEMON@relay.our.example>");
	assert_string_equal(value_of(&report->header, "To"),
	    "<a@near.example>");
	assert_string_equal(value_of(&report->header, "Date"),
	    "Mon, 21 Sep 2026 14:13:20 +0000");
	assert_string_equal(value_of(&report->header, "Message-ID"),
	    "<6883a40000000001@relay.our.example>");
	assert_string_equal(value_of(&report->header, "Auto-Submitted"),
	    "auto-replied");
	assert_string_equal(value_of(&report->header, "MIME-Version"), "1.0");
	assert_non_null(value_of(&report->header, "Subject"));
	assert_int_equal(report->header.n, 8);

	assert_string_equal(value_of(message, "Reporting-MTA"),
	    "dns; relay.our.example");
	assert_string_equal(value_of(message, "Arrival-Date"),
	    "Mon, 21 Sep 2026 13:56:40 +0000");
	assert_int_equal(message->n, 2);

	assert_string_equal(value_of(group, "Final-Recipient"),
	    "rfc822; UsEr@far.example");
	assert_string_equal(value_of(group, "Action"), "failed");
	assert_string_equal(value_of(group, "Status"), "5.1.1");
	assert_string_equal(value_of(group, "Remote-MTA"),
	    "dns; mx.far.example");
	assert_string_equal(value_of(group, "Diagnostic-Code"),
	    "smtp; 550 5.1.1 no such user");
	assert_string_equal(value_of(group, "Last-Attempt-Date"),
	    "Mon, 21 Sep 2026 14:13:20 +0000");
	assert_int_equal(group->n, 6);

	assert_non_null(strstr(report->words, "<UsEr@far.example>"));
	assert_non_null(strstr(report->words, "no such user"));
	assert_non_null(strstr(report->words, "6883a30000000001"));
}

static void
a_local_cause_names_no_host(void **state)
{
	struct bounce_recipient one = { .address = "b@nx.example",
	    .orcpt = "", .rule = "", .enhanced = "5.1.2", .host = "", .ip = "", .reply =
	    "nx.example does not exist", .clause = "RFC 5321 5.1",
	    .repair = "check the address" };
	struct bounce bounce = bounce_of(&one, 1);
	const struct report *report = built(&bounce);
	const struct fields *group = &report->groups[1];

	(void)state;
	assert_null(value_of(group, "Remote-MTA"));
	assert_null(value_of(group, "Diagnostic-Code"));
	assert_null(value_of(group, "Last-Attempt-Date"));
	assert_null(value_of(group, "Original-Recipient"));
	assert_null(value_of(group, "Will-Retry-Until"));
	assert_null(value_of(&report->groups[0], "Original-Envelope-Id"));
	assert_null(value_of(&report->groups[0], "DSN-Gateway"));
	assert_string_equal(value_of(group, "Status"), "5.1.2");
	assert_non_null(strstr(report->words, "Rule: RFC 5321 5.1"));
	assert_non_null(strstr(report->words, "check the address"));
}

static const struct {
	const char	*heard;
	bool		 expired;
	const char	*status;
} statuses[] = {
	{ "5.1.1", false, "5.1.1" }, { "5.0.0", false, "5.0.0" },
	{ "5.7.30", false, "5.7.30" }, { "5.999.999", false, "5.999.999" },
	{ "5.10.100", false, "5.10.100" },
	/* a refusal for good says 5 */
	{ "4.7.5", false, "5.7.5" }, { "4.4.1", false, "5.4.1" },
	/* nonsense is not passed on */
	{ "", false, "5.0.0" }, { "2.0.0", false, "5.0.0" },
	{ "5", false, "5.0.0" }, { "5.", false, "5.0.0" },
	{ "5.1", false, "5.0.0" }, { "5.1.", false, "5.0.0" },
	{ "5..1", false, "5.0.0" }, { ".1.1", false, "5.0.0" },
	{ "5.01.1", false, "5.0.0" }, { "5.1.01", false, "5.0.0" },
	{ "5.1.1.1", false, "5.0.0" }, { "5.1000.1", false, "5.0.0" },
	{ "5.1.1000", false, "5.0.0" }, { "55.1.1", false, "5.0.0" },
	{ "5.1.1 ", false, "5.0.0" }, { " 5.1.1", false, "5.0.0" },
	{ "5.a.1", false, "5.0.0" }, { "5.1.1\n", false, "5.0.0" },
	{ "6.1.1", false, "5.0.0" }, { "5.-1.1", false, "5.0.0" },
	/* at the end of its life */
	{ "4.4.1", true, "4.4.7" }, { "4.2.2", true, "4.4.7" },
	{ "", true, "4.4.7" }, { "5.1.1", true, "4.4.7" },
	{ "4.7.5", true, "4.7.5" }, { "4.7.30", true, "4.7.30" },
	{ "4.70.1", true, "4.4.7" },
};

static void
status_codes(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(statuses); i++) {
		struct bounce_recipient one = recipient_of("b@far.example");
		struct bounce bounce = bounce_of(&one, 1);
		char status[16];

		one.enhanced = statuses[i].heard;
		one.expired = statuses[i].expired;
		assert_string_equal(bounce_status(&one, status),
		    statuses[i].status);
		assert_string_equal(value_of(&built(&bounce)->groups[1],
		    "Status"), statuses[i].status);
	}
}

/* What a hostile server, sender or original may say. */
static const char *const hostile[] = {
	"",
	"550",
	"550 ",
	"550-first\n550-second\n550 third",
	"550-first\r\n550 second",
	"550 x\r\nAction: delivered",
	"550 x\r\n\r\nFinal-Recipient: rfc822; z@z",
	"550 x\nStatus: 2.0.0",
	"550 x\r\n--=_culver/6883a40000000001\r\n",
	"550 x\r\n--=_culver/6883a40000000001--\r\n",
	"--=_culver/6883a40000000001",
	"550 \xc3\xa4\xc3\xb6\xc3\xbc \xff\xfe\x80",
	"550 \x01\x02\x1b[31m\x7f",
	"550 tab\there",
	"550 =?utf-8?q?x?= \" ' \\ <a@b> (c)",
	": : :",
	"\n\n\n\n",
	"     ",
	"550 Xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
	"550 a b c d e f g h i j k l m n o p q r s t u v w x y z a b c d e f g "
	    "h i j k l m n o p q r s t u v w x y z a b c d e f g h i j k l m",
};

static void
peers_text_is_neutral(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(hostile); i++)
		for (int where = 0; where < 11; where++) {
			struct bounce_recipient one =
			    recipient_of("b@far.example");
			struct bounce bounce = bounce_of(&one, 1);
			const struct report *report;

			if (where == 0)
				one.reply = hostile[i];
			else if (where == 1)
				one.clause = hostile[i];
			else if (where == 2)
				one.repair = hostile[i];
			else if (where == 3)
				one.enhanced = hostile[i];
			else if (where == 4)
				one.ip = hostile[i];
			else if (where == 5)
				one.code = 0, one.host = "",
				    one.reply = hostile[i];
			else if (where == 6)
				one.expired = true, one.reply = hostile[i];
			else if (where == 7)
				one.rule = hostile[i];
			else if (where == 8)
				one.orcpt = hostile[i];
			else if (where == 9)
				bounce.envid = hostile[i];
			else
				bounce.original = slice_of(hostile[i]);
			report = built(&bounce);
			assert_int_equal(report->groups_n, 2);
			assert_string_equal(value_of(&report->groups[1],
			    "Action"), "failed");
			assert_string_equal(value_of(&report->groups[1],
			    "Final-Recipient"), "rfc822; b@far.example");
		}
}

/* Every octet, alone and in pairs, in a reply and in an original. */
static void
every_octet(void **state)
{
	(void)state;
	for (int a = 1; a < 256; a++) {
		char reply[] = { '5', '5', '0', ' ', (char)a, (char)a, 'x',
		    (char)a, '\0' };
		char original[] = { 'A', ':', ' ', (char)a, '\r', '\n',
		    (char)a, ':', '\r', '\n', '\r', '\n', (char)a, '\r',
		    '\n' };
		struct bounce_recipient one = recipient_of("b@far.example");
		struct bounce bounce = bounce_of(&one, 1);

		one.reply = reply;
		bounce.original = (struct slice){ original,
		    sizeof(original) };
		/* a control may not come back as it is */
		bounce.complete = a >= 0x20 && a < 0x7f;
		assert_int_equal(built(&bounce)->groups_n, 2);
	}
}

static const struct {
	const char	*original;
	bool		 complete;
	const char	*type;
	const char	*returned;
} originals[] = {
	{ ORIGINAL, true, "message/rfc822", ORIGINAL },
	{ ORIGINAL, false, "text/rfc822-headers",
	  "Received: from x\r\n\tby y\r\nFrom: a@near.example\r\n"
	  "Subject: hello\r\n" },
	{ "Subject: \xc3\xa4\r\n\r\nx\r\n", true, "text/rfc822-headers",
	  "Subject: ??\r\n" },
	{ "Subject: x\r\n\r\n\xc3\xa4\r\n", true, "text/rfc822-headers",
	  "Subject: x\r\n" },
	{ "Subject: x\r\n\r\nbare\nline\r\n", true, "text/rfc822-headers",
	  "Subject: x\r\n" },
	{ "Subject: x\r\n\r\nbare\rline\r\n", true, "text/rfc822-headers",
	  "Subject: x\r\n" },
	{ "Subject: x\r\n\r\n--=_culver/6883a40000000001\r\n", true,
	  "text/rfc822-headers", "Subject: x\r\n" },
	{ "--=_culver/6883a40000000001: x\r\nA: b\r\n\r\n", true,
	  "text/rfc822-headers",
	  " --=_culver/6883a40000000001: x\r\nA: b\r\n" },
	{ "", true, "message/rfc822", "" },
	{ "", false, "text/rfc822-headers", "" },
	{ "no header at all", false, "text/rfc822-headers",
	  "no header at all\r\n" },
	{ "\r\nbody only\r\n", false, "text/rfc822-headers", "" },
};

static void
originals_come_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(originals); i++) {
		struct bounce_recipient one = recipient_of("b@far.example");
		struct bounce bounce = bounce_of(&one, 1);
		const struct report *report;
		char wanted[512];

		bounce.original = slice_of(originals[i].original);
		bounce.complete = originals[i].complete;
		report = built(&bounce);
		assert_string_equal(report->original_type,
		    originals[i].type);
		/* the CRLF before the boundary is not of the part */
		snprintf(wanted, sizeof(wanted), "%s",
		    originals[i].returned);
		assert_string_equal(report->original, wanted);
	}
}

/* A header of a megabyte, a line of 5,000 octets. */
static void
long_originals_are_cut(void **state)
{
	struct bounce_recipient one = recipient_of("b@far.example");
	struct bounce bounce = bounce_of(&one, 1);
	struct buffer original = { NULL, 0, 0 };
	const struct report *report;

	(void)state;
	buffer_add(&original, SLICE("X: "));
	for (int i = 0; i < 5000; i++)
		buffer_add(&original, SLICE("x"));
	buffer_add(&original, SLICE("\r\n"));
	while (original.len < 1000000)
		buffer_add(&original, SLICE("Received: from somewhere\r\n"));
	bounce.original = (struct slice){ original.text, original.len };
	report = built(&bounce);
	assert_string_equal(report->original_type, "text/rfc822-headers");
	assert_true(strlen(report->original) < 40000);
	assert_true(strlen(report->original) > 30000);
	buffer_free(&original);
}

static void
many_recipients(void **state)
{
	static struct bounce_recipient many[250];
	static char addresses[250][64];
	struct bounce bounce = bounce_of(many, 250);
	const struct report *report;

	(void)state;
	for (int i = 0; i < 250; i++) {
		snprintf(addresses[i], sizeof(addresses[i]),
		    "user%d@far.example", i);
		many[i] = recipient_of(addresses[i]);
	}
	report = built(&bounce);
	assert_int_equal(report->groups_n, 251);
	for (int i = 0; i < 250; i++) {
		char wanted[80];

		snprintf(wanted, sizeof(wanted), "rfc822; user%d@far.example",
		    i);
		assert_string_equal(value_of(&report->groups[i + 1],
		    "Final-Recipient"), wanted);
	}
}

/* MSG-5322-2.1.1-2: what can be folded is at most 78 long. */
static void
lines_are_short(void **state)
{
	struct bounce_recipient one = recipient_of("b@far.example");
	struct bounce bounce = bounce_of(&one, 1);
	struct buffer text = { NULL, 0, 0 };
	struct slice rest;

	(void)state;
	one.reply = "550 a rather long explanation that a server gives to "
	    "somebody who wanted to know why the message was not taken and "
	    "who will read on and on until the very end of this sentence";
	one.repair = "somebody has to do something about the certificate that "
	    "has expired some time ago, and has to do it soon, please";
	bounce_build(&bounce, &text);
	rest = (struct slice){ text.text, text.len };
	while (rest.len > 0)
		assert_true(take_line(&rest).len <= 78);
	buffer_free(&text);
}

static void
long_addresses(void **state)
{
	char address[400], wanted[420];
	struct bounce_recipient one;
	struct bounce bounce;
	const struct report *report;

	(void)state;
	memset(address, 'u', 60);
	address[60] = '@';
	for (int i = 61; i < 310; i++)
		address[i] = i % 60 == 0 ? '.' : 'd';
	address[310] = '\0';
	one = recipient_of(address);
	bounce = bounce_of(&one, 1);
	bounce.to = address;
	report = built(&bounce);
	snprintf(wanted, sizeof(wanted), "rfc822; %s", address);
	assert_string_equal(value_of(&report->groups[1], "Final-Recipient"),
	    wanted);
	snprintf(wanted, sizeof(wanted), "<%s>", address);
	assert_string_equal(value_of(&report->header, "To"), wanted);
}

static void
no_host_name(void **state)
{
	struct bounce_recipient one = recipient_of("b@far.example");
	struct bounce bounce = bounce_of(&one, 1);
	const struct report *report;

	(void)state;
	bounce.hostname = "";
	report = built(&bounce);
	assert_string_equal(value_of(&report->groups[0], "Reporting-MTA"),
	    "dns; localhost");
	assert_string_equal(value_of(&report->header, "Message-ID"),
	    "<6883a40000000001@localhost>");
}

/* ---- RFC 3461 ---- */

static const struct {
	const char	*xtext, *decoded;
} xtexts[] = {
	{ "QQ+2B314", "QQ+314" }, { "aB+2B1", "aB+1" },
	{ "QQ314159", "QQ314159" }, { "a+3Db", "a=b" },
	{ "+2B+2B", "++" }, { "a+20+20b", "a  b" },
	{ "+41+61+7E+21", "Aa~!" }, { "a;b;c", "a;b;c" },
	{ "<x@y>", "<x@y>" },
	/* smtpd lets none of these in; they end no line all the same */
	{ "a+0D+0AAction:x", "a??Action:x" }, { "a+00b", "a?b" },
	{ "+FF+80", "??" }, { "a+2b", "a+2b" }, { "a+", "a+" },
	{ "a+2", "a+2" }, { "+GG", "+GG" },
};

static void
ids_are_decoded(void **state)
{
	char orcpt[200], wanted[220];

	(void)state;
	for (size_t i = 0; i < COUNT(xtexts); i++) {
		struct bounce_recipient one = recipient_of("b@far.example");
		struct bounce bounce = bounce_of(&one, 1);
		const struct report *report;

		snprintf(orcpt, sizeof(orcpt), "rfc822;%s",
		    xtexts[i].xtext);
		snprintf(wanted, sizeof(wanted), "rfc822; %s",
		    xtexts[i].decoded);
		one.orcpt = orcpt;
		bounce.envid = xtexts[i].xtext;
		report = built(&bounce);
		assert_string_equal(value_of(&report->groups[0],
		    "Original-Envelope-Id"), xtexts[i].decoded);
		assert_string_equal(value_of(&report->groups[1],
		    "Original-Recipient"), wanted);
		/* RFC 3464 2.3: it stands before Final-Recipient */
		assert_string_equal(report->groups[1].at[0].name,
		    "Original-Recipient");
	}
}

/* 100 characters of ENVID and 500 of ORCPT, blanks at the fold as well. */
static void
long_ids(void **state)
{
	static const char *const units[] = { "x", "+20", "+2B" };
	char orcpt[ORCPT_TEXT_MAX], envid[ENVID_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(units); i++) {
		struct bounce_recipient one = recipient_of("b@far.example");
		struct bounce bounce = bounce_of(&one, 1);
		size_t unit = strlen(units[i]);

		strcpy(orcpt, "rfc822;");
		while (strlen(orcpt) + unit < sizeof(orcpt))
			strcat(orcpt, units[i]);
		envid[0] = '\0';
		while (strlen(envid) + unit < sizeof(envid))
			strcat(envid, units[i]);
		one.orcpt = orcpt;
		bounce.envid = envid;
		assert_int_equal(built(&bounce)->groups_n, 2);
		assert_non_null(value_of(&built(&bounce)->groups[1],
		    "Original-Recipient"));
	}
}

static struct bounce_recipient
delayed_of(const char *address)
{
	struct bounce_recipient one = recipient_of(address);

	one.action = BOUNCE_DELAYED;
	one.code = 0;
	one.enhanced = "4.7.5";
	one.host = one.ip = "";
	one.reply = "mx.far.example: its certificate expired";
	one.rule = "sts-enforce-certificate-expired";
	one.clause = "RFC 8461 5";
	one.repair = "renew the certificate";
	one.next_ms = 1790003600000;
	return one;
}

static struct bounce_recipient
relayed_of(const char *address)
{
	struct bounce_recipient one = recipient_of(address);

	one.action = BOUNCE_RELAYED;
	one.code = 250;
	one.enhanced = "2.0.0";
	one.reply = "250 2.0.0 taken";
	return one;
}

static void
a_delay(void **state)
{
	struct bounce_recipient one = delayed_of("b@far.example");
	struct bounce bounce = bounce_of(&one, 1);
	const struct report *report = built(&bounce);
	const struct fields *group = &report->groups[1];

	(void)state;
	assert_string_equal(value_of(&report->header, "Subject"),
	    "Your message is delayed, and is tried further");
	assert_string_equal(value_of(&report->header, "Auto-Submitted"),
	    "auto-replied");
	assert_string_equal(value_of(group, "Action"), "delayed");
	assert_string_equal(value_of(group, "Status"), "4.7.5");
	/* arrival and five days */
	assert_string_equal(value_of(group, "Will-Retry-Until"),
	    "Sat, 26 Sep 2026 13:56:40 +0000");
	assert_null(value_of(group, "Diagnostic-Code"));
	/* cause, rule, clause, what helps, when, until when */
	assert_non_null(strstr(report->words, "its certificate expired"));
	assert_non_null(strstr(report->words,
	    "Rule: sts-enforce-certificate-expired (RFC 8461 5)"));
	assert_non_null(strstr(report->words,
	    "What helps: renew the certificate"));
	assert_non_null(strstr(report->words,
	    "Next try: Mon, 21 Sep 2026 15:13:20 +0000"));
	assert_non_null(strstr(report->words,
	    "Tried until: Sat, 26 Sep 2026 13:56:40 +0000"));
	assert_null(strstr(report->words, "Nobody is trying"));
	/* its body is the sender's own still: DSN-3461-6.2-1 */
	assert_string_equal(report->original_type, "text/rfc822-headers");
	/* held by the operator */
	one.next_ms = 0;
	assert_non_null(strstr(built(&bounce)->words, "Next try: when the "
	    "operator releases it"));
}

static void
handed_on(void **state)
{
	struct bounce_recipient one = relayed_of("b@far.example");
	struct bounce bounce = bounce_of(&one, 1);
	const struct report *report = built(&bounce);
	const struct fields *group = &report->groups[1];

	(void)state;
	assert_string_equal(value_of(&report->header, "Subject"),
	    "Your message was handed on");
	assert_string_equal(value_of(group, "Action"), "relayed");
	assert_string_equal(value_of(group, "Status"), "2.0.0");
	assert_string_equal(value_of(group, "Remote-MTA"),
	    "dns; mx.far.example");
	assert_string_equal(value_of(group, "Diagnostic-Code"),
	    "smtp; 250 2.0.0 taken");
	assert_null(value_of(group, "Will-Retry-Until"));
	assert_string_equal(report->original_type, "text/rfc822-headers");
	assert_null(strstr(report->words, "Nobody is trying"));
}

static const struct {
	enum bounce_action action;
	const char	*heard, *status;
} action_statuses[] = {
	{ BOUNCE_DELAYED, "4.7.5", "4.7.5" },
	{ BOUNCE_DELAYED, "4.4.1", "4.4.1" },
	{ BOUNCE_DELAYED, "5.7.1", "4.7.1" },
	{ BOUNCE_DELAYED, "", "4.0.0" }, { BOUNCE_DELAYED, "2.0.0", "4.0.0" },
	{ BOUNCE_DELAYED, "4.x", "4.0.0" },
	{ BOUNCE_RELAYED, "2.0.0", "2.0.0" },
	{ BOUNCE_RELAYED, "2.1.5", "2.1.5" }, { BOUNCE_RELAYED, "", "2.0.0" },
	{ BOUNCE_RELAYED, "4.7.5", "2.0.0" },
	{ BOUNCE_RELAYED, "5.1.1", "2.0.0" },
	{ BOUNCE_RELAYED, "2.1.5 x", "2.0.0" },
};

static void
statuses_fit_actions(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(action_statuses); i++) {
		struct bounce_recipient one = recipient_of("b@far.example");
		char status[16];

		one.action = action_statuses[i].action;
		one.enhanced = action_statuses[i].heard;
		assert_string_equal(bounce_status(&one, status),
		    action_statuses[i].status);
	}
}

/* Everything at once: a group each, the gravest in the subject. */
static void
actions_of_all_kinds(void **state)
{
	struct bounce_recipient three[] = { relayed_of("r@far.example"),
	    delayed_of("d@far.example"), recipient_of("f@far.example") };
	struct bounce bounce = bounce_of(three, 3);
	const struct report *report = built(&bounce);
	static const char *const actions[] = { "relayed", "delayed",
	    "failed" };

	(void)state;
	assert_string_equal(value_of(&report->header, "Subject"),
	    "Your message could not be delivered");
	assert_int_equal(report->groups_n, 4);
	for (size_t i = 0; i < 3; i++)
		assert_string_equal(value_of(&report->groups[i + 1],
		    "Action"), actions[i]);
	assert_non_null(strstr(report->words, "did not reach:\r\n\r\n"
	    "<f@far.example>"));
	assert_non_null(strstr(report->words, "has not reached yet:\r\n\r\n"
	    "<d@far.example>"));
	assert_non_null(strstr(report->words, "was handed on for:\r\n\r\n"
	    "<r@far.example>"));
	/* one of them failed: the message comes back whole */
	assert_string_equal(report->original_type, "message/rfc822");
}

static const struct {
	int64_t		 expire_s;
	const char	*words;
} spans[] = {
	{ 432000, "5 days" }, { 86400, "1 day" }, { 86399, "23 hours" },
	{ 3600, "1 hour" }, { 7200, "2 hours" }, { 60, "1 minute" },
	{ 59, "59 seconds" }, { 1, "1 second" }, { 0, "0 seconds" },
};

static void
lifetimes_in_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(spans); i++) {
		struct bounce_recipient one = recipient_of("b@far.example");
		struct bounce bounce = bounce_of(&one, 1);
		char wanted[80];

		one.expired = true;
		bounce.expire_s = spans[i].expire_s;
		snprintf(wanted, sizeof(wanted), "delivered for %s",
		    spans[i].words);
		assert_non_null(strstr(built(&bounce)->words, wanted));
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "DSN-3464-2-1, DSN-3464-2-2, DSN-3464-2-3, "
		    "DSN-3464-2.2.2-1, DSN-3464-2.2.5-1, DSN-3464-2.3.2-1, "
		    "DSN-3464-2.3.3-1, DSN-3464-2.3.6-1, DSN-3464-4-1, "
		    "DSN-6522-3-1, DSN-6522-3-2, DSN-3834-3.1.7-1, "
		    "MSG-5322-3.6.4-2 a notice has all its fields", usual,
		    NULL, NULL, NULL },
		{ "DSN-3464-2.2.1-2, DSN-3464-2.2.3-1, DSN-3464-2.3.1-1, "
		    "DSN-3464-2.3.5-1, DSN-3464-2.3.7-1, DSN-3464-2.3.9-1 "
		    "a local cause names no host, and nothing is made up",
		    a_local_cause_names_no_host, NULL, NULL, NULL },
		{ "DSN-3464-2.3.4-1, EXT-3463-2-1, EXT-3463-3.8-1, "
		    "DSN-3464-2.3.3-2 statuses", status_codes, NULL, NULL,
		    NULL },
		{ "DSN-3464-2.1-1, DSN-3464-2.1-2, DSN-3464-2.3.6-2, "
		    "MSG-5322-4-2 what peers say adds no line, field or part",
		    peers_text_is_neutral, NULL, NULL, NULL },
		{ "every octet in a reply and an original", every_octet, NULL,
		    NULL, NULL },
		{ "DSN-6522-3-3, DSN-6522-3-4 the original comes back whole "
		    "where that is safe, else its header",
		    originals_come_back, NULL, NULL, NULL },
		{ "long originals are cut", long_originals_are_cut, NULL,
		    NULL, NULL },
		{ "SMTP-4.4-3, DSN-3464-2-5 250 recipients, a group each",
		    many_recipients, NULL, NULL, NULL },
		{ "MSG-5322-2.1.1-2 lines are at most 78 octets",
		    lines_are_short, NULL, NULL, NULL },
		{ "addresses of 311 octets stay whole", long_addresses, NULL,
		    NULL, NULL },
		{ "a relay without a name", no_host_name, NULL, NULL, NULL },
		{ "DSN-3461-6.3-1, DSN-3464-2.2.1-1, DSN-3464-2.3.1-1 ENVID "
		    "and ORCPT come back decoded, and end no line",
		    ids_are_decoded, NULL, NULL, NULL },
		{ "DSN-3461-4.2-1, DSN-3461-4.4-1 ENVID and ORCPT as long as "
		    "may be", long_ids, NULL, NULL, NULL },
		{ "DSN-3461-5.2.5-1, DSN-3464-2.3.9-1, DSN-3461-6.2-1, "
		    "DSN-6522-3-1 a delay says cause, rule, clause, next try "
		    "and the end of its life", a_delay, NULL, NULL, NULL },
		{ "DSN-3461-5.2.2-2, DSN-3461-6.2-1 what was handed on",
		    handed_on, NULL, NULL, NULL },
		{ "DSN-3464-2.3.4-1 the status fits the action",
		    statuses_fit_actions, NULL, NULL, NULL },
		{ "DSN-3464-2-5, DSN-3464-2.3.3-1 one notification of all "
		    "kinds", actions_of_all_kinds, NULL, NULL, NULL },
		{ "lifetimes in words", lifetimes_in_words, NULL, NULL,
		    NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("bounce", tests, NULL, NULL);
}
