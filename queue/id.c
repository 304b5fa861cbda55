/*
 * Message ids: when was it made, and which of that millisecond's is it?
 *
 * smtpd makes one for each transaction (it stands in Received before queue
 * has seen the message), queue one for each bounce.  22 random bits: two
 * programs need not agree on a counter, and an id cannot be guessed from the
 * one before.
 */
#include "queue/queue.h"

#include "conf/log.h"
#include "conf/loop.h"

#include <stdio.h>
#include <sys/random.h>

#define RANDOM_BITS	22

/* getrandom with no flags and so few octets never comes up short. */
static uint32_t
random_bits(void)
{
	uint32_t bits;

	if (getrandom(&bits, sizeof(bits), 0) != (ssize_t)sizeof(bits))
		fatal("getrandom");
	return bits & ((1U << RANDOM_BITS) - 1);
}

uint64_t
queue_id_new(void)
{
	return (uint64_t)loop_wall_ms() << RANDOM_BITS | random_bits();
}

char *
queue_id_print(uint64_t id, char text[ID_TEXT_MAX])
{
	snprintf(text, ID_TEXT_MAX, "%016llx", (unsigned long long)id);
	return text;
}

bool
queue_id_parse(const char *text, uint64_t *id)
{
	uint64_t number = 0;

	for (int i = 0; i < ID_TEXT_MAX - 1; i++) {
		char c = text[i];

		if (c >= '0' && c <= '9')
			number = number << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			number = number << 4 | (uint64_t)(c - 'a' + 10);
		else
			return false;
	}
	if (text[ID_TEXT_MAX - 1] != '\0' || number == 0)
		return false;
	*id = number;
	return true;
}
