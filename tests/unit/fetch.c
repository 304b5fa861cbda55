/*
 * culver-fetch itself, as it is installed: this test is its parent, its two
 * askers, and the web server.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "web_server.h"

#include "conf/log.h"
#include "conf/proc.h"
#include "policy/policy.h"

#define PATIENCE_MS	20000

struct world {
	pid_t		 pid;
	char		 dir[64];
	struct wire_port parent;	/* our end */
	struct wire_port policy, reports;
	uint64_t	 question;
};

/* ../libexec/culver-fetch from the folder of this test. */
static void
find_program(char path[4096])
{
	ssize_t len = readlink("/proc/self/exe", path, 4000);

	assert_true(len > 0);
	path[len] = '\0';
	*strrchr(path, '/') = '\0';
	strcpy(strrchr(path, '/'), "/libexec/culver-fetch");
}

/* Descriptors that the program may have; 0: as many as we. */
static rlim_t descriptors;

/* As children.c does it: an account of its own, an empty folder. */
static void
become_fetch(const char *dir, int link)
{
	struct rlimit limit = { descriptors, descriptors };
	char path[4096];

	if (descriptors > 0 && setrlimit(RLIMIT_NOFILE, &limit) != 0)
		_exit(97);

	find_program(path);
	if (chdir(dir) != 0 || dup2(link, PROC_PARENT_FD) == -1 ||
	    (geteuid() == 0 && setuid(65534) != 0))
		_exit(98);
	fcntl(PROC_PARENT_FD, F_SETFD, 0);
	execl(path, path, (char *)NULL);
	_exit(99);
}

static void
make_link(int ends[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET |
	    SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
}

static void
order(struct world *world, unsigned kind, const void *message, int fd)
{
	assert_int_equal(wire_port_send(&world->parent, kind, message, &fd,
	    wire_now_ms() + PATIENCE_MS), 0);
}

/* A fresh link to one of the askers, which is us. */
static void
link_peer(struct world *world, enum program peer, struct wire_port *port)
{
	struct p_program message = { .program = peer };
	int ends[2];

	/* First: who is alone with a link that is lost ends at once. */
	make_link(ends);
	order(world, P_LINK, &message, ends[1]);
	close(ends[1]);
	wire_port_close(port);
	wire_port_open(port, ends[0], &fetch_wire);
}

static void
wait_ready(struct world *world)
{
	const void *message;
	int kind;

	do
		kind = wire_port_receive(&world->parent, &message, NULL,
		    wire_now_ms() + PATIENCE_MS);
	while (kind == P_CONFINED || kind == P_LOG);
	assert_int_equal(kind, P_READY);
}

static int
begin(void **state)
{
	struct world *world = mem_alloc(sizeof(*world));
	int ends[2], bundle = dup(web_pki.bundle_fd);

	strcpy(world->dir, "/tmp/culver-fetch-XXXXXX");
	if (mkdtemp(world->dir) == NULL || chmod(world->dir, 0755) != 0)
		return -1;
	world->parent.fd = world->policy.fd = world->reports.fd = -1;
	make_link(ends);
	fflush(NULL);
	world->pid = fork();
	if (world->pid == 0)
		become_fetch(world->dir, ends[1]);
	close(ends[1]);
	wire_port_open(&world->parent, ends[0], &proc_wire);
	lseek(bundle, 0, SEEK_SET);
	order(world, P_SETTINGS, NULL, -1);
	order(world, P_SETTINGS_END, NULL, -1);
	order(world, P_CA, NULL, bundle);
	close(bundle);
	link_peer(world, PROGRAM_POLICY, &world->policy);
	order(world, P_GO, NULL, -1);
	wait_ready(world);
	*state = world;
	return 0;
}

/* It ends by itself when nobody is left who could ask. */
static int
end(void **state)
{
	struct world *world = *state;
	int status;

	wire_port_close(&world->policy);
	wire_port_close(&world->reports);
	assert_int_equal(waitpid(world->pid, &status, 0), world->pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	wire_port_close(&world->parent);
	rmdir(world->dir);
	free(world);
	return 0;
}

/* ---- reports ---- */

/* Ask for a report to be sent; returns the document's end of the pipe. */
static int
ask_post(struct world *world, const struct web *web, const char *host,
    uint64_t size)
{
	struct f_post post = { .question = ++world->question,
	    .port = web->port, .media_type = "application/tlsrpt+gzip",
	    .size_bytes = size };
	struct address address;
	int ends[2];

	snprintf(post.url, sizeof(post.url), "https://%s:%u/x", WEB_HOST,
	    web->port);
	strcpy(post.host, host);
	address_parse(SLICE("127.0.0.1"), &address);
	route_put_address(post.addresses, &post.addresses_len,
	    sizeof(post.addresses), &address);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(wire_port_send(&world->reports, F_POST, &post,
	    &ends[0], wire_now_ms() + PATIENCE_MS), 0);
	close(ends[0]);
	return ends[1];
}

static void
write_document(int fd, size_t size)
{
	char *document = mem_alloc(size);
	size_t at = 0;
	ssize_t n;

	memset(document, 'd', size);
	while (at < size && (n = write(fd, document + at, size - at)) > 0)
		at += (size_t)n;
	close(fd);
	free(document);
}

static void
expect_posted(struct world *world, enum post_outcome outcome, bool verified,
    const char *text)
{
	const struct f_posted *posted;
	const void *message;

	assert_int_equal(wire_port_receive(&world->reports, &message, NULL,
	    wire_now_ms() + PATIENCE_MS), F_POSTED);
	posted = message;
	assert_int_equal(posted->question, world->question);
	assert_string_equal(posted->text, text);
	assert_int_equal(posted->outcome, outcome);
	assert_int_equal(posted->verified, verified);
}

static const struct web_script good = {
	.certificate = "good",
	.answer = "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
}, expired = {
	.certificate = "expired",
	.answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
}, mute = {
	.certificate = "good", .hang = true
};

static void
test_post(void **state)
{
	struct world *world = *state;
	struct web *web = web_begin(&good);

	link_peer(world, PROGRAM_REPORTS, &world->reports);
	/* More than the pipe holds. */
	write_document(ask_post(world, web, WEB_HOST, 300000), 300000);
	expect_posted(world, POST_ACCEPTED, true, "HTTP 201");
	web_end(web);
	assert_int_equal(web->requests, 1);
	assert_int_equal(web->body_len, 300000);
	web_free(&web);
}

static void
test_unverified(void **state)
{
	struct world *world = *state;
	struct web *web = web_begin(&expired);

	link_peer(world, PROGRAM_REPORTS, &world->reports);
	write_document(ask_post(world, web, WEB_HOST, 1000), 1000);
	expect_posted(world, POST_ACCEPTED, false,
	    "HTTP 200 (certificate: certificate has expired)");
	web_end(web);
	assert_int_equal(web->requests, 1);
	web_free(&web);
}

static void
test_not_sent(void **state)
{
	struct world *world = *state;
	struct web *web = web_begin(&good);

	link_peer(world, PROGRAM_REPORTS, &world->reports);
	write_document(ask_post(world, web, WEB_HOST, 1000), 999);
	expect_posted(world, POST_FAILED, false,
	    "our own report was not whole");
	close(ask_post(world, web, WEB_HOST, 1000));
	expect_posted(world, POST_FAILED, false,
	    "our own report was not whole");
	close(ask_post(world, web, "other.test", 1000));
	expect_posted(world, POST_FAILED, false,
	    "the URL is not of the host that was looked up");
	close(ask_post(world, web, WEB_HOST, 9 << 20));
	expect_posted(world, POST_FAILED, false,
	    "no document, or too long a one");
	web_end(web);
	assert_int_equal(web->connections, 0);
	/* Nor to where nobody listens. */
	write_document(ask_post(world, web, WEB_HOST, 1000), 1000);
	expect_posted(world, POST_FAILED, false,
	    "cannot connect: Connection refused");
	web_free(&web);
}

/* ---- both ---- */

static void
ask_get(struct world *world)
{
	struct f_get get = { .question = 77, .domain = "a.test" };
	struct address address;
	const void *message;
	int ends[2];

	/* Nobody has the right to listen there. */
	address_parse(SLICE("127.0.0.1"), &address);
	route_put_address(get.addresses, &get.addresses_len,
	    sizeof(get.addresses), &address);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(wire_port_send(&world->policy, F_GET, &get, &ends[1],
	    wire_now_ms() + PATIENCE_MS), 0);
	close(ends[0]);
	close(ends[1]);
	assert_int_equal(wire_port_receive(&world->policy, &message, NULL,
	    wire_now_ms() + PATIENCE_MS), F_DONE);
	assert_int_equal(((const struct f_done *)message)->question, 77);
	assert_int_equal(((const struct f_done *)message)->outcome,
	    FETCH_ERROR);
}

/* One asker's end is not the other's: what he has running ends well. */
static void
test_two(void **state)
{
	struct world *world = *state;
	struct web *web = web_begin(&good);
	siginfo_t over;
	int document;

	link_peer(world, PROGRAM_REPORTS, &world->reports);
	document = ask_post(world, web, WEB_HOST, 1000);
	ask_get(world);
	wire_port_close(&world->policy);
	write_document(document, 1000);
	expect_posted(world, POST_ACCEPTED, true, "HTTP 201");
	/* Then it ends, for a fresh one with both links. */
	assert_int_equal(waitid(P_PID, (id_t)world->pid, &over, WEXITED |
	    WNOWAIT), 0);
	web_end(web);
	web_free(&web);
}

/* Or goes on, when it has both again. */
static void
test_linked_again(void **state)
{
	struct world *world = *state;
	struct web *web = web_begin(&good);
	int document;

	link_peer(world, PROGRAM_REPORTS, &world->reports);
	document = ask_post(world, web, WEB_HOST, 1000);
	ask_get(world);
	wire_port_close(&world->policy);
	link_peer(world, PROGRAM_POLICY, &world->policy);
	ask_get(world);
	write_document(document, 1000);
	expect_posted(world, POST_ACCEPTED, true, "HTTP 201");
	ask_get(world);
	web_end(web);
	web_free(&web);
}

/* A fresh link: what the old one wanted is dropped, gathering or sent. */
static void
test_fresh_link(void **state)
{
	struct world *world = *state;
	struct web *web = web_begin(&mute);
	int document;

	link_peer(world, PROGRAM_REPORTS, &world->reports);
	write_document(ask_post(world, web, WEB_HOST, 1000), 1000);
	document = ask_post(world, web, WEB_HOST, 1000);
	/* Both are there once this is refused. */
	close(ask_post(world, web, "other.test", 1000));
	expect_posted(world, POST_FAILED, false,
	    "the URL is not of the host that was looked up");
	link_peer(world, PROGRAM_REPORTS, &world->reports);
	ask_get(world);
	assert_int_equal(write(document, "x", 1), -1);
	close(document);
	close(ask_post(world, web, "other.test", 1000));
	expect_posted(world, POST_FAILED, false,
	    "the URL is not of the host that was looked up");
	web_end(web);
	web_free(&web);
}

/* ---- hosts that hang ---- */

/* Room for four policies at a time. */
static int
begin_small(void **state)
{
	int begun;

	descriptors = 64 + 4 * 3;
	begun = begin(state);
	descriptors = 0;
	return begun;
}

/* A policy host that says nothing.  -1: only root may listen there. */
static int
listen_mute(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
	    .sin_port = htons(443) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	address.sin_addr.s_addr = htonl(0x7f00002b);	/* 127.0.0.43 */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
	    listen(fd, 64) == 0)
		return fd;
	close(fd);
	return -1;
}

static void
ask_mute(struct world *world, uint64_t question)
{
	struct f_get get = { .question = question, .domain = "a.test" };
	struct address address;
	int ends[2];

	address_parse(SLICE("127.0.0.43"), &address);
	route_put_address(get.addresses, &get.addresses_len,
	    sizeof(get.addresses), &address);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(wire_port_send(&world->policy, F_GET, &get, &ends[1],
	    wire_now_ms() + PATIENCE_MS), 0);
	close(ends[0]);
	close(ends[1]);
}

/* The question that is given up next, before so much time is over; 0: none. */
static uint64_t
given_up(struct world *world, int64_t within_ms)
{
	const struct f_done *done;
	const void *message;

	if (wire_port_receive(&world->policy, &message, NULL,
	    wire_now_ms() + within_ms) != F_DONE)
		return 0;
	done = message;
	assert_int_equal(done->outcome, FETCH_ERROR);
	assert_string_equal(done->text, "timeout");
	return done->question;
}

static void
test_slow(void **state)
{
	struct world *world = *state;
	int listener = listen_mute();
	uint64_t i;

	if (listener == -1)
		skip();
	for (i = 1; i <= 6; i++)
		ask_mute(world, i);
	/* All places are taken, and the fifth waits while none is slow. */
	assert_int_equal(given_up(world, 1000), 0);
	assert_int_equal(given_up(world, PATIENCE_MS), 1);
	assert_int_equal(given_up(world, PATIENCE_MS), 2);
	assert_int_equal(given_up(world, 500), 0);
	ask_mute(world, 7);
	assert_int_equal(given_up(world, 500), 3);
	/* New settings: what hangs does not hold up the next program. */
	order(world, P_SETTINGS_END, NULL, -1);
	assert_int_equal(given_up(world, PATIENCE_MS), 0);
	close(listener);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "RPT-3-7 RPT-5.4-1 a report is read from its pipe and "
		    "posted", test_post, begin, end, NULL },
		{ "RPT-3-8 a bad certificate is told", test_unverified,
		    begin, end, NULL },
		{ "T35 what is not whole, or of another host, is not sent",
		    test_not_sent, begin, end, NULL },
		{ "policy and reports have a link each", test_two, begin, end,
		    NULL },
		{ "a link that is made again", test_linked_again, begin, end,
		    NULL },
		{ "a fresh link drops what the old one wanted",
		    test_fresh_link, begin, end, NULL },
		{ "T45 the oldest of hosts that hang makes room", test_slow,
		    begin_small, end, NULL },
	};

	web_make_root();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
