/*
 * One SMTP session with one server, seen from its worker: blocking, straight
 * through, in the order of RFC 5321 3 and RFC 3207 4.
 *
 * session_begin; session_prove; if that was well session_deliver any number of
 * times while it leaves the session alive; session_quit.
 */
#ifndef CULVER_DELIVERY_SESSION_H
#define CULVER_DELIVERY_SESSION_H

#include "delivery/delivery.h"
#include "delivery/ehlo.h"
#include "delivery/reply.h"
#include "delivery/stream.h"
#include "delivery/tls.h"

/* How long each step may take, in milliseconds (RFC 5321 4.5.3.2). */
struct session_limits {
	int64_t	greeting_ms;
	int64_t	hello_ms;	/* EHLO, HELO, STARTTLS, RSET */
	int64_t	handshake_ms;
	int64_t	mail_ms;
	int64_t	rcpt_ms;	/* each */
	int64_t	data_ms;	/* the answer to DATA */
	int64_t	block_ms;	/* each STREAM_BUFFER of data */
	int64_t	dot_ms;
	int64_t	quit_ms;
	int64_t	body_ms;	/* each piece from our own queue */
};
extern const struct session_limits session_limits;

/* What a session wants of its worker while it delivers. */
struct session_calls {
	/*
	 * The server said 354: the body's descriptor, the callee's to close
	 * later, and its exact size; -1: there is none, give up.
	 */
	int	(*body)(void *context, uint64_t *size_bytes);
	/* The final dot is sent next; false: it must not. */
	bool	(*dot)(void *context);
	/* A recipient is settled. */
	void	(*result)(void *context, const struct w_result *result);
};

struct session {
	struct stream			 stream;
	SSL_CTX				*tls;
	const struct session_limits	*limits;
	const struct session_calls	*calls;
	void				*context;
	struct w_socket			 about;
	struct host_facts		 host;
	enum requirement		 requirement;
	struct ehlo			 ehlo;
	char				 helo[DOMAIN_TEXT_MAX];	/* its name */
	struct tls_proof		 tls_proof;
	bool				 encrypted;
	bool				 dirty;		/* RSET before MAIL */
	bool				 dead;		/* of no more use */
	bool				 violated;	/* it spoke no SMTP */
	const char			*step;		/* what is answered */
	struct reply			 reply;		/* the last one */
	struct reply_parser		 parser;
};

/* One message, and what becomes of its recipients. */
enum session_rcpt_state { RCPT_WAITING, RCPT_ACCEPTED, RCPT_LATER, RCPT_OVER };
struct session_rcpt {
	uint32_t			number;
	enum session_rcpt_state		state;
	char				recipient[MAILBOX_TEXT_MAX];
	uint32_t			notify;	/* set of enum dsn_notify */
	char				orcpt[ORCPT_TEXT_MAX];
};
struct session_job {
	struct w_job			 job;
	struct session_rcpt		*rcpts;
	unsigned			 rcpts_n;	/* at least 1 */
};

/*
 * Begin with a connected, non-blocking socket (taken over).  watch_fd: see
 * stream.h.  tls, limits, calls and context are borrowed for the session's
 * life; about is copied.
 */
void	session_begin(struct session *session, int fd, int watch_fd,
	    const struct w_socket *about, SSL_CTX *tls,
	    const struct session_limits *limits,
	    const struct session_calls *calls, void *context);
/*
 * Greeting, EHLO, STARTTLS, handshake, decide_session, EHLO again; where TLS
 * is implicit handshake, decide_session, greeting, EHLO.  Blocks
 * as long as the steps' limits allow.  True: it may carry mail; *proof says
 * what was proven, or why not.
 */
bool	session_prove(struct session *session, struct w_proof *proof);
/*
 * Send one message to all recipients of the job that wait.  Blocks likewise.
 * Results are told by calls->result; *done says what became of the rest.
 */
void	session_deliver(struct session *session, struct session_job *job,
	    struct w_done *done);
/*
 * Say QUIT where that can still be said, wait shortly for the answer, close.
 * SMTP-4.1.1.10-3, SMTP-3.8-4
 */
void	session_quit(struct session *session);

#endif
