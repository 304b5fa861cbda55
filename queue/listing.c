/*
 * Which messages are meant, and how are they shown?
 *
 * Called by ctl.c, a message at a time.  Two forms: the JSON of
 * `queue list`, and the text that Postfix's mailq prints, because programs
 * parse it.  A recipient's attempts and last result are its own or, where
 * newer, those of its destination: an attempt that reached nobody is told
 * once there, not a million times here.
 */
#include "queue/listing.h"

#include "conf/loop.h"
#include "conf/stamp.h"
#include "queue/destination.h"
#include "queue/relayed.h"
#include "queue/row.h"

#include <stdio.h>
#include <string.h>

#define REASON_WIDTH	76	/* of mailq's reasons */

bool
listing_duration(const char *text, uint64_t *ms)
{
	static const struct { char unit; uint64_t ms; } units[] = {
		{ 's', 1000 }, { 'm', 60000 }, { 'h', 3600000 },
		{ 'd', 86400000 }
	};
	struct slice number = slice_of(text);
	uint64_t count;

	if (number.len < 2)
		return false;
	number.len--;
	if (!slice_number(number, 100000000, &count))
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (text[number.len] == units[i].unit) {
			*ms = count * units[i].ms;
			return true;
		}
	return false;
}

/* ---- one recipient ---- */

static const char *const state_names[] = { "waiting", "held", "active" };

enum recipient_state
listing_state(const struct dispatch *dispatch,
    const struct recipient *recipient, const struct destination *destination)
{
	if (dispatch_has(dispatch, recipient))
		return RECIPIENT_ACTIVE;
	if (recipient->due_ms == DUE_HELD || destination_held_until(
	    destination, (uint64_t)loop_wall_ms()) != 0)
		return RECIPIENT_HELD;
	return RECIPIENT_WAITING;
}

/* Most often it is that of the recipient before. */
void
listing_destination(struct spool *spool, const struct recipient *recipient,
    struct destination *destination)
{
	if (destination->number == recipient->destination)
		return;
	if (spool_get_destination(spool, recipient->destination, destination)
	    != STORE_FOUND)
		*destination = (struct destination){
		    .number = recipient->destination };
}

static uint64_t
attempts_of(const struct recipient *recipient,
    const struct destination *destination)
{
	uint64_t failed = destination->failures >
	    recipient->failures_before ? destination->failures -
	    recipient->failures_before : 0;

	return recipient->attempts + failed;
}

/* Did the destination's last failure come after all that is its own? */
static bool
is_destinations(const struct recipient *recipient,
    const struct destination *destination)
{
	return destination->failures > recipient->failures_before &&
	    destination->failed_ms > recipient->last_ms;
}

static void
add_last(struct buffer *row, const struct recipient *recipient,
    const struct destination *destination)
{
	bool theirs = is_destinations(recipient, destination);

	if (!theirs && recipient->last_ms == 0) {
		row_null(row, "last");
		return;
	}
	row_open(row, "last", '{');
	row_text(row, "host", theirs ? destination->host : recipient->host);
	row_text(row, "address", theirs ? destination->address :
	    recipient->address_tried);
	row_number(row, "code", theirs ? 0 : recipient->code);
	row_text(row, "enhanced", theirs ? destination->enhanced :
	    recipient->enhanced);
	row_text(row, "text", theirs ? destination->text : recipient->reply);
	row_text(row, "verdict", theirs ? destination->rule :
	    recipient->verdict);
	row_text(row, "clause", theirs ? destination->clause :
	    recipient->clause);
	row_time(row, "time", theirs ? destination->failed_ms :
	    recipient->last_ms);
	row_close(row, '}');
}

/* Who releases it, and when it goes on by itself. */
static void
add_hold(struct buffer *row, const struct recipient *recipient,
    const struct destination *destination)
{
	bool own = recipient->due_ms == DUE_HELD;
	uint64_t until_ms = destination_held_until(destination,
	    (uint64_t)loop_wall_ms());

	if (own || until_ms != 0)
		row_text(row, "held_by", own ? "message" : "domain");
	else
		row_null(row, "held_by");
	row_time(row, "held_until", own || until_ms == HELD_FOR_EVER ? 0 :
	    until_ms);
}

static void
add_recipient(struct buffer *row, const struct dispatch *dispatch,
    const struct recipient *recipient, const struct destination *destination)
{
	enum recipient_state state = listing_state(dispatch, recipient,
	    destination);
	uint64_t next_ms = recipient->due_ms > destination->backoff_ms ?
	    recipient->due_ms : destination->backoff_ms;

	row_open(row, NULL, '{');
	row_text(row, "to", recipient->address);
	row_text(row, "state", state_names[state]);
	row_number(row, "attempts", attempts_of(recipient, destination));
	row_time(row, "next", state == RECIPIENT_HELD ||
	    !DUE_IS_TIME(next_ms) ? 0 : next_ms);
	add_hold(row, recipient, destination);
	add_last(row, recipient, destination);
	row_close(row, '}');
}

/* ---- one message ---- */

bool
listing_fits_message(const struct filter *filter,
    const struct message *message)
{
	if (filter->own && (!message->local || message->uid != filter->uid))
		return false;
	if (filter->sender != NULL && !slice_equal_nocase(
	    slice_of(filter->sender), slice_of(message->sender)))
		return false;
	return filter->before_ms == 0 ||
	    message->arrived_ms < filter->before_ms;
}

bool
listing_fits_recipient(const struct dispatch *dispatch,
    const struct filter *filter, const struct recipient *recipient,
    const struct destination *destination)
{
	struct mailbox mailbox;

	if (filter->state != -1 && (int)listing_state(dispatch, recipient,
	    destination) != filter->state)
		return false;
	return filter->domain[0] == '\0' ||
	    (mailbox_parse(slice_of(recipient->address), &mailbox) &&
	    strcmp(mailbox.domain.name, filter->domain) == 0);
}

bool
listing_fits(struct spool *spool, const struct dispatch *dispatch,
    const struct filter *filter, const struct message *message,
    unsigned *rows)
{
	struct destination destination = { .number = 0 };
	struct recipient recipient;
	uint32_t number = 0;

	if (!listing_fits_message(filter, message))
		return false;
	while (spool_next_recipient(spool, message->id, number, &recipient)
	    == STORE_FOUND) {
		(*rows)++;
		listing_destination(spool, &recipient, &destination);
		if (listing_fits_recipient(dispatch, filter, &recipient,
		    &destination))
			return true;
		number = recipient.number + 1;
	}
	return false;
}

/*
 * Does `exempt' hold for a next hop of it?  What the sender requires is never
 * exempt (RTLS-8-1 RFC 8689 8).
 */
static bool
is_exempt(struct spool *spool, const struct message *message)
{
	struct destination destination = { .number = 0 };
	struct recipient recipient;
	uint64_t seen = 0;
	uint32_t number = 0;

	if (relayed_class(message) == CLASS_REQUIRETLS || !relayed_exempts())
		return false;
	while (spool_next_recipient(spool, message->id, number, &recipient)
	    == STORE_FOUND) {
		listing_destination(spool, &recipient, &destination);
		if (destination.number != seen && relayed_is_exempt(
		    destination.domain, loop_wall_s()))
			return true;
		seen = destination.number;
		number = recipient.number + 1;
	}
	return false;
}

static void
add_tags(struct buffer *row, struct spool *spool,
    const struct message *message)
{
	uint32_t class = message->class;

	row_open(row, "tags", '[');
	/* RTLS-4.1-1, RTLS-4.1-2 RFC 8689 4.1 */
	if (class == CLASS_REQUIRETLS)
		row_text(row, NULL, "requiretls");
	else if (class == CLASS_TLS_OPTIONAL)
		row_text(row, NULL, "tls-required-no");
	else if (class == CLASS_REPORT)
		row_text(row, NULL, "report");
	if (message->needs_signature)
		row_text(row, NULL, "unsigned");
	if (is_exempt(spool, message))
		row_text(row, NULL, "exempt");
	row_close(row, ']');
}

void
listing_row(struct spool *spool, const struct dispatch *dispatch,
    const struct message *message, struct buffer *row)
{
	struct destination destination = { .number = 0 };
	struct recipient recipient;
	uint32_t number = 0;
	char id[ID_TEXT_MAX];

	row_open(row, NULL, '{');
	row_text(row, "id", queue_id_print(message->id, id));
	row_text(row, "from", message->sender);
	row_number(row, "size", record_octets(message));
	add_tags(row, spool, message);
	row_time(row, "arrived", message->arrived_ms);
	row_open(row, "recipients", '[');
	while (spool_next_recipient(spool, message->id, number, &recipient)
	    == STORE_FOUND) {
		listing_destination(spool, &recipient, &destination);
		add_recipient(row, dispatch, &recipient, &destination);
		number = recipient.number + 1;
	}
	row_close(row, ']');
	row_close(row, '}');
}

/* ---- mailq ---- */

void
listing_mailq_heading(struct buffer *text)
{
	buffer_printf(text, "%-17s %8s %-19s %s\n", "----Queue ID-----",
	    "--Size--", "---Arrival Time----", "--Sender/Recipient------");
}

void
listing_mailq_end(struct buffer *text, uint64_t messages, uint64_t octets)
{
	if (messages == 0)
		buffer_add(text, SLICE("Mail queue is empty\n"));
	else
		buffer_printf(text, "\n-- %llu Kbytes in %llu Request%s.\n",
		    (unsigned long long)(octets / 1024),
		    (unsigned long long)messages, messages == 1 ? "" : "s");
}

/* Of one line, without what would break it. */
static void
reason_of(const struct recipient *recipient,
    const struct destination *destination, char *out, size_t size)
{
	bool theirs = is_destinations(recipient, destination);
	const char *host = theirs ? "" : recipient->host;

	snprintf(out, size, "%s%s%s", host, host[0] != '\0' ? " said: " : "",
	    theirs ? destination->text : recipient->reply);
	for (; *out != '\0'; out++)
		if ((unsigned char)*out < 0x20 || *out == 0x7f)
			*out = ' ';
}

/* A reason stands before the first of the recipients that share it. */
static void
add_mailq_recipient(struct buffer *text, const struct recipient *recipient,
    const char *reason, char *before, size_t size)
{
	if (strcmp(before, reason) != 0) {
		const char *shown = reason[0] != '\0' ? reason :
		    "reason unavailable";
		int fill = REASON_WIDTH - (int)strlen(shown);

		snprintf(before, size, "%s", reason);
		buffer_printf(text, "%*s(%s)\n", fill > 0 ? fill : 0, "",
		    shown);
	}
	buffer_printf(text, "%-17s %8s %-19s %s\n", "", "", "",
	    recipient->address);
}

/* "*" behind the id: with delivery; "!": held. */
static const char *
mark_of(struct spool *spool, const struct dispatch *dispatch, uint64_t id)
{
	struct destination destination = { .number = 0 };
	struct recipient recipient;
	const char *mark = "";
	uint32_t number = 0;

	while (spool_next_recipient(spool, id, number, &recipient) ==
	    STORE_FOUND) {
		enum recipient_state state;

		listing_destination(spool, &recipient, &destination);
		state = listing_state(dispatch, &recipient, &destination);
		if (state == RECIPIENT_ACTIVE)
			return "*";
		if (state == RECIPIENT_HELD)
			mark = "!";
		number = recipient.number + 1;
	}
	return mark;
}

void
listing_mailq(struct spool *spool, const struct dispatch *dispatch,
    const struct message *message, struct buffer *text)
{
	char id[ID_TEXT_MAX], marked[ID_TEXT_MAX + 1], time[STAMP_MAX];
	char reason[1024], before[1024] = "";
	struct destination destination = { .number = 0 };
	struct recipient recipient;
	uint32_t number = 0;

	snprintf(marked, sizeof(marked), "%s%s", queue_id_print(message->id,
	    id), mark_of(spool, dispatch, message->id));
	buffer_printf(text, "%-17s %8llu %19.19s %s\n", marked,
	    (unsigned long long)record_octets(message),
	    stamp_mailq(message->arrived_ms, time),
	    message->sender[0] != '\0' ? message->sender : "MAILER-DAEMON");
	while (spool_next_recipient(spool, message->id, number, &recipient)
	    == STORE_FOUND) {
		listing_destination(spool, &recipient, &destination);
		reason_of(&recipient, &destination, reason, sizeof(reason));
		add_mailq_recipient(text, &recipient, reason, before,
		    sizeof(before));
		number = recipient.number + 1;
	}
}
