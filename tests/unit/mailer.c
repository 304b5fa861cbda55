/*
 * The way of a report's mail into the queue: this test is the queue.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "conf/log.h"
#include "conf/parent.h"
#include "reports/mailer.h"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#define MESSAGE	"From: a@our.example\r\nmessage-id: <1@our.example>\r\n\r\n" \
		"Message-ID: <no>\r\n"
#define KEY	"report-0123456789abcdef-0"

static unsigned needed;

/* In the place of conf/parent.c. */
void
parent_need(enum program program)
{
	assert_int_equal(program, PROGRAM_QUEUE);
	needed++;
}

struct world {
	struct loop		*loop;
	struct mailer		*mailer;
	struct wire_port	 queue;
	uint64_t		 id;
	int			 pipe;		/* read end; -1 */
	/* what came of it */
	unsigned		 calls;
	enum mailed		 mailed;
	uint32_t		 code;
	char			 text[256];
	unsigned		 keys;
	struct q_key		 key;
};

static void
no_log(void *context, enum log_level level, const char *line)
{
	(void)context;
	(void)level;
	(void)line;
}

static void
turn(struct world *world)
{
	int i;

	for (i = 0; i < 6; i++)
		loop_turn(world->loop, false);
}

static void
connect_queue(struct world *world)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    ends), 0);
	wire_port_close(&world->queue);
	wire_port_open(&world->queue, ends[0], &intake_wire);
	mailer_link(world->mailer, ends[1]);
}

static int
begin(void **state)
{
	struct world *world = mem_alloc(sizeof(*world));

	needed = 0;
	world->loop = loop_new();
	world->mailer = mailer_new(world->loop);
	world->queue.fd = world->pipe = -1;
	*state = world;
	return 0;
}

static int
end(void **state)
{
	struct world *world = *state;

	mailer_free(&world->mailer);
	wire_port_close(&world->queue);
	if (world->pipe != -1)
		close(world->pipe);
	loop_free(&world->loop);
	free(world);
	return 0;
}

static void
on_mailed(void *context, enum mailed mailed, uint32_t code, const char *text)
{
	struct world *world = context;

	world->calls++;
	world->mailed = mailed;
	world->code = code;
	snprintf(world->text, sizeof(world->text), "%s", text);
}

static void
on_key(void *context, const struct q_key *key)
{
	struct world *world = context;

	world->keys++;
	world->key = *key;
}

static void
send_text(struct world *world, const char *text)
{
	struct buffer message = { NULL, 0, 0 };

	buffer_add(&message, slice_of(text));
	mailer_send(world->mailer, KEY, "tls-reports@our.example",
	    "tls@a.example", &message, on_mailed, world);
	assert_null(message.text);
	turn(world);
}

static const void *
hear(struct world *world, unsigned kind)
{
	int fds[WIRE_FDS_MAX] = { -1, -1, -1, -1 };
	const void *message;

	turn(world);
	assert_int_equal(wire_port_receive(&world->queue, &message, fds,
	    wire_now_ms()), kind);
	if (fds[0] != -1)
		world->pipe = fds[0];
	return message;
}

static void
say(struct world *world, unsigned kind, const void *message)
{
	assert_int_equal(wire_port_send(&world->queue, kind, message, NULL,
	    wire_now_ms() + 1000), 0);
	turn(world);
}

static void
say_id(struct world *world, unsigned kind)
{
	struct q_id id = { world->id };

	say(world, kind, &id);
}

/* The steps; each is over with the last message that is heard. */
enum { OPENED, DATA, GOING, ENDED };

static void
go_to(struct world *world, int step)
{
	struct q_rcpt_answer answer = { .code = 250 };
	const struct q_open *open = hear(world, Q_OPEN);
	const struct q_rcpt *rcpt;
	const struct q_end *ended;
	char text[1024];
	ssize_t n;

	world->id = answer.id = open->id;
	assert_int_equal(open->class, CLASS_REPORT);
	assert_string_equal(open->key, KEY);
	assert_string_equal(open->sender, "tls-reports@our.example");
	assert_int_equal(open->size_bytes, sizeof(MESSAGE) - 1);
	rcpt = hear(world, Q_RCPT);
	assert_string_equal(rcpt->recipient, "tls@a.example");
	if (step == OPENED)
		return;
	say(world, Q_RCPT_ANSWER, &answer);
	hear(world, Q_DATA);
	if (step == DATA)
		return;
	say_id(world, Q_GO);
	if (step == GOING)
		return;
	n = read(world->pipe, text, sizeof(text));
	assert_int_equal(n, sizeof(MESSAGE) - 1);
	assert_memory_equal(text, MESSAGE, sizeof(MESSAGE) - 1);
	assert_int_equal(read(world->pipe, text, 1), 0);
	ended = hear(world, Q_END);
	assert_int_equal(ended->size_bytes, sizeof(MESSAGE) - 1);
	assert_string_equal(ended->msgid, "<1@our.example>");
}

static void
test_taken(void **state)
{
	struct world *world = *state;

	assert_false(mailer_has_room(world->mailer));
	connect_queue(world);
	send_text(world, MESSAGE);
	go_to(world, ENDED);
	assert_int_equal(world->calls, 0);
	say_id(world, Q_TAKEN);
	assert_int_equal(world->calls, 1);
	assert_int_equal(world->mailed, MAILED_TAKEN);
	/* once, whatever comes */
	say_id(world, Q_TAKEN);
	assert_int_equal(world->calls, 1);
}

/* A key that is known is taken at once, and nothing is sent. */
static void
test_known(void **state)
{
	struct world *world = *state;

	connect_queue(world);
	send_text(world, MESSAGE);
	go_to(world, DATA);
	say_id(world, Q_TAKEN);
	assert_int_equal(world->mailed, MAILED_TAKEN);
	assert_int_equal(world->calls, 1);
}

static void
test_refused(void **state)
{
	struct world *world = *state;
	struct q_refused refused = { .code = 452, .text = "4.3.1 no space" };
	struct q_rcpt_answer answer = { .code = 451, .text = "4.3.2 wait" };
	int step;

	connect_queue(world);
	for (step = OPENED; step <= ENDED; step++) {
		send_text(world, MESSAGE);
		go_to(world, step);
		refused.id = world->id;
		say(world, Q_REFUSED, &refused);
		assert_int_equal(world->calls, step + 1);
		assert_int_equal(world->mailed, MAILED_NOT);
		assert_int_equal(world->code, 452);
		assert_string_equal(world->text, "4.3.1 no space");
		if (world->pipe != -1)
			close(world->pipe);
		world->pipe = -1;
		if (step == GOING)	/* it was poured by then */
			hear(world, Q_END);
	}
	send_text(world, MESSAGE);
	go_to(world, OPENED);
	answer.id = world->id;
	say(world, Q_RCPT_ANSWER, &answer);
	assert_int_equal(world->code, 451);
	hear(world, Q_ABORT);
}

/* Queue dies: could it have taken it? */
static void
test_death(void **state)
{
	static const enum mailed ends[] = { MAILED_NOT, MAILED_UNKNOWN,
		MAILED_UNKNOWN, MAILED_UNKNOWN };
	struct world *world = *state;
	unsigned step;

	for (step = OPENED; step <= ENDED; step++) {
		connect_queue(world);
		send_text(world, MESSAGE);
		go_to(world, (int)step);
		wire_port_close(&world->queue);
		turn(world);
		assert_int_equal(world->calls, step + 1);
		assert_int_equal(world->mailed, ends[step]);
		assert_int_equal(needed, step + 1);
		assert_false(mailer_is_linked(world->mailer));
		if (world->pipe != -1)
			close(world->pipe);
		world->pipe = -1;
	}
}

static void
test_room(void **state)
{
	struct world *world = *state;
	unsigned i;

	connect_queue(world);
	for (i = 0; i < MAILER_MAX; i++) {
		assert_true(mailer_has_room(world->mailer));
		send_text(world, MESSAGE);
	}
	assert_false(mailer_has_room(world->mailer));
	/* a fresh link is the old one's end */
	connect_queue(world);
	assert_int_equal(world->calls, MAILER_MAX);
	assert_int_equal(world->mailed, MAILED_NOT);
	assert_true(mailer_has_room(world->mailer));
}

static void
test_keys(void **state)
{
	struct world *world = *state;
	struct q_key key = { .key = "b", .state = KEY_REFUSED, .code = 550 };

	/* without a link it waits for one, and is asked again on the next */
	mailer_ask(world->mailer, "a", on_key, world);
	mailer_ask(world->mailer, "b", on_key, world);
	connect_queue(world);
	assert_string_equal(((const struct q_ask_key *)hear(world,
	    Q_ASK_KEY))->key, "a");
	connect_queue(world);
	hear(world, Q_ASK_KEY);
	assert_string_equal(((const struct q_ask_key *)hear(world,
	    Q_ASK_KEY))->key, "b");
	say(world, Q_KEY, &key);
	assert_int_equal(world->keys, 1);
	assert_int_equal(world->key.code, 550);
	say(world, Q_KEY, &key);
	assert_int_equal(world->keys, 1);
	strcpy(key.key, "a");
	say(world, Q_KEY, &key);
	assert_int_equal(world->keys, 2);
}

/* Nonsense from queue is its death. */
static void
test_nonsense(void **state)
{
	struct world *world = *state;

	connect_queue(world);
	send_text(world, MESSAGE);
	assert_int_equal(send(world->queue.fd, "nonsense", 8, 0), 8);
	turn(world);
	assert_int_equal(needed, 1);
	assert_int_equal(world->mailed, MAILED_NOT);
	assert_int_equal(world->calls, 1);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "a mail is taken", test_taken, begin, end, NULL },
		{ "T36 a key that is known is taken", test_known, begin, end,
		    NULL },
		{ "refused at each step", test_refused, begin, end, NULL },
		{ "the death of queue at each step", test_death, begin, end,
		    NULL },
		{ "so many at a time", test_room, begin, end, NULL },
		{ "what became of it", test_keys, begin, end, NULL },
		{ "nonsense is a death", test_nonsense, begin, end, NULL },
	};

	signal(SIGPIPE, SIG_IGN);
	log_to(no_log, NULL);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
