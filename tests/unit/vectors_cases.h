/*
 * The cases of tests/vectors, but for the decisions: written by hand, printed
 * and checked by vectors.c.  why: what the case is about, for people.
 */
#ifndef CULVER_TEST_VECTORS_CASES_H
#define CULVER_TEST_VECTORS_CASES_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORDS_MOST	4
#define STRINGS_MOST	3

/* A TXT answer: records of strings.  id NULL: the domain has no record. */
struct record_case {
	const char	*why;
	const char	*records[RECORDS_MOST][STRINGS_MOST];
	const char	*id;
};
#define ONE(text)	{ { text } }

static const struct record_case record_cases[] = {
	{ "the shortest", ONE("v=STSv1;id=1"), "1" },
	{ "a semicolon may end it", ONE("v=STSv1; id=1;"), "1" },
	{ "32 letters and digits",
	    ONE("v=STSv1; id=12345678901234567890123456789012;"),
	    "12345678901234567890123456789012" },
	{ "33 of them",
	    ONE("v=STSv1; id=123456789012345678901234567890123;"), NULL },
	{ "an id of none", ONE("v=STSv1; id=;"), NULL },
	{ "letters of both cases", ONE("v=STSv1; id=AbCxYz09;"), "AbCxYz09" },
	{ "a hyphen in the id", ONE("v=STSv1; id=a-b;"), NULL },
	{ "an underline in the id", ONE("v=STSv1; id=a_b;"), NULL },
	{ "a dot in the id", ONE("v=STSv1; id=a.b;"), NULL },
	{ "a blank in the id", ONE("v=STSv1; id=a b;"), NULL },
	{ "no id", ONE("v=STSv1;"), NULL },
	{ "nothing but the version", ONE("v=STSv1"), NULL },
	{ "names of fields have a case", ONE("v=STSv1; ID=1;"), NULL },
	{ "the version has a case", ONE("v=stsv1; id=1;"), NULL },
	{ "so has its name", ONE("V=STSv1; id=1;"), NULL },
	{ "the version is the first field", ONE("id=1; v=STSv1;"), NULL },
	{ "a blank before it", ONE(" v=STSv1; id=1;"), NULL },
	{ "another version", ONE("v=STSv2; id=1;"), NULL },
	{ "STSv10 is another version", ONE("v=STSv10; id=1;"), NULL },
	{ "a comma is no delimiter", ONE("v=STSv1, id=1;"), NULL },
	{ "blanks before the semicolon (erratum 6285)",
	    ONE("v=STSv1 ; id=1 ;"), "1" },
	{ "tabs are blanks", ONE("v=STSv1\t;\tid=1"), "1" },
	{ "a blank at the end", ONE("v=STSv1; id=1 "), NULL },
	{ "a blank behind the last semicolon", ONE("v=STSv1; id=1; "), "1" },
	{ "two semicolons", ONE("v=STSv1;; id=1;"), NULL },
	{ "two at the end", ONE("v=STSv1; id=1;;"), NULL },
	{ "blanks about the equals sign", ONE("v=STSv1; id = 1;"), NULL },
	{ "a field that is not known", ONE("v=STSv1; id=1; x=y;"), "1" },
	{ "it may stand before the id", ONE("v=STSv1; x=y; id=1;"), "1" },
	{ "its name may hold _ - . behind the first",
	    ONE("v=STSv1; id=1; x_-.9=v;"), "1" },
	{ "and may not begin with one", ONE("v=STSv1; id=1; _x=v;"), NULL },
	{ "32 characters of name",
	    ONE("v=STSv1; id=1; a2345678901234567890123456789012=v;"), "1" },
	{ "33 of them",
	    ONE("v=STSv1; id=1; a23456789012345678901234567890123=v;"),
	    NULL },
	{ "a field without a value", ONE("v=STSv1; id=1; x=;"), NULL },
	{ "a field without an equals sign", ONE("v=STSv1; id=1; x;"), NULL },
	{ "an equals sign in a value", ONE("v=STSv1; id=1; x=a=b;"), NULL },
	{ "a blank in a value", ONE("v=STSv1; id=1; x=a b;"), NULL },
	{ "of an id given twice the first counts",
	    ONE("v=STSv1; id=1; id=2;"), "1" },
	{ "letters beyond ASCII", ONE("v=STSv1; id=1; x=\xc3\xa9;"), NULL },
	{ "control characters", ONE("v=STSv1; id=1; x=\x07;"), NULL },

	{ "no TXT record", { { NULL } }, NULL },
	{ "records of others alone",
	    { { "v=spf1 -all" }, { "v=DMARC1; p=none" } }, NULL },
	{ "others are discarded first",
	    { { "v=spf1 -all" }, { "v=STSv1; id=1;" }, { "x" } }, "1" },
	{ "another version is another's",
	    { { "v=STSv10; id=2;" }, { "v=STSv1; id=1;" } }, "1" },
	{ "the version alone is another's",
	    { { "v=STSv1" }, { "v=STSv1; id=1;" } }, "1" },
	{ "two of them", { { "v=STSv1; id=1;" }, { "v=STSv1; id=2;" } },
	    NULL },
	{ "two of the same", { { "v=STSv1; id=1;" }, { "v=STSv1; id=1;" } },
	    NULL },
	{ "two, one of them with blanks",
	    { { "v=STSv1 ;id=1;" }, { "v=STSv1; id=1;" } }, NULL },
	{ "two, one of them invalid",
	    { { "v=STSv1; id=1;" }, { "v=STSv1; id=a-b;" } }, NULL },
	{ "strings of a record are joined without a blank",
	    { { "v=STSv1; id=2026", "0101", "T000000;" } },
	    "20260101T000000" },
	{ "also within the version", { { "v=ST", "Sv1; id=1;" } }, "1" },
};

#define PATTERNS_MOST	3

/* A policy's body.  mode NULL: it is invalid. */
struct policy_case {
	const char	*why;
	const char	*body;
	const char	*mode;
	uint64_t	 max_age;
	const char	*mx[PATTERNS_MOST];	/* as they are compared */
};
#define V	"version: STSv1\n"
#define E	"mode: enforce\n"
#define A	"max_age: 86400\n"
#define M	"mx: a.example\n"
#define VALID	"enforce", 86400, { "a.example" }
#define INVALID	NULL, 0, { NULL }

static const struct policy_case policy_cases[] = {
	{ "lines end in LF", V E A M, VALID },
	{ "lines end in CRLF", "version: STSv1\r\nmode: enforce\r\n"
	    "max_age: 86400\r\nmx: a.example\r\n", VALID },
	{ "both", "version: STSv1\r\nmode: enforce\nmax_age: 86400\r\n"
	    "mx: a.example\n", VALID },
	{ "the last line may be open", V E A "mx: a.example", VALID },
	{ "lines do not end in CR", "version: STSv1\rmode: enforce\r"
	    "max_age: 86400\rmx: a.example\r", INVALID },
	{ "a vertical tab is no line end",
	    V "mode: enforce\vmode: none\n" A M, INVALID },
	{ "neither is a form feed", V "mode: enforce\fmode: none\n" A M,
	    INVALID },
	{ "nor U+0085", V "mode: enforce\xc2\x85mode: none\n" A M, INVALID },
	{ "nor U+2028", V "mode: enforce\xe2\x80\xa8mode: none\n" A M,
	    INVALID },
	{ "blank lines at the end, for leniency", V E A M "\n\r\n\n", VALID },
	{ "a blank line at the beginning", "\n" V E A M, INVALID },
	{ "a blank line within", V E "\n" A M, INVALID },
	{ "a byte order mark", "\xef\xbb\xbf" V E A M, INVALID },
	{ "an empty body", "", INVALID },
	{ "a page that holds a policy", "<html>\n" V E A M "</html>\n",
	    INVALID },
	{ "a comment", V E A M "# for mail\n", INVALID },

	{ "the order is free", M A E V, VALID },
	{ "no blank behind the colon",
	    "version:STSv1\nmode:enforce\nmax_age:86400\nmx:a.example\n",
	    VALID },
	{ "blanks about a value", V "mode: \tenforce \t\n" A M, VALID },
	{ "a blank before the colon", V "mode : enforce\n" A M, INVALID },
	{ "a blank before the name", V " mode: enforce\n" A M, INVALID },
	{ "no colon", V "mode enforce\n" A M, INVALID },
	{ "names have a case", V "Mode: enforce\n" A M, INVALID },

	{ "no version", E A M, INVALID },
	{ "another version", "version: STSv2\n" E A M, INVALID },
	{ "the version has a case", "version: stsv1\n" E A M, INVALID },
	{ "mode testing", V "mode: testing\n" A M,
	    "testing", 86400, { "a.example" } },
	{ "mode none needs no mx", V "mode: none\n" A,
	    "none", 86400, { NULL } },
	{ "and may have one", V "mode: none\n" A M,
	    "none", 86400, { "a.example" } },
	{ "no mode", V A M, INVALID },
	{ "the mode has a case", V "mode: Enforce\n" A M, INVALID },
	{ "a mode that is none", V "mode: report\n" A M, INVALID },

	{ "max_age 0", V E "max_age: 0\n" M,
	    "enforce", 0, { "a.example" } },
	{ "the most of RFC 8461", V E "max_age: 31557600\n" M,
	    "enforce", 31557600, { "a.example" } },
	{ "ten digits (kept for a year, erratum 7282)",
	    V E "max_age: 9999999999\n" M,
	    "enforce", 9999999999, { "a.example" } },
	{ "leading zeros", V E "max_age: 0000000060\n" M,
	    "enforce", 60, { "a.example" } },
	{ "eleven digits", V E "max_age: 00000000060\n" M, INVALID },
	{ "2^63", V E "max_age: 9223372036854775808\n" M, INVALID },
	{ "2^64", V E "max_age: 18446744073709551616\n" M, INVALID },
	{ "below zero", V E "max_age: -1\n" M, INVALID },
	{ "a plus sign", V E "max_age: +1\n" M, INVALID },
	{ "an exponent", V E "max_age: 1e3\n" M, INVALID },
	{ "hexadecimal", V E "max_age: 0x10\n" M, INVALID },
	{ "an underline", V E "max_age: 1_000\n" M, INVALID },
	{ "a fraction", V E "max_age: 1.5\n" M, INVALID },
	{ "a unit", V E "max_age: 1d\n" M, INVALID },
	{ "nothing", V E "max_age:\n" M, INVALID },
	{ "no max_age", V E M, INVALID },

	{ "no mx", V E A, INVALID },
	{ "several mx", V E A M "mx: *.b.example\nmx: c\n",
	    "enforce", 86400, { "a.example", "*.b.example", "c" } },
	{ "several on a line", V E A "mx: a.example, b.example\n", INVALID },
	{ "case is folded", V E A "mx: A.Example\n", VALID },
	{ "A-labels", V E A "mx: *.xn--bcher-kva.example\n",
	    "enforce", 86400, { "*.xn--bcher-kva.example" } },
	{ "U-labels", V E A "mx: b\xc3\xbc" "cher.example\n", INVALID },
	{ "a star alone", V E A "mx: *\n", INVALID },
	{ "a star within a label", V E A "mx: a*.example\n", INVALID },
	{ "a star within", V E A "mx: a.*.example\n", INVALID },
	{ "two stars", V E A "mx: *.*.example\n", INVALID },
	{ "a dot at the end", V E A "mx: a.example.\n", INVALID },
	{ "a dot at the beginning", V E A "mx: .example\n", INVALID },
	{ "an address", V E A "mx: [192.0.2.1]\n", INVALID },
	{ "an underline", V E A "mx: a_b.example\n", INVALID },
	{ "each mx must be good", V E A M "mx: *\n", INVALID },

	{ "a field that is not known", V E A M "x: y\n", VALID },
	{ "its value may be UTF-8", V E A M "note: gr\xc3\xbc\xc3\x9f" "e\n",
	    VALID },
	{ "and hold colons and blanks", V E A M "note: a: b c\n", VALID },
	{ "but no control characters", V E A M "note: a\tb\n", INVALID },
	{ "and it has one", V E A M "x:\n", INVALID },
	{ "32 characters of name",
	    V E A M "a2345678901234567890123456789012: y\n", VALID },
	{ "33 of them", V E A M "a23456789012345678901234567890123: y\n",
	    INVALID },
	{ "of a field given twice the first counts",
	    V E "mode: none\n" A M, VALID },
	{ "whatever the second says", V E "mode: Garbage\n" A M, VALID },
	{ "and whatever the first", V "mode: Garbage\n" E A M, INVALID },
};

struct match_case {
	const char	*why;
	const char	*host;
	const char	*pattern;
	bool		 match;
};
static const struct match_case match_cases[] = {
	{ "the same", "mail.example.org", "mail.example.org", true },
	{ "capitals in the host",
	    "MAIL.Example.ORG", "mail.example.org", true },
	{ "capitals in the pattern",
	    "mail.example.org", "MAIL.EXAMPLE.ORG", true },
	{ "the host ends in the root's dot",
	    "mail.example.org.", "mail.example.org", true },
	{ "another label", "mail2.example.org", "mail.example.org", false },
	{ "a label less", "example.org", "mail.example.org", false },
	{ "a label more", "mail.example.org", "example.org", false },
	{ "the asterisk is one label",
	    "a.example.org", "*.example.org", true },
	{ "capitals and a final dot",
	    "A.EXAMPLE.ORG.", "*.example.org", true },
	{ "capitals behind the asterisk",
	    "a.example.org", "*.EXAMPLE.org", true },
	{ "the asterisk is not two labels",
	    "a.b.example.org", "*.example.org", false },
	{ "the asterisk wants a label",
	    "example.org", "*.example.org", false },
	{ "the dot counts", "aexample.org", "*.example.org", false },
	{ "one label before three",
	    "a.b.example.org", "*.b.example.org", true },
	{ "no label before three", "b.example.org", "*.b.example.org", false },
	{ "another domain", "a.example.net", "*.example.org", false },
	{ "no label before one", "org", "*.org", false },
	{ "one label before one", "example.org", "*.org", true },
	{ "an A-label for the asterisk", "xn--mller-kva.de", "*.de", true },
	{ "an A-label behind it",
	    "mail.xn--mller-kva.de", "*.xn--mller-kva.de", true },
	{ "the same in capitals",
	    "mail.xn--mller-kva.de", "*.XN--MLLER-KVA.de", true },
	{ "another A-label", "xn--mller-kva.de", "xn--muller-kva.de", false },
	{ "hyphen and digit", "a-1.example.org", "*.example.org", true },
	{ "a single label", "localhost", "localhost", true },
};

/*
 * In DER: an authority's certificate (its length in one more octet) and key,
 * and those of a host (in two).
 */
#define CA_CERTIFICATE \
	"3081fc3081afa003020102020101300506032b6570300d310b30090603550403" \
	"0c0263613020170d3236313133303138333130335a180f323132363131303631" \
	"38333130335a300d310b300906035504030c026361302a300506032b65700321" \
	"00ecc8aff76c34302a70a3af630a85ad1b71c47782ba52a49c5f0473b5e5f676" \
	"dba3323030300f0603551d130101ff040530030101ff301d0603551d0e041604" \
	"14aee8050648937f8be61e629706dc0211a0f67f43300506032b657003410062" \
	"0498eb3b642a7f6d1948bc7954252a8bc06f67e7e9e1da49586270836a4fc5be" \
	"d952c360fbfebd544cfa2517b8106f1f4c1287c6ec6af947e08a06734b6f0d"
#define CA_KEY \
	"302a300506032b6570032100ecc8aff76c34302a70a3af630a85ad1b71c47782" \
	"ba52a49c5f0473b5e5f676db"
#define HOST_CERTIFICATE \
	"308201473081eda003020102020102300a06082a8648ce3d040302300d310b30" \
	"0906035504030c0265653020170d3236313133303138333130335a180f323132" \
	"36313130363138333130335a300d310b300906035504030c0265653059301306" \
	"072a8648ce3d020106082a8648ce3d0301070342000481b7d7b75a8d745e1aa7" \
	"ade4d573d1197fe251319215504868ba61a4c840516bac23cdfa7514f3a6e63a" \
	"e0520e2165454a20f236ebdf44518a7206bdb162515ca33c303a30190603551d" \
	"1104123010820e6d782e6578616d706c652e636f6d301d0603551d0e04160414" \
	"3bcc9eaa2bda79c9652b0beafe0bfd30d8123860300a06082a8648ce3d040302" \
	"0349003046022100f57579f313f1bf5396d93bbec131258571dc696be9e89493" \
	"5cdf40dfa27b34c4022100e8dfe917f5c7a0ebb9cc791d075d4e5d70243e988d" \
	"086426e0c15ceab9263075"
#define HOST_KEY_BUT_LAST \
	"3059301306072a8648ce3d020106082a8648ce3d0301070342000481b7d7b75a" \
	"8d745e1aa7ade4d573d1197fe251319215504868ba61a4c840516bac23cdfa75" \
	"14f3a6e63ae0520e2165454a20f236ebdf44518a7206bdb16251"
#define HOST_KEY	HOST_KEY_BUT_LAST "5c"

/* A TLSA record's RDATA in hexadecimal; fill: data of so many octets 0xab. */
struct tlsa_case {
	const char	*why;
	const char	*rdata;
	unsigned	 fill;
	bool		 usable;
};
static const struct tlsa_case tlsa_cases[] = {
	{ "DANE-EE, key, SHA-256", "030101", 32, true },
	{ "DANE-EE, key, SHA-512", "030102", 64, true },
	{ "DANE-EE, certificate, SHA-256", "030001", 32, true },
	{ "DANE-EE, certificate, SHA-512", "030002", 64, true },
	{ "DANE-TA, key, SHA-256", "020101", 32, true },
	{ "DANE-TA, key, SHA-512", "020102", 64, true },
	{ "DANE-TA, certificate, SHA-256", "020001", 32, true },
	{ "DANE-TA, certificate, SHA-512", "020002", 64, true },
	{ "DANE-EE, whole key", "030100" HOST_KEY, 0, true },
	{ "DANE-EE, whole certificate", "030000" HOST_CERTIFICATE, 0, true },
	{ "DANE-TA, whole key", "020100" CA_KEY, 0, true },
	{ "DANE-TA, whole certificate", "020000" CA_CERTIFICATE, 0, true },
	{ "PKIX-TA", "000101", 32, false },
	{ "PKIX-EE", "010101", 32, false },
	{ "PKIX-TA, whole certificate", "000000" CA_CERTIFICATE, 0, false },
	{ "PKIX-EE, whole certificate", "010000" HOST_CERTIFICATE, 0, false },
	{ "usage 4", "040101", 32, false },
	{ "usage 255", "ff0101", 32, false },
	{ "selector 2", "030201", 32, false },
	{ "selector 255", "03ff01", 32, false },
	{ "matching type 3", "030103", 32, false },
	{ "matching type 9", "030109", 32, false },
	{ "matching type 255", "0301ff", 32, false },
	{ "SHA-256 of 31 octets", "030101", 31, false },
	{ "SHA-256 of 33 octets", "030101", 33, false },
	{ "SHA-256 of 64 octets", "030101", 64, false },
	{ "SHA-512 of 32 octets", "030102", 32, false },
	{ "SHA-1 as SHA-256", "030101", 20, false },
	{ "no digest", "030101", 0, false },
	{ "nothing whole", "030100", 0, false },
	{ "whole, but no DER sequence", "0301003103", 3, false },
	{ "whole, and cut short", "030100" HOST_KEY_BUT_LAST, 0, false },
	{ "whole, and something behind", "030100" HOST_KEY, 1, false },
	{ "two octets", "0301", 0, false },
	{ "one octet", "03", 0, false },
	{ "no octet", "", 0, false },
};

/* How libcurl says that a policy could not be had. */
struct fetch_error {
	const char	*name;
	CURLcode	 code;
	const char	*result;
};
#define WEBPKI(code)	{ #code, code, "sts-webpki-invalid" }
#define FETCH(code)	{ #code, code, "sts-policy-fetch-error" }
static const struct fetch_error fetch_errors[] = {
	WEBPKI(CURLE_PEER_FAILED_VERIFICATION),
	WEBPKI(CURLE_SSL_ISSUER_ERROR),
	WEBPKI(CURLE_SSL_INVALIDCERTSTATUS),
	FETCH(CURLE_UNSUPPORTED_PROTOCOL),
	FETCH(CURLE_COULDNT_RESOLVE_HOST),
	FETCH(CURLE_COULDNT_CONNECT),
	FETCH(CURLE_WEIRD_SERVER_REPLY),
	FETCH(CURLE_HTTP2),
	FETCH(CURLE_PARTIAL_FILE),
	FETCH(CURLE_OUT_OF_MEMORY),
	FETCH(CURLE_OPERATION_TIMEDOUT),
	FETCH(CURLE_SSL_CONNECT_ERROR),
	FETCH(CURLE_TOO_MANY_REDIRECTS),
	FETCH(CURLE_GOT_NOTHING),
	FETCH(CURLE_SEND_ERROR),
	FETCH(CURLE_RECV_ERROR),
	FETCH(CURLE_SSL_CIPHER),
	FETCH(CURLE_BAD_CONTENT_ENCODING),
	FETCH(CURLE_FILESIZE_EXCEEDED),
	FETCH(CURLE_HTTP2_STREAM),
};

/* An answer that came.  result NULL: its body is read. */
struct answer_case {
	const char	*why;
	long		 status;
	const char	*media_type;	/* NULL: none */
	bool		 too_long;	/* more than 64 KiB */
	const char	*result;
};
#define FETCH_ERROR_RESULT	"sts-policy-fetch-error"
static const struct answer_case answer_cases[] = {
	{ "a policy", 200, "text/plain", false, NULL },
	{ "with a charset", 200, "text/plain; charset=utf-8", false, NULL },
	{ "in capitals", 200, "Text/Plain", false, NULL },
	{ "a page", 200, "text/html", false, FETCH_ERROR_RESULT },
	{ "octets", 200, "application/octet-stream", false,
	    FETCH_ERROR_RESULT },
	{ "another type that begins so", 200, "text/plainer", false,
	    FETCH_ERROR_RESULT },
	{ "no type", 200, NULL, false, FETCH_ERROR_RESULT },
	{ "too long", 200, "text/plain", true, FETCH_ERROR_RESULT },
	{ "201", 201, "text/plain", false, FETCH_ERROR_RESULT },
	{ "203", 203, "text/plain", false, FETCH_ERROR_RESULT },
	{ "204", 204, "text/plain", false, FETCH_ERROR_RESULT },
	{ "206", 206, "text/plain", false, FETCH_ERROR_RESULT },
	{ "301", 301, "text/plain", false, FETCH_ERROR_RESULT },
	{ "302", 302, "text/plain", false, FETCH_ERROR_RESULT },
	{ "307", 307, "text/plain", false, FETCH_ERROR_RESULT },
	{ "304", 304, "text/plain", false, FETCH_ERROR_RESULT },
	{ "403", 403, "text/plain", false, FETCH_ERROR_RESULT },
	{ "404", 404, "text/plain", false, FETCH_ERROR_RESULT },
	{ "500", 500, "text/plain", false, FETCH_ERROR_RESULT },
};

#endif
