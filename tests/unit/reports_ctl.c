/*
 * The verbs of `culverctl report' and `check tlsrpt-record': words and
 * standard input in, JSON and exit status out; with and without a relay.
 */
#include "book_fixture.h"

#include "reports/ctl.h"
#include "reports/show.h"

#include <jansson.h>
#include <sys/wait.h>
#include <time.h>

#define OUTPUT_MAX	(1u << 20)

void	__lsan_disable(void) __attribute__((weak));

static char output[OUTPUT_MAX];
static const char *more_settings = "";
static uint32_t today;

static struct config *
config_of_test(void)
{
	struct buffer error = { NULL, 0, 0 };
	struct config *config;
	char path[128];
	FILE *stream;

	snprintf(path, sizeof(path), "%s/culver.conf", dir);
	stream = fopen(path, "w");
	assert_non_null(stream);
	fprintf(stream, "hostname relay.example\nmail-domain relay.example\n"
	    "report-organization \"An \\\"Org\\\"\"\n"
	    "submit-socket %s/s\ncontrol %s/c\nspool %s\n%s", dir, dir, dir,
	    more_settings);
	fclose(stream);
	config = config_read(path, NULL, 0, &error);
	if (config == NULL)
		fail_msg("%s", error.text);
	return config;
}

/* In the child: open the book, run the words, and write it down. */
static void
run_in_child(int argc, char **argv, bool relay)
{
	struct ctl_reports ctl = { NULL, NULL, NULL };
	struct config *config = config_of_test();
	struct loop *loop = loop_new();
	int status;

	ctl.book = open_book();
	ctl.config = config;
	if (relay) {
		ctl.life = life_new(loop, ctl.book);
		life_set(ctl.life, config);
	}
	status = control_run(ctl_reports_verbs, &ctl, argc, argv);
	if (!book_turn_end(ctl.book))
		status = 99;
	life_free(&ctl.life);
	book_close(&ctl.book);
	_exit(status);
}

/* What it says on standard output is in output. */
static int
run(const char *words, bool relay)
{
	char *argv[16], *copy = mem_copy(words), *rest = NULL;
	int out[2], argc = 0, status;
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	for (argv[0] = strtok_r(copy, " ", &rest); argv[argc] != NULL;
	    argv[argc] = strtok_r(NULL, " ", &rest))
		argc++;
	assert_int_equal(pipe(out), 0);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		if (__lsan_disable != NULL)
			__lsan_disable();
		dup2(out[1], 1);
		dup2(out[1], 2);
		run_in_child(argc, argv, relay);
	}
	close(out[1]);
	while ((n = read(out[0], output + len, OUTPUT_MAX - 1 - len)) > 0)
		len += (size_t)n;
	output[len] = '\0';
	close(out[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	free(copy);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
expect_status(const char *words, bool relay, int status)
{
	int got = run(words, relay);

	if (got != status)
		fail_msg("%s: %d, %s", words, got, output);
}

static void
expect(const char *words, bool relay, int status, const char *expected)
{
	expect_status(words, relay, status);
	assert_string_equal(output, expected);
}

/* A session of the day that is so many before today. */
static void
count_before(struct book *book, uint32_t days, const char *domain, bool good)
{
	struct t_session session = plain_session(domain, good);

	session.when_s = ((int64_t)today - days) * DAY_S + 5;
	tell(book, &session);
}

static void
count_some(void)
{
	struct book *book = open_book();

	count_before(book, 2, "a.example", true);
	count_before(book, 1, "a.example", true);
	count_before(book, 1, "a.example", true);
	count_before(book, 1, "a.example", false);
	count_before(book, 1, "b.example", true);
	count_before(book, 0, "a.example", false);
	book_close(&book);
}

static int
begin_days(void **state)
{
	today = (uint32_t)(time(NULL) / DAY_S);
	return begin(state);
}

static const char *
day_before(uint32_t days)
{
	static char text[DAY_TEXT_MAX];

	return day_print(today - days, text);
}

/* ---- list ---- */

static json_t *
row(unsigned n)
{
	const char *at = output;
	json_error_t error;
	json_t *object;

	for (; n > 0; n--) {
		at = strchr(at, '\n');
		assert_non_null(at);
		at++;
	}
	object = json_loads(at, JSON_DISABLE_EOF_CHECK, &error);
	if (object == NULL)
		fail_msg("%s: %s", error.text, at);
	return object;
}

static const char *
text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? text : "";
}

static unsigned
rows(void)
{
	unsigned n = 0;
	const char *at;

	for (at = output; (at = strchr(at, '\n')) != NULL; at++)
		n++;
	return n;
}

static void
list_of_all(void **state)
{
	static const struct {
		const char	*domain;
		uint32_t	before;
		unsigned	succeeded, failed;
	} expected[] = {
		{ "a.example", 2, 1, 0 }, { "a.example", 1, 2, 1 },
		{ "b.example", 1, 1, 0 }, { "a.example", 0, 0, 1 }
	};
	json_t *object;
	size_t i;

	(void)state;
	expect("report list", true, 0, "");
	count_some();
	expect_status("report list", true, 0);
	assert_int_equal(rows(), COUNT(expected));
	for (i = 0; i < COUNT(expected); i++) {
		object = row((unsigned)i);
		assert_string_equal(text_of(object, "domain"),
		    expected[i].domain);
		assert_string_equal(text_of(object, "day"),
		    day_before(expected[i].before));
		assert_string_equal(text_of(object, "phase"), "counting");
		/* its time has not come */
		assert_int_equal(json_is_true(json_object_get(object,
		    "due")), expected[i].before > 0);
		assert_int_equal(json_integer_value(json_object_get(object,
		    "succeeded")), expected[i].succeeded);
		assert_int_equal(json_integer_value(json_object_get(object,
		    "failed")), expected[i].failed);
		assert_int_equal(strlen(text_of(object, "next")), 20);
		assert_null(json_object_get(object, "report_id"));
		assert_null(json_object_get(object, "why"));
		assert_int_equal(json_array_size(json_object_get(object,
		    "receivers")), 0);
		json_decref(object);
	}
}

static void
list_of_some(void **state)
{
	char words[128];

	(void)state;
	count_some();
	expect_status("report list --domain A.Example", false, 0);
	assert_int_equal(rows(), 3);
	snprintf(words, sizeof(words), "report list --day %s",
	    day_before(1));
	expect_status(words, false, 0);
	assert_int_equal(rows(), 2);
	snprintf(words, sizeof(words), "report list --day %s --domain "
	    "b.example", day_before(1));
	expect_status(words, false, 0);
	assert_int_equal(rows(), 1);
	expect("report list --domain c.example", false, 0, "");
	expect("report list --day 1999-01-01", false, 0, "");
}

static void
list_of_what_became(void **state)
{
	struct receiver_state receivers[] = {
		{ .n = 0, .uri = "mailto:r@a.example", .attempts = 1,
		  .phase = RECEIVER_ACCEPTED, .last_s = 1764000000,
		  .code = 250, .text = "2.0.0 \"fine\"\xff" },
		{ .n = 1, .uri = "https://a.example/x", .attempts = 2,
		  .phase = RECEIVER_WAITING, .next_s = 1764000100,
		  .unverified = true }
	};
	struct report_state report;
	struct book *book;
	json_t *object, *list;

	(void)state;
	count_some();
	book = open_book();
	assert_true(book_get_report(book, today - 1, "a.example", &report));
	report.phase = REPORT_SENDING;
	report.number = 0x123;
	report.receivers = 2;
	report.next_s = 0;
	strcpy(report.why, "one waits");
	book_put_report(book, &report);
	book_put_receiver(book, &report, &receivers[0]);
	book_put_receiver(book, &report, &receivers[1]);
	book_close(&book);
	expect_status("report list --domain a.example", false, 0);
	object = row(1);
	assert_string_equal(text_of(object, "phase"), "sending");
	assert_string_equal(text_of(object, "why"), "one waits");
	assert_non_null(strstr(text_of(object, "report_id"),
	    "@relay.example"));
	assert_null(json_object_get(object, "next"));
	list = json_object_get(object, "receivers");
	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(text_of(json_array_get(list, 0), "phase"),
	    "accepted");
	assert_string_equal(text_of(json_array_get(list, 0), "last"),
	    "2025-11-24T16:00:00Z");
	assert_string_equal(text_of(json_array_get(list, 0), "text"),
	    "2.0.0 \"fine\"\xef\xbf\xbd");
	assert_int_equal(json_integer_value(json_object_get(
	    json_array_get(list, 0), "code")), 250);
	assert_null(json_object_get(json_array_get(list, 0), "next"));
	assert_null(json_object_get(json_array_get(list, 0), "unverified"));
	assert_string_equal(text_of(json_array_get(list, 1), "uri"),
	    "https://a.example/x");
	assert_string_equal(text_of(json_array_get(list, 1), "next"),
	    "2025-11-24T16:01:40Z");
	assert_true(json_is_true(json_object_get(json_array_get(list, 1),
	    "unverified")));
	assert_null(json_object_get(json_array_get(list, 1), "code"));
	json_decref(object);
}

static void
list_in_slices(void **state)
{
	struct book *book = open_book();
	char domain[64];
	unsigned i;

	(void)state;
	for (i = 0; i < 1234; i++) {
		snprintf(domain, sizeof(domain), "d%u.example", i);
		count_before(book, 1, domain, true);
	}
	book_close(&book);
	expect_status("report list", false, 0);
	assert_int_equal(rows(), 1234);
}

static void
names_of_phases(void **state)
{
	static const char *const of_reports[] = { "counting", "asking",
		"sending", "done", "unwanted", "given-up" };
	static const char *const of_receivers[] = { "waiting", "owed",
		"accepted", "refused", "left-alone" };
	uint32_t i;

	(void)state;
	for (i = 0; i < COUNT(of_reports); i++)
		assert_string_equal(report_phase_name(i), of_reports[i]);
	for (i = 0; i < COUNT(of_receivers); i++)
		assert_string_equal(receiver_phase_name(i), of_receivers[i]);
}

/* ---- show ---- */

static void
show_the_newest(void **state)
{
	json_t *object;

	(void)state;
	count_some();
	expect_status("report show a.example", false, 0);
	assert_int_equal(rows(), 1);
	object = row(0);
	assert_string_equal(text_of(object, "organization-name"),
	    "An \"Org\"");
	assert_string_equal(text_of(object, "contact-info"),
	    "tls-reports@relay.example");
	assert_int_equal(strncmp(text_of(json_object_get(object,
	    "date-range"), "start-datetime"), day_before(0), 10), 0);
	json_decref(object);
	/* of b.example that was yesterday */
	expect_status("report show B.EXAMPLE", false, 0);
	object = row(0);
	assert_int_equal(strncmp(text_of(json_object_get(object,
	    "date-range"), "start-datetime"), day_before(1), 10), 0);
	json_decref(object);
}

static void
show_a_day(void **state)
{
	char words[128];
	json_t *object, *summary;

	(void)state;
	count_some();
	snprintf(words, sizeof(words), "report show a.example --day %s",
	    day_before(1));
	expect_status(words, true, 0);
	object = row(0);
	summary = json_object_get(json_array_get(json_object_get(object,
	    "policies"), 0), "summary");
	assert_int_equal(json_integer_value(json_object_get(summary,
	    "total-successful-session-count")), 2);
	assert_int_equal(json_integer_value(json_object_get(summary,
	    "total-failure-session-count")), 1);
	json_decref(object);
	snprintf(words, sizeof(words), "report show --text --day %s "
	    "a.example", day_before(1));
	expect_status(words, true, 0);
	assert_non_null(strstr(output, "a.example"));
	assert_int_not_equal(output[0], '{');
	assert_true(rows() > 3);
}

static void
show_nothing(void **state)
{
	(void)state;
	count_some();
	expect("report show c.example", false, 1,
	    "culverctl: nothing was counted for c.example\n");
	expect("report show a.example --day 2001-02-03", false, 1,
	    "culverctl: nothing was counted for a.example on 2001-02-03\n");
	expect("report show", false, 64, "culverctl: a domain is wanted\n");
}

/* ---- send ---- */

static uint32_t
phase_of(uint32_t days, const char *domain, int64_t *next_s)
{
	struct report_state report;
	struct book *book = open_book();

	assert_true(book_get_report(book, today - days, domain, &report));
	book_close(&book);
	*next_s = report.next_s;
	return report.phase;
}

static void
set_phase(uint32_t days, const char *domain, uint32_t phase)
{
	struct receiver_state receiver = { .n = 0, .next_s = INT64_MAX / 2,
		.uri = "mailto:x@y.example" };
	struct report_state report;
	struct book *book = open_book();

	assert_true(book_get_report(book, today - days, domain, &report));
	report.phase = phase;
	report.first_s = report.attempts = 9;
	report.number = phase == REPORT_DONE || phase == REPORT_SENDING ? 7 :
	    0;
	report.receivers = 1;
	report.next_s = phase == REPORT_SENDING ? INT64_MAX / 2 : 0;
	book_put_report(book, &report);
	book_put_receiver(book, &report, &receiver);
	book_close(&book);
}

static void
send_without_relay(void **state)
{
	char expected[512];
	struct receiver_state receiver;
	struct report_state report;
	struct book *book;
	int64_t next_s;

	(void)state;
	count_some();
	set_phase(1, "b.example", REPORT_SENDING);
	set_phase(2, "a.example", REPORT_DONE);
	snprintf(expected, sizeof(expected), "{\"domain\":\"a.example\","
	    "\"day\":\"%s\",\"state\":\"asked\",\"text\":\"asks whether "
	    "a.example wants it; log and list say what comes of it (at the "
	    "next start)\"}\n",
	    day_before(1));
	expect("report send a.example", false, 0, expected);
	/* one that only counts would wait for report-at all the same */
	assert_int_equal(phase_of(1, "a.example", &next_s), REPORT_ASKING);
	assert_true(next_s <= time(NULL) && next_s > time(NULL) - 60);
	assert_int_equal(phase_of(2, "a.example", &next_s), REPORT_DONE);
	assert_int_equal(next_s, 0);
	/* all: that of b.example waits for a receiver, which is due as well */
	expect_status("report send", false, 0);
	assert_int_equal(rows(), 2);
	assert_int_equal(phase_of(1, "b.example", &next_s), REPORT_SENDING);
	assert_true(next_s <= time(NULL));
	book = open_book();
	assert_true(book_get_report(book, today - 1, "b.example", &report));
	assert_true(book_get_receiver(book, &report, 0, &receiver));
	assert_true(receiver.next_s <= time(NULL));
	book_close(&book);
}

/* A first attempt of long ago would give it up at once. */
static void
expect_anew(uint32_t days, const char *domain)
{
	struct report_state report;
	struct book *book = open_book();

	assert_true(book_get_report(book, today - days, domain, &report));
	assert_int_equal(report.phase, REPORT_ASKING);
	assert_true(report.next_s > 0 && report.next_s <= time(NULL));
	assert_int_equal(report.first_s, 0);
	assert_int_equal(report.attempts, 0);
	book_close(&book);
}

static void
set_number(uint32_t days, const char *domain)
{
	struct report_state report;
	struct book *book = open_book();

	assert_true(book_get_report(book, today - days, domain, &report));
	report.number = 7;
	book_put_report(book, &report);
	book_close(&book);
}

static void
send_what_is_done(void **state)
{
	char words[128], all[128];

	(void)state;
	count_some();
	set_phase(1, "a.example", REPORT_DONE);
	set_phase(2, "a.example", REPORT_DONE);
	set_phase(1, "b.example", REPORT_UNWANTED);
	snprintf(words, sizeof(words), "report send a.example --day %s",
	    day_before(1));
	expect_status(words, false, 1);
	assert_non_null(strstr(output, "\"error\":\"it was accepted\""));
	/* nobody wanted it; perhaps somebody does now */
	snprintf(words, sizeof(words), "report send b.example --day %s",
	    day_before(1));
	expect_status(words, false, 0);
	expect_anew(1, "b.example");
	/* nobody could say, for a day */
	set_phase(1, "b.example", REPORT_GIVEN_UP);
	expect_status(words, false, 0);
	expect_anew(1, "b.example");
	/* nobody took it: with its domain named alone */
	set_phase(1, "b.example", REPORT_GIVEN_UP);
	set_number(1, "b.example");
	snprintf(all, sizeof(all), "report send --day %s", day_before(1));
	expect_status(all, false, 1);
	assert_non_null(strstr(output, "\"error\":\"it was given up: name"));
	expect_status(words, false, 0);
	expect_anew(1, "b.example");
}

/* A setting turns all of it off. */
static void
send_with_reports_off(void **state)
{
	(void)state;
	count_some();
	more_settings = "tls-report off\n";
	expect("report send a.example", true, 1,
	    "culverctl: tls-report is off: no report leaves\n");
	expect("report send a.example", false, 1,
	    "culverctl: tls-report is off: no report leaves\n");
	expect_status("report list", true, 0);
	assert_null(strstr(output, "asking"));
	more_settings = "";
}

static void
send_todays(void **state)
{
	char words[128];

	(void)state;
	count_some();
	set_phase(1, "a.example", REPORT_DONE);
	set_phase(2, "a.example", REPORT_DONE);
	expect_status("report send a.example", false, 69);
	assert_non_null(strstr(output, "needs a running relay"));
	snprintf(words, sizeof(words), "report send --day %s",
	    day_before(0));
	expect_status(words, false, 69);
	expect_status("report send a.example", true, 0);
	assert_non_null(strstr(output, day_before(0)));
	assert_non_null(strstr(output, "\"state\":\"asked\",\"text\":\"asks "
	    "whether a.example wants today's so far, besides the day's own "
	    "report; "));
}

static void
send_with_relay(void **state)
{
	int64_t next_s;

	(void)state;
	count_some();
	expect_status("report send", true, 0);
	assert_int_equal(rows(), 3);
	assert_null(strstr(output, day_before(0)));
	assert_null(strstr(output, "error"));
	phase_of(1, "b.example", &next_s);
	assert_true(next_s <= time(NULL));
}

static void
send_nothing(void **state)
{
	(void)state;
	expect("report send", true, 1, "culverctl: there is no report to send\n");
	expect("report send", false, 1, "culverctl: there is no report to send\n");
	count_some();
	expect("report send c.example", false, 1,
	    "culverctl: there is no report to send\n");
	expect("report send --day 2001-02-03", false, 1,
	    "culverctl: there is no report to send\n");
}

/* ---- words ---- */

static void
words_that_are_wrong(void **state)
{
	static const char *const words[] = {
		"report list x", "report list --domain", "report list --day",
		"report list --domain a..b", "report list --day 2026-02-30",
		"report list --day 1970-01-01", "report list --text",
		"report list --", "report list -", "report list --da x",
		"report show a.example b.example", "report show --domain a.b",
		"report send --text", "report send a.b --day tomorrow",
		"report send \xc3\xa4.example"
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(words); i++) {
		expect_status(words[i], false, 64);
		assert_true(rows() >= 1);
	}
}

static void
rights(void **state)
{
	const struct control_verb *verb;

	(void)state;
	for (verb = ctl_reports_verbs; verb->noun != NULL; verb++)
		assert_false(verb->anybody);
}

/* ---- check tlsrpt-record ---- */

/* In a child, with that on its standard input. */
static int
check_record(struct slice input)
{
	char check[] = "check", record[] = "tlsrpt-record";
	char *words[] = { check, record, NULL };
	FILE *in = tmpfile(), *out = tmpfile();
	size_t len;
	int status;
	pid_t pid;

	assert_true(in != NULL && out != NULL);
	assert_int_equal(fwrite(input.at, 1, input.len, in), input.len);
	rewind(in);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		if (__lsan_disable != NULL)
			__lsan_disable();
		dup2(fileno(in), 0);
		dup2(fileno(out), 1);
		dup2(fileno(out), 2);
		_exit(ctl_reports_alone(2, words));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	rewind(out);
	len = fread(output, 1, OUTPUT_MAX - 1, out);
	output[len] = '\0';
	fclose(in);
	fclose(out);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Nothing is dropped: what is beyond a bound is refused. */
static void
check_bounds(void **state)
{
	struct buffer input = { NULL, 0, 0 };
	unsigned i;

	(void)state;
	assert_int_equal(check_record(SLICE("x\r\nv=TLSRPTv1; "
	    "rua=mailto:a@b.example\r\n")), 0);
	assert_string_equal(output, "{\"valid\":true,\"rua\":"
	    "[\"mailto:a@b.example\"]}\n");
	assert_int_equal(check_record(SLICE("\"v=TLSRPTv1; "
	    "rua=mailto:a@b.example\"\n")), 1);
	assert_non_null(strstr(output, "double quotes"));
	for (i = 0; i < 1024; i++)
		buffer_add(&input, SLICE("x\n"));
	assert_int_equal(check_record((struct slice){ input.text,
	    input.len }), 1);
	buffer_add(&input, SLICE("v=TLSRPTv1; rua=mailto:a@b.example\n"));
	assert_int_equal(check_record((struct slice){ input.text,
	    input.len }), 65);
	assert_non_null(strstr(output, "too long (1024 lines"));
	input.len = 0;
	while (input.len < 1u << 20)
		buffer_add(&input, SLICE("x"));
	assert_int_equal(check_record((struct slice){ input.text,
	    input.len }), 1);
	buffer_add(&input, SLICE("x"));
	assert_int_equal(check_record((struct slice){ input.text,
	    input.len }), 65);
	assert_non_null(strstr(output, "too long (1048576 octets"));
	buffer_free(&input);
}

#define TEST(name, function)						\
	{ name, function, begin_days, end, NULL }

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST("report list: every domain and day, the newest last",
		    list_of_all),
		TEST("report list of a domain, of a day", list_of_some),
		TEST("report list says what became of each receiver",
		    list_of_what_became),
		TEST("report list goes on in slices", list_in_slices),
		TEST("names of phases", names_of_phases),
		TEST("report show: the newest day", show_the_newest),
		TEST("report show of a day, as document and for people",
		    show_a_day),
		TEST("report show says when nothing was counted",
		    show_nothing),
		TEST("report send without a relay marks what is over",
		    send_without_relay),
		TEST("report send of what is done, of what nobody wanted",
		    send_what_is_done),
		TEST("report send of today needs a relay", send_todays),
		TEST("report send with a relay", send_with_relay),
		TEST("report send without reports", send_with_reports_off),
		TEST("report send says when there is nothing", send_nothing),
		TEST("check tlsrpt-record drops nothing", check_bounds),
		TEST("wrong words are a usage error", words_that_are_wrong),
		TEST("report verbs are the operator's alone", rights),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
