/*
 * Destinations: a next hop and a class, with everything that is the same for
 * all mail that goes there.  Here their record, their name and their entry in
 * the index are kept in step.
 *
 * The entry stands at max(earliest due recipient, end of the back-off): a
 * million messages for a dead domain are one entry, and back-off is a change
 * of one record.  An entry that is too early costs one look (settle mends
 * it); too late would lose time, so changes only ever lower it, but for
 * settle, which looks.
 *
 * A held destination has no entry, or one where its hold ends by itself: then
 * it is met like any other, and settled.
 */
#ifndef CULVER_QUEUE_DESTINATION_H
#define CULVER_QUEUE_DESTINATION_H

#include "queue/spool.h"

#define HELD_FOR_EVER	UINT64_MAX	/* until it is released */

/*
 * Until when is it held, as of now_ms?  Wall clock, or HELD_FOR_EVER; 0: it is
 * not, or the hold has ended.  Pure.
 */
uint64_t destination_held_until(const struct destination *, uint64_t now_ms);
/*
 * The destination of that next hop and class, made if there is none.
 * Local I/O.  False: the turn is lost.
 */
bool	destination_for(struct spool *, const char *domain, uint32_t class,
	    struct destination *);
/*
 * Something that arrived at arrived_ms is due there at due_ms: see to it that
 * the index says so.  Writes only if it did not.  due_ms may be DUE_UNSIGNED:
 * then it is known to wait there, and not when it is due.
 */
void	destination_owe(struct spool *, struct destination *, uint64_t due_ms,
	    uint64_t arrived_ms);
/*
 * Write the record with what the caller changed in it (back-off, held) and
 * look where its entry belongs now.  Where nothing waits any more attempts
 * are forgotten, and the destination too unless it has shown what TLS it can
 * or is held: destination->number is 0 then.  A hold that is over is taken
 * off.
 */
void	destination_settle(struct spool *, struct destination *);
/*
 * The same by number.  Where there is no record that can be read and mail
 * waits all the same, one is made from what the mail says.
 */
void	destination_settle_number(struct spool *, uint64_t number);
/*
 * An entry of the index (next_ms 0: nobody knows where it stands) of which its
 * destination's record does not know, or whose record cannot be read: entry
 * and record are made anew from the mail that waits there; without such mail
 * the entry goes.
 */
void	destination_mend(struct spool *, const struct soon *entry);

#endif
