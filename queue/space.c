/*
 * Is there room on the disk for one more message?
 *
 * Called by receive.c.  The ballast (store.h) counts as free: it is there to be
 * given up.  A look is a system call, so its answer is used for a while, less
 * twice what was written since: the database writes log and page.
 */
#include "queue/space.h"

#include "conf/loop.h"
#include "conf/parent.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define LOOK_MS		200
#define LOOK_OCTETS	(16u << 20)
#define BLOCK_OCTETS	512	/* unit of st_blocks */

void
space_init(struct space *space, int fd, uint64_t min_free)
{
	*space = (struct space){ .fd = fd, .min_free = min_free };
}

/*
 * Somebody removed our folder: what is written there from now on would be
 * durable nowhere.  One that comes back is another: only a restart helps.
 */
static bool
is_removed(struct space *space)
{
	struct stat folder;

	if (fstat(space->fd, &folder) == -1 || folder.st_nlink > 0)
		return false;
	if (!space->removed)
		parent_alarm("spool", true, "the spool was removed under the "
		    "running relay: no mail is taken until it is started "
		    "again");
	space->removed = true;
	return true;
}

/* A folder that cannot be asked has no room. */
static void
look(struct space *space)
{
	struct statvfs status;
	struct stat ballast;

	space->looked_ms = loop_now_ms();
	space->written = 0;
	space->free = 0;
	if (is_removed(space) || fstatvfs(space->fd, &status) == -1)
		return;
	space->free = (uint64_t)status.f_bavail * status.f_frsize;
	if (fstatat(space->fd, "ballast", &ballast, AT_SYMLINK_NOFOLLOW) == 0)
		space->free += (uint64_t)ballast.st_blocks * BLOCK_OCTETS;
}

/* For `status`: said when it begins, and by the first mail taken again. */
static void
say_short(struct space *space, bool is_short)
{
	if (space->is_short == is_short)
		return;
	space->is_short = is_short;
	parent_alarm("disk", is_short, "the spool has %llu octets free; below "
	    "%llu (min-free) no mail is taken",
	    (unsigned long long)space->free,
	    (unsigned long long)space->min_free);
}

bool
space_take(struct space *space, uint64_t octets)
{
	uint64_t used;

	if (space->looked_ms == 0 || space->written > LOOK_OCTETS ||
	    loop_now_ms() - space->looked_ms > LOOK_MS)
		look(space);
	used = space->reserved + 2 * space->written + space->min_free;
	if (space->free < used || space->free - used < octets) {
		say_short(space, true);
		return false;
	}
	say_short(space, false);
	space->reserved += octets;
	return true;
}

void
space_give(struct space *space, uint64_t octets, uint64_t written)
{
	space->reserved -= octets;
	space->written += written;
}
