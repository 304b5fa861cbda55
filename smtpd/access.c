/*
 * Is this sender, this recipient, all right from this client?
 *
 * Called by dialogue.c at MAIL and RCPT; all pure.  Local parts of others'
 * domains are left alone (SMTP-2.3.11-1).  Until local mail is built, what is
 * for one of our own domains goes to root-mail or is refused.
 */
#include "smtpd/access.h"

#include <string.h>

static const struct answer good = { 0, NULL };

bool
access_may_relay(const struct config *config, const struct address *client)
{
	size_t i;

	for (i = 0; i < config->relay_from_n; i++)
		if (network_holds(&config->relay_from[i], client))
			return true;
	return false;
}

static bool
is_bare(const struct mailbox *mailbox)
{
	return mailbox->domain.name[0] == '\0' && mailbox->local[0] != '\0';
}

/* Complete a bare local part; false when it stays one. */
static bool
complete(const struct config *config, bool may_relay, struct mailbox *mailbox)
{
	if (!is_bare(mailbox))
		return true;
	if (!may_relay || config->mail_domain.name[0] == '\0')
		return false;
	mailbox->domain = config->mail_domain;
	return true;
}

struct answer
access_sender(const struct config *config, bool may_relay,
    struct mailbox *sender)
{
	/* SMTP-2.3.5-1 RFC 5321 2.3.5: no unqualified name goes on */
	if (!complete(config, may_relay, sender))
		return (struct answer){ 501, "5.1.7 sender without domain" };
	return good;
}

static bool
is_named(const struct mailbox *mailbox, const char *name)
{
	return slice_equal_nocase(slice_of(mailbox->local), slice_of(name));
}

/*
 * SMTP-4.5.1-2 RFC 5321 4.5.1 wants postmaster's mail taken.  It is, where
 * root-mail says where it is read; a 250 for mail that nobody can get would
 * be worse than the refusal (culver-smtpd(8)).
 */
static struct answer
lead_local(const struct config *config, struct mailbox *recipient)
{
	switch (config_lead_local(config, recipient)) {
	case LOCAL_TAKEN:
		return good;
	case LOCAL_UNSET:
		return (struct answer){ 550,
		    "5.1.1 no such user here, root-mail is not set" };
	default:
		return (struct answer){ 550, "5.1.1 no such user here" };
	}
}

struct answer
access_recipient(const struct config *config, bool may_relay,
    struct mailbox *recipient)
{
	/* SMTP-4.1.1.3-1 RFC 5321 4.1.1.3: Postmaster needs no domain */
	if (is_bare(recipient) && is_named(recipient, "postmaster"))
		return lead_local(config, recipient);
	if (!complete(config, may_relay, recipient))
		return (struct answer){ 501, "5.1.3 recipient without domain" };
	if (config_is_local(config, &recipient->domain))
		return lead_local(config, recipient);
	if (!may_relay)		/* SMTP-3.6.2-1, SMTP-7.9-1 RFC 5321 3.6.2 */
		return (struct answer){ 550, "5.7.1 relaying not permitted" };
	return good;
}
