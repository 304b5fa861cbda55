/*
 * Connections for the manager: begun without waiting.
 */
#ifndef CULVER_CONNECT_H
#define CULVER_CONNECT_H

#include "conf/config.h"

#define CONNECT_PORT	25	/* of all but relayhosts */

/*
 * Begin to connect: local I/O, does not block.  turn chooses among several
 * addresses of `bind`.  Returns the descriptor (non-blocking, close-on-exec,
 * TCP_NODELAY), which is writable when it is decided; or -1 with the reason
 * in text.
 */
int	connect_begin(const struct address *to, uint16_t port,
	    const struct config *config, uint64_t turn, char *text,
	    size_t size);
/* Is it connected?  0, or the errno that says why not. */
int	connect_result(int fd);
/* Our own address of a connection; false: unknown. */
bool	connect_own_address(int fd, struct address *address);
/*
 * Put a host's addresses into the order in which they are tried.  Asks the
 * kernel for its way to each; sends nothing.  SMTP-5.1-13
 */
void	connect_order(struct address *addresses, unsigned n,
	    const struct config *config);

#endif
