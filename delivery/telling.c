/*
 * What is told of this session?
 *
 * Called by tell.c.  Which blocks count it, and as what, decide.c has said;
 * here the words are found: which defects a certificate had besides the first,
 * and why, in a way that helps whoever mends it.  Reasons are names of the
 * library's errors, names of our own rules, and what the peer said
 * (RPT-8-2 RFC 8460 8: nothing of our own libraries' making).
 *
 * It asks nobody, and sends nothing.
 */
#include "delivery/telling.h"

#include "conf/log.h"
#include "conf/utf8.h"
#include "delivery/x509.h"

#include <stdio.h>
#include <string.h>

/* ---- reasons ---- */

void
telling_clean(const char *text, char reason[REPORT_REASON_MAX])
{
	struct slice rest = slice_trim(slice_of(text));
	const char *end = reason + REPORT_REASON_MAX - 1;
	unsigned len;

	while (rest.len > 0) {
		len = utf8_length(rest);
		if (reason + (len > 0 ? len : 1) > end)
			break;
		if (len == 0 || utf8_is_control(rest.at, len)) {
			*reason++ = len == 0 || (*rest.at != '\n' &&
			    *rest.at != '\t') ? '?' : ' ';
			len = len > 0 ? len : 1;
		} else {
			memcpy(reason, rest.at, len);
			reason += len;
		}
		rest.at += len;
		rest.len -= len;
	}
	*reason = '\0';
}

/* ---- certificates ---- */

/*
 * Ruling 29: the order in which they are told.  Ruling 27: that no TLSA
 * record fits comes before what is wrong besides.
 */
static const struct {
	enum cert_defect	defect;
	enum tls_result		result;
} certificates[] = {
	{ CERT_DANE_NO_MATCH, RESULT_TLSA_INVALID },
	{ CERT_NOT_TRUSTED, RESULT_CERTIFICATE_NOT_TRUSTED },
	{ CERT_EXPIRED, RESULT_CERTIFICATE_EXPIRED },
	{ CERT_HOST_MISMATCH, RESULT_CERTIFICATE_HOST_MISMATCH },
	{ CERT_OTHER, RESULT_VALIDATION_FAILURE },
};
#define CERTIFICATES_N	(sizeof(certificates) / sizeof(certificates[0]))

/* Everything that details are made of. */
struct telling {
	struct t_session		*session;
	const struct session_facts	*facts;
	const struct w_proof		*proof;	/* NULL: no connection */
};

static void
put(const struct telling *telling, uint32_t block, enum tls_result result,
    const char *reason)
{
	struct t_session *session = telling->session;
	struct report_detail detail = { .block = block, .result = result };

	telling_clean(reason, detail.reason);
	/* Three blocks of at most five details each: there is room. */
	if (!report_put_detail(session->details, &session->details_len,
	    sizeof(session->details), &detail))
		bug("no room for a detail of a session");
}

/* DANE's word in its own block, that of the CAs in the others. */
static unsigned
defects_of(const struct telling *telling, uint32_t block)
{
	return block == REPORT_TLSA ? telling->facts->dane :
	    telling->facts->cert;
}

/*
 * The name of the first error that makes this defect; "" if none came.  Where
 * no record fits it is not the certificate that is wrong.
 */
static const char *
error_name(const struct w_proof *proof, uint32_t block,
    enum cert_defect defect)
{
	bool dane = block == REPORT_TLSA;
	const uint8_t *errors = dane ? proof->dane_errors : proof->errors;
	uint32_t i, n = dane ? proof->dane_errors_len : proof->errors_len;

	if (defect == CERT_DANE_NO_MATCH)
		return "dane-no-match";
	for (i = 0; i < n && i < PROOF_ERRORS_MAX; i++)
		if (x509_defect(errors[i]) == defect)
			return x509_error_name(errors[i]);
	return "";
}

/*
 * Is it the certificate that this result speaks of?  Then TLS is up, and
 * nothing else is wrong with it.
 */
static bool
is_of_certificate(const struct telling *telling, uint32_t block,
    enum tls_result result)
{
	size_t i;

	if (telling->proof == NULL ||
	    telling->facts->starttls != STARTTLS_DONE)
		return false;
	for (i = 0; i < CERTIFICATES_N; i++)
		if (certificates[i].result == result &&
		    (defects_of(telling, block) & certificates[i].defect))
			return true;
	return false;
}

/*
 * RPT-4-6 RFC 8460 4: each defect has an entry of its own.  RPT-4.3.1-2,
 * RPT-4.3.1-3, RPT-4.3.1-4, RPT-4.3.1-5 RFC 8460 4.3.1; RPT-4.3.2.1-1
 */
static void
put_certificate(const struct telling *telling, uint32_t block)
{
	size_t i;

	for (i = 0; i < CERTIFICATES_N; i++)
		if (defects_of(telling, block) & certificates[i].defect)
			put(telling, block, certificates[i].result,
			    error_name(telling->proof, block,
			    certificates[i].defect));
}

/* ---- blocks ---- */

/* Ruling 9: what is outside the policy is told as that, and no more. */
static bool
is_outside(const struct telling *telling, uint32_t block)
{
	return block == REPORT_STS && !telling->facts->host.mx_match;
}

/* RPT-4.3.1-6, RPT-4.3.1-7 RFC 8460 4.3.1 */
static const char *
handshake_reason(const struct telling *telling)
{
	if (telling->proof == NULL ||
	    (telling->facts->starttls != STARTTLS_REFUSED &&
	    telling->facts->starttls != STARTTLS_BROKEN))
		return "";
	return telling->proof->tls_reason;
}

/* Ruling 27 */
static const char *
tlsa_reason(const struct telling *telling)
{
	return telling->facts->host.tlsa == TLSA_UNUSABLE ?
	    "dane-all-unusable" : "dane-no-match";
}

/*
 * RPT-4.3.3-1 RFC 8460 4.3.3: what is no result of that list, or none that a
 * session can have, is a validation failure.
 */
static void
put_block(const struct telling *telling, uint32_t block,
    enum tls_result result)
{
	if (result == RESULT_NONE)
		return;
	if (is_outside(telling, block) && result > RESULT_SUCCESS) {
		/* RPT-4.3.2.2-4 RFC 8460 4.3.2.2 */
		put(telling, block, RESULT_VALIDATION_FAILURE,
		    "sts-mx-mismatch");
		return;
	}
	if (is_of_certificate(telling, block, result)) {
		put_certificate(telling, block);
		return;
	}
	switch (result) {
	case RESULT_SUCCESS:
	case RESULT_STARTTLS_NOT_SUPPORTED:	/* RPT-4.3.1-1 */
	case RESULT_CERTIFICATE_HOST_MISMATCH:
	case RESULT_CERTIFICATE_EXPIRED:
	case RESULT_CERTIFICATE_NOT_TRUSTED:
	case RESULT_DANE_REQUIRED:
		put(telling, block, result, "");
		return;
	case RESULT_TLSA_INVALID:		/* RPT-4.3.2.1-1 */
		put(telling, block, result, tlsa_reason(telling));
		return;
	case RESULT_DNSSEC_INVALID:
		put(telling, block, result, "dane-lookup-failed");
		return;
	default:
		put(telling, block, RESULT_VALIDATION_FAILURE,
		    handshake_reason(telling));
	}
}

/* ---- the whole ---- */

char *
telling_address(const struct address *address, char text[ADDRESS_TEXT_MAX])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct address four = { .family = 4 };

	if (address->family == 6 &&
	    memcmp(address->ip, mapped, sizeof(mapped)) == 0) {
		memcpy(four.ip, address->ip + sizeof(mapped), 4);
		address = &four;
	}
	if (address->family == 0)
		text[0] = '\0';
	else
		address_print(address, text);
	return text;
}

/* RPT-4.5-1 RFC 8460 4.5: whole records, as many as there is room for. */
static void
put_tlsa(struct t_session *session, const struct nexthop_host *host)
{
	session->tlsa_len = host->tlsa_len;
	if (host->tlsa_len > 0)
		memcpy(session->tlsa, host->tlsa_records, host->tlsa_len);
}

/*
 * RPT-1.1-1 RFC 8460 1.1: the domain is the recipient's, or the relay's that
 * mail is sent through.  RPT-1.1-2: the TLSA base domain is the host's; where
 * the look-up failed it was looked for at the host's own name.
 */
void
telling_begin(struct t_session *session, const char *domain,
    const struct nexthop *nexthop, const struct nexthop_host *host,
    const struct host_facts *facts)
{
	memset(session, 0, sizeof(*session));
	snprintf(session->domain, sizeof(session->domain), "%s", domain);
	memcpy(session->host, host->name, sizeof(session->host));
	if (facts->sts == STS_TESTING || facts->sts == STS_ENFORCE) {
		memcpy(session->sts_id, nexthop->route.sts_id,
		    sizeof(session->sts_id));
		session->sts_text = nexthop->route.sts_text;
	}
	if (facts->tlsa != TLSA_USABLE && facts->tlsa != TLSA_UNUSABLE &&
	    facts->tlsa != TLSA_FAILED)
		return;
	memcpy(session->tlsa_base, host->tlsa_base[0] != '\0' ?
	    host->tlsa_base : host->name, sizeof(session->tlsa_base));
	put_tlsa(session, host);
}

/* RPT-4.4-14 RFC 8460 4.4: what the worker says is parsed once more. */
static void
put_helo(struct t_session *session, const char *helo)
{
	struct domain domain = { "" };

	if (domain_parse(slice_of(helo), &domain) &&
	    !domain_is_literal(&domain))
		memcpy(session->helo, domain.name, sizeof(session->helo));
}

bool
telling_end(struct t_session *session, const struct session_facts *facts,
    const struct block_results *blocks, const struct w_proof *proof)
{
	const struct telling telling = { session, facts, proof };

	session->details_len = 0;
	put_block(&telling, REPORT_STS, blocks->sts);
	put_block(&telling, REPORT_TLSA, blocks->tlsa);
	put_block(&telling, REPORT_NO_POLICY, blocks->no_policy);
	if (proof != NULL)
		put_helo(session, proof->helo);
	return session->details_len > 0;
}

bool
telling_first(const struct t_session *session, uint32_t block,
    struct report_detail *detail)
{
	uint32_t offset = 0;

	while (report_get_detail(session->details, session->details_len,
	    &offset, detail))
		if (detail->block == block)
			return true;
	return false;
}
