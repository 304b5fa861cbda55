/*
 * In which order are a host's addresses tried?  RFC 6724 6, as getaddrinfo
 * has it.  Pure.
 */
#ifndef CULVER_ORDER_H
#define CULVER_ORDER_H

#include "conf/addr.h"

struct order_candidate {
	struct address	address;
	/* Where a connection to it would come from; family 0: no way there. */
	struct address	source;
};

/* Sort n candidates; equal ones stay in the order given.  SMTP-5.1-13 */
void	order_addresses(struct order_candidate *candidates, unsigned n);

#endif
