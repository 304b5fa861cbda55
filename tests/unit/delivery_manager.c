/*
 * The manager of deliveries (delivery/manager.c, attempt.c, channel.c,
 * job.c, pool.c): its whole life, step by step.
 *
 * This program plays everybody else: queue, policy, the spawner and its
 * workers, at the other ends of real links; and connect.c, whose functions it
 * defines itself: the last octet of an address says what becomes of a
 * connection to it (below).  A test reads as a dialogue: what one of them
 * says, what the manager then says to whom.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conf/log.h"
#include "conf/outbox.h"
#include "delivery/connect.h"
#include "delivery/manager.h"
#include "delivery/tell.h"
#include "delivery/telling.h"

#include <errno.h>
#include <openssl/x509_vfy.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define N(array)	(sizeof(array) / sizeof((array)[0]))
#define DOMAIN		"b.test"

/* ---- connect.c as it is played ---- */

enum { REFUSES = 100, IS_SILENT = 150, HAS_NO_ROUTE = 200 };

static uint16_t connect_port;	/* of the last one */

static int
last_octet(const struct address *address)
{
	return address->ip[address->family == 4 ? 3 : 15];
}

int
connect_begin(const struct address *to, uint16_t port,
    const struct config *config, uint64_t turn, char *text, size_t size)
{
	int pair[2];

	connect_port = port;
	(void)config;
	(void)turn;
	if (last_octet(to) >= HAS_NO_ROUTE) {
		snprintf(text, size, "connect: Network is unreachable");
		return -1;
	}
	/* The reading end of a pipe never becomes writable. */
	if (last_octet(to) >= IS_SILENT) {
		assert_int_equal(pipe(pair), 0);
		return pair[0];		/* the other end is left open */
	}
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	if (last_octet(to) >= REFUSES)
		close(pair[1]);
	return pair[0];
}

int
connect_result(int fd)
{
	char octet;

	/* A closed peer stands for a refused connection. */
	return recv(fd, &octet, 1, MSG_PEEK | MSG_DONTWAIT) == 0 ?
	    ECONNREFUSED : 0;
}

bool
connect_own_address(int fd, struct address *address)
{
	(void)fd;
	return address_parse(SLICE("192.0.2.77"), address);
}

void
connect_order(struct address *addresses, unsigned n,
    const struct config *config)
{
	(void)addresses;
	(void)n;
	(void)config;
}

static char alarms[512];
static char needs[512];

/* All log lines of this test. */
static struct buffer logged;

/* How often is this said in them? */
static unsigned
log_count(const char *text)
{
	const char *at = logged.text;
	unsigned n = 0;

	while (at != NULL && (at = strstr(at, text)) != NULL) {
		n++;
		at += strlen(text);
	}
	return n;
}

void
parent_alarm(const char *what, bool standing, const char *format, ...)
{
	(void)format;
	snprintf(alarms + strlen(alarms), sizeof(alarms) - strlen(alarms),
	    "%s%s ", standing ? "" : "no ", what);
}

/* No parent is there to make a fresh link: tests do. */
void
parent_need(enum program program)
{
	snprintf(needs + strlen(needs), sizeof(needs) - strlen(needs), "%s ",
	    program_name(program));
}

/* ---- the world ---- */

static struct {
	struct loop		*loop;
	struct manager		*manager;
	struct config		*config;
	struct wire_port	 queue, policy, reports, spawner;
	struct wire_port	 workers[32];
	unsigned		 workers_n;
	uint64_t		 destinations, jobs;
} world;

/* None is ever freed: they end with their process. */
static struct manager *managers[128];
static unsigned managers_n;

static void
make_pair(int pair[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
}

/* A link between the manager and one whom we play. */
static void
give_link(struct wire_port *port, enum program peer,
    const struct wire_table *table)
{
	int pair[2];

	make_pair(pair);
	wire_port_open(port, pair[1], table);
	manager_link(world.manager, peer, pair[0]);
}

static void
turns(unsigned n)
{
	while (n-- > 0)
		loop_turn(world.loop, false);
}

/* The next message for one of ours; 0: none comes. */
static unsigned
next_message(struct wire_port *port, const void **message, int *fds)
{
	int64_t end_ms = wire_now_ms() + 3000;
	int kind;

	do {
		turns(1);
		kind = wire_port_receive(port, message, fds, 0);
		if (kind > 0)
			return (unsigned)kind;
		if (kind == 0)
			return 0;	/* the link is closed */
		usleep(200);
	} while (wire_now_ms() < end_ms);
	return 0;
}

static const void *
expect_at(int line, struct wire_port *port, unsigned kind, int *fds)
{
	const struct wire_message *row;
	const void *message = NULL;
	int none[WIRE_FDS_MAX];
	unsigned got;

	got = next_message(port, &message, fds != NULL ? fds : none);
	if (got != kind) {
		row = wire_find(port->table, got);
		fail_msg("line %d: %s instead of %s", line,
		    row != NULL ? row->name : "nothing",
		    wire_find(port->table, kind)->name);
	}
	return message;
}
#define expect(port, kind)	expect_at(__LINE__, port, kind, NULL)
#define expect_fd(port, kind, fd)	expect_at(__LINE__, port, kind, fd)

/* Nothing is said on this link. */
static void
silence_at(int line, struct wire_port *port)
{
	const struct wire_message *row;
	const void *message;
	int fds[WIRE_FDS_MAX], kind;

	turns(20);
	kind = wire_port_receive(port, &message, fds, 0);
	if (kind > 0) {
		row = wire_find(port->table, (unsigned)kind);
		fail_msg("line %d: %s comes", line, row->name);
	}
}
#define silence(port)	silence_at(__LINE__, port)

static void
say(struct wire_port *port, unsigned kind, const void *message)
{
	assert_int_equal(wire_port_send(port, kind, message, NULL, 0), 0);
	turns(3);
}

/* Is the manager's end of this link closed? */
static void
expect_closed(struct wire_port *port)
{
	const void *message;
	int fds[WIRE_FDS_MAX];

	assert_int_equal(next_message(port, &message, fds), 0);
}

static int
set_up(void **state)
{
	struct config *config = config_new();
	int pair[2];

	(void)state;
	memset(&world, 0, sizeof(world));
	alarms[0] = needs[0] = '\0';
	buffer_free(&logged);
	config->workers = 8;
	config->per_domain = 20;
	config->per_host = 10;
	config->connect_timeout_s = 1;
	config->tls_report = true;
	snprintf(config->hostname, sizeof(config->hostname), "relay.test");
	world.loop = loop_new();
	make_pair(pair);
	wire_port_open(&world.spawner, pair[1], &spawner_wire);
	world.config = config;
	world.manager = manager_new(world.loop, config, pair[0]);
	managers[managers_n++ % N(managers)] = world.manager;
	give_link(&world.queue, PROGRAM_QUEUE, &feed_wire);
	expect(&world.queue, D_SYNCED);
	give_link(&world.policy, PROGRAM_POLICY, &route_wire);
	return 0;
}

/* The spawner's link stays open: without it the manager ends its process. */
static int
tear_down(void **state)
{
	unsigned i;

	(void)state;
	free(world.spawner.octets);
	free(world.spawner.message);
	wire_port_close(&world.queue);
	wire_port_close(&world.policy);
	if (world.reports.octets != NULL)
		wire_port_close(&world.reports);
	buffer_free(&logged);
	for (i = 0; i < world.workers_n; i++)
		wire_port_close(&world.workers[i]);
	return 0;
}

/* ---- what they say ---- */

static void
due_again(uint64_t destination, const char *domain, enum mail_class class)
{
	struct d_due message = { .destination = destination, .class = class,
	    .waiting = 1 };

	snprintf(message.domain, sizeof(message.domain), "%s", domain);
	say(&world.queue, D_DUE, &message);
}

static uint64_t
due(const char *domain)
{
	due_again(++world.destinations, domain, CLASS_MAIL);
	return world.destinations;
}

static void
hold(uint64_t destination)
{
	struct d_destination message = { destination };

	say(&world.queue, D_HOLD, &message);
}

/*
 * The answer to R_ASK: hosts "a=1,2 b!=3": "!" is not covered by the
 * policy's patterns, numbers are last octets of 192.0.2.N.
 */
static void
route_under(uint64_t settings, uint64_t question, const char *hosts,
    enum sts_mode sts, int64_t life_s)
{
	struct r_route route = { .question = question, .sts = sts,
	    .outcome = ROUTE_OK, .valid_until = loop_wall_s() + life_s,
	    .settings = settings };
	static struct r_host host;
	struct r_end end = { question };
	struct slice rest = slice_of(hosts), count = rest, word, name;
	struct address address = { .family = 4, .ip = { 192, 0, 2 } };
	uint64_t octet;

	snprintf(route.sts_id, sizeof(route.sts_id), "id1");
	route.sts_text = 4711;
	while (count.at != NULL) {
		slice_cut(&count, ' ');
		route.hosts++;
	}
	say(&world.policy, R_ROUTE, &route);
	while (rest.at != NULL) {
		host = (struct r_host){ .question = question,
		    .mx_match = true };
		word = slice_cut(&rest, ' ');
		name = slice_cut(&word, '=');
		if (name.at[name.len - 1] == '!') {
			host.mx_match = false;
			name.len--;
		}
		slice_store(name, host.name, sizeof(host.name));
		while (word.at != NULL && word.len > 0) {
			slice_number(slice_cut(&word, ','), 255, &octet);
			address.ip[3] = (uint8_t)octet;
			route_put_address(host.addresses,
			    &host.addresses_len, sizeof(host.addresses),
			    &address);
		}
		say(&world.policy, R_HOST, &host);
	}
	say(&world.policy, R_END, &end);
}

/* The same, by the settings that the manager has. */
static void
route_for(uint64_t question, const char *hosts, enum sts_mode sts,
    int64_t life_s)
{
	route_under(world.manager->settings, question, hosts, sts, life_s);
}

/* Policy is asked, and answers. */
static void
answer_route(const char *hosts, enum sts_mode sts, int64_t life_s)
{
	const struct r_ask *ask = expect(&world.policy, R_ASK);

	route_for(ask->question, hosts, sts, life_s);
}

/* The spawner is asked for one more worker. */
static struct wire_port *
new_worker(void)
{
	struct wire_port *worker = &world.workers[world.workers_n++];
	int fds[WIRE_FDS_MAX];

	expect_fd(&world.spawner, W_SPAWN, fds);
	wire_port_open(worker, fds[0], &worker_wire);
	return worker;
}

/* It is given a connection to this host. */
static struct w_socket
expect_socket(struct wire_port *worker, const char *host)
{
	struct w_socket socket;
	int fds[WIRE_FDS_MAX];

	memcpy(&socket, expect_fd(worker, W_SOCKET, fds), sizeof(socket));
	assert_string_equal(socket.host, host);
	close(fds[0]);
	return socket;
}

static struct w_proof
proof_of(uint64_t session)
{
	return (struct w_proof){ .session = session,
	    .failure = PROOF_READY, .starttls_known = true,
	    .starttls = STARTTLS_DONE, .certificate = "valid",
	    .tls_version = "TLSv1.3", .has_8bitmime = true };
}

/* Ready: queue is told so, and asked for a message. */
static uint64_t
ready(struct wire_port *worker, const char *host)
{
	struct w_socket socket = expect_socket(worker, host);
	struct w_proof proof = proof_of(socket.session);
	const struct d_host *note;

	say(worker, W_READY, &proof);
	note = expect(&world.queue, D_HOST);
	assert_true(note->ready);
	assert_string_equal(note->host, host);
	assert_int_equal(note->session, socket.session);
	return socket.session;
}

static void
fail_session(struct wire_port *worker, const char *host,
    enum proof_failure failure)
{
	struct w_socket socket = expect_socket(worker, host);
	struct w_proof proof = { .session = socket.session,
	    .failure = failure, .reply = "554 no" };

	say(worker, W_FAILED, &proof);
}

/* A socket that its worker has already comes to nothing. */
static void
fail_last_session(void)
{
	struct wire_port *worker = &world.workers[world.workers_n - 1];
	struct w_proof proof = { .session = world.manager->last_session,
	    .failure = PROOF_REFUSED, .reply = "554 no" };

	say(worker, W_FAILED, &proof);
}

static void
idle(struct wire_port *worker)
{
	say(worker, W_IDLE, NULL);
}

/* A message of n recipients for a session that asked. */
static uint64_t
job_for(uint64_t destination, uint64_t session, unsigned n, unsigned more,
    enum body_kind body, uint64_t size)
{
	struct d_job job = { .destination = destination, .session = session,
	    .job = 100 + ++world.jobs, .message = 500 + world.jobs,
	    .sender = "s@a.test", .size_bytes = size, .body = body,
	    .recipients = n, .more = more };
	struct d_rcpt rcpt = { .job = job.job };

	say(&world.queue, D_JOB, &job);
	for (rcpt.number = 0; rcpt.number < n; rcpt.number++) {
		snprintf(rcpt.recipient, sizeof(rcpt.recipient), "r%u@" DOMAIN,
		    rcpt.number);
		say(&world.queue, D_RCPT, &rcpt);
	}
	return job.job;
}

/* The worker is given the message: all n recipients of it. */
static void
expect_job(struct wire_port *worker, uint64_t job, unsigned n)
{
	const struct w_job *given = expect(worker, W_JOB);
	unsigned i;

	assert_int_equal(given->job, job);
	assert_int_equal(given->recipients, n);
	assert_string_equal(given->sender, "s@a.test");
	for (i = 0; i < n; i++)
		expect(worker, W_RCPT);
}

static void
expect_body(uint64_t job)
{
	const struct d_body *body = expect(&world.queue, D_BODY);

	assert_int_equal(body->job, job);
}

/* Queue answers with the body. */
static void
send_body(uint64_t job)
{
	struct d_pipe pipe_message = { .job = job, .size_bytes = 3 };
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(wire_port_send(&world.queue, D_PIPE, &pipe_message,
	    ends, 0), 0);
	close(ends[0]);
	close(ends[1]);
}

static void
take_body(struct wire_port *worker, uint64_t job)
{
	const struct w_pipe *passed;
	int fds[WIRE_FDS_MAX];

	passed = expect_fd(worker, W_PIPE, fds);
	assert_int_equal(passed->job, job);
	assert_int_equal(passed->size_bytes, 3);
	close(fds[0]);
}

/* It asks for the body and gets it. */
static void
pass_body(struct wire_port *worker, uint64_t job)
{
	struct w_id id = { job };

	say(worker, W_BODY, &id);
	expect_body(job);
	send_body(job);
	take_body(worker, job);
}

/* The same of one that was asked for when it was drawn. */
static void
pass_early_body(struct wire_port *worker, uint64_t job)
{
	struct w_id id = { job };

	say(worker, W_BODY, &id);
	send_body(job);
	take_body(worker, job);
}

static void
dot(struct wire_port *worker, uint64_t job)
{
	struct w_id id = { job };

	say(worker, W_DOT, &id);
}

static void
result(struct wire_port *worker, uint64_t job, uint32_t number,
    enum outcome outcome)
{
	struct w_result message = { .job = job, .number = number,
	    .outcome = outcome, .code = outcome == OUTCOME_DELIVERED ? 250 :
	    outcome == OUTCOME_FAILED ? 550 : 450, .reply = "said" };

	say(worker, W_RESULT, &message);
}

static void
done(struct wire_port *worker, uint64_t job, enum done what, bool alive)
{
	struct w_done message = { .job = job, .done = what, .alive = alive,
	    .enhanced = "4.4.2", .reply = "went away" };

	say(worker, W_DONE, &message);
}

/* Queue hears this of a recipient. */
static uint64_t
expect_result_at(int line, const char *recipient, enum outcome outcome,
    const char *host)
{
	const struct d_result *result = expect_at(line, &world.queue,
	    D_RESULT, NULL);

	assert_string_equal(result->recipient, recipient);
	if (result->outcome != (uint32_t)outcome)
		fail_msg("line %d: outcome %u", line, result->outcome);
	assert_string_equal(result->host, host);
	return result->sequence;
}
#define expect_result(recipient, outcome, host)				\
	expect_result_at(__LINE__, recipient, outcome, host)

static struct d_ended
expect_ended_at(int line, uint64_t destination, unsigned outcome, bool ours)
{
	static struct d_ended ended;

	memcpy(&ended, expect_at(line, &world.queue, D_ENDED, NULL),
	    sizeof(ended));
	assert_int_equal(ended.destination, destination);
	if (ended.outcome != outcome || ended.ours != ours)
		fail_msg("line %d: outcome %u, ours %d, %s", line,
		    ended.outcome, ended.ours, ended.text);
	return ended;
}
#define expect_ended(destination, outcome, ours)			\
	expect_ended_at(__LINE__, destination, outcome, ours)

static uint64_t
expect_next(uint64_t session)
{
	const struct d_next *next = expect(&world.queue, D_NEXT);

	assert_int_equal(next->session, session);
	return next->session;
}

static void
none_for(uint64_t destination, uint64_t session)
{
	struct d_none none = { destination, session };

	say(&world.queue, D_NONE, &none);
}

/* All of a message, delivered; the session asks for the next. */
static void
deliver_one(struct wire_port *worker, uint64_t destination, uint64_t session,
    const char *host)
{
	uint64_t job = job_for(destination, session, 1, 0, BODY_7BIT, 3);

	expect_job(worker, job, 1);
	pass_body(worker, job);
	dot(worker, job);
	result(worker, job, 0, OUTCOME_DELIVERED);
	done(worker, job, DONE_SERVED, true);
	expect_result("r0@" DOMAIN, OUTCOME_DELIVERED, host);
}

/* A destination with one proven session that has just asked. */
static struct wire_port *
begin(uint64_t *destination, uint64_t *session, const char *hosts)
{
	struct wire_port *worker;
	char first[64];

	*destination = due(DOMAIN);
	answer_route(hosts, STS_ABSENT, 600);
	worker = new_worker();
	snprintf(first, sizeof(first), "%.*s", (int)strcspn(hosts, "="),
	    hosts);
	*session = ready(worker, first);
	expect_next(*session);
	return worker;
}

static void
settle(uint64_t sequence)
{
	struct d_settled settled = { sequence };

	say(&world.queue, D_SETTLED, &settled);
}

/* ---- a message's way ---- */

/* What was asked for goes to the worker as it came, the promise back. */
static void
test_dsn(void **state)
{
	struct d_job about = { .job = 77, .message = 500,
	    .sender = "s@a.test", .size_bytes = 3, .body = BODY_7BIT,
	    .recipients = 2, .ret = RET_HDRS, .envid = "aB+2B1" };
	struct d_rcpt rcpts[] = {
		{ .job = 77, .number = 0, .recipient = "r0@" DOMAIN,
		  .notify = NOTIFY_SUCCESS | NOTIFY_DELAY,
		  .orcpt = "rfc822;Old+2Bx@c.test" },
		{ .job = 77, .number = 1, .recipient = "r1@" DOMAIN },
	};
	struct w_result results[] = {
		{ .job = 77, .number = 0, .outcome = OUTCOME_DELIVERED,
		  .code = 250, .dsn_passed = true },
		{ .job = 77, .number = 1, .outcome = OUTCOME_DELIVERED,
		  .code = 250 },
	};
	struct wire_port *worker;
	const struct w_job *job;

	(void)state;
	worker = begin(&about.destination, &about.session, "mx=1");
	say(&world.queue, D_JOB, &about);
	say(&world.queue, D_RCPT, &rcpts[0]);
	say(&world.queue, D_RCPT, &rcpts[1]);
	job = expect(worker, W_JOB);
	assert_int_equal(job->ret, RET_HDRS);
	assert_string_equal(job->envid, "aB+2B1");
	for (int i = 0; i < 2; i++) {
		const struct w_rcpt *rcpt = expect(worker, W_RCPT);

		assert_int_equal(rcpt->notify, rcpts[i].notify);
		assert_string_equal(rcpt->orcpt, rcpts[i].orcpt);
	}
	pass_body(worker, 77);
	dot(worker, 77);
	say(worker, W_RESULT, &results[0]);
	say(worker, W_RESULT, &results[1]);
	done(worker, 77, DONE_SERVED, true);
	for (int i = 0; i < 2; i++) {
		const struct d_result *heard = expect(&world.queue,
		    D_RESULT);

		assert_string_equal(heard->recipient, rcpts[i].recipient);
		assert_int_equal(heard->dsn_passed, i == 0);
	}
}

static void
test_delivers(void **state)
{
	uint64_t destination, session, again;
	struct wire_port *worker;

	(void)state;
	worker = begin(&destination, &session, "mx=1");
	deliver_one(worker, destination, session, "mx");
	expect_next(session);
	deliver_one(worker, destination, session, "mx");
	expect_next(session);
	none_for(destination, session);
	expect(worker, W_QUIT);
	expect_ended(destination, 0, false);
	/* The worker serves the next destination. */
	idle(worker);
	destination = due("c.test");
	answer_route("mx=2", STS_ABSENT, 600);
	again = ready(worker, "mx");
	assert_int_not_equal(again, session);
	expect_next(again);
	silence(&world.spawner);
}

static void
test_socket_says_all(void **state)
{
	struct w_socket socket;
	struct wire_port *worker;

	(void)state;
	due(DOMAIN);
	answer_route("mx=1", STS_ENFORCE, 600);
	worker = new_worker();
	socket = expect_socket(worker, "mx");
	assert_string_equal(socket.ehlo, "relay.test");
	assert_int_equal(socket.class, CLASS_MAIL);
	assert_int_equal(socket.sts, STS_ENFORCE);
	assert_true(socket.mx_match);
	assert_false(socket.clear_retry);
	/* Without a host name it is the connection's address. */
	world.config->hostname[0] = '\0';
	due("c.test");
	answer_route("mx=2", STS_ABSENT, 600);
	socket = expect_socket(new_worker(), "mx");
	assert_string_equal(socket.ehlo, "[192.0.2.77]");
}

/* Routes with TLSA records, a host "a" at 192.0.2.1. */
struct signed_route {
	bool		mx_secure, mx_implicit;
	const char	*canonical;
	enum tlsa_state	tlsa;
	const char	*base;
	uint32_t	tlsa_len;
	const uint8_t	*records;
	int64_t		life_s;
	enum sts_mode	sts;
	enum tls_result	sts_error;
	const char	*sts_error_text;
};

static void
answer_signed(uint64_t question, const struct signed_route *from)
{
	static struct r_host host;
	struct r_route route = { .question = question,
	    .outcome = ROUTE_OK, .hosts = 1,
	    .valid_until = loop_wall_s() + from->life_s,
	    .settings = world.manager->settings, .dnssec_judged = true,
	    .mx_secure = from->mx_secure, .mx_implicit = from->mx_implicit,
	    .sts = from->sts, .sts_error = from->sts_error };
	struct address address = { .family = 4, .ip = { 192, 0, 2, 1 } };
	struct r_end end = { question };

	snprintf(route.canonical, sizeof(route.canonical), "%s",
	    from->canonical != NULL ? from->canonical : "");
	snprintf(route.sts_error_text, sizeof(route.sts_error_text), "%s",
	    from->sts_error_text != NULL ? from->sts_error_text : "");
	host = (struct r_host){ .question = question, .name = "a",
	    .mx_match = true, .tlsa_state = from->tlsa,
	    .tlsa_len = from->tlsa_len, .address_secure = true };
	if (from->base != NULL)
		snprintf(host.tlsa_base, sizeof(host.tlsa_base), "%s",
		    from->base);
	if (from->tlsa_len > 0)
		memcpy(host.tlsa, from->records, from->tlsa_len);
	route_put_address(host.addresses, &host.addresses_len,
	    sizeof(host.addresses), &address);
	say(&world.policy, R_ROUTE, &route);
	say(&world.policy, R_HOST, &host);
	say(&world.policy, R_END, &end);
}

static uint64_t
expect_ask(const char *domain)
{
	const struct r_ask *ask = expect(&world.policy, R_ASK);

	assert_string_equal(ask->domain, domain);
	return ask->question;
}

/* A record 3 1 1 with this digest, all its octets alike. */
#define RECORD(octet)	37 - 2, 0, 3, 1, 1,				\
	octet, octet, octet, octet, octet, octet, octet, octet,		\
	octet, octet, octet, octet, octet, octet, octet, octet,		\
	octet, octet, octet, octet, octet, octet, octet, octet,		\
	octet, octet, octet, octet, octet, octet, octet, octet
static const uint8_t two_records[] = { RECORD(1), RECORD(2) };
static const uint8_t turned_records[] = { RECORD(2), RECORD(1) };
static const uint8_t other_records[] = { RECORD(1), RECORD(3) };

/*
 * DANE-7672-3.2.2-2, DANE-7672-3.2.2-3, DANE-7672-3.2.2-4,
 * DANE-7672-3.2.2-5: which names a worker is given.
 */
static void
test_socket_names(void **state)
{
	static const struct {
		struct signed_route	route;
		const char		*base, *next_hop, *canonical;
		bool			dane_off;
	} rows[] = {
		{ { .mx_secure = true, .tlsa = TLSA_USABLE, .base = "a",
		    .canonical = "c.test" }, "a", DOMAIN, "c.test", false },
		{ { .mx_secure = true, .tlsa = TLSA_USABLE, .base = "x" },
		  "x", DOMAIN, "", false },
		{ { .tlsa = TLSA_USABLE, .base = "a" }, "a", "", "", false },
		/* Without MX it is the host that is an alias. */
		{ { .mx_implicit = true, .tlsa = TLSA_USABLE, .base = "x",
		    .canonical = "x" }, "x", DOMAIN, "x", false },
		{ { .mx_secure = true, .tlsa = TLSA_UNUSABLE, .base = "a" },
		  "", "", "", false },
		{ { .mx_secure = true, .tlsa = TLSA_USABLE, .base = "a" },
		  "", "", "", true },
	};
	struct signed_route route;
	struct wire_port *worker;
	struct w_socket socket;
	unsigned i;

	(void)state;
	for (i = 0; i < N(rows); i++) {
		world.config->dane = rows[i].dane_off ? CONFIG_DANE_OFF :
		    CONFIG_DANE_ENFORCE;
		route = rows[i].route;
		route.records = two_records;
		route.tlsa_len = sizeof(two_records);
		route.life_s = 600;
		due(DOMAIN);
		answer_signed(expect_ask(DOMAIN), &route);
		worker = new_worker();
		socket = expect_socket(worker, "a");
		assert_string_equal(socket.tlsa_base, rows[i].base);
		assert_string_equal(socket.next_hop, rows[i].next_hop);
		assert_string_equal(socket.next_hop_canonical,
		    rows[i].canonical);
		assert_int_equal(socket.tlsa_records_len,
		    rows[i].base[0] != '\0' ? sizeof(two_records) : 0);
		assert_int_equal(socket.tlsa_mark != 0,
		    rows[i].base[0] != '\0');
		if (rows[i].dane_off)
			assert_int_equal(socket.tlsa, TLSA_INSECURE);
		assert_false(socket.implicit_tls);
		fail_last_session();
		expect(&world.queue, D_HOST);
		expect(&world.queue, D_ENDED);
		wire_port_close(worker);
		turns(5);
	}
}

/* All records go to the worker, however many a report takes. */
static void
test_socket_records(void **state)
{
	static uint8_t many[300 * 37];
	struct signed_route route = { .mx_secure = true,
	    .tlsa = TLSA_USABLE, .base = "a", .records = many,
	    .tlsa_len = sizeof(many), .life_s = 600 };
	struct w_socket socket;
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(many); i += 37) {
		memcpy(many + i, two_records, 37);
		many[i + 5] = (uint8_t)(i / 37);
	}
	due(DOMAIN);
	answer_signed(expect_ask(DOMAIN), &route);
	socket = expect_socket(new_worker(), "a");
	assert_int_equal(socket.tlsa_records_len, sizeof(many));
	assert_memory_equal(socket.tlsa_records, many, sizeof(many));
}

/* What the operator says of a domain is told to its worker. */
static void
test_socket_rules(void **state)
{
	static struct config_exempt exempt = { .domain = { DOMAIN } };
	static struct config_domains required = { { DOMAIN }, false };
	struct w_socket socket;

	(void)state;
	exempt.until_s = loop_wall_s() + 60;
	world.config->exempt = &exempt;
	world.config->exempt_n = 1;
	due(DOMAIN);
	answer_route("a=1", STS_ENFORCE, 600);
	socket = expect_socket(new_worker(), "a");
	assert_true(socket.exempt);
	assert_false(socket.tls_required);
	world.config->exempt_n = 0;
	world.config->tls_required = &required;
	world.config->tls_required_n = 1;
	due_again(++world.destinations, DOMAIN, CLASS_MAIL);
	answer_route("a=2", STS_ENFORCE, 600);
	socket = expect_socket(new_worker(), "a");
	assert_false(socket.exempt);
	assert_true(socket.tls_required);
	assert_false(socket.relayhost);
	world.config->tls_required_n = 0;
}

/* RTLS-4.2.1-14, RTLS-3-1: of this class every MAIL says so, of no other. */
static void
test_requiretls(void **state)
{
	static const enum mail_class classes[] = { CLASS_REQUIRETLS,
	    CLASS_MAIL, CLASS_TLS_OPTIONAL };
	struct signed_route route = { .mx_secure = true,
	    .tlsa = TLSA_ABSENT, .life_s = 600 };
	struct wire_port *worker;
	struct w_socket socket;
	struct w_proof proof;
	uint64_t destination;
	unsigned i;

	(void)state;
	for (i = 0; i < N(classes); i++) {
		destination = ++world.destinations;
		due_again(destination, DOMAIN, classes[i]);
		answer_signed(expect_ask(DOMAIN), &route);
		worker = new_worker();
		socket = expect_socket(worker, "a");
		assert_int_equal(socket.class, classes[i]);
		proof = proof_of(socket.session);
		proof.requiretls = true;
		say(worker, W_READY, &proof);
		expect(&world.queue, D_HOST);
		expect_next(socket.session);
		job_for(destination, socket.session, 1, 0, BODY_7BIT, 3);
		assert_int_equal(((const struct w_job *)expect(worker,
		    W_JOB))->requiretls, classes[i] == CLASS_REQUIRETLS);
	}
}

/* RTLS-5-5: a notification about such a message goes in class mail. */
static void
test_requiretls_notice(void **state)
{
	struct d_job about = { .job = 77, .message = 500, .size_bytes = 3,
	    .body = BODY_7BIT, .recipients = 1, .requiretls = true };
	struct d_rcpt rcpt = { .job = 77, .recipient = "r0@" DOMAIN };
	struct wire_port *worker;

	(void)state;
	worker = begin(&about.destination, &about.session, "mx=1");
	say(&world.queue, D_JOB, &about);
	say(&world.queue, D_RCPT, &rcpt);
	assert_true(((const struct w_job *)expect(worker,
	    W_JOB))->requiretls);
}

/*
 * RTLS-4.2.1-12, RTLS-4.2.1-13, ruling 16: a definite no of every host fails
 * the mail at once, whatever is temporary defers it.  RTLS-4.2.1-10: nobody
 * is given a message meanwhile.
 */
static void
test_requiretls_definite(void **state)
{
	static const struct {
		struct w_proof	 proof;
		enum outcome	 outcome;
		const char	*enhanced;
	} rows[] = {
		{ { .failure = PROOF_POLICY, .starttls_known = true,
		    .starttls = STARTTLS_DONE }, OUTCOME_FAILED, "5.7.30" },
		{ { .failure = PROOF_POLICY, .starttls_known = true,
		    .starttls = STARTTLS_ABSENT }, OUTCOME_FAILED, "5.7.10" },
		{ { .failure = PROOF_POLICY, .starttls_known = true,
		    .starttls = STARTTLS_BROKEN }, OUTCOME_DEFERRED,
		  "4.7.10" },
		{ { .failure = PROOF_TIMEOUT }, OUTCOME_DEFERRED, "4.4.1" },
	};
	struct signed_route route = { .mx_secure = true,
	    .tlsa = TLSA_ABSENT, .life_s = 600 };
	struct d_ended ended;
	struct w_proof proof;
	uint64_t destination;
	struct wire_port *worker;
	unsigned i;

	(void)state;
	for (i = 0; i < N(rows); i++) {
		destination = ++world.destinations;
		due_again(destination, DOMAIN, CLASS_REQUIRETLS);
		answer_signed(expect_ask(DOMAIN), &route);
		worker = new_worker();
		proof = rows[i].proof;
		proof.session = expect_socket(worker, "a").session;
		say(worker, W_FAILED, &proof);
		expect(&world.queue, D_HOST);
		memcpy(&ended, expect(&world.queue, D_ENDED), sizeof(ended));
		assert_int_equal(ended.destination, destination);
		assert_int_equal(ended.outcome, rows[i].outcome);
		assert_string_equal(ended.enhanced, rows[i].enhanced);
	}
}

static void
test_recipients(void **state)
{
	uint64_t destination, session, job;
	struct wire_port *worker;
	const struct d_result *told;

	(void)state;
	worker = begin(&destination, &session, "mx=1");
	job = job_for(destination, session, 3, 0, BODY_7BIT, 3);
	expect_job(worker, job, 3);
	result(worker, job, 1, OUTCOME_FAILED);
	result(worker, job, 0, OUTCOME_DELIVERED);
	result(worker, job, 2, OUTCOME_DEFERRED);
	/* Together, when all are known: one notification for one message. */
	silence(&world.queue);
	done(worker, job, DONE_SERVED, true);
	told = expect(&world.queue, D_RESULT);
	assert_string_equal(told->recipient, "r1@" DOMAIN);
	assert_int_equal(told->code, 550);
	assert_int_equal(told->message, 501);
	assert_int_equal(told->job, job);
	assert_int_equal(told->session, session);
	assert_int_equal(told->destination, destination);
	assert_string_equal(told->address, "192.0.2.1");
	expect_result("r0@" DOMAIN, OUTCOME_DELIVERED, "mx");
	expect_result("r2@" DOMAIN, OUTCOME_DEFERRED, "mx");
	expect_next(session);
}

/* ---- hosts in order ---- */

static const struct d_host *
expect_host_at(int line, const char *host, const char *address,
    const char *verdict)
{
	const struct d_host *note = expect_at(line, &world.queue, D_HOST,
	    NULL);

	if (strcmp(note->host, host) != 0 ||
	    strcmp(note->address, address) != 0 ||
	    strcmp(note->verdict, verdict) != 0)
		fail_msg("line %d: %s [%s] %s", line, note->host,
		    note->address, note->verdict);
	assert_int_equal(note->session, 0);
	assert_false(note->ready);
	return note;
}
#define expect_host(host, address, verdict)				\
	expect_host_at(__LINE__, host, address, verdict)

static void
test_next_host(void **state)
{
	uint64_t session;

	(void)state;
	due(DOMAIN);
	answer_route("a=100,101 b=200 c=1", STS_ABSENT, 600);
	expect_host("a", "192.0.2.100", "unreachable");
	expect_host("a", "192.0.2.101", "unreachable");
	expect_host("b", "192.0.2.200", "unreachable");
	session = ready(new_worker(), "c");
	expect_next(session);
}

static void
test_no_host(void **state)
{
	uint64_t destination;
	struct d_ended ended;

	(void)state;
	destination = due(DOMAIN);
	answer_route("a=100 b=101", STS_ABSENT, 600);
	assert_non_null(strstr(expect_host("a", "192.0.2.100",
	    "unreachable")->reply, "refused"));
	expect_host("b", "192.0.2.101", "unreachable");
	ended = expect_ended(destination, OUTCOME_DEFERRED, false);
	assert_string_equal(ended.enhanced, "4.4.1");
	assert_false(ended.policy_refused);
	assert_non_null(strstr(ended.text, "b: connect"));
}

static void
test_greeting_refused(void **state)
{
	struct wire_port *worker;
	uint64_t destination, session;

	(void)state;
	destination = due(DOMAIN);
	answer_route("a=1 b=2", STS_ABSENT, 600);
	worker = new_worker();
	fail_session(worker, "a", PROOF_REFUSED);
	assert_string_equal(expect_host("a", "192.0.2.1",
	    "refused")->reply, "554 no");
	/* The first worker is still saying QUIT. */
	session = ready(new_worker(), "b");
	expect_next(session);
	idle(worker);
	none_for(destination, session);
	expect_ended(destination, 0, false);
}

static void
test_all_refused(void **state)
{
	struct wire_port *worker;
	uint64_t destination;

	(void)state;
	destination = due(DOMAIN);
	answer_route("a=1", STS_ABSENT, 600);
	worker = new_worker();
	fail_session(worker, "a", PROOF_REFUSED);
	expect_host("a", "192.0.2.1", "refused");
	/* 5yz in the greeting is no failure of the mail. */
	expect_ended(destination, OUTCOME_DEFERRED, false);
}

/* STS-5-1, STS-5-7, trap T20 */
static void
test_enforce_skips(void **state)
{
	const struct d_host *note;
	struct d_ended ended;
	uint64_t destination, session;

	(void)state;
	destination = due(DOMAIN);
	answer_route("a!=1 b=2", STS_ENFORCE, 600);
	note = expect_host("a", "", "skip");
	assert_string_equal(note->clause, "RFC 8461 5");
	assert_string_equal(note->result, "validation-failure");
	assert_string_equal(note->sts, "enforce");
	assert_string_equal(note->sts_id, "id1");
	session = ready(new_worker(), "b");
	expect_next(session);
	none_for(destination, session);
	expect_ended(destination, 0, false);

	destination = due("c.test");
	answer_route("a!=1", STS_ENFORCE, 600);
	expect_host("a", "", "skip");
	ended = expect_ended(destination, OUTCOME_DEFERRED, false);
	assert_true(ended.policy_refused);
	assert_true(ended.policy_checked);
	assert_memory_equal(ended.enhanced, "4.7.", 4);
	silence(&world.spawner);
}

/* STS-5-2: the worker saw a bad certificate. */
static void
test_policy_refuses(void **state)
{
	struct wire_port *worker;
	struct w_socket socket;
	struct w_proof proof;
	const struct d_host *note;
	struct d_ended ended;
	uint64_t destination;

	(void)state;
	destination = due(DOMAIN);
	answer_route("a=1", STS_ENFORCE, 600);
	worker = new_worker();
	socket = expect_socket(worker, "a");
	proof = proof_of(socket.session);
	proof.failure = PROOF_POLICY;
	proof.cert = CERT_EXPIRED;
	snprintf(proof.certificate, sizeof(proof.certificate),
	    "expired (certificate has expired)");
	say(worker, W_FAILED, &proof);
	note = expect_host("a", "192.0.2.1", "next");
	assert_string_equal(note->result, "certificate-expired");
	assert_string_equal(note->starttls, "done");
	assert_string_equal(note->tls_version, "TLSv1.3");
	ended = expect_ended(destination, OUTCOME_DEFERRED, false);
	assert_true(ended.policy_refused);
	assert_memory_equal(ended.enhanced, "4.7.", 4);
	assert_non_null(strstr(ended.text, "expired"));
}

/*
 * What is kept with a message that a certificate was not good enough for:
 * the words of the proof that was asked for, not those of the other one.
 */
static const struct {
	bool		mx_secure;
	enum tlsa_state	tlsa;
	bool		sts;
	enum mail_class	class;
	unsigned	cert, dane;
	const char	*rule, *text;
} refusals[] = {
	{ true, TLSA_USABLE, false, CLASS_MAIL, 0, CERT_DANE_NO_MATCH,
	  "dane-no-match", "a: dane-no-match (" },
	{ true, TLSA_USABLE, true, CLASS_MAIL, CERT_EXPIRED,
	  CERT_DANE_NO_MATCH, "dane-no-match", "a: dane-no-match (" },
	{ false, TLSA_USABLE, true, CLASS_MAIL, CERT_EXPIRED, 0,
	  "sts-certificate-expired", "a: expired (" },
	{ false, TLSA_USABLE, true, CLASS_MAIL, CERT_EXPIRED,
	  CERT_DANE_NO_MATCH, "dane-no-match", "a: dane-no-match (" },
	{ false, TLSA_ABSENT, true, CLASS_MAIL, CERT_EXPIRED, 0,
	  "sts-certificate-expired", "a: expired (" },
	/* The certificate is good, or none that anybody asked for. */
	{ true, TLSA_USABLE, false, CLASS_REQUIRETLS, CERT_EXPIRED, 0,
	  "requiretls-not-offered", "a: The host does not offer REQUIRETLS" },
	{ true, TLSA_ABSENT, false, CLASS_REQUIRETLS, 0, 0,
	  "requiretls-not-offered", "a: The host does not offer REQUIRETLS" },
};

static struct w_proof
refusal_of(unsigned i, uint64_t session)
{
	static const uint8_t no_match = X509_V_ERR_DANE_NO_MATCH;
	struct w_proof proof = proof_of(session);

	proof.failure = PROOF_POLICY;
	proof.cert = refusals[i].cert;
	proof.dane = refusals[i].dane;
	if (refusals[i].cert != 0)
		snprintf(proof.certificate, sizeof(proof.certificate),
		    "expired (certificate has expired)");
	if (refusals[i].dane != 0) {
		proof.dane_errors_len = 1;
		proof.dane_errors[0] = no_match;
	} else if (refusals[i].tlsa == TLSA_USABLE) {
		snprintf(proof.tlsa_matched, sizeof(proof.tlsa_matched),
		    "3 1 1 0b9f");
	}
	return proof;
}

static void
test_refused_in_words(void **state)
{
	struct signed_route route = { .base = "a", .life_s = 600,
	    .tlsa_len = sizeof(two_records), .records = two_records };
	struct wire_port *worker;
	struct w_proof proof;
	struct d_ended ended;
	uint64_t question;
	unsigned i;

	(void)state;
	for (i = 0; i < N(refusals); i++) {
		due_again(100 + i, DOMAIN, refusals[i].class);
		question = expect_ask(DOMAIN);
		route.mx_secure = refusals[i].mx_secure;
		route.tlsa = refusals[i].tlsa;
		route.sts = refusals[i].sts ? STS_ENFORCE : STS_ABSENT;
		answer_signed(question, &route);
		worker = new_worker();
		proof = refusal_of(i, expect_socket(worker, "a").session);
		say(worker, W_FAILED, &proof);
		expect_host("a", "192.0.2.1", "next");
		ended = *(const struct d_ended *)expect(&world.queue, D_ENDED);
		assert_string_equal(ended.rule, refusals[i].rule);
		if (strncmp(ended.text, refusals[i].text,
		    strlen(refusals[i].text)) != 0)
			fail_msg("row %u: %s", i, ended.text);
	}
}

/* ---- in clear, ruling 19 ---- */

static void
broken_tls(struct wire_port *worker, const char *host)
{
	struct w_socket socket = expect_socket(worker, host);
	struct w_proof proof = { .session = socket.session,
	    .failure = PROOF_RECONNECT, .starttls_known = true,
	    .starttls = STARTTLS_BROKEN, .reply = "TLS: wrong version" };

	assert_false(socket.clear_retry);
	say(worker, W_FAILED, &proof);
}

static void
test_clear_retry(void **state)
{
	struct wire_port *worker, *second;
	struct w_socket socket;
	struct w_proof proof;
	const struct d_host *note;

	(void)state;
	due(DOMAIN);
	answer_route("a=1 b=2", STS_ABSENT, 600);
	worker = new_worker();
	broken_tls(worker, "a");
	expect_host("a", "192.0.2.1", "reconnect");
	second = new_worker();
	socket = expect_socket(second, "a");
	assert_true(socket.clear_retry);
	proof = proof_of(socket.session);
	proof.starttls = STARTTLS_BROKEN;
	say(second, W_READY, &proof);
	note = expect(&world.queue, D_HOST);
	assert_true(note->ready);
	assert_string_equal(note->result, "");
	expect_next(socket.session);
}

/* A worker that wants it where a policy forbids it does not get it. */
static void
test_no_clear_retry(void **state)
{
	struct wire_port *worker;
	uint64_t destination;

	(void)state;
	destination = due(DOMAIN);
	answer_route("a=1", STS_ENFORCE, 600);
	worker = new_worker();
	broken_tls(worker, "a");
	expect(&world.queue, D_HOST);
	expect_ended(destination, OUTCOME_DEFERRED, false);
	silence(&world.spawner);
}

/*
 * A worker that does not ask for it (its server speaks TLS from the first
 * octet) gets none either: one more connection would end like the first.
 */
static void
test_no_needless_retry(void **state)
{
	struct wire_port *worker;
	struct w_socket socket;
	struct d_ended ended;
	uint64_t destination;

	(void)state;
	destination = due(DOMAIN);
	answer_route("a=1", STS_ABSENT, 600);
	worker = new_worker();
	socket = expect_socket(worker, "a");
	say(worker, W_FAILED, &(struct w_proof){ .session = socket.session,
	    .failure = PROOF_POLICY, .starttls_known = true,
	    .starttls = STARTTLS_BROKEN, .reply = "TLS: wrong version" });
	expect_host("a", "192.0.2.1", "next");
	ended = expect_ended(destination, OUTCOME_DEFERRED, false);
	assert_string_equal(ended.text, "a: TLS: wrong version");
	assert_false(ended.policy_refused);
	silence(&world.spawner);
}

/* Trap T49: why there is no policy, for explain. */
static void
test_policy_error(void **state)
{
	static const struct {
		enum tls_result	result;
		const char	*text, *said;
	} errors[] = {
		{ RESULT_NONE, "", "" },
		{ RESULT_STS_POLICY_FETCH_ERROR, "HTTP 403",
		  "sts-policy-fetch-error: HTTP 403" },
		{ RESULT_STS_POLICY_INVALID, "", "sts-policy-invalid" },
		{ RESULT_NONE, "TXT: SERVFAIL", "TXT: SERVFAIL" },
	};
	struct signed_route route = { .life_s = 600 };
	const struct d_host *note;
	struct w_socket socket;
	struct w_proof proof;
	uint64_t question;
	unsigned i;

	(void)state;
	for (i = 0; i < N(errors); i++) {
		due(DOMAIN);
		question = expect_ask(DOMAIN);
		route.sts_error = errors[i].result;
		route.sts_error_text = errors[i].text;
		answer_signed(question, &route);
		socket = expect_socket(new_worker(), "a");
		proof = proof_of(socket.session);
		say(&world.workers[world.workers_n - 1], W_READY, &proof);
		note = expect(&world.queue, D_HOST);
		assert_string_equal(note->policy_error, errors[i].said);
		expect_next(socket.session);
	}
}

/* ---- workers that lie, or die ---- */

/* TLS-3207-4.1-1: judged once more by the manager. */
static void
test_liar(void **state)
{
	static const struct w_proof lies[] = {
		{ .starttls_known = true, .starttls = STARTTLS_ABSENT },
		{ .starttls_known = true, .starttls = STARTTLS_DONE,
		  .cert = CERT_HOST_MISMATCH },
		{ .starttls_known = true, .starttls = STARTTLS_BROKEN },
		{ .starttls_known = false, .starttls = STARTTLS_DONE },
		{ .starttls_known = true, .starttls = STARTTLS_DONE,
		  .failure = PROOF_POLICY },
	};
	struct wire_port *worker;
	struct w_socket socket;
	struct w_proof proof;
	unsigned i;

	(void)state;
	for (i = 0; i < N(lies); i++) {
		due(DOMAIN);
		answer_route("a=1", STS_ENFORCE, 600);
		worker = new_worker();
		socket = expect_socket(worker, "a");
		proof = lies[i];
		proof.session = socket.session;
		say(worker, W_READY, &proof);
		expect_closed(worker);
		silence(&world.queue);
		/* The same address once more, by another worker. */
		fail_session(new_worker(), "a", PROOF_REFUSED);
		expect_host("a", "192.0.2.1", "refused");
		expect(&world.queue, D_ENDED);
	}
}

static void
test_out_of_turn(void **state)
{
	static const unsigned kinds[] = { W_BODY, W_DOT, W_DONE, W_RESULT,
	    W_IDLE, W_READY };
	static struct w_result nothing;
	uint64_t destination, session;
	struct wire_port *worker;
	unsigned i;

	(void)state;
	for (i = 0; i < N(kinds); i++) {
		worker = begin(&destination, &session, "a=1");
		say(worker, kinds[i], kinds[i] == W_IDLE ? NULL :
		    kinds[i] == W_READY ? (const void *)&(struct w_proof){
		    .session = session } : (const void *)&nothing);
		expect_closed(worker);
		none_for(destination, session);
		expect_ended(destination, 0, true);
	}
}

/* Results that are not this worker's to give. */
static void
test_foreign_results(void **state)
{
	struct w_result foreign[] = {
		{ .job = 999, .number = 0, .outcome = OUTCOME_DELIVERED },
		{ .number = 1, .outcome = OUTCOME_DELIVERED },
		{ .number = 4000000000u, .outcome = OUTCOME_DELIVERED },
		{ .number = 0, .outcome = 0 },
	};
	uint64_t destination, session, job;
	struct wire_port *worker;
	unsigned i;

	(void)state;
	for (i = 0; i < N(foreign); i++) {
		worker = begin(&destination, &session, "a=1");
		job = job_for(destination, session, 1, 0, BODY_7BIT, 3);
		expect_job(worker, job, 1);
		if (foreign[i].job == 0)
			foreign[i].job = job;
		say(worker, W_RESULT, &foreign[i]);
		expect_closed(worker);
		assert_int_equal(((const struct d_return *)expect(
		    &world.queue, D_RETURN))->job, job);
		/* The second of a destination in a minute waits a while. */
		expect_ended(destination, 0, true);
	}
}

static void
test_death_while_proving(void **state)
{
	struct wire_port *worker;
	uint64_t destination, session;

	(void)state;
	/* Once: the same address again. */
	destination = due(DOMAIN);
	answer_route("a=1 b=2", STS_ABSENT, 600);
	worker = new_worker();
	expect_socket(worker, "a");
	wire_port_close(worker);
	session = ready(new_worker(), "a");
	expect_next(session);
	none_for(destination, session);
	expect_ended(destination, 0, false);
	/* Twice: the next host; no word on the first. */
	destination = due("c.test");
	answer_route("a=1 b=2", STS_ABSENT, 600);
	worker = new_worker();
	expect_socket(worker, "a");
	wire_port_close(worker);
	worker = new_worker();
	expect_socket(worker, "a");
	wire_port_close(worker);
	session = ready(new_worker(), "b");
	expect_next(session);
	/* It is served: nothing is known against anybody. */
	none_for(destination, session);
	expect_ended(destination, 0, false);
}

/* One that died, not long ago, at this destination. */
static void
die_at_the_only_host(uint64_t destination)
{
	struct wire_port *worker;

	due_again(destination, DOMAIN, CLASS_MAIL);
	answer_route("a=1", STS_ABSENT, 600);
	worker = new_worker();
	expect_socket(worker, "a");
	wire_port_close(worker);
}

/*
 * A destination at which workers die waits like one that fails: due at once
 * the first time, never again so; and nothing is said of the peer.
 */
static void
test_death_at_all_hosts(void **state)
{
	struct wire_port *worker;
	struct d_ended ended;
	uint64_t session;

	(void)state;
	die_at_the_only_host(7);
	/* Once, the same address again. */
	worker = new_worker();
	expect_socket(worker, "a");
	wire_port_close(worker);
	ended = expect_ended(7, OUTCOME_DEFERRED, false);
	assert_string_equal(ended.rule, "own-failure");
	assert_string_equal(ended.enhanced, "4.3.0");
	assert_false(ended.policy_refused);
	assert_non_null(strstr(ended.text, "a worker of this relay"));
	/* It is remembered: one death is enough then. */
	die_at_the_only_host(7);
	ended = expect_ended(7, OUTCOME_DEFERRED, false);
	assert_string_equal(ended.rule, "own-failure");
	/* Another destination is another matter. */
	die_at_the_only_host(8);
	session = ready(new_worker(), "a");
	expect_next(session);
	none_for(8, session);
	expect_ended(8, 0, false);
	/* Served without a death, it is forgotten. */
	due_again(7, DOMAIN, CLASS_MAIL);
	answer_route("a=2", STS_ABSENT, 600);
	session = ready(new_worker(), "a");
	expect_next(session);
	none_for(7, session);
	expect_ended(7, 0, false);
	die_at_the_only_host(7);
	expect_socket(new_worker(), "a");
	/* Not one of them is a session that counts. */
	assert_int_equal(log_count("result=success"), 2);
	assert_int_equal(log_count("session domain="), 2);
}

/* A message that ends its worker is not given to one after the other. */
static void
test_poison(void **state)
{
	uint64_t session, second_session, job;
	struct wire_port *first, *second;
	struct d_ended ended;
	unsigned round;

	(void)state;
	for (round = 0; round < 2; round++) {
		due_again(7, DOMAIN, CLASS_MAIL);
		answer_route("a=1", STS_ABSENT, 600);
		first = new_worker();
		session = ready(first, "a");
		expect_next(session);
		job = job_for(7, session, 1, 5, BODY_7BIT, 3);
		expect_job(first, job, 1);
		expect_body(job);
		expect_next(session);
		/* Five wait: a second session is opened. */
		second = new_worker();
		second_session = ready(second, "a");
		expect_next(second_session);
		pass_early_body(first, job);
		dot(first, job);
		wire_port_close(first);
		expect(&world.queue, D_RETURN);
		/* What was asked for behind it is for nobody. */
		job_for(7, session, 1, 5, BODY_7BIT, 3);
		expect(&world.queue, D_RETURN);
		job = job_for(7, second_session, 1, 5, BODY_7BIT, 3);
		/* What is drawn goes out once more in the first round. */
		if (round > 0) {
			expect(&world.queue, D_RETURN);
			expect(second, W_QUIT);
			ended = expect_ended(7, OUTCOME_DEFERRED, false);
			assert_string_equal(ended.rule, "own-failure");
			continue;
		}
		expect_job(second, job, 1);
		expect_body(job);
		expect_next(second_session);
		pass_early_body(second, job);
		dot(second, job);
		/* Meanwhile there is room for one more of them. */
		expect_socket(new_worker(), "a");
		wire_port_close(second);
		expect(&world.queue, D_RETURN);
		fail_last_session();
		expect_host("a", "192.0.2.1", "refused");
		none_for(7, second_session);
		ended = expect_ended(7, OUTCOME_DEFERRED, false);
		assert_string_equal(ended.rule, "own-failure");
	}
	/* Nobody else was asked to take it. */
	silence(&world.spawner);
	silence(&world.queue);
}

/* What is asked for is answered before the end is said. */
static void
test_end_waits_for_answer(void **state)
{
	uint64_t destination, session, job;
	struct wire_port *worker;

	(void)state;
	worker = begin(&destination, &session, "a=1");
	hold(destination);
	expect(worker, W_QUIT);
	silence(&world.queue);
	job = job_for(destination, session, 1, 0, BODY_7BIT, 3);
	assert_int_equal(((const struct d_return *)expect(&world.queue,
	    D_RETURN))->job, job);
	expect_ended(destination, 0, false);
	/* Answers for what was never asked do nothing. */
	none_for(destination, session);
	none_for(99, 99);
	silence(&world.queue);
}

/* A worker that was told to stop waits for no body any more. */
static void
test_body_after_cut(void **state)
{
	struct d_pipe body = { .size_bytes = 3 };
	uint64_t destination, session, job;
	struct wire_port *worker;
	struct w_id id;
	int ends[2];

	(void)state;
	worker = begin(&destination, &session, "a=1");
	job = job_for(destination, session, 1, 0, BODY_7BIT, 3);
	expect_job(worker, job, 1);
	id.job = body.job = job;
	say(worker, W_BODY, &id);
	expect_body(job);
	channel_cut(channel_find(world.manager, session));
	channel_cut(channel_find(world.manager, session));
	expect(worker, W_CUT);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(wire_port_send(&world.queue, D_PIPE, &body, ends, 0),
	    0);
	close(ends[0]);
	/* Neither it nor a second W_CUT; and the pipe is let go of. */
	silence(worker);
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(write(ends[1], "x", 1), -1);
	close(ends[1]);
	done(worker, job, DONE_CUT, false);
	expect(&world.queue, D_RETURN);
}

/* Rule, repair and text of a domain that failed are of one host. */
static void
test_ended_of_one_host(void **state)
{
	struct wire_port *worker;
	struct w_socket socket;
	struct w_proof proof;
	struct d_ended ended;
	uint64_t destination;

	(void)state;
	destination = due(DOMAIN);
	answer_route("a=1 b=100", STS_ENFORCE, 600);
	worker = new_worker();
	socket = expect_socket(worker, "a");
	proof = proof_of(socket.session);
	proof.failure = PROOF_POLICY;
	proof.cert = CERT_EXPIRED;
	snprintf(proof.certificate, sizeof(proof.certificate),
	    "expired (certificate has expired)");
	say(worker, W_FAILED, &proof);
	expect(&world.queue, D_HOST);
	expect_host("b", "192.0.2.100", "unreachable");
	ended = expect_ended(destination, OUTCOME_DEFERRED, false);
	assert_string_equal(ended.rule, "sts-certificate-expired");
	assert_string_equal(ended.text,
	    "a: expired (certificate has expired)");
}

static void
test_death_in_message(void **state)
{
	uint64_t destination, session, job;
	struct wire_port *worker;
	int dotted;

	(void)state;
	for (dotted = 0; dotted < 2; dotted++) {
		worker = begin(&destination, &session, "a=1");
		job = job_for(destination, session, 2, 0, BODY_7BIT, 3);
		expect_job(worker, job, 2);
		result(worker, job, 1, OUTCOME_FAILED);
		if (dotted) {
			pass_body(worker, job);
			dot(worker, job);
		}
		wire_port_close(worker);
		/* What is known is said, the rest waits as before. */
		expect_result("r1@" DOMAIN, OUTCOME_FAILED, "a");
		assert_int_equal(((const struct d_return *)expect(
		    &world.queue, D_RETURN))->job, job);
		expect_ended(destination, 0, true);
	}
}

/* ---- a message that its host would not take ---- */

static void
test_lost_in_data(void **state)
{
	uint64_t destination, session, job;
	struct wire_port *first, *second;

	(void)state;
	first = begin(&destination, &session, "a=1 b=2");
	job = job_for(destination, session, 2, 0, BODY_7BIT, 3);
	expect_job(first, job, 2);
	pass_body(first, job);
	done(first, job, DONE_LOST, false);
	second = new_worker();
	session = ready(second, "b");
	/* The whole message, at once. */
	expect_job(second, job, 2);
	pass_body(second, job);
	dot(second, job);
	result(second, job, 0, OUTCOME_DELIVERED);
	result(second, job, 1, OUTCOME_DELIVERED);
	done(second, job, DONE_SERVED, true);
	expect_result("r0@" DOMAIN, OUTCOME_DELIVERED, "b");
	expect_result("r1@" DOMAIN, OUTCOME_DELIVERED, "b");
	expect_next(session);
	idle(first);
	none_for(destination, session);
	expect_ended(destination, 0, false);
}

static void
test_lost_everywhere(void **state)
{
	uint64_t destination, session, job;
	struct wire_port *first, *second;
	struct d_ended ended;

	(void)state;
	first = begin(&destination, &session, "a=1 b=2");
	job = job_for(destination, session, 2, 0, BODY_7BIT, 3);
	expect_job(first, job, 2);
	result(first, job, 0, OUTCOME_FAILED);
	done(first, job, DONE_LOST, false);
	second = new_worker();
	session = ready(second, "b");
	/* What has its result is not sent again. */
	expect_job(second, job, 1);
	done(second, job, DONE_LOST, false);
	expect_result("r0@" DOMAIN, OUTCOME_FAILED, "a");
	expect_result("r1@" DOMAIN, OUTCOME_DEFERRED, "b");
	ended = expect_ended(destination, OUTCOME_DEFERRED, false);
	assert_string_equal(ended.enhanced, "4.4.2");
	assert_non_null(strstr(ended.text, "went away"));
}

static void
test_refused_moves_on(void **state)
{
	uint64_t destination, session, other, job;
	struct wire_port *first, *second;

	(void)state;
	first = begin(&destination, &session, "a=1 b=2");
	job = job_for(destination, session, 1, 0, BODY_7BIT, 3);
	expect_job(first, job, 1);
	done(first, job, DONE_REFUSED, true);
	/* The session goes on, the message looks for another host. */
	expect_next(session);
	second = new_worker();
	other = ready(second, "b");
	expect_job(second, job, 1);
	deliver_one(first, destination, session, "a");
	expect_next(session);
	result(second, job, 0, OUTCOME_DELIVERED);
	done(second, job, DONE_SERVED, true);
	expect_result("r0@" DOMAIN, OUTCOME_DELIVERED, "b");
	/* The better host is there: the other one leaves. */
	expect(second, W_QUIT);
	assert_int_not_equal(other, session);
	none_for(destination, session);
	expect_ended(destination, 0, false);
}

static void
test_refused_at_the_only_host(void **state)
{
	uint64_t destination, session, job;
	struct wire_port *worker;

	(void)state;
	worker = begin(&destination, &session, "a=1");
	job = job_for(destination, session, 1, 0, BODY_7BIT, 3);
	expect_job(worker, job, 1);
	done(worker, job, DONE_REFUSED, true);
	expect_next(session);
	expect_result("r0@" DOMAIN, OUTCOME_DEFERRED, "a");
	deliver_one(worker, destination, session, "a");
	expect_next(session);
	none_for(destination, session);
	/* A message that was refused is no fault of the destination. */
	expect_ended(destination, 0, false);
}

/* A session that carried mail and ends between two messages. */
static void
test_closed_between(void **state)
{
	uint64_t destination, session, job;
	struct wire_port *worker;
	struct w_done message = { .done = DONE_LOST, .untouched = true };

	(void)state;
	worker = begin(&destination, &session, "a=1 b=2");
	deliver_one(worker, destination, session, "a");
	expect_next(session);
	job = job_for(destination, session, 1, 0, BODY_7BIT, 3);
	expect_job(worker, job, 1);
	message.job = job;
	say(worker, W_DONE, &message);
	assert_int_equal(((const struct d_return *)expect(&world.queue,
	    D_RETURN))->job, job);
	expect_ended(destination, 0, false);
}

/* ---- what a host must offer ---- */

static uint64_t
ready_without_8bit(struct wire_port *worker, const char *host,
    uint64_t size_limit)
{
	struct w_socket socket = expect_socket(worker, host);
	struct w_proof proof = proof_of(socket.session);

	proof.has_8bitmime = false;
	proof.has_size = size_limit > 0;
	proof.size_limit = size_limit;
	say(worker, W_READY, &proof);
	expect(&world.queue, D_HOST);
	return socket.session;
}

/* A message that host a lacks something for; both sessions are there. */
static uint64_t
find_unfit(uint64_t *destination, uint64_t *session,
    struct wire_port **second, enum body_kind body, uint64_t size)
{
	uint64_t job;

	*destination = due(DOMAIN);
	answer_route("a=1 b=2", STS_ABSENT, 600);
	*session = ready_without_8bit(new_worker(), "a", 1000);
	expect_next(*session);
	job = job_for(*destination, *session, 1, 0, body, size);
	/* The session stays for others, the message goes on to b. */
	expect_next(*session);
	*second = new_worker();
	return job;
}

static void
test_unfit_here(void **state)
{
	uint64_t destination, session, job;
	struct wire_port *second;

	(void)state;
	job = find_unfit(&destination, &session, &second, BODY_8BITMIME, 3);
	ready(second, "b");
	expect_job(second, job, 1);
}

static void
test_unfit_everywhere(void **state)
{
	static const struct {
		enum body_kind	 body;
		uint64_t	 size;
		const char	*enhanced;
	} rows[] = {
		{ BODY_8BITMIME, 3, "5.6.3" }, { BODY_7BIT, 1001, "5.3.4" },
	};
	const struct d_result *told;
	uint64_t destination, session, job;
	struct wire_port *second;
	unsigned i;

	(void)state;
	for (i = 0; i < N(rows); i++) {
		job = find_unfit(&destination, &session, &second,
		    rows[i].body, rows[i].size);
		ready_without_8bit(second, "b", 1000);
		told = expect(&world.queue, D_RESULT);
		assert_int_equal(told->outcome, OUTCOME_FAILED);
		assert_string_equal(told->enhanced, rows[i].enhanced);
		assert_int_equal(told->job, job);
		none_for(destination, session);
		expect_ended(destination, 0, false);
	}
}

/* Not every host was reached: it may fit there. */
static void
test_unfit_but_not_everywhere(void **state)
{
	const struct d_result *told;
	uint64_t destination, session;

	(void)state;
	destination = due(DOMAIN);
	answer_route("a=1 b=100", STS_ABSENT, 600);
	session = ready_without_8bit(new_worker(), "a", 0);
	expect_next(session);
	job_for(destination, session, 1, 0, BODY_8BITMIME, 3);
	expect_next(session);
	expect_host("b", "192.0.2.100", "unreachable");
	told = expect(&world.queue, D_RESULT);
	assert_int_equal(told->outcome, OUTCOME_DEFERRED);
	assert_string_equal(told->enhanced, "4.6.3");
}

/* ---- a session's length ---- */

static void
test_hundred_messages(void **state)
{
	uint64_t destination, session;
	struct wire_port *worker;
	unsigned i;

	(void)state;
	worker = begin(&destination, &session, "a=1");
	for (i = 1; i <= 100; i++) {
		deliver_one(worker, destination, session, "a");
		if (i < 100)
			expect_next(session);
	}
	expect(worker, W_QUIT);
	expect_ended(destination, 0, false);
}

/* The route runs out: asked anew, and what it says now is compared. */
/* The host is asked once more, under what counts by now. */
static void
carry_anew(uint64_t destination, const char *host)
{
	struct wire_port *worker = new_worker();
	uint64_t session = ready(worker, host);

	expect_next(session);
	none_for(destination, session);
	expect(worker, W_QUIT);
	wire_port_close(worker);
}

static void
test_reuse(void **state)
{
	static const struct {
		const char	*hosts;
		enum sts_mode	 sts;
		bool		 goes_on;
	} rows[] = {
		{ "a=1", STS_TESTING, true },
		{ "b=2 a=1", STS_TESTING, true },
		{ "a=2,1", STS_TESTING, true },
		{ "a=1", STS_ENFORCE, false },
		{ "a=1", STS_ABSENT, false },
		{ "a!=1", STS_TESTING, false },
		{ "a=2", STS_TESTING, false },
		{ "b=1", STS_TESTING, false },
	};
	struct wire_port *worker;
	uint64_t destination, session;
	const struct r_ask *ask;
	unsigned i;

	(void)state;
	for (i = 0; i < N(rows); i++) {
		destination = due(DOMAIN);
		/* Over before it begins: good for one step. */
		answer_route("a=1", STS_TESTING, -1);
		worker = new_worker();
		session = expect_socket(worker, "a").session;
		say(worker, W_READY, &(struct w_proof){ .session = session,
		    .starttls_known = true, .starttls = STARTTLS_DONE });
		expect(&world.queue, D_HOST);
		ask = expect(&world.policy, R_ASK);
		silence(&world.queue);
		route_for(ask->question, rows[i].hosts, rows[i].sts, 600);
		if (rows[i].goes_on) {
			expect_next(session);
			none_for(destination, session);
		}
		expect(worker, W_QUIT);
		if (!rows[i].goes_on)
			carry_anew(destination, rows[i].hosts[0] == 'b' ?
			    "b" : "a");
		expect_ended(destination, 0, false);
		wire_port_close(worker);
		turns(5);
	}
}

/*
 * New settings come while a host is proven: it is tried again by what counts
 * now, once in an attempt.  Then it is said what changed, and nothing else.
 */
static void
test_changed_while_proving(void **state)
{
	struct wire_port *worker;
	uint64_t destination;
	struct d_ended ended;

	(void)state;
	destination = due(DOMAIN);
	answer_route("a=1", STS_ENFORCE, 600);
	worker = new_worker();
	world.config->mta_sts = CONFIG_STS_REPORT;
	ready(worker, "a");
	expect(worker, W_QUIT);
	carry_anew(destination, "a");
	expect_ended(destination, 0, false);
	silence(&world.policy);
	/* Again and again. */
	destination = due(DOMAIN);
	answer_route("a=1", STS_ENFORCE, 600);
	worker = new_worker();
	world.config->mta_sts = CONFIG_STS_OFF;
	ready(worker, "a");
	expect(worker, W_QUIT);
	worker = new_worker();
	world.config->mta_sts = CONFIG_STS_REPORT;
	ready(worker, "a");
	expect(worker, W_QUIT);
	ended = expect_ended(destination, OUTCOME_DEFERRED, false);
	assert_string_equal(ended.rule, "route-outdated");
	assert_string_equal(ended.text, "a: what is asked of the host changed "
	    "before it was ready");
	silence(&world.policy);
	/* What counts now refuses it: that is said. */
	destination = due(DOMAIN);
	answer_route("a!=1", STS_ENFORCE, 600);
	worker = new_worker();
	world.config->mta_sts = CONFIG_STS_ENFORCE;
	ready(worker, "a");
	expect(worker, W_QUIT);
	expect_host("a", "", "skip");
	ended = expect_ended(destination, OUTCOME_DEFERRED, false);
	assert_string_equal(ended.rule, "sts-mx-mismatch");
}

/* A host that was slow to prove itself gets a message all the same. */
static void
test_slow_proof(void **state)
{
	uint64_t destination, session;
	struct wire_port *worker;
	struct w_socket socket;
	struct w_proof proof;

	(void)state;
	destination = due(DOMAIN);
	answer_route("a=1", STS_ABSENT, 3600);
	worker = new_worker();
	socket = expect_socket(worker, "a");
	session = socket.session;
	channel_find(world.manager, session)->since_ms -= 6 * 60 * 1000;
	proof = proof_of(session);
	say(worker, W_READY, &proof);
	expect(&world.queue, D_HOST);
	expect_next(session);
	deliver_one(worker, destination, session, "a");
	/* Then it is enough. */
	expect(worker, W_QUIT);
	expect_ended(destination, 0, false);
}

/*
 * A proof by TLSA records holds for these records and names: a resolver may
 * turn them round, nobody may change them.
 */
static void
test_reuse_tlsa(void **state)
{
	static const struct signed_route first = { .mx_secure = true,
	    .tlsa = TLSA_USABLE, .base = "a", .records = two_records,
	    .tlsa_len = sizeof(two_records), .life_s = -1 };
	static const struct {
		const char		*base, *canonical;
		const uint8_t		*records;
		bool			 goes_on;
	} rows[] = {
		{ "a", "", two_records, true },
		{ "a", "", turned_records, true },
		{ "a", "", other_records, false },
		{ "b", "", two_records, false },
		{ "a", "c.test", two_records, false },
	};
	struct wire_port *worker;
	uint64_t destination, question;
	struct signed_route next;
	struct w_socket socket;
	struct w_proof proof;
	unsigned i;

	(void)state;
	for (i = 0; i < N(rows); i++) {
		destination = due(DOMAIN);
		answer_signed(expect_ask(DOMAIN), &first);
		worker = new_worker();
		socket = expect_socket(worker, "a");
		proof = proof_of(socket.session);
		snprintf(proof.tlsa_matched, sizeof(proof.tlsa_matched),
		    "3 1 1 0101");
		say(worker, W_READY, &proof);
		expect(&world.queue, D_HOST);
		question = expect_ask(DOMAIN);
		next = first;
		next.base = rows[i].base;
		next.canonical = rows[i].canonical;
		next.records = rows[i].records;
		next.life_s = 600;
		answer_signed(question, &next);
		if (rows[i].goes_on) {
			expect_next(socket.session);
			none_for(destination, socket.session);
		}
		expect(worker, W_QUIT);
		if (!rows[i].goes_on)
			carry_anew(destination, "a");
		expect_ended(destination, 0, false);
		wire_port_close(worker);
		turns(5);
	}
}

/* An exemption that ends, ends with it what was proven under it. */
static void
test_reuse_exempt(void **state)
{
	static struct config_exempt exempt = { .domain = { DOMAIN } };
	struct wire_port *worker;
	struct w_socket socket;
	struct w_proof proof;
	uint64_t destination, job;

	(void)state;
	exempt.until_s = loop_wall_s() + 60;
	world.config->exempt = &exempt;
	world.config->exempt_n = 1;
	destination = due(DOMAIN);
	answer_route("a=1", STS_ENFORCE, 600);
	worker = new_worker();
	socket = expect_socket(worker, "a");
	proof = proof_of(socket.session);
	proof.cert = CERT_EXPIRED;
	say(worker, W_READY, &proof);
	expect(&world.queue, D_HOST);
	expect_next(socket.session);
	job = job_for(destination, socket.session, 1, 0, BODY_7BIT, 3);
	expect_job(worker, job, 1);
	exempt.until_s = loop_wall_s() - 1;
	result(worker, job, 0, OUTCOME_DELIVERED);
	done(worker, job, DONE_SERVED, true);
	expect_result("r0@" DOMAIN, OUTCOME_DELIVERED, "a");
	expect(worker, W_QUIT);
	expect_ended(destination, 0, false);
	world.config->exempt_n = 0;
}

/*
 * DANE-7672-2.2.1-4, DANE-7672-2.2.1-5: behind an insecure answer the host is
 * named as the MX record has it, and what it proved is never said of the
 * domain.
 */
static void
test_host_only(void **state)
{
	static const struct {
		bool		 mx_secure;
		const char	*rule;
	} rows[] = {
		{ true, "dane-verified" },
		{ false, "dane-host-only-verified" },
	};
	struct signed_route route = { .tlsa = TLSA_USABLE, .base = "alias.a",
	    .records = two_records, .tlsa_len = sizeof(two_records),
	    .life_s = 600 };
	struct wire_port *worker;
	const struct d_host *note;
	const struct d_result *told;
	struct w_socket socket;
	struct w_proof proof;
	uint64_t destination, job;
	unsigned i;

	(void)state;
	for (i = 0; i < N(rows); i++) {
		route.mx_secure = rows[i].mx_secure;
		destination = due(DOMAIN);
		answer_signed(expect_ask(DOMAIN), &route);
		worker = new_worker();
		socket = expect_socket(worker, "a");
		proof = proof_of(socket.session);
		snprintf(proof.tlsa_matched, sizeof(proof.tlsa_matched),
		    "3 1 1 0101");
		say(worker, W_READY, &proof);
		note = expect(&world.queue, D_HOST);
		assert_string_equal(note->host, "a");
		assert_string_equal(note->rule, rows[i].rule);
		expect_next(socket.session);
		job = job_for(destination, socket.session, 1, 0, BODY_7BIT,
		    3);
		expect_job(worker, job, 1);
		result(worker, job, 0, OUTCOME_DELIVERED);
		done(worker, job, DONE_SERVED, true);
		told = expect(&world.queue, D_RESULT);
		assert_string_equal(told->host, "a");
		assert_string_equal(told->rule, rows[i].rule);
		expect_next(socket.session);
		none_for(destination, socket.session);
		expect_ended(destination, 0, false);
	}
}

/* ---- relayhosts ---- */

static struct d_ended
relay_ended(uint64_t destination, enum outcome outcome)
{
	return expect_ended(destination, outcome, false);
}

/* How a URL says that it is spoken to.  DANE-7672-2.2.3-1 */
static void
test_relay_socket(void **state)
{
	static const struct {
		const char	*url;
		bool		 verified, implicit_tls;
	} rows[] = {
		{ "smtp://relay.test", false, false },
		{ "submission://relay.test", true, false },
		{ "smtps://[relay.test]", true, true },
	};
	struct r_route route = { .outcome = ROUTE_OK, .hosts = 1,
	    .settings = world.manager->settings,
	    .valid_until = loop_wall_s() + 600,
	    .policy_domain = "relay.test" };
	struct address address = { .family = 4, .ip = { 192, 0, 2, 1 } };
	static struct r_host host;
	struct w_socket socket;
	struct r_end end;
	unsigned i;

	(void)state;
	for (i = 0; i < N(rows); i++) {
		due(rows[i].url);
		route.question = end.question = expect_ask(rows[i].url);
		host = (struct r_host){ .question = route.question,
		    .name = "a", .mx_match = true, .port = 1000 + i };
		route_put_address(host.addresses, &host.addresses_len,
		    sizeof(host.addresses), &address);
		say(&world.policy, R_ROUTE, &route);
		say(&world.policy, R_HOST, &host);
		say(&world.policy, R_END, &end);
		socket = expect_socket(new_worker(), "a");
		assert_int_equal(connect_port, 1000 + i);
		assert_true(socket.relayhost);
		assert_int_equal(socket.relayhost_verified,
		    rows[i].verified);
		assert_int_equal(socket.implicit_tls, rows[i].implicit_tls);
		assert_int_equal(socket.name_given, rows[i].implicit_tls);
	}
}

#define RELAYS	"smtp://one.test,submission://two.test,smtps://[three.test]"

/*
 * The next one in the same attempt, when all hosts of one came to nothing;
 * the operator's rules are those for its own name (STS-3.4-1, trap T46).
 */
static void
test_relay_next(void **state)
{
	static struct config_exempt exempt = { .domain = { "two.test" } };
	uint64_t destination, session;
	struct wire_port *worker;
	struct w_socket socket;
	struct w_proof proof;

	(void)state;
	exempt.until_s = loop_wall_s() + 60;
	world.config->exempt = &exempt;
	world.config->exempt_n = 1;
	destination = due(RELAYS);
	route_for(expect_ask("smtp://one.test"), "a=100 b=101", STS_ABSENT,
	    600);
	expect_host("a", "192.0.2.100", "unreachable");
	expect_host("b", "192.0.2.101", "unreachable");
	/* The same host, by another way. */
	route_for(expect_ask("submission://two.test"), "a=1", STS_ABSENT,
	    600);
	worker = new_worker();
	socket = expect_socket(worker, "a");
	assert_true(socket.exempt);
	proof = proof_of(socket.session);
	say(worker, W_READY, &proof);
	assert_true(((const struct d_host *)expect(&world.queue,
	    D_HOST))->ready);
	session = expect_next(socket.session);
	deliver_one(worker, destination, session, "a");
	expect_next(session);
	none_for(destination, session);
	expect_ended(destination, 0, false);
	silence(&world.policy);
	world.config->exempt_n = 0;
}

/* None of them: what is told is of the last one; all count. */
static void
test_relay_none(void **state)
{
	struct d_ended ended;
	uint64_t destination;

	(void)state;
	destination = due(RELAYS);
	route_for(expect_ask("smtp://one.test"), "a=100", STS_ABSENT, 600);
	expect_host("a", "192.0.2.100", "unreachable");
	route_for(expect_ask("submission://two.test"), "a=100", STS_ABSENT,
	    600);
	expect_host("a", "192.0.2.100", "unreachable");
	route_for(expect_ask("smtps://[three.test]"), "c=101", STS_ABSENT,
	    600);
	expect_host("c", "192.0.2.101", "unreachable");
	ended = relay_ended(destination, OUTCOME_DEFERRED);
	assert_string_equal(ended.enhanced, "4.4.1");
	assert_non_null(strstr(ended.text, "c: connect"));
	/* A policy that refused the first counts still, in its words. */
	destination = due("smtp://one.test,smtp://two.test");
	route_for(expect_ask("smtp://one.test"), "a!=1", STS_ENFORCE, 600);
	expect_host("a", "", "skip");
	route_for(expect_ask("smtp://two.test"), "b=100", STS_ABSENT, 600);
	expect_host("b", "192.0.2.100", "unreachable");
	ended = relay_ended(destination, OUTCOME_DEFERRED);
	assert_true(ended.policy_refused);
	assert_string_equal(ended.rule, "sts-mx-mismatch");
	assert_non_null(strstr(ended.text, "a: "));
}

static void
no_way(uint64_t question, enum route_outcome outcome, const char *enhanced)
{
	struct r_route route = { .question = question, .outcome = outcome,
	    .rule = "nxdomain", .clause = "RFC 5321 5.1",
	    .text = "no such name" };
	struct r_end end = { question };

	snprintf(route.enhanced, sizeof(route.enhanced), "%s", enhanced);
	say(&world.policy, R_ROUTE, &route);
	say(&world.policy, R_END, &end);
}

/* A relay without a way to it is passed; mail fails only if all are. */
static void
test_relay_no_way(void **state)
{
	struct d_ended ended;
	uint64_t destination, session;

	(void)state;
	destination = due("smtp://one.test,smtp://two.test");
	no_way(expect_ask("smtp://one.test"), ROUTE_FAIL, "5.1.2");
	route_for(expect_ask("smtp://two.test"), "a=1", STS_ABSENT, 600);
	session = ready(new_worker(), "a");
	expect_next(session);
	none_for(destination, session);
	expect_ended(destination, 0, false);

	destination = due("smtp://one.test,smtp://two.test");
	no_way(expect_ask("smtp://one.test"), ROUTE_AGAIN, "4.4.3");
	no_way(expect_ask("smtp://two.test"), ROUTE_FAIL, "5.1.2");
	ended = relay_ended(destination, OUTCOME_DEFERRED);
	assert_string_equal(ended.enhanced, "4.4.4");
	assert_string_equal(ended.text, "no such name");

	destination = due("smtp://one.test,smtp://two.test");
	no_way(expect_ask("smtp://one.test"), ROUTE_FAIL, "5.1.2");
	no_way(expect_ask("smtp://two.test"), ROUTE_FAIL, "5.1.2");
	ended = relay_ended(destination, OUTCOME_FAILED);
	assert_string_equal(ended.enhanced, "5.1.2");

	destination = due("smtp://one.test,smtp://two.test");
	no_way(expect_ask("smtp://one.test"), ROUTE_FAIL, "5.1.2");
	route_for(expect_ask("smtp://two.test"), "a=100", STS_ABSENT, 600);
	expect_host("a", "192.0.2.100", "unreachable");
	relay_ended(destination, OUTCOME_DEFERRED);
}

/*
 * A message that a proven relay does not take now goes to the next one, when
 * the sessions with the first are over: they are judged by its route.  Never
 * to a host twice; and nothing else is taken along (STS-3.4-1, trap T46).
 */
static void
test_relay_refused(void **state)
{
	uint64_t destination, session, jobs[2];
	struct wire_port *first, *second;
	struct w_socket socket;
	struct w_proof proof;
	unsigned i;

	(void)state;
	destination = due(RELAYS);
	route_for(expect_ask("smtp://one.test"), "a=1", STS_ABSENT, 600);
	first = new_worker();
	session = ready(first, "a");
	for (i = 0; i < 2; i++) {
		expect_next(session);
		jobs[i] = job_for(destination, session, 1, 0, BODY_7BIT, 3);
		expect_job(first, jobs[i], 1);
		done(first, jobs[i], DONE_REFUSED, true);
	}
	expect_next(session);
	deliver_one(first, destination, session, "a");
	expect_next(session);
	silence(&world.policy);
	none_for(destination, session);
	expect(first, W_QUIT);
	route_for(expect_ask("submission://two.test"), "a=1 b=2", STS_ENFORCE,
	    600);
	second = new_worker();
	socket = expect_socket(second, "b");
	assert_true(socket.relayhost_verified);
	proof = proof_of(socket.session);
	say(second, W_READY, &proof);
	expect(&world.queue, D_HOST);
	for (i = 0; i < 2; i++) {
		expect_job(second, jobs[i], 1);
		pass_body(second, jobs[i]);
		result(second, jobs[i], 0, OUTCOME_DELIVERED);
		done(second, jobs[i], DONE_SERVED, true);
		expect_result("r0@" DOMAIN, OUTCOME_DELIVERED, "b");
	}
	expect(second, W_QUIT);
	expect_ended(destination, 0, false);
	silence(&world.policy);
}

/* No relay takes it: what the last one said is told, of the message alone. */
static void
test_relay_refused_by_all(void **state)
{
	uint64_t destination, session, job;
	struct wire_port *worker;

	(void)state;
	destination = due(RELAYS);
	route_for(expect_ask("smtp://one.test"), "a=1", STS_ABSENT, 600);
	worker = new_worker();
	session = ready(worker, "a");
	expect_next(session);
	job = job_for(destination, session, 1, 0, BODY_7BIT, 3);
	expect_job(worker, job, 1);
	done(worker, job, DONE_REFUSED, false);
	idle(worker);
	no_way(expect_ask("submission://two.test"), ROUTE_AGAIN, "4.4.3");
	route_for(expect_ask("smtps://[three.test]"), "c!=1 d=2", STS_ENFORCE,
	    600);
	expect_host("c", "", "skip");
	ready(worker, "d");
	expect_job(worker, job, 1);
	done(worker, job, DONE_LOST, false);
	expect_result("r0@" DOMAIN, OUTCOME_DEFERRED, "d");
	expect_ended(destination, OUTCOME_DEFERRED, false);
	silence(&world.policy);
}

/* The connection broke at the first, and the second is not there. */
static void
test_relay_lost(void **state)
{
	uint64_t destination, session, job;
	struct wire_port *worker;
	struct d_ended ended;

	(void)state;
	destination = due("smtp://one.test,smtp://two.test");
	route_for(expect_ask("smtp://one.test"), "a=1", STS_ABSENT, 600);
	worker = new_worker();
	session = ready(worker, "a");
	expect_next(session);
	job = job_for(destination, session, 1, 0, BODY_7BIT, 3);
	expect_job(worker, job, 1);
	done(worker, job, DONE_LOST, false);
	route_for(expect_ask("smtp://two.test"), "b=100", STS_ABSENT, 600);
	expect_host("b", "192.0.2.100", "unreachable");
	expect_result("r0@" DOMAIN, OUTCOME_DEFERRED, "a");
	ended = relay_ended(destination, OUTCOME_DEFERRED);
	assert_string_equal(ended.enhanced, "4.4.2");
	assert_string_equal(ended.text, "a: went away");
}

/* Past the final dot nobody else is asked. */
static void
test_relay_after_dot(void **state)
{
	uint64_t destination, session, job;
	struct wire_port *worker;

	(void)state;
	destination = due(RELAYS);
	route_for(expect_ask("smtp://one.test"), "a=1", STS_ABSENT, 600);
	worker = new_worker();
	session = ready(worker, "a");
	expect_next(session);
	job = job_for(destination, session, 1, 0, BODY_7BIT, 3);
	expect_job(worker, job, 1);
	pass_body(worker, job);
	dot(worker, job);
	done(worker, job, DONE_LOST, false);
	expect(&world.queue, D_RETURN);
	expect_ended(destination, 0, false);
	silence(&world.policy);
}

/* A relay's port is not what a provider blocks. */
static void
test_relay_port(void **state)
{
	static struct r_host host;
	struct r_route route = { .outcome = ROUTE_OK, .hosts = 1,
	    .settings = world.manager->settings,
	    .valid_until = loop_wall_s() + 600 };
	struct address address = { .family = 4,
	    .ip = { 192, 0, 2, IS_SILENT } };
	unsigned i, ended = 0;
	const void *message;
	int fds[WIRE_FDS_MAX];
	struct r_end end;
	char url[64];

	(void)state;
	for (i = 0; i < ALARM_DOMAINS; i++) {
		snprintf(url, sizeof(url), "submission://r%u.test", i);
		due(url);
		route.question = end.question = expect_ask(url);
		host = (struct r_host){ .question = route.question,
		    .name = "a", .mx_match = true, .port = 587 };
		address.ip[3] = (uint8_t)(IS_SILENT + i);
		route_put_address(host.addresses, &host.addresses_len,
		    sizeof(host.addresses), &address);
		say(&world.policy, R_ROUTE, &route);
		say(&world.policy, R_HOST, &host);
		say(&world.policy, R_END, &end);
	}
	while (ended < ALARM_DOMAINS) {
		i = next_message(&world.queue, &message, fds);
		assert_true(i == D_HOST || i == D_ENDED);
		ended += i == D_ENDED;
	}
	assert_string_equal(alarms, "");
}

/* ---- routes that lead nowhere, and policy's death ---- */

static void
test_no_route(void **state)
{
	static const struct {
		enum route_outcome	outcome;
		enum outcome		ended;
	} rows[] = {
		{ ROUTE_AGAIN, OUTCOME_DEFERRED },
		{ ROUTE_FAIL, OUTCOME_FAILED },
	};
	struct r_route route;
	struct r_end end;
	struct d_ended ended;
	uint64_t destination;
	unsigned i;

	(void)state;
	for (i = 0; i < N(rows); i++) {
		destination = due(DOMAIN);
		route = (struct r_route){ .outcome = rows[i].outcome,
		    .enhanced = "5.1.10", .rule = "null-mx",
		    .clause = "RFC 7505 3", .text = "takes no mail" };
		route.question = ((const struct r_ask *)expect(
		    &world.policy, R_ASK))->question;
		say(&world.policy, R_ROUTE, &route);
		end.question = route.question;
		say(&world.policy, R_END, &end);
		ended = expect_ended(destination, rows[i].ended, false);
		assert_string_equal(ended.enhanced, "5.1.10");
		assert_string_equal(ended.rule, "null-mx");
		assert_string_equal(ended.clause, "RFC 7505 3");
		assert_string_equal(ended.text, "takes no mail");
	}
}

/* Trap T30: mail waits until there is a policy program again. */
static void
test_policy_dies(void **state)
{
	struct r_route route = { .outcome = ROUTE_OK, .hosts = 1,
	    .settings = world.manager->settings };
	const struct r_ask *ask;
	uint64_t session;

	(void)state;
	due(DOMAIN);
	ask = expect(&world.policy, R_ASK);
	route.question = ask->question;
	say(&world.policy, R_ROUTE, &route);
	wire_port_close(&world.policy);
	silence(&world.queue);
	give_link(&world.policy, PROGRAM_POLICY, &route_wire);
	answer_route("a=1", STS_ABSENT, 600);
	session = ready(new_worker(), "a");
	expect_next(session);
	silence(&world.policy);
	/* One that comes while there is none waits as well. */
	wire_port_close(&world.policy);
	turns(5);
	due("c.test");
	silence(&world.queue);
	give_link(&world.policy, PROGRAM_POLICY, &route_wire);
	answer_route("a=2", STS_ABSENT, 600);
	ready(new_worker(), "a");
}

/* ---- routes that run out, and reloads, in between ---- */

/* What is known of this destination is past its time from now on. */
static void
outdate(uint64_t destination)
{
	attempt_find(world.manager, destination)->route->route.valid_until =
	    loop_wall_s() - 1;
}

/*
 * New settings, under which routes are looked for otherwise; of a host that
 * has no TLSA records they ask the same.
 */
static void
reload(void)
{
	struct config *config = config_new();
	bool trusts = world.config->trust_resolver != CONFIG_TRUST_NO;

	config->workers = 8;
	config->per_domain = 20;
	config->per_host = 10;
	config->connect_timeout_s = 1;
	config->trust_resolver = trusts ? CONFIG_TRUST_NO :
	    CONFIG_TRUST_AUTO;
	manager_settings(world.manager, config, -1);
	world.config = config;
}

/* What makes a route old: its time is over, or the settings are others. */
static void
make_old(uint64_t destination, bool by_reload)
{
	if (by_reload)
		reload();
	else
		outdate(destination);
}

/* Drawn, but the route ran out before it was all there: it goes back. */
static void
test_old_before_message(void **state)
{
	struct d_job about = { .job = 900, .message = 77, .size_bytes = 3,
	    .sender = "s@a.test", .recipients = 1 };
	struct d_rcpt rcpt = { .job = 900, .recipient = "r0@" DOMAIN };
	uint64_t destination, session;
	struct wire_port *worker;
	unsigned i;

	(void)state;
	for (i = 0; i < 4; i++) {
		worker = begin(&destination, &session, "a=1");
		about.destination = destination;
		about.session = session;
		/* Between D_NEXT and D_JOB, or D_JOB and its recipient. */
		if (i < 2)
			make_old(destination, i == 1);
		say(&world.queue, D_JOB, &about);
		if (i >= 2)
			make_old(destination, i == 3);
		say(&world.queue, D_RCPT, &rcpt);
		assert_int_equal(((const struct d_return *)expect(
		    &world.queue, D_RETURN))->job, 900);
		expect(worker, W_QUIT);
		silence(worker);
		expect_ended(destination, 0, false);
		wire_port_close(worker);
		turns(5);
	}
}

/*
 * A session that has nothing else to do is not what the route asks for any
 * more: the message that another host refused is not sent on it.
 */
static void
test_old_before_homeless(void **state)
{
	uint64_t destination, session, spare, third, job;
	struct wire_port *first, *second, *last;
	unsigned i;

	(void)state;
	for (i = 0; i < 2; i++) {
		world.config->per_domain = 1;
		first = begin(&destination, &session, "a=1 b=2");
		job = job_for(destination, session, 1, 50, BODY_7BIT, 3);
		expect_job(first, job, 1);
		expect_body(job);
		expect_next(session);		/* ahead */
		done(first, job, DONE_REFUSED, false);
		none_for(destination, session);
		second = new_worker();
		spare = ready(second, "b");
		expect_job(second, job, 1);
		result(second, job, 0, OUTCOME_DELIVERED);
		done(second, job, DONE_SERVED, true);
		expect_result("r0@" DOMAIN, OUTCOME_DELIVERED, "b");
		expect_next(spare);
		/* One more with the better host, which refuses again. */
		world.config->per_domain = 20;
		attempt_mark(attempt_find(world.manager, destination));
		last = new_worker();
		third = ready(last, "a");
		expect_next(third);
		job = job_for(destination, third, 1, 0, BODY_7BIT, 3);
		expect_job(last, job, 1);
		done(last, job, DONE_REFUSED, true);
		expect_next(third);
		make_old(destination, i == 1);
		none_for(destination, spare);
		expect(second, W_QUIT);
		if (i == 1)
			answer_route("a=1 b=2", STS_ABSENT, 600);
		expect_result("r0@" DOMAIN, OUTCOME_DEFERRED, "a");
		none_for(destination, third);
		expect(last, W_QUIT);
		expect_ended(destination, 0, false);
		wire_port_close(first);
		wire_port_close(second);
		wire_port_close(last);
		turns(5);
	}
}

/* STS-5-3: a failed handshake on a route of old is no way to clear text. */
static void
test_old_before_clear_retry(void **state)
{
	struct wire_port *worker;
	uint64_t destination;
	struct d_ended ended;
	unsigned i;

	(void)state;
	for (i = 0; i < 2; i++) {
		destination = due(DOMAIN);
		answer_route("a=1", STS_ABSENT, 600);
		worker = new_worker();
		turns(5);
		make_old(destination, i == 1);
		broken_tls(worker, "a");
		expect_host("a", "192.0.2.1", "reconnect");
		if (i == 1)
			answer_route("a=1", STS_ENFORCE, 600);
		ended = expect_ended(destination, OUTCOME_DEFERRED, false);
		assert_string_equal(ended.text, "a: what is known of the "
		    "domain ran out");
		silence(&world.spawner);
		wire_port_close(worker);
		turns(5);
	}
}

/*
 * A reload binds what is open: the session carries no message before policy
 * has been asked anew, and none by an answer of the old settings.
 */
static void
test_reload_open_session(void **state)
{
	uint64_t destination, session, job, old, question;
	struct wire_port *worker;

	(void)state;
	worker = begin(&destination, &session, "a=1");
	job = job_for(destination, session, 1, 0, BODY_7BIT, 3);
	expect_job(worker, job, 1);
	old = world.manager->settings;
	reload();
	assert_int_not_equal(world.manager->settings, old);
	result(worker, job, 0, OUTCOME_DELIVERED);
	done(worker, job, DONE_SERVED, true);
	expect_result("r0@" DOMAIN, OUTCOME_DELIVERED, "a");
	question = expect_ask(DOMAIN);
	silence(&world.queue);
	/* Policy has not heard of them yet. */
	route_under(old, question, "a=1", STS_ABSENT, 600);
	silence(&world.queue);
	silence(worker);
	assert_int_equal(expect_ask(DOMAIN), question);
	route_for(question, "a=1", STS_ABSENT, 600);
	expect_next(session);
	assert_int_equal(attempt_find(world.manager, destination)->repeats,
	    0);
	none_for(destination, session);
	expect(worker, W_QUIT);
	expect_ended(destination, 0, false);
}

/* An answer that no step was made on yet is as old as any. */
static void
test_reload_unused_route(void **state)
{
	uint64_t destination, session, job;
	struct wire_port *worker;

	(void)state;
	world.config->per_domain = 1;
	worker = begin(&destination, &session, "a=1");
	job = job_for(destination, session, 1, 50, BODY_7BIT, 3);
	expect_job(worker, job, 1);
	expect_body(job);
	expect_next(session);
	none_for(destination, session);
	attempt_find(world.manager, destination)->drained = false;
	outdate(destination);
	world.config->per_domain = 20;
	attempt_mark(attempt_find(world.manager, destination));
	turns(3);
	/* Asked for one more session, which there is no room for by now. */
	world.config->per_host = 1;
	answer_route("a=1", STS_ABSENT, 600);
	assert_true(attempt_find(world.manager, destination)->route_unused);
	reload();
	result(worker, job, 0, OUTCOME_DELIVERED);
	done(worker, job, DONE_SERVED, true);
	expect_result("r0@" DOMAIN, OUTCOME_DELIVERED, "a");
	expect_ask(DOMAIN);
	silence(&world.queue);
}

/*
 * The same while a host is proven, before one is known, and while one waits
 * for its turn: nothing is opened by the old answer.
 */
static void
test_reload_without_session(void **state)
{
	uint64_t destination, session, old, question;
	struct wire_port *worker;

	(void)state;
	destination = due(DOMAIN);
	question = expect_ask(DOMAIN);
	old = world.manager->settings;
	reload();
	route_under(old, question, "a=1", STS_ABSENT, 600);
	silence(&world.spawner);
	assert_int_equal(expect_ask(DOMAIN), question);
	route_for(question, "a=1", STS_ABSENT, 600);
	worker = new_worker();
	reload();
	ready(worker, "a");
	question = expect_ask(DOMAIN);
	silence(worker);
	route_for(question, "a=1", STS_ENFORCE, 600);
	/* By now something else is asked of it. */
	expect(worker, W_QUIT);
	carry_anew(destination, "a");
	expect_ended(destination, 0, false);
	wire_port_close(worker);
	turns(5);
	/* All connections are taken. */
	world.config->workers = 1;
	worker = begin(&destination, &session, "a=1");
	world.config->workers = 2;
	due("c.test");
	question = expect_ask("c.test");
	world.config->workers = 1;
	route_for(question, "c=3", STS_ABSENT, 600);
	silence(&world.spawner);
	reload();
	question = expect_ask("c.test");
	silence(&world.spawner);
	route_for(question, "c=3", STS_ENFORCE, 600);
	expect_socket(new_worker(), "c");
}

/*
 * Policy that never has our settings: some questions, at their distance, and
 * the mail waits; its domain is not blamed.
 */
static void
test_settings_at_odds(void **state)
{
	int64_t begun_ms = wire_now_ms();
	uint64_t destination, question;
	struct d_ended ended;
	unsigned i;

	(void)state;
	destination = due(DOMAIN);
	for (i = 0; i <= 15; i++) {
		question = expect_ask(DOMAIN);
		route_under(4711, question, "a=1", STS_ABSENT, 600);
	}
	ended = expect_ended(destination, OUTCOME_DEFERRED, false);
	assert_string_equal(ended.rule, "own-failure");
	assert_string_equal(ended.enhanced, "4.3.0");
	silence(&world.policy);
	silence(&world.spawner);
	assert_in_range(wire_now_ms() - begun_ms, 15 * 200, 30000);
	assert_int_equal(log_count("other settings"), 1);
	/* What needed no look-up has none. */
	destination = due("[nonsense");
	no_way(expect_ask("[nonsense"), ROUTE_FAIL, "5.1.2");
	expect_ended(destination, OUTCOME_FAILED, false);
}

/*
 * T45: questions that wait for somebody's web server keep nobody from asking;
 * there is an end to them all the same.
 */
static void
test_slow_questions(void **state)
{
	const unsigned young = 100, all = 3000;
	struct attempt *attempt;
	uint64_t question = 0;
	char domain[32];
	unsigned i;

	(void)state;
	world.config->workers = 500;
	for (i = 0; i < young; i++) {
		snprintf(domain, sizeof(domain), "s%u.test", i);
		due(domain);
		question = expect_ask(domain);
	}
	due("late.test");
	silence(&world.policy);
	TAILQ_FOREACH(attempt, &world.manager->asking, ask)
		attempt->asked_ms -= 1500;
	silence(&world.policy);
	/* Two seconds old. */
	TAILQ_FOREACH(attempt, &world.manager->asking, ask)
		attempt->asked_ms -= 600;
	expect_ask("late.test");
	assert_int_equal(world.manager->asks_n, 1);
	assert_int_equal(world.manager->slow_asks_n, young);
	/* The answer to one of them. */
	no_way(question, ROUTE_AGAIN, "4.4.3");
	expect_ended(young, OUTCOME_DEFERRED, false);
	assert_int_equal(world.manager->slow_asks_n, young - 1);
	world.manager->slow_asks_n = all - 1;
	due("no.test");
	silence(&world.policy);
	world.manager->slow_asks_n--;
	expect_ask("no.test");
	world.manager->slow_asks_n = young - 1;
}

/* ---- queue's death ---- */

static void
test_queue_dies(void **state)
{
	uint64_t destination, session, early, late, kept;
	struct wire_port *worker, *other;
	struct w_socket socket;
	struct w_proof proof;
	const struct d_held *held;
	int i;

	(void)state;
	/* One message past its dot, with a result that is not settled. */
	worker = begin(&destination, &session, "a=1");
	late = job_for(destination, session, 3, 0, BODY_7BIT, 3);
	expect_job(worker, late, 3);
	result(worker, late, 1, OUTCOME_FAILED);
	pass_body(worker, late);
	dot(worker, late);
	/* Another one before it. */
	other = begin(&destination, &session, "a=2");
	early = job_for(destination, session, 1, 0, BODY_7BIT, 3);
	expect_job(other, early, 1);
	pass_body(other, early);
	/* And a session that is being proven. */
	due("d.test");
	answer_route("a=3", STS_ABSENT, 600);
	socket = expect_socket(new_worker(), "a");
	wire_port_close(&world.queue);
	expect(other, W_CUT);
	done(other, early, DONE_CUT, false);
	idle(other);
	silence(worker);
	/* The one past its dot gets an answer while nobody listens. */
	result(worker, late, 0, OUTCOME_DELIVERED);

	give_link(&world.queue, PROGRAM_QUEUE, &feed_wire);
	for (i = 0; i < 3; i++) {
		held = expect(&world.queue, D_HELD);
		assert_true(held->running);
		assert_int_equal(held->job, late);
		assert_int_equal(held->message, 501);
		assert_int_equal(held->recipient[1], '0' + i);
	}
	expect(&world.queue, D_SYNCED);
	result(worker, late, 2, OUTCOME_DELIVERED);
	done(worker, late, DONE_SERVED, true);
	kept = expect_result("r1@" DOMAIN, OUTCOME_FAILED, "a");
	assert_true(expect_result("r0@" DOMAIN, OUTCOME_DELIVERED, "a") >
	    kept);
	expect_result("r2@" DOMAIN, OUTCOME_DELIVERED, "a");
	/* Of the old attempts nothing is left but that. */
	expect(worker, W_QUIT);
	proof = proof_of(socket.session);
	say(&world.workers[2], W_READY, &proof);
	expect(&world.workers[2], W_QUIT);
	silence(&world.queue);
	/* What was settled is not held any more. */
	settle(kept + 1);
	wire_port_close(&world.queue);
	turns(5);
	give_link(&world.queue, PROGRAM_QUEUE, &feed_wire);
	held = expect(&world.queue, D_HELD);
	assert_false(held->running);
	assert_string_equal(held->recipient, "r2@" DOMAIN);
	expect(&world.queue, D_SYNCED);
	expect_result("r2@" DOMAIN, OUTCOME_DELIVERED, "a");
}

/*
 * The dot is under way while queue dies: what is said then is heard, and the
 * fresh queue knows of it before it gives anything out.
 */
static void
test_queue_dies_at_dot(void **state)
{
	uint64_t destination, session, job;
	struct wire_port *worker;
	const struct d_held *held;

	(void)state;
	worker = begin(&destination, &session, "a=1");
	job = job_for(destination, session, 1, 0, BODY_7BIT, 3);
	expect_job(worker, job, 1);
	pass_body(worker, job);
	wire_port_close(&world.queue);
	expect(worker, W_CUT);
	/* It crossed with that. */
	dot(worker, job);
	give_link(&world.queue, PROGRAM_QUEUE, &feed_wire);
	held = expect(&world.queue, D_HELD);
	assert_true(held->running);
	assert_int_equal(held->job, job);
	expect(&world.queue, D_SYNCED);
	result(worker, job, 0, OUTCOME_DELIVERED);
	done(worker, job, DONE_SERVED, true);
	expect_result("r0@" DOMAIN, OUTCOME_DELIVERED, "a");
	silence(&world.queue);
	/* It has heard W_CUT: more would be for its next session. */
	silence(worker);
	idle(worker);
	assert_int_equal(world.manager->channels_n, 0);
}

/* What a stale job did not achieve is given back, behind its results. */
static void
test_queue_dies_in_message(void **state)
{
	uint64_t destination, session, job;
	struct wire_port *worker;
	const struct d_return *back;

	(void)state;
	worker = begin(&destination, &session, "a=1");
	job = job_for(destination, session, 2, 0, BODY_7BIT, 3);
	expect_job(worker, job, 2);
	result(worker, job, 0, OUTCOME_FAILED);
	wire_port_close(&world.queue);
	expect(worker, W_CUT);
	give_link(&world.queue, PROGRAM_QUEUE, &feed_wire);
	expect(&world.queue, D_HELD);
	expect(&world.queue, D_HELD);
	expect(&world.queue, D_SYNCED);
	done(worker, job, DONE_CUT, false);
	expect_result("r0@" DOMAIN, OUTCOME_FAILED, "a");
	back = expect(&world.queue, D_RETURN);
	assert_int_equal(back->job, job);
	silence(&world.queue);
}

/* The worker of a message past its dot dies while there is no queue. */
static void
test_worker_dies_without_queue(void **state)
{
	uint64_t destination, session, job;
	struct wire_port *worker;

	(void)state;
	worker = begin(&destination, &session, "a=1");
	job = job_for(destination, session, 1, 0, BODY_7BIT, 3);
	expect_job(worker, job, 1);
	pass_body(worker, job);
	dot(worker, job);
	wire_port_close(&world.queue);
	turns(5);
	wire_port_close(worker);
	turns(5);
	give_link(&world.queue, PROGRAM_QUEUE, &feed_wire);
	expect(&world.queue, D_SYNCED);
	silence(&world.queue);
}

/* More results than a link takes at once. */
static void
test_many_results(void **state)
{
	uint64_t destination, session, job;
	struct wire_port *worker;
	unsigned round, i, held = 0, results = 0;
	const void *message;
	int fds[WIRE_FDS_MAX];

	(void)state;
	worker = begin(&destination, &session, "a=1");
	for (round = 0; round < 60; round++) {
		job = job_for(destination, session, 100, 0, BODY_7BIT, 3);
		expect_job(worker, job, 100);
		for (i = 0; i < 100; i++)
			result(worker, job, i, OUTCOME_DELIVERED);
		done(worker, job, DONE_SERVED, true);
		for (i = 0; i < 100; i++)
			expect(&world.queue, D_RESULT);
		expect_next(session);
	}
	wire_port_close(&world.queue);
	turns(5);
	give_link(&world.queue, PROGRAM_QUEUE, &feed_wire);
	while (next_message(&world.queue, &message, fds) == D_HELD)
		held++;
	assert_int_equal(held, 6000);
	while (results < 6000) {
		expect(&world.queue, D_RESULT);
		results++;
	}
	silence(&world.queue);
}

/* The verdict on a destination comes behind those on its messages. */
static void
test_ended_behind_results(void **state)
{
	uint64_t destination, session, job;
	struct wire_port *worker;
	unsigned round, i, results = 0;
	const void *message;
	int fds[WIRE_FDS_MAX];
	unsigned kind;

	(void)state;
	worker = begin(&destination, &session, "a=1");
	for (round = 0; round < 60; round++) {
		job = job_for(destination, session, 100, 0, BODY_7BIT, 3);
		expect_job(worker, job, 100);
		for (i = 0; i < 100; i++)
			result(worker, job, i, OUTCOME_DELIVERED);
		done(worker, job, DONE_SERVED, true);
		for (i = 0; i < 100; i++)
			expect(&world.queue, D_RESULT);
		expect_next(session);
	}
	/* A fresh link takes them not at once: and the attempt is new. */
	wire_port_close(&world.queue);
	turns(5);
	idle(worker);
	give_link(&world.queue, PROGRAM_QUEUE, &feed_wire);
	destination = due("c.test");
	answer_route("a=100", STS_ABSENT, 600);
	while (results < 6000) {
		kind = next_message(&world.queue, &message, fds);
		results += kind == D_RESULT;
		if (kind == D_ENDED || kind == 0)
			fail_msg("%#x after %u results", kind, results);
	}
	expect_ended(destination, OUTCOME_DEFERRED, false);
}

/* Queue can give no body: the message comes back, nobody is blamed. */
static void
test_no_body(void **state)
{
	uint64_t destination, session, job;
	struct wire_port *worker;
	struct w_id id;

	(void)state;
	world.manager->body_ms = 50;
	worker = begin(&destination, &session, "a=1");
	job = job_for(destination, session, 1, 0, BODY_7BIT, 3);
	expect_job(worker, job, 1);
	id.job = job;
	say(worker, W_BODY, &id);
	expect_body(job);
	expect(worker, W_CUT);
	done(worker, job, DONE_CUT, false);
	assert_int_equal(((const struct d_return *)expect(&world.queue,
	    D_RETURN))->job, job);
	expect_ended(destination, 0, true);
	/* Too late. */
	send_body(job);
	idle(worker);
	silence(&world.queue);
	/* One that comes in time stops the clock. */
	world.manager->body_ms = 200;
	destination = due(DOMAIN);
	answer_route("a=1", STS_ABSENT, 600);
	session = ready(worker, "a");
	expect_next(session);
	job = job_for(destination, session, 1, 0, BODY_7BIT, 3);
	expect_job(worker, job, 1);
	pass_body(worker, job);
	usleep(300000);
	silence(worker);
}

/* ---- D_HOLD ---- */

static void
test_hold(void **state)
{
	uint64_t destination, session, job;
	struct wire_port *worker;
	struct w_socket socket;
	struct w_proof proof;

	(void)state;
	/* While it asks. */
	destination = due(DOMAIN);
	expect(&world.policy, R_ASK);
	hold(destination);
	expect_ended(destination, 0, true);
	/* While it connects. */
	destination = due(DOMAIN);
	answer_route("a=150", STS_ABSENT, 600);
	hold(destination);
	expect_ended(destination, 0, true);
	/* While a server is proven: QUIT when it is. */
	destination = due(DOMAIN);
	answer_route("a=1", STS_ABSENT, 600);
	worker = new_worker();
	socket = expect_socket(worker, "a");
	hold(destination);
	expect_ended(destination, 0, true);
	proof = proof_of(socket.session);
	say(worker, W_READY, &proof);
	expect(worker, W_QUIT);
	idle(worker);
	/* While queue is asked: what crosses goes back. */
	destination = due(DOMAIN);
	answer_route("a=1", STS_ABSENT, 600);
	session = ready(worker, "a");
	expect_next(session);
	hold(destination);
	expect(worker, W_QUIT);
	job = job_for(destination, session, 1, 0, BODY_7BIT, 3);
	assert_int_equal(((const struct d_return *)expect(&world.queue,
	    D_RETURN))->job, job);
	expect_ended(destination, 0, false);
	idle(worker);
	/* While a message is sent: it ends as it does. */
	destination = due(DOMAIN);
	answer_route("a=1", STS_ABSENT, 600);
	session = ready(worker, "a");
	expect_next(session);
	job = job_for(destination, session, 1, 0, BODY_7BIT, 3);
	expect_job(worker, job, 1);
	hold(destination);
	silence(&world.queue);
	dot(worker, job);
	result(worker, job, 0, OUTCOME_DELIVERED);
	done(worker, job, DONE_SERVED, true);
	expect_result("r0@" DOMAIN, OUTCOME_DELIVERED, "a");
	expect(worker, W_QUIT);
	expect_ended(destination, 0, false);
	/* One that is unknown. */
	hold(12345);
	silence(&world.queue);
}

/* ---- limits ---- */

static void
test_more_sessions(void **state)
{
	uint64_t destination, session, job, second_session;
	struct wire_port *first, *second;

	(void)state;
	first = begin(&destination, &session, "a=1");
	/* Two more messages for one session: worth another. */
	job = job_for(destination, session, 1, 2, BODY_7BIT, 3);
	expect_job(first, job, 1);
	expect_body(job);
	expect_next(session);
	second = new_worker();
	second_session = ready(second, "a");
	expect_next(second_session);
	/* A quarter of eight workers is two. */
	job = job_for(destination, second_session, 1, 900, BODY_7BIT, 3);
	expect_job(second, job, 1);
	expect_body(job);
	silence(&world.spawner);
	none_for(destination, session);
}

/*
 * While many wait the next message and its body come during the one before;
 * its worker gets it in its turn, and the body when the server wants it.
 */
static void
test_ahead(void **state)
{
	uint64_t destination, session, job, next;
	struct wire_port *worker;

	(void)state;
	world.config->per_domain = 1;
	worker = begin(&destination, &session, "a=1");
	job = job_for(destination, session, 1, 3, BODY_7BIT, 3);
	expect_job(worker, job, 1);
	expect_body(job);
	expect_next(session);
	next = job_for(destination, session, 2, 2, BODY_7BIT, 3);
	expect_body(next);
	send_body(next);
	silence(worker);
	pass_early_body(worker, job);
	result(worker, job, 0, OUTCOME_DELIVERED);
	done(worker, job, DONE_SERVED, true);
	expect_result("r0@" DOMAIN, OUTCOME_DELIVERED, "a");
	expect_job(worker, next, 2);
	expect_next(session);
	silence(worker);
	say(worker, W_BODY, &(struct w_id){ next });
	take_body(worker, next);
	/* A second transaction of the same message: the body once more. */
	say(worker, W_BODY, &(struct w_id){ next });
	expect_body(next);
	send_body(next);
	take_body(worker, next);
}

/* Where none waits for each session, none is kept behind another. */
static void
test_no_ahead(void **state)
{
	uint64_t destination, session, job;
	struct wire_port *worker;

	(void)state;
	world.config->per_domain = 1;
	worker = begin(&destination, &session, "a=1");
	job = job_for(destination, session, 1, 0, BODY_7BIT, 3);
	expect_job(worker, job, 1);
	silence(&world.queue);
}

/* The recipients of the next one may come late, and it may be the last. */
static void
test_ahead_late(void **state)
{
	struct d_rcpt rcpt = { .recipient = "r1@" DOMAIN, .number = 1 };
	uint64_t destination, session, job;
	struct wire_port *worker;
	struct d_job ahead = { .message = 77, .sender = "s@a.test",
	    .job = 900, .size_bytes = 3, .recipients = 2, .more = 0 };

	(void)state;
	world.config->per_domain = 1;
	worker = begin(&destination, &session, "a=1");
	job = job_for(destination, session, 1, 1, BODY_7BIT, 3);
	expect_job(worker, job, 1);
	expect_body(job);
	expect_next(session);
	ahead.destination = destination;
	ahead.session = session;
	rcpt.job = ahead.job;
	say(&world.queue, D_JOB, &ahead);
	rcpt.number = 0;
	say(&world.queue, D_RCPT, &rcpt);
	result(worker, job, 0, OUTCOME_DELIVERED);
	done(worker, job, DONE_SERVED, true);
	expect_result("r0@" DOMAIN, OUTCOME_DELIVERED, "a");
	silence(worker);
	rcpt.number = 1;
	say(&world.queue, D_RCPT, &rcpt);
	expect_job(worker, ahead.job, 2);
	silence(&world.queue);
}

/* The answer comes when the session is idle, or is none. */
static void
test_ahead_unanswered(void **state)
{
	uint64_t destination, session, job;
	struct wire_port *worker;
	unsigned round;

	(void)state;
	world.config->per_domain = 1;
	worker = begin(&destination, &session, "a=1");
	for (round = 0; round < 2; round++) {
		job = job_for(destination, session, 1, 1, BODY_7BIT, 3);
		expect_job(worker, job, 1);
		expect_body(job);
		expect_next(session);
		if (round == 1)
			none_for(destination, session);
		result(worker, job, 0, OUTCOME_DELIVERED);
		done(worker, job, DONE_SERVED, true);
		expect_result("r0@" DOMAIN, OUTCOME_DELIVERED, "a");
		if (round == 1)
			expect_next(session);
		silence(&world.queue);
	}
	none_for(destination, session);
	expect(worker, W_QUIT);
	expect_ended(destination, 0, false);
}

/* Whoever goes gives back what it was to send next. */
static void
test_ahead_returned(void **state)
{
	enum { LOST, DIED, CUT, HELD, CASES } way;
	struct d_destination held = { 0 };
	uint64_t session, job, next;
	struct wire_port *worker;
	const struct d_return *back;

	(void)state;
	world.config->per_domain = 1;
	for (way = 0; way < CASES; way++) {
		worker = begin(&held.destination, &session, "a=1");
		job = job_for(held.destination, session, 1, 3, BODY_7BIT, 3);
		expect_job(worker, job, 1);
		expect_body(job);
		expect_next(session);
		next = job_for(held.destination, session, 1, 2, BODY_7BIT, 3);
		expect_body(next);
		send_body(next);
		if (way == LOST) {
			result(worker, job, 0, OUTCOME_DELIVERED);
			done(worker, job, DONE_SERVED, false);
			expect_result("r0@" DOMAIN, OUTCOME_DELIVERED, "a");
		} else if (way == DIED) {
			wire_port_close(worker);
			expect(&world.queue, D_RETURN);
		} else if (way == CUT) {
			channel_cut(channel_find(world.manager, session));
			expect(worker, W_CUT);
			done(worker, job, DONE_CUT, false);
			expect(&world.queue, D_RETURN);
		} else {
			say(&world.queue, D_HOLD, &held);
		}
		back = expect(&world.queue, D_RETURN);
		assert_int_equal(back->job, next);
		if (way == HELD) {
			result(worker, job, 0, OUTCOME_DELIVERED);
			done(worker, job, DONE_SERVED, true);
			expect_result("r0@" DOMAIN, OUTCOME_DELIVERED, "a");
		}
		expect(&world.queue, D_ENDED);
	}
	assert_true(TAILQ_EMPTY(&world.manager->jobs));
}

/* The route says otherwise by now: what was drawn ahead does not go there. */
static void
test_ahead_is_judged(void **state)
{
	uint64_t destination, session, job, next;
	struct wire_port *worker;
	const struct r_ask *ask;

	(void)state;
	world.config->per_domain = 1;
	worker = begin(&destination, &session, "a=1");
	job = job_for(destination, session, 1, 3, BODY_7BIT, 3);
	expect_job(worker, job, 1);
	expect_body(job);
	expect_next(session);
	next = job_for(destination, session, 1, 2, BODY_7BIT, 3);
	expect_body(next);
	attempt_find(world.manager, destination)->route->route.valid_until =
	    0;
	result(worker, job, 0, OUTCOME_DELIVERED);
	done(worker, job, DONE_SERVED, true);
	expect_result("r0@" DOMAIN, OUTCOME_DELIVERED, "a");
	ask = expect(&world.policy, R_ASK);
	silence(worker);
	route_for(ask->question, "a=1", STS_ENFORCE, 600);
	expect(worker, W_QUIT);
	assert_int_equal(((const struct d_return *)expect(&world.queue,
	    D_RETURN))->job, next);
	expect_ended(destination, 0, false);
}

/* Nobody is idle while a message lies behind another's. */
static void
test_ahead_taken_over(void **state)
{
	uint64_t destination, session, second_session, job, next;
	struct wire_port *first, *second;

	(void)state;
	first = begin(&destination, &session, "a=1");
	job = job_for(destination, session, 1, 2, BODY_7BIT, 3);
	expect_job(first, job, 1);
	expect_body(job);
	expect_next(session);
	second = new_worker();
	second_session = ready(second, "a");
	expect_next(second_session);
	next = job_for(destination, session, 1, 0, BODY_7BIT, 3);
	expect_body(next);
	none_for(destination, second_session);
	expect_job(second, next, 1);
	silence(first);
	result(second, next, 0, OUTCOME_DELIVERED);
	done(second, next, DONE_SERVED, true);
	expect_result("r0@" DOMAIN, OUTCOME_DELIVERED, "a");
	expect_next(second_session);
	none_for(destination, second_session);
	expect(second, W_QUIT);
}

/* The next queue says anew what is due: nothing drawn ahead is kept. */
static void
test_ahead_queue_dies(void **state)
{
	uint64_t destination, session, job, next;
	struct wire_port *worker;
	const struct d_held *held;

	(void)state;
	world.config->per_domain = 1;
	worker = begin(&destination, &session, "a=1");
	job = job_for(destination, session, 1, 3, BODY_7BIT, 3);
	expect_job(worker, job, 1);
	expect_body(job);
	expect_next(session);
	next = job_for(destination, session, 1, 2, BODY_7BIT, 3);
	expect_body(next);
	pass_early_body(worker, job);
	dot(worker, job);
	wire_port_close(&world.queue);
	turns(10);
	give_link(&world.queue, PROGRAM_QUEUE, &feed_wire);
	held = expect(&world.queue, D_HELD);
	assert_int_equal(held->job, job);
	expect(&world.queue, D_SYNCED);
	result(worker, job, 0, OUTCOME_DELIVERED);
	done(worker, job, DONE_SERVED, true);
	expect_result("r0@" DOMAIN, OUTCOME_DELIVERED, "a");
	expect(worker, W_QUIT);
	silence(worker);
}

/* A destination that has proven nothing holds one connection. */
static void
test_one_until_proven(void **state)
{
	(void)state;
	due(DOMAIN);
	answer_route("a=1", STS_ABSENT, 600);
	expect_socket(new_worker(), "a");
	silence(&world.spawner);
	assert_int_equal(world.manager->channels_n, 1);
}

/* An additional session that does not come about is no harm. */
static void
test_extra_fails(void **state)
{
	uint64_t destination, session, job;
	struct wire_port *first;

	(void)state;
	first = begin(&destination, &session, "a=1 b=2");
	job = job_for(destination, session, 1, 50, BODY_7BIT, 3);
	expect_job(first, job, 1);
	expect_body(job);
	expect_next(session);
	fail_session(new_worker(), "a", PROOF_REFUSED);
	expect_host("a", "192.0.2.1", "refused");
	result(first, job, 0, OUTCOME_DELIVERED);
	done(first, job, DONE_SERVED, true);
	expect_result("r0@" DOMAIN, OUTCOME_DELIVERED, "a");
	job = job_for(destination, session, 1, 50, BODY_7BIT, 3);
	expect_job(first, job, 1);
	expect_body(job);
	silence(&world.spawner);
}

static void
test_workers(void **state)
{
	uint64_t destinations[10];
	struct wire_port *workers[10];
	struct w_socket socket;
	struct w_proof proof;
	char domain[16];
	unsigned i;

	(void)state;
	world.config->workers = 2;
	for (i = 0; i < 3; i++) {
		snprintf(domain, sizeof(domain), "d%u.test", i);
		destinations[i] = due(domain);
	}
	for (i = 0; i < 2; i++) {
		answer_route(i == 0 ? "a=1" : "a=2", STS_ABSENT, 600);
		workers[i] = new_worker();
	}
	/* The third is not even asked about. */
	silence(&world.policy);
	socket = expect_socket(workers[0], "a");
	proof = proof_of(socket.session);
	say(workers[0], W_READY, &proof);
	expect(&world.queue, D_HOST);
	expect_next(socket.session);
	none_for(destinations[0], socket.session);
	expect_ended(destinations[0], 0, false);
	silence(&world.policy);
	idle(workers[0]);
	answer_route("a=3", STS_ABSENT, 600);
	expect(workers[0], W_QUIT);
	expect_socket(workers[0], "a");
	/* None at all: mail is taken and waits. */
	world.config->workers = 0;
	due("e.test");
	silence(&world.policy);
}

/* All slots are taken: who has several gives one up, behind a message. */
static void
test_makes_room(void **state)
{
	uint64_t destination, session, second, job;
	struct wire_port *worker, *extra;
	char name[16], hosts[16];
	unsigned i;

	(void)state;
	worker = begin(&destination, &session, "a=1");
	job = job_for(destination, session, 1, 9, BODY_7BIT, 3);
	expect_job(worker, job, 1);
	expect_body(job);
	expect_next(session);		/* ahead */
	extra = new_worker();
	second = ready(extra, "a");
	expect_next(second);
	for (i = 0; i < 6; i++) {
		snprintf(name, sizeof(name), "d%u.test", i);
		snprintf(hosts, sizeof(hosts), "b=%u", 10 + i);
		due(name);
		answer_route(hosts, STS_ABSENT, 600);
		expect_socket(new_worker(), "b");
	}
	due("late.test");
	silence(&world.policy);
	job = job_for(destination, second, 1, 0, BODY_7BIT, 3);
	expect_job(extra, job, 1);
	result(extra, job, 0, OUTCOME_DELIVERED);
	done(extra, job, DONE_SERVED, true);
	expect(extra, W_QUIT);
	idle(extra);
	answer_route("c=30", STS_ABSENT, 600);
	expect_socket(extra, "c");
}

static void
test_per_host(void **state)
{
	uint64_t first, second, session;
	struct wire_port *worker;

	(void)state;
	world.config->per_host = 1;
	worker = begin(&first, &session, "a=1");
	second = due("c.test");
	answer_route("x=1 y=2", STS_ABSENT, 600);
	/* It waits for its best host, and does not go to the other. */
	silence(&world.spawner);
	assert_int_equal(world.manager->channels_n, 1);
	none_for(first, session);
	expect_ended(first, 0, false);
	expect(worker, W_QUIT);
	idle(worker);
	expect_socket(worker, "x");
	/* One that is stopped while it waits makes room for the next. */
	due("d.test");
	answer_route("x=1", STS_ABSENT, 600);
	silence(&world.spawner);
	hold(3);
	expect_ended(3, 0, true);
	(void)second;
}

/* ---- the provider's wall ---- */

static void
time_out(const char *domain)
{
	uint64_t destination = due(domain);

	answer_route("a=150", STS_ABSENT, 600);
	expect_host("a", "192.0.2.150", "unreachable");
	expect_ended(destination, OUTCOME_DEFERRED, false);
}

static void
test_port_25_alarm(void **state)
{
	uint64_t destination, session;

	(void)state;
	world.config->connect_timeout_s = 0;
	time_out("a.test");
	time_out("a.test");
	time_out("b.test");
	time_out("c.test");
	time_out("d.test");
	assert_string_equal(alarms, "");
	time_out("e.test");
	assert_string_equal(alarms, "port25 ");
	world.config->connect_timeout_s = 1;
	begin(&destination, &session, "a=1");
	assert_string_equal(alarms, "port25 no port25 ");
}

/* ---- what reports are told ---- */

static void
give_reports(void)
{
	if (world.reports.octets != NULL)
		wire_port_close(&world.reports);
	turns(5);
	give_link(&world.reports, PROGRAM_REPORTS, &session_wire);
}

static struct t_session
expect_told_at(int line)
{
	static struct t_session session;

	memcpy(&session, expect_at(line, &world.reports, T_SESSION, NULL),
	    sizeof(session));
	return session;
}
#define expect_told()	expect_told_at(__LINE__)

static void
counted(uint64_t sequence)
{
	struct t_counted message = { sequence };

	say(&world.reports, T_COUNTED, &message);
}

/* Give the session to prove to a worker, and have it say this of it. */
static void
prove_as(enum sts_mode sts, const char *hosts, unsigned kind,
    struct w_proof proof)
{
	struct wire_port *worker;
	struct w_socket socket;

	due(DOMAIN);
	answer_route(hosts, sts, 600);
	worker = new_worker();
	socket = expect_socket(worker, "a");
	proof.session = socket.session;
	say(worker, kind, &proof);
}

/* What queue and the others hear is other tests' concern. */
static void
drop_destination(void)
{
	hold(world.destinations);
	none_for(world.destinations, world.manager->last_session);
	for (unsigned i = 0; i < world.workers_n; i++)
		if (world.workers[i].octets != NULL) {
			wire_port_close(&world.workers[i]);
			world.workers[i].octets = NULL;
		}
	world.workers_n = 0;
	while (wire_port_receive(&world.queue, &(const void *){ NULL },
	    (int[WIRE_FDS_MAX]){ 0 }, 0) > 0)
		turns(1);
}

static void
test_told_once(void **state)
{
	struct report_detail detail;
	struct t_session told;
	struct w_proof proof;
	struct w_socket socket;
	struct wire_port *worker;
	uint64_t destination;
	int64_t now_s = time(NULL);

	(void)state;
	give_reports();
	destination = due(DOMAIN);
	answer_route("mx=1", STS_ENFORCE, 600);
	worker = new_worker();
	socket = expect_socket(worker, "mx");
	silence(&world.reports);
	proof = proof_of(socket.session);
	snprintf(proof.helo, sizeof(proof.helo), "mail.b.test");
	say(worker, W_READY, &proof);
	told = expect_told();
	assert_int_equal(told.sequence, 1);
	assert_in_range(told.when_s, now_s, now_s + 60);
	assert_string_equal(told.domain, DOMAIN);
	assert_string_equal(told.sts_id, "id1");
	assert_int_equal(told.sts_text, 4711);
	assert_string_equal(told.tlsa_base, "");
	assert_string_equal(told.local, "192.0.2.77");
	assert_string_equal(told.host, "mx");
	assert_string_equal(told.helo, "mail.b.test");
	assert_string_equal(told.address, "192.0.2.1");
	assert_true(telling_first(&told, REPORT_STS, &detail));
	assert_int_equal(detail.result, RESULT_SUCCESS);
	assert_int_equal(log_count("session domain=b.test type=sts "
	    "policy=id1 host=mx addr=192.0.2.1 result=success reason=\"\"\n"),
	    1);
	/* Messages add nothing, nor does what becomes of them. */
	expect(&world.queue, D_HOST);
	expect_next(socket.session);
	deliver_one(worker, destination, socket.session, "mx");
	expect_next(socket.session);
	none_for(destination, socket.session);
	expect(worker, W_QUIT);
	idle(worker);
	silence(&world.reports);
	assert_int_equal(log_count("session domain="), 1);
}

/* One session for each row: what the log says of it, line by line. */
static const struct {
	const char	*name;
	enum sts_mode	 sts;
	unsigned	 kind;
	struct w_proof	 proof;
	const char	*logged;	/* "": it is not counted */
} told_rows[] = {
	{ "TLS without a policy", STS_ABSENT, W_READY, { .starttls_known =
	  true, .starttls = STARTTLS_DONE, .cert = CERT_NOT_TRUSTED },
	  "type=no-policy-found policy=\"\" host=a addr=192.0.2.1 "
	  "result=success reason=\"\"" },
	{ "no STARTTLS without a policy", STS_ABSENT, W_READY,
	  { .starttls_known = true, .starttls = STARTTLS_ABSENT },
	  "type=no-policy-found policy=\"\" host=a addr=192.0.2.1 "
	  "result=starttls-not-supported reason=\"\"" },
	{ "STARTTLS refused", STS_TESTING, W_READY, { .starttls_known = true,
	  .starttls = STARTTLS_REFUSED, .tls_reason = "454 4.7.0 no" },
	  "type=sts policy=id1 host=a addr=192.0.2.1 "
	  "result=validation-failure reason=\"454 4.7.0 no\"" },
	{ "a handshake that fails, under enforce", STS_ENFORCE, W_FAILED,
	  { .failure = PROOF_POLICY, .starttls_known = true,
	  .starttls = STARTTLS_BROKEN, .tls_reason = "wrong version number" },
	  "type=sts policy=id1 host=a addr=192.0.2.1 "
	  "result=validation-failure reason=\"wrong version number\"" },
	{ "two defects: the first in the log", STS_ENFORCE, W_FAILED,
	  { .failure = PROOF_POLICY, .starttls_known = true,
	  .starttls = STARTTLS_DONE, .cert = CERT_EXPIRED | CERT_NOT_TRUSTED,
	  .errors_len = 2, .errors = { 10, 18 } },
	  "type=sts policy=id1 host=a addr=192.0.2.1 "
	  "result=certificate-not-trusted "
	  "reason=X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT" },
	/* TLS as required, whatever SMTP said later */
	{ "EHLO refused inside TLS", STS_ENFORCE, W_FAILED, { .failure =
	  PROOF_REFUSED, .starttls_known = true, .starttls = STARTTLS_DONE },
	  "type=sts policy=id1 host=a addr=192.0.2.1 result=success "
	  "reason=\"\"" },
	{ "closed inside TLS", STS_ABSENT, W_FAILED, { .failure =
	  PROOF_CLOSED, .starttls_known = true, .starttls = STARTTLS_DONE },
	  "type=no-policy-found policy=\"\" host=a addr=192.0.2.1 "
	  "result=success reason=\"\"" },
	/* RPT-4.3.4-1 */
	{ "a greeting that refuses", STS_ENFORCE, W_FAILED, { .failure =
	  PROOF_REFUSED }, "" },
	{ "closed before EHLO was answered", STS_ENFORCE, W_FAILED,
	  { .failure = PROOF_CLOSED }, "" },
	{ "no answer in time", STS_ENFORCE, W_FAILED, { .failure =
	  PROOF_TIMEOUT }, "" },
	{ "421 to STARTTLS", STS_ENFORCE, W_FAILED, { .failure =
	  PROOF_REFUSED, .code = 421 }, "" },
	/* our own doing */
	{ "cut by us", STS_ENFORCE, W_FAILED, { .failure = PROOF_CUT,
	  .starttls_known = true, .starttls = STARTTLS_DONE }, "" },
	/* mode none: ruling 10 */
	{ "mode none with TLS", STS_NONE, W_READY, { .starttls_known = true,
	  .starttls = STARTTLS_DONE }, "type=no-policy-found policy=\"\" "
	  "host=a addr=192.0.2.1 result=success reason=\"\"" },
	{ "mode none without TLS", STS_NONE, W_READY, { .starttls_known =
	  true, .starttls = STARTTLS_ABSENT }, "" },
	/* a worker that claims what does not hold is ended,
	 * and another one begun: the last row */
	{ "a lie", STS_ENFORCE, W_READY, { .starttls_known = true,
	  .starttls = STARTTLS_ABSENT }, "" },
};

static void
test_told_rows(void **state)
{
	char line[512];
	unsigned i;
	bool told;

	(void)state;
	give_reports();
	for (i = 0; i < N(told_rows); i++) {
		prove_as(told_rows[i].sts, "a=1", told_rows[i].kind,
		    told_rows[i].proof);
		drop_destination();
		snprintf(line, sizeof(line), "session domain=b.test %s\n",
		    told_rows[i].logged);
		told = told_rows[i].logged[0] != '\0';
		if (told)
			expect_told();
		if (log_count("session domain=") != told ||
		    log_count(line) != told)
			fail_msg("%s: %s", told_rows[i].name, logged.text);
		buffer_free(&logged);
	}
	silence(&world.reports);
}

/* Both policies: a line, and a block, for each. */
static void
test_told_both(void **state)
{
	static struct r_host host;
	struct report_detail detail;
	struct t_session told;
	struct w_socket socket;
	struct wire_port *worker;
	struct w_proof proof;
	struct r_route route = { .outcome = ROUTE_OK, .hosts = 1,
	    .settings = world.manager->settings,
	    .sts = STS_ENFORCE, .sts_id = "id1", .sts_text = 4711,
	    .valid_until = loop_wall_s() + 600, .mx_secure = true };
	struct address address = { .family = 4, .ip = { 192, 0, 2, 1 } };
	struct r_end end;

	(void)state;
	give_reports();
	due(DOMAIN);
	route.question = end.question = ((const struct r_ask *)expect(
	    &world.policy, R_ASK))->question;
	host = (struct r_host){ .question = route.question, .name = "a",
	    .mx_match = true, .tlsa_state = TLSA_UNUSABLE,
	    .tlsa_base = "base.test", .tlsa_len = 5,
	    .tlsa = { 3, 0, 0, 1, 1 }, .address_secure = true };
	route_put_address(host.addresses, &host.addresses_len,
	    sizeof(host.addresses), &address);
	say(&world.policy, R_ROUTE, &route);
	say(&world.policy, R_HOST, &host);
	say(&world.policy, R_END, &end);
	worker = new_worker();
	socket = expect_socket(worker, "a");
	proof = proof_of(socket.session);
	say(worker, W_READY, &proof);
	told = expect_told();
	assert_string_equal(told.tlsa_base, "base.test");
	assert_int_equal(told.tlsa_len, 5);
	assert_memory_equal(told.tlsa, host.tlsa, 5);
	assert_true(telling_first(&told, REPORT_STS, &detail));
	assert_true(telling_first(&told, REPORT_TLSA, &detail));
	assert_false(telling_first(&told, REPORT_NO_POLICY, &detail));
	assert_int_equal(log_count("session domain=b.test type=sts "
	    "policy=id1 host=a addr=192.0.2.1 result=success "), 1);
	assert_int_equal(log_count("session domain=base.test type=tlsa "
	    "policy=\"\" host=a addr=192.0.2.1 result=tlsa-invalid "
	    "reason=dane-all-unusable\n"), 1);
}

/* RPT-1.1-1, trap T46: a relay's sessions are told by the relay's name. */
static void
test_told_relay(void **state)
{
	struct r_route route = { .outcome = ROUTE_OK, .hosts = 1,
	    .settings = world.manager->settings,
	    .sts = STS_ENFORCE, .sts_id = "id1",
	    .policy_domain = "relay.test",
	    .valid_until = loop_wall_s() + 600 };
	struct address address = { .family = 4, .ip = { 192, 0, 2, 1 } };
	struct wire_port *worker;
	static struct r_host host;
	struct w_socket socket;
	struct w_proof proof;
	struct r_end end;

	(void)state;
	give_reports();
	due("smtp://relay.test");
	route.question = end.question = expect_ask("smtp://relay.test");
	host = (struct r_host){ .question = route.question, .name = "a",
	    .mx_match = true, .port = 25 };
	route_put_address(host.addresses, &host.addresses_len,
	    sizeof(host.addresses), &address);
	say(&world.policy, R_ROUTE, &route);
	say(&world.policy, R_HOST, &host);
	say(&world.policy, R_END, &end);
	worker = new_worker();
	socket = expect_socket(worker, "a");
	proof = proof_of(socket.session);
	say(worker, W_READY, &proof);
	assert_string_equal(expect_told().domain, "relay.test");
	assert_int_equal(log_count("session domain=relay.test type=sts"), 1);
}

/* Ruling 18: refused by name alone: one session, without address. */
static void
test_told_refused(void **state)
{
	struct report_detail detail;
	struct t_session told;

	(void)state;
	give_reports();
	due(DOMAIN);
	answer_route("a!=1 b=2", STS_ENFORCE, 600);
	told = expect_told();
	assert_string_equal(told.host, "a");
	assert_string_equal(told.address, "");
	assert_string_equal(told.local, "");
	assert_string_equal(told.sts_id, "id1");
	assert_true(telling_first(&told, REPORT_STS, &detail));
	assert_int_equal(detail.result, RESULT_VALIDATION_FAILURE);
	assert_string_equal(detail.reason, "sts-mx-mismatch");
	assert_int_equal(log_count("host=a addr=\"\" "
	    "result=validation-failure reason=sts-mx-mismatch\n"), 1);
	expect(&world.queue, D_HOST);
	ready(new_worker(), "b");
	told = expect_told();
	assert_string_equal(told.host, "b");
	silence(&world.reports);
}

/* Ruling 18, 19: the retry in clear is the same session's. */
static void
test_told_clear_retry(void **state)
{
	struct w_socket socket;
	struct wire_port *worker;
	struct w_proof proof;

	(void)state;
	give_reports();
	due(DOMAIN);
	answer_route("a=1", STS_TESTING, 600);
	worker = new_worker();
	broken_tls(worker, "a");
	expect_told();
	expect(&world.queue, D_HOST);
	worker = new_worker();
	socket = expect_socket(worker, "a");
	assert_true(socket.clear_retry);
	proof = proof_of(socket.session);
	proof.starttls = STARTTLS_BROKEN;
	say(worker, W_READY, &proof);
	expect(&world.queue, D_HOST);
	expect_next(socket.session);
	silence(&world.reports);
	assert_int_equal(log_count("session domain="), 1);
}

static void
test_told_nothing(void **state)
{
	(void)state;
	give_reports();
	/* RPT-4.3.4-1: refused, unreachable, silent. */
	world.config->connect_timeout_s = 0;
	due(DOMAIN);
	answer_route("a=100 b=150 c=200", STS_ENFORCE, 600);
	expect_host("a", "192.0.2.100", "unreachable");
	expect_host("b", "192.0.2.150", "unreachable");
	expect_host("c", "192.0.2.200", "unreachable");
	expect(&world.queue, D_ENDED);
	/* RPT-3-11: what carries reports, proven or refused by name. */
	world.config->connect_timeout_s = 1;
	due_again(++world.destinations, DOMAIN, CLASS_REPORT);
	answer_route("a!=1", STS_ENFORCE, 600);
	expect_next(ready(new_worker(), "a"));
	/* An address has no policy domain. */
	due("[192.0.2.2]");
	answer_route("a=2", STS_ABSENT, 600);
	ready(new_worker(), "a");
	silence(&world.reports);
	assert_int_equal(log_count("session domain="), 0);
}

/* A session that is proven when nobody wants it any more counts. */
static void
test_told_orphan(void **state)
{
	struct wire_port *worker;
	struct w_socket socket;
	struct w_proof proof;

	(void)state;
	give_reports();
	due(DOMAIN);
	answer_route("a=1", STS_ABSENT, 600);
	worker = new_worker();
	socket = expect_socket(worker, "a");
	hold(world.destinations);
	expect_ended(world.destinations, 0, true);
	proof = proof_of(socket.session);
	say(worker, W_READY, &proof);
	expect(worker, W_QUIT);
	expect_told();
	silence(&world.reports);
	/* Stopping waits for it to be counted, if it can be. */
	assert_true(tell_is_owed(world.manager));
	counted(1);
	assert_false(tell_is_owed(world.manager));
}

/* T33: N sessions are N told, over deaths of who counts them. */
static void
test_told_all(void **state)
{
	struct t_session told;
	uint64_t epoch = 0;
	unsigned i;

	(void)state;
	for (i = 0; i < 100; i++) {
		prove_as(STS_ENFORCE, "a=1", W_READY, proof_of(0));
		drop_destination();
		if (i == 20)
			give_reports();
	}
	for (i = 1; i <= 100; i++) {
		told = expect_told();
		assert_int_equal(told.sequence, i);
		assert_true(epoch == 0 || told.epoch == epoch);
		epoch = told.epoch;
	}
	assert_int_equal(log_count("session domain="), 100);
	counted(60);
	assert_string_equal(needs, "");
	/* It dies: one is asked for, and all that it has not is said. */
	wire_port_close(&world.reports);
	world.reports.octets = NULL;
	turns(5);
	assert_string_equal(needs, "culver-reports ");
	prove_as(STS_ENFORCE, "a=1", W_READY, proof_of(0));
	drop_destination();
	give_reports();
	for (i = 61; i <= 101; i++) {
		told = expect_told();
		assert_int_equal(told.sequence, i);
		assert_true(told.epoch == epoch);
	}
	counted(101);
	assert_int_equal(outbox_kept(world.manager->sessions), 0);
	give_reports();
	silence(&world.reports);
}

/* A program that takes nothing holds up no mail, and costs what it may. */
static void
test_told_to_nobody(void **state)
{
	static struct t_session session;
	uint64_t destination, number;
	struct wire_port *worker;
	unsigned i;

	(void)state;
	snprintf(session.domain, sizeof(session.domain), DOMAIN);
	for (i = 0; i < 10001; i++)
		outbox_put(world.manager->sessions, &session);
	assert_int_equal(outbox_kept(world.manager->sessions), 10000);
	worker = begin(&destination, &number, "a=1");
	deliver_one(worker, destination, number, "a");
	assert_int_equal(outbox_kept(world.manager->sessions), 10000);
	assert_true(log_count("sessions are lost") > 0);
}

static void
test_told_bytes(void **state)
{
	static struct t_session session;
	unsigned i;

	(void)state;
	session.tlsa_len = sizeof(session.tlsa);
	for (i = 0; i < 3000; i++)
		outbox_put(world.manager->sessions, &session);
	/* 16 MiB of some 8.3 KiB each */
	assert_in_range(outbox_kept(world.manager->sessions), 1900, 2048);
}

/* `tls-report off`: nothing is told, kept or logged; and on again. */
static void
test_told_off(void **state)
{
	struct config *config;
	struct wire_port *worker;
	struct w_socket socket;
	struct w_proof proof;

	(void)state;
	give_reports();
	due("c.test");
	answer_route("a=2", STS_ABSENT, 600);
	worker = new_worker();
	socket = expect_socket(worker, "a");
	config = config_new();
	config->workers = 8;
	config->per_domain = 20;
	config->per_host = 10;
	config->connect_timeout_s = 1;
	manager_settings(world.manager, config, -1);
	assert_null(world.manager->sessions);
	expect_closed(&world.reports);
	/* One that was under way, and one that is new. */
	proof = proof_of(socket.session);
	say(worker, W_READY, &proof);
	prove_as(STS_ENFORCE, "a=1", W_READY, proof_of(0));
	due("d.test");
	answer_route("a!=1", STS_ENFORCE, 600);
	give_reports();
	expect_closed(&world.reports);
	assert_int_equal(log_count("session domain="), 0);
	assert_string_equal(needs, "");
	config = config_new();
	config->workers = 8;
	config->per_domain = 20;
	config->per_host = 10;
	config->connect_timeout_s = 1;
	config->tls_report = true;
	manager_settings(world.manager, config, -1);
	give_reports();
	due("e.test");
	answer_route("a!=1", STS_ENFORCE, 600);
	expect_told();
	assert_int_equal(log_count("session domain="), 1);
}

/* ---- stopping ---- */

static void
test_stop(void **state)
{
	uint64_t destination, session, job, waiting;
	struct wire_port *worker, *proving;

	(void)state;
	worker = begin(&destination, &session, "a=1");
	job = job_for(destination, session, 1, 0, BODY_7BIT, 3);
	expect_job(worker, job, 1);
	due("c.test");
	answer_route("a=2", STS_ABSENT, 600);
	proving = new_worker();
	expect_socket(proving, "a");
	waiting = due("d.test");
	expect(&world.policy, R_ASK);
	manager_stop(world.manager);
	expect(proving, W_CUT);
	expect_ended(waiting - 1, 0, true);
	expect_ended(waiting, 0, true);
	idle(proving);
	/* What runs may end. */
	dot(worker, job);
	result(worker, job, 0, OUTCOME_DELIVERED);
	done(worker, job, DONE_SERVED, true);
	settle(expect_result("r0@" DOMAIN, OUTCOME_DELIVERED, "a"));
	expect(worker, W_QUIT);
	expect_ended(destination, 0, true);
	idle(worker);
	/* Nothing is begun. */
	destination = due("e.test");
	expect_ended(destination, 0, true);
	loop_run(world.loop);		/* returns: it is over */
}

/* A minute is enough for the answer to a final dot. */
static void
test_stop_at_dot(void **state)
{
	uint64_t destination, session, job;
	struct wire_port *worker;

	(void)state;
	worker = begin(&destination, &session, "a=1");
	job = job_for(destination, session, 1, 0, BODY_7BIT, 3);
	expect_job(worker, job, 1);
	pass_body(worker, job);
	dot(worker, job);
	manager_stop(world.manager);
	world.manager->stop_ms -= 59 * 1000;
	silence(worker);
	usleep(300000);
	silence(worker);
	world.manager->stop_ms -= 1000;
	expect_closed(worker);
	assert_int_equal(((const struct d_return *)expect(&world.queue,
	    D_RETURN))->job, job);
	expect_ended(destination, 0, true);
	assert_int_equal(world.manager->channels_n, 0);
}

static void
log_as_comment(void *unused, enum log_level level, const char *line)
{
	(void)unused;
	(void)level;
	printf("# %s\n", line);
	buffer_printf(&logged, "%s\n", line);
}

#define TEST(name, function)						\
	{ name, function, set_up, tear_down, NULL }

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST("DSN-3461-5.2.1-1, DSN-3461-5.2.1-4 DSN requests go to the "
		    "worker, what was passed on to queue", test_dsn),
		TEST("a message, and the worker again", test_delivers),
		TEST("SMTP-2.2.1-2 what a worker is told",
		    test_socket_says_all),
		TEST("DANE-7672-3.2.2-2, DANE-7672-3.2.2-3, "
		    "DANE-7672-3.2.2-4, DANE-7672-3.2.2-5 names that a "
		    "certificate may bear", test_socket_names),
		TEST("all TLSA records go to the worker",
		    test_socket_records),
		TEST("exempt and tls-required by the recipient's domain",
		    test_socket_rules),
		TEST("RTLS-4.2.1-14, RTLS-3-1 a message of class requiretls",
		    test_requiretls),
		TEST("RTLS-5-5 a notification goes in class mail",
		    test_requiretls_notice),
		TEST("RTLS-4.2.1-10, RTLS-4.2.1-12, RTLS-4.2.1-13 a definite "
		    "no, or not",
		    test_requiretls_definite),
		TEST("results by recipient", test_recipients),
		TEST("SMTP-5.1-9, SMTP-5.2-1 the next address, the next host",
		    test_next_host),
		TEST("no host at all", test_no_host),
		TEST("SMTP-4.3.1-2 a greeting that refuses",
		    test_greeting_refused),
		TEST("SMTP-4.3.1-2 554 everywhere is deferred",
		    test_all_refused),
		TEST("STS-5-1, STS-8.4-1, STS-5.1-3 enforce passes over",
		    test_enforce_skips),
		TEST("STS-5-2 a certificate is refused",
		    test_policy_refuses),
		TEST("a refusal is told in the words of the proof asked for",
		    test_refused_in_words),
		TEST("T49 why there is no policy", test_policy_error),
		TEST("DANE-7672-2.2-6 again in clear", test_clear_retry),
		TEST("no second connection that nobody asked for",
		    test_no_needless_retry),
		TEST("STS-5-3 never in clear under enforce",
		    test_no_clear_retry),
		TEST("TLS-3207-4.1-1 a worker's claim is judged again",
		    test_liar),
		TEST("a worker that speaks out of turn is ended",
		    test_out_of_turn),
		TEST("a worker answers for its own message alone",
		    test_foreign_results),
		TEST("a worker dies while it proves",
		    test_death_while_proving),
		TEST("workers die at every host", test_death_at_all_hosts),
		TEST("a message that ends its workers", test_poison),
		TEST("D_NEXT is answered before D_ENDED",
		    test_end_waits_for_answer),
		TEST("a body that comes after W_CUT", test_body_after_cut),
		TEST("what is said of a failure is of one host",
		    test_ended_of_one_host),
		TEST("a worker dies with a message", test_death_in_message),
		TEST("SMTP-3.8-3 lost inside DATA: the next host",
		    test_lost_in_data),
		TEST("SMTP-3.8-3 lost at every host", test_lost_everywhere),
		TEST("refused by one host, taken by the next",
		    test_refused_moves_on),
		TEST("SMTP-4.2.1-2 refused by the only host",
		    test_refused_at_the_only_host),
		TEST("SMTP-4.3.2-2 closed between two messages",
		    test_closed_between),
		TEST("EXT-6152-3-2, EXT-1870-4-1 what one host does not take",
		    test_unfit_here),
		TEST("EXT-6152-3-2, EXT-1870-4-1 what no host takes",
		    test_unfit_everywhere),
		TEST("EXT-6152-3-2 what some host might take",
		    test_unfit_but_not_everywhere),
		TEST("a hundred messages are enough", test_hundred_messages),
		TEST("reuse by the route as it is now", test_reuse),
		TEST("a slow proof", test_slow_proof),
		TEST("settings change while a host is proven",
		    test_changed_while_proving),
		TEST("DANE-7672-2.2-1 no reuse under other TLSA records",
		    test_reuse_tlsa),
		TEST("no reuse when an exemption is over",
		    test_reuse_exempt),
		TEST("DANE-7672-2.2.1-4, DANE-7672-2.2.1-5 a host alone is "
		    "no proof of the domain", test_host_only),
		TEST("DANE-7672-2.2.3-1 how a relayhost is spoken to",
		    test_relay_socket),
		TEST("STS-3.4-1, T46 the next relayhost", test_relay_next),
		TEST("no relayhost", test_relay_none),
		TEST("relayhosts without a way there", test_relay_no_way),
		TEST("SMTP-5.1-9, STS-3.4-1, T46 a relayhost refuses a "
		    "message", test_relay_refused),
		TEST("all relayhosts refuse it", test_relay_refused_by_all),
		TEST("a relayhost is lost before it", test_relay_lost),
		TEST("a relayhost is lost after the dot",
		    test_relay_after_dot),
		TEST("a relayhost's port is no alarm", test_relay_port),
		TEST("no route", test_no_route),
		TEST("policy dies", test_policy_dies),
		TEST("the route runs out before a message is there, or there "
		    "is a reload", test_old_before_message),
		TEST("the route runs out before a message without host gets "
		    "one", test_old_before_homeless),
		TEST("STS-5-3 no retry in clear on a route that ran out",
		    test_old_before_clear_retry),
		TEST("STS-5-3, DANE-7672-2.2-2 a reload binds a session that "
		    "is open", test_reload_open_session),
		TEST("a reload binds an answer that was not used yet",
		    test_reload_unused_route),
		TEST("STS-5-3, DANE-7672-2.2-2 a reload binds what is under "
		    "way", test_reload_without_session),
		TEST("policy has other settings for good",
		    test_settings_at_odds),
		TEST("T45 questions that wait for a web server",
		    test_slow_questions),
		TEST("queue dies", test_queue_dies),
		TEST("queue dies while a final dot is under way",
		    test_queue_dies_at_dot),
		TEST("queue dies during a message",
		    test_queue_dies_in_message),
		TEST("queue dies, then a worker",
		    test_worker_dies_without_queue),
		TEST("6,000 results for a new queue", test_many_results),
		TEST("D_ENDED behind results", test_ended_behind_results),
		TEST("queue gives no body", test_no_body),
		TEST("a destination is held", test_hold),
		TEST("more sessions for one destination",
		    test_more_sessions),
		TEST("the next message comes during the one before",
		    test_ahead),
		TEST("no message waits behind another when few wait",
		    test_no_ahead),
		TEST("the next one's recipients come late", test_ahead_late),
		TEST("the next one comes late, or there is none",
		    test_ahead_unanswered),
		TEST("the next one is given back", test_ahead_returned),
		TEST("STS-5-3 the next one is judged by the current route",
		    test_ahead_is_judged),
		TEST("the next one goes to a session that has none",
		    test_ahead_taken_over),
		TEST("the next one is forgotten with its queue",
		    test_ahead_queue_dies),
		TEST("one connection until one is proven",
		    test_one_until_proven),
		TEST("an additional session fails", test_extra_fails),
		TEST("workers", test_workers),
		TEST("several sessions make room for one",
		    test_makes_room),
		TEST("connections per host", test_per_host),
		TEST("port 25 is blocked", test_port_25_alarm),
		TEST("RPT-4.2.2-2, RPT-4.2.1-1, RPT-4.4-13 a session is told "
		    "once", test_told_once),
		TEST("RPT-4.3.4-1, RPT-4.3.1-1, RPT-4.3.1-6 what counts, and "
		    "the log", test_told_rows),
		TEST("RPT-1.1-2 both policies", test_told_both),
		TEST("RPT-1.1-1, STS-3.4-1, T46 a relay's session",
		    test_told_relay),
		TEST("RPT-4.4-20, RPT-4.3.2.2-4 a host refused by name",
		    test_told_refused),
		TEST("RPT-4.2.2-1 the retry in clear is no second session",
		    test_told_clear_retry),
		TEST("RPT-3-11, RPT-4.3.4-1 what does not count",
		    test_told_nothing),
		TEST("a session that nobody wants any more",
		    test_told_orphan),
		TEST("every session is told (T33)", test_told_all),
		TEST("reports that take nothing", test_told_to_nobody),
		TEST("16 MiB are enough", test_told_bytes),
		TEST("tls-report off", test_told_off),
		TEST("stopping", test_stop),
		TEST("stopping while a final dot has no answer",
		    test_stop_at_dot),
	};

	log_start("test");
	log_set_level(LOG_LEVEL_DEBUG);
	log_to(log_as_comment, NULL);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
