/*
 * smtpd/headers.c and envelope.c: fields of a header, and the addresses in
 * them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "smtpd/envelope.h"
#include "smtpd/headers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

/* ---- lists ---- */

struct row {
	const char	*list;
	const char	*addresses;	/* "a@b " each; NULL: refused */
};

static void
note(void *context, const struct headers_address *address)
{
	buffer_printf(context, "%s%s%s ", address->local,
	    address->domain[0] != '\0' ? "@" : "", address->domain);
}

static void
check(const struct row *row)
{
	struct buffer found = { NULL, 0, 0 };
	struct slice fault;
	bool good;

	good = headers_addresses(slice_of(row->list), note, &found, &fault);
	if (good != (row->addresses != NULL) || (good &&
	    strcmp(found.text != NULL ? found.text : "", row->addresses)))
		fail_msg("\"%s\": %s\"%s\"", row->list, good ? "" :
		    "refused, ", found.text != NULL ? found.text : "");
	buffer_free(&found);
}

#define CHECK_ROWS(rows)						\
	for (size_t i = 0; i < COUNT(rows); i++)			\
		check(&(rows)[i])

static void
simple(void **state)
{
	static const struct row rows[] = {
		{ "a@b", "a@b " },
		{ " a@b ", "a@b " },
		{ "<a@b>", "a@b " },
		{ "Name <a@b>", "a@b " },
		{ "Two Words <a@b>", "a@b " },
		{ "\"Doe, J: x\" <j@d>", "j@d " },
		{ "\"a \\\" b\" <j@d>", "j@d " },
		{ "John Q. Public <j@d>", "j@d " },
		{ "J. <j@d>", "j@d " },
		{ ".x <j@d>", "j@d " },
		{ "a@b, c@d", "a@b c@d " },
		{ "a@b,c@d", "a@b c@d " },
		{ "A <a@b>, B <c@d>, e@f", "a@b c@d e@f " },
		{ "a.b.c@d.e.f", "a.b.c@d.e.f " },
		{ "\"a b\"@c", "a b@c " },
		{ "\"a@b\"@c", "a@b@c " },
		{ "<\"a b\"@c>", "a b@c " },
		{ "\"a\\\\b\"@c", "a\\b@c " },
		{ "\"a,b\"@c, d@e", "a,b@c d@e " },
		{ "u@[192.0.2.1]", "u@[192.0.2.1] " },
		{ "u@[IPv6:2001:db8::1]", "u@[IPv6:2001:db8::1] " },
		{ "X <u@[ 192.0.2.1 ]>", "u@[192.0.2.1] " },
		{ "root", "root " },
		{ "root, a@b", "root a@b " },
		{ "Root User <root>", "root " },
		{ "<root>", "root " },
		{ "a.b", "a.b " },
		{ "\"a b\"", "a b " },
		{ "-dash@x", "-dash@x " },
		{ "a+b@c", "a+b@c " },
		{ "=?UTF-8?Q?J=C3=B6rg=2C?= <j@d>", "j@d " },
		{ "=?UTF-8?B?SsO2cmc=?= =?UTF-8?B?SsO2cmc=?= <j@d>", "j@d " },
		{ "J\xc3\xb6rg <j@d>", "j@d " },
		{ "J\xf6rg <j@d>", "j@d " },
		{ "j@\xc3\xbc.d", "j@\xc3\xbc.d " },
		{ "\xc3\xbc@d", "\xc3\xbc@d " },
		{ "[List] Name <a@b>", "a@b " },
		{ "a@b <a@b>", "a@b " },
		{ "x@y.z <a@b>", "a@b " },
		{ "", "" },
		{ " \t", "" },
	};

	(void)state;
	CHECK_ROWS(rows);
}

static void
comments(void **state)
{
	static const struct row rows[] = {
		{ "(a (b) \\) c) u@d (x)", "u@d " },
		{ "u@d (J. Doe)", "u@d " },
		{ "u (x) @ (y) d (z)", "u@d " },
		{ "(c) Name (c) < (c) u (c) @ (c) d (c) > (c)", "u@d " },
		{ "u@d (a, b), v@e", "u@d v@e " },
		{ "(only a comment)", "" },
		{ "((nested (deep)))u@d", "u@d " },
		{ "u@d (\"quote)", "u@d " },
		{ "root (Charlie Root)", "root " },
		{ "u@d (:;<>@,)", "u@d " },
		{ "u@d (open", NULL },
		{ "u@d )", NULL },
		{ "u@d (\\", NULL },
		{ "\"(no comment)\" <u@d>", "u@d " },
	};

	(void)state;
	CHECK_ROWS(rows);
}

static void
folds(void **state)
{
	static const struct row rows[] = {
		{ " a@b,\r\n c@d\r\n", "a@b c@d " },
		{ " a@b\r\n\t,c@d\r\n", "a@b c@d " },
		{ "\r\n a@b\r\n", "a@b " },
		{ " A\r\n B\r\n <a@b>\r\n", "a@b " },
		{ " \"A\r\n B\" <a@b>\r\n", "a@b " },
		{ " \"a\r\n b\"@c\r\n", "a b@c " },
		{ " <a\r\n @\r\n b>\r\n", "a@b " },
	};

	(void)state;
	CHECK_ROWS(rows);
}

static void
groups(void **state)
{
	static const struct row rows[] = {
		{ "undisclosed-recipients:;", "" },
		{ "Undisclosed recipients: ;", "" },
		{ "G: a@b;", "a@b " },
		{ "G: a@b, C <c@d>;", "a@b c@d " },
		{ "G: a@b;, e@f", "a@b e@f " },
		{ "x@y, G: a@b, c@d;, e@f", "x@y a@b c@d e@f " },
		{ "A Group:Ed Jones <c@a.test>,joe@where.test,"
		    "John <jdoe@one.test>;",
		    "c@a.test joe@where.test jdoe@one.test " },
		{ "\"G, H\": a@b;", "a@b " },
		{ "G: , a@b, ;", "a@b " },
		{ "G: root, a@b;", "root a@b " },
		{ "G: a@b; H: c@d;", "a@b c@d " },
		{ "G (c) : (c) a@b (c) ; (c)", "a@b " },
		{ "undisclosed-recipients:", "" },
		{ "G: a@b", "a@b " },
		{ "G: H: a@b;;", NULL },
		{ ": a@b;", NULL },
		{ "a@b;", NULL },
		{ ";", NULL },
	};

	(void)state;
	CHECK_ROWS(rows);
}

static void
obsolete(void **state)
{
	static const struct row rows[] = {
		{ "a . b @ c . d", "a.b@c.d " },
		{ ", ,u@d", "u@d " },
		{ "u@d,,v@e,", "u@d v@e " },
		{ ",", "" },
		{ "<@x,@y:u@d>", "u@d " },
		{ "Name <@x:u@d>", "u@d " },
		{ "<@x.y,@z.a : u@d>", "u@d " },
		{ "<,@x:u@d>", "u@d " },
		{ "\"a\".b@c", "a.b@c " },
		{ "a.\"b c\"@d", "a.b c@d " },
		{ "\"Joe & J. Harvey\" <ddd @Org>, JJV @ BBN",
		    "ddd@Org JJV@BBN " },
	};

	(void)state;
	CHECK_ROWS(rows);
}

/* Appendix A of RFC 5322. */
static void
appendix(void **state)
{
	static const struct row rows[] = {
		{ " John Doe <jdoe@machine.example>",
		    "jdoe@machine.example " },
		{ " \"Joe Q. Public\" <john.q.public@example.com>",
		    "john.q.public@example.com " },
		{ " Mary Smith <mary@x.test>, jdoe@example.org, "
		    "Who? <one@y.test>",
		    "mary@x.test jdoe@example.org one@y.test " },
		{ " <boss@nil.test>, \"Giant; \\\"Big\\\" Box\" "
		    "<sysservices@example.net>",
		    "boss@nil.test sysservices@example.net " },
		{ " Pete <pete@silly.example>", "pete@silly.example " },
		{ " A Group:Ed Jones <c@a.test>,joe@where.test,John "
		    "<jdoe@one.test>;",
		    "c@a.test joe@where.test jdoe@one.test " },
		{ " Undisclosed recipients:;", "" },
		{ " Pete(A nice \\) chap) <pete(his account)@silly.test"
		    "(his host)>", "pete@silly.test " },
		{ " A Group(Some people)\r\n     :Chris Jones "
		    "<c@(Chris's host.)public.example>,\r\n"
		    "         joe@example.org,\r\n  John <jdoe@one.test> "
		    "(my dear friend); (the end of the group)",
		    "c@public.example joe@example.org jdoe@one.test " },
		{ " (Empty list)(start)Hidden recipients  :(nobody(that I "
		    "know))  ;", "" },
		{ " Joe Q. Public <john.q.public@example.com>",
		    "john.q.public@example.com " },
		{ " Mary Smith <@node.test:mary@example.net>, , "
		    "jdoe@test  . example",
		    "mary@example.net jdoe@test.example " },
		{ " John Doe <jdoe@machine(comment).  example>",
		    "jdoe@machine.example " },
		{ " Mary Smith\r\n  \t\r\n          <mary@example.net>",
		    "mary@example.net " },
	};

	(void)state;
	CHECK_ROWS(rows);
}

static void
malformed(void **state)
{
	static const char *const lists[] = {
		"a b", "a b@c", "a b <", "<", ">", "<>", "A <>", "<a@b",
		"a@b>", "<a@b> x", "<a@b> <c@d>", "@b", "a@", "a@@b",
		"a@b@c", ".a@b", "a.@b", "a..b@c", "a@b c", "a@b \"c\"",
		"\"a", "\"a@b", "a@[1.2.3.4", "a@b]", "a\\b@c", "a@\"b\"",
		"<@x u@d>", "<@x", "<@:u@d>", "<u@d,v@e>", "Name <a b@c>",
		"a@b, c d", "John Doe", "John Doe, a@b", "\x01@b", "a\x7f@b",
		"a@b\x01", "\"a\x01\"@b", "a:b:c@d;", "a@b:c", "<a@b>:;",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(lists); i++)
		check(&(struct row){ lists[i], NULL });
}

/* Local parts of 64 octets are taken; longer ones are none. */
static void
lengths(void **state)
{
	char list[256], expected[256], local[80];

	(void)state;
	for (size_t len = 1; len < 70; len++) {
		memset(local, 'x', len);
		local[len] = '\0';
		snprintf(expected, sizeof(expected), "%s@d ", local);
		snprintf(list, sizeof(list), "%s@d", local);
		check(&(struct row){ list, len <= 64 ? expected : NULL });
		snprintf(list, sizeof(list), "\"%s\"@d", local);
		check(&(struct row){ list, len <= 64 ? expected : NULL });
		/* As a name they may be as long as they like. */
		snprintf(list, sizeof(list), "\"%s\" <u@d>", local);
		check(&(struct row){ list, "u@d " });
	}
}

static void
where_faults_are(void **state)
{
	static const struct {
		const char	*list, *fault;
	} rows[] = {
		{ "a@b, c d, e@f", "c d, e@f" },
		{ "a@b, <>", "<>" },
		{ "  x y", "x y" },
		{ "G: a@b, c@, d@e;", "c@, d@e;" },
	};
	struct buffer found;
	struct slice fault;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		found = (struct buffer){ NULL, 0, 0 };
		assert_false(headers_addresses(slice_of(rows[i].list), note,
		    &found, &fault));
		assert_int_equal(fault.len, strlen(rows[i].fault));
		assert_memory_equal(fault.at, rows[i].fault, fault.len);
		buffer_free(&found);
	}
}

/* Where a missing domain belongs. */
static void
put_domain(void *context, const struct headers_address *address)
{
	*(const char **)context = address->local_end;
}

static void
where_domains_go(void **state)
{
	static const struct {
		const char	*list, *after;
	} rows[] = {
		{ "root", "" }, { " root (c)", " (c)" },
		{ "X <root>", ">" }, { "\"a b\" ", " " },
		{ "a . b ,", " ," }, { "G: root;", ";" },
	};
	const char *end;
	struct slice fault;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_true(headers_addresses(slice_of(rows[i].list),
		    put_domain, &end, &fault));
		assert_string_equal(end, rows[i].after);
	}
}

/* ---- fields ---- */

static void
fields(void **state)
{
	static const struct {
		const char	*text;
		/* "name=body;" each, bodies without CR LF; then "|rest" */
		const char	*parsed;
	} rows[] = {
		{ "A: b\r\n", "A= b;|" },
		{ "A:b\r\n\r\nbody\r\n", "A=b;|\r\nbody\r\n" },
		{ "A: b\r\nC: d\r\n\r\n", "A= b;C= d;|\r\n" },
		{ "A: b\r\n c\r\n\td\r\nE: f\r\n", "A= b c\td;E= f;|" },
		{ "To : x\r\n", "To= x;|" },
		{ "To\t : x\r\n", "To= x;|" },
		{ "A:\r\n b\r\n", "A= b;|" },
		{ "A:\r\n\r\n", "A=;|\r\n" },
		{ "X-!#$%&'*+-./^_`{|}~1: b\r\n",
		    "X-!#$%&'*+-./^_`{|}~1= b;|" },
		{ "no field\r\nA: b\r\n", "|no field\r\nA: b\r\n" },
		{ " A: b\r\n", "| A: b\r\n" },
		{ ": b\r\n", "|: b\r\n" },
		{ "A b: c\r\n", "|A b: c\r\n" },
		{ "\xc3\xbc: c\r\n", "|\xc3\xbc: c\r\n" },
		{ "A\x01: c\r\n", "|A\x01: c\r\n" },
		{ "A: b\r\ntext\r\n", "A= b;|text\r\n" },
		{ "A: b\r\n \r\n\r\nx\r\n", "A= b ;|\r\nx\r\n" },
		{ "", "|" }, { "\r\n", "|\r\n" }, { "A", "|A" },
		{ "A:", "A=;|" },
		{ "http://x\r\n", "http=//x;|" },
	};
	struct headers_field field;
	struct buffer parsed;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slice text = slice_of(rows[i].text);

		parsed = (struct buffer){ NULL, 0, 0 };
		while (headers_next(&text, &field)) {
			buffer_add(&parsed, field.name);
			buffer_add(&parsed, SLICE("="));
			for (size_t j = 0; j < field.body.len; j++)
				if (strchr("\r\n", field.body.at[j]) == NULL)
					buffer_printf(&parsed, "%c",
					    field.body.at[j]);
			buffer_add(&parsed, SLICE(";"));
		}
		buffer_add(&parsed, SLICE("|"));
		buffer_add(&parsed, text);
		assert_string_equal(parsed.text, rows[i].parsed);
		buffer_free(&parsed);
	}
}

static void
field_names(void **state)
{
	struct slice text = SLICE("bCC : x\r\n");
	struct headers_field field;

	(void)state;
	assert_true(headers_next(&text, &field));
	assert_true(headers_is(&field, "Bcc"));
	assert_true(headers_is(&field, "BCC"));
	assert_false(headers_is(&field, "Bc"));
	assert_false(headers_is(&field, "Bccc"));
}

/* ---- envelopes ---- */

static const struct domain our = { "our.test" };
static const struct domain none = { "" };

static void
print(const struct envelope *envelope, char *text, size_t size)
{
	char address[MAILBOX_TEXT_MAX];

	text[0] = '\0';
	for (size_t i = 0; i < envelope->recipients_n; i++)
		snprintf(text + strlen(text), size - strlen(text), "%s ",
		    mailbox_print(&envelope->recipients[i], address));
}

static void
recipients(void **state)
{
	static const struct {
		const char		*list;
		const struct domain	*mail_domain;
		const char		*recipients;	/* NULL: refused */
	} rows[] = {
		{ "a@b", &our, "a@b " },
		{ "A@B.Test", &our, "A@b.test " },
		{ "root", &our, "root@our.test " },
		{ "root", &none, NULL },
		{ "a@b, a@b", &our, "a@b " },
		{ "a@b, a@B, a@b.", &our, "a@b " },
		{ "a@b, A@b", &our, "a@b A@b " },
		{ "root, root@our.test", &our, "root@our.test " },
		{ "\"root\"@our.test, root", &our, "root@our.test " },
		{ "\"a b\"@c", &our, "\"a b\"@c " },
		{ "G: a@b, c@d;, a@b", &our, "a@b c@d " },
		{ "", &our, "" },
		{ "undisclosed-recipients:;", &our, "" },
		{ "-dash@x", &our, "-dash@x " },
		{ "Nm <n@x>", &our, "n@x " },
		{ "a@x,b@y", &our, "a@x b@y " },
		{ "u@[192.0.2.1]", &our, "u@[192.0.2.1] " },
		/* U-labels become A-labels */
		{ "a@b\xc3\xbc" "cher.test", &our,
		    "a@xn--bcher-kva.test " },
		{ "a@B\xc3\x9c" "CHER.test", &our,
		    "a@xn--bcher-kva.test " },
		{ "a@\xe2\x82\xac.test", &our, NULL },	/* not IDNA 2008 */
		{ "a@stra\xc3\x9f" "e.test", &our,
		    "a@xn--strae-oqa.test " },
		{ "a@xn--bcher-kva.test, a@b\xc3\xbc" "cher.test", &our,
		    "a@xn--bcher-kva.test " },
		/* what is no mailbox */
		{ "\xc3\xbc@d", &our, NULL },
		{ "a@\xff.test", &our, NULL },
		{ "a@-b", &our, NULL }, { "a@b..c", &our, NULL },
		{ "a@[1.2.3]", &our, NULL }, { "a@b/c", &our, NULL },
		{ "a b", &our, NULL }, { "<>", &our, NULL },
		{ "a@b, c d", &our, NULL },
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct envelope envelope = { .recipients = NULL };
		struct buffer error = { NULL, 0, 0 };
		bool good;

		good = envelope_add(&envelope, slice_of(rows[i].list),
		    rows[i].mail_domain, &error);
		print(&envelope, text, sizeof(text));
		if (good != (rows[i].recipients != NULL) || (good &&
		    strcmp(text, rows[i].recipients) != 0))
			fail_msg("%s: %s%s", rows[i].list, text,
			    error.text != NULL ? error.text : "");
		assert_int_equal(good, error.len == 0);
		buffer_free(&error);
		envelope_free(&envelope);
	}
}

static void
many_recipients(void **state)
{
	struct envelope envelope = { .recipients = NULL };
	struct buffer error = { NULL, 0, 0 };
	char address[32];

	(void)state;
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 1500; i++) {
			snprintf(address, sizeof(address), "r%d@d.test", i);
			assert_true(envelope_add(&envelope,
			    slice_of(address), &our, &error));
		}
	assert_int_equal(envelope.recipients_n, 1500);
	assert_string_equal(envelope.recipients[1499].local, "r1499");
	envelope_free(&envelope);
}

static void
senders(void **state)
{
	static const struct {
		const char	*text;
		const char	*sender;	/* NULL: refused */
	} rows[] = {
		{ "", "" }, { "<>", "" },
		{ "a@b", "a@b" }, { "<a@b>", "a@b" }, { "A@B", "A@b" },
		{ "root", "root@our.test" }, { "<root>", "root@our.test" },
		{ "\"a b\"@c", "\"a b\"@c" }, { "Nm <n@x>", "n@x" },
		{ "a@b\xc3\xbc" "cher.test", "a@xn--bcher-kva.test" },
		{ "a b@c", NULL }, { "a@b, c@d", NULL }, { "a@b c", NULL },
		{ "<a@b", NULL }, { "a@", NULL }, { "@b", NULL },
		{ "G:;", NULL }, { " ", NULL }, { ",", NULL },
		{ "\xc3\xbc@d", NULL }, { "a\nb@c", NULL },
		{ "a@b\nRCPT TO:<x@y>", NULL },
	};
	char text[MAILBOX_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct envelope envelope = { .recipients = NULL };
		struct buffer error = { NULL, 0, 0 };
		bool good;

		good = envelope_set_sender(&envelope, rows[i].text, &our,
		    &error);
		if (good != (rows[i].sender != NULL) || (good && strcmp(
		    mailbox_print(&envelope.sender, text), rows[i].sender)))
			fail_msg("%s: %s", rows[i].text, text);
		assert_int_equal(good, error.len == 0);
		assert_null(error.text != NULL ? strchr(error.text, '\n') :
		    NULL);
		buffer_free(&error);
	}
}

#define TEST(name, function)	{ name, function, NULL, NULL, NULL }

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST("MSG-5322-3.4-1, MSG-5322-3.2.4-1, MSG-5322-3.4.1-2 "
		    "addresses", simple),
		TEST("MSG-5322-3.2.2-1 comments", comments),
		TEST("MSG-5322-2.2.3-1 folds", folds),
		TEST("MSG-5322-3.4-2, MSG-6854-2-1 groups", groups),
		TEST("MSG-5322-4-1 obsolete forms", obsolete),
		TEST("MSG-5322-3.4-1 appendix A of RFC 5322", appendix),
		TEST("MSG-5322-3.4-1 what is no address", malformed),
		TEST("SMTP-4.5.3.1.1-1 local parts of 64 octets", lengths),
		TEST("where a list is malformed", where_faults_are),
		TEST("MSG-5322-3.4.1-1 where a missing domain goes",
		    where_domains_go),
		TEST("MSG-5322-2.2-1, MSG-5322-2.2.3-1, MSG-5322-4-1 fields",
		    fields),
		TEST("MSG-5322-4.5-1 names of fields", field_names),
		TEST("SMTP-2.3.5-1 recipients, each once", recipients),
		TEST("1,500 recipients", many_recipients),
		TEST("SMTP-B-3, MSG-5322-5-1 senders", senders),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
