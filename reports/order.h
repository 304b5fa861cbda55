/*
 * What an operator's `report send' changes in the book.  The relay and
 * `culver-reports ctl' alike; what follows, life.c does.
 */
#ifndef CULVER_REPORTS_ORDER_H
#define CULVER_REPORTS_ORDER_H

#include "reports/book.h"

/* What was done of it, or (text alone) why nothing was. */
struct order {
	const char	*state;	/* "asked", "tried", "lifted" */
	struct buffer	 text;	/* a sentence for people; the caller's */
};

/*
 * A report of a day that is over: is it still to be sent, and what must be
 * written so that it is taken up at now_s?  One that nobody took is asked for
 * anew, with another report-id.  lift: it was named, and so who was left
 * alone is not any more, and what was given up counts as still to be sent.
 * False, and the sentence why: nothing is written.  Local I/O.
 */
bool	 order_past(struct book *, struct report_state *, bool lift,
	    int64_t now_s, struct order *);
/*
 * As if for the first time: who wants it?  Changes the state, which is the
 * caller's to write.  Pure.
 */
void	 order_ask(struct report_state *, bool lift, int64_t now_s);
/* Was it asked for with lift, and not taken up since?  Pure. */
bool	 order_lifts(const struct report_state *);
/* It did not refuse.  True: it had.  Local I/O. */
bool	 order_forgive(struct book *, const char *uri);

#endif
