/*
 * The header of a message, and the addresses in it.  RFC 5322 2.2, 3.4, 4.4
 */
#ifndef CULVER_HEADERS_H
#define CULVER_HEADERS_H

#include "conf/mem.h"

/* One field; all slices lie in the message's own memory. */
struct headers_field {
	struct slice	name;	/* without blanks before the colon */
	struct slice	body;	/* behind the colon; folds are still in it */
	struct slice	whole;	/* with its line ends */
};

/*
 * Take the field at the start of text (lines end in CRLF), which then begins
 * behind it.  Pure.  False: no field stands there; the header is over.
 */
bool	headers_next(struct slice *text, struct headers_field *field);
/* Has the field this name?  Pure; without case. */
bool	headers_is(const struct headers_field *field, const char *name);

#define HEADERS_LOCAL_MAX	65	/* 64 octets and the end */
#define HEADERS_DOMAIN_MAX	1024

/* One address of a list.  What it means is not judged yet. */
struct headers_address {
	/* quotes and comments removed; may hold octets above 127 */
	char		 local[HEADERS_LOCAL_MAX];
	char		 domain[HEADERS_DOMAIN_MAX];	/* "": none was given */
	const char	*local_end;	/* in the list: where "@domain" would
					   stand */
};

/*
 * Take a list of addresses apart: name-addr, addr-spec and groups, with
 * comments, quoted strings, folds and the obsolete forms; a local part
 * without domain too.  Pure.  Calls for each address in turn.
 * False when it is malformed; *fault is then the text from the member that
 * is (calls for members before it were made).
 */
bool	headers_addresses(struct slice list, void (*call)(void *context,
	    const struct headers_address *address), void *context,
	    struct slice *fault);

#endif
