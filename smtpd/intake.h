/*
 * smtpd's end of the link to queue: transactions under way.
 *
 * A transaction is one MAIL with what follows.  The queue knows it by its id
 * from intake_open until it was taken, refused or aborted, or until the link
 * closes; then `known` is false, and the session decides what its client
 * hears.
 */
#ifndef CULVER_INTAKE_H
#define CULVER_INTAKE_H

#include "conf/link.h"
#include "queue/queue.h"
#include "smtpd/data.h"

#include <sys/uio.h>

struct intake;

struct transaction {
	/* the caller's */
	void		*session;
	char		*sender;	/* as printed, freed with this */
	uint32_t	 asked;		/* RCPTs sent; their next number */
	uint32_t	 refused;	/* RCPTs that queue refused */
	uint32_t	 accepted;
	struct data	 data;
	/* intake's, to be read */
	uint64_t	 id;
	bool		 known;		/* to queue */
	bool		 full;		/* the pipe takes nothing just now */
	uint64_t	 size_bytes;	/* that went, or are to go, into it */
	struct {
		unsigned	code;	/* 0: not refused */
		char		text[256];
	}		 refusal;	/* of the whole transaction */
	/* intake's own */
	struct intake	*intake;
	struct transaction *next;	/* of its chain */
	struct transaction *next_waiting;
	bool		 counted;	/* among those that have a pipe */
	bool		 whole;		/* intake_end was called */
	bool		 ended;		/* Q_END was sent */
	int		 pipe;		/* write end, -1: none */
	struct watch	*watch;		/* of it, while it is full */
	struct buffer	 held;		/* octets that it has not taken */
};

/*
 * What happens to a transaction, each with its session.  None is called
 * inside a function of intake but intake_data and intake_link.
 */
struct intake_calls {
	void	(*rcpt_answer)(void *session, uint32_t number, unsigned code,
		    const char *text);
	void	(*go)(void *session);		/* say 354 */
	void	(*room)(void *session);		/* the pipe takes octets */
	void	(*taken)(void *session);	/* durable: say 250 */
	void	(*refused)(void *session);	/* see refusal */
	/* The link was full and is not any more; context of intake_new. */
	void	(*drained)(void *context);
};

struct intake	*intake_new(struct loop *loop,
		    const struct intake_calls *calls, void *context);
/* Every transaction must have been aborted. */
void	 intake_free(struct intake **intake);

/*
 * Serve a fresh link (fd taken over).  Transactions of an old one are refused
 * with 451.
 */
void	 intake_link(struct intake *intake, int fd);
/* Is there a queue to speak to? */
bool	 intake_is_up(const struct intake *intake);
/* Is so much on its way to queue that no more should be added? */
bool	 intake_is_full(const struct intake *intake);

/*
 * Begin a transaction (intake_is_up must hold); open's id is made here.
 * Local I/O.  Never NULL.
 */
struct transaction *intake_open(struct intake *intake, struct q_open *open,
		    void *session);
/* Ask for one recipient; it gets number asked - 1.  The transaction is known. */
void	 intake_rcpt(struct transaction *transaction,
	    const struct mailbox *recipient);
/*
 * Ask for 354.  `go` or `refused` follows; refused perhaps at once.  At most
 * INTAKE_DATA_MAX transactions have a pipe; others wait for their turn here.
 */
#define INTAKE_DATA_MAX	256
void	 intake_data(struct transaction *transaction);
/* After `go`: put text before the first octets, without writing it yet. */
void	 intake_prepend(struct transaction *transaction, struct slice text);
/*
 * Hand over octets of the message, after `go`, in at most INTAKE_RUNS_MAX
 * runs.  What the pipe does not take is kept, `full` is set, and `room`
 * follows; don't write until then.
 */
#define INTAKE_RUNS_MAX	64
void	 intake_write(struct transaction *transaction,
	    const struct iovec *runs, int runs_n);
/* The message is whole: `taken` or `refused` follows. */
void	 intake_end(struct transaction *transaction);
/* Tell queue to forget it; it goes on being the caller's. */
void	 intake_drop(struct transaction *transaction);
/* The same, and free it; nulls the pointer.  NULL is fine. */
void	 intake_abort(struct transaction **transaction);

#endif
