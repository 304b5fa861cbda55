/*
 * Messages that are said until the peer has them on disk: over a link that
 * may break, to a program that may die, each counted once.
 *
 * Every message carries, as its first two members, `uint64_t epoch` (random,
 * of this outbox) and `uint64_t sequence` (rising from 1); outbox_put fills
 * both in.  The peer remembers, in the transaction that holds what it was
 * told, the highest sequence of the epoch, leaves out what it has, and says
 * up to where it is durable (outbox_settled).
 *
 * A peer that is slow or gone holds up nothing: beyond its bounds an outbox
 * drops what is put, and says how many.
 */
#ifndef CULVER_OUTBOX_H
#define CULVER_OUTBOX_H

#include "link.h"

struct outbox;

struct outbox_bounds {
	size_t	messages;	/* kept at most */
	size_t	octets;		/* of them, encoded */
};

/*
 * name: of what is lost, for the log ("sessions").  row: the message's.
 */
struct outbox	*outbox_new(const struct wire_message *row, const char *name,
		    const struct outbox_bounds *);
void	 outbox_free(struct outbox **);
/*
 * The link to the peer, or NULL: it is gone.  On a fresh one all that is not
 * settled is said again.  Borrowed until replaced.
 */
void	 outbox_link(struct outbox *, struct link *);
/* Keep a copy and say it as soon as the link takes it. */
void	 outbox_put(struct outbox *, void *message);
/* The peer has all up to and with this one on disk. */
void	 outbox_settled(struct outbox *, uint64_t sequence);
/* For link_calls.drained: go on. */
void	 outbox_drained(struct outbox *);
/* How many are kept. */
size_t	 outbox_kept(const struct outbox *);

#endif
