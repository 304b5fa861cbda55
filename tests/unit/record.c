/*
 * queue/record.c: records of earlier versions are read as they lie on disk.
 *
 * The octets below were written by the programs of those versions; they are
 * never made anew.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "queue/record.h"

#include <stdio.h>
#include <string.h>

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

/* ---- as they were written ---- */

#define MESSAGE_1 \
	    "81040e00000061406e6561722e6578616d706c652900000000000000006c" \
	    "50c4a0010000010000000100000001010000007011010000000000efbead" \
	    "de01e8030000"
#define MESSAGE_2 \
	    "81040e00000061406e6561722e6578616d706c652900000000000000006c" \
	    "50c4a0010000010000000100000001010000007011010000000000efbead" \
	    "de01e8030000020000006b310111000000"
#define RECIPIENT_1 \
	    "82041000000055734572406661722e6578616d706c650300000000000000" \
	    "605651c4a0010000020000000700000000000000f46d50c4a00100000900" \
	    "000000000000c201000005000000342e322e300400000073656e640c0000" \
	    "00524643203533323120342e320e0000006d782e6661722e6578616d706c" \
	    "650a0000003139322e302e322e32350f00000034353020342e322e30206c" \
	    "61746572"
#define RECIPIENT_2 \
	    "82041000000055734572406661722e6578616d706c650300000000000000" \
	    "605651c4a0010000020000000700000000000000f46d50c4a00100000900" \
	    "000000000000c201000005000000342e322e300400000073656e640c0000" \
	    "00524643203533323120342e320e0000006d782e6661722e6578616d706c" \
	    "650a0000003139322e302e322e32350f00000034353020342e322e30206c" \
	    "61746572906d50c4a0010000"
#define DESTINATION_1 \
	    "83040b0000006661722e6578616d706c65010000000104000000805a87c4" \
	    "a0010000815a87c4a0010000ff6b50c4a00100000c000000000000002200" \
	    "00000000000004000000706b6978006c50c4a001000005000000342e342e" \
	    "3107000000636f6e6e6563740c000000524643203533323120352e310e00" \
	    "00006d782e6661722e6578616d706c650a0000003139322e302e322e3235" \
	    "090000006e6f20616e73776572"
#define DESTINATION_2 \
	    "83040b0000006661722e6578616d706c65010000000104000000805a87c4" \
	    "a0010000815a87c4a0010000ff6b50c4a00100000c000000000000002200" \
	    "00000000000004000000706b6978006c50c4a001000005000000342e342e" \
	    "3107000000636f6e6e6563740c000000524643203533323120352e310e00" \
	    "00006d782e6661722e6578616d706c650a0000003139322e302e322e3235" \
	    "090000006e6f20616e737765720049bec4a0010000040000006e6f6e65"

#define HOST_1 \
	    "080503000000000000000700000000000000010e0000006d782e6661722e" \
	    "6578616d706c650a0000003139322e302e322e3235030000007374730700" \
	    "0000656e666f72636508000000323032363031303101010101040000006e" \
	    "6f6e6504000000706b69780400000073656e64000104000000646f6e6505" \
	    "00000076616c696407000000544c5376312e3316000000544c535f414553" \
	    "5f3235365f47434d5f53484133383407000000737563636573730c000000" \
	    "7374732d7665726966696564000000000c00000052464320383436312034" \
	    "2e320000000000000000"

/* ---- what they say ---- */

static const struct message message_1 = {
	.sender = "a@near.example", .size_bytes = 41,
	.arrived_ms = 1790000000000, .body = BODY_8BITMIME,
	.class = CLASS_MAIL, .eight_bit = true, .chunks = 1,
	.file_bytes = 70000, .file_crc = 0xdeadbeef, .local = true,
	.uid = 1000
};
static const struct message message_2 = {
	.sender = "a@near.example", .size_bytes = 41,
	.arrived_ms = 1790000000000, .body = BODY_8BITMIME,
	.class = CLASS_MAIL, .eight_bit = true, .chunks = 1,
	.file_bytes = 70000, .file_crc = 0xdeadbeef, .local = true,
	.uid = 1000, .key = "k1", .needs_signature = true,
	.signature_bytes = 17
};
static const struct recipient recipient_1 = {
	.address = "UsEr@far.example", .destination = 3,
	.due_ms = 1790000060000, .attempts = 2, .failures_before = 7,
	.last_ms = 1790000000500, .attempt = 9, .code = 450,
	.enhanced = "4.2.0", .verdict = "send", .clause = "RFC 5321 4.2",
	.host = "mx.far.example", .address_tried = "192.0.2.25",
	.reply = "450 4.2.0 later"
};
static const struct recipient recipient_2 = {
	.address = "UsEr@far.example", .destination = 3,
	.due_ms = 1790000060000, .attempts = 2, .failures_before = 7,
	.last_ms = 1790000000500, .attempt = 9, .code = 450,
	.enhanced = "4.2.0", .verdict = "send", .clause = "RFC 5321 4.2",
	.host = "mx.far.example", .address_tried = "192.0.2.25",
	.reply = "450 4.2.0 later", .first_ms = 1790000000400
};
static const struct destination destination_1 = {
	.domain = "far.example", .class = CLASS_MAIL, .held = true,
	.step = 4, .backoff_ms = 1790003600000, .next_ms = 1790003600001,
	.oldest_ms = 1789999999999, .failures = 12, .attempts = 34,
	.proof = "pkix", .failed_ms = 1790000000000, .enhanced = "4.4.1",
	.rule = "connect", .clause = "RFC 5321 5.1",
	.host = "mx.far.example", .address = "192.0.2.25",
	.text = "no answer"
};
static const struct destination destination_2 = {
	.domain = "far.example", .class = CLASS_MAIL, .held = true,
	.step = 4, .backoff_ms = 1790003600000, .next_ms = 1790003600001,
	.oldest_ms = 1789999999999, .failures = 12, .attempts = 34,
	.proof = "pkix", .failed_ms = 1790000000000, .enhanced = "4.4.1",
	.rule = "connect", .clause = "RFC 5321 5.1",
	.host = "mx.far.example", .address = "192.0.2.25",
	.text = "no answer", .held_until_ms = 1790007200000, .shown = "none"
};

static const struct row {
	const char			*octets;
	const struct wire_message	*row;
	const void			*record;
} rows[] = {
	{ MESSAGE_1, &record_message, &message_1 },
	{ MESSAGE_2, &record_message, &message_2 },
	{ RECIPIENT_1, &record_recipient, &recipient_1 },
	{ RECIPIENT_2, &record_recipient, &recipient_2 },
	{ DESTINATION_1, &record_destination, &destination_1 },
	{ DESTINATION_2, &record_destination, &destination_2 },
};

static size_t
octets_of(const char *text, uint8_t *octets)
{
	size_t n = 0;
	unsigned octet;

	for (; sscanf(text, "%2x", &octet) == 1; text += 2)
		octets[n++] = (uint8_t)octet;
	return n;
}

/* Both as they are encoded now: padding does not count. */
static void
assert_same(const struct wire_message *row, const void *a, const void *b)
{
	uint8_t left[2048], right[2048];
	size_t len = wire_encode(row, a, left, sizeof(left));

	assert_true(len > 0);
	assert_int_equal(wire_encode(row, b, right, sizeof(right)), len);
	assert_memory_equal(left, right, len);
}

static union {
	struct message		message;
	struct recipient	recipient;
	struct destination	destination;
} decoded;

static void
old_octets(void **state)
{
	uint8_t octets[2048];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slice value = { (const char *)octets,
		    octets_of(rows[i].octets, octets) };

		memset(&decoded, 0xff, sizeof(decoded));
		assert_true(record_decode(value, rows[i].row, &decoded));
		assert_same(rows[i].row, &decoded, rows[i].record);
	}
}

/* What was added since means "as before". */
static void
what_is_new_is_nothing(void **state)
{
	uint8_t octets[2048];
	size_t len = octets_of(MESSAGE_2, octets);

	(void)state;
	assert_true(record_decode((struct slice){ (char *)octets, len },
	    &record_message, &decoded));
	assert_int_equal(decoded.message.ret, RET_NONE);
	assert_string_equal(decoded.message.envid, "");
	assert_false(decoded.message.ours);
	len = octets_of(RECIPIENT_2, octets);
	assert_true(record_decode((struct slice){ (char *)octets, len },
	    &record_recipient, &decoded));
	assert_int_equal(decoded.recipient.notify, 0);
	assert_string_equal(decoded.recipient.orcpt, "");
	assert_false(decoded.recipient.warned);
}

/* A value that ends elsewhere than a version did is damaged. */
static void
other_lengths(void **state)
{
	uint8_t octets[2048], now[2048];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		size_t old = octets_of(rows[i].octets, octets), len, good = 0;

		memset(&decoded, 0, sizeof(decoded));
		assert_true(record_decode((struct slice){ (char *)octets,
		    old }, rows[i].row, &decoded));
		len = wire_encode(rows[i].row, &decoded, now, sizeof(now));
		assert_true(len > old);
		for (size_t n = 0; n <= len + 1; n++)
			good += record_decode((struct slice){ (char *)now, n },
			    rows[i].row, &decoded);
		/* the present form, and one or two before it */
		assert_int_equal(good, 3);
	}
}

/* A host of an attempt is a D_HOST, which has grown as well. */
static void
old_hosts(void **state)
{
	static struct d_host host;
	uint8_t octets[2048];
	struct slice value = { (const char *)octets,
	    octets_of(HOST_1, octets) };

	(void)state;
	memset(&host, 0xff, sizeof(host));
	assert_true(record_decode(value, record_host(), &host));
	assert_string_equal(host.host, "mx.far.example");
	assert_string_equal(host.sts_id, "20260101");
	assert_string_equal(host.tls_cipher, "TLS_AES_256_GCM_SHA384");
	assert_string_equal(host.rule, "sts-verified");
	assert_string_equal(host.dane, "");
	assert_string_equal(host.policy_error, "");
	assert_false(host.name_given);
	assert_false(host.exempt);
	value.len--;
	assert_false(record_decode(value, record_host(), &host));
}

/* Everything there is now survives. */
static void
the_present_form(void **state)
{
	struct message message = message_2;
	struct recipient recipient = recipient_2;
	uint8_t octets[2048];
	size_t len;

	(void)state;
	message.ret = RET_HDRS;
	message.ours = true;
	memset(message.envid, 'e', ENVID_TEXT_MAX - 1);
	len = wire_encode(&record_message, &message, octets, sizeof(octets));
	assert_true(record_decode((struct slice){ (char *)octets, len },
	    &record_message, &decoded));
	assert_same(&record_message, &decoded, &message);
	recipient.notify = NOTIFY_SUCCESS | NOTIFY_DELAY;
	recipient.warned = true;
	memset(recipient.orcpt, 'o', ORCPT_TEXT_MAX - 1);
	len = wire_encode(&record_recipient, &recipient, octets,
	    sizeof(octets));
	assert_true(record_decode((struct slice){ (char *)octets, len },
	    &record_recipient, &decoded));
	assert_same(&record_recipient, &decoded, &recipient);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "octets of versions 1 and 2 are read", old_octets, NULL,
		    NULL, NULL },
		{ "what they lack is nothing asked for",
		    what_is_new_is_nothing, NULL, NULL, NULL },
		{ "a value of another length is damaged", other_lengths, NULL,
		    NULL, NULL },
		{ "hosts of attempts of version 1 are read", old_hosts, NULL,
		    NULL, NULL },
		{ "DSN requests survive", the_present_form, NULL, NULL,
		    NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
