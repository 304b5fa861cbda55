/*
 * What does an operator's verb do with one recipient?
 *
 * Called by bulk.c, in slices.  Held is a place in the order of what is due
 * (DUE_HELD, record.h): what is held is never drawn, never expires, and nobody
 * is told that it is late.  A delivery that runs is let end: what it says of
 * a recipient counts, held or not; only if it is deferred does it stay held.
 *
 *	hold		due never
 *	release		due now, its destination's back-off forgotten
 *	flush		the same for what waits; what is held stays held
 *	remove		owed no more, and nobody is told
 *	bounce		owed no more, and the sender is told
 */
#include "queue/change.h"

#include "conf/log.h"
#include "queue/destination.h"
#include "queue/keys.h"
#include "queue/listing.h"
#include "queue/result.h"

#include <stdio.h>

/* ---- its destination ---- */

void
change_enter(struct change *change, const struct recipient *recipient)
{
	if (change->destination.number == recipient->destination)
		return;
	change_settle(change);
	listing_destination(change->queue->spool, recipient,
	    &change->destination);
}

static uint64_t
now(void)
{
	return (uint64_t)loop_wall_ms();
}

static bool
domain_is_held(const struct change *change)
{
	return destination_held_until(&change->destination, now()) != 0;
}

static void
touch(struct change *change)
{
	change->touched = true;
}

/* Something of that age waits there, and may be tried at once. */
static void
wake(struct change *change, const struct message *message)
{
	change->touched = change->wake = true;
	if (change->oldest_ms == 0 || message->arrived_ms < change->oldest_ms)
		change->oldest_ms = message->arrived_ms;
}

/* Does its record name something older? */
static bool
has_older(const struct change *change)
{
	const struct destination *destination = &change->destination;

	return change->oldest_ms == 0 || (destination->oldest_ms != 0 &&
	    destination->oldest_ms <= change->oldest_ms);
}

static void
settle(struct change *change)
{
	struct destination *destination = &change->destination;
	struct spool *spool = change->queue->spool;
	bool served = dispatch_serves(change->queue->dispatch,
	    destination->number);

	/* No record that can be read: one is made of the mail. */
	if (destination->domain[0] == '\0') {
		destination_settle_number(spool, destination->number);
		return;
	}
	if (!has_older(change)) {
		destination->oldest_ms = change->oldest_ms;
		if (served)
			spool_put_destination(spool, destination);
	}
	/* The end of what runs there settles it. */
	if (served)
		return;
	if (change->wake && !domain_is_held(change))
		destination->backoff_ms = 0;
	destination_settle(spool, destination);
}

void
change_settle(struct change *change)
{
	if (change->touched)
		settle(change);
	change->destination.number = 0;
	change->touched = change->wake = false;
	change->oldest_ms = 0;
}

/* ---- hold, release, flush ---- */

enum changed
change_hold(struct change *change, const struct message *message,
    struct recipient *recipient)
{
	(void)message;
	if (recipient->due_ms == DUE_HELD)
		return UNCHANGED;
	spool_move_recipient(change->queue->spool, recipient, DUE_HELD);
	touch(change);
	return CHANGED;
}

enum changed
change_release(struct change *change, const struct message *message,
    struct recipient *recipient)
{
	bool behind = domain_is_held(change);

	if (recipient->due_ms != DUE_HELD)
		return behind ? LEFT_HELD : NOT_MEANT;
	spool_move_recipient(change->queue->spool, recipient,
	    message->needs_signature ? DUE_UNSIGNED : now());
	if (message->needs_signature)
		signer_hurry(change->queue->signer);
	wake(change, message);
	if (behind)
		change->behind_domain++;
	return CHANGED;
}

enum changed
change_flush(struct change *change, const struct message *message,
    struct recipient *recipient)
{
	uint64_t now_ms = now();

	if (dispatch_has(change->queue->dispatch, recipient))
		return UNCHANGED;
	if (recipient->due_ms == DUE_HELD || domain_is_held(change))
		return LEFT_HELD;
	if (recipient->due_ms == DUE_UNSIGNED) {
		signer_hurry(change->queue->signer);
		return CHANGED;
	}
	if (recipient->due_ms > now_ms)
		spool_move_recipient(change->queue->spool, recipient, now_ms);
	wake(change, message);
	return CHANGED;
}

/* ---- remove, bounce ---- */

/* SMTP-6.2-1 RFC 5321 6.2: never silently */
static void
log_removed(struct change *change, const struct message *message,
    const struct recipient *recipient)
{
	char id[ID_TEXT_MAX];
	struct event event;

	event_begin(&event, LOG_LEVEL_INFO, "admin");
	event_text(&event, "verb", change->verb);
	event_number(&event, "uid", (int64_t)change->uid);
	event_text(&event, "id", queue_id_print(message->id, id));
	event_text(&event, "from", message->sender);
	event_text(&event, "to", recipient->address);
	ledger_add(&change->queue->books.ledger, &event);
}

enum changed
change_remove(struct change *change, const struct message *message,
    struct recipient *recipient)
{
	const struct key_outcome removed = { KEY_EXPIRED, 0, "",
	    "removed by the operator" };
	struct spool *spool = change->queue->spool;

	keys_settle(spool, message, &removed);
	log_removed(change, message, recipient);
	spool_delete_recipient(spool, recipient);
	if (!spool_is_owed(spool, message->id))
		spool_delete_message(spool, message);
	/* So that it is gone when we say so. */
	spool_want_flush(spool);
	touch(change);
	return CHANGED;
}

/* "..., after HOST said: 450 later", as far as anything was heard. */
static void
give_reason(const struct change *change, const struct recipient *recipient,
    char *text, size_t size)
{
	const struct destination *destination = &change->destination;
	bool own = recipient->last_ms != 0 &&
	    recipient->last_ms >= destination->failed_ms;
	const char *reply = own ? recipient->reply : destination->failed_ms !=
	    0 ? destination->text : "";
	const char *host = own ? recipient->host : "";

	snprintf(text, size, "returned by the operator of this relay%s%s%s%s",
	    reply[0] != '\0' ? "; the last attempt: " : "", host,
	    host[0] != '\0' ? " said: " : "", reply);
}

enum changed
change_bounce(struct change *change, const struct message *message,
    struct recipient *recipient)
{
	const struct destination *destination = &change->destination;
	char reason[REASON_TEXT_MAX + DOMAIN_TEXT_MAX + 80];
	/*
	 * No code, no host: it is our verdict.  A report of our own has no
	 * sender to be told; what counts is that its receiver did not refuse
	 * it, and that is what "expired" says of its key.
	 */
	const struct bounce_recipient why = {
		.address = recipient->address,
		.enhanced = "5.0.0",
		.host = "", .ip = "", .reply = reason,
		.clause = "", .repair = "",
		.expired = message->class == CLASS_REPORT,
		.tried_ms = recipient->last_ms > destination->failed_ms ?
		    recipient->last_ms : destination->failed_ms
	};

	/* It may be delivered yet: both would be said. */
	if (dispatch_has(change->queue->dispatch, recipient))
		return LEFT_ACTIVE;
	give_reason(change, recipient, reason, sizeof(reason));
	result_give_up(&change->queue->books, message, recipient, &why);
	spool_want_flush(change->queue->spool);
	touch(change);
	return CHANGED;
}
