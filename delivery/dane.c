/*
 * Does this server's certificate fit its TLSA records?
 *
 * Called by tls.c after a handshake.  The comparison is OpenSSL's own DANE
 * (RFC 6698, RFC 7671), driven as RFC 7672 wants it for mail: usages DANE-TA
 * and DANE-EE alone, no look at names and dates under DANE-EE, the TLSA base
 * domain and the next hop as names under DANE-TA.  The public CAs have no say
 * here (DANE-7672-3.2-1); what they would say tls.c finds out beside.
 *
 * Records come from policy, which found them secure; whether the host may be
 * used is decided by decide_session.
 */
#include "delivery/dane.h"

#include "conf/log.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

enum usage { USAGE_TA = 2, USAGE_EE = 3 };
enum matching { MATCHING_FULL, MATCHING_SHA256, MATCHING_SHA512 };

void
dane_begin(SSL_CTX *context)
{
	if (SSL_CTX_dane_enable(context) != 1)
		fatal("OpenSSL lacks DANE");
}

/* ---- which records count ---- */

bool
dane_next(struct slice *rest, struct slice *rdata)
{
	const uint8_t *octets = (const uint8_t *)rest->at;
	size_t len;

	if (rest->len < 2)
		return false;
	len = octets[0] + 256u * octets[1];
	if (len > rest->len - 2)
		return false;
	*rdata = (struct slice){ rest->at + 2, len };
	rest->at += 2 + len;
	rest->len -= 2 + len;
	return true;
}

/*
 * The usages that mail knows, and digests of their length
 * (DANE-7672-3.1.3-1, DANE-7671-4.1-1).  Whether a full certificate or key is
 * one, the library finds out.
 */
static bool
is_usable(struct slice rdata)
{
	const uint8_t *octets = (const uint8_t *)rdata.at;

	if (rdata.len < 4 || octets[1] > 1 ||
	    (octets[0] != USAGE_TA && octets[0] != USAGE_EE))
		return false;
	switch (octets[2]) {
	case MATCHING_FULL:
		return true;
	case MATCHING_SHA256:
		return rdata.len == 3 + 32;
	case MATCHING_SHA512:
		return rdata.len == 3 + 64;
	}
	return false;
}

/* DANE-7671-9-3: SHA-512 ranks above SHA-256, as their numbers do. */
void
dane_weigh(struct slice records, struct dane_digests *digests)
{
	const uint8_t *octets;
	struct slice rdata;
	uint8_t *strongest;

	*digests = (struct dane_digests){ { { 0 } } };
	while (dane_next(&records, &rdata)) {
		if (!is_usable(rdata))
			continue;
		octets = (const uint8_t *)rdata.at;
		strongest = &digests->strongest[octets[0] - USAGE_TA]
		    [octets[1]];
		if (octets[2] > *strongest)
			*strongest = octets[2];
	}
}

bool
dane_counts(const struct dane_digests *digests, struct slice rdata)
{
	const uint8_t *octets = (const uint8_t *)rdata.at;

	return is_usable(rdata) && (octets[2] == MATCHING_FULL ||
	    octets[2] == digests->strongest[octets[0] - USAGE_TA][octets[1]]);
}

/* ---- what the library is told ---- */

/*
 * One that matches is enough (DANE-6698-A.3-1 RFC 6698 A.3): under selector 1
 * its key, whatever the certificate around it (DANE-7671-5.1-1 RFC 7671 5.1).
 * A whole anchor serves where the server does not send it (DANE-7671-5.2-1
 * RFC 7671 5.2).  False: no record can be compared.
 */
static bool
add_records(SSL *ssl, struct slice records)
{
	struct dane_digests digests;
	const uint8_t *octets;
	struct slice rdata;
	bool any = false;
	int added;

	dane_weigh(records, &digests);
	while (dane_next(&records, &rdata)) {
		if (!dane_counts(&digests, rdata))
			continue;
		octets = (const uint8_t *)rdata.at;
		added = SSL_dane_tlsa_add(ssl, octets[0], octets[1],
		    octets[2], octets + 3, rdata.len - 3);
		/* 0: it does not decode, and is as unusable as others. */
		any |= added > 0;
		ERR_clear_error();
		if (added < 0)
			fatal("no memory for TLSA records");
	}
	return any;
}

/*
 * What usage DANE-TA asks for: DANE-7672-3.2.2-1, DANE-7672-3.2.2-2,
 * DANE-7672-3.2.2-3, DANE-7672-3.2.2-5 RFC 7672 3.2.2, each name as good as
 * another; DANE-7672-3.2.3-1, DANE-7672-3.2.3-2: a wildcard is one whole
 * label, and a common name counts where there is no other.  Each is compared
 * as a name, and what is none fits no certificate.
 */
static void
set_names(SSL *ssl, const struct dane *dane)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	size_t i;

	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	for (i = 0; i < sizeof(dane->others) / sizeof(dane->others[0]); i++)
		if (dane->others[i] != NULL && dane->others[i][0] != '\0')
			X509_VERIFY_PARAM_add1_host(param, dane->others[i],
			    0);
}

/*
 * A session that is never made: it holds what the comparison needs.
 * DANE-7672-3.1.1-1, DANE-7672-3.1.1-2 RFC 7672 3.1.1: under DANE-EE neither
 * names nor dates; the library looks at no date there either.
 */
static SSL *
make_holder(SSL_CTX *context, const struct dane *dane)
{
	SSL *ssl = SSL_new(context);

	if (ssl == NULL)
		fatal("no memory for TLS");
	if (dane->base[0] == '\0' || SSL_dane_enable(ssl, dane->base) != 1)
		bug("no TLSA base domain: \"%s\"", dane->base);
	SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	set_names(ssl, dane);
	return ssl;
}

/* ---- what comes of it ---- */

/* "3 1 1 0b9fa5a5...": enough to find it among its like. */
static void
print_match(SSL *ssl, char *text, size_t size)
{
	uint8_t usage, selector, matching;
	unsigned char const *data;
	size_t data_len, i;
	int len;

	if (SSL_get0_dane_tlsa(ssl, &usage, &selector, &matching, &data,
	    &data_len) < 0)
		return;
	len = snprintf(text, size, "%u %u %u ", usage, selector, matching);
	for (i = 0; i < 4 && i < data_len; i++)
		len += snprintf(text + len, size - (size_t)len, "%02x",
		    data[i]);
	if (data_len > 4)
		snprintf(text + len, size - (size_t)len, "...");
}

/*
 * Where no record matches, the library goes on to find that nobody vouches
 * for the chain: that is the same once more.
 */
static bool
is_lack_of_match(int error)
{
	switch (error) {
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		return true;
	}
	return false;
}

static void
tidy(const struct x509_defects *found, struct x509_defects *defects)
{
	unsigned i;

	if ((found->set & CERT_DANE_NO_MATCH) == 0) {
		*defects = *found;
		return;
	}
	for (i = 0; i < found->errors_n; i++)
		if (!is_lack_of_match(found->errors[i]))
			x509_note(defects, found->errors[i]);
}

/*
 * DANE-7672-3.1.2-1, DANE-7672-3.1.2-2, DANE-7672-3.1.2-3 RFC 7672 3.1.2: the
 * chain up to the anchor as any other, with the anchor's own constraints.
 */
static void
compare(SSL_CTX *context, SSL *holder, X509 *leaf, STACK_OF(X509) *chain,
    int level, struct x509_defects *defects)
{
	X509_STORE_CTX *store = X509_STORE_CTX_new();
	struct x509_defects found = { 0 };
	X509_VERIFY_PARAM *param;

	if (store == NULL || X509_STORE_CTX_init(store,
	    SSL_CTX_get_cert_store(context), leaf, chain) != 1)
		fatal("no memory for a chain");
	X509_STORE_CTX_set0_dane(store, SSL_get0_dane(holder));
	X509_STORE_CTX_set_default(store, "ssl_server");
	param = X509_STORE_CTX_get0_param(store);
	if (X509_VERIFY_PARAM_set1(param, SSL_get0_param(holder)) != 1)
		fatal("no memory for a chain");
	X509_VERIFY_PARAM_set_auth_level(param, level);
	x509_collect(store, &found);
	X509_STORE_CTX_free(store);
	tidy(&found, defects);
}

void
dane_judge(SSL_CTX *context, X509 *leaf, STACK_OF(X509) *chain, int level,
    const struct dane *dane, struct dane_verdict *verdict)
{
	SSL *holder = make_holder(context, dane);

	*verdict = (struct dane_verdict){ .usable = false };
	/* Without a record that is added the library would ask the CAs. */
	verdict->usable = add_records(holder, dane->records);
	if (verdict->usable) {
		compare(context, holder, leaf, chain, level,
		    &verdict->defects);
		print_match(holder, verdict->matched,
		    sizeof(verdict->matched));
		/* Nothing wrong, and yet nothing that matched: no proof. */
		if (verdict->matched[0] == '\0')
			x509_note(&verdict->defects,
			    X509_V_ERR_DANE_NO_MATCH);
	}
	SSL_free(holder);
}
