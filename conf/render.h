/*
 * The programs' answers (JSON, an object a line) as text for people.
 */
#ifndef CULVER_RENDER_H
#define CULVER_RENDER_H

#include <stddef.h>
#include <stdio.h>

enum render_form {
	RENDER_JSON,		/* as it came */
	RENDER_TABLE,		/* a row an object, columns by its keys */
	RENDER_OBJECT,		/* a line a key */
	RENDER_QUEUE,		/* messages, a row a recipient */
	RENDER_DOMAINS,		/* destinations, a row each */
	RENDER_POLICIES,
	RENDER_ADDRESSES,	/* of `check address` */
	RENDER_EXPLAIN,		/* attempts, their hosts and why */
	RENDER_TEXT,		/* text already: as it came */
	RENDER_REPORTS,		/* days, a row a receiver */
	RENDER_KEY,		/* of `dkim generate`: what to publish */
	RENDER_KEY_CHECK	/* of `dkim check` */
};

struct render;

struct render	*render_new(enum render_form, FILE *out);
/* Octets of the answer, cut anywhere. */
void	 render_add(struct render *, const void *octets, size_t len);
/* Write what is left; frees and nulls. */
void	 render_end(struct render **);

#endif
