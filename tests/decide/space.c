/*
 * Which inputs do the decide functions have, and which facts of them does
 * the table tell apart?
 *
 * The facts are fewer than the inputs: two defects of a certificate are the
 * first of them, a policy that the operator only wants reported is a value of
 * "policy".  rows.c refuses a table whose facts do not settle the verdict, so
 * nothing can hide behind them.  The order of the facts is the order in which
 * rows are sorted and split.
 */
#include "tests/decide/space.h"

#include <string.h>

#define N(array)	(sizeof(array) / sizeof((array)[0]))

static const enum mail_class classes[] = {
	CLASS_MAIL, CLASS_REQUIRETLS, CLASS_TLS_OPTIONAL, CLASS_REPORT
};

/* The next digit of n in a mixed base. */
static unsigned
digit(unsigned *n, unsigned base)
{
	unsigned value = *n % base;

	*n /= base;
	return value;
}

struct host_facts
space_host(unsigned n)
{
	static const enum tlsa_state states[] = {
		TLSA_INSECURE, TLSA_ABSENT, TLSA_UNUSABLE, TLSA_FAILED,
		TLSA_USABLE
	};
	struct host_facts facts = { .tlsa = states[n / HOSTS_PER_TLSA] };
	unsigned operator;

	facts.class = classes[digit(&n, 4)];
	facts.sts = (enum sts_mode)digit(&n, 4);
	facts.sts_unknown = digit(&n, 2);
	facts.sts_report_only = digit(&n, 2);
	facts.mx_match = digit(&n, 2);
	facts.mx_secure = digit(&n, 2);
	facts.name_given = digit(&n, 2);
	facts.dnssec_unjudged = digit(&n, 2);
	operator = digit(&n, 3);
	facts.tls_required = operator == 1;
	facts.relayhost_verified = operator == 2;
	facts.exempt = digit(&n, 2);
	return facts;
}

#define CERT_PKIX	(CERT_NOT_TRUSTED | CERT_EXPIRED |		\
	CERT_HOST_MISMATCH | CERT_OTHER)

/* The n-th session with a host, as space.h orders them. */
struct session_facts
space_session(unsigned n)
{
	static const unsigned pkix_sets[6] = {
		0, CERT_NOT_TRUSTED, CERT_EXPIRED, CERT_HOST_MISMATCH,
		CERT_OTHER, CERT_PKIX
	}, dane_sets[10] = {
		0, CERT_NOT_TRUSTED, CERT_EXPIRED, CERT_HOST_MISMATCH,
		CERT_OTHER, CERT_DANE_NO_MATCH, CERT_PKIX,
		CERT_PKIX | CERT_DANE_NO_MATCH,
		CERT_EXPIRED | CERT_HOST_MISMATCH,
		CERT_DANE_NO_MATCH | CERT_EXPIRED
	};
	const unsigned plain = 4 * HOSTS_PER_TLSA * SESSIONS_PLAIN;
	struct session_facts facts = { .starttls = STARTTLS_DONE };
	bool usable = n >= plain;

	if (!usable) {
		facts.host = space_host(n / SESSIONS_PLAIN);
		n %= SESSIONS_PLAIN;
	} else {
		n -= plain;
		facts.host = space_host(4 * HOSTS_PER_TLSA +
		    n / SESSIONS_DANE);
		n %= SESSIONS_DANE;
	}
	facts.requiretls = digit(&n, 2);
	if (n < SESSIONS_CLEAR) {
		facts.clear_retry = n == 3;
		facts.starttls = n == 3 ? STARTTLS_ABSENT : (enum starttls)n;
	} else {
		n -= SESSIONS_CLEAR;
		facts.cert = usable ? pkix_sets[digit(&n, 6)] : n;
		facts.dane = usable ? dane_sets[n] : 0;
	}
	return facts;
}

/* Verdicts that a host may have been refused with. */
static const struct rule refusals[] = {
	{ NULL, "", "", "" },
	{ "a-refusal", "its clause", "4.7.5", "Mend it." },
	{ "a-refusal", "its clause", "4.7.10", "Mend it." },
	{ "a-refusal", "its clause", "4.7.30", "Mend it." },
};

struct domain_facts
space_domain(unsigned n)
{
	struct domain_facts facts;

	facts.class = classes[digit(&n, 4)];
	facts.policy_rule = refusals[digit(&n, N(refusals))];
	facts.policy = digit(&n, HOSTS_MOST + 1);
	facts.temporary = digit(&n, HOSTS_MOST + 1);
	facts.unfit_tls = digit(&n, HOSTS_MOST + 1);
	facts.nonexistent = digit(&n, HOSTS_MOST + 1);
	facts.hosts = facts.policy + facts.temporary + facts.unfit_tls +
	    facts.nonexistent + digit(&n, HOSTS_MOST + 1);
	return facts;
}

/*
 * Facts.
 */

#define NO_YES		2, { "no", "yes" }
#define CLASS		{ "class", 4,					\
	{ "mail", "requiretls", "tls-optional", "report" } }
#define TLSA		{ "tlsa", 5,					\
	{ "insecure", "absent", "usable", "unusable", "failed" } }
#define POLICY		{ "policy", 5,					\
	{ "absent", "none", "testing", "report-only", "enforce" } }
#define MATCH		{ "match", NO_YES }
#define STARTTLS	{ "starttls", 5,				\
	{ "absent", "refused", "broken", "retry", "done" } }
#define CERTIFICATE	{ "cert", 5,					\
	{ "valid", "not-trusted", "expired", "host-mismatch", "other" } }
#define DANE		{ "dane", 6,					\
	{ "match", "no-match", "not-trusted", "expired",		\
	    "host-mismatch", "other" } }
#define OPERATOR	{ "operator", 3,				\
	{ "-", "tls-required", "relayhost" } }
#define EXEMPT		{ "exempt", N(exempt_values), {			\
	"-", "yes", "sts-enforce", "dane", "dane-host-only",		\
	"dane-host-only-sts-enforce", "dane-unusable",			\
	"sts-mx-mismatch", "dane-lookup-failed" } }

static unsigned
class_value(enum mail_class class)
{
	unsigned i = 0;

	while (classes[i] != class)
		i++;
	return i;
}

/* Mode enforce that the operator wants only reported is a value between. */
static unsigned
policy_value(const struct host_facts *facts)
{
	if (facts->sts == STS_ENFORCE)
		return facts->sts_report_only ? 3 : 4;
	return facts->sts;
}

static unsigned
name_value(const struct host_facts *facts)
{
	return facts->mx_secure ? 2 : facts->name_given;
}

static unsigned
starttls_value(const struct session_facts *facts)
{
	if (facts->clear_retry)
		return 3;
	return facts->starttls == STARTTLS_DONE ? 4 : facts->starttls;
}

/* The first of the defects that is there, of those that tell. */
static unsigned
first_defect(unsigned cert, const unsigned *defects, unsigned defects_n)
{
	unsigned i;

	for (i = 0; i < defects_n; i++)
		if (cert & defects[i])
			return i + 1;
	return 0;
}

static unsigned
cert_value(const struct session_facts *facts)
{
	static const unsigned defects[] = {
		CERT_NOT_TRUSTED, CERT_EXPIRED, CERT_HOST_MISMATCH, CERT_OTHER
	};

	return first_defect(facts->cert, defects, N(defects));
}

static unsigned
dane_value(const struct session_facts *facts)
{
	static const unsigned defects[] = {
		CERT_DANE_NO_MATCH, CERT_NOT_TRUSTED, CERT_EXPIRED,
		CERT_HOST_MISMATCH, CERT_OTHER
	};

	return first_defect(facts->dane, defects, N(defects));
}

static unsigned
operator_value(const struct host_facts *facts)
{
	return facts->relayhost_verified ? 2 : facts->tls_required;
}

static unsigned
index_of(const char *name, const char *const *names, unsigned names_n)
{
	unsigned i;

	for (i = 0; i < names_n; i++)
		if (strcmp(names[i], name) == 0)
			break;
	return i;
}

/*
 * What an exemption took away: the rule that would have led without it; where
 * another demand has the word, only that there is one.
 */
static const char *const exempt_values[] = {
	"-", "yes", "sts-enforce", "dane", "dane-host-only",
	"dane-host-only-sts-enforce", "dane-unusable", "sts-mx-mismatch",
	"dane-lookup-failed"
};

static unsigned
exempt_value(const struct host_facts *facts)
{
	struct host_verdict verdict = decide_host(facts);
	struct host_facts bare = *facts;

	if (!verdict.exempt || strncmp(verdict.rule.name, "exempt", 6) != 0)
		return verdict.exempt;
	bare.exempt = false;
	return index_of(decide_host(&bare).rule.name, exempt_values,
	    N(exempt_values));
}

static bool
project_host(unsigned n, unsigned facts[DIMENSIONS_MAX])
{
	struct host_facts host = space_host(n);

	facts[0] = class_value(host.class);
	facts[1] = operator_value(&host);
	facts[2] = host.exempt;
	facts[3] = host.tlsa;
	facts[4] = policy_value(&host);
	facts[5] = host.mx_match;
	facts[6] = name_value(&host);
	facts[7] = host.dnssec_unjudged;
	facts[8] = host.sts_unknown;
	return true;
}

/* By name: which line of the host's table led to this session. */
#define HOST_RULES							\
	"no-policy", "sts-none", "sts-testing", "testing-mx-mismatch",	\
	"sts-report-only", "report-only-mx-mismatch", "sts-enforce",	\
	"dane", "dane-host-only", "dane-host-only-sts-enforce",		\
	"dane-unusable", "requiretls", "relayhost", "tls-required",	\
	"exempt", "exempt-mx-mismatch", "exempt-dane-lookup-failed",	\
	"tls-optional", "tls-report"
static const char *const host_rule_names[] = { HOST_RULES };

/* A session exists only with a host that is tried. */
static bool
project_session(unsigned n, unsigned facts[DIMENSIONS_MAX])
{
	struct session_facts session = space_session(n);
	struct host_verdict host = decide_host(&session.host);

	if (host.action == HOST_SKIP)
		return false;
	facts[0] = index_of(host.rule.name, host_rule_names,
	    N(host_rule_names));
	facts[1] = exempt_value(&session.host);
	facts[2] = starttls_value(&session);
	facts[3] = session.host.tlsa;
	facts[4] = dane_value(&session);
	facts[5] = cert_value(&session);
	facts[6] = class_value(session.host.class);
	facts[7] = session.requiretls;
	facts[8] = session.host.relayhost_verified;
	return true;
}

static bool
project_sts(unsigned n, unsigned facts[DIMENSIONS_MAX])
{
	struct session_facts session = space_session(n);

	if (decide_host(&session.host).action == HOST_SKIP)
		return false;
	facts[0] = session.host.class == CLASS_REPORT;
	facts[1] = policy_value(&session.host);
	facts[2] = starttls_value(&session);
	facts[3] = session.host.mx_match;
	facts[4] = cert_value(&session);
	return true;
}

static bool
project_tlsa(unsigned n, unsigned facts[DIMENSIONS_MAX])
{
	struct session_facts session = space_session(n);

	if (decide_host(&session.host).action == HOST_SKIP)
		return false;
	facts[0] = session.host.class == CLASS_REPORT;
	facts[1] = session.host.tlsa;
	facts[2] = starttls_value(&session);
	facts[3] = dane_value(&session);
	return true;
}

static bool
project_no_policy(unsigned n, unsigned facts[DIMENSIONS_MAX])
{
	struct session_facts session = space_session(n);

	if (decide_host(&session.host).action == HOST_SKIP)
		return false;
	facts[0] = session.host.class == CLASS_REPORT;
	facts[1] = policy_value(&session.host);
	facts[2] = session.host.tlsa;
	facts[3] = starttls_value(&session);
	return true;
}

static bool
project_domain(unsigned n, unsigned facts[DIMENSIONS_MAX])
{
	struct domain_facts domain = space_domain(n);
	unsigned tried = domain.policy + domain.temporary +
	    domain.unfit_tls + domain.nonexistent;

	facts[0] = domain.policy > 0;
	facts[1] = domain.temporary > 0;
	facts[2] = domain.hosts > tried;
	facts[3] = domain.unfit_tls > 0;
	facts[4] = domain.nonexistent > 0;
	facts[5] = class_value(domain.class);
	for (facts[6] = 0; facts[6] < N(refusals); facts[6]++)
		if (domain.policy_rule.enhanced ==
		    refusals[facts[6]].enhanced)
			break;
	return true;
}

/*
 * Verdicts.
 */

static const char *
or_dash(const char *text)
{
	return text[0] == '\0' ? "-" : text;
}

static void
judge_host(unsigned n, const char *words[WORDS_MAX])
{
	struct host_facts facts = space_host(n);
	struct host_verdict v = decide_host(&facts);

	words[0] = v.action == HOST_TRY ? "try" : "skip";
	words[1] = v.action == HOST_TRY ? requirement_name(v.requirement) :
	    "-";
	words[2] = v.rule.name;
	words[3] = or_dash(v.rule.clause);
	words[4] = or_dash(v.rule.enhanced);
	words[5] = tls_result_name(v.result);
	words[6] = v.exempt ? ", exempt" : "";
	words[7] = v.definite ? ", definite" : "";
}

static void
judge_session(unsigned n, const char *words[WORDS_MAX])
{
	static const char *const actions[] = {
		[SESSION_SEND] = "send", [SESSION_RECONNECT] = "reconnect",
		[SESSION_NEXT] = "next",
	};
	struct session_facts facts = space_session(n);
	struct session_verdict v = decide_session(&facts);
	struct host_verdict host = decide_host(&facts.host);

	words[0] = actions[v.action];
	words[1] = requirement_name(host.requirement);
	words[2] = v.rule.name;
	words[3] = or_dash(v.rule.clause);
	words[4] = or_dash(v.rule.enhanced);
	words[5] = v.action == SESSION_NEXT ? tls_result_name(v.result) :
	    "as counted";
	words[6] = "";
	words[7] = v.definite ? ", definite" : "";
}

static struct block_results
blocks_of(unsigned n)
{
	struct session_facts facts = space_session(n);

	return decide_session(&facts).blocks;
}

static void
judge_sts(unsigned n, const char *words[WORDS_MAX])
{
	words[0] = tls_result_name(blocks_of(n).sts);
}

static void
judge_tlsa(unsigned n, const char *words[WORDS_MAX])
{
	words[0] = tls_result_name(blocks_of(n).tlsa);
}

static void
judge_no_policy(unsigned n, const char *words[WORDS_MAX])
{
	words[0] = tls_result_name(blocks_of(n).no_policy);
}

static void
judge_domain(unsigned n, const char *words[WORDS_MAX])
{
	struct domain_facts facts = space_domain(n);
	struct domain_verdict v = decide_domain(&facts);
	bool own = facts.policy_rule.name != NULL &&
	    v.rule.name == facts.policy_rule.name;

	words[0] = v.action == DOMAIN_FAIL ? "fail" : "defer";
	words[1] = own ? "the refusal" : v.rule.name;
	words[2] = or_dash(v.rule.clause);
	words[3] = own && v.rule.enhanced == facts.policy_rule.enhanced ?
	    "its code" : v.rule.enhanced;
}

#define VERDICT_FORMAT	"%s %s %s (%s) %s %s%s%s"

const struct question questions[QUESTIONS_N] = {
	[QUESTION_HOST] = {
		"decide_host: may this host be tried, what must it prove?",
		"operator: what culver.conf demands (of both, relayhost).  "
		"try or skip, requirement, rule, (clause), enhanced code, TLS "
		"result that is known before any session; exempt: an "
		"exemption took something away.",
		HOSTS_ALL, 9,
		{ CLASS, OPERATOR, { "exempt", NO_YES }, TLSA, POLICY, MATCH,
		    { "name", 3, { "insecure", "given", "secure" } },
		    { "resolver", 2, { "judged", "unjudged" } },
		    { "sts-unknown", NO_YES } },
		project_host, judge_host, VERDICT_FORMAT
	},
	[QUESTION_SESSION] = {
		"decide_session: may the message be sent here?",
		"host: the rule by which the host was tried; exempt: the rule "
		"by which it would have been judged without an exemption, yes "
		"where another demand stands.  "
		"send, reconnect "
		"(in clear) or next (host), requirement, rule, (clause), "
		"enhanced code, TLS result; \"as counted\": the first of "
		"tlsa, sts, no-policy-found in the tables below that is not "
		"none, or the failure that an exemption let pass.",
		SESSIONS_ALL, 9,
		{ { "host", N(host_rule_names), { HOST_RULES } },
		    EXEMPT, STARTTLS, TLSA, DANE, CERTIFICATE, CLASS,
		    { "keyword", NO_YES }, { "relayhost", NO_YES } },
		project_session, judge_session, VERDICT_FORMAT
	},
	[QUESTION_STS] = {
		"What a session counts as under policy type sts",
		"none: it is not counted.  Without a session: a host skipped "
		"by sts-mx-mismatch counts as validation-failure.",
		SESSIONS_ALL, 5,
		{ { "class-report", NO_YES }, POLICY, STARTTLS, MATCH,
		    CERTIFICATE },
		project_sts, judge_sts, "%s"
	},
	[QUESTION_TLSA] = {
		"What a session counts as under policy type tlsa",
		"none: it is not counted.  Without a session: a host skipped "
		"by dane-lookup-failed counts as dnssec-invalid.",
		SESSIONS_ALL, 4,
		{ { "class-report", NO_YES }, TLSA, STARTTLS, DANE },
		project_tlsa, judge_tlsa, "%s"
	},
	[QUESTION_NO_POLICY] = {
		"What a session counts as under policy type no-policy-found",
		"none: it is not counted.",
		SESSIONS_ALL, 4,
		{ { "class-report", NO_YES }, POLICY, TLSA, STARTTLS },
		project_no_policy, judge_no_policy, "%s"
	},
	[QUESTION_DOMAIN] = {
		"decide_domain: no host took it: keep the message?",
		"policy, temporary, untried, unfit, nonexistent: did hosts of "
		"the route end so?  refusal: the enhanced code of the verdict "
		"that counts.  defer or fail, rule, (clause), enhanced code.",
		DOMAINS_ALL, 7,
		{ { "policy", NO_YES }, { "temporary", NO_YES },
		    { "untried", NO_YES }, { "unfit", NO_YES },
		    { "nonexistent", NO_YES }, CLASS,
		    { "refusal", 4,
			{ "unknown", "4.7.5", "4.7.10", "4.7.30" } } },
		project_domain, judge_domain, "%s %s (%s) %s"
	},
};
