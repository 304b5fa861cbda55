/* Log lines: events, escapes, cuts, sinks, levels. */
#include "conf/log.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))
#define S(literal)	{ (literal), sizeof(literal) - 1 }

static char last_line[8192];
static enum log_level last_level;
static unsigned lines_n;

static void
keep(void *context, enum log_level level, const char *line)
{
	(void)context;
	snprintf(last_line, sizeof(last_line), "%s", line);
	last_level = level;
	lines_n++;
}

static int
begin(void **unused)
{
	(void)unused;
	log_start("culver-test");
	log_set_level(LOG_LEVEL_INFO);
	log_to(keep, NULL);
	last_line[0] = '\0';
	lines_n = 0;
	return 0;
}

static void
test_event(void **unused)
{
	struct event event;

	(void)unused;
	event_begin(&event, LOG_LEVEL_INFO, "accept");
	event_text(&event, "id", "1a2b");
	event_text(&event, "from", "");
	event_text(&event, "auth", NULL);
	event_number(&event, "size", -9223372036854775807 - 1);
	event_text(&event, "reply", "250 2.0.0 OK");
	event_slice(&event, "msgid", (struct slice){ "<x@y>zzz", 5 });
	event_end(&event);
	assert_string_equal(last_line, "culver-test: accept id=1a2b from=\"\" "
	    "auth=\"\" size=-9223372036854775808 reply=\"250 2.0.0 OK\" "
	    "msgid=<x@y>");
	assert_int_equal(last_level, LOG_LEVEL_INFO);
}

static void
test_escape(void **unused)
{
	static const struct {
		struct slice	 value;
		const char	*written;
	} rows[] = {
		{ S("a=b"), "a=b" },
		{ S("a b"), "\"a b\"" },
		{ S(" "), "\" \"" },
		{ S("a\tb"), "a\\x09b" },
		{ S("a\r\nb"), "a\\x0d\\x0ab" },
		{ S("a\0b"), "a\\x00b" },
		{ S("\x1b[31m"), "\\x1b[31m" },
		{ S("\x7f"), "\\x7f" },
		{ S("a\"b"), "a\\\"b" },
		{ S("a \"b\" c"), "\"a \\\"b\\\" c\"" },
		{ S("\\"), "\\\\" },
		{ S("x\" key=y"), "\"x\\\" key=y\"" },
		{ S("\\\" forged=1"), "\"\\\\\\\" forged=1\"" },
		{ S("gr\xc3\xbc\xc3\x9f"), "gr\xc3\xbc\xc3\x9f" },
		{ S("\xff"), "\\xff" },
		{ S("\xc3 "), "\"\\xc3 \"" },
		{ S("\xc2\x85"), "\\xc2\\x85" },
		{ S("\xe2\x80\xa8"), "\\xe2\\x80\\xa8" },
		{ S("\xed\xa0\x80"), "\\xed\\xa0\\x80" },
		{ S("<a@[IPv6:::1]>"), "<a@[IPv6:::1]>" },
	};
	struct event event;
	char expected[256];
	size_t i;

	(void)unused;
	for (i = 0; i < COUNT(rows); i++) {
		event_begin(&event, LOG_LEVEL_INFO, "x");
		event_slice(&event, "k", rows[i].value);
		event_number(&event, "n", 7);
		event_end(&event);
		snprintf(expected, sizeof(expected),
		    "culver-test: x k=%s n=7", rows[i].written);
		assert_string_equal(last_line, expected);
	}
}

/* Whatever octet: one line, printable, and the next key in its place. */
static void
test_every_octet(void **unused)
{
	struct event event;
	char octet[3] = "a?";
	unsigned i;

	(void)unused;
	for (i = 0; i < 256; i++) {
		octet[1] = (char)i;
		event_begin(&event, LOG_LEVEL_INFO, "x");
		event_slice(&event, "k", (struct slice){ octet, 2 });
		event_end(&event);
		assert_null(strpbrk(last_line, "\r\n\t\v\f"));
		assert_true(strlen(last_line) > strlen("culver-test: x k=a"));
		if (i > ' ' && i < 0x7f && i != '"' && i != '\\')
			assert_int_equal(last_line[strlen(last_line) - 1], i);
	}
}

static void
test_cut(void **unused)
{
	static char value[6000];
	struct event event;
	size_t len;

	(void)unused;
	for (len = 3900; len < 4100; len++) {
		memset(value, 'v', sizeof(value));
		value[10] = ' ';
		value[len] = '\0';
		event_begin(&event, LOG_LEVEL_INFO, "x");
		event_text(&event, "k", value);
		event_text(&event, "z", "y");
		event_number(&event, "n", 5);
		event_end(&event);
		assert_true(strlen(last_line) <= 4000);
		/* The quote is closed, cut or not. */
		assert_non_null(strrchr(last_line, '"'));
		if (len < 3950)
			assert_non_null(strstr(last_line, "vvv\" z=y n=5"));
		if (len > 4000) {
			assert_int_equal(last_line[strlen(last_line) - 1],
			    '"');
			assert_null(strstr(last_line, " z="));
		}
	}
	/* Escapes are never cut in two. */
	memset(value, 1, 5000);
	value[5000] = '\0';
	for (len = 0; len < 8; len++) {
		value[0] = '\0';
		memset(value, 'a', len);
		memset(value + len, 1, 5000 - len);
		event_begin(&event, LOG_LEVEL_INFO, "x");
		event_text(&event, "k", value);
		event_end(&event);
		assert_true(strlen(last_line) <= 4000);
		assert_string_equal(last_line + strlen(last_line) - 4,
		    "\\x01");
	}
}

static void
test_levels(void **unused)
{
	struct event event;

	(void)unused;
	log_line(LOG_LEVEL_DEBUG, "not shown");
	assert_int_equal(lines_n, 0);
	event_begin(&event, LOG_LEVEL_DEBUG, "x");
	event_end(&event);
	assert_int_equal(lines_n, 0);
	log_set_level(LOG_LEVEL_DEBUG);
	assert_int_equal(log_level(), LOG_LEVEL_DEBUG);
	log_line(LOG_LEVEL_DEBUG, "shown %d", 1);
	assert_string_equal(last_line, "culver-test: shown 1");
	log_set_level(LOG_LEVEL_ERROR);
	log_line(LOG_LEVEL_INFO, "not shown");
	assert_int_equal(lines_n, 1);
	log_alarm("disk", "no room in \"%s\"", "a b");
	assert_string_equal(last_line, "culver-test: alarm what=disk "
	    "text=\"no room in \\\"a b\\\"\"");
	assert_int_equal(last_level, LOG_LEVEL_ERROR);
}

static void
test_sentence(void **unused)
{
	char text[5000];

	(void)unused;
	log_line(LOG_LEVEL_INFO, "%s", "said \"x\\y\"\r\nforged: line\xff");
	assert_string_equal(last_line,
	    "culver-test: said \"x\\y\"\\x0d\\x0aforged: line\\xff");
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	log_line(LOG_LEVEL_INFO, "%s", text);
	assert_true(strlen(last_line) <= 4000);
	assert_true(strlen(last_line) > 3990);
}

static void
sink_that_logs(void *context, enum log_level level, const char *line)
{
	keep(context, level, line);
	log_line(LOG_LEVEL_ERROR, "from the sink");
}

static void
test_nested(void **unused)
{
	(void)unused;
	log_to(sink_that_logs, NULL);
	log_line(LOG_LEVEL_INFO, "one");
	assert_int_equal(lines_n, 1);
	log_to(keep, NULL);
	lines_n = 0;
	log_line(LOG_LEVEL_INFO, "two");
	/* What was lost is said first. */
	assert_int_equal(lines_n, 2);
	assert_string_equal(last_line, "culver-test: two");
	log_line(LOG_LEVEL_INFO, "three");
	assert_int_equal(lines_n, 3);
}

/* What a child that runs `act` writes to its standard error, and its end. */
static int
run(void (*act)(void), char *out, size_t size)
{
	int fds[2], status;
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		signal(SIGABRT, SIG_DFL);
		dup2(fds[1], 2);
		close(fds[0]);
		close(fds[1]);
		log_start("culver-child");
		act();
		_exit(0);
	}
	close(fds[1]);
	while ((n = read(fds[0], out + len, size - 1 - len)) > 0)
		len += (size_t)n;
	close(fds[0]);
	out[len] = '\0';
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void
act_line(void)
{
	unsetenv("JOURNAL_STREAM");
	log_line(LOG_LEVEL_INFO, "hello");
}

static void
act_journal(void)
{
	setenv("JOURNAL_STREAM", "8:1", 1);
	log_line(LOG_LEVEL_INFO, "hello");
}

static void
act_bug(void)
{
	setenv("JOURNAL_STREAM", "8:1", 1);
	bug("it is %d", 3);
}

static void
act_fatal(void)
{
	setenv("JOURNAL_STREAM", "8:1", 1);
	errno = ENOENT;
	fatal("file %s", "x");
}

static void
act_fatal_without_errno(void)
{
	setenv("JOURNAL_STREAM", "8:1", 1);
	errno = 0;
	fatal("no way");
}

static void
test_stderr(void **unused)
{
	char out[4096];
	int year, month, day, hour, minute, second, ms, end = 0;

	(void)unused;
	assert_int_equal(run(act_line, out, sizeof(out)), 0);
	assert_int_equal(sscanf(out, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ "
	    "culver-child: hello%n", &year, &month, &day, &hour, &minute,
	    &second, &ms, &end), 7);
	assert_string_equal(out + end, "\n");
	assert_int_equal(end, strlen("2026-11-24T03:00:00.000Z "
	    "culver-child: hello"));
	assert_true(year >= 2024 && month <= 12 && day <= 31 && hour < 24);
	assert_int_equal(run(act_journal, out, sizeof(out)), 0);
	assert_string_equal(out, "culver-child: hello\n");
}

static void
test_ends(void **unused)
{
	char out[4096];
	int status;

	(void)unused;
	status = run(act_bug, out, sizeof(out));
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_non_null(strstr(out, "culver-child: bug at "));
	assert_non_null(strstr(out, "log.c:"));
	assert_non_null(strstr(out, ": it is 3\n"));
	status = run(act_fatal, out, sizeof(out));
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	assert_string_equal(out,
	    "culver-child: file x: No such file or directory\n");
	status = run(act_fatal_without_errno, out, sizeof(out));
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	assert_string_equal(out, "culver-child: no way\n");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "an event is one line of keys and values", test_event,
		    begin, NULL, NULL },
		{ "values are quoted and escaped", test_escape, begin, NULL,
		    NULL },
		{ "every octet stays in its value and line",
		    test_every_octet, begin, NULL, NULL },
		{ "a line is cut at 4000 octets, quotes closed", test_cut,
		    begin, NULL, NULL },
		{ "levels are obeyed, alarms always shown", test_levels,
		    begin, NULL, NULL },
		{ "a sentence stays one line", test_sentence, begin, NULL,
		    NULL },
		{ "a sink that logs loses lines, and says so", test_nested,
		    begin, NULL, NULL },
		{ "standard error has RFC 3339 times, the journal none",
		    test_stderr, begin, NULL, NULL },
		{ "bug aborts, fatal ends with 1", test_ends, begin, NULL,
		    NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
