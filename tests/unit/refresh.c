/*
 * When policies are refreshed: single rules, and ten thousand policies over
 * ten days.
 */
#include "policy/refresh.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/currency.h"

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))
#define NOW		1800000000
#define HOUR		3600
#define DAY		86400

static struct cache_record
record_of(uint64_t max_age_s)
{
	struct cache_record record = {
		.id = "1",
		.mode = STS_ENFORCE,
		.max_age_s = max_age_s,
		.fetched_s = NOW,
		.mail_s = NOW
	};

	return record;
}

static void
test_window(void **state)
{
	static const struct {
		uint64_t	max_age_s;
		int64_t		least_s, most_s;	/* 0: never */
	} rows[] = {
		{ 0, 0, 0 }, { 60, 0, 0 }, { 16 * HOUR - 1, 0, 0 },
		{ 16 * HOUR, 12 * HOUR, 12 * HOUR },
		{ 20 * HOUR, 12 * HOUR, 15 * HOUR },
		{ DAY, 12 * HOUR, 18 * HOUR },
		{ 32 * HOUR, 12 * HOUR, 24 * HOUR },
		{ 7 * DAY, 12 * HOUR, 24 * HOUR },
		{ 31557600, 12 * HOUR, 24 * HOUR },
		{ 9999999999, 12 * HOUR, 24 * HOUR },
	};
	struct cache_record record;
	uint32_t random;
	int64_t next_s;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		record = record_of(rows[i].max_age_s);
		assert_int_equal(refresh_next(&record, NOW, 0),
		    rows[i].most_s == 0 ? 0 : NOW + rows[i].least_s);
		assert_int_equal(refresh_next(&record, NOW, UINT32_MAX),
		    rows[i].most_s == 0 ? 0 : NOW + rows[i].most_s);
		for (random = 0; random < 100; random++) {
			next_s = refresh_next(&record, NOW,
			    random * 42949672u);
			if (rows[i].most_s != 0)
				assert_in_range(next_s, NOW + rows[i].least_s,
				    NOW + rows[i].most_s);
		}
	}
}

static void
test_mail(void **state)
{
	struct cache_record record = record_of(31557600);

	(void)state;
	record.mail_s = NOW - 30 * DAY + 1;
	assert_int_not_equal(refresh_next(&record, NOW, 0), 0);
	record.mail_s = NOW - 30 * DAY;
	assert_int_equal(refresh_next(&record, NOW, 0), 0);
	/* Mail came again: within an hour, not at once. */
	record.fetched_s = NOW - 20 * DAY;
	record.mail_s = NOW;
	assert_int_equal(refresh_next(&record, NOW, 0), NOW + 1);
	assert_in_range(refresh_next(&record, NOW, UINT32_MAX), NOW + 1,
	    NOW + 1 + HOUR);
}

static void
test_ended(void **state)
{
	struct cache_record record = record_of(2 * DAY);

	(void)state;
	record.refresh_s = NOW + DAY;
	assert_true(refresh_is_due(&record, NOW + DAY));
	assert_false(refresh_is_due(&record, NOW + DAY - 1));
	assert_false(refresh_is_due(&record, NOW + 2 * DAY));
	assert_int_equal(refresh_next(&record, NOW + 2 * DAY, 0), 0);
	record.refresh_s = 0;
	assert_false(refresh_is_due(&record, NOW + DAY));
}

static void
test_failures(void **state)
{
	struct cache_record record = record_of(31557600);
	int64_t now_s = NOW + DAY;
	size_t i;

	(void)state;
	for (i = 0; i < 7; i++) {
		currency_note_failed(&record, "1",
		    RESULT_STS_POLICY_FETCH_ERROR, "timeout", now_s);
		assert_int_equal(refresh_next(&record, now_s, 0),
		    now_s + 12 * HOUR);
		assert_int_equal(refresh_next(&record, now_s, UINT32_MAX),
		    now_s + 18 * HOUR);
		now_s = refresh_next(&record, now_s, 0);
	}
	/* Not past the policy's end. */
	record = record_of(DAY);
	currency_note_failed(&record, "1", RESULT_STS_POLICY_FETCH_ERROR,
	    "timeout", NOW + DAY - HOUR);
	assert_int_equal(refresh_next(&record, NOW + DAY - HOUR, 0), 0);
}

/* What mail sets off, and when it may again. */
static void
test_beside(void **state)
{
	static const int64_t minutes[] = { 5, 10, 20, 40, 60, 60 };
	struct cache_record record = record_of(10 * HOUR), old;
	int64_t now_s = NOW + 5 * HOUR;
	size_t i;

	(void)state;
	assert_false(refresh_beside(&record, now_s - 1));
	assert_true(refresh_beside(&record, now_s));
	assert_true(refresh_beside(&record, NOW + 10 * HOUR - 1));
	assert_false(refresh_beside(&record, NOW + 10 * HOUR));
	/* Then it is due, though never of itself. */
	record.refresh_s = now_s;
	assert_true(refresh_is_due(&record, now_s));
	assert_int_equal(refresh_next(&record, now_s, 0), 0);
	assert_int_equal(refresh_after_start(&record, now_s, 0), 0);
	for (i = 0; i < COUNT(minutes); i++) {
		currency_note_failed(&record, "1",
		    RESULT_STS_POLICY_FETCH_ERROR, "timeout", now_s);
		now_s += minutes[i] * 60;
		assert_false(refresh_beside(&record, now_s - 1));
		assert_true(refresh_beside(&record, now_s));
	}
	/* Long lives are refreshed of themselves, early enough ... */
	record = record_of(DAY);
	for (now_s = NOW; now_s < NOW + DAY; now_s += HOUR)
		assert_false(refresh_beside(&record, now_s));
	/* ... but one that failed may have no other chance. */
	old = record;
	currency_note_failed(&record, "1", RESULT_STS_POLICY_FETCH_ERROR,
	    "timeout", NOW + 15 * HOUR);
	assert_int_equal(refresh_next(&record, NOW + 15 * HOUR, 0), 0);
	assert_false(refresh_beside(&record, NOW + 15 * HOUR + 299));
	assert_true(refresh_beside(&record, NOW + 15 * HOUR + 300));
	old.max_age_s = 7 * DAY;
	currency_note_failed(&old, "1", RESULT_STS_POLICY_FETCH_ERROR,
	    "timeout", NOW + 5 * DAY);
	assert_false(refresh_beside(&old, NOW + 5 * DAY + HOUR));
}

static bool
alarms(enum sts_mode mode, uint64_t max_age_s, int64_t first_s, unsigned n,
    int64_t at_s)
{
	struct cache_record record = record_of(max_age_s);

	record.mode = mode;
	while (n-- > 0)
		currency_note_failed(&record, "1",
		    RESULT_STS_POLICY_FETCH_ERROR, "timeout", NOW + first_s);
	return refresh_is_alarming(&record, NOW + at_s);
}

static void
test_alarm(void **state)
{
	(void)state;
	assert_false(alarms(STS_ENFORCE, 60 * DAY, DAY, 0, 5 * DAY));
	assert_false(alarms(STS_ENFORCE, 60 * DAY, DAY, 4, 2 * DAY));
	assert_true(alarms(STS_ENFORCE, 60 * DAY, DAY, 4, 4 * DAY));
	assert_true(alarms(STS_TESTING, 60 * DAY, DAY, 4, 4 * DAY));
	/* A short life: near its end. */
	assert_false(alarms(STS_ENFORCE, 2 * DAY, DAY, 2, 34 * HOUR));
	assert_true(alarms(STS_ENFORCE, 2 * DAY, DAY, 2, 37 * HOUR));
	assert_false(alarms(STS_ENFORCE, 2 * DAY, DAY, 1, 37 * HOUR));
	/* It has ended: nothing to warn of. */
	assert_false(alarms(STS_ENFORCE, 2 * DAY, DAY, 2, 2 * DAY));
}

static void
test_quiet(void **state)
{
	int64_t at_s;

	(void)state;
	for (at_s = DAY; at_s < 60 * DAY; at_s += HOUR)
		assert_false(alarms(STS_NONE, 60 * DAY, DAY, 9, at_s));
}

static void
test_useless(void **state)
{
	struct cache_record record = record_of(DAY), empty = { 0 };

	(void)state;
	assert_false(refresh_is_useless(&record, NOW));
	assert_false(refresh_is_useless(&record, NOW + 29 * DAY));
	assert_true(refresh_is_useless(&record, NOW + 30 * DAY));
	record.max_age_s = 31557600;
	assert_false(refresh_is_useless(&record, NOW + 300 * DAY));
	assert_true(refresh_is_useless(&empty, NOW));
	empty.lost_s = NOW - DAY;
	assert_false(refresh_is_useless(&empty, NOW));
}

#define POLICIES	10000
#define DAYS		10
static struct cache_record crowd[POLICIES];
static unsigned per_hour[(DAYS + 2) * 24];

/* The worst beginning: all of them were fetched in the same second. */
static void
test_crowd(void **state)
{
	unsigned in_day[POLICIES][DAYS + 2] = { { 0 } }, most = 0, all = 0;
	int64_t at_s, end_s = NOW + (DAYS + 1) * DAY;
	unsigned i, hour, day;

	(void)state;
	srandom(1);
	for (i = 0; i < POLICIES; i++) {
		crowd[i] = record_of(31557600);
		for (;;) {
			at_s = refresh_next(&crowd[i], crowd[i].fetched_s,
			    (uint32_t)random() << 1);
			if (at_s >= end_s)
				break;
			crowd[i].fetched_s = crowd[i].mail_s = at_s;
			per_hour[(at_s - NOW) / HOUR]++;
			in_day[i][(at_s - NOW) / DAY]++;
		}
	}
	/* The first day is the crowd's own doing. */
	for (hour = 24; hour < (DAYS + 1) * 24; hour++) {
		all += per_hour[hour];
		if (per_hour[hour] > most)
			most = per_hour[hour];
	}
	assert_true(most <= 2 * all / (DAYS * 24));
	assert_true(all <= POLICIES * DAYS * 3 / 2);
	assert_true(all >= POLICIES * DAYS);
	for (i = 0; i < POLICIES; i++)
		for (day = 0; day <= DAYS; day++)
			assert_true(in_day[i][day] <= 2);
}

/*
 * As it is: lives of a day, a week and a year, mail that begins over a week,
 * one policy host in twenty broken.  Nothing is fetched twice within 12 h, and
 * no hour has more than twice the mean.
 */
static void
test_mixed_crowd(void **state)
{
	static const uint64_t lives_s[] = { DAY, 7 * DAY, 31557600 };
	int64_t at_s, last_s, end_s = NOW + (DAYS + 1) * DAY;
	unsigned i, hour, most = 0, all = 0;

	(void)state;
	srandom(3);
	memset(per_hour, 0, sizeof(per_hour));
	for (i = 0; i < POLICIES; i++) {
		crowd[i] = record_of(lives_s[i % 3]);
		last_s = crowd[i].fetched_s = NOW - random() % (7 * DAY);
		while ((at_s = refresh_next(&crowd[i], last_s,
		    (uint32_t)random() << 1)) < end_s && at_s != 0) {
			assert_true(at_s - last_s >= 12 * HOUR);
			last_s = crowd[i].mail_s = at_s;
			if (i % 20 == 0)
				currency_note_failed(&crowd[i], "1",
				    RESULT_STS_POLICY_FETCH_ERROR, "x", at_s);
			else
				crowd[i].fetched_s = at_s;
			if (at_s >= NOW)
				per_hour[(at_s - NOW) / HOUR]++;
		}
	}
	for (hour = 0; hour < DAYS * 24; hour++) {
		all += per_hour[hour];
		if (per_hour[hour] > most)
			most = per_hour[hour];
	}
	assert_true(most <= 2 * all / (DAYS * 24));
	assert_true(all <= POLICIES * DAYS * 8 / 5);
}

/* Away for three days: no storm at the start, and nothing forgotten. */
static void
test_start(void **state)
{
	unsigned hours[13] = { 0 }, i;
	int64_t now_s = NOW + 3 * DAY, at_s;

	(void)state;
	srandom(2);
	for (i = 0; i < POLICIES; i++) {
		crowd[i] = record_of(31557600);
		crowd[i].refresh_s = NOW + 12 * HOUR + i;
		at_s = refresh_after_start(&crowd[i], now_s,
		    (uint32_t)random() << 1);
		assert_in_range(at_s, now_s + 1, now_s + 12 * HOUR + 1);
		hours[(at_s - now_s) / HOUR]++;
	}
	for (i = 0; i < 12; i++)
		assert_in_range(hours[i], POLICIES / 24, POLICIES / 6);
	/* What an operator asked for is due at once, be it unwanted. */
	crowd[2] = record_of(60);
	crowd[2].refresh_s = REFRESH_ASKED;
	assert_int_equal(refresh_after_start(&crowd[2], now_s, 5),
	    REFRESH_ASKED);
	assert_true(refresh_is_due(&crowd[2], now_s));
	/* What is planned stays planned; what has ended is not fetched. */
	crowd[0].refresh_s = now_s + HOUR;
	assert_int_equal(refresh_after_start(&crowd[0], now_s, 5),
	    now_s + HOUR);
	crowd[0].max_age_s = DAY;
	assert_int_equal(refresh_after_start(&crowd[0], now_s, 5), 0);
	/* Fetched an hour ago, and the plan was lost: not before 12 h. */
	crowd[1] = record_of(31557600);
	assert_int_equal(refresh_after_start(&crowd[1], NOW + HOUR, 0),
	    NOW + 12 * HOUR);
	/* Little life is left: in its first half. */
	crowd[0].max_age_s = 3 * DAY + HOUR;
	crowd[0].refresh_s = 0;
	assert_int_equal(refresh_after_start(&crowd[0], now_s, UINT32_MAX),
	    now_s + 1 + (HOUR - 1) / 2);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "STS-3.3-16 STS-10.2-1 12 to 24 h after the last, before "
		    "three quarters of the policy's life", test_window, NULL,
		    NULL, NULL },
		{ "STS-3.3-16 only with mail in the last 30 days", test_mail,
		    NULL, NULL, NULL },
		{ "nothing is fetched unasked for what has ended", test_ended,
		    NULL, NULL, NULL },
		{ "T44 after a failure 12 h at least", test_failures, NULL,
		    NULL, NULL },
		{ "STS-3.3-16 mail in the second half of a short life "
		    "refreshes beside it", test_beside, NULL, NULL, NULL },
		{ "STS-10.2-3 an alarm after three days, or near the end",
		    test_alarm, NULL, NULL, NULL },
		{ "STS-3.3-18 STS-10.2-4 never for mode none", test_quiet,
		    NULL, NULL, NULL },
		{ "what nobody needs any more", test_useless, NULL, NULL,
		    NULL },
		{ "T44 STS-10.2-1 ten thousand policies fetched in one "
		    "second: at most two a day, spread flat", test_crowd,
		    NULL, NULL, NULL },
		{ "T44 ten thousand policies of every life: at most two a "
		    "day, no hour above twice the mean", test_mixed_crowd,
		    NULL, NULL, NULL },
		{ "T44 a start is no storm", test_start, NULL, NULL, NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
