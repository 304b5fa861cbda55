/*
 * An attempt at a destination is over: what now is due there, and when?
 *
 * Called by dispatch.c in the turns after a D_ENDED.
 *
 *	served		nothing against it: no back-off, step 0
 *	ours		nothing is known: due again in a second
 *	deferred	one step of back-off for the destination; whose life is
 *			over is given up, but for policy's grace (ruling 20);
 *			who has waited for `warn` is told once
 *	failed		all that was due is given up; at a relayhost that is no
 *			host it is taken as deferred: the operator's slip of
 *			the pen returns nobody's mail
 *
 * To give up or to warn is to walk the destination's places in slices.  A walk
 * is made only when the oldest message there may be due for it, or the oldest
 * of those whose delay was not told yet: until then a million that wait cost
 * one record.
 *
 * Reports of our own live for a day from their first attempt, which has to be
 * noted in each: their destinations are walked after every attempt, of which
 * there are few a day (RPT-5.5-1, RPT-5.5-2 RFC 8460 5.5).
 */
#include "queue/ending.h"

#include "conf/loop.h"
#include "conf/relayhost.h"
#include "queue/destination.h"
#include "queue/result.h"
#include "queue/schedule.h"

#include <stdio.h>
#include <string.h>

#define SLICE_PLACES	100
#define LINES_MAX	100	/* attempt lines of a deferred attempt */
#define AGAIN_MS	1000	/* after an end of our own doing */

/* What one slice knows. */
struct walk {
	struct books		*books;
	struct ending		*ending;
	uint64_t		 next_ms;	/* the next attempt, if it is
						   deferred */
	const struct ending_calls *calls;
	struct d_host		 host;	/* of which the end speaks, if any */
	struct message		 message;	/* of the last place */
};

/* By `expire`: of mail, not of reports. */
static bool
is_life_over(const struct walk *walk, uint64_t arrived_ms)
{
	const struct d_ended *said = &walk->ending->said;

	return schedule_expired(arrived_ms, (*walk->books->config)->expire_s,
	    schedule_grace_s(said->policy_refused, said->policy_checked),
	    walk->ending->began_ms);
}

static void
log_place(const struct walk *walk, const struct recipient *recipient,
    enum outcome outcome)
{
	const struct d_ended *said = &walk->ending->said;
	struct mailbox mailbox;
	struct trail_line line = {
		.id = recipient->id, .to = recipient->address,
		.domain = mailbox_parse(slice_of(recipient->address),
		    &mailbox) ? mailbox.domain.name : "",
		.host = walk->host.host, .address = walk->host.address,
		.outcome = outcome,
		.rule = said->rule,
		.enhanced = said->enhanced, .clause = said->clause,
		.reply = said->text,
		.arrived_ms = walk->message.arrived_ms,
		.now_ms = walk->ending->ended_ms
	};

	trail_log(&walk->books->ledger, &line, &walk->host);
}

/* No host: none took part in the verdict on the destination. */
static struct bounce_recipient
why_of(const struct walk *walk, const struct recipient *recipient,
    enum bounce_action action)
{
	const struct d_ended *said = &walk->ending->said;

	return (struct bounce_recipient){
		.action = action,
		.address = recipient->address,
		.enhanced = said->enhanced,
		.host = "", .ip = "",
		.reply = said->text, .rule = said->rule,
		.clause = said->clause, .repair = said->repair,
		.tried_ms = walk->ending->ended_ms,
		.next_ms = action == BOUNCE_DELAYED ? walk->next_ms : 0
	};
}

static void
give_up(struct walk *walk, const struct recipient *recipient)
{
	const struct d_ended *said = &walk->ending->said;
	struct bounce_recipient why = why_of(walk, recipient,
	    BOUNCE_FAILED);

	/*
	 * RTLS-4.2.1-11 RFC 8689 4.2.1: also where no host qualified, with the
	 * status that the verdict has (RTLS-4.2.1-12, RTLS-4.2.1-13)
	 */
	why.expired = said->outcome == OUTCOME_DEFERRED;
	log_place(walk, recipient, OUTCOME_FAILED);
	result_give_up(walk->books, &walk->message, recipient, &why);
}

/* The message of a place; the walk keeps the last one. */
static bool
read_message(struct walk *walk, uint64_t id)
{
	return walk->message.id == id || spool_get_message(
	    walk->books->spool, id, &walk->message) == STORE_FOUND;
}

/* The recipient waits on. */
static void
stays(const struct walk *walk, const struct recipient *recipient)
{
	struct ending *ending = walk->ending;
	uint64_t arrived_ms = walk->message.arrived_ms;

	if (ending->oldest_ms == 0 || arrived_ms < ending->oldest_ms)
		ending->oldest_ms = arrived_ms;
	if (!recipient->warned &&
	    notice_wants_delay(&walk->message, recipient) &&
	    (ending->unwarned_ms == 0 || arrived_ms < ending->unwarned_ms))
		ending->unwarned_ms = arrived_ms;
}

/* DSN-3461-5.2.5-1 RFC 3461 5.2.5 */
static void
warn(struct walk *walk, struct recipient *recipient)
{
	struct bounce_recipient why = why_of(walk, recipient,
	    BOUNCE_DELAYED);

	if (result_warn(walk->books, &walk->message, recipient, &why,
	    walk->ending->ended_ms))
		spool_move_recipient(walk->books->spool, recipient,
		    recipient->due_ms);
}

/* This attempt was for this recipient: of a report, note the first. */
static void
note_first(struct walk *walk, struct recipient *recipient)
{
	uint64_t first_ms = result_first_ms(&walk->message, recipient,
	    walk->ending->began_ms);

	if (recipient->first_ms == 0) {
		recipient->first_ms = first_ms;
		spool_move_recipient(walk->books->spool, recipient,
		    recipient->due_ms);
	}
	if (walk->ending->first_ms == 0 ||
	    first_ms < walk->ending->first_ms)
		walk->ending->first_ms = first_ms;
}

/* What was due and reached nobody: is it over with it? */
static bool
is_given_up(struct walk *walk, struct recipient *recipient)
{
	if (walk->ending->said.outcome == OUTCOME_FAILED)
		return true;
	if (walk->message.class != CLASS_REPORT)
		return is_life_over(walk, walk->message.arrived_ms);
	if (schedule_report_expired(recipient->first_ms,
	    walk->ending->began_ms))
		return true;
	note_first(walk, recipient);
	return false;
}

/* One place: is its recipient given up? */
static void
judge_place(struct walk *walk, const struct due *place)
{
	struct spool *spool = walk->books->spool;
	struct recipient recipient;

	if (spool_get_recipient(spool, place->id, place->number, &recipient)
	    != STORE_FOUND || !read_message(walk, place->id)) {
		walk->message.id = 0;
		if (!spool_turn_lost(spool))
			spool_hold_due(spool, place);
		return;
	}
	if (place->due_ms > walk->ending->ended_ms ||
	    walk->calls->in_flight(walk->calls->context, place)) {
		stays(walk, &recipient);
	} else if (is_given_up(walk, &recipient)) {
		give_up(walk, &recipient);
	} else {
		warn(walk, &recipient);
		stays(walk, &recipient);
	}
}

static bool
walk_slice(struct walk *walk)
{
	struct ending *ending = walk->ending;
	struct due place;

	for (int n = 0; n < SLICE_PLACES; n++) {
		if (!spool_next_due(walk->books->spool, &ending->cursor,
		    ending->walking, &place) || !DUE_IS_TIME(place.due_ms)) {
			ending->walked = true;
			return true;
		}
		ending->cursor = place;
		ending->walking = true;
		judge_place(walk, &place);
	}
	return false;
}

/* When a destination of mail is tried again after this attempt failed. */
static uint64_t
next_try_ms(const struct destination *destination,
    const struct ending *ending, const struct config *config)
{
	return ending->ended_ms + schedule_delay_ms(config->retry_s,
	    config->retry_n, destination->step + 1, destination->number);
}

/* SMTP-4.5.4.1-6 RFC 5321 4.5.4.1: all its mail waits by one record */
static void
back_off(struct destination *destination, const struct ending *ending,
    const struct config *config)
{
	destination->backoff_ms = next_try_ms(destination, ending, config);
	destination->step++;
}

/* The same where reports wait; nothing is held against what comes later. */
static void
back_off_reports(struct destination *destination,
    const struct ending *ending, const struct config *config)
{
	uint64_t first_ms = ending->first_ms;

	destination->step = first_ms == 0 ? 0 : destination->step + 1;
	destination->backoff_ms = first_ms == 0 ? 0 : ending->ended_ms +
	    schedule_report_delay_ms(config->retry_s, config->retry_n,
	    destination->step, destination->number,
	    ending->ended_ms > first_ms ? ending->ended_ms - first_ms : 0);
}

static void
keep_failure(struct destination *destination, const struct walk *walk)
{
	const struct d_ended *said = &walk->ending->said;

	destination->failures++;
	destination->failed_ms = walk->ending->ended_ms;
	memcpy(destination->enhanced, said->enhanced,
	    sizeof(destination->enhanced));
	memcpy(destination->rule, said->rule, sizeof(destination->rule));
	memcpy(destination->clause, said->clause,
	    sizeof(destination->clause));
	memcpy(destination->host, walk->host.host,
	    sizeof(destination->host));
	memcpy(destination->address, walk->host.address,
	    sizeof(destination->address));
	memcpy(destination->text, said->text, sizeof(destination->text));
}

/* A line for each of the first that were due, so that each can be traced. */
static void
log_due(struct walk *walk, const struct destination *destination)
{
	struct due place = { .destination = destination->number };
	struct recipient recipient;
	bool after = false;

	for (int n = 0; n < LINES_MAX; n++) {
		if (!spool_next_due(walk->books->spool, &place, after, &place)
		    || place.due_ms > walk->ending->ended_ms)
			return;
		after = true;
		if (read_message(walk, place.id) &&
		    spool_get_recipient(walk->books->spool, place.id,
		    place.number, &recipient) == STORE_FOUND)
			log_place(walk, &recipient, OUTCOME_DEFERRED);
	}
}

static void
log_defer(struct walk *walk, const struct destination *destination)
{
	const struct d_ended *said = &walk->ending->said;
	uint64_t delay_ms = destination->backoff_ms > walk->ending->ended_ms ?
	    destination->backoff_ms - walk->ending->ended_ms : 0;
	struct event event;

	event_begin(&event, LOG_LEVEL_INFO, "defer");
	event_text(&event, "domain", destination->domain);
	event_number(&event, "failures", destination->step);
	event_number(&event, "next", (int64_t)(delay_ms / 1000));
	event_text(&event, "enh", said->enhanced);
	event_text(&event, "rule", said->rule);
	event_text(&event, "clause", said->clause);
	event_text(&event, "text", said->text);
	ledger_add(&walk->books->ledger, &event);
}

/* The verdict, in the destination's record. */
static void
conclude(struct walk *walk, struct destination *destination)
{
	const struct ending *ending = walk->ending;
	const struct d_ended *said = &ending->said;

	if (said->ours || (said->outcome == 0 && ending->idle)) {
		/* While the clock is doubted nothing comes again at once. */
		destination->backoff_ms = books_may_leave(walk->books) ?
		    ending->ended_ms + AGAIN_MS : 0;
		return;
	}
	if (said->outcome == OUTCOME_DEFERRED) {
		keep_failure(destination, walk);
		/* SMTP-4.5.4.1-2 RFC 5321 4.5.4.1 */
		if (destination->class == CLASS_REPORT)
			back_off_reports(destination, ending,
			    *walk->books->config);
		else
			back_off(destination, ending, *walk->books->config);
		log_due(walk, destination);
		log_defer(walk, destination);
		return;
	}
	/* SMTP-5.1-4 RFC 5321 5.1: what was due was given up by the walk */
	if (said->outcome == OUTCOME_FAILED)
		keep_failure(destination, walk);
	destination->step = 0;
	destination->backoff_ms = 0;
}

/* Once for each fall: what was seen last is in the record. */
static void
alarm_fall(struct walk *walk, const struct destination *destination,
    const char *shown)
{
	struct event event;
	char text[512];

	snprintf(text, sizeof(text), "%s once proved its TLS (%s) and does "
	    "not now (%s)", destination->domain, destination->proof, shown);
	event_begin(&event, LOG_LEVEL_ERROR, "alarm");
	event_text(&event, "what", "tls-proof");
	event_text(&event, "text", text);
	event_text(&event, "domain", destination->domain);
	event_text(&event, "proof", destination->proof);
	event_text(&event, "shown", shown);
	ledger_add(&walk->books->ledger, &event);
}

/* What the attempt showed of the destination's TLS. */
static void
keep_proof(struct walk *walk, struct destination *destination,
    const struct trail *trail)
{
	const char *proof = trail_proof(trail, destination->proof);
	const char *shown = trail_shown(trail);

	memmove(destination->proof, proof, strlen(proof) + 1);
	if (shown[0] == '\0')
		return;
	if (trail_is_weaker(shown, destination->proof) &&
	    (destination->shown[0] == '\0' ||
	    trail_is_weaker(shown, destination->shown)))
		alarm_fall(walk, destination, shown);
	memcpy(destination->shown, shown, strlen(shown) + 1);
}

static void
finish(struct walk *walk, struct destination *destination,
    struct trail *trail)
{
	const struct d_ended *said = &walk->ending->said;

	keep_proof(walk, destination, trail);
	if (walk->ending->walked) {
		destination->oldest_ms = walk->ending->oldest_ms;
		/* What came after the attempt began was perhaps not seen. */
		destination->unwarned_ms = walk->ending->unwarned_ms != 0 ?
		    walk->ending->unwarned_ms : walk->ending->began_ms;
	}
	conclude(walk, destination);
	if ((said->outcome != 0 && !said->ours) || trail->written)
		trail_write(trail, walk->books->spool, destination, said,
		    walk->ending->ended_ms);
	destination_settle(walk->books->spool, destination);
}

/* May the delay of something that waits there have to be told by now? */
static bool
may_warn(const struct walk *walk, const struct destination *destination)
{
	uint64_t since_ms = destination->unwarned_ms >
	    destination->oldest_ms ? destination->unwarned_ms :
	    destination->oldest_ms;

	return destination->oldest_ms != 0 && schedule_is_late(since_ms,
	    (*walk->books->config)->warn_s, walk->ending->ended_ms);
}

static bool
needs_walk(const struct walk *walk, const struct destination *destination)
{
	const struct d_ended *said = &walk->ending->said;

	if (said->ours || walk->ending->walked)
		return false;
	/* Held meanwhile: then nothing expires. */
	return said->outcome == OUTCOME_FAILED ||
	    (said->outcome == OUTCOME_DEFERRED &&
	    destination_held_until(destination, walk->ending->ended_ms) == 0 &&
	    (destination->class == CLASS_REPORT ||
	    may_warn(walk, destination) ||
	    (destination->oldest_ms != 0 &&
	    is_life_over(walk, destination->oldest_ms))));
}

/*
 * Is this what the operator has to mend?  Refused for TLS (5.7) is refused by
 * policy; that there is no such host is the fault of his line, 4.3.5.
 */
static void
doubt_relay(const struct destination *destination, struct d_ended *said)
{
	if (said->outcome != OUTCOME_FAILED ||
	    !relayhost_is(destination->domain) ||
	    strncmp(said->enhanced, "5.7.", 4) == 0)
		return;
	said->outcome = OUTCOME_DEFERRED;
	strcpy(said->enhanced, "4.3.5");
}

bool
ending_slice(struct books *books, struct ending *ending, struct trail *trail,
    const struct ending_calls *calls)
{
	struct walk walk = { .books = books, .ending = ending,
	    .calls = calls };
	struct destination destination;

	if (spool_get_destination(books->spool, ending->said.destination,
	    &destination) != STORE_FOUND) {
		/* All of it was removed, or the record is damaged. */
		destination_settle_number(books->spool,
		    ending->said.destination);
		return true;
	}
	ending->cursor.destination = destination.number;
	doubt_relay(&destination, &ending->said);
	walk.next_ms = next_try_ms(&destination, ending, *books->config);
	trail_decider(trail, &ending->said, &walk.host);
	if (needs_walk(&walk, &destination) && !walk_slice(&walk))
		return false;
	finish(&walk, &destination, trail);
	return true;
}
