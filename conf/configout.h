/*
 * Values of "mail out" that are no plain kind.  Private to config.c.
 */
#ifndef CULVER_CONFIGOUT_H
#define CULVER_CONFIGOUT_H

#include "kind.h"

KIND_PARSER(configout_parse_bind);
KIND_PRINTER(configout_print_bind);
KIND_PARSER(configout_parse_resolver);
KIND_PRINTER(configout_print_resolver);
KIND_PARSER(configout_parse_trust);
KIND_PRINTER(configout_print_trust);
KIND_PARSER(configout_parse_relayhost);
KIND_PRINTER(configout_print_relayhost);
KIND_PARSER(configout_parse_tls_required);
KIND_PRINTER(configout_print_tls_required);
KIND_PARSER(configout_parse_exempt);
KIND_PRINTER(configout_print_exempt);

/*
 * Does the exemption that was added last count, at now_s (wall clock)?  False:
 * its day is past, and it is forgotten.  One that ends in more than 90 days
 * ends in 90.  Both are warned of, with where the line stands.  For who reads
 * the file: children are told what is left.
 */
bool	configout_settle_exempt(struct config *, int64_t now_s,
	    const char *where);
/* Give back what these keywords hold. */
void	configout_free(struct config *);

#endif
