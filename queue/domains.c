/*
 * What is known of each destination, and is it held?
 *
 * Called by ctl.c for `domain list`, `show`, `hold` and `release`.  A domain
 * is a next hop, and so is a list of relayhosts, which is named by any of its
 * hosts or by its own text.  A next hop has a destination for each class of
 * mail; the verbs are for all of them, and a hold stands in their records,
 * also of those that no mail has met yet: so it is one change however much
 * waits, and holds what comes later.  When it ends by itself the index has its
 * time (destination.h).
 *
 * How much waits is counted up to a thousand: a count of a million would hold
 * up the mail.
 */
#include "queue/domains.h"

#include "conf/domainwords.h"
#include "conf/log.h"
#include "conf/relayhost.h"
#include "queue/ctl.h"
#include "queue/destination.h"
#include "queue/listing.h"
#include "queue/relayed.h"
#include "queue/row.h"
#include "queue/turn.h"

#include <stdlib.h>
#include <string.h>

#define SLICE_ROWS	500
#define SLICE_PLACES	2000	/* looked at to count what waits */
#define PLACES_MAX	1000	/* counted for one destination */

struct domains {
	uint64_t	after;
};

static uint32_t
count_waiting(struct spool *spool, uint64_t number)
{
	struct due place = { .destination = number };
	uint32_t n = 0;

	while (n < PLACES_MAX && spool_next_due(spool, &place, n > 0, &place))
		n++;
	return n;
}

static const char *
state_of(const struct queue *queue, const struct destination *destination,
    uint32_t waiting)
{
	uint64_t now_ms = (uint64_t)loop_wall_ms();

	if (destination_held_until(destination, now_ms) != 0)
		return "held";
	if (dispatch_serves(queue->dispatch, destination->number))
		return "active";
	if (waiting == 0)
		return "idle";
	return destination->backoff_ms > now_ms ? "backoff" : "waiting";
}

static const char *
class_of(uint32_t class)
{
	static const char *const names[CLASSES_N] = {
		"", "mail", "requiretls", "tls-optional", "report"
	};

	return class < CLASSES_N ? names[class] : "";
}

static void
add_last(struct buffer *row, const struct destination *destination)
{
	if (destination->failed_ms == 0) {
		row_null(row, "last");
		return;
	}
	row_open(row, "last", '{');
	row_time(row, "time", destination->failed_ms);
	row_text(row, "host", destination->host);
	row_text(row, "address", destination->address);
	row_text(row, "enhanced", destination->enhanced);
	row_text(row, "rule", destination->rule);
	row_text(row, "clause", destination->clause);
	row_text(row, "text", destination->text);
	row_close(row, '}');
}

/* What `list` and `show` have in common; the row stays open. */
static void
add_destination(const struct queue *queue, struct buffer *row,
    const struct destination *destination, uint32_t waiting)
{
	uint64_t now_ms = (uint64_t)loop_wall_ms();
	uint64_t until_ms = destination_held_until(destination, now_ms);

	row_open(row, NULL, '{');
	row_text(row, "domain", destination->domain);
	row_text(row, "class", class_of(destination->class));
	row_text(row, "state", state_of(queue, destination, waiting));
	row_number(row, "waiting", waiting);
	row_number(row, "failures", destination->step);
	/* Where nothing waits, or all is held, nothing is next. */
	row_time(row, "next", until_ms != 0 || waiting == 0 ? 0 :
	    destination->next_ms);
	row_bool(row, "held", until_ms != 0);
	row_time(row, "held_until", until_ms == HELD_FOR_EVER ? 0 : until_ms);
	row_text(row, "proof", destination->proof[0] != '\0' ?
	    destination->proof : "none");
	add_last(row, destination);
}

static void
say_row(struct control *control, struct buffer *row)
{
	row_close(row, '}');
	control_line(control, row);
	buffer_free(row);
}

static void
say_destination(struct queue *queue, struct control *control,
    const struct destination *destination, uint32_t waiting)
{
	struct buffer row = { NULL, 0, 0 };

	add_destination(queue, &row, destination, waiting);
	say_row(control, &row);
}

static void
list_domains(void *program, struct control *control, void *memory)
{
	struct queue *queue = program;
	struct domains *domains = memory;
	struct destination destination;
	uint32_t places = 0;

	for (int n = 0; n < SLICE_ROWS && places < SLICE_PLACES; n++) {
		uint32_t waiting;

		if (spool_next_destination(queue->spool, domains->after,
		    &destination) != STORE_FOUND) {
			control_end(control, CONTROL_OK);
			return;
		}
		domains->after = destination.number;
		waiting = count_waiting(queue->spool, destination.number);
		places += waiting;
		say_destination(queue, control, &destination, waiting);
	}
	control_again(control, list_domains, domains, free);
}

void
domains_list(void *program, struct control *control, int argc, char **argv)
{
	(void)program;
	if (argc > 0)
		ctl_refuse(control, CONTROL_USAGE, "not understood", argv[0]);
	else
		control_again(control, list_domains,
		    mem_alloc(sizeof(struct domains)), free);
}

/* ---- one domain ---- */

/* A list may stand for each of its hosts: of all lines, the first of these. */
#define HOPS_MAX	64

/* What is asked of a domain. */
struct request {
	const char		*verb;
	struct domain_words	 words;
	/* The next hops that are meant. */
	char		 hops[HOPS_MAX][DOMAIN_TEXT_MAX];
	unsigned	 hops_n;
};

static void
add_hop(struct request *request, const char *hop)
{
	for (unsigned i = 0; i < request->hops_n; i++)
		if (strcmp(request->hops[i], hop) == 0)
			return;
	if (request->hops_n < HOPS_MAX && slice_store(slice_of(hop),
	    request->hops[request->hops_n], DOMAIN_TEXT_MAX))
		request->hops_n++;
}

/*
 * A list, and what tls-required makes of it.  What is held is held for lines
 * to come, but with no such line there is nothing to be held.
 */
static void
add_list(struct request *request, const struct config *config, bool holds,
    const char *list)
{
	char required[DOMAIN_TEXT_MAX];

	add_hop(request, list);
	if ((!holds || config->tls_required_n > 0) &&
	    relayhost_require(list, required))
		add_hop(request, required);
}

/*
 * The domain itself, and each list that leads to a host of that name; or the
 * list that was named.
 */
static void
add_hops(struct request *request, const struct config *config, bool holds)
{
	const struct domain *domain = &request->words.domain;
	char list[DOMAIN_TEXT_MAX];

	if (domain->name[0] == '\0') {
		add_hop(request, request->words.word);
		return;
	}
	add_hop(request, domain->name);
	for (size_t i = 0; i < config->relayhosts_n; i++)
		if (relayhost_list(config, i, list) &&
		    relayed_leads_to(list, domain))
			add_list(request, config, holds, list);
}

/*
 * Does all mail for the domain go by relays, and the domain is none of these?
 * A hold of it would hold nothing.  Writes the list that is meant instead.
 */
static bool
goes_elsewhere(const struct request *request, const struct config *config,
    char list[DOMAIN_TEXT_MAX])
{
	/* No sender= fits, so that only lines for all senders count. */
	const struct mailbox nobody = { .local = "?" };

	return request->words.domain.name[0] != '\0' &&
	    request->hops_n == 1 && relayhost_choose(config, &nobody,
	    &request->words.domain, list);
}

/* False: it was refused. */
static bool
take_words(struct request *request, const struct queue *queue,
    struct control *control, bool takes_for, int argc, char **argv)
{
	char why[512];

	if (domain_words_parse(argc, argv, takes_for, &request->words, why,
	    sizeof(why))) {
		add_hops(request, queue->config, takes_for);
		return true;
	}
	ctl_refuse(control, CONTROL_USAGE, why, "");
	return false;
}

static const char *
name_of(const struct request *request)
{
	return request->words.domain.name[0] != '\0' ?
	    request->words.domain.name : request->words.word;
}

/* Those that are meant are numbered through: next hops, classes of each. */
#define FIRST_CLASS	1
#define CLASSES_EACH	(CLASSES_N - FIRST_CLASS)

static const char *
hop_of(const struct request *request, unsigned n)
{
	return request->hops[n / CLASSES_EACH];
}

static uint32_t
class_at(unsigned n)
{
	return FIRST_CLASS + n % CLASSES_EACH;
}

static unsigned
destinations_of(const struct request *request)
{
	return request->hops_n * CLASSES_EACH;
}

/* That destination, if there is one and it can be read. */
static bool
find(struct queue *queue, const struct request *request, unsigned n,
    struct destination *destination)
{
	uint64_t number = spool_get_name(queue->spool, hop_of(request, n),
	    class_at(n));

	return number != 0 && spool_get_destination(queue->spool, number,
	    destination) == STORE_FOUND;
}

static void
show_destination(struct queue *queue, struct control *control,
    const struct destination *destination)
{
	struct buffer row = { NULL, 0, 0 };

	add_destination(queue, &row, destination, count_waiting(queue->spool,
	    destination->number));
	row_time(&row, "backoff", destination->backoff_ms >
	    (uint64_t)loop_wall_ms() ? destination->backoff_ms : 0);
	row_time(&row, "oldest", destination->oldest_ms);
	row_number(&row, "attempts", destination->attempts);
	row_number(&row, "failed", destination->failures);
	if (destination->shown[0] == '\0')
		row_null(&row, "shown");
	else
		row_text(&row, "shown", destination->shown);
	say_row(control, &row);
}

void
domains_show(void *program, struct control *control, int argc, char **argv)
{
	struct request request = { .verb = "domain show" };
	struct destination destination;
	struct queue *queue = program;
	char list[DOMAIN_TEXT_MAX];
	unsigned n = 0;

	if (!take_words(&request, queue, control, false, argc, argv))
		return;
	for (unsigned i = 0; i < destinations_of(&request); i++)
		if (find(queue, &request, i, &destination)) {
			show_destination(queue, control, &destination);
			n++;
		}
	if (goes_elsewhere(&request, queue->config, list))
		control_error(control, "mail for %s goes to %s",
		    name_of(&request), list);
	if (n == 0)
		ctl_refuse(control, CONTROL_NO, "nothing is known of this "
		    "domain", request.words.word);
	else
		control_end(control, CONTROL_OK);
}

/* ---- hold and release ---- */

/* False: it was refused. */
static bool
may_hold(const struct request *request, const struct queue *queue,
    struct control *control)
{
	char list[DOMAIN_TEXT_MAX];

	if (!goes_elsewhere(request, queue->config, list))
		return true;
	control_error(control, "mail for %s goes to %s: that is the next hop "
	    "to be held, with all mail that goes there", name_of(request),
	    list);
	control_end(control, CONTROL_NO);
	return false;
}

/* What a change did to the destinations of a domain. */
struct outcome_of {
	unsigned	n;		/* they are */
	uint64_t	numbers[HOPS_MAX * CLASSES_EACH];
	uint64_t	until_ms;	/* as flight_hold has it */
};

static void
add_held(struct outcome_of *outcome, struct queue *queue,
    struct destination *destination)
{
	outcome->numbers[outcome->n++] = destination->number;
	destination_settle(queue->spool, destination);
}

static void
log_change(struct control *control, const struct request *request,
    uint64_t for_ms, unsigned n)
{
	struct event event;

	event_begin(&event, LOG_LEVEL_INFO, "admin");
	event_text(&event, "verb", request->verb);
	event_text(&event, "domain", name_of(request));
	if (for_ms != 0)
		event_number(&event, "for", (int64_t)(for_ms / 1000));
	control_who(control, &event);
	event_number(&event, "destinations", n);
	event_end(&event);
}

static void
say_change(struct control *control, const struct request *request,
    const struct outcome_of *outcome)
{
	struct buffer row = { NULL, 0, 0 };

	row_open(&row, NULL, '{');
	row_text(&row, "done", request->verb);
	row_text(&row, "domain", name_of(request));
	row_bool(&row, "held", outcome->until_ms != 0);
	row_time(&row, "held_until", outcome->until_ms == HELD_FOR_EVER ? 0 :
	    outcome->until_ms);
	say_row(control, &row);
}

/* It is safe, and is told to whoever serves them; or nothing happened. */
static void
finish(struct queue *queue, struct control *control,
    const struct request *request, const struct outcome_of *outcome)
{
	spool_want_flush(queue->spool);
	if (!turn_end(queue)) {
		ctl_refuse(control, CONTROL_AGAIN, "the store could not take "
		    "the change, see the log", "");
		return;
	}
	for (unsigned i = 0; i < outcome->n; i++)
		dispatch_hold(queue->dispatch, outcome->numbers[i],
		    outcome->until_ms);
	log_change(control, request, request->words.for_ms, outcome->n);
	say_change(control, request, outcome);
	control_end(control, CONTROL_OK);
}

void
domains_hold(void *program, struct control *control, int argc, char **argv)
{
	struct request request = { .verb = "domain hold" };
	struct outcome_of outcome = { .until_ms = HELD_FOR_EVER };
	struct destination destination;
	struct queue *queue = program;

	if (!take_words(&request, queue, control, true, argc, argv) ||
	    !may_hold(&request, queue, control))
		return;
	if (request.words.for_ms != 0)
		outcome.until_ms = (uint64_t)loop_wall_ms() +
		    request.words.for_ms;
	for (unsigned i = 0; i < destinations_of(&request); i++) {
		if (!destination_for(queue->spool, hop_of(&request, i),
		    class_at(i), &destination))
			break;		/* the turn is lost: finish says so */
		destination.held = true;
		destination.held_until_ms = request.words.for_ms == 0 ? 0 :
		    outcome.until_ms;
		add_held(&outcome, queue, &destination);
	}
	finish(queue, control, &request, &outcome);
}

void
domains_release(void *program, struct control *control, int argc,
    char **argv)
{
	struct request request = { .verb = "domain release" };
	struct outcome_of outcome = { .until_ms = 0 };
	struct destination destination;
	struct queue *queue = program;

	if (!take_words(&request, queue, control, false, argc, argv))
		return;
	for (unsigned i = 0; i < destinations_of(&request); i++) {
		if (!find(queue, &request, i, &destination) ||
		    !destination.held)
			continue;
		destination.held = false;
		destination.held_until_ms = 0;
		/* At once: whoever releases it wants to see it go. */
		destination.backoff_ms = 0;
		add_held(&outcome, queue, &destination);
	}
	if (outcome.n == 0)
		ctl_refuse(control, CONTROL_NO, "this domain is not held",
		    request.words.word);
	else
		finish(queue, control, &request, &outcome);
}
