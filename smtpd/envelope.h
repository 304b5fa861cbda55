/*
 * Sender and recipients of a message that a local user hands over, and what
 * he asks for: notifications, TLS.
 */
#ifndef CULVER_ENVELOPE_H
#define CULVER_ENVELOPE_H

#include "conf/addr.h"
#include "queue/queue.h"

struct envelope {
	struct mailbox	 sender;
	struct mailbox	*recipients;	/* each once */
	size_t		 recipients_n;
	/* RFC 3461, for all of them alike; 0 and "": not asked for */
	enum dsn_ret	 ret;
	uint32_t	 notify;	/* a set of enum dsn_notify */
	char		 envid[ENVID_TEXT_MAX];	/* in xtext */
	bool		 requiretls;	/* RFC 8689 */
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
/*
 * The envelope id that -V names: as it is where it is xtext, else in xtext.
 * Pure.  False when it is empty, not printable ASCII, or more than 100
 * characters in xtext.  RFC 3461 4.4
 */
bool	envelope_set_id(struct envelope *envelope, const char *text);
void	envelope_free(struct envelope *envelope);

#endif
