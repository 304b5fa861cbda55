/*
 * A configuration as a whole.  Private to config.c.
 */
#ifndef CULVER_CONFIGWHOLE_H
#define CULVER_CONFIGWHOLE_H

#include "config.h"

/*
 * Fill in what the operator left out and the table has no default for.
 * Local I/O: /etc/hosts, /etc/mailname, the node's name.
 */
void	configwhole_finish(struct config *);
/*
 * Do the settings agree?  Pure.  False, with a line in *error that names the
 * keyword and where it stands.
 */
bool	configwhole_check(const struct config *, struct buffer *error);
/* Log what is taken and hardly meant, a line each. */
void	configwhole_warn(const struct config *);

#endif
