/*
 * Is this a key that may sign mail, and what does it sign?
 *
 * Called by sign.c and dkimctl.c, by dkim.c to sign.  Whatever libcrypto
 * complains of stays in here: its queue of errors is emptied, and callers get
 * words for an operator.
 *
 * It opens no file: keys come as descriptors.
 */
#include "queue/dkimsecret.h"

#include "conf/log.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct dkimsecret {
	EVP_PKEY		*key;
	enum dkimkey_type	 type;
};

enum dkimkey_type
dkimsecret_type(const struct dkimsecret *secret)
{
	return secret->type;
}

const char *
dkimsecret_type_name(const struct dkimsecret *secret)
{
	return secret->type == DKIMKEY_RSA ? "rsa" : "ed25519";
}

unsigned
dkimsecret_bits(const struct dkimsecret *secret)
{
	return (unsigned)EVP_PKEY_get_bits(secret->key);
}

void
dkimsecret_free(struct dkimsecret **secret)
{
	if (*secret == NULL)
		return;
	EVP_PKEY_free((*secret)->key);
	free(*secret);
	*secret = NULL;
}

void
dkimsecret_wipe(struct buffer *buffer)
{
	if (buffer->text != NULL)
		OPENSSL_cleanse(buffer->text, buffer->size);
	buffer_free(buffer);
}

/*
 * Signing.
 */

/* An RSA operation over a digest that is already made. */
static EVP_PKEY_CTX *
rsa_context(const struct dkimsecret *secret, int (*init)(EVP_PKEY_CTX *))
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(secret->key, NULL);

	if (context != NULL && init(context) == 1 &&
	    EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1 &&
	    EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()) == 1)
		return context;
	EVP_PKEY_CTX_free(context);
	return NULL;
}

/* DKIM-6376-3.3-1 RFC 6376 3.3.1 */
static size_t
sign_rsa(const struct dkimsecret *secret, const uint8_t *digest,
    uint8_t *signature)
{
	EVP_PKEY_CTX *context = rsa_context(secret, EVP_PKEY_sign_init);
	size_t len = DKIMSECRET_SIGNATURE_MAX;

	if (context == NULL || EVP_PKEY_sign(context, signature, &len,
	    digest, DKIMSECRET_DIGEST_SIZE) != 1)
		len = 0;
	EVP_PKEY_CTX_free(context);
	return len;
}

/* DKIM-8463-3-1 RFC 8463 3 */
static size_t
sign_ed25519(const struct dkimsecret *secret, const uint8_t *digest,
    uint8_t *signature)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	size_t len = DKIMSECRET_SIGNATURE_MAX;

	if (context == NULL || EVP_DigestSignInit(context, NULL, NULL, NULL,
	    secret->key) != 1 || EVP_DigestSign(context, signature, &len,
	    digest, DKIMSECRET_DIGEST_SIZE) != 1)
		len = 0;
	EVP_MD_CTX_free(context);
	return len;
}

size_t
dkimsecret_sign(const struct dkimsecret *secret,
    const uint8_t digest[DKIMSECRET_DIGEST_SIZE],
    uint8_t signature[DKIMSECRET_SIGNATURE_MAX])
{
	size_t len = secret->type == DKIMKEY_RSA ?
	    sign_rsa(secret, digest, signature) :
	    sign_ed25519(secret, digest, signature);

	ERR_clear_error();
	return len;
}

static bool
verify_rsa(const struct dkimsecret *secret, const uint8_t *digest,
    const uint8_t *signature, size_t len)
{
	EVP_PKEY_CTX *context = rsa_context(secret, EVP_PKEY_verify_init);
	bool good = context != NULL && EVP_PKEY_verify(context, signature,
	    len, digest, DKIMSECRET_DIGEST_SIZE) == 1;

	EVP_PKEY_CTX_free(context);
	return good;
}

static bool
verify_ed25519(const struct dkimsecret *secret, const uint8_t *digest,
    const uint8_t *signature, size_t len)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool good = context != NULL && EVP_DigestVerifyInit(context, NULL,
	    NULL, NULL, secret->key) == 1 && EVP_DigestVerify(context,
	    signature, len, digest, DKIMSECRET_DIGEST_SIZE) == 1;

	EVP_MD_CTX_free(context);
	return good;
}

/* Does its public half take what its private half signs? */
static bool
is_sound(const struct dkimsecret *secret)
{
	const uint8_t digest[DKIMSECRET_DIGEST_SIZE] = { 'c', 'u', 'l' };
	uint8_t signature[DKIMSECRET_SIGNATURE_MAX];
	size_t len = dkimsecret_sign(secret, digest, signature);
	bool good = len > 0 && (secret->type == DKIMKEY_RSA ?
	    verify_rsa(secret, digest, signature, len) :
	    verify_ed25519(secret, digest, signature, len));

	ERR_clear_error();
	return good;
}

/*
 * Keys.
 */

/* NULL: of a kind and size that may sign; else why not. */
static const char *
judge(EVP_PKEY *key, enum dkimkey_type *type)
{
	int bits = EVP_PKEY_get_bits(key);

	if (EVP_PKEY_is_a(key, "ED25519")) {
		*type = DKIMKEY_ED25519;
		return NULL;
	}
	if (!EVP_PKEY_is_a(key, "RSA"))
		return "the key is neither RSA nor Ed25519";
	*type = DKIMKEY_RSA;
	/* DKIM-8301-3.2-1 RFC 8301 3.2 */
	if (bits < DKIMSECRET_BITS_LEAST)
		return "the RSA key has less than 1024 bits (RFC 8301 3.2)";
	if (bits > DKIMSECRET_BITS_MOST)
		return "the RSA key has more than 4096 bits, which verifiers "
		    "need not take (RFC 8301 3.2)";
	return NULL;
}

/* key becomes the secret's, or is freed. */
static struct dkimsecret *
adopt(EVP_PKEY *key, const char **error)
{
	struct dkimsecret *secret = mem_alloc(sizeof(*secret));

	secret->key = key;
	*error = judge(key, &secret->type);
	if (*error == NULL && !is_sound(secret))
		*error = "the key's two halves do not belong together";
	if (*error != NULL)
		dkimsecret_free(&secret);
	return secret;
}

/* A key with a password: nobody is there to be asked for it. */
static int
no_password(char *text, int size, int is_writing, void *asked)
{
	(void)text;
	(void)size;
	(void)is_writing;
	*(bool *)asked = true;
	return -1;
}

struct dkimsecret *
dkimsecret_parse(struct slice pem, const char **error)
{
	EVP_PKEY *key = NULL;
	bool asked = false;
	BIO *bio;

	*error = NULL;
	if (pem.len == 0)
		*error = "the file is empty";
	else if (pem.len > DKIMSECRET_PEM_MAX)
		*error = "the file is longer than a key";
	if (*error != NULL)
		return NULL;
	bio = BIO_new_mem_buf(pem.at, (int)pem.len);
	if (bio != NULL)
		key = PEM_read_bio_PrivateKey(bio, NULL, no_password, &asked);
	BIO_free(bio);
	ERR_clear_error();
	if (key != NULL)
		return adopt(key, error);
	*error = asked ? "the key is encrypted with a password" :
	    "the file holds no private key in PEM";
	return NULL;
}

/* An array of its own: a buffer that grows leaves copies behind. */
struct dkimsecret *
dkimsecret_read(int fd, const char **error)
{
	struct dkimsecret *secret = NULL;
	char pem[DKIMSECRET_PEM_MAX + 1];
	size_t len = 0;
	ssize_t n = 1;

	while (n != 0 && len < sizeof(pem)) {
		n = read(fd, pem + len, sizeof(pem) - len);
		if (n == -1 && errno != EINTR)
			break;
		len += n > 0 ? (size_t)n : 0;
	}
	if (n == -1)
		*error = "the file cannot be read";
	else
		secret = dkimsecret_parse((struct slice){ pem, len }, error);
	OPENSSL_cleanse(pem, sizeof(pem));
	return secret;
}

struct dkimsecret *
dkimsecret_make(enum dkimkey_type type, unsigned bits, const char **error)
{
	EVP_PKEY *key = type == DKIMKEY_RSA ?
	    EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)bits) :
	    EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");

	ERR_clear_error();
	if (key != NULL)
		return adopt(key, error);
	*error = "libcrypto makes no such key";
	return NULL;
}

bool
dkimsecret_print(const struct dkimsecret *secret, struct buffer *out)
{
	BIO *bio = BIO_new(BIO_s_secmem());
	char *text;
	long len;
	bool done;

	done = bio != NULL && PEM_write_bio_PKCS8PrivateKey(bio, secret->key,
	    NULL, NULL, 0, NULL, NULL) == 1 &&
	    (len = BIO_get_mem_data(bio, &text)) > 0;
	if (done)
		buffer_add(out, (struct slice){ text, (size_t)len });
	BIO_free(bio);
	ERR_clear_error();
	return done;
}

void
dkimsecret_begin(void)
{
	struct buffer pem = { NULL, 0, 0 };
	struct dkimsecret *secret, *again = NULL;
	const char *error;

	secret = dkimsecret_make(DKIMKEY_ED25519, 0, &error);
	if (secret != NULL && dkimsecret_print(secret, &pem))
		again = dkimsecret_parse((struct slice){ pem.text, pem.len },
		    &error);
	if (again == NULL)
		fatal("libcrypto cannot sign");
	dkimsecret_wipe(&pem);
	dkimsecret_free(&secret);
	dkimsecret_free(&again);
}

/*
 * Their public halves.
 */

void
dkimsecret_base64(struct buffer *out, const uint8_t *octets, size_t len)
{
	unsigned char text[4 * 16 + 1];
	size_t n;

	for (; len > 0; octets += n, len -= n) {
		n = len < 48 ? len : 48;
		EVP_EncodeBlock(text, octets, (int)n);
		buffer_add(out, slice_of((const char *)text));
	}
}

/*
 * The public key as octets, made by libcrypto: freed with OPENSSL_free.
 * encode is i2d_PUBKEY (SubjectPublicKeyInfo) or i2d_PublicKey (RSAPublicKey).
 */
static size_t
encode_public(const struct dkimsecret *secret,
    int (*encode)(const EVP_PKEY *, unsigned char **), uint8_t **octets)
{
	int len;

	*octets = NULL;
	len = encode(secret->key, octets);
	ERR_clear_error();
	return len > 0 ? (size_t)len : 0;
}

static bool
raw_ed25519(const struct dkimsecret *secret,
    uint8_t octets[DKIMKEY_ED25519_OCTETS])
{
	size_t len = DKIMKEY_ED25519_OCTETS;

	return EVP_PKEY_get_raw_public_key(secret->key, octets, &len) == 1 &&
	    len == DKIMKEY_ED25519_OCTETS;
}

void
dkimsecret_public(const struct dkimsecret *secret, struct buffer *out)
{
	uint8_t raw[DKIMKEY_ED25519_OCTETS], *octets;
	size_t len;

	if (secret->type == DKIMKEY_ED25519) {
		/* DKIM-8463-3-1 RFC 8463 4.2: the octets alone */
		if (raw_ed25519(secret, raw))
			dkimsecret_base64(out, raw, sizeof(raw));
		return;
	}
	len = encode_public(secret, i2d_PUBKEY, &octets);
	dkimsecret_base64(out, octets, len);
	OPENSSL_free(octets);
}

static bool
encodes_as(const struct dkimsecret *secret,
    int (*encode)(const EVP_PKEY *, unsigned char **),
    const struct dkimkey *key)
{
	uint8_t *octets;
	size_t len = encode_public(secret, encode, &octets);
	bool same = len > 0 && len == key->octets_len &&
	    memcmp(octets, key->octets, len) == 0;

	OPENSSL_free(octets);
	return same;
}

bool
dkimsecret_fits(const struct dkimsecret *secret, const struct dkimkey *key)
{
	uint8_t raw[DKIMKEY_ED25519_OCTETS];

	if (secret->type != key->type)
		return false;
	if (secret->type == DKIMKEY_ED25519)
		return raw_ed25519(secret, raw) &&
		    key->octets_len == sizeof(raw) &&
		    memcmp(raw, key->octets, sizeof(raw)) == 0;
	return encodes_as(secret, i2d_PUBKEY, key) ||
	    encodes_as(secret, i2d_PublicKey, key);
}
