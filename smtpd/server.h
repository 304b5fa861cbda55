/*
 * culver-smtpd as a whole: its listeners, its sessions, and their end.
 */
#ifndef CULVER_SERVER_H
#define CULVER_SERVER_H

#include "conf/config.h"
#include "conf/loop.h"
#include "conf/proc.h"

struct listener;
struct visitor;

/* So much is read at once, into one block that all sessions share. */
#define SERVER_BLOCK	65536

struct server {
	struct loop	*loop;
	struct config	*config;
	struct transactions	*transactions;
	struct clients	*clients;
	struct listener	*listeners;
	struct timer	*accept_timer;	/* accepting stopped for a moment */
	struct visitor	*visitors;
	unsigned	 visitors_n;
	unsigned	 descriptors_max;	/* sessions that these allow */
	struct visitor	*first_dirty;
	/* octets just read: SERVER_BLOCK behind what a session held */
	char		*block;
	bool		 stopping;
	struct timer	*stop_timer;
	bool		 cut;		/* the time for DATA is over */
};

/* config is taken over.  Reads the limit on descriptors: confine before. */
struct server	*server_new(struct loop *loop, struct config *config);
void	 server_free(struct server **server);
/* New settings (taken over): they hold for sessions under way too. */
void	 server_settings(struct server *server, struct config *config);

/* Accept on a listening socket (taken over) until server_unlisten. */
void	 server_listen(struct server *server,
	    const struct p_listener *listener, int fd);
void	 server_unlisten(struct server *server, uint32_t number);
/* A connection that the parent accepted for us (fd taken over). */
void	 server_connection(struct server *server,
	    const struct p_connection *connection, int fd);

/* The session is to be served at the end of this turn. */
void	 server_touch(struct server *server, struct visitor *visitor);
/* A session is over: uncount it. */
void	 server_forget(struct server *server, struct visitor *visitor);
/* Our name for greeting and Received, or "" when none is known. */
const char *server_name(const struct server *server);

/*
 * Stop: 421 for all but those in DATA, which have 20 s, and 60 s past their
 * final dot.  The loop is stopped when the last session is over.
 */
void	 server_stop(struct server *server);

#endif
