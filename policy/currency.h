/*
 * Is what we keep of a domain's policy current, and what does each event make
 * of its record?  (RFC 8461 3.1, 3.3, 5.1; rulings 7, 8)  Pure: `now' is an
 * argument, nothing is asked, stored or logged.
 */
#ifndef CULVER_CURRENCY_H
#define CULVER_CURRENCY_H

#include "policy/cache.h"

/* What the domain's _mta-sts TXT said. */
enum currency_txt {
	TXT_SAME,	/* the id of the kept policy */
	TXT_OTHER,	/* another id */
	TXT_NONE,	/* no (valid) record: NXDOMAIN, none, two, malformed */
	TXT_FAILED	/* it could not be asked, twice */
};

struct currency_facts {
	bool			known;	/* a policy is kept and holds */
	enum currency_txt	txt;
	/* This very id could not be fetched less than 5 minutes ago. */
	bool			waiting;
	/* What we kept was lost by damage, less than `expire` ago. */
	bool			lost;
};

enum currency_step {
	CURRENCY_KEPT,	/* apply the kept policy */
	CURRENCY_FETCH,	/* fetch, then currency_after_fetch */
	CURRENCY_NONE,	/* as a domain without MTA-STS */
	CURRENCY_AGAIN	/* not to be decided now: mail waits */
};

/* What to do once the TXT has answered.  Pure. */
enum currency_step	currency_judge(const struct currency_facts *);

enum currency_fetch {
	FETCHED_GOOD,	/* a valid policy; it is in the record now */
	FETCHED_BAD,	/* the policy host's doing */
	FETCHED_OURS	/* our own programs' doing: says nothing */
};

/* What to do after the fetch.  Pure.  GOOD: CURRENCY_KEPT, with the new. */
enum currency_step	currency_after_fetch(enum currency_fetch, bool known,
			    bool lost);

/* The facts of a record, as far as it knows them.  Pure.  id: the TXT's, when
 * txt is TXT_SAME or TXT_OTHER (which is decided here). */
struct currency_facts	currency_facts(const struct cache_record *,
			    enum currency_txt, const char *id, int64_t now_s,
			    int64_t lost_s, int64_t expire_s);
/* Need the TXT not be asked for now?  Pure. */
bool	currency_txt_holds(const struct cache_record *, int64_t now_s);

/* Events.  Each changes the record alone. */
void	currency_note_txt(struct cache_record *, uint32_t ttl_s,
	    int64_t now_s);
void	currency_note_fetched(struct cache_record *, const char *id,
	    const struct sts_policy *, int64_t now_s);
void	currency_note_failed(struct cache_record *, const char *id,
	    enum tls_result, const char *text, int64_t now_s);
/* True when the record changed (mail is noted to a few hours). */
bool	currency_note_mail(struct cache_record *, int64_t now_s);

#endif
