/*
 * When is a kept policy fetched again without being asked for?  (RFC 8461
 * 3.3, 10.2)  Pure: `now' and the random bits are arguments.
 */
#ifndef CULVER_REFRESH_H
#define CULVER_REFRESH_H

#include "policy/cache.h"

/*
 * As a record's refresh_s: an operator asked for it while there was no relay.
 * It is done at the next start, whatever else speaks against it.
 */
#define REFRESH_ASKED	1

/*
 * The next unasked fetch, after a fetch that went well or failed (what the
 * record says of it).  Wall clock, seconds, later than now_s; 0: none, until
 * mail comes again or ever.
 *
 * 12 to 24 h after the last fetch, at a point nobody can predict, and before
 * three quarters of the policy's life; 12 to 18 h after one that failed: so at
 * most two a day.  A policy that lives less than 16 h is never refreshed; only
 * domains that had mail in the last 30 days are.
 */
int64_t	refresh_next(const struct cache_record *, int64_t now_s,
	    uint32_t random);
/*
 * The same when we have been away: what is overdue is spread, so that a start
 * is no storm.
 */
int64_t	refresh_after_start(const struct cache_record *, int64_t now_s,
	    uint32_t random);
/*
 * Is a delivery to have the policy fetched beside it, which it does not wait
 * for?  Pure.  In the second half of a policy's life, when nothing unasked is
 * to come before its end: it lives less than 16 h, or its last refresh failed.
 * Failures back off from 5 min to 1 h.
 */
bool	refresh_beside(const struct cache_record *, int64_t now_s);
/* Is a refresh due (the record may have changed since it was planned)? */
bool	refresh_is_due(const struct cache_record *, int64_t now_s);
/*
 * Must an operator hear that refreshes fail?  Three days, or near the policy's
 * end; never for mode none.  STS-10.2-3, STS-10.2-4
 */
bool	refresh_is_alarming(const struct cache_record *, int64_t now_s);
/* May the record go: no policy that holds, and no mail for 30 days? */
bool	refresh_is_useless(const struct cache_record *, int64_t now_s);

#endif
