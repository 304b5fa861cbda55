/*
 * A cache that cannot be read: is that so, and where does it go?
 */
#ifndef CULVER_ASIDE_H
#define CULVER_ASIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * How many times did an open of dir begin and not end since one succeeded?
 * Local I/O.
 */
unsigned aside_opens(const char *dir);
/* An open begins (the lock is held); it ended well.  Local I/O. */
void	 aside_opening(const char *dir);
void	 aside_opened(const char *dir);
/*
 * Move what is in dir, but for its lock, to dir/damaged-TIME, with an alarm
 * that says why.  Local I/O.  False, with a sentence, when another process has
 * the lock, when the disk is full or not writable (then `why` is no damage),
 * or when moving failed.
 */
bool	 aside_move(const char *dir, const char *why, char *error,
	    size_t error_size);

/*
 * When was a cache last moved aside (wall clock, seconds; 0: never)?  Local
 * I/O.
 */
int64_t	 aside_last_s(const char *dir);

#endif
