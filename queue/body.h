/*
 * A body on its way in: from a pipe into chunks of the store, or a file.
 *
 * Up to 256 KiB a message lies in the store, where it shares its turn's one
 * flush.  The store writes every octet twice, so larger ones go into a file
 * of their own: from the first octet if they were announced as such, else
 * after 64 KiB.
 */
#ifndef CULVER_QUEUE_BODY_H
#define CULVER_QUEUE_BODY_H

#include "queue/space.h"
#include "queue/spool.h"

#define BODY_FILE_ABOVE	(256u << 10)	/* announced octets */
#define BODY_ROOM	131072		/* of the reader's buffer for files */

struct body {
	struct spool	*spool;
	struct space	*space;
	uint64_t	 id;
	uint64_t	 announced;	/* 0: not */
	uint64_t	 reserved;	/* of space */
	uint64_t	 size_bytes;	/* read so far */
	uint8_t		*buffer;	/* the last chunk, or a small body */
	uint32_t	 buffered;
	uint32_t	 chunks;	/* put into the store */
	int		 file;		/* -1: none yet */
	uint64_t	 file_bytes;
	uint32_t	 file_crc;
	uint64_t	 started_bytes;	/* whose write-back was started */
	uint64_t	 turn;		/* that last changed the store, or 0 */
	bool		 marked;	/* the store says that parts exist */
	bool		 discard;	/* read and forget */
};

/*
 * Begin; reserves space.  False, and nothing is held, when there is not
 * enough.
 */
bool	body_begin(struct body *, struct spool *, struct space *, uint64_t id,
	    uint64_t announced);

enum body_read {
	BODY_MORE,	/* something was read */
	BODY_DRY,	/* the pipe is empty */
	BODY_EOF,	/* and closed */
	BODY_FULL,	/* no room on the disk: drop it, 452 */
	BODY_FAILED	/* the file cannot be written: drop it, 451 */
};
/*
 * Read once from pipe (non-blocking).  room: BODY_ROOM octets of the
 * caller's, their content is nobody's.  Local I/O.
 */
enum body_read body_read(struct body *, int pipe, uint8_t *room);
/*
 * Instead of any body_read: here is all of it (copied, at most 256 KiB).  It
 * stays in memory until body_finish.  BODY_EOF or BODY_FULL.  Local I/O.
 */
enum body_read body_take(struct body *, const uint8_t *octets, size_t len);
/* It is whole: start what lies in a file on its way to the device. */
void	body_start_sync(struct body *);
/*
 * Is what lies in a file on stable storage?  Counts *files up where there is
 * one: its folder is to be synced as well.  Local I/O, waits for the device.
 * False: as BODY_FAILED.
 */
bool	body_sync(struct body *, unsigned *files);
/* It is whole: store the rest, and say in message where it lies. */
void	body_finish(struct body *, struct message *);
/* Take back what is stored, and what still comes is to be forgotten. */
void	body_discard(struct body *);
/* Its message exists: give the reservation back, close. */
void	body_end(struct body *);
/* There will be no message: take back what is stored, close. */
void	body_drop(struct body *);
/*
 * The turn in which it changed the store was lost: close.  Parts of earlier
 * turns may be left, marked: a sweep is needed.
 */
void	body_lost(struct body *);

#endif
