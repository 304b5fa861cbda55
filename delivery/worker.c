/*
 * Who talks to servers?
 *
 * Called by main.c, before the manager has work.  The spawner loads the CA
 * bundle once and forks a worker for each link that the manager sends; a
 * worker confines itself further and serves: a socket, a session, messages.
 * It retires after SESSIONS_MAX sessions, or when its TLS library failed,
 * whose state it then distrusts; the manager asks for another.
 *
 * A worker holds its link and one socket, and a body's pipe for as long as
 * the body is sent.  It knows no queue, opens nothing, and what it says is
 * checked by the manager.  When the manager goes, it goes.
 */
#include "delivery/worker.h"

#include "conf/log.h"
#include "conf/proc.h"
#include "delivery/session.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define SESSIONS_MAX	100

struct worker {
	struct wire_port	 port;
	SSL_CTX			*tls;
	struct session		 session;
	uint64_t		 job;
	int			 body_fd;	/* -1: none */
	unsigned		 sessions;
	bool			 tainted;	/* the TLS library failed */
};

/* Say something to the manager; without one there is nothing left to do. */
static void
tell(struct worker *worker, unsigned kind, const void *message)
{
	if (wire_port_send(&worker->port, kind, message, NULL, -1) != 0)
		_exit(0);
}

/* The manager's next message; fds has room for WIRE_FDS_MAX. */
static unsigned
listen_to(struct worker *worker, const void **message, int *fds)
{
	int kind;

	kind = wire_port_receive(&worker->port, message, fds, -1);
	if (kind <= 0)
		_exit(0);
	return (unsigned)kind;
}

static void
log_to_manager(void *context, enum log_level level, const char *line)
{
	struct worker *worker = context;
	struct w_log message = { .level = (uint32_t)level };

	snprintf(message.line, sizeof(message.line), "%s", line);
	tell(worker, W_LOG, &message);
}

static void
close_body(struct worker *worker)
{
	if (worker->body_fd >= 0)
		close(worker->body_fd);
	worker->body_fd = -1;
}

/* The server said 354: fetch the body. */
static int
fetch_body(void *context, uint64_t *size_bytes)
{
	struct worker *worker = context;
	struct w_id ask = { .job = worker->job };
	const struct w_pipe *pipe;
	const void *message;
	int fds[WIRE_FDS_MAX];
	unsigned kind;

	close_body(worker);
	tell(worker, W_BODY, &ask);
	kind = listen_to(worker, &message, fds);
	if (kind == W_CUT)
		return -1;
	pipe = message;
	if (kind != W_PIPE || pipe->job != worker->job)
		bug("message %#x instead of a body", kind);
	worker->body_fd = fds[0];
	*size_bytes = pipe->size_bytes;
	return worker->body_fd;
}

static bool
announce_dot(void *context)
{
	struct worker *worker = context;
	struct w_id dot = { .job = worker->job };

	close_body(worker);
	tell(worker, W_DOT, &dot);
	return true;
}

static void
tell_result(void *context, const struct w_result *result)
{
	tell(context, W_RESULT, result);
}

static const struct session_calls calls = {
	.body = fetch_body, .dot = announce_dot, .result = tell_result
};

/* The recipients of a job, which follow it one a message. */
static void
gather(struct worker *worker, struct session_job *job)
{
	const struct w_rcpt *rcpt;
	const void *message;
	int fds[WIRE_FDS_MAX];
	unsigned i;

	job->rcpts_n = job->job.recipients;
	job->rcpts = mem_alloc(job->rcpts_n * sizeof(*job->rcpts));
	for (i = 0; i < job->rcpts_n; i++) {
		if (listen_to(worker, &message, fds) != W_RCPT)
			bug("a job without its recipients");
		rcpt = message;
		job->rcpts[i].number = rcpt->number;
		memcpy(job->rcpts[i].recipient, rcpt->recipient,
		    sizeof(job->rcpts[i].recipient));
		job->rcpts[i].notify = rcpt->notify;
		memcpy(job->rcpts[i].orcpt, rcpt->orcpt,
		    sizeof(job->rcpts[i].orcpt));
	}
}

static void
deliver(struct worker *worker, const struct w_job *asked)
{
	struct session_job job = { .job = *asked };
	struct w_done done;

	worker->job = asked->job;
	gather(worker, &job);
	session_deliver(&worker->session, &job, &done);
	close_body(worker);
	free(job.rcpts);
	tell(worker, W_DONE, &done);
}

/* What the manager wants of a proven session.  False: its end. */
static bool
serve_one(struct worker *worker)
{
	const void *message;
	int fds[WIRE_FDS_MAX];

	switch (listen_to(worker, &message, fds)) {
	case W_JOB:
		deliver(worker, message);
		return !worker->session.dead;
	case W_QUIT:
		return false;
	case W_CUT:
		worker->session.dead = true;
		return false;
	default:
		bug("a message out of order from the manager");
	}
}

/* One session, from its socket to its end. */
static void
serve(struct worker *worker, const struct w_socket *about, int fd)
{
	struct session *session = &worker->session;
	struct w_proof proof;
	bool ready;

	session_begin(session, fd, worker->port.fd, about, worker->tls,
	    &session_limits, &calls, worker);
	ready = session_prove(session, &proof);
	tell(worker, ready ? W_READY : W_FAILED, &proof);
	while (ready)
		ready = serve_one(worker);
	worker->tainted = session->stream.state == STREAM_TLS;
	session_quit(session);
}

static void
run(struct worker *worker)
{
	struct w_socket about;
	const void *message;
	int fds[WIRE_FDS_MAX];
	unsigned kind;

	while (worker->sessions < SESSIONS_MAX && !worker->tainted) {
		kind = listen_to(worker, &message, fds);
		/* It may cross with the end of the session it was for. */
		if (kind == W_CUT)
			continue;
		if (kind != W_SOCKET)
			bug("message %#x for an idle worker", kind);
		about = *(const struct w_socket *)message;
		worker->sessions++;
		serve(worker, &about, fds[0]);
		if (worker->sessions < SESSIONS_MAX && !worker->tainted)
			tell(worker, W_IDLE, NULL);
	}
}

/* In a new process: fd is its link.  Does not return. */
static void
be_worker(int fd, SSL_CTX *tls, const struct config *config)
{
	struct worker worker = { .tls = tls, .body_fd = -1 };

	prctl(PR_SET_NAME, program_name(PROGRAM_WORKER), 0, 0, 0);
	close(PROC_PARENT_FD);
	log_start(program_name(PROGRAM_WORKER));
	wire_port_open(&worker.port, fd, &worker_wire);
	log_to(log_to_manager, &worker);
	proc_confine(PROGRAM_WORKER, config, NULL);
	run(&worker);
	/* Not exit: what the manager left to be written is not ours. */
	_exit(0);
}

/* ---- the spawner ---- */

struct spawner {
	struct wire_port	 port;
	const struct config	*config;
	SSL_CTX			*tls;
};

/* Begin anew with this bundle; its workers from now on have it. */
static void
load_bundle(struct spawner *spawner, int fd)
{
	unsigned anchors;

	SSL_CTX_free(spawner->tls);
	spawner->tls = tls_context(fd, &anchors);
	if (anchors == 0)
		log_line(LOG_LEVEL_ERROR, "no CA certificates were found: no "
		    "certificate of a mail server will be trusted");
	else
		log_line(LOG_LEVEL_DEBUG, "%u CA certificates", anchors);
	if (fd >= 0)
		close(fd);
}

static void
spawn(struct spawner *spawner, int fd)
{
	pid_t pid;

	pid = fork();
	if (pid == -1)
		/* The manager sees the link close. */
		log_line(LOG_LEVEL_ERROR, "no new worker: fork is refused");
	if (pid == 0) {
		close(spawner->port.fd);
		be_worker(fd, spawner->tls, spawner->config);
	}
	close(fd);
}

/* In a new process.  Does not return. */
static void
be_spawner(int fd, const struct config *config, int bundle_fd)
{
	struct spawner spawner = { .config = config };
	const void *message;
	int fds[WIRE_FDS_MAX], kind;

	prctl(PR_SET_NAME, "culver-spawner", 0, 0, 0);
	/* The manager's death is ours, and our workers'. */
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	signal(SIGPIPE, SIG_IGN);
	/* Workers are not waited for. */
	signal(SIGCHLD, SIG_IGN);
	wire_port_open(&spawner.port, fd, &spawner_wire);
	load_bundle(&spawner, bundle_fd);
	for (;;) {
		kind = wire_port_receive(&spawner.port, &message, fds, -1);
		if (kind == W_SPAWN)
			spawn(&spawner, fds[0]);
		else if (kind == W_BUNDLE)
			load_bundle(&spawner, fds[0]);
		else
			_exit(0);
	}
}

/* All but the parent's link, this and that: links of the manager. */
static void
close_others(int one, int other)
{
	int fd;

	for (fd = PROC_PARENT_FD + 1; fd < 256; fd++)
		if (fd != one && fd != other)
			close(fd);
}

int
worker_fork_spawner(const struct config *config, int bundle_fd)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		fatal("socketpair");
	pid = fork();
	if (pid == -1)
		fatal("fork");
	if (pid == 0) {
		close(pair[0]);
		close_others(pair[1], bundle_fd);
		be_spawner(pair[1], config, bundle_fd);
	}
	close(pair[1]);
	if (bundle_fd >= 0)
		close(bundle_fd);
	return pair[0];
}
