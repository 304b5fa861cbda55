/*
 * culver-delivery: the manager of deliveries.
 *
 * Started by culverd.  It lets the TLS library open what it wants, confines
 * itself, forks the spawner while it still knows nothing that a worker should
 * not have, and then serves queue's destinations in a loop: manager.c.
 */
#include "conf/log.h"
#include "conf/parent.h"
#include "delivery/manager.h"
#include "delivery/tls.h"
#include "delivery/worker.h"

#include <unistd.h>

static void
on_link(void *context, enum program peer, int fd)
{
	manager_link(context, peer, fd);
}

static void
on_settings(void *context, struct config *config, int bundle_fd)
{
	manager_settings(context, config, bundle_fd);
}

static void
on_stop(void *context)
{
	manager_stop(context);
}

int
main(void)
{
	static const struct parent_calls calls = {
		.link = on_link, .settings = on_settings, .stop = on_stop
	};
	struct proc_start start;
	struct manager *manager;
	struct loop *loop;
	int spawner_fd;
	size_t i;

	proc_begin(PROGRAM_DELIVERY, &start);
	tls_begin();
	proc_confine(PROGRAM_DELIVERY, start.config, NULL);
	spawner_fd = worker_fork_spawner(start.config, start.ca_fd);
	loop = loop_new();
	manager = manager_new(loop, start.config, spawner_fd);
	for (i = 0; i < start.links_n; i++)
		manager_link(manager, start.links[i].peer, start.links[i].fd);
	parent_serve(loop, &calls, manager);
	loop_run(loop);
	return 0;
}
