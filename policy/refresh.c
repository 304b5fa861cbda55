/*
 * When is a kept policy fetched again without being asked for?
 *
 * Called by refresher.c and discover.c.  An attacker who knows the moment of
 * a refresh needs to block only that one (RFC 8461 10.2): so the moment is
 * random within twelve hours.  That also spreads the load (T44), and twelve
 * hours between any two are what makes it two a day at most.
 */
#include "policy/refresh.h"

#define HOUR_S		3600
#define DAY_S		(24 * HOUR_S)
#define EARLIEST_S	(12 * HOUR_S)
#define LATEST_S	DAY_S
#define SHORTEST_S	(16 * HOUR_S)	/* of max_age, to be refreshed */
#define FIRST_WAIT_S	300		/* after a failure beside mail */
#define MAIL_WITHIN_S	(30 * DAY_S)
#define ALARM_AFTER_S	(3 * DAY_S)

/* A random part of span, from 0 to span. */
static int64_t
part(int64_t span_s, uint32_t random)
{
	return span_s <= 0 ? 0 :
	    (int64_t)((uint64_t)span_s * random / UINT32_MAX);
}

static int64_t
lifetime_s(const struct cache_record *record)
{
	return cache_expires(record) - record->fetched_s;
}

/* The last fetch, well or not. */
static int64_t
last_s(const struct cache_record *record)
{
	return record->failures > 0 && record->error_s > record->fetched_s ?
	    record->error_s : record->fetched_s;
}

/* STS-3.3-16 RFC 8461 3.3 */
static bool
is_wanted(const struct cache_record *record, int64_t now_s)
{
	return cache_is_known(record, now_s) &&
	    lifetime_s(record) >= SHORTEST_S &&
	    now_s - record->mail_s < MAIL_WITHIN_S;
}

/* A host that is broken is not asked more often than one that is not. */
static int64_t
after_failure(const struct cache_record *record, uint32_t random)
{
	return record->error_s + EARLIEST_S + part(EARLIEST_S / 2, random);
}

/*
 * STS-10.2-1 RFC 8461 10.2: daily, however long the policy lives; before three
 * quarters of its life, so that somebody has time to mend what fails.
 */
static int64_t
after_success(const struct cache_record *record, uint32_t random)
{
	int64_t latest_s = lifetime_s(record) / 4 * 3;

	if (latest_s > LATEST_S)
		latest_s = LATEST_S;
	return record->fetched_s + EARLIEST_S +
	    part(latest_s - EARLIEST_S, random);
}

int64_t
refresh_next(const struct cache_record *record, int64_t now_s,
    uint32_t random)
{
	int64_t next_s;

	if (!is_wanted(record, now_s))
		return 0;
	next_s = record->failures > 0 ? after_failure(record, random) :
	    after_success(record, random);
	/* Mail came again after long: soon, but not at once. */
	if (next_s <= now_s)
		next_s = now_s + 1 + part(HOUR_S, random);
	/* Nothing is fetched unasked for a policy that has ended. */
	return next_s < cache_expires(record) ? next_s : 0;
}

int64_t
refresh_after_start(const struct cache_record *record, int64_t now_s,
    uint32_t random)
{
	int64_t from_s = last_s(record) + EARLIEST_S, span_s;

	if (record->refresh_s == REFRESH_ASKED)
		return REFRESH_ASKED;
	if (!is_wanted(record, now_s))
		return 0;
	if (record->refresh_s > now_s &&
	    record->refresh_s <= now_s + LATEST_S)
		return record->refresh_s;
	if (from_s <= now_s || from_s > now_s + EARLIEST_S)
		from_s = now_s + 1;
	span_s = (cache_expires(record) - from_s) / 2;
	if (span_s > EARLIEST_S)
		span_s = EARLIEST_S;
	return span_s > 0 ? from_s + part(span_s, random) : 0;
}

/* 5, 10, 20, 40, 60, 60 ... minutes. */
static int64_t
wait_beside_s(const struct cache_record *record)
{
	int64_t wait_s = FIRST_WAIT_S;
	uint32_t n;

	for (n = 1; n < record->failures && wait_s < HOUR_S; n++)
		wait_s *= 2;
	return wait_s < HOUR_S ? wait_s : HOUR_S;
}

bool
refresh_beside(const struct cache_record *record, int64_t now_s)
{
	int64_t life_s = lifetime_s(record);
	bool failed = record->failures > 0;

	if (!cache_is_known(record, now_s) ||
	    now_s - record->fetched_s < life_s / 2)
		return false;
	if (life_s >= SHORTEST_S && (!failed ||
	    after_failure(record, 0) < cache_expires(record)))
		return false;
	return !failed || now_s < record->error_s ||
	    now_s - record->error_s >= wait_beside_s(record);
}

bool
refresh_is_due(const struct cache_record *record, int64_t now_s)
{
	return record->refresh_s != 0 && record->refresh_s <= now_s &&
	    (record->refresh_s == REFRESH_ASKED ||
	    is_wanted(record, now_s) || refresh_beside(record, now_s));
}

bool
refresh_is_alarming(const struct cache_record *record, int64_t now_s)
{
	int64_t left_s = cache_expires(record) - now_s;

	/* STS-3.3-18 RFC 8461 3.3, STS-10.2-4 RFC 8461 10.2 */
	if (record->failures == 0 || record->mode == STS_NONE ||
	    !cache_is_known(record, now_s))
		return false;
	return now_s - record->failing_since_s >= ALARM_AFTER_S ||
	    (record->failures > 1 && left_s < lifetime_s(record) / 4);
}

bool
refresh_is_useless(const struct cache_record *record, int64_t now_s)
{
	return !cache_is_known(record, now_s) &&
	    now_s - record->mail_s >= MAIL_WITHIN_S &&
	    now_s - record->lost_s >= MAIL_WITHIN_S;
}
