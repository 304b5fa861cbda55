/*
 * Is the wall clock to be believed?
 */
#include "reports/steady.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))
#define MINUTE		60000
#define HOUR		3600000
#define DAY		((int64_t)24 * HOUR)
#define YEAR		(365 * DAY)

/* What passes on each clock before a look, and what comes of it. */
struct row {
	int64_t	wall_ms, monotonic_ms, boot_ms;
	bool	believed, moved;
};

static void
check(const struct row *rows, size_t n)
{
	struct steady steady = { .seen = false };
	struct steady_time now = { 20000 * DAY, 5 * MINUTE, 5 * MINUTE };
	bool believed, moved;
	size_t i;

	assert_true(steady_look(&steady, &now, &moved));
	assert_false(moved);
	for (i = 0; i < n; i++) {
		now.wall_ms += rows[i].wall_ms;
		now.monotonic_ms += rows[i].monotonic_ms;
		now.boot_ms += rows[i].boot_ms;
		believed = steady_look(&steady, &now, &moved);
		if (believed != rows[i].believed || moved != rows[i].moved)
			fail_msg("row %zu: %d, %d", i, believed, moved);
	}
}

static void
test_steady(void **state)
{
	static const struct row rows[] = {
		{ MINUTE, MINUTE, MINUTE, true, false },
		{ 30 * DAY, 30 * DAY, 30 * DAY, true, false },
		/* small steps, however many */
		{ 5 * MINUTE, MINUTE, MINUTE, true, false },
		{ 5 * MINUTE, MINUTE, MINUTE, true, false },
		{ -3 * MINUTE, MINUTE, MINUTE, true, false },
		/* the machine slept */
		{ 8 * HOUR, MINUTE, 8 * HOUR, true, false },
	};

	(void)state;
	check(rows, COUNT(rows));
}

static void
test_ahead(void **state)
{
	static const struct row rows[] = {
		{ DAY, MINUTE, MINUTE, false, false },
		{ MINUTE, MINUTE, MINUTE, false, false },
		/* back where it was, but for a few minutes */
		{ -DAY + 2 * MINUTE, MINUTE, MINUTE, true, true },
		{ MINUTE, MINUTE, MINUTE, true, false },
		/* farther and farther */
		{ YEAR, 0, 0, false, false },
		{ 50 * MINUTE, 50 * MINUTE, 50 * MINUTE, false, false },
		{ DAY, MINUTE, MINUTE, false, false },
		{ 50 * MINUTE, 50 * MINUTE, 50 * MINUTE, false, false },
		/* half the way back */
		{ -YEAR, MINUTE, MINUTE, false, false },
		{ 50 * MINUTE, 50 * MINUTE, 50 * MINUTE, false, false },
		/* it stays for an hour */
		{ 10 * MINUTE, 10 * MINUTE, 10 * MINUTE, true, true },
		{ MINUTE, MINUTE, MINUTE, true, false },
	};

	(void)state;
	check(rows, COUNT(rows));
}

static void
test_back(void **state)
{
	static const struct row rows[] = {
		{ -YEAR, MINUTE, MINUTE, true, true },
		{ MINUTE, MINUTE, MINUTE, true, false },
		{ 6 * MINUTE, 0, 0, false, false },
		/* from ahead to behind */
		{ -DAY, 0, 0, true, true },
	};

	(void)state;
	check(rows, COUNT(rows));
}

static void
test_doubt(void **state)
{
	struct steady steady = { .seen = false };
	struct steady_time now = { 20000 * DAY, 0, 0 };
	bool moved;

	(void)state;
	steady_look(&steady, &now, &moved);
	steady_doubt(&steady);
	assert_false(steady_look(&steady, &now, &moved));
	/* set right: still not known */
	now.wall_ms -= YEAR;
	assert_false(steady_look(&steady, &now, &moved));
	now.wall_ms += HOUR;
	now.monotonic_ms += HOUR;
	now.boot_ms += HOUR;
	assert_true(steady_look(&steady, &now, &moved));
	assert_true(moved);
	steady_doubt(&steady);
	assert_false(steady_look(&steady, &now, &moved));
	steady_believe(&steady);
	assert_true(steady_look(&steady, &now, &moved));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "a clock that goes on is believed", test_steady, NULL,
		    NULL, NULL },
		{ "RPT-4.1-1 one that leaps ahead is not, for an hour",
		    test_ahead, NULL, NULL, NULL },
		{ "one that goes back is", test_back, NULL, NULL, NULL },
		{ "doubt without a leap", test_doubt, NULL, NULL, NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
