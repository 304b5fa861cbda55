/*
 * A scripted web server on 127.0.0.1, for tests of what speaks HTTPS.  It is
 * a thread; it takes one connection after the other and does the same to
 * each:
 *
 *	deaf		read nothing after the handshake
 *	half		read a little and close
 *	(else)		read one whole request and keep it, then
 *	answer		send these octets (NULL: close without a word)
 *	endless		then send on for ever
 *	hang		then wait for the client to close
 *	rekeys		instead of an answer so many KeyUpdate at once (TLS 1.3)
 *
 * Certificates are signed by a root that the client trusts.
 */
#ifndef CULVER_TESTS_WEB_SERVER_H
#define CULVER_TESTS_WEB_SERVER_H

#include "delivery_pki.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define WEB_HOST	"report.test"
#define WEB_REQUEST_MAX	(9u << 20)

struct web_script {
	const char	*certificate;	/* "good", ...; NULL: no TLS */
	const char	*answer;
	bool		 deaf, half, endless, hang;
	unsigned	 rekeys;
};

struct web {
	const struct web_script	*script;
	SSL_CTX		*context;
	int		 listener;
	uint16_t	 port;
	pthread_t	 thread;
	/* What came; to be read after web_end. */
	unsigned	 connections, requests;
	char		*request;	/* the last one's header, terminated */
	char		*body;
	size_t		 body_len;
};

/* ---- certificates ---- */

static struct {
	struct pki_entity root, stranger;
	int		  bundle_fd;
} web_pki;

static void
web_make_root(void)
{
	static const struct pki_wish authority = {
		.common_name = "root", .constraints = "critical,CA:TRUE"
	};

	signal(SIGPIPE, SIG_IGN);
	web_pki.root = pki_make(&authority, NULL);
	web_pki.bundle_fd = pki_bundle(&web_pki.root, 1);
	lseek(web_pki.bundle_fd, 0, SEEK_SET);
}

static SSL_CTX *
web_context(const char *name)
{
	struct pki_wish wish = { .names = "DNS:" WEB_HOST };
	struct pki_entity leaf;
	SSL_CTX *context;

	if (strcmp(name, "expired") == 0) {
		wish.from_days = -9;
		wish.to_days = -2;
	} else if (strcmp(name, "other") == 0) {
		wish.names = "DNS:other.test";
	} else if (strcmp(name, "common-name") == 0) {
		wish.common_name = WEB_HOST;
		wish.names = NULL;
	} else if (strcmp(name, "address") == 0) {
		wish.names = "IP:127.0.0.1";
	}
	leaf = pki_make(&wish, strcmp(name, "self") == 0 ? NULL :
	    &web_pki.root);
	context = pki_server(&leaf, NULL);
	if (strcmp(name, "old") == 0)
		SSL_CTX_set_max_proto_version(context, TLS1_1_VERSION);
	pki_free(&leaf);
	return context;
}

/* ---- a connection ---- */

static const char *
web_find(const char *header, const char *name)
{
	const char *at = strcasestr(header, name);

	return at == NULL ? NULL : at + strlen(name);
}

/* A whole request into web's memory.  False: it did not come. */
static bool
web_read(struct web *web, SSL *ssl)
{
	char *octets = malloc(WEB_REQUEST_MAX), *end = NULL;
	size_t len = 0, body = 0;
	const char *length;
	int n;

	while (end == NULL || len < (size_t)(end - octets) + body) {
		n = SSL_read(ssl, octets + len,
		    (int)(WEB_REQUEST_MAX - 1 - len));
		if (n <= 0)
			break;
		len += (size_t)n;
		octets[len] = '\0';
		if (end != NULL ||
		    (end = strstr(octets, "\r\n\r\n")) == NULL)
			continue;
		*end = '\0';
		end += 4;
		length = web_find(octets, "\r\nContent-Length: ");
		body = length == NULL ? 0 : strtoul(length, NULL, 10);
	}
	free(web->request);
	web->request = octets;
	web->body = end;
	web->body_len = end == NULL ? 0 : len - (size_t)(end - octets);
	return end != NULL && web->body_len == body;
}

static void
web_wait_for_close(SSL *ssl)
{
	char octets[4096];

	while (SSL_read(ssl, octets, sizeof(octets)) > 0)
		continue;
}

static void
web_deaf(int fd)
{
	struct pollfd closed = { fd, POLLRDHUP, 0 };

	poll(&closed, 1, 3000);
}

/* Made beforehand: they are to come as fast as the client reads. */
static void
web_rekey(SSL *ssl, int fd, unsigned n)
{
	BIO *memory = BIO_new(BIO_s_mem());
	char *octets;
	long len, at = 0;
	ssize_t sent;

	BIO_up_ref(memory);
	SSL_set0_wbio(ssl, memory);
	while (n-- > 0)
		if (SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED) != 1 ||
		    SSL_do_handshake(ssl) != 1)
			abort();
	len = BIO_get_mem_data(memory, &octets);
	while (at < len && (sent = write(fd, octets + at,
	    (size_t)(len - at))) > 0)
		at += sent;
	BIO_up_ref(SSL_get_rbio(ssl));
	SSL_set0_wbio(ssl, SSL_get_rbio(ssl));
	BIO_free(memory);
}

static void
web_play(struct web *web, SSL *ssl, int fd)
{
	const struct web_script *script = web->script;
	char octets[4096];

	if (script->deaf) {
		web_deaf(fd);
		return;
	}
	if (script->half) {
		SSL_read(ssl, octets, 512);
		return;
	}
	if (!web_read(web, ssl))
		return;
	web->requests++;
	if (script->rekeys > 0)
		web_rekey(ssl, fd, script->rekeys);
	if (script->answer != NULL)
		SSL_write(ssl, script->answer, (int)strlen(script->answer));
	memset(octets, 'x', sizeof(octets));
	while (script->endless && SSL_write(ssl, octets, sizeof(octets)) > 0)
		continue;
	if (script->hang)
		web_wait_for_close(ssl);
}

static void
web_serve(struct web *web, int fd)
{
	int small = 4096;
	SSL *ssl;

	web->connections++;
	if (web->context == NULL) {
		if (write(fd, "220 hello\r\n", 11) == 11)
			close(fd);
		return;
	}
	if (web->script->deaf)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	ssl = SSL_new(web->context);
	SSL_set_fd(ssl, fd);
	if (SSL_accept(ssl) == 1)
		web_play(web, ssl, fd);
	SSL_free(ssl);
	close(fd);
}

static void *
web_run(void *context)
{
	struct web *web = context;
	int fd;

	while ((fd = accept(web->listener, NULL, NULL)) != -1)
		web_serve(web, fd);
	return NULL;
}

/* ---- for tests ---- */

static struct web *
web_begin(const struct web_script *script)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	struct web *web = calloc(1, sizeof(*web));
	socklen_t len = sizeof(address);

	web->script = script;
	if (script->certificate != NULL)
		web->context = web_context(script->certificate);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	web->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(web->listener, (struct sockaddr *)&address, len) != 0 ||
	    listen(web->listener, 8) != 0 ||
	    getsockname(web->listener, (struct sockaddr *)&address, &len) != 0)
		abort();
	web->port = ntohs(address.sin_port);
	if (pthread_create(&web->thread, NULL, web_run, web) != 0)
		abort();
	return web;
}

/* No more connections; what came may be read. */
static void
web_end(struct web *web)
{
	shutdown(web->listener, SHUT_RDWR);
	pthread_join(web->thread, NULL);
	close(web->listener);
	SSL_CTX_free(web->context);
}

static void
web_free(struct web **web)
{
	free((*web)->request);
	free(*web);
	*web = NULL;
}

#endif
