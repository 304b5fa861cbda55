/*
 * The way of a document to culver-fetch: this test is the parent and fetch.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "conf/log.h"
#include "conf/parent.h"
#include "reports/poster.h"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

static unsigned needed;

/* In the place of conf/parent.c. */
void
parent_need(enum program program)
{
	assert_int_equal(program, PROGRAM_FETCH);
	needed++;
}

struct world {
	struct loop		*loop;
	struct poster		*poster;
	struct wire_port	 fetch;
	struct f_post		 post;		/* that fetch has */
	int			 pipe;		/* read end; -1 */
	unsigned		 calls;
	struct f_posted		 posted;
};

static void
no_log(void *context, enum log_level level, const char *line)
{
	(void)context;
	(void)level;
	(void)line;
}

static void
turn(struct world *world)
{
	int i;

	for (i = 0; i < 6; i++)
		loop_turn(world->loop, false);
}

static int
begin(void **state)
{
	struct world *world = mem_alloc(sizeof(*world));

	needed = 0;
	world->loop = loop_new();
	world->poster = poster_new(world->loop);
	world->fetch.fd = world->pipe = -1;
	*state = world;
	return 0;
}

static void
close_pipe(struct world *world)
{
	if (world->pipe != -1)
		close(world->pipe);
	world->pipe = -1;
}

static int
end(void **state)
{
	struct world *world = *state;

	poster_free(&world->poster);
	wire_port_close(&world->fetch);
	close_pipe(world);
	loop_free(&world->loop);
	free(world);
	return 0;
}

static void
start_fetch(struct world *world)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    ends), 0);
	wire_port_close(&world->fetch);
	wire_port_open(&world->fetch, ends[0], &fetch_wire);
	poster_link(world->poster, ends[1]);
	turn(world);
}

static void
kill_fetch(struct world *world)
{
	wire_port_close(&world->fetch);
	close_pipe(world);
	turn(world);
}

static void
on_posted(void *context, const struct f_posted *posted)
{
	struct world *world = context;

	world->calls++;
	world->posted = *posted;
}

static void
post(struct world *world, const char *host, size_t size)
{
	struct f_post what = { .port = 443,
	    .media_type = "application/tlsrpt+gzip" };
	struct buffer document = { NULL, 0, 0 };
	char *octets = mem_alloc(size);

	memset(octets, 'x', size);
	buffer_add(&document, (struct slice){ octets, size });
	free(octets);
	snprintf(what.host, sizeof(what.host), "%s", host);
	snprintf(what.url, sizeof(what.url), "https://%s/", host);
	poster_send(world->poster, &what, &document, on_posted, world);
	turn(world);
}

static bool
hear(struct world *world)
{
	int fds[WIRE_FDS_MAX];
	const void *message;

	if (wire_port_receive(&world->fetch, &message, fds,
	    wire_now_ms()) != F_POST)
		return false;
	world->post = *(const struct f_post *)message;
	close_pipe(world);
	world->pipe = fds[0];
	return true;
}

/* Fetch reads so much of the document; what is left when it ends. */
static size_t
read_pipe(struct world *world, size_t want)
{
	char part[4096];
	size_t got = 0;
	ssize_t n;

	while (got < want) {
		n = read(world->pipe, part, want - got < sizeof(part) ?
		    want - got : sizeof(part));
		assert_true(n >= 0);
		if (n == 0)
			break;
		got += (size_t)n;
		turn(world);
	}
	return got;
}

static void
answer(struct world *world, enum post_outcome outcome, uint32_t status)
{
	struct f_posted posted = { .question = world->post.question,
	    .outcome = outcome, .status = status };

	assert_int_equal(wire_port_send(&world->fetch, F_POSTED, &posted,
	    NULL, wire_now_ms() + 1000), 0);
	turn(world);
}

static void
test_sizes(void **state)
{
	static const size_t sizes[] = { 1, 4096, 65536, 65537, 1000000 };
	struct world *world = *state;
	unsigned i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		if (i == 0)
			assert_int_equal(needed, 0);
		post(world, "a.t", sizes[i]);
		if (i == 0) {
			assert_int_equal(needed, 1);
			start_fetch(world);
		}
		assert_true(hear(world));
		assert_string_equal(world->post.url, "https://a.t/");
		assert_int_equal(world->post.size_bytes, sizes[i]);
		assert_int_equal(read_pipe(world, sizes[i] + 1), sizes[i]);
		assert_int_equal(world->calls, i);
		answer(world, POST_ACCEPTED, 202);
		assert_int_equal(world->calls, i + 1);
		assert_int_equal(world->posted.status, 202);
		/* once, whatever comes */
		answer(world, POST_REFUSED, 500);
		assert_int_equal(world->calls, i + 1);
	}
}

/* An answer before all was read: refused, say, for its size. */
static void
test_early(void **state)
{
	struct world *world = *state;

	start_fetch(world);
	post(world, "a.t", 1000000);
	assert_true(hear(world));
	answer(world, POST_REFUSED, 413);
	assert_int_equal(world->posted.outcome, POST_REFUSED);
	close_pipe(world);
	turn(world);
	assert_int_equal(world->calls, 1);
}

/* What fetch had not read to the end, no receiver has: once more. */
static void
test_death_before(void **state)
{
	static const size_t reads[] = { 0, 1, 69999 };
	struct world *world;
	unsigned i;

	for (i = 0; i < 3; i++) {
		if (i > 0)
			begin(state);
		world = *state;
		start_fetch(world);
		post(world, "a.t", 70000);
		assert_true(hear(world));
		read_pipe(world, reads[i]);
		kill_fetch(world);
		assert_int_equal(world->calls, 0);
		assert_int_equal(needed, 1);
		start_fetch(world);
		assert_true(hear(world));
		assert_int_equal(read_pipe(world, 80000), 70000);
		answer(world, POST_ACCEPTED, 200);
		assert_int_equal(world->calls, 1);
		if (i < 2)
			end(state);
	}
}

static void
test_two_deaths(void **state)
{
	struct world *world = *state;

	start_fetch(world);
	post(world, "a.t", 10);
	kill_fetch(world);
	start_fetch(world);
	kill_fetch(world);
	assert_int_equal(world->calls, 1);
	assert_int_equal(world->posted.outcome, POST_FAILED);
	assert_true(world->posted.text[0] != '\0');
}

/* What it had read may have arrived. */
static void
test_death_after(void **state)
{
	struct world *world = *state;

	start_fetch(world);
	post(world, "a.t", 70000);
	assert_true(hear(world));
	read_pipe(world, 70000);
	kill_fetch(world);
	assert_int_equal(world->calls, 1);
	assert_int_equal(world->posted.outcome, POST_UNKNOWN);
	assert_int_equal(needed, 0);
}

static void
test_room(void **state)
{
	struct world *world = *state;
	unsigned i;

	for (i = 0; i < POSTER_MAX; i++) {
		assert_true(poster_has_room(world->poster));
		post(world, "a.t", 10);
	}
	assert_false(poster_has_room(world->poster));
	assert_int_equal(needed, 1);
	start_fetch(world);
	for (i = 0; i < POSTER_MAX; i++)
		assert_true(hear(world));
	assert_false(hear(world));
	answer(world, POST_FAILED, 0);
	assert_true(poster_has_room(world->poster));
	/* idle ends are none */
	assert_int_equal(needed, 1);
}

/* Nonsense from fetch is its death. */
static void
test_nonsense(void **state)
{
	struct world *world = *state;

	start_fetch(world);
	post(world, "a.t", 10);
	assert_int_equal(send(world->fetch.fd, "nonsense", 8, 0), 8);
	turn(world);
	assert_int_equal(needed, 1);
	assert_int_equal(world->calls, 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "documents of every size", test_sizes, begin, end, NULL },
		{ "an answer before all was read", test_early, begin, end,
		    NULL },
		{ "fetch dies before it read all: once more",
		    test_death_before, begin, end, NULL },
		{ "two deaths: our own failure", test_two_deaths, begin, end,
		    NULL },
		{ "T36 fetch dies after it read all: it may have arrived",
		    test_death_after, begin, end, NULL },
		{ "four at a time", test_room, begin, end, NULL },
		{ "nonsense is a death", test_nonsense, begin, end, NULL },
	};

	signal(SIGPIPE, SIG_IGN);
	log_to(no_log, NULL);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
