/*
 * DANE: does what a server showed fit what DNS says of it (RFC 7672)?
 */
#ifndef CULVER_DANE_H
#define CULVER_DANE_H

#include "delivery/x509.h"

#include <openssl/ssl.h>

/* What DNS says of a server's certificate; all borrowed. */
struct dane {
	struct slice	 records;	/* as in struct r_host */
	const char	*base;		/* the TLSA base domain */
	/* further names that it may bear, "" or NULL none: RFC 7672 3.2.2 */
	const char	*others[2];
};

/* What came of the comparison. */
struct dane_verdict {
	/*
	 * Some record could be compared.  False: all of them are unusable,
	 * and nothing is said of the certificate.
	 */
	bool			usable;
	/* empty: one matches, and what its usage asks for beside holds */
	struct x509_defects	defects;
	/* the record that matched, "3 1 1 0b9fa5a5..."; "" none did */
	char			matched[PROOF_TLSA_TEXT_MAX];
};

/* Make the records known to a context; once, before dane_judge. */
void	dane_begin(SSL_CTX *context);
/*
 * The next record of *rest, taken off it.  Pure.  False: its end, or what is
 * no list of records.
 */
bool	dane_next(struct slice *rest, struct slice *rdata);
/*
 * The strongest matching type (0: none) among the digest records of each
 * usage and selector, [usage - 2][selector].  Pure.  DANE-7671-9-2
 */
struct dane_digests {
	uint8_t	strongest[2][2];
};
void	dane_weigh(struct slice records, struct dane_digests *digests);
/*
 * Does this record count beside those?  Pure.  Unusable ones never do, full
 * ones always, digests where there is no stronger one.
 * DANE-7671-9-1 RFC 7671 9
 */
bool	dane_counts(const struct dane_digests *digests, struct slice rdata);

/*
 * Compare the chain that a server showed, its own certificate in leaf, with
 * the records.  level is the library's security level.  Computes only.
 */
void	dane_judge(SSL_CTX *context, X509 *leaf, STACK_OF(X509) *chain,
	    int level, const struct dane *dane,
	    struct dane_verdict *verdict);

#endif
