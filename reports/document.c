/*
 * What does a report look like to a program?  (RFC 8460 4.4)
 *
 * Called when a report is made and when it is shown.  jansson keeps members
 * in the order in which they are set here, so one report is one text.  What
 * peers said was bounded and made one line when it was counted; here it is
 * made fit for I-JSON whatever it is (trap T50).  It counts nothing, and says
 * nothing that was not counted (RPT-8-1 RFC 8460 8).
 */
#include "reports/report.h"

#include "conf/log.h"
#include "conf/stamp.h"
#include "conf/utf8.h"
#include "policy/policy.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* RFC 7493 2.2: up to here every reader has integers exact. */
#define COUNT_MOST	((UINT64_C(1) << 53) - 1)

/* ---- values ---- */

/* RFC 7493 2.1: code points that are no characters and never will be. */
static bool
is_noncharacter(const char *at, unsigned len)
{
	const unsigned char *octets = (const unsigned char *)at;

	if (len == 3 && octets[0] == 0xef)
		return (octets[1] == 0xb7 && octets[2] >= 0x90 &&
		    octets[2] <= 0xaf) ||
		    (octets[1] == 0xbf && octets[2] >= 0xbe);
	return len == 4 && (octets[1] & 0x0f) == 0x0f && octets[2] == 0xbf &&
	    octets[3] >= 0xbe;
}

/* RPT-4-1 RFC 8460 4, RPT-4.4-21 RFC 8460 4.4: always well-formed UTF-8. */
static json_t *
text_value(const char *text)
{
	struct slice rest = slice_of(text);
	struct buffer clean = { 0 };
	json_t *value;
	unsigned len;

	while (rest.len > 0) {
		len = utf8_length(rest);
		if (len == 0 || is_noncharacter(rest.at, len))
			buffer_add(&clean, SLICE("\xef\xbf\xbd"));
		else
			buffer_add(&clean, (struct slice){ rest.at, len });
		rest.at += len > 0 ? len : 1;
		rest.len -= len > 0 ? len : 1;
	}
	value = json_stringn(clean.len > 0 ? clean.text : "", clean.len);
	buffer_free(&clean);
	return value;
}

static void
set(json_t *object, const char *name, json_t *value)
{
	if (json_object_set_new(object, name, value) != 0)
		bug("member %s", name);
}

static void
set_text(json_t *object, const char *name, const char *text)
{
	set(object, name, text_value(text));
}

/* RPT-4.4-20 RFC 8460 4.4: what is not known is left out. */
static void
set_known(json_t *object, const char *name, const char *text)
{
	if (text != NULL && text[0] != '\0')
		set_text(object, name, text);
}

/* RPT-4.4-16 RFC 8460 4.4: an integer, exact above 2^32. */
static void
set_count(json_t *object, const char *name, uint64_t count)
{
	if (count > COUNT_MOST)
		count = COUNT_MOST;
	set(object, name, json_integer((json_int_t)count));
}

static void
append(json_t *array, json_t *value)
{
	if (json_array_append_new(array, value) != 0)
		bug("array in a report");
}

/* An array of strings; left out when it would be empty. */
static void
set_texts(json_t *object, const char *name, const char *const *texts,
    unsigned n)
{
	json_t *array;

	if (n == 0)
		return;
	array = json_array();
	for (unsigned i = 0; i < n; i++)
		append(array, text_value(texts[i]));
	set(object, name, array);
}

/* ---- the document ---- */

/*
 * RFC 8460 4.4.  RPT-4.4-7, RPT-4.5-2: policy-string has a string for each
 * line of a policy, each TLSA record; RPT-4.4-9, ruling 26: mx-host is an
 * array, and only a policy of MTA-STS has one; RPT-4.4-8, RPT-4.4-10:
 * A-labels, as domains are everywhere.
 */
static json_t *
policy_value(const struct report_policy *policy)
{
	json_t *value = json_object();

	/* RPT-4-4, RPT-4-7 RFC 8460 4 */
	set_text(value, "policy-type", report_block_name(policy->block));
	if (policy->block != REPORT_NO_POLICY)
		set_texts(value, "policy-string", policy->lines,
		    policy->lines_n);
	set_text(value, "policy-domain", policy->domain);
	if (policy->block == REPORT_STS)
		set_texts(value, "mx-host", policy->mx, policy->mx_n);
	return value;
}

/* RPT-4.2.1-1 RFC 8460 4.2.1, RPT-4.2.2-1 RFC 8460 4.2.2 */
static json_t *
summary_value(const struct report_policy *policy)
{
	json_t *value = json_object();

	set_count(value, "total-successful-session-count", policy->succeeded);
	set_count(value, "total-failure-session-count", policy->failed);
	return value;
}

/*
 * RPT-6.6-1 RFC 8460 6.6, RPT-4.4-11 RFC 8460 4.4: registered types only;
 * RPT-4.3.3-1 RFC 8460 4.3.3: what is none of them is validation-failure.
 */
static const char *
result_type(uint32_t result)
{
	if (result < RESULT_STARTTLS_NOT_SUPPORTED ||
	    result > RESULT_STS_POLICY_FETCH_ERROR)
		result = RESULT_VALIDATION_FAILURE;
	return tls_result_name((enum tls_result)result);
}

/* RPT-4.4-17, RPT-4.4-19 RFC 8460 4.4 */
static json_t *
failure_value(const struct report_failure *failure)
{
	json_t *value = json_object();

	set_text(value, "result-type", result_type(failure->result));
	set_known(value, "sending-mta-ip", failure->local);
	set_known(value, "receiving-mx-hostname", failure->host);
	set_known(value, "receiving-mx-helo", failure->helo);
	set_known(value, "receiving-ip", failure->address);
	set_count(value, "failed-session-count", failure->sessions);
	set_known(value, "failure-reason-code", failure->reason);
	return value;
}

/* RPT-4-6 RFC 8460 4: an entry for each kind of failure. */
static json_t *
block_value(const struct report_policy *policy)
{
	json_t *value = json_object(), *details;

	set(value, "policy", policy_value(policy));
	set(value, "summary", summary_value(policy));
	if (policy->failures_n == 0)
		return value;
	details = json_array();
	for (unsigned i = 0; i < policy->failures_n; i++)
		append(details, failure_value(&policy->failures[i]));
	set(value, "failure-details", details);
	return value;
}

/*
 * RPT-4.1-1 RFC 8460 4.1, RPT-4.4-3 RFC 8460 4.4, ruling 22: a UTC day; or
 * what is over of it.
 */
static json_t *
range_value(const struct report *report)
{
	uint64_t begin_ms = (uint64_t)report->day * DAY_S * 1000;
	char stamp[STAMP_MAX];
	json_t *value = json_object();

	set_text(value, "start-datetime", stamp_json(begin_ms, stamp));
	set_text(value, "end-datetime",
	    stamp_json((uint64_t)report_end_s(report) * 1000, stamp));
	return value;
}

/* RPT-4.4-1 RFC 8460 4.4: names and nesting of the RFC, in its order. */
static json_t *
report_value(const struct report *report, const struct reporter *reporter)
{
	json_t *value = json_object(), *policies = json_array();
	char id[REPORT_ID_MAX];

	/* RPT-4-3 RFC 8460 4 */
	set_text(value, "organization-name", reporter->organization);
	/* RPT-4.4-2 */
	set(value, "date-range", range_value(report));
	/* RPT-4.4-4, RPT-4.4-5 RFC 8460 4.4 */
	set_text(value, "contact-info", reporter->contact);
	set_text(value, "report-id", report_id(report, reporter, id));
	/* RPT-4-2, RPT-4-5 RFC 8460 4: always an array, a block a policy */
	for (unsigned i = 0; i < report->policies_n; i++)
		append(policies, block_value(&report->policies[i]));
	set(value, "policies", policies);
	return value;
}

static int
add_octets(const char *octets, size_t len, void *json)
{
	buffer_add(json, (struct slice){ octets, len });
	return 0;
}

void
report_json(const struct report *report, const struct reporter *reporter,
    struct buffer *json)
{
	json_t *value;

	/* No memory ends the program, as everywhere; and no file is read for
	   a seed: the names of all members are ours. */
	json_set_alloc_funcs(mem_alloc, free);
	json_object_seed((size_t)report->number | 1);
	value = report_value(report, reporter);
	if (json_dump_callback(value, add_octets, json, JSON_COMPACT) != 0)
		bug("a report that is no JSON");
	json_decref(value);
}

/* ---- a TLSA record ---- */

/* RPT-4.5-1 RFC 8460 4.5: no blanks inside the data. */
bool
report_tlsa_line(const uint8_t *rdata, size_t len, char *text, size_t size)
{
	char *at = text;

	if (size > 0)
		text[0] = '\0';
	if (len < 4 || size < 2 * len + 12)
		return false;
	at += sprintf(at, "%u %u %u ", rdata[0], rdata[1], rdata[2]);
	for (size_t i = 3; i < len; i++)
		at += sprintf(at, "%02X", rdata[i]);
	return true;
}
