/*
 * smtpd/compose.c: what becomes of a message that sendmail reads.
 *
 * Added fields are fixed by fixed facts: see `facts`.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "smtpd/compose.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))
#define L(literal)	{ literal, sizeof(literal) - 1 }

#define FROM	"From: Jo Doe <jo@our.test>\r\n"
#define DATE	"Date: Tue, 24 Nov 2026 23:17:34 +0000\r\n"
#define ID	"Message-ID: <00000000000000010000000000000002@relay.test>\r\n"
#define ADDED	FROM DATE ID

static const struct compose facts = {
	.name = "Jo Doe", .author = { "jo", { "our.test" } },
	.mail_domain = { "our.test" }, .host = "relay.test",
	.random = { 1, 2 }, .wall_s = 1795562254
};

struct row {
	struct slice	 input;
	const char	*message;	/* NULL: refused */
	const char	*recipients;	/* of -t, with blanks */
};

static void
print(const struct envelope *envelope, struct buffer *text)
{
	char address[MAILBOX_TEXT_MAX];

	buffer_add(text, SLICE(""));
	for (size_t i = 0; i < envelope->recipients_n; i++)
		buffer_printf(text, "%s ",
		    mailbox_print(&envelope->recipients[i], address));
}

static void
check(const struct compose *compose, const struct row *row)
{
	struct envelope envelope = { .recipients = NULL };
	struct buffer message = { NULL, 0, 0 }, error = { NULL, 0, 0 };
	struct buffer recipients = { NULL, 0, 0 };
	bool good;

	good = compose_message(compose, row->input, &envelope, &message,
	    &error);
	print(&envelope, &recipients);
	if (good != (row->message != NULL) || (good &&
	    (strcmp(message.text, row->message) != 0 ||
	    strcmp(recipients.text, row->recipients) != 0)))
		fail_msg("\"%s\": \"%s\" to %s %s", row->input.at,
		    message.text, recipients.text,
		    error.text != NULL ? error.text : "");
	assert_int_equal(good, error.len == 0);
	buffer_free(&message);
	buffer_free(&error);
	buffer_free(&recipients);
	envelope_free(&envelope);
}

static void
check_rows(const struct compose *compose, const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		check(compose, &rows[i]);
}

/* A whole header, so that nothing is added. */
#define H	"From: a@b\r\nDate: x\r\nMessage-ID: <y>\r\n"

static void
lines(void **state)
{
	static const struct row rows[] = {
		{ L(H "\r\nx\r\n"), H "\r\nx\r\n", "" },
		{ L("From: a@b\nDate: x\nMessage-ID: <y>\n\nx\n"),
		    H "\r\nx\r\n", "" },
		{ L("From: a@b\rDate: x\rMessage-ID: <y>\r\rx\r"),
		    H "\r\nx\r\n", "" },
		{ L(H "\r\nx"), H "\r\nx\r\n", "" },
		{ L(H "\r\na\nb\rc\r\nd"), H "\r\na\r\nb\r\nc\r\nd\r\n", "" },
		{ L(H "\r\na\r\r\nb"), H "\r\na\r\n\r\nb\r\n", "" },
		{ L(H "\r\na\n\rb"), H "\r\na\r\n\r\nb\r\n", "" },
		{ L(H "\r\n\n\n"), H "\r\n\r\n\r\n", "" },
		{ L(H "\r\n.\n..\n"), H "\r\n.\r\n..\r\n", "" },
		{ L(H), H "\r\n", "" },
		{ L(H "\r\n"), H "\r\n", "" },
		{ L(H "\r\n\xff\x80 J\xf6rg\n"), H "\r\n\xff\x80 J\xf6rg\r\n",
		    "" },
		{ L(H "\r\na\0b\n"), NULL, "" },
		{ L("\0"), NULL, "" },
	};

	(void)state;
	check_rows(&facts, rows, COUNT(rows));
}

static void
missing(void **state)
{
	static const struct row rows[] = {
		{ L(""), ADDED "\r\n", "" },
		{ L("\n"), ADDED "\r\n", "" },
		{ L("Subject: x\n\ny\n"),
		    "Subject: x\r\n" ADDED "\r\ny\r\n", "" },
		{ L("Subject: x\n"), "Subject: x\r\n" ADDED "\r\n", "" },
		{ L("From: a@b\n\ny\n"), "From: a@b\r\n" DATE ID "\r\ny\r\n",
		    "" },
		{ L("from: a@b\ndate: x\n\ny\n"),
		    "from: a@b\r\ndate: x\r\n" ID "\r\ny\r\n", "" },
		{ L("MESSAGE-ID: <a>\n\ny\n"),
		    "MESSAGE-ID: <a>\r\n" FROM DATE "\r\ny\r\n", "" },
		/* twice is not mended, empty is there */
		{ L("Date: 1\nDate: 2\n\n"),
		    "Date: 1\r\nDate: 2\r\n" FROM ID "\r\n", "" },
		{ L("From:\nDate:\nMessage-ID:\n\n"),
		    "From:\r\nDate:\r\nMessage-ID:\r\n\r\n", "" },
		/* groups in From are kept */
		{ L("From: Nobody:;\n\n"),
		    "From: Nobody:;\r\n" DATE ID "\r\n", "" },
		/* neither To nor Cc is added */
		{ L("Subject: only\n\n"), "Subject: only\r\n" ADDED "\r\n",
		    "" },
	};

	(void)state;
	check_rows(&facts, rows, COUNT(rows));
}

/* Text that has no header, and lines that only look like one. */
static void
headerless(void **state)
{
	static const struct row rows[] = {
		{ L("hello\nworld\n"), ADDED "\r\nhello\r\nworld\r\n", "" },
		{ L(" indented: x\n"), ADDED "\r\n indented: x\r\n", "" },
		{ L("a b: c\n"), ADDED "\r\na b: c\r\n", "" },
		{ L("Subject: x\nno field\nCc: c@d\n"),
		    "Subject: x\r\n" ADDED "\r\nno field\r\nCc: c@d\r\n",
		    "" },
		{ L(": x\n\ny\n"), ADDED "\r\n: x\r\n\r\ny\r\n", "" },
		{ L("."), ADDED "\r\n.\r\n", "" },
	};

	(void)state;
	check_rows(&facts, rows, COUNT(rows));
}

static void
mbox_line(void **state)
{
	static const struct row rows[] = {
		{ L("From root Mon Nov 23 00:00:00 2026\n" H "\nx\n"),
		    H "\r\nx\r\n", "" },
		{ L(">From root Mon\n" H "\nx\n"), H "\r\nx\r\n", "" },
		{ L("From root Mon\r\n" H "\r\nx\r\n"), H "\r\nx\r\n", "" },
		{ L("From x"), ADDED "\r\n", "" },
		/* further down it is text */
		{ L(H "\nFrom me\n"), H "\r\nFrom me\r\n", "" },
		{ L("Fromage: x\n\n"), "Fromage: x\r\n" ADDED "\r\n", "" },
	};

	(void)state;
	check_rows(&facts, rows, COUNT(rows));
}

static void
blind_copies(void **state)
{
	static const struct row rows[] = {
		{ L(H "Bcc: c@d\n\nx\n"), H "\r\nx\r\n", "" },
		{ L("Bcc: c@d\n" H "\nx\n"), H "\r\nx\r\n", "" },
		{ L(H "BCC: c@d,\n e@f,\n\tg@h\nTo: i@j\n\nx\n"),
		    H "To: i@j\r\n\r\nx\r\n", "" },
		{ L(H "bcc : c@d\n\nx\n"), H "\r\nx\r\n", "" },
		{ L(H "Resent-Bcc: c@d\n\nx\n"), H "\r\nx\r\n", "" },
		{ L(H "Bcc:\n\nx\n"), H "\r\nx\r\n", "" },
		{ L(H "Bcc: a b c <<>>\n\nx\n"), H "\r\nx\r\n", "" },
		{ L(H "Bcc: c@d\nBcc: e@f\n\nx\n"), H "\r\nx\r\n", "" },
		{ L(H "X-Bcc: c@d\n\nBcc: body\n"),
		    H "X-Bcc: c@d\r\n\r\nBcc: body\r\n", "" },
	};

	(void)state;
	check_rows(&facts, rows, COUNT(rows));
}

static void
from_header(void **state)
{
	static const struct row rows[] = {
		{ L(H "To: c@d\n\n"), H "To: c@d\r\n\r\n", "c@d " },
		{ L(H "To: c@d\nCc: e@f\nBcc: g@h\n\n"),
		    H "To: c@d\r\nCc: e@f\r\n\r\n", "c@d e@f g@h " },
		{ L(H "To: c@d, e@f\nTo: g@h\n\n"),
		    H "To: c@d, e@f\r\nTo: g@h\r\n\r\n", "c@d e@f g@h " },
		{ L(H "To: c@d,\n\te@f\n\n"), H "To: c@d,\r\n\te@f\r\n\r\n",
		    "c@d e@f " },
		{ L(H "To: \"Doe, J\" <c@d>, G: e@f, g@h;\n\n"),
		    H "To: \"Doe, J\" <c@d>, G: e@f, g@h;\r\n\r\n",
		    "c@d e@f g@h " },
		{ L(H "To: undisclosed-recipients:;\nBcc: c@d\n\n"),
		    H "To: undisclosed-recipients:;\r\n\r\n", "c@d " },
		{ L(H "To: c@d\nCc: c@d\nBcc: C@d, c@D\n\n"),
		    H "To: c@d\r\nCc: c@d\r\n\r\n", "c@d C@d " },
		{ L(H "Subject: no one\n\n"), H "Subject: no one\r\n\r\n",
		    "" },
		/* resent: only those */
		{ L(H "To: c@d\nResent-To: e@f\n\n"),
		    H "To: c@d\r\nResent-To: e@f\r\n\r\n", "e@f " },
		{ L(H "To: c@d\nBcc: x@y\nResent-Bcc: e@f\n\n"),
		    H "To: c@d\r\n\r\n", "e@f " },
		{ L(H "Cc: c@d\nResent-Cc: e@f\nResent-To: g@h\n\n"),
		    H "Cc: c@d\r\nResent-Cc: e@f\r\nResent-To: g@h\r\n\r\n",
		    "e@f g@h " },
		{ L(H "To: c@d\nResent-From: e@f\n\n"),
		    H "To: c@d\r\nResent-From: e@f\r\n\r\n", "c@d " },
		/* fields that are no recipients */
		{ L(H "Reply-To: c@d\nSender: e@f\nX-To: g@h\n\nTo: i@j\n"),
		    H "Reply-To: c@d\r\nSender: e@f\r\nX-To: g@h\r\n\r\n"
		    "To: i@j\r\n", "" },
		/* text in other fields adds nobody */
		{ L(H "Subject: x\\nBcc: c@d\n\n"),
		    H "Subject: x\\nBcc: c@d\r\n\r\n", "" },
		{ L(H "To: =?UTF-8?Q?x=0ABcc:_e@f?= <c@d>\n\n"),
		    H "To: =?UTF-8?Q?x=0ABcc:_e@f?= <c@d>\r\n\r\n", "c@d " },
		/* malformed: nothing is guessed */
		{ L(H "To: John Doe\n\n"), NULL, "" },
		{ L(H "To: a b@c\n\n"), NULL, "" },
		{ L(H "To: c@d\nBcc: <\n\n"), NULL, "" },
		{ L(H "To: \xc3\xbc@d\n\n"), NULL, "" },
		{ L(H "To: c@-d\n\n"), NULL, "" },
	};
	struct compose compose = facts;

	(void)state;
	compose.from_header = true;
	check_rows(&compose, rows, COUNT(rows));
}

static void
completion(void **state)
{
	static const struct row rows[] = {
		{ L(H "To: root\n\n"), H "To: root@our.test\r\n\r\n", "" },
		{ L(H "To: root, a@b, jo\n\n"),
		    H "To: root@our.test, a@b, jo@our.test\r\n\r\n", "" },
		{ L(H "To: Charlie <root>\n\n"),
		    H "To: Charlie <root@our.test>\r\n\r\n", "" },
		{ L(H "To: root (Charlie)\n\n"),
		    H "To: root@our.test (Charlie)\r\n\r\n", "" },
		{ L(H "Cc: a@b,\n root,\n \"x y\"\n\n"),
		    H "Cc: a@b,\r\n root@our.test,\r\n \"x y\"@our.test"
		    "\r\n\r\n", "" },
		{ L("From: root\nDate: x\nMessage-ID: y\n\n"),
		    "From: root@our.test\r\nDate: x\r\nMessage-ID: y\r\n\r\n",
		    "" },
		{ L(H "Reply-To: jo\nSender: root\nResent-To: x\n\n"),
		    H "Reply-To: jo@our.test\r\nSender: root@our.test\r\n"
		    "Resent-To: x@our.test\r\n\r\n", "" },
		{ L(H "To: G: root, a@b;\n\n"),
		    H "To: G: root@our.test, a@b;\r\n\r\n", "" },
		/* malformed, or no address at all: as it is */
		{ L(H "To: John Doe\n\n"), H "To: John Doe\r\n\r\n", "" },
		{ L(H "To: root, <\n\n"), H "To: root, <\r\n\r\n", "" },
		{ L(H "Subject: root\n\nroot\n"),
		    H "Subject: root\r\n\r\nroot\r\n", "" },
		{ L(H "X-Owner: root\n\n"), H "X-Owner: root\r\n\r\n", "" },
	};
	static const struct row as_it_is[] = {
		{ L("To: root\n\nx\n"), "To: root\r\n\r\nx\r\n", "" },
		{ L("Bcc: root\n\nx\n"), "\r\nx\r\n", "" },
		{ L(""), "\r\n", "" },
	};
	struct compose compose = facts;

	(void)state;
	check_rows(&compose, rows, COUNT(rows));
	compose.as_it_is = true;
	check_rows(&compose, as_it_is, COUNT(as_it_is));
}

static void
phrases(void **state)
{
	static const struct {
		const char	*name, *phrase;
	} rows[] = {
		{ "Jo", "Jo" }, { "Jo Doe", "Jo Doe" }, { "", "" },
		{ " Jo ", "Jo" }, { "J. Doe", "\"J. Doe\"" },
		{ "Doe, Jo", "\"Doe, Jo\"" }, { "a@b", "\"a@b\"" },
		{ "Jo \"X\" Doe", "\"Jo \\\"X\\\" Doe\"" },
		{ "back\\slash", "\"back\\\\slash\"" },
		{ "O'Neil", "O'Neil" }, { "(Jo)", "\"(Jo)\"" },
		{ "Jo <jo@x>", "\"Jo <jo@x>\"" },
		{ "x\r\nBcc: y@z", "\"x  Bcc: y@z\"" },
		{ "a\tb", "a b" }, { "\n", "" }, { "a\x7f", "a" },
		{ "=?UTF-8?Q?x?=", "\"=?UTF-8?Q?x?=\"" },
		{ "J\xc3\xb6rg", "=?UTF-8?Q?J=C3=B6rg?=" },
		{ "J\xc3\xb6rg M\xc3\xbcller",
		    "=?UTF-8?Q?J=C3=B6rg_M=C3=BCller?=" },
		{ "\"J\xc3\xb6rg\", x", "=?UTF-8?Q?=22J=C3=B6rg=22=2C_x?=" },
		{ "J\xf6rg", "=?unknown-8bit?Q?J=F6rg?=" },
		{ "\xf0\x9f\x98\x80", "=?UTF-8?Q?=F0=9F=98=80?=" },
		{ "J\xc3\xb6\nrg", "=?UTF-8?Q?J=C3=B6_rg?=" },
		{ "\xe2\x80\xa8", "=?UTF-8?Q?=E2=80=A8?=" },
	};
	struct buffer out;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		out = (struct buffer){ NULL, 0, 0 };
		compose_phrase(&out, rows[i].name);
		assert_string_equal(out.text != NULL ? out.text : "",
		    rows[i].phrase);
		buffer_free(&out);
	}
}

/* Long names: words of 75 octets at most, parted between characters. */
static void
long_phrases(void **state)
{
	struct buffer name, out;

	(void)state;
	for (int n = 1; n < 300; n += 7) {
		name = out = (struct buffer){ NULL, 0, 0 };
		for (int i = 0; i < n; i++)
			buffer_add(&name, i % 3 ? SLICE("\xc3\xbc") :
			    SLICE("\xe2\x82\xac"));
		compose_phrase(&out, name.text);
		for (char *word = out.text; word != NULL; ) {
			size_t len = strcspn(word, "\r");

			assert_true(len <= 75);
			assert_memory_equal(word, "=?UTF-8?Q?=", 11);
			assert_memory_equal(word + len - 2, "?=", 2);
			/* Whole characters: it begins with a lead octet. */
			assert_true(strtoul(word + 11, NULL, 16) >= 0xc2);
			assert_true(word[len] == '\0' ||
			    memcmp(word + len, "\r\n =?", 5) == 0);
			word = word[len] == '\0' ? NULL : word + len + 3;
		}
		buffer_free(&name);
		buffer_free(&out);
	}
	name = out = (struct buffer){ NULL, 0, 0 };
	for (int i = 0; i < 5000; i++)
		buffer_add(&name, SLICE("n "));
	compose_phrase(&out, name.text);
	assert_true(out.len <= 200);
	buffer_free(&name);
	buffer_free(&out);
}

/* From with every kind of name and author. */
static void
authors(void **state)
{
	static const struct {
		const char	*name;
		struct mailbox	 author;
		const char	*from;
	} rows[] = {
		{ NULL, { "jo", { "our.test" } }, "From: jo@our.test\r\n" },
		{ "", { "jo", { "our.test" } }, "From: jo@our.test\r\n" },
		{ "\n", { "jo", { "our.test" } }, "From: jo@our.test\r\n" },
		{ "Jo", { "a b", { "c" } }, "From: Jo <\"a b\"@c>\r\n" },
		{ "J\xc3\xb6", { "a", { "c" } },
		    "From: =?UTF-8?Q?J=C3=B6?= <a@c>\r\n" },
	};
	struct compose compose = facts;
	struct envelope envelope = { .recipients = NULL };
	struct buffer message, error = { NULL, 0, 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		compose.name = rows[i].name;
		compose.author = rows[i].author;
		message = (struct buffer){ NULL, 0, 0 };
		assert_true(compose_message(&compose, SLICE(""), &envelope,
		    &message, &error));
		assert_memory_equal(message.text, rows[i].from,
		    strlen(rows[i].from));
		buffer_free(&message);
	}
}

/* Long lines go out as they came in. */
static void
long_lines(void **state)
{
	struct buffer input = { NULL, 0, 0 }, message = { NULL, 0, 0 },
	    error = { NULL, 0, 0 };
	struct envelope envelope = { .recipients = NULL };

	(void)state;
	buffer_add(&input, SLICE(H "\r\n"));
	for (int i = 0; i < 100000; i++)
		buffer_add(&input, SLICE("x"));
	buffer_add(&input, SLICE("\r\n"));
	assert_true(compose_message(&facts, (struct slice){ input.text,
	    input.len }, &envelope, &message, &error));
	assert_string_equal(message.text, input.text);
	buffer_free(&input);
	buffer_free(&message);
}

#define TEST(name, function)	{ name, function, NULL, NULL, NULL }

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST("MSG-5322-2.1-1, MSG-5322-2.3-1 line ends", lines),
		TEST("MSG-5322-3.6-1, MSG-5322-3.6-2, MSG-5322-3.6.4-1, "
		    "MSG-5322-3.6.3-2, MSG-6854-2-1 fields that are missing",
		    missing),
		TEST("MSG-5322-2.2-1 text without header", headerless),
		TEST("MSG-5322-2.2-2 the mbox line", mbox_line),
		TEST("SMTP-B-2, MSG-5322-3.6.3-1, MSG-5322-3.6.6-2, "
		    "MSG-5322-4.5-1 blind copies", blind_copies),
		TEST("SMTP-B-1, MSG-5322-3.6.6-1, MSG-5322-3.4-2, "
		    "MSG-5322-5-1 -t", from_header),
		TEST("MSG-5322-3.4.1-1 bare names in the header",
		    completion),
		TEST("MSG-2047-5-1, MSG-5322-5-1 names", phrases),
		TEST("MSG-2047-5-1, MSG-5322-2.1.1-1 long names",
		    long_phrases),
		TEST("MSG-2047-5-1 From", authors),
		TEST("MSG-5322-2.1.1-1 long lines are not touched",
		    long_lines),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
