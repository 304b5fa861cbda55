/*
 * One connection of a client, from its greeting to its end.
 *
 * session.c moves octets: it reads, cuts lines, keeps replies in order and
 * writes them once a turn.  What is said is dialogue.c's; both see this
 * structure, and nobody else changes it.
 */
#ifndef CULVER_SESSION_H
#define CULVER_SESSION_H

#include "smtpd/clients.h"
#include "smtpd/intake.h"
#include "smtpd/server.h"

/* What the client is expected to do, or waits for. */
enum session_phase {
	SESSION_COMMAND,	/* to send a command */
	SESSION_GO,		/* waits for 354 */
	SESSION_DATA,		/* to send the message */
	SESSION_TAKEN		/* waits for the reply to its final dot */
};

/* A reply that waits for queue's answer to an RCPT before it, or is one. */
struct session_slot {
	bool		 done;
	uint32_t	 number;	/* of the RCPT, while not done */
	unsigned	 code;
	char		*text;
};
#define SESSION_SLOTS_MAX	64

struct session {
	struct server	*server;
	struct session	*next, **place;		/* among all */
	struct session	*next_dirty;
	bool		 dirty;			/* to be served at turn end */
	int		 fd;
	struct watch	*watch;
	struct timer	*timer;
	int64_t		 deadline_ms;
	/* who it is */
	bool		 local;			/* of the submit socket */
	uid_t		 uid;			/* when local */
	struct address	 address;		/* else */
	struct client	 client;		/* as it is counted */
	bool		 may_relay;
	/* what came and is not yet used */
	struct buffer	 held;
	bool		 overlong;	/* inside a line that is dropped */
	bool		 blocked;	/* the next command waits for slots */
	bool		 paused;	/* not read from just now */
	bool		 gone;		/* the client is */
	/* what is said and not yet sent */
	struct buffer	 out;
	size_t		 out_sent;
	bool		 clogged;	/* the client does not read */
	bool		 closing;	/* to be closed when all is sent */
	struct session_slot *slots;
	unsigned	 slots_first, slots_n;
	/* the dialogue */
	enum session_phase phase;
	struct domain	*hello;		/* NULL: none yet */
	bool		 extended;	/* by EHLO */
	struct transaction *transaction;	/* NULL: none */
	uint64_t	 progress_bytes;	/* in DATA, since the deadline */
	unsigned	 faults;	/* commands that were none */
};

/*
 * Begin a session on fd (taken over) and greet.  Its client was counted by
 * the caller.
 */
struct session	*session_open(struct server *server, int fd,
		    const struct session *who);
/* End it now: its transaction is aborted, its memory freed. */
void	 session_free(struct session *session);

/* Say this, in its turn behind RCPTs that queue has not yet answered. */
void	 session_reply(struct session *session, unsigned code,
	    const char *text);
/* Keep the place of the reply to RCPT number. */
void	 session_expect(struct session *session, uint32_t number);
/* The reply to RCPT number is this. */
void	 session_answer(struct session *session, uint32_t number,
	    unsigned code, const char *text);
/* The last reply: what is awaited is forgotten, then the session closes. */
void	 session_close(struct session *session, unsigned code,
	    const char *text);
/* Are there RCPTs that queue has not answered? */
bool	 session_awaits(const struct session *session);
/* Something changed: use what is held, write, at this turn's end. */
void	 session_touch(struct session *session);
/* Turn end: use, write, close.  The session may be gone afterwards. */
void	 session_serve(struct session *session);

#endif
