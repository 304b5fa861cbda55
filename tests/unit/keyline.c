/*
 * conf/keyline.c: what a dkim line can name, and what of it is shown.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conf/keyline.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))
#define TEXT_OF_50	"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeee"
#define LABEL_OF_63	TEXT_OF_50 "fffffffffffff"

static void
test_names(void **unused)
{
	static const struct {
		const char	*domain, *selector;
		const char	*name;		/* or the error begins so */
	} rows[] = {
		{ "example.org", "tls", "tls._domainkey.example.org" },
		{ "Example.ORG.", "TLS", "tls._domainkey.example.org" },
		{ "example.org", "2026.S1", "2026.s1._domainkey.example.org" },
		{ "xn--exmple-cua.org", LABEL_OF_63,
		  LABEL_OF_63 "._domainkey.xn--exmple-cua.org" },
		{ "ex\xc3\xa4mple.org", "tls",
		  "\"ex\xc3\xa4mple.org\" is no domain (letters beyond ASCII: "
		  "write its xn-- form)" },
		{ "", "tls", "\"\" is no domain" },
		{ "[192.0.2.1]", "tls", "\"[192.0.2.1]\" is no domain" },
		{ "../etc", "tls", "\"../etc\" is no domain" },
		{ "a\033[2J\n", "tls", "\"a?[2J?\" is no domain" },
		{ "a.b", "a_b", "\"a_b\" is no selector: letters, " },
		{ "a.b", "", "\"\" is no selector" },
		{ "a.b", "a/b", "\"a/b\" is no selector" },
		{ "a.b", LABEL_OF_63 ".a", "\"" TEXT_OF_50 },
		{ LABEL_OF_63 "." LABEL_OF_63 "." LABEL_OF_63 "." TEXT_OF_50,
		  "abc", "\"abc._domainkey." TEXT_OF_50 },
	};
	struct buffer why = { NULL, 0, 0 };
	struct keyline keyline;
	const char *said;
	size_t i;

	(void)unused;
	for (i = 0; i < COUNT(rows); i++) {
		said = keyline_parse(rows[i].domain, rows[i].selector,
		    &keyline, &why) ? keyline.name : why.text;
		if (strncmp(said, rows[i].name, strlen(rows[i].name)) != 0)
			fail_msg("%s %s: %s", rows[i].domain,
			    rows[i].selector, said);
		assert_true(why.len < 300);
		buffer_free(&why);
	}
}

static void
test_paths(void **unused)
{
	static const struct {
		const char	*path, *why;	/* NULL: taken */
	} rows[] = {
		{ "/etc/a.key", NULL }, { "/a b\"\\#'.key", NULL },
		{ "/\xc3\xa9\xe2\x82\xac", NULL },
		{ "/a\n", "a control character" },
		{ "/a\tb", "a control character" },
		{ "/\x7f", "a control character" },
		{ "/\xc2\x9b", "a control character" },
		{ "/\xe9", "not UTF-8" }, { "/\xc3", "not UTF-8" },
	};
	struct buffer why = { NULL, 0, 0 };
	char path[KEYLINE_PATH_MAX + 2];
	size_t i;

	(void)unused;
	for (i = 0; i < COUNT(rows); i++) {
		if (keyline_path(rows[i].path, &why) != (rows[i].why == NULL))
			fail_msg("%s", rows[i].path);
		if (rows[i].why != NULL)
			assert_non_null(strstr(why.text, rows[i].why));
		buffer_free(&why);
	}
	memset(path, 'x', sizeof(path));
	path[KEYLINE_PATH_MAX] = '\0';
	assert_true(keyline_path(path, &why));
	path[KEYLINE_PATH_MAX] = 'x';
	path[KEYLINE_PATH_MAX + 1] = '\0';
	assert_false(keyline_path(path, &why));
	assert_string_equal(why.text, "its path has 256 octets, and a dkim "
	    "line takes 255");
	buffer_free(&why);
}

static void
test_shown(void **unused)
{
	static const struct {
		const char	*text;
		size_t		 most;
		const char	*shown;
	} rows[] = {
		{ "", 200, "" }, { "a b", 200, "a b" }, { "abc", 2, "ab" },
		{ "abc", 0, "" }, { "\001\n\033\x7f", 200, "????" },
		{ "a\xc2\x9bz", 200, "a?z" }, { "\xff\xe9z", 200, "??z" },
		/* no character by half */
		{ "a\xc3\xa9", 3, "a\xc3\xa9" }, { "a\xc3\xa9", 2, "a" },
	};
	struct buffer out = { NULL, 0, 0 };
	size_t i;

	(void)unused;
	for (i = 0; i < COUNT(rows); i++) {
		keyline_show(&out, rows[i].text, rows[i].most);
		assert_string_equal(out.text, rows[i].shown);
		buffer_free(&out);
	}
	buffer_add(&out, SLICE("12345"));
	keyline_show(&out, "abc", 2);
	assert_string_equal(out.text, "12345ab");
	buffer_free(&out);
}

static enum keyline_file
look(const char *path, struct buffer *why)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK);
	enum keyline_file is;

	assert_true(fd >= 0);
	is = keyline_look(fd, "THE-KEY", why);
	close(fd);
	return is;
}

static void
test_files(void **unused)
{
	char path[] = "/tmp/culver-keyline-XXXXXX";
	struct buffer why = { NULL, 0, 0 };
	int fd = mkstemp(path);

	(void)unused;
	assert_true(fd >= 0);
	assert_int_equal(look(path, &why), KEYLINE_PRIVATE);
	assert_int_equal(why.len, 0);
	assert_int_equal(fchmod(fd, 0604), 0);
	assert_int_equal(look(path, &why), KEYLINE_OPEN);
	assert_non_null(strstr(why.text, "THE-KEY may be used by others (mode "
	    "0604); accepted: a file for its owner alone: chmod 600 THE-KEY"));
	buffer_free(&why);
	assert_int_equal(fchmod(fd, 0600), 0);
	if (geteuid() == 0) {
		assert_int_equal(fchown(fd, 4711, 4711), 0);
		assert_int_equal(look(path, &why), KEYLINE_OPEN);
		assert_non_null(strstr(why.text, "belongs to uid 4711"));
		buffer_free(&why);
	}
	close(fd);
	unlink(path);
	assert_int_equal(look("/dev/null", &why), KEYLINE_NO_FILE);
	assert_string_equal(why.text, "THE-KEY is not a file");
	buffer_free(&why);
	assert_int_equal(look("/", &why), KEYLINE_NO_FILE);
	buffer_free(&why);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		{ "a domain and a selector in any form make one name",
		  test_names, NULL, NULL, NULL },
		{ "paths that a dkim line can hold", test_paths, NULL, NULL,
		  NULL },
		{ "what was typed is shown short and harmless", test_shown,
		  NULL, NULL, NULL },
		{ "a key is a file, and nobody else's", test_files, NULL,
		  NULL, NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("keyline", tests, NULL, NULL);
}
