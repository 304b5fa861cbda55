/*
 * What does a report say to a person?
 *
 * Called for the first part of the mail and by `culverctl report show'.  A
 * few lines for each policy: how many sessions went well and how many did
 * not, what failed most and where, and what would mend it.  The document has
 * all of it; this is what one reads first.  What peers said is made plain
 * here: it starts no line and ends none (trap T50).
 */
#include "reports/report.h"

#include "conf/utf8.h"
#include "policy/policy.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Kinds of failure that are shown, of each policy: the most frequent. */
#define SHOWN_MOST	20
#define WIDTH		72
#define INDENT		"            "

/* ---- text ---- */

/* On one line, harmless on any screen. */
static void
add_plain(struct buffer *out, const char *text)
{
	struct slice rest = slice_of(text);
	unsigned len;

	while (rest.len > 0) {
		len = utf8_length(rest);
		if (len == 0 || utf8_is_control(rest.at, len))
			buffer_add(out, SLICE("?"));
		else
			buffer_add(out, (struct slice){ rest.at, len });
		rest.at += len > 0 ? len : 1;
		rest.len -= len > 0 ? len : 1;
	}
}

/* Words in lines of WIDTH: first stands before the first, next before each
   of the others. */
static void
add_wrapped(struct buffer *out, const char *first, const char *next,
    const char *text)
{
	size_t column = strlen(first);
	struct buffer plain = { 0 };
	struct slice rest, word;
	bool bare = true;

	add_plain(&plain, text);
	rest = (struct slice){ plain.text, plain.len };
	buffer_add(out, slice_of(first));
	while (rest.at != NULL) {
		word = slice_cut(&rest, ' ');
		if (word.len == 0)
			continue;
		if (!bare && column + 1 + word.len > WIDTH) {
			buffer_printf(out, "\n%s", next);
			column = strlen(next);
			bare = true;
		}
		buffer_add(out, bare ? SLICE("") : SLICE(" "));
		buffer_add(out, word);
		column += word.len + !bare;
		bare = false;
	}
	buffer_add(out, SLICE("\n"));
	buffer_free(&plain);
}

/* ---- results ---- */

const char *
report_repair(uint32_t result)
{
	switch (result) {
	case RESULT_STARTTLS_NOT_SUPPORTED:
		return "The server must offer STARTTLS; perhaps its software "
		    "is not set up for it, or something on the way takes the "
		    "offer out.";
	case RESULT_CERTIFICATE_HOST_MISMATCH:
		return "The server needs a certificate that names this host "
		    "as a subjectAltName; or the host is not meant to be in "
		    "the MX records.";
	case RESULT_CERTIFICATE_EXPIRED:
		return "The certificate must be renewed, and the server told "
		    "to use the new one; if it is not valid yet, a clock is "
		    "wrong.";
	case RESULT_CERTIFICATE_NOT_TRUSTED:
		return "The server must send a certificate of a public "
		    "certification authority, with all intermediate "
		    "certificates.";
	case RESULT_TLSA_INVALID:
		return "The TLSA records must fit the certificate in use: "
		    "publish the record of the new key before the key is "
		    "changed; usage 2 or 3 and the right length are needed.";
	case RESULT_DNSSEC_INVALID:
		return "The zone's DNSSEC signatures or its name servers "
		    "must be mended.";
	case RESULT_DANE_REQUIRED:
		return "TLSA records in a zone signed with DNSSEC are "
		    "demanded for this host, and there are none.";
	case RESULT_STS_POLICY_INVALID:
		return "The policy file must be mended: the reason says what "
		    "is wrong with it.";
	case RESULT_STS_WEBPKI_INVALID:
		return "The web server of the policy host needs a valid "
		    "certificate for the name mta-sts and the domain.";
	case RESULT_STS_POLICY_FETCH_ERROR:
		return "The policy file must be there for everybody, as "
		    "text/plain, without a redirect: see that the policy "
		    "host answers.";
	default:
		return "See the reason: a host that the policy does not cover "
		    "(sts-mx-mismatch) needs an mx line there; of a handshake "
		    "that failed the server's own log says more.";
	}
}

/* ---- the table ---- */

/* The same rule as in the document: what is unknown is a failure of
   validation. */
static uint32_t
result_of(const struct report_failure *failure)
{
	if (failure->result < RESULT_STARTTLS_NOT_SUPPORTED ||
	    failure->result > RESULT_STS_POLICY_FETCH_ERROR)
		return RESULT_VALIDATION_FAILURE;
	return failure->result;
}

static bool
is_given(const char *text)
{
	return text != NULL && text[0] != '\0';
}

/* Was it the policy that failed, and no session? */
static bool
is_of_policy(const struct report_failure *failure)
{
	switch (result_of(failure)) {
	case RESULT_STS_POLICY_INVALID:
	case RESULT_STS_WEBPKI_INVALID:
	case RESULT_STS_POLICY_FETCH_ERROR:
		return true;
	default:
		return false;
	}
}

static void
add_reason(struct buffer *out, const char *reason)
{
	const char *words = report_reason(reason);
	struct buffer text = { 0 };

	if (words != NULL)
		buffer_printf(&text, "%s (%s)", words, reason);
	else
		buffer_printf(&text, "%s", reason);
	add_wrapped(out, INDENT "Reason: ", INDENT "  ", text.text);
	buffer_free(&text);
}

static void
add_failure(struct buffer *out, const struct report_failure *failure)
{
	struct buffer text = { 0 };
	char number[32];

	buffer_printf(&text, "%s",
	    tls_result_name((enum tls_result)result_of(failure)));
	if (is_given(failure->host))
		buffer_printf(&text, ": %s", failure->host);
	if (is_given(failure->address))
		buffer_printf(&text, " [%s]", failure->address);
	snprintf(number, sizeof(number), "%10" PRIu64 "  ",
	    failure->sessions);
	add_wrapped(out, number, INDENT "  ", text.text);
	if (is_given(failure->reason))
		add_reason(out, failure->reason);
	buffer_free(&text);
}

/* Which comes after `last' (-1: the first), the most frequent first?  Of
   sessions, or of the policy. */
static int
next_failure(const struct report_policy *policy, int last, bool of_policy)
{
	const struct report_failure *failures = policy->failures;
	int best = -1;

	for (int i = 0; i < (int)policy->failures_n; i++) {
		bool after = last < 0 ||
		    failures[i].sessions < failures[last].sessions ||
		    (failures[i].sessions == failures[last].sessions &&
		    i > last);

		if (is_of_policy(&failures[i]) == of_policy && after &&
		    (best < 0 ||
		    failures[i].sessions > failures[best].sessions))
			best = i;
	}
	return best;
}

/* Which results are there? */
struct results {
	bool	is_there[RESULT_STS_POLICY_FETCH_ERROR + 1];
};

static void
add_failures(struct buffer *out, const struct report_policy *policy,
    bool of_policy, struct results *results)
{
	unsigned all = 0, shown = 0;

	for (unsigned i = 0; i < policy->failures_n; i++)
		all += is_of_policy(&policy->failures[i]) == of_policy;
	for (int i = next_failure(policy, -1, of_policy);
	    i >= 0 && shown < SHOWN_MOST;
	    i = next_failure(policy, i, of_policy), shown++) {
		add_failure(out, &policy->failures[i]);
		results->is_there[result_of(&policy->failures[i])] = true;
	}
	if (all > shown)
		buffer_printf(out, INDENT "and %u more kinds of failure, in "
		    "the report itself\n", all - shown);
}

/* Each repair once. */
static void
add_repairs(struct buffer *out, const struct results *results)
{
	buffer_add(out, SLICE("\n  What would mend it:\n"));
	for (uint32_t result = RESULT_STARTTLS_NOT_SUPPORTED;
	    result <= RESULT_STS_POLICY_FETCH_ERROR; result++) {
		if (!results->is_there[result])
			continue;
		buffer_printf(out, INDENT "%s\n",
		    tls_result_name((enum tls_result)result));
		add_wrapped(out, INDENT "  ", INDENT "  ",
		    report_repair(result));
	}
}

/* ---- a policy ---- */

/* The mode, by the policy's own text; "": that is not known. */
static struct slice
mode_of(const struct report_policy *policy)
{
	struct slice value, name;

	for (unsigned i = 0; i < policy->lines_n; i++) {
		value = slice_of(policy->lines[i]);
		name = slice_trim(slice_cut(&value, ':'));
		if (value.at != NULL && slice_equal(name, SLICE("mode")))
			return slice_trim(value);
	}
	return SLICE("");
}

/* What it meant for the mail of sessions that failed. */
static void
add_mode(struct buffer *out, const struct report_policy *policy,
    uint64_t failed)
{
	struct slice mode = mode_of(policy);

	if (slice_equal(mode, SLICE("testing")))
		buffer_printf(out, "  mode testing%s\n", failed == 0 ? "" :
		    ": mail was delivered all the same");
	else if (slice_equal(mode, SLICE("enforce")))
		buffer_printf(out, "  mode enforce%s\n", failed == 0 ? "" :
		    ": mail was kept until a session succeeded");
}

static void
add_sessions(struct buffer *out, uint64_t n, const char *what)
{
	buffer_printf(out, "%10" PRIu64 "  session%s %s\n", n,
	    n == 1 ? "" : "s", what);
}

static void
add_fetches(struct buffer *out, const struct report_policy *policy,
    uint64_t fetches, struct results *results)
{
	char times[32];

	snprintf(times, sizeof(times), "%" PRIu64 " times", fetches);
	buffer_printf(out, "\n  The policy itself could not be fetched: %s\n",
	    fetches == 1 ? "once" : fetches == 2 ? "twice" : times);
	add_failures(out, policy, true, results);
}

/* In the document each of them is a failed session (RPT-4.3.2.2-3). */
static uint64_t
count_fetches(const struct report_policy *policy)
{
	uint64_t fetches = 0;

	for (unsigned i = 0; i < policy->failures_n; i++)
		if (is_of_policy(&policy->failures[i]))
			fetches += policy->failures[i].sessions;
	return fetches < policy->failed ? fetches : policy->failed;
}

static void
add_title(struct buffer *out, const struct report_policy *policy)
{
	switch (policy->block) {
	case REPORT_STS:
		buffer_add(out, SLICE("\nMTA-STS policy of "));
		break;
	case REPORT_TLSA:
		buffer_add(out, SLICE("\nDANE, TLSA records of "));
		break;
	default:
		buffer_add(out, SLICE("\nNo MTA-STS or DANE policy, "));
	}
	add_plain(out, policy->domain);
	buffer_add(out, SLICE("\n"));
}

static void
add_policy(struct buffer *out, const struct report_policy *policy)
{
	uint64_t fetches = count_fetches(policy);
	uint64_t failed = policy->failed - fetches;
	struct results results = { { false } };

	add_title(out, policy);
	if (policy->block == REPORT_STS)
		add_mode(out, policy, failed);
	if (policy->succeeded + failed > 0 || fetches == 0) {
		add_sessions(out, policy->succeeded, "succeeded");
		add_sessions(out, failed, "failed");
	}
	if (failed > 0 && policy->failures_n > 0) {
		buffer_add(out, SLICE("\n  Sessions  What failed, and "
		    "where\n"));
		add_failures(out, policy, false, &results);
	}
	if (fetches > 0)
		add_fetches(out, policy, fetches, &results);
	if (policy->failures_n > 0)
		add_repairs(out, &results);
}

/* ---- the whole ---- */

/* What this is, and why it came. */
static void
add_opening(struct buffer *out, const struct report *report,
    const struct reporter *reporter)
{
	struct buffer text = { 0 };

	buffer_printf(&text, "This is how TLS went when %s sent mail to %s.",
	    reporter->domain, report->domain);
	if (report->number != 0)
		buffer_printf(&text, " You receive this because the record "
		    "_smtp._tls.%s asks for it.", report->domain);
	if (report_is_partial(report))
		buffer_printf(&text, " It is a part of a day; the day's own "
		    "report follows when the day is over.");
	add_wrapped(out, "", "", text.text);
	buffer_free(&text);
}

static void
add_day(struct buffer *out, const struct report *report)
{
	int second = (int)(report_end_s(report) % DAY_S);
	char day[DAY_TEXT_MAX];

	buffer_printf(out, "\nDay:        %s, ", day_print(report->day, day));
	if (report_is_partial(report))
		buffer_printf(out, "so far, until %02d:%02d:%02d UTC\n",
		    second / 3600, second / 60 % 60, second % 60);
	else
		buffer_add(out, SLICE("00:00 to 24:00 UTC\n"));
}

/* RPT-5.3-2 RFC 8460 5.3: the part for people. */
void
report_words(const struct report *report, const struct reporter *reporter,
    struct buffer *text)
{
	char id[REPORT_ID_MAX];

	buffer_printf(text, "TLS report for %s\n\n", report->domain);
	add_opening(text, report, reporter);
	add_day(text, report);
	buffer_add(text, SLICE("Reporter:   "));
	add_plain(text, reporter->organization);
	buffer_add(text, SLICE("\nContact:    "));
	add_plain(text, reporter->contact);
	buffer_printf(text, "\nReport-ID:  %s\n", report->number == 0 ?
	    "not made yet" : report_id(report, reporter, id));
	for (unsigned i = 0; i < report->policies_n; i++)
		add_policy(text, &report->policies[i]);
}
