/*
 * What does the result for one recipient change in what is owed?
 */
#ifndef CULVER_QUEUE_RESULT_H
#define CULVER_QUEUE_RESULT_H

#include "queue/trail.h"

/*
 * Find whom a result is about: the message's recipient with that address.
 * hint is the number it probably has (any number will do).  Local I/O.
 * False: nothing is owed to it (any more).
 */
bool	result_find(struct spool *, uint64_t message, const char *address,
	    uint32_t hint, struct recipient *);

/*
 * Apply it in this turn: the recipient is gone, due later, or given up with a
 * notice.  hint: see result_find.  began_ms: when its job was handed out (wall
 * clock).  trail: of its attempt, or NULL.  A recipient that is not there was
 * settled before; then nothing changes.  Repeating it in a later turn is
 * harmless.  Local I/O.
 */
void	result_apply(struct books *, const struct d_result *,
	    uint32_t hint, struct trail *, uint64_t began_ms);

/*
 * Give one recipient up: notice, what its key answers, and it is gone; the
 * attempt line is the caller's.  Shared with ending.c and signer.c.
 */
void	result_give_up(struct books *, const struct message *,
	    const struct recipient *, const struct bounce_recipient *why);

/*
 * An attempt for it failed at failed_ms (wall clock), and it waits on: if it
 * has waited for `warn` and its sender is to be told and was not, tell him
 * why, and mark it; the record is the caller's to write, in this turn.  True:
 * it was marked.  RFC 3461 5.2.5
 */
bool	result_warn(struct books *, const struct message *,
	    struct recipient *, const struct bounce_recipient *why,
	    uint64_t failed_ms);

/*
 * When did the first attempt for it begin, where one that began at began_ms is
 * over?  Pure.  RPT-5.5-1 RFC 8460 5.5
 */
uint64_t result_first_ms(const struct message *, const struct recipient *,
	    uint64_t began_ms);

#endif
