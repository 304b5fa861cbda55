/*
 * SMTP replies as servers send them (delivery/reply.c).
 *
 * A row is what comes, and what must be understood.  Every row is fed three
 * times: at once, octet by octet, and with a second reply behind it that must
 * stay untouched.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "delivery/reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N(array)	(sizeof(array) / sizeof((array)[0]))

struct row {
	const char		*octets;
	enum reply_state	 state;
	unsigned		 code;
	unsigned		 lines;
	const char		*status;	/* as reply_status prints it */
	const char		*text;		/* NULL: not compared */
};
struct group {
	const struct row	*rows;
	size_t			 n;
};

static void
assert_row(const struct row *row, const struct reply *reply,
    enum reply_state state)
{
	char status[REPLY_STATUS_MAX];

	reply_status(reply, status, sizeof(status));
	if (state != row->state || reply->code != row->code ||
	    reply->lines != row->lines || strcmp(status, row->status) != 0) {
		print_error("[%s]: state %d, code %u, %u lines, status %s\n",
		    row->octets, state, reply->code, reply->lines, status);
		fail();
	}
	if (row->text != NULL)
		assert_string_equal(reply->text, row->text);
}

static void
feed_at_once(const struct row *row)
{
	struct reply_parser parser;
	struct reply reply;
	size_t used;

	reply_begin(&parser, &reply, NULL, NULL);
	assert_row(row, &reply, reply_feed(&parser, row->octets,
	    strlen(row->octets), &used));
	if (row->state == REPLY_MORE)
		assert_int_equal(used, strlen(row->octets));
}

static void
feed_one_by_one(const struct row *row)
{
	enum reply_state state = REPLY_MORE;
	struct reply_parser parser;
	struct reply reply;
	const char *at;
	size_t used;

	reply_begin(&parser, &reply, NULL, NULL);
	for (at = row->octets; *at != '\0' && state == REPLY_MORE; at++)
		state = reply_feed(&parser, at, 1, &used);
	assert_row(row, &reply, state);
}

/* EXT-2920-3.1-5: the answer to the next command is not of this one. */
static void
feed_with_another(const struct row *row)
{
	struct reply_parser parser;
	struct reply reply;
	char octets[4096];
	size_t used;

	if (row->state != REPLY_WHOLE)
		return;
	snprintf(octets, sizeof(octets), "%s399 next\r\n", row->octets);
	reply_begin(&parser, &reply, NULL, NULL);
	assert_row(row, &reply, reply_feed(&parser, octets, strlen(octets),
	    &used));
	assert_int_equal(used, strlen(row->octets));
	reply_begin(&parser, &reply, NULL, NULL);
	assert_int_equal(reply_feed(&parser, octets + used,
	    strlen(octets) - used, &used), REPLY_WHOLE);
	assert_int_equal(reply.code, 399);
}

static void
test_rows(void **state)
{
	const struct group *group = *state;
	size_t i;

	for (i = 0; i < group->n; i++) {
		feed_at_once(&group->rows[i]);
		feed_one_by_one(&group->rows[i]);
		feed_with_another(&group->rows[i]);
	}
}

#define MORE	REPLY_MORE
#define WHOLE	REPLY_WHOLE
#define BAD	REPLY_VIOLATION

static const struct row single[] = {
	{ "250 ok\r\n", WHOLE, 250, 1, "2.0.0", "250 ok" },
	{ "220 mx.example.org ESMTP\r\n", WHOLE, 220, 1, "2.0.0",
	  "220 mx.example.org ESMTP" },
	{ "354 go ahead\r\n", WHOLE, 354, 1, "", "354 go ahead" },
	{ "421 closing\r\n", WHOLE, 421, 1, "4.0.0", "421 closing" },
	{ "550 no\r\n", WHOLE, 550, 1, "5.0.0", "550 no" },
	{ "250 ok\n", WHOLE, 250, 1, "2.0.0", "250 ok" },
	{ "250 a\rb\r\n", WHOLE, 250, 1, "2.0.0", "250 a\rb" },
	{ "250  two blanks \r\n", WHOLE, 250, 1, "2.0.0",
	  "250  two blanks " },
	{ "250 \xff\xfe\x01\r\n", WHOLE, 250, 1, "2.0.0",
	  "250 \xff\xfe\x01" },
	{ "250 \"quoted\" \\ \r\n", WHOLE, 250, 1, "2.0.0",
	  "250 \"quoted\" \\ " },
};

static const struct row bare[] = {
	{ "250\r\n", WHOLE, 250, 1, "2.0.0", "250" },
	{ "250 \r\n", WHOLE, 250, 1, "2.0.0", "250 " },
	{ "250\n", WHOLE, 250, 1, "2.0.0", "250" },
	{ "250-\r\n250\r\n", WHOLE, 250, 2, "2.0.0", "250-\n250" },
	{ "250-\r\n250-\r\n250 \r\n", WHOLE, 250, 3, "2.0.0",
	  "250-\n250-\n250 " },
	{ "550\r\n", WHOLE, 550, 1, "5.0.0", "550" },
};

static const struct row several[] = {
	{ "250-a\r\n250 b\r\n", WHOLE, 250, 2, "2.0.0", "250-a\n250 b" },
	{ "250-a\r\n250-b\r\n250 c\r\n", WHOLE, 250, 3, "2.0.0",
	  "250-a\n250-b\n250 c" },
	{ "550-5.1.1 a\r\n550 5.1.1 b\r\n", WHOLE, 550, 2, "5.1.1", NULL },
	{ "250-a\n250 b\n", WHOLE, 250, 2, "2.0.0", NULL },
	{ "250-a\r\n250-b\r\n", MORE, 250, 2, "2.0.0", NULL },
	{ "250-a\r\n25", MORE, 250, 1, "2.0.0", NULL },
	{ "250", MORE, 0, 0, "", "" },
	{ "250 ok", MORE, 0, 0, "", "" },
	{ "250 ok\r", MORE, 0, 0, "", "" },
	{ "", MORE, 0, 0, "", "" },
};

static const struct row disagreeing[] = {
	{ "250-a\r\n550 b\r\n", BAD, 0, 1, "", "250-a\n550 b" },
	{ "550-a\r\n250 b\r\n", BAD, 0, 1, "", NULL },
	{ "250-a\r\n251 b\r\n", BAD, 0, 1, "", NULL },
	{ "250-a\r\n250-b\r\n450 c\r\n", BAD, 0, 2, "", NULL },
	{ "250-a\r\n\r\n", BAD, 0, 1, "", NULL },
	{ "250-a\r\nhello\r\n", BAD, 0, 1, "", NULL },
	{ "354-a\r\n250 b\r\n", BAD, 0, 1, "", NULL },
	{ "250-2.1.5 a\r\n550 2.1.5 b\r\n", BAD, 0, 1, "", NULL },
};

static const struct row no_replies[] = {
	{ "150 x\r\n", BAD, 0, 0, "", "150 x" },
	{ "650 x\r\n", BAD, 0, 0, "", "650 x" },
	{ "050 x\r\n", BAD, 0, 0, "", NULL },
	{ "950 x\r\n", BAD, 0, 0, "", NULL },
	{ "abc\r\n", BAD, 0, 0, "", "abc" },
	{ "\r\n", BAD, 0, 0, "", "" },
	{ "\n", BAD, 0, 0, "", "" },
	{ "2\r\n", BAD, 0, 0, "", NULL },
	{ "25\r\n", BAD, 0, 0, "", NULL },
	{ "25 x\r\n", BAD, 0, 0, "", NULL },
	{ "2a0 x\r\n", BAD, 0, 0, "", NULL },
	{ "25a x\r\n", BAD, 0, 0, "", NULL },
	{ "2500 x\r\n", BAD, 0, 0, "", NULL },
	{ "250x\r\n", BAD, 0, 0, "", NULL },
	{ "250\tx\r\n", BAD, 0, 0, "", NULL },
	{ "250_x\r\n", BAD, 0, 0, "", NULL },
	{ " 250 x\r\n", BAD, 0, 0, "", NULL },
	{ "-250 x\r\n", BAD, 0, 0, "", NULL },
	{ "HTTP/1.1 400 Bad Request\r\n", BAD, 0, 0, "", NULL },
	{ "SSH-2.0-OpenSSH\r\n", BAD, 0, 0, "", NULL },
	{ "+OK POP3\r\n", BAD, 0, 0, "", NULL },
	{ "* OK IMAP4\r\n", BAD, 0, 0, "", NULL },
};

/* EXT-2034-4-5 */
static const struct row statuses[] = {
	{ "250 2.1.5 ok\r\n", WHOLE, 250, 1, "2.1.5", NULL },
	{ "250 2.1.5\r\n", WHOLE, 250, 1, "2.1.5", NULL },
	{ "450 4.2.0 later\r\n", WHOLE, 450, 1, "4.2.0", NULL },
	{ "550 5.1.1 no\r\n", WHOLE, 550, 1, "5.1.1", NULL },
	{ "550 5.7.999 no\r\n", WHOLE, 550, 1, "5.7.999", NULL },
	{ "550 5.123.123 no\r\n", WHOLE, 550, 1, "5.123.123", NULL },
	/* another class is not believed */
	{ "550 2.1.5 x\r\n", WHOLE, 550, 1, "5.0.0", NULL },
	{ "250 5.1.1 no such user\r\n", WHOLE, 250, 1, "2.0.0", NULL },
	{ "450 5.1.1 x\r\n", WHOLE, 450, 1, "4.0.0", NULL },
	{ "550 4.2.2 x\r\n", WHOLE, 550, 1, "5.0.0", NULL },
	{ "250 4.2.2 x\r\n", WHOLE, 250, 1, "2.0.0", NULL },
	{ "354 3.0.0 x\r\n", WHOLE, 354, 1, "", NULL },
	{ "354 2.0.0 x\r\n", WHOLE, 354, 1, "", NULL },
	/* no status at all */
	{ "550 5.1 x\r\n", WHOLE, 550, 1, "5.0.0", NULL },
	{ "550 5.1.\r\n", WHOLE, 550, 1, "5.0.0", NULL },
	{ "550 5..1 x\r\n", WHOLE, 550, 1, "5.0.0", NULL },
	{ "550 5.1.1.1 x\r\n", WHOLE, 550, 1, "5.0.0", NULL },
	{ "550 5.1.1x\r\n", WHOLE, 550, 1, "5.0.0", NULL },
	{ "550 5.1.1: x\r\n", WHOLE, 550, 1, "5.0.0", NULL },
	{ "550 5.1234.1 x\r\n", WHOLE, 550, 1, "5.0.0", NULL },
	{ "550 5.1.1234 x\r\n", WHOLE, 550, 1, "5.0.0", NULL },
	{ "550 5.01.1 x\r\n", WHOLE, 550, 1, "5.0.0", NULL },
	{ "550 5.1.01 x\r\n", WHOLE, 550, 1, "5.0.0", NULL },
	{ "550  5.1.1 x\r\n", WHOLE, 550, 1, "5.0.0", NULL },
	{ "550 x 5.1.1\r\n", WHOLE, 550, 1, "5.0.0", NULL },
	{ "550 55.1.1 x\r\n", WHOLE, 550, 1, "5.0.0", NULL },
	{ "550 5,1,1 x\r\n", WHOLE, 550, 1, "5.0.0", NULL },
	/* of several lines the first says it */
	{ "550-5.1.1 x\r\n550 5.2.2 y\r\n", WHOLE, 550, 2, "5.1.1", NULL },
	{ "550-x\r\n550 5.2.2 y\r\n", WHOLE, 550, 2, "5.0.0", NULL },
};

/* SMTP-4.2-4: all that is a code is one, and its first digit decides. */
static void
test_all_codes(void **state)
{
	struct reply_parser parser;
	struct reply reply;
	char octets[16];
	unsigned code;
	size_t used;

	(void)state;
	for (code = 0; code < 1000; code++) {
		snprintf(octets, sizeof(octets), "%03u x\r\n", code);
		reply_begin(&parser, &reply, NULL, NULL);
		if (code < 200 || code > 599) {
			assert_int_equal(reply_feed(&parser, octets, 7,
			    &used), REPLY_VIOLATION);
			assert_int_equal(reply_class(&reply), 0);
		} else {
			assert_int_equal(reply_feed(&parser, octets, 7,
			    &used), REPLY_WHOLE);
			assert_int_equal(reply.code, code);
			assert_int_equal(reply_class(&reply), code / 100);
		}
	}
}

/* SMTP-4.5.3.1.5-1 */
static void
test_long_line(void **state)
{
	static const size_t lengths[] = { 507, 508, 509, 994, 995, 996, 997,
	    998, 999, 1000, 1001, 2046, 2047, 2048, 65536, 100 * 1024 };
	struct reply_parser parser;
	struct reply reply;
	char *octets;
	size_t i, len, used;

	(void)state;
	for (i = 0; i < N(lengths); i++) {
		len = lengths[i] + 6;
		octets = malloc(len);
		memset(octets, 'x', len);
		memcpy(octets, "550 ", 4);
		memcpy(octets + len - 2, "\r\n", 2);
		reply_begin(&parser, &reply, NULL, NULL);
		assert_int_equal(reply_feed(&parser, octets, len, &used),
		    REPLY_WHOLE);
		assert_int_equal(used, len);
		assert_int_equal(reply.code, 550);
		assert_true(strlen(reply.text) <= REPLY_LINE_MAX);
		assert_true(strlen(reply.text) >= (lengths[i] < 512 ?
		    lengths[i] : 512));
		free(octets);
	}
}

/* Trap T50: much text is cut, its end still counts. */
static void
test_many_lines(void **state)
{
	static const unsigned counts[] = { 100, 1000, 5000 };
	struct reply_parser parser;
	struct reply reply;
	unsigned i, n;
	size_t used;

	(void)state;
	for (i = 0; i < N(counts); i++) {
		reply_begin(&parser, &reply, NULL, NULL);
		for (n = 1; n < counts[i]; n++)
			assert_int_equal(reply_feed(&parser,
			    "250-a line of a reply\r\n", 23, &used),
			    REPLY_MORE);
		assert_int_equal(reply_feed(&parser, "250 end\r\n", 9, &used),
		    REPLY_WHOLE);
		assert_int_equal(reply.lines, counts[i]);
		assert_true(strlen(reply.text) < REPLY_TEXT_MAX);
	}
}

static void
test_too_much(void **state)
{
	struct reply_parser parser;
	struct reply reply;
	enum reply_state end = REPLY_MORE;
	char block[4096];
	size_t used, total = 0;

	(void)state;
	/* One line without end. */
	memset(block, 'x', sizeof(block));
	memcpy(block, "250 ", 4);
	reply_begin(&parser, &reply, NULL, NULL);
	while (end == REPLY_MORE && total < 2 * REPLY_OCTETS_MAX) {
		end = reply_feed(&parser, block, sizeof(block), &used);
		total += used;
	}
	assert_int_equal(end, REPLY_VIOLATION);
	assert_int_equal(reply.code, 0);
	assert_true(total <= REPLY_OCTETS_MAX);
	/* Lines without end. */
	end = REPLY_MORE;
	reply_begin(&parser, &reply, NULL, NULL);
	for (total = 0; end == REPLY_MORE && total < 2 * REPLY_OCTETS_MAX;
	    total += used)
		end = reply_feed(&parser, "250-more and more\r\n", 19, &used);
	assert_int_equal(end, REPLY_VIOLATION);
	assert_int_equal(reply.code, 0);
}

/* Trap T50: no octet is refused, NUL leaves the text in one piece. */
static void
test_nul(void **state)
{
	static const char octets[] = "550 a\0b\r\n";
	struct reply_parser parser;
	struct reply reply;
	size_t used;

	(void)state;
	reply_begin(&parser, &reply, NULL, NULL);
	assert_int_equal(reply_feed(&parser, octets, sizeof(octets) - 1,
	    &used), REPLY_WHOLE);
	assert_string_equal(reply.text, "550 a?b");
}

static void
join(void *context, struct slice text, bool first)
{
	struct buffer *buffer = context;

	buffer_printf(buffer, "%s%.*s|", first ? "^" : "", (int)text.len,
	    text.at);
}

static void
test_lines_are_told(void **state)
{
	struct buffer told = { NULL, 0, 0 };
	struct reply_parser parser;
	struct reply reply;
	size_t used;

	(void)state;
	reply_begin(&parser, &reply, join, &told);
	reply_feed(&parser, "250-mx\r\n250-SIZE 1\r\n250\r\n", 25, &used);
	assert_string_equal(told.text, "^mx|SIZE 1||");
	buffer_free(&told);
}

static void
test_nothing_is_taken_after_the_end(void **state)
{
	struct reply_parser parser;
	struct reply reply;
	size_t used;

	(void)state;
	reply_begin(&parser, &reply, NULL, NULL);
	reply_feed(&parser, "250 x\r\n", 7, &used);
	assert_int_equal(reply_feed(&parser, "550 y\r\n", 7, &used),
	    REPLY_WHOLE);
	assert_int_equal(used, 0);
	assert_int_equal(reply.code, 250);
}

#define ROWS(name, rows)						\
	{ name, test_rows, NULL, NULL,					\
	  (void *)&(struct group){ (rows), N(rows) } }
#define TEST(name, function)	{ name, function, NULL, NULL, NULL }

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROWS("one line", single),
		ROWS("SMTP-4.2-5 without text, without blank", bare),
		ROWS("SMTP-4.2-1, EXT-2920-3.1-5 several lines are one reply",
		    several),
		ROWS("SMTP-4.2.1-1 lines that disagree are none",
		    disagreeing),
		ROWS("SMTP-4.2-3 what is no reply", no_replies),
		ROWS("EXT-2034-4-5, SMTP-4.2-2 a status is believed only of "
		    "the reply's class", statuses),
		TEST("SMTP-4.2-4, SMTP-4.2-3 every code, by its first digit",
		    test_all_codes),
		TEST("SMTP-4.5.3.1.5-1 long lines are read and cut",
		    test_long_line),
		TEST("SMTP-4.2-1 thousands of lines", test_many_lines),
		TEST("a reply without end is none", test_too_much),
		TEST("NUL in a reply", test_nul),
		TEST("each line is told", test_lines_are_told),
		TEST("a reply that is whole takes nothing more",
		    test_nothing_is_taken_after_the_end),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
