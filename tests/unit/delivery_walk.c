/*
 * The walk through a route's hosts (delivery/walk.c, nexthop.c).
 *
 * A route is text, one word a host: its name, "!" for one that the policy's
 * patterns do not cover, "?" for one whose TLSA look-up failed, then "=" and
 * addresses: digits stand for 192.0.2.N, letters for 2001:db8::N; "-" is a
 * name that does not exist, "~" one whose look-up failed for now.  The walk
 * is played to its end, every connection failing, and printed: "a/1" for a
 * connection, "a!" for a host that is skipped, "a-" for one without address.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "delivery/facts.h"
#include "delivery/walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N(array)	(sizeof(array) / sizeof((array)[0]))

static struct address
address_of(char letter)
{
	struct address address = { .family = letter >= 'a' ? 6 : 4 };

	if (address.family == 4)
		memcpy(address.ip, (uint8_t[]){ 192, 0, 2,
		    (uint8_t)(letter - '0') }, 4);
	else
		memcpy(address.ip, (uint8_t[16]){ 0x20, 1, 0xd, 0xb8,
		    [15] = (uint8_t)letter }, 16);
	return address;
}

static char
letter_of(const struct address *address)
{
	return address->family == 4 ? (char)('0' + address->ip[3]) :
	    (char)address->ip[15];
}

static void
add_host(struct nexthop *nexthop, struct slice word)
{
	struct r_host host = { .mx_match = true, .lookup = ROUTE_OK };
	struct address address;
	size_t i = 0, name = 0;

	while (i < word.len && word.at[i] != '=') {
		if (word.at[i] == '!')
			host.mx_match = false;
		else if (word.at[i] == '?')
			host.tlsa_state = TLSA_FAILED;
		else
			host.name[name++] = word.at[i];
		i++;
	}
	for (i++; i < word.len; i++) {
		if (word.at[i] == '-' || word.at[i] == '~') {
			host.lookup = word.at[i] == '-' ? ROUTE_FAIL :
			    ROUTE_AGAIN;
			snprintf(host.lookup_text, sizeof(host.lookup_text),
			    "look-up");
			continue;
		}
		address = address_of(word.at[i]);
		route_put_address(host.addresses, &host.addresses_len,
		    sizeof(host.addresses), &address);
	}
	assert_true(nexthop_add(nexthop, &host));
}

static struct nexthop *
make_route(const char *text, enum sts_mode sts, int64_t valid_until)
{
	struct r_route route = { .sts = sts, .valid_until = valid_until };
	struct slice rest = slice_of(text), count = rest;
	struct nexthop *nexthop;

	while (count.at != NULL) {
		slice_cut(&count, ' ');
		route.hosts++;
	}
	nexthop = nexthop_new(&route, "example.org");
	while (rest.at != NULL)
		add_host(nexthop, slice_cut(&rest, ' '));
	return nexthop;
}

struct row {
	const char	*route;
	enum sts_mode	 sts;
	const char	*way;
	enum config_ip	 ip;
	const char	*except;	/* one host */
	/* policy, temporary, nonexistent, of decide_domain */
	unsigned	 counts[3];
};

static void
print_step(struct walk *walk, const struct walk_step *step,
    struct buffer *way)
{
	static const struct rule rule = { "x", "", "", "" };

	buffer_printf(way, "%s%s", way->len > 0 ? " " : "", step->host->name);
	switch (step->what) {
	case WALK_CONNECT:
		buffer_printf(way, "/%c", letter_of(&step->address));
		walk_note_try(walk, step->host->name, &step->address, 0);
		walk_note_end(walk, step->host->name, END_TEMPORARY, false,
		    NULL, "");
		break;
	case WALK_SKIP:
		buffer_printf(way, "!");
		walk_note_end(walk, step->host->name, END_POLICY, true,
		    &rule, "");
		break;
	case WALK_NOWHERE:
		buffer_printf(way, "-");
		walk_note_end(walk, step->host->name,
		    step->host->lookup == ROUTE_FAIL ? END_NONEXISTENT :
		    END_TEMPORARY, true, NULL, "");
		break;
	default:
		fail();
	}
}

static void
try_row(const struct row *row)
{
	struct nexthop *route = make_route(row->route, row->sts, 1000);
	struct config config = { .ip = row->ip };
	char names[1][DOMAIN_TEXT_MAX] = { "" };
	struct walk_except except = { names, row->except != NULL };
	struct walk walk = { .hosts_n = 0 };
	struct buffer way = { NULL, 0, 0 };
	struct domain_facts facts;
	struct walk_step step;

	if (row->except != NULL)
		snprintf(names[0], sizeof(names[0]), "%s", row->except);
	for (;;) {
		walk_next(&walk, route, CLASS_MAIL, &config, &except, 0, 0,
		    &step);
		if (step.what == WALK_OVER)
			break;
		print_step(&walk, &step, &way);
	}
	if (strcmp(way.text != NULL ? way.text : "", row->way) != 0)
		fail_msg("[%s]: %s instead of %s", row->route, way.text,
		    row->way);
	walk_domain_facts(&walk, route, CLASS_MAIL, &facts);
	if (facts.policy != row->counts[0] ||
	    facts.temporary != row->counts[1] ||
	    facts.nonexistent != row->counts[2])
		fail_msg("[%s]: %u policy, %u temporary, %u nonexistent",
		    row->route, facts.policy, facts.temporary,
		    facts.nonexistent);
	assert_int_equal(facts.hosts, route->hosts_n);
	assert_int_equal(facts.policy_rule.name != NULL, facts.policy > 0);
	buffer_free(&way);
	nexthop_free(&route);
}

#define NONE	STS_ABSENT
#define E	STS_ENFORCE

static const struct row rows[] = {
	/* every host, every address, in order */
	{ "a=1", NONE, "a/1", .counts = { 0, 1, 0 } },
	{ "a=123", NONE, "a/1 a/2 a/3", .counts = { 0, 1, 0 } },
	{ "a=1 b=2 c=3", NONE, "a/1 b/2 c/3", .counts = { 0, 3, 0 } },
	{ "a=12 b=3 c=45", NONE, "a/1 a/2 b/3 c/4 c/5",
	  .counts = { 0, 3, 0 } },
	{ "a=1a b=b2", NONE, "a/1 a/a b/b b/2", .counts = { 0, 2, 0 } },
	/* two hosts may share an address: it is tried for each */
	{ "a=1 b=1", NONE, "a/1 b/1", .counts = { 0, 2, 0 } },
	{ "a=11", NONE, "a/1", .counts = { 0, 1, 0 } },
	/* families */
	{ "a=1a2b", NONE, "a/1 a/2", .ip = CONFIG_IP_4,
	  .counts = { 0, 1, 0 } },
	{ "a=1a2b", NONE, "a/a a/b", .ip = CONFIG_IP_6,
	  .counts = { 0, 1, 0 } },
	{ "a=a b=1", NONE, "a- b/1", .ip = CONFIG_IP_4,
	  .counts = { 0, 2, 0 } },
	{ "a=ab", NONE, "a-", .ip = CONFIG_IP_4, .counts = { 0, 1, 0 } },
	/* names without addresses */
	{ "a=- b=1", NONE, "a- b/1", .counts = { 0, 1, 1 } },
	{ "a=- b=-", NONE, "a- b-", .counts = { 0, 0, 2 } },
	{ "a=~ b=-", NONE, "a- b-", .counts = { 0, 1, 1 } },
	{ "a= b=1", NONE, "a- b/1", .counts = { 0, 2, 0 } },
};

/* STS-8.4-1: in its turn, as if unreachable; the rest as ever. */
static const struct row policies[] = {
	{ "a!=1", E, "a!", .counts = { 1, 0, 0 } },
	{ "a!=1 b=2", E, "a! b/2", .counts = { 1, 1, 0 } },
	{ "a=1 b!=2 c=3", E, "a/1 b! c/3", .counts = { 1, 2, 0 } },
	{ "a!=1 b!=2 c!=3", E, "a! b! c!", .counts = { 3, 0, 0 } },
	/* Trap T19: the sixth is the only one permitted */
	{ "a!=1 b!=2 c!=3 d!=4 e!=5 f=6", E, "a! b! c! d! e! f/6",
	  .counts = { 5, 1, 0 } },
	{ "a!=1 b=2", STS_TESTING, "a/1 b/2", .counts = { 0, 2, 0 } },
	{ "a!=1 b=2", STS_NONE, "a/1 b/2", .counts = { 0, 2, 0 } },
	/* no connection where the TLSA look-up failed, DANE-7672-10-1 */
	{ "a?=1 b=2", NONE, "a! b/2", .counts = { 1, 1, 0 } },
	{ "a?=1", E, "a!", .counts = { 1, 0, 0 } },
	/* refused before its addresses are looked at */
	{ "a!=-", E, "a!", .counts = { 1, 0, 0 } },
};

/* Refused hosts do not count towards ten connections. */
static const struct row limits[] = {
	{ "a=123456789 b=123", NONE,
	  "a/1 a/2 a/3 a/4 a/5 a/6 a/7 a/8 a/9 b/1", .counts = { 0, 2, 0 } },
	{ "a=12345 b=12345 c=1", NONE,
	  "a/1 a/2 a/3 a/4 a/5 b/1 b/2 b/3 b/4 b/5", .counts = { 0, 2, 0 } },
	{ "a!=1 b!=1 c!=1 d!=1 e!=1 f!=1 g!=1 h!=1 i!=1 j!=1 k!=1 l=1", E,
	  "a! b! c! d! e! f! g! h! i! j! k! l/1", .counts = { 11, 1, 0 } },
};

static const struct row excepts[] = {
	{ "a=1 b=2", NONE, "b/2", .except = "a", .counts = { 0, 1, 0 } },
	{ "a=1 b=2", NONE, "a/1", .except = "b", .counts = { 0, 1, 0 } },
	{ "a=12", NONE, "", .except = "a", .counts = { 0, 0, 0 } },
	{ "a!=1 b=2", E, "b/2", .except = "a", .counts = { 0, 1, 0 } },
};

struct group {
	const struct row	*rows;
	size_t			 n;
};

static void
test_rows(void **state)
{
	const struct group *group = *state;
	size_t i;

	for (i = 0; i < group->n; i++)
		try_row(&group->rows[i]);
}

/* A try that counts for nothing is made once more, of this address alone. */
static void
test_forget_try(void **state)
{
	struct nexthop *nexthop = make_route("a=12", NONE, 100);
	struct config config = { .ip = CONFIG_IP_BOTH };
	struct walk walk = { .hosts_n = 0 };
	struct buffer way = { NULL, 0, 0 };
	struct walk_step step;
	unsigned i;

	(void)state;
	for (i = 0; i < 5; i++) {
		walk_next(&walk, nexthop, CLASS_MAIL, &config, NULL, 100, 0,
		    &step);
		if (step.what == WALK_OVER && i == 2) {
			walk_forget_try(&walk, "a", &nexthop->hosts[0]
			    .addresses[0]);
			continue;
		}
		if (step.what == WALK_OVER)
			break;
		print_step(&walk, &step, &way);
	}
	assert_string_equal(way.text, "a/1 a/2 a/1");
	assert_int_equal(walk.connections, 3);
	buffer_free(&way);
	nexthop_free(&nexthop);
}

/* The route is asked for anew in the middle, and comes in another order. */
static void
test_new_route(void **state)
{
	struct nexthop *old = make_route("a=12 b=3 c=4", NONE, 100);
	struct nexthop *new = make_route("c=45 b=3 a=21", NONE, 300);
	struct config config = { .ip = CONFIG_IP_BOTH };
	struct walk walk = { .hosts_n = 0 };
	struct walk_step step;
	struct buffer way = { NULL, 0, 0 };

	(void)state;
	walk_next(&walk, old, CLASS_MAIL, &config, NULL, 100, 0, &step);
	print_step(&walk, &step, &way);
	/* No host is begun after valid_until. */
	walk_next(&walk, old, CLASS_MAIL, &config, NULL, 101, 0, &step);
	assert_int_equal(step.what, WALK_ASK);
	for (;;) {
		walk_next(&walk, new, CLASS_MAIL, &config, NULL, 101, 0,
		    &step);
		if (step.what == WALK_OVER)
			break;
		print_step(&walk, &step, &way);
	}
	assert_string_equal(way.text, "a/1 c/4 c/5 b/3 a/2");
	buffer_free(&way);
	nexthop_free(&old);
	nexthop_free(&new);
}

/* What is refused, or nowhere, needs no fresh route. */
static void
test_old_route(void **state)
{
	struct nexthop *route = make_route("a!=1 b=- c=1", E, 100);
	struct config config = { .ip = CONFIG_IP_BOTH };
	struct walk walk = { .hosts_n = 0 };
	struct walk_step step;
	struct buffer way = { NULL, 0, 0 };

	(void)state;
	walk_next(&walk, route, CLASS_MAIL, &config, NULL, 500, 0, &step);
	assert_int_equal(step.what, WALK_SKIP);
	print_step(&walk, &step, &way);
	walk_next(&walk, route, CLASS_MAIL, &config, NULL, 500, 0, &step);
	assert_int_equal(step.what, WALK_NOWHERE);
	print_step(&walk, &step, &way);
	walk_next(&walk, route, CLASS_MAIL, &config, NULL, 500, 0, &step);
	assert_int_equal(step.what, WALK_ASK);
	buffer_free(&way);
	nexthop_free(&route);
}

/* Five minutes of connecting are enough. */
static void
test_time(void **state)
{
	struct nexthop *route = make_route("a=123", NONE, 1000);
	struct config config = { .ip = CONFIG_IP_BOTH };
	struct walk walk = { .hosts_n = 0 };
	struct walk_step step;

	(void)state;
	walk_next(&walk, route, CLASS_MAIL, &config, NULL, 0, 9000000, &step);
	assert_int_equal(step.what, WALK_CONNECT);
	walk_note_try(&walk, "a", &step.address, 9000000);
	walk_next(&walk, route, CLASS_MAIL, &config, NULL, 0, 9299999, &step);
	assert_int_equal(step.what, WALK_CONNECT);
	walk_next(&walk, route, CLASS_MAIL, &config, NULL, 0, 9300000, &step);
	assert_int_equal(step.what, WALK_OVER);
	nexthop_free(&route);
}

/* Of one host's ends the worst counts; of hosts the most preferred. */
static void
test_ends(void **state)
{
	static const struct rule first = { "first", "", "", "" };
	static const struct rule second = { "second", "", "", "" };
	struct nexthop *route = make_route("a=12 b=3 c=4", NONE, 1000);
	struct walk walk = { .hosts_n = 0 };
	struct domain_facts facts;

	(void)state;
	walk_note_end(&walk, "c", END_POLICY, true, &second, "");
	walk_note_end(&walk, "b", END_POLICY, false, &first, "");
	walk_note_end(&walk, "b", END_TEMPORARY, true, NULL, "");
	walk_note_end(&walk, "a", END_TEMPORARY, false, NULL, "");
	walk_note_end(&walk, "a", END_NONEXISTENT, true, NULL, "");
	walk_domain_facts(&walk, route, CLASS_MAIL, &facts);
	assert_int_equal(facts.policy, 2);
	assert_int_equal(facts.temporary, 1);
	assert_int_equal(facts.nonexistent, 0);
	assert_string_equal(facts.policy_rule.name, "first");
	/* REQUIRETLS: a definite no beside temporary ones. */
	walk = (struct walk){ .hosts_n = 0 };
	walk_note_end(&walk, "a", END_UNFIT_TLS, true, &second, "");
	walk_note_end(&walk, "b", END_TEMPORARY, true, NULL, "");
	walk_domain_facts(&walk, route, CLASS_REQUIRETLS, &facts);
	assert_int_equal(facts.unfit_tls, 1);
	assert_string_equal(facts.policy_rule.name, "second");
	nexthop_free(&route);
}

/* Rule and text that stand for the domain are those of one host. */
static void
test_decider(void **state)
{
	static const struct rule first = { "first", "", "", "" };
	static const struct rule second = { "second", "", "", "" };
	struct nexthop *route = make_route("a=1 b=23 c=4", NONE, 1000);
	struct walk walk = { .hosts_n = 0 };
	const struct walk_host *host;

	(void)state;
	assert_null(walk_decider(&walk, route));
	/* Without a policy's refusal: what happened last. */
	walk_note_end(&walk, "a", END_TEMPORARY, true, NULL, "a is dead");
	walk_note_end(&walk, "b", END_TEMPORARY, false, NULL, "b was slow");
	walk_note_end(&walk, "b", END_TEMPORARY, false, NULL, "b is dead");
	host = walk_decider(&walk, route);
	assert_string_equal(host->name, "b");
	assert_string_equal(host->text, "b is dead");
	/* A definite no outranks it, whatever came behind. */
	walk_note_end(&walk, "c", END_UNFIT_TLS, true, &second, "c cannot");
	walk_note_end(&walk, "b", END_TEMPORARY, true, NULL, "b is dead");
	host = walk_decider(&walk, route);
	assert_string_equal(host->text, "c cannot");
	assert_string_equal(host->rule.name, "second");
	/* A policy's no outranks all; of one host the first, with its text. */
	walk_note_end(&walk, "b", END_POLICY, false, &first, "b expired");
	walk_note_end(&walk, "b", END_POLICY, false, &second, "b mismatch");
	walk_note_end(&walk, "b", END_TEMPORARY, true, NULL, "b is dead");
	host = walk_decider(&walk, route);
	assert_string_equal(host->text, "b expired");
	assert_string_equal(host->rule.name, "first");
	walk_note_end(&walk, "c", END_POLICY, true, &second, "c mismatch");
	assert_ptr_equal(walk_decider(&walk, route), host);
	nexthop_free(&route);
}

/* More hosts and addresses than there is room for do no harm. */
static void
test_bounds(void **state)
{
	struct walk walk = { .hosts_n = 0 };
	struct address address = address_of('1');
	char name[16];
	unsigned i;

	(void)state;
	for (i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "h%u", i);
		walk_note_end(&walk, name, END_TEMPORARY, true, NULL, "");
		walk_note_try(&walk, name, &address, 0);
	}
	assert_int_equal(walk.hosts_n, WALK_HOSTS_MAX);
	assert_int_equal(walk.connections, 200);
}

/* ---- facts ---- */

static void
test_facts(void **state)
{
	struct nexthop *route = make_route("a=1 b!=2", E, 1000);
	struct config config = { .mta_sts = CONFIG_STS_ENFORCE };
	struct host_facts facts;

	(void)state;
	nexthop_facts(route, &route->hosts[0], CLASS_MAIL, &config, 0, &facts);
	assert_int_equal(facts.sts, STS_ENFORCE);
	assert_true(facts.mx_match);
	assert_false(facts.sts_report_only);
	assert_false(facts.name_given);
	assert_false(facts.sts_unknown);
	nexthop_facts(route, &route->hosts[1], CLASS_REPORT, &config, 0,
	    &facts);
	assert_false(facts.mx_match);
	assert_int_equal(facts.class, CLASS_REPORT);
	config.mta_sts = CONFIG_STS_REPORT;
	nexthop_facts(route, &route->hosts[1], CLASS_MAIL, &config, 0, &facts);
	assert_true(facts.sts_report_only);
	assert_int_equal(facts.sts, STS_ENFORCE);
	config.mta_sts = CONFIG_STS_OFF;
	nexthop_facts(route, &route->hosts[1], CLASS_MAIL, &config, 0, &facts);
	assert_int_equal(facts.sts, STS_ABSENT);
	assert_true(facts.mx_match);
	/* A policy that could not be had is no absence. */
	config.mta_sts = CONFIG_STS_ENFORCE;
	route->route.sts = STS_ABSENT;
	nexthop_facts(route, &route->hosts[0], CLASS_MAIL, &config, 0, &facts);
	assert_false(facts.sts_unknown);
	route->route.sts_error = RESULT_STS_POLICY_FETCH_ERROR;
	nexthop_facts(route, &route->hosts[0], CLASS_MAIL, &config, 0, &facts);
	assert_true(facts.sts_unknown);
	nexthop_free(&route);
}

/* Whether an address is signed is unknown where none was looked up. */
static void
test_unknown_address(void **state)
{
	static const struct {
		const char	*hosts, *domain, *tlsa;
	} rows_of[] = {
		{ "a=1", "b.test", "insecure" }, { "a!=1", "b.test", "insecure" },
		{ "a=-", "b.test", "" }, { "a=~", "b.test", "" },
		{ "a?=1", "b.test", "failed" }, { "a?=", "b.test", "failed" },
		{ "a=1", "[192.0.2.1]", "" },
	};
	struct config config = { .mta_sts = CONFIG_STS_ENFORCE };
	struct host_verdict verdict;
	struct host_facts facts;
	struct nexthop *route;
	struct d_host note;
	size_t i;

	(void)state;
	for (i = 0; i < N(rows_of); i++) {
		route = make_route(rows_of[i].hosts, NONE, 1000);
		route->literal = rows_of[i].domain[0] == '[';
		nexthop_facts(route, route->hosts, CLASS_MAIL, &config, 0,
		    &facts);
		verdict = decide_host(&facts);
		facts_host(&note, 1, route, route->hosts, &facts, &verdict);
		assert_string_equal(note.tlsa, rows_of[i].tlsa);
		nexthop_free(&route);
	}
}

/* Trap T43: a literal's name is given, and so is an implicit MX's. */
static void
test_name_given(void **state)
{
	struct r_route route = { .hosts = 1 };
	struct config config = { .mta_sts = CONFIG_STS_ENFORCE };
	struct r_host host = { .name = "x" };
	struct host_facts facts;
	struct nexthop *nexthop;

	(void)state;
	nexthop = nexthop_new(&route, "[192.0.2.1]");
	nexthop_add(nexthop, &host);
	nexthop_facts(nexthop, nexthop->hosts, CLASS_MAIL, &config, 0, &facts);
	assert_true(facts.name_given);
	/* One more host than announced is not taken. */
	assert_false(nexthop_add(nexthop, &host));
	nexthop_free(&nexthop);
	route.mx_implicit = true;
	nexthop = nexthop_new(&route, "x");
	nexthop_add(nexthop, &host);
	nexthop_facts(nexthop, nexthop->hosts, CLASS_MAIL, &config, 0, &facts);
	assert_true(facts.name_given);
	assert_ptr_equal(nexthop_find(nexthop, "x"), nexthop->hosts);
	assert_null(nexthop_find(nexthop, "y"));
	nexthop_free(&nexthop);
}

/*
 * What the operator says holds for the name that mail goes to: the
 * recipient's domain, or the relay's own (STS-3.4-1, trap T46).
 */
static void
test_operators_rules(void **state)
{
	static struct config_exempt exempts[] = {
		{ .domain = { "b.test" }, .until_s = 1000 },
		{ .domain = { "relay.test" }, .until_s = 1000 },
	};
	static struct config_domains required[] = {
		{ { "below.test" }, true }, { { "relay.test" }, false },
	};
	struct config config = { .exempt = exempts, .exempt_n = 2,
	    .tls_required = required, .tls_required_n = 2 };
	static const struct {
		const char	*asked;
		int64_t		 wall_s;
		bool		 exempt, required, relay, verified, given;
	} rows_of[] = {
		{ "b.test", 999, true, false, false, false, false },
		{ "b.test", 1000, false, false, false, false, false },
		{ "x.b.test", 999, false, false, false, false, false },
		{ "x.below.test", 999, false, true, false, false, false },
		{ "[192.0.2.1]", 999, false, false, false, false, true },
		{ "smtp://relay.test", 999, true, true, true, false, false },
		{ "smtp://[relay.test]", 999, true, true, true, false, true },
		{ "submission://relay.test:25", 999, true, true, true, true,
		  false },
		{ "smtps://[192.0.2.1]", 999, false, false, true, true,
		  true },
		{ "smtp://b.test", 1000, false, false, true, false, false },
	};
	struct r_route route = { .hosts = 1, .mx_secure = true };
	struct r_host host = { .name = "x", .tlsa_state = TLSA_USABLE };
	struct host_facts facts;
	struct nexthop *nexthop;
	size_t i;

	(void)state;
	for (i = 0; i < N(rows_of); i++) {
		nexthop = nexthop_new(&route, rows_of[i].asked);
		nexthop_add(nexthop, &host);
		nexthop_facts(nexthop, nexthop->hosts, CLASS_MAIL, &config,
		    rows_of[i].wall_s, &facts);
		assert_int_equal(facts.exempt, rows_of[i].exempt);
		assert_int_equal(facts.tls_required, rows_of[i].required);
		assert_int_equal(facts.relayhost, rows_of[i].relay);
		assert_int_equal(facts.relayhost_verified,
		    rows_of[i].verified);
		assert_int_equal(facts.name_given, rows_of[i].given);
		assert_int_equal(facts.tlsa, TLSA_USABLE);
		assert_true(facts.tlsa_mark != 0);
		config.dane = CONFIG_DANE_OFF;
		nexthop_facts(nexthop, nexthop->hosts, CLASS_MAIL, &config,
		    rows_of[i].wall_s, &facts);
		assert_int_equal(facts.tlsa, TLSA_INSECURE);
		assert_true(facts.tlsa_mark == 0);
		config.dane = CONFIG_DANE_ENFORCE;
		nexthop_free(&nexthop);
	}
}

/* By which name log and reports speak of it. */
static void
test_name(void **state)
{
	struct r_route route = { .hosts = 0 };
	struct nexthop *nexthop;

	(void)state;
	nexthop = nexthop_new(&route, "b.test");
	assert_string_equal(nexthop_name(nexthop), "b.test");
	nexthop_free(&nexthop);
	nexthop = nexthop_new(&route, "submission://relay.test:99");
	assert_string_equal(nexthop_name(nexthop), "relay.test");
	nexthop_free(&nexthop);
	snprintf(route.policy_domain, sizeof(route.policy_domain), "p.test");
	nexthop = nexthop_new(&route, "smtp://[relay.test]");
	assert_string_equal(nexthop_name(nexthop), "p.test");
	nexthop_free(&nexthop);
}

/* Records that a peer chose: whole ones are kept, the rest is not read. */
static void
test_records(void **state)
{
	static const uint8_t cut[] = { 3, 0, 3, 1, 1, 200, 0, 3, 1 };
	static const uint8_t lone[] = { 3 };
	struct r_route route = { .hosts = 3 };
	struct r_host host = { .name = "x", .tlsa_state = TLSA_USABLE };
	struct nexthop *nexthop = nexthop_new(&route, "b.test");

	(void)state;
	host.tlsa_len = sizeof(cut);
	memcpy(host.tlsa, cut, sizeof(cut));
	nexthop_add(nexthop, &host);
	assert_int_equal(nexthop->hosts[0].tlsa_all_len, 5);
	assert_int_equal(nexthop->hosts[0].tlsa_len, 5);
	host.tlsa_len = sizeof(lone);
	memcpy(host.tlsa, lone, sizeof(lone));
	nexthop_add(nexthop, &host);
	assert_int_equal(nexthop->hosts[1].tlsa_all_len, 0);
	assert_null(nexthop->hosts[1].tlsa_records);
	/* More than a report takes. */
	memset(host.tlsa, 0, sizeof(host.tlsa));
	host.tlsa_len = 9000;
	nexthop_add(nexthop, &host);
	assert_int_equal(nexthop->hosts[2].tlsa_all_len, 9000);
	assert_int_equal(nexthop->hosts[2].tlsa_len, REPORT_TLSA_MAX);
	nexthop_free(&nexthop);
}

/* ---- several relays ---- */

/* Counts and verdicts go on from one to the next, limits begin anew. */
static void
test_relays(void **state)
{
	static const struct rule first = { "first", "", "", "" };
	struct nexthop *one = make_route("a=12345678 b=9", NONE, 1000);
	struct nexthop *two = make_route("a=1", NONE, 1000);
	struct r_route none = { .outcome = ROUTE_FAIL };
	struct nexthop *no_way = nexthop_new(&none, "smtp://c.test");
	struct config config = { .ip = CONFIG_IP_BOTH };
	static struct walk walk;
	struct domain_facts facts;
	struct walk_step step;
	unsigned i;

	(void)state;
	walk = (struct walk){ .hosts_n = 0 };
	for (i = 0; i < 9; i++) {
		walk_next(&walk, one, CLASS_MAIL, &config, NULL, 0, 5, &step);
		assert_int_equal(step.what, WALK_CONNECT);
		walk_note_try(&walk, step.host->name, &step.address, 5);
	}
	walk_note_end(&walk, "a", END_POLICY, true, &first, "a expired");
	walk_note_end(&walk, "b", END_TEMPORARY, true, NULL, "b is dead");
	walk_next_relay(&walk, one, CLASS_MAIL);
	walk_next_relay(&walk, no_way, CLASS_MAIL);
	/* The same host and address is another way by now. */
	walk_next(&walk, two, CLASS_MAIL, &config, NULL, 0, 9000000, &step);
	assert_int_equal(step.what, WALK_CONNECT);
	walk_note_try(&walk, "a", &step.address, 9000000);
	walk_note_end(&walk, "a", END_TEMPORARY, true, NULL, "a is dead");
	assert_int_equal(walk.connections, 10);
	walk_domain_facts(&walk, two, CLASS_MAIL, &facts);
	assert_int_equal(facts.hosts, 4);
	assert_int_equal(facts.policy, 1);
	assert_int_equal(facts.temporary, 2);
	assert_int_equal(facts.nonexistent, 1);
	assert_string_equal(facts.policy_rule.name, "first");
	assert_string_equal(walk_decider(&walk, two)->text, "a expired");
	nexthop_free(&one);
	nexthop_free(&two);
	nexthop_free(&no_way);
}

/* What happened last stands for all where no policy had a word. */
static void
test_relays_last(void **state)
{
	struct nexthop *one = make_route("a=1", NONE, 1000);
	struct nexthop *two = make_route("b=1", NONE, 1000);
	static struct walk walk;

	(void)state;
	walk = (struct walk){ .hosts_n = 0 };
	walk_note_end(&walk, "a", END_TEMPORARY, true, NULL, "a is dead");
	walk_next_relay(&walk, one, CLASS_MAIL);
	assert_string_equal(walk_decider(&walk, two)->text, "a is dead");
	walk_note_end(&walk, "b", END_TEMPORARY, true, NULL, "b is dead");
	assert_string_equal(walk_decider(&walk, two)->text, "b is dead");
	nexthop_free(&one);
	nexthop_free(&two);
}

/* RTLS-4.2.1-12: unfit for REQUIRETLS everywhere is a definite no. */
static void
test_relays_unfit(void **state)
{
	static const struct rule unfit = { "unfit", "", "4.7.30", "" };
	struct nexthop *one = make_route("a=1", NONE, 1000);
	struct nexthop *two = make_route("b=1", NONE, 1000);
	struct domain_facts facts;
	static struct walk walk;

	(void)state;
	walk = (struct walk){ .hosts_n = 0 };
	walk_note_end(&walk, "a", END_UNFIT_TLS, true, &unfit, "");
	walk_next_relay(&walk, one, CLASS_REQUIRETLS);
	walk_note_end(&walk, "b", END_NONEXISTENT, true, NULL, "");
	walk_domain_facts(&walk, two, CLASS_REQUIRETLS, &facts);
	assert_int_equal(decide_domain(&facts).action, DOMAIN_FAIL);
	assert_string_equal(decide_domain(&facts).rule.enhanced, "5.7.30");
	nexthop_free(&one);
	nexthop_free(&two);
}

#define ROWS(name, rows)						\
	{ name, test_rows, NULL, NULL,					\
	  (void *)&(struct group){ (rows), N(rows) } }
#define TEST(name, function)	{ name, function, NULL, NULL, NULL }

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROWS("SMTP-5.1-9, SMTP-5.1-13, SMTP-5.2-1 all addresses in "
		    "order", rows),
		ROWS("STS-8.4-1, STS-5.1-3, STS-5-1, DANE-7672-10-1 refused "
		    "hosts in their turn", policies),
		ROWS("ten connections", limits),
		ROWS("hosts that a message was at", excepts),
		TEST("SMTP-5.1-9 a new route in the middle", test_new_route),
		TEST("no connection by an old route", test_old_route),
		TEST("a try that counts for nothing", test_forget_try),
		TEST("five minutes", test_time),
		TEST("what counts for the domain", test_ends),
		TEST("rule and text of one host", test_decider),
		TEST("bounds", test_bounds),
		TEST("facts for the decision", test_facts),
		TEST("names that were given", test_name_given),
		TEST("what is not known of an address",
		    test_unknown_address),
		TEST("STS-3.4-1, T46 exempt, tls-required, dane off",
		    test_operators_rules),
		TEST("STS-3.4-1 the name in log and reports", test_name),
		TEST("TLSA records are whole", test_records),
		TEST("one relay after the other", test_relays),
		TEST("the last relay's words", test_relays_last),
		TEST("RTLS-4.2.1-12 relays that are all unfit",
		    test_relays_unfit),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
