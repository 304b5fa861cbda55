/*
 * A queue whose files are damaged so that the database refuses them: what can
 * be had of it goes into a new one.
 *
 * The old files are moved to damaged-TIME and stay there; a file `salvage`
 * says how far this came, so that it goes on when it is cut off.
 */
#ifndef CULVER_QUEUE_SALVAGE_H
#define CULVER_QUEUE_SALVAGE_H

#include "queue/spool.h"

#include <stdbool.h>
#include <stddef.h>

/* Tables that are read again; the others are made from them. */
extern const char *const salvage_tables[];	/* NULL at the end */

/* Is one to be gone on with?  Local I/O. */
bool	 salvage_is_pending(int dir_fd);
/*
 * Is any table's file damaged in its structure, or ahead of where the log ends
 * (NULL: not looked at)?  Then its name, else NULL.  Local I/O, as long as
 * reading all of them takes.
 */
struct storefile_end;
const char *salvage_damaged_table(const char *dir,
	    const struct storefile_end *);
/*
 * The log ends at *end, before *was, which was on stable storage: keep a copy
 * of it beside, and say so in an alarm.  Local I/O; failures are said as well.
 */
void	 salvage_keep_log(int dir_fd, const struct storefile_end *end,
	    const struct storefile_end *was);
/*
 * Begin: move the files away.  `why` is for the operator.  Local I/O.  False,
 * and a sentence in error (which may be why's memory): there is no room for a
 * second store, or a file cannot be moved; whatever was done is gone on with
 * by the next call.
 */
bool	 salvage_begin(int dir_fd, const char *why, char *error,
	    size_t error_size);
/*
 * Go on with one that was begun: make way for the new store.  As above.
 */
bool	 salvage_make_way(int dir_fd, char *error, size_t error_size);
/*
 * Fill the new, empty store and end, with an alarm that says how many messages
 * were saved and how many are known to be lost.  Ends turns of the spool.
 * Local I/O, as long as reading and writing all of it takes.  False, and a
 * sentence in error: it will be begun again.
 */
bool	 salvage_fill(struct spool *, const char *dir, char *error,
	    size_t error_size);

#endif
