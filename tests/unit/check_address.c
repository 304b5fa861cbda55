/*
 * `check address` (smtpd/ctl.c): the relay's own address parser on standard
 * input, asked as culverctl asks it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conf/mem.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

/* ../libexec/culver-smtpd from the folder of this test. */
static const char *
program(void)
{
	static char path[PATH_MAX + 64];
	ssize_t len;

	len = readlink("/proc/self/exe", path, PATH_MAX);
	assert_true(len > 0);
	path[len] = '\0';
	*strrchr(path, '/') = '\0';
	strcpy(strrchr(path, '/'), "/libexec/culver-smtpd");
	return path;
}

/* What is said about this input; returns the exit status. */
static int
ask(const char *arguments, struct slice input, struct buffer *output)
{
	char command[PATH_MAX + 256], name[] = "/tmp/culver-unit-XXXXXX";
	int fd = mkstemp(name), status;
	char octets[4096];
	size_t n;
	FILE *pipe;

	assert_int_equal(write(fd, input.at, input.len), input.len);
	close(fd);
	snprintf(command, sizeof(command), "'%s' ctl %s < %s 2>/dev/null",
	    program(), arguments, name);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	while ((n = fread(octets, 1, sizeof(octets), pipe)) > 0)
		buffer_add(output, (struct slice){ octets, n });
	status = pclose(pipe);
	unlink(name);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
check(struct slice input, int expected, const char *answer)
{
	struct buffer output = { NULL, 0, 0 };
	int status = ask("check address", input, &output);

	if (status != expected || strcmp(output.text != NULL ? output.text :
	    "", answer) != 0)
		fail_msg("%s: %d %s", input.at, status, output.text);
	buffer_free(&output);
}

#define VALID(local, domain)						\
	"{\"valid\":true,\"local\":\"" local "\",\"domain\":\"" domain	\
	"\"}\n"
#define INVALID(reason, clause)						\
	"{\"valid\":false,\"reason\":\"" reason "\",\"clause\":\"RFC "	\
	clause "\"}\n"
#define BAD_LOCAL	INVALID("local part is no dot-string and no "	\
	"quoted-string, or longer than 64 octets", "5321 4.1.2")
#define BAD_DOMAIN	INVALID("domain is malformed, or longer than "	\
	"255 octets", "5321 4.1.2")
#define BAD_LITERAL	INVALID("address literal is malformed",		\
	"5321 4.1.3")

static void
addresses(void **state)
{
	static const struct {
		const char	*line, *answer;
	} rows[] = {
		{ "a.b@c", VALID("a.b", "c") },
		{ "User@Example.ORG", VALID("User", "example.org") },
		{ "\"a b\"@d", VALID("a b", "d") },
		{ "\"a\\\"b\"@d", VALID("a\\\"b", "d") },
		{ "a@b.", VALID("a", "b") },
		{ "a@my_host.test", VALID("a", "my_host.test") },
		{ "a@[127.0.0.1]", VALID("a", "[127.0.0.1]") },
		{ "a@[IPv6:2001:DB8::1]", VALID("a", "[IPv6:2001:db8::1]") },
		{ ".a@d", BAD_LOCAL }, { "a..b@d", BAD_LOCAL },
		{ "a.@d", BAD_LOCAL }, { "a b@d", BAD_LOCAL },
		{ "@d", BAD_LOCAL }, { "\"a@d\"b@c", BAD_LOCAL },
		{ "a(c)@d", BAD_LOCAL }, { " a@d", BAD_LOCAL },
		{ "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		    "xxxxxxxx@d", BAD_LOCAL },
		{ "a@", BAD_DOMAIN }, { "a@-b", BAD_DOMAIN },
		{ "a@b..c", BAD_DOMAIN }, { "a@b c", BAD_DOMAIN },
		{ "a@b/../../etc/passwd", BAD_DOMAIN },
		{ "a@b ", BAD_DOMAIN },
		{ "a@[1.2.3]", BAD_LITERAL }, { "a@[::1]", BAD_LITERAL },
		{ "a@[1.2.3.4", BAD_LITERAL },
		{ "a", INVALID("no domain", "5321 4.1.2") },
		{ "postmaster", INVALID("no domain", "5321 4.1.2") },
		{ "\"a@b\"", INVALID("no domain", "5321 4.1.2") },
		{ "", INVALID("empty", "5321 4.1.2") },
		{ "\xc3\xbc@d", INVALID("non-ASCII, which needs SMTPUTF8",
		    "6531 3.3") },
		{ "a@b\xc3\xbc" "cher.test", INVALID("non-ASCII, which needs "
		    "SMTPUTF8", "6531 3.3") },
	};
	char line[256];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		snprintf(line, sizeof(line), "%s\n", rows[i].line);
		check(slice_of(line), strncmp(rows[i].answer,
		    "{\"valid\":true", 13) != 0, rows[i].answer);
	}
}

static void
lines(void **state)
{
	(void)state;
	check(SLICE("a@b\nc@d\r\ne@f"), 0, VALID("a", "b") VALID("c", "d")
	    VALID("e", "f"));
	check(SLICE("a@b\nc\ne@f\n"), 1, VALID("a", "b")
	    INVALID("no domain", "5321 4.1.2") VALID("e", "f"));
	check(SLICE(""), 1, "");
	check(SLICE("a\0@b\n"), 1, BAD_LOCAL);
	check(SLICE("a\r@b\n"), 1, BAD_LOCAL);
}

/* More lines than one slice of the answer takes. */
static void
many_lines(void **state)
{
	struct buffer input = { NULL, 0, 0 }, output = { NULL, 0, 0 };

	(void)state;
	for (int i = 0; i < 5000; i++)
		buffer_printf(&input, "u%d@d%d.test\n", i, i);
	assert_int_equal(ask("check address", (struct slice){ input.text,
	    input.len }, &output), 0);
	assert_non_null(strstr(output.text,
	    VALID("u4999", "d4999.test")));
	buffer_free(&input);
	buffer_free(&output);
}

static void
usage(void **state)
{
	struct buffer output = { NULL, 0, 0 };

	(void)state;
	assert_int_equal(ask("check address a@b", SLICE(""), &output), 64);
	assert_int_equal(ask("check nonsense", SLICE(""), &output), 64);
	assert_int_equal(ask("", SLICE(""), &output), 64);
	assert_int_equal(output.len, 0);
}

#define TEST(name, function)	{ name, function, NULL, NULL, NULL }

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST("SMTP-4.1.2-1, SMTP-4.1.2-5, SMTP-4.5.3.1.1-1 check "
		    "address", addresses),
		TEST("one address a line", lines),
		TEST("5,000 lines", many_lines),
		TEST("what else there is not", usage),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
