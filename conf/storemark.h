/*
 * How far was the log on stable storage?
 *
 * The library takes a damaged record in its last log file for the end of the
 * log, as after a power loss, and goes on from there without a word.  A place
 * that is noted here after each flush tells the two apart: a log that ends
 * before it lost what was acknowledged.
 */
#ifndef CULVER_STOREMARK_H
#define CULVER_STOREMARK_H

#include "storefile.h"

#define STOREMARK_FILE	"flushed"

struct storemark;

/* Made when missing; NULL when it cannot be: then nothing is noted. */
struct storemark *storemark_open(int dir_fd);
void	 storemark_close(struct storemark **);	/* NULL is fine */
/*
 * All of the log before that place is on stable storage.  A write to memory
 * that the kernel keeps when we are killed and writes away when it likes: what
 * lies on disk is never further than the truth.  NULL is fine.
 */
void	 storemark_set(struct storemark *, const struct storefile_end *);
/* What was noted; false: nothing, or it is damaged.  Local I/O. */
bool	 storemark_read(int dir_fd, struct storefile_end *);

#endif
