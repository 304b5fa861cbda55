/*
 * The book's own parts, for book.c, count.c, load.c and forget.c alone: its
 * tables, keys and rows.
 */
#ifndef CULVER_REPORTS_TABLES_H
#define CULVER_REPORTS_TABLES_H

#include "conf/proc.h"
#include "conf/store.h"
#include "reports/book.h"

/* Up to where a peer's telling went. */
struct sender {
	uint64_t	epoch;
	uint64_t	sequence;	/* the highest that is noted */
	/* not on disk */
	uint64_t	committed;	/* before this turn */
	uint64_t	durable;
	uint64_t	said;		/* by book_kept */
	uint64_t	first;		/* noted in this turn; 0 */
	uint64_t	lost_from;	/* of a lost turn: to be told again */
	bool		known;		/* is there a record? */
};

struct book {
	struct store		*store;
	struct store_table	*senders;
	struct store_table	*policies;	/* what a block is of */
	struct store_table	*blocks;	/* its totals */
	struct store_table	*failures;
	struct store_table	*texts;
	struct store_table	*wanted;	/* domain, mark, day */
	struct store_table	*contributors;	/* day, base, recipient's */
	struct store_table	*reports;
	struct store_table	*receivers;
	struct store_table	*soon;
	struct store_table	*refusers;
	struct sender		 sender[PROGRAMS_N];
	char			*dir;
	unsigned		 lost_turns;	/* one after the other */
	bool			 changed;	/* in this turn */
	int64_t			 unflushed_ms;	/* since; -1: nothing is */
	bool			 want_flush;
	/* When a report is due: book_set_due. */
	int64_t			(*due_s)(void *, uint32_t, const char *);
	void			*due_context;
	/* Where forgetting refusers goes on, and for which day it is done. */
	char			 refuser_after[RUA_URI_MAX];
	uint32_t		 refusers_day;
};

/* A key under construction: numbers big endian, texts with their end. */
#define KEY_MAX		(4 + 2 * DOMAIN_TEXT_MAX + 32)
struct key {
	uint8_t	octets[KEY_MAX];
	size_t	len;
};
void	key_u8(struct key *, uint8_t number);
void	key_u32(struct key *, uint32_t number);
void	key_u64(struct key *, uint64_t number);
void	key_text(struct key *, const char *text);
struct slice key_slice(const struct key *);
/* Day and domain, with which most keys begin. */
struct key key_of(uint32_t day, const char *domain);
/* A copy of what the store found; false: too long to be one of ours. */
bool	key_copy(struct key *, struct slice);
bool	key_begins(struct slice key, const struct key *prefix);
/* Read from a key at *offset and move behind it; false: it is none. */
bool	key_get_u32(struct slice key, size_t *offset, uint32_t *number);
bool	key_get_u64(struct slice key, size_t *offset, uint64_t *number);
bool	key_get_text(struct slice key, size_t *offset, char *text,
	    size_t size);

/* What a block is of; stands under day, domain, u8. */
struct policy_row {
	uint32_t	block;
	char		domain[DOMAIN_TEXT_MAX];
	char		sts_id[POLICY_ID_MAX];
	uint64_t	sts_text;
	uint32_t	tlsa_len;	/* sorted, each once */
	uint8_t		tlsa[REPORT_TLSA_MAX];
};
struct totals_row {
	uint64_t	succeeded, failed;
	uint32_t	failures;	/* different ones in the book */
};
/* Stands under day, domain, u8, u64 (hash), u8 (which with this hash). */
struct failure_row {
	uint32_t	result;
	char		reason[REPORT_REASON_MAX];
	char		local[ADDRESS_TEXT_MAX];
	char		host[DOMAIN_TEXT_MAX];
	char		helo[DOMAIN_TEXT_MAX];
	char		address[ADDRESS_TEXT_MAX];
	uint64_t	sessions;
};
extern const struct wire_message sender_row, policy_row, totals_row,
    failure_row, report_row, receiver_row, refuser_row;
struct refuser_row {
	struct refuser	refuser;
	uint32_t	day;		/* of the last change */
};

/* Can every table be read to its end?  Local I/O, may take seconds. */
bool	book_can_be_walked(struct book *);
/* Close it as it is. */
void	book_drop(struct book **);
/*
 * The store failed, and not for want of room: the next start reads the whole
 * book (mend.c).  Local I/O.
 */
void	mend_suspect(const char *dir);
/* Is there room to write in dir?  Local I/O. */
bool	mend_has_room(const char *dir);

/* A text's first octet, and behind it the text. */
enum { TEXT_WANTED = 'w', TEXT_HERE = 't', TEXT_GONE = 'g' };

/* Change, and remember that there is something to commit. */
void	book_change(struct book *, struct store_table *, const struct key *,
	    struct slice value);
void	book_change_record(struct book *, struct store_table *,
	    const struct key *, const struct wire_message *,
	    const void *record);
void	book_remove(struct book *, struct store_table *, const struct key *);

#endif
