/*
 * smtpd/trace.c, date.c and answer.c: what smtpd writes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "smtpd/answer.h"
#include "smtpd/date.h"
#include "smtpd/trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

static void
zone(const char *name)
{
	setenv("TZ", name, 1);
	tzset();
}

static void
dates(void **state)
{
	static const struct {
		const char	*zone;
		int64_t		 when_s;
		const char	*text;
	} rows[] = {
		{ "UTC", 0, "Thu, 1 Jan 1970 00:00:00 +0000" },
		{ "UTC", 951782400, "Tue, 29 Feb 2000 00:00:00 +0000" },
		{ "UTC", 1795562254, "Tue, 24 Nov 2026 23:17:34 +0000" },
		{ "CET-1", 1795562254, "Wed, 25 Nov 2026 00:17:34 +0100" },
		{ "EST5", 1795562254, "Tue, 24 Nov 2026 18:17:34 -0500" },
		{ "XYZ-5:30", 1795562254, "Wed, 25 Nov 2026 04:47:34 +0530" },
		{ "XYZ3:30", 1795562254, "Tue, 24 Nov 2026 19:47:34 -0330" },
		{ "XYZ0:30", 1795562254, "Tue, 24 Nov 2026 22:47:34 -0030" },
		{ "XYZ-14", 1795562254, "Wed, 25 Nov 2026 13:17:34 +1400" },
		{ "XYZ12", 1795562254, "Tue, 24 Nov 2026 11:17:34 -1200" },
		{ "UTC", 4102444800, "Fri, 1 Jan 2100 00:00:00 +0000" },
		{ "UTC", 253402300799, "Fri, 31 Dec 9999 23:59:59 +0000" },
		{ "UTC", 1793491200, "Sun, 1 Nov 2026 00:00:00 +0000" },
		{ "UTC", 1793577600, "Mon, 2 Nov 2026 00:00:00 +0000" },
		{ "UTC", 1793836800, "Thu, 5 Nov 2026 00:00:00 +0000" },
		{ "UTC", 1794009600, "Sat, 7 Nov 2026 00:00:00 +0000" },
	};
	char text[DATE_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		zone(rows[i].zone);
		assert_string_equal(date_print(rows[i].when_s, text),
		    rows[i].text);
	}
}

static struct address
address(const char *text)
{
	struct address address = { 0, { 0 } };

	address_parse(slice_of(text), &address);
	return address;
}

static void
received(void **state)
{
	const struct {
		struct trace	 trace;
		const char	*text;
	} rows[] = {
		{ { .helo = "client.example", .client = address("192.0.2.7"),
		    .by = "relay.example", .proto = "ESMTP",
		    .id = "0123456789abcdef", .wall_s = 1795562254 },
		    "Received: from client.example ([192.0.2.7])\r\n"
		    "\tby relay.example with ESMTP id 0123456789abcdef;\r\n"
		    "\tTue, 24 Nov 2026 23:17:34 +0000\r\n" },
		{ { .helo = "[IPv6:2001:db8::7]",
		    .client = address("2001:db8::7"), .by = "[IPv6:::1]",
		    .proto = "SMTP", .id = "1", .wall_s = 0 },
		    "Received: from [IPv6:2001:db8::7] "
		    "([IPv6:2001:db8::7])\r\n"
		    "\tby [IPv6:::1] with SMTP id 1;\r\n"
		    "\tThu, 1 Jan 1970 00:00:00 +0000\r\n" },
		{ { .helo = "a", .client = address("::ffff:192.0.2.7"),
		    .by = "b", .proto = "ESMTP", .id = "1", .wall_s = 0 },
		    "Received: from a ([IPv6:::ffff:192.0.2.7])\r\n"
		    "\tby b with ESMTP id 1;\r\n"
		    "\tThu, 1 Jan 1970 00:00:00 +0000\r\n" },
		{ { .local = true, .uid = 1000, .helo = "never.shown",
		    .by = "relay.example", .proto = "local", .id = "ff",
		    .wall_s = 0 },
		    "Received: by relay.example (uid 1000)\r\n"
		    "\twith local id ff;\r\n"
		    "\tThu, 1 Jan 1970 00:00:00 +0000\r\n" },
		{ { .local = true, .uid = 4294967294u, .by = "b",
		    .proto = "local", .id = "1", .wall_s = 0 },
		    "Received: by b (uid 4294967294)\r\n"
		    "\twith local id 1;\r\n"
		    "\tThu, 1 Jan 1970 00:00:00 +0000\r\n" },
	};
	struct buffer out;

	(void)state;
	zone("UTC");
	for (size_t i = 0; i < COUNT(rows); i++) {
		out = (struct buffer){ NULL, 0, 0 };
		trace_received(&rows[i].trace, &out);
		assert_string_equal(out.text, rows[i].text);
		buffer_free(&out);
	}
}

/* The longest names give no line above 998 octets. */
static void
longest_names(void **state)
{
	char name[256], *end, *at;
	struct trace trace = {
		.helo = name, .client = address("2001:db8:1:2:3:4:5:6"),
		.by = name, .proto = "ESMTP", .id = "0123456789abcdef"
	};
	struct buffer out = { NULL, 0, 0 };

	(void)state;
	memset(name, 'n', 255);
	name[255] = '\0';
	trace_received(&trace, &out);
	for (at = out.text; *at != '\0'; at = end + 2) {
		end = strstr(at, "\r\n");
		assert_true(end - at <= 998);
	}
	buffer_free(&out);
}

static void
answers(void **state)
{
	static const struct {
		unsigned	 code;
		const char	*text, *wire;
	} rows[] = {
		{ 250, "2.1.0 ok", "250 2.1.0 ok\r\n" },
		{ 354, "go", "354 go\r\n" },
		{ 220, "a.example ESMTP culver",
		    "220 a.example ESMTP culver\r\n" },
		{ 250, "a.example\nPIPELINING\n8BITMIME",
		    "250-a.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n" },
		{ 214, "2.0.0 one\ntwo\nthree",
		    "214-2.0.0 one\r\n214-2.0.0 two\r\n214 2.0.0 three\r\n" },
		{ 550, "5.7.28 a\nb", "550-5.7.28 a\r\n550 5.7.28 b\r\n" },
		{ 451, "4.3.0 try\n", "451-4.3.0 try\r\n451 4.3.0 \r\n" },
		{ 250, "[127.0.0.1]\nSIZE 1",
		    "250-[127.0.0.1]\r\n250 SIZE 1\r\n" },
	};
	struct buffer out;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		out = (struct buffer){ NULL, 0, 0 };
		answer_print(&out, rows[i].code, rows[i].text);
		assert_string_equal(out.text, rows[i].wire);
		buffer_free(&out);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "SMTP-4.4-8, MSG-5322-3.3-1 dates", dates,
		    NULL, NULL, NULL },
		{ "SMTP-4.4-1, SMTP-4.4-2, SMTP-4.4-5 Received", received,
		    NULL, NULL, NULL },
		{ "MSG-5322-2.1.1-1 Received has no line above 998",
		    longest_names, NULL, NULL, NULL },
		{ "EXT-2034-4-3, SMTP-4.2-6 replies on the wire", answers,
		    NULL, NULL, NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
