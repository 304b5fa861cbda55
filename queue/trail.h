/*
 * The trail of an attempt: what was found out about each host, kept while a
 * destination is served, and written down when mail stays owed after it, so
 * that `explain` can say why.
 */
#ifndef CULVER_QUEUE_TRAIL_H
#define CULVER_QUEUE_TRAIL_H

#include "queue/books.h"

/* Of one attempt, further are dropped; of a destination, the oldest go. */
#define TRAIL_HOSTS_MAX		48
#define TRAIL_ATTEMPTS_MAX	20

struct trail_host {
	uint64_t	 session;
	bool		 ready;
	uint8_t		*octets;	/* the D_HOST, encoded: it is small */
	size_t		 len;
};

struct trail {
	uint64_t		 destination;
	uint64_t		 attempt;	/* its number there */
	uint64_t		 began_ms;	/* wall clock */
	struct trail_host	 hosts[TRAIL_HOSTS_MAX];
	unsigned		 hosts_n;
	uint64_t		 turn;		/* that wrote it last */
	bool			 written;	/* ever */
};

/* One more host was judged or tried; copies it. */
void	trail_add(struct trail *, const struct d_host *);
void	trail_free(struct trail *);
/* The facts of a session; false, and *host empty: none are known. */
bool	trail_find(const struct trail *, uint64_t session,
	    struct d_host *host);
/*
 * The host of which an attempt's end speaks: by the name before its text, or
 * else by its rule.  False, and *host empty: of none that is known.
 */
bool	trail_decider(const struct trail *, const struct d_ended *,
	    struct d_host *host);
/*
 * The best TLS that a host of this attempt showed, or `best` if that is as
 * good: "", "encrypt", "pkix", "dane".  Returns a static text or best.
 */
const char *trail_proof(const struct trail *, const char *best);
/*
 * What TLS was seen in this attempt, at the best of its hosts, whether it was
 * enough or not: "none", "encrypt", "pkix", "dane"; "" nothing was seen of it.
 * A static text.
 */
const char *trail_shown(const struct trail *);
/* Is this worth less than that ("", "none" nothing)?  Pure. */
bool	trail_is_weaker(const char *proof, const char *than);
/*
 * Write attempt and hosts in this turn, with its end if it is over (ended not
 * NULL), and put its number into the destination's record, which the caller
 * writes.  Local I/O.
 */
void	trail_write(struct trail *, struct spool *, struct destination *,
	    const struct d_ended *ended, uint64_t ended_ms);

/* What one recipient's attempt line says. */
struct trail_line {
	uint64_t	 id;
	const char	*to;
	const char	*domain;	/* the recipient's */
	const char	*host, *address;
	enum outcome	 outcome;
	uint32_t	 code;
	const char	*rule;		/* that decided; NULL: the host's */
	const char	*enhanced, *clause, *reply;
	uint64_t	 arrived_ms, now_ms;
};
/* Log it, with the host's facts (empty ones are fine), by the ledger. */
void	trail_log(struct ledger *, const struct trail_line *,
	    const struct d_host *);
const char *trail_outcome(uint32_t outcome);	/* "delivered" */

#endif
