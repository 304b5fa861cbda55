/*
 * Messages that are signed before they may leave: what queue says to
 * culver-sign and hears from it (S_*).
 *
 * They are those that came from reports.  Until one is signed none of its
 * recipients is due, and it is found again by its mark (spool.h): whoever
 * dies, the question is put again.
 */
#ifndef CULVER_QUEUE_SIGNER_H
#define CULVER_QUEUE_SIGNER_H

#include "conf/loop.h"
#include "queue/books.h"

struct signer;

/* All are borrowed.  Nothing is looked for before signer_hurry. */
struct signer	*signer_new(struct loop *, struct books *);
void	 signer_free(struct signer **);
/* Serve a fresh link to culver-sign (fd taken over); what waits is asked. */
void	 signer_serve(struct signer *, int fd);
/*
 * Look for what waits, now: at the start, after new settings, or when an
 * operator is impatient.
 */
void	 signer_hurry(struct signer *);

/*
 * The turn is about to end: write the signature that was heard, and give up
 * what could not be signed for a day.  Local I/O.
 */
void	 signer_before_commit(struct signer *);
/*
 * It ended.  durable: put the next question.  Else all is looked at again in
 * a second.  True: there is more to do, do not wait before the next turn.
 */
bool	 signer_after_commit(struct signer *, bool durable);

/* How long until all is asked again after so many rounds?  ms.  Pure. */
int64_t	 signer_delay_ms(unsigned rounds);

#endif
