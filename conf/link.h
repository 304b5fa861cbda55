/*
 * Links in a loop: see wire.h for what travels on them.
 */
#ifndef CULVER_LINK_H
#define CULVER_LINK_H

#include "loop.h"
#include "wire.h"

struct link;

struct link_calls {
	/*
	 * A message came: message is decoded and the link's own, valid during
	 * the call.  fds holds as many descriptors as the table says; take
	 * one by setting its place to -1, the rest is closed by the link.
	 * The callee may close the link.
	 */
	void	(*message)(void *context, struct link *, unsigned kind,
		    const void *message, int *fds);
	/*
	 * The peer is gone, or sent what the table does not allow.  The link
	 * is freed right after this call: forget it, don't close it.
	 */
	void	(*closed)(void *context, struct link *);
	/* The out-queue fell under half again; may be NULL. */
	void	(*drained)(void *context, struct link *);
};

/*
 * Serve fd (taken over) as a link in loop.  table and calls are borrowed for
 * the link's life.
 */
struct link	*link_new(struct loop *, int fd, const struct wire_table *,
		    const struct link_calls *, void *context);
/*
 * Close and free without calling `closed`; what is queued is tried once.
 * Nulls the pointer; NULL is fine; allowed inside the link's own calls.
 */
void	 link_close(struct link **);
/*
 * From now on let messages without descriptors that are sent in one turn of
 * the loop travel together, in packets of up to WIRE_MAX octets behind its
 * end: for links that carry many small ones.
 */
void	 link_gather(struct link *);
/* Send what is gathered now, in front of something that takes time. */
void	 link_flush(struct link *);
/*
 * Send.  fds (as many as the table says, or NULL) are taken over, and closed
 * once sent.  Queues when the socket is full.  Never blocks, never fails
 * visibly: a peer that is gone is said by `closed`, never inside link_send.
 */
void	 link_send(struct link *, unsigned kind, const void *message,
	    const int *fds);
/* Is the out-queue more than half full (stop reading the source of work)? */
bool	 link_full(const struct link *);
/* Stop, or go on, taking messages from this link. */
void	 link_pause(struct link *, bool paused);

#endif
