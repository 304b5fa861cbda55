/*
 * Which destination is handed to delivery next?
 *
 * Called by dispatch.c at the end of each turn.  Walks the index of
 * destinations (spool.h) from `scan` on, before which everything that is due
 * is handed: so a turn costs what changed in it, however many are handed or
 * wait.  Whoever writes an entry before the scan is noticed by
 * spool_soon_written.
 *
 * An entry may be too early: then nothing is due there, and it is mended in
 * the next turn.  So is one whose destination's record is damaged: no mail may
 * be stranded behind it.
 */
#include "queue/handout.h"

#include "queue/destination.h"

#include <stdlib.h>
#include <string.h>

#define TIMER_MAX_MS	3600000	/* the wall clock may have been set */

/* A list of destinations. */
struct numbers {
	uint64_t	*at;
	size_t		 n, size;
};

struct handout {
	struct spool	*spool;
	struct flight	*flight;
	struct timer	*timer;
	struct soon	 scan;
	struct numbers	 unsettled;	/* whose entry stands wrong */
	struct numbers	 passed;	/* older jobs have all of it */
	struct soon	*broken;	/* no record that can be read, or it
					   knows of another entry */
	size_t		 broken_n, broken_size;
};

/* The turn that the timer makes hands out what is due. */
static void
on_timer(void *context)
{
	(void)context;
}

struct handout *
handout_new(struct loop *loop, struct spool *spool, struct flight *flight)
{
	struct handout *handout = mem_alloc(sizeof(*handout));

	handout->spool = spool;
	handout->flight = flight;
	handout->timer = timer_new(loop, on_timer, handout);
	return handout;
}

void
handout_free(struct handout **handout)
{
	timer_free(&(*handout)->timer);
	free((*handout)->unsettled.at);
	free((*handout)->passed.at);
	free((*handout)->broken);
	free(*handout);
	*handout = NULL;
}

void
handout_restart(struct handout *handout)
{
	handout->scan = (struct soon){ 0, 0 };
	handout->passed.n = 0;
	handout->broken_n = 0;		/* they are met again */
}

static void
add_number(struct numbers *numbers, uint64_t number)
{
	if (numbers->n == numbers->size) {
		numbers->size = numbers->size * 2 + 16;
		numbers->at = mem_grow(numbers->at, numbers->size *
		    sizeof(*numbers->at));
	}
	numbers->at[numbers->n++] = number;
}

void
handout_look_again(struct handout *handout, uint64_t destination)
{
	add_number(&handout->unsettled, destination);
}

void
handout_before_commit(struct handout *handout)
{
	for (size_t i = 0; i < handout->unsettled.n; i++)
		destination_settle_number(handout->spool,
		    handout->unsettled.at[i]);
	for (size_t i = 0; i < handout->broken_n; i++)
		destination_mend(handout->spool, &handout->broken[i]);
}

void
handout_settled(struct handout *handout)
{
	handout->unsettled.n = 0;
	handout->broken_n = 0;
}

bool
handout_has_unsettled(const struct handout *handout)
{
	return handout->unsettled.n > 0 || handout->broken_n > 0;
}

static void
say_due(struct link *link, const struct destination *destination,
    const struct active *active)
{
	struct d_due due = { .destination = destination->number,
	    .class = destination->class,
	    .waiting = flight_waiting(active) };

	memcpy(due.domain, destination->domain, sizeof(due.domain));
	link_send(link, D_DUE, &due, NULL);
}

static void
add_broken(struct handout *handout, const struct soon *entry)
{
	if (handout->broken_n == handout->broken_size) {
		handout->broken_size = handout->broken_size * 2 + 4;
		handout->broken = mem_grow(handout->broken,
		    handout->broken_size * sizeof(*handout->broken));
	}
	handout->broken[handout->broken_n++] = *entry;
}

/* entry: of the index; next_ms 0 where it is not known. */
static void
hand_out(struct handout *handout, struct link *link, const struct soon *entry,
    uint64_t now_ms)
{
	uint64_t number = entry->destination;
	struct active *active = flight_find(handout->flight, number);
	struct destination destination;
	enum store_found found;

	if (active != NULL && (active->handed || active->ending != NULL))
		return;
	found = spool_get_destination(handout->spool, number, &destination);
	if (found == STORE_FAILED)
		return;
	if (found == STORE_ABSENT || (entry->next_ms != 0 &&
	    entry->next_ms != destination.next_ms)) {
		add_broken(handout, entry);
		return;
	}
	if (active == NULL)
		active = flight_add(handout->flight, &destination);
	flight_hand(handout->flight, active, &destination, now_ms);
	if (flight_peek(active, handout->spool, now_ms) != NULL) {
		say_due(link, &destination, active);
		return;
	}
	/* It is too early, or held anew; or older jobs have all of it. */
	add_number(LIST_EMPTY(&active->jobs) ? &handout->unsettled :
	    &handout->passed, number);
	flight_end(handout->flight, active);
}

static bool
may_hand_out(const struct handout *handout, const struct link *link,
    unsigned most)
{
	return link != NULL && !link_full(link) &&
	    flight_handed(handout->flight) < most;
}

/* Entries were written before the scan: go back to them. */
static void
lower_scan(struct handout *handout)
{
	struct soon lowest, *scan = &handout->scan;

	if (!spool_soon_written(handout->spool, &lowest))
		return;
	if (lowest.next_ms < scan->next_ms || (lowest.next_ms ==
	    scan->next_ms && lowest.destination < scan->destination))
		*scan = lowest;
}

static void
wait_until(struct handout *handout, uint64_t due_ms, uint64_t now_ms)
{
	uint64_t delay_ms = due_ms - now_ms;

	timer_set(handout->timer, delay_ms > TIMER_MAX_MS ? TIMER_MAX_MS :
	    (int64_t)delay_ms);
}

/*
 * Destinations that the scan has passed while older jobs had all their mail:
 * new mail does not move an entry that is early enough.
 */
static void
hand_out_passed(struct handout *handout, struct link *link, unsigned most,
    uint64_t now_ms)
{
	struct numbers passed = handout->passed;

	handout->passed = (struct numbers){ NULL, 0, 0 };
	for (size_t i = 0; i < passed.n; i++) {
		const struct soon entry = { 0, passed.at[i] };

		if (may_hand_out(handout, link, most))
			hand_out(handout, link, &entry, now_ms);
		else
			add_number(&handout->passed, passed.at[i]);
	}
	free(passed.at);
}

void
handout_run(struct handout *handout, struct link *link, unsigned most)
{
	uint64_t now_ms = (uint64_t)loop_wall_ms();
	struct soon found;

	lower_scan(handout);
	if (handout->passed.n > 0)
		hand_out_passed(handout, link, most, now_ms);
	while (may_hand_out(handout, link, most) && spool_next_soon(
	    handout->spool, &handout->scan, &found)) {
		if (found.next_ms > now_ms) {
			wait_until(handout, found.next_ms, now_ms);
			return;
		}
		handout->scan = found;
		handout->scan.destination++;
		hand_out(handout, link, &found, now_ms);
	}
}
