/*
 * How does a message begin to exist?
 *
 * Called by receive.c for what comes in and by notice.c for bounces.  One
 * message, its recipients, and a word to each of their destinations, all in
 * the present turn: after it the message is owed, before it there is none.
 */
#include "queue/deposit.h"

#include "conf/log.h"
#include "queue/destination.h"

#include <string.h>

/* Is the destination that of the recipient before?  Most often it is. */
static bool
find(struct spool *spool, const char *address, uint32_t class,
    struct destination *destination)
{
	struct mailbox mailbox;

	if (!mailbox_parse(slice_of(address), &mailbox) ||
	    mailbox.domain.name[0] == '\0')
		bug("recipient %s has no domain", address);
	if (destination->number != 0 &&
	    strcmp(destination->domain, mailbox.domain.name) == 0)
		return true;
	return destination_for(spool, mailbox.domain.name, class,
	    destination);
}

void
deposit_message(struct spool *spool, const struct message *message,
    const char *addresses, uint32_t n)
{
	struct destination destination = { .number = 0 };
	struct recipient recipient = { .id = message->id,
	    .due_ms = message->needs_signature ? DUE_UNSIGNED :
	    message->arrived_ms };

	spool_put_message(spool, message);
	if (message->needs_signature)
		spool_mark_unsigned(spool, message->id);
	for (uint32_t i = 0; i < n; i++) {
		size_t len = strlen(addresses);

		if (!find(spool, addresses, message->class, &destination))
			return;
		destination_owe(spool, &destination, recipient.due_ms,
		    message->arrived_ms);
		memcpy(recipient.address, addresses, len + 1);
		recipient.number = i;
		recipient.destination = destination.number;
		recipient.failures_before = destination.failures;
		spool_put_recipient(spool, &recipient);
		addresses += len + 1;
	}
}
