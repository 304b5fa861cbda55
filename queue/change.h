/*
 * What an operator's verb does with one recipient.
 *
 * Each changes what is owed in the present turn, and returns what became of
 * it.  Local I/O.  The destination is settled by change_settle, once for all
 * of its recipients that follow one another.
 */
#ifndef CULVER_QUEUE_CHANGE_H
#define CULVER_QUEUE_CHANGE_H

#include "queue/turn.h"

#include <sys/types.h>

enum changed {
	CHANGED,
	UNCHANGED,	/* it is so already */
	NOT_MEANT,	/* the verb is not for such: release, and not held */
	LEFT_HELD,	/* it is held, and stays so */
	LEFT_ACTIVE	/* with delivery, which says what becomes of it */
};

/* A verb under way.  Zero-initialise but for the first three. */
struct change {
	struct queue		*queue;
	const char		*verb;	/* "queue remove", for the log */
	uid_t			 uid;	/* who asks */
	/* of the last recipient; number 0: not read yet */
	struct destination	 destination;
	bool			 touched;	/* it is to be settled */
	bool			 wake;		/* and tried at once */
	uint64_t		 oldest_ms;	/* arrived then; 0: as before */
	/* Released, and waiting on: their domain is held. */
	uint64_t		 behind_domain;
};

/* The destination that the change keeps is that of this recipient now. */
void	change_enter(struct change *, const struct recipient *);
/* Settle it, before the turn ends or another one comes. */
void	change_settle(struct change *);

typedef enum changed change_act(struct change *, const struct message *,
	    struct recipient *);
change_act change_hold, change_release, change_flush, change_remove,
	    change_bounce;

#endif
