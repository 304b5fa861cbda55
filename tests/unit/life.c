/*
 * The life of a report: due, asked for, made, handed to each receiver, done.
 */
#include "life_fixture.h"

#define MAIL_A	"v=TLSRPTv1;rua=mailto:tls@a.example"
#define MAIL_B	"v=TLSRPTv1;rua=mailto:tls@b.example"
#define HTTPS_A	"v=TLSRPTv1;rua=https://r.a.example/tls?x=1"
#define URL_A	"https://r.a.example/tls?x=1"
#define BOTH_A	MAIL_A ",https://r.a.example/tls?x=1"

/* `report send': what it says is in said. */
static struct buffer said;

static bool
sends(struct world *world, uint32_t day, const char *domain, bool lift)
{
	struct order order = { .state = NULL };
	bool sent = life_send_now(world->life, day, domain, lift, &order);

	buffer_free(&said);
	said = order.text;
	if (sent && order.state == NULL)
		fail_msg("sent without a state: %s", said.text);
	return sent;
}

/* ---- a good day ---- */

static void
test_mail(void **state)
{
	struct world *world = new_world(SIGNED);
	struct receiver_state receiver;

	(void)state;
	add_record(world, "a.example", MAIL_A);
	count_session(world, "a.example");
	play(world);
	assert_int_equal(world->asked_txt, 0);
	go_past_day(world, DAY);
	assert_int_equal(world->asked_txt, 1);
	assert_int_equal(world->taken_n, 1);
	assert_string_equal(world->taken[0].sender,
	    "tls-reports@our.example");
	assert_string_equal(world->taken[0].recipient, "tls@a.example");
	assert_memory_equal(world->taken[0].key, "report-", 7);
	assert_string_equal(world->taken[0].key + 7 + 16, "-0");
	assert_non_null(strstr(world->taken[0].message.text,
	    "multipart/report"));
	receiver = get_receiver(world, DAY, "a.example", 0);
	assert_int_equal(receiver.phase, RECEIVER_OWED);
	assert_string_equal(receiver.text, "in the queue");
	assert_int_equal(receiver.code, 0);
	/* T38: not a word before the answer */
	assert_int_equal(times_logged("outcome="), 0);
	play_for(world, 120, 60);
	receiver = get_receiver(world, DAY, "a.example", 0);
	assert_int_equal(receiver.phase, RECEIVER_ACCEPTED);
	assert_int_equal(get_report(world, DAY, "a.example").phase,
	    REPORT_DONE);
	assert_logged("report domain=a.example day=2024-10-04 id=20241004.");
	assert_logged(" to=mailto:tls@a.example outcome=accepted code=250 "
	    "tls=none text=\"mx.b.example: thanks\"");
	/* RPT-7-2: once, and then silence */
	play_for(world, 5 * DAY_S, 7200);
	assert_int_equal(world->taken_n, 1);
	assert_int_equal(world->asked_txt, 1);
	free_world(&world);
}

static void
test_https(void **state)
{
	struct world *world = new_world(UNSIGNED);
	struct receiver_state receiver;

	(void)state;
	add_record(world, "a.example", HTTPS_A);
	count_session(world, "a.example");
	count_session(world, "a.example");
	go_past_day(world, DAY);
	assert_int_equal(world->posts_n, 1);
	assert_string_equal(world->posts[0].url, URL_A);
	assert_non_null(strstr(gunzip(&world->posts[0].gzip),
	    "\"total-failure-session-count\":2"));
	receiver = get_receiver(world, DAY, "a.example", 0);
	assert_int_equal(receiver.phase, RECEIVER_ACCEPTED);
	assert_int_equal(receiver.code, 201);
	assert_false(receiver.unverified);
	assert_logged("to=" URL_A " outcome=accepted code=201 "
	    "tls=verified text=\"HTTP 201\"");
	play_for(world, 2 * DAY_S, 3600);
	assert_int_equal(world->posts_n, 1);
	free_world(&world);
}

/* T37: success over one way says nothing about the other. */
static void
test_both(void **state)
{
	struct world *world = new_world(SIGNED);

	(void)state;
	add_record(world, "a.example", BOTH_A);
	count_session(world, "a.example");
	world->becomes = KEY_OWED;
	go_past_day(world, DAY);
	assert_int_equal(world->posts_n, 1);
	assert_int_equal(world->taken_n, 1);
	/* RPT-3-23: it is not done while one of them is owed */
	assert_int_equal(get_report(world, DAY, "a.example").phase,
	    REPORT_SENDING);
	play_for(world, 7200, 60);
	assert_in_range(world->asked_key, 5, 9);
	world->taken[0].state = KEY_EXPIRED;
	play_for(world, 3660, 60);
	assert_int_equal(get_report(world, DAY, "a.example").phase,
	    REPORT_DONE);
	assert_logged("to=mailto:tls@a.example outcome=given-up");
	free_world(&world);
}

static void
test_unverified(void **state)
{
	struct world *world = new_world(UNSIGNED);

	(void)state;
	world->answer.verified = false;
	add_record(world, "a.example", HTTPS_A);
	count_session(world, "a.example");
	go_past_day(world, DAY);
	assert_logged("outcome=accepted code=201 tls=unverified");
	assert_true(get_receiver(world, DAY, "a.example", 0).unverified);
	free_world(&world);
}

/* ---- who does not want one ---- */

static void
test_unwanted(void **state)
{
	static const struct {
		const char	*record;	/* "": none */
		const char	*line, *why;
	} rows[] = {
		{ "", "debug test: report domain=a.example day=2024-10-04 "
		    "id=\"\" to=\"\" outcome=unwanted", "no _smtp._tls record" },
		{ "v=spf1 -all", "debug test: report domain=a.example ",
		    "no TLSRPT record" },
		{ "v=TLSRPTv1;rua=ftp://x.example/", "\ntest: report "
		    "domain=a.example day=2024-10-04 id=\"\" to=\"\" "
		    "outcome=unwanted", "\"ftp://x.example/\": only mailto "
		    "and https are served" },
		{ "v=TLSRPTv1;", "\ntest: report domain=a.example",
		    "the rua field is missing" },
		{ MAIL_A "\n" MAIL_B, "\ntest: report domain=a.example",
		    "2 TLSRPT records where one is allowed" },
	};
	struct world *world;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		world = new_world(SIGNED);
		log_line(LOG_LEVEL_INFO, "begin");
		if (rows[i].record[0] != '\0')
			add_record(world, "a.example", rows[i].record);
		count_session(world, "a.example");
		go_past_day(world, DAY);
		assert_int_equal(get_report(world, DAY, "a.example").phase,
		    REPORT_UNWANTED);
		assert_string_equal(get_report(world, DAY, "a.example").why,
		    rows[i].why);
		assert_logged(rows[i].line);
		play_for(world, DAY_S, 7200);
		assert_int_equal(world->asked_txt, 1);
		assert_int_equal(world->taken_n, 0);
		free_world(&world);
	}
}

/* RPT-3-26: what counts is what stands there when it is made. */
static void
test_opt_out(void **state)
{
	struct world *world = new_world(SIGNED);

	(void)state;
	add_record(world, "a.example", MAIL_A);
	count_session(world, "a.example");
	play(world);
	world->records_n = 0;
	go_past_day(world, DAY);
	assert_int_equal(world->taken_n, 0);
	assert_int_equal(get_report(world, DAY, "a.example").phase,
	    REPORT_UNWANTED);
	free_world(&world);
}

static void
test_nobody_answers(void **state)
{
	struct world *world = new_world(SIGNED);
	struct report_state report;

	(void)state;
	add_record(world, "a.example", NULL);
	count_session(world, "a.example");
	go_past_day(world, DAY);
	report = get_report(world, DAY, "a.example");
	assert_int_equal(report.phase, REPORT_ASKING);
	assert_string_equal(report.why, "SERVFAIL");
	assert_logged("outcome=deferred code=\"\" tls=none text=SERVFAIL");
	world->records[0].record = MAIL_A;
	play_for(world, 300, 60);
	assert_int_equal(world->asked_txt, 1);
	play_for(world, 120, 60);
	assert_int_equal(world->asked_txt, 2);
	assert_int_equal(world->taken_n, 1);
	free_world(&world);
}

static void
test_nobody_answers_ever(void **state)
{
	struct world *world = new_world(SIGNED);

	(void)state;
	add_record(world, "a.example", NULL);
	count_session(world, "a.example");
	go_past_day(world, DAY);
	play_for(world, 26 * 3600, 120);
	assert_int_equal(world->asked_txt, 9);
	assert_int_equal(get_report(world, DAY, "a.example").phase,
	    REPORT_GIVEN_UP);
	assert_int_equal(times_logged("outcome=given-up"), 1);
	free_world(&world);
}

/* ---- who cannot be reached, and who refuses ---- */

static void
test_retries(void **state)
{
	static const struct {
		enum post_outcome	 outcome;
		uint32_t		 status;
		const char		*said, *text;
	} rows[] = {
		{ POST_REFUSED, 500, "outcome=deferred code=500",
		    "HTTP 500" },
		{ POST_REFUSED, 302, "outcome=deferred code=302",
		    "HTTP 302" },
		{ POST_FAILED, 0, "outcome=deferred code=\"\"",
		    "connection refused" },
		{ POST_UNKNOWN, 0, "outcome=deferred code=\"\"",
		    "timed out" },
	};
	struct world *world;
	int64_t at[16];
	unsigned n;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		world = new_world(UNSIGNED);
		world->answer.outcome = rows[i].outcome;
		world->answer.status = rows[i].status;
		strcpy(world->answer.text, rows[i].text);
		add_record(world, "a.example", HTTPS_A);
		count_session(world, "a.example");
		go_past_day(world, DAY);
		n = world->posts_n;
		assert_int_equal(n, 1);
		at[0] = loop_wall_s();
		while (loop_wall_s() < at[0] + 100000) {
			pass_s(30);
			play(world);
			if (world->posts_n > n)
				at[n++] = loop_wall_s();
		}
		/* RPT-5.5-2: some 30 s of slack for the steps */
		assert_int_equal(n, 9);
		for (n = 2; n < 9; n++)
			assert_true(at[n] - at[n - 1] + 60 >=
			    2 * (at[n - 1] - at[n - 2]));
		assert_true(at[8] - at[0] <= DAY_S);
		assert_int_equal(get_report(world, DAY, "a.example").phase,
		    REPORT_GIVEN_UP);
		assert_int_equal(times_logged(rows[i].said), 8);
		assert_int_equal(times_logged("outcome=given-up"), 1);
		assert_string_equal(get_receiver(world, DAY, "a.example",
		    0).text, rows[i].text);
		/* RPT-4.4-5: the same report each time */
		assert_int_equal(world->posts[0].gzip.len,
		    world->posts[8].gzip.len);
		assert_memory_equal(world->posts[0].gzip.text,
		    world->posts[8].gzip.text, world->posts[0].gzip.len);
		free_world(&world);
	}
}

static void
test_private(void **state)
{
	struct world *world = new_world(UNSIGNED);

	(void)state;
	world->pin_refuses = true;
	add_record(world, "a.example", HTTPS_A);
	count_session(world, "a.example");
	go_past_day(world, DAY);
	assert_int_equal(world->asked_pin, 1);
	assert_int_equal(world->posts_n, 0);
	assert_logged("outcome=deferred code=\"\" tls=none text=\"127.0.0.1 "
	    "is private\"");
	world->pin_refuses = false;
	play_for(world, 400, 60);
	assert_int_equal(world->posts_n, 1);
	free_world(&world);
}

static void
test_queue_refuses(void **state)
{
	struct world *world = new_world(SIGNED);

	(void)state;
	world->refuses_code = 452;
	add_record(world, "a.example", MAIL_A);
	count_session(world, "a.example");
	go_past_day(world, DAY);
	assert_int_equal(get_receiver(world, DAY, "a.example", 0).phase,
	    RECEIVER_WAITING);
	assert_logged("outcome=deferred code=452 tls=none text=\"4.3.1 no "
	    "room\"");
	world->refuses_code = 0;
	play_for(world, 400, 60);
	assert_int_equal(world->taken_n, 1);
	free_world(&world);
}

/* T51: ten days of 550, three attempts; then 30 days of peace. */
static void
test_refuser(void **state)
{
	struct world *world = new_world(SIGNED);
	uint32_t day;

	(void)state;
	add_record(world, "a.example", MAIL_A);
	world->becomes = KEY_REFUSED;
	world->becomes_code = 550;
	for (day = DAY; day < DAY + 10; day++) {
		count_session(world, "a.example");
		go_past_day(world, day);
		play_for(world, 3 * 3600, 600);
	}
	assert_int_equal(world->taken_n, 3);
	assert_int_equal(times_logged("outcome=refused code=550"), 3);
	assert_int_equal(get_report(world, DAY, "a.example").phase,
	    REPORT_GIVEN_UP);
	assert_int_equal(get_receiver(world, DAY + 9, "a.example", 0).phase,
	    RECEIVER_LEFT_ALONE);
	assert_int_equal(get_report(world, DAY + 9, "a.example").phase,
	    REPORT_GIVEN_UP);
	assert_non_null(strstr(get_receiver(world, DAY + 9, "a.example",
	    0).text, "refused three reports in a row, left alone until "
	    "2024-11-"));
	/* When its time is over, and it takes one, all is forgotten. */
	go_to((int64_t)(DAY + 40) * DAY_S);
	world->becomes = KEY_ACCEPTED;
	count_session(world, "a.example");
	go_past_day(world, DAY + 40);
	play_for(world, 120, 60);
	assert_int_equal(world->taken_n, 4);
	world->becomes = KEY_REFUSED;
	for (day = DAY + 41; day < DAY + 46; day++) {
		count_session(world, "a.example");
		go_past_day(world, day);
		play_for(world, 3 * 3600, 600);
	}
	assert_int_equal(world->taken_n, 7);
	free_world(&world);
}

/* ---- no key ---- */

static void
test_no_key(void **state)
{
	struct world *world = new_world(UNSIGNED);

	(void)state;
	add_record(world, "a.example", BOTH_A);
	add_record(world, "b.example", MAIL_B);
	count_session(world, "a.example");
	count_session(world, "b.example");
	go_past_day(world, DAY);
	assert_int_equal(world->posts_n, 1);
	assert_int_equal(world->taken_n, 0);
	assert_int_equal(get_receiver(world, DAY, "a.example", 0).phase,
	    RECEIVER_WAITING);
	assert_string_equal(get_receiver(world, DAY, "a.example", 0).text,
	    "no dkim key");
	assert_string_equal(get_report(world, DAY, "b.example").why,
	    "no dkim key");
	play_for(world, 20 * 3600, 600);
	assert_int_equal(times_logged("no dkim key"), 1);
	play_for(world, 8 * 3600, 600);
	/* the next day's line, and the end of both */
	assert_int_equal(times_logged("no dkim key signs"), 2);
	assert_int_equal(times_logged("outcome=given-up"), 2);
	assert_int_equal(get_report(world, DAY, "a.example").phase,
	    REPORT_DONE);
	assert_int_equal(get_report(world, DAY, "b.example").phase,
	    REPORT_GIVEN_UP);
	assert_int_equal(world->taken_n, 0);
	free_world(&world);
}

static void
test_key_comes(void **state)
{
	static const char *const more[] = { SIGNED, NULL };
	struct world *world = new_world(UNSIGNED);
	struct config *config;

	(void)state;
	add_record(world, "b.example", MAIL_B);
	count_session(world, "b.example");
	go_past_day(world, DAY);
	assert_int_equal(world->taken_n, 0);
	config = read_settings(more);
	life_set(world->life, config);
	config_free(&world->config);
	world->config = config;
	play_for(world, 3700, 60);
	assert_int_equal(world->taken_n, 1);
	free_world(&world);
}

/* ---- time ---- */

/* RPT-4.1-3: the relay was down over three midnights. */
static void
test_missed_days(void **state)
{
	struct world *world = new_world(SIGNED);
	uint32_t day;
	unsigned i, j;

	(void)state;
	add_record(world, "a.example", MAIL_A);
	for (day = DAY; day < DAY + 3; day++) {
		go_to((int64_t)day * DAY_S + 13 * 3600);
		count_session(world, "a.example");
		stop_life(world);
		start_life(world);
	}
	stop_life(world);
	world->taken_n = 0;
	go_to((int64_t)(DAY + 6) * DAY_S);
	start_life(world);
	play(world);
	assert_int_equal(world->taken_n, 3);
	for (i = 0; i < 3; i++)
		for (j = 0; j < i; j++)
			assert_string_not_equal(world->taken[i].key,
			    world->taken[j].key);
	play_for(world, 3600, 60);
	for (day = DAY; day < DAY + 3; day++)
		assert_int_equal(get_report(world, day, "a.example").phase,
		    REPORT_DONE);
	free_world(&world);
}

/*
 * A clock that is a day ahead for half an hour sends no half day, and that
 * day's other half counts; one that stays there is right.
 */
static void
test_clock_ahead(void **state)
{
	struct world *world = new_world(SIGNED);
	uint64_t succeeded, failed;

	(void)state;
	add_record(world, "a.example", MAIL_A);
	count_session(world, "a.example");
	set_wall((int64_t)(DAY + 1) * DAY_S + 12 * 3600);
	play_for(world, 1800, 60);
	assert_int_equal(world->asked_txt, 0);
	assert_true(life_doubts_clock(world->life));
	assert_int_equal(times_logged("clock went far ahead"), 1);
	set_wall((int64_t)DAY * DAY_S + 12 * 3600 + 1800);
	play_for(world, 1800, 60);
	assert_false(life_doubts_clock(world->life));
	assert_int_equal(world->asked_txt, 0);
	count_session(world, "a.example");
	book_totals(world->book, DAY, "a.example", &succeeded, &failed);
	assert_int_equal(failed, 2);
	/* now it stays */
	set_wall((int64_t)(DAY + 1) * DAY_S + 12 * 3600);
	play_for(world, 3540, 60);
	assert_int_equal(world->asked_txt, 0);
	play_for(world, 180, 60);
	assert_int_equal(world->taken_n, 1);
	assert_false(life_doubts_clock(world->life));
	free_world(&world);
}

/* A year ahead for some hours: nothing waits a year, or is forgotten. */
static void
test_clock_year_ahead(void **state)
{
	struct world *world = new_world(SIGNED);
	struct report_state report;
	int64_t now_s;
	unsigned day;

	(void)state;
	add_record(world, "a.example", MAIL_A);
	add_record(world, "b.example", NULL);
	for (day = DAY; day < DAY + 3; day++) {
		count_session(world, "b.example");
		go_past_day(world, day);
	}
	count_session(world, "a.example");
	now_s = loop_wall_s();
	set_wall(now_s + (int64_t)365 * DAY_S);
	play_for(world, 1800, 60);
	for (day = DAY; day < DAY + 3; day++)
		assert_true(book_get_report(world->book, day, "b.example",
		    &report));
	assert_int_equal(get_report(world, DAY + 3, "a.example").phase,
	    REPORT_COUNTING);
	/* believed: asked for in vain, and put off by that clock */
	play_for(world, 2400, 60);
	report = get_report(world, DAY + 2, "b.example");
	assert_int_equal(report.phase, REPORT_GIVEN_UP);
	count_session(world, "b.example");
	go_past_day(world, DAY + 3 + 365);
	report = get_report(world, DAY + 3 + 365, "b.example");
	assert_int_equal(report.phase, REPORT_ASKING);
	set_wall(now_s + DAY_S);
	play_for(world, 180, 60);
	report = get_report(world, DAY + 3 + 365, "b.example");
	assert_int_equal(report.phase, REPORT_ASKING);
	assert_true(report.next_s <= loop_wall_s() + DAY_S);
	assert_true(report.first_s <= loop_wall_s());
	free_world(&world);
}

/* The clock was wrong when a receiver had its third no: 30 days, no more. */
static void
test_peace_ahead(void **state)
{
	struct world *world = new_world(SIGNED);
	struct refuser refuser = { .refusals = 3 };

	(void)state;
	add_record(world, "a.example", MAIL_A);
	refuser.until_s = loop_wall_s() + (int64_t)395 * DAY_S;
	book_put_refuser(world->book, "mailto:tls@a.example", &refuser);
	count_session(world, "a.example");
	go_past_day(world, DAY);
	assert_int_equal(world->taken_n, 1);
	free_world(&world);
}

/* Off for long, or wrong since before the start: an hour to find out. */
static void
test_started_late(void **state)
{
	struct world *world = new_world(SIGNED);

	(void)state;
	add_record(world, "a.example", MAIL_A);
	add_record(world, "b.example", MAIL_B);
	count_session(world, "a.example");
	count_session(world, "b.example");
	stop_life(world);
	go_to((int64_t)(DAY + BOOK_DAYS + 40) * DAY_S);
	start_life(world);
	play_for(world, 3000, 60);
	assert_int_equal(world->asked_txt, 0);
	assert_true(life_doubts_clock(world->life));
	/* an operator who asks has looked at it */
	assert_true(sends(world, DAY, "b.example", false));
	play(world);
	assert_int_equal(world->taken_n, 2);
	assert_false(life_doubts_clock(world->life));
	free_world(&world);
}

/* A report-at that moves takes what is counted along, both ways. */
static void
test_report_at_moves(void **state)
{
	static const char *const early[] = {
		"report-at=01:00 spread 0s", NULL
	}, *const late[] = { "report-at=23:00 spread 0s", NULL };
	struct world *world = make_world(late);
	struct config *old = world->config;

	(void)state;
	start_life(world);
	add_record(world, "a.example", HTTPS_A);
	count_session(world, "a.example");
	play(world);
	world->config = read_settings(early);
	life_set(world->life, world->config);
	config_free(&old);
	play(world);
	go_past_day(world, DAY);
	assert_int_equal(world->posts_n, 0);
	play_for(world, 3660, 60);
	assert_int_equal(world->posts_n, 1);
	free_world(&world);
}

/* Sixteen at a time, and all of them in the end. */
static void
test_many(void **state)
{
	struct world *world = new_world(SIGNED);
	struct wire_port policy;
	char domain[RECORDS_MAX * 3][32];
	unsigned i, n;

	(void)state;
	for (i = 0; i < COUNT(domain); i++) {
		snprintf(domain[i], sizeof(domain[i]), "d%u.example", i);
		count_session(world, domain[i]);
	}
	/* nobody answers */
	policy = world->policy;
	world->policy.fd = -1;
	go_past_day(world, DAY);
	world->policy = policy;
	for (n = 0;; n++) {
		const void *message;
		int fds[WIRE_FDS_MAX];

		loop_turn(world->loop, false);
		if (wire_port_receive(&world->policy, &message, fds,
		    wire_now_ms()) != R_TXT)
			break;
	}
	assert_int_equal(n, 16);
	/* the link breaks: they are put once more */
	connect_policy(world);
	play(world);
	assert_int_equal(world->asked_txt, COUNT(domain));
	for (i = 0; i < COUNT(domain); i++)
		assert_int_equal(get_report(world, DAY, domain[i]).phase,
		    REPORT_UNWANTED);
	free_world(&world);
}

/*
 * Twenty receivers over https that do not answer, under two names: two posts
 * for each of them, and mail goes its way.
 */
static void
test_silent_hosts(void **state)
{
	struct world *world = new_world(SIGNED);
	char domain[20][32], record[20][64];
	unsigned i, twice = 0;

	(void)state;
	for (i = 0; i < COUNT(domain); i++) {
		snprintf(domain[i], sizeof(domain[i]), "d%02u.example", i);
		snprintf(record[i], sizeof(record[i]), "v=TLSRPTv1;"
		    "rua=https://%s.example/%u", i < 10 ? "one" : "two", i);
		add_record(world, domain[i], record[i]);
		count_session(world, domain[i]);
	}
	add_record(world, "z.example", MAIL_B);
	count_session(world, "z.example");
	world->answers = false;
	go_past_day(world, DAY);
	play_for(world, 60, 20);
	assert_int_equal(world->posts_n, 4);
	for (i = 0; i < 4; i++)
		twice += strstr(world->posts[i].url, "/one.") != NULL;
	assert_int_equal(twice, 2);
	assert_int_equal(world->taken_n, 1);
	assert_string_equal(world->taken[0].recipient, "tls@b.example");
	/* they go on answering: all get theirs */
	world->answers = true;
	play_for(world, 3600, 20);
	for (i = 0; i < COUNT(domain); i++)
		assert_int_equal(get_report(world, DAY, domain[i]).phase,
		    REPORT_DONE);
	free_world(&world);
}

/* T34: five days, each one's receiver lies in the other's domain. */
static void
test_no_loop(void **state)
{
	struct world *world = new_world(SIGNED);
	unsigned day;

	(void)state;
	add_record(world, "a.example", MAIL_B);
	add_record(world, "b.example", MAIL_A);
	count_session(world, "a.example");
	count_session(world, "b.example");
	for (day = DAY; day < DAY + 5; day++) {
		go_past_day(world, day);
		play_for(world, 23 * 3600, 1800);
	}
	assert_int_equal(world->taken_n, 2);
	assert_int_equal(world->asked_txt, 2);
	assert_int_equal(times_logged("outcome=accepted"), 2);
	free_world(&world);
}

static void
test_forgotten(void **state)
{
	struct world *world = new_world(SIGNED);
	struct report_state report;

	(void)state;
	add_record(world, "a.example", MAIL_A);
	count_session(world, "a.example");
	go_past_day(world, DAY);
	play_for(world, 3600, 300);
	go_to((int64_t)(DAY + BOOK_DAYS) * DAY_S + 3600);
	play_for(world, 2 * 3600, 600);
	assert_true(book_get_report(world->book, DAY, "a.example", &report));
	go_to((int64_t)(DAY + BOOK_DAYS + 1) * DAY_S + 3600);
	play_for(world, 2 * 3600, 600);
	assert_false(book_get_report(world->book, DAY, "a.example",
	    &report));
	free_world(&world);
}

/* ---- programs that die ---- */

static void
test_queue_dies(void **state)
{
	struct world *world = new_world(SIGNED);
	struct wire_port queue;

	(void)state;
	add_record(world, "a.example", MAIL_A);
	count_session(world, "a.example");
	queue = world->queue;
	world->queue.fd = -1;
	go_past_day(world, DAY);
	/* It has Q_OPEN and Q_RCPT, and dies. */
	world->queue = queue;
	wire_port_close(&world->queue);
	play(world);
	assert_int_equal(world->queue_needed, 1);
	assert_int_equal(world->taken_n, 0);
	connect_queue(world);
	play_for(world, 400, 60);
	assert_int_equal(world->taken_n, 1);
	free_world(&world);
}

static void
test_policy_dies(void **state)
{
	struct world *world = new_world(SIGNED);
	struct wire_port policy;

	(void)state;
	add_record(world, "a.example", MAIL_A);
	count_session(world, "a.example");
	policy = world->policy;
	world->policy.fd = -1;
	go_past_day(world, DAY);
	world->policy = policy;
	wire_port_close(&world->policy);
	play(world);
	assert_int_equal(world->policy_needed, 1);
	connect_policy(world);
	play(world);
	assert_int_equal(world->taken_n, 1);
	free_world(&world);
}

/* Fetch dies when the document was read: the same once more, later. */
static void
test_fetch_dies(void **state)
{
	struct world *world = new_world(UNSIGNED);

	(void)state;
	add_record(world, "a.example", HTTPS_A);
	count_session(world, "a.example");
	world->answers = false;
	go_past_day(world, DAY);
	assert_int_equal(world->posts_n, 1);
	wire_port_close(&world->fetch);
	play(world);
	assert_int_equal(get_receiver(world, DAY, "a.example", 0).phase,
	    RECEIVER_WAITING);
	world->answers = true;
	play_for(world, 300, 60);
	assert_int_equal(world->posts_n, 1);
	assert_int_equal(world->fetch_needed, 0);
	play_for(world, 60, 60);
	assert_int_equal(world->fetch_needed, 1);
	connect_fetch(world);
	play(world);
	assert_int_equal(world->posts_n, 2);
	assert_memory_equal(world->posts[0].gzip.text,
	    world->posts[1].gzip.text, world->posts[0].gzip.len);
	assert_int_equal(get_report(world, DAY, "a.example").phase,
	    REPORT_DONE);
	free_world(&world);
}

/* Who comes after a crash does not post at once: it may have arrived. */
static void
test_restart(void **state)
{
	struct world *world = new_world(UNSIGNED);

	(void)state;
	add_record(world, "a.example", HTTPS_A);
	count_session(world, "a.example");
	world->answers = false;
	go_past_day(world, DAY);
	assert_int_equal(world->posts_n, 1);
	world->answers = true;
	stop_life(world);
	start_life(world);
	play_for(world, 240, 60);
	assert_int_equal(world->posts_n, 1);
	play_for(world, 120, 60);
	assert_int_equal(world->posts_n, 2);
	assert_int_equal(get_receiver(world, DAY, "a.example", 0).attempts,
	    2);
	free_world(&world);
}

/* ---- ruling 11 ---- */

static void
test_base(void **state)
{
	static const struct {
		const char	*own, *of_base;	/* records */
		unsigned	 taken;
		uint32_t	 phase;		/* of the base's report */
	} rows[] = {
		/* the same receiver learns it from the domain's report */
		{ MAIL_A, MAIL_A, 1, REPORT_UNWANTED },
		{ MAIL_A, MAIL_B, 2, REPORT_SENDING },
		{ "", MAIL_A, 1, REPORT_SENDING },
		{ MAIL_A, "", 1, REPORT_UNWANTED },
		{ MAIL_A, MAIL_A ",mailto:x@c.example", 2, REPORT_SENDING },
	};
	struct world *world;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		world = new_world(SIGNED);
		if (rows[i].own[0] != '\0')
			add_record(world, "z.example", rows[i].own);
		if (rows[i].of_base[0] != '\0')
			add_record(world, "mx.host.example", rows[i].of_base);
		count_dane_session(world, "z.example", "mx.host.example");
		go_past_day(world, DAY);
		play_for(world, 120, 60);
		assert_int_equal(world->taken_n, rows[i].taken);
		assert_int_equal(get_report(world, DAY,
		    "mx.host.example").phase == REPORT_UNWANTED,
		    rows[i].phase == REPORT_UNWANTED);
		free_world(&world);
	}
}

/* It waits for the domain's own, but for an hour only. */
/* Twenty are noted; what the last ones' receivers learn is not known. */
static void
test_base_of_many(void **state)
{
	struct world *world = new_world(SIGNED);
	char domain[21][32];
	unsigned i;

	(void)state;
	for (i = 0; i < COUNT(domain); i++) {
		snprintf(domain[i], sizeof(domain[i]), "d%02u.example", i);
		add_record(world, domain[i], i < 20 ? HTTPS_A : MAIL_B);
		count_dane_session(world, domain[i], "mx.base.example");
	}
	add_record(world, "mx.base.example", HTTPS_A);
	go_past_day(world, DAY);
	play_for(world, 600, 20);
	assert_int_equal(world->taken_n, 1);
	assert_int_equal(world->posts_n, 21);
	assert_int_equal(get_report(world, DAY, "mx.base.example").phase,
	    REPORT_DONE);
	free_world(&world);
}

static void
test_base_waits(void **state)
{
	struct world *world = new_world(SIGNED);

	(void)state;
	add_record(world, "z.example", NULL);
	add_record(world, "mx.host.example", MAIL_A);
	count_dane_session(world, "z.example", "mx.host.example");
	go_past_day(world, DAY);
	play_for(world, 3400, 60);
	assert_int_equal(world->taken_n, 0);
	assert_int_equal(get_report(world, DAY, "mx.host.example").phase,
	    REPORT_COUNTING);
	play_for(world, 300, 60);
	assert_int_equal(world->taken_n, 1);
	free_world(&world);
}

/* ---- report send ---- */

static void
test_send_now(void **state)
{
	struct world *world = new_world(SIGNED);

	(void)state;
	assert_false(sends(world, DAY, "a.example", false));
	assert_non_null(strstr(said.text, "nothing was counted"));
	assert_false(sends(world, DAY - 1, "a.example", false));
	assert_non_null(strstr(said.text, "nothing was counted"));
	add_record(world, "a.example", BOTH_A);
	count_session(world, "a.example");
	/* today's, as far as it is */
	assert_true(sends(world, DAY, "a.example", false));
	assert_false(sends(world, DAY, "a.example", false));
	play(world);
	assert_int_equal(world->taken_n, 1);
	assert_int_equal(world->posts_n, 1);
	play_for(world, 120, 60);
	assert_int_equal(times_logged("outcome=accepted"), 2);
	assert_int_equal(get_report(world, DAY, "a.example").phase,
	    REPORT_COUNTING);
	/* and the day's own, with all of it */
	count_session(world, "a.example");
	go_past_day(world, DAY);
	assert_int_equal(world->taken_n, 2);
	assert_int_equal(world->posts_n, 2);
	assert_non_null(strstr(gunzip(&world->posts[0].gzip),
	    "\"total-failure-session-count\":1"));
	assert_non_null(strstr(gunzip(&world->posts[0].gzip),
	    "\"end-datetime\":\"2024-10-04T12:0"));
	assert_non_null(strstr(world->taken[0].message.text, "so far, until "
	    "12:0"));
	assert_non_null(strstr(gunzip(&world->posts[1].gzip),
	    "\"total-failure-session-count\":2"));
	assert_non_null(strstr(gunzip(&world->posts[1].gzip),
	    "\"end-datetime\":\"2024-10-04T23:59:59Z\""));
	play_for(world, 120, 60);
	assert_false(sends(world, DAY, "a.example", false));
	assert_non_null(strstr(said.text, "was accepted"));
	free_world(&world);
}

static void
test_send_past(void **state)
{
	struct world *world = new_world("report-at=06:00 spread 4h");

	(void)state;
	add_record(world, "a.example", HTTPS_A);
	count_session(world, "a.example");
	world->answer.outcome = POST_FAILED;
	go_past_day(world, DAY);
	assert_int_equal(world->posts_n, 0);
	assert_true(sends(world, DAY, "a.example", false));
	play(world);
	assert_int_equal(world->posts_n, 1);
	/* not in five minutes, but now */
	world->answer.outcome = POST_ACCEPTED;
	assert_true(sends(world, DAY, "a.example", false));
	play(world);
	assert_int_equal(world->posts_n, 2);
	assert_int_equal(get_report(world, DAY, "a.example").phase,
	    REPORT_DONE);
	free_world(&world);
}

/* Once it is mended: an operator who names domain and day is believed. */
static void
test_send_lifts(void **state)
{
	struct world *world = new_world(SIGNED);
	uint64_t number;
	uint32_t day;

	(void)state;
	add_record(world, "a.example", MAIL_A);
	world->becomes = KEY_REFUSED;
	world->becomes_code = 550;
	for (day = DAY; day < DAY + 5; day++) {
		count_session(world, "a.example");
		go_past_day(world, day);
		play_for(world, 3 * 3600, 600);
	}
	assert_int_equal(world->taken_n, 3);
	assert_false(sends(world, DAY + 4, "a.example", false));
	assert_non_null(strstr(said.text, "it was given up: name domain and "
	    "day (report send a.example --day 2024-10-08)"));
	number = get_report(world, DAY + 4, "a.example").number;
	world->becomes = KEY_ACCEPTED;
	assert_true(sends(world, DAY + 4, "a.example", true));
	assert_non_null(strstr(said.text, "asks whether a.example wants it"));
	play(world);
	play_for(world, 120, 60);
	assert_int_equal(world->taken_n, 4);
	assert_int_equal(get_report(world, DAY + 4, "a.example").phase,
	    REPORT_DONE);
	assert_true(get_report(world, DAY + 4, "a.example").number != number);
	/* and never again */
	assert_false(sends(world, DAY + 4, "a.example", true));
	assert_string_equal(said.text, "it was accepted");
	play_for(world, 3600, 600);
	assert_int_equal(world->taken_n, 4);
	/* a refused one, too; and all is forgotten since it took one */
	assert_true(sends(world, DAY, "a.example", true));
	play_for(world, 120, 60);
	assert_int_equal(world->taken_n, 5);
	free_world(&world);
}

/* A day that one receiver took: the other is left alone no more. */
static void
test_send_lifts_one(void **state)
{
	struct world *world = new_world(SIGNED);
	struct refuser refuser = { .refusals = 3 };

	(void)state;
	add_record(world, "a.example", BOTH_A);
	refuser.until_s = loop_wall_s() + 20 * DAY_S;
	book_put_refuser(world->book, "mailto:tls@a.example", &refuser);
	count_session(world, "a.example");
	go_past_day(world, DAY);
	assert_int_equal(world->posts_n, 1);
	assert_int_equal(world->taken_n, 0);
	assert_int_equal(get_report(world, DAY, "a.example").phase,
	    REPORT_DONE);
	assert_true(sends(world, DAY, "a.example", true));
	assert_string_equal(said.text, "it was accepted; who was left alone "
	    "gets the next one");
	count_session(world, "a.example");
	assert_true(sends(world, DAY + 1, "a.example", false));
	play(world);
	assert_int_equal(world->posts_n, 2);
	assert_int_equal(world->taken_n, 1);
	/* today's, and who is named by the record only now */
	book_put_refuser(world->book, "mailto:tls@a.example", &refuser);
	play_for(world, 120, 60);
	assert_true(sends(world, DAY + 1, "a.example", true));
	play(world);
	assert_int_equal(world->taken_n, 2);
	free_world(&world);
}

/* ---- a receiver at home ---- */

static void
test_local(void **state)
{
	static const struct {
		const char	*record, *root_mail, *recipient;
	} rows[] = {
		{ "v=TLSRPTv1;rua=mailto:Postmaster@our.example",
		    "root-mail=me@far.example", "me@far.example" },
		{ "v=TLSRPTv1;rua=mailto:root@our.example",
		    "root-mail=me@far.example", "me@far.example" },
		{ "v=TLSRPTv1;rua=mailto:root@our.example", NULL, NULL },
		{ "v=TLSRPTv1;rua=mailto:someone@our.example",
		    "root-mail=me@far.example", NULL },
	};
	struct world *world;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		const char *const settings[] = { SIGNED, rows[i].root_mail,
		    NULL };

		world = make_world(settings);
		start_life(world);
		add_record(world, "a.example", rows[i].record);
		count_session(world, "a.example");
		go_past_day(world, DAY);
		assert_int_equal(world->taken_n, rows[i].recipient != NULL);
		if (rows[i].recipient != NULL) {
			assert_string_equal(world->taken[0].recipient,
			    rows[i].recipient);
		} else {
			assert_logged("outcome=refused code=\"\" tls=none "
			    "text=\"it is local here, and nobody takes it\"");
			assert_int_equal(get_report(world, DAY,
			    "a.example").phase, REPORT_GIVEN_UP);
		}
		free_world(&world);
	}
}

/* ---- texts, and failed fetches ---- */

static void
test_texts(void **state)
{
	struct world *world = new_world(UNSIGNED);
	struct report_detail detail = { .block = REPORT_STS,
	    .result = RESULT_SUCCESS };
	static struct t_session session;

	(void)state;
	add_record(world, "a.example", HTTPS_A);
	fill_session(&session, "a.example");
	session.details_len = 0;
	assert_true(report_put_detail(session.details, &session.details_len,
	    sizeof(session.details), &detail));
	strcpy(session.sts_id, "1");
	session.sts_text = policy_text_mark(SLICE(POLICY_TEXT));
	book_count_session(world->book, &session);
	/* one that cannot be had */
	strcpy(session.domain, "b.example");
	session.sts_text = 99;
	book_count_session(world->book, &session);
	play(world);
	go_past_day(world, DAY);
	assert_non_null(strstr(gunzip(&world->posts[0].gzip),
	    "\"mx: mx.a.example\""));
	free_world(&world);
}

static void
test_failed(void **state)
{
	struct world *world = new_world(UNSIGNED);
	struct r_failed failed = { .epoch = 7, .sequence = 1,
	    .when_s = loop_wall_s(), .domain = "a.example",
	    .result = RESULT_STS_POLICY_FETCH_ERROR, .reason = "HTTP 403" };
	const struct r_failed_kept *kept;
	uint64_t succeeded, failures;
	const void *message;
	int fds[WIRE_FDS_MAX], round;

	(void)state;
	for (round = 0; round < 3; round++) {
		/* the second: it did not hear; the third: nor after a start */
		if (round == 2) {
			stop_life(world);
			start_life(world);
		} else {
			connect_policy(world);
		}
		say(world, &world->policy, R_FAILED, &failed, NULL);
		loop_turn(world->loop, false);
		pass_s(2);
		for (int i = 0; i < 4; i++)
			loop_turn(world->loop, false);
		assert_int_equal(wire_port_receive(&world->policy, &message,
		    fds, wire_now_ms()), R_FAILED_KEPT);
		kept = message;
		assert_int_equal(kept->sequence, 1);
		book_totals(world->book, DAY, "a.example", &succeeded,
		    &failures);
		assert_int_equal(failures, 1);
	}
	free_world(&world);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "RPT-5-1 RPT-3-11 RPT-7-2 a report goes by mail, once",
		    test_mail, NULL, NULL, NULL },
		{ "RPT-3-7 RPT-5.4-1 a report goes over https, once",
		    test_https, NULL, NULL, NULL },
		{ "T37 RPT-3-23 each receiver for itself", test_both, NULL,
		    NULL, NULL },
		{ "RPT-3-8 a bad certificate is said", test_unverified, NULL,
		    NULL, NULL },
		{ "RPT-3-6 RPT-3-20 who does not want one gets none",
		    test_unwanted, NULL, NULL, NULL },
		{ "RPT-3-26 the record counts when the report is made",
		    test_opt_out, NULL, NULL, NULL },
		{ "nobody can say: asked again", test_nobody_answers, NULL,
		    NULL, NULL },
		{ "RPT-5.5-1 nobody can ever say: given up",
		    test_nobody_answers_ever, NULL, NULL, NULL },
		{ "T38 RPT-5.5-1 RPT-5.5-2 RPT-5.4-2 RPT-5.4-3 RPT-4.4-5 "
		    "tried for a day with growing gaps, the same report",
		    test_retries, NULL, NULL, NULL },
		{ "a private address counts as a refusal", test_private, NULL,
		    NULL, NULL },
		{ "our queue has no room: later", test_queue_refuses, NULL,
		    NULL, NULL },
		{ "T51 who refuses three times is left alone for 30 days",
		    test_refuser, NULL, NULL, NULL },
		{ "RPT-3-16 no key: no mail, a line a day, https goes on",
		    test_no_key, NULL, NULL, NULL },
		{ "RPT-3-16 a key that comes in time", test_key_comes, NULL,
		    NULL, NULL },
		{ "RPT-4.1-3 missed days are reports of their own",
		    test_missed_days, NULL, NULL, NULL },
		{ "RPT-4.1-1 no half day leaves because the clock is ahead",
		    test_clock_ahead, NULL, NULL, NULL },
		{ "a clock a year ahead, and back", test_clock_year_ahead,
		    NULL, NULL, NULL },
		{ "T51 peace given by a wrong clock is no longer than 30 days",
		    test_peace_ahead, NULL, NULL, NULL },
		{ "RPT-4.1-3 a start far ahead of all that was counted waits "
		    "an hour", test_started_late, NULL, NULL, NULL },
		{ "RPT-4.1-2 a new report-at holds for what is counted",
		    test_report_at_moves, NULL, NULL, NULL },
		{ "sixteen at a time, all in the end", test_many, NULL, NULL,
		    NULL },
		{ "receivers that hang keep no others from theirs",
		    test_silent_hosts, NULL, NULL, NULL },
		{ "T34 no loop of reports in five days", test_no_loop, NULL,
		    NULL, NULL },
		{ "old days are forgotten", test_forgotten, NULL, NULL,
		    NULL },
		{ "queue dies: once more by the key", test_queue_dies, NULL,
		    NULL, NULL },
		{ "policy dies: asked once more", test_policy_dies, NULL,
		    NULL, NULL },
		{ "RPT-4.4-5 fetch dies: the same report later",
		    test_fetch_dies, NULL, NULL, NULL },
		{ "RPT-5.5-2 a restart is no reason to hurry", test_restart,
		    NULL, NULL, NULL },
		{ "RPT-1.1-2 the report of a TLSA base domain", test_base,
		    NULL, NULL, NULL },
		{ "RPT-1.1-2 a TLSA base domain of very many",
		    test_base_of_many, NULL, NULL, NULL },
		{ "RPT-1.1-2 it waits for the recipients' domains",
		    test_base_waits, NULL, NULL, NULL },
		{ "report send, of today", test_send_now, NULL, NULL, NULL },
		{ "report send lifts the peace of who was left alone",
		    test_send_lifts, NULL, NULL, NULL },
		{ "report send lifts the peace of one of two receivers",
		    test_send_lifts_one, NULL, NULL, NULL },
		{ "a receiver at a local domain", test_local, NULL, NULL,
		    NULL },
		{ "report send, of a day that is over", test_send_past, NULL,
		    NULL, NULL },
		{ "T41 RPT-4.5-2 texts of policies are asked for", test_texts,
		    NULL, NULL, NULL },
		{ "failed fetches are counted once and acknowledged",
		    test_failed, NULL, NULL, NULL },
	};

	log_is_shown = getenv("SHOW_LOG") != NULL;
	if (getenv("ONLY") != NULL)
		cmocka_set_test_filter(getenv("ONLY"));
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
