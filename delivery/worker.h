/*
 * The spawner and its workers: processes forked from culver-delivery.
 */
#ifndef CULVER_WORKER_H
#define CULVER_WORKER_H

#include "conf/config.h"

/*
 * Fork the spawner.  Call once confined and before any work has come: what
 * memory holds now, every worker holds.  bundle_fd: the CA bundle (closed
 * here, the spawner has it), -1: none.  Returns the manager's end of the
 * link (spawner_wire), in the manager only.
 */
int	worker_fork_spawner(const struct config *config, int bundle_fd);

#endif
