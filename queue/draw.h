/*
 * Drawing: which message does a session get next?
 */
#ifndef CULVER_QUEUE_DRAW_H
#define CULVER_QUEUE_DRAW_H

#include "queue/flight.h"

struct draw {
	struct spool	*spool;
	struct flight	*flight;
	uint64_t	 next_job;
	/* Recipients of the job that was drawn last. */
	char		 addresses[JOB_RECIPIENTS_MAX][MAILBOX_TEXT_MAX];
	/* Places that cannot be read: the caller holds them, and sets 0. */
	struct due	 bad[WINDOW_PLACES];
	unsigned	 bad_n;
};

/* Can the session's server take the message (by what it said to EHLO)? */
enum draw_fit { DRAW_FITS, DRAW_TOO_LARGE, DRAW_EIGHT_BIT };

/* spool and flight are borrowed. */
void		 draw_init(struct draw *, struct spool *, struct flight *);
/*
 * A new job for the message that is due next at the destination: it and its
 * neighbours in the order, at most 100 recipients.  NULL: nothing more is due.
 * Local I/O.  It is in flight whether it fits or not: see draw_unfit.
 */
struct job	*draw_job(struct draw *, struct active *,
		    const struct d_next *, uint64_t now_ms, enum draw_fit *);
/*
 * The result for recipient i of a job, just drawn, that does not fit: failed.
 * D_UNFIT (other hosts first) comes with its own issue; ruling 14.
 */
void		 draw_unfit(const struct draw *, const struct job *,
		    uint32_t i, const struct d_next *, enum draw_fit,
		    struct d_result *);

#endif
