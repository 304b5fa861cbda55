/*
 * Which programs run, and what happens when one of them dies?
 *
 * Called by culverd alone.  Two tables say what there is: `plans`, the
 * programs, and `wires`, the links between them.  A program is started by
 * fork and exec, told settings, descriptors and links, and then P_GO; when it
 * dies it is started again by itself, after 1 s at first and 60 s at most,
 * and its peers get fresh links.  Start and restart are the same path.  What
 * the configuration calls for no longer is stopped, what it newly calls for is
 * started (SIGHUP).
 *
 * States of a child: absent (not called for, or its work is done), starting,
 * ready, waiting (dead, to be started again), stopped (dead for good).  A dead
 * one's link is read to its end first: its log lines say why it died.  One
 * that was told to end while all others go on is leaving: it gets no links.
 *
 * It knows no socket but the links; see doors.c for those.
 */
#include "conf/children.h"

#include "conf/beside.h"
#include "conf/link.h"
#include "conf/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define BACKOFF_FIRST_MS	1000
#define BACKOFF_MOST_MS		60000
/* One that ran so long is started again at once, as if it were the first. */
#define STEADY_MS		60000
/* One that is not called for any more has so long to end. */
#define LEAVE_MS		12000
/* One that closed its link but did not exit. */
#define EXIT_MS			3000
/* A link that outlives its program, because a worker still holds it. */
#define LAST_WORDS_MS		500

/*
 * The order of stopping: who speaks with the world; then reports, which
 * delivery tells and which hands in to queue; then who keeps, and whom these
 * ask.  Each stage has its time: deliveries past a final dot have 60 s, and
 * some to say so.
 */
enum stage { WORLD, REPORTS, KEEPERS, STAGES_N };
static const int64_t stage_ms[STAGES_N] = { 65000, 8000, 12000 };

struct plan {
	enum program	 program;
	enum stage	 stage;
	const char	*class;		/* argv[1], or NULL */
	const char	*folder;	/* its own, under the spool, or NULL */
	bool		 owner;		/* the account: of the spool's owner */
	bool		 on_demand;	/* a peer or a listener calls for it */
	bool		 ca;		/* gets the bundle */
	bool		 keys;		/* gets the private keys */
	/* Does the configuration call for it?  NULL: always.  Mail flows
	 * without a program that may be left out. */
	bool		(*wanted)(const struct config *);
};

static bool
wants_reports(const struct config *config)
{
	return config->tls_report;
}

static bool
wants_sign(const struct config *config)
{
	return config->dkim_n > 0;
}

static const struct plan plans[] = {
	{ PROGRAM_QUEUE, KEEPERS, .folder = "queue", .owner = true },
	{ PROGRAM_POLICY, KEEPERS, .folder = "policy", .owner = true },
	{ PROGRAM_SIGN, KEEPERS, .owner = true, .keys = true,
	  .wanted = wants_sign },
	{ PROGRAM_REPORTS, REPORTS, .folder = "reports", .owner = true,
	  .wanted = wants_reports },
	{ PROGRAM_DELIVERY, WORLD, .ca = true },
	{ PROGRAM_SMTPD, WORLD, .class = "local" },
	/* When a listener is not on loopback. */
	{ PROGRAM_SMTPD, WORLD, .class = "open", .on_demand = true },
	/* When policy or reports ask. */
	{ PROGRAM_FETCH, KEEPERS, .on_demand = true, .ca = true },
};
#define CHILDREN_N	(sizeof(plans) / sizeof(plans[0]))

static const enum program wires[][2] = {
	{ PROGRAM_SMTPD, PROGRAM_QUEUE },
	{ PROGRAM_QUEUE, PROGRAM_DELIVERY },
	{ PROGRAM_DELIVERY, PROGRAM_POLICY },
	{ PROGRAM_POLICY, PROGRAM_FETCH },
	{ PROGRAM_QUEUE, PROGRAM_SIGN },
	{ PROGRAM_DELIVERY, PROGRAM_REPORTS },
	{ PROGRAM_POLICY, PROGRAM_REPORTS },
	{ PROGRAM_REPORTS, PROGRAM_QUEUE },
	{ PROGRAM_REPORTS, PROGRAM_FETCH },
};
#define WIRES_N	(sizeof(wires) / sizeof(wires[0]))

enum state { ABSENT, STARTING, READY, WAITING, STOPPED };
static const char *const state_names[] = {
	"not needed", "starting", "ready", "waiting", "stopped"
};

struct alarm {
	struct alarm	*next;
	char		 what[64];
	char		 text[512];
	int64_t		 since;
};
struct step {
	struct step		*next;
	struct p_confined	 confined;
};
struct listener {
	struct listener		*next;
	const char		*class;
	struct p_listener	 listener;
	int			 fd;		/* the caller's */
};

struct child {
	struct children		*all;
	const struct plan	*plan;
	enum state		 state;
	pid_t			 pid;		/* 0: none */
	struct link		*link;
	int			 program_fd;	/* to execute */
	int			 folder_fd;	/* to live in */
	int64_t			 started_ms;
	int64_t			 since;		/* wall clock, of state */
	int64_t			 backoff_ms;
	unsigned		 restarts;
	bool			 needed;	/* again, after its exit */
	bool			 leaving;	/* was told to end, alone */
	int			 status;	/* of waitpid, once pid is 0 */
	struct timer		*timer;
	struct alarm		*alarms;	/* of its own making */
	struct alarm		*dead;		/* that it died */
	struct step		*steps;
};

struct children {
	struct loop			*loop;
	const struct config		*config;
	struct account			 owner, net;
	const struct children_calls	*calls;
	void				*context;
	struct child			 child[CHILDREN_N];
	struct listener			*listeners;
	char				 resolvers[1024];
	/* Of culverd's own: files that cannot be opened. */
	struct alarm			*keys, *ca;
	bool				 started;	/* all of them */
	bool				 was_ready;
	bool				 stopping;
	enum stage			 stage;		/* of stopping */
	struct timer			*stop_timer;
};

static void	spawn(struct child *child);
static void	on_death(struct child *child);
static void	on_timer(void *context);
static void	next_stop_stage(struct children *all);

static const char *
name_of(const struct child *child)
{
	return program_name(child->plan->program);
}

/* As far as the configuration goes. */
static bool
is_wanted(const struct child *child)
{
	return child->plan->wanted == NULL ||
	    child->plan->wanted(child->all->config);
}

static void
set_state(struct child *child, enum state state)
{
	child->state = state;
	child->since = loop_wall_s();
}

/* ---- alarms and confinement steps, as told ---- */

static void
alarm_raise(struct alarm **list, const char *what, const char *text)
{
	while (*list != NULL && strcmp((*list)->what, what) != 0)
		list = &(*list)->next;
	if (*list == NULL) {
		*list = mem_alloc(sizeof(**list));
		(*list)->since = loop_wall_s();
		snprintf((*list)->what, sizeof((*list)->what), "%s", what);
	}
	snprintf((*list)->text, sizeof((*list)->text), "%s", text);
}

static void
alarm_end(struct alarm **list, const char *what)
{
	struct alarm *old;

	while (*list != NULL && strcmp((*list)->what, what) != 0)
		list = &(*list)->next;
	old = *list;
	if (old == NULL)
		return;
	*list = old->next;
	free(old);
}

static void
forget_alarms(struct alarm **list)
{
	while (*list != NULL)
		alarm_end(list, (*list)->what);
}

static void
forget_steps(struct child *child)
{
	struct step *step;

	while ((step = child->steps) != NULL) {
		child->steps = step->next;
		free(step);
	}
}

/* Keep a step behind those before it, up to what a program can have. */
static void
keep_step(struct child *child, const struct p_confined *confined)
{
	struct step **at = &child->steps;
	unsigned n;

	for (n = 0; *at != NULL; n++)
		at = &(*at)->next;
	if (n >= 16)
		return;
	*at = mem_alloc(sizeof(**at));
	(*at)->confined = *confined;
}

/* ---- what a child is told ---- */

static void
send_setting(void *context, const char *keyword, const char *value)
{
	struct p_setting message;

	snprintf(message.keyword, sizeof(message.keyword), "%s", keyword);
	snprintf(message.value, sizeof(message.value), "%s", value);
	link_send(context, P_SETTING, &message, NULL);
}

/* The CA bundle, opened anew: a descriptor that is shared has one offset. */
static void
send_ca(struct child *child)
{
	static const char *const bundles[] = {
		"/etc/ssl/certs/ca-certificates.crt",
		"/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"
	};
	const char *file = child->all->config->ca_file;
	char text[512];
	size_t i;
	int fd = -1;

	if (file != NULL)
		fd = open(file, O_RDONLY | O_CLOEXEC);
	for (i = 0; file == NULL && i < 3 && fd == -1; i++)
		fd = open(bundles[i], O_RDONLY | O_CLOEXEC);
	forget_alarms(&child->all->ca);
	if (fd == -1) {
		snprintf(text, sizeof(text), "no certificates are trusted: "
		    "%.400s: %s", file != NULL ? file : bundles[0],
		    strerror(errno));
		log_alarm("ca", "%s", text);
		alarm_raise(&child->all->ca, "ca", text);
		return;
	}
	link_send(child->link, P_CA, NULL, &fd);
}

/* A key, opened anew each time; one that cannot be is a standing alarm. */
static void
send_key(struct child *child, const struct config_dkim *dkim)
{
	struct p_key message;
	char text[512], what[64];
	int fd = open(dkim->file, O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

	if (fd == -1) {
		snprintf(what, sizeof(what), "dkim %.30s %.26s",
		    dkim->domain.name, dkim->selector);
		snprintf(text, sizeof(text), "%s: %s: nothing is signed with "
		    "it (dkim %.160s)", dkim->file, strerror(errno),
		    dkim->domain.name);
		log_alarm("dkim", "%s", text);
		alarm_raise(&child->all->keys, what, text);
		return;
	}
	snprintf(message.domain, sizeof(message.domain), "%s",
	    dkim->domain.name);
	snprintf(message.selector, sizeof(message.selector), "%s",
	    dkim->selector);
	snprintf(message.file, sizeof(message.file), "%s", dkim->file);
	link_send(child->link, P_KEY, &message, &fd);
}

static void
send_keys(struct child *child)
{
	const struct config *config = child->all->config;
	size_t i;

	forget_alarms(&child->all->keys);
	for (i = 0; i < config->dkim_n; i++)
		send_key(child, &config->dkim[i]);
}

static void
send_settings(struct child *child)
{
	link_send(child->link, P_SETTINGS, NULL, NULL);
	config_each(child->all->config, send_setting, child->link);
	if (child->plan->ca)
		send_ca(child);
	if (child->plan->keys)
		send_keys(child);
	link_send(child->link, P_SETTINGS_END, NULL, NULL);
}

static void
send_resolvers(struct child *child)
{
	struct p_resolvers message;

	if (child->plan->program != PROGRAM_POLICY)
		return;
	memcpy(message.text, child->all->resolvers, sizeof(message.text));
	link_send(child->link, P_RESOLVERS, &message, NULL);
}

static bool
serves_class(const struct child *child, const char *class)
{
	return child->plan->class != NULL &&
	    strcmp(child->plan->class, class) == 0;
}

static void
send_listener(struct child *child, const struct listener *listener)
{
	int fd = fcntl(listener->fd, F_DUPFD_CLOEXEC, 0);

	if (fd == -1)
		fatal("no descriptor for a listener");
	link_send(child->link, P_LISTENER, &listener->listener, &fd);
}

static void
send_listeners(struct child *child)
{
	const struct listener *listener;

	for (listener = child->all->listeners; listener != NULL;
	    listener = listener->next)
		if (serves_class(child, listener->class))
			send_listener(child, listener);
}

/* A pair of sockets, an end for each. */
static void
wire_up(struct child *one, struct child *other)
{
	struct p_program message;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0, ends) != 0)
		fatal("no link");
	message.program = other->plan->program;
	link_send(one->link, P_LINK, &message, &ends[0]);
	message.program = one->plan->program;
	link_send(other->link, P_LINK, &message, &ends[1]);
}

static bool
are_wired(enum program one, enum program other)
{
	size_t i;

	for (i = 0; i < WIRES_N; i++)
		if ((wires[i][0] == one && wires[i][1] == other) ||
		    (wires[i][1] == one && wires[i][0] == other))
			return true;
	return false;
}

/*
 * Fresh links to every peer that is there; one that is not will make its own
 * when it comes.
 */
static void
send_links(struct child *child)
{
	struct child *peer = child->all->child;
	size_t i;

	for (i = 0; i < CHILDREN_N; i++, peer++)
		if (peer != child && peer->link != NULL && !peer->leaving &&
		    are_wired(child->plan->program, peer->plan->program))
			wire_up(child, peer);
}

static void
tell(struct child *child)
{
	send_settings(child);
	send_resolvers(child);
	send_links(child);
	send_listeners(child);
	link_send(child->link, P_GO, NULL, NULL);
}

/* ---- what a child says ---- */

static void
check_all_ready(struct children *all)
{
	const struct child *child = all->child;
	size_t i;

	if (!all->started || all->was_ready || all->stopping)
		return;
	for (i = 0; i < CHILDREN_N; i++, child++) {
		if (child->state == READY || child->state == ABSENT ||
		    child->plan->program == PROGRAM_FETCH)
			continue;
		/* It died, which is said; mail does not wait for it. */
		if (child->state == WAITING && child->plan->wanted != NULL)
			continue;
		return;
	}
	all->was_ready = true;
	all->calls->ready(all->context);
}

static void
on_ready(struct child *child)
{
	struct event event;

	if (child->state != STARTING)
		return;
	set_state(child, READY);
	forget_alarms(&child->dead);
	event_begin(&event, LOG_LEVEL_INFO, "start");
	event_text(&event, "program", name_of(child));
	if (child->plan->class != NULL)
		event_text(&event, "class", child->plan->class);
	event_number(&event, "pid", child->pid);
	event_number(&event, "restarts", child->restarts);
	event_end(&event);
	check_all_ready(child->all);
}

/*
 * A link broke though both its programs may live (one did not read, or said
 * what cannot be): a fresh one.  A peer that is dead makes its own when it
 * comes back.
 */
static void
wire_anew(struct child *child, enum program wanted)
{
	struct child *peer = child->all->child;
	size_t i;

	for (i = 0; i < CHILDREN_N; i++, peer++)
		if (peer->plan->program == wanted && peer->link != NULL &&
		    peer->state == READY && !peer->leaving)
			wire_up(child, peer);
}

/*
 * A program wants another: policy or reports fetch, which is started; or a
 * peer.
 */
static void
on_need(struct child *child, enum program wanted)
{
	struct child *other = child->all->child;

	if (child->all->stopping || child->state != READY ||
	    child->leaving || !are_wired(child->plan->program, wanted))
		return;
	if (wanted != PROGRAM_FETCH) {
		wire_anew(child, wanted);
		return;
	}
	while (other->plan->program != wanted)
		other++;
	if (other->state == ABSENT)
		spawn(other);
	else
		other->needed = true;
}

static void
on_alarm(struct child *child, const struct p_alarm *alarm)
{
	if (alarm->standing)
		alarm_raise(&child->alarms, alarm->what, alarm->text);
	else
		alarm_end(&child->alarms, alarm->what);
}

static void
on_message(void *context, struct link *link, unsigned kind,
    const void *message, int *fds)
{
	struct child *child = context;

	(void)link;
	(void)fds;
	switch (kind) {
	case P_READY:
		on_ready(child);
		return;
	case P_LOG:
		child->all->calls->log(child->all->context,
		    ((const struct p_log *)message)->level,
		    ((const struct p_log *)message)->line);
		return;
	case P_NEED:
		on_need(child, ((const struct p_program *)message)->program);
		return;
	case P_ALARM:
		on_alarm(child, message);
		return;
	case P_CONFINED:
		keep_step(child, message);
		return;
	default:
		log_line(LOG_LEVEL_ERROR, "%s said what only culverd may: it "
		    "is ended", name_of(child));
		kill(child->pid, SIGKILL);
	}
}

/* All that it said is read: the process has ended, or is ended. */
static void
on_closed(void *context, struct link *link)
{
	struct child *child = context;

	(void)link;
	child->link = NULL;
	if (child->pid != 0)
		timer_set(child->timer, EXIT_MS);
	else
		on_death(child);
}

/* ---- birth ---- */

/*
 * In the new process, until it is another program.  Returns what was refused,
 * with errno.
 */
static const char *
become_program(const struct child *child, int link_fd, pid_t parent)
{
	const struct children *all = child->all;
	char *argv[3] = { NULL, NULL, NULL };
	char name[32], class[16];

	snprintf(name, sizeof(name), "%s", name_of(child));
	argv[0] = name;
	if (child->plan->class != NULL) {
		snprintf(class, sizeof(class), "%s", child->plan->class);
		argv[1] = class;
	}
	if (account_become(child->plan->owner ? &all->owner : &all->net) != 0)
		return "its account";
	if (fchdir(child->folder_fd) != 0)
		return "its folder";
	/* After the change of account, which would undo it. */
	if (prctl(PR_SET_PDEATHSIG, SIGUSR2, 0, 0, 0) != 0 ||
	    dup2(link_fd, PROC_PARENT_FD) == -1)
		return "its link";
	if (getppid() != parent)
		_exit(1);
	beside_execute(child->program_fd, argv);
	return "to be executed";
}

static pid_t
fork_program(const struct child *child, int link_fd)
{
	pid_t parent = getpid(), pid = fork();
	const char *refused;

	if (pid != 0)
		return pid;
	refused = become_program(child, link_fd, parent);
	log_line(LOG_LEVEL_ERROR, "%s is refused %s: %s", name_of(child),
	    refused, strerror(errno));
	_exit(127);
}

static void
spawn(struct child *child)
{
	static const struct link_calls calls = {
		.message = on_message, .closed = on_closed
	};
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		fatal("no link for %s", name_of(child));
	forget_alarms(&child->alarms);
	forget_steps(child);
	child->needed = false;
	child->leaving = false;
	child->started_ms = loop_now_ms();
	child->pid = fork_program(child, ends[1]);
	close(ends[1]);
	if (child->pid == -1)
		fatal("fork");
	set_state(child, STARTING);
	child->link = link_new(child->all->loop, ends[0], &proc_wire, &calls,
	    child);
	tell(child);
}

/* ---- death ---- */

static void
describe_exit(int status, char *text, size_t size)
{
	if (WIFSIGNALED(status))
		snprintf(text, size, "was killed by signal %d (%s)",
		    WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(text, size, "ended with status %d",
		    WEXITSTATUS(status));
}

static void
start_again(struct child *child, const char *how)
{
	char text[256];

	if (loop_now_ms() - child->started_ms >= STEADY_MS)
		child->backoff_ms = 0;
	child->backoff_ms = child->backoff_ms == 0 ? BACKOFF_FIRST_MS :
	    2 * child->backoff_ms;
	if (child->backoff_ms > BACKOFF_MOST_MS)
		child->backoff_ms = BACKOFF_MOST_MS;
	snprintf(text, sizeof(text), "%s %s; it is started again in %d s",
	    name_of(child), how, (int)(child->backoff_ms / 1000));
	log_alarm("program", "%s", text);
	alarm_raise(&child->dead, "program", text);
	set_state(child, WAITING);
	child->restarts++;
	timer_set(child->timer, child->backoff_ms);
	check_all_ready(child->all);
}

/* Nobody wants it to end now: is that the end of culverd, or of it alone? */
static void
on_unwanted_death(struct child *child)
{
	struct children *all = child->all;
	char how[128];

	describe_exit(child->status, how, sizeof(how));
	if (all->was_ready || WIFSIGNALED(child->status) ||
	    child->plan->wanted != NULL) {
		start_again(child, how);
		return;
	}
	/* It said why, and would say so again. */
	log_line(LOG_LEVEL_ERROR, "%s %s", name_of(child), how);
	set_state(child, STOPPED);
	all->calls->failed(all->context);
}

/* It ends by itself when nobody has work for it. */
static void
on_end_of_fetch(struct child *child)
{
	if (child->status != 0) {
		on_unwanted_death(child);
		return;
	}
	set_state(child, ABSENT);
	if (child->needed)
		spawn(child);
}

/* It was told to end, and has; perhaps it is called for again since. */
static void
on_leave(struct child *child)
{
	set_state(child, ABSENT);
	forget_alarms(&child->dead);
	child->backoff_ms = 0;
	if (is_wanted(child))
		spawn(child);
	else
		check_all_ready(child->all);
}

static void
on_death(struct child *child)
{
	struct children *all = child->all;

	timer_stop(child->timer);
	link_close(&child->link);
	forget_alarms(&child->alarms);
	if (all->stopping) {
		set_state(child, STOPPED);
		next_stop_stage(all);
		return;
	}
	if (child->plan->program == PROGRAM_FETCH) {
		on_end_of_fetch(child);
	} else if (child->leaving || !is_wanted(child)) {
		on_leave(child);
	} else {
		on_unwanted_death(child);
	}
}

static struct child *
child_with(struct children *all, pid_t pid)
{
	size_t i;

	for (i = 0; i < CHILDREN_N; i++)
		if (all->child[i].pid == pid)
			return &all->child[i];
	return NULL;
}

static void
on_sigchld(void *context)
{
	struct child *child;
	pid_t pid;
	int status;

	/* As process 1 of a container we also inherit what others leave. */
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		child = child_with(context, pid);
		if (child == NULL)
			continue;
		child->pid = 0;
		child->status = status;
		if (child->link == NULL)
			on_death(child);
		else
			timer_set(child->timer, LAST_WORDS_MS);
	}
}

static void
on_timer(void *context)
{
	struct child *child = context;

	if (child->pid != 0)
		kill(child->pid, SIGKILL);
	else if (child->state == WAITING)
		spawn(child);
	else
		on_death(child);
}

/* ---- the end ---- */

static void
stop_stage(struct children *all)
{
	struct child *child = all->child;
	size_t i;

	for (i = 0; i < CHILDREN_N; i++, child++) {
		if (child->plan->stage != all->stage)
			continue;
		if (child->link != NULL) {
			link_send(child->link, P_STOP, NULL, NULL);
		} else if (child->pid == 0) {
			timer_stop(child->timer);
			set_state(child, STOPPED);
		}
	}
	timer_set(all->stop_timer, stage_ms[all->stage]);
}

static bool
stage_is_over(const struct children *all)
{
	size_t i;

	for (i = 0; i < CHILDREN_N; i++)
		if (all->child[i].plan->stage == all->stage &&
		    all->child[i].state != STOPPED)
			return false;
	return true;
}

static void
next_stop_stage(struct children *all)
{
	while (stage_is_over(all)) {
		if (all->stage == STAGES_N - 1) {
			timer_stop(all->stop_timer);
			all->calls->stopped(all->context);
			return;
		}
		all->stage++;
		stop_stage(all);
	}
}

/* Who is still there has had its time. */
static void
on_stop_timer(void *context)
{
	struct children *all = context;
	size_t i;

	for (i = 0; i < CHILDREN_N; i++) {
		if (all->child[i].plan->stage != all->stage ||
		    all->child[i].pid == 0)
			continue;
		log_line(LOG_LEVEL_ERROR, "%s did not stop and is killed",
		    name_of(&all->child[i]));
		kill(all->child[i].pid, SIGKILL);
	}
}

void
children_stop(struct children *all)
{
	if (all->stopping)
		return;
	all->stopping = true;
	stop_stage(all);
	next_stop_stage(all);
}

/* ---- from outside ---- */

/*
 * A folder that is empty for ever: nothing can be made in it any more, for it
 * has been removed.  Root's where we are root.
 */
static int
open_empty_folder(const char *spool, struct buffer *error)
{
	char path[4096];
	int fd = -1;

	snprintf(path, sizeof(path), "%s/.empty", spool);
	if (mkdir(path, 0555) == 0 || errno == EEXIST)
		fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
		    O_CLOEXEC);
	if (fd == -1 || fchmod(fd, 0555) != 0)
		buffer_printf(error, "%s: %s", path, strerror(errno));
	rmdir(path);
	return fd;
}

/* Does the open folder belong to whom it must? */
static bool
is_owners(const struct children *all, const char *path, int fd,
    struct buffer *error)
{
	struct stat status;

	if (geteuid() != 0 || fstat(fd, &status) != 0 ||
	    status.st_uid == all->owner.uid)
		return true;
	buffer_printf(error, "%s belongs to uid %u and not to the spool's "
	    "owner, uid %u; give it away: chown -R %u %s", path,
	    (unsigned)status.st_uid, (unsigned)all->owner.uid,
	    (unsigned)all->owner.uid, path);
	return false;
}

/* SPOOL/NAME, made for its owner when it is not there. */
static int
open_own_folder(const struct children *all, const char *name,
    struct buffer *error)
{
	char path[4096];
	int fd = -1;

	snprintf(path, sizeof(path), "%s/%s", all->config->spool, name);
	if (mkdir(path, 0700) == 0 && geteuid() == 0 &&
	    chown(path, all->owner.uid, all->owner.gid) != 0)
		buffer_printf(error, "%s: chown: %s", path, strerror(errno));
	else
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1 && error->len == 0)
		buffer_printf(error, "%s: %s", path, strerror(errno));
	if (fd != -1)
		is_owners(all, path, fd, error);
	return fd;
}

/* Find a child's program and folder; a failure is said in *error. */
static void
prepare(struct child *child, int empty_fd, struct buffer *error)
{
	const struct plan *plan = child->plan;

	child->timer = timer_new(child->all->loop, on_timer, child);
	child->program_fd = beside_open(plan->program);
	if (child->program_fd == -1) {
		buffer_printf(error, "%s is not beside culverd: %s",
		    program_name(plan->program), strerror(errno));
		return;
	}
	child->folder_fd = plan->folder == NULL ? empty_fd :
	    open_own_folder(child->all, plan->folder, error);
}

struct children *
children_new(struct loop *loop, const struct config *config,
    const struct account *owner, const struct children_calls *calls,
    void *context, struct buffer *error)
{
	struct children *all = mem_alloc(sizeof(*all));
	int empty_fd = open_empty_folder(config->spool, error);
	size_t i;

	all->loop = loop;
	all->config = config;
	all->owner = *owner;
	account_net(owner, &all->net);
	all->calls = calls;
	all->context = context;
	all->stop_timer = timer_new(loop, on_stop_timer, all);
	loop_on_signal(loop, SIGCHLD, on_sigchld, all);
	for (i = 0; i < CHILDREN_N && error->len == 0; i++) {
		all->child[i].all = all;
		all->child[i].plan = &plans[i];
		prepare(&all->child[i], empty_fd, error);
	}
	/* Nothing is started yet, and the caller ends: no need to undo. */
	return error->len == 0 ? all : NULL;
}

static bool
is_called_for(const struct child *child)
{
	const struct listener *listener = child->all->listeners;

	if (child->plan->wanted != NULL)
		return child->plan->wanted(child->all->config);
	while (listener != NULL && !serves_class(child, listener->class))
		listener = listener->next;
	return !child->plan->on_demand || listener != NULL;
}

static void
spawn_called_for(struct children *all, bool smtpd)
{
	struct child *child = all->child;
	size_t i;

	for (i = 0; i < CHILDREN_N; i++, child++)
		if ((child->plan->program == PROGRAM_SMTPD) == smtpd &&
		    child->state == ABSENT && is_called_for(child))
			spawn(child);
}

void
children_start_smtpd(struct children *all)
{
	spawn_called_for(all, true);
}

void
children_start(struct children *all)
{
	all->started = true;
	spawn_called_for(all, true);
	spawn_called_for(all, false);
}

/* The configuration calls for it no longer: it ends, the others go on. */
static void
dismiss(struct child *child)
{
	if (child->plan->keys)
		forget_alarms(&child->all->keys);
	if (child->state == WAITING) {
		timer_stop(child->timer);
		on_leave(child);
	} else if (child->link != NULL && !child->leaving) {
		child->leaving = true;
		link_send(child->link, P_STOP, NULL, NULL);
		timer_set(child->timer, LEAVE_MS);
	}
}

static void
call_or_dismiss(struct child *child)
{
	if (child->all->stopping || child->plan->wanted == NULL)
		return;
	if (!is_wanted(child))
		dismiss(child);
	else if (child->state == ABSENT)
		spawn(child);
}

void
children_configure(struct children *all, const struct config *config)
{
	size_t i;

	all->config = config;
	for (i = 0; i < CHILDREN_N; i++)
		if (all->child[i].link != NULL && !all->child[i].leaving)
			send_settings(&all->child[i]);
	for (i = 0; i < CHILDREN_N; i++)
		call_or_dismiss(&all->child[i]);
}

void
children_resolvers(struct children *all, const char *text)
{
	size_t i;

	snprintf(all->resolvers, sizeof(all->resolvers), "%s", text);
	for (i = 0; i < CHILDREN_N; i++)
		if (all->child[i].link != NULL)
			send_resolvers(&all->child[i]);
}

static struct child *
child_of(struct children *all, enum program program, const char *class)
{
	struct child *child = all->child;

	while (child->plan->program != program ||
	    (class != NULL && !serves_class(child, class)))
		child++;
	return child;
}

void
children_listen(struct children *all, const char *class,
    const struct p_listener *told, int fd)
{
	struct child *child = child_of(all, PROGRAM_SMTPD, class);
	struct listener *listener = mem_alloc(sizeof(*listener));

	listener->class = child->plan->class;
	listener->listener = *told;
	listener->fd = fd;
	listener->next = all->listeners;
	all->listeners = listener;
	if (child->link != NULL)
		send_listener(child, listener);
	else if (all->was_ready && child->state == ABSENT)
		spawn(child);
}

void
children_unlisten(struct children *all, uint32_t number)
{
	struct listener **at = &all->listeners, *old;
	struct child *child;

	while (*at != NULL && (*at)->listener.number != number)
		at = &(*at)->next;
	old = *at;
	if (old == NULL)
		return;
	*at = old->next;
	child = child_of(all, PROGRAM_SMTPD, old->class);
	if (child->link != NULL)
		link_send(child->link, P_UNLISTEN, &old->listener, NULL);
	free(old);
}

bool
children_connect(struct children *all, enum program program,
    const struct p_connection *connection, int fd)
{
	struct child *child;

	if (program != PROGRAM_SMTPD && program != PROGRAM_QUEUE &&
	    program != PROGRAM_POLICY && program != PROGRAM_REPORTS)
		return false;
	child = child_of(all, program, NULL);
	if (child->state != READY || child->link == NULL ||
	    link_full(child->link))
		return false;
	link_send(child->link, P_CONNECTION, connection, &fd);
	return true;
}

void
children_each(const struct children *all, void (*call)(void *context,
    const struct children_state *), void *context)
{
	const struct child *child = all->child;
	struct children_state state;
	size_t i;

	for (i = 0; i < CHILDREN_N; i++, child++) {
		state.program = name_of(child);
		state.class = child->plan->class;
		state.pid = child->pid;
		state.state = state_names[child->state];
		state.since = child->since;
		state.restarts = child->restarts;
		call(context, &state);
	}
}

static void
each_alarm(const struct alarm *alarm, const char *program,
    void (*call)(void *context, const char *program, const char *what,
    const char *text, int64_t since), void *context)
{
	for (; alarm != NULL; alarm = alarm->next)
		call(context, program, alarm->what, alarm->text, alarm->since);
}

void
children_alarms(const struct children *all, void (*call)(void *context,
    const char *program, const char *what, const char *text, int64_t since),
    void *context)
{
	const struct child *child = all->child;
	size_t i;

	each_alarm(all->keys, program_name(PROGRAM_PARENT), call, context);
	each_alarm(all->ca, program_name(PROGRAM_PARENT), call, context);
	for (i = 0; i < CHILDREN_N; i++, child++) {
		each_alarm(child->dead, name_of(child), call, context);
		each_alarm(child->alarms, name_of(child), call, context);
	}
}

void
children_steps(const struct children *all, void (*call)(void *context,
    const char *program, const char *class, const struct p_confined *),
    void *context)
{
	const struct child *child = all->child;
	const struct step *step;
	size_t i;

	for (i = 0; i < CHILDREN_N; i++, child++)
		for (step = child->steps; step != NULL; step = step->next)
			call(context, name_of(child), child->plan->class,
			    &step->confined);
}
