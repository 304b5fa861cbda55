/*
 * What a server offers in answer to EHLO (RFC 5321 4.1.1.1).  Pure.
 */
#ifndef CULVER_EHLO_H
#define CULVER_EHLO_H

#include "conf/mem.h"

#include <stdbool.h>
#include <stdint.h>

struct ehlo {
	bool		starttls;
	bool		pipelining;
	bool		eightbitmime;
	bool		requiretls;
	bool		size;
	uint64_t	size_limit;	/* octets; 0: none given */
};

/*
 * Take one line of the answer, its code and hyphen removed.  The first line
 * is the server's greeting and offers nothing.  Unknown keywords and what is
 * no keyword are ignored.  SMTP-4.1.1.1-2
 */
void	ehlo_line(struct ehlo *ehlo, struct slice line, bool first);

#endif
