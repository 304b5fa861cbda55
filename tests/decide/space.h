/*
 * Everything that can be put to the decide functions, numbered; and what the
 * table makes of it: a few named facts on the left, the verdict's words on
 * the right.
 */
#ifndef CULVER_TEST_SPACE_H
#define CULVER_TEST_SPACE_H

#include "policy/decide.h"

/*
 * The inputs that there can be, one after the other.  A certificate is there
 * only where TLS is up, and what DANE says of it only where TLSA records are
 * usable; those hosts stand last, and for them each defect stands alone and a
 * few together (chance draws any: property_draw).  The facts that only
 * decide_reuse and the names look at (tlsa_mark, relayhost) are left as they
 * are.
 */
#define HOSTS_PER_TLSA		(4 * 4 * 2 * 2 * 2 * 2 * 2 * 2 * 3 * 2)
#define HOSTS_ALL		(5 * HOSTS_PER_TLSA)
#define SESSIONS_CLEAR		4	/* ways to have no TLS */
#define SESSIONS_PLAIN		(2 * (SESSIONS_CLEAR + 16))
#define SESSIONS_DANE		(2 * (SESSIONS_CLEAR + 6 * 10))
#define SESSIONS_ALL		(HOSTS_PER_TLSA *			\
	(4 * SESSIONS_PLAIN + SESSIONS_DANE))
#define HOSTS_MOST		3	/* of each outcome, in a domain */
#define DOMAINS_ALL		(4 * 4 * 4 * 4 * 4 * 4 * 4)
struct host_facts	space_host(unsigned n);
struct session_facts	space_session(unsigned n);
struct domain_facts	space_domain(unsigned n);

#define DIMENSIONS_MAX	11
#define VALUES_MAX	24
#define WORDS_MAX	10
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
