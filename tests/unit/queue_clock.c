/*
 * queue/clock.c: when a wall clock is believed.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "queue/clock.h"

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))
#define S	INT64_C(1000)
#define H	(3600 * S)
#define D	(24 * H)
#define NOW	(20000 * D)		/* some day in 2024 */

static void
at_start(void **state)
{
	static const struct {
		const char	*what;
		int64_t		 seen_ms, built_ms, now_ms;
		bool		 told;
		enum clock_state state;
	} rows[] = {
		{ "nothing was seen", 0, NOW - D, NOW, false, CLOCK_RIGHT },
		{ "before the build", 0, NOW + D, NOW, false, CLOCK_BEHIND },
		{ "1970", 0, NOW, 5 * S, false, CLOCK_BEHIND },
		{ "as seen", NOW, NOW - D, NOW, false, CLOCK_RIGHT },
		{ "later", NOW, NOW - D, NOW + 90 * D, false, CLOCK_RIGHT },
		{ "a step back", NOW, NOW - D, NOW - 59 * S, false,
		    CLOCK_RIGHT },
		{ "behind", NOW, NOW - D, NOW - 61 * S, false, CLOCK_BEHIND },
		{ "far behind", NOW, NOW - D, NOW - 300 * D, false,
		    CLOCK_BEHIND },
		{ "before the build, but the operator said so", NOW - 9 * D,
		    NOW, NOW - 8 * D, true, CLOCK_RIGHT },
		{ "and it went back again", NOW - 9 * D, NOW, NOW - 10 * D,
		    true, CLOCK_BEHIND },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct clock_seen seen = { (uint64_t)rows[i].seen_ms,
		    rows[i].told };
		struct clock_time now = { rows[i].now_ms, 5 * S };
		struct clock clock;

		clock_begin(&clock, &seen, rows[i].built_ms, &now);
		if (clock.state != rows[i].state)
			fail_msg("%s: %d", rows[i].what, clock.state);
		assert_int_equal(clock_keep(&clock, &now, &seen),
		    rows[i].state == CLOCK_RIGHT);
	}
}

/* Looks, one after the other, with how far both clocks went since. */
static void
while_it_runs(void **state)
{
	static const struct {
		const char	*what;
		int64_t		 wall_ms, boot_ms;
		enum clock_state state;
	} rows[] = {
		{ "time passes", S, S, CLOCK_RIGHT },
		{ "asleep for a week", 7 * D, 7 * D, CLOCK_RIGHT },
		{ "set an hour ahead", H + S, S, CLOCK_RIGHT },
		{ "and three back", -3 * H, S, CLOCK_RIGHT },
		{ "a day ahead, and no more", D + S, S, CLOCK_RIGHT },
		{ "two days ahead", 2 * D, S, CLOCK_JUMPED },
		{ "time passes", S, S, CLOCK_JUMPED },
		{ "it is back", -2 * D, S, CLOCK_RIGHT },
		{ "three days back", -3 * D, S, CLOCK_JUMPED },
		{ "nearly an hour later", H - S, H - S, CLOCK_JUMPED },
		{ "an hour later", S, S, CLOCK_RIGHT },
		{ "it stays", S, S, CLOCK_RIGHT },
		{ "three days ahead: another jump", 3 * D, S, CLOCK_JUMPED },
		{ "half an hour, and further ahead", 9 * D, H / 2,
		    CLOCK_JUMPED },
		{ "still an hour in all", H / 2, H / 2, CLOCK_RIGHT },
	};
	struct clock_time now = { NOW, 5 * S };
	struct clock_seen none = { 0, false };
	struct clock clock;

	(void)state;
	clock_begin(&clock, &none, 0, &now);
	for (size_t i = 0; i < COUNT(rows); i++) {
		enum clock_state before = clock.state;
		bool changed;

		now.wall_ms += rows[i].wall_ms;
		now.boot_ms += rows[i].boot_ms;
		changed = clock_look(&clock, &now);
		if (clock.state != rows[i].state)
			fail_msg("%s: %d", rows[i].what, clock.state);
		assert_int_equal(changed, before != clock.state);
	}
}

static void
behind_until_it_is_right(void **state)
{
	struct clock_seen seen = { NOW, false };
	struct clock_time now = { NOW - 300 * D, 5 * S };
	struct clock clock;
	char text[400];

	(void)state;
	clock_begin(&clock, &seen, 0, &now);
	assert_int_equal(clock.state, CLOCK_BEHIND);
	clock_say(&clock, &now, text, sizeof(text));
	assert_non_null(strstr(text, "queue release --clock"));
	/* a jump is no news, and an hour does not make it right */
	now.wall_ms += 5 * D;
	now.boot_ms += 2 * H;
	assert_false(clock_look(&clock, &now));
	assert_int_equal(clock.state, CLOCK_BEHIND);
	now.wall_ms = NOW + 7 * D;
	assert_true(clock_look(&clock, &now));
	assert_int_equal(clock.state, CLOCK_RIGHT);
	/* and the way there was no jump */
	now.wall_ms += S;
	now.boot_ms += S;
	assert_false(clock_look(&clock, &now));
}

static void
the_operator_says_so(void **state)
{
	struct clock_seen seen = { 0, false };
	struct clock_time now = { NOW - 300 * D, 5 * S };
	struct clock clock;

	(void)state;
	clock_begin(&clock, &seen, NOW, &now);
	assert_int_equal(clock.state, CLOCK_BEHIND);
	assert_false(clock_keep(&clock, &now, &seen));
	clock_accept(&clock, &now);
	assert_int_equal(clock.state, CLOCK_RIGHT);
	assert_true(clock_keep(&clock, &now, &seen));
	assert_int_equal(seen.wall_ms, now.wall_ms);
	/* the next start is no question any more */
	now.wall_ms += H;
	now.boot_ms = S;
	clock_begin(&clock, &seen, NOW, &now);
	assert_int_equal(clock.state, CLOCK_RIGHT);
}

static void
the_build_has_a_date(void **state)
{
	(void)state;
	/* after this was written, and not in a far future */
	assert_true(clock_built_ms() > 20000 * D);
	assert_true(clock_built_ms() < 60000 * D);
	assert_int_equal(clock_built_ms() % D, 0);
	assert_true(clock_built_ms() < clock_now().wall_ms + D);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(at_start),
		cmocka_unit_test(while_it_runs),
		cmocka_unit_test(behind_until_it_is_right),
		cmocka_unit_test(the_operator_says_so),
		cmocka_unit_test(the_build_has_a_date),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("queue_clock", tests, NULL, NULL);
}
