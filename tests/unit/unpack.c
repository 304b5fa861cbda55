/*
 * conf/unpack.c: what a program may say, and what culverctl makes of it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "conf/mem.h"
#include "conf/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))

static char top[64];

static int
make_top(void **state)
{
	(void)state;
	snprintf(top, sizeof(top), "/tmp/culver-unpack.XXXXXX");
	return mkdtemp(top) == NULL;
}

static int
remove_top(void **state)
{
	char command[96];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", top);
	return system(command);
}

static const char *
in_top(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", top, name);
	return path;
}

static bool
exists(const char *name)
{
	return access(in_top(name), F_OK) == 0;
}

/* All of it, so many octets at a time; false: refused. */
static bool
say(struct unpack *unpack, const char *octets, size_t len, size_t step)
{
	char error[256];

	for (size_t at = 0; at < len; at += step)
		if (!unpack_add(unpack, octets + at, len - at < step ?
		    len - at : step, error, sizeof(error)))
			return false;
	return true;
}

static struct unpack *
begin(const char *name)
{
	char error[256];
	struct unpack *unpack = unpack_new(in_top(name), error,
	    sizeof(error));

	if (unpack == NULL)
		fail_msg("%s", error);
	return unpack;
}

static void
assert_holds(const char *name, const char *text)
{
	char octets[64] = "";
	int fd = open(in_top(name), O_RDONLY);

	assert_int_not_equal(fd, -1);
	assert_int_equal(read(fd, octets, sizeof(octets) - 1), strlen(text));
	assert_string_equal(octets, text);
	close(fd);
}

static void
files_come_in_pieces(void **state)
{
	static const char said[] = "backup 0\nlog.0000000001 3\nabc"
	    "log.0000000001 2\nd\nbodies/0a1b 1\nxend\n";
	uint64_t files, octets;
	char name[16], path[64];
	struct stat status;

	(void)state;
	for (size_t step = 1; step < sizeof(said); step++) {
		struct unpack *unpack;

		snprintf(name, sizeof(name), "pieces%zu", step);
		unpack = begin(name);
		snprintf(path, sizeof(path), "%s/incomplete", name);
		assert_true(exists(path));
		assert_true(say(unpack, said, sizeof(said) - 1, step));
		unpack_count(unpack, &files, &octets);
		assert_int_equal(files, 3);
		assert_int_equal(octets, 6);
		assert_true(unpack_end(&unpack));
		assert_null(unpack);
		assert_false(exists(path));
		snprintf(path, sizeof(path), "%s/log.0000000001", name);
		assert_holds(path, "abcd\n");
		assert_int_equal(stat(in_top(path), &status), 0);
		assert_int_equal(status.st_mode & 07777, 0600);
		snprintf(path, sizeof(path), "%s/bodies/0a1b", name);
		assert_holds(path, "x");
		assert_int_equal(stat(in_top(name), &status), 0);
		assert_int_equal(status.st_mode & 07777, 0700);
	}
}

/* The program is in the hands of a stranger. */
static void
names_lead_nowhere_else(void **state)
{
	static const char *const refused[] = {
		"../x 1\n", "/etc/x 1\n", "a/b 1\n", "bodies/../x 1\n",
		"bodies/ 1\n", "bodies 1\nxend\n..", ".x 1\n", ". 1\n",
		" 1\n", "x\n", "x -1\n", "x 1 1\n", "x 99999999999999999999\n",
		"X 1\n", "incomplete 1\nx", "x 1\nay 1\nbx 1\nc", "end\nx 1\n",
		"bodies/a/b 1\n", "\n"
	};
	char name[16];

	(void)state;
	for (size_t i = 0; i < COUNT(refused); i++) {
		struct unpack *unpack;

		snprintf(name, sizeof(name), "refused%zu", i);
		unpack = begin(name);
		if (say(unpack, refused[i], strlen(refused[i]), 1))
			fail_msg("taken: %s", refused[i]);
		assert_false(strncmp(refused[i], "end", 3) != 0 &&
		    unpack_end(&unpack));
		if (unpack != NULL)
			unpack_end(&unpack);
	}
	assert_false(exists("x"));
}

static void
a_line_is_not_endless(void **state)
{
	struct unpack *unpack = begin("endless");
	char line[4096];

	(void)state;
	memset(line, 'a', sizeof(line));
	assert_false(say(unpack, line, sizeof(line), sizeof(line)));
	assert_false(unpack_end(&unpack));
}

/* Cut off at every octet: marked, or as if nothing had been. */
static void
what_is_cut_off_is_marked(void **state)
{
	static const char said[] = "a 2\nxyb 1\nzend\n";

	(void)state;
	for (size_t len = 0; len < sizeof(said) - 1; len++) {
		char name[16], path[32];
		struct unpack *unpack;

		snprintf(name, sizeof(name), "cut%zu", len);
		unpack = begin(name);
		assert_true(say(unpack, said, len, 64));
		assert_false(unpack_end(&unpack));
		snprintf(path, sizeof(path), "%s/incomplete", name);
		assert_int_equal(exists(path), len >= 4);
		assert_int_equal(exists(name), len >= 4);
	}
}

static void
a_folder_is_empty_or_new(void **state)
{
	struct unpack *unpack;
	char error[256];

	(void)state;
	assert_int_equal(mkdir(in_top("empty"), 0700), 0);
	unpack = begin("empty");
	assert_true(say(unpack, "a 1\nxend\n", 9, 9));
	assert_true(unpack_end(&unpack));
	assert_null(unpack_new(in_top("empty"), error, sizeof(error)));
	assert_non_null(strstr(error, "not empty"));
	assert_null(unpack_new(in_top("empty/a"), error, sizeof(error)));
	assert_non_null(strstr(error, "it is a file"));
	assert_null(unpack_new(in_top("no/such"), error, sizeof(error)));
	assert_non_null(strstr(error, strerror(ENOENT)));
	/* one that was there stays, if nothing came of it */
	assert_int_equal(mkdir(in_top("mine"), 0700), 0);
	unpack = begin("mine");
	assert_false(unpack_end(&unpack));
	assert_true(exists("mine"));
	assert_false(exists("mine/incomplete"));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_come_in_pieces),
		cmocka_unit_test(names_lead_nowhere_else),
		cmocka_unit_test(a_line_is_not_endless),
		cmocka_unit_test(what_is_cut_off_is_marked),
		cmocka_unit_test(a_folder_is_empty_or_new),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("unpack", tests, make_top,
	    remove_top);
}
