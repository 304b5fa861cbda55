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
 * of its host.  What fails is a defect, and who minds it an authority; their
 * words are one table (defect_rules).  Where several refuse, the first of
 * DANE, MTA-STS, REQUIRETLS, relayhost, operator gives the reason.
 *
 * An exemption takes away what DANE and MTA-STS demand, and nothing else.
 * Where nobody else demands anything, the verdict without it is asked for as
 * well, for the word on what it let pass.
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
#define DANE_HOST_CLAUSE	"RFC 7672 2.2.1"
#define REQUIRETLS_CLAUSE	"RFC 8689 4.2.1"
#define RELAYHOST_CLAUSE	"culver.conf relayhost"
#define OPERATOR_CLAUSE		"culver.conf tls-required"
#define REPORT_ONLY_CLAUSE	"culver.conf mta-sts"
#define EXEMPT_CLAUSE		"culver.conf exempt"

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
	{ "dane-host-only", DANE_HOST_CLAUSE, "", "" },
	{ "dane-host-only-sts-enforce", STS_CLAUSE, "", "" },
	{ "dane-unusable", DANE_CLAUSE, "", UNUSABLE_REPAIR },
	{ "requiretls", REQUIRETLS_CLAUSE, "", "" },
	{ "relayhost", RELAYHOST_CLAUSE, "", "" },
	{ "tls-required", OPERATOR_CLAUSE, "", "" },
	{ "exempt", EXEMPT_CLAUSE, "", "" },
	{ "tls-optional", "RFC 8689 4.2.2", "", "" },
	{ "tls-report", "RFC 8460 3", "", "" },
};
enum host_rule {
	HR_NO_POLICY, HR_STS_NONE, HR_STS_TESTING, HR_STS_REPORT_ONLY,
	HR_STS_ENFORCE, HR_DANE, HR_DANE_HOST_ONLY, HR_DANE_STS,
	HR_DANE_UNUSABLE, HR_REQUIRETLS, HR_RELAYHOST, HR_TLS_REQUIRED,
	HR_EXEMPT, HR_TLS_OPTIONAL, HR_TLS_REPORT
};

/*
 * Sessions that carry mail though nothing is wrong with them.  Under
 * HR_EXEMPT it is the rule that would have led without it.
 */
static const struct rule good_rules[] = {
	[HR_NO_POLICY] = { "opportunistic-tls", DANE_CLAUSE, "", "" },
	[HR_STS_NONE] = { "opportunistic-tls", DANE_CLAUSE, "", "" },
	[HR_STS_TESTING] = { "testing-verified", STS_CLAUSE, "", "" },
	[HR_STS_REPORT_ONLY] = {
		"report-only-verified", REPORT_ONLY_CLAUSE, "", "" },
	[HR_STS_ENFORCE] = { "sts-verified", STS_CLAUSE, "", "" },
	[HR_DANE] = { "dane-verified", DANE_CLAUSE, "", "" },
	[HR_DANE_HOST_ONLY] = {
		"dane-host-only-verified", DANE_HOST_CLAUSE, "", "" },
	[HR_DANE_STS] = {
		"dane-host-only-sts-verified", STS_CLAUSE, "", "" },
	[HR_DANE_UNUSABLE] = {
		"dane-unusable-encrypted", DANE_CLAUSE, "", UNUSABLE_REPAIR },
	[HR_REQUIRETLS] = {
		"requiretls-verified", REQUIRETLS_CLAUSE, "", "" },
	[HR_RELAYHOST] = { "relayhost-verified", RELAYHOST_CLAUSE, "", "" },
	[HR_TLS_REQUIRED] = {
		"tls-required-verified", OPERATOR_CLAUSE, "", "" },
	[HR_TLS_OPTIONAL] = { "tls-optional", "RFC 8689 4.2.2", "", "" },
	[HR_TLS_REPORT] = { "tls-report", "RFC 8460 3", "", "" },
};

/*
 * What can be wrong: with a host before there is a session, with TLS, with a
 * certificate in the order that tells (ruling 29), with what EHLO offers.
 */
enum defect {
	DEFECT_LOOKUP, DEFECT_OUTSIDE, DEFECT_UNPROVEN, DEFECT_UNJUDGED,
	DEFECT_NO_STARTTLS, DEFECT_STARTTLS_REFUSED, DEFECT_HANDSHAKE,
	DEFECT_NO_MATCH, DEFECT_NOT_TRUSTED, DEFECT_EXPIRED,
	DEFECT_HOST_MISMATCH, DEFECT_CERTIFICATE,
	DEFECT_KEYWORD, DEFECT_NONE
};
#define DEFECT_CERTIFICATES	DEFECT_NO_MATCH		/* the first */

enum authority {
	BY_DANE, BY_STS, BY_REQUIRETLS, BY_RELAYHOST,
	BY_OPERATOR,				/* these refuse */
	BY_TESTING, BY_REPORT_ONLY, BY_NOBODY	/* these note it */
};

/*
 * One authority's words on want of TLS.  tls: the code when there is none,
 * fail: when a handshake fails.
 */
#define TLS_RULES(prefix, clause, tls, fail)				\
	[DEFECT_NO_STARTTLS] = { prefix "no-starttls", clause, tls,	\
	    "The host must offer STARTTLS: its answer to EHLO does not list " \
	    "it, or something on the way takes it out." },		\
	[DEFECT_STARTTLS_REFUSED] = { prefix "starttls-refused", clause, tls, \
	    "The host offers STARTTLS and refuses the command: its TLS " \
	    "must be set up anew." },					\
	[DEFECT_HANDSHAKE] = { prefix "handshake-failed", clause, fail,	\
	    "The TLS handshake must succeed: TLS 1.2 or later, and a cipher " \
	    "suite that is not outdated." }

/* And on a certificate that public CAs are to vouch for. */
#define PKIX_RULES(prefix, clause, code)				\
	[DEFECT_NOT_TRUSTED] = { prefix "certificate-not-trusted", clause, \
	    code, "The host must show a certificate of a public CA, with " \
	    "all intermediate certificates." },				\
	[DEFECT_EXPIRED] = { prefix "certificate-expired", clause, code, \
	    "The host's certificate is past its dates, or not yet in them: " \
	    "it must be renewed." },					\
	[DEFECT_HOST_MISMATCH] = { prefix "certificate-host-mismatch",	\
	    clause, code, "The host's certificate must hold the name of the " \
	    "host as a subjectAltName." },				\
	[DEFECT_CERTIFICATE] = { prefix "certificate-bad", clause, code, \
	    "The host must show a well-formed certificate whose signatures " \
	    "hold." }

#define OUTSIDE_RULE(name, clause, code)				\
	[DEFECT_OUTSIDE] = { name, clause, code,			\
	    "No mx pattern of the domain's MTA-STS policy covers this host: " \
	    "the domain must name it in the policy (with a new id) or drop " \
	    "its MX record." }

static const struct rule defect_rules[][DEFECT_NONE] = {
	[BY_DANE] = {
		[DEFECT_LOOKUP] = { "dane-lookup-failed", "RFC 7672 2.1.2",
		    "4.7.5", "The host's zone is signed, but its TLSA records "
		    "cannot be had: its DNSSEC signatures or its name servers "
		    "must be mended." },
		TLS_RULES("dane-", DANE_CLAUSE, "4.7.4", "4.7.5"),
		[DEFECT_NO_MATCH] = { "dane-no-match", DANE_CLAUSE, "4.7.5",
		    "The host's TLSA records do not fit its certificate: "
		    "publish the record of the key that is in use, or go back "
		    "to the old key." },
		[DEFECT_NOT_TRUSTED] = { "dane-certificate-not-trusted",
		    DANE_CLAUSE, "4.7.5", "The host must send the whole chain "
		    "from its certificate to the CA that its TLSA record of "
		    "usage 2 names." },
		[DEFECT_EXPIRED] = { "dane-certificate-expired", DANE_CLAUSE,
		    "4.7.5", "A certificate under a TLSA record of usage 2 "
		    "must be within its dates: it must be renewed." },
		[DEFECT_HOST_MISMATCH] = { "dane-certificate-host-mismatch",
		    DANE_CLAUSE, "4.7.5", "A certificate under a TLSA record "
		    "of usage 2 must hold the name of the host, or of the "
		    "recipient's domain, as a subjectAltName." },
		[DEFECT_CERTIFICATE] = { "dane-certificate-bad", DANE_CLAUSE,
		    "4.7.5", "A chain under a TLSA record of usage 2 must be "
		    "well formed, and its signatures must hold." },
	},
	[BY_STS] = {
		OUTSIDE_RULE("sts-mx-mismatch", STS_CLAUSE, "4.7.0"),
		TLS_RULES("sts-", STS_CLAUSE, "4.7.4", "4.7.5"),
		PKIX_RULES("sts-", STS_CLAUSE, "4.7.5"),
	},
	[BY_REQUIRETLS] = {
		[DEFECT_UNPROVEN] = { "requiretls-mx-unproven",
		    REQUIRETLS_CLAUSE, "4.7.10", "Nothing vouches for the "
		    "name of this host: the recipient's domain must sign its "
		    "MX records (DNSSEC) or cover the host by an MTA-STS "
		    "policy." },
		[DEFECT_UNJUDGED] = { "requiretls-mx-unjudged",
		    REQUIRETLS_CLAUSE, "4.7.10", "No resolver here proves "
		    "that it validates DNSSEC, so nothing can vouch for the "
		    "name of this host: see trust-resolver in "
		    "culver.conf(5)." },
		/* RTLS-4.2.1-13 RFC 8689 4.2.1: 7.10 for want of TLS */
		TLS_RULES("requiretls-", REQUIRETLS_CLAUSE, "4.7.10",
		    "4.7.10"),
		PKIX_RULES("requiretls-", REQUIRETLS_CLAUSE, "4.7.5"),
		[DEFECT_KEYWORD] = { "requiretls-not-offered",
		    REQUIRETLS_CLAUSE, "4.7.30", "The host does not offer "
		    "REQUIRETLS: the message can go there only without that "
		    "demand of its sender." },
	},
	[BY_RELAYHOST] = {
		TLS_RULES("relayhost-", RELAYHOST_CLAUSE, "4.7.4", "4.7.5"),
		PKIX_RULES("relayhost-", RELAYHOST_CLAUSE, "4.7.5"),
	},
	[BY_OPERATOR] = {
		TLS_RULES("tls-required-", OPERATOR_CLAUSE, "4.7.4", "4.7.5"),
		PKIX_RULES("tls-required-", OPERATOR_CLAUSE, "4.7.5"),
	},
	[BY_TESTING] = {
		OUTSIDE_RULE("testing-mx-mismatch", STS_CLAUSE, ""),
		TLS_RULES("testing-", STS_CLAUSE, "", ""),
		PKIX_RULES("testing-", STS_CLAUSE, ""),
	},
	[BY_REPORT_ONLY] = {
		OUTSIDE_RULE("report-only-mx-mismatch", REPORT_ONLY_CLAUSE,
		    ""),
		TLS_RULES("report-only-", REPORT_ONLY_CLAUSE, "", ""),
		PKIX_RULES("report-only-", REPORT_ONLY_CLAUSE, ""),
	},
	[BY_NOBODY] = {
		TLS_RULES("opportunistic-", DANE_CLAUSE, "", ""),
	},
};

/* What an exemption lets pass; what would mend it DANE or MTA-STS says. */
static const char *const exempt_names[DEFECT_NONE] = {
	[DEFECT_LOOKUP] = "exempt-dane-lookup-failed",
	[DEFECT_OUTSIDE] = "exempt-mx-mismatch",
	[DEFECT_NO_STARTTLS] = "exempt-no-starttls",
	[DEFECT_STARTTLS_REFUSED] = "exempt-starttls-refused",
	[DEFECT_HANDSHAKE] = "exempt-handshake-failed",
	[DEFECT_NO_MATCH] = "exempt-dane-no-match",
	[DEFECT_NOT_TRUSTED] = "exempt-certificate-not-trusted",
	[DEFECT_EXPIRED] = "exempt-certificate-expired",
	[DEFECT_HOST_MISMATCH] = "exempt-certificate-host-mismatch",
	[DEFECT_CERTIFICATE] = "exempt-certificate-bad",
};

static const enum tls_result defect_results[] = {
	[DEFECT_LOOKUP] = RESULT_DNSSEC_INVALID,	/* RPT-4.3.2.1-2 */
	[DEFECT_OUTSIDE] = RESULT_VALIDATION_FAILURE,	/* ruling 9 */
	[DEFECT_UNPROVEN] = RESULT_NONE,
	[DEFECT_UNJUDGED] = RESULT_NONE,
	[DEFECT_NO_STARTTLS] = RESULT_STARTTLS_NOT_SUPPORTED,
	[DEFECT_STARTTLS_REFUSED] = RESULT_VALIDATION_FAILURE,
	[DEFECT_HANDSHAKE] = RESULT_VALIDATION_FAILURE,
	[DEFECT_NO_MATCH] = RESULT_TLSA_INVALID,	/* ruling 27 */
	[DEFECT_NOT_TRUSTED] = RESULT_CERTIFICATE_NOT_TRUSTED,
	[DEFECT_EXPIRED] = RESULT_CERTIFICATE_EXPIRED,
	[DEFECT_HOST_MISMATCH] = RESULT_CERTIFICATE_HOST_MISMATCH,
	[DEFECT_CERTIFICATE] = RESULT_VALIDATION_FAILURE,
	[DEFECT_KEYWORD] = RESULT_NONE,
	[DEFECT_NONE] = RESULT_SUCCESS,
};

/*
 * Who demands what of a host.
 */

struct demands {
	bool	lookup;		/* DANE: an answer about TLSA; it failed */
	bool	encryption;	/* DANE: TLS, whatever the certificate */
	bool	dane;		/* DANE: TLS, certificate */
	bool	sts;		/* TLS, certificate, name in the policy */
	bool	requiretls;	/* TLS, certificate, proven name, keyword */
	bool	relayhost;	/* TLS, certificate */
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

/* What the sender demands (class requiretls) no operator takes away. */
static bool
is_exempt(const struct host_facts *facts)
{
	return facts->exempt && facts->class == CLASS_MAIL;
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

/* Does what DANE says of the host hold for the domain as well? */
static bool
is_name_secure(const struct host_facts *facts)
{
	return facts->mx_secure || facts->name_given;
}

/*
 * DANE-7672-2.2-1, DANE-7672-2.2-3 RFC 7672 2.2: secure TLSA, usable or not,
 * demands TLS, of a host behind insecure MX records too (DANE-7672-2.2.1-3,
 * ruling 5).  STS-5-4 RFC 8461 5: testing demands nothing.  Ruling 6: usable
 * records of a host whose name is secure decide alone.  The operator's rule
 * binds all mail but reports, which go out in spite of any failure; his relay
 * has to prove itself for these too, for it is no failure of their receiver's.
 */
static struct demands
gather_demands(const struct host_facts *facts, bool exempt)
{
	bool heeds = heeds_policies(facts) && !exempt;
	bool usable = facts->tlsa == TLSA_USABLE;

	return (struct demands){
		.lookup = heeds && facts->tlsa == TLSA_FAILED,
		.encryption = heeds && facts->tlsa == TLSA_UNUSABLE,
		.dane = heeds && usable,
		.sts = heeds && facts->sts == STS_ENFORCE &&
		    !facts->sts_report_only &&
		    !(usable && is_name_secure(facts)),
		.requiretls = facts->class == CLASS_REQUIRETLS,
		.relayhost = facts->relayhost_verified,
		.operator = facts->tls_required &&
		    facts->class != CLASS_REPORT,
	};
}

static struct demands
demands_of(const struct host_facts *facts)
{
	return gather_demands(facts, is_exempt(facts));
}

static bool
follow_policies(const struct demands *demands)
{
	return demands->lookup || demands->encryption || demands->dane ||
	    demands->sts;
}

/* Who wants proof of the host, whichever way? */
static enum authority
prover(const struct demands *demands)
{
	if (demands->requiretls)
		return BY_REQUIRETLS;
	if (demands->relayhost)
		return BY_RELAYHOST;
	return demands->operator ? BY_OPERATOR : BY_NOBODY;
}

/*
 * Is the certificate to match a TLSA record?  Where a record is usable DANE
 * is the way to prove a host, for whoever wants it proven (ruling 15).
 */
static bool
ask_dane(const struct host_facts *facts, const struct demands *demands)
{
	return facts->tlsa == TLSA_USABLE &&
	    (demands->dane || prover(demands) != BY_NOBODY);
}

/* Whose demand is a certificate that PKIX finds valid for the name? */
static enum authority
pkix_prover(const struct host_facts *facts, const struct demands *demands)
{
	if (demands->sts)
		return BY_STS;
	return facts->tlsa == TLSA_USABLE ? BY_NOBODY : prover(demands);
}

/*
 * TLS-9325-7.1-1 RFC 9325 7.1: a certificate for the MX name is demanded
 * where a policy covers the name, DNSSEC or the configuration gives it, or
 * the operator wants it all the same.
 */
static enum requirement
requirement_of(const struct host_facts *facts, const struct demands *demands)
{
	bool pkix = pkix_prover(facts, demands) != BY_NOBODY;

	if (ask_dane(facts, demands))
		return pkix ? REQUIRE_DANE_PKIX : REQUIRE_DANE;
	if (pkix)
		return REQUIRE_PKIX;
	return demands->encryption ? REQUIRE_ENCRYPT : REQUIRE_NONE;
}

/* Who refuses, and why; by BY_NOBODY: nobody. */
struct refusal {
	enum authority	by;
	enum defect	defect;
};

static struct refusal
refusal(enum authority by, enum defect defect)
{
	return (struct refusal){ by, defect };
}

static struct rule
refusal_rule(struct refusal refused)
{
	return defect_rules[refused.by][refused.defect];
}

/* The same, let pass by an exemption. */
static struct rule
exempt_rule(struct refusal refused)
{
	struct rule rule = refusal_rule(refused);

	rule.name = exempt_names[refused.defect];
	rule.clause = EXEMPT_CLAUSE;
	rule.enhanced = "";
	return rule;
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
	return is_name_secure(facts) ? HR_DANE : HR_DANE_HOST_ONLY;
}

/* Which rule asks the most of a host that is tried? */
static enum host_rule
leading_rule(const struct host_facts *facts, const struct demands *demands)
{
	struct demands all = gather_demands(facts, false);

	if (demands->sts)
		return demands->dane ? HR_DANE_STS : HR_STS_ENFORCE;
	if (demands->requiretls)
		return HR_REQUIRETLS;
	if (demands->relayhost)
		return HR_RELAYHOST;
	if (demands->operator)
		return HR_TLS_REQUIRED;
	if (facts->class == CLASS_TLS_OPTIONAL)
		return HR_TLS_OPTIONAL;
	if (facts->class == CLASS_REPORT)
		return HR_TLS_REPORT;
	if (follow_policies(demands))
		return dane_rule(facts);
	return follow_policies(&all) ? HR_EXEMPT : sts_rule(facts);
}

/*
 * RTLS-3-2, RTLS-4.2.1-2 RFC 8689 4.2.1: DNSSEC or MTA-STS vouches for the MX
 * name, unless it is the domain's own.  RTLS-3-6: a testing policy does where
 * a pattern of it covers the name.
 */
static bool
is_name_proven(const struct host_facts *facts)
{
	return is_name_secure(facts) || (has_sts(facts) && facts->mx_match);
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

static struct refusal
host_refusal(const struct host_facts *facts, const struct demands *demands)
{
	/* DANE-7672-2.1.2-4, DANE-7672-2.1.2-5 RFC 7672 2.1.2 */
	if (demands->lookup)
		return refusal(BY_DANE, DEFECT_LOOKUP);
	/* STS-5-1 RFC 8461 5, and STS-4-3: whatever its certificate may be. */
	if (demands->sts && !facts->mx_match)
		return refusal(BY_STS, DEFECT_OUTSIDE);
	if (demands->requiretls && !is_name_proven(facts))
		return refusal(BY_REQUIRETLS, facts->dnssec_unjudged ?
		    DEFECT_UNJUDGED : DEFECT_UNPROVEN);
	return refusal(BY_NOBODY, DEFECT_NONE);
}

/* Who only takes note. */
static enum authority
observer(const struct host_facts *facts)
{
	if (!has_sts(facts))
		return BY_NOBODY;
	return facts->sts == STS_ENFORCE ? BY_REPORT_ONLY : BY_TESTING;
}

static struct rule
trying_rule(const struct host_facts *facts, const struct demands *demands)
{
	struct demands all = gather_demands(facts, false);
	enum host_rule rule = leading_rule(facts, demands);
	struct refusal refused = host_refusal(facts, &all);

	if (rule == HR_EXEMPT && refused.by != BY_NOBODY)
		return exempt_rule(refused);
	if (is_outside_policy(facts) &&
	    (rule == HR_STS_TESTING || rule == HR_STS_REPORT_ONLY))
		return defect_rules[observer(facts)][DEFECT_OUTSIDE];
	return host_rules[rule];
}

static struct host_verdict
try(const struct host_facts *facts, const struct demands *demands)
{
	struct demands all = gather_demands(facts, false);

	return (struct host_verdict){
		.action = HOST_TRY,
		.requirement = requirement_of(facts, demands),
		.result = known_failure(facts),
		.rule = trying_rule(facts, demands),
		.exempt = is_exempt(facts) && follow_policies(&all),
	};
}

/* Counted without a session, by ruling 18. */
static struct host_verdict
skip(const struct host_facts *facts, struct refusal refused)
{
	struct host_verdict verdict = {
		.action = HOST_SKIP, .rule = refusal_rule(refused),
		.result = defect_results[refused.defect]
	};

	if (refused.by == BY_DANE)
		verdict.blocks.tlsa = verdict.result;
	if (refused.by == BY_STS)
		verdict.blocks.sts = verdict.result;
	/*
	 * Ruling 16: it may be covered tomorrow, where a policy exists; and
	 * what was not judged may be secure.
	 */
	if (refused.by == BY_REQUIRETLS) {
		verdict.result = known_failure(facts);
		verdict.definite = refused.defect == DEFECT_UNPROVEN &&
		    !has_sts(facts) &&
		    !(facts->sts == STS_ABSENT && facts->sts_unknown);
	}
	return verdict;
}

struct host_verdict
decide_host(const struct host_facts *facts)
{
	struct demands demands = demands_of(facts);
	struct refusal refused = host_refusal(facts, &demands);

	return refused.by == BY_NOBODY ? try(facts, &demands) :
	    skip(facts, refused);
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
	if (cert & CERT_DANE_NO_MATCH)
		return DEFECT_NO_MATCH;
	if (cert & CERT_NOT_TRUSTED)
		return DEFECT_NOT_TRUSTED;
	if (cert & CERT_EXPIRED)
		return DEFECT_EXPIRED;
	if (cert & CERT_HOST_MISMATCH)
		return DEFECT_HOST_MISMATCH;
	return cert & CERT_OTHER ? DEFECT_CERTIFICATE : DEFECT_NONE;
}

/* Of TLS, or else of a certificate that was found so. */
static enum defect
session_defect(const struct session_facts *facts, unsigned cert)
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
	return certificate_defect(cert);
}

static enum defect
pkix_defect(const struct session_facts *facts)
{
	return session_defect(facts,
	    facts->cert & ~(unsigned)CERT_DANE_NO_MATCH);
}

static enum defect
dane_defect(const struct session_facts *facts)
{
	return session_defect(facts, facts->dane);
}

/*
 * Ruling 27.  RPT-4.3.2.1-1 RFC 8460 4.3.2.1: records of which none is usable
 * are as wrong as records of which none matches.
 */
static enum tls_result
tlsa_result(const struct session_facts *facts)
{
	if (facts->host.tlsa == TLSA_FAILED)
		return RESULT_DNSSEC_INVALID;
	if (!has_tlsa(&facts->host))
		return RESULT_NONE;
	if (facts->host.tlsa == TLSA_UNUSABLE && is_encrypted(facts))
		return RESULT_TLSA_INVALID;
	return defect_results[dane_defect(facts)];
}

static enum tls_result
sts_result(const struct session_facts *facts)
{
	if (!has_sts(&facts->host))
		return RESULT_NONE;
	if (is_outside_policy(&facts->host))
		return RESULT_VALIDATION_FAILURE;
	return defect_results[pkix_defect(facts)];
}

/*
 * Ruling 28: without a policy any TLS is a success.  Ruling 10: under mode
 * none only successes are counted.
 */
static enum tls_result
no_policy_result(const struct session_facts *facts)
{
	if (has_sts(&facts->host) || has_tlsa(&facts->host) ||
	    facts->host.tlsa == TLSA_FAILED)
		return RESULT_NONE;
	if (is_encrypted(facts))
		return RESULT_SUCCESS;
	return facts->host.sts == STS_NONE ? RESULT_NONE :
	    defect_results[pkix_defect(facts)];
}

/* Ruling 18: the retry in clear is not a second session. */
static struct block_results
evaluate(const struct session_facts *facts)
{
	if (facts->clear_retry)
		return (struct block_results){ .sts = RESULT_NONE };
	return (struct block_results){
		.sts = sts_result(facts),
		.tlsa = tlsa_result(facts),
		.no_policy = no_policy_result(facts),
	};
}

/*
 * No TLS: who minds?  DANE-7672-2.2-2, DANE-7672-2.2-4, STS-5-3;
 * DANE-7672-2.2.3-5 RFC 7672 2.2.3: unusable records mind, too.
 */
static struct refusal
clear_refusal(const struct session_facts *facts, const struct demands *demands)
{
	enum defect defect = pkix_defect(facts);

	if (demands->dane || demands->encryption)
		return refusal(BY_DANE, defect);
	if (demands->sts)
		return refusal(BY_STS, defect);
	return refusal(prover(demands), defect);
}

/*
 * TLS is up: who minds the certificate?  STS-2-1 RFC 8461 2,
 * DANE-7672-3.2-2 RFC 7672 3.2: what DANE refuses nothing excuses.
 * DANE-7672-3.2-1: where it alone decides nothing else is looked at.
 */
static struct refusal
certificate_refusal(const struct session_facts *facts,
    const struct demands *demands)
{
	enum authority pkix = pkix_prover(&facts->host, demands);

	if (ask_dane(&facts->host, demands) &&
	    dane_defect(facts) != DEFECT_NONE)
		return refusal(BY_DANE, dane_defect(facts));
	/* STS-5-2 RFC 8461 5; RTLS-3-3, RTLS-4.2.1-4, RTLS-4.2.1-5 */
	if (pkix != BY_NOBODY && pkix_defect(facts) != DEFECT_NONE)
		return refusal(pkix, pkix_defect(facts));
	return refusal(BY_NOBODY, DEFECT_NONE);
}

static struct refusal
session_refusal(const struct session_facts *facts,
    const struct demands *demands)
{
	struct refusal refused = host_refusal(&facts->host, demands);

	if (refused.by == BY_NOBODY)
		refused = is_encrypted(facts) ?
		    certificate_refusal(facts, demands) :
		    clear_refusal(facts, demands);
	/* RTLS-3-4 RFC 8689 3 */
	if (refused.by == BY_NOBODY && demands->requiretls &&
	    !facts->requiretls)
		refused = refusal(BY_REQUIRETLS, DEFECT_KEYWORD);
	return refused;
}

/* What an exemption lets pass; by BY_NOBODY: nothing. */
static struct refusal
exempted_refusal(const struct session_facts *facts,
    const struct demands *demands)
{
	struct demands all = gather_demands(&facts->host, false);

	if (leading_rule(&facts->host, demands) != HR_EXEMPT)
		return refusal(BY_NOBODY, DEFECT_NONE);
	return session_refusal(facts, &all);
}

/* In the order of policy_type_name, so that both words are of one policy. */
static enum tls_result
first_word(const struct block_results *blocks)
{
	if (blocks->tlsa != RESULT_NONE)
		return blocks->tlsa;
	return blocks->sts != RESULT_NONE ? blocks->sts : blocks->no_policy;
}

/* The word on a session that carries mail. */
static enum tls_result
passing_result(const struct session_facts *facts,
    const struct demands *demands, const struct block_results *blocks)
{
	struct refusal refused = exempted_refusal(facts, demands);

	if (refused.by != BY_NOBODY && !facts->clear_retry)
		return defect_results[refused.defect];
	return first_word(blocks);
}

/* An exemption holds: would it have been refused without? */
static struct rule
exempt_passing_rule(const struct session_facts *facts,
    const struct demands *demands)
{
	struct demands all = gather_demands(&facts->host, false);
	struct refusal refused = exempted_refusal(facts, demands);

	if (refused.by != BY_NOBODY)
		return exempt_rule(refused);
	return good_rules[leading_rule(&facts->host, &all)];
}

/* The word on a session that carries mail, or is retried in clear. */
static struct rule
passing_rule(const struct session_facts *facts, const struct demands *demands)
{
	enum host_rule rule = leading_rule(&facts->host, demands);
	enum authority noted = observer(&facts->host);
	enum defect defect = pkix_defect(facts);

	if (rule == HR_EXEMPT)
		return exempt_passing_rule(facts, demands);
	if (rule == HR_STS_TESTING || rule == HR_STS_REPORT_ONLY) {
		if (is_outside_policy(&facts->host))
			defect = DEFECT_OUTSIDE;
		return defect == DEFECT_NONE ? good_rules[rule] :
		    defect_rules[noted][defect];
	}
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
    const struct demands *demands)
{
	bool again = facts->starttls == STARTTLS_BROKEN && !facts->clear_retry;

	verdict.action = again ? SESSION_RECONNECT : SESSION_SEND;
	verdict.rule = passing_rule(facts, demands);
	return verdict;
}

/*
 * Ruling 16: without STARTTLS and without the keyword a host cannot do
 * REQUIRETLS; but where DANE, MTA-STS (STS-5-7 RFC 8461 5) or the operator of
 * a relay of his own promise TLS, its want is a fault that will pass.
 */
static bool
is_definite(const struct demands *demands, struct refusal refused)
{
	if (refused.by != BY_REQUIRETLS)
		return false;
	return refused.defect == DEFECT_KEYWORD ||
	    (refused.defect == DEFECT_NO_STARTTLS && !demands->relayhost);
}

struct session_verdict
decide_session(const struct session_facts *facts)
{
	struct demands demands = demands_of(&facts->host);
	struct host_verdict host = decide_host(&facts->host);
	struct refusal refused = session_refusal(facts, &demands);
	struct session_verdict verdict = { .action = SESSION_NEXT };

	if (host.action == HOST_SKIP) {
		verdict.result = host.result;
		verdict.rule = host.rule;
		verdict.definite = host.definite;
		return verdict;
	}
	/* RTLS-4.2.2-3 RFC 8689 4.2.2: also where nothing is demanded. */
	verdict.blocks = evaluate(facts);
	verdict.result = passing_result(facts, &demands, &verdict.blocks);
	/* RPT-3-11 RFC 8460 3 */
	if (facts->host.class == CLASS_REPORT)
		verdict.blocks = (struct block_results){ .sts = RESULT_NONE };
	if (refused.by == BY_NOBODY)
		return pass(verdict, facts, &demands);
	verdict.result = defect_results[refused.defect];
	verdict.rule = refusal_rule(refused);
	verdict.definite = is_definite(&demands, refused);
	return verdict;
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
		rule = defect_rules[BY_REQUIRETLS][DEFECT_KEYWORD];
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

/*
 * RTLS-4.2.1-9 RFC 8689 4.2.1: a host without REQUIRETLS may get other mail;
 * what was asked of it for that class shows nothing about what others ask.
 */
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
	    proven->dnssec_unjudged == now->dnssec_unjudged &&
	    proven->name_given == now->name_given &&
	    proven->tlsa == now->tlsa &&
	    proven->tlsa_mark == now->tlsa_mark &&
	    proven->tls_required == now->tls_required &&
	    proven->relayhost_verified == now->relayhost_verified &&
	    proven->exempt == now->exempt &&
	    proven->relayhost == now->relayhost;
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
	if (has_sts(facts))
		return "sts";
	return facts->relayhost ? "relayhost" : "no-policy-found";
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
