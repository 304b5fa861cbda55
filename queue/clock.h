/*
 * Is the wall clock to be believed?
 *
 * Due times, expiry, policies and certificates go by it; a clock that is wrong
 * bounces mail that was never tried, or takes a forged certificate for a valid
 * one.  While it is doubted nothing is handed to delivery; accepting goes on.
 */
#ifndef CULVER_QUEUE_CLOCK_H
#define CULVER_QUEUE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One moment; milliseconds. */
struct clock_time {
	int64_t	wall_ms;	/* since 1970 */
	int64_t	boot_ms;	/* CLOCK_BOOTTIME: nobody sets it */
};

/* What is kept on disk. */
struct clock_seen {
	uint64_t	wall_ms;	/* the latest that was believed; 0:
					   none yet */
	/* The operator said so, or time went on from when he did: our build's
	   date is no argument any more. */
	bool		told;
};

enum clock_state {
	CLOCK_RIGHT,
	CLOCK_BEHIND,	/* at start, of what was seen or of our build */
	CLOCK_JUMPED	/* while we ran, by more than a day */
};

struct clock {
	enum clock_state state;
	int64_t		 floor_ms;	/* BEHIND: right from here on */
	int64_t		 offset_ms;	/* wall less boot, as believed */
	int64_t		 since_ms;	/* JUMPED: boot time */
	bool		 told;
};

/* How far may it be behind at start without a word? */
#define CLOCK_SLACK_MS	60000
#define CLOCK_JUMP_MS	86400000
#define CLOCK_HELD_MS	3600000

/* Now.  Both are read at one moment, even if the process is put to sleep. */
struct clock_time clock_now(void);
/* The day before this program was built, ms since 1970.  Pure. */
int64_t	clock_built_ms(void);
/*
 * The first look, at start: right, or behind of what was seen before or (not
 * if the operator told us that this is right) of built_ms.  Pure.
 */
void	clock_begin(struct clock *, const struct clock_seen *,
	    int64_t built_ms, const struct clock_time *);
/*
 * A further look.  BEHIND ends when the floor is reached; RIGHT becomes JUMPED
 * when the wall clock moved by more than a day against the other one, and
 * that ends when it is back, or after an hour.  Pure.  True: the state is
 * another one now.
 */
bool	clock_look(struct clock *, const struct clock_time *);
/* The operator says that it is right.  Pure. */
void	clock_accept(struct clock *, const struct clock_time *);
/*
 * What is to be kept: false, and nothing is, while the clock is doubted.
 * Pure.
 */
bool	clock_keep(const struct clock *, const struct clock_time *,
	    struct clock_seen *);
/* One sentence for the operator, with what ends it.  Pure. */
void	clock_say(const struct clock *, const struct clock_time *, char *text,
	    size_t size);

#endif
