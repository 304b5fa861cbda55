/*
 * Who is told that a message did not arrive?
 *
 * Failures of a turn are gathered by message, then written as one bounce for
 * each message, a message of the queue itself, in the same turn that deletes
 * the recipients: never none, never two (DSN-3464-3-1).
 */
#ifndef CULVER_QUEUE_NOTICE_H
#define CULVER_QUEUE_NOTICE_H

#include "conf/config.h"
#include "queue/bounce.h"
#include "queue/ledger.h"
#include "queue/spool.h"

struct notices;

/*
 * All are borrowed; *config may change.  in_use (may be NULL): is a message
 * of this id on its way in?  Then no bounce gets it.
 */
struct notices	*notice_new(struct spool *, const struct config *const *config,
		    struct ledger *, bool (*in_use)(void *context,
		    uint64_t id), void *context);
void	 notice_free(struct notices **);

/*
 * This recipient is given up; copies all.  The caller deletes it, and not
 * yet its message: notice_write reads it and then deletes it, if nothing is
 * owed any more.
 */
void	 notice_add(struct notices *, const struct message *,
	    const struct bounce_recipient *);
/* Write the bounces of this turn, before its end. */
void	 notice_write(struct notices *);
/* The turn is over, or lost: forget what was gathered. */
void	 notice_clear(struct notices *);

/*
 * The message may have nobody left that it is owed to: after notice_write it
 * is deleted then.
 */
void	 notice_perhaps_over(struct notices *, uint64_t id);

#endif
