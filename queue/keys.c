/*
 * Was this taken before, and what became of it?
 *
 * Called by receive.c when a message with a key comes and when reports asks
 * for one, by result.c, ending.c, signer.c and bulk.c where it is settled, and
 * by sweep.c.  States of a key:
 *
 *	owed		its message is in the queue
 *	accepted	the next hop took it
 *	refused		for good, by its hosts or its domain
 *	expired		nobody took it in time, or the operator removed it
 *
 * Who forgets a key takes its message a second time: so it is kept for as
 * long as its message exists, and for some days.
 */
#include "queue/keys.h"

#include "conf/loop.h"

#include <string.h>

#define KEY_LIFE_MS	(7ull * 86400 * 1000)

bool
keys_known(struct spool *spool, const char *key)
{
	struct used_key used;

	return key[0] != '\0' && spool_get_key(spool, key, &used) ==
	    STORE_FOUND;
}

void
keys_owe(struct spool *spool, const struct message *message)
{
	struct used_key used = {
		.message = message->id,
		.taken_ms = message->arrived_ms,
		.state = KEY_OWED,
		.changed_ms = message->arrived_ms
	};

	if (message->key[0] != '\0')
		spool_put_key(spool, message->key, &used);
}

/* As much as fits; the rest is in the log. */
static void
cut(char *to, size_t size, const char *from)
{
	size_t len = strnlen(from, size - 1);

	memcpy(to, from, len);
	to[len] = '\0';
}

void
keys_settle(struct spool *spool, const struct message *message,
    const struct key_outcome *outcome)
{
	struct used_key used = { .taken_ms = message->arrived_ms };

	if (message->key[0] == '\0')
		return;
	/* What is damaged is made anew by this. */
	spool_get_key(spool, message->key, &used);
	used.message = message->id;
	used.state = outcome->state;
	used.changed_ms = (uint64_t)loop_wall_ms();
	used.code = outcome->code;
	cut(used.host, sizeof(used.host), outcome->host);
	cut(used.text, sizeof(used.text), outcome->text);
	spool_put_key(spool, message->key, &used);
	spool_want_flush(spool);
}

void
keys_answer(struct spool *spool, const char *key, struct q_key *answer)
{
	struct used_key used;
	enum store_found found = key[0] == '\0' ? STORE_ABSENT :
	    spool_get_key(spool, key, &used);

	*answer = (struct q_key){ .state = found == STORE_FAILED ?
	    KEY_OWED : KEY_UNKNOWN };
	memcpy(answer->key, key, strlen(key) + 1);
	if (found != STORE_FOUND)
		return;
	answer->state = used.state;
	answer->code = used.code;
	memcpy(answer->host, used.host, sizeof(answer->host));
	memcpy(answer->text, used.text, sizeof(answer->text));
}

bool
keys_over(struct spool *spool, const struct used_key *used, uint64_t now_ms)
{
	uint64_t changed_ms = used->changed_ms != 0 ? used->changed_ms :
	    used->taken_ms;

	return now_ms > changed_ms + KEY_LIFE_MS &&
	    !(used->state == KEY_OWED && spool_has_message(spool,
	    used->message));
}
