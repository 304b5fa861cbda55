/*
 * DNS answers (RFC 1035 4.1) as culver needs them: parsed once, bounded.
 * Pure; untrusted input.
 */
#ifndef CULVER_RR_H
#define CULVER_RR_H

#include "conf/addr.h"

enum rr_type {
	RR_A = 1, RR_CNAME = 5, RR_SOA = 6, RR_MX = 15, RR_TXT = 16,
	RR_AAAA = 28, RR_TLSA = 52
};

/*
 * The name of what bears none that a host or service could have (octets
 * other than letters, digits, "-", "_"): a host that cannot be looked up.
 * rr_query takes no such name.
 */
#define RR_NAME_ODD	"?"
bool	rr_name_is_odd(const struct domain *name);

struct rr {
	enum rr_type	type;
	uint32_t	ttl_s;
	/* A, AAAA */
	struct address	address;
	/* MX: exchange "" is the root (null MX); CNAME: target */
	uint32_t	preference;
	struct domain	name;
	/* TXT: joined; TLSA, SOA: RDATA.  Points into the answer's region. */
	struct slice	data;
};

enum rr_status {
	RR_OK,		/* records may still be none of the type: NODATA */
	RR_NXDOMAIN,
	RR_SERVFAIL,	/* or REFUSED, or any other rcode */
	RR_MALFORMED	/* not an answer to this question: as SERVFAIL */
};

struct rr_answer {
	enum rr_status	status;
	unsigned	rcode;
	bool		secure;		/* AD, of RR_OK and RR_NXDOMAIN */
	/*
	 * The owner after following CNAMEs inside the answer; equal to the
	 * question when there are none.  alias: there were some.
	 */
	struct domain	canonical;
	bool		alias;
	struct rr	*records;	/* of the asked type, at canonical */
	size_t		records_n;
	uint32_t	ttl_s;		/* least over CNAMEs and records; for
					   negative answers the SOA minimum
					   too, 0 without SOA */
};

/*
 * Read the answer to (name, type).  Pure.  Follows at most 8 CNAMEs inside it
 * (not when CNAME is asked for), ignores records of other owners, refuses
 * compression loops, takes at most 512 records.  alias without records and
 * RR_OK may be an answer cut at the alias: ask again at canonical
 * (RFC 7672 2.1.3).  Everything is allocated in region; octets may go.
 */
void	rr_parse(struct slice octets, const struct domain *name,
	    enum rr_type type, struct region *region,
	    struct rr_answer *answer);

/*
 * Write a query with RD, AD and EDNS (1232) set.  Pure.  name "" is the root.
 * Returns its length; 0 when name is an address literal, RR_NAME_ODD, or too
 * long for the wire or for size (512 is always enough).  id: the caller's,
 * from getrandom.  RFC 1035 4.1.2, RFC 6840 5.7.
 */
size_t	rr_query(const struct domain *name, enum rr_type type, uint16_t id,
	    uint8_t *octets, size_t size);

/*
 * Is one TLSA RDATA usable for SMTP: usage 2 or 3, selector 0 or 1, matching
 * type 0, 1 or 2, digest of the right length, full data one DER sequence
 * (RFC 7672 3.1, RFC 7671 4.1)?  Pure.
 */
bool	rr_tlsa_usable(struct slice rdata);

#endif
