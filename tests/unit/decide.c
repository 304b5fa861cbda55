/*
 * The decisions of MTA-STS, DANE and REQUIRETLS, rule by rule
 * (policy/decide.c).
 *
 * tests/decide holds all of them as one table and checks what must hold over
 * every input; here each requirement of the RFCs stands with the inputs that
 * it speaks of and the verdict that it wants, written by hand.  Facts that a
 * row does not name have the value of `usual`: plain mail, no policy, nothing
 * secure, TLS with a good certificate.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "policy/decide.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N(array)	(sizeof(array) / sizeof((array)[0]))
#define GROUP(rows)	{ (rows), N(rows) }

/*
 * Facts as words: "sts=enforce match=no cert=expired".
 */

static const struct session_facts usual = {
	.host = { .class = CLASS_MAIL, .sts = STS_ABSENT, .mx_match = true,
	    .tlsa = TLSA_INSECURE },
	.starttls = STARTTLS_DONE,
};

/* Which of the names is it?  The names come from decide.h's own functions. */
static unsigned
pick(const char *value, const char *(*name)(unsigned), unsigned first,
    unsigned last)
{
	unsigned i;

	for (i = first; i <= last; i++)
		if (strcmp(name(i), value) == 0)
			return i;
	fail_msg("no such value: %s", value);
	return 0;
}

static const char *
class_at(unsigned i)
{
	return class_name((enum mail_class)i);
}

static const char *
sts_at(unsigned i)
{
	return sts_mode_name((enum sts_mode)i);
}

static const char *
tlsa_at(unsigned i)
{
	return tlsa_state_name((enum tlsa_state)i);
}

static const char *
starttls_at(unsigned i)
{
	return starttls_name((enum starttls)i);
}

static unsigned
read_cert(char *value)
{
	static const struct {
		const char	*name;
		unsigned	 bit;
	} defects[] = {
		{ "valid", 0 }, { "not-trusted", CERT_NOT_TRUSTED },
		{ "expired", CERT_EXPIRED }, { "mismatch", CERT_HOST_MISMATCH },
		{ "other", CERT_OTHER }, { "no-match", CERT_DANE_NO_MATCH },
		{ "match", 0 },
	};
	unsigned cert = 0;
	char *rest = NULL, *word;
	size_t i;

	for (word = strtok_r(value, "+", &rest); word != NULL;
	    word = strtok_r(NULL, "+", &rest)) {
		for (i = 0; i < N(defects); i++)
			if (strcmp(word, defects[i].name) == 0)
				break;
		if (i == N(defects))
			fail_msg("no such defect: %s", word);
		else
			cert |= defects[i].bit;
	}
	return cert;
}

static void
set_fact(struct session_facts *facts, const char *name, char *value)
{
	struct host_facts *host = &facts->host;
	const struct {
		const char	*name;
		bool		*flag;
	} flags[] = {
		{ "match", &host->mx_match }, { "secure", &host->mx_secure },
		{ "given", &host->name_given },
		{ "unknown", &host->sts_unknown },
		{ "unjudged", &host->dnssec_unjudged },
		{ "report-only", &host->sts_report_only },
		{ "tls-required", &host->tls_required },
		{ "exempt", &host->exempt },
		{ "relay", &host->relayhost },
		{ "verified", &host->relayhost_verified },
		{ "retry", &facts->clear_retry },
		{ "keyword", &facts->requiretls },
	};
	size_t i;

	for (i = 0; i < N(flags); i++)
		if (strcmp(name, flags[i].name) == 0) {
			*flags[i].flag = strcmp(value, "yes") == 0;
			return;
		}
	if (strcmp(name, "class") == 0)
		host->class = pick(value, class_at, CLASS_MAIL, CLASS_REPORT);
	else if (strcmp(name, "sts") == 0)
		host->sts = pick(value, sts_at, STS_ABSENT, STS_ENFORCE);
	else if (strcmp(name, "tlsa") == 0)
		host->tlsa = pick(value, tlsa_at, TLSA_INSECURE, TLSA_FAILED);
	else if (strcmp(name, "starttls") == 0)
		facts->starttls = pick(value, starttls_at, STARTTLS_ABSENT,
		    STARTTLS_DONE);
	else if (strcmp(name, "cert") == 0)
		facts->cert = read_cert(value);
	else if (strcmp(name, "dane") == 0)
		facts->dane = read_cert(value);
	else if (strcmp(name, "mark") == 0)
		host->tlsa_mark = strtoull(value, NULL, 10);
	else
		fail_msg("no such fact: %s", name);
}

static struct session_facts
read_facts(const char *text)
{
	struct session_facts facts = usual;
	char copy[200], *rest = NULL, *word, *value;

	snprintf(copy, sizeof(copy), "%s", text);
	for (word = strtok_r(copy, " ", &rest); word != NULL;
	    word = strtok_r(NULL, " ", &rest)) {
		value = strchr(word, '=');
		assert_non_null(value);
		*value = '\0';
		set_fact(&facts, word, value + 1);
	}
	return facts;
}

struct row {
	const char	*facts;
	const char	*verdict;
};
struct group {
	const struct row	*rows;
	size_t			 n;
};

static void
compare(const struct row *row, const char *got)
{
	if (strcmp(row->verdict, got) != 0)
		fail_msg("%s\n#  gives %s\n#  not   %s", row->facts, got,
		    row->verdict);
}

/* "try pkix sts-enforce" or "skip sts-mx-mismatch 4.7.0", then the extras. */
static void
test_hosts(void **state)
{
	const struct group *group = *state;
	char got[200];
	size_t i;

	for (i = 0; i < group->n; i++) {
		struct session_facts facts = read_facts(group->rows[i].facts);
		struct host_verdict v = decide_host(&facts.host);
		bool try = v.action == HOST_TRY;

		snprintf(got, sizeof(got), "%s %s%s%s%s%s%s%s",
		    try ? "try" : "skip",
		    try ? requirement_name(v.requirement) : v.rule.name,
		    " ", try ? v.rule.name : v.rule.enhanced,
		    v.result == RESULT_NONE ? "" : " ",
		    v.result == RESULT_NONE ? "" : tls_result_name(v.result),
		    v.exempt ? " exempt" : "",
		    v.definite ? " definite" : "");
		compare(&group->rows[i], got);
	}
}

/* "send sts-verified success", "next sts-no-starttls 4.7.4 result". */
static void
test_sessions(void **state)
{
	static const char *const actions[] = {
		[SESSION_SEND] = "send", [SESSION_RECONNECT] = "reconnect",
		[SESSION_NEXT] = "next",
	};
	const struct group *group = *state;
	char got[200];
	size_t i;

	for (i = 0; i < group->n; i++) {
		struct session_facts facts = read_facts(group->rows[i].facts);
		struct session_verdict v = decide_session(&facts);

		snprintf(got, sizeof(got), "%s %s%s%s %s%s",
		    actions[v.action], v.rule.name,
		    v.rule.enhanced[0] == '\0' ? "" : " ", v.rule.enhanced,
		    tls_result_name(v.result), v.definite ? " definite" : "");
		compare(&group->rows[i], got);
	}
}

/* What the report's blocks count: "sts=success", "" when nothing. */
static void
test_counts(void **state)
{
	const struct group *group = *state;
	char got[200];
	size_t i;

	for (i = 0; i < group->n; i++) {
		struct session_facts facts = read_facts(group->rows[i].facts);
		struct host_verdict host = decide_host(&facts.host);
		struct session_verdict session = decide_session(&facts);
		struct block_results b = host.action == HOST_SKIP ?
		    host.blocks : session.blocks;
		const struct {
			const char	*name;
			enum tls_result	 result;
		} blocks[] = {
			{ "sts", b.sts }, { "tlsa", b.tlsa },
			{ "none", b.no_policy },
		};
		size_t n, len = 0;

		got[0] = '\0';
		for (n = 0; n < N(blocks); n++)
			if (blocks[n].result != RESULT_NONE)
				len += (size_t)snprintf(got + len,
				    sizeof(got) - len, "%s%s=%s",
				    len > 0 ? " " : "", blocks[n].name,
				    tls_result_name(blocks[n].result));
		compare(&group->rows[i], got);
	}
}

/*
 * Hosts.
 */

static const struct row no_policy_hosts[] = {
	{ "", "try none no-policy" },
	{ "tlsa=absent", "try none no-policy" },
	{ "secure=yes", "try none no-policy" },
	{ "match=no", "try none no-policy" },
	{ "unknown=yes", "try none no-policy" },
	{ "report-only=yes", "try none no-policy" },
};
static const struct row mode_none_hosts[] = {
	{ "sts=none", "try none sts-none" },
	{ "sts=none match=no", "try none sts-none" },
	{ "sts=none report-only=yes match=no", "try none sts-none" },
	{ "sts=none tlsa=usable secure=yes", "try dane dane" },
};
static const struct row enforce_hosts[] = {
	{ "sts=enforce", "try pkix sts-enforce" },
	{ "sts=enforce secure=yes", "try pkix sts-enforce" },
	{ "sts=enforce match=no",
	    "skip sts-mx-mismatch 4.7.0 validation-failure" },
	{ "sts=enforce match=no secure=yes given=yes",
	    "skip sts-mx-mismatch 4.7.0 validation-failure" },
	{ "sts=enforce match=no class=requiretls secure=yes",
	    "skip sts-mx-mismatch 4.7.0 validation-failure" },
	{ "sts=enforce match=no tls-required=yes",
	    "skip sts-mx-mismatch 4.7.0 validation-failure" },
};
static const struct row testing_hosts[] = {
	{ "sts=testing", "try none sts-testing" },
	{ "sts=testing match=no",
	    "try none testing-mx-mismatch validation-failure" },
	{ "sts=testing report-only=yes", "try none sts-testing" },
	{ "sts=enforce report-only=yes", "try none sts-report-only" },
	{ "sts=enforce report-only=yes match=no",
	    "try none report-only-mx-mismatch validation-failure" },
};
static const struct row tlsa_hosts[] = {
	{ "tlsa=usable secure=yes", "try dane dane" },
	{ "tlsa=usable", "try dane dane-host-only" },
	{ "tlsa=usable given=yes", "try dane dane" },
	{ "tlsa=usable secure=yes sts=testing match=no",
	    "try dane dane validation-failure" },
	{ "tlsa=unusable secure=yes",
	    "try encrypt dane-unusable tlsa-invalid" },
	{ "tlsa=unusable", "try encrypt dane-unusable tlsa-invalid" },
};
/* Ruling 6: DANE alone behind a secure name, else both. */
static const struct row both_hosts[] = {
	{ "tlsa=usable secure=yes sts=enforce", "try dane dane" },
	{ "tlsa=usable given=yes sts=enforce", "try dane dane" },
	{ "tlsa=usable secure=yes sts=enforce match=no",
	    "try dane dane validation-failure" },
	{ "tlsa=usable given=yes sts=enforce match=no",
	    "try dane dane validation-failure" },
	{ "tlsa=usable sts=enforce",
	    "try dane+pkix dane-host-only-sts-enforce" },
	{ "tlsa=usable sts=enforce match=no",
	    "skip sts-mx-mismatch 4.7.0 validation-failure" },
	{ "tlsa=usable sts=enforce report-only=yes",
	    "try dane dane-host-only" },
	{ "tlsa=usable sts=enforce report-only=yes match=no",
	    "try dane dane-host-only validation-failure" },
	{ "tlsa=unusable secure=yes sts=enforce",
	    "try pkix sts-enforce tlsa-invalid" },
	{ "tlsa=unusable sts=enforce match=no",
	    "skip sts-mx-mismatch 4.7.0 validation-failure" },
	{ "tlsa=unusable secure=yes sts=enforce match=no",
	    "skip sts-mx-mismatch 4.7.0 validation-failure" },
};
static const struct row failed_hosts[] = {
	{ "tlsa=failed", "skip dane-lookup-failed 4.7.5 dnssec-invalid" },
	{ "tlsa=failed secure=yes",
	    "skip dane-lookup-failed 4.7.5 dnssec-invalid" },
	{ "tlsa=failed sts=enforce",
	    "skip dane-lookup-failed 4.7.5 dnssec-invalid" },
	{ "tlsa=failed sts=enforce match=no",
	    "skip dane-lookup-failed 4.7.5 dnssec-invalid" },
	{ "tlsa=failed sts=none",
	    "skip dane-lookup-failed 4.7.5 dnssec-invalid" },
	{ "tlsa=failed class=requiretls",
	    "skip dane-lookup-failed 4.7.5 dnssec-invalid" },
};
static const struct row operator_hosts[] = {
	{ "tls-required=yes", "try pkix tls-required" },
	{ "tls-required=yes sts=testing", "try pkix tls-required" },
	{ "tls-required=yes sts=none", "try pkix tls-required" },
	{ "tls-required=yes sts=enforce report-only=yes",
	    "try pkix tls-required" },
	{ "tls-required=yes sts=enforce", "try pkix sts-enforce" },
	{ "tls-required=yes class=tls-optional", "try pkix tls-required" },
	{ "tls-required=yes class=report", "try none tls-report" },
	/* DANE is the way to prove a host where it can be */
	{ "tls-required=yes tlsa=usable", "try dane tls-required" },
	{ "tls-required=yes tlsa=usable secure=yes sts=enforce",
	    "try dane tls-required" },
	{ "tls-required=yes tlsa=usable sts=enforce",
	    "try dane+pkix dane-host-only-sts-enforce" },
	{ "tls-required=yes tlsa=unusable",
	    "try pkix tls-required tlsa-invalid" },
	{ "tls-required=yes tlsa=failed",
	    "skip dane-lookup-failed 4.7.5 dnssec-invalid" },
	{ "tls-required=yes class=tls-optional tlsa=usable",
	    "try dane tls-required" },
	{ "tls-required=yes class=tls-optional tlsa=failed",
	    "try pkix tls-required dnssec-invalid" },
};
/* The relay's own policy is judged; its proof binds whatever the class. */
static const struct row relay_hosts[] = {
	{ "relay=yes", "try none no-policy" },
	{ "relay=yes sts=enforce match=no",
	    "skip sts-mx-mismatch 4.7.0 validation-failure" },
	{ "relay=yes given=yes tlsa=usable", "try dane dane" },
	{ "relay=yes verified=yes", "try pkix relayhost" },
	{ "relay=yes verified=yes given=yes tlsa=usable",
	    "try dane relayhost" },
	{ "relay=yes verified=yes tlsa=unusable",
	    "try pkix relayhost tlsa-invalid" },
	{ "relay=yes verified=yes tlsa=failed",
	    "skip dane-lookup-failed 4.7.5 dnssec-invalid" },
	{ "relay=yes verified=yes sts=testing", "try pkix relayhost" },
	{ "relay=yes verified=yes sts=enforce", "try pkix sts-enforce" },
	{ "relay=yes verified=yes tls-required=yes", "try pkix relayhost" },
	{ "relay=yes verified=yes class=tls-optional", "try pkix relayhost" },
	{ "relay=yes verified=yes class=report", "try pkix relayhost" },
	{ "relay=yes verified=yes class=requiretls given=yes",
	    "try pkix requiretls" },
};
/* It is as testing; it lifts nothing but DANE's and MTA-STS's demands. */
static const struct row exempt_hosts[] = {
	{ "exempt=yes", "try none no-policy" },
	{ "exempt=yes sts=testing match=no",
	    "try none testing-mx-mismatch validation-failure" },
	{ "exempt=yes sts=enforce", "try none exempt exempt" },
	{ "exempt=yes sts=enforce match=no",
	    "try none exempt-mx-mismatch validation-failure exempt" },
	{ "exempt=yes sts=enforce report-only=yes",
	    "try none sts-report-only" },
	{ "exempt=yes tlsa=usable secure=yes", "try none exempt exempt" },
	{ "exempt=yes tlsa=unusable", "try none exempt tlsa-invalid exempt" },
	{ "exempt=yes tlsa=failed",
	    "try none exempt-dane-lookup-failed dnssec-invalid exempt" },
	{ "exempt=yes tls-required=yes", "try pkix tls-required" },
	{ "exempt=yes tls-required=yes sts=enforce match=no",
	    "try pkix tls-required validation-failure exempt" },
	{ "exempt=yes tls-required=yes tlsa=usable",
	    "try dane tls-required exempt" },
	{ "exempt=yes verified=yes sts=enforce",
	    "try pkix relayhost exempt" },
	{ "exempt=yes class=requiretls secure=yes sts=enforce match=no",
	    "skip sts-mx-mismatch 4.7.0 validation-failure" },
	{ "exempt=yes class=requiretls tlsa=failed",
	    "skip dane-lookup-failed 4.7.5 dnssec-invalid" },
	{ "exempt=yes class=tls-optional sts=enforce",
	    "try none tls-optional" },
};
static const struct row requiretls_hosts[] = {
	{ "class=requiretls",
	    "skip requiretls-mx-unproven 4.7.10 definite" },
	{ "class=requiretls match=no",
	    "skip requiretls-mx-unproven 4.7.10 definite" },
	{ "class=requiretls unknown=yes",
	    "skip requiretls-mx-unproven 4.7.10" },
	/* our resolver's fault, not the domain's */
	{ "class=requiretls unjudged=yes",
	    "skip requiretls-mx-unjudged 4.7.10" },
	{ "class=requiretls unjudged=yes sts=none",
	    "skip requiretls-mx-unjudged 4.7.10" },
	{ "class=requiretls unjudged=yes given=yes", "try pkix requiretls" },
	{ "class=requiretls unjudged=yes sts=enforce",
	    "try pkix sts-enforce" },
	{ "unjudged=yes", "try none no-policy" },
	{ "class=requiretls sts=none",
	    "skip requiretls-mx-unproven 4.7.10 definite" },
	{ "class=requiretls sts=none unknown=yes",
	    "skip requiretls-mx-unproven 4.7.10 definite" },
	{ "class=requiretls secure=yes", "try pkix requiretls" },
	{ "class=requiretls given=yes", "try pkix requiretls" },
	{ "class=requiretls sts=enforce", "try pkix sts-enforce" },
	{ "class=requiretls sts=enforce report-only=yes",
	    "try pkix requiretls" },
	/* rulings 6 and 15 */
	{ "class=requiretls secure=yes tlsa=usable", "try dane requiretls" },
	{ "class=requiretls secure=yes tlsa=usable sts=enforce match=no",
	    "try dane requiretls validation-failure" },
	{ "class=requiretls sts=testing tlsa=usable", "try dane requiretls" },
	{ "class=requiretls sts=enforce tlsa=usable",
	    "try dane+pkix dane-host-only-sts-enforce" },
	{ "class=requiretls secure=yes tlsa=unusable",
	    "try pkix requiretls tlsa-invalid" },
	/* what vouches for the host vouches for no MX record */
	{ "class=requiretls tlsa=usable",
	    "skip requiretls-mx-unproven 4.7.10 definite" },
};
static const struct row requiretls_testing_hosts[] = {
	{ "class=requiretls sts=testing", "try pkix requiretls" },
	{ "class=requiretls sts=testing match=no",
	    "skip requiretls-mx-unproven 4.7.10 validation-failure" },
	{ "class=requiretls sts=testing match=no secure=yes",
	    "try pkix requiretls validation-failure" },
	{ "class=requiretls sts=enforce report-only=yes match=no",
	    "skip requiretls-mx-unproven 4.7.10 validation-failure" },
};
static const struct row optional_hosts[] = {
	{ "class=tls-optional", "try none tls-optional" },
	{ "class=tls-optional sts=enforce", "try none tls-optional" },
	{ "class=tls-optional sts=enforce match=no",
	    "try none tls-optional validation-failure" },
	{ "class=tls-optional tlsa=usable secure=yes",
	    "try none tls-optional" },
	{ "class=tls-optional tlsa=unusable",
	    "try none tls-optional tlsa-invalid" },
	{ "class=tls-optional tlsa=failed",
	    "try none tls-optional dnssec-invalid" },
};
static const struct row report_hosts[] = {
	{ "class=report", "try none tls-report" },
	{ "class=report sts=enforce match=no",
	    "try none tls-report validation-failure" },
	{ "class=report tlsa=usable secure=yes", "try none tls-report" },
	{ "class=report tlsa=failed", "try none tls-report dnssec-invalid" },
};

/*
 * Sessions.
 */

static const struct row opportunistic_sessions[] = {
	{ "", "send opportunistic-tls success" },
	{ "cert=not-trusted", "send opportunistic-tls success" },
	{ "cert=expired+mismatch+other", "send opportunistic-tls success" },
	{ "starttls=absent",
	    "send opportunistic-no-starttls starttls-not-supported" },
	{ "starttls=refused",
	    "send opportunistic-starttls-refused validation-failure" },
	{ "starttls=broken",
	    "reconnect opportunistic-handshake-failed validation-failure" },
	{ "starttls=broken retry=yes",
	    "send opportunistic-handshake-failed none" },
	{ "starttls=absent retry=yes",
	    "send opportunistic-handshake-failed none" },
	{ "tlsa=absent cert=not-trusted", "send opportunistic-tls success" },
};
static const struct row mode_none_sessions[] = {
	{ "sts=none match=no", "send opportunistic-tls success" },
	{ "sts=none match=no cert=expired", "send opportunistic-tls success" },
	{ "sts=none starttls=absent", "send opportunistic-no-starttls none" },
	{ "sts=none starttls=broken",
	    "reconnect opportunistic-handshake-failed none" },
};
static const struct row enforce_sessions[] = {
	{ "sts=enforce", "send sts-verified success" },
	{ "sts=enforce match=no",
	    "next sts-mx-mismatch 4.7.0 validation-failure" },
	{ "sts=enforce cert=expired match=no",
	    "next sts-mx-mismatch 4.7.0 validation-failure" },
};
static const struct row enforce_cert_sessions[] = {
	{ "sts=enforce cert=not-trusted",
	    "next sts-certificate-not-trusted 4.7.5 certificate-not-trusted" },
	{ "sts=enforce cert=expired",
	    "next sts-certificate-expired 4.7.5 certificate-expired" },
	{ "sts=enforce cert=mismatch",
	    "next sts-certificate-host-mismatch 4.7.5 "
	    "certificate-host-mismatch" },
	{ "sts=enforce cert=other",
	    "next sts-certificate-bad 4.7.5 validation-failure" },
	/* ruling 29: which of several gives the verdict */
	{ "sts=enforce cert=mismatch+expired",
	    "next sts-certificate-expired 4.7.5 certificate-expired" },
	{ "sts=enforce cert=mismatch+expired+not-trusted",
	    "next sts-certificate-not-trusted 4.7.5 certificate-not-trusted" },
	{ "sts=enforce cert=mismatch+other",
	    "next sts-certificate-host-mismatch 4.7.5 "
	    "certificate-host-mismatch" },
};
static const struct row enforce_tls_sessions[] = {
	{ "sts=enforce starttls=absent",
	    "next sts-no-starttls 4.7.4 starttls-not-supported" },
	{ "sts=enforce starttls=refused",
	    "next sts-starttls-refused 4.7.4 validation-failure" },
	{ "sts=enforce starttls=broken",
	    "next sts-handshake-failed 4.7.5 validation-failure" },
	{ "sts=enforce starttls=absent retry=yes",
	    "next sts-handshake-failed 4.7.5 validation-failure" },
	{ "sts=enforce starttls=done retry=yes",
	    "next sts-handshake-failed 4.7.5 validation-failure" },
};
static const struct row testing_sessions[] = {
	{ "sts=testing", "send testing-verified success" },
	{ "sts=testing starttls=absent",
	    "send testing-no-starttls starttls-not-supported" },
	{ "sts=testing starttls=refused",
	    "send testing-starttls-refused validation-failure" },
	{ "sts=testing starttls=broken",
	    "reconnect testing-handshake-failed validation-failure" },
	{ "sts=testing starttls=broken retry=yes",
	    "send testing-handshake-failed none" },
	{ "sts=testing cert=expired",
	    "send testing-certificate-expired certificate-expired" },
	{ "sts=testing cert=not-trusted",
	    "send testing-certificate-not-trusted certificate-not-trusted" },
	{ "sts=testing match=no",
	    "send testing-mx-mismatch validation-failure" },
	{ "sts=testing match=no cert=expired",
	    "send testing-mx-mismatch validation-failure" },
	{ "sts=enforce report-only=yes cert=mismatch",
	    "send report-only-certificate-host-mismatch "
	    "certificate-host-mismatch" },
	{ "sts=enforce report-only=yes starttls=absent",
	    "send report-only-no-starttls starttls-not-supported" },
	{ "sts=enforce report-only=yes", "send report-only-verified success" },
};
static const struct row dane_sessions[] = {
	{ "tlsa=usable secure=yes", "send dane-verified success" },
	{ "tlsa=usable given=yes", "send dane-verified success" },
	/* whatever PKIX says of it (RFC 7672 3.1.1, 3.1.2) */
	{ "tlsa=usable secure=yes cert=not-trusted+expired+mismatch+other",
	    "send dane-verified success" },
	{ "tlsa=usable secure=yes starttls=absent",
	    "next dane-no-starttls 4.7.4 starttls-not-supported" },
	{ "tlsa=usable secure=yes starttls=refused",
	    "next dane-starttls-refused 4.7.4 validation-failure" },
	{ "tlsa=usable secure=yes starttls=broken",
	    "next dane-handshake-failed 4.7.5 validation-failure" },
	{ "tlsa=usable secure=yes starttls=absent retry=yes",
	    "next dane-handshake-failed 4.7.5 validation-failure" },
};
static const struct row dane_mismatch_sessions[] = {
	{ "tlsa=usable secure=yes dane=no-match",
	    "next dane-no-match 4.7.5 tlsa-invalid" },
	{ "tlsa=usable dane=no-match",
	    "next dane-no-match 4.7.5 tlsa-invalid" },
	{ "tlsa=usable secure=yes dane=no-match sts=enforce",
	    "next dane-no-match 4.7.5 tlsa-invalid" },
	{ "tlsa=usable dane=no-match sts=enforce",
	    "next dane-no-match 4.7.5 tlsa-invalid" },
	{ "tlsa=usable dane=no-match sts=testing",
	    "next dane-no-match 4.7.5 tlsa-invalid" },
	{ "tlsa=usable dane=no-match sts=none",
	    "next dane-no-match 4.7.5 tlsa-invalid" },
	{ "tlsa=usable dane=no-match cert=expired sts=enforce",
	    "next dane-no-match 4.7.5 tlsa-invalid" },
	{ "tlsa=usable dane=no-match tls-required=yes",
	    "next dane-no-match 4.7.5 tlsa-invalid" },
	{ "tlsa=usable secure=yes dane=no-match class=requiretls keyword=yes",
	    "next dane-no-match 4.7.5 tlsa-invalid" },
	/* nothing to mismatch with */
	{ "tlsa=absent dane=no-match", "send opportunistic-tls success" },
	{ "tlsa=absent cert=no-match sts=enforce",
	    "send sts-verified success" },
};
/* Usage DANE-TA asks for dates and names as well (RFC 7672 3.1.2, 3.2.2). */
static const struct row dane_anchor_sessions[] = {
	{ "tlsa=usable secure=yes dane=mismatch",
	    "next dane-certificate-host-mismatch 4.7.5 "
	    "certificate-host-mismatch" },
	{ "tlsa=usable secure=yes dane=expired",
	    "next dane-certificate-expired 4.7.5 certificate-expired" },
	{ "tlsa=usable secure=yes dane=not-trusted",
	    "next dane-certificate-not-trusted 4.7.5 "
	    "certificate-not-trusted" },
	{ "tlsa=usable secure=yes dane=other",
	    "next dane-certificate-bad 4.7.5 validation-failure" },
	{ "tlsa=usable secure=yes dane=mismatch+expired",
	    "next dane-certificate-expired 4.7.5 certificate-expired" },
	{ "tlsa=usable secure=yes dane=no-match+expired+not-trusted",
	    "next dane-no-match 4.7.5 tlsa-invalid" },
	{ "tlsa=usable secure=yes dane=mismatch sts=enforce",
	    "next dane-certificate-host-mismatch 4.7.5 "
	    "certificate-host-mismatch" },
};
static const struct row host_only_sessions[] = {
	{ "tlsa=usable", "send dane-host-only-verified success" },
	{ "tlsa=usable starttls=absent",
	    "next dane-no-starttls 4.7.4 starttls-not-supported" },
	{ "tlsa=usable sts=enforce",
	    "send dane-host-only-sts-verified success" },
	{ "tlsa=usable sts=enforce cert=expired",
	    "next sts-certificate-expired 4.7.5 certificate-expired" },
	{ "tlsa=usable sts=enforce cert=expired dane=expired",
	    "next dane-certificate-expired 4.7.5 certificate-expired" },
};
static const struct row unusable_sessions[] = {
	{ "tlsa=unusable", "send dane-unusable-encrypted tlsa-invalid" },
	{ "tlsa=unusable cert=not-trusted",
	    "send dane-unusable-encrypted tlsa-invalid" },
	{ "tlsa=unusable starttls=absent",
	    "next dane-no-starttls 4.7.4 starttls-not-supported" },
	{ "tlsa=unusable starttls=refused",
	    "next dane-starttls-refused 4.7.4 validation-failure" },
	{ "tlsa=unusable starttls=broken",
	    "next dane-handshake-failed 4.7.5 validation-failure" },
	{ "tlsa=unusable sts=enforce", "send sts-verified tlsa-invalid" },
	{ "tlsa=unusable sts=enforce cert=expired",
	    "next sts-certificate-expired 4.7.5 certificate-expired" },
};
static const struct row dane_sts_sessions[] = {
	{ "tlsa=usable secure=yes sts=enforce", "send dane-verified success" },
	{ "tlsa=usable secure=yes sts=enforce cert=not-trusted",
	    "send dane-verified success" },
	{ "tlsa=usable secure=yes sts=enforce match=no",
	    "send dane-verified success" },
	{ "tlsa=usable secure=yes sts=enforce starttls=absent",
	    "next dane-no-starttls 4.7.4 starttls-not-supported" },
	{ "tlsa=usable secure=yes sts=testing cert=expired",
	    "send dane-verified success" },
	{ "tlsa=usable sts=enforce cert=not-trusted",
	    "next sts-certificate-not-trusted 4.7.5 "
	    "certificate-not-trusted" },
	{ "tlsa=usable sts=testing cert=not-trusted match=no",
	    "send dane-host-only-verified success" },
};
static const struct row operator_sessions[] = {
	{ "tls-required=yes", "send tls-required-verified success" },
	{ "tls-required=yes starttls=absent",
	    "next tls-required-no-starttls 4.7.4 starttls-not-supported" },
	{ "tls-required=yes starttls=broken",
	    "next tls-required-handshake-failed 4.7.5 validation-failure" },
	{ "tls-required=yes cert=expired",
	    "next tls-required-certificate-expired 4.7.5 "
	    "certificate-expired" },
	{ "tls-required=yes sts=testing cert=expired",
	    "next tls-required-certificate-expired 4.7.5 "
	    "certificate-expired" },
	{ "tls-required=yes sts=testing match=no",
	    "send tls-required-verified validation-failure" },
	{ "tls-required=yes class=tls-optional starttls=absent",
	    "next tls-required-no-starttls 4.7.4 starttls-not-supported" },
	{ "tls-required=yes class=report starttls=absent",
	    "send tls-report starttls-not-supported" },
	{ "tls-required=yes tlsa=usable cert=not-trusted",
	    "send tls-required-verified success" },
	{ "tls-required=yes tlsa=unusable cert=not-trusted",
	    "next tls-required-certificate-not-trusted 4.7.5 "
	    "certificate-not-trusted" },
	{ "tls-required=yes tlsa=usable class=tls-optional dane=no-match",
	    "next dane-no-match 4.7.5 tlsa-invalid" },
	{ "tls-required=yes tlsa=usable class=tls-optional starttls=absent",
	    "next tls-required-no-starttls 4.7.4 starttls-not-supported" },
	{ "tls-required=yes exempt=yes sts=enforce cert=expired",
	    "next tls-required-certificate-expired 4.7.5 "
	    "certificate-expired" },
};
static const struct row relay_sessions[] = {
	{ "relay=yes verified=yes", "send relayhost-verified success" },
	{ "relay=yes verified=yes tlsa=usable given=yes cert=not-trusted",
	    "send relayhost-verified success" },
	{ "relay=yes verified=yes tlsa=usable given=yes dane=no-match",
	    "next dane-no-match 4.7.5 tlsa-invalid" },
	{ "relay=yes verified=yes starttls=absent",
	    "next relayhost-no-starttls 4.7.4 starttls-not-supported" },
	{ "relay=yes verified=yes starttls=refused",
	    "next relayhost-starttls-refused 4.7.4 validation-failure" },
	{ "relay=yes verified=yes starttls=broken",
	    "next relayhost-handshake-failed 4.7.5 validation-failure" },
	{ "relay=yes verified=yes cert=not-trusted",
	    "next relayhost-certificate-not-trusted 4.7.5 "
	    "certificate-not-trusted" },
	{ "relay=yes verified=yes cert=mismatch exempt=yes",
	    "next relayhost-certificate-host-mismatch 4.7.5 "
	    "certificate-host-mismatch" },
	{ "relay=yes verified=yes cert=expired class=tls-optional",
	    "next relayhost-certificate-expired 4.7.5 certificate-expired" },
	{ "relay=yes verified=yes cert=other class=report",
	    "next relayhost-certificate-bad 4.7.5 validation-failure" },
	{ "relay=yes cert=expired", "send opportunistic-tls success" },
	{ "relay=yes verified=yes sts=enforce cert=expired",
	    "next sts-certificate-expired 4.7.5 certificate-expired" },
};
static const struct row exempt_sessions[] = {
	{ "exempt=yes cert=expired", "send opportunistic-tls success" },
	{ "exempt=yes sts=enforce", "send sts-verified success" },
	{ "exempt=yes sts=enforce cert=expired",
	    "send exempt-certificate-expired certificate-expired" },
	{ "exempt=yes sts=enforce match=no",
	    "send exempt-mx-mismatch validation-failure" },
	{ "exempt=yes sts=enforce starttls=absent",
	    "send exempt-no-starttls starttls-not-supported" },
	{ "exempt=yes sts=enforce starttls=refused",
	    "send exempt-starttls-refused validation-failure" },
	{ "exempt=yes sts=enforce starttls=broken",
	    "reconnect exempt-handshake-failed validation-failure" },
	{ "exempt=yes sts=enforce starttls=broken retry=yes",
	    "send exempt-handshake-failed none" },
	{ "exempt=yes tlsa=usable secure=yes", "send dane-verified success" },
	{ "exempt=yes tlsa=usable secure=yes dane=no-match",
	    "send exempt-dane-no-match tlsa-invalid" },
	{ "exempt=yes tlsa=usable secure=yes dane=mismatch",
	    "send exempt-certificate-host-mismatch "
	    "certificate-host-mismatch" },
	{ "exempt=yes tlsa=usable sts=enforce",
	    "send dane-host-only-sts-verified success" },
	{ "exempt=yes tlsa=usable sts=enforce cert=other",
	    "send exempt-certificate-bad validation-failure" },
	{ "exempt=yes tlsa=usable sts=enforce dane=not-trusted",
	    "send exempt-certificate-not-trusted certificate-not-trusted" },
	{ "exempt=yes tlsa=unusable",
	    "send dane-unusable-encrypted tlsa-invalid" },
	{ "exempt=yes tlsa=unusable starttls=absent",
	    "send exempt-no-starttls starttls-not-supported" },
	{ "exempt=yes tlsa=failed",
	    "send exempt-dane-lookup-failed dnssec-invalid" },
	{ "exempt=yes tlsa=failed starttls=broken",
	    "reconnect exempt-dane-lookup-failed dnssec-invalid" },
	{ "exempt=yes class=requiretls secure=yes keyword=yes sts=enforce "
	    "cert=expired",
	    "next sts-certificate-expired 4.7.5 certificate-expired" },
	{ "exempt=yes class=requiretls secure=yes keyword=yes tlsa=usable "
	    "dane=no-match", "next dane-no-match 4.7.5 tlsa-invalid" },
};
static const struct row requiretls_sessions[] = {
	{ "class=requiretls secure=yes keyword=yes",
	    "send requiretls-verified success" },
	{ "class=requiretls secure=yes keyword=yes cert=not-trusted",
	    "next requiretls-certificate-not-trusted 4.7.5 "
	    "certificate-not-trusted" },
	{ "class=requiretls secure=yes keyword=yes cert=expired",
	    "next requiretls-certificate-expired 4.7.5 certificate-expired" },
	{ "class=requiretls secure=yes keyword=yes cert=mismatch",
	    "next requiretls-certificate-host-mismatch 4.7.5 "
	    "certificate-host-mismatch" },
	{ "class=requiretls secure=yes starttls=refused",
	    "next requiretls-starttls-refused 4.7.10 validation-failure" },
	{ "class=requiretls secure=yes starttls=broken",
	    "next requiretls-handshake-failed 4.7.10 validation-failure" },
	{ "class=requiretls keyword=yes",
	    "next requiretls-mx-unproven 4.7.10 none definite" },
	{ "class=requiretls unjudged=yes keyword=yes",
	    "next requiretls-mx-unjudged 4.7.10 none" },
	{ "class=requiretls unjudged=yes given=yes",
	    "next requiretls-not-offered 4.7.30 none definite" },
	{ "class=requiretls sts=testing keyword=yes",
	    "send requiretls-verified success" },
	{ "class=requiretls sts=enforce keyword=yes",
	    "send sts-verified success" },
	/* ruling 15: what DANE proves is proven */
	{ "class=requiretls secure=yes keyword=yes tlsa=usable "
	    "cert=not-trusted+mismatch", "send requiretls-verified success" },
	{ "class=requiretls secure=yes keyword=yes tlsa=usable dane=no-match",
	    "next dane-no-match 4.7.5 tlsa-invalid" },
	{ "class=requiretls secure=yes tlsa=usable",
	    "next requiretls-not-offered 4.7.30 none definite" },
	{ "class=requiretls secure=yes keyword=yes tlsa=unusable "
	    "cert=not-trusted",
	    "next requiretls-certificate-not-trusted 4.7.5 "
	    "certificate-not-trusted" },
};
static const struct row keyword_sessions[] = {
	{ "class=requiretls secure=yes",
	    "next requiretls-not-offered 4.7.30 none definite" },
	{ "class=requiretls sts=enforce",
	    "next requiretls-not-offered 4.7.30 none definite" },
	{ "class=requiretls sts=enforce cert=expired",
	    "next sts-certificate-expired 4.7.5 certificate-expired" },
	{ "class=mail secure=yes keyword=no",
	    "send opportunistic-tls success" },
};
static const struct row requiretls_clear_sessions[] = {
	{ "class=requiretls secure=yes starttls=absent",
	    "next requiretls-no-starttls 4.7.10 starttls-not-supported "
	    "definite" },
	{ "class=requiretls sts=testing starttls=absent",
	    "next requiretls-no-starttls 4.7.10 starttls-not-supported "
	    "definite" },
	/* A policy promises TLS: its want will pass. */
	{ "class=requiretls sts=enforce starttls=absent",
	    "next sts-no-starttls 4.7.4 starttls-not-supported" },
	{ "class=requiretls secure=yes tlsa=usable starttls=absent",
	    "next dane-no-starttls 4.7.4 starttls-not-supported" },
	{ "class=requiretls secure=yes starttls=absent retry=yes",
	    "next requiretls-handshake-failed 4.7.10 validation-failure" },
	/* the operator promises it of his relay */
	{ "class=requiretls given=yes verified=yes starttls=absent",
	    "next requiretls-no-starttls 4.7.10 starttls-not-supported" },
};
static const struct row optional_sessions[] = {
	{ "class=tls-optional sts=enforce starttls=absent",
	    "send tls-optional starttls-not-supported" },
	{ "class=tls-optional sts=enforce cert=expired",
	    "send tls-optional certificate-expired" },
	{ "class=tls-optional sts=enforce starttls=refused",
	    "send tls-optional validation-failure" },
	{ "class=tls-optional sts=enforce starttls=broken",
	    "reconnect tls-optional validation-failure" },
	{ "class=tls-optional sts=enforce starttls=broken retry=yes",
	    "send tls-optional none" },
	{ "class=tls-optional sts=enforce match=no",
	    "send tls-optional validation-failure" },
	{ "class=tls-optional tlsa=usable secure=yes starttls=absent",
	    "send tls-optional starttls-not-supported" },
	{ "class=tls-optional tlsa=usable secure=yes dane=no-match",
	    "send tls-optional tlsa-invalid" },
	{ "class=tls-optional tlsa=unusable starttls=broken",
	    "reconnect tls-optional validation-failure" },
	{ "class=tls-optional tlsa=failed",
	    "send tls-optional dnssec-invalid" },
	{ "class=tls-optional", "send tls-optional success" },
};
static const struct row report_sessions[] = {
	{ "class=report sts=enforce starttls=absent",
	    "send tls-report starttls-not-supported" },
	{ "class=report sts=enforce match=no",
	    "send tls-report validation-failure" },
	{ "class=report tlsa=usable secure=yes dane=no-match",
	    "send tls-report tlsa-invalid" },
	{ "class=report tlsa=failed starttls=absent",
	    "send tls-report dnssec-invalid" },
	{ "class=report tls-required=yes sts=enforce starttls=broken",
	    "reconnect tls-report validation-failure" },
};

/*
 * Counts.
 */

static const struct row counted[] = {
	/* one block a policy, each by its own verdict (ruling 10) */
	{ "sts=enforce", "sts=success" },
	{ "sts=testing", "sts=success" },
	{ "sts=testing cert=expired", "sts=certificate-expired" },
	{ "sts=enforce cert=expired", "sts=certificate-expired" },
	{ "sts=enforce tlsa=unusable", "sts=success tlsa=tlsa-invalid" },
	{ "sts=enforce tlsa=usable", "sts=success tlsa=success" },
	{ "sts=enforce tlsa=usable dane=no-match",
	    "sts=success tlsa=tlsa-invalid" },
	{ "sts=enforce secure=yes tlsa=usable cert=expired",
	    "sts=certificate-expired tlsa=success" },
	{ "sts=enforce secure=yes tlsa=usable match=no",
	    "sts=validation-failure tlsa=success" },
	{ "sts=testing tlsa=usable dane=expired cert=not-trusted",
	    "sts=certificate-not-trusted tlsa=certificate-expired" },
	{ "sts=testing tlsa=usable starttls=absent",
	    "sts=starttls-not-supported tlsa=starttls-not-supported" },
	{ "tlsa=unusable", "tlsa=tlsa-invalid" },
	{ "tlsa=usable", "tlsa=success" },
	{ "tlsa=usable cert=expired+mismatch", "tlsa=success" },
	{ "tlsa=usable dane=no-match", "tlsa=tlsa-invalid" },
	{ "tlsa=usable dane=mismatch", "tlsa=certificate-host-mismatch" },
	{ "tlsa=usable dane=expired", "tlsa=certificate-expired" },
	{ "tlsa=usable dane=not-trusted", "tlsa=certificate-not-trusted" },
	{ "tlsa=usable dane=other", "tlsa=validation-failure" },
	/* an exemption changes nothing in it */
	{ "exempt=yes sts=enforce cert=expired", "sts=certificate-expired" },
	{ "exempt=yes sts=enforce match=no", "sts=validation-failure" },
	{ "exempt=yes tlsa=usable dane=no-match", "tlsa=tlsa-invalid" },
	{ "exempt=yes tlsa=failed", "tlsa=dnssec-invalid" },
	{ "exempt=yes tlsa=unusable", "tlsa=tlsa-invalid" },
	{ "tlsa=usable starttls=broken", "tlsa=validation-failure" },
	/* skipped by name or look-up alone (rulings 9, 18) */
	{ "sts=enforce match=no", "sts=validation-failure" },
	{ "tlsa=failed", "tlsa=dnssec-invalid" },
	{ "tlsa=failed sts=enforce", "tlsa=dnssec-invalid" },
	{ "sts=testing match=no", "sts=validation-failure" },
	{ "class=requiretls", "" },
	/* no policy (ruling 28), mode none (ruling 10) */
	{ "", "none=success" },
	{ "cert=expired+mismatch", "none=success" },
	{ "starttls=absent", "none=starttls-not-supported" },
	{ "starttls=refused", "none=validation-failure" },
	{ "starttls=broken", "none=validation-failure" },
	{ "sts=none", "none=success" },
	{ "sts=none starttls=absent", "" },
	{ "sts=none starttls=broken", "" },
	/* the retry is no second session (ruling 18) */
	{ "starttls=broken retry=yes", "" },
	{ "sts=testing starttls=broken retry=yes", "" },
	/* what was delivered in spite of it is counted as it went */
	{ "class=tls-optional sts=enforce cert=expired",
	    "sts=certificate-expired" },
	{ "class=tls-optional tlsa=failed", "tlsa=dnssec-invalid" },
};
static const struct row uncounted[] = {
	{ "class=report", "" },
	{ "class=report sts=enforce", "" },
	{ "class=report sts=enforce cert=expired", "" },
	{ "class=report tlsa=failed", "" },
	{ "class=report tlsa=unusable", "" },
};

#define DEFINE(name) static struct group name##_group = GROUP(name)
DEFINE(no_policy_hosts);
DEFINE(mode_none_hosts);
DEFINE(enforce_hosts);
DEFINE(testing_hosts);
DEFINE(tlsa_hosts);
DEFINE(both_hosts);
DEFINE(failed_hosts);
DEFINE(operator_hosts);
DEFINE(relay_hosts);
DEFINE(exempt_hosts);
DEFINE(requiretls_hosts);
DEFINE(requiretls_testing_hosts);
DEFINE(optional_hosts);
DEFINE(report_hosts);
DEFINE(opportunistic_sessions);
DEFINE(mode_none_sessions);
DEFINE(enforce_sessions);
DEFINE(enforce_cert_sessions);
DEFINE(enforce_tls_sessions);
DEFINE(testing_sessions);
DEFINE(dane_sessions);
DEFINE(dane_mismatch_sessions);
DEFINE(dane_anchor_sessions);
DEFINE(host_only_sessions);
DEFINE(unusable_sessions);
DEFINE(dane_sts_sessions);
DEFINE(operator_sessions);
DEFINE(relay_sessions);
DEFINE(exempt_sessions);
DEFINE(requiretls_sessions);
DEFINE(keyword_sessions);
DEFINE(requiretls_clear_sessions);
DEFINE(optional_sessions);
DEFINE(report_sessions);
DEFINE(counted);
DEFINE(uncounted);

/*
 * Domains.
 */

static const struct rule mismatch = {
	"sts-mx-mismatch", "RFC 8461 5", "4.7.0", "Mend it."
};
static const struct rule no_keyword = {
	"requiretls-not-offered", "RFC 8689 4.2.1", "4.7.30", "Mend it."
};
static const struct rule no_tls = {
	"requiretls-no-starttls", "RFC 8689 4.2.1", "4.7.10", "Mend it."
};

struct domain_row {
	enum mail_class		 class;
	/* hosts, and of them refused, temporary, nonexistent, unfit */
	unsigned		 hosts, policy, temporary, nonexistent, unfit;
	const struct rule	*rule;		/* NULL: none known */
	const char		*verdict;
};
struct domain_group {
	const struct domain_row	*rows;
	size_t			 n;
};

static void
test_domains(void **state)
{
	const struct domain_group *group = *state;
	char got[100];
	size_t i;

	for (i = 0; i < group->n; i++) {
		const struct domain_row *row = &group->rows[i];
		struct domain_facts facts = {
			.class = row->class, .hosts = row->hosts,
			.policy = row->policy, .temporary = row->temporary,
			.nonexistent = row->nonexistent,
			.unfit_tls = row->unfit,
		};
		struct domain_verdict v;

		if (row->rule != NULL)
			facts.policy_rule = *row->rule;
		v = decide_domain(&facts);
		snprintf(got, sizeof(got), "%s %s %s",
		    v.action == DOMAIN_FAIL ? "fail" : "defer", v.rule.name,
		    v.rule.enhanced);
		if (strcmp(got, row->verdict) != 0)
			fail_msg("row %zu gives %s, not %s", i, got,
			    row->verdict);
		assert_true(v.rule.repair[0] != '\0');
	}
}

#define MAIL	CLASS_MAIL
#define REQ	CLASS_REQUIRETLS

static const struct domain_row refused_domains[] = {
	{ MAIL, 1, 1, 0, 0, 0, &mismatch, "defer sts-mx-mismatch 4.7.0" },
	{ MAIL, 3, 3, 0, 0, 0, &mismatch, "defer sts-mx-mismatch 4.7.0" },
	{ MAIL, 1, 1, 0, 0, 0, NULL, "defer policy 4.7.0" },
	{ REQ, 1, 1, 0, 0, 0, &mismatch, "defer sts-mx-mismatch 4.7.0" },
	{ CLASS_REPORT, 1, 1, 0, 0, 0, &mismatch,
	    "defer sts-mx-mismatch 4.7.0" },
};
static const struct domain_row mixed_domains[] = {
	{ MAIL, 2, 1, 1, 0, 0, &mismatch, "defer sts-mx-mismatch 4.7.0" },
	{ MAIL, 2, 1, 0, 1, 0, &mismatch, "defer sts-mx-mismatch 4.7.0" },
	{ MAIL, 3, 1, 1, 1, 0, &mismatch, "defer sts-mx-mismatch 4.7.0" },
	{ MAIL, 9, 1, 0, 8, 0, &mismatch, "defer sts-mx-mismatch 4.7.0" },
	{ MAIL, 9, 1, 2, 3, 0, &mismatch, "defer sts-mx-mismatch 4.7.0" },
	/* counts that say too much are no reason to bounce */
	{ MAIL, 1, 1, 0, 1, 0, &mismatch, "defer sts-mx-mismatch 4.7.0" },
	{ MAIL, 1, 0, 1, 1, 0, NULL, "defer unreachable 4.4.1" },
	{ REQ, 1, 0, 1, 0, 1, &no_keyword, "defer requiretls-not-offered "
	    "4.7.30" },
};
static const struct domain_row definite_domains[] = {
	{ MAIL, 1, 0, 0, 1, 0, NULL, "fail no-such-host 5.4.4" },
	{ MAIL, 5, 0, 0, 5, 0, NULL, "fail no-such-host 5.4.4" },
	{ REQ, 2, 0, 0, 2, 0, NULL, "fail no-such-host 5.4.4" },
	{ MAIL, 2, 0, 1, 1, 0, NULL, "defer unreachable 4.4.1" },
	{ MAIL, 2, 0, 0, 1, 0, NULL, "defer unreachable 4.4.1" },
	{ MAIL, 1, 0, 0, 0, 0, NULL, "defer unreachable 4.4.1" },
	{ MAIL, 1, 0, 1, 0, 0, NULL, "defer unreachable 4.4.1" },
	{ MAIL, 0, 0, 0, 0, 0, NULL, "defer no-host 4.4.4" },
	{ REQ, 0, 0, 0, 0, 0, NULL, "defer no-host 4.4.4" },
};
static const struct domain_row keyword_domains[] = {
	{ REQ, 1, 0, 0, 0, 1, &no_keyword, "fail requiretls-not-offered "
	    "5.7.30" },
	{ REQ, 4, 0, 0, 0, 4, &no_keyword, "fail requiretls-not-offered "
	    "5.7.30" },
	{ REQ, 2, 0, 0, 1, 1, &no_keyword, "fail requiretls-not-offered "
	    "5.7.30" },
	{ REQ, 1, 0, 0, 0, 1, NULL, "fail requiretls-not-offered 5.7.30" },
};
static const struct domain_row clear_domains[] = {
	{ REQ, 1, 0, 0, 0, 1, &no_tls, "fail requiretls-no-starttls 5.7.10" },
	{ REQ, 3, 0, 0, 0, 3, &no_tls, "fail requiretls-no-starttls 5.7.10" },
};
static const struct domain_row open_domains[] = {
	{ REQ, 2, 0, 1, 0, 1, &no_keyword, "defer requiretls-not-offered "
	    "4.7.30" },
	{ REQ, 2, 1, 0, 0, 1, &mismatch, "defer sts-mx-mismatch 4.7.0" },
	{ REQ, 2, 0, 0, 0, 1, &no_tls, "defer requiretls-no-starttls "
	    "4.7.10" },
	/* not of that class: an error of the counting, and no bounce */
	{ MAIL, 1, 0, 0, 0, 1, &no_keyword, "defer requiretls-not-offered "
	    "4.7.30" },
};
static struct domain_group refused_group = GROUP(refused_domains),
    mixed_group = GROUP(mixed_domains),
    definite_group = GROUP(definite_domains),
    keyword_group = GROUP(keyword_domains),
    clear_group = GROUP(clear_domains), open_group = GROUP(open_domains);

/*
 * Reuse, words, names.
 */

static void
test_reuse(void **state)
{
	static const struct {
		const char	*proven, *now;
		bool		 reuse;
	} rows[] = {
		{ "", "", true },
		{ "sts=enforce", "sts=enforce", true },
		{ "sts=enforce", "sts=testing", false },	/* weaker too */
		{ "sts=absent", "sts=enforce", false },
		{ "sts=testing match=yes", "sts=testing match=no", false },
		{ "tlsa=usable", "tlsa=absent", false },
		{ "tlsa=absent", "tlsa=usable", false },
		{ "secure=yes", "secure=no", false },
		{ "given=yes", "given=no", false },
		{ "unknown=yes", "unknown=no", false },
		{ "unjudged=yes", "unjudged=no", false },
		{ "report-only=yes", "report-only=no", false },
		{ "tls-required=yes", "tls-required=no", false },
		{ "verified=yes", "verified=no", false },
		{ "exempt=yes", "exempt=no", false },
		{ "relay=yes", "relay=no", false },
		{ "tlsa=usable mark=7", "tlsa=usable mark=7", true },
		{ "tlsa=usable mark=7", "tlsa=usable mark=8", false },
		{ "class=mail", "class=report", false },
		{ "class=tls-optional", "class=mail", false },
		{ "tlsa=failed", "tlsa=failed", false },	/* skipped */
		{ "sts=enforce match=no", "sts=enforce match=no", false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < N(rows); i++) {
		struct session_facts proven = read_facts(rows[i].proven);
		struct session_facts now = read_facts(rows[i].now);

		if (decide_reuse(&proven.host, &now.host) != rows[i].reuse)
			fail_msg("[%s] [%s]", rows[i].proven, rows[i].now);
	}
}

static void
test_clauses(void **state)
{
	static const struct row rows[] = {
		{ "sts=enforce match=no", "RFC 8461 5" },
		{ "sts=enforce cert=expired", "RFC 8461 5" },
		{ "sts=enforce starttls=absent", "RFC 8461 5" },
		{ "sts=enforce", "RFC 8461 5" },
		{ "sts=testing cert=expired", "RFC 8461 5" },
		{ "tlsa=failed", "RFC 7672 2.1.2" },
		{ "tlsa=usable secure=yes", "RFC 7672 2.2" },
		{ "tlsa=usable", "RFC 7672 2.2.1" },
		{ "tlsa=usable starttls=absent", "RFC 7672 2.2" },
		{ "class=requiretls secure=yes", "RFC 8689 4.2.1" },
		{ "class=requiretls", "RFC 8689 4.2.1" },
		{ "class=tls-optional sts=enforce", "RFC 8689 4.2.2" },
		{ "class=report sts=enforce", "RFC 8460 3" },
		{ "starttls=absent", "RFC 7672 2.2" },
		{ "tls-required=yes cert=other", "culver.conf tls-required" },
		{ "verified=yes cert=other", "culver.conf relayhost" },
		{ "verified=yes", "culver.conf relayhost" },
		{ "exempt=yes sts=enforce cert=other", "culver.conf exempt" },
		{ "exempt=yes tlsa=failed", "culver.conf exempt" },
		{ "sts=enforce report-only=yes", "culver.conf mta-sts" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < N(rows); i++) {
		struct session_facts facts = read_facts(rows[i].facts);

		compare(&rows[i], decide_session(&facts).rule.clause);
	}
}

static void
test_policy_types(void **state)
{
	static const struct row rows[] = {
		{ "", "no-policy-found" }, { "sts=none", "no-policy-found" },
		{ "sts=testing", "sts" }, { "sts=enforce", "sts" },
		{ "sts=enforce report-only=yes", "sts" },
		{ "tlsa=usable", "tlsa" }, { "tlsa=unusable", "tlsa" },
		{ "tlsa=failed", "tlsa" },
		{ "tlsa=usable sts=enforce", "tlsa" },
		{ "tlsa=absent sts=enforce", "sts" },
		{ "relay=yes", "relayhost" }, { "relay=yes sts=none",
		    "relayhost" },
		{ "relay=yes sts=testing", "sts" },
		{ "relay=yes tlsa=usable", "tlsa" },
		{ "exempt=yes sts=enforce", "sts" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < N(rows); i++) {
		struct session_facts facts = read_facts(rows[i].facts);

		compare(&rows[i], policy_type_name(&facts.host));
	}
}

/* RFC 8460 4.3's words, to the letter; values without a name say "?". */
static void
test_names(void **state)
{
	static const char *const results[] = {
		"none", "success", "starttls-not-supported",
		"certificate-host-mismatch", "certificate-expired",
		"certificate-not-trusted", "validation-failure",
		"tlsa-invalid", "dnssec-invalid", "dane-required",
		"sts-policy-invalid", "sts-webpki-invalid",
		"sts-policy-fetch-error"
	};
	static const char *const requirements[] = {
		"none", "encrypt", "pkix", "dane", "dane+pkix"
	};
	unsigned i;

	(void)state;
	for (i = 0; i < N(results); i++)
		assert_string_equal(tls_result_name((enum tls_result)i),
		    results[i]);
	for (i = 0; i < N(requirements); i++)
		assert_string_equal(requirement_name((enum requirement)i),
		    requirements[i]);
	assert_string_equal(tls_result_name((enum tls_result)13), "?");
	assert_string_equal(requirement_name((enum requirement)5), "?");
	assert_string_equal(class_name((enum mail_class)5), "?");
	assert_string_equal(sts_mode_name((enum sts_mode)4), "?");
	assert_string_equal(tlsa_state_name((enum tlsa_state)5), "?");
	assert_string_equal(starttls_name((enum starttls)4), "?");
	assert_string_equal(tls_result_name((enum tls_result)99), "?");
	assert_string_equal(requirement_name((enum requirement)99), "?");
	assert_string_equal(class_name((enum mail_class)0), "?");
	assert_string_equal(class_name((enum mail_class)99), "?");
	assert_string_equal(sts_mode_name((enum sts_mode)99), "?");
	assert_string_equal(tlsa_state_name((enum tlsa_state)99), "?");
	assert_string_equal(starttls_name((enum starttls)99), "?");
}

#define HOSTS(name, rows) { name, test_hosts, NULL, NULL, &rows##_group }
#define SESSIONS(name, rows) { name, test_sessions, NULL, NULL, &rows##_group }
#define COUNTS(name, rows) { name, test_counts, NULL, NULL, &rows##_group }
#define DOMAINS(name, group) { name, test_domains, NULL, NULL, &group }
#define TEST(name, function) { name, function, NULL, NULL, NULL }

int
main(void)
{
	const struct CMUnitTest tests[] = {
		HOSTS("DANE-7672-1.3-1, DANE-7672-2.1.1-3, STS-3.3-14 no "
		    "policy requires nothing of a host", no_policy_hosts),
		HOSTS("STS-5-5 mode none requires nothing of a host",
		    mode_none_hosts),
		HOSTS("STS-4-1, STS-5-1, STS-4-3 enforce skips a host outside "
		    "the policy", enforce_hosts),
		HOSTS("STS-5-4 testing and report-only note it",
		    testing_hosts),
		HOSTS("DANE-7672-2.2-1, DANE-7672-2.2-3, DANE-7672-2.2.1-3, "
		    "DANE-7672-2.2.2-7 secure TLSA requires TLS or a match", tlsa_hosts),
		HOSTS("T28 ruling 6: DANE alone behind a secure name, else "
		    "MTA-STS too", both_hosts),
		HOSTS("T24 DANE-7672-2.1.2-4, DANE-7672-2.1.2-5, "
		    "RPT-4.3.2.1-2 a failed TLSA look-up", failed_hosts),
		HOSTS("T22 tls-required asks for proof, by DANE where it can",
		    operator_hosts),
		HOSTS("T46 a verified relayhost", relay_hosts),
		HOSTS("exempt is as testing", exempt_hosts),
		HOSTS("RTLS-3-2, RTLS-4.2.1-2 REQUIRETLS wants the name "
		    "vouched for", requiretls_hosts),
		HOSTS("RTLS-3-6 a testing policy vouches where it matches",
		    requiretls_testing_hosts),
		HOSTS("RTLS-4-2 tls-optional skips no host", optional_hosts),
		HOSTS("RPT-3-10, RPT-5.3.1-1 a report skips no host",
		    report_hosts),

		SESSIONS("DANE-7672-1.3-1, DANE-7672-2.2-5, DANE-7672-2.2-6, "
		    "TLS-3207-4-9 opportunistic", opportunistic_sessions),
		SESSIONS("STS-5-5 mode none", mode_none_sessions),
		SESSIONS("STS-4-2, STS-5-1 enforce", enforce_sessions),
		SESSIONS("STS-5-2, STS-4.2-1, STS-4.2-2, STS-4.2-3 enforce "
		    "and certificates", enforce_cert_sessions),
		SESSIONS("STS-5-3, TLS-3207-4-9 enforce without TLS",
		    enforce_tls_sessions),
		SESSIONS("STS-5-4 testing and report-only", testing_sessions),
		SESSIONS("T26 DANE-7672-2.2-1, DANE-7672-2.2-2, "
		    "DANE-7672-2.2.3-5, DANE-7672-3.1.1-1, DANE-7672-3.1.1-2 "
		    "usable TLSA", dane_sessions),
		SESSIONS("T23 STS-2-1, DANE-7672-3.2-1, DANE-7672-3.2-2 TLSA "
		    "that does not match", dane_mismatch_sessions),
		SESSIONS("T26 DANE-7672-3.1.2-3, DANE-7672-3.2.2-1 what usage "
		    "DANE-TA asks for", dane_anchor_sessions),
		SESSIONS("T28 DANE-7672-2.2.1-3, DANE-7672-2.2.1-5 insecure "
		    "MX, secure TLSA", host_only_sessions),
		SESSIONS("T27 DANE-7672-2.2-3, DANE-7672-2.2-4 unusable TLSA",
		    unusable_sessions),
		SESSIONS("DANE-7672-3.2-1 ruling 6: enforce beside usable "
		    "TLSA", dane_sts_sessions),
		SESSIONS("T22 tls-required", operator_sessions),
		SESSIONS("a verified relayhost", relay_sessions),
		SESSIONS("exempt", exempt_sessions),
		SESSIONS("RTLS-3-3, RTLS-4.2.1-4, RTLS-4.2.1-5 REQUIRETLS",
		    requiretls_sessions),
		SESSIONS("RTLS-3-4 REQUIRETLS not offered", keyword_sessions),
		SESSIONS("RTLS-3-1 REQUIRETLS without TLS",
		    requiretls_clear_sessions),
		SESSIONS("RTLS-4-3, RTLS-4.2.2-1 TLS-Required: No",
		    optional_sessions),
		SESSIONS("RPT-3-10, RPT-5.3.1-1 reports", report_sessions),

		COUNTS("RPT-4.3.1-1, RPT-4.3.1-2, RPT-4.3.1-3, RPT-4.3.1-4, "
		    "RPT-4.3.1-6, RPT-4.3.2.1-1, RPT-4.3.2.2-4, RTLS-4.2.2-3 "
		    "what is counted", counted),
		COUNTS("RPT-3-11 a report's session is not counted",
		    uncounted),

		DOMAINS("STS-5-7 refused by policy waits", refused_group),
		DOMAINS("STS-8.4-3 refused and other failures wait",
		    mixed_group),
		DOMAINS("SMTP-5.1-7 fails only if all are definite",
		    definite_group),
		DOMAINS("RTLS-4.2.1-12 5.7.30 where no host offers it",
		    keyword_group),
		DOMAINS("RTLS-4.2.1-13 5.7.10 where no host has TLS",
		    clear_group),
		DOMAINS("EXT-3463-3.8-1 4.7.x while anything is open",
		    open_group),

		TEST("reuse needs equal facts", test_reuse),
		TEST("clauses", test_clauses),
		TEST("policy types", test_policy_types),
		TEST("names", test_names),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
