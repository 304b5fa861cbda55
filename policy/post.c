/*
 * How is one report handed in over HTTPS, and what does the end of it mean?
 *
 * Called by fetch.c.  A post is: gathering (its document comes through a
 * pipe), under way, perhaps under way a second time to a host whose
 * certificate is no good, ended.
 *
 * The URL is a stranger's: it is used as it stands, once, for one request to
 * the addresses that came with it, when it names the host that was looked up
 * for them.  What may have arrived is told apart from what certainly has not:
 * the sender of a report that may have arrived knows that it may be counted
 * twice.
 *
 * Does not try again later, and does not know what a report is.
 */
#include "policy/post.h"

#include "conf/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is left for a second try at the least. */
#define SECOND_MS	5000

/*
 * Where to.
 */

/* One part of a URL; NULL when it has none.  For curl_free. */
static char *
part_of(CURLU *url, CURLUPart part)
{
	char *text = NULL;

	return curl_url_get(url, part, &text, CURLU_DEFAULT_PORT) ==
	    CURLUE_OK ? text : NULL;
}

/*
 * The host as it stands in a URL: a name, or an address, with brackets round
 * one of IPv6.
 */
static bool
is_host(const char *text, const char *wanted)
{
	struct domain name, domain;
	struct address a, b;
	struct slice host = slice_of(text);

	if (!domain_parse(slice_of(wanted), &domain))
		return false;
	if (!domain_is_literal(&domain))
		return !address_parse(host, &a) && domain_parse(host, &name) &&
		    domain_equal(&name, &domain);
	if (host.len > 2 && host.at[0] == '[')
		host = (struct slice){ host.at + 1, host.len - 2 };
	return domain_literal_address(&domain, &a) &&
	    address_parse(host, &b) && address_equal(&a, &b);
}

/* What libcurl will make of the URL is what was looked up. */
static bool
is_target(CURLU *url, const struct f_post *message)
{
	char *scheme = part_of(url, CURLUPART_SCHEME);
	char *host = part_of(url, CURLUPART_HOST);
	char *port = part_of(url, CURLUPART_PORT), wanted[16];
	bool is;

	snprintf(wanted, sizeof(wanted), "%u", message->port);
	is = scheme != NULL && strcmp(scheme, "https") == 0 &&
	    host != NULL && is_host(host, message->host) &&
	    port != NULL && strcmp(port, wanted) == 0;
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	return is;
}

/* Visible ASCII: what else is in it would be a header of its own. */
static bool
is_plain(const char *text)
{
	const char *at;

	for (at = text; *at != '\0'; at++)
		if (*at <= ' ' || *at > '~')
			return false;
	return at != text;
}

/* Why can this not be sent?  NULL: it can. */
static const char *
fault_of(const struct f_post *message)
{
	CURLU *url = curl_url();
	const char *fault = NULL;
	struct address address;

	if (url == NULL)
		fatal("no memory for a URL");
	if (message->size_bytes == 0 || message->size_bytes > POST_SIZE_MAX)
		fault = "no document, or too long a one";
	else if (!is_plain(message->media_type))
		fault = "no media type";
	else if (curl_url_set(url, CURLUPART_URL, message->url,
	    CURLU_PATH_AS_IS | CURLU_DISALLOW_USER) != CURLUE_OK)
		fault = "it is no URL that can be used";
	else if (!is_target(url, message))
		fault = "the URL is not of the host that was looked up";
	else if (!route_get_address(message->addresses,
	    message->addresses_len, 0, &address))
		fault = "no address";
	curl_url_cleanup(url);
	return fault;
}

struct post *
post_new(const struct https *https, const struct f_post *message,
    char why[EXCHANGE_TEXT_MAX])
{
	const char *fault = fault_of(message);
	struct post *post;

	if (fault != NULL) {
		snprintf(why, EXCHANGE_TEXT_MAX, "%s", fault);
		return NULL;
	}
	post = mem_alloc(sizeof(*post));
	post->https = https;
	post->message = *message;
	post->document = mem_alloc(message->size_bytes);
	return post;
}

void
post_free(struct post **post)
{
	if (*post == NULL)
		return;
	exchange_close(&(*post)->exchange);
	curl_slist_free_all((*post)->headers);
	free((*post)->document);
	free(*post);
	*post = NULL;
}

bool
post_take(struct post *post, const uint8_t *octets, size_t len)
{
	if (len > post->message.size_bytes - post->len)
		return false;
	memcpy(post->document + post->len, octets, len);
	post->len += len;
	return true;
}

bool
post_is_whole(const struct post *post)
{
	return post->len == post->message.size_bytes;
}

/*
 * The request.
 */

/*
 * Once the header is whole, all is known that will be.  RPT-5.4-4 RFC 8460
 * 5.4: nor is more of it read than of what follows; its first line stands.
 */
static size_t
on_header(char *octets, size_t one, size_t n, void *context)
{
	struct post *post = context;
	long status = 0;

	n *= one;
	curl_easy_getinfo(post->exchange.easy, CURLINFO_RESPONSE_CODE,
	    &status);
	/* 1xx: the answer is still to come; after 101 none would. */
	if ((n == 1 || (n == 2 && octets[0] == '\r')) &&
	    (status >= 200 || status == 101))
		post->answered = true;
	post->header_len += n;
	if (post->header_len <= POST_ANSWER_MAX)
		return n;
	post->answered = status >= 200;
	return 0;
}

/* RPT-5.4-4 RFC 8460 5.4: thrown away, and no more of it than that. */
static size_t
on_answer(char *octets, size_t one, size_t n, void *context)
{
	struct post *post = context;

	(void)octets;
	n *= one;
	post->answer_len += n;
	return post->answer_len > POST_ANSWER_MAX ? 0 : n;
}

static void
add_header(struct post *post, const char *header)
{
	struct curl_slist *headers = curl_slist_append(post->headers, header);

	if (headers == NULL)
		fatal("no memory for a request");
	post->headers = headers;
}

/*
 * RPT-5.4-1 RFC 8460 5.4: the type of the document, which is sent as it is;
 * no "Expect", which costs a second where it is not understood.
 */
static void
set_headers(struct post *post)
{
	char line[sizeof(post->message.media_type) + 32];

	if (post->headers != NULL)
		return;
	snprintf(line, sizeof(line), "Content-Type: %s",
	    post->message.media_type);
	add_header(post, line);
	add_header(post, "Expect:");
}

/* RPT-3-7 RFC 8460 3: a POST to the URI as it stands (T35). */
static void
set_post(struct post *post)
{
	struct exchange *exchange = &post->exchange;

	set_headers(post);
	EXCHANGE_SET(exchange, DISALLOW_USERNAME_IN_URL, 1L);
	EXCHANGE_SET(exchange, PATH_AS_IS, 1L);
	EXCHANGE_SET(exchange, URL, post->message.url);
	EXCHANGE_SET(exchange, POST, 1L);
	EXCHANGE_SET(exchange, POSTFIELDS, (char *)post->document);
	EXCHANGE_SET(exchange, POSTFIELDSIZE_LARGE, (curl_off_t)post->len);
	EXCHANGE_SET(exchange, HTTPHEADER, post->headers);
	EXCHANGE_SET(exchange, HEADERFUNCTION, on_header);
	EXCHANGE_SET(exchange, HEADERDATA, post);
	EXCHANGE_SET(exchange, WRITEFUNCTION, on_answer);
	EXCHANGE_SET(exchange, WRITEDATA, post);
}

/* The certificate's names are compared with the host itself. */
static void
set_host(struct post *post)
{
	struct exchange *exchange = &post->exchange;
	struct address address;
	struct domain domain;

	if (!domain_parse(slice_of(post->message.host), &domain))
		bug("a report for \"%s\"", post->message.host);
	exchange->literal = domain_literal_address(&domain, &address);
	if (exchange->literal)
		address_print(&address, exchange->host);
	else
		snprintf(exchange->host, sizeof(exchange->host), "%s",
		    domain.name);
}

CURL *
post_begin(struct post *post)
{
	int64_t left_ms = POST_DEADLINE_MS;

	if (post->begun_ms == 0)
		post->begun_ms = wire_now_ms();
	else
		left_ms -= wire_now_ms() - post->begun_ms;
	if (left_ms < SECOND_MS)
		left_ms = SECOND_MS;
	post->answered = false;
	post->header_len = post->answer_len = 0;
	post->exchange.unverified = post->defect[0] != '\0';
	set_host(post);
	if (!exchange_open(&post->exchange, post->https, post->message.port,
	    post->message.addresses, post->message.addresses_len, left_ms))
		bug("a report for no address");
	set_post(post);
	return post->exchange.easy;
}

/*
 * The end.
 */

static void
say_answer(const struct post_end *end, struct f_posted *posted)
{
	/* RPT-5.4-2 RFC 8460 5.4 */
	posted->outcome = end->status >= 200 && end->status <= 299 ?
	    POST_ACCEPTED : POST_REFUSED;
	if (posted->verified)
		snprintf(posted->text, sizeof(posted->text), "HTTP %03ld",
		    end->status);
	else
		snprintf(posted->text, sizeof(posted->text),
		    "HTTP %03ld (certificate: %.200s)", end->status,
		    end->defect);
}

/*
 * Nothing came, or no whole header.  What libcurl has handed to TLS may have
 * arrived.
 */
static void
say_silence(const struct post_end *end, struct f_posted *posted)
{
	char words[EXCHANGE_TEXT_MAX];

	posted->outcome = end->all_sent ? POST_UNKNOWN : POST_FAILED;
	if (end->code == CURLE_OK)
		snprintf(words, sizeof(words), "no HTTP answer");
	else if (end->code == CURLE_COULDNT_CONNECT && end->os_error != 0)
		snprintf(words, sizeof(words), "cannot connect: %s",
		    strerror((int)end->os_error));
	else
		exchange_words(end->code, end->verify, end->error, words);
	snprintf(posted->text, sizeof(posted->text), "%s%.200s",
	    end->all_sent ? "sent, but no answer: " : "", words);
}

void
post_judge(const struct post_end *end, struct f_posted *posted)
{
	posted->status = end->status < 0 || end->status > 999 ? 0 :
	    (uint32_t)end->status;
	posted->verified = end->handshake && end->defect[0] == '\0';
	if (end->answered && posted->status != 0)
		say_answer(end, posted);
	else
		say_silence(end, posted);
}

static void
know_end(const struct post *post, CURLcode code, struct post_end *end)
{
	CURL *easy = post->exchange.easy;
	curl_off_t sent = 0, handshake = 0;

	memset(end, 0, sizeof(*end));
	end->code = code;
	end->answered = post->answered;
	end->error = post->exchange.error;
	end->defect = post->defect;
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &end->status);
	curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &end->verify);
	curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &end->os_error);
	curl_easy_getinfo(easy, CURLINFO_SIZE_UPLOAD_T, &sent);
	curl_easy_getinfo(easy, CURLINFO_APPCONNECT_TIME_T, &handshake);
	end->all_sent = sent >= (curl_off_t)post->len;
	end->handshake = handshake > 0;
}

bool
post_end(struct post *post, CURLcode code, struct f_posted *posted)
{
	struct post_end end;

	know_end(post, code, &end);
	/* RPT-3-8 RFC 8460 3 */
	if (exchange_is_certificate(code) && post->defect[0] == '\0') {
		exchange_words(code, end.verify, end.error, post->defect);
		exchange_close(&post->exchange);
		return false;
	}
	memset(posted, 0, sizeof(*posted));
	posted->question = post->message.question;
	post_judge(&end, posted);
	exchange_close(&post->exchange);
	return true;
}
