/*
 * What does TLS with this server prove?
 *
 * Called by main.c (begin), by the spawner (context) and by session.c in a
 * worker.  One floor in both directions: TLS 1.2 (ruling 17).  Where TLS is
 * required, TLS 1.2 offers forward secrecy only, and the library's security
 * level is 2 (112 bits); elsewhere weaker keys are better than clear text.
 * What would not do where it is required is a defect in either case
 * (ruling 10: mode testing counts what enforce would refuse).
 *
 * What a certificate proves to the public CAs is found out here, what to DANE
 * in dane.c, always both where there are TLSA records.  It decides nothing:
 * sets of defects go to decide_session.  It resumes no session, so that a
 * proof is never older than its connection (TLS-9325-3.4-2).
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

/*
 * TLS-9325-4.1-2 RFC 9325 4.1: forward secrecy by ECDHE; no static RSA or DH,
 * no finite-field DHE.  RFC 9325 4.2 recommends AEAD, and so CBC comes last;
 * with SHA-2 it is forbidden nowhere, and a host that has nothing better is
 * not to lose its mail.
 */
#define SUITES_STRONG	"ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES+SHA256:" \
	"ECDHE+AES+SHA384"
#define SUITES_REQUIRED	SUITES_STRONG ":!aNULL"
#define LEVEL_REQUIRED	2
/*
 * The same first, then what else is not broken.  TLS-9325-4.1-1: nothing
 * under 112 bits; TLS-9325-4.5-1 by level 2.
 */
#define SUITES_ANY	SUITES_STRONG ":ALL:!COMPLEMENTOFDEFAULT:!aNULL:" \
	"!eNULL:!LOW:!EXPORT:!RC4:!DES:!3DES:!MD5:!PSK:!SRP:!kECDH:!kDH"
#define LEVEL_ANY	1

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

/*
 * The handshake itself judges nobody: tls_prove does, so that what was wrong
 * is known in full, and by each way of judging apart; and where nobody asks
 * for a proof, none stops the mail (DANE-7672-1.3-1 RFC 7672 1.3).
 */
static int
leave_for_later(X509_STORE_CTX *store, void *context)
{
	(void)store;
	(void)context;
	return 1;
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
	/*
	 * TLS-9325-3.10-1 RFC 9325 3.10: no session is kept, so that there is
	 * none under which data could be sent early (0-RTT).
	 */
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION |
	    SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* Head and body of a record by one call; stream.c asks first. */
	SSL_CTX_set_read_ahead(context, 1);
	SSL_CTX_set_cert_verify_callback(context, leave_for_later, NULL);
	dane_begin(context);
	*anchors = fd >= 0 ?
	    load_anchors(SSL_CTX_get_cert_store(context), fd) : 0;
	return context;
}

/*
 * SNI: STS-7.1-1, STS-7.1-3 the host's name; DANE-7672-8.1-1 RFC 7672 8.1 the
 * TLSA base domain.  An address literal has none (RFC 6066 3).
 */
static bool
set_sni(SSL *ssl, const struct tls_about *about)
{
	const char *name = about->dane != NULL ? about->dane->base :
	    about->host;

	return name[0] == '[' || SSL_set_tlsext_host_name(ssl, name) == 1;
}

SSL *
tls_new(SSL_CTX *context, const struct tls_about *about)
{
	SSL *ssl;

	ssl = SSL_new(context);
	if (ssl == NULL)
		fatal("no memory for TLS");
	/* DANE-7672-8.2-1 RFC 7672 8.2: nothing anonymous in either. */
	SSL_set_security_level(ssl,
	    about->required ? LEVEL_REQUIRED : LEVEL_ANY);
	if (SSL_set_cipher_list(ssl,
	    about->required ? SUITES_REQUIRED : SUITES_ANY) != 1)
		bug("no suites for TLS");
	if (!set_sni(ssl, about))
		bug("no name for TLS with \"%s\"", about->host);
	return ssl;
}

/*
 * Which name is it?  STS-4.2-3, STS-4.2-5: the MX host's; of a relay that is
 * given in brackets the one that is written there, whatever DNS makes of it
 * (TLS-7817-3-1 RFC 7817 3).  STS-4.2-4: a common name is no name; STS-4.2-6:
 * a wildcard is one whole label.  An address literal is compared with
 * addresses.
 */
static bool
set_name(X509_VERIFY_PARAM *param, const char *host)
{
	struct domain domain;
	struct address address;

	X509_VERIFY_PARAM_set_hostflags(param,
	    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
	    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	/* Without a final dot, which the library would compare. */
	if (!domain_parse(slice_of(host), &domain))
		return false;
	if (domain_literal_address(&domain, &address))
		return X509_VERIFY_PARAM_set1_ip(param, address.ip,
		    address.family == 4 ? 4 : 16) == 1;
	return X509_VERIFY_PARAM_set1_host(param, domain.name, 0) == 1;
}

void
tls_judge(SSL_CTX *context, X509 *leaf, STACK_OF(X509) *chain, int level,
    const char *host, struct x509_defects *defects)
{
	X509_STORE_CTX *store = X509_STORE_CTX_new();
	X509_VERIFY_PARAM *param;

	if (store == NULL || X509_STORE_CTX_init(store,
	    SSL_CTX_get_cert_store(context), leaf, chain) != 1)
		fatal("no memory for a chain");
	X509_STORE_CTX_set_default(store, "ssl_server");
	param = X509_STORE_CTX_get0_param(store);
	X509_VERIFY_PARAM_set_auth_level(param, level);
	/* What is no name no certificate bears. */
	if (!set_name(param, host))
		x509_note(defects, X509_V_ERR_HOSTNAME_MISMATCH);
	x509_collect(store, defects);
	X509_STORE_CTX_free(store);
}

/* DANE-7671-5.3-1: no certificate proves nothing. */
static void
judge(SSL *ssl, const struct tls_about *about, struct tls_proof *proof)
{
	SSL_CTX *context = SSL_get_SSL_CTX(ssl);
	X509 *leaf = SSL_get0_peer_certificate(ssl);
	STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl);

	if (leaf == NULL) {
		x509_note(&proof->pkix, X509_V_ERR_UNSPECIFIED);
		proof->dane.usable = about->dane != NULL;
		if (proof->dane.usable)
			x509_note(&proof->dane.defects,
			    X509_V_ERR_DANE_NO_MATCH);
		return;
	}
	tls_judge(context, leaf, chain, LEVEL_REQUIRED, about->host,
	    &proof->pkix);
	if (about->dane != NULL)
		dane_judge(context, leaf, chain, LEVEL_REQUIRED, about->dane,
		    &proof->dane);
}

/* Would the suite do where TLS is required? */
static bool
has_strong_suite(SSL *ssl)
{
	SSL *strong = SSL_new(SSL_get_SSL_CTX(ssl));
	bool has;

	if (strong == NULL)
		fatal("no memory for TLS");
	if (SSL_set_cipher_list(strong, SUITES_REQUIRED) != 1)
		bug("no suites for TLS");
	has = sk_SSL_CIPHER_find(SSL_get_ciphers(strong),
	    SSL_get_current_cipher(ssl)) >= 0;
	SSL_free(strong);
	return has;
}

static void
print_defects(const struct tls_proof *proof, bool strong, char *text,
    size_t size)
{
	int len = 0;

	if (!strong)
		len = snprintf(text, size, "weak suite %s%s", proof->cipher,
		    proof->pkix.errors_n > 0 ? ", " : "");
	if (proof->pkix.errors_n > 0)
		x509_print(proof->pkix.errors, proof->pkix.errors_n,
		    text + len, size - (size_t)len);
	else if (strong)
		snprintf(text, size, "valid");
}

/*
 * TLS-9325-5.2-1 RFC 9325 5.2: what is too weak where TLS is required proves
 * nothing elsewhere either.
 */
static void
note_suite(struct tls_proof *proof)
{
	x509_note(&proof->pkix, X509_V_ERR_APPLICATION_VERIFICATION);
	if (proof->dane.usable)
		x509_note(&proof->dane.defects,
		    X509_V_ERR_APPLICATION_VERIFICATION);
}

void
tls_prove(SSL *ssl, const struct tls_about *about, struct tls_proof *proof)
{
	bool strong;

	*proof = (struct tls_proof){ .pkix.set = 0 };
	snprintf(proof->version, sizeof(proof->version), "%s",
	    SSL_get_version(ssl));
	snprintf(proof->cipher, sizeof(proof->cipher), "%s",
	    SSL_get_cipher_name(ssl));
	judge(ssl, about, proof);
	strong = has_strong_suite(ssl);
	print_defects(proof, strong, proof->certificate,
	    sizeof(proof->certificate));
	if (!strong)
		note_suite(proof);
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

/* A handshake with ourselves, and both judgements on it. */
static void
warm_up(SSL_CTX *context, SSL_CTX *serving, bool required)
{
	/* 3 0 1, a digest that nothing has */
	static const char record[2 + 3 + 32] = { 35, 0, 3, 0, 1 };
	static const struct dane dane = {
		.records = { record, sizeof(record) }, .base = "warm.invalid"
	};
	struct tls_about about = { "warm.invalid", required, &dane };
	struct tls_proof proof;
	SSL *client, *server;

	client = tls_new(context, &about);
	server = SSL_new(serving);
	if (server == NULL)
		fatal("no memory for TLS");
	shake_hands(client, server);
	tls_prove(client, &about, &proof);
	SSL_free(client);
	SSL_free(server);
}

void
tls_begin(void)
{
	SSL_CTX *context, *serving;
	X509 *certificate;
	EVP_PKEY *key;
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
	SSL_CTX_set_max_proto_version(serving, TLS1_2_VERSION);
	warm_up(context, serving, true);
	SSL_CTX_set_max_proto_version(serving, TLS1_3_VERSION);
	warm_up(context, serving, false);
	/* Texts of errors, too, are made at their first use. */
	ERR_raise(ERR_LIB_SSL, SSL_R_WRONG_VERSION_NUMBER);
	tls_reason(text, sizeof(text));
	SSL_CTX_free(context);
	SSL_CTX_free(serving);
	X509_free(certificate);
	EVP_PKEY_free(key);
}
