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
	fetcher_call	*call;
	void		*context;
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
	assert_null(fetch.call);
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
};

static char logged[1024];

static void
keep_log(void *context, enum log_level level, const char *line)
{
	(void)context;
	if (level <= LOG_LEVEL_INFO)
		snprintf(logged, sizeof(logged), "%s", line);
}

static int
begin(void **state)
{
	struct world *world = mem_alloc(sizeof(*world));

	memset(&fetch, 0, sizeof(fetch));
	logged[0] = '\0';
	strcpy(world->dir, "/tmp/culver-obtain-XXXXXX");
	if (mkdtemp(world->dir) == NULL)
		return -1;
	world->cache = cache_open(world->dir, NULL, 0);
	world->obtain = obtain_new(&world->dns, world->cache, NULL,
	    NULL, NULL);
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

/* The publisher wants out: no noise about a policy of mode none. */
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
	assert_string_equal(logged, "");
	assert_int_equal(record(world).error, RESULT_STS_POLICY_FETCH_ERROR);
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
		{ "concurrent fetches of an id are one", test_joined, begin,
		    end, NULL },
		{ "STS-3.3-18 quiet about mode none", test_quiet, begin, end,
		    NULL },
	};

	log_to(keep_log, NULL);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
