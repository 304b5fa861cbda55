/*
 * Who is connected to culver-smtpd, and until when?
 *
 * Called by main.c with what the parent says.  Accepts, counts, refuses above
 * the operator's limits, serves touched sessions at the end of each turn, and
 * brings the program to its end.  What a session says is none of its
 * business.
 */
#include "smtpd/server.h"

#include "conf/log.h"
#include "smtpd/access.h"
#include "smtpd/answer.h"
#include "smtpd/dialogue.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* Not for sessions: links, listeners, pipes, one on which 421 is said. */
#define DESCRIPTORS_OWN	(TRANSACTION_DATA_MAX + 128)
#define ACCEPTS_A_WAKE	64
#define ACCEPT_AGAIN_MS	1000
#define DATA_STOP_MS	(20 * 1000)
#define TAKEN_STOP_MS	(60 * 1000)

struct listener {
	struct listener	*next;
	struct server	*server;
	uint32_t	 number;
	int		 fd;
	struct watch	*watch;
};

static void	on_turn_end(void *context);
static void	on_accept_timer(void *context);
static void	on_stop_timer(void *context);

/* What the kernel allows may be less than max-connections wants. */
static unsigned
count_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
		fatal("getrlimit");
	if (limit.rlim_cur > UINT32_MAX)
		return UINT32_MAX;
	if (limit.rlim_cur <= DESCRIPTORS_OWN)
		return 1;
	return (unsigned)limit.rlim_cur - DESCRIPTORS_OWN;
}

static void
say_limits(const struct server *server)
{
	if (server->descriptors_max < server->config->max_connections)
		log_line(LOG_LEVEL_INFO, "max-connections is %u, but "
		    "descriptors do for %u only", server->config->
		    max_connections, server->descriptors_max);
	if (mailbox_is_null(&server->config->root_mail))
		log_line(LOG_LEVEL_INFO, "root-mail is not set: mail for "
		    "postmaster and root of our own domains is refused");
}

struct server *
server_new(struct loop *loop, struct config *config)
{
	struct server *server;

	server = mem_alloc(sizeof(*server));
	server->loop = loop;
	server->config = config;
	server->clients = clients_new();
	server->transactions = transactions_new(loop, &dialogue_calls, server);
	server->accept_timer = timer_new(loop, on_accept_timer, server);
	server->stop_timer = timer_new(loop, on_stop_timer, server);
	server->block = mem_alloc(2 * SERVER_BLOCK);
	server->descriptors_max = count_descriptors();
	loop_at_turn_end(loop, on_turn_end, server);
	say_limits(server);
	return server;
}

static void
close_listener(struct listener *listener)
{
	watch_free(&listener->watch);
	close(listener->fd);
	free(listener);
}

static void
close_listeners(struct server *server)
{
	struct listener *listener;

	while ((listener = server->listeners) != NULL) {
		server->listeners = listener->next;
		close_listener(listener);
	}
}

void
server_free(struct server **server)
{
	struct server *old = *server;

	*server = NULL;
	if (old == NULL)
		return;
	close_listeners(old);
	while (old->visitors != NULL)
		visitor_free(old->visitors);
	transactions_free(&old->transactions);
	clients_free(&old->clients);
	timer_free(&old->accept_timer);
	timer_free(&old->stop_timer);
	config_free(&old->config);
	free(old->block);
	free(old);
}

void
server_settings(struct server *server, struct config *config)
{
	struct visitor *visitor;

	config_free(&server->config);
	server->config = config;
	for (visitor = server->visitors; visitor != NULL;
	    visitor = visitor->next)
		if (!visitor->local)
			visitor->may_relay = access_may_relay(config,
			    &visitor->address);
	say_limits(server);
}

const char *
server_name(const struct server *server)
{
	return server->config->hostname;
}

static void
on_turn_end(void *context)
{
	struct server *server = context;
	struct visitor *visitor;

	while ((visitor = server->first_dirty) != NULL) {
		server->first_dirty = visitor->next_dirty;
		visitor_serve(visitor);
	}
}

void
server_touch(struct server *server, struct visitor *visitor)
{
	visitor->next_dirty = server->first_dirty;
	server->first_dirty = visitor;
}

void
server_forget(struct server *server, struct visitor *visitor)
{
	clients_drop(server->clients, &visitor->client);
	server->visitors_n--;
	if (server->stopping && server->visitors_n == 0)
		loop_stop(server->loop);
}

/* Say why, once, and close: the client has said nothing yet. */
static void
turn_away(int fd, const char *text)
{
	struct buffer line = { NULL, 0, 0 };

	answer_print(&line, 421, text);
	/* It may be gone already. */
	(void)!send(fd, line.text, line.len, MSG_DONTWAIT | MSG_NOSIGNAL);
	buffer_free(&line);
	close(fd);
}

/* SMTP-7.8-1 RFC 5321 7.8: nobody gets all there is */
static void
open_session(struct server *server, int fd, const struct visitor *who)
{
	const struct config *config = server->config;

	if (server->stopping) {
		turn_away(fd, "4.3.2 shutting down");
		return;
	}
	if (server->visitors_n >= config->max_connections ||
	    server->visitors_n >= server->descriptors_max) {
		turn_away(fd, "4.3.2 too many connections");
		return;
	}
	if (clients_add(server->clients, &who->client) >
	    config->max_connections_per_client) {
		clients_drop(server->clients, &who->client);
		turn_away(fd, "4.7.0 too many connections from your address");
		return;
	}
	server->visitors_n++;
	visitor_open(server, fd, who);
}

static bool
accept_one(struct listener *listener)
{
	struct server *server = listener->server;
	struct sockaddr_storage peer;
	socklen_t peer_len = sizeof(peer);
	struct visitor who = { .local = false };
	int fd;

	fd = accept4(listener->fd, (struct sockaddr *)&peer, &peer_len,
	    SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd == -1 && (errno == EMFILE || errno == ENFILE ||
	    errno == ENOMEM || errno == ENOBUFS)) {
		log_line(LOG_LEVEL_ERROR, "accepting stops for %d ms: %s",
		    ACCEPT_AGAIN_MS, strerror(errno));
		timer_set(server->accept_timer, ACCEPT_AGAIN_MS);
	}
	if (fd == -1)
		return false;
	if (!address_from_sockaddr((struct sockaddr *)&peer, &who.address,
	    NULL)) {
		close(fd);
		return true;
	}
	who.client = clients_address(&who.address);
	who.may_relay = access_may_relay(server->config, &who.address);
	open_session(server, fd, &who);
	return true;
}

static void
watch_listeners(struct server *server, int what)
{
	struct listener *listener;

	for (listener = server->listeners; listener != NULL;
	    listener = listener->next)
		watch_set(listener->watch, what);
}

static void
on_accept_timer(void *context)
{
	watch_listeners(context, WATCH_READ);
}

static void
on_acceptable(void *context, int what)
{
	struct listener *listener = context;
	int i;

	(void)what;
	for (i = 0; i < ACCEPTS_A_WAKE; i++)
		if (!accept_one(listener))
			break;
	if (timer_is_set(listener->server->accept_timer))
		watch_listeners(listener->server, 0);
}

void
server_listen(struct server *server, const struct p_listener *where, int fd)
{
	struct listener *listener;
	int on = 1;

	if (fcntl(fd, F_SETFL, O_NONBLOCK) == -1)
		fatal("listener %s", where->address);
	/* Accepted sockets inherit it: replies are small and come singly. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	listener = mem_alloc(sizeof(*listener));
	listener->server = server;
	listener->number = where->number;
	listener->fd = fd;
	listener->watch = watch_new(server->loop, fd, WATCH_READ,
	    on_acceptable, listener);
	listener->next = server->listeners;
	server->listeners = listener;
}

void
server_unlisten(struct server *server, uint32_t number)
{
	struct listener **place = &server->listeners, *listener;

	while (*place != NULL && (*place)->number != number)
		place = &(*place)->next;
	if ((listener = *place) == NULL)
		return;
	*place = listener->next;
	close_listener(listener);
}

void
server_connection(struct server *server,
    const struct p_connection *connection, int fd)
{
	struct visitor who = {
		.local = true, .uid = connection->uid, .may_relay = true,
		.client = clients_uid(connection->uid)
	};

	if (connection->socket != PROC_SUBMIT ||
	    fcntl(fd, F_SETFL, O_NONBLOCK) == -1) {
		close(fd);
		return;
	}
	open_session(server, fd, &who);
}

static void
stop_sessions(struct server *server)
{
	struct visitor *visitor;

	for (visitor = server->visitors; visitor != NULL;
	    visitor = visitor->next)
		dialogue_stop(visitor, server->cut);
}

static void
on_stop_timer(void *context)
{
	struct server *server = context;

	if (server->cut) {
		loop_stop(server->loop);
		return;
	}
	server->cut = true;
	stop_sessions(server);
	timer_set(server->stop_timer, TAKEN_STOP_MS);
}

void
server_stop(struct server *server)
{
	if (server->stopping)
		return;
	server->stopping = true;
	close_listeners(server);
	if (server->visitors_n == 0) {
		loop_stop(server->loop);
		return;
	}
	stop_sessions(server);
	timer_set(server->stop_timer, DATA_STOP_MS);
}
