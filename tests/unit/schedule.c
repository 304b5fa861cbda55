/*
 * queue/schedule.c: when the next try is, and when it is given up.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "queue/schedule.h"

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

static const int64_t retry[] = { 60, 300, 900, 1800, 3600, 7200, 14400 };

static void
never_less_than_the_step(void **state)
{
	(void)state;
	for (uint32_t attempt = 1; attempt < 40; attempt++)
		for (uint64_t seed = 0; seed < 500; seed++) {
			size_t step = attempt > COUNT(retry) ? COUNT(retry) -
			    1 : attempt - 1;
			uint64_t least = (uint64_t)retry[step] * 1000;
			uint64_t delay = schedule_delay_ms(retry,
			    COUNT(retry), attempt, seed * 7919);

			assert_true(delay >= least);
			assert_true(delay <= least + least / 8);
		}
}

static void
jitter_spreads(void **state)
{
	unsigned parts[8] = { 0 };
	const int64_t hour[] = { 3600 };

	(void)state;
	for (uint64_t seed = 0; seed < 8000; seed++) {
		uint64_t more = schedule_delay_ms(hour, 1, 3, seed) - 3600000;

		parts[more * 8 / 450001]++;
	}
	for (size_t i = 0; i < 8; i++) {
		assert_true(parts[i] > 850);
		assert_true(parts[i] < 1150);
	}
}

static void
same_seed_same_delay(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 200; seed++)
		assert_int_equal(schedule_delay_ms(retry, COUNT(retry), 2,
		    seed), schedule_delay_ms(retry, COUNT(retry), 2, seed));
}

static void
one_step_repeats(void **state)
{
	const int64_t one[] = { 1 };

	(void)state;
	for (uint32_t attempt = 0; attempt < 100; attempt++) {
		uint64_t delay = schedule_delay_ms(one, 1, attempt, 5);

		assert_true(delay >= 1000 && delay <= 1125);
	}
	assert_true(schedule_delay_ms(one, 1, UINT32_MAX, 5) >= 1000);
}

static void
long_steps_do_not_overflow(void **state)
{
	const int64_t century[] = { 36500ll * 86400 };

	(void)state;
	assert_true(schedule_delay_ms(century, 1, 9, 1) >=
	    (uint64_t)century[0] * 1000);
}

#define DAY	86400000ull

static const struct {
	uint64_t	arrived;
	int64_t		expire_s, grace_s;
	uint64_t	began;
	bool		expired;
} lives[] = {
	{ 1000 * DAY, 432000, 0, 1000 * DAY, false },
	{ 1000 * DAY, 432000, 0, 1004 * DAY, false },
	{ 1000 * DAY, 432000, 0, 1005 * DAY - 1, false },
	{ 1000 * DAY, 432000, 0, 1005 * DAY, true },
	{ 1000 * DAY, 432000, 0, 1005 * DAY + 1, true },
	{ 1000 * DAY, 432000, 0, 2000 * DAY, true },
	{ 1000 * DAY, 432000, 86400, 1005 * DAY, false },
	{ 1000 * DAY, 432000, 86400, 1006 * DAY - 1, false },
	{ 1000 * DAY, 432000, 86400, 1006 * DAY, true },
	/* the clock was set back: young, not old */
	{ 1000 * DAY, 432000, 0, 999 * DAY, false },
	{ 1000 * DAY, 432000, 0, 0, false },
	{ 0, 432000, 0, 0, false },
	{ 0, 0, 0, 0, true },
	{ 0, 60, 0, 59999, false },
	{ 0, 60, 0, 60000, true },
};

static void
expiry(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(lives); i++)
		if (schedule_expired(lives[i].arrived, lives[i].expire_s,
		    lives[i].grace_s, lives[i].began) != lives[i].expired)
			fail_msg("row %zu", i);
}

static void
grace(void **state)
{
	(void)state;
	assert_int_equal(schedule_grace_s(false, false), 0);
	assert_int_equal(schedule_grace_s(false, true), 0);
	assert_int_equal(schedule_grace_s(true, true), 0);
	assert_int_equal(schedule_grace_s(true, false), 86400);
}

/*
 * A report's tries, each a second long, from the first on: gaps at least
 * double, none begins after a day but the one at its end.
 */
static void
a_day_of_tries(void **state)
{
	static const int64_t minute[] = { 60 }, long_one[] = { 7 * 86400 };
	static const int64_t hours[] = { 60, 8 * 3600 };
	static const struct {
		const int64_t	*retry_s;
		size_t		 n;
		unsigned	 least, most;	/* tries after the first */
	} rows[] = {
		{ retry, COUNT(retry), 6, 9 },
		{ minute, 1, 6, 9 },
		{ long_one, 1, 1, 1 },
		{ hours, 2, 2, 3 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		for (uint64_t seed = 0; seed < 300; seed++) {
			uint64_t first = 1000 * DAY, began = first, gap = 0;
			unsigned tries = 0;

			while (!schedule_report_expired(first, began)) {
				uint64_t now = began + 1000;
				uint64_t next = now +
				    schedule_report_delay_ms(rows[i].retry_s,
				    rows[i].n, tries + 1, seed * 7919,
				    now - first);

				assert_true(next - began >= 2 * gap);
				assert_true(next <= first + DAY + 2000);
				gap = next - began;
				began = next;
				tries++;
			}
			assert_true(began >= first + DAY);
			assert_in_range(tries, rows[i].least, rows[i].most);
		}
}

static void
a_day_from_the_first(void **state)
{
	(void)state;
	/* none yet: nothing is over, however old it is */
	assert_false(schedule_report_expired(0, 5000 * DAY));
	assert_false(schedule_report_expired(1000 * DAY, 1001 * DAY - 1));
	assert_true(schedule_report_expired(1000 * DAY, 1001 * DAY));
	/* nobody knows when it began */
	assert_false(schedule_report_expired(1000 * DAY, 0));
	/* long over: it is tried once more, and not in a hot loop */
	assert_int_equal(schedule_report_delay_ms(retry, COUNT(retry), 9, 1,
	    50 * DAY), 1000);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "SMTP-4.5.4.1-2, SMTP-4.5.4.1-3 a delay is never less than "
		    "its step of retry, nor an eighth above it",
		    never_less_than_the_step, NULL, NULL, NULL },
		{ "jitter is spread evenly", jitter_spreads, NULL, NULL,
		    NULL },
		{ "recipients of a message stay together: same seed, same "
		    "delay", same_seed_same_delay, NULL, NULL, NULL },
		{ "a single step repeats for ever", one_step_repeats, NULL,
		    NULL, NULL },
		{ "steps of a century do not overflow",
		    long_steps_do_not_overflow, NULL, NULL, NULL },
		{ "expiry is judged by when the attempt began, and not after "
		    "a clock that went back", expiry, NULL, NULL, NULL },
		{ "STS-5-6, STS-5.1-4 a day of grace where a policy refused "
		    "and could not be asked for", grace, NULL, NULL, NULL },
		{ "RPT-5.5-1, RPT-5.5-2 a report is tried for a day from its "
		    "first attempt, at gaps that at least double",
		    a_day_of_tries, NULL, NULL, NULL },
		{ "RPT-5.5-1 a report's day begins with its first attempt",
		    a_day_from_the_first, NULL, NULL, NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
