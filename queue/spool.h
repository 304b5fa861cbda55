/*
 * The queue on disk: what exists, under which key, and when a turn's changes
 * are safe.
 *
 * Every change belongs to the present turn; nothing of it exists until
 * spool_turn_end says STORE_DURABLE.  Reads see the turn's own changes.
 * The order of keys is what makes the questions cheap:
 *
 *	messages	id
 *	recipients	id, number		all of a message together
 *	due		destination, due, id, number	who is next there
 *	destinations	number
 *	names		class, domain		-> number
 *	soon		next, number		which destination is next
 *	chunks		id, n			bodies, 16,280 octets each;
 *						the last: the signature
 *	intakes		id			parts without a message yet
 *	keys		idempotency key
 *	attempts	destination, number, n	0: the attempt, then its hosts
 *	unsigned	id			messages that may not leave yet
 *	clock		"seen"			the wall clock, as believed
 *			"+", id			taken while it was doubted
 *
 * Records that cannot be read are named by an alarm and are as absent.
 */
#ifndef CULVER_QUEUE_SPOOL_H
#define CULVER_QUEUE_SPOOL_H

#include "conf/store.h"
#include "queue/clock.h"
#include "queue/record.h"

#include <stdbool.h>
#include <stdint.h>

/* With its store's 5 octets and key this fills four 4 KiB overflow pages. */
#define CHUNK_OCTETS	16280
/* The chunk of a message's signature: whole header fields. */
#define CHUNK_SIGNATURE	UINT32_MAX

struct spool;

/*
 * Open the queue in dir, made when missing (parents are not).  Local I/O, may
 * take seconds after a crash.  A queue whose files are damaged so that the
 * database refuses them is salvaged into new ones (salvage.h), which takes as
 * long as reading and writing all of it.  NULL, and a sentence in error, when
 * it cannot be: see store_open; and where a newer culver has written it.
 */
struct spool	*spool_open(const char *dir, char *error, size_t error_size);
/* What spool_turn_end did not make durable is undone.  Nulls the pointer. */
void	 spool_close(struct spool **);
/* Where body files lie, for body.c and sweep.c. */
int	 spool_bodies_fd(const struct spool *);
/* Where the store lies, for space.c. */
int	 spool_dir_fd(const struct spool *);
uint64_t spool_flushes(const struct spool *);
/* The disk was full, and a turn will look whether it is: see store.h. */
bool	 spool_lacks_ballast(const struct spool *);
/*
 * It has run for a while: a later end is none of the queue's files' doing.
 * Who opens it many times without this has them looked through first.
 */
void	 spool_is_well(struct spool *);
/*
 * Was something met that only a look at all of the files can judge?  It is
 * taken at the next opening, and what is damaged is salvaged there.
 */
bool	 spool_is_suspect(const struct spool *);
/*
 * For backup.c: see store_begin_backup; the files of deleted messages stay as
 * well, until the first turn after the end.
 */
bool	 spool_begin_backup(struct spool *);
struct storefile_end;
bool	 spool_log_end(struct spool *, struct storefile_end *);
void	 spool_end_backup(struct spool *);

/* ---- the turn ---- */

/* The end of this turn must wait for stable storage: it is acknowledged. */
void	 spool_want_flush(struct spool *);
/* Has this turn enough in it, 1 MiB or 256 events, to be ended early? */
bool	 spool_turn_is_full(const struct spool *);
/* Something happened that this turn will end. */
void	 spool_count_event(struct spool *);
/* Is it lost already (a change failed)?  The rest may be left out. */
bool	 spool_turn_lost(const struct spool *);
/* Which turn is this?  Counts from 1. */
uint64_t spool_turn(const struct spool *);
/*
 * End the turn.  DURABLE: all is done, with a flush if it was wanted, and the
 * files of deleted messages are gone.  NOT_DURABLE: nothing of it happened.
 * GONE: end the program.
 */
enum durability spool_turn_end(struct spool *);

/* ---- salvage ---- */

/*
 * Put an entry of another queue's table as it lay there, unless one that is
 * whole has its key; what cannot be one of that table is left out.
 */
void	 spool_put_raw(struct spool *, const char *table, struct slice key,
	    struct slice raw);

/* ---- messages ---- */

/*
 * One message.  FOUND, ABSENT (also when damaged, after an alarm) or FAILED
 * (the turn is lost).
 */
enum store_found spool_get_message(struct spool *, uint64_t id,
	    struct message *);
/* Is there a record of it, readable or not?  A lost turn says yes. */
bool	 spool_has_message(struct spool *, uint64_t id);
/* The first message with an id above `after`.  As above. */
enum store_found spool_next_message(struct spool *, uint64_t after,
	    struct message *);
void	 spool_put_message(struct spool *, const struct message *);
/* Message and body; a body file goes once the turn is durable. */
void	 spool_delete_message(struct spool *, const struct message *);

/*
 * Messages that wait to be signed: found again after a restart by what waits
 * so, and not by a look at all.  spool_delete_message takes its mark along.
 */
void	 spool_mark_unsigned(struct spool *, uint64_t id);
void	 spool_unmark_unsigned(struct spool *, uint64_t id);
/* The first with an id above `after`; false: none, or turn lost. */
bool	 spool_next_unsigned(struct spool *, uint64_t after, uint64_t *id);
/* The lowest that was marked since the last call of this; false: none was. */
bool	 spool_unsigned_marked(struct spool *, uint64_t *lowest);

/* ---- recipients ---- */

enum store_found spool_get_recipient(struct spool *, uint64_t id,
	    uint32_t number, struct recipient *);
/* The first recipient of the message with that number or above. */
enum store_found spool_next_recipient(struct spool *, uint64_t id,
	    uint32_t number, struct recipient *);
/*
 * The first recipient of any message at or (after) behind that place.
 * STORE_DAMAGED: it is there and cannot be used; its id and number are set,
 * and an alarm has said so.
 */
enum store_found spool_walk_recipients(struct spool *, uint64_t id,
	    uint32_t number, bool after, struct recipient *);
/*
 * Is the message owed to anybody?  A recipient whose record is damaged counts,
 * and so does a turn that is lost.
 */
bool	 spool_is_owed(struct spool *, uint64_t id);
/* Write a new one. */
void	 spool_put_recipient(struct spool *, const struct recipient *);
/* Write it with what changed in it, due at due_ms from now on. */
void	 spool_move_recipient(struct spool *, struct recipient *,
	    uint64_t due_ms);
void	 spool_delete_recipient(struct spool *, const struct recipient *);

/* A place in the order in which a destination's recipients are due. */
struct due {
	uint64_t	destination;
	uint64_t	due_ms;
	uint64_t	id;
	uint32_t	number;
};
/*
 * The first place of from's destination at or (after) behind from.  False
 * when there is none, or the turn is lost.
 */
bool	 spool_next_due(struct spool *, const struct due *from, bool after,
	    struct due *found);
/*
 * Hold a place whose message or recipient cannot be read, so that it is not
 * met again: what can be read is moved to DUE_HELD.  Nothing happens when the
 * place is not there any more.
 */
void	 spool_hold_due(struct spool *, const struct due *);
/* All that is owed of a message waits for the operator from now on. */
void	 spool_hold_message(struct spool *, uint64_t id);
int	 spool_compare_due(const struct due *, const struct due *);

/* ---- bodies in the store ---- */

void	 spool_put_chunk(struct spool *, uint64_t id, uint32_t n,
	    const void *octets, size_t len);
/* *octets is valid until the next call.  ABSENT is damage as well. */
enum store_found spool_get_chunk(struct spool *, uint64_t id, uint32_t n,
	    struct slice *octets);
/* All chunks and the file of an id that has no message. */
void	 spool_drop_body(struct spool *, uint64_t id);
void	 spool_drop_chunks(struct spool *, uint64_t id);
/* The first id above `after` that has chunks; false: none, or turn lost. */
bool	 spool_next_chunk_id(struct spool *, uint64_t after, uint64_t *id);
/* The name of an id's body file in spool_bodies_fd's folder. */
char	*spool_body_name(uint64_t id, char name[ID_TEXT_MAX]);

/* Parts of this message are stored, and it does not exist yet. */
void	 spool_mark_intake(struct spool *, uint64_t id, uint64_t now_ms);
void	 spool_unmark_intake(struct spool *, uint64_t id);
/* A lost turn says yes. */
bool	 spool_has_intake(struct spool *, uint64_t id);
/* The first mark with an id above `after`; false: none, or turn lost. */
bool	 spool_next_intake(struct spool *, uint64_t after, uint64_t *id);

/* ---- idempotency keys ---- */

enum store_found spool_get_key(struct spool *, const char *key,
	    struct used_key *);
void	 spool_put_key(struct spool *, const char *key,
	    const struct used_key *);
void	 spool_delete_key(struct spool *, const char *key);
/*
 * The first key behind `after` ("": the very first), which it replaces
 * (64 octets).  False: none, or turn lost.
 */
bool	 spool_next_key(struct spool *, char after[64], struct used_key *);

/* ---- destinations: destination.c keeps names and index in step ---- */

enum store_found spool_get_destination(struct spool *, uint64_t number,
	    struct destination *);
enum store_found spool_next_destination(struct spool *, uint64_t after,
	    struct destination *);
void	 spool_put_destination(struct spool *, const struct destination *);
/* The number of a destination by its name; 0: none. */
uint64_t spool_get_name(struct spool *, const char *domain, uint32_t class);
void	 spool_put_name(struct spool *, const struct destination *);
/* Record and name.  The index entry and attempts are the caller's. */
void	 spool_delete_destination(struct spool *, const struct destination *);

/* An entry of the index of destinations. */
struct soon {
	uint64_t	next_ms;
	uint64_t	destination;
};
void	 spool_put_soon(struct spool *, const struct soon *);
void	 spool_delete_soon(struct spool *, const struct soon *);
/* The first entry at or behind from; false: none, or turn lost. */
bool	 spool_next_soon(struct spool *, const struct soon *from,
	    struct soon *found);
/*
 * The lowest entry that was written since the last call of this; false: none
 * was.  Whoever walks the index and remembers how far begins there again.
 */
bool	 spool_soon_written(struct spool *, struct soon *lowest);

/* ---- the clock ---- */

/* The last that was put; zeroes: none, or it is damaged. */
void	 spool_get_clock(struct spool *, struct clock_seen *);
void	 spool_put_clock(struct spool *, const struct clock_seen *);
/*
 * While the clock is doubted, messages that are put are marked: redate.c will
 * date them anew.
 */
void	 spool_doubt(struct spool *, bool);
/* The first so marked with an id above `after`; false: none, or turn lost. */
bool	 spool_next_doubted(struct spool *, uint64_t after, uint64_t *id);
void	 spool_forget_doubted(struct spool *, uint64_t id);

/* ---- attempts ---- */

void	 spool_put_attempt(struct spool *, const struct attempt *);
/* The first attempt of that number or above of the destination. */
enum store_found spool_next_attempt(struct spool *, uint64_t destination,
	    uint64_t number, struct attempt *);
/* The nth host of an attempt, from 0: a D_HOST as it is encoded. */
void	 spool_put_host(struct spool *, uint64_t destination, uint64_t attempt,
	    uint32_t n, struct slice octets);
enum store_found spool_get_host(struct spool *, uint64_t destination,
	    uint64_t attempt, uint32_t n, struct d_host *);
/* Forget an attempt and its hosts; or all of a destination. */
void	 spool_drop_attempt(struct spool *, uint64_t destination,
	    uint64_t attempt);
void	 spool_drop_attempts(struct spool *, uint64_t destination);

#endif
