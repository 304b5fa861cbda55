/*
 * What must hold of the decide functions, whatever the table says?
 *
 * Each property is put to every input that the functions can be given: 5,120
 * hosts, 2.6 million sessions, 16,384 domains, also those that cannot be in
 * practice.  A property is a short sentence; its function says false of an
 * input that breaks it.
 */
#include "tests/decide/property.h"

#include "tests/decide/space.h"

#include <string.h>

#define N(array)	(sizeof(array) / sizeof((array)[0]))
#define CERT_PKIX	(CERT_NOT_TRUSTED | CERT_EXPIRED |		\
	CERT_HOST_MISMATCH | CERT_OTHER)

/* An input with its verdicts. */
struct sample {
	struct session_facts	facts;
	struct session_verdict	session;
	struct host_verdict	host;
};

static bool
is_encrypted(const struct session_facts *facts)
{
	return facts->starttls == STARTTLS_DONE && !facts->clear_retry;
}

static bool
is_proven(const struct session_facts *facts)
{
	return is_encrypted(facts) && (facts->cert & CERT_PKIX) == 0;
}

static bool
heeds_policies(const struct host_facts *host)
{
	return host->class == CLASS_MAIL || host->class == CLASS_REQUIRETLS;
}

static bool
goes_on(const struct session_verdict *verdict)
{
	return verdict->action != SESSION_NEXT;
}

/*
 * Sessions.
 */

static bool
enforce_needs_proof(const struct sample *s)
{
	if (s->facts.host.sts != STS_ENFORCE ||
	    s->facts.host.sts_report_only || !heeds_policies(&s->facts.host))
		return true;
	return !goes_on(&s->session) ||
	    (s->facts.host.mx_match && is_proven(&s->facts));
}

static bool
same_outcome(const struct session_facts *a, const struct session_facts *b)
{
	struct session_verdict va = decide_session(a), vb = decide_session(b);
	struct host_verdict ha = decide_host(&a->host);
	struct host_verdict hb = decide_host(&b->host);

	return va.action == vb.action && ha.action == hb.action &&
	    ha.requirement == hb.requirement && ha.interim == hb.interim;
}

/* REQUIRETLS apart: there a testing policy vouches for a name (RTLS-3-6). */
static bool
testing_changes_nothing(const struct sample *s)
{
	struct session_facts without = s->facts;

	if (s->facts.host.sts != STS_TESTING ||
	    s->facts.host.class == CLASS_REQUIRETLS)
		return true;
	without.host.sts = STS_ABSENT;
	return same_outcome(&s->facts, &without);
}

static bool
none_is_absent(const struct sample *s)
{
	struct session_facts without = s->facts;

	if (s->facts.host.sts != STS_NONE)
		return true;
	without.host.sts = STS_ABSENT;
	return same_outcome(&s->facts, &without);
}

static bool
report_only_is_testing(const struct sample *s)
{
	struct session_facts testing = s->facts;

	if (s->facts.host.sts != STS_ENFORCE || !s->facts.host.sts_report_only)
		return true;
	testing.host.sts = STS_TESTING;
	return same_outcome(&s->facts, &testing) &&
	    decide_session(&testing).result == s->session.result;
}

static bool
dane_outranks_sts(const struct sample *s)
{
	if (s->facts.host.tlsa != TLSA_USABLE ||
	    !heeds_policies(&s->facts.host) || !is_encrypted(&s->facts) ||
	    !(s->facts.cert & CERT_DANE_NO_MATCH))
		return true;
	return s->session.action == SESSION_NEXT;
}

static bool
tlsa_needs_tls(const struct sample *s)
{
	if (!heeds_policies(&s->facts.host) ||
	    (s->facts.host.tlsa != TLSA_USABLE &&
	    s->facts.host.tlsa != TLSA_UNUSABLE))
		return true;
	return !goes_on(&s->session) || is_encrypted(&s->facts);
}

static bool
failed_lookup_is_unused(const struct sample *s)
{
	if (!heeds_policies(&s->facts.host) ||
	    s->facts.host.tlsa != TLSA_FAILED)
		return true;
	return s->host.action == HOST_SKIP &&
	    s->session.action == SESSION_NEXT;
}

static bool
skipped_never_carries(const struct sample *s)
{
	return s->host.action == HOST_TRY ||
	    (s->session.action == SESSION_NEXT &&
	    s->session.rule.name == s->host.rule.name);
}

static bool
clear_only_where_allowed(const struct sample *s)
{
	return is_encrypted(&s->facts) || !goes_on(&s->session) ||
	    (s->host.action == HOST_TRY &&
	    s->host.requirement == REQUIRE_NONE);
}

static bool
reconnects_once_in_clear(const struct sample *s)
{
	bool again = s->session.action == SESSION_RECONNECT;
	bool broken = s->facts.starttls == STARTTLS_BROKEN &&
	    !s->facts.clear_retry;

	if (again)
		return broken && s->host.requirement == REQUIRE_NONE;
	return s->session.action == SESSION_NEXT || !broken;
}

static bool
requirement_is_met(const struct sample *s)
{
	if (s->session.action != SESSION_SEND)
		return true;
	switch (s->host.requirement) {
	case REQUIRE_NONE:
		return true;
	case REQUIRE_ENCRYPT:
		return is_encrypted(&s->facts);
	case REQUIRE_PKIX:
		return is_proven(&s->facts);
	case REQUIRE_DANE:
	case REQUIRE_DANE_PKIX:
		break;
	}
	return false;		/* no verdict asks for these yet */
}

static bool
operator_outranks_testing(const struct sample *s)
{
	if (!s->facts.host.tls_required ||
	    s->facts.host.class == CLASS_REPORT)
		return true;
	return !goes_on(&s->session) || is_proven(&s->facts);
}

static bool
optional_always_goes(const struct sample *s)
{
	bool optional = s->facts.host.class == CLASS_REPORT ||
	    (s->facts.host.class == CLASS_TLS_OPTIONAL &&
	    !s->facts.host.tls_required);

	return !optional ||
	    (s->host.action == HOST_TRY && goes_on(&s->session));
}

static bool
requiretls_needs_all(const struct sample *s)
{
	const struct host_facts *host = &s->facts.host;
	bool vouched = host->mx_secure || host->name_given ||
	    ((host->sts == STS_TESTING || host->sts == STS_ENFORCE) &&
	    host->mx_match);

	if (host->class != CLASS_REQUIRETLS || !goes_on(&s->session))
		return true;
	return vouched && is_proven(&s->facts) && s->facts.requiretls;
}

static bool
definite_is_requiretls(const struct sample *s)
{
	if (!s->host.definite && !s->session.definite)
		return true;
	return s->facts.host.class == CLASS_REQUIRETLS &&
	    s->session.action == SESSION_NEXT;
}

static bool
is_failure(enum tls_result result)
{
	return result > RESULT_SUCCESS;
}

static bool
sts_counts_truly(const struct sample *s)
{
	enum sts_mode sts = s->facts.host.sts;
	bool counted = s->host.action == HOST_TRY && !s->facts.clear_retry &&
	    s->facts.host.class != CLASS_REPORT &&
	    (sts == STS_TESTING || sts == STS_ENFORCE);
	bool good = s->facts.host.mx_match && is_proven(&s->facts);
	enum tls_result result = s->session.blocks.sts;

	if (!counted)
		return result == RESULT_NONE;
	return good ? result == RESULT_SUCCESS : is_failure(result);
}

static bool
no_policy_stands_alone(const struct sample *s)
{
	return s->session.blocks.no_policy == RESULT_NONE ||
	    (s->session.blocks.sts == RESULT_NONE &&
	    s->session.blocks.tlsa == RESULT_NONE);
}

/* The word for the log is the first failure of what is counted. */
static bool
result_is_as_counted(const struct sample *s)
{
	const struct block_results *b = &s->session.blocks;
	enum tls_result want = b->no_policy;

	if (!goes_on(&s->session) || s->facts.host.class == CLASS_REPORT)
		return true;
	if (b->sts != RESULT_NONE)
		want = b->sts;
	if (is_failure(b->tlsa))
		want = b->tlsa;
	return s->session.result == want;
}

static bool
refusal_has_its_words(const struct rule *rule)
{
	static const char *const codes[] = {
		"4.7.0", "4.7.4", "4.7.5", "4.7.10", "4.7.30"
	};
	size_t i;

	for (i = 0; i < N(codes); i++)
		if (strcmp(rule->enhanced, codes[i]) == 0)
			break;
	return i < N(codes) && rule->clause[0] != '\0' &&
	    rule->repair[0] != '\0';
}

/* What fits the fields of the messages between programs. */
static bool
is_printable_rule(const struct rule *rule)
{
	return rule->name != NULL && rule->name[0] != '\0' &&
	    strspn(rule->name, "abcdefghijklmnopqrstuvwxyz-") ==
	    strlen(rule->name) && strlen(rule->name) < 64 &&
	    strlen(rule->clause) < 64 && strlen(rule->repair) < 256;
}

static bool
rules_speak(const struct sample *s)
{
	const struct rule *host = &s->host.rule, *session = &s->session.rule;

	return is_printable_rule(host) && is_printable_rule(session) &&
	    (s->host.action == HOST_SKIP ? refusal_has_its_words(host) :
	    host->enhanced[0] == '\0') &&
	    (s->session.action == SESSION_NEXT ?
	    refusal_has_its_words(session) : session->enhanced[0] == '\0');
}

/* A further defect beside the first changes no verdict (ruling 29). */
static bool
first_defect_decides(const struct sample *s)
{
	struct session_facts more = s->facts;
	unsigned first = s->facts.cert & CERT_PKIX;
	struct session_verdict verdict;

	first &= ~first + 1;	/* bits stand in the order that tells */
	if (first == 0)
		return true;
	more.cert = first | (s->facts.cert & CERT_DANE_NO_MATCH);
	verdict = decide_session(&more);
	return verdict.action == s->session.action &&
	    verdict.rule.name == s->session.rule.name &&
	    verdict.result == s->session.result;
}

static const struct {
	const char	*name;
	bool		(*holds)(const struct sample *);
} session_properties[] = {
	{ "STS-5-1, STS-5-2, STS-5-3 enforce never sends unproven",
	    enforce_needs_proof },
	{ "STS-5-4 testing never changes the outcome",
	    testing_changes_nothing },
	{ "STS-5-5, STS-3.3-14 mode none is as no policy", none_is_absent },
	{ "report-only acts and counts as testing", report_only_is_testing },
	{ "STS-2-1, DANE-7672-3.2-2 DANE outranks STS", dane_outranks_sts },
	{ "DANE-7672-2.2.3-5, DANE-7672-2.2-4 secure TLSA needs TLS",
	    tlsa_needs_tls },
	{ "DANE-7672-2.1.2-4, DANE-7672-2.1.2-5 a host whose TLSA look-up "
	    "failed is not used", failed_lookup_is_unused },
	{ "a skipped host never carries mail", skipped_never_carries },
	{ "clear text only where nothing is required",
	    clear_only_where_allowed },
	{ "DANE-7672-2.2-6 a reconnect in clear only after a failed "
	    "handshake, once, and where clear text is allowed",
	    reconnects_once_in_clear },
	{ "what is sent has met its requirement", requirement_is_met },
	{ "tls-required holds under testing and tls-optional",
	    operator_outranks_testing },
	{ "RTLS-4-2, RTLS-4.2.2-1, RPT-3-10, RPT-5.3.1-1 tls-optional mail "
	    "and reports are never refused", optional_always_goes },
	{ "RTLS-3-2, RTLS-3-3, RTLS-3-4, RTLS-4.2.1-4 REQUIRETLS goes only "
	    "where all of it holds", requiretls_needs_all },
	{ "definite refusals are REQUIRETLS alone", definite_is_requiretls },
	{ "the sts block counts a success exactly where all is proven",
	    sts_counts_truly },
	{ "no-policy-found is counted only alone", no_policy_stands_alone },
	{ "a passing session's result is the first failure counted",
	    result_is_as_counted },
	{ "EXT-3463-3.8-1 every refusal has clause, 4.7.x code "
	    "and repair, all that passes has no code", rules_speak },
	{ "of several defects the first decides", first_defect_decides },
};

/*
 * Hosts.
 */

/* What a stricter fact may do: raise the requirement, or skip. */
static bool
is_no_weaker(const struct host_facts *strict, const struct host_facts *lax)
{
	struct host_verdict a = decide_host(strict), b = decide_host(lax);

	if (b.action == HOST_SKIP)
		return a.action == HOST_SKIP;
	return a.action == HOST_SKIP || a.requirement >= b.requirement;
}

static bool
enforce_is_no_weaker(const struct host_facts *host)
{
	struct host_facts lax = *host;

	if (host->sts != STS_ENFORCE || host->class == CLASS_REQUIRETLS)
		return true;
	lax.sts = STS_ABSENT;
	return is_no_weaker(host, &lax);
}

static bool
tls_required_is_no_weaker(const struct host_facts *host)
{
	struct host_facts lax = *host;

	lax.tls_required = false;
	return is_no_weaker(host, &lax);
}

static bool
tlsa_is_no_weaker(const struct host_facts *host)
{
	struct host_facts lax = *host;

	if (host->tlsa == TLSA_INSECURE || host->tlsa == TLSA_ABSENT)
		return true;
	lax.tlsa = TLSA_ABSENT;
	return is_no_weaker(host, &lax);
}

static bool
pkix_has_a_name(const struct host_facts *host)
{
	struct host_verdict verdict = decide_host(host);
	bool covered = (host->sts == STS_TESTING ||
	    host->sts == STS_ENFORCE) && host->mx_match;

	return verdict.action == HOST_SKIP ||
	    verdict.requirement < REQUIRE_PKIX || covered ||
	    host->mx_secure || host->name_given || host->tls_required;
}

static bool
interim_is_usable(const struct host_facts *host)
{
	struct host_verdict verdict = decide_host(host);

	return verdict.interim == (verdict.action == HOST_TRY &&
	    host->tlsa == TLSA_USABLE && heeds_policies(host));
}

static bool
reuse_needs_equality(const struct host_facts *host)
{
	struct host_facts other;
	bool tried = decide_host(host).action == HOST_TRY;
	unsigned n;

	if (decide_reuse(host, host) != tried)
		return false;
	for (n = 0; n < HOSTS_ALL; n++) {
		other = space_host(n);
		/* Padding does not matter here: both come from space_host. */
		if (decide_reuse(host, &other) && (!tried ||
		    host->class != other.class || host->sts != other.sts ||
		    host->sts_unknown != other.sts_unknown ||
		    host->sts_report_only != other.sts_report_only ||
		    host->mx_match != other.mx_match ||
		    host->mx_secure != other.mx_secure ||
		    host->name_given != other.name_given ||
		    host->tlsa != other.tlsa ||
		    host->tls_required != other.tls_required))
			return false;
	}
	return true;
}

static const struct {
	const char	*name;
	bool		(*holds)(const struct host_facts *);
} host_properties[] = {
	{ "enforce never weakens what a host must prove",
	    enforce_is_no_weaker },
	{ "tls-required never weakens it", tls_required_is_no_weaker },
	{ "secure TLSA never weakens it", tlsa_is_no_weaker },
	{ "TLS-9325-7.1-1 a certificate is demanded only for a name that "
	    "policy, DNSSEC or the operator vouch for", pkix_has_a_name },
	{ "interim is said of usable TLSA and of nothing else",
	    interim_is_usable },
	{ "a session is reused only under equal facts",
	    reuse_needs_equality },
};

/*
 * Domains.
 */

static bool
refused_or_temporary_waits(const struct domain_facts *domain)
{
	return (domain->policy == 0 && domain->temporary == 0) ||
	    decide_domain(domain).action == DOMAIN_DEFER;
}

static bool
failure_is_definite(const struct domain_facts *domain)
{
	if (decide_domain(domain).action == DOMAIN_DEFER)
		return true;
	return domain->hosts > 0 &&
	    domain->nonexistent + domain->unfit_tls == domain->hosts &&
	    (domain->unfit_tls == 0 || domain->class == CLASS_REQUIRETLS);
}

static bool
code_fits_action(const struct domain_facts *domain)
{
	struct domain_verdict verdict = decide_domain(domain);
	const char *code = verdict.rule.enhanced;

	if (verdict.action == DOMAIN_DEFER)
		return code[0] == '4';
	return code[0] == '5' && (strncmp(code, "5.7.", 4) != 0 ||
	    domain->class == CLASS_REQUIRETLS);
}

static const struct {
	const char	*name;
	bool		(*holds)(const struct domain_facts *);
} domain_properties[] = {
	{ "STS-5-7, STS-8.4-3 a policy refusal or a temporary failure among "
	    "the hosts defers", refused_or_temporary_waits },
	{ "SMTP-5.1-7 mail fails only when every host is definite",
	    failure_is_definite },
	{ "EXT-3463-3.8-1 deferred is 4, failed is 5, 5.7 is REQUIRETLS",
	    code_fits_action },
};

/*
 * Of all sessions together.
 */

/*
 * TLS-9325-5.2-1: what is sent under a requirement is not refused under a
 * lesser one.  Refuted TLSA and a missing keyword refuse beside the
 * requirement, so they are left out.
 */
struct monotone {
	int	sent[SESSIONS_PER_HOST];	/* strongest that sent */
	int	refused[SESSIONS_PER_HOST];	/* weakest that refused */
};

static void
note_monotone(struct monotone *monotone, const struct sample *s, unsigned n)
{
	unsigned shown = n % SESSIONS_PER_HOST;
	int requirement = (int)s->host.requirement;

	if (s->host.action == HOST_SKIP || !s->facts.requiretls ||
	    s->facts.cert & CERT_DANE_NO_MATCH)
		return;
	if (goes_on(&s->session) && requirement > monotone->sent[shown])
		monotone->sent[shown] = requirement;
	if (!goes_on(&s->session) && requirement < monotone->refused[shown])
		monotone->refused[shown] = requirement;
}

static unsigned
count_broken(const struct monotone *monotone)
{
	unsigned broken = 0, n;

	for (n = 0; n < SESSIONS_PER_HOST; n++)
		broken += monotone->refused[n] <= monotone->sent[n];
	return broken;
}

static void
check_sessions(void (*tell)(const char *, unsigned))
{
	unsigned broken[N(session_properties)] = { 0 }, n;
	struct monotone monotone;
	struct sample s;
	size_t i;

	for (n = 0; n < SESSIONS_PER_HOST; n++) {
		monotone.sent[n] = -1;
		monotone.refused[n] = REQUIRE_DANE_PKIX + 1;
	}
	for (n = 0; n < SESSIONS_ALL; n++) {
		s.facts = space_session(n);
		s.host = decide_host(&s.facts.host);
		s.session = decide_session(&s.facts);
		note_monotone(&monotone, &s, n);
		for (i = 0; i < N(session_properties); i++)
			broken[i] += !session_properties[i].holds(&s);
	}
	for (i = 0; i < N(session_properties); i++)
		tell(session_properties[i].name, broken[i]);
	tell("TLS-9325-5.2-1 what passes a requirement passes every lesser "
	    "one", count_broken(&monotone));
}

static void
check_hosts(void (*tell)(const char *, unsigned))
{
	struct host_facts host;
	unsigned broken, n;
	size_t i;

	for (i = 0; i < N(host_properties); i++) {
		for (broken = n = 0; n < HOSTS_ALL; n++) {
			host = space_host(n);
			broken += !host_properties[i].holds(&host);
		}
		tell(host_properties[i].name, broken);
	}
}

static void
check_domains(void (*tell)(const char *, unsigned))
{
	struct domain_facts domain;
	unsigned broken, n;
	size_t i;

	for (i = 0; i < N(domain_properties); i++) {
		for (broken = n = 0; n < DOMAINS_ALL; n++) {
			domain = space_domain(n);
			broken += !domain_properties[i].holds(&domain);
		}
		tell(domain_properties[i].name, broken);
	}
}

void
property_check(void (*tell)(const char *name, unsigned broken))
{
	check_sessions(tell);
	check_hosts(tell);
	check_domains(tell);
}
