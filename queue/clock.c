/*
 * Is the wall clock to be believed?
 *
 * Called by turn.c, before anything of a turn is decided.  Two arguments are
 * known: what was seen before (a machine without a clock of its own begins in
 * 1970, or where it was shut down), and CLOCK_BOOTTIME, which nobody sets and
 * which goes on in sleep.  Neither says that a clock is right, only that it
 * went wrong.
 *
 * A step of up to a day is believed at once: people correct their clocks.
 */
#include "queue/clock.h"

#include "conf/loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ALIKE_MS	1000
#define DAY_MS		INT64_C(86400000)

static int64_t
boot_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct clock_time
clock_now(void)
{
	struct clock_time now;
	int64_t before_ms;

	do {
		before_ms = boot_ms();
		now.wall_ms = loop_wall_ms();
		now.boot_ms = boot_ms();
	} while (now.boot_ms - before_ms > ALIKE_MS);
	return now;
}

/* Days from 1970 to a date of the Gregorian calendar, month from 1. */
static int64_t
days_to(int year, int month, int day)
{
	/* Years begin in March: the odd day is the last one. */
	int64_t y = month > 2 ? year : year - 1;
	int64_t m = (month + 9) % 12;

	return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 +
	    day - 1 - 719468;
}

int64_t
clock_built_ms(void)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	static const char date[] = __DATE__;	/* "Nov  4 2026" */
	char month[4] = { date[0], date[1], date[2], '\0' };
	int number = (int)(strstr(months, month) - months) / 3 + 1;

	/* It may have been built where the day had begun before. */
	return (days_to(atoi(date + 7), number, atoi(date + 4)) - 1) * DAY_MS;
}

static void
believe(struct clock *clock, const struct clock_time *now)
{
	clock->state = CLOCK_RIGHT;
	clock->offset_ms = now->wall_ms - now->boot_ms;
}

void
clock_begin(struct clock *clock, const struct clock_seen *seen,
    int64_t built_ms, const struct clock_time *now)
{
	int64_t floor_ms = (int64_t)seen->wall_ms;

	*clock = (struct clock){ .told = seen->told };
	if (!seen->told && built_ms > floor_ms)
		floor_ms = built_ms;
	believe(clock, now);
	if (now->wall_ms + CLOCK_SLACK_MS >= floor_ms)
		return;
	clock->state = CLOCK_BEHIND;
	clock->floor_ms = floor_ms - CLOCK_SLACK_MS;
}

/* Has the wall clock left its place by more than a day? */
static bool
is_off(const struct clock *clock, const struct clock_time *now)
{
	int64_t moved_ms = now->wall_ms - now->boot_ms - clock->offset_ms;

	return moved_ms > CLOCK_JUMP_MS || moved_ms < -CLOCK_JUMP_MS;
}

/* What the clock is now, and was not doubted for before. */
static enum clock_state
judge(const struct clock *clock, const struct clock_time *now)
{
	switch (clock->state) {
	case CLOCK_BEHIND:
		return now->wall_ms < clock->floor_ms ? CLOCK_BEHIND :
		    CLOCK_RIGHT;
	case CLOCK_JUMPED:
		return is_off(clock, now) && now->boot_ms - clock->since_ms <
		    CLOCK_HELD_MS ? CLOCK_JUMPED : CLOCK_RIGHT;
	default:
		return is_off(clock, now) ? CLOCK_JUMPED : CLOCK_RIGHT;
	}
}

bool
clock_look(struct clock *clock, const struct clock_time *now)
{
	enum clock_state before = clock->state, state = judge(clock, now);

	if (state == CLOCK_JUMPED && before != CLOCK_JUMPED)
		clock->since_ms = now->boot_ms;
	clock->state = state;
	if (state == CLOCK_RIGHT)
		believe(clock, now);
	return state != before;
}

void
clock_accept(struct clock *clock, const struct clock_time *now)
{
	believe(clock, now);
	clock->told = true;
}

bool
clock_keep(const struct clock *clock, const struct clock_time *now,
    struct clock_seen *seen)
{
	if (clock->state != CLOCK_RIGHT || now->wall_ms <= 0)
		return false;
	*seen = (struct clock_seen){ (uint64_t)now->wall_ms, clock->told };
	return true;
}

static void
put_time(int64_t ms, char text[32])
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm parts;

	if (gmtime_r(&seconds, &parts) == NULL || strftime(text, 32,
	    "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
		snprintf(text, 32, "%lld", (long long)seconds);
}

void
clock_say(const struct clock *clock, const struct clock_time *now,
    char *text, size_t size)
{
	char is[32], was[32];

	put_time(now->wall_ms, is);
	if (clock->state == CLOCK_BEHIND) {
		put_time(clock->floor_ms, was);
		snprintf(text, size, "the clock says %s, and it was past %s "
		    "before: mail is taken, and none is delivered until the "
		    "clock is right, or culverctl queue release --clock says "
		    "that it is", is, was);
		return;
	}
	if (clock->state == CLOCK_RIGHT) {
		snprintf(text, size, "the clock is believed: %s", is);
		return;
	}
	put_time(clock->offset_ms + now->boot_ms, was);
	snprintf(text, size, "the clock jumped to %s from %s: mail is taken, "
	    "and none is delivered until the clock is back, an hour has "
	    "passed, or culverctl queue release --clock says that it is "
	    "right", is, was);
}
