/*
 * Questions to resolvers: two of them answer on loopback, in the same loop,
 * as the name that is asked for says; and time passes when told to.
 */
#include "policy/dns.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf/log.h"

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))
#define SERVERS		2
#define HELD_MAX	200
#define TTL_S		100

static int64_t passed_s;

/* Everybody's clock: the loop's, c-ares' and libevent's. */
int
clock_gettime(clockid_t clock, struct timespec *now)
{
	int result = (int)syscall(SYS_clock_gettime, clock, now);

	now->tv_sec += passed_s;
	return result;
}

/*
 * A resolver.  What it says of a name is the name's first label:
 *	aN		an address 192.0.2.N, TTL_S
 *	zero		the same, TTL 0
 *	servfail refused nx nxsoa silent
 *	second		SERVFAIL of the first resolver, an address of the other
 *	bareN		an alias for aN.t and nothing else
 *	circle1, circle2	bare aliases for each other
 *	chainN		a bare alias for chain(N+1)
 *	badend		a bare alias for servfail.t
 *	in		a bare alias for out.t, which is never secure
 *	heldN		the address of aN, once held ones are let go
 */
struct server {
	int		 fd;
	struct watch	*watch;
	struct config_endpoint	at;
	unsigned	 index;
	bool		 ad;
	bool		 silent;
	unsigned	 asked;
	struct held {
		uint8_t		octets[512];
		size_t		len;
		struct sockaddr_storage	from;
		socklen_t	from_len;
	}		 held[HELD_MAX];
	unsigned	 held_n;
};

static struct world {
	struct loop	*loop;
	struct dns	*dns;
	struct server	 servers[SERVERS];
	/* The last answer. */
	unsigned	 answers;
	char		 text[512];
	uint32_t	 ttl_s;
} world;

static size_t
put_name(uint8_t *octets, const char *name)
{
	size_t at = 0, len;

	for (; *name != '\0'; name += len + (name[len] == '.')) {
		len = strcspn(name, ".");
		octets[at++] = (uint8_t)len;
		memcpy(octets + at, name, len);
		at += len;
	}
	octets[at++] = 0;
	return at;
}

/* A record at the question's name; returns its length. */
static size_t
put_record(uint8_t *octets, uint8_t type, uint32_t ttl_s, const uint8_t *data,
    size_t len)
{
	const uint8_t head[] = { 0xc0, 12, 0, type, 0, 1, 0, 0,
		(uint8_t)(ttl_s >> 8), (uint8_t)ttl_s, 0, (uint8_t)len };

	memcpy(octets, head, sizeof(head));
	memcpy(octets + sizeof(head), data, len);
	return sizeof(head) + len;
}

static size_t
put_alias(uint8_t *octets, const char *target)
{
	uint8_t name[256];

	return put_record(octets, RR_CNAME, TTL_S, name,
	    put_name(name, target));
}

static size_t
put_address(uint8_t *octets, unsigned last, uint32_t ttl_s)
{
	const uint8_t address[] = { 192, 0, 2, (uint8_t)last };

	return put_record(octets, RR_A, ttl_s, address, sizeof(address));
}

static void
take_label(const uint8_t *octets, char label[64])
{
	memcpy(label, octets + 13, octets[12]);
	label[octets[12]] = '\0';
}

/* The reply's records, and by its flags whether there is one at all. */
static bool
compose(struct server *server, const char *label, uint8_t *octets,
    size_t *len)
{
	static const uint8_t soa[24] = { 0, 0, [18] = 2, [19] = 0 };
	bool ad = server->ad;
	uint8_t rcode = 0;
	unsigned n, answers = 1;
	char target[32];

	if (sscanf(label, "a%u", &n) == 1 || sscanf(label, "held%u", &n) == 1) {
		*len += put_address(octets + *len, n, TTL_S);
	} else if (strcmp(label, "zero") == 0) {
		*len += put_address(octets + *len, 1, 0);
	} else if (strcmp(label, "out") == 0) {
		ad = false;
		*len += put_address(octets + *len, 1, TTL_S);
	} else if (sscanf(label, "bare%u", &n) == 1) {
		snprintf(target, sizeof(target), "a%u.t", n);
		*len += put_alias(octets + *len, target);
	} else if (sscanf(label, "circle%u", &n) == 1) {
		*len += put_alias(octets + *len,
		    n == 1 ? "circle2.t" : "circle1.t");
	} else if (sscanf(label, "chain%u", &n) == 1) {
		snprintf(target, sizeof(target), "chain%u.t", n + 1);
		*len += put_alias(octets + *len, target);
	} else if (strcmp(label, "badend") == 0) {
		*len += put_alias(octets + *len, "servfail.t");
	} else if (strcmp(label, "in") == 0) {
		*len += put_alias(octets + *len, "out.t");
	} else if (strcmp(label, "nx") == 0) {
		rcode = 3;
		answers = 0;
	} else if (strcmp(label, "nxsoa") == 0) {
		rcode = 3;
		answers = 0;
		octets[9] = 1;
		*len += put_record(octets + *len, RR_SOA, 5000, soa, 22);
		memcpy(octets + *len - 4, "\0\0\x13\x88", 4);
	} else if (strcmp(label, "second") == 0 && server->index == 1) {
		*len += put_address(octets + *len, 2, TTL_S);
	} else if (strcmp(label, "silent") == 0) {
		return false;
	} else {
		rcode = strcmp(label, "refused") == 0 ? 5 : 2;
		answers = 0;
		ad = false;
	}
	octets[3] = (uint8_t)(0x80 | (ad ? 0x20 : 0) | rcode);
	octets[7] = (uint8_t)answers;
	return true;
}

static void
reply(struct server *server, const struct held *held)
{
	uint8_t octets[1024] = { 0 };
	char label[64];
	size_t len;

	/* Header and question as they came, without the OPT record. */
	len = held->len - 11;
	memcpy(octets, held->octets, len);
	octets[2] = 0x81;
	octets[11] = 0;
	take_label(octets, label);
	if (compose(server, label, octets, &len))
		sendto(server->fd, octets, len, 0,
		    (const struct sockaddr *)&held->from, held->from_len);
}

static bool
take_question(struct server *server)
{
	struct held held = { .from_len = sizeof(held.from) };
	char label[64];
	ssize_t len;

	len = recvfrom(server->fd, held.octets, sizeof(held.octets), 0,
	    (struct sockaddr *)&held.from, &held.from_len);
	if (len == -1)
		return false;
	assert_true(len > 12 + 11);
	held.len = (size_t)len;
	server->asked++;
	/* AD is asked for in every question. */
	assert_true(held.octets[3] & 0x20);
	take_label(held.octets, label);
	if (server->silent)
		return true;
	if (strncmp(label, "held", 4) == 0) {
		assert_true(server->held_n < HELD_MAX);
		server->held[server->held_n++] = held;
	} else {
		reply(server, &held);
	}
	return true;
}

static void
on_question(void *context, int what)
{
	(void)what;
	while (take_question(context))
		continue;
}

static void
server_begin(struct server *server, unsigned index)
{
	struct sockaddr_storage at;
	socklen_t len;
	uint16_t port;

	memset(server, 0, sizeof(*server));
	server->index = index;
	server->ad = true;
	assert_true(address_parse(SLICE("127.0.0.1"), &server->at.address));
	len = address_to_sockaddr(&server->at.address, 0, &at);
	server->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server->fd, (struct sockaddr *)&at, len), 0);
	len = sizeof(at);
	assert_int_equal(getsockname(server->fd, (struct sockaddr *)&at,
	    &len), 0);
	assert_true(address_from_sockaddr((struct sockaddr *)&at,
	    &server->at.address, &port));
	server->at.port = port;
	server->watch = watch_new(world.loop, server->fd, WATCH_READ,
	    on_question, server);
}

/* Both resolvers are used, and believed, unless a test says otherwise. */
static void
use(unsigned n, unsigned used, unsigned believed)
{
	const struct config_endpoint list[SERVERS] = {
		world.servers[0].at, world.servers[1].at
	};

	dns_set_resolvers(world.dns, list, n);
	dns_use(world.dns, used, believed);
}

static int
begin(void **state)
{
	unsigned i;

	(void)state;
	memset(&world, 0, sizeof(world));
	world.loop = loop_new();
	for (i = 0; i < SERVERS; i++)
		server_begin(&world.servers[i], i);
	world.dns = dns_new(world.loop);
	use(2, 3, 3);
	return 0;
}

/* The program's parts live as long as it does; so do the tests' ones. */
static int
end(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < SERVERS; i++) {
		watch_free(&world.servers[i].watch);
		close(world.servers[i].fd);
	}
	return 0;
}

/* Until nothing happens for a moment. */
static void
settle(void)
{
	static const struct timespec moment = { .tv_nsec = 2000000 };
	int quiet, i;

	for (quiet = 0; quiet < 3; quiet++) {
		for (i = 0; i < 20; i++)
			loop_turn(world.loop, false);
		nanosleep(&moment, NULL);
	}
}

static void
pass(int64_t s)
{
	passed_s += s;
	settle();
}

/* "+ 192.0.2.1", "- 192.0.2.1 @a1.t", "nx", "no data", "! SERVFAIL" */
static void
on_answer(void *context, const struct rr_answer *answer, const char *failure)
{
	char text[ADDRESS_TEXT_MAX];

	(void)context;
	world.answers++;
	world.ttl_s = answer->ttl_s;
	if (failure != NULL) {
		assert_int_equal(answer->status, RR_SERVFAIL);
		snprintf(world.text, sizeof(world.text), "! %s", failure);
	} else if (answer->status == RR_NXDOMAIN) {
		strcpy(world.text, "nx");
	} else if (answer->records_n == 0) {
		strcpy(world.text, "no data");
	} else {
		snprintf(world.text, sizeof(world.text), "%s %s%s%s",
		    answer->secure ? "+" : "-",
		    address_print(&answer->records[0].address, text),
		    answer->alias ? " @" : "",
		    answer->alias ? answer->canonical.name : "");
	}
}

static void
begin_ask(const char *name)
{
	struct domain domain = { "" };

	strcpy(domain.name, name);
	world.text[0] = '\0';
	dns_ask(world.dns, &domain, RR_A, on_answer, NULL);
	/* Never inside the call. */
	assert_string_equal(world.text, "");
}

static void
ask(const char *name, const char *wanted)
{
	begin_ask(name);
	settle();
	assert_string_equal(world.text, wanted);
}

static void
test_kept(void **state)
{
	struct server *server = &world.servers[0];

	(void)state;
	ask("a1.t", "+ 192.0.2.1");
	assert_int_equal(world.ttl_s, TTL_S);
	ask("a1.t", "+ 192.0.2.1");
	assert_int_equal(server->asked, 1);
	pass(60);
	ask("a1.t", "+ 192.0.2.1");
	assert_in_range(world.ttl_s, TTL_S - 61, TTL_S - 59);
	assert_int_equal(server->asked, 1);
	pass(TTL_S - 60);
	ask("a1.t", "+ 192.0.2.1");
	assert_int_equal(server->asked, 2);
	/* TTL 0: for those that wait, no other. */
	ask("zero.t", "+ 192.0.2.1");
	ask("zero.t", "+ 192.0.2.1");
	assert_int_equal(server->asked, 4);
	assert_int_equal(world.servers[1].asked, 0);
}

static void
test_fresh(void **state)
{
	const struct domain domain = { "a1.t" };

	(void)state;
	ask("a1.t", "+ 192.0.2.1");
	dns_ask_fresh(world.dns, &domain, RR_A, on_answer, NULL);
	settle();
	assert_int_equal(world.answers, 2);
	assert_int_equal(world.servers[0].asked, 2);
	/* What it brought is kept. */
	ask("a1.t", "+ 192.0.2.1");
	assert_int_equal(world.servers[0].asked, 2);
}

static void
test_shared(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < 50; i++)
		begin_ask("a1.t");
	settle();
	assert_int_equal(world.answers, 50);
	assert_int_equal(world.servers[0].asked, 1);
}

static void
test_negative(void **state)
{
	struct server *server = &world.servers[0];

	(void)state;
	ask("nxsoa.t", "nx");
	ask("nxsoa.t", "nx");
	assert_int_equal(server->asked, 1);
	/* Five thousand seconds were offered; five minutes are taken. */
	pass(299);
	ask("nxsoa.t", "nx");
	assert_int_equal(server->asked, 1);
	pass(1);
	ask("nxsoa.t", "nx");
	assert_int_equal(server->asked, 2);
	/* Without SOA it is not kept. */
	ask("nx.t", "nx");
	ask("nx.t", "nx");
	assert_int_equal(server->asked, 4);
}

static void
test_failures(void **state)
{
	(void)state;
	ask("servfail.t", "! SERVFAIL");
	/* Both were asked, and nothing is kept. */
	assert_int_equal(world.servers[0].asked, 1);
	assert_int_equal(world.servers[1].asked, 1);
	ask("servfail.t", "! SERVFAIL");
	assert_int_equal(world.servers[0].asked, 2);
	ask("refused.t", "! REFUSED");
	ask("second.t", "+ 192.0.2.2");
	ask("a b.t", "! not a name");
	ask("[192.0.2.1]", "! not a name");
}

/* Neither the environment nor a lack of dots completes a name. */
static void
test_no_search(void **state)
{
	(void)state;
	setenv("LOCALDOMAIN", "t", 1);
	setenv("RES_OPTIONS", "ndots:5", 1);
	world.dns = dns_new(world.loop);
	use(2, 3, 3);
	ask("a1", "+ 192.0.2.1");
	ask("nx", "nx");
	assert_int_equal(world.servers[0].asked, 2);
	unsetenv("LOCALDOMAIN");
	unsetenv("RES_OPTIONS");
}

/* AD counts only of who is believed; who is not used is not asked. */
static void
test_believed(void **state)
{
	(void)state;
	use(2, 3, 0);
	ask("a1.t", "- 192.0.2.1");
	/* What is kept is of the old belief. */
	dns_use(world.dns, 3, 1);
	ask("a1.t", "+ 192.0.2.1");
	ask("second.t", "- 192.0.2.2");
	dns_use(world.dns, 1, 1);
	ask("second.t", "! SERVFAIL");
	dns_use(world.dns, 2, 2);
	ask("second.t", "+ 192.0.2.2");
	world.servers[1].ad = false;
	ask("a5.t", "- 192.0.2.5");
}

static void
test_aliases(void **state)
{
	(void)state;
	ask("bare3.t", "+ 192.0.2.3 @a3.t");
	world.servers[0].ad = false;
	ask("bare4.t", "- 192.0.2.4 @a4.t");
	world.servers[0].ad = true;
	/* Secure, then insecure; insecure, then secure. */
	ask("in.t", "- 192.0.2.1 @out.t");
	ask("a7.t", "+ 192.0.2.7");
	world.servers[0].ad = false;
	ask("bare7.t", "- 192.0.2.7 @a7.t");
	ask("badend.t", "! SERVFAIL");
	ask("circle1.t", "! endless aliases");
	ask("circle2.t", "! endless aliases");
	ask("chain1.t", "! endless aliases");
}

/* Whoever waits in a circle of questions is let go. */
static void
test_two_circles(void **state)
{
	(void)state;
	begin_ask("circle1.t");
	begin_ask("circle2.t");
	settle();
	assert_int_equal(world.answers, 2);
	assert_string_equal(world.text, "! endless aliases");
}

static void
test_silence(void **state)
{
	(void)state;
	world.servers[0].silent = true;
	begin_ask("a1.t");
	settle();
	assert_int_equal(world.servers[1].asked, 0);
	pass(5);
	assert_string_equal(world.text, "+ 192.0.2.1");
	/* The silent one is asked last now, for a minute. */
	ask("a2.t", "+ 192.0.2.2");
	assert_int_equal(world.servers[1].asked, 2);
	world.servers[0].silent = false;
	pass(60);
	ask("a3.t", "+ 192.0.2.3");
	assert_int_equal(world.servers[1].asked, 2);
}

static void
test_deadline(void **state)
{
	(void)state;
	begin_ask("silent.t");
	pass(5);
	assert_int_equal(world.answers, 0);
	pass(9);
	assert_int_equal(world.answers, 0);
	pass(1);
	assert_int_equal(world.answers, 1);
	assert_string_equal(world.text, "! timeout");
	/* Late answers of resolvers that were given up harm nobody. */
	pass(60);
	assert_int_equal(world.answers, 1);
}

/* Nobody listens there: the next one, at once. */
static void
test_refused_port(void **state)
{
	(void)state;
	watch_free(&world.servers[0].watch);
	close(world.servers[0].fd);
	ask("a1.t", "+ 192.0.2.1");
	close(world.servers[1].fd);
	watch_free(&world.servers[1].watch);
	ask("a2.t", "! no answer");
	world.servers[0].fd = world.servers[1].fd = -1;
}

static void
let_go(struct server *server)
{
	unsigned i, n = server->held_n;

	server->held_n = 0;
	for (i = 0; i < n; i++)
		reply(server, &server->held[i]);
	settle();
}

/* At most a hundred at a time, and no id twice among them. */
static void
test_in_flight(void **state)
{
	static bool seen[65536];
	struct server *server = &world.servers[0];
	unsigned i, id;
	char name[32];

	(void)state;
	use(1, 1, 1);
	for (i = 0; i < 250; i++) {
		snprintf(name, sizeof(name), "held%u.t", i);
		begin_ask(name);
	}
	settle();
	assert_int_equal(server->held_n, 100);
	memset(seen, 0, sizeof(seen));
	for (i = 0; i < 100; i++) {
		id = (unsigned)server->held[i].octets[0] << 8 |
		    server->held[i].octets[1];
		assert_false(seen[id]);
		seen[id] = true;
	}
	let_go(server);
	assert_int_equal(server->held_n, 100);
	let_go(server);
	assert_int_equal(server->held_n, 50);
	let_go(server);
	assert_int_equal(world.answers, 250);
}

/* Questions wait for a resolver that may be used, not for ever. */
static void
test_none_used(void **state)
{
	(void)state;
	use(2, 0, 0);
	begin_ask("a1.t");
	settle();
	assert_int_equal(world.answers, 0);
	dns_use(world.dns, 2, 0);
	settle();
	assert_string_equal(world.text, "- 192.0.2.1");
	dns_use(world.dns, 0, 0);
	begin_ask("a2.t");
	pass(14);
	assert_int_equal(world.answers, 1);
	pass(2);
	assert_string_equal(world.text, "! timeout");
	use(0, 0, 0);
	ask("a3.t", "! no resolver");
}

/* Another set of resolvers: what is under way is asked again. */
static void
test_changed(void **state)
{
	(void)state;
	ask("a9.t", "+ 192.0.2.9");
	use(1, 1, 1);
	world.servers[0].silent = true;
	begin_ask("a1.t");
	begin_ask("bare2.t");
	settle();
	assert_int_equal(world.answers, 1);
	world.servers[0].at = world.servers[1].at;
	use(1, 0, 0);
	settle();
	assert_int_equal(world.answers, 1);
	dns_use(world.dns, 1, 0);
	settle();
	assert_int_equal(world.answers, 3);
	/* What the old ones said is forgotten. */
	ask("a9.t", "- 192.0.2.9");
}

/* What is kept is bounded; the oldest goes. */
static void
test_bounded(void **state)
{
	struct server *server = &world.servers[0];
	char name[128];
	unsigned i;

	(void)state;
	for (i = 0; i < 20000; i++) {
		snprintf(name, sizeof(name), "a1.n%u.t", i);
		begin_ask(name);
		if (i % 100 == 99) {
			while (world.answers <= i)
				loop_turn(world.loop, false);
			/* This one is used all the time. */
			begin_ask("a1.hot.t");
			loop_turn(world.loop, false);
			world.answers = i + 1;
		}
	}
	settle();
	server->asked = 0;
	ask("a1.n19999.t", "+ 192.0.2.1");
	ask("a1.hot.t", "+ 192.0.2.1");
	assert_int_equal(server->asked, 0);
	ask("a1.n0.t", "+ 192.0.2.1");
	assert_int_equal(server->asked, 1);
}

static void
test_parse(void **state)
{
	static const struct {
		const char	*text, *list;
	} rows[] = {
		{ "", "" },
		{ "127.0.0.1:53", "127.0.0.1 53" },
		{ "127.0.0.1:53 [::1]:5353", "127.0.0.1 53,::1 5353" },
		{ "  127.0.0.1:53   192.0.2.1:1 ",
		    "127.0.0.1 53,192.0.2.1 1" },
		{ "nonsense 127.0.0.1:53", "127.0.0.1 53" },
		{ "127.0.0.1", "" }, { "127.0.0.1:", "" }, { ":53", "" },
		{ "127.0.0.1:0", "" }, { "127.0.0.1:65536", "" },
		{ "127.0.0.1:65535", "127.0.0.1 65535" },
		{ "127.0.0.1:+5", "" }, { "[]:53", "" }, { "[::1:53", "" },
		{ "1.1.1.1:1 1.1.1.2:1 1.1.1.3:1 1.1.1.4:1",
		    "1.1.1.1 1,1.1.1.2 1,1.1.1.3 1" },
	};
	struct config_endpoint list[3];
	char text[256], address[ADDRESS_TEXT_MAX];
	size_t i, j, n;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		n = resolvers_parse(rows[i].text, list, COUNT(list));
		text[0] = '\0';
		for (j = 0; j < n; j++)
			sprintf(text + strlen(text), "%s%s %u",
			    j > 0 ? "," : "",
			    address_print(&list[j].address, address),
			    list[j].port);
		assert_string_equal(text, rows[i].list);
	}
}

static void
no_log(void *context, enum log_level level, const char *line)
{
	(void)context;
	(void)level;
	(void)line;
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "STS-8.1-1 DANE-7672-2.1.3-2 an answer is kept for its TTL",
		    test_kept, begin, end, NULL },
		{ "a fresh question goes past what is kept", test_fresh,
		    begin, end, NULL },
		{ "the same question at a time is one", test_shared, begin,
		    end, NULL },
		{ "\"no\" is kept as its SOA says, five minutes at most",
		    test_negative, begin, end, NULL },
		{ "DANE-7672-2.1.1-1 a failure goes to the next resolver and "
		    "is not kept", test_failures, begin, end, NULL },
		{ "SMTP-5.1-3 a name is asked for as it is", test_no_search,
		    begin, end, NULL },
		{ "DANE-7672-2.1.3-1 AD counts of who is believed",
		    test_believed, begin, end, NULL },
		{ "STS-3.1-17 DANE-7672-2.1.3-3 DANE-7672-2.1.3-4 "
		    "DANE-7672-2.1.3-5 bare aliases are followed",
		    test_aliases, begin, end, NULL },
		{ "DANE-7672-2.1.3-3 two questions in a circle",
		    test_two_circles, begin, end, NULL },
		{ "a silent resolver is asked last", test_silence, begin, end,
		    NULL },
		{ "every question ends after 15 s", test_deadline, begin, end,
		    NULL },
		{ "a resolver that is not there costs no time",
		    test_refused_port, begin, end, NULL },
		{ "a hundred in flight, each with an id of its own",
		    test_in_flight, begin, end, NULL },
		{ "questions wait for a resolver that may be used",
		    test_none_used, begin, end, NULL },
		{ "other resolvers are asked again", test_changed, begin, end,
		    NULL },
		{ "what is kept is bounded", test_bounded, begin, end, NULL },
		{ "resolvers as the parent writes them", test_parse, NULL,
		    NULL, NULL },
	};

	log_to(no_log, NULL);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
