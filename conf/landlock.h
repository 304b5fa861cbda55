/*
 * Landlock, by its bare system calls: no file but those of one folder.
 */
#ifndef CULVER_LANDLOCK_H
#define CULVER_LANDLOCK_H

#include <stdbool.h>

/*
 * From here on this process opens nothing but what lies in directory (NULL:
 * nothing at all), reaches no abstract socket and no process outside, and,
 * unless connects, begins no TCP connection and binds no port.  Needs
 * no_new_privs.  Local I/O.
 * Returns the kernel's Landlock version (what it does not know is left out),
 * or -1 with errno.
 */
int	landlock_confine(const char *directory, bool connects);

#endif
