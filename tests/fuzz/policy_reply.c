/*
 * What a policy host answers: octets come to a real GET, without TLS and
 * without a network, and its end is judged.
 *
 * Whatever they are, a policy's text comes out of a whole 200 with a media
 * type of text/plain alone, it is no longer than a policy may be, and the rest
 * is a bounded word about it.
 */
#include "policy/https.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define SENT_MAX	4096

int	LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len);

static void
demand(bool holds)
{
	if (!holds)
		abort();
}

/* Our end of the connection, instead of one. */
static int ours;
static unsigned opened;

static curl_socket_t
give_socket(void *context, curlsocktype purpose, struct curl_sockaddr *target)
{
	int *ends = context;

	(void)purpose;
	(void)target;
	opened++;
	return ends[0];
}

static int
is_connected(void *context, curl_socket_t fd, curlsocktype purpose)
{
	(void)context;
	(void)fd;
	(void)purpose;
	return CURL_SOCKOPT_ALREADY_CONNECTED;
}

static struct transfer *
make_get(struct https *https)
{
	struct f_get message = { .question = 9, .domain = "a.test" };
	struct address address = { .family = 4, .ip = { 192, 0, 2, 1 } };
	struct transfer *transfer;

	route_put_address(message.addresses, &message.addresses_len,
	    sizeof(message.addresses), &address);
	transfer = https_get(https, &message);
	demand(transfer != NULL);
	return transfer;
}

/* The reply stands in the socket, and its end, before the request does. */
static CURLcode
carry(CURL *easy, const uint8_t *octets, size_t len)
{
	int ends[2];
	CURLcode code;

	demand(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	demand(send(ends[1], octets, len, MSG_DONTWAIT) == (ssize_t)len);
	shutdown(ends[1], SHUT_WR);
	opened = 0;
	ours = ends[1];
	curl_easy_setopt(easy, CURLOPT_URL,
	    "http://mta-sts.a.test:443/.well-known/mta-sts.txt");
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, give_socket);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, ends);
	curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, is_connected);
	code = curl_easy_perform(easy);
	demand(opened == 1);
	return code;
}

/* One request, once: no redirect is followed, no login tried. */
static void
check_request(void)
{
	char sent[SENT_MAX + 1];
	size_t len = 0;
	ssize_t n;

	while (len < SENT_MAX &&
	    (n = read(ours, sent + len, SENT_MAX - len)) > 0)
		len += (size_t)n;
	sent[len] = '\0';
	close(ours);
	demand(len == 0 || strncmp(sent, "GET /.well-known/mta-sts.txt "
	    "HTTP/1.1\r\n", 39) == 0);
	demand(len == 0 || strstr(sent + 1, "GET ") == NULL);
	demand(strcasestr(sent, "\nCookie:") == NULL &&
	    strcasestr(sent, "\nAccept-Encoding:") == NULL &&
	    strcasestr(sent, "\nAuthorization:") == NULL);
}

static bool
holds(const uint8_t *octets, size_t len, const char *word)
{
	size_t i, n = strlen(word);

	for (i = 0; i + n <= len; i++)
		if (strncasecmp((const char *)octets + i, word, n) == 0)
			return true;
	return false;
}

static void
check_done(const struct f_done *done, const uint8_t *octets, size_t len)
{
	const char *at;

	demand(done->question == 9);
	demand(done->status <= 999);
	demand(done->outcome == FETCH_BODY || done->outcome == FETCH_ERROR);
	demand(memchr(done->text, '\0', sizeof(done->text)) != NULL);
	for (at = done->text; *at != '\0'; at++)
		demand(*at >= 0x20 && *at <= 0x7e);
	demand((done->outcome == FETCH_BODY) == (done->text[0] == '\0'));
	if (done->outcome != FETCH_BODY)
		return;
	demand(done->status == 200 && done->body_bytes <= HTTPS_BODY_MAX);
	demand(holds(octets, len, "200") && holds(octets, len,
	    "text/plain"));
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len)
{
	static struct https *https;	/* as in the program: for ever */
	struct transfer *transfer;
	struct f_done done;
	CURLcode code;

	if (https == NULL)
		https = https_new(-1, "");
	/* As much as a socket holds at once. */
	if (len > 100000)
		len = 100000;
	transfer = make_get(https);
	code = carry(transfer->exchange.easy, octets, len);
	https_end(transfer, code, &done);
	check_done(&done, octets, len);
	https_free(&transfer);
	check_request();
	return 0;
}
