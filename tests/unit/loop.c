/* The loop: turns, watches, timers, and freeing them from anywhere. */
#include "conf/loop.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define PAIRS	8

static struct loop *loop;
static int fds[PAIRS][2];
static struct watch *watches[PAIRS];
static struct timer *timers[PAIRS];
static unsigned calls[PAIRS];
static unsigned turns;

static int
begin(void **unused)
{
	int i;

	(void)unused;
	loop = loop_new();
	turns = 0;
	memset(calls, 0, sizeof(calls));
	for (i = 0; i < PAIRS; i++)
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds[i]) == -1)
			return -1;
	return 0;
}

static int
end(void **unused)
{
	int i;

	(void)unused;
	for (i = 0; i < PAIRS; i++) {
		watch_free(&watches[i]);
		if (timers[i] != NULL)
			timer_free(&timers[i]);
		close(fds[i][0]);
		close(fds[i][1]);
	}
	loop_free(&loop);
	assert_null(loop);
	return 0;
}

static void
make_ready(int i)
{
	assert_int_equal(write(fds[i][1], "x", 1), 1);
}

static void
on_read(void *context, int what)
{
	char c;
	int i = *(int *)context;

	assert_int_equal(what, WATCH_READ);
	assert_int_equal(read(fds[i][0], &c, 1), 1);
	calls[i]++;
}

static void
on_turn(void *context)
{
	(void)context;
	turns++;
}

static int numbers[PAIRS] = { 0, 1, 2, 3, 4, 5, 6, 7 };

static void
watch_all(void (*call)(void *, int))
{
	int i;

	for (i = 0; i < PAIRS; i++)
		watches[i] = watch_new(loop, fds[i][0], WATCH_READ, call,
		    &numbers[i]);
}

static unsigned
sum(void)
{
	unsigned i, n = 0;

	for (i = 0; i < PAIRS; i++)
		n += calls[i];
	return n;
}

static void
test_turn(void **unused)
{
	int i;

	(void)unused;
	loop_at_turn_end(loop, on_turn, NULL);
	watch_all(on_read);
	for (i = 0; i < PAIRS; i++)
		make_ready(i);
	loop_turn(loop, true);
	/* Everything that is ready runs, then the end, once. */
	assert_int_equal(sum(), PAIRS);
	assert_int_equal(turns, 1);
	loop_turn(loop, false);
	assert_int_equal(sum(), PAIRS);
	assert_int_equal(turns, 2);
	loop_again(loop);
	loop_turn(loop, true);		/* does not wait */
	assert_int_equal(turns, 3);
}

static void
again_twice(void *context)
{
	(void)context;
	if (++turns < 3)
		loop_again(loop);
	else
		loop_stop(loop);
}

static void
test_run(void **unused)
{
	(void)unused;
	watch_all(on_read);
	loop_at_turn_end(loop, again_twice, NULL);
	loop_again(loop);
	loop_run(loop);
	assert_int_equal(turns, 3);
	/* Stopped once, not for ever. */
	turns = 0;
	loop_again(loop);
	loop_run(loop);
	assert_int_equal(turns, 3);
}

static void
free_all(void *context, int what)
{
	int i;

	(void)context;
	(void)what;
	calls[0]++;
	for (i = 0; i < PAIRS; i++)
		watch_free(&watches[i]);
}

/* The first that runs frees itself and all the others that are ready too. */
static void
test_free_ready(void **unused)
{
	int i;

	(void)unused;
	watch_all(free_all);
	for (i = 0; i < PAIRS; i++)
		make_ready(i);
	loop_turn(loop, true);
	assert_int_equal(calls[0], 1);
	loop_turn(loop, false);
	assert_int_equal(calls[0], 1);
	assert_null(watches[3]);
}

static void
replace_all(void *context, int what)
{
	int i;

	(void)context;
	(void)what;
	calls[0]++;
	for (i = 0; i < PAIRS; i++) {
		watch_free(&watches[i]);
		watches[i] = watch_new(loop, fds[i][0], WATCH_READ, on_read,
		    &numbers[i]);
	}
}

/* Freed and made again on the same descriptor: only the new one runs. */
static void
test_replace(void **unused)
{
	int i;

	(void)unused;
	watch_all(replace_all);
	for (i = 0; i < PAIRS; i++)
		make_ready(i);
	loop_turn(loop, true);
	assert_int_equal(calls[0], 1);
	loop_turn(loop, true);
	assert_int_equal(sum(), 1 + PAIRS);
}

static void
on_any(void *context, int what)
{
	unsigned *seen = context;

	*seen |= (unsigned)what;
	calls[0]++;
}

static void
test_set(void **unused)
{
	unsigned seen = 0;

	(void)unused;
	/* Something else to wait for. */
	timers[0] = timer_new(loop, on_turn, NULL);
	watches[0] = watch_new(loop, fds[0][0], 0, on_any, &seen);
	make_ready(0);
	loop_turn(loop, false);
	assert_int_equal(calls[0], 0);
	watch_set(watches[0], WATCH_WRITE);
	loop_turn(loop, false);
	assert_int_equal(seen, WATCH_WRITE);
	seen = 0;
	watch_set(watches[0], WATCH_READ);
	loop_turn(loop, false);
	assert_int_equal(seen, WATCH_READ);
	seen = 0;
	watch_set(watches[0], WATCH_READ | WATCH_WRITE);
	loop_turn(loop, false);
	assert_int_equal(seen, WATCH_READ | WATCH_WRITE);
	seen = 0;
	calls[0] = 0;
	watch_set(watches[0], 0);
	loop_turn(loop, false);
	assert_int_equal(calls[0], 0);
	watch_set(watches[0], 0);
	watch_free(&watches[0]);
	watch_free(&watches[0]);
}

/* A peer that closed is readable, and the watch is not lost by it. */
static void
test_hangup(void **unused)
{
	unsigned seen = 0;

	(void)unused;
	watches[0] = watch_new(loop, fds[0][0], WATCH_READ, on_any, &seen);
	shutdown(fds[0][1], SHUT_RDWR);
	loop_turn(loop, true);
	assert_int_equal(seen, WATCH_READ);
	loop_turn(loop, true);
	assert_int_equal(calls[0], 2);
}

static int64_t rang_ms[PAIRS];

static void
on_timer(void *context)
{
	int i = *(int *)context;

	rang_ms[i] = loop_now_ms();
	calls[i]++;
}

static void
test_timer(void **unused)
{
	static const int delays[] = { 30, 1, 0, -5 };
	int64_t start_ms;
	int i;

	(void)unused;
	for (i = 0; i < 4; i++)
		timers[i] = timer_new(loop, on_timer, &numbers[i]);
	assert_false(timer_is_set(timers[0]));
	start_ms = loop_now_ms();
	for (i = 0; i < 4; i++)
		timer_set(timers[i], delays[i]);
	assert_true(timer_is_set(timers[0]));
	while (calls[0] == 0)
		loop_turn(loop, true);
	for (i = 0; i < 4; i++) {
		assert_int_equal(calls[i], 1);
		assert_false(timer_is_set(timers[i]));
		/* Never early by the clock that callers compare with. */
		assert_true(rang_ms[i] - start_ms >= delays[i]);
	}
	loop_turn(loop, false);
	assert_int_equal(sum(), 4);
}

static void
test_timer_never_early(void **unused)
{
	int64_t due_ms;
	int i;

	(void)unused;
	timers[0] = timer_new(loop, on_timer, &numbers[0]);
	for (i = 0; i < 60; i++) {
		due_ms = loop_now_ms() + i % 7;
		timer_set(timers[0], i % 7);
		calls[0] = 0;
		while (calls[0] == 0)
			loop_turn(loop, true);
		assert_true(rang_ms[0] >= due_ms);
	}
}

static void
test_timer_stop(void **unused)
{
	(void)unused;
	timers[0] = timer_new(loop, on_timer, &numbers[0]);
	timers[1] = timer_new(loop, on_timer, &numbers[1]);
	timer_set(timers[0], 0);
	timer_stop(timers[0]);
	timer_stop(timers[0]);
	assert_false(timer_is_set(timers[0]));
	timer_set(timers[1], 20);
	loop_turn(loop, true);
	assert_int_equal(calls[0], 0);
	assert_int_equal(calls[1], 1);
	/* Set anew while set: one call, at the later time. */
	timer_set(timers[1], 0);
	timer_set(timers[1], 30);
	loop_turn(loop, false);
	assert_int_equal(calls[1], 1);
	loop_turn(loop, true);
	assert_int_equal(calls[1], 2);
}

static void
free_timers(void *context)
{
	int i;

	(void)context;
	calls[0]++;
	for (i = 0; i < PAIRS; i++)
		timer_free(&timers[i]);
	watch_free(&watches[0]);
}

/* Due at once, and the first frees itself, the others and a ready watch. */
static void
test_timer_free(void **unused)
{
	int i;

	(void)unused;
	for (i = 0; i < PAIRS; i++) {
		timers[i] = timer_new(loop, free_timers, NULL);
		timer_set(timers[i], 0);
	}
	/* Something to wait for stays. */
	watches[1] = watch_new(loop, fds[1][0], WATCH_READ, on_read,
	    &numbers[1]);
	loop_turn(loop, true);
	loop_turn(loop, false);
	assert_int_equal(calls[0], 1);
}

static void
set_self(void *context)
{
	(void)context;
	if (++calls[0] < 3)
		timer_set(timers[0], 1);
	else
		loop_stop(loop);
}

static void
test_timer_sets_itself(void **unused)
{
	(void)unused;
	timers[0] = timer_new(loop, set_self, NULL);
	timer_set(timers[0], 0);
	loop_run(loop);
	assert_int_equal(calls[0], 3);
}

/* A long call does not make the timer that it sets shorter. */
static void
busy(void *context)
{
	int64_t until_ms = loop_now_ms() + 40;

	(void)context;
	while (loop_now_ms() < until_ms)
		continue;
	rang_ms[0] = loop_now_ms();
	timer_set(timers[1], 30);
}

static void
test_timer_after_work(void **unused)
{
	(void)unused;
	timers[0] = timer_new(loop, busy, NULL);
	timers[1] = timer_new(loop, on_timer, &numbers[1]);
	timer_set(timers[0], 0);
	while (calls[1] == 0)
		loop_turn(loop, true);
	assert_true(rang_ms[1] - rang_ms[0] >= 30);
}

static void
on_signal(void *context)
{
	calls[*(int *)context]++;
}

static void
test_signal(void **unused)
{
	(void)unused;
	loop_on_signal(loop, SIGUSR1, on_signal, &numbers[2]);
	loop_on_signal(loop, SIGUSR2, on_signal, &numbers[3]);
	assert_int_equal(raise(SIGUSR1), 0);
	loop_turn(loop, true);
	assert_int_equal(calls[2], 1);
	assert_int_equal(calls[3], 0);
	assert_int_equal(raise(SIGUSR2), 0);
	assert_int_equal(raise(SIGUSR1), 0);
	loop_turn(loop, true);
	assert_int_equal(calls[2], 2);
	assert_int_equal(calls[3], 1);
}

static void
test_clocks(void **unused)
{
	int64_t wall_s = (int64_t)time(NULL);

	(void)unused;
	assert_in_range(loop_wall_s(), wall_s, wall_s + 5);
	assert_in_range(loop_wall_ms() / 1000, wall_s, wall_s + 5);
	assert_true(loop_now_ms() >= 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "a turn runs all that is ready, then its end", test_turn,
		    begin, end, NULL },
		{ "run goes on until stopped; again does not wait", test_run,
		    begin, end, NULL },
		{ "ready watches are freed by one of them", test_free_ready,
		    begin, end, NULL },
		{ "a replaced watch runs in its place", test_replace, begin,
		    end, NULL },
		{ "a watch waits for what it was set to", test_set, begin,
		    end, NULL },
		{ "a hang-up is readable", test_hangup, begin, end, NULL },
		{ "timers run once, in time", test_timer, begin, end, NULL },
		{ "timers are never early", test_timer_never_early, begin,
		    end, NULL },
		{ "timers stop and are set anew", test_timer_stop, begin,
		    end, NULL },
		{ "due timers are freed by one of them", test_timer_free,
		    begin, end, NULL },
		{ "a timer sets itself", test_timer_sets_itself, begin, end,
		    NULL },
		{ "a timer set after long work is not short",
		    test_timer_after_work, begin, end, NULL },
		{ "signals are calls of a turn", test_signal, begin, end,
		    NULL },
		{ "the clocks are the system's", test_clocks, begin, end,
		    NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
