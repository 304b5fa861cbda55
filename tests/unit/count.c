/*
 * What is counted of a session, and where: blocks, failures, bounds.
 */
#include "book_fixture.h"

#include <stdbool.h>
#include <time.h>

/* A report in words, one line a block and one a failure. */
static void
print_report(struct book *book, uint32_t day, const char *domain,
    struct buffer *text)
{
	struct region *region = region_new();
	struct report report;
	unsigned i, k;

	buffer_add(text, SLICE(""));
	if (!book_load(book, day, domain, region, &report))
		buffer_printf(text, "nothing\n");
	for (i = 0; i < report.policies_n; i++) {
		const struct report_policy *policy = &report.policies[i];

		buffer_printf(text, "%s %s %llu %llu",
		    report_block_name(policy->block), policy->domain,
		    (unsigned long long)policy->succeeded,
		    (unsigned long long)policy->failed);
		for (k = 0; k < policy->lines_n; k++)
			buffer_printf(text, " [%s]", policy->lines[k]);
		for (k = 0; k < policy->mx_n; k++)
			buffer_printf(text, " <%s>", policy->mx[k]);
		buffer_printf(text, "\n");
		for (k = 0; k < policy->failures_n; k++)
			buffer_printf(text, "- %s %llu (%s|%s|%s|%s|%s)\n",
			    tls_result_name(policy->failures[k].result),
			    (unsigned long long)policy->failures[k].sessions,
			    policy->failures[k].local,
			    policy->failures[k].host,
			    policy->failures[k].helo,
			    policy->failures[k].address,
			    policy->failures[k].reason);
	}
	region_free(&region);
}

static void
expect_report_of(struct book *book, uint32_t day, const char *domain,
    const char *expected)
{
	struct buffer text = { NULL, 0, 0 };

	print_report(book, day, domain, &text);
	assert_string_equal(text.text, expected);
	buffer_free(&text);
}

static void
expect_report(struct book *book, const char *domain, const char *expected)
{
	expect_report_of(book, DAY, domain, expected);
}

static void
expect_wanted(struct book *book, const char *domain, uint64_t mark)
{
	char name[DOMAIN_TEXT_MAX];
	uint64_t wanted;

	assert_true(book_wanted_text(book, name, &wanted));
	assert_string_equal(name, domain);
	assert_int_equal(wanted, mark);
}

static void
sessions_add_up(void **state)
{
	struct book *book = open_book();
	struct t_session good = plain_session("a.example", true);
	struct t_session bad = plain_session("a.example", false);
	struct t_session other = plain_session("b.example", true);
	unsigned i;

	(void)state;
	for (i = 0; i < 300; i++)
		tell(book, i % 3 == 0 ? &bad : &good);
	tell(book, &other);
	expect_report(book, "a.example", "no-policy-found a.example 200 100\n"
	    "- starttls-not-supported 100 (192.0.2.1|mx.a.example|mx|"
	    "192.0.2.2|)\n");
	expect_report(book, "b.example", "no-policy-found b.example 1 0\n");
	expect_totals(book, DAY, "a.example", 200, 100);
	expect_report(book, "c.example", "nothing\n");
	book_close(&book);
}

/* Ruling 10: each block by its own verdict. */
static void
two_policies_at_once(void **state)
{
	struct book *book = open_book();
	struct t_session session = session_of("a.example");

	(void)state;
	add_policy(&session, "1", 0);
	add_tlsa(&session, "mx.a.example", 1);
	add_detail(&session, REPORT_STS, RESULT_CERTIFICATE_HOST_MISMATCH,
	    "mx.b.example");
	add_detail(&session, REPORT_TLSA, RESULT_SUCCESS, "");
	tell(book, &session);
	tell(book, &session);
	expect_report(book, "a.example", "sts a.example 0 2\n"
	    "- certificate-host-mismatch 2 (192.0.2.1|mx.a.example|mx|"
	    "192.0.2.2|mx.b.example)\n"
	    "tlsa mx.a.example 2 0 [3 1 1 ABCD01]\n");
	book_close(&book);
}

static void
two_defects_one_session(void **state)
{
	struct book *book = open_book();
	struct t_session session = session_of("a.example");

	(void)state;
	add_detail(&session, REPORT_STS, RESULT_CERTIFICATE_NOT_TRUSTED, "a");
	add_detail(&session, REPORT_STS, RESULT_CERTIFICATE_EXPIRED, "b");
	/* said twice, and a success beside failures, are nothing more */
	add_detail(&session, REPORT_STS, RESULT_CERTIFICATE_EXPIRED, "b");
	add_detail(&session, REPORT_STS, RESULT_SUCCESS, "");
	tell(book, &session);
	expect_report(book, "a.example", "sts a.example 0 1\n"
	    "- certificate-expired 1 (192.0.2.1|mx.a.example|mx|192.0.2.2|b)\n"
	    "- certificate-not-trusted 1 (192.0.2.1|mx.a.example|mx|"
	    "192.0.2.2|a)\n");
	book_close(&book);
}

/* Each member of the key makes another entry; the same key none. */
static void
merged_by_the_whole_key(void **state)
{
	struct book *book = open_book();
	struct t_session session;
	struct region *region = region_new();
	struct report report;
	unsigned change, round;

	(void)state;
	for (round = 0; round < 7; round++)
		for (change = 0; change < 7; change++) {
			session = session_of("a.example");
			add_detail(&session, REPORT_NO_POLICY, change == 1 ?
			    RESULT_VALIDATION_FAILURE :
			    RESULT_STARTTLS_NOT_SUPPORTED,
			    change == 2 ? "x" : "");
			if (change == 3)
				strcpy(session.local, "192.0.2.9");
			if (change == 4)
				strcpy(session.host, "other.a.example");
			if (change == 5)
				strcpy(session.helo, "other");
			if (change == 6)
				strcpy(session.address, "2001:db8::1");
			tell(book, &session);
		}
	assert_true(book_load(book, DAY, "a.example", region, &report));
	assert_int_equal(report.policies_n, 1);
	assert_int_equal(report.policies[0].failed, 49);
	assert_int_equal(report.policies[0].failures_n, 7);
	for (change = 0; change < 7; change++)
		assert_int_equal(
		    report.policies[0].failures[change].sessions, 7);
	region_free(&region);
	book_close(&book);
}

static void
a_new_policy_at_noon(void **state)
{
	struct book *book = open_book();
	struct t_session session = session_of("a.example");

	(void)state;
	add_detail(&session, REPORT_STS, RESULT_SUCCESS, "");
	add_policy(&session, "1", 11);
	tell(book, &session);
	add_policy(&session, "2", 12);
	tell(book, &session);
	tell(book, &session);
	/* a changed text under the same id is another policy as well */
	add_policy(&session, "2", 13);
	tell(book, &session);
	expect_wanted(book, "a.example", 11);
	book_put_text(book, "a.example", 11, SLICE("version: STSv1\r\n"
	    "mode: testing\r\nmx: mx.a.example\r\nmx:*.b.example\r\n"
	    "max_age: 99\r\n"));
	expect_wanted(book, "a.example", 12);
	book_put_text(book, "a.example", 12, SLICE("version: STSv1\nmx : x"));
	book_put_text(book, "a.example", 13, (struct slice){ NULL, 0 });
	assert_false(book_wanted_text(book, (char[DOMAIN_TEXT_MAX]){ 0 },
	    &(uint64_t){ 0 }));
	/* one that is known is not wanted again */
	tell(book, &session);
	assert_false(book_wanted_text(book, (char[DOMAIN_TEXT_MAX]){ 0 },
	    &(uint64_t){ 0 }));
	expect_report(book, "a.example", "sts a.example 1 0 "
	    "[version: STSv1] [mode: testing] [mx: mx.a.example] "
	    "[mx:*.b.example] [max_age: 99] <mx.a.example> <*.b.example>\n"
	    "sts a.example 2 0 [version: STSv1] [mx : x] <x>\n"
	    "sts a.example 2 0\n");
	book_close(&book);
}

static void
a_text_for_two_days(void **state)
{
	struct book *book = open_book();
	struct t_session session = session_of("a.example");

	(void)state;
	add_detail(&session, REPORT_STS, RESULT_SUCCESS, "");
	add_policy(&session, "1", 11);
	tell(book, &session);
	session.when_s += DAY_S;
	tell(book, &session);
	book_put_text(book, "a.example", 11, SLICE("mx: m\n"));
	expect_report_of(book, DAY, "a.example", "sts a.example 1 0 [mx: m] "
	    "<m>\n");
	expect_report_of(book, DAY + 1, "a.example", "sts a.example 1 0 "
	    "[mx: m] <m>\n");
	book_close(&book);
}

static void
records_in_any_order(void **state)
{
	struct book *book = open_book();
	struct t_session one = session_of("a.example"), other = one;

	(void)state;
	add_tlsa(&one, "mx.a.example", 1);
	add_tlsa(&one, "mx.a.example", 2);
	add_tlsa(&other, "mx.a.example", 2);
	add_tlsa(&other, "mx.a.example", 1);
	add_tlsa(&other, "mx.a.example", 2);
	add_detail(&one, REPORT_TLSA, RESULT_SUCCESS, "");
	add_detail(&other, REPORT_TLSA, RESULT_SUCCESS, "");
	tell(book, &one);
	tell(book, &other);
	/* a record cut short ends them, and ends nothing else */
	other.tlsa[other.tlsa_len++] = 200;
	other.tlsa[other.tlsa_len++] = 0;
	tell(book, &other);
	expect_report(book, "a.example", "tlsa mx.a.example 3 0 "
	    "[3 1 1 ABCD01] [3 1 1 ABCD02]\n");
	book_close(&book);
}

/* Ruling 11. */
static void
a_base_of_its_own(void **state)
{
	struct book *book = open_book();
	struct t_session session;
	char domain[DOMAIN_TEXT_MAX];

	(void)state;
	session = session_of("a.example");
	add_tlsa(&session, "mx.host.example", 1);
	add_detail(&session, REPORT_TLSA, RESULT_TLSA_INVALID, "r");
	add_detail(&session, REPORT_STS, RESULT_SUCCESS, "");
	tell(book, &session);
	strcpy(session.domain, "b.example");
	tell(book, &session);
	tell(book, &session);
	expect_report(book, "a.example", "sts a.example 1 0\n"
	    "tlsa mx.host.example 0 1 [3 1 1 ABCD01]\n- tlsa-invalid 1 "
	    "(192.0.2.1|mx.a.example|mx|192.0.2.2|r)\n");
	expect_report(book, "mx.host.example", "tlsa mx.host.example 0 3 "
	    "[3 1 1 ABCD01]\n- tlsa-invalid 3 (192.0.2.1|mx.a.example|mx|"
	    "192.0.2.2|r)\n");
	assert_true(book_contributor(book, DAY, "mx.host.example", 0,
	    domain));
	assert_string_equal(domain, "a.example");
	assert_true(book_contributor(book, DAY, "mx.host.example", 1,
	    domain));
	assert_string_equal(domain, "b.example");
	assert_false(book_contributor(book, DAY, "mx.host.example", 2,
	    domain));
	assert_false(book_has_own(book, DAY, "mx.host.example"));
	assert_true(book_has_own(book, DAY, "a.example"));
	assert_false(book_contributor(book, DAY, "a.example", 0, domain));
	/* mail for the base itself counts once, and is its own */
	strcpy(session.domain, "mx.host.example");
	tell(book, &session);
	assert_true(book_has_own(book, DAY, "mx.host.example"));
	assert_false(book_contributor(book, DAY, "mx.host.example", 2,
	    domain));
	expect_totals(book, DAY, "mx.host.example", 1, 4);
	book_close(&book);
}

static void
contributors_are_bounded(void **state)
{
	struct book *book = open_book();
	struct t_session session;
	char domain[DOMAIN_TEXT_MAX];
	unsigned i;

	(void)state;
	for (i = 0; i < 50; i++) {
		session = session_of("a.example");
		snprintf(session.domain, sizeof(session.domain),
		    "d%02u.example", i);
		add_tlsa(&session, "mx.host.example", 1);
		add_detail(&session, REPORT_TLSA, RESULT_SUCCESS, "");
		tell(book, &session);
	}
	expect_totals(book, DAY, "mx.host.example", 50, 0);
	assert_true(book_contributor(book, DAY, "mx.host.example", 19,
	    domain));
	assert_false(book_contributor(book, DAY, "mx.host.example", 20,
	    domain));
	book_close(&book);
}

static struct r_failed
failed_fetch(const char *reason)
{
	struct r_failed failed = { .epoch = 1, .when_s = NOON,
		.result = RESULT_STS_POLICY_FETCH_ERROR };

	strcpy(failed.domain, "a.example");
	strcpy(failed.reason, reason);
	return failed;
}

/* Ruling 31. */
static void
fetches_that_fail(void **state)
{
	struct book *book = open_book();
	struct r_failed failed = failed_fetch("HTTP 404\r\nX: y");

	(void)state;
	book_count_failed(book, &failed);
	book_count_failed(book, &failed);
	strcpy(failed.sts_id, "1");
	failed.sts_text = 5;
	failed.result = RESULT_STS_WEBPKI_INVALID;
	book_count_failed(book, &failed);
	book_put_text(book, "a.example", 5, SLICE("mx: m\n"));
	expect_report(book, "a.example", "sts a.example 0 2\n"
	    "- sts-policy-fetch-error 2 (||||HTTP 404??X: y)\n"
	    "sts a.example 0 1 [mx: m] <m>\n"
	    "- sts-webpki-invalid 1 (||||HTTP 404??X: y)\n");
	/* what is no failure is not counted */
	failed.result = RESULT_SUCCESS;
	book_count_failed(book, &failed);
	failed.result = 99;
	book_count_failed(book, &failed);
	expect_totals(book, DAY, "a.example", 0, 3);
	assert_true(was_said("no failed fetch"));
	book_close(&book);
}

static void
days_are_utc(void **state)
{
	struct book *book;
	struct t_session session = plain_session("a.example", true);

	(void)state;
	setenv("TZ", "Pacific/Auckland", 1);
	tzset();
	book = open_book();
	session.when_s = (int64_t)DAY * DAY_S - 1;
	tell(book, &session);
	session.when_s += 2;
	tell(book, &session);
	tell(book, &session);
	expect_totals(book, DAY - 1, "a.example", 1, 0);
	expect_totals(book, DAY, "a.example", 2, 0);
	book_close(&book);
	unsetenv("TZ");
	tzset();
}

static uint64_t
octets_on_disk(void)
{
	char command[128];
	unsigned long long kib = 0;
	FILE *stream;

	snprintf(command, sizeof(command), "du -sk %s --exclude=ballast "
	    "--exclude='log.*'", dir);
	stream = popen(command, "r");
	assert_non_null(stream);
	assert_int_equal(fscanf(stream, "%llu", &kib), 1);
	pclose(stream);
	return kib * 1024;
}

/* Every failure differs in all that a peer chooses. */
static void
a_hundred_thousand_failures(void **state)
{
	struct book *book = open_book();
	struct region *region = region_new();
	struct report report;
	struct t_session session;
	uint64_t sum = 0;
	unsigned i, k;
	char reason[64];

	(void)state;
	for (i = 0; i < 100000; i++) {
		session = session_of("a.example");
		snprintf(reason, sizeof(reason), "%u", i);
		snprintf(session.helo, sizeof(session.helo), "h%u", i);
		add_detail(&session, REPORT_NO_POLICY,
		    RESULT_STARTTLS_NOT_SUPPORTED + i % 11, reason);
		tell(book, &session);
		if (i % 100 == 0)
			assert_true(book_turn_end(book));
	}
	assert_true(book_load(book, DAY, "a.example", region, &report));
	assert_int_equal(report.policies_n, 1);
	assert_int_equal(report.policies[0].failed, 100000);
	assert_int_equal(report.policies[0].failures_n, FAILURES_MAX + 11);
	for (k = 0; k < report.policies[0].failures_n; k++)
		sum += report.policies[0].failures[k].sessions;
	assert_int_equal(sum, 100000);
	/* the groups stand first, and say what they are */
	assert_true(report.policies[0].failures[0].sessions > 9000);
	assert_string_equal(report.policies[0].failures[0].host, "");
	assert_non_null(strstr(report.policies[0].failures[0].reason,
	    "further"));
	region_free(&region);
	book_close(&book);
	assert_true(octets_on_disk() < 1u << 20);
}

static void
a_thousand_policies(void **state)
{
	struct book *book = open_book();
	struct region *region = region_new();
	struct report report;
	struct t_session session;
	char base[64];
	uint64_t good = 0, bad = 0;
	struct report_state state_of;
	unsigned i, bases = 0;
	uint32_t day = 0;
	char domain[DOMAIN_TEXT_MAX] = "";

	(void)state;
	for (i = 0; i < 1000; i++) {
		session = session_of("a.example");
		snprintf(base, sizeof(base), "mx%u.a.example", i);
		snprintf(session.sts_id, sizeof(session.sts_id), "%u", i);
		session.sts_text = i + 1;
		add_tlsa(&session, base, (uint8_t)i);
		add_detail(&session, REPORT_STS, RESULT_SUCCESS, "");
		add_detail(&session, REPORT_TLSA, RESULT_TLSA_INVALID, "");
		tell(book, &session);
	}
	tell(book, &(struct t_session){ 0 });
	assert_true(book_load(book, DAY, "a.example", region, &report));
	assert_int_equal(report.policies_n, BLOCKS_MAX + 2);
	for (i = 0; i < report.policies_n; i++) {
		good += report.policies[i].succeeded;
		bad += report.policies[i].failed;
	}
	assert_int_equal(good, 1000);
	assert_int_equal(bad, 1000);
	/* those without a place of their own say only what they are */
	assert_string_equal(report.policies[BLOCKS_MAX].domain, "a.example");
	assert_int_equal(report.policies[BLOCKS_MAX].lines_n, 0);
	assert_int_equal(report.policies[BLOCKS_MAX].succeeded +
	    report.policies[BLOCKS_MAX].failed, 990);
	while (book_next_report(book, day, domain, &state_of)) {
		day = state_of.day;
		strcpy(domain, state_of.domain);
		bases++;
	}
	assert_int_equal(bases, 1 + BLOCKS_MAX / 2);
	region_free(&region);
	book_close(&book);
}

static void
what_is_no_session(void **state)
{
	struct book *book = open_book();
	struct t_session session = session_of("a.example");

	(void)state;
	tell(book, &session);			/* no detail */
	assert_true(was_said("no block judged it"));
	session = plain_session("a.example", true);
	session.when_s = -5;
	tell(book, &session);
	session.when_s = INT64_MAX;
	tell(book, &session);
	session = plain_session("a.example", true);
	strcpy(session.domain, "no domain\n");
	tell(book, &session);
	session.domain[0] = '\0';
	tell(book, &session);
	assert_false(book_next_report(book, 0, "", &(struct report_state){
	    .day = 0 }));
	/* texts of a connection that are none are left out */
	session = plain_session("a.example", false);
	strcpy(session.local, "x");
	strcpy(session.address, "\"");
	strcpy(session.helo, "a\r\n\xff");
	tell(book, &session);
	expect_report(book, "a.example", "no-policy-found a.example 0 1\n"
	    "- starttls-not-supported 1 (|mx.a.example|a???||)\n");
	book_close(&book);
}

/* No host name to call the policy by but what there is. */
static void
tlsa_without_base(void **state)
{
	struct book *book = open_book();
	struct t_session session = session_of("a.example");

	(void)state;
	add_detail(&session, REPORT_TLSA, RESULT_DNSSEC_INVALID, "SERVFAIL");
	tell(book, &session);
	expect_report(book, "a.example", "tlsa mx.a.example 0 1\n"
	    "- dnssec-invalid 1 (192.0.2.1|mx.a.example|mx|192.0.2.2|"
	    "SERVFAIL)\n");
	book_close(&book);
}

static void
after_the_report_was_made(void **state)
{
	static const struct {
		uint32_t	phase;
		uint64_t	number;
		bool		takes;
	} cases[] = {
		{ REPORT_COUNTING, 0, true },
		{ REPORT_ASKING, 0, true },
		{ REPORT_SENDING, 5, false },
		{ REPORT_DONE, 5, false },
		{ REPORT_UNWANTED, 0, false },
		{ REPORT_GIVEN_UP, 5, false },
		{ REPORT_GIVEN_UP, 0, false }
	};
	struct t_session session = plain_session("a.example", true);
	struct report_state report;
	struct book *book = open_book();
	uint64_t expected = 1;
	size_t i;

	(void)state;
	tell(book, &session);
	for (i = 0; i < COUNT(cases); i++) {
		assert_true(book_get_report(book, DAY, "a.example", &report));
		report.phase = cases[i].phase;
		report.number = cases[i].number;
		book_put_report(book, &report);
		tell(book, &session);
		expected += cases[i].takes;
		expect_totals(book, DAY, "a.example", expected, 0);
	}
	assert_true(was_said("report domain=a.example day=2026-11-24 "
	    "outcome=late type=no-policy-found"));
	book_close(&book);
}

static int64_t
in_an_hour(void *context, uint32_t day, const char *domain)
{
	*(unsigned *)context += 1;
	return (int64_t)(day + 1) * DAY_S + 3600 +
	    (int64_t)strlen(domain);
}

static void
the_first_count_begins_a_report(void **state)
{
	struct t_session session = plain_session("a.example", true);
	struct report_state report;
	struct book *book = open_book();
	unsigned asked = 0;

	(void)state;
	book_set_due(book, in_an_hour, &asked);
	tell(book, &session);
	tell(book, &session);
	assert_int_equal(asked, 1);
	assert_true(book_get_report(book, DAY, "a.example", &report));
	assert_int_equal(report.phase, REPORT_COUNTING);
	assert_int_equal(report.number, 0);
	assert_int_equal(report.next_s, (DAY + 1) * (int64_t)DAY_S + 3609);
	assert_true(book_soonest_report(book, &report));
	assert_string_equal(report.domain, "a.example");
	book_set_due(book, NULL, NULL);
	strcpy(session.domain, "b.example");
	tell(book, &session);
	assert_true(book_soonest_report(book, &report));
	assert_string_equal(report.domain, "b.example");
	assert_int_equal(report.next_s, (DAY + 1) * (int64_t)DAY_S);
	book_close(&book);
}

#define TEST(name, function)						\
	{ name, function, begin, end, NULL }

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST("T33 RPT-4.2.1-1 RPT-4.2.2-1 RPT-4.4-17 RPT-4-7 N "
		    "sessions in, N counted out", sessions_add_up),
		TEST("RPT-4-4 a session counts in the block of each policy",
		    two_policies_at_once),
		TEST("RPT-4-6 two defects are two entries and one failed "
		    "session", two_defects_one_session),
		TEST("RPT-4.4-17 failures are merged by the whole key",
		    merged_by_the_whole_key),
		TEST("T41 RPT-4-5 RPT-4.5-2 RPT-4.4-9 each policy of a day "
		    "has its own block and text", a_new_policy_at_noon),
		TEST("a text is for each day that counted under it",
		    a_text_for_two_days),
		TEST("RPT-4.5-1 the same TLSA records in any order are one "
		    "block", records_in_any_order),
		TEST("a TLSA base counts what its host was for others",
		    a_base_of_its_own),
		TEST("contributors to a base are bounded, its counts exact",
		    contributors_are_bounded),
		TEST("RPT-4.4-20 a failed fetch is one failed session without "
		    "a connection", fetches_that_fail),
		TEST("RPT-4.1-1 days are UTC's whatever TZ", days_are_utc),
		TEST("T40 RPT-7-3 100,000 different failures are bounded, "
		    "totals exact", a_hundred_thousand_failures),
		TEST("T40 RPT-7-3 1,000 policies of a day are bounded, totals "
		    "exact", a_thousand_policies),
		TEST("T32 what is no session is not counted",
		    what_is_no_session),
		TEST("a TLSA look-up that failed is its host's",
		    tlsa_without_base),
		TEST("a day whose report is made takes nothing",
		    after_the_report_was_made),
		TEST("the first count of a day begins its report",
		    the_first_count_begins_a_report),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
