/*
 * The order of MX hosts: a table of answers as text, and what shuffling and
 * bounds do to big ones.
 */
#include "policy/mx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))
#define RECORDS_MAX	512
#define ME		"relay.example"

struct row {
	const char	*records;	/* "10 a, 20 b"; "." is the root */
	enum mx_outcome	 outcome;
	const char	*hosts;		/* equals in the order of their names */
	unsigned	 ignored;
};

static size_t
read_records(const char *text, struct rr *records)
{
	char *copy = mem_copy(text), *word, *rest = NULL;
	char name[DOMAIN_TEXT_MAX];
	size_t n = 0;

	for (word = strtok_r(copy, ",", &rest); word != NULL;
	    word = strtok_r(NULL, ",", &rest)) {
		memset(&records[n], 0, sizeof(records[n]));
		records[n].type = RR_MX;
		assert_int_equal(sscanf(word, "%u %255s",
		    &records[n].preference, name), 2);
		if (strcmp(name, ".") != 0)
			strcpy(records[n].name.name, name);
		n++;
	}
	free(copy);
	return n;
}

static int
by_both(const void *a, const void *b)
{
	const struct mx_host *one = a, *other = b;

	if (one->preference != other->preference)
		return one->preference < other->preference ? -1 : 1;
	return strcmp(one->name.name, other->name.name);
}

/* As text, after a check that preferences ascend. */
static void
print_hosts(struct mx_list *list, char text[4096])
{
	unsigned i;

	for (i = 1; i < list->hosts_n; i++)
		assert_true(list->hosts[i - 1].preference <=
		    list->hosts[i].preference);
	qsort(list->hosts, list->hosts_n, sizeof(list->hosts[0]), by_both);
	text[0] = '\0';
	for (i = 0; i < list->hosts_n; i++)
		sprintf(text + strlen(text), "%s%u %s", i > 0 ? ", " : "",
		    list->hosts[i].preference, list->hosts[i].name.name);
}

static void
check_rows(const struct row *rows, size_t n)
{
	struct rr records[RECORDS_MAX];
	struct mx_list list;
	enum mx_outcome outcome;
	char text[4096];
	size_t i, records_n;
	uint64_t seed;

	for (i = 0; i < n; i++) {
		records_n = read_records(rows[i].records, records);
		for (seed = 0; seed < 16; seed++) {
			outcome = mx_order(records, records_n, ME, seed,
			    &list);
			print_hosts(&list, text);
			if (outcome != rows[i].outcome ||
			    strcmp(text, rows[i].hosts) != 0 ||
			    list.ignored != rows[i].ignored)
				fail_msg("%s: %d, %s, %u ignored",
				    rows[i].records, outcome, text,
				    list.ignored);
		}
	}
}

static void
test_order(void **state)
{
	static const struct row rows[] = {
		{ "10 a", MX_HOSTS, "10 a", 0 },
		{ "20 b,10 a", MX_HOSTS, "10 a, 20 b", 0 },
		{ "65535 z,0 a,300 m", MX_HOSTS, "0 a, 300 m, 65535 z", 0 },
		{ "10 b,10 a,5 c", MX_HOSTS, "5 c, 10 a, 10 b", 0 },
		{ "10 a,20 a", MX_HOSTS, "10 a", 0 },
		{ "20 a,10 a,20 b", MX_HOSTS, "10 a, 20 b", 0 },
		{ "10 a,10 a,10 a", MX_HOSTS, "10 a", 0 },
	};

	(void)state;
	check_rows(rows, COUNT(rows));
}

static void
test_null(void **state)
{
	static const struct row rows[] = {
		{ "0 .", MX_NULL, "", 0 },
		/* Neither is the null MX of RFC 7505 3. */
		{ "10 .", MX_UNUSABLE, "", 1 },
		{ "0 .,0 .", MX_UNUSABLE, "", 2 },
		{ "0 .,10 mx", MX_HOSTS, "10 mx", 1 },
		{ "10 mx,20 .", MX_HOSTS, "10 mx", 1 },
	};

	(void)state;
	check_rows(rows, COUNT(rows));
}

static void
test_no_names(void **state)
{
	static const struct row rows[] = {
		{ "10 192.0.2.1", MX_UNUSABLE, "", 1 },
		{ "10 192.0.2.1,20 mx", MX_HOSTS, "20 mx", 1 },
		{ "10 2001:db8::1,20 mx", MX_HOSTS, "20 mx", 1 },
		{ "10 [192.0.2.1],20 mx", MX_HOSTS, "20 mx", 1 },
		{ "10 ?,20 mx", MX_HOSTS, "20 mx", 1 },
		{ "10 ?", MX_UNUSABLE, "", 1 },
		/* Names of DNS, and none of mail. */
		{ "10 -mx.example", MX_UNUSABLE, "", 1 },
		{ "10 mx-.example,20 mx", MX_HOSTS, "20 mx", 1 },
		{ "10 mx.-x.example,20 mx", MX_HOSTS, "20 mx", 1 },
		{ "10 -,20 mx", MX_HOSTS, "20 mx", 1 },
		{ "10 _mx.a-b.example", MX_HOSTS, "10 _mx.a-b.example", 0 },
		{ "10 1.2.3.4.in-addr.arpa", MX_HOSTS,
		    "10 1.2.3.4.in-addr.arpa", 0 },
	};

	(void)state;
	check_rows(rows, COUNT(rows));
}

static void
test_ourselves(void **state)
{
	static const struct row rows[] = {
		{ "10 " ME, MX_LOOP, "", 0 },
		{ "10 " ME ",20 b", MX_LOOP, "", 0 },
		{ "10 a,20 " ME ",30 b", MX_HOSTS, "10 a", 0 },
		{ "10 a,20 " ME ",20 c,30 b", MX_HOSTS, "10 a", 0 },
		{ "10 a,10 b,20 " ME, MX_HOSTS, "10 a, 10 b", 0 },
		{ "10 a,10 " ME ",10 b", MX_LOOP, "", 0 },
		/* Its best record counts, whatever others say. */
		{ "10 a,20 " ME ",30 " ME, MX_HOSTS, "10 a", 0 },
		{ "10 ?,20 " ME, MX_LOOP, "", 1 },
		{ "10 x." ME, MX_HOSTS, "10 x." ME, 0 },
	};

	(void)state;
	check_rows(rows, COUNT(rows));
}

static void
test_unknown_name(void **state)
{
	struct rr records[RECORDS_MAX];
	struct mx_list list;

	(void)state;
	assert_int_equal(mx_order(records, read_records("1 a", records), "",
	    1, &list), MX_HOSTS);
	/* Case does not hide us. */
	assert_int_equal(mx_order(records, read_records("1 a.b", records),
	    "A.b", 1, &list), MX_LOOP);
}

/* The one that a policy permits may be the last: nothing is cut before it. */
static void
test_many(void **state)
{
	static struct rr records[RECORDS_MAX];
	struct mx_list list;
	unsigned i;

	(void)state;
	memset(records, 0, sizeof(records));
	for (i = 0; i < RECORDS_MAX; i++) {
		records[i].preference = RECORDS_MAX - i;
		snprintf(records[i].name.name, DOMAIN_TEXT_MAX, "h%u", i);
	}
	assert_int_equal(mx_order(records, RECORDS_MAX, ME, 7, &list),
	    MX_HOSTS);
	assert_int_equal(list.hosts_n, ROUTE_HOSTS_MAX);
	assert_int_equal(list.dropped, RECORDS_MAX - ROUTE_HOSTS_MAX);
	for (i = 0; i < ROUTE_HOSTS_MAX; i++)
		assert_int_equal(list.hosts[i].preference, i + 1);
	/* We are the 40th: the cut comes after the loop's. */
	strcpy(records[RECORDS_MAX - 40].name.name, ME);
	assert_int_equal(mx_order(records, RECORDS_MAX, ME, 7, &list),
	    MX_HOSTS);
	assert_int_equal(list.dropped, 39 - ROUTE_HOSTS_MAX);
}

static void
test_shuffle(void **state)
{
	struct rr records[RECORDS_MAX];
	unsigned first[4] = { 0 }, i;
	struct mx_list list;
	size_t n;

	(void)state;
	n = read_records("10 0,10 1,10 2,10 3,20 4", records);
	for (i = 0; i < 1000; i++) {
		mx_order(records, n, ME, i * 0x9e3779b97f4a7c15u, &list);
		assert_int_equal(list.hosts_n, 5);
		assert_string_equal(list.hosts[4].name.name, "4");
		first[list.hosts[0].name.name[0] - '0']++;
	}
	for (i = 0; i < 4; i++)
		assert_in_range(first[i], 200, 300);
}

static void
test_keep_better(void **state)
{
	struct rr records[RECORDS_MAX];
	struct mx_list list;
	size_t n;

	(void)state;
	n = read_records("10 a,20 b,20 c,30 d", records);
	mx_order(records, n, ME, 1, &list);
	assert_true(mx_keep_better(&list, 30));
	assert_int_equal(list.hosts_n, 3);
	assert_true(mx_keep_better(&list, 20));
	assert_int_equal(list.hosts_n, 1);
	assert_string_equal(list.hosts[0].name.name, "a");
	assert_false(mx_keep_better(&list, 10));
	assert_int_equal(list.hosts_n, 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "SMTP-5.1-11 DANE-7672-2.2.1-1 ascending preference, each "
		    "host once", test_order, NULL, NULL, NULL },
		{ "EXT-7505-3-1 EXT-7505-3-2 the null MX, and what is none",
		    test_null, NULL, NULL, NULL },
		{ "DANE-7672-2.2-10 SMTP-5.1-7 what is no host's name is "
		    "passed over", test_no_names, NULL, NULL, NULL },
		{ "SMTP-5.1-14 SMTP-5.1-15 STS-8.4-2 ourselves and worse go, "
		    "by name", test_ourselves, NULL, NULL, NULL },
		{ "SMTP-5.1-14 without a name of ours, and in any case",
		    test_unknown_name, NULL, NULL, NULL },
		{ "the list is cut last", test_many, NULL, NULL, NULL },
		{ "SMTP-5.1-12 equals are shuffled", test_shuffle, NULL, NULL,
		    NULL },
		{ "SMTP-5.1-14 ourselves and worse go, by address",
		    test_keep_better, NULL, NULL, NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
