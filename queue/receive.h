/*
 * Messages on their way in: what smtpd and reports say (Q_*), until they are
 * durable.
 */
#ifndef CULVER_QUEUE_RECEIVE_H
#define CULVER_QUEUE_RECEIVE_H

#include "conf/config.h"
#include "conf/loop.h"
#include "queue/space.h"
#include "queue/spool.h"

struct receiver;

/*
 * config points to the caller's present settings.  end_turn ends the turn
 * early when there is enough in it; it calls the two functions below.  All
 * are borrowed.
 */
struct receiver	*receive_new(struct loop *, struct spool *,
		    const struct config *const *config,
		    void (*end_turn)(void *context), void *context);
void	 receive_free(struct receiver **);
/* Serve a fresh link from an smtpd (fd taken over). */
void	 receive_serve(struct receiver *, int fd);
/*
 * Serve a fresh link from reports.  On it alone mail is of class report, has
 * a key and is signed by us before it leaves (RPT-5.3.1-2 RFC 8460 5.3.1).
 */
void	 receive_serve_reports(struct receiver *, int fd);
/* Take no new message; what is in DATA goes on. */
void	 receive_stop(struct receiver *);
/* Is nothing in DATA or to be answered? */
bool	 receive_idle(const struct receiver *);
/* Is this message on its way in (so that its parts are no orphans)? */
bool	 receive_has(const struct receiver *, uint64_t id);

/*
 * The turn is about to end: write the messages that became whole.  Local I/O,
 * waits for the device where bodies are files.
 */
void	 receive_before_commit(struct receiver *);
/*
 * It ended: answer them (Q_TAKEN and the accept line, or Q_REFUSED), and
 * refuse what else had parts in a lost turn.
 */
void	 receive_after_commit(struct receiver *, bool durable);

#endif
