/*
 * smtpd/options.c: sendmail's command line.
 *
 * A row is a command line in words, and what must come of it; NULL for a text
 * that was not given.  Traps S1 to S19 of the known callers are among them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "smtpd/options.h"

#include <stdio.h>
#include <string.h>

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))
#define WORDS_MAX	16

struct row {
	const char	*words;		/* "|" parts them */
	const char	*recipients;	/* with "|"; NULL: refused */
	const char	*flags;		/* of "tiGv", 'l': list, 'R' */
	const char	*sender, *name, *config;
};

static int
split(char *text, char **argv)
{
	int n = 0;

	argv[n++] = (char []){ "/usr/sbin/sendmail" };
	for (; text != NULL && *text != '\0'; n++)
		argv[n] = strsep(&text, "|");
	argv[n] = NULL;
	return n;
}

static const char *
flags_of(const struct options *options)
{
	static char flags[8];

	snprintf(flags, sizeof(flags), "%s%s%s%s%s%s",
	    options->from_header ? "t" : "", options->dots ? "i" : "",
	    options->gateway ? "G" : "", options->verbose ? "v" : "",
	    options->mode == OPTIONS_LIST ? "l" : "",
	    options->requiretls ? "R" : "");
	return flags;
}

static void
join(const struct options *options, char *text, size_t size)
{
	text[0] = '\0';
	for (size_t i = 0; i < options->recipients_n; i++)
		snprintf(text + strlen(text), size - strlen(text), "%s%s",
		    i > 0 ? "|" : "", options->recipients[i]);
}

static bool
same(const char *a, const char *b)
{
	return (a == NULL) == (b == NULL) && (a == NULL || strcmp(a, b) == 0);
}

static void
check(const struct row *row)
{
	char text[512], recipients[512], *argv[WORDS_MAX];
	struct buffer error = { NULL, 0, 0 };
	struct options options;
	bool good;
	int argc;

	snprintf(text, sizeof(text), "%s", row->words);
	argc = split(text, argv);
	good = options_parse(argc, argv, &options, &error);
	if (good != (row->recipients != NULL))
		fail_msg("%s: %s", row->words, good ? "taken" : error.text);
	if (!good) {
		assert_true(error.len > 0);
	} else {
		join(&options, recipients, sizeof(recipients));
		if (!same(recipients, row->recipients) ||
		    strcmp(flags_of(&options), row->flags) != 0 ||
		    !same(options.sender, row->sender) ||
		    !same(options.name, row->name) ||
		    !same(options.config_file, row->config))
			fail_msg("%s: to %s flags %s from %s name %s -C %s",
			    row->words, recipients, flags_of(&options),
			    options.sender, options.name,
			    options.config_file);
	}
	buffer_free(&error);
	options_free(&options);
}

#define CHECK_ROWS(rows)						\
	for (size_t i = 0; i < COUNT(rows); i++)			\
		check(&(rows)[i])

static void
acted_on(void **state)
{
	static const struct row rows[] = {
		{ "", "", "", NULL, NULL, NULL },
		{ "r", "r", "", NULL, NULL, NULL },
		{ "r|s", "r|s", "", NULL, NULL, NULL },
		{ "-t", "", "t", NULL, NULL, NULL },
		{ "-i|r", "r", "i", NULL, NULL, NULL },
		{ "-ti", "", "ti", NULL, NULL, NULL },
		{ "-it", "", "ti", NULL, NULL, NULL },
		{ "-t|-i|r", "r", "ti", NULL, NULL, NULL },
		{ "-oi|r", "r", "i", NULL, NULL, NULL },
		{ "-o|i|r", "r", "i", NULL, NULL, NULL },
		{ "-O|REQUIRETLS=yes|r", "r", "R", NULL, NULL, NULL },
		{ "-OREQUIRETLS=yes|r", "r", "R", NULL, NULL, NULL },
		{ "-O|requiretls=YES|-i|r", "r", "iR", NULL, NULL, NULL },
		{ "-tOREQUIRETLS=yes", "", "tR", NULL, NULL, NULL },
		{ "-f|a@b|r", "r", "", "a@b", NULL, NULL },
		{ "-fa@b|r", "r", "", "a@b", NULL, NULL },
		{ "-f||r", "r", "", "", NULL, NULL },
		{ "-f|<>|r", "r", "", "<>", NULL, NULL },
		{ "-r|a@b|r", "r", "", "a@b", NULL, NULL },
		{ "-ra@b|r", "r", "", "a@b", NULL, NULL },
		{ "-tf|a@b", "", "t", "a@b", NULL, NULL },
		{ "-tfa@b", "", "t", "a@b", NULL, NULL },
		{ "-f|a|-f|b|r", "r", "", "b", NULL, NULL },
		{ "-F|A Name|r", "r", "", NULL, "A Name", NULL },
		{ "-FName|r", "r", "", NULL, "Name", NULL },
		{ "-F||r", "r", "", NULL, "", NULL },
		{ "-C|/f|r", "r", "", NULL, NULL, "/f" },
		{ "-C/f|r", "r", "", NULL, NULL, "/f" },
		{ "-bm|r", "r", "", NULL, NULL, NULL },
		{ "-b|m|r", "r", "", NULL, NULL, NULL },
		{ "-bp", "", "l", NULL, NULL, NULL },
		{ "-b|p", "", "l", NULL, NULL, NULL },
		{ "-v|r", "r", "v", NULL, NULL, NULL },
		{ "-G|r", "r", "G", NULL, NULL, NULL },
		{ "-Gtiv", "", "tiGv", NULL, NULL, NULL },
	};

	(void)state;
	CHECK_ROWS(rows);
}

static void
ignored(void **state)
{
	static const struct row rows[] = {
		{ "-Ac|r", "r", "", NULL, NULL, NULL },
		{ "-Am|r", "r", "", NULL, NULL, NULL },
		{ "-h|5|r", "r", "", NULL, NULL, NULL },
		{ "-h5|r", "r", "", NULL, NULL, NULL },
		{ "-n|r", "r", "", NULL, NULL, NULL },
		{ "-U|r", "r", "", NULL, NULL, NULL },
		{ "-m|r", "r", "", NULL, NULL, NULL },
		{ "-x|r", "r", "", NULL, NULL, NULL },
		{ "-X|/tmp/f|r", "r", "", NULL, NULL, NULL },
		{ "-X/tmp/f|r", "r", "", NULL, NULL, NULL },
		{ "-p|x:y|r", "r", "", NULL, NULL, NULL },
		{ "-px|r", "r", "", NULL, NULL, NULL },
		{ "-d0.1|r", "r", "", NULL, NULL, NULL },
		{ "-d|8|r", "r", "", NULL, NULL, NULL },
		{ "-D|/dev/null|r", "r", "", NULL, NULL, NULL },
		{ "-em|r", "r", "", NULL, NULL, NULL },
		{ "-ep|r", "r", "", NULL, NULL, NULL },
		{ "-eq|r", "r", "", NULL, NULL, NULL },
		{ "-oem|r", "r", "", NULL, NULL, NULL },
		{ "-odi|r", "r", "", NULL, NULL, NULL },
		{ "-odb|r", "r", "", NULL, NULL, NULL },
		{ "-odq|r", "r", "", NULL, NULL, NULL },
		{ "-oee|r", "r", "", NULL, NULL, NULL },
		{ "-om|r", "r", "", NULL, NULL, NULL },
		{ "-o7|r", "r", "", NULL, NULL, NULL },
		{ "-o|dq|r", "r", "", NULL, NULL, NULL },
		{ "-O|A=b|r", "r", "", NULL, NULL, NULL },
		{ "-OA=b|r", "r", "", NULL, NULL, NULL },
		{ "-O|DeliveryMode=b|r", "r", "", NULL, NULL, NULL },
		{ "-O|REQUIRETLS=no|r", "r", "", NULL, NULL, NULL },
		{ "-O|REQUIRETLS=yes|-O|REQUIRETLS=no|r", "r", "", NULL, NULL,
		    NULL },
		{ "-O|SMTPUTF8=no|r", "r", "", NULL, NULL, NULL },
		{ "-O|REQUIRETLSX=yes|r", "r", "", NULL, NULL, NULL },
		{ "-L|t|r", "r", "", NULL, NULL, NULL },
		{ "-V|id|r", "r", "", NULL, NULL, NULL },
		{ "-N|never|r", "r", "", NULL, NULL, NULL },
		{ "-N|failure,delay|r", "r", "", NULL, NULL, NULL },
		{ "-N|Success|r", "r", "", NULL, NULL, NULL },
		{ "-R|hdrs|r", "r", "", NULL, NULL, NULL },
		{ "-R|full|r", "r", "", NULL, NULL, NULL },
		{ "-B|8BITMIME|r", "r", "", NULL, NULL, NULL },
		{ "-B8BITMIME|r", "r", "", NULL, NULL, NULL },
		{ "-B|7bit|r", "r", "", NULL, NULL, NULL },
		{ "-bd|r", "r", "", NULL, NULL, NULL },
	};

	(void)state;
	CHECK_ROWS(rows);
}

/* What programs really pass. */
static void
callers(void **state)
{
	static const struct row rows[] = {
		{ "-FCronDaemon|-i|-B8BITMIME|-oem|USER", "USER", "i", NULL,
		    "CronDaemon", NULL },
		{ "-FCronDaemon|-i|-odi|-oem|-oi|-t|-f|USER", "", "ti", "USER",
		    "CronDaemon", NULL },
		{ "-FAnacron|-odi|USER", "USER", "", NULL, "Anacron", NULL },
		{ "-i|root", "root", "i", NULL, NULL, NULL },
		{ "-i|-f|S|--|R", "R", "i", "S", NULL, NULL },
		{ "-oi|-f|root@host|-t", "", "ti", "root@host", NULL, NULL },
		{ "-oem|-oi|-f|S|-N|failure,delay|-R|hdrs|--|R|R2", "R|R2",
		    "i", "S", NULL, NULL },
		{ "-t|-i|-fS", "", "ti", "S", NULL, NULL },
		{ "-oi|-fS|-t", "", "ti", "S", NULL, NULL },
		{ "-i|R1|R2", "R1|R2", "i", NULL, NULL, NULL },
		{ "-f|A|-oi|-oem|R", "R", "i", "A", NULL, NULL },
		{ "-oi|-t", "", "ti", NULL, NULL, NULL },
		{ "-f|S|D", "D", "", "S", NULL, NULL },
		{ "-odb|-oem|R", "R", "", NULL, NULL, NULL },
	};

	(void)state;
	CHECK_ROWS(rows);
}

static void
places(void **state)
{
	static const struct row rows[] = {
		{ "r|-f|a@b", "r", "", "a@b", NULL, NULL },
		{ "r|-t|s|-i", "r|s", "ti", NULL, NULL, NULL },
		{ "--|-t", "-t", "", NULL, NULL, NULL },
		{ "-i|--|-dash@x", "-dash@x", "i", NULL, NULL, NULL },
		{ "r|--|--|-f", "r|--|-f", "", NULL, NULL, NULL },
		{ "-", "-", "", NULL, NULL, NULL },
		{ "-f|--|r", "r", "", "--", NULL, NULL },
		{ "-f|-t|r", "r", "", "-t", NULL, NULL },
		{ "-F|-i|r", "r", "", NULL, "-i", NULL },
	};

	(void)state;
	CHECK_ROWS(rows);
}

static void
refused(void **state)
{
	static const char *const lines[] = {
		/* unknown letters, also in groups */
		"-z|r", "-tz", "-T|x|r", "-s|r", "-c|r", "-I", "-S", "-M|x",
		"-Q|x", "-1|r", "--help", "-y", "-Z", "-g", "-j",
		/* values that are missing or wrong */
		"-f", "r|-F", "-t|-C", "-b", "-tB", "-N", "-R", "-V", "-h",
		"-o", "-O", "-L", "-X", "-p", "-d", "-e", "-A", "-D", "-r",
		"-bz|r", "-bt", "-ba|r", "-b|mm|r", "-B|9BIT|r", "-B|x|r",
		"-N|sometimes|r", "-N|never,failure|r", "-N||r",
		"-N|failure,|r", "-R|half|r", "-R||r",
		/* not built yet */
		"-bs", "-bi", "-bv|r", "-q", "-q15m", "-qI1234", "-qRx",
		"-OSMTPUTF8=yes|r",
		/* never ignored */
		"-O|REQUIRETLS|r", "-O|REQUIRETLS=|r", "-O|REQUIRETLS=maybe|r",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++)
		check(&(struct row){ .words = lines[i] });
}

static void
says(const char *words, const char *expected)
{
	char text[128], *argv[WORDS_MAX];
	struct buffer error = { NULL, 0, 0 };
	struct options options;

	snprintf(text, sizeof(text), "%s", words);
	assert_false(options_parse(split(text, argv), argv, &options,
	    &error));
	if (strstr(error.text, expected) == NULL)
		fail_msg("%s: %s", words, error.text);
	buffer_free(&error);
	options_free(&options);
}

static void
reasons(void **state)
{
	(void)state;
	says("-z", "-z");
	says("-tiz", "-z");
	says("-f", "-f needs a value");
	says("-bs", "-bs: not yet");
	says("-bi", "-bi: not yet");
	says("-bv|r", "-bv: not yet");
	says("-q15m", "-q15m: not yet");
	says("-O|SMTPUTF8=yes", "SMTPUTF8=yes: not yet");
	says("-O|REQUIRETLS=1", "REQUIRETLS=1: yes or no expected");
}

static void
names(void **state)
{
	static const struct {
		const char		*name;
		bool			 good;
		enum options_mode	 mode;
	} rows[] = {
		{ "sendmail", true, OPTIONS_SEND },
		{ "/usr/lib/sendmail", true, OPTIONS_SEND },
		{ "mailq", true, OPTIONS_LIST },
		{ "/usr/bin/mailq", true, OPTIONS_LIST },
		{ "../mailq", true, OPTIONS_LIST },
		{ "mailqueue", true, OPTIONS_SEND },
		{ "/mailq/sendmail", true, OPTIONS_SEND },
		{ "newaliases", false, OPTIONS_SEND },
		{ "/usr/bin/newaliases", false, OPTIONS_SEND },
	};
	struct options options;
	char *argv[2];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buffer error = { NULL, 0, 0 };

		argv[0] = mem_copy(rows[i].name);
		argv[1] = NULL;
		assert_int_equal(options_parse(1, argv, &options, &error),
		    rows[i].good);
		if (rows[i].good)
			assert_int_equal(options.mode, rows[i].mode);
		buffer_free(&error);
		options_free(&options);
	}
}

#define TEST(name, function)	{ name, function, NULL, NULL, NULL }

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST("SMTP-B-3 options that are acted on", acted_on),
		TEST("options that are ignored, with their values", ignored),
		TEST("command lines of known callers", callers),
		TEST("options behind recipients, and --", places),
		TEST("what is refused", refused),
		TEST("a refusal names the option", reasons),
		TEST("mailq and newaliases", names),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
