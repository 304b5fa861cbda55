/*
 * TLS towards mail servers (delivery/tls.c): what a certificate proves, which
 * versions and suites are taken, which names are compared.
 *
 * Both sides run in this program, over memory.  A row is a certificate that
 * the server shows, the MX name it is judged for, and the defects that must
 * be seen: all of them, not the first (ruling 29).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "delivery/tls.h"

#include "delivery_pki.h"

#define N(array)	(sizeof(array) / sizeof((array)[0]))

#define TRUST	CERT_NOT_TRUSTED
#define DATES	CERT_EXPIRED
#define NAME	CERT_HOST_MISMATCH
#define OTHER	CERT_OTHER

/* Root and intermediate that are trusted, a root that is not. */
static struct {
	struct pki_entity	root, middle, stranger, leaf_ca, short_ca,
				named_ca;
	SSL_CTX			*client;
	SSL_CTX			*client_bare;	/* trusts nobody */
} world;

enum signer { BY_ROOT, BY_MIDDLE, BY_MIDDLE_UNSENT, BY_STRANGER, BY_ITSELF,
	BY_LEAF, BY_SHORT, BY_NAMED };

static const struct pki_entity *
signer_of(enum signer signer)
{
	switch (signer) {
	case BY_ROOT:
		return &world.root;
	case BY_MIDDLE:
	case BY_MIDDLE_UNSENT:
		return &world.middle;
	case BY_STRANGER:
		return &world.stranger;
	case BY_LEAF:
		return &world.leaf_ca;
	case BY_SHORT:
		return &world.short_ca;
	case BY_NAMED:
		return &world.named_ca;
	default:
		return NULL;
	}
}

static X509 *
sent_chain(enum signer signer)
{
	switch (signer) {
	case BY_MIDDLE:
	case BY_STRANGER:
	case BY_LEAF:
	case BY_SHORT:
	case BY_NAMED:
		return signer_of(signer)->certificate;
	default:
		return NULL;
	}
}

/* Both in turn; true: both agree. */
static bool
shake(SSL *client, SSL *server)
{
	BIO *one, *other;
	unsigned turns;
	int done = 0;

	BIO_new_bio_pair(&one, 0, &other, 0);
	SSL_set_bio(client, one, one);
	SSL_set_bio(server, other, other);
	for (turns = 0; turns < 20 && done != 2; turns++)
		done = (SSL_connect(client) == 1) + (SSL_accept(server) == 1);
	return done == 2;
}

struct row {
	const char	*what;
	struct pki_wish	 wish;
	enum signer	 by;
	const char	*host;		/* NULL: mx.example.com */
	unsigned	 cert;		/* the defects that must be seen */
	const char	*says;		/* within `certificate` */
};
struct group {
	const struct row	*rows;
	size_t			 n;
};

static void
try_row(const struct row *row, bool required)
{
	struct pki_entity leaf = pki_make(&row->wish, signer_of(row->by));
	SSL_CTX *serving = pki_server(&leaf, sent_chain(row->by));
	SSL *server = SSL_new(serving), *client;
	struct tls_proof proof;
	struct tls_about about = { row->host != NULL ? row->host :
	    "mx.example.com", required, NULL };

	client = tls_new(world.client, &about);
	if (!shake(client, server)) {
		print_error("%s: no handshake\n", row->what);
		fail();
	}
	tls_prove(client, &about, &proof);
	if (proof.pkix.set != row->cert) {
		print_error("%s: %#x instead of %#x (%s)\n", row->what,
		    proof.pkix.set, row->cert, proof.certificate);
		fail();
	}
	if (row->says != NULL && strstr(proof.certificate, row->says) == NULL) {
		print_error("%s: [%s]\n", row->what, proof.certificate);
		fail();
	}
	if (row->cert == 0)
		assert_string_equal(proof.certificate, "valid");
	assert_string_equal(proof.version, "TLSv1.3");
	SSL_free(client);
	SSL_free(server);
	SSL_CTX_free(serving);
	pki_free(&leaf);
}

/* Under either set of suites the certificate is judged the same. */
static void
test_rows(void **state)
{
	const struct group *group = *state;
	size_t i;

	for (i = 0; i < group->n; i++) {
		try_row(&group->rows[i], false);
		try_row(&group->rows[i], true);
	}
}

#define MX	"DNS:mx.example.com"

static const struct row good[] = {
	{ "by the root", { .names = MX }, BY_ROOT, NULL, 0, NULL },
	{ "by an intermediate", { .names = MX }, BY_MIDDLE, NULL, 0, NULL },
	{ "one of several names", { .names = "DNS:a.example.com," MX
	    ",DNS:b.example.com" }, BY_ROOT, NULL, 0, NULL },
	{ "upper case in the certificate", { .names = "DNS:MX.Example.COM" },
	    BY_ROOT, NULL, 0, NULL },
	{ "upper case of the host", { .names = MX }, BY_ROOT,
	    "MX.EXAMPLE.COM", 0, NULL },
	{ "a final dot of the host", { .names = MX }, BY_ROOT,
	    "mx.example.com.", 0, NULL },
	{ "an A-label in upper case", { .names =
	    "DNS:mx.XN--BCHER-KVA.example" }, BY_ROOT,
	    "mx.xn--bcher-kva.example", 0, NULL },
	{ "an underscore", { .names = "DNS:_mx.example.com" }, BY_ROOT,
	    "_mx.example.com", 0, NULL },
	{ "serverAuth", { .names = MX, .purpose = "serverAuth" }, BY_ROOT,
	    NULL, 0, NULL },
	{ "server and client", { .names = MX,
	    .purpose = "clientAuth,serverAuth" }, BY_ROOT, NULL, 0, NULL },
	{ "RSA", { .names = MX, .rsa_bits = 2048 }, BY_ROOT, NULL, 0, NULL },
	{ "the last day", { .names = MX, .from_days = -30, .to_days = 1 },
	    BY_ROOT, NULL, 0, NULL },
	{ "an A-label", { .names = "DNS:mx.xn--bcher-kva.example" }, BY_ROOT,
	    "mx.xn--bcher-kva.example", 0, NULL },
};

static const struct row dates[] = {
	{ "expired", { .names = MX, .from_days = -30, .to_days = -1 },
	    BY_ROOT, NULL, DATES, "expired (certificate has expired)" },
	{ "not yet valid", { .names = MX, .from_days = 1, .to_days = 30 },
	    BY_ROOT, NULL, DATES, "not yet valid" },
	{ "expired long ago", { .names = MX, .from_days = -9000,
	    .to_days = -8000 }, BY_ROOT, NULL, DATES, NULL },
};

static const struct row trust[] = {
	{ "unknown CA", { .names = MX }, BY_STRANGER, NULL, TRUST,
	    "not-trusted" },
	{ "self-signed", { .names = MX }, BY_ITSELF, NULL, TRUST,
	    "self-signed" },
	{ "intermediate missing", { .names = MX }, BY_MIDDLE_UNSENT, NULL,
	    TRUST, "not-trusted" },
	{ "signed by a leaf", { .names = MX }, BY_LEAF, NULL, TRUST, NULL },
	{ "path too long", { .names = MX, .constraints = NULL }, BY_SHORT,
	    NULL, TRUST, NULL },
	{ "client's only", { .names = MX, .purpose = "clientAuth" }, BY_ROOT,
	    NULL, TRUST, "purpose" },
	{ "within a constraint of names", { .names = MX }, BY_NAMED, NULL, 0,
	    NULL },
	{ "outside a constraint of names", { .names = MX
	    ",DNS:mx.other.test" }, BY_NAMED, NULL, TRUST,
	    "permitted subtree violation" },
};

static const struct row names[] = {
	{ "another host", { .names = "DNS:other.example.com" }, BY_ROOT,
	    NULL, NAME, "host-mismatch" },
	/* STS-4.2-5 */
	{ "the domain", { .names = "DNS:example.com" }, BY_ROOT, NULL, NAME,
	    NULL },
	{ "one label more", { .names = "DNS:a.mx.example.com" }, BY_ROOT,
	    NULL, NAME, NULL },
	{ "no name at all", { .common_name = "x" }, BY_ROOT, NULL, NAME,
	    NULL },
	{ "the address", { .names = "IP:192.0.2.1" }, BY_ROOT, NULL, NAME,
	    NULL },
	{ "an e-mail address", { .names = "email:mx@mx.example.com" },
	    BY_ROOT, NULL, NAME, NULL },
	{ "a URI", { .names = "URI:https://mx.example.com/" }, BY_ROOT, NULL,
	    NAME, NULL },
	/* Trap T21 */
	{ "a sister that the policy covers", { .names = "DNS:b.example.com" },
	    BY_ROOT, "a.example.com", NAME, NULL },
	{ "one dot more", { .names = "DNS:mx.example.com." }, BY_ROOT, NULL,
	    NAME, NULL },
};

/* STS-4.2-4 */
static const struct row common_names[] = {
	{ "CN only", { .common_name = "mx.example.com" }, BY_ROOT, NULL,
	    NAME, NULL },
	{ "CN beside another SAN", { .common_name = "mx.example.com",
	    .names = "DNS:other.example.com" }, BY_ROOT, NULL, NAME, NULL },
	{ "CN beside an IP SAN", { .common_name = "mx.example.com",
	    .names = "IP:192.0.2.1" }, BY_ROOT, NULL, NAME, NULL },
	{ "CN wildcard", { .common_name = "*.example.com" }, BY_ROOT, NULL,
	    NAME, NULL },
};

/* STS-4.2-6 */
static const struct row wildcards[] = {
	{ "one label", { .names = "DNS:*.example.com" }, BY_ROOT, NULL, 0,
	    NULL },
	{ "two labels", { .names = "DNS:*.example.com" }, BY_ROOT,
	    "a.mx.example.com", NAME, NULL },
	{ "no label", { .names = "DNS:*.example.com" }, BY_ROOT,
	    "example.com", NAME, NULL },
	{ "a part of a label", { .names = "DNS:m*.example.com" }, BY_ROOT,
	    NULL, NAME, NULL },
	{ "the end of a label", { .names = "DNS:*x.example.com" }, BY_ROOT,
	    NULL, NAME, NULL },
	{ "an inner label", { .names = "DNS:mx.*.com" }, BY_ROOT, NULL, NAME,
	    NULL },
	{ "two of them", { .names = "DNS:*.*.com" }, BY_ROOT, NULL, NAME,
	    NULL },
	{ "a whole top-level domain", { .names = "DNS:*.com" }, BY_ROOT,
	    "example.com", NAME, NULL },
	{ "a wildcard under an A-label", { .names =
	    "DNS:*.xn--bcher-kva.example" }, BY_ROOT,
	    "mx.xn--bcher-kva.example", 0, NULL },
	{ "within an A-label", { .names = "DNS:xn--*.example.com" }, BY_ROOT,
	    "xn--bcher-kva.example.com", NAME, NULL },
	{ "for an A-label", { .names = "DNS:*.example.com" }, BY_ROOT,
	    "xn--bcher-kva.example.com", 0, NULL },
	{ "upper case", { .names = "DNS:*.EXAMPLE.com" }, BY_ROOT, NULL, 0,
	    NULL },
	{ "everything", { .names = "DNS:*" }, BY_ROOT, NULL, NAME, NULL },
};

/* Ruling 29 */
static const struct row several[] = {
	{ "expired, other name", { .names = "DNS:o.example.com",
	    .from_days = -30, .to_days = -1 }, BY_ROOT, NULL, DATES | NAME,
	    "host-mismatch" },
	{ "unknown CA, other name", { .names = "DNS:o.example.com" },
	    BY_STRANGER, NULL, TRUST | NAME, NULL },
	{ "unknown CA, expired", { .names = MX, .from_days = -30,
	    .to_days = -1 }, BY_STRANGER, NULL, TRUST | DATES, NULL },
	{ "all three", { .names = "DNS:o.example.com", .from_days = -30,
	    .to_days = -1 }, BY_STRANGER, NULL, TRUST | DATES | NAME, NULL },
	{ "self-signed, not yet, other name", { .common_name = "x",
	    .from_days = 2, .to_days = 3 }, BY_ITSELF, NULL,
	    TRUST | DATES | NAME, NULL },
};

static const struct row broken[] = {
	{ "signature that does not hold", { .names = MX, .broken = 1 },
	    BY_ROOT, NULL, OTHER, "other" },
};

static const struct row literals[] = {
	{ "an address in the SAN", { .names = "IP:192.0.2.1" }, BY_ROOT,
	    "[192.0.2.1]", 0, NULL },
	{ "another address", { .names = "IP:192.0.2.2" }, BY_ROOT,
	    "[192.0.2.1]", NAME, NULL },
	{ "IPv6", { .names = "IP:2001:db8::1" }, BY_ROOT,
	    "[IPv6:2001:db8::1]", 0, NULL },
	{ "a name for an address", { .names = MX }, BY_ROOT, "[192.0.2.1]",
	    NAME, NULL },
};

/* ---- versions and suites ---- */

static struct pki_entity ec_leaf, rsa_leaf, weak_leaf;

/* A server with these limits; which version and suite come of it? */
static bool
negotiate(bool required, int min, int max, const char *suites,
    const struct pki_entity *leaf, struct tls_proof *proof)
{
	struct tls_about about = { "mx.example.com", required, NULL };
	SSL_CTX *serving = pki_server(leaf, NULL);
	SSL *server, *client;
	bool made;

	SSL_CTX_set_min_proto_version(serving, min);
	SSL_CTX_set_max_proto_version(serving, max);
	if (suites != NULL && SSL_CTX_set_cipher_list(serving, suites) != 1)
		fail_msg("no such suites: %s", suites);
	SSL_CTX_clear_options(serving, SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_dh_auto(serving, 1);
	server = SSL_new(serving);
	client = tls_new(world.client, &about);
	made = shake(client, server);
	if (made)
		tls_prove(client, &about, proof);
	ERR_clear_error();
	SSL_free(client);
	SSL_free(server);
	SSL_CTX_free(serving);
	return made;
}

static void
test_versions(void **state)
{
	struct tls_proof proof;
	int required;

	(void)state;
	for (required = 0; required < 2; required++) {
		assert_true(negotiate(required, 0, TLS1_3_VERSION, NULL,
		    &ec_leaf, &proof));
		assert_string_equal(proof.version, "TLSv1.3");
		assert_true(negotiate(required, TLS1_3_VERSION,
		    TLS1_3_VERSION, NULL, &ec_leaf, &proof));
		assert_true(negotiate(required, TLS1_2_VERSION,
		    TLS1_2_VERSION, NULL, &ec_leaf, &proof));
		assert_string_equal(proof.version, "TLSv1.2");
		assert_false(negotiate(required, TLS1_1_VERSION,
		    TLS1_1_VERSION, "ALL:@SECLEVEL=0", &rsa_leaf, &proof));
		assert_false(negotiate(required, TLS1_VERSION, TLS1_VERSION,
		    "ALL:@SECLEVEL=0", &rsa_leaf, &proof));
	}
}

/*
 * The floor is the context's own, not what the library's level makes of the
 * digests of old versions.
 */
static void
test_floor(void **state)
{
	static const int versions[] = { TLS1_VERSION, TLS1_1_VERSION,
	    TLS1_2_VERSION };
	struct tls_about about = { "mx.example.com", false, NULL };
	SSL *server, *client;
	SSL_CTX *serving;
	size_t i;

	(void)state;
	assert_int_equal(SSL_CTX_get_min_proto_version(world.client),
	    TLS1_2_VERSION);
	for (i = 0; i < N(versions); i++) {
		serving = pki_server(&rsa_leaf, NULL);
		SSL_CTX_set_min_proto_version(serving, versions[i]);
		SSL_CTX_set_max_proto_version(serving, versions[i]);
		SSL_CTX_set_cipher_list(serving, "ALL:@SECLEVEL=0");
		server = SSL_new(serving);
		client = tls_new(world.client, &about);
		SSL_set_security_level(client, 0);
		assert_int_equal(shake(client, server),
		    versions[i] == TLS1_2_VERSION);
		ERR_clear_error();
		SSL_free(client);
		SSL_free(server);
		SSL_CTX_free(serving);
	}
}

/* Nothing that reaches us as a host's name ends the program. */
static void
test_no_names(void **state)
{
	static const char *const hosts[] = { "-mx.example.com",
	    "mx-.example.com", "mx..example.com", "?", "", "[nonsense]" };
	struct x509_defects defects;
	size_t i;

	(void)state;
	for (i = 0; i < N(hosts); i++) {
		memset(&defects, 0, sizeof(defects));
		tls_judge(world.client, ec_leaf.certificate, NULL, 2,
		    hosts[i], &defects);
		assert_int_equal(defects.set, NAME);
	}
}

struct suite_row {
	const char	*suite;		/* of TLS 1.2 */
	bool		 rsa;
	bool		 any, required;	/* is it taken? */
};
static const struct suite_row suite_rows[] = {
	{ "ECDHE-ECDSA-AES128-GCM-SHA256", false, true, true },
	{ "ECDHE-ECDSA-AES256-GCM-SHA384", false, true, true },
	{ "ECDHE-ECDSA-CHACHA20-POLY1305", false, true, true },
	{ "ECDHE-RSA-AES128-GCM-SHA256", true, true, true },
	{ "ECDHE-RSA-AES256-GCM-SHA384", true, true, true },
	{ "ECDHE-RSA-CHACHA20-POLY1305", true, true, true },
	/* CBC: forward secrecy, no AEAD; with SHA-2 and without */
	{ "ECDHE-RSA-AES128-SHA256", true, true, true },
	{ "ECDHE-RSA-AES256-SHA384", true, true, true },
	{ "ECDHE-ECDSA-AES128-SHA256", false, true, true },
	{ "ECDHE-ECDSA-AES256-SHA384", false, true, true },
	{ "ECDHE-ECDSA-AES256-SHA", false, true, false },
	{ "ECDHE-RSA-AES256-SHA", true, true, false },
	/* static RSA */
	{ "AES256-SHA", true, true, false },
	{ "AES128-GCM-SHA256", true, true, false },
	/* finite-field DHE */
	{ "DHE-RSA-AES128-GCM-SHA256", true, true, false },
	{ "DHE-RSA-AES256-SHA", true, true, false },
	/* no encryption, no authentication */
	{ "NULL-SHA256:@SECLEVEL=0", true, false, false },
	{ "ECDHE-RSA-NULL-SHA:@SECLEVEL=0", true, false, false },
	{ "ADH-AES256-GCM-SHA384:@SECLEVEL=0", true, false, false },
	{ "AECDH-AES256-SHA:@SECLEVEL=0", true, false, false },
};

/* What required TLS refuses is a defect elsewhere (ruling 10). */
static void
check_suite(const struct suite_row *row, const struct pki_entity *leaf)
{
	struct tls_proof proof;
	char says[100];

	assert_true(negotiate(false, TLS1_2_VERSION, TLS1_2_VERSION,
	    row->suite, leaf, &proof));
	assert_int_equal(proof.pkix.set, row->required ? 0 : OTHER);
	snprintf(says, sizeof(says), "weak suite %s", row->suite);
	assert_string_equal(proof.certificate,
	    row->required ? "valid" : says);
}

static void
test_suites(void **state)
{
	const struct suite_row *row;
	const struct pki_entity *leaf;
	struct tls_proof proof;
	bool any, required;

	(void)state;
	for (row = suite_rows; row < suite_rows + N(suite_rows); row++) {
		leaf = row->rsa ? &rsa_leaf : &ec_leaf;
		any = negotiate(false, TLS1_2_VERSION, TLS1_2_VERSION,
		    row->suite, leaf, &proof);
		required = negotiate(true, TLS1_2_VERSION, TLS1_2_VERSION,
		    row->suite, leaf, &proof);
		if (any != row->any || required != row->required) {
			print_error("%s: any %d, required %d\n", row->suite,
			    any, required);
			fail();
		}
		if (any)
			check_suite(row, leaf);
	}
}

/* AEAD before CBC, forward secrecy before all, whatever else is there. */
static void
test_suite_order(void **state)
{
	struct tls_proof proof;
	int required;

	(void)state;
	for (required = 0; required < 2; required++) {
		assert_true(negotiate(required, TLS1_2_VERSION,
		    TLS1_2_VERSION, "AES256-SHA:DHE-RSA-AES256-GCM-SHA384:"
		    "AES128-GCM-SHA256:ECDHE-RSA-AES256-SHA384:"
		    "ECDHE-RSA-AES128-GCM-SHA256", &rsa_leaf, &proof));
		assert_string_equal(proof.cipher,
		    "ECDHE-RSA-AES128-GCM-SHA256");
		assert_true(negotiate(required, TLS1_2_VERSION,
		    TLS1_2_VERSION, "AES256-SHA:DHE-RSA-AES256-GCM-SHA384:"
		    "ECDHE-RSA-AES256-SHA384", &rsa_leaf, &proof));
		assert_string_equal(proof.cipher, "ECDHE-RSA-AES256-SHA384");
	}
}

/* TLS-9325-4.5-1: 1024-bit DH and RSA. */
static void
test_weak_keys(void **state)
{
	struct tls_about about = { "mx.example.com", false, NULL };
	struct tls_proof proof;
	SSL_CTX *serving;
	SSL *server, *client;
	EVP_PKEY *group = NULL;
	EVP_PKEY_CTX *context;
	int required;

	(void)state;
	/* A 1024-bit RSA key is a defect where TLS is required. */
	assert_true(negotiate(true, 0, 0, NULL, &weak_leaf, &proof));
	assert_int_equal(proof.pkix.set, CERT_NOT_TRUSTED);
	/* And elsewhere is what it would be there (ruling 10). */
	assert_true(negotiate(false, 0, 0, NULL, &weak_leaf, &proof));
	assert_int_equal(proof.pkix.set, CERT_NOT_TRUSTED);
	assert_non_null(strstr(proof.certificate, "key too weak"));
	assert_true(negotiate(false, TLS1_2_VERSION, TLS1_2_VERSION,
	    "AES256-SHA:@SECLEVEL=0", &weak_leaf, &proof));
	assert_int_equal(proof.pkix.set, CERT_NOT_TRUSTED | OTHER);
	assert_non_null(strstr(proof.certificate, "weak suite AES256-SHA, "));
	/* 1024-bit DH: only where clear text would do as well. */
	for (required = 0; required < 2; required++) {
		serving = pki_server(&rsa_leaf, NULL);
		SSL_CTX_set_max_proto_version(serving, TLS1_2_VERSION);
		assert_int_equal(SSL_CTX_set_cipher_list(serving,
		    "DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0"), 1);
		context = EVP_PKEY_CTX_new_from_name(NULL, "DH", NULL);
		EVP_PKEY_paramgen_init(context);
		EVP_PKEY_CTX_set_dh_rfc5114(context, 1);
		assert_int_equal(EVP_PKEY_paramgen(context, &group), 1);
		EVP_PKEY_CTX_free(context);
		assert_int_equal(SSL_CTX_set0_tmp_dh_pkey(serving, group), 1);
		group = NULL;
		server = SSL_new(serving);
		about.required = required;
		client = tls_new(world.client, &about);
		assert_int_equal(shake(client, server), !required);
		ERR_clear_error();
		SSL_free(client);
		SSL_free(server);
		SSL_CTX_free(serving);
	}
}

/* ---- what the client says ---- */

static int
note_sni(SSL *ssl, int *alert, void *argument)
{
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	(void)alert;
	snprintf(argument, 256, "%s", name != NULL ? name : "(none)");
	return SSL_TLSEXT_ERR_OK;
}

static void
test_sni(void **state)
{
	static const struct { const char *host, *base, *sni; } rows[] = {
		{ "mx.example.com", NULL, "mx.example.com" },
		{ "a.b.c.example.org", NULL, "a.b.c.example.org" },
		{ "mx.xn--bcher-kva.example", NULL,
		    "mx.xn--bcher-kva.example" },
		{ "[192.0.2.1]", NULL, "(none)" },
		{ "[IPv6:2001:db8::1]", NULL, "(none)" },
		{ "mx.example.com", "mx.example.com", "mx.example.com" },
		{ "mx.example.com", "real.example.net", "real.example.net" },
	};
	SSL_CTX *serving = pki_server(&ec_leaf, NULL);
	struct tls_about about = { .required = false };
	struct dane dane = { .others = { "example.com", "" } };
	SSL *server, *client;
	char sni[256];
	size_t i;

	(void)state;
	SSL_CTX_set_tlsext_servername_callback(serving, note_sni);
	SSL_CTX_set_tlsext_servername_arg(serving, sni);
	for (i = 0; i < N(rows); i++) {
		about.host = rows[i].host;
		dane.base = rows[i].base;
		about.dane = rows[i].base != NULL ? &dane : NULL;
		server = SSL_new(serving);
		client = tls_new(world.client, &about);
		assert_true(shake(client, server));
		assert_string_equal(sni, rows[i].sni);
		SSL_free(client);
		SSL_free(server);
	}
	SSL_CTX_free(serving);
}

struct hello {
	bool		raw_keys;	/* asked for (RFC 7250) */
	bool		resumes, early;	/* a session; with data at once */
	unsigned	suites, anonymous;
};

static int
note_hello(SSL *ssl, int *alert, void *argument)
{
	struct hello *hello = argument;
	STACK_OF(SSL_CIPHER) *suites = NULL, *others = NULL;
	const uint8_t *octets;
	size_t len;
	int i;

	(void)alert;
	hello->raw_keys = SSL_client_hello_get0_ext(ssl, 20, &octets, &len);
	hello->resumes = SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_psk,
	    &octets, &len);
	hello->early = SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_early_data,
	    &octets, &len);
	len = SSL_client_hello_get0_ciphers(ssl, &octets);
	assert_int_equal(SSL_bytes_to_cipher_list(ssl, octets, len,
	    SSL_client_hello_isv2(ssl), &suites, &others), 1);
	hello->suites = (unsigned)sk_SSL_CIPHER_num(suites);
	hello->anonymous = 0;
	for (i = 0; i < sk_SSL_CIPHER_num(suites); i++)
		if (SSL_CIPHER_get_auth_nid(sk_SSL_CIPHER_value(suites,
		    i)) == NID_auth_null)
			hello->anonymous++;
	sk_SSL_CIPHER_free(suites);
	sk_SSL_CIPHER_free(others);
	return SSL_CLIENT_HELLO_SUCCESS;
}

/* What is offered proves itself by certificates, and by nothing else. */
static void
test_hello(void **state)
{
	static const struct dane dane = { .base = "mx.example.com" };
	SSL_CTX *serving = pki_server(&ec_leaf, NULL);
	struct tls_about about = { .host = "mx.example.com" };
	struct hello hello;
	SSL *server, *client;
	int i;

	(void)state;
	SSL_CTX_set_client_hello_cb(serving, note_hello, &hello);
	for (i = 0; i < 4; i++) {
		about.required = i & 1;
		about.dane = i & 2 ? &dane : NULL;
		server = SSL_new(serving);
		client = tls_new(world.client, &about);
		assert_true(shake(client, server));
		assert_false(hello.raw_keys);
		assert_true(hello.suites > 5);
		assert_int_equal(hello.anonymous, 0);
		SSL_free(client);
		SSL_free(server);
	}
	SSL_CTX_free(serving);
}

/* TLS-9325-3.4-2: two handshakes with one server, none resumed. */
static void
test_no_resumption(void **state)
{
	static const struct tls_about about = { "mx.example.com", true,
	    NULL };
	SSL_CTX *serving = pki_server(&ec_leaf, NULL);
	SSL *server, *client;
	char octet = 'x';
	int i, version;

	(void)state;
	SSL_CTX_set_session_id_context(serving, (unsigned char *)"t", 1);
	for (version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		SSL_CTX_set_max_proto_version(serving, version);
		for (i = 0; i < 2; i++) {
			server = SSL_new(serving);
			client = tls_new(world.client, &about);
			assert_true(shake(client, server));
			SSL_write(server, &octet, 1);
			SSL_read(client, &octet, 1);
			assert_int_equal(SSL_session_reused(client), 0);
			assert_int_equal(SSL_get_options(client) &
			    SSL_OP_NO_TICKET, SSL_OP_NO_TICKET);
			SSL_shutdown(client);
			SSL_free(client);
			SSL_free(server);
		}
	}
	SSL_CTX_free(serving);
}

/* Both agree, and the client has read what the server sends behind. */
static SSL_SESSION *
session_with(SSL_CTX *serving, SSL *client)
{
	SSL *server = SSL_new(serving);
	SSL_SESSION *session;
	char octet = 'x';

	assert_true(shake(client, server));
	SSL_write(server, &octet, 1);
	assert_int_equal(SSL_read(client, &octet, 1), 1);
	session = SSL_get1_session(client);
	SSL_shutdown(client);
	SSL_free(client);
	SSL_free(server);
	return session;
}

/* The hello of a client that does what the server invites it to. */
static void
hasty_hello(SSL_CTX *serving, SSL_SESSION *session)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *client = SSL_new(context), *server = SSL_new(serving);
	BIO *one, *other;
	size_t n;

	assert_int_equal(SSL_set_session(client, session), 1);
	BIO_new_bio_pair(&one, 0, &other, 0);
	SSL_set_bio(client, one, one);
	SSL_set_bio(server, other, other);
	assert_int_equal(SSL_write_early_data(client, "x", 1, &n), 1);
	SSL_accept(server);
	SSL_free(client);
	SSL_free(server);
	SSL_CTX_free(context);
}

/* A server that would take data with the first octets, and gets none. */
static void
test_no_early_data(void **state)
{
	static const struct tls_about about = { "mx.example.com", true,
	    NULL };
	SSL_CTX *serving = pki_server(&ec_leaf, NULL);
	SSL_SESSION *session = NULL;
	struct hello hello;
	int i;

	(void)state;
	SSL_CTX_set_session_id_context(serving, (unsigned char *)"t", 1);
	SSL_CTX_set_max_early_data(serving, 1000);
	SSL_CTX_set_client_hello_cb(serving, note_hello, &hello);
	for (i = 0; i < 3; i++) {
		SSL_SESSION_free(session);
		session = session_with(serving, tls_new(world.client,
		    &about));
		assert_false(hello.resumes);
		assert_false(hello.early);
	}
	/* It was possible all the time. */
	assert_int_equal(SSL_SESSION_get_max_early_data(session), 1000);
	hasty_hello(serving, session);
	assert_true(hello.resumes);
	assert_true(hello.early);
	SSL_SESSION_free(session);
	SSL_CTX_free(serving);
}

/* ---- the rest ---- */

/*
 * Each number that there is, and the result of RFC 8460 that it makes; what
 * is missing here is a validation failure (OTHER).
 */
static const struct { int error; enum cert_defect defect; } errors[] = {
	{ X509_V_ERR_CERT_HAS_EXPIRED, DATES },
	{ X509_V_ERR_CERT_NOT_YET_VALID, DATES },	/* ruling 29 */
	{ X509_V_ERR_HOSTNAME_MISMATCH, NAME },
	{ X509_V_ERR_IP_ADDRESS_MISMATCH, NAME },
	{ X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, TRUST },
	{ X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, TRUST },
	{ X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, TRUST },
	{ X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, TRUST },
	{ X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, TRUST },
	{ X509_V_ERR_CERT_REVOKED, TRUST },
	{ X509_V_ERR_NO_ISSUER_PUBLIC_KEY, TRUST },
	{ X509_V_ERR_PATH_LENGTH_EXCEEDED, TRUST },
	{ X509_V_ERR_INVALID_PURPOSE, TRUST },
	{ X509_V_ERR_INVALID_CA, TRUST },
	{ X509_V_ERR_EE_KEY_TOO_SMALL, TRUST },
	{ X509_V_ERR_CA_KEY_TOO_SMALL, TRUST },
	{ X509_V_ERR_CA_MD_TOO_WEAK, TRUST },
	/* RFC 8460 4.3.1: name constraints, chain errors etc. */
	{ X509_V_ERR_CERT_CHAIN_TOO_LONG, TRUST },
	{ X509_V_ERR_CERT_UNTRUSTED, TRUST },
	{ X509_V_ERR_CERT_REJECTED, TRUST },
	{ X509_V_ERR_SUBJECT_ISSUER_MISMATCH, TRUST },
	{ X509_V_ERR_AKID_SKID_MISMATCH, TRUST },
	{ X509_V_ERR_AKID_ISSUER_SERIAL_MISMATCH, TRUST },
	{ X509_V_ERR_KEYUSAGE_NO_CERTSIGN, TRUST },
	{ X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION, TRUST },
	{ X509_V_ERR_INVALID_NON_CA, TRUST },
	{ X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED, TRUST },
	{ X509_V_ERR_KEYUSAGE_NO_DIGITAL_SIGNATURE, TRUST },
	{ X509_V_ERR_PROXY_CERTIFICATES_NOT_ALLOWED, TRUST },
	{ X509_V_ERR_NO_EXPLICIT_POLICY, TRUST },
	{ X509_V_ERR_UNNESTED_RESOURCE, TRUST },
	{ X509_V_ERR_PERMITTED_VIOLATION, TRUST },
	{ X509_V_ERR_EXCLUDED_VIOLATION, TRUST },
	{ X509_V_ERR_SUBTREE_MINMAX, TRUST },
	{ X509_V_ERR_UNSUPPORTED_CONSTRAINT_TYPE, TRUST },
	{ X509_V_ERR_UNSUPPORTED_CONSTRAINT_SYNTAX, TRUST },
	{ X509_V_ERR_UNSUPPORTED_NAME_SYNTAX, TRUST },
	{ X509_V_ERR_PATH_LOOP, TRUST },
	{ X509_V_ERR_PROXY_SUBJECT_NAME_VIOLATION, TRUST },
	{ X509_V_ERR_SIGNATURE_ALGORITHM_MISMATCH, TRUST },
	{ X509_V_ERR_DANE_NO_MATCH, CERT_DANE_NO_MATCH },
};
#define ERRORS_LAST	X509_V_ERR_EC_KEY_EXPLICIT_PARAMS

static enum cert_defect
defect_expected(int error)
{
	size_t i;

	for (i = 0; i < N(errors); i++)
		if (errors[i].error == error)
			return errors[i].defect;
	return OTHER;
}

static void
test_defects(void **state)
{
	int error;

	(void)state;
	for (error = -1; error <= 300; error++) {
		if (x509_defect(error) != defect_expected(error))
			fail_msg("error %d", error);
		/* No number of this library lacks a row. */
		if (error > X509_V_ERR_UNSPECIFIED && error <= ERRORS_LAST &&
		    strcmp(x509_error_name(error),
		    "X509_V_ERR_UNSPECIFIED") == 0)
			fail_msg("error %d has no name", error);
		/* What the library can put into words is in the table. */
		if (error > ERRORS_LAST && strstr(
		    X509_verify_cert_error_string(error), "unknown") == NULL)
			fail_msg("error %d is new", error);
	}
	assert_int_equal(x509_defect(9999), OTHER);
}

/* More kinds of fault than there is room for: none is forgotten. */
static void
test_many_defects(void **state)
{
	struct x509_defects defects = { 0 };
	char text[40];
	int i;

	(void)state;
	for (i = 40; i < 60; i++)
		x509_note(&defects, i);
	assert_int_equal(defects.errors_n, PROOF_ERRORS_MAX);
	x509_note(&defects, X509_V_ERR_CERT_HAS_EXPIRED);
	x509_note(&defects, 40);
	x509_note(&defects, 9999);
	assert_int_equal(defects.errors_n, PROOF_ERRORS_MAX);
	assert_int_equal(defects.set, OTHER | TRUST | DATES);
	x509_print(defects.errors, defects.errors_n, text, sizeof(text));
	assert_int_equal(strlen(text), sizeof(text) - 1);
	x509_print(defects.errors, 0, text, sizeof(text));
	assert_string_equal(text, "");
}

static void
test_bundle(void **state)
{
	struct pki_entity both[2] = { world.root, world.stranger };
	struct tls_proof proof;
	unsigned anchors;
	SSL_CTX *context;
	int fd;

	(void)state;
	fd = pki_bundle(both, 2);
	context = tls_context(fd, &anchors);
	assert_int_equal(anchors, 2);
	SSL_CTX_free(context);
	/* One that is broken in the middle does not hide what follows. */
	close(fd);
	fd = memfd_create("bundle", 0);
	dprintf(fd, "-----BEGIN CERTIFICATE-----\nAAAA\n"
	    "-----END CERTIFICATE-----\n");
	FILE *file = fdopen(dup(fd), "a");
	PEM_write_X509(file, world.root.certificate);
	fclose(file);
	context = tls_context(fd, &anchors);
	assert_int_equal(anchors, 1);
	SSL_CTX_free(context);
	close(fd);
	/* Nothing, not even an empty file. */
	context = tls_context(-1, &anchors);
	assert_int_equal(anchors, 0);
	SSL_CTX_free(context);
	fd = memfd_create("bundle", 0);
	context = tls_context(fd, &anchors);
	assert_int_equal(anchors, 0);
	SSL_CTX_free(context);
	close(fd);
	/* And then nobody is trusted. */
	SSL_CTX *serving = pki_server(&ec_leaf, NULL);
	SSL *server = SSL_new(serving);
	struct tls_about about = { "mx.example.com", true, NULL };
	SSL *client = tls_new(world.client_bare, &about);
	assert_true(shake(client, server));
	tls_prove(client, &about, &proof);
	assert_int_equal(proof.pkix.set, CERT_NOT_TRUSTED);
	SSL_free(client);
	SSL_free(server);
	SSL_CTX_free(serving);
}

static void
test_warm_up(void **state)
{
	(void)state;
	tls_begin();
	tls_begin();
	assert_int_equal(ERR_peek_error(), 0);
}

static void
test_reason(void **state)
{
	char text[100];

	(void)state;
	ERR_raise(ERR_LIB_SSL, SSL_R_WRONG_VERSION_NUMBER);
	assert_false(tls_reason(text, sizeof(text)));
	assert_string_equal(text, "wrong version number");
	ERR_raise(ERR_LIB_SSL, SSL_R_UNEXPECTED_EOF_WHILE_READING);
	assert_true(tls_reason(text, sizeof(text)));
	assert_string_equal(text, "connection closed by the peer");
	assert_false(tls_reason(text, sizeof(text)));
	assert_string_equal(text, "TLS failed");
	assert_int_equal(ERR_peek_error(), 0);
}

static int
set_up(void **state)
{
	static const struct pki_wish ca = { .common_name = "root",
	    .constraints = "critical,CA:TRUE" };
	static const struct pki_wish middle = { .common_name = "middle",
	    .constraints = "critical,CA:TRUE" };
	static const struct pki_wish stranger = { .common_name = "stranger",
	    .constraints = "critical,CA:TRUE" };
	static const struct pki_wish leaf_ca = { .common_name = "leaf",
	    .constraints = "critical,CA:FALSE" };
	static const struct pki_wish leaf = { .names = MX };
	static const struct pki_wish rsa = { .names = MX, .rsa_bits = 2048 };
	static const struct pki_wish weak = { .names = MX, .rsa_bits = 1024 };
	static const struct pki_wish root_short = { .common_name = "short",
	    .constraints = "critical,CA:TRUE,pathlen:0" };
	static const struct pki_wish under = { .common_name = "under",
	    .constraints = "critical,CA:TRUE" };
	static const struct pki_wish named = { .common_name = "named",
	    .constraints = "critical,CA:TRUE",
	    .permitted = "critical,permitted;DNS:example.com" };
	struct pki_entity anchors[2];
	unsigned n;
	int fd;

	(void)state;
	world.root = pki_make(&ca, NULL);
	world.middle = pki_make(&middle, &world.root);
	world.stranger = pki_make(&stranger, NULL);
	world.leaf_ca = pki_make(&leaf_ca, &world.root);
	world.named_ca = pki_make(&named, &world.root);
	/* A root that allows no intermediate, and one that it made. */
	anchors[1] = pki_make(&root_short, NULL);
	world.short_ca = pki_make(&under, &anchors[1]);
	anchors[0] = world.root;
	fd = pki_bundle(anchors, 2);
	world.client = tls_context(fd, &n);
	close(fd);
	pki_free(&anchors[1]);
	world.client_bare = tls_context(-1, &n);
	ec_leaf = pki_make(&leaf, &world.root);
	rsa_leaf = pki_make(&rsa, &world.root);
	weak_leaf = pki_make(&weak, &world.root);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	SSL_CTX_free(world.client);
	SSL_CTX_free(world.client_bare);
	pki_free(&world.root);
	pki_free(&world.middle);
	pki_free(&world.stranger);
	pki_free(&world.leaf_ca);
	pki_free(&world.short_ca);
	pki_free(&world.named_ca);
	pki_free(&ec_leaf);
	pki_free(&rsa_leaf);
	pki_free(&weak_leaf);
	return 0;
}

#define ROWS(name, rows)						\
	{ name, test_rows, NULL, NULL,					\
	  (void *)&(struct group){ (rows), N(rows) } }
#define TEST(name, function)	{ name, function, NULL, NULL, NULL }

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROWS("STS-4.2-3 certificates that are good", good),
		ROWS("STS-4.2-1, RPT-4.3.1-3 dates", dates),
		ROWS("STS-4.2-2, RPT-4.3.1-4 chains that are not trusted",
		    trust),
		ROWS("STS-4.2-3, STS-4.2-5, RPT-4.3.1-2 names of others",
		    names),
		ROWS("STS-4.2-4 a common name is no name", common_names),
		ROWS("STS-4.2-6 a wildcard is one whole label", wildcards),
		ROWS("STS-4.2-2 several defects are all seen", several),
		ROWS("RPT-4.3.1-6 a signature that does not hold", broken),
		ROWS("an address literal is compared with addresses",
		    literals),
		TEST("STS-7.2-1, TLS-9325-3.1.1-1, TLS-9325-3.1.1-2 TLS 1.2 "
		    "and 1.3, nothing less", test_versions),
		TEST("TLS-9325-3.1.1-2 TLS 1.2 at any security level",
		    test_floor),
		TEST("DANE-7672-2.2-10 what is no name is no host's",
		    test_no_names),
		TEST("TLS-9325-4.1-2 the better suites first",
		    test_suite_order),
		TEST("TLS-9325-4.1-1, TLS-9325-4.1-2 suites, where TLS is "
		    "required and where not", test_suites),
		TEST("TLS-9325-4.5-1 keys and groups of 1024 bits",
		    test_weak_keys),
		TEST("STS-7.1-1, STS-7.1-3, DANE-7672-8.1-1 SNI is the MX "
		    "host name, or the TLSA base domain", test_sni),
		TEST("DANE-7671-5.3-1, DANE-7672-8.2-1 certificates are asked "
		    "for, and no raw keys", test_hello),
		TEST("TLS-9325-3.4-2 no session is resumed",
		    test_no_resumption),
		TEST("TLS-9325-3.10-1 nothing is sent before the handshake",
		    test_no_early_data),
		TEST("RPT-4.3.1-4, RPT-4.3.1-5 which defect is an error "
		    "number, for all of them", test_defects),
		TEST("ruling 29: many defects at once", test_many_defects),
		TEST("the bundle of trust anchors", test_bundle),
		TEST("a throw-away handshake", test_warm_up),
		TEST("the library's reasons", test_reason),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
