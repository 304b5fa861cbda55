/*
 * The key record of DKIM, as it stands in the DNS (RFC 6376 3.6.1): what does
 * it publish, and for what?
 */
#ifndef CULVER_QUEUE_DKIMKEY_H
#define CULVER_QUEUE_DKIMKEY_H

#include "conf/mem.h"

/* An RSA key of 4096 bits has 550 octets. */
#define DKIMKEY_OCTETS_MAX	1200
#define DKIMKEY_ED25519_OCTETS	32

enum dkimkey_type { DKIMKEY_RSA, DKIMKEY_ED25519 };

struct dkimkey {
	enum dkimkey_type type;		/* k= */
	bool	revoked;		/* p= is empty: octets_len 0 */
	bool	for_tlsrpt;		/* s= lets it sign reports */
	bool	testing;		/* t=y */
	bool	sha256;			/* h= lets it do so with SHA-256 */
	size_t	octets_len;
	uint8_t	octets[DKIMKEY_OCTETS_MAX];	/* p=, decoded */
};

/*
 * Parse one TXT record, its strings joined.  Pure.
 * False: no verifier can use it; *reason is a sentence without end, static.
 * Unknown tags are ignored, an unknown k= is not.  RFC 6376 3.2, 3.6.1;
 * RFC 8463 3, 4; RFC 8460 3 (s=tlsrpt).
 */
bool	dkimkey_parse(struct slice record, struct dkimkey *key,
	    const char **reason);

/*
 * Decode base64 with blanks and folds between its characters.  Pure.
 * False: it is malformed, or longer than size octets decoded.
 */
bool	dkimkey_base64(struct slice text, uint8_t *octets, size_t size,
	    size_t *len);

#endif
