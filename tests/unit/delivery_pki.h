/*
 * Certificates made on the spot, for the tests of delivery that speak TLS.
 * Keys are P-256 unless told; nothing is written to disk.
 */
#ifndef CULVER_TESTS_DELIVERY_PKI_H
#define CULVER_TESTS_DELIVERY_PKI_H

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PKI_DAY	86400

struct pki_entity {
	EVP_PKEY	*key;
	X509		*certificate;
};

/* What a certificate is to say; a zeroed one is a good leaf without names. */
struct pki_wish {
	const char	*common_name;	/* "test" when NULL */
	const char	*names;		/* subjectAltName, or NULL */
	const char	*constraints;	/* basicConstraints, or NULL */
	const char	*purpose;	/* extendedKeyUsage, or NULL */
	const char	*permitted;	/* nameConstraints, or NULL */
	long		 from_days, to_days;	/* 0, 0: -1 to 30 */
	int		 rsa_bits;	/* 0: P-256 */
	int		 broken;	/* its signature does not hold */
	const EVP_MD	*digest;	/* NULL: SHA-256 */
};

static inline void
pki_add(X509 *certificate, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *extension;
	X509V3_CTX context;

	if (value == NULL)
		return;
	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	if (extension == NULL)
		abort();
	X509_add_ext(certificate, extension, -1);
	X509_EXTENSION_free(extension);
}

/* Make one, signed by issuer (NULL: by itself). */
static inline struct pki_entity
pki_make(const struct pki_wish *wish, const struct pki_entity *issuer)
{
	static long serial;
	struct pki_entity made;
	ASN1_BIT_STRING *signature;
	X509_NAME *name;

	made.key = wish->rsa_bits > 0 ? EVP_RSA_gen(wish->rsa_bits) :
	    EVP_EC_gen("P-256");
	made.certificate = X509_new();
	X509_set_version(made.certificate, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(made.certificate), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(made.certificate),
	    (wish->to_days == 0 ? -1 : wish->from_days) * PKI_DAY);
	X509_gmtime_adj(X509_getm_notAfter(made.certificate),
	    (wish->to_days == 0 ? 30 : wish->to_days) * PKI_DAY);
	name = X509_get_subject_name(made.certificate);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
	    (const unsigned char *)(wish->common_name != NULL ?
	    wish->common_name : "test"), -1, -1, 0);
	X509_set_issuer_name(made.certificate, issuer != NULL ?
	    X509_get_subject_name(issuer->certificate) : name);
	X509_set_pubkey(made.certificate, made.key);
	pki_add(made.certificate, issuer != NULL ? issuer->certificate :
	    made.certificate, NID_subject_alt_name, wish->names);
	pki_add(made.certificate, NULL, NID_basic_constraints,
	    wish->constraints);
	pki_add(made.certificate, NULL, NID_ext_key_usage, wish->purpose);
	pki_add(made.certificate, NULL, NID_name_constraints,
	    wish->permitted);
	if (X509_sign(made.certificate, issuer != NULL ? issuer->key :
	    made.key, wish->digest != NULL ? wish->digest : EVP_sha256()) == 0)
		abort();
	if (wish->broken) {
		X509_get0_signature((const ASN1_BIT_STRING **)&signature,
		    NULL, made.certificate);
		signature->data[signature->length - 1] ^= 1;
	}
	return made;
}

static inline void
pki_free(struct pki_entity *entity)
{
	X509_free(entity->certificate);
	EVP_PKEY_free(entity->key);
}

/* A bundle of certificates as a descriptor, as the parent passes it. */
static inline int
pki_bundle(const struct pki_entity *entities, size_t n)
{
	int fd = memfd_create("bundle", 0);
	FILE *file = fdopen(dup(fd), "w");
	size_t i;

	if (file == NULL)
		abort();
	fprintf(file, "a comment before\n\n");
	for (i = 0; i < n; i++)
		PEM_write_X509(file, entities[i].certificate);
	fclose(file);
	return fd;
}

/* A server that shows this leaf, and what of the chain is not NULL. */
static inline SSL_CTX *
pki_server(const struct pki_entity *leaf, X509 *chain)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());

	SSL_CTX_set_security_level(context, 0);
	SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE);
	if (SSL_CTX_use_certificate(context, leaf->certificate) != 1 ||
	    SSL_CTX_use_PrivateKey(context, leaf->key) != 1)
		abort();
	if (chain != NULL)
		SSL_CTX_add1_chain_cert(context, chain);
	return context;
}

#endif
