/*
 * Who refreshes and when: a real cache, policy hosts that answer, fail or
 * hang.
 */
#include "policy/refresher.h"

#include "policy_fixture.h"

#include <time.h>
#include <unistd.h>

#include "conf/log.h"
#include "policy/currency.h"
#include "policy/refresh.h"

#define HOUR		3600
#define DAY		86400
#define ERRANDS_MAX	1200

/* The way to policy hosts, in the place of obtain.c. */
static struct errand {
	struct domain	 domain;
	char		 id[STS_ID_SIZE];
	obtain_call	*call;
	void		*context;
} errands[ERRANDS_MAX];
static unsigned errands_n;

void
obtain_policy(struct obtain *unused, const struct domain *domain,
    const char *id, obtain_call *call, void *context)
{
	struct errand *errand = &errands[errands_n++];

	(void)unused;
	assert_true(errands_n < ERRANDS_MAX);
	errand->domain = *domain;
	strcpy(errand->id, id);
	errand->call = call;
	errand->context = context;
}

struct world {
	char		  dir[64];
	struct loop	 *loop;
	struct dns	  dns;
	struct cache	 *cache;
	struct refresher *refresher;
	unsigned	  ended;
	bool		  good;
	char		  text[256];
	unsigned	  alarms;
};

static struct world *here;	/* for the log alone */

static void
count_alarms(void *context, enum log_level level, const char *line)
{
	(void)context;
	(void)level;
	if (here != NULL && strstr(line, "alarm ") != NULL &&
	    strstr(line, "a.t") != NULL && strstr(line, "HTTP 500") != NULL &&
	    strstr(line, "days") != NULL)
		here->alarms++;
}

static int
begin(void **state)
{
	struct world *world = mem_alloc(sizeof(*world));

	errands_n = 0;
	strcpy(world->dir, "/tmp/culver-refresher-XXXXXX");
	if (mkdtemp(world->dir) == NULL)
		return -1;
	world->loop = loop_new();
	world->cache = cache_open(world->dir, NULL, 0);
	world->dns.zone = "";
	world->refresher = refresher_new(world->loop, &world->dns,
	    world->cache, NULL);
	*state = here = world;
	return 0;
}

static int
end(void **state)
{
	struct world *world = *state;
	char command[128];

	here = NULL;
	cache_close(&world->cache);
	loop_free(&world->loop);
	snprintf(command, sizeof(command), "rm -rf %s", world->dir);
	return system(command);
}

/* A policy that was fetched so long ago, and is to be refreshed then. */
static void
keep(struct world *world, const char *name, int64_t age_s, int64_t due_in_s)
{
	struct cache_record record = {
		.id = "1",
		.mode = STS_ENFORCE,
		.max_age_s = 31557600,
		.fetched_s = loop_wall_s() - age_s,
		.mail_s = loop_wall_s() - age_s,
		.refresh_s = due_in_s == 0 ? 0 : loop_wall_s() + due_in_s
	};
	struct slice body = SLICE("x");

	strcpy(record.domain.name, name);
	cache_put(world->cache, &record, &body);
}

static void
plan(struct world *world, const char *name, int64_t due_in_s)
{
	struct domain domain = { "" };

	strcpy(domain.name, name);
	keep(world, name, DAY, due_in_s);
	refresher_plan(world->refresher, &domain, loop_wall_s() + due_in_s);
}

static struct cache_record
record_of(struct world *world, const char *name)
{
	struct domain domain = { "" };
	struct cache_record record;

	strcpy(domain.name, name);
	assert_true(cache_get(world->cache, &domain, &record));
	return record;
}

static void
turn(struct world *world)
{
	int i;

	for (i = 0; i < 8; i++) {
		loop_turn(world->loop, false);
		dns_play(&world->dns, false);
		cache_turn_end(world->cache, loop_now_ms());
	}
}

/* A policy host answers. */
static void
answer(struct world *world, unsigned n, enum currency_fetch outcome)
{
	struct errand errand = errands[n];
	struct obtained obtained = { outcome, RESULT_STS_POLICY_FETCH_ERROR,
	    outcome == FETCHED_GOOD ? "" : "HTTP 500" };
	struct sts_policy policy = { .mode = STS_ENFORCE,
	    .max_age_s = 31557600 };
	struct cache_record record;

	errands[n].call = NULL;
	assert_non_null(errand.call);
	assert_true(cache_get(world->cache, &errand.domain, &record));
	if (outcome == FETCHED_GOOD)
		currency_note_fetched(&record, errand.id, &policy,
		    loop_wall_s());
	else if (outcome == FETCHED_BAD)
		currency_note_failed(&record, errand.id, obtained.result,
		    obtained.text, loop_wall_s());
	cache_put(world->cache, &record, NULL);
	errand.call(errand.context, &obtained);
	turn(world);
}

static void
test_due(void **state)
{
	struct world *world = *state;
	struct cache_record record;

	plan(world, "later.t", HOUR);
	plan(world, "due.t", -1);
	turn(world);
	assert_int_equal(errands_n, 1);
	assert_string_equal(errands[0].domain.name, "due.t");
	/* Whatever the TXT says: here it is gone. */
	assert_string_equal(errands[0].id, "1");
	assert_string_equal(world->dns.log, "TXT _mta-sts.due.t\n");
	answer(world, 0, FETCHED_GOOD);
	record = record_of(world, "due.t");
	assert_in_range(record.fetched_s, loop_wall_s() - 5, loop_wall_s());
	assert_in_range(record.refresh_s, loop_wall_s() + 12 * HOUR - 5,
	    loop_wall_s() + 24 * HOUR);
	assert_int_equal(errands_n, 1);
}

/* The TXT's id goes with the body. */
static void
test_new_id(void **state)
{
	struct world *world = *state;

	world->dns.zone = "_mta-sts.a.t TXT - v=STSv1;_id=2;";
	plan(world, "a.t", -1);
	turn(world);
	assert_string_equal(errands[0].id, "2");
	answer(world, 0, FETCHED_GOOD);
	assert_string_equal(record_of(world, "a.t").id, "2");
	assert_in_range(record_of(world, "a.t").txt_until_s,
	    loop_wall_s() + TTL_S - 5, loop_wall_s() + TTL_S);
}

static void
test_failure(void **state)
{
	struct world *world = *state;
	struct cache_record record;

	plan(world, "a.t", -1);
	turn(world);
	answer(world, 0, FETCHED_BAD);
	record = record_of(world, "a.t");
	/* Policy and age as before; the error beside them. */
	assert_string_equal(record.id, "1");
	assert_in_range(record.fetched_s, loop_wall_s() - DAY - 5,
	    loop_wall_s() - DAY);
	assert_string_equal(record.error_text, "HTTP 500");
	assert_in_range(record.refresh_s, loop_wall_s() + 12 * HOUR - 5,
	    loop_wall_s() + 18 * HOUR);
	assert_int_equal(world->alarms, 0);
}

/* Mail planned it: a policy of ten hours, six hours old. */
static void
test_short_life(void **state)
{
	const struct domain domain = { "a.t" };
	struct world *world = *state;
	struct cache_record record;

	keep(world, "a.t", 6 * HOUR, -1);
	record = record_of(world, "a.t");
	record.max_age_s = 10 * HOUR;
	cache_put(world->cache, &record, NULL);
	refresher_plan(world->refresher, &domain, loop_wall_s());
	turn(world);
	assert_int_equal(errands_n, 1);
	answer(world, 0, FETCHED_BAD);
	assert_int_equal(record_of(world, "a.t").refresh_s, 0);
	/* Unasked it is not fetched again. */
	refresher_plan(world->refresher, &domain, loop_wall_s());
	turn(world);
	assert_int_equal(errands_n, 1);
}

static void
test_off(void **state)
{
	struct config config = { .mta_sts = CONFIG_STS_OFF };
	const struct domain domain = { "a.t" };
	struct world *world = *state;

	refresher_set(world->refresher, &config);
	plan(world, "a.t", -1);
	turn(world);
	assert_int_equal(errands_n, 0);
	/* An operator's word counts. */
	refresher_now(world->refresher, &domain, NULL, NULL);
	turn(world);
	assert_int_equal(errands_n, 1);
	answer(world, 0, FETCHED_BAD);
	plan(world, "b.t", -1);
	config.mta_sts = CONFIG_STS_REPORT;
	refresher_set(world->refresher, &config);
	turn(world);
	assert_int_equal(errands_n, 2);
	assert_string_equal(errands[1].domain.name, "b.t");
}

static void
fail_for_days(struct world *world, enum sts_mode mode)
{
	struct cache_record record;

	keep(world, "a.t", 4 * DAY, -1);
	record = record_of(world, "a.t");
	record.mode = mode;
	record.failures = 5;
	record.failing_since_s = loop_wall_s() - 3 * DAY;
	cache_put(world->cache, &record, NULL);
	refresher_plan(world->refresher, &record.domain, loop_wall_s());
	turn(world);
	answer(world, errands_n - 1, FETCHED_BAD);
}

static void
test_alarm(void **state)
{
	struct world *world = *state;

	fail_for_days(world, STS_NONE);
	assert_int_equal(world->alarms, 0);
	fail_for_days(world, STS_ENFORCE);
	assert_int_equal(world->alarms, 1);
}

static void
test_ours(void **state)
{
	struct world *world = *state;
	struct cache_record record;

	plan(world, "a.t", -1);
	turn(world);
	answer(world, 0, FETCHED_OURS);
	record = record_of(world, "a.t");
	assert_int_equal(record.error, RESULT_NONE);
	assert_in_range(record.refresh_s, loop_wall_s() + 600 - 5,
	    loop_wall_s() + 1200);
}

/* T45: one that hangs holds one place. */
static void
test_black_hole(void **state)
{
	struct world *world = *state;
	unsigned i, hole = 0;
	char name[32];

	for (i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "d%03u.t", i);
		plan(world, name, -1000 + (int64_t)i);
	}
	turn(world);
	assert_int_equal(errands_n, 8);
	for (i = 0; i < errands_n; i++)
		if (i != hole)
			answer(world, i, FETCHED_GOOD);
	assert_int_equal(errands_n, 1000);
	assert_non_null(errands[hole].call);
}

/* Plans are many, the record decides; none runs twice at a time. */
static void
test_plans(void **state)
{
	const struct domain domain = { "a.t" };
	struct world *world = *state;
	unsigned i;

	keep(world, "a.t", DAY, -1);
	for (i = 0; i < 20; i++)
		refresher_plan(world->refresher, &domain, loop_wall_s() - 5);
	turn(world);
	assert_int_equal(errands_n, 1);
	answer(world, 0, FETCHED_GOOD);
	for (i = 0; i < 20; i++)
		refresher_plan(world->refresher, &domain, loop_wall_s());
	turn(world);
	assert_int_equal(errands_n, 1);
}

/* No mail for a month: the refresh ends, its record says so. */
static void
test_no_mail(void **state)
{
	const struct domain domain = { "a.t" };
	struct world *world = *state;

	keep(world, "a.t", 30 * DAY, -1);
	refresher_plan(world->refresher, &domain, loop_wall_s());
	turn(world);
	assert_int_equal(errands_n, 0);
	assert_int_equal(record_of(world, "a.t").refresh_s, 0);
	assert_string_equal(record_of(world, "a.t").id, "1");
}

/* The start: plans are read, what is overdue is spread, the useless goes. */
static void
test_sweep(void **state)
{
	struct world *world = *state;
	struct cache_record record;
	unsigned i, spread = 0;
	char name[32];

	for (i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "d%03u.t", i);
		keep(world, name, 5 * DAY, -4 * DAY);
	}
	keep(world, "planned.t", DAY, HOUR);
	keep(world, "ended.t", 0, 0);
	record = record_of(world, "ended.t");
	record.fetched_s = record.mail_s = loop_wall_s() - 31 * DAY;
	record.max_age_s = DAY;
	cache_put(world->cache, &record, NULL);
	refresher_begin(world->refresher);
	turn(world);
	assert_string_equal(record_of(world, "ended.t").id, "");
	assert_in_range(record_of(world, "planned.t").refresh_s,
	    loop_wall_s() + HOUR - 5, loop_wall_s() + HOUR);
	for (i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "d%03u.t", i);
		record = record_of(world, name);
		assert_in_range(record.refresh_s, loop_wall_s() - 5,
		    loop_wall_s() + 12 * HOUR + 1);
		spread += record.refresh_s > loop_wall_s() + 6 * HOUR;
	}
	assert_in_range(spread, 180, 320);
	assert_true(errands_n < 5);
}

static void
on_end(void *context, bool good, const char *text)
{
	struct world *world = context;

	world->ended++;
	world->good = good;
	snprintf(world->text, sizeof(world->text), "%s", text);
}

static void
test_now(void **state)
{
	const struct domain domain = { "a.t" }, other = { "b.t" };
	struct world *world = *state;

	keep(world, "a.t", DAY, HOUR);
	refresher_now(world->refresher, &domain, on_end, world);
	assert_int_equal(world->ended, 0);
	turn(world);
	assert_string_equal(world->dns.log, "fresh TXT _mta-sts.a.t\n");
	answer(world, 0, FETCHED_GOOD);
	assert_true(world->good);
	/* Neither TXT nor policy: there is nothing to fetch. */
	refresher_now(world->refresher, &other, on_end, world);
	turn(world);
	assert_int_equal(world->ended, 2);
	assert_false(world->good);
	assert_string_equal(world->text, "no STS record");
	assert_int_equal(errands_n, 1);
	/* What failed says why. */
	refresher_now(world->refresher, &domain, on_end, world);
	turn(world);
	answer(world, 1, FETCHED_BAD);
	assert_string_equal(world->text, "HTTP 500");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "STS-3.3-16 STS-10.2-2 what is due is fetched, whatever the "
		    "TXT says", test_due, begin, end, NULL },
		{ "a refresh takes the TXT's id", test_new_id, begin, end,
		    NULL },
		{ "STS-3.3-17 a failed refresh leaves the policy and its age",
		    test_failure, begin, end, NULL },
		{ "STS-10.2-3 STS-10.2-4 STS-3.3-18 the alarm names domain, "
		    "error and days, never for none", test_alarm, begin, end,
		    NULL },
		{ "our own failure: soon again", test_ours, begin, end,
		    NULL },
		{ "T45 a policy host that hangs blocks no other",
		    test_black_hole, begin, end, NULL },
		{ "`mta-sts off' refreshes nothing", test_off, begin, end,
		    NULL },
		{ "STS-3.3-16 a short life is refreshed for mail alone",
		    test_short_life, begin, end, NULL },
		{ "many plans are one refresh", test_plans, begin, end,
		    NULL },
		{ "STS-3.3-16 without mail for 30 days it ends", test_no_mail,
		    begin, end, NULL },
		{ "a start plans, spreads and drops", test_sweep, begin, end,
		    NULL },
		{ "STS-10.2-2 an operator's refresh asks anew", test_now,
		    begin, end, NULL },
	};

	log_to(count_alarms, NULL);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
