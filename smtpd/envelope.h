/*
 * Sender and recipients of a message that a local user hands over.
 */
#ifndef CULVER_ENVELOPE_H
#define CULVER_ENVELOPE_H

#include "conf/addr.h"

struct envelope {
	struct mailbox	 sender;
	struct mailbox	*recipients;	/* each once */
	size_t		 recipients_n;
};

/*
 * Add the addresses of a list (a header field's body, or an argument);
 * domains that are missing are mail_domain, those with U-labels become
 * A-labels.  Pure.  False, with a sentence in error, when one is malformed or
 * cannot be: then some may have been added.
 */
bool	envelope_add(struct envelope *envelope, struct slice list,
	    const struct domain *mail_domain, struct buffer *error);
/*
 * The sender that -f names: "" and "<>" are the null sender.  Pure.  False,
 * with a sentence in error, when it is not one address.
 */
bool	envelope_set_sender(struct envelope *envelope, const char *text,
	    const struct domain *mail_domain, struct buffer *error);
void	envelope_free(struct envelope *envelope);

#endif
