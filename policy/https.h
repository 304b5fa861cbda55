/*
 * One HTTPS GET of a policy (RFC 8461 3.3): how it is made, and what its end
 * means.
 */
#ifndef CULVER_HTTPS_H
#define CULVER_HTTPS_H

#include "policy/policy.h"

#include <curl/curl.h>

#define HTTPS_DEADLINE_MS	60000
#define HTTPS_BODY_MAX		65536

struct https;

/*
 * Load what every fetch needs: libcurl, the trust anchors from ca_fd (PEM,
 * read and closed; -1: none, then no policy host is authentic), our name.
 * Local I/O; call before confinement.
 */
struct https	*https_new(int ca_fd, const char *hostname);

/* A transfer; its easy handle's CURLINFO_PRIVATE is the transfer. */
struct transfer {
	CURL			*easy;
	const struct https	*https;
	uint64_t		 question;
	int			 pipe;		/* the body's, the caller's */
	char			 host[DOMAIN_TEXT_MAX + 8];
	struct curl_slist	*addresses;
	char			 error[CURL_ERROR_SIZE];
	bool			 too_long;
	size_t			 body_len;
	uint8_t			 body[HTTPS_BODY_MAX];
};

/*
 * A GET of https://mta-sts.DOMAIN/.well-known/mta-sts.txt from the pinned
 * addresses, ready to be added to a multi handle.  NULL when get does not hold
 * a domain and an address.  Freed by https_free.
 */
struct transfer	*https_get(const struct https *, const struct f_get *get);
void		 https_free(struct transfer **);

/* What is known at the end of a transfer. */
struct https_end {
	CURLcode	 code;
	bool		 too_long;	/* above HTTPS_BODY_MAX */
	long		 status;	/* HTTP; 0: none */
	const char	*media_type;	/* NULL: none */
	long		 verify;	/* of the certificate, X509_V_... */
	const char	*error;		/* curl's sentence, "" */
};
/*
 * What does that mean?  Sets outcome, status and text of done.  Pure.
 * RFC 8461 3.3, RFC 8460 4.3.2.2
 */
void	https_judge(const struct https_end *, struct f_done *done);
/* The same of a transfer that ended with this code. */
void	https_end(struct transfer *, CURLcode, struct f_done *done);

#endif
