/*
 * Next hops that the configuration gives (`relayhost'): URLs, and which mail
 * goes to which.
 *
 * The next hop of a destination is a domain, an address literal, or a list of
 * URLs joined by ",", to be tried in their order.  A URL never holds a comma.
 */
#ifndef CULVER_RELAYHOST_H
#define CULVER_RELAYHOST_H

#include "config.h"

enum relayhost_scheme {
	RELAYHOST_SMTP,		/* STARTTLS if it is offered */
	RELAYHOST_SUBMISSION,	/* STARTTLS and a verified certificate */
	RELAYHOST_SMTPS,	/* TLS from the first octet, verified */
	/*
	 * "smtp+tls://", in next hops alone: smtp:// for a recipient whose
	 * domain is in tls-required.  STARTTLS and a verified certificate.
	 */
	RELAYHOST_SMTP_TLS
};

struct relayhost {
	enum relayhost_scheme	scheme;
	struct domain		host;	/* a name or an address literal */
	bool			direct;	/* no MX look-up; true for literals */
	uint16_t		port;
};

/*
 * "smtp://mx.example", "submission://[mx.example]:1587",
 * "smtps://[192.0.2.1]", "smtp+tls://mx.example".  Pure.  False: *why says
 * what is wrong.
 */
bool	relayhost_parse(struct slice url, struct relayhost *,
	    const char **why);
#define RELAYHOST_TEXT_MAX	(DOMAIN_TEXT_MAX + 32)
/*
 * The one form of a URL: lower case, the port left out where it is the
 * scheme's own.  Pure; returns text.
 */
char	*relayhost_print(const struct relayhost *,
	    char text[RELAYHOST_TEXT_MAX]);
/* Is this next hop a list of URLs, not a domain?  Pure. */
bool	relayhost_is(const char *next_hop);
/*
 * URL number n of a list, from 0, as text.  Pure.  False: there are fewer.
 */
bool	relayhost_nth(const char *next_hop, unsigned n,
	    char url[DOMAIN_TEXT_MAX]);
/*
 * Where does mail of this sender for this domain go?  Pure.  Writes the list
 * of URLs, and true; false: no relayhost is meant for it, it goes to its
 * domain.  Where tls-required names the domain, the list is that of
 * relayhost_require.
 *
 * Lines with the same selectors are alternatives, in their order; those of
 * the most telling selectors are taken and no other: sender= with for=, then
 * for=, then sender=, then none.  Among patterns of one kind the more exact
 * comes first, then the earlier line.
 */
bool	relayhost_choose(const struct config *, const struct mailbox *sender,
	    const struct domain *, char next_hop[DOMAIN_TEXT_MAX]);
/*
 * Does the pattern of a sender= fit?  Pure.  "user@example.org",
 * "@example.org" or "*@example.org"; "<>" is the null sender.
 */
bool	relayhost_is_sender(const char *pattern, const struct mailbox *);
/* Is there a line of this URL with these selectors already?  Pure. */
bool	relayhost_has(const struct config *, const struct config_relayhost *);
/*
 * The list that line number `line` of the configuration is in: the URLs of all
 * lines with its selectors.  Pure.  False: it is too long, see below.
 */
bool	relayhost_list(const struct config *, size_t line,
	    char next_hop[DOMAIN_TEXT_MAX]);
/*
 * The same list as it is for a recipient whose domain is in tls-required: each
 * smtp:// becomes smtp+tls://, so that it is a destination of its own, and no
 * session without proof serves it.  Pure.  False: it is too long.
 */
bool	relayhost_require(const char *next_hop,
	    char required[DOMAIN_TEXT_MAX]);
/*
 * Are all lines with these selectors together short enough for one next hop,
 * in the longer form that tls-required gives them?  Pure.  The configuration
 * is refused where they are not.
 */
bool	relayhost_fits(const struct config *, size_t line);

#endif
