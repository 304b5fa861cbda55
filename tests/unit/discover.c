/*
 * Which policy applies: a domain's TXT and policy host change, fail and lie,
 * and the cache is a real one.
 */
#include "policy/discover.h"

#include "policy_fixture.h"

#include <time.h>
#include <unistd.h>

#include "conf/log.h"
#include "policy/currency.h"

#define DOMAIN		"a.t"
#define TXT		"_mta-sts.a.t TXT "
#define ID(id)		TXT "- v=STSv1;_id=" id ";"
#define POLICY(mode, mx)						\
	"version: STSv1\nmode: " mode "\n" mx "max_age: 864000\n"
#define ENFORCE		POLICY("enforce", "mx: mx.a.t\n")
#define OTHER		POLICY("enforce", "mx: other.t\n")

/* The policy host and the way to it, in the place of obtain.c. */
static struct {
	enum currency_fetch	 outcome;
	const char		*body;
	unsigned		 asked;
	char			 id[STS_ID_SIZE];
	const char		*came_first;	/* a younger one's id */
	obtain_call		*call;
	void			*context;
} host;

void
obtain_policy(struct obtain *unused, const struct domain *domain,
    const char *id, obtain_call *call, void *context)
{
	(void)unused;
	assert_string_equal(domain->name, DOMAIN);
	assert_null(host.call);		/* concurrent asks are one */
	host.asked++;
	host.call = call;
	host.context = context;
	strcpy(host.id, id);
}

struct world {
	char		 dir[64];
	struct loop	*loop;
	struct dns	 dns;
	struct cache	*cache;
	struct discover	*discover;
	unsigned	 plans;
	int64_t		 planned_s;
	/* The last answer. */
	unsigned	 answers;
	char		 text[1024];
	uint64_t	 mark;
};

static void
no_log(void *context, enum log_level level, const char *line)
{
	(void)context;
	(void)level;
	(void)line;
}

static void
on_plan(void *context, const struct domain *domain, int64_t when_s)
{
	struct world *world = context;

	assert_string_equal(domain->name, DOMAIN);
	world->plans++;
	world->planned_s = when_s;
}

static int
begin(void **state)
{
	struct config config = { .expire_s = 5 * 86400 };
	struct world *world = mem_alloc(sizeof(*world));

	memset(&host, 0, sizeof(host));
	strcpy(world->dir, "/tmp/culver-discover-XXXXXX");
	if (mkdtemp(world->dir) == NULL)
		return -1;
	world->loop = loop_new();
	world->cache = cache_open(world->dir, NULL, 0);
	world->discover = discover_new(world->loop, &world->dns,
	    world->cache, NULL, on_plan, world);
	discover_set(world->discover, &config);
	*state = world;
	return 0;
}

static int
end(void **state)
{
	struct world *world = *state;
	char command[128];

	cache_close(&world->cache);
	loop_free(&world->loop);
	snprintf(command, sizeof(command), "rm -rf %s", world->dir);
	free(world->discover);
	free(world);
	return system(command);
}

/* "enforce 1 mx.a.t", "enforce 1 mx.a.t cached: HTTP 500", "absent: why" */
static void
on_found(void *context, struct discovered *found)
{
	struct world *world = context;
	char *at = world->text;

	world->answers++;
	at += sprintf(at, "%s", found->again ? "again" :
	    sts_mode_name(found->mode));
	if (found->id[0] != '\0')
		at += sprintf(at, " %s", found->id);
	if (found->policy.mx_n > 0)
		at += sprintf(at, " %s", found->policy.mx[0].domain.name);
	if (found->cached)
		at += sprintf(at, " cached");
	if (found->error != RESULT_NONE)
		at += sprintf(at, " %s", tls_result_name(found->error));
	if (found->error_text[0] != '\0')
		sprintf(at, ": %s", found->error_text);
	assert_int_equal(found->mode == STS_ABSENT, found->expires_s == 0);
	assert_int_equal(found->mode == STS_ABSENT, found->text_mark == 0);
	world->mark = found->text_mark;
}

static void
ask(struct world *world)
{
	const struct domain domain = { DOMAIN };

	world->text[0] = '\0';
	discover_policy(world->discover, &domain, on_found, world);
	assert_string_equal(world->text, "");
}

/* What obtain.c does with the policy host's answer. */
static void
host_answers(struct world *world)
{
	struct obtained obtained = {
		host.outcome, RESULT_STS_POLICY_FETCH_ERROR, "HTTP 500"
	};
	struct slice body = slice_of(host.body != NULL ? host.body : "");
	const struct domain domain = { DOMAIN };
	obtain_call *call = host.call;
	struct cache_record record;
	struct sts_policy policy;
	struct sts_fault fault;

	host.call = NULL;
	cache_get(world->cache, &domain, &record);
	if (host.outcome == FETCHED_GOOD) {
		obtained.text = "";
		assert_true(sts_parse_policy(body, &policy, &fault));
		currency_note_fetched(&record, host.came_first != NULL ?
		    host.came_first : host.id, &policy, loop_wall_s());
		sts_policy_free(&policy);
		cache_put(world->cache, &record, &body);
	} else if (host.outcome == FETCHED_BAD) {
		currency_note_failed(&record, host.id, obtained.result,
		    obtained.text, loop_wall_s());
		cache_put(world->cache, &record, NULL);
	} else {
		obtained.text = "fetch failed";
	}
	call(host.context, &obtained);
}

static void
play(struct world *world)
{
	loop_turn(world->loop, false);
	dns_play(&world->dns, false);
	if (host.call != NULL)
		host_answers(world);
	cache_turn_end(world->cache, loop_now_ms());
}

/* One mail: this zone, this policy host, this answer, so many fetches. */
static void
mail(struct world *world, const char *zone, enum currency_fetch outcome,
    const char *body, const char *wanted, unsigned fetches)
{
	unsigned asked = host.asked;

	world->dns.zone = zone;
	host.outcome = outcome;
	host.body = body;
	ask(world);
	play(world);
	assert_string_equal(world->text, wanted);
	assert_int_equal(host.asked - asked, fetches);
}

/* Seconds pass: what the record knows of time moves into the past. */
static void
pass(struct world *world, int64_t s)
{
	const struct domain domain = { DOMAIN };
	struct cache_record record;

	cache_get(world->cache, &domain, &record);
	record.fetched_s -= s;
	record.txt_until_s -= s;
	record.error_s -= s;
	record.mail_s -= s;
	if (record.refresh_s != 0)
		record.refresh_s -= s;
	cache_put(world->cache, &record, NULL);
}

static void
test_without(void **state)
{
	struct world *world = *state;

	mail(world, "", FETCHED_GOOD, ENFORCE, "absent", 0);
	mail(world, TXT "- v=spf1_-all", FETCHED_GOOD, ENFORCE, "absent", 0);
	mail(world, TXT "- v=STSv1;_id=1; v=STSv1;_id=1;", FETCHED_GOOD,
	    ENFORCE, "absent: STS record: 2 STS records where one is allowed",
	    0);
	mail(world, ID("a-b"), FETCHED_GOOD, ENFORCE, "absent: STS record: "
	    "id \"a-b\" is not 1 to 32 letters and digits", 0);
	mail(world, TXT "! SERVFAIL", FETCHED_GOOD, ENFORCE,
	    "absent: TXT: SERVFAIL", 0);
	assert_int_equal(world->plans, 0);
}

/* A failed TXT is asked for once more; only this one name ever is. */
static void
test_questions(void **state)
{
	struct world *world = *state;

	mail(world, TXT "! timeout", FETCHED_GOOD, ENFORCE,
	    "absent: TXT: timeout", 0);
	assert_string_equal(world->dns.log,
	    "TXT _mta-sts.a.t\nTXT _mta-sts.a.t\n");
}

static void
test_first(void **state)
{
	struct world *world = *state;

	mail(world, ID("1"), FETCHED_GOOD, ENFORCE, "enforce 1 mx.a.t", 1);
	assert_int_equal(world->plans, 1);
	assert_in_range(world->planned_s, loop_wall_s() + 43199,
	    loop_wall_s() + 86400);
	/* While the TXT holds nothing is asked at all. */
	world->dns.log[0] = '\0';
	mail(world, ID("2"), FETCHED_GOOD, OTHER, "enforce 1 mx.a.t", 0);
	assert_string_equal(world->dns.log, "");
	/* Then the TXT is, and nothing else as long as it is the same. */
	pass(world, TTL_S);
	mail(world, ID("1"), FETCHED_GOOD, OTHER, "enforce 1 mx.a.t", 0);
	assert_string_equal(world->dns.log, "TXT _mta-sts.a.t\n");
	assert_int_equal(world->plans, 1);
}

static void
test_new_id(void **state)
{
	struct world *world = *state;

	mail(world, ID("2"), FETCHED_GOOD, ENFORCE, "enforce 2 mx.a.t", 1);
	pass(world, TTL_S);
	mail(world, ID("1"), FETCHED_GOOD, OTHER, "enforce 1 other.t", 1);
	pass(world, TTL_S);
	mail(world, ID("x"), FETCHED_GOOD, POLICY("none", ""), "none x", 1);
	pass(world, TTL_S);
	mail(world, ID("X"), FETCHED_GOOD, POLICY("testing", "mx: m.t\n"),
	    "testing X m.t", 1);
}

/* T1: whatever DNS says. */
static void
test_txt_gone(void **state)
{
	struct world *world = *state;

	mail(world, ID("1"), FETCHED_GOOD, ENFORCE, "enforce 1 mx.a.t", 1);
	pass(world, TTL_S);
	mail(world, "", FETCHED_GOOD, OTHER,
	    "enforce 1 mx.a.t cached: no STS record", 0);
	mail(world, TXT "! SERVFAIL", FETCHED_GOOD, OTHER,
	    "enforce 1 mx.a.t cached: TXT: SERVFAIL", 0);
	mail(world, TXT "! REFUSED", FETCHED_GOOD, OTHER,
	    "enforce 1 mx.a.t cached: TXT: REFUSED", 0);
	mail(world, TXT "- v=STSv1;_id=1; v=STSv1;_id=2;", FETCHED_GOOD,
	    OTHER, "enforce 1 mx.a.t cached: STS record: 2 STS records "
	    "where one is allowed", 0);
}

/* T5: a forged id and a blocked host. */
static void
test_fetch_fails(void **state)
{
	struct world *world = *state;

	mail(world, ID("1"), FETCHED_GOOD, ENFORCE, "enforce 1 mx.a.t", 1);
	pass(world, TTL_S);
	mail(world, ID("2"), FETCHED_BAD, NULL, "enforce 1 mx.a.t cached "
	    "sts-policy-fetch-error: HTTP 500", 1);
	mail(world, ID("2"), FETCHED_GOOD, OTHER, "enforce 1 mx.a.t cached "
	    "sts-policy-fetch-error: HTTP 500", 0);
	/* Another id is fetched at once, the failed one after 5 minutes. */
	mail(world, ID("3"), FETCHED_BAD, NULL, "enforce 1 mx.a.t cached "
	    "sts-policy-fetch-error: HTTP 500", 1);
	pass(world, 299);
	mail(world, ID("3"), FETCHED_GOOD, OTHER, "enforce 1 mx.a.t cached "
	    "sts-policy-fetch-error: HTTP 500", 0);
	pass(world, 1);
	mail(world, ID("3"), FETCHED_GOOD, OTHER, "enforce 3 other.t", 1);
}

/* T2: time alone ends it, and nothing but a fetch brings it back. */
static void
test_expired(void **state)
{
	struct world *world = *state;

	mail(world, ID("1"), FETCHED_GOOD, ENFORCE, "enforce 1 mx.a.t", 1);
	pass(world, 863990);
	mail(world, "", FETCHED_BAD, NULL,
	    "enforce 1 mx.a.t cached: no STS record", 0);
	pass(world, 10);
	mail(world, "", FETCHED_BAD, NULL, "absent", 0);
	mail(world, ID("1"), FETCHED_BAD, NULL,
	    "absent sts-policy-fetch-error: HTTP 500", 1);
	mail(world, ID("1"), FETCHED_BAD, NULL,
	    "absent sts-policy-fetch-error: HTTP 500", 0);
	pass(world, 300);
	mail(world, ID("1"), FETCHED_GOOD, ENFORCE, "enforce 1 mx.a.t", 1);
}

/* T48: the first answer does not win for the day. */
static void
test_outage(void **state)
{
	struct world *world = *state;
	unsigned i;

	mail(world, ID("1"), FETCHED_BAD, NULL,
	    "absent sts-policy-fetch-error: HTTP 500", 1);
	for (i = 0; i < 20; i++)
		mail(world, ID("1"), FETCHED_BAD, NULL,
		    "absent sts-policy-fetch-error: HTTP 500", 0);
	pass(world, 600);
	mail(world, ID("1"), FETCHED_GOOD, ENFORCE, "enforce 1 mx.a.t", 1);
}

/* Our own program's death: mail waits, nothing is held against the domain. */
static void
test_ours(void **state)
{
	struct world *world = *state;
	const struct domain domain = { DOMAIN };
	struct cache_record record;

	mail(world, ID("1"), FETCHED_OURS, NULL, "again: fetch failed", 1);
	assert_true(cache_get(world->cache, &domain, &record));
	assert_int_equal(record.error, RESULT_NONE);
	assert_int_equal(record.mail_s, 0);
	mail(world, ID("1"), FETCHED_GOOD, ENFORCE, "enforce 1 mx.a.t", 1);
	pass(world, TTL_S);
	mail(world, ID("2"), FETCHED_OURS, NULL, "again: fetch failed", 1);
	mail(world, ID("2"), FETCHED_GOOD, OTHER, "enforce 2 other.t", 1);
}

/* max_age 0 serves the mail that asked. */
static void
test_no_life(void **state)
{
	struct world *world = *state;
	const char *body = "version: STSv1\nmode: enforce\nmx: mx.a.t\n"
	    "max_age: 0\n";

	mail(world, ID("1"), FETCHED_GOOD, body, "enforce 1 mx.a.t", 1);
	mail(world, ID("1"), FETCHED_GOOD, body, "enforce 1 mx.a.t", 1);
	mail(world, ID("1"), FETCHED_BAD, body,
	    "absent sts-policy-fetch-error: HTTP 500", 1);
	mail(world, "", FETCHED_GOOD, body, "absent", 0);
	assert_int_equal(world->plans, 0);
}

/* The mark is of the text that applies, also under one id. */
static void
test_marks(void **state)
{
	struct world *world = *state;

	mail(world, ID("1"), FETCHED_GOOD, ENFORCE, "enforce 1 mx.a.t", 1);
	assert_true(world->mark == policy_text_mark(SLICE(ENFORCE)));
	mail(world, ID("1"), FETCHED_GOOD, ENFORCE, "enforce 1 mx.a.t", 0);
	assert_true(world->mark == policy_text_mark(SLICE(ENFORCE)));
	pass(world, TTL_S);
	mail(world, ID("2"), FETCHED_GOOD, OTHER, "enforce 2 other.t", 1);
	assert_true(world->mark == policy_text_mark(SLICE(OTHER)));
	pass(world, TTL_S);
	mail(world, ID("3"), FETCHED_BAD, NULL, "enforce 2 other.t cached "
	    "sts-policy-fetch-error: HTTP 500", 1);
	assert_true(world->mark == policy_text_mark(SLICE(OTHER)));
}

/*
 * A younger fetch under a newer id has come first: its policy applies, but
 * this mail's TXT has not confirmed it.
 */
static void
test_outdone(void **state)
{
	const struct domain domain = { DOMAIN };
	struct world *world = *state;
	struct cache_record record;

	host.came_first = "2";
	mail(world, ID("1"), FETCHED_GOOD, OTHER, "enforce 2 other.t", 1);
	cache_get(world->cache, &domain, &record);
	assert_true(record.txt_until_s <= loop_wall_s());
	host.came_first = NULL;
	mail(world, ID("3"), FETCHED_GOOD, ENFORCE, "enforce 3 mx.a.t", 1);
	cache_get(world->cache, &domain, &record);
	assert_true(record.txt_until_s > loop_wall_s());
}

static void
test_concurrent(void **state)
{
	struct world *world = *state;
	unsigned i;

	world->dns.zone = ID("1");
	host.outcome = FETCHED_GOOD;
	host.body = ENFORCE;
	for (i = 0; i < 10; i++)
		ask(world);
	loop_turn(world->loop, false);
	for (i = 0; i < 10; i++)
		ask(world);
	dns_play(&world->dns, false);
	for (i = 0; i < 10; i++)
		ask(world);
	assert_int_equal(world->answers, 0);
	host_answers(world);
	assert_int_equal(world->answers, 30);
	assert_string_equal(world->text, "enforce 1 mx.a.t");
	assert_int_equal(host.asked, 1);
	assert_string_equal(world->dns.log, "TXT _mta-sts.a.t\n");
}

/* What was known is lost: what may have been enforced is not let go. */
static void
test_lost(void **state)
{
	const char *again = "again: the kept policy, if any, was lost, and it "
	    "cannot be had: ";
	const struct domain domain = { DOMAIN };
	struct world *world = *state;
	struct cache_record record;
	char wanted[256];

	cache_bury(world->cache, &domain, &record);
	mail(world, "", FETCHED_GOOD, ENFORCE, "absent", 0);
	snprintf(wanted, sizeof(wanted), "%sTXT: SERVFAIL", again);
	mail(world, TXT "! SERVFAIL", FETCHED_GOOD, ENFORCE, wanted, 0);
	snprintf(wanted, sizeof(wanted), "%sHTTP 500", again);
	mail(world, ID("1"), FETCHED_BAD, NULL, wanted, 1);
	mail(world, ID("1"), FETCHED_BAD, NULL, wanted, 0);
	mail(world, ID("2"), FETCHED_GOOD, ENFORCE, "enforce 2 mx.a.t", 1);
	/* `expire' later it is forgotten. */
	cache_bury(world->cache, &domain, &record);
	record.lost_s -= 5 * 86400;
	cache_put(world->cache, &record, NULL);
	mail(world, ID("1"), FETCHED_BAD, NULL,
	    "absent sts-policy-fetch-error: HTTP 500", 1);
}

/* A text that an older culver took and this one does not. */
static void
test_bad_text(void **state)
{
	const struct domain domain = { DOMAIN };
	struct slice body = SLICE("version: STSv0\n");
	struct world *world = *state;
	struct cache_record record;

	mail(world, ID("1"), FETCHED_GOOD, ENFORCE, "enforce 1 mx.a.t", 1);
	cache_get(world->cache, &domain, &record);
	cache_put(world->cache, &record, &body);
	mail(world, ID("1"), FETCHED_GOOD, ENFORCE,
	    "again: the kept policy is damaged", 0);
	mail(world, ID("1"), FETCHED_GOOD, ENFORCE, "enforce 1 mx.a.t", 1);
}

/* Mail after long: the refresh that had stopped goes on. */
static void
test_mail_again(void **state)
{
	const struct domain domain = { DOMAIN };
	struct world *world = *state;
	struct cache_record record;

	mail(world, ID("1"), FETCHED_GOOD, ENFORCE, "enforce 1 mx.a.t", 1);
	assert_int_equal(world->plans, 1);
	cache_get(world->cache, &domain, &record);
	record.refresh_s = 0;
	cache_put(world->cache, &record, NULL);
	mail(world, ID("1"), FETCHED_GOOD, ENFORCE, "enforce 1 mx.a.t", 0);
	assert_int_equal(world->plans, 2);
	cache_get(world->cache, &domain, &record);
	assert_int_equal(record.refresh_s, world->planned_s);
}

/* T4: a hundred deliveries, over days and restarts of the TTL. */
static void
test_hundred(void **state)
{
	struct world *world = *state;
	unsigned i;

	mail(world, ID("1"), FETCHED_GOOD, ENFORCE, "enforce 1 mx.a.t", 1);
	world->dns.log[0] = '\0';
	for (i = 0; i < 100; i++) {
		pass(world, TTL_S / 2);
		mail(world, ID("1"), FETCHED_BAD, NULL, "enforce 1 mx.a.t",
		    0);
	}
	/* And one TXT a TTL. */
	for (i = 0; world->dns.log[i] != '\0'; i++)
		;
	assert_int_equal(i, 50 * strlen("TXT _mta-sts.a.t\n"));
}

/* T3, T47: the mode as well, long before the old one would have ended. */
static void
test_testing_ends(void **state)
{
	const char *testing = "version: STSv1\nmode: testing\nmx: mx.a.t\n"
	    "max_age: 2592000\n";
	struct world *world = *state;

	mail(world, ID("1"), FETCHED_GOOD, testing, "testing 1 mx.a.t", 1);
	pass(world, TTL_S - 1);
	mail(world, ID("2"), FETCHED_GOOD, ENFORCE, "testing 1 mx.a.t", 0);
	pass(world, 1);
	mail(world, ID("2"), FETCHED_GOOD, ENFORCE, "enforce 2 mx.a.t", 1);
}

/* Mail does not wait for it, and sets off no second one meanwhile. */
static void
test_short_life(void **state)
{
	const char *body = "version: STSv1\nmode: enforce\nmx: mx.a.t\n"
	    "max_age: 36000\n";
	struct world *world = *state;

	mail(world, ID("1"), FETCHED_GOOD, body, "enforce 1 mx.a.t", 1);
	pass(world, 17999);
	mail(world, ID("1"), FETCHED_GOOD, body, "enforce 1 mx.a.t", 0);
	assert_int_equal(world->plans, 0);
	pass(world, 2);
	mail(world, ID("1"), FETCHED_GOOD, body, "enforce 1 mx.a.t", 0);
	assert_int_equal(world->plans, 1);
	assert_in_range(world->planned_s, loop_wall_s() - 5, loop_wall_s());
	mail(world, ID("1"), FETCHED_GOOD, body, "enforce 1 mx.a.t", 0);
	assert_int_equal(world->plans, 1);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "STS-3-1 STS-3.1-12 STS-3.1-13 STS-3.1-14 STS-3.3-14 a "
		    "domain without MTA-STS", test_without, begin, end,
		    NULL },
		{ "STS-3.1-1 STS-3.4-3 one name is asked, once more after a "
		    "failure", test_questions, begin, end, NULL },
		{ "STS-3-2 STS-5.1-1 STS-5.1-2 STS-8.1-1 the first mail "
		    "waits, the next does not", test_first, begin, end,
		    NULL },
		{ "STS-3.1-6 STS-3.1-7 STS-5.1-6 STS-8.3-1 STS-10.3-2 T14 any "
		    "other id is fetched and replaces", test_new_id, begin,
		    end, NULL },
		{ "T3 T47 a new id is seen when the TXT's TTL is over",
		    test_testing_ends, begin, end, NULL },
		{ "T4 STS-3-2 a hundred deliveries fetch nothing",
		    test_hundred, begin, end, NULL },
		{ "STS-3.3-16 mail in the second half of a short life plans "
		    "a refresh", test_short_life, begin, end, NULL },
		{ "T1 STS-3.1-15 STS-3.3-15 no TXT ends a kept policy",
		    test_txt_gone, begin, end, NULL },
		{ "T5 STS-3.3-10 STS-3.3-11 STS-3.3-15 STS-5.1-7 a failed "
		    "fetch neither", test_fetch_fails, begin, end, NULL },
		{ "T2 STS-3.2-9 STS-8.3-2 what has expired stays so",
		    test_expired, begin, end, NULL },
		{ "T48 STS-3.3-10 STS-3.3-14 an outage at first mail is over "
		    "after 5 minutes", test_outage, begin, end, NULL },
		{ "T30 our own failure says nothing of the domain", test_ours,
		    begin, end, NULL },
		{ "STS-3.2-7 max_age 0 serves one attempt", test_no_life,
		    begin, end, NULL },
		{ "T41 the text that applies is marked", test_marks, begin,
		    end, NULL },
		{ "STS-3.1-6 a TXT confirms its own id alone", test_outdone,
		    begin, end, NULL },
		{ "STS-5.1-2 concurrent questions are one", test_concurrent,
		    begin, end, NULL },
		{ "what was lost by damage is not let go", test_lost, begin,
		    end, NULL },
		{ "a kept text that is no policy is fetched anew",
		    test_bad_text, begin, end, NULL },
		{ "STS-3.3-16 mail brings back a refresh", test_mail_again,
		    begin, end, NULL },
	};

	log_to(no_log, NULL);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
