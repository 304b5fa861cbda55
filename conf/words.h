/*
 * Words of a configuration line.
 */
#ifndef CULVER_WORDS_H
#define CULVER_WORDS_H

#include "config.h"
#include "mem.h"

#define WORDS_MAX	512		/* in one line */

/* A value, cut at blanks, without its quotes. */
struct words {
	size_t	 n;
	char	*word[WORDS_MAX];	/* in text */
	char	 text[CONFIG_VALUE_MAX];
};

/* Cut value into words.  Pure.  Returns NULL, or what is wrong with it. */
const char *words_cut(const char *value, struct words *words);
/* Append word to a line of them, in a form that words_cut takes for it. */
void	 words_put(struct buffer *line, const char *word);
/* Append what a person typed in quotes, short and harmless to print. */
void	 words_quote(struct buffer *out, const char *text);

#endif
