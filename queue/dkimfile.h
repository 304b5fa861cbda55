/*
 * Files that hold a key: where a new one will lie, how it is made, and how one
 * is opened.
 */
#ifndef CULVER_QUEUE_DKIMFILE_H
#define CULVER_QUEUE_DKIMFILE_H

#include "conf/mem.h"

/*
 * Where will this new file lie: the real path of its folder, and its name
 * behind that?  Local I/O; nothing is made.  0: appended to *path.  Else an
 * exit status (conf/control.h), and *why has a sentence appended: there is no
 * such folder, or a dkim line could not name the path.
 */
int	dkimfile_place(const char *file, struct buffer *path,
	    struct buffer *why);
/*
 * Make a file that is its owner's alone, with these octets in it, on stable
 * storage.  Local I/O.  False: errno says why, EEXIST that it is there
 * already, untouched; none is left that is not whole.
 */
bool	dkimfile_make(const char *path, const struct buffer *octets);

/*
 * Open a key file to be read; what is no file is not waited for.  Local I/O.
 * The descriptor, and *warning has a sentence appended if culverd would not
 * take a file like this.  -1: an exit status in *status, a sentence appended
 * to *why.
 */
int	dkimfile_open(const char *file, struct buffer *warning, int *status,
	    struct buffer *why);

#endif
