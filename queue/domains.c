/*
 * What is known of each destination?
 *
 * Called by ctl.c for `domain list`.  How much waits is counted up to a
 * thousand: a count of a million would hold up the mail.
 */
#include "queue/domains.h"

#include "queue/ctl.h"
#include "queue/row.h"
#include "queue/turn.h"

#include <stdlib.h>

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
	if (dispatch_serves(queue->dispatch, destination->number))
		return "active";
	if (destination->held)
		return "held";
	if (waiting == 0)
		return "idle";
	return destination->backoff_ms > (uint64_t)loop_wall_ms() ?
	    "backoff" : "waiting";
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
say_destination(struct queue *queue, struct control *control,
    const struct destination *destination, uint32_t waiting)
{
	struct buffer row = { NULL, 0, 0 };

	row_open(&row, NULL, '{');
	row_text(&row, "domain", destination->domain);
	row_text(&row, "class", class_of(destination->class));
	row_text(&row, "state", state_of(queue, destination, waiting));
	row_number(&row, "waiting", waiting);
	row_number(&row, "failures", destination->step);
	row_time(&row, "next", destination->next_ms);
	row_text(&row, "proof", destination->proof);
	if (destination->failed_ms == 0) {
		row_null(&row, "last");
	} else {
		row_open(&row, "last", '{');
		row_time(&row, "time", destination->failed_ms);
		row_text(&row, "host", destination->host);
		row_text(&row, "address", destination->address);
		row_text(&row, "enhanced", destination->enhanced);
		row_text(&row, "rule", destination->rule);
		row_text(&row, "clause", destination->clause);
		row_text(&row, "text", destination->text);
		row_close(&row, '}');
	}
	row_close(&row, '}');
	control_line(control, &row);
	buffer_free(&row);
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
	if (argc > 0) {
		ctl_refuse(control, CONTROL_USAGE, "not understood", argv[0]);
		return;
	}
	(void)program;
	control_again(control, list_domains,
	    mem_alloc(sizeof(struct domains)), free);
}
