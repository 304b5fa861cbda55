/*
 * What is wrong with a certificate, and what is that called?
 *
 * Called by tls.c (what PKIX finds), dane.c (what DANE finds), facts.c and
 * telling.c.  RFC 8460 4.3.1 wants to know more than "not trusted", and who
 * reads a report looks for the library's name of the error, which OpenSSL
 * does not hand out.
 *
 * It knows neither names nor records: whoever calls x509_collect has put them
 * into the library's context.
 */
#include "delivery/x509.h"

#include <openssl/err.h>
#include <stdio.h>

struct kind {
	const char		*name;
	enum cert_defect	 defect;
};

/*
 * By its number: each error of x509_vfy.h.  STS-4.2-1, STS-4.2-2
 * RFC 8461 4.2.  RPT-4.3.1-4 RFC 8460 4.3.1: whatever keeps well-formed
 * certificates from making a chain to a trusted root is want of trust: issuers
 * that do not fit, constraints, forbidden uses.  What is not yet valid counts
 * as expired (ruling 29).  Bad signatures, malformed fields, revocation lists
 * (we have none) and faults of our own are validation failures.
 */
#define TRUST(error)	[error] = { #error, CERT_NOT_TRUSTED }
#define DATES(error)	[error] = { #error, CERT_EXPIRED }
#define HOST(error)	[error] = { #error, CERT_HOST_MISMATCH }
#define DANE(error)	[error] = { #error, CERT_DANE_NO_MATCH }
#define OTHER(error)	[error] = { #error, CERT_OTHER }

static const struct kind kinds[] = {
	TRUST(X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT),
	OTHER(X509_V_ERR_UNABLE_TO_GET_CRL),
	OTHER(X509_V_ERR_UNABLE_TO_DECRYPT_CERT_SIGNATURE),
	OTHER(X509_V_ERR_UNABLE_TO_DECRYPT_CRL_SIGNATURE),
	OTHER(X509_V_ERR_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY),
	OTHER(X509_V_ERR_CERT_SIGNATURE_FAILURE),
	OTHER(X509_V_ERR_CRL_SIGNATURE_FAILURE),
	DATES(X509_V_ERR_CERT_NOT_YET_VALID),
	DATES(X509_V_ERR_CERT_HAS_EXPIRED),
	OTHER(X509_V_ERR_CRL_NOT_YET_VALID),
	OTHER(X509_V_ERR_CRL_HAS_EXPIRED),
	OTHER(X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD),
	OTHER(X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD),
	OTHER(X509_V_ERR_ERROR_IN_CRL_LAST_UPDATE_FIELD),
	OTHER(X509_V_ERR_ERROR_IN_CRL_NEXT_UPDATE_FIELD),
	OTHER(X509_V_ERR_OUT_OF_MEM),
	TRUST(X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT),
	TRUST(X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN),
	TRUST(X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY),
	TRUST(X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE),
	TRUST(X509_V_ERR_CERT_CHAIN_TOO_LONG),
	TRUST(X509_V_ERR_CERT_REVOKED),
	TRUST(X509_V_ERR_NO_ISSUER_PUBLIC_KEY),
	TRUST(X509_V_ERR_PATH_LENGTH_EXCEEDED),
	TRUST(X509_V_ERR_INVALID_PURPOSE),
	TRUST(X509_V_ERR_CERT_UNTRUSTED),
	TRUST(X509_V_ERR_CERT_REJECTED),
	TRUST(X509_V_ERR_SUBJECT_ISSUER_MISMATCH),
	TRUST(X509_V_ERR_AKID_SKID_MISMATCH),
	TRUST(X509_V_ERR_AKID_ISSUER_SERIAL_MISMATCH),
	TRUST(X509_V_ERR_KEYUSAGE_NO_CERTSIGN),
	OTHER(X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER),
	TRUST(X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION),
	OTHER(X509_V_ERR_KEYUSAGE_NO_CRL_SIGN),
	OTHER(X509_V_ERR_UNHANDLED_CRITICAL_CRL_EXTENSION),
	TRUST(X509_V_ERR_INVALID_NON_CA),
	TRUST(X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED),
	TRUST(X509_V_ERR_KEYUSAGE_NO_DIGITAL_SIGNATURE),
	TRUST(X509_V_ERR_PROXY_CERTIFICATES_NOT_ALLOWED),
	OTHER(X509_V_ERR_INVALID_EXTENSION),
	OTHER(X509_V_ERR_INVALID_POLICY_EXTENSION),
	TRUST(X509_V_ERR_NO_EXPLICIT_POLICY),
	OTHER(X509_V_ERR_DIFFERENT_CRL_SCOPE),
	OTHER(X509_V_ERR_UNSUPPORTED_EXTENSION_FEATURE),
	TRUST(X509_V_ERR_UNNESTED_RESOURCE),
	TRUST(X509_V_ERR_PERMITTED_VIOLATION),
	TRUST(X509_V_ERR_EXCLUDED_VIOLATION),
	TRUST(X509_V_ERR_SUBTREE_MINMAX),
	OTHER(X509_V_ERR_APPLICATION_VERIFICATION),
	TRUST(X509_V_ERR_UNSUPPORTED_CONSTRAINT_TYPE),
	TRUST(X509_V_ERR_UNSUPPORTED_CONSTRAINT_SYNTAX),
	TRUST(X509_V_ERR_UNSUPPORTED_NAME_SYNTAX),
	OTHER(X509_V_ERR_CRL_PATH_VALIDATION_ERROR),
	TRUST(X509_V_ERR_PATH_LOOP),
	OTHER(X509_V_ERR_SUITE_B_INVALID_VERSION),
	OTHER(X509_V_ERR_SUITE_B_INVALID_ALGORITHM),
	OTHER(X509_V_ERR_SUITE_B_INVALID_CURVE),
	OTHER(X509_V_ERR_SUITE_B_INVALID_SIGNATURE_ALGORITHM),
	OTHER(X509_V_ERR_SUITE_B_LOS_NOT_ALLOWED),
	OTHER(X509_V_ERR_SUITE_B_CANNOT_SIGN_P_384_WITH_P_256),
	HOST(X509_V_ERR_HOSTNAME_MISMATCH),
	OTHER(X509_V_ERR_EMAIL_MISMATCH),
	HOST(X509_V_ERR_IP_ADDRESS_MISMATCH),
	DANE(X509_V_ERR_DANE_NO_MATCH),
	TRUST(X509_V_ERR_EE_KEY_TOO_SMALL),
	TRUST(X509_V_ERR_CA_KEY_TOO_SMALL),
	TRUST(X509_V_ERR_CA_MD_TOO_WEAK),
	OTHER(X509_V_ERR_INVALID_CALL),
	OTHER(X509_V_ERR_STORE_LOOKUP),
	OTHER(X509_V_ERR_NO_VALID_SCTS),
	TRUST(X509_V_ERR_PROXY_SUBJECT_NAME_VIOLATION),
	OTHER(X509_V_ERR_OCSP_VERIFY_NEEDED),
	OTHER(X509_V_ERR_OCSP_VERIFY_FAILED),
	OTHER(X509_V_ERR_OCSP_CERT_UNKNOWN),
	OTHER(X509_V_ERR_UNSUPPORTED_SIGNATURE_ALGORITHM),
	TRUST(X509_V_ERR_SIGNATURE_ALGORITHM_MISMATCH),
	OTHER(X509_V_ERR_SIGNATURE_ALGORITHM_INCONSISTENCY),
	TRUST(X509_V_ERR_INVALID_CA),
	OTHER(X509_V_ERR_PATHLEN_INVALID_FOR_NON_CA),
	OTHER(X509_V_ERR_PATHLEN_WITHOUT_KU_KEY_CERT_SIGN),
	OTHER(X509_V_ERR_KU_KEY_CERT_SIGN_INVALID_FOR_NON_CA),
	OTHER(X509_V_ERR_ISSUER_NAME_EMPTY),
	OTHER(X509_V_ERR_SUBJECT_NAME_EMPTY),
	OTHER(X509_V_ERR_MISSING_AUTHORITY_KEY_IDENTIFIER),
	OTHER(X509_V_ERR_MISSING_SUBJECT_KEY_IDENTIFIER),
	OTHER(X509_V_ERR_EMPTY_SUBJECT_ALT_NAME),
	OTHER(X509_V_ERR_EMPTY_SUBJECT_SAN_NOT_CRITICAL),
	OTHER(X509_V_ERR_CA_BCONS_NOT_CRITICAL),
	OTHER(X509_V_ERR_AUTHORITY_KEY_IDENTIFIER_CRITICAL),
	OTHER(X509_V_ERR_SUBJECT_KEY_IDENTIFIER_CRITICAL),
	OTHER(X509_V_ERR_CA_CERT_MISSING_KEY_USAGE),
	OTHER(X509_V_ERR_EXTENSIONS_REQUIRE_VERSION_3),
	OTHER(X509_V_ERR_EC_KEY_EXPLICIT_PARAMS),
};
#define KINDS_N	((int)(sizeof(kinds) / sizeof(kinds[0])))

/* NULL: what a later library knows besides. */
static const struct kind *
kind_of(int error)
{
	if (error < 0 || error >= KINDS_N || kinds[error].name == NULL)
		return NULL;
	return &kinds[error];
}

const char *
x509_error_name(int error)
{
	const struct kind *kind = kind_of(error);

	return kind != NULL ? kind->name : "X509_V_ERR_UNSPECIFIED";
}

enum cert_defect
x509_defect(int error)
{
	const struct kind *kind = kind_of(error);

	return kind != NULL ? kind->defect : CERT_OTHER;
}

void
x509_note(struct x509_defects *defects, int error)
{
	uint8_t octet = kind_of(error) != NULL ? (uint8_t)error :
	    X509_V_ERR_UNSPECIFIED;
	unsigned i;

	defects->set |= x509_defect(error);
	for (i = 0; i < defects->errors_n; i++)
		if (defects->errors[i] == octet)
			return;
	if (defects->errors_n < PROOF_ERRORS_MAX)
		defects->errors[defects->errors_n++] = octet;
}

/* The library found a fault: note it and let it look for more. */
static int
on_fault(int good, X509_STORE_CTX *store)
{
	if (!good)
		x509_note(X509_STORE_CTX_get_app_data(store),
		    X509_STORE_CTX_get_error(store));
	return 1;
}

void
x509_collect(X509_STORE_CTX *store, struct x509_defects *defects)
{
	int error;

	X509_STORE_CTX_set_app_data(store, defects);
	X509_STORE_CTX_set_verify_cb(store, on_fault);
	/* It may also fail without a word: then nothing is proven. */
	if (X509_verify_cert(store) <= 0 && defects->set == 0) {
		error = X509_STORE_CTX_get_error(store);
		x509_note(defects, error != X509_V_OK ? error :
		    X509_V_ERR_UNSPECIFIED);
	}
	ERR_clear_error();
}

static const char *
word_of(enum cert_defect defect)
{
	switch (defect) {
	case CERT_NOT_TRUSTED:
		return "not-trusted";
	case CERT_EXPIRED:
		return "expired";
	case CERT_HOST_MISMATCH:
		return "host-mismatch";
	case CERT_DANE_NO_MATCH:
		return "dane-no-match";
	case CERT_OTHER:
		break;
	}
	return "other";
}

void
x509_print(const uint8_t *errors, unsigned errors_n, char *text, size_t size)
{
	size_t len = 0;
	unsigned i;

	text[0] = '\0';
	for (i = 0; i < errors_n && len < size; i++)
		len += (size_t)snprintf(text + len, size - len, "%s%s (%s)",
		    i > 0 ? ", " : "", word_of(x509_defect(errors[i])),
		    X509_verify_cert_error_string(errors[i]));
}
