/*
 * Which facts do these words name, and what follows from them?
 *
 * Called by check.c for `culverctl check verdict', and by the tests that show
 * that this, the log and `culverctl explain' say the same (tests/decide).  It
 * decides nothing: it puts one host to decide_host, its session to
 * decide_session, and where that came to nothing a domain without further
 * hosts to decide_domain, as the delivery manager does.
 *
 * A fact is a row of a table.  Its words stand for the values in their order;
 * most facts are a flag of the facts' structs.
 */
#include "policy/verdict.h"

#include <stddef.h>
#include <string.h>

#define WORDS_MAX	8

/*
 * Words.
 */

struct fact {
	const char	*name;
	/* The harmless one first; NULL ends them. */
	const char	*words[WORDS_MAX];
	/* Of a flag: its place in struct session_facts; which word sets it. */
	size_t		 flag;
	unsigned	 when;
	/* Of other facts: take the n-th of the words. */
	void		(*take)(struct session_facts *, unsigned n);
	/* Several defects may stand for a word, joined by ",": their set. */
	void		(*take_defects)(struct session_facts *, unsigned set);
};

static const struct defect {
	const char		*name;
	enum cert_defect	 bit;
} defects[] = {
	{ "not-trusted", CERT_NOT_TRUSTED }, { "expired", CERT_EXPIRED },
	{ "host-mismatch", CERT_HOST_MISMATCH }, { "other", CERT_OTHER },
	{ "no-match", CERT_DANE_NO_MATCH },	/* dane= alone */
};
#define DEFECTS_N	(sizeof(defects) / sizeof(defects[0]))

static void
take_class(struct session_facts *facts, unsigned n)
{
	facts->host.class = CLASS_MAIL + n;
}

static void
take_mode(struct session_facts *facts, unsigned n)
{
	facts->host.sts = (enum sts_mode)n;
}

static void
take_dane(struct session_facts *facts, unsigned n)
{
	static const enum tlsa_state states[] = {
		TLSA_ABSENT, TLSA_INSECURE, TLSA_USABLE, TLSA_UNUSABLE,
		TLSA_FAILED
	};

	facts->host.tlsa = states[n];
	facts->dane = 0;
}

static void
take_dane_defects(struct session_facts *facts, unsigned set)
{
	facts->host.tlsa = TLSA_USABLE;
	facts->dane = set;
}

static void
take_starttls(struct session_facts *facts, unsigned n)
{
	static const enum starttls results[] = {
		STARTTLS_DONE, STARTTLS_ABSENT, STARTTLS_REFUSED,
		STARTTLS_BROKEN, STARTTLS_ABSENT
	};

	facts->starttls = results[n];
	facts->clear_retry = n == 4;
}

static void
take_cert(struct session_facts *facts, unsigned n)
{
	(void)n;
	facts->cert = 0;
}

static void
take_cert_defects(struct session_facts *facts, unsigned set)
{
	facts->cert = set;
}

static void
take_relayhost(struct session_facts *facts, unsigned n)
{
	facts->host.relayhost = n > 0;
	facts->host.relayhost_verified = n > 1;
}

#define HOST(member)	offsetof(struct session_facts, host.member)
#define NO_YES		{ "no", "yes" }
#define FLAG(name, member)	{ name, NO_YES, HOST(member), 1, NULL, NULL }

static const struct fact all_facts[] = {
	{ "class", { "mail", "requiretls", "tls-optional", "report" },
	    0, 0, take_class, NULL },
	{ "mode", { "absent", "none", "testing", "enforce" },
	    0, 0, take_mode, NULL },
	FLAG("policy-unknown", sts_unknown),
	{ "mx", { "match", "mismatch" }, HOST(mx_match), 0, NULL, NULL },
	FLAG("mx-secure", mx_secure),
	{ "resolver", { "judged", "unjudged" }, HOST(dnssec_unjudged), 1,
	    NULL, NULL },
	{ "name", { "mx", "given" }, HOST(name_given), 1, NULL, NULL },
	{ "dane", { "none", "insecure", "usable", "unusable", "failed" },
	    0, 0, take_dane, take_dane_defects },
	{ "starttls", { "yes", "no", "refused", "broken", "retry" },
	    0, 0, take_starttls, NULL },
	{ "cert", { "valid" }, 0, 0, take_cert, take_cert_defects },
	{ "requiretls", { "offered", "absent" },
	    offsetof(struct session_facts, requiretls), 0, NULL, NULL },
	FLAG("tls-required", tls_required),
	{ "relayhost", { "no", "unverified", "verified" },
	    0, 0, take_relayhost, NULL },
	FLAG("exempt", exempt),
	FLAG("report-only", sts_report_only),
};
#define FACTS_N		(sizeof(all_facts) / sizeof(all_facts[0]))

/* What DANE finds is told by dane=, and PKIX knows no records. */
static bool
may_have(const struct fact *fact, const struct defect *defect)
{
	return fact->take_defects != NULL &&
	    (defect->bit != CERT_DANE_NO_MATCH ||
	    fact->take_defects == take_dane_defects);
}

/* "expired,host-mismatch".  0: that is not what it is. */
static unsigned
read_defects(const struct fact *fact, struct slice words)
{
	unsigned set = 0;
	struct slice word;
	size_t i;

	while (words.at != NULL) {
		word = slice_cut(&words, ',');
		for (i = 0; i < DEFECTS_N; i++)
			if (may_have(fact, &defects[i]) &&
			    slice_equal(word, slice_of(defects[i].name)))
				break;
		if (i == DEFECTS_N)
			return 0;
		set |= defects[i].bit;
	}
	return set;
}

static bool
take_value(struct session_facts *facts, const struct fact *fact,
    struct slice value)
{
	unsigned n = 0, set;
	bool flag;

	while (n < WORDS_MAX && fact->words[n] != NULL &&
	    !slice_equal(value, slice_of(fact->words[n])))
		n++;
	if (n < WORDS_MAX && fact->words[n] != NULL) {
		flag = n == fact->when;
		if (fact->take != NULL)
			fact->take(facts, n);
		else
			memcpy((char *)facts + fact->flag, &flag,
			    sizeof(flag));
		return true;
	}
	set = read_defects(fact, value);
	if (set != 0)
		fact->take_defects(facts, set);
	return set != 0;
}

const char *
verdict_take(struct session_facts *facts, unsigned *taken, const char *word)
{
	struct slice value = slice_of(word), name = slice_cut(&value, '=');
	size_t i = 0;

	while (i < FACTS_N && !slice_equal(name, slice_of(all_facts[i].name)))
		i++;
	if (i == FACTS_N || value.at == NULL)
		return "is no fact with one of its values";
	if (*taken & 1u << i)
		return "names a fact a second time";
	if (!take_value(facts, &all_facts[i], value))
		return "is no fact with one of its values";
	*taken |= 1u << i;
	return NULL;
}

struct session_facts
verdict_harmless(void)
{
	struct session_facts facts = { .starttls = STARTTLS_DONE };
	size_t i;

	for (i = 0; i < FACTS_N; i++)
		take_value(&facts, &all_facts[i],
		    slice_of(all_facts[i].words[0]));
	return facts;
}

static void
list_fact(const struct fact *fact, struct buffer *text)
{
	const char *before = "=";
	unsigned i;

	buffer_printf(text, "%s", fact->name);
	for (i = 0; i < WORDS_MAX && fact->words[i] != NULL; i++) {
		buffer_printf(text, "%s%s", before, fact->words[i]);
		before = "|";
	}
	for (i = 0; i < DEFECTS_N; i++)
		if (may_have(fact, &defects[i])) {
			buffer_printf(text, "%s%s", before, defects[i].name);
			before = ",";
		}
	buffer_printf(text, "\n");
}

void
verdict_list(struct buffer *text)
{
	size_t i;

	for (i = 0; i < FACTS_N; i++)
		list_fact(&all_facts[i], text);
}

/*
 * Verdicts.
 */

/* The only host was refused: by decide_host, or by decide_session. */
static struct verdict
give_up(const struct session_facts *facts, struct verdict verdict,
    const struct rule *rule, bool definite)
{
	struct domain_facts domain = {
		.class = facts->host.class, .hosts = 1,
		.policy = !definite, .unfit_tls = definite,
		.policy_rule = *rule,
	};
	struct domain_verdict end = decide_domain(&domain);

	verdict.fate = FATE_DEFER;
	if (end.action == DOMAIN_FAIL) {
		verdict.fate = FATE_FAIL;
		verdict.decided = "decide_domain";
	}
	verdict.rule = end.rule;
	return verdict;
}

struct verdict
verdict_of(const struct session_facts *facts)
{
	struct host_verdict host = decide_host(&facts->host);
	struct session_verdict session;
	struct verdict verdict = {
		.decided = "decide_host", .result = host.result,
		.blocks = host.blocks
	};

	if (host.action == HOST_SKIP)
		return give_up(facts, verdict, &host.rule, host.definite);
	session = decide_session(facts);
	verdict.decided = "decide_session";
	verdict.requirement = host.requirement;
	verdict.result = session.result;
	verdict.blocks = session.blocks;
	if (session.action == SESSION_NEXT)
		return give_up(facts, verdict, &session.rule,
		    session.definite);
	verdict.fate = FATE_SEND;
	verdict.clear = facts->starttls != STARTTLS_DONE ||
	    facts->clear_retry;
	verdict.rule = session.rule;
	return verdict;
}

const char *
fate_name(enum fate fate)
{
	static const char *const names[] = {
		[FATE_SEND] = "send", [FATE_DEFER] = "defer",
		[FATE_FAIL] = "fail",
	};

	return names[fate];
}

static void
put_text(struct buffer *json, const char *key, const char *text)
{
	buffer_printf(json, "\"%s\":", key);
	buffer_json(json, slice_of(text));
}

static void
print_blocks(const struct block_results *blocks, struct buffer *json)
{
	const struct {
		const char	*name;
		enum tls_result	 result;
	} rows[] = {
		{ "sts", blocks->sts }, { "tlsa", blocks->tlsa },
		{ "no-policy-found", blocks->no_policy },
	};
	const char *before = "";
	size_t i;

	buffer_printf(json, "\"counted\":{");
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].result != RESULT_NONE) {
			buffer_printf(json, "%s", before);
			put_text(json, rows[i].name,
			    tls_result_name(rows[i].result));
			before = ",";
		}
	buffer_printf(json, "}");
}

void
verdict_print(const struct verdict *verdict, struct buffer *json)
{
	const struct {
		const char	*name, *text;
	} rows[] = {
		{ "verdict", fate_name(verdict->fate) },
		{ "result", tls_result_name(verdict->result) },
		{ "enhanced", verdict->rule.enhanced },
		{ "clause", verdict->rule.clause },
		{ "rule", verdict->rule.name },
		{ "decided", verdict->decided },
		{ "requirement", requirement_name(verdict->requirement) },
		{ "repair", verdict->rule.repair },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		buffer_printf(json, "%s", i == 0 ? "{" : ",");
		put_text(json, rows[i].name, rows[i].text);
	}
	buffer_printf(json, ",\"clear\":%s,", verdict->clear ? "true" :
	    "false");
	print_blocks(&verdict->blocks, json);
	buffer_printf(json, "}");
}
