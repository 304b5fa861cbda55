/*
 * The inside of a store, for conf/store*.c and nobody else.
 */
#ifndef CULVER_STOREENV_H
#define CULVER_STOREENV_H

#include "store.h"
#include "storemark.h"

#include <db.h>

#define FILE_MODE	0600

struct store_table {
	struct store_table	*next;
	struct store		*store;
	DB			*db;
	uint8_t			 version;
	char			 name[64];
};

/*
 * A walk came past damaged records: their keys may stand anywhere in the
 * order, so it goes on from the last good place, by number.
 */
struct passed {
	const struct store_table	*table;	/* NULL: it did not */
	char		*from;		/* the last good place */
	size_t		 from_len;
	bool		 after;
	char		*key;		/* of the damaged record told last */
	size_t		 key_len;
	unsigned	 n;		/* damaged records since from */
};

struct store {
	DB_ENV			*env;
	DB_TXN			*txn;
	struct store_table	*tables;
	struct store_options	 options;
	char			*dir;
	int			 dir_fd;
	int			 lock_fd;
	bool			 lost;
	bool			 gone;
	bool			 full;		/* ENOSPC was seen */
	uint64_t		 flushes;
	uint32_t		 synced_file;	/* log file whose entry is */
	uint64_t		 changed_octets;	/* since the trickle */
	uint64_t		 log_octets;	/* since the checkpoint, as of
						   the last flush */
	int64_t			 ballast_again_ms;
	uint64_t		 damaged;
	/* What the last read returned, and room to build a value in. */
	char			*from;
	void			*key;
	void			*value;
	uint8_t			*record;
	size_t			 record_size;
	struct passed		 passed;
	bool			 suspect;
	struct storemark	*mark;		/* NULL: none is kept */
};

/* ---- storeenv.c ---- */

/* Can a turn go on?  Pure. */
bool	 storeenv_is_usable(const struct store *);
/* Does this error of the library say that there is no room?  Pure. */
bool	 storeenv_is_full(int error);
/*
 * May this error come from a damaged file?  Not those that a healthy store has
 * in a bad world: no room, no memory, no right, a device that fails.  Pure.
 */
bool	 storeenv_may_be_damage(int error);
/*
 * A call of the database failed: the turn is lost, perhaps the store.  What
 * may come of a damaged page is not tried again and again: the next start is
 * told to look.  Local I/O.
 */
void	 storeenv_fail(struct store *, int error, const char *what);
/* Undo the turn, if it has a transaction; a failure is the store's end. */
void	 storeenv_abort(struct store *);

/* ---- storeroom.c: local I/O ---- */

/* The ballast: present in full, or not at all. */
bool	 storeroom_has_ballast(const struct store *);
/* Make it, if there is to be one; a failure is a log line. */
void	 storeroom_make_ballast(struct store *);
/* The disk is full: give the log room to say so. */
void	 storeroom_drop_ballast(struct store *);
/* Make it again once there is room for more than it. */
void	 storeroom_restore_ballast(struct store *);
/*
 * Before a turn's first change: a disk that is nearly full is no reason to
 * lose the turn, as long as there is a ballast.
 */
void	 storeroom_look(struct store *);

/* ---- store.c ---- */

/*
 * What we pass to the library is memory of ours, what we get goes into memory
 * that grows: never the library's own, which a replicated environment forbids.
 */
DBT	 store_dbt(struct slice octets);
DBT	 store_dbt_growing(void *memory, uint32_t size);
/* Take version and CRC off what lies on disk under that key. */
enum store_found store_unwrap(struct store_table *, struct slice key,
	    const DBT *, struct slice *value);

#endif
