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
#include "queue/relayed.h"

#include <string.h>

/* Is the destination that of the recipient before?  Most often it is. */
static bool
find(struct spool *spool, const struct message *message, const char *address,
    struct destination *destination)
{
	char next_hop[DOMAIN_TEXT_MAX];

	if (!relayed_next_hop(message, address, next_hop))
		bug("recipient %s has no domain", address);
	if (destination->number != 0 &&
	    strcmp(destination->domain, next_hop) == 0)
		return true;
	return destination_for(spool, next_hop, relayed_class(message),
	    destination);
}

void
deposit_message(struct spool *spool, const struct message *message,
    const struct addressees *addressees)
{
	struct destination destination = { .number = 0 };
	struct recipient recipient = { .id = message->id,
	    .due_ms = message->needs_signature ? DUE_UNSIGNED :
	    message->arrived_ms };
	struct addressee one;
	size_t at = 0;

	spool_put_message(spool, message);
	if (message->needs_signature)
		spool_mark_unsigned(spool, message->id);
	for (; addressee_next(addressees, &at, &one); recipient.number++) {
		if (!find(spool, message, one.address, &destination))
			return;
		destination_owe(spool, &destination, recipient.due_ms,
		    message->arrived_ms);
		strcpy(recipient.address, one.address);
		recipient.notify = one.notify;
		strcpy(recipient.orcpt, one.orcpt);
		recipient.destination = destination.number;
		recipient.failures_before = destination.failures;
		spool_put_recipient(spool, &recipient);
	}
}
