/*
 * Is there room for the log to say that there is none?
 *
 * Called by the other store files.  An environment that cannot write its log
 * can neither delete nor recover, so a ballast file is kept, given up when the
 * disk is nearly full or something said so, and made again when there is room.
 */
#include "conf/storeenv.h"

#include "conf/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define BALLAST_RETRY_MS	1000
/* With less room than this a turn may not find enough. */
#define ROOM_OCTETS	(8u << 20)

/* The ballast: present in full, or not at all. */
bool
storeroom_has_ballast(const struct store *store)
{
	struct stat status;

	return fstatat(store->dir_fd, "ballast", &status,
	    AT_SYMLINK_NOFOLLOW) == 0 &&
	    (uint64_t)status.st_size >= store->options.ballast_bytes;
}

void
storeroom_make_ballast(struct store *store)
{
	int fd, error;

	if (store->options.ballast_bytes == 0 || storeroom_has_ballast(store))
		return;
	store->ballast_again_ms = wire_now_ms() + BALLAST_RETRY_MS;
	fd = openat(store->dir_fd, "ballast",
	    O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
	if (fd == -1) {
		log_line(LOG_LEVEL_ERROR, "%s/ballast cannot be made: %s",
		    store->dir, strerror(errno));
		return;
	}
	error = posix_fallocate(fd, 0, (off_t)store->options.ballast_bytes);
	close(fd);
	if (error == 0) {
		store->ballast_again_ms = 0;
		return;
	}
	unlinkat(store->dir_fd, "ballast", 0);
	log_line(LOG_LEVEL_ERROR, "%s/ballast cannot be made: %s", store->dir,
	    strerror(error));
}

/* The disk is full: give the log room to say so. */
void
storeroom_drop_ballast(struct store *store)
{
	bool dropped = unlinkat(store->dir_fd, "ballast", 0) == 0;

	store->ballast_again_ms = wire_now_ms() + BALLAST_RETRY_MS;
	if (!store->full)
		log_alarm("disk", "no room in %s%s", store->dir,
		    dropped ? ", the ballast is given up" : "");
	store->full = true;
}

bool
store_lacks_ballast(const struct store *store)
{
	return store->ballast_again_ms != 0;
}

void
store_give_room(struct store *store)
{
	storeroom_drop_ballast(store);
}

/* Unknown: none. */
static uint64_t
free_octets(const struct store *store)
{
	struct statvfs status;

	if (fstatvfs(store->dir_fd, &status) == -1)
		return 0;
	return (uint64_t)status.f_bavail * status.f_frsize;
}

/*
 * Before a turn's first change: a disk that is nearly full is no reason to
 * lose the turn, as long as there is a ballast.
 */
void
storeroom_look(struct store *store)
{
	if (store->options.ballast_bytes > 0 && !store->full &&
	    free_octets(store) < ROOM_OCTETS && storeroom_has_ballast(store))
		storeroom_drop_ballast(store);
}

/* Make the ballast again once there is room for more than it. */
void
storeroom_restore_ballast(struct store *store)
{
	uint64_t need = store->options.ballast_bytes +
	    2 * (uint64_t)store->options.log_file_bytes;

	if (store->ballast_again_ms == 0 ||
	    wire_now_ms() < store->ballast_again_ms)
		return;
	store->ballast_again_ms = wire_now_ms() + BALLAST_RETRY_MS;
	if (free_octets(store) < need)
		return;
	storeroom_make_ballast(store);
	if (store->ballast_again_ms != 0 && store->options.ballast_bytes > 0)
		return;
	store->ballast_again_ms = 0;
	store->full = false;
	log_line(LOG_LEVEL_INFO, "there is room again in %s", store->dir);
}
