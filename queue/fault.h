/*
 * A fault (SIGSEGV, SIGBUS, SIGABRT) while a store is open: may be damage of
 * its files, which makes the database step into nowhere.
 */
#ifndef CULVER_QUEUE_FAULT_H
#define CULVER_QUEUE_FAULT_H

#include <stdbool.h>

/*
 * From now on a fault leaves `name` behind in that folder (borrowed, one at a
 * time; -1: none), with a letter: `r` where it came during recovery, `f` else.
 * The process ends by the fault as it would have.
 */
void	fault_watch(int dir_fd, const char *name, bool recovering);
/* Has one come during recovery?  Local I/O. */
bool	fault_in_recovery(int dir_fd, const char *name);

#endif
