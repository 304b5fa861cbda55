/*
 * When is a report due, and when is the next attempt?
 *
 * Called by life.c and by what lists reports.  Pure: no clock, no book.
 */
#include "reports/life.h"

/* Sessions that ended with the day may still be on their way to the book. */
#define AFTER_DAY_S	2
#define FIRST_RETRY_S	330
#define ATTEMPTS_FOR_S	86400
/* The doubled delay of so many attempts is beyond any time for them. */
#define ATTEMPTS_MAX	16

/* FNV-1a, and a last mix (of MurmurHash3): its high bits count here. */
static uint64_t
hash_of(const char *domain, uint32_t day)
{
	uint64_t hash = 0xcbf29ce484222325u;

	for (; *domain != '\0'; domain++)
		hash = (hash ^ (uint8_t)*domain) * 0x100000001b3u;
	for (unsigned shift = 0; shift < 32; shift += 8)
		hash = (hash ^ (day >> shift & 0xff)) * 0x100000001b3u;
	hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccdu;
	return hash ^ hash >> 33;
}

/* RPT-4.1-2 RFC 8460 4.1: not all receivers at the same moment. */
int64_t
life_due_s(const struct config *config, uint32_t day, const char *domain)
{
	int64_t due_s = ((int64_t)day + 1) * DAY_S + config->report_at_s +
	    AFTER_DAY_S;

	if (config->report_spread_s > 0)
		due_s += (int64_t)(hash_of(domain, day) %
		    (uint64_t)config->report_spread_s);
	return due_s;
}

/*
 * RPT-5.5-1, RPT-5.5-2 RFC 8460 5.5.  With 330 s at first the ninth attempt
 * is 23 h 22 min after the first; a delay is never cut short, for then the
 * gaps would not grow.
 */
int64_t
life_retry_s(unsigned attempts, int64_t first_s, int64_t now_s)
{
	int64_t left_s = first_s + ATTEMPTS_FOR_S - now_s, delay_s;

	if (attempts == 0)
		return left_s > 0 ? 0 : -1;
	if (attempts > ATTEMPTS_MAX)
		return -1;
	delay_s = (int64_t)FIRST_RETRY_S << (attempts - 1);
	return delay_s <= left_s ? delay_s : -1;
}
