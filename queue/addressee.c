/*
 * Who is to get this message?
 *
 * Called by receive.c for each Q_RCPT.  Recipients stand one after the other
 * in one piece of memory, for ten thousand clients may have a thousand each:
 * the address and its end, an octet for NOTIFY, ORCPT and its end.  A
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

bool
addressee_next(const struct addressees *addressees, size_t *at,
    struct addressee *one)
{
	if (*at >= addressees->len)
		return false;
	one->address = addressees->octets + *at;
	*at += strlen(one->address) + 1;
	one->notify = (uint8_t)addressees->octets[(*at)++];
	one->orcpt = addressees->octets + *at;
	*at += strlen(one->orcpt) + 1;
	return true;
}

/* Is the mailbox, whose canonical form has this hash, there already? */
static bool
has(const struct addressees *addressees, const struct mailbox *mailbox,
    uint32_t hash)
{
	struct addressee one;
	size_t at = 0;

	for (uint32_t i = 0; addressee_next(addressees, &at, &one); i++)
		if (addressees->hashes[i] == hash &&
		    is_same(mailbox, one.address))
			return true;
	return false;
}

static void
append(struct addressees *addressees, const struct addressee *one,
    uint32_t hash)
{
	size_t address_len = strlen(one->address) + 1;
	size_t orcpt_len = strlen(one->orcpt) + 1;
	size_t len = address_len + 1 + orcpt_len;
	char *to;

	if (addressees->len + len > addressees->size) {
		addressees->size = (addressees->len + len) * 3 / 2;
		addressees->octets = mem_grow(addressees->octets,
		    addressees->size);
	}
	/* The hashes' room doubles at each power of two. */
	if ((addressees->n & (addressees->n - 1)) == 0)
		addressees->hashes = mem_grow(addressees->hashes,
		    (2 * (size_t)addressees->n + 1) *
		    sizeof(*addressees->hashes));
	to = addressees->octets + addressees->len;
	memcpy(to, one->address, address_len);
	to[address_len] = (char)one->notify;
	memcpy(to + address_len + 1, one->orcpt, orcpt_len);
	addressees->len += len;
	addressees->hashes[addressees->n++] = hash;
}

bool
addressee_is_graphic(const char *text)
{
	while (*text >= '!' && *text <= '~')
		text++;
	return *text == '\0';
}

bool
addressee_add(struct addressees *addressees, const struct addressee *one)
{
	char text[MAILBOX_TEXT_MAX];
	struct mailbox mailbox;
	uint32_t hash;

	if (!mailbox_parse(slice_of(one->address), &mailbox) ||
	    mailbox.domain.name[0] == '\0' ||
	    !addressee_is_graphic(one->orcpt))
		return false;
	hash = hash_of(mailbox_print(&mailbox, text));
	if (!has(addressees, &mailbox, hash))
		append(addressees, one, hash);
	return true;
}

void
addressee_free(struct addressees *addressees)
{
	free(addressees->octets);
	free(addressees->hashes);
	*addressees = (struct addressees){ NULL, 0, 0, NULL, 0 };
}
