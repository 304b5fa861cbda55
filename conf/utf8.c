/*
 * Is this UTF-8?
 *
 * Called by the JSON writer (mem.c) and the log (log.c), which both print
 * what peers send.  It decides on octets only: no tables, no normalisation,
 * no code points handed out.
 */
#include "conf/utf8.h"

static bool
is_between(unsigned char octet, unsigned low, unsigned high)
{
	return octet >= low && octet <= high;
}

/* The row of RFC 3629 4 that a first octet selects. */
struct form {
	unsigned	first_low, first_high;
	unsigned	second_low, second_high;
	unsigned	len;
};
static const struct form forms[] = {
	{ 0x00, 0x7f, 0, 0, 1 },
	{ 0xc2, 0xdf, 0x80, 0xbf, 2 },
	{ 0xe0, 0xe0, 0xa0, 0xbf, 3 },
	{ 0xe1, 0xec, 0x80, 0xbf, 3 },
	{ 0xed, 0xed, 0x80, 0x9f, 3 },
	{ 0xee, 0xef, 0x80, 0xbf, 3 },
	{ 0xf0, 0xf0, 0x90, 0xbf, 4 },
	{ 0xf1, 0xf3, 0x80, 0xbf, 4 },
	{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
};

static bool
has_form(const struct form *form, const unsigned char *octets, size_t len)
{
	unsigned i;

	if (!is_between(octets[0], form->first_low, form->first_high) ||
	    len < form->len)
		return false;
	if (form->len > 1 &&
	    !is_between(octets[1], form->second_low, form->second_high))
		return false;
	for (i = 2; i < form->len; i++)
		if (!is_between(octets[i], 0x80, 0xbf))
			return false;
	return true;
}

unsigned
utf8_length(struct slice text)
{
	const unsigned char *octets = (const unsigned char *)text.at;
	size_t i;

	if (text.len == 0)
		return 0;
	for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (has_form(&forms[i], octets, text.len))
			return forms[i].len;
	return 0;
}

bool
utf8_is_control(const char *at, unsigned len)
{
	const unsigned char *octets = (const unsigned char *)at;

	switch (len) {
	case 1:
		return octets[0] < 0x20 || octets[0] == 0x7f;
	case 2:
		return octets[0] == 0xc2 && octets[1] < 0xa0;
	case 3:
		return octets[0] == 0xe2 && octets[1] == 0x80 &&
		    (octets[2] == 0xa8 || octets[2] == 0xa9);
	default:
		return false;
	}
}
