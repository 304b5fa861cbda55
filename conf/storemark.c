/*
 * How far was the log on stable storage?
 *
 * Called by storeenv.c.  A page of a file is mapped; the note is 12 octets in
 * one sector, file and offset and their CRC, so that no half of it is ever
 * believed.
 */
#include "conf/storemark.h"

#include "conf/store.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE_OCTETS	4096

struct note {
	uint32_t	file, offset, crc;
};

struct storemark {
	void	*page;
};

static uint32_t
crc_of(const struct note *note)
{
	/* Zeroes are no note. */
	return ~store_crc(0, note, offsetof(struct note, crc));
}

struct storemark *
storemark_open(int dir_fd)
{
	int fd = openat(dir_fd, STOREMARK_FILE, O_RDWR | O_CREAT | O_CLOEXEC |
	    O_NOFOLLOW, 0600);
	struct storemark *mark;
	void *page = MAP_FAILED;

	if (fd == -1)
		return NULL;
	/* Blocks of its own, or a full disk would end us by a signal. */
	if (posix_fallocate(fd, 0, PAGE_OCTETS) == 0)
		page = mmap(NULL, PAGE_OCTETS, PROT_READ | PROT_WRITE,
		    MAP_SHARED, fd, 0);
	close(fd);
	if (page == MAP_FAILED)
		return NULL;
	mark = mem_alloc(sizeof(*mark));
	mark->page = page;
	return mark;
}

void
storemark_close(struct storemark **mark)
{
	if (*mark != NULL)
		munmap((*mark)->page, PAGE_OCTETS);
	free(*mark);
	*mark = NULL;
}

void
storemark_set(struct storemark *mark, const struct storefile_end *end)
{
	struct note note = { end->file, end->offset, 0 };

	if (mark == NULL)
		return;
	note.crc = crc_of(&note);
	memcpy(mark->page, &note, sizeof(note));
}

bool
storemark_read(int dir_fd, struct storefile_end *end)
{
	int fd = openat(dir_fd, STOREMARK_FILE, O_RDONLY | O_CLOEXEC |
	    O_NOFOLLOW);
	struct note note;
	bool good;

	if (fd == -1)
		return false;
	good = read(fd, &note, sizeof(note)) == sizeof(note) &&
	    note.crc == crc_of(&note);
	close(fd);
	if (good)
		*end = (struct storefile_end){ note.file, note.offset };
	return good;
}
