/*
 * How is one policy fetched, and what does the end of it mean?
 *
 * Called by fetch.c; what a POST has in common (exchange_*) by post.c.
 * Everything that libcurl could do beside one request to the addresses it is
 * given is switched off here, also what is off by default: the environment
 * says nothing.
 *
 * libcurl alone takes a certificate's common name where RFC 8461 3.3 wants a
 * DNS-ID: names are checked by OpenSSL itself, with that forbidden.
 */
#include "policy/https.h"

#include "conf/log.h"
#include "conf/proc.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HTTPS_PORT	443
#define CONNECT_MS	20000
#define CA_OCTETS_MAX	(8 << 20)
/* A handshake has some dozens of messages and records. */
#define IDLE_RECORDS_MAX	256

struct https {
	X509_STORE	*anchors;
	char		 agent[64 + DOMAIN_TEXT_MAX];
};

/*
 * What all fetches share.
 */

/* All of the bundle; closes fd. */
static BIO *
read_bundle(int fd)
{
	char octets[16384];
	size_t len = 0;
	BIO *bundle;
	ssize_t n;

	bundle = BIO_new(BIO_s_mem());
	if (bundle == NULL)
		fatal("no memory for the trust anchors");
	while ((n = read(fd, octets, sizeof(octets))) > 0) {
		len += (size_t)n;
		if (len > CA_OCTETS_MAX || BIO_write(bundle, octets, (int)n) !=
		    (int)n)
			fatal("the bundle of trust anchors is too long");
	}
	close(fd);
	return bundle;
}

/* Parsed once: it takes longer than a fetch. */
static void
load_anchors(X509_STORE *store, int fd)
{
	STACK_OF(X509_INFO) *all;
	BIO *bundle = read_bundle(fd);
	int i, n = 0;

	all = PEM_X509_INFO_read_bio(bundle, NULL, NULL, NULL);
	for (i = 0; i < sk_X509_INFO_num(all); i++)
		if (sk_X509_INFO_value(all, i)->x509 != NULL)
			n += X509_STORE_add_cert(store,
			    sk_X509_INFO_value(all, i)->x509);
	sk_X509_INFO_pop_free(all, X509_INFO_free);
	BIO_free(bundle);
	ERR_clear_error();
	if (n == 0)
		log_line(LOG_LEVEL_ERROR, "there are no trust anchors: no "
		    "policy host can be authenticated");
}

/*
 * Half a handshake with nobody: what OpenSSL loads at its first use is loaded
 * while files can still be opened.
 */
static void
warm_up(void)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *ssl = context == NULL ? NULL : SSL_new(context);

	if (ssl == NULL)
		fatal("OpenSSL cannot begin");
	SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_connect(ssl);
	SSL_free(ssl);
	SSL_CTX_free(context);
	ERR_clear_error();
}

struct https *
https_new(int ca_fd, const char *hostname)
{
	struct https *https;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		fatal("libcurl cannot begin");
	warm_up();
	https = mem_alloc(sizeof(*https));
	https->anchors = X509_STORE_new();
	if (https->anchors == NULL)
		fatal("no memory for the trust anchors");
	if (ca_fd != -1)
		load_anchors(https->anchors, ca_fd);
	/* T49: named, so that a web host may know whom it refuses. */
	if (hostname[0] != '\0')
		snprintf(https->agent, sizeof(https->agent),
		    "culver/%s (%s)", CULVER_VERSION, hostname);
	else
		snprintf(https->agent, sizeof(https->agent), "culver/%s",
		    CULVER_VERSION);
	return https;
}

/*
 * One exchange.
 */

/*
 * OpenSSL saw something of the host's.  It goes on reading, and libcurl with
 * it, until there are data or nothing is left: a host that sends KeyUpdate or
 * tickets as fast as they are read would hold all other fetches (T45).  Above
 * a number of them OpenSSL finds an end.
 */
static void
note_record(int written, int version, int type, const void *octets,
    size_t len, SSL *ssl, void *context)
{
	struct exchange *exchange = context;
	bool is_record = type == SSL3_RT_HEADER ||
	    type == SSL3_RT_INNER_CONTENT_TYPE;
	BIO *nothing;

	(void)version;
	if (written || len == 0 || exchange->idle_records > IDLE_RECORDS_MAX ||
	    (type != SSL3_RT_HANDSHAKE && !is_record) || (is_record &&
	    *(const uint8_t *)octets == SSL3_RT_APPLICATION_DATA) ||
	    ++exchange->idle_records <= IDLE_RECORDS_MAX)
		return;
	nothing = BIO_new(BIO_s_null());
	if (nothing == NULL)
		fatal("no memory for TLS");
	SSL_set0_rbio(ssl, nothing);
}

/*
 * STS-3.3-1, STS-3.3-2, STS-3.3-3, STS-3.3-4, STS-3.3-5 RFC 8461 3.3: the
 * chain to our anchors, the dates, and a DNS-ID that is the host's name.
 */
static CURLcode
on_context(CURL *easy, void *ssl_context, void *context)
{
	struct exchange *exchange = context;
	X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ssl_context);
	int set;

	(void)easy;
	X509_VERIFY_PARAM_set_hostflags(param,
	    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
	    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (exchange->literal)
		set = X509_VERIFY_PARAM_set1_ip_asc(param, exchange->host);
	else
		set = X509_VERIFY_PARAM_set1_host(param, exchange->host, 0);
	if (set != 1)
		return CURLE_OUT_OF_MEMORY;
	SSL_CTX_set1_cert_store(ssl_context, exchange->https->anchors);
	SSL_CTX_set_options(ssl_context, SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_msg_callback(ssl_context, note_record);
	SSL_CTX_set_msg_callback_arg(ssl_context, exchange);
	return CURLE_OK;
}

/* Whatever libcurl makes of a URL: no other address is ever connected to. */
static curl_socket_t
on_socket(void *context, curlsocktype purpose, struct curl_sockaddr *target)
{
	const struct exchange *exchange = context;
	struct address address;
	uint16_t port;
	unsigned i;

	(void)purpose;
	if (!address_from_sockaddr(&target->addr, &address, &port) ||
	    port != exchange->port)
		return CURL_SOCKET_BAD;
	for (i = 0; i < exchange->addresses_n; i++)
		if (address_equal(&exchange->addresses[i], &address))
			return socket(target->family,
			    target->socktype | SOCK_CLOEXEC,
			    target->protocol);
	return CURL_SOCKET_BAD;
}

/* "mta-sts.example.org:443:192.0.2.1,[2001:db8::1]" */
static void
pin(struct exchange *exchange)
{
	struct buffer line = { NULL, 0, 0 };
	char text[ADDRESS_TEXT_MAX];
	unsigned i;

	/* An address needs no look-up, and libcurl makes none. */
	if (exchange->literal)
		return;
	buffer_printf(&line, "%s:%u:", exchange->host, exchange->port);
	for (i = 0; i < exchange->addresses_n; i++)
		buffer_printf(&line, exchange->addresses[i].family == 6 ?
		    "%s[%s]" : "%s%s", i > 0 ? "," : "",
		    address_print(&exchange->addresses[i], text));
	exchange->pins = curl_slist_append(NULL, line.text);
	buffer_free(&line);
	if (exchange->pins == NULL)
		fatal("no memory for an address");
	EXCHANGE_SET(exchange, RESOLVE, exchange->pins);
}

/*
 * There, and nowhere else.  STS-3.2-1 RFC 8461 3.2, STS-3.3-8 and STS-3.3-20
 * RFC 8461 3.3, RPT-5.4-3 RFC 8460 5.4: no redirect, no proxy, no other
 * scheme.
 */
static void
set_way(struct exchange *exchange)
{
	EXCHANGE_SET(exchange, DNS_CACHE_TIMEOUT, 0L);
	EXCHANGE_SET(exchange, IPRESOLVE, (long)CURL_IPRESOLVE_WHATEVER);
	EXCHANGE_SET(exchange, OPENSOCKETFUNCTION, on_socket);
	EXCHANGE_SET(exchange, OPENSOCKETDATA, exchange);
	EXCHANGE_SET(exchange, PROTOCOLS_STR, "https");
	EXCHANGE_SET(exchange, REDIR_PROTOCOLS_STR, "https");
	EXCHANGE_SET(exchange, FOLLOWLOCATION, 0L);
	EXCHANGE_SET(exchange, PROXY, "");
	EXCHANGE_SET(exchange, NOPROXY, "*");
	EXCHANGE_SET(exchange, NETRC, (long)CURL_NETRC_IGNORED);
	EXCHANGE_SET(exchange, HSTS_CTRL, 0L);
}

/* One plain request, one plain answer. */
static void
set_manner(struct exchange *exchange, int64_t timeout_ms)
{
	EXCHANGE_SET(exchange, USERAGENT, exchange->https->agent);
	EXCHANGE_SET(exchange, HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	EXCHANGE_SET(exchange, HTTP09_ALLOWED, 0L);
	EXCHANGE_SET(exchange, ACCEPT_ENCODING, NULL);
	EXCHANGE_SET(exchange, FORBID_REUSE, 1L);
	EXCHANGE_SET(exchange, FRESH_CONNECT, 1L);
	EXCHANGE_SET(exchange, BUFFERSIZE, 16384L);
	EXCHANGE_SET(exchange, ERRORBUFFER, exchange->error);
	EXCHANGE_SET(exchange, NOSIGNAL, 1L);
	/* STS-3.3-12 RFC 8461 3.3, RPT-5.4-4 RFC 8460 5.4: over all, however
	 * slowly octets come. */
	EXCHANGE_SET(exchange, TIMEOUT_MS, (long)timeout_ms);
	EXCHANGE_SET(exchange, CONNECTTIMEOUT_MS, (long)CONNECT_MS);
}

/* STS-7.1-2 RFC 8461 7.1: libcurl sends the URL's host as SNI. */
static void
set_tls(struct exchange *exchange)
{
	EXCHANGE_SET(exchange, SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	EXCHANGE_SET(exchange, SSL_VERIFYPEER,
	    exchange->unverified ? 0L : 1L);
	EXCHANGE_SET(exchange, SSL_VERIFYHOST,
	    exchange->unverified ? 0L : 2L);
	EXCHANGE_SET(exchange, CAINFO, NULL);
	EXCHANGE_SET(exchange, CAPATH, NULL);
	EXCHANGE_SET(exchange, SSL_SESSIONID_CACHE, 0L);
	EXCHANGE_SET(exchange, SSL_CTX_FUNCTION, on_context);
	EXCHANGE_SET(exchange, SSL_CTX_DATA, exchange);
}

bool
exchange_open(struct exchange *exchange, const struct https *https,
    uint32_t port, const uint8_t *addresses, uint32_t len,
    int64_t timeout_ms)
{
	unsigned n = 0;

	while (n < ROUTE_ADDRESSES_MAX && route_get_address(addresses, len, n,
	    &exchange->addresses[n]))
		n++;
	if (n == 0)
		return false;
	exchange->addresses_n = n;
	exchange->port = port;
	exchange->https = https;
	exchange->error[0] = '\0';
	exchange->idle_records = 0;
	exchange->easy = curl_easy_init();
	if (exchange->easy == NULL)
		fatal("no memory for an exchange");
	pin(exchange);
	set_way(exchange);
	set_manner(exchange, timeout_ms);
	set_tls(exchange);
	return true;
}

void
exchange_close(struct exchange *exchange)
{
	curl_easy_cleanup(exchange->easy);
	curl_slist_free_all(exchange->pins);
	exchange->easy = NULL;
	exchange->pins = NULL;
}

/*
 * Words.
 */

/* A stranger's word in a short text: visible ASCII, not much of it. */
static void
set_text(char text[EXCHANGE_TEXT_MAX], const char *before, const char *word)
{
	size_t i;

	snprintf(text, EXCHANGE_TEXT_MAX, "%s%.100s", before, word);
	for (i = strlen(before); text[i] != '\0'; i++)
		if (text[i] < ' ' || text[i] > '~')
			text[i] = '?';
}

/* What curl says of a handshake, without the library's numbers. */
static const char *
without_numbers(const char *error)
{
	const char *at;

	while ((at = strstr(error, "::")) != NULL)
		error = at + 2;
	if (strncmp(error, "OpenSSL/", 8) == 0 &&
	    (at = strstr(error, ": ")) != NULL)
		error = at + 2;
	return error;
}

bool
exchange_is_certificate(CURLcode code)
{
	return code == CURLE_PEER_FAILED_VERIFICATION ||
	    code == CURLE_SSL_ISSUER_ERROR ||
	    code == CURLE_SSL_INVALIDCERTSTATUS;
}

void
exchange_words(CURLcode code, long verify, const char *error,
    char text[EXCHANGE_TEXT_MAX])
{
	if (exchange_is_certificate(code)) {
		set_text(text, "", verify > 1 ?
		    X509_verify_cert_error_string(verify) :
		    "hostname mismatch");
		return;
	}
	switch (code) {
	case CURLE_FILESIZE_EXCEEDED:
		set_text(text, "size", "");
		return;
	case CURLE_OPERATION_TIMEDOUT:
		set_text(text, "timeout", "");
		return;
	case CURLE_SSL_CONNECT_ERROR:
		set_text(text, "TLS: ", without_numbers(error));
		return;
	case CURLE_UNSUPPORTED_PROTOCOL:
		set_text(text, "not HTTP", "");
		return;
	case CURLE_OUT_OF_MEMORY:	/* libcurl's word for long headers */
		set_text(text, "header size", "");
		return;
	default:
		set_text(text, "", curl_easy_strerror(code));
	}
}

/*
 * One GET.
 */

/* STS-3.3-13 RFC 8461 3.3: never cut, and never more than that in memory. */
static size_t
on_body(char *octets, size_t one, size_t n, void *context)
{
	struct transfer *transfer = context;

	n *= one;
	if (n > sizeof(transfer->body) - transfer->body_len) {
		transfer->too_long = true;
		return 0;
	}
	memcpy(transfer->body + transfer->body_len, octets, n);
	transfer->body_len += n;
	return n;
}

/* STS-3.3-9 RFC 8461 3.3: no cache. */
static void
set_get(struct transfer *transfer)
{
	struct exchange *exchange = &transfer->exchange;
	char url[sizeof(exchange->host) + 64];

	snprintf(url, sizeof(url), "https://%s/.well-known/mta-sts.txt",
	    exchange->host);
	EXCHANGE_SET(exchange, URL, url);
	EXCHANGE_SET(exchange, HTTPGET, 1L);
	EXCHANGE_SET(exchange, MAXFILESIZE, (long)HTTPS_BODY_MAX);
	EXCHANGE_SET(exchange, WRITEFUNCTION, on_body);
	EXCHANGE_SET(exchange, WRITEDATA, transfer);
}

struct transfer *
https_get(const struct https *https, const struct f_get *get)
{
	struct transfer *transfer;
	struct domain domain;

	if (!domain_parse(slice_of(get->domain), &domain) ||
	    domain_is_literal(&domain))
		return NULL;
	transfer = mem_alloc(sizeof(*transfer));
	transfer->question = get->question;
	transfer->pipe = -1;
	/* STS-10.3-1 RFC 8461 10.3: the domain is all that is in it. */
	snprintf(transfer->exchange.host, sizeof(transfer->exchange.host),
	    "mta-sts.%s", domain.name);
	if (!exchange_open(&transfer->exchange, https, HTTPS_PORT,
	    get->addresses, get->addresses_len, HTTPS_DEADLINE_MS)) {
		https_free(&transfer);
		return NULL;
	}
	set_get(transfer);
	return transfer;
}

void
https_free(struct transfer **transfer)
{
	if (*transfer == NULL)
		return;
	exchange_close(&(*transfer)->exchange);
	free(*transfer);
	*transfer = NULL;
}

/*
 * The end of one.
 */

/* STS-3.2-2, STS-3.2-3 RFC 8461 3.2: without case, whatever parameters. */
static bool
is_text_plain(const char *media_type)
{
	struct slice rest = slice_of(media_type);

	return slice_equal_nocase(slice_trim(slice_cut(&rest, ';')),
	    SLICE("text/plain"));
}

/* STS-3.3-7, STS-3.3-19 RFC 8461 3.3 (T7, T8, T9) */
void
https_judge(const struct https_end *end, struct f_done *done)
{
	char status[32];

	done->status = end->status < 0 || end->status > 999 ? 0 :
	    (uint32_t)end->status;
	done->outcome = FETCH_ERROR;
	if (end->status != 0 && end->status != 200) {
		snprintf(status, sizeof(status), "%ld", end->status);
		set_text(done->text, "HTTP ", status);
	} else if (end->too_long) {
		set_text(done->text, "size", "");
	} else if (end->code != CURLE_OK) {
		if (exchange_is_certificate(end->code))
			done->outcome = FETCH_WEBPKI;
		exchange_words(end->code, end->verify, end->error,
		    done->text);
	} else if (end->status == 0) {
		set_text(done->text, "no HTTP answer", "");
	} else if (end->media_type == NULL) {
		set_text(done->text, "media-type missing", "");
	} else if (!is_text_plain(end->media_type)) {
		set_text(done->text, "media-type ", end->media_type);
	} else {
		done->outcome = FETCH_BODY;
	}
}

void
https_end(struct transfer *transfer, CURLcode code, struct f_done *done)
{
	struct https_end end = {
		.code = code,
		.too_long = transfer->too_long,
		.error = transfer->exchange.error
	};
	CURL *easy = transfer->exchange.easy;
	char *media_type = NULL;

	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &end.status);
	curl_easy_getinfo(easy, CURLINFO_CONTENT_TYPE, &media_type);
	curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &end.verify);
	end.media_type = media_type;
	memset(done, 0, sizeof(*done));
	done->question = transfer->question;
	https_judge(&end, done);
	if (done->outcome == FETCH_BODY)
		done->body_bytes = (uint32_t)transfer->body_len;
}
