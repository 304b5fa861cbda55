/*
 * Who is to get this message?
 *
 * Called by receive.c for each Q_RCPT.  Addresses stand one after the other
 * in one piece of memory: ten thousand clients may have a thousand each.  A
 * recipient that is named twice is one, so that a result, which comes with
 * the address, is about one.
 */
#include "queue/addressee.h"

#include <stdlib.h>
#include <string.h>

/* FNV-1a: only to compare addresses quickly. */
static uint32_t
hash_of(const char *text)
{
	uint32_t hash = 2166136261u;

	while (*text != '\0')
		hash = (hash ^ (uint8_t)*text++) * 16777619u;
	return hash;
}

/* SMTP-4.1.2-2 RFC 5321 4.1.2: quoted forms of a local part are equal */
static bool
is_same(const struct mailbox *mailbox, const char *text)
{
	struct mailbox other;

	return mailbox_parse(slice_of(text), &other) &&
	    strcmp(mailbox->local, other.local) == 0 &&
	    domain_equal(&mailbox->domain, &other.domain);
}

/* Is the mailbox, whose canonical form has this hash, there already? */
static bool
has(const struct addressees *addressees, const struct mailbox *mailbox,
    uint32_t hash)
{
	const char *address = addressees->addresses;

	for (uint32_t i = 0; i < addressees->n; i++) {
		if (addressees->hashes[i] == hash && is_same(mailbox, address))
			return true;
		address += strlen(address) + 1;
	}
	return false;
}

static void
append(struct addressees *addressees, const char *address, uint32_t hash)
{
	size_t len = strlen(address) + 1;

	if (addressees->len + len > addressees->size) {
		addressees->size = (addressees->len + len) * 3 / 2;
		addressees->addresses = mem_grow(addressees->addresses,
		    addressees->size);
	}
	/* The hashes' room doubles at each power of two. */
	if ((addressees->n & (addressees->n - 1)) == 0)
		addressees->hashes = mem_grow(addressees->hashes,
		    (2 * (size_t)addressees->n + 1) *
		    sizeof(*addressees->hashes));
	memcpy(addressees->addresses + addressees->len, address, len);
	addressees->len += len;
	addressees->hashes[addressees->n++] = hash;
}

bool
addressee_add(struct addressees *addressees, const char *address)
{
	char text[MAILBOX_TEXT_MAX];
	struct mailbox mailbox;
	uint32_t hash;

	if (!mailbox_parse(slice_of(address), &mailbox) ||
	    mailbox.domain.name[0] == '\0')
		return false;
	hash = hash_of(mailbox_print(&mailbox, text));
	if (!has(addressees, &mailbox, hash))
		append(addressees, address, hash);
	return true;
}

void
addressee_free(struct addressees *addressees)
{
	free(addressees->addresses);
	free(addressees->hashes);
	*addressees = (struct addressees){ NULL, 0, 0, NULL, 0 };
}
