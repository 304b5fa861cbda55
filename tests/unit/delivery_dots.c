/*
 * Messages on the wire (delivery/dots.c): dots, line ends, the end.
 *
 * Each row is fed in every possible pair of pieces.  What leaves is checked
 * by a reader of our own that knows nothing but RFC 5321 4.5.2 and 2.3.8, and
 * must give the message back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conf/mem.h"
#include "delivery/dots.h"

#include <stdlib.h>
#include <string.h>

#define N(array)	(sizeof(array) / sizeof((array)[0]))

struct row {
	const char	*message;
	const char	*wire;		/* with its final dot */
};
struct group {
	const struct row	*rows;
	size_t			 n;
};

static void
send_piece(struct dots *dots, struct buffer *out, const char *at, size_t len)
{
	uint8_t *room = malloc(DOTS_ROOM(len));
	size_t n;

	n = dots_stuff(dots, (const uint8_t *)at, len, room);
	assert_true(n <= DOTS_ROOM(len));
	buffer_add(out, (struct slice){ (char *)room, n });
	free(room);
}

static void
send_in_two(const char *message, size_t len, size_t cut, struct buffer *out)
{
	struct dots dots = { 0 };

	send_piece(&dots, out, message, cut);
	send_piece(&dots, out, message + cut, len - cut);
	buffer_add(out, slice_of(dots_end(&dots)));
}

/* The receiving end: dots removed; fails for anything that is not SMTP. */
static void
receive(struct slice wire, struct buffer *message)
{
	const char *end;
	size_t len;

	for (;;) {
		end = memchr(wire.at, '\n', wire.len);
		assert_non_null(end);
		len = (size_t)(end - wire.at);
		assert_true(len > 0 && end[-1] == '\r');
		/* SMTP-2.3.8-2: CR nowhere else */
		assert_null(memchr(wire.at, '\r', len - 1));
		if (len == 2 && wire.at[0] == '.')
			break;
		if (wire.at[0] == '.')
			buffer_add(message, (struct slice){ wire.at + 1,
			    len });
		else
			buffer_add(message, (struct slice){ wire.at,
			    len + 1 });
		wire.at += len + 1;
		wire.len -= len + 1;
	}
	/* Nothing behind the final dot. */
	assert_int_equal(wire.len, 3);
}

static void
test_rows(void **state)
{
	const struct group *group = *state;
	struct buffer out, back;
	size_t i, cut, len;

	for (i = 0; i < group->n; i++) {
		len = strlen(group->rows[i].message);
		for (cut = 0; cut <= len; cut++) {
			out = back = (struct buffer){ NULL, 0, 0 };
			send_in_two(group->rows[i].message, len, cut, &out);
			assert_string_equal(out.text, group->rows[i].wire);
			receive((struct slice){ out.text, out.len }, &back);
			buffer_free(&out);
			buffer_free(&back);
		}
	}
}

static const struct row dots[] = {
	{ ".\r\n", "..\r\n.\r\n" },
	{ "..\r\n", "...\r\n.\r\n" },
	{ ".x\r\n", "..x\r\n.\r\n" },
	{ "x.\r\n", "x.\r\n.\r\n" },
	{ "x\r\n.\r\ny\r\n", "x\r\n..\r\ny\r\n.\r\n" },
	{ "x\r\n..\r\ny\r\n", "x\r\n...\r\ny\r\n.\r\n" },
	{ "\r\n.\r\n", "\r\n..\r\n.\r\n" },
	{ ".\r\n.\r\n.\r\n", "..\r\n..\r\n..\r\n.\r\n" },
	{ "a.b\r\n .c\r\n", "a.b\r\n .c\r\n.\r\n" },
	{ ".", "..\r\n.\r\n" },
	{ "x\r\n.", "x\r\n..\r\n.\r\n" },
};

static const struct row ends[] = {
	{ "", ".\r\n" },
	{ "x\r\n", "x\r\n.\r\n" },
	{ "x", "x\r\n.\r\n" },
	{ "\r\n", "\r\n.\r\n" },
	{ "\r\n\r\n", "\r\n\r\n.\r\n" },
	{ "x\r\n\r\n", "x\r\n\r\n.\r\n" },
	{ "x\r\n\r\n\r\n", "x\r\n\r\n\r\n.\r\n" },
	{ "a: b\r\n\r\nbody\r\n", "a: b\r\n\r\nbody\r\n.\r\n" },
	{ "a: b\r\n\r\nbody", "a: b\r\n\r\nbody\r\n.\r\n" },
};

/* SMTP-2.3.8-2: what the queue never holds leaves mended all the same. */
static const struct row bare[] = {
	{ "a\nb\r\n", "a\r\nb\r\n.\r\n" },
	{ "a\rb\r\n", "a\r\nb\r\n.\r\n" },
	{ "\n", "\r\n.\r\n" },
	{ "\r", "\r\n.\r\n" },
	{ "\r\r\n", "\r\n\r\n.\r\n" },
	{ "\n\r", "\r\n\r\n.\r\n" },
	{ "\n\n", "\r\n\r\n.\r\n" },
	{ "\r\r", "\r\n\r\n.\r\n" },
	{ "a\r\n.\nb\r\n", "a\r\n..\r\nb\r\n.\r\n" },
	{ "a\n.\r\nb\r\n", "a\r\n..\r\nb\r\n.\r\n" },
	{ "a\n.\nb\n", "a\r\n..\r\nb\r\n.\r\n" },
	{ "a\r.\rb\r", "a\r\n..\r\nb\r\n.\r\n" },
	{ "a\r\n.\r\r\nRCPT\r\n", "a\r\n..\r\n\r\nRCPT\r\n.\r\n" },
	{ "a\r", "a\r\n.\r\n" },
	{ "a\n", "a\r\n.\r\n" },
};

/* Every string of up to 6 of these, in two pieces at every place. */
static void
test_all_short(void **state)
{
	static const char octets[] = "\r\n.x";
	unsigned long count = 1, n, rest;
	struct buffer out, back;
	char text[7];
	size_t len, i, cut;

	(void)state;
	for (len = 0; len <= 6; len++, count *= 4) {
		for (n = 0; n < count; n++) {
			for (i = 0, rest = n; i < len; i++, rest /= 4)
				text[i] = octets[rest % 4];
			for (cut = 0; cut <= len; cut++) {
				out = back = (struct buffer){ NULL, 0, 0 };
				send_in_two(text, len, cut, &out);
				receive((struct slice){ out.text, out.len },
				    &back);
				buffer_free(&out);
				buffer_free(&back);
			}
		}
	}
}

/* A message with CRLF line ends arrives as it was, octet for octet. */
static void
test_round_trip(void **state)
{
	struct buffer message = { NULL, 0, 0 }, out, back;
	unsigned seed = 1, i;
	char octet;
	size_t cut;

	(void)state;
	for (i = 0; i < 20000; i++) {
		seed = seed * 1103515245 + 12345;
		octet = (char)(seed >> 16);
		if (octet == '\r' || octet == '\n' || (seed >> 24) % 9 == 0)
			buffer_add(&message, (seed >> 28) % 3 == 0 ?
			    SLICE("\r\n.") : SLICE("\r\n"));
		else
			buffer_add(&message, (struct slice){ &octet, 1 });
	}
	buffer_add(&message, SLICE("\r\n"));
	for (cut = 0; cut <= message.len; cut += 997) {
		out = back = (struct buffer){ NULL, 0, 0 };
		send_in_two(message.text, message.len, cut, &out);
		receive((struct slice){ out.text, out.len }, &back);
		assert_int_equal(back.len, message.len);
		assert_memory_equal(back.text, message.text, back.len);
		buffer_free(&out);
		buffer_free(&back);
	}
	buffer_free(&message);
}

#define ROWS(name, rows)						\
	{ name, test_rows, NULL, NULL,					\
	  (void *)&(struct group){ (rows), N(rows) } }
#define TEST(name, function)	{ name, function, NULL, NULL, NULL }

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROWS("SMTP-4.5.2-1 dots at the beginning of a line", dots),
		ROWS("SMTP-4.1.1.4-3 no line end is added but a missing one",
		    ends),
		ROWS("SMTP-2.3.8-2 bare CR and LF do not leave", bare),
		TEST("SMTP-2.3.8-2, SMTP-4.5.2-1 all strings of six octets",
		    test_all_short),
		TEST("SMTP-4.5.2-1 a long message arrives as it was",
		    test_round_trip),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
