/*
 * Reports and what became of them, for `culverctl report'.
 */
#ifndef CULVER_REPORTS_SHOW_H
#define CULVER_REPORTS_SHOW_H

#include "conf/config.h"
#include "reports/book.h"

/* "report_phase" and "receiver_phase" as words: "counting", "owed".  Pure. */
const char *report_phase_name(uint32_t phase);
const char *receiver_phase_name(uint32_t phase);
/*
 * Append one report as an object: `report list'.  Reads the book (local I/O).
 * Times RFC 3339, UTC; what is not known is left out.  "due":true: its day is
 * over, and it waits for its time ("phase" is "counting" all the same).
 */
void	report_row_json(struct buffer *json, struct book *,
	    const struct config *, const struct report_state *);
/*
 * Append the document of RFC 8460, one line without its end, or (words) the
 * same for people.  Reads the book (local I/O).  False: nothing was counted.
 */
bool	report_print(struct buffer *out, struct book *,
	    const struct config *, uint32_t day, const char *domain,
	    bool words);

#endif
