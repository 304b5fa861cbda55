/*
 * Idempotency keys: was this taken before, and what became of it?
 *
 * A key is written in the turn that makes its message exist, and its state in
 * the turn that settles it: neither can be lost without the other.
 */
#ifndef CULVER_QUEUE_KEYS_H
#define CULVER_QUEUE_KEYS_H

#include "queue/spool.h"

/* Is this key known ("" never is)?  Local I/O. */
bool	keys_known(struct spool *, const char *key);
/* The message has come to exist in this turn: it is owed. */
void	keys_owe(struct spool *, const struct message *);

/* What became of a message; host and text "" where there is none. */
struct key_outcome {
	enum key_state	 state;
	uint32_t	 code;		/* SMTP reply, 0: none was heard */
	const char	*host;
	const char	*text;
};
/*
 * This was decided in this turn, which will wait for stable storage.  Nothing
 * happens for a message without key.  Local I/O.
 */
void	keys_settle(struct spool *, const struct message *,
	    const struct key_outcome *);
/*
 * The answer to Q_ASK_KEY.  A store that fails knows nothing: then it says
 * "owed", which is asked for again.  Local I/O.
 */
void	keys_answer(struct spool *, const char *key, struct q_key *answer);
/* May it be forgotten: 7 days after its last change, and nothing owed? */
bool	keys_over(struct spool *, const struct used_key *, uint64_t now_ms);

#endif
