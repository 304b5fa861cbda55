/*
 * One host's addresses and TLSA records: zones as text, and what is found.
 */
#include "policy/host.h"

#include "policy_fixture.h"

struct row {
	const char	*zone;
	const char	*found;
	const char	*asked;		/* NULL: not compared */
};

static const char *const states[] = {
	[TLSA_INSECURE] = "insecure", [TLSA_ABSENT] = "absent",
	[TLSA_USABLE] = "usable", [TLSA_UNUSABLE] = "unusable",
	[TLSA_FAILED] = "failed"
};
static const char *const lookups[] = {
	[ROUTE_OK] = "ok", [ROUTE_AGAIN] = "again", [ROUTE_FAIL] = "fail"
};

static char printed[4096];
static unsigned calls;

static unsigned
count_tlsa(const struct host_found *found)
{
	unsigned n = 0;
	uint32_t at = 0;

	while (at < found->tlsa_len) {
		at += 2u + (found->tlsa[at] | (uint32_t)found->tlsa[at + 1]
		    << 8);
		n++;
	}
	assert_int_equal(at, found->tlsa_len);
	return n;
}

/* "ok + 2001:db8::1 192.0.2.1 usable mx.s 1", "again A: SERVFAIL" */
static void
on_found(void *context, struct host_found *found)
{
	char text[ADDRESS_TEXT_MAX], *at = printed;
	unsigned i;

	(void)context;
	calls++;
	assert_string_equal(found->name.name, "mx.s");
	at += sprintf(at, "%s", lookups[found->lookup]);
	if (found->lookup != ROUTE_OK) {
		sprintf(at, " %s", found->text);
		assert_int_equal(found->addresses_n, 0);
		assert_int_equal(found->tlsa_state, TLSA_INSECURE);
		host_free(&found);
		return;
	}
	at += sprintf(at, " %s", found->secure ? "+" : "-");
	for (i = 0; i < found->addresses_n; i++)
		at += sprintf(at, " %s", address_print(&found->addresses[i],
		    text));
	at += sprintf(at, " %s", states[found->tlsa_state]);
	if (found->tlsa_state == TLSA_USABLE ||
	    found->tlsa_state == TLSA_UNUSABLE)
		sprintf(at, " %s %u", found->tlsa_base.name,
		    count_tlsa(found));
	else
		assert_int_equal(found->tlsa_len, 0);
	host_free(&found);
}

static void
check_rows(const struct row *rows, size_t n, enum config_ip ip, bool dane)
{
	const struct domain name = { "mx.s" };
	struct dns dns;
	size_t i;
	int last;

	for (i = 0; i < n; i++)
		for (last = 0; last < 2; last++) {
			memset(&dns, 0, sizeof(dns));
			dns.zone = rows[i].zone;
			calls = 0;
			host_find(&dns, &name, ip, dane ? 25 : 0, on_found,
			    NULL);
			assert_int_equal(calls, 0);
			dns_play(&dns, last == 1);
			assert_int_equal(calls, 1);
			if (strcmp(printed, rows[i].found) != 0)
				fail_msg("zone %zu: %s", i, printed);
			if (rows[i].asked != NULL)
				assert_string_equal(dns.log, rows[i].asked);
		}
}

static void
test_addresses(void **state)
{
	static const struct row rows[] = {
		{ "mx.s A - 192.0.2.1", "ok - 192.0.2.1 insecure",
		    "AAAA mx.s\nA mx.s\n" },
		{ "mx.s AAAA - 2001:db8::1", "ok - 2001:db8::1 insecure",
		    NULL },
		{ "mx.s A - 192.0.2.1 192.0.2.2\nmx.s AAAA - 2001:db8::1",
		    "ok - 2001:db8::1 192.0.2.1 192.0.2.2 insecure", NULL },
		{ "mx.s TXT - x", "fail no address record", NULL },
		{ "other A - 192.0.2.1", "fail no such name", NULL },
		{ "mx.s A ! SERVFAIL\nmx.s AAAA ! SERVFAIL",
		    "again A: SERVFAIL", NULL },
		{ "mx.s A ! SERVFAIL", "again A: SERVFAIL", NULL },
		{ "mx.s AAAA ! timeout", "again AAAA: timeout", NULL },
		/* What one family has is not held up by the other. */
		{ "mx.s A - 192.0.2.1\nmx.s AAAA ! SERVFAIL",
		    "ok - 192.0.2.1 insecure", NULL },
		{ "mx.s A ! REFUSED\nmx.s AAAA - 2001:db8::1",
		    "ok - 2001:db8::1 insecure", NULL },
		{ "mx.s A - @x 192.0.2.1", "ok - 192.0.2.1 insecure", NULL },
	};

	(void)state;
	check_rows(rows, COUNT(rows), CONFIG_IP_BOTH, false);
}

static void
test_families(void **state)
{
	static const struct row four[] = {
		{ "mx.s A - 192.0.2.1\nmx.s AAAA - 2001:db8::1",
		    "ok - 192.0.2.1 insecure", "A mx.s\n" },
		{ "mx.s AAAA - 2001:db8::1", "fail no A record", "A mx.s\n" },
	}, six[] = {
		{ "mx.s A - 192.0.2.1\nmx.s AAAA - 2001:db8::1",
		    "ok - 2001:db8::1 insecure", "AAAA mx.s\n" },
		{ "mx.s A - 192.0.2.1", "fail no AAAA record", "AAAA mx.s\n" },
	};

	(void)state;
	check_rows(four, COUNT(four), CONFIG_IP_4, true);
	check_rows(six, COUNT(six), CONFIG_IP_6, true);
}

static void
test_many_addresses(void **state)
{
	static const struct row rows[] = {
		{ "mx.s A - 10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 "
		    "10.0.0.6 10.0.0.7 10.0.0.8 10.0.0.9 10.0.0.10 10.0.0.11 "
		    "10.0.0.12 10.0.0.13 10.0.0.14 10.0.0.15 10.0.0.16 "
		    "10.0.0.17\nmx.s AAAA - 2001:db8::1 2001:db8::2",
		    "ok - 2001:db8::1 10.0.0.1 2001:db8::2 10.0.0.2 10.0.0.3 "
		    "10.0.0.4 10.0.0.5 10.0.0.6 10.0.0.7 10.0.0.8 10.0.0.9 "
		    "10.0.0.10 10.0.0.11 10.0.0.12 10.0.0.13 10.0.0.14 "
		    "insecure", NULL },
	};

	(void)state;
	check_rows(rows, COUNT(rows), CONFIG_IP_BOTH, false);
}

#define SECURE		"mx.s A + 192.0.2.1\n"
#define OWNER		"_25._tcp.mx.s TLSA "
#define ASKED		"AAAA mx.s\nA mx.s\nTLSA _25._tcp.mx.s\n"

static void
test_tlsa(void **state)
{
	static const struct row rows[] = {
		{ SECURE OWNER "+ 3/1/1/32",
		    "ok + 192.0.2.1 usable mx.s 1", ASKED },
		{ SECURE OWNER "+ 3/1/1/32 2/0/2/64",
		    "ok + 192.0.2.1 usable mx.s 2", ASKED },
		{ SECURE OWNER "+ 0/1/1/32 3/1/1/32",
		    "ok + 192.0.2.1 usable mx.s 2", ASKED },
		{ SECURE OWNER "+ 0/1/1/32 1/1/1/32 3/9/1/32 3/1/1/31",
		    "ok + 192.0.2.1 unusable mx.s 4", ASKED },
		{ SECURE OWNER "+ 3/1/1/0", "ok + 192.0.2.1 unusable mx.s 1",
		    ASKED },
		{ SECURE, "ok + 192.0.2.1 absent", ASKED },
		{ SECURE OWNER "+", "ok + 192.0.2.1 absent", ASKED },
		{ SECURE OWNER "+ NX", "ok + 192.0.2.1 absent", ASKED },
		{ SECURE OWNER "- NX", "ok + 192.0.2.1 absent", ASKED },
		{ SECURE OWNER "- 3/1/1/32", "ok + 192.0.2.1 absent", ASKED },
		{ SECURE OWNER "! SERVFAIL", "ok + 192.0.2.1 failed", ASKED },
		{ SECURE OWNER "! timeout", "ok + 192.0.2.1 failed", ASKED },
		{ SECURE OWNER "! malformed answer",
		    "ok + 192.0.2.1 failed", ASKED },
		/* CNAMEs at the owner: the base stays. */
		{ SECURE OWNER "+ @elsewhere 3/1/1/32",
		    "ok + 192.0.2.1 usable mx.s 1", ASKED },
		/* Insecure addresses: not asked. */
		{ "mx.s A - 192.0.2.1\n" OWNER "+ 3/1/1/32",
		    "ok - 192.0.2.1 insecure", "AAAA mx.s\nA mx.s\n" },
		/* Nor where there are none, or they failed. */
		{ "mx.s A + \n" OWNER "+ 3/1/1/32", "fail no address record",
		    "AAAA mx.s\nA mx.s\n" },
		{ "mx.s A ! SERVFAIL\n" OWNER "+ 3/1/1/32",
		    "again A: SERVFAIL", "AAAA mx.s\nA mx.s\n" },
		/* The broken family says nothing about the other. */
		{ SECURE "mx.s AAAA ! SERVFAIL\n" OWNER "+ 3/1/1/32",
		    "ok + 192.0.2.1 usable mx.s 1", ASKED },
		{ SECURE "mx.s AAAA -\n" OWNER "+ 3/1/1/32",
		    "ok + 192.0.2.1 usable mx.s 1", ASKED },
		{ SECURE "mx.s AAAA - 2001:db8::1\n" OWNER "+ 3/1/1/32",
		    "ok - 2001:db8::1 192.0.2.1 insecure", NULL },
		{ SECURE "mx.s AAAA + 2001:db8::1\n" OWNER "+ 3/1/1/32",
		    "ok + 2001:db8::1 192.0.2.1 usable mx.s 1", ASKED },
	};

	(void)state;
	check_rows(rows, COUNT(rows), CONFIG_IP_BOTH, true);
}

static void
test_no_dane(void **state)
{
	static const struct row rows[] = {
		{ SECURE OWNER "+ 3/1/1/32", "ok + 192.0.2.1 insecure",
		    "AAAA mx.s\nA mx.s\n" },
		{ SECURE OWNER "! SERVFAIL", "ok + 192.0.2.1 insecure",
		    "AAAA mx.s\nA mx.s\n" },
		{ "mx.s A - @x.t 192.0.2.1", "ok - 192.0.2.1 insecure",
		    "AAAA mx.s\nA mx.s\n" },
	};

	(void)state;
	check_rows(rows, COUNT(rows), CONFIG_IP_BOTH, false);
}

#define ALIAS		"mx.s A + @end.s 192.0.2.1\n"
#define AT_END		"_25._tcp.end.s TLSA "
#define END_ASKED	"AAAA mx.s\nA mx.s\nTLSA _25._tcp.end.s\n"
#define BOTH_ASKED	END_ASKED "TLSA _25._tcp.mx.s\n"

static void
test_secure_alias(void **state)
{
	static const struct row rows[] = {
		{ ALIAS AT_END "+ 3/1/1/32", "ok + 192.0.2.1 usable end.s 1",
		    END_ASKED },
		{ ALIAS AT_END "+ 3/1/1/32\n" OWNER "+ 2/1/1/32 2/0/1/32",
		    "ok + 192.0.2.1 usable end.s 1", END_ASKED },
		{ ALIAS OWNER "+ 2/1/1/32 2/0/1/32",
		    "ok + 192.0.2.1 usable mx.s 2", BOTH_ASKED },
		{ ALIAS AT_END "- 3/1/1/32\n" OWNER "+ 2/1/1/32",
		    "ok + 192.0.2.1 usable mx.s 1", BOTH_ASKED },
		{ ALIAS, "ok + 192.0.2.1 absent", BOTH_ASKED },
		{ ALIAS AT_END "! SERVFAIL\n" OWNER "+ 3/1/1/32",
		    "ok + 192.0.2.1 failed", END_ASKED },
		{ ALIAS OWNER "! SERVFAIL", "ok + 192.0.2.1 failed",
		    BOTH_ASKED },
		/* Unusable is found, not absent. */
		{ ALIAS AT_END "+ 0/0/1/32\n" OWNER "+ 3/1/1/32",
		    "ok + 192.0.2.1 unusable end.s 1", END_ASKED },
	};

	(void)state;
	check_rows(rows, COUNT(rows), CONFIG_IP_BOTH, true);
}

#define OUT		"mx.s A - @end.t 192.0.2.1\n"
#define OUT_ASKED	"AAAA mx.s\nA mx.s\nCNAME mx.s\n"

static void
test_insecure_alias(void **state)
{
	static const struct row rows[] = {
		{ OUT "mx.s CNAME + end.t\n" OWNER "+ 3/1/1/32",
		    "ok - 192.0.2.1 usable mx.s 1",
		    OUT_ASKED "TLSA _25._tcp.mx.s\n" },
		{ OUT "mx.s CNAME + end.t\n_25._tcp.end.t TLSA + 3/1/1/32",
		    "ok - 192.0.2.1 absent",
		    OUT_ASKED "TLSA _25._tcp.mx.s\n" },
		{ OUT "mx.s CNAME + end.t\n" OWNER "! SERVFAIL",
		    "ok - 192.0.2.1 failed", NULL },
		{ OUT "mx.s CNAME - end.t\n" OWNER "+ 3/1/1/32",
		    "ok - 192.0.2.1 insecure", OUT_ASKED },
		{ OUT "mx.s CNAME ! SERVFAIL\n" OWNER "+ 3/1/1/32",
		    "ok - 192.0.2.1 failed", OUT_ASKED },
	};

	(void)state;
	check_rows(rows, COUNT(rows), CONFIG_IP_BOTH, true);
}

static void
test_too_much_tlsa(void **state)
{
	static const struct row rows[] = {
		{ SECURE OWNER "+ 3/1/0/16000 3/1/0/16000 3/1/1/32",
		    "ok + 192.0.2.1 usable mx.s 3", NULL },
		{ SECURE OWNER "+ 3/1/0/16000 3/1/0/16800 3/1/1/32",
		    "ok + 192.0.2.1 failed", NULL },
	};

	(void)state;
	check_rows(rows, COUNT(rows), CONFIG_IP_BOTH, true);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "SMTP-5.1-6 DANE-7672-2.1.2-2 DANE-7672-2.2.2-6 addresses, "
		    "and why there are none", test_addresses, NULL, NULL,
		    NULL },
		{ "`ip' chooses the families", test_families, NULL, NULL,
		    NULL },
		{ "sixteen addresses, of both families", test_many_addresses,
		    NULL, NULL, NULL },
		{ "T24 T25 DANE-7672-2.1.2-3 DANE-7672-2.1.2-4 "
		    "DANE-7672-2.2.2-1 "
		    "DANE-7672-2.2.2-2 DANE-7672-2.2.2-3 DANE-7672-2.2.3-1 "
		    "DANE-7672-2.2.3-2 DANE-7672-2.2.3-4 DANE-7672-2.1.1-1 "
		    "DANE-7672-2.1.1-2 DANE-7672-2.1.1-3 RPT-4.3.2.1-2 TLSA "
		    "of a host without alias", test_tlsa, NULL, NULL, NULL },
		{ "DANE-7672-2.1.3-1 no TLSA is asked for without DANE",
		    test_no_dane, NULL, NULL, NULL },
		{ "DANE-7672-2.2.2-5 DANE-7672-2.2.3-3 DANE-7672-2.2.3-6 "
		    "DANE-7672-2.2.3-7 a wholly secure alias: its end, then "
		    "the name", test_secure_alias, NULL, NULL, NULL },
		{ "DANE-7672-2.2.2-4 an alias that leads out of security: the "
		    "name alone", test_insecure_alias, NULL, NULL, NULL },
		{ "more TLSA than is carried: the host is not used",
		    test_too_much_tlsa, NULL, NULL, NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
