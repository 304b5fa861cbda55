/*
 * Policies and what is known of them, as JSON for `culverctl'
 * (interfaces.md).
 */
#ifndef CULVER_SHOW_H
#define CULVER_SHOW_H

#include "policy/cache.h"

/* Append "key":"text".  Pure. */
void	show_text(struct buffer *json, const char *key, const char *text);
/* Append "mx":[...], the patterns as they were published.  Pure. */
void	show_patterns(struct buffer *json, const struct sts_policy *);
/*
 * Append one record as an object: `policy show', `policy list'.  Reads the
 * policy's text from the cache (local I/O).  Times RFC 3339, UTC, or null.
 */
void	show_record(struct buffer *json, struct cache *,
	    const struct cache_record *, int64_t now_s);

#endif
