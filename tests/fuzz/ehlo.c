/*
 * Fuzz target: answers to EHLO (delivery/ehlo.c behind reply.c).
 *
 * Nothing is offered by the first line, by a reply that is none, or without
 * its keyword somewhere in the text.
 */
#include "delivery/ehlo.h"
#include "delivery/reply.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

int	LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len);

static void
take(void *context, struct slice text, bool first)
{
	struct ehlo *ehlo = context;
	struct ehlo before = *ehlo;

	ehlo_line(ehlo, text, first);
	/* A name, and no offer. */
	if (first && memchr(ehlo->name, '\0', sizeof(ehlo->name)) == NULL)
		abort();
	if (first)
		memcpy(before.name, ehlo->name, sizeof(before.name));
	if (first && memcmp(&before, ehlo, sizeof(before)) != 0)
		abort();
}

static bool
holds(const uint8_t *octets, size_t len, const char *word)
{
	size_t word_len = strlen(word), i;

	for (i = 0; i + word_len <= len; i++)
		if (strncasecmp((const char *)octets + i, word, word_len) == 0)
			return true;
	return false;
}

static void
check(bool offered, const uint8_t *octets, size_t len, const char *word)
{
	if (offered && !holds(octets, len, word))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len)
{
	struct reply_parser parser;
	static struct reply reply;
	static struct ehlo ehlo;
	size_t used;

	memset(&ehlo, 0, sizeof(ehlo));
	reply_begin(&parser, &reply, take, &ehlo);
	reply_feed(&parser, (const char *)octets, len, &used);
	check(ehlo.starttls, octets, used, "STARTTLS");
	check(ehlo.pipelining, octets, used, "PIPELINING");
	check(ehlo.eightbitmime, octets, used, "8BITMIME");
	check(ehlo.requiretls, octets, used, "REQUIRETLS");
	check(ehlo.size, octets, used, "SIZE");
	if (ehlo.size_limit > 0 && !ehlo.size)
		abort();
	return 0;
}
