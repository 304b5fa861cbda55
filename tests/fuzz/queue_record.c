/*
 * queue's rows, on disk and on its links: whatever the octets, decoding ends
 * well, and what decodes encodes to something that decodes to the same.
 *
 * The first octet chooses the row.
 */
#include "queue/record.h"

#include <stdlib.h>
#include <string.h>

int	LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len);

static const struct wire_message *
row_of(uint8_t choice)
{
	static const struct wire_message *const records[] = {
		&record_message, &record_recipient, &record_destination,
		&record_intake, &record_key, &record_attempt
	};
	const size_t n = sizeof(records) / sizeof(records[0]);
	size_t i = choice;

	i %= n + intake_wire.messages_n + feed_wire.messages_n +
	    sign_wire.messages_n;
	if (i < n)
		return records[i];
	i -= n;
	if (i < intake_wire.messages_n)
		return &intake_wire.messages[i];
	i -= intake_wire.messages_n;
	if (i < feed_wire.messages_n)
		return &feed_wire.messages[i];
	return &sign_wire.messages[i - feed_wire.messages_n];
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len)
{
	static uint8_t again[WIRE_MAX];
	const struct wire_message *row;
	void *one, *other;
	size_t n;

	if (len < 1)
		return 0;
	row = row_of(octets[0]);
	one = mem_alloc(row->size + 1);
	other = mem_alloc(row->size + 1);
	if (wire_decode(row, octets + 1, len - 1, one)) {
		n = wire_encode(row, one, again, sizeof(again));
		if (n != len - 1 || memcmp(again, octets + 1, n) != 0 ||
		    !wire_decode(row, again, n, other))
			abort();
	}
	free(one);
	free(other);
	return 0;
}
