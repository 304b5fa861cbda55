/*
 * culver-smtpd itself, spoken to by scripted clients: the dialogue of RFC
 * 5321, what queue hears of it, and what happens when one side goes away.
 * See smtpd_fixture.h for how a script reads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "smtpd_fixture.h"

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

#define HELLO								\
	"< 220 relay.test ESMTP\n"					\
	"> EHLO client.test\n"						\
	"< 250-relay.test\n"
#define GROUP	"MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\n"
#define MAIL_RCPT							\
	"> MAIL FROM:<a@b.test>\n"					\
	"< 250 2.1.0\n"							\
	"> RCPT TO:<c@d.test>\n"					\
	"< 250 2.1.5\n"

/* One client, one script, a world of its own. */
static void
play_alone(const char *settings, const char *script)
{
	struct world *world = world_new(settings);
	struct client client = client_new(world);

	play(world, &client, script, LINE_BY_LINE);
	client_free(&client);
	world_free(&world);
}

static void
hello(void **state)
{
	struct world *world = world_new(NULL);
	struct client client = client_new(world);
	char *reply;

	(void)state;
	client_expect(world, &client, "220 relay.test ESMTP");
	client_say(&client, "EHLO client.test\r\n");
	reply = client_hear(world, &client);
	assert_string_equal(reply, "250-relay.test\r\n250-PIPELINING\r\n"
	    "250-SIZE 52428800\r\n250-8BITMIME\r\n"
	    "250-ENHANCEDSTATUSCODES\r\n250 DSN\r\n");
	free(reply);
	client_say(&client, "HELO client.test\r\n");
	reply = client_hear(world, &client);
	assert_string_equal(reply, "250 relay.test\r\n");
	free(reply);
	client_free(&client);
	world_free(&world);
}

static void
before_hello(void **state)
{
	(void)state;
	play_alone(NULL,
	    "< 220 relay.test\n"
	    "> NOOP\n< 250 2.0.0\n"
	    "> HELP\n< 214 2.0.0\n"
	    "> EXPN list\n< 502 5.5.1\n"
	    "> VRFY root\n< 252 2.0.0\n"
	    "> RSET\n< 250 2.0.0\n"
	    "> MAIL FROM:<a@b.test>\n< 503 5.5.1\n"
	    "> RCPT TO:<a@b.test>\n< 503 5.5.1\n"
	    "> DATA\n< 503 5.5.1\n"
	    "> EHLO a\n< 250-relay.test\n"
	    "> QUIT\n< 221 2.0.0\n< end\n");
}

static void
one_message(void **state)
{
	struct world *world = world_new(NULL);
	struct client client = client_new(world);
	char id[ID_TEXT_MAX], line[512];
	const struct mail *mail;
	const char *received;

	(void)state;
	play(world, &client, HELLO MAIL_RCPT
	    "> DATA\n< 354\n"
	    "> Subject: hi\n> Message-ID: <1@client.test>\n> \n> ..\n> text\n"
	    "> .\n< 250 2.0.0 queued as \n> QUIT\n< 221 2.0.0\n< end\n",
	    LINE_BY_LINE);
	mail = last_mail(world);
	assert_string_equal(mail->open.sender, "a@b.test");
	assert_string_equal(mail->rcpts.text, "c@d.test ");
	assert_string_equal(mail->open.client, "127.0.0.1");
	assert_string_equal(mail->open.proto, "ESMTP");
	assert_false(mail->open.local);
	assert_int_equal(mail->open.class, CLASS_MAIL);
	assert_int_equal(mail->open.body, BODY_7BIT);
	assert_string_equal(after_received(mail), "Subject: hi\r\n"
	    "Message-ID: <1@client.test>\r\n\r\n.\r\ntext\r\n");
	assert_string_equal(mail->end.msgid, "<1@client.test>");
	assert_false(mail->end.eight_bit);
	snprintf(line, sizeof(line), "Received: from client.test "
	    "([127.0.0.1])\r\n\tby relay.test with ESMTP id %s;\r\n\t",
	    queue_id_print(mail->open.id, id));
	received = mail->body.text;
	assert_memory_equal(received, line, strlen(line));
	/* "Tue, 24 Nov 2026 23:17:34 +0000" */
	received = strstr(received, ";\r\n\t") + 4;
	assert_int_equal(received[3], ',');
	assert_non_null(strchr("+-", strstr(received, "\r\n")[-5]));
	/* what queue needs for its accept line */
	assert_string_equal(mail->end.msgid, "<1@client.test>");
	assert_string_equal(mail->open.client, "127.0.0.1");
	assert_string_equal(mail->open.proto, "ESMTP");
	assert_string_equal(mail->open.tls, "none");
	assert_string_equal(mail->open.auth, "none");
	client_free(&client);
	world_free(&world);
}

/* The same octets, however they are cut, make the same dialogue. */
static void
cuts(void **state)
{
	static const char script[] =
	    HELLO
	    "> NOOP\n> VRFY x\n> FOO\n< 250 2.0.0\n< 252 2.0.0\n< 500 5.5.1\n"
	    "> MAIL FROM:<a@b.test> SIZE=100 BODY=8BITMIME\n"
	    "> RCPT TO:<c@d.test>\n"
	    "> RCPT TO:<nobody@our.test>\n"
	    "> RCPT TO:<\"q r\"@d.test>\n"
	    "> RCPT TO:nonsense\n"
	    "> RCPT TO:<root@our.test>\n"
	    "> DATA\n"
	    "< 250 2.1.0\n< 250 2.1.5\n< 550 5.1.1\n< 250 2.1.5\n"
	    "< 501 5.1.3\n< 250 2.1.5\n< 354\n"
	    "> a: b\n> \n> ...\n> text \xff\n> .\n"
	    "> MAIL FROM:<>\n> RCPT TO:<c@d.test>\n> RSET\n> DATA\n> QUIT\n"
	    "< 250 2.0.0 queued as\n"
	    "< 250 2.1.0\n< 250 2.1.5\n< 250 2.0.0\n< 503 5.5.1\n"
	    "< 221 2.0.0\n< end\n";

	(void)state;
	for (enum manner manner = LINE_BY_LINE; manner <= DRIBBLING;
	    manner++) {
		struct world *world = world_new(NULL);
		struct client client = client_local(world, 1000);
		const struct mail *mail = &world->mails[0];

		play(world, &client, script, manner);
		assert_int_equal(world->mails_n, 2);
		assert_string_equal(mail->rcpts.text,
		    "c@d.test \"q r\"@d.test admin@far.test ");
		assert_int_equal(mail->open.size_bytes, 100);
		assert_int_equal(mail->open.body, BODY_8BITMIME);
		assert_true(mail->end.eight_bit);
		assert_true(mail->taken);
		assert_string_equal(after_received(mail),
		    "a: b\r\n\r\n..\r\ntext \xff\r\n");
		WAIT_FOR(world, world->mails[1].aborted);
		client_free(&client);
		world_free(&world);
	}
}

/* ---- order of commands ---- */

struct command_row {
	const char	*line;
	/* replies in the states: greeted, with MAIL, with RCPT */
	const char	*replies[3];
};

/* After an error the state is as it was. */
static void
check_state(struct world *world, struct client *client, int at)
{
	if (at > 0)
		play(world, client, "> RCPT TO:<e@f>\n< 250 2.1.5\n",
		    LINE_BY_LINE);
	else
		play(world, client, "> RCPT TO:<e@f>\n< 503 5.5.1\n"
		    "> MAIL FROM:<e@f>\n< 250 2.1.0\n", LINE_BY_LINE);
}

static void
check_command(struct world *world, const struct command_row *row, int at)
{
	struct client client = client_new(world);

	play(world, &client, HELLO, LINE_BY_LINE);
	if (at > 0)
		play(world, &client, "> MAIL FROM:<a@b>\n< 250\n",
		    LINE_BY_LINE);
	if (at > 1)
		play(world, &client, "> RCPT TO:<c@d>\n< 250\n",
		    LINE_BY_LINE);
	client_say(&client, row->line);
	client_say(&client, "\r\n");
	client_expect(world, &client, row->replies[at]);
	if (row->replies[at][0] == '5')
		check_state(world, &client, at);
	client_free(&client);
}

static void
sequences(void **state)
{
	static const struct command_row rows[] = {
		{ "EHLO x", { "250", "250", "250" } },
		{ "HELO x", { "250", "250", "250" } },
		{ "EHLO", { "501", "501", "501" } },
		{ "EHLO a b", { "501", "501", "501" } },
		{ "HELO", { "501", "501", "501" } },
		{ "MAIL FROM:<x@y>", { "250", "503", "503" } },
		{ "MAIL FROM:<x@y> FOO=1", { "555", "555", "555" } },
		{ "MAIL FROM:<x@y> RET=HDRS ENVID=QQ+2B1",
		    { "250", "503", "503" } },
		{ "MAIL FROM:<x> RET=full", { "250", "503", "503" } },
		{ "MAIL FROM:<> ENVID=x", { "250", "503", "503" } },
		{ "MAIL FROM:<x@y> RET=x", { "501 5.5.4", "501", "501" } },
		{ "MAIL FROM:<x@y> ENVID=a=b",
		    { "501 5.5.4", "501", "501" } },
		{ "MAIL FROM:x", { "501", "501", "501" } },
		{ "MAIL FROM:<x>", { "250", "503", "503" } },
		{ "RCPT TO:<x@y>", { "503", "250", "250" } },
		{ "RCPT TO:<x@our.test>", { "503", "550", "550" } },
		{ "RCPT TO:<x@y> NOTIFY=NEVER ORCPT=rfc822;x+40y",
		    { "503", "250", "250" } },
		{ "RCPT TO:<x@y> NOTIFY=SUCCESS,DELAY",
		    { "503", "250", "250" } },
		{ "RCPT TO:<x@our.test> NOTIFY=SUCCESS",
		    { "503", "550", "550" } },
		{ "RCPT TO:<x@y> NOTIFY=NEVER,SUCCESS",
		    { "501", "501", "501 5.5.4" } },
		{ "RCPT TO:<x@y> ORCPT=;x", { "501", "501", "501 5.5.4" } },
		{ "RCPT TO:<> NOTIFY=NEVER", { "501", "501", "501" } },
		{ "RCPT TO:<>", { "501", "501", "501" } },
		{ "RCPT TO:<x@y> FOO", { "555", "555", "555" } },
		{ "DATA", { "503", "554", "354" } },
		{ "DATA x", { "501", "501", "501" } },
		{ "RSET", { "250", "250", "250" } },
		{ "RSET x", { "501", "501", "501" } },
		{ "QUIT x", { "501", "501", "501" } },
		{ "NOOP", { "250", "250", "250" } },
		{ "NOOP text", { "250", "250", "250" } },
		{ "VRFY x", { "252", "252", "252" } },
		{ "HELP", { "214", "214", "214" } },
		{ "EXPN x", { "502", "502", "502" } },
		{ "AUTH PLAIN", { "502", "502", "502" } },
		{ "STARTTLS", { "502", "502", "502" } },
		{ "BDAT 5", { "502", "502", "502" } },
		{ "FOO", { "500", "500", "500" } },
		{ "HELLO x", { "500", "500", "500" } },
		{ "", { "500", "500", "500" } },
		{ "NOOP \x01", { "501", "501", "501" } },
		{ "RCPT TO:<a\x01" "b@c>", { "501", "501", "501" } },
		{ "RCPT TO:<\xe4@b>", { "553", "553", "553" } },
		{ "MAIL FROM:<a@b> SIZE=99999999999",
		    { "552", "503", "503" } },
	};
	struct world *world = world_new(NULL);

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		for (int at = 0; at < 3; at++)
			check_command(world, &rows[i], at);
	world_free(&world);
}

static void
resets(void **state)
{
	static const char *const by[] = {
		"> RSET\n< 250\n", "> EHLO x\n< 250\n", "> HELO x\n< 250\n"
	};
	struct world *world = world_new(NULL);

	(void)state;
	for (size_t i = 0; i < COUNT(by); i++) {
		struct client client = client_new(world);

		play(world, &client, HELLO MAIL_RCPT, LINE_BY_LINE);
		play(world, &client, by[i], LINE_BY_LINE);
		play(world, &client, "> RCPT TO:<a@b>\n< 503\n"
		    "> DATA\n< 503\n> MAIL FROM:<>\n< 250\n"
		    "> RCPT TO:<x@y.test>\n< 250\n> DATA\n< 354\n"
		    "> .\n< 250 2.0.0 queued\n", LINE_BY_LINE);
		assert_string_equal(last_mail(world)->rcpts.text,
		    "x@y.test ");
		assert_string_equal(last_mail(world)->open.sender, "");
		client_free(&client);
	}
	assert_int_equal(world->mails_n, 2 * COUNT(by));
	world_free(&world);
}

/* HELO's sessions have enhanced codes too; Received says SMTP. */
static void
helo_session(void **state)
{
	struct world *world = world_new(NULL);
	struct client client = client_new(world);

	(void)state;
	play(world, &client, "< 220\n> HELO old.test\n< 250 relay.test\n"
	    MAIL_RCPT "> DATA\n< 354\n> .\n< 250 2.0.0\n> MAIL\n< 501 5.5.4\n"
	    "> QUIT\n< 221 2.0.0\n< end\n", LINE_BY_LINE);
	assert_non_null(strstr(last_mail(world)->body.text,
	    "from old.test ([127.0.0.1])\r\n\tby relay.test with SMTP id"));
	assert_string_equal(after_received(last_mail(world)), "");
	client_free(&client);
	world_free(&world);
}

static void
no_recipient(void **state)
{
	(void)state;
	play_alone(NULL, HELLO
	    "> MAIL FROM:<a@b.test>\n< 250\n"
	    "> RCPT TO:<no@our.test>\n< 550 5.1.1\n"
	    "> DATA\n< 554 5.5.1\n"
	    /* A client that sends its message all the same: nonsense. */
	    "> Subject: x\n< 500 5.5.1\n"
	    "> .\n< 500 5.5.1\n"
	    "> RCPT TO:<c@d.test>\n< 250 2.1.5\n"
	    "> QUIT\n< 221\n< end\n");
}

/* ---- relaying ---- */

static void
strangers(void **state)
{
	struct world *world = world_new("relay-from 10.0.0.0/8\n"
	    "root-mail admin@far.test\n");
	struct client client = client_new(world);

	(void)state;
	play(world, &client, HELLO
	    "> MAIL FROM:<root>\n< 501 5.1.7\n"
	    "> MAIL FROM:<a@b.test>\n< 250 2.1.0\n"
	    "> RCPT TO:<c@d.test>\n< 550 5.7.1\n"
	    "> RCPT TO:<@our.test:c@d.test>\n< 550 5.7.1\n"
	    "> RCPT TO:<c%d.test@our.test>\n< 550 5.1.1\n"
	    "> RCPT TO:<\"c@d.test\"@our.test>\n< 550 5.1.1\n"
	    "> RCPT TO:<d.test!c@our.test>\n< 550 5.1.1\n"
	    "> RCPT TO:<c@[127.0.0.1]>\n< 550 5.7.1\n"
	    "> RCPT TO:<root>\n< 501 5.1.3\n"
	    "> RCPT TO:<PostMaster>\n< 250 2.1.5\n"
	    "> RCPT TO:<Postmaster@relay.test>\n< 250 2.1.5\n",
	    LINE_BY_LINE);
	assert_string_equal(last_mail(world)->rcpts.text,
	    "admin@far.test admin@far.test ");
	WAIT_FOR(world, logged(world, "reject client=127.0.0.1 "
	    "helo=client.test from=a@b.test to=c@d.test code=550 "));
	client_free(&client);
	world_free(&world);
}

static void
bare_names(void **state)
{
	struct world *world = world_new(NULL);
	struct client client = client_new(world);

	(void)state;
	play(world, &client, HELLO
	    "> MAIL FROM:<Jo>\n< 250 2.1.0\n"
	    "> RCPT TO:<root>\n< 250 2.1.5\n"
	    "> RCPT TO:<jo>\n< 550 5.1.1\n"
	    "> RCPT TO:<User.Name@D.Test>\n< 250 2.1.5\n", LINE_BY_LINE);
	assert_string_equal(last_mail(world)->open.sender, "Jo@our.test");
	assert_string_equal(last_mail(world)->rcpts.text,
	    "admin@far.test User.Name@d.test ");
	client_free(&client);
	world_free(&world);
}

/* ---- lines ---- */

static void
fill(struct buffer *buffer, size_t len, const char *octet)
{
	while (len-- > 0)
		buffer_add(buffer, slice_of(octet));
}

static void
line_limits(void **state)
{
	static const size_t lengths[] = { 509, 510, 511, 512, 600, 5000,
	    70000, 300000 };
	struct world *world = world_new(NULL);

	(void)state;
	for (size_t i = 0; i < COUNT(lengths); i++) {
		struct client client = client_new(world);
		struct buffer line = { NULL, 0, 0 };

		play(world, &client, HELLO, LINE_BY_LINE);
		buffer_add(&line, SLICE("NOOP "));
		fill(&line, lengths[i] - 5, "x");
		buffer_add(&line, SLICE("\r\nVRFY x\r\n"));
		client_say(&client, line.text);
		client_expect(world, &client, lengths[i] <= 510 ? "250" :
		    "500 5.5.2");
		client_expect(world, &client, "252");
		buffer_free(&line);
		client_free(&client);
	}
	world_free(&world);
}

/* MAIL and RCPT may be as much longer as their parameters are. */
static void
longer_lines(void **state)
{
	static const struct {
		const char	*before, *line;
		size_t		 limit;
	} rows[] = {
		{ "", "MAIL FROM:<a@b> SIZE=1", 512 + 26 + 17 + 9 + 107 +
		    11 },
		{ "> MAIL FROM:<a@b>\n< 250\n", "RCPT TO:<c@d>",
		    512 + 29 + 507 },
	};
	struct world *world = world_new(NULL);

	(void)state;
	for (size_t i = 0; i < 22; i++) {
		struct client client = client_local(world, 0);
		struct buffer line = { NULL, 0, 0 };
		size_t length = rows[i % 2].limit - 5 + i / 2;

		play(world, &client, HELLO, LINE_BY_LINE);
		play(world, &client, rows[i % 2].before, LINE_BY_LINE);
		buffer_add(&line, slice_of(rows[i % 2].line));
		fill(&line, length - line.len - 2, " ");
		buffer_add(&line, SLICE("\r\n"));
		client_dribble(world, &client, (struct slice){ line.text,
		    line.len });
		client_expect(world, &client, length <= rows[i % 2].limit ?
		    "250" : "500 5.5.2");
		play(world, &client, "> QUIT\n< 221\n< end\n", LINE_BY_LINE);
		buffer_free(&line);
		client_free(&client);
	}
	world_free(&world);
}

/* What was asked for reaches queue as it came; what was not is not there. */
static void
dsn_requests(void **state)
{
	struct world *world = world_new(NULL);
	struct client client = client_new(world);
	const struct mail *mail;

	(void)state;
	play(world, &client, HELLO
	    "> MAIL FROM:<a@b> RET=hdrs ENVID=aB+2B1\n< 250\n"
	    "> RCPT TO:<c@d> notify=Delay,SUCCESS ORCPT=rfc822;Old+2Bx@y\n"
	    "< 250\n", LINE_BY_LINE);
	mail = last_mail(world);
	assert_int_equal(mail->open.ret, RET_HDRS);
	assert_string_equal(mail->open.envid, "aB+2B1");
	assert_int_equal(mail->rcpt.notify, NOTIFY_DELAY | NOTIFY_SUCCESS);
	assert_string_equal(mail->rcpt.orcpt, "rfc822;Old+2Bx@y");
	play(world, &client, "> RCPT TO:<e@d>\n< 250\n", LINE_BY_LINE);
	assert_int_equal(mail->rcpt.notify, 0);
	assert_string_equal(mail->rcpt.orcpt, "");
	play(world, &client, "> RSET\n< 250\n> MAIL FROM:<a@b>\n< 250\n"
	    "> RCPT TO:<c@d> NOTIFY=NEVER\n< 250\n", LINE_BY_LINE);
	mail = last_mail(world);
	assert_int_equal(mail->open.ret, RET_NONE);
	assert_string_equal(mail->open.envid, "");
	assert_int_equal(mail->rcpt.notify, NOTIFY_NEVER);
	client_free(&client);
	world_free(&world);
}

/* ---- RFC 8689 ---- */

static void
requiretls_on_submit_socket(void **state)
{
	struct world *world = world_new(NULL);
	struct client client = client_local(world, 1000);
	char *reply;

	(void)state;
	client_expect(world, &client, "220");
	client_say(&client, "EHLO client.test\r\n");
	reply = client_hear(world, &client);
	assert_non_null(strstr(reply, "250 REQUIRETLS\r\n"));
	free(reply);
	play(world, &client,
	    "> MAIL FROM:<a@b> REQUIRETLS=1\n< 501 5.5.4\n"
	    "> MAIL FROM:<a@b> REQUIRETLS REQUIRETLS\n< 501 5.5.4\n"
	    "> MAIL FROM:<a@b> SIZE=1 requiretls\n< 250\n", LINE_BY_LINE);
	WAIT_FOR(world, world->mails_n == 1);
	assert_int_equal(last_mail(world)->open.class, CLASS_REQUIRETLS);
	play(world, &client, "> RSET\n< 250\n> MAIL FROM:<a@b>\n< 250\n"
	    "> RCPT TO:<c@d> REQUIRETLS\n< 555 5.5.4\n", LINE_BY_LINE);
	WAIT_FOR(world, world->mails_n == 2);
	assert_int_equal(last_mail(world)->open.class, CLASS_MAIL);
	client_free(&client);
	world_free(&world);
}

/* A listener without TLS does not know it. */
static void
requiretls_on_listener(void **state)
{
	struct world *world = world_new(NULL);
	struct client client = client_new(world);
	char *reply;

	(void)state;
	client_expect(world, &client, "220");
	client_say(&client, "EHLO client.test\r\n");
	reply = client_hear(world, &client);
	assert_null(strstr(reply, "REQUIRETLS"));
	free(reply);
	play(world, &client,
	    "> MAIL FROM:<a@b> REQUIRETLS\n< 555 5.5.4\n"
	    "> MAIL FROM:<a@b> REQUIRETLS=1\n< 555 5.5.4\n"
	    "> QUIT\n< 221\n< end\n", LINE_BY_LINE);
	assert_int_equal(world->mails_n, 0);
	client_free(&client);
	world_free(&world);
}

/* What cannot be kept is not offered. */
static void
requiretls_without_policies(void **state)
{
	static const struct {
		const char	*settings, *reply;
	} rows[] = {
		{ "mta-sts off\ndane off\n", "> MAIL FROM:<a@b> REQUIRETLS\n"
		  "< 555 5.5.4\n" },
		{ "mta-sts off\n", "> MAIL FROM:<a@b> REQUIRETLS\n< 250\n" },
		{ "dane off\n", "> MAIL FROM:<a@b> REQUIRETLS\n< 250\n" },
		{ "mta-sts off\ndane off\nrelayhost smtps://x.test\n",
		  "> MAIL FROM:<a@b> REQUIRETLS\n< 250\n" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct world *world = world_new(rows[i].settings);
		struct client client = client_local(world, 1000);

		play(world, &client, HELLO, LINE_BY_LINE);
		play(world, &client, rows[i].reply, LINE_BY_LINE);
		client_free(&client);
		world_free(&world);
	}
}

/*
 * The header is seen in small and in large messages, from both kinds of
 * clients, in whatever pieces it comes; REQUIRETLS outranks it.
 */
static void
tls_required_no(void **state)
{
	static const struct {
		const char	*parameter, *header;
		bool		 optional;
	} rows[] = {
		{ "", "TLS-Required: No\n", true },
		{ "", "a: b\n> tls-required: no\n> c: d\n", true },
		{ "", "TLS-Required: Nope\n", false },
		{ "", "TLS-Required: No\n> TLS-Required: No\n", false },
		{ "", "a: b\n> \n> TLS-Required: No\n", false },
		{ " REQUIRETLS", "TLS-Required: No\n", false },
		{ " SIZE=1000000", "TLS-Required: No\n", true },
		{ " SIZE=1000000 REQUIRETLS", "TLS-Required: No\n", false },
	};
	struct world *world = world_new(NULL);
	char script[512];

	(void)state;
	for (size_t i = 0; i < 3 * COUNT(rows); i++) {
		size_t row = i / 3;
		bool local = strstr(rows[row].parameter, "REQ") != NULL ||
		    i % 2 == 0;
		struct client client = local ? client_local(world, 1000) :
		    client_new(world);

		snprintf(script, sizeof(script), HELLO
		    "> MAIL FROM:<a@b>%s\n< 250\n> RCPT TO:<c@d>\n< 250\n"
		    "> DATA\n< 354\n> %s> \n> text\n> .\n< 250\n",
		    rows[row].parameter, rows[row].header);
		play(world, &client, script, (enum manner)(i % 3));
		if (last_mail(world)->end.tls_optional != rows[row].optional)
			fail_msg("%s, %s: %d", rows[row].parameter,
			    rows[row].header, !rows[row].optional);
		client_free(&client);
	}
	assert_non_null(strstr(world->log.text,
	    "has 2 fields TLS-Required: none of them counts"));
	world_free(&world);
}

/* An LF or a CR of its own ends no command. */
static void
bare_line_ends(void **state)
{
	static const struct {
		struct slice	 line;
		const char	*reply;
	} rows[] = {
		{ SLICE("NOOP\nNOOP\r\n"), "500" },
		{ SLICE("NOOP x\nNOOP\r\n"), "501" },
		{ SLICE("NOOP x\rNOOP\r\n"), "501" },
		{ SLICE("NOOP x\r\r\n"), "501" },
		{ SLICE("NOOP x\n\r\n"), "501" },
		{ SLICE("\nNOOP\r\n"), "500" },
		{ SLICE("\r\r\n"), "500" },
		{ SLICE("MAIL FROM:<a@b>\nRCPT TO:<c@d>\r\n"), "501" },
		{ SLICE("EHLO a\nMAIL FROM:<a@b>\r\n"), "501" },
		{ SLICE("RSET\r\0\n\r\n"), "500" },
		{ SLICE("RSET \0\r\n"), "501" },
	};
	struct world *world = world_new(NULL);

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct client client = client_new(world);

		play(world, &client, HELLO, LINE_BY_LINE);
		client_send(&client, rows[i].line);
		client_say(&client, "VRFY x\r\n");
		client_expect(world, &client, rows[i].reply);
		client_expect(world, &client, "252");
		client_free(&client);
	}
	assert_int_equal(world->mails_n, 0);
	world_free(&world);
}

static void
too_many_errors(void **state)
{
	struct world *world = world_new(NULL);
	struct client client = client_new(world);

	(void)state;
	play(world, &client, HELLO, LINE_BY_LINE);
	for (int i = 0; i < 19; i++)
		play(world, &client, "> FOO\n< 500\n", LINE_BY_LINE);
	play(world, &client, "> NOOP\n< 250\n> FOO\n< 500\n< 421 4.7.0\n"
	    "< end\n", LINE_BY_LINE);
	client_free(&client);
	world_free(&world);
}

/* Refused recipients are no nonsense: a list may hold many. */
static void
refused_recipients_are_no_errors(void **state)
{
	struct world *world = world_new(NULL);
	struct client client = client_new(world);

	(void)state;
	play(world, &client, HELLO "> MAIL FROM:<>\n< 250\n", LINE_BY_LINE);
	for (int i = 0; i < 50; i++)
		play(world, &client, "> RCPT TO:<no@our.test>\n< 550\n",
		    LINE_BY_LINE);
	play(world, &client, "> RCPT TO:<a@d.test>\n< 250\n", LINE_BY_LINE);
	client_free(&client);
	world_free(&world);
}

/* ---- recipients ---- */

static void
many_recipients(void **state)
{
	struct world *world = world_new(NULL);
	struct client client = client_new(world);
	struct buffer burst = { NULL, 0, 0 };

	(void)state;
	play(world, &client, HELLO, LINE_BY_LINE);
	buffer_add(&burst, SLICE("MAIL FROM:<a@b.test>\r\n"));
	for (int i = 0; i < 1003; i++)
		buffer_printf(&burst, "RCPT TO:<r%d@d.test>\r\n", i);
	buffer_add(&burst, SLICE("DATA\r\n"));
	client_say(&client, burst.text);
	buffer_free(&burst);
	client_expect(world, &client, "250 2.1.0");
	for (int i = 0; i < 1003; i++)
		client_expect(world, &client, i < 1000 ? "250 2.1.5" :
		    "452 4.5.3");
	play(world, &client, "< 354\n> .\n< 250\n", LINE_BY_LINE);
	assert_int_equal(last_mail(world)->rcpts_n, 1000);
	client_free(&client);
	world_free(&world);
}

/* max-recipients counts those that were taken. */
static void
recipient_limit(void **state)
{
	struct world *world = world_new("max-recipients 100\n");
	struct client client = client_new(world);

	(void)state;
	world->refuse_rcpt = "full@d.test";
	play(world, &client, HELLO "> MAIL FROM:<>\n< 250\n", LINE_BY_LINE);
	for (int i = 0; i < 99; i++)
		play(world, &client, "> RCPT TO:<a@d.test>\n< 250\n"
		    "> RCPT TO:<no@our.test>\n< 550\n", LINE_BY_LINE);
	play(world, &client, "> RCPT TO:<full@d.test>\n< 452 4.3.1\n"
	    "> RCPT TO:<a@d.test>\n< 250\n"
	    "> RCPT TO:<a@d.test>\n< 452 4.5.3\n"
	    "> DATA\n< 354\n> .\n< 250\n", LINE_BY_LINE);
	client_free(&client);
	world_free(&world);
}

/*
 * Queue is asked for 354 before its answers to the RCPTs of a group are
 * there; what is said to the client does not show it.
 */
static void
data_ahead(void **state)
{
	struct world *world = world_new(NULL);
	struct client client = client_new(world);

	(void)state;
	world->refuse_rcpt = "full@d.test";
	play(world, &client, HELLO
	    /* none is taken: the transaction goes on */
	    "> MAIL FROM:<a@b.test>\n> RCPT TO:<full@d.test>\n> DATA\n"
	    "> RCPT TO:<full@d.test>\n> DATA\n> RCPT TO:<c@d.test>\n"
	    "> DATA\n"
	    "< 250\n< 452 4.3.1\n< 554 5.5.1\n< 452 4.3.1\n"
	    "< 554 5.5.1\n< 250\n< 354\n"
	    "> a: b\n> .\n< 250 2.0.0\n"
	    /* no command DATA */
	    "> MAIL FROM:<a@b.test>\n> RCPT TO:<c@d.test>\n> DATA now\n"
	    "> RCPT TO:<e@d.test>\n> DATA\n"
	    "< 250\n< 250\n< 501\n< 250\n< 354\n> .\n< 250 2.0.0\n",
	    IN_BURSTS);
	assert_string_equal(last_mail(world)->rcpts.text,
	    "c@d.test e@d.test ");
	/* asked for, and gone before the answers */
	world->hold_rcpts = true;
	client_say(&client, GROUP "DATA\r\n");
	WAIT_FOR(world, world->mails_n == 3 && last_mail(world)->data);
	client_free(&client);
	queue_answer_rcpt(world, last_mail(world)->open.id, 0, 250, "2.1.5 ok");
	WAIT_FOR(world, last_mail(world)->aborted);
	/* asked for, refused: RCPT and DATA hear it */
	client = client_new(world);
	play(world, &client, HELLO, LINE_BY_LINE);
	client_say(&client, GROUP "DATA\r\n");
	WAIT_FOR(world, world->mails_n == 4 && last_mail(world)->data);
	queue_refuse(world, last_mail(world), 452, "4.3.1 no space");
	client_expect(world, &client, "250 2.1.0");
	client_expect(world, &client, "452 4.3.1");
	client_expect(world, &client, "452 4.3.1");
	client_free(&client);
	world_free(&world);
}

/* Replies keep the order of RCPTs, whatever order queue answers in. */
static void
answers_out_of_order(void **state)
{
	struct world *world = world_new(NULL);
	struct client client = client_new(world);
	uint64_t id;

	(void)state;
	world->hold_rcpts = true;
	play(world, &client, HELLO, LINE_BY_LINE);
	client_say(&client, "MAIL FROM:<a@b.test>\r\n"
	    "RCPT TO:<r0@d.test>\r\nRCPT TO:<no@our.test>\r\n"
	    "RCPT TO:<r1@d.test>\r\nRCPT TO:<r2@d.test>\r\n"
	    "RCPT TO:nonsense\r\nNOOP\r\n");
	WAIT_FOR(world, world->rcpts_seen == 3);
	id = last_mail(world)->open.id;
	queue_answer_rcpt(world, id, 2, 250, "2.1.5 two");
	queue_answer_rcpt(world, id, 1, 452, "4.3.1 one");
	client_expect_silence(world, &client);
	queue_answer_rcpt(world, id, 0, 250, "2.1.5 zero");
	play(world, &client, "< 250 2.1.0\n< 250 2.1.5 zero\n< 550 5.1.1\n"
	    "< 452 4.3.1 one\n< 250 2.1.5 two\n< 501 5.1.3\n< 250 2.0.0\n"
	    "> DATA\n< 354\n> .\n< 250 2.0.0\n", LINE_BY_LINE);
	client_free(&client);
	world_free(&world);
}

/* ---- the message ---- */

static void
smuggling(void **state)
{
	static const struct slice sequences_[] = {
		SLICE("\n.\n"), SLICE("\r.\r"), SLICE("\n.\r\n"),
		SLICE("\r\n.\n"), SLICE("\r.\r\n"), SLICE("\r\n.\r"),
		SLICE("\n\n.\n\n"), SLICE("\r\r.\r\r"), SLICE("\n\r.\n\r"),
		SLICE("\r\n\0.\r\n"), SLICE("\0\r\n..\r\n"),
		SLICE("\r\n.\0\r\n"), SLICE("\r\0\n.\r\n"),
		SLICE("\r\r\n..\r\n"), SLICE("\n..\r\n"), SLICE("\n"),
		SLICE("\r"), SLICE("\0"), SLICE("\r\n.\r\r\n"),
		SLICE("\r\n\r.\r\n"), SLICE("\r\n\n.\r\n"),
	};
	struct world *world = world_new(NULL);

	(void)state;
	for (size_t i = 0; i < 2 * COUNT(sequences_); i++) {
		struct client client = client_local(world, 0);
		struct buffer all = { NULL, 0, 0 };

		play(world, &client, HELLO MAIL_RCPT "> DATA\n< 354\n",
		    LINE_BY_LINE);
		buffer_add(&all, SLICE("Subject: x\r\n\r\none"));
		buffer_add(&all, sequences_[i / 2]);
		buffer_add(&all, SLICE("MAIL FROM:<evil@b.test>\r\n"
		    "RCPT TO:<victim@d.test>\r\nDATA\r\nsmuggled\r\n"
		    ".\r\nNOOP\r\nVRFY x\r\n"));
		speak(world, &client, (struct slice){ all.text, all.len },
		    i % 2 ? DRIBBLING : IN_BURSTS);
		play(world, &client, "< 550 5.5.2\n< 250 2.0.0\n< 252\n"
		    "> QUIT\n< 221\n< end\n", LINE_BY_LINE);
		assert_true(last_mail(world)->aborted);
		assert_false(last_mail(world)->ended);
		buffer_free(&all);
		client_free(&client);
	}
	assert_int_equal(world->mails_n, 2 * COUNT(sequences_));
	world_free(&world);
}

/* As a client sends it: dots stuffed, and the final one. */
static void
send_message(struct client *client, const char *message)
{
	struct buffer stuffed = { NULL, 0, 0 };
	const char *at, *end;

	for (at = message; *at != '\0'; at = end) {
		end = strstr(at, "\r\n") + 2;
		if (*at == '.')
			buffer_add(&stuffed, SLICE("."));
		buffer_add(&stuffed, (struct slice){ at,
		    (size_t)(end - at) });
	}
	buffer_add(&stuffed, SLICE(".\r\n"));
	client_say(client, stuffed.text);
	buffer_free(&stuffed);
}

/* Messages of odd content arrive octet for octet. */
static void
content(void **state)
{
	static const char *const messages[] = {
		"", "\r\n", "a\r\n", "\r\n\r\n\r\n",
		"no header at all\r\n",
		": empty name\r\n\r\nx\r\n", "X\r\nY: z\r\n\r\n",
		" begins with a blank\r\n\r\n",
		"To: victim@d.test\r\nBcc: secret@d.test\r\n\r\nx\r\n",
		"Resent-To: a@b\r\nResent-From: c@d\r\nResent-To: e@f\r\n\r\n",
		"Return-Path: <x@y>\r\nDate: nonsense\r\n\r\n",
		"Subject: J\xf6rg\r\n\r\n\xff\xfe\x80\x01\x7f\r\n",
		"From: a\r\nfrom: b\r\nFROM: c\r\n\r\n",
		"Received: from a by b\r\nX: y\r\nReceived: from c by d\r\n"
		    "Received: e\r\nReceived: f\r\nReceived: g\r\n\r\nx\r\n",
		"MIME-Version: 9\r\nContent-Type: multipart/\r\n\r\n--x\r\n",
		"..\r\n...\r\n.x\r\n",
		"QUIT\r\nMAIL FROM:<x@y>\r\n",
	};
	struct world *world = world_new(NULL);
	struct client client = client_new(world);

	(void)state;
	play(world, &client, HELLO, LINE_BY_LINE);
	for (size_t i = 0; i < COUNT(messages); i++) {
		play(world, &client, "> MAIL FROM:<a@b.test>\n< 250\n"
		    "> RCPT TO:<c@d.test>\n< 250\n> RCPT TO:<e@d.test>\n"
		    "< 250\n> DATA\n< 354\n", LINE_BY_LINE);
		send_message(&client, messages[i]);
		client_expect(world, &client, "250 2.0.0");
		assert_string_equal(after_received(last_mail(world)),
		    messages[i]);
		assert_string_equal(last_mail(world)->rcpts.text,
		    "c@d.test e@d.test ");
		/* No for clause, no copy of who gets it. */
		assert_null(strstr(last_mail(world)->body.text, "e@d.test"));
	}
	client_free(&client);
	world_free(&world);
}

/* Random octets without CR, LF and NUL, in lines of random length. */
static void
random_lines(struct buffer *out, size_t len)
{
	static char line[4096];

	while (len > 0) {
		size_t n = (size_t)rand() % sizeof(line);

		if (n > len)
			n = len;
		for (size_t i = 0; i < n; i++)
			do
				line[i] = (char)(rand() % 256);
			while (strchr("\r\n", line[i]) != NULL);
		if (n > 0 && line[0] == '.')
			line[0] = 'x';
		buffer_add(out, (struct slice){ line, n });
		buffer_add(out, SLICE("\r\n"));
		len -= n;
	}
}

/* Send what the connection takes until it takes nothing; the rest. */
static struct slice
send_until_stuck(struct world *world, struct client *client,
    struct slice rest)
{
	ssize_t n;

	for (int stuck = 0; rest.len > 0 && stuck < 100; ) {
		n = send(client->fd, rest.at, rest.len, MSG_DONTWAIT);
		pump(world, -1, n > 0 ? 0 : 1);
		stuck = n > 0 ? 0 : stuck + 1;
		if (n > 0)
			rest = (struct slice){ rest.at + n,
			    rest.len - (size_t)n };
	}
	return rest;
}

/* A queue that does not read stops the client, not the program. */
static void
back_pressure(void **state)
{
	struct world *world = world_new(NULL);
	struct client slow = client_new(world), quick = client_new(world);
	struct buffer body = { NULL, 0, 0 };
	struct slice rest;
	const char *got;

	(void)state;
	srand(4);
	random_lines(&body, 8 << 20);
	play(world, &slow, HELLO MAIL_RCPT "> DATA\n< 354\n", LINE_BY_LINE);
	world->hold_bodies = true;
	rest = send_until_stuck(world, &slow, (struct slice){ body.text,
	    body.len });
	assert_true(rest.len > 0);
	play(world, &quick, HELLO "> NOOP\n< 250\n", LINE_BY_LINE);
	world->hold_bodies = false;
	rest = send_until_stuck(world, &slow, rest);
	assert_int_equal(rest.len, 0);
	client_say(&slow, ".\r\n");
	client_expect(world, &slow, "250 2.0.0");
	got = after_received(last_mail(world));
	assert_int_equal(last_mail(world)->body.len -
	    (size_t)(got - last_mail(world)->body.text), body.len);
	assert_memory_equal(got, body.text, body.len);
	assert_true(last_mail(world)->end.eight_bit);
	buffer_free(&body);
	client_free(&slow);
	client_free(&quick);
	world_free(&world);
}

/* Up to SMALL_BODY_MAX a message goes without a pipe. */
static void
small_and_large(void **state)
{
	static const size_t sizes[] = { 0, 1, 1000, 40000, 49000, 49152,
	    49153, 70000, 140000 };
	struct world *world = world_new(NULL);
	struct client client = client_new(world);

	(void)state;
	play(world, &client, HELLO, LINE_BY_LINE);
	for (size_t i = 0; i < 2 * COUNT(sizes); i++) {
		size_t size = sizes[i / 2];
		struct buffer body = { NULL, 0, 0 };
		const char *got;

		random_lines(&body, size);
		client_say(&client, i % 2 == 0 || size < 49153 ?
		    "MAIL FROM:<a@b.test>\r\n" :
		    "MAIL FROM:<a@b.test> SIZE=140000\r\n");
		play(world, &client, "< 250\n> RCPT TO:<c@d.test>\n< 250\n"
		    "> DATA\n< 354\n", LINE_BY_LINE);
		if (body.len > 0)
			client_send(&client, (struct slice){ body.text,
			    body.len });
		client_say(&client, ".\r\n");
		client_expect(world, &client, "250 2.0.0");
		got = after_received(last_mail(world));
		assert_int_equal(last_mail(world)->body.len -
		    (size_t)(got - last_mail(world)->body.text), body.len);
		if (body.len > 0)
			assert_memory_equal(got, body.text, body.len);
		assert_int_equal(last_mail(world)->piped,
		    last_mail(world)->body.len > SMALL_BODY_MAX);
		buffer_free(&body);
	}
	client_free(&client);
	world_free(&world);
}

/* The message is whole while the pipe is still full. */
static void
end_behind_full_pipe(void **state)
{
	struct world *world = world_new(NULL);
	struct client client = client_new(world);
	struct buffer body = { NULL, 0, 0 };

	(void)state;
	random_lines(&body, 100000);
	play(world, &client, HELLO MAIL_RCPT "> DATA\n< 354\n", LINE_BY_LINE);
	world->hold_bodies = true;
	client_send(&client, (struct slice){ body.text, body.len });
	client_say(&client, ".\r\nNOOP\r\n");
	client_expect_silence(world, &client);
	assert_false(last_mail(world)->ended);
	world->hold_bodies = false;
	play(world, &client, "< 250 2.0.0 queued\n< 250 2.0.0 ok\n",
	    LINE_BY_LINE);
	buffer_free(&body);
	client_free(&client);
	world_free(&world);
}

static void
send_sized(struct world *world, struct client *client, size_t len,
    const char *reply)
{
	struct buffer body = { NULL, 0, 0 };

	play(world, client, "> MAIL FROM:<a@b.test> SIZE=10\n< 250\n"
	    "> RCPT TO:<c@d.test>\n< 250\n> DATA\n< 354\n", LINE_BY_LINE);
	while (body.len + 102 <= len)
		buffer_printf(&body, "%098d\r\n", 1);
	fill(&body, len - body.len - 2, "x");
	buffer_add(&body, SLICE("\r\n.\r\n"));
	client_say(client, body.text);
	client_expect(world, client, reply);
	buffer_free(&body);
}

static void
size_limits(void **state)
{
	struct world *world = world_new("max-message-size 100K\n");
	struct client client = client_new(world);

	(void)state;
	play(world, &client, HELLO
	    "> MAIL FROM:<a@b> SIZE=102401\n< 552 5.3.4\n"
	    "> MAIL FROM:<a@b> SIZE=18446744073709551616\n< 552 5.3.4\n"
	    "> MAIL FROM:<a@b> SIZE=102400\n< 250\n> RSET\n< 250\n",
	    LINE_BY_LINE);
	send_sized(world, &client, 102400, "250 2.0.0");
	assert_int_equal(strlen(after_received(last_mail(world))), 102400);
	send_sized(world, &client, 102401, "552 5.3.4");
	WAIT_FOR(world, last_mail(world)->aborted);
	send_sized(world, &client, 1000000, "552 5.3.4");
	send_sized(world, &client, 1000, "250 2.0.0");
	client_free(&client);
	world_free(&world);
}

static void
received_loop(void **state)
{
	struct world *world = world_new(NULL);
	struct client client = client_new(world);

	(void)state;
	play(world, &client, HELLO, LINE_BY_LINE);
	for (int n = 99; n <= 101; n++) {
		play(world, &client, MAIL_RCPT "> DATA\n< 354\n",
		    LINE_BY_LINE);
		for (int i = 0; i < n; i++)
			client_say(&client, "Received: from a\r\n\tby b\r\n");
		client_say(&client, "\r\n.\r\n");
		client_expect(world, &client, n <= 100 ? "250 2.0.0" :
		    "554 5.4.6");
	}
	client_free(&client);
	world_free(&world);
}

static void
long_lines(void **state)
{
	static const size_t lengths[] = { 998, 2500, 65536, 65537, 1 << 20 };
	struct world *world = world_new(NULL);
	struct client client = client_new(world);

	(void)state;
	play(world, &client, HELLO, LINE_BY_LINE);
	for (size_t i = 0; i < COUNT(lengths); i++) {
		struct buffer body = { NULL, 0, 0 };

		play(world, &client, MAIL_RCPT "> DATA\n< 354\n",
		    LINE_BY_LINE);
		fill(&body, lengths[i], "y");
		buffer_add(&body, SLICE("\r\n"));
		send_message(&client, body.text);
		client_expect(world, &client, lengths[i] <= 65536 ?
		    "250 2.0.0" : "550 5.6.0");
		if (lengths[i] <= 65536)
			assert_string_equal(
			    after_received(last_mail(world)), body.text);
		buffer_free(&body);
	}
	client_free(&client);
	world_free(&world);
}

/* ---- what queue says ---- */

static void
queue_refuses_early(void **state)
{
	struct world *world = world_new(NULL);
	struct client client = client_new(world);

	(void)state;
	play(world, &client, HELLO, LINE_BY_LINE);
	/* after MAIL: what follows hears it */
	play(world, &client, "> MAIL FROM:<a@b.test>\n< 250\n", LINE_BY_LINE);
	WAIT_FOR(world, world->mails_n == 1);
	queue_refuse(world, last_mail(world), 452, "4.3.1 no space");
	pump_idle(world, 50);
	play(world, &client, "> RCPT TO:<c@d.test>\n< 452 4.3.1\n"
	    "> DATA\n< 452 4.3.1\n", LINE_BY_LINE);
	/* with RCPTs under way */
	world->hold_rcpts = true;
	client_say(&client, "MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\n"
	    "RCPT TO:<e@d.test>\r\nDATA\r\n");
	WAIT_FOR(world, world->rcpts_seen == 2);
	queue_refuse(world, last_mail(world), 452, "4.3.1 no space");
	play(world, &client, "< 250 2.1.0\n< 452 4.3.1\n< 452 4.3.1\n"
	    "< 452 4.3.1\n", LINE_BY_LINE);
	world->hold_rcpts = false;
	/* instead of 354 */
	world->hold_go = true;
	play(world, &client, MAIL_RCPT "> DATA\n", LINE_BY_LINE);
	WAIT_FOR(world, last_mail(world)->data);
	queue_refuse(world, last_mail(world), 452, "4.3.1 no space");
	client_expect(world, &client, "452 4.3.1");
	world->hold_go = false;
	play(world, &client, MAIL_RCPT "> DATA\n< 354\n> .\n< 250 2.0.0\n",
	    LINE_BY_LINE);
	WAIT_FOR(world, logged(world, "code=452 reply=\"4.3.1 no space\""));
	client_free(&client);
	world_free(&world);
}

static void
queue_refuses_late(void **state)
{
	struct world *world = world_new(NULL);
	struct client client = client_new(world);

	(void)state;
	/* inside the message: said at its end */
	play(world, &client, HELLO MAIL_RCPT "> DATA\n< 354\n> a: b\n> \n",
	    LINE_BY_LINE);
	queue_refuse(world, last_mail(world), 452, "4.3.1 no space");
	close(last_mail(world)->pipe);
	last_mail(world)->pipe = -1;
	pump_idle(world, 50);
	play(world, &client, "> QUIT\n> .\n< 452 4.3.1\n", LINE_BY_LINE);
	/* instead of taking it */
	world->hold_taken = true;
	play(world, &client, MAIL_RCPT "> DATA\n< 354\n> a: b\n> .\n",
	    LINE_BY_LINE);
	WAIT_FOR(world, last_mail(world)->ended);
	client_expect_silence(world, &client);
	queue_refuse(world, last_mail(world), 451, "4.3.0 try again");
	client_expect(world, &client, "451 4.3.0");
	world->hold_taken = false;
	play(world, &client, MAIL_RCPT "> DATA\n< 354\n> .\n< 250 2.0.0\n"
	    "> QUIT\n< 221\n< end\n", LINE_BY_LINE);
	client_free(&client);
	world_free(&world);
}

/*
 * A pipe that queue closed before its refusal arrives: the message is read to
 * its end, and the refusal is what the client hears.
 */
static void
pipe_breaks(void **state)
{
	struct world *world = world_new(NULL);
	struct client client = client_new(world);
	struct buffer body = { NULL, 0, 0 };

	(void)state;
	random_lines(&body, 300000);
	play(world, &client, HELLO MAIL_RCPT "> DATA\n< 354\n", LINE_BY_LINE);
	close(last_mail(world)->pipe);
	last_mail(world)->pipe = -1;
	world->hold_taken = true;
	client_send(&client, (struct slice){ body.text, body.len });
	client_say(&client, ".\r\n");
	WAIT_FOR(world, last_mail(world)->ended);
	queue_refuse(world, last_mail(world), 452, "4.3.1 no space");
	client_expect(world, &client, "452 4.3.1");
	buffer_free(&body);
	client_free(&client);
	world_free(&world);
}

static void
queue_dies(void **state)
{
	struct world *world = world_new(NULL);
	struct client idle = client_new(world), mail = client_new(world),
	    rcpt = client_new(world), go = client_new(world),
	    data = client_new(world), taken = client_new(world);
	struct client *const all[] = { &idle, &mail, &rcpt, &go, &data,
	    &taken };

	(void)state;
	for (size_t i = 0; i < COUNT(all); i++)
		play(world, all[i], HELLO, LINE_BY_LINE);
	play(world, &mail, "> MAIL FROM:<>\n< 250\n", LINE_BY_LINE);
	play(world, &data, MAIL_RCPT "> DATA\n< 354\n> a: b\n",
	    LINE_BY_LINE);
	world->hold_taken = true;
	play(world, &taken, MAIL_RCPT "> DATA\n< 354\n> .\n", LINE_BY_LINE);
	WAIT_FOR(world, last_mail(world)->ended);
	world->hold_go = true;
	play(world, &go, MAIL_RCPT "> DATA\n", LINE_BY_LINE);
	WAIT_FOR(world, last_mail(world)->data);
	world->hold_rcpts = true;
	client_say(&rcpt, "MAIL FROM:<>\r\nRCPT TO:<c@d.test>\r\n");
	client_expect(world, &rcpt, "250 2.1.0");
	WAIT_FOR(world, last_mail(world)->rcpts_n == 1);

	kill_queue(world);
	/* The queue may live: only the parent can make another link. */
	WAIT_FOR(world, world->queues_needed == 1);
	client_expect(world, &rcpt, "451 4.3.0");
	client_expect(world, &go, "451 4.3.0");
	client_expect(world, &taken, "451 4.3.0");
	play(world, &data, "> more\n> .\n< 451 4.3.0\n", LINE_BY_LINE);
	play(world, &mail, "> RCPT TO:<c@d.test>\n< 451 4.3.0\n"
	    "> DATA\n< 451 4.3.0\n", LINE_BY_LINE);
	play(world, &idle, "> MAIL FROM:<>\n< 451 4.3.0\n> NOOP\n< 250\n",
	    LINE_BY_LINE);

	world->hold_taken = world->hold_go = world->hold_rcpts = false;
	link_queue(world);
	pump_idle(world, 50);
	for (size_t i = 0; i < COUNT(all); i++) {
		play(world, all[i], "> RSET\n< 250\n" MAIL_RCPT
		    "> DATA\n< 354\n> .\n< 250 2.0.0\n> QUIT\n< 221\n"
		    "< end\n", LINE_BY_LINE);
		client_free(all[i]);
	}
	world_free(&world);
}

/* A fresh link while the old one still stands is the same. */
static void
queue_replaced(void **state)
{
	struct world *world = world_new(NULL);
	struct client client = client_new(world);
	int old;

	(void)state;
	play(world, &client, HELLO MAIL_RCPT, LINE_BY_LINE);
	old = world->queue.fd;
	wire_port_close(&world->queue);
	link_queue(world);
	pump_idle(world, 50);
	play(world, &client, "> RCPT TO:<e@d.test>\n< 451 4.3.0\n"
	    "> DATA\n< 451\n" MAIL_RCPT "> DATA\n< 354\n> .\n< 250\n",
	    LINE_BY_LINE);
	close(old);
	client_free(&client);
	world_free(&world);
}

/* ---- clients that go ---- */

static void
client_goes(void **state)
{
	static const char *const until[] = {
		"> MAIL FROM:<a@b.test>\n< 250\n",
		MAIL_RCPT,
		MAIL_RCPT "> DATA\n< 354\n",
		MAIL_RCPT "> DATA\n< 354\n> a: b\n> \n> text\n",
		MAIL_RCPT "> QUIT\n< 221\n< end\n",
		MAIL_RCPT "> DATA\n< 354\n> a: b\n> ..\n",
	};
	struct world *world = world_new(NULL);

	(void)state;
	for (size_t i = 0; i < COUNT(until); i++) {
		struct client client = client_new(world);

		play(world, &client, HELLO, LINE_BY_LINE);
		play(world, &client, until[i], LINE_BY_LINE);
		client_free(&client);
		WAIT_FOR(world, world->mails_n == i + 1 &&
		    last_mail(world)->aborted);
		assert_false(last_mail(world)->ended);
	}
	world_free(&world);
}

/* What was whole before the connection broke stands. */
static void
client_goes_behind_the_dot(void **state)
{
	struct world *world = world_new(NULL);
	struct client client = client_new(world);

	(void)state;
	world->hold_taken = true;
	play(world, &client, HELLO MAIL_RCPT "> DATA\n< 354\n> .\n",
	    LINE_BY_LINE);
	WAIT_FOR(world, last_mail(world)->ended);
	client_free(&client);
	pump_idle(world, 50);
	assert_false(last_mail(world)->aborted);
	queue_take(world, last_mail(world));
	pump_idle(world, 50);
	assert_false(last_mail(world)->aborted);
	world_free(&world);
}

/* A client that sends much and reads nothing holds itself up alone. */
static void
client_does_not_read(void **state)
{
	struct world *world = world_new(NULL);
	struct client deaf = client_new(world), good = client_new(world);
	struct buffer noops = { NULL, 0, 0 };
	struct slice rest;
	size_t sent;

	(void)state;
	while (noops.len < 6 * 4000000)
		buffer_add(&noops, SLICE("NOOP\r\n"));
	client_expect(world, &deaf, "220");
	rest = send_until_stuck(world, &deaf, (struct slice){ noops.text,
	    noops.len });
	assert_true(rest.len > 0);
	sent = noops.len - rest.len;
	play(world, &good, HELLO "> NOOP\n< 250\n", LINE_BY_LINE);
	for (size_t i = 0; i < sent / 6; i++)
		client_expect(world, &deaf, "250 2.0.0");
	client_expect_silence(world, &deaf);
	buffer_free(&noops);
	client_free(&deaf);
	client_free(&good);
	world_free(&world);
}

/* Who speaks before the greeting is served in his turn. */
static void
early_talker(void **state)
{
	struct world *world = world_new(NULL);
	struct client client = client_new(world);

	(void)state;
	client_say(&client, "EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"
	    "NOOP\r\n");
	play(world, &client, "< 220\n< 250-relay\n< 250 2.1.0\n< 250 2.1.5\n"
	    "< 250 2.0.0\n", LINE_BY_LINE);
	client_free(&client);
	world_free(&world);
}

/* Each group's replies come without waiting for the next. */
static void
replies_are_not_held_back(void **state)
{
	struct world *world = world_new(NULL);
	struct client client = client_new(world);

	(void)state;
	play(world, &client, HELLO, LINE_BY_LINE);
	client_say(&client, "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCP");
	play(world, &client, "< 250 2.1.0\n< 250 2.1.5\n", LINE_BY_LINE);
	client_say(&client, "T TO:<e@f>\r\nDATA\r\n");
	play(world, &client, "< 250 2.1.5\n< 354\n", LINE_BY_LINE);
	client_free(&client);
	world_free(&world);
}

/*
 * Replies of a group may wait for queue while more of the group is here, but
 * NOOP's may not, nor the group's when nothing more is here.
 */
static void
replies_wait_for_their_group_alone(void **state)
{
	struct world *world = world_new(NULL);
	struct client client = client_new(world);

	(void)state;
	world->hold_rcpts = true;
	play(world, &client, HELLO, LINE_BY_LINE);
	client_say(&client, "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n");
	client_expect(world, &client, "250 2.1.0");
	WAIT_FOR(world, world->rcpts_seen == 1);
	queue_answer_rcpt(world, last_mail(world)->open.id, 0, 250,
	    "2.1.5 ok");
	client_expect(world, &client, "250 2.1.5");
	client_say(&client, "NOOP\r\nRCPT TO:<e@f>\r\nVRFY x\r\n");
	client_expect(world, &client, "250 2.0.0");
	WAIT_FOR(world, world->rcpts_seen == 2);
	queue_answer_rcpt(world, last_mail(world)->open.id, 1, 250,
	    "2.1.5 ok");
	play(world, &client, "< 250 2.1.5\n< 252\n", LINE_BY_LINE);
	client_free(&client);
	world_free(&world);
}

/* ---- limits of the program ---- */

static void
connection_limits(void **state)
{
	struct world *world = world_new("max-connections 5\n"
	    "max-connections-per-client 3\n");
	struct client tcp[4], local[4];

	(void)state;
	for (int i = 0; i < 4; i++) {
		tcp[i] = client_new(world);
		play(world, &tcp[i], i < 3 ? "< 220\n" :
		    "< 421 4.7.0\n< end\n", LINE_BY_LINE);
	}
	for (int i = 0; i < 4; i++) {
		local[i] = client_local(world, (uid_t)i);
		play(world, &local[i], i < 2 ? "< 220\n" :
		    "< 421 4.3.2\n< end\n", LINE_BY_LINE);
	}
	/* One goes, another comes. */
	play(world, &tcp[0], "> QUIT\n< 221\n< end\n", LINE_BY_LINE);
	client_free(&tcp[0]);
	tcp[0] = client_new(world);
	play(world, &tcp[0], "< 220\n> NOOP\n< 250\n", LINE_BY_LINE);
	for (int i = 0; i < 4; i++) {
		client_free(&tcp[i]);
		client_free(&local[i]);
	}
	world_free(&world);
}

/* No more pipes than TRANSACTION_DATA_MAX; who waits gets his turn. */
static void
many_in_data(void **state)
{
	enum { MANY = 300 };
	static struct client clients[MANY];
	struct world *world = world_new(NULL);
	unsigned data = 0;

	(void)state;
	world->hold_go = true;
	for (int i = 0; i < MANY; i++) {
		clients[i] = client_new(world);
		play(world, &clients[i], HELLO MAIL_RCPT "> DATA\n",
		    LINE_BY_LINE);
	}
	pump_idle(world, 100);
	for (int i = 0; i < MANY; i++)
		data += world->mails[i].data;
	assert_int_equal(data, 256);
	world->hold_go = false;
	for (int i = 0; i < MANY; i++)
		if (world->mails[i].data && !world->mails[i].went)
			queue_go(world, &world->mails[i]);
	for (int i = 0; i < MANY; i++) {
		play(world, &clients[i], "< 354\n> x: y\n> .\n< 250 2.0.0\n",
		    LINE_BY_LINE);
		client_free(&clients[i]);
	}
	for (int i = 0; i < MANY; i++)
		assert_true(world->mails[i].taken);
	world_free(&world);
}

/* Hundreds of connections, most of them idle, and some that work. */
static void
many_connections(void **state)
{
	enum { MANY = 500 };
	static struct client clients[MANY];
	struct world *world = world_new(NULL);

	(void)state;
	for (int i = 0; i < MANY; i++) {
		clients[i] = client_new(world);
		client_expect(world, &clients[i], "220");
	}
	for (int i = 0; i < MANY; i += 50)
		play(world, &clients[i], "> EHLO a\n< 250-relay\n" MAIL_RCPT
		    "> DATA\n< 354\n> .\n< 250 2.0.0\n", LINE_BY_LINE);
	for (int i = 0; i < MANY; i++)
		client_free(&clients[i]);
	world_free(&world);
}

/* ---- time ---- */

/* A command has to be whole within five minutes, however it dribbles. */
static void
time_for_commands(void **state)
{
	struct world *world = world_new(NULL);
	struct client good = client_new(world), slow = client_new(world);

	(void)state;
	play(world, &good, HELLO, LINE_BY_LINE);
	play(world, &slow, HELLO, LINE_BY_LINE);
	pass_time(world, 290);
	client_say(&slow, "NOO");
	pass_time(world, 9);
	play(world, &good, "> NOOP\n< 250\n", LINE_BY_LINE);
	client_say(&slow, "P");
	pass_time(world, 5);
	play(world, &slow, "< 421 4.4.2\n< end\n", LINE_BY_LINE);
	pass_time(world, 290);
	play(world, &good, "> NOOP\n< 250\n", LINE_BY_LINE);
	pass_time(world, 301);
	play(world, &good, "< 421 4.4.2\n< end\n", LINE_BY_LINE);
	client_free(&good);
	client_free(&slow);
	world_free(&world);
}

/* In DATA a KiB has to come in five minutes. */
static void
time_for_data(void **state)
{
	struct world *world = world_new(NULL);
	struct client good = client_new(world), slow = client_new(world);
	struct buffer block = { NULL, 0, 0 };

	(void)state;
	fill(&block, 1022, "x");
	buffer_add(&block, SLICE("\r\n"));
	play(world, &good, HELLO MAIL_RCPT "> DATA\n< 354\n", LINE_BY_LINE);
	play(world, &slow, HELLO MAIL_RCPT "> DATA\n< 354\n", LINE_BY_LINE);
	for (int i = 0; i < 3; i++) {
		pass_time(world, 100);
		if (i < 2)
			client_say(&slow, "x: y\r\n");
		client_say(&good, block.text);
	}
	play(world, &slow, "< 421 4.4.2\n< end\n", LINE_BY_LINE);
	assert_true(last_mail(world)->aborted);
	pass_time(world, 290);
	play(world, &good, "> .\n< 250 2.0.0\n", LINE_BY_LINE);
	buffer_free(&block);
	client_free(&good);
	client_free(&slow);
	world_free(&world);
}

/* What waits for queue is not the client's delay. */
static void
time_for_queue(void **state)
{
	struct world *world = world_new(NULL);
	struct client client = client_new(world);

	(void)state;
	world->hold_taken = world->hold_go = world->hold_rcpts = true;
	play(world, &client, HELLO "> MAIL FROM:<a@b>\n< 250\n"
	    "> RCPT TO:<c@d>\n", LINE_BY_LINE);
	WAIT_FOR(world, world->rcpts_seen == 1);
	pass_time(world, 1000);
	queue_answer_rcpt(world, last_mail(world)->open.id, 0, 250,
	    "2.1.5 ok");
	play(world, &client, "< 250\n> DATA\n", LINE_BY_LINE);
	WAIT_FOR(world, last_mail(world)->data);
	pass_time(world, 1000);
	queue_go(world, last_mail(world));
	play(world, &client, "< 354\n> .\n", LINE_BY_LINE);
	WAIT_FOR(world, last_mail(world)->ended);
	pass_time(world, 1000);
	queue_take(world, last_mail(world));
	play(world, &client, "< 250\n", LINE_BY_LINE);
	pass_time(world, 290);
	play(world, &client, "> NOOP\n< 250\n", LINE_BY_LINE);
	client_free(&client);
	world_free(&world);
}

/* Stopping: 20 s for those in DATA, 60 more past a final dot. */
static void
time_to_stop(void **state)
{
	struct world *world = world_new(NULL);
	struct client data = client_new(world), taken = client_new(world);

	(void)state;
	world->hold_taken = true;
	play(world, &data, HELLO MAIL_RCPT "> DATA\n< 354\n", LINE_BY_LINE);
	play(world, &taken, HELLO MAIL_RCPT "> DATA\n< 354\n> .\n",
	    LINE_BY_LINE);
	WAIT_FOR(world, last_mail(world)->ended);
	parent_say(world, P_STOP, NULL, NULL);
	pump_idle(world, 50);
	pass_time(world, 19);
	client_expect_silence(world, &data);
	pass_time(world, 2);
	play(world, &data, "< 421 4.3.2\n< end\n", LINE_BY_LINE);
	pass_time(world, 58);
	client_expect_silence(world, &taken);
	assert_int_equal(waitpid(world->pid, NULL, WNOHANG), 0);
	*world->clock_ns += INT64_C(4000000000);
	assert_int_equal(world_wait(world), 0);
	client_free(&data);
	client_free(&taken);
	world_free(&world);
}

/* ---- the parent ---- */

static void
new_settings(void **state)
{
	struct world *world = world_new(NULL);
	struct client client = client_new(world);

	(void)state;
	play(world, &client, HELLO MAIL_RCPT, LINE_BY_LINE);
	give_settings(world, "relay-from 10.0.0.0/8\nmax-message-size 1M\n");
	pump_idle(world, 50);
	play(world, &client, "> RCPT TO:<e@d.test>\n< 550 5.7.1\n"
	    "> RSET\n< 250\n> MAIL FROM:<> SIZE=1048577\n< 552\n",
	    LINE_BY_LINE);
	client_free(&client);
	world_free(&world);
}

static void
listeners(void **state)
{
	struct world *world = world_new(NULL);
	struct p_listener first = { .number = 1 };
	struct client old = client_new(world), new;
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(world->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)
	};
	int fd;

	(void)state;
	play(world, &old, HELLO, LINE_BY_LINE);
	give_listener(world, 2);
	parent_say(world, P_UNLISTEN, &first, NULL);
	new = client_new(world);
	play(world, &new, HELLO, LINE_BY_LINE);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address,
	    sizeof(address)), -1);
	assert_int_equal(errno, ECONNREFUSED);
	close(fd);
	play(world, &old, "> NOOP\n< 250\n", LINE_BY_LINE);
	client_free(&old);
	client_free(&new);
	world_free(&world);
}

static void
stopping(void **state)
{
	struct world *world = world_new(NULL);
	struct client idle = client_new(world), mail = client_new(world),
	    data = client_new(world), taken = client_new(world),
	    rcpt = client_new(world);
	struct mail *last;

	(void)state;
	play(world, &idle, HELLO, LINE_BY_LINE);
	play(world, &mail, HELLO MAIL_RCPT, LINE_BY_LINE);
	play(world, &data, HELLO MAIL_RCPT "> DATA\n< 354\n> a: b\n",
	    LINE_BY_LINE);
	world->hold_taken = true;
	play(world, &taken, HELLO MAIL_RCPT "> DATA\n< 354\n> .\n",
	    LINE_BY_LINE);
	WAIT_FOR(world, last_mail(world)->ended);
	last = last_mail(world);
	world->hold_rcpts = true;
	play(world, &rcpt, HELLO "> MAIL FROM:<>\n< 250\n"
	    "> RCPT TO:<c@d.test>\n", LINE_BY_LINE);
	WAIT_FOR(world, last_mail(world)->rcpts_n == 1);

	parent_say(world, P_STOP, NULL, NULL);
	play(world, &idle, "< 421 4.3.2\n< end\n", LINE_BY_LINE);
	play(world, &mail, "< 421 4.3.2\n< end\n", LINE_BY_LINE);
	play(world, &rcpt, "< 421 4.3.2\n< end\n", LINE_BY_LINE);
	client_expect_silence(world, &data);
	queue_take(world, last);
	play(world, &taken, "< 250 2.0.0\n< 421 4.3.2\n< end\n",
	    LINE_BY_LINE);
	world->hold_taken = false;
	play(world, &data, "> more\n> .\n< 250 2.0.0\n< 421 4.3.2\n< end\n",
	    LINE_BY_LINE);
	assert_int_equal(world_wait(world), 0);
	client_free(&idle);
	client_free(&mail);
	client_free(&rcpt);
	client_free(&data);
	client_free(&taken);
	world_free(&world);
}

/* Nobody is left to take what is sent: it is said at once. */
static void
stopping_without_queue(void **state)
{
	struct world *world = world_new(NULL);
	struct client data = client_new(world);

	(void)state;
	play(world, &data, HELLO MAIL_RCPT "> DATA\n< 354\n> a: b\n",
	    LINE_BY_LINE);
	parent_say(world, P_STOP, NULL, NULL);
	client_expect_silence(world, &data);
	kill_queue(world);
	play(world, &data, "< 421 4.3.0\n< end\n", LINE_BY_LINE);
	assert_int_equal(world_wait(world), 0);
	client_free(&data);
	world_free(&world);
}

/* The same when queue was gone before. */
static void
stopping_behind_queue(void **state)
{
	struct world *world = world_new(NULL);
	struct client data = client_new(world);

	(void)state;
	play(world, &data, HELLO MAIL_RCPT "> DATA\n< 354\n> a: b\n",
	    LINE_BY_LINE);
	kill_queue(world);
	client_expect_silence(world, &data);
	parent_say(world, P_STOP, NULL, NULL);
	play(world, &data, "< 421 4.3.2\n< end\n", LINE_BY_LINE);
	assert_int_equal(world_wait(world), 0);
	client_free(&data);
	world_free(&world);
}

static void
parent_dies(void **state)
{
	struct world *world = world_new(NULL);
	struct client idle = client_new(world), data = client_new(world);

	(void)state;
	play(world, &idle, HELLO, LINE_BY_LINE);
	play(world, &data, HELLO MAIL_RCPT "> DATA\n< 354\n> a: b\n",
	    LINE_BY_LINE);
	shutdown(world->parent.fd, SHUT_RDWR);
	world->parent_gone = true;
	play(world, &idle, "< 421 4.3.2\n< end\n", LINE_BY_LINE);
	kill_queue(world);
	play(world, &data, "< 421 4.3.0\n< end\n", LINE_BY_LINE);
	world_wait(world);
	client_free(&idle);
	client_free(&data);
	world_free(&world);
}

/* ---- the submit socket ---- */

static void
submission(void **state)
{
	struct world *world = world_new(NULL);
	struct client client = client_local(world, 1234);
	const struct mail *mail;
	char line[256], id[ID_TEXT_MAX];

	(void)state;
	play(world, &client, HELLO "> MAIL FROM:<jo>\n< 250\n"
	    "> RCPT TO:<root>\n< 250\n> RCPT TO:<x@y.test>\n< 250\n"
	    "> DATA\n< 354\n> .\n< 250 2.0.0\n", LINE_BY_LINE);
	mail = last_mail(world);
	assert_true(mail->open.local);
	assert_int_equal(mail->open.uid, 1234);
	assert_string_equal(mail->open.client, "");
	assert_string_equal(mail->open.proto, "local");
	assert_string_equal(mail->open.sender, "jo@our.test");
	assert_string_equal(mail->rcpts.text, "admin@far.test x@y.test ");
	snprintf(line, sizeof(line), "Received: by relay.test (uid 1234)\r\n"
	    "\twith local id %s;\r\n\t", queue_id_print(mail->open.id, id));
	assert_memory_equal(mail->body.text, line, strlen(line));
	assert_string_equal(mail->open.tls, "none");
	client_free(&client);
	world_free(&world);
}

#define TEST(name, function)	{ name, function, NULL, NULL, NULL }

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST("DSN-3461-4-1, SMTP-3.1-1, SMTP-2.2.1-1, SMTP-2.2.1-3, "
		    "SMTP-2.2.2-1, SMTP-3.2-1, EXT-1870-3-1, EXT-6152-2-1, "
		    "EXT-2034-4-1, SUB-6409-7-2 greeting, EHLO, HELO", hello),
		TEST("SMTP-4.1.4-5, SMTP-4.1.4-3, SMTP-4.1.1.8-1, "
		    "SMTP-3.5.3-1, SMTP-3.5.3-2 before EHLO", before_hello),
		TEST("SMTP-4.4-1, SMTP-4.4-2, SMTP-4.4-5, SMTP-4.4-8, "
		    "SMTP-4.1.1.4-4, SMTP-4.1.1.10-2, SMTP-6.1-4 one message",
		    one_message),
		TEST("EXT-2920-3.2-1, EXT-2920-3.2-6, SMTP-2.3.11-1, "
		    "EXT-6152-3-1 the same octets however they are cut",
		    cuts),
		TEST("SMTP-3.3-8, SMTP-3.3-4, SMTP-4.1.4-6, SMTP-4.1.4-2, "
		    "SMTP-4.1.1.2-2, SMTP-3.3-9, SMTP-4.1.1.9-1, SMTP-4.2-6, "
		    "SMTP-4.5.1-1, EXT-2034-4-2, EXT-2034-4-3, EXT-5248-2-1, "
		    "DSN-3461-5.1-1, DSN-3461-5.1-2, DSN-3461-5.1-3 "
		    "every command in every state", sequences),
		TEST("SMTP-4.1.1.5-1, SMTP-4.1.4-1 RSET, EHLO, HELO drop the "
		    "transaction", resets),
		TEST("EXT-2034-4-4, SMTP-4.4-5, SMTP-D-1 a HELO session",
		    helo_session),
		TEST("EXT-2920-3.2-2, EXT-2920-3.2-3 no valid recipient",
		    no_recipient),
		TEST("SMTP-3.6.2-1, SMTP-7.9-1, SMTP-3.3-1, SMTP-3.3-3, "
		    "SMTP-4.1.1.3-1 strangers", strangers),
		TEST("SMTP-2.3.5-1, SMTP-2.4-1 bare names of relay-from "
		    "clients", bare_names),
		TEST("SMTP-4.5.3.1.4-1, SMTP-4.5.3.1.9-1 command lines of "
		    "512", line_limits),
		TEST("SMTP-4.5.3.1.4-1 MAIL and RCPT lines with "
		    "parameters",
		    longer_lines),
		TEST("DSN-3461-4-1, DSN-3461-4.5-1, SUB-6409-7-2 DSN requests "
		    "reach queue as they came", dsn_requests),
		TEST("RTLS-2-2 REQUIRETLS on the submit socket",
		    requiretls_on_submit_socket),
		TEST("RTLS-3-5 a listener without TLS does not know "
		    "REQUIRETLS", requiretls_on_listener),
		TEST("RTLS-8-1 REQUIRETLS is not offered where nothing keeps "
		    "it", requiretls_without_policies),
		TEST("RTLS-4-1, RTLS-4-4, RTLS-4.1-2, RTLS-4.1-3 "
		    "TLS-Required: No", tls_required_no),
		TEST("SMTP-2.3.8-1, SMTP-4.1.2-6 lone CR and LF in commands",
		    bare_line_ends),
		TEST("SMTP-3.8-1 421 after 20 errors", too_many_errors),
		TEST("SMTP-3.8-1 refused recipients are no errors",
		    refused_recipients_are_no_errors),
		TEST("SMTP-4.5.3.1.8-1, SMTP-4.5.3.1.8-2, SMTP-4.5.3.1.10-2 "
		    "1,003 recipients in one burst", many_recipients),
		TEST("SMTP-4.5.3.1.8-2 refused ones do not count",
		    recipient_limit),
		TEST("EXT-2920-3.2-2, EXT-2920-3.2-3 DATA before the answers "
		    "to RCPTs", data_ahead),
		TEST("EXT-2920-3.2-1 replies keep their order",
		    answers_out_of_order),
		TEST("SMTP-2.3.8-1 smuggling", smuggling),
		TEST("SMTP-3.6.3-5, SMTP-2.4-3, SMTP-3.3-6, SMTP-3.3-7, "
		    "SMTP-4.4-4, SMTP-6.4-1, SMTP-B-5, SMTP-7.2-1, "
		    "SMTP-4.4-6, SMTP-4.5.2-2, MSG-5322-3.6-3, "
		    "MSG-5322-3.6-4, MSG-6532-3.2-1 content is not touched",
		    content),
		TEST("SMTP-4.5.2-3, EXT-6152-3-1 8 MiB and a queue that does "
		    "not read", back_pressure),
		TEST("small messages go without a pipe", small_and_large),
		TEST("the end of a message behind a full pipe",
		    end_behind_full_pipe),
		TEST("EXT-1870-5-1, EXT-1870-6.1-1, EXT-1870-6.1-2, "
		    "EXT-1870-6.1-4, EXT-1870-6.3-1 SIZE", size_limits),
		TEST("SMTP-6.3-1, SMTP-6.3-2 100 Received fields",
		    received_loop),
		TEST("SMTP-4.5.3.1.6-1, MSG-5322-2.1.1-1 long lines",
		    long_lines),
		TEST("SMTP-3.3-1 queue refuses before the message",
		    queue_refuses_early),
		TEST("SMTP-3.3-1 queue refuses the message",
		    queue_refuses_late),
		TEST("a pipe that queue closes early", pipe_breaks),
		TEST("SMTP-3.3-1 queue dies at each step", queue_dies),
		TEST("a fresh link in place of a living one", queue_replaced),
		TEST("SMTP-4.1.1.10-1, SMTP-4.1.1.10-2 the client goes at "
		    "each step", client_goes),
		TEST("SMTP-4.1.1.10-1 behind the final dot the message "
		    "stands", client_goes_behind_the_dot),
		TEST("SMTP-7.8-1 a client that does not read",
		    client_does_not_read),
		TEST("EXT-2920-3.2-7 who talks before the greeting is served",
		    early_talker),
		TEST("EXT-2920-3.2-4, EXT-2920-3.2-5 replies are not held "
		    "back", replies_are_not_held_back),
		TEST("EXT-2920-3.2-4, EXT-2920-3.2-5 replies wait for their "
		    "group alone", replies_wait_for_their_group_alone),
		TEST("SMTP-7.8-1 connection limits", connection_limits),
		TEST("300 sessions in DATA, 256 pipes", many_in_data),
		TEST("SMTP-7.8-1 500 connections", many_connections),
		TEST("SMTP-4.5.3.2.7-1, SMTP-7.8-1 five minutes for a "
		    "command", time_for_commands),
		TEST("SMTP-7.8-1 five minutes for a KiB", time_for_data),
		TEST("SMTP-4.5.3.2.7-1 who waits for queue is not timed",
		    time_for_queue),
		TEST("SMTP-3.8-2 20 s in DATA, 60 s past the dot",
		    time_to_stop),
		TEST("new settings hold for sessions under way",
		    new_settings),
		TEST("listeners come and go", listeners),
		TEST("SMTP-3.8-2 stopping: 421, but not in DATA", stopping),
		TEST("SMTP-3.8-2 stopping while queue is gone",
		    stopping_without_queue),
		TEST("SMTP-3.8-2 stopping when queue was gone before",
		    stopping_behind_queue),
		TEST("SMTP-3.8-2 the parent dies", parent_dies),
		TEST("SMTP-4.4-1 a local user's message", submission),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
