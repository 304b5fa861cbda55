/*
 * TXT records, and what a domain's _mta-sts record says (RFC 8461 3.1).
 */
#ifndef CULVER_TXT_H
#define CULVER_TXT_H

#include "policy/currency.h"
#include "policy/dns.h"

/*
 * The TXT records of this very name, each with its strings joined: asked once
 * more after a failure (ruling 7).  fresh: past what is kept.  call is made
 * exactly once, never inside this call; deadlines are those of two dns_ask.
 */
void	txt_ask(struct dns *, const struct domain *name, bool fresh,
	    dns_call *call, void *context);

struct txt_found {
	/* TXT_OTHER when there is an id: whose it is, currency.c compares. */
	enum currency_txt	txt;
	char			id[STS_ID_SIZE];
	uint32_t		ttl_s;
	/* Why there is no id; "" when there just is no STS record. */
	char			text[192];
};
/* found is borrowed for the call. */
typedef void	txt_call(void *context, const struct txt_found *found);

/* The record under _mta-sts, by txt_ask. */
void	txt_find(struct dns *, const struct domain *, bool fresh,
	    txt_call *call, void *context);

/* The same for people: never empty without an id.  Pure. */
const char *txt_reason(const struct txt_found *);

#endif
