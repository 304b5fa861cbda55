/* Links in a loop: both ways, full, paused, gone, closed from anywhere. */
#include "conf/link.h"

#include "conf/log.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct note {
	uint32_t	number;
	char		text[32];
};
static const struct wire_field note_fields[] = {
	WIRE_FIELD(struct note, number, WIRE_U32, 0),
	WIRE_FIELD_TEXT(struct note, text),
};
struct bulk {
	uint32_t	octets_len;
	uint8_t		octets[40000];
};
static const struct wire_field bulk_fields[] = {
	WIRE_FIELD_BYTES(struct bulk, octets),
};
enum { X_NOTE = 0x6101, X_BULK, X_FD, X_TWO };
static const struct wire_message rows[] = {
	WIRE_ROW(X_NOTE, struct note, note_fields, 0),
	WIRE_ROW(X_BULK, struct bulk, bulk_fields, 0),
	WIRE_ROW(X_FD, struct note, note_fields, 1),
	{ X_TWO, "X_TWO", 0, NULL, 0, 2 },
};
static const struct wire_table table = { "test", rows, 4 };

/* One end, what came there, and what it does when something comes. */
struct side {
	struct link	*link;
	unsigned	 messages, closed, drained;
	uint32_t	 last_number;
	bool		 in_order;
	int		 kept_fd;
	enum { ANSWER_NOTHING, ANSWER_ECHO, ANSWER_CLOSE, ANSWER_CLOSE_OTHER,
		ANSWER_PAUSE, ANSWER_KEEP } answer;
};
static struct loop *loop;
static struct side a, b;
static int closed_in_send;
static bool sending;

static void
on_message(void *context, struct link *link, unsigned kind,
    const void *message, int *fds)
{
	struct side *side = context;
	const struct note *note = message;

	assert_ptr_equal(link, side->link);
	side->messages++;
	if (kind == X_NOTE || kind == X_FD) {
		if (note->number != side->last_number + 1)
			side->in_order = false;
		side->last_number = note->number;
	}
	if (side->answer == ANSWER_ECHO)
		link_send(link, X_NOTE, note, NULL);
	if (side->answer == ANSWER_CLOSE)
		link_close(&side->link);
	if (side->answer == ANSWER_CLOSE_OTHER)
		link_close(side == &a ? &b.link : &a.link);
	if (side->answer == ANSWER_PAUSE)
		link_pause(link, true);
	if (side->answer == ANSWER_KEEP && kind == X_FD) {
		side->kept_fd = fds[0];
		fds[0] = -1;
	}
	/* The message stays readable until here, closed or not. */
	if (kind == X_NOTE)
		assert_true(strlen(note->text) < sizeof(note->text));
}

static void
on_closed(void *context, struct link *link)
{
	struct side *side = context;

	assert_ptr_equal(link, side->link);
	if (sending)
		closed_in_send++;
	side->closed++;
	side->link = NULL;
}

static void
on_drained(void *context, struct link *link)
{
	struct side *side = context;

	assert_false(link_full(link));
	side->drained++;
}

static const struct link_calls calls = { on_message, on_closed, on_drained };

static void
quiet(void *context, enum log_level level, const char *line)
{
	(void)context;
	(void)level;
	(void)line;
}

static int
begin(void **unused)
{
	int fds[2];

	(void)unused;
	log_to(quiet, NULL);
	loop = loop_new();
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	a.in_order = b.in_order = true;
	a.kept_fd = b.kept_fd = -1;
	closed_in_send = 0;
	sending = false;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0, fds) == -1)
		return -1;
	a.link = link_new(loop, fds[0], &table, &calls, &a);
	b.link = link_new(loop, fds[1], &table, &calls, &b);
	return 0;
}

static int
end(void **unused)
{
	(void)unused;
	link_close(&a.link);
	link_close(&b.link);
	loop_free(&loop);
	return 0;
}

static unsigned
count_fds(void)
{
	unsigned n = 0;
	int fd;

	for (fd = 0; fd < 256; fd++)
		if (fcntl(fd, F_GETFD) != -1)
			n++;
	return n;
}

static void
turns(unsigned n)
{
	while (n-- > 0)
		loop_turn(loop, false);
}

static void
send_notes(struct side *side, uint32_t first, uint32_t n)
{
	struct note note = { first, "note" };

	sending = true;
	for (; n > 0; n--, note.number++)
		link_send(side->link, X_NOTE, &note, NULL);
	sending = false;
}

static void
test_both_ways(void **unused)
{
	(void)unused;
	b.answer = ANSWER_ECHO;
	send_notes(&a, 1, 5);
	turns(3);
	assert_int_equal(b.messages, 5);
	assert_int_equal(a.messages, 5);
	assert_true(a.in_order && b.in_order);
	assert_int_equal(a.last_number, 5);
}

/* More than the socket holds: queued, in order, and said when it drains. */
static void
test_queue(void **unused)
{
	(void)unused;
	send_notes(&a, 1, 1500);
	assert_false(link_full(a.link));
	send_notes(&a, 1501, 2000);
	assert_true(link_full(a.link));
	while (b.messages < 3500)
		turns(1);
	assert_true(b.in_order);
	assert_false(link_full(a.link));
	assert_int_equal(a.drained, 1);
	assert_int_equal(a.closed + b.closed, 0);
}

static void
test_fairness(void **unused)
{
	(void)unused;
	send_notes(&a, 1, 200);
	turns(1);
	assert_in_range(b.messages, 1, 64);
}

static void
fill(struct side *side, unsigned n)
{
	struct bulk *bulk = mem_alloc(sizeof(*bulk));

	bulk->octets_len = sizeof(bulk->octets);
	sending = true;
	while (n-- > 0)
		link_send(side->link, X_BULK, bulk, NULL);
	sending = false;
	free(bulk);
}

/* A peer that does not read: closed, from the loop, with nothing sent on. */
static void
test_overflow(void **unused)
{
	(void)unused;
	link_pause(b.link, true);
	fill(&a, 60);
	assert_true(link_full(a.link));
	assert_int_equal(a.closed, 0);
	fill(&a, 200);
	assert_int_equal(closed_in_send, 0);
	assert_int_equal(a.closed, 0);
	assert_false(link_full(a.link));
	send_notes(&a, 1, 10);		/* swallowed */
	turns(2);
	assert_int_equal(a.closed, 1);
	assert_int_equal(a.drained, 0);
	link_pause(b.link, false);
	turns(20);
	assert_int_equal(b.closed, 1);
	assert_int_equal(b.last_number, 0);
}

static void
test_overflow_by_number(void **unused)
{
	(void)unused;
	link_pause(b.link, true);
	send_notes(&a, 1, 6000);
	turns(2);
	assert_int_equal(a.closed, 1);
	assert_int_equal(closed_in_send, 0);
}

static void
test_peer_closes(void **unused)
{
	(void)unused;
	send_notes(&a, 1, 3);
	link_close(&a.link);
	assert_null(a.link);
	turns(2);
	assert_int_equal(b.messages, 3);
	assert_int_equal(b.closed, 1);
	assert_int_equal(a.closed, 0);
	link_close(&a.link);		/* NULL is fine */
}

/* What the peer said before it went is heard, though sending fails first. */
static void
test_last_words(void **unused)
{
	(void)unused;
	send_notes(&a, 1, 2);		/* left unread */
	send_notes(&b, 1, 70);
	link_close(&b.link);
	send_notes(&a, 3, 5);
	assert_int_equal(closed_in_send, 0);
	assert_int_equal(a.closed, 0);
	turns(4);
	assert_int_equal(a.messages, 70);
	assert_true(a.in_order);
	assert_int_equal(a.closed, 1);
}

static void
test_close_inside(void **unused)
{
	(void)unused;
	b.answer = ANSWER_CLOSE;
	send_notes(&a, 1, 5);
	turns(3);
	assert_int_equal(b.messages, 1);
	assert_int_equal(b.closed, 0);
	assert_null(b.link);
	assert_int_equal(a.closed, 1);
}

static void
test_close_other(void **unused)
{
	(void)unused;
	a.answer = b.answer = ANSWER_CLOSE_OTHER;
	send_notes(&a, 1, 5);
	send_notes(&b, 1, 5);
	turns(4);
	/* Whichever ran first closed the other, and then heard its end. */
	assert_int_equal(a.closed + b.closed, 1);
	assert_true((a.link == NULL) && (b.link == NULL));
}

static void
close_in_closed(void *context, struct link *link)
{
	struct side *side = context;

	side->closed++;
	link_close(&link);
	side->link = NULL;
}

static void
test_close_in_closed(void **unused)
{
	static const struct link_calls odd = { on_message, close_in_closed,
		NULL };
	struct side c = { .in_order = true };
	int fds[2];

	(void)unused;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
	c.link = link_new(loop, fds[0], &table, &odd, &c);
	close(fds[1]);
	turns(2);
	assert_int_equal(c.closed, 1);
}

static void
test_close_flushes(void **unused)
{
	(void)unused;
	link_pause(b.link, true);
	send_notes(&a, 1, 2000);	/* some of them wait */
	link_pause(b.link, false);
	turns(1);
	assert_in_range(b.messages, 1, 64);
	link_close(&a.link);		/* room for some more now */
	turns(40);
	assert_true(b.in_order);
	assert_true(b.messages > 64);
	assert_int_equal(b.closed, 1);
}

static void
test_pause(void **unused)
{
	(void)unused;
	b.answer = ANSWER_PAUSE;
	send_notes(&a, 1, 5);
	turns(3);
	assert_int_equal(b.messages, 1);
	link_pause(b.link, false);
	turns(3);
	assert_int_equal(b.messages, 2);
	b.answer = ANSWER_NOTHING;
	link_pause(b.link, true);
	turns(2);
	assert_int_equal(b.messages, 2);
	link_close(&a.link);
	turns(2);
	assert_int_equal(b.closed, 0);	/* not read yet */
	link_pause(b.link, false);
	turns(2);
	assert_int_equal(b.messages, 5);
	assert_int_equal(b.closed, 1);
}

static void
test_fds(void **unused)
{
	struct note note = { 1, "fd" };
	unsigned before = count_fds();
	int pipes[2];
	char c;

	(void)unused;
	b.answer = ANSWER_KEEP;
	assert_int_equal(pipe(pipes), 0);
	link_send(a.link, X_FD, &note, pipes);		/* taken over */
	link_send(a.link, X_TWO, NULL, (int[]){ dup(pipes[1]),
	    dup(pipes[1]) });
	turns(2);
	assert_int_equal(b.messages, 2);
	assert_int_not_equal(b.kept_fd, -1);
	assert_int_equal(write(pipes[1], "x", 1), 1);
	assert_int_equal(read(b.kept_fd, &c, 1), 1);
	assert_int_equal(fcntl(b.kept_fd, F_GETFD), FD_CLOEXEC);
	close(b.kept_fd);
	close(pipes[1]);
	/* What the callee did not take is closed. */
	assert_int_equal(count_fds(), before);
}

/* Descriptors that wait in the queue arrive, or are closed with it. */
static void
test_fds_queued(void **unused)
{
	struct note note = { 1, "fd" };
	unsigned before = count_fds();
	int i;

	(void)unused;
	link_pause(b.link, true);
	fill(&a, 20);
	for (i = 0; i < 10; i++, note.number++)
		link_send(a.link, X_FD, &note, (int[]){ dup(1) });
	assert_int_equal(count_fds(), before + 10);
	link_pause(b.link, false);
	turns(10);
	assert_int_equal(b.last_number, 10);
	assert_int_equal(count_fds(), before);
	link_pause(b.link, true);
	fill(&a, 20);
	for (i = 0; i < 10; i++)
		link_send(a.link, X_FD, &note, (int[]){ dup(1) });
	assert_int_equal(count_fds(), before + 10);
	link_close(&a.link);
	assert_int_equal(count_fds(), before - 1);
}

static void
test_fds_to_gone(void **unused)
{
	struct note note = { 1, "fd" };
	unsigned before = count_fds();
	int i;

	(void)unused;
	link_close(&b.link);
	for (i = 0; i < 3; i++)
		link_send(a.link, X_FD, &note, (int[]){ dup(1) });
	assert_int_equal(count_fds(), before - 1);
}

/* Packets that the table does not allow. */
/* Gathered messages travel at the turn's end, in few packets. */
static void
test_gather(void **unused)
{
	(void)unused;
	link_gather(a.link);
	send_notes(&a, 1, 300);
	turns(1);	/* sends; perhaps they are heard in it too */
	turns(2);
	assert_int_equal(b.messages, 300);
	assert_true(b.in_order);
	send_notes(&a, 301, 2);
	link_flush(a.link);
	send_notes(&a, 303, 1);
	/* a descriptor's message goes behind what was gathered before it */
	link_send(a.link, X_FD, &(struct note){ 304, "" },
	    (int[]){ dup(1) });
	send_notes(&a, 305, 1);
	turns(3);
	assert_int_equal(b.messages, 305);
	assert_true(b.in_order);
	/* more than the socket holds */
	for (uint32_t n = 0; n < 40; n++) {
		send_notes(&a, 306 + 100 * n, 100);
		link_flush(a.link);
	}
	while (b.messages < 4305)
		turns(1);
	assert_true(b.in_order);
	assert_int_equal(a.closed + b.closed, 0);
}

/* A pause, an end or a close may come inside a packet. */
static void
test_inside_a_packet(void **unused)
{
	(void)unused;
	link_gather(a.link);
	b.answer = ANSWER_PAUSE;
	send_notes(&a, 1, 4);
	for (unsigned n = 1; n <= 4; n++) {
		turns(3);
		assert_int_equal(b.messages, n);
		link_pause(b.link, false);
	}
	assert_true(b.in_order);
	/* said and closed in one turn */
	send_notes(&a, 5, 2);
	link_close(&a.link);
	turns(3);
	assert_int_equal(b.messages, 5);
	b.answer = ANSWER_CLOSE;
	link_pause(b.link, false);
	turns(3);
	assert_int_equal(b.messages, 6);
	assert_null(b.link);
}

static void
test_refused(void **unused)
{
	static const struct wire_message liar_rows[] = {
		WIRE_ROW(X_NOTE, struct note, note_fields, 1),
		WIRE_ROW(X_FD, struct note, note_fields, 0),
		{ X_TWO, "X_TWO", 0, NULL, 0, 1 },
		{ X_BULK, "X_BULK", 0, NULL, 0, 0 },
		{ 0x6666, "X_ODD", 0, NULL, 0, 4 },
	};
	static const struct wire_table liar = { "liar", liar_rows, 5 };
	struct note note = { 1, "x" };
	struct wire_port port;
	int ends[2], fds[4], i, n;
	unsigned before = count_fds();

	(void)unused;
	for (n = 0; n < 5; n++) {
		struct side c = { .in_order = true };

		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0,
		    ends), 0);
		c.link = link_new(loop, ends[0], &table, &calls, &c);
		wire_port_open(&port, ends[1], &liar);
		for (i = 0; i < 4; i++)
			fds[i] = dup(1);
		assert_int_equal(wire_port_send(&port, liar_rows[n].kind,
		    &note, fds, -1), 0);
		turns(2);
		assert_int_equal(c.messages, 0);
		assert_int_equal(c.closed, 1);
		wire_port_close(&port);
		for (i = 0; i < 4; i++)
			close(fds[i]);
		assert_int_equal(count_fds(), before);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "messages go both ways, in order", test_both_ways, begin,
		    end, NULL },
		{ "what does not fit is queued; drained is said once",
		    test_queue, begin, end, NULL },
		{ "a wake-up reads 64 messages at most", test_fairness,
		    begin, end, NULL },
		{ "an overflow closes, later, from the loop", test_overflow,
		    begin, end, NULL },
		{ "an overflow by number closes too",
		    test_overflow_by_number, begin, end, NULL },
		{ "a closing peer is heard to its end", test_peer_closes,
		    begin, end, NULL },
		{ "last words are heard though sending fails",
		    test_last_words, begin, end, NULL },
		{ "a link is closed inside its message", test_close_inside,
		    begin, end, NULL },
		{ "a link is closed inside another's message",
		    test_close_other, begin, end, NULL },
		{ "closing inside closed does no harm",
		    test_close_in_closed, begin, end, NULL },
		{ "closing tries what is queued once", test_close_flushes,
		    begin, end, NULL },
		{ "a paused link takes nothing, not even the end",
		    test_pause, begin, end, NULL },
		{ "descriptors are passed, kept or closed", test_fds, begin,
		    end, NULL },
		{ "queued descriptors arrive or are closed",
		    test_fds_queued, begin, end, NULL },
		{ "descriptors for a gone peer are closed",
		    test_fds_to_gone, begin, end, NULL },
		{ "gathered messages share packets", test_gather, begin, end,
		    NULL },
		{ "pause and close inside a packet", test_inside_a_packet,
		    begin, end, NULL },
		{ "what the table does not allow closes the link",
		    test_refused, begin, end, NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("link", tests, NULL, NULL);
}
