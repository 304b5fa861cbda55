/*
 * Which message does a session get next, and can its server take it?
 *
 * Called by dispatch.c for each D_NEXT.  The window of flight.c says what is
 * due; what it read ahead may have been removed or moved since, so every
 * place is looked at again before it is given out.
 */
#include "queue/draw.h"

#include <stdio.h>
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

/* Is the recipient of a place still owed there, as it was read ahead? */
static bool
is_current(const struct recipient *recipient, const struct due *place)
{
	return recipient->destination == place->destination &&
	    recipient->due_ms == place->due_ms;
}

static void
add_recipients(struct draw *draw, struct job *job, uint64_t now_ms)
{
	struct active *active = job->active;
	struct recipient recipient;
	const struct due *place;

	while (job->n < JOB_RECIPIENTS_MAX && (place = flight_peek(active,
	    draw->spool, now_ms)) != NULL && place->id == job->message.id) {
		if (spool_get_recipient(draw->spool, place->id,
		    place->number, &recipient) == STORE_FOUND &&
		    is_current(&recipient, place)) {
			memcpy(draw->addresses[job->n], recipient.address,
			    sizeof(recipient.address));
			flight_add_to(job, &recipient);
		} else {
			put_aside(draw, place);
		}
		flight_pop(active);
	}
}

static enum draw_fit
fit_of(const struct message *message, const struct d_next *next)
{
	/* EXT-1870-6.2-2 RFC 1870 6.2 */
	if (next->has_size && next->size_limit != 0 &&
	    message->size_bytes > next->size_limit)
		return DRAW_TOO_LARGE;
	/* Ruling 14: 8 bit is not converted. */
	return message->eight_bit && !next->has_8bitmime ? DRAW_EIGHT_BIT :
	    DRAW_FITS;
}

struct job *
draw_job(struct draw *draw, struct active *active, const struct d_next *next,
    uint64_t now_ms, enum draw_fit *fit)
{
	const struct due *place;
	struct message message;
	struct job *job;

	while ((place = flight_peek(active, draw->spool, now_ms)) != NULL) {
		if (spool_get_message(draw->spool, place->id, &message) !=
		    STORE_FOUND) {
			put_aside(draw, place);
			flight_pop(active);
			continue;
		}
		job = flight_new_job(draw->flight, active, draw->next_job++,
		    &message);
		job->session = next->session;
		job->began_ms = now_ms;
		add_recipients(draw, job, now_ms);
		*fit = fit_of(&message, next);
		if (job->n > 0)
			return job;
		flight_drop(draw->flight, job);
	}
	return NULL;
}

void
draw_unfit(const struct draw *draw, const struct job *job, uint32_t i,
    const struct d_next *next, enum draw_fit fit, struct d_result *result)
{
	bool large = fit == DRAW_TOO_LARGE;
	struct d_host host;

	trail_find(&job->active->trail, next->session, &host);
	*result = (struct d_result){ .job = job->number,
	    .message = job->message.id, .session = next->session,
	    .destination = next->destination, .outcome = OUTCOME_FAILED };
	memcpy(result->recipient, draw->addresses[i],
	    sizeof(result->recipient));
	memcpy(result->host, host.host, sizeof(result->host));
	memcpy(result->address, host.address, sizeof(result->address));
	/* EXT-3463-3-1 RFC 3463 3 */
	snprintf(result->enhanced, sizeof(result->enhanced), "%s", large ?
	    "5.3.4" : "5.6.3");
	snprintf(result->clause, sizeof(result->clause), "%s", large ?
	    "RFC 1870 6.2" : "RFC 6152 3");
	if (large)
		snprintf(result->reply, sizeof(result->reply), "the message "
		    "has %llu octets, the server takes %llu",
		    (unsigned long long)job->message.size_bytes,
		    (unsigned long long)next->size_limit);
	else
		snprintf(result->reply, sizeof(result->reply), "the message "
		    "holds 8-bit text, and the server does not take such "
		    "(8BITMIME)");
}
