/*
 * Which log lines are true once this turn is durable?
 *
 * Called by everything that changes the queue.  A lost turn is done again,
 * and would be told twice.
 */
#include "queue/ledger.h"

#include <stdlib.h>
#include <string.h>

void
ledger_add(struct ledger *ledger, const struct event *event)
{
	size_t need = ledger->len + 1 + event->len + 1;

	if (need > ledger->size) {
		ledger->size = need + need / 2 + 1024;
		ledger->lines = mem_grow(ledger->lines, ledger->size);
	}
	ledger->lines[ledger->len++] = (char)event->level;
	memcpy(ledger->lines + ledger->len, event->line, event->len);
	ledger->len += event->len;
	ledger->lines[ledger->len++] = '\0';
}

void
ledger_write(struct ledger *ledger)
{
	const char *at = ledger->lines;
	const char *end = at + ledger->len;
	struct event event;

	if (ledger->len == 0)
		return;
	while (at < end) {
		event.level = (enum log_level)*at++;
		event.len = strlen(at);
		memcpy(event.line, at, event.len + 1);
		at += event.len + 1;
		event_end(&event);
	}
	ledger->len = 0;
}

void
ledger_drop(struct ledger *ledger)
{
	ledger->len = 0;
}

void
ledger_free(struct ledger *ledger)
{
	free(ledger->lines);
	*ledger = (struct ledger){ NULL, 0, 0 };
}
