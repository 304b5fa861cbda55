/*
 * SMTP sessions (delivery/session.c, stream.c) against a scripted server.
 *
 * A case is the server's script (delivery_server.h), and in one line what must
 * have come of it.
 *
 * What came of it: "ready" or why not and how STARTTLS went; then of each
 * message the results of its recipients and what is said of the rest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "delivery/facts.h"
#include "delivery/session.h"

#include "delivery_server.h"

#define N(array)	(sizeof(array) / sizeof((array)[0]))

/* ---- the client ---- */

static SSL_CTX *client_context;

static int
set_up(void **state)
{
	unsigned anchors;

	(void)state;
	servers_begin();
	client_context = tls_context(servers_made.bundle_fd, &anchors);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	SSL_CTX_free(client_context);
	servers_end();
	return 0;
}

enum policy { NO_POLICY, ENFORCE, TESTING, WITH_TLSA, CLEAR_RETRY,
	REQUIRETLS, IMPLICIT, IMPLICIT_REPORT, IMPLICIT_AGAIN,
	OPTIONAL_CLEAR };

#define SCRIPT_MAX	64
struct scene {
	const char	*name;
	enum policy	 policy;
	const char	*script[SCRIPT_MAX];
	const char	*is;		/* what must have come of it */
	const char	*says;		/* within proof's or done's reply */
	unsigned	 messages;	/* to be sent */
	unsigned	 rcpts;		/* each; 1 when 0 */
	const char	*body;		/* "x\r\n" when NULL */
	enum body_kind	 kind;
	bool		 wrong_size;	/* the body is shorter than said */
	bool		 no_body;
	bool		 stop_at_dot;
	bool		 impatient;	/* 300 ms for each step */
	const char	*heard;		/* the last data, if not NULL */
	bool		 requiretls;	/* the message is marked so */
	/* DSN requests, of every recipient alike */
	enum dsn_ret	 ret;
	const char	*envid, *orcpt;
	uint32_t	 notify;
};
struct group {
	const struct scene	*scenes;
	size_t			 n;
};

struct client {
	const struct scene	*scene;
	struct buffer		 log;
	int			 body_fd;
};

static int
give_body(void *context, uint64_t *size_bytes)
{
	struct client *client = context;
	const char *body = client->scene->body != NULL ? client->scene->body :
	    "x\r\n";
	int fd;

	if (client->scene->no_body)
		return -1;
	fd = memfd_create("body", 0);
	if (write(fd, body, strlen(body)) != (ssize_t)strlen(body))
		abort();
	lseek(fd, 0, SEEK_SET);
	*size_bytes = strlen(body) + (client->scene->wrong_size ? 1 : 0);
	if (client->body_fd >= 0)
		close(client->body_fd);
	client->body_fd = fd;
	return fd;
}

static bool
allow_dot(void *context)
{
	struct client *client = context;

	return !client->scene->stop_at_dot;
}

static void
log_result(void *context, const struct w_result *result)
{
	static const char *const names[] = { "?", "delivered", "deferred",
	    "failed" };
	struct client *client = context;

	buffer_printf(&client->log, " %u=%s/%u/%s%s", result->number,
	    names[result->outcome], result->code, result->enhanced,
	    result->dsn_passed ? "/dsn" : "");
}

static const struct session_calls calls = {
	give_body, allow_dot, log_result
};

static const char *const failures[] = { "ready", "policy", "reconnect",
    "refused", "closed", "timeout", "violation", "cut" };
static const char *const dones[] = { "served", "refused", "lost", "cut" };

static void
deliver(struct session *session, struct client *client, unsigned number,
    const char **reply)
{
	static struct w_done done;
	const struct scene *scene = client->scene;
	struct session_job job = { .job = { .job = number } };
	unsigned i;

	job.job.size_bytes = strlen(scene->body != NULL ? scene->body :
	    "x\r\n");
	job.job.body = scene->kind;
	job.job.requiretls = scene->requiretls;
	snprintf(job.job.sender, sizeof(job.job.sender), "s@a.test");
	job.job.ret = scene->ret;
	if (scene->envid != NULL)
		strcpy(job.job.envid, scene->envid);
	job.rcpts_n = scene->rcpts > 0 ? scene->rcpts : 1;
	job.rcpts = calloc(job.rcpts_n, sizeof(*job.rcpts));
	for (i = 0; i < job.rcpts_n; i++) {
		job.rcpts[i].number = i;
		snprintf(job.rcpts[i].recipient,
		    sizeof(job.rcpts[i].recipient), "r%u@b.test", i);
		job.rcpts[i].notify = scene->notify;
		if (scene->orcpt != NULL)
			strcpy(job.rcpts[i].orcpt, scene->orcpt);
	}
	session_deliver(session, &job, &done);
	buffer_printf(&client->log, " %s%s%s", dones[done.done],
	    done.untouched && done.done == DONE_LOST ? "-untouched" : "",
	    done.alive ? "+" : "");
	if (done.done != DONE_SERVED)
		buffer_printf(&client->log, "/%u/%s", done.code,
		    done.enhanced);
	*reply = done.reply;
	free(job.rcpts);
}

static void
set_policy(struct w_socket *about, enum policy policy)
{
	about->class = CLASS_MAIL;
	about->mx_match = true;
	about->tlsa = TLSA_INSECURE;
	switch (policy) {
	case NO_POLICY:
		break;
	case ENFORCE:
		about->sts = STS_ENFORCE;
		break;
	case TESTING:
		about->sts = STS_TESTING;
		break;
	case WITH_TLSA:
		about->tlsa = TLSA_USABLE;
		about->mx_secure = true;
		server_tlsa("self", about->tlsa_records);
		about->tlsa_records_len = SERVER_TLSA_LEN;
		strcpy(about->tlsa_base, HOST);
		break;
	case OPTIONAL_CLEAR:
		about->class = CLASS_TLS_OPTIONAL;
		/* fallthrough */
	case CLEAR_RETRY:
		about->clear_retry = true;
		break;
	case REQUIRETLS:
		about->class = CLASS_REQUIRETLS;
		about->mx_secure = true;
		break;
	case IMPLICIT_AGAIN:
		about->clear_retry = true;
		/* fallthrough */
	case IMPLICIT_REPORT:
		about->class = CLASS_REPORT;
		about->implicit_tls = true;
		break;
	case IMPLICIT:
		about->implicit_tls = true;
		about->relayhost = true;
		about->relayhost_verified = true;
		about->name_given = true;
		break;
	}
}

static void
run_client(struct client *client, int fd, int watch_fd, char *said,
    size_t said_size)
{
	const struct scene *scene = client->scene;
	struct session_limits limits = session_limits;
	struct w_socket about = { .session = 7, .host = HOST,
	    .ehlo = "relay.test" };
	static struct session session;
	static struct w_proof proof;
	const char *reply = proof.reply;
	unsigned i;

	if (scene->impatient)
		limits = (struct session_limits){ 300, 300, 300, 300, 300,
		    300, 300, 300, 300, 300 };
	set_policy(&about, scene->policy);
	session_begin(&session, fd, watch_fd, &about, client_context, &limits,
	    &calls, client);
	if (session_prove(&session, &proof))
		buffer_printf(&client->log, "ready");
	else
		buffer_printf(&client->log, "%s", failures[proof.failure]);
	assert_int_equal(proof.session, 7);
	if (proof.starttls_known)
		buffer_printf(&client->log, ":%s",
		    starttls_name(proof.starttls));
	for (i = 0; i < scene->messages && proof.failure == PROOF_READY &&
	    !session.dead; i++)
		deliver(&session, client, i + 1, &reply);
	session_quit(&session);
	snprintf(said, said_size, "%s", reply);
}

static void
play_scene(const struct scene *scene)
{
	struct client client = { .scene = scene, .body_fd = -1 };
	struct server server;
	char said[REPLY_TEXT_MAX];

	run_client(&client, server_begin(&server, scene->script), -1, said,
	    sizeof(said));
	pthread_join(server.thread, NULL);
	if (client.body_fd >= 0)
		close(client.body_fd);
	if (server.error[0] != '\0' || strcmp(client.log.text,
	    scene->is) != 0 || (scene->says != NULL &&
	    strstr(said, scene->says) == NULL)) {
		print_error("%s: [%s] instead of [%s]\nreply [%s]\n"
		    "server: %s\n", scene->name, client.log.text,
		    scene->is, said, server.error);
		fail();
	}
	if (scene->heard != NULL)
		assert_string_equal(server.heard.text, scene->heard);
	buffer_free(&client.log);
	buffer_free(&server.heard);
}

static void
test_scenes(void **state)
{
	const struct group *group = *state;
	size_t i;

	for (i = 0; i < group->n; i++)
		play_scene(&group->scenes[i]);
}

/* ---- greeting and EHLO ---- */

#define EHLO	"<EHLO relay.test"
#define HELLO	">220 mx.test", EHLO, ">250 mx.test"
#define BYE	"<QUIT", ">221 bye", "eof"

static const struct scene greetings[] = {
	{ "a server without extensions", NO_POLICY, { HELLO, BYE },
	  .is = "ready:absent" },
	{ "it greets in several lines", NO_POLICY,
	  { ">220-mx", ">220-welcome", ">220 go", EHLO, ">250 mx", BYE },
	  .is = "ready:absent" },
	/* SMTP-4.3.1-1 */
	{ "nothing is said before the greeting", NO_POLICY,
	  { "quiet", HELLO, BYE }, .is = "ready:absent" },
	{ "nothing between the lines of a greeting", NO_POLICY,
	  { ">220-mx", "quiet", ">220 go", EHLO, ">250 mx", BYE },
	  .is = "ready:absent" },
	{ "554", NO_POLICY, { ">554 no service", BYE }, .is = "refused",
	  .says = "554 no service" },
	{ "450", NO_POLICY, { ">450 later", BYE }, .is = "refused",
	  .says = "450 later" },
	{ "421", NO_POLICY, { ">421 closing", "eof" }, .is = "refused",
	  .says = "421 closing" },
	{ "354", NO_POLICY, { ">354 go", BYE }, .is = "refused" },
	{ "299", NO_POLICY, { ">299 hm", EHLO, ">250 mx", BYE },
	  .is = "ready:absent" },
	{ "no SMTP", NO_POLICY, { ">SSH-2.0-OpenSSH", "eof" },
	  .is = "violation",
	  .says = "SSH-2.0" },
	{ "closed at once", NO_POLICY, { "cut" }, .is = "closed",
	  .says = "connection" },
	{ "closed inside the greeting", NO_POLICY, { ">220-mx", "cut" },
	  .is = "closed" },
	{ "silence", NO_POLICY, { "slow 500", "eof" }, .is = "timeout",
	  .impatient = true, .says = "timed out" },
};

static const struct scene hellos[] = {
	/* SMTP-3.2-2 */
	{ "502 to EHLO", NO_POLICY, { ">220 mx", EHLO, ">502 what",
	  "<HELO relay.test", ">250 mx", BYE }, .is = "ready:absent" },
	{ "500 to EHLO", NO_POLICY, { ">220 mx", EHLO, ">500 what",
	  "<HELO relay.test", ">250 mx", BYE }, .is = "ready:absent" },
	{ "550 to EHLO and HELO", NO_POLICY, { ">220 mx", EHLO, ">550 no",
	  "<HELO relay.test", ">550 no", BYE }, .is = "refused" },
	{ "no HELO where TLS is a must", ENFORCE, { ">220 mx", EHLO,
	  ">502 what", BYE }, .is = "policy:absent" },
	{ "no HELO where TLSA demands TLS", WITH_TLSA, { ">220 mx", EHLO,
	  ">502 what", BYE }, .is = "policy:absent" },
	{ "450 to EHLO", NO_POLICY, { ">220 mx", EHLO, ">450 later", BYE },
	  .is = "refused", .says = "450 later" },
	{ "421 to EHLO", NO_POLICY, { ">220 mx", EHLO, ">421 bye", "eof" },
	  .is = "refused" },
	{ "354 to EHLO", NO_POLICY, { ">220 mx", EHLO, ">354 go", BYE },
	  .is = "refused" },
	{ "150 to EHLO", NO_POLICY, { ">220 mx", EHLO, ">150 x", "eof" },
	  .is = "violation" },
	{ "codes that disagree", NO_POLICY, { ">220 mx", EHLO, ">250-a",
	  ">550 b", "eof" }, .is = "violation" },
	{ "closed", NO_POLICY, { ">220 mx", EHLO, "cut" }, .is = "closed",
	  .says = "EHLO" },
	{ "silence", NO_POLICY, { ">220 mx", EHLO, "slow 500", "eof" },
	  .is = "timeout", .impatient = true, .says = "EHLO" },
	{ "octets that drip do not stretch the time", NO_POLICY,
	  { ">220 mx", EHLO, ">>2", "slow 100", ">>5", "slow 100", ">>0",
	    "slow 100", ">>-", "slow 100", ">>x", "slow 100", "eof" },
	  .is = "timeout", .impatient = true },
};

/* ---- STARTTLS ---- */

#define OFFER	">220 mx.test", EHLO, ">250-mx.test", ">250 STARTTLS", \
	"<STARTTLS"
#define INSIDE	EHLO, ">250 mx.test"

static const struct scene no_policy_tls[] = {
	{ "a good certificate", NO_POLICY,
	  { OFFER, ">220 go", "tls good", INSIDE, BYE }, .is = "ready:done" },
	{ "TLS 1.2", NO_POLICY,
	  { OFFER, ">220 go", "tls good12", INSIDE, BYE }, .is = "ready:done" },
	/* TLS-3207-6-3, DANE-7672-1.3-1 */
	{ "self-signed", NO_POLICY,
	  { OFFER, ">220 go", "tls self", INSIDE, BYE }, .is = "ready:done" },
	{ "expired", NO_POLICY,
	  { OFFER, ">220 go", "tls expired", INSIDE, BYE },
	  .is = "ready:done" },
	{ "another name", NO_POLICY,
	  { OFFER, ">220 go", "tls other", INSIDE, BYE }, .is = "ready:done" },
	{ "static RSA", NO_POLICY,
	  { OFFER, ">220 go", "tls static", INSIDE, BYE }, .is = "ready:done" },
	{ "TLS 1.1 only", NO_POLICY, { OFFER, ">220 go", "tls-fails old" },
	  .is = "reconnect:broken", .says = "TLS: " },
	{ "454", NO_POLICY, { OFFER, ">454 not now", BYE },
	  .is = "ready:refused" },
	{ "554", NO_POLICY, { OFFER, ">554 no", BYE }, .is = "ready:refused" },
	{ "the handshake in clear", NO_POLICY, { OFFER, ">220 go", "clear",
	  "drain" }, .is = "reconnect:broken", .says = "wrong version number" },
	{ "closed after 220", NO_POLICY, { OFFER, ">220 go", "cut" },
	  .is = "reconnect:broken", .says = "TLS: " },
	{ "closed without an answer", NO_POLICY, { OFFER, "cut" },
	  .is = "reconnect:broken", .says = "STARTTLS" },
	{ "silence in the handshake", NO_POLICY, { OFFER, ">220 go",
	  "slow 500" }, .is = "reconnect:broken", .impatient = true,
	  .says = "timed out" },
	{ "421", NO_POLICY, { OFFER, ">421 bye", "eof" }, .is = "refused" },
	{ "no SMTP answer", NO_POLICY, { OFFER, ">what", "eof" },
	  .is = "reconnect:broken" },
	{ "the second connection is in clear", CLEAR_RETRY,
	  { ">220 mx", EHLO, ">250-mx", ">250 STARTTLS", BYE },
	  .is = "ready:broken" },
};

static const struct scene enforced[] = {
	{ "a good certificate", ENFORCE,
	  { OFFER, ">220 go", "tls good", INSIDE, BYE }, .is = "ready:done" },
	{ "TLS 1.2", ENFORCE,
	  { OFFER, ">220 go", "tls good12", INSIDE, BYE }, .is = "ready:done" },
	/* TLS-3207-4.1-1, TLS-3207-4.1-2: QUIT and nothing else */
	{ "expired", ENFORCE, { OFFER, ">220 go", "tls expired", BYE },
	  .is = "policy:done" },
	{ "another name", ENFORCE, { OFFER, ">220 go", "tls other", BYE },
	  .is = "policy:done" },
	{ "self-signed", ENFORCE, { OFFER, ">220 go", "tls self", BYE },
	  .is = "policy:done" },
	{ "static RSA", ENFORCE, { OFFER, ">220 go", "tls-fails static" },
	  .is = "policy:broken" },
	{ "TLS 1.1 only", ENFORCE, { OFFER, ">220 go", "tls-fails old" },
	  .is = "policy:broken" },
	/* STS-5-3 */
	{ "no STARTTLS", ENFORCE, { HELLO, BYE }, .is = "policy:absent" },
	{ "454", ENFORCE, { OFFER, ">454 not now", BYE },
	  .is = "policy:refused",
	  .says = "454 not now" },
	{ "554", ENFORCE, { OFFER, ">554 no", BYE }, .is = "policy:refused" },
	{ "the handshake in clear", ENFORCE, { OFFER, ">220 go", "clear",
	  "drain" }, .is = "policy:broken" },
	{ "closed after 220", ENFORCE, { OFFER, ">220 go", "cut" },
	  .is = "policy:broken" },
	{ "closed without an answer", ENFORCE, { OFFER, "cut" },
	  .is = "policy:broken" },
};

static const struct scene testing[] = {
	{ "a good certificate", TESTING,
	  { OFFER, ">220 go", "tls good", INSIDE, BYE }, .is = "ready:done" },
	{ "expired", TESTING,
	  { OFFER, ">220 go", "tls expired", INSIDE, BYE },
	  .is = "ready:done" },
	{ "another name", TESTING,
	  { OFFER, ">220 go", "tls other", INSIDE, BYE }, .is = "ready:done" },
	/* Enforce has no handshake with it. */
	{ "a suite that is too weak", TESTING,
	  { OFFER, ">220 go", "tls static", INSIDE, BYE },
	  .is = "ready:done" },
	{ "no STARTTLS", TESTING, { HELLO, BYE }, .is = "ready:absent" },
	{ "454", TESTING, { OFFER, ">454 not now", BYE },
	  .is = "ready:refused" },
	{ "closed after 220", TESTING, { OFFER, ">220 go", "cut" },
	  .is = "reconnect:broken" },
};

static const struct scene tlsa[] = {
	{ "the key that its record tells", WITH_TLSA,
	  { OFFER, ">220 go", "tls self", INSIDE, BYE }, .is = "ready:done" },
	/* DANE-7672-3.2-1, DANE-7672-2.2-2: not even EHLO any more */
	{ "another key, good for the CAs", WITH_TLSA,
	  { OFFER, ">220 go", "tls good", BYE }, .is = "policy:done" },
	{ "another key, expired", WITH_TLSA,
	  { OFFER, ">220 go", "tls expired", BYE }, .is = "policy:done" },
	{ "suites that are too weak", WITH_TLSA,
	  { OFFER, ">220 go", "tls-fails static" }, .is = "policy:broken" },
	{ "no STARTTLS", WITH_TLSA, { HELLO, BYE }, .is = "policy:absent" },
	{ "454", WITH_TLSA, { OFFER, ">454 not now", BYE },
	  .is = "policy:refused" },
	{ "no handshake", WITH_TLSA, { OFFER, ">220 go", "cut" },
	  .is = "policy:broken" },
};

static const struct scene requiretls[] = {
	{ "offered inside TLS", REQUIRETLS, { OFFER, ">220 go", "tls good",
	  EHLO, ">250-mx", ">250 REQUIRETLS", BYE }, .is = "ready:done" },
	/* RTLS-3-4 */
	{ "offered before TLS only", REQUIRETLS, { ">220 mx", EHLO, ">250-mx",
	  ">250-REQUIRETLS", ">250 STARTTLS", "<STARTTLS", ">220 go",
	  "tls good", EHLO, ">250 mx", BYE }, .is = "policy:done" },
	{ "self-signed", REQUIRETLS, { OFFER, ">220 go", "tls self", BYE },
	  .is = "policy:done" },
	{ "HELO only", REQUIRETLS, { ">220 mx", EHLO, ">502 what", BYE },
	  .is = "policy:absent" },
	/* RTLS-4.2.1-14 */
	{ "it stands on MAIL", REQUIRETLS, { OFFER, ">220 go", "tls good",
	  EHLO, ">250-mx", ">250-REQUIRETLS", ">250 SIZE",
	  "<MAIL FROM:<s@a.test> SIZE=3 REQUIRETLS", ">250 ok",
	  "<RCPT TO:<r0@b.test>", ">250 ok", "<DATA", ">354 go", "data",
	  ">250 2.6.0 took", BYE }, .requiretls = true, .messages = 1,
	  .is = "ready:done 0=delivered/250/2.6.0 served+" },
	/* RTLS-5-5: a notification goes on without */
	{ "not offered, not demanded", NO_POLICY, { OFFER, ">220 go",
	  "tls good", EHLO, ">250 mx", "<MAIL FROM:<s@a.test>", ">250 ok",
	  "<RCPT TO:<r0@b.test>", ">250 ok", "<DATA", ">354 go", "data",
	  ">250 2.6.0 took", BYE }, .requiretls = true, .messages = 1,
	  .is = "ready:done 0=delivered/250/2.6.0 served+" },
	/* RTLS-3-1 */
	{ "offered in clear, not demanded", NO_POLICY, { ">220 mx", EHLO,
	  ">250-mx", ">250 REQUIRETLS", "<MAIL FROM:<s@a.test>", ">250 ok",
	  "<RCPT TO:<r0@b.test>", ">250 ok", "<DATA", ">354 go", "data",
	  ">250 2.6.0 took", BYE }, .requiretls = true, .messages = 1,
	  .is = "ready:absent 0=delivered/250/2.6.0 served+" },
	{ "offered, not wanted", NO_POLICY, { OFFER, ">220 go", "tls good",
	  EHLO, ">250-mx", ">250 REQUIRETLS", "<MAIL FROM:<s@a.test>",
	  ">550 no", "<QUIT", ">221 bye", "eof" }, .messages = 1,
	  .is = "ready:done 0=failed/550/5.0.0 served+" },
};

/* A relay that is reached by smtps: TLS before anything else. */
static const struct scene implicit[] = {
	{ "the greeting inside", IMPLICIT, { "tls good", HELLO, BYE },
	  .is = "ready:done" },
	{ "a message", IMPLICIT, { "tls good", HELLO,
	  "<MAIL FROM:<s@a.test>", ">250 ok", "<RCPT TO:<r0@b.test>",
	  ">250 ok", "<DATA", ">354 go", "data", ">250 2.6.0 took", BYE },
	  .messages = 1, .is = "ready:done 0=delivered/250/2.6.0 served+" },
	/* TLS-3207-4.2-4: it is there already */
	{ "STARTTLS offered inside", IMPLICIT, { "tls good", ">220 mx", EHLO,
	  ">250-mx", ">250 STARTTLS", BYE }, .is = "ready:done" },
	{ "it greets slowly", IMPLICIT, { "tls good", "quiet", "slow 100",
	  HELLO, BYE }, .is = "ready:done" },
	/* Not a word, as it has not greeted. */
	{ "expired", IMPLICIT, { "tls expired", "eof" },
	  .is = "policy:done" },
	{ "self-signed", IMPLICIT, { "tls self", "eof" },
	  .is = "policy:done" },
	{ "it speaks in clear", IMPLICIT, { "clear", "drain" },
	  .is = "policy:broken" },
	{ "it closes in the handshake", IMPLICIT, { "cut" },
	  .is = "policy:broken" },
	{ "TLS 1.1", IMPLICIT, { "tls-fails old" }, .is = "policy:broken" },
	{ "421 inside", IMPLICIT, { "tls good", ">421 no", "eof" },
	  .is = "refused:done", .says = "421 no" },
	{ "554 inside", IMPLICIT, { "tls good", ">554 no", BYE },
	  .is = "refused:done", .says = "554 no" },
	{ "502 to EHLO", IMPLICIT, { "tls good", ">220 mx", EHLO,
	  ">502 what", BYE }, .is = "refused:done" },
	/* There is no port in clear to come back to. */
	{ "closed, whatever may be sent", IMPLICIT_REPORT, { "cut" },
	  .is = "policy:broken" },
	{ "again, as if in clear", IMPLICIT_AGAIN, { "eof" },
	  .is = "policy:broken" },
	{ "self-signed, whatever may be sent", IMPLICIT_REPORT, { "tls self",
	  HELLO, BYE }, .is = "ready:done" },
};

/* What is injected around STARTTLS, and what is known of before. */
static const struct scene injections[] = {
	/* TLS-3207-4.2-7 */
	{ "a reply in clear behind 220", NO_POLICY,
	  { OFFER, ">>220 go\r\n250 injected\r\n", "eof" },
	  .is = "reconnect:broken", .says = "in clear behind" },
	{ "the same under enforce", ENFORCE,
	  { OFFER, ">>220 go\r\n250 injected\r\n", "eof" },
	  .is = "policy:broken" },
	{ "half a line", ENFORCE, { OFFER, ">>220 go\r\n2", "eof" },
	  .is = "policy:broken" },
	/* TLS-3207-4-8 */
	{ "nothing behind STARTTLS", NO_POLICY, { ">220 mx", EHLO,
	  ">250-mx", ">250-PIPELINING", ">250 STARTTLS", "<STARTTLS",
	  "quiet", ">220 go", "tls good", INSIDE, BYE }, .is = "ready:done" },
	/* TLS-3207-4.2-4 */
	{ "STARTTLS offered inside TLS", NO_POLICY, { OFFER, ">220 go",
	  "tls good", EHLO, ">250-mx", ">250 STARTTLS", BYE },
	  .is = "ready:done" },
	/* TLS-3207-4.2-2, EXT-2920-3.1-1 */
	{ "PIPELINING and SIZE before TLS only", NO_POLICY, { ">220 mx",
	  EHLO, ">250-mx", ">250-PIPELINING", ">250-SIZE 1000",
	  ">250-8BITMIME", ">250 STARTTLS", "<STARTTLS", ">220 go",
	  "tls good", INSIDE, "<MAIL FROM:<s@a.test>", "quiet", ">250 ok",
	  "<RCPT TO:<r0@b.test>", "quiet", ">250 ok", "<DATA", "quiet",
	  ">354 go", "data", ">250 ok", BYE },
	  .is = "ready:done 0=delivered/250/2.0.0 served+", .messages = 1,
	  .kind = BODY_8BITMIME },
	{ "EHLO refused inside TLS", NO_POLICY, { OFFER, ">220 go",
	  "tls good", EHLO, ">550 no", BYE }, .is = "refused:done" },
	/* TLS-8446-6.1-1 */
	{ "cut inside TLS, inside a reply", NO_POLICY, { OFFER, ">220 go",
	  "tls good", EHLO, ">250-mx", "cut" }, .is = "closed:done" },
};

/* ---- one message ---- */

#define MAIL	"<MAIL FROM:<s@a.test>"
#define RCPT0	"<RCPT TO:<r0@b.test>"
#define RCPT1	"<RCPT TO:<r1@b.test>"
#define RCPT2	"<RCPT TO:<r2@b.test>"
#define OK	">250 ok"
#define ENVELOPE	MAIL, OK, RCPT0, OK, "<DATA", ">354 go"
#define PIPE	">220 mx", EHLO, ">250-mx", ">250 PIPELINING"

static const struct scene messages[] = {
	{ "in turn", NO_POLICY, { HELLO, ENVELOPE, "data", ">250 2.6.0 took",
	  BYE },
	  .is = "ready:absent 0=delivered/250/2.6.0 served+", .messages = 1,
	  .heard = "x\r\n.\r\n" },
	{ "as a group", NO_POLICY, { PIPE, MAIL, RCPT0, "<DATA", OK, OK,
	  ">354 go", "data", OK, BYE },
	  .is = "ready:absent 0=delivered/250/2.0.0 served+", .messages = 1,
	  .heard = "x\r\n.\r\n" },
	{ "inside TLS", ENFORCE, { OFFER, ">220 go", "tls good", EHLO,
	  ">250-mx", ">250 PIPELINING", MAIL, RCPT0, "<DATA", OK, OK,
	  ">354 go", "data", OK, BYE },
	  .is = "ready:done 0=delivered/250/2.0.0 served+", .messages = 1 },
	{ "dots and a line without end", NO_POLICY, { HELLO, ENVELOPE,
	  "data", OK, BYE }, .is = "ready:absent 0=delivered/250/2.0.0 served+",
	  .messages = 1, .body = ".\r\n..\r\n.x\r\ny",
	  .heard = "..\r\n...\r\n..x\r\ny\r\n.\r\n" },
	/* SMTP-4.5.4.1-7 */
	{ "three recipients, one DATA", NO_POLICY, { HELLO, MAIL, OK, RCPT0,
	  OK, RCPT1, OK, RCPT2, ">251 forwards", "<DATA", ">354 go", "data",
	  OK, BYE }, .is = "ready:absent 0=delivered/250/2.0.0 "
	  "1=delivered/250/2.0.0 2=delivered/250/2.0.0 served+",
	  .messages = 1, .rcpts = 3 },
	{ "two messages on one session", NO_POLICY, { HELLO, ENVELOPE,
	  "data", OK, ENVELOPE, "data", OK, BYE }, .is = "ready:absent "
	  "0=delivered/250/2.0.0 served+ 0=delivered/250/2.0.0 served+",
	  .messages = 2 },
	/* SMTP-4.2-2 */
	{ "250 5.1.1", NO_POLICY, { HELLO, MAIL, ">250 5.1.1 no such sender",
	  RCPT0, ">250 5.1.1 no such user", "<DATA", ">354 5.0.0 go", "data",
	  ">250 5.0.0 failed", BYE },
	  .is = "ready:absent 0=delivered/250/2.0.0 served+", .messages = 1 },
	/* SMTP-4.2-4 */
	{ "299 to all", NO_POLICY, { HELLO, MAIL, ">299 x", RCPT0, ">299 x",
	  "<DATA", ">354 go", "data", ">299 x", BYE },
	  .is = "ready:absent 0=delivered/299/2.0.0 served+", .messages = 1 },
	/* SMTP-4.2.5-2 */
	{ "a reset right after 250", NO_POLICY, { HELLO, ENVELOPE, "data",
	  OK, "cut" }, .is = "ready:absent 0=delivered/250/2.0.0 served+",
	  .messages = 1 },
};

static const struct scene parameters[] = {
	/* EXT-1870-6-1 */
	{ "SIZE, dots not counted twice", NO_POLICY, { ">220 mx", EHLO,
	  ">250-mx", ">250 SIZE 1000", "<MAIL FROM:<s@a.test> SIZE=6", OK,
	  RCPT0, OK, "<DATA", ">354 go", "data", OK, BYE },
	  .is = "ready:absent 0=delivered/250/2.0.0 served+", .messages = 1,
	  .body = ".\r\n.\r\n" },
	/* EXT-6152-3-3 */
	{ "8BITMIME offered and needed", NO_POLICY, { ">220 mx", EHLO,
	  ">250-mx", ">250 8BITMIME",
	  "<MAIL FROM:<s@a.test> BODY=8BITMIME", OK, RCPT0, OK, "<DATA",
	  ">354 go", "data", OK, BYE },
	  .is = "ready:absent 0=delivered/250/2.0.0 served+", .messages = 1,
	  .kind = BODY_8BITMIME, .body = "\xe4\r\n",
	  .heard = "\xe4\r\n.\r\n" },
	{ "8BITMIME offered, not needed", NO_POLICY, { ">220 mx", EHLO,
	  ">250-mx", ">250 8BITMIME", MAIL, OK, RCPT0, OK, "<DATA",
	  ">354 go", "data", OK, BYE },
	  .is = "ready:absent 0=delivered/250/2.0.0 served+", .messages = 1 },
	/* EXT-6531-3.4-2 */
	{ "all of them, and none that is not needed", NO_POLICY,
	  { ">220 mx", EHLO, ">250-mx", ">250-8BITMIME", ">250-SMTPUTF8",
	  ">250-DSN", ">250-BINARYMIME", ">250-CHUNKING", ">250 SIZE",
	  "<MAIL FROM:<s@a.test> SIZE=3 BODY=8BITMIME", OK, RCPT0, OK,
	  "<DATA", ">354 go", "data", OK, BYE },
	  .is = "ready:absent 0=delivered/250/2.0.0/dsn served+",
	  .messages = 1, .kind = BODY_8BITMIME },
};

/* RFC 3461 5.2.1, 5.2.2 */
#define ASKED	.ret = RET_HDRS, .envid = "aB+2B1",			\
		.notify = NOTIFY_SUCCESS | NOTIFY_DELAY,		\
		.orcpt = "rfc822;Old+2Bx@c.test"
#define DSN_MAIL	"<MAIL FROM:<s@a.test> RET=HDRS ENVID=aB+2B1"
#define DSN_RCPT(n)	"<RCPT TO:<r" #n "@b.test> NOTIFY=SUCCESS,DELAY "	\
			"ORCPT=rfc822;Old+2Bx@c.test"

static const struct scene requests[] = {
	{ "DSN offered: as they came", NO_POLICY, { ">220 mx", EHLO,
	  ">250-mx", ">250 DSN", DSN_MAIL, OK, DSN_RCPT(0), OK, DSN_RCPT(1),
	  OK, "<DATA", ">354 go", "data", OK, BYE },
	  .is = "ready:absent 0=delivered/250/2.0.0/dsn "
	  "1=delivered/250/2.0.0/dsn served+", .messages = 1, .rcpts = 2,
	  ASKED },
	{ "the same in a group", NO_POLICY, { ">220 mx", EHLO,
	  ">250-mx", ">250-DSN", ">250 PIPELINING", DSN_MAIL, DSN_RCPT(0),
	  DSN_RCPT(1), "<DATA", OK, OK, OK, ">354 go", "data", OK, BYE },
	  .is = "ready:absent 0=delivered/250/2.0.0/dsn "
	  "1=delivered/250/2.0.0/dsn served+", .messages = 1, .rcpts = 2,
	  ASKED },
	{ "never, and full", NO_POLICY, { ">220 mx", EHLO, ">250-mx",
	  ">250 DSN", "<MAIL FROM:<s@a.test> RET=FULL", OK,
	  "<RCPT TO:<r0@b.test> NOTIFY=NEVER", OK, "<DATA", ">354 go",
	  "data", OK, BYE },
	  .is = "ready:absent 0=delivered/250/2.0.0/dsn served+",
	  .messages = 1, .ret = RET_FULL, .notify = NOTIFY_NEVER },
	{ "all three", NO_POLICY, { ">220 mx", EHLO, ">250-mx", ">250 DSN",
	  "<MAIL FROM:<s@a.test>", OK,
	  "<RCPT TO:<r0@b.test> NOTIFY=SUCCESS,FAILURE,DELAY", OK, "<DATA",
	  ">354 go", "data", OK, BYE },
	  .is = "ready:absent 0=delivered/250/2.0.0/dsn served+",
	  .messages = 1,
	  .notify = NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY },
	{ "nothing asked for: nothing made up", NO_POLICY, { ">220 mx", EHLO,
	  ">250-mx", ">250 DSN", MAIL, OK, RCPT0, OK, "<DATA", ">354 go",
	  "data", OK, BYE },
	  .is = "ready:absent 0=delivered/250/2.0.0/dsn served+",
	  .messages = 1 },
	{ "not offered: nothing is said of it", NO_POLICY, { ">220 mx", EHLO,
	  ">250 mx", MAIL, OK, RCPT0, OK, "<DATA", ">354 go", "data", OK,
	  BYE },
	  .is = "ready:absent 0=delivered/250/2.0.0 served+", .messages = 1,
	  ASKED },
	{ "offered in clear, not inside TLS", NO_POLICY, { ">220 mx", EHLO,
	  ">250-mx", ">250-DSN", ">250 STARTTLS", "<STARTTLS", ">220 go",
	  "tls good", INSIDE, MAIL, OK, RCPT0, OK, "<DATA", ">354 go",
	  "data", OK, BYE },
	  .is = "ready:done 0=delivered/250/2.0.0 served+", .messages = 1,
	  ASKED },
	{ "passed to nobody who refused", NO_POLICY, { ">220 mx", EHLO,
	  ">250-mx", ">250 DSN", DSN_MAIL, OK, DSN_RCPT(0),
	  ">550 5.1.1 no", DSN_RCPT(1), ">450 4.2.1 later", BYE },
	  .is = "ready:absent 0=failed/550/5.1.1 1=deferred/450/4.2.1 "
	  "served+", .messages = 1, .rcpts = 2, ASKED },
};

static const struct scene refusals[] = {
	{ "450 to MAIL", NO_POLICY, { HELLO, MAIL, ">450 4.3.1 full", BYE },
	  .is = "ready:absent refused+/450/4.3.1", .messages = 1,
	  .says = "450 4.3.1 full" },
	{ "550 to MAIL", NO_POLICY, { HELLO, MAIL, ">550 5.7.1 no", BYE },
	  .is = "ready:absent 0=failed/550/5.7.1 served+", .messages = 1 },
	{ "450 to RCPT", NO_POLICY, { HELLO, MAIL, OK, RCPT0,
	  ">450 4.2.0 greylisted", BYE },
	  .is = "ready:absent 0=deferred/450/4.2.0 served+", .messages = 1 },
	{ "550 to RCPT", NO_POLICY, { HELLO, MAIL, OK, RCPT0,
	  ">550 5.1.1 no", BYE },
	  .is = "ready:absent 0=failed/550/5.1.1 served+", .messages = 1 },
	{ "450 to DATA", NO_POLICY, { HELLO, MAIL, OK, RCPT0, OK, "<DATA",
	  ">450 later", BYE }, .is = "ready:absent refused+/450/4.0.0",
	  .messages = 1 },
	{ "550 to DATA", NO_POLICY, { HELLO, MAIL, OK, RCPT0, OK, "<DATA",
	  ">550 no", BYE }, .is = "ready:absent 0=failed/550/5.0.0 served+",
	  .messages = 1 },
	/* SMTP-4.2.5-3 */
	{ "451 to the dot", NO_POLICY, { HELLO, MAIL, OK, RCPT0, OK, RCPT1,
	  OK, RCPT2, OK, "<DATA", ">354 go", "data", ">451 later", BYE },
	  .is = "ready:absent 0=deferred/451/4.0.0 1=deferred/451/4.0.0 "
	  "2=deferred/451/4.0.0 served+", .messages = 1, .rcpts = 3 },
	{ "554 to the dot", NO_POLICY, { HELLO, MAIL, OK, RCPT0, OK, RCPT1,
	  OK, RCPT2, OK, "<DATA", ">354 go", "data", ">554 no", BYE },
	  .is = "ready:absent 0=failed/554/5.0.0 1=failed/554/5.0.0 "
	  "2=failed/554/5.0.0 served+", .messages = 1, .rcpts = 3 },
	/* EXT-1870-6.2-3 */
	{ "452 to DATA", NO_POLICY, { HELLO, MAIL, OK, RCPT0, OK, "<DATA",
	  ">452 full", BYE }, .is = "ready:absent refused+/452/4.0.0",
	  .messages = 1 },
	{ "552 to DATA", NO_POLICY, { HELLO, MAIL, OK, RCPT0, OK, "<DATA",
	  ">552 large", BYE }, .is = "ready:absent 0=failed/552/5.0.0 served+",
	  .messages = 1 },
	{ "452 to the dot", NO_POLICY, { HELLO, ENVELOPE, "data",
	  ">452 full", BYE }, .is = "ready:absent 0=deferred/452/4.0.0 served+",
	  .messages = 1 },
	{ "552 to the dot", NO_POLICY, { HELLO, ENVELOPE, "data",
	  ">552 large", BYE }, .is = "ready:absent 0=failed/552/5.0.0 served+",
	  .messages = 1 },
	{ "some of three", NO_POLICY, { HELLO, MAIL, OK, RCPT0,
	  ">550 5.1.1 no", RCPT1, OK, RCPT2, ">450 4.2.2 full", "<DATA",
	  ">354 go", "data", OK, BYE },
	  .is = "ready:absent 0=failed/550/5.1.1 2=deferred/450/4.2.2 "
	  "1=delivered/250/2.0.0 served+", .messages = 1, .rcpts = 3 },
	/* 530 where our own TLS broke is no fault of the message */
	{ "530 in clear", CLEAR_RETRY, { ">220 mx", EHLO, ">250-mx",
	  ">250 STARTTLS", MAIL, ">530 5.7.0 STARTTLS first", BYE },
	  .is = "ready:broken refused+/530/4.4.2", .messages = 1 },
	/* RTLS-4.2.2-2: who let TLS go hears that it cannot be done without */
	{ "530 in clear to TLS-Required: No", OPTIONAL_CLEAR, { ">220 mx",
	  EHLO, ">250-mx", ">250 STARTTLS", MAIL,
	  ">530 5.7.0 STARTTLS first", BYE },
	  .is = "ready:broken 0=failed/530/5.7.0 served+", .messages = 1 },
	{ "530 inside TLS", NO_POLICY, { OFFER, ">220 go", "tls good",
	  INSIDE, MAIL, ">530 5.7.0 who are you", BYE },
	  .is = "ready:done 0=failed/530/5.7.0 served+", .messages = 1 },
};

/* EXT-1870-6.2-1: RSET before the next message, QUIT if there is none. */
static const struct scene resets[] = {
	{ "after 452 to MAIL", NO_POLICY, { ">220 mx", EHLO, ">250-mx",
	  ">250 SIZE", "<MAIL FROM:<s@a.test> SIZE=3", ">452 4.3.1 full",
	  "<RSET", OK, "<MAIL FROM:<s@a.test> SIZE=3", OK, RCPT0, OK,
	  "<DATA", ">354 go", "data", OK, BYE },
	  .is = "ready:absent refused+/452/4.3.1 0=delivered/250/2.0.0 served+",
	  .messages = 2 },
	{ "after RCPT refused, as a group", NO_POLICY, { PIPE, MAIL, RCPT0,
	  "<DATA", OK, ">550 no", ">503 no recipients", "<RSET", MAIL, RCPT0,
	  "<DATA", OK, OK, OK, ">354 go", "data", OK, BYE },
	  .is = "ready:absent 0=failed/550/5.0.0 served+ 0=delivered/250/2.0.0 "
	  "served+", .messages = 2 },
	{ "none after a dot", NO_POLICY, { HELLO, ENVELOPE, "data",
	  ">451 later", ENVELOPE, "data", OK, BYE },
	  .is = "ready:absent 0=deferred/451/4.0.0 served+ "
	  "0=delivered/250/2.0.0 "
	  "served+", .messages = 2 },
	{ "RSET refused", NO_POLICY, { HELLO, MAIL, OK, RCPT0, ">550 no",
	  "<RSET", ">500 what", "eof" },
	  .is = "ready:absent 0=failed/550/5.0.0 "
	  "served+ lost-untouched/500/4.4.2", .messages = 2 },
};

/* ---- groups ---- */

static const struct scene groups[] = {
	/* EXT-2920-3.1-2 */
	{ "nothing behind DATA", NO_POLICY, { PIPE, MAIL, RCPT0, "<DATA",
	  "quiet", OK, OK, "quiet", ">354 go", "data", OK, BYE },
	  .is = "ready:absent 0=delivered/250/2.0.0 served+", .messages = 1 },
	/* EXT-2920-3.1-3 */
	{ "answers are matched by count", NO_POLICY, { PIPE, MAIL, RCPT0,
	  RCPT1, RCPT2, "<DATA", OK, ">550 5.1.1 a", ">250 b",
	  ">451 4.2.1 c", ">354 go", "data", OK, BYE },
	  .is = "ready:absent 0=failed/550/5.1.1 2=deferred/451/4.2.1 "
	  "1=delivered/250/2.0.0 served+", .messages = 1, .rcpts = 3 },
	/* EXT-2920-3.1-5 */
	{ "all answers in one piece, some of several lines", NO_POLICY,
	  { PIPE, MAIL, RCPT0, RCPT1, RCPT2, "<DATA",
	  ">>250-a\r\n250 b\r\n250-c\r\n250-d\r\n250 e\r\n550 f\r\n"
	  "250 g\r\n354 go\r\n", "data", OK, BYE },
	  .is = "ready:absent 1=failed/550/5.0.0 0=delivered/250/2.0.0 "
	  "2=delivered/250/2.0.0 served+", .messages = 1, .rcpts = 3 },
	/* EXT-2920-3.1-4 */
	{ "354 though all RCPT failed", NO_POLICY, { PIPE, MAIL, RCPT0,
	  RCPT1, "<DATA", OK, ">550 a", ">550 b", ">354 go", "data",
	  ">250 took it", BYE },
	  .is = "ready:absent 0=failed/550/5.0.0 1=failed/550/5.0.0 served+",
	  .messages = 1, .rcpts = 2, .heard = ".\r\n" },
	{ "354 though MAIL failed", NO_POLICY, { PIPE, MAIL, RCPT0, "<DATA",
	  ">550 5.7.1 no", ">503 a", ">354 go", "data", ">554 no", BYE },
	  .is = "ready:absent 0=failed/550/5.7.1 served+", .messages = 1,
	  .heard = ".\r\n" },
	{ "MAIL 450, the rest 503", NO_POLICY, { PIPE, MAIL, RCPT0, "<DATA",
	  ">450 later", ">503 a", ">503 b", BYE },
	  .is = "ready:absent refused+/450/4.0.0", .messages = 1 },
	{ "MAIL 450, RCPT answered as if", NO_POLICY, { PIPE, MAIL, RCPT0,
	  "<DATA", ">450 later", ">550 5.1.1 no", ">503 b", BYE },
	  .is = "ready:absent refused+/450/4.0.0", .messages = 1 },
	{ "MAIL 550 and closed", NO_POLICY, { PIPE, MAIL, RCPT0, "<DATA",
	  ">550 5.7.1 go away", "cut" },
	  .is = "ready:absent 0=failed/550/5.7.1 served", .messages = 1 },
	{ "all RCPT failed, DATA 554", NO_POLICY, { PIPE, MAIL, RCPT0,
	  "<DATA", OK, ">550 5.1.1 no", ">554 no recipients", BYE },
	  .is = "ready:absent 0=failed/550/5.1.1 served+", .messages = 1 },
};

/* ---- too many recipients ---- */

static const struct scene too_many[] = {
	/* SMTP-4.5.3.1.8-3 */
	{ "452 to the third", NO_POLICY, { HELLO, MAIL, OK, RCPT0, OK,
	  RCPT1, OK, RCPT2, ">452 4.5.3 too many", "<DATA", ">354 go",
	  "data", OK, MAIL, OK, RCPT2, OK, "<DATA", ">354 go", "data", OK,
	  BYE },
	  .is = "ready:absent 0=delivered/250/2.0.0 1=delivered/250/2.0.0 "
	  "2=delivered/250/2.0.0 served+", .messages = 1, .rcpts = 3 },
	{ "one at a time, as groups", NO_POLICY, { PIPE, MAIL, RCPT0, RCPT1,
	  RCPT2, "<DATA", OK, OK, ">452 x", ">452 x", ">354 go", "data", OK,
	  MAIL, RCPT1, RCPT2, "<DATA", OK, OK, ">452 x", ">354 go", "data",
	  OK, MAIL, RCPT2, "<DATA", OK, OK, ">354 go", "data", OK, BYE },
	  .is = "ready:absent 0=delivered/250/2.0.0 1=delivered/250/2.0.0 "
	  "2=delivered/250/2.0.0 served+", .messages = 1, .rcpts = 3 },
	/* SMTP-4.5.3.1.10-1 */
	{ "552 to the second", NO_POLICY, { HELLO, MAIL, OK, RCPT0, OK,
	  RCPT1, ">552 too many", "<DATA", ">354 go", "data", OK, MAIL, OK,
	  RCPT1, OK, "<DATA", ">354 go", "data", OK, BYE },
	  .is = "ready:absent 0=delivered/250/2.0.0 1=delivered/250/2.0.0 "
	  "served+",
	  .messages = 1, .rcpts = 2 },
	{ "552 to all", NO_POLICY, { HELLO, MAIL, OK, RCPT0,
	  ">552 5.5.3 no", BYE },
	  .is = "ready:absent 0=deferred/552/4.5.3 served+",
	  .messages = 1 },
	{ "452 to all", NO_POLICY, { HELLO, MAIL, OK, RCPT0, ">452 x",
	  RCPT1, ">452 x", BYE }, .is = "ready:absent 0=deferred/452/4.0.0 "
	  "1=deferred/452/4.0.0 served+", .messages = 1, .rcpts = 2 },
	{ "452 that means the mailbox", NO_POLICY, { HELLO, MAIL, OK, RCPT0,
	  OK, RCPT1, ">452 4.2.2 mailbox full", "<DATA", ">354 go", "data",
	  OK, BYE }, .is = "ready:absent 1=deferred/452/4.2.2 "
	  "0=delivered/250/2.0.0 served+", .messages = 1, .rcpts = 2 },
	{ "552 that means the mailbox", NO_POLICY, { HELLO, MAIL, OK, RCPT0,
	  OK, RCPT1, ">552 5.2.2 mailbox full", "<DATA", ">354 go", "data",
	  OK, BYE },
	  .is = "ready:absent 1=failed/552/5.2.2 0=delivered/250/2.0.0 "
	  "served+", .messages = 1, .rcpts = 2 },
	{ "too many, then the dot is refused", NO_POLICY, { HELLO, MAIL, OK,
	  RCPT0, OK, RCPT1, ">452 x", "<DATA", ">354 go", "data",
	  ">554 no", MAIL, OK, RCPT1, OK, "<DATA", ">354 go", "data", OK,
	  BYE }, .is = "ready:absent 0=failed/554/5.0.0 1=delivered/250/2.0.0 "
	  "served+", .messages = 1, .rcpts = 2 },
	{ "too many, and the dot unanswered", NO_POLICY, { HELLO, MAIL, OK,
	  RCPT0, OK, RCPT1, ">452 x", "<DATA", ">354 go", "data", "cut" },
	  .is = "ready:absent 0=deferred/0/4.4.2 1=deferred/0/4.4.2 served",
	  .messages = 1, .rcpts = 2 },
};

/* ---- connections that break ---- */

static const struct scene losses[] = {
	{ "at MAIL", NO_POLICY, { HELLO, MAIL, "cut" },
	  .is = "ready:absent lost-untouched/0/4.4.2", .messages = 1,
	  .says = "MAIL" },
	{ "at RCPT", NO_POLICY, { HELLO, MAIL, OK, RCPT0, "cut" },
	  .is = "ready:absent lost/0/4.4.2", .messages = 1, .says = "RCPT" },
	{ "at the second RCPT", NO_POLICY, { HELLO, MAIL, OK, RCPT0,
	  ">550 5.1.1 no", RCPT1, "cut" },
	  .is = "ready:absent 0=failed/550/5.1.1 lost/0/4.4.2", .messages = 1,
	  .rcpts = 2 },
	{ "at DATA", NO_POLICY, { HELLO, MAIL, OK, RCPT0, OK, "<DATA",
	  "cut" }, .is = "ready:absent lost/0/4.4.2", .messages = 1,
	  .says = "DATA" },
	{ "after the dot", NO_POLICY, { HELLO, ENVELOPE, "data", "cut" },
	  .is = "ready:absent 0=deferred/0/4.4.2 served", .messages = 1 },
	{ "in the middle of the answer to the dot", NO_POLICY, { HELLO,
	  ENVELOPE, "data", ">>250 o", "cut" },
	  .is = "ready:absent 0=deferred/0/4.4.2 served", .messages = 1 },
	{ "after a group", NO_POLICY, { PIPE, MAIL, RCPT0, "<DATA", "cut" },
	  .is = "ready:absent lost-untouched/0/4.4.2", .messages = 1 },
	{ "in a group, after RCPT", NO_POLICY, { PIPE, MAIL, RCPT0, "<DATA",
	  OK, OK, "cut" }, .is = "ready:absent lost/0/4.4.2", .messages = 1 },
	{ "between two messages", NO_POLICY, { HELLO, ENVELOPE, "data", OK,
	  "cut" }, .is = "ready:absent 0=delivered/250/2.0.0 served+ "
	  "lost-untouched/0/4.4.2", .messages = 2 },
	{ "inside TLS, without notice", NO_POLICY, { OFFER, ">220 go",
	  "tls good", INSIDE, ENVELOPE, "data", ">>250-o", "cut" },
	  .is = "ready:done 0=deferred/0/4.4.2 served", .messages = 1 },
};

/* SMTP-4.3.2-2 */
static const struct scene closings[] = {
	{ "421 to MAIL", NO_POLICY, { HELLO, MAIL, ">421 4.3.2 bye", "eof" },
	  .is = "ready:absent lost-untouched/421/4.3.2", .messages = 1,
	  .says = "421 4.3.2 bye" },
	{ "421 to RCPT", NO_POLICY, { HELLO, MAIL, OK, RCPT0, ">421 bye",
	  "eof" }, .is = "ready:absent lost/421/4.0.0", .messages = 1 },
	{ "421 to DATA", NO_POLICY, { HELLO, MAIL, OK, RCPT0, OK, "<DATA",
	  ">421 bye", "eof" }, .is = "ready:absent lost/421/4.0.0",
	  .messages = 1 },
	{ "421 to the dot", NO_POLICY, { HELLO, ENVELOPE, "data",
	  ">421 4.3.2 bye", "eof" },
	  .is = "ready:absent 0=deferred/421/4.3.2 served", .messages = 1 },
	{ "421 to QUIT", NO_POLICY, { HELLO, "<QUIT", ">421 bye", "eof" },
	  .is = "ready:absent" },
};

static const struct scene violations[] = {
	/* SMTP-3.3-5 */
	{ "250 to DATA", NO_POLICY, { HELLO, MAIL, OK, RCPT0, OK, "<DATA",
	  ">250 ok", "eof" }, .is = "ready:absent lost/250/4.4.2",
	  .messages = 1, .says = "not an SMTP answer to DATA" },
	{ "355 to DATA", NO_POLICY, { HELLO, MAIL, OK, RCPT0, OK, "<DATA",
	  ">355 go", "eof" }, .is = "ready:absent lost/355/4.4.2",
	  .messages = 1 },
	{ "451 to DATA", NO_POLICY, { HELLO, MAIL, OK, RCPT0, OK, "<DATA",
	  ">451 no", BYE }, .is = "ready:absent refused+/451/4.0.0",
	  .messages = 1 },
	{ "554 to DATA", NO_POLICY, { HELLO, MAIL, OK, RCPT0, OK, "<DATA",
	  ">554 no", BYE }, .is = "ready:absent 0=failed/554/5.0.0 served+",
	  .messages = 1 },
	{ "354 to MAIL", NO_POLICY, { HELLO, MAIL, ">354 go", "eof" },
	  .is = "ready:absent lost-untouched/354/4.4.2", .messages = 1 },
	{ "354 to RCPT", NO_POLICY, { HELLO, MAIL, OK, RCPT0, ">354 go",
	  "eof" }, .is = "ready:absent lost/354/4.4.2", .messages = 1 },
	/* SMTP-4.2-3 */
	{ "150 to RCPT", NO_POLICY, { HELLO, MAIL, OK, RCPT0, ">150 x",
	  "eof" }, .is = "ready:absent lost/0/4.4.2", .messages = 1 },
	{ "650 to the dot", NO_POLICY, { HELLO, ENVELOPE, "data", ">650 x",
	  "eof" }, .is = "ready:absent 0=deferred/0/4.4.2 served",
	  .messages = 1 },
	{ "354 to the dot", NO_POLICY, { HELLO, ENVELOPE, "data",
	  ">354 more", "eof" },
	  .is = "ready:absent 0=deferred/354/4.4.2 served",
	  .messages = 1 },
	/* SMTP-4.2.1-1 */
	{ "250 and 550 to the dot", NO_POLICY, { HELLO, ENVELOPE, "data",
	  ">250-a", ">550 b", "eof" },
	  .is = "ready:absent 0=deferred/0/4.4.2 served", .messages = 1 },
};

/* An answer before its question would be taken for the next one's. */
#define ENVELOPE_WITHOUT_354	MAIL, OK, RCPT0, OK, "<DATA"
static const struct scene unasked[] = {
	{ "behind the answer to EHLO", NO_POLICY, { ">220 mx", EHLO,
	  ">>250 mx\r\n250 ok\r\n", "eof" },
	  .is = "ready:absent lost-untouched/250/4.4.2", .messages = 1,
	  .says = "not an SMTP answer" },
	{ "behind the answer to EHLO inside TLS", NO_POLICY, { OFFER,
	  ">220 go", "tls good", EHLO, ">>250 mx\r\n250 ok\r\n", "drain" },
	  .is = "ready:done lost-untouched/250/4.4.2", .messages = 1 },
	{ "behind the answer to EHLO, PIPELINING", NO_POLICY, { ">220 mx",
	  EHLO, ">>250-mx\r\n250 PIPELINING\r\n250 ok\r\n", "eof" },
	  .is = "ready:absent lost-untouched/250/4.4.2", .messages = 1 },
	{ "half a line behind EHLO", NO_POLICY, { ">220 mx", EHLO,
	  ">>250 mx\r\n25", "eof" },
	  .is = "ready:absent lost-untouched/0/4.4.2", .messages = 1 },
	{ "behind the answer to MAIL", NO_POLICY, { HELLO, MAIL,
	  ">>250 ok\r\n250 ok\r\n", "eof" },
	  .is = "ready:absent lost/250/4.4.2", .messages = 1 },
	{ "behind the answer to RCPT", NO_POLICY, { HELLO, MAIL, OK, RCPT0,
	  ">>250 ok\r\n354 go\r\n", "eof" },
	  .is = "ready:absent lost/354/4.4.2", .messages = 1 },
	{ "behind 354", NO_POLICY, { HELLO, ENVELOPE_WITHOUT_354,
	  ">>354 go\r\n250 taken\r\n", "eof" },
	  .is = "ready:absent lost/250/4.4.2", .messages = 1,
	  .says = "not an SMTP answer to DATA" },
	{ "behind 354 of a group", NO_POLICY, { PIPE, MAIL, RCPT0, "<DATA",
	  ">>250 a\r\n250 b\r\n354 go\r\n250 taken\r\n", "eof" },
	  .is = "ready:absent lost/250/4.4.2", .messages = 1 },
	{ "behind the answer to the dot", NO_POLICY, { HELLO, ENVELOPE,
	  "data", ">>250 ok\r\n250 ok\r\n", "eof" },
	  .is = "ready:absent 0=delivered/250/2.0.0 served+ "
	  "lost-untouched/250/4.4.2", .messages = 2 },
	{ "behind the answer to RSET", NO_POLICY, { HELLO, MAIL, OK, RCPT0,
	  ">550 no", "<RSET", ">>250 ok\r\n250 ok\r\n", "eof" },
	  .is = "ready:absent 0=failed/550/5.0.0 served+ "
	  "lost-untouched/250/4.4.2", .messages = 2 },
	/* SMTP-4.3.2-2: 421 may come at any time */
	{ "421 between two messages", NO_POLICY, { HELLO, ENVELOPE, "data",
	  ">>250 ok\r\n421 4.3.2 enough\r\n", "eof" },
	  .is = "ready:absent 0=delivered/250/2.0.0 served+ "
	  "lost-untouched/421/4.3.2", .messages = 2,
	  .says = "421 4.3.2 enough" },
	{ "421 behind 354", NO_POLICY, { HELLO, ENVELOPE_WITHOUT_354,
	  ">>354 go\r\n421 4.3.2 bye\r\n", "eof" },
	  .is = "ready:absent lost/421/4.3.2", .messages = 1,
	  .says = "421 4.3.2 bye" },
	{ "a refusal before the data is whole", NO_POLICY, { HELLO,
	  ENVELOPE_WITHOUT_354, ">>354 go\r\n552 5.3.4 large\r\n", "eof" },
	  .is = "ready:absent lost/552/4.4.2", .messages = 1,
	  .says = "552 5.3.4 large" },
};

/* Each step has its own time (SMTP-4.5.3.2-1). */
static const struct scene timeouts[] = {
	{ "MAIL", NO_POLICY, { HELLO, MAIL, "slow 600" },
	  .is = "ready:absent lost-untouched/0/4.4.2", .messages = 1,
	  .impatient = true, .says = "timed out, awaiting the answer to MAIL" },
	{ "RCPT", NO_POLICY, { HELLO, MAIL, OK, RCPT0, "slow 600" },
	  .is = "ready:absent lost/0/4.4.2", .messages = 1, .impatient = true },
	{ "DATA", NO_POLICY, { HELLO, MAIL, OK, RCPT0, OK, "<DATA",
	  "slow 600" }, .is = "ready:absent lost/0/4.4.2", .messages = 1,
	  .impatient = true },
	{ "the dot", NO_POLICY, { HELLO, ENVELOPE, "data", "slow 600" },
	  .is = "ready:absent 0=deferred/0/4.4.2 served", .messages = 1,
	  .impatient = true },
	/* SMTP-3.8-4 */
	{ "QUIT", NO_POLICY, { HELLO, "<QUIT", "slow 600", "eof" },
	  .is = "ready:absent", .impatient = true },
	{ "every step just inside its own time", NO_POLICY, { "slow 150",
	  ">220 mx", EHLO, "slow 150", ">250 mx", MAIL, "slow 150", OK,
	  RCPT0, "slow 150", OK, RCPT1, "slow 150", OK, "<DATA",
	  "slow 150", ">354 go", "data", "slow 150", OK, "<QUIT",
	  "slow 150", ">221 bye", "eof" }, .is = "ready:absent "
	  "0=delivered/250/2.0.0 1=delivered/250/2.0.0 served+",
	  .messages = 1, .rcpts = 2, .impatient = true },
};

/* ---- our own side ---- */

static const struct scene own[] = {
	{ "the body is not what was promised", NO_POLICY, { HELLO, MAIL, OK,
	  RCPT0, OK, "<DATA", ">354 go", "eof" },
	  .is = "ready:absent cut/0/", .messages = 1, .wrong_size = true },
	{ "there is no body", NO_POLICY, { HELLO, MAIL, OK, RCPT0, OK,
	  "<DATA", ">354 go", "eof" }, .is = "ready:absent cut/0/",
	  .messages = 1, .no_body = true },
	{ "the dot is forbidden", NO_POLICY, { HELLO, MAIL, OK, RCPT0, OK,
	  "<DATA", ">354 go", "eof" }, .is = "ready:absent cut/0/",
	  .messages = 1, .stop_at_dot = true },
};

/* ---- what needs more than a script ---- */

static struct scene
large(char *body, size_t len, const char *line)
{
	size_t at, line_len = strlen(line);

	for (at = 0; at + line_len < len; at += line_len)
		memcpy(body + at, line, line_len);
	body[at] = '\0';
	return (struct scene){
		"a large body", NO_POLICY, { PIPE, MAIL, RCPT0, "<DATA", OK,
		OK, ">354 go", "data", OK, BYE },
		.is = "ready:absent 0=delivered/250/2.0.0 "
		  "served+", .messages = 1,
		.body = body
	};
}

/* A megabyte through buffers of 64 KiB, in clear and inside TLS. */
static void
test_large(void **state)
{
	static char body[1 << 20];
	struct scene scene = large(body, sizeof(body), ".a line\r\n");
	static const struct scene tls = { "a large body inside TLS",
	    NO_POLICY, { OFFER, ">220 go", "tls good", EHLO, ">250-mx",
	    ">250 PIPELINING", MAIL, RCPT0, "<DATA", OK, OK, ">354 go",
	    "data", OK, BYE }, .is = "ready:done 0=delivered/250/2.0.0 served+",
	    .messages = 1, .body = body };

	(void)state;
	play_scene(&scene);
	play_scene(&tls);
}

/* EXT-2920-3.1-6: the server writes before it reads, through small pipes. */
static void
test_no_deadlock(void **state)
{
	static const struct scene scene = { "100 recipients", NO_POLICY,
	    { PIPE, "tight", "bulk", "<DATA", ">354 go", "data", OK, BYE },
	    .messages = 1, .rcpts = 100 };
	struct scene played = scene;
	struct buffer outcome = { NULL, 0, 0 };
	unsigned i;

	(void)state;
	buffer_printf(&outcome, "ready:absent");
	for (i = 0; i < 100; i++)
		buffer_printf(&outcome, " %u=delivered/250/2.0.0", i);
	buffer_printf(&outcome, " served+");
	played.is = outcome.text;
	play_scene(&played);
	buffer_free(&outcome);
}

/* T50, SMTP-4.5.3.1.5-1: 100 KiB in one line, and in 1,000 lines. */
static void
test_long_replies(void **state)
{
	static char line[100 * 1024 + 10];
	static char lines[1000 * 30 + 100];
	struct scene one = { "a line of 100 KiB", NO_POLICY, { HELLO, MAIL,
	    line, RCPT0, OK, "<DATA", ">354 go", "data", OK, BYE },
	    .is = "ready:absent 0=delivered/250/2.0.0 served+", .messages = 1 };
	struct scene many = { "1,000 lines", NO_POLICY, { HELLO, MAIL, lines,
	    RCPT0, OK, "<DATA", ">354 go", "data", OK, BYE },
	    .is = "ready:absent 0=delivered/250/2.0.0 served+", .messages = 1 };
	size_t at = 2;
	unsigned i;

	(void)state;
	memset(line, 'x', sizeof(line) - 1);
	memcpy(line, ">250 ", 5);
	play_scene(&one);
	memcpy(lines, ">>", 2);
	for (i = 0; i < 1000; i++)
		at += (size_t)sprintf(lines + at, "250-line %u\r\n", i);
	sprintf(lines + at, "250 end\r\n");
	play_scene(&many);
}

/* What the manager is told for the report: words, errors, a name. */
static void
test_proofs(void **state)
{
	static const struct {
		enum policy	 policy;
		const char	*script[16];
		const char	*helo, *reason;
		uint8_t		 errors[4];	/* X509_V_ERR_* */
	} rows[] = {
		{ NO_POLICY, { HELLO, BYE }, "mx.test", "", { 0 } },
		/* the banner, where EHLO gives none */
		{ NO_POLICY, { ">220 Banner.Test ESMTP", EHLO, ">250", BYE },
		  "banner.test", "", { 0 } },
		{ NO_POLICY, { ">220 banner.test", EHLO, ">502 what",
		  "<HELO relay.test", ">250 helo.test hi", BYE }, "helo.test",
		  "", { 0 } },
		{ NO_POLICY, { ">220 [192.0.2.1]", EHLO, ">250 \xff\"", BYE },
		  "", "", { 0 } },
		/* an answer to HELO offers nothing */
		{ NO_POLICY, { ">220 mx", EHLO, ">502 what",
		  "<HELO relay.test", ">250-helo.test", ">250 STARTTLS", BYE },
		  "helo.test", "", { 0 } },
		{ ENFORCE, { OFFER, ">220 go", "tls good", EHLO,
		  ">250 inside.test", BYE }, "inside.test", "", { 0 } },
		{ ENFORCE, { OFFER, ">220 go", "tls expired", BYE },
		  "mx.test", "", { X509_V_ERR_CERT_HAS_EXPIRED } },
		{ ENFORCE, { OFFER, ">220 go", "tls other", BYE }, "mx.test",
		  "", { X509_V_ERR_HOSTNAME_MISMATCH } },
		{ ENFORCE, { OFFER, ">220 go", "tls self", BYE }, "mx.test",
		  "", { X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT } },
		/* ruling 10: mail goes, and it counts as under enforce */
		{ TESTING, { OFFER, ">220 go", "tls static", INSIDE, BYE },
		  "mx.test", "", { X509_V_ERR_APPLICATION_VERIFICATION } },
		{ ENFORCE, { OFFER, ">454-4.7.0 a", ">454 4.7.0 b", BYE },
		  "mx.test", "454-4.7.0 a\n454 4.7.0 b", { 0 } },
		{ ENFORCE, { OFFER, ">220 go", "clear", "drain" }, "mx.test",
		  "wrong version number", { 0 } },
		/* With nothing unread: the kernel says no more than "end". */
		{ ENFORCE, { OFFER, ">220 go", "swallow", "cut" }, "mx.test",
		  "connection closed by the peer", { 0 } },
		{ ENFORCE, { OFFER, ">>220 go\r\nx", "eof" }, "mx.test",
		  "octets in clear behind the answer to STARTTLS", { 0 } },
	};
	struct w_socket about = { .session = 7, .host = HOST,
	    .ehlo = "relay.test" };
	static struct session session;
	static struct w_proof proof;
	struct server server;
	size_t i;

	(void)state;
	for (i = 0; i < N(rows); i++) {
		set_policy(&about, rows[i].policy);
		session_begin(&session, server_begin(&server,
		    rows[i].script), -1, &about, client_context,
		    &session_limits, &calls, NULL);
		session_prove(&session, &proof);
		session_quit(&session);
		pthread_join(server.thread, NULL);
		assert_string_equal(server.error, "");
		if (strcmp(proof.helo, rows[i].helo) != 0 ||
		    strcmp(proof.tls_reason, rows[i].reason) != 0)
			fail_msg("row %zu: [%s] [%s]", i, proof.helo,
			    proof.tls_reason);
		assert_int_equal(proof.errors_len, rows[i].errors[0] != 0);
		assert_int_equal(proof.errors[0], rows[i].errors[0]);
		buffer_free(&server.heard);
		about = (struct w_socket){ .session = 7, .host = HOST,
		    .ehlo = "relay.test" };
	}
}

/*
 * Records that only the library could tell to be none: what is asked of the
 * host is told as it was then.
 */
static void
test_unusable(void **state)
{
	static const struct {
		const char	*requirement, *rule, *matched, *told, *tlsa;
	} rows[] = {
		{ "dane", "dane-unusable-encrypted", "", "encrypt",
		    "unusable" },
		{ "dane", "sts-verified", "", "pkix", "unusable" },
		{ "dane-pkix", "sts-verified", "", "pkix", "unusable" },
		{ "dane", "tls-required-certificate-expired", "", "pkix",
		    "unusable" },
		{ "none", "exempt", "", "none", "unusable" },
		{ "dane", "dane-verified", "3 1 1 00", "dane", "usable" },
	};
	struct w_proof proof = { .starttls_known = true,
	    .starttls = STARTTLS_DONE };
	struct session_verdict verdict = { .action = SESSION_SEND };
	struct d_host note;
	size_t i;

	(void)state;
	for (i = 0; i < N(rows); i++) {
		memset(&note, 0, sizeof(note));
		strcpy(note.tlsa, "usable");
		strcpy(note.requirement, rows[i].requirement);
		strcpy(proof.tlsa_matched, rows[i].matched);
		verdict.rule = (struct rule){ rows[i].rule, "", "", "" };
		facts_session(&note, &proof, &verdict);
		assert_string_equal(note.requirement, rows[i].told);
		assert_string_equal(note.tlsa, rows[i].tlsa);
	}
	/* Another key is no want of records; nor is a session without TLS. */
	strcpy(note.requirement, "dane");
	strcpy(note.tlsa, "usable");
	proof.dane = CERT_DANE_NO_MATCH;
	facts_session(&note, &proof, &verdict);
	assert_string_equal(note.requirement, "dane");
	proof.dane = 0;
	proof.starttls = STARTTLS_BROKEN;
	facts_session(&note, &proof, &verdict);
	assert_string_equal(note.requirement, "dane");
}

struct stopper {
	int	fd;
	int	delay_ms;
	bool	goes;		/* our manager ends, instead of asking */
};

static void *
stop_later(void *argument)
{
	struct stopper *stopper = argument;

	usleep((useconds_t)stopper->delay_ms * 1000);
	if (stopper->goes)
		close(stopper->fd);
	else if (write(stopper->fd, "x", 1) != 1)
		abort();
	return NULL;
}

/* Our manager wants it to stop: wherever it is, at once. */
static void
test_stop(void **state)
{
	static const struct scene scenes[] = {
		{ "before the greeting", NO_POLICY, { "eof" }, .is = "cut" },
		{ "in EHLO", NO_POLICY, { ">220 mx", EHLO, "eof" },
		  .is = "cut" },
		{ "at STARTTLS", NO_POLICY, { OFFER, "eof" }, .is = "cut" },
		{ "at STARTTLS under enforce", ENFORCE, { OFFER, "eof" },
		  .is = "cut" },
		{ "in the handshake", NO_POLICY, { OFFER, ">220 go",
		  "drain" }, .is = "cut" },
		{ "at MAIL", NO_POLICY, { HELLO, MAIL, "eof" },
		  .is = "ready:absent cut/0/", .messages = 1 },
		{ "at RCPT", NO_POLICY, { HELLO, MAIL, OK, RCPT0, "eof" },
		  .is = "ready:absent cut/0/", .messages = 1 },
		/* Who stops now sends it twice: the answer is awaited. */
		{ "after the dot", NO_POLICY, { HELLO, ENVELOPE, "data",
		  "slow 300", ">250 2.6.0 took", "eof" }, .messages = 1,
		  .is = "ready:absent 0=delivered/250/2.6.0 served+" },
		{ "it ends after the dot", NO_POLICY, { HELLO, ENVELOPE,
		  "data", "eof" }, .is = "ready:absent cut/0/",
		  .messages = 1 },
	};
	const struct scene *scene;
	struct stopper stopper;
	char said[REPLY_TEXT_MAX];
	int wake[2];
	pthread_t thread;

	(void)state;
	for (scene = scenes; scene < scenes + N(scenes); scene++) {
		struct client client = { .scene = scene, .body_fd = -1 };
		struct server server;

		assert_int_equal(pipe(wake), 0);
		stopper = (struct stopper){ wake[1], 100,
		    scene == scenes + N(scenes) - 1 };
		pthread_create(&thread, NULL, stop_later, &stopper);
		run_client(&client, server_begin(&server, scene->script),
		    wake[0], said, sizeof(said));
		pthread_join(thread, NULL);
		pthread_join(server.thread, NULL);
		if (strcmp(client.log.text, scene->is) != 0)
			fail_msg("%s: [%s]", scene->name, client.log.text);
		buffer_free(&client.log);
		buffer_free(&server.heard);
		close(client.body_fd);
		close(wake[0]);
		if (!stopper.goes)
			close(wake[1]);
	}
}

/*
 * A server that sends so many TLS messages for which nobody asked, KeyUpdate
 * under TLS 1.3 or HelloRequest under 1.2, and then an octet.
 */
struct flooder {
	int		 fd;
	const char	*certificate;
	unsigned	 messages;
};

/* Made beforehand: they are to come as fast as they are read. */
static void *
flood(void *argument)
{
	struct flooder *flooder = argument;
	SSL *ssl = SSL_new(server_named(flooder->certificate));
	BIO *memory = BIO_new(BIO_s_mem());
	char *octets;
	long len, at = 0;
	ssize_t sent;
	unsigned i;

	SSL_set_fd(ssl, flooder->fd);
	if (SSL_accept(ssl) != 1)
		abort();
	BIO_up_ref(memory);
	SSL_set0_wbio(ssl, memory);
	for (i = 0; i < flooder->messages; i++)
		if ((SSL_version(ssl) == TLS1_3_VERSION ?
		    SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED) :
		    SSL_renegotiate(ssl)) != 1 || SSL_do_handshake(ssl) != 1)
			abort();
	if (SSL_version(ssl) == TLS1_3_VERSION)
		SSL_write(ssl, "x", 1);
	len = BIO_get_mem_data(memory, &octets);
	while (at < len && (sent = write(flooder->fd, octets + at,
	    (size_t)(len - at))) > 0)
		at += sent;
	SSL_free(ssl);
	BIO_free(memory);
	close(flooder->fd);
	return NULL;
}

/* What came of reading from it. */
static enum stream_state
read_flood(struct flooder *flooder, char error[128])
{
	struct tls_about about = { .host = HOST };
	struct stream stream;
	pthread_t thread;
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	flooder->fd = ends[1];
	pthread_create(&thread, NULL, flood, flooder);
	stream_open(&stream, ends[0], -1);
	assert_true(stream_start_tls(&stream, tls_new(client_context, &about),
	    wire_now_ms() + 10000));
	stream_read(&stream, wire_now_ms() + 20000);
	strcpy(error, stream.error);
	enum stream_state state = stream.state;
	stream_close(&stream);
	pthread_join(thread, NULL);
	return state;
}

/* The library takes them without coming back to a deadline. */
static void
test_flood(void **state)
{
	struct flooder many = { .certificate = "good", .messages = 100000 },
	    many12 = { .certificate = "good12", .messages = 100000 },
	    few = { .certificate = "good", .messages = 20 };
	char error[128];

	(void)state;
	assert_int_equal(read_flood(&few, error), STREAM_OK);
	assert_int_equal(read_flood(&many, error), STREAM_TLS);
	assert_string_equal(error, "too many TLS records without data");
	assert_int_equal(read_flood(&many12, error), STREAM_TLS);
	assert_string_equal(error, "too many TLS records without data");
}

/* RFC 5321 4.5.3.2, to the second. */
static void
test_limits(void **state)
{
	(void)state;
	assert_int_equal(session_limits.greeting_ms, 300000);
	assert_int_equal(session_limits.mail_ms, 300000);
	assert_int_equal(session_limits.rcpt_ms, 300000);
	assert_int_equal(session_limits.data_ms, 120000);
	assert_int_equal(session_limits.block_ms, 180000);
	assert_int_equal(session_limits.dot_ms, 600000);
}

#define SCENES(name, scenes)						\
	{ name, test_scenes, NULL, NULL,				\
	  (void *)&(struct group){ (scenes), N(scenes) } }
#define TEST(name, function)	{ name, function, NULL, NULL, NULL }

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SCENES("SMTP-4.3.1-1, SMTP-2.2.1-2, SMTP-4.3.1-2 greetings",
		    greetings),
		SCENES("SMTP-3.2-2, SMTP-4.1.1.1-1, RTLS-4.2.1-3 EHLO and "
		    "HELO", hellos),
		SCENES("TLS-3207-6-3, TLS-3207-4-6, TLS-3207-4-7, "
		    "DANE-7672-1.3-1, DANE-7672-2.2-6 STARTTLS without a "
		    "policy", no_policy_tls),
		SCENES("STS-5-2, STS-5-3, STS-4-2, STS-4.2-1, STS-4.2-2, "
		    "STS-4.2-3, TLS-3207-4-9, TLS-3207-4.1-1, "
		    "TLS-3207-4.1-2, TLS-9325-4.1-2, TLS-9325-3.1.1-2 "
		    "STARTTLS under enforce", enforced),
		SCENES("STS-5-4 STARTTLS under testing", testing),
		SCENES("DANE-7672-2.2-4, DANE-7672-2.2.3-5 STARTTLS with "
		    "TLSA", tlsa),
		SCENES("RTLS-3-1, RTLS-3-3, RTLS-3-4, RTLS-4.2.1-3, "
		    "RTLS-4.2.1-8, RTLS-4.2.1-14, RTLS-5-5 REQUIRETLS",
		    requiretls),
		SCENES("SUB-8314-5.1-1 TLS from the first octet", implicit),
		SCENES("TLS-3207-4.2-7, TLS-3207-4.2-2, TLS-3207-4.2-3, "
		    "TLS-3207-4.2-4, TLS-3207-4-8, EXT-2920-3.1-1, "
		    "TLS-8446-6.1-1 what is said around STARTTLS",
		    injections),
		SCENES("SMTP-4.5.4.1-7, SMTP-4.2-2, SMTP-4.2-4, "
		    "SMTP-4.2.5-2, SMTP-4.5.2-1 a message", messages),
		SCENES("EXT-1870-6-1, EXT-6152-3-3, EXT-3030-3-3, "
		    "EXT-6531-3.4-2, SMTP-3.3-2 parameters of MAIL",
		    parameters),
		SCENES("DSN-3461-5.2.1-1, DSN-3461-5.2.1-2, DSN-3461-5.2.2-1 "
		    "DSN requests", requests),
		SCENES("SMTP-4.2.1-2, SMTP-4.2.5-3, EXT-1870-6.2-3 4yz and "
		    "5yz at each step", refusals),
		SCENES("EXT-1870-6.2-1 RSET or QUIT after a failure", resets),
		SCENES("EXT-2920-3.1-2, EXT-2920-3.1-3, EXT-2920-3.1-4, "
		    "EXT-2920-3.1-5 groups of commands", groups),
		SCENES("SMTP-4.5.3.1.8-3, SMTP-4.5.3.1.10-1 recipients in "
		    "parts", too_many),
		SCENES("SMTP-3.8-3 a connection that breaks, at each step",
		    losses),
		SCENES("SMTP-4.3.2-2 421 at each step", closings),
		SCENES("SMTP-3.3-5, SMTP-4.2-3, SMTP-4.2.1-1 what is no "
		    "answer", violations),
		SCENES("a server that speaks before it is asked", unasked),
		SCENES("SMTP-4.5.3.2-1, SMTP-3.8-4 every step has its time",
		    timeouts),
		SCENES("a body that is not whole sends no dot", own),
		TEST("a large message", test_large),
		TEST("EXT-2920-3.1-6 no deadlock", test_no_deadlock),
		TEST("SMTP-4.5.3.1.5-1, SMTP-4.2-1 long replies",
		    test_long_replies),
		TEST("RPT-4.4-14, RPT-4.3.1-7, RPT-4.3.1-5 what is told of a "
		    "session", test_proofs),
		TEST("DANE-7671-4.1-1 what was asked of records that are none",
		    test_unusable),
		TEST("a session stops when it is told to", test_stop),
		TEST("SMTP-4.5.3.2-1 TLS messages without end",
		    test_flood),
		TEST("SMTP-4.5.3.2.1-1, SMTP-4.5.3.2.2-1, SMTP-4.5.3.2.3-1, "
		    "SMTP-4.5.3.2.4-1, SMTP-4.5.3.2.5-1, SMTP-4.5.3.2.6-1 "
		    "the RFC's limits", test_limits),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
