/*
 * smtpd/required.c: which messages say "TLS-Required: No" (RFC 8689 4).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "smtpd/required.h"

#include <string.h>

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))
#define NO		"TLS-Required: No\r\n"

static const struct row {
	const char	*message;	/* its header, and what follows */
	unsigned	 fields;
	bool		 no;
} rows[] = {
	{ "", 0, false },
	{ "\r\n", 0, false },
	{ NO, 1, true },
	{ NO "\r\n", 1, true },
	{ "From: a@b\r\n" NO "To: c@d\r\n\r\ntext\r\n", 1, true },
	/* the name, without case */
	{ "tls-required: no\r\n", 1, true },
	{ "TLS-REQUIRED: NO\r\n", 1, true },
	{ "TLS-Required : No\r\n", 1, true },
	{ "TLS-Required\t:No\r\n", 1, true },
	{ "TLS-Require: No\r\n", 0, false },
	{ "TLS-Requiredx: No\r\n", 0, false },
	{ "TLS-Required-x: No\r\n", 0, false },
	{ "XTLS-Required: No\r\n", 0, false },
	{ "TLS_Required: No\r\n", 0, false },
	{ "TLS-TLS-Required: No\r\n", 0, false },
	/* the value */
	{ "TLS-Required:No\r\n", 1, true },
	{ "TLS-Required:no\r\n", 1, true },
	{ "TLS-Required:  nO \t\r\n", 1, true },
	{ "TLS-Required: Nope\r\n", 1, false },
	{ "TLS-Required: No no\r\n", 1, false },
	{ "TLS-Required: N o\r\n", 1, false },
	{ "TLS-Required: N\r\n o\r\n", 1, false },
	{ "TLS-Required: N(x)o\r\n", 1, false },
	{ "TLS-Required: Yes\r\n", 1, false },
	{ "TLS-Required: on\r\n", 1, false },
	{ "TLS-Required: \"No\"\r\n", 1, false },
	{ "TLS-Required: No;\r\n", 1, false },
	{ "TLS-Required: No\x80\r\n", 1, false },
	{ "TLS-Required:\r\n", 1, false },
	{ "TLS-Required: \r\n", 1, false },
	{ "TLS-Required: N\r\n", 1, false },
	/* folded */
	{ "TLS-Required:\r\n No\r\n", 1, true },
	{ "TLS-Required: No\r\n \r\n\tx\r\n", 1, false },
	{ "TLS-Required:\r\n\t \r\n No\r\n \r\n\r\n", 1, true },
	{ "TLS-Required: No\r\n pe\r\n", 1, false },
	{ "a: b\r\n TLS-Required: No\r\n", 0, false },
	{ "TLS-Required: Yes\r\n TLS-Required: No\r\n", 1, false },
	/* comments */
	{ "TLS-Required: (why) No (because)\r\n", 1, true },
	{ "TLS-Required: (a(b)c)No(x)(y)\r\n", 1, true },
	{ "TLS-Required: No (Yes)\r\n", 1, true },
	{ "TLS-Required: (No)\r\n", 1, false },
	{ "TLS-Required: No (open\r\n", 1, false },
	{ "TLS-Required: No (open\r\n and closed)\r\n", 1, true },
	{ "TLS-Required: No (\\))\r\n", 1, true },
	{ "TLS-Required: No (\\\\)\r\n", 1, true },
	{ "TLS-Required: No (\\)\r\n", 1, false },
	{ "TLS-Required: (\\\r\n )No\r\n", 1, false },
	{ "TLS-Required: No )\r\n", 1, false },
	{ "TLS-Required: )( No\r\n", 1, false },
	/* RTLS-4-4: several are none */
	{ NO NO, 2, false },
	{ NO "TLS-Required: Yes\r\n", 2, false },
	{ "TLS-Required: Yes\r\n" NO, 2, false },
	{ NO "a: b\r\n" NO "c: d\r\n" NO, 3, false },
	{ NO "TLS-Required:\r\n", 2, false },
	/* where the header ends */
	{ "\r\n" NO, 0, false },
	{ "a: b\r\n\r\n" NO, 0, false },
	{ NO "\r\n" NO, 1, true },
	{ "no field\r\n" NO, 0, false },
	{ "no field: here\r\n" NO, 0, false },
	{ "From a@b Mon Jan 1 00:00:00 2026\r\n" NO, 0, false },
	{ ">From: a\r\n" NO, 1, true },
	{ ": empty\r\n" NO, 0, false },
	{ " folds nothing\r\n" NO, 0, false },
	{ "\t\r\n" NO, 0, false },
	{ "n\xc3\xa4me: x\r\n" NO, 0, false },
	{ NO "text\r\n" NO, 1, true },
	/* as far as it goes */
	{ "TLS-Required: No", 1, true },
	{ "TLS-Required", 0, false },
	{ "TLS-Required:", 1, false },
	{ "TLS-Required: N", 1, false },
};

static void
expect(const struct row *row, const struct required *required, size_t piece)
{
	if (required->fields != row->fields ||
	    required_is_no(required) != row->no)
		fail_msg("\"%s\" in pieces of %zu: %u fields, %s",
		    row->message, piece, required->fields,
		    required_is_no(required) ? "no" : "not no");
}

/* Each row as a whole and in pieces of every length. */
static void
test_rows(void **unused)
{
	struct slice rest, part;
	struct required required;
	const struct row *row;
	size_t piece;

	(void)unused;
	for (row = rows; row < rows + COUNT(rows); row++)
		for (piece = 1; piece <= strlen(row->message) + 1; piece++) {
			memset(&required, 0, sizeof(required));
			rest = slice_of(row->message);
			while (rest.len > 0) {
				part = rest;
				if (part.len > piece)
					part.len = piece;
				required_take(&required, part);
				rest.at += part.len;
				rest.len -= part.len;
			}
			expect(row, &required, piece);
		}
}

/* Lines and comments of any length and depth. */
static void
test_bounds(void **unused)
{
	static char long_text[100000];
	struct required required;

	(void)unused;
	memset(&required, 0, sizeof(required));
	memset(long_text, 'x', sizeof(long_text));
	required_take(&required, (struct slice){ long_text,
	    sizeof(long_text) });
	required_take(&required, SLICE(": y\r\n" NO));
	assert_true(required_is_no(&required));
	memset(&required, 0, sizeof(required));
	required_take(&required, SLICE("TLS-Required: No ("));
	required_take(&required, (struct slice){ long_text,
	    sizeof(long_text) });
	required_take(&required, SLICE(")\r\n"));
	assert_true(required_is_no(&required));
	/* So deep is nobody. */
	memset(long_text, '(', sizeof(long_text));
	memset(&required, 0, sizeof(required));
	required_take(&required, SLICE("TLS-Required: No "));
	required_take(&required, (struct slice){ long_text, 1000 });
	memset(long_text, ')', sizeof(long_text));
	required_take(&required, (struct slice){ long_text, 1000 });
	required_take(&required, SLICE("\r\n"));
	assert_false(required_is_no(&required));
	assert_int_equal(required.fields, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		{ "RTLS-4-1, RTLS-4-4 the field and its value, in pieces of "
		    "every length", test_rows, NULL, NULL, NULL },
		{ "lines and comments of any length", test_bounds, NULL, NULL,
		    NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
