/*
 * culver-policy's talk with culver-fetch: this test is the parent and fetch.
 */
#include "policy/fetcher.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf/log.h"
#include "conf/parent.h"
#include "policy/sts.h"

/* Every clock is so far ahead. */
static time_t ahead_s;

int
clock_gettime(clockid_t id, struct timespec *now)
{
	long made = syscall(SYS_clock_gettime, id, now);

	now->tv_sec += ahead_s;
	return (int)made;
}

static unsigned needed;

/* In the place of conf/parent.c. */
void
parent_need(enum program program)
{
	assert_int_equal(program, PROGRAM_FETCH);
	needed++;
}

struct world {
	struct loop	*loop;
	struct fetcher	*fetcher;
	struct wire_port fetch;		/* our end, as culver-fetch */
	/* The question that fetch has. */
	struct f_get	 get;
	int		 pipe;
	/* The last answer to the asker. */
	unsigned	 answers;
	char		 text[256];
	size_t		 body_len;
};

static void
no_log(void *context, enum log_level level, const char *line)
{
	(void)context;
	(void)level;
	(void)line;
}

static int
begin(void **state)
{
	struct world *world = mem_alloc(sizeof(*world));

	needed = 0;
	world->loop = loop_new();
	world->fetcher = fetcher_new(world->loop);
	world->fetch.fd = world->pipe = -1;
	*state = world;
	return 0;
}

static int
end(void **state)
{
	struct world *world = *state;

	wire_port_close(&world->fetch);
	if (world->pipe != -1)
		close(world->pipe);
	free(world->fetcher);
	loop_free(&world->loop);
	free(world);
	return 0;
}

static void
turn(struct world *world)
{
	int i;

	for (i = 0; i < 4; i++)
		loop_turn(world->loop, false);
}

/* The parent has started one, and links it. */
static void
start_fetch(struct world *world)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET |
	    SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	wire_port_close(&world->fetch);
	wire_port_open(&world->fetch, ends[1], &fetch_wire);
	fetcher_link(world->fetcher, ends[0]);
	turn(world);
}

static void
kill_fetch(struct world *world)
{
	wire_port_close(&world->fetch);
	if (world->pipe != -1)
		close(world->pipe);
	world->pipe = -1;
	turn(world);
}

static void
on_answer(void *context, const struct f_done *done, struct slice body)
{
	struct world *world = context;

	world->answers++;
	world->body_len = body.len;
	if (done == NULL)
		strcpy(world->text, "ours");
	else if (done->outcome == FETCH_BODY)
		snprintf(world->text, sizeof(world->text), "body %.*s",
		    body.len > 32 ? 32 : (int)body.len, body.at);
	else
		snprintf(world->text, sizeof(world->text), "%s", done->text);
}

static void
ask(struct world *world, const char *name)
{
	struct address address;
	struct domain domain;

	assert_true(domain_parse(slice_of(name), &domain));
	assert_true(address_parse(SLICE("192.0.2.1"), &address));
	fetcher_get(world->fetcher, &domain, &address, 1, on_answer, world);
	turn(world);
}

/* Fetch hears the next question; false: there is none. */
static bool
hear(struct world *world)
{
	int fds[WIRE_FDS_MAX];
	const void *message;

	if (wire_port_receive(&world->fetch, &message, fds,
	    wire_now_ms()) != F_GET)
		return false;
	world->get = *(const struct f_get *)message;
	if (world->pipe != -1)
		close(world->pipe);
	world->pipe = fds[0];
	return true;
}

static void
close_pipe(struct world *world)
{
	close(world->pipe);
	world->pipe = -1;
}

static void
done(struct world *world, enum fetch_outcome outcome, uint32_t body_bytes,
    const char *text)
{
	struct f_done message = {
		.question = world->get.question,
		.outcome = outcome,
		.body_bytes = body_bytes
	};

	snprintf(message.text, sizeof(message.text), "%s", text);
	assert_int_equal(wire_port_send(&world->fetch, F_DONE, &message, NULL,
	    wire_now_ms() + 1000), 0);
	turn(world);
}

static void
write_body(struct world *world, size_t len)
{
	char *body = mem_alloc(len);
	size_t at = 0;
	ssize_t n;

	memset(body, 'x', len);
	while (at < len) {
		n = write(world->pipe, body + at,
		    len - at > 4096 ? 4096 : len - at);
		assert_true(n > 0);
		at += (size_t)n;
		turn(world);
	}
	free(body);
}

static void
test_body(void **state)
{
	struct world *world = *state;
	struct address address;
	char text[ADDRESS_TEXT_MAX];

	ask(world, "a.t");
	assert_int_equal(needed, 1);
	start_fetch(world);
	assert_true(hear(world));
	assert_string_equal(world->get.domain, "a.t");
	assert_true(route_get_address(world->get.addresses,
	    world->get.addresses_len, 0, &address));
	assert_string_equal(address_print(&address, text), "192.0.2.1");
	write_body(world, 5);
	close_pipe(world);
	done(world, FETCH_BODY, 5, "");
	assert_string_equal(world->text, "body xxxxx");
	/* Linked: no further start. */
	ask(world, "b.t");
	assert_true(hear(world));
	/* The end of the pipe may come after the answer. */
	write_body(world, 3);
	done(world, FETCH_BODY, 3, "");
	assert_int_equal(world->answers, 1);
	close_pipe(world);
	turn(world);
	assert_int_equal(world->answers, 2);
	assert_int_equal(needed, 1);
}

static void
test_sizes(void **state)
{
	struct world *world = *state;

	start_fetch(world);
	ask(world, "a.t");
	assert_true(hear(world));
	close_pipe(world);
	done(world, FETCH_BODY, 0, "");
	assert_string_equal(world->text, "body ");
	ask(world, "a.t");
	assert_true(hear(world));
	write_body(world, STS_BODY_MAX);
	close_pipe(world);
	done(world, FETCH_BODY, STS_BODY_MAX, "");
	assert_int_equal(world->body_len, STS_BODY_MAX);
}

/* Count and pipe must agree: else it is a fault of our own programs. */
static void
test_cut(void **state)
{
	struct world *world = *state;

	start_fetch(world);
	ask(world, "a.t");
	assert_true(hear(world));
	write_body(world, 4);
	close_pipe(world);
	done(world, FETCH_BODY, 5, "");
	assert_string_equal(world->text, "ours");
	ask(world, "a.t");
	assert_true(hear(world));
	write_body(world, STS_BODY_MAX);
	assert_int_equal(write(world->pipe, "x", 1), 1);
	turn(world);
	close_pipe(world);
	done(world, FETCH_BODY, STS_BODY_MAX, "");
	assert_string_equal(world->text, "ours");
	assert_int_equal(world->answers, 2);
}

static void
test_failure(void **state)
{
	struct world *world = *state;

	start_fetch(world);
	ask(world, "a.t");
	assert_true(hear(world));
	close_pipe(world);
	done(world, FETCH_ERROR, 0, "HTTP 403");
	assert_string_equal(world->text, "HTTP 403");
	/* An answer to nothing is nothing. */
	done(world, FETCH_ERROR, 0, "HTTP 404");
	assert_int_equal(world->answers, 1);
}

/* T30, design.md 2: its death is no fact about a peer. */
static void
test_death(void **state)
{
	struct world *world = *state;

	start_fetch(world);
	ask(world, "a.t");
	assert_true(hear(world));
	write_body(world, 100);
	kill_fetch(world);
	assert_int_equal(world->answers, 0);
	assert_int_equal(needed, 1);
	start_fetch(world);
	assert_true(hear(world));
	assert_string_equal(world->get.domain, "a.t");
	write_body(world, 2);
	close_pipe(world);
	done(world, FETCH_BODY, 2, "");
	/* Of the first one's octets none is left. */
	assert_string_equal(world->text, "body xx");
}

static void
test_two_deaths(void **state)
{
	struct world *world = *state;

	start_fetch(world);
	ask(world, "a.t");
	assert_true(hear(world));
	kill_fetch(world);
	start_fetch(world);
	ask(world, "b.t");
	assert_true(hear(world));
	assert_true(hear(world));
	kill_fetch(world);
	/* One has seen two deaths, the other one. */
	assert_int_equal(world->answers, 1);
	assert_string_equal(world->text, "ours");
	assert_int_equal(needed, 2);
	start_fetch(world);
	assert_true(hear(world));
	assert_string_equal(world->get.domain, "b.t");
	assert_false(hear(world));
}

static void
test_idle_end(void **state)
{
	struct world *world = *state;

	start_fetch(world);
	kill_fetch(world);
	assert_int_equal(needed, 0);
	ask(world, "a.t");
	assert_int_equal(needed, 1);
	ask(world, "b.t");
	assert_int_equal(needed, 1);
}

/* Nonsense from fetch is its death. */
static void
test_nonsense(void **state)
{
	struct world *world = *state;

	start_fetch(world);
	ask(world, "a.t");
	assert_true(hear(world));
	assert_int_equal(send(world->fetch.fd, "nonsense", 8, 0), 8);
	turn(world);
	assert_int_equal(needed, 1);
	assert_int_equal(world->answers, 0);
}

static void
test_many(void **state)
{
	struct world *world = *state;
	unsigned asked = 0, i;
	char name[32];

	start_fetch(world);
	for (i = 0; i < 150; i++) {
		snprintf(name, sizeof(name), "d%u.t", i);
		ask(world, name);
	}
	while (hear(world)) {
		asked++;
		assert_true(asked <= 64);
	}
	assert_int_equal(asked, 64);
	/* Each that ends makes room for one, in the order of questions. */
	for (i = 0; i < 5; i++) {
		close_pipe(world);
		done(world, FETCH_ERROR, 0, "x");
		assert_true(hear(world));
		snprintf(name, sizeof(name), "d%u.t", 64 + i);
		assert_string_equal(world->get.domain, name);
	}
	/* A fresh link is the old one's end. */
	start_fetch(world);
	asked = 0;
	while (hear(world))
		asked++;
	assert_int_equal(asked, 64);
	start_fetch(world);
	assert_int_equal(world->answers, 5 + 64);
	while (world->answers < 150) {
		while (hear(world))
			continue;
		start_fetch(world);
	}
	assert_string_equal(world->text, "ours");
}

static unsigned
hear_all(struct world *world)
{
	unsigned n = 0;

	while (hear(world))
		n++;
	return n;
}

static void
time_passes(struct world *world, int64_t ms)
{
	ahead_s += (time_t)((ms + 999) / 1000);
	turn(world);
}

/*
 * Hosts that hang: after a while others have their places, as long as there
 * is room for all of them with fetch.
 */
static void
test_slow(void **state)
{
	struct world *world = *state;
	struct f_get first;
	unsigned i, asked;
	char name[32];

	start_fetch(world);
	for (i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "d%u.t", i);
		ask(world, name);
	}
	assert_true(hear(world));
	first = world->get;
	close_pipe(world);
	assert_int_equal(hear_all(world), FETCHER_FRESH_MAX - 1);
	time_passes(world, FETCHER_FRESH_MS / 2);
	assert_int_equal(hear_all(world), 0);
	for (asked = FETCHER_FRESH_MAX; asked < FETCHER_ASKED_MAX;
	    asked += FETCHER_FRESH_MAX) {
		time_passes(world, FETCHER_FRESH_MS);
		assert_int_equal(hear_all(world), FETCHER_FRESH_MAX);
	}
	time_passes(world, FETCHER_FRESH_MS);
	assert_int_equal(hear_all(world), 0);
	assert_int_equal(world->answers, 0);
	/* Fetch gives up the oldest: there is room for one more. */
	world->get = first;
	done(world, FETCH_ERROR, 0, "timeout");
	assert_string_equal(world->text, "timeout");
	assert_int_equal(hear_all(world), 1);
	/* Slow or not, the deadline stands. */
	time_passes(world, FETCHER_DEADLINE_MS);
	assert_true(world->answers >= FETCHER_ASKED_MAX);
	assert_string_equal(world->text, "ours");
	assert_int_equal(hear_all(world), FETCHER_FRESH_MAX);
	/* With fetch go the slow ones, too, and wait for the next. */
	time_passes(world, FETCHER_FRESH_MS);
	assert_int_equal(hear_all(world), FETCHER_FRESH_MAX);
	i = world->answers;
	start_fetch(world);
	assert_int_equal(world->answers, i);
	assert_int_equal(hear_all(world), FETCHER_FRESH_MAX);
	while (world->answers < 1000) {
		hear_all(world);
		start_fetch(world);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "a body comes through its pipe", test_body, begin, end,
		    NULL },
		{ "T9 STS-3.3-13 bodies of every size", test_sizes, begin, end,
		    NULL },
		{ "STS-3.3-19 a body that is not whole is none", test_cut,
		    begin, end, NULL },
		{ "a failure comes with its text", test_failure, begin, end,
		    NULL },
		{ "T30 the death of fetch: asked once more", test_death, begin,
		    end, NULL },
		{ "T30 two deaths: our own failure", test_two_deaths, begin,
		    end, NULL },
		{ "an idle end is none", test_idle_end, begin, end, NULL },
		{ "nonsense is a death", test_nonsense, begin, end, NULL },
		{ "T45 sixty-four at a time, in order", test_many, begin, end,
		    NULL },
		{ "T45 slow hosts hold no places", test_slow, begin, end,
		    NULL },
	};

	log_to(no_log, NULL);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
