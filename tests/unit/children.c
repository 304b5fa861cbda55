/*
 * conf/children.c: which programs run, what they are told, and in which order
 * they stop.  The programs are played here: each says what it hears.
 *
 * children.c itself is included, so that what it would execute can be played.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define beside_open	played_open
#define beside_execute	played_execute
#include "conf/children.c"

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

/* ---- a program, played ---- */

/* Set before a program starts; it finds them as they were then. */
static const char *dies_at_start;	/* name: exits 1 before P_READY */
static const char *who_needs;		/* name: asks for `needed' when ready */
static enum program needed;

int
played_open(enum program program)
{
	(void)program;
	return open("/dev/null", O_PATH | O_CLOEXEC);
}

static void	say(const char *name, const char *format, ...)
		    __attribute__((format(printf, 2, 3)));

static void
send_up(unsigned kind, const void *message)
{
	struct wire_port port;

	wire_port_open(&port, PROC_PARENT_FD, &proc_wire);
	if (wire_port_send(&port, kind, message, NULL,
	    wire_now_ms() + 5000) != 0)
		_exit(1);
	port.fd = -1;
	wire_port_close(&port);
}

static void
say(const char *name, const char *format, ...)
{
	struct p_log message = { .level = LOG_LEVEL_INFO };
	va_list values;
	int len;

	len = snprintf(message.line, sizeof(message.line), "%s ", name);
	va_start(values, format);
	vsnprintf(message.line + len, sizeof(message.line) - (size_t)len,
	    format, values);
	va_end(values);
	send_up(P_LOG, &message);
}

static void
hear_key(const char *name, const struct p_key *key, int fd)
{
	char octets[64] = "";
	ssize_t n = read(fd, octets, sizeof(octets) - 1);

	say(name, "key %s %s %s %zd:%s", key->domain, key->selector,
	    strrchr(key->file, '/') + 1, n, octets);
}

static void
hear(const char *name, unsigned kind, const void *message, const int *fds)
{
	const struct p_program need = { .program = needed };

	switch (kind) {
	case P_SETTINGS_END:
		say(name, "settings");
		return;
	case P_KEY:
		hear_key(name, message, fds[0]);
		return;
	case P_LINK:
		say(name, "link %s", program_name(
		    ((const struct p_program *)message)->program));
		return;
	case P_CONNECTION:
		say(name, "connection");
		return;
	case P_GO:
		if (dies_at_start != NULL && strcmp(dies_at_start, name) == 0)
			_exit(1);
		send_up(P_READY, NULL);
		if (who_needs != NULL && strcmp(who_needs, name) == 0)
			send_up(P_NEED, &need);
		return;
	case P_STOP:
		say(name, "stops");
		_exit(0);
	default:
		return;
	}
}

void
played_execute(int fd, char *const *argv)
{
	struct wire_port port;
	const void *message;
	int fds[WIRE_FDS_MAX], kind;

	(void)fd;
	wire_port_open(&port, PROC_PARENT_FD, &proc_wire);
	while ((kind = wire_port_receive(&port, &message, fds, -1)) > 0)
		hear(argv[0], (unsigned)kind, message, fds);
	_exit(2);
}

/* ---- culverd, played ---- */

static char folder[] = "/tmp/culver-children-XXXXXX";
static struct buffer heard;
static struct loop *loop;
static struct children *children;
static struct config *config;
static bool is_ready, has_failed, has_stopped;

static void
on_all_ready(void *unused)
{
	(void)unused;
	is_ready = true;
}

static void
on_failure(void *unused)
{
	(void)unused;
	has_failed = true;
}

static void
on_all_stopped(void *unused)
{
	(void)unused;
	has_stopped = true;
}

static void
on_line(void *unused, enum log_level level, const char *line)
{
	(void)unused;
	(void)level;
	buffer_printf(&heard, "%s\n", line);
}

static bool
was_heard(const char *text)
{
	return heard.text != NULL && strstr(heard.text, text) != NULL;
}

/* Turns until this is heard, ten seconds at most. */
static void
await(const char *text)
{
	int64_t until_ms = loop_now_ms() + 10000;

	while (!was_heard(text) && loop_now_ms() < until_ms) {
		loop_turn(loop, false);
		usleep(1000);
	}
	if (!was_heard(text))
		fail_msg("never heard \"%s\", but:\n%s", text,
		    heard.text != NULL ? heard.text : "");
}

static void
await_flag(const bool *flag)
{
	int64_t until_ms = loop_now_ms() + 10000;

	while (!*flag && loop_now_ms() < until_ms) {
		loop_turn(loop, false);
		usleep(1000);
	}
	if (!*flag)
		fail_msg("did not come; heard:\n%s", heard.text);
}

static void
forget_heard(void)
{
	heard.len = 0;
	if (heard.text != NULL)
		heard.text[0] = '\0';
}

static const char *
path_of(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static void
write_file(const char *name, const char *text)
{
	FILE *file = fopen(path_of(name), "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static struct config *
configured(const char *more)
{
	struct buffer text = { NULL, 0, 0 }, error = { NULL, 0, 0 };
	struct config *made;

	buffer_printf(&text, "mail-domain example.org\nspool %s\n"
	    "ca-file /dev/null\n", folder);
	for (; *more != '\0'; more++)
		if (*more == '@')
			buffer_printf(&text, "%s/", folder);
		else
			buffer_add(&text, (struct slice){ more, 1 });
	write_file("culver.conf", text.text);
	made = config_read(path_of("culver.conf"), NULL, 0, &error);
	if (made == NULL)
		fail_msg("%s", error.text);
	buffer_free(&text);
	return made;
}

/* SIGHUP. */
static void
configure(const char *more)
{
	struct config *old = config;

	config = configured(more);
	children_configure(children, config);
	config_free(&old);
}

static void
make(const char *more)
{
	static const struct children_calls calls = { on_all_ready, on_failure,
		on_all_stopped, on_line };
	struct account owner = { geteuid(), getegid() };
	struct buffer error = { NULL, 0, 0 };

	if (geteuid() == 0)
		owner = (struct account){ 65534, 65534 };
	assert_int_equal(chown(folder, owner.uid, owner.gid), 0);
	chmod(folder, 0755);
	is_ready = has_failed = has_stopped = false;
	forget_heard();
	loop = loop_new();
	config = configured(more);
	children = children_new(loop, config, &owner, &calls, NULL, &error);
	if (children == NULL)
		fail_msg("%s", error.text);
}

static void
start(const char *more)
{
	make(more);
	children_start(children);
}

static void
stop(void)
{
	size_t i;

	children_stop(children);
	await_flag(&has_stopped);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	/* culverd ends here, and need not give anything back; we do. */
	forget_alarms(&children->keys);
	forget_alarms(&children->ca);
	timer_free(&children->stop_timer);
	for (i = 0; i < CHILDREN_N; i++) {
		forget_alarms(&children->child[i].dead);
		forget_alarms(&children->child[i].alarms);
		timer_free(&children->child[i].timer);
		close(children->child[i].program_fd);
	}
	free(children);
	loop_free(&loop);
	config_free(&config);
	dies_at_start = who_needs = NULL;
}

struct wanted_state {
	const char	*program, *state;
};

static void
look_at_state(void *context, const struct children_state *state)
{
	struct wanted_state *wanted = context;

	if (strcmp(state->program, wanted->program) == 0)
		wanted->state = state->state;
}

static const char *
state_of(const char *program)
{
	struct wanted_state wanted = { program, "" };

	children_each(children, look_at_state, &wanted);
	return wanted.state;
}

/* Turns until a program is in this state. */
static void
await_state(const char *program, const char *state)
{
	int64_t until_ms = loop_now_ms() + 10000;

	while (strcmp(state_of(program), state) != 0 &&
	    loop_now_ms() < until_ms) {
		loop_turn(loop, false);
		usleep(1000);
	}
	assert_string_equal(state_of(program), state);
}

static void
gather_alarm(void *context, const char *program, const char *what,
    const char *text, int64_t since)
{
	(void)since;
	buffer_printf(context, "%s %s: %s\n", program, what, text);
}

/* The standing alarms; the caller's to free. */
static char *
alarms(void)
{
	struct buffer text = { NULL, 0, 0 };

	buffer_add(&text, SLICE(""));
	children_alarms(children, gather_alarm, &text);
	return text.text;
}

/* Does one come before the other? */
static void
assert_before(const char *one, const char *other)
{
	if (!was_heard(one) || !was_heard(other) ||
	    strstr(heard.text, one) > strstr(heard.text, other))
		fail_msg("\"%s\" does not come before \"%s\":\n%s", one,
		    other, heard.text);
}

/* ---- tests ---- */

#define ONE_KEY	"dkim example.org s1 @a.key\n"

static void
test_all_start(void **unused)
{
	static const char *const linked[] = {
		"culver-queue link culver-sign\n",
		"culver-sign link culver-queue\n",
		"culver-queue link culver-reports\n",
		"culver-reports link culver-queue\n",
		"culver-policy link culver-reports\n",
		"culver-reports link culver-policy\n",
		"culver-delivery link culver-reports\n",
		"culver-reports link culver-delivery\n",
		"culver-delivery link culver-policy\n",
		"culver-queue link culver-delivery\n",
	};
	size_t i;

	(void)unused;
	write_file("a.key", "key a");
	write_file("b.key", "key b");
	start(ONE_KEY "dkim example.net s2 @b.key\n");
	await_flag(&is_ready);
	for (i = 0; i < COUNT(linked); i++)
		await(linked[i]);
	/* Keys, from their start, between the settings and their end. */
	assert_before("culver-sign key example.org s1 a.key 5:key a\n",
	    "culver-sign key example.net s2 b.key 5:key b\n");
	assert_before("culver-sign key example.net s2 b.key 5:key b\n",
	    "culver-sign settings\n");
	/* Nobody else gets one, and sign speaks with queue alone. */
	assert_false(was_heard("culver-queue key"));
	assert_false(was_heard("culver-reports key"));
	assert_false(was_heard("culver-sign link culver-policy"));
	assert_false(was_heard("culver-sign link culver-reports"));
	assert_string_equal(state_of("culver-fetch"), "not needed");
	stop();
}

/* Who says 220 does not wait for the others, and "ready" waits for all. */
static void
test_smtpd_first(void **unused)
{
	const struct child *smtpd;
	int64_t until_ms;

	(void)unused;
	make("");
	children_start_smtpd(children);
	smtpd = child_of(children, PROGRAM_SMTPD, "local");
	until_ms = loop_now_ms() + 10000;
	while (smtpd->state != READY && loop_now_ms() < until_ms)
		loop_turn(loop, false);
	assert_int_equal(smtpd->state, READY);
	assert_string_equal(state_of("culver-queue"), "not needed");
	assert_false(is_ready);
	forget_heard();
	children_start(children);
	await_flag(&is_ready);
	await("culver-smtpd link culver-queue\n");
	/* It goes on being the one it was. */
	assert_false(was_heard("culver-smtpd settings"));
	stop();
}

static void
test_what_is_not_called_for(void **unused)
{
	(void)unused;
	start("tls-report off\n");
	await_flag(&is_ready);
	assert_string_equal(state_of("culver-reports"), "not needed");
	assert_string_equal(state_of("culver-sign"), "not needed");
	assert_string_equal(state_of("culver-queue"), "ready");
	assert_false(was_heard("link culver-reports"));
	stop();
}

static void
test_key_is_missing(void **unused)
{
	char *text;

	(void)unused;
	write_file("a.key", "key a");
	start(ONE_KEY "dkim example.org s2 @none.key\n"
	    "dkim example.net s2 @none.key\n");
	await_flag(&is_ready);
	await("culver-sign key example.org s1");
	text = alarms();
	assert_non_null(strstr(text, "culverd dkim example.org s2: "));
	assert_non_null(strstr(text, "/none.key: No such file or directory"));
	/* One for each key, also of one selector. */
	assert_non_null(strstr(text, "culverd dkim example.net s2: "));
	assert_null(strstr(text, " s1: "));
	free(text);
	/* It is mended: told again, and over. */
	write_file("none.key", "it");
	forget_heard();
	configure(ONE_KEY "dkim example.org s2 @none.key\n");
	await("culver-sign key example.org s2 none.key 2:it\n");
	await("culver-sign settings\n");
	text = alarms();
	assert_string_equal(text, "");
	free(text);
	stop();
	assert_int_equal(unlink(path_of("none.key")), 0);
}

static void
test_hangup(void **unused)
{
	(void)unused;
	write_file("a.key", "key a");
	start("");
	await_flag(&is_ready);
	await_state("culver-reports", "ready");
	forget_heard();
	configure("tls-report off\n" ONE_KEY);
	await("culver-reports stops\n");
	await("culver-sign key example.org s1 a.key 5:key a\n");
	await("culver-queue link culver-sign\n");
	await_state("culver-reports", "not needed");
	await_state("culver-sign", "ready");
	assert_false(was_heard("culver-queue stops"));
	/* The other way round. */
	forget_heard();
	configure("");
	await("culver-sign stops\n");
	await("culver-delivery link culver-reports\n");
	await_state("culver-reports", "ready");
	await_state("culver-sign", "not needed");
	/* Off and on before it has ended: it is there in the end. */
	forget_heard();
	configure("tls-report off\n");
	configure("");
	await("culver-reports stops\n");
	await("culver-reports link culver-delivery\n");
	await_state("culver-reports", "ready");
	assert_string_equal(state_of("culver-queue"), "ready");
	assert_false(has_failed);
	stop();
}

/* One that died is not started again when it is not called for any more. */
static void
test_dismissed_while_dead(void **unused)
{
	char *text;

	(void)unused;
	start("");
	await_flag(&is_ready);
	dies_at_start = "culver-reports";
	kill(child_of(children, PROGRAM_REPORTS, NULL)->pid, SIGKILL);
	await_state("culver-reports", "waiting");
	text = alarms();
	assert_non_null(strstr(text, "culver-reports program: culver-reports "
	    "was killed by signal 9"));
	free(text);
	configure("tls-report off\n");
	await_state("culver-reports", "not needed");
	text = alarms();
	assert_string_equal(text, "");
	free(text);
	dies_at_start = NULL;
	configure("");
	await_state("culver-reports", "ready");
	stop();
}

/* Mail flows without those that report and sign. */
static void
test_dies_at_start(void **unused)
{
	char *text;

	(void)unused;
	write_file("a.key", "key a");
	dies_at_start = "culver-reports";
	start(ONE_KEY);
	await_flag(&is_ready);
	assert_false(has_failed);
	text = alarms();
	assert_non_null(strstr(text, "culver-reports ended with status 1; it "
	    "is started again in 1 s"));
	free(text);
	dies_at_start = NULL;
	await_state("culver-reports", "ready");
	text = alarms();
	assert_string_equal(text, "");
	free(text);
	stop();
	/* But not without the queue. */
	dies_at_start = "culver-queue";
	start(ONE_KEY);
	await_flag(&has_failed);
	assert_false(is_ready);
	stop();
}

static void
test_fetch_is_asked_for(void **unused)
{
	static const char *const may[] = { "culver-policy", "culver-reports" };
	static const char *const may_not[] = { "culver-queue", "culver-sign",
		"culver-delivery" };
	size_t i;

	(void)unused;
	write_file("a.key", "key a");
	for (i = 0; i < COUNT(may); i++) {
		who_needs = may[i];
		needed = PROGRAM_FETCH;
		start("");
		await_state("culver-fetch", "ready");
		/* Whoever asked, it serves both. */
		await("culver-fetch link culver-policy\n");
		await("culver-fetch link culver-reports\n");
		await("culver-policy link culver-fetch\n");
		await("culver-reports link culver-fetch\n");
		/* One of them dies: it goes on for the other. */
		who_needs = NULL;
		forget_heard();
		kill(child_of(children, PROGRAM_REPORTS, NULL)->pid, SIGKILL);
		await("culver-fetch link culver-reports\n");
		await("culver-reports link culver-fetch\n");
		assert_false(was_heard("culver-fetch stops"));
		assert_false(was_heard("culver-fetch link culver-policy"));
		assert_string_equal(state_of("culver-fetch"), "ready");
		stop();
	}
	for (i = 0; i < COUNT(may_not); i++) {
		who_needs = may_not[i];
		start(ONE_KEY);
		await_flag(&is_ready);
		await_state(may_not[i], "ready");
		loop_turn(loop, false);
		assert_string_equal(state_of("culver-fetch"), "not needed");
		stop();
	}
}

static unsigned
times_heard(const char *text)
{
	const char *at = heard.text;
	unsigned n = 0;

	while (at != NULL && (at = strstr(at, text)) != NULL) {
		at += strlen(text);
		n++;
	}
	return n;
}

static void
test_fresh_links(void **unused)
{
	static const struct {
		const char	*who;
		enum program	 peer;
		const char	*answer;
	} rows[] = {
		{ "culver-delivery", PROGRAM_REPORTS,
		  "culver-reports link culver-delivery\n" },
		{ "culver-reports", PROGRAM_QUEUE,
		  "culver-queue link culver-reports\n" },
		{ "culver-reports", PROGRAM_POLICY,
		  "culver-policy link culver-reports\n" },
		{ "culver-queue", PROGRAM_SIGN,
		  "culver-sign link culver-queue\n" },
	};
	int64_t until_ms;
	size_t i;

	(void)unused;
	write_file("a.key", "key a");
	for (i = 0; i < COUNT(rows); i++) {
		start(ONE_KEY);
		await_flag(&is_ready);
		await(rows[i].answer);
		/* It dies, comes back with a link, and asks for another. */
		who_needs = rows[i].who;
		needed = rows[i].peer;
		forget_heard();
		kill(child_of(children, rows[i].peer == PROGRAM_SIGN ?
		    PROGRAM_QUEUE : strcmp(rows[i].who, "culver-reports") == 0
		    ? PROGRAM_REPORTS : PROGRAM_DELIVERY, NULL)->pid, SIGKILL);
		until_ms = loop_now_ms() + 10000;
		while (times_heard(rows[i].answer) < 2 &&
		    loop_now_ms() < until_ms) {
			loop_turn(loop, false);
			usleep(1000);
		}
		assert_int_equal(times_heard(rows[i].answer), 2);
		stop();
	}
}

static void
test_stops_in_order(void **unused)
{
	(void)unused;
	write_file("a.key", "key a");
	who_needs = "culver-reports";
	needed = PROGRAM_FETCH;
	start(ONE_KEY);
	await_flag(&is_ready);
	await_state("culver-fetch", "ready");
	forget_heard();
	stop();
	assert_before("culver-smtpd stops", "culver-reports stops");
	assert_before("culver-delivery stops", "culver-reports stops");
	assert_before("culver-reports stops", "culver-queue stops");
	assert_before("culver-reports stops", "culver-policy stops");
	assert_before("culver-reports stops", "culver-sign stops");
	assert_before("culver-reports stops", "culver-fetch stops");
}

static void
test_hangup_while_stopping(void **unused)
{
	(void)unused;
	write_file("a.key", "key a");
	start("");
	await_flag(&is_ready);
	await_state("culver-reports", "ready");
	children_stop(children);
	configure("tls-report off\n" ONE_KEY);
	stop();
	assert_false(was_heard("culver-sign"));
	assert_int_equal(times_heard("culver-reports stops"), 1);
}

static void
test_connections(void **unused)
{
	struct p_connection who = { .socket = PROC_CONTROL };
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)unused;
	write_file("a.key", "key a");
	start(ONE_KEY);
	await_flag(&is_ready);
	assert_true(children_connect(children, PROGRAM_REPORTS, &who, fd));
	await("culver-reports connection\n");
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_false(children_connect(children, PROGRAM_SIGN, &who, fd));
	configure("tls-report off\n" ONE_KEY);
	await_state("culver-reports", "not needed");
	assert_false(children_connect(children, PROGRAM_REPORTS, &who, fd));
	close(fd);
	stop();
}

static void
test_no_certificates(void **unused)
{
	char *text;

	(void)unused;
	start("");
	await_flag(&is_ready);
	text = alarms();
	assert_string_equal(text, "");
	free(text);
	free(config->ca_file);
	config->ca_file = mem_copy("/nonexistent/ca.pem");
	children_configure(children, config);
	text = alarms();
	assert_string_equal(text, "culverd ca: no certificates are trusted: "
	    "/nonexistent/ca.pem: No such file or directory\n");
	free(text);
	configure("");
	text = alarms();
	assert_string_equal(text, "");
	free(text);
	stop();
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
	buffer_free(&heard);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		{ "all that is called for starts, linked, with its keys",
		    test_all_start, NULL, NULL, NULL },
		{ "smtpd comes before all others", test_smtpd_first, NULL,
		    NULL, NULL },
		{ "what is not called for does not start",
		    test_what_is_not_called_for, NULL, NULL, NULL },
		{ "a key that cannot be opened is an alarm that names it",
		    test_key_is_missing, NULL, NULL, NULL },
		{ "SIGHUP starts and stops reports and sign", test_hangup,
		    NULL, NULL, NULL },
		{ "one that died and is not called for stays away",
		    test_dismissed_while_dead, NULL, NULL, NULL },
		{ "mail flows while reports does not start",
		    test_dies_at_start, NULL, NULL, NULL },
		{ "fetch is started for policy and for reports",
		    test_fetch_is_asked_for, NULL, NULL, NULL },
		{ "a peer gets the fresh link it asks for", test_fresh_links,
		    NULL, NULL, NULL },
		{ "reports stops before those whom it asks",
		    test_stops_in_order, NULL, NULL, NULL },
		{ "a configuration that comes too late starts nothing",
		    test_hangup_while_stopping, NULL, NULL, NULL },
		{ "reports answers operators, sign does not",
		    test_connections, NULL, NULL, NULL },
		{ "a bundle that cannot be opened is an alarm",
		    test_no_certificates, NULL, NULL, NULL },
	};

	log_start("test");
	log_set_level(LOG_LEVEL_ERROR);
	log_to(on_line, NULL);
	signal(SIGPIPE, SIG_IGN);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("children", tests, make_folder,
	    remove_folder);
}
