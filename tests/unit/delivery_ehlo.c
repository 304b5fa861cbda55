/*
 * What a server offers (delivery/ehlo.c), read from whole EHLO answers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "delivery/ehlo.h"
#include "delivery/reply.h"

#include <stdio.h>
#include <string.h>

#define N(array)	(sizeof(array) / sizeof((array)[0]))

/* Letters for what is offered: S TARTTLS, P IPELINING, 8, Z size, R. */
struct row {
	const char	*answer;
	const char	*offers;
	uint64_t	 limit;
};
struct group {
	const struct row	*rows;
	size_t			 n;
};

static void
line(void *context, struct slice text, bool first)
{
	ehlo_line(context, text, first);
}

static void
print_offers(const struct ehlo *ehlo, char *text)
{
	if (ehlo->starttls)
		*text++ = 'S';
	if (ehlo->pipelining)
		*text++ = 'P';
	if (ehlo->eightbitmime)
		*text++ = '8';
	if (ehlo->size)
		*text++ = 'Z';
	if (ehlo->requiretls)
		*text++ = 'R';
	if (ehlo->dsn)
		*text++ = 'D';
	*text = '\0';
}

static void
test_rows(void **state)
{
	const struct group *group = *state;
	struct reply_parser parser;
	struct reply reply;
	struct ehlo ehlo;
	char offers[8];
	size_t i, used;

	for (i = 0; i < group->n; i++) {
		ehlo = (struct ehlo){ 0 };
		reply_begin(&parser, &reply, line, &ehlo);
		reply_feed(&parser, group->rows[i].answer,
		    strlen(group->rows[i].answer), &used);
		print_offers(&ehlo, offers);
		if (strcmp(offers, group->rows[i].offers) != 0 ||
		    ehlo.size_limit != group->rows[i].limit) {
			print_error("[%s]: %s, limit %llu\n",
			    group->rows[i].answer, offers,
			    (unsigned long long)ehlo.size_limit);
			fail();
		}
	}
}

#define HI	"250-mx.example.org\r\n"

static const struct row keywords[] = {
	{ "250 mx.example.org\r\n", "", 0 },
	{ HI "250 PIPELINING\r\n", "P", 0 },
	{ HI "250 pipelining\r\n", "P", 0 },
	{ HI "250 PipeLining\r\n", "P", 0 },
	{ HI "250 STARTTLS\r\n", "S", 0 },
	{ HI "250 starttls\r\n", "S", 0 },
	{ HI "250 8BITMIME\r\n", "8", 0 },
	{ HI "250 8bitmime\r\n", "8", 0 },
	{ HI "250 SIZE\r\n", "Z", 0 },
	{ HI "250 REQUIRETLS\r\n", "R", 0 },
	{ HI "250 DSN\r\n", "D", 0 }, { HI "250 dsn\r\n", "D", 0 },
	{ HI "250 DSN x\r\n", "D", 0 },
	{ HI "250 DSNX\r\n", "", 0 }, { HI "250 X-DSN\r\n", "", 0 },
	{ HI "250-8BITMIME\r\n250-PIPELINING\r\n250 STARTTLS\r\n", "SP8", 0 },
	{ HI "250-STARTTLS\r\n250-PIPELINING\r\n250-8BITMIME\r\n"
	  "250-REQUIRETLS\r\n250 SIZE 5\r\n", "SP8ZR", 5 },
	{ HI "250-STARTTLS\r\n250 STARTTLS\r\n", "S", 0 },
	{ HI "250 STARTTLS \r\n", "S", 0 },
	{ HI "250  STARTTLS\r\n", "S", 0 },
	{ HI "250 PIPELINING some parameter\r\n", "P", 0 },
};

static const struct row unknown[] = {
	{ HI "250 X-FOO a b\r\n", "", 0 },
	{ HI "250-X-FOO a b\r\n250 PIPELINING\r\n", "P", 0 },
	{ HI "250-DSN\r\n250-ENHANCEDSTATUSCODES\r\n250-CHUNKING\r\n"
	  "250-SMTPUTF8\r\n250-AUTH PLAIN LOGIN\r\n250 HELP\r\n", "D", 0 },
	{ HI "250 XSTARTTLS\r\n", "", 0 },
	{ HI "250 STARTTLSX\r\n", "", 0 },
	{ HI "250 STARTTLS=yes\r\n", "", 0 },
	{ HI "250 START TLS\r\n", "", 0 },
	{ HI "250 8BITMIMES\r\n", "", 0 },
	{ HI "250 \r\n", "", 0 },
	{ HI "250-\r\n250 SIZE\r\n", "Z", 0 },
	{ HI "250 \xff\xfe\r\n", "", 0 },
	{ HI "250 \tSTARTTLS\r\n", "S", 0 },
};

/* The first line is a greeting, whatever it looks like. */
static const struct row first_line[] = {
	{ "250 STARTTLS\r\n", "", 0 },
	{ "250-PIPELINING\r\n250 SIZE\r\n", "Z", 0 },
	{ "250-STARTTLS hello\r\n250 ok\r\n", "", 0 },
	{ "250\r\n", "", 0 },
};

static const struct row sizes[] = {
	{ HI "250 SIZE 0\r\n", "Z", 0 },
	{ HI "250 SIZE 1\r\n", "Z", 1 },
	{ HI "250 SIZE 52428800\r\n", "Z", 52428800 },
	{ HI "250 size 1000\r\n", "Z", 1000 },
	{ HI "250 SIZE  1000\r\n", "Z", 1000 },
	{ HI "250 SIZE 1000 \r\n", "Z", 1000 },
	{ HI "250 SIZE 18446744073709551615\r\n", "Z", UINT64_MAX },
	{ HI "250 SIZE 18446744073709551616\r\n", "Z", 0 },
	{ HI "250 SIZE 99999999999999999999\r\n", "Z", 0 },
	{ HI "250 SIZE x\r\n", "Z", 0 },
	{ HI "250 SIZE -1\r\n", "Z", 0 },
	{ HI "250 SIZE 1k\r\n", "Z", 0 },
	{ HI "250 SIZE 10 20\r\n", "Z", 0 },
	{ HI "250 SIZE=1000\r\n", "", 0 },
	{ HI "250-SIZE 10\r\n250 SIZE 20\r\n", "Z", 20 },
};

/* TLS-3207-4.2-2: nothing is left of what was offered before. */
static void
test_nothing_is_kept(void **state)
{
	struct ehlo ehlo = { 0 };

	(void)state;
	ehlo_line(&ehlo, SLICE("mx"), true);
	ehlo_line(&ehlo, SLICE("PIPELINING"), false);
	ehlo_line(&ehlo, SLICE("SIZE 10"), false);
	ehlo = (struct ehlo){ 0 };
	ehlo_line(&ehlo, SLICE("mx"), true);
	assert_false(ehlo.pipelining);
	assert_false(ehlo.size);
	assert_int_equal(ehlo.size_limit, 0);
}

/* Keywords behind much that has no room in the log are still read. */
static void
test_far_down(void **state)
{
	struct reply_parser parser;
	struct ehlo ehlo = { 0 };
	struct reply reply;
	unsigned i;
	size_t used;

	(void)state;
	reply_begin(&parser, &reply, line, &ehlo);
	reply_feed(&parser, HI, strlen(HI), &used);
	for (i = 0; i < 1000; i++)
		reply_feed(&parser, "250-X-NOTHING-OF-IMPORTANCE at all\r\n",
		    36, &used);
	assert_int_equal(reply_feed(&parser, "250 STARTTLS\r\n", 14, &used),
	    REPLY_WHOLE);
	assert_true(ehlo.starttls);
}

#define ROWS(name, rows)						\
	{ name, test_rows, NULL, NULL,					\
	  (void *)&(struct group){ (rows), N(rows) } }
#define TEST(name, function)	{ name, function, NULL, NULL, NULL }

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROWS("SMTP-4.1.1.1-2 keywords in any case and order",
		    keywords),
		ROWS("SMTP-4.1.1.1-2 what is unknown is ignored", unknown),
		ROWS("the first line offers nothing", first_line),
		ROWS("EXT-1870-4-1 the limit of SIZE", sizes),
		TEST("TLS-3207-4.2-2 an emptied answer knows nothing",
		    test_nothing_is_kept),
		TEST("keywords far down count", test_far_down),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
