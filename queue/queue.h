/*
 * queue: what do we still owe, to whom, when?
 *
 * The messages by which mail comes in (Q_*, from smtpd and reports), is signed
 * (S_*, sign) and goes out (D_*, delivery).
 */
#ifndef CULVER_QUEUE_H
#define CULVER_QUEUE_H

#include "conf/addr.h"
#include "conf/wire.h"

#define REPLY_TEXT_MAX	2048	/* an SMTP reply, lines joined by "\n" */
#define ID_TEXT_MAX	17	/* 16 hexadecimal digits and the end */

/*
 * A message's id: milliseconds since 1970 (42 bits) and 22 random bits, made
 * by smtpd; 0 is none.  Text: 16 lower-case hexadecimal digits.
 */
uint64_t queue_id_new(void);
char	*queue_id_print(uint64_t id, char text[ID_TEXT_MAX]);
bool	 queue_id_parse(const char *text, uint64_t *id);

enum {
	/* smtpd to queue; every one names the message by id */
	Q_OPEN = 0x0401,
	Q_RCPT,
	Q_PLACE,	/* may DATA begin?  (ignored without recipients) */
	Q_DATA,		/* fd: read end of the body's pipe */
	Q_END,		/* the body is whole: this many octets */
	Q_WHOLE,	/* a small body, all of it, instead of Q_DATA, Q_END */
	Q_ABORT,	/* forget it */
	/* queue to smtpd */
	Q_RCPT_ANSWER,
	Q_GO,		/* say 354 */
	Q_TAKEN,	/* durable: say 250 */
	Q_REFUSED,	/* any time: reply code and text; id is forgotten */
	/* reports to queue, and back */
	Q_ASK_KEY,	/* what became of the message with this key? */
	Q_KEY,
	/* queue to delivery */
	D_DUE = 0x0501,
	D_JOB,		/* answer to D_NEXT: a message; D_RCPT each follow */
	D_RCPT,
	D_NONE,		/* answer to D_NEXT: nothing more is due */
	D_PIPE,		/* answer to D_BODY: fd: read end, or a file */
	D_SETTLED,	/* results up to this one are durable */
	D_HOLD,		/* stop this destination: held, or flush: ask anew */
	/* delivery to queue */
	D_HOST,		/* a host was judged or tried: the facts */
	D_NEXT,		/* this session can carry a message */
	D_BODY,		/* the body of job: the server said 354, or soon will */
	D_RESULT,	/* one recipient's result; repeated until settled */
	D_RETURN,	/* job not begun or cut: recipients without result wait
			   as before, nothing is known against the peer */
	D_ENDED,	/* the attempt is over: nothing left, or the verdict */
	D_HELD,		/* fresh link: running job, or unsettled result */
	D_SYNCED,	/* fresh link: all D_HELD are said; D_DUE may begin */
	/* queue to sign */
	S_SIGN = 0x0701,	/* fd: read end, the message as it will leave */
	/* sign to queue */
	S_HEADER	/* its DKIM-Signature fields, or why not */
};

/* BODY= of MAIL, and what the octets really are. */
enum body_kind { BODY_7BIT, BODY_8BITMIME };

/*
 * The DSN extension (RFC 3461): what the client asked for.  ENVID and ORCPT
 * as they came, in xtext: they go on so, and are decoded where a DSN is made.
 */
enum dsn_ret { RET_NONE, RET_FULL, RET_HDRS };
enum dsn_notify {		/* a set; 0: NOTIFY was not given */
	NOTIFY_NEVER = 1,
	NOTIFY_SUCCESS = 2,
	NOTIFY_FAILURE = 4,
	NOTIFY_DELAY = 8,
	NOTIFY_ALL = 15
};
#define ENVID_TEXT_MAX	101
#define ORCPT_TEXT_MAX	501

struct q_open {
	uint64_t	id;
	char		sender[MAILBOX_TEXT_MAX];	/* "" null */
	uint64_t	size_bytes;	/* announced by SIZE, 0: not */
	uint32_t	body;		/* enum body_kind, as announced */
	uint32_t	class;		/* enum mail_class */
	bool		local;		/* by sendmail: uid counts */
	uint32_t	uid;
	char		key[64];	/* idempotency key, "" none */
	/* for the accept line */
	char		client[ADDRESS_TEXT_MAX];	/* "" local */
	char		proto[16];	/* "ESMTP", "SMTP", "local" */
	char		tls[64];	/* version of inbound TLS, "none" */
	char		auth[64];	/* user who authenticated, "none" */
	uint32_t	ret;		/* enum dsn_ret */
	char		envid[ENVID_TEXT_MAX];	/* "" none */
};
struct q_rcpt {
	uint64_t	id;
	uint32_t	number;		/* counts from 0 in this message */
	char		recipient[MAILBOX_TEXT_MAX];
	uint32_t	notify;		/* set of enum dsn_notify */
	char		orcpt[ORCPT_TEXT_MAX];	/* "" none */
};
/* The answer to an RCPT, and to a refused message. */
struct q_rcpt_answer {
	uint64_t	id;
	uint32_t	number;
	uint32_t	code;		/* 250, 451, 452 */
	char		text[256];	/* "2.1.5 ok" */
};
struct q_data {
	uint64_t	id;
};	/* fd: read end */
struct q_end {
	uint64_t	id;
	uint64_t	size_bytes;	/* that went into the pipe */
	bool		eight_bit;	/* an octet above 127 was seen */
	/* It has one field "TLS-Required: No" (RFC 8689 4.1); counts where
	   the class is that of ordinary mail. */
	bool		tls_optional;
	char		msgid[256];	/* Message-ID, for the log */
};
#define SMALL_BODY_MAX	(48u << 10)
struct q_whole {
	uint64_t	id;
	bool		eight_bit;	/* as in q_end */
	bool		tls_optional;	/* as in q_end */
	char		msgid[256];
	uint32_t	body_len;
	uint8_t		body[SMALL_BODY_MAX];
};
struct q_id {		/* Q_PLACE, Q_ABORT, Q_GO, Q_TAKEN */
	uint64_t	id;
};
struct q_refused {
	uint64_t	id;
	uint32_t	code;		/* 451, 452, 552 */
	char		text[256];	/* "4.3.1 no space" */
};

/*
 * Mail of our own making (class report) is taken from reports alone, with a
 * key, for one recipient.  A key that is known is answered with Q_TAKEN at
 * Q_DATA, without Q_GO, and nothing is stored: it was taken before.  Keys are
 * known for 7 days after the last change of their state, and while owed.
 */
struct q_ask_key {
	char		key[64];
};
enum key_state {
	KEY_UNKNOWN,	/* never taken (or long ago) */
	KEY_OWED,	/* in the queue */
	KEY_ACCEPTED,	/* the next hop took it */
	KEY_REFUSED,	/* its hosts or its domain refused it for good: code
			   (0: none was heard) and text say why */
	KEY_EXPIRED	/* no host took it within 24 h of the first attempt,
			   nobody could sign it in 24 h, or an operator removed
			   it: text says which; nothing against the receiver */
};
struct q_key {
	char		key[64];
	uint32_t	state;		/* enum key_state */
	uint32_t	code;		/* SMTP reply, 0: none */
	char		host[DOMAIN_TEXT_MAX];
	char		text[512];
};

/*
 * Order on a link: Q_OPEN, Q_RCPT/Q_RCPT_ANSWER each, Q_PLACE, Q_GO; then
 * Q_WHOLE, or, where the body is larger, Q_DATA, octets in the pipe, Q_END;
 * Q_TAKEN.  Who has only large ones may leave Q_PLACE out: Q_GO answers Q_DATA
 * then.  Q_PLACE may be said before the answers to RCPTs are there: it comes
 * behind them, and counts only if one of them was taken.
 *
 * smtpd writes Received and the message (CRLF, dots removed) into Q_WHOLE or
 * the pipe, which it closes; the message is taken only if the pipe ends at
 * exactly q_end.size_bytes.
 */

struct d_due {
	uint64_t	destination;	/* queue's number of it */
	char		domain[DOMAIN_TEXT_MAX];	/* next hop */
	uint32_t	class;		/* enum mail_class */
	uint32_t	waiting;	/* messages due, at most 1000 counted */
};
struct d_destination {			/* D_HOLD */
	uint64_t	destination;
};
struct d_job {
	uint64_t	destination;
	uint64_t	session;	/* that asked */
	uint64_t	job;		/* queue's number */
	uint64_t	message;
	char		sender[MAILBOX_TEXT_MAX];
	uint64_t	size_bytes;
	uint32_t	body;		/* enum body_kind: what it needs */
	uint32_t	recipients;	/* D_RCPT that follow, 1 to 100 */
	uint32_t	more;		/* messages due behind it (≤ 1000) */
	uint32_t	ret;		/* enum dsn_ret */
	char		envid[ENVID_TEXT_MAX];
	/*
	 * It was taken with REQUIRETLS: MAIL says so where that may be said.
	 * The destination's class demands it, but of the null sender's: those
	 * go in class mail, with the keyword or without it (RTLS-5-5).
	 */
	bool		requiretls;
};
struct d_rcpt {
	uint64_t	job;
	uint32_t	number;		/* 0 to recipients - 1 */
	char		recipient[MAILBOX_TEXT_MAX];
	uint32_t	notify;		/* set of enum dsn_notify */
	char		orcpt[ORCPT_TEXT_MAX];
};
struct d_none {
	uint64_t	destination;
	uint64_t	session;
};
struct d_pipe {
	uint64_t	job;
	uint64_t	size_bytes;	/* exactly so many follow */
};	/* fd */

/*
 * A host of the route as judged (session 0) or as tried.  One for each host
 * or address, before D_NEXT of that session; the queue keeps them for
 * `explain` and for the log lines of results that name the session.
 */
struct d_host {
	uint64_t	destination;
	uint64_t	session;	/* 0: it never became one */
	bool		ready;		/* it may carry messages */
	char		host[DOMAIN_TEXT_MAX];
	char		address[ADDRESS_TEXT_MAX];	/* "" not connected */
	/* the facts, by the names that decide.h gives them */
	char		policy[20];	/* "sts", "tlsa", "no-policy-found" */
	char		sts[16];	/* "enforce"; "" no policy */
	char		sts_id[33];
	bool		sts_cached;
	bool		mx_match;
	bool		mx_secure;
	bool		address_secure;
	char		tlsa[16];	/* "usable", "failed", ... */
	/* what it had to prove and did */
	char		requirement[16];	/* "none", "pkix", ... */
	char		verdict[16];	/* "try", "skip", "send", "next", ... */
	bool		exempt;		/* by the operator, and it mattered */
	bool		connected;
	char		starttls[16];	/* "absent", "done", ... ; "" unknown */
	char		certificate[128];	/* "valid", or its defects */
	char		tls_version[16];
	char		tls_cipher[64];
	char		result[40];	/* RFC 8460 result, "success", "" */
	/* the rule that decided */
	char		rule[64];
	char		enhanced[16];
	char		clause[64];
	char		repair[256];
	char		reply[REPLY_TEXT_MAX];	/* greeting/EHLO refusal, or
						   connect error */
	/* what the TLSA records said of its certificate: "matches 3 1 1 ...",
	   its defects, "" not compared */
	char		dane[128];
	/* what kept us from the policy, or from a newer one, as the result of
	   RFC 8460 4.3 and its text: "sts-policy-fetch-error: HTTP 403" */
	char		policy_error[300];
	bool		name_given;	/* the host's name, not by MX */
};
struct d_next {
	uint64_t	destination;
	uint64_t	session;
	/*
	 * EHLO facts.  Queue announces BODY=8BITMIME only where it can be
	 * said.  The size it does not look at: whether a message fits,
	 * delivery judges, host by host.
	 */
	bool		has_8bitmime;
	bool		has_size;
	uint64_t	size_limit;	/* 0: none given */
};
struct d_body {
	uint64_t	job;
};

enum outcome { OUTCOME_DELIVERED = 1, OUTCOME_DEFERRED, OUTCOME_FAILED };

struct d_result {
	uint64_t	sequence;	/* delivery's, rising; for D_SETTLED */
	uint64_t	job;
	uint64_t	message;
	uint64_t	session;
	uint64_t	destination;
	char		recipient[MAILBOX_TEXT_MAX];
	uint32_t	outcome;	/* enum outcome */
	uint32_t	code;		/* SMTP code, 0: none was heard */
	char		enhanced[16];
	char		clause[64];
	char		host[DOMAIN_TEXT_MAX];
	char		address[ADDRESS_TEXT_MAX];
	char		reply[REPLY_TEXT_MAX];
	/*
	 * The session's facts as its D_HOST had them: a queue that was started
	 * since has not heard that.  "" not known.
	 */
	char		policy[20];
	char		requirement[16];
	char		verdict[16];
	char		rule[64];
	char		repair[256];
	char		tls_version[16];
	char		tls_cipher[64];
	/* delivered, and the server offered DSN: it sees to the rest */
	bool		dsn_passed;
};
struct d_settled {
	uint64_t	sequence;	/* all up to and with it are durable */
};
struct d_return {
	uint64_t	job;
};
struct d_ended {
	uint64_t	destination;
	/*
	 * 0: it was served until D_NONE; else enum outcome: no host took it.
	 * Deferred: one back-off for the destination; failed: what is due
	 * bounces.  ours: a program of ours died or it was stopped; nothing is
	 * known against the peer: due again at once, no back-off.
	 */
	uint32_t	outcome;
	bool		ours;
	/*
	 * Some host was refused by an enforced policy: no bounce at expiry
	 * unless the policy's TXT record was asked for with success in this
	 * attempt (STS-5-6, ruling 20).
	 */
	bool		policy_refused;
	bool		policy_checked;
	char		enhanced[16];
	char		rule[64];
	char		clause[64];
	char		repair[256];
	char		text[512];	/* for people and the DSN */
};
struct d_held {
	bool		running;	/* else it is a result, sent again after */
	uint64_t	job;
	uint64_t	message;
	uint64_t	destination;
	char		recipient[MAILBOX_TEXT_MAX];
};

/*
 * A message whose sender's domain has keys (`dkim`) and that is of our own
 * making is signed before it first leaves.
 */
#define SIGNATURES_MAX	8192
struct s_sign {
	uint64_t	id;
	char		domain[DOMAIN_TEXT_MAX];	/* d= */
	uint64_t	size_bytes;
	int64_t		now_s;		/* t=, wall clock */
};	/* fd: read end; ends after size_bytes */
struct s_header {
	uint64_t	id;
	bool		done;
	char		error[256];	/* why not */
	/* whole header fields with CRLF, one for each key of the domain */
	uint32_t	header_len;
	uint8_t		header[SIGNATURES_MAX];
};

/* Rows stand in queue/wire.c. */
extern const struct wire_table intake_wire;	/* smtpd or reports, queue */
extern const struct wire_table feed_wire;	/* queue and delivery */
extern const struct wire_table sign_wire;	/* queue and sign */

/*
 * A multipart/report (RFC 6522), written part by part: what a bounce and the
 * mail of a TLS report have in common.  Pure; queue/multipart.c.
 */
struct multipart {
	struct buffer	*out;		/* borrowed */
	char		 boundary[64];
	bool		 begun;		/* a part was */
};
/*
 * Append MIME-Version and Content-Type of the whole, its last header fields,
 * and the empty line.  word: a-z, 0-9, ".", 1 to 40; nothing that is
 * written into the parts may hold a line beginning "--=_culver/" and it.
 */
void	multipart_begin(struct multipart *, struct buffer *out,
	    const char *report_type, const char *word);
/*
 * The boundary, these header fields (with CRLF) and the empty line; then the
 * caller appends the part's octets.
 */
void	multipart_part(struct multipart *, const char *fields);
void	multipart_end(struct multipart *);

#endif
