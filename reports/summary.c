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

/* Words in lines of WIDTH, each behind INDENT; label stands before the
   first. */
static void
add_wrapped(struct buffer *out, const char *label, const char *text)
{
	struct buffer plain = { 0 };
	struct slice rest, word;
	size_t start = out->len;

	add_plain(&plain, text);
	rest = (struct slice){ plain.text, plain.len };
	buffer_printf(out, INDENT "%s", label);
	while (rest.at != NULL) {
		word = slice_cut(&rest, ' ');
		if (word.len == 0)
			continue;
		if (out->len - start + 1 + word.len > WIDTH) {
			buffer_add(out, SLICE("\n" INDENT "  "));
			start = out->len - strlen(INDENT "  ");
		} else {
			buffer_add(out, SLICE(" "));
		}
		buffer_add(out, word);
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

static void
add_failure(struct buffer *out, const struct report_failure *failure)
{
	buffer_printf(out, "%10" PRIu64 "  %s", failure->sessions,
	    tls_result_name((enum tls_result)result_of(failure)));
	if (is_given(failure->host)) {
		buffer_add(out, SLICE(": "));
		add_plain(out, failure->host);
	}
	if (is_given(failure->address)) {
		buffer_add(out, SLICE(" ["));
		add_plain(out, failure->address);
		buffer_add(out, SLICE("]"));
	}
	buffer_add(out, SLICE("\n"));
	if (is_given(failure->reason))
		add_wrapped(out, "Reason:", failure->reason);
}

/* Which comes after `last' (-1: the first), the most frequent first? */
static int
next_failure(const struct report_policy *policy, int last)
{
	const struct report_failure *failures = policy->failures;
	int best = -1;

	for (int i = 0; i < (int)policy->failures_n; i++) {
		bool after = last < 0 ||
		    failures[i].sessions < failures[last].sessions ||
		    (failures[i].sessions == failures[last].sessions &&
		    i > last);

		if (after && (best < 0 ||
		    failures[i].sessions > failures[best].sessions))
			best = i;
	}
	return best;
}

/* Each repair once. */
static void
add_repairs(struct buffer *out, const bool *wanted)
{
	buffer_add(out, SLICE("\n  What would mend it:\n"));
	for (uint32_t result = RESULT_STARTTLS_NOT_SUPPORTED;
	    result <= RESULT_STS_POLICY_FETCH_ERROR; result++) {
		if (!wanted[result])
			continue;
		buffer_printf(out, "%10s  %s\n", "",
		    tls_result_name((enum tls_result)result));
		add_wrapped(out, " ", report_repair(result));
	}
}

static void
add_failures(struct buffer *out, const struct report_policy *policy)
{
	bool wanted[RESULT_STS_POLICY_FETCH_ERROR + 1] = { false };
	unsigned shown = 0;

	buffer_add(out, SLICE("\n  Sessions  What failed, and where\n"));
	for (int i = next_failure(policy, -1); i >= 0 && shown < SHOWN_MOST;
	    i = next_failure(policy, i), shown++) {
		add_failure(out, &policy->failures[i]);
		wanted[result_of(&policy->failures[i])] = true;
	}
	if (policy->failures_n > shown)
		buffer_printf(out, "            and %u more kinds of failure, "
		    "in the report itself\n", policy->failures_n - shown);
	add_repairs(out, wanted);
}

static void
add_policy(struct buffer *out, const struct report_policy *policy)
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
	buffer_printf(out, "\n%10" PRIu64 "  sessions succeeded"
	    "\n%10" PRIu64 "  sessions failed\n", policy->succeeded,
	    policy->failed);
	if (policy->failures_n > 0)
		add_failures(out, policy);
}

/* RPT-5.3-2 RFC 8460 5.3: the part for people. */
void
report_words(const struct report *report, const struct reporter *reporter,
    struct buffer *text)
{
	char day[DAY_TEXT_MAX], id[REPORT_ID_MAX];

	buffer_printf(text, "TLS report for %s\n\n"
	    "Day:        %s, 00:00 to 24:00 UTC\nReporter:   ",
	    report->domain, day_print(report->day, day));
	add_plain(text, reporter->organization);
	buffer_add(text, SLICE("\nContact:    "));
	add_plain(text, reporter->contact);
	buffer_printf(text, "\nReport-ID:  %s\n",
	    report_id(report, reporter, id));
	for (unsigned i = 0; i < report->policies_n; i++)
		add_policy(text, &report->policies[i]);
}
