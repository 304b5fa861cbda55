/*
 * Whose AD bit counts: what the probes prove, and which resolvers are used
 * then.
 */
#include "policy/trust.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf/log.h"
#include "conf/parent.h"

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

static struct rr_answer
answer_of(enum rr_status status, bool secure, size_t records_n)
{
	struct rr_answer answer = {
		.status = status, .secure = secure, .records_n = records_n
	};

	return answer;
}

static void
test_judge(void **state)
{
	/* The bogus name: not asked, data, and everything else. */
	enum { UNASKED, DATA, SERVFAIL, NXDOMAIN, NODATA, BROKEN, BOGUS_N };
	const struct rr_answer bogus[] = {
		[DATA] = answer_of(RR_OK, false, 1),
		[SERVFAIL] = answer_of(RR_SERVFAIL, false, 0),
		[NXDOMAIN] = answer_of(RR_NXDOMAIN, true, 0),
		[NODATA] = answer_of(RR_OK, true, 0),
		[BROKEN] = answer_of(RR_MALFORMED, false, 0)
	};
	static const struct {
		enum rr_status		status;
		bool			secure;
		size_t			records_n;
		enum trust_proof	proof;	/* unless bogus data came */
	} rows[] = {
		{ RR_OK, true, 1, TRUST_PROVEN },
		{ RR_OK, true, 0, TRUST_PROVEN },
		{ RR_NXDOMAIN, true, 0, TRUST_PROVEN },
		{ RR_OK, false, 1, TRUST_REFUSED },
		{ RR_OK, false, 0, TRUST_REFUSED },
		{ RR_NXDOMAIN, false, 0, TRUST_REFUSED },
		{ RR_SERVFAIL, false, 0, TRUST_SILENT },
		{ RR_MALFORMED, false, 0, TRUST_SILENT },
	};
	struct rr_answer asked;
	enum trust_proof wanted;
	size_t i;
	int which;

	(void)state;
	for (i = 0; i < COUNT(rows); i++)
		for (which = UNASKED; which < BOGUS_N; which++) {
			asked = answer_of(rows[i].status, rows[i].secure,
			    rows[i].records_n);
			wanted = rows[i].proof;
			if (which == DATA && wanted == TRUST_PROVEN)
				wanted = TRUST_REFUSED;
			assert_int_equal(trust_judge(&asked,
			    which == UNASKED ? NULL : &bogus[which]), wanted);
		}
}

static enum trust_proof
proof_of(char letter)
{
	switch (letter) {
	case 'r':
		return TRUST_REMOTE;
	case 's':
		return TRUST_SILENT;
	case 'p':
		return TRUST_PROVEN;
	default:
		return TRUST_REFUSED;
	}
}

static void
test_choose(void **state)
{
	/* r remote, s silent, p proven, x refused; masks as letters */
	static const struct {
		const char		*proofs;
		enum trust_state	 state;
		const char		*used, *believed;
	} rows[] = {
		{ "p", TRUST_ON, "u", "u" },
		{ "x", TRUST_OFF, "u", "-" },
		{ "s", TRUST_WAITING, "-", "-" },
		{ "r", TRUST_OFF, "u", "-" },
		{ "rr", TRUST_OFF, "uu", "--" },
		{ "pr", TRUST_ON, "u-", "u-" },
		{ "rp", TRUST_ON, "-u", "-u" },
		{ "px", TRUST_ON, "u-", "u-" },
		{ "ps", TRUST_ON, "u-", "u-" },
		{ "pp", TRUST_ON, "uu", "uu" },
		{ "xs", TRUST_OFF, "uu", "--" },
		{ "sx", TRUST_OFF, "uu", "--" },
		{ "sr", TRUST_WAITING, "--", "--" },
		{ "ss", TRUST_WAITING, "--", "--" },
		{ "xr", TRUST_OFF, "uu", "--" },
		{ "sprxs", TRUST_ON, "-u---", "-u---" },
		{ "rrrrrrrr", TRUST_OFF, "uuuuuuuu", "--------" },
		/* As many as the configuration takes. */
		{ "rrrrrrrrrrrrrrrp", TRUST_ON, "---------------u",
		    "---------------u" },
	};
	enum trust_proof proofs[RESOLVERS_MAX];
	struct trust_choice choice;
	unsigned n, j;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		n = (unsigned)strlen(rows[i].proofs);
		for (j = 0; j < n; j++)
			proofs[j] = proof_of(rows[i].proofs[j]);
		choice = trust_choose(proofs, n);
		assert_int_equal(choice.state, rows[i].state);
		for (j = 0; j < n; j++) {
			assert_int_equal(choice.used >> j & 1,
			    rows[i].used[j] == 'u');
			assert_int_equal(choice.believed >> j & 1,
			    rows[i].believed[j] == 'u');
		}
		assert_int_equal(choice.used >> n, 0);
	}
}

/* Whatever the set: AD of an unproven one never counts, nor beside one. */
static void
test_never_mixed(void **state)
{
	enum trust_proof proofs[4];
	struct trust_choice choice;
	unsigned all, i;

	(void)state;
	for (all = 0; all < 256; all++) {
		for (i = 0; i < 4; i++)
			proofs[i] = (enum trust_proof)(all >> 2 * i & 3);
		choice = trust_choose(proofs, 4);
		for (i = 0; i < 4; i++) {
			if (choice.believed >> i & 1)
				assert_int_equal(proofs[i], TRUST_PROVEN);
			if (choice.state == TRUST_ON)
				assert_int_equal(choice.used,
				    choice.believed);
			else
				assert_int_equal(choice.believed, 0);
		}
	}
}

/*
 * The probes, with this test as resolvers, dns.c and parent.
 */

static int64_t passed_s;

int
clock_gettime(clockid_t clock, struct timespec *now)
{
	int result = (int)syscall(SYS_clock_gettime, clock, now);

	now->tv_sec += passed_s;
	return result;
}

static struct probe_seen {
	unsigned	 index;
	struct domain	 name;
	enum rr_type	 type;
	resolvers_call	*call;
	void		*context;
} probes[16];
static unsigned probes_n;
static unsigned used, believed, changes, alarms;
static bool alarmed;
static char alarm_text[512];

bool
resolvers_ask(struct resolvers *unused, unsigned index,
    const struct domain *name, enum rr_type type, resolvers_call *call,
    void *context)
{
	(void)unused;
	probes[probes_n++] = (struct probe_seen){ index, *name, type, call,
	    context };
	return true;
}

struct resolvers *
dns_resolvers(struct dns *unused)
{
	(void)unused;
	return NULL;
}

void
dns_set_resolvers(struct dns *unused, const struct config_endpoint *list,
    size_t n)
{
	(void)unused;
	(void)list;
	(void)n;
	used = believed = 0;
}

void
dns_use(struct dns *unused, unsigned now_used, unsigned now_believed)
{
	(void)unused;
	used = now_used;
	believed = now_believed;
}

void
parent_alarm(const char *what, bool standing, const char *format, ...)
{
	va_list args;

	assert_string_equal(what, "resolver");
	alarms += standing && !alarmed;
	alarmed = standing;
	va_start(args, format);
	vsnprintf(alarm_text, sizeof(alarm_text), format, args);
	va_end(args);
}

static void
on_change(void *context)
{
	(void)context;
	changes++;
}

static struct loop *loop;
static struct trust *trust;

static enum config_dane dane;	/* of the next start */

/* Resolvers as "127.0.0.1 ::1 192.0.2.1". */
static void
start(enum config_trust word, const char *resolvers, const char *bogus)
{
	struct config_endpoint list[RESOLVERS_MAX];
	struct config config = { .trust_resolver = word, .dane = dane };
	struct slice rest = slice_of(resolvers);
	size_t n = 0;

	probes_n = changes = alarms = 0;
	alarmed = false;
	if (loop == NULL)
		loop = loop_new();
	trust = trust_new(loop, NULL, on_change, NULL);
	strcpy(config.trust_bogus_name.name, bogus);
	for (; rest.at != NULL; n++)
		assert_true(address_parse(slice_cut(&rest, ' '),
		    &list[n].address));
	trust_set(trust, &config, list, n);
}

/* One answer: "+" AD, "-" none, "d" data without AD, "!" SERVFAIL, "." none. */
static void
answer(const struct probe_seen *probe, char kind)
{
	uint8_t octets[512];
	size_t len = rr_query(&probe->name, probe->type, 1, octets,
	    sizeof(octets)) - 11;

	octets[2] = 0x81;
	octets[3] = (uint8_t)(kind == '+' ? 0xa0 : kind == '!' ? 0x82 : 0x80);
	octets[11] = 0;
	if (kind == 'd') {
		octets[7] = 1;
		memcpy(octets + len, "\300\014\0\1\0\1\0\0\0\1\0\4"
		    "\300\0\2\1", 16);
		len += 16;
	}
	probe->call(probe->context, (struct slice){
	    kind == '.' ? NULL : (const char *)octets, len });
}

/* The round's answers, one a resolver (and bogus name), in their order. */
static void
probe_round(const char *kinds)
{
	struct probe_seen seen[16];
	unsigned n = probes_n, i;

	assert_int_equal(n, strlen(kinds));
	memcpy(seen, probes, sizeof(seen));
	probes_n = 0;
	for (i = 0; i < n; i++)
		answer(&seen[i], kinds[i]);
}

static void
pass(int64_t s)
{
	int i;

	passed_s += s;
	for (i = 0; i < 4; i++)
		loop_turn(loop, false);
}

static void
stop(void)
{
	struct config config = { .trust_resolver = CONFIG_TRUST_NO };
	struct config_endpoint any = { .address = { .family = 4 } };

	/* No timer of this one runs into the next test. */
	trust_set(trust, &config, &any, 1);
}

static void
test_proven(void **state)
{
	(void)state;
	start(CONFIG_TRUST_AUTO, "127.0.0.1", "");
	assert_int_equal(trust_state(trust), TRUST_ASKING);
	assert_int_equal(used, 0);
	assert_int_equal(probes[0].type, RR_SOA);
	assert_string_equal(probes[0].name.name, "");
	probe_round("+");
	assert_int_equal(trust_state(trust), TRUST_ON);
	assert_int_equal(used, 1);
	assert_int_equal(believed, 1);
	assert_int_equal(changes, 1);
	assert_int_equal(alarms, 0);
	/* Hourly; silence then changes nothing, an answer without AD does. */
	pass(3599);
	assert_int_equal(probes_n, 0);
	pass(1);
	probe_round(".");
	assert_int_equal(trust_state(trust), TRUST_ON);
	pass(3600);
	probe_round("-");
	assert_int_equal(trust_state(trust), TRUST_OFF);
	assert_int_equal(used, 1);
	assert_int_equal(believed, 0);
	assert_int_equal(alarms, 1);
	assert_non_null(strstr(alarm_text, "127.0.0.1 does not validate"));
	/* Somebody mends it. */
	pass(600);
	probe_round("+");
	assert_int_equal(trust_state(trust), TRUST_ON);
	assert_false(alarmed);
	stop();
}

static void
test_silent(void **state)
{
	unsigned minute;

	(void)state;
	start(CONFIG_TRUST_AUTO, "127.0.0.1", "");
	probe_round(".");
	assert_int_equal(trust_state(trust), TRUST_WAITING);
	assert_int_equal(used, 0);
	/* Each minute; after ten of them an alarm names the way out. */
	for (minute = 1; minute <= 12; minute++) {
		pass(60);
		assert_int_equal(alarms, minute <= 10 ? 0 : 1);
		probe_round(minute % 2 == 0 ? "." : "!");
		assert_int_equal(trust_state(trust), TRUST_WAITING);
	}
	assert_non_null(strstr(alarm_text, "trust-resolver no"));
	pass(60);
	probe_round("+");
	assert_int_equal(trust_state(trust), TRUST_ON);
	assert_false(alarmed);
	assert_int_equal(changes, 2);
	stop();
}

static void
test_bogus(void **state)
{
	(void)state;
	start(CONFIG_TRUST_AUTO, "127.0.0.1", "bogus.test");
	assert_string_equal(probes[1].name.name, "bogus.test");
	assert_int_equal(probes[1].type, RR_A);
	probe_round("+d");
	assert_int_equal(trust_state(trust), TRUST_OFF);
	assert_true(alarmed);
	start(CONFIG_TRUST_AUTO, "127.0.0.1", "bogus.test");
	probe_round("+!");
	assert_int_equal(trust_state(trust), TRUST_ON);
	start(CONFIG_TRUST_AUTO, "127.0.0.1", "bogus.test");
	probe_round("+.");
	assert_int_equal(trust_state(trust), TRUST_ON);
	stop();
}

static void
test_remote(void **state)
{
	(void)state;
	start(CONFIG_TRUST_AUTO, "192.0.2.1 2001:db8::1", "");
	assert_int_equal(probes_n, 0);
	assert_int_equal(trust_state(trust), TRUST_OFF);
	assert_int_equal(used, 3);
	assert_true(alarmed);
	assert_non_null(strstr(alarm_text, "no resolver on loopback"));
	start(CONFIG_TRUST_AUTO, "192.0.2.1 ::1 127.8.9.1", "");
	probe_round("+-");
	assert_int_equal(trust_state(trust), TRUST_ON);
	assert_int_equal(used, 2);
	stop();
}

static void
test_word(void **state)
{
	(void)state;
	start(CONFIG_TRUST_YES, "192.0.2.1 127.0.0.1", "");
	assert_int_equal(trust_state(trust), TRUST_ON);
	assert_int_equal(used, 3);
	assert_int_equal(believed, 3);
	start(CONFIG_TRUST_NO, "127.0.0.1", "");
	assert_int_equal(trust_state(trust), TRUST_OFF);
	assert_int_equal(used, 1);
	assert_int_equal(believed, 0);
	assert_int_equal(probes_n, 0);
	assert_int_equal(alarms, 0);
	dane = CONFIG_DANE_OFF;
	start(CONFIG_TRUST_AUTO, "127.0.0.1 192.0.2.1", "");
	assert_int_equal(probes_n, 0);
	assert_int_equal(trust_state(trust), TRUST_OFF);
	assert_int_equal(used, 3);
	assert_int_equal(believed, 0);
	assert_int_equal(alarms, 0);
	start(CONFIG_TRUST_YES, "192.0.2.1", "");
	assert_int_equal(trust_state(trust), TRUST_ON);
	assert_int_equal(believed, 1);
	dane = CONFIG_DANE_ENFORCE;
	stop();
}

/* Neither proof nor silence is inherited; each is asked at once. */
static void
test_changes(void **state)
{
	struct config config = { .trust_resolver = CONFIG_TRUST_AUTO };
	struct config_endpoint other = { .port = 53 };

	(void)state;
	start(CONFIG_TRUST_AUTO, "127.0.0.1", "");
	probe_round("+");
	assert_int_equal(trust_state(trust), TRUST_ON);
	assert_true(address_parse(SLICE("127.0.0.2"), &other.address));
	trust_set(trust, &config, &other, 1);
	assert_int_equal(trust_state(trust), TRUST_ASKING);
	assert_int_equal(used, 0);
	probe_round(".");
	assert_int_equal(trust_state(trust), TRUST_WAITING);
	assert_true(address_parse(SLICE("127.0.0.3"), &other.address));
	trust_set(trust, &config, &other, 1);
	probe_round("+");
	assert_int_equal(trust_state(trust), TRUST_ON);
	assert_int_equal(believed, 1);
	stop();
}

/* Answers to an old set of resolvers say nothing of the new. */
static void
test_late(void **state)
{
	struct probe_seen old;
	struct config config = { .trust_resolver = CONFIG_TRUST_AUTO };
	struct config_endpoint other;

	(void)state;
	start(CONFIG_TRUST_AUTO, "127.0.0.1", "");
	old = probes[0];
	probes_n = 0;
	assert_true(address_parse(SLICE("127.0.0.2"), &other.address));
	trust_set(trust, &config, &other, 1);
	answer(&old, '+');
	assert_int_equal(trust_state(trust), TRUST_ASKING);
	probe_round("-");
	assert_int_equal(trust_state(trust), TRUST_OFF);
	stop();
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
		{ "T29 DANE-7672-2.1.3-1 what two probes prove", test_judge,
		    NULL, NULL, NULL },
		{ "DANE-7672-2.1.3-1 which resolvers are used then",
		    test_choose, NULL, NULL, NULL },
		{ "DANE-7672-2.1.3-1 no second opinion beside a proven one",
		    test_never_mixed, NULL, NULL, NULL },
		{ "DANE-7672-2.1.3-1 a resolver on loopback proves itself, "
		    "each hour", test_proven, NULL, NULL, NULL },
		{ "T29 without answer mail waits, an alarm after 10 minutes",
		    test_silent, NULL, NULL, NULL },
		{ "T29 DANE-7672-2.1.3-1 data for the bogus name disprove it",
		    test_bogus, NULL, NULL, NULL },
		{ "DANE-7672-2.1.3-1 what is not on loopback proves nothing",
		    test_remote, NULL, NULL, NULL },
		{ "T29 `yes', `no' and `dane off' need no proof", test_word,
		    NULL, NULL, NULL },
		{ "T29 each change of resolver is a new beginning",
		    test_changes, NULL, NULL, NULL },
		{ "late answers of other resolvers", test_late, NULL, NULL,
		    NULL },
	};

	log_to(no_log, NULL);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
