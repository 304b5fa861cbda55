/*
 * The verb `queue backup DIR`.
 */
#ifndef CULVER_QUEUE_BACKUPCTL_H
#define CULVER_QUEUE_BACKUPCTL_H

#include "conf/control.h"

/*
 * Say a backup as conf/unpack.h has it, a piece a slice; DIR is where the
 * caller puts it, and is for the log alone.  For the table of verbs.
 */
void	backupctl_run(void *program, struct control *, int argc,
	    char **argv);

#endif
