/*
 * reports/document.c and reports/gzip.c: the document, member by member, and
 * its compressed form.  What an independent reader makes of all samples is
 * report_forms.py's matter.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "report_samples.h"

#include <jansson.h>
#include <stdlib.h>
#include <zlib.h>

static struct buffer
document(const struct report *report, const struct reporter *reporter)
{
	struct buffer json = { 0 };

	report_json(report, reporter, &json);
	return json;
}

static void
assert_document(const char *name, const char *expected)
{
	const struct sample *sample = sample_find(name);
	struct report report = sample_build(sample);
	struct buffer json = document(&report, &sample->reporter);

	assert_string_equal(json.text, expected);
	buffer_free(&json);
}

#define BEGIN	"{\"organization-name\":\"Example Relay\"," \
		"\"date-range\":{" \
		"\"start-datetime\":\"2026-11-24T00:00:00Z\"," \
		"\"end-datetime\":\"2026-11-24T23:59:59Z\"}," \
		"\"contact-info\":\"tls-reports@sender.example\"," \
		"\"report-id\":\"20261124.0123456789abcdef@sender.example\"," \
		"\"policies\":["
#define STS	"{\"policy\":{\"policy-type\":\"sts\",\"policy-string\":[" \
		"\"version: STSv1\",\"mode: enforce\"," \
		"\"mx: mx1.example.org\",\"mx: *.mail.example.org\"," \
		"\"max_age: 604800\",\"x-broken:  two  blanks\"]," \
		"\"policy-domain\":\"example.org\",\"mx-host\":[" \
		"\"mx1.example.org\",\"*.mail.example.org\"]},"
#define TLSA	"{\"policy\":{\"policy-type\":\"tlsa\",\"policy-string\":[" \
		"\"3 1 1 8CB0FC6C527506A053F4F14C8464BEBBD6DEDE2738D11468DD" \
		"953D7D6A3021F1\",\"2 0 1 1F850A337E6DB9C609C522D136A475638C" \
		"C43E1ED424F8EEC8513D747D1D085D\"]," \
		"\"policy-domain\":\"mx1.example.org\"},"
#define SUMMARY(good, bad) \
		"\"summary\":{\"total-successful-session-count\":" good \
		",\"total-failure-session-count\":" bad "}"
#define STS_FAILURES \
		"\"failure-details\":[" \
		"{\"result-type\":\"certificate-expired\"," \
		"\"sending-mta-ip\":\"192.0.2.9\"," \
		"\"receiving-mx-hostname\":\"mx1.example.org\"," \
		"\"receiving-mx-helo\":\"mx1.example.org\"," \
		"\"receiving-ip\":\"192.0.2.25\"," \
		"\"failed-session-count\":2," \
		"\"failure-reason-code\":\"certificate has expired\"}," \
		"{\"result-type\":\"certificate-host-mismatch\"," \
		"\"sending-mta-ip\":\"2001:db8::9\"," \
		"\"receiving-mx-hostname\":\"a.mail.example.org\"," \
		"\"receiving-ip\":\"2001:db8::25\"," \
		"\"failed-session-count\":1}," \
		"{\"result-type\":\"validation-failure\"," \
		"\"receiving-mx-hostname\":\"evil.example.net\"," \
		"\"failed-session-count\":1," \
		"\"failure-reason-code\":\"sts-mx-mismatch\"}]"
#define TLSA_FAILURES \
		"\"failure-details\":[" \
		"{\"result-type\":\"tlsa-invalid\"," \
		"\"sending-mta-ip\":\"192.0.2.9\"," \
		"\"receiving-mx-hostname\":\"mx1.example.org\"," \
		"\"receiving-mx-helo\":\"mx1.example.org\"," \
		"\"receiving-ip\":\"192.0.2.25\"," \
		"\"failed-session-count\":3," \
		"\"failure-reason-code\":\"dane-no-match\"}]"

static void
one_policy(void **state)
{
	(void)state;
	assert_document("success", BEGIN STS SUMMARY("3", "0") "}]}");
}

/* Before its day is over, and before it is made. */
static void
a_part_of_a_day(void **state)
{
	const struct sample *sample = sample_find("part");
	struct report report = sample_build(sample);
	struct buffer json;

	(void)state;
	report.number = 0;
	json = document(&report, &sample->reporter);
	assert_non_null(strstr(json.text, "\"date-range\":{"
	    "\"start-datetime\":\"2026-11-24T00:00:00Z\","
	    "\"end-datetime\":\"2026-11-24T13:05:07Z\"}"));
	assert_non_null(strstr(json.text, "\"report-id\":"
	    "\"20261124.not-made.example.org@sender.example\""));
	buffer_free(&json);
}

static void
the_tlsa_block(void **state)
{
	(void)state;
	assert_document("tlsa", BEGIN TLSA SUMMARY("0", "3") ","
	    TLSA_FAILURES "}]}");
}

static void
both_policies(void **state)
{
	(void)state;
	assert_document("both", BEGIN STS SUMMARY("12", "3") "," STS_FAILURES
	    "}," TLSA SUMMARY("12", "3") "," TLSA_FAILURES "}]}");
}

static void
no_policy(void **state)
{
	(void)state;
	assert_document("no-policy", BEGIN
	    "{\"policy\":{\"policy-type\":\"no-policy-found\","
	    "\"policy-domain\":\"example.org\"}," SUMMARY("1", "7") ","
	    "\"failure-details\":[{\"result-type\":\"starttls-not-supported\","
	    "\"sending-mta-ip\":\"192.0.2.9\","
	    "\"receiving-mx-hostname\":\"mx.example.org\","
	    "\"receiving-mx-helo\":\"localhost\","
	    "\"receiving-ip\":\"192.0.2.26\",\"failed-session-count\":7}]}]}");
}

static void
failed_fetches(void **state)
{
	(void)state;
	assert_document("fetch", BEGIN
	    "{\"policy\":{\"policy-type\":\"sts\","
	    "\"policy-domain\":\"example.org\"}," SUMMARY("0", "3") ","
	    "\"failure-details\":["
	    "{\"result-type\":\"sts-policy-fetch-error\","
	    "\"failed-session-count\":2,\"failure-reason-code\":\"HTTP 404\"},"
	    "{\"result-type\":\"sts-webpki-invalid\","
	    "\"failed-session-count\":1,\"failure-reason-code\":"
	    "\"certificate has expired\"}]}]}");
}

/* Fields that are NULL are left out like empty ones. */
static void
nothing_known(void **state)
{
	const struct report_failure failure = {
		.result = RESULT_DNSSEC_INVALID, .sessions = 1 };
	const struct report_policy policy = { .block = REPORT_TLSA,
		.domain = "b.example", .failed = 1, .failures = &failure,
		.failures_n = 1 };
	struct report report = { .domain = "b.example", .day = SAMPLE_DAY,
		.number = SAMPLE_NUMBER, .policies = &policy,
		.policies_n = 1 };
	struct buffer json = document(&report, &samples[0].reporter);

	(void)state;
	assert_string_equal(json.text, BEGIN
	    "{\"policy\":{\"policy-type\":\"tlsa\","
	    "\"policy-domain\":\"b.example\"}," SUMMARY("0", "1") ","
	    "\"failure-details\":[{\"result-type\":\"dnssec-invalid\","
	    "\"failed-session-count\":1}]}]}");
	buffer_free(&json);
	report.policies_n = 0;
	json = document(&report, &samples[0].reporter);
	assert_string_equal(json.text, BEGIN "]}");
	buffer_free(&json);
}

/* ---- one text ---- */

static const char *
text_in_document(const char *text, struct buffer *json)
{
	const struct report_failure failure = {
		.result = RESULT_VALIDATION_FAILURE, .reason = text,
		.sessions = 1 };
	const struct report_policy policy = { .block = REPORT_STS,
		.domain = "b.example", .failed = 1, .failures = &failure,
		.failures_n = 1 };
	struct report report = { .domain = "b.example", .day = SAMPLE_DAY,
		.policies = &policy, .policies_n = 1 };
	char *found, *end;

	report_json(&report, &samples[0].reporter, json);
	found = strstr(json->text, "\"failure-reason-code\":");
	assert_non_null(found);
	found += strlen("\"failure-reason-code\":");
	end = strstr(found, "}]}]}");
	assert_non_null(end);
	*end = '\0';
	return found;
}

#define FFFD	"\xef\xbf\xbd"

static void
texts_of_peers(void **state)
{
	static const struct { const char *text, *json; } rows[] = {
		{ "plain", "\"plain\"" },
		{ "say \"x\"\\/", "\"say \\\"x\\\"\\\\/\"" },
		{ "a\r\nb\tc", "\"a\\r\\nb\\tc\"" },
		{ "\x01\x1b\x7f", "\"\\u0001\\u001B\x7f\"" },
		{ "\xc3\xb6 \xe2\x82\xac \xf0\x9f\x98\x80",
		    "\"\xc3\xb6 \xe2\x82\xac \xf0\x9f\x98\x80\"" },
		{ "\xff", "\"" FFFD "\"" },
		{ "a\xffz", "\"a" FFFD "z\"" },
		{ "\xc0\x80", "\"" FFFD FFFD "\"" },
		{ "\xed\xa0\x80", "\"" FFFD FFFD FFFD "\"" },
		{ "\xf4\x90\x80\x80", "\"" FFFD FFFD FFFD FFFD "\"" },
		{ "cut \xe2\x82", "\"cut " FFFD FFFD "\"" },
		/* I-JSON: no noncharacters */
		{ "\xef\xbf\xbe", "\"" FFFD "\"" },
		{ "\xef\xbf\xbf", "\"" FFFD "\"" },
		{ "\xef\xb7\x90", "\"" FFFD "\"" },
		{ "\xef\xb7\xaf", "\"" FFFD "\"" },
		{ "\xf0\x9f\xbf\xbe", "\"" FFFD "\"" },
		{ "\xf4\x8f\xbf\xbf", "\"" FFFD "\"" },
		{ "\xef\xb7\x8f\xef\xb7\xb0\xef\xbf\xbd\xf0\x9f\xbf\xbd",
		    "\"\xef\xb7\x8f\xef\xb7\xb0\xef\xbf\xbd\xf0\x9f\xbf\xbd\""
		},
	};

	(void)state;
	for (size_t i = 0; i < SAMPLE_COUNT(rows); i++) {
		struct buffer json = { 0 };

		assert_string_equal(text_in_document(rows[i].text, &json),
		    rows[i].json);
		buffer_free(&json);
	}
}

/* Every pair of octets: jansson, which is strict, reads it back. */
static void
every_pair(void **state)
{
	const struct sample *sample = sample_find("success");
	struct report report = sample_build(sample);
	struct reporter reporter = sample->reporter;
	char text[3] = "";

	(void)state;
	reporter.organization = text;
	for (unsigned i = 0x0101; i <= 0xffff; i++) {
		struct buffer json;
		json_t *value;

		text[0] = (char)(i >> 8);
		text[1] = (char)(i & 0xff);
		if (text[1] == '\0')
			continue;
		json = document(&report, &reporter);
		value = json_loadb(json.text, json.len,
		    JSON_REJECT_DUPLICATES, NULL);
		assert_non_null(value);
		json_decref(value);
		buffer_free(&json);
	}
}

/* ---- counts, results, TLSA ---- */

static void
counts(void **state)
{
	const struct sample *sample = sample_find("counts");
	struct report report = sample_build(sample);
	struct buffer json = document(&report, &sample->reporter);

	(void)state;
	assert_non_null(strstr(json.text, ":4294967296,"));
	assert_non_null(strstr(json.text, ":9007199254740991,"));
	/* More than that no reader would have exact. */
	assert_null(strstr(json.text, "18446744073709551615"));
	assert_null(strstr(json.text, ":-"));
	assert_non_null(strstr(json.text, "mx1.example.org\"},"
	    SUMMARY("9007199254740991", "0")));
	buffer_free(&json);
}

/* RFC 8460 6.6, in the registry's order. */
static const char *const registered[] = {
	"starttls-not-supported", "certificate-host-mismatch",
	"certificate-expired", "certificate-not-trusted",
	"validation-failure", "tlsa-invalid", "dnssec-invalid",
	"dane-required", "sts-policy-invalid", "sts-webpki-invalid",
	"sts-policy-fetch-error",
};

static void
registered_results(void **state)
{
	const struct sample *sample = sample_find("all-results");
	struct report report = sample_build(sample);
	struct buffer json = document(&report, &sample->reporter);
	json_t *value = json_loadb(json.text, json.len, 0, NULL);
	json_t *details = json_object_get(json_array_get(json_object_get(value,
	    "policies"), 0), "failure-details");
	size_t n = SAMPLE_COUNT(registered);

	(void)state;
	assert_int_equal(json_array_size(details), n + 3);
	for (size_t i = 0; i < json_array_size(details); i++)
		assert_string_equal(json_string_value(json_object_get(
		    json_array_get(details, i), "result-type")),
		    i < n ? registered[i] : "validation-failure");
	json_decref(value);
	buffer_free(&json);
}

static void
every_result_has_a_repair(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 40; i++) {
		const char *repair = report_repair(i);

		assert_non_null(repair);
		assert_true(strlen(repair) > 20);
		assert_int_equal(repair[strlen(repair) - 1], '.');
		if (i > RESULT_STARTTLS_NOT_SUPPORTED &&
		    i <= RESULT_STS_POLICY_FETCH_ERROR)
			assert_string_not_equal(repair, report_repair(i - 1));
	}
}

static void
tlsa_lines(void **state)
{
	static const uint8_t rdata[] = { 3, 1, 255, 0x00, 0x0f, 0xa0, 0xff };
	uint8_t large[4096];
	char text[2 * sizeof(large) + 12];

	(void)state;
	assert_true(report_tlsa_line(rdata, sizeof(rdata), text,
	    sizeof(text)));
	assert_string_equal(text, "3 1 255 000FA0FF");
	for (size_t len = 0; len < 4; len++) {
		strcpy(text, "x");
		assert_false(report_tlsa_line(rdata, len, text,
		    sizeof(text)));
		assert_string_equal(text, "");
	}
	assert_false(report_tlsa_line(rdata, sizeof(rdata), text, 25));
	assert_string_equal(text, "");
	assert_true(report_tlsa_line(rdata, sizeof(rdata), text, 26));
	assert_false(report_tlsa_line(rdata, sizeof(rdata), text, 0));
	memset(large, 0xff, sizeof(large));
	assert_true(report_tlsa_line(large, sizeof(large), text,
	    sizeof(text)));
	assert_int_equal(strlen(text), 12 + 2 * (sizeof(large) - 3));
}

/* ---- gzip ---- */

static void
assert_gunzips(struct slice gzip, struct slice text)
{
	unsigned char *out = malloc(text.len + 1);
	z_stream stream = { 0 };

	assert_non_null(out);
	assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
	stream.next_in = (unsigned char *)(uintptr_t)gzip.at;
	stream.avail_in = (unsigned)gzip.len;
	stream.next_out = out;
	stream.avail_out = (unsigned)text.len + 1;
	assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
	assert_int_equal(stream.avail_in, 0);
	assert_int_equal(stream.total_out, text.len);
	assert_memory_equal(out, text.at, text.len);
	inflateEnd(&stream);
	free(out);
}

static void
gzips(void **state)
{
	static const size_t sizes[] = { 1, 2, 100, 16383, 16384, 16385,
		1 << 20 };
	uint32_t seed = 1;

	(void)state;
	for (size_t i = 0; i < SAMPLE_COUNT(sizes); i++) {
		struct buffer gzip = { 0 }, again = { 0 };
		char *octets = malloc(sizes[i]);
		struct slice text = { octets, sizes[i] };

		assert_non_null(octets);
		/* Half of it cannot be made small. */
		for (size_t k = 0; k < sizes[i]; k++)
			octets[k] = k % 2 ? 'x' : (char)((seed = seed *
			    1664525 + 1013904223) >> 24);
		report_gzip(text, &gzip);
		report_gzip(text, &again);
		/* RFC 1952: no name, no time */
		assert_memory_equal(gzip.text, "\x1f\x8b\x08\0\0\0\0\0", 8);
		assert_int_equal(gzip.len, again.len);
		assert_memory_equal(gzip.text, again.text, gzip.len);
		assert_gunzips((struct slice){ gzip.text, gzip.len }, text);
		buffer_free(&gzip);
		buffer_free(&again);
		free(octets);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		{ "RPT-4-2, RPT-4-3, RPT-4-4, RPT-4.4-1, RPT-4.4-2, "
		    "RPT-4.4-3, RPT-4.4-4, RPT-4.4-7, RPT-4.4-9, RPT-4.5-2, "
		    "RPT-4.2.1-1 one policy, nothing failed", one_policy,
		    NULL, NULL, NULL },
		{ "RPT-4.4-2, RPT-4.4-5 a part of a day, not made yet",
		    a_part_of_a_day, NULL, NULL, NULL },
		{ "RPT-1.1-2, RPT-4.5-1 the tlsa block has no mx-host",
		    the_tlsa_block, NULL, NULL, NULL },
		{ "RPT-4-5, RPT-4-6, RPT-4.2.2-1, RPT-4.4-11, RPT-4.4-19 "
		    "both policies at once", both_policies, NULL, NULL, NULL },
		{ "RPT-4-7, RPT-4.4-6 no policy found", no_policy, NULL, NULL,
		    NULL },
		{ "RPT-4.4-20 a failed fetch has no host or address",
		    failed_fetches, NULL, NULL, NULL },
		{ "RPT-4.4-20 what is not known is left out", nothing_known,
		    NULL, NULL, NULL },
		{ "RPT-4-1, RPT-4.4-21 T50 what peers say is well-formed",
		    texts_of_peers, NULL, NULL, NULL },
		{ "RPT-4.4-21 T50 every pair of octets", every_pair, NULL,
		    NULL, NULL },
		{ "RPT-4.4-16 counts are exact above 2^32", counts, NULL,
		    NULL, NULL },
		{ "RPT-6.6-1, RPT-4.3.3-1 registered result types only",
		    registered_results, NULL, NULL, NULL },
		{ "every result has a repair", every_result_has_a_repair,
		    NULL, NULL, NULL },
		{ "RPT-4.5-1 TLSA records in presentation form", tlsa_lines,
		    NULL, NULL, NULL },
		{ "RPT-5.2-1 gzip, the same for the same", gzips, NULL, NULL,
		    NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("report_document", tests, NULL,
	    NULL);
}
