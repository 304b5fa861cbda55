/*
 * policy: where may mail for this domain go, and what must the server prove?
 *
 * The questions put to culver-policy (R_*, by delivery; later by reports) and
 * those it puts to culver-fetch (F_*).
 */
#ifndef CULVER_POLICY_H
#define CULVER_POLICY_H

#include "conf/addr.h"
#include "conf/wire.h"
#include "policy/decide.h"

#define ROUTE_HOSTS_MAX		32
#define ROUTE_ADDRESSES_MAX	16
#define ROUTE_TLSA_MAX		32768
#define POLICY_ID_MAX		33

enum {
	/* delivery to policy */
	R_ASK = 0x0301,	/* where does mail for this domain go? */
	/* policy to delivery: R_ROUTE, R_HOST each, R_END; same question */
	R_ROUTE,
	R_HOST,
	R_END,
	/* policy to fetch */
	F_GET,		/* fetch this domain's policy; fd: pipe for the body */
	/* fetch to policy */
	F_DONE
};

struct r_ask {
	uint64_t	question;	/* the asker's number */
	char		domain[DOMAIN_TEXT_MAX];	/* or address literal */
	uint32_t	class;
};

/* Is there a way at all? */
enum route_outcome {
	ROUTE_OK,
	ROUTE_AGAIN,	/* temporary: mail waits (enhanced, text say why) */
	ROUTE_FAIL	/* definite: mail fails */
};

struct r_route {
	uint64_t	question;
	uint32_t	outcome;	/* enum route_outcome */
	char		enhanced[16];	/* of ROUTE_AGAIN, ROUTE_FAIL */
	char		rule[64];	/* "null-mx", "nxdomain", "loop", ... */
	char		clause[64];	/* "RFC 7505 3" */
	char		text[512];	/* for people */
	bool		mx_secure;
	bool		mx_implicit;	/* no MX records: the domain itself */
	int64_t		valid_until;	/* wall clock, seconds */
	uint32_t	sts;		/* enum sts_mode */
	char		sts_id[POLICY_ID_MAX];
	bool		sts_cached;	/* the live one could not be had */
	int64_t		sts_expires;	/* wall clock, seconds; 0: no policy */
	/* What went wrong on the way to the policy, if anything did. */
	uint32_t	sts_error;	/* enum tls_result */
	char		sts_error_text[256];
	uint32_t	hosts;		/* R_HOST messages that follow */
	uint32_t	hosts_dropped;	/* beyond ROUTE_HOSTS_MAX */
};

/* An address of a host, as in struct address. */
struct r_host {
	uint64_t	question;
	char		name[DOMAIN_TEXT_MAX];	/* the exchange, not an alias */
	uint32_t	preference;
	bool		mx_match;	/* sts_match_mx; true without policy */
	uint32_t	lookup;		/* enum route_outcome: its addresses */
	char		lookup_text[128];	/* why there are none */
	bool		address_secure;
	/* each 17 octets: family (4, 6), 16 octets of address */
	uint32_t	addresses_len;
	uint8_t		addresses[17 * ROUTE_ADDRESSES_MAX];
	uint32_t	tlsa_state;	/* enum tlsa_state */
	char		tlsa_base[DOMAIN_TEXT_MAX];	/* RFC 7672 2.2.2 */
	/* each: u16 length (little endian), then the RDATA */
	uint32_t	tlsa_len;
	uint8_t		tlsa[ROUTE_TLSA_MAX];
};

struct r_end {
	uint64_t	question;
};

struct f_get {
	uint64_t	question;
	char		domain[DOMAIN_TEXT_MAX];	/* the policy domain */
	/* of mta-sts.<domain>, pinned; as in r_host */
	uint32_t	addresses_len;
	uint8_t		addresses[17 * ROUTE_ADDRESSES_MAX];
};	/* fd: write end of a pipe; the body (at most 64 KiB) goes there */

enum fetch_outcome {
	FETCH_BODY,		/* 200, text/plain, whole: parse it */
	FETCH_WEBPKI,		/* the host could not be authenticated */
	FETCH_ERROR		/* any other reason */
};
struct f_done {
	uint64_t	question;
	uint32_t	outcome;	/* enum fetch_outcome */
	uint32_t	body_bytes;	/* written to the pipe */
	uint32_t	status;		/* HTTP status, 0: none */
	char		text[256];	/* "HTTP 403", "media-type text/html" */
};

/* Both links' rows stand in policy/wire.c. */
extern const struct wire_table route_wire;	/* delivery and policy */
extern const struct wire_table fetch_wire;	/* policy and fetch */

/* Append / read one address in the form of r_host.  False: no room, end. */
bool	route_put_address(uint8_t *octets, uint32_t *len, uint32_t size,
	    const struct address *address);
bool	route_get_address(const uint8_t *octets, uint32_t len, unsigned index,
	    struct address *address);

#endif
