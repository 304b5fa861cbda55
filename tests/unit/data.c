/*
 * smtpd/data.c: the octets after 354.
 *
 * Rows are run whole, octet by octet, and cut at every place; random input is
 * compared with a second reading of RFC 5321 4.5.2 that looks at one octet at
 * a time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "smtpd/data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define L(literal)	{ literal, sizeof(literal) - 1 }
#define MANY		UINT64_MAX

/* What came of a stream. */
struct outcome {
	struct data	data;
	struct buffer	message;
	size_t		used;		/* octets up to the message's end */
};

static void
feed(struct outcome *outcome, struct slice input)
{
	struct slice run;

	while (input.len > 0 && outcome->data.state != DATA_ENDED) {
		size_t before = input.len;

		data_take(&outcome->data, &input, &run);
		assert_true(input.len < before);
		buffer_add(&outcome->message, run);
		outcome->used += before - input.len;
	}
}

static void
release(struct outcome *outcome)
{
	buffer_free(&outcome->message);
}

/* In blocks of size octets, the first of first. */
static struct outcome
run_blocks(struct slice stream, size_t first, size_t size)
{
	struct outcome outcome = { .used = 0 };
	size_t at = 0, len = first;

	data_begin(&outcome.data);
	while (at < stream.len) {
		if (len > stream.len - at)
			len = stream.len - at;
		feed(&outcome, (struct slice){ stream.at + at, len });
		at += len;
		len = size;
	}
	return outcome;
}

struct row {
	struct slice	stream;
	struct slice	message;	/* when it is not refused */
	size_t		left;		/* octets behind its end */
	bool		ends;
	unsigned	code;		/* 0: taken */
};

static void
check_outcome(const struct row *row, struct outcome *outcome, size_t first)
{
	bool ended = outcome->data.state == DATA_ENDED;
	unsigned code = data_refusal(&outcome->data, MANY).code;

	if (ended != row->ends || code != row->code ||
	    outcome->used != row->stream.len - row->left ||
	    (code == 0 && ended && (outcome->message.len != row->message.len ||
	    memcmp(outcome->message.text != NULL ? outcome->message.text : "",
	    row->message.at, row->message.len) != 0)) ||
	    (code == 0 && outcome->data.size_bytes != outcome->message.len))
		fail_msg("\"%s\" cut at %zu: ended %d, code %u, %zu used, "
		    "\"%.*s\"", row->stream.at, first, ended, code,
		    outcome->used, (int)outcome->message.len,
		    outcome->message.text != NULL ?
		    outcome->message.text : "");
	release(outcome);
}

static void
check_row(const struct row *row)
{
	struct outcome outcome;

	outcome = run_blocks(row->stream, 1, 1);
	check_outcome(row, &outcome, 1);
	for (size_t cut = 0; cut <= row->stream.len; cut++) {
		outcome = run_blocks(row->stream, cut, SIZE_MAX);
		check_outcome(row, &outcome, cut);
	}
}

#define CHECK_ROWS(rows)						\
	for (size_t i = 0; i < sizeof(rows) / sizeof((rows)[0]); i++)	\
		check_row(&(rows)[i])

static void
ends(void **state)
{
	static const struct row rows[] = {
		{ L(".\r\n"), L(""), 0, true, 0 },
		{ L(".\r\nQUIT\r\n"), L(""), 6, true, 0 },
		{ L("\r\n.\r\n"), L("\r\n"), 0, true, 0 },
		{ L("a\r\n.\r\n"), L("a\r\n"), 0, true, 0 },
		{ L("a\r\n.\r\n.\r\n"), L("a\r\n"), 3, true, 0 },
		{ L("a\r\n\r\n.\r\nb"), L("a\r\n\r\n"), 1, true, 0 },
		{ L("a: b\r\n\r\nc\r\n.\r\n"), L("a: b\r\n\r\nc\r\n"), 0, true,
		    0 },
		/* not yet */
		{ L(""), L(""), 0, false, 0 },
		{ L("."), L(""), 0, false, 0 },
		{ L(".\r"), L(""), 0, false, 0 },
		{ L("a"), L(""), 0, false, 0 },
		{ L("a\r"), L(""), 0, false, 0 },
		{ L("a\r\n"), L(""), 0, false, 0 },
		{ L("a\r\n."), L(""), 0, false, 0 },
		{ L("a\r\n.\r"), L(""), 0, false, 0 },
		{ L("a.\r\n"), L(""), 0, false, 0 },
		{ L("a\r\n .\r\n"), L(""), 0, false, 0 },
		{ L("a\r\n. \r\n"), L(""), 0, false, 0 },
		{ L("a\r\n..\r\n"), L(""), 0, false, 0 },
		{ L("a\r\n.a\r\n"), L(""), 0, false, 0 },
	};

	(void)state;
	CHECK_ROWS(rows);
}

static void
dots(void **state)
{
	static const struct row rows[] = {
		{ L("..\r\n.\r\n"), L(".\r\n"), 0, true, 0 },
		{ L("...\r\n.\r\n"), L("..\r\n"), 0, true, 0 },
		{ L(".a\r\n.\r\n"), L("a\r\n"), 0, true, 0 },
		{ L("..a\r\n.\r\n"), L(".a\r\n"), 0, true, 0 },
		{ L("a.\r\n.\r\n"), L("a.\r\n"), 0, true, 0 },
		{ L("a\r\n..\r\nb\r\n.\r\n"), L("a\r\n.\r\nb\r\n"), 0, true,
		    0 },
		{ L("a\r\n..\r\n..\r\n.\r\n"), L("a\r\n.\r\n.\r\n"), 0, true,
		    0 },
		{ L(". \r\n.\r\n"), L(" \r\n"), 0, true, 0 },
		{ L(".\t\r\n.\r\n"), L("\t\r\n"), 0, true, 0 },
		{ L(" .\r\n.\r\n"), L(" .\r\n"), 0, true, 0 },
		{ L("a\r\n.b\r\n.c\r\n.\r\n"), L("a\r\nb\r\nc\r\n"), 0, true,
		    0 },
		{ L("..\xff.\r\n.\r\n"), L(".\xff.\r\n"), 0, true, 0 },
	};

	(void)state;
	CHECK_ROWS(rows);
}

/*
 * Each stream tries to end a message, and to begin commands, where there is
 * no CRLF.CRLF; each is read to its true end and refused.
 */
static void
smuggling(void **state)
{
	static const struct row rows[] = {
		{ L("a\n.\n\r\n.\r\nX"), L(""), 1, true, 550 },
		{ L("a\n.\r\nMAIL FROM:<b@c>\r\n.\r\nX"), L(""), 1, true,
		    550 },
		{ L("a\r\n.\nMAIL FROM:<b@c>\r\n.\r\nX"), L(""), 1, true,
		    550 },
		{ L("a\r.\rMAIL FROM:<b@c>\r\n.\r\nX"), L(""), 1, true, 550 },
		{ L("a\r.\r\nMAIL FROM:<b@c>\r\n.\r\nX"), L(""), 1, true,
		    550 },
		{ L("a\r\n.\rMAIL FROM:<b@c>\r\n.\r\nX"), L(""), 1, true,
		    550 },
		{ L("a\n\n.\n\nMAIL\r\n.\r\nX"), L(""), 1, true, 550 },
		{ L("a\r\r.\r\rMAIL\r\n.\r\nX"), L(""), 1, true, 550 },
		{ L("a\n\r.\n\rMAIL\r\n.\r\nX"), L(""), 1, true, 550 },
		{ L("a\r\r\n.\r\nX"), L(""), 1, true, 550 },
		{ L("a\r\n.\r\r\nMAIL\r\n.\r\nX"), L(""), 1, true, 550 },
		{ L("a\r\n\n.\r\nMAIL\r\n.\r\nX"), L(""), 1, true, 550 },
		{ L("a\r\n\r.\r\nMAIL\r\n.\r\nX"), L(""), 1, true, 550 },
		{ L("a\n\r\n.\r\nX"), L(""), 1, true, 550 },
		{ L("a\r\n.\n\r\n.\r\nX"), L(""), 1, true, 550 },
		{ L(".\n.\r\n.\r\nX"), L(""), 1, true, 550 },
		{ L(".\r.\r\n.\r\nX"), L(""), 1, true, 550 },
		{ L("\n.\r\n.\r\nX"), L(""), 1, true, 550 },
		{ L("\r.\r\n.\r\nX"), L(""), 1, true, 550 },
		{ L("a\0\r\n.\r\nX"), L(""), 1, true, 550 },
		{ L("a\r\n.\0\r\n.\r\nX"), L(""), 1, true, 550 },
		{ L("a\r\0\n.\r\nMAIL\r\n.\r\nX"), L(""), 1, true, 550 },
		{ L("\0\r\n.\r\nX"), L(""), 1, true, 550 },
		{ L("a\r\n.\r\0\n.\r\nX\r\n.\r\nY"), L(""), 1, true, 550 },
		{ L("a\rb\r\n.\r\nX"), L(""), 1, true, 550 },
		{ L("a\nb\r\n.\r\nX"), L(""), 1, true, 550 },
		{ L("\r\r\n.\r\nX"), L(""), 1, true, 550 },
		{ L("\n\r\n.\r\nX"), L(""), 1, true, 550 },
		/* still open: nothing of it is a command */
		{ L("a\n.\nMAIL FROM:<b@c>\n"), L(""), 0, false, 550 },
		{ L("a\r.\rMAIL FROM:<b@c>\r"), L(""), 0, false, 550 },
	};

	(void)state;
	CHECK_ROWS(rows);
}

static struct outcome	by_octets(struct slice stream);

static void
check_same(struct slice stream, size_t first, size_t size)
{
	struct outcome expected = by_octets(stream);
	struct outcome got = run_blocks(stream, first, size);
	bool same = (expected.data.state == DATA_ENDED) ==
	    (got.data.state == DATA_ENDED) && expected.used == got.used &&
	    expected.data.bare == got.data.bare;

	/* What has a lone CR is refused, whatever else it has. */
	if (same && !got.data.bare)
		same = expected.data.eight_bit == got.data.eight_bit &&
		    expected.data.received == got.data.received &&
		    expected.data.long_line == got.data.long_line &&
		    expected.message.len == got.message.len &&
		    (got.message.len == 0 || memcmp(expected.message.text,
		    got.message.text, got.message.len) == 0);
	if (!same) {
		for (size_t i = 0; i < stream.len; i++)
			printf("# %02x", (unsigned char)stream.at[i]);
		fail_msg("two readings differ, cut at %zu", first);
	}
	release(&expected);
	release(&got);
}

/* The second reading. */
static struct outcome
by_octets(struct slice stream)
{
	struct outcome outcome = { .used = 0 };
	struct data *data = &outcome.data;
	struct buffer line = { NULL, 0, 0 };
	bool header = true, start = true, dot = false, cr = false;
	char c;

	data_begin(data);
	while (outcome.used < stream.len && data->state != DATA_ENDED) {
		c = stream.at[outcome.used++];
		if (start && c == '.') {
			dot = true;
			start = false;
			continue;
		}
		start = false;
		if (c == '\0' || (cr && c != '\n') || (c == '\n' && !cr))
			data->bare = true;
		if ((unsigned char)c > 127)
			data->eight_bit = true;
		if (cr && c == '\n') {
			if (dot && line.len == 0) {
				data->state = DATA_ENDED;
				break;
			}
			buffer_add(&outcome.message,
			    (struct slice){ line.text, line.len });
			buffer_add(&outcome.message, SLICE("\r\n"));
			if (header && line.len == 0 && !dot)
				header = false;
			if (header && line.len >= 9 &&
			    slice_begins_nocase((struct slice){ line.text,
			    line.len }, SLICE("Received:")))
				data->received++;
			buffer_free(&line);
			start = true;
			dot = cr = false;
			continue;
		}
		if (cr)
			buffer_add(&line, SLICE("\r"));
		cr = c == '\r';
		if (!cr)
			buffer_add(&line, (struct slice){ &c, 1 });
		if (line.len > DATA_LINE_MAX)
			data->long_line = true;
	}
	if (data->state != DATA_ENDED) {
		buffer_add(&outcome.message,
		    (struct slice){ line.text, line.len });
		if (cr && !(dot && line.len == 0))
			buffer_add(&outcome.message, SLICE("\r"));
	}
	buffer_free(&line);
	return outcome;
}

/* All streams of at most 7 of these four, 4 + ... + 4^7. */
static void
all_short_streams(void **state)
{
	static const char alphabet[] = "\r\n.a";
	char text[8];

	(void)state;
	for (size_t len = 1; len <= 7; len++)
		for (unsigned n = 0; n < 1u << 2 * len; n++) {
			for (size_t i = 0; i < len; i++)
				text[i] = alphabet[n >> 2 * i & 3];
			check_same((struct slice){ text, len }, len, 1);
			check_same((struct slice){ text, len }, 1, 1);
			check_same((struct slice){ text, len }, len / 2, 99);
		}
}

static void
random_streams(void **state)
{
	static const char *const pieces[] = {
		"\r\n", "\r\n", "\r\n", ".", "..", "\r", "\n", "a",
		"some longer text without anything in it, forty and more",
		"Received: x", "received: y", "\xc3\xbc", "\r\n.\r\n",
		"\r\n\r\n", " ", "Message-ID: <1@b>", ":",
	};
	struct buffer stream;
	const char *piece;

	(void)state;
	srand(2);
	for (int i = 0; i < 20000; i++) {
		stream = (struct buffer){ NULL, 0, 0 };
		for (int n = rand() % 30; n >= 0; n--) {
			piece = pieces[(size_t)rand() %
			    (sizeof(pieces) / sizeof(pieces[0]))];
			buffer_add(&stream, slice_of(piece));
			if (rand() % 100 == 0)
				buffer_add(&stream, SLICE("\0"));
		}
		check_same((struct slice){ stream.text, stream.len },
		    (size_t)rand() % (stream.len + 1),
		    1 + (size_t)rand() % 64);
		buffer_free(&stream);
	}
}

static struct outcome
one_line(size_t len, size_t block)
{
	struct buffer stream = { NULL, 0, 0 };
	struct outcome outcome;

	for (size_t i = 0; i < len; i++)
		buffer_add(&stream, SLICE("x"));
	buffer_add(&stream, SLICE("\r\n.\r\n"));
	outcome = run_blocks((struct slice){ stream.text, stream.len }, block,
	    block);
	buffer_free(&stream);
	return outcome;
}

static void
line_lengths(void **state)
{
	static const size_t lengths[] = {
		998, 999, 1000, 2500, 65535, 65536, 65537, 70000, 1 << 20
	};
	static const size_t blocks[] = { SIZE_MAX, 65536, 1000, 777 };
	struct outcome outcome;
	struct answer answer;

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		for (size_t j = 0; j < 4; j++) {
			outcome = one_line(lengths[i], blocks[j]);
			assert_int_equal(outcome.data.state, DATA_ENDED);
			answer = data_refusal(&outcome.data, MANY);
			if (lengths[i] <= 65536) {
				assert_int_equal(answer.code, 0);
				assert_int_equal(outcome.message.len,
				    lengths[i] + 2);
			} else {
				assert_int_equal(answer.code, 550);
				assert_memory_equal(answer.text, "5.6.0", 5);
			}
			release(&outcome);
		}
}

/* Two lines of 40,000 octets are two lines. */
static void
line_count_begins_anew(void **state)
{
	struct buffer stream = { NULL, 0, 0 };
	struct outcome outcome;

	(void)state;
	for (int line = 0; line < 2; line++) {
		for (int i = 0; i < 40000; i++)
			buffer_add(&stream, SLICE("x"));
		buffer_add(&stream, SLICE("\r\n"));
	}
	buffer_add(&stream, SLICE(".\r\n"));
	outcome = run_blocks((struct slice){ stream.text, stream.len }, 7,
	    1234);
	assert_int_equal(data_refusal(&outcome.data, MANY).code, 0);
	release(&outcome);
	buffer_free(&stream);
}

static void
sizes(void **state)
{
	static const struct {
		struct slice	stream;
		uint64_t	size;
	} rows[] = {
		{ L(".\r\n"), 0 },
		{ L("\r\n.\r\n"), 2 },
		{ L("abc\r\n.\r\n"), 5 },
		{ L("..\r\n.\r\n"), 3 },
		{ L("a: b\r\n\r\n..c\r\n.\r\n"), 12 },
	};
	struct outcome outcome;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		outcome = run_blocks(rows[i].stream, 1, 1);
		assert_true(outcome.data.size_bytes == rows[i].size);
		assert_int_equal(data_refusal(&outcome.data,
		    rows[i].size).code, 0);
		if (rows[i].size > 0)
			assert_int_equal(data_refusal(&outcome.data,
			    rows[i].size - 1).code, 552);
		release(&outcome);
	}
}

static struct outcome
received(unsigned n, const char *field)
{
	struct buffer stream = { NULL, 0, 0 };
	struct outcome outcome;

	for (unsigned i = 0; i < n; i++)
		buffer_printf(&stream, "%s\r\n", field);
	buffer_add(&stream, SLICE("\r\nReceived: in the body\r\n.\r\n"));
	outcome = run_blocks((struct slice){ stream.text, stream.len }, 13,
	    29);
	buffer_free(&stream);
	return outcome;
}

static void
received_fields(void **state)
{
	static const struct {
		const char	*field;
		unsigned	 each;
	} rows[] = {
		{ "Received: x", 1 }, { "RECEIVED:x", 1 },
		{ "received : x", 1 }, { "Received\t: x", 1 },
		{ "Received: x\r\n\tby y; Received: z", 1 },
		{ " Received: x", 0 }, { "X-Received: x", 0 },
		{ "Received", 0 }, { "Receive: x", 0 },
		{ "Received-SPF: x", 0 },
		{ "no field at all\r\nReceived: x", 1 },
	};
	struct outcome outcome;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (unsigned n = 99; n <= 101; n++) {
			outcome = received(n, rows[i].field);
			assert_int_equal(outcome.data.received,
			    rows[i].each * n);
			assert_int_equal(data_refusal(&outcome.data,
			    MANY).code, rows[i].each * n > 100 ? 554 : 0);
			release(&outcome);
		}
}

static void
message_ids(void **state)
{
	static const struct {
		struct slice	 stream;
		const char	*msgid;
	} rows[] = {
		{ L("Message-ID: <1@b>\r\n\r\n.\r\n"), "<1@b>" },
		{ L("message-id:<1@b>\r\n\r\n.\r\n"), "<1@b>" },
		{ L("Message-Id : \t<1@b> \r\n\r\n.\r\n"), "<1@b>" },
		{ L("Message-ID:\r\n <1@b>\r\n\r\n.\r\n"), "<1@b>" },
		{ L("Message-ID: \r\n\t<1@b>\r\nX: y\r\n\r\n.\r\n"), "<1@b>" },
		{ L("Message-ID:\r\nX: y\r\n <2@b>\r\n\r\n.\r\n"), "" },
		{ L("Message-ID: <1@b>\r\nMessage-ID: <2@b>\r\n\r\n.\r\n"),
		    "<1@b>" },
		{ L("Message-ID: <1@b>\r\n <2@b>\r\n\r\n.\r\n"), "<1@b>" },
		{ L("A: b\r\nMessage-ID: <1@b>\r\n\r\n.\r\n"), "<1@b>" },
		{ L("A: b\r\n\r\nMessage-ID: <1@b>\r\n.\r\n"), "" },
		{ L("X-Message-ID: <1@b>\r\n\r\n.\r\n"), "" },
		{ L("..Message-ID: <1@b>\r\n\r\n.\r\n"), "" },
		{ L(".Message-ID: <1@b>\r\n\r\n.\r\n"), "<1@b>" },
		{ L(".\r\n"), "" },
	};
	struct outcome outcome;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t block = 1; block < 40; block++) {
			outcome = run_blocks(rows[i].stream, block, block);
			assert_string_equal(outcome.data.msgid,
			    rows[i].msgid);
			release(&outcome);
		}
}

static void
long_message_id(void **state)
{
	struct buffer stream = { NULL, 0, 0 };
	struct outcome outcome;

	(void)state;
	buffer_add(&stream, SLICE("Message-ID: <"));
	for (int i = 0; i < 5000; i++)
		buffer_add(&stream, SLICE("m"));
	buffer_add(&stream, SLICE(">\r\n\r\n.\r\n"));
	outcome = run_blocks((struct slice){ stream.text, stream.len }, 100,
	    100);
	assert_int_equal(strlen(outcome.data.msgid), 255);
	assert_memory_equal(outcome.data.msgid, "<mmm", 4);
	assert_int_equal(outcome.message.len, stream.len - 3);
	release(&outcome);
	buffer_free(&stream);
}

/* Every octet but NUL, in every place of a word, comes through. */
static void
all_octets(void **state)
{
	struct outcome outcome;
	char stream[64];
	size_t len;

	(void)state;
	for (int c = 1; c < 256; c++)
		for (size_t before = 0; before < 17; before++) {
			if (c == '\r' || c == '\n')
				continue;
			memset(stream, 'x', before + 1);
			stream[before + 1] = (char)c;
			len = before + 2;
			memcpy(stream + len, "yz\r\n.\r\n", 7);
			outcome = run_blocks((struct slice){ stream, len + 7 },
			    before + 1, SIZE_MAX);
			assert_int_equal(data_refusal(&outcome.data,
			    MANY).code, 0);
			assert_int_equal(outcome.message.len, len + 4);
			assert_memory_equal(outcome.message.text, stream,
			    len + 4);
			assert_int_equal(outcome.data.eight_bit, c > 127);
			release(&outcome);
		}
}

/* Several things wrong: the one that decides, in this order. */
static void
refusals(void **state)
{
	static const struct {
		struct data	 data;
		uint64_t	 max;
		unsigned	 code;
		const char	*enhanced;
	} rows[] = {
		{ { .size_bytes = 5 }, 5, 0, NULL },
		{ { .size_bytes = 6 }, 5, 552, "5.3.4" },
		{ { .received = 100 }, 5, 0, NULL },
		{ { .received = 101 }, 5, 554, "5.4.6" },
		{ { .long_line = true }, 5, 550, "5.6.0" },
		{ { .bare = true }, 5, 550, "5.5.2" },
		{ { .bare = true, .long_line = true, .size_bytes = 9 }, 5,
		    550, "5.5.2" },
		{ { .long_line = true, .size_bytes = 9 }, 5, 550, "5.6.0" },
		{ { .received = 200, .size_bytes = 9 }, 5, 554, "5.4.6" },
	};
	struct answer answer;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		answer = data_refusal(&rows[i].data, rows[i].max);
		assert_int_equal(answer.code, rows[i].code);
		if (rows[i].enhanced != NULL)
			assert_memory_equal(answer.text, rows[i].enhanced, 5);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "SMTP-4.1.1.4-1, SMTP-D-1 the end of the message", ends,
		    NULL, NULL, NULL },
		{ "SMTP-4.5.2-2 dots are un-stuffed", dots, NULL, NULL, NULL },
		{ "SMTP-2.3.8-1 only CRLF.CRLF ends a message", smuggling,
		    NULL, NULL, NULL },
		{ "SMTP-2.3.8-1, SMTP-4.5.2-3 all streams of 7 of CR LF . a",
		    all_short_streams, NULL, NULL, NULL },
		{ "SMTP-4.5.2-3, EXT-2920-3.2-6 random streams, cut anywhere",
		    random_streams, NULL, NULL, NULL },
		{ "SMTP-4.5.3.1.6-1 lines up to 64 KiB", line_lengths,
		    NULL, NULL, NULL },
		{ "SMTP-4.5.3.1.6-1 each line counts for itself",
		    line_count_begins_anew, NULL, NULL, NULL },
		{ "EXT-1870-5-1 what counts as size", sizes,
		    NULL, NULL, NULL },
		{ "SMTP-6.3-1, SMTP-6.3-2 more than 100 Received are a loop",
		    received_fields, NULL, NULL, NULL },
		{ "the Message-ID for the log", message_ids,
		    NULL, NULL, NULL },
		{ "a long Message-ID is cut in the log alone",
		    long_message_id, NULL, NULL, NULL },
		{ "EXT-6152-3-1, SMTP-3.6.3-5 every octet comes through",
		    all_octets, NULL, NULL, NULL },
		{ "SMTP-4.5.3.1.9-1 which refusal decides", refusals,
		    NULL, NULL, NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
