/*
 * How do the decisions look to somebody who has another mail server?
 *
 * Called by table.c.  One question more over the inputs of space.c, without
 * what only our own configuration knows: what becomes of a message, if these
 * are the facts and there is no other host?  Its facts and values are those
 * of `culverctl check verdict', its rows are made and joined as the table's
 * are, and printed as JSON.
 */
#include "tests/decide/decisions.h"

#include "policy/verdict.h"
#include "tests/decide/rows.h"

#include <stdio.h>
#include <stdlib.h>

#define N(array)	(sizeof(array) / sizeof((array)[0]))

static unsigned
dane_value(const struct session_facts *facts)
{
	static const unsigned defects[] = {
		CERT_DANE_NO_MATCH, CERT_NOT_TRUSTED, CERT_EXPIRED,
		CERT_HOST_MISMATCH, CERT_OTHER
	};
	static const unsigned states[] = {
		[TLSA_ABSENT] = 0, [TLSA_INSECURE] = 1, [TLSA_UNUSABLE] = 2,
		[TLSA_FAILED] = 3, [TLSA_USABLE] = 4
	};
	unsigned i;

	for (i = 0; i < N(defects); i++)
		if (facts->dane == defects[i])
			return 5 + i;
	return facts->dane == 0 ? states[facts->host.tlsa] : VALUES_MAX;
}

static unsigned
cert_value(const struct session_facts *facts)
{
	static const unsigned sets[] = {
		0, CERT_NOT_TRUSTED, CERT_EXPIRED, CERT_HOST_MISMATCH,
		CERT_OTHER
	};
	unsigned i;

	for (i = 0; i < N(sets); i++)
		if (facts->cert == sets[i])
			return i;
	return VALUES_MAX;
}

/* Several defects at once and our own configuration are left out. */
static bool
project(unsigned n, unsigned facts[DIMENSIONS_MAX])
{
	struct session_facts session = space_session(n);
	const struct host_facts *host = &session.host;

	facts[0] = (unsigned)(host->class - CLASS_MAIL);
	facts[1] = dane_value(&session);
	facts[2] = host->sts;
	facts[3] = !host->mx_match;
	facts[4] = host->mx_secure;
	facts[5] = host->name_given;
	facts[6] = host->sts_unknown;
	facts[7] = session.starttls;
	facts[8] = cert_value(&session);
	facts[9] = !session.requiretls;
	return facts[1] < VALUES_MAX && facts[8] < VALUES_MAX &&
	    !session.clear_retry && !host->tls_required &&
	    !host->relayhost_verified && !host->exempt &&
	    !host->sts_report_only;
}

static void
judge(unsigned n, const char *words[WORDS_MAX])
{
	struct session_facts facts = space_session(n);
	struct verdict verdict = verdict_of(&facts);
	bool skipped = decide_host(&facts.host).action == HOST_SKIP;

	words[0] = fate_name(verdict.fate);
	words[1] = tls_result_name(verdict.result);
	words[2] = verdict.rule.enhanced;
	words[3] = verdict.rule.clause;
	words[4] = skipped ? "" : requirement_name(verdict.requirement);
	words[5] = verdict.clear ? "true" : "false";
	words[6] = tls_result_name(verdict.blocks.sts);
	words[7] = tls_result_name(verdict.blocks.tlsa);
	words[8] = tls_result_name(verdict.blocks.no_policy);
	words[9] = "";
}

#define NO_YES	2, { "no", "yes" }

static const struct question question = {
	"", "", SESSIONS_ALL, 10,
	{ { "class", 4, { "mail", "requiretls", "tls-optional", "report" } },
	    { "dane", 10, { "none", "insecure", "unusable", "failed",
		"usable", "no-match", "not-trusted", "expired",
		"host-mismatch", "other" } },
	    { "mode", 4, { "absent", "none", "testing", "enforce" } },
	    { "mx", 2, { "match", "mismatch" } },
	    { "mx-secure", NO_YES }, { "name", 2, { "mx", "given" } },
	    { "policy-unknown", NO_YES },
	    { "starttls", 4, { "no", "refused", "broken", "yes" } },
	    { "cert", 5, { "valid", "not-trusted", "expired",
		"host-mismatch", "other" } },
	    { "requiretls", 2, { "offered", "absent" } } },
	project, judge,
	"\"verdict\": \"%s\", \"result\": \"%s\",\n"
	"  \"enhanced\": \"%s\", \"clause\": \"%s\",\n"
	"  \"requirement\": \"%s\", \"clear\": %s,\n"
	"  \"sts\": \"%s\", \"tlsa\": \"%s\", \"no-policy-found\": \"%s\"%s"
};

static void
print_values(const struct dimension *dimension, unsigned set,
    struct buffer *json)
{
	const char *before = "";
	unsigned value;

	buffer_printf(json, "\"%s\": [", dimension->name);
	for (value = 0; value < dimension->values_n; value++)
		if (set & 1u << value) {
			buffer_printf(json, "%s\"%s\"", before,
			    dimension->values[value]);
			before = ", ";
		}
	buffer_printf(json, "]");
}

/* Facts of which any value will do are left out. */
static void
print_row(const struct row *row, struct buffer *json)
{
	const struct dimension *dimension;
	const char *before = "";
	unsigned d;

	buffer_printf(json, "{\"facts\": {");
	for (d = 0; d < question.dimensions_n; d++) {
		dimension = &question.dimensions[d];
		if (row->sets[d] == (1u << dimension->values_n) - 1)
			continue;
		buffer_printf(json, "%s\n    ", before);
		print_values(dimension, row->sets[d], json);
		before = ",";
	}
	buffer_printf(json, "},\n  %s}", row->verdict);
}

void
decisions_print(struct buffer *json)
{
	struct rows rows;
	unsigned conflict;
	size_t i;

	if (!rows_make(&question, &rows, &conflict)) {
		fprintf(stderr, "decisions: input %u: the facts shown do not "
		    "settle the verdict\n", conflict);
		exit(1);
	}
	buffer_printf(json, "[\n");
	for (i = 0; i < rows.n; i++) {
		buffer_printf(json, "%s", i > 0 ? ",\n" : "");
		print_row(&rows.list[i], json);
	}
	buffer_printf(json, "\n]\n");
	rows_free(&rows);
}
