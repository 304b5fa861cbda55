/*
 * A report of a day that is not over, because an operator asks for it.
 *
 * Called by life.c.  It is asked for, made and handed in like any other, but
 * lives in memory alone: a restart forgets it, and the day's own report, when
 * its time comes, holds all of the day.
 */
#include "reports/work.h"

#include <stdlib.h>

#define EXTRAS_MAX	16

static bool
is_under_way(const struct life *life, const char *domain)
{
	const struct extra *extra;

	LIST_FOREACH(extra, &life->extras, extras)
		if (slice_equal(slice_of(extra->state.domain),
		    slice_of(domain)))
			return true;
	return false;
}

bool
today_begin(struct life *life, uint32_t day, const char *domain, bool lift,
    struct buffer *text)
{
	struct report_state state;
	struct extra *extra;

	if (!book_get_report(life->book, day, domain, &state)) {
		buffer_printf(text, "nothing was counted for %s today",
		    domain);
		return false;
	}
	if (is_under_way(life, domain) || life->extras_n >= EXTRAS_MAX) {
		buffer_printf(text, is_under_way(life, domain) ? "a report "
		    "for %s is under way" : "reports of today are under way "
		    "for too many domains; try %s later", domain);
		return false;
	}
	extra = mem_alloc(sizeof(*extra));
	extra->state.day = day;
	slice_store(slice_of(domain), extra->state.domain,
	    sizeof(extra->state.domain));
	order_ask(&extra->state, lift, loop_wall_s());
	buffer_printf(text, "asks whether %s wants today's so far, besides "
	    "the day's own report; the log says what comes of it", domain);
	LIST_INSERT_HEAD(&life->extras, extra, extras);
	life->extras_n++;
	return true;
}

void
today_free(struct life *life, struct extra *extra)
{
	LIST_REMOVE(extra, extras);
	life->extras_n--;
	region_free(&extra->region);
	free(extra);
}
