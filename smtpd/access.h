/*
 * Who may send from here, and to whom: the operator's rules applied to one
 * address of an envelope.
 */
#ifndef CULVER_ACCESS_H
#define CULVER_ACCESS_H

#include "conf/config.h"
#include "smtpd/answer.h"

/* May this client relay (relay-from)?  Pure. */
bool	access_may_relay(const struct config *config,
	    const struct address *client);

/*
 * May this be the sender?  Pure.  A bare local part of a client that may
 * relay is completed in *sender by mail-domain.  Code 0: yes.
 */
struct answer	access_sender(const struct config *config, bool may_relay,
		    struct mailbox *sender);

/*
 * May this be a recipient, and which mailbox is meant?  Pure.  Code 0: yes,
 * and *recipient is where it goes: completed, or root-mail's.
 */
struct answer	access_recipient(const struct config *config, bool may_relay,
		    struct mailbox *recipient);

#endif
