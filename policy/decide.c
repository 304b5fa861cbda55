/*
 * May this host be tried, may this session carry mail, may this message be
 * given up?
 *
 * Called by the delivery manager (hosts, domains, reuse) and its workers
 * (sessions); the policy program and `culverctl explain` use the names.
 * Everything is a function of its arguments.  RFC 8461 (MTA-STS), RFC 7672
 * (DANE) and RFC 8689 (REQUIRETLS) meet here and nowhere else; "ruling N" is
 * a decision on an unclear text, told in culver-policy(7).
 *
 * Who demands what is gathered once (struct demands); both decide_host and
 * decide_session read it, so that a session is judged by what was demanded
 * of its host.  Where several refuse, the first of DANE, MTA-STS, REQUIRETLS,
 * operator gives the reason.
 *
 * Until certificates are compared with TLSA records, DANE demands encryption
 * only, and MTA-STS is enforced beside it even where DANE alone will decide
 * (ruling 6).  Such verdicts are marked interim.
 *
 * The rules' names, clauses and enhanced codes end up in logs, DSNs and
 * scripts: they are not changed without need.
 */
#include "policy/decide.h"

#include <string.h>

#define N(array)	(sizeof(array) / sizeof((array)[0]))

/*
 * Rules.
 */

#define STS_CLAUSE		"RFC 8461 5"
#define DANE_CLAUSE		"RFC 7672 2.2"
#define REQUIRETLS_CLAUSE	"RFC 8689 4.2.1"
#define OPERATOR_CLAUSE		"culver.conf tls-required"
#define REPORT_ONLY_CLAUSE	"culver.conf mta-sts"

static const struct rule dane_lookup_failed = {
	"dane-lookup-failed", "RFC 7672 2.1.2", "4.7.5",
	"The host's zone is signed, but its TLSA records cannot be had: its "
	"DNSSEC signatures or its name servers must be mended."
};
static const struct rule dane_no_match = {
	"dane-no-match", DANE_CLAUSE, "4.7.5",
	"The host's TLSA records do not fit its certificate: publish the "
	"record of the key that is in use, or go back to the old key."
};

#define MX_MISMATCH_REPAIR \
	"No mx pattern of the domain's MTA-STS policy covers this host: the " \
	"domain must name it in the policy (with a new id) or drop its MX " \
	"record."
static const struct rule sts_mx_mismatch = {
	"sts-mx-mismatch", STS_CLAUSE, "4.7.0", MX_MISMATCH_REPAIR
};
static const struct rule testing_mx_mismatch = {
	"testing-mx-mismatch", STS_CLAUSE, "", MX_MISMATCH_REPAIR
};
static const struct rule report_only_mx_mismatch = {
	"report-only-mx-mismatch", REPORT_ONLY_CLAUSE, "", MX_MISMATCH_REPAIR
};

static const struct rule requiretls_mx_unproven = {
	"requiretls-mx-unproven", "RFC 8689 4.2.1", "4.7.10",
	"Nothing vouches for the name of this host: the recipient's domain "
	"must sign its MX records (DNSSEC) or cover the host by an MTA-STS "
	"policy."
};
static const struct rule requiretls_not_offered = {
	"requiretls-not-offered", REQUIRETLS_CLAUSE, "4.7.30",
	"The host does not offer REQUIRETLS: the message can go there only "
	"without that demand of its sender."
};

/* Hosts that are tried. */
#define UNUSABLE_REPAIR \
	"The host has TLSA records but none that mail can use: usage 2 or 3, " \
	"selector 0 or 1 and a digest of the right length are needed."
static const struct rule host_rules[] = {
	{ "no-policy", DANE_CLAUSE, "", "" },
	{ "sts-none", STS_CLAUSE, "", "" },
	{ "sts-testing", STS_CLAUSE, "", "" },
	{ "sts-report-only", REPORT_ONLY_CLAUSE, "", "" },
	{ "sts-enforce", STS_CLAUSE, "", "" },
	{ "dane", DANE_CLAUSE, "", "" },
	{ "dane-host-only", "RFC 7672 2.2.1", "", "" },
	{ "dane-unusable", DANE_CLAUSE, "", UNUSABLE_REPAIR },
	{ "requiretls", REQUIRETLS_CLAUSE, "", "" },
	{ "tls-required", OPERATOR_CLAUSE, "", "" },
	{ "tls-optional", "RFC 8689 4.2.2", "", "" },
	{ "tls-report", "RFC 8460 3", "", "" },
};
enum host_rule {
	HR_NO_POLICY, HR_STS_NONE, HR_STS_TESTING, HR_STS_REPORT_ONLY,
	HR_STS_ENFORCE, HR_DANE, HR_DANE_HOST_ONLY, HR_DANE_UNUSABLE,
	HR_REQUIRETLS, HR_TLS_REQUIRED, HR_TLS_OPTIONAL, HR_TLS_REPORT
};

/* Sessions that carry mail though nothing is wrong with them. */
static const struct rule good_rules[] = {
	[HR_NO_POLICY] = { "opportunistic-tls", DANE_CLAUSE, "", "" },
	[HR_STS_NONE] = { "opportunistic-tls", DANE_CLAUSE, "", "" },
	[HR_STS_TESTING] = { "testing-verified", STS_CLAUSE, "", "" },
	[HR_STS_REPORT_ONLY] = {
		"report-only-verified", REPORT_ONLY_CLAUSE, "", "" },
	[HR_STS_ENFORCE] = { "sts-verified", STS_CLAUSE, "", "" },
	[HR_DANE] = { "dane-encrypted", DANE_CLAUSE, "", "" },
	[HR_DANE_HOST_ONLY] = {
		"dane-host-only-encrypted", "RFC 7672 2.2.1", "", "" },
	[HR_DANE_UNUSABLE] = {
		"dane-unusable-encrypted", DANE_CLAUSE, "", UNUSABLE_REPAIR },
	[HR_REQUIRETLS] = {
		"requiretls-verified", REQUIRETLS_CLAUSE, "", "" },
	[HR_TLS_REQUIRED] = {
		"tls-required-verified", OPERATOR_CLAUSE, "", "" },
	[HR_TLS_OPTIONAL] = { "tls-optional", "RFC 8689 4.2.2", "", "" },
	[HR_TLS_REPORT] = { "tls-report", "RFC 8460 3", "", "" },
};

/* What can be wrong with a session, in the order that tells (ruling 29). */
enum defect {
	DEFECT_NO_STARTTLS, DEFECT_STARTTLS_REFUSED, DEFECT_HANDSHAKE,
	DEFECT_NOT_TRUSTED, DEFECT_EXPIRED, DEFECT_HOST_MISMATCH,
	DEFECT_CERTIFICATE, DEFECT_NONE
};

/*
 * One authority's words on each defect.  tls: the code when there is no TLS,
 * cert: when a certificate is no good, fail: when a handshake fails.
 */
#define DEFECT_RULES(prefix, clause, tls, fail, cert) {			\
	[DEFECT_NO_STARTTLS] = { prefix "no-starttls", clause, tls,	\
	    "The host must offer STARTTLS: its answer to EHLO does not list " \
	    "it, or something on the way takes it out." },		\
	[DEFECT_STARTTLS_REFUSED] = { prefix "starttls-refused", clause, tls, \
	    "The host offers STARTTLS and refuses the command: its TLS " \
	    "must be set up anew." },					\
	[DEFECT_HANDSHAKE] = { prefix "handshake-failed", clause, fail,	\
	    "The TLS handshake must succeed: TLS 1.2 or later, and a cipher " \
	    "suite that is not outdated." },				\
	[DEFECT_NOT_TRUSTED] = { prefix "certificate-not-trusted", clause, \
	    cert, "The host must show a certificate of a public CA, with " \
	    "all intermediate certificates." },				\
	[DEFECT_EXPIRED] = { prefix "certificate-expired", clause, cert, \
	    "The host's certificate is past its dates, or not yet in them: " \
	    "it must be renewed." },					\
	[DEFECT_HOST_MISMATCH] = { prefix "certificate-host-mismatch",	\
	    clause, cert, "The host's certificate must hold the name of the " \
	    "host as a subjectAltName." },				\
	[DEFECT_CERTIFICATE] = { prefix "certificate-bad", clause, cert, \
	    "The host must show a well-formed certificate whose signatures " \
	    "hold." },							\
}

enum authority {
	BY_DANE, BY_STS, BY_REQUIRETLS, BY_OPERATOR,	/* these refuse */
	BY_TESTING, BY_REPORT_ONLY, BY_NOBODY		/* these note it */
};
static const struct rule defect_rules[][DEFECT_NONE] = {
	[BY_DANE] = DEFECT_RULES("dane-", DANE_CLAUSE,
	    "4.7.4", "4.7.5", "4.7.5"),
	[BY_STS] = DEFECT_RULES("sts-", STS_CLAUSE,
	    "4.7.4", "4.7.5", "4.7.5"),
	/* RTLS-4.2.1-13 RFC 8689 4.2.1: 7.10 for want of TLS */
	[BY_REQUIRETLS] = DEFECT_RULES("requiretls-", REQUIRETLS_CLAUSE,
	    "4.7.10", "4.7.10", "4.7.5"),
	[BY_OPERATOR] = DEFECT_RULES("tls-required-", OPERATOR_CLAUSE,
	    "4.7.4", "4.7.5", "4.7.5"),
	[BY_TESTING] = DEFECT_RULES("testing-", STS_CLAUSE, "", "", ""),
	[BY_REPORT_ONLY] = DEFECT_RULES("report-only-", REPORT_ONLY_CLAUSE,
	    "", "", ""),
	[BY_NOBODY] = DEFECT_RULES("opportunistic-", DANE_CLAUSE, "", "", ""),
};
static const enum tls_result defect_results[] = {
	[DEFECT_NO_STARTTLS] = RESULT_STARTTLS_NOT_SUPPORTED,
	[DEFECT_STARTTLS_REFUSED] = RESULT_VALIDATION_FAILURE,
	[DEFECT_HANDSHAKE] = RESULT_VALIDATION_FAILURE,
	[DEFECT_NOT_TRUSTED] = RESULT_CERTIFICATE_NOT_TRUSTED,
	[DEFECT_EXPIRED] = RESULT_CERTIFICATE_EXPIRED,
	[DEFECT_HOST_MISMATCH] = RESULT_CERTIFICATE_HOST_MISMATCH,
	[DEFECT_CERTIFICATE] = RESULT_VALIDATION_FAILURE,
	[DEFECT_NONE] = RESULT_SUCCESS,
};

/*
 * Who demands what of a host.
 */

struct demands {
	bool	dane;		/* TLS */
	bool	sts;		/* TLS, certificate, name in the policy */
	bool	requiretls;	/* TLS, certificate, proven name, keyword */
	bool	operator;	/* TLS, certificate */
};

/*
 * Mail that goes out in spite of DANE and MTA-STS: what its sender marked so
 * (RTLS-4-2, RTLS-4.2.2-1 RFC 8689 4.2) and our own reports (RPT-3-10
 * RFC 8460 3, RPT-5.3.1-1 RFC 8460 5.3.1).
 */
static bool
heeds_policies(const struct host_facts *facts)
{
	return facts->class == CLASS_MAIL || facts->class == CLASS_REQUIRETLS;
}

/*
 * Secure records alone: DANE-7672-2.1.1-3 RFC 7672 2.1.1, an insecure answer
 * asks for nothing and stops nothing.
 */
static bool
has_tlsa(const struct host_facts *facts)
{
	return facts->tlsa == TLSA_USABLE || facts->tlsa == TLSA_UNUSABLE;
}

/* STS-5-5 RFC 8461 5: mode none is as if there were no policy. */
static bool
has_sts(const struct host_facts *facts)
{
	return facts->sts == STS_TESTING || facts->sts == STS_ENFORCE;
}

/*
 * DANE-7672-2.2-1, DANE-7672-2.2-3 RFC 7672 2.2: secure TLSA, usable or not,
 * demands TLS, of a host behind insecure MX records too (DANE-7672-2.2.1-3,
 * ruling 5).  STS-5-4 RFC 8461 5: testing demands nothing.  The operator's
 * rule binds all mail but reports, which go out in spite of any failure.
 */
static struct demands
gather_demands(const struct host_facts *facts)
{
	bool heeds = heeds_policies(facts);

	return (struct demands){
		.dane = heeds && has_tlsa(facts),
		.sts = heeds && facts->sts == STS_ENFORCE &&
		    !facts->sts_report_only,
		.requiretls = facts->class == CLASS_REQUIRETLS,
		.operator = facts->tls_required &&
		    facts->class != CLASS_REPORT,
	};
}

static bool
ask_certificate(const struct demands *demands)
{
	return demands->sts || demands->requiretls || demands->operator;
}

/*
 * Each value asks for all that the lesser ones do (TLS-9325-5.2-1 RFC 9325
 * 5.2).  TLS-9325-7.1-1 RFC 9325 7.1: a certificate for the MX name is demanded
 * where a policy covers the name, DNSSEC or the configuration gives it, or
 * the operator wants it all the same.
 */
static enum requirement
requirement_of(const struct demands *demands)
{
	if (ask_certificate(demands))
		return REQUIRE_PKIX;
	return demands->dane ? REQUIRE_ENCRYPT : REQUIRE_NONE;
}

/*
 * Hosts.
 */

static enum host_rule
sts_rule(const struct host_facts *facts)
{
	switch (facts->sts) {
	case STS_ABSENT:
		break;
	case STS_NONE:
		return HR_STS_NONE;
	case STS_TESTING:
		return HR_STS_TESTING;
	case STS_ENFORCE:
		return facts->sts_report_only ? HR_STS_REPORT_ONLY :
		    HR_STS_ENFORCE;
	}
	return HR_NO_POLICY;
}

static enum host_rule
dane_rule(const struct host_facts *facts)
{
	if (facts->tlsa == TLSA_UNUSABLE)
		return HR_DANE_UNUSABLE;
	/*
	 * DANE-7672-2.2.1-5 RFC 7672 2.2.1: behind an insecure MX answer it
	 * says nothing of the domain.  DANE-7672-2.2.2-7: without MX it does.
	 */
	return facts->mx_secure || facts->name_given ? HR_DANE :
	    HR_DANE_HOST_ONLY;
}

/* Which rule asks the most of a host that is tried? */
static enum host_rule
leading_rule(const struct host_facts *facts, const struct demands *demands)
{
	if (demands->sts)
		return HR_STS_ENFORCE;
	if (demands->requiretls)
		return HR_REQUIRETLS;
	if (demands->operator)
		return HR_TLS_REQUIRED;
	if (facts->class == CLASS_TLS_OPTIONAL)
		return HR_TLS_OPTIONAL;
	if (facts->class == CLASS_REPORT)
		return HR_TLS_REPORT;
	return demands->dane ? dane_rule(facts) : sts_rule(facts);
}

/*
 * RTLS-3-2, RTLS-4.2.1-2 RFC 8689 4.2.1: DNSSEC or MTA-STS vouches for the MX
 * name, unless it is the domain's own.  RTLS-3-6: a testing policy does where
 * a pattern of it covers the name.
 */
static bool
is_name_proven(const struct host_facts *facts)
{
	return facts->mx_secure || facts->name_given ||
	    (has_sts(facts) && facts->mx_match);
}

static bool
is_outside_policy(const struct host_facts *facts)
{
	return has_sts(facts) && !facts->mx_match;
}

/* Policy failures that are known before there is a session. */
static enum tls_result
known_failure(const struct host_facts *facts)
{
	if (facts->tlsa == TLSA_FAILED)
		return RESULT_DNSSEC_INVALID;	/* RPT-4.3.2.1-2 */
	if (facts->tlsa == TLSA_UNUSABLE)
		return RESULT_TLSA_INVALID;	/* ruling 27 */
	if (is_outside_policy(facts))
		return RESULT_VALIDATION_FAILURE;	/* ruling 9 */
	return RESULT_NONE;
}

static struct host_verdict
skip(struct rule rule, enum tls_result result)
{
	return (struct host_verdict){
		.action = HOST_SKIP, .result = result, .rule = rule
	};
}

static struct host_verdict
try(const struct host_facts *facts)
{
	struct demands demands = gather_demands(facts);
	enum host_rule rule = leading_rule(facts, &demands);
	struct host_verdict verdict = {
		.action = HOST_TRY,
		.requirement = requirement_of(&demands),
		.result = known_failure(facts),
		.rule = host_rules[rule],
		.interim = demands.dane && facts->tlsa == TLSA_USABLE,
	};

	if (is_outside_policy(facts) && rule == HR_STS_TESTING)
		verdict.rule = testing_mx_mismatch;
	if (is_outside_policy(facts) && rule == HR_STS_REPORT_ONLY)
		verdict.rule = report_only_mx_mismatch;
	return verdict;
}

struct host_verdict
decide_host(const struct host_facts *facts)
{
	struct demands demands = gather_demands(facts);
	struct host_verdict verdict;

	/* DANE-7672-2.1.2-4, DANE-7672-2.1.2-5 RFC 7672 2.1.2 */
	if (heeds_policies(facts) && facts->tlsa == TLSA_FAILED) {
		verdict = skip(dane_lookup_failed, RESULT_DNSSEC_INVALID);
		verdict.blocks.tlsa = RESULT_DNSSEC_INVALID;
		return verdict;
	}
	/*
	 * STS-5-1 RFC 8461 5, and STS-4-3: whatever its certificate may be.
	 * Counted without a session by ruling 18.
	 */
	if (demands.sts && !facts->mx_match) {
		verdict = skip(sts_mx_mismatch, RESULT_VALIDATION_FAILURE);
		verdict.blocks.sts = RESULT_VALIDATION_FAILURE;
		return verdict;
	}
	/* Ruling 16: it may be covered tomorrow, where a policy exists. */
	if (demands.requiretls && !is_name_proven(facts)) {
		verdict = skip(requiretls_mx_unproven, known_failure(facts));
		verdict.definite = !has_sts(facts) &&
		    !(facts->sts == STS_ABSENT && facts->sts_unknown);
		return verdict;
	}
	return try(facts);
}

/*
 * Sessions.
 */

static bool
is_encrypted(const struct session_facts *facts)
{
	return facts->starttls == STARTTLS_DONE && !facts->clear_retry;
}

/* Ruling 29: not trusted, expired, other name, anything else. */
static enum defect
certificate_defect(unsigned cert)
{
	if (cert & CERT_NOT_TRUSTED)
		return DEFECT_NOT_TRUSTED;
	if (cert & CERT_EXPIRED)
		return DEFECT_EXPIRED;
	if (cert & CERT_HOST_MISMATCH)
		return DEFECT_HOST_MISMATCH;
	return cert & CERT_OTHER ? DEFECT_CERTIFICATE : DEFECT_NONE;
}

static enum defect
session_defect(const struct session_facts *facts)
{
	if (facts->clear_retry)
		return DEFECT_HANDSHAKE;
	switch (facts->starttls) {
	case STARTTLS_ABSENT:
		return DEFECT_NO_STARTTLS;
	case STARTTLS_REFUSED:
		return DEFECT_STARTTLS_REFUSED;
	case STARTTLS_BROKEN:
		return DEFECT_HANDSHAKE;
	case STARTTLS_DONE:
		break;
	}
	return certificate_defect(facts->cert);
}

static bool
dane_is_refuted(const struct session_facts *facts)
{
	return is_encrypted(facts) && facts->host.tlsa == TLSA_USABLE &&
	    (facts->cert & CERT_DANE_NO_MATCH) != 0;
}

/* Ruling 27; nothing is said of a TLSA record that was not compared. */
static enum tls_result
tlsa_result(const struct session_facts *facts, enum defect defect)
{
	if (facts->host.tlsa == TLSA_FAILED)
		return RESULT_DNSSEC_INVALID;
	if (!has_tlsa(&facts->host))
		return RESULT_NONE;
	if (!is_encrypted(facts))
		return defect_results[defect];
	if (facts->host.tlsa == TLSA_UNUSABLE || dane_is_refuted(facts))
		return RESULT_TLSA_INVALID;
	return RESULT_NONE;
}

static enum tls_result
sts_result(const struct session_facts *facts, enum defect defect)
{
	if (!has_sts(&facts->host))
		return RESULT_NONE;
	if (is_outside_policy(&facts->host))
		return RESULT_VALIDATION_FAILURE;
	return defect_results[defect];
}

/*
 * Ruling 28: without a policy any TLS is a success.  Ruling 10: under mode
 * none only successes are counted.
 */
static enum tls_result
no_policy_result(const struct session_facts *facts, enum defect defect)
{
	if (has_sts(&facts->host) || has_tlsa(&facts->host) ||
	    facts->host.tlsa == TLSA_FAILED)
		return RESULT_NONE;
	if (is_encrypted(facts))
		return RESULT_SUCCESS;
	return facts->host.sts == STS_NONE ? RESULT_NONE :
	    defect_results[defect];
}

/* Ruling 18: the retry in clear is not a second session. */
static struct block_results
evaluate(const struct session_facts *facts, enum defect defect)
{
	if (facts->clear_retry)
		return (struct block_results){ .sts = RESULT_NONE };
	return (struct block_results){
		.sts = sts_result(facts, defect),
		.tlsa = tlsa_result(facts, defect),
		.no_policy = no_policy_result(facts, defect),
	};
}

static enum tls_result
first_failure(const struct block_results *blocks)
{
	const enum tls_result results[] = {
		blocks->tlsa, blocks->sts, blocks->no_policy
	};
	enum tls_result result = RESULT_NONE;
	size_t i;

	for (i = 0; i < N(results); i++) {
		if (results[i] > RESULT_SUCCESS)
			return results[i];
		if (results[i] == RESULT_SUCCESS)
			result = RESULT_SUCCESS;
	}
	return result;
}

static struct session_verdict
refuse(struct session_verdict verdict, struct rule rule,
    enum tls_result result)
{
	verdict.action = SESSION_NEXT;
	verdict.rule = rule;
	verdict.result = result;
	return verdict;
}

/* Who refuses a session with this defect; BY_NOBODY: it may carry mail. */
static enum authority
refuser(const struct demands *demands, enum defect defect)
{
	if (defect == DEFECT_NONE)
		return BY_NOBODY;
	if (demands->dane && defect < DEFECT_NOT_TRUSTED)
		return BY_DANE;		/* DANE-7672-2.2-2, DANE-7672-2.2-4 */
	if (demands->sts)
		return BY_STS;		/* STS-5-2, STS-5-3 RFC 8461 5 */
	if (demands->requiretls)
		return BY_REQUIRETLS;	/* RTLS-3-3, RTLS-4.2.1-4 */
	return demands->operator ? BY_OPERATOR : BY_NOBODY;
}

/* Who only takes note. */
static enum authority
observer(const struct host_facts *facts)
{
	if (!has_sts(facts))
		return BY_NOBODY;
	return facts->sts == STS_ENFORCE ? BY_REPORT_ONLY : BY_TESTING;
}

/* The word on a session that carries mail, or is retried in clear. */
static struct rule
passing_rule(const struct session_facts *facts, const struct demands *demands,
    enum defect defect)
{
	enum host_rule rule = leading_rule(&facts->host, demands);
	enum authority noted = observer(&facts->host);

	if (rule == HR_STS_TESTING && is_outside_policy(&facts->host))
		return testing_mx_mismatch;
	if (rule == HR_STS_REPORT_ONLY && is_outside_policy(&facts->host))
		return report_only_mx_mismatch;
	if (rule == HR_STS_TESTING || rule == HR_STS_REPORT_ONLY)
		return defect == DEFECT_NONE ? good_rules[rule] :
		    defect_rules[noted][defect];
	if ((rule == HR_NO_POLICY || rule == HR_STS_NONE) &&
	    !is_encrypted(facts))
		return defect_rules[BY_NOBODY][defect];
	return good_rules[rule];
}

/*
 * Nothing refuses it.  DANE-7672-2.2-6 RFC 7672 2.2, ruling 19: only where
 * clear text is allowed may a failed handshake be followed by a connection
 * in clear; TLS-3207-4-9 RFC 3207 4: likewise a refused STARTTLS by going on.
 */
static struct session_verdict
pass(struct session_verdict verdict, const struct session_facts *facts,
    const struct demands *demands, enum defect defect)
{
	bool again = facts->starttls == STARTTLS_BROKEN && !facts->clear_retry;

	verdict.action = again ? SESSION_RECONNECT : SESSION_SEND;
	verdict.rule = passing_rule(facts, demands, defect);
	return verdict;
}

/*
 * Ruling 16: without STARTTLS and without the keyword a host cannot do
 * REQUIRETLS; but where DANE or MTA-STS promise TLS, its want is a fault
 * that will pass (STS-5-7 RFC 8461 5).
 */
static bool
is_definite(const struct demands *demands, enum defect defect)
{
	return demands->requiretls && !demands->dane && !demands->sts &&
	    defect == DEFECT_NO_STARTTLS;
}

struct session_verdict
decide_session(const struct session_facts *facts)
{
	struct demands demands = gather_demands(&facts->host);
	struct host_verdict host = decide_host(&facts->host);
	enum defect defect = session_defect(facts);
	struct session_verdict verdict = { .action = SESSION_NEXT };
	enum authority authority;

	if (host.action == HOST_SKIP) {
		verdict.definite = host.definite;
		return refuse(verdict, host.rule, host.result);
	}
	verdict.blocks = evaluate(facts, defect);
	verdict.result = first_failure(&verdict.blocks);
	/* RPT-3-11 RFC 8460 3 */
	if (facts->host.class == CLASS_REPORT)
		verdict.blocks = (struct block_results){ .sts = RESULT_NONE };
	/* STS-2-1 RFC 8461 2: whatever else this certificate proves. */
	if (demands.dane && dane_is_refuted(facts))
		return refuse(verdict, dane_no_match, RESULT_TLSA_INVALID);
	authority = refuser(&demands, defect);
	if (authority != BY_NOBODY) {
		verdict.definite = is_definite(&demands, defect);
		return refuse(verdict, defect_rules[authority][defect],
		    defect_results[defect]);
	}
	/* RTLS-3-4 RFC 8689 3 */
	if (demands.requiretls && !facts->requiretls) {
		verdict.definite = true;
		return refuse(verdict, requiretls_not_offered, RESULT_NONE);
	}
	return pass(verdict, facts, &demands, defect);
}

/*
 * Domains.
 */

static const struct rule no_host = {
	"no-host", "RFC 5321 5.1", "4.4.4",
	"No host was left to try: look at the domain's MX records."
};
static const struct rule no_such_host = {
	"no-such-host", "RFC 5321 5.1", "5.4.4",
	"None of the domain's mail hosts exists: the domain must correct its "
	"MX records."
};
static const struct rule unreachable = {
	"unreachable", "RFC 5321 4.5.4.1", "4.4.1",
	"None of the domain's mail hosts could be reached or would talk to us "
	"for now."
};
static const struct rule refused_by_policy = {
	"policy", "", "4.7.0",
	"No host of the domain meets the policy that applies to this mail."
};

static struct domain_verdict
defer(struct rule rule)
{
	return (struct domain_verdict){ DOMAIN_DEFER, rule };
}

/*
 * RTLS-4.2.1-12, RTLS-4.2.1-13 RFC 8689 4.2.1: the host's 4.7.30 or 4.7.10
 * made permanent; EXT-3463-3.8-1: 5.7.x for definite refusals alone.
 */
static struct domain_verdict
fail_requiretls(const struct domain_facts *facts)
{
	struct rule rule = facts->policy_rule;

	if (rule.name == NULL)
		rule = requiretls_not_offered;
	rule.enhanced = strcmp(rule.enhanced, "4.7.10") == 0 ? "5.7.10" :
	    "5.7.30";
	return (struct domain_verdict){ DOMAIN_FAIL, rule };
}

/*
 * STS-5-7 RFC 8461 5, STS-8.4-3 RFC 8461 8.4: what a policy refused, alone
 * or beside other failures, waits.  SMTP-5.1-7 RFC 5321 5.1, ruling 21: mail
 * fails only where every host gave a definite answer.  A host that no count
 * names was not tried, which is not definite.
 */
struct domain_verdict
decide_domain(const struct domain_facts *facts)
{
	bool open = facts->policy > 0 || facts->temporary > 0 ||
	    facts->nonexistent + facts->unfit_tls < facts->hosts;
	struct rule refused = facts->policy_rule.name != NULL ?
	    facts->policy_rule : refused_by_policy;

	if (facts->hosts == 0)
		return defer(no_host);
	if (!open && facts->unfit_tls == 0)
		return (struct domain_verdict){ DOMAIN_FAIL, no_such_host };
	if (!open && facts->class == CLASS_REQUIRETLS)
		return fail_requiretls(facts);
	if (facts->policy > 0 || facts->unfit_tls > 0)
		return defer(refused);
	return defer(unreachable);
}

bool
decide_reuse(const struct host_facts *proven, const struct host_facts *now)
{
	return decide_host(now).action == HOST_TRY &&
	    proven->class == now->class &&
	    proven->sts == now->sts &&
	    proven->sts_unknown == now->sts_unknown &&
	    proven->sts_report_only == now->sts_report_only &&
	    proven->mx_match == now->mx_match &&
	    proven->mx_secure == now->mx_secure &&
	    proven->name_given == now->name_given &&
	    proven->tlsa == now->tlsa &&
	    proven->tls_required == now->tls_required;
}

/*
 * Names.
 */

static const char *
name_of(const char *const *names, size_t names_n, unsigned value)
{
	return value < names_n && names[value] != NULL ? names[value] : "?";
}

const char *
policy_type_name(const struct host_facts *facts)
{
	if (has_tlsa(facts) || facts->tlsa == TLSA_FAILED)
		return "tlsa";
	return has_sts(facts) ? "sts" : "no-policy-found";
}

const char *
class_name(enum mail_class class)
{
	static const char *const names[] = {
		[CLASS_MAIL] = "mail", [CLASS_REQUIRETLS] = "requiretls",
		[CLASS_TLS_OPTIONAL] = "tls-optional",
		[CLASS_REPORT] = "report",
	};

	return name_of(names, N(names), class);
}

const char *
sts_mode_name(enum sts_mode mode)
{
	static const char *const names[] = {
		[STS_ABSENT] = "absent", [STS_NONE] = "none",
		[STS_TESTING] = "testing", [STS_ENFORCE] = "enforce",
	};

	return name_of(names, N(names), mode);
}

const char *
tlsa_state_name(enum tlsa_state state)
{
	static const char *const names[] = {
		[TLSA_INSECURE] = "insecure", [TLSA_ABSENT] = "absent",
		[TLSA_USABLE] = "usable", [TLSA_UNUSABLE] = "unusable",
		[TLSA_FAILED] = "failed",
	};

	return name_of(names, N(names), state);
}

const char *
requirement_name(enum requirement requirement)
{
	static const char *const names[] = {
		[REQUIRE_NONE] = "none", [REQUIRE_ENCRYPT] = "encrypt",
		[REQUIRE_PKIX] = "pkix", [REQUIRE_DANE] = "dane",
		[REQUIRE_DANE_PKIX] = "dane+pkix",
	};

	return name_of(names, N(names), requirement);
}

/* RFC 8460 4.3's words. */
const char *
tls_result_name(enum tls_result result)
{
	static const char *const names[] = {
		[RESULT_NONE] = "none", [RESULT_SUCCESS] = "success",
		[RESULT_STARTTLS_NOT_SUPPORTED] = "starttls-not-supported",
		[RESULT_CERTIFICATE_HOST_MISMATCH] =
		    "certificate-host-mismatch",
		[RESULT_CERTIFICATE_EXPIRED] = "certificate-expired",
		[RESULT_CERTIFICATE_NOT_TRUSTED] = "certificate-not-trusted",
		[RESULT_VALIDATION_FAILURE] = "validation-failure",
		[RESULT_TLSA_INVALID] = "tlsa-invalid",
		[RESULT_DNSSEC_INVALID] = "dnssec-invalid",
		[RESULT_DANE_REQUIRED] = "dane-required",
		[RESULT_STS_POLICY_INVALID] = "sts-policy-invalid",
		[RESULT_STS_WEBPKI_INVALID] = "sts-webpki-invalid",
		[RESULT_STS_POLICY_FETCH_ERROR] = "sts-policy-fetch-error",
	};

	return name_of(names, N(names), result);
}

const char *
starttls_name(enum starttls starttls)
{
	static const char *const names[] = {
		[STARTTLS_ABSENT] = "absent", [STARTTLS_REFUSED] = "refused",
		[STARTTLS_BROKEN] = "broken", [STARTTLS_DONE] = "done",
	};

	return name_of(names, N(names), starttls);
}
