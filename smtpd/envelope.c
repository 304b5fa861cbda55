/*
 * To whom does this message go, and who gets it back?
 *
 * Called by sendmail.c with arguments and by compose.c with header fields.
 * What headers.c found becomes mailboxes of RFC 5321 here.
 */
#include "smtpd/envelope.h"

#include "smtpd/command.h"
#include "smtpd/headers.h"
#include "smtpd/idn.h"

#include <stdlib.h>
#include <string.h>

/* What is being added, and what went wrong first. */
struct adding {
	struct envelope		*envelope;
	const struct domain	*mail_domain;
	struct buffer		*error;
	size_t			 added;
	bool			 failed;
};

static bool
is_ascii(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text > 0x7f)
			return false;
	return true;
}

/* Make a mailbox of an address; NULL, or why it is none. */
static const char *
resolve(const struct headers_address *address,
    const struct domain *mail_domain, struct mailbox *mailbox)
{
	memset(mailbox, 0, sizeof(*mailbox));
	if (!is_ascii(address->local))
		return "non-ASCII local part, which needs SMTPUTF8 "
		    "(not yet, 5.6.7)";
	strcpy(mailbox->local, address->local);
	if (address->domain[0] != '\0')
		return idn_parse(slice_of(address->domain),
		    &mailbox->domain) ? NULL : "malformed domain";
	/* MSG-5322-3.4.1-1, SMTP-2.3.5-1 */
	if (mail_domain->name[0] == '\0')
		return "no domain, and mail-domain is not known";
	mailbox->domain = *mail_domain;
	return NULL;
}

static bool
is_same(const struct mailbox *a, const struct mailbox *b)
{
	return strcmp(a->local, b->local) == 0 &&
	    domain_equal(&a->domain, &b->domain);
}

static void
add(struct envelope *envelope, const struct mailbox *mailbox)
{
	size_t n = envelope->recipients_n, i;

	for (i = 0; i < n; i++)
		if (is_same(&envelope->recipients[i], mailbox))
			return;
	/* Room for a power of two of them. */
	if ((n & (n - 1)) == 0)
		envelope->recipients = mem_grow(envelope->recipients,
		    (n > 0 ? 2 * n : 1) * sizeof(*mailbox));
	envelope->recipients[envelope->recipients_n++] = *mailbox;
}

static void
add_address(void *context, const struct headers_address *address)
{
	struct adding *adding = context;
	struct mailbox mailbox;
	const char *why;

	if (adding->failed)
		return;
	why = resolve(address, adding->mail_domain, &mailbox);
	if (why != NULL) {
		adding->failed = true;
		buffer_printf(adding->error, "%s%s%s: %s", address->local,
		    address->domain[0] != '\0' ? "@" : "", address->domain,
		    why);
		return;
	}
	add(adding->envelope, &mailbox);
	adding->added++;
}

/* Where a list is malformed, on one line. */
static void
say_fault(struct buffer *error, struct slice fault)
{
	size_t i;

	if (fault.len > 60)
		fault.len = 60;
	buffer_add(error, SLICE("malformed address: "));
	for (i = 0; i < fault.len; i++)
		if ((unsigned char)fault.at[i] >= ' ')
			buffer_add(error,
			    (struct slice){ fault.at + i, 1 });
}

static bool
add_list(struct adding *adding, struct slice list)
{
	struct slice fault;

	if (!headers_addresses(list, add_address, adding, &fault) &&
	    !adding->failed) {
		adding->failed = true;
		say_fault(adding->error, fault);
	}
	return !adding->failed;
}

bool
envelope_add(struct envelope *envelope, struct slice list,
    const struct domain *mail_domain, struct buffer *error)
{
	struct adding adding = { .envelope = envelope,
	    .mail_domain = mail_domain, .error = error };

	return add_list(&adding, list);
}

bool
envelope_set_sender(struct envelope *envelope, const char *text,
    const struct domain *mail_domain, struct buffer *error)
{
	struct envelope one = { .recipients = NULL };
	struct adding adding = { .envelope = &one,
	    .mail_domain = mail_domain, .error = error };
	bool good;

	memset(&envelope->sender, 0, sizeof(envelope->sender));
	if (text[0] == '\0' || strcmp(text, "<>") == 0)
		return true;
	good = add_list(&adding, slice_of(text)) && adding.added == 1;
	if (good)
		envelope->sender = one.recipients[0];
	else if (!adding.failed)
		buffer_add(error, SLICE("not one address"));
	envelope_free(&one);
	return good;
}

bool
envelope_set_id(struct envelope *envelope, const char *text)
{
	struct buffer encoded = { NULL, 0, 0 };
	struct slice id = slice_of(text);
	bool good;

	if (!command_is_envid(id)) {
		command_put_xtext(&encoded, text);
		id = (struct slice){ encoded.text, encoded.len };
	}
	good = command_is_envid(id) && slice_store(id, envelope->envid,
	    sizeof(envelope->envid));
	buffer_free(&encoded);
	return good;
}

void
envelope_free(struct envelope *envelope)
{
	free(envelope->recipients);
	*envelope = (struct envelope){ .recipients = NULL };
}
