/*
 * sendmail itself, handing mail to the real culver-smtpd (smtpd_fixture.h):
 * what reaches the queue, and what the caller is told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "smtpd_fixture.h"

#include "conf/control.h"

#include <pwd.h>

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))
#define WORDS_MAX	24
#define STRANGER	23456		/* a uid that passwd does not know */

struct run {
	int		status;
	struct buffer	out, err;
};

static void
run_free(struct run *run)
{
	buffer_free(&run->out);
	buffer_free(&run->err);
}

/* ---- running it ---- */

struct child {
	pid_t	pid;
	int	in, out, err;		/* our ends */
};

static void
become_sendmail(struct world *world, const char *words, const int *ends,
    uid_t uid)
{
	/* By descriptor: another uid may not walk to it. */
	int program = open(beside("bin/sendmail"), O_PATH | O_CLOEXEC);
	char *argv[WORDS_MAX], path[128], *rest = mem_copy(words);
	int n = 0;

	for (int i = 0; i < 3; i++)
		dup2(ends[i], i);
	argv[n++] = mem_copy("sendmail");
	snprintf(path, sizeof(path), "-C%s/conf", world->directory);
	argv[n++] = path;
	while (rest != NULL && *rest != '\0')
		argv[n++] = strsep(&rest, "|");
	argv[n] = NULL;
	if (uid != 0 && (setgid(uid) != 0 || setuid(uid) != 0))
		_exit(126);
	fexecve(program, argv, environ);
	_exit(127);
}

static struct child
start(struct world *world, const char *words, uid_t uid)
{
	int in[2], out[2], err[2];
	struct child child;

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(err, O_CLOEXEC), 0);
	child.pid = fork();
	if (child.pid == 0)
		become_sendmail(world, words, (int []){ in[0], out[1],
		    err[1] }, uid);
	close(in[0]);
	close(out[1]);
	close(err[1]);
	child.in = in[1];
	child.out = out[0];
	child.err = err[0];
	fcntl(child.in, F_SETFL, O_NONBLOCK);
	return child;
}

static void
drain(int *fd, struct buffer *into)
{
	char octets[4096];
	ssize_t n;

	if (*fd == -1)
		return;
	fcntl(*fd, F_SETFL, O_NONBLOCK);
	n = read(*fd, octets, sizeof(octets));
	if (n > 0)
		buffer_add(into, (struct slice){ octets, (size_t)n });
	if (n == 0) {
		close(*fd);
		*fd = -1;
	}
}

static void
feed(int *fd, struct slice *input)
{
	ssize_t n = 0;

	if (*fd == -1)
		return;
	if (input->len > 0)
		n = write(*fd, input->at, input->len);
	if (n > 0)
		*input = (struct slice){ input->at + n,
		    input->len - (size_t)n };
	if (input->len == 0 || (n == -1 && errno != EAGAIN)) {
		close(*fd);
		*fd = -1;
	}
}

/* Serve everybody until it has ended. */
static struct run
finish(struct world *world, struct child *child, struct slice input)
{
	struct run run = { .status = -1 };
	int64_t until = wire_now_ms() + 2 * PATIENCE_MS;
	int status;

	while (child->out != -1 || child->err != -1) {
		if (wire_now_ms() > until) {
			kill(child->pid, SIGKILL);
			fail_msg("sendmail does not end");
		}
		feed(&child->in, &input);
		drain(&child->out, &run.out);
		drain(&child->err, &run.err);
		pump(world, -1, 1);
	}
	if (child->in != -1)
		close(child->in);
	assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
	run.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
	return run;
}

static struct run
run_as(struct world *world, const char *words, struct slice input, uid_t uid)
{
	struct child child = start(world, words, uid);

	return finish(world, &child, input);
}

/* Run, and demand an exit status and, when it is not 0, one line why. */
static void
expect(struct world *world, const char *words, struct slice input,
    int status, const char *why)
{
	struct run run = run_as(world, words, input, 0);

	if (run.status != status)
		fail_msg("%s: status %d, %s", words, run.status,
		    run.err.text);
	assert_int_equal(run.out.len, 0);
	if (status == 0) {
		assert_int_equal(run.err.len, 0);
	} else {
		assert_memory_equal(run.err.text, "sendmail: ", 10);
		assert_ptr_equal(strchr(run.err.text, '\n'),
		    run.err.text + run.err.len - 1);
		if (strstr(run.err.text, why) == NULL)
			fail_msg("%s: %s", words, run.err.text);
	}
	run_free(&run);
}

static struct world *
submit_world(const char *settings)
{
	struct world *world = world_new(settings);

	give_submit(world);
	return world;
}

/* ---- envelopes ---- */

struct row {
	const char	*words;
	const char	*input;
	const char	*sender;	/* NULL: who runs this test */
	const char	*recipients;
};

#define TEXT	"Subject: x\n\ntext\n"

/* The address of the user who runs the test. */
static const char *
user(void)
{
	static char text[128];
	const struct passwd *entry = getpwuid(getuid());

	assert_non_null(entry);
	snprintf(text, sizeof(text), "%s@our.test", entry->pw_name);
	return text;
}

static void
envelopes(void **state)
{
	static const struct row rows[] = {
		{ "r@d.test", TEXT, NULL, "r@d.test " },
		{ "r@d.test|s@d.test", TEXT, NULL, "r@d.test s@d.test " },
		{ "root", TEXT, NULL, "admin@far.test " },
		/* S2 to S4 */
		{ "r@d.test|-f|s@x", TEXT, "s@x", "r@d.test " },
		{ "-f|<>|r@d.test", TEXT, "", "r@d.test " },
		{ "-f||r@d.test", TEXT, "", "r@d.test " },
		{ "-f|<a@b>|r@d.test", TEXT, "a@b", "r@d.test " },
		{ "-ra@b|r@d.test", TEXT, "a@b", "r@d.test " },
		{ "-f|jo|r@d.test", TEXT, "jo@our.test", "r@d.test " },
		/* S7 to S9 */
		{ "-N|never|r@d.test", TEXT, NULL, "r@d.test " },
		{ "-R|hdrs|r@d.test", TEXT, NULL, "r@d.test " },
		{ "-V|id|r@d.test", TEXT, NULL, "r@d.test " },
		{ "-oem|-oi|-f|s@x|-N|failure,delay|-R|hdrs|--|r@d.test",
		    TEXT, "s@x", "r@d.test " },
		{ "-B|8BITMIME|r@d.test", TEXT, NULL, "r@d.test " },
		{ "-O|A=b|r@d.test", TEXT, NULL, "r@d.test " },
		{ "-h|5|r@d.test", TEXT, NULL, "r@d.test " },
		{ "-p|x:y|r@d.test", TEXT, NULL, "r@d.test " },
		{ "-L|t|r@d.test", TEXT, NULL, "r@d.test " },
		{ "-Ac|r@d.test", TEXT, NULL, "r@d.test " },
		{ "-Am|r@d.test", TEXT, NULL, "r@d.test " },
		{ "-U|r@d.test", TEXT, NULL, "r@d.test " },
		{ "-m|r@d.test", TEXT, NULL, "r@d.test " },
		/* S10, S11 */
		{ "-i|-f|s@x|--|-dash@x.test", TEXT, "s@x",
		    "-dash@x.test " },
		{ "Nm <n@x.test>", TEXT, NULL, "n@x.test " },
		{ "a@x.test,b@y.test", TEXT, NULL, "a@x.test b@y.test " },
		/* S20, S23 */
		{ "-t", "To: \"Doe, J\" <a@d.test>,\n b@d.test\nCc: G: "
		    "c@d.test, e@d.test;\nBcc: f@d.test\n\nx\n", NULL,
		    "a@d.test b@d.test c@d.test e@d.test f@d.test " },
		{ "r@d.test|r@d.test|R@d.test|r@D.test", TEXT, NULL,
		    "r@d.test R@d.test " },
		{ "-t|a@d.test|c@d.test", "To: a@d.test, b@d.test\n\nx\n",
		    NULL, "a@d.test c@d.test b@d.test " },
		{ "-t", "To: a@d.test\nResent-To: b@d.test\n\nx\n", NULL,
		    "b@d.test " },
		/* the header is nobody's envelope without -t */
		{ "r@d.test", "To: victim@d.test\nBcc: v@d.test\n\nx\n", NULL,
		    "r@d.test " },
		/* local parts keep their quotes, domains become A-labels */
		{ "\"a b\"@d.test", TEXT, NULL, "\"a b\"@d.test " },
		{ "a@b\xc3\xbc" "cher.test", TEXT, NULL,
		    "a@xn--bcher-kva.test " },
		{ "-fs@b\xc3\xbc" "cher.test|r@d.test", TEXT,
		    "s@xn--bcher-kva.test", "r@d.test " },
		/* injection adds nobody */
		{ "-F|x\nBcc: evil@d.test|r@d.test", TEXT, NULL,
		    "r@d.test " },
		{ "-t", "To: r@d.test\nSubject: x\\r\\nBcc: evil@d.test\n\n",
		    NULL, "r@d.test " },
	};
	struct world *world = submit_world(NULL);

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		expect(world, rows[i].words, slice_of(rows[i].input), 0, "");
		assert_int_equal(world->mails_n, i + 1);
		assert_string_equal(last_mail(world)->open.sender,
		    rows[i].sender != NULL ? rows[i].sender : user());
		assert_string_equal(last_mail(world)->rcpts.text,
		    rows[i].recipients);
		assert_true(last_mail(world)->open.local);
	}
	world_free(&world);
}

static void
notifications(void **state)
{
	static const struct {
		const char	*words;
		uint32_t	 notify;
		enum dsn_ret	 ret;
		const char	*envid;
	} rows[] = {
		{ "r@d.test", 0, RET_NONE, "" },
		{ "-N|never|r@d.test", NOTIFY_NEVER, RET_NONE, "" },
		{ "-Nsuccess|r@d.test", NOTIFY_SUCCESS, RET_NONE, "" },
		{ "-N|failure,delay|-R|hdrs|--|r@d.test",
		    NOTIFY_FAILURE | NOTIFY_DELAY, RET_HDRS, "" },
		{ "-N|success,failure,delay|-Rfull|r@d.test", NOTIFY_SUCCESS |
		    NOTIFY_FAILURE | NOTIFY_DELAY, RET_FULL, "" },
		/* the last one counts */
		{ "-N|never|-N|delay|r@d.test", NOTIFY_DELAY, RET_NONE, "" },
		{ "-V|QQ314|r@d.test", 0, RET_NONE, "QQ314" },
		{ "-VQQ+2B314|r@d.test", 0, RET_NONE, "QQ+2B314" },
		/* what is no xtext becomes it */
		{ "-V|a b|r@d.test", 0, RET_NONE, "a+20b" },
		{ "-V|a=b+c|r@d.test", 0, RET_NONE, "a+3Db+2Bc" },
		{ "-V|<id@host>|r@d.test", 0, RET_NONE, "<id@host>" },
		/* a null sender asks in vain, and does no harm */
		{ "-f|<>|-N|success|r@d.test", NOTIFY_SUCCESS, RET_NONE, "" },
	};
	struct world *world = submit_world(NULL);

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct mail *mail;

		expect(world, rows[i].words, SLICE(TEXT), 0, "");
		mail = last_mail(world);
		if (mail->rcpt.notify != rows[i].notify ||
		    mail->open.ret != rows[i].ret ||
		    strcmp(mail->open.envid, rows[i].envid) != 0)
			fail_msg("%s: %u %u %s", rows[i].words,
			    mail->rcpt.notify, mail->open.ret,
			    mail->open.envid);
	}
	world_free(&world);
}

/* REQUIRETLS and TLS-Required reach queue; what cannot be kept is refused. */
static void
requiretls(void **state)
{
	static const struct {
		const char	*words, *header;
		uint32_t	 class;
		bool		 optional;
	} rows[] = {
		{ "r@d.test", "", CLASS_MAIL, false },
		{ "-OREQUIRETLS=yes|r@d.test", "", CLASS_REQUIRETLS, false },
		{ "-O|RequireTLS=no|r@d.test", "", CLASS_MAIL, false },
		{ "r@d.test", "TLS-Required: No\n", CLASS_MAIL, true },
		{ "-O|REQUIRETLS=yes|r@d.test", "TLS-Required: No\n",
		  CLASS_REQUIRETLS, false },
	};
	struct world *world = submit_world(NULL);
	char text[128];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		snprintf(text, sizeof(text), "%s\ntext\n", rows[i].header);
		expect(world, rows[i].words, slice_of(text), 0, "");
		assert_int_equal(last_mail(world)->open.class, rows[i].class);
		assert_int_equal(last_mail(world)->end.tls_optional,
		    rows[i].optional);
		/* RTLS-4.1-4: the field stays. */
		assert_int_equal(strstr(last_mail(world)->body.text,
		    "TLS-Required: No\r\n") != NULL,
		    rows[i].header[0] != '\0');
	}
	world_free(&world);
	world = submit_world("mta-sts off\ndane off\n");
	expect(world, "-OREQUIRETLS=yes|r@d.test", SLICE("text\n"), 69,
	    "REQUIRETLS cannot be kept");
	assert_int_equal(world->mails_n, 0);
	world_free(&world);
}

/* ---- messages ---- */

#define HEADER	"From: a@b\nDate: x\nMessage-ID: <y>\n"
#define SENT	"From: a@b\r\nDate: x\r\nMessage-ID: <y>\r\n"
#define L(literal)	{ literal, sizeof(literal) - 1 }

static void
messages(void **state)
{
	static const struct {
		const char	*words;
		struct slice	 input;
		const char	*message;
	} rows[] = {
		/* S1: with -i dots are text */
		{ "-i|r@d.test", L(HEADER "\na\n.\nb\n.\n"),
		    SENT "\r\na\r\n.\r\nb\r\n.\r\n" },
		{ "-oi|r@d.test", L(HEADER "\n.\n"), SENT "\r\n.\r\n" },
		/* without, a lone one is dropped, at the very end only */
		{ "r@d.test", L(HEADER "\na\n.\n"), SENT "\r\na\r\n" },
		{ "r@d.test", L(HEADER "\na\n."), SENT "\r\na\r\n" },
		{ "r@d.test", L(HEADER "\na\n.\r\n"), SENT "\r\na\r\n" },
		{ "r@d.test", L(HEADER "\na\n.\nb\n"),
		    SENT "\r\na\r\n.\r\nb\r\n" },
		{ "r@d.test", L(HEADER "\na\n.\n.\n"),
		    SENT "\r\na\r\n.\r\n" },
		{ "r@d.test", L(HEADER "\na\n..\n"),
		    SENT "\r\na\r\n..\r\n" },
		{ "r@d.test", L(HEADER "\na.\n"), SENT "\r\na.\r\n" },
		/* S6 */
		{ "r@d.test", L(HEADER "Bcc: secret@d.test\n\nx\n"),
		    SENT "\r\nx\r\n" },
		/* S12 */
		{ "r@d.test", L(SENT "\r\nx\r\n"), SENT "\r\nx\r\n" },
		{ "r@d.test", L(HEADER "\nx\ry\n"), SENT "\r\nx\r\ny\r\n" },
		/* S14 */
		{ "r@d.test", L("From x Mon\n" HEADER "\nx\n"),
		    SENT "\r\nx\r\n" },
		/* dots at line starts are stuffed and un-stuffed */
		{ "r@d.test", L(HEADER "\n.x\n..y\n...\nz\n"),
		    SENT "\r\n.x\r\n..y\r\n...\r\nz\r\n" },
		{ "-i|r@d.test", L(HEADER "\nQUIT\n.\nMAIL FROM:<e@f>\n"),
		    SENT "\r\nQUIT\r\n.\r\nMAIL FROM:<e@f>\r\n" },
		/* S16 */
		{ "r@d.test", L(HEADER "Subject: J\xf6rg\n\n\xff\n"),
		    SENT "Subject: J\xf6rg\r\n\r\n\xff\r\n" },
	};
	struct world *world = submit_world(NULL);

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		expect(world, rows[i].words, rows[i].input, 0, "");
		assert_string_equal(after_received(last_mail(world)),
		    rows[i].message);
	}
	assert_true(last_mail(world)->end.eight_bit);
	assert_int_equal(last_mail(world)->open.body, BODY_8BITMIME);
	world_free(&world);
}

/* S13, and what is added. */
static void
additions(void **state)
{
	struct world *world = submit_world(NULL);
	const char *got;
	char expected[256];

	(void)state;
	expect(world, "-FJ\xc3\xb6rg|r@d.test", SLICE("hello\nworld\n"), 0,
	    "");
	got = after_received(last_mail(world));
	snprintf(expected, sizeof(expected),
	    "From: =?UTF-8?Q?J=C3=B6rg?= <%s>\r\nDate: ", user());
	assert_memory_equal(got, expected, strlen(expected));
	got = strstr(got, "\r\nMessage-ID: <");
	assert_non_null(got);
	got = strstr(got, "@relay.test>\r\n\r\n");
	assert_non_null(got);
	assert_string_equal(got, "@relay.test>\r\n\r\nhello\r\nworld\r\n");
	/* -f names the author too */
	expect(world, "-F|A Name|-f|s@x.test|r@d.test", SLICE("x\n"), 0, "");
	assert_memory_equal(after_received(last_mail(world)),
	    "From: A Name <s@x.test>\r\n", 25);
	/* but the null sender does not */
	expect(world, "-F||-f|<>|r@d.test", SLICE("x\n"), 0, "");
	snprintf(expected, sizeof(expected), "From: %s\r\n", user());
	assert_memory_equal(after_received(last_mail(world)), expected,
	    strlen(expected));
	world_free(&world);
}

/* MSG-5322-3.6.4-3: they all differ. */
static void
message_ids(void **state)
{
	enum { MANY = 20 };
	struct world *world = submit_world(NULL);

	(void)state;
	for (int i = 0; i < MANY; i++)
		expect(world, "r@d.test", SLICE("x\n"), 0, "");
	for (int i = 0; i < MANY; i++)
		for (int j = 0; j < i; j++)
			assert_string_not_equal(world->mails[i].end.msgid,
			    world->mails[j].end.msgid);
	assert_int_equal(strlen(world->mails[0].end.msgid),
	    strlen("<@relay.test>") + 32);
	world_free(&world);
}

static void
large_messages(void **state)
{
	struct world *world = submit_world("max-message-size 3M\n");
	struct buffer input = { NULL, 0, 0 };
	const char *got;

	(void)state;
	buffer_add(&input, SLICE(SENT "\r\n"));
	while (input.len < (2 << 20))
		buffer_add(&input, SLICE(".a line of a large message\r\n"));
	expect(world, "-i|r@d.test", (struct slice){ input.text, input.len },
	    0, "");
	got = after_received(last_mail(world));
	assert_string_equal(got, input.text);
	while (input.len < (4 << 20))
		buffer_add(&input, SLICE(".a line of a large message\r\n"));
	expect(world, "-i|r@d.test", (struct slice){ input.text, input.len },
	    69, "5.3.4");
	assert_int_equal(world->mails_n, 1);
	buffer_free(&input);
	world_free(&world);
}

/* S15 */
static void
long_lines(void **state)
{
	static const size_t lengths[] = { 2500, 5000, 65536, 70000 };
	struct world *world = submit_world(NULL);

	(void)state;
	for (size_t i = 0; i < COUNT(lengths); i++) {
		struct buffer input = { NULL, 0, 0 };

		buffer_add(&input, SLICE(SENT "\r\n"));
		for (size_t n = 0; n < lengths[i]; n++)
			buffer_add(&input, SLICE("x"));
		buffer_add(&input, SLICE("\r\n"));
		expect(world, "r@d.test", (struct slice){ input.text,
		    input.len }, lengths[i] <= 65536 ? 0 : 65, "5.6.0");
		if (lengths[i] <= 65536)
			assert_string_equal(after_received(last_mail(world)),
			    input.text);
		buffer_free(&input);
	}
	world_free(&world);
}

/* ---- what does not work out ---- */

static void
usage(void **state)
{
#define E50	"eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"
	static const struct {
		const char	*words, *why;
	} rows[] = {
		{ "-z|r@d.test", "-z" },
		{ "-f", "-f" },
		{ "-f|a b@c|r@d.test", "-f: " },		/* S5 */
		{ "-f|a@b,c@d|r@d.test", "-f: " },
		{ "-V||r@d.test", "-V: " },
		{ "-V|a\nb|r@d.test", "-V: " },
		{ "-V|\xc3\xbc|r@d.test", "-V: " },
		{ "-V|" E50 E50 "e|r@d.test", "-V: " },
		{ "-bv|r@d.test", "not yet" },			/* S18 */
		{ "-bz|r@d.test", "-bz" },
		{ "-bs", "not yet" },
		{ "-bi", "not yet" },
		{ "-q", "not yet" },
		{ "", "no recipient" },				/* S19 */
		{ "-t", "no recipient" },
		{ "-i", "no recipient" },
		{ "a b", "malformed" },
		{ "a@b@c", "malformed" },
		{ "a@-b", "malformed" },
		{ "\xc3\xbc@d.test", "5.6.7" },
		{ "-C/nonexistent/conf|r@d.test", "/nonexistent/conf" },
	};
	struct world *world = submit_world(NULL);

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		expect(world, rows[i].words, SLICE(TEXT), 64, rows[i].why);
	assert_int_equal(world->mails_n, 0);
	world_free(&world);
}

static void
bad_data(void **state)
{
	struct world *world = submit_world(NULL);

	(void)state;
	expect(world, "r@d.test", SLICE("x\0y\n"), 65, "NUL");
	expect(world, "-t", SLICE("To: John Doe\n\nx\n"), 65, "malformed");
	expect(world, "-t", SLICE("To: \xc3\xbc@d.test\n\nx\n"), 65, "5.6.7");
	expect(world, "-t|r@d.test", SLICE("To: <\n\nx\n"), 65, "malformed");
	assert_int_equal(world->mails_n, 0);
	world_free(&world);
}

static void
refusals(void **state)
{
	struct world *world = submit_world(NULL);

	(void)state;
	expect(world, "no@our.test", SLICE(TEXT), 67,
	    "no@our.test: 5.1.1 no such user here\n");
	expect(world, "no@our.test|nobody", SLICE(TEXT), 67,
	    "5.1.1 no such user here (and 1 more)\n");
	assert_int_equal(world->mails_n, 2);
	assert_int_equal(world->rcpts_seen, 0);
	/* Some are known: they get it, and it is said who does not. */
	expect(world, "no@our.test|r@d.test|s@d.test", SLICE(TEXT), 69,
	    "no@our.test: 5.1.1 no such user here; taken for the other 2\n");
	assert_string_equal(last_mail(world)->rcpts.text,
	    "r@d.test s@d.test ");
	assert_true(last_mail(world)->taken);
	world->refuse_rcpt = "full@d.test";
	expect(world, "full@d.test", SLICE(TEXT), 75, "4.3.1 no space\n");
	expect(world, "full@d.test|no@our.test", SLICE(TEXT), 75,
	    "4.3.1 no space (and 1 more)\n");
	world_free(&world);
}

/* More than one transaction takes: the rest in a further one. */
static void
many_recipients(void **state)
{
	struct world *world = submit_world("max-recipients 100\n");
	struct buffer input = { NULL, 0, 0 };

	(void)state;
	buffer_add(&input, SLICE("To: "));
	for (int i = 0; i < 250; i++)
		buffer_printf(&input, "%sr%d@d.test", i > 0 ? ",\n " : "", i);
	buffer_add(&input, SLICE("\n\nx\n"));
	expect(world, "-t", (struct slice){ input.text, input.len }, 0, "");
	assert_int_equal(world->mails_n, 3);
	assert_int_equal(world->mails[0].rcpts_n, 100);
	assert_int_equal(world->mails[1].rcpts_n, 100);
	assert_int_equal(world->mails[2].rcpts_n, 50);
	for (int i = 0; i < 3; i++)
		assert_true(world->mails[i].taken);
	buffer_free(&input);
	world_free(&world);
}

static void
relay_down(void **state)
{
	struct world *world = world_new(NULL);

	(void)state;
	expect(world, "r@d.test", SLICE(TEXT), 75, "not running");
	give_submit(world);
	kill_queue(world);
	expect(world, "r@d.test", SLICE(TEXT), 75, "4.3.0");
	link_queue(world);
	expect(world, "r@d.test", SLICE(TEXT), 0, "");
	world_free(&world);
}

/* Queue dies behind the final dot: nobody knows, so it is tried again. */
static void
queue_dies(void **state)
{
	struct world *world = submit_world(NULL);
	struct child child;
	struct run run;

	(void)state;
	world->hold_taken = true;
	child = start(world, "r@d.test", 0);
	assert_int_equal(write(child.in, TEXT, sizeof(TEXT) - 1),
	    sizeof(TEXT) - 1);
	close(child.in);
	child.in = -1;
	WAIT_FOR(world, world->mails_n == 1 && last_mail(world)->ended);
	kill_queue(world);
	run = finish(world, &child, SLICE(""));
	assert_int_equal(run.status, 75);
	run_free(&run);
	world_free(&world);
}

/* A relay that is full for a moment is waited for. */
static void
relay_full(void **state)
{
	struct world *world = submit_world("max-connections 1\n");
	struct client busy = client_new(world);
	struct child child;
	struct run run;

	(void)state;
	client_expect(world, &busy, "220");
	child = start(world, "r@d.test", 0);
	pump_idle(world, 500);
	client_free(&busy);
	run = finish(world, &child, SLICE(TEXT));
	assert_int_equal(run.status, 0);
	assert_int_equal(run.err.len, 0);
	run_free(&run);
	world_free(&world);
}

/* ---- other callers ---- */

/* S21: a uid that passwd does not know. */
static void
unknown_uid(void **state)
{
	struct world *world = submit_world(NULL);
	struct run run;

	(void)state;
	if (getuid() == 0) {
		run = run_as(world, "r@d.test", SLICE("x\n"), STRANGER);
		assert_int_equal(run.err.len, 0);
		assert_int_equal(run.status, 0);
		assert_string_equal(last_mail(world)->open.sender,
		    "uid23456@our.test");
		run_free(&run);
	}
	world_free(&world);
}

/* Input from a terminal ends at a lone dot. */
static void
terminal(void **state)
{
	struct world *world = submit_world(NULL);
	int out[2], err[2], master = posix_openpt(O_RDWR | O_NOCTTY), slave;
	struct child child;
	struct run run;

	(void)state;
	assert_true(master != -1);
	assert_int_equal(grantpt(master), 0);
	assert_int_equal(unlockpt(master), 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(err, O_CLOEXEC), 0);
	child = (struct child){ .in = -1, .out = out[0], .err = err[0] };
	child.pid = fork();
	if (child.pid == 0)
		become_sendmail(world, "r@d.test", (int []){ slave, out[1],
		    err[1] }, 0);
	close(out[1]);
	close(err[1]);
	/* The terminal stays open: only the dot ends it. */
	assert_int_equal(write(master, HEADER "\na..\n.\n",
	    sizeof(HEADER "\na..\n.\n") - 1), sizeof(HEADER "\na..\n.\n") -
	    1);
	run = finish(world, &child, SLICE(""));
	assert_int_equal(run.status, 0);
	assert_string_equal(after_received(last_mail(world)),
	    SENT "\r\na..\r\n");
	close(slave);
	close(master);
	run_free(&run);
	world_free(&world);
}

/* ---- mailq ---- */

/* A relay that answers one request on the control socket, and ends. */
static pid_t
answer_control(struct world *world)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct c_output output = { .octets_len = 0 };
	struct c_end end = { .status = 0 };
	struct wire_port port;
	const void *message;
	uint8_t program = 0;
	pid_t pid;
	int fd;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/control",
	    world->directory);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address,
	    sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	pid = fork();
	if (pid != 0) {
		close(fd);
		return pid;
	}
	fd = accept(fd, NULL, NULL);
	if (recv(fd, &program, 1, 0) != 1 || program != PROGRAM_QUEUE)
		_exit(1);
	wire_port_open(&port, fd, &control_wire);
	if (wire_port_receive(&port, &message, NULL, -1) != C_REQUEST ||
	    ((const struct c_request *)message)->words_len != 12 ||
	    memcmp(((const struct c_request *)message)->words,
	    "queue\0mailq", 12) != 0)
		_exit(2);
	output.octets_len = sizeof("Mail queue is empty\n") - 1;
	memcpy(output.octets, "Mail queue is empty\n", output.octets_len);
	wire_port_send(&port, C_OUTPUT, &output, NULL, -1);
	wire_port_send(&port, C_END, &end, NULL, -1);
	_exit(0);
}

static void
mailq(void **state)
{
	struct world *world = world_new(NULL);
	pid_t relay = answer_control(world);
	struct run run;
	int status;

	(void)state;
	run = run_as(world, "-bp", SLICE(""), 0);
	assert_int_equal(run.status, 0);
	assert_int_equal(run.err.len, 0);
	assert_string_equal(run.out.text, "Mail queue is empty\n");
	run_free(&run);
	assert_int_equal(waitpid(relay, &status, 0), relay);
	assert_int_equal(status, 0);
	/* Nobody listens: others than root and owner get 69. */
	if (getuid() == 0) {
		run = run_as(world, "-bp", SLICE(""), STRANGER);
		assert_int_equal(run.status, 69);
		assert_non_null(strstr(run.err.text, "not running"));
		run_free(&run);
	}
	world_free(&world);
}

#define TEST(name, function)	{ name, function, NULL, NULL, NULL }

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST("SMTP-2.3.5-1, SMTP-B-1, SMTP-B-3, SMTP-B-5, "
		    "MSG-5322-3.6.6-1, MSG-5322-5-1, MSG-5322-3.4-2 who "
		    "sends and who gets it", envelopes),
		TEST("DSN-3461-4.1-1, DSN-3461-4.3-1, DSN-3461-4.4-1 -N, -R "
		    "and -V", notifications),
		TEST("RTLS-4.1-3, RTLS-4.1-4, RTLS-4-4, RTLS-8-1 REQUIRETLS "
		    "and TLS-Required", requiretls),
		TEST("SMTP-B-2, MSG-5322-3.6.3-1, MSG-5322-2.1-1, "
		    "MSG-5322-2.3-1, MSG-5322-2.2-2, SMTP-4.5.2-2, "
		    "SMTP-6.4-1 what is sent", messages),
		TEST("MSG-5322-2.2-1, MSG-5322-3.6-1, MSG-5322-3.6.4-1, "
		    "MSG-2047-5-1 what is added", additions),
		TEST("MSG-5322-3.6.4-3 Message-IDs differ", message_ids),
		TEST("large messages", large_messages),
		TEST("MSG-5322-2.1.1-1 long lines", long_lines),
		TEST("64: usage", usage),
		TEST("65: bad data", bad_data),
		TEST("67, 69, 75: recipients that are refused", refusals),
		TEST("250 recipients, 100 a transaction", many_recipients),
		TEST("75: the relay or its queue is down", relay_down),
		TEST("75: the queue dies behind the dot", queue_dies),
		TEST("a relay that is full for a moment", relay_full),
		TEST("a uid that passwd does not know", unknown_uid),
		TEST("a terminal's input ends at a dot", terminal),
		TEST("mailq", mailq),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
