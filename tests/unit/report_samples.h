/*
 * Reports for tests: of each policy type, both at once, with counts and texts
 * at their limits.  sample_build makes one of the table; what it borrows is
 * static.  report_mime writes all of them to a folder for report_forms.py.
 */
#ifndef REPORT_SAMPLES_H
#define REPORT_SAMPLES_H

#include "policy/policy.h"
#include "reports/report.h"

#include <stdio.h>
#include <string.h>

#define SAMPLE_COUNT(array)	(sizeof(array) / sizeof((array)[0]))
#define SAMPLE_DAY		20781		/* 2026-11-24 */
#define SAMPLE_NOW_S		INT64_C(1795579200)	/* 25th, 04:00 UTC */
#define SAMPLE_NUMBER		UINT64_C(0x0123456789abcdef)

/* 253 octets, the longest name in DNS. */
#define LABEL_60	"a23456789b123456789c123456789d" \
			"123456789e123456789f12345678-g"
#define LONG_1		LABEL_60 "." LABEL_60 "." LABEL_60 "." LABEL_60 \
			".example1"
#define LONG_2		LABEL_60 "." LABEL_60 "." LABEL_60 "." LABEL_60 \
			".example2"

static const char *const sample_sts_lines[] = {
	"version: STSv1", "mode: enforce", "mx: mx1.example.org",
	"mx: *.mail.example.org", "max_age: 604800", "x-broken:  two  blanks",
};
static const char *const sample_old_lines[] = {
	"version: STSv1", "mode: testing", "mx: old.example.org",
	"max_age: 86400",
};
static const char *const sample_mx[] = {
	"mx1.example.org", "*.mail.example.org",
};
static const char *const sample_old_mx[] = { "old.example.org" };
static const char *const sample_tlsa_lines[] = {
	"3 1 1 8CB0FC6C527506A053F4F14C8464BEBB"
	    "D6DEDE2738D11468DD953D7D6A3021F1",
	"2 0 1 1F850A337E6DB9C609C522D136A47563"
	    "8CC43E1ED424F8EEC8513D747D1D085D",
};

static const struct report_failure sample_sts_failures[] = {
	{ RESULT_CERTIFICATE_EXPIRED, "certificate has expired", "192.0.2.9",
	    "mx1.example.org", "mx1.example.org", "192.0.2.25", 2 },
	{ RESULT_CERTIFICATE_HOST_MISMATCH, "", "2001:db8::9",
	    "a.mail.example.org", "", "2001:db8::25", 1 },
	{ RESULT_VALIDATION_FAILURE, "sts-mx-mismatch", "", "evil.example.net",
	    "", "", 1 },
};
static const struct report_failure sample_tlsa_failures[] = {
	{ RESULT_TLSA_INVALID, "dane-no-match", "192.0.2.9",
	    "mx1.example.org", "mx1.example.org", "192.0.2.25", 3 },
};
static const struct report_failure sample_clear_failures[] = {
	{ RESULT_STARTTLS_NOT_SUPPORTED, "", "192.0.2.9", "mx.example.org",
	    "localhost", "192.0.2.26", 7 },
};
static const struct report_failure sample_fetch_failures[] = {
	{ RESULT_STS_POLICY_FETCH_ERROR, "HTTP 404", "", "", "", "", 2 },
	{ RESULT_STS_WEBPKI_INVALID, "certificate has expired", "", "", "",
	    "", 1 },
};
/* Each that is registered, and three that are not. */
static const struct report_failure sample_all_failures[] = {
	{ RESULT_STARTTLS_NOT_SUPPORTED, "", "", "", "", "", 1 },
	{ RESULT_CERTIFICATE_HOST_MISMATCH, "", "", "", "", "", 1 },
	{ RESULT_CERTIFICATE_EXPIRED, "", "", "", "", "", 1 },
	{ RESULT_CERTIFICATE_NOT_TRUSTED, "self-signed certificate", "", "",
	    "", "", 1 },
	{ RESULT_VALIDATION_FAILURE, "454 4.7.0 no", "", "", "", "", 1 },
	{ RESULT_TLSA_INVALID, "", "", "", "", "", 1 },
	{ RESULT_DNSSEC_INVALID, "", "", "", "", "", 1 },
	{ RESULT_DANE_REQUIRED, "", "", "", "", "", 1 },
	{ RESULT_STS_POLICY_INVALID, "", "", "", "", "", 1 },
	{ RESULT_STS_WEBPKI_INVALID, "", "", "", "", "", 1 },
	{ RESULT_STS_POLICY_FETCH_ERROR, "", "", "", "", "", 1 },
	{ 13, "unregistered", "", "", "", "", 1 },
	{ UINT32_MAX, "far off", "", "", "", "", 1 },
	{ RESULT_NONE, "none", "", "", "", "", 1 },
};
/* T50: what a hostile server may say. */
#define BOUNDARY_TEXT	"--=_culver/0123456789abcdef--"
static const struct report_failure sample_hostile_failures[] = {
	{ RESULT_VALIDATION_FAILURE, "\"}],\"policies\":[{\"x\":\"\\u0000",
	    "192.0.2.9", "mx.example.org", "say \"hello\"\\", "192.0.2.66",
	    1 },
	{ RESULT_VALIDATION_FAILURE, "one\r\nTwo: three\r\n\r\n"
	    BOUNDARY_TEXT "\r\n", "192.0.2.9", "mx.example.org",
	    "\n" BOUNDARY_TEXT "\nFrom x", "192.0.2.67", 1 },
	{ RESULT_VALIDATION_FAILURE, "\xff\xc0\x80\xed\xa0\x80\xf4\x90\x80"
	    "\x80 end", "192.0.2.9", "mx.example.org", "\x01\x1b[31m\x7f",
	    "192.0.2.68", 1 },
	{ RESULT_VALIDATION_FAILURE, "\xef\xbf\xbe \xef\xb7\x90 "
	    "\xf0\x9f\xbf\xbf \xc2\x85 \xe2\x80\xa8 \xe2\x80\xae",
	    "192.0.2.9", "mx.example.org", "\xe2\x82\xac \xf0\x9f\x98\x80",
	    "192.0.2.69", 1 },
	{ RESULT_VALIDATION_FAILURE, BOUNDARY_TEXT " " BOUNDARY_TEXT " "
	    BOUNDARY_TEXT " " BOUNDARY_TEXT " " BOUNDARY_TEXT " "
	    BOUNDARY_TEXT " " BOUNDARY_TEXT, "192.0.2.9", "mx.example.org",
	    ".", "192.0.2.70", 1 },
	{ RESULT_VALIDATION_FAILURE, "cut in a character \xe2\x82",
	    "192.0.2.9", "mx.example.org", "", "192.0.2.71", 1 },
};
static const char *const sample_hostile_lines[] = {
	"version: STSv1", "mode: \"enforce\"\\", "mx: \xff\xfe", "x: \x01",
	"\xef\xbb\xbf" "max_age: 1",
};

#define LINES(array)	.lines = (const char **)(uintptr_t)(array), \
			.lines_n = SAMPLE_COUNT(array)
#define MX(array)	.mx = (const char **)(uintptr_t)(array), \
			.mx_n = SAMPLE_COUNT(array)
#define FAILURES(array)	.failures = (array), \
			.failures_n = SAMPLE_COUNT(array)

static const struct report_policy sample_success[] = {
	{ .block = REPORT_STS, .domain = "example.org",
	    LINES(sample_sts_lines), MX(sample_mx), .succeeded = 3 },
};
static const struct report_policy sample_both[] = {
	{ .block = REPORT_STS, .domain = "example.org",
	    LINES(sample_sts_lines), MX(sample_mx), .succeeded = 12,
	    .failed = 3, FAILURES(sample_sts_failures) },
	{ .block = REPORT_TLSA, .domain = "mx1.example.org",
	    LINES(sample_tlsa_lines), .succeeded = 12, .failed = 3,
	    FAILURES(sample_tlsa_failures) },
};
/* mx is no matter of DANE: it must not come out. */
static const struct report_policy sample_tlsa[] = {
	{ .block = REPORT_TLSA, .domain = "mx1.example.org",
	    LINES(sample_tlsa_lines), MX(sample_mx), .failed = 3,
	    FAILURES(sample_tlsa_failures) },
};
static const struct report_policy sample_no_policy[] = {
	{ .block = REPORT_NO_POLICY, .domain = "example.org",
	    LINES(sample_sts_lines), MX(sample_mx), .succeeded = 1,
	    .failed = 7, FAILURES(sample_clear_failures) },
};
static const struct report_policy sample_versions[] = {
	{ .block = REPORT_STS, .domain = "example.org",
	    LINES(sample_old_lines), MX(sample_old_mx), .succeeded = 5 },
	{ .block = REPORT_STS, .domain = "example.org",
	    LINES(sample_sts_lines), MX(sample_mx), .succeeded = 6 },
};
static const struct report_policy sample_fetch[] = {
	{ .block = REPORT_STS, .domain = "example.org", .failed = 3,
	    FAILURES(sample_fetch_failures) },
};
static const struct report_policy sample_all[] = {
	{ .block = REPORT_STS, .domain = "example.org",
	    LINES(sample_sts_lines), MX(sample_mx), .failed = 14,
	    FAILURES(sample_all_failures) },
};
static const struct report_policy sample_hostile[] = {
	{ .block = REPORT_STS, .domain = "example.org",
	    LINES(sample_hostile_lines), .failed = 6,
	    FAILURES(sample_hostile_failures) },
};
static const struct report_policy sample_counts[] = {
	{ .block = REPORT_STS, .domain = "example.org",
	    LINES(sample_sts_lines), MX(sample_mx),
	    .succeeded = UINT64_C(4294967296) },
	{ .block = REPORT_NO_POLICY, .domain = "example.org",
	    .succeeded = UINT64_C(9007199254740991) },
	{ .block = REPORT_TLSA, .domain = "mx1.example.org",
	    .succeeded = UINT64_MAX },
};
static const struct report_policy sample_long[] = {
	{ .block = REPORT_STS, .domain = LONG_1, .succeeded = 1 },
};
static const struct report_policy sample_idn[] = {
	{ .block = REPORT_STS, .domain = "xn--mller-kva.example",
	    .succeeded = 1 },
};

#define SAMPLE_REPORTER	{ "Example Relay", "tls-reports@sender.example", \
			    "sender.example", "tls-reports@sender.example", \
			    "relay.sender.example" }

static const struct sample {
	const char			*name;
	const char			*domain;
	const struct report_policy	*policies;
	unsigned			 policies_n;
	struct reporter			 reporter;
	const char			*to;
} samples[] = {
	{ "success", "example.org", sample_success, 1, SAMPLE_REPORTER,
	    "tls@example.org" },
	{ "both", "example.org", sample_both, 2, SAMPLE_REPORTER,
	    "\"a,b\"@c.example" },
	{ "tlsa", "mx1.example.org", sample_tlsa, 1, SAMPLE_REPORTER,
	    "r+x@d.example" },
	{ "no-policy", "example.org", sample_no_policy, 1, SAMPLE_REPORTER,
	    "tls@[192.0.2.1]" },
	{ "versions", "example.org", sample_versions, 2, SAMPLE_REPORTER,
	    "tls@example.org" },
	{ "fetch", "example.org", sample_fetch, 1, SAMPLE_REPORTER,
	    "tls@example.org" },
	{ "all-results", "example.org", sample_all, 1, SAMPLE_REPORTER,
	    "tls@example.org" },
	{ "hostile", "example.org", sample_hostile, 1, SAMPLE_REPORTER,
	    "tls@example.org" },
	{ "counts", "example.org", sample_counts, 3, SAMPLE_REPORTER,
	    "tls@example.org" },
	{ "idn", "xn--mller-kva.example", sample_idn, 1, SAMPLE_REPORTER,
	    "tls@xn--mller-kva.example" },
	{ "organization", "example.org", sample_success, 1,
	    { "Example & S\xc3\xb6hne \xe2\x80\xa8 \"\\ " BOUNDARY_TEXT
	    "\r\n" BOUNDARY_TEXT, "tls-reports@sender.example",
	    "sender.example", "tls-reports@sender.example",
	    "relay.sender.example" }, "tls@example.org" },
	{ "no-hostname", "example.org", sample_both, 2,
	    { "Example Relay", "tls-reports@sender.example",
	    "sender.example", "tls-reports@sender.example", "" },
	    "tls@example.org" },
	/* In the course of its day: sample_build. */
	{ "part", "example.org", sample_both, 2, SAMPLE_REPORTER,
	    "tls@example.org" },
	{ "long-names", LONG_1, sample_long, 1,
	    { "Example Relay", "tls-reports@" LONG_2, LONG_2,
	    "tls-reports@" LONG_2, LONG_2 }, "tls-reports@" LONG_1 },
};

static inline struct report
sample_build(const struct sample *sample)
{
	struct report report = { .day = SAMPLE_DAY, .number = SAMPLE_NUMBER,
		.policies = sample->policies,
		.policies_n = sample->policies_n };

	snprintf(report.domain, sizeof(report.domain), "%s", sample->domain);
	if (strcmp(sample->name, "part") == 0)	/* 13:05:07 */
		report.until_s = (int64_t)SAMPLE_DAY * DAY_S + 47107;
	return report;
}

static inline const struct sample *
sample_find(const char *name)
{
	for (size_t i = 0; i < SAMPLE_COUNT(samples); i++)
		if (strcmp(samples[i].name, name) == 0)
			return &samples[i];
	return NULL;
}

#endif
