/*
 * Who is told that a message did not arrive, waits, or was handed on?
 *
 * What a turn found out is gathered by message, then written as one
 * notification for each message, a message of the queue itself, in the same
 * turn that deletes or marks the recipients: never none, never two
 * (DSN-3464-3-1).
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
 * There is this to be said of the recipient: say it at the end of the turn,
 * unless it was asked not to (NOTIFY, RFC 3461 4.1); copies all.  Of a failure
 * that nobody is to be told a line is logged all the same.  The caller deletes
 * or changes the recipient, and does not delete its message: notice_write
 * reads it and then deletes it, if nothing is owed any more.
 */
void	 notice_add(struct notices *, const struct message *,
	    const struct recipient *, const struct bounce_recipient *);
/* Would a delay of this recipient be told to anybody?  Pure. */
bool	 notice_wants_delay(const struct message *, const struct recipient *);
/*
 * Write the notifications of this turn, before its end; not more than
 * NOTICES_AN_HOUR to one address, and a log line for each further one.
 */
#define NOTICES_AN_HOUR	100
void	 notice_write(struct notices *);
/* The turn is over, durable or lost: forget what was gathered. */
void	 notice_clear(struct notices *, bool durable);

/*
 * The message may have nobody left that it is owed to: after notice_write it
 * is deleted then.
 */
void	 notice_perhaps_over(struct notices *, uint64_t id);

#endif
