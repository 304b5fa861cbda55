/*
 * Routes, as culver-delivery hears them over its link: zones and policies as
 * text, and the messages that come back.
 */
#include "policy/route.h"

#include "policy_fixture.h"

#include <sys/socket.h>
#include <unistd.h>

#include "policy/policy.h"

#define ANSWER_MAX	8192

/* What stands in the place of trust.c and discover.c. */
static enum trust_state trusted;
static struct {
	const char	*body;		/* NULL: no policy */
	struct discovered found;
	discover_call	*call;		/* who waits for it */
	void		*context;
	struct domain	 domain;	/* asked for last */
	unsigned	 asked;
	unsigned	 held;
} policy;

enum trust_state
trust_state(const struct trust *unused)
{
	(void)unused;
	return trusted;
}

void
discover_policy(struct discover *unused, const struct domain *domain,
    discover_call *call, void *context)
{
	(void)unused;
	policy.domain = *domain;
	policy.asked++;
	policy.call = call;
	policy.context = context;
}

struct discovered *
discovered_hold(struct discovered *found)
{
	policy.held++;
	return found;
}

void
discovered_release(struct discovered **found)
{
	if (*found != NULL)
		policy.held--;
	*found = NULL;
}

/* One culver-policy, as far as routes need it, and its asker. */
struct world {
	struct loop	*loop;
	struct dns	 dns;
	struct self	*self;
	struct route	*route;
	struct config	 config;
	struct config_endpoint	listener;
	struct wire_port asker;
	uint64_t	 question;
};

static void
world_set(struct world *world, const char *listener)
{
	if (listener != NULL)
		assert_true(address_parse(slice_of(listener),
		    &world->listener.address));
	world->listener.port = 2525;
	world->config.listeners = &world->listener;
	world->config.listeners_n = listener != NULL;
	strcpy(world->config.hostname, "relay.example");
	self_set(world->self, &world->config);
	route_set(world->route, &world->config);
}

static void
link_anew(struct world *world)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET |
	    SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	wire_port_close(&world->asker);
	wire_port_open(&world->asker, ends[1], &route_wire);
	route_link(world->route, ends[0]);
}

static struct world *
world_new(const char *zone)
{
	struct world *world = mem_alloc(sizeof(*world));
	struct route_needs needs = { 0 };

	trusted = TRUST_ON;
	memset(&policy, 0, sizeof(policy));
	world->loop = loop_new();
	world->dns.zone = zone;
	world->self = self_new();
	needs.loop = world->loop;
	needs.dns = &world->dns;
	needs.self = world->self;
	world->route = route_new(&needs);
	world->asker.fd = -1;
	world_set(world, NULL);
	link_anew(world);
	return world;
}

static void
ask(struct world *world, const char *domain)
{
	struct r_ask message = {
		.question = ++world->question, .class = CLASS_MAIL
	};

	snprintf(message.domain, sizeof(message.domain), "%s", domain);
	assert_int_equal(wire_port_send(&world->asker, R_ASK, &message, NULL,
	    wire_now_ms() + 1000), 0);
	loop_turn(world->loop, false);
}

/* The policy search ends. */
static void
find_policy(void)
{
	discover_call *call = policy.call;
	struct sts_fault fault;

	if (call == NULL)
		return;
	policy.call = NULL;
	if (policy.body != NULL)
		assert_true(sts_parse_policy(slice_of(policy.body),
		    &policy.found.policy, &fault));
	policy.found.mode = policy.found.policy.mode;
	if (policy.body != NULL) {
		strcpy(policy.found.id, "7");
		policy.found.text_mark = 0x0123456789abcdef;
	}
	call(policy.context, &policy.found);
}

static char *
print_route(char *at, const struct r_route *route)
{
	static const char *const outcomes[] = { "ok", "again", "fail" };

	at += sprintf(at, "%s", outcomes[route->outcome]);
	if (route->outcome != ROUTE_OK)
		return at + sprintf(at, " %s %s %s", route->enhanced,
		    route->rule, route->clause);
	at += sprintf(at, "%s%s", route->mx_secure ? " secure" : "",
	    route->mx_implicit ? " implicit" : "");
	if (route->canonical[0] != '\0')
		at += sprintf(at, " canonical %s", route->canonical);
	if (route->policy_domain[0] != '\0')
		at += sprintf(at, " for %s", route->policy_domain);
	assert_true(route->sts_text == (route->sts != STS_ABSENT ?
	    0x0123456789abcdef : 0));
	if (route->sts != STS_ABSENT)
		at += sprintf(at, " %s %s",
		    sts_mode_name((enum sts_mode)route->sts), route->sts_id);
	if (route->hosts_dropped > 0)
		at += sprintf(at, " dropped %u", route->hosts_dropped);
	return at;
}

static char *
print_host(char *at, const struct r_host *host)
{
	static const char *const lookups[] = { "", " again", " fail" };
	char text[ADDRESS_TEXT_MAX];
	struct address address;
	unsigned i;

	at += sprintf(at, "; %u %s%s%s", host->preference, host->name,
	    host->mx_match ? "" : " mismatch", lookups[host->lookup]);
	if (host->port != 25)
		at += sprintf(at, " at %u", host->port);
	for (i = 0; route_get_address(host->addresses, host->addresses_len, i,
	    &address); i++)
		at += sprintf(at, " %s", address_print(&address, text));
	if (host->tlsa_state != TLSA_INSECURE)
		at += sprintf(at, " %s",
		    tlsa_state_name((enum tlsa_state)host->tlsa_state));
	return at;
}

/* One whole answer as text; false when none is there. */
static bool
hear(struct world *world, char text[ANSWER_MAX])
{
	int fds[WIRE_FDS_MAX], kind;
	const void *message;
	unsigned hosts = 0, announced = 0;
	char *at = text;

	text[0] = '\0';
	for (;;) {
		kind = wire_port_receive(&world->asker, &message, fds,
		    wire_now_ms());
		if (kind <= 0)
			return false;
		if (kind == R_END)
			break;
		if (kind == R_ROUTE) {
			announced = ((const struct r_route *)message)->hosts;
			at = print_route(at, message);
		} else {
			hosts++;
			at = print_host(at, message);
		}
	}
	assert_int_equal(hosts, announced);
	return true;
}

/* The next answer's valid_until, seconds from now; its hosts are read. */
static int64_t
hear_valid_s(struct world *world)
{
	int fds[WIRE_FDS_MAX], kind;
	const void *message;
	int64_t valid_s = -1;

	do {
		kind = wire_port_receive(&world->asker, &message, fds,
		    wire_now_ms());
		assert_true(kind > 0);
		if (kind == R_ROUTE)
			valid_s = ((const struct r_route *)message)->
			    valid_until - loop_wall_s();
	} while (kind != R_END);
	return valid_s;
}

static void
world_free(struct world *world)
{
	assert_int_equal(policy.held, 0);
	sts_policy_free(&policy.found.policy);
	wire_port_close(&world->asker);
	loop_turn(world->loop, false);
	loop_turn(world->loop, false);
	free(world->route);
	self_free(&world->self);
	loop_free(&world->loop);
	free(world);
}

struct row {
	const char	*domain;
	const char	*answer;
};

/* Each domain alone, with the policy's end before and after the rest. */
static void
check_rows(const char *zone, const char *body, const char *listener,
    const struct row *rows, size_t n)
{
	char answer[ANSWER_MAX];
	struct world *world;
	size_t i;
	int way;

	for (i = 0; i < n; i++)
		for (way = 0; way < 4; way++) {
			world = world_new(zone);
			policy.body = body;
			policy.found.ttl_s = 60;
			policy.found.expires_s = loop_wall_s() + 86400;
			world_set(world, listener);
			ask(world, rows[i].domain);
			if (way & 1)
				find_policy();
			dns_play(&world->dns, way & 2);
			find_policy();
			assert_true(hear(world, answer));
			if (strcmp(answer, rows[i].answer) != 0)
				fail_msg("%s: %s", rows[i].domain, answer);
			assert_false(hear(world, answer));
			world_free(world);
		}
}

static const char mx_zone[] =
	"a.t MX - 20:b.t 10:a1.t\n"
	"a1.t A - 192.0.2.1\n"
	"b.t A - 192.0.2.2\n"
	"b.t AAAA - 2001:db8::2\n"
	"implicit.t A - 192.0.2.3\n"
	"null.t MX - 0:.\n"
	"null.t A - 192.0.2.3\n"
	"null2.t MX - 0:. 10:a1.t\n"
	"num.t MX - 10:192.0.2.1\n"
	"bare.t TXT - x\n"
	"fail.t MX ! SERVFAIL\n"
	"fail.t A - 192.0.2.3\n"
	"slow.t MX ! timeout\n"
	"dead.t MX - 10:gone.t\n"
	"dead.t A - 192.0.2.3\n"
	"mixed.t MX - 10:gone.t 20:broken.t 30:a1.t\n"
	"broken.t A ! SERVFAIL\n"
	"me.t MX - 10:relay.example 20:a1.t\n"
	"me2.t MX - 10:a1.t 20:relay.example 30:b.t\n"
	"us.t MX - 10:here.t 20:a1.t\n"
	"us2.t MX - 10:a1.t 20:b.t 20:here.t 30:b2.t\n"
	"here.t A - 192.0.2.77\n"
	"us3.t A - 192.0.2.77\n"
	"zero.t A - 0.0.0.0\n";

static void
test_mx(void **state)
{
	static const struct row rows[] = {
		{ "a.t", "ok; 10 a1.t 192.0.2.1; 20 b.t 2001:db8::2 "
		    "192.0.2.2" },
		{ "A.T.", "ok; 10 a1.t 192.0.2.1; 20 b.t 2001:db8::2 "
		    "192.0.2.2" },
		{ "implicit.t", "ok implicit; 0 implicit.t 192.0.2.3" },
		{ "bare.t", "ok implicit; 0 bare.t fail" },
		{ "null.t", "fail 5.1.10 null-mx RFC 7505 3" },
		{ "null2.t", "ok; 10 a1.t 192.0.2.1" },
		{ "num.t", "fail 5.4.4 mx-unusable RFC 5321 5.1" },
		{ "none.t", "fail 5.1.2 nxdomain RFC 5321 5.1" },
		{ "fail.t", "again 4.4.3 dns RFC 5321 5.1" },
		{ "slow.t", "again 4.4.3 dns RFC 5321 5.1" },
		{ "dead.t", "ok; 10 gone.t fail" },
		{ "mixed.t", "ok; 10 gone.t fail; 20 broken.t again; "
		    "30 a1.t 192.0.2.1" },
		{ "x..y", "fail 5.1.2 bad-domain RFC 5321 4.1.2" },
		{ "", "fail 5.1.2 bad-domain RFC 5321 4.1.2" },
		{ "../../etc/passwd",
		    "fail 5.1.2 bad-domain RFC 5321 4.1.2" },
	};

	(void)state;
	check_rows(mx_zone, NULL, NULL, rows, COUNT(rows));
}

static void
test_loops(void **state)
{
	static const struct row rows[] = {
		{ "me.t", "fail 5.4.6 loop RFC 5321 5.1" },
		{ "me2.t", "ok; 10 a1.t 192.0.2.1" },
		{ "us.t", "fail 5.4.6 loop RFC 5321 5.1" },
		{ "us2.t", "ok; 10 a1.t 192.0.2.1" },
		{ "us3.t", "fail 5.4.6 loop RFC 5321 5.1" },
		{ "zero.t", "fail 5.4.6 loop RFC 5321 5.1" },
		{ "[192.0.2.77]", "fail 5.4.6 loop RFC 5321 5.1" },
	}, elsewhere[] = {
		{ "us.t", "ok; 10 here.t 192.0.2.77; 20 a1.t 192.0.2.1" },
		{ "us3.t", "ok implicit; 0 us3.t 192.0.2.77" },
	}, wildcard[] = {
		{ "us3.t", "ok implicit; 0 us3.t 192.0.2.77" },
		{ "[127.0.0.1]", "fail 5.4.6 loop RFC 5321 5.1" },
	};

	(void)state;
	check_rows(mx_zone, NULL, "192.0.2.77", rows, COUNT(rows));
	check_rows(mx_zone, NULL, "192.0.2.78", elsewhere, COUNT(elsewhere));
	check_rows(mx_zone, NULL, "0.0.0.0", wildcard, COUNT(wildcard));
}

/* No question to DNS, no policy. */
static void
test_literals(void **state)
{
	static const struct row rows[] = {
		{ "[192.0.2.9]", "ok implicit; 0 [192.0.2.9] 192.0.2.9" },
		{ "[IPv6:2001:db8::9]",
		    "ok implicit; 0 [IPv6:2001:db8::9] 2001:db8::9" },
	};
	char answer[ANSWER_MAX];
	struct world *world;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		world = world_new("");
		/* Not even a resolver is needed. */
		trusted = TRUST_WAITING;
		ask(world, rows[i].domain);
		assert_true(hear(world, answer));
		assert_string_equal(answer, rows[i].answer);
		assert_string_equal(world->dns.log, "");
		assert_int_equal(policy.asked, 0);
		world_free(world);
	}
}

static const char policy_zone[] =
	"p.t MX + 10:in.t 20:out.t 30:end.s\n"
	"in.t A - 192.0.2.1\n"
	"out.t A - @in.t 192.0.2.1\n"
	"end.s A + 192.0.2.2\n"
	"_25._tcp.end.s TLSA + 3/1/1/32\n"
	"self.t A - 192.0.2.3\n"
	"none.t MX - 10:x.t\n"
	"x.t A - 192.0.2.4\n"
	"six.t MX - 1:h1.t 2:h2.t 3:h3.t 4:h4.t 5:h5.t 6:in.t\n"
	"h1.t A - 10.0.0.1\nh2.t A - 10.0.0.2\nh3.t A - 10.0.0.3\n"
	"h4.t A - 10.0.0.4\nh5.t A - 10.0.0.5\n";

#define POLICY(mode, mx)						\
	"version: STSv1\nmode: " mode "\n" mx "max_age: 86400\n"

static void
test_policy(void **state)
{
	static const struct row enforce[] = {
		/* The exchange is compared, not where its alias leads. */
		{ "p.t", "ok secure enforce 7; 10 in.t 192.0.2.1; "
		    "20 out.t mismatch 192.0.2.1; "
		    "30 end.s mismatch 192.0.2.2 usable" },
		{ "self.t", "ok implicit enforce 7; "
		    "0 self.t mismatch 192.0.2.3" },
		{ "six.t", "ok enforce 7; 1 h1.t mismatch 10.0.0.1; "
		    "2 h2.t mismatch 10.0.0.2; 3 h3.t mismatch 10.0.0.3; "
		    "4 h4.t mismatch 10.0.0.4; 5 h5.t mismatch 10.0.0.5; "
		    "6 in.t 192.0.2.1" },
	}, testing[] = {
		{ "self.t", "ok implicit testing 7; 0 self.t 192.0.2.3" },
		{ "none.t", "ok testing 7; 10 x.t mismatch 192.0.2.4" },
	}, none[] = {
		{ "none.t", "ok none 7; 10 x.t 192.0.2.4" },
	}, absent[] = {
		{ "none.t", "ok; 10 x.t 192.0.2.4" },
	};

	(void)state;
	check_rows(policy_zone, POLICY("enforce", "mx: in.t\n"), NULL,
	    enforce, COUNT(enforce));
	check_rows(policy_zone, POLICY("testing", "mx: self.t\n"), NULL,
	    testing, COUNT(testing));
	check_rows(policy_zone, POLICY("none", "mx: nowhere.t\n"), NULL, none,
	    COUNT(none));
	check_rows(policy_zone, NULL, NULL, absent, COUNT(absent));
}

/* What a policy demands is not known: mail waits, whatever DNS has. */
static void
test_policy_again(void **state)
{
	char answer[ANSWER_MAX];
	struct world *world = world_new(policy_zone);

	(void)state;
	policy.found.again = true;
	ask(world, "p.t");
	dns_play(&world->dns, false);
	assert_false(hear(world, answer));
	find_policy();
	assert_true(hear(world, answer));
	assert_string_equal(answer, "again 4.7.5 policy-again RFC 8461 5.1");
	world_free(world);
}

/* MX and policy are asked for side by side; DNS' last word need not wait. */
static void
test_side_by_side(void **state)
{
	char answer[ANSWER_MAX];
	struct world *world = world_new(mx_zone);

	(void)state;
	ask(world, "null.t");
	assert_string_equal(world->dns.log, "MX null.t\n");
	assert_int_equal(policy.asked, 1);
	dns_play(&world->dns, false);
	assert_true(hear(world, answer));
	assert_string_equal(answer, "fail 5.1.10 null-mx RFC 7505 3");
	/* Neither its addresses nor those of the root. */
	assert_string_equal(world->dns.log, "MX null.t\n");
	find_policy();
	assert_false(hear(world, answer));
	world_free(world);
}

static void
test_questions(void **state)
{
	struct world *world = world_new(mx_zone);

	(void)state;
	ask(world, "a.t");
	dns_play(&world->dns, false);
	/* MX first; with MX records never the domain's own addresses. */
	assert_string_equal(world->dns.log, "MX a.t\nAAAA a1.t\nA a1.t\n"
	    "AAAA b.t\nA b.t\n");
	find_policy();
	world_free(world);
}

static void
test_sts_off(void **state)
{
	char answer[ANSWER_MAX];
	struct world *world = world_new(mx_zone);

	(void)state;
	world->config.mta_sts = CONFIG_STS_OFF;
	world_set(world, NULL);
	ask(world, "a.t");
	assert_int_equal(policy.asked, 0);
	dns_play(&world->dns, false);
	assert_true(hear(world, answer));
	world_free(world);
}

/* While the resolver is judged questions wait; without answer mail does. */
static void
test_resolver(void **state)
{
	char answer[ANSWER_MAX];
	struct world *world = world_new(policy_zone);

	(void)state;
	world->config.mta_sts = CONFIG_STS_OFF;
	world_set(world, NULL);
	trusted = TRUST_ASKING;
	ask(world, "p.t");
	assert_string_equal(world->dns.log, "");
	route_go_on(world->route);
	assert_string_equal(world->dns.log, "");
	trusted = TRUST_WAITING;
	route_go_on(world->route);
	assert_true(hear(world, answer));
	assert_string_equal(answer, "again 4.4.3 resolver RFC 7672 2.1");
	trusted = TRUST_ASKING;
	ask(world, "p.t");
	ask(world, "p.t");
	trusted = TRUST_OFF;
	route_go_on(world->route);
	dns_play(&world->dns, false);
	/* Without DANE no TLSA is asked for. */
	assert_null(strstr(world->dns.log, "TLSA"));
	assert_true(hear(world, answer));
	assert_true(hear(world, answer));
	trusted = TRUST_ON;
	ask(world, "p.t");
	dns_play(&world->dns, false);
	assert_non_null(strstr(world->dns.log, "TLSA _25._tcp.end.s"));
	assert_true(hear(world, answer));
	/* It proves nothing any more: what it says of hosts is too little. */
	ask(world, "p.t");
	ask(world, "smtp://[end.s]");
	trusted = TRUST_OFF;
	dns_play(&world->dns, false);
	assert_true(hear(world, answer));
	assert_string_equal(answer, "again 4.4.3 resolver RFC 7672 2.1");
	assert_true(hear(world, answer));
	assert_string_equal(answer, "again 4.4.3 resolver RFC 7672 2.1");
	world_free(world);
}

/*
 * The domain's other name, where all that leads to it is secure: told by
 * answers that are had anyway.
 */
static const char canonical_zone[] =
	"al.t MX + @real.t 10:in.t\n"
	"al2.t MX - @real.t 10:in.t\n"
	"real.t MX + 10:in.t\n"
	"in.t A - 192.0.2.1\n"
	"im.t A + @real.s 192.0.2.3\n"
	"im.t MX +\n"
	"im2.t A - @real.s 192.0.2.3\n"
	"im2.t MX + @real.s\n"
	"_25._tcp.real.s TLSA + 3/1/1/32\n";

static void
test_canonical(void **state)
{
	static const struct row rows[] = {
		{ "al.t", "ok secure canonical real.t; 10 in.t 192.0.2.1" },
		{ "al2.t", "ok; 10 in.t 192.0.2.1" },
		{ "real.t", "ok secure; 10 in.t 192.0.2.1" },
		/* No MX: what the addresses' answer says, and it alone. */
		{ "im.t", "ok secure implicit canonical real.s; "
		    "0 im.t 192.0.2.3 usable" },
		{ "im2.t", "ok secure implicit; 0 im2.t 192.0.2.3" },
	};
	struct world *world = world_new(canonical_zone);

	(void)state;
	check_rows(canonical_zone, NULL, NULL, rows, COUNT(rows));
	ask(world, "al.t");
	dns_play(&world->dns, false);
	assert_string_equal(world->dns.log, "MX al.t\nAAAA in.t\nA in.t\n");
	find_policy();
	world_free(world);
}

static const char relay_zone[] =
	"hub.t MX + 10:in.t 20:out.t\n"
	"hub.t A + 192.0.2.9\n"
	"in.t A - 192.0.2.1\n"
	"out.t A + 192.0.2.2\n"
	"_587._tcp.out.t TLSA + 3/1/1/32\n"
	"_25._tcp.out.t TLSA ! SERVFAIL\n"
	"_465._tcp.hub.t TLSA + 3/1/1/32\n"
	"null.t MX - 0:.\n"
	"dead.t MX - 10:gone.t\n"
	"bare.t TXT - x\n"
	"loop.t A - 192.0.2.77\n";

/*
 * The relay's own name is what is looked up and what its policy is asked of;
 * its port is where TLSA is asked for.
 */
static void
test_relayhosts(void **state)
{
	static const struct row rows[] = {
		{ "submission://hub.t", "ok secure for hub.t enforce 7; "
		    "10 in.t at 587 192.0.2.1; "
		    "20 out.t mismatch at 587 192.0.2.2 usable" },
		{ "smtps://[hub.t]", "ok implicit for hub.t enforce 7; "
		    "0 hub.t mismatch at 465 192.0.2.9 usable" },
		{ "smtp://[in.t]:26", "ok implicit for in.t enforce 7; "
		    "0 in.t at 26 192.0.2.1" },
	}, plain[] = {
		{ "smtp://[192.0.2.5]:26",
		    "ok implicit for [192.0.2.5]; 0 [192.0.2.5] at 26 "
		    "192.0.2.5" },
		{ "smtp://[2001:db8::5]",
		    "ok implicit for [IPv6:2001:db8::5]; "
		    "0 [IPv6:2001:db8::5] 2001:db8::5" },
		/* Nothing is for ever: the operator can mend it. */
		{ "smtp://null.t", "again 4.3.5 null-mx RFC 7505 3" },
		{ "smtp://none.t", "again 4.3.5 nxdomain RFC 5321 5.1" },
		{ "smtp://dead.t", "ok for dead.t; 10 gone.t again" },
		{ "smtp://[bare.t]", "ok implicit for bare.t; "
		    "0 bare.t again" },
		{ "smtp://x..y", "again 4.3.5 bad-domain RFC 5321 4.1.2" },
		/* Ourselves: at port 25 by address, else by port too. */
		{ "smtp://[192.0.2.77]", "again 4.3.5 loop RFC 5321 5.1" },
		{ "smtp://[loop.t]:2525", "again 4.3.5 loop RFC 5321 5.1" },
		{ "smtp://[192.0.2.77]:10025",
		    "ok implicit for [192.0.2.77]; 0 [192.0.2.77] at 10025 "
		    "192.0.2.77" },
		{ "smtp://[loop.t]:10025", "ok implicit for loop.t; "
		    "0 loop.t at 10025 192.0.2.77" },
	};

	(void)state;
	check_rows(relay_zone, POLICY("enforce", "mx: in.t\n"), NULL, rows,
	    COUNT(rows));
	check_rows(relay_zone, NULL, "192.0.2.77", plain, COUNT(plain));
}

/* Who is asked about which name. */
static void
test_relayhost_questions(void **state)
{
	static const struct {
		const char	*url, *asked, *policy;
	} rows[] = {
		{ "smtps://[hub.t]", "AAAA hub.t\nA hub.t\n"
		    "TLSA _465._tcp.hub.t\n", "hub.t" },
		{ "submission://hub.t:1587", "MX hub.t\nAAAA in.t\nA in.t\n"
		    "AAAA out.t\nA out.t\nTLSA _1587._tcp.out.t\n",
		    "hub.t" },
		{ "smtp://[192.0.2.5]:26", "", "" },
	};
	struct world *world;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		world = world_new(relay_zone);
		ask(world, rows[i].url);
		dns_play(&world->dns, false);
		assert_string_equal(world->dns.log, rows[i].asked);
		assert_string_equal(policy.domain.name, rows[i].policy);
		find_policy();
		world_free(world);
	}
}

static void
test_dane_off(void **state)
{
	char answer[ANSWER_MAX];
	struct world *world = world_new(policy_zone);

	(void)state;
	world->config.dane = CONFIG_DANE_OFF;
	world_set(world, NULL);
	ask(world, "p.t");
	dns_play(&world->dns, false);
	assert_null(strstr(world->dns.log, "TLSA"));
	find_policy();
	assert_true(hear(world, answer));
	assert_string_equal(answer, "ok secure; 10 in.t 192.0.2.1; "
	    "20 out.t 192.0.2.1; 30 end.s 192.0.2.2");
	world_free(world);
}

static int64_t
valid_with(uint32_t txt_ttl_s, int64_t expires_in_s)
{
	struct world *world = world_new(policy_zone);
	int64_t valid_s;

	policy.body = POLICY("enforce", "mx: in.t\n");
	policy.found.ttl_s = txt_ttl_s;
	policy.found.expires_s = loop_wall_s() + expires_in_s;
	ask(world, "p.t");
	find_policy();
	dns_play(&world->dns, false);
	valid_s = hear_valid_s(world);
	world_free(world);
	return valid_s;
}

/* The zone's TTL is TTL_S; a second may pass while we look. */
static void
test_valid(void **state)
{
	static const struct {
		uint32_t	txt_ttl_s;
		int64_t		expires_in_s, valid_s;
	} rows[] = {
		{ 100000, 100000, TTL_S }, { 60, 100000, 60 },
		{ 5, 100000, 30 }, { 0, 100000, 30 }, { 100000, 50, 50 },
		{ 100000, 10, 30 }, { 100000, 0, 30 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++)
		assert_in_range(valid_with(rows[i].txt_ttl_s,
		    rows[i].expires_in_s), rows[i].valid_s - 1,
		    rows[i].valid_s);
}

/* The asker died: a fresh one hears nothing of the old one's questions. */
static void
test_fresh_link(void **state)
{
	char answer[ANSWER_MAX];
	struct world *world = world_new(mx_zone);

	(void)state;
	ask(world, "a.t");
	link_anew(world);
	dns_play(&world->dns, false);
	find_policy();
	assert_false(hear(world, answer));
	ask(world, "a.t");
	dns_play(&world->dns, false);
	find_policy();
	assert_true(hear(world, answer));
	world_free(world);
}

#define LARGE_HOSTS	32
#define LARGE_OCTETS	32000
#define LARGE_N		12

/* 32 hosts of 32 KiB of TLSA records: a mebibyte each answer. */
static char *
large_zone(void)
{
	char *zone = mem_alloc(LARGE_HOSTS * 128), *at = zone;
	unsigned i;

	at += sprintf(at, "l.t MX +");
	for (i = 0; i < LARGE_HOSTS; i++)
		at += sprintf(at, " %u:h%u.t", i, i);
	for (i = 0; i < LARGE_HOSTS; i++)
		at += sprintf(at, "\nh%u.t A + 192.0.2.1\n"
		    "_25._tcp.h%u.t TLSA + 3/1/0/%d", i, i,
		    LARGE_OCTETS - 3);
	return zone;
}

/* Messages up to and with the next R_END; 0: not all is there yet. */
static unsigned
hear_large(struct world *world, unsigned *heard)
{
	int fds[WIRE_FDS_MAX], kind;
	const void *message;
	unsigned hosts;

	while ((kind = wire_port_receive(&world->asker, &message, fds,
	    wire_now_ms())) > 0) {
		hosts = *heard;
		if (kind == R_HOST) {
			assert_int_equal(((const struct r_host *)message)->
			    tlsa_len, LARGE_OCTETS + 2);
			++*heard;
		} else if (kind == R_END) {
			*heard = 0;
			return hosts;
		}
	}
	assert_int_not_equal(kind, 0);	/* the link lives */
	return 0;
}

/* An asker who reads slowly gets every answer whole, over one link. */
static void
test_large(void **state)
{
	char *zone = large_zone();
	struct world *world = world_new(zone);
	unsigned i, n = 0, hosts, heard = 0;

	(void)state;
	world->config.mta_sts = CONFIG_STS_OFF;
	world_set(world, NULL);
	for (i = 0; i < LARGE_N; i++)
		ask(world, "l.t");
	dns_play(&world->dns, false);
	for (i = 0; i < 4000 && n < LARGE_N; i++) {
		hosts = hear_large(world, &heard);
		if (hosts > 0) {
			assert_int_equal(hosts, LARGE_HOSTS);
			n++;
		}
		loop_turn(world->loop, false);
	}
	assert_int_equal(n, LARGE_N);
	/* Once more, for an asker who goes away in the middle. */
	for (i = 0; i < LARGE_N; i++)
		ask(world, "l.t");
	dns_play(&world->dns, false);
	hear_large(world, &heard);
	link_anew(world);
	ask(world, "[192.0.2.9]");
	assert_int_equal(hear_valid_s(world), 3600);
	world_free(world);
	free(zone);
}

static void
test_wire(void **state)
{
	struct address in = { .family = 6, .ip = { 1, 2, 3 } }, out;
	uint8_t octets[17 * 3];
	uint32_t len = 0;
	unsigned i;

	(void)state;
	for (i = 0; i < 3; i++) {
		in.ip[15] = (uint8_t)i;
		assert_true(route_put_address(octets, &len, sizeof(octets),
		    &in));
	}
	assert_false(route_put_address(octets, &len, sizeof(octets), &in));
	for (i = 0; i < 3; i++) {
		assert_true(route_get_address(octets, len, i, &out));
		assert_int_equal(out.ip[15], i);
		assert_int_equal(out.family, 6);
	}
	assert_false(route_get_address(octets, len, 3, &out));
	assert_false(route_get_address(octets, len - 1, 2, &out));
	octets[17] = 5;
	assert_false(route_get_address(octets, len, 1, &out));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "T42 SMTP-5.1-1 SMTP-5.1-5 SMTP-5.1-6 SMTP-5.1-7 "
		    "EXT-7505-3-1 "
		    "EXT-7505-3-2 DANE-7672-2.1.2-1 DANE-7672-2.1.2-2 "
		    "DANE-7672-2.2.2-7 routes without a policy", test_mx,
		    NULL, NULL, NULL },
		{ "SMTP-5.1-14 SMTP-5.1-15 STS-8.4-2 no route leads back to "
		    "us", test_loops, NULL, NULL, NULL },
		{ "RFC 7672 3.2.2 the domain's other name, if secure, at no "
		    "question", test_canonical, NULL, NULL, NULL },
		{ "STS-3.4-1 STS-1.1-1 T43 T46 DANE-7672-2.2.2-7 a relayhost "
		    "is judged by its own name, and never for good",
		    test_relayhosts, NULL, NULL, NULL },
		{ "T43 DANE-7672-2.2.3-1 a relayhost's TLSA at its port; "
		    "brackets ask for no MX, a literal for nothing",
		    test_relayhost_questions, NULL, NULL, NULL },
		{ "`dane off' asks for no TLSA", test_dane_off, NULL, NULL,
		    NULL },
		{ "SMTP-4.1.3-1 STS-3.4-2 DANE-7672-2.2-9 T43 an address "
		    "literal has neither MX nor policy", test_literals, NULL,
		    NULL, NULL },
		{ "STS-4-1 STS-4.1-1 STS-4.1-5 STS-5-5 STS-8.4-1 "
		    "DANE-7672-2.2.1-7 a policy marks hosts and drops none",
		    test_policy, NULL, NULL, NULL },
		{ "STS-5.1-1 an unknown policy keeps mail waiting",
		    test_policy_again, NULL, NULL, NULL },
		{ "STS-5.1-1 EXT-7505-4.1-1 MX and policy side by side",
		    test_side_by_side, NULL, NULL, NULL },
		{ "SMTP-5.1-1 SMTP-5.1-8 MX first, then the exchanges",
		    test_questions, NULL, NULL, NULL },
		{ "`mta-sts off' looks for no policy", test_sts_off, NULL,
		    NULL, NULL },
		{ "DANE-7672-2.1.3-1 questions wait for the resolver's proof",
		    test_resolver, NULL, NULL, NULL },
		{ "a route is valid for its least TTL, within bounds",
		    test_valid, NULL, NULL, NULL },
		{ "a fresh asker hears nothing of an old one's questions",
		    test_fresh_link, NULL, NULL, NULL },
		{ "answers of a mebibyte wait until the link has room",
		    test_large, NULL, NULL, NULL },
		{ "addresses travel packed", test_wire, NULL, NULL, NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
