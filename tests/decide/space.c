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
	struct host_facts facts;

	facts.class = classes[digit(&n, 4)];
	facts.sts = (enum sts_mode)digit(&n, 4);
	facts.sts_unknown = digit(&n, 2);
	facts.sts_report_only = digit(&n, 2);
	facts.mx_match = digit(&n, 2);
	facts.mx_secure = digit(&n, 2);
	facts.name_given = digit(&n, 2);
	facts.tlsa = (enum tlsa_state)digit(&n, 5);
	facts.tls_required = digit(&n, 2);
	return facts;
}

struct session_facts
space_session(unsigned n)
{
	struct session_facts facts = {
		.host = space_host(n / SESSIONS_PER_HOST)
	};

	n %= SESSIONS_PER_HOST;
	facts.starttls = (enum starttls)digit(&n, 4);
	facts.cert = digit(&n, 32);
	facts.clear_retry = digit(&n, 2);
	facts.requiretls = digit(&n, 2);
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
#define DANE		{ "dane", 2, { "unchecked", "no-match" } }

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

static unsigned
cert_value(const struct session_facts *facts)
{
	static const unsigned defects[] = {
		0, CERT_NOT_TRUSTED, CERT_EXPIRED, CERT_HOST_MISMATCH,
		CERT_OTHER
	};
	unsigned i;

	for (i = 1; i < N(defects); i++)
		if (facts->cert & defects[i])
			return i;
	return 0;
}

static unsigned
dane_value(const struct session_facts *facts)
{
	return (facts->cert & CERT_DANE_NO_MATCH) != 0;
}

static bool
project_host(unsigned n, unsigned facts[DIMENSIONS_MAX])
{
	struct host_facts host = space_host(n);

	facts[0] = class_value(host.class);
	facts[1] = host.tlsa;
	facts[2] = policy_value(&host);
	facts[3] = host.mx_match;
	facts[4] = host.tls_required;
	facts[5] = name_value(&host);
	facts[6] = host.sts_unknown;
	return true;
}

/* By name: which line of the host's table led to this session. */
static const char *const host_rule_names[] = {
	"no-policy", "sts-none", "sts-testing", "testing-mx-mismatch",
	"sts-report-only", "report-only-mx-mismatch", "sts-enforce", "dane",
	"dane-host-only", "dane-unusable", "requiretls", "tls-required",
	"tls-optional", "tls-report"
};

static unsigned
host_rule_value(const char *name)
{
	unsigned i;

	for (i = 0; i < N(host_rule_names); i++)
		if (strcmp(host_rule_names[i], name) == 0)
			break;
	return i;
}

/*
 * A session exists only with a host that is tried, and a certificate fails to
 * match only what there is to match.
 */
static bool
project_session(unsigned n, unsigned facts[DIMENSIONS_MAX])
{
	struct session_facts session = space_session(n);
	struct host_verdict host = decide_host(&session.host);

	if (host.action == HOST_SKIP ||
	    (dane_value(&session) && session.host.tlsa != TLSA_USABLE))
		return false;
	facts[0] = host_rule_value(host.rule.name);
	facts[1] = starttls_value(&session);
	facts[2] = dane_value(&session);
	facts[3] = cert_value(&session);
	facts[4] = class_value(session.host.class);
	facts[5] = session.host.tlsa;
	facts[6] = session.requiretls;
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
	words[6] = v.interim ? ", interim" : "";
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
	words[6] = host.interim ? ", interim" : "";
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
		"try or skip, requirement, rule, (clause), enhanced code, TLS "
		"result that is known before any session.",
		HOSTS_ALL, 7,
		{ CLASS, TLSA, POLICY, MATCH, { "tls-required", NO_YES },
		    { "name", 3, { "insecure", "given", "secure" } },
		    { "sts-unknown", NO_YES } },
		project_host, judge_host, VERDICT_FORMAT
	},
	[QUESTION_SESSION] = {
		"decide_session: may the message be sent here?",
		"host: the rule by which the host was tried.  send, reconnect "
		"(in clear) or next (host), requirement, rule, (clause), "
		"enhanced code, TLS result; \"as counted\": the first failure "
		"of tlsa, sts, no-policy-found in the tables below, "
		"else success.",
		SESSIONS_ALL, 7,
		{ { "host", N(host_rule_names), {
		    "no-policy", "sts-none", "sts-testing",
		    "testing-mx-mismatch", "sts-report-only",
		    "report-only-mx-mismatch", "sts-enforce", "dane",
		    "dane-host-only", "dane-unusable", "requiretls",
		    "tls-required", "tls-optional", "tls-report" } },
		    STARTTLS, DANE, CERTIFICATE, CLASS, TLSA,
		    { "keyword", NO_YES } },
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
		"by dane-lookup-failed counts as dnssec-invalid.  Where "
		"usable records have not been compared, nothing is counted "
		"(interim).",
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
