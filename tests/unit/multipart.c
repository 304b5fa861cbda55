/*
 * queue/multipart.c: the lines between the parts of a multipart/report.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "queue/queue.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

static void
assert_text(struct buffer *out, const char *wanted)
{
	assert_string_equal(out->text, wanted);
	buffer_free(out);
}

/* Every octet of it: the line break before a boundary is the boundary's. */
static void
two_parts(void **state)
{
	struct buffer out = { NULL, 0, 0 };
	struct multipart parts;

	(void)state;
	buffer_add(&out, SLICE("Subject: x\r\n"));
	multipart_begin(&parts, &out, "tlsrpt", "6883a4.b");
	multipart_part(&parts, "Content-Type: text/plain\r\n"
	    "Content-Language: en\r\n");
	buffer_add(&out, SLICE("words\r\n"));
	multipart_part(&parts, "Content-Type: application/tlsrpt+gzip\r\n");
	buffer_add(&out, SLICE("octets without a line's end"));
	multipart_end(&parts);
	assert_text(&out, "Subject: x\r\n"
	    "MIME-Version: 1.0\r\n"
	    "Content-Type: multipart/report;\r\n"
	    " report-type=tlsrpt;\r\n"
	    " boundary=\"=_culver/6883a4.b\"\r\n"
	    "\r\n"
	    "--=_culver/6883a4.b\r\n"
	    "Content-Type: text/plain\r\n"
	    "Content-Language: en\r\n"
	    "\r\n"
	    "words\r\n"
	    "\r\n"
	    "--=_culver/6883a4.b\r\n"
	    "Content-Type: application/tlsrpt+gzip\r\n"
	    "\r\n"
	    "octets without a line's end\r\n"
	    "--=_culver/6883a4.b--\r\n");
}

/* A part that ends in an empty line keeps it; one may be empty. */
static void
ends_of_parts(void **state)
{
	struct buffer out = { NULL, 0, 0 };
	struct multipart parts;

	(void)state;
	multipart_begin(&parts, &out, "tlsrpt", "a");
	out.len = 0;
	multipart_part(&parts, "");
	buffer_add(&out, SLICE("x\r\n\r\n"));
	multipart_part(&parts, "");
	multipart_end(&parts);
	assert_text(&out, "--=_culver/a\r\n\r\nx\r\n\r\n"
	    "\r\n--=_culver/a\r\n\r\n"
	    "\r\n--=_culver/a--\r\n");
}

/* What could end the quoted string, or is too long, is our own bug. */
static void
words_are_plain(void **state)
{
	static const struct {
		const char	*word;
		bool		 fine;
	} rows[] = {
		{ "0123456789abcdef", true },
		{ "1234567890123456789012345678901234567890", true },
		{ "12345678901234567890123456789012345678901", false },
		{ "", false }, { "a b", false }, { "a\"b", false },
		{ "A", false }, { "a\r\nb", false }, { "a-b", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buffer out = { NULL, 0, 0 };
		struct multipart parts;
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			close(STDERR_FILENO);
			signal(SIGABRT, SIG_DFL);
			multipart_begin(&parts, &out, "tlsrpt",
			    rows[i].word);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (WIFEXITED(status) != rows[i].fine)
			fail_msg("row %zu", i);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "DSN-6522-3-2, RPT-5.3-1 a multipart/report with its type, "
		    "part by part", two_parts, NULL, NULL, NULL },
		{ "a part keeps every octet of its end", ends_of_parts, NULL,
		    NULL, NULL },
		{ "a boundary's word is plain", words_are_plain, NULL, NULL,
		    NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("multipart", tests, NULL, NULL);
}
