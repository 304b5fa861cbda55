/*
 * What does the reason of a failure mean to a person?
 *
 * Called for the words of a report.  Reasons are names of OpenSSL's errors of
 * certificates, and names of our own rules (delivery/x509.c and
 * delivery/telling.c give them); others are sentences already, of servers and
 * of the TLS library.  Names that say nothing about what to mend are not here.
 */
#include "reports/report.h"

#include <string.h>

static const struct reason {
	const char	*name, *words;
} reasons[] = {
	{ "sts-mx-mismatch",
	  "the MX records name this host, and the policy does not" },
	{ "dane-no-match", "the certificate matches no TLSA record" },
	{ "dane-all-unusable", "none of the TLSA records can be used" },
	{ "dane-lookup-failed", "the TLSA records could not be looked up" },
	{ "X509_V_ERR_CERT_HAS_EXPIRED", "the certificate's time is over" },
	{ "X509_V_ERR_CERT_NOT_YET_VALID",
	  "the certificate's time has not begun" },
	{ "X509_V_ERR_HOSTNAME_MISMATCH",
	  "the certificate does not name this host" },
	{ "X509_V_ERR_IP_ADDRESS_MISMATCH",
	  "the certificate does not name this address" },
	{ "X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT",
	  "the certificate is signed by itself" },
	{ "X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN",
	  "it leads to a certification authority that is not trusted" },
	{ "X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT",
	  "an intermediate certificate is missing, or its authority is not "
	  "known" },
	{ "X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
	  "an intermediate certificate is missing, or its authority is not "
	  "known" },
	{ "X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE",
	  "an intermediate certificate is missing" },
	{ "X509_V_ERR_CERT_SIGNATURE_FAILURE",
	  "the certificate's signature is wrong" },
	{ "X509_V_ERR_CERT_CHAIN_TOO_LONG",
	  "there are too many intermediate certificates" },
	{ "X509_V_ERR_PATH_LENGTH_EXCEEDED",
	  "there are more intermediate certificates than one of them allows" },
	{ "X509_V_ERR_CERT_REVOKED", "the certificate is revoked" },
	{ "X509_V_ERR_INVALID_PURPOSE", "the certificate is not for servers" },
	{ "X509_V_ERR_CERT_UNTRUSTED", "its authority is not trusted for "
	  "servers" },
	{ "X509_V_ERR_CERT_REJECTED", "its authority is not trusted for "
	  "servers" },
	{ "X509_V_ERR_INVALID_CA",
	  "an intermediate certificate may not sign others" },
	{ "X509_V_ERR_INVALID_NON_CA",
	  "an intermediate certificate may not sign others" },
	{ "X509_V_ERR_KEYUSAGE_NO_CERTSIGN",
	  "an intermediate certificate may not sign others" },
	{ "X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION",
	  "it has a critical extension that is not known" },
	{ "X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD",
	  "a date in the certificate cannot be read" },
	{ "X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD",
	  "a date in the certificate cannot be read" },
	{ "X509_V_ERR_PERMITTED_VIOLATION",
	  "its authority may not sign for this name" },
	{ "X509_V_ERR_EXCLUDED_VIOLATION",
	  "its authority may not sign for this name" },
	{ "X509_V_ERR_DANE_NO_MATCH", "the certificate matches no TLSA "
	  "record" },
	{ "X509_V_ERR_EE_KEY_TOO_SMALL", "the certificate's key is too short" },
	{ "X509_V_ERR_CA_KEY_TOO_SMALL",
	  "the key of an intermediate certificate is too short" },
	{ "X509_V_ERR_CA_MD_TOO_WEAK",
	  "an intermediate certificate is signed with a hash that is too "
	  "weak" },
	{ "X509_V_ERR_UNSUPPORTED_SIGNATURE_ALGORITHM",
	  "the certificate is signed in a way that is not known" },
	{ "X509_V_ERR_EC_KEY_EXPLICIT_PARAMS",
	  "the certificate's key is on a curve without a name" },
};

const char *
report_reason(const char *reason)
{
	size_t i;

	for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (strcmp(reasons[i].name, reason) == 0)
			return reasons[i].words;
	return NULL;
}
