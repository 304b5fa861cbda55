/*
 * What must hold of the decide functions, whatever the table says?
 *
 * Each property is put to every input of space.c (30,720 hosts, 1,760,000
 * sessions, 16,384 domains), and to a million drawn by chance from
 * all that the functions can be given, possible or not.  A property is a
 * short sentence; its function says false of an input that breaks it.
 */
#include "tests/decide/property.h"

#include "policy/verdict.h"
#include "tests/decide/space.h"

#include <string.h>

#define N(array)	(sizeof(array) / sizeof((array)[0]))
#define CERT_PKIX	(CERT_NOT_TRUSTED | CERT_EXPIRED |		\
	CERT_HOST_MISMATCH | CERT_OTHER)
#define CERT_BITS	5

/* An input with its verdicts. */
struct sample {
	struct session_facts	facts;
	struct session_verdict	session;
	struct host_verdict	host;
};

static struct sample
sample_of(const struct session_facts *facts)
{
	return (struct sample){ *facts, decide_session(facts),
	    decide_host(&facts->host) };
}

static bool
is_encrypted(const struct session_facts *facts)
{
	return facts->starttls == STARTTLS_DONE && !facts->clear_retry;
}

static bool
is_proven_by_pkix(const struct session_facts *facts)
{
	return is_encrypted(facts) && (facts->cert & CERT_PKIX) == 0;
}

static bool
is_proven_by_dane(const struct session_facts *facts)
{
	return is_encrypted(facts) && facts->dane == 0;
}

/* In the way that whoever demands proof, and no way, is content with. */
static bool
is_proven(const struct session_facts *facts)
{
	return facts->host.tlsa == TLSA_USABLE ? is_proven_by_dane(facts) :
	    is_proven_by_pkix(facts);
}

/* Do the policies of the recipient's domain bind? */
static bool
is_bound(const struct host_facts *host)
{
	return host->class == CLASS_REQUIRETLS ||
	    (host->class == CLASS_MAIL && !host->exempt);
}

static bool
is_enforced(const struct host_facts *host)
{
	return is_bound(host) && host->sts == STS_ENFORCE &&
	    !host->sts_report_only;
}

static bool
has_secure_name(const struct host_facts *host)
{
	return host->mx_secure || host->name_given;
}

static bool
has_policy(const struct host_facts *host)
{
	return host->sts == STS_TESTING || host->sts == STS_ENFORCE;
}

static bool
has_secure_tlsa(const struct host_facts *host)
{
	return host->tlsa == TLSA_USABLE || host->tlsa == TLSA_UNUSABLE ||
	    host->tlsa == TLSA_FAILED;
}

static bool
is_ordered(const struct host_facts *host)
{
	return host->relayhost_verified ||
	    (host->tls_required && host->class != CLASS_REPORT);
}

static bool
goes_on(const struct session_verdict *verdict)
{
	return verdict->action != SESSION_NEXT;
}

/*
 * Sessions.
 */

/* Ruling 6: DANE alone, MTA-STS alone, or both. */
static bool
enforce_needs_proof(const struct sample *s)
{
	const struct host_facts *host = &s->facts.host;
	bool usable = host->tlsa == TLSA_USABLE;

	if (!is_enforced(host) || !goes_on(&s->session))
		return true;
	if (usable && has_secure_name(host))
		return is_proven_by_dane(&s->facts);
	return host->mx_match && is_proven_by_pkix(&s->facts) &&
	    (!usable || is_proven_by_dane(&s->facts));
}

static bool
same_outcome(const struct session_facts *a, const struct session_facts *b)
{
	struct session_verdict va = decide_session(a), vb = decide_session(b);
	struct host_verdict ha = decide_host(&a->host);
	struct host_verdict hb = decide_host(&b->host);

	return va.action == vb.action && ha.action == hb.action &&
	    ha.requirement == hb.requirement && ha.exempt == hb.exempt;
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
	if (s->facts.host.tlsa != TLSA_USABLE || !is_bound(&s->facts.host) ||
	    is_proven_by_dane(&s->facts))
		return true;
	return s->session.action == SESSION_NEXT;
}

/* A policy and a PKIX certificate are then neither here nor there. */
static bool
dane_decides_alone(const struct sample *s)
{
	const struct host_facts *host = &s->facts.host;
	struct session_facts without = s->facts;

	if (host->tlsa != TLSA_USABLE || !is_bound(host) ||
	    !has_secure_name(host))
		return true;
	without.host.sts = STS_ABSENT;
	without.host.mx_match = true;
	without.cert = 0;
	return same_outcome(&s->facts, &without);
}

static bool
insecure_tlsa_is_absent(const struct sample *s)
{
	struct session_facts without = s->facts;

	if (s->facts.host.tlsa != TLSA_INSECURE)
		return true;
	without.host.tlsa = TLSA_ABSENT;
	return same_outcome(&s->facts, &without);
}

static bool
tlsa_needs_tls(const struct sample *s)
{
	if (!is_bound(&s->facts.host) || !has_secure_tlsa(&s->facts.host))
		return true;
	return !goes_on(&s->session) || is_encrypted(&s->facts);
}

static bool
failed_lookup_is_unused(const struct sample *s)
{
	if (!is_bound(&s->facts.host) || s->facts.host.tlsa != TLSA_FAILED)
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
never_clear(const struct sample *s)
{
	const struct host_facts *host = &s->facts.host;
	bool secure = is_enforced(host) || is_ordered(host) ||
	    host->class == CLASS_REQUIRETLS ||
	    (is_bound(host) && has_secure_tlsa(host));

	return !secure || !goes_on(&s->session) || is_encrypted(&s->facts);
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
		return is_proven_by_pkix(&s->facts);
	case REQUIRE_DANE:
		return is_proven_by_dane(&s->facts);
	case REQUIRE_DANE_PKIX:
		return is_proven_by_pkix(&s->facts) &&
		    is_proven_by_dane(&s->facts);
	}
	return false;
}

static bool
operator_is_obeyed(const struct sample *s)
{
	return !is_ordered(&s->facts.host) || !goes_on(&s->session) ||
	    is_proven(&s->facts);
}

static bool
optional_always_goes(const struct sample *s)
{
	const struct host_facts *host = &s->facts.host;
	bool optional = (host->class == CLASS_REPORT ||
	    host->class == CLASS_TLS_OPTIONAL) && !is_ordered(host);

	return !optional ||
	    (s->host.action == HOST_TRY && goes_on(&s->session));
}

static bool
requiretls_needs_all(const struct sample *s)
{
	const struct host_facts *host = &s->facts.host;
	bool vouched = has_secure_name(host) ||
	    (has_policy(host) && host->mx_match);

	if (host->class != CLASS_REQUIRETLS || !goes_on(&s->session))
		return true;
	return vouched && is_proven(&s->facts) && s->facts.requiretls;
}

/* For other mail it may let pass, and never refuses more. */
static bool
exemption_only_lifts(const struct sample *s)
{
	struct session_facts without = s->facts;

	without.host.exempt = false;
	if (s->facts.host.class != CLASS_MAIL)
		return same_outcome(&s->facts, &without);
	return goes_on(&s->session) ||
	    decide_session(&without).action == SESSION_NEXT;
}

/* What is let pass is counted as the failure that it is. */
static bool
exemption_counts_the_same(const struct sample *s)
{
	struct session_facts without = s->facts;
	struct session_verdict verdict;

	without.host.exempt = false;
	if (decide_host(&without.host).action == HOST_SKIP)
		return true;
	verdict = decide_session(&without);
	return verdict.blocks.sts == s->session.blocks.sts &&
	    verdict.blocks.tlsa == s->session.blocks.tlsa &&
	    verdict.blocks.no_policy == s->session.blocks.no_policy;
}

static bool
definite_is_requiretls(const struct sample *s)
{
	if (!s->host.definite && !s->session.definite)
		return true;
	return s->facts.host.class == CLASS_REQUIRETLS &&
	    s->session.action == SESSION_NEXT;
}

/* Ruling 16: of want of DNSSEC here nothing follows for the domain. */
static bool
unjudged_is_indefinite(const struct sample *s)
{
	struct session_facts judged = s->facts;

	if (!s->facts.host.dnssec_unjudged)
		return true;
	judged.host.dnssec_unjudged = false;
	return !s->host.definite && same_outcome(&s->facts, &judged);
}

static bool
is_failure(enum tls_result result)
{
	return result > RESULT_SUCCESS;
}

static bool
is_counted(const struct sample *s)
{
	return s->host.action == HOST_TRY && !s->facts.clear_retry &&
	    s->facts.host.class != CLASS_REPORT;
}

static bool
counts_truly(enum tls_result result, bool counted, bool good)
{
	if (!counted)
		return result == RESULT_NONE;
	return good ? result == RESULT_SUCCESS : is_failure(result);
}

static bool
sts_counts_truly(const struct sample *s)
{
	return counts_truly(s->session.blocks.sts,
	    is_counted(s) && has_policy(&s->facts.host),
	    s->facts.host.mx_match && is_proven_by_pkix(&s->facts));
}

static bool
tlsa_counts_truly(const struct sample *s)
{
	return counts_truly(s->session.blocks.tlsa,
	    is_counted(s) && has_secure_tlsa(&s->facts.host),
	    s->facts.host.tlsa == TLSA_USABLE &&
	    is_proven_by_dane(&s->facts));
}

static bool
no_policy_stands_alone(const struct sample *s)
{
	return s->session.blocks.no_policy == RESULT_NONE ||
	    (s->session.blocks.sts == RESULT_NONE &&
	    s->session.blocks.tlsa == RESULT_NONE);
}

/*
 * The word for the log is that of the policy which the log names, or what an
 * exemption let pass: a failure that is counted as well.
 */
static bool
result_is_as_counted(const struct sample *s)
{
	const struct block_results *b = &s->session.blocks;
	enum tls_result want = b->no_policy;

	if (!goes_on(&s->session) || s->facts.host.class == CLASS_REPORT)
		return true;
	if (strncmp(s->session.rule.name, "exempt-", 7) == 0 &&
	    !s->facts.clear_retry)
		return is_failure(s->session.result) &&
		    (s->session.result == b->tlsa ||
		    s->session.result == b->sts);
	if (strcmp(policy_type_name(&s->facts.host), "sts") == 0)
		want = b->sts;
	if (strcmp(policy_type_name(&s->facts.host), "tlsa") == 0)
		want = b->tlsa;
	return s->session.result == want;
}

/* What people are told is what is done. */
static bool
verdict_agrees(const struct sample *s)
{
	struct verdict verdict = verdict_of(&s->facts);
	bool definite = s->host.definite || s->session.definite;
	char code = verdict.rule.enhanced[0];

	if (verdict.result != (s->host.action == HOST_SKIP ?
	    s->host.result : s->session.result))
		return false;
	switch (verdict.fate) {
	case FATE_SEND:
		return goes_on(&s->session) && code == '\0' &&
		    verdict.rule.name == s->session.rule.name &&
		    verdict.clear != is_encrypted(&s->facts);
	case FATE_DEFER:
		return !goes_on(&s->session) && !definite && code == '4' &&
		    verdict.rule.name == s->session.rule.name;
	case FATE_FAIL:
		return !goes_on(&s->session) && definite && code == '5' &&
		    verdict.rule.name == s->session.rule.name;
	}
	return false;
}

static bool
dane_is_never_demanded(const struct sample *s)
{
	const struct block_results *b = &s->session.blocks;

	return s->session.result != RESULT_DANE_REQUIRED &&
	    s->host.result != RESULT_DANE_REQUIRED &&
	    b->sts != RESULT_DANE_REQUIRED &&
	    b->tlsa != RESULT_DANE_REQUIRED &&
	    b->no_policy != RESULT_DANE_REQUIRED;
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

static bool
same_verdict(const struct session_facts *facts, const struct sample *s)
{
	struct session_verdict verdict = decide_session(facts);

	return verdict.action == s->session.action &&
	    verdict.rule.name == s->session.rule.name &&
	    verdict.result == s->session.result;
}

/* Bits stand in the order that tells, a missing match before them. */
static unsigned
first_of(unsigned cert)
{
	if (cert & CERT_DANE_NO_MATCH)
		return CERT_DANE_NO_MATCH;
	return cert & (~cert + 1);
}

/* A further defect beside the first changes no verdict (ruling 29). */
static bool
first_defect_decides(const struct sample *s)
{
	struct session_facts fewer = s->facts;

	fewer.cert = first_of(s->facts.cert & CERT_PKIX);
	fewer.dane = first_of(s->facts.dane);
	return same_verdict(&fewer, s);
}

/* With any defect less, what went goes. */
static bool
better_is_no_worse(const struct sample *s)
{
	struct session_facts better;
	unsigned bit;

	if (!goes_on(&s->session))
		return true;
	for (bit = 0; bit < 2 * CERT_BITS; bit++) {
		better = s->facts;
		if (bit < CERT_BITS)
			better.cert &= ~(1u << bit);
		else
			better.dane &= ~(1u << (bit - CERT_BITS));
		if ((better.cert != s->facts.cert ||
		    better.dane != s->facts.dane) &&
		    decide_session(&better).action != s->session.action)
			return false;
	}
	return true;
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
	{ "T23 STS-2-1, DANE-7672-3.2-2 STS never excuses DANE",
	    dane_outranks_sts },
	{ "T26 DANE-7672-2.2-1, DANE-7672-3.2-1 DANE behind a secure name "
	    "decides alone", dane_decides_alone },
	{ "DANE-7672-2.1.1-3, DANE-7672-2.2-5 insecure TLSA is as none",
	    insecure_tlsa_is_absent },
	{ "T27 DANE-7672-2.2.3-5, DANE-7672-2.2-4 secure TLSA needs TLS",
	    tlsa_needs_tls },
	{ "T24 DANE-7672-2.1.2-4, DANE-7672-2.1.2-5 a host whose TLSA "
	    "look-up failed is not used", failed_lookup_is_unused },
	{ "a skipped host never carries mail", skipped_never_carries },
	{ "clear text only where nothing is required",
	    clear_only_where_allowed },
	{ "STS-5-3, DANE-7672-2.2.3-5, RTLS-3-1 nothing goes in clear under "
	    "enforce, secure TLSA, REQUIRETLS, tls-required or a verified "
	    "relayhost", never_clear },
	{ "DANE-7672-2.2-6 a reconnect in clear only after a failed "
	    "handshake, once, and where clear text is allowed",
	    reconnects_once_in_clear },
	{ "DANE-7672-2.2-2 what is sent has met its requirement",
	    requirement_is_met },
	{ "T22 tls-required and relayhost hold under testing, tls-optional "
	    "and exempt", operator_is_obeyed },
	{ "RTLS-4-2, RTLS-4.2.2-1, RPT-3-10, RPT-5.3.1-1 tls-optional mail "
	    "and reports are never refused", optional_always_goes },
	{ "RTLS-3-2, RTLS-3-3, RTLS-3-4, RTLS-4.2.1-4 REQUIRETLS goes only "
	    "where all of it holds", requiretls_needs_all },
	{ "an exemption only lifts, and of plain mail alone",
	    exemption_only_lifts },
	{ "an exemption changes nothing in what is counted",
	    exemption_counts_the_same },
	{ "definite refusals are REQUIRETLS alone", definite_is_requiretls },
	{ "RTLS-4.2.1-2 no host is refused for good where DNSSEC was not "
	    "judged, nor let pass", unjudged_is_indefinite },
	{ "the sts block counts a success exactly where all is proven",
	    sts_counts_truly },
	{ "the tlsa block counts a success exactly where a record matches",
	    tlsa_counts_truly },
	{ "no-policy-found is counted only alone", no_policy_stands_alone },
	{ "a passing session's result is of the policy that is named",
	    result_is_as_counted },
	{ "T52 `check verdict' says what is done", verdict_agrees },
	{ "dane-required is never said", dane_is_never_demanded },
	{ "EXT-3463-3.8-1 every refusal has clause, 4.7.x code "
	    "and repair, all that passes has no code", rules_speak },
	{ "of several defects the first decides", first_defect_decides },
	{ "a better certificate never makes the verdict worse",
	    better_is_no_worse },
};

/*
 * Hosts.
 */

/* Each asks for all that the lesser do, but PKIX and DANE of each other. */
static bool
asks_for(enum requirement strict, enum requirement lax)
{
	return strict >= lax &&
	    !(strict == REQUIRE_DANE && lax == REQUIRE_PKIX);
}

/* What a stricter fact may do: raise the requirement, or skip. */
static bool
is_no_weaker(const struct host_facts *strict, const struct host_facts *lax)
{
	struct host_verdict a = decide_host(strict), b = decide_host(lax);

	if (b.action == HOST_SKIP)
		return a.action == HOST_SKIP;
	return a.action == HOST_SKIP ||
	    asks_for(a.requirement, b.requirement);
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
operator_is_no_weaker(const struct host_facts *host)
{
	struct host_facts lax = *host;

	lax.tls_required = lax.relayhost_verified = false;
	return is_no_weaker(host, &lax);
}

/* Usable records may stand in for PKIX (ruling 6), and for nothing less. */
static bool
tlsa_is_no_weaker(const struct host_facts *host)
{
	struct host_facts lax = *host;
	struct host_verdict verdict = decide_host(host);

	if (host->tlsa == TLSA_INSECURE || host->tlsa == TLSA_ABSENT)
		return true;
	if (host->tlsa == TLSA_USABLE && is_bound(host))
		return verdict.action == HOST_SKIP ||
		    asks_for(verdict.requirement, REQUIRE_DANE);
	lax.tlsa = TLSA_ABSENT;
	if (host->tlsa == TLSA_USABLE && is_ordered(host))
		return verdict.requirement == REQUIRE_DANE;
	return is_no_weaker(host, &lax);
}

static bool
pkix_has_a_name(const struct host_facts *host)
{
	struct host_verdict verdict = decide_host(host);

	return verdict.action == HOST_SKIP ||
	    !asks_for(verdict.requirement, REQUIRE_PKIX) ||
	    (has_policy(host) && host->mx_match) ||
	    has_secure_name(host) || is_ordered(host);
}

static bool
exemption_is_marked(const struct host_facts *host)
{
	struct host_verdict verdict = decide_host(host);
	struct host_facts bare = *host;

	bare.exempt = bare.tls_required = bare.relayhost_verified = false;
	return verdict.exempt == (host->exempt && host->class == CLASS_MAIL &&
	    (decide_host(&bare).action == HOST_SKIP ||
	    decide_host(&bare).requirement != REQUIRE_NONE));
}

/* The host with its n-th fact changed.  False: there are no more. */
static bool
change_fact(struct host_facts *host, unsigned n)
{
	bool *const flags[] = {
		&host->sts_unknown, &host->sts_report_only, &host->mx_match,
		&host->mx_secure, &host->dnssec_unjudged, &host->name_given,
		&host->tls_required, &host->relayhost_verified,
		&host->exempt, &host->relayhost
	};

	if (n < N(flags)) {
		*flags[n] = !*flags[n];
		return true;
	}
	n -= N(flags);
	if (n == 0)
		host->class = host->class == CLASS_REPORT ? CLASS_MAIL :
		    host->class + 1;
	else if (n == 1)
		host->sts = host->sts == STS_ENFORCE ? STS_ABSENT :
		    host->sts + 1;
	else if (n == 2)
		host->tlsa = host->tlsa == TLSA_FAILED ? TLSA_INSECURE :
		    host->tlsa + 1;
	else if (n == 3)
		host->tlsa_mark++;
	return n <= 3;
}

static bool
reuse_needs_equality(const struct host_facts *host)
{
	bool tried = decide_host(host).action == HOST_TRY;
	struct host_facts other = *host;
	unsigned n;

	if (decide_reuse(host, host) != tried)
		return false;
	for (n = 0; change_fact(&other, n); n++) {
		if (decide_reuse(host, &other) || decide_reuse(&other, host))
			return false;
		other = *host;
	}
	return n == 14;
}

static const struct {
	const char	*name;
	bool		(*holds)(const struct host_facts *);
} host_properties[] = {
	{ "enforce never weakens what a host must prove",
	    enforce_is_no_weaker },
	{ "tls-required and relayhost never weaken it",
	    operator_is_no_weaker },
	{ "secure TLSA never weakens it", tlsa_is_no_weaker },
	{ "TLS-9325-7.1-1 a certificate is demanded only for a name that "
	    "policy, DNSSEC or the operator vouch for", pkix_has_a_name },
	{ "exempt is said where it took something away",
	    exemption_is_marked },
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
	{ "T20 STS-5-7, STS-8.4-3 a policy refusal or a temporary failure "
	    "among the hosts defers", refused_or_temporary_waits },
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
 * lesser one.  A missing keyword refuses beside the requirement, so those
 * are left out.
 */
#define SHOWN_N		(SESSIONS_CLEAR + 16 * 32)
struct monotone {
	unsigned	sent[SHOWN_N];		/* sets of requirements */
	unsigned	refused[SHOWN_N];
};

static unsigned
shown_by(const struct session_facts *facts)
{
	if (facts->clear_retry)
		return SESSIONS_CLEAR - 1;
	if (facts->starttls != STARTTLS_DONE)
		return facts->starttls;
	return SESSIONS_CLEAR + facts->cert + 16 * facts->dane;
}

static void
note_monotone(struct monotone *monotone, const struct sample *s)
{
	unsigned *set = goes_on(&s->session) ? monotone->sent :
	    monotone->refused;

	if (s->host.action == HOST_TRY && s->facts.requiretls)
		set[shown_by(&s->facts)] |= 1u << s->host.requirement;
}

static unsigned
count_broken(const struct monotone *monotone)
{
	unsigned broken = 0, n, strict, lax;

	for (n = 0; n < SHOWN_N; n++)
		for (strict = 0; strict <= REQUIRE_DANE_PKIX; strict++)
			for (lax = 0; lax <= strict; lax++)
				broken += (monotone->sent[n] & 1u << strict) &&
				    (monotone->refused[n] & 1u << lax) &&
				    asks_for(strict, lax);
	return broken;
}

static void
check_sample(const struct sample *s, unsigned *broken)
{
	size_t i;

	for (i = 0; i < N(session_properties); i++)
		broken[i] += !session_properties[i].holds(s);
}

static void
check_sessions(void (*tell)(const char *, unsigned))
{
	unsigned broken[N(session_properties)] = { 0 }, n;
	struct monotone monotone = { { 0 }, { 0 } };
	struct session_facts facts;
	struct sample s;
	size_t i;

	for (n = 0; n < SESSIONS_ALL; n++) {
		facts = space_session(n);
		s = sample_of(&facts);
		note_monotone(&monotone, &s);
		check_sample(&s, broken);
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

/*
 * By chance.
 */

/* splitmix64 */
static uint64_t
draw(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* Whatever fits the types, also what cannot be. */
static struct session_facts
draw_facts(uint64_t *state)
{
	uint64_t bits = draw(state);
	struct session_facts facts = { .host = {
		.class = CLASS_MAIL + (bits & 3),
		.sts = (enum sts_mode)(bits >> 2 & 3),
		.sts_unknown = bits >> 4 & 1,
		.sts_report_only = bits >> 5 & 1,
		.mx_match = bits >> 6 & 1,
		.mx_secure = bits >> 7 & 1,
		.name_given = bits >> 8 & 1,
		.tls_required = bits >> 9 & 1,
		.relayhost_verified = bits >> 10 & 1,
		.exempt = bits >> 11 & 1,
		.relayhost = bits >> 12 & 1,
		.dnssec_unjudged = bits >> 43 & 1,
	} };

	facts.starttls = (enum starttls)(bits >> 13 & 3);
	facts.clear_retry = (bits >> 15 & 3) == 0;
	facts.requiretls = bits >> 17 & 1;
	/* Each defect seldom, so that sets without any are drawn too. */
	facts.cert = bits >> 18 & bits >> 23 & 31;
	facts.dane = bits >> 28 & bits >> 33 & 31;
	facts.host.tlsa = (enum tlsa_state)((bits >> 40) % 5);
	facts.host.tlsa_mark = draw(state);
	return facts;
}

/* One line for all, and one for each that is broken. */
void
property_draw(uint64_t seed, unsigned draws_n,
    void (*tell)(const char *name, unsigned broken))
{
	unsigned broken[N(session_properties)] = { 0 }, hosts = 0, sum = 0, n;
	struct session_facts facts;
	struct sample s;
	size_t i;

	for (n = 0; n < draws_n; n++) {
		facts = draw_facts(&seed);
		s = sample_of(&facts);
		check_sample(&s, broken);
		for (i = 0; i < N(host_properties); i++)
			hosts += !host_properties[i].holds(&facts.host);
	}
	for (i = 0; i < N(session_properties); i++) {
		if (broken[i] > 0)
			tell(session_properties[i].name, broken[i]);
		sum += broken[i];
	}
	tell("T22, T23, T24, T26, T27, T28 every property holds of facts drawn "
	    "by chance", sum + hosts);
}
