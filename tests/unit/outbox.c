/*
 * conf/outbox.c: kept until settled, said again on a fresh link, bounded, what
 * is lost is counted and said; the link is not overfed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conf/outbox.h"

#include "conf/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct fact {
	uint64_t	epoch;
	uint64_t	sequence;
	uint32_t	number;
	uint32_t	octets_len;
	uint8_t		octets[4000];
};
static const struct wire_field fact_fields[] = {
	WIRE_FIELD(struct fact, epoch, WIRE_U64, 0),
	WIRE_FIELD(struct fact, sequence, WIRE_U64, 0),
	WIRE_FIELD(struct fact, number, WIRE_U32, 0),
	WIRE_FIELD_BYTES(struct fact, octets),
};
enum { X_FACT = 0x6201 };
static const struct wire_message rows[] = {
	WIRE_ROW(X_FACT, struct fact, fact_fields, 0),
};
static const struct wire_table table = { "test", rows, 1 };

/* ---- what came, and what was logged ---- */

#define HEARD_MAX	10000
static struct heard {
	uint64_t	epoch, sequence;
	uint32_t	number, len;
} heard[HEARD_MAX];
static size_t heard_n;

static char lines[16][256];
static unsigned lines_n;

static struct loop *loop;
static struct link *near, *far;
static struct outbox *outbox;

static void
on_far(void *context, struct link *link, unsigned kind, const void *message,
    int *fds)
{
	const struct fact *fact = message;

	(void)context;
	(void)link;
	(void)fds;
	assert_int_equal(kind, X_FACT);
	assert_true(heard_n < HEARD_MAX);
	heard[heard_n++] = (struct heard){ fact->epoch, fact->sequence,
	    fact->number, fact->octets_len };
}

static void
on_near(void *context, struct link *link, unsigned kind, const void *message,
    int *fds)
{
	(void)context;
	(void)link;
	(void)kind;
	(void)message;
	(void)fds;
	fail_msg("the outbox is told nothing");
}

static void
on_closed_far(void *context, struct link *link)
{
	(void)context;
	(void)link;
	far = NULL;
}

static void
on_closed_near(void *context, struct link *link)
{
	(void)context;
	(void)link;
	near = NULL;
	outbox_link(outbox, NULL);
}

static void
on_drained(void *context, struct link *link)
{
	(void)context;
	(void)link;
	outbox_drained(outbox);
}

static void
note(void *context, enum log_level level, const char *line)
{
	(void)context;
	assert_int_equal(level, LOG_LEVEL_ERROR);
	assert_true(lines_n < 16);
	snprintf(lines[lines_n++], sizeof(lines[0]), "%s", line);
}

/* ---- a test ---- */

static void
connect_outbox(void)
{
	static const struct link_calls near_calls = { on_near,
	    on_closed_near, on_drained };
	static const struct link_calls far_calls = { on_far, on_closed_far,
	    NULL };
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0, ends), 0);
	near = link_new(loop, ends[0], &table, &near_calls, NULL);
	far = link_new(loop, ends[1], &table, &far_calls, NULL);
	outbox_link(outbox, near);
}

static void
disconnect_outbox(void)
{
	outbox_link(outbox, NULL);
	link_close(&near);
	link_close(&far);
}

static void
turns(unsigned n)
{
	while (n-- > 0)
		loop_turn(loop, false);
}

static void
begin(size_t messages, size_t octets)
{
	const struct outbox_bounds bounds = { messages, octets };

	heard_n = 0;
	lines_n = 0;
	loop = loop_new();
	outbox = outbox_new(&rows[0], "facts", &bounds);
}

static void
end(void)
{
	disconnect_outbox();
	outbox_free(&outbox);
	assert_null(outbox);
	outbox_free(&outbox);		/* NULL is fine */
	loop_free(&loop);
}

static void
put(uint32_t number, uint32_t len)
{
	static struct fact fact;

	fact.epoch = fact.sequence = 4711;	/* the outbox's to fill in */
	fact.number = number;
	fact.octets_len = len;
	outbox_put(outbox, &fact);
}

static void
put_many(uint32_t first, uint32_t last)
{
	while (first <= last)
		put(first++, 0);
}

/* What was heard from place on is first, first + 1, ... last. */
static void
assert_heard(size_t place, uint32_t first, uint32_t last)
{
	assert_int_equal(heard_n - place, last - first + 1);
	for (; first <= last; first++, place++) {
		assert_int_equal(heard[place].number, first);
		assert_int_equal(heard[place].sequence, first);
		assert_int_equal(heard[place].epoch, heard[0].epoch);
	}
}

static void
test_order(void **unused)
{
	(void)unused;
	begin(100, 100000);
	put_many(1, 3);			/* before there is a link */
	assert_int_equal(outbox_kept(outbox), 3);
	connect_outbox();
	put_many(4, 5);
	turns(3);
	assert_heard(0, 1, 5);
	assert_true(heard[0].epoch != 4711);
	assert_int_equal(outbox_kept(outbox), 5);
	outbox_settled(outbox, 2);
	assert_int_equal(outbox_kept(outbox), 3);
	outbox_settled(outbox, 2);	/* known */
	outbox_settled(outbox, 1);
	assert_int_equal(outbox_kept(outbox), 3);
	outbox_settled(outbox, 5);
	assert_int_equal(outbox_kept(outbox), 0);
	put(6, 0);
	turns(3);
	assert_heard(0, 1, 6);
	assert_int_equal(lines_n, 0);
	end();
}

static void
test_fresh_link(void **unused)
{
	(void)unused;
	begin(100, 100000);
	connect_outbox();
	put_many(1, 4);
	turns(3);
	outbox_settled(outbox, 1);
	disconnect_outbox();
	put(5, 0);			/* while nobody is there */
	heard_n = 0;
	connect_outbox();
	turns(3);
	/* What was said and not settled is said again, in order. */
	assert_heard(0, 2, 5);
	/* The peer had it all: it says so after the first. */
	outbox_settled(outbox, 5);
	assert_int_equal(outbox_kept(outbox), 0);
	heard_n = 0;
	disconnect_outbox();
	connect_outbox();
	turns(3);
	assert_int_equal(heard_n, 0);
	end();
}

static void
test_peer_dies(void **unused)
{
	(void)unused;
	begin(100, 100000);
	connect_outbox();
	put_many(1, 2);
	link_close(&far);		/* without having read them */
	put(3, 0);
	turns(5);
	assert_null(near);
	put(4, 0);
	connect_outbox();
	turns(3);
	assert_heard(0, 1, 4);
	end();
}

/* Settled before it could be said on this link: a peer that knows it. */
static void
test_settled_unsaid(void **unused)
{
	(void)unused;
	begin(100, 100000);
	put_many(1, 9);
	outbox_settled(outbox, 8);
	connect_outbox();
	turns(3);
	assert_int_equal(heard_n, 1);
	assert_int_equal(heard[0].sequence, 9);
	end();
}

static void
test_bound_of_messages(void **unused)
{
	(void)unused;
	begin(10, 100000);
	put_many(1, 14);
	assert_int_equal(outbox_kept(outbox), 10);
	assert_int_equal(lines_n, 1);	/* at once, for the first */
	assert_non_null(strstr(lines[0], "1 facts are lost: 10 are waiting"));
	connect_outbox();
	turns(3);
	assert_heard(0, 1, 10);
	/* Once there is room it goes on, and no number is missing. */
	outbox_settled(outbox, 10);
	put(11, 0);
	turns(3);
	assert_heard(0, 1, 11);
	end();
	assert_int_equal(lines_n, 2);
	assert_non_null(strstr(lines[1], "3 facts are lost"));
}

static void
test_bound_of_octets(void **unused)
{
	(void)unused;
	begin(100, 10000);
	put(1, 4000);
	put(2, 4000);
	put(3, 4000);			/* does not fit, */
	put(3, 100);			/* but this does */
	assert_int_equal(outbox_kept(outbox), 3);
	assert_int_equal(lines_n, 1);
	connect_outbox();
	turns(3);
	assert_heard(0, 1, 3);
	assert_int_equal(heard[2].len, 100);
	outbox_settled(outbox, 1);
	put(4, 4000);
	turns(3);
	assert_heard(0, 1, 4);
	end();
	assert_int_equal(lines_n, 1);
}

/* However fast they are lost, one line a second says how many. */
static void
test_losses_are_said(void **unused)
{
	unsigned sum = 0, n, i;

	(void)unused;
	begin(1, 100000);
	put(1, 0);
	for (i = 0; i < 1000; i++)
		put(2, 0);
	assert_int_equal(lines_n, 1);
	usleep(1100 * 1000);
	outbox_settled(outbox, 0);	/* any call will do */
	assert_int_equal(lines_n, 2);
	put(2, 0);
	assert_int_equal(lines_n, 2);
	end();
	assert_int_equal(lines_n, 3);
	for (i = 0; i < lines_n; i++) {
		assert_int_equal(sscanf(lines[i], "outbox-test: %u facts", &n),
		    1);
		sum += n;
	}
	assert_int_equal(sum, 1001);
}

/* More than a link holds: it is fed as it drains, nothing is skipped. */
static void
test_drains(void **unused)
{
	unsigned i;

	(void)unused;
	begin(9000, 16 << 20);
	connect_outbox();
	link_pause(far, true);
	put_many(1, 9000);
	assert_int_equal(lines_n, 0);
	assert_non_null(near);
	turns(3);
	assert_int_equal(heard_n, 0);
	link_pause(far, false);
	for (i = 0; i < 5000 && heard_n < 9000; i++)
		turns(1);
	assert_non_null(near);		/* it was never fed too much */
	assert_heard(0, 1, 9000);
	outbox_settled(outbox, 9000);
	end();
}

static void
test_epochs_differ(void **unused)
{
	uint64_t epoch[3];
	unsigned i;

	(void)unused;
	for (i = 0; i < 3; i++) {
		begin(10, 1000);
		connect_outbox();
		put(1, 0);
		turns(3);
		epoch[i] = heard[0].epoch;
		end();
	}
	assert_true(epoch[0] != epoch[1] && epoch[1] != epoch[2] &&
	    epoch[0] != epoch[2]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		{ "kept in order until settled", test_order, NULL, NULL,
		  NULL },
		{ "a fresh link is told all again", test_fresh_link, NULL,
		  NULL, NULL },
		{ "a peer that dies unread", test_peer_dies, NULL, NULL,
		  NULL },
		{ "settled before it was said", test_settled_unsaid, NULL,
		  NULL, NULL },
		{ "at most so many messages", test_bound_of_messages, NULL,
		  NULL, NULL },
		{ "at most so many octets", test_bound_of_octets, NULL, NULL,
		  NULL },
		{ "losses are counted and said once a second",
		  test_losses_are_said, NULL, NULL, NULL },
		{ "a full link is fed as it drains", test_drains, NULL, NULL,
		  NULL },
		{ "every outbox has an epoch of its own", test_epochs_differ,
		  NULL, NULL, NULL },
	};

	log_start("outbox-test");
	log_to(note, NULL);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("outbox", tests, NULL, NULL);
}
