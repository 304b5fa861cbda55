/*
 * Log lines of a turn, held back until it is durable: what is in the log has
 * happened, and happened once.
 */
#ifndef CULVER_QUEUE_LEDGER_H
#define CULVER_QUEUE_LEDGER_H

#include "conf/log.h"

struct ledger {
	char	*lines;		/* level and text with its end, each */
	size_t	 len, size;
};

/* Add an event that was begun, instead of event_end. */
void	ledger_add(struct ledger *, const struct event *);
/* The turn is durable: write them. */
void	ledger_write(struct ledger *);
/* It is lost: none of it happened. */
void	ledger_drop(struct ledger *);
void	ledger_free(struct ledger *);

#endif
