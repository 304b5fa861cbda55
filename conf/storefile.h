/*
 * The file of a store's table, read without its environment: is it sound, and
 * what can still be had of it?
 *
 * For an owner whose store cannot be opened or behaves oddly; it holds the
 * store's lock and has closed what it reads here.
 */
#ifndef CULVER_STOREFILE_H
#define CULVER_STOREFILE_H

#include "mem.h"

#include <stdbool.h>
#include <stdint.h>

#define STORE_PAGE_OCTETS	4096	/* a device writes such whole */

/*
 * Can all files in this folder be read to their end, and written, are its
 * logs of this release of the library, and is there room for some more?
 * Local I/O, as long as reading all of it takes.
 * False: then a store that does not open is not thereby damaged.
 */
bool	 storefile_is_reachable(int dir_fd);
/* Remove a folder of files; failures are ignored.  Local I/O. */
void	 storefile_remove_folder(int dir_fd, const char *name);
/* Where the log of a store ends. */
struct storefile_end {
	uint32_t	file, offset;
};
/*
 * Is the table's file damaged in its structure (order of keys included), or
 * does it have pages from behind the end of the log (NULL: not looked at)?
 * False also when it is not there or cannot be judged.  Local I/O, as long as
 * reading it takes; nothing is changed.
 */
bool	 storefile_is_damaged(const char *path, const struct storefile_end *);

/* One entry: key and value as store_put_raw takes them; valid in the call. */
typedef void	storefile_entry(void *context, struct slice key,
		    struct slice raw);
/*
 * Hand over every entry that can be found in the file, in no order; a damaged
 * page may yield entries that were deleted, or halves.  Local I/O, as long as
 * reading it takes.  False: nothing could be read at all, or memory ran out.
 */
bool	 storefile_salvage(const char *path, storefile_entry *,
	    void *context);

#endif
