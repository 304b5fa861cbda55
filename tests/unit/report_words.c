/*
 * reports/summary.c: the same for people.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "report_samples.h"

#include <stdlib.h>

static struct buffer
words(const struct report *report, const struct reporter *reporter)
{
	struct buffer text = { 0 };

	report_words(report, reporter, &text);
	return text;
}

static struct buffer
words_of(const char *name)
{
	const struct sample *sample = sample_find(name);
	struct report report = sample_build(sample);

	return words(&report, &sample->reporter);
}

static void
a_report_to_read(void **state)
{
	struct buffer text = words_of("both");

	(void)state;
	assert_string_equal(text.text,
"TLS report for example.org\n"
"\n"
"This is how TLS went when sender.example sent mail to example.org. You\n"
"receive this because the record _smtp._tls.example.org asks for it.\n"
"\n"
"Day:        2026-11-24, 00:00 to 24:00 UTC\n"
"Reporter:   Example Relay\n"
"Contact:    tls-reports@sender.example\n"
"Report-ID:  20261124.0123456789abcdef@sender.example\n"
"\n"
"MTA-STS policy of example.org\n"
"  mode enforce: mail was kept until a session succeeded\n"
"        12  sessions succeeded\n"
"         3  sessions failed\n"
"\n"
"  Sessions  What failed, and where\n"
"         2  certificate-expired: mx1.example.org [192.0.2.25]\n"
"            Reason: certificate has expired\n"
"         1  certificate-host-mismatch: a.mail.example.org [2001:db8::25]\n"
"         1  validation-failure: evil.example.net\n"
"            Reason: the MX records name this host, and the policy does\n"
"              not (sts-mx-mismatch)\n"
"\n"
"  What would mend it:\n"
"            certificate-host-mismatch\n"
"              The server needs a certificate that names this host as a\n"
"              subjectAltName; or the host is not meant to be in the MX\n"
"              records.\n"
"            certificate-expired\n"
"              The certificate must be renewed, and the server told to\n"
"              use the new one; if it is not valid yet, a clock is wrong.\n"
"            validation-failure\n"
"              See the reason: a host that the policy does not cover\n"
"              (sts-mx-mismatch) needs an mx line there; of a handshake\n"
"              that failed the server's own log says more.\n"
"\n"
"DANE, TLSA records of mx1.example.org\n"
"        12  sessions succeeded\n"
"         3  sessions failed\n"
"\n"
"  Sessions  What failed, and where\n"
"         3  tlsa-invalid: mx1.example.org [192.0.2.25]\n"
"            Reason: the certificate matches no TLSA record\n"
"              (dane-no-match)\n"
"\n"
"  What would mend it:\n"
"            tlsa-invalid\n"
"              The TLSA records must fit the certificate in use: publish\n"
"              the record of the new key before the key is changed; usage\n"
"              2 or 3 and the right length are needed.\n");
	buffer_free(&text);
}

static void
nothing_failed(void **state)
{
	struct buffer text = words_of("success");
	struct buffer none = words_of("no-policy");

	(void)state;
	assert_non_null(strstr(text.text, "\nMTA-STS policy of example.org\n"
	    "  mode enforce\n"
	    "         3  sessions succeeded\n         0  sessions failed\n"));
	assert_null(strstr(text.text, "What"));
	assert_non_null(strstr(none.text, "         1  session succeeded\n"));
	assert_non_null(strstr(none.text,
	    "\nNo MTA-STS or DANE policy, example.org\n"));
	buffer_free(&text);
	buffer_free(&none);
}

/* Before it is made nobody receives it, and it has no id. */
static void
not_made_yet(void **state)
{
	const struct sample *sample = sample_find("part");
	struct report report = sample_build(sample);
	struct buffer text;

	(void)state;
	text = words(&report, &sample->reporter);
	assert_non_null(strstr(text.text, "\nis a part of a day; the day's "
	    "own report follows when the day is over.\n"));
	assert_non_null(strstr(text.text, "\nDay:        2026-11-24, so far, "
	    "until 13:05:07 UTC\n"));
	buffer_free(&text);
	report.number = 0;
	text = words(&report, &sample->reporter);
	assert_non_null(strstr(text.text, "Report-ID:  not made yet\n"));
	assert_null(strstr(text.text, "0000"));
	assert_null(strstr(text.text, "You"));
	buffer_free(&text);
}

/* A policy that could not be fetched is no session. */
static void
fetches(void **state)
{
	static const struct report_failure failures[] = {
		{ RESULT_STS_POLICY_FETCH_ERROR, "HTTP 500", "", "", "", "",
		    1 },
		{ RESULT_CERTIFICATE_EXPIRED, "X509_V_ERR_CERT_HAS_EXPIRED",
		    "", "mx.example.org", "", "192.0.2.25", 2 },
	};
	static const char *lines[] = { "version: STSv1", "mode :\ttesting " };
	struct report_policy policy = { .block = REPORT_STS,
		.domain = "b.example", .lines = lines, .lines_n = 2,
		.succeeded = 1, .failed = 3, .failures = failures,
		.failures_n = 2 };
	struct report report = { .domain = "b.example", .day = SAMPLE_DAY,
		.policies = &policy, .policies_n = 1 };
	struct buffer text = words(&report, &samples[0].reporter);
	struct buffer alone = words_of("fetch");

	(void)state;
	assert_non_null(strstr(text.text, "MTA-STS policy of b.example\n"
	    "  mode testing: mail was delivered all the same\n"
	    "         1  session succeeded\n"
	    "         2  sessions failed\n"
	    "\n"
	    "  Sessions  What failed, and where\n"
	    "         2  certificate-expired: mx.example.org [192.0.2.25]\n"
	    "            Reason: the certificate's time is over\n"
	    "              (X509_V_ERR_CERT_HAS_EXPIRED)\n"
	    "\n"
	    "  The policy itself could not be fetched: once\n"
	    "         1  sts-policy-fetch-error\n"
	    "            Reason: HTTP 500\n"
	    "\n"
	    "  What would mend it:\n"));
	assert_non_null(strstr(alone.text, "MTA-STS policy of example.org\n"
	    "\n"
	    "  The policy itself could not be fetched: 3 times\n"
	    "         2  sts-policy-fetch-error\n"));
	assert_null(strstr(alone.text, "session"));
	buffer_free(&text);
	buffer_free(&alone);
}

static void
reasons(void **state)
{
	(void)state;
	assert_string_equal(report_reason("X509_V_ERR_HOSTNAME_MISMATCH"),
	    "the certificate does not name this host");
	assert_string_equal(report_reason("dane-all-unusable"),
	    "none of the TLSA records can be used");
	assert_null(report_reason("connection closed by the peer"));
	assert_null(report_reason(""));
}

/* T50: one line each, whatever a peer says; and nothing but UTF-8. */
static void
hostile_texts(void **state)
{
	struct buffer text = words_of("hostile");
	struct buffer other = words_of("organization");

	(void)state;
	for (size_t i = 0; i < text.len; i++)
		assert_true(text.text[i] == '\n' ||
		    (unsigned char)text.text[i] >= 0x20);
	assert_null(strchr(text.text, '\x7f'));
	assert_null(strstr(text.text, "\nTwo: three"));
	assert_null(strstr(text.text, "\n--"));
	assert_null(strstr(text.text, "\nFrom"));
	assert_null(strchr(text.text, '\xff'));
	assert_non_null(strstr(text.text, "one?" "?Two: three?" "?" "?"
	    "?--=_culver/"));
	assert_null(strstr(other.text, "\n--"));
	buffer_free(&text);
	buffer_free(&other);
}

/* 2,000 kinds of failure are a small table all the same, the most frequent
   first; equal ones in their order. */
static void
the_most_frequent(void **state)
{
	static struct report_failure failures[2000];
	struct report_policy policy = { .block = REPORT_STS,
		.domain = "b.example", .failed = 5000, .failures = failures,
		.failures_n = SAMPLE_COUNT(failures) };
	struct report report = { .domain = "b.example", .day = SAMPLE_DAY,
		.policies = &policy, .policies_n = 1 };
	struct buffer text;
	static char hosts[SAMPLE_COUNT(failures)][32];
	const char *first, *second, *third;

	(void)state;
	for (size_t i = 0; i < SAMPLE_COUNT(failures); i++) {
		snprintf(hosts[i], sizeof(hosts[i]), "mx%zu.example", i);
		failures[i] = (struct report_failure){
			.result = RESULT_CERTIFICATE_EXPIRED,
			.host = hosts[i], .sessions = i == 1234 ? 99 :
			    i == 77 || i == 1777 ? 50 : 1 };
	}
	text = words(&report, &samples[0].reporter);
	first = strstr(text.text, "        99  certificate-expired: "
	    "mx1234.example\n");
	second = strstr(text.text, "mx77.example\n");
	third = strstr(text.text, "mx1777.example\n");
	assert_true(first != NULL && first < second && second < third);
	assert_non_null(strstr(text.text, "mx16.example\n"));
	assert_null(strstr(text.text, "mx17.example\n"));
	assert_non_null(strstr(text.text, "and 1980 more kinds of failure"));
	assert_true(text.len < 4000);
	buffer_free(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		{ "RPT-5.3-2 a report to read", a_report_to_read, NULL, NULL,
		    NULL },
		{ "nothing failed", nothing_failed, NULL, NULL, NULL },
		{ "a part of a day, and what is not made yet", not_made_yet,
		    NULL, NULL, NULL },
		{ "a policy that could not be fetched is no session",
		    fetches, NULL, NULL, NULL },
		{ "reasons in plain words", reasons, NULL, NULL, NULL },
		{ "T50 hostile texts", hostile_texts, NULL, NULL, NULL },
		{ "T40 the most frequent failures", the_most_frequent, NULL,
		    NULL, NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("report_words", tests, NULL, NULL);
}
