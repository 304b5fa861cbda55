/*
 * smtpd/command.c: one command line, read as RFC 5321 4.1 has it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "smtpd/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A literal as a slice, NULs inside it included. */
#define L(literal)	{ literal, sizeof(literal) - 1 }
#define OK	0, ""

struct row {
	struct slice		 line;
	enum command_verb	 verb;
	unsigned		 code;
	const char		*enhanced;
};

static void
check(const struct row *row)
{
	struct command command;
	struct answer answer = command_parse(row->line, &command);

	if (answer.code != row->code || command.verb != row->verb ||
	    (row->code != 0 && strncmp(answer.text, row->enhanced,
	    strlen(row->enhanced)) != 0))
		fail_msg("\"%.*s\": verb %d, %u %s", (int)row->line.len,
		    row->line.at, command.verb, answer.code,
		    answer.code != 0 ? answer.text : "");
	/* The word alone names the same verb. */
	assert_int_equal(command_verb(row->line), row->verb);
}

#define CHECK_ROWS(rows)						\
	for (size_t i = 0; i < sizeof(rows) / sizeof((rows)[0]); i++)	\
		check(&(rows)[i])

static void
verbs(void **state)
{
	static const struct row rows[] = {
		{ L("EHLO a.example"), COMMAND_EHLO, OK },
		{ L("ehlo a.example"), COMMAND_EHLO, OK },
		{ L("EhLo a.example"), COMMAND_EHLO, OK },
		{ L("HELO a.example"), COMMAND_HELO, OK },
		{ L("helo A"), COMMAND_HELO, OK },
		{ L("MAIL FROM:<>"), COMMAND_MAIL, OK },
		{ L("mail from:<>"), COMMAND_MAIL, OK },
		{ L("Mail From:<a@b>"), COMMAND_MAIL, OK },
		{ L("RCPT TO:<a@b>"), COMMAND_RCPT, OK },
		{ L("rcpt to:<a@b>"), COMMAND_RCPT, OK },
		{ L("Rcpt To:<a@b>"), COMMAND_RCPT, OK },
		{ L("DATA"), COMMAND_DATA, OK },
		{ L("data"), COMMAND_DATA, OK },
		{ L("RSET"), COMMAND_RSET, OK },
		{ L("rset"), COMMAND_RSET, OK },
		{ L("NOOP"), COMMAND_NOOP, OK },
		{ L("noop"), COMMAND_NOOP, OK },
		{ L("QUIT"), COMMAND_QUIT, OK },
		{ L("quit"), COMMAND_QUIT, OK },
		{ L("VRFY root"), COMMAND_VRFY, OK },
		{ L("HELP"), COMMAND_HELP, OK },
		{ L("HELP MAIL"), COMMAND_HELP, OK },
		{ L("NOOP something to say"), COMMAND_NOOP, OK },
	};

	(void)state;
	CHECK_ROWS(rows);
}

static void
unknown(void **state)
{
	static const struct row rows[] = {
		{ L(""), COMMAND_UNKNOWN, 500, "5.5.1" },
		{ L(" "), COMMAND_UNKNOWN, 500, "5.5.1" },
		{ L("FOO"), COMMAND_UNKNOWN, 500, "5.5.1" },
		{ L("HELLO a"), COMMAND_UNKNOWN, 500, "5.5.1" },
		{ L("EHL"), COMMAND_UNKNOWN, 500, "5.5.1" },
		{ L("EHLOO a"), COMMAND_UNKNOWN, 500, "5.5.1" },
		{ L(" NOOP"), COMMAND_UNKNOWN, 500, "5.5.1" },
		{ L("NOOP\tx"), COMMAND_UNKNOWN, 500, "5.5.1" },
		{ L("MAILFROM:<a@b>"), COMMAND_UNKNOWN, 500, "5.5.1" },
		{ L("GET / HTTP/1.1"), COMMAND_UNKNOWN, 500, "5.5.1" },
		{ L("XCLIENT ADDR=1.2.3.4"), COMMAND_UNKNOWN, 500, "5.5.1" },
		{ L("\x16\x03\x01"), COMMAND_UNKNOWN, 500, "5.5.1" },
		{ L("\0"), COMMAND_UNKNOWN, 500, "5.5.1" },
		{ L("QUIT\0"), COMMAND_UNKNOWN, 500, "5.5.1" },
		{ L("NOOP\n"), COMMAND_UNKNOWN, 500, "5.5.1" },
		{ L("\xc3\xbc"), COMMAND_UNKNOWN, 500, "5.5.1" },
		{ L("."), COMMAND_UNKNOWN, 500, "5.5.1" },
	};

	(void)state;
	CHECK_ROWS(rows);
}

static void
not_offered(void **state)
{
	static const char *const names[] = {
		"EXPN", "STARTTLS", "AUTH", "BDAT", "BURL", "ETRN", "ATRN",
		"TURN", "SEND", "SOML", "SAML", "expn", "StartTls", "auth"
	};
	static const char *const arguments[] = {
		"", " ", " x", " PLAIN AGFiAGNk", " 5 LAST", " FROM:<a@b>"
	};
	char text[64];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		for (size_t j = 0; j < 6; j++) {
			snprintf(text, sizeof(text), "%s%s", names[i],
			    arguments[j]);
			check(&(struct row){ slice_of(text), COMMAND_UNBUILT,
			    502, "5.5.1" });
		}
}

static void
arguments(void **state)
{
	static const struct row rows[] = {
		{ L("DATA x"), COMMAND_DATA, 501, "5.5.4" },
		{ L("RSET x"), COMMAND_RSET, 501, "5.5.4" },
		{ L("QUIT x"), COMMAND_QUIT, 501, "5.5.4" },
		{ L("DATA  "), COMMAND_DATA, OK },
		{ L("RSET \t "), COMMAND_RSET, OK },
		{ L("QUIT "), COMMAND_QUIT, OK },
		{ L("NOOP "), COMMAND_NOOP, OK },
		{ L("NOOP\t"), COMMAND_NOOP, OK },
		{ L("MAIL FROM:<a@b>  "), COMMAND_MAIL, OK },
		{ L("RCPT TO:<a@b>\t"), COMMAND_RCPT, OK },
		{ L("VRFY"), COMMAND_VRFY, 501, "5.5.4" },
		{ L("EHLO"), COMMAND_EHLO, 501, "5.5.4" },
		{ L("EHLO "), COMMAND_EHLO, 501, "5.5.4" },
		{ L("HELO"), COMMAND_HELO, 501, "5.5.4" },
		{ L("MAIL"), COMMAND_MAIL, 501, "5.5.4" },
		{ L("RCPT"), COMMAND_RCPT, 501, "5.5.4" },
	};

	(void)state;
	CHECK_ROWS(rows);
}

static void
hello(void **state)
{
	static const struct {
		const char	*argument;
		const char	*name;		/* NULL: refused */
	} rows[] = {
		{ "a", "a" }, { "A.Example", "a.example" },
		{ "nonsense.invalid", "nonsense.invalid" },
		{ "localhost", "localhost" }, { "my_pc", "my_pc" },
		{ "host.example.", "host.example" }, { "10.0.0.1", "10.0.0.1" },
		{ "[127.0.0.1]", "[127.0.0.1]" },
		{ "[IPv6:::1]", "[IPv6:::1]" },
		{ "[ipv6:2001:DB8::1]", "[IPv6:2001:db8::1]" },
		{ " a.example", "a.example" },
		{ "a b", NULL }, { "a.example more", NULL }, { "-a", NULL },
		{ "a..b", NULL }, { "<a>", NULL }, { "a@b", NULL },
		{ "[127.0.0.1", NULL }, { "[300.0.0.1]", NULL }, { "[]", NULL },
		{ "a/b", NULL }, { "a,b", NULL }, { ".", NULL },
		{ "(comment)", NULL }, { "\xc3\xbc.example", NULL },
	};
	struct command command;
	struct answer answer;
	char line[128];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (int helo = 0; helo < 2; helo++) {
			snprintf(line, sizeof(line), "%s %s",
			    helo ? "HELO" : "EHLO", rows[i].argument);
			answer = command_parse(slice_of(line), &command);
			if (rows[i].name == NULL) {
				assert_int_equal(answer.code, 501);
				continue;
			}
			assert_int_equal(answer.code, 0);
			assert_string_equal(command.name.name, rows[i].name);
		}
}

/* A path of MAIL or RCPT, and what is kept of it; NULL: refused. */
struct path_row {
	const char	*path;
	const char	*local;
	const char	*domain;
};

static const struct path_row paths[] = {
	{ "<a@b>", "a", "b" },
	{ "<User@Example.ORG>", "User", "example.org" },
	{ "<a.b@c.d>", "a.b", "c.d" },
	{ "<a+b=c/d@e>", "a+b=c/d", "e" },
	{ "<!#$%&'*+-/=?^_`{|}~@b>", "!#$%&'*+-/=?^_`{|}~", "b" },
	{ "<-dash@x>", "-dash", "x" },
	{ "<a@b.>", "a", "b" },
	{ "<a_b@c_d.e>", "a_b", "c_d.e" },
	{ "<\"a b\"@c>", "a b", "c" },
	{ "<\"a\\\"b\"@c>", "a\"b", "c" },
	{ "<\"a>b\"@c>", "a>b", "c" },
	{ "<\"a\\\\\"@c>", "a\\", "c" },
	{ "<\"a@b\"@c>", "a@b", "c" },
	{ "<\"\"@c>", "", "c" },
	{ "<\"<>\"@c>", "<>", "c" },
	{ "<a@[127.0.0.1]>", "a", "[127.0.0.1]" },
	{ "<a@[IPv6:2001:db8::1]>", "a", "[IPv6:2001:db8::1]" },
	/* source routes */
	{ "<@x:a@b>", "a", "b" },
	{ "<@x,@y.z:a@b>", "a", "b" },
	{ "<@x.example,@y,@z:\"q r\"@b>", "q r", "b" },
	{ "<@x:a@[192.0.2.1]>", "a", "[192.0.2.1]" },
	/* bare local parts; who may use them is another's question */
	{ "<root>", "root", "" },
	{ "<Postmaster>", "Postmaster", "" },
	{ "<\"a b\">", "a b", "" },
	/* malformed */
	{ "a@b", NULL, NULL }, { "<a@b", NULL, NULL }, { "a@b>", NULL, NULL },
	{ "", NULL, NULL }, { "<", NULL, NULL }, { ">", NULL, NULL },
	{ "< >", NULL, NULL }, { "<a b@c>", NULL, NULL },
	{ "<.a@b>", NULL, NULL }, { "<a.@b>", NULL, NULL },
	{ "<a..b@c>", NULL, NULL }, { "<@b>", NULL, NULL },
	{ "<a@>", NULL, NULL }, { "<a@@b>", NULL, NULL },
	{ "<a@b@c>", NULL, NULL }, { "<a@-b>", NULL, NULL },
	{ "<a@b-.c>", NULL, NULL }, { "<a@b..c>", NULL, NULL },
	{ "<a@.b>", NULL, NULL }, { "<a(c)@b>", NULL, NULL },
	{ "<a@b c>", NULL, NULL }, { "<a,b@c>", NULL, NULL },
	{ "<a:b@c>", NULL, NULL }, { "<a;b@c>", NULL, NULL },
	{ "<\"a@b>", NULL, NULL }, { "<\"a\"b@c>", NULL, NULL },
	{ "<a\"b\"@c>", NULL, NULL }, { "<a\\@b@c>", NULL, NULL },
	{ "<\"\">", NULL, NULL }, { "<a@[1.2.3]>", NULL, NULL },
	{ "<a@[1.2.3.4>", NULL, NULL }, { "<a@1.2.3.4]>", NULL, NULL },
	{ "<a@[::1]>", NULL, NULL }, { "<a@b/../../etc/passwd>", NULL, NULL },
	{ "<@x>", NULL, NULL }, { "<@x:>", NULL, NULL },
	{ "<@x,:a@b>", NULL, NULL }, { "<@x,y:a@b>", NULL, NULL },
	{ "<@:a@b>", NULL, NULL }, { "<x:a@b>", NULL, NULL },
	{ "<@x;@y:a@b>", NULL, NULL }, { "<@[1.2.3.4]:a@b>", NULL, NULL },
	{ "<<a@b>>", NULL, NULL }, { "Name <a@b>", NULL, NULL },
};

static void
check_path(const struct path_row *row, const char *form, bool mail)
{
	struct command command;
	struct answer answer;
	char line[256];

	snprintf(line, sizeof(line), form, row->path);
	answer = command_parse(slice_of(line), &command);
	if (row->local == NULL) {
		if (answer.code != 501)
			fail_msg("%s: %u", line, answer.code);
		return;
	}
	if (answer.code != 0 ||
	    strcmp(command.mailbox.local, row->local) != 0 ||
	    strcmp(command.mailbox.domain.name, row->domain) != 0)
		fail_msg("%s: %u %s@%s", line, answer.code,
		    command.mailbox.local, command.mailbox.domain.name);
	assert_int_equal(command.verb, mail ? COMMAND_MAIL : COMMAND_RCPT);
}

static void
paths_of_both(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		check_path(&paths[i], "MAIL FROM:%s", true);
		check_path(&paths[i], "mail from: %s", true);
		check_path(&paths[i], "MAIL FROM:%s SIZE=1", true);
		check_path(&paths[i], "RCPT TO:%s", false);
		check_path(&paths[i], "rcpt to:   %s ", false);
	}
}

static void
null_path(void **state)
{
	static const struct row rows[] = {
		{ L("MAIL FROM:<>"), COMMAND_MAIL, OK },
		{ L("MAIL FROM:<> SIZE=5 BODY=7BIT"), COMMAND_MAIL, OK },
		{ L("RCPT TO:<>"), COMMAND_RCPT, 501, "5.1.3" },
	};
	struct command command;

	(void)state;
	CHECK_ROWS(rows);
	command_parse(rows[0].line, &command);
	assert_true(mailbox_is_null(&command.mailbox));
}

static void
prefixes(void **state)
{
	static const struct row rows[] = {
		{ L("MAIL <a@b>"), COMMAND_MAIL, 501, "5.5.4" },
		{ L("MAIL TO:<a@b>"), COMMAND_MAIL, 501, "5.5.4" },
		{ L("MAIL FROM<a@b>"), COMMAND_MAIL, 501, "5.5.4" },
		{ L("MAIL FROM :<a@b>"), COMMAND_MAIL, 501, "5.5.4" },
		{ L("RCPT FROM:<a@b>"), COMMAND_RCPT, 501, "5.5.4" },
		{ L("RCPT <a@b>"), COMMAND_RCPT, 501, "5.5.4" },
		{ L("RCPT TO <a@b>"), COMMAND_RCPT, 501, "5.5.4" },
		{ L("MAIL FROM:"), COMMAND_MAIL, 501, "5.1.7" },
		{ L("RCPT TO:"), COMMAND_RCPT, 501, "5.1.3" },
		{ L("MAIL FROM:a@b"), COMMAND_MAIL, 501, "5.1.7" },
		{ L("RCPT TO:a@b"), COMMAND_RCPT, 501, "5.1.3" },
		{ L("MAIL FROM:<a@b>x"), COMMAND_MAIL, 501, "5.5.2" },
		{ L("MAIL FROM:<a@b>SIZE=1"), COMMAND_MAIL, 501, "5.5.2" },
		{ L("RCPT TO:<a@b>,<c@d>"), COMMAND_RCPT, 501, "5.5.2" },
	};

	(void)state;
	CHECK_ROWS(rows);
}

static void
parameters(void **state)
{
	static const struct {
		const char	*parameters;
		unsigned	 code;
		uint64_t	 size;
		enum body_kind	 body;
	} rows[] = {
		{ "SIZE=0", 0, 0, BODY_7BIT },
		{ "SIZE=1", 0, 1, BODY_7BIT },
		{ "size=12345", 0, 12345, BODY_7BIT },
		{ "Size=007", 0, 7, BODY_7BIT },
		{ "SIZE=18446744073709551615", 0, UINT64_MAX, BODY_7BIT },
		{ "SIZE=18446744073709551616", 0, UINT64_MAX, BODY_7BIT },
		{ "SIZE=99999999999999999999", 0, UINT64_MAX, BODY_7BIT },
		{ "SIZE=00000000000000000001", 0, 1, BODY_7BIT },
		{ "SIZE=000000000000000000001", 501, 0, 0 },
		{ "SIZE=x", 501, 0, 0 }, { "SIZE=", 501, 0, 0 },
		{ "SIZE", 501, 0, 0 }, { "SIZE=-1", 501, 0, 0 },
		{ "SIZE=+1", 501, 0, 0 }, { "SIZE=1x", 501, 0, 0 },
		{ "SIZE=0x10", 501, 0, 0 }, { "SIZE=1.5", 501, 0, 0 },
		{ "SIZE=1=2", 501, 0, 0 }, { "SIZE =1", 501, 0, 0 },
		{ "BODY=7BIT", 0, 0, BODY_7BIT },
		{ "BODY=7bit", 0, 0, BODY_7BIT },
		{ "BODY=8BITMIME", 0, 0, BODY_8BITMIME },
		{ "BODY=8bitmime", 0, 0, BODY_8BITMIME },
		{ "body=8BitMime", 0, 0, BODY_8BITMIME },
		{ "BODY=9BIT", 501, 0, 0 }, { "BODY=", 501, 0, 0 },
		{ "BODY", 501, 0, 0 }, { "BODY=BINARYMIME", 501, 0, 0 },
		{ "SIZE=5 BODY=8BITMIME", 0, 5, BODY_8BITMIME },
		{ "BODY=8BITMIME SIZE=5", 0, 5, BODY_8BITMIME },
		{ "SIZE=5  BODY=7BIT ", 0, 5, BODY_7BIT },
		{ "SIZE=5 SIZE=5", 501, 0, 0 },
		{ "BODY=7BIT BODY=8BITMIME", 501, 0, 0 },
		{ "FOO=1", 555, 0, 0 }, { "FOO", 555, 0, 0 },
		{ "X-Y=1", 555, 0, 0 }, { "SMTPUTF8", 555, 0, 0 },
		{ "AUTH=<>", 555, 0, 0 }, { "AUTH=a@b", 555, 0, 0 },
		{ "RET=FULL", 0, 0, 0 }, { "ENVID=QQ", 0, 0, 0 },
		{ "NOTIFY=NEVER", 555, 0, 0 }, { "ORCPT=a;b", 555, 0, 0 },
		{ "REQUIRETLS", 555, 0, 0 }, { "SIZES=1", 555, 0, 0 },
		{ "SIZ=1", 555, 0, 0 }, { "MT-PRIORITY=3", 555, 0, 0 },
		{ "=1", 501, 0, 0 }, { "-A=1", 501, 0, 0 },
		{ "FOO=", 501, 0, 0 }, { "F_O=1", 501, 0, 0 },
		{ "FOO=\xc3\xbc", 501, 0, 0 }, { "SIZE=1 FOO", 555, 0, 0 },
		{ "<b@c>", 501, 0, 0 },
	};
	struct command command;
	struct answer answer;
	char line[128];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(line, sizeof(line), "MAIL FROM:<a@b> %s",
		    rows[i].parameters);
		answer = command_parse(slice_of(line), &command);
		if (answer.code != rows[i].code)
			fail_msg("%s: %u", line, answer.code);
		if (answer.code != 0) {
			assert_memory_equal(answer.text, "5.5.4", 5);
			continue;
		}
		assert_true(command.size_bytes == rows[i].size);
		assert_int_equal(command.body, rows[i].body);
	}
}

/* RCPT has its own; those of MAIL are not its. */
static void
rcpt_parameters(void **state)
{
	static const struct row rows[] = {
		{ L("RCPT TO:<a@b> SIZE=1"), COMMAND_RCPT, 555, "5.5.4" },
		{ L("RCPT TO:<a@b> BODY=7BIT"), COMMAND_RCPT, 555, "5.5.4" },
		{ L("RCPT TO:<a@b> RET=FULL"), COMMAND_RCPT, 555, "5.5.4" },
		{ L("RCPT TO:<a@b> ENVID=x"), COMMAND_RCPT, 555, "5.5.4" },
		{ L("RCPT TO:<a@b> NOTIFY=NEVER"), COMMAND_RCPT, OK },
		{ L("RCPT TO:<a@b> ORCPT=rfc822;a@b"), COMMAND_RCPT, OK },
		{ L("RCPT TO:<a@b>  ORCPT=rfc822;a@b  NOTIFY=DELAY "),
		    COMMAND_RCPT, OK },
		{ L("RCPT TO:<a@b> FOO="), COMMAND_RCPT, 501, "5.5.4" },
	};

	(void)state;
	CHECK_ROWS(rows);
}

static void
fill(char *text, size_t len, char c)
{
	memset(text, c, len);
	text[len] = '\0';
}

/* ---- RFC 3461 ---- */

static const struct {
	const char	*parameters;	/* of MAIL */
	unsigned	 code;
	enum dsn_ret	 ret;
	const char	*envid;
} mail_dsn[] = {
	/* DSN-3461-4.3-1 */
	{ "RET=FULL", 0, RET_FULL, "" }, { "RET=HDRS", 0, RET_HDRS, "" },
	{ "RET=full", 0, RET_FULL, "" }, { "ret=Hdrs", 0, RET_HDRS, "" },
	{ "Ret=fUlL", 0, RET_FULL, "" },
	{ "RET=", 501, 0, "" }, { "RET", 501, 0, "" },
	{ "RET=BODY", 501, 0, "" }, { "RET=x", 501, 0, "" },
	{ "RET=FULLL", 501, 0, "" }, { "RET=FUL", 501, 0, "" },
	{ "RET=HDRS,FULL", 501, 0, "" }, { "RET=HDR", 501, 0, "" },
	{ "RET=FULL=HDRS", 501, 0, "" }, { "RET= FULL", 501, 0, "" },
	{ "RET=FULL;", 501, 0, "" }, { "RET=NEVER", 501, 0, "" },
	{ "RET=F+55LL", 501, 0, "" }, { "RET=\"FULL\"", 501, 0, "" },
	/* DSN-3461-4.4-1, DSN-3461-4-2 */
	{ "ENVID=QQ314159", 0, 0, "QQ314159" },
	{ "envid=aB+2B1", 0, 0, "aB+2B1" },
	{ "ENVID=a+2B", 0, 0, "a+2B" }, { "ENVID=+3D", 0, 0, "+3D" },
	{ "ENVID=+20", 0, 0, "+20" }, { "ENVID=+7E", 0, 0, "+7E" },
	{ "ENVID=+2B+2B+3D", 0, 0, "+2B+2B+3D" },
	{ "ENVID=!\"#$%&'()*,-./", 0, 0, "!\"#$%&'()*,-./" },
	{ "ENVID=:;<>?@[\\]^_`{|}~", 0, 0, ":;<>?@[\\]^_`{|}~" },
	{ "ENVID=0", 0, 0, "0" },
	{ "ENVID=", 501, 0, "" }, { "ENVID", 501, 0, "" },
	{ "ENVID=a+2b", 501, 0, "" }, { "ENVID=a+2", 501, 0, "" },
	{ "ENVID=a+", 501, 0, "" }, { "ENVID=+", 501, 0, "" },
	{ "ENVID=a+GG", 501, 0, "" }, { "ENVID=a+2G", 501, 0, "" },
	{ "ENVID=a+G2", 501, 0, "" }, { "ENVID=++2B", 501, 0, "" },
	{ "ENVID=+2B+", 501, 0, "" }, { "ENVID=+2B+2", 501, 0, "" },
	{ "ENVID=+ 2", 501, 0, "" }, { "ENVID=+-2", 501, 0, "" },
	{ "ENVID=a=b", 501, 0, "" }, { "ENVID==", 501, 0, "" },
	{ "ENVID=a b", 555, 0, "" },		/* another parameter: b */
	/* what is not printable would end a field of the notification */
	{ "ENVID=+0D+0A", 501, 0, "" }, { "ENVID=x+0A", 501, 0, "" },
	{ "ENVID=+00", 501, 0, "" }, { "ENVID=+1F", 501, 0, "" },
	{ "ENVID=+09", 501, 0, "" }, { "ENVID=+7F", 501, 0, "" },
	{ "ENVID=+80", 501, 0, "" }, { "ENVID=+C3+A4", 501, 0, "" },
	{ "ENVID=+FF", 501, 0, "" }, { "ENVID=\xc3\xa4", 501, 0, "" },
	/* together, in any order, each once: DSN-3461-4.5-1 */
	{ "RET=FULL ENVID=x", 0, RET_FULL, "x" },
	{ "ENVID=x RET=HDRS", 0, RET_HDRS, "x" },
	{ "SIZE=1 ENVID=x BODY=8BITMIME RET=HDRS", 0, RET_HDRS, "x" },
	{ "RET=FULL RET=FULL", 501, 0, "" },
	{ "RET=FULL RET=HDRS", 501, 0, "" },
	{ "RET=FULL ret=full", 501, 0, "" },
	{ "ENVID=x ENVID=x", 501, 0, "" },
	{ "ENVID=x RET=HDRS ENVID=y", 501, 0, "" },
	{ "RET=HDRS ENVID=x FOO=1", 555, 0, "" },
};

static void
dsn_of_mail(void **state)
{
	char line[512];

	(void)state;
	for (size_t i = 0; i < sizeof(mail_dsn) / sizeof(mail_dsn[0]); i++) {
		struct command command;
		struct answer answer;

		snprintf(line, sizeof(line), "MAIL FROM:<a@b> %s",
		    mail_dsn[i].parameters);
		answer = command_parse(slice_of(line), &command);
		if (answer.code != mail_dsn[i].code)
			fail_msg("%s: %u", line, answer.code);
		if (answer.code != 0)
			assert_memory_equal(answer.text, "5.5.4", 5);
		if (answer.code == 0 && (command.ret != mail_dsn[i].ret ||
		    strcmp(command.envid, mail_dsn[i].envid) != 0))
			fail_msg("%s: %d %s", line, command.ret,
			    command.envid);
	}
}

#define S	NOTIFY_SUCCESS
#define F	NOTIFY_FAILURE
#define D	NOTIFY_DELAY

static const struct {
	const char	*parameters;	/* of RCPT */
	unsigned	 code;
	uint32_t	 notify;
	const char	*orcpt;
} rcpt_dsn[] = {
	/* DSN-3461-4.1-1 */
	{ "NOTIFY=NEVER", 0, NOTIFY_NEVER, "" },
	{ "NOTIFY=never", 0, NOTIFY_NEVER, "" },
	{ "notify=NeVeR", 0, NOTIFY_NEVER, "" },
	{ "NOTIFY=SUCCESS", 0, S, "" }, { "NOTIFY=FAILURE", 0, F, "" },
	{ "NOTIFY=DELAY", 0, D, "" }, { "NOTIFY=success", 0, S, "" },
	{ "NOTIFY=success,Failure", 0, S | F, "" },
	{ "NOTIFY=SUCCESS,DELAY", 0, S | D, "" },
	{ "NOTIFY=DELAY,FAILURE", 0, F | D, "" },
	{ "NOTIFY=SUCCESS,FAILURE,DELAY", 0, S | F | D, "" },
	{ "NOTIFY=delay,failure,success", 0, S | F | D, "" },
	{ "NOTIFY=FAILURE,FAILURE", 0, F, "" },
	{ "NOTIFY=", 501, 0, "" }, { "NOTIFY", 501, 0, "" },
	{ "NOTIFY=FOO", 501, 0, "" }, { "NOTIFY=x", 501, 0, "" },
	{ "NOTIFY=NEVER,SUCCESS", 501, 0, "" },
	{ "NOTIFY=SUCCESS,NEVER", 501, 0, "" },
	{ "NOTIFY=FAILURE,NEVER,DELAY", 501, 0, "" },
	{ "NOTIFY=NEVER,NEVER", 501, 0, "" },
	{ "NOTIFY=NEVER,", 501, 0, "" }, { "NOTIFY=,NEVER", 501, 0, "" },
	{ "NOTIFY=,", 501, 0, "" }, { "NOTIFY=SUCCESS,", 501, 0, "" },
	{ "NOTIFY=,SUCCESS", 501, 0, "" },
	{ "NOTIFY=SUCCESS,,DELAY", 501, 0, "" },
	{ "NOTIFY=SUCCESS;DELAY", 501, 0, "" },
	{ "NOTIFY=SUCCESSDELAY", 501, 0, "" },
	{ "NOTIFY=SUCCES", 501, 0, "" }, { "NOTIFY=SUCCESSS", 501, 0, "" },
	{ "NOTIFY=FAIL", 501, 0, "" }, { "NOTIFY=DELAYED", 501, 0, "" },
	{ "NOTIFY=SUCCESS=1", 501, 0, "" }, { "NOTIFY=*", 501, 0, "" },
	{ "NOTIFY=+4EEVER", 501, 0, "" }, { "NOTIFY=0", 501, 0, "" },
	/* DSN-3461-4.2-1 */
	{ "ORCPT=rfc822;a+40b", 0, 0, "rfc822;a+40b" },
	{ "ORCPT=rfc822;a@b", 0, 0, "rfc822;a@b" },
	{ "orcpt=RFC822;UsEr+2Btag@b", 0, 0, "RFC822;UsEr+2Btag@b" },
	{ "ORCPT=x400;/C=x", 501, 0, "" },	/* "=" is +3D */
	{ "ORCPT=x400;/C+3Dx/", 0, 0, "x400;/C+3Dx/" },
	{ "ORCPT=unknown;x", 0, 0, "unknown;x" },
	{ "ORCPT=x-a;b", 0, 0, "x-a;b" },
	{ "ORCPT=utf-8;\\x{FC}@b", 0, 0, "utf-8;\\x{FC}@b" },
	{ "ORCPT=rfc822;a;b", 0, 0, "rfc822;a;b" },
	{ "ORCPT=rfc822;;", 0, 0, "rfc822;;" },
	{ "ORCPT=rfc822;+22a+20b+22@c", 0, 0, "rfc822;+22a+20b+22@c" },
	{ "ORCPT=", 501, 0, "" }, { "ORCPT", 501, 0, "" },
	{ "ORCPT=x", 501, 0, "" }, { "ORCPT=;x", 501, 0, "" },
	{ "ORCPT=a@b", 501, 0, "" }, { "ORCPT=rfc822", 501, 0, "" },
	{ "ORCPT=rfc822;", 501, 0, "" }, { "ORCPT=;", 501, 0, "" },
	{ "ORCPT=a@b;c", 501, 0, "" }, { "ORCPT=<rfc822>;c", 501, 0, "" },
	{ "ORCPT=rfc.822;c", 501, 0, "" }, { "ORCPT=a,b;c", 501, 0, "" },
	{ "ORCPT=(a);c", 501, 0, "" }, { "ORCPT=\"a\";c", 501, 0, "" },
	{ "ORCPT=a:b;c", 501, 0, "" }, { "ORCPT=[a];c", 501, 0, "" },
	{ "ORCPT=a\\b;c", 501, 0, "" },
	{ "ORCPT=rfc822;a+2b", 501, 0, "" },
	{ "ORCPT=rfc822;a+2", 501, 0, "" },
	{ "ORCPT=rfc822;a+", 501, 0, "" },
	{ "ORCPT=rfc822;a+GG", 501, 0, "" },
	{ "ORCPT=rfc822;a=b", 501, 0, "" },
	{ "ORCPT=rfc822;a+0D+0AAction:+20failed", 501, 0, "" },
	{ "ORCPT=rfc822;+00", 501, 0, "" },
	{ "ORCPT=rfc822;+7F", 501, 0, "" },
	{ "ORCPT=rfc822;+C3+BC@b", 501, 0, "" },
	{ "ORCPT=rfc822;\xc3\xbc@b", 501, 0, "" },
	{ "ORCPT=rfc822;a b", 555, 0, "" },
	/* together, in any order, each once: DSN-3461-4.5-1 */
	{ "NOTIFY=DELAY ORCPT=a;b", 0, D, "a;b" },
	{ "ORCPT=a;b NOTIFY=NEVER", 0, NOTIFY_NEVER, "a;b" },
	{ "NOTIFY=DELAY NOTIFY=DELAY", 501, 0, "" },
	{ "NOTIFY=DELAY notify=SUCCESS", 501, 0, "" },
	{ "ORCPT=a;b ORCPT=a;b", 501, 0, "" },
	{ "ORCPT=a;b NOTIFY=DELAY orcpt=c;d", 501, 0, "" },
	{ "NOTIFY=DELAY RET=FULL", 555, 0, "" },
};

#undef S
#undef F
#undef D

static void
dsn_of_rcpt(void **state)
{
	char line[512];

	(void)state;
	for (size_t i = 0; i < sizeof(rcpt_dsn) / sizeof(rcpt_dsn[0]); i++) {
		struct command command;
		struct answer answer;

		snprintf(line, sizeof(line), "RCPT TO:<a@b> %s",
		    rcpt_dsn[i].parameters);
		answer = command_parse(slice_of(line), &command);
		if (answer.code != rcpt_dsn[i].code)
			fail_msg("%s: %u", line, answer.code);
		if (answer.code != 0)
			assert_memory_equal(answer.text, "5.5.4", 5);
		if (answer.code == 0 && (command.notify !=
		    rcpt_dsn[i].notify ||
		    strcmp(command.orcpt, rcpt_dsn[i].orcpt) != 0))
			fail_msg("%s: %u %s", line, command.notify,
			    command.orcpt);
	}
}

/* 100 characters of ENVID and 500 of ORCPT, and not one more. */
static void
dsn_lengths(void **state)
{
	char value[600], line[1200];
	struct command command;
	struct answer answer;

	(void)state;
	for (int n = 1; n < 130; n++) {
		fill(value, (size_t)n, 'e');
		snprintf(line, sizeof(line), "MAIL FROM:<a@b> ENVID=%s",
		    value);
		answer = command_parse(slice_of(line), &command);
		assert_int_equal(answer.code, n <= 100 ? 0 : 501);
		if (n <= 100)
			assert_string_equal(command.envid, value);
	}
	for (int n = 8; n < 530; n++) {
		fill(value, (size_t)n, 'o');
		memcpy(value, "rfc822;", 7);
		snprintf(line, sizeof(line), "RCPT TO:<a@b> ORCPT=%s",
		    value);
		answer = command_parse(slice_of(line), &command);
		assert_int_equal(answer.code, n <= 500 ? 0 : 501);
		if (n <= 500)
			assert_string_equal(command.orcpt, value);
	}
}

/* Every octet, alone, as a hexchar, and as either digit of one. */
static void
dsn_every_octet(void **state)
{
	(void)state;
	for (int c = 1; c < 256; c++) {
		bool xchar = c >= '!' && c <= '~' && c != '+' && c != '=';
		bool hex = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F');
		const struct { const char *form; bool good; } rows[] = {
			{ "a%cb", xchar },
			/* 3x and 2x are printable, 8 to F as first are not */
			{ "+3%c", hex },
			{ "+2%c", hex },
			{ "+%c0", c >= '2' && c <= '7' },
			{ "+%cF", c >= '2' && c <= '6' },
		};

		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			char text[8];

			snprintf(text, sizeof(text), rows[i].form, c);
			if (command_is_envid(slice_of(text)) != rows[i].good)
				fail_msg("%s with octet %d", rows[i].form, c);
		}
		for (int high = 0; high < 16; high++) {
			char text[8];

			snprintf(text, sizeof(text), "+%X%X", high, c % 16);
			assert_int_equal(command_is_envid(slice_of(text)),
			    high * 16 + c % 16 >= 0x20 &&
			    high * 16 + c % 16 <= 0x7e);
		}
	}
}

static void
eight_bit(void **state)
{
	static const struct row rows[] = {
		{ L("RCPT TO:<\xc3\xbc@d>"), COMMAND_RCPT, 553, "5.6.7" },
		{ L("MAIL FROM:<\xc3\xbc@d>"), COMMAND_MAIL, 550, "5.6.7" },
		{ L("RCPT TO:<\xe4@b>"), COMMAND_RCPT, 553, "5.6.7" },
		{ L("RCPT TO:<a@\xc3\xbc.d>"), COMMAND_RCPT, 553, "5.6.7" },
		{ L("MAIL FROM:<a@\xff>"), COMMAND_MAIL, 550, "5.6.7" },
		{ L("RCPT TO:<\"\xc3\xbc\"@d>"), COMMAND_RCPT, 553, "5.6.7" },
		{ L("RCPT TO:\xc3\xbc@d"), COMMAND_RCPT, 553, "5.6.7" },
		{ L("EHLO \xc3\xbc"), COMMAND_EHLO, 501, "5.5.2" },
		{ L("NOOP \xc3\xbc"), COMMAND_NOOP, 501, "5.5.2" },
		{ L("VRFY \xc3\xbc"), COMMAND_VRFY, 501, "5.5.2" },
		{ L("HELP \x80"), COMMAND_HELP, 501, "5.5.2" },
	};

	(void)state;
	CHECK_ROWS(rows);
}

/* Every control character in every command that takes an argument. */
static void
controls(void **state)
{
	static const struct {
		const char		*before, *after;
		enum command_verb	 verb;
	} rows[] = {
		{ "MAIL FROM:<a", "b@c>", COMMAND_MAIL },
		{ "MAIL FROM:<a@b", ">", COMMAND_MAIL },
		{ "MAIL FROM:<a@b> SIZE=", "1", COMMAND_MAIL },
		{ "MAIL FROM:<\"", "\"@b>", COMMAND_MAIL },
		{ "RCPT TO:<a", "b@c>", COMMAND_RCPT },
		{ "RCPT TO:<", "@c>", COMMAND_RCPT },
		{ "EHLO a", "b", COMMAND_EHLO },
		{ "HELO a", "b", COMMAND_HELO },
		{ "NOOP a", "b", COMMAND_NOOP },
		{ "VRFY a", "b", COMMAND_VRFY },
		{ "HELP a", "b", COMMAND_HELP },
		{ "EXPN a", "b", COMMAND_UNBUILT },
		{ "DATA ", "x", COMMAND_DATA },
	};
	char line[128];
	size_t before, after;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (int c = 0; c < 0x80; c = c == 0x1f ? 0x7f : c + 1) {
			before = strlen(rows[i].before);
			after = strlen(rows[i].after);
			memcpy(line, rows[i].before, before);
			line[before] = (char)c;
			memcpy(line + before + 1, rows[i].after, after);
			check(&(struct row){ { line, before + 1 + after },
			    rows[i].verb, 501, "5.5.2" });
		}
}

static void
local_lengths(void **state)
{
	struct command command;
	char local[80], line[128];

	(void)state;
	for (size_t len = 1; len <= 70; len++) {
		fill(local, len, 'a');
		snprintf(line, sizeof(line), "RCPT TO:<%s@b>", local);
		assert_int_equal(command_parse(slice_of(line), &command).code,
		    len <= 64 ? 0 : 501);
		if (len <= 64)
			assert_string_equal(command.mailbox.local, local);
	}
}

/* A domain of len octets in labels of at most 63. */
static void
fill_domain(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		text[i] = i % 64 == 63 ? '.' : 'd';
	if (text[len - 1] == '.')
		text[len - 2] = '.', text[len - 1] = 'd';
	text[len] = '\0';
}

static void
domain_lengths(void **state)
{
	struct command command;
	char domain[300], line[400];

	(void)state;
	for (size_t len = 1; len <= 260; len++) {
		fill_domain(domain, len);
		if (strstr(domain, "..") != NULL)
			continue;
		snprintf(line, sizeof(line), "RCPT TO:<u@%s>", domain);
		assert_int_equal(command_parse(slice_of(line), &command).code,
		    len <= 255 ? 0 : 501);
		if (len <= 255)
			assert_string_equal(command.mailbox.domain.name,
			    domain);
	}
}

/* 256 octets between and with the brackets, local part of 64. */
static void
path_lengths(void **state)
{
	struct command command;
	char local[80], domain[300], line[512];

	(void)state;
	fill(local, 64, 'l');
	fill_domain(domain, 256 - 2 - 64 - 1);
	snprintf(line, sizeof(line), "MAIL FROM:<%s@%s> SIZE=1", local,
	    domain);
	assert_int_equal(command_parse(slice_of(line), &command).code, 0);
	assert_string_equal(command.mailbox.domain.name, domain);
	fill(local, 65, 'l');
	snprintf(line, sizeof(line), "MAIL FROM:<%s@%s>", local, domain);
	assert_int_equal(command_parse(slice_of(line), &command).code, 501);
	fill(local, 64, 'l');
	fill_domain(domain, 257);
	snprintf(line, sizeof(line), "RCPT TO:<%s@%s>", local, domain);
	assert_int_equal(command_parse(slice_of(line), &command).code, 501);
}

/* What is refused has text for its reply; classes agree. */
static void
answers_are_whole(void **state)
{
	static const char alphabet[] = "<>@:,.\"\\ =[]()aB1-_\t";
	struct command command;
	struct answer answer;
	char line[64];
	size_t len;

	(void)state;
	srand(1);
	for (int i = 0; i < 200000; i++) {
		strcpy(line, i % 2 ? "MAIL FROM:" : "RCPT TO:<");
		len = strlen(line);
		for (int n = rand() % 24; n > 0; n--)
			line[len++] = alphabet[(size_t)rand() %
			    (sizeof(alphabet) - 1)];
		answer = command_parse((struct slice){ line, len }, &command);
		if (answer.code == 0)
			continue;
		assert_in_range(answer.code, 500, 555);
		assert_memory_equal(answer.text, "5.", 2);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "SMTP-2.4-1, SMTP-4.5.1-1 commands without regard to case",
		    verbs, NULL, NULL, NULL },
		{ "SMTP-4.2.4-1 unknown commands are 500", unknown,
		    NULL, NULL, NULL },
		{ "SMTP-4.2.4-1, EXT-3030-2-5, SMTP-3.5.3-1 known ones that "
		    "are not offered are 502", not_offered, NULL, NULL, NULL },
		{ "SMTP-4.3.2-1, SMTP-4.1.1-1, SMTP-4.1.4-2 arguments where "
		    "none belong, none where one does, blanks at the end",
		    arguments, NULL, NULL, NULL },
		{ "SMTP-4.1.4-4 names of EHLO and HELO", hello,
		    NULL, NULL, NULL },
		{ "SMTP-4.1.1.2-1, SMTP-3.3-3, SMTP-4.1.1.3-1 paths, source "
		    "routes, bare names", paths_of_both, NULL, NULL, NULL },
		{ "SMTP-4.1.1.2-1 the null path is MAIL's alone", null_path,
		    NULL, NULL, NULL },
		{ "SMTP-4.1.1.2-1 FROM: and TO:", prefixes, NULL, NULL, NULL },
		{ "EXT-1870-6.1-4, EXT-6152-2-1, EXT-3030-3-2, "
		    "EXT-6531-3.1-2, SMTP-4.1.1.11-1 parameters of MAIL",
		    parameters, NULL, NULL, NULL },
		{ "SMTP-4.1.1.11-1 parameters of RCPT", rcpt_parameters,
		    NULL, NULL, NULL },
		{ "DSN-3461-4-2, DSN-3461-4.3-1, DSN-3461-4.4-1, "
		    "DSN-3461-4.5-1, DSN-3461-5.1-2 RET and ENVID of MAIL",
		    dsn_of_mail, NULL, NULL, NULL },
		{ "DSN-3461-4.1-1, DSN-3461-4.2-1, DSN-3461-4.5-1, "
		    "DSN-3461-5.1-3 NOTIFY and ORCPT of RCPT", dsn_of_rcpt,
		    NULL, NULL, NULL },
		{ "DSN-3461-4.2-1, DSN-3461-4.4-1 ENVID has 100 characters "
		    "at most, ORCPT 500", dsn_lengths, NULL, NULL, NULL },
		{ "DSN-3461-4-2 xtext, octet by octet", dsn_every_octet,
		    NULL, NULL, NULL },
		{ "SMTP-2.4-4, EXT-6531-3.5-1 octets above 127", eight_bit,
		    NULL, NULL, NULL },
		{ "SMTP-4.1.2-4, SMTP-4.1.2-6 control characters and NUL",
		    controls, NULL, NULL, NULL },
		{ "SMTP-4.5.3.1.1-1 local parts of 64 octets", local_lengths,
		    NULL, NULL, NULL },
		{ "SMTP-4.5.3.1.2-1 domains of 255 octets", domain_lengths,
		    NULL, NULL, NULL },
		{ "SMTP-4.5.3.1.3-1 paths of 256 octets", path_lengths,
		    NULL, NULL, NULL },
		{ "SMTP-4.2-6, EXT-2034-4-2 a refusal is 5yz with 5.y.z",
		    answers_are_whole, NULL, NULL, NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
