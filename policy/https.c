/*
 * How is one policy fetched, and what does the end of it mean?
 *
 * Called by fetch.c.  Everything that libcurl could do beside one GET from the
 * addresses it is given is switched off here, also what is off by default:
 * the environment says nothing.
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

#define CONNECT_MS	20000
#define CA_OCTETS_MAX	(8 << 20)

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
 * One transfer.
 */

/*
 * STS-3.3-1, STS-3.3-2, STS-3.3-3, STS-3.3-4, STS-3.3-5 RFC 8461 3.3: the
 * chain to our anchors, the dates, and a DNS-ID that is the host's name.
 */
static CURLcode
on_context(CURL *easy, void *ssl_context, void *context)
{
	const struct transfer *transfer = context;
	X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ssl_context);

	(void)easy;
	X509_VERIFY_PARAM_set_hostflags(param,
	    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
	    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (X509_VERIFY_PARAM_set1_host(param, transfer->host, 0) != 1)
		return CURLE_OUT_OF_MEMORY;
	SSL_CTX_set1_cert_store(ssl_context, transfer->https->anchors);
	SSL_CTX_set_options(ssl_context, SSL_OP_NO_RENEGOTIATION);
	return CURLE_OK;
}

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

/* "mta-sts.example.org:443:192.0.2.1,[2001:db8::1]" */
static bool
pin(struct transfer *transfer, const struct f_get *get)
{
	struct buffer line = { NULL, 0, 0 };
	char text[ADDRESS_TEXT_MAX];
	struct address address;
	unsigned i;

	buffer_printf(&line, "%s:443:", transfer->host);
	for (i = 0; route_get_address(get->addresses, get->addresses_len, i,
	    &address); i++)
		buffer_printf(&line, address.family == 6 ? "%s[%s]" : "%s%s",
		    i > 0 ? "," : "", address_print(&address, text));
	transfer->addresses = curl_slist_append(NULL, line.text);
	buffer_free(&line);
	return i > 0 && transfer->addresses != NULL;
}

/* A refused option is our bug or another libcurl's: nothing is fetched. */
#define SET(transfer, option, value)					\
	do {								\
		CURLcode code = curl_easy_setopt((transfer)->easy,	\
		    CURLOPT_##option, value);				\
		if (code != CURLE_OK)					\
			fatal("libcurl refuses " #option ": %s",	\
			    curl_easy_strerror(code));			\
	} while (0)

/*
 * Where to, and nowhere else.  STS-3.2-1 RFC 8461 3.2, STS-3.3-8 and
 * STS-3.3-20 RFC 8461 3.3: no redirect, no proxy, no other scheme.
 */
static void
set_target(struct transfer *transfer)
{
	char url[sizeof(transfer->host) + 64];

	snprintf(url, sizeof(url), "https://%s/.well-known/mta-sts.txt",
	    transfer->host);
	SET(transfer, URL, url);
	SET(transfer, RESOLVE, transfer->addresses);
	SET(transfer, DNS_CACHE_TIMEOUT, 0L);
	SET(transfer, IPRESOLVE, (long)CURL_IPRESOLVE_WHATEVER);
	SET(transfer, PROTOCOLS_STR, "https");
	SET(transfer, REDIR_PROTOCOLS_STR, "https");
	SET(transfer, FOLLOWLOCATION, 0L);
	SET(transfer, PROXY, "");
	SET(transfer, NOPROXY, "*");
	SET(transfer, NETRC, (long)CURL_NETRC_IGNORED);
	SET(transfer, HSTS_CTRL, 0L);
}

/* STS-3.3-9 RFC 8461 3.3: no cache; one plain request, one plain answer. */
static void
set_request(struct transfer *transfer)
{
	SET(transfer, HTTPGET, 1L);
	SET(transfer, USERAGENT, transfer->https->agent);
	SET(transfer, HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(transfer, HTTP09_ALLOWED, 0L);
	SET(transfer, ACCEPT_ENCODING, NULL);
	SET(transfer, FORBID_REUSE, 1L);
	SET(transfer, FRESH_CONNECT, 1L);
	SET(transfer, MAXFILESIZE, (long)HTTPS_BODY_MAX);
	SET(transfer, BUFFERSIZE, 16384L);
	SET(transfer, WRITEFUNCTION, on_body);
	SET(transfer, WRITEDATA, transfer);
	SET(transfer, ERRORBUFFER, transfer->error);
	SET(transfer, PRIVATE, transfer);
	SET(transfer, NOSIGNAL, 1L);
	/* STS-3.3-12 RFC 8461 3.3: over all, however slowly octets come. */
	SET(transfer, TIMEOUT_MS, (long)HTTPS_DEADLINE_MS);
	SET(transfer, CONNECTTIMEOUT_MS, (long)CONNECT_MS);
}

/* STS-7.1-2 RFC 8461 7.1: libcurl sends the URL's host as SNI. */
static void
set_tls(struct transfer *transfer)
{
	SET(transfer, SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(transfer, SSL_VERIFYPEER, 1L);
	SET(transfer, SSL_VERIFYHOST, 2L);
	SET(transfer, CAINFO, NULL);
	SET(transfer, CAPATH, NULL);
	SET(transfer, SSL_SESSIONID_CACHE, 0L);
	SET(transfer, SSL_CTX_FUNCTION, on_context);
	SET(transfer, SSL_CTX_DATA, transfer);
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
	transfer->https = https;
	transfer->question = get->question;
	transfer->pipe = -1;
	transfer->easy = curl_easy_init();
	if (transfer->easy == NULL)
		fatal("no memory for a fetch");
	/* STS-10.3-1 RFC 8461 10.3: the domain is all that is in it. */
	snprintf(transfer->host, sizeof(transfer->host), "mta-sts.%s",
	    domain.name);
	if (!pin(transfer, get)) {
		https_free(&transfer);
		return NULL;
	}
	set_target(transfer);
	set_request(transfer);
	set_tls(transfer);
	return transfer;
}

void
https_free(struct transfer **transfer)
{
	if (*transfer == NULL)
		return;
	curl_easy_cleanup((*transfer)->easy);
	curl_slist_free_all((*transfer)->addresses);
	free(*transfer);
	*transfer = NULL;
}

/*
 * The end.
 */

/* STS-3.2-2, STS-3.2-3 RFC 8461 3.2: without case, whatever parameters. */
static bool
is_text_plain(const char *media_type)
{
	struct slice rest = slice_of(media_type);

	return slice_equal_nocase(slice_trim(slice_cut(&rest, ';')),
	    SLICE("text/plain"));
}

/* A stranger's word in a short text: visible ASCII, not much of it. */
static void
set_text(struct f_done *done, const char *before, const char *word)
{
	size_t i;

	snprintf(done->text, sizeof(done->text), "%s%.100s", before, word);
	for (i = strlen(before); done->text[i] != '\0'; i++)
		if (done->text[i] < ' ' || done->text[i] > '~')
			done->text[i] = '?';
}

/* What curl says of a handshake, without the library's numbers. */
static const char *
without_numbers(const char *error)
{
	const char *at;

	while ((at = strstr(error, "::")) != NULL)
		error = at + 2;
	return error;
}

static void
judge_failure(const struct https_end *end, struct f_done *done)
{
	done->outcome = FETCH_ERROR;
	switch (end->code) {
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
		done->outcome = FETCH_WEBPKI;
		set_text(done, "", end->verify > 1 ?
		    X509_verify_cert_error_string(end->verify) :
		    "hostname mismatch");
		return;
	case CURLE_FILESIZE_EXCEEDED:
		set_text(done, "size", "");
		return;
	case CURLE_OPERATION_TIMEDOUT:
		set_text(done, "timeout", "");
		return;
	case CURLE_SSL_CONNECT_ERROR:
		set_text(done, "TLS: ", without_numbers(end->error));
		return;
	case CURLE_UNSUPPORTED_PROTOCOL:
		set_text(done, "not HTTP", "");
		return;
	case CURLE_OUT_OF_MEMORY:	/* libcurl's word for long headers */
		set_text(done, "header size", "");
		return;
	default:
		set_text(done, "", curl_easy_strerror(end->code));
	}
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
		set_text(done, "HTTP ", status);
	} else if (end->too_long) {
		set_text(done, "size", "");
	} else if (end->code != CURLE_OK) {
		judge_failure(end, done);
	} else if (end->status == 0) {
		set_text(done, "no HTTP answer", "");
	} else if (end->media_type == NULL) {
		set_text(done, "media-type missing", "");
	} else if (!is_text_plain(end->media_type)) {
		set_text(done, "media-type ", end->media_type);
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
		.error = transfer->error
	};
	char *media_type = NULL;

	curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &end.status);
	curl_easy_getinfo(transfer->easy, CURLINFO_CONTENT_TYPE, &media_type);
	curl_easy_getinfo(transfer->easy, CURLINFO_SSL_VERIFYRESULT,
	    &end.verify);
	end.media_type = media_type;
	memset(done, 0, sizeof(*done));
	done->question = transfer->question;
	https_judge(&end, done);
	if (done->outcome == FETCH_BODY)
		done->body_bytes = (uint32_t)transfer->body_len;
}
