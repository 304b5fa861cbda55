/*
 * Domains, mailboxes, addresses and networks, row by row.
 *
 * A row's second column is what the text becomes; NULL: it is refused.
 */
#include "conf/addr.h"

#include <netinet/in.h>
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))
#define S(literal)	{ (literal), sizeof(literal) - 1 }

#define L10	"abcdefghij"
#define L60	L10 L10 L10 L10 L10 L10
#define L63	L60 "abc"
#define D252	L63 "." L63 "." L63 "." L60	/* 3 * 64 + 60 = 252 */

struct row {
	struct slice	 text;
	const char	*result;
};

static void
fail_row(const struct row *row, const char *got)
{
	fail_msg("\"%s\" gives %s, expected %s", row->text.at,
	    got != NULL ? got : "refusal",
	    row->result != NULL ? row->result : "refusal");
}

static void
check_row(const struct row *row, bool parsed, const char *got)
{
	if (!parsed)
		got = NULL;
	if ((got == NULL) != (row->result == NULL) ||
	    (got != NULL && strcmp(got, row->result) != 0))
		fail_row(row, got);
}

static const struct row domains[] = {
	{ S("example.org"), "example.org" },
	{ S("EXAMPLE.Org"), "example.org" },
	{ S("example.org."), "example.org" },
	{ S("localhost"), "localhost" },
	{ S("a"), "a" },
	{ S("a."), "a" },
	{ S("1"), "1" },
	{ S("1.2.3.4"), "1.2.3.4" },
	{ S("3com.com"), "3com.com" },
	{ S("a-b.c-d"), "a-b.c-d" },
	{ S("a--b.org"), "a--b.org" },
	{ S("xn--mller-kva.de"), "xn--mller-kva.de" },
	{ S("XN--MLLER-KVA.DE"), "xn--mller-kva.de" },
	{ S("_dmarc.example.org"), "_dmarc.example.org" },
	{ S("mail_1.example.org"), "mail_1.example.org" },
	{ S("a_.example.org"), "a_.example.org" },
	{ S(L63), L63 },
	{ S(L63 ".org"), L63 ".org" },
	{ S(L63 "d"), NULL },
	{ S(L63 "d.org"), NULL },
	{ S("org." L63 "d"), NULL },
	{ S(D252), D252 },
	{ S(D252 ".ab"), D252 ".ab" },
	{ S(D252 ".ab."), D252 ".ab" },
	{ S(D252 ".abc"), NULL },
	{ S(D252 ".abc."), NULL },
	{ S(""), NULL },
	{ { NULL, 0 }, NULL },
	{ S("."), NULL },
	{ S(".."), NULL },
	{ S(".example.org"), NULL },
	{ S("example..org"), NULL },
	{ S("example.org.."), NULL },
	{ S("-a.org"), NULL },
	{ S("a-.org"), NULL },
	{ S("a.-b"), NULL },
	{ S("a.b-"), NULL },
	{ S("a.b-."), NULL },
	{ S("-"), NULL },
	{ S("a b"), NULL },
	{ S(" a"), NULL },
	{ S("a "), NULL },
	{ S("a\t"), NULL },
	{ S("a\r\n"), NULL },
	{ S("a\0"), NULL },
	{ S("a\0.org"), NULL },
	{ S("a\x7f"), NULL },
	{ S("a@b"), NULL },
	{ S("a/b"), NULL },
	{ S("../../etc/passwd"), NULL },
	{ S("a:25"), NULL },
	{ S("*.example.org"), NULL },
	{ S("a*.org"), NULL },
	{ S("a\\.org"), NULL },
	{ S("a\"b"), NULL },
	{ S("a(b)"), NULL },
	{ S("a,b"), NULL },
	{ S("a;b"), NULL },
	{ S("<a>"), NULL },
	{ S("a+b"), NULL },
	{ S("a%b"), NULL },
	{ S("a!b"), NULL },
	{ S("#123"), NULL },
	{ S("m\xc3\xbcller.de"), NULL },
	{ S("a\xef\xbc\x8e""b"), NULL },
	{ S("\xe2\x84\xaa.org"), NULL },	/* KELVIN SIGN is not k */
	{ S("a\x80"), NULL },
	{ S("a\xff"), NULL },
};

static const struct row literals[] = {
	{ S("[192.0.2.1]"), "[192.0.2.1]" },
	{ S("[0.0.0.0]"), "[0.0.0.0]" },
	{ S("[255.255.255.255]"), "[255.255.255.255]" },
	{ S("[192.000.002.001]"), "[192.0.2.1]" },
	{ S("[010.0.0.1]"), "[10.0.0.1]" },
	{ S("[00.00.00.00]"), "[0.0.0.0]" },
	{ S("[127.0.0.5]"), "[127.0.0.5]" },
	{ S("[1.2.3]"), NULL },
	{ S("[1.2.3.]"), NULL },
	{ S("[.1.2.3]"), NULL },
	{ S("[1..2.3]"), NULL },
	{ S("[1.2.3.4.]"), NULL },
	{ S("[1.2.3.4.5]"), NULL },
	{ S("[1.2.3.256]"), NULL },
	{ S("[1.2.3.999]"), NULL },
	{ S("[1.2.3.0004]"), NULL },
	{ S("[1.2.3.-4]"), NULL },
	{ S("[1.2.3.+4]"), NULL },
	{ S("[1.2.3.4a]"), NULL },
	{ S("[0x1.2.3.4]"), NULL },
	{ S("[16909060]"), NULL },
	{ S("[1.2.3.4 ]"), NULL },
	{ S("[ 1.2.3.4]"), NULL },
	{ S("[1.2.3.4"), NULL },
	{ S("1.2.3.4]"), NULL },
	{ S("[1.2.3.4]]"), NULL },
	{ S("[[1.2.3.4]"), NULL },
	{ S("[[1.2.3.4]]"), NULL },
	{ S("[1.2.3.4]."), NULL },
	{ S("[1.2.3.4].org"), NULL },
	{ S("[1.2.3.4]:25"), NULL },
	{ S("a.[1.2.3.4]"), NULL },
	{ S("[1.2.3.4/32]"), NULL },
	{ S("[1.2.3.4\0]"), NULL },
	{ S("[]"), NULL },
	{ S("["), NULL },
	{ S("]"), NULL },
	{ S("[.]"), NULL },
	{ S("[example.org]"), NULL },
	{ S("[IPv6:2001:db8::1]"), "[IPv6:2001:db8::1]" },
	{ S("[ipv6:2001:DB8::1]"), "[IPv6:2001:db8::1]" },
	{ S("[IPV6:::1]"), "[IPv6:::1]" },
	{ S("[IPv6:::]"), "[IPv6:::]" },
	{ S("[IPv6:1::]"), "[IPv6:1::]" },
	{ S("[IPv6:1:2:3:4:5:6:7:8]"), "[IPv6:1:2:3:4:5:6:7:8]" },
	{ S("[IPv6:0001:0002:0003:0004:0005:0006:0007:0008]"),
	    "[IPv6:1:2:3:4:5:6:7:8]" },
	{ S("[IPv6:1:2:3:4:5:6::]"), "[IPv6:1:2:3:4:5:6::]" },
	{ S("[IPv6:::3:4:5:6:7:8]"), "[IPv6:::3:4:5:6:7:8]" },
	/* RFC 5321 4.1.3: "::" is two groups at least */
	{ S("[IPv6:1:2:3:4:5:6:7::]"), NULL },
	{ S("[IPv6:::2:3:4:5:6:7:8]"), NULL },
	{ S("[IPv6:1:2:3::5:6:7:8]"), NULL },
	{ S("[IPv6:1:2:3::6:7:8]"), "[IPv6:1:2:3::6:7:8]" },
	{ S("[IPv6:1:2:3:4:5:6:7:8::]"), NULL },
	{ S("[IPv6:1:2:3:4:5:6:192.0.2.1]"),
	    "[IPv6:1:2:3:4:5:6:c000:201]" },
	{ S("[IPv6:::192.0.2.1]"), "[IPv6:::c000:201]" },
	{ S("[IPv6:::ffff:192.0.2.1]"), "[IPv6:::ffff:192.0.2.1]" },
	{ S("[IPv6:::ffff:c000:201]"), "[IPv6:::ffff:192.0.2.1]" },
	{ S("[IPv6:::ffff:192.000.002.001]"), "[IPv6:::ffff:192.0.2.1]" },
	{ S("[IPv6:1:2::192.0.2.1]"), "[IPv6:1:2::c000:201]" },
	{ S("[IPv6:1:2:3:4::192.0.2.1]"), "[IPv6:1:2:3:4::c000:201]" },
	{ S("[IPv6:1:2:3:4:5::192.0.2.1]"), NULL },
	{ S("[IPv6:1:2:3:4:5:192.0.2.1]"), NULL },
	{ S("[IPv6:1:2:3:4:5:6:7:192.0.2.1]"), NULL },
	{ S("[IPv6:192.0.2.1]"), NULL },
	{ S("[IPv6:192.0.2.1::]"), NULL },
	{ S("[IPv6:::192.0.2.1:1]"), NULL },
	{ S("[IPv6:::192.0.2]"), NULL },
	{ S("[IPv6:::192.0.2.256]"), NULL },
	{ S("[IPv6:zz]"), NULL },
	{ S("[IPv6:]"), NULL },
	{ S("[IPv6]"), NULL },
	{ S("[IPv6::]"), NULL },
	{ S("[IPv6::::]"), NULL },
	{ S("[IPv6:1]"), NULL },
	{ S("[IPv6:1:2:3:4:5:6:7]"), NULL },
	{ S("[IPv6:1:2:3:4:5:6:7:8:9]"), NULL },
	{ S("[IPv6:1:2:3:4:5:6:7:]"), NULL },
	{ S("[IPv6::1:2:3:4:5:6:7]"), NULL },
	{ S("[IPv6:1::2::3]"), NULL },
	{ S("[IPv6:1:::2]"), NULL },
	{ S("[IPv6:::1:]"), NULL },
	{ S("[IPv6:00001::]"), NULL },
	{ S("[IPv6:g::]"), NULL },
	{ S("[IPv6:fe80::1%eth0]"), NULL },
	{ S("[IPv6: ::1]"), NULL },
	{ S("[IPv6:::1 ]"), NULL },
	{ S("[IPv6:::1/128]"), NULL },
	{ S("[IPv6-::1]"), NULL },
	{ S("[IPv4:192.0.2.1]"), NULL },
	{ S("[IPv5:x]"), NULL },
	{ S("[x-tag:content]"), NULL },
	{ S("[::1]"), NULL },
	{ S("[2001:db8::1]"), NULL },
};

static void
check_domains(const struct row *rows, size_t n)
{
	struct domain domain, again;
	bool parsed;
	size_t i;

	for (i = 0; i < n; i++) {
		memset(&domain, 'x', sizeof(domain));
		parsed = domain_parse(rows[i].text, &domain);
		check_row(&rows[i], parsed, domain.name);
		if (!parsed) {
			assert_string_equal(domain.name, "");
			continue;
		}
		/* What was printed parses to itself. */
		assert_true(domain_parse(slice_of(domain.name), &again));
		assert_true(domain_equal(&domain, &again));
	}
}

static void
test_domain(void **unused)
{
	(void)unused;
	check_domains(domains, COUNT(domains));
}

static void
test_literal(void **unused)
{
	struct domain domain;
	struct address address;
	char text[ADDRESS_TEXT_MAX], expected[DOMAIN_TEXT_MAX];
	size_t i;

	(void)unused;
	check_domains(literals, COUNT(literals));
	for (i = 0; i < COUNT(literals); i++) {
		if (!domain_parse(literals[i].text, &domain))
			continue;
		assert_true(domain_is_literal(&domain));
		assert_true(domain_literal_address(&domain, &address));
		snprintf(expected, sizeof(expected), "[%s%s]",
		    address.family == 6 ? "IPv6:" : "",
		    address_print(&address, text));
		assert_string_equal(domain.name, expected);
	}
	assert_true(domain_parse(SLICE("1.2.3.4"), &domain));
	assert_false(domain_is_literal(&domain));
	assert_false(domain_literal_address(&domain, &address));
	assert_int_equal(address.family, 0);
	memset(&domain, 0, sizeof(domain));
	assert_false(domain_is_literal(&domain));
	assert_false(domain_literal_address(&domain, &address));
}

/* Every octet as a label of its own, inside one, and at its ends. */
static void
test_domain_octets(void **unused)
{
	struct domain domain;
	char text[8];
	unsigned c;
	bool let_dig, inner;

	(void)unused;
	for (c = 0; c < 256; c++) {
		let_dig = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
		    (c >= 'A' && c <= 'Z') || c == '_';
		inner = let_dig || c == '-' || c == '.';
		text[0] = (char)c;
		assert_int_equal(domain_parse((struct slice){ text, 1 },
		    &domain), let_dig);
		memcpy(text, "a?b.c", 5);
		text[1] = (char)c;
		assert_int_equal(domain_parse((struct slice){ text, 5 },
		    &domain), inner);
		memcpy(text, "a.?b", 4);
		text[2] = (char)c;
		assert_int_equal(domain_parse((struct slice){ text, 4 },
		    &domain), let_dig);
		memcpy(text, "a?.b", 4);
		text[1] = (char)c;
		assert_int_equal(domain_parse((struct slice){ text, 4 },
		    &domain), let_dig);
	}
}

struct mailbox_row {
	struct slice	 text;
	const char	*local;		/* NULL: refused */
	const char	*domain;
	const char	*printed;	/* NULL: local@domain */
};
static const struct mailbox_row mailboxes[] = {
	{ S("a@b"), "a", "b", NULL },
	{ S("a.b@example.org"), "a.b", "example.org", NULL },
	{ S("A.b@EXAMPLE.org."), "A.b", "example.org", NULL },
	{ S("a.b.c.d@x"), "a.b.c.d", "x", NULL },
	{ S("user+tag@x"), "user+tag", "x", NULL },
	{ S("-dash@x"), "-dash", "x", NULL },
	{ S("!#$%&'*+-/=?^_`{|}~@x"), "!#$%&'*+-/=?^_`{|}~", "x", NULL },
	{ S("user%other@x"), "user%other", "x", NULL },
	{ S("host!user@x"), "host!user", "x", NULL },
	{ S("1@2"), "1", "2", NULL },
	{ S("a@_b"), "a", "_b", NULL },
	{ S("a@[192.0.2.1]"), "a", "[192.0.2.1]", NULL },
	{ S("a@[IPv6:2001:db8::1]"), "a", "[IPv6:2001:db8::1]", NULL },
	{ S("a@[IPv6:2001:DB8:0::1]"), "a", "[IPv6:2001:db8::1]", NULL },
	{ S(L60 "abcd@x"), L60 "abcd", "x", NULL },
	{ S(L60 "abcde@x"), NULL, NULL, NULL },
	{ S("a@" D252 ".ab"), "a", D252 ".ab", NULL },
	{ S("a@" D252 ".abc"), NULL, NULL, NULL },
	{ S(L60 "abcd@" D252 ".ab"), L60 "abcd", D252 ".ab", NULL },
	{ S("\"a\"@x"), "a", "x", NULL },
	{ S("\"john\"@d"), "john", "d", NULL },
	{ S("\"a b\"@d"), "a b", "d", "\"a b\"@d" },
	{ S("\"a\\ b\"@d"), "a b", "d", "\"a b\"@d" },
	{ S("\"a\\\"b\"@d"), "a\"b", "d", "\"a\\\"b\"@d" },
	{ S("\"a\\\\b\"@d"), "a\\b", "d", "\"a\\\\b\"@d" },
	{ S("\"\\a\\b\"@d"), "ab", "d", NULL },
	{ S("\"a@b\"@d"), "a@b", "d", "\"a@b\"@d" },
	{ S("\"a.b\"@d"), "a.b", "d", NULL },
	{ S("\"a..b\"@d"), "a..b", "d", "\"a..b\"@d" },
	{ S("\".a\"@d"), ".a", "d", "\".a\"@d" },
	{ S("\"a.\"@d"), "a.", "d", "\"a.\"@d" },
	{ S("\".\"@d"), ".", "d", "\".\"@d" },
	{ S("\"\"@d"), "", "d", "\"\"@d" },
	{ S("\" \"@d"), " ", "d", "\" \"@d" },
	{ S("\"<>\"@d"), "<>", "d", "\"<>\"@d" },
	{ S("\"a,b\"@d"), "a,b", "d", "\"a,b\"@d" },
	{ S("\"(c)\"@d"), "(c)", "d", "\"(c)\"@d" },
	{ S("\"[x]:;\"@d"), "[x]:;", "d", "\"[x]:;\"@d" },
	{ S("\"" L60 "abcd\"@x"), L60 "abcd", "x", NULL },
	{ S("\"" L60 "abc\\d\"@x"), L60 "abcd", "x", NULL },
	{ S("\"" L60 "abcde\"@x"), NULL, NULL, NULL },
	{ S("\"" L60 "abcd\\e\"@x"), NULL, NULL, NULL },
	{ S(""), NULL, NULL, NULL },
	{ { NULL, 0 }, NULL, NULL, NULL },
	{ S("a"), NULL, NULL, NULL },
	{ S("postmaster"), NULL, NULL, NULL },
	{ S("@"), NULL, NULL, NULL },
	{ S("@x"), NULL, NULL, NULL },
	{ S("a@"), NULL, NULL, NULL },
	{ S("a@."), NULL, NULL, NULL },
	{ S("a@x@y"), NULL, NULL, NULL },
	{ S("a@@x"), NULL, NULL, NULL },
	{ S("@a@x"), NULL, NULL, NULL },
	{ S("@a,@b:c@d"), NULL, NULL, NULL },
	{ S("@a:c@d"), NULL, NULL, NULL },
	{ S("<a@b>"), NULL, NULL, NULL },
	{ S("a@b>"), NULL, NULL, NULL },
	{ S("<>"), NULL, NULL, NULL },
	{ S(" a@b"), NULL, NULL, NULL },
	{ S("a@b "), NULL, NULL, NULL },
	{ S("a @b"), NULL, NULL, NULL },
	{ S("a@ b"), NULL, NULL, NULL },
	{ S("a b@d"), NULL, NULL, NULL },
	{ S(".a@d"), NULL, NULL, NULL },
	{ S("a.@d"), NULL, NULL, NULL },
	{ S("a..b@d"), NULL, NULL, NULL },
	{ S(".@d"), NULL, NULL, NULL },
	{ S("a,b@d"), NULL, NULL, NULL },
	{ S("a:b@d"), NULL, NULL, NULL },
	{ S("a;b@d"), NULL, NULL, NULL },
	{ S("a(c)@d"), NULL, NULL, NULL },
	{ S("a@d(c)"), NULL, NULL, NULL },
	{ S("a[b@d"), NULL, NULL, NULL },
	{ S("a\\b@d"), NULL, NULL, NULL },
	{ S("a\"b@d"), NULL, NULL, NULL },
	{ S("a\"b\"@d"), NULL, NULL, NULL },
	{ S("\"a\"b@d"), NULL, NULL, NULL },
	{ S("\"a\".b@d"), NULL, NULL, NULL },
	{ S("a.\"b\"@d"), NULL, NULL, NULL },
	{ S("\"a@d"), NULL, NULL, NULL },
	{ S("\"a\\\"@d"), NULL, NULL, NULL },
	{ S("\"a\\"), NULL, NULL, NULL },
	{ S("\""), NULL, NULL, NULL },
	{ S("\"\""), NULL, NULL, NULL },
	{ S("\"a\""), NULL, NULL, NULL },
	{ S("\"a\"@"), NULL, NULL, NULL },
	{ S("\"a\" @d"), NULL, NULL, NULL },
	{ S("\"a\tb\"@d"), NULL, NULL, NULL },
	{ S("\"a\\\tb\"@d"), NULL, NULL, NULL },
	{ S("\"a\r\n b\"@d"), NULL, NULL, NULL },
	{ S("\"a\0b\"@d"), NULL, NULL, NULL },
	{ S("\"a\\\0b\"@d"), NULL, NULL, NULL },
	{ S("\"\x7f\"@d"), NULL, NULL, NULL },
	{ S("a\x01""b@c"), NULL, NULL, NULL },
	{ S("a\0@c"), NULL, NULL, NULL },
	{ S("a@c\0"), NULL, NULL, NULL },
	{ S("a\x7f@c"), NULL, NULL, NULL },
	{ S("a@c\r\n"), NULL, NULL, NULL },
	{ S("a\r\nRCPT TO:<b@c>"), NULL, NULL, NULL },
	{ S("gr\xc3\xbc\xc3\x9f@x"), NULL, NULL, NULL },
	{ S("\"gr\xc3\xbc\"@x"), NULL, NULL, NULL },
	{ S("a@m\xc3\xbcller.de"), NULL, NULL, NULL },
	{ S("a@[1.2.3]"), NULL, NULL, NULL },
	{ S("a@[1.2.3.4"), NULL, NULL, NULL },
	{ S("a@[IPv6:zz]"), NULL, NULL, NULL },
	{ S("a@b:25"), NULL, NULL, NULL },
	{ S("x@../../etc/passwd"), NULL, NULL, NULL },
	{ S("Name <n@x>"), NULL, NULL, NULL },
	{ S("a@x,b@y"), NULL, NULL, NULL },
};

static void
check_mailbox(const struct mailbox_row *row)
{
	struct mailbox mailbox, again;
	char printed[MAILBOX_TEXT_MAX], expected[MAILBOX_TEXT_MAX];

	memset(&mailbox, 'x', sizeof(mailbox));
	if (mailbox_parse(row->text, &mailbox) != (row->local != NULL))
		fail_msg("\"%s\" %s", row->text.at,
		    row->local != NULL ? "is refused" : "is taken");
	if (row->local == NULL) {
		assert_true(mailbox_is_null(&mailbox));
		return;
	}
	assert_string_equal(mailbox.local, row->local);
	assert_string_equal(mailbox.domain.name, row->domain);
	snprintf(expected, sizeof(expected), "%s@%s", row->local,
	    row->domain);
	assert_string_equal(mailbox_print(&mailbox, printed),
	    row->printed != NULL ? row->printed : expected);
	assert_true(mailbox_parse(slice_of(printed), &again));
	assert_string_equal(again.local, mailbox.local);
	assert_true(domain_equal(&again.domain, &mailbox.domain));
}

static void
test_mailbox(void **unused)
{
	size_t i;

	(void)unused;
	for (i = 0; i < COUNT(mailboxes); i++)
		check_mailbox(&mailboxes[i]);
}

/* Every octet in a local part: bare, quoted, quoted by a backslash. */
static void
test_mailbox_octets(void **unused)
{
	struct mailbox mailbox;
	char text[16];
	unsigned c;
	bool atext, printable;

	(void)unused;
	for (c = 0; c < 256; c++) {
		atext = c != 0 && c < 0x80 && (strchr("!#$%&'*+-/=?^_`{|}~",
		    (int)c) != NULL || (c >= '0' && c <= '9') ||
		    (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'));
		printable = c >= 32 && c <= 126;
		memcpy(text, "a?b@c", 5);
		text[1] = (char)c;
		assert_int_equal(mailbox_parse((struct slice){ text, 5 },
		    &mailbox), atext || c == '.');
		memcpy(text, "\"a?b\"@c", 7);
		text[2] = (char)c;
		assert_int_equal(mailbox_parse((struct slice){ text, 7 },
		    &mailbox), printable && c != '"' && c != '\\' ? true :
		    /* "a\b" is ab */
		    c == '\\');
		memcpy(text, "\"a\\?b\"@c", 8);
		text[3] = (char)c;
		assert_int_equal(mailbox_parse((struct slice){ text, 8 },
		    &mailbox), printable);
	}
}

static void
test_mailbox_longest(void **unused)
{
	struct mailbox mailbox;
	char text[MAILBOX_TEXT_MAX], printed[MAILBOX_TEXT_MAX];
	char *at = text;
	int i;

	(void)unused;
	*at++ = '"';
	for (i = 0; i < 64; i++)
		at = stpcpy(at, i % 2 ? "\\\"" : "\\\\");
	at = stpcpy(at, "\"@" D252 ".ab");
	assert_int_equal(at - text, MAILBOX_TEXT_MAX - 1);
	assert_true(mailbox_parse(slice_of(text), &mailbox));
	assert_string_equal(mailbox_print(&mailbox, printed), text);
}

static void
test_mailbox_null(void **unused)
{
	struct mailbox mailbox;
	char printed[MAILBOX_TEXT_MAX];

	(void)unused;
	memset(&mailbox, 0, sizeof(mailbox));
	assert_true(mailbox_is_null(&mailbox));
	assert_string_equal(mailbox_print(&mailbox, printed), "");
	snprintf(mailbox.local, sizeof(mailbox.local), "postmaster");
	assert_false(mailbox_is_null(&mailbox));
	assert_string_equal(mailbox_print(&mailbox, printed), "postmaster");
	assert_true(mailbox_parse(SLICE("\"\"@d"), &mailbox));
	assert_false(mailbox_is_null(&mailbox));
}

static const struct row addresses[] = {
	{ S("192.0.2.1"), "192.0.2.1" },
	{ S("0.0.0.0"), "0.0.0.0" },
	{ S("255.255.255.255"), "255.255.255.255" },
	{ S("01.2.3.4"), NULL },
	{ S("1.2.3.04"), NULL },
	{ S("00.0.0.0"), NULL },
	{ S("1.2.3"), NULL },
	{ S("1.2.3.4.5"), NULL },
	{ S("1.2.3.4."), NULL },
	{ S("1.2.3.256"), NULL },
	{ S("1.2.3.4 "), NULL },
	{ S(" 1.2.3.4"), NULL },
	{ S("1.2.3.4/32"), NULL },
	{ S("0x7f.1"), NULL },
	{ S("127.1"), NULL },
	{ S("1"), NULL },
	{ S(""), NULL },
	{ { NULL, 0 }, NULL },
	{ S("localhost"), NULL },
	{ S("::"), "::" },
	{ S("::1"), "::1" },
	{ S("1::"), "1::" },
	{ S("2001:db8::1"), "2001:db8::1" },
	{ S("2001:DB8:0:0:0:0:0:1"), "2001:db8::1" },
	{ S("2001:0db8:0000:0000:0000:0000:0000:0001"), "2001:db8::1" },
	/* RFC 5952 4.2.2: one group is not shortened */
	{ S("2001:db8:0:1:1:1:1:1"), "2001:db8:0:1:1:1:1:1" },
	{ S("2001:db8::1:1:1:1:1"), "2001:db8:0:1:1:1:1:1" },
	/* 4.2.3: the longest run, and the first of equals */
	{ S("2001:0:0:1:0:0:0:1"), "2001:0:0:1::1" },
	{ S("2001:db8:0:0:1:0:0:1"), "2001:db8::1:0:0:1" },
	{ S("2001:0:0:0:1:0:0:1"), "2001::1:0:0:1" },
	{ S("0:0:1:0:0:0:0:0"), "0:0:1::" },
	{ S("0:0:0:1:0:0:0:0"), "0:0:0:1::" },
	{ S("0:0:0:0:1:0:0:0"), "::1:0:0:0" },
	{ S("0:1:0:1:0:1:0:1"), "0:1:0:1:0:1:0:1" },
	{ S("1:0:1:0:1:0:1:0"), "1:0:1:0:1:0:1:0" },
	{ S("1:2:3:4:5:6:0:0"), "1:2:3:4:5:6::" },
	{ S("0:0:3:4:5:6:7:8"), "::3:4:5:6:7:8" },
	{ S("0:2:3:4:5:6:7:8"), "0:2:3:4:5:6:7:8" },
	{ S("1:2:3:4:5:6:7:0"), "1:2:3:4:5:6:7:0" },
	/* RFC 4291 2.2: here "::" may be one group */
	{ S("1:2:3:4:5:6:7::"), "1:2:3:4:5:6:7:0" },
	{ S("::2:3:4:5:6:7:8"), "0:2:3:4:5:6:7:8" },
	{ S("1:2:3:4:5:6:7:8::"), NULL },
	{ S("::1:2:3:4:5:6:7:8"), NULL },
	{ S("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
	    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
	{ S("::ffff:192.0.2.1"), "::ffff:192.0.2.1" },
	{ S("::ffff:c000:201"), "::ffff:192.0.2.1" },
	{ S("::ffff:0:0"), "::ffff:0.0.0.0" },
	{ S("::192.0.2.1"), "::c000:201" },
	{ S("::ffff:0:192.0.2.1"), "::ffff:0:c000:201" },
	{ S("64:ff9b::192.0.2.33"), "64:ff9b::c000:221" },
	{ S("1:2:3:4:5:6:7.8.9.10"), "1:2:3:4:5:6:708:90a" },
	{ S("::ffff:192.0.02.1"), NULL },
	{ S("1.2.3.4::"), NULL },
	{ S("::1.2.3.4:5"), NULL },
	{ S("::1.2.3.4.5"), NULL },
	{ S("1:2:3:4:5:6:7:1.2.3.4"), NULL },
	{ S("fe80::1%lo"), NULL },
	{ S("[::1]"), NULL },
	{ S(":"), NULL },
	{ S(":::"), NULL },
	{ S("::::"), NULL },
	{ S("1:"), NULL },
	{ S(":1"), NULL },
	{ S("1::2::3"), NULL },
	{ S("12345::"), NULL },
	{ S("::g"), NULL },
	{ S("::1\0"), NULL },
	{ S("::1 "), NULL },
	{ S("::0x1"), NULL },
	{ S("IPv6:::1"), NULL },
};

static void
test_address(void **unused)
{
	struct address address, again;
	char text[ADDRESS_TEXT_MAX];
	uint8_t ip[16];
	bool parsed;
	size_t i;

	(void)unused;
	for (i = 0; i < COUNT(addresses); i++) {
		memset(&address, 'x', sizeof(address));
		parsed = address_parse(addresses[i].text, &address);
		check_row(&addresses[i], parsed,
		    parsed ? address_print(&address, text) : NULL);
		if (!parsed) {
			assert_int_equal(address.family, 0);
			continue;
		}
		assert_true(address_parse(slice_of(text), &again));
		assert_true(address_equal(&address, &again));
		/* libc is of the same mind. */
		assert_int_equal(inet_pton(address.family == 4 ? AF_INET :
		    AF_INET6, text, ip), 1);
		assert_memory_equal(ip, address.ip,
		    address.family == 4 ? 4 : 16);
	}
}

/* What we print, libc reads: sparse and dense, all shapes of zeros. */
static void
test_address_shapes(void **unused)
{
	struct address address, again;
	char text[ADDRESS_TEXT_MAX];
	uint8_t ip[16];
	unsigned shape, i;

	(void)unused;
	for (shape = 0; shape < 6561; shape++) {	/* 3^8 */
		unsigned rest = shape;

		memset(&address, 0, sizeof(address));
		address.family = 6;
		for (i = 0; i < 8; i++, rest /= 3) {
			address.ip[2 * i] = rest % 3 == 2 ? 0xab : 0;
			address.ip[2 * i + 1] = rest % 3 == 1 ? 1 : 0;
		}
		address_print(&address, text);
		assert_int_equal(inet_pton(AF_INET6, text, ip), 1);
		assert_memory_equal(ip, address.ip, 16);
		assert_true(address_parse(slice_of(text), &again));
		assert_true(address_equal(&address, &again));
	}
}

static void
test_address_equal(void **unused)
{
	struct address a, b;

	(void)unused;
	assert_true(address_parse(SLICE("1.2.3.4"), &a));
	b = a;
	memset(b.ip + 4, 'x', 12);	/* these do not count */
	assert_true(address_equal(&a, &b));
	b.ip[3] = 5;
	assert_false(address_equal(&a, &b));
	assert_true(address_parse(SLICE("::ffff:1.2.3.4"), &b));
	assert_false(address_equal(&a, &b));
	assert_true(address_parse(SLICE("::1"), &a));
	assert_true(address_parse(SLICE("::2"), &b));
	assert_false(address_equal(&a, &b));
}

static void
test_sockaddr(void **unused)
{
	static const char *const texts[] = { "192.0.2.1", "0.0.0.0",
		"2001:db8::1", "::", "::ffff:192.0.2.1" };
	struct sockaddr_storage storage;
	struct sockaddr other = { .sa_family = AF_UNIX };
	struct address address, again;
	uint16_t port;
	size_t i;

	(void)unused;
	for (i = 0; i < COUNT(texts); i++) {
		assert_true(address_parse(slice_of(texts[i]), &address));
		memset(&storage, 'x', sizeof(storage));
		assert_int_equal(address_to_sockaddr(&address, 2525,
		    &storage), address.family == 4 ?
		    sizeof(struct sockaddr_in) :
		    sizeof(struct sockaddr_in6));
		assert_true(address_from_sockaddr(
		    (struct sockaddr *)&storage, &again, &port));
		assert_true(address_equal(&address, &again));
		assert_int_equal(port, 2525);
		assert_true(address_from_sockaddr(
		    (struct sockaddr *)&storage, &again, NULL));
	}
	assert_false(address_from_sockaddr(&other, &again, &port));
	assert_int_equal(again.family, 0);
	assert_int_equal(port, 0);
}

static const struct {
	const char	*text;
	bool		 private;
} privates[] = {
	{ "0.0.0.0", true },
	{ "0.255.255.255", true },
	{ "1.0.0.0", false },
	{ "9.255.255.255", false },
	{ "10.0.0.0", true },
	{ "10.255.255.255", true },
	{ "11.0.0.0", false },
	{ "100.63.255.255", false },
	{ "100.64.0.0", true },
	{ "100.127.255.255", true },
	{ "100.128.0.0", false },
	{ "126.255.255.255", false },
	{ "127.0.0.1", true },
	{ "127.255.255.255", true },
	{ "128.0.0.0", false },
	{ "169.253.255.255", false },
	{ "169.254.0.0", true },
	{ "169.254.169.254", true },
	{ "169.255.0.0", false },
	{ "172.15.255.255", false },
	{ "172.16.0.0", true },
	{ "172.31.255.255", true },
	{ "172.32.0.0", false },
	{ "192.167.255.255", false },
	{ "192.168.0.0", true },
	{ "192.168.255.255", true },
	{ "192.169.0.0", false },
	{ "192.0.2.1", false },
	{ "198.51.100.1", false },
	{ "203.0.113.1", false },
	{ "223.255.255.255", false },
	{ "224.0.0.0", true },
	{ "239.255.255.255", true },
	{ "240.0.0.0", true },
	{ "255.255.255.255", true },
	{ "8.8.8.8", false },
	{ "::", true },
	{ "::1", true },
	{ "::2", true },		/* compatible 0.0.0.2 */
	{ "::127.0.0.1", true },
	{ "::8.8.8.8", true },
	{ "::ffff:127.0.0.1", true },
	{ "::ffff:10.1.2.3", true },
	{ "::ffff:0.0.0.0", true },
	{ "::ffff:8.8.8.8", true },
	{ "::fffe:127.0.0.1", false },
	{ "64:ff9b::10.0.0.1", true },
	{ "64:ff9b::169.254.169.254", true },
	{ "64:ff9b::8.8.8.8", false },
	{ "64:ff9b:1::8.8.8.8", true },
	{ "64:ff9b:2::10.0.0.1", false },
	{ "2002:a00:1::", true },
	{ "2002:7f00:1::1", true },
	{ "2002:c0a8:1::1", true },
	{ "2002:808:808::1", true },
	{ "2003::1", false },
	{ "2001:0:c000:201::f5ff:fffe", true },
	{ "2001:0:c000:201::f7f7:f7f7", true },
	{ "2001:0:a00:1::f7f7:f7f7", true },
	{ "2001:1::1", false },
	{ "2001:db8::1", false },
	{ "2606:4700::1111", false },
	{ "fbff::1", false },
	{ "fc00::", true },
	{ "fd00::1", true },
	{ "fdff:ffff::1", true },
	{ "fe00::1", false },
	{ "fe7f::1", false },
	{ "fe80::1", true },
	{ "febf::1", true },
	{ "fec0::1", true },
	{ "feff::1", true },
	{ "ff00::", true },
	{ "ff02::1", true },
	{ "ffff::", true },
};

static void
test_private(void **unused)
{
	struct address address;
	size_t i;

	(void)unused;
	for (i = 0; i < COUNT(privates); i++) {
		assert_true(address_parse(slice_of(privates[i].text),
		    &address));
		if (address_is_private(&address) != privates[i].private)
			fail_msg("%s", privates[i].text);
	}
}

static const struct {
	struct slice	 network;
	const char	*inside;	/* NULL: network is refused */
	const char	*outside;
} networks[] = {
	{ S("192.0.2.0/24"), "192.0.2.0", "192.0.3.0" },
	{ S("192.0.2.0/24"), "192.0.2.255", "192.0.1.255" },
	{ S("192.0.2.77/24"), "192.0.2.1", "192.0.3.77" },
	{ S("192.0.2.1"), "192.0.2.1", "192.0.2.2" },
	{ S("192.0.2.1/32"), "192.0.2.1", "192.0.2.0" },
	{ S("192.0.2.2/31"), "192.0.2.3", "192.0.2.4" },
	{ S("192.0.2.128/25"), "192.0.2.255", "192.0.2.127" },
	{ S("10.0.0.0/9"), "10.127.255.255", "10.128.0.0" },
	{ S("0.0.0.0/0"), "255.1.2.3", "::1" },
	{ S("0.0.0.0/1"), "127.255.255.255", "128.0.0.0" },
	{ S("127.0.0.0/8"), "::ffff:127.1.2.3", "::127.1.2.3" },
	{ S("::1/128"), "::1", "::2" },
	{ S("::1"), "::1", "::" },
	{ S("::/0"), "fe80::1", "1.2.3.4" },
	{ S("2001:db8::/32"), "2001:db8:ffff::1", "2001:db9::" },
	{ S("2001:db8::/33"), "2001:db8:7fff::1", "2001:db8:8000::" },
	{ S("fe80::/10"), "febf::1", "fec0::1" },
	{ S("2001:db8::ff00/120"), "2001:db8::ffff", "2001:db8::1:0" },
	{ S("::ffff:10.0.0.0/104"), "10.9.9.9", "11.0.0.0" },
	{ S("::ffff:10.0.0.0/104"), "::ffff:10.9.9.9", "::a09:909" },
	{ S("192.0.2.0/024"), "192.0.2.9", "192.0.3.9" },
	{ S(""), NULL, NULL },
	{ S("/"), NULL, NULL },
	{ S("/24"), NULL, NULL },
	{ S("192.0.2.0/"), NULL, NULL },
	{ S("192.0.2.0/33"), NULL, NULL },
	{ S("192.0.2.0/128"), NULL, NULL },
	{ S("192.0.2.0/-1"), NULL, NULL },
	{ S("192.0.2.0/+8"), NULL, NULL },
	{ S("192.0.2.0/8/8"), NULL, NULL },
	{ S("192.0.2.0/ 8"), NULL, NULL },
	{ S("192.0.2.0 /8"), NULL, NULL },
	{ S("192.0.2.0/0024"), NULL, NULL },
	{ S("192.0.2/24"), NULL, NULL },
	{ S("192.0.2.0/255.255.255.0"), NULL, NULL },
	{ S("::/129"), NULL, NULL },
	{ S("::/256"), NULL, NULL },
	{ S("::/4294967296"), NULL, NULL },
	{ S("[::1]/128"), NULL, NULL },
	{ S("example.org/24"), NULL, NULL },
	{ S("example.org"), NULL, NULL },
	{ S("192.0.2.0/24\0"), NULL, NULL },
};

static void
test_network(void **unused)
{
	struct network network;
	struct address address;
	size_t i;

	(void)unused;
	for (i = 0; i < COUNT(networks); i++) {
		if (network_parse(networks[i].network, &network) !=
		    (networks[i].inside != NULL))
			fail_msg("%s", networks[i].network.at);
		if (networks[i].inside == NULL) {
			assert_int_equal(network.address.family, 0);
			continue;
		}
		assert_true(address_parse(slice_of(networks[i].inside),
		    &address));
		if (!network_holds(&network, &address))
			fail_msg("%s lacks %s", networks[i].network.at,
			    networks[i].inside);
		assert_true(address_parse(slice_of(networks[i].outside),
		    &address));
		if (network_holds(&network, &address))
			fail_msg("%s holds %s", networks[i].network.at,
			    networks[i].outside);
	}
}

/* Each prefix length, and the bit right behind and before its end. */
static void
test_network_bits(void **unused)
{
	struct network network;
	struct address address;
	char text[64], start[ADDRESS_TEXT_MAX];
	unsigned bits, size;
	int family;

	(void)unused;
	for (family = 4; family <= 6; family += 2) {
		size = family == 4 ? 32 : 128;
		for (bits = 0; bits <= size; bits++) {
			memset(&address, 0xa5, sizeof(address));
			address.family = (uint8_t)family;
			snprintf(text, sizeof(text), "%s/%u",
			    address_print(&address, start), bits);
			assert_true(network_parse(slice_of(text), &network));
			assert_true(network_holds(&network, &address));
			if (bits < size) {
				address.ip[bits / 8] ^= 0x80 >> bits % 8;
				assert_true(network_holds(&network,
				    &address));
				address.ip[bits / 8] ^= 0x80 >> bits % 8;
			}
			if (bits > 0) {
				address.ip[(bits - 1) / 8] ^=
				    0x80 >> (bits - 1) % 8;
				assert_false(network_holds(&network,
				    &address));
			}
		}
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "SMTP-4.1.2-5, SMTP-4.5.3.1.2-1 domains", test_domain,
		    NULL, NULL, NULL },
		{ "SMTP-4.1.2-5 every octet in a domain", test_domain_octets,
		    NULL, NULL, NULL },
		{ "SMTP-4.1.3-1 address literals", test_literal, NULL, NULL,
		    NULL },
		{ "SMTP-4.1.2-1, SMTP-4.1.2-2, SMTP-4.1.2-3, "
		    "SMTP-4.5.3.1.1-1 mailboxes", test_mailbox, NULL, NULL,
		    NULL },
		{ "SMTP-4.1.2-6 every octet in a local part",
		    test_mailbox_octets, NULL, NULL, NULL },
		{ "the longest mailbox prints whole", test_mailbox_longest,
		    NULL, NULL, NULL },
		{ "the null sender and bare postmaster", test_mailbox_null,
		    NULL, NULL, NULL },
		{ "addresses, printed as RFC 5952 says", test_address, NULL,
		    NULL, NULL },
		{ "all shapes of zeros print and parse",
		    test_address_shapes, NULL, NULL, NULL },
		{ "addresses are equal within their family",
		    test_address_equal, NULL, NULL, NULL },
		{ "addresses to and from the kernel's form", test_sockaddr,
		    NULL, NULL, NULL },
		{ "private addresses, also inside others", test_private,
		    NULL, NULL, NULL },
		{ "networks", test_network, NULL, NULL, NULL },
		{ "networks of every length", test_network_bits, NULL, NULL,
		    NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("addr", tests, NULL, NULL);
}
