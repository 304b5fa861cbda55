/*
 * What would become of a message, if these were the facts and this the only
 * host?  For people and other programs (`culverctl check verdict'): facts are
 * words in, and the three decide functions are asked one after the other.
 * Everything is pure.
 */
#ifndef CULVER_VERDICT_H
#define CULVER_VERDICT_H

#include "policy/decide.h"

/*
 * Facts of plain mail to a host that nothing is wrong with and nobody demands
 * anything of: no policy, nothing signed, TLS with a good certificate.
 */
struct session_facts verdict_harmless(void);

/*
 * Take one fact, "cert=expired,not-trusted".  *taken: a set of those that
 * were taken before, 0 at first.  NULL: it was taken; else what is wrong with
 * it, static words that go on from it ("is no fact ..."): no such fact, not
 * this value of it, or a fact that was taken before; then *facts and *taken
 * are as they were.
 */
const char	*verdict_take(struct session_facts *facts, unsigned *taken,
		    const char *word);

/*
 * Append the facts, a line each, ended by newlines, the harmless value first:
 * "mode=absent|none|testing|enforce".
 */
void	verdict_list(struct buffer *text);

enum fate {
	FATE_SEND,
	FATE_DEFER,
	FATE_FAIL
};

struct verdict {
	enum fate		fate;
	/* Whose word it is: "decide_host", "decide_session", _domain. */
	const char		*decided;
	enum requirement	requirement;	/* NONE where it is skipped */
	/*
	 * It goes, but in clear, be it on a second connection to the same
	 * address (ruling 19).
	 */
	bool			clear;
	/* As in host_verdict where it is skipped, else in session_verdict. */
	enum tls_result		result;
	struct block_results	blocks;		/* what a report counts */
	struct rule		rule;
};

struct verdict	verdict_of(const struct session_facts *facts);

const char	*fate_name(enum fate);		/* "defer" */

/* Append the verdict as an object (interfaces.md), without a newline. */
void	verdict_print(const struct verdict *verdict, struct buffer *json);

#endif
