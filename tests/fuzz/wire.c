/*
 * Fuzz: the decoder on arbitrary octets, with a table that has every type and
 * with the tables of the parent's link.  What decodes must encode to the same
 * octets, and print.
 */
#include "conf/proc.h"
#include "conf/wire.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int	LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len);

struct every {
	bool		yes;
	uint32_t	small;
	uint32_t	any;
	uint64_t	wide;
	int64_t		signed_one;
	char		text[16];
	uint32_t	octets_len;
	uint8_t		octets[32];
	char		last[4];
};
static const struct wire_field every_fields[] = {
	WIRE_FIELD(struct every, yes, WIRE_BOOL, 0),
	WIRE_FIELD(struct every, small, WIRE_U32, 9),
	WIRE_FIELD(struct every, any, WIRE_U32, 0),
	WIRE_FIELD(struct every, wide, WIRE_U64, 0),
	WIRE_FIELD(struct every, signed_one, WIRE_I64, 0),
	WIRE_FIELD_TEXT(struct every, text),
	WIRE_FIELD_BYTES(struct every, octets),
	WIRE_FIELD_TEXT(struct every, last),
};
enum { X_EVERY = 0x7801, X_EMPTY };
static const struct wire_message rows[] = {
	WIRE_ROW(X_EVERY, struct every, every_fields, 0),
	WIRE_EMPTY(X_EMPTY),
};
static const struct wire_table table = { "fuzz", rows, 2 };

static void
check(const struct wire_table *tables, const uint8_t *octets, size_t len)
{
	const struct wire_message *row;
	struct buffer text = { NULL, 0, 0 };
	uint8_t *again;
	void *message;

	row = wire_find(tables, wire_kind(octets, len));
	if (row == NULL)
		return;
	message = mem_alloc(row->size);
	if (wire_decode(row, octets, len, message)) {
		again = mem_alloc(len);
		if (wire_encode(row, message, again, len) != len ||
		    memcmp(again, octets, len) != 0)
			abort();
		free(again);
		wire_print(row, message, &text);
		buffer_free(&text);
	}
	free(message);
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len)
{
	check(&table, octets, len);
	check(&proc_wire, octets, len);
	return 0;
}
