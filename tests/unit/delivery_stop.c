/*
 * A stop while a message is under way (delivery/session.c, stream.c): what is
 * past its final dot waits for the answer, or it would be sent twice.
 *
 * This program is the worker, and plays the manager at the other end of the
 * link that the session watches: from the call that announces the dot it says
 * something on it (W_CUT that crossed), or closes it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "delivery/session.h"

#include "delivery_server.h"

enum act { SAYS_SOMETHING, GOES };

struct worker {
	enum act	act;
	int		link;		/* the manager's end */
	int		body_fd;
	struct w_result	result;
	unsigned	results_n;
};

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

static int
give_body(void *context, uint64_t *size_bytes)
{
	struct worker *worker = context;

	worker->body_fd = memfd_create("body", 0);
	assert_int_equal(write(worker->body_fd, "x\r\n", 3), 3);
	lseek(worker->body_fd, 0, SEEK_SET);
	*size_bytes = 3;
	return worker->body_fd;
}

static bool
announce_dot(void *context)
{
	struct worker *worker = context;

	if (worker->act == SAYS_SOMETHING) {
		assert_int_equal(send(worker->link, "x", 1, 0), 1);
		return true;
	}
	close(worker->link);
	worker->link = -1;
	return true;
}

static void
keep_result(void *context, const struct w_result *result)
{
	struct worker *worker = context;

	worker->result = *result;
	worker->results_n++;
}

static const struct session_calls calls = {
	give_body, announce_dot, keep_result
};

/* One message over a session; returns what became of the rest. */
static struct w_done
deliver(struct worker *worker, const char *const *script)
{
	static struct session session;
	static struct w_proof proof;
	static struct w_done done;
	struct w_socket *about = calloc(1, sizeof(*about));
	struct session_rcpt rcpt = { .recipient = "r@b.test" };
	struct session_job job = { .job = { .job = 9, .size_bytes = 3,
	    .sender = "s@a.test" }, .rcpts = &rcpt, .rcpts_n = 1 };
	struct server server;
	int ends[2];

	about->session = 7;
	snprintf(about->host, sizeof(about->host), HOST);
	snprintf(about->ehlo, sizeof(about->ehlo), "relay.test");
	about->mx_match = true;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	worker->link = ends[1];
	session_begin(&session, server_begin(&server, script), ends[0], about,
	    client_context, &session_limits, &calls, worker);
	assert_true(session_prove(&session, &proof));
	session_deliver(&session, &job, &done);
	session_quit(&session);
	pthread_join(server.thread, NULL);
	if (server.error[0] != '\0')
		fail_msg("server: %s", server.error);
	buffer_free(&server.heard);
	close(worker->body_fd);
	close(ends[0]);
	if (worker->link >= 0)
		close(worker->link);
	free(about);
	return done;
}

#define UNTIL_DOT	">220 mx", "<EHLO relay.test", ">250 mx",	\
	"<MAIL FROM:<s@a.test>", ">250 ok", "<RCPT TO:<r@b.test>",	\
	">250 ok", "<DATA", ">354 go", "data"

/* It comes while the server thinks: the answer is heard, then it counts. */
static void
test_cut_after_dot(void **state)
{
	static const char *const script[] = { UNTIL_DOT, "slow 300",
	    ">250 2.6.0 took it", "drain", NULL };
	struct worker worker = { .act = SAYS_SOMETHING };
	struct w_done done;

	(void)state;
	done = deliver(&worker, script);
	assert_int_equal(worker.results_n, 1);
	assert_int_equal(worker.result.outcome, OUTCOME_DELIVERED);
	assert_string_equal(worker.result.reply, "250 2.6.0 took it");
	assert_int_equal(done.done, DONE_SERVED);
}

/* Nobody is there to hear of it: no reason to wait. */
static void
test_gone_after_dot(void **state)
{
	static const char *const script[] = { UNTIL_DOT, "eof", NULL };
	struct worker worker = { .act = GOES };
	struct w_done done;

	(void)state;
	done = deliver(&worker, script);
	assert_int_equal(worker.results_n, 0);
	assert_int_equal(done.done, DONE_CUT);
	assert_false(done.alive);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		{ "a stop that crosses with the final dot waits for its "
		  "answer", test_cut_after_dot, NULL, NULL, NULL },
		{ "without a manager nothing is waited for",
		  test_gone_after_dot, NULL, NULL, NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
