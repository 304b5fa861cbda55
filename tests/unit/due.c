/*
 * When is a report due, and when is it tried again?
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "reports/life.h"

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))
#define DOMAINS		20000
#define BINS		8

static void
test_table(void **state)
{
	static const struct {
		uint32_t	day;
		uint32_t	at_s;
		int64_t		due_s;
	} rows[] = {
		{ 0, 0, 86402 },
		{ 20000, 0, 1728086402 },
		{ 20000, 3 * 3600 + 1800, 1728086402 + 12600 },
		{ 20000, 86340, 1728086402 + 86340 },
		{ 49710, 0, 4295030402 },	/* beyond 32 bits */
	};
	struct config config = { .report_spread_s = 0 };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		config.report_at_s = rows[i].at_s;
		assert_int_equal(life_due_s(&config, rows[i].day,
		    "a.example"), rows[i].due_s);
	}
}

static void
test_spread(void **state)
{
	struct config config = { .report_spread_s = 14400 };
	unsigned bins[BINS] = { 0 }, i, moved = 0;
	int64_t begin = 20001LL * DAY_S + 2, due;
	char domain[32];

	(void)state;
	for (i = 0; i < DOMAINS; i++) {
		snprintf(domain, sizeof(domain), "d%u.example", i);
		due = life_due_s(&config, 20000, domain);
		assert_in_range(due, begin, begin + 14399);
		assert_int_equal(due, life_due_s(&config, 20000, domain));
		bins[(due - begin) / (14400 / BINS)]++;
		moved += life_due_s(&config, 20001, domain) != due + DAY_S;
	}
	/* By chance alone a bin differs by 2 % or so. */
	for (i = 0; i < BINS; i++)
		assert_in_range(bins[i], DOMAINS / BINS * 9 / 10,
		    DOMAINS / BINS * 11 / 10);
	assert_true(moved > DOMAINS * 99 / 100);
}

static void
test_retry_table(void **state)
{
	static const struct {
		unsigned	attempts;
		int64_t		age_s;
		int64_t		delay_s;
	} rows[] = {
		{ 0, 0, 0 }, { 0, 86400, -1 },
		{ 1, 0, 330 }, { 1, 60, 330 }, { 2, 330, 660 },
		{ 3, 990, 1320 }, { 8, 41910, 42240 },
		/* what would come after a day is not tried */
		{ 9, 84150, -1 }, { 1, 86070, 330 }, { 1, 86071, -1 },
		{ 1, 86400, -1 }, { 1, 1000000, -1 },
		/* a clock that was set back gives no more than it takes */
		{ 1, -1000, 330 },
		{ 16, 0, -1 }, { 17, 0, -1 }, { 4000000000u, 0, -1 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++)
		assert_int_equal(life_retry_s(rows[i].attempts, 1000000,
		    1000000 + rows[i].age_s), rows[i].delay_s);
}

static void
test_retry_gaps(void **state)
{
	int64_t now = 5000, delay, before = 0;
	unsigned attempts = 1;

	(void)state;
	while ((delay = life_retry_s(attempts, 5000, now)) != -1) {
		assert_true(delay >= 300);
		assert_true(delay >= 2 * before);
		before = delay;
		now += delay;
		attempts++;
		assert_true(now <= 5000 + 86400);
	}
	assert_int_equal(attempts, 9);
	assert_true(now > 5000 + 80000);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "RPT-4.1-2 due after report-at of the next UTC day",
		    test_table, NULL, NULL, NULL },
		{ "RPT-4.1-2 20,000 domains are spread evenly, each day anew",
		    test_spread, NULL, NULL, NULL },
		{ "RPT-5.5-1 the next attempt, for a day", test_retry_table,
		    NULL, NULL, NULL },
		{ "RPT-5.5-2 gaps at least double", test_retry_gaps, NULL,
		    NULL, NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
