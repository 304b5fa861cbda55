/*
 * What does TLS with this server prove?
 *
 * Called by main.c (begin), by the spawner (context) and by session.c in a
 * worker.  One floor in both directions: TLS 1.2 (ruling 17).  Where TLS is
 * required, TLS 1.2 offers forward secrecy with AEAD only and the library's
 * security level 2 (112 bits); elsewhere weaker keys are better than clear
 * text.
 *
 * It decides nothing: a set of defects goes to decide_session.  It resumes no
 * session, so that a proof is never older than its connection
 * (TLS-9325-3.4-2).
 */
#include "delivery/tls.h"

#include "conf/addr.h"
#include "conf/log.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* TLS-9325-4.1-1: nothing under 112 bits; TLS-9325-4.5-1 by level 2. */
#define SUITES_ANY	"DEFAULT:!aNULL:!eNULL:!LOW:!EXPORT:!RC4:!DES:!3DES:" \
	"!MD5:!PSK:!SRP:!kECDH:!kDH"
#define LEVEL_ANY	1
/* TLS-9325-4.1-2: forward secrecy, no finite-field DHE. */
#define SUITES_REQUIRED	"ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL"
#define LEVEL_REQUIRED	2

/*
 * The whole of fd as memory, whatever others do with its position; NULL:
 * unreadable or empty.  Until munmap of *len octets.
 */
static void *
map_bundle(int fd, size_t *len)
{
	struct stat status;
	void *octets;

	if (fstat(fd, &status) != 0 || status.st_size <= 0)
		return NULL;
	*len = (size_t)status.st_size;
	octets = mmap(NULL, *len, PROT_READ, MAP_PRIVATE, fd, 0);
	return octets != MAP_FAILED ? octets : NULL;
}

/* The next certificate of a bundle; false at its end. */
static bool
next_anchor(BIO *bio, X509 **certificate)
{
	do {
		ERR_clear_error();
		*certificate = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL);
		if (*certificate != NULL)
			return true;
		/* Not one of ours, or broken: the next may be good. */
	} while (ERR_GET_REASON(ERR_peek_last_error()) !=
	    PEM_R_NO_START_LINE);
	ERR_clear_error();
	return false;
}

static unsigned
load_anchors(X509_STORE *store, int fd)
{
	unsigned anchors = 0;
	X509 *certificate;
	size_t len;
	void *octets;
	BIO *bio;

	octets = map_bundle(fd, &len);
	if (octets == NULL)
		return 0;
	bio = BIO_new_mem_buf(octets, (int)len);
	if (bio == NULL)
		fatal("no memory for the CA bundle");
	while (next_anchor(bio, &certificate)) {
		if (X509_STORE_add_cert(store, certificate) == 1)
			anchors++;
		X509_free(certificate);
	}
	ERR_clear_error();
	BIO_free(bio);
	munmap(octets, len);
	return anchors;
}

SSL_CTX *
tls_context(int fd, unsigned *anchors)
{
	SSL_CTX *context;

	context = SSL_CTX_new(TLS_client_method());
	if (context == NULL)
		fatal("OpenSSL cannot begin");
	/* STS-7.2-1; TLS-9325-3.1.1-1, TLS-9325-3.1.1-2, TLS-9325-3.1.3-1 */
	if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_max_proto_version(context, 0) != 1)
		fatal("OpenSSL lacks TLS 1.2");
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION |
	    SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* Head and body of a record by one call; stream.c asks first. */
	SSL_CTX_set_read_ahead(context, 1);
	SSL_CTX_set_purpose(context, X509_PURPOSE_SSL_SERVER);
	*anchors = fd >= 0 ?
	    load_anchors(SSL_CTX_get_cert_store(context), fd) : 0;
	return context;
}

enum cert_defect
tls_defect(int error)
{
	switch (error) {
	/* STS-4.2-1 RFC 8461 4.2 */
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:	/* ruling 29 */
		return CERT_EXPIRED;
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return CERT_HOST_MISMATCH;
	/* STS-4.2-2 RFC 8461 4.2 */
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_CERT_REVOKED:
	case X509_V_ERR_NO_ISSUER_PUBLIC_KEY:
	case X509_V_ERR_PATH_LENGTH_EXCEEDED:
	case X509_V_ERR_INVALID_PURPOSE:
	case X509_V_ERR_INVALID_CA:
	case X509_V_ERR_EE_KEY_TOO_SMALL:
	case X509_V_ERR_CA_KEY_TOO_SMALL:
	case X509_V_ERR_CA_MD_TOO_WEAK:
		return CERT_NOT_TRUSTED;
	case X509_V_ERR_DANE_NO_MATCH:
		return CERT_DANE_NO_MATCH;
	default:
		return CERT_OTHER;
	}
}

static void
note_error(struct tls_proof *proof, int error)
{
	unsigned i;

	proof->cert |= tls_defect(error);
	for (i = 0; i < proof->errors_n; i++)
		if (proof->errors[i] == error)
			return;
	if (proof->errors_n < TLS_ERRORS_KEPT)
		proof->errors[proof->errors_n++] = error;
}

/* The library found a fault: note it and let it look for more. */
static int
on_verify(int good, X509_STORE_CTX *store)
{
	SSL *ssl;

	if (!good) {
		ssl = X509_STORE_CTX_get_ex_data(store,
		    SSL_get_ex_data_X509_STORE_CTX_idx());
		note_error(SSL_get_app_data(ssl),
		    X509_STORE_CTX_get_error(store));
	}
	return 1;
}

/*
 * Which name is it?  STS-4.2-3, STS-4.2-5: the MX host's.  STS-4.2-4: a
 * common name is no name; STS-4.2-6: a wildcard is one whole label.  An
 * address literal is compared with addresses, and has no SNI (RFC 6066 3).
 */
static bool
set_name(SSL *ssl, const char *host)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	struct domain domain;
	struct address address;

	X509_VERIFY_PARAM_set_hostflags(param,
	    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
	    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	if (domain_parse(slice_of(host), &domain) &&
	    domain_literal_address(&domain, &address))
		return X509_VERIFY_PARAM_set1_ip(param, address.ip,
		    address.family == 4 ? 4 : 16) == 1;
	/* STS-7.1-1, STS-7.1-3 */
	return SSL_set_tlsext_host_name(ssl, host) == 1 &&
	    X509_VERIFY_PARAM_set1_host(param, host, 0) == 1;
}

SSL *
tls_new(SSL_CTX *context, const char *host, bool required,
    struct tls_proof *proof)
{
	SSL *ssl;

	*proof = (struct tls_proof){ 0 };
	ssl = SSL_new(context);
	if (ssl == NULL)
		fatal("no memory for TLS");
	SSL_set_app_data(ssl, proof);
	SSL_set_verify(ssl, SSL_VERIFY_PEER, on_verify);
	SSL_set_security_level(ssl, required ? LEVEL_REQUIRED : LEVEL_ANY);
	if (SSL_set_cipher_list(ssl,
	    required ? SUITES_REQUIRED : SUITES_ANY) != 1)
		bug("no suites for TLS");
	if (!set_name(ssl, host))
		bug("no name for TLS with \"%s\"", host);
	return ssl;
}

/* "not-trusted (self-signed certificate), expired (...)", cut at the room. */
static void
print_defects(struct tls_proof *proof)
{
	size_t len = 0, size = sizeof(proof->certificate);
	const char *name;
	unsigned i;

	for (i = 0; i < proof->errors_n && len < size; i++) {
		switch (tls_defect(proof->errors[i])) {
		case CERT_EXPIRED:
			name = "expired";
			break;
		case CERT_HOST_MISMATCH:
			name = "host-mismatch";
			break;
		case CERT_NOT_TRUSTED:
			name = "not-trusted";
			break;
		case CERT_DANE_NO_MATCH:
			name = "dane-no-match";
			break;
		default:
			name = "other";
		}
		len += (size_t)snprintf(proof->certificate + len, size - len,
		    "%s%s (%s)", i > 0 ? ", " : "", name,
		    X509_verify_cert_error_string(proof->errors[i]));
	}
}

void
tls_prove(SSL *ssl, struct tls_proof *proof)
{
	/* DANE-7671-5.3-1: no certificate proves nothing. */
	if (SSL_get0_peer_certificate(ssl) == NULL)
		note_error(proof, X509_V_ERR_UNSPECIFIED);
	snprintf(proof->version, sizeof(proof->version), "%s",
	    SSL_get_version(ssl));
	snprintf(proof->cipher, sizeof(proof->cipher), "%s",
	    SSL_get_cipher_name(ssl));
	if (proof->cert == 0)
		snprintf(proof->certificate, sizeof(proof->certificate),
		    "valid");
	else
		print_defects(proof);
}

bool
tls_reason(char *text, size_t size)
{
	unsigned long error = ERR_get_error();
	const char *reason = ERR_reason_error_string(error);
	bool eof;

	eof = ERR_GET_LIB(error) == ERR_LIB_SSL &&
	    ERR_GET_REASON(error) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
	if (eof)
		reason = "connection closed by the peer";
	snprintf(text, size, "%s", reason != NULL ? reason : "TLS failed");
	ERR_clear_error();
	return eof;
}

/* A key and a certificate of our own, for as long as the warm-up takes. */
static X509 *
make_certificate(EVP_PKEY *key)
{
	X509 *certificate;
	X509_NAME *name;

	certificate = X509_new();
	if (certificate == NULL)
		fatal("no memory for TLS");
	X509_set_version(certificate, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
	name = X509_get_subject_name(certificate);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
	    (const unsigned char *)"warm.invalid", -1, -1, 0);
	X509_set_issuer_name(certificate, name);
	X509_set_pubkey(certificate, key);
	if (X509_sign(certificate, key, EVP_sha256()) == 0)
		fatal("OpenSSL cannot sign");
	return certificate;
}

/* Both sides in turn over memory until they agree. */
static void
shake_hands(SSL *client, SSL *server)
{
	BIO *one, *other;
	char octet = 'x';
	unsigned turns;

	if (BIO_new_bio_pair(&one, 0, &other, 0) != 1)
		fatal("no memory for TLS");
	SSL_set_bio(client, one, one);
	SSL_set_bio(server, other, other);
	SSL_set_accept_state(server);
	for (turns = 0; turns < 20; turns++)
		if ((SSL_connect(client) == 1) & (SSL_accept(server) == 1))
			break;
	if (SSL_write(client, &octet, 1) != 1 ||
	    SSL_read(server, &octet, 1) != 1)
		fatal("TLS does not work with itself");
	SSL_shutdown(client);
}

void
tls_begin(void)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	SSL_CTX *context, *serving;
	struct tls_proof proof;
	X509 *certificate;
	EVP_PKEY *key;
	SSL *client, *server;
	char text[100];
	unsigned i;

	OPENSSL_init_ssl(OPENSSL_INIT_LOAD_CONFIG |
	    OPENSSL_INIT_LOAD_SSL_STRINGS | OPENSSL_INIT_LOAD_CRYPTO_STRINGS,
	    NULL);
	context = tls_context(-1, &i);
	key = EVP_EC_gen("P-256");
	serving = SSL_CTX_new(TLS_server_method());
	if (key == NULL || serving == NULL)
		fatal("no memory for TLS");
	certificate = make_certificate(key);
	SSL_CTX_use_certificate(serving, certificate);
	SSL_CTX_use_PrivateKey(serving, key);
	for (i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		SSL_CTX_set_max_proto_version(serving, versions[i]);
		client = tls_new(context, "warm.invalid", i == 0, &proof);
		server = SSL_new(serving);
		if (server == NULL)
			fatal("no memory for TLS");
		shake_hands(client, server);
		tls_prove(client, &proof);
		SSL_free(client);
		SSL_free(server);
	}
	/* Texts of errors, too, are made at their first use. */
	ERR_raise(ERR_LIB_SSL, SSL_R_WRONG_VERSION_NUMBER);
	tls_reason(text, sizeof(text));
	SSL_CTX_free(context);
	SSL_CTX_free(serving);
	X509_free(certificate);
	EVP_PKEY_free(key);
}
