/*
 * What of the queue lies on disk, and is it safe yet?
 *
 * Called by all of queue.  One table of the store for each question that
 * must be cheap however much waits; their keys stand in spool.h, their values
 * in record.h.  A message exists by the turn that holds message, recipients
 * and the count of its chunks; a recipient exists as long as something is
 * owed.  It decides nothing about mail: when, where and whether is said by
 * its callers.
 */
#include "queue/spool.h"

#include "conf/log.h"
#include "conf/storefile.h"
#include "conf/unpack.h"
#include "queue/fault.h"
#include "queue/format.h"
#include "queue/salvage.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERSION		1
/* Tables whose records got further fields, see record_decode. */
#define VERSION_2	2
#define VERSION_3	3
#define VERSION_4	4
#define TURN_OCTETS	(1u << 20)
#define TURN_EVENTS	256
#define BALLAST_OCTETS	(48ull << 20)
#define OPENS_FILE	"opens"
#define OPENS_MAX	5	/* then all of it is looked through */

struct spool {
	struct store		*store;
	struct store_table	*messages, *recipients, *due, *destinations;
	struct store_table	*names, *soon, *chunks, *intakes, *keys;
	struct store_table	*attempts, *unsigned_ids, *clock;
	char			*dir;
	bool			 looked;	/* through all files, now */
	int			 dir_fd;
	int			 bodies_fd;
	struct soon		 soon_lowest;	/* written, not yet told */
	bool			 soon_written;
	uint64_t		 unsigned_lowest;	/* marked, not told */
	/* the turn */
	uint64_t		 turn;
	unsigned		 events;
	uint64_t		 octets;
	bool			 flush;
	uint64_t		*unlinks;	/* files of deleted messages */
	size_t			 unlinks_n, unlinks_size;
	size_t			 unlinks_kept;	/* of earlier turns */
	bool			 keep_bodies;	/* a backup copies them */
	bool			 doubt;		/* the clock */
};

/* A key in the making. */
struct key {
	uint8_t	octets[4 * 8];
	size_t	len;
};

static struct key
key_of(uint64_t number)
{
	struct key key = { .len = 8 };

	store_key_u64(key.octets, number);
	return key;
}

static void
key_add(struct key *key, uint64_t number)
{
	store_key_u64(key->octets + key->len, number);
	key->len += 8;
}

static void
key_add_u32(struct key *key, uint32_t number)
{
	for (int shift = 24; shift >= 0; shift -= 8)
		key->octets[key->len++] = (uint8_t)(number >> shift);
}

static struct slice
key_slice(const struct key *key)
{
	return (struct slice){ (const char *)key->octets, key->len };
}

static uint64_t
u64_at(struct slice key, size_t offset)
{
	return store_u64_of_key((const uint8_t *)key.at + offset);
}

static uint32_t
u32_at(struct slice key, size_t offset)
{
	const uint8_t *at = (const uint8_t *)key.at + offset;

	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 |
	    (uint32_t)at[2] << 8 | at[3];
}

/* Does a found key begin with these octets, and is it of that length? */
static bool
key_within(struct slice key, const struct key *prefix, size_t prefix_len,
    size_t len)
{
	return key.len == len &&
	    memcmp(key.at, prefix->octets, prefix_len) == 0;
}

/* ---- open and close ---- */

static bool
open_folders(struct spool *spool, const char *dir, char *error, size_t size)
{
	spool->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (spool->dir_fd == -1) {
		snprintf(error, size, "%s cannot be opened: %s", dir,
		    strerror(errno));
		return false;
	}
	if (mkdirat(spool->dir_fd, "bodies", 0700) == 0)
		fsync(spool->dir_fd);
	spool->bodies_fd = openat(spool->dir_fd, "bodies",
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (spool->bodies_fd == -1) {
		snprintf(error, size, "%s/bodies cannot be opened: %s", dir,
		    strerror(errno));
		return false;
	}
	return true;
}

/* Names and versions, in the order of `places`. */
static const struct format_table tables[] = {
	{ "messages", VERSION_3 },
	{ "recipients", VERSION_3 },
	{ "due", VERSION },
	{ "destinations", VERSION_4 },
	{ "names", VERSION },
	{ "soon", VERSION },
	{ "chunks", VERSION },
	{ "intakes", VERSION },
	{ "keys", VERSION_2 },
	{ "attempts", VERSION_4 },
	{ "unsigned", VERSION },
	{ "clock", VERSION },
};
#define TABLES_N	(sizeof(tables) / sizeof(tables[0]))

/* Where the table of that number stands in a spool. */
static struct store_table **
place_of(struct spool *spool, size_t n)
{
	static const size_t places[TABLES_N] = {
		offsetof(struct spool, messages),
		offsetof(struct spool, recipients),
		offsetof(struct spool, due),
		offsetof(struct spool, destinations),
		offsetof(struct spool, names),
		offsetof(struct spool, soon),
		offsetof(struct spool, chunks),
		offsetof(struct spool, intakes),
		offsetof(struct spool, keys),
		offsetof(struct spool, attempts),
		offsetof(struct spool, unsigned_ids),
		offsetof(struct spool, clock)
	};

	return (struct store_table **)(void *)((char *)spool + places[n]);
}

static bool
open_tables(struct spool *spool, char *error, size_t size)
{
	for (size_t i = 0; i < TABLES_N; i++) {
		*place_of(spool, i) = store_try_table(spool->store,
		    tables[i].name, tables[i].version, error, size);
		if (*place_of(spool, i) == NULL)
			return false;
	}
	return true;
}

/* ---- is it to be trusted? ---- */

/* How often was it opened since it last ran well for a while? */
static unsigned
opens_of(const struct spool *spool)
{
	char text[16] = "";
	int fd = openat(spool->dir_fd, OPENS_FILE,
	    O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd == -1)
		return 0;
	if (read(fd, text, sizeof(text) - 1) <= 0)
		text[0] = '\0';
	close(fd);
	return (unsigned)strtoul(text, NULL, 10);
}

static void
note_open(const struct spool *spool)
{
	unsigned opens = opens_of(spool) + 1;
	int fd = openat(spool->dir_fd, OPENS_FILE, O_WRONLY | O_CREAT |
	    O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd == -1)
		return;
	dprintf(fd, "%u\n", opens);
	close(fd);
}

void
spool_is_well(struct spool *spool)
{
	unlinkat(spool->dir_fd, OPENS_FILE, 0);
}

bool
spool_is_suspect(const struct spool *spool)
{
	return !spool->looked && store_is_suspect(spool->store);
}

/* Was something odd, or does it die again and again? */
static bool
is_distrusted(const struct spool *spool)
{
	return faccessat(spool->dir_fd, STORE_SUSPECT, F_OK, 0) == 0 ||
	    opens_of(spool) >= OPENS_MAX;
}

/* The store is at rest: look at its files.  end: of its log, or NULL. */
static bool
is_damaged(const struct spool *spool, const struct storefile_end *end,
    char *error, size_t size)
{
	const char *table = salvage_damaged_table(spool->dir, end);

	if (table != NULL)
		snprintf(error, size, "the file of table %s is damaged",
		    table);
	return table != NULL;
}

/*
 * Recover.  Where that ended in a fault before, the files are looked at as
 * they lie: only what is damaged makes a working library fault there.
 */
static bool
recover(struct spool *spool, bool *damaged, char *error, size_t size)
{
	bool recovered;

	*damaged = fault_in_recovery(spool->dir_fd, STORE_SUSPECT) &&
	    is_damaged(spool, NULL, error, size);
	if (*damaged)
		return false;
	fault_watch(spool->dir_fd, STORE_SUSPECT, true);
	recovered = store_recover(spool->store, damaged, error, size);
	fault_watch(spool->dir_fd, STORE_SUSPECT, false);
	return recovered;
}

/* Recovered: look at all of it, and recover again. */
static bool
look_through(struct spool *spool, bool *damaged, char *error, size_t size)
{
	struct storefile_end end;

	/* What recovery wrote is in the files then. */
	store_log_end(spool->store, &end);
	store_rest(spool->store);
	*damaged = is_damaged(spool, &end, error, size);
	if (*damaged)
		return false;
	unlinkat(spool->dir_fd, STORE_SUSPECT, 0);
	spool->looked = true;
	log_line(LOG_LEVEL_INFO, "the queue's files were looked through: "
	    "they are sound");
	return recover(spool, damaged, error, size);
}

/*
 * Open store and tables; *damaged: it cannot be, for no other reason than
 * that the files are damaged.
 */
static bool
open_store(struct spool *spool, bool *damaged, char *error, size_t size)
{
	bool distrusted = is_distrusted(spool);
	struct storefile_end end, was;

	note_open(spool);
	if (store_log_is_cut(spool->store, &end, &was)) {
		/* Pages may be ahead of it: look at them. */
		distrusted = true;
		salvage_keep_log(spool->dir_fd, &end, &was);
	}
	if (!recover(spool, damaged, error, size) || (distrusted &&
	    !look_through(spool, damaged, error, size)))
		return false;
	store_log_end(spool->store, &end);
	if (open_tables(spool, error, size))
		return true;
	store_rest(spool->store);
	*damaged = is_damaged(spool, &end, error, size);
	return false;
}

/* Damaged, or a salvage was cut off: into a new store with it. */
static bool
open_new(struct spool *spool, char *error, size_t size)
{
	bool damaged;

	if (!salvage_make_way(spool->dir_fd, error, size))
		return false;
	unlinkat(spool->dir_fd, STORE_SUSPECT, 0);
	spool_is_well(spool);
	return open_store(spool, &damaged, error, size) &&
	    salvage_fill(spool, spool->dir, error, size);
}

static bool
open_or_salvage(struct spool *spool, char *error, size_t size)
{
	bool damaged;

	if (salvage_is_pending(spool->dir_fd))
		return open_new(spool, error, size);
	if (open_store(spool, &damaged, error, size))
		return true;
	return damaged && salvage_begin(spool->dir_fd, error, error, size) &&
	    open_new(spool, error, size);
}

/* A backup that was cut off lacks what nobody can name. */
static bool
is_complete(const struct spool *spool, char *error, size_t size)
{
	if (faccessat(spool->dir_fd, UNPACK_INCOMPLETE, F_OK, 0) == -1)
		return true;
	snprintf(error, size, "%s has a file " UNPACK_INCOMPLETE ": it is a "
	    "backup that was cut off. Nothing was changed; put one back that "
	    "is whole", spool->dir);
	return false;
}

/* Before the first record of these versions. */
static bool
write_format(struct spool *spool, char *error, size_t size)
{
	if (format_write(spool->dir_fd, tables, TABLES_N, error, size))
		return true;
	store_give_room(spool->store);
	return format_write(spool->dir_fd, tables, TABLES_N, error, size);
}

struct spool *
spool_open(const char *dir, char *error, size_t error_size)
{
	static const struct store_options options = {
		.cache_bytes = 32u << 20,
		.log_file_bytes = 16u << 20,
		.ballast_bytes = BALLAST_OCTETS,
		.mark_log = true
	};
	struct spool *spool = mem_alloc(sizeof(*spool));

	spool->turn = 1;
	spool->dir = mem_copy(dir);
	spool->dir_fd = spool->bodies_fd = -1;
	spool->store = store_lock(dir, &options, error, error_size);
	if (spool->store == NULL ||
	    !open_folders(spool, dir, error, error_size) ||
	    !is_complete(spool, error, error_size) ||
	    !format_allows(spool->dir_fd, tables, TABLES_N, error,
	    error_size) ||
	    !open_or_salvage(spool, error, error_size) ||
	    !write_format(spool, error, error_size)) {
		spool_close(&spool);
		return NULL;
	}
	return spool;
}

void
spool_close(struct spool **pointer)
{
	struct spool *spool = *pointer;

	*pointer = NULL;
	if (spool == NULL)
		return;
	/* It was not the queue's files that ended us. */
	if (spool->dir_fd != -1 && spool->messages != NULL &&
	    !spool_is_suspect(spool))
		spool_is_well(spool);
	store_close(&spool->store);
	fault_watch(-1, NULL, false);
	if (spool->bodies_fd != -1)
		close(spool->bodies_fd);
	if (spool->dir_fd != -1)
		close(spool->dir_fd);
	free(spool->unlinks);
	free(spool->dir);
	free(spool);
}

int
spool_bodies_fd(const struct spool *spool)
{
	return spool->bodies_fd;
}

int
spool_dir_fd(const struct spool *spool)
{
	return spool->dir_fd;
}

bool
spool_lacks_ballast(const struct spool *spool)
{
	return store_lacks_ballast(spool->store);
}

uint64_t
spool_flushes(const struct spool *spool)
{
	return store_flushes(spool->store);
}

/* ---- the turn ---- */

void
spool_want_flush(struct spool *spool)
{
	spool->flush = true;
}

bool
spool_turn_is_full(const struct spool *spool)
{
	return spool->events >= TURN_EVENTS || spool->octets >= TURN_OCTETS;
}

void
spool_count_event(struct spool *spool)
{
	spool->events++;
}

bool
spool_turn_lost(const struct spool *spool)
{
	return store_turn_lost(spool->store);
}

uint64_t
spool_turn(const struct spool *spool)
{
	return spool->turn;
}

static void
unlink_body(struct spool *spool, uint64_t id)
{
	char name[ID_TEXT_MAX];

	/* What stays behind is an orphan, swept at the next start. */
	if (unlinkat(spool->bodies_fd, spool_body_name(id, name), 0) == -1 &&
	    errno != ENOENT)
		log_line(LOG_LEVEL_ERROR, "body file %s cannot be removed: %s",
		    name, strerror(errno));
}

static void
unlink_later(struct spool *spool, uint64_t id)
{
	if (spool->unlinks_n == spool->unlinks_size) {
		spool->unlinks_size = spool->unlinks_size * 2 + 16;
		spool->unlinks = mem_grow(spool->unlinks,
		    spool->unlinks_size * sizeof(*spool->unlinks));
	}
	spool->unlinks[spool->unlinks_n++] = id;
	/* Else a crash could bring the record back without its file. */
	spool->flush = true;
}

static void
unlink_bodies(struct spool *spool)
{
	for (size_t i = 0; i < spool->unlinks_n; i++)
		unlink_body(spool, spool->unlinks[i]);
	spool->unlinks_n = spool->unlinks_kept = 0;
}

bool
spool_begin_backup(struct spool *spool)
{
	if (spool->keep_bodies || !store_begin_backup(spool->store))
		return false;
	spool->keep_bodies = true;
	return true;
}

bool
spool_log_end(struct spool *spool, struct storefile_end *end)
{
	return store_log_end(spool->store, end);
}

void
spool_end_backup(struct spool *spool)
{
	store_end_backup(spool->store);
	spool->keep_bodies = false;
}

enum durability
spool_turn_end(struct spool *spool)
{
	enum durability result = store_turn_end(spool->store, spool->flush);

	/* Those of a lost turn keep their messages. */
	if (result != STORE_DURABLE)
		spool->unlinks_n = spool->unlinks_kept;
	spool->unlinks_kept = spool->unlinks_n;
	if (!spool->keep_bodies)
		unlink_bodies(spool);
	spool->turn++;
	spool->events = 0;
	spool->octets = 0;
	spool->flush = false;
	return result;
}

/* ---- damage ---- */

/*
 * A record is there and cannot be used: say which, once here; whoever asked
 * for it sees to it that it is not asked for again.
 */
static enum store_found
judge(enum store_found found, const char *table, uint64_t number, uint32_t n)
{
	if (found == STORE_DAMAGED)
		log_alarm("record", "%s %016llx/%u is damaged and left out",
		    table, (unsigned long long)number, n);
	else if (found == STORE_NEWER)
		log_alarm("record", "%s %016llx/%u was written by a newer "
		    "culver and is left out", table,
		    (unsigned long long)number, n);
	else
		return found;
	return STORE_ABSENT;
}

static enum store_found
get_record(struct store_table *table, struct slice key,
    const struct wire_message *row, void *record)
{
	struct slice value;
	enum store_found found = store_get(table, key, &value);

	if (found == STORE_FOUND && !record_decode(value, row, record))
		return STORE_DAMAGED;
	return found;
}

/*
 * The next entry of an index that is as it was written: what is damaged may
 * name anything, and audit.c makes anew what it stood for.
 */
static enum store_found
next_good(struct store_table *table, const struct key *from, bool after,
    struct slice *key, struct slice *value)
{
	struct key at = *from;
	enum store_found found = store_next(table, key_slice(&at), after, key,
	    value);

	while (found == STORE_DAMAGED && key->len <= sizeof(at.octets)) {
		memcpy(at.octets, key->at, key->len);
		at.len = key->len;
		found = store_next(table, key_slice(&at), true, key, value);
	}
	return found;
}

/* ---- messages ---- */

enum store_found
spool_get_message(struct spool *spool, uint64_t id, struct message *message)
{
	struct key key = key_of(id);
	enum store_found found = get_record(spool->messages,
	    key_slice(&key), &record_message, message);

	message->id = id;
	return judge(found, "message", id, 0);
}

bool
spool_has_message(struct spool *spool, uint64_t id)
{
	struct key key = key_of(id);
	struct slice value;

	return store_get(spool->messages, key_slice(&key), &value) !=
	    STORE_ABSENT;
}

/*
 * Of a table whose keys are numbers: the first record behind *number that can
 * be read.  Others are named.
 */
static enum store_found
next_record(struct store_table *table, const struct wire_message *row,
    const char *what, uint64_t *number, void *record)
{
	struct slice found, value;

	for (;;) {
		struct key key = key_of(*number);
		enum store_found result = store_next(table, key_slice(&key),
		    true, &found, &value);

		if (result == STORE_ABSENT || result == STORE_FAILED)
			return result;
		if (found.len != 8)
			return STORE_ABSENT;
		*number = u64_at(found, 0);
		if (result == STORE_FOUND &&
		    !record_decode(value, row, record))
			result = STORE_DAMAGED;
		if (judge(result, what, *number, 0) == STORE_FOUND)
			return STORE_FOUND;
	}
}

enum store_found
spool_next_message(struct spool *spool, uint64_t after,
    struct message *message)
{
	enum store_found found = next_record(spool->messages,
	    &record_message, "message", &after, message);

	message->id = after;
	return found;
}

/* A key of the table "clock". */
static struct key
doubted_key(uint64_t id)
{
	struct key key = { .len = 1 };

	key.octets[0] = '+';
	key_add(&key, id);
	return key;
}

static void
mark_doubted(struct spool *spool, uint64_t id)
{
	struct key key = doubted_key(id);

	store_put(spool->clock, key_slice(&key), SLICE(""));
}

void
spool_put_message(struct spool *spool, const struct message *message)
{
	struct key key = key_of(message->id);

	store_put_record(spool->messages, key_slice(&key), &record_message,
	    message);
	spool->octets += sizeof(key) + 200;
	if (spool->doubt)
		mark_doubted(spool, message->id);
}

static struct key
chunk_key(uint64_t id, uint32_t n)
{
	struct key key = key_of(id);

	key_add_u32(&key, n);
	return key;
}

void
spool_delete_message(struct spool *spool, const struct message *message)
{
	struct key key = key_of(message->id);

	store_delete(spool->messages, key_slice(&key));
	for (uint32_t n = 0; n < message->chunks; n++) {
		struct key chunk = chunk_key(message->id, n);

		store_delete(spool->chunks, key_slice(&chunk));
	}
	if (message->signature_bytes > 0) {
		struct key chunk = chunk_key(message->id, CHUNK_SIGNATURE);

		store_delete(spool->chunks, key_slice(&chunk));
	}
	if (message->needs_signature)
		spool_unmark_unsigned(spool, message->id);
	if (message->file_bytes > 0)
		unlink_later(spool, message->id);
}

/* ---- messages that wait to be signed ---- */

void
spool_mark_unsigned(struct spool *spool, uint64_t id)
{
	struct key key = key_of(id);

	store_put(spool->unsigned_ids, key_slice(&key), SLICE(""));
	if (spool->unsigned_lowest == 0 || id < spool->unsigned_lowest)
		spool->unsigned_lowest = id;
}

void
spool_unmark_unsigned(struct spool *spool, uint64_t id)
{
	struct key key = key_of(id);

	store_delete(spool->unsigned_ids, key_slice(&key));
}

bool
spool_next_unsigned(struct spool *spool, uint64_t after, uint64_t *id)
{
	struct key key = key_of(after);
	struct slice found, value;
	enum store_found result = next_good(spool->unsigned_ids, &key, true,
	    &found, &value);

	/* The key is all there is to it. */
	if (result == STORE_ABSENT || result == STORE_FAILED ||
	    found.len != 8)
		return false;
	*id = u64_at(found, 0);
	return true;
}

bool
spool_unsigned_marked(struct spool *spool, uint64_t *lowest)
{
	*lowest = spool->unsigned_lowest;
	spool->unsigned_lowest = 0;
	return *lowest != 0;
}

/* ---- recipients ---- */

static struct key
recipient_key(uint64_t id, uint32_t number)
{
	struct key key = key_of(id);

	key_add_u32(&key, number);
	return key;
}

static struct key
due_key(const struct due *due)
{
	struct key key = key_of(due->destination);

	key_add(&key, due->due_ms);
	key_add(&key, due->id);
	key_add_u32(&key, due->number);
	return key;
}

static struct due
due_of(const struct recipient *recipient)
{
	return (struct due){ recipient->destination, recipient->due_ms,
	    recipient->id, recipient->number };
}

enum store_found
spool_get_recipient(struct spool *spool, uint64_t id, uint32_t number,
    struct recipient *recipient)
{
	struct key key = recipient_key(id, number);
	enum store_found found = get_record(spool->recipients,
	    key_slice(&key), &record_recipient, recipient);

	recipient->id = id;
	recipient->number = number;
	return judge(found, "recipient", id, number);
}

enum store_found
spool_next_recipient(struct spool *spool, uint64_t id, uint32_t number,
    struct recipient *recipient)
{
	struct key key = recipient_key(id, number);
	bool after = false;
	struct slice found, value;

	for (;;) {
		enum store_found result = store_next(spool->recipients,
		    key_slice(&key), after, &found, &value);

		if (result == STORE_ABSENT || result == STORE_FAILED)
			return result;
		if (!key_within(found, &key, 8, 12))
			return STORE_ABSENT;
		number = u32_at(found, 8);
		if (result == STORE_FOUND &&
		    !record_decode(value, &record_recipient, recipient))
			result = STORE_DAMAGED;
		recipient->id = id;
		recipient->number = number;
		if (judge(result, "recipient", id, number) == STORE_FOUND)
			return STORE_FOUND;
		key = recipient_key(id, number);
		after = true;
	}
}

enum store_found
spool_walk_recipients(struct spool *spool, uint64_t id, uint32_t number,
    bool after, struct recipient *recipient)
{
	struct key key = recipient_key(id, number);
	struct slice found, value;
	enum store_found result = store_next(spool->recipients,
	    key_slice(&key), after, &found, &value);

	if (result == STORE_ABSENT || result == STORE_FAILED)
		return result;
	if (found.len != 12)
		return STORE_ABSENT;
	id = u64_at(found, 0);
	number = u32_at(found, 8);
	if (result == STORE_FOUND &&
	    !record_decode(value, &record_recipient, recipient))
		result = STORE_DAMAGED;
	recipient->id = id;
	recipient->number = number;
	judge(result, "recipient", id, number);
	return result == STORE_FOUND ? STORE_FOUND : STORE_DAMAGED;
}

bool
spool_is_owed(struct spool *spool, uint64_t id)
{
	struct key key = recipient_key(id, 0);
	struct slice found, value;
	enum store_found result = store_next(spool->recipients,
	    key_slice(&key), false, &found, &value);

	if (result == STORE_ABSENT)
		return false;
	return result == STORE_FAILED || key_within(found, &key, 8, 12);
}

static void
write_recipient(struct spool *spool, const struct recipient *recipient)
{
	struct key key = recipient_key(recipient->id, recipient->number);

	store_put_record(spool->recipients, key_slice(&key),
	    &record_recipient, recipient);
	spool->octets += sizeof(key) + 200;
}

void
spool_put_recipient(struct spool *spool, const struct recipient *recipient)
{
	struct due due = due_of(recipient);
	struct key key = due_key(&due);

	write_recipient(spool, recipient);
	store_put(spool->due, key_slice(&key), SLICE(""));
}

static void
delete_due(struct spool *spool, const struct due *due)
{
	struct key key = due_key(due);

	store_delete(spool->due, key_slice(&key));
}

void
spool_move_recipient(struct spool *spool, struct recipient *recipient,
    uint64_t due_ms)
{
	struct due due = due_of(recipient);

	delete_due(spool, &due);
	recipient->due_ms = due_ms;
	spool_put_recipient(spool, recipient);
}

void
spool_delete_recipient(struct spool *spool, const struct recipient *recipient)
{
	struct key key = recipient_key(recipient->id, recipient->number);
	struct due due = due_of(recipient);

	store_delete(spool->recipients, key_slice(&key));
	delete_due(spool, &due);
}

bool
spool_next_due(struct spool *spool, const struct due *from, bool after,
    struct due *found)
{
	struct key key = due_key(from);
	struct slice at, value;
	enum store_found result = next_good(spool->due, &key, after, &at,
	    &value);

	if (result == STORE_ABSENT || result == STORE_FAILED ||
	    !key_within(at, &key, 8, 28))
		return false;
	*found = (struct due){ from->destination, u64_at(at, 8),
	    u64_at(at, 16), u32_at(at, 24) };
	return true;
}

/* What is damaged was named when it was read; what is not there, here. */
static void
say_missing(struct spool *spool, const struct due *due)
{
	struct key key = recipient_key(due->id, due->number);
	struct slice value;

	if (due->due_ms != DUE_HELD && store_get(spool->recipients,
	    key_slice(&key), &value) == STORE_ABSENT)
		log_alarm("record", "recipient %016llx/%u is missing; its "
		    "place is held", (unsigned long long)due->id,
		    due->number);
}

void
spool_hold_due(struct spool *spool, const struct due *due)
{
	struct due held = *due, found;
	struct recipient recipient;
	struct key key;

	if (!spool_next_due(spool, due, false, &found) ||
	    spool_compare_due(due, &found) != 0)
		return;
	if (spool_get_recipient(spool, due->id, due->number, &recipient) ==
	    STORE_FOUND) {
		spool_move_recipient(spool, &recipient, DUE_HELD);
		return;
	}
	say_missing(spool, due);
	delete_due(spool, due);
	held.due_ms = DUE_HELD;
	key = due_key(&held);
	store_put(spool->due, key_slice(&key), SLICE(""));
}

void
spool_hold_message(struct spool *spool, uint64_t id)
{
	struct recipient recipient;
	uint32_t number = 0;

	while (spool_next_recipient(spool, id, number, &recipient) ==
	    STORE_FOUND) {
		spool_move_recipient(spool, &recipient, DUE_HELD);
		number = recipient.number + 1;
	}
}

int
spool_compare_due(const struct due *a, const struct due *b)
{
	if (a->destination != b->destination)
		return a->destination < b->destination ? -1 : 1;
	if (a->due_ms != b->due_ms)
		return a->due_ms < b->due_ms ? -1 : 1;
	if (a->id != b->id)
		return a->id < b->id ? -1 : 1;
	return a->number < b->number ? -1 : a->number > b->number;
}

/* ---- bodies ---- */

void
spool_put_chunk(struct spool *spool, uint64_t id, uint32_t n,
    const void *octets, size_t len)
{
	struct key key = chunk_key(id, n);

	store_put(spool->chunks, key_slice(&key),
	    (struct slice){ octets, len });
	spool->octets += len;
}

enum store_found
spool_get_chunk(struct spool *spool, uint64_t id, uint32_t n,
    struct slice *octets)
{
	struct key key = chunk_key(id, n);

	return judge(store_get(spool->chunks, key_slice(&key), octets),
	    "chunk", id, n);
}

void
spool_drop_chunks(struct spool *spool, uint64_t id)
{
	struct key from = chunk_key(id, 0);
	struct slice found, value;
	enum store_found result;

	for (;;) {
		struct key key;

		result = store_next(spool->chunks, key_slice(&from), false,
		    &found, &value);
		if (result == STORE_ABSENT || result == STORE_FAILED ||
		    !key_within(found, &from, 8, 12))
			break;
		key = chunk_key(id, u32_at(found, 8));
		store_delete(spool->chunks, key_slice(&key));
	}
}

void
spool_drop_body(struct spool *spool, uint64_t id)
{
	spool_drop_chunks(spool, id);
	/* No record names it, so it need not wait for the turn's end. */
	unlink_body(spool, id);
}

bool
spool_next_chunk_id(struct spool *spool, uint64_t after, uint64_t *id)
{
	struct key key = chunk_key(after, UINT32_MAX);
	struct slice found, value;
	enum store_found result = store_next(spool->chunks, key_slice(&key),
	    true, &found, &value);

	if (result == STORE_ABSENT || result == STORE_FAILED ||
	    found.len != 12 || u64_at(found, 0) <= after)
		return false;
	*id = u64_at(found, 0);
	return true;
}

char *
spool_body_name(uint64_t id, char name[ID_TEXT_MAX])
{
	return queue_id_print(id, name);
}

void
spool_mark_intake(struct spool *spool, uint64_t id, uint64_t now_ms)
{
	struct key key = key_of(id);
	struct intake_mark mark = { .since_ms = now_ms };

	store_put_record(spool->intakes, key_slice(&key), &record_intake,
	    &mark);
}

void
spool_unmark_intake(struct spool *spool, uint64_t id)
{
	struct key key = key_of(id);

	store_delete(spool->intakes, key_slice(&key));
}

bool
spool_has_intake(struct spool *spool, uint64_t id)
{
	struct key key = key_of(id);
	struct slice value;

	return store_get(spool->intakes, key_slice(&key), &value) !=
	    STORE_ABSENT;
}

bool
spool_next_intake(struct spool *spool, uint64_t after, uint64_t *id)
{
	struct key key = key_of(after);
	struct slice found, value;
	enum store_found result = next_good(spool->intakes, &key, true,
	    &found, &value);

	if (result == STORE_ABSENT || result == STORE_FAILED ||
	    found.len != 8)
		return false;
	*id = u64_at(found, 0);
	return true;
}

/* ---- idempotency keys ---- */

enum store_found
spool_get_key(struct spool *spool, const char *key, struct used_key *used)
{
	return judge(get_record(spool->keys, slice_of(key), &record_key,
	    used), "key", 0, 0);
}

void
spool_put_key(struct spool *spool, const char *key,
    const struct used_key *used)
{
	store_put_record(spool->keys, slice_of(key), &record_key, used);
}

void
spool_delete_key(struct spool *spool, const char *key)
{
	store_delete(spool->keys, slice_of(key));
}

bool
spool_next_key(struct spool *spool, char after[64], struct used_key *used)
{
	struct slice found, value;

	for (;;) {
		enum store_found result = store_next(spool->keys,
		    slice_of(after), true, &found, &value);

		if (result == STORE_ABSENT || result == STORE_FAILED ||
		    !slice_store(found, after, 64))
			return false;
		if (result == STORE_FOUND &&
		    record_decode(value, &record_key, used))
			return true;
	}
}

/* ---- destinations ---- */

enum store_found
spool_get_destination(struct spool *spool, uint64_t number,
    struct destination *destination)
{
	struct key key = key_of(number);
	enum store_found found = get_record(spool->destinations,
	    key_slice(&key), &record_destination, destination);

	destination->number = number;
	return judge(found, "destination", number, 0);
}

enum store_found
spool_next_destination(struct spool *spool, uint64_t after,
    struct destination *destination)
{
	enum store_found found = next_record(spool->destinations,
	    &record_destination, "destination", &after, destination);

	destination->number = after;
	return found;
}

void
spool_put_destination(struct spool *spool,
    const struct destination *destination)
{
	struct key key = key_of(destination->number);

	store_put_record(spool->destinations, key_slice(&key),
	    &record_destination, destination);
	spool->octets += sizeof(key) + 200;
}

/* One octet of class before the domain. */
static struct slice
name_key(char text[DOMAIN_TEXT_MAX + 1], const char *domain, uint32_t class)
{
	size_t len = strlen(domain);

	text[0] = (char)class;
	memcpy(text + 1, domain, len);
	return (struct slice){ text, len + 1 };
}

uint64_t
spool_get_name(struct spool *spool, const char *domain, uint32_t class)
{
	char text[DOMAIN_TEXT_MAX + 1];
	struct slice value;
	enum store_found found = store_get(spool->names,
	    name_key(text, domain, class), &value);

	if (judge(found, "name", class, 0) != STORE_FOUND || value.len != 8)
		return 0;
	return u64_at(value, 0);
}

void
spool_put_name(struct spool *spool, const struct destination *destination)
{
	char text[DOMAIN_TEXT_MAX + 1];
	struct key number = key_of(destination->number);

	store_put(spool->names, name_key(text, destination->domain,
	    destination->class), key_slice(&number));
}

void
spool_delete_destination(struct spool *spool,
    const struct destination *destination)
{
	char text[DOMAIN_TEXT_MAX + 1];
	struct key key = key_of(destination->number);

	store_delete(spool->destinations, key_slice(&key));
	/* One that was lost may have a successor by that name. */
	if (spool_get_name(spool, destination->domain, destination->class) ==
	    destination->number)
		store_delete(spool->names, name_key(text,
		    destination->domain, destination->class));
}

static struct key
soon_key(const struct soon *soon)
{
	struct key key = key_of(soon->next_ms);

	key_add(&key, soon->destination);
	return key;
}

static bool
soon_before(const struct soon *a, const struct soon *b)
{
	return a->next_ms < b->next_ms || (a->next_ms == b->next_ms &&
	    a->destination < b->destination);
}

void
spool_put_soon(struct spool *spool, const struct soon *soon)
{
	struct key key = soon_key(soon);

	store_put(spool->soon, key_slice(&key), SLICE(""));
	if (!spool->soon_written || soon_before(soon, &spool->soon_lowest))
		spool->soon_lowest = *soon;
	spool->soon_written = true;
}

bool
spool_soon_written(struct spool *spool, struct soon *lowest)
{
	bool written = spool->soon_written;

	*lowest = spool->soon_lowest;
	spool->soon_written = false;
	return written;
}

void
spool_delete_soon(struct spool *spool, const struct soon *soon)
{
	struct key key = soon_key(soon);

	store_delete(spool->soon, key_slice(&key));
}

bool
spool_next_soon(struct spool *spool, const struct soon *from,
    struct soon *found)
{
	struct key key = soon_key(from);
	struct slice at, value;
	enum store_found result = next_good(spool->soon, &key, false, &at,
	    &value);

	if (result == STORE_ABSENT || result == STORE_FAILED || at.len != 16)
		return false;
	*found = (struct soon){ u64_at(at, 0), u64_at(at, 8) };
	return true;
}

/* ---- the clock ---- */

#define RECORD_CLOCK	0x0491
static const struct wire_field clock_fields[] = {
	WIRE_FIELD(struct clock_seen, wall_ms, WIRE_U64, 0),
	WIRE_FIELD(struct clock_seen, told, WIRE_BOOL, 0),
};
static const struct wire_message record_clock =
	WIRE_ROW(RECORD_CLOCK, struct clock_seen, clock_fields, 0);

void
spool_get_clock(struct spool *spool, struct clock_seen *seen)
{
	if (store_get_record(spool->clock, SLICE("seen"), &record_clock,
	    seen) != STORE_FOUND)
		*seen = (struct clock_seen){ 0, false };
}

void
spool_put_clock(struct spool *spool, const struct clock_seen *seen)
{
	store_put_record(spool->clock, SLICE("seen"), &record_clock, seen);
}

void
spool_doubt(struct spool *spool, bool doubt)
{
	spool->doubt = doubt;
}

bool
spool_next_doubted(struct spool *spool, uint64_t after, uint64_t *id)
{
	struct key key = doubted_key(after);
	struct slice found, value;
	enum store_found result = next_good(spool->clock, &key, true, &found,
	    &value);

	if (result == STORE_ABSENT || result == STORE_FAILED ||
	    !key_within(found, &key, 1, key.len))
		return false;
	*id = u64_at(found, 1);
	return true;
}

void
spool_forget_doubted(struct spool *spool, uint64_t id)
{
	struct key key = doubted_key(id);

	store_delete(spool->clock, key_slice(&key));
}

/* ---- attempts ---- */

static struct key
attempt_key(uint64_t destination, uint64_t attempt, uint32_t n)
{
	struct key key = key_of(destination);

	key_add(&key, attempt);
	key_add_u32(&key, n);
	return key;
}

void
spool_put_attempt(struct spool *spool, const struct attempt *attempt)
{
	struct key key = attempt_key(attempt->destination, attempt->number,
	    0);

	store_put_record(spool->attempts, key_slice(&key), &record_attempt,
	    attempt);
	spool->octets += sizeof(key) + 200;
}

enum store_found
spool_next_attempt(struct spool *spool, uint64_t destination, uint64_t number,
    struct attempt *attempt)
{
	struct slice found, value;

	for (;;) {
		struct key key = attempt_key(destination, number, 0);
		enum store_found result = store_next(spool->attempts,
		    key_slice(&key), false, &found, &value);

		if (result == STORE_ABSENT || result == STORE_FAILED)
			return result;
		if (!key_within(found, &key, 8, 20))
			return STORE_ABSENT;
		number = u64_at(found, 8);
		if (result == STORE_FOUND && (u32_at(found, 16) != 0 ||
		    !record_decode(value, &record_attempt, attempt)))
			result = STORE_DAMAGED;
		attempt->destination = destination;
		attempt->number = number;
		if (judge(result, "attempt", destination, 0) == STORE_FOUND)
			return STORE_FOUND;
		number++;
	}
}

void
spool_put_host(struct spool *spool, uint64_t destination, uint64_t attempt,
    uint32_t n, struct slice octets)
{
	struct key key = attempt_key(destination, attempt, n + 1);

	store_put(spool->attempts, key_slice(&key), octets);
	spool->octets += sizeof(key) + octets.len;
}

enum store_found
spool_get_host(struct spool *spool, uint64_t destination, uint64_t attempt,
    uint32_t n, struct d_host *host)
{
	struct key key = attempt_key(destination, attempt, n + 1);

	return judge(get_record(spool->attempts, key_slice(&key),
	    record_host(), host), "host", destination, n);
}

/* Delete every key that begins with the first len octets of prefix. */
static void
drop_attempt_keys(struct spool *spool, const struct key *prefix, size_t len)
{
	struct slice found, value;

	for (;;) {
		enum store_found result = store_next(spool->attempts,
		    key_slice(prefix), false, &found, &value);
		struct key old;

		if (result == STORE_ABSENT || result == STORE_FAILED ||
		    !key_within(found, prefix, len, 20))
			return;
		old = attempt_key(u64_at(found, 0), u64_at(found, 8),
		    u32_at(found, 16));
		store_delete(spool->attempts, key_slice(&old));
	}
}

void
spool_drop_attempt(struct spool *spool, uint64_t destination,
    uint64_t attempt)
{
	struct key key = attempt_key(destination, attempt, 0);

	drop_attempt_keys(spool, &key, 16);
}

void
spool_drop_attempts(struct spool *spool, uint64_t destination)
{
	struct key key = attempt_key(destination, 0, 0);

	drop_attempt_keys(spool, &key, 8);
}

/* ---- salvage ---- */

/* Could it be a key of that table? */
static bool
is_key(const char *table, struct slice key)
{
	static const struct {
		const char	*table;
		size_t		 len;	/* 0: text */
	} lengths[] = {
		{ "messages", 8 }, { "recipients", 12 }, { "chunks", 12 },
		{ "destinations", 8 }, { "intakes", 8 }, { "attempts", 20 },
		{ "keys", 0 }
	};

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		if (strcmp(lengths[i].table, table) == 0)
			return lengths[i].len != 0 ?
			    key.len == lengths[i].len :
			    key.len > 0 && key.len < KEY_TEXT_MAX;
	return false;
}

static struct store_table *
table_of(struct spool *spool, const char *name)
{
	for (size_t i = 0; i < TABLES_N; i++)
		if (strcmp(tables[i].name, name) == 0)
			return *place_of(spool, i);
	return NULL;
}

void
spool_put_raw(struct spool *spool, const char *name, struct slice key,
    struct slice raw)
{
	struct store_table *table = table_of(spool, name);
	struct slice value;
	enum store_found there;

	if (table == NULL || !is_key(name, key))
		return;
	/* The same key twice: one that is whole wins. */
	there = store_get(table, key, &value);
	if (there == STORE_ABSENT || (there == STORE_DAMAGED &&
	    store_is_whole(key, raw)))
		store_put_raw(table, key, raw);
	spool->octets += key.len + raw.len;
}
