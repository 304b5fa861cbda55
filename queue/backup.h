/*
 * A copy of the queue while it runs, as files one after the other.
 *
 * Pulled by whoever writes it away (the verb `queue backup`): a piece, then
 * other work and turns, then the next piece.  Put into an empty folder under
 * their names the files are a queue again: opening it does the rest.  It holds
 * every message that was acknowledged before it began, with all that is still
 * owed of it when the logs are read; what was delivered after that will be
 * delivered again from it.
 */
#ifndef CULVER_QUEUE_BACKUP_H
#define CULVER_QUEUE_BACKUP_H

#include "queue/spool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BACKUP_NAME_MAX	64	/* "bodies/0123456789abcdef" */
#define BACKUP_OCTETS	65536	/* of a piece */

struct backup;

/* Some octets of a file; pieces of a file follow each other. */
struct backup_piece {
	char		 name[BACKUP_NAME_MAX];
	uint64_t	 size;		/* of the file, as it seems */
	uint64_t	 offset;	/* of these octets; 0: it begins */
	const uint8_t	*octets;	/* valid until the next call */
	size_t		 len;		/* 0: empty, or cut shorter */
};

enum backup_step { BACKUP_PIECE, BACKUP_DONE, BACKUP_FAILED };

/*
 * Begin: checkpoint; from now on log and body files stay, whatever happens to
 * their messages.  One at a time.  Between turns only.  The spool is
 * borrowed.  Local I/O.  NULL, and a sentence in error, when it cannot.
 */
struct backup	*backup_new(struct spool *, char *error, size_t error_size);
/*
 * The next piece.  BACKUP_FAILED: a file cannot be read or the store failed;
 * what was written is no backup.  Local I/O, at most BACKUP_OCTETS.
 */
enum backup_step backup_next(struct backup *, struct backup_piece *);
/* End it, at any time: what stayed may go.  Nulls the pointer. */
void	 backup_free(struct backup **);

#endif
