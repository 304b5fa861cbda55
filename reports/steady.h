/*
 * Is the wall clock to be believed?  For what may not be undone: a report
 * that leaves before its day is over, a day that is forgotten.
 */
#ifndef CULVER_REPORTS_STEADY_H
#define CULVER_REPORTS_STEADY_H

#include <stdbool.h>
#include <stdint.h>

/* A step of the clock is less than this (milliseconds) or it is a jump. */
#define STEADY_JUMP_MS	300000
/* So long (monotonic) a jump forward is doubted. */
#define STEADY_DOUBT_MS	3600000

/* Three clocks at one moment, milliseconds. */
struct steady_time {
	int64_t	wall_ms;
	int64_t	monotonic_ms;	/* stands still while the machine sleeps */
	int64_t	boot_ms;	/* does not; CLOCK_BOOTTIME */
};

/* Zeroes: nothing was seen yet. */
struct steady {
	bool			seen;
	struct steady_time	last;
	int64_t			ahead_ms;	/* of what is believed; 0 */
	int64_t			since_ms;	/* monotonic */
};

/*
 * Look at the clocks, once a minute at least.  False: the wall clock is ahead
 * of what it was a short while ago by more than has passed.  It is believed
 * again when it is back, or stays there for STEADY_DOUBT_MS.  A clock that
 * goes back is believed at once: nothing is due by that.  *moved: it is
 * believed, but times that were written down since the last look may be wrong.
 * Pure.
 */
bool	steady_look(struct steady *, const struct steady_time *now,
	    bool *moved);
/* Doubt it, though it was not seen to jump.  After a look.  Pure. */
void	steady_doubt(struct steady *);
/* An operator says that it is right.  Pure. */
void	steady_believe(struct steady *);

#endif
