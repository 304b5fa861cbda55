/*
 * A spool on disk without a queue around it, in a folder of its own, for each
 * test.
 */
#ifndef CULVER_SPOOL_FIXTURE_H
#define CULVER_SPOOL_FIXTURE_H

#include "queue_fixture.h"

struct disk {
	char		 dir[64];
	struct spool	*spool;
};

static inline void
open_disk(struct disk *disk)
{
	char error[256];

	disk->spool = spool_open(disk->dir, error, sizeof(error));
	if (disk->spool == NULL)
		fail_msg("%s", error);
}

static inline int
make_disk(void **state)
{
	struct disk *disk = mem_alloc(sizeof(*disk));

	log_to(keep_line, NULL);
	snprintf(disk->dir, sizeof(disk->dir), "/tmp/spoolXXXXXX");
	assert_non_null(mkdtemp(disk->dir));
	open_disk(disk);
	*state = disk;
	return 0;
}

static inline int
remove_disk(void **state)
{
	struct disk *disk = *state;

	spool_close(&disk->spool);
	nftw(disk->dir, remove_one_path, 16, FTW_DEPTH | FTW_PHYS);
	free(disk);
	return 0;
}

static inline void
reopen(struct disk *disk)
{
	spool_close(&disk->spool);
	open_disk(disk);
}

static inline void
commit(struct disk *disk)
{
	spool_want_flush(disk->spool);
	assert_int_equal(spool_turn_end(disk->spool), STORE_DURABLE);
}

#endif
