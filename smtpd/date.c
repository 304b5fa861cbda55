/*
 * How is a moment written in mail?
 *
 * Called by trace.c and compose.c.  Names of days and months are RFC 5322's,
 * whatever the locale.
 */
#include "smtpd/date.h"

#include <stdio.h>
#include <time.h>

/* SMTP-4.4-8, MSG-5322-3.3-1 RFC 5322 3.3: numeric zone, four-digit year */
char *
date_print(int64_t wall_s, char text[DATE_TEXT_MAX])
{
	static const char days[7][4] = {
		"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"
	};
	static const char months[12][4] = {
		"Jan", "Feb", "Mar", "Apr", "May", "Jun",
		"Jul", "Aug", "Sep", "Oct", "Nov", "Dec"
	};
	time_t when = (time_t)wall_s;
	struct tm local = { 0 };
	long zone, minutes;

	if (localtime_r(&when, &local) == NULL) {
		when = 0;
		gmtime_r(&when, &local);
	}
	zone = local.tm_gmtoff / 60;
	minutes = zone < 0 ? -zone : zone;
	snprintf(text, DATE_TEXT_MAX,
	    "%s, %d %s %04d %02d:%02d:%02d %c%02ld%02ld",
	    days[local.tm_wday], local.tm_mday, months[local.tm_mon],
	    local.tm_year + 1900, local.tm_hour, local.tm_min, local.tm_sec,
	    zone < 0 ? '-' : '+', minutes / 60, minutes % 60);
	return text;
}
