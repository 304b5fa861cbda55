/*
 * culver-queue: what do we still owe, to whom, and when?
 *
 * Started by culverd; or, with the word `ctl`, by culverctl without a relay,
 * to answer one verb in the same confinement and behind the same lock.  Puts
 * the parts together and passes links on; the work is in turn.c and below.
 *
 * States: serving; stopping (nothing new is taken or handed out, what is in
 * DATA or with delivery has its time; then the store is closed).
 */
#include "conf/alone.h"
#include "conf/control.h"
#include "conf/log.h"
#include "conf/parent.h"
#include "conf/proc.h"
#include "conf/unpack.h"
#include "queue/ctl.h"
#include "queue/turn.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STOP_MS		65000	/* culverd has killed us before */
#define STOP_LOOK_MS	100

struct running {
	struct queue	*queue;
	struct config	*config;
	struct timer	*stop_timer;
	int64_t		 stop_ms;	/* the latest, monotonic */
};

/*
 * Why it could not be opened, with the path that an operator knows: in a
 * chroot our folder is "/".
 */
static void
name_folder(const char *folder, const char *error, struct buffer *text)
{
	const char *here = proc_path("");
	size_t len = strlen(here);

	if (strncmp(error, here, len) != 0)
		buffer_add(text, slice_of(error));
	else
		buffer_printf(text, "%s%s%s", folder, error[len] == ' ' ||
		    error[len] == '/' ? "" : "/", error + len);
}

/* Open the queue in our folder, after confinement.  NULL, and why. */
static struct spool *
open_spool(const char *folder, struct buffer *why)
{
	char error[512];
	struct spool *spool = spool_open(proc_path(""), error, sizeof(error));

	if (spool == NULL)
		name_folder(folder, error, why);
	return spool;
}

static struct spool *
open_or_end(const char *folder)
{
	struct buffer why = { NULL, 0, 0 };
	struct spool *spool = open_spool(folder, &why);

	errno = 0;
	if (spool == NULL)
		fatal("%s", why.text);
	return spool;
}

static char *
folder_of(const struct config *config)
{
	struct buffer path = { NULL, 0, 0 };

	buffer_printf(&path, "%s/queue", config->spool);
	return path.text;
}

/* ---- with a parent ---- */

static void
on_link(void *context, enum program peer, int fd)
{
	struct running *running = context;

	if (peer == PROGRAM_SMTPD)
		receive_serve(running->queue->receiver, fd);
	else if (peer == PROGRAM_REPORTS)
		receive_serve_reports(running->queue->receiver, fd);
	else if (peer == PROGRAM_DELIVERY)
		dispatch_serve(running->queue->dispatch, fd);
	else if (peer == PROGRAM_SIGN)
		signer_serve(running->queue->signer, fd);
	else
		close(fd);
}

static void
on_connection(void *context, const struct p_connection *connection, int fd)
{
	struct running *running = context;

	if (connection->socket == PROC_CONTROL)
		control_serve(running->queue->loop, fd, connection->uid,
		    connection->admin, queue_verbs, running->queue);
	else
		close(fd);
}

static void
on_settings(void *context, struct config *config, int ca_fd)
{
	struct running *running = context;

	turn_configure(running->queue, config);
	config_free(&running->config);
	running->config = config;
	if (ca_fd != -1)
		close(ca_fd);
}

/* Is all said and done, or the time over? */
static void
on_stop_timer(void *context)
{
	struct running *running = context;

	if ((receive_idle(running->queue->receiver) &&
	    dispatch_idle(running->queue->dispatch)) ||
	    loop_now_ms() >= running->stop_ms)
		loop_stop(running->queue->loop);
	else
		timer_set(running->stop_timer, STOP_LOOK_MS);
}

static void
on_stop(void *context)
{
	struct running *running = context;

	receive_stop(running->queue->receiver);
	dispatch_stop(running->queue->dispatch);
	if (running->stop_ms != 0)
		return;
	running->stop_ms = loop_now_ms() + STOP_MS;
	timer_set(running->stop_timer, 0);
}

static void
serve(void)
{
	static const struct parent_calls calls = {
		.link = on_link, .connection = on_connection,
		.settings = on_settings, .stop = on_stop
	};
	struct running running = { .stop_ms = 0 };
	struct proc_start start;
	struct spool *spool;
	struct loop *loop;
	char *folder;

	proc_begin(PROGRAM_QUEUE, &start);
	running.config = start.config;
	folder = folder_of(start.config);
	proc_confine(PROGRAM_QUEUE, start.config, folder);
	signal(SIGPIPE, SIG_IGN);
	spool = open_or_end(folder);
	loop = loop_new();
	running.queue = turn_new(loop, spool, running.config);
	running.stop_timer = timer_new(loop, on_stop_timer, &running);
	for (size_t i = 0; i < start.links_n; i++)
		on_link(&running, start.links[i].peer, start.links[i].fd);
	signer_hurry(running.queue->signer);
	parent_serve(loop, &calls, &running);
	loop_run(loop);
	timer_free(&running.stop_timer);
	turn_free(&running.queue);
	spool_close(&spool);
	config_free(&running.config);
	free(folder);
}

/* ---- without ---- */

/* Nothing mends a backup that was cut off; what else stops us may pass. */
static int
refuse_alone(const struct buffer *why)
{
	fprintf(stderr, "culverctl: %s\n", why->text);
	return access(proc_path(UNPACK_INCOMPLETE), F_OK) == 0 ?
	    CONTROL_DATA : CONTROL_AGAIN;
}

static int
run_alone(int argc, char **argv)
{
	struct config *config = alone_config(alone_begin(PROGRAM_QUEUE,
	    &argc, &argv));
	struct buffer why = { NULL, 0, 0 };
	struct spool *spool;
	struct queue *queue;
	struct loop *loop;
	int status = alone_enter(PROGRAM_QUEUE, config, "queue");

	if (status != 0)
		return status;
	spool = open_spool(folder_of(config), &why);
	if (spool == NULL)
		return refuse_alone(&why);
	loop = loop_new();
	queue = turn_new(loop, spool, config);
	log_set_level(LOG_LEVEL_INFO);
	status = control_run(queue_verbs, queue, argc, argv);
	turn_free(&queue);
	spool_close(&spool);
	return status;
}

int
main(int argc, char **argv)
{
	if (argc >= 2 && strcmp(argv[1], "ctl") == 0)
		return run_alone(argc - 2, argv + 2);
	serve();
	return 0;
}
