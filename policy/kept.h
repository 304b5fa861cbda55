/*
 * Answers of DNS, held by whoever needs them, and kept for their TTL.
 */
#ifndef CULVER_KEPT_H
#define CULVER_KEPT_H

#include "policy/rr.h"

/* An answer of its own memory.  Counted by who holds it: answer_release. */
struct answer {
	unsigned	 held;
	struct domain	 name;
	enum rr_type	 type;
	struct rr_answer rr;		/* records and data: one piece */
	const char	*failure;	/* static text, or NULL */
	int64_t		 expires_ms;	/* monotonic; set by kept_add */
	/* kept.c's */
	struct answer	*next;		/* in its bucket */
	struct answer	*newer, *older;	/* by use */
	size_t		 octets;
};

/* A copy of from (any memory), held once.  failure: why it is none. */
struct answer	*answer_new(const struct domain *, enum rr_type,
		    const struct rr_answer *from, const char *failure);
/* No answer, for this reason (static text). */
struct answer	*answer_failed(const struct domain *, enum rr_type,
		    const char *failure);
struct answer	*answer_hold(struct answer *);
void		 answer_release(struct answer **);

struct kept;
struct kept	*kept_new(void);
/* What is kept and has not expired, or NULL; borrowed.  now_ms: monotonic. */
struct answer	*kept_find(struct kept *, const struct domain *, enum rr_type,
		    int64_t now_ms);
/*
 * Note until when an answer may be believed, and keep it so long: at most a
 * day, five minutes when it says "no"; a failure not at all.  What was kept of
 * the same question goes; of all, what was used least lately once there is too
 * much.
 */
void		 kept_add(struct kept *, struct answer *, int64_t now_ms);
void		 kept_forget_all(struct kept *);

#endif
