/*
 * What a server offers in answer to EHLO (RFC 5321 4.1.1.1).  Pure.
 */
#ifndef CULVER_EHLO_H
#define CULVER_EHLO_H

#include "conf/addr.h"

#include <stdbool.h>
#include <stdint.h>

struct ehlo {
	char		name[DOMAIN_TEXT_MAX];	/* it calls itself so; "" */
	bool		starttls;
	bool		pipelining;
	bool		eightbitmime;
	bool		requiretls;
	bool		dsn;
	bool		size;
	uint64_t	size_limit;	/* octets; 0: none given */
};

/*
 * Take one line of the answer, its code and hyphen removed.  The first line
 * begins with the server's name (kept if it is a domain) and offers nothing.
 * Unknown keywords and what is no keyword are ignored.  SMTP-4.1.1.1-2
 */
void	ehlo_line(struct ehlo *ehlo, struct slice line, bool first);

#endif
