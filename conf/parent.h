/*
 * A program's talk with culverd while it serves in a loop.
 */
#ifndef CULVER_PARENT_H
#define CULVER_PARENT_H

#include "link.h"
#include "proc.h"

struct parent_calls {
	/* A fresh link to peer (fd is the callee's); an old one is dead. */
	void	(*link)(void *context, enum program peer, int fd);
	void	(*listener)(void *context, const struct p_listener *, int fd);
	void	(*unlisten)(void *context, uint32_t number);
	void	(*connection)(void *context, const struct p_connection *,
		    int fd);
	/* SIGHUP: new settings (the callee's), new CA bundle or -1. */
	void	(*settings)(void *context, struct config *, int ca_fd);
	void	(*resolvers)(void *context, const char *text);
	/* Finish: 20 s at most (60 s past a final dot), then exit 0. */
	void	(*stop)(void *context);
};	/* what a program never gets may be NULL */

/*
 * Serve descriptor 3 in loop and say P_READY.  When the parent is gone,
 * `stop` is called with the loop still running; the program has 2 s.
 */
void	parent_serve(struct loop *, const struct parent_calls *, void *context);
/*
 * Ask for a program to be started and linked to us (fetch), or, when a link
 * to a peer closed, for a fresh one: the peer may live.  One end asks: smtpd
 * and delivery do for theirs.
 */
void	parent_need(enum program);
/* A standing alarm for `status` begins (with an alarm line) or ends. */
void	parent_alarm(const char *what, bool standing, const char *format, ...)
	    __attribute__((format(printf, 3, 4)));

#endif
