/*
 * The one declared exception in conf: mail's names, because every folder
 * speaks of them.  Domains, mailboxes, network addresses and networks, each
 * parsed once from untrusted text and trusted afterwards.
 */
#ifndef CULVER_ADDR_H
#define CULVER_ADDR_H

#include "mem.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define DOMAIN_TEXT_MAX		256	/* 255 octets and the end */
#define LOCAL_TEXT_MAX		65	/* 64 octets and the end */
/* local "@" domain, every octet of local possibly quoted, and the end */
#define MAILBOX_TEXT_MAX	(2 * 64 + 2 + 1 + 255 + 1)

/*
 * A domain in A-labels, lower case, no final dot; or an address literal
 * "[192.0.2.1]", "[IPv6:2001:db8::1]" (canonical).  name[0] == '\0' means
 * none.
 */
struct domain {
	char	name[DOMAIN_TEXT_MAX];
};

/*
 * A mailbox as RFC 5321 4.1.2 has it.  local keeps case and has its quotes
 * removed: "a\ b"@x and "a b"@x are the same local part `a b`.  The null
 * reverse-path is local "" and domain "".  `postmaster` alone has domain "".
 */
struct mailbox {
	char		local[LOCAL_TEXT_MAX];
	struct domain	domain;
};

/*
 * Is text a Domain or address literal (RFC 5321 4.1.2, 4.1.3)?  Pure.
 * Letters, digits, inner hyphens (and underscores, SMTP-4.1.2-5) in labels of
 * at most 63 octets, 255 in all; one final dot is taken and dropped; case is
 * folded.  U-labels are refused: see domain_parse_idn in the callers that
 * link libidn2.
 */
bool	domain_parse(struct slice text, struct domain *domain);
/* Is it an address literal, and which address?  Pure. */
bool	domain_is_literal(const struct domain *domain);
/* Are they the same domain?  Pure. */
bool	domain_equal(const struct domain *a, const struct domain *b);

/*
 * Parse a Mailbox: Local-part "@" (Domain / address-literal).  Pure.
 * Local parts: dot-string or quoted-string, ASCII, at most 64 octets.
 * Whole text only; source routes are the caller's business.
 */
bool	mailbox_parse(struct slice text, struct mailbox *mailbox);
/*
 * Print for the wire: quoted only where needed (SMTP-4.1.2-3).  Writes at
 * most MAILBOX_TEXT_MAX octets with the end; null sender prints "".
 * Returns text.
 */
char	*mailbox_print(const struct mailbox *mailbox,
	    char text[MAILBOX_TEXT_MAX]);
bool	mailbox_is_null(const struct mailbox *mailbox);

/*
 * The class of a destination (design.md 1): a destination is a next hop and a
 * class, each with its own row and back-off.  Stored in records: never
 * renumber.
 */
enum mail_class {
	CLASS_MAIL = 1,
	CLASS_REQUIRETLS,	/* RFC 8689 REQUIRETLS */
	CLASS_TLS_OPTIONAL,	/* RFC 8689 TLS-Required: No */
	CLASS_REPORT		/* a TLS report of our own (RFC 8460 3) */
};
#define CLASSES_N	5

/* An IP address; for IPv4 the first 4 octets of ip count. */
struct address {
	uint8_t	family;		/* 4 or 6; 0: none */
	uint8_t	ip[16];
};
#define ADDRESS_TEXT_MAX	46

/* "192.0.2.1", "2001:db8::1".  Pure; no names, no scope. */
bool	address_parse(struct slice text, struct address *address);
/* Canonical text (RFC 5952 for IPv6).  Returns text. */
char	*address_print(const struct address *, char text[ADDRESS_TEXT_MAX]);
bool	address_equal(const struct address *, const struct address *);
/* From and to the kernel's form; length returned. */
bool	address_from_sockaddr(const struct sockaddr *, struct address *,
	    uint16_t *port);
socklen_t address_to_sockaddr(const struct address *, uint16_t port,
	    struct sockaddr_storage *);
/*
 * Loopback, private, link-local, shared (RFC 6598), unspecified, multicast,
 * any that is mapped (::ffff:0:0/96) or tunnelled (2002::/16, Teredo), or
 * NAT64 (64:ff9b::/96) of one of those?  Pure.  Documentation networks are not
 * private.
 */
bool	address_is_private(const struct address *);
/* The address inside "[192.0.2.1]" or "[IPv6:...]".  Pure. */
bool	domain_literal_address(const struct domain *, struct address *);

/* A network "192.0.2.0/24", "::1/128"; a bare address is its own network. */
struct network {
	struct address	address;
	uint8_t		bits;
};
bool	network_parse(struct slice text, struct network *network);
/* Is address in network?  Pure; ::ffff:a.b.c.d counts as a.b.c.d. */
bool	network_holds(const struct network *, const struct address *);

#endif
