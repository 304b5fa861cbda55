/*
 * What is told of a session (delivery/telling.c): the details by hand for
 * those that have been thought about, and then all facts that there can be,
 * held against rules that any telling must keep.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "delivery/facts.h"
#include "delivery/telling.h"
#include "delivery/x509.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N(array)	(sizeof(array) / sizeof((array)[0]))

#define EXPIRED		X509_V_ERR_CERT_HAS_EXPIRED
#define EARLY		X509_V_ERR_CERT_NOT_YET_VALID
#define NAME		X509_V_ERR_HOSTNAME_MISMATCH
#define UNKNOWN		X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY
#define LEAF		X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE
#define SELF		X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT
#define SIGNATURE	X509_V_ERR_CERT_SIGNATURE_FAILURE
#define TLSA		X509_V_ERR_DANE_NO_MATCH

/* "sts certificate-expired (X509_...), tlsa ..." */
static void
print_details(const struct t_session *session, struct buffer *text)
{
	struct report_detail detail;
	uint32_t offset = 0;

	buffer_add(text, SLICE(""));
	while (report_get_detail(session->details, session->details_len,
	    &offset, &detail)) {
		if (text->len > 0)
			buffer_add(text, SLICE(", "));
		buffer_printf(text, "%s %s", report_block_name(detail.block),
		    tls_result_name(detail.result));
		if (detail.reason[0] != '\0')
			buffer_printf(text, " (%s)", detail.reason);
	}
	assert_int_equal(offset, session->details_len);
}

/* The set of defects that a handshake with these errors has. */
static unsigned
defects_of(const uint8_t *errors, uint32_t len)
{
	unsigned cert = 0;
	uint32_t i;

	for (i = 0; i < len; i++)
		cert |= x509_defect(errors[i]);
	return cert;
}

/* ---- by hand ---- */

struct row {
	enum sts_mode	 sts;
	bool		 outside;
	enum tlsa_state	 tlsa;
	enum starttls	 starttls;
	uint8_t		 errors[PROOF_ERRORS_MAX];
	uint8_t		 dane[PROOF_ERRORS_MAX];
	const char	*reason;	/* the worker's */
	const char	*told;
	bool		 clear_retry;
	enum mail_class	 class;		/* CLASS_MAIL when 0 */
};

static uint32_t
put_errors(uint8_t *to, const uint8_t *errors)
{
	uint32_t n = 0;

	for (; n < PROOF_ERRORS_MAX && errors[n] != 0; n++)
		to[n] = errors[n];
	return n;
}

static void
tell_row(const struct row *row, struct t_session *session)
{
	struct session_facts facts = { .host = { .class = row->class != 0 ?
	    row->class : CLASS_MAIL, .sts = row->sts,
	    .mx_match = !row->outside, .tlsa = row->tlsa,
	    .mx_secure = true }, .starttls = row->starttls,
	    .clear_retry = row->clear_retry, .requiretls = true };
	struct w_proof proof = { .helo = "mx.test" };
	struct session_verdict verdict;

	proof.errors_len = put_errors(proof.errors, row->errors);
	facts.cert = defects_of(proof.errors, proof.errors_len);
	proof.dane_errors_len = put_errors(proof.dane_errors, row->dane);
	facts.dane = defects_of(proof.dane_errors, proof.dane_errors_len);
	if (row->reason != NULL)
		snprintf(proof.tls_reason, sizeof(proof.tls_reason), "%s",
		    row->reason);
	verdict = decide_session(&facts);
	*session = (struct t_session){ .epoch = 0 };
	assert_int_equal(telling_end(session, &facts, &verdict.blocks,
	    &proof), row->told[0] != '\0');
}

static const struct row rows[] = {
	/* no policy: ruling 28 */
	{ .starttls = STARTTLS_DONE, .told = "no-policy-found success" },
	{ .starttls = STARTTLS_DONE, .errors = { SELF, NAME, EXPIRED },
	  .told = "no-policy-found success" },
	{ .starttls = STARTTLS_ABSENT,
	  .told = "no-policy-found starttls-not-supported" },
	{ .starttls = STARTTLS_REFUSED, .reason = "454 4.7.0 no TLS now",
	  .told = "no-policy-found validation-failure "
	  "(454 4.7.0 no TLS now)" },
	{ .starttls = STARTTLS_BROKEN, .reason = "wrong version number",
	  .told = "no-policy-found validation-failure "
	  "(wrong version number)" },
	{ .starttls = STARTTLS_BROKEN,
	  .told = "no-policy-found validation-failure" },
	{ .tlsa = TLSA_ABSENT, .starttls = STARTTLS_DONE,
	  .told = "no-policy-found success" },
	/* mode none: ruling 10 */
	{ .sts = STS_NONE, .starttls = STARTTLS_DONE,
	  .told = "no-policy-found success" },
	{ .sts = STS_NONE, .starttls = STARTTLS_ABSENT, .told = "" },
	{ .sts = STS_NONE, .starttls = STARTTLS_BROKEN, .told = "" },
	/* enforce; testing sees what enforce would do: ruling 10 */
	{ .sts = STS_ENFORCE, .starttls = STARTTLS_DONE,
	  .told = "sts success" },
	{ .sts = STS_ENFORCE, .starttls = STARTTLS_ABSENT,
	  .told = "sts starttls-not-supported" },
	{ .sts = STS_TESTING, .starttls = STARTTLS_ABSENT,
	  .told = "sts starttls-not-supported" },
	{ .sts = STS_ENFORCE, .starttls = STARTTLS_REFUSED,
	  .reason = "454-4.7.0 TLS\n454 4.7.0 is broken",
	  .told = "sts validation-failure "
	  "(454-4.7.0 TLS 454 4.7.0 is broken)" },
	{ .sts = STS_ENFORCE, .starttls = STARTTLS_BROKEN,
	  .reason = "ssl/tls alert handshake failure",
	  .told = "sts validation-failure (ssl/tls alert handshake failure)" },
	{ .sts = STS_ENFORCE, .starttls = STARTTLS_DONE, .errors = { EXPIRED },
	  .told = "sts certificate-expired (X509_V_ERR_CERT_HAS_EXPIRED)" },
	{ .sts = STS_ENFORCE, .starttls = STARTTLS_DONE, .errors = { EARLY },
	  .told = "sts certificate-expired (X509_V_ERR_CERT_NOT_YET_VALID)" },
	{ .sts = STS_ENFORCE, .starttls = STARTTLS_DONE, .errors = { NAME },
	  .told = "sts certificate-host-mismatch "
	  "(X509_V_ERR_HOSTNAME_MISMATCH)" },
	{ .sts = STS_ENFORCE, .starttls = STARTTLS_DONE, .errors = { SELF },
	  .told = "sts certificate-not-trusted "
	  "(X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT)" },
	{ .sts = STS_ENFORCE, .starttls = STARTTLS_DONE,
	  .errors = { SIGNATURE }, .told = "sts validation-failure "
	  "(X509_V_ERR_CERT_SIGNATURE_FAILURE)" },
	/* two errors of one defect are one */
	{ .sts = STS_TESTING, .starttls = STARTTLS_DONE,
	  .errors = { UNKNOWN, LEAF }, .told = "sts certificate-not-trusted "
	  "(X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY)" },
	/* ruling 29: all of them, in this order whatever came first */
	{ .sts = STS_ENFORCE, .starttls = STARTTLS_DONE,
	  .errors = { NAME, SIGNATURE, EXPIRED, UNKNOWN },
	  .told = "sts certificate-not-trusted "
	  "(X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY), "
	  "sts certificate-expired (X509_V_ERR_CERT_HAS_EXPIRED), "
	  "sts certificate-host-mismatch (X509_V_ERR_HOSTNAME_MISMATCH), "
	  "sts validation-failure (X509_V_ERR_CERT_SIGNATURE_FAILURE)" },
	/* the words of a handshake say nothing of a certificate */
	{ .sts = STS_ENFORCE, .starttls = STARTTLS_DONE, .errors = { EXPIRED },
	  .reason = "a lie", .told = "sts certificate-expired "
	  "(X509_V_ERR_CERT_HAS_EXPIRED)" },
	/* ruling 9: outside the policy, whatever else */
	{ .sts = STS_TESTING, .outside = true, .starttls = STARTTLS_DONE,
	  .told = "sts validation-failure (sts-mx-mismatch)" },
	{ .sts = STS_TESTING, .outside = true, .starttls = STARTTLS_ABSENT,
	  .told = "sts validation-failure (sts-mx-mismatch)" },
	{ .sts = STS_TESTING, .outside = true, .starttls = STARTTLS_DONE,
	  .errors = { EXPIRED, SIGNATURE },
	  .told = "sts validation-failure (sts-mx-mismatch)" },
	/* TLSA: ruling 27 */
	{ .tlsa = TLSA_USABLE, .starttls = STARTTLS_ABSENT,
	  .told = "tlsa starttls-not-supported" },
	{ .tlsa = TLSA_USABLE, .starttls = STARTTLS_REFUSED,
	  .reason = "454 no", .told = "tlsa validation-failure (454 no)" },
	{ .tlsa = TLSA_USABLE, .starttls = STARTTLS_BROKEN,
	  .reason = "timed out",
	  .told = "tlsa validation-failure (timed out)" },
	{ .tlsa = TLSA_USABLE, .starttls = STARTTLS_DONE,
	  .told = "tlsa success" },
	/* a key that matches: what the CAs say is nothing to DANE */
	{ .tlsa = TLSA_USABLE, .starttls = STARTTLS_DONE,
	  .errors = { SELF, EXPIRED, NAME }, .told = "tlsa success" },
	{ .tlsa = TLSA_USABLE, .starttls = STARTTLS_DONE, .dane = { TLSA },
	  .told = "tlsa tlsa-invalid (dane-no-match)" },
	{ .tlsa = TLSA_USABLE, .starttls = STARTTLS_DONE, .dane = { NAME },
	  .errors = { SELF, NAME }, .told =
	  "tlsa certificate-host-mismatch (X509_V_ERR_HOSTNAME_MISMATCH)" },
	{ .tlsa = TLSA_USABLE, .starttls = STARTTLS_DONE,
	  .dane = { EXPIRED }, .errors = { EXPIRED }, .told =
	  "tlsa certificate-expired (X509_V_ERR_CERT_HAS_EXPIRED)" },
	{ .tlsa = TLSA_USABLE, .starttls = STARTTLS_DONE,
	  .dane = { NAME, TLSA, EARLY, SIGNATURE }, .told =
	  "tlsa tlsa-invalid (dane-no-match), "
	  "tlsa certificate-expired (X509_V_ERR_CERT_NOT_YET_VALID), "
	  "tlsa certificate-host-mismatch (X509_V_ERR_HOSTNAME_MISMATCH), "
	  "tlsa validation-failure (X509_V_ERR_CERT_SIGNATURE_FAILURE)" },
	{ .tlsa = TLSA_UNUSABLE, .starttls = STARTTLS_DONE,
	  .told = "tlsa tlsa-invalid (dane-all-unusable)" },
	{ .tlsa = TLSA_UNUSABLE, .starttls = STARTTLS_ABSENT,
	  .told = "tlsa starttls-not-supported" },
	{ .tlsa = TLSA_FAILED, .starttls = STARTTLS_DONE,
	  .class = CLASS_TLS_OPTIONAL,
	  .told = "tlsa dnssec-invalid (dane-lookup-failed)" },
	/* both policies: ruling 10 */
	{ .sts = STS_ENFORCE, .tlsa = TLSA_UNUSABLE,
	  .starttls = STARTTLS_DONE, .told = "sts success, "
	  "tlsa tlsa-invalid (dane-all-unusable)" },
	{ .sts = STS_TESTING, .tlsa = TLSA_USABLE,
	  .starttls = STARTTLS_DONE, .errors = { EXPIRED }, .dane = { TLSA },
	  .told = "sts certificate-expired (X509_V_ERR_CERT_HAS_EXPIRED), "
	  "tlsa tlsa-invalid (dane-no-match)" },
	{ .sts = STS_ENFORCE, .tlsa = TLSA_USABLE,
	  .starttls = STARTTLS_DONE, .dane = { TLSA },
	  .told = "sts success, tlsa tlsa-invalid (dane-no-match)" },
	{ .sts = STS_ENFORCE, .tlsa = TLSA_USABLE,
	  .starttls = STARTTLS_DONE, .errors = { SELF, NAME },
	  .told = "sts certificate-not-trusted "
	  "(X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT), "
	  "sts certificate-host-mismatch (X509_V_ERR_HOSTNAME_MISMATCH), "
	  "tlsa success" },
	{ .sts = STS_ENFORCE, .tlsa = TLSA_USABLE,
	  .starttls = STARTTLS_REFUSED, .reason = "502 what",
	  .told = "sts validation-failure (502 what), "
	  "tlsa validation-failure (502 what)" },
	/* ruling 18: the retry in clear */
	{ .starttls = STARTTLS_BROKEN, .clear_retry = true, .told = "" },
	{ .sts = STS_TESTING, .starttls = STARTTLS_BROKEN,
	  .clear_retry = true, .told = "" },
	/* RPT-3-11 */
	{ .sts = STS_ENFORCE, .starttls = STARTTLS_DONE,
	  .class = CLASS_REPORT, .told = "" },
	{ .starttls = STARTTLS_ABSENT, .class = CLASS_REPORT, .told = "" },
	{ .starttls = STARTTLS_DONE, .class = CLASS_TLS_OPTIONAL,
	  .told = "no-policy-found success" },
};

static void
test_rows(void **state)
{
	struct t_session session;
	struct buffer text;
	size_t i;

	(void)state;
	for (i = 0; i < N(rows); i++) {
		text = (struct buffer){ NULL, 0, 0 };
		tell_row(&rows[i], &session);
		print_details(&session, &text);
		if (strcmp(text.text, rows[i].told) != 0)
			fail_msg("row %zu: [%s] instead of [%s]", i,
			    text.text, rows[i].told);
		buffer_free(&text);
	}
}

/* ---- hosts that are refused by name alone ---- */

static void
test_refused(void **state)
{
	static const struct {
		struct host_facts	 facts;
		const char		*told;
	} hosts[] = {
		{ { .class = CLASS_MAIL, .sts = STS_ENFORCE },
		  "sts validation-failure (sts-mx-mismatch)" },
		{ { .class = CLASS_MAIL, .tlsa = TLSA_FAILED },
		  "tlsa dnssec-invalid (dane-lookup-failed)" },
		/* nothing vouches for its name: no failure of its TLS */
		{ { .class = CLASS_REQUIRETLS, .mx_match = true }, "" },
		{ { .class = CLASS_MAIL, .mx_match = true }, "" },
	};
	struct session_facts facts;
	struct host_verdict verdict;
	struct t_session session;
	struct buffer text;
	size_t i;

	(void)state;
	for (i = 0; i < N(hosts); i++) {
		text = (struct buffer){ NULL, 0, 0 };
		facts = (struct session_facts){ .host = hosts[i].facts };
		verdict = decide_host(&facts.host);
		session = (struct t_session){ .epoch = 0 };
		assert_int_equal(telling_end(&session, &facts,
		    &verdict.blocks, NULL), hosts[i].told[0] != '\0');
		print_details(&session, &text);
		assert_string_equal(text.text, hosts[i].told);
		assert_string_equal(session.address, "");
		assert_string_equal(session.helo, "");
		buffer_free(&text);
	}
}

/* ---- all that there can be ---- */

/* Only results of the registry (RFC 8460 6.6). */
static bool
is_registered(uint32_t result)
{
	static const char *const names[] = { "success",
	    "starttls-not-supported", "certificate-host-mismatch",
	    "certificate-expired", "tlsa-invalid", "dnssec-invalid",
	    "dane-required", "certificate-not-trusted", "sts-policy-invalid",
	    "sts-webpki-invalid", "sts-policy-fetch-error",
	    "validation-failure" };
	size_t i;

	for (i = 0; i < N(names); i++)
		if (strcmp(tls_result_name(result), names[i]) == 0)
			return true;
	return false;
}

/* One block of a session against its verdict. */
static void
check_block(const struct t_session *session, uint32_t block,
    enum tls_result verdict)
{
	struct report_detail detail, first;
	uint32_t offset = 0, last = 0;
	unsigned n = 0;

	assert_int_equal(telling_first(session, block, &first),
	    verdict != RESULT_NONE);
	while (report_get_detail(session->details, session->details_len,
	    &offset, &detail)) {
		assert_true(detail.block >= last);
		last = detail.block;
		if (detail.block != block)
			continue;
		assert_true(is_registered(detail.result));
		/* Each type once; success stands alone, without a reason. */
		assert_true(n == 0 || (detail.result != first.result &&
		    first.result != RESULT_SUCCESS &&
		    detail.result != RESULT_SUCCESS));
		if (detail.result == RESULT_SUCCESS)
			assert_string_equal(detail.reason, "");
		n++;
	}
	assert_int_equal(n > 0, verdict != RESULT_NONE);
	if (n > 0)
		assert_int_equal(first.result, verdict);
}

static void
check(const struct session_facts *facts, unsigned *told)
{
	struct w_proof proof = { .tls_reason = "what it said" };
	struct session_verdict verdict = decide_session(facts);
	struct t_session session = { .epoch = 0 };
	static const struct { unsigned defect; uint8_t error; } errors[] = {
		{ CERT_NOT_TRUSTED, SELF }, { CERT_EXPIRED, EXPIRED },
		{ CERT_HOST_MISMATCH, NAME }, { CERT_OTHER, SIGNATURE },
		{ CERT_DANE_NO_MATCH, TLSA },
	};
	struct block_results *blocks = &verdict.blocks;
	bool counts = blocks->sts != RESULT_NONE ||
	    blocks->tlsa != RESULT_NONE || blocks->no_policy != RESULT_NONE;
	size_t i;

	for (i = 0; i < N(errors); i++) {
		if (facts->cert & errors[i].defect)
			proof.errors[proof.errors_len++] = errors[i].error;
		if (facts->dane & errors[i].defect)
			proof.dane_errors[proof.dane_errors_len++] =
			    errors[i].error;
	}
	assert_int_equal(telling_end(&session, facts, blocks, &proof),
	    counts);
	check_block(&session, REPORT_STS, blocks->sts);
	check_block(&session, REPORT_TLSA, blocks->tlsa);
	check_block(&session, REPORT_NO_POLICY, blocks->no_policy);
	*told += counts;
}

static void
test_all_facts(void **state)
{
	struct session_facts facts = { .requiretls = true };
	struct host_facts *host = &facts.host;
	unsigned bits, danes, told = 0, all = 0;
	int class, sts, tlsa, starttls;

	(void)state;
	for (class = CLASS_MAIL; class <= CLASS_REPORT; class++)
	for (sts = STS_ABSENT; sts <= STS_ENFORCE; sts++)
	for (tlsa = TLSA_INSECURE; tlsa <= TLSA_FAILED; tlsa++)
	for (starttls = STARTTLS_ABSENT; starttls <= STARTTLS_DONE; starttls++)
	for (bits = 0; bits < 32 * 256; bits++) {
		danes = bits >> 8;
		/* Compared only where there is something to compare. */
		if (danes > 0 && (tlsa != TLSA_USABLE ||
		    starttls != STARTTLS_DONE))
			break;
		facts.dane = danes;
		host->class = (enum mail_class)class;
		host->sts = (enum sts_mode)sts;
		host->tlsa = (enum tlsa_state)tlsa;
		facts.starttls = (enum starttls)starttls;
		facts.cert = bits & 15;
		host->mx_match = bits & 16;
		host->mx_secure = bits & 32;
		host->sts_report_only = bits & 64;
		facts.clear_retry = bits & 128;
		check(&facts, &told);
		all++;
	}
	assert_int_equal(all, 4 * 4 * (19 + 32) * 256);
	assert_true(told > all / 8 && told < all / 2);
}

/* Every value that a block can have, also those that no session has. */
static void
test_total(void **state)
{
	struct session_facts facts = { .host = { .mx_match = true,
	    .tlsa = TLSA_USABLE } };
	struct block_results blocks;
	struct report_detail detail;
	struct t_session session = { .epoch = 0 };
	struct w_proof proof = { .session = 0 };
	int result, i;

	(void)state;
	for (result = RESULT_NONE; result <= RESULT_STS_POLICY_FETCH_ERROR;
	    result++) {
		for (i = 0; i < 3; i++) {
			blocks = (struct block_results){
				i == 0 ? (enum tls_result)result : RESULT_NONE,
				i == 1 ? (enum tls_result)result : RESULT_NONE,
				i == 2 ? (enum tls_result)result : RESULT_NONE
			};
			assert_int_equal(telling_end(&session, &facts,
			    &blocks, &proof), result != RESULT_NONE);
			if (result == RESULT_NONE)
				continue;
			assert_true(telling_first(&session,
			    (uint32_t)(REPORT_STS + i), &detail));
			assert_true(is_registered(detail.result));
			assert_int_equal(detail.result,
			    result >= RESULT_STS_POLICY_INVALID ?
			    RESULT_VALIDATION_FAILURE : result);
		}
	}
	/* The registry and culver's names are the same words. */
	for (result = RESULT_SUCCESS;
	    result <= RESULT_STS_POLICY_FETCH_ERROR; result++)
		assert_true(is_registered((uint32_t)result));
}

/* ---- names of errors ---- */

static void
test_error_names(void **state)
{
	static const struct { int error; const char *name; } named[] = {
		{ 2, "X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT" },
		{ 9, "X509_V_ERR_CERT_NOT_YET_VALID" },
		{ 10, "X509_V_ERR_CERT_HAS_EXPIRED" },
		{ 18, "X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT" },
		{ 19, "X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN" },
		{ 20, "X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY" },
		{ 21, "X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE" },
		{ 23, "X509_V_ERR_CERT_REVOKED" },
		{ 26, "X509_V_ERR_INVALID_PURPOSE" },
		{ 62, "X509_V_ERR_HOSTNAME_MISMATCH" },
		{ 64, "X509_V_ERR_IP_ADDRESS_MISMATCH" },
		{ 65, "X509_V_ERR_DANE_NO_MATCH" },
		{ 66, "X509_V_ERR_EE_KEY_TOO_SMALL" },
		{ 79, "X509_V_ERR_INVALID_CA" },
		{ 1, "X509_V_ERR_UNSPECIFIED" }, { -1, "X509_V_ERR_UNSPECIFIED" },
		{ 0, "X509_V_ERR_UNSPECIFIED" }, { 255, "X509_V_ERR_UNSPECIFIED" },
	};
	int i, j, known = 0;

	(void)state;
	for (i = 0; i < (int)N(named); i++)
		assert_string_equal(x509_error_name(named[i].error),
		    named[i].name);
	for (i = 0; i < 256; i++) {
		assert_memory_equal(x509_error_name(i), "X509_V_ERR_", 11);
		if (strcmp(x509_error_name(i), "X509_V_ERR_UNSPECIFIED") == 0)
			continue;
		known++;
		for (j = 0; j < i; j++)
			assert_string_not_equal(x509_error_name(i),
			    x509_error_name(j));
	}
	assert_true(known >= 93);
}

/* RPT-4.3.1-5: of every error there is, its own name. */
static void
test_each_error(void **state)
{
	struct session_facts facts = { .host = { .class = CLASS_MAIL,
	    .sts = STS_ENFORCE, .mx_match = true },
	    .starttls = STARTTLS_DONE };
	struct w_proof proof = { .errors_len = 1 };
	struct session_verdict verdict;
	struct report_detail detail;
	struct t_session session;
	int error;

	(void)state;
	for (error = 0; error < 256; error++) {
		proof.errors[0] = (uint8_t)error;
		facts.cert = x509_defect(error);
		if (facts.cert == CERT_DANE_NO_MATCH)
			continue;
		verdict = decide_session(&facts);
		assert_true(telling_end(&session, &facts, &verdict.blocks,
		    &proof));
		assert_true(telling_first(&session, REPORT_STS, &detail));
		assert_string_equal(detail.reason, x509_error_name(error));
		assert_int_equal(detail.result, verdict.blocks.sts);
	}
}

/* ---- what a peer can do with words ---- */

static void
test_clean(void **state)
{
	static const struct { const char *text, *reason; } texts[] = {
		{ "", "" }, { "plain", "plain" },
		{ "  454 no TLS  ", "454 no TLS" },
		{ "454-a\n454-b\n454 c", "454-a 454-b 454 c" },
		{ "a\r\nb", "a? b" }, { "a\tb", "a b" },
		{ "\"quoted\\\"", "\"quoted\\\"" },
		{ "\x01\x1b[31mred\x7f", "??[31mred?" },
		{ "\xff\xfe", "??" }, { "\xc3\xa9t\xc3\xa9", "\xc3\xa9t\xc3\xa9" },
		{ "\xc3", "?" }, { "\xed\xa0\x80", "???" },
		{ "\xe2\x80\xa8", "?" },	/* U+2028 */
		{ "\xc2\x85", "?" },		/* U+0085 */
	};
	char reason[REPORT_REASON_MAX], text[4096];
	size_t i, len;

	(void)state;
	for (i = 0; i < N(texts); i++) {
		telling_clean(texts[i].text, reason);
		if (strcmp(reason, texts[i].reason) != 0)
			fail_msg("text %zu: [%s]", i, reason);
	}
	/* At most 255 octets, and no character in half. */
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	telling_clean(text, reason);
	assert_int_equal(strlen(reason), 255);
	for (len = 250; len <= 255; len++) {
		memset(text, 'x', len);
		strcpy(text + len, "\xf0\x9f\x93\xa7");
		telling_clean(text, reason);
		assert_int_equal(strlen(reason), len <= 251 ? len + 4 : len);
	}
}

/* Details of the longest reasons have room, in all blocks. */
static void
test_room(void **state)
{
	struct session_facts facts = { .host = { .class = CLASS_MAIL,
	    .sts = STS_ENFORCE, .mx_match = true, .tlsa = TLSA_USABLE },
	    .starttls = STARTTLS_REFUSED };
	struct session_verdict verdict = decide_session(&facts);
	struct t_session session = { .epoch = 0 };
	struct report_detail detail;
	struct w_proof proof;

	(void)state;
	memset(&proof, 'x', sizeof(proof));
	proof.tls_reason[sizeof(proof.tls_reason) - 1] = '\0';
	memset(proof.helo, '.', sizeof(proof.helo));
	proof.helo[sizeof(proof.helo) - 1] = '\0';
	proof.errors_len = PROOF_ERRORS_MAX;
	assert_true(telling_end(&session, &facts, &verdict.blocks, &proof));
	assert_true(telling_first(&session, REPORT_TLSA, &detail));
	assert_int_equal(strlen(detail.reason), 255);
	assert_string_equal(session.helo, "");
}

/* RPT-4.4-14: a domain, or nothing. */
static void
test_helo(void **state)
{
	static const struct { const char *helo, *told; } names[] = {
		{ "mx.test", "mx.test" }, { "MX.Test.", "mx.test" },
		{ "", "" }, { "[192.0.2.1]", "" }, { "a b", "" },
		{ "a..b", "" }, { "-x", "" }, { "a\nb", "" },
		{ "<script>", "" }, { "\xff", "" },
	};
	struct session_facts facts = { .host = { .class = CLASS_MAIL } };
	struct session_verdict verdict = decide_session(&facts);
	struct t_session session;
	struct w_proof proof;
	size_t i;

	(void)state;
	for (i = 0; i < N(names); i++) {
		proof = (struct w_proof){ .session = 1 };
		snprintf(proof.helo, sizeof(proof.helo), "%s", names[i].helo);
		session = (struct t_session){ .epoch = 0 };
		telling_end(&session, &facts, &verdict.blocks, &proof);
		assert_string_equal(session.helo, names[i].told);
	}
}

static void
test_addresses(void **state)
{
	static const struct { const char *address, *told; } texts[] = {
		{ "192.0.2.1", "192.0.2.1" }, { "2001:db8::1", "2001:db8::1" },
		{ "2001:DB8:0:0:0:0:0:1", "2001:db8::1" },
		{ "::ffff:192.0.2.1", "192.0.2.1" }, { "::1", "::1" },
		{ "::192.0.2.1", "::c000:201" },
		{ "64:ff9b::c000:201", "64:ff9b::c000:201" },
	};
	char text[ADDRESS_TEXT_MAX];
	struct address address;
	size_t i;

	(void)state;
	for (i = 0; i < N(texts); i++) {
		assert_true(address_parse(slice_of(texts[i].address),
		    &address));
		assert_string_equal(telling_address(&address, text),
		    texts[i].told);
	}
	address.family = 0;
	assert_string_equal(telling_address(&address, text), "");
}

/* ---- what was applied ---- */

/* A host as policy tells of it. */
static struct nexthop *
make_route(enum sts_mode sts, enum tlsa_state tlsa, const char *base,
    uint32_t tlsa_len)
{
	struct r_route route = { .sts = sts, .sts_id = "id7", .sts_text = 77,
	    .hosts = 1 };
	static struct r_host host;
	struct nexthop *nexthop = nexthop_new(&route, "b.test");
	uint32_t i;

	host = (struct r_host){ .name = "mx.b.test", .mx_match = true,
	    .tlsa_state = tlsa, .tlsa_len = tlsa_len };
	snprintf(host.tlsa_base, sizeof(host.tlsa_base), "%s", base);
	/* Records of 35 octets each. */
	for (i = 0; i < tlsa_len; i++)
		host.tlsa[i] = i % 37 == 0 ? 35 : i % 37 == 1 ? 0 : 0xaa;
	assert_true(nexthop_add(nexthop, &host));
	return nexthop;
}

static void
test_applied(void **state)
{
	static const struct {
		enum sts_mode	 sts;
		enum tlsa_state	 tlsa;
		const char	*base;
		uint32_t	 len;
		const char	*id, *told_base;
		uint32_t	 told_len;
	} cases[] = {
		{ STS_ABSENT, TLSA_INSECURE, "", 0, "", "", 0 },
		{ STS_NONE, TLSA_ABSENT, "", 0, "", "", 0 },
		{ STS_TESTING, TLSA_ABSENT, "", 0, "id7", "", 0 },
		{ STS_ENFORCE, TLSA_USABLE, "x.test", 37, "id7", "x.test", 37 },
		{ STS_ENFORCE, TLSA_UNUSABLE, "x.test", 74, "id7", "x.test",
		  74 },
		/* the look-up failed at the host's own name */
		{ STS_ABSENT, TLSA_FAILED, "", 0, "", "mx.b.test", 0 },
		/* 8192 octets hold 221 whole records of 37 */
		{ STS_ABSENT, TLSA_USABLE, "x.test", 37 * 500, "", "x.test",
		  37 * 221 },
		/* a record that is not whole is none */
		{ STS_ABSENT, TLSA_USABLE, "x.test", 37 + 20, "", "x.test",
		  37 },
		{ STS_ABSENT, TLSA_USABLE, "x.test", 1, "", "x.test", 0 },
	};
	struct config *config = config_new();
	static struct t_session session;
	struct nexthop *route;
	struct host_facts facts;
	size_t i;

	(void)state;
	for (i = 0; i < N(cases); i++) {
		route = make_route(cases[i].sts, cases[i].tlsa, cases[i].base,
		    cases[i].len);
		nexthop_facts(route, &route->hosts[0], CLASS_MAIL, config, 0,
		    &facts);
		memset(&session, 0xff, sizeof(session));
		telling_begin(&session, "b.test", route, &route->hosts[0],
		    &facts);
		assert_string_equal(session.domain, "b.test");
		assert_string_equal(session.host, "mx.b.test");
		assert_string_equal(session.sts_id, cases[i].id);
		assert_int_equal(session.sts_text,
		    cases[i].id[0] != '\0' ? 77 : 0);
		assert_string_equal(session.tlsa_base, cases[i].told_base);
		assert_int_equal(session.tlsa_len, cases[i].told_len);
		nexthop_free(&route);
	}
	/* With `mta-sts off` none was applied. */
	config->mta_sts = CONFIG_STS_OFF;
	route = make_route(STS_ENFORCE, TLSA_ABSENT, "", 0);
	nexthop_facts(route, &route->hosts[0], CLASS_MAIL, config, 0, &facts);
	telling_begin(&session, "b.test", route, &route->hosts[0], &facts);
	assert_string_equal(session.sts_id, "");
	nexthop_free(&route);
	config_free(&config);
}

/* ---- what queue is told: facts.c ---- */

static void
test_dane_words(void **state)
{
	static const struct {
		uint8_t		 errors[PROOF_ERRORS_MAX];
		const char	*matched;
		const char	*says;
	} cases[] = {
		{ { 0 }, "", "" },
		{ { 0 }, "3 1 1 0b9fa5a5...", "matches 3 1 1 0b9fa5a5..." },
		{ { TLSA }, "",
		  "dane-no-match (no matching DANE TLSA records)" },
		{ { NAME }, "2 0 1 01020304...",
		  "host-mismatch (hostname mismatch)" },
		{ { EXPIRED, NAME }, "2 0 1 01020304...", "expired "
		  "(certificate has expired), "
		  "host-mismatch (hostname mismatch)" },
		{ { UNKNOWN, LEAF, SELF, SIGNATURE, EARLY, NAME, EXPIRED,
		  TLSA }, "", NULL },
	};
	struct w_proof proof;
	struct d_host note;
	size_t i;

	(void)state;
	for (i = 0; i < N(cases); i++) {
		proof = (struct w_proof){ .starttls_known = true,
		    .starttls = STARTTLS_DONE };
		proof.dane_errors_len = put_errors(proof.dane_errors,
		    cases[i].errors);
		proof.dane = defects_of(proof.dane_errors,
		    proof.dane_errors_len);
		strcpy(proof.tlsa_matched, cases[i].matched);
		note = (struct d_host){ .destination = 0 };
		facts_session(&note, &proof, NULL);
		if (cases[i].says != NULL)
			assert_string_equal(note.dane, cases[i].says);
		else	/* cut at the room */
			assert_int_equal(strlen(note.dane),
			    sizeof(note.dane) - 1);
	}
	/* A worker that says more than there can be is cut short. */
	proof.dane_errors_len = 200;
	facts_session(&note, &proof, NULL);
}

/*
 * Neither a match nor a defect: there was nothing that the library could
 * compare.  DANE-7671-4.1-1
 */
static void
test_nothing_compared(void **state)
{
	static const struct {
		enum tlsa_state	tlsa;
		enum starttls	starttls;
		unsigned	dane;
		const char	*matched;
		enum tlsa_state	becomes;
	} cases[] = {
		{ TLSA_USABLE, STARTTLS_DONE, 0, "", TLSA_UNUSABLE },
		{ TLSA_USABLE, STARTTLS_DONE, 0, "3 1 1 01", TLSA_USABLE },
		{ TLSA_USABLE, STARTTLS_DONE, CERT_DANE_NO_MATCH, "",
		  TLSA_USABLE },
		{ TLSA_USABLE, STARTTLS_BROKEN, 0, "", TLSA_USABLE },
		{ TLSA_USABLE, STARTTLS_ABSENT, 0, "", TLSA_USABLE },
		{ TLSA_ABSENT, STARTTLS_DONE, 0, "", TLSA_ABSENT },
		{ TLSA_INSECURE, STARTTLS_DONE, 0, "", TLSA_INSECURE },
		{ TLSA_FAILED, STARTTLS_DONE, 0, "", TLSA_FAILED },
	};
	struct host_facts host = { .class = CLASS_MAIL };
	struct session_facts facts;
	struct w_proof proof;
	size_t i;

	(void)state;
	for (i = 0; i < N(cases); i++) {
		host.tlsa = cases[i].tlsa;
		proof = (struct w_proof){ .starttls_known = true,
		    .starttls = cases[i].starttls, .dane = cases[i].dane };
		strcpy(proof.tlsa_matched, cases[i].matched);
		facts_of_proof(&host, false, &proof, &facts);
		assert_int_equal(facts.host.tlsa, cases[i].becomes);
		assert_int_equal(facts.dane, cases[i].dane);
		assert_int_equal(host.tlsa, cases[i].tlsa);
	}
}

#define TEST(name, function)	{ name, function, NULL, NULL, NULL }

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST("RPT-4.3.1-1, RPT-4.3.1-2, RPT-4.3.1-3, RPT-4.3.1-4, "
		    "RPT-4.3.1-6, RPT-4.3.1-7, RPT-4.3.2.1-1, RPT-4-6, "
		    "RPT-3-11 sessions, one by one", test_rows),
		TEST("RPT-4.3.2.2-4, RPT-4.3.2.1-2, RPT-4.4-20 hosts refused "
		    "by name", test_refused),
		TEST("all facts that there can be", test_all_facts),
		TEST("RPT-4.3.3-1, RPT-6.6-1 every result is told as a "
		    "registered one", test_total),
		TEST("RPT-4.4-19, RPT-8-2 names of errors", test_error_names),
		TEST("RPT-4.3.1-5 each error of a certificate",
		    test_each_error),
		TEST("RPT-4.3.3-2, RPT-4.4-21 reasons in one line (T50)",
		    test_clean),
		TEST("there is room for all", test_room),
		TEST("RPT-4.4-14 the name that a server calls itself",
		    test_helo),
		TEST("RPT-4.4-12, RPT-4.4-15 addresses", test_addresses),
		TEST("what DANE said, in words", test_dane_words),
		TEST("DANE-7671-4.1-1 records that the library knows to be "
		    "none", test_nothing_compared),
		TEST("RPT-1.1-1, RPT-1.1-2, RPT-4.5-1 what was applied",
		    test_applied),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
