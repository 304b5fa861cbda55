/*
 * Which process talks to this server?
 *
 * Called by channel.c.  A worker is asked of the spawner by sending it one
 * end of a link; messages for the worker may be written at once.  Idle ones
 * are kept for the next connection, a few of them, and end after a while.
 * Workers made before the CA bundle changed end with their session.
 *
 * It learns of a worker's death by its link alone, and waits for none: that
 * is the kernel's business.  What a worker says goes to channel.c, which
 * believes no more of it than concerns its own session.
 */
#include "delivery/manager.h"

#include "conf/log.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define IDLE_MAX	8
#define IDLE_MS		(60 * 1000)

struct pool_worker {
	LIST_ENTRY(pool_worker)	 entry;
	struct manager		*manager;
	struct link		*link;
	struct channel		*channel;	/* NULL: idle */
	struct timer		*idle;
	unsigned		 generation;
};

static void
worker_free(struct pool_worker *worker)
{
	if (worker->channel == NULL)
		worker->manager->idle_workers--;
	LIST_REMOVE(worker, entry);
	timer_free(&worker->idle);
	link_close(&worker->link);
	free(worker);
}

static void
pass_log(const struct w_log *log)
{
	/* A worker's line stays one line of ours, whatever is in it. */
	log_line((enum log_level)log->level, "%s", log->line);
}

static void
on_message(void *context, struct link *link, unsigned kind,
    const void *message, int *fds)
{
	struct pool_worker *worker = context;

	(void)link;
	(void)fds;
	if (kind == W_LOG)
		pass_log(message);
	else if (worker->channel != NULL)
		channel_take(worker->channel, kind, message);
	else
		pool_end(worker);
}

static void
on_closed(void *context, struct link *link)
{
	struct pool_worker *worker = context;
	struct channel *channel = worker->channel;

	(void)link;
	/* The link frees itself after this call. */
	worker->link = NULL;
	if (channel != NULL) {
		channel->worker = NULL;
		channel_worker_gone(channel);
	}
	worker_free(worker);
}

static const struct link_calls calls = {
	.message = on_message, .closed = on_closed
};

static void
on_idle(void *context)
{
	pool_end(context);
}

static struct pool_worker *
spawn(struct manager *manager)
{
	struct pool_worker *worker;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		fatal("socketpair");
	worker = mem_alloc(sizeof(*worker));
	worker->manager = manager;
	worker->generation = manager->generation;
	worker->idle = timer_new(manager->loop, on_idle, worker);
	worker->link = link_new(manager->loop, pair[0], &worker_wire, &calls,
	    worker);
	LIST_INSERT_HEAD(&manager->workers, worker, entry);
	manager->idle_workers++;
	link_send(manager->spawner, W_SPAWN, NULL, &pair[1]);
	return worker;
}

void
pool_take(struct channel *channel)
{
	struct manager *manager = channel->manager;
	struct pool_worker *worker;

	LIST_FOREACH(worker, &manager->workers, entry)
		if (worker->channel == NULL)
			break;
	if (worker == NULL)
		worker = spawn(manager);
	timer_stop(worker->idle);
	manager->idle_workers--;
	worker->channel = channel;
	channel->worker = worker;
}

void
pool_send(struct pool_worker *worker, unsigned kind, const void *message,
    const int *fds)
{
	link_send(worker->link, kind, message, fds);
}

void
pool_release(struct pool_worker *worker)
{
	struct manager *manager = worker->manager;

	worker->channel->worker = NULL;
	worker->channel = NULL;
	manager->idle_workers++;
	if (worker->generation != manager->generation ||
	    manager->idle_workers > IDLE_MAX)
		pool_end(worker);
	else
		timer_set(worker->idle, IDLE_MS);
}

void
pool_end(struct pool_worker *worker)
{
	if (worker->channel != NULL)
		worker->channel->worker = NULL;
	worker_free(worker);
}

/* ---- the spawner ---- */

static void
on_spawner_message(void *context, struct link *link, unsigned kind,
    const void *message, int *fds)
{
	(void)context;
	(void)link;
	(void)message;
	(void)fds;
	bug("the spawner says %#x", kind);
}

/* Its workers died with it; we begin anew, queue has what was ours. */
static void
on_spawner_closed(void *context, struct link *link)
{
	(void)context;
	(void)link;
	log_line(LOG_LEVEL_ERROR, "the spawner of workers is gone: "
	    "starting again");
	exit(1);
}

static const struct link_calls spawner_calls = {
	.message = on_spawner_message, .closed = on_spawner_closed
};

void
pool_begin(struct manager *manager, int spawner_fd)
{
	LIST_INIT(&manager->workers);
	manager->spawner = link_new(manager->loop, spawner_fd, &spawner_wire,
	    &spawner_calls, manager);
}

void
pool_set_bundle(struct manager *manager, int bundle_fd)
{
	struct pool_worker *worker, *next;

	manager->generation++;
	link_send(manager->spawner, W_BUNDLE, NULL, &bundle_fd);
	for (worker = LIST_FIRST(&manager->workers); worker != NULL;
	    worker = next) {
		next = LIST_NEXT(worker, entry);
		if (worker->channel == NULL)
			worker_free(worker);
	}
}
