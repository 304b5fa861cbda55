/*
 * A null mail server: takes everything, keeps nothing, costs little.
 *
 *	sink ADDRESS PORT PAGE [CHAIN KEY]
 *
 * PAGE is a file of native 64-bit numbers, mapped by who measures: messages
 * taken, connections, octets, when the last message was taken
 * (CLOCK_MONOTONIC, ns), handshakes; and from its 4096th octet on, at the
 * place N, when a message for userN@ was taken (N below TIMES).  One process,
 * epoll; PIPELINING, 8BITMIME and SIZE are offered, with a certificate
 * STARTTLS too.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
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
	"250-SIZE 52428800\r\n250-8BITMIME\r\n"
#define EHLO_TLS	EHLO "250-STARTTLS\r\n"
#define EHLO_END	"250 ENHANCEDSTATUSCODES\r\n"
#define TIMES	65536
#define PAGE	(4096 + TIMES * sizeof(uint64_t))

struct session {
	int	fd;
	SSL	*ssl;		/* NULL: in clear */
	bool	shaken;		/* hands */
	bool	starting;	/* TLS, once the answer is out */
	bool	in_data;
	size_t	number;		/* of the recipient; TIMES: none */
	size_t	matched;	/* of "\r\n.\r\n" */
	char	line[1024];
	size_t	line_len;
	char	out[16384];
	size_t	out_len;
};

static volatile uint64_t *page;
static SSL_CTX *tls;
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
	if (s->number < TIMES)
		page[4096 / sizeof(*page) + s->number] = page[3];
	page[0]++;
	say(s, "250 2.0.0 taken\r\n");
}

/* One command line.  False: QUIT. */
static bool
obey(struct session *s)
{
	if (strncasecmp(s->line, "EHLO", 4) == 0) {
		say(s, tls != NULL && s->ssl == NULL ? EHLO_TLS : EHLO);
		say(s, EHLO_END);
	} else if (strncasecmp(s->line, "STARTTLS", 8) == 0 && tls != NULL) {
		say(s, "220 2.0.0 begin\r\n");
		s->starting = true;
	} else if (strncasecmp(s->line, "RCPT TO:<user", 13) == 0) {
		say(s, "250 2.1.5 fine\r\n");
		s->number = s->line[13] >= '0' && s->line[13] <= '9' ?
		    strtoul(s->line + 13, NULL, 10) : TIMES;
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
end(struct session *s)
{
	SSL_free(s->ssl);
	close(s->fd);
	free(s);
}

static void
begin_tls(struct session *s)
{
	s->starting = false;
	s->ssl = SSL_new(tls);
	if (s->ssl == NULL || SSL_set_fd(s->ssl, s->fd) != 1)
		fail("TLS");
}

/* Octets of the peer; 0: none now; -1: it is gone. */
static ssize_t
hear(struct session *s, char *octets, size_t size)
{
	ssize_t n;
	int step;

	if (s->ssl == NULL) {
		n = read(s->fd, octets, size);
		return n > 0 ? n : n == -1 && errno == EAGAIN ? 0 : -1;
	}
	step = s->shaken ? 1 : SSL_accept(s->ssl);
	if (step == 1 && !s->shaken) {
		s->shaken = true;
		page[4]++;
	}
	if (step == 1)
		step = SSL_read(s->ssl, octets, (int)size);
	if (step > 0)
		return step;
	return SSL_get_error(s->ssl, step) == SSL_ERROR_WANT_READ ? 0 : -1;
}

static bool
answer(struct session *s)
{
	size_t len = s->out_len;

	s->out_len = 0;
	if (len == 0)
		return true;
	if (s->ssl != NULL)
		return SSL_write(s->ssl, s->out, (int)len) == (int)len;
	return write(s->fd, s->out, len) == (ssize_t)len;
}

static void
serve(struct session *s)
{
	static char octets[262144];
	bool go_on = true;
	ssize_t n;

	/* Of TLS all that is there: what it holds wakes nobody. */
	do {
		n = hear(s, octets, sizeof(octets));
		if (n == 0)
			return;
		go_on = n > 0 && take(s, octets, (size_t)n);
		if (!answer(s))
			go_on = false;
	} while (go_on && s->ssl != NULL);
	if (!go_on)
		end(s);
	else if (s->starting)
		begin_tls(s);
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
	s->number = TIMES;
	page[1]++;
	event.data.ptr = s;
	if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) != 0 ||
	    write(fd, "220 sink.bench.example ESMTP\r\n", 30) != 30)
		fail("session");
}

static void
load_certificate(const char *chain, const char *key)
{
	tls = SSL_CTX_new(TLS_server_method());
	if (tls == NULL ||
	    SSL_CTX_use_certificate_chain_file(tls, chain) != 1 ||
	    SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) != 1)
		fail(chain);
}

int
main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	struct epoll_event events[256], event = { .events = EPOLLIN };
	int listener, fd, on = 1;

	if ((argc != 4 && argc != 6) ||
	    inet_pton(AF_INET, argv[1], &address.sin_addr) != 1)
		return 64;
	address.sin_port = htons((uint16_t)atoi(argv[2]));
	if (argc == 6)
		load_certificate(argv[4], argv[5]);
	signal(SIGPIPE, SIG_IGN);
	fd = open(argv[3], O_RDWR);
	page = fd == -1 ? MAP_FAILED : mmap(NULL, PAGE,
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
