/*
 * HTTPS to pinned addresses, and one GET of a policy (RFC 8461 3.3): how it is
 * made, and what its end means.
 */
#ifndef CULVER_HTTPS_H
#define CULVER_HTTPS_H

#include "conf/log.h"
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

/*
 * What a GET of a policy and a POST of a report (post.h) have in common: one
 * connection, to one of the pinned addresses and to nothing else, over TLS,
 * through no proxy, with no cookie, netrc or redirect.
 */
struct exchange {
	CURL			*easy;
	const struct https	*https;
	char			 host[DOMAIN_TEXT_MAX + 8];
	bool			 literal;	/* host is an address */
	bool			 unverified;	/* take any certificate */
	uint32_t		 port;
	struct address		 addresses[ROUTE_ADDRESSES_MAX];
	unsigned		 addresses_n;
	struct curl_slist	*pins;
	unsigned		 idle_records;	/* TLS, without data */
	char			 error[CURL_ERROR_SIZE];
};

/*
 * Begin one, for at most timeout_ms in all; host, literal and unverified are
 * set, everything else is zero.  addresses are packed as in struct r_host and
 * borrowed for the call.  URL and request are the caller's to set.  False:
 * there is no address.
 */
bool	exchange_open(struct exchange *, const struct https *, uint32_t port,
	    const uint8_t *addresses, uint32_t len, int64_t timeout_ms);
/* What it holds goes; it can be opened anew. */
void	exchange_close(struct exchange *);

/* A refused option is our bug or another libcurl's: nothing is fetched. */
#define EXCHANGE_SET(exchange, option, value)				\
	do {								\
		CURLcode code_ = curl_easy_setopt((exchange)->easy,	\
		    CURLOPT_##option, value);				\
		if (code_ != CURLE_OK)					\
			fatal("libcurl refuses " #option ": %s",	\
			    curl_easy_strerror(code_));			\
	} while (0)

/* Does this end say that the certificate is no good?  Pure. */
bool	exchange_is_certificate(CURLcode);
/*
 * Why did it fail, for people?  Pure.  verify: X509_V_..., error: curl's
 * sentence.  One line of visible ASCII, without version numbers of our
 * libraries (RPT-8-2); a stranger's words are short.
 */
#define EXCHANGE_TEXT_MAX	256
void	exchange_words(CURLcode, long verify, const char *error,
	    char text[EXCHANGE_TEXT_MAX]);

/* One GET. */
struct transfer {
	struct exchange		 exchange;
	uint64_t		 question;
	int			 pipe;		/* the body's, the caller's */
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
