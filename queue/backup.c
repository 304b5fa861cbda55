/*
 * How does a queue that runs get into a backup?
 *
 * Called by the verb `queue backup`.  The environment is private, so nobody
 * else can copy it.  Stages, in this order for a reason:
 *
 *	mark	the file STORE_BACKUP: who opens the copy does all of the log
 *		again, not only what followed its last checkpoint
 *	tables	as they are written, page by page; older than what follows
 *	logs	up to where they end now: all that the copied pages lack
 *	bodies	of messages that are in the above; none goes meanwhile
 *	format	which versions of records it holds
 *
 * Single threaded: between two pieces there are turns, within one none, and a
 * piece is whole pages.
 */
#include "queue/backup.h"

#include "conf/log.h"
#include "conf/storefile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum stage { TABLES, LOGS, BODIES, FORMAT, OVER };

struct backup {
	struct spool	*spool;
	enum stage	 stage;
	bool		 marked;
	struct storefile_end end;	/* of the log, from LOGS on */
	char		*names;		/* of this stage, each with its end */
	size_t		 names_len, at;
	int		 file;		/* -1: none is open */
	struct backup_piece piece;
	uint64_t	 read;		/* of the open file */
	uint8_t		 octets[BACKUP_OCTETS];
};

struct backup *
backup_new(struct spool *spool, char *error, size_t error_size)
{
	struct backup *backup;

	if (!spool_begin_backup(spool)) {
		snprintf(error, error_size, "a backup cannot begin now: "
		    "another is being made, or the store failed");
		return NULL;
	}
	backup = mem_alloc(sizeof(*backup));
	backup->spool = spool;
	backup->file = -1;
	return backup;
}

void
backup_free(struct backup **pointer)
{
	struct backup *backup = *pointer;

	*pointer = NULL;
	if (backup == NULL)
		return;
	spool_end_backup(backup->spool);
	if (backup->file != -1)
		close(backup->file);
	free(backup->names);
	free(backup);
}

/* ---- which files ---- */

static bool
is_table(const char *name)
{
	size_t len = strlen(name);

	return len > 3 && strcmp(name + len - 3, ".db") == 0 &&
	    strncmp(name, "__db.", 5) != 0;
}

/* The number of a log file; 0: it is none. */
static uint32_t
log_number(const char *name)
{
	return strncmp(name, "log.", 4) == 0 ?
	    (uint32_t)strtoul(name + 4, NULL, 10) : 0;
}

static bool
is_wanted(const struct backup *backup, const char *name)
{
	uint64_t id;

	switch (backup->stage) {
	case TABLES:
		return is_table(name);
	case LOGS:
		return log_number(name) != 0 &&
		    log_number(name) <= backup->end.file;
	case BODIES:
		return strlen(name) == ID_TEXT_MAX - 1 &&
		    queue_id_parse(name, &id);
	default:
		return strcmp(name, "format") == 0;
	}
}

static int
folder_of(const struct backup *backup)
{
	return backup->stage == BODIES ? spool_bodies_fd(backup->spool) :
	    spool_dir_fd(backup->spool);
}

static void
add_name(struct backup *backup, const char *name)
{
	size_t len = strlen(name) + 1;

	backup->names = mem_grow(backup->names, backup->names_len + len);
	memcpy(backup->names + backup->names_len, name, len);
	backup->names_len += len;
}

/* The names of the files of this stage. */
static bool
list_files(struct backup *backup)
{
	int fd = openat(folder_of(backup), ".",
	    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *all = fd == -1 ? NULL : fdopendir(fd);
	struct dirent *entry;

	backup->names_len = backup->at = 0;
	if (all == NULL)
		return false;
	while ((entry = readdir(all)) != NULL)
		if (is_wanted(backup, entry->d_name))
			add_name(backup, entry->d_name);
	closedir(all);
	return true;
}

static bool
begin_stage(struct backup *backup, enum stage stage)
{
	backup->stage = stage;
	backup->names_len = backup->at = 0;
	if (stage == OVER)
		return true;
	if (stage == LOGS && !spool_log_end(backup->spool, &backup->end))
		return false;
	return list_files(backup);
}

/* ---- their octets ---- */

/* How much of the file belongs to the copy? */
static uint64_t
size_of(const struct backup *backup, const char *name, uint64_t size)
{
	/* Later records may be half written when they are read. */
	if (backup->stage == LOGS && log_number(name) == backup->end.file &&
	    size > backup->end.offset)
		return backup->end.offset;
	return size;
}

static bool
open_next(struct backup *backup)
{
	const char *name = backup->names + backup->at;
	struct stat status;

	backup->at += strlen(name) + 1;
	backup->file = openat(folder_of(backup), name,
	    O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	/* A message that never came to exist took its file along. */
	if (backup->file == -1)
		return backup->stage == BODIES && errno == ENOENT;
	if (fstat(backup->file, &status) == -1)
		return false;
	backup->piece = (struct backup_piece){ .octets = backup->octets,
	    .size = size_of(backup, name, (uint64_t)status.st_size) };
	snprintf(backup->piece.name, sizeof(backup->piece.name), "%s%.40s",
	    backup->stage == BODIES ? "bodies/" : "", name);
	backup->read = 0;
	return true;
}

/*
 * Not more than the size at its beginning: a body may still grow.  The library
 * cuts pages off that nothing is in any more: then the copy is shorter, too,
 * and recovery passes over what the log says of those.  Octets of zeroes in
 * their place it would take for damage.
 */
static enum backup_step
read_piece(struct backup *backup, struct backup_piece *piece)
{
	uint64_t left = backup->piece.size - backup->read;
	size_t len = left < BACKUP_OCTETS ? (size_t)left : BACKUP_OCTETS;
	ssize_t n = pread(backup->file, backup->octets, len,
	    (off_t)backup->read);

	if (n == 0 && backup->stage == TABLES)
		backup->piece.size = backup->read;
	else if (n < 0 || (n == 0 && len > 0)) {
		log_line(LOG_LEVEL_ERROR, "backup: %s cannot be read: %s",
		    backup->piece.name, n < 0 ? strerror(errno) :
		    "it became shorter");
		return BACKUP_FAILED;
	}
	backup->piece.offset = backup->read;
	backup->piece.len = (size_t)n;
	backup->read += (uint64_t)n;
	*piece = backup->piece;
	if (backup->read == backup->piece.size) {
		close(backup->file);
		backup->file = -1;
	}
	return BACKUP_PIECE;
}

static enum backup_step
begin(struct backup *backup, struct backup_piece *piece)
{
	backup->marked = true;
	*piece = (struct backup_piece){ .name = STORE_BACKUP,
	    .octets = backup->octets };
	return begin_stage(backup, TABLES) ? BACKUP_PIECE : BACKUP_FAILED;
}

enum backup_step
backup_next(struct backup *backup, struct backup_piece *piece)
{
	if (!backup->marked)
		return begin(backup, piece);
	while (backup->file == -1) {
		if (backup->stage == OVER)
			return BACKUP_DONE;
		if (backup->at == backup->names_len ?
		    !begin_stage(backup, backup->stage + 1) :
		    !open_next(backup))
			return BACKUP_FAILED;
	}
	return read_piece(backup, piece);
}
