/*
 * Facts as words, and what becomes of the message (policy/verdict.c).
 *
 * That its verdicts are those of the decide functions is a property of
 * tests/decide; that a program says them is vectors.py's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "policy/verdict.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N(array)	(sizeof(array) / sizeof((array)[0]))

static struct session_facts
take(const char *words)
{
	struct session_facts facts = verdict_harmless();
	char copy[400], *rest = NULL, *word;
	unsigned taken = 0;

	snprintf(copy, sizeof(copy), "%s", words);
	for (word = strtok_r(copy, " ", &rest); word != NULL;
	    word = strtok_r(NULL, " ", &rest))
		if (verdict_take(&facts, &taken, word) != NULL)
			fail_msg("%s: %s", words, word);
	return facts;
}

struct row {
	const char	*words;
	const char	*verdict;	/* fate, rule, code, who decided */
};

static void
check_rows(const struct row *rows, size_t n)
{
	char got[200];
	size_t i;

	for (i = 0; i < n; i++) {
		struct session_facts facts = take(rows[i].words);
		struct verdict v = verdict_of(&facts);

		snprintf(got, sizeof(got), "%s %s%s%s %s%s",
		    fate_name(v.fate), v.rule.name,
		    v.rule.enhanced[0] != '\0' ? " " : "", v.rule.enhanced,
		    v.decided + strlen("decide_"), v.clear ? " clear" : "");
		if (strcmp(got, rows[i].verdict) != 0)
			fail_msg("%s\n#  gives %s\n#  not   %s",
			    rows[i].words, got, rows[i].verdict);
	}
}

static void
test_verdicts(void **state)
{
	static const struct row rows[] = {
		{ "", "send opportunistic-tls session" },
		{ "starttls=no", "send opportunistic-no-starttls session "
		    "clear" },
		{ "starttls=broken", "send opportunistic-handshake-failed "
		    "session clear" },
		{ "starttls=retry", "send opportunistic-handshake-failed "
		    "session clear" },
		{ "mode=enforce", "send sts-verified session" },
		{ "class=mail mode=enforce mx=match dane=none starttls=yes "
		    "cert=expired",
		    "defer sts-certificate-expired 4.7.5 session" },
		{ "mode=enforce cert=host-mismatch,not-trusted",
		    "defer sts-certificate-not-trusted 4.7.5 session" },
		{ "mode=enforce mx=mismatch",
		    "defer sts-mx-mismatch 4.7.0 host" },
		{ "dane=usable mx-secure=yes", "send dane-verified session" },
		{ "dane=usable name=given", "send dane-verified session" },
		{ "dane=usable", "send dane-host-only-verified session" },
		{ "dane=no-match mode=enforce",
		    "defer dane-no-match 4.7.5 session" },
		{ "dane=unusable cert=other",
		    "send dane-unusable-encrypted session" },
		{ "dane=unusable starttls=refused",
		    "defer dane-starttls-refused 4.7.4 session" },
		{ "dane=failed", "defer dane-lookup-failed 4.7.5 host" },
		{ "class=requiretls",
		    "fail requiretls-mx-unproven 5.7.10 domain" },
		{ "class=requiretls policy-unknown=yes",
		    "defer requiretls-mx-unproven 4.7.10 host" },
		{ "class=requiretls resolver=unjudged",
		    "defer requiretls-mx-unjudged 4.7.10 host" },
		{ "class=requiretls mx-secure=yes",
		    "send requiretls-verified session" },
		{ "class=requiretls mx-secure=yes requiretls=absent",
		    "fail requiretls-not-offered 5.7.30 domain" },
		{ "class=requiretls mx-secure=yes starttls=no",
		    "fail requiretls-no-starttls 5.7.10 domain" },
		{ "class=tls-optional mode=enforce starttls=no",
		    "send tls-optional session clear" },
		{ "class=report mode=enforce starttls=no",
		    "send tls-report session clear" },
		{ "tls-required=yes cert=other",
		    "defer tls-required-certificate-bad 4.7.5 session" },
		{ "relayhost=verified starttls=no",
		    "defer relayhost-no-starttls 4.7.4 session" },
		{ "relayhost=unverified starttls=no",
		    "send opportunistic-no-starttls session clear" },
		{ "mode=enforce report-only=yes cert=expired",
		    "send report-only-certificate-expired session" },
		{ "mode=enforce exempt=yes cert=expired",
		    "send exempt-certificate-expired session" },
		{ "mode=enforce dane=usable",
		    "send dane-host-only-sts-verified session" },
	};

	(void)state;
	check_rows(rows, N(rows));
}

static void
test_wrong_words(void **state)
{
	static const char *const words[] = {
		"", "=", "x", "x=y", "mode", "mode=", "mode=x", "=enforce",
		"Mode=enforce", "mode=Enforce", "mode=enforce ", "cert=",
		"cert=no-match", "cert=expired,", "cert=,expired",
		"cert=valid,expired", "cert=expired,,other", "dane=expired,x",
		"starttls=no,refused", "exempt=1", "class=mail,report",
		"mx=match=match"
	};
	struct session_facts facts, harmless = verdict_harmless();
	unsigned taken = 0;
	size_t i;

	(void)state;
	for (i = 0; i < N(words); i++) {
		facts = harmless;
		if (verdict_take(&facts, &taken, words[i]) == NULL)
			fail_msg("\"%s\" was taken", words[i]);
		assert_memory_equal(&facts, &harmless, sizeof(facts));
	}
	assert_int_equal(taken, 0);
}

/* Neither of two values of one fact is better than the other. */
static void
test_twice(void **state)
{
	static const char *const words[][2] = {
		{ "mode=enforce", "mode=none" }, { "mode=none", "mode=none" },
		{ "cert=expired", "cert=other" }, { "dane=usable",
		    "dane=no-match" }, { "report-only=no", "report-only=yes" },
	};
	struct session_facts facts, before;
	unsigned taken;
	size_t i;

	(void)state;
	for (i = 0; i < N(words); i++) {
		facts = verdict_harmless();
		taken = 0;
		assert_null(verdict_take(&facts, &taken, words[i][0]));
		before = facts;
		assert_string_equal(verdict_take(&facts, &taken, words[i][1]),
		    "names a fact a second time");
		assert_memory_equal(&facts, &before, sizeof(facts));
		assert_null(verdict_take(&facts, &taken, "mx=mismatch"));
	}
}

/* Every value that is listed is one, and a fact's first changes nothing. */
static void
test_list(void **state)
{
	struct buffer text = { NULL, 0, 0 };
	struct slice rest, line, name, value;
	struct session_facts facts, harmless = verdict_harmless();
	unsigned facts_n = 0, taken, n;
	char word[100];

	(void)state;
	verdict_list(&text);
	rest = (struct slice){ text.text, text.len };
	while (rest.len > 0) {
		line = slice_cut(&rest, '\n');
		name = slice_cut(&line, '=');
		facts_n++;
		for (n = 0; line.at != NULL; n++) {
			value = slice_cut(&line, '|');
			snprintf(word, sizeof(word), "%.*s=%.*s",
			    (int)name.len, name.at, (int)value.len,
			    value.at);
			facts = harmless;
			taken = 0;
			assert_null(verdict_take(&facts, &taken, word));
			assert_int_equal(n == 0, memcmp(&facts, &harmless,
			    sizeof(facts)) == 0);
		}
		assert_in_range(n, 2, 8);
	}
	assert_int_equal(facts_n, 15);
	buffer_free(&text);
}

/* The result, and what is counted: two different questions. */
static void
test_results(void **state)
{
	static const struct {
		const char	*words, *result, *tlsa, *sts, *no_policy;
	} rows[] = {
		/* sent: the word of the policy with the first one */
		{ "mx-secure=yes dane=usable mode=enforce cert=expired",
		    "success", "success", "certificate-expired", "none" },
		{ "mode=testing cert=expired", "certificate-expired", "none",
		    "certificate-expired", "none" },
		/* ... or what an exemption let pass */
		{ "exempt=yes dane=usable mode=enforce cert=expired",
		    "certificate-expired", "success", "certificate-expired",
		    "none" },
		{ "exempt=yes dane=no-match mode=enforce cert=expired",
		    "tlsa-invalid", "tlsa-invalid", "certificate-expired",
		    "none" },
		{ "exempt=yes dane=usable mx-secure=yes mode=enforce "
		    "cert=expired", "success", "success",
		    "certificate-expired", "none" },
		{ "dane=unusable mode=testing cert=expired",
		    "tlsa-invalid", "tlsa-invalid", "certificate-expired",
		    "none" },
		{ "mx-secure=yes dane=usable cert=expired", "success",
		    "success", "none", "none" },
		{ "cert=expired", "success", "none", "none", "success" },
		{ "starttls=no", "starttls-not-supported", "none", "none",
		    "starttls-not-supported" },
		{ "mode=none starttls=no", "none", "none", "none", "none" },
		{ "class=report starttls=no", "starttls-not-supported",
		    "none", "none", "none" },
		{ "starttls=retry", "none", "none", "none", "none" },
		/* refused: the failure for which */
		{ "relayhost=verified cert=expired", "certificate-expired",
		    "none", "none", "success" },
		{ "dane=no-match mode=enforce mx-secure=yes cert=expired",
		    "tlsa-invalid", "tlsa-invalid", "certificate-expired",
		    "none" },
		{ "class=requiretls mx-secure=yes requiretls=absent", "none",
		    "none", "none", "success" },
		{ "mode=enforce mx=mismatch", "validation-failure", "none",
		    "validation-failure", "none" },
		/* not connected to, and no word for it: what is known yet */
		{ "class=requiretls", "none", "none", "none", "none" },
		{ "class=requiretls dane=unusable", "tlsa-invalid", "none",
		    "none", "none" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < N(rows); i++) {
		struct session_facts facts = take(rows[i].words);
		struct verdict v = verdict_of(&facts);

		if (strcmp(tls_result_name(v.result), rows[i].result) != 0 ||
		    strcmp(tls_result_name(v.blocks.tlsa), rows[i].tlsa) ||
		    strcmp(tls_result_name(v.blocks.sts), rows[i].sts) ||
		    strcmp(tls_result_name(v.blocks.no_policy),
			rows[i].no_policy))
			fail_msg("%s: %s, counted %s %s %s", rows[i].words,
			    tls_result_name(v.result),
			    tls_result_name(v.blocks.tlsa),
			    tls_result_name(v.blocks.sts),
			    tls_result_name(v.blocks.no_policy));
	}
}

static void
check_json(const char *words, const char *wanted)
{
	struct session_facts facts = take(words);
	struct verdict verdict = verdict_of(&facts);
	struct buffer json = { NULL, 0, 0 };

	verdict_print(&verdict, &json);
	assert_string_equal(json.text, wanted);
	buffer_free(&json);
}

static void
test_json(void **state)
{
	(void)state;
	check_json("class=mail mode=enforce mx=match dane=none starttls=yes "
	    "cert=expired", "{\"verdict\":\"defer\","
	    "\"result\":\"certificate-expired\",\"enhanced\":\"4.7.5\","
	    "\"clause\":\"RFC 8461 5\",\"rule\":\"sts-certificate-expired\","
	    "\"decided\":\"decide_session\",\"requirement\":\"pkix\","
	    "\"repair\":\"The host's certificate is past its dates, or not "
	    "yet in them: it must be renewed.\",\"clear\":false,"
	    "\"counted\":{\"sts\":\"certificate-expired\"}}");
	check_json("mode=testing dane=usable mx=mismatch",
	    "{\"verdict\":\"send\",\"result\":\"success\","
	    "\"enhanced\":\"\",\"clause\":\"RFC 7672 2.2.1\","
	    "\"rule\":\"dane-host-only-verified\","
	    "\"decided\":\"decide_session\",\"requirement\":\"dane\","
	    "\"repair\":\"\",\"clear\":false,"
	    "\"counted\":{\"sts\":\"validation-failure\","
	    "\"tlsa\":\"success\"}}");
	check_json("class=report starttls=no",
	    "{\"verdict\":\"send\",\"result\":\"starttls-not-supported\","
	    "\"enhanced\":\"\",\"clause\":\"RFC 8460 3\","
	    "\"rule\":\"tls-report\",\"decided\":\"decide_session\","
	    "\"requirement\":\"none\",\"repair\":\"\",\"clear\":true,"
	    "\"counted\":{}}");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		{ "T52 verdicts", test_verdicts, NULL, NULL, NULL },
		{ "words that are no facts", test_wrong_words, NULL, NULL,
		    NULL },
		{ "a fact given twice", test_twice, NULL, NULL, NULL },
		{ "the list of facts", test_list, NULL, NULL, NULL },
		{ "RPT-4.3.1-1 the result, and what is counted",
		    test_results, NULL, NULL, NULL },
		{ "as JSON", test_json, NULL, NULL, NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
