/*
 * Is there room on the disk for one more message?
 *
 * What is being received has its announced size reserved, so that a thousand
 * clients in DATA at once cannot fill the disk between two looks.
 */
#ifndef CULVER_QUEUE_SPACE_H
#define CULVER_QUEUE_SPACE_H

#include <stdbool.h>
#include <stdint.h>

struct space {
	int		fd;		/* of the folder; borrowed */
	uint64_t	min_free;	/* octets that stay free */
	uint64_t	reserved;
	/* The last look, and what was written since. */
	int64_t		looked_ms;	/* monotonic; 0: never */
	uint64_t	free;
	uint64_t	written;
	/* What was said: the folder is gone; there is too little room. */
	bool		removed, is_short;
};

void	space_init(struct space *, int fd, uint64_t min_free);
/*
 * Reserve octets; false, and nothing is reserved, when min_free would not be
 * kept or somebody removed the folder.  Local I/O at most five times a second,
 * without waiting for a device.
 */
bool	space_take(struct space *, uint64_t octets);
/* Give a reservation back; `written` of it are on the disk now. */
void	space_give(struct space *, uint64_t octets, uint64_t written);

#endif
