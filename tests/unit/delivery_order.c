/*
 * The order of addresses (delivery/order.c): RFC 6724 10.2's examples that
 * need nothing but addresses, and more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "delivery/order.h"

#include <stdio.h>
#include <string.h>

#define N(array)	(sizeof(array) / sizeof((array)[0]))

/* Destinations with their sources ("-": no way there), best first. */
struct row {
	const char	*what;
	struct {
		const char	*to, *from;
	}		 best_first[4];
};

static void
fill(struct order_candidate *candidate, const char *to, const char *from)
{
	*candidate = (struct order_candidate){ .source = { .family = 0 } };
	if (!address_parse(slice_of(to), &candidate->address) ||
	    (strcmp(from, "-") != 0 &&
	    !address_parse(slice_of(from), &candidate->source)))
		fail_msg("no address: %s, %s", to, from);
}

/* All orders in which the name server may give them come out the same. */
static void
try_row(const struct row *row, unsigned n, unsigned turn)
{
	struct order_candidate candidates[4];
	char text[ADDRESS_TEXT_MAX], wanted[ADDRESS_TEXT_MAX];
	struct address address;
	unsigned i, place;

	for (i = 0; i < n; i++) {
		place = (turn & 4) ? n - 1 - (i + turn % n) % n :
		    (i + turn % n) % n;
		fill(&candidates[place], row->best_first[i].to,
		    row->best_first[i].from);
	}
	order_addresses(candidates, n);
	for (i = 0; i < n; i++) {
		address_parse(slice_of(row->best_first[i].to), &address);
		address_print(&address, wanted);
		address_print(&candidates[i].address, text);
		if (strcmp(text, wanted) != 0)
			fail_msg("%s: at %u is %s, not %s", row->what, i,
			    text, wanted);
	}
}

static const struct row strict[] = {
	{ "matching scope", { { "2001:db8:1::1", "2001:db8:1::2" },
	    { "198.51.100.121", "169.254.13.78" } } },
	{ "matching scope, the other way", {
	    { "198.51.100.121", "198.51.100.117" },
	    { "2001:db8:1::1", "fe80::1" } } },
	{ "higher precedence", { { "2001:db8:1::1", "2001:db8:1::2" },
	    { "10.1.2.3", "10.1.2.4" } } },
	{ "smaller scope", { { "fe80::1", "fe80::2" },
	    { "2001:db8:1::1", "2001:db8:1::2" } } },
	{ "matching label", { { "2002:c633:6401::1", "2002:c633:6401::2" },
	    { "2001:db8:1::1", "2002:c633:6401::2" } } },
	{ "matching label, IPv4", { { "10.1.2.3", "10.1.2.4" },
	    { "2001:db8:1::1", "2002:c633:6401::2" } } },
	{ "precedence of 6to4", { { "2001:db8:1::1", "2001:db8:1::2" },
	    { "2002:c633:6401::1", "2002:c633:6401::2" } } },
	{ "no way to IPv6", { { "192.0.2.1", "192.0.2.9" },
	    { "2001:db8::1", "-" } } },
	{ "no way to IPv4", { { "2001:db8::1", "2001:db8::9" },
	    { "192.0.2.1", "-" } } },
	{ "unique local behind IPv4 when we have none", {
	    { "192.0.2.1", "192.0.2.9" },
	    { "fd00::1", "2001:db8::9" } } },
	{ "unique local from one", { { "192.0.2.1", "192.0.2.9" },
	    { "fd00::1", "fd00::9" } } },
	{ "Teredo last", { { "192.0.2.1", "192.0.2.9" },
	    { "2001::1", "2001::9" } } },
	{ "the longer common prefix", {
	    { "2001:db8:1::1", "2001:db8:1::9" },
	    { "2001:db8:f000::1", "2001:db8:1::9" },
	    { "3fff::1", "2001:db8:1::9" } } },
	{ "loopback", { { "::1", "::1" }, { "127.0.0.1", "127.0.0.1" } } },
	{ "four of them", { { "2001:db8::1", "2001:db8::9" },
	    { "192.0.2.1", "192.0.2.9" }, { "2002:c000:201::1",
	    "2001:db8::9" }, { "2001:db8:5::1", "-" } } },
};

static void
test_strict(void **state)
{
	unsigned i, n, turn;

	(void)state;
	for (i = 0; i < N(strict); i++) {
		for (n = 0; n < 4 && strict[i].best_first[n].to != NULL; n++)
			continue;
		for (turn = 0; turn < 8; turn++)
			try_row(&strict[i], n, turn);
	}
}

/* Rule 10: nothing tells them apart, they stay as they came. */
static void
test_stable(void **state)
{
	static const struct row rows[] = {
		{ "IPv4 of the same net", { { "192.0.2.200", "192.0.2.9" },
		    { "192.0.2.8", "192.0.2.9" },
		    { "198.51.100.1", "192.0.2.9" } } },
		{ "IPv4 of another net first", {
		    { "198.51.100.1", "192.0.2.9" },
		    { "192.0.2.8", "192.0.2.9" },
		    { "192.0.2.200", "192.0.2.9" } } },
		{ "no way to any", { { "2001:db8::1", "-" },
		    { "192.0.2.1", "-" }, { "2001:db8::2", "-" } } },
		{ "the same prefix", { { "2001:db8::4", "2001:db8::9" },
		    { "2001:db8::5", "2001:db8::9" } } },
	};
	unsigned i, n;

	(void)state;
	for (i = 0; i < N(rows); i++) {
		for (n = 0; n < 4 && rows[i].best_first[n].to != NULL; n++)
			continue;
		try_row(&rows[i], n, 0);
	}
}

static void
test_none(void **state)
{
	struct order_candidate one;

	(void)state;
	fill(&one, "192.0.2.1", "-");
	order_addresses(&one, 0);
	order_addresses(&one, 1);
	assert_int_equal(one.address.family, 4);
}

#define TEST(name, function)	{ name, function, NULL, NULL, NULL }

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST("SMTP-5.1-13 RFC 6724's order, however they come",
		    test_strict),
		TEST("SMTP-5.1-13 what is equal stays in its order",
		    test_stable),
		TEST("one address, or none", test_none),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
