/*
 * Which message does a session get next?
 *
 * Called by dispatch.c for each D_NEXT.  The window of flight.c says what is
 * due; what it read ahead may have been removed or moved since, so every
 * place is looked at again before it is given out.
 */
#include "queue/draw.h"

#include <string.h>

void
draw_init(struct draw *draw, struct spool *spool, struct flight *flight)
{
	draw->spool = spool;
	draw->flight = flight;
	/* Never a number that an earlier queue gave out. */
	draw->next_job = queue_id_new();
	draw->bad_n = 0;
}

/*
 * A place was removed or moved, or what it names is damaged: spool_hold_due
 * will know.
 */
static void
put_aside(struct draw *draw, const struct due *place)
{
	if (draw->bad_n < WINDOW_PLACES)
		draw->bad[draw->bad_n++] = *place;
}

/*
 * Is it to be held at the end of this turn already, or is there no room to
 * note one more?  The window begins anew with it until that has happened.
 */
static bool
is_aside(const struct draw *draw, const struct due *place)
{
	for (unsigned i = 0; i < draw->bad_n; i++)
		if (spool_compare_due(&draw->bad[i], place) == 0)
			return true;
	return draw->bad_n == WINDOW_PLACES;
}

/* Is the recipient of a place still owed there, as it was read ahead? */
static bool
is_current(const struct recipient *recipient, const struct due *place)
{
	return recipient->destination == place->destination &&
	    recipient->due_ms == place->due_ms;
}

static void
keep_recipient(struct draw *draw, uint32_t n,
    const struct recipient *recipient)
{
	memcpy(draw->addresses[n], recipient->address,
	    sizeof(recipient->address));
	draw->notify[n] = recipient->notify;
	memcpy(draw->orcpt[n], recipient->orcpt, sizeof(recipient->orcpt));
}

static void
add_recipients(struct draw *draw, struct job *job, uint64_t now_ms)
{
	struct active *active = job->active;
	struct recipient recipient;
	const struct due *place;

	while (job->n < JOB_RECIPIENTS_MAX && (place = flight_peek(active,
	    draw->spool, now_ms)) != NULL && place->id == job->message.id &&
	    !is_aside(draw, place)) {
		if (spool_get_recipient(draw->spool, place->id,
		    place->number, &recipient) == STORE_FOUND &&
		    is_current(&recipient, place)) {
			keep_recipient(draw, job->n, &recipient);
			flight_add_to(job, &recipient);
		} else {
			put_aside(draw, place);
		}
		flight_pop(active);
	}
}

struct job *
draw_job(struct draw *draw, struct active *active, uint64_t session,
    uint64_t now_ms)
{
	const struct due *place;
	struct message message;
	struct job *job;

	while ((place = flight_peek(active, draw->spool, now_ms)) != NULL &&
	    !is_aside(draw, place)) {
		if (spool_get_message(draw->spool, place->id, &message) !=
		    STORE_FOUND) {
			put_aside(draw, place);
			flight_pop(active);
			continue;
		}
		job = flight_new_job(draw->flight, active, draw->next_job++,
		    &message);
		job->session = session;
		job->began_ms = now_ms;
		add_recipients(draw, job, now_ms);
		if (job->n > 0)
			return job;
		flight_drop(draw->flight, job);
	}
	return NULL;
}
