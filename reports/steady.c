/*
 * Is the wall clock to be believed?
 *
 * Called by life.c at the end of each turn.  A wall clock that makes a leap
 * which the other two do not make was set: from wrong to right, or from right
 * to wrong.  States: believed; ahead (it leapt forward, and may leap back).
 *
 * There is no clock here, and nothing is said of what follows.
 */
#include "reports/steady.h"

/* More than any clock can be brought back by. */
#define UNKNOWN_MS	(INT64_MAX / 2)

static int64_t
magnitude(int64_t ms)
{
	return ms < 0 ? -ms : ms;
}

/* How far did the wall clock go that no other clock went?  A machine that
   slept is no jump, and neither is one of which only one clock is slow. */
static int64_t
jump_of(const struct steady_time *last, const struct steady_time *now)
{
	int64_t wall_ms = now->wall_ms - last->wall_ms;
	int64_t one_ms = wall_ms - (now->monotonic_ms - last->monotonic_ms);
	int64_t other_ms = wall_ms - (now->boot_ms - last->boot_ms);

	return magnitude(one_ms) < magnitude(other_ms) ? one_ms : other_ms;
}

bool
steady_look(struct steady *steady, const struct steady_time *now, bool *moved)
{
	int64_t jump_ms = steady->seen ? jump_of(&steady->last, now) : 0;
	bool doubted = steady->ahead_ms != 0;

	steady->seen = true;
	steady->last = *now;
	*moved = false;
	if (magnitude(jump_ms) > STEADY_JUMP_MS) {
		steady->ahead_ms += jump_ms;
		steady->since_ms = now->monotonic_ms;
		doubted = true;
	}
	if (steady->ahead_ms > STEADY_JUMP_MS &&
	    now->monotonic_ms - steady->since_ms < STEADY_DOUBT_MS)
		return false;
	steady->ahead_ms = 0;
	*moved = doubted;
	return true;
}

void
steady_doubt(struct steady *steady)
{
	steady->ahead_ms = UNKNOWN_MS;
	steady->since_ms = steady->last.monotonic_ms;
}

void
steady_believe(struct steady *steady)
{
	steady->ahead_ms = 0;
}
