/*
 * Where do the private programs lie?  Beside whoever asks: installed, in
 * PREFIX/libexec/culver; in a build, in build/libexec.
 */
#ifndef CULVER_BESIDE_H
#define CULVER_BESIDE_H

#include "proc.h"

/*
 * Open a private program for execution (O_PATH): a descriptor to be executed
 * by beside_execute, or -1 with errno.  Local I/O.
 */
int	beside_open(enum program);
/* Execute it with our environment; returns only with errno set. */
void	beside_execute(int fd, char *const *argv);

#endif
