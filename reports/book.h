/*
 * What is written down: the counts of each domain and day, the reports made
 * of them, and what became of those.  Records over conf/store.h.
 *
 *	senders		peer program		-> epoch, sequence (outbox.h)
 *	policies	day, domain, block	-> what the block is of
 *	blocks		day, domain, block	-> its totals
 *	failures	day, domain, block, n	-> sessions that failed alike
 *	texts		day, domain, text mark	-> a policy's text
 *	wanted		domain, text mark, day	whose text is still to be had
 *	contributors	day, base, domain	whose mail counts for a base
 *	reports		day, domain		-> struct report_state
 *	receivers	day, domain, n		-> struct receiver_state
 *	soon		when, day, domain	which report is next
 *	refusers	URI			-> struct refuser
 *
 * "domain" is whose report it is: the recipient domain; for sessions with a
 * host that has TLSA records also the host's TLSA base domain (ruling 11).
 *
 * Bounds, whatever a peer does: BLOCKS_MAX policies a domain and day, further
 * ones are counted in one of their type without text (and for no base);
 * FAILURES_MAX failures a policy, further ones are grouped by result.  Totals
 * stay exact.
 *
 * A record that cannot be read is as if it were not there, and costs no more.
 */
#ifndef CULVER_BOOK_H
#define CULVER_BOOK_H

#include "conf/proc.h"
#include "policy/policy.h"
#include "reports/report.h"
#include "reports/rua.h"

#define BLOCKS_MAX	20
#define FAILURES_MAX	100
/* How long a day is known after its end. */
#define BOOK_DAYS	14

struct book;

/*
 * Open in dir, made when missing.  NULL, with a sentence, when it cannot be
 * (in use, damaged).  Local I/O, may take seconds after a crash.
 */
struct book	*book_open(const char *dir, char *error, size_t error_size);
/*
 * The same for the relay: one that cannot be read is moved aside with an
 * error in the log, and an empty one begins.  Ends the program when that
 * cannot be done.
 */
struct book	*book_open_or_begin(const char *dir);
/*
 * When was one moved aside last (wall clock, seconds; 0: none is there)?
 * Local I/O.
 */
int64_t	 book_moved_s(const char *dir);
/* What was counted is on disk when it can be. */
void	 book_close(struct book **);
/*
 * When is the report of a day and domain due (wall clock, seconds)?  Asked
 * when it is first counted; before this is set (or NULL is), at the end of
 * its day.
 */
void	 book_set_due(struct book *, int64_t (*due_s)(void *context,
	    uint32_t day, const char *domain), void *context);
/*
 * End of a loop turn.  What was counted since is on disk when a flush was due
 * (a second after the first change, or book_want_flush).  False: the turn was
 * lost, and nothing of it exists.  Ends the program when the store is gone.
 */
bool	 book_turn_end(struct book *);
void	 book_want_flush(struct book *);
/* When must the next flush be (monotonic ms; -1: nothing waits for one)? */
int64_t	 book_flush_at_ms(const struct book *);
/* How many flushes were made since it was opened? */
uint64_t book_flushes(const struct book *);
/*
 * Up to which sequence is that peer's telling on disk (0: nothing new)?  What
 * it says survives a kill and a loss of power.
 */
uint64_t book_kept(struct book *, enum program peer);
/*
 * There is a fresh link to the peer: book_kept says nothing until the peer
 * tells something on it, as it may be another one.
 */
void	 book_fresh_peer(struct book *, enum program peer);
/*
 * What that peer told was lost with a turn, and it has to tell it again: its
 * link must be made anew.  Until then the rest of what it tells is refused.
 */
bool	 book_is_behind(const struct book *, enum program peer);

/* ---- counting: count.c ---- */

/*
 * Was it told before (or must something else be told first, see
 * book_is_behind)?  Else its epoch and sequence are noted.
 */
bool	 book_is_repeated(struct book *, enum program peer, uint64_t epoch,
	    uint64_t sequence);
/*
 * Count; a day whose report is made already takes nothing (logged), and so
 * does what is no session (no domain, no detail, no day).
 */
void	 book_count_session(struct book *, const struct t_session *);
void	 book_count_failed(struct book *, const struct r_failed *);

/* ---- texts of policies ---- */

/* One that is counted under and whose text is wanted; false: none. */
bool	 book_wanted_text(struct book *, char domain[DOMAIN_TEXT_MAX],
	    uint64_t *sts_text);
/* Here it is (at 0: it cannot be had any more). */
void	 book_put_text(struct book *, const char *domain, uint64_t sts_text,
	    struct slice text);

/* ---- reports ---- */

enum report_phase {
	REPORT_COUNTING,	/* its day is not over, or it is not due */
	REPORT_ASKING,		/* is it wanted? the record could not be had */
	REPORT_SENDING,		/* made; some receiver has it to come */
	REPORT_DONE,		/* at least one has it, none is left */
	REPORT_UNWANTED,	/* nobody asked */
	REPORT_GIVEN_UP		/* nobody took it */
};
struct report_state {
	uint32_t	day;		/* key */
	char		domain[DOMAIN_TEXT_MAX];	/* key */
	uint32_t	phase;		/* enum report_phase */
	uint64_t	number;		/* 0: not made; counts are final when
					   it is not */
	int64_t		next_s;		/* wall clock: look at it then; 0:
					   never again */
	int64_t		first_s;	/* first attempt; 0: none yet */
	uint32_t	attempts;	/* to get the record */
	uint32_t	receivers;
	char		why[256];	/* of the phase, for people */
};
enum receiver_phase {
	RECEIVER_WAITING,	/* to be tried at next_s */
	RECEIVER_OWED,		/* queue has it, or its answer was lost */
	RECEIVER_ACCEPTED,
	RECEIVER_REFUSED,	/* for good, or no longer tried */
	RECEIVER_LEFT_ALONE	/* it refused three reports for good */
};
struct receiver_state {
	uint32_t	n;		/* key: in the report */
	char		uri[RUA_URI_MAX];
	uint32_t	phase;		/* enum receiver_phase */
	uint32_t	attempts;
	int64_t		next_s;
	int64_t		last_s;		/* last attempt; 0: none */
	uint32_t	code;		/* SMTP reply or HTTP status */
	bool		unverified;	/* https with a bad certificate */
	char		text[512];	/* what it said */
};
/* One that refused for good so many times in a row, and until when it has
   its peace (wall clock; 0: it has not). */
struct refuser {
	uint32_t	refusals;
	int64_t		until_s;
};

/* False: there is no such report (nothing was counted). */
bool	 book_get_report(struct book *, uint32_t day, const char *domain,
	    struct report_state *);
/* Write it; keeps the order of what is next. */
void	 book_put_report(struct book *, const struct report_state *);
/* The report after this one (day 0, domain "": the first). */
bool	 book_next_report(struct book *, uint32_t day, const char *domain,
	    struct report_state *);
/* The one with the least next_s; false: none waits. */
bool	 book_soonest_report(struct book *, struct report_state *);
bool	 book_get_receiver(struct book *, const struct report_state *,
	    uint32_t n, struct receiver_state *);
void	 book_put_receiver(struct book *, const struct report_state *,
	    const struct receiver_state *);
/* Always something: zeroes when nothing is known of it. */
void	 book_get_refuser(struct book *, const char *uri, struct refuser *);
void	 book_put_refuser(struct book *, const char *uri,
	    const struct refuser *);

/*
 * All that was counted, in the region's memory.  False: nothing.
 */
bool	 book_load(struct book *, uint32_t day, const char *domain,
	    struct region *, struct report *);
/*
 * Totals alone, for lists: of all blocks, so a session that two policies
 * judged counts twice.
 */
void	 book_totals(struct book *, uint32_t day, const char *domain,
	    uint64_t *succeeded, uint64_t *failed);
/*
 * Whose mail was counted for this TLSA base domain: the nth recipient domain
 * (n < 20).  own: it is also a recipient domain itself.
 */
bool	 book_contributor(struct book *, uint32_t day, const char *base,
	    unsigned n, char domain[DOMAIN_TEXT_MAX]);
bool	 book_has_own(struct book *, uint32_t day, const char *domain);
/* Forget reports and counts of days before this; at most some, true: more. */
bool	 book_forget_before(struct book *, uint32_t day);

#endif
