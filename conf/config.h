/*
 * What the operator said: one table of keywords, from which the parser,
 * `culverd -n`, `culverctl config`, the manual's list and its test come.
 *
 * The parent reads the file; children get the same settings one a message
 * (P_SETTING) and parse them by the same table.
 */
#ifndef CULVER_CONFIG_H
#define CULVER_CONFIG_H

#include "addr.h"
#include "log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_FILE	"/etc/culver/culver.conf"
#define CONFIG_VALUE_MAX	8192

enum config_ip { CONFIG_IP_BOTH, CONFIG_IP_4, CONFIG_IP_6 };
enum config_trust { CONFIG_TRUST_AUTO, CONFIG_TRUST_YES, CONFIG_TRUST_NO };
enum config_sts { CONFIG_STS_ENFORCE, CONFIG_STS_REPORT, CONFIG_STS_OFF };
enum config_dane { CONFIG_DANE_ENFORCE, CONFIG_DANE_OFF };
enum config_sandbox { CONFIG_SANDBOX_ON, CONFIG_SANDBOX_OFF,
	CONFIG_SANDBOX_REQUIRED };
enum config_log { CONFIG_LOG_DEFAULT, CONFIG_LOG_SYSLOG, CONFIG_LOG_STDERR };

struct config_endpoint {
	struct address	address;
	uint16_t	port;
	bool		optional;	/* a default: skipped when not there */
};

/* A domain, or (".example.org") it and all below it. */
struct config_domains {
	struct domain	domain;
	bool		below;
};

/* exempt DOMAIN until YYYY-MM-DD because "TEXT" */
struct config_exempt {
	struct domain	domain;
	int64_t		until_s;	/* wall clock; the end of that day */
	char		*because;
};

/* One relayhost line; conf/relayhost.h knows the URL and chooses. */
struct config_relayhost {
	char			*url;		/* in relayhost_print's form */
	char			*sender;	/* pattern; NULL: any */
	bool			for_some;	/* for= is given: */
	struct config_domains	for_domain;
};

#define CONFIG_DKIM_MAX	16
struct config_dkim {
	struct domain	domain;
	char		selector[64];
	char		*file;
};

struct config {
	/* identity */
	char		 hostname[DOMAIN_TEXT_MAX];	/* "": unknown */
	struct domain	 mail_domain;			/* never "" */
	struct domain	*local_domains;
	size_t		 local_domains_n;
	struct mailbox	 root_mail;			/* null: none */
	/* in */
	struct config_endpoint	*listeners;
	size_t		 listeners_n;
	char		*submit_socket;
	struct network	*relay_from;
	size_t		 relay_from_n;
	uint64_t	 max_message_size;		/* octets */
	uint32_t	 max_recipients;
	uint32_t	 max_connections;
	uint32_t	 max_connections_per_client;
	uint64_t	 min_free;			/* octets */
	/* out */
	struct config_relayhost	*relayhosts;		/* in their order */
	size_t		 relayhosts_n;
	struct address	*bind;
	size_t		 bind_n;
	enum config_ip	 ip;
	struct config_endpoint	*resolvers;
	size_t		 resolvers_n;			/* 0: resolv.conf */
	enum config_trust trust_resolver;
	struct domain	 trust_signed_name;		/* name "": the root */
	struct domain	 trust_bogus_name;		/* "": none */
	char		*ca_file;			/* NULL: the system's */
	enum config_sts	 mta_sts;
	enum config_dane dane;
	struct config_domains *tls_required;
	size_t		 tls_required_n;
	struct config_exempt *exempt;
	size_t		 exempt_n;
	bool		 fetch_private_addresses;
	uint32_t	 workers;
	uint32_t	 per_domain;
	uint32_t	 per_host;
	int64_t		 connect_timeout_s;
	/* queue */
	char		*spool;
	int64_t		*retry_s;
	size_t		 retry_n;			/* at least 1 */
	int64_t		 warn_s;
	int64_t		 expire_s;
	bool		 bounce_full;
	/* reports */
	bool		 tls_report;
	struct mailbox	 report_from;			/* never null */
	char		*report_organization;		/* never NULL */
	struct mailbox	 report_contact;		/* same domain */
	uint32_t	 report_at_s;			/* of the UTC day */
	int64_t		 report_spread_s;
	struct config_dkim *dkim;
	size_t		 dkim_n;
	/* run */
	char		*control;
	char		*admin_group;			/* NULL: none */
	enum config_sandbox sandbox;
	enum config_log	 log;
	enum log_level	 log_level;
};

/*
 * Read file (and what it includes), apply overrides ("keyword=value"), fill
 * in defaults.  Local I/O.  file NULL: CONFIG_FILE, which may be missing; a
 * named file may not.  Returns NULL and a message in *error: file, line,
 * keyword, the nearest keyword, what would be accepted (one line each).
 * warnings go to log_line.  Here alone the wall clock counts: exemptions that
 * are past are left out, and those of more than 90 days are cut.
 */
struct config	*config_read(const char *file, char *const *overrides,
		    size_t overrides_n, struct buffer *error);
/* No settings yet, for a child: then config_set for each. */
struct config	*config_new(void);
/*
 * One setting, value as written in the file.  A keyword that may be repeated
 * adds.  False, with what would be accepted in error, when it is wrong.
 */
bool	 config_set(struct config *, const char *keyword, const char *value,
	    struct buffer *error);
/*
 * Each effective setting, in the table's order, in the form config_set
 * takes; repeated ones once each.
 */
void	 config_each(const struct config *,
	    void (*call)(void *context, const char *keyword,
	    const char *value), void *context);
void	 config_free(struct config **);
/*
 * Where setting number n of a keyword was said: "FILE:LINE", "-o", or "" for
 * a default and for a child.  Pure; the configuration's own.
 */
const char *config_where(const struct config *, const char *keyword,
	    size_t n);
/* Begin a line of an error about that setting: "FILE:LINE: keyword: ". */
void	 config_blame(const struct config *, const char *keyword, size_t n,
	    struct buffer *error);

/* Is this domain one of ours (local-domain)?  Pure. */
bool	 config_is_local(const struct config *, const struct domain *);
/*
 * Who gets the mail for an address of a local domain?  root, postmaster and
 * mailer-daemon, in any case, are root-mail, which *mailbox becomes; others
 * are nobody.  Pure.
 */
enum local_mail { LOCAL_TAKEN, LOCAL_UNSET /* root-mail is */, LOCAL_NOBODY };
enum local_mail config_lead_local(const struct config *, struct mailbox *);
/* Is this domain one that is meant?  Pure. */
bool	 config_covers(const struct config_domains *, const struct domain *);
/* Does tls-required name this domain?  Pure. */
bool	 config_tls_required(const struct config *, const struct domain *);
/* The exemption that holds for this domain at now_s, or NULL.  Pure. */
const struct config_exempt *config_exempt_for(const struct config *,
	    const struct domain *, int64_t now_s);
/* Is there a key for the domain of report-from?  Pure. */
bool	 config_signs_reports(const struct config *);

#endif
