/*
 * How do the decisions look to somebody who has another mail server?
 *
 * Called by table.c.  One question more: what becomes of a message, if these
 * are the facts and there is no other host?  Its facts and values are those
 * of `culverctl check verdict', without what only our own configuration knows
 * and without several defects at once.  Every combination of them is put to
 * the question, also those that cannot be (a certificate without TLS), so that
 * nobody who draws facts at random has to know which they are.  Its rows are
 * made and joined as the table's are, and printed as JSON.
 */
#include "tests/decide/decisions.h"

#include "policy/verdict.h"
#include "tests/decide/rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N(array)	(sizeof(array) / sizeof((array)[0]))

#define NO_YES	2, { "no", "yes" }

/* By the order in which rows are split. */
static const struct dimension dimensions[] = {
	{ "class", 4, { "mail", "requiretls", "tls-optional", "report" } },
	{ "starttls", 4, { "no", "refused", "broken", "yes" } },
	{ "dane", 10, { "none", "insecure", "unusable", "failed", "usable",
	    "no-match", "not-trusted", "expired", "host-mismatch",
	    "other" } },
	{ "mode", 4, { "absent", "none", "testing", "enforce" } },
	{ "mx", 2, { "match", "mismatch" } },
	{ "mx-secure", NO_YES }, { "name", 2, { "mx", "given" } },
	{ "resolver", 2, { "judged", "unjudged" } },
	{ "policy-unknown", NO_YES },
	{ "cert", 5, { "valid", "not-trusted", "expired", "host-mismatch",
	    "other" } },
	{ "requiretls", 2, { "offered", "absent" } },
};
#define COMBINATIONS	(4 * 4 * 10 * 4 * 2 * 2 * 2 * 2 * 2 * 5 * 2)

/* The n-th combination, the last fact turning fastest. */
static bool
project(unsigned n, unsigned values[DIMENSIONS_MAX])
{
	unsigned d;

	for (d = N(dimensions); d-- > 0; n /= dimensions[d].values_n)
		values[d] = n % dimensions[d].values_n;
	return true;
}

/* As if `culverctl check verdict' had been told. */
static struct session_facts
facts_of(unsigned n)
{
	struct session_facts facts = verdict_harmless();
	unsigned values[DIMENSIONS_MAX], taken = 0, d;
	char word[100];

	project(n, values);
	for (d = 0; d < N(dimensions); d++) {
		snprintf(word, sizeof(word), "%s=%s", dimensions[d].name,
		    dimensions[d].values[values[d]]);
		if (verdict_take(&facts, &taken, word) != NULL)
			abort();
	}
	return facts;
}

static void
judge(unsigned n, const char *words[WORDS_MAX])
{
	struct session_facts facts = facts_of(n);
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

static const char format[] =
	"\"verdict\": \"%s\", \"result\": \"%s\",\n"
	"  \"enhanced\": \"%s\", \"clause\": \"%s\",\n"
	"  \"requirement\": \"%s\", \"clear\": %s,\n"
	"  \"sts\": \"%s\", \"tlsa\": \"%s\", \"no-policy-found\": \"%s\"%s";

static struct question
the_question(void)
{
	struct question question = {
		.inputs_n = COMBINATIONS, .dimensions_n = N(dimensions),
		.project = project, .judge = judge, .format = format,
	};

	memcpy(question.dimensions, dimensions, sizeof(dimensions));
	return question;
}

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
	for (d = 0; d < N(dimensions); d++) {
		dimension = &dimensions[d];
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
	struct question question = the_question();
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
