/*
 * smtpd/clients.c: how many connections a client has.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "smtpd/clients.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

static struct client
client(const char *text)
{
	struct address address;

	if (text[0] == '#')
		return clients_uid((uid_t)strtoul(text + 1, NULL, 10));
	assert_true(address_parse(slice_of(text), &address));
	return clients_address(&address);
}

static void
who_is_one(void **state)
{
	static const struct {
		const char	*a, *b;
		bool		 same;
	} rows[] = {
		{ "192.0.2.1", "192.0.2.1", true },
		{ "192.0.2.1", "192.0.2.2", false },
		{ "192.0.2.1", "::ffff:192.0.2.1", true },
		{ "::ffff:192.0.2.1", "::ffff:192.0.2.2", false },
		{ "2001:db8::1", "2001:db8::2", true },
		{ "2001:db8::1", "2001:db8:0:0:ffff::", true },
		{ "2001:db8::1", "2001:db8:0:1::1", false },
		{ "::1", "::2", true },
		{ "::1", "2001::1", false },
		{ "#0", "#0", true }, { "#0", "#1", false },
		{ "#1000", "#65536000", false },
		{ "#0", "0.0.0.0", false }, { "#0", "::", false },
		{ "0.0.0.0", "::", false },
	};
	struct client a, b;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		a = client(rows[i].a);
		b = client(rows[i].b);
		if ((memcmp(&a, &b, sizeof(a)) == 0) != rows[i].same)
			fail_msg("%s %s", rows[i].a, rows[i].b);
	}
}

static void
counting(void **state)
{
	struct clients *clients = clients_new();
	struct client a = client("192.0.2.1"), b = client("192.0.2.2");

	(void)state;
	assert_int_equal(clients_add(clients, &a), 1);
	assert_int_equal(clients_add(clients, &a), 2);
	assert_int_equal(clients_add(clients, &b), 1);
	clients_drop(clients, &a);
	assert_int_equal(clients_add(clients, &a), 2);
	clients_drop(clients, &a);
	clients_drop(clients, &a);
	assert_int_equal(clients_add(clients, &a), 1);
	assert_int_equal(clients_add(clients, &b), 2);
	clients_free(&clients);
	assert_null(clients);
}

/* As many clients as may be connected, in and out at random. */
static void
many(void **state)
{
	static unsigned counts[20000];
	struct clients *clients = clients_new();
	struct client one;

	(void)state;
	srand(3);
	for (int i = 0; i < 400000; i++) {
		size_t n = (size_t)rand() % COUNT(counts);

		one = clients_uid((uid_t)n);
		if (counts[n] > 0 && rand() % 2) {
			clients_drop(clients, &one);
			counts[n]--;
		} else {
			assert_int_equal(clients_add(clients, &one),
			    ++counts[n]);
		}
	}
	clients_free(&clients);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "SMTP-7.8-1 which connections are one client's", who_is_one,
		    NULL, NULL, NULL },
		{ "SMTP-7.8-1 counting", counting, NULL, NULL, NULL },
		{ "SMTP-7.8-1 many clients", many, NULL, NULL, NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
