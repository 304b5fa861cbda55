/*
 * Which destination is handed to delivery next?
 */
#ifndef CULVER_QUEUE_HANDOUT_H
#define CULVER_QUEUE_HANDOUT_H

#include "conf/link.h"
#include "queue/flight.h"

struct handout;

/* All are borrowed. */
struct handout	*handout_new(struct loop *, struct spool *, struct flight *);
void	 handout_free(struct handout **);
/*
 * Say D_DUE for what is due, earliest first, until `most` destinations are
 * handed; for what will be due a timer makes a turn, after which this is to be
 * called again.  link NULL: nothing.  Local I/O.
 */
void	 handout_run(struct handout *, struct link *, unsigned most);
/* Nothing is handed any more, or a turn was lost: look from the beginning. */
void	 handout_restart(struct handout *);
/* The index entry of this destination may stand wrong. */
void	 handout_look_again(struct handout *, uint64_t destination);
/* Mend such entries in this turn; they are kept until it is durable. */
void	 handout_before_commit(struct handout *);
void	 handout_settled(struct handout *);
bool	 handout_has_unsettled(const struct handout *);

#endif
