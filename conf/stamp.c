/*
 * How is a time written in mail, in JSON, and in mailq's list?
 *
 * Called where mail is made and by the operator's verbs.  Always UTC: a
 * program in a chroot should not depend on the zone it was started in.  No
 * locale: the names are those of the RFC.
 */
#include "conf/stamp.h"

#include <stdio.h>
#include <time.h>

static const char days[7][4] = {
	"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"
};
static const char months[12][4] = {
	"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct",
	"Nov", "Dec"
};

/* What is no date of the next 8,000 years is shown as 1970. */
static struct tm
split(uint64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;

	if (ms / 1000 > 253402300799u)
		seconds = 0;
	gmtime_r(&seconds, &tm);
	return tm;
}

char *
stamp_mail(uint64_t ms, char text[STAMP_MAX])
{
	struct tm tm = split(ms);

	snprintf(text, STAMP_MAX, "%s, %d %s %d %02d:%02d:%02d +0000",
	    days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon],
	    tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
	return text;
}

char *
stamp_json(uint64_t ms, char text[STAMP_MAX])
{
	struct tm tm = split(ms);

	snprintf(text, STAMP_MAX, "%04d-%02d-%02dT%02d:%02d:%02dZ",
	    tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
	    tm.tm_min, tm.tm_sec);
	return text;
}

char *
stamp_mailq(uint64_t ms, char text[STAMP_MAX])
{
	struct tm tm = split(ms);

	snprintf(text, STAMP_MAX, "%s %s %2d %02d:%02d:%02d %d",
	    days[tm.tm_wday], months[tm.tm_mon], tm.tm_mday, tm.tm_hour,
	    tm.tm_min, tm.tm_sec, tm.tm_year + 1900);
	return text;
}
