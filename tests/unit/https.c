/*
 * What the end of a policy fetch means: a row for each kind of end; and what
 * passes between us and a real server.
 */
#include "policy/https.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "conf/proc.h"
#include "web_server.h"

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))
#define PLAIN		"text/plain"

static void
check(const struct https_end *end, enum fetch_outcome outcome,
    const char *text)
{
	struct f_done done = { .question = 7 };
	struct https_end copy = *end;

	if (copy.error == NULL)
		copy.error = "";
	https_judge(&copy, &done);
	if (done.outcome != outcome || strcmp(done.text, text) != 0)
		fail_msg("code %d, status %ld: %u \"%s\", wanted \"%s\"",
		    end->code, end->status, done.outcome, done.text, text);
	assert_int_equal(done.question, 7);
}

static void
test_status(void **state)
{
	struct https_end end = { .media_type = PLAIN };
	char text[32];
	long status;

	(void)state;
	for (status = 100; status < 600; status++) {
		end.status = status;
		snprintf(text, sizeof(text), "HTTP %ld", status);
		check(&end, status == 200 ? FETCH_BODY : FETCH_ERROR,
		    status == 200 ? "" : text);
	}
	/* Whatever else went wrong: the status says most. */
	end.status = 404;
	end.too_long = true;
	end.code = CURLE_WRITE_ERROR;
	end.media_type = "text/html";
	check(&end, FETCH_ERROR, "HTTP 404");
}

static void
test_media_type(void **state)
{
	static const struct {
		const char	*type, *text;	/* NULL: accepted */
	} rows[] = {
		{ "text/plain", NULL }, { "TEXT/PLAIN", NULL },
		{ "Text/Plain; charset=utf-8; x=y", NULL },
		{ "text/plain;charset=utf-8", NULL },
		{ " text/plain ", NULL }, { "text/plain ; a=b", NULL },
		{ "text/html", "media-type text/html" },
		{ "text/plainx", "media-type text/plainx" },
		{ "text/plain,text/html",
		    "media-type text/plain,text/html" },
		{ "text", "media-type text" }, { "", "media-type " },
		{ "application/text/plain",
		    "media-type application/text/plain" },
		{ NULL, "media-type missing" },
		{ "a\r\nb\x01\xff\"c", "media-type a??b??\"c" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		struct https_end end = {
			.status = 200, .media_type = rows[i].type
		};

		check(&end, i < 6 ? FETCH_BODY : FETCH_ERROR,
		    i < 6 ? "" : rows[i].text);
	}
}

static void
test_size(void **state)
{
	const struct https_end announced = {
		.code = CURLE_FILESIZE_EXCEEDED, .status = 200,
		.media_type = PLAIN
	}, counted = {
		.code = CURLE_WRITE_ERROR, .too_long = true, .status = 200,
		.media_type = PLAIN
	}, cut = {
		.code = CURLE_PARTIAL_FILE, .status = 200,
		.media_type = PLAIN
	};

	(void)state;
	check(&announced, FETCH_ERROR, "size");
	check(&counted, FETCH_ERROR, "size");
	check(&cut, FETCH_ERROR, curl_easy_strerror(CURLE_PARTIAL_FILE));
}

static void
test_certificates(void **state)
{
	static const long defects[] = {
		X509_V_ERR_CERT_HAS_EXPIRED, X509_V_ERR_CERT_NOT_YET_VALID,
		X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
		X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
		X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_INVALID_PURPOSE,
	};
	struct https_end end = { .code = CURLE_PEER_FAILED_VERIFICATION };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(defects); i++) {
		end.verify = defects[i];
		check(&end, FETCH_WEBPKI,
		    X509_verify_cert_error_string(defects[i]));
	}
	/* libcurl's own check of the name leaves no defect behind. */
	end.verify = 1;
	check(&end, FETCH_WEBPKI, "hostname mismatch");
	end.verify = 0;
	check(&end, FETCH_WEBPKI, "hostname mismatch");
}

static void
test_others(void **state)
{
	static const struct {
		CURLcode	 code;
		const char	*error, *text;
	} rows[] = {
		{ CURLE_OPERATION_TIMEDOUT, "Operation timed out after 60001",
		    "timeout" },
		{ CURLE_SSL_CONNECT_ERROR, "OpenSSL/3.0.22: "
		    "error:0A00042E:SSL routines::tlsv1 alert protocol "
		    "version", "TLS: tlsv1 alert protocol version" },
		{ CURLE_SSL_CONNECT_ERROR, "OpenSSL/3.0.19: Unknown error",
		    "TLS: Unknown error" },
		{ CURLE_SSL_CONNECT_ERROR, "SSL_ERROR_SYSCALL",
		    "TLS: SSL_ERROR_SYSCALL" },
		{ CURLE_UNSUPPORTED_PROTOCOL, "Received HTTP/0.9",
		    "not HTTP" },
		{ CURLE_OUT_OF_MEMORY, "", "header size" },
		{ CURLE_COULDNT_CONNECT, "Failed to connect to x", NULL },
		{ CURLE_COULDNT_RESOLVE_HOST, "", NULL },
		{ CURLE_RECV_ERROR, "", NULL }, { CURLE_GOT_NOTHING, "", NULL },
	};
	struct https_end end = { .code = CURLE_OK };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		end.code = rows[i].code;
		end.error = rows[i].error;
		check(&end, FETCH_ERROR, rows[i].text != NULL ? rows[i].text :
		    curl_easy_strerror(rows[i].code));
	}
	end.code = CURLE_OK;
	check(&end, FETCH_ERROR, "no HTTP answer");
}

static struct f_get
question(const char *domain, const char *address)
{
	struct f_get get = { .question = 3 };
	struct address parsed;

	snprintf(get.domain, sizeof(get.domain), "%s", domain);
	if (address != NULL) {
		assert_true(address_parse(slice_of(address), &parsed));
		route_put_address(get.addresses, &get.addresses_len,
		    sizeof(get.addresses), &parsed);
	}
	return get;
}

static void
test_target(void **state)
{
	static const char *const domains[] = {
		"example.org", "xn--mller-kva.de", "a.b.c.example",
		"user_name.example"
	};
	static struct https *https;	/* as in the program: for ever */
	struct transfer *transfer;
	struct f_get get;
	char *url, wanted[512];
	size_t i;

	(void)state;
	https = https_new(-1, "relay.example");
	for (i = 0; i < COUNT(domains); i++) {
		get = question(domains[i], "2001:db8::1");
		transfer = https_get(https, &get);
		assert_non_null(transfer);
		assert_int_equal(curl_easy_getinfo(transfer->exchange.easy,
		    CURLINFO_EFFECTIVE_URL, &url), CURLE_OK);
		snprintf(wanted, sizeof(wanted),
		    "https://mta-sts.%s/.well-known/mta-sts.txt", domains[i]);
		assert_string_equal(url, wanted);
		snprintf(wanted, sizeof(wanted),
		    "mta-sts.%s:443:[2001:db8::1]", domains[i]);
		assert_string_equal(transfer->exchange.pins->data, wanted);
		https_free(&transfer);
	}
}

static void
test_refused(void **state)
{
	static const char *const domains[] = {
		"", "[192.0.2.1]", "a/b", "a@b", "a:443", "a b", "a..b",
		"../../etc/passwd", "a?b", "a#b", "a\\b", "a\nb", "{a,b}",
		"[1-9]", "b\xc3\xbc" "cher.example"
	};
	static struct https *https;
	struct f_get get;
	size_t i;

	(void)state;
	https = https_new(-1, "");
	for (i = 0; i < COUNT(domains); i++) {
		get = question(domains[i], "192.0.2.1");
		assert_null(https_get(https, &get));
	}
	get = question("example.org", NULL);
	assert_null(https_get(https, &get));
}

/*
 * A real server, at its own port and name; everything else is as it is for a
 * policy host.
 */
static struct https *trusting;

static struct web *
get_from(const struct web_script *script, struct f_done *done)
{
	struct web *web = web_begin(script);
	struct f_get get = question(WEB_HOST, "127.0.0.1");
	struct transfer *transfer = https_get(trusting, &get);
	struct exchange *exchange = &transfer->exchange;
	char text[512];

	snprintf(exchange->host, sizeof(exchange->host), "%s", WEB_HOST);
	exchange->port = web->port;
	snprintf(text, sizeof(text), "%s:%u:127.0.0.1", WEB_HOST, web->port);
	curl_slist_free_all(exchange->pins);
	exchange->pins = curl_slist_append(NULL, text);
	EXCHANGE_SET(exchange, RESOLVE, exchange->pins);
	snprintf(text, sizeof(text), "https://%s:%u/.well-known/mta-sts.txt",
	    WEB_HOST, web->port);
	EXCHANGE_SET(exchange, URL, text);
	https_end(transfer, curl_easy_perform(exchange->easy), done);
	https_free(&transfer);
	web_end(web);
	return web;
}

#define HTTP(status, fields)						\
	"HTTP/1.1 " status "\r\nContent-Type: text/plain\r\n"		\
	"Connection: close\r\nContent-Length: 2\r\n" fields "\r\nok"

#define SAYS(text)	.certificate = "good", .answer = text
#define SHOWS(name)	.certificate = name, .answer = HTTP("200 OK", "")

/* Twice the same words: nothing that a server says is remembered. */
static void
test_request(void **state)
{
	const struct web_script script = {
		.certificate = "good",
		.answer = HTTP("200 OK", "Set-Cookie: a=b; Path=/\r\n"
		    "ETag: \"x\"\r\nCache-Control: max-age=9999\r\n"
		    "Alt-Svc: h2=\":1\"\r\n"
		    "Strict-Transport-Security: max-age=99999999\r\n")
	};
	char home[] = "/tmp/culver-https-XXXXXX", path[64], wanted[512];
	struct f_done done;
	struct web *web;
	FILE *file;
	int i;

	(void)state;
	assert_non_null(mkdtemp(home));
	snprintf(path, sizeof(path), "%s/.netrc", home);
	file = fopen(path, "w");
	fprintf(file, "machine " WEB_HOST " login u password p\n");
	fclose(file);
	setenv("HOME", home, 1);
	setenv("https_proxy", "http://127.0.0.1:9/", 1);
	setenv("ALL_PROXY", "socks5://127.0.0.1:9/", 1);
	for (i = 0; i < 2; i++) {
		web = get_from(&script, &done);
		assert_string_equal(done.text, "");
		assert_int_equal(done.outcome, FETCH_BODY);
		assert_int_equal(web->requests, 1);
		snprintf(wanted, sizeof(wanted),
		    "GET /.well-known/mta-sts.txt HTTP/1.1\r\n"
		    "Host: " WEB_HOST ":%u\r\n"
		    "User-Agent: culver/" CULVER_VERSION " (relay.example)\r\n"
		    "Accept: */*", web->port);
		assert_string_equal(web->request, wanted);
		web_free(&web);
	}
	unsetenv("https_proxy");
	unsetenv("ALL_PROXY");
	remove(path);
	remove(home);
}

static void
test_server(void **state)
{
	static const struct {
		struct web_script	script;
		enum fetch_outcome	outcome;
		const char		*text;
	} rows[] = {
		{ { SAYS(HTTP("200 OK", "")) }, FETCH_BODY, "" },
		/* Nobody asked for it: octets are what they are. */
		{ { SAYS(HTTP("200 OK", "Content-Encoding: gzip\r\n")) },
		    FETCH_BODY, "" },
		{ { SAYS(HTTP("302 Found", "Location: /y\r\n")) },
		    FETCH_ERROR, "HTTP 302" },
		{ { SAYS(HTTP("403 No", "")) }, FETCH_ERROR, "HTTP 403" },
		{ { SAYS(HTTP("203 Other", "")) }, FETCH_ERROR, "HTTP 203" },
		{ { SAYS(HTTP("206 Part", "")) }, FETCH_ERROR, "HTTP 206" },
		{ { SAYS("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
		    "Connection: close\r\n\r\n"), .endless = true },
		    FETCH_ERROR, "size" },
		{ { SAYS("no HTTP\r\n") }, FETCH_ERROR, "not HTTP" },
		{ { SHOWS("common-name") }, FETCH_WEBPKI,
		    "hostname mismatch" },
		{ { SHOWS("other") }, FETCH_WEBPKI, "hostname mismatch" },
		{ { SHOWS("address") }, FETCH_WEBPKI, "hostname mismatch" },
		{ { SHOWS("expired") }, FETCH_WEBPKI,
		    "certificate has expired" },
		{ { SHOWS("self") }, FETCH_WEBPKI, NULL },
		{ { SHOWS("old") }, FETCH_ERROR, NULL },
		{ { .certificate = NULL }, FETCH_ERROR, NULL },
	};
	struct f_done done;
	struct web *web;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		web = get_from(&rows[i].script, &done);
		if (done.outcome != rows[i].outcome || (rows[i].text != NULL &&
		    strcmp(done.text, rows[i].text) != 0))
			fail_msg("row %zu: %u %s", i, done.outcome,
			    done.text);
		assert_int_equal(web->connections, 1);
		web_free(&web);
	}
}

/*
 * A hundred thousand KeyUpdate in a row, all there at once: as long as they
 * were taken, no other fetch would go on.
 */
static void
test_rekeys(void **state)
{
	const struct web_script few = {
		.certificate = "good", .answer = HTTP("200 OK", ""),
		.rekeys = 20
	}, many = {
		.certificate = "good", .answer = HTTP("200 OK", ""),
		.rekeys = 100000
	};
	struct f_done done;
	struct web *web;

	(void)state;
	web = get_from(&few, &done);
	assert_string_equal(done.text, "");
	assert_int_equal(done.outcome, FETCH_BODY);
	web_free(&web);
	web = get_from(&many, &done);
	assert_int_equal(done.outcome, FETCH_ERROR);
	assert_string_equal(done.text,
	    curl_easy_strerror(CURLE_RECV_ERROR));
	web_free(&web);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "T7 T49 STS-3.3-7 STS-3.3-8 STS-3.3-9 RPT-4.3.2.2-3 only "
		    "status 200 yields a policy", test_status, NULL, NULL,
		    NULL },
		{ "T8 STS-3.2-2 STS-3.2-3 text/plain, in any case, with any "
		    "parameters", test_media_type, NULL, NULL, NULL },
		{ "T9 STS-3.3-13 STS-3.3-19 too long or cut is a failure",
		    test_size, NULL, NULL, NULL },
		{ "STS-3.3-1 STS-3.3-2 STS-3.3-3 RPT-4.3.2.2-2 a certificate "
		    "that is no good", test_certificates, NULL, NULL, NULL },
		{ "STS-3.3-12 RPT-4.3.2.2-3 RPT-8-2 every other failure",
		    test_others, NULL, NULL, NULL },
		{ "STS-3.2-1 STS-10.3-1 the domain is all that the URL has of "
		    "it", test_target, NULL, NULL, NULL },
		{ "STS-10.3-1 what is no domain is not fetched", test_refused,
		    NULL, NULL, NULL },
		{ "T49 STS-3.3-9 STS-3.3-20 the request names us, and knows "
		    "no proxy, netrc, cookie, cache or compression",
		    test_request, NULL, NULL, NULL },
		{ "T7 T9 STS-3.3-1 STS-3.3-4 STS-3.3-8 STS-7.2-1 a real "
		    "server: statuses, sizes, names, TLS", test_server, NULL,
		    NULL, NULL },
		{ "T45 a server that sends TLS records without end",
		    test_rekeys, NULL, NULL, NULL },
	};

	web_make_root();
	trusting = https_new(web_pki.bundle_fd, "relay.example");
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
