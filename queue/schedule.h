/*
 * When is the next try, and when is it given up?  All pure.
 *
 * Times are wall clock milliseconds.
 */
#ifndef CULVER_QUEUE_SCHEDULE_H
#define CULVER_QUEUE_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * How long after the attempt of that number (1 is the first) is the next?
 * Milliseconds: the step of `retry` (seconds, n of them, the last repeats),
 * and up to an eighth more, chosen by seed: never less than the step, for
 * that is what the operator was promised.  The same seed gives the same
 * delay: recipients of one message stay together.
 * SMTP-4.5.4.1-2 RFC 5321 4.5.4.1
 */
uint64_t schedule_delay_ms(const int64_t *retry_s, size_t n,
	    uint32_t attempt, uint64_t seed);

/*
 * Did the attempt that began at began_ms come after the end of the life of a
 * message that arrived at arrived_ms?  expire_s and grace_s in seconds: a
 * relay that was off for a week tries once more before it gives up.
 */
bool	 schedule_expired(uint64_t arrived_ms, int64_t expire_s,
	    int64_t grace_s, uint64_t began_ms);

/*
 * The same for a report of our own, age_ms after its first attempt began: the
 * step of `retry`, but at least twice its age, so that each gap is at least
 * twice the one before; and where the gap after that could not be had within
 * a day from the first attempt, the next try is at the end of that day and is
 * the last.
 * RPT-5.5-1, RPT-5.5-2 RFC 8460 5.5
 */
uint64_t schedule_report_delay_ms(const int64_t *retry_s, size_t n,
	    uint32_t attempt, uint64_t seed, uint64_t age_ms);
/*
 * Did the attempt that began at began_ms come a day or more after the first
 * one (0: there was none)?  RPT-5.5-1 RFC 8460 5.5
 */
bool	 schedule_report_expired(uint64_t first_ms, uint64_t began_ms);

/*
 * Had a message that arrived at arrived_ms waited for `warn` (seconds) when an
 * attempt failed at failed_ms?  RFC 3461 5.2.5
 */
bool	 schedule_is_late(uint64_t arrived_ms, int64_t warn_s,
	    uint64_t failed_ms);

/*
 * How much longer than `expire` is a message kept whose last refusal was by
 * an enforced policy?  Seconds: 0, or a day where the policy's TXT record
 * could not be asked for in this attempt.  STS-5-6 RFC 8461 5, ruling 20
 */
int64_t	 schedule_grace_s(bool policy_refused, bool policy_checked);

#endif
