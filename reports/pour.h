/*
 * Octets into a pipe that another program reads in its own time.
 */
#ifndef CULVER_POUR_H
#define CULVER_POUR_H

#include "conf/loop.h"
#include "conf/mem.h"

struct pour;

/*
 * A pipe for another program: ends[0] to read, blocking as that program
 * wishes; ends[1] to write, non-blocking.  Ends the program when there is
 * none to be had.
 */
void	 pour_pipe(int ends[2]);
/*
 * Write octets (borrowed until the end) into fd (taken over, non-blocking),
 * and close it.  call is made once, from the loop, never inside this call:
 * whole is false when the reader went away.  It may free the pour.  SIGPIPE
 * must be ignored.
 */
struct pour	*pour_new(struct loop *, int fd, struct slice octets,
		    void (*call)(void *context, bool whole), void *context);
/* Stop, if it still runs (without the call).  NULL is fine. */
void	 pour_free(struct pour **);

#endif
