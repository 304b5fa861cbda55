/*
 * tests/vectors, which other mail servers may test against: are the files
 * what vectors_cases.h and the table of errors say, and does culver do what
 * they say?  The decisions among them are tests/decide's.
 *
 *	vectors				the tests
 *	vectors --write DIR		write the files
 *	vectors --man PAGE		print PAGE with the table of errors put
 *					anew between its two marks
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "delivery/x509.h"
#include "policy/decide.h"
#include "policy/https.h"
#include "policy/rr.h"
#include "policy/sts.h"
#include "vectors_cases.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N(array)	(sizeof(array) / sizeof((array)[0]))
#define FOLDER		"tests/vectors/"
#define PAGE		"man/culver-policy.7"
#define MARK_BEGIN	".\\\" The errors begin; they are made by `vectors " \
	"--man`.\n"
#define MARK_END	".\\\" The errors end.\n"
#define TEXT_MAX	4096

static void
put(struct buffer *json, const char *key, const char *text)
{
	buffer_printf(json, "\"%s\": ", key);
	buffer_json(json, slice_of(text));
}

/*
 * Records.
 */

/* The strings of a record, joined; false: there is none. */
static bool
join(const struct record_case *row, size_t r, char text[TEXT_MAX])
{
	size_t s;

	text[0] = '\0';
	for (s = 0; s < STRINGS_MOST && row->records[r][s] != NULL; s++)
		strcat(text, row->records[r][s]);
	return s > 0;
}

static void
test_records(void **state)
{
	static char texts[RECORDS_MOST][TEXT_MAX];
	struct slice records[RECORDS_MOST];
	char id[STS_ID_SIZE];
	struct sts_fault fault;
	size_t i, n;
	bool valid;

	(void)state;
	for (i = 0; i < N(record_cases); i++) {
		for (n = 0; n < RECORDS_MOST &&
		    join(&record_cases[i], n, texts[n]); n++)
			records[n] = slice_of(texts[n]);
		valid = sts_parse_records(records, n, id, &fault);
		if (valid != (record_cases[i].id != NULL) ||
		    (valid && strcmp(id, record_cases[i].id) != 0))
			fail_msg("%s: \"%s\" %s", record_cases[i].why, id,
			    fault.reason);
	}
}

static void
print_record(const struct record_case *row, struct buffer *json)
{
	size_t r, s;

	put(json, "why", row->why);
	buffer_printf(json, ",\n  \"records\": [");
	for (r = 0; r < RECORDS_MOST && row->records[r][0] != NULL; r++) {
		buffer_printf(json, "%s[", r > 0 ? ", " : "");
		for (s = 0; s < STRINGS_MOST && row->records[r][s] != NULL;
		    s++) {
			buffer_printf(json, "%s", s > 0 ? ", " : "");
			buffer_json(json, slice_of(row->records[r][s]));
		}
		buffer_printf(json, "]");
	}
	buffer_printf(json, "],\n  \"valid\": %s",
	    row->id != NULL ? "true, " : "false");
	if (row->id != NULL)
		put(json, "id", row->id);
}

/*
 * Policies.
 */

static void
print_pattern(const struct sts_mx *mx, char text[TEXT_MAX])
{
	snprintf(text, TEXT_MAX, "%s%s", mx->wildcard ? "*." : "",
	    mx->domain.name);
}

static void
test_policies(void **state)
{
	char text[TEXT_MAX];
	struct sts_policy policy;
	struct sts_fault fault;
	size_t i, m;

	(void)state;
	for (i = 0; i < N(policy_cases); i++) {
		const struct policy_case *row = &policy_cases[i];

		if (sts_parse_policy(slice_of(row->body), &policy, &fault) !=
		    (row->mode != NULL))
			fail_msg("%s: %s", row->why, fault.reason);
		if (row->mode == NULL)
			continue;
		assert_string_equal(sts_mode_name(policy.mode), row->mode);
		assert_int_equal(policy.max_age_s, row->max_age);
		for (m = 0; m < policy.mx_n; m++) {
			print_pattern(&policy.mx[m], text);
			assert_string_equal(text, row->mx[m]);
		}
		assert_true(m == PATTERNS_MOST || row->mx[m] == NULL);
		sts_policy_free(&policy);
	}
}

static void
print_policy(const struct policy_case *row, struct buffer *json)
{
	size_t m;

	put(json, "why", row->why);
	buffer_printf(json, ",\n  ");
	put(json, "body", row->body);
	buffer_printf(json, ",\n  \"valid\": %s",
	    row->mode != NULL ? "true, " : "false");
	if (row->mode == NULL)
		return;
	put(json, "mode", row->mode);
	buffer_printf(json, ", \"max_age\": %llu, \"mx\": [",
	    (unsigned long long)row->max_age);
	for (m = 0; m < PATTERNS_MOST && row->mx[m] != NULL; m++) {
		buffer_printf(json, "%s", m > 0 ? ", " : "");
		buffer_json(json, slice_of(row->mx[m]));
	}
	buffer_printf(json, "]");
}

/*
 * Matches.
 */

static void
test_matches(void **state)
{
	struct domain host;
	struct slice name;
	struct sts_mx mx;
	size_t i;

	(void)state;
	for (i = 0; i < N(match_cases); i++) {
		name = slice_of(match_cases[i].host);
		/* DNS says where it ends; here a dot may. */
		if (name.at[name.len - 1] == '.')
			name.len--;
		assert_true(domain_parse(name, &host));
		assert_true(sts_parse_mx(slice_of(match_cases[i].pattern),
		    &mx));
		if (sts_mx_covers(&mx, &host) != match_cases[i].match)
			fail_msg("%s", match_cases[i].why);
	}
}

static void
print_match(const struct match_case *row, struct buffer *json)
{
	put(json, "why", row->why);
	buffer_printf(json, ",\n  ");
	put(json, "host", row->host);
	buffer_printf(json, ", ");
	put(json, "pattern", row->pattern);
	buffer_printf(json, ", \"match\": %s", row->match ? "true" : "false");
}

/*
 * TLSA records.
 */

static void
spell_rdata(const struct tlsa_case *row, struct buffer *hex)
{
	unsigned i;

	buffer_printf(hex, "%s", row->rdata);
	for (i = 0; i < row->fill; i++)
		buffer_printf(hex, "ab");
}

static size_t
make_rdata(const struct tlsa_case *row, uint8_t octets[TEXT_MAX])
{
	struct buffer hex = { NULL, 0, 0 };
	unsigned octet;
	size_t n;

	spell_rdata(row, &hex);
	for (n = 0; n < hex.len / 2; n++) {
		assert_int_equal(sscanf(hex.text + 2 * n, "%2x", &octet), 1);
		octets[n] = (uint8_t)octet;
	}
	buffer_free(&hex);
	return n;
}

static void
test_tlsa(void **state)
{
	uint8_t octets[TEXT_MAX];
	size_t i, n;

	(void)state;
	for (i = 0; i < N(tlsa_cases); i++) {
		n = make_rdata(&tlsa_cases[i], octets);
		if (rr_tlsa_usable((struct slice){ (char *)octets, n }) !=
		    tlsa_cases[i].usable)
			fail_msg("%s", tlsa_cases[i].why);
	}
}

/*
 * The library knows usages 0 and 1, and of the others it decodes what is
 * whole: so no file calls usable what only looks like it.
 */
static void
test_tlsa_library(void **state)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *session = SSL_new(context);
	uint8_t octets[TEXT_MAX];
	size_t i, n;

	(void)state;
	assert_true(SSL_CTX_dane_enable(context) > 0);
	assert_true(SSL_dane_enable(session, "mx.example.com") > 0);
	for (i = 0; i < N(tlsa_cases); i++) {
		n = make_rdata(&tlsa_cases[i], octets);
		if (n < 3 || octets[0] < 2)
			continue;
		if ((SSL_dane_tlsa_add(session, octets[0], octets[1],
		    octets[2], octets + 3, n - 3) > 0) !=
		    tlsa_cases[i].usable)
			fail_msg("%s", tlsa_cases[i].why);
	}
	ERR_clear_error();
	SSL_free(session);
	SSL_CTX_free(context);
}

static void
print_tlsa(const struct tlsa_case *row, struct buffer *json)
{
	struct buffer hex = { NULL, 0, 0 };

	put(json, "why", row->why);
	buffer_printf(json, ",\n  \"rdata\": \"");
	spell_rdata(row, &hex);
	buffer_printf(json, "%s\",\n  \"usable\": %s",
	    hex.text != NULL ? hex.text : "", row->usable ? "true" : "false");
	buffer_free(&hex);
}

/*
 * Certificates.
 */

/* What a report counts of a certificate with these defects. */
static const char *
result_of(unsigned defects)
{
	struct session_facts facts = {
		.host = { .class = CLASS_MAIL, .mx_secure = true,
		    .tlsa = TLSA_USABLE },
		.starttls = STARTTLS_DONE, .dane = defects
	};

	return tls_result_name(decide_session(&facts).blocks.tlsa);
}

/* The same of PKIX, where nothing is said of TLSA records. */
static const char *
pkix_result_of(unsigned defects)
{
	struct session_facts facts = {
		.host = { .class = CLASS_MAIL, .sts = STS_ENFORCE,
		    .mx_match = true },
		.starttls = STARTTLS_DONE, .cert = defects
	};

	return tls_result_name(decide_session(&facts).blocks.sts);
}

/* Is it a number of an error that has a name? */
static bool
is_error(int error)
{
	return error == X509_V_ERR_UNSPECIFIED ||
	    strcmp(x509_error_name(error),
	    x509_error_name(X509_V_ERR_UNSPECIFIED)) != 0;
}

static void
print_several(struct buffer *json)
{
	static const unsigned bits[] = {
		CERT_NOT_TRUSTED, CERT_EXPIRED, CERT_HOST_MISMATCH, CERT_OTHER
	};
	unsigned set, i;
	const char *before, *between = "";

	for (set = 0; set < 16; set++) {
		if ((set & (set - 1)) == 0)
			continue;
		buffer_printf(json, "%s  {\"results\": [", between);
		for (before = "", i = 0; i < N(bits); i++)
			if (set & bits[i]) {
				buffer_printf(json, "%s\"%s\"", before,
				    pkix_result_of(bits[i]));
				before = ", ";
			}
		buffer_printf(json, "],\n    \"verdict\": \"%s\"}",
		    pkix_result_of(set));
		between = ",\n";
	}
}

static struct buffer
print_certificates(void)
{
	struct buffer json = { NULL, 0, 0 };
	const char *before = "";
	int error;

	buffer_printf(&json, "{\"errors\": [\n");
	for (error = 1; error <= UINT8_MAX; error++)
		if (is_error(error)) {
			buffer_printf(&json, "%s  {", before);
			put(&json, "error", x509_error_name(error));
			buffer_printf(&json, ", \"number\": %d,\n    ", error);
			put(&json, "result", result_of(x509_defect(error)));
			buffer_printf(&json, "}");
			before = ",\n";
		}
	buffer_printf(&json, "\n],\n\"several\": [\n");
	print_several(&json);
	buffer_printf(&json, "\n]}\n");
	return json;
}

/*
 * Policy hosts.
 */

static const char *
fetch_result(const struct https_end *end)
{
	struct f_done done = { 0 };

	https_judge(end, &done);
	switch (done.outcome) {
	case FETCH_BODY:
		return NULL;
	case FETCH_WEBPKI:
		return tls_result_name(RESULT_STS_WEBPKI_INVALID);
	default:
		return tls_result_name(RESULT_STS_POLICY_FETCH_ERROR);
	}
}

static void
test_fetches(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < N(fetch_errors); i++) {
		struct https_end end = {
			.code = fetch_errors[i].code, .error = ""
		};

		assert_string_equal(fetch_result(&end),
		    fetch_errors[i].result);
	}
	for (i = 0; i < N(answer_cases); i++) {
		struct https_end end = {
			.status = answer_cases[i].status, .error = "",
			.media_type = answer_cases[i].media_type,
			.too_long = answer_cases[i].too_long
		};
		const char *result = fetch_result(&end);

		if ((result == NULL) != (answer_cases[i].result == NULL) ||
		    (result != NULL &&
		    strcmp(result, answer_cases[i].result) != 0))
			fail_msg("%s", answer_cases[i].why);
	}
}

static void
print_answer(const struct answer_case *row, struct buffer *json)
{
	put(json, "why", row->why);
	buffer_printf(json, ", \"status\": %ld, \"media_type\": ",
	    row->status);
	if (row->media_type != NULL)
		buffer_json(json, slice_of(row->media_type));
	else
		buffer_printf(json, "null");
	buffer_printf(json, ",\n    \"too_long\": %s, \"read\": %s",
	    row->too_long ? "true" : "false",
	    row->result == NULL ? "true" : "false, ");
	if (row->result != NULL)
		put(json, "result", row->result);
}

static struct buffer
print_fetches(void)
{
	struct buffer json = { NULL, 0, 0 };
	size_t i;

	buffer_printf(&json, "{\"errors\": [\n");
	for (i = 0; i < N(fetch_errors); i++) {
		buffer_printf(&json, "%s  {", i > 0 ? ",\n" : "");
		put(&json, "error", fetch_errors[i].name);
		buffer_printf(&json, ", \"number\": %d,\n    ",
		    (int)fetch_errors[i].code);
		put(&json, "result", fetch_errors[i].result);
		buffer_printf(&json, "}");
	}
	buffer_printf(&json, "\n],\n\"answers\": [\n");
	for (i = 0; i < N(answer_cases); i++) {
		buffer_printf(&json, "%s  {", i > 0 ? ",\n" : "");
		print_answer(&answer_cases[i], &json);
		buffer_printf(&json, "}");
	}
	buffer_printf(&json, "\n]}\n");
	return json;
}

/* Those of one result, as the page lists them. */
static void
print_fetch_errors(enum tls_result result, struct buffer *text)
{
	size_t i;

	buffer_printf(text, ".It %s\n", tls_result_name(result));
	for (i = 0; i < N(fetch_errors); i++)
		if (strcmp(fetch_errors[i].result,
		    tls_result_name(result)) == 0)
			buffer_printf(text, "\\%%%s\n",
			    fetch_errors[i].name);
}

/* Each result in its order with all its errors, as the page lists them. */
static struct buffer
print_errors(void)
{
	static const unsigned bits[] = {
		CERT_NOT_TRUSTED, CERT_EXPIRED, CERT_HOST_MISMATCH,
		CERT_DANE_NO_MATCH, CERT_OTHER
	};
	static const char prefix[] = "X509_V_ERR_";
	struct buffer text = { NULL, 0, 0 };
	size_t i;
	int error;

	for (i = 0; i < N(bits); i++) {
		buffer_printf(&text, ".It %s\n", result_of(bits[i]));
		for (error = 1; error <= UINT8_MAX; error++) {
			const char *name = x509_error_name(error);

			if (is_error(error) && x509_defect(error) ==
			    (enum cert_defect)bits[i])
				buffer_printf(&text, "\\%%%s\n",
				    name + strlen(prefix));
		}
	}
	print_fetch_errors(RESULT_STS_WEBPKI_INVALID, &text);
	print_fetch_errors(RESULT_STS_POLICY_FETCH_ERROR, &text);
	return text;
}

/*
 * Files.
 */

#define PRINT_LIST(name, cases, print)					\
static struct buffer							\
name(void)								\
{									\
	struct buffer json = { NULL, 0, 0 };				\
	size_t i;							\
									\
	buffer_printf(&json, "[\n");					\
	for (i = 0; i < N(cases); i++) {				\
		buffer_printf(&json, "%s{", i > 0 ? ",\n" : "");	\
		print(&cases[i], &json);				\
		buffer_printf(&json, "}");				\
	}								\
	buffer_printf(&json, "\n]\n");					\
	return json;							\
}
PRINT_LIST(print_records, record_cases, print_record)
PRINT_LIST(print_policies, policy_cases, print_policy)
PRINT_LIST(print_matches, match_cases, print_match)
PRINT_LIST(print_tlsas, tlsa_cases, print_tlsa)

static const struct {
	const char	*name;
	struct buffer	(*print)(void);
} files[] = {
	{ "sts-records.json", print_records },
	{ "sts-policies.json", print_policies },
	{ "mx-matches.json", print_matches },
	{ "tlsa-records.json", print_tlsas },
	{ "certificates.json", print_certificates },
	{ "policy-fetches.json", print_fetches },
};

static bool
read_whole(const char *path, struct buffer *text)
{
	FILE *file = fopen(path, "r");
	char piece[TEXT_MAX];
	size_t n;

	if (file == NULL)
		return false;
	while ((n = fread(piece, 1, sizeof(piece), file)) > 0)
		buffer_add(text, (struct slice){ piece, n });
	fclose(file);
	return true;
}

static bool
is_file(const char *path, const struct buffer *wanted)
{
	struct buffer text = { NULL, 0, 0 };
	bool same;

	same = read_whole(path, &text) &&
	    slice_equal((struct slice){ text.text, text.len },
	    (struct slice){ wanted->text, wanted->len });
	buffer_free(&text);
	return same;
}

static void
test_files(void **state)
{
	char path[TEXT_MAX];
	size_t i;

	(void)state;
	for (i = 0; i < N(files); i++) {
		struct buffer json = files[i].print();

		snprintf(path, sizeof(path), "%s%s", FOLDER, files[i].name);
		if (!is_file(path, &json))
			fail_msg("%s is not what the cases say", path);
		buffer_free(&json);
	}
}

/* The page with what stands between its marks made anew. */
static bool
print_page(const char *path, struct buffer *made)
{
	struct buffer page = { NULL, 0, 0 }, errors = print_errors();
	const char *begin = NULL, *end = NULL;

	if (read_whole(path, &page)) {
		begin = strstr(page.text, MARK_BEGIN);
		end = strstr(page.text, MARK_END);
	}
	if (begin != NULL && end != NULL) {
		begin += strlen(MARK_BEGIN);
		buffer_add(made, (struct slice){ page.text,
		    (size_t)(begin - page.text) });
		buffer_add(made, (struct slice){ errors.text, errors.len });
		buffer_add(made, slice_of(end));
	}
	buffer_free(&page);
	buffer_free(&errors);
	return begin != NULL && end != NULL;
}

static void
test_page(void **state)
{
	struct buffer made = { NULL, 0, 0 };

	(void)state;
	assert_true(print_page(PAGE, &made));
	assert_true(is_file(PAGE, &made));
	buffer_free(&made);
}

static int
write_files(const char *folder)
{
	char path[TEXT_MAX];
	size_t i;
	bool bad;

	for (i = 0; i < N(files); i++) {
		struct buffer json = files[i].print();
		FILE *file;

		snprintf(path, sizeof(path), "%s/%s", folder, files[i].name);
		file = fopen(path, "w");
		bad = file == NULL || fputs(json.text, file) == EOF ||
		    fclose(file) == EOF;
		buffer_free(&json);
		if (bad) {
			perror(path);
			return 1;
		}
	}
	return 0;
}

static int
write_page(const char *path)
{
	struct buffer made = { NULL, 0, 0 };

	if (!print_page(path, &made)) {
		fprintf(stderr, "%s lacks the marks of the errors\n", path);
		return 1;
	}
	fputs(made.text, stdout);
	buffer_free(&made);
	return 0;
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		{ "the files are what the cases say", test_files, NULL, NULL,
		    NULL },
		{ "the page holds the table of errors", test_page, NULL, NULL,
		    NULL },
		{ "T18, STS-3.1-1 sts-records.json", test_records, NULL, NULL,
		    NULL },
		{ "T10, T12, T13, T14 sts-policies.json", test_policies, NULL,
		    NULL, NULL },
		{ "T16, T17, STS-4.1-3 mx-matches.json", test_matches, NULL,
		    NULL, NULL },
		{ "DANE-7672-3.1.3-1, DANE-7671-4.1-1, DANE-6698-2.1-1 "
		    "tlsa-records.json", test_tlsa, NULL, NULL, NULL },
		{ "DANE-7671-4.1-1 tlsa-records.json by the library",
		    test_tlsa_library, NULL, NULL, NULL },
		{ "T7, T8, T9, STS-3.3-7, STS-3.3-19 policy-fetches.json",
		    test_fetches, NULL, NULL, NULL },
	};

	if (argc == 3 && strcmp(argv[1], "--write") == 0)
		return write_files(argv[2]);
	if (argc == 3 && strcmp(argv[1], "--man") == 0)
		return write_page(argv[2]);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
