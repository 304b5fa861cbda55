/*
 * TLS towards a mail server: what is asked of OpenSSL, and what came of it in
 * our own terms.  The handshake always runs to its end whatever the
 * certificate is; what was wrong with it is collected and judged by
 * decide_session, not by the library.
 */
#ifndef CULVER_TLS_H
#define CULVER_TLS_H

#include "delivery/dane.h"
#include "delivery/x509.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>

/*
 * Before confinement: the library reads its configuration, loads what that
 * names, and makes throw-away handshakes with itself, so that nothing is
 * opened or loaded later.  Local I/O, some milliseconds.
 */
void	 tls_begin(void);
/*
 * A context with the trust anchors of the bundle in fd (a file of PEM; stays
 * the caller's).  fd -1: nothing is trusted.  Local I/O,
 * some 50 ms for a system's bundle.  *anchors counts what was taken; what is
 * no certificate is passed over.  Never NULL.
 */
SSL_CTX	*tls_context(int fd, unsigned *anchors);

/* Whom a session is made with; all borrowed. */
struct tls_about {
	/* MX name or address literal: what the certificate must hold */
	const char		*host;
	/* TLS is a must here: weak suites are not even offered */
	bool			 required;
	/* to be compared with; its base is the SNI then.  NULL: nothing */
	const struct dane	*dane;
};

/*
 * What one handshake showed.  Defects are those that count where TLS is
 * required, whether it is or not: a key or a suite that is too weak is one
 * (ruling 10).
 */
struct tls_proof {
	struct x509_defects	pkix;		/* for the host's name */
	struct dane_verdict	dane;		/* zero without records */
	/* "valid", or pkix's defects; before them "weak suite AES256-SHA" */
	char			certificate[128];
	char			version[16];
	char			cipher[64];
};

/* A client session, for a handshake.  Free with SSL_free. */
SSL	*tls_new(SSL_CTX *context, const struct tls_about *about);
/* After a handshake that was made: what is there to say of it?  Computes. */
void	 tls_prove(SSL *ssl, const struct tls_about *about,
	    struct tls_proof *proof);

/*
 * What do the context's CAs say of this chain, its own certificate in leaf,
 * for this host?  Adds to *defects; level is the library's security level.
 * Computes only.
 */
void	 tls_judge(SSL_CTX *context, X509 *leaf, STACK_OF(X509) *chain,
	    int level, const char *host, struct x509_defects *defects);

/*
 * The library's reason for the last failure, in words ("wrong version
 * number"); empties its queue.  True when it was an end without
 * close_notify.
 */
bool	 tls_reason(char *text, size_t size);

#endif
