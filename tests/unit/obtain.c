/*
 * Fetching a policy and writing down what came of it: DNS of text, a fetch
 * that answers as told, a real cache.
 */
#include "policy/obtain.h"

#include "policy_fixture.h"

#include <time.h>
#include <unistd.h>

#include "conf/log.h"

#define POLICY	"version: STSv1\nmode: enforce\nmx: mx.a.t\nmax_age: 600\n"
#define HOST	"mta-sts.a.t "

/* In the place of fetcher.c. */
static struct {
	unsigned	 asked;
	char		 addresses[256];
	fetcher_call	*call, *older_call;	/* two at a time */
	void		*context, *older_context;
} fetch;

void
fetcher_get(struct fetcher *unused, const struct domain *domain,
    const struct address *addresses, unsigned addresses_n, fetcher_call *call,
    void *context)
{
	char text[ADDRESS_TEXT_MAX];
	unsigned i;

	(void)unused;
	assert_string_equal(domain->name, "a.t");
	assert_null(fetch.older_call);
	fetch.older_call = fetch.call;
	fetch.older_context = fetch.context;
	fetch.asked++;
	fetch.addresses[0] = '\0';
	for (i = 0; i < addresses_n; i++)
		sprintf(fetch.addresses + strlen(fetch.addresses), "%s%s",
		    i > 0 ? " " : "", address_print(&addresses[i], text));
	fetch.call = call;
	fetch.context = context;
}

struct world {
	char		 dir[64];
	struct dns	 dns;
	struct cache	*cache;
	struct obtain	*obtain;
	struct config	 config;
	unsigned	 answers;
	char		 text[512];	/* "good", "bad RESULT: why", "ours" */
	/* What is told of failures. */
	unsigned	 told;
	struct r_failed	 failed;
};

static char logged[1024];
static unsigned logged_failures;	/* `policy' lines of them */

static void
keep_log(void *context, enum log_level level, const char *line)
{
	(void)context;
	if (level > LOG_LEVEL_INFO)
		return;
	snprintf(logged, sizeof(logged), "%s", line);
	logged_failures += strstr(line, "policy domain=") != NULL &&
	    strstr(line, "source=fetch") != NULL &&
	    strstr(line, "result=success") == NULL;
}

static void
on_failed(void *context, struct r_failed *failed)
{
	struct world *world = context;

	world->told++;
	world->failed = *failed;
}

static int
begin(void **state)
{
	struct world *world = mem_alloc(sizeof(*world));

	memset(&fetch, 0, sizeof(fetch));
	logged[0] = '\0';
	logged_failures = 0;
	strcpy(world->dir, "/tmp/culver-obtain-XXXXXX");
	if (mkdtemp(world->dir) == NULL)
		return -1;
	world->cache = cache_open(world->dir, NULL, 0);
	world->obtain = obtain_new(&world->dns, world->cache, NULL,
	    on_failed, world);
	obtain_set(world->obtain, &world->config);
	world->dns.zone = HOST "A - 192.0.2.1";
	*state = world;
	return 0;
}

static int
end(void **state)
{
	struct world *world = *state;
	char command[128];

	cache_close(&world->cache);
	snprintf(command, sizeof(command), "rm -rf %s", world->dir);
	free(world->obtain);
	free(world);
	return system(command);
}

static void
on_obtained(void *context, const struct obtained *obtained)
{
	struct world *world = context;

	world->answers++;
	if (obtained->outcome == FETCHED_GOOD)
		strcpy(world->text, "good");
	else if (obtained->outcome == FETCHED_OURS)
		strcpy(world->text, "ours");
	else
		snprintf(world->text, sizeof(world->text), "bad %s: %s",
		    tls_result_name(obtained->result), obtained->text);
}

static void
ask(struct world *world, const char *id)
{
	const struct domain domain = { "a.t" };

	world->text[0] = '\0';
	obtain_policy(world->obtain, &domain, id, on_obtained, world);
	assert_string_equal(world->text, "");
	dns_play(&world->dns, false);
}

static void
fetched(const struct f_done *done, const char *body)
{
	fetcher_call *call = fetch.call;

	assert_non_null(call);
	fetch.call = NULL;
	call(fetch.context, done, slice_of(body));
}

/* The one that was asked for before that. */
static void
older_fetched(const struct f_done *done, const char *body)
{
	fetcher_call *call = fetch.older_call;

	assert_non_null(call);
	fetch.older_call = NULL;
	call(fetch.older_context, done, slice_of(body));
}

static struct cache_record
record(struct world *world)
{
	const struct domain domain = { "a.t" };
	struct cache_record kept;

	assert_true(cache_get(world->cache, &domain, &kept));
	return kept;
}

static void
test_good(void **state)
{
	const struct f_done done = { .outcome = FETCH_BODY, .status = 200 };
	const struct domain domain = { "a.t" };
	struct world *world = *state;
	struct slice body;

	ask(world, "7");
	fetched(&done, POLICY);
	assert_string_equal(world->text, "good");
	assert_string_equal(record(world).id, "7");
	assert_int_equal(record(world).max_age_s, 600);
	assert_true(cache_body(world->cache, &domain, &body));
	assert_true(slice_equal(body, slice_of(POLICY)));
	assert_non_null(strstr(logged, "policy domain=a.t id=7 mode=enforce "
	    "source=fetch result=success clause=\"RFC 8461 3.3\""));
}

static void
test_failures(void **state)
{
	static const struct {
		enum fetch_outcome	 outcome;
		const char		*text, *body, *wanted, *clause;
	} rows[] = {
		{ FETCH_ERROR, "HTTP 404", "",
		    "bad sts-policy-fetch-error: HTTP 404", "RFC 8461 3.3" },
		{ FETCH_WEBPKI, "certificate has expired", "",
		    "bad sts-webpki-invalid: certificate has expired",
		    "RFC 8461 3.3" },
		{ FETCH_BODY, "", "version: STSv1\nmode: enforced\n",
		    "bad sts-policy-invalid: line 2: ", "RFC 8461 3.2" },
		{ FETCH_BODY, "", "", "bad sts-policy-invalid: ",
		    "RFC 8461 3.2" },
	};
	const struct f_done good = { .outcome = FETCH_BODY };
	struct world *world = *state;
	struct f_done done = { 0 };
	size_t i;

	ask(world, "1");
	fetched(&good, POLICY);
	for (i = 0; i < COUNT(rows); i++) {
		done.outcome = rows[i].outcome;
		strcpy(done.text, rows[i].text);
		ask(world, "2");
		fetched(&done, rows[i].body);
		assert_int_equal(strncmp(world->text, rows[i].wanted,
		    strlen(rows[i].wanted)), 0);
		assert_string_equal(record(world).id, "1");
		assert_string_equal(record(world).failed_id, "2");
		assert_int_equal(record(world).failures, i + 1);
		assert_non_null(strstr(logged, rows[i].clause));
		assert_non_null(strstr(logged, "id=2 mode=enforce"));
	}
}

static void
test_ours(void **state)
{
	struct world *world = *state;

	ask(world, "1");
	fetched(NULL, "");
	assert_string_equal(world->text, "ours");
	assert_int_equal(record(world).error, RESULT_NONE);
	assert_string_equal(record(world).failed_id, "");
	assert_string_equal(logged, "");
}

static void
test_addresses(void **state)
{
	static const struct {
		const char	*zone;
		bool		 private_too;
		const char	*pinned;	/* NULL: not fetched */
		const char	*text;
	} rows[] = {
		{ HOST "A - 192.0.2.1 192.0.2.2", false,
		    "192.0.2.1 192.0.2.2", "" },
		{ HOST "A - 192.0.2.1\n" HOST "AAAA - 2001:db8::1", false,
		    "2001:db8::1 192.0.2.1", "" },
		{ HOST "A - @host.provider 192.0.2.1", false, "192.0.2.1",
		    "" },
		{ HOST "A - 127.0.0.1", false, NULL,
		    "private address 127.0.0.1" },
		{ HOST "A - 10.0.0.1 192.0.2.1", false, "192.0.2.1", "" },
		{ HOST "A - 169.254.1.1 192.168.1.1", false, NULL,
		    "private address 169.254.1.1" },
		{ HOST "AAAA - ::1", false, NULL, "private address ::1" },
		{ HOST "AAAA - fe80::1", false, NULL,
		    "private address fe80::1" },
		{ HOST "AAAA - ::ffff:127.0.0.1", false, NULL,
		    "private address ::ffff:127.0.0.1" },
		{ HOST "A - 100.64.0.1", false, NULL,
		    "private address 100.64.0.1" },
		{ HOST "A - 127.0.0.1", true, "127.0.0.1", "" },
		{ HOST "A ! SERVFAIL", false, NULL,
		    "policy host: A: SERVFAIL" },
		{ "", false, NULL, "policy host: no such name" },
		{ HOST "TXT - x", false, NULL,
		    "policy host: no address record" },
	};
	struct world *world = *state;
	char wanted[256];
	size_t i;

	for (i = 0; i < COUNT(rows); i++) {
		world->dns.zone = rows[i].zone;
		world->config.fetch_private_addresses = rows[i].private_too;
		obtain_set(world->obtain, &world->config);
		fetch.asked = 0;
		ask(world, "1");
		if (rows[i].pinned != NULL) {
			assert_int_equal(fetch.asked, 1);
			assert_string_equal(fetch.addresses, rows[i].pinned);
			fetched(NULL, "");
			continue;
		}
		assert_int_equal(fetch.asked, 0);
		snprintf(wanted, sizeof(wanted),
		    "bad sts-policy-fetch-error: %s", rows[i].text);
		assert_string_equal(world->text, wanted);
	}
	/* TLSA is nothing to a policy host. */
	assert_null(strstr(world->dns.log, "TLSA"));
}

static void
test_joined(void **state)
{
	const struct f_done done = { .outcome = FETCH_BODY };
	struct world *world = *state;

	ask(world, "1");
	ask(world, "1");
	ask(world, "1");
	assert_int_equal(fetch.asked, 1);
	fetched(&done, POLICY);
	assert_int_equal(world->answers, 3);
	ask(world, "1");
	assert_int_equal(fetch.asked, 2);
	fetched(&done, POLICY);
}

/*
 * The publisher wants out: the failure is told like every other, and raises
 * no alarm.
 */
static void
test_quiet(void **state)
{
	const struct f_done good = { .outcome = FETCH_BODY };
	const struct f_done bad = { .outcome = FETCH_ERROR };
	struct world *world = *state;

	ask(world, "1");
	fetched(&good, "version: STSv1\nmode: none\nmax_age: 60\n");
	logged[0] = '\0';
	ask(world, "1");
	fetched(&bad, "");
	assert_null(strstr(logged, "alarm"));
	assert_int_equal(logged_failures, 0);
	assert_int_equal(world->told, 0);
	assert_int_equal(record(world).error, RESULT_STS_POLICY_FETCH_ERROR);
}

#define LONGER	"version: STSv1\nmode: testing\nmx: x.t\nmax_age: 60\n"

/* Ruling 31: each failed fetch once, with the policy that goes on to hold. */
static void
test_told(void **state)
{
	const struct f_done good = { .outcome = FETCH_BODY };
	struct f_done bad = { .outcome = FETCH_WEBPKI,
	    .text = "certificate has expired" };
	struct world *world = *state;
	struct cache_record old;

	ask(world, "1");
	ask(world, "1");
	fetched(&bad, "");
	assert_int_equal(world->answers, 2);
	assert_int_equal(world->told, 1);
	assert_string_equal(world->failed.domain, "a.t");
	assert_int_equal(world->failed.result, RESULT_STS_WEBPKI_INVALID);
	assert_string_equal(world->failed.reason, "certificate has expired");
	assert_in_range(world->failed.when_s, loop_wall_s() - 5,
	    loop_wall_s());
	assert_string_equal(world->failed.sts_id, "");
	assert_true(world->failed.sts_text == 0);
	/* A success is no failure, nor is what we did ourselves. */
	ask(world, "1");
	fetched(&good, POLICY);
	ask(world, "1");
	fetched(NULL, "");
	assert_int_equal(world->told, 1);
	ask(world, "2");
	fetched(&good, "version: STSv1\n");
	assert_int_equal(world->told, 2);
	assert_int_equal(world->failed.result, RESULT_STS_POLICY_INVALID);
	assert_string_equal(world->failed.sts_id, "1");
	assert_true(world->failed.sts_text ==
	    policy_text_mark(SLICE(POLICY)));
	/* It has ended: nothing goes on to hold. */
	old = record(world);
	old.fetched_s -= 600;
	cache_put(world->cache, &old, NULL);
	world->dns.zone = "";
	ask(world, "2");
	assert_int_equal(world->told, 3);
	assert_int_equal(world->failed.result,
	    RESULT_STS_POLICY_FETCH_ERROR);
	assert_string_equal(world->failed.reason,
	    "policy host: no such name");
	assert_string_equal(world->failed.sts_id, "");
	assert_int_equal(world->told, logged_failures);
}

/* Two at a time under two ids: what began last stays. */
static void
test_two(void **state)
{
	const struct f_done good = { .outcome = FETCH_BODY };
	const struct f_done bad = { .outcome = FETCH_ERROR, .text = "x" };
	const struct domain domain = { "a.t" };
	struct world *world = *state;
	struct slice body;

	ask(world, "1");
	ask(world, "2");
	fetched(&good, LONGER);
	older_fetched(&good, POLICY);
	assert_int_equal(world->answers, 2);
	assert_string_equal(world->text, "good");
	assert_string_equal(record(world).id, "2");
	assert_true(cache_body(world->cache, &domain, &body));
	assert_true(slice_equal(body, SLICE(LONGER)));
	/* Its failure is told, and mars nothing. */
	ask(world, "3");
	ask(world, "4");
	fetched(&good, LONGER);
	older_fetched(&bad, "");
	assert_string_equal(record(world).id, "4");
	assert_int_equal(record(world).error, RESULT_NONE);
	assert_int_equal(world->told, 1);
	assert_string_equal(world->failed.sts_id, "4");
	/* In their order both count. */
	ask(world, "5");
	ask(world, "6");
	older_fetched(&good, POLICY);
	assert_string_equal(record(world).id, "5");
	fetched(&good, LONGER);
	assert_string_equal(record(world).id, "6");
	/* The younger one failed: the older is all there is. */
	ask(world, "7");
	ask(world, "8");
	fetched(&bad, "");
	older_fetched(&good, POLICY);
	assert_string_equal(record(world).id, "7");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "STS-5.1-6 a good policy is kept as it was received",
		    test_good, begin, end, NULL },
		{ "STS-5.1-7 STS-3.3-17 RPT-4.3.2.2-1 RPT-4.3.2.2-2 "
		    "RPT-4.3.2.2-3 each failure has its result, text and "
		    "clause", test_failures, begin, end, NULL },
		{ "our own failure leaves no trace", test_ours, begin, end,
		    NULL },
		{ "STS-8.2-2 RPT-7-4 addresses are pinned, private ones "
		    "refused", test_addresses, begin, end, NULL },
		{ "T4 concurrent fetches of an id are one", test_joined, begin,
		    end, NULL },
		{ "STS-3.3-18 STS-6-2 mode none: neither told nor logged", test_quiet,
		    begin, end, NULL },
		{ "STS-3.3-17 RPT-8-2 each failed fetch is told once, as the "
		    "log has it", test_told, begin, end, NULL },
		{ "STS-5.1-6 of two fetches under two ids the younger stays",
		    test_two, begin, end, NULL },
	};

	log_to(keep_log, NULL);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
