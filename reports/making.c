/*
 * Who wants this report, and is it then made?
 *
 * Called by life.c when a report's time has come and policy has answered
 * about its record.  A report becomes:
 *
 *	asked for again		nobody could say whether it is wanted
 *	unwanted		no record, none that can be served, no counts
 *	made			it has a number, and with it its counts are
 *				final; its receivers are written
 *
 * All of that is one turn's writing, the same each time until it is kept.
 */
#include "reports/work.h"

#include "conf/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define CONTRIBUTORS_MAX	20
#define WAIT_FOR_OTHERS_S	3600

/* ---- the answer ---- */

/* The records of an answer; borrowed from it, the array is the caller's. */
static struct slice *
split_records(const struct r_txt_answer *answer, unsigned *n)
{
	const uint8_t *at = answer->records;
	const uint8_t *end = at + answer->records_len;
	struct slice *records = mem_alloc((answer->records_len / 2 + 1) *
	    sizeof(*records));
	size_t len;

	for (*n = 0; end - at >= 2; at += len) {
		len = (size_t)at[0] | (size_t)at[1] << 8;
		at += 2;
		if (len > (size_t)(end - at))
			break;
		records[(*n)++] = (struct slice){ (const char *)at, len };
	}
	return records;
}

static uint64_t
random_number(void)
{
	uint64_t number;

	do
		if (getrandom(&number, sizeof(number), 0) !=
		    (ssize_t)sizeof(number))
			fatal("getrandom");
	while (number == 0);
	return number;
}

void
making_answer(struct work *work, const struct r_txt_answer *answer)
{
	struct slice *records;
	unsigned n;

	work->step = WORK_ANSWERED;
	work->outcome = (enum route_outcome)answer->outcome;
	work->found = RUA_NONE;
	/* Policy says what DNS said; that there is none, is what it means. */
	snprintf(work->text, sizeof(work->text), "%s",
	    answer->outcome == ROUTE_FAIL ? "no _smtp._tls record" :
	    answer->text);
	if (answer->outcome != ROUTE_OK)
		return;
	records = split_records(answer, &n);
	work->rua = mem_alloc(sizeof(*work->rua));
	/* RPT-3-20, RPT-3-22 RFC 8460 3: what the record says */
	work->found = rua_read(records, n, work->rua);
	snprintf(work->text, sizeof(work->text), "%s", work->rua->reason);
	work->number = random_number();
	free(records);
}

/* ---- the report of a TLSA base domain ---- */

/* Has it been asked who wants that report? */
static bool
is_past_asking(struct life *life, uint32_t day, const char *domain)
{
	struct report_state state;

	return !book_get_report(life->book, day, domain, &state) ||
	    (state.phase != REPORT_COUNTING && state.phase != REPORT_ASKING);
}

bool
making_must_wait(struct life *life, const struct report_state *state)
{
	char other[DOMAIN_TEXT_MAX];
	unsigned n;
	/* The others' are due by the end of the spread. */
	int64_t until_s = ((int64_t)state->day + 1) * DAY_S +
	    life->config->report_at_s + life->config->report_spread_s +
	    WAIT_FOR_OTHERS_S;

	if (loop_wall_s() >= until_s ||
	    book_has_own(life->book, state->day, state->domain))
		return false;
	for (n = 0; n < CONTRIBUTORS_MAX && book_contributor(life->book,
	    state->day, state->domain, n, other); n++)
		if (!is_past_asking(life, state->day, other))
			return true;
	return false;
}

static bool
is_receiver_of(struct life *life, uint32_t day, const char *domain,
    const char *uri)
{
	struct receiver_state receiver;
	struct report_state state;
	uint32_t n;

	if (!book_get_report(life->book, day, domain, &state))
		return false;
	for (n = 0; n < state.receivers; n++)
		if (book_get_receiver(life->book, &state, n, &receiver) &&
		    strcmp(receiver.uri, uri) == 0)
			return true;
	return false;
}

/*
 * RPT-1.1-2 RFC 8460 1.1: does it learn all of this from the reports of the
 * recipients' domains?  Where there are more than are noted, nobody knows.
 */
static bool
has_it_already(const struct work *work, const char *uri)
{
	struct life *life = work->life;
	char other[DOMAIN_TEXT_MAX];
	unsigned n;

	if (work->extra != NULL ||
	    book_has_own(life->book, work->day, work->domain))
		return false;
	for (n = 0; n < CONTRIBUTORS_MAX && book_contributor(life->book,
	    work->day, work->domain, n, other); n++)
		if (!is_receiver_of(life, work->day, other, uri))
			return false;
	return n > 0 && n < CONTRIBUTORS_MAX;
}

/* ---- writing ---- */

static void
write_again(struct work *work, struct report_state *state, int64_t now_s)
{
	unsigned attempts = state->attempts > 0 ? state->attempts : 1;
	int64_t delay_s = life_retry_s(attempts, state->first_s != 0 ?
	    state->first_s : now_s, now_s);

	/* RPT-5.5-1 RFC 8460 5.5: no longer than a report is tried */
	state->phase = delay_s < 0 ? REPORT_GIVEN_UP : REPORT_ASKING;
	state->next_s = delay_s < 0 ? 0 : now_s + delay_s;
	work->said = delay_s < 0 ? "given-up" : "deferred";
}

static void
write_unwanted(struct work *work, struct report_state *state,
    const char *text)
{
	if (text != NULL)
		snprintf(work->text, sizeof(work->text), "%s", text);
	state->phase = REPORT_UNWANTED;
	state->next_s = 0;
	work->said = "unwanted";
}

/* Was there anything to count?  What an extra reports, is counted now. */
static bool
has_counts(struct work *work, int64_t now_s)
{
	struct extra *extra = work->extra;
	struct region *region = region_new();
	struct report report;
	bool has = book_load(work->life->book, work->day, work->domain, region,
	    &report);

	if (extra != NULL && has && extra->region == NULL) {
		extra->region = region;
		extra->report = report;
		extra->report.number = work->number;
		extra->report.until_s = now_s;
		return true;
	}
	region_free(&region);
	return has;
}

static void
write_receivers(struct work *work, struct report_state *state, int64_t now_s)
{
	const struct rua *rua = work->rua;
	unsigned i;

	state->receivers = 0;
	for (i = 0; i < rua->n && i < RUA_MAX; i++) {
		struct receiver_state receiver = { .n = state->receivers,
		    .phase = RECEIVER_WAITING, .next_s = now_s };

		if (has_it_already(work, rua->receiver[i].uri))
			continue;
		memcpy(receiver.uri, rua->receiver[i].uri,
		    sizeof(receiver.uri));
		if (work->lift)
			order_forgive(work->life->book, receiver.uri);
		work_put_receiver(work, state, &receiver);
		state->receivers++;
	}
}

static void
write_made(struct work *work, struct report_state *state, int64_t now_s)
{
	write_receivers(work, state, now_s);
	if (state->receivers == 0) {
		write_unwanted(work, state, "who asked for it learns the same "
		    "from the reports of the recipients' domains");
		return;
	}
	state->number = work->number;
	state->phase = REPORT_SENDING;
	state->first_s = state->next_s = now_s;
	work->said = NULL;
}

void
making_write(struct work *work, int64_t now_s)
{
	struct report_state state;

	work->written = true;
	work->said = NULL;
	if (!work_get_report(work, &state) ||
	    (state.number != 0 && state.number != work->number))
		return;
	if (work->outcome == ROUTE_AGAIN)
		write_again(work, &state, now_s);
	else if (work->found != RUA_FOUND)
		write_unwanted(work, &state, NULL);
	else if (!has_counts(work, now_s))
		write_unwanted(work, &state, "nothing was counted");
	else
		write_made(work, &state, now_s);
	slice_store(slice_of(work->said != NULL ? work->text : ""), state.why,
	    sizeof(state.why));
	work_put_report(work, &state);
	book_want_flush(work->life->book);
}

/* RPT-3-6 RFC 8460 3: a record that cannot be served is worth a line. */
void
making_log(const struct work *work)
{
	struct work_line line = { .level = LOG_LEVEL_INFO, .to = "",
	    .outcome = work->said, .tls = "none", .text = work->text };

	if (work->said == NULL)
		return;
	if (work->outcome != ROUTE_AGAIN && work->found == RUA_NONE)
		line.level = LOG_LEVEL_DEBUG;
	work_log(work, &line);
}
