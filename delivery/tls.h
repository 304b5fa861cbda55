/*
 * TLS towards a mail server: what is asked of OpenSSL, and what came of it in
 * our own terms.  The handshake always runs to its end whatever the
 * certificate is; what was wrong with it is collected and judged by
 * decide_session, not by the library.
 */
#ifndef CULVER_TLS_H
#define CULVER_TLS_H

#include "policy/policy.h"

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

#define TLS_ERRORS_KEPT	8

/* What one handshake showed; lives as long as its SSL. */
struct tls_proof {
	unsigned	cert;		/* set of enum cert_defect */
	int		errors[TLS_ERRORS_KEPT]; /* X509_V_ERR_*, each once */
	unsigned	errors_n;
	char		certificate[128];	/* "valid", or its defects */
	char		version[16];
	char		cipher[64];
};

/*
 * A client session towards host (an MX name or address literal; its name is
 * sent as SNI and is what the certificate must hold).  required: TLS is a
 * must here, so weak suites are not even offered.  proof is borrowed for the
 * session's life.  Free with SSL_free.
 */
SSL	*tls_new(SSL_CTX *context, const char *host, bool required,
	    struct tls_proof *proof);
/* After a handshake that was made: fill in what is said of it. */
void	 tls_prove(SSL *ssl, struct tls_proof *proof);

/* Which defect is an X509_V_ERR_*?  Pure.  facts.md 3, ruling 29. */
enum cert_defect tls_defect(int error);

/*
 * The library's reason for the last failure, in words ("wrong version
 * number"); empties its queue.  True when it was an end without
 * close_notify.
 */
bool	 tls_reason(char *text, size_t size);

#endif
