/*
 * Which day is it about, and by which name is a report known?
 *
 * Called where reports are made, listed and asked for.  Days are UTC's; an id
 * and a file name depend on the report alone, so that each try of one report
 * has the same (RPT-4.4-5 RFC 8460 4.4).  There is no clock here.
 */
#include "reports/report.h"

#include "conf/stamp.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Of the last day that has four digits for its year. */
#define DAY_LAST	2932896

char *
day_print(uint32_t day, char text[DAY_TEXT_MAX])
{
	char stamp[STAMP_MAX];

	stamp_json((uint64_t)day * DAY_S * 1000, stamp);
	snprintf(text, DAY_TEXT_MAX, "%.10s", stamp);
	return text;
}

/* Printing it again tells whether there is such a day. */
bool
day_parse(const char *text, uint32_t *day)
{
	char again[DAY_TEXT_MAX];
	struct tm tm = { 0 };
	int n = 0;
	time_t s;

	if (strspn(text, "0123456789-") != DAY_TEXT_MAX - 1 ||
	    sscanf(text, "%4d-%2d-%2d%n", &tm.tm_year, &tm.tm_mon,
	    &tm.tm_mday, &n) != 3 || text[n] != '\0')
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	s = timegm(&tm);
	if (s < 0 || s / DAY_S > DAY_LAST)
		return false;
	*day = (uint32_t)(s / DAY_S);
	return strcmp(day_print(*day, again), text) == 0;
}

static int64_t
begin_s(const struct report *report)
{
	return (int64_t)report->day * DAY_S;
}

bool
report_is_partial(const struct report *report)
{
	return report->until_s > 0 &&
	    report->until_s < begin_s(report) + DAY_S - 1;
}

int64_t
report_end_s(const struct report *report)
{
	if (!report_is_partial(report))
		return begin_s(report) + DAY_S - 1;
	return report->until_s > begin_s(report) ? report->until_s :
	    begin_s(report);
}

char *
report_id(const struct report *report, const struct reporter *reporter,
    char text[REPORT_ID_MAX])
{
	char day[DAY_TEXT_MAX];

	day_print(report->day, day);
	if (report->number == 0) {
		snprintf(text, REPORT_ID_MAX,
		    "%.4s%.2s%.2s.not-made.%.255s@%.255s", day, day + 5,
		    day + 8, report->domain, reporter->domain);
		return text;
	}
	/* RPT-4.4-5 RFC 8460 4.4: the random number makes it unique */
	snprintf(text, REPORT_ID_MAX, "%.4s%.2s%.2s.%016" PRIx64 "@%.255s",
	    day, day + 5, day + 8, report->number, reporter->domain);
	return text;
}

/*
 * RPT-5.1-1 RFC 8460 5.1.  RPT-5.1-2: the sender is contact-info's domain;
 * RPT-5.1-3: both are A-labels; RPT-5.1-4: the first and the last second
 * that is counted; RPT-5.1-5, RPT-5.1-6: always compressed, unique-id in
 * digits and letters.
 */
char *
report_file_name(const struct report *report, const struct reporter *reporter,
    char text[FILE_NAME_MAX])
{
	snprintf(text, FILE_NAME_MAX,
	    "%.255s!%.255s!%" PRId64 "!%" PRId64 "!%016" PRIx64 ".json.gz",
	    reporter->domain, report->domain, begin_s(report),
	    report_end_s(report), report->number);
	return text;
}
