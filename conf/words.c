/*
 * How is a line of the configuration cut into words, and a word written?
 *
 * Called by config.c for values and by configfile.c for `include`.  Words are
 * cut at blanks; double quotes hold blanks and "#" together, a backslash in
 * them takes the next quote or backslash as it is; a word that begins with
 * "#" begins a comment.  What a word means it does not know.
 */
#include "conf/words.h"

#include <string.h>

/* Take one word from *at into *to (both advance); false: a quote is open. */
static bool
take_word(const char **at, char **to)
{
	bool quoted = false;

	for (; **at != '\0'; (*at)++) {
		if (**at == '"') {
			quoted = !quoted;
			continue;
		}
		if (!quoted && (**at == ' ' || **at == '\t'))
			break;
		if (quoted && **at == '\\' &&
		    ((*at)[1] == '"' || (*at)[1] == '\\'))
			(*at)++;
		*(*to)++ = **at;
	}
	*(*to)++ = '\0';
	return !quoted;
}

const char *
words_cut(const char *value, struct words *words)
{
	char *to = words->text;
	const char *at;

	words->n = 0;
	if (strlen(value) >= sizeof(words->text))
		return "the line is too long";
	for (at = value; *at != '\0'; at++)
		if (((unsigned char)*at < ' ' && *at != '\t') || *at == 127)
			return "there is a control character in it";
	for (at = value;;) {
		at += strspn(at, " \t");
		/* A comment begins where a word could begin. */
		if (*at == '\0' || *at == '#')
			return NULL;
		if (words->n == WORDS_MAX)
			return "there are too many values";
		words->word[words->n++] = to;
		if (!take_word(&at, &to))
			return "a quote is not closed";
	}
}

void
words_put(struct buffer *out, const char *word)
{
	if (out->len > 0)
		buffer_add(out, SLICE(" "));
	if (word[0] != '\0' && strpbrk(word, " \t\"\\#") == NULL) {
		buffer_add(out, slice_of(word));
		return;
	}
	buffer_add(out, SLICE("\""));
	for (; *word != '\0'; word++)
		buffer_printf(out, *word == '"' || *word == '\\' ?
		    "\\%c" : "%c", *word);
	buffer_add(out, SLICE("\""));
}

void
words_quote(struct buffer *out, const char *text)
{
	size_t i;

	buffer_add(out, SLICE("\""));
	for (i = 0; text[i] != '\0' && i < 60; i++)
		buffer_printf(out, "%c", text[i] == 127 ||
		    (unsigned char)text[i] < ' ' ? '?' : text[i]);
	buffer_add(out, text[i] == '\0' ? SLICE("\"") : SLICE("...\""));
}
