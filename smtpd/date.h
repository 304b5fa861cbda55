/*
 * Dates of mail, as Received and sendmail's Date field have them.
 */
#ifndef CULVER_DATE_H
#define CULVER_DATE_H

#include <stdint.h>

#define DATE_TEXT_MAX	48

/*
 * "Tue, 24 Nov 2026 23:17:34 +0100": this moment in the zone that tzset(3)
 * found, which must have run before confinement.  Returns text.
 * RFC 5322 3.3
 */
char	*date_print(int64_t wall_s, char text[DATE_TEXT_MAX]);

#endif
