/*
 * Why is this message still here?
 *
 * Called by ctl.c for `explain ID`.  The facts are those that delivery said
 * (D_HOST) and that trail.c wrote down for each destination: here they are
 * picked for one message and shown, judged they were before.
 */
#include "queue/explain.h"

#include "queue/row.h"
#include "queue/trail.h"

#include <stdlib.h>
#include <string.h>

#define RECIPIENTS_SHOWN	100	/* of one destination */

/* One destination of the message. */
struct place {
	struct spool		*spool;
	struct control		*control;
	const struct message	*message;
	struct destination	 destination;
};

static void
add_facts(struct buffer *row, const struct d_host *host)
{
	row_open(row, "facts", '{');
	row_text(row, "policy", host->policy);
	row_text(row, "sts", host->sts);
	row_text(row, "sts_id", host->sts_id);
	row_bool(row, "sts_cached", host->sts_cached);
	row_bool(row, "mx_match", host->mx_match);
	row_bool(row, "mx_secure", host->mx_secure);
	/* No address was looked up: nothing is known of it. */
	if (host->tlsa[0] == '\0')
		row_null(row, "address_secure");
	else
		row_bool(row, "address_secure", host->address_secure);
	row_text(row, "tlsa", host->tlsa);
	row_bool(row, "connected", host->connected);
	row_text(row, "starttls", host->starttls);
	row_text(row, "certificate", host->certificate);
	row_text(row, "dane", host->dane);
	row_text(row, "result", host->result);
	row_bool(row, "exempt", host->exempt);
	row_text(row, "policy_error", host->policy_error);
	row_bool(row, "name_given", host->name_given);
	row_close(row, '}');
}

static void
add_host(struct buffer *row, const struct d_host *host)
{
	row_open(row, NULL, '{');
	row_text(row, "host", host->host);
	row_text(row, "address", host->address);
	add_facts(row, host);
	row_text(row, "requirement", host->requirement);
	row_text(row, "verdict", host->verdict);
	row_text(row, "rule", host->rule);
	row_text(row, "enhanced", host->enhanced);
	row_text(row, "clause", host->clause);
	row_text(row, "repair", host->repair);
	row_open(row, "tls", '{');
	row_text(row, "version", host->tls_version);
	row_text(row, "cipher", host->tls_cipher);
	row_close(row, '}');
	row_text(row, "reply", host->reply);
	row_close(row, '}');
}

static void
add_hosts(const struct place *place, struct buffer *row,
    const struct attempt *attempt)
{
	struct d_host host;

	row_open(row, "hosts", '[');
	for (uint32_t n = 0; spool_get_host(place->spool,
	    attempt->destination, attempt->number, n, &host) == STORE_FOUND;
	    n++)
		add_host(row, &host);
	row_close(row, ']');
}

/*
 * The policy that applied: the same for all hosts of an attempt.  Where no
 * host was found none is known: that is not to say that there is none.
 */
static void
add_policy(const struct place *place, struct buffer *row,
    const struct attempt *attempt)
{
	struct d_host host = { .policy = "" };

	spool_get_host(place->spool, attempt->destination, attempt->number,
	    0, &host);
	row_open(row, "policy", '{');
	row_text(row, "type", host.policy);
	row_text(row, "id", host.sts_id);
	row_text(row, "mode", host.sts);
	row_close(row, '}');
}

/*
 * The recipients that this attempt left waiting: all there, if it reached no
 * host; else those whose own last result is of it.  The last one's reply.
 */
static unsigned
add_recipients(const struct place *place, struct buffer *row,
    const struct attempt *attempt, struct recipient *last)
{
	bool all = attempt->outcome != 0 && !attempt->ours;
	struct recipient recipient;
	uint32_t number = 0;
	unsigned n = 0;

	row_open(row, "recipients", '[');
	while (n < RECIPIENTS_SHOWN && spool_next_recipient(place->spool,
	    place->message->id, number, &recipient) == STORE_FOUND) {
		number = recipient.number + 1;
		if (recipient.destination != place->destination.number ||
		    (!all && recipient.attempt != attempt->number))
			continue;
		row_text(row, NULL, recipient.address);
		*last = recipient;
		n++;
	}
	row_close(row, ']');
	return n;
}

/* What decided: the attempt's verdict, or the reply to this message. */
static void
add_verdict(struct buffer *row, const struct attempt *attempt,
    const struct recipient *last)
{
	bool own = last->attempt == attempt->number && last->last_ms != 0;

	row_text(row, "outcome", own || attempt->outcome == 0 ? "deferred" :
	    trail_outcome(attempt->outcome));
	row_text(row, "enhanced", own ? last->enhanced : attempt->enhanced);
	row_text(row, "rule", own ? "" : attempt->rule);
	row_text(row, "clause", own ? last->clause : attempt->clause);
	row_text(row, "repair", own ? "" : attempt->repair);
	row_text(row, "text", own ? last->reply : attempt->text);
}

static bool
explain_attempt(const struct place *place, const struct attempt *attempt)
{
	struct buffer row = { NULL, 0, 0 };
	struct recipient last = { .last_ms = 0 };
	char id[ID_TEXT_MAX];
	unsigned n;

	row_open(&row, NULL, '{');
	row_text(&row, "id", queue_id_print(place->message->id, id));
	row_time(&row, "time", attempt->began_ms);
	row_text(&row, "domain", place->destination.domain);
	n = add_recipients(place, &row, attempt, &last);
	add_policy(place, &row, attempt);
	add_hosts(place, &row, attempt);
	add_verdict(&row, attempt, &last);
	row_close(&row, '}');
	if (n > 0)
		control_line(place->control, &row);
	buffer_free(&row);
	return n > 0;
}

static unsigned
explain_destination(struct place *place)
{
	struct attempt attempt;
	uint64_t number = 0;
	unsigned n = 0;

	while (spool_next_attempt(place->spool, place->destination.number,
	    number, &attempt) == STORE_FOUND) {
		number = attempt.number + 1;
		/* One under way when it came may have carried it. */
		if (attempt.ended_ms == 0 || attempt.ended_ms >=
		    place->message->arrived_ms)
			n += explain_attempt(place, &attempt);
	}
	return n;
}

/* The first time that this destination is met? */
static bool
is_new(struct explain *explain, uint64_t destination)
{
	for (size_t i = 0; i < explain->seen_n; i++)
		if (explain->seen[i] == destination)
			return false;
	explain->seen = mem_grow(explain->seen, (explain->seen_n + 1) *
	    sizeof(*explain->seen));
	explain->seen[explain->seen_n++] = destination;
	return true;
}

bool
explain_slice(struct spool *spool, struct control *control,
    struct explain *explain)
{
	struct place place = { .spool = spool, .control = control,
	    .message = &explain->message };
	struct recipient recipient;

	while (spool_next_recipient(spool, explain->message.id,
	    explain->number, &recipient) == STORE_FOUND) {
		explain->number = recipient.number + 1;
		if (!is_new(explain, recipient.destination) ||
		    spool_get_destination(spool, recipient.destination,
		    &place.destination) != STORE_FOUND)
			continue;
		explain->rows += explain_destination(&place);
		return false;
	}
	return true;
}

void
explain_free(void *memory)
{
	struct explain *explain = memory;

	free(explain->seen);
	free(explain);
}
