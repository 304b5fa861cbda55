/*
 * When is the next try, and when is it given up?
 *
 * Called by result.c, ending.c and signer.c.  Pure: no clock, no random
 * source; both come as arguments.  It knows no records.
 */
#include "queue/schedule.h"

#define JITTER_PART	8	/* up to an eighth of the step */
#define DAY_S		86400
#define DAY_MS		(DAY_S * 1000ull)
#define SLACK_PART	4	/* of a delay: what tries may take */

/* Spread the bits of seed (splitmix64's last steps). */
static uint64_t
spread(uint64_t seed)
{
	seed += 0x9e3779b97f4a7c15;
	seed = (seed ^ seed >> 30) * 0xbf58476d1ce4e5b9;
	seed = (seed ^ seed >> 27) * 0x94d049bb133111eb;
	return seed ^ seed >> 31;
}

uint64_t
schedule_delay_ms(const int64_t *retry_s, size_t n, uint32_t attempt,
    uint64_t seed)
{
	size_t step = attempt == 0 ? 0 : attempt - 1;
	uint64_t delay_ms, jitter_ms;

	if (step >= n)
		step = n - 1;
	delay_ms = (uint64_t)retry_s[step] * 1000;
	jitter_ms = delay_ms / JITTER_PART;
	/* SMTP-4.5.4.1-2 RFC 5321 4.5.4.1; STS-5.1-5: whoever refused */
	return delay_ms + spread(seed ^ attempt) % (jitter_ms + 1);
}

uint64_t
schedule_report_delay_ms(const int64_t *retry_s, size_t n, uint32_t attempt,
    uint64_t seed, uint64_t age_ms)
{
	uint64_t delay_ms = schedule_delay_ms(retry_s, n, attempt, seed);
	uint64_t left_ms = age_ms < DAY_MS ? DAY_MS - age_ms : 0;

	/* RPT-5.5-2: twice all gaps so far, whatever they were between */
	if (delay_ms < 2 * age_ms)
		delay_ms = 2 * age_ms;
	/* RPT-5.5-1: the last try is at the end, and none is after it */
	if (3 * delay_ms + delay_ms / SLACK_PART <= left_ms)
		return delay_ms;
	return left_ms > 1000 ? left_ms : 1000;
}

bool
schedule_report_expired(uint64_t first_ms, uint64_t began_ms)
{
	return first_ms != 0 && schedule_expired(first_ms, DAY_S, 0,
	    began_ms);
}

bool
schedule_expired(uint64_t arrived_ms, int64_t expire_s, int64_t grace_s,
    uint64_t began_ms)
{
	uint64_t life_ms = (uint64_t)(expire_s + grace_s) * 1000;

	/* A clock that was set back makes a message young, never old. */
	return began_ms >= arrived_ms && began_ms - arrived_ms >= life_ms;
}

bool
schedule_is_late(uint64_t arrived_ms, int64_t warn_s, uint64_t failed_ms)
{
	return schedule_expired(arrived_ms, warn_s, 0, failed_ms);
}

int64_t
schedule_grace_s(bool policy_refused, bool policy_checked)
{
	/* STS-5-6, STS-5.1-4 RFC 8461 5 */
	return policy_refused && !policy_checked ? DAY_S : 0;
}
