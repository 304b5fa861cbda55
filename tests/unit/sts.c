/*
 * MTA-STS texts: records, policies, matches, lifetimes (policy/sts.c).
 *
 * A test is a named table; each row is a text and what must come of it.  For
 * policies `lines` is put behind a valid beginning where the row is about
 * something else, so that only one thing can be wrong in it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "policy/sts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N(array)	(sizeof(array) / sizeof((array)[0]))
#define T(text)		{ (text), sizeof(text) - 1 }
#define GROUP(rows)	{ (rows), N(rows) }

static void
complain(const char *what, struct slice text, const struct sts_fault *fault)
{
	print_error("%s: [%.*s] line %u: %s\n", what, (int)text.len, text.at,
	    fault->line, fault->reason);
	fail();
}

/* A fault can be shown to anybody: one line, printable, with its clause. */
static void
assert_fault_is_clean(const struct sts_fault *fault)
{
	const char *at;

	assert_true(fault->reason[0] != '\0');
	assert_true(strlen(fault->reason) < sizeof(fault->reason));
	for (at = fault->reason; *at != '\0'; at++)
		assert_true(*at >= 0x20 && *at <= 0x7e);
	assert_non_null(fault->clause);
	assert_true(strncmp(fault->clause, "RFC 8461 3.", 11) == 0);
}

/*
 * Records.
 */

#define RECORDS_MOST	4

struct record_row {
	struct slice	 records[RECORDS_MOST];	/* until .at is NULL */
	const char	*id;			/* NULL: none is found */
	const char	*reason;		/* words of it; NULL: any */
};
struct record_group {
	const struct record_row	*rows;
	size_t			 n;
};

static void
test_records(void **state)
{
	const struct record_group *group = *state;
	char id[STS_ID_SIZE];
	struct sts_fault fault;
	size_t i, n;
	bool found;

	for (i = 0; i < group->n; i++) {
		const struct record_row *row = &group->rows[i];

		for (n = 0; n < RECORDS_MOST && row->records[n].at != NULL;)
			n++;
		memset(id, 'x', sizeof(id));
		found = sts_parse_records(row->records, n, id, &fault);
		if (found != (row->id != NULL))
			complain(found ? "taken" : "refused",
			    row->records[0], &fault);
		assert_string_equal(id, found ? row->id : "");
		if (found)
			continue;
		assert_fault_is_clean(&fault);
		assert_int_equal(fault.line, 0);
		if (row->reason != NULL &&
		    strstr(fault.reason, row->reason) == NULL)
			complain("another reason", row->records[0], &fault);
	}
}

static const struct record_row ascii_rows[] = {
	{ { T("v=STSv1; id=1; x=\xc3\xa9;") }, NULL, "\"x\"" },
	{ { T("v=STSv1; id=\xc3\xa9;") }, NULL, "id" },
	{ { T("v=STSv1; id=1; \xc3\xa9=x;") }, NULL, "field name" },
	{ { T("v=STSv1; id=1; x=\x7f;") }, NULL, NULL },
	{ { T("v=STSv1; id=1; x=\x80;") }, NULL, NULL },
	{ { T("v=STSv1; id=1; x=\xff;") }, NULL, NULL },
	{ { T("v=STSv1; id=1; x=a\0b;") }, NULL, NULL },
	{ { T("v=STSv1; id=1\0;") }, NULL, NULL },
	{ { T("v=STSv1; id=1; x=~;") }, "1", NULL },
	{ { T("\xef\xbb\xbfv=STSv1; id=1;") }, NULL, "none" },
};
static const struct record_row version_rows[] = {
	{ { T("v=STSv1; id=1;") }, "1", NULL },
	{ { T("V=STSv1; id=1;") }, NULL, "none" },
	{ { T("v=stsv1; id=1;") }, NULL, "none" },
	{ { T("v=StsV1; id=1;") }, NULL, "none" },
	{ { T(" v=STSv1; id=1;") }, NULL, "none" },
	{ { T("\tv=STSv1; id=1;") }, NULL, "none" },
	{ { T("v =STSv1; id=1;") }, NULL, "none" },
	{ { T("v= STSv1; id=1;") }, NULL, "none" },
	{ { T("id=1;v=STSv1") }, NULL, "none" },
	{ { T("id=1; v=STSv1;") }, NULL, "none" },
	{ { T("v=STSv2; id=1;") }, NULL, "none" },
	{ { T("v=STSv10; id=1;") }, NULL, "none" },
	{ { T("v=STSv1x; id=1;") }, NULL, "none" },
	{ { T("v=STSv1, id=1;") }, NULL, "none" },
	{ { T("v=STSv1 id=1;") }, NULL, "none" },
	{ { T("v=STSv") }, NULL, "none" },
	{ { T("v=STSv1\r\n; id=1") }, NULL, "none" },
	{ { T("") }, NULL, "none" },
	{ { T("v=spf1 -all") }, NULL, "none" },
	{ { { NULL, 0 } }, NULL, "none" },
};
static const struct record_row id_rows[] = {
	{ { T("v=STSv1; id=12345678901234567890123456789012;") },
	    "12345678901234567890123456789012", NULL },
	{ { T("v=STSv1; id=123456789012345678901234567890123;") }, NULL,
	    "1 to 32" },
	{ { T("v=STSv1; id=1234567890123456789012345678901234567890;") },
	    NULL, "1 to 32" },
	{ { T("v=STSv1; id=abcXYZ019;") }, "abcXYZ019", NULL },
	{ { T("v=STSv1; id=0;") }, "0", NULL },
	{ { T("v=STSv1; id=;") }, NULL, "1 to 32" },
	{ { T("v=STSv1; id=") }, NULL, "1 to 32" },
	{ { T("v=STSv1; id;") }, NULL, "no \"=\"" },
	{ { T("v=STSv1; id=a-b;") }, NULL, "1 to 32" },
	{ { T("v=STSv1; id=a_b;") }, NULL, "1 to 32" },
	{ { T("v=STSv1; id=a.b;") }, NULL, "1 to 32" },
	{ { T("v=STSv1; id=a b;") }, NULL, "1 to 32" },
	{ { T("v=STSv1; id=1=2;") }, NULL, "1 to 32" },
	{ { T("v=STSv1; id= 1;") }, NULL, "1 to 32" },
	{ { T("v=STSv1; id =1;") }, NULL, "field name" },
	{ { T("v=STSv1; x=1;") }, NULL, "id field is missing" },
};
static const struct record_row id_case_rows[] = {
	{ { T("v=STSv1; ID=1;") }, NULL, "id field is missing" },
	{ { T("v=STSv1; Id=1;") }, NULL, "id field is missing" },
	{ { T("v=STSv1; iD=1;") }, NULL, "id field is missing" },
	{ { T("v=STSv1; ID=1; id=2;") }, "2", NULL },
	{ { T("v=STSv1; id=2; ID=1;") }, "2", NULL },
	{ { T("v=STSv1; id=AbC;") }, "AbC", NULL },	/* kept as it is */
};
static const struct record_row order_rows[] = {
	{ { T("v=STSv1; x=1; id=1;") }, "1", NULL },
	{ { T("v=STSv1; id=1; x=1;") }, "1", NULL },
	{ { T("v=STSv1; a=b; id=9; c=d; e=f") }, "9", NULL },
	{ { T("v=STSv1; v=STSv1; id=1;") }, "1", NULL },
};
static const struct record_row delimiter_rows[] = {
	{ { T("v=STSv1;id=1") }, "1", NULL },
	{ { T("v=STSv1;id=1;") }, "1", NULL },
	{ { T("v=STSv1 ; id=1 ;") }, "1", NULL },
	{ { T("v=STSv1 ;id=1") }, "1", NULL },
	{ { T("v=STSv1\t;\tid=1\t;\t") }, "1", NULL },
	{ { T("v=STSv1 \t ; \t id=1 \t ; \t ") }, "1", NULL },
	{ { T("v=STSv1;id=1;x=y") }, "1", NULL },
	{ { T("v=STSv1;id=1 ;x=y ; z=w ; ") }, "1", NULL },
	{ { T("v=STSv1;;id=1;") }, NULL, NULL },
	{ { T("v=STSv1; ;id=1;") }, NULL, NULL },
	{ { T("v=STSv1; id=1;;") }, NULL, NULL },
	{ { T("v=STSv1; id=1; ;") }, NULL, NULL },
	{ { T("v=STSv1; id=1;;x=y") }, NULL, NULL },
	{ { T("v=STSv1; id=1 ") }, NULL, NULL },
	{ { T("v=STSv1; id=1; x=y ") }, NULL, NULL },
	{ { T("v=STSv1; id=1\n") }, NULL, NULL },
	{ { T("v=STSv1;\nid=1;") }, NULL, NULL },
	{ { T("v=STSv1;\rid=1;") }, NULL, NULL },
	{ { T("v=STSv1;\x0bid=1;") }, NULL, NULL },
	{ { T("v=STSv1; id=1, x=y;") }, NULL, NULL },
};
static const struct record_row bare_rows[] = {
	{ { T("v=STSv1") }, NULL, "id field is missing" },
	{ { T("v=STSv1;") }, NULL, "id field is missing" },
	{ { T("v=STSv1 ") }, NULL, "id field is missing" },
	{ { T("v=STSv1 ;") }, NULL, "id field is missing" },
	{ { T("v=STSv1; ") }, NULL, "id field is missing" },
	{ { T("v=STSv1"), T("v=STSv1; id=1;") }, "1", NULL },
};
static const struct record_row extension_rows[] = {
	{ { T("v=STSv1; id=1; x_-.9=v;") }, "1", NULL },
	{ { T("v=STSv1; id=1; 9=v;") }, "1", NULL },
	{ { T("v=STSv1; id=1; _x=v;") }, NULL, "field name" },
	{ { T("v=STSv1; id=1; -x=v;") }, NULL, "field name" },
	{ { T("v=STSv1; id=1; .x=v;") }, NULL, "field name" },
	{ { T("v=STSv1; id=1; =v;") }, NULL, "field name" },
	{ { T("v=STSv1; id=1; x+y=v;") }, NULL, "field name" },
	{ { T("v=STSv1; id=1; x y=v;") }, NULL, "field name" },
	{ { T("v=STSv1; id=1; x=;") }, NULL, "value" },
	{ { T("v=STSv1; id=1; x;") }, NULL, "no \"=\"" },
	{ { T("v=STSv1; id=1; x=a=b;") }, NULL, "value" },
	{ { T("v=STSv1; id=1; x=a b;") }, NULL, "value" },
	{ { T("v=STSv1; id=1; x=a\tb;") }, NULL, "value" },
	{ { T("v=STSv1; id=1; x==;") }, NULL, "value" },
	{ { T("v=STSv1; id=1; a2345678901234567890123456789012=v;") }, "1",
	    NULL },
	{ { T("v=STSv1; id=1; a23456789012345678901234567890123=v;") }, NULL,
	    "field name" },
	{ { T("v=STSv1; id=1; x=!\"#$%&'()*+,-./0:<>?@[\\]^_`{|}~") }, "1",
	    NULL },
};
static const struct record_row several_rows[] = {
	{ { T("v=spf1 -all"), T("v=STSv1; id=1;") }, "1", NULL },
	{ { T("v=STSv1; id=1;"), T("google-site-verification=x") }, "1",
	    NULL },
	{ { T(""), T("v=STSv1; id=1;"), T("\xff\xfe") }, "1", NULL },
	{ { T("v=STSv10; id=2;"), T("v=STSv1; id=1;") }, "1", NULL },
	{ { T("v=STSv2; id=2;"), T("v=STSv1; id=1;") }, "1", NULL },
	{ { T("v=STSv1x; id=2;"), T("v=STSv1; id=1;") }, "1", NULL },
	{ { T("xv=STSv1; id=2;"), T("v=STSv1 ;id=1;") }, "1", NULL },
	{ { T(" v=STSv1; id=2;"), T("v=STSv1; id=1;") }, "1", NULL },
	{ { T("v=spf1 -all"), T("v=DMARC1; p=none") }, NULL, "none" },
};
static const struct record_row not_one_rows[] = {
	{ { T("v=STSv1; id=1;"), T("v=STSv1; id=2;") }, NULL, "2 STS" },
	{ { T("v=STSv1; id=1;"), T("v=STSv1; id=1;") }, NULL, "2 STS" },
	{ { T("v=STSv1; id=1;"), T("v=STSv1 ; id=1;") }, NULL, "2 STS" },
	{ { T("v=STSv1; id=1;"), T("v=STSv1;") }, NULL, "2 STS" },
	{ { T("v=STSv1; id=1;"), T("v=STSv1; broken") }, NULL, "2 STS" },
	{ { T("v=STSv1; id=1;"), T("x"), T("v=STSv1; id=2;"),
	    T("v=STSv1; id=3;") }, NULL, "3 STS" },
};
static const struct record_row invalid_rows[] = {
	{ { T("v=STSv1; id=1234567890123456789012345678901234567890;"),
	    T("v=spf1 -all") }, NULL, "1 to 32" },
	{ { T("v=STSv1; broken") }, NULL, "no \"=\"" },
	{ { T("v=STSv1; id=1; \"; DROP=\";") }, NULL, "no \"=\"" },
	{ { T("v=STSv1; id=1\" x; y=z\"") }, NULL, "1 to 32" },
	{ { T("v=STSv1; id= ~\x1f\x7f\"") }, NULL, "\" ~???\"" },
};
static const struct record_row unknown_rows[] = {
	{ { T("v=STSv1; id=20260101T00; a=b; c.d=e/f:g;") }, "20260101T00",
	    NULL },
	{ { T("v=STSv1; a=b; id=20260101T00; v=x") }, "20260101T00", NULL },
};
static const struct record_row repeated_rows[] = {
	{ { T("v=STSv1; id=1; id=2;") }, "1", NULL },
	{ { T("v=STSv1; id=2; id=1;") }, "2", NULL },
	{ { T("v=STSv1; id=1; id=a-b;") }, "1", NULL },
	{ { T("v=STSv1; id=a-b; id=1;") }, NULL, "1 to 32" },
	{ { T("v=STSv1; id=1; id=;") }, NULL, "value" },
	{ { T("v=STSv1; id=1; x=1; x=2; x=3;") }, "1", NULL },
};

static struct record_group ascii = GROUP(ascii_rows),
    version = GROUP(version_rows), ids = GROUP(id_rows),
    id_case = GROUP(id_case_rows), order = GROUP(order_rows),
    delimiters = GROUP(delimiter_rows), bare = GROUP(bare_rows),
    extensions = GROUP(extension_rows), several = GROUP(several_rows),
    not_one = GROUP(not_one_rows), invalid = GROUP(invalid_rows),
    unknown = GROUP(unknown_rows), repeated = GROUP(repeated_rows);

/* A record may be as long as a TXT answer is. */
static void
test_long_record(void **state)
{
	struct buffer text = { NULL, 0, 0 };
	char id[STS_ID_SIZE];
	struct sts_fault fault;
	struct slice record;
	int i;

	(void)state;
	buffer_printf(&text, "v=STSv1; id=1");
	for (i = 0; i < 6000; i++)
		buffer_printf(&text, "; x%d=y", i);
	record = (struct slice){ text.text, text.len };
	assert_true(sts_parse_records(&record, 1, id, &fault));
	assert_string_equal(id, "1");
	text.text[text.len - 1] = '=';
	assert_false(sts_parse_records(&record, 1, id, &fault));
	assert_fault_is_clean(&fault);
	buffer_free(&text);
}

/*
 * Policies.
 */

struct policy_row {
	struct slice	 body;
	bool		 valid;
	/* valid: the mode; else words of the reason */
	const char	*says;
	unsigned	 number;	/* valid: mx_n; else the line or 0 */
};
struct policy_group {
	const struct policy_row	*rows;
	size_t			 n;
};

static void
check_policy(const struct policy_row *row)
{
	struct sts_policy policy;
	struct sts_fault fault;
	/* A copy without a byte to spare, so that ASan sees an overrun. */
	char *copy = malloc(row->body.len + (row->body.len == 0));
	bool taken;

	memcpy(copy, row->body.at, row->body.len);
	taken = sts_parse_policy((struct slice){ copy, row->body.len },
	    &policy, &fault);
	free(copy);
	if (taken != row->valid)
		complain(taken ? "taken" : "refused", row->body, &fault);
	if (taken) {
		assert_string_equal(sts_mode_name(policy.mode), row->says);
		assert_int_equal(policy.mx_n, row->number);
		sts_policy_free(&policy);
	} else {
		assert_fault_is_clean(&fault);
		if (strstr(fault.reason, row->says) == NULL ||
		    fault.line != row->number)
			complain("another reason or line", row->body, &fault);
	}
	assert_null(policy.mx);
	assert_int_equal(policy.mx_n, 0);
}

static void
test_policies(void **state)
{
	const struct policy_group *group = *state;
	size_t i;

	for (i = 0; i < group->n; i++)
		check_policy(&group->rows[i]);
}

#define MIN	"version: STSv1\nmode: enforce\nmax_age: 60\nmx: a.example\n"
#define V	"version: STSv1\n"
#define E	"mode: enforce\n"
#define A	"max_age: 60\n"
#define MX	"mx: a.example\n"
#define YES	true
#define NO	false

static const struct policy_row line_end_rows[] = {
	{ T(MIN), YES, "enforce", 1 },
	{ T("version: STSv1\r\nmode: enforce\r\nmax_age: 60\r\n"
	    "mx: a.example\r\n"), YES, "enforce", 1 },
	{ T("version: STSv1\r\nmode: enforce\nmax_age: 60\r\n"
	    "mx: a.example\n"), YES, "enforce", 1 },
	{ T(V E A "mx: a.example"), YES, "enforce", 1 },
	{ T("version: STSv1\r\nmode: enforce\r\nmax_age: 60\r\n"
	    "mx: a.example"), YES, "enforce", 1 },
	/* ruling 3: blank lines at the very end, nowhere else */
	{ T(MIN "\n"), YES, "enforce", 1 },
	{ T(MIN "\n\n\n"), YES, "enforce", 1 },
	{ T(MIN "\r\n\r\n"), YES, "enforce", 1 },
	{ T(MIN " \n\t\n  "), YES, "enforce", 1 },
	{ T("\n" MIN), NO, "blank line", 1 },
	{ T("\r\n" MIN), NO, "blank line", 1 },
	{ T(V "\n" E A MX), NO, "blank line", 2 },
	{ T(V E A "\n" MX), NO, "blank line", 4 },
	{ T(V E A "\n\n\n" MX), NO, "blank line", 4 },
	{ T(V E A " \n" MX), NO, "blank line", 4 },
	{ T(MIN "\n\nx: y"), NO, "blank line", 5 },
	/* other line ends are none */
	{ T("version: STSv1\rmode: enforce\rmax_age: 60\rmx: a.example\r"),
	    NO, "version", 1 },
	{ T("version: STSv1\n\rmode: enforce\n\rmax_age: 60\n\r"), NO,
	    "field name", 2 },
	{ T("version: STSv1\x0bmode: enforce\x0bmax_age: 60\n"), NO,
	    "version", 1 },
	{ T("version: STSv1\x0cmode: enforce\x0cmax_age: 60\n"), NO,
	    "version", 1 },
	{ T("version: STSv1\xc2\x85mode: enforce\xc2\x85max_age: 60\n"), NO,
	    "version", 1 },
	{ T(V "mode: enforce\xe2\x80\xa8mode: none\n" A MX), NO, "mode", 2 },
	{ T(V "mode: enforce\xc2\x85mode: none\n" A MX), NO, "mode", 2 },
	{ T(V "mode: enforce\x0bmode: none\n" A MX), NO, "mode", 2 },
	{ T(V "mode: enforce\x0c\n" A MX), NO, "mode", 2 },
	{ T(V "mode: enforce\xc2\xa0\n" A MX), NO, "mode", 2 },
	{ T(V E A "mx: a.example\xe2\x80\xa8mode: none\n"), NO, "mx", 4 },
};
static const struct policy_row version_policy_rows[] = {
	{ T(E A MX), NO, "version field is missing", 0 },
	{ T("version: STSv2\n" E A MX), NO, "STSv1", 1 },
	{ T("version: stsv1\n" E A MX), NO, "STSv1", 1 },
	{ T("version: STSV1\n" E A MX), NO, "STSv1", 1 },
	{ T("version: STSv10\n" E A MX), NO, "STSv1", 1 },
	{ T("version: STSv1;\n" E A MX), NO, "STSv1", 1 },
	{ T("version: STSv\n" E A MX), NO, "STSv1", 1 },
	{ T("version:\n" E A MX), NO, "STSv1", 1 },
	{ T("version: \"STSv1\"\n" E A MX), NO, "STSv1", 1 },
	{ T("version: STSv1\0\n" E A MX), NO, "STSv1", 1 },
	{ T("v: STSv1\n" E A MX), NO, "version field is missing", 0 },
	{ T(""), NO, "version field is missing", 0 },
	{ T("\n"), NO, "version field is missing", 0 },
	{ T(" "), NO, "version field is missing", 0 },
};
static const struct policy_row mode_rows[] = {
	{ T(V "mode: enforce\n" A MX), YES, "enforce", 1 },
	{ T(V "mode: testing\n" A MX), YES, "testing", 1 },
	{ T(V "mode: none\n" A MX), YES, "none", 1 },
	{ T(V A MX), NO, "mode field is missing", 0 },
	{ T(V "mode: Enforce\n" A MX), NO, "mode", 2 },
	{ T(V "mode: ENFORCE\n" A MX), NO, "mode", 2 },
	{ T(V "mode: report\n" A MX), NO, "mode", 2 },
	{ T(V "mode: absent\n" A MX), NO, "mode", 2 },
	{ T(V "mode: enforced\n" A MX), NO, "mode", 2 },
	{ T(V "mode: enforc\n" A MX), NO, "mode", 2 },
	{ T(V "mode: enforce;\n" A MX), NO, "mode", 2 },
	{ T(V "mode: enforce testing\n" A MX), NO, "mode", 2 },
	{ T(V "mode: enforce\0\n" A MX), NO, "mode", 2 },
	{ T(V "mode:\n" A MX), NO, "mode", 2 },
	{ T(V "mode: \t \n" A MX), NO, "mode", 2 },
};
static const struct policy_row max_age_rows[] = {
	{ T(V E "max_age: 0\n" MX), YES, "enforce", 1 },
	{ T(V E "max_age: 1\n" MX), YES, "enforce", 1 },
	{ T(V E "max_age: 31557600\n" MX), YES, "enforce", 1 },
	{ T(V E "max_age: 31557601\n" MX), YES, "enforce", 1 },
	{ T(V E "max_age: 9999999999\n" MX), YES, "enforce", 1 },
	{ T(V E "max_age: 0000000060\n" MX), YES, "enforce", 1 },
	{ T(V E MX), NO, "max_age field is missing", 0 },
	{ T(V E "max_age: 00000000060\n" MX), NO, "1 to 10", 3 },
	{ T(V E "max_age: 10000000000\n" MX), NO, "1 to 10", 3 },
	{ T(V E "max_age: 9223372036854775808\n" MX), NO, "1 to 10", 3 },
	{ T(V E "max_age: 18446744073709551616\n" MX), NO, "1 to 10", 3 },
	{ T(V E "max_age: 99999999999999999999999999\n" MX), NO, "1 to 10",
	    3 },
	{ T(V E "max_age: -1\n" MX), NO, "1 to 10", 3 },
	{ T(V E "max_age: +1\n" MX), NO, "1 to 10", 3 },
	{ T(V E "max_age: 1.5\n" MX), NO, "1 to 10", 3 },
	{ T(V E "max_age: 1d\n" MX), NO, "1 to 10", 3 },
	{ T(V E "max_age: 1e3\n" MX), NO, "1 to 10", 3 },
	{ T(V E "max_age: 0x10\n" MX), NO, "1 to 10", 3 },
	{ T(V E "max_age: 1_000\n" MX), NO, "1 to 10", 3 },
	{ T(V E "max_age: 1 000\n" MX), NO, "1 to 10", 3 },
	{ T(V E "max_age: 1,000\n" MX), NO, "1 to 10", 3 },
	{ T(V E "max_age:\n" MX), NO, "1 to 10", 3 },
	{ T(V E "max_age: \n" MX), NO, "1 to 10", 3 },
	{ T(V E "max_age: 60\0\n" MX), NO, "1 to 10", 3 },
	{ T(V E "max_age: \xd9\xa1\n" MX), NO, "1 to 10", 3 },
	{ T(V E "max-age: 60\n" MX), NO, "max_age field is missing", 0 },
};
static const struct policy_row needs_mx_rows[] = {
	{ T(V E A), NO, "without an mx", 0 },
	{ T(V "mode: testing\n" A), NO, "without an mx", 0 },
	{ T(V "mode: none\n" A), YES, "none", 0 },
	{ T(V "mode: none\nmax_age: 0"), YES, "none", 0 },
	{ T(V "mode: none\n" A "mx: *\n"), NO, "mx", 4 },
};
static const struct policy_row one_mx_rows[] = {
	{ T(V E A MX "mx: b.example\nmx: *.c.example\n"), YES, "enforce", 3 },
	{ T(V E A MX MX MX), YES, "enforce", 3 },
	{ T(V E "mx: a.example\n" A "mx: b.example\n"), YES, "enforce", 2 },
	{ T(V E A "mx: a.example, b.example\n"), NO, "mx", 4 },
	{ T(V E A "mx: a.example,b.example\n"), NO, "mx", 4 },
	{ T(V E A "mx: a.example b.example\n"), NO, "mx", 4 },
	{ T(V E A "mx: a.example; b.example\n"), NO, "mx", 4 },
	{ T(V E A "mx: a.example\n b.example\n"), NO, "no colon", 5 },
};
static const struct policy_row a_label_rows[] = {
	{ T(V E A "mx: xn--bcher-kva.example\n"), YES, "enforce", 1 },
	{ T(V E A "mx: *.xn--mller-kva.de\n"), YES, "enforce", 1 },
	{ T(V E A "mx: XN--BCHER-KVA.example\n"), YES, "enforce", 1 },
	{ T(V E A "mx: b\xc3\xbc" "cher.example\n"), NO, "mx", 4 },
	{ T(V E A "mx: *.b\xc3\xbc" "cher.example\n"), NO, "mx", 4 },
	{ T(V E A "mx: a.\xe4\xbe\x8b\n"), NO, "mx", 4 },
	{ T(V E A "mx: a\xe3\x80\x82" "example\n"), NO, "mx", 4 },
};
static const struct policy_row mx_rows[] = {
	{ T(V E A "mx: *\n"), NO, "mx", 4 },
	{ T(V E A "mx: a*.b\n"), NO, "mx", 4 },
	{ T(V E A "mx: *a.b\n"), NO, "mx", 4 },
	{ T(V E A "mx: a.*.b\n"), NO, "mx", 4 },
	{ T(V E A "mx: *.*.b\n"), NO, "mx", 4 },
	{ T(V E A "mx: **.b\n"), NO, "mx", 4 },
	{ T(V E A "mx: *.\n"), NO, "mx", 4 },
	{ T(V E A "mx: .example\n"), NO, "mx", 4 },
	{ T(V E A "mx: *..example\n"), NO, "mx", 4 },
	{ T(V E A "mx: a..example\n"), NO, "mx", 4 },
	{ T(V E A "mx: a.example.\n"), NO, "mx", 4 },
	{ T(V E A "mx: *.example.\n"), NO, "mx", 4 },
	{ T(V E A "mx: .\n"), NO, "mx", 4 },
	{ T(V E A "mx:\n"), NO, "mx", 4 },
	{ T(V E A "mx: -a.example\n"), NO, "mx", 4 },
	{ T(V E A "mx: a-.example\n"), NO, "mx", 4 },
	{ T(V E A "mx: a_b.example\n"), NO, "mx", 4 },
	{ T(V E A "mx: a/b.example\n"), NO, "mx", 4 },
	{ T(V E A "mx: a:25\n"), NO, "mx", 4 },
	{ T(V E A "mx: [192.0.2.1]\n"), NO, "mx", 4 },
	{ T(V E A "mx: *.[192.0.2.1]\n"), NO, "mx", 4 },
	{ T(V E A "mx: a.example\0\n"), NO, "mx", 4 },
	{ T(V E A "mx: a.\"example\"\n"), NO, "mx", 4 },
	{ T(V E A "mx: a2345678901234567890123456789012345678901234567890123"
	    "4567890123.example\n"), YES, "enforce", 1 },
	{ T(V E A "mx: a2345678901234567890123456789012345678901234567890123"
	    "45678901234.example\n"), NO, "mx", 4 },
	{ T(V E A "mx: *.de\n"), YES, "enforce", 1 },
	{ T(V E A "mx: a\n"), YES, "enforce", 1 },
	{ T(V E A "mx: *.a\n"), YES, "enforce", 1 },
	{ T(V E A "mx: A.Example\n"), YES, "enforce", 1 },
	{ T(V E A "mx: 9.example\n"), YES, "enforce", 1 },
	{ T(V E A "mx: a-b--c.example\n"), YES, "enforce", 1 },
};
static const struct policy_row separator_rows[] = {
	{ T(V "mode:enforce\n" A MX), YES, "enforce", 1 },
	{ T(V "mode: \tenforce  \n" A MX), YES, "enforce", 1 },
	{ T(V "mode:\tenforce\t\r\n" A MX), YES, "enforce", 1 },
	{ T(V E A "mx: a.example \t"), YES, "enforce", 1 },
	{ T(V "mode : enforce\n" A MX), NO, "field name", 2 },
	{ T(V "mode\t: enforce\n" A MX), NO, "field name", 2 },
	{ T(V " mode: enforce\n" A MX), NO, "field name", 2 },
	{ T(V "\tmode: enforce\n" A MX), NO, "field name", 2 },
	{ T(V "mode=enforce\n" A MX), NO, "no colon", 2 },
	{ T(V "mode enforce\n" A MX), NO, "no colon", 2 },
	{ T(V "mode:: enforce\n" A MX), NO, "mode", 2 },
	{ T("\xef\xbb\xbf" MIN), NO, "byte order mark", 1 },
	{ T("\xfe\xff" MIN), NO, "field name", 1 },
	{ T(V E A MX "\xef\xbb\xbf\n"), NO, "byte order mark", 5 },
	/* T13: what holds a policy is none */
	{ T("<html>\n" MIN "</html>\n"), NO, "no colon", 1 },
	{ T("<!DOCTYPE html>\n<pre>\n" MIN "</pre>\n"), NO, "no colon", 1 },
	{ T(MIN "</html>\n"), NO, "no colon", 5 },
	{ T("<p style=a:b>\n" MIN), NO, "field name", 1 },
	{ T(MIN "# a comment\n"), NO, "no colon", 5 },
};
static const struct policy_row name_case_rows[] = {
	{ T(V "Mode: enforce\n" A MX), NO, "mode field is missing", 0 },
	{ T("Version: STSv1\n" E A MX), NO, "version field is missing", 0 },
	{ T(V E "Max_Age: 60\n" MX), NO, "max_age field is missing", 0 },
	{ T(V E A "MX: a.example\n"), NO, "without an mx", 0 },
	{ T(MIN "Mode: none\nMX: *\nMAX_AGE: x\n"), YES, "enforce", 1 },
};
static const struct policy_row field_order_rows[] = {
	{ T(E A MX V), YES, "enforce", 1 },
	{ T(MX A E V), YES, "enforce", 1 },
	{ T(A MX V E), YES, "enforce", 1 },
	{ T("x: y\n" E A MX V), YES, "enforce", 1 },
};
static const struct policy_row unknown_field_rows[] = {
	{ T(MIN "x: y\n"), YES, "enforce", 1 },
	{ T("x: y\n" MIN), YES, "enforce", 1 },
	{ T(MIN "x_-.9: a: b: c\n"), YES, "enforce", 1 },
	{ T(MIN "9: http://example.org/?a=b;c\n"), YES, "enforce", 1 },
	{ T(MIN "_x: y\n"), NO, "field name", 5 },
	{ T(MIN "x+y: z\n"), NO, "field name", 5 },
	{ T(MIN ": z\n"), NO, "field name", 5 },
	{ T(MIN "x:\n"), NO, "value", 5 },
	{ T(MIN "x: \n"), NO, "value", 5 },
	{ T(MIN "a2345678901234567890123456789012: y\n"), YES, "enforce", 1 },
	{ T(MIN "a23456789012345678901234567890123: y\n"), NO, "field name",
	    5 },
};
static const struct policy_row extension_value_rows[] = {
	{ T(MIN "note: gr\xc3\xbc\xc3\x9f" "e an alle\n"), YES, "enforce",
	    1 },
	{ T(MIN "note: \xe2\x82\xac  \xf0\x9f\x93\xa7\n"), YES, "enforce",
	    1 },
	{ T(MIN "note: a b  c\n"), YES, "enforce", 1 },
	{ T(MIN "note: a\tb\n"), NO, "value", 5 },
	{ T(MIN "note: a\x07" "b\n"), NO, "value", 5 },
	{ T(MIN "note: \x1b[31m\n"), NO, "value", 5 },
	{ T(MIN "note: a\x7f\n"), NO, "value", 5 },
	{ T(MIN "note: \x7f\n"), NO, "value", 5 },
	{ T(MIN "note: ~ !\n"), YES, "enforce", 1 },
	{ T(MIN "note: a\x0b" "b\n"), NO, "value", 5 },
	{ T(MIN "note: a\rb\n"), NO, "value", 5 },
};
static const struct policy_row repeated_field_rows[] = {
	{ T(V "mode: testing\nmode: enforce\n" A MX), YES, "testing", 1 },
	{ T(V "mode: enforce\nmode: none\n" A MX), YES, "enforce", 1 },
	{ T(V "mode: enforce\nmode: Garbage\n" A MX), YES, "enforce", 1 },
	{ T(V "mode: Garbage\nmode: enforce\n" A MX), NO, "mode", 2 },
	{ T(V "version: STSv2\n" E A MX), YES, "enforce", 1 },
	{ T("version: STSv2\n" V E A MX), NO, "STSv1", 1 },
	{ T(V E A "max_age: x\n" MX), YES, "enforce", 1 },
	{ T(V E "max_age: x\n" A MX), NO, "1 to 10", 3 },
	{ T(V "mode: enforce\nmode:\n" A MX), NO, "value", 3 },
	{ T(V "mode: enforce\nmode: \x07\n" A MX), NO, "value", 3 },
	/* each mx counts, and each must be good */
	{ T(MIN "mx: *\n"), NO, "mx", 5 },
};
static const struct policy_row octet_rows[] = {
	{ T(MIN "x: a\0b\n"), NO, "value", 5 },
	{ T("\0" MIN), NO, "field name", 1 },
	{ T(MIN "\0"), NO, "no colon", 5 },
	{ T(V "mode: enforce\r" A MX), NO, "mode", 2 },
	{ T(MIN "x: y\r"), NO, "value", 5 },
	{ T(MIN "\r"), NO, "no colon", 5 },
	{ T(MIN "x: y\r\r\n"), NO, "value", 5 },
	{ T(MIN "x: \xc3\n"), NO, "value", 5 },		/* cut short */
	{ T(MIN "x: \xc3\x28\n"), NO, "value", 5 },	/* no tail */
	{ T(MIN "x: \x80\n"), NO, "value", 5 },		/* a tail alone */
	{ T(MIN "x: \xc0\xaf\n"), NO, "value", 5 },	/* overlong */
	{ T(MIN "x: \xe0\x80\xaf\n"), NO, "value", 5 },
	{ T(MIN "x: \xf0\x80\x80\xaf\n"), NO, "value", 5 },
	{ T(MIN "x: \xed\xa0\x80\n"), NO, "value", 5 },	/* surrogate */
	{ T(MIN "x: \xf4\x90\x80\x80\n"), NO, "value", 5 },
	{ T(MIN "x: \xf8\x88\x80\x80\x80\n"), NO, "value", 5 },
	{ T(MIN "x: \xff\n"), NO, "value", 5 },
	{ T(MIN "x: \xf4\x8f\xbf\xbf\n"), YES, "enforce", 1 },
	{ T(MIN "\xc3\xa9: y\n"), NO, "field name", 5 },
};

static struct policy_group line_ends = GROUP(line_end_rows),
    version_policy = GROUP(version_policy_rows), modes = GROUP(mode_rows),
    max_ages = GROUP(max_age_rows), needs_mx = GROUP(needs_mx_rows),
    one_mx = GROUP(one_mx_rows), a_labels = GROUP(a_label_rows),
    mxs = GROUP(mx_rows), separators = GROUP(separator_rows),
    name_case = GROUP(name_case_rows),
    field_order = GROUP(field_order_rows),
    unknown_fields = GROUP(unknown_field_rows),
    extension_values = GROUP(extension_value_rows),
    repeated_fields = GROUP(repeated_field_rows), octets = GROUP(octet_rows);

static void
test_contents(void **state)
{
	struct sts_policy policy;
	struct sts_fault fault;

	(void)state;
	assert_true(sts_parse_policy(slice_of("version: STSv1\r\n"
	    "mode: testing\r\nmx: MAIL.Example.org\r\nx: y\r\n"
	    "mx: *.Example.NET\r\nmax_age: 0001209600\r\n\r\n"), &policy,
	    &fault));
	assert_int_equal(policy.mode, STS_TESTING);
	assert_int_equal(policy.max_age_s, 1209600);
	assert_int_equal(policy.mx_n, 2);
	assert_false(policy.mx[0].wildcard);
	assert_string_equal(policy.mx[0].domain.name, "mail.example.org");
	assert_true(policy.mx[1].wildcard);
	assert_string_equal(policy.mx[1].domain.name, "example.net");
	assert_int_equal(fault.line, 0);
	assert_string_equal(fault.reason, "");
	sts_policy_free(&policy);
	sts_policy_free(&policy);	/* twice does no harm */
}

static void
fill(struct buffer *body, unsigned patterns)
{
	unsigned i;

	buffer_printf(body, V E A);
	for (i = 0; i < patterns; i++)
		buffer_printf(body, "mx: *.h%u.example\n", i);
}

static void
test_many_patterns(void **state)
{
	struct buffer body = { NULL, 0, 0 }, more = { NULL, 0, 0 };
	struct sts_policy policy;
	struct sts_fault fault;
	struct domain host = { "a.h255.example" };

	(void)state;
	fill(&body, STS_MX_MAX);
	assert_true(sts_parse_policy((struct slice){ body.text, body.len },
	    &policy, &fault));
	assert_int_equal(policy.mx_n, STS_MX_MAX);
	assert_int_equal(sts_match_mx(&policy, &host), 255);
	sts_policy_free(&policy);
	fill(&more, STS_MX_MAX + 1);
	assert_false(sts_parse_policy((struct slice){ more.text, more.len },
	    &policy, &fault));
	assert_int_equal(fault.line, 3 + STS_MX_MAX + 1);
	assert_non_null(strstr(fault.reason, "256"));
	buffer_free(&body);
	buffer_free(&more);
}

/* STS-3.3-13: never cut and parsed; the last octet of 65536 still counts. */
static void
test_body_limit(void **state)
{
	struct buffer body = { NULL, 0, 0 };
	struct sts_policy policy;
	struct sts_fault fault;

	(void)state;
	buffer_printf(&body, MIN "x: ");
	while (body.len < STS_BODY_MAX)
		buffer_printf(&body, "y");
	assert_true(sts_parse_policy((struct slice){ body.text, body.len },
	    &policy, &fault));
	sts_policy_free(&policy);
	body.text[STS_BODY_MAX - 1] = '\a';
	assert_false(sts_parse_policy((struct slice){ body.text, body.len },
	    &policy, &fault));
	assert_int_equal(fault.line, 5);
	body.text[STS_BODY_MAX - 1] = 'y';
	buffer_printf(&body, "y");
	assert_false(sts_parse_policy((struct slice){ body.text, body.len },
	    &policy, &fault));
	assert_int_equal(fault.line, 0);
	assert_non_null(strstr(fault.reason, "65536"));
	buffer_free(&body);
}

/* T15: a stranger's text in a reason cannot end the field it is shown in. */
static void
test_reason_is_one_field(void **state)
{
	static const struct slice bodies[] = {
		T(V "mode: \"\\ }{,;\n" A MX),
		T(V "mode: a\x1b]0;x\x07" "b\n" A MX),
		T(V "mode: %s%n%d\n" A MX),
		T(V E A "mx: a\" outcome=delivered x=\"\n"),
		T(V E A "mx: 00000000000000000000000000000000000000000000000"
		    "00000000000000000000000000000000000000000000000000000"
		    "00000000000000000000000000000000000000000000000000000"
		    "00000000000000000000000000000000000000000000000000000"
		    "00000000000000000000000000000000000000000000000000000"
		    "\n"),
		T("\xe2\x80\xae" ": x\n"),
	};
	struct sts_policy policy;
	struct sts_fault fault;
	const char *quote;
	size_t i;

	(void)state;
	for (i = 0; i < N(bodies); i++) {
		assert_false(sts_parse_policy(bodies[i], &policy, &fault));
		assert_fault_is_clean(&fault);
		assert_null(strchr(fault.reason, '\\'));
		/* Its only quotes are the pair round what is shown. */
		quote = strchr(fault.reason, '"');
		assert_non_null(quote);
		quote = strchr(quote + 1, '"');
		assert_non_null(quote);
		assert_null(strstr(quote + 1, "outcome"));
		assert_true(strlen(fault.reason) < 120);
	}
}

/*
 * Matches.
 */

struct match_row {
	const char	*host;
	const char	*patterns[3];
	int		 index;		/* -1: none */
};
struct match_group {
	const struct match_row	*rows;
	size_t			 n;
};

static void
test_matches(void **state)
{
	const struct match_group *group = *state;
	struct sts_mx list[3];
	struct sts_policy policy = { .mode = STS_ENFORCE, .mx = list };
	struct domain host;
	size_t i;

	for (i = 0; i < group->n; i++) {
		const struct match_row *row = &group->rows[i];

		policy.mx_n = 0;
		while (policy.mx_n < 3 && row->patterns[policy.mx_n] != NULL) {
			if (!sts_parse_mx(slice_of(row->patterns[policy.mx_n]),
			    &list[policy.mx_n]))
				fail_msg("no pattern: %s",
				    row->patterns[policy.mx_n]);
			policy.mx_n++;
		}
		if (!domain_parse(slice_of(row->host), &host))
			fail_msg("no host: %s", row->host);
		if (sts_match_mx(&policy, &host) != row->index)
			fail_msg("%s: %d", row->host,
			    sts_match_mx(&policy, &host));
	}
}

static const struct match_row several_pattern_rows[] = {
	{ "c.example", { "a.example", "b.example", "c.example" }, 2 },
	{ "a.example", { "a.example", "*.example", "a.example" }, 0 },
	{ "b.example", { "a.example", "*.example", "b.example" }, 1 },
	{ "d.example", { "a.example", "b.example", "c.example" }, -1 },
	{ "d.example", { NULL }, -1 },
	{ "mail.b.example", { "mail.a.example", "*.b.example" }, 1 },
	{ "a", { "b", "a" }, 1 },
};
static const struct match_row wildcard_rows[] = {
	{ "mail.example.com", { "*.example.com" }, 0 },
	{ "example.com", { "*.example.com" }, -1 },
	{ "a.b.example.com", { "*.example.com" }, -1 },
	{ "mailexample.com", { "*.example.com" }, -1 },
	{ "mail.xexample.com", { "*.example.com" }, -1 },
	{ "mail.example.com.evil.example", { "*.example.com" }, -1 },
	{ "mail.example.org", { "*.example.com" }, -1 },
	{ "com", { "*.com" }, -1 },
	{ "a.com", { "*.com" }, 0 },
	{ "xn--mller-kva.de", { "*.de" }, 0 },
	{ "de", { "*.de" }, -1 },
	{ "a.xn--mller-kva.de", { "*.de" }, -1 },
	{ "a.xn--mller-kva.de", { "*.xn--mller-kva.de" }, 0 },
	{ "_x.example.com", { "*.example.com" }, 0 },
};
static const struct match_row fold_rows[] = {
	{ "MAIL.Example.COM.", { "mail.example.com" }, 0 },
	{ "mail.example.com", { "MAIL.Example.COM" }, 0 },
	{ "A.E.ORG.", { "*.e.org" }, 0 },
	{ "a.e.org", { "*.E.ORG" }, 0 },
	{ "XN--MLLER-KVA.DE", { "xn--mller-kva.de" }, 0 },
	{ "mail.example.com", { "mail.example.co" }, -1 },
	{ "mail.example.co", { "mail.example.com" }, -1 },
	{ "a.mail.example.com", { "mail.example.com" }, -1 },
	{ "example.com", { "mail.example.com" }, -1 },
	{ "[192.0.2.1]", { "*.0.2.1" }, -1 },
	{ "[192.0.2.1]", { "a.example" }, -1 },
	{ "[IPv6:2001:db8::1]", { "*.example" }, -1 },
};
static struct match_group several_patterns = GROUP(several_pattern_rows),
    wildcards = GROUP(wildcard_rows), folds = GROUP(fold_rows);

/* A host with a "*" never comes out of domain_parse; still it matches not. */
static void
test_host_wildcard(void **state)
{
	static const struct domain hosts[] = {
		{ "*.example.com" }, { "*" }, { "" }, { "a*.example.com" },
		{ ".example.com" },
	};
	static const char *const patterns[] = {
		"mail.example.com", "*.example.com", "example.com"
	};
	struct sts_mx mx;
	size_t i, j;

	(void)state;
	for (i = 0; i < N(hosts); i++)
		for (j = 0; j < N(patterns); j++) {
			assert_true(sts_parse_mx(slice_of(patterns[j]), &mx));
			assert_false(sts_mx_covers(&mx, &hosts[i]));
		}
}

/* T16, T17: labels of every length, against the same pattern. */
static void
test_label_lengths(void **state)
{
	struct domain host;
	struct sts_mx mx;
	size_t len;

	(void)state;
	assert_true(sts_parse_mx(slice_of("*.example.org"), &mx));
	for (len = 1; len <= 63; len++) {
		memset(host.name, 'x', len);
		strcpy(host.name + len, ".example.org");
		assert_true(sts_mx_covers(&mx, &host));
		host.name[len / 2] = '.';
		assert_false(sts_mx_covers(&mx, &host));
	}
}

/*
 * Lifetimes.
 */

static void
test_lifetime(void **state)
{
	static const struct {
		int64_t		fetched_s;
		uint64_t	max_age_s;
		int64_t		expires_s;
	} rows[] = {
		{ 1000, 0, 1000 },
		{ 1000, 60, 1060 },
		{ 1000, 86400, 87400 },
		{ 1000, 31557599, 31558599 },
		{ 1000, 31557600, 31558600 },
		{ 1000, 31557601, 31558600 },
		{ 1000, 9999999999, 31558600 },
		{ 1000, UINT64_MAX, 31558600 },
		{ 1000, (uint64_t)INT64_MAX + 1, 31558600 },
		{ 0, 1, 1 },
		{ INT64_MAX, 0, INT64_MAX },
		{ INT64_MAX, 60, INT64_MAX },
		{ INT64_MAX - 60, 60, INT64_MAX },
		{ INT64_MAX - 59, 60, INT64_MAX },
	};
	size_t i;

	(void)state;
	for (i = 0; i < N(rows); i++)
		assert_int_equal(sts_expires(rows[i].fetched_s,
		    rows[i].max_age_s), rows[i].expires_s);
}

#define RECORDS(name, group) { name, test_records, NULL, NULL, &group }
#define POLICIES(name, group) { name, test_policies, NULL, NULL, &group }
#define MATCHES(name, group) { name, test_matches, NULL, NULL, &group }
#define TEST(name, function) { name, function, NULL, NULL, NULL }

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RECORDS("STS-3.1-2 a record is US-ASCII", ascii),
		RECORDS("T18 STS-3.1-3 v=STSv1 begins it, to the letter",
		    version),
		RECORDS("STS-3.1-4 id is 1 to 32 letters and digits", ids),
		RECORDS("STS-3.1-5 id and its value have case",
		    id_case),
		RECORDS("STS-3.1-8 the order of fields is free", order),
		RECORDS("STS-3.1-9 fields are parted by a semicolon",
		    delimiters),
		RECORDS("STS-3.1-10 a version alone is no record", bare),
		RECORDS("STS-3.1-11 an extension has name and value",
		    extensions),
		RECORDS("T18 STS-3.1-12 other records are discarded", several),
		RECORDS("T18 STS-3.1-13 not one record is none", not_one),
		RECORDS("STS-3.1-14 an invalid record is none", invalid),
		RECORDS("STS-3.2-17 unknown fields of a record are ignored",
		    unknown),
		RECORDS("STS-3.2-19 the first id of a record counts",
		    repeated),
		TEST("STS-3.1-11 a record of 60,000 octets", test_long_record),

		POLICIES("T12 STS-3.2-4 lines end in LF or CRLF", line_ends),
		POLICIES("T13 STS-3.2-5 version is STSv1", version_policy),
		POLICIES("STS-3.2-6 mode is enforce, testing or none", modes),
		POLICIES("T10 STS-3.2-7 max_age is 1 to 10 digits", max_ages),
		POLICIES("T14 STS-3.2-10 enforce and testing need an mx",
		    needs_mx),
		POLICIES("STS-3.2-11 one mx a line", one_mx),
		POLICIES("STS-3.2-12 mx is in A-labels", a_labels),
		POLICIES("STS-3.2-13 mx is a domain or *. and a domain", mxs),
		POLICIES("T13 STS-3.2-14 a colon parts name and value",
		    separators),
		POLICIES("STS-3.2-15 field names have case", name_case),
		POLICIES("STS-3.2-16 the order of fields is free",
		    field_order),
		POLICIES("STS-3.2-17 unknown fields of a policy are ignored",
		    unknown_fields),
		POLICIES("T15 STS-3.2-18 an extension holds UTF-8 and no "
		    "controls", extension_values),
		POLICIES("T12 STS-3.2-19 the first of a repeated field counts",
		    repeated_fields),
		POLICIES("T12 STS-3.2-20 NUL, bare CR, ill-formed UTF-8 are "
		    "invalid", octets),
		TEST("STS-3.2-5 what a policy says", test_contents),
		TEST("256 patterns are kept, more are refused",
		    test_many_patterns),
		TEST("STS-3.3-13 a body of 65,537 octets is refused",
		    test_body_limit),
		TEST("T15 a reason stays one field", test_reason_is_one_field),

		MATCHES("STS-4.1-2, STS-4-1 one matching pattern is enough",
		    several_patterns),
		MATCHES("T16 STS-4.1-3 *. is exactly one label", wildcards),
		MATCHES("T16 STS-4.1-4 case and a final dot do not count",
		    folds),
		TEST("STS-4.1-6 a host's * is no wildcard",
		    test_host_wildcard),
		TEST("T16 T17 STS-4.1-3 labels of every length",
		    test_label_lengths),
		TEST("T11 STS-3.2-8, STS-3.2-9 the lifetime, cut at a year",
		    test_lifetime),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
