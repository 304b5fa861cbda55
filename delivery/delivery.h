/*
 * delivery: did this server prove it, and did it take the message?
 *
 * Inside this folder three kinds of process speak with each other.  The
 * manager (culver-delivery) decides, connects and keeps what was promised.
 * The spawner, forked by it before it has any work, holds the CA bundle and
 * forks workers: so none of them has ever had another session's addresses in
 * its memory.  A worker talks SMTP on one socket at a time and is believed
 * in nothing but what concerns that one session.
 *
 * Order on a worker's link: W_SOCKET, then W_READY or W_FAILED.  After
 * W_READY as often as wanted W_JOB and W_RCPT each; W_BODY, W_PIPE, W_DOT (as
 * often as the message is sent), W_RESULT each, W_DONE.  Then W_QUIT.  After
 * a session W_IDLE, or the worker goes.  W_CUT may come at any time; from
 * W_DOT on the answer to the dot is awaited first.
 */
#ifndef CULVER_DELIVERY_H
#define CULVER_DELIVERY_H

#include "conf/addr.h"
#include "conf/wire.h"
#include "policy/policy.h"
#include "queue/queue.h"
#include "reports/reports.h"

#define JOB_RECIPIENTS_MAX	100
#define PROOF_ERRORS_MAX	8
#define PROOF_TLSA_TEXT_MAX	32

enum {
	/* manager to spawner */
	W_SPAWN = 0x0601,	/* fd: the new worker's end of its link */
	W_BUNDLE,		/* fd: CA bundle of workers from now on */
	/* manager to worker */
	W_SOCKET,	/* fd: connected, non-blocking: prove the server */
	W_JOB,		/* send this message; W_RCPT each follow */
	W_RCPT,
	W_PIPE,		/* answer to W_BODY; fd: pipe or file */
	W_QUIT,		/* end the session with QUIT */
	W_CUT,		/* close the connection now */
	/* worker to manager */
	W_READY,	/* the server proved it: give me messages */
	W_FAILED,	/* not this server: why */
	W_BODY,		/* the server said 354 */
	W_DOT,		/* the final dot is sent next */
	W_RESULT,	/* one recipient */
	W_DONE,		/* the job is over on this session */
	W_IDLE,		/* the session is over: give me another */
	W_LOG
};

/* A connection and all that decide_host and decide_session want to know. */
struct w_socket {
	uint64_t	session;
	char		host[DOMAIN_TEXT_MAX];	/* the MX: SNI, name checked */
	char		ehlo[DOMAIN_TEXT_MAX];	/* who we say we are */
	/* struct host_facts */
	uint32_t	class;
	uint32_t	sts;
	bool		sts_unknown;
	bool		sts_report_only;
	bool		mx_match;
	bool		mx_secure;
	bool		dnssec_unjudged;
	bool		name_given;
	uint32_t	tlsa;
	uint64_t	tlsa_mark;
	bool		tls_required;
	bool		relayhost_verified;
	bool		exempt;
	bool		relayhost;
	bool		clear_retry;	/* struct session_facts */
	bool		implicit_tls;	/* smtps: TLS before the greeting */
	/*
	 * Where tlsa is TLSA_USABLE: the names that a certificate under usage
	 * DANE-TA may bear (RFC 7672 3.2.2).  tlsa_base is also the SNI.  The
	 * other two are "" where they are no reference identifiers.
	 */
	char		tlsa_base[DOMAIN_TEXT_MAX];
	char		next_hop[DOMAIN_TEXT_MAX];
	char		next_hop_canonical[DOMAIN_TEXT_MAX];
	uint32_t	tlsa_records_len;	/* as in struct r_host */
	uint8_t		tlsa_records[ROUTE_TLSA_MAX];
};

/* Why a session came to nothing. */
enum proof_failure {
	PROOF_READY,		/* it did not */
	PROOF_POLICY,		/* decide_session: next host */
	PROOF_RECONNECT,	/* decide_session: same address, in clear */
	PROOF_REFUSED,		/* greeting or EHLO: 4yz, 5yz */
	PROOF_CLOSED,		/* connection closed or reset */
	PROOF_TIMEOUT,		/* a step's deadline passed */
	PROOF_VIOLATION,	/* what came was not SMTP */
	PROOF_CUT		/* by us */
};

struct w_proof {		/* W_READY, W_FAILED */
	uint64_t	session;
	uint32_t	failure;	/* enum proof_failure */
	/* How far it came; the facts for decide_session. */
	bool		starttls_known;
	uint32_t	starttls;	/* enum starttls */
	uint32_t	cert;		/* set of enum cert_defect */
	char		certificate[128];	/* "valid", or its defects */
	char		tls_version[16];
	char		tls_cipher[64];
	/* X509_V_ERR_*, an octet each, each once */
	uint32_t	errors_len;
	uint8_t		errors[PROOF_ERRORS_MAX];
	/* What DANE says of it: session_facts.dane, and likewise. */
	uint32_t	dane;		/* set of enum cert_defect */
	uint32_t	dane_errors_len;
	uint8_t		dane_errors[PROOF_ERRORS_MAX];
	/* the record that matched, "3 1 1 0b9fa5a5..."; "" none did */
	char		tlsa_matched[PROOF_TLSA_TEXT_MAX];
	/* why there is no TLS, STARTTLS being offered: the library's words
	   or the server's */
	char		tls_reason[REPORT_REASON_MAX];
	char		helo[DOMAIN_TEXT_MAX];	/* it calls itself so; "" */
	/* EHLO, the last one */
	bool		requiretls;
	bool		has_8bitmime;
	bool		has_size;
	uint64_t	size_limit;	/* 0: none given */
	/* what was heard or happened */
	uint32_t	code;		/* 0: no reply */
	char		reply[REPLY_TEXT_MAX];
};

struct w_job {
	uint64_t	job;
	char		sender[MAILBOX_TEXT_MAX];
	uint64_t	size_bytes;
	uint32_t	body;		/* enum body_kind */
	uint32_t	recipients;	/* W_RCPT that follow */
	uint32_t	ret;		/* enum dsn_ret */
	char		envid[ENVID_TEXT_MAX];
	bool		requiretls;	/* MAIL with REQUIRETLS (RFC 8689) */
};
struct w_rcpt {
	uint64_t	job;
	uint32_t	number;		/* the manager's, not always dense */
	char		recipient[MAILBOX_TEXT_MAX];
	uint32_t	notify;		/* set of enum dsn_notify */
	char		orcpt[ORCPT_TEXT_MAX];
};
struct w_id {			/* W_BODY, W_DOT: of the job */
	uint64_t	job;
};
struct w_pipe {
	uint64_t	job;
	uint64_t	size_bytes;
};	/* fd */

struct w_result {
	uint64_t	job;
	uint32_t	number;
	uint32_t	outcome;	/* enum outcome */
	uint32_t	code;		/* 0: nothing was heard */
	char		enhanced[16];
	char		clause[64];
	char		reply[REPLY_TEXT_MAX];
	bool		dsn_passed;	/* as in struct d_result */
};

/* What of a job's recipients that got no result? */
enum done {
	DONE_SERVED,	/* all have one */
	DONE_REFUSED,	/* 4yz before the data: another host may take it */
	DONE_LOST,	/* connection lost before the final dot: likewise */
	DONE_CUT	/* our own doing: they wait as before */
};
struct w_done {
	uint64_t	job;
	uint32_t	done;		/* enum done */
	bool		alive;		/* the session may carry another */
	bool		untouched;	/* lost before MAIL was taken */
	uint32_t	code;
	char		enhanced[16];
	char		reply[REPLY_TEXT_MAX];
};

struct w_log {
	uint32_t	level;
	char		line[4096];
};

/* Rows stand in delivery/wire.c. */
extern const struct wire_table spawner_wire;	/* manager and spawner */
extern const struct wire_table worker_wire;	/* manager and worker */

/* The facts of a W_SOCKET in the form that decide.h takes, and back. */
void	delivery_facts(const struct w_socket *socket,
	    struct host_facts *facts);
void	delivery_put_facts(const struct host_facts *facts,
	    struct w_socket *socket);

#endif
