/*
 * Does a recipient wait where nobody looks?
 *
 * Called by sweep.c, slowly, at start and once a day.  Recipients are what is
 * owed; the orders in which they are found (due, soon) and the records of
 * destinations are made from them, and a flipped bit in one of those would
 * strand mail without a word.  What is missing there is made anew.  A damaged
 * recipient or key out of order is named, or noted by the store, in passing.
 *
 * Entries too many do no harm: who meets one mends it (handout.c, draw.c).
 */
#include "queue/audit.h"

#include "conf/log.h"
#include "queue/destination.h"

#define SLICE_RECIPIENTS	50

void
audit_begin(struct audit *audit, struct spool *spool)
{
	*audit = (struct audit){ .spool = spool };
}

static bool
has_place(struct spool *spool, const struct recipient *recipient)
{
	struct due due = { recipient->destination, recipient->due_ms,
	    recipient->id, recipient->number }, found;

	return spool_next_due(spool, &due, false, &found) &&
	    spool_compare_due(&due, &found) == 0;
}

/* Would the destination be found when this is due? */
static bool
has_entry(struct spool *spool, const struct recipient *recipient)
{
	struct destination destination;
	struct soon soon, found;
	enum store_found there = spool_get_destination(spool,
	    recipient->destination, &destination);

	if (there == STORE_FAILED)
		return true;
	if (there != STORE_FOUND)
		return false;
	if (destination.held || !DUE_IS_TIME(recipient->due_ms))
		return true;
	soon = (struct soon){ destination.next_ms, destination.number };
	return soon.next_ms != 0 && spool_next_soon(spool, &soon, &found) &&
	    found.next_ms == soon.next_ms &&
	    found.destination == soon.destination;
}

static void
look(struct spool *spool, const struct recipient *recipient)
{
	bool place = has_place(spool, recipient);

	if ((place && has_entry(spool, recipient)) || spool_turn_lost(spool))
		return;
	log_alarm("record", "recipient %016llx/%u was not in the index of "
	    "what is due; it is put there again",
	    (unsigned long long)recipient->id, recipient->number);
	if (!place)
		spool_put_recipient(spool, recipient);
	destination_settle_number(spool, recipient->destination);
}

bool
audit_slice(struct audit *audit)
{
	struct recipient *seen = &audit->seen;

	for (int n = 0; n < SLICE_RECIPIENTS; n++) {
		enum store_found found = spool_walk_recipients(audit->spool,
		    seen->id, seen->number, audit->begun, seen);

		audit->begun = true;
		if (found != STORE_FOUND && found != STORE_DAMAGED)
			return false;
		if (found == STORE_FOUND)
			look(audit->spool, seen);
	}
	return true;
}
