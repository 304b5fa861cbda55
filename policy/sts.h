/*
 * MTA-STS texts (RFC 8461 3.1, 3.2, 4.1): the TXT record, the policy body,
 * and whether a policy covers a host.  Pure; untrusted input, bounded.
 */
#ifndef CULVER_STS_H
#define CULVER_STS_H

#include "conf/addr.h"
#include "policy/decide.h"

#define STS_ID_SIZE		33
#define STS_BODY_MAX		65536
#define STS_MX_MAX		256	/* patterns kept; more: invalid */
#define STS_MAX_AGE_MOST	31557600	/* ruling 2 */

/* Why a text is no good: for log, report, `culverctl check`. */
struct sts_fault {
	unsigned	line;		/* 1.., 0: the whole */
	char		reason[160];
	const char	*clause;	/* "RFC 8461 3.2" */
};

/*
 * The one STS record among a domain's TXT records (strings already joined).
 * Others are discarded first; if not exactly one is left, or it is invalid,
 * there is no record.  fault->reason "none" when no STS record was there.
 */
bool	sts_parse_records(const struct slice *records, size_t records_n,
	    char id[STS_ID_SIZE], struct sts_fault *fault);

struct sts_policy {
	enum sts_mode	mode;		/* never STS_ABSENT */
	uint64_t	max_age_s;	/* as published, up to ten digits */
	size_t		mx_n;
	/* "mail.example.org" or "*.example.org", lower case */
	struct sts_mx {
		bool		wildcard;
		struct domain	domain;	/* without "*." */
	}		*mx;		/* mem_alloc'd: sts_policy_free */
};

/* Parse a body (rulings 2, 3).  False with fault set: nothing is allocated. */
bool	sts_parse_policy(struct slice body, struct sts_policy *policy,
	    struct sts_fault *fault);
void	sts_policy_free(struct sts_policy *policy);

/*
 * Which of the patterns, if any, covers this host?  Index of the first, or
 * -1.  "*.example.org" covers exactly one more label.  RFC 8461 4.1.
 */
int	sts_match_mx(const struct sts_policy *policy,
	    const struct domain *host);
/* The same for one pattern as text (`check mx-match`); false: no pattern. */
bool	sts_parse_mx(struct slice pattern, struct sts_mx *mx);
bool	sts_mx_covers(const struct sts_mx *mx, const struct domain *host);

/* When a policy fetched at fetched_s ends; capped (ruling 2). */
int64_t	sts_expires(int64_t fetched_s, uint64_t max_age_s);

#endif
