/*
 * Did this server prove it, and did it take the message?
 *
 * Called by worker.c, and by its test against a scripted peer.  It reads as
 * RFC 5321 does: greeting, EHLO, STARTTLS, EHLO, MAIL, RCPT, DATA, dot, QUIT.
 * A command is put (say), its answer awaited (hear); with PIPELINING a group
 * is put before the first answer is awaited, and answers are matched by
 * count.
 *
 * A session is alive until it is `dead`: closed, timed out, cut by us, 421,
 * or an answer that is no SMTP.  Then nothing more is said on it.
 *
 * It does not connect, choose hosts or keep results: the manager does.
 */
#include "delivery/session.h"

#include "conf/log.h"
#include "delivery/dots.h"
#include "delivery/facts.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_OCTETS	32768

#define SECONDS(n)	((int64_t)(n) * 1000)
#define MINUTES(n)	SECONDS((n) * 60)

const struct session_limits session_limits = {
	.greeting_ms = MINUTES(5),	/* SMTP-4.5.3.2.1-1 */
	.hello_ms = MINUTES(5),
	.handshake_ms = MINUTES(2),
	.mail_ms = MINUTES(5),		/* SMTP-4.5.3.2.2-1 */
	.rcpt_ms = MINUTES(5),		/* SMTP-4.5.3.2.3-1 */
	.data_ms = MINUTES(2),		/* SMTP-4.5.3.2.4-1 */
	.block_ms = MINUTES(3),		/* SMTP-4.5.3.2.5-1 */
	.dot_ms = MINUTES(10),		/* SMTP-4.5.3.2.6-1 */
	.quit_ms = SECONDS(10),
	.body_ms = MINUTES(3)
};

/* ---- saying and hearing ---- */

static int64_t
until(int64_t limit_ms)
{
	return wire_now_ms() + limit_ms;
}

/* Put one command; it leaves with the next hear. */
static void
say(struct session *session, int64_t limit_ms, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void
say(struct session *session, int64_t limit_ms, const char *format, ...)
{
	char line[1024];
	va_list values;
	int len;

	va_start(values, format);
	len = vsnprintf(line, sizeof(line) - 2, format, values);
	va_end(values);
	/* What came from the queue was parsed; nothing may end a line early. */
	if (len < 0 || (size_t)len >= sizeof(line) - 2 ||
	    strpbrk(line, "\r\n") != NULL)
		bug("no command: %.100s", line);
	memcpy(line + len, "\r\n", 2);
	stream_put(&session->stream, line, (size_t)len + 2, until(limit_ms));
}

/*
 * The next answer, in session->reply, with its lines told to line if that is
 * not NULL.  False when the session is dead; SMTP-4.3.2-2: after 421 too.
 * SMTP-4.5.3.2-1: each answer has its own time.
 */
static bool
hear_lines(struct session *session, const char *step, int64_t limit_ms,
    void (*line)(void *, struct slice, bool))
{
	int64_t deadline_ms = until(limit_ms);
	enum reply_state state = REPLY_MORE;
	struct slice octets;
	size_t used;

	session->step = step;
	reply_begin(&session->parser, &session->reply, line, &session->ehlo);
	while (state == REPLY_MORE) {
		if (!stream_read(&session->stream, deadline_ms)) {
			session->reply.code = 0;
			session->dead = true;
			return false;
		}
		octets = stream_read_so_far(&session->stream);
		state = reply_feed(&session->parser, octets.at, octets.len,
		    &used);
		stream_take(&session->stream, used);
	}
	session->violated = state == REPLY_VIOLATION;
	session->dead = session->violated || session->reply.code == 421;
	return !session->dead;
}

static bool
hear(struct session *session, const char *step, int64_t limit_ms)
{
	return hear_lines(session, step, limit_ms, NULL);
}

/* An answer of a class that this command cannot have (SMTP-4.2-4). */
static bool
violate(struct session *session)
{
	session->violated = true;
	session->dead = true;
	return false;
}

static unsigned
class(const struct session *session)
{
	return reply_class(&session->reply);
}

/* What happened, in words, where there is no reply to show. */
static void
print_loss(const struct session *session, char *text, size_t size)
{
	if (session->violated)
		snprintf(text, size, "not an SMTP answer to %s: %.1500s",
		    session->step, session->reply.text);
	else if (session->reply.code != 0)
		snprintf(text, size, "%s", session->reply.text);
	else
		snprintf(text, size, "%s, awaiting the answer to %s",
		    session->stream.error, session->step);
}

/* ---- proving ---- */

void
session_begin(struct session *session, int fd, int watch_fd,
    const struct w_socket *about, SSL_CTX *tls,
    const struct session_limits *limits, const struct session_calls *calls,
    void *context)
{
	memset(session, 0, sizeof(*session));
	stream_open(&session->stream, fd, watch_fd);
	session->tls = tls;
	session->limits = limits;
	session->calls = calls;
	session->context = context;
	/* Without records a certificate would be compared with nothing. */
	if (about->tlsa == TLSA_USABLE && (about->tlsa_records_len == 0 ||
	    about->tlsa_base[0] == '\0'))
		bug("no TLSA records for %s", about->host);
	session->about = *about;
	delivery_facts(about, &session->host);
	session->requirement = decide_host(&session->host).requirement;
	session->step = "the connection";
}

static void
take_ehlo_line(void *context, struct slice line, bool first)
{
	ehlo_line(context, line, first);
}

/* Of an answer that is none to EHLO its first line alone. */
static void
take_name_line(void *context, struct slice line, bool first)
{
	if (first)
		ehlo_line(context, line, true);
}

/* RPT-4.4-14 RFC 8460 4.4: the name in the last answer that had one. */
static void
keep_name(struct session *session)
{
	if (session->ehlo.name[0] != '\0')
		memcpy(session->helo, session->ehlo.name,
		    sizeof(session->helo));
}

/* SMTP-4.3.1-1: nothing is said before the server has greeted. */
static bool
hear_greeting(struct session *session)
{
	if (!hear_lines(session, "the connection",
	    session->limits->greeting_ms, take_name_line) ||
	    class(session) != 2)
		return false;
	keep_name(session);
	return true;
}

/*
 * SMTP-2.2.1-2, SMTP-4.1.1.1-1: EHLO first, and again inside TLS, where all
 * that was learnt before is forgotten (TLS-3207-4.2-2).  SMTP-3.2-2: HELO
 * for a server that does not know it; where TLS is a must HELO is of no use
 * (RTLS-4.2.1-3).
 */
static bool
say_hello(struct session *session)
{
	session->ehlo = (struct ehlo){ 0 };
	say(session, session->limits->hello_ms, "EHLO %s",
	    session->about.ehlo);
	if (!hear_lines(session, "EHLO", session->limits->hello_ms,
	    take_ehlo_line))
		return false;
	if (class(session) == 2) {
		keep_name(session);
		return true;
	}
	session->ehlo = (struct ehlo){ 0 };
	if (class(session) != 5 || session->encrypted)
		return false;
	if (session->requirement != REQUIRE_NONE)
		return true;	/* decide_session sees no STARTTLS */
	say(session, session->limits->hello_ms, "HELO %s",
	    session->about.ehlo);
	if (!hear_lines(session, "HELO", session->limits->hello_ms,
	    take_name_line) || class(session) != 2)
		return false;
	keep_name(session);
	return true;
}

/* RPT-4.3.1-7 RFC 8460 4.3.1: cut at the room, cleaned by the manager. */
static void
give_reason(struct w_proof *proof, const char *why)
{
	snprintf(proof->tls_reason, sizeof(proof->tls_reason), "%.*s",
	    (int)sizeof(proof->tls_reason) - 1, why);
}

/* Where TLS came to nothing: no more is said on this connection. */
static enum starttls
tls_broken(struct session *session, struct w_proof *proof, const char *why)
{
	session->dead = true;
	give_reason(proof, why);
	snprintf(proof->reply, sizeof(proof->reply), "TLS: %s", why);
	return STARTTLS_BROKEN;
}

/* Whom the handshake is made with, and what its certificate must fit. */
static void
tls_with(const struct session *session, struct dane *dane,
    struct tls_about *about)
{
	const struct w_socket *socket = &session->about;

	*dane = (struct dane){
		.records = { (const char *)socket->tlsa_records,
		    socket->tlsa_records_len },
		.base = socket->tlsa_base,
		.others = { socket->next_hop, socket->next_hop_canonical }
	};
	*about = (struct tls_about){
		.host = socket->host,
		.required = session->requirement != REQUIRE_NONE,
		.dane = socket->tlsa == TLSA_USABLE ? dane : NULL
	};
}

/* The handshake, and all that is to be said of the certificate. */
static enum starttls
shake_hands(struct session *session, struct w_proof *proof)
{
	struct tls_about about;
	struct dane dane;
	SSL *ssl;

	tls_with(session, &dane, &about);
	ssl = tls_new(session->tls, &about);
	if (!stream_start_tls(&session->stream, ssl,
	    until(session->limits->handshake_ms)))
		/* TLS-3207-4-7: the connection is given up */
		return tls_broken(session, proof, session->stream.error);
	session->encrypted = true;
	tls_prove(ssl, &about, &session->tls_proof);
	return STARTTLS_DONE;
}

/*
 * TLS-3207-4-6, TLS-3207-4-8: STARTTLS, its answer, and the handshake at
 * once.  TLS-3207-4.2-7: what stands behind the answer was sent in clear, by
 * whomever, and would be read as if it came inside.
 */
static enum starttls
start_tls(struct session *session, struct w_proof *proof)
{
	char why[REPLY_TEXT_MAX - 8];

	say(session, session->limits->hello_ms, "STARTTLS");
	if (!hear(session, "STARTTLS", session->limits->hello_ms)) {
		print_loss(session, why, sizeof(why));
		return tls_broken(session, proof, why);
	}
	if (class(session) != 2) {
		memcpy(proof->reply, session->reply.text,
		    sizeof(proof->reply));
		give_reason(proof, session->reply.text);
		proof->code = session->reply.code;
		return STARTTLS_REFUSED;
	}
	if (stream_read_so_far(&session->stream).len > 0)
		return tls_broken(session, proof,
		    "octets in clear behind the answer to STARTTLS");
	return shake_hands(session, proof);
}

/*
 * Do what decide_session says of these facts.  True: go on.  TLS-3207-4.1-1:
 * called right after the handshake, before anything else is sent; if it does
 * not do QUIT follows (TLS-3207-4.1-2).  STS-4-2, STS-5-2, STS-5-3 RFC 8461;
 * DANE-7672-2.2-2, DANE-7672-3.2-2 RFC 7672.
 */
static bool
judge(struct session *session, const struct session_facts *facts,
    struct w_proof *proof)
{
	enum session_action action = decide_session(facts).action;

	/* A server that begins with TLS knows no clear text. */
	if (session->about.implicit_tls && !session->encrypted)
		action = SESSION_NEXT;
	switch (action) {
	case SESSION_SEND:
		return true;
	case SESSION_RECONNECT:
		proof->failure = PROOF_RECONNECT;
		/* Only a session whose TLS broke is here. */
		session->dead = true;
		return false;
	case SESSION_NEXT:
		break;
	}
	proof->failure = PROOF_POLICY;
	return false;
}

/* What the handshake showed. */
static void
put_proof(const struct tls_proof *tls, struct w_proof *proof)
{
	const struct dane_verdict *dane = &tls->dane;

	proof->cert = tls->pkix.set;
	proof->errors_len = tls->pkix.errors_n;
	memcpy(proof->errors, tls->pkix.errors, sizeof(proof->errors));
	proof->dane = dane->defects.set;
	proof->dane_errors_len = dane->defects.errors_n;
	memcpy(proof->dane_errors, dane->defects.errors,
	    sizeof(proof->dane_errors));
	memcpy(proof->tlsa_matched, dane->matched,
	    sizeof(proof->tlsa_matched));
	memcpy(proof->certificate, tls->certificate,
	    sizeof(proof->certificate));
	memcpy(proof->tls_version, tls->version, sizeof(proof->tls_version));
	memcpy(proof->tls_cipher, tls->cipher, sizeof(proof->tls_cipher));
}

/*
 * TLS-3207-6-3, DANE-7672-2.2-5, RTLS-4-3: wherever it is offered.  Facts go
 * into proof and *facts.
 */
static void
secure(struct session *session, struct session_facts *facts,
    struct w_proof *proof)
{
	bool clear_retry = session->about.clear_retry;
	enum starttls starttls;

	if (clear_retry)
		starttls = STARTTLS_BROKEN;
	else if (session->about.implicit_tls)
		starttls = shake_hands(session, proof);
	else if (!session->ehlo.starttls)
		starttls = STARTTLS_ABSENT;
	else
		starttls = start_tls(session, proof);
	proof->starttls_known = true;
	proof->starttls = starttls;
	if (starttls == STARTTLS_DONE)
		put_proof(&session->tls_proof, proof);
	facts_of_proof(&session->host, clear_retry, proof, facts);
}

/* Is TLS as it must be?  Asked before anything is sent inside it. */
static bool
is_secure(struct session *session, struct session_facts *facts,
    struct w_proof *proof)
{
	secure(session, facts, proof);
	/* 421 or our own stop: not a word on the server's TLS. */
	if (session->stream.state == STREAM_CUT ||
	    (session->dead && session->reply.code == 421)) {
		proof->starttls_known = false;
		return false;
	}
	facts->requiretls = true;
	return judge(session, facts, proof);
}

/*
 * RTLS-3-4, RTLS-4.2.1-3 RFC 8689: whether it offers REQUIRETLS is known, and
 * judged, only after EHLO inside TLS.
 */
static bool
is_fit(struct session *session, struct session_facts *facts,
    struct w_proof *proof)
{
	facts->requiretls = session->encrypted && session->ehlo.requiretls;
	return judge(session, facts, proof);
}

/* SMTP-4.3.1-1: without a greeting there is no QUIT. */
static bool
hang_up(struct session *session)
{
	session->dead = true;
	stream_end_tls(&session->stream);
	return false;
}

/*
 * May this session carry mail?  TLS-3207-4.2-3: EHLO is the first command
 * inside TLS.  TLS-3207-4.2-4: STARTTLS offered inside TLS is not looked at.
 */
static bool
prove(struct session *session, struct w_proof *proof)
{
	struct session_facts facts;

	/* SUB-8314-5.1-1 RFC 8314 3.3: the greeting, too, is inside. */
	if (session->about.implicit_tls)
		return (is_secure(session, &facts, proof) ||
		    hang_up(session)) &&
		    hear_greeting(session) && say_hello(session) &&
		    is_fit(session, &facts, proof);
	return hear_greeting(session) && say_hello(session) &&
	    is_secure(session, &facts, proof) &&
	    (!session->encrypted || say_hello(session)) &&
	    is_fit(session, &facts, proof);
}

/* Why it came to nothing, where decide_session had no part in it. */
static enum proof_failure
failure(const struct session *session)
{
	switch (session->stream.state) {
	case STREAM_TIMEOUT:
		return PROOF_TIMEOUT;
	case STREAM_CUT:
		return PROOF_CUT;
	case STREAM_CLOSED:
	case STREAM_TLS:
		return PROOF_CLOSED;
	case STREAM_OK:
		break;
	}
	return session->violated ? PROOF_VIOLATION : PROOF_REFUSED;
}

bool
session_prove(struct session *session, struct w_proof *proof)
{
	bool proven;

	*proof = (struct w_proof){ .session = session->about.session };
	proven = prove(session, proof);
	memcpy(proof->helo, session->helo, sizeof(proof->helo));
	if (proven) {
		proof->requiretls = session->ehlo.requiretls;
		proof->has_8bitmime = session->ehlo.eightbitmime;
		proof->has_size = session->ehlo.size;
		proof->size_limit = session->ehlo.size_limit;
		return true;
	}
	if (proof->failure != PROOF_READY)
		return false;
	proof->failure = failure(session);
	proof->code = session->reply.code;
	print_loss(session, proof->reply, sizeof(proof->reply));
	return false;
}

/* ---- delivering ---- */

/* It is over; did the server say why, without having been asked? */
static void
hear_late(struct session *session, const char *step)
{
	struct slice octets = stream_read_so_far(&session->stream);
	size_t used;

	session->step = step;
	session->dead = true;
	reply_begin(&session->parser, &session->reply, NULL, NULL);
	if (octets.len == 0 || reply_feed(&session->parser, octets.at,
	    octets.len, &used) != REPLY_WHOLE)
		session->reply.code = 0;
}

/*
 * Has the server said nothing that was not asked for?  An answer before its
 * question would be taken for that to the next one.  421 may come at any
 * time (RFC 5321 3.8), and a refusal of the data is heard; whatever it is,
 * the session is over.
 */
static bool
is_quiet(struct session *session, const char *step)
{
	if (stream_is_quiet(&session->stream))
		return true;
	hear_late(session, step);
	if (session->stream.state == STREAM_OK && class(session) < 4)
		session->violated = true;
	return false;
}

/* One transaction of a job: what was answered to it. */
struct transaction {
	struct session_job	*job;
	struct w_done		*done;
	bool			 mail_taken;
	bool			 go;		/* 354 */
	bool			 dotted;	/* the dot may have gone */
	unsigned		 accepted;
	unsigned		 later;
	struct reply		 mail;		/* where not taken */
	struct reply		 data;		/* where not 354 */
	struct reply		 too_many;	/* the last 452 to RCPT */
};

/* Tell what became of one recipient, by a reply or (code 0) without one. */
static void
settle(struct session *session, struct transaction *transaction,
    struct session_rcpt *rcpt, enum outcome outcome,
    const struct reply *reply)
{
	struct w_result result = {
		.job = transaction->job->job.job, .number = rcpt->number,
		.outcome = outcome, .code = reply->code
	};

	rcpt->state = RCPT_OVER;
	memcpy(result.reply, reply->text, sizeof(result.reply));
	reply_status(reply, result.enhanced, sizeof(result.enhanced));
	if (outcome == OUTCOME_DEFERRED && result.enhanced[0] != '4')
		/* SMTP-4.5.3.1.10-1: 552 that means 452 */
		snprintf(result.enhanced, sizeof(result.enhanced), "%s",
		    reply->code == 552 ? "4.5.3" : "4.4.2");
	/* RFC 3461 5.2.1: it has been told who wants to know what */
	result.dsn_passed = outcome == OUTCOME_DELIVERED &&
	    session->ehlo.dsn;
	if (outcome != OUTCOME_DELIVERED)
		snprintf(result.clause, sizeof(result.clause), "%s",
		    reply->code != 0 ? "RFC 5321 4.2.1" : "RFC 5321 3.8");
	session->calls->result(session->context, &result);
}

/* The same for all recipients in this state. */
static void
settle_all(struct session *session, struct transaction *transaction,
    enum session_rcpt_state state, enum outcome outcome,
    const struct reply *reply)
{
	struct session_job *job = transaction->job;
	unsigned i;

	for (i = 0; i < job->rcpts_n; i++)
		if (job->rcpts[i].state == state)
			settle(session, transaction, &job->rcpts[i], outcome,
			    reply);
}

/* EXT-1870-6.2-1: after a failed transaction RSET comes next, or QUIT. */
static void
say_reset(struct session *session)
{
	if (session->dirty)
		say(session, session->limits->hello_ms, "RSET");
}

static bool
hear_reset(struct session *session)
{
	if (!session->dirty)
		return true;
	if (!hear(session, "RSET", session->limits->hello_ms))
		return false;
	session->dirty = false;
	return class(session) == 2 ? true : violate(session);
}

/*
 * RTLS-3-1, RTLS-4.2.1-14 RFC 8689: only inside TLS, and only where it is
 * offered there.  A message that must not go without it has a session that
 * offers it (is_fit); a notification about such a one takes any other
 * (RTLS-5-5).
 */
static const char *
ask_requiretls(const struct session *session, const struct w_job *job)
{
	return job->requiretls && session->encrypted &&
	    session->ehlo.requiretls ? " REQUIRETLS" : "";
}

/*
 * EXT-1870-6-1: the size as it is, dots not doubled.  EXT-6152-3-3: BODY only
 * where it is offered; EXT-3030-3-3, EXT-6531-3.4-2: no BINARYMIME, no
 * SMTPUTF8, whatever the message came with.  SMTP-3.3-2: no source route.
 * DSN-3461-5.2.1-1, DSN-3461-5.2.1-2, DSN-3461-5.2.2-1: RET and ENVID as they
 * came, if they came, and only where DSN is offered.
 */
static void
say_mail(struct session *session, const struct w_job *job)
{
	static const char *const rets[] = { "", " RET=FULL", " RET=HDRS" };
	bool dsn = session->ehlo.dsn;
	bool id = dsn && job->envid[0] != '\0';
	char size[32] = "";

	if (session->ehlo.size)
		snprintf(size, sizeof(size), " SIZE=%llu",
		    (unsigned long long)job->size_bytes);
	say(session, session->limits->mail_ms, "MAIL FROM:<%s>%s%s%s%s%s%s",
	    job->sender, size, job->body == BODY_8BITMIME &&
	    session->ehlo.eightbitmime ? " BODY=8BITMIME" : "",
	    dsn ? rets[job->ret] : "", id ? " ENVID=" : "",
	    id ? job->envid : "", ask_requiretls(session, job));
}

/* NOTIFY as it came, or nothing (DSN-3461-5.2.1-1, DSN-3461-5.2.1-2). */
static const char *
print_notify(uint32_t notify, char *text, size_t size)
{
	static const struct {
		uint32_t	 bit;
		const char	*name;
	} names[] = {
		{ NOTIFY_NEVER, "NEVER" }, { NOTIFY_SUCCESS, "SUCCESS" },
		{ NOTIFY_FAILURE, "FAILURE" }, { NOTIFY_DELAY, "DELAY" }
	};
	const char *before = " NOTIFY=";
	size_t len = 0, i;

	text[0] = '\0';
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if ((notify & names[i].bit) == 0)
			continue;
		len += (size_t)snprintf(text + len, size - len, "%s%s",
		    before, names[i].name);
		before = ",";
	}
	return text;
}

/* DSN-3461-5.2.2-1: of DSN nothing, where it is not offered. */
static void
say_rcpt(struct session *session, const struct session_rcpt *rcpt)
{
	bool dsn = session->ehlo.dsn;
	bool original = dsn && rcpt->orcpt[0] != '\0';
	char notify[64];

	say(session, session->limits->rcpt_ms, "RCPT TO:<%s>%s%s%s",
	    rcpt->recipient, print_notify(dsn ? rcpt->notify : 0, notify,
	    sizeof(notify)), original ? " ORCPT=" : "",
	    original ? rcpt->orcpt : "");
}

static bool
hear_mail(struct session *session, struct transaction *transaction)
{
	if (!hear(session, "MAIL", session->limits->mail_ms))
		return false;
	if (class(session) == 3)
		return violate(session);
	transaction->mail_taken = class(session) == 2;
	if (transaction->mail_taken)
		transaction->done->untouched = false;
	else
		transaction->mail = session->reply;
	session->dirty = true;
	return true;
}

/*
 * SMTP-4.5.3.1.8-3, SMTP-4.5.3.1.10-1: 452 and 552 mean "not in this
 * transaction", unless their status speaks of the mailbox (X.2.x).
 */
static bool
means_too_many(const struct reply *reply)
{
	if (reply->code != 452 && reply->code != 552)
		return false;
	return reply->enhanced[0] == '\0' || reply->enhanced[2] != '2';
}

static bool
hear_rcpt(struct session *session, struct transaction *transaction,
    struct session_rcpt *rcpt)
{
	if (!hear(session, "RCPT", session->limits->rcpt_ms))
		return false;
	/* EXT-2920-3.1-3: without MAIL no answer to RCPT counts. */
	if (!transaction->mail_taken)
		return true;
	if (class(session) == 3)
		return violate(session);
	if (class(session) == 2) {
		rcpt->state = RCPT_ACCEPTED;
		transaction->accepted++;
	} else if (means_too_many(&session->reply)) {
		rcpt->state = RCPT_LATER;
		transaction->later++;
		transaction->too_many = session->reply;
	} else {
		settle(session, transaction, rcpt, class(session) == 5 ?
		    OUTCOME_FAILED : OUTCOME_DEFERRED, &session->reply);
	}
	return true;
}

/* SMTP-3.3-5: 354 and nothing else lets the message go. */
static bool
hear_data(struct session *session, struct transaction *transaction)
{
	if (!hear(session, "DATA", session->limits->data_ms))
		return false;
	transaction->go = session->reply.code == 354;
	if (transaction->go)
		return true;
	if (class(session) < 4)
		return violate(session);
	transaction->data = session->reply;
	return true;
}

/*
 * SMTP-4.5.4.1-7: all recipients in one transaction.  EXT-2920-3.1-2: DATA
 * ends the group.  EXT-2920-3.1-6: a group is at most 102 commands, and the
 * stream reads while it writes.
 */
static bool
envelope_grouped(struct session *session, struct transaction *transaction)
{
	struct session_job *job = transaction->job;
	unsigned i;

	say_reset(session);
	say_mail(session, &job->job);
	for (i = 0; i < job->rcpts_n; i++)
		if (job->rcpts[i].state == RCPT_WAITING)
			say_rcpt(session, &job->rcpts[i]);
	say(session, session->limits->data_ms, "DATA");
	if (!hear_reset(session) || !hear_mail(session, transaction))
		return false;
	for (i = 0; i < job->rcpts_n; i++)
		if (job->rcpts[i].state == RCPT_WAITING &&
		    !hear_rcpt(session, transaction, &job->rcpts[i]))
			return false;
	return hear_data(session, transaction);
}

/* EXT-2920-3.1-1, SMTP-4.3.1-1: without PIPELINING each in its turn. */
static bool
envelope_in_turn(struct session *session, struct transaction *transaction)
{
	struct session_job *job = transaction->job;
	unsigned i;

	say_reset(session);
	if (!hear_reset(session) || !is_quiet(session, "RSET"))
		return false;
	say_mail(session, &job->job);
	if (!hear_mail(session, transaction))
		return false;
	for (i = 0; transaction->mail_taken && i < job->rcpts_n; i++) {
		if (job->rcpts[i].state != RCPT_WAITING)
			continue;
		if (!is_quiet(session, "MAIL"))
			return false;
		say_rcpt(session, &job->rcpts[i]);
		if (!hear_rcpt(session, transaction, &job->rcpts[i]))
			return false;
	}
	if (transaction->accepted == 0)
		return true;
	if (!is_quiet(session, "RCPT"))
		return false;
	say(session, session->limits->data_ms, "DATA");
	return hear_data(session, transaction);
}

/* No recipient's result is known by this: the rest is for another host. */
static void
leave(struct session *session, struct transaction *transaction,
    enum done done, const struct reply *reply)
{
	struct w_done *out = transaction->done;

	out->done = done;
	out->code = reply->code;
	reply_status(reply, out->enhanced, sizeof(out->enhanced));
	if (out->enhanced[0] != '4')
		snprintf(out->enhanced, sizeof(out->enhanced), "4.4.2");
	if (done == DONE_LOST)
		print_loss(session, out->reply, sizeof(out->reply));
	else
		memcpy(out->reply, reply->text, sizeof(out->reply));
}

/* We stop: the dot is not sent, the connection is of no more use. */
static void
give_up(struct session *session, struct transaction *transaction,
    const char *why)
{
	session->dead = true;
	transaction->done->done = DONE_CUT;
	snprintf(transaction->done->reply, sizeof(transaction->done->reply),
	    "%s", why);
}

/* The session died: is it our doing, and had the dot gone? */
static void
lose(struct session *session, struct transaction *transaction)
{
	struct reply loss = { .code = session->reply.code };

	if (session->stream.state == STREAM_CUT) {
		give_up(session, transaction, session->stream.error);
		return;
	}
	if (!transaction->dotted) {
		leave(session, transaction, DONE_LOST, &session->reply);
		return;
	}
	/*
	 * It may have been taken: then a second copy is the lesser evil, and
	 * no other host is tried now.  SMTP-3.8-3
	 */
	print_loss(session, loss.text, sizeof(loss.text));
	settle_all(session, transaction, RCPT_ACCEPTED, OUTCOME_DEFERRED,
	    &loss);
	settle_all(session, transaction, RCPT_LATER, OUTCOME_DEFERRED, &loss);
}

/*
 * Copy the body, dots doubled, up to its end.  False: *transaction->done
 * says why not.  The count is what the queue promised, or nothing is sent.
 */
static bool
send_body(struct session *session, struct transaction *transaction,
    int fd, uint64_t size_bytes, struct dots *dots)
{
	uint8_t in[BLOCK_OCTETS], out[DOTS_ROOM(BLOCK_OCTETS)];
	uint64_t sent_bytes = 0;
	ssize_t n;

	for (;;) {
		n = stream_read_other(&session->stream, fd, in, sizeof(in),
		    until(session->limits->body_ms));
		if (n <= 0)
			break;
		sent_bytes += (uint64_t)n;
		if (!stream_put(&session->stream, out,
		    dots_stuff(dots, in, (size_t)n, out),
		    until(session->limits->block_ms)))
			break;
	}
	if (n == 0 && sent_bytes == size_bytes)
		return true;
	if (n > 0) {
		hear_late(session, "the data");
		lose(session, transaction);
	} else {
		give_up(session, transaction,
		    n == 0 ? "the body ended early or late" :
		    session->stream.error);
	}
	return false;
}

/*
 * After 354: the message and its dot, then the answer that decides.
 * SMTP-4.2.5-2, SMTP-4.2.5-3, EXT-1870-6.2-3
 */
static void
send_message(struct session *session, struct transaction *transaction)
{
	struct dots dots = { 0 };
	uint64_t size_bytes;
	const char *end;
	int fd;

	if (!is_quiet(session, "DATA")) {
		lose(session, transaction);
		return;
	}
	fd = session->calls->body(session->context, &size_bytes);
	if (fd < 0) {
		give_up(session, transaction, "no body");
		return;
	}
	if (!send_body(session, transaction, fd, size_bytes, &dots))
		return;
	if (!is_quiet(session, "the data")) {
		lose(session, transaction);
		return;
	}
	if (!session->calls->dot(session->context)) {
		give_up(session, transaction, "stopped by us");
		return;
	}
	transaction->dotted = true;
	/* Who breaks off now sends it twice: a stop waits for the answer. */
	session->stream.patient = true;
	end = dots_end(&dots);
	stream_put(&session->stream, end, strlen(end),
	    until(session->limits->block_ms));
	hear(session, "the final dot", session->limits->dot_ms);
	session->stream.patient = false;
	session->dirty = false;
	if (session->reply.code == 0 || class(session) == 3) {
		if (!session->dead)
			violate(session);
		lose(session, transaction);
		return;
	}
	settle_all(session, transaction, RCPT_ACCEPTED,
	    class(session) == 2 ? OUTCOME_DELIVERED :
	    class(session) == 5 ? OUTCOME_FAILED : OUTCOME_DEFERRED,
	    &session->reply);
}

/* EXT-2920-3.1-4: 354 though there is nobody to send to. */
static void
send_lone_dot(struct session *session, struct transaction *transaction)
{
	if (!transaction->go || session->dead)
		return;
	stream_put(&session->stream, ".\r\n", 3,
	    until(session->limits->block_ms));
	hear(session, "a lone dot", session->limits->dot_ms);
}

/*
 * 530: it wants TLS, which we could not get up: that is not the message's
 * fault and will pass.  But a sender who let TLS go is told (RTLS-4.2.2-2
 * RFC 8689 4.2.2).
 */
static bool
is_definite(const struct session *session, const struct reply *reply)
{
	bool wants_tls = reply->code == 530 && !session->encrypted &&
	    session->about.class != CLASS_TLS_OPTIONAL;

	return reply_class(reply) == 5 && !wants_tls;
}

/* MAIL was not taken: 5yz fails the message, 4yz leaves it to others. */
static void
end_without_mail(struct session *session, struct transaction *transaction)
{
	send_lone_dot(session, transaction);
	if (is_definite(session, &transaction->mail))
		settle_all(session, transaction, RCPT_WAITING, OUTCOME_FAILED,
		    &transaction->mail);
	else
		leave(session, transaction, DONE_REFUSED, &transaction->mail);
}

/* DATA was refused to a message with recipients. */
static void
end_without_data(struct session *session, struct transaction *transaction)
{
	if (!is_definite(session, &transaction->data)) {
		leave(session, transaction, DONE_REFUSED, &transaction->data);
		return;
	}
	settle_all(session, transaction, RCPT_ACCEPTED, OUTCOME_FAILED,
	    &transaction->data);
	settle_all(session, transaction, RCPT_LATER, OUTCOME_DEFERRED,
	    &transaction->too_many);
}

/* Those who were too many go on waiting, here and now. */
static bool
has_more(const struct session *session, struct transaction *transaction)
{
	struct session_job *job = transaction->job;
	unsigned i;

	if (transaction->later == 0 || session->dead)
		return false;
	for (i = 0; i < job->rcpts_n; i++)
		if (job->rcpts[i].state == RCPT_LATER)
			job->rcpts[i].state = RCPT_WAITING;
	return true;
}

/*
 * One transaction.  True: some recipients were too many for it, and another
 * is worth while.  SMTP-4.5.3.1.8-3
 */
static bool
transact(struct session *session, struct session_job *job,
    struct w_done *done)
{
	struct transaction transaction = { .job = job, .done = done };
	bool heard;

	heard = is_quiet(session, "the last command") &&
	    (session->ehlo.pipelining ?
	    envelope_grouped(session, &transaction) :
	    envelope_in_turn(session, &transaction));
	if (!transaction.mail_taken && transaction.mail.code != 0) {
		end_without_mail(session, &transaction);
		return false;
	}
	if (!heard) {
		lose(session, &transaction);
		return false;
	}
	if (transaction.accepted == 0) {
		send_lone_dot(session, &transaction);
		settle_all(session, &transaction, RCPT_LATER,
		    OUTCOME_DEFERRED, &transaction.too_many);
		return false;
	}
	if (!transaction.go) {
		end_without_data(session, &transaction);
		return false;
	}
	send_message(session, &transaction);
	if (has_more(session, &transaction))
		return true;
	if (done->done == DONE_SERVED)
		settle_all(session, &transaction, RCPT_LATER,
		    OUTCOME_DEFERRED, &transaction.too_many);
	return false;
}

void
session_deliver(struct session *session, struct session_job *job,
    struct w_done *done)
{
	*done = (struct w_done){
		.job = job->job.job, .done = DONE_SERVED, .untouched = true
	};
	if (session->dead)
		bug("a message for a dead session");
	while (transact(session, job, done))
		continue;
	done->alive = !session->dead;
}

void
session_quit(struct session *session)
{
	if (!session->dead) {
		say(session, session->limits->quit_ms, "QUIT");
		if (hear(session, "QUIT", session->limits->quit_ms))
			stream_end_tls(&session->stream);
	}
	session->dead = true;
	stream_close(&session->stream);
}
