/*
 * smtpd's end of the link to queue: the transactions under way.
 *
 * A transaction is one MAIL with what follows.  The queue knows it by its id
 * from transaction_open until it was taken, refused or aborted, or until the
 * link closes; then `known` is false, and the session decides what its client
 * hears.
 */
#ifndef CULVER_TRANSACTION_H
#define CULVER_TRANSACTION_H

#include "conf/link.h"
#include "queue/queue.h"
#include "smtpd/data.h"
#include "smtpd/required.h"

#include <sys/uio.h>

/* All of them, and the link. */
struct transactions;

struct transaction {
	/* the caller's */
	void		*visitor;
	char		*sender;	/* as printed, freed with this */
	uint32_t	 asked;		/* RCPTs sent; their next number */
	uint32_t	 refused;	/* RCPTs that queue refused */
	uint32_t	 accepted;
	struct data	 data;
	/* ours, to be read */
	struct required	 required;	/* TLS-Required, as far as it went */
	uint64_t	 id;
	bool		 known;		/* to queue */
	bool		 full;		/* the pipe takes nothing just now */
	bool		 went;		/* Q_GO came */
	uint64_t	 size_bytes;	/* of the message so far */
	struct {
		unsigned	code;	/* 0: not refused */
		char		text[256];
	}		 refusal;	/* of the whole transaction */
	/* ours alone */
	struct transactions *all;
	struct transaction *next;	/* of its chain */
	struct transaction *next_waiting;
	uint64_t	 announced;	/* octets, 0: not */
	bool		 requiretls;	/* of class CLASS_REQUIRETLS */
	bool		 asked_place;	/* `go` is awaited, or came */
	bool		 counted;	/* among those in DATA: Q_PLACE said */
	bool		 whole;		/* transaction_end was called */
	bool		 ended;		/* Q_END was sent */
	bool		 piped;		/* too large to go as one message */
	int		 pipe;		/* write end, -1: none */
	struct watch	*watch;		/* of it, while it is full */
	struct buffer	 held;		/* octets that queue was not given */
};

/*
 * What happens to a transaction, each with its visitor.  None is called
 * inside a function of this header but transaction_data (go, refused),
 * transaction_write (refused) and transactions_link.
 */
struct transaction_calls {
	void	(*rcpt_answer)(void *visitor, uint32_t number, unsigned code,
		    const char *text);
	void	(*go)(void *visitor);		/* say 354 */
	void	(*room)(void *visitor);		/* the pipe takes octets */
	void	(*taken)(void *visitor);	/* durable: say 250 */
	void	(*refused)(void *visitor);	/* see refusal */
	/* The link was full and is not any more; transactions_new's. */
	void	(*drained)(void *context);
};

struct transactions *transactions_new(struct loop *loop,
	    const struct transaction_calls *calls, void *context);
/* Every transaction must have been aborted. */
void	 transactions_free(struct transactions **all);

/*
 * Serve a fresh link (fd taken over).  Transactions of an old one are refused
 * with 451.
 */
void	 transactions_link(struct transactions *all, int fd);
/* Is there a queue to speak to? */
bool	 transactions_is_up(const struct transactions *all);
/* Is so much on its way to queue that no more should be added? */
bool	 transactions_is_full(const struct transactions *all);

/*
 * Begin a transaction (transactions_is_up must hold); open's id is made here.
 * Local I/O.  Never NULL.
 */
struct transaction *transaction_open(struct transactions *all,
	    struct q_open *open, void *visitor);
/*
 * Ask for one recipient, of number `asked`; the transaction is known.  What
 * DSN was asked for goes along: a set of enum dsn_notify, and ORCPT in xtext
 * ("" none), shorter than ORCPT_TEXT_MAX.
 */
void	 transaction_rcpt(struct transaction *transaction,
	    const struct mailbox *recipient, uint32_t notify,
	    const char *orcpt);
/*
 * Ask for 354.  `go` or `refused` follows; either perhaps at once.  At most
 * TRANSACTION_DATA_MAX are in DATA; others wait for their turn here.
 */
#define TRANSACTION_DATA_MAX	256
void	 transaction_data(struct transaction *transaction);
/*
 * DATA was read, and stands behind RCPTs whose answers are awaited: ask queue
 * already.  transaction_data comes when it is DATA's turn, or, when no
 * recipient was taken, transaction_no_data.  May be called again.
 */
void	 transaction_data_ahead(struct transaction *transaction);
void	 transaction_no_data(struct transaction *transaction);
/* After `go`: put text before the first octets, without writing it yet. */
void	 transaction_prepend(struct transaction *transaction,
	    struct slice text);
/*
 * Hand over octets of the message, after `go`, in at most
 * TRANSACTION_RUNS_MAX runs.  Up to SMALL_BODY_MAX octets are kept here, and
 * go with the end; of a larger message goes what its pipe takes, the rest is
 * kept.  When it takes no more, `full` is set, and `room` follows; don't write
 * until then.
 */
#define TRANSACTION_RUNS_MAX	64
void	 transaction_write(struct transaction *transaction,
	    const struct iovec *runs, int runs_n);
/* The message is whole: `taken` or `refused` follows. */
void	 transaction_end(struct transaction *transaction);
/* Tell queue to forget it; it goes on being the caller's. */
void	 transaction_drop(struct transaction *transaction);
/* The same, and free it; nulls the pointer.  NULL is fine. */
void	 transaction_abort(struct transaction **transaction);

#endif
