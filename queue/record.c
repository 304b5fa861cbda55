/*
 * How does each of queue's records lie on disk?
 *
 * Called by spool.c; the fuzzer decodes with the same rows.  Every record is
 * a wire row, so that one decoder is audited for links and disk alike.
 */
#include "queue/record.h"

#include "conf/store.h"

#define CLASS_MAX	(CLASSES_N - 1)

enum {
	RECORD_MESSAGE = 0x0481,
	RECORD_RECIPIENT,
	RECORD_DESTINATION,
	RECORD_INTAKE,
	RECORD_KEY,
	RECORD_ATTEMPT
};

static const struct wire_field message_fields[] = {
	WIRE_FIELD_TEXT(struct message, sender),
	WIRE_FIELD(struct message, size_bytes, WIRE_U64, 0),
	WIRE_FIELD(struct message, arrived_ms, WIRE_U64, 0),
	WIRE_FIELD(struct message, body, WIRE_U32, BODY_8BITMIME),
	WIRE_FIELD(struct message, class, WIRE_U32, CLASS_MAX),
	WIRE_FIELD(struct message, eight_bit, WIRE_BOOL, 0),
	WIRE_FIELD(struct message, chunks, WIRE_U32, 0),
	WIRE_FIELD(struct message, file_bytes, WIRE_U64, 0),
	WIRE_FIELD(struct message, file_crc, WIRE_U32, 0),
	WIRE_FIELD(struct message, local, WIRE_BOOL, 0),
	WIRE_FIELD(struct message, uid, WIRE_U32, 0),
	WIRE_FIELD_TEXT(struct message, key),
	WIRE_FIELD(struct message, needs_signature, WIRE_BOOL, 0),
	WIRE_FIELD(struct message, signature_bytes, WIRE_U32,
	    SIGNATURES_MAX),
	WIRE_FIELD(struct message, ret, WIRE_U32, RET_HDRS),
	WIRE_FIELD_TEXT(struct message, envid),
	WIRE_FIELD(struct message, ours, WIRE_BOOL, 0),
};
#define MESSAGE_FIELDS_1	11	/* of version 1 */
#define MESSAGE_FIELDS_2	14

static const struct wire_field recipient_fields[] = {
	WIRE_FIELD_TEXT(struct recipient, address),
	WIRE_FIELD(struct recipient, destination, WIRE_U64, 0),
	WIRE_FIELD(struct recipient, due_ms, WIRE_U64, 0),
	WIRE_FIELD(struct recipient, attempts, WIRE_U32, 0),
	WIRE_FIELD(struct recipient, failures_before, WIRE_U64, 0),
	WIRE_FIELD(struct recipient, last_ms, WIRE_U64, 0),
	WIRE_FIELD(struct recipient, attempt, WIRE_U64, 0),
	WIRE_FIELD(struct recipient, code, WIRE_U32, 599),
	WIRE_FIELD_TEXT(struct recipient, enhanced),
	WIRE_FIELD_TEXT(struct recipient, verdict),
	WIRE_FIELD_TEXT(struct recipient, clause),
	WIRE_FIELD_TEXT(struct recipient, host),
	WIRE_FIELD_TEXT(struct recipient, address_tried),
	WIRE_FIELD_TEXT(struct recipient, reply),
	WIRE_FIELD(struct recipient, first_ms, WIRE_U64, 0),
	WIRE_FIELD(struct recipient, notify, WIRE_U32, NOTIFY_ALL),
	WIRE_FIELD_TEXT(struct recipient, orcpt),
	WIRE_FIELD(struct recipient, warned, WIRE_BOOL, 0),
};
#define RECIPIENT_FIELDS_1	14
#define RECIPIENT_FIELDS_2	15

static const struct wire_field destination_fields[] = {
	WIRE_FIELD_TEXT(struct destination, domain),
	WIRE_FIELD(struct destination, class, WIRE_U32, CLASS_MAX),
	WIRE_FIELD(struct destination, held, WIRE_BOOL, 0),
	WIRE_FIELD(struct destination, step, WIRE_U32, 0),
	WIRE_FIELD(struct destination, backoff_ms, WIRE_U64, 0),
	WIRE_FIELD(struct destination, next_ms, WIRE_U64, 0),
	WIRE_FIELD(struct destination, oldest_ms, WIRE_U64, 0),
	WIRE_FIELD(struct destination, failures, WIRE_U64, 0),
	WIRE_FIELD(struct destination, attempts, WIRE_U64, 0),
	WIRE_FIELD_TEXT(struct destination, proof),
	WIRE_FIELD(struct destination, failed_ms, WIRE_U64, 0),
	WIRE_FIELD_TEXT(struct destination, enhanced),
	WIRE_FIELD_TEXT(struct destination, rule),
	WIRE_FIELD_TEXT(struct destination, clause),
	WIRE_FIELD_TEXT(struct destination, host),
	WIRE_FIELD_TEXT(struct destination, address),
	WIRE_FIELD_TEXT(struct destination, text),
	WIRE_FIELD(struct destination, held_until_ms, WIRE_U64, 0),
	WIRE_FIELD_TEXT(struct destination, shown),
	WIRE_FIELD(struct destination, unwarned_ms, WIRE_U64, 0),
};
#define DESTINATION_FIELDS_1	17
#define DESTINATION_FIELDS_2	19

static const struct wire_field intake_fields[] = {
	WIRE_FIELD(struct intake_mark, since_ms, WIRE_U64, 0),
};

static const struct wire_field key_fields[] = {
	WIRE_FIELD(struct used_key, message, WIRE_U64, 0),
	WIRE_FIELD(struct used_key, taken_ms, WIRE_U64, 0),
	WIRE_FIELD(struct used_key, state, WIRE_U32, KEY_EXPIRED),
	WIRE_FIELD(struct used_key, changed_ms, WIRE_U64, 0),
	WIRE_FIELD(struct used_key, code, WIRE_U32, 599),
	WIRE_FIELD_TEXT(struct used_key, host),
	WIRE_FIELD_TEXT(struct used_key, text),
};
#define KEY_FIELDS_1	2

static const struct wire_field attempt_fields[] = {
	WIRE_FIELD(struct attempt, began_ms, WIRE_U64, 0),
	WIRE_FIELD(struct attempt, ended_ms, WIRE_U64, 0),
	WIRE_FIELD(struct attempt, outcome, WIRE_U32, OUTCOME_FAILED),
	WIRE_FIELD(struct attempt, ours, WIRE_BOOL, 0),
	WIRE_FIELD_TEXT(struct attempt, enhanced),
	WIRE_FIELD_TEXT(struct attempt, rule),
	WIRE_FIELD_TEXT(struct attempt, clause),
	WIRE_FIELD_TEXT(struct attempt, repair),
	WIRE_FIELD_TEXT(struct attempt, text),
};

const struct wire_message record_message =
	WIRE_ROW(RECORD_MESSAGE, struct message, message_fields, 0);
const struct wire_message record_recipient =
	WIRE_ROW(RECORD_RECIPIENT, struct recipient, recipient_fields, 0);
const struct wire_message record_destination =
	WIRE_ROW(RECORD_DESTINATION, struct destination, destination_fields,
	    0);
const struct wire_message record_intake =
	WIRE_ROW(RECORD_INTAKE, struct intake_mark, intake_fields, 0);
const struct wire_message record_key =
	WIRE_ROW(RECORD_KEY, struct used_key, key_fields, 0);
const struct wire_message record_attempt =
	WIRE_ROW(RECORD_ATTEMPT, struct attempt, attempt_fields, 0);

const struct wire_message *
record_host(void)
{
	return wire_find(&feed_wire, D_HOST);
}

/* How many fields D_HOST had when the first attempts were written. */
#define HOST_FIELDS_1	27

/* How many fields a row had in earlier versions, the latest first. */
static const struct {
	const struct wire_message	*row;	/* NULL: record_host() */
	unsigned			 fields_n;
} earlier[] = {
	{ &record_message, MESSAGE_FIELDS_2 },
	{ &record_message, MESSAGE_FIELDS_1 },
	{ &record_recipient, RECIPIENT_FIELDS_2 },
	{ &record_recipient, RECIPIENT_FIELDS_1 },
	{ &record_destination, DESTINATION_FIELDS_2 },
	{ &record_destination, DESTINATION_FIELDS_1 },
	{ &record_key, KEY_FIELDS_1 },
	{ NULL, HOST_FIELDS_1 },
};

/* What stood there then meant something else. */
static void
read_first_host(struct d_host *host)
{
	host->exempt = false;
}

/* A value is taken only if it ends with the last field: no two forms fit. */
bool
record_decode(struct slice value, const struct wire_message *row,
    void *record)
{
	struct wire_message old = *row;

	if (store_decode(value, row, record))
		return true;
	for (size_t i = 0; i < sizeof(earlier) / sizeof(earlier[0]); i++) {
		if ((earlier[i].row != NULL ? earlier[i].row : record_host())
		    != row)
			continue;
		old.fields_n = earlier[i].fields_n;
		if (!store_decode(value, &old, record))
			continue;
		if (earlier[i].row == NULL)
			read_first_host(record);
		return true;
	}
	return false;
}

uint64_t
record_octets(const struct message *message)
{
	return message->signature_bytes + message->size_bytes;
}
