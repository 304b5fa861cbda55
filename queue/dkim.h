/*
 * DKIM signatures (RFC 6376, RFC 8301, RFC 8463): rsa-sha256 or
 * ed25519-sha256 as the key is, relaxed/relaxed, over the whole body.
 *
 * A message is read once, in pieces; then each key makes a field.
 */
#ifndef CULVER_QUEUE_DKIM_H
#define CULVER_QUEUE_DKIM_H

#include "conf/mem.h"
#include "queue/dkimsecret.h"

/* Of a message's header, so much is kept; a longer one is not signed. */
#define DKIM_HEADER_MAX		65536

struct dkim;

struct dkim	*dkim_new(void);
void		 dkim_free(struct dkim **);

/* More of the message: CRLF line ends, no dots added. */
void	dkim_add(struct dkim *, const void *octets, size_t len);
/*
 * The message is whole.  NULL: it can be signed; else why not, a sentence
 * without end, static (a header that is too long, or has no From).
 */
const char *dkim_end(struct dkim *);

/* Who signs, and when. */
struct dkim_terms {
	const char	*domain;	/* d= */
	const char	*selector;	/* s= */
	int64_t		 now_s;		/* t=, wall clock */
};

/*
 * After dkim_end: append one DKIM-Signature field with its CRLF, 7 bit, no
 * line longer than 78 columns but for a domain or selector that is.
 * False: libcrypto failed; nothing was appended.
 */
bool	dkim_sign(const struct dkim *, const struct dkimsecret *,
	    const struct dkim_terms *, struct buffer *out);

/*
 * What a signature covers, as SHA-256: the fields that names (as in h=, no
 * folds) names, then field (a DKIM-Signature without the value of its b=)
 * without a CRLF (RFC 6376 3.7).  After dkim_end.
 */
void	dkim_digest(const struct dkim *, struct slice names,
	    struct slice field, uint8_t digest[DKIMSECRET_DIGEST_SIZE]);
/* Append bh=: base64 of the body's SHA-256.  After dkim_end. */
void	dkim_body_hash(const struct dkim *, struct buffer *out);

#endif
