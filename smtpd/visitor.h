/*
 * One connection of a client, from its greeting to its end.
 *
 * visitor.c moves octets: it reads, cuts lines, keeps replies in order and
 * writes them once a turn.  What is said is dialogue.c's; both see this
 * structure, and nobody else changes it.
 */
#ifndef CULVER_VISITOR_H
#define CULVER_VISITOR_H

#include "smtpd/clients.h"
#include "smtpd/transaction.h"
#include "smtpd/server.h"

/* What the client is expected to do, or waits for. */
enum visitor_phase {
	VISITOR_COMMAND,	/* to send a command */
	VISITOR_GO,		/* waits for 354 */
	VISITOR_DATA,		/* to send the message */
	VISITOR_TAKEN		/* waits for the reply to its final dot */
};

/* A reply that waits for queue's answer to an RCPT before it, or is one. */
struct visitor_slot {
	bool		 done;
	uint32_t	 number;	/* of the RCPT, while not done */
	unsigned	 code;
	char		*text;
};
#define VISITOR_SLOTS_MAX	64

struct visitor {
	struct server	*server;
	struct visitor	*next, **place;		/* among all */
	struct visitor	*next_dirty;
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
	bool		 urgent;	/* some of it may not wait */
	bool		 clogged;	/* the client does not read */
	bool		 closing;	/* to be closed when all is sent */
	struct visitor_slot *slots;
	unsigned	 slots_first, slots_n;
	/* the dialogue */
	enum visitor_phase phase;
	struct domain	*hello;		/* NULL: none yet */
	bool		 extended;	/* by EHLO */
	struct transaction *transaction;	/* NULL: none */
	uint64_t	 progress_bytes; /* in DATA, since the deadline */
	unsigned	 faults;	/* commands that were none */
};

/*
 * Begin a session on fd (taken over) and greet.  Its client was counted by
 * the caller.
 */
struct visitor	*visitor_open(struct server *server, int fd,
		    const struct visitor *who);
/* End it now: its transaction is aborted, its memory freed. */
void	 visitor_free(struct visitor *visitor);

/* Say this, in its turn behind RCPTs that queue has not yet answered. */
void	 visitor_reply(struct visitor *visitor, unsigned code,
	    const char *text);
/*
 * The same of a command whose reply may wait for those that follow it in one
 * group (RFC 2920 3.2), while these are here already.
 */
void	 visitor_reply_in_group(struct visitor *visitor, unsigned code,
	    const char *text);
/* Keep the place of the reply to RCPT number. */
void	 visitor_expect(struct visitor *visitor, uint32_t number);
/* The reply to RCPT number is this. */
void	 visitor_answer(struct visitor *visitor, uint32_t number,
	    unsigned code, const char *text);
/* The last reply: what is awaited is forgotten, then the session closes. */
void	 visitor_close(struct visitor *visitor, unsigned code,
	    const char *text);
/* Are there RCPTs that queue has not answered? */
bool	 visitor_awaits(const struct visitor *visitor);
/* Something changed: use what is held, write, at this turn's end. */
void	 visitor_touch(struct visitor *visitor);
/* Turn end: use, write, close.  The session may be gone afterwards. */
void	 visitor_serve(struct visitor *visitor);

#endif
