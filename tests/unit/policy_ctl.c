/*
 * The verbs of `culverctl policy' and `culverctl check', run alone: words and
 * standard input in, JSON and exit status out.
 */
#include "policy/check.h"
#include "policy/ctl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf/log.h"
#include "policy/refresh.h"
#include "policy/show.h"

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))
#define OUTPUT_MAX	8192

struct row {
	const char	*words;		/* "check mx-match a.b a.b" */
	const char	*input;
	int		 status;
	const char	*output;	/* NULL: none is compared */
};

/* A child runs the words; what it says on standard output comes back. */
static int
run(const struct control_verb *verbs, void *program, const char *words,
    const char *input, char output[OUTPUT_MAX])
{
	char *argv[16], *copy = mem_copy(words), *rest = NULL;
	int in[2], out[2], argc = 0, status;
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	for (argv[0] = strtok_r(copy, " ", &rest); argv[argc] != NULL;
	    argv[argc] = strtok_r(NULL, " ", &rest))
		argc++;
	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[1]);
		if (freopen("/dev/null", "w", stderr) == NULL)
			_exit(99);
		_exit(control_run(verbs, program, argc, argv));
	}
	close(in[0]);
	close(out[1]);
	assert_int_equal(write(in[1], input, strlen(input)), strlen(input));
	close(in[1]);
	while ((n = read(out[0], output + len, OUTPUT_MAX - 1 - len)) > 0)
		len += (size_t)n;
	output[len] = '\0';
	close(out[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	free(copy);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
check_rows(const struct control_verb *verbs, void *program,
    const struct row *rows, size_t n)
{
	char output[OUTPUT_MAX];
	size_t i;
	int status;

	for (i = 0; i < n; i++) {
		status = run(verbs, program, rows[i].words,
		    rows[i].input != NULL ? rows[i].input : "", output);
		if (status != rows[i].status || (rows[i].output != NULL &&
		    strcmp(output, rows[i].output) != 0))
			fail_msg("row %zu, %s: %d %s", i, rows[i].words,
			    status, output);
	}
}

#define INVALID(reason)							\
	"{\"valid\":false,\"reason\":\"" reason				\
	"\",\"clause\":\"RFC 8461 3.1\"}\n"

static void
test_record(void **state)
{
	static const char words[] = "check sts-record";
	static const struct row rows[] = {
		{ words, "v=STSv1; id=1;\n", 0,
		    "{\"valid\":true,\"id\":\"1\"}\n" },
		{ words, "v=STSv1; id=1;", 0,
		    "{\"valid\":true,\"id\":\"1\"}\n" },
		{ words, "v=spf1 -all\r\nv=STSv1; id=a;\r\n", 0,
		    "{\"valid\":true,\"id\":\"a\"}\n" },
		{ words, "", 1, INVALID("none") },
		{ words, "v=spf1 -all\n", 1, INVALID("none") },
		{ words, "\n\n", 1, INVALID("none") },
		{ words, "v=STSv1; id=1;\nv=STSv1; id=1;\n", 1,
		    INVALID("2 STS records where one is allowed") },
		{ words, "V=STSv1; id=1;\n", 1, NULL },
		{ words, "v=STSv1; id=a-b;\n", 1, NULL },
		{ "check sts-record x", "", 64, "" },
	};

	(void)state;
	check_rows(check_policy_verbs, NULL, rows, COUNT(rows));
}

static void
test_policy(void **state)
{
	static const char words[] = "check sts-policy";
	static const struct row rows[] = {
		{ words, "version: STSv1\nmode: enforce\nmx: a.b\n"
		    "mx: *.c.d\nmax_age: 86400\n", 0,
		    "{\"valid\":true,\"version\":\"STSv1\","
		    "\"mode\":\"enforce\",\"max_age\":86400,"
		    "\"mx\":[\"a.b\",\"*.c.d\"]}\n" },
		{ words, "version: STSv1\r\nmode: none\r\nmax_age: 0\r\n", 0,
		    "{\"valid\":true,\"version\":\"STSv1\","
		    "\"mode\":\"none\",\"max_age\":0,\"mx\":[]}\n" },
		{ words, "version: STSv1\nmode: testing\nmx: a.b\n"
		    "max_age: 9999999999\n", 0, "{\"valid\":true,"
		    "\"version\":\"STSv1\",\"mode\":\"testing\","
		    "\"max_age\":9999999999,\"mx\":[\"a.b\"]}\n" },
		{ words, "version: STSv1\nmode: enforce\nmax_age: 5\n", 1,
		    NULL },
		{ words, "", 1, NULL },
		{ "check sts-policy x", "", 64, "" },
	};

	(void)state;
	check_rows(check_policy_verbs, NULL, rows, COUNT(rows));
}

static void
test_long_policy(void **state)
{
	char *body = mem_alloc(STS_BODY_MAX + 2), output[OUTPUT_MAX];
	size_t len;

	(void)state;
	strcpy(body, "version: STSv1\nmode: none\nmax_age: 5\nx: ");
	len = strlen(body);
	memset(body + len, 'x', STS_BODY_MAX - len);
	/* A pipe takes that much at once. */
	assert_int_equal(run(check_policy_verbs, NULL, "check sts-policy",
	    body, output), 0);
	body[STS_BODY_MAX] = 'x';
	assert_int_equal(run(check_policy_verbs, NULL, "check sts-policy",
	    body, output), 1);
	assert_string_equal(output, "{\"valid\":false,\"reason\":\"longer "
	    "than 65536 octets\",\"clause\":\"RFC 8461 3.3\"}\n");
	free(body);
}

#define MATCH(pattern)	"{\"match\":true,\"pattern\":\"" pattern "\"}\n"
#define NO_MATCH	"{\"match\":false}\n"

static void
test_mx_match(void **state)
{
	static const struct row rows[] = {
		{ "check mx-match a.example a.example", NULL, 0,
		    MATCH("a.example") },
		{ "check mx-match MAIL.Example.COM. mail.example.com", NULL,
		    0, MATCH("mail.example.com") },
		{ "check mx-match mail.example.com x.y z.y *.example.com",
		    NULL, 0, MATCH("*.example.com") },
		{ "check mx-match example.com *.example.com", NULL, 1,
		    NO_MATCH },
		{ "check mx-match a.b.example.com *.example.com", NULL, 1,
		    NO_MATCH },
		{ "check mx-match *.example.com mail.example.com", NULL, 1,
		    NO_MATCH },
		{ "check mx-match *.example.com *.example.com", NULL, 1,
		    NO_MATCH },
		{ "check mx-match a.example a*.example", NULL, 1, NO_MATCH },
		{ "check mx-match m\xc3\xbcller.example "
		    "xn--mller-kva.example", NULL, 0,
		    MATCH("xn--mller-kva.example") },
		{ "check mx-match a.example", NULL, 64, "" },
		{ "check mx-match", NULL, 64, "" },
		{ "check nonsense", NULL, 64, "" },
	};

	(void)state;
	check_rows(check_policy_verbs, NULL, rows, COUNT(rows));
}

static char dir[64];

static int
begin(void **state)
{
	static struct ctl_policy ctl;

	strcpy(dir, "/tmp/culver-ctl-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	ctl.cache = cache_open(dir, NULL, 0);
	*state = &ctl;
	return 0;
}

static int
end(void **state)
{
	struct ctl_policy *ctl = *state;
	char command[128];

	cache_close(&ctl->cache);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static void
keep(struct ctl_policy *ctl, const char *name, int64_t fetched_s)
{
	struct slice body = SLICE("version: STSv1\nmode: enforce\n"
	    "mx: *.a.t\nmx: b.t\nmax_age: 5\n");
	struct cache_record record = {
		.id = "7", .mode = STS_ENFORCE, .max_age_s = 86400,
		.fetched_s = fetched_s, .checked_s = 1700000100
	};

	strcpy(record.domain.name, name);
	cache_put(ctl->cache, &record, &body);
	cache_turn_end(ctl->cache, 0);
}

static void
test_show(void **state)
{
	struct ctl_policy *ctl = *state;
	struct cache_record record;
	struct buffer json = { NULL, 0, 0 };
	struct domain domain = { "a.t" };

	keep(ctl, "a.t", 1700000000);
	cache_get(ctl->cache, &domain, &record);
	show_record(&json, ctl->cache, &record, 1700000200);
	assert_string_equal(json.text, "{\"domain\":\"a.t\",\"id\":\"7\","
	    "\"mode\":\"enforce\",\"max_age\":86400,"
	    "\"mx\":[\"*.a.t\",\"b.t\"],"
	    "\"fetched\":\"2023-11-14T22:13:20Z\","
	    "\"expires\":\"2023-11-15T22:13:20Z\","
	    "\"checked\":\"2023-11-14T22:15:00Z\","
	    "\"refresh\":null,\"error\":null}");
	buffer_free(&json);
	/* It has ended, and the last fetch failed. */
	record.error = RESULT_STS_WEBPKI_INVALID;
	strcpy(record.error_text, "certificate \"x\" has expired");
	strcpy(record.failed_id, "8");
	record.error_s = 1700000000;
	show_record(&json, ctl->cache, &record, 1700086400);
	assert_string_equal(json.text, "{\"domain\":\"a.t\",\"id\":null,"
	    "\"mode\":null,\"max_age\":null,\"mx\":[],\"fetched\":null,"
	    "\"expires\":null,\"checked\":\"2023-11-14T22:15:00Z\","
	    "\"refresh\":null,\"error\":{\"result\":\"sts-webpki-invalid\","
	    "\"text\":\"certificate \\\"x\\\" has expired\",\"id\":\"8\","
	    "\"time\":\"2023-11-14T22:13:20Z\"}}");
	buffer_free(&json);
}

static unsigned
lines(const char *text)
{
	unsigned n = 0;

	for (; (text = strchr(text, '\n')) != NULL; text++)
		n++;
	return n;
}

static void
test_list(void **state)
{
	static char output[OUTPUT_MAX];
	struct ctl_policy *ctl = *state;
	char name[32];
	unsigned i;

	assert_int_equal(run(ctl_policy_verbs, ctl, "policy list", "",
	    output), 0);
	assert_string_equal(output, "");
	for (i = 0; i < 450; i++) {
		snprintf(name, sizeof(name), "ended%u.t", i);
		keep(ctl, name, 1700000000);
	}
	for (i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "z%u.t", i);
		keep(ctl, name, time(NULL));
	}
	/* More than a slice of what has ended, then what holds. */
	assert_int_equal(run(ctl_policy_verbs, ctl, "policy list", "",
	    output), 0);
	assert_int_equal(lines(output), 10);
	assert_null(strstr(output, "ended"));
}

static void
test_verbs(void **state)
{
	struct ctl_policy *ctl = *state;
	static const struct row rows[] = {
		{ "policy show b.t", NULL, 1, "" },
		{ "policy show", NULL, 64, "" },
		{ "policy show a.t b.t", NULL, 64, "" },
		{ "policy show [192.0.2.1]", NULL, 64, "" },
		{ "policy show a..t", NULL, 64, "" },
		{ "policy show A.T.", NULL, 0, NULL },
		{ "policy forget b.t", NULL, 1, "" },
		/* Without a relay it is written down. */
		{ "policy refresh b.t", NULL, 1, "" },
		{ "policy refresh a.t", NULL, 0, NULL },
		{ "policy list x", NULL, 64, "" },
		{ "policy nonsense", NULL, 64, "" },
	};
	struct domain domain = { "a.t" };
	struct cache_record record;
	char *words[] = { mem_copy("policy"), mem_copy("forget"),
		mem_copy("a.t") };
	size_t i;

	keep(ctl, "a.t", 1700000000);
	check_rows(ctl_policy_verbs, ctl, rows, COUNT(rows));
	assert_int_equal(control_run(ctl_policy_verbs, ctl, 3, words), 0);
	cache_get(ctl->cache, &domain, &record);
	assert_string_equal(record.id, "");
	free(words[1]);
	words[1] = mem_copy("refresh");
	keep(ctl, "a.t", 1700000000);
	assert_int_equal(control_run(ctl_policy_verbs, ctl, 3, words), 0);
	cache_get(ctl->cache, &domain, &record);
	assert_int_equal(record.refresh_s, REFRESH_ASKED);
	for (i = 0; i < 3; i++)
		free(words[i]);
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
		{ "STS-3.1-12 STS-3.1-13 check sts-record", test_record, NULL,
		    NULL, NULL },
		{ "STS-3.2-4 STS-3.2-10 check sts-policy", test_policy, NULL,
		    NULL, NULL },
		{ "STS-3.3-13 check sts-policy takes 65536 octets",
		    test_long_policy, NULL, NULL, NULL },
		{ "STS-4.1-2 STS-4.1-3 STS-4.1-4 STS-4.1-6 EXT-6531-3.2-1 "
		    "check mx-match", test_mx_match, NULL, NULL, NULL },
		{ "STS-3.3-17 policy show", test_show, begin, end, NULL },
		{ "STS-8.3-2 policy list shows what holds", test_list, begin,
		    end, NULL },
		{ "the verbs of policy, without a relay", test_verbs, begin,
		    end, NULL },
	};

	log_to(no_log, NULL);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
