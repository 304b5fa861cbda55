/*
 * A null mail server: takes everything, keeps nothing, costs little.
 *
 *	sink ADDRESS PORT PAGE
 *
 * PAGE is a file of 4096 octets, mapped by who measures: messages taken,
 * connections, octets, and when the last message was taken (CLOCK_MONOTONIC,
 * ns), four native 64-bit numbers.  One process, epoll; PIPELINING, 8BITMIME
 * and SIZE are offered.
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
#include <strings.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EHLO	"250-sink.bench.example\r\n250-PIPELINING\r\n" \
	"250-SIZE 52428800\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n"

struct session {
	int	fd;
	bool	in_data;
	size_t	matched;	/* of "\r\n.\r\n" */
	char	line[1024];
	size_t	line_len;
	char	out[16384];
	size_t	out_len;
};

static volatile uint64_t *page;
static int poller;

static void
fail(const char *what)
{
	perror(what);
	exit(1);
}

static void
say(struct session *s, const char *text)
{
	size_t len = strlen(text);

	if (s->out_len + len > sizeof(s->out))
		return;
	memcpy(s->out + s->out_len, text, len);
	s->out_len += len;
}

static void
taken(struct session *s)
{
	struct timespec now;

	s->in_data = false;
	clock_gettime(CLOCK_MONOTONIC, &now);
	page[3] = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	page[0]++;
	say(s, "250 2.0.0 taken\r\n");
}

/* One command line.  False: QUIT. */
static bool
obey(struct session *s)
{
	if (strncasecmp(s->line, "EHLO", 4) == 0) {
		say(s, EHLO);
	} else if (strncasecmp(s->line, "DATA", 4) == 0) {
		say(s, "354 go ahead\r\n");
		s->in_data = true;
		s->matched = 2;		/* a line begins */
	} else if (strncasecmp(s->line, "QUIT", 4) == 0) {
		say(s, "221 2.0.0 bye\r\n");
		return false;
	} else {
		say(s, "250 2.0.0 fine\r\n");
	}
	return true;
}

/* Octets of a message, up to the final dot; how many were taken. */
static size_t
swallow(struct session *s, const char *at, size_t len)
{
	static const char end[] = "\r\n.\r\n";

	for (size_t i = 0; i < len; i++) {
		if (at[i] == end[s->matched])
			s->matched++;
		else
			s->matched = at[i] == '\r';
		if (s->matched == 5) {
			taken(s);
			return i + 1;
		}
	}
	return len;
}

static bool
take(struct session *s, const char *at, size_t len)
{
	page[2] += len;
	while (len > 0) {
		size_t n;

		if (s->in_data) {
			n = swallow(s, at, len);
		} else {
			const char *end = memchr(at, '\n', len);

			n = end == NULL ? len : (size_t)(end - at) + 1;
			if (s->line_len + n >= sizeof(s->line))
				return false;
			memcpy(s->line + s->line_len, at, n);
			s->line_len += n;
			s->line[s->line_len] = '\0';
			if (end != NULL) {
				s->line_len = 0;
				if (!obey(s))
					return false;
			}
		}
		at += n;
		len -= n;
	}
	return true;
}

static void
serve(struct session *s)
{
	static char octets[262144];
	ssize_t n = read(s->fd, octets, sizeof(octets));
	bool go_on = n > 0 && take(s, octets, (size_t)n);

	if (n == -1 && errno == EAGAIN)
		return;
	if (s->out_len > 0 && write(s->fd, s->out, s->out_len) !=
	    (ssize_t)s->out_len)
		go_on = false;
	s->out_len = 0;
	if (!go_on) {
		close(s->fd);
		free(s);
	}
}

static void
welcome(int listener)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct session *s;
	int fd, on = 1;

	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	if (fd == -1)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		fail("calloc");
	s->fd = fd;
	page[1]++;
	event.data.ptr = s;
	if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) != 0 ||
	    write(fd, "220 sink.bench.example ESMTP\r\n", 30) != 30)
		fail("session");
}

int
main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	struct epoll_event events[256], event = { .events = EPOLLIN };
	int listener, fd, on = 1;

	if (argc != 4 || inet_pton(AF_INET, argv[1], &address.sin_addr) != 1)
		return 64;
	address.sin_port = htons((uint16_t)atoi(argv[2]));
	fd = open(argv[3], O_RDWR);
	page = fd == -1 ? MAP_FAILED : mmap(NULL, 4096,
	    PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		fail(argv[3]);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) !=
	    0 || listen(listener, 1024) != 0)
		fail("listen");
	poller = epoll_create1(0);
	event.data.ptr = NULL;
	epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
	for (;;) {
		int n = epoll_wait(poller, events, 256, -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr == NULL)
				welcome(listener);
			else
				serve(events[i].data.ptr);
		}
	}
}
