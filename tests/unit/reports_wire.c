/*
 * Details of sessions on their way to reports, and what a peer's text in them
 * becomes.
 */
#include "policy/policy.h"
#include "reports/reports.h"

#include "conf/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

static void
details_come_back(void **state)
{
	static const struct report_detail details[] = {
		{ REPORT_STS, RESULT_CERTIFICATE_EXPIRED, "X509_V_ERR" },
		{ REPORT_STS, RESULT_CERTIFICATE_HOST_MISMATCH, "" },
		{ REPORT_TLSA, RESULT_SUCCESS, "" },
		{ REPORT_NO_POLICY, RESULT_STS_POLICY_FETCH_ERROR,
		  "r\xc3\xa4" }
	};
	uint8_t octets[REPORT_DETAILS_MAX];
	uint32_t len = 0, offset = 0;
	struct report_detail detail;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(details); i++)
		assert_true(report_put_detail(octets, &len, sizeof(octets),
		    &details[i]));
	for (i = 0; i < COUNT(details); i++) {
		assert_true(report_get_detail(octets, len, &offset, &detail));
		assert_memory_equal(&detail, &details[i], sizeof(detail));
	}
	assert_false(report_get_detail(octets, len, &offset, &detail));
	assert_int_equal(offset, len);
}

static void
no_room_writes_nothing(void **state)
{
	struct report_detail detail = { REPORT_STS, RESULT_SUCCESS, "" };
	uint8_t octets[REPORT_DETAILS_MAX];
	uint32_t len = 0;
	unsigned n = 0;

	(void)state;
	memset(detail.reason, 'r', sizeof(detail.reason) - 1);
	while (report_put_detail(octets, &len, sizeof(octets), &detail))
		n++;
	assert_int_equal(n, REPORT_DETAILS_MAX / 258);
	assert_int_equal(len, n * 258);
	/* a short one still fits */
	detail.reason[0] = '\0';
	assert_true(report_put_detail(octets, &len, sizeof(octets), &detail));
}

static void
what_is_no_detail_ends(void **state)
{
	static const struct {
		const char	*octets;
		size_t		 len;
	} cases[] = {
		{ "", 0 }, { "\1", 1 }, { "\1\1", 2 },
		{ "\0\1\0", 3 },	/* no block */
		{ "\4\1\0", 3 },
		{ "\1\0\0", 3 },	/* no result */
		{ "\1\xd\0", 3 },
		{ "\1\2\4abc", 6 },	/* a reason cut short */
		{ "\xff\xff\xff", 3 }
	};
	struct report_detail detail;
	uint32_t offset;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		offset = 0;
		assert_false(report_get_detail(
		    (const uint8_t *)cases[i].octets, (uint32_t)cases[i].len,
		    &offset, &detail));
		assert_int_equal(offset, 0);
	}
	offset = 9;
	assert_false(report_get_detail((const uint8_t *)"\1\1\0", 3, &offset,
	    &detail));
}

static void
peers_text_is_one_line(void **state)
{
	static const struct {
		const char	*from;
		size_t		 len;
		const char	*to;
	} cases[] = {
		{ "454 no", 6, "454 no" },
		{ "a\r\nb\0c\x1b[31m", 11, "a??b?c?[31m" },
		{ "\"\\", 2, "\"\\" },
		{ "\xff\xc3\xa4\xc3", 4, "?\xc3\xa4?" },
		{ "\xed\xa0\x80", 3, "???" },		/* a surrogate */
		{ "x\xc2\x85y\xe2\x80\xa8z", 8, "x?y?z" }	/* NEL, LS */
	};
	char text[REPORT_REASON_MAX];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		report_clean((struct slice){ cases[i].from, cases[i].len },
		    text, sizeof(text));
		assert_string_equal(text, cases[i].to);
	}
}

/* Cut between characters, never within one. */
static void
what_is_long_is_cut(void **state)
{
	char from[2 * REPORT_REASON_MAX], text[REPORT_REASON_MAX];
	size_t i;

	(void)state;
	for (i = 0; i + 1 < sizeof(from); i += 2)
		memcpy(from + i, "\xc3\xa4", 2);
	report_clean((struct slice){ from, sizeof(from) }, text,
	    sizeof(text));
	assert_int_equal(strlen(text), 254);
	assert_int_equal(utf8_length(slice_of(text + 252)), 2);
	report_clean(SLICE("abc"), text, 1);
	assert_string_equal(text, "");
}

static void
names_of_blocks(void **state)
{
	(void)state;
	assert_string_equal(report_block_name(REPORT_STS), "sts");
	assert_string_equal(report_block_name(REPORT_TLSA), "tlsa");
	assert_string_equal(report_block_name(REPORT_NO_POLICY),
	    "no-policy-found");
}

static void
a_session_travels(void **state)
{
	static uint8_t octets[WIRE_MAX];
	static struct t_session session, other;
	const struct wire_message *row = wire_find(&session_wire, T_SESSION);
	size_t len;

	(void)state;
	memset(session.domain, 'd', sizeof(session.domain) - 1);
	memset(session.helo, 'h', sizeof(session.helo) - 1);
	session.epoch = session.sequence = session.sts_text = UINT64_MAX;
	session.when_s = 1795521600;
	session.tlsa_len = sizeof(session.tlsa);
	session.details_len = sizeof(session.details);
	len = wire_encode(row, &session, octets, sizeof(octets));
	assert_true(len > 0);
	assert_true(wire_decode(row, octets, len, &other));
	assert_memory_equal(&session, &other, sizeof(session));
	assert_false(wire_decode(row, octets, len - 1, &other));
	assert_non_null(wire_find(&session_wire, T_COUNTED));
}

static void
expect_fields(const struct wire_message *row, const char *const *names,
    unsigned n)
{
	unsigned i;

	assert_int_equal(row->fields_n, n);
	for (i = 0; i < n; i++)
		assert_string_equal(row->fields[i].name, names[i]);
}

/*
 * Nothing of a message comes to culver-reports: what is not told can be in no
 * report.  Who adds a field here says why it discloses nobody.
 */
static void
nothing_of_a_message(void **state)
{
	static const char *const session[] = {
		"epoch", "sequence", "when_s", "domain", "sts_id", "sts_text",
		"tlsa_base", "tlsa", "local", "host", "helo", "address",
		"details"
	};
	static const char *const failed[] = {
		"epoch", "sequence", "when_s", "domain", "result", "reason",
		"sts_id", "sts_text"
	};

	(void)state;
	expect_fields(wire_find(&session_wire, T_SESSION), session,
	    sizeof(session) / sizeof(session[0]));
	expect_fields(wire_find(&inquiry_wire, R_FAILED), failed,
	    sizeof(failed) / sizeof(failed[0]));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		{ "details come back as they went", details_come_back, NULL,
		  NULL, NULL },
		{ "a detail without room writes nothing",
		  no_room_writes_nothing, NULL, NULL, NULL },
		{ "T32 what is no detail ends them", what_is_no_detail_ends,
		  NULL, NULL, NULL },
		{ "T50 RPT-4.3.3-2 RPT-4.4-21 a peer's text becomes one line "
		  "of UTF-8", peers_text_is_one_line, NULL, NULL, NULL },
		{ "T50 RPT-4.3.3-2 a long reason is cut between characters",
		  what_is_long_is_cut, NULL, NULL, NULL },
		{ "RPT-4.4-6 names of blocks", names_of_blocks, NULL, NULL,
		  NULL },
		{ "T32 a session of full size travels", a_session_travels,
		  NULL, NULL, NULL },
		{ "RPT-8-1 nothing of a message is told", nothing_of_a_message,
		  NULL, NULL, NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
