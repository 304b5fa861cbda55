/*
 * policy: where may mail for this domain go, and what must the server prove?
 *
 * The questions put to culver-policy (R_*, by delivery and reports) and those
 * put to culver-fetch (F_*, by policy and reports).
 */
#ifndef CULVER_POLICY_H
#define CULVER_POLICY_H

#include "conf/addr.h"
#include "conf/config.h"
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
	F_DONE,
	/* reports to fetch */
	F_POST,		/* hand a report in; fd: read end, the document */
	/* fetch to reports */
	F_POSTED,
	/* reports to policy */
	R_TXT = 0x0341,	/* the _smtp._tls record of this domain? */
	R_PIN,		/* where is this host of a report's receiver? */
	R_TEXT,		/* what is the text of this policy? */
	R_FAILED_KEPT,	/* R_FAILED is durable up to this sequence */
	/* policy to reports: one answer to each question */
	R_TXT_ANSWER,
	R_PINNED,
	R_TEXT_ANSWER,	/* fd: read end, the text and the end of it */
	R_FAILED	/* a fetch failed; conf/outbox.h */
};

struct r_ask {
	uint64_t	question;	/* the asker's number */
	/* or address literal, or one relayhost's URL (conf/relayhost.h) */
	char		domain[DOMAIN_TEXT_MAX];
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
	/*
	 * Found under these settings (policy_settings_mark): under others it
	 * may lack what would have been looked for.
	 */
	uint64_t	settings;
	/* AD was believed: else no answer is secure, and that proves nothing
	   (`dane off', or no resolver that can be believed). */
	bool		dnssec_judged;
	bool		mx_implicit;	/* no MX records: the domain itself */
	/*
	 * What the domain's name stands for by CNAME, where all of that is
	 * secure; "" where it stands for itself, or is not secure.
	 * RFC 7672 3.2.2, 2.2.2
	 */
	char		canonical[DOMAIN_TEXT_MAX];
	/* a relayhost: where its policy is found; "": the domain asked for */
	char		policy_domain[DOMAIN_TEXT_MAX];
	int64_t		valid_until;	/* wall clock, seconds */
	uint32_t	sts;		/* enum sts_mode */
	char		sts_id[POLICY_ID_MAX];
	bool		sts_cached;	/* the live one could not be had */
	int64_t		sts_expires;	/* wall clock, seconds; 0: no policy */
	uint64_t	sts_text;	/* policy_text_mark of its text; 0: none */
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
	uint32_t	port;		/* 25 but for a relayhost */
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

/*
 * A report for a receiver that wants it over https (RFC 8460 5.4).  The
 * certificate is verified; where that fails it is sent all the same and
 * f_posted says so (ruling 30, RPT-3-8).
 */
#define POST_URL_MAX	2048
struct f_post {
	uint64_t	question;
	char		url[POST_URL_MAX];	/* https://…, as it stands */
	char		host[DOMAIN_TEXT_MAX];	/* of it, or address literal */
	uint32_t	port;
	char		media_type[64];		/* "application/tlsrpt+gzip" */
	uint64_t	size_bytes;		/* of the document, ≤ 8 MiB */
	uint32_t	addresses_len;		/* of host, pinned */
	uint8_t		addresses[17 * ROUTE_ADDRESSES_MAX];
};	/* fd: read end of a pipe that ends after size_bytes */

enum post_outcome {
	POST_ACCEPTED,		/* 2xx */
	POST_REFUSED,		/* any other answer: status */
	POST_FAILED,		/* no answer: not connected, broken, too slow
				   before all was sent: it has no report */
	POST_UNKNOWN		/* all was sent and no answer came: it may
				   have the report */
};
struct f_posted {
	uint64_t	question;
	uint32_t	outcome;	/* enum post_outcome */
	uint32_t	status;		/* HTTP status, 0: none */
	bool		verified;	/* its certificate was good */
	char		text[256];	/* "HTTP 403", "connection refused" */
};

/*
 * Questions of reports.  Outcomes are enum route_outcome: OK, AGAIN (nobody
 * answered: ask later), FAIL (there is none, or it may not be used).
 */
#define TXT_RECORDS_MAX	32768
struct r_txt {
	uint64_t	question;
	char		domain[DOMAIN_TEXT_MAX];	/* without _smtp._tls */
};
struct r_txt_answer {
	uint64_t	question;
	uint32_t	outcome;
	char		text[128];	/* why there are none */
	/* each: u16 length (little endian), then the record, its strings
	   joined (RPT-3-21) */
	uint32_t	records_len;
	uint8_t		records[TXT_RECORDS_MAX];
};
struct r_pin {
	uint64_t	question;
	char		host[DOMAIN_TEXT_MAX];	/* or address literal */
};
struct r_pinned {
	uint64_t	question;
	uint32_t	outcome;
	char		text[128];	/* "192.0.2.1 is private", ... */
	uint32_t	addresses_len;	/* as in r_host */
	uint8_t		addresses[17 * ROUTE_ADDRESSES_MAX];
};
struct r_text {
	uint64_t	question;
	char		domain[DOMAIN_TEXT_MAX];
	uint64_t	sts_text;	/* this one and no other */
};
struct r_text_answer {
	uint64_t	question;
	bool		found;		/* else the pipe is empty */
};	/* fd: read end */

/*
 * One fetch that failed, whoever wanted it (ruling 31); the `policy` line
 * says the same.
 */
struct r_failed {
	uint64_t	epoch;		/* these two: conf/outbox.h */
	uint64_t	sequence;
	int64_t		when_s;		/* wall clock */
	char		domain[DOMAIN_TEXT_MAX];	/* the policy domain */
	uint32_t	result;		/* enum tls_result */
	char		reason[256];	/* for people, one line */
	/* the cached policy that goes on to hold; "" and 0: none */
	char		sts_id[POLICY_ID_MAX];
	uint64_t	sts_text;
};
struct r_failed_kept {
	uint64_t	sequence;
};

/* The links' rows stand in policy/wire.c. */
extern const struct wire_table route_wire;	/* delivery and policy */
extern const struct wire_table fetch_wire;	/* policy or reports, fetch */
extern const struct wire_table inquiry_wire;	/* reports and policy */

/*
 * A mark of a policy's text by which two texts are told apart, also under one
 * id (FNV-1a, 64 bits, never 0).  Pure.
 */
uint64_t policy_text_mark(struct slice text);

/*
 * A mark of the settings that decide what is looked for on the way to a
 * route: mta-sts, dane, resolver, trust-resolver, ip.  Pure; never 0.
 */
uint64_t policy_settings_mark(const struct config *config);

/* Append / read one address in the form of r_host.  False: no room, end. */
bool	route_put_address(uint8_t *octets, uint32_t *len, uint32_t size,
	    const struct address *address);
bool	route_get_address(const uint8_t *octets, uint32_t len, unsigned index,
	    struct address *address);

#endif
