/*
 * Which domain in A-labels is meant by these letters?
 *
 * Called by envelope.c.  libidn2 does the work; it reads no locale and no
 * file here.
 */
#include "smtpd/idn.h"

#include <idn2.h>
#include <stdlib.h>

/* Longer than any domain: four octets a letter. */
#define U_TEXT_MAX	1024

static bool
is_ascii(struct slice text)
{
	size_t i;

	for (i = 0; i < text.len; i++)
		if ((unsigned char)text.at[i] > 0x7f)
			return false;
	return true;
}

bool
idn_parse(struct slice text, struct domain *domain)
{
	char letters[U_TEXT_MAX], *labels = NULL;
	bool good;

	if (is_ascii(text))
		return domain_parse(text, domain);
	domain->name[0] = '\0';
	if (!slice_store(text, letters, sizeof(letters)) ||
	    idn2_to_ascii_8z(letters, &labels,
	    IDN2_NONTRANSITIONAL | IDN2_NFC_INPUT) != IDN2_OK)
		return false;
	good = domain_parse(slice_of(labels), domain) &&
	    !domain_is_literal(domain);
	idn2_free(labels);
	return good;
}
