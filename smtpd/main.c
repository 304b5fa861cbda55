/*
 * culver-smtpd: may this client hand us this message, and who is meant?
 *
 * Started by culverd, once for each class of listener.  This file only wires
 * what the parent says to server.c.  `culver-smtpd ctl ...` answers verbs of
 * culverctl instead (ctl.c).
 */
#include "conf/log.h"
#include "conf/parent.h"
#include "smtpd/ctl.h"
#include "smtpd/transaction.h"
#include "smtpd/server.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

static void
on_link(void *context, enum program peer, int fd)
{
	struct server *server = context;

	if (peer == PROGRAM_QUEUE)
		transactions_link(server->transactions, fd);
	else
		close(fd);
}

static void
on_listener(void *context, const struct p_listener *listener, int fd)
{
	server_listen(context, listener, fd);
}

static void
on_unlisten(void *context, uint32_t number)
{
	server_unlisten(context, number);
}

static void
on_connection(void *context, const struct p_connection *connection, int fd)
{
	server_connection(context, connection, fd);
}

static void
on_settings(void *context, struct config *config, int ca_fd)
{
	if (ca_fd != -1)
		close(ca_fd);
	server_settings(context, config);
}

static void
on_stop(void *context)
{
	server_stop(context);
}

static const struct parent_calls parent_calls = {
	.link = on_link, .listener = on_listener, .unlisten = on_unlisten,
	.connection = on_connection, .settings = on_settings, .stop = on_stop
};

/* What was there at the start, in the form of what comes later. */
static void
take_start(struct server *server, const struct proc_start *start)
{
	size_t i;

	for (i = 0; i < start->links_n; i++)
		on_link(server, start->links[i].peer, start->links[i].fd);
	for (i = 0; i < start->listeners_n; i++)
		server_listen(server, &start->listeners[i].listener,
		    start->listeners[i].fd);
	if (start->ca_fd != -1)
		close(start->ca_fd);
}

static void
serve(void)
{
	struct proc_start start;
	struct server *server;
	struct loop *loop;

	proc_begin(PROGRAM_SMTPD, &start);
	tzset();
	proc_confine(PROGRAM_SMTPD, start.config, NULL);
	loop = loop_new();
	server = server_new(loop, start.config);
	take_start(server, &start);
	parent_serve(loop, &parent_calls, server);
	loop_run(loop);
	server_free(&server);
}

int
main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "ctl") == 0)
		return smtpd_ctl(argc - 2, argv + 2);
	serve();
	return 0;
}
