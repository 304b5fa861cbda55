/*
 * The system calls that a program may make: named sets, and the seccomp
 * filter that refuses all others.
 */
#ifndef CULVER_FILTER_H
#define CULVER_FILTER_H

#include <stdbool.h>

/* Every program has what a running program needs; these come on top. */
enum {
	FILTER_PIPES = 1 << 0,		/* make pipes */
	FILTER_FILES = 1 << 1,		/* open and change files */
	FILTER_ACCEPT = 1 << 2,		/* take connections from a listener */
	FILTER_CONNECT = 1 << 3,	/* IPv4 and IPv6 sockets, connect */
	FILTER_BIND = 1 << 4,		/* choose the source address */
	FILTER_PAIR = 1 << 5,		/* make pairs of local sockets */
	FILTER_FORK = 1 << 6		/* fork workers, confine them further */
};

/*
 * Let this process, for ever, make only the system calls of these sets; what
 * was loaded before goes on to hold as well.  Needs no_new_privs.
 * Returns how many calls are allowed, or -1 with errno: then nothing holds.
 */
int	filter_load(unsigned sets);
/* Does a refused call fail (true), or is it only logged by the kernel? */
bool	filter_enforces(void);
/* "base, pipes, accept" for these sets, into text.  Pure.  Returns text. */
const char *filter_words(unsigned sets, char *text, unsigned size);

#endif
