/*
 * What the web server of a report's receiver answers: octets come to a real
 * POST, without TLS and without a network, and its end is judged.
 *
 * Whatever they are, only a whole 2xx header is an acceptance, the rest is no
 * more than a bounded word about it, and nothing is asked for twice.
 */
#include "policy/post.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DOCUMENT	"document"
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

static struct post *
make_post(struct https *https)
{
	struct f_post message = { .question = 9, .port = 443,
	    .media_type = "a/b", .size_bytes = sizeof(DOCUMENT) - 1,
	    .url = "https://r.test/x", .host = "r.test" };
	struct address address = { .family = 4, .ip = { 192, 0, 2, 1 } };
	char why[EXCHANGE_TEXT_MAX];
	struct post *post;

	route_put_address(message.addresses, &message.addresses_len,
	    sizeof(message.addresses), &address);
	post = post_new(https, &message, why);
	demand(post != NULL);
	demand(post_take(post, (const uint8_t *)DOCUMENT,
	    sizeof(DOCUMENT) - 1));
	return post;
}

/* The reply stands in the socket, and its end, before the request does. */
static CURLcode
carry(struct post *post, const uint8_t *octets, size_t len)
{
	CURL *easy = post_begin(post);
	int ends[2];
	CURLcode code;

	demand(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	demand(send(ends[1], octets, len, MSG_DONTWAIT) == (ssize_t)len);
	shutdown(ends[1], SHUT_WR);
	opened = 0;
	ours = ends[1];
	curl_easy_setopt(easy, CURLOPT_URL, "http://r.test:443/x");
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, give_socket);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, ends);
	curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, is_connected);
	code = curl_easy_perform(easy);
	demand(opened == 1);
	return code;
}

/* One request, once. */
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
	demand(len == 0 || strncmp(sent, "POST /x HTTP/1.1\r\n", 18) == 0);
	demand(len == 0 || strstr(sent + 1, "POST ") == NULL);
}

/* Does a final header with 2xx stand anywhere in it? */
static bool
holds_success(const uint8_t *octets, size_t len)
{
	return memmem(octets, len, " 2", 2) != NULL &&
	    (memmem(octets, len, "\r\n\r\n", 4) != NULL ||
	    memmem(octets, len, "\n\n", 2) != NULL ||
	    memmem(octets, len, "\n\r\n", 3) != NULL);
}

static void
check_posted(const struct f_posted *posted, const uint8_t *octets, size_t len)
{
	const char *at;

	demand(posted->question == 9);
	demand(posted->outcome <= POST_UNKNOWN);
	demand(posted->status <= 999);
	demand(memchr(posted->text, '\0', sizeof(posted->text)) != NULL);
	demand(posted->text[0] != '\0');
	for (at = posted->text; *at != '\0'; at++)
		demand(*at >= 0x20 && *at <= 0x7e);
	if (posted->outcome == POST_ACCEPTED)
		demand(posted->status >= 200 && posted->status <= 299 &&
		    holds_success(octets, len));
	if (posted->outcome == POST_REFUSED)
		demand(posted->status != 0 &&
		    (posted->status < 200 || posted->status > 299));
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len)
{
	static struct https *https;	/* as in the program: for ever */
	struct f_posted posted;
	struct post *post;
	CURLcode code;

	if (https == NULL)
		https = https_new(-1, "");
	/* As much as a socket holds at once. */
	if (len > 100000)
		len = 100000;
	post = make_post(https);
	code = carry(post, octets, len);
	if (post_end(post, code, &posted))
		check_posted(&posted, octets, len);
	post_free(&post);
	check_request();
	return 0;
}
