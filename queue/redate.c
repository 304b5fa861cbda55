/*
 * Which times were written by a clock that was wrong?
 *
 * Called by turn.c, in slices, when the clock is believed again, before
 * anything is handed out.
 *
 *	messages taken while it was doubted arrive now, and are due now: one
 *	of 1970 would end with its first failure, one of next year would wait
 *	for it
 *	recipients and back-offs that lie further ahead than any step of the
 *	schedule were put there by a clock that was ahead: they are due now
 *
 * Messages of the first kind are marked on disk by spool.c, so that a restart
 * forgets none.
 */
#include "queue/redate.h"

#include "queue/destination.h"

#define SLICE_MESSAGES	50
#define SLICE_DESTINATIONS 200
#define SLICE_PLACES	200
#define FAR_MS		(UINT64_C(2) * 86400000)

bool
redate_is_needed(struct spool *spool)
{
	uint64_t id;

	return spool_next_doubted(spool, 0, &id);
}

void
redate_begin(struct redate *redate, struct spool *spool)
{
	*redate = (struct redate){ .spool = spool };
}

static void
redate_recipient(struct spool *spool, struct recipient *recipient,
    uint64_t now_ms)
{
	if (!DUE_IS_TIME(recipient->due_ms))
		return;
	spool_move_recipient(spool, recipient, now_ms);
	destination_settle_number(spool, recipient->destination);
}

static void
redate_message(struct spool *spool, uint64_t id, uint64_t now_ms)
{
	struct recipient recipient;
	struct message message;
	uint32_t number = 0;

	if (spool_get_message(spool, id, &message) != STORE_FOUND)
		return;
	message.arrived_ms = now_ms;
	spool_put_message(spool, &message);
	while (spool_next_recipient(spool, id, number, &recipient) ==
	    STORE_FOUND) {
		number = recipient.number + 1;
		redate_recipient(spool, &recipient, now_ms);
	}
}

/* False: there are no more. */
static bool
redate_messages(struct spool *spool, uint64_t now_ms)
{
	uint64_t id = 0;

	for (int n = 0; n < SLICE_MESSAGES; n++) {
		if (!spool_next_doubted(spool, id, &id))
			return false;
		redate_message(spool, id, now_ms);
		spool_forget_doubted(spool, id);
	}
	return true;
}

/* Some of what is due too far ahead there; false: that was all. */
static bool
redate_places(struct spool *spool, uint64_t number, uint64_t now_ms)
{
	struct due from = { number, now_ms + FAR_MS, 0, 0 }, found;
	struct recipient recipient;
	bool after = false;

	for (int n = 0; n < SLICE_PLACES; n++) {
		if (!spool_next_due(spool, &from, after, &found) ||
		    !DUE_IS_TIME(found.due_ms))
			return false;
		from = found;
		after = true;
		if (spool_get_recipient(spool, found.id, found.number,
		    &recipient) == STORE_FOUND &&
		    recipient.due_ms == found.due_ms)
			spool_move_recipient(spool, &recipient, now_ms);
	}
	return true;
}

/* Is anything there too far ahead?  The first that is due says nothing. */
static bool
has_far(struct spool *spool, const struct destination *destination,
    uint64_t now_ms)
{
	struct due from = { destination->number, now_ms + FAR_MS, 0, 0 }, due;

	return destination->backoff_ms > now_ms + FAR_MS ||
	    (spool_next_due(spool, &from, false, &due) &&
	    DUE_IS_TIME(due.due_ms));
}

/* False: go on with the next one. */
static bool
redate_destination(struct spool *spool, struct destination *destination,
    uint64_t now_ms)
{
	bool more;

	if (!has_far(spool, destination, now_ms))
		return false;
	more = redate_places(spool, destination->number, now_ms);
	if (destination->backoff_ms > now_ms + FAR_MS)
		destination->backoff_ms = 0;
	destination_settle(spool, destination);
	return more;
}

bool
redate_slice(struct redate *redate, uint64_t now_ms)
{
	struct spool *spool = redate->spool;
	struct destination destination;

	if (redate_messages(spool, now_ms))
		return true;
	for (int n = 0; n < SLICE_DESTINATIONS; n++) {
		if (spool_next_destination(spool, redate->number,
		    &destination) != STORE_FOUND)
			return false;
		redate->number = destination.number;
		if (redate_destination(spool, &destination, now_ms)) {
			/* There is more of it. */
			redate->number = destination.number - 1;
			return true;
		}
	}
	return true;
}
