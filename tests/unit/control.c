/*
 * conf/control.c: verbs asked over a socket and without one, in slices, with
 * a caller that reads, does not read, or goes away.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conf/control.h"
#include "conf/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))
#define ROWS		1234

/* What the verbs below note. */
static struct {
	unsigned	released;
	unsigned	slices;
} seen;

/* Milliseconds that the clocks are ahead: pauses need not be waited for. */
static int64_t offset_ms;

/* Instead of libc's, for everything linked into this program. */
int
clock_gettime(clockid_t clock, struct timespec *now)
{
	long result = syscall(SYS_clock_gettime, clock, now);

	now->tv_nsec += offset_ms % 1000 * 1000000;
	now->tv_sec += offset_ms / 1000 + now->tv_nsec / 1000000000;
	now->tv_nsec %= 1000000000;
	return (int)result;
}

/* ---- verbs ---- */

static void
say(struct control *control, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void
say(struct control *control, const char *format, ...)
{
	struct buffer json = { NULL, 0, 0 };
	char text[256];
	va_list values;

	va_start(values, format);
	vsnprintf(text, sizeof(text), format, values);
	va_end(values);
	buffer_add(&json, slice_of(text));
	control_line(control, &json);
	buffer_free(&json);
}

/* {"word":...} for each argument. */
static void
run_echo(void *program, struct control *control, int argc, char **argv)
{
	int i;

	assert_string_equal(program, "the program");
	say(control, "uid %u admin %d", (unsigned)control_uid(control),
	    control_is_admin(control));
	for (i = 0; i < argc; i++)
		say(control, "word %s", argv[i]);
	assert_null(argv[argc]);
	control_end(control, CONTROL_OK);
}

static void
run_fail(void *program, struct control *control, int argc, char **argv)
{
	(void)program;
	(void)argc;
	say(control, "before");
	control_error(control, "no %s there", argv[0]);
	control_end(control, CONTROL_NO);
}

/* 100,000 octets, NULs among them. */
static void
run_raw(void *program, struct control *control, int argc, char **argv)
{
	char octets[1000];
	int i;

	(void)program;
	(void)argc;
	(void)argv;
	for (i = 0; i < 100; i++) {
		memset(octets, i, sizeof(octets));
		control_octets(control, octets, sizeof(octets));
	}
	control_end(control, CONTROL_OK);
}

struct listing {
	unsigned	next, end;
};

static void
release(void *state)
{
	seen.released++;
	free(state);
}

static void
list_slice(void *program, struct control *control, void *state)
{
	struct listing *listing = state;
	unsigned n;

	(void)program;
	seen.slices++;
	for (n = 0; n < 500 && listing->next < listing->end; n++)
		say(control, "row %u", listing->next++);
	if (listing->next == listing->end)
		control_end(control, CONTROL_OK);
	else
		control_again(control, list_slice, listing, release);
}

static void
run_list(void *program, struct control *control, int argc, char **argv)
{
	struct listing *listing = mem_alloc(sizeof(*listing));

	(void)program;
	listing->end = argc > 0 ? (unsigned)atoi(argv[0]) : ROWS;
	control_again(control, list_slice, listing, release);
}

/* Goes on with another state, which must free the first. */
static void
list_other(void *program, struct control *control, void *state)
{
	struct listing *listing = mem_alloc(sizeof(*listing));

	(void)program;
	(void)state;
	listing->end = 3;
	control_again(control, list_slice, listing, release);
}

static void
run_other(void *program, struct control *control, int argc, char **argv)
{
	(void)program;
	(void)argc;
	(void)argv;
	control_again(control, list_other, mem_alloc(10), release);
}

/* Says nothing for three slices. */
static void
wait_slice(void *program, struct control *control, void *state)
{
	unsigned *left = state;

	(void)program;
	seen.slices++;
	if ((*left)-- > 0) {
		control_again(control, wait_slice, left, NULL);
		return;
	}
	say(control, "done");
	control_end(control, CONTROL_OK);
}

static void
run_wait(void *program, struct control *control, int argc, char **argv)
{
	unsigned *left = mem_alloc(sizeof(*left));

	(void)program;
	(void)argc;
	(void)argv;
	*left = 3;
	control_again(control, wait_slice, left, NULL);
}

/* The same, and each slice takes long. */
static void
slow_slice(void *program, struct control *control, void *state)
{
	unsigned *left = state;

	(void)program;
	offset_ms += 11000;
	if ((*left)-- > 0) {
		control_again(control, slow_slice, left, NULL);
		return;
	}
	say(control, "done");
	control_end(control, CONTROL_OK);
}

static void
run_slow(void *program, struct control *control, int argc, char **argv)
{
	unsigned *left = mem_alloc(sizeof(*left));

	(void)program;
	(void)argc;
	(void)argv;
	*left = 3;
	control_again(control, slow_slice, left, NULL);
}

static const struct control_verb verbs[] = {
	{ "queue", "slow", false, run_slow },
	{ "queue", "echo", false, run_echo },
	{ "queue", "mine", true, run_echo },
	{ "queue", "fail", false, run_fail },
	{ "queue", "raw", false, run_raw },
	{ "queue", "list", false, run_list },
	{ "queue", "other", false, run_other },
	{ "queue", "wait", false, run_wait },
	{ "explain", NULL, true, run_echo },
	{ NULL, NULL, false, NULL }
};
static const struct control_verb any[] = {
	{ "*", NULL, true, run_echo },
	{ NULL, NULL, false, NULL }
};
static char program[] = "the program";

/* ---- asking ---- */

struct asked {
	struct loop		*loop;
	struct wire_port	 port;
	struct buffer		 output, errors;
	unsigned		 empty;		/* outputs */
	int			 status;	/* -1: none came */
};

static void
begin(struct asked *asked, struct loop *loop, bool admin,
    const struct control_verb *table)
{
	int ends[2];

	memset(asked, 0, sizeof(*asked));
	memset(&seen, 0, sizeof(seen));
	assert_int_equal(socketpair(AF_UNIX,
	    SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	asked->loop = loop;
	asked->status = -1;
	control_serve(loop, ends[0], 1234, admin, table, program);
	wire_port_open(&asked->port, ends[1], &control_wire);
}

static void
send_words(struct asked *asked, const char *words, size_t len)
{
	static struct c_request request;

	request.words_len = (uint32_t)len;
	memcpy(request.words, words, len);
	assert_int_equal(wire_port_send(&asked->port, C_REQUEST, &request,
	    NULL, 0), 0);
}

/* One message, if there is one; false: the connection is over. */
static bool
take(struct asked *asked)
{
	const void *message;
	int kind;

	kind = wire_port_receive(&asked->port, &message, NULL, 0);
	if (kind == C_OUTPUT && ((const struct c_output *)message)->octets_len
	    == 0)
		asked->empty++;
	else if (kind == C_OUTPUT)
		buffer_add(&asked->output, (struct slice){
		    (const char *)((const struct c_output *)message)->octets,
		    ((const struct c_output *)message)->octets_len });
	else if (kind == C_ERROR)
		buffer_printf(&asked->errors, "%s\n",
		    ((const struct c_error *)message)->text);
	else if (kind == C_END)
		asked->status = (int)((const struct c_end *)message)->status;
	return kind != 0;
}

static void
take_all(struct asked *asked)
{
	int64_t until_ms = wire_now_ms() + 600000;

	while (asked->status == -1 && wire_now_ms() < until_ms) {
		loop_turn(asked->loop, false);
		if (!take(asked))
			return;
		offset_ms++;
	}
}

/* The caller goes away, and the program notices. */
static void
finish(struct asked *asked)
{
	int i;

	wire_port_close(&asked->port);
	for (i = 0; i < 5; i++)
		loop_turn(asked->loop, false);
	buffer_free(&asked->output);
	buffer_free(&asked->errors);
}

/* ---- words, rights, statuses ---- */

struct row {
	const char	*words;		/* "|" ends each */
	bool		 admin;
	int		 status;
	const char	*output;
	const char	*error;		/* part of it */
};

static const struct row rows[] = {
	{ "queue|echo|", true, 0, "uid 1234 admin 1\n", "" },
	{ "queue|echo|a|b c||", true, 0,
	  "uid 1234 admin 1\nword a\nword b c\nword \n", "" },
	{ "queue|echo|", false, 77, "", "not permitted" },
	{ "queue|mine|x|", false, 0, "uid 1234 admin 0\nword x\n", "" },
	{ "queue|mine|x|", true, 0, "uid 1234 admin 1\nword x\n", "" },
	{ "queue|fail|mail|", true, 1, "before\n", "no mail there" },
	{ "queue|frob|", true, 64, "", "there is no queue frob" },
	{ "queue|frob|", false, 64, "", "there is no queue frob" },
	{ "queue|", true, 64, "", "there is no queue" },
	{ "Queue|echo|", true, 64, "", "there is no Queue echo" },
	{ "queu|echo|", true, 64, "", "there is no queu echo" },
	{ "|", true, 64, "", "there is no" },
	{ "explain|", false, 0, "uid 1234 admin 0\n", "" },
	{ "explain|list|", false, 0, "uid 1234 admin 0\nword list\n", "" },
	{ "queue|other|", true, 0, "row 0\nrow 1\nrow 2\n", "" },
	{ "queue|wait|", true, 0, "done\n", "" },
	{ "queue|list|0|", true, 0, "", "" },
	{ "queue|list|1|", true, 0, "row 0\n", "" },
};

static void
test_rows(void **unused)
{
	struct loop *loop = loop_new();
	struct asked asked;
	char words[256];
	const struct row *row;
	size_t i;

	(void)unused;
	for (row = rows; row < rows + COUNT(rows); row++) {
		begin(&asked, loop, row->admin, verbs);
		for (i = 0; row->words[i] != '\0'; i++)
			words[i] = row->words[i] == '|' ? '\0' :
			    row->words[i];
		send_words(&asked, words, i);
		take_all(&asked);
		if (asked.status != row->status)
			fail_msg("%s: status %d", row->words, asked.status);
		assert_string_equal(asked.output.len > 0 ?
		    asked.output.text : "", row->output);
		if (row->error[0] == '\0')
			assert_int_equal(asked.errors.len, 0);
		else
			assert_non_null(strstr(asked.errors.text, row->error));
		finish(&asked);
	}
	loop_free(&loop);
}

static void
test_any(void **unused)
{
	struct loop *loop = loop_new();
	struct asked asked;

	(void)unused;
	begin(&asked, loop, false, any);
	send_words(&asked, "what\0ever\0x", 12);
	take_all(&asked);
	assert_int_equal(asked.status, 0);
	assert_string_equal(asked.output.text,
	    "uid 1234 admin 0\nword ever\nword x\n");
	finish(&asked);
	loop_free(&loop);
}

static void
test_raw(void **unused)
{
	struct loop *loop = loop_new();
	struct asked asked;
	size_t i;

	(void)unused;
	begin(&asked, loop, true, verbs);
	send_words(&asked, "queue\0raw", 10);
	take_all(&asked);
	assert_int_equal(asked.status, 0);
	assert_int_equal(asked.output.len, 100000);
	for (i = 0; i < 100000; i++)
		assert_int_equal(asked.output.text[i], i / 1000);
	finish(&asked);
	loop_free(&loop);
}

/* ---- what is no request ---- */

static void
test_no_request(void **unused)
{
	static const struct {
		const char	*words;
		size_t		 len;
	} bad[] = {
		{ "", 0 }, { "queue", 5 }, { "queue\0echo", 10 },
	};
	struct loop *loop = loop_new();
	struct asked asked;
	const struct c_end end = { .status = 0 };
	size_t i;

	(void)unused;
	for (i = 0; i < COUNT(bad); i++) {
		begin(&asked, loop, true, verbs);
		send_words(&asked, bad[i].words, bad[i].len);
		take_all(&asked);
		assert_int_equal(asked.status, -1);
		finish(&asked);
	}
	/* Another kind, octets of no kind, and a second request. */
	begin(&asked, loop, true, verbs);
	wire_port_send(&asked.port, C_END, &end, NULL, 0);
	take_all(&asked);
	assert_int_equal(asked.status, -1);
	finish(&asked);
	begin(&asked, loop, true, verbs);
	assert_int_equal(send(asked.port.fd, "nonsense", 8, 0), 8);
	take_all(&asked);
	assert_int_equal(asked.status, -1);
	finish(&asked);
	begin(&asked, loop, true, verbs);
	send_words(&asked, "queue\0echo", 11);
	take_all(&asked);
	assert_int_equal(asked.status, 0);
	send_words(&asked, "queue\0echo", 11);
	loop_turn(loop, false);
	assert_int_equal(wire_port_receive(&asked.port, &(const void *){ NULL },
	    NULL, 0), 0);
	finish(&asked);
	loop_free(&loop);
}

/* ---- slices ---- */

static void
test_slices(void **unused)
{
	struct buffer expected = { NULL, 0, 0 };
	struct loop *loop = loop_new();
	struct asked asked;
	unsigned i;

	(void)unused;
	begin(&asked, loop, true, verbs);
	send_words(&asked, "queue\0list", 11);
	take_all(&asked);
	for (i = 0; i < ROWS; i++)
		buffer_printf(&expected, "row %u\n", i);
	assert_int_equal(asked.status, 0);
	assert_string_equal(asked.output.text, expected.text);
	assert_int_equal(seen.slices, 3);
	assert_int_equal(seen.released, 1);
	finish(&asked);
	buffer_free(&expected);
	loop_free(&loop);
}

static void
test_other_state_is_released(void **unused)
{
	struct loop *loop = loop_new();
	struct asked asked;

	(void)unused;
	begin(&asked, loop, true, verbs);
	send_words(&asked, "queue\0other", 12);
	take_all(&asked);
	assert_int_equal(seen.released, 2);
	finish(&asked);
	loop_free(&loop);
}

/* A slice a turn, so that others get theirs. */
static void
test_a_slice_a_turn(void **unused)
{
	struct loop *loop = loop_new();
	struct asked one, two;
	unsigned before;
	int i;

	(void)unused;
	begin(&one, loop, true, verbs);
	begin(&two, loop, true, verbs);
	send_words(&one, "queue\0list\0" "100000", 18);
	send_words(&two, "queue\0echo", 11);
	for (i = 0; i < 20; i++) {
		before = seen.slices;
		offset_ms += 100;	/* the longest pause between slices */
		loop_turn(loop, false);
		assert_true(seen.slices - before <= 1);
		take(&one);
		take(&two);
	}
	assert_int_equal(two.status, 0);
	assert_int_equal(one.status, -1);
	assert_true(seen.slices > 2);
	finish(&two);
	finish(&one);
	assert_int_equal(seen.released, 1);
	loop_free(&loop);
}

/* Turns until the work has stood still for a second. */
static void
turn_until_still(struct loop *loop)
{
	unsigned before = 0;

	for (int still = 0; still < 1000; still++) {
		offset_ms++;
		loop_turn(loop, false);
		if (seen.slices != before)
			still = 0;
		before = seen.slices;
	}
}

/* A caller that does not read stops the work, and reading starts it again. */
static void
test_caller_that_does_not_read(void **unused)
{
	struct loop *loop = loop_new();
	struct asked asked;

	(void)unused;
	begin(&asked, loop, true, verbs);
	send_words(&asked, "queue\0list\0" "1000000", 19);
	turn_until_still(loop);
	/* 500 rows of some 11 octets a slice, 4 MiB and the socket at most. */
	assert_true(seen.slices > 10 && seen.slices < 1500);
	take_all(&asked);
	assert_int_equal(asked.status, 0);
	assert_int_equal(seen.slices, 2000);
	assert_int_equal(seen.released, 1);
	finish(&asked);
	loop_free(&loop);
}

/* Who waits long hears that somebody is there; it is no part of the answer. */
static void
test_sign_of_life(void **unused)
{
	struct loop *loop = loop_new();
	struct asked asked;

	(void)unused;
	begin(&asked, loop, true, verbs);
	send_words(&asked, "queue\0slow", 11);
	take_all(&asked);
	assert_int_equal(asked.status, 0);
	assert_int_equal(asked.empty, 3);
	assert_string_equal(asked.output.text, "done\n");
	finish(&asked);
	loop_free(&loop);
}

static void
test_caller_that_goes_away(void **unused)
{
	struct loop *loop = loop_new();
	struct asked asked;

	(void)unused;
	begin(&asked, loop, true, verbs);
	send_words(&asked, "queue\0list\0" "2000000", 19);
	loop_turn(loop, false);
	loop_turn(loop, false);
	assert_int_equal(seen.released, 0);
	finish(&asked);
	assert_int_equal(seen.released, 1);
	loop_free(&loop);
}

/* Waiting without output does not spin. */
static void
test_waiting_is_cheap(void **unused)
{
	struct loop *loop = loop_new();
	struct asked asked;
	int64_t begun_ms = wire_now_ms();

	(void)unused;
	begin(&asked, loop, true, verbs);
	send_words(&asked, "queue\0wait", 11);
	take_all(&asked);
	assert_int_equal(asked.status, 0);
	assert_int_equal(seen.slices, 4);
	assert_true(wire_now_ms() - begun_ms >= 40);
	finish(&asked);
	loop_free(&loop);
}

/* ---- bounds ---- */

static void
test_bounds(void **unused)
{
	struct loop *loop = loop_new();
	static struct asked asked[70];
	char octet;
	size_t i;

	(void)unused;
	/* 16 of anybody's; more are closed at once. */
	for (i = 0; i < 17; i++)
		begin(&asked[i], loop, false, verbs);
	assert_int_equal(recv(asked[16].port.fd, &octet, 1, MSG_DONTWAIT), 0);
	assert_int_equal(recv(asked[15].port.fd, &octet, 1, MSG_DONTWAIT), -1);
	/* Admins still come in, to 64 in all. */
	for (i = 17; i < 66; i++)
		begin(&asked[i], loop, true, verbs);
	assert_int_equal(recv(asked[64].port.fd, &octet, 1, MSG_DONTWAIT), -1);
	assert_int_equal(recv(asked[65].port.fd, &octet, 1, MSG_DONTWAIT), 0);
	for (i = 0; i < 66; i++)
		finish(&asked[i]);
	/* And room is given back. */
	begin(&asked[0], loop, false, verbs);
	send_words(&asked[0], "explain", 8);
	take_all(&asked[0]);
	assert_int_equal(asked[0].status, 0);
	finish(&asked[0]);
	loop_free(&loop);
}

/* ---- without a relay ---- */

static char *
run_alone(int argc, char **argv, int *status)
{
	FILE *out = tmpfile(), *err = tmpfile();
	int old_out = dup(STDOUT_FILENO), old_err = dup(STDERR_FILENO);
	static char text[200000];
	size_t len;

	memset(&seen, 0, sizeof(seen));
	fflush(stdout);
	fflush(stderr);
	dup2(fileno(out), STDOUT_FILENO);
	dup2(fileno(err), STDERR_FILENO);
	*status = control_run(verbs, program, argc, argv);
	fflush(stdout);
	fflush(stderr);
	dup2(old_out, STDOUT_FILENO);
	dup2(old_err, STDERR_FILENO);
	close(old_out);
	close(old_err);
	rewind(out);
	rewind(err);
	len = fread(text, 1, sizeof(text) - 1, out);
	len += fread(text + len, 1, sizeof(text) - 1 - len, err);
	text[len] = '\0';
	fclose(out);
	fclose(err);
	return text;
}

static void
test_alone(void **unused)
{
	char queue[] = "queue", list[] = "list", fail[] = "fail",
	    mail[] = "mail", frob[] = "frob", wait[] = "wait",
	    explain[] = "explain", three[] = "3";
	char *list_words[] = { queue, list, three, NULL };
	char *fail_words[] = { queue, fail, mail, NULL };
	char *frob_words[] = { queue, frob, NULL };
	char *wait_words[] = { queue, wait, NULL };
	char *explain_words[] = { explain, mail, NULL };
	char *text, expected[128];
	int status;

	(void)unused;
	text = run_alone(3, list_words, &status);
	assert_int_equal(status, 0);
	assert_string_equal(text, "row 0\nrow 1\nrow 2\n");
	assert_int_equal(seen.released, 1);
	text = run_alone(3, fail_words, &status);
	assert_int_equal(status, 1);
	assert_string_equal(text, "before\nculverctl: no mail there\n");
	text = run_alone(2, frob_words, &status);
	assert_int_equal(status, 64);
	assert_string_equal(text, "culverctl: there is no queue frob\n");
	text = run_alone(2, wait_words, &status);
	assert_int_equal(status, 0);
	assert_string_equal(text, "done\n");
	text = run_alone(2, explain_words, &status);
	assert_int_equal(status, 0);
	snprintf(expected, sizeof(expected), "uid %u admin 1\nword mail\n",
	    (unsigned)geteuid());
	assert_string_equal(text, expected);
	text = run_alone(0, explain_words, &status);
	assert_int_equal(status, 64);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_any),
		cmocka_unit_test(test_raw),
		cmocka_unit_test(test_no_request),
		cmocka_unit_test(test_slices),
		cmocka_unit_test(test_other_state_is_released),
		cmocka_unit_test(test_a_slice_a_turn),
		cmocka_unit_test(test_caller_that_does_not_read),
		cmocka_unit_test(test_caller_that_goes_away),
		cmocka_unit_test(test_waiting_is_cheap),
		cmocka_unit_test(test_sign_of_life),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_alone),
	};

	log_start("test");
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
