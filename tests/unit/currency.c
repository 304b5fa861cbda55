/*
 * RFC 8461's rules on kept policies: every reachable set of facts has its
 * row, and events move a record through a policy's life.
 */
#include "policy/currency.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))
#define NOW		1800000000
#define EXPIRE_S	(5 * 86400)

#define KEPT	CURRENCY_KEPT
#define FETCH	CURRENCY_FETCH
#define NONE	CURRENCY_NONE
#define AGAIN	CURRENCY_AGAIN

/* known, lost, waiting; then the step for each TXT. */
static const struct {
	bool			known, lost, waiting;
	enum currency_step	same, other, none, failed;
} judged[] = {
	{ false, false, false, FETCH, FETCH, NONE, NONE },
	{ false, false, true, NONE, NONE, NONE, NONE },
	{ false, true, false, FETCH, FETCH, NONE, AGAIN },
	{ false, true, true, AGAIN, AGAIN, NONE, AGAIN },
	{ true, false, false, KEPT, FETCH, KEPT, KEPT },
	{ true, false, true, KEPT, KEPT, KEPT, KEPT },
	{ true, true, false, KEPT, FETCH, KEPT, KEPT },
	{ true, true, true, KEPT, KEPT, KEPT, KEPT },
};

static void
test_judge(void **state)
{
	size_t i, txt;

	(void)state;
	for (i = 0; i < COUNT(judged); i++) {
		const enum currency_step wanted[] = {
			[TXT_SAME] = judged[i].same,
			[TXT_OTHER] = judged[i].other,
			[TXT_NONE] = judged[i].none,
			[TXT_FAILED] = judged[i].failed
		};

		for (txt = 0; txt < COUNT(wanted); txt++) {
			const struct currency_facts facts = {
				.known = judged[i].known,
				.txt = (enum currency_txt)txt,
				.waiting = judged[i].waiting,
				.lost = judged[i].lost
			};

			if (currency_judge(&facts) != wanted[txt])
				fail_msg("row %zu, TXT %zu: %d", i, txt,
				    currency_judge(&facts));
		}
	}
}

/* Whatever DNS says or fails to say: what is known is applied (T1). */
static void
test_never_loosened(void **state)
{
	unsigned bits;

	(void)state;
	for (bits = 0; bits < 16; bits++) {
		const struct currency_facts facts = {
			.known = true,
			.txt = (enum currency_txt)(bits & 3),
			.waiting = bits & 4,
			.lost = bits & 8
		};
		enum currency_step step = currency_judge(&facts);

		assert_true(step == KEPT || step == FETCH);
		if (step != FETCH)
			continue;
		assert_int_equal(currency_after_fetch(FETCHED_BAD, true,
		    facts.lost), KEPT);
		assert_int_equal(currency_after_fetch(FETCHED_OURS, true,
		    facts.lost), AGAIN);
	}
}

static void
test_after_fetch(void **state)
{
	static const struct {
		enum currency_fetch	fetch;
		bool			known, lost;
		enum currency_step	step;
	} rows[] = {
		{ FETCHED_GOOD, false, false, KEPT },
		{ FETCHED_GOOD, false, true, KEPT },
		{ FETCHED_GOOD, true, false, KEPT },
		{ FETCHED_GOOD, true, true, KEPT },
		{ FETCHED_BAD, false, false, NONE },
		{ FETCHED_BAD, false, true, AGAIN },
		{ FETCHED_BAD, true, false, KEPT },
		{ FETCHED_BAD, true, true, KEPT },
		{ FETCHED_OURS, false, false, AGAIN },
		{ FETCHED_OURS, false, true, AGAIN },
		{ FETCHED_OURS, true, false, AGAIN },
		{ FETCHED_OURS, true, true, AGAIN },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++)
		assert_int_equal(currency_after_fetch(rows[i].fetch,
		    rows[i].known, rows[i].lost), rows[i].step);
}

static struct cache_record
record_of(const char *id, int64_t fetched_s, uint64_t max_age_s)
{
	struct cache_record record = { .mode = STS_ENFORCE };

	strcpy(record.id, id);
	record.fetched_s = fetched_s;
	record.max_age_s = max_age_s;
	return record;
}

static void
test_lifetime(void **state)
{
	static const struct {
		uint64_t	max_age_s;
		int64_t		known_s;	/* last second it holds */
	} rows[] = {
		{ 0, -1 }, { 1, 0 }, { 60, 59 }, { 86400, 86399 },
		{ 31557600, 31557599 }, { 31557601, 31557599 },
		{ 9999999999, 31557599 },
	};
	struct cache_record record;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		record = record_of("1", NOW, rows[i].max_age_s);
		if (rows[i].known_s >= 0)
			assert_true(cache_is_known(&record,
			    NOW + rows[i].known_s));
		assert_false(cache_is_known(&record,
		    NOW + rows[i].known_s + 1));
		assert_int_equal(cache_expires(&record),
		    NOW + rows[i].known_s + 1);
	}
	record.id[0] = '\0';
	assert_false(cache_is_known(&record, NOW));
	assert_int_equal(cache_expires(&record), 0);
}

static enum currency_txt
compared(const char *kept, const char *published)
{
	struct cache_record record = record_of(kept, NOW, 1000);

	return currency_facts(&record, TXT_OTHER, published, NOW, 0,
	    EXPIRE_S).txt;
}

static void
test_ids(void **state)
{
	(void)state;
	assert_int_equal(compared("abc", "abc"), TXT_SAME);
	assert_int_equal(compared("abc", "ABC"), TXT_OTHER);
	assert_int_equal(compared("abc", "ab"), TXT_OTHER);
	assert_int_equal(compared("2", "1"), TXT_OTHER);
	assert_int_equal(compared("20260101", "20250101"), TXT_OTHER);
	assert_int_equal(compared("", "1"), TXT_OTHER);
}

static bool
waits(const char *failed, const char *published, int64_t since_s)
{
	struct cache_record record = record_of("0", NOW - 10, 1000);

	currency_note_failed(&record, failed, RESULT_STS_POLICY_FETCH_ERROR,
	    "HTTP 500", NOW);
	return currency_facts(&record, TXT_OTHER, published, NOW + since_s, 0,
	    EXPIRE_S).waiting;
}

static void
test_wait(void **state)
{
	(void)state;
	assert_true(waits("1", "1", 0));
	assert_true(waits("1", "1", 299));
	assert_false(waits("1", "1", 300));
	assert_false(waits("1", "2", 0));
	assert_false(waits("1", "2", 299));
	/* A clock that was set back does not make it wait for ever. */
	assert_false(waits("1", "1", -1));
}

static bool
is_lost(int64_t cache_lost_s, int64_t record_lost_s)
{
	struct cache_record record = record_of("", 0, 0);

	record.lost_s = record_lost_s;
	return currency_facts(&record, TXT_NONE, "", NOW, cache_lost_s,
	    EXPIRE_S).lost;
}

static void
test_lost(void **state)
{
	(void)state;
	assert_false(is_lost(0, 0));
	assert_true(is_lost(NOW, 0));
	assert_true(is_lost(NOW - EXPIRE_S + 1, 0));
	assert_false(is_lost(NOW - EXPIRE_S, 0));
	assert_true(is_lost(0, NOW - 5));
	assert_false(is_lost(0, NOW - EXPIRE_S));
}

static void
test_txt_holds(void **state)
{
	struct cache_record record = record_of("1", NOW, 1000);

	(void)state;
	assert_false(currency_txt_holds(&record, NOW));
	currency_note_txt(&record, 300, NOW);
	assert_int_equal(record.checked_s, NOW);
	assert_true(currency_txt_holds(&record, NOW));
	assert_true(currency_txt_holds(&record, NOW + 299));
	assert_false(currency_txt_holds(&record, NOW + 300));
	/* Not longer than the policy, and not by a clock set back. */
	currency_note_txt(&record, 5000, NOW);
	assert_false(currency_txt_holds(&record, NOW + 1000));
	assert_false(currency_txt_holds(&record, NOW - 90000));
	currency_note_txt(&record, 0, NOW);
	assert_false(currency_txt_holds(&record, NOW));
}

/* A failed fetch leaves the policy and its age alone (T5). */
static void
test_failure_keeps(void **state)
{
	struct cache_record record = record_of("1", NOW, 1000), before;

	(void)state;
	before = record;
	currency_note_failed(&record, "2", RESULT_STS_WEBPKI_INVALID, "expired",
	    NOW + 5);
	assert_string_equal(record.id, before.id);
	assert_int_equal(record.mode, before.mode);
	assert_int_equal(record.fetched_s, before.fetched_s);
	assert_int_equal(record.max_age_s, before.max_age_s);
	assert_int_equal(record.error, RESULT_STS_WEBPKI_INVALID);
	assert_string_equal(record.error_text, "expired");
	assert_string_equal(record.failed_id, "2");
	assert_int_equal(record.error_s, NOW + 5);
	assert_int_equal(record.failures, 1);
	assert_int_equal(record.failing_since_s, NOW + 5);
	currency_note_failed(&record, "2", RESULT_STS_POLICY_INVALID, "line 1",
	    NOW + 500);
	assert_int_equal(record.failures, 2);
	assert_int_equal(record.failing_since_s, NOW + 5);
	assert_int_equal(record.error_s, NOW + 500);
}

static void
test_fetched_replaces(void **state)
{
	static const struct {
		enum sts_mode	mode;
		uint64_t	max_age_s;
	} rows[] = {
		{ STS_NONE, 60 }, { STS_TESTING, 0 }, { STS_ENFORCE, 999999 },
	};
	struct cache_record record;
	struct sts_policy policy = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		record = record_of("1", NOW - 500, 31557600);
		record.lost_s = 7;
		currency_note_failed(&record, "2", RESULT_STS_POLICY_INVALID,
		    "x", NOW - 5);
		policy.mode = rows[i].mode;
		policy.max_age_s = rows[i].max_age_s;
		currency_note_fetched(&record, "2", &policy, NOW);
		assert_string_equal(record.id, "2");
		assert_int_equal(record.mode, rows[i].mode);
		assert_int_equal(record.max_age_s, rows[i].max_age_s);
		assert_int_equal(record.fetched_s, NOW);
		assert_int_equal(record.checked_s, NOW);
		assert_int_equal(record.error, RESULT_NONE);
		assert_string_equal(record.error_text, "");
		assert_string_equal(record.failed_id, "");
		assert_int_equal(record.failures, 0);
		assert_int_equal(record.lost_s, 0);
	}
}

static void
test_mail(void **state)
{
	struct cache_record record = record_of("1", NOW, 1000);

	(void)state;
	assert_true(currency_note_mail(&record, NOW));
	assert_false(currency_note_mail(&record, NOW + 6 * 3600 - 1));
	assert_int_equal(record.mail_s, NOW);
	assert_true(currency_note_mail(&record, NOW + 6 * 3600));
	assert_true(currency_note_mail(&record, NOW));
}

/*
 * A policy's life, second by second as an attacker would like it: he takes
 * the TXT away, forges ids, blocks the host; nothing moves but time.
 */
static void
test_attack(void **state)
{
	struct cache_record record = record_of("1", NOW, 1000);
	struct currency_facts facts;
	enum currency_step step;
	int64_t now_s;
	char id[STS_ID_SIZE];

	(void)state;
	for (now_s = NOW; now_s < NOW + 2000; now_s++) {
		snprintf(id, sizeof(id), "forged%d", (int)(now_s % 7));
		facts = currency_facts(&record,
		    (enum currency_txt)(now_s % 3 + 1), id, now_s, 0,
		    EXPIRE_S);
		step = currency_judge(&facts);
		if (step == FETCH) {
			currency_note_failed(&record, id,
			    RESULT_STS_POLICY_FETCH_ERROR, "timeout", now_s);
			step = currency_after_fetch(FETCHED_BAD,
			    cache_is_known(&record, now_s), facts.lost);
		}
		assert_int_equal(step, now_s < NOW + 1000 ? KEPT : NONE);
	}
	/* And the same id is no life after death (T2). */
	facts = currency_facts(&record, TXT_OTHER, "1", now_s, 0, EXPIRE_S);
	assert_int_equal(facts.txt, TXT_SAME);
	assert_int_equal(currency_judge(&facts), FETCH);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "STS-3-1 STS-3-2 STS-3.1-13 STS-3.1-14 STS-3.1-15 "
		    "STS-3.3-14 STS-3.3-15 each TXT has its step", test_judge,
		    NULL, NULL, NULL },
		{ "T1 STS-3.1-15 nothing that DNS says loosens a kept policy",
		    test_never_loosened, NULL, NULL, NULL },
		{ "STS-3.3-14 STS-3.3-15 STS-5.1-7 each end of a fetch has "
		    "its step", test_after_fetch, NULL, NULL, NULL },
		{ "T2 T11 STS-3.2-8 STS-3.2-9 STS-5.1-1 a policy holds for "
		    "its max_age, capped", test_lifetime, NULL, NULL, NULL },
		{ "STS-3.1-6 STS-3.1-7 ids are compared as exact strings",
		    test_ids, NULL, NULL, NULL },
		{ "T48 STS-3.3-10 STS-3.3-11 a failed id waits 300 s, another "
		    "does not", test_wait, NULL, NULL, NULL },
		{ "a lost cache is remembered for `expire'", test_lost, NULL,
		    NULL, NULL },
		{ "STS-8.1-1 a TXT holds for its TTL", test_txt_holds, NULL,
		    NULL, NULL },
		{ "T5 STS-5.1-7 STS-3.3-17 a failed fetch changes nothing of "
		    "the policy", test_failure_keeps, NULL, NULL, NULL },
		{ "STS-5.1-6 STS-8.3-1 a fetched policy replaces any other",
		    test_fetched_replaces, NULL, NULL, NULL },
		{ "mail is noted every six hours", test_mail, NULL, NULL,
		    NULL },
		{ "T5 STS-3.3-15 forged ids and a blocked host end no policy",
		    test_attack, NULL, NULL, NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
