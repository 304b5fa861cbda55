/*
 * One HTTPS POST of a report (RFC 8460 3, 5.4): how it is made, and what its
 * end means.
 */
#ifndef CULVER_POST_H
#define CULVER_POST_H

#include "policy/https.h"

#define POST_DEADLINE_MS	60000	/* both tries together */
#define POST_SIZE_MAX		(8u << 20)
#define POST_ANSWER_MAX		65536

/* Pointers are its own; see post.c for its steps. */
struct post {
	struct exchange		 exchange;
	const struct https	*https;
	struct f_post		 message;
	struct curl_slist	*headers;
	uint8_t			*document;
	size_t			 len;		/* of it, so far */
	int64_t			 begun_ms;	/* the first try; monotonic */
	bool			 answered;	/* a final header is whole */
	size_t			 header_len;	/* of its answers, so far */
	size_t			 answer_len;	/* thrown away so far */
	/* Why it is sent to whoever answers; "": the certificate is good. */
	char			 defect[EXCHANGE_TEXT_MAX];
};

/*
 * What is to be sent to where.  NULL, with a sentence in why, when URL, host,
 * port and addresses do not agree, or the size is none or too great.
 */
struct post	*post_new(const struct https *, const struct f_post *,
		    char why[EXCHANGE_TEXT_MAX]);
void		 post_free(struct post **);
/* More of the document.  False: more than was announced. */
bool		 post_take(struct post *, const uint8_t *octets, size_t len);
bool		 post_is_whole(const struct post *);
/*
 * The whole document is here: the easy handle to be added to a multi handle.
 * To be called once more when post_end says so.
 */
CURL		*post_begin(struct post *);
/*
 * The handle, removed from its multi handle, ended with this code.  False: the
 * certificate is no good and nothing was sent; begin again, without asking for
 * one (ruling 30, RPT-3-8).  True: posted is what came of it.
 */
bool		 post_end(struct post *, CURLcode, struct f_posted *posted);

/* What is known at the end of a try. */
struct post_end {
	CURLcode	 code;
	long		 status;	/* HTTP, the last one; 0: none */
	bool		 answered;	/* its header is whole, and final */
	bool		 all_sent;	/* every octet was handed to TLS */
	bool		 handshake;	/* TLS was established */
	long		 verify;	/* of the certificate, X509_V_... */
	long		 os_error;	/* errno of a failed connect; 0 */
	const char	*error;		/* curl's sentence, "" */
	const char	*defect;	/* of an unverified one; "" verified */
};
/*
 * What does that mean?  Sets outcome, status, verified and text.  Pure.
 * RFC 8460 5.4
 */
void	post_judge(const struct post_end *, struct f_posted *);

#endif
