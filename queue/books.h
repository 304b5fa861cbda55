/*
 * What the modules that settle mail write to in a turn: the spool, the
 * notices to senders, and the log lines that become true with it.
 */
#ifndef CULVER_QUEUE_BOOKS_H
#define CULVER_QUEUE_BOOKS_H

#include "conf/config.h"
#include "queue/ledger.h"
#include "queue/notice.h"
#include "queue/spool.h"

struct books {
	struct spool			*spool;
	const struct config *const	*config;
	struct ledger			 ledger;
	struct notices			*notices;
};

/*
 * May mail be handed to delivery?  Not while the clock is doubted (turn.c):
 * then nobody works.  Pure.
 */
static inline bool
books_may_leave(const struct books *books)
{
	return (*books->config)->workers > 0;
}

#endif
