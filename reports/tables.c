/*
 * How do the book's keys and records lie on disk?
 *
 * Called by book.c, count.c, load.c and forget.c.  Every record is a wire
 * row; keys sort by day, then domain, so that a day is one run of each table.
 */
#include "reports/tables.h"

#include "conf/log.h"

#include <string.h>

void
key_u8(struct key *key, uint8_t number)
{
	if (key->len + 1 > sizeof(key->octets))
		bug("a key of %zu octets", key->len);
	key->octets[key->len++] = number;
}

void
key_u32(struct key *key, uint32_t number)
{
	unsigned i;

	for (i = 0; i < 4; i++)
		key_u8(key, (uint8_t)(number >> (24 - 8 * i)));
}

void
key_u64(struct key *key, uint64_t number)
{
	key_u32(key, (uint32_t)(number >> 32));
	key_u32(key, (uint32_t)number);
}

void
key_text(struct key *key, const char *text)
{
	do
		key_u8(key, (uint8_t)*text);
	while (*text++ != '\0');
}

struct slice
key_slice(const struct key *key)
{
	return (struct slice){ (const char *)key->octets, key->len };
}

struct key
key_of(uint32_t day, const char *domain)
{
	struct key key = { .len = 0 };

	key_u32(&key, day);
	key_text(&key, domain);
	return key;
}

bool
key_copy(struct key *key, struct slice from)
{
	key->len = 0;
	if (from.len > sizeof(key->octets))
		return false;
	memcpy(key->octets, from.at, from.len);
	key->len = from.len;
	return true;
}

bool
key_begins(struct slice key, const struct key *prefix)
{
	return slice_begins(key, key_slice(prefix));
}

bool
key_get_u32(struct slice key, size_t *offset, uint32_t *number)
{
	unsigned i;

	*number = 0;
	if (key.len < *offset || key.len - *offset < 4)
		return false;
	for (i = 0; i < 4; i++)
		*number = *number << 8 | (uint8_t)key.at[(*offset)++];
	return true;
}

bool
key_get_u64(struct slice key, size_t *offset, uint64_t *number)
{
	uint32_t high, low;

	if (!key_get_u32(key, offset, &high) ||
	    !key_get_u32(key, offset, &low))
		return false;
	*number = (uint64_t)high << 32 | low;
	return true;
}

bool
key_get_text(struct slice key, size_t *offset, char *text, size_t size)
{
	const char *end;
	size_t len;

	if (key.len <= *offset)
		return false;
	end = memchr(key.at + *offset, '\0', key.len - *offset);
	if (end == NULL)
		return false;
	len = (size_t)(end - (key.at + *offset));
	if (len >= size)
		return false;
	memcpy(text, key.at + *offset, len + 1);
	*offset += len + 1;
	return true;
}

enum {
	RECORD_SENDER = 0x0881,
	RECORD_POLICY,
	RECORD_TOTALS,
	RECORD_FAILURE,
	RECORD_REPORT,
	RECORD_RECEIVER,
	RECORD_REFUSER
};

static const struct wire_field sender_fields[] = {
	WIRE_FIELD(struct sender, epoch, WIRE_U64, 0),
	WIRE_FIELD(struct sender, sequence, WIRE_U64, 0),
};
const struct wire_message sender_row =
    WIRE_ROW(RECORD_SENDER, struct sender, sender_fields, 0);

static const struct wire_field policy_fields[] = {
	WIRE_FIELD(struct policy_row, block, WIRE_U32, REPORT_NO_POLICY),
	WIRE_FIELD_TEXT(struct policy_row, domain),
	WIRE_FIELD_TEXT(struct policy_row, sts_id),
	WIRE_FIELD(struct policy_row, sts_text, WIRE_U64, 0),
	WIRE_FIELD_BYTES(struct policy_row, tlsa),
};
const struct wire_message policy_row =
    WIRE_ROW(RECORD_POLICY, struct policy_row, policy_fields, 0);

static const struct wire_field totals_fields[] = {
	WIRE_FIELD(struct totals_row, succeeded, WIRE_U64, 0),
	WIRE_FIELD(struct totals_row, failed, WIRE_U64, 0),
	WIRE_FIELD(struct totals_row, failures, WIRE_U32, 0),
};
const struct wire_message totals_row =
    WIRE_ROW(RECORD_TOTALS, struct totals_row, totals_fields, 0);

static const struct wire_field failure_fields[] = {
	WIRE_FIELD(struct failure_row, result, WIRE_U32,
	    RESULT_STS_POLICY_FETCH_ERROR),
	WIRE_FIELD_TEXT(struct failure_row, reason),
	WIRE_FIELD_TEXT(struct failure_row, local),
	WIRE_FIELD_TEXT(struct failure_row, host),
	WIRE_FIELD_TEXT(struct failure_row, helo),
	WIRE_FIELD_TEXT(struct failure_row, address),
	WIRE_FIELD(struct failure_row, sessions, WIRE_U64, 0),
};
const struct wire_message failure_row =
    WIRE_ROW(RECORD_FAILURE, struct failure_row, failure_fields, 0);

static const struct wire_field report_fields[] = {
	WIRE_FIELD(struct report_state, phase, WIRE_U32, REPORT_GIVEN_UP),
	WIRE_FIELD(struct report_state, number, WIRE_U64, 0),
	WIRE_FIELD(struct report_state, next_s, WIRE_I64, 0),
	WIRE_FIELD(struct report_state, first_s, WIRE_I64, 0),
	WIRE_FIELD(struct report_state, attempts, WIRE_U32, 0),
	WIRE_FIELD(struct report_state, receivers, WIRE_U32, RUA_MAX),
	WIRE_FIELD_TEXT(struct report_state, why),
};
const struct wire_message report_row =
    WIRE_ROW(RECORD_REPORT, struct report_state, report_fields, 0);

static const struct wire_field receiver_fields[] = {
	WIRE_FIELD_TEXT(struct receiver_state, uri),
	WIRE_FIELD(struct receiver_state, phase, WIRE_U32,
	    RECEIVER_LEFT_ALONE),
	WIRE_FIELD(struct receiver_state, attempts, WIRE_U32, 0),
	WIRE_FIELD(struct receiver_state, next_s, WIRE_I64, 0),
	WIRE_FIELD(struct receiver_state, last_s, WIRE_I64, 0),
	WIRE_FIELD(struct receiver_state, code, WIRE_U32, 0),
	WIRE_FIELD(struct receiver_state, unverified, WIRE_BOOL, 0),
	WIRE_FIELD_TEXT(struct receiver_state, text),
};
const struct wire_message receiver_row =
    WIRE_ROW(RECORD_RECEIVER, struct receiver_state, receiver_fields, 0);

static const struct wire_field refuser_fields[] = {
	WIRE_FIELD(struct refuser_row, refuser.refusals, WIRE_U32, 0),
	WIRE_FIELD(struct refuser_row, refuser.until_s, WIRE_I64, 0),
	WIRE_FIELD(struct refuser_row, day, WIRE_U32, 0),
};
const struct wire_message refuser_row =
    WIRE_ROW(RECORD_REFUSER, struct refuser_row, refuser_fields, 0);

void
book_change(struct book *book, struct store_table *table,
    const struct key *key, struct slice value)
{
	book->changed = true;
	store_put(table, key_slice(key), value);
}

void
book_change_record(struct book *book, struct store_table *table,
    const struct key *key, const struct wire_message *row, const void *record)
{
	book->changed = true;
	store_put_record(table, key_slice(key), row, record);
}

void
book_remove(struct book *book, struct store_table *table,
    const struct key *key)
{
	book->changed = true;
	store_delete(table, key_slice(key));
}
