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
	/* Recipients of the job that was drawn last, and their DSN requests. */
	char		 addresses[JOB_RECIPIENTS_MAX][MAILBOX_TEXT_MAX];
	uint32_t	 notify[JOB_RECIPIENTS_MAX];
	char		 orcpt[JOB_RECIPIENTS_MAX][ORCPT_TEXT_MAX];
	/* Places that cannot be read: the caller holds them, and sets 0. */
	struct due	 bad[WINDOW_PLACES];
	unsigned	 bad_n;
};

/* spool and flight are borrowed. */
void		 draw_init(struct draw *, struct spool *, struct flight *);
/*
 * A new job for the message that is due next at the destination: it and its
 * neighbours in the order, at most 100 recipients.  NULL: nothing more is due.
 * Local I/O.  Whether the session's server can take it, delivery knows: it
 * walks the other hosts before it gives up (ruling 14).
 */
struct job	*draw_job(struct draw *, struct active *, uint64_t session,
		    uint64_t now_ms);

#endif
