/*
 * Reports handed in over HTTPS: what each end means, which URLs are none, and
 * what a real web server hears and may do.
 */
#include "policy/post.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conf/proc.h"
#include "web_server.h"

#include <errno.h>

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))
#define GZIP		"application/tlsrpt+gzip"

static struct https *https;	/* as in the program: for ever */

/* ---- what an end means ---- */

/* "accepted 201 verified: HTTP 201" */
static void
print(const struct f_posted *posted, char text[512])
{
	static const char *const outcomes[] = {
		"accepted", "refused", "failed", "unknown"
	};

	snprintf(text, 512, "%s %u%s: %s", outcomes[posted->outcome],
	    posted->status, posted->verified ? " verified" : "",
	    posted->text);
}

struct end_row {
	struct post_end	 end;
	const char	*wanted;
};

static void
check_ends(const struct end_row *rows, size_t n)
{
	struct post_end end;
	char text[512];
	size_t i;

	for (i = 0; i < n; i++) {
		struct f_posted posted = { .question = 7 };

		end = rows[i].end;
		if (end.error == NULL)
			end.error = "";
		if (end.defect == NULL)
			end.defect = "";
		post_judge(&end, &posted);
		print(&posted, text);
		if (strcmp(text, rows[i].wanted) != 0)
			fail_msg("row %zu: %s, wanted %s", i, text,
			    rows[i].wanted);
		assert_int_equal(posted.question, 7);
	}
}

/* RPT-5.4-2: every status there is. */
static void
test_status(void **state)
{
	struct post_end end = {
		.answered = true, .all_sent = true, .handshake = true,
		.error = "", .defect = ""
	};
	struct f_posted posted;
	char text[512], wanted[512];

	(void)state;
	for (end.status = 200; end.status < 600; end.status++) {
		memset(&posted, 0, sizeof(posted));
		post_judge(&end, &posted);
		print(&posted, text);
		snprintf(wanted, sizeof(wanted), "%s %ld verified: HTTP %ld",
		    end.status < 300 ? "accepted" : "refused", end.status,
		    end.status);
		assert_string_equal(text, wanted);
	}
}

#define WHOLE	.all_sent = true, .handshake = true
static void
test_ends(void **state)
{
	static const struct end_row rows[] = {
		/* The answer's body is nobody's business. */
		{ { .code = CURLE_WRITE_ERROR, .status = 200,
		    .answered = true, WHOLE },
		    "accepted 200 verified: HTTP 200" },
		{ { .code = CURLE_OPERATION_TIMEDOUT, .status = 201,
		    .answered = true, WHOLE },
		    "accepted 201 verified: HTTP 201" },
		{ { .code = CURLE_PARTIAL_FILE, .status = 500,
		    .answered = true, WHOLE },
		    "refused 500 verified: HTTP 500" },
		/* It may answer before it has read all. */
		{ { .status = 413, .answered = true, .handshake = true },
		    "refused 413 verified: HTTP 413" },
		/* A header that is not whole says nothing. */
		{ { .code = CURLE_OPERATION_TIMEDOUT, .status = 200, WHOLE },
		    "unknown 200 verified: sent, but no answer: timeout" },
		{ { .code = CURLE_RECV_ERROR, .status = 100, WHOLE },
		    "unknown 100 verified: sent, but no answer: Failure when "
		    "receiving data from the peer" },
		{ { .code = CURLE_GOT_NOTHING, WHOLE },
		    "unknown 0 verified: sent, but no answer: Server returned "
		    "nothing (no headers, no data)" },
		{ { .code = CURLE_UNSUPPORTED_PROTOCOL, WHOLE },
		    "unknown 0 verified: sent, but no answer: not HTTP" },
		{ { .code = CURLE_OK, WHOLE },
		    "unknown 0 verified: sent, but no answer: no HTTP "
		    "answer" },
		/* Not all of it left: it cannot have it. */
		{ { .code = CURLE_OPERATION_TIMEDOUT, .handshake = true },
		    "failed 0 verified: timeout" },
		{ { .code = CURLE_SEND_ERROR, .handshake = true },
		    "failed 0 verified: Failed sending data to the peer" },
		{ { .code = CURLE_OPERATION_TIMEDOUT },
		    "failed 0: timeout" },
		{ { .code = CURLE_COULDNT_CONNECT, .os_error = ECONNREFUSED },
		    "failed 0: cannot connect: Connection refused" },
		{ { .code = CURLE_COULDNT_CONNECT },
		    "failed 0: Couldn't connect to server" },
		{ { .code = CURLE_SSL_CONNECT_ERROR, .error = "OpenSSL/3.0.19:"
		    " error:0A00042E:SSL routines::tlsv1 alert protocol "
		    "version" },
		    "failed 0: TLS: tlsv1 alert protocol version" },
		/* To whoever answered. */
		{ { .status = 200, .answered = true, WHOLE,
		    .defect = "certificate has expired" }, "accepted 200: "
		    "HTTP 200 (certificate: certificate has expired)" },
		{ { .code = CURLE_RECV_ERROR, WHOLE, .defect = "x" },
		    "unknown 0: sent, but no answer: Failure when receiving "
		    "data from the peer" },
	};

	(void)state;
	check_ends(rows, COUNT(rows));
}

/* ---- where to ---- */

static struct f_post
message_of(const char *url, const char *host, uint32_t port,
    const char *address)
{
	struct f_post message = { .question = 3, .port = port,
	    .media_type = GZIP, .size_bytes = 4 };
	struct address parsed;

	snprintf(message.url, sizeof(message.url), "%s", url);
	snprintf(message.host, sizeof(message.host), "%s", host);
	if (address != NULL) {
		assert_true(address_parse(slice_of(address), &parsed));
		route_put_address(message.addresses, &message.addresses_len,
		    sizeof(message.addresses), &parsed);
	}
	return message;
}

static void
test_targets(void **state)
{
	static const struct {
		const char	*url, *host;
		uint32_t	 port;
		bool		 good;
	} rows[] = {
		{ "https://r.t/x", "r.t", 443, true },
		{ "HTTPS://R.T/x", "r.t", 443, true },
		{ "https://r.t", "r.t", 443, true },
		{ "https://r.t:8443/x?y=z", "r.t", 8443, true },
		{ "https://192.0.2.1/x", "[192.0.2.1]", 443, true },
		{ "https://[2001:db8::1]/x", "[IPv6:2001:db8::1]", 443,
		    true },
		{ "https://[2001:DB8:0::1]/x", "[IPv6:2001:db8::1]", 443,
		    true },
		/* T35: no glob, one request to a plain host. */
		{ "https://r.t/[1-9999]", "r.t", 443, true },
		{ "https://r.t/{a,b}", "r.t", 443, true },
		{ "https://{a,b}.t/", "{a,b}.t", 443, false },
		{ "https://r[1-9].t/", "r[1-9].t", 443, false },
		/* Another host or port than what was looked up. */
		{ "https://r.t/x", "s.t", 443, false },
		{ "https://r.t:8443/x", "r.t", 443, false },
		{ "https://r.t/x", "r.t", 8443, false },
		{ "https://s.t@r.t/x", "s.t", 443, false },
		{ "https://s.t@r.t/x", "r.t", 443, false },
		{ "https://u:p@r.t/x", "r.t", 443, false },
		{ "https://127.0.0.1/", "127.0.0.1", 443, false },
		{ "https://0x7f000001/", "0x7f000001", 443, false },
		{ "https://127.1/", "127.1", 443, false },
		{ "https://192.0.2.2/x", "[192.0.2.1]", 443, false },
		{ "https://r.t/x", "[192.0.2.1]", 443, false },
		/* Other ways. */
		{ "http://r.t/x", "r.t", 443, false },
		{ "http://r.t:443/x", "r.t", 443, false },
		{ "ftp://r.t/x", "r.t", 443, false },
		{ "file:///etc/passwd", "", 443, false },
		{ "mailto:victim@r.t", "r.t", 443, false },
		{ "r.t/x", "r.t", 443, false },
		{ "", "", 443, false },
		{ "https://r.t/\r\nX: y", "r.t", 443, false },
		{ "https:///x", "", 443, false },
	};
	char why[EXCHANGE_TEXT_MAX];
	struct f_post message;
	struct post *post;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		message = message_of(rows[i].url, rows[i].host, rows[i].port,
		    "192.0.2.1");
		why[0] = '\0';
		post = post_new(https, &message, why);
		if ((post != NULL) != rows[i].good ||
		    (why[0] == '\0') != rows[i].good)
			fail_msg("%s: %s", rows[i].url, why);
		post_free(&post);
	}
}

/* Our own faults end nothing. */
static void
test_bounds(void **state)
{
	struct f_post good = message_of("https://r.t/", "r.t", 443,
	    "192.0.2.1"), message;
	char why[EXCHANGE_TEXT_MAX];
	struct post *post;

	(void)state;
	message = good;
	message.size_bytes = 0;
	assert_null(post_new(https, &message, why));
	message.size_bytes = POST_SIZE_MAX + 1;
	assert_null(post_new(https, &message, why));
	message.size_bytes = UINT64_MAX;
	assert_null(post_new(https, &message, why));
	message = good;
	message.addresses_len = 0;
	assert_null(post_new(https, &message, why));
	strcpy(message.media_type, "");
	assert_null(post_new(https, &message, why));
	message = good;
	strcpy(message.media_type, "a/b\r\nX: y");
	assert_null(post_new(https, &message, why));
	post = post_new(https, &good, why);
	assert_non_null(post);
	assert_true(post_take(post, (const uint8_t *)"abc", 3));
	assert_false(post_is_whole(post));
	assert_false(post_take(post, (const uint8_t *)"de", 2));
	assert_true(post_take(post, (const uint8_t *)"d", 1));
	assert_true(post_is_whole(post));
	assert_false(post_take(post, (const uint8_t *)"e", 1));
	post_free(&post);
}

/* ---- a real server ---- */

#define DOCUMENT	"\x1f\x8b\x00\xff the document\r\n"

struct play {
	const char	*path;		/* of the URL */
	const char	*host;		/* NULL: WEB_HOST */
	const char	*address;	/* NULL: 127.0.0.1 */
	size_t		 size;		/* of the document; 0: DOCUMENT */
	long		 timeout_ms;	/* 0: what the program has */
};

/* As fetch.c does it, one at a time. */
static void
carry(struct post *post, long timeout_ms, struct f_posted *posted)
{
	CURLcode code;
	CURL *easy;

	do {
		easy = post_begin(post);
		if (timeout_ms > 0)
			curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS,
			    timeout_ms);
		code = curl_easy_perform(easy);
	} while (!post_end(post, code, posted));
}

static struct web *
play(const struct web_script *script, const struct play *play,
    char text[512])
{
	const char *host = play->host != NULL ? play->host : WEB_HOST;
	struct web *web = web_begin(script);
	size_t size = play->size > 0 ? play->size : sizeof(DOCUMENT) - 1;
	uint8_t *document = mem_alloc(size);
	char url[512], literal[512], why[EXCHANGE_TEXT_MAX];
	struct address address;
	struct f_posted posted;
	struct f_post message;
	struct post *post;

	snprintf(url, sizeof(url), "https://%s:%u%s", host, web->port,
	    play->path != NULL ? play->path : "/");
	snprintf(literal, sizeof(literal), address_parse(slice_of(host),
	    &address) ? "[%s]" : "%s", host);
	message = message_of(url, literal, web->port,
	    play->address != NULL ? play->address : "127.0.0.1");
	message.size_bytes = size;
	if (play->size == 0)
		memcpy(document, DOCUMENT, size);
	post = post_new(https, &message, why);
	assert_non_null(post);
	assert_true(post_take(post, document, size));
	free(document);
	carry(post, play->timeout_ms, &posted);
	assert_int_equal(posted.question, 3);
	post_free(&post);
	web_end(web);
	print(&posted, text);
	return web;
}

static const char ok[] = "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n"
    "Connection: close\r\n\r\nok";

/* RPT-3-7, RPT-5.4-1, T35: what the server hears. */
static void
test_request(void **state)
{
	static const char *const paths[] = {
		"/v1/report?x=%41%2f&y=1", "/[1-9999]", "/{a,b}",
		"/a/../b/./c", "/x?q={1,2}&z=[1-5]", "/%7Euser//x"
	};
	const struct web_script script = {
		.certificate = "good", .answer = ok
	};
	char text[512], wanted[512];
	struct web *web;
	size_t i;

	(void)state;
	setenv("https_proxy", "http://127.0.0.1:9/", 1);
	setenv("ALL_PROXY", "socks5://127.0.0.1:9/", 1);
	for (i = 0; i < COUNT(paths); i++) {
		web = play(&script, &(struct play){ .path = paths[i] }, text);
		assert_string_equal(text, "accepted 201 verified: HTTP 201");
		assert_int_equal(web->connections, 1);
		assert_int_equal(web->requests, 1);
		snprintf(wanted, sizeof(wanted), "POST %s HTTP/1.1\r\n"
		    "Host: " WEB_HOST ":%u\r\n"
		    "User-Agent: culver/" CULVER_VERSION " (relay.example)\r\n"
		    "Accept: */*\r\n"
		    "Content-Type: " GZIP "\r\n"
		    "Content-Length: %zu", paths[i], web->port,
		    sizeof(DOCUMENT) - 1);
		assert_string_equal(web->request, wanted);
		assert_int_equal(web->body_len, sizeof(DOCUMENT) - 1);
		assert_memory_equal(web->body, DOCUMENT, web->body_len);
		web_free(&web);
	}
	unsetenv("https_proxy");
	unsetenv("ALL_PROXY");
}

#define SHOWS(name, text)	.certificate = name, .answer = text
#define SAYS(text)		SHOWS("good", text)

struct answer_row {
	struct web_script	 script;
	struct play		 play;
	const char		*wanted;
	unsigned		 connections;
};

static void
check_answers(const struct answer_row *rows, size_t n)
{
	char text[512];
	struct web *web;
	size_t i;

	for (i = 0; i < n; i++) {
		web = play(&rows[i].script, &rows[i].play, text);
		if (strcmp(text, rows[i].wanted) != 0 ||
		    web->connections != rows[i].connections)
			fail_msg("row %zu: %s, %u connections", i, text,
			    web->connections);
		web_free(&web);
	}
}

#define ENDS	"Content-Length: 0\r\n\r\n"
static void
test_answers(void **state)
{
	static const struct answer_row rows[] = {
		{ { SAYS("HTTP/1.1 202 Accepted\r\n" ENDS) }, { 0 },
		    "accepted 202 verified: HTTP 202", 1 },
		{ { SAYS("HTTP/1.1 100 Continue\r\n\r\n"
		    "HTTP/1.1 200 OK\r\n" ENDS) }, { 0 },
		    "accepted 200 verified: HTTP 200", 1 },
		/* RPT-5.4-3 */
		{ { SAYS("HTTP/1.1 302 Found\r\n"
		    "Location: http://127.0.0.1:1/x\r\n" ENDS) }, { 0 },
		    "refused 302 verified: HTTP 302", 1 },
		{ { SAYS("HTTP/1.1 307 Temporary Redirect\r\n"
		    "Location: /x\r\n" ENDS) }, { 0 },
		    "refused 307 verified: HTTP 307", 1 },
		{ { SAYS("HTTP/1.1 401 Unauthorized\r\n"
		    "WWW-Authenticate: Basic realm=\"x\"\r\n" ENDS) }, { 0 },
		    "refused 401 verified: HTTP 401", 1 },
		{ { SAYS("HTTP/1.1 417 Expectation Failed\r\n" ENDS) },
		    { 0 }, "refused 417 verified: HTTP 417", 1 },
		{ { SAYS("HTTP/1.1 500 Oops\r\n" ENDS) }, { 0 },
		    "refused 500 verified: HTTP 500", 1 },
		/* RPT-5.4-4: an endless answer, and one that never ends. */
		{ { SAYS("HTTP/1.1 200 OK\r\n\r\n"), .endless = true },
		    { .timeout_ms = 10000 },
		    "accepted 200 verified: HTTP 200", 1 },
		{ { SAYS("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"
		    "x"), .hang = true }, { .timeout_ms = 1000 },
		    "accepted 200 verified: HTTP 200", 1 },
		/* Lost answers. */
		{ { SAYS(NULL), .hang = true }, { .timeout_ms = 1000 },
		    "unknown 0 verified: sent, but no answer: timeout", 1 },
		{ { SAYS("HTTP/1.1 200 OK\r\nX: "), .hang = true },
		    { .timeout_ms = 1000 },
		    "unknown 200 verified: sent, but no answer: timeout", 1 },
		{ { SAYS("220 not a web server\r\n") }, { 0 },
		    "unknown 0 verified: sent, but no answer: not HTTP", 1 },
		{ { SAYS(NULL) }, { 0 }, "unknown 0 verified: sent, but no "
		    "answer: Server returned nothing (no headers, no data)",
		    1 },
		/* It read nothing of much: certainly not sent. */
		{ { .certificate = "good", .deaf = true }, { .size = 8000000,
		    .timeout_ms = 1500 }, "failed 0 verified: timeout", 1 },
		{ { .certificate = NULL }, { 0 },
		    "failed 0: TLS: wrong version number", 1 },
		{ { SHOWS("old", ok) }, { 0 },
		    "failed 0: TLS: tlsv1 alert protocol version", 1 },
		{ { SAYS(ok) }, { .address = "127.0.0.7" },
		    "failed 0: cannot connect: Connection refused", 0 },
		{ { SAYS(ok) }, { .size = POST_SIZE_MAX },
		    "accepted 201 verified: HTTP 201", 1 },
	};

	(void)state;
	check_answers(rows, COUNT(rows));
}

/* RPT-5.4-4: a header without an end, and answers before the answer. */
static void
test_long_header(void **state)
{
	static const struct {
		const char *first, *again, *wanted;
	} rows[] = {
		{ "HTTP/1.1 200 OK\r\n", "X: 45678\r\n",
		    "accepted 200 verified: HTTP 200" },
		{ "HTTP/1.1 503 No\r\n", "X: 45678\r\n",
		    "refused 503 verified: HTTP 503" },
		{ "", "HTTP/1.1 103 Early Hints\r\n\r\n", "unknown 103 "
		    "verified: sent, but no answer: " },
	};
	const struct play play_it = { .timeout_ms = 5000 };
	struct buffer answer = { NULL, 0, 0 };
	struct web_script script = { .certificate = "good", .hang = true };
	char text[512];
	struct web *web;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		answer.len = 0;
		buffer_add(&answer, slice_of(rows[i].first));
		while (answer.len < POST_ANSWER_MAX + 8192)
			buffer_add(&answer, slice_of(rows[i].again));
		script.answer = answer.text;
		web = play(&script, &play_it, text);
		if (strncmp(text, rows[i].wanted, strlen(rows[i].wanted)) != 0
		    || strstr(text, "timeout") != NULL)
			fail_msg("row %zu: %s", i, text);
		web_free(&web);
	}
	buffer_free(&answer);
}

/* It stops in the middle: some error, and certainly not sent. */
static void
test_half(void **state)
{
	const struct web_script script = {
		.certificate = "good", .half = true
	};
	char text[512];
	struct web *web;

	(void)state;
	web = play(&script, &(struct play){ .size = 8000000 }, text);
	assert_int_equal(strncmp(text, "failed 0 verified: ", 19), 0);
	web_free(&web);
}

/* RPT-3-8, ruling 30: verified first, then sent all the same. */
static void
test_certificates(void **state)
{
#define SENT(defect)	"accepted 201: HTTP 201 (certificate: " defect ")"
	static const struct answer_row rows[] = {
		{ { SHOWS("expired", ok) }, { 0 },
		    SENT("certificate has expired"), 2 },
		{ { SHOWS("other", ok) }, { 0 }, SENT("hostname mismatch"),
		    2 },
		/* A DNS-ID, no common name. */
		{ { SHOWS("common-name", ok) }, { 0 },
		    SENT("hostname mismatch"), 2 },
		{ { SHOWS("self", ok) }, { 0 },
		    SENT("self-signed certificate"), 2 },
		{ { SHOWS("address", ok) }, { .host = "127.0.0.1" },
		    "accepted 201 verified: HTTP 201", 1 },
		{ { SAYS(ok) }, { .host = "127.0.0.1" },
		    SENT("IP address mismatch"), 2 },
		{ { SHOWS("expired", "HTTP/1.1 404 No\r\n" ENDS) }, { 0 },
		    "refused 404: HTTP 404 (certificate: certificate has "
		    "expired)", 2 },
		{ { SHOWS("expired", NULL), .hang = true },
		    { .timeout_ms = 1000 },
		    "unknown 0: sent, but no answer: timeout", 2 },
	};

	(void)state;
	check_answers(rows, COUNT(rows));
}

/* Wherever libcurl thinks that the host is. */
static void
test_nowhere_else(void **state)
{
	const struct web_script script = {
		.certificate = "good", .answer = ok
	};
	struct web *web = web_begin(&script);
	char url[128], pin[128], why[EXCHANGE_TEXT_MAX];
	struct curl_slist *pins;
	struct f_posted posted;
	struct f_post message;
	struct post *post;
	CURL *easy;

	(void)state;
	snprintf(url, sizeof(url), "https://" WEB_HOST ":%u/", web->port);
	snprintf(pin, sizeof(pin), WEB_HOST ":%u:127.0.0.1", web->port);
	message = message_of(url, WEB_HOST, web->port, "192.0.2.1");
	post = post_new(https, &message, why);
	assert_true(post_take(post, (const uint8_t *)"abcd", 4));
	easy = post_begin(post);
	pins = curl_slist_append(NULL, pin);
	curl_easy_setopt(easy, CURLOPT_RESOLVE, pins);
	assert_true(post_end(post, curl_easy_perform(easy), &posted));
	assert_int_equal(posted.outcome, POST_FAILED);
	curl_slist_free_all(pins);
	post_free(&post);
	web_end(web);
	assert_int_equal(web->connections, 0);
	web_free(&web);
}

/* RPT-5.4-4: whatever is left of the deadline, the second try has some. */
static void
test_deadline(void **state)
{
	struct f_post message = message_of("https://r.t/", "r.t", 443,
	    "192.0.2.1");
	char why[EXCHANGE_TEXT_MAX];
	struct f_posted posted;
	struct post *post;

	(void)state;
	post = post_new(https, &message, why);
	assert_true(post_take(post, (const uint8_t *)"abcd", 4));
	post_begin(post);
	assert_false(post_end(post, CURLE_PEER_FAILED_VERIFICATION, &posted));
	post->begun_ms -= POST_DEADLINE_MS;
	assert_non_null(post_begin(post));
	assert_true(post->exchange.unverified);
	assert_true(post_end(post, CURLE_OPERATION_TIMEDOUT, &posted));
	assert_int_equal(posted.outcome, POST_FAILED);
	post_free(&post);
	assert_null(post);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "RPT-5.4-2 RPT-5.4-3 2xx is success, every other status is "
		    "none", test_status, NULL, NULL, NULL },
		{ "RPT-5.4-2 RPT-5.4-4 RPT-8-2 what arrived, what may have, "
		    "what has not", test_ends, NULL, NULL, NULL },
		{ "RPT-3-7 T35 a URL of the host that was looked up, and no "
		    "other", test_targets, NULL, NULL, NULL },
		{ "what is not to be sent", test_bounds, NULL, NULL, NULL },
		{ "RPT-3-7 RPT-5.4-1 T35 the request: POST, path and query as "
		    "they stand, type, no proxy", test_request, NULL, NULL,
		    NULL },
		{ "RPT-5.4-2 RPT-5.4-3 RPT-5.4-4 answers of a real server",
		    test_answers, NULL, NULL, NULL },
		{ "RPT-5.4-4 of an answer's header no more is read than of "
		    "its body", test_long_header, NULL, NULL, NULL },
		{ "a server that stops in the middle has no report",
		    test_half, NULL, NULL, NULL },
		{ "RPT-3-8 a bad certificate is told, and the report sent all "
		    "the same", test_certificates, NULL, NULL, NULL },
		{ "RPT-7-4 no address is connected to but those that came "
		    "with it", test_nowhere_else, NULL, NULL, NULL },
		{ "RPT-5.4-4 both tries have one deadline", test_deadline,
		    NULL, NULL, NULL },
	};

	web_make_root();
	https = https_new(web_pki.bundle_fd, "relay.example");
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
