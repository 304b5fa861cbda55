/*
 * When is there something to be done at which destination?
 *
 * Called when a message comes to exist (deposit.c), when an attempt is over
 * (ending.c) and by the operator's verbs.  It does not judge attempts and
 * does not know which destinations are being served.
 */
#include "queue/destination.h"

#include "conf/log.h"
#include "conf/loop.h"
#include "queue/relayed.h"

#define SLICE_PLACES	100	/* looked at to mend a destination */

/* A number that no destination has; 0: the turn is lost. */
static uint64_t
fresh_number(struct spool *spool)
{
	struct destination destination;
	enum store_found found;
	uint64_t number;

	do {
		number = queue_id_new();
		found = spool_get_destination(spool, number, &destination);
	} while (found == STORE_FOUND);
	return found == STORE_FAILED ? 0 : number;
}

/* Its record is written with the first change. */
static void
make(struct spool *spool, uint64_t number, const char *domain, uint32_t class,
    struct destination *destination)
{
	*destination = (struct destination){ .number = number,
	    .class = class };
	if (!slice_store(slice_of(domain), destination->domain,
	    sizeof(destination->domain)))
		bug("domain %s", domain);
	spool_put_name(spool, destination);
}

bool
destination_for(struct spool *spool, const char *domain, uint32_t class,
    struct destination *destination)
{
	uint64_t number = spool_get_name(spool, domain, class);

	if (number != 0 && spool_get_destination(spool, number, destination)
	    == STORE_FOUND)
		return true;
	if (spool_turn_lost(spool))
		return false;
	/*
	 * A damaged record loses back-off, hold and proof, and no mail: what
	 * waits there is found under the same number.
	 */
	if (number == 0)
		number = fresh_number(spool);
	if (number == 0)
		return false;
	make(spool, number, domain, class, destination);
	return true;
}

uint64_t
destination_held_until(const struct destination *destination,
    uint64_t now_ms)
{
	uint64_t until_ms = destination->held_until_ms;

	if (!destination->held)
		return 0;
	if (until_ms == 0)
		return HELD_FOR_EVER;
	return until_ms > now_ms ? until_ms : 0;
}

static uint64_t
later(uint64_t a_ms, uint64_t b_ms)
{
	return a_ms > b_ms ? a_ms : b_ms;
}

/* Where does the entry of what is due then belong?  0: nowhere. */
static uint64_t
entry_of(const struct destination *destination, uint64_t due_ms)
{
	uint64_t next_ms = later(due_ms, destination->backoff_ms);

	if (!DUE_IS_TIME(due_ms))
		return 0;
	if (!destination->held)
		return next_ms;
	return destination->held_until_ms == 0 ? 0 :
	    later(next_ms, destination->held_until_ms);
}

/* Move the index entry to next_ms (0: none). */
static void
move_entry(struct spool *spool, struct destination *destination,
    uint64_t next_ms)
{
	struct soon old = { destination->next_ms, destination->number };
	struct soon new = { next_ms, destination->number };

	if (old.next_ms != 0 && old.next_ms != next_ms)
		spool_delete_soon(spool, &old);
	/* Also where it stood: whoever walks has passed it by. */
	if (next_ms != 0)
		spool_put_soon(spool, &new);
	destination->next_ms = next_ms;
}

void
destination_owe(struct spool *spool, struct destination *destination,
    uint64_t due_ms, uint64_t arrived_ms)
{
	uint64_t next_ms = entry_of(destination, due_ms);
	bool sooner = next_ms != 0 && (destination->next_ms == 0 ||
	    next_ms < destination->next_ms);
	bool older = destination->oldest_ms == 0 ||
	    arrived_ms < destination->oldest_ms;

	if (older)
		destination->oldest_ms = arrived_ms;
	if (sooner)
		move_entry(spool, destination, next_ms);
	if (older || sooner)
		spool_put_destination(spool, destination);
}

/* Nothing waits: keep only what is worth knowing next time. */
static void
rest(struct spool *spool, struct destination *destination)
{
	/* The end of a hold is met, so that nothing stays behind it. */
	move_entry(spool, destination, destination->held ?
	    destination->held_until_ms : 0);
	spool_drop_attempts(spool, destination->number);
	destination->oldest_ms = 0;
	if (destination->held || destination->proof[0] != '\0') {
		spool_put_destination(spool, destination);
		return;
	}
	spool_delete_destination(spool, destination);
	destination->number = 0;
}

void
destination_settle(struct spool *spool, struct destination *destination)
{
	struct due from = { .destination = destination->number }, first;
	uint64_t next_ms;

	if (destination_held_until(destination, (uint64_t)loop_wall_ms()) ==
	    0) {
		destination->held = false;
		destination->held_until_ms = 0;
	}
	if (!spool_next_due(spool, &from, false, &first)) {
		if (!spool_turn_lost(spool))
			rest(spool, destination);
		return;
	}
	next_ms = entry_of(destination, first.due_ms);
	if (next_ms == 0 && destination->held)
		next_ms = destination->held_until_ms;
	move_entry(spool, destination, next_ms);
	spool_put_destination(spool, destination);
}

/*
 * What a place says of the destination whose record is lost; one that cannot
 * be read is held.
 */
static bool
make_from_place(struct spool *spool, const struct due *place,
    struct destination *destination)
{
	struct recipient recipient;
	struct message message;
	char next_hop[DOMAIN_TEXT_MAX];

	if (spool_get_recipient(spool, place->id, place->number, &recipient)
	    == STORE_FOUND && spool_get_message(spool, place->id, &message)
	    == STORE_FOUND && relayed_next_hop(&message, recipient.address,
	    next_hop)) {
		make(spool, place->destination, next_hop,
		    relayed_class(&message), destination);
		return true;
	}
	if (!spool_turn_lost(spool))
		spool_hold_due(spool, place);
	return false;
}

void
destination_mend(struct spool *spool, const struct soon *entry)
{
	struct due place = { .destination = entry->destination };
	struct destination destination;
	bool after = false;

	/* A new one comes with the record. */
	if (entry->next_ms != 0)
		spool_delete_soon(spool, entry);
	if (spool_get_destination(spool, entry->destination, &destination) ==
	    STORE_FOUND) {
		destination_settle(spool, &destination);
		return;
	}
	for (int n = 0; n < SLICE_PLACES; n++) {
		if (!spool_next_due(spool, &place, after, &place))
			return;
		after = true;
		if (make_from_place(spool, &place, &destination)) {
			destination_settle(spool, &destination);
			return;
		}
	}
	/* The rest in another turn. */
	if (entry->next_ms != 0)
		spool_put_soon(spool, entry);
}

void
destination_settle_number(struct spool *spool, uint64_t number)
{
	const struct soon none = { 0, number };
	struct destination destination;
	enum store_found found = spool_get_destination(spool, number,
	    &destination);

	if (found == STORE_FOUND)
		destination_settle(spool, &destination);
	else if (found == STORE_ABSENT)
		destination_mend(spool, &none);
}
