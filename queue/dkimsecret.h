/*
 * A private key that signs mail: RSA (RFC 6376, RFC 8301) or Ed25519 (RFC
 * 8463), by libcrypto.
 */
#ifndef CULVER_QUEUE_DKIMSECRET_H
#define CULVER_QUEUE_DKIMSECRET_H

#include "conf/mem.h"
#include "queue/dkimkey.h"

/* A key file is smaller; what is larger is none. */
#define DKIMSECRET_PEM_MAX	16384

/* DKIM-8301-3.2-1 RFC 8301 3.2: signers may use, verifiers must take */
#define DKIMSECRET_BITS_LEAST	1024
#define DKIMSECRET_BITS_WANTED	2048
#define DKIMSECRET_BITS_MOST	4096

/* The longest signature, of an RSA key of 4096 bits. */
#define DKIMSECRET_SIGNATURE_MAX	(DKIMSECRET_BITS_MOST / 8)
#define DKIMSECRET_DIGEST_SIZE		32	/* of SHA-256 */

struct dkimsecret;

/*
 * Have libcrypto load what it loads when it is first used (its configuration,
 * algorithms, random numbers): a throw-away key is made, read and signs.
 * Local I/O, before confinement.  Ends the program when it cannot.
 */
void	dkimsecret_begin(void);

/*
 * The private key that pem (PKCS #8, or PKCS #1 for RSA) holds, once it has
 * signed something that its own public key verified.  Never asks anybody for
 * a password.  NULL: *error is a sentence without end, static.
 */
struct dkimsecret	*dkimsecret_parse(struct slice pem,
			    const char **error);
/* The same of a descriptor, read to its end.  It stays the caller's. */
struct dkimsecret	*dkimsecret_read(int fd, const char **error);
/* A new key; bits count for RSA alone.  NULL: as above. */
struct dkimsecret	*dkimsecret_make(enum dkimkey_type type,
			    unsigned bits, const char **error);
/* Its octets are wiped. */
void	dkimsecret_free(struct dkimsecret **);

enum dkimkey_type dkimsecret_type(const struct dkimsecret *);
/* "rsa", "ed25519": as in k=.  Static. */
const char	*dkimsecret_type_name(const struct dkimsecret *);
unsigned	 dkimsecret_bits(const struct dkimsecret *);

/*
 * Append the key itself, PKCS #8 in PEM, to *out: the caller wipes that with
 * dkimsecret_wipe.  False: libcrypto failed.
 */
bool	dkimsecret_print(const struct dkimsecret *, struct buffer *out);
/* Zero what a buffer held and free it. */
void	dkimsecret_wipe(struct buffer *);

/*
 * Append the value of p= (RFC 6376 3.6.1; RFC 8463 4): base64 of the public
 * key, for Ed25519 of its 32 octets.
 */
void	dkimsecret_public(const struct dkimsecret *, struct buffer *out);
/*
 * Is this the key that a record publishes?  For RSA as SubjectPublicKeyInfo,
 * as the world does, or as RSAPublicKey, as the RFC's grammar says.
 */
bool	dkimsecret_fits(const struct dkimsecret *, const struct dkimkey *);

/*
 * Sign this SHA-256 digest: RSASSA-PKCS1-v1_5 for RSA, PureEdDSA over the
 * digest for Ed25519 (RFC 8463 3).  Returns the length, 0: libcrypto failed.
 */
size_t	dkimsecret_sign(const struct dkimsecret *,
	    const uint8_t digest[DKIMSECRET_DIGEST_SIZE],
	    uint8_t signature[DKIMSECRET_SIGNATURE_MAX]);

/* base64 without line ends, appended. */
void	dkimsecret_base64(struct buffer *out, const uint8_t *octets,
	    size_t len);

#endif
