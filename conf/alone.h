/*
 * How a private program begins without a relay: `NAME ctl [-c FILE] ...', as
 * culverctl runs it.
 */
#ifndef CULVER_ALONE_H
#define CULVER_ALONE_H

#include "config.h"
#include "proc.h"

/*
 * Which configuration is asked for?  Takes "-c FILE" off what stands behind
 * "ctl", and names the program in its messages, of which only errors are
 * said.  Returns FILE, part of argv, or NULL: the standard one.  Pure
 * otherwise.
 */
const char	*alone_begin(enum program, int *argc, char ***argv);
/*
 * Read it.  Local I/O.  Returns settings that the caller frees; where they
 * cannot be read it says why and ends the program with CONTROL_DATA.
 */
struct config	*alone_config(const char *file);
/*
 * Go into the program's own folder under the spool, and confine it there as
 * its row says (proc_path is good afterwards).  Local I/O.  Returns 0, or the
 * exit status after a sentence: CONTROL_DENIED where it is another account's,
 * CONTROL_AGAIN where there is no such folder (its disk may not be there yet).
 */
int		 alone_enter(enum program, const struct config *,
		    const char *folder);

#endif
