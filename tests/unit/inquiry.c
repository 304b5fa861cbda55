/*
 * What culver-reports hears from culver-policy over its link: DNS of text, a
 * real cache, a real outbox.
 */
#include "policy/inquiry.h"

#include "policy_fixture.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf/log.h"

#define TEXT	"version: STSv1\nmode: enforce\nmx: mx.a.t\nmax_age: 600\n"

struct world {
	char		 dir[64];
	struct loop	*loop;
	struct dns	 dns;
	struct cache	*cache;
	struct inquiry	*inquiry;
	struct config	 config;
	struct wire_port reports;	/* our end */
	uint64_t	 question;
	char		 text[16384];	/* the last answer */
};

static void
no_log(void *context, enum log_level level, const char *line)
{
	(void)context;
	(void)level;
	(void)line;
}

static void
turn(struct world *world)
{
	int i;

	for (i = 0; i < 4; i++)
		loop_turn(world->loop, false);
}

static void
link_anew(struct world *world)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET |
	    SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	wire_port_close(&world->reports);
	wire_port_open(&world->reports, ends[1], &inquiry_wire);
	inquiry_link(world->inquiry, ends[0]);
	turn(world);
}

static int
begin(void **state)
{
	struct world *world = mem_alloc(sizeof(*world));

	strcpy(world->dir, "/tmp/culver-inquiry-XXXXXX");
	if (mkdtemp(world->dir) == NULL)
		return -1;
	world->loop = loop_new();
	world->cache = cache_open(world->dir, NULL, 0);
	world->dns.zone = "";
	world->inquiry = inquiry_new(world->loop, &world->dns, world->cache);
	world->config.tls_report = true;
	inquiry_set(world->inquiry, &world->config);
	world->reports.fd = -1;
	link_anew(world);
	*state = world;
	return 0;
}

static int
end(void **state)
{
	struct world *world = *state;
	char command[128];

	dns_play(&world->dns, false);
	wire_port_close(&world->reports);
	turn(world);
	world->config.tls_report = false;
	inquiry_set(world->inquiry, &world->config);
	free(world->inquiry);
	cache_close(&world->cache);
	loop_free(&world->loop);
	snprintf(command, sizeof(command), "rm -rf %s", world->dir);
	free(world);
	return system(command);
}

static void
say(struct world *world, unsigned kind, const void *message)
{
	assert_int_equal(wire_port_send(&world->reports, kind, message, NULL,
	    wire_now_ms() + 1000), 0);
	turn(world);
}

static const char *const outcomes[] = { "ok", "again", "fail" };

static void
print_records(struct world *world, const struct r_txt_answer *answer)
{
	char *at = world->text;
	uint32_t i = 0, len;

	at += sprintf(at, "%s", outcomes[answer->outcome]);
	if (answer->text[0] != '\0')
		at += sprintf(at, " %s", answer->text);
	while (i < answer->records_len) {
		len = answer->records[i] | (uint32_t)answer->records[i + 1]
		    << 8;
		at += sprintf(at, " <%.*s>", len > 100 ? 100 : (int)len,
		    (const char *)&answer->records[i + 2]);
		i += 2 + len;
	}
	assert_int_equal(i, answer->records_len);
}

static void
print_pinned(struct world *world, const struct r_pinned *pinned)
{
	char text[ADDRESS_TEXT_MAX], *at = world->text;
	struct address address;
	unsigned i;

	at += sprintf(at, "%s", outcomes[pinned->outcome]);
	if (pinned->text[0] != '\0')
		at += sprintf(at, " %s", pinned->text);
	for (i = 0; route_get_address(pinned->addresses,
	    pinned->addresses_len, i, &address); i++)
		at += sprintf(at, " %s", address_print(&address, text));
}

static void
print_text(struct world *world, bool found, int fd)
{
	char *at = world->text;
	ssize_t n;

	/* All of it is there, and the end. */
	at += sprintf(at, found ? "found " : "none");
	n = read(fd, at, sizeof(world->text) - 10);
	assert_true(n >= 0);
	at[n] = '\0';
	assert_int_equal(read(fd, at + n + 1, 1), 0);
	close(fd);
}

/* The next answer as text; 0: none is there. */
static uint64_t
hear(struct world *world)
{
	int fds[WIRE_FDS_MAX], kind;
	const struct r_text_answer *text;
	const void *message;

	world->text[0] = '\0';
	kind = wire_port_receive(&world->reports, &message, fds,
	    wire_now_ms());
	switch (kind) {
	case R_TXT_ANSWER:
		print_records(world, message);
		return ((const struct r_txt_answer *)message)->question;
	case R_PINNED:
		print_pinned(world, message);
		return ((const struct r_pinned *)message)->question;
	case R_TEXT_ANSWER:
		text = message;
		print_text(world, text->found, fds[0]);
		return text->question;
	}
	return 0;
}

static void
ask_txt(struct world *world, const char *domain)
{
	struct r_txt message = { .question = ++world->question };

	snprintf(message.domain, sizeof(message.domain), "%s", domain);
	say(world, R_TXT, &message);
}

static void
expect(struct world *world, const char *wanted)
{
	assert_int_equal(hear(world), world->question);
	if (strcmp(world->text, wanted) != 0)
		fail_msg("%s, wanted %s", world->text, wanted);
	assert_int_equal(hear(world), 0);
}

/* ---- the record ---- */

static void
test_record(void **state)
{
	static const struct {
		const char	*zone, *domain, *wanted, *log;
	} rows[] = {
		{ "_smtp._tls.a.t TXT - v=TLSRPTv1;_rua=mailto:x@a.t", "a.t",
		    "ok <v=TLSRPTv1; rua=mailto:x@a.t>",
		    "TXT _smtp._tls.a.t\n" },
		{ "_smtp._tls.a.t TXT - one two", "A.T.", "ok <one> <two>",
		    "TXT _smtp._tls.a.t\n" },
		{ "_smtp._tls.xn--mller-kva.t TXT - x", "xn--mller-kva.t",
		    "ok <x>", "TXT _smtp._tls.xn--mller-kva.t\n" },
		{ "", "a.t", "fail no such name", "TXT _smtp._tls.a.t\n" },
		{ "_smtp._tls.a.t A - 192.0.2.1", "a.t",
		    "fail no TXT record", "TXT _smtp._tls.a.t\n" },
		/* No parent is asked. */
		{ "_smtp._tls.a.t TXT - x", "b.a.t", "fail no such name",
		    "TXT _smtp._tls.b.a.t\n" },
		/* Once more after a failure. */
		{ "_smtp._tls.a.t TXT ! SERVFAIL", "a.t",
		    "again TXT: SERVFAIL",
		    "TXT _smtp._tls.a.t\nTXT _smtp._tls.a.t\n" },
		{ "_smtp._tls.a.t TXT ! timeout", "a.t",
		    "again TXT: timeout",
		    "TXT _smtp._tls.a.t\nTXT _smtp._tls.a.t\n" },
		/* No question. */
		{ "", "[192.0.2.1]", "fail it is no domain", "" },
		{ "", "a..t", "fail it is no domain", "" },
		{ "", "", "fail it is no domain", "" },
		{ "", "b\xc3\xbc" "cher.t", "fail it is no domain", "" },
	};
	struct world *world = *state;
	size_t i;

	for (i = 0; i < COUNT(rows); i++) {
		world->dns.zone = rows[i].zone;
		world->dns.log[0] = '\0';
		ask_txt(world, rows[i].domain);
		dns_play(&world->dns, false);
		turn(world);
		expect(world, rows[i].wanted);
		assert_string_equal(world->dns.log, rows[i].log);
	}
}

static void
test_long_name(void **state)
{
	struct world *world = *state;
	char name[DOMAIN_TEXT_MAX] = "";
	unsigned i;

	for (i = 0; i < 61; i++)
		strcat(name, "abc.");
	strcat(name, "t");
	ask_txt(world, name);
	expect(world, "fail its name is too long for a record under "
	    "_smtp._tls");
	assert_string_equal(world->dns.log, "");
}

/* As much as a stranger likes to publish. */
static void
test_many_records(void **state)
{
	struct world *world = *state;
	char *zone = mem_alloc(40000);
	unsigned i;

	strcpy(zone, "_smtp._tls.a.t TXT -");
	for (i = 0; i < 65; i++) {
		strcat(zone, " ");
		memset(zone + strlen(zone), 'x', 500);
	}
	world->dns.zone = zone;
	ask_txt(world, "a.t");
	dns_play(&world->dns, false);
	turn(world);
	assert_int_equal(hear(world), world->question);
	assert_int_equal(strncmp(world->text, "ok <xxx", 7), 0);
	strcat(zone, " ");
	memset(zone + strlen(zone), 'x', 500);
	ask_txt(world, "a.t");
	dns_play(&world->dns, false);
	turn(world);
	expect(world, "fail TXT: more than 32768 octets");
	free(zone);
}

/* ---- addresses ---- */

static void
test_pin(void **state)
{
	static const struct {
		const char	*zone, *host;
		enum config_ip	 ip;
		bool		 private_too;
		const char	*wanted;
	} rows[] = {
		{ "r.t A - 192.0.2.1\nr.t AAAA - 2001:db8::1", "r.t",
		    CONFIG_IP_BOTH, false, "ok 2001:db8::1 192.0.2.1" },
		{ "r.t A - 192.0.2.1\nr.t AAAA - 2001:db8::1", "R.T.",
		    CONFIG_IP_4, false, "ok 192.0.2.1" },
		{ "r.t A - 192.0.2.1\nr.t AAAA - 2001:db8::1", "r.t",
		    CONFIG_IP_6, false, "ok 2001:db8::1" },
		{ "", "r.t", CONFIG_IP_BOTH, false, "fail no such name" },
		{ "r.t TXT - x", "r.t", CONFIG_IP_BOTH, false,
		    "fail no address record" },
		{ "r.t A ! SERVFAIL", "r.t", CONFIG_IP_BOTH, false,
		    "again A: SERVFAIL" },
		/* Private ones. */
		{ "r.t A - 127.0.0.1", "r.t", CONFIG_IP_BOTH, false,
		    "fail 127.0.0.1 is private" },
		{ "r.t A - 10.0.0.1 192.0.2.1", "r.t", CONFIG_IP_BOTH, false,
		    "ok 192.0.2.1" },
		{ "r.t A - 172.16.0.1 192.168.1.1", "r.t", CONFIG_IP_BOTH,
		    false, "fail 172.16.0.1 is private" },
		{ "r.t A - 169.254.169.254", "r.t", CONFIG_IP_BOTH, false,
		    "fail 169.254.169.254 is private" },
		{ "r.t A - 100.64.0.1", "r.t", CONFIG_IP_BOTH, false,
		    "fail 100.64.0.1 is private" },
		{ "r.t A - 0.0.0.0", "r.t", CONFIG_IP_BOTH, false,
		    "fail 0.0.0.0 is private" },
		{ "r.t AAAA - ::1", "r.t", CONFIG_IP_BOTH, false,
		    "fail ::1 is private" },
		{ "r.t AAAA - fe80::1", "r.t", CONFIG_IP_BOTH, false,
		    "fail fe80::1 is private" },
		{ "r.t AAAA - fd00::1", "r.t", CONFIG_IP_BOTH, false,
		    "fail fd00::1 is private" },
		{ "r.t AAAA - ::ffff:10.0.0.1", "r.t", CONFIG_IP_BOTH, false,
		    "fail ::ffff:10.0.0.1 is private" },
		{ "r.t AAAA - 64:ff9b::a00:1", "r.t", CONFIG_IP_BOTH, false,
		    "fail 64:ff9b::a00:1 is private" },
		{ "r.t AAAA - 2002:a00:1::1", "r.t", CONFIG_IP_BOTH, false,
		    "fail 2002:a00:1::1 is private" },
		{ "r.t A - 127.0.0.1", "r.t", CONFIG_IP_BOTH, true,
		    "ok 127.0.0.1" },
		/* Literals. */
		{ "", "[192.0.2.9]", CONFIG_IP_BOTH, false, "ok 192.0.2.9" },
		{ "", "[IPv6:2001:db8::9]", CONFIG_IP_BOTH, false,
		    "ok 2001:db8::9" },
		{ "", "[127.0.0.1]", CONFIG_IP_BOTH, false,
		    "fail 127.0.0.1 is private" },
		{ "", "[IPv6:::ffff:127.0.0.1]", CONFIG_IP_BOTH, false,
		    "fail ::ffff:127.0.0.1 is private" },
		{ "", "[127.0.0.1]", CONFIG_IP_BOTH, true, "ok 127.0.0.1" },
		{ "", "[192.0.2.9]", CONFIG_IP_6, false,
		    "fail no IPv6 address" },
		{ "", "[IPv6:2001:db8::9]", CONFIG_IP_4, false,
		    "fail no IPv4 address" },
		{ "", "r..t", CONFIG_IP_BOTH, false,
		    "fail it is no host's name" },
		{ "", "", CONFIG_IP_BOTH, false,
		    "fail it is no host's name" },
	};
	struct world *world = *state;
	struct r_pin message;
	size_t i;

	for (i = 0; i < COUNT(rows); i++) {
		world->dns.zone = rows[i].zone;
		world->config.ip = rows[i].ip;
		world->config.fetch_private_addresses = rows[i].private_too;
		inquiry_set(world->inquiry, &world->config);
		memset(&message, 0, sizeof(message));
		message.question = ++world->question;
		strcpy(message.host, rows[i].host);
		say(world, R_PIN, &message);
		dns_play(&world->dns, false);
		turn(world);
		expect(world, rows[i].wanted);
	}
	assert_null(strstr(world->dns.log, "TLSA"));
}

/* ---- the text ---- */

static void
keep(struct world *world, const char *name, struct slice body)
{
	struct cache_record record = { .id = "1", .mode = STS_ENFORCE,
	    .max_age_s = 600, .fetched_s = 1700000000 };

	strcpy(record.domain.name, name);
	cache_put(world->cache, &record, &body);
	cache_turn_end(world->cache, 0);
}

static void
ask_text(struct world *world, const char *domain, uint64_t mark)
{
	struct r_text message = { .question = ++world->question,
	    .sts_text = mark };

	strcpy(message.domain, domain);
	say(world, R_TEXT, &message);
}

static void
test_text(void **state)
{
	struct world *world = *state;
	uint64_t mark = policy_text_mark(SLICE(TEXT));

	ask_text(world, "a.t", mark);
	expect(world, "none");
	keep(world, "a.t", SLICE(TEXT));
	/* Also when its time is over. */
	ask_text(world, "a.t", mark);
	expect(world, "found " TEXT);
	ask_text(world, "A.t", mark);
	expect(world, "found " TEXT);
	/* T41: this text and no other, also under one id. */
	ask_text(world, "a.t", mark + 1);
	expect(world, "none");
	ask_text(world, "b.t", mark);
	expect(world, "none");
	ask_text(world, "a..t", mark);
	expect(world, "none");
	keep(world, "a.t", SLICE(TEXT "x: y\n"));
	/* Replaced, but a session may have been under it. */
	ask_text(world, "a.t", mark);
	expect(world, "found " TEXT);
	ask_text(world, "a.t", policy_text_mark(SLICE(TEXT "x: y\n")));
	expect(world, "found " TEXT "x: y\n");
}

/* The longest fits into the pipe before anybody reads. */
static void
test_long_text(void **state)
{
	struct world *world = *state;
	char *body = mem_alloc(STS_BODY_MAX);
	int fds[WIRE_FDS_MAX];
	const void *message;
	size_t len = 0;
	ssize_t n;

	memset(body, 'x', STS_BODY_MAX);
	keep(world, "a.t", (struct slice){ body, STS_BODY_MAX });
	ask_text(world, "a.t", policy_text_mark(
	    (struct slice){ body, STS_BODY_MAX }));
	assert_int_equal(wire_port_receive(&world->reports, &message, fds,
	    wire_now_ms()), R_TEXT_ANSWER);
	assert_true(((const struct r_text_answer *)message)->found);
	while ((n = read(fds[0], body, STS_BODY_MAX)) > 0)
		len += (size_t)n;
	assert_int_equal(n, 0);
	assert_int_equal(len, STS_BODY_MAX);
	close(fds[0]);
	free(body);
}

static void
test_mark(void **state)
{
	(void)state;
	/* FNV-1a's own vectors: the mark is on disk. */
	assert_true(policy_text_mark(SLICE("")) == 0xcbf29ce484222325u);
	assert_true(policy_text_mark(SLICE("a")) == 0xaf63dc4c8601ec8cu);
	assert_true(policy_text_mark(SLICE("foobar")) == 0x85944171f73967e8u);
}

/* ---- failed fetches ---- */

static void
fail_fetch(struct world *world, const char *domain)
{
	struct r_failed failed = { .when_s = 5,
	    .result = RESULT_STS_WEBPKI_INVALID, .reason = "why" };

	strcpy(failed.domain, domain);
	inquiry_failed(world->inquiry, &failed);
	turn(world);
}

/* "1 a.t", or "" */
static void
hear_failed(struct world *world)
{
	int fds[WIRE_FDS_MAX];
	const struct r_failed *failed;
	const void *message;

	world->text[0] = '\0';
	if (wire_port_receive(&world->reports, &message, fds,
	    wire_now_ms()) != R_FAILED)
		return;
	failed = message;
	assert_int_equal(failed->result, RESULT_STS_WEBPKI_INVALID);
	assert_string_equal(failed->reason, "why");
	assert_true(failed->epoch != 0);
	sprintf(world->text, "%d %s", (int)failed->sequence, failed->domain);
}

static void
settle(struct world *world, uint64_t sequence)
{
	struct r_failed_kept kept = { sequence };

	say(world, R_FAILED_KEPT, &kept);
}

static void
expect_failed(struct world *world, const char *wanted)
{
	hear_failed(world);
	assert_string_equal(world->text, wanted);
}

static void
test_failed(void **state)
{
	struct world *world = *state;

	fail_fetch(world, "a.t");
	fail_fetch(world, "b.t");
	expect_failed(world, "1 a.t");
	settle(world, 1);
	/* It died before the second was on disk. */
	wire_port_close(&world->reports);
	turn(world);
	fail_fetch(world, "c.t");
	link_anew(world);
	expect_failed(world, "2 b.t");
	expect_failed(world, "3 c.t");
	expect_failed(world, "");
	settle(world, 3);
	link_anew(world);
	expect_failed(world, "");
}

static void
test_off(void **state)
{
	struct world *world = *state;

	wire_port_close(&world->reports);
	turn(world);
	fail_fetch(world, "a.t");
	world->config.tls_report = false;
	inquiry_set(world->inquiry, &world->config);
	fail_fetch(world, "b.t");
	world->config.tls_report = true;
	inquiry_set(world->inquiry, &world->config);
	fail_fetch(world, "c.t");
	link_anew(world);
	expect_failed(world, "1 c.t");
	expect_failed(world, "");
}

/* ---- the link ---- */

static unsigned
asked(const struct world *world)
{
	const struct asked *at;
	unsigned n = 0;

	for (at = world->dns.asked; at != NULL; at = at->next)
		n++;
	return n;
}

/* Some run at a time; the rest waits in the socket. */
static void
test_bounded(void **state)
{
	struct world *world = *state;
	char name[32];
	unsigned i, heard = 0;

	for (i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "d%u.t", i);
		ask_txt(world, name);
	}
	assert_int_equal(asked(world), 32);
	for (i = 0; i < 10; i++) {
		dns_play(&world->dns, false);
		turn(world);
		assert_true(asked(world) <= 32);
		while (hear(world) != 0)
			heard++;
	}
	assert_int_equal(heard, 100);
}

/* Answers of 30 KiB that nobody reads: no more questions are taken. */
static void
test_full(void **state)
{
	struct world *world = *state;
	char *zone = mem_alloc(40000);
	unsigned i, heard = 0, taken = 0, rounds;
	const char *at;

	strcpy(zone, "_smtp._tls.a.t TXT - ");
	memset(zone + strlen(zone), 'x', 30000);
	world->dns.zone = zone;
	for (i = 0; i < 150; i++) {
		ask_txt(world, "a.t");
		dns_play(&world->dns, false);
	}
	turn(world);
	/* What is left in the socket has not been taken. */
	for (at = world->dns.log; (at = strchr(at, '\n')) != NULL; at++)
		taken++;
	assert_in_range(taken, 32, 120);
	for (rounds = 0; rounds < 1000 && heard < 150; rounds++) {
		while (hear(world) != 0)
			heard++;
		turn(world);
		dns_play(&world->dns, false);
	}
	assert_int_equal(heard, 150);
	free(zone);
}

/* It died: a fresh one hears nothing of the old one's questions. */
static void
test_fresh_link(void **state)
{
	struct world *world = *state;

	ask_txt(world, "a.t");
	link_anew(world);
	dns_play(&world->dns, false);
	turn(world);
	assert_int_equal(hear(world), 0);
	ask_txt(world, "a.t");
	dns_play(&world->dns, false);
	turn(world);
	expect(world, "fail no such name");
	/* Nor do answers fall into no link at all. */
	ask_txt(world, "a.t");
	wire_port_close(&world->reports);
	turn(world);
	dns_play(&world->dns, false);
	turn(world);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "RPT-3-1 RPT-3-21 R_TXT asks for _smtp._tls of the domain",
		    test_record, begin, end, NULL },
		{ "RPT-3-1 a domain too long for the record", test_long_name,
		    begin, end, NULL },
		{ "more records than a message holds", test_many_records,
		    begin, end, NULL },
		{ "RPT-7-4 R_PIN: addresses of a receiver, none of ours",
		    test_pin, begin, end, NULL },
		{ "T41 R_TEXT: this text of a policy and no other",
		    test_text, begin, end, NULL },
		{ "STS-3.3-13 the longest text", test_long_text, begin, end,
		    NULL },
		{ "the mark of a text is FNV-1a", test_mark, NULL, NULL,
		    NULL },
		{ "a failed fetch is said until it is on disk", test_failed,
		    begin, end, NULL },
		{ "tls-report off: nothing is kept", test_off, begin, end,
		    NULL },
		{ "questions at a time are bounded", test_bounded, begin, end,
		    NULL },
		{ "a link that is full takes no questions", test_full, begin,
		    end, NULL },
		{ "a fresh link begins anew", test_fresh_link, begin, end,
		    NULL },
	};

	log_to(no_log, NULL);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
