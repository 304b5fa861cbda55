/*
 * The spawner and its workers (delivery/worker.c), as real processes.
 *
 * This program is their manager: it forks the spawner as main.c does, sends
 * it ends of links, and talks with the workers that come of it, which talk
 * with a scripted server (delivery_server.h).  They confine themselves as far
 * as this program's user may (`sandbox on`).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conf/log.h"
#include "delivery/delivery.h"
#include "delivery/worker.h"

#include "delivery_server.h"

#include <dirent.h>
#include <sys/prctl.h>

#define EHLO	"<EHLO relay.test"
#define INSIDE	EHLO, ">250 mx.test"
#define OFFER	">220 mx.test", EHLO, ">250-mx.test", ">250 STARTTLS", \
	"<STARTTLS", ">220 go"
#define BYE	"<QUIT", ">221 bye", "eof"

static struct wire_port spawner;
static struct config *config;

/* ---- the manager's side ---- */

static void
new_worker(struct wire_port *port)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    pair), 0);
	wire_port_open(port, pair[0], &worker_wire);
	assert_int_equal(wire_port_send(&spawner, W_SPAWN, NULL, &pair[1],
	    -1), 0);
	close(pair[1]);
}

static void
say(struct wire_port *port, unsigned kind, const void *message, const int *fds)
{
	assert_int_equal(wire_port_send(port, kind, message, fds,
	    wire_now_ms() + 10000), 0);
}

static const void *
expect_at(int line, struct wire_port *port, unsigned kind)
{
	const struct w_log *log;
	const void *message;
	int fds[WIRE_FDS_MAX], got;

	for (;;) {
		got = wire_port_receive(port, &message, fds,
		    wire_now_ms() + 10000);
		if (got != W_LOG)
			break;
		log = message;
		print_message("# %s\n", log->line);
	}
	if (got != (int)kind)
		fail_msg("line %d: %#x instead of %#x", line, got, kind);
	return message;
}
#define expect(port, kind)	expect_at(__LINE__, port, kind)

static void
expect_gone(struct wire_port *port)
{
	const void *message;
	int fds[WIRE_FDS_MAX];

	assert_int_equal(wire_port_receive(port, &message, fds,
	    wire_now_ms() + 10000), 0);
}

/* Give it a connection to a server that plays this script. */
static void
connect_to(struct wire_port *port, struct server *server,
    const char *const *script, enum sts_mode sts)
{
	struct w_socket socket = { .session = 42, .host = HOST,
	    .ehlo = "relay.test", .class = CLASS_MAIL, .sts = sts,
	    .mx_match = true };
	int fd = server_begin(server, script);

	say(port, W_SOCKET, &socket, &fd);
	close(fd);
}

static void
finish(struct server *server)
{
	pthread_join(server->thread, NULL);
	if (server->error[0] != '\0')
		fail_msg("server: %s", server->error);
	buffer_free(&server->heard);
}

static void
give_message(struct wire_port *port, unsigned recipients)
{
	struct w_job job = { .job = 9, .sender = "s@a.test", .size_bytes = 3,
	    .recipients = recipients };
	struct w_rcpt rcpt = { .job = 9, .recipient = "r@b.test" };

	say(port, W_JOB, &job, NULL);
	for (rcpt.number = 0; rcpt.number < recipients; rcpt.number++)
		say(port, W_RCPT, &rcpt, NULL);
}

static void
give_body(struct wire_port *port)
{
	struct w_pipe message = { .job = 9, .size_bytes = 3 };
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "x\r\n", 3), 3);
	close(ends[1]);
	say(port, W_PIPE, &message, &ends[0]);
	close(ends[0]);
}

/* ---- tests ---- */

static void
test_session(void **state)
{
	static const char *const script[] = { OFFER, "tls good", INSIDE,
	    "<MAIL FROM:<s@a.test>", ">250 ok", "<RCPT TO:<r@b.test>",
	    ">250 ok", "<DATA", ">354 go", "data", ">250 2.6.0 took it", BYE,
	    NULL };
	const struct w_result *result;
	const struct w_proof *proof;
	const struct w_done *done;
	struct wire_port port;
	struct server server;

	(void)state;
	new_worker(&port);
	connect_to(&port, &server, script, STS_ENFORCE);
	proof = expect(&port, W_READY);
	assert_int_equal(proof->session, 42);
	assert_int_equal(proof->starttls, STARTTLS_DONE);
	assert_int_equal(proof->cert, 0);
	assert_string_equal(proof->certificate, "valid");
	assert_string_equal(proof->tls_version, "TLSv1.3");
	give_message(&port, 1);
	assert_int_equal(((const struct w_id *)expect(&port,
	    W_BODY))->job, 9);
	give_body(&port);
	assert_int_equal(((const struct w_id *)expect(&port, W_DOT))->job, 9);
	result = expect(&port, W_RESULT);
	assert_int_equal(result->outcome, OUTCOME_DELIVERED);
	assert_string_equal(result->reply, "250 2.6.0 took it");
	done = expect(&port, W_DONE);
	assert_int_equal(done->done, DONE_SERVED);
	assert_true(done->alive);
	say(&port, W_QUIT, NULL, NULL);
	expect(&port, W_IDLE);
	finish(&server);
	wire_port_close(&port);
}

/* STS-5-2: what is no good says so before QUIT is answered. */
static void
test_refusal(void **state)
{
	static const char *const script[] = { OFFER, "tls expired", BYE,
	    NULL };
	const struct w_proof *proof;
	struct wire_port port;
	struct server server;

	(void)state;
	new_worker(&port);
	connect_to(&port, &server, script, STS_ENFORCE);
	proof = expect(&port, W_FAILED);
	assert_int_equal(proof->failure, PROOF_POLICY);
	assert_int_equal(proof->cert, CERT_EXPIRED);
	expect(&port, W_IDLE);
	finish(&server);
	wire_port_close(&port);
}

/* A worker serves a hundred sessions, then another has to. */
static void
test_retires(void **state)
{
	static const char *const script[] = { ">220 mx", EHLO, ">250 mx", BYE,
	    NULL };
	struct wire_port port;
	struct server server;
	unsigned i;

	(void)state;
	new_worker(&port);
	for (i = 1; i <= 100; i++) {
		connect_to(&port, &server, script, STS_ABSENT);
		expect(&port, W_READY);
		say(&port, W_QUIT, NULL, NULL);
		if (i < 100)
			expect(&port, W_IDLE);
		else
			expect_gone(&port);
		finish(&server);
	}
	wire_port_close(&port);
}

/* One whose TLS library failed is not used again. */
static void
test_tainted(void **state)
{
	static const char *const script[] = { OFFER, "clear", "drain", NULL };
	const struct w_proof *proof;
	struct wire_port port;
	struct server server;

	(void)state;
	new_worker(&port);
	connect_to(&port, &server, script, STS_ABSENT);
	proof = expect(&port, W_FAILED);
	assert_int_equal(proof->failure, PROOF_RECONNECT);
	expect_gone(&port);
	finish(&server);
	wire_port_close(&port);
}

/* The same, with the TLSA record of the server "self" for it. */
static void
connect_with_tlsa(struct wire_port *port, struct server *server,
    const char *const *script)
{
	struct w_socket socket = { .session = 42, .host = HOST,
	    .ehlo = "relay.test", .class = CLASS_MAIL, .mx_match = true,
	    .mx_secure = true, .tlsa = TLSA_USABLE, .tlsa_mark = 1,
	    .tlsa_base = HOST, .tlsa_records_len = SERVER_TLSA_LEN };
	int fd = server_begin(server, script);

	server_tlsa("self", socket.tlsa_records);
	say(port, W_SOCKET, &socket, &fd);
	close(fd);
}

/* What DANE and what the CAs say of one certificate goes its own way each. */
static void
test_dane(void **state)
{
	static const char *const fits[] = { OFFER, "tls self", EHLO,
	    ">250 mx", BYE, NULL };
	static const char *const differs[] = { OFFER, "tls good", BYE,
	    NULL };
	const struct w_proof *proof;
	struct wire_port port;
	struct server server;

	(void)state;
	new_worker(&port);
	connect_with_tlsa(&port, &server, fits);
	proof = expect(&port, W_READY);
	assert_int_equal(proof->dane, 0);
	assert_int_equal(proof->dane_errors_len, 0);
	assert_memory_equal(proof->tlsa_matched, "3 1 1 ", 6);
	assert_int_equal(proof->cert, CERT_NOT_TRUSTED);
	say(&port, W_QUIT, NULL, NULL);
	expect(&port, W_IDLE);
	finish(&server);
	connect_with_tlsa(&port, &server, differs);
	proof = expect(&port, W_FAILED);
	assert_int_equal(proof->failure, PROOF_POLICY);
	assert_int_equal(proof->dane, CERT_DANE_NO_MATCH);
	assert_int_equal(proof->dane_errors_len, 1);
	assert_int_equal(proof->dane_errors[0], X509_V_ERR_DANE_NO_MATCH);
	assert_string_equal(proof->tlsa_matched, "");
	assert_int_equal(proof->cert, 0);
	assert_string_equal(proof->certificate, "valid");
	expect(&port, W_IDLE);
	finish(&server);
	wire_port_close(&port);
}

/* W_CUT: where it waits for the server, for a body, for us. */
static void
test_cut(void **state)
{
	static const char *const greeting[] = { "eof", NULL };
	static const char *const data[] = { ">220 mx", EHLO, ">250 mx",
	    "<MAIL FROM:<s@a.test>", ">250 ok", "<RCPT TO:<r@b.test>",
	    ">250 ok", "<DATA", ">354 go", "eof", NULL };
	static const char *const ready[] = { ">220 mx", EHLO, ">250 mx",
	    "eof", NULL };
	const struct w_proof *proof;
	const struct w_done *done;
	struct wire_port port;
	struct server server;

	(void)state;
	new_worker(&port);
	connect_to(&port, &server, greeting, STS_ABSENT);
	usleep(50000);
	say(&port, W_CUT, NULL, NULL);
	proof = expect(&port, W_FAILED);
	assert_int_equal(proof->failure, PROOF_CUT);
	expect(&port, W_IDLE);
	finish(&server);
	/* The same worker goes on; a late W_CUT is ignored. */
	say(&port, W_CUT, NULL, NULL);
	connect_to(&port, &server, data, STS_ABSENT);
	expect(&port, W_READY);
	give_message(&port, 1);
	expect(&port, W_BODY);
	say(&port, W_CUT, NULL, NULL);
	done = expect(&port, W_DONE);
	assert_int_equal(done->done, DONE_CUT);
	assert_false(done->alive);
	expect(&port, W_IDLE);
	finish(&server);
	connect_to(&port, &server, ready, STS_ABSENT);
	expect(&port, W_READY);
	say(&port, W_CUT, NULL, NULL);
	expect(&port, W_IDLE);
	finish(&server);
	wire_port_close(&port);
}

/* Without its manager a worker is gone, wherever it is. */
static void
test_manager_goes(void **state)
{
	static const char *const script[] = { ">220 mx", "<EHLO relay.test",
	    "eof", NULL };
	struct wire_port port;
	struct server server;

	(void)state;
	new_worker(&port);
	connect_to(&port, &server, script, STS_ABSENT);
	usleep(50000);
	wire_port_close(&port);
	finish(&server);
}

/* ---- what a worker holds ---- */

/* The processes called so that this one started; how many. */
static size_t
children_of(pid_t parent, const char *name, pid_t *pids, size_t most)
{
	char path[64], line[512], *end;
	struct dirent *entry;
	size_t n = 0;
	FILE *file;
	DIR *dir;
	int of;

	dir = opendir("/proc");
	while ((entry = readdir(dir)) != NULL && n < most) {
		snprintf(path, sizeof(path), "/proc/%.20s/stat",
		    entry->d_name);
		file = atoi(entry->d_name) > 0 ? fopen(path, "r") : NULL;
		if (file == NULL)
			continue;
		/* "PID (NAME) STATE PARENT ..." */
		end = fgets(line, sizeof(line), file) == NULL ? NULL :
		    strrchr(line, ')');
		fclose(file);
		if (end == NULL || sscanf(end, ") %*c %d", &of) != 1)
			continue;
		*end = '\0';
		if (of == parent && strcmp(strchr(line, '(') + 1, name) == 0)
			pids[n++] = atoi(entry->d_name);
	}
	closedir(dir);
	return n;
}

/* How many descriptors it has; 0 where it may not be looked at. */
static unsigned
count_descriptors(pid_t pid)
{
	char path[64];
	struct dirent *entry;
	unsigned n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	if (dir == NULL)
		return 0;
	while ((entry = readdir(dir)) != NULL)
		if (atoi(entry->d_name) > 2)
			n++;
	closedir(dir);
	return n;
}

/* The most that any worker of ours holds; others may run on the machine. */
static unsigned
most_descriptors(void)
{
	pid_t spawners[2], workers[16];
	unsigned held, most = 0;
	size_t n, i;

	assert_int_equal(children_of(getpid(), "culver-spawner", spawners, 2),
	    1);
	n = children_of(spawners[0], "culver-worker", workers, 16);
	assert_true(n >= 2);
	for (i = 0; i < n; i++) {
		held = count_descriptors(workers[i]);
		most = held > most ? held : most;
	}
	return most;
}

/* Its link, and one connected socket: nothing that others have. */
static void
test_descriptors(void **state)
{
	static const char *const script[] = { ">220 mx", EHLO, ">250 mx", BYE,
	    NULL };
	struct wire_port port, other;
	struct server server;
	unsigned most;

	(void)state;
	new_worker(&other);
	new_worker(&port);
	connect_to(&port, &server, script, STS_ABSENT);
	expect(&port, W_READY);
	most = most_descriptors();
	/* Only root looks into a process that may not be traced. */
	if (most != 0 || geteuid() == 0)
		assert_int_equal(most, 2);
	say(&port, W_QUIT, NULL, NULL);
	expect(&port, W_IDLE);
	finish(&server);
	wire_port_close(&port);
	wire_port_close(&other);
}

/* A new bundle counts for workers made after it. */
static void
test_bundle(void **state)
{
	static const char *const refused[] = { OFFER, "tls good", BYE, NULL };
	static const char *const taken[] = { OFFER, "tls good", INSIDE, BYE,
	    NULL };
	const struct w_proof *proof;
	struct wire_port port;
	struct server server;
	int empty = memfd_create("empty", 0);

	(void)state;
	say(&spawner, W_BUNDLE, NULL, &empty);
	close(empty);
	new_worker(&port);
	connect_to(&port, &server, refused, STS_ENFORCE);
	proof = expect(&port, W_FAILED);
	assert_int_equal(proof->cert, CERT_NOT_TRUSTED);
	expect(&port, W_IDLE);
	finish(&server);
	wire_port_close(&port);
	say(&spawner, W_BUNDLE, NULL, &servers_made.bundle_fd);
	new_worker(&port);
	connect_to(&port, &server, taken, STS_ENFORCE);
	expect(&port, W_READY);
	say(&port, W_QUIT, NULL, NULL);
	expect(&port, W_IDLE);
	finish(&server);
	wire_port_close(&port);
}

static int
set_up(void **state)
{
	int fd;

	(void)state;
	config = config_new();
	/* As a program of culver: descriptor 3 is taken, and no way back. */
	fd = open("/dev/null", O_RDONLY);
	if (fd < 3)
		abort();
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	servers_begin();
	wire_port_open(&spawner, worker_fork_spawner(config,
	    dup(servers_made.bundle_fd)), &spawner_wire);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	wire_port_close(&spawner);
	config_free(&config);
	servers_end();
	return 0;
}

#define TEST(name, function)	{ name, function, NULL, NULL, NULL }

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST("a session and a message", test_session),
		TEST("STS-5-2 a session that proves nothing", test_refusal),
		TEST("a worker retires after 100 sessions", test_retires),
		TEST("a worker whose TLS failed retires", test_tainted),
		TEST("DANE-7672-2.2-1, DANE-7672-3.2-1 what DANE says of a "
		    "session", test_dane),
		TEST("W_CUT", test_cut),
		TEST("the manager goes", test_manager_goes),
		TEST("a worker holds two descriptors", test_descriptors),
		TEST("a new bundle", test_bundle),
	};

	log_start("test");
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
