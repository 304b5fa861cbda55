/*
 * Everything that can be put to the decide functions, numbered; and what the
 * table makes of it: a few named facts on the left, the verdict's words on
 * the right.
 */
#ifndef CULVER_TEST_SPACE_H
#define CULVER_TEST_SPACE_H

#include "policy/decide.h"

/* Every input that the functions can be given, one after the other. */
#define HOSTS_ALL		(4 * 4 * 2 * 2 * 2 * 2 * 2 * 5 * 2)
#define SESSIONS_PER_HOST	(4 * 32 * 2 * 2)
#define SESSIONS_ALL		(HOSTS_ALL * SESSIONS_PER_HOST)
#define HOSTS_MOST		3	/* of each outcome, in a domain */
#define DOMAINS_ALL		(4 * 4 * 4 * 4 * 4 * 4 * 4)
struct host_facts	space_host(unsigned n);
struct session_facts	space_session(unsigned n);
struct domain_facts	space_domain(unsigned n);

#define DIMENSIONS_MAX	10
#define VALUES_MAX	16
#define WORDS_MAX	8
#define TEXT_MAX	400

/* A fact of the table and the values that it tells apart. */
struct dimension {
	const char	*name;
	unsigned	 values_n;
	const char	*values[VALUES_MAX];
};

/* One function, to be printed as a table. */
struct question {
	const char		*title;
	const char		*intro;		/* one paragraph */
	unsigned		 inputs_n;
	unsigned		 dimensions_n;
	struct dimension	 dimensions[DIMENSIONS_MAX];
	/* The n-th input's facts.  False: it cannot be. */
	bool	(*project)(unsigned n, unsigned facts[DIMENSIONS_MAX]);
	/* The verdict on it, in static words; unused ones are NULL. */
	void	(*judge)(unsigned n, const char *words[WORDS_MAX]);
	/* Those words as the table prints them. */
	const char	*format;
};

enum { QUESTION_HOST, QUESTION_SESSION, QUESTION_STS, QUESTION_TLSA,
    QUESTION_NO_POLICY, QUESTION_DOMAIN, QUESTIONS_N };
extern const struct question questions[QUESTIONS_N];

#endif
