/*
 * Defects of a certificate: how they are gathered, sorted and called.
 */
#ifndef CULVER_X509_H
#define CULVER_X509_H

#include "delivery/delivery.h"

#include <openssl/x509_vfy.h>

/* What one way of judging a certificate has found wrong with it. */
struct x509_defects {
	unsigned	set;		/* of enum cert_defect; 0: nothing */
	/* X509_V_ERR_*, each once, in the order in which they were found */
	unsigned	errors_n;
	uint8_t		errors[PROOF_ERRORS_MAX];
};

/*
 * "X509_V_ERR_CERT_HAS_EXPIRED" of its number; a number that is none is
 * X509_V_ERR_UNSPECIFIED.  Pure.  RPT-4.3.1-5, RPT-4.4-19 RFC 8460 4.3.1
 */
const char	*x509_error_name(int error);
/* Which defect is an X509_V_ERR_*?  Pure.  Ruling 29. */
enum cert_defect x509_defect(int error);
/*
 * "expired (certificate has expired), host-mismatch (...)", cut at the room;
 * "" of none.  Pure.
 */
void		 x509_print(const uint8_t *errors, unsigned errors_n,
		    char *text, size_t size);

/* One more; where there is no room for its number its kind is kept. */
void		 x509_note(struct x509_defects *defects, int error);
/*
 * Verify what the library's context holds, to the end, whatever is found, and
 * add all of it to *defects.  Computes only; the error queue is empty behind
 * it.
 */
void		 x509_collect(X509_STORE_CTX *store,
		    struct x509_defects *defects);

#endif
