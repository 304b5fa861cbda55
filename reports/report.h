/*
 * One report: what was counted for a domain on a day, and the forms it takes.
 * Everything here is pure: no file, link, clock; texts are borrowed.
 */
#ifndef CULVER_REPORT_H
#define CULVER_REPORT_H

#include "conf/addr.h"
#include "reports/reports.h"

#define DAY_S		86400
#define DAY_TEXT_MAX	11	/* "2026-11-24" and the end */
#define REPORT_ID_MAX	(32 + 2 * DOMAIN_TEXT_MAX)
#define FILE_NAME_MAX	(2 * DOMAIN_TEXT_MAX + 64)

/* Sessions that failed alike (RFC 8460 4.4 failure-details). */
struct report_failure {
	uint32_t	 result;	/* enum tls_result */
	const char	*reason;	/* each of these: "" is left out */
	const char	*local;		/* sending-mta-ip */
	const char	*host;		/* receiving-mx-hostname */
	const char	*helo;
	const char	*address;	/* receiving-ip */
	uint64_t	 sessions;
};

/* A policy as applied, and what became of the sessions under it. */
struct report_policy {
	uint32_t	 block;		/* enum report_block */
	const char	*domain;	/* policy-domain */
	/* policy-string: lines of the policy, TLSA records; n 0: left out */
	const char	**lines;
	unsigned	 lines_n;
	const char	**mx;		/* mx-host; n 0: left out */
	unsigned	 mx_n;
	uint64_t	 succeeded, failed;	/* sessions */
	const struct report_failure *failures;
	unsigned	 failures_n;
};

struct report {
	char		 domain[DOMAIN_TEXT_MAX];	/* of the report */
	uint32_t	 day;		/* since 1970-01-01 UTC */
	uint64_t	 number;	/* random, of this report; 0: not made */
	int64_t		 until_s;	/* it counts up to there (wall
					   clock); 0: the whole day */
	const struct report_policy *policies;
	unsigned	 policies_n;
};

/* Who reports (keywords of culver.conf). */
struct reporter {
	const char	*organization;	/* report-organization */
	const char	*contact;	/* report-contact, as on the wire */
	const char	*domain;	/* its domain: submitter, d= */
	const char	*from;		/* report-from */
	const char	*hostname;	/* for Message-ID */
};

/* "2026-11-24"; and back (false: no such day). */
char	*day_print(uint32_t day, char text[DAY_TEXT_MAX]);
bool	 day_parse(const char *text, uint32_t *day);

/*
 * Does it count less than its day; and which is the last second (since
 * 1970-01-01 UTC, of its day in any case) that it counts?  Pure.
 */
bool	 report_is_partial(const struct report *);
int64_t	 report_end_s(const struct report *);
/*
 * "20261124.0123456789abcdef@SUBMITTER": the report-id, what stands between
 * < and > in the Subject.  The same for every try of one report.  Of one that
 * is not made, and goes nowhere: "20261124.not-made.DOMAIN@SUBMITTER".
 */
char	*report_id(const struct report *, const struct reporter *,
	    char text[REPORT_ID_MAX]);
/* RFC 8460 5.1: SUBMITTER!DOMAIN!BEGIN!END!UNIQUE.json.gz */
char	*report_file_name(const struct report *, const struct reporter *,
	    char text[FILE_NAME_MAX]);
/* The document (RFC 8460 4.4), by jansson: members in the RFC's order. */
void	 report_json(const struct report *, const struct reporter *,
	    struct buffer *json);
/* The same for people: sessions, failures, which host, what to mend. */
void	 report_words(const struct report *, const struct reporter *,
	    struct buffer *text);
/* GZIP (RFC 1952) without name and time: same octets for same text. */
void	 report_gzip(struct slice text, struct buffer *gzip);
/*
 * The mail (RFC 8460 5.3) to one mailbox, CRLF, 7 bit, ready to be signed.
 * gzip is the compressed document.
 */
void	 report_mail(const struct report *, const struct reporter *,
	    const struct mailbox *to, struct slice gzip, int64_t now_s,
	    struct buffer *message);
/*
 * What a failure's reason means, where it is one of the names that we or the
 * TLS library give: "the certificate's time is over"; else NULL.  Pure.
 */
const char *report_reason(const char *reason);
/* What a person may do about a result, one sentence; never NULL. */
const char *report_repair(uint32_t result);
/*
 * A TLSA record (RFC 6698 2.1) as it stands in policy-string, and in what dig
 * prints: "3 1 1 8CB0..." (RFC 8460 4.5).  False, and "": no room, or it is
 * shorter than a record can be.  len octets need 2 * len + 12.
 */
bool	report_tlsa_line(const uint8_t *rdata, size_t len, char *text,
	    size_t size);

#endif
