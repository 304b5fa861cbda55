/*
 * How does a report look to an operator?
 *
 * Called by ctl.c.  The document itself is document.c's, the words are those
 * of the mail; this puts what the book knows round them.
 */
#include "reports/show.h"

#include "conf/log.h"
#include "reports/work.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

const char *
report_phase_name(uint32_t phase)
{
	switch ((enum report_phase)phase) {
	case REPORT_COUNTING:
		return "counting";
	case REPORT_ASKING:
		return "asking";
	case REPORT_SENDING:
		return "sending";
	case REPORT_DONE:
		return "done";
	case REPORT_UNWANTED:
		return "unwanted";
	case REPORT_GIVEN_UP:
		return "given-up";
	}
	bug("phase %u of a report", phase);
}

const char *
receiver_phase_name(uint32_t phase)
{
	switch ((enum receiver_phase)phase) {
	case RECEIVER_WAITING:
		return "waiting";
	case RECEIVER_OWED:
		return "owed";
	case RECEIVER_ACCEPTED:
		return "accepted";
	case RECEIVER_REFUSED:
		return "refused";
	case RECEIVER_LEFT_ALONE:
		return "left-alone";
	}
	bug("phase %u of a receiver", phase);
}

static void
add_text(struct buffer *json, const char *key, const char *text)
{
	if (text[0] == '\0')
		return;
	buffer_printf(json, ",\"%s\":", key);
	buffer_json(json, slice_of(text));
}

static void
add_time(struct buffer *json, const char *key, int64_t when_s)
{
	time_t when = (time_t)when_s;
	struct tm tm;
	char text[64];

	if (when_s == 0 || gmtime_r(&when, &tm) == NULL)
		return;
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	add_text(json, key, text);
}

static void
add_receiver(struct buffer *json, const struct receiver_state *receiver)
{
	buffer_add(json, SLICE("{\"uri\":"));
	buffer_json(json, slice_of(receiver->uri));
	add_text(json, "phase", receiver_phase_name(receiver->phase));
	buffer_printf(json, ",\"attempts\":%" PRIu32, receiver->attempts);
	if (receiver->phase == RECEIVER_WAITING ||
	    receiver->phase == RECEIVER_OWED)
		add_time(json, "next", receiver->next_s);
	add_time(json, "last", receiver->last_s);
	if (receiver->code != 0)
		buffer_printf(json, ",\"code\":%" PRIu32, receiver->code);
	add_text(json, "text", receiver->text);
	if (receiver->unverified)
		buffer_add(json, SLICE(",\"unverified\":true"));
	buffer_add(json, SLICE("}"));
}

static void
add_receivers(struct buffer *json, struct book *book,
    const struct report_state *state)
{
	struct receiver_state receiver;
	bool first = true;
	uint32_t n;

	buffer_add(json, SLICE(",\"receivers\":["));
	for (n = 0; n < state->receivers; n++) {
		if (!book_get_receiver(book, state, n, &receiver))
			continue;
		if (!first)
			buffer_add(json, SLICE(","));
		first = false;
		add_receiver(json, &receiver);
	}
	buffer_add(json, SLICE("]"));
}

static void
add_report_id(struct buffer *json, const struct config *config,
    const struct report_state *state)
{
	struct report report = { .day = state->day, .number = state->number };
	struct reporter_texts texts;
	char id[REPORT_ID_MAX];

	if (state->number == 0)
		return;
	memcpy(report.domain, state->domain, sizeof(report.domain));
	add_text(json, "report_id", report_id(&report,
	    reporter_of(config, &texts), id));
}

void
report_row_json(struct buffer *json, struct book *book,
    const struct config *config, const struct report_state *state)
{
	uint64_t succeeded, failed;
	char day[DAY_TEXT_MAX];

	book_totals(book, state->day, state->domain, &succeeded, &failed);
	buffer_add(json, SLICE("{\"domain\":"));
	buffer_json(json, slice_of(state->domain));
	add_text(json, "day", day_print(state->day, day));
	add_text(json, "phase", report_phase_name(state->phase));
	if (state->phase == REPORT_COUNTING && state->day < time(NULL) / DAY_S)
		buffer_add(json, SLICE(",\"due\":true"));
	buffer_printf(json, ",\"succeeded\":%" PRIu64 ",\"failed\":%" PRIu64,
	    succeeded, failed);
	add_report_id(json, config, state);
	add_time(json, "next", state->next_s);
	add_text(json, "why", state->why);
	add_receivers(json, book, state);
	buffer_add(json, SLICE("}"));
}

bool
report_print(struct buffer *out, struct book *book,
    const struct config *config, uint32_t day, const char *domain, bool words)
{
	struct region *region = region_new();
	struct reporter_texts texts;
	struct report report;
	bool counted;

	counted = book_load(book, day, domain, region, &report);
	if (day == time(NULL) / DAY_S)
		report.until_s = time(NULL);
	if (counted && words)
		report_words(&report, reporter_of(config, &texts), out);
	else if (counted)
		report_json(&report, reporter_of(config, &texts), out);
	region_free(&region);
	return counted;
}
