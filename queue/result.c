/*
 * What does the result for one recipient change in what is owed?
 *
 * Called by dispatch.c for each D_RESULT, before the end of the turn.
 *
 *	delivered	the recipient is deleted; who asked for it is told,
 *			unless the server will do that
 *	deferred	it is due later by its own count of attempts, and the
 *			sender is told once when it has waited for `warn`; or,
 *			when the attempt began after the end of its life, as
 *			failed
 *	failed		the sender is told, and it is deleted
 *
 * With the last recipient the message goes, in the same turn.  All is found
 * by message and address, never by what was in memory: results come again
 * after a crash of either side.
 */
#include "queue/result.h"

#include "conf/loop.h"
#include "queue/keys.h"
#include "queue/schedule.h"

#include <string.h>

bool
result_find(struct spool *spool, uint64_t message, const char *address,
    uint32_t hint, struct recipient *recipient)
{
	uint32_t number = 0;

	/* With a thousand recipients looking at each would be quadratic. */
	if (spool_get_recipient(spool, message, hint, recipient) ==
	    STORE_FOUND && strcmp(recipient->address, address) == 0)
		return true;
	while (spool_next_recipient(spool, message, number, recipient) ==
	    STORE_FOUND) {
		if (strcmp(recipient->address, address) == 0)
			return true;
		number = recipient->number + 1;
	}
	return false;
}

void
result_give_up(struct books *books, const struct message *message,
    const struct recipient *recipient, const struct bounce_recipient *why)
{
	const struct key_outcome outcome = {
		.state = why->expired ? KEY_EXPIRED : KEY_REFUSED,
		.code = why->code, .host = why->host, .text = why->reply
	};

	keys_settle(books->spool, message, &outcome);
	/* SMTP-3.6.3-1 RFC 5321 3.6.3 */
	notice_add(books->notices, message, recipient, why);
	spool_delete_recipient(books->spool, recipient);
	notice_perhaps_over(books->notices, recipient->id);
}

bool
result_warn(struct books *books, const struct message *message,
    struct recipient *recipient, const struct bounce_recipient *why,
    uint64_t failed_ms)
{
	/* DSN-3461-5.2.5-1 RFC 3461 5.2.5: at most one for each recipient */
	if (recipient->warned || !notice_wants_delay(message, recipient) ||
	    !schedule_is_late(message->arrived_ms, (*books->config)->warn_s,
	    failed_ms))
		return false;
	notice_add(books->notices, message, recipient, why);
	recipient->warned = true;
	return true;
}

static void
copy_text(char *to, size_t size, const char *from)
{
	size_t len = strnlen(from, size - 1);

	memcpy(to, from, len);
	to[len] = '\0';
}

uint64_t
result_first_ms(const struct message *message,
    const struct recipient *recipient, uint64_t began_ms)
{
	if (recipient->first_ms != 0)
		return recipient->first_ms;
	/* It may have come while the attempt was under way. */
	return began_ms > message->arrived_ms ? began_ms :
	    message->arrived_ms;
}

/* By whole seconds: recipients of one message stay neighbours. */
static uint64_t
due_again_ms(const struct config *config, const struct message *message,
    const struct recipient *recipient, uint64_t now_ms)
{
	uint64_t age_ms = now_ms > recipient->first_ms ? now_ms -
	    recipient->first_ms : 0;
	uint64_t delay_ms = message->class == CLASS_REPORT ?
	    schedule_report_delay_ms(config->retry_s, config->retry_n,
	    recipient->attempts, recipient->id, age_ms) :
	    schedule_delay_ms(config->retry_s, config->retry_n,
	    recipient->attempts, recipient->id);

	return (now_ms + delay_ms + 999) / 1000 * 1000;
}

static struct bounce_recipient
why_of(const struct d_result *result, const struct d_host *host,
    enum bounce_action action, uint64_t now_ms)
{
	return (struct bounce_recipient){
		.action = action,
		.address = result->recipient,
		.code = result->code,
		.enhanced = result->enhanced,
		.host = result->host, .ip = result->address,
		.reply = result->reply,
		.rule = host->rule, .clause = result->clause,
		.repair = host->repair, .tried_ms = now_ms
	};
}

static void
keep_result(struct recipient *recipient, const struct d_result *result,
    const struct trail *trail, const struct d_host *host, uint64_t now_ms)
{
	recipient->attempts++;
	recipient->last_ms = now_ms;
	recipient->attempt = trail != NULL ? trail->attempt : 0;
	recipient->code = result->code;
	copy_text(recipient->enhanced, sizeof(recipient->enhanced),
	    result->enhanced);
	copy_text(recipient->verdict, sizeof(recipient->verdict),
	    host->verdict);
	copy_text(recipient->clause, sizeof(recipient->clause),
	    result->clause);
	copy_text(recipient->host, sizeof(recipient->host), result->host);
	copy_text(recipient->address_tried, sizeof(recipient->address_tried),
	    result->address);
	copy_text(recipient->reply, sizeof(recipient->reply), result->reply);
}

/* SMTP-4.5.4.1-1 RFC 5321 4.5.4.1 */
static void
defer(struct books *books, const struct d_result *result,
    const struct message *message, struct recipient *recipient,
    struct trail *trail, const struct d_host *host, uint64_t now_ms)
{
	struct bounce_recipient why = why_of(result, host, BOUNCE_DELAYED,
	    now_ms);
	struct destination destination;
	uint64_t due_ms;

	keep_result(recipient, result, trail, host, now_ms);
	/* What was held while it was with delivery stays held. */
	due_ms = recipient->due_ms == DUE_HELD ? DUE_HELD :
	    due_again_ms(*books->config, message, recipient, now_ms);
	why.next_ms = due_ms == DUE_HELD ? 0 : due_ms;
	result_warn(books, message, recipient, &why, now_ms);
	spool_move_recipient(books->spool, recipient, due_ms);
	if (trail == NULL || spool_get_destination(books->spool,
	    recipient->destination, &destination) != STORE_FOUND)
		return;
	trail_write(trail, books->spool, &destination, NULL, 0);
	spool_put_destination(books->spool, &destination);
}

static void
log_result(struct books *books, const struct d_result *result,
    const struct message *message, enum outcome outcome,
    const struct d_host *host, uint64_t now_ms)
{
	struct mailbox mailbox;
	struct trail_line line = {
		.id = result->message,
		.to = result->recipient,
		.host = result->host, .address = result->address,
		.outcome = outcome,
		.code = result->code,
		.enhanced = result->enhanced,
		.clause = result->clause, .reply = result->reply,
		.arrived_ms = message->arrived_ms, .now_ms = now_ms
	};

	line.domain = mailbox_parse(slice_of(result->recipient), &mailbox) ?
	    mailbox.domain.name : "";
	trail_log(&books->ledger, &line, host);
}

/* RPT-5.5-1 RFC 8460 5.5: a report's life is a day of tries */
static bool
is_life_over(const struct books *books, const struct message *message,
    const struct recipient *recipient, uint64_t began_ms)
{
	if (message->class == CLASS_REPORT)
		return schedule_report_expired(recipient->first_ms,
		    began_ms);
	return schedule_expired(message->arrived_ms,
	    (*books->config)->expire_s, 0, began_ms);
}

static void
deliver(struct books *books, const struct d_result *result,
    const struct message *message, const struct recipient *recipient,
    const struct d_host *host, uint64_t now_ms)
{
	const struct key_outcome outcome = { KEY_ACCEPTED, result->code,
	    result->host, result->reply };
	struct bounce_recipient what = why_of(result, host, BOUNCE_RELAYED,
	    now_ms);

	keys_settle(books->spool, message, &outcome);
	/* Why it was good enough is no news. */
	what.rule = what.clause = what.repair = "";
	/* DSN-3461-5.2.1-4 RFC 3461 5.2.1: a server with DSN says it */
	if (!result->dsn_passed)
		notice_add(books->notices, message, recipient, &what);
	spool_delete_recipient(books->spool, recipient);
	notice_perhaps_over(books->notices, recipient->id);
}

/*
 * The facts of the result's session: as the trail has them or, where an older
 * queue heard them, as the result itself does.
 */
static void
find_host(const struct d_result *result, const struct trail *trail,
    struct d_host *host)
{
	if (trail != NULL && trail_find(trail, result->session, host))
		return;
	*host = (struct d_host){ .session = result->session };
	memcpy(host->policy, result->policy, sizeof(host->policy));
	memcpy(host->requirement, result->requirement,
	    sizeof(host->requirement));
	memcpy(host->verdict, result->verdict, sizeof(host->verdict));
	memcpy(host->rule, result->rule, sizeof(host->rule));
	memcpy(host->repair, result->repair, sizeof(host->repair));
	memcpy(host->tls_version, result->tls_version,
	    sizeof(host->tls_version));
	memcpy(host->tls_cipher, result->tls_cipher,
	    sizeof(host->tls_cipher));
}

/* The recipient and its message are there: judge. */
static void
apply(struct books *books, const struct d_result *result,
    const struct message *message, struct recipient *recipient,
    struct trail *trail, uint64_t began_ms)
{
	uint64_t now_ms = (uint64_t)loop_wall_ms();
	bool expired = result->outcome == OUTCOME_DEFERRED &&
	    is_life_over(books, message, recipient, began_ms);
	enum outcome outcome = expired ? OUTCOME_FAILED : result->outcome;
	struct bounce_recipient why;
	struct d_host host;

	find_host(result, trail, &host);
	if (outcome == OUTCOME_DELIVERED) {
		deliver(books, result, message, recipient, &host, now_ms);
	} else if (outcome == OUTCOME_DEFERRED) {
		if (message->class == CLASS_REPORT)
			recipient->first_ms = result_first_ms(message,
			    recipient, began_ms != 0 ? began_ms : now_ms);
		defer(books, result, message, recipient, trail, &host,
		    now_ms);
	} else {
		/*
		 * RTLS-4.2.2-2 RFC 8689 4.2.2: so also where the server wants
		 * TLS that cannot be had, whatever the sender permits
		 */
		why = why_of(result, &host, BOUNCE_FAILED, now_ms);
		why.expired = expired;
		result_give_up(books, message, recipient, &why);
	}
	log_result(books, result, message, outcome, &host, now_ms);
}

void
result_apply(struct books *books, const struct d_result *result,
    uint32_t hint, struct trail *trail, uint64_t began_ms)
{
	struct recipient recipient;
	struct message message;
	struct due due;

	if (!result_find(books->spool, result->message, result->recipient,
	    hint, &recipient))
		return;
	if (spool_get_message(books->spool, result->message, &message) ==
	    STORE_FOUND) {
		apply(books, result, &message, &recipient, trail, began_ms);
		return;
	}
	if (spool_turn_lost(books->spool))
		return;
	/* Its message's record is damaged: there is no sender to tell. */
	due = (struct due){ recipient.destination, recipient.due_ms,
	    recipient.id, recipient.number };
	if (result->outcome == OUTCOME_DELIVERED)
		spool_delete_recipient(books->spool, &recipient);
	else
		spool_hold_due(books->spool, &due);
}
