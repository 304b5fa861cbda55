/*
 * The published key: the record (queue/dkimkey.c), culver-policy's line about
 * it (queue/dkimline.c), and whether it fits a file (queue/dkimjudge.c).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "queue/dkimjudge.h"
#include "queue/dkimkey.h"
#include "queue/dkimline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N(array)	(sizeof(array) / sizeof((array)[0]))
#define NAMED(name, test)	{ name, test, NULL, NULL, NULL }
#define T(text)		{ (text), sizeof(text) - 1 }

#define ED_P	"11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
#define ED_PEM								\
	"-----BEGIN PRIVATE KEY-----\n"					\
	"MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n" \
	"-----END PRIVATE KEY-----\n"
#define ED	"v=DKIM1; k=ed25519; p=" ED_P

/*
 * base64.
 */

static void
test_base64(void **state)
{
	static const struct {
		const char	*text;
		const char	*octets;	/* NULL: malformed */
	} rows[] = {
		{ "", "" }, { " \t\r\n ", "" }, { "YQ==", "a" },
		{ "YWI=", "ab" }, { "YWJj", "abc" }, { "YWJjZA==", "abcd" },
		{ " Y W\tJ\r\n j ", "abc" }, { "YQ = =", "a" },
		{ "+/+/", "\xfb\xff\xbf" },
		{ "Y", NULL }, { "YQ", NULL }, { "YQ=", NULL },
		{ "YWI", NULL }, { "YQ===", NULL }, { "YWJj=", NULL },
		{ "=", NULL }, { "Y===", NULL }, { "YQ==YQ==", NULL },
		{ "YQ=a", NULL }, { "YR==", NULL }, { "YWJ=", NULL },
		{ "YW-j", NULL }, { "YW_j", NULL }, { "YWJj!", NULL },
		{ "YWJj\xc3", NULL }, { "YWJjZGVmZ2hp", NULL },
	};
	uint8_t octets[8];
	size_t i, len;

	(void)state;
	for (i = 0; i < N(rows); i++) {
		bool good = dkimkey_base64(slice_of(rows[i].text), octets,
		    sizeof(octets), &len);

		if (good != (rows[i].octets != NULL))
			fail_msg("%s", rows[i].text);
		if (good && (len != strlen(rows[i].octets) ||
		    memcmp(octets, rows[i].octets, len) != 0))
			fail_msg("%s is %zu octets", rows[i].text, len);
	}
	assert_false(dkimkey_base64((struct slice){ "YW\0j", 4 }, octets,
	    sizeof(octets), &len));
}

/*
 * Records.
 */

/* A letter for each thing that a record says. */
static void
describe(const struct dkimkey *key, char text[16])
{
	snprintf(text, 16, "%s%s%s%s%s", key->type == DKIMKEY_RSA ? "r" : "e",
	    key->for_tlsrpt ? "s" : "", key->testing ? "t" : "",
	    key->sha256 ? "h" : "", key->revoked ? "-" : "");
}

struct record_row {
	struct slice	 record;
	const char	*says;		/* as describe writes it; NULL: bad */
	const char	*reason;	/* words of it */
};
struct record_group {
	const struct record_row	*rows;
	size_t			 n;
};

static void
test_records(void **state)
{
	const struct record_group *group = *state;
	const char *reason = NULL;
	struct dkimkey key;
	char says[16];
	size_t i;

	for (i = 0; i < group->n; i++) {
		const struct record_row *row = &group->rows[i];
		bool good = dkimkey_parse(row->record, &key, &reason);

		if (good != (row->says != NULL))
			fail_msg("[%.*s]: %s", (int)row->record.len,
			    row->record.at, good ? "taken" : reason);
		if (!good && strstr(reason, row->reason) == NULL)
			fail_msg("[%.*s]: %s", (int)row->record.len,
			    row->record.at, reason);
		if (!good)
			continue;
		describe(&key, says);
		if (strcmp(says, row->says) != 0)
			fail_msg("[%.*s] says %s", (int)row->record.len,
			    row->record.at, says);
		assert_int_equal(key.octets_len == 0, key.revoked);
	}
}

static const struct record_row service_rows[] = {
	{ T("v=DKIM1; p=YWJj"), "rsh", NULL },
	{ T("v=DKIM1; s=*; p=YWJj"), "rsh", NULL },
	{ T("v=DKIM1; s=tlsrpt; p=YWJj"), "rsh", NULL },
	{ T("v=DKIM1; s=email:tlsrpt; p=YWJj"), "rsh", NULL },
	{ T("v=DKIM1; s=email : tlsrpt; p=YWJj"), "rsh", NULL },
	{ T("v=DKIM1; s=email:*; p=YWJj"), "rsh", NULL },
	{ T("v=DKIM1; s=email; p=YWJj"), "rh", NULL },
	{ T("v=DKIM1; s=; p=YWJj"), "rh", NULL },
	{ T("v=DKIM1; s=TLSRPT; p=YWJj"), "rh", NULL },
	{ T("v=DKIM1; s=tlsrptx:xtlsrpt; p=YWJj"), "rh", NULL },
	{ T("v=DKIM1; S=email; p=YWJj"), "rsh", NULL },
};
static const struct record_row tag_rows[] = {
	/* p= alone is a record */
	{ T("p=YWJj"), "rsh", NULL }, { T("p=YWJj;"), "rsh", NULL },
	{ T("p=Y W\tJ j ; "), "rsh", NULL },
	{ T("\tp = YWJj \t"), "rsh", NULL },
	{ T("v=DKIM1;p="), "rsh-", NULL },
	{ T("v=DKIM1; p= ;"), "rsh-", NULL },
	{ T("v=DKIM1; k=rsa; t=y; p=YWJj"), "rsth", NULL },
	{ T("t=s; p=YWJj"), "rsh", NULL },
	{ T("t=s:y; p=YWJj"), "rsth", NULL },
	{ T("t=s : y; p=YWJj"), "rsth", NULL },
	{ T("t=; p=YWJj"), "rsh", NULL },
	{ T("t=Y; p=YWJj"), "rsh", NULL },
	{ T("h=sha256; p=YWJj"), "rsh", NULL },
	{ T("h=sha1:sha256; p=YWJj"), "rsh", NULL },
	{ T("h=sha1; p=YWJj"), "rs", NULL },
	{ T("h=; p=YWJj"), "rs", NULL },
	{ T("g=*; n=a note, with = and :; x_1=y; p=YWJj"), "rsh", NULL },
	{ T(ED), "esh", NULL },
	{ T("k=ed25519; p="), "esh-", NULL },
};
static const struct record_row bad_rows[] = {
	{ T(""), NULL, "empty" }, { T(" \t "), NULL, "empty" },
	{ T(";"), NULL, "no \"=\"" }, { T("p=YWJj;;"), NULL, "no \"=\"" },
	{ T("p=YWJj; x"), NULL, "no \"=\"" },
	{ T("v=spf1 -all"), NULL, "not DKIM1" },
	{ T("v=DKIM2; p=YWJj"), NULL, "not DKIM1" },
	{ T("v=dkim1; p=YWJj"), NULL, "not DKIM1" },
	{ T("v=DKIM1.0; p=YWJj"), NULL, "not DKIM1" },
	{ T("p=YWJj; v=DKIM1"), NULL, "not its first" },
	{ T("k=rsa; v=DKIM1; p=YWJj"), NULL, "not its first" },
	{ T("v=DKIM1"), NULL, "no p=" },
	{ T("v=DKIM1; P=YWJj"), NULL, "no p=" },
	{ T("p=YWJj; p=YWJj"), NULL, "twice" },
	{ T("x=1; p=YWJj; x=2"), NULL, "twice" },
	{ T("=x; p=YWJj"), NULL, "malformed name" },
	{ T("1x=x; p=YWJj"), NULL, "malformed name" },
	{ T("a-b=x; p=YWJj"), NULL, "malformed name" },
	{ T("a b=x; p=YWJj"), NULL, "malformed name" },
	{ T("n=\xc3\xa9; p=YWJj"), NULL, "printable" },
	{ T("n=\x7f; p=YWJj"), NULL, "printable" },
	{ T("n=a\0; p=YWJj"), NULL, "printable" },
	{ T("p=YWJ"), NULL, "no base64" },
	{ T("p=YWJj\\"), NULL, "no base64" },
	{ T("p=YWJj\"\"YWJj"), NULL, "no base64" },
	{ T("k=dsa; p=YWJj"), NULL, "neither" },
	{ T("k=RSA; p=YWJj"), NULL, "neither" },
	{ T("k=; p=YWJj"), NULL, "neither" },
	/* the 44 octets of SubjectPublicKeyInfo are not what RFC 8463 wants */
	{ T("k=ed25519; p=MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwI"
	    "aaPcHURo="), NULL, "32 octets" },
	{ T("k=ed25519; p=YWJj"), NULL, "32 octets" },
};

static void
test_bounds(void **state)
{
	struct buffer many = { NULL, 0, 0 };
	const char *reason = NULL;
	struct dkimkey key;
	int i;

	(void)state;
	buffer_add(&many, SLICE("p="));
	for (i = 0; i < DKIMKEY_OCTETS_MAX / 3; i++)
		buffer_add(&many, SLICE("YWJj"));
	assert_true(dkimkey_parse((struct slice){ many.text, many.len },
	    &key, &reason));
	assert_int_equal(key.octets_len, DKIMKEY_OCTETS_MAX);
	buffer_add(&many, SLICE("YWJj"));
	assert_false(dkimkey_parse((struct slice){ many.text, many.len },
	    &key, &reason));
	buffer_free(&many);
	for (i = 0; i < 32; i++)
		buffer_printf(&many, "x%d=y;", i);
	buffer_add(&many, SLICE("p=YWJj"));
	assert_false(dkimkey_parse((struct slice){ many.text, many.len },
	    &key, &reason));
	assert_non_null(strstr(reason, "more than 32 tags"));
	buffer_free(&many);
}

/*
 * The line.
 */

static void
test_line(void **state)
{
	struct region *region = region_new();
	struct dkimline line;

	(void)state;
	assert_true(dkimline_parse(SLICE("{\"name\":\"a.b\",\"outcome\":\"ok\","
	    "\"text\":\"\",\"records\":[\"v=DKIM1\",\"\\u00ff\\u0000\\\"\\\\"
	    "\\/\\b\\f\\n\\r\\t\"]}\n"), region, &line));
	assert_true(slice_equal(line.name, SLICE("a.b")));
	assert_true(slice_equal(line.outcome, SLICE("ok")));
	assert_true(slice_equal(line.text, SLICE("")));
	assert_int_equal(line.records_n, 2);
	assert_true(slice_equal(line.records[0], SLICE("v=DKIM1")));
	/* octets, as DNS has them */
	assert_true(slice_equal(line.records[1],
	    SLICE("\xff\0\"\\/\b\f\n\r\t")));
	/* any order, blanks, members of later; UTF-8 outside of records */
	assert_true(dkimline_parse(SLICE(" { \"records\" : [ ] , \"ttl\":-1.5e"
	    "3, \"secure\":true,\"more\":[\"x\"],\"text\":\"\\u00e9\\u20ac\xc3"
	    "\xa9\" } "), region, &line));
	assert_int_equal(line.records_n, 0);
	assert_true(slice_equal(line.name, SLICE("")));
	assert_true(slice_equal(line.text,
	    SLICE("\xc3\xa9\xe2\x82\xac\xc3\xa9")));
	assert_true(dkimline_parse(SLICE("{}"), region, &line));
	region_free(&region);
}

static void
test_bad_line(void **state)
{
	static const struct slice rows[] = {
		T(""), T(" "), T("[]"), T("\"x\""), T("{"), T("{\"a\"}"),
		T("{\"a\":}"), T("{\"a\":\"x\",}"), T("{\"a\":\"x\"} x"),
		T("{\"a\":\"x\"}{}"), T("{\"a\":\"x}"), T("{\"a\":\"\\x\"}"),
		T("{\"a\":\"\\u12\"}"), T("{\"a\":\"\\u12g4\"}"),
		T("{\"a\":\"\\ud83d\\ude00\"}"), T("{\"a\":\"\n\"}"),
		T("{\"a\":\"\\"), T("{\"a\":\"\\u"), T("{\"a\":{}}"),
		T("{\"name\":1}"), T("{\"records\":\"x\"}"),
		T("{\"records\":[1]}"), T("{\"records\":[\"x\",]}"),
		T("{\"records\":[\"x\""), T("{\"a\":\"\\\0\"}"),
		T("{a:\"x\"}"), T("{\"a\":\"x\" \"b\":\"y\"}"),
	};
	struct region *region = region_new();
	struct dkimline line;
	size_t i;

	(void)state;
	for (i = 0; i < N(rows); i++)
		if (dkimline_parse(rows[i], region, &line))
			fail_msg("taken: %.*s", (int)rows[i].len, rows[i].at);
	region_free(&region);
}

/* More strings than are kept are counted; none costs more than itself. */
static void
test_long_line(void **state)
{
	struct region *region = region_new();
	struct buffer text = { NULL, 0, 0 };
	struct dkimline line;
	int i;

	(void)state;
	buffer_add(&text, SLICE("{\"records\":[\"\""));
	for (i = 0; i < 300000; i++)
		buffer_add(&text, SLICE(",\"\""));
	buffer_add(&text, SLICE("]}"));
	assert_true(dkimline_parse((struct slice){ text.text, text.len },
	    region, &line));
	assert_int_equal(line.records_n, 300001);
	for (i = 0; i < 100000; i++)
		buffer_add(&text, SLICE("  "));
	assert_false(dkimline_parse((struct slice){ text.text, text.len },
	    region, &line));
	buffer_free(&text);
	region_free(&region);
}

/*
 * Verdicts.
 */

/* "fits:sth": the verdict, and a letter for each warning. */
static void
verdict(const struct dkimsecret *secret, const struct dkimline *found,
    char text[32])
{
	static const struct {
		const char	*words;
		char		 letter;
	} warnings[] = {
		{ "s= names neither", 's' }, { "t=y", 't' },
		{ "2048", 'b' },
	};
	struct dkimjudge judge;
	size_t i, j, len;

	dkimjudge_judge(secret, "sel._domainkey.a.example", found, &judge);
	assert_non_null(strstr(judge.text, "sel._domainkey.a.example"));
	len = (size_t)snprintf(text, 32, "%s:",
	    dkimjudge_name(judge.verdict));
	for (i = 0; i < judge.warnings_n; i++)
		for (j = 0; j < N(warnings); j++)
			if (strstr(judge.warnings[i],
			    warnings[j].words) != NULL)
				text[len++] = warnings[j].letter;
	text[len] = '\0';
	assert_int_equal(len - strcspn(text, ":") - 1, judge.warnings_n);
}

static struct dkimline
found(const char *outcome, const char *record)
{
	struct dkimline line = {
		.name = SLICE("SEL._domainkey.a.example"),
		.outcome = slice_of(outcome), .text = SLICE("SERVFAIL")
	};

	if (record != NULL)
		line.records[line.records_n++] = slice_of(record);
	return line;
}

static void
test_verdicts(void **state)
{
	static const struct {
		const char	*outcome, *record, *verdict;
	} rows[] = {
		{ "ok", ED, "fits:" },
		{ "ok", ED "; s=tlsrpt", "fits:" },
		{ "ok", ED "; s=email", "fits:s" },
		{ "ok", ED "; t=y", "fits:t" },
		{ "ok", ED "; t=y; s=email", "fits:st" },
		{ "ok", ED "; h=sha1", "unusable:" },
		{ "ok", ED "; h=", "unusable:" },
		{ "ok", ED "; h=sha1; t=y; s=email", "unusable:st" },
		{ "ok", ED "; h=sha1 : sha256", "fits:" },
		{ "ok", "h=sha1; p=" ED_P, "unusable:" },
		{ "none", NULL, "absent:" },
		{ "ok", NULL, "absent:" },
		{ "ok", "k=ed25519; p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
		    "AAA=", "another-key:" },
		{ "ok", "k=rsa; t=y; p=" ED_P, "another-key:t" },
		{ "ok", "k=ed25519; p=", "unusable:" },
		{ "ok", "v=spf1 -all", "unusable:" },
		{ "ok", "k=ed25519", "unusable:" },
		{ "again", NULL, "unknown:" },
		{ "again", ED, "unknown:" },
		{ "later", ED, "unknown:" }, { "", NULL, "unknown:" },
	};
	const char *error;
	struct dkimsecret *secret = dkimsecret_parse(SLICE(ED_PEM), &error);
	struct dkimline line;
	char is[32];
	size_t i;

	(void)state;
	for (i = 0; i < N(rows); i++) {
		line = found(rows[i].outcome, rows[i].record);
		verdict(secret, &line, is);
		if (strcmp(is, rows[i].verdict) != 0)
			fail_msg("%s %s: %s", rows[i].outcome,
			    rows[i].record, is);
	}
	/* Two records: whichever a verifier takes. */
	line = found("ok", ED);
	line.records[line.records_n++] = slice_of(ED);
	verdict(secret, &line, is);
	assert_string_equal(is, "unusable:");
	/* An answer about another name is none about this one. */
	line = found("ok", ED);
	line.name = SLICE("other._domainkey.a.example");
	verdict(secret, &line, is);
	assert_string_equal(is, "unknown:");
	dkimsecret_free(&secret);
}

/* The p= of an RSA key: as libcrypto writes it, and as the RFC's grammar. */
static void
test_rsa(void **state)
{
	const char *error;
	struct dkimsecret *secret, *other;
	struct buffer record = { NULL, 0, 0 }, raw = { NULL, 0, 0 };
	struct dkimline line;
	struct dkimkey key;
	char is[32];

	(void)state;
	secret = dkimsecret_make(DKIMKEY_RSA, 1024, &error);
	other = dkimsecret_make(DKIMKEY_RSA, 2048, &error);
	buffer_add(&record, SLICE("p="));
	dkimsecret_public(secret, &record);
	line = found("ok", record.text);
	verdict(secret, &line, is);
	assert_string_equal(is, "fits:b");
	verdict(other, &line, is);
	assert_string_equal(is, "another-key:");
	assert_non_null(strstr(dkimjudge_weakness(secret), "2048"));
	assert_null(dkimjudge_weakness(other));
	/* Without the 22 octets that SubjectPublicKeyInfo puts before it. */
	assert_true(dkimkey_parse(line.records[0], &key, &error));
	buffer_add(&raw, SLICE("p="));
	dkimsecret_base64(&raw, key.octets + 22, key.octets_len - 22);
	line = found("ok", raw.text);
	verdict(secret, &line, is);
	assert_string_equal(is, "fits:b");
	buffer_free(&record);
	buffer_free(&raw);
	dkimsecret_free(&secret);
	dkimsecret_free(&other);
}

#define RECORDS(name, rows)						\
	{ name, test_records, NULL, NULL,				\
	    &(struct record_group){ rows, N(rows) } }

int
main(void)
{
	const struct CMUnitTest tests[] = {
		NAMED("base64", test_base64),
		RECORDS("RPT-3-15 s= of a key record", service_rows),
		RECORDS("DKIM-6376-3.6.1-1 tags of a key record", tag_rows),
		RECORDS("DKIM-6376-3.6.1-1 records that no verifier can use",
		    bad_rows),
		NAMED("DKIM-6376-3.6.1-1 long keys, many tags", test_bounds),
		NAMED("culver-policy's line", test_line),
		NAMED("what is no such line", test_bad_line),
		NAMED("a line of 300,000 strings", test_long_line),
		NAMED("DKIM-6376-3.6.1-1, DKIM-8301-3.1-1, RPT-3-15 the five "
		    "verdicts, and warnings", test_verdicts),
		NAMED("DKIM-8301-3.2-1, DKIM-6376-3.6.1-1 RSA keys in "
		    "records", test_rsa),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
