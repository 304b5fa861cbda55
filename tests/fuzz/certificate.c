/*
 * Fuzz target: names in certificates (delivery/tls.c, delivery/dane.c), and
 * certificates that are none.
 *
 * The first line of the input is the host; each further line is a name of the
 * certificate, "CN=" before it: its common name.  Names are whatever octets
 * they are.  Then the whole input is taken for a certificate as it came over
 * the wire, and judged if the library takes it for one.
 *
 * A name that is believed is one of the certificate's: itself without regard
 * to case, or "*." before all but the first label of the host.
 */
#include "delivery/tls.h"

#include "conf/addr.h"

#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

int	LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len);

#define NAMES_MAX	16

static SSL_CTX *context;
static EVP_PKEY *key;

static void
demand(bool holds)
{
	if (!holds)
		abort();
}

static void
begin(void)
{
	unsigned anchors;

	if (context != NULL)
		return;
	context = tls_context(-1, &anchors);
	key = EVP_EC_gen("P-256");
	demand(key != NULL);
}

/* ---- the certificate ---- */

struct names {
	struct slice	at[NAMES_MAX];
	size_t		n;
	struct slice	common;
};

static void
add_names(X509 *certificate, const struct names *names)
{
	GENERAL_NAMES *list = GENERAL_NAMES_new();
	GENERAL_NAME *name;
	ASN1_IA5STRING *text;
	size_t i;

	for (i = 0; i < names->n; i++) {
		name = GENERAL_NAME_new();
		text = ASN1_IA5STRING_new();
		ASN1_STRING_set(text, names->at[i].at,
		    (int)names->at[i].len);
		GENERAL_NAME_set0_value(name, GEN_DNS, text);
		sk_GENERAL_NAME_push(list, name);
	}
	if (names->n > 0)
		X509_add1_ext_i2d(certificate, NID_subject_alt_name, list, 0,
		    0);
	GENERAL_NAMES_free(list);
}

static X509 *
make(const struct names *names)
{
	X509 *certificate = X509_new();

	X509_set_version(certificate, 2);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
	if (names->common.at != NULL)
		X509_NAME_add_entry_by_NID(
		    X509_get_subject_name(certificate), NID_commonName,
		    MBSTRING_ASC, (const uint8_t *)names->common.at,
		    (int)names->common.len, -1, 0);
	X509_set_issuer_name(certificate,
	    X509_get_subject_name(certificate));
	X509_set_pubkey(certificate, key);
	add_names(certificate, names);
	demand(X509_sign(certificate, key, EVP_sha256()) > 0);
	ERR_clear_error();
	return certificate;
}

/* ---- what may be believed ---- */

static bool
covers(struct slice name, struct slice host)
{
	struct slice rest = host;

	if (slice_equal_nocase(name, host))
		return true;
	slice_cut(&rest, '.');
	return rest.at != NULL && name.len > 2 && name.at[0] == '*' &&
	    name.at[1] == '.' && slice_equal_nocase((struct slice){
	    name.at + 2, name.len - 2 }, rest);
}

static bool
any_covers(const struct names *names, struct slice host)
{
	size_t i;

	for (i = 0; i < names->n; i++)
		if (covers(names->at[i], host))
			return true;
	return false;
}

/* STS-4.2-3, STS-4.2-4, STS-4.2-6; DANE-7672-3.2.3-1, DANE-7672-3.2.3-2 */
static void
check_names(const struct names *names, const struct domain *host)
{
	X509 *certificate = make(names);
	struct x509_defects pkix = { 0 };
	struct dane_verdict verdict;
	uint8_t record[4096], *at = record + 5;
	struct dane dane = { .base = host->name };
	int len = i2d_X509(certificate, NULL);
	struct slice name = slice_of(host->name);

	tls_judge(context, certificate, NULL, 1, host->name, &pkix);
	demand((pkix.set & CERT_NOT_TRUSTED) != 0);
	if ((pkix.set & CERT_HOST_MISMATCH) == 0)
		demand(any_covers(names, name));
	/* As its own anchor it is none; its names are looked at. */
	if (len > 0 && (size_t)len + 5 <= sizeof(record)) {
		record[0] = (uint8_t)((len + 3) & 0xff);
		record[1] = (uint8_t)((len + 3) >> 8);
		memcpy(record + 2, (uint8_t[]){ 2, 0, 0 }, 3);
		i2d_X509(certificate, &at);
		dane.records = (struct slice){ (const char *)record,
		    (size_t)len + 5 };
		dane_judge(context, certificate, NULL, 1, &dane, &verdict);
		demand(verdict.usable);
		if ((verdict.defects.set & CERT_HOST_MISMATCH) == 0 &&
		    !any_covers(names, name))
			demand(names->common.at != NULL &&
			    covers(names->common, name));
	}
	X509_free(certificate);
}

/* ---- any octets ---- */

static void
check_octets(const uint8_t *octets, size_t len)
{
	struct dane dane = { .base = "mx.example.com" };
	struct x509_defects pkix = { 0 };
	struct dane_verdict verdict;
	const uint8_t *at = octets;
	X509 *certificate = d2i_X509(NULL, &at, (long)len);

	ERR_clear_error();
	if (certificate == NULL)
		return;
	/* Nobody is trusted, so nothing is. */
	tls_judge(context, certificate, NULL, 2, "mx.example.com", &pkix);
	demand(pkix.set != 0 && pkix.errors_n > 0);
	dane.records = (struct slice){ (const char *)octets, len };
	dane_judge(context, certificate, NULL, 2, &dane, &verdict);
	if (verdict.usable)
		demand(verdict.defects.set != 0 ||
		    verdict.matched[0] != '\0');
	else
		demand(verdict.defects.set == 0);
	X509_free(certificate);
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len)
{
	struct slice rest = { (const char *)octets, len }, line;
	struct names names = { .n = 0 };
	struct domain host;
	bool is_host;

	begin();
	check_octets(octets, len);
	if (len == 0 || len > 2048)
		return 0;
	is_host = domain_parse(slice_cut(&rest, '\n'), &host) &&
	    host.name[0] != '\0' && !domain_is_literal(&host);
	while (rest.at != NULL && names.n < NAMES_MAX) {
		line = slice_cut(&rest, '\n');
		if (slice_begins(line, SLICE("CN=")))
			names.common = (struct slice){ line.at + 3,
			    line.len - 3 };
		else
			names.at[names.n++] = line;
	}
	if (is_host)
		check_names(&names, &host);
	return 0;
}
