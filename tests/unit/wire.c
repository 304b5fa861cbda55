/* The codec, octet by octet, and blocking ports. */
#include "conf/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

struct every {
	bool		yes;
	uint32_t	small;		/* at most 9 */
	uint32_t	any;
	uint64_t	wide;
	int64_t		below;
	char		text[6];
	uint32_t	octets_len;
	uint8_t		octets[4];
};
static const struct wire_field every_fields[] = {
	WIRE_FIELD(struct every, yes, WIRE_BOOL, 0),
	WIRE_FIELD(struct every, small, WIRE_U32, 9),
	WIRE_FIELD(struct every, any, WIRE_U32, 0),
	WIRE_FIELD(struct every, wide, WIRE_U64, 0),
	WIRE_FIELD(struct every, below, WIRE_I64, 0),
	WIRE_FIELD_TEXT(struct every, text),
	WIRE_FIELD_BYTES(struct every, octets),
};
struct large {
	uint32_t	octets_len;
	uint8_t		octets[70000];
};
static const struct wire_field large_fields[] = {
	WIRE_FIELD_BYTES(struct large, octets),
};
enum { X_EVERY = 0x0102, X_EMPTY, X_FD, X_FDS, X_LARGE };
static const struct wire_message rows[] = {
	WIRE_ROW(X_EVERY, struct every, every_fields, 0),
	WIRE_EMPTY(X_EMPTY),
	{ X_FD, "X_FD", 0, NULL, 0, 1 },
	{ X_FDS, "X_FDS", 0, NULL, 0, 4 },
	WIRE_ROW(X_LARGE, struct large, large_fields, 0),
};
static const struct wire_table table = { "test", rows, COUNT(rows) };
/* The same kinds, carrying other numbers of descriptors. */
static const struct wire_message liar_rows[] = {
	{ X_EMPTY, "X_EMPTY", 0, NULL, 0, 1 },
	{ X_FD, "X_FD", 0, NULL, 0, 0 },
	{ X_FDS, "X_FDS", 0, NULL, 0, 3 },
	{ 0x7777, "X_UNKNOWN", 0, NULL, 0, 2 },
};
static const struct wire_table liar = { "liar", liar_rows,
	COUNT(liar_rows) };

static const struct every sample = {
	true, 9, 0x04030201, 0x0807060504030201, -2, "hello", 3,
	{ 0xa, 0xb, 0xc }
};
static const uint8_t sample_octets[] = {
	0x02, 0x01,				/* kind */
	1,					/* yes */
	9, 0, 0, 0,				/* small */
	1, 2, 3, 4,				/* any */
	1, 2, 3, 4, 5, 6, 7, 8,			/* wide */
	0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,	/* below */
	5, 0, 0, 0, 'h', 'e', 'l', 'l', 'o',	/* text */
	3, 0, 0, 0, 0xa, 0xb, 0xc		/* octets */
};

static void
test_find(void **unused)
{
	(void)unused;
	assert_ptr_equal(wire_find(&table, X_EVERY), &rows[0]);
	assert_ptr_equal(wire_find(&table, X_FDS), &rows[3]);
	assert_null(wire_find(&table, 0));
	assert_null(wire_find(&table, 0x0101));
}

static void
test_encode(void **unused)
{
	uint8_t octets[256];
	size_t size;

	(void)unused;
	assert_int_equal(wire_encode(&rows[0], &sample, octets,
	    sizeof(octets)), sizeof(sample_octets));
	assert_memory_equal(octets, sample_octets, sizeof(sample_octets));
	for (size = 0; size < sizeof(sample_octets); size++)
		assert_int_equal(wire_encode(&rows[0], &sample, octets,
		    size), 0);
	assert_int_equal(wire_encode(&rows[0], &sample, octets,
	    sizeof(sample_octets)), sizeof(sample_octets));
	assert_int_equal(wire_encode(&rows[1], NULL, octets, 2), 2);
	assert_memory_equal(octets, "\x03\x01", 2);
}

static void
test_encode_large(void **unused)
{
	struct large *large = mem_alloc(sizeof(*large));
	uint8_t *octets = mem_alloc(100000);

	(void)unused;
	large->octets_len = WIRE_MAX - 6;
	assert_int_equal(wire_encode(&rows[4], large, octets, 100000),
	    WIRE_MAX);
	large->octets_len++;
	assert_int_equal(wire_encode(&rows[4], large, octets, 100000), 0);
	free(octets);
	free(large);
}

static void
test_decode(void **unused)
{
	struct every every;

	(void)unused;
	memset(&every, 'x', sizeof(every));
	assert_true(wire_decode(&rows[0], sample_octets,
	    sizeof(sample_octets), &every));
	assert_int_equal(every.yes, true);
	assert_int_equal(every.small, 9);
	assert_int_equal(every.any, sample.any);
	assert_int_equal(every.wide, sample.wide);
	assert_int_equal(every.below, -2);
	assert_string_equal(every.text, "hello");
	assert_int_equal(every.octets_len, 3);
	assert_memory_equal(every.octets, "\x0a\x0b\x0c\x00", 4);
}

/* A change at one place, and whether the result is still a message. */
static void
test_decode_bounds(void **unused)
{
	static const struct {
		size_t	at;
		uint8_t	octet;
		bool	good;
	} changes[] = {
		{ 0, 0x03, false },		/* kind */
		{ 1, 0x02, false },
		{ 2, 0, true },			/* bool */
		{ 2, 2, false },
		{ 2, 255, false },
		{ 3, 0, true },			/* small */
		{ 3, 10, false },
		{ 4, 1, false },
		{ 6, 0x80, false },
		{ 7, 255, true },		/* any */
		{ 11, 255, true },		/* wide */
		{ 19, 255, true },		/* below */
		{ 27, 4, false },		/* length of text */
		{ 27, 6, false },
		{ 27, 255, false },
		{ 30, 255, false },
		{ 31, 0, false },		/* NUL inside */
		{ 35, 0, false },
		{ 35, 255, true },
		{ 36, 2, false },		/* length of octets */
		{ 36, 4, false },
		{ 36, 5, false },
		{ 39, 255, false },
		{ 40, 0, true },
	};
	uint8_t octets[sizeof(sample_octets)];
	struct every every;
	size_t i;

	(void)unused;
	for (i = 0; i < COUNT(changes); i++) {
		memcpy(octets, sample_octets, sizeof(octets));
		octets[changes[i].at] = changes[i].octet;
		if (wire_decode(&rows[0], octets, sizeof(octets), &every) !=
		    changes[i].good)
			fail_msg("octet %zu as %u", changes[i].at,
			    changes[i].octet);
	}
}

static void
test_decode_lengths(void **unused)
{
	uint8_t *exact;
	struct every every;
	size_t len;

	(void)unused;
	for (len = 0; len < sizeof(sample_octets); len++) {
		exact = malloc(len > 0 ? len : 1);
		memcpy(exact, sample_octets, len);
		assert_false(wire_decode(&rows[0], exact, len, &every));
		free(exact);
	}
	exact = malloc(len + 1);
	memcpy(exact, sample_octets, len);
	exact[len] = 0;
	assert_true(wire_decode(&rows[0], exact, len, &every));
	assert_false(wire_decode(&rows[0], exact, len + 1, &every));
	free(exact);
	assert_true(wire_decode(&rows[1], (const uint8_t *)"\x03\x01", 2,
	    NULL));
	assert_false(wire_decode(&rows[1], (const uint8_t *)"\x03\x01\x00",
	    3, NULL));
	assert_int_equal(wire_kind(sample_octets, 2), X_EVERY);
	assert_int_equal(wire_kind(sample_octets, 1), 0);
	assert_int_equal(wire_kind(NULL, 0), 0);
}

static void
test_limits(void **unused)
{
	static const struct {
		int64_t		below;
		uint64_t	wide;
		uint32_t	any;
	} limits[] = {
		{ INT64_MIN, 0, 0 },
		{ INT64_MAX, UINT64_MAX, UINT32_MAX },
		{ 0, 1ull << 63, 1u << 31 },
		{ -1, 1ull << 32, 1u << 16 },
	};
	struct every every, again;
	uint8_t octets[256];
	size_t i, len;

	(void)unused;
	for (i = 0; i < COUNT(limits); i++) {
		memset(&every, 0, sizeof(every));
		every.below = limits[i].below;
		every.wide = limits[i].wide;
		every.any = limits[i].any;
		len = wire_encode(&rows[0], &every, octets, sizeof(octets));
		assert_true(wire_decode(&rows[0], octets, len, &again));
		assert_int_equal(again.below, every.below);
		assert_int_equal(again.wide, every.wide);
		assert_int_equal(again.any, every.any);
		assert_string_equal(again.text, "");
		assert_int_equal(again.octets_len, 0);
	}
}

static void
encode(const struct every *every)
{
	uint8_t octets[256];

	wire_encode(&rows[0], every, octets, sizeof(octets));
}

static void
encode_unterminated(void)
{
	struct every every = sample;

	memset(every.text, 'x', sizeof(every.text));
	encode(&every);
}

static void
encode_long_octets(void)
{
	struct every every = sample;

	every.octets_len = 5;
	encode(&every);
}

static void
encode_big_number(void)
{
	struct every every = sample;

	every.small = 10;
	encode(&every);
}

static void
test_encode_bugs(void **unused)
{
	static void (*const acts[])(void) = { encode_unterminated,
		encode_long_octets, encode_big_number };
	size_t i;
	int status;
	pid_t pid;

	(void)unused;
	for (i = 0; i < COUNT(acts); i++) {
		pid = fork();
		if (pid == 0) {
			signal(SIGABRT, SIG_DFL);
			close(2);
			acts[i]();
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGABRT);
	}
}

static void
test_print(void **unused)
{
	struct every every = sample;
	struct buffer text = { NULL, 0, 0 };

	(void)unused;
	wire_print(&rows[0], &every, &text);
	assert_string_equal(text.text, "X_EVERY yes=yes small=9 any=67305985 "
	    "wide=578437695752307201 below=-2 text=hello octets=[3]");
	buffer_free(&text);
	every.yes = false;
	strcpy(every.text, "a\nb");
	wire_print(&rows[0], &every, &text);
	assert_non_null(strstr(text.text, "yes=no"));
	assert_non_null(strstr(text.text, "text=\"a\\nb\" "));
	buffer_free(&text);
	every.text[0] = '\0';
	wire_print(&rows[0], &every, &text);
	assert_non_null(strstr(text.text, "text=\"\" "));
	buffer_free(&text);
	wire_print(&rows[1], NULL, &text);
	assert_string_equal(text.text, "X_EMPTY");
	buffer_free(&text);
}

static struct wire_port near, far;

static int
open_ports(void **unused)
{
	int fds[2];

	(void)unused;
	signal(SIGPIPE, SIG_DFL);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == -1)
		return -1;
	wire_port_open(&near, fds[0], &table);
	wire_port_open(&far, fds[1], &table);
	return 0;
}

static int
close_ports(void **unused)
{
	(void)unused;
	wire_port_close(&near);
	wire_port_close(&far);
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
test_port(void **unused)
{
	const struct every *every;
	const void *message;
	int fds[WIRE_FDS_MAX];

	(void)unused;
	assert_int_equal(wire_port_send(&near, X_EVERY, &sample, NULL, -1),
	    0);
	assert_int_equal(wire_port_send(&near, X_EMPTY, NULL, NULL, 0), 0);
	assert_int_equal(wire_port_receive(&far, &message, fds, -1),
	    X_EVERY);
	every = message;
	assert_string_equal(every->text, "hello");
	assert_int_equal(fds[0], -1);
	assert_int_equal(wire_port_receive(&far, &message, NULL, 0),
	    X_EMPTY);
	/* A deadline that is over reads what is there, but does not wait. */
	assert_int_equal(wire_port_receive(&far, &message, NULL, 0), -1);
}

static void
test_port_deadline(void **unused)
{
	const void *message;
	int64_t start_ms = wire_now_ms(), took_ms;
	struct large *large = mem_alloc(sizeof(*large));
	unsigned n;

	(void)unused;
	assert_int_equal(wire_port_receive(&far, &message, NULL,
	    start_ms + 60), -1);
	took_ms = wire_now_ms() - start_ms;
	assert_in_range(took_ms, 60, 2000);
	large->octets_len = 60000;
	start_ms = wire_now_ms();
	for (n = 0; n < 100; n++)
		if (wire_port_send(&near, X_LARGE, large, NULL,
		    start_ms + 60) == -1)
			break;
	took_ms = wire_now_ms() - start_ms;
	assert_in_range(n, 1, 99);
	assert_in_range(took_ms, 60, 2000);
	free(large);
}

static void
test_port_fds(void **unused)
{
	const void *message;
	int fds[WIRE_FDS_MAX], pipes[4];
	unsigned before = count_fds();
	char c = 'x';

	(void)unused;
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(pipe(pipes + 2), 0);
	assert_int_equal(wire_port_send(&near, X_FD, NULL, pipes, -1), 0);
	assert_int_equal(wire_port_send(&near, X_FDS, NULL, pipes, -1), 0);
	assert_int_equal(write(pipes[1], &c, 1), 1);
	assert_int_equal(wire_port_receive(&far, &message, fds, -1), X_FD);
	assert_int_equal(fds[1], -1);
	assert_int_equal(read(fds[0], &c, 1), 1);
	assert_int_equal(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
	close(fds[0]);
	assert_int_equal(wire_port_receive(&far, &message, fds, -1), X_FDS);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
		close(fds[i]);
		close(pipes[i]);
	}
	assert_int_equal(count_fds(), before);
}

/* A wrong number of descriptors, or a kind that is not known: refused. */
static void
test_port_fds_refused(void **unused)
{
	const void *message;
	int fds[WIRE_FDS_MAX], pipes[4];
	unsigned before, i;

	(void)unused;
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(pipe(pipes + 2), 0);
	before = count_fds();
	near.table = &liar;
	for (i = 0; i < COUNT(liar_rows); i++) {
		assert_int_equal(wire_port_send(&near, liar_rows[i].kind,
		    NULL, pipes, -1), 0);
		assert_int_equal(wire_port_receive(&far, &message, fds, -1),
		    0);
		assert_int_equal(count_fds(), before);
	}
	for (i = 0; i < 4; i++)
		close(pipes[i]);
}

static void
send_raw(int fd, const void *octets, size_t len, const int *fds, size_t n)
{
	union {
		struct cmsghdr	header;
		char		octets[CMSG_SPACE(sizeof(int) * 16)];
	} control;
	struct iovec iovec = { (void *)(uintptr_t)octets, len };
	struct msghdr message = { .msg_iov = &iovec, .msg_iovlen = 1 };

	if (n > 0) {
		memset(&control, 0, sizeof(control));
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * n);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int) * n);
		memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * n);
	}
	assert_int_equal(sendmsg(fd, &message, 0), len);
}

/* More descriptors than a message may carry, or than we have room for. */
static void
test_port_fds_cut(void **unused)
{
	const void *message;
	int fds[WIRE_FDS_MAX], many[16];
	unsigned before = count_fds(), i;
	struct rlimit old, low;

	(void)unused;
	for (i = 0; i < 16; i++)
		many[i] = near.fd;
	send_raw(near.fd, "\x05\x01", 2, many, 5);
	assert_int_equal(wire_port_receive(&far, &message, fds, -1), 0);
	assert_int_equal(count_fds(), before);
	send_raw(near.fd, "\x05\x01", 2, many, 16);
	assert_int_equal(wire_port_receive(&far, &message, fds, -1), 0);
	assert_int_equal(count_fds(), before);

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	send_raw(near.fd, "\x05\x01", 2, many, 4);
	low = old;
	low.rlim_cur = 2 + (rlim_t)(far.fd > near.fd ? far.fd : near.fd) + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	i = (unsigned)wire_port_receive(&far, &message, fds, -1);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(i, 0);
	assert_int_equal(count_fds(), before);
}

static void
test_port_nonsense(void **unused)
{
	static const struct { const char *octets; size_t len; } junk[] = {
		{ "x", 1 }, { "xx", 2 }, { "\x02\x01", 2 }
	};
	const void *message;
	size_t i;

	(void)unused;
	for (i = 0; i < COUNT(junk); i++) {
		send_raw(near.fd, junk[i].octets, junk[i].len, NULL, 0);
		assert_int_equal(wire_port_receive(&far, &message, NULL, -1),
		    0);
	}
	/* Behind a message too. */
	send_raw(near.fd, "\x03\x01\x00", 3, NULL, 0);
	assert_int_equal(wire_port_receive(&far, &message, NULL, -1), 0x103);
	assert_true(wire_port_has_more(&far));
	assert_int_equal(wire_port_receive(&far, &message, NULL, -1), 0);
	assert_false(wire_port_has_more(&far));
	/* A packet longer than any message of ours. */
	char *large = mem_alloc(WIRE_MAX + 1);
	send_raw(near.fd, large, WIRE_MAX + 1, NULL, 0);
	assert_int_equal(wire_port_receive(&far, &message, NULL, -1), 0);
	free(large);
	/* Descriptors where none are expected by the caller. */
	send_raw(near.fd, "\x04\x01", 2, &near.fd, 1);
	assert_int_equal(wire_port_receive(&far, &message, NULL, -1), 0);
}

/*
 * The peer is gone: what it sent is still read, also when it left packets of
 * ours unread; sending fails without a signal.
 */
static void
test_port_gone(void **unused)
{
	const void *message;

	(void)unused;
	assert_int_equal(wire_port_send(&near, X_EMPTY, NULL, NULL, -1), 0);
	assert_int_equal(wire_port_send(&far, X_EMPTY, NULL, NULL, -1), 0);
	assert_int_equal(wire_port_send(&far, X_EVERY, &sample, NULL, -1),
	    0);
	wire_port_close(&far);
	assert_int_equal(wire_port_receive(&near, &message, NULL, -1),
	    X_EMPTY);
	assert_int_equal(wire_port_receive(&near, &message, NULL, -1),
	    X_EVERY);
	assert_int_equal(wire_port_receive(&near, &message, NULL, -1), 0);
	assert_int_equal(wire_port_receive(&near, &message, NULL, 0), 0);
	assert_int_equal(wire_port_send(&near, X_EMPTY, NULL, NULL, -1), -1);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "rows are found by kind", test_find, NULL, NULL, NULL },
		{ "a message is these octets", test_encode, NULL, NULL,
		    NULL },
		{ "a message has 65536 octets at most", test_encode_large,
		    NULL, NULL, NULL },
		{ "these octets are a message", test_decode, NULL, NULL,
		    NULL },
		{ "octets out of bounds are refused", test_decode_bounds,
		    NULL, NULL, NULL },
		{ "short and long octets are refused", test_decode_lengths,
		    NULL, NULL, NULL },
		{ "numbers at their limits go round", test_limits, NULL,
		    NULL, NULL },
		{ "our own bad messages stop the program", test_encode_bugs,
		    NULL, NULL, NULL },
		{ "messages print as one line", test_print, NULL, NULL,
		    NULL },
		{ "a port sends and receives", test_port, open_ports,
		    close_ports, NULL },
		{ "deadlines hold both ways", test_port_deadline,
		    open_ports, close_ports, NULL },
		{ "descriptors go along, close-on-exec", test_port_fds,
		    open_ports, close_ports, NULL },
		{ "a wrong number of descriptors is refused and closed",
		    test_port_fds_refused, open_ports, close_ports, NULL },
		{ "cut descriptors are refused and closed",
		    test_port_fds_cut, open_ports, close_ports, NULL },
		{ "nonsense ends a port", test_port_nonsense, open_ports,
		    close_ports, NULL },
		{ "a gone peer's last words are read", test_port_gone,
		    open_ports, close_ports, NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
