/*
 * In what order are a domain's MX hosts to be tried, and which of them not at
 * all?  (RFC 5321 5.1, RFC 7505)  Pure.
 */
#ifndef CULVER_MX_H
#define CULVER_MX_H

#include "policy/policy.h"
#include "policy/rr.h"

struct mx_host {
	struct domain	name;
	uint32_t	preference;
};

enum mx_outcome {
	MX_HOSTS,	/* at least one host */
	MX_NULL,	/* the domain takes no mail (RFC 7505) */
	MX_UNUSABLE,	/* there are records, but none names a host */
	MX_LOOP		/* the best of them is ourselves */
};

struct mx_list {
	struct mx_host	hosts[ROUTE_HOSTS_MAX];
	unsigned	hosts_n;
	unsigned	dropped;	/* beyond ROUTE_HOSTS_MAX */
	/*
	 * Records that name no host: "." beside others, addresses, "?" and
	 * what domain_parse does not take.
	 */
	unsigned	ignored;
	char		ignored_name[DOMAIN_TEXT_MAX];	/* the first of them */
};

/*
 * Order the records of one MX answer.  records_n is at least 1.  hostname is
 * our own ("": unknown): it and all of its preference and worse are dropped.
 * Equal preferences are shuffled by seed (any 64 random bits).
 * RFC 5321 5.1, RFC 7505 3
 */
enum mx_outcome	mx_order(const struct rr *records, size_t records_n,
		    const char *hostname, uint64_t seed,
		    struct mx_list *list);
/*
 * A host of this preference turned out to be ourselves, by its address: drop
 * all of its preference and worse.  False: nothing is left.
 */
bool		mx_keep_better(struct mx_list *, uint32_t preference);

#endif
