/*
 * reports/rua.c: the _smtp._tls record, and who is asked to be sent to.
 *
 * A test is a named table; a row is a TXT answer and what must come of it:
 * the URIs that are served, in order, and words of the reason.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "reports/rua.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define N(array)	(sizeof(array) / sizeof((array)[0]))
#define T(text)		{ (text), sizeof(text) - 1 }
#define GROUP(rows)	{ (rows), N(rows) }
#define RECORDS_MOST	3
#define R(text)		{ T(text) }

struct row {
	struct slice	 records[RECORDS_MOST];	/* until .at is NULL */
	enum rua_found	 found;
	const char	*served;	/* URIs with a blank between */
	const char	*reason;	/* words of it; NULL: there is none */
};
struct group {
	const struct row	*rows;
	size_t			 n;
};

static unsigned
count(const struct row *row)
{
	unsigned n = 0;

	while (n < RECORDS_MOST && row->records[n].at != NULL)
		n++;
	return n;
}

/* A reason can be shown to anybody: one line, printable. */
static void
assert_clean(const char *reason)
{
	for (; *reason != '\0'; reason++)
		assert_true(*reason >= 0x20 && *reason <= 0x7e);
}

static void
complain(const struct row *row, const struct rua *rua, const char *what)
{
	print_error("[%.*s]: %s\nreason: %s\n", (int)row->records[0].len,
	    row->records[0].at, what, rua->reason);
	fail();
}

static void
join(const struct rua *rua, struct buffer *served)
{
	for (unsigned i = 0; i < rua->n; i++)
		buffer_printf(served, "%s%s", i > 0 ? " " : "",
		    rua->receiver[i].uri);
	buffer_add(served, SLICE(""));
}

static void
check_row(const struct row *row)
{
	struct buffer served = { 0 };
	struct rua rua;
	enum rua_found found;

	memset(&rua, 'x', sizeof(rua));
	found = rua_read(row->records, count(row), &rua);
	join(&rua, &served);
	if (found != row->found)
		complain(row, &rua, found == RUA_FOUND ? "taken" :
		    found == RUA_NONE ? "none" : "invalid");
	if (strcmp(served.len > 0 ? served.text : "", row->served) != 0)
		complain(row, &rua, served.len > 0 ? served.text : "nobody");
	if ((row->reason == NULL) != (rua.reason[0] == '\0') ||
	    (row->reason != NULL && strstr(rua.reason, row->reason) == NULL))
		complain(row, &rua, "another reason");
	assert_clean(rua.reason);
	assert_string_equal(rua.clause, "RFC 8460 3");
	buffer_free(&served);
}

static void
test_rows(void **state)
{
	const struct group *group = *state;

	for (size_t i = 0; i < group->n; i++)
		check_row(&group->rows[i]);
}

#define FOUND(text, served)	{ { T(text) }, RUA_FOUND, served, NULL }
#define PARTLY(text, served, reason) \
				{ { T(text) }, RUA_FOUND, served, reason }
#define NONE(text)		{ { T(text) }, RUA_NONE, "", \
				    "no TLSRPT record" }
#define NEARLY(text, hint)	{ { T(text) }, RUA_NONE, "", \
				    "no TLSRPT record: " hint }
#define WRONG(text, reason)	{ { T(text) }, RUA_INVALID, "", reason }
#define A			"mailto:a@b.example"
#define B			"https://b.example/x"

static const struct row version_rows[] = {
	FOUND("v=TLSRPTv1;rua=" A, A),
	FOUND("v=TLSRPTv1; rua=" A, A),
	NEARLY("v=tlsrptv1;rua=" A, "the version is written v=TLSRPTv1"),
	NEARLY("V=TLSRPTv1;rua=" A, "the version is written v=TLSRPTv1"),
	NEARLY("v=TLSRPTV1;rua=" A, "the version is written v=TLSRPTv1"),
	NEARLY(" v=TLSRPTv1;rua=" A, "a blank stands before"),
	NEARLY("\tv=TLSRPTv1;rua=" A, "a blank stands before"),
	NEARLY("\"v=TLSRPTv1;rua=" A "\"", "it stands in double quotes"),
	NEARLY(" \"v=TLSRPTv1\" \";rua=" A "\"", "it stands in double"),
	NONE("\"v=spf1 -all\""),
	NONE("v =TLSRPTv1;rua=" A),
	NONE("v= TLSRPTv1;rua=" A),
	NEARLY("v=TLSRPTv2;rua=" A, "there is no version but 1"),
	NEARLY("v=TLSRPTv10;rua=" A, "there is no version but 1"),
	NEARLY("v=TLSRPTv1,rua=" A, "a semicolon must follow"),
	NEARLY("v=TLSRPTv1 rua=" A, "a semicolon must follow"),
	NEARLY("v=TLSRPTv", "there is no version but 1"),
	NONE("rua=" A ";v=TLSRPTv1"),
	NONE("\xef\xbb\xbfv=TLSRPTv1;rua=" A),
	NONE(""),
	WRONG("v=TLSRPTv1", "rua field is missing"),
	WRONG("v=TLSRPTv1 \t", "rua field is missing"),
	WRONG("v=TLSRPTv1;", "rua field is missing"),
};
static const struct row rua_rows[] = {
	WRONG("v=TLSRPTv1; foo=1", "rua field is missing"),
	WRONG("v=TLSRPTv1; rua=", "rua field is empty"),
	WRONG("v=TLSRPTv1; rua=;", "rua field is empty"),
	WRONG("v=TLSRPTv1; rua=,", "it is empty; and 1 more"),
	WRONG("v=TLSRPTv1; rua", "has no \"=\""),
	WRONG("v=TLSRPTv1; rua=; rua=" A, "rua field is empty"),
	/* RPT-3-18 */
	WRONG("v=TLSRPTv1; RUA=" A, "rua field is missing"),
	WRONG("v=TLSRPTv1; Rua=" A, "rua field is missing"),
	WRONG("v=TLSRPTv1; rua =" A, "no field name"),
	WRONG("v=TLSRPTv1; ruax=" A, "rua field is missing"),
};
static const struct row separator_rows[] = {
	FOUND("v=TLSRPTv1 ;rua=" A, A),
	FOUND("v=TLSRPTv1 \t ; \t rua=" A, A),
	FOUND("v=TLSRPTv1; rua=" A ";", A),
	FOUND("v=TLSRPTv1; rua=" A " ; ", A),
	FOUND("v=TLSRPTv1; rua=" A "\t;\t", A),
	FOUND("v=TLSRPTv1; rua=" A " ; foo=1", A),
	WRONG("v=TLSRPTv1;; rua=" A, "has no \"=\""),
	WRONG("v=TLSRPTv1; rua=" A ";;", "has no \"=\""),
	WRONG("v=TLSRPTv1; rua=" A " ", "a blank in it"),
	WRONG("v=TLSRPTv1; rua= " A, "a blank in it"),
};
static const struct row list_rows[] = {
	FOUND("v=TLSRPTv1; rua=" A "," B, A " " B),
	FOUND("v=TLSRPTv1; rua=" A " , " B, A " " B),
	FOUND("v=TLSRPTv1; rua=" A "\t,\t \t" B ";", A " " B),
	PARTLY("v=TLSRPTv1; rua=" A ",", A, "it is empty"),
	PARTLY("v=TLSRPTv1; rua=," A, A, "it is empty"),
	PARTLY("v=TLSRPTv1; rua=" A ",, ," B, A " " B, "and 1 more"),
	PARTLY("v=TLSRPTv1; rua=" A " " B "," B, B, "a blank in it"),
};
static const struct row extension_rows[] = {
	FOUND("v=TLSRPTv1; foo=1; rua=" A, A),
	FOUND("v=TLSRPTv1; rua=" A "; foo=a,b!c:/?@\"~", A),
	FOUND("v=TLSRPTv1; v=TLSRPTv1; rua=" A, A),
	FOUND("v=TLSRPTv1; a23456789012345678901234567890_-=x; rua=" A, A),
	FOUND("v=TLSRPTv1; 0=x; rua=" A, A),
	WRONG("v=TLSRPTv1; a23456789012345678901234567890_-.=x; rua=" A,
	    "no field name"),
	WRONG("v=TLSRPTv1; _a=x; rua=" A, "no field name"),
	WRONG("v=TLSRPTv1; =x; rua=" A, "no field name"),
	WRONG("v=TLSRPTv1; f\xc3\xbc=x; rua=" A, "no field name"),
	WRONG("v=TLSRPTv1; foo=; rua=" A, "impossible value"),
	WRONG("v=TLSRPTv1; foo=a b; rua=" A, "impossible value"),
	WRONG("v=TLSRPTv1; foo=a=b; rua=" A, "impossible value"),
	WRONG("v=TLSRPTv1; foo=\xc3\xbc; rua=" A, "impossible value"),
	WRONG("v=TLSRPTv1; foo=\0; rua=" A, "impossible value"),
	WRONG("v=TLSRPTv1; foo; rua=" A, "has no \"=\""),
};
static const struct row repeated_rows[] = {
	FOUND("v=TLSRPTv1; rua=" A "; rua=" B, A),
	FOUND("v=TLSRPTv1; rua=" A "; rua=", A),
	FOUND("v=TLSRPTv1; rua=" A "; rua=https://x.example/?a=b", A),
	WRONG("v=TLSRPTv1; rua=ftp://x.example; rua=" A, "only mailto"),
};
static const struct row records_rows[] = {
	{ { T("v=spf1 -all"), T("v=TLSRPTv1; rua=" A) }, RUA_FOUND, A, NULL },
	{ { T("v=TLSRPTv1; rua=" A), T("") }, RUA_FOUND, A, NULL },
	{ { T("v=TLSRPTv1"), T("v=TLSRPTv1; rua=" A) }, RUA_FOUND, A, NULL },
	{ { T("v=TLSRPTv10;"), T("v=TLSRPTv1;rua=" A), T("x") }, RUA_FOUND,
	    A, NULL },
	{ { T("x"), T("y"), T("z") }, RUA_NONE, "",
	    "no TLSRPT record" },
	{ { { NULL, 0 } }, RUA_NONE, "",
	    "no TLSRPT record" },
	/* RPT-3-20 */
	{ { T("v=TLSRPTv1; rua=" A), T("v=TLSRPTv1; rua=" B) }, RUA_INVALID,
	    "", "2 TLSRPT records" },
	{ { T("v=TLSRPTv1; rua=" A), T("v=TLSRPTv1; rua=" A) }, RUA_INVALID,
	    "", "2 TLSRPT records" },
	{ { T("v=TLSRPTv1; rua=" A), T("v=TLSRPTv1;"), T("v=TLSRPTv1 ;x") },
	    RUA_INVALID, "", "3 TLSRPT records" },
};
static const struct row scheme_rows[] = {
	PARTLY("v=TLSRPTv1; rua=ftp://x.example," A, A,
	    "\"ftp://x.example\": only mailto and https"),
	PARTLY("v=TLSRPTv1; rua=" B ",http://x.example/,tel:1", B,
	    "only mailto and https are served; and 1 more"),
	WRONG("v=TLSRPTv1; rua=ftp://x.example", "only mailto and https"),
	WRONG("v=TLSRPTv1; rua=http://x.example", "only mailto and https"),
	WRONG("v=TLSRPTv1; rua=mailtox:a@b.example", "only mailto"),
	WRONG("v=TLSRPTv1; rua=a@b.example", "a scheme and a colon"),
	WRONG("v=TLSRPTv1; rua=//b.example/", "a scheme and a colon"),
	WRONG("v=TLSRPTv1; rua=:x", "a scheme and a colon"),
	WRONG("v=TLSRPTv1; rua=1x:x", "a scheme and a colon"),
	FOUND("v=TLSRPTv1; rua=MailTo:a@b.example,HTTPS://b.example",
	    "MailTo:a@b.example HTTPS://b.example"),
};
/* RPT-3-5, T39 */
static const struct row encoding_rows[] = {
	FOUND("v=TLSRPTv1; rua=mailto:a%2Cb@c.example",
	    "mailto:a%2Cb@c.example"),
	FOUND("v=TLSRPTv1; rua=https://c.example/%2C%21%3b?%2c",
	    "https://c.example/%2C%21%3b?%2c"),
	WRONG("v=TLSRPTv1; rua=mailto:a@b.example!10m",
	    "\"!\" must be written as %21"),
	PARTLY("v=TLSRPTv1; rua=mailto:a@b.example!10m," B, B, "%21"),
	WRONG("v=TLSRPTv1; rua=https://c.example/!", "%21"),
	WRONG("v=TLSRPTv1; rua=mailto:a,b@c.example", "no mailbox"),
	WRONG("v=TLSRPTv1; rua=mailto:a;b@c.example", "has no \"=\""),
	WRONG("v=TLSRPTv1; rua=mailto:a%@b.example", "hexadecimal"),
	WRONG("v=TLSRPTv1; rua=mailto:a%4@b.example", "hexadecimal"),
	WRONG("v=TLSRPTv1; rua=mailto:a@b.example%2", "hexadecimal"),
	WRONG("v=TLSRPTv1; rua=mailto:a@b.example%", "hexadecimal"),
	WRONG("v=TLSRPTv1; rua=mailto:a@b.example\0", "percent-encoded"),
	WRONG("v=TLSRPTv1; rua=mailto:a@b.example\r\n", "percent-encoded"),
	WRONG("v=TLSRPTv1; rua=https://c.example/\x7f", "percent-encoded"),
	WRONG("v=TLSRPTv1; rua=https://c.example/\xc3\xbc",
	    "percent-encoded"),
	WRONG("v=TLSRPTv1; rua=https://c.example/<x>", "percent-encoded"),
	WRONG("v=TLSRPTv1; rua=https://c.example/\\..", "percent-encoded"),
};
static const struct row mailto_rows[] = {
	WRONG("v=TLSRPTv1; rua=mailto:", "no mailbox"),
	WRONG("v=TLSRPTv1; rua=mailto:victim", "no mailbox"),
	WRONG("v=TLSRPTv1; rua=mailto:@b.example", "no mailbox"),
	WRONG("v=TLSRPTv1; rua=mailto:a@", "no mailbox"),
	WRONG("v=TLSRPTv1; rua=mailto:a@b@c.example", "no mailbox"),
	WRONG("v=TLSRPTv1; rua=mailto:?to=a@b.example", "no mailbox"),
	WRONG("v=TLSRPTv1; rua=mailto:%3Ca@b.example%3E", "no mailbox"),
	WRONG("v=TLSRPTv1; rua=mailto:a%20b@c.example", "no mailbox"),
	WRONG("v=TLSRPTv1; rua=mailto:a..b@c.example", "no mailbox"),
	WRONG("v=TLSRPTv1; rua=mailto:a@b..example", "no mailbox"),
	WRONG("v=TLSRPTv1; rua=mailto:a%2Cb", "no mailbox"),
	WRONG("v=TLSRPTv1; rua=mailto:a%2C%22b@c.example", "no mailbox"),
	WRONG("v=TLSRPTv1; rua=mailto:a@b.example%0D%0ARCPT%20TO:%3Cx@y%3E",
	    "printable ASCII"),
	WRONG("v=TLSRPTv1; rua=mailto:a@b.example%00", "printable ASCII"),
	/* IDN: A-labels alone */
	FOUND("v=TLSRPTv1; rua=mailto:a@xn--mller-kva.example",
	    "mailto:a@xn--mller-kva.example"),
	WRONG("v=TLSRPTv1; rua=mailto:a@m%C3%BCller.example", "A-labels"),
	WRONG("v=TLSRPTv1; rua=mailto:a@m\xc3\xbcller.example",
	    "percent-encoded"),
	WRONG("v=TLSRPTv1; rua=mailto:%C3%BC@b.example", "printable ASCII"),
};
static const struct row https_rows[] = {
	WRONG("v=TLSRPTv1; rua=https:", "a host are missing"),
	WRONG("v=TLSRPTv1; rua=https:b.example", "a host are missing"),
	WRONG("v=TLSRPTv1; rua=https:/b.example", "a host are missing"),
	WRONG("v=TLSRPTv1; rua=https://", "neither"),
	WRONG("v=TLSRPTv1; rua=https:///x", "neither"),
	WRONG("v=TLSRPTv1; rua=https://:443/x", "neither"),
	WRONG("v=TLSRPTv1; rua=https://?x", "neither"),
	WRONG("v=TLSRPTv1; rua=https://a@b.example/", "user information"),
	WRONG("v=TLSRPTv1; rua=https://a:b@b.example/", "user information"),
	WRONG("v=TLSRPTv1; rua=https://@b.example/", "user information"),
	FOUND("v=TLSRPTv1; rua=https://b.example/a@b",
	    "https://b.example/a@b"),
	WRONG("v=TLSRPTv1; rua=https://b%2Eexample/", "neither"),
	WRONG("v=TLSRPTv1; rua=https://b..example/", "neither"),
	WRONG("v=TLSRPTv1; rua=https://b.example:0/", "port"),
	WRONG("v=TLSRPTv1; rua=https://b.example:65536/", "port"),
	WRONG("v=TLSRPTv1; rua=https://b.example:-1/", "port"),
	WRONG("v=TLSRPTv1; rua=https://b.example:https/", "port"),
	WRONG("v=TLSRPTv1; rua=https://b.example:1:2/", "port"),
	/* What some reader would take for 127.0.0.1. */
	WRONG("v=TLSRPTv1; rua=https://2130706433/", "neither"),
	WRONG("v=TLSRPTv1; rua=https://127.1/", "neither"),
	WRONG("v=TLSRPTv1; rua=https://0x7f000001/", "neither"),
	WRONG("v=TLSRPTv1; rua=https://0x7F.1/", "neither"),
	WRONG("v=TLSRPTv1; rua=https://127.0.0.0x1/", "neither"),
	WRONG("v=TLSRPTv1; rua=https://0177.0.0.1/", "neither"),
	WRONG("v=TLSRPTv1; rua=https://127.0.0.1./", "neither"),
	WRONG("v=TLSRPTv1; rua=https://x.example.0x/", "neither"),
	FOUND("v=TLSRPTv1; rua=https://0x7f.example/",
	    "https://0x7f.example/"),
	WRONG("v=TLSRPTv1; rua=https://[2001:db8::1/", "closing bracket"),
	WRONG("v=TLSRPTv1; rua=https://[]/", "neither"),
	WRONG("v=TLSRPTv1; rua=https://[192.0.2.1]/", "neither"),
	WRONG("v=TLSRPTv1; rua=https://[fe80::1%25eth0]/", "neither"),
	WRONG("v=TLSRPTv1; rua=https://[v1.x]/", "neither"),
	WRONG("v=TLSRPTv1; rua=https://[2001:db8::1]x/", "port"),
	WRONG("v=TLSRPTv1; rua=https://x[2001:db8::1]/", "neither"),
};
/* T35 */
static const struct row amplification_rows[] = {
	FOUND("v=TLSRPTv1; rua=https://c.example/[1-9999]",
	    "https://c.example/[1-9999]"),
	WRONG("v=TLSRPTv1; rua=https://[1-9].c.example/", "neither"),
	WRONG("v=TLSRPTv1; rua=https://c.example/{a,b}", "and 1 more"),
	WRONG("v=TLSRPTv1; rua=https://{a,b}.c.example/", "and 1 more"),
	FOUND("v=TLSRPTv1; rua=" A "," A "," A, A),
	FOUND("v=TLSRPTv1; rua=" B "," A "," B, B " " A),
	/* One mailbox by many names */
	FOUND("v=TLSRPTv1; rua=" A "," A "?x," A "?y,MAILTO:%61@B.example", A),
	PARTLY("v=TLSRPTv1; rua=mailto:1@b.example,mailto:2@b.example,"
	    "mailto:3@b.example,mailto:2@b.example,mailto:4@b.example,"
	    "mailto:5@b.example,mailto:6@b.example,mailto:7@b.example",
	    "mailto:1@b.example mailto:2@b.example mailto:3@b.example "
	    "mailto:4@b.example mailto:5@b.example",
	    "five receivers are enough; and 1 more"),
	/* The five that can be served, not the first five. */
	PARTLY("v=TLSRPTv1; rua=x:1,mailto:1@b.example,x:2,mailto:2@b.example,"
	    "x:3,mailto:3@b.example,x:4,mailto:4@b.example,x:5,"
	    "mailto:5@b.example",
	    "mailto:1@b.example mailto:2@b.example mailto:3@b.example "
	    "mailto:4@b.example mailto:5@b.example", "\"x:1\""),
};

/* ---- mailboxes and hosts ---- */

static void
mailboxes(void **state)
{
	static const struct { const char *uri, *mailbox; } rows[] = {
		{ "mailto:a@b.example", "a@b.example" },
		{ "mailto:r%2Bx@d.example?subject=y", "r+x@d.example" },
		{ "mailto:r+x@D.Example", "r+x@d.example" },
		{ "mailto:a%2Cb@c.example", "\"a,b\"@c.example" },
		{ "mailto:a%3Bb@c.example", "\"a;b\"@c.example" },
		{ "mailto:a%21b@c.example", "a!b@c.example" },
		{ "mailto:%22a%2Cb%22@c.example", "\"a,b\"@c.example" },
		{ "mailto:%22a%20b%22@c.example", "\"a b\"@c.example" },
		{ "mailto:a%40b.example", "a@b.example" },
		{ "mailto:a@b.example?cc=c@d.example&to=x@y", "a@b.example" },
		{ "mailto:a@b.example?", "a@b.example" },
		{ "mailto:a@b.example#f", "a@b.example" },
		{ "mailto:a@b.example.", "a@b.example" },
		/* Several: the first. */
		{ "mailto:a@b.example%2Cc@d.example", "a@b.example" },
		{ "mailto:a@b.example%2c", "a@b.example" },
		{ "mailto:a@[192.0.2.1]", "a@[192.0.2.1]" },
		{ "mailto:a%25b@c.example", "a%b@c.example" },
		{ "mailto://a@b.example", "//a@b.example" },
		{ "mailto:a%252Cb@c.example", "a%2Cb@c.example" },
	};
	char record[512], text[MAILBOX_TEXT_MAX];
	struct slice slice;
	struct rua rua;

	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		snprintf(record, sizeof(record), "v=TLSRPTv1; rua=%s",
		    rows[i].uri);
		slice = slice_of(record);
		if (rua_read(&slice, 1, &rua) != RUA_FOUND)
			fail_msg("%s: %s", rows[i].uri, rua.reason);
		assert_int_equal(rua.n, 1);
		assert_int_equal(rua.receiver[0].scheme, RUA_MAILTO);
		assert_string_equal(rua.receiver[0].uri, rows[i].uri);
		assert_string_equal(mailbox_print(&rua.receiver[0].mailbox,
		    text), rows[i].mailbox);
	}
}

static void
hosts(void **state)
{
	static const struct {
		const char	*uri, *host;
		unsigned	 port;
	} rows[] = {
		{ "https://b.example", "b.example", 443 },
		{ "https://B.Example/x/y?z=1&w=%20#f", "b.example", 443 },
		{ "HttpS://b.example:8443/x", "b.example", 8443 },
		{ "https://b.example:/x", "b.example", 443 },
		{ "https://b.example?x", "b.example", 443 },
		{ "https://b.example#x", "b.example", 443 },
		{ "https://b.example:65535", "b.example", 65535 },
		{ "https://b.example:00443", "b.example", 443 },
		{ "https://xn--mller-kva.example/",
		    "xn--mller-kva.example", 443 },
		{ "https://b_c.example/", "b_c.example", 443 },
		{ "https://192.0.2.1:444/x", "[192.0.2.1]", 444 },
		{ "https://[2001:DB8:0::1]/x", "[IPv6:2001:db8::1]", 443 },
		{ "https://[2001:db8::1]:444", "[IPv6:2001:db8::1]", 444 },
	};
	char record[512];
	struct slice slice;
	struct domain domain;
	struct rua rua;

	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		snprintf(record, sizeof(record), "v=TLSRPTv1; rua=%s",
		    rows[i].uri);
		slice = slice_of(record);
		if (rua_read(&slice, 1, &rua) != RUA_FOUND)
			fail_msg("%s: %s", rows[i].uri, rua.reason);
		assert_int_equal(rua.receiver[0].scheme, RUA_HTTPS);
		assert_string_equal(rua.receiver[0].uri, rows[i].uri);
		assert_string_equal(rua.receiver[0].host, rows[i].host);
		assert_int_equal(rua.receiver[0].port, rows[i].port);
		/* It is what others take for a domain or literal. */
		assert_true(domain_parse(slice_of(rows[i].host), &domain));
		assert_string_equal(domain.name, rows[i].host);
	}
}

static void
long_uris(void **state)
{
	struct buffer record = { 0 };
	struct slice slice;
	struct rua rua;

	(void)state;
	for (size_t len = 2040; len < 2060; len++) {
		record.len = 0;
		buffer_add(&record,
		    SLICE("v=TLSRPTv1; rua=https://b.example/"));
		while (record.len < strlen("v=TLSRPTv1; rua=") + len)
			buffer_add(&record, SLICE("x"));
		slice = (struct slice){ record.text, record.len };
		assert_int_equal(rua_read(&slice, 1, &rua),
		    len <= 2047 ? RUA_FOUND : RUA_INVALID);
		if (rua.n > 0)
			assert_int_equal(strlen(rua.receiver[0].uri), len);
		else
			assert_non_null(strstr(rua.reason, "longer than"));
	}
	buffer_free(&record);
}

static double
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* T35: 1,000 of them; and the largest record there can be, of nothing but
   what costs most. */
static void
many_uris(void **state)
{
	static const char *const rows[] = {
		"mailto:%u@b.example", "https://%u.example/[1-9999]", "x:%u",
		"", "mailto:%%%u", "mailto:%%61%%2C@%u",
	};
	struct buffer record = { 0 };
	struct slice slice;
	struct rua rua;
	double begin = seconds();

	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		record.len = 0;
		buffer_add(&record, SLICE("v=TLSRPTv1; rua="));
		for (unsigned k = 0; k < 1000 || record.len < 65000; k++) {
			buffer_add(&record, SLICE(","));
			buffer_printf(&record, rows[i], k);
		}
		slice = (struct slice){ record.text, record.len };
		rua_read(&slice, 1, &rua);
		assert_int_equal(rua.n, i < 2 || i == 5 ? RUA_MAX : 0);
		assert_true(rua.skipped >= 995);
		assert_clean(rua.reason);
	}
	assert_true(seconds() - begin < 2);
	buffer_free(&record);
}

/* ---- check ---- */

static void
checks(void **state)
{
	static const struct { struct slice record; const char *json; } rows[] =
	{
		{ T("v=TLSRPTv1;rua=" A),
		    "{\"valid\":true,\"rua\":[\"" A "\"]}" },
		{ T("v=TLSRPTv1; rua=" A " , " B),
		    "{\"valid\":true,\"rua\":[\"" A "\",\"" B "\"]}" },
		{ T("v=TLSRPTv1; rua=mailto:a%2Cb@c.example"),
		    "{\"valid\":true,\"rua\":[\"mailto:a%2Cb@c.example\"]}" },
		{ T("v=TLSRPTv1; rua=" A "; rua=" B),
		    "{\"valid\":true,\"rua\":[\"" A "\"]}" },
		{ T("v=TLSRPTv1; rua=ftp://x.example"),
		    "{\"valid\":true,\"rua\":[\"ftp://x.example\"],\"skipped\""
		    ":[{\"uri\":\"ftp://x.example\",\"reason\":"
		    "\"only mailto and https are served\"}]}" },
		{ T("v=TLSRPTv1; rua=" A "," A "!10m"),
		    "{\"valid\":true,\"rua\":[\"" A "\"],\"skipped\":[{\"uri\""
		    ":\"" A "!10m\",\"reason\":"
		    "\"\\\"!\\\" must be written as %21\"}]}" },
		{ T("v=TLSRPTv1; rua=" A "!10m"),
		    "{\"valid\":false,\"reason\":\"\\\"" A "!10m\\\": "
		    "\\\"!\\\" must be written as %21\","
		    "\"clause\":\"RFC 8460 3\"}" },
		{ T("v=TLSRPTv1; rua="),
		    "{\"valid\":false,\"reason\":\"the rua field is empty\","
		    "\"clause\":\"RFC 8460 3\"}" },
		{ T("v=tlsrptv1; rua=" A),
		    "{\"valid\":false,\"reason\":\"no TLSRPT record: the "
		    "version is written v=TLSRPTv1, with its capital "
		    "letters\","
		    "\"clause\":\"RFC 8460 3\"}" },
	};

	(void)state;
	for (size_t i = 0; i < N(rows); i++) {
		struct buffer json = { 0 };
		bool valid = rua_check(&rows[i].record, 1, &json);

		assert_string_equal(json.text, rows[i].json);
		assert_int_equal(valid, strstr(json.text, "true") != NULL);
		buffer_free(&json);
	}
}

/* All are listed, also the sixth and those that stand there twice. */
static void
check_lists_all(void **state)
{
	struct slice record = SLICE("v=TLSRPTv1; rua=mailto:1@b.example,"
	    "mailto:1@b.example,mailto:2@b.example,mailto:3@b.example,"
	    "mailto:4@b.example,mailto:5@b.example,mailto:6@b.example,"
	    "x:\xff\x01\"\\, ,y:");
	static const char *const reasons[] = { "it stands there already",
	    "five receivers are enough", "percent-encoded", "it is empty",
	    "only mailto and https" };
	struct buffer json = { 0 };
	json_t *value, *skipped;

	(void)state;
	assert_true(rua_check(&record, 1, &json));
	value = json_loadb(json.text, json.len, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(value);
	assert_int_equal(json_array_size(json_object_get(value, "rua")), 8);
	skipped = json_object_get(value, "skipped");
	assert_int_equal(json_array_size(skipped), N(reasons));
	for (size_t i = 0; i < N(reasons); i++)
		assert_non_null(strstr(json_string_value(json_object_get(
		    json_array_get(skipped, i), "reason")), reasons[i]));
	json_decref(value);
	buffer_free(&json);
}

#define TABLE(name, rows)	{ name, test_rows, NULL, NULL, \
				    (void *)(uintptr_t)&(struct group) \
				    GROUP(rows) }

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TABLE("RPT-3-2 the version, to the letter", version_rows),
		TABLE("RPT-3-3, RPT-3-18 rua is there, in small letters",
		    rua_rows),
		TABLE("RPT-3-17 T39 semicolons with blanks, one to close",
		    separator_rows),
		TABLE("RPT-3-4 T39 commas with blanks", list_rows),
		TABLE("RPT-3-24 T39 unknown fields are passed over",
		    extension_rows),
		TABLE("RPT-3-25 the first rua counts", repeated_rows),
		TABLE("RPT-3-19, RPT-3-20 other records are discarded, two "
		    "are none", records_rows),
		TABLE("RPT-3-6 schemes", scheme_rows),
		TABLE("RPT-3-5 T39 comma, exclamation mark, semicolon are "
		    "encoded", encoding_rows),
		TABLE("RPT-3-9 T39 addresses that are none; A-labels",
		    mailto_rows),
		TABLE("RPT-3-7 hosts that are none", https_rows),
		TABLE("RPT-3-22 T35 five receivers, none twice, no globbing",
		    amplification_rows),
		{ "RPT-3-5, RPT-3-9 the mailbox of a URI", mailboxes, NULL,
		    NULL, NULL },
		{ "RPT-3-7 host and port of a URI, which stays as it is",
		    hosts, NULL, NULL, NULL },
		{ "long URIs", long_uris, NULL, NULL, NULL },
		{ "T35 1,000 URIs cost little", many_uris, NULL, NULL, NULL },
		{ "RPT-3-4, RPT-3-24 check tlsrpt-record", checks, NULL, NULL,
		    NULL },
		{ "check tlsrpt-record lists all", check_lists_all, NULL,
		    NULL, NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("report_rua", tests, NULL, NULL);
}
