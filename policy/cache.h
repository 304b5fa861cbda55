/*
 * Which MTA-STS policies do we keep, and what else do we know of each domain?
 * Records over conf/store.h; the policy's text stands beside its record, as
 * it was received.
 *
 * A store that fails takes nothing from mail: what it did not take stays in
 * memory, answers as if it were stored, and is tried again.
 */
#ifndef CULVER_CACHE_H
#define CULVER_CACHE_H

#include "policy/sts.h"

/*
 * What we know of one policy domain.  Times are wall clock, seconds; 0: never.
 * Everything about the policy itself (id to fetched_s) is of the last good
 * HTTPS fetch; nothing else moves its age.
 */
struct cache_record {
	struct domain	domain;
	char		id[STS_ID_SIZE];	/* "": there is no policy */
	uint32_t	mode;			/* enum sts_mode */
	uint64_t	max_age_s;		/* as published */
	int64_t		fetched_s;
	int64_t		checked_s;	/* TXT or policy last seen */
	int64_t		txt_until_s;	/* the TXT with this id may be
					   believed until then */
	/* The last failure that was not mended since. */
	uint32_t	error;		/* enum tls_result; RESULT_NONE: none */
	char		error_text[256];
	int64_t		error_s;
	char		failed_id[STS_ID_SIZE];	/* that could not be fetched */
	/* Refreshes in a row that failed, and since when. */
	uint32_t	failures;
	int64_t		failing_since_s;
	int64_t		mail_s;		/* last mail, to a few hours */
	int64_t		refresh_s;	/* next unasked fetch */
	int64_t		lost_s;		/* a damaged record stood here then */
};

struct cache;

/*
 * Open the cache in dir; in_use, when not NULL, tells why it cannot be opened
 * (NULL is returned then, e.g. because the relay holds it).  Local I/O, may
 * take seconds after a crash.
 *
 * With in_use NULL the cache is ours to mend: one that cannot be read is moved
 * to dir/damaged-TIME, with an alarm, and an empty one begins; without room or
 * lock the program ends.
 */
struct cache	*cache_open(const char *dir, char *in_use, size_t size);
/* What the disk did not take is put once more before. */
void	 cache_close(struct cache **);

/*
 * What is known of domain; an empty record but for domain when nothing is.
 * Local I/O.  False: the store failed, nothing can be said this turn.
 */
bool	 cache_get(struct cache *, const struct domain *,
	    struct cache_record *record);
/*
 * The policy text of a record with an id.  Local I/O.  False: it is damaged;
 * the record has then been emptied.  body is valid until the next call.
 */
bool	 cache_body(struct cache *, const struct domain *, struct slice *body);
/*
 * The text of this mark (policy_text_mark): the record's own, or one that it
 * replaced a short while ago (replaced.h).  Local I/O.  False: it is gone.
 * body is valid until the next call.
 */
bool	 cache_text(struct cache *, const struct domain *, uint64_t mark,
	    struct slice *body);
/*
 * Keep a record; body NULL: its policy is as before.  It is what cache_get
 * returns from now on; on disk it is after cache_turn_end.
 */
void	 cache_put(struct cache *, const struct cache_record *,
	    const struct slice *body);
void	 cache_forget(struct cache *, const struct domain *);
/*
 * What was known is damaged: what stands in its place from now on says that
 * there may have been a policy (lost_s), with an alarm.
 */
void	 cache_bury(struct cache *, const struct domain *,
	    struct cache_record *record);
/* The record after this domain (name "": the first).  False: no more. */
bool	 cache_next(struct cache *, const struct domain *after,
	    struct cache_record *record);

/*
 * End of a loop turn: make it durable (flushed if a policy is in it).  Ends
 * the program when the store is beyond that.  now_ms: monotonic.
 */
void	 cache_turn_end(struct cache *, int64_t now_ms);
/* How many records the store has not taken. */
unsigned cache_unsaved(const struct cache *);
/* When was a whole cache lost (0: never, or long ago)? */
int64_t	 cache_lost_s(const struct cache *);

/* When does the record's policy end?  Pure.  0: there is none. */
int64_t	 cache_expires(const struct cache_record *);
/* Is there a policy, and does it still hold?  Pure.  STS-5.1-1 */
bool	 cache_is_known(const struct cache_record *, int64_t now_s);

#endif
