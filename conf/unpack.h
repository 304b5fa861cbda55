/*
 * Files that a program says, one after the other, into an empty folder:
 * `queue backup DIR`.
 *
 * The program may write nowhere but in its own folder, so it says what the
 * files hold, and culverctl writes them.  What is said are pieces, each a line
 * "NAME SIZE" and that many octets (pieces of a file follow each other), and
 * then the line "end".
 */
#ifndef CULVER_UNPACK_H
#define CULVER_UNPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Stands in the folder until all of it is there and on stable storage. */
#define UNPACK_INCOMPLETE	"incomplete"

struct unpack;

/*
 * Make the folder (0700), or take one that is empty; UNPACK_INCOMPLETE is in
 * it then.  Local I/O.  NULL, a sentence in error and errno, when it is not
 * so.
 */
struct unpack	*unpack_new(const char *dir, char *error, size_t error_size);
/*
 * Octets of what is said, cut anywhere.  Names are of few letters, and of no
 * folder but "bodies": whoever says them is not trusted.  A file that is whole
 * is on stable storage.  Local I/O.  False, and a sentence in error: it cannot
 * be written, or is not such.
 */
bool	 unpack_add(struct unpack *, const void *octets, size_t len,
	    char *error, size_t error_size);
/* How much is there? */
void	 unpack_count(const struct unpack *, uint64_t *files,
	    uint64_t *octets);
/*
 * No more comes.  True: all was said and is on stable storage, the names as
 * well, and UNPACK_INCOMPLETE is gone.  False: it stays, but a folder for
 * which nothing was said is as it was.  Local I/O; nulls the pointer.
 */
bool	 unpack_end(struct unpack **);

#endif
