/*
 * The programs that culverd keeps running: started, linked, restarted,
 * stopped.
 */
#ifndef CULVER_CHILDREN_H
#define CULVER_CHILDREN_H

#include "account.h"
#include "loop.h"
#include "proc.h"

struct children;

struct children_calls {
	/* Every program serves, for the first time. */
	void	(*ready)(void *context);
	/* One ended by itself before that: nothing can come of it. */
	void	(*failed)(void *context);
	/* After children_stop: all are gone. */
	void	(*stopped)(void *context);
	/* A program's log line, its name in front. */
	void	(*log)(void *context, enum log_level, const char *line);
};

/*
 * Prepare, as root where we are: find the programs, open the folders they
 * will live in.  config and calls are borrowed until replaced, or for ever.
 * NULL with a sentence in *error.
 */
struct children	*children_new(struct loop *, const struct config *,
		    const struct account *owner, const struct children_calls *,
		    void *context, struct buffer *error);
/*
 * Start those that say 220, before all others: clients wait for it and for
 * nothing else.  What smtpd asks of its peers waits for them.
 */
void	 children_start_smtpd(struct children *);
/* Start all that the configuration calls for and that is not there yet. */
void	 children_start(struct children *);
/* New settings for all of them; the old ones may be freed afterwards. */
void	 children_configure(struct children *, const struct config *);
/* What /etc/resolv.conf says ("127.0.0.1:53 [::1]:53"). */
void	 children_resolvers(struct children *, const char *text);
/*
 * A listener for the smtpd of a class ("local", "open"), which is started
 * when it was not needed before.  fd stays the caller's, open until
 * children_unlisten.
 */
void	 children_listen(struct children *, const char *class,
	    const struct p_listener *, int fd);
void	 children_unlisten(struct children *, uint32_t number);
/*
 * Pass a local connection on.  True: fd is taken over.  False: the program
 * does not serve just now, fd stays the caller's.
 */
bool	 children_connect(struct children *, enum program,
	    const struct p_connection *, int fd);
/*
 * Stop: those that speak with the world first, then those that keep.  Calls
 * stopped; a program that does not obey is killed.
 */
void	 children_stop(struct children *);

/* For `status`. */
struct children_state {
	const char	*program, *class;
	pid_t		 pid;		/* 0: none */
	const char	*state;		/* "ready", "starting", ... */
	int64_t		 since;		/* wall clock, seconds */
	unsigned	 restarts;
};
void	 children_each(const struct children *,
	    void (*call)(void *context, const struct children_state *),
	    void *context);
void	 children_alarms(const struct children *,
	    void (*call)(void *context, const char *program,
	    const char *what, const char *text, int64_t since),
	    void *context);
void	 children_steps(const struct children *,
	    void (*call)(void *context, const char *program,
	    const char *class, const struct p_confined *), void *context);

#endif
