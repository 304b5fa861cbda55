/*
 * Lines of a configuration file and of those that it includes.
 */
#ifndef CULVER_CONFIGFILE_H
#define CULVER_CONFIGFILE_H

#include "mem.h"

#include <stdbool.h>

/*
 * Call take for each line, in order: where it stands ("FILE:LINE"), its
 * keyword, and its value as written.  take returns false, with a sentence in
 * *why, for one that is wrong.
 * Local I/O.  Returns false when anything was wrong, with a line for each
 * fault in *error (20 at most): "FILE:LINE: sentence".
 */
bool	configfile_read(const char *file, bool (*take)(void *context,
	    const char *where, const char *keyword, const char *value,
	    struct buffer *why), void *context, struct buffer *error);

#endif
