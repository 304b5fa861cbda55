/*
 * Times as text.  All pure; milliseconds of the wall clock.
 */
#ifndef CULVER_STAMP_H
#define CULVER_STAMP_H

#include <stdint.h>

#define STAMP_MAX	40

/* RFC 5322 3.3: "Tue, 24 Nov 2026 03:00:00 +0000".  Returns text. */
char	*stamp_mail(uint64_t ms, char text[STAMP_MAX]);
/* RFC 3339: "2026-11-24T03:00:00Z".  Returns text. */
char	*stamp_json(uint64_t ms, char text[STAMP_MAX]);
/* As asctime(3) has it, in UTC: "Tue Nov 24 03:00:00 2026".  Returns text. */
char	*stamp_mailq(uint64_t ms, char text[STAMP_MAX]);

#endif
