/*
 * A scripted mail server at the other end of a socketpair, for the tests of
 * sessions and workers.  It is a thread; it does what the script says and
 * complains when the client does anything else:
 *
 *	">text"		send this line; ">>text" these octets
 *	"<text"		the next line must be this one; "<" any line
 *	"data"		read to the lone dot, keep it
 *	"tls NAME"	handshake with this certificate
 *	"tls-fails NAME" handshake that must come to nothing
 *	"clear"		answer the ClientHello in clear text
 *	"swallow"	read what has come, once something has
 *	"quiet"		nothing may come for a while
 *	"slow N"	wait N ms
 *	"tight"		a tiny send buffer
 *	"cut"		close without a word (inside TLS: no close_notify)
 *	"eof"		the client must close; "drain" after whatever it says
 *	"bulk"		read no command but MAIL before answers no longer fit
 *
 * Certificates are for mx.test, signed by a root that the client trusts:
 * good, good12 (TLS 1.2), expired, other (name), self (-signed), static (RSA
 * key exchange only), old (TLS 1.1 only).
 */
#ifndef CULVER_TESTS_DELIVERY_SERVER_H
#define CULVER_TESTS_DELIVERY_SERVER_H

#include "delivery_pki.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/socket.h>

#define HOST		"mx.test"

/* ---- certificates ---- */

static struct {
	int		 bundle_fd;	/* its root */
	struct {
		const char	*name;
		SSL_CTX		*context;
	}		 servers[8];
	size_t		 servers_n;
} servers_made;

static SSL_CTX *
server_named(const char *name)
{
	size_t i;

	for (i = 0; i < servers_made.servers_n; i++)
		if (strcmp(servers_made.servers[i].name, name) == 0)
			return servers_made.servers[i].context;
	abort();
}

static void
add_server(const char *name, const struct pki_wish *wish,
    const struct pki_entity *issuer, int version)
{
	struct pki_entity leaf = pki_make(wish, issuer);
	SSL_CTX *context = pki_server(&leaf, NULL);

	SSL_CTX_set_max_proto_version(context, version);
	SSL_CTX_set_min_proto_version(context, 0);
	servers_made.servers[servers_made.servers_n].name = name;
	servers_made.servers[servers_made.servers_n++].context = context;
	pki_free(&leaf);
}

/* The TLSA record 3 1 1 of that server's key, as struct r_host has it. */
#define SERVER_TLSA_LEN	37
static inline void
server_tlsa(const char *name, uint8_t record[SERVER_TLSA_LEN])
{
	X509 *certificate = SSL_CTX_get0_certificate(server_named(name));
	uint8_t *der = NULL;
	int len;

	len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
	memcpy(record, (uint8_t[]){ 35, 0, 3, 1, 1 }, 5);
	EVP_Digest(der, (size_t)len, record + 5, NULL, EVP_sha256(), NULL);
	OPENSSL_free(der);
}

static void
servers_begin(void)
{
	static const struct pki_wish ca = { .common_name = "root",
	    .constraints = "critical,CA:TRUE" };
	static const struct pki_wish good = { .names = "DNS:" HOST };
	static const struct pki_wish expired = { .names = "DNS:" HOST,
	    .from_days = -30, .to_days = -1 };
	static const struct pki_wish other = { .names = "DNS:other.test" };
	static const struct pki_wish rsa = { .names = "DNS:" HOST,
	    .rsa_bits = 2048 };
	struct pki_entity root = pki_make(&ca, NULL);

	signal(SIGPIPE, SIG_IGN);
	servers_made.bundle_fd = pki_bundle(&root, 1);
	add_server("good", &good, &root, 0);
	add_server("good12", &good, &root, TLS1_2_VERSION);
	add_server("expired", &expired, &root, 0);
	add_server("other", &other, &root, 0);
	add_server("self", &good, NULL, 0);
	add_server("static", &rsa, &root, TLS1_2_VERSION);
	SSL_CTX_set_cipher_list(server_named("static"), "AES256-SHA");
	add_server("old", &rsa, &root, TLS1_1_VERSION);
	SSL_CTX_set_cipher_list(server_named("old"), "ALL:@SECLEVEL=0");
	pki_free(&root);
}

static void
servers_end(void)
{
	size_t i;

	close(servers_made.bundle_fd);
	for (i = 0; i < servers_made.servers_n; i++)
		SSL_CTX_free(servers_made.servers[i].context);
}

/* ---- the server ---- */

struct server {
	int			 fd;
	const char *const	*script;
	SSL			*ssl;
	pthread_t		 thread;
	char			 error[512];
	struct buffer		 heard;		/* data, dots and all */
};

static bool
complain(struct server *server, const char *what, const char *got)
{
	if (server->error[0] == '\0')
		snprintf(server->error, sizeof(server->error),
		    "at \"%s\": %s [%.200s]", *server->script, what, got);
	return false;
}

static ssize_t
get(struct server *server, char *octet)
{
	if (server->ssl != NULL)
		return SSL_read(server->ssl, octet, 1);
	return read(server->fd, octet, 1);
}

static bool
put(struct server *server, const char *octets, size_t len)
{
	ssize_t n;

	while (len > 0) {
		n = server->ssl != NULL ?
		    SSL_write(server->ssl, octets, (int)len) :
		    write(server->fd, octets, len);
		if (n <= 0)
			return false;
		octets += n;
		len -= (size_t)n;
	}
	return true;
}

/* One line without its CRLF. */
static bool
get_line(struct server *server, char *line, size_t size)
{
	size_t len = 0;

	while (len < size - 1) {
		if (get(server, line + len) != 1) {
			line[len] = '\0';
			return complain(server, "the client is gone", line);
		}
		if (line[len++] == '\n')
			break;
	}
	if (len < 2 || line[len - 2] != '\r')
		return complain(server, "no CRLF", line);
	line[len - 2] = '\0';
	return true;
}

static bool
expect_line(struct server *server, const char *wanted)
{
	char line[2048];

	if (!get_line(server, line, sizeof(line)))
		return false;
	if (wanted[0] != '\0' && strcmp(line, wanted) != 0)
		return complain(server, "instead came", line);
	return true;
}

static bool
get_data(struct server *server)
{
	char octet;

	buffer_free(&server->heard);
	for (;;) {
		if (get(server, &octet) != 1)
			return complain(server, "no end of data",
			    server->heard.text != NULL ?
			    server->heard.text : "");
		buffer_add(&server->heard, (struct slice){ &octet, 1 });
		if (server->heard.len >= 5 && memcmp(server->heard.text +
		    server->heard.len - 5, "\r\n.\r\n", 5) == 0)
			return true;
		if (server->heard.len == 3 &&
		    memcmp(server->heard.text, ".\r\n", 3) == 0)
			return true;
	}
}

static bool
start_tls(struct server *server, const char *name)
{
	server->ssl = SSL_new(server_named(name));
	SSL_set_fd(server->ssl, server->fd);
	if (SSL_accept(server->ssl) == 1)
		return true;
	ERR_clear_error();
	return complain(server, "no handshake", name);
}

static bool
is_quiet(struct server *server)
{
	struct pollfd fd = { server->fd, POLLIN, 0 };

	return (server->ssl == NULL || SSL_pending(server->ssl) == 0) &&
	    poll(&fd, 1, 100) == 0;
}

static bool
fill(struct server *server)
{
	static const char answer[] = "250-a very long answer of a server that "
	    "wants to be heard before it listens any further\r\n";
	struct pollfd fd = { server->fd, POLLOUT, 0 };
	char line[2048];
	unsigned i, lines = 0;

	/* The client writes 100 RCPT; we read none and write what fits: all
	 * of it the answer to MAIL. */
	if (!get_line(server, line, sizeof(line)))
		return false;
	for (i = 0; i < 400 && poll(&fd, 1, 50) == 1; i++)
		if (!put(server, answer, sizeof(answer) - 1))
			return complain(server, "write", "");
	if (!put(server, "250 ok\r\n", 8))
		return complain(server, "write", "");
	for (lines = 0; lines < 100; lines++)
		if (!get_line(server, line, sizeof(line)) ||
		    !put(server, "250 ok\r\n", 8))
			return false;
	return true;
}

/* One word of the script; false: the end, well or not. */
static bool
play(struct server *server, const char *word)
{
	struct pollfd ready = { server->fd, POLLIN, 0 };
	char octet, octets[4096];
	int tiny = 1;

	if (word[0] == '>' && word[1] == '>')
		return put(server, word + 2, strlen(word + 2));
	if (word[0] == '>')
		return put(server, word + 1, strlen(word + 1)) &&
		    put(server, "\r\n", 2);
	if (word[0] == '<')
		return expect_line(server, word + 1);
	if (strcmp(word, "data") == 0)
		return get_data(server);
	if (strncmp(word, "tls ", 4) == 0)
		return start_tls(server, word + 4);
	if (strncmp(word, "tls-fails ", 10) == 0) {
		if (start_tls(server, word + 10))
			return complain(server, "it did not fail", "");
		server->error[0] = '\0';
		return false;
	}
	if (strcmp(word, "clear") == 0)
		return poll(&ready, 1, -1) == 1 &&
		    put(server, "220 still in clear\r\n", 20);
	if (strcmp(word, "swallow") == 0)
		return read(server->fd, octets, sizeof(octets)) > 0;
	if (strcmp(word, "quiet") == 0)
		return is_quiet(server) ||
		    complain(server, "something came", "");
	if (strncmp(word, "slow ", 5) == 0)
		return usleep((useconds_t)atoi(word + 5) * 1000) == 0;
	if (strcmp(word, "tight") == 0)
		return setsockopt(server->fd, SOL_SOCKET, SO_SNDBUF, &tiny,
		    sizeof(tiny)) == 0;
	if (strcmp(word, "eof") == 0)
		return get(server, &octet) <= 0 ||
		    complain(server, "the client goes on", "");
	if (strcmp(word, "drain") == 0) {
		while (get(server, &octet) == 1)
			continue;
		return true;
	}
	if (strcmp(word, "bulk") == 0)
		return fill(server);
	if (strcmp(word, "cut") != 0)
		return complain(server, "no such word", word);
	return false;
}

static void *
serve(void *argument)
{
	struct server *server = argument;

	for (; *server->script != NULL; server->script++)
		if (!play(server, *server->script))
			break;
	ERR_clear_error();
	/* "cut" is the only word that may leave some of the script. */
	SSL_free(server->ssl);
	close(server->fd);
	return NULL;
}

/* Begin to serve: returns the client's end, non-blocking. */
static int
server_begin(struct server *server, const char *const *script)
{
	int pair[2];

	*server = (struct server){ .script = script };
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0 ||
	    fcntl(pair[0], F_SETFL, O_NONBLOCK) != 0)
		abort();
	server->fd = pair[1];
	pthread_create(&server->thread, NULL, serve, server);
	return pair[0];
}

#endif
