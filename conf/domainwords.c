/*
 * Which domain is meant, and for how long?
 *
 * Called by queue, which answers these verbs, and by culverctl where no relay
 * is there to be asked: wrong words are wrong all the same.  What is known of
 * the domain it does not ask.
 */
#include "conf/domainwords.h"

#include "conf/kind.h"
#include "conf/relayhost.h"

#include <stdio.h>
#include <string.h>

#define FOR_MAX_S	(UINT64_C(100000000) * 86400)

/* value NULL: there is none. */
static bool
take_for(struct domain_words *words, const char *value, char *why,
    size_t why_size)
{
	static const char wanted[] = "--for wants a duration, as 30s, 15m, 4h "
	    "or 5d";
	uint64_t seconds;

	if (value != NULL && kind_duration(value, &seconds) && seconds > 0 &&
	    seconds <= FOR_MAX_S) {
		words->for_ms = seconds * 1000;
		return true;
	}
	if (value != NULL)
		snprintf(why, why_size, "%s, not \"%s\"", wanted, value);
	else
		snprintf(why, why_size, "%s", wanted);
	return false;
}

/* A domain, or a list as `domain list` shows it. */
static bool
take_domain(struct domain_words *words, const char *word, char *why,
    size_t why_size)
{
	const char *what = "not understood";

	if (words->word == NULL && word[0] != '-') {
		words->word = word;
		if (domain_parse(slice_of(word), &words->domain))
			return true;
		words->domain.name[0] = '\0';
		if (relayhost_is(word) && strlen(word) < DOMAIN_TEXT_MAX)
			return true;
		what = "no domain";
	}
	snprintf(why, why_size, "%s: %s", what, word);
	return false;
}

bool
domain_words_parse(int argc, char *const *argv, bool takes_for,
    struct domain_words *words, char *why, size_t why_size)
{
	*words = (struct domain_words){ .word = NULL };
	for (int i = 0; i < argc; i++) {
		if (takes_for && strcmp(argv[i], "--for") == 0) {
			const char *value = ++i < argc ? argv[i] : NULL;

			if (!take_for(words, value, why, why_size))
				return false;
		} else if (!take_domain(words, argv[i], why, why_size)) {
			return false;
		}
	}
	if (words->word == NULL)
		snprintf(why, why_size, "which domain?");
	return words->word != NULL;
}
