/*
 * How many messages a second does an SMTP server take?
 *
 *	client [-r RATE] [-t TIMES] ADDRESS PORT SESSIONS MESSAGES SIZE
 *	    [DOMAINS [NAME [ZONE]]]
 *
 * Opens SESSIONS connections at once, sends MESSAGES messages of SIZE octets
 * over them as fast as they are taken (PIPELINING where offered), to
 * userM@NAMEN.ZONE (d0.example) for message M and N below DOMAINS (1), and
 * prints one line:
 *
 *	messages=N seconds=S rate=R/s refused=N
 *
 * -r: no faster than RATE a second.  -t: the file TIMES gets, at the place M
 * of native 64-bit numbers, when message M was taken (CLOCK_MONOTONIC, ns).
 *
 * One process, epoll, no message is built twice: it must cost little beside
 * the server that it measures.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum step { GREETING, EHLO, IDLE, ENVELOPE, BODY, QUIT, CLOSED };

struct session {
	int		fd;
	enum step	step;
	unsigned	replies;	/* still owed to this step */
	char		input[4096];
	size_t		input_len;
	const char	*output;
	size_t		output_len;
	unsigned long	number;		/* of its message */
	char		envelope[256];
};

static struct {
	struct sockaddr_in	server;
	unsigned long		left, taken, refused, domains, number;
	const char		*name, *zone;
	double			rate, start;	/* 0: as fast as can be */
	uint64_t		*times;		/* NULL: nobody asks */
	char			*body;
	size_t			body_len;
	int			epoll;
	unsigned		open;
} bench;

static void
say(struct session *s, const char *text, size_t len)
{
	s->output = text;
	s->output_len = len;
}

static void
flush(struct session *s)
{
	while (s->output_len > 0) {
		ssize_t n = send(s->fd, s->output, s->output_len,
		    MSG_NOSIGNAL);
		if (n == -1)
			break;
		s->output += n;
		s->output_len -= (size_t)n;
	}
	struct epoll_event event = { .data.ptr = s,
	    .events = EPOLLIN | (s->output_len > 0 ? EPOLLOUT : 0U) };
	epoll_ctl(bench.epoll, EPOLL_CTL_MOD, s->fd, &event);
}

static double
seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Until the next message may go, by the rate. */
static double
time_left(void)
{
	if (bench.rate == 0 || bench.left == 0)
		return 0;
	return bench.start + (double)bench.number / bench.rate - seconds();
}

static void
next_message(struct session *s)
{
	if (time_left() > 0) {
		s->step = IDLE;
		return;
	}
	if (bench.left == 0) {
		s->step = QUIT;
		s->replies = 1;
		say(s, "QUIT\r\n", 6);
		return;
	}
	bench.left--;
	s->number = bench.number++;
	int len = snprintf(s->envelope, sizeof(s->envelope),
	    "MAIL FROM:<bench@example.org>\r\n"
	    "RCPT TO:<user%lu@%s%lu.%s>\r\nDATA\r\n", s->number, bench.name,
	    s->number % bench.domains, bench.zone);
	s->step = ENVELOPE;
	s->replies = 3;
	say(s, s->envelope, (size_t)len);
}

/* One whole reply came: its code is `code`. */
static void
reply(struct session *s, int code)
{
	if (s->step == ENVELOPE && code >= 400) {
		bench.refused++;
		s->step = CLOSED;
		return;
	}
	if (--s->replies > 0)
		return;
	switch (s->step) {
	case GREETING:
		s->step = EHLO;
		s->replies = 1;
		say(s, "EHLO bench.example\r\n", 20);
		break;
	case EHLO:
		next_message(s);
		break;
	case ENVELOPE:
		s->step = BODY;
		s->replies = 1;
		say(s, bench.body, bench.body_len);
		break;
	case BODY:
		*(code == 250 ? &bench.taken : &bench.refused) += 1;
		if (bench.times != NULL)
			bench.times[s->number] = (uint64_t)(seconds() * 1e9);
		next_message(s);
		break;
	default:
		s->step = CLOSED;
	}
}

static void
readable(struct session *s)
{
	ssize_t n = recv(s->fd, s->input + s->input_len,
	    sizeof(s->input) - s->input_len - 1, 0);
	if (n <= 0) {
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			s->step = CLOSED;
		return;
	}
	s->input_len += (size_t)n;
	s->input[s->input_len] = '\0';
	char *line = s->input, *end;
	while (s->step != CLOSED && (end = strchr(line, '\n')) != NULL) {
		if (end - line >= 4 && line[3] != '-')
			reply(s, atoi(line));
		line = end + 1;
	}
	s->input_len -= (size_t)(line - s->input);
	memmove(s->input, line, s->input_len);
}

static void
open_session(struct session *s)
{
	int one = 1;
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->fd == -1 || connect(s->fd, (struct sockaddr *)&bench.server,
	    sizeof(bench.server)) == -1) {
		perror("connect");
		exit(1);
	}
	setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	fcntl(s->fd, F_SETFL, O_NONBLOCK);
	s->step = GREETING;
	s->replies = 1;
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = s };
	epoll_ctl(bench.epoll, EPOLL_CTL_ADD, s->fd, &event);
	bench.open++;
}

static void
make_body(size_t size)
{
	static const char head[] = "From: bench@example.org\r\n"
	    "To: user@example.org\r\nSubject: bench\r\n"
	    "Date: Tue, 24 Nov 2026 12:00:00 +0000\r\n"
	    "Message-ID: <bench@example.org>\r\n\r\n";
	bench.body = malloc(size + sizeof(head) + 256);
	size_t len = sizeof(head) - 1;
	memcpy(bench.body, head, len);
	while (len < size) {
		memset(bench.body + len, 'a' + (int)(len % 26), 70);
		memcpy(bench.body + len + 70, "\r\n", 2);
		len += 72;
	}
	memcpy(bench.body + len, ".\r\n", 3);
	bench.body_len = len + 3;
}

/* Who waited for its turn, and how long the others wait (ms). */
static int
wake(struct session *all, unsigned n)
{
	for (unsigned i = 0; i < n && time_left() <= 0; i++) {
		if (all[i].step == IDLE) {
			next_message(&all[i]);
			flush(&all[i]);
		}
	}
	return time_left() > 0 ? (int)(time_left() * 1000) + 1 : 60000;
}

static void
map_times(const char *path)
{
	size_t size = bench.left * sizeof(uint64_t);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
	if (fd == -1 || ftruncate(fd, (off_t)size) != 0 ||
	    (bench.times = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_SHARED, fd, 0)) == MAP_FAILED) {
		perror(path);
		exit(1);
	}
}

int
main(int argc, char **argv)
{
	const char *times = NULL;
	int option;
	while ((option = getopt(argc, argv, "r:t:")) != -1) {
		if (option == 'r')
			bench.rate = atof(optarg);
		else
			times = optarg;
	}
	argc -= optind - 1;
	argv += optind - 1;
	if (argc < 6) {
		fprintf(stderr, "usage: client [-r RATE] [-t TIMES] ADDRESS "
		    "PORT SESSIONS MESSAGES SIZE [DOMAINS [NAME [ZONE]]]\n");
		return 64;
	}
	unsigned sessions = (unsigned)atoi(argv[3]);
	bench.server.sin_family = AF_INET;
	bench.server.sin_port = htons((uint16_t)atoi(argv[2]));
	inet_pton(AF_INET, argv[1], &bench.server.sin_addr);
	bench.left = strtoul(argv[4], NULL, 10);
	bench.domains = argc > 6 ? strtoul(argv[6], NULL, 10) : 1;
	bench.name = argc > 7 ? argv[7] : "d";
	bench.zone = argc > 8 ? argv[8] : "example";
	make_body(strtoul(argv[5], NULL, 10));
	if (times != NULL)
		map_times(times);
	bench.epoll = epoll_create1(EPOLL_CLOEXEC);
	struct session *all = calloc(sessions, sizeof(*all));
	bench.start = seconds();
	for (unsigned i = 0; i < sessions; i++)
		open_session(&all[i]);
	while (bench.open > 0) {
		struct epoll_event events[64];
		int patience_ms = wake(all, sessions);
		int n = epoll_wait(bench.epoll, events, 64, patience_ms);
		if (n == 0 && patience_ms == 60000) {
			fprintf(stderr, "no answer for a minute\n");
			return 1;
		}
		for (int i = 0; i < n; i++) {
			struct session *s = events[i].data.ptr;
			if (events[i].events & EPOLLIN)
				readable(s);
			if (s->step == CLOSED) {
				close(s->fd);
				bench.open--;
				continue;
			}
			flush(s);
		}
	}
	double took = seconds() - bench.start;
	printf("messages=%lu seconds=%.3f rate=%.0f/s refused=%lu\n",
	    bench.taken, took, (double)bench.taken / took, bench.refused);
	return 0;
}
