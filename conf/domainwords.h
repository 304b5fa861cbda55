/*
 * What an operator writes behind `domain show`, `hold` and `release`.
 */
#ifndef CULVER_DOMAINWORDS_H
#define CULVER_DOMAINWORDS_H

#include "addr.h"

struct domain_words {
	const char	*word;		/* the domain, as it was given */
	struct domain	 domain;	/* "": word is a list of relayhosts */
	uint64_t	 for_ms;	/* 0: for ever */
};

/*
 * DOMAIN, or with takes_for DOMAIN [--for DURATION].  Pure; word is borrowed
 * from argv.  False: *why is one sentence that says what is wrong.
 */
bool	domain_words_parse(int argc, char *const *argv, bool takes_for,
	    struct domain_words *, char *why, size_t why_size);

#endif
