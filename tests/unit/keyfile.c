/*
 * conf/keyfile.c: which files are keys that may sign.  culver-sign is played
 * by shell scripts, so that it can also say what the real one never would.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conf/keyfile.h"
#include "conf/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

static char folder[] = "/tmp/culver-keyfile-XXXXXX";

static char *
path_of(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static void
write_file(const char *name, const char *text, mode_t mode)
{
	const char *path = path_of(name);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static int
make_folder(void **unused)
{
	(void)unused;
	return mkdtemp(folder) == NULL;
}

static int
remove_folder(void **unused)
{
	char command[128];

	(void)unused;
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

/* A descriptor as beside_open gives it, but that a script can use as well. */
static int
open_script(const char *body)
{
	struct buffer text = { NULL, 0, 0 };
	int fd;

	buffer_printf(&text, "#!/bin/sh\n%s\n", body);
	write_file("sign", text.text, 0755);
	buffer_free(&text);
	fd = open(path_of("sign"), O_PATH);
	assert_true(fd >= 0);
	return fd;
}

/* Check "key" by a culver-sign that does this; false: why is in *why. */
static bool
check_by(const char *body, int64_t patience_ms, struct keyfile *found,
    struct buffer *why)
{
	int fd = open_script(body);
	bool good;

	good = keyfile_check(fd, path_of("key"), wire_now_ms() + patience_ms,
	    found, why);
	close(fd);
	return good;
}

/* ---- what culver-sign says ---- */

struct said {
	const char	*body;
	const char	*type;		/* NULL: refused */
	unsigned	 bits;
	const char	*why;
};

static const struct said rows[] = {
	{ "echo '{\"type\":\"rsa\",\"bits\":2048}'", "rsa", 2048, NULL },
	{ "echo '{\"type\":\"ed25519\",\"bits\":256}'", "ed25519", 256, NULL },
	{ "echo '{\"bits\":4096,\"type\":\"rsa\",\"more\":1}'", "rsa", 4096,
	  NULL },
	/* It sees the file from its start, and the words that it is told. */
	{ "[ \"$(cat) $*\" = 'the key ctl key' ] && "
	  "echo '{\"type\":\"rsa\",\"bits\":1024}'", "rsa", 1024, NULL },
	/* DKIM-8301-3.2-1 */
	{ "echo '{\"type\":\"rsa\",\"bits\":1023}'", NULL, 0,
	  "/key is an RSA key of 1023 bits, which verifiers refuse (RFC 8301 "
	  "3.2); accepted: 1024 bits or more, 2048 are recommended" },
	{ "echo '{\"type\":\"rsa\",\"bits\":512}'", NULL, 0,
	  "is an RSA key of 512 bits" },
	{ "echo 'culver-sign: it is no key' >&2; exit 1", NULL, 0,
	  "/key: it is no key; accepted: an RSA (1024 bits or more) or "
	  "Ed25519 private key in PEM" },
	{ "echo 'it is no key' >&2; echo more >&2; exit 1", NULL, 0,
	  "/key: it is no key; accepted" },
	{ "exit 3", NULL, 0, "/key: culver-sign refuses it (status 3); "
	  "accepted" },
	{ "kill -9 $$", NULL, 0, "culver-sign did not say what key it is" },
	/* Nonsense, and too much of it. */
	{ "echo hello", NULL, 0, "culver-sign refuses it (status 0)" },
	{ "echo '{\"type\":\"rsa\",\"bits\":}'", NULL, 0, "refuses it" },
	{ "echo '{\"type\":\"rsa\",\"bits\":99999999999999999999}'", NULL, 0,
	  "refuses it" },
	{ "echo '{\"type\":\"abcdefghijklmnopqrstuvwxyz\",\"bits\":1}'", NULL,
	  0, "refuses it" },
	{ "head -c 1000000 /dev/zero | tr '\\0' x", NULL, 0, "refuses it" },
	{ "head -c 1000000 /dev/zero | tr '\\0' x >&2; exit 1", NULL, 0,
	  "xxxxx" },
};

static void
test_answers(void **unused)
{
	struct buffer why = { NULL, 0, 0 };
	struct keyfile found;
	size_t i;
	bool good;

	(void)unused;
	write_file("key", "the key", 0600);
	for (i = 0; i < COUNT(rows); i++) {
		good = check_by(rows[i].body, 5000, &found, &why);
		if (good != (rows[i].type != NULL))
			fail_msg("%s: %s", rows[i].body, good ? "is taken" :
			    why.text);
		if (good) {
			assert_string_equal(found.type, rows[i].type);
			assert_int_equal(found.bits, rows[i].bits);
			assert_null(why.text);
		} else if (strstr(why.text, rows[i].why) == NULL) {
			fail_msg("%s: says %s", rows[i].body, why.text);
		}
		assert_true(why.len < 900);
		buffer_free(&why);
	}
	/* Nobody is left behind. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void
test_deadline(void **unused)
{
	struct buffer why = { NULL, 0, 0 };
	int64_t begun_ms = wire_now_ms();
	struct keyfile found;

	(void)unused;
	write_file("key", "the key", 0600);
	assert_false(check_by("exec sleep 60", 300, &found, &why));
	assert_in_range(wire_now_ms() - begun_ms, 300, 3000);
	assert_non_null(strstr(why.text, "did not say what key it is"));
	buffer_free(&why);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* ---- the file ---- */

static void
refuse(const char *name, const char *expected)
{
	struct buffer why = { NULL, 0, 0 };
	struct keyfile found;
	int fd = open_script("echo '{\"type\":\"rsa\",\"bits\":2048}'");

	assert_false(keyfile_check(fd, path_of(name), wire_now_ms() + 5000,
	    &found, &why));
	if (strstr(why.text, expected) == NULL)
		fail_msg("%s: %s", name, why.text);
	assert_non_null(strstr(why.text, path_of(name)));
	buffer_free(&why);
	close(fd);
}

static void
test_files(void **unused)
{
	static const mode_t open_modes[] = { 0640, 0604, 0620, 0601, 0777 };
	char wanted[64];
	size_t i;

	(void)unused;
	refuse("missing", "No such file or directory; accepted: a private "
	    "key");
	refuse("", "is not a file");
	for (i = 0; i < COUNT(open_modes); i++) {
		write_file("open", "x", open_modes[i]);
		snprintf(wanted, sizeof(wanted), "(mode %04o); accepted: a "
		    "file for its owner alone: chmod 600 ",
		    (unsigned)open_modes[i]);
		refuse("open", wanted);
	}
	assert_int_equal(mkfifo(path_of("pipe"), 0600), 0);
	refuse("pipe", "is not a file");
	if (geteuid() != 0)
		return;
	write_file("theirs", "x", 0600);
	assert_int_equal(chown(path_of("theirs"), 4711, 4711), 0);
	refuse("theirs", "belongs to uid 4711, and culverd reads no file of "
	    "others; accepted: one of root: chown root ");
}

static void
test_program_is_missing(void **unused)
{
	struct buffer why = { NULL, 0, 0 };
	struct keyfile found;

	(void)unused;
	write_file("key", "the key", 0600);
	assert_false(keyfile_check(-1, path_of("key"), wire_now_ms() + 5000,
	    &found, &why));
	assert_non_null(strstr(why.text, "(status 127)"));
	buffer_free(&why);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		{ "DKIM-8301-3.2-1 an RSA key below 1024 bits is refused; "
		  "answers of culver-sign", test_answers, NULL, NULL, NULL },
		{ "a culver-sign that hangs is ended", test_deadline, NULL,
		  NULL, NULL },
		{ "a key is a file, and nobody else's", test_files, NULL,
		  NULL, NULL },
		{ "a culver-sign that is not there", test_program_is_missing,
		  NULL, NULL, NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("keyfile", tests, make_folder,
	    remove_folder);
}
