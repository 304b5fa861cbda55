/*
 * Records on disk that survive us: Berkeley DB behind one door.
 *
 * A store is a private, one-threaded environment in a directory, owned by one
 * process at a time: store_open takes DIR/lock (POSIX lock) first and never
 * gives it back.  All changes of a loop turn are one transaction, begun by
 * the first change and ended by store_turn_end; whether they are durable is
 * the result of that call, never of a put.
 *
 * A value on disk is: version (u8, with 128 where the CRC covers the key, as
 * all do that are written now), the octets, CRC-32C of both and of the key
 * (u32, little endian).  Keys are compared as octets.  No cursor lives across
 * calls.
 *
 * Files beside the tables: `lock`, `ballast`, `flushed` (storemark.h);
 * STORE_SUSPECT, where something
 * was met that may be damage of a table's file, for whoever opens it next;
 * STORE_BACKUP, which says that this is a backup that was put back.
 */
#ifndef CULVER_STORE_H
#define CULVER_STORE_H

#include "mem.h"
#include "wire.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct store;
struct store_table;

struct store_options {
	uint32_t	cache_bytes;	/* 32 MiB for queue, 1 MiB else */
	uint32_t	log_file_bytes;	/* 16 MiB for queue, 1 MiB else */
	uint64_t	ballast_bytes;	/* 0: none (design.md 4, full disk) */
	bool		mark_log;	/* so that store_log_is_cut can tell */
};

/*
 * Open, recovering what a crash left; makes what is missing (mode 0700).
 * Waits at most 5 s for another owner.  Local I/O, may take seconds after a
 * crash.  NULL on failure, with a sentence in error (the holder's pid when
 * another process has it).
 */
struct store	*store_open(const char *dir, const struct store_options *,
		    char *error, size_t error_size);
/* Checkpoint and close; what no store_turn_end committed is undone. */
void	 store_close(struct store **);

#define STORE_SUSPECT	"suspect"
#define STORE_BACKUP	"backup"

/*
 * store_open in two steps, for an owner that can do something about damage:
 * first the lock alone, which is held until store_close, whatever the second
 * step says; nothing else is touched.
 */
struct store	*store_lock(const char *dir, const struct store_options *,
		    char *error, size_t error_size);
/*
 * Before store_recover: does the log end before a place that was on stable
 * storage (mark_log)?  Then recovery would go on as if nothing had been behind
 * it.  *end: where it ends; *was: where it did.  Local I/O, reads the last log
 * file; changes nothing.
 */
struct storefile_end;
bool	 store_log_is_cut(struct store *, struct storefile_end *end,
	    struct storefile_end *was);
/*
 * Recover and open.  False: as store_open's NULL, and it may be tried again.
 * *damaged: the database will not open this, although its files can all be
 * read and written and there is room: nothing but the files is to blame.
 */
bool	 store_recover(struct store *, bool *damaged, char *error,
	    size_t error_size);
/*
 * Its files are going to be copied while it is used: checkpoint, and from now
 * on log files stay, until the end is said.  Between turns.  Local I/O.  False
 * when the store failed.
 */
bool	 store_begin_backup(struct store *);
void	 store_end_backup(struct store *);
/*
 * Flush the log: where does it end now?  False, and at no end, when unknown.
 * Local I/O.
 */
bool	 store_log_end(struct store *, struct storefile_end *);
/* Checkpoint and close tables and environment; the lock stays. */
void	 store_rest(struct store *);
/* Is the ballast given up?  It comes back at the end of a turn with room. */
bool	 store_lacks_ballast(const struct store *);
/* Give the ballast up: somebody beside the store found no room. */
void	 store_give_room(struct store *);
/* Its folder; the store's. */
int	 store_dir_fd(const struct store *);
/*
 * Something was met that may be damage: leave STORE_SUSPECT behind.  Calls
 * that fail do it by themselves.  Local I/O, failures are ignored.
 */
void	 store_suspect(struct store *);
/* Was it, since the store was opened? */
bool	 store_is_suspect(const struct store *);

/*
 * Open a table, made when missing.  version is written into new values; a
 * value of a higher version is STORE_NEWER, one of a lower version is returned
 * as it stands (there is none yet).  Never NULL: a failure ends the program.
 * Tables are closed by store_close.
 */
struct store_table *store_table(struct store *, const char *name,
		    uint8_t version);

/* The same; NULL, and a sentence in why, when it cannot be opened. */
struct store_table *store_try_table(struct store *, const char *name,
		    uint8_t version, char *why, size_t why_size);

enum store_found {
	STORE_FOUND,
	STORE_ABSENT,
	STORE_DAMAGED,	/* bad CRC or not decodable: say so, keep going */
	STORE_NEWER,	/* written by a newer culver */
	STORE_FAILED	/* the database failed; the turn is lost */
};

/*
 * Read one value.  *value is valid until the next call on this store.
 */
enum store_found store_get(struct store_table *, struct slice key,
		    struct slice *value);
/*
 * The first entry with a key >= from (after: > from).  *key and *value are
 * valid until the next call on this store.  STORE_DAMAGED: *key is where it
 * stands, and may be what is damaged.  Walk by calling again with after and a
 * copy of the key found: a damaged key leads no walk astray.
 */
enum store_found store_next(struct store_table *, struct slice from,
		    bool after, struct slice *key, struct slice *value);
/*
 * Change.  A failure loses the turn: later changes are ignored and
 * store_turn_end says STORE_NOT_DURABLE.
 */
void	store_put(struct store_table *, struct slice key, struct slice value);
void	store_delete(struct store_table *, struct slice key);

/* The same with a wire row as the form of the value. */
enum store_found store_get_record(struct store_table *, struct slice key,
		    const struct wire_message *, void *record);
void	store_put_record(struct store_table *, struct slice key,
	    const struct wire_message *, const void *record);
/*
 * Write a value as it lay on disk in another store (storefile_salvage),
 * version and CRC with it, whether they are right or not.
 */
void	store_put_raw(struct store_table *, struct slice key,
	    struct slice raw);
/* Is such a value whole, under that key?  Pure. */
bool	store_is_whole(struct slice key, struct slice raw);
/* Decode a value that store_next returned; false: damaged. */
bool	store_decode(struct slice value, const struct wire_message *,
	    void *record);

enum durability {
	STORE_DURABLE,		/* all of the turn is on stable storage (or,
				   without flush, will be with the next one) */
	STORE_NOT_DURABLE,	/* nothing of the turn exists */
	STORE_GONE		/* unknown: end the program, recovery decides */
};

/*
 * End the turn's transaction; flush: wait for stable storage.  Without
 * changes it is DURABLE at once.  Takes checkpoints and frees log files as
 * they become due.
 */
enum durability	store_turn_end(struct store *, bool flush);
/* Is the present turn already lost? */
bool	 store_turn_lost(const struct store *);
/* How many flushes were made since open (for the bench and tests). */
uint64_t store_flushes(const struct store *);

/* CRC-32C (Castagnoli) of octets, continuing from crc (0 at first). */
uint32_t store_crc(uint32_t crc, const void *octets, size_t len);

/* Keys: integers as big endian octets sort as numbers. */
void	 store_key_u64(uint8_t octets[8], uint64_t number);
uint64_t store_u64_of_key(const uint8_t octets[8]);

#endif
