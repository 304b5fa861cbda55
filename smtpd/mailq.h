/*
 * mailq: the queue as Postfix prints it.
 */
#ifndef CULVER_MAILQ_H
#define CULVER_MAILQ_H

#include "conf/config.h"

/*
 * Print the queue to standard output; callers without rights see their own
 * messages.  May block, at most a minute for each piece of the answer.
 * Returns the exit status, after a line on standard error when it is not 0.
 * config_file is what -C said, or NULL.
 */
int	mailq(const struct config *config, const char *config_file);

#endif
