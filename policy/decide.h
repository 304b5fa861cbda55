/*
 * The decisions of MTA-STS (RFC 8461) and DANE (RFC 7672): facts in, verdicts
 * out.  Everything here is pure: no look-up, clock, log, allocation, global.
 *
 * Three questions, asked in this order in the life of an attempt:
 *	decide_host	may this host be tried, and what must it prove?
 *	decide_session	it was tried: may the message be sent to it?
 *	decide_domain	no host took it: keep the message or give up?
 * tests/decide enumerates all reachable facts; that table is the golden file
 * and the body of culver-policy(7).
 */
#ifndef CULVER_DECIDE_H
#define CULVER_DECIDE_H

#include "conf/addr.h"

#include <stdbool.h>
#include <stdint.h>

/* The policy that applies: live or cached, and not expired. */
enum sts_mode {
	STS_ABSENT,	/* the domain has none that we could find or keep */
	STS_NONE,
	STS_TESTING,
	STS_ENFORCE
};

/* What DNS says of TLSA records for a host (RFC 7672 2.2). */
enum tlsa_state {
	TLSA_INSECURE,	/* host's addresses insecure, or DANE off: not asked */
	TLSA_ABSENT,	/* addresses secure, no TLSA records (secure denial,
			   or an insecure answer) */
	TLSA_USABLE,	/* secure, and at least one record is usable */
	TLSA_UNUSABLE,	/* secure records, none usable */
	TLSA_FAILED	/* bogus, SERVFAIL, timeout */
};

/*
 * What a host must prove before it gets a message.  Each asks for all that
 * the lesser ones do (TLS-9325-5.2-1 RFC 9325 5.2), but PKIX and DANE, which
 * stand side by side.
 */
enum requirement {
	REQUIRE_NONE,		/* TLS if it can be had, of any quality */
	REQUIRE_ENCRYPT,	/* TLS, unauthenticated */
	REQUIRE_PKIX,		/* TLS, certificate valid for the MX name */
	REQUIRE_DANE,		/* TLS, certificate matches a TLSA record */
	REQUIRE_DANE_PKIX	/* both: insecure MX, STS enforce (ruling 6) */
};

/* RFC 8460 4.3 result types, and success. */
enum tls_result {
	RESULT_NONE,		/* nothing to say (yet) */
	RESULT_SUCCESS,
	RESULT_STARTTLS_NOT_SUPPORTED,
	RESULT_CERTIFICATE_HOST_MISMATCH,
	RESULT_CERTIFICATE_EXPIRED,
	RESULT_CERTIFICATE_NOT_TRUSTED,
	RESULT_VALIDATION_FAILURE,
	RESULT_TLSA_INVALID,
	RESULT_DNSSEC_INVALID,
	RESULT_DANE_REQUIRED,
	RESULT_STS_POLICY_INVALID,
	RESULT_STS_WEBPKI_INVALID,
	RESULT_STS_POLICY_FETCH_ERROR
};

/* A rule's word: why, for log, DSN and explain.  All texts are static. */
struct rule {
	const char	*name;		/* "sts-mx-mismatch": stable, short */
	const char	*clause;	/* "RFC 8461 5"; "" none needed */
	const char	*enhanced;	/* "4.7.5"; "" when nothing fails */
	const char	*repair;	/* what would mend it, one sentence */
};

struct host_facts {
	enum mail_class	class;
	enum sts_mode	sts;
	/*
	 * STS_ABSENT only because TXT or policy could not be had this time:
	 * then its absence is no definite no (ruling 16).
	 */
	bool		sts_unknown;
	bool		sts_report_only;	/* operator: do not act on it */
	bool		mx_match;	/* the policy's patterns cover it */
	bool		mx_secure;	/* the answer about MX had AD */
	/*
	 * Nothing that could be believed looked for AD: that no answer is
	 * secure tells of our resolver, not of the domain (ruling 16).
	 */
	bool		dnssec_unjudged;
	/*
	 * The host's name was not learnt from an MX answer: it is the
	 * recipient's domain itself (implicit MX) or a configured relay.
	 */
	bool		name_given;
	enum tlsa_state	tlsa;
	/*
	 * Which records and which base they are (tlsa_mark); 0: none.  What
	 * was proven by others proves nothing: decide_reuse.
	 */
	uint64_t	tlsa_mark;
	bool		tls_required;	/* operator: verified TLS or nothing */
	/* operator: a relayhost that must be verified (all but smtp://) */
	bool		relayhost_verified;
	/*
	 * operator: `exempt'.  What MTA-STS and DANE demand of this domain is
	 * only noted, as under mode testing.
	 */
	bool		exempt;
	/* The next hop is a relayhost: for the name of what decided. */
	bool		relayhost;
};

/*
 * What a session counts as in each block of the day's TLS report; RESULT_NONE:
 * that block does not count it (rulings 10, 18, 28).
 */
struct block_results {
	enum tls_result	sts;
	enum tls_result	tlsa;
	enum tls_result	no_policy;
};

enum host_action {
	HOST_TRY,
	HOST_SKIP	/* as if unreachable: the next host */
};

struct host_verdict {
	enum host_action	action;
	enum requirement	requirement;
	/*
	 * What fails in the eyes of the policy even where it is tried
	 * (testing: mx mismatch): RESULT_NONE or the report's result.
	 */
	enum tls_result		result;
	/* HOST_SKIP: what is counted without a session; else RESULT_NONE. */
	struct block_results	blocks;
	struct rule		rule;
	/*
	 * HOST_SKIP of class requiretls: waiting will not change it; counts
	 * as domain_facts.unfit_tls, any other refusal as .policy.
	 */
	bool			definite;
	/*
	 * HOST_TRY: an exemption took away what MTA-STS or DANE demand of it;
	 * what others demand stands.
	 */
	bool			exempt;
};

struct host_verdict	decide_host(const struct host_facts *);

/* How STARTTLS went. */
enum starttls {
	STARTTLS_ABSENT,	/* EHLO does not offer it */
	STARTTLS_REFUSED,	/* offered; answered 4yz or 5yz */
	STARTTLS_BROKEN,	/* answered 220, then the handshake failed */
	STARTTLS_DONE		/* TLS is up: cert says what it proved */
};

/* Defects of a certificate, all that were seen (ruling 29); 0: valid. */
enum cert_defect {
	CERT_NOT_TRUSTED = 1,
	CERT_EXPIRED = 2,	/* or not yet valid */
	CERT_HOST_MISMATCH = 4,
	CERT_OTHER = 8,		/* bad signature, malformed, ... */
	CERT_DANE_NO_MATCH = 16
};

struct session_facts {
	struct host_facts	host;
	enum starttls		starttls;
	/*
	 * What PKIX says of the certificate, for the host's name: set of enum
	 * cert_defect.  Seen whatever DANE says of it.
	 */
	unsigned		cert;
	/*
	 * What DANE says of it, where host.tlsa is TLSA_USABLE and TLS is up;
	 * 0: a record matches, and what its usage asks for beside holds.
	 */
	unsigned		dane;		/* set of enum cert_defect */
	/*
	 * This connection is the retry in clear after a failed handshake
	 * (ruling 19): STARTTLS is not tried again.
	 */
	bool			clear_retry;
	/*
	 * EHLO inside TLS offers REQUIRETLS.  Before that answer is there:
	 * true, and class requiretls asks again when it is (RTLS-3-4).
	 */
	bool			requiretls;
};

enum session_action {
	SESSION_SEND,		/* send here, on this connection as it is */
	SESSION_RECONNECT,	/* new connection, same address, in clear */
	SESSION_NEXT		/* QUIT; the next host */
};

struct session_verdict {
	enum session_action	action;
	/*
	 * For the log.  Where the host is refused, the failure for which;
	 * RESULT_NONE where RFC 8460 has no word for it (the keyword
	 * REQUIRETLS is not offered).  Where it is not, the word of the policy
	 * that has the first one (policy_type_name), acted on or not: of the
	 * blocks tlsa, sts, no-policy-found the first that judges the session,
	 * and of class report, too, which counts none; or the failure that an
	 * exemption lets pass.  RESULT_NONE where no block judges it (mode
	 * none without TLS, the retry in clear).
	 */
	enum tls_result		result;
	struct block_results	blocks;		/* for the report */
	struct rule		rule;
	bool			definite;	/* as in host_verdict */
};

struct session_verdict	decide_session(const struct session_facts *);

/* What became of all hosts of a route in one attempt. */
struct domain_facts {
	enum mail_class	class;
	unsigned	hosts;		/* in the route, after loop removal */
	/* How many of them ended so: */
	unsigned	policy;		/* refused by decide_host/_session,
					   verdict not definite */
	unsigned	temporary;	/* connect, timeout, 4yz, DNS */
	unsigned	nonexistent;	/* name or address definitely absent */
	unsigned	unfit_tls;	/* REQUIRETLS: verdict definite */
	/*
	 * The verdict that counts: of the most preferred host among .policy;
	 * if there is none, among .unfit_tls; .name NULL when none was.
	 */
	struct rule	policy_rule;
};

enum domain_action {
	DOMAIN_DEFER,
	DOMAIN_FAIL
};

struct domain_verdict {
	enum domain_action	action;
	struct rule		rule;
};

struct domain_verdict	decide_domain(const struct domain_facts *);

/*
 * May a session proven under `proven` (its requirement and facts then) carry
 * a further message under `now`?  Only when both are equal.
 */
bool	decide_reuse(const struct host_facts *proven,
	    const struct host_facts *now);

/*
 * The report's policy type that has the first word about this host: "tlsa"
 * where secure TLSA records were found or their look-up failed, "sts" under
 * testing and enforce, else "relayhost" for a relay that the configuration
 * names (in logs; reports have no such type), else "no-policy-found".
 */
const char	*policy_type_name(const struct host_facts *);

/* Names as they stand in logs, JSON and reports. */
const char	*class_name(enum mail_class);		/* "mail" */
const char	*sts_mode_name(enum sts_mode);		/* "enforce" */
const char	*tlsa_state_name(enum tlsa_state);	/* "usable" */
const char	*requirement_name(enum requirement);	/* "pkix" */
const char	*tls_result_name(enum tls_result);	/* "tlsa-invalid" */
const char	*starttls_name(enum starttls);		/* "absent" */

#endif
