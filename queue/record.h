/*
 * What queue writes down: the records of its tables as structs.
 *
 * Fields are only ever added, with the table's version; the rows in record.c
 * are the form on disk.  What a key holds is not in the record: it is filled
 * in by spool.c and marked "key" here.
 */
#ifndef CULVER_QUEUE_RECORD_H
#define CULVER_QUEUE_RECORD_H

#include "conf/wire.h"
#include "queue/queue.h"

#define STATUS_TEXT_MAX	16	/* "5.7.30" */
#define CLAUSE_TEXT_MAX	64
#define RULE_TEXT_MAX	64
#define REASON_TEXT_MAX	512	/* of a reply, what is kept for people */
#define KEY_TEXT_MAX	64

/*
 * Recipients that wait for the operator, not for a time, are "due" then: they
 * sort behind all others of their destination.
 */
#define DUE_HELD	UINT64_MAX
/* Those of a message that is not signed yet, just before them. */
#define DUE_UNSIGNED	(UINT64_MAX - 1)
/* Is a recipient with this due_ms waiting for a time? */
#define DUE_IS_TIME(due_ms)	((due_ms) < DUE_UNSIGNED)

/* One message; it exists as long as a recipient of it does. */
struct message {
	uint64_t	id;		/* key */
	char		sender[MAILBOX_TEXT_MAX];	/* "" null */
	uint64_t	size_bytes;
	uint64_t	arrived_ms;	/* wall clock, when it became durable */
	uint32_t	body;		/* enum body_kind, as announced */
	uint32_t	class;		/* enum mail_class */
	bool		eight_bit;	/* it holds octets above 127 */
	uint32_t	chunks;		/* in the store, from 0 */
	uint64_t	file_bytes;	/* then in a file; 0: none */
	uint32_t	file_crc;
	bool		local;		/* uid is its owner */
	uint32_t	uid;
	/* Since version 2.  The idempotency key it was taken with, "" none. */
	char		key[KEY_TEXT_MAX];
	bool		needs_signature;	/* it may not leave yet */
	uint32_t	signature_bytes;	/* of fields, before the body */
	/* Since version 3.  RFC 3461: RET, and ENVID in xtext. */
	uint32_t	ret;		/* enum dsn_ret */
	char		envid[ENVID_TEXT_MAX];
	bool		ours;		/* who sent it may relay here: he is
					   told of delays */
};

/* One recipient; it exists exactly as long as something is owed to it. */
struct recipient {
	uint64_t	id;		/* key: of the message */
	uint32_t	number;		/* key: in the message */
	char		address[MAILBOX_TEXT_MAX];
	uint64_t	destination;
	uint64_t	due_ms;		/* wall clock, or DUE_HELD */
	uint32_t	attempts;	/* with a result of its own */
	/*
	 * Attempts at its destination that had failed before it came: what
	 * failed since are attempts for it as well.
	 */
	uint64_t	failures_before;
	/* Its last own result; last_ms 0: none yet. */
	uint64_t	last_ms;
	uint64_t	attempt;	/* of its destination, see attempt.h */
	uint32_t	code;
	char		enhanced[STATUS_TEXT_MAX];
	char		verdict[16];
	char		clause[CLAUSE_TEXT_MAX];
	char		host[DOMAIN_TEXT_MAX];
	char		address_tried[ADDRESS_TEXT_MAX];
	char		reply[REASON_TEXT_MAX];
	/* Since version 2.  Class report: its first attempt, 0: none yet. */
	uint64_t	first_ms;
	/* Since version 3.  RFC 3461: NOTIFY, and ORCPT in xtext. */
	uint32_t	notify;		/* set of enum dsn_notify */
	char		orcpt[ORCPT_TEXT_MAX];
	bool		warned;		/* its delay was told, or is not to be */
};

/* Where a recipient's mail goes: next hop and class. */
struct destination {
	uint64_t	number;		/* key */
	char		domain[DOMAIN_TEXT_MAX];
	uint32_t	class;
	bool		held;		/* by the operator */
	uint32_t	step;		/* failed attempts in a row */
	uint64_t	backoff_ms;	/* not before then; 0: none */
	/*
	 * The key of its entry in the index: when it has something to be done
	 * at the earliest; 0: no entry, nothing waits or it is held.
	 */
	uint64_t	next_ms;
	/* No message that waits came before then; 0: none waits. */
	uint64_t	oldest_ms;
	uint64_t	failures;	/* attempts ever that reached nobody */
	uint64_t	attempts;	/* numbers given to attempts so far */
	char		proof[16];	/* best TLS ever: "", "encrypt", ... */
	/* The last attempt that failed; failed_ms 0: none. */
	uint64_t	failed_ms;
	char		enhanced[STATUS_TEXT_MAX];
	char		rule[RULE_TEXT_MAX];
	char		clause[CLAUSE_TEXT_MAX];
	char		host[DOMAIN_TEXT_MAX];
	char		address[ADDRESS_TEXT_MAX];
	char		text[REASON_TEXT_MAX];
	/* Since version 2. */
	uint64_t	held_until_ms;	/* 0: until it is released */
	/* The TLS that the last attempt saw: "none", ...; "" not known. */
	char		shown[16];
	/*
	 * Since version 3.  No recipient whose delay may have to be told came
	 * before then.
	 */
	uint64_t	unwarned_ms;
};

/* A message of which parts are stored and which does not exist yet. */
struct intake_mark {
	uint64_t	since_ms;
};

/*
 * An idempotency key that was used, kept for some days, and what became of
 * the message that it came with.
 */
struct used_key {
	uint64_t	message;
	uint64_t	taken_ms;
	/* Since version 2; KEY_UNKNOWN, 0: of version 1, nothing is known. */
	uint32_t	state;		/* enum key_state */
	uint64_t	changed_ms;
	uint32_t	code;
	char		host[DOMAIN_TEXT_MAX];
	char		text[REASON_TEXT_MAX];
};

/* One attempt at a destination; the hosts lie beside it as D_HOST. */
struct attempt {
	uint64_t	destination;	/* key */
	uint64_t	number;		/* key */
	uint64_t	began_ms;
	uint64_t	ended_ms;	/* 0: it is under way */
	uint32_t	outcome;	/* as in d_ended; 0: it was served */
	bool		ours;
	char		enhanced[STATUS_TEXT_MAX];
	char		rule[RULE_TEXT_MAX];
	char		clause[CLAUSE_TEXT_MAX];
	char		repair[256];
	char		text[REASON_TEXT_MAX];
};

extern const struct wire_message record_message;
extern const struct wire_message record_recipient;
extern const struct wire_message record_destination;
extern const struct wire_message record_intake;
extern const struct wire_message record_key;
extern const struct wire_message record_attempt;

/*
 * Decode a value as that row; one of an earlier version of the table, which
 * lacks the last fields, as well: they are 0 then.  Pure.  False: damaged.
 */
bool	record_decode(struct slice value, const struct wire_message *,
	    void *record);
/* How many octets of a message leave: signature and body.  Pure. */
uint64_t record_octets(const struct message *);

/* The row of D_HOST, in whose form an attempt's hosts are kept. */
const struct wire_message *record_host(void);

#endif
