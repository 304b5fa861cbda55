/*
 * How does a program of culver begin, and what may it do?
 *
 * Called by every private program: proc_begin reads what the parent says
 * until P_GO, proc_confine gives up all that the program's row of the table
 * below does not allow.  Order matters there: limits, chroot and account
 * first, while there is the right to them; then no_new_privs, Landlock, and
 * the filter of system calls last.
 *
 * The parent has already made the program the account that it runs under, and
 * its own folder (or an empty one, which no longer has a name) the current
 * folder; a program that runs alone (`ctl`) does both here.
 *
 * It starts nothing, and does not serve: see children.c, parent.c.
 */
#include "conf/proc.h"

#include "conf/account.h"
#include "conf/filter.h"
#include "conf/landlock.h"
#include "conf/log.h"
#include "conf/packet.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the table ---- */

struct row {
	enum program	 program;
	bool		 owner;		/* of files: the relay's owner */
	bool		 folder;	/* opens files, in its own folder */
	unsigned	 sets;		/* FILTER_... */
	rlim_t		 descriptors;	/* at most; 0: see wanted_descriptors */
	const char	*network;	/* in words */
};

static const struct row rows[] = {
	{ PROGRAM_SMTPD, false, false,
	  FILTER_PIPES | FILTER_ACCEPT, 0,
	  "takes connections from listeners it was given" },
	{ PROGRAM_QUEUE, true, true,
	  FILTER_PIPES | FILTER_FILES, 4096, "none" },
	{ PROGRAM_POLICY, true, true,
	  FILTER_PIPES | FILTER_FILES | FILTER_CONNECT, 1024,
	  "asks resolvers" },
	{ PROGRAM_FETCH, false, false,
	  FILTER_PIPES | FILTER_CONNECT | FILTER_PAIR, 1536,
	  "HTTPS to addresses that policy names" },
	{ PROGRAM_DELIVERY, false, false,
	  FILTER_PIPES | FILTER_CONNECT | FILTER_BIND | FILTER_PAIR |
	  FILTER_FORK, 0, "connects to mail servers" },
	{ PROGRAM_WORKER, false, false, 0, 64,
	  "one connected socket at a time, from culver-delivery" },
	{ PROGRAM_REPORTS, true, true,
	  FILTER_PIPES | FILTER_FILES, 1024, "none" },
	/* Keys and messages come as descriptors, to be read. */
	{ PROGRAM_SIGN, true, false, 0, 64, "none" },
};
#define ROWS_N	(sizeof(rows) / sizeof(rows[0]))

static const struct row *
row_of(enum program program)
{
	size_t i;

	for (i = 0; i < ROWS_N; i++)
		if (rows[i].program == program)
			return &rows[i];
	bug("program %d has no row", (int)program);
}

void
proc_table(void (*call)(void *context, const char *program, const char *user,
    const char *files, const char *network, const char *system_calls),
    void *context)
{
	char words[128];
	size_t i;

	call(context, program_name(PROGRAM_PARENT), "root",
	    "its configuration, programs and sockets",
	    "binds listeners, takes local connections", "not filtered");
	for (i = 0; i < ROWS_N; i++)
		call(context, program_name(rows[i].program),
		    rows[i].owner ? ACCOUNT_OWNER : ACCOUNT_NET,
		    rows[i].folder ? "its own folder" : "none",
		    rows[i].network,
		    filter_words(rows[i].sets, words, sizeof(words)));
}

/* ---- messages ---- */

static const struct wire_field setting_fields[] = {
	WIRE_FIELD_TEXT(struct p_setting, keyword),
	WIRE_FIELD_TEXT(struct p_setting, value),
};
static const struct wire_field resolvers_fields[] = {
	WIRE_FIELD_TEXT(struct p_resolvers, text),
};
static const struct wire_field program_fields[] = {
	WIRE_FIELD(struct p_program, program, WIRE_U32, PROGRAMS_N - 1),
};
static const struct wire_field listener_fields[] = {
	WIRE_FIELD(struct p_listener, number, WIRE_U32, 0),
	WIRE_FIELD_TEXT(struct p_listener, address),
};
static const struct wire_field connection_fields[] = {
	WIRE_FIELD(struct p_connection, socket, WIRE_U32, PROC_CONTROL),
	WIRE_FIELD(struct p_connection, uid, WIRE_U32, 0),
	WIRE_FIELD(struct p_connection, gid, WIRE_U32, 0),
	WIRE_FIELD(struct p_connection, admin, WIRE_BOOL, 0),
};
static const struct wire_field log_fields[] = {
	WIRE_FIELD(struct p_log, level, WIRE_U32, LOG_LEVEL_DEBUG),
	WIRE_FIELD_TEXT(struct p_log, line),
};
static const struct wire_field alarm_fields[] = {
	WIRE_FIELD(struct p_alarm, standing, WIRE_BOOL, 0),
	WIRE_FIELD_TEXT(struct p_alarm, what),
	WIRE_FIELD_TEXT(struct p_alarm, text),
};
static const struct wire_field key_fields[] = {
	WIRE_FIELD_TEXT(struct p_key, domain),
	WIRE_FIELD_TEXT(struct p_key, selector),
	WIRE_FIELD_TEXT(struct p_key, file),
};
static const struct wire_field confined_fields[] = {
	WIRE_FIELD_TEXT(struct p_confined, step),
	WIRE_FIELD(struct p_confined, done, WIRE_BOOL, 0),
	WIRE_FIELD_TEXT(struct p_confined, text),
};

static const struct wire_message messages[] = {
	WIRE_ROW(P_SETTING, struct p_setting, setting_fields, 0),
	WIRE_EMPTY(P_SETTINGS),
	WIRE_EMPTY(P_SETTINGS_END),
	WIRE_ROW(P_RESOLVERS, struct p_resolvers, resolvers_fields, 0),
	{ P_CA, "P_CA", 0, NULL, 0, 1 },
	WIRE_ROW(P_LINK, struct p_program, program_fields, 1),
	WIRE_ROW(P_LISTENER, struct p_listener, listener_fields, 1),
	WIRE_ROW(P_UNLISTEN, struct p_listener, listener_fields, 0),
	WIRE_ROW(P_CONNECTION, struct p_connection, connection_fields, 1),
	WIRE_EMPTY(P_GO),
	WIRE_EMPTY(P_STOP),
	WIRE_EMPTY(P_READY),
	WIRE_ROW(P_LOG, struct p_log, log_fields, 0),
	WIRE_ROW(P_NEED, struct p_program, program_fields, 0),
	WIRE_ROW(P_ALARM, struct p_alarm, alarm_fields, 0),
	WIRE_ROW(P_CONFINED, struct p_confined, confined_fields, 0),
	WIRE_ROW(P_KEY, struct p_key, key_fields, 1),
};
const struct wire_table proc_wire = {
	"parent", messages, sizeof(messages) / sizeof(messages[0])
};

/* ---- talking to the parent ---- */

/* What this program is; set once by proc_begin and proc_confine. */
static struct {
	/* Of PROC_PARENT_FD as it was: once closed it may be another's. */
	dev_t		 device;
	ino_t		 inode;
	uint64_t	 lost;		/* log lines that could not be sent */
	bool		 together;	/* they are gathered */
	uint8_t		*lines;		/* WIRE_MAX, or NULL */
	size_t		 lines_len;
	unsigned	 lines_n;
	bool		 alone;
	bool		 chrooted;
	const char	*directory;	/* the program's own, or NULL */
	char		 path[4096];
} here;

static bool
parent_is_there(void)
{
	struct stat status;

	return here.inode != 0 && fstat(PROC_PARENT_FD, &status) == 0 &&
	    status.st_dev == here.device && status.st_ino == here.inode;
}

/* 1 sent, 0 no room within patience_ms, -1 gone. */
static int
send_octets(const uint8_t *octets, size_t len, int patience_ms)
{
	struct pollfd ready = { PROC_PARENT_FD, POLLOUT, 0 };
	int sent = packet_send(PROC_PARENT_FD, octets, len, NULL, 0);

	if (sent == 0 && poll(&ready, 1, patience_ms) == 1)
		sent = packet_send(PROC_PARENT_FD, octets, len, NULL, 0);
	return sent;
}

static int
send_message(unsigned kind, const void *message, int patience_ms)
{
	const struct wire_message *row = wire_find(&proc_wire, kind);
	uint8_t octets[CONFIG_VALUE_MAX + 256];
	size_t len;

	if (row == NULL || row->fds > 0)
		bug("no message %#x for the parent", kind);
	len = wire_encode(row, message, octets, sizeof(octets));
	if (len == 0)
		bug("message %s is too long", row->name);
	return send_octets(octets, len, patience_ms);
}

void
proc_send(unsigned kind, const void *message)
{
	if (!here.alone && parent_is_there())
		send_message(kind, message, -1);
}

/* Say first how many lines did not get through, if there were any. */
static bool
say_lost(void)
{
	struct p_log message = { .level = LOG_LEVEL_ERROR };

	if (here.lost == 0)
		return true;
	snprintf(message.line, sizeof(message.line), "%s: %llu log lines "
	    "could not be passed on", log_name(),
	    (unsigned long long)here.lost);
	if (send_message(P_LOG, &message, 0) != 1)
		return false;
	here.lost = 0;
	return true;
}

/*
 * Hand what is gathered to the parent.  As with a single line, it waits a
 * little where the parent is slow, but not again before a line went through: a
 * program never stands still for its log.
 */
static void
pass_lines(void)
{
	int patience_ms = here.lost == 0 ? 200 : 0;

	if (here.lines_n > 0 && parent_is_there() && (!say_lost() ||
	    send_octets(here.lines, here.lines_len, patience_ms) == 0))
		here.lost += here.lines_n;
	here.lines_n = 0;
	here.lines_len = 0;
}

static bool
gather_line(const struct p_log *message)
{
	size_t len = wire_encode(wire_find(&proc_wire, P_LOG), message,
	    here.lines + here.lines_len, WIRE_MAX - here.lines_len);

	here.lines_len += len;
	here.lines_n += len > 0;
	return len > 0;
}

static void
gather_line_or_pass(const struct p_log *message)
{
	if (!gather_line(message)) {
		pass_lines();
		gather_line(message);
	}
	/* An error may be our last word. */
	if (message->level == LOG_LEVEL_ERROR)
		pass_lines();
}

static void
log_to_parent(void *unused, enum log_level level, const char *line)
{
	struct p_log message;
	int patience_ms = here.lost == 0 ? 200 : 0;

	(void)unused;
	message.level = (uint32_t)level;
	snprintf(message.line, sizeof(message.line), "%s", line);
	if (here.together)
		gather_line_or_pass(&message);
	else if (parent_is_there() && (!say_lost() ||
	    send_message(P_LOG, &message, patience_ms) == 0))
		here.lost++;
}

void
proc_log_together(void)
{
	if (here.lines == NULL)
		here.lines = mem_alloc(WIRE_MAX);
	here.together = true;
}

void
proc_log_singly(void)
{
	here.together = false;
	pass_lines();
}

/* ---- the beginning ---- */

/* Descriptor 3 must be the parent's end of a link, and of nothing else. */
static void
take_parent(enum program program)
{
	struct stat status;
	socklen_t len = sizeof(int);
	int type = 0;

	if (fstat(PROC_PARENT_FD, &status) != 0 ||
	    !S_ISSOCK(status.st_mode) ||
	    getsockopt(PROC_PARENT_FD, SOL_SOCKET, SO_TYPE, &type,
	    &len) != 0 || type != SOCK_SEQPACKET) {
		fprintf(stderr, "%s is started by culverd, not by hand.\n",
		    program_name(program));
		exit(64);
	}
	here.device = status.st_dev;
	here.inode = status.st_ino;
	/* The parent alone says when to stop. */
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	/* Programs are executed by descriptor: the kernel knows no name. */
	prctl(PR_SET_NAME, program_name(program), 0, 0, 0);
}

static void
add_link(struct proc_start *start, enum program peer, int fd)
{
	const size_t most = sizeof(start->links) / sizeof(start->links[0]);

	if (start->links_n == most)
		fatal("too many links");
	start->links[start->links_n++] =
	    (struct proc_link){ .peer = peer, .fd = fd };
}

static void
add_listener(struct proc_start *start, const struct p_listener *listener,
    int fd)
{
	const size_t most =
	    sizeof(start->listeners) / sizeof(start->listeners[0]);

	if (start->listeners_n == most)
		fatal("too many listeners");
	start->listeners[start->listeners_n++] =
	    (struct proc_listener){ .listener = *listener, .fd = fd };
}

static void
remove_listener(struct proc_start *start, uint32_t number)
{
	size_t i;

	for (i = 0; i < start->listeners_n; i++) {
		if (start->listeners[i].listener.number != number)
			continue;
		close(start->listeners[i].fd);
		start->listeners[i] = start->listeners[--start->listeners_n];
		return;
	}
}

static void
add_key(struct proc_start *start, const struct p_key *key, int fd)
{
	if (start->keys_n == sizeof(start->keys) / sizeof(start->keys[0]))
		fatal("too many keys");
	start->keys[start->keys_n++] =
	    (struct proc_key){ .key = *key, .fd = fd };
}

/* A full set of settings follows, and of keys. */
static void
forget_settings(struct proc_start *start)
{
	config_free(&start->config);
	start->config = config_new();
	while (start->keys_n > 0)
		close(start->keys[--start->keys_n].fd);
}

static void
set(struct proc_start *start, const struct p_setting *setting)
{
	struct buffer error = { NULL, 0, 0 };

	errno = 0;
	if (start->config == NULL || !config_set(start->config,
	    setting->keyword, setting->value, &error))
		fatal("setting from the parent: %s",
		    error.text != NULL ? error.text : "out of order");
}

static void
take_ca(struct proc_start *start, int fd)
{
	if (start->ca_fd != -1)
		close(start->ca_fd);
	start->ca_fd = fd;
}

/* One message before P_GO; false: that was it. */
static bool
take_message(struct proc_start *start, unsigned kind, const void *message,
    const int *fds)
{
	switch (kind) {
	case P_SETTINGS:
		forget_settings(start);
		return true;
	case P_SETTING:
		set(start, message);
		return true;
	case P_SETTINGS_END:
		log_set_level(start->config->log_level);
		return true;
	case P_RESOLVERS:
		memcpy(start->resolvers,
		    ((const struct p_resolvers *)message)->text,
		    sizeof(start->resolvers));
		return true;
	case P_CA:
		take_ca(start, fds[0]);
		return true;
	case P_KEY:
		add_key(start, message, fds[0]);
		return true;
	case P_LINK:
		add_link(start, ((const struct p_program *)message)->program,
		    fds[0]);
		return true;
	case P_LISTENER:
		add_listener(start, message, fds[0]);
		return true;
	case P_UNLISTEN:
		remove_listener(start,
		    ((const struct p_listener *)message)->number);
		return true;
	case P_STOP:
		exit(0);
	case P_GO:
		return false;
	default:
		fatal("message %#x came before its time", kind);
	}
}

void
proc_begin(enum program program, struct proc_start *start)
{
	struct wire_port port;
	const void *message;
	int fds[WIRE_FDS_MAX], kind;

	log_start(program_name(program));
	take_parent(program);
	log_to(log_to_parent, NULL);
	memset(start, 0, sizeof(*start));
	start->program = program;
	start->ca_fd = -1;
	wire_port_open(&port, PROC_PARENT_FD, &proc_wire);
	do {
		kind = wire_port_receive(&port, &message, fds, -1);
		if (kind <= 0)
			exit(1);	/* the parent is gone */
	} while (take_message(start, (unsigned)kind, message, fds));
	port.fd = -1;		/* goes on being the parent's */
	wire_port_close(&port);
	errno = 0;
	if (start->config == NULL)
		fatal("no settings came from the parent");
}

/* ---- confinement ---- */

/* One program's way through the steps. */
struct steps {
	const struct row	*row;
	const struct config	*config;	/* NULL: `check` needs none */
	enum config_sandbox	 sandbox;
	bool			 files_kept;	/* by chroot or Landlock */
};

static void	report(const struct steps *, const char *step, bool done,
		    const char *format, ...)
		    __attribute__((format(printf, 4, 5)));

/* Tell the parent (a worker has none) how a step went. */
static void
report(const struct steps *steps, const char *step, bool done,
    const char *format, ...)
{
	struct p_confined message = { .done = done };
	va_list values;

	snprintf(message.step, sizeof(message.step), "%s", step);
	va_start(values, format);
	vsnprintf(message.text, sizeof(message.text), format, values);
	va_end(values);
	log_line(LOG_LEVEL_DEBUG, "confinement: %s: %s", step, message.text);
	if (steps->row->program != PROGRAM_WORKER)
		proc_send(P_CONFINED, &message);
}

/* A step that the kernel refused. */
static void
refused(const struct steps *steps, const char *step)
{
	int error = errno;

	report(steps, step, false, "refused: %s", strerror(error));
	log_line(here.alone ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO,
	    "confinement: %s is refused: %s", step, strerror(error));
	errno = error;
	if (steps->sandbox == CONFIG_SANDBOX_REQUIRED)
		fatal("sandbox required, but %s is refused", step);
}

static rlim_t
wanted_descriptors(const struct steps *steps)
{
	const struct config *config = steps->config;

	if (steps->row->descriptors != 0)
		return steps->row->descriptors;
	if (config == NULL)
		return 256;
	/* A session, and a pipe for each of 256 bodies under way. */
	if (steps->row->program == PROGRAM_SMTPD)
		return config->max_connections + 1024;
	/* A worker's link, its socket, and the one being connected. */
	return 3 * config->workers + 256;
}

static void
limit_resources(const struct steps *steps)
{
	struct rlimit none = { 0, 0 }, descriptors = { 0, 0 };
	rlim_t wanted = wanted_descriptors(steps);

	if (setrlimit(RLIMIT_CORE, &none) != 0 ||
	    getrlimit(RLIMIT_NOFILE, &descriptors) != 0) {
		refused(steps, "rlimits");
		return;
	}
	if (wanted < descriptors.rlim_max)
		descriptors.rlim_max = wanted;
	descriptors.rlim_cur = descriptors.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &descriptors) != 0)
		refused(steps, "rlimits");
	else
		report(steps, "rlimits", true, "no core, %llu descriptors",
		    (unsigned long long)descriptors.rlim_cur);
}

/*
 * The current folder becomes all there is.  Without root the kernel does not
 * allow it: then Landlock has to do.
 */
static void
change_root(struct steps *steps)
{
	if (here.alone && here.directory == NULL) {
		report(steps, "chroot", false, "runs alone and has no folder");
	} else if (chroot(".") != 0) {
		report(steps, "chroot", false, "not allowed: %s",
		    strerror(errno));
	} else if (chdir("/") != 0) {
		fatal("chdir after chroot");
	} else {
		here.chrooted = true;
		steps->files_kept = true;
		report(steps, "chroot", true, here.directory != NULL ?
		    "its own folder" : "an empty folder");
	}
}

static void
give_up_account(const struct steps *steps)
{
	errno = 0;
	if (geteuid() == 0)
		fatal("does not run as root");
	if (account_drop_capabilities() != 0)
		refused(steps, "uid");
	else
		report(steps, "uid", true, "uid %u, gid %u, no capabilities",
		    (unsigned)geteuid(), (unsigned)getegid());
}

/*
 * The death of culverd ends its programs: SIGUSR2, for which programs with a
 * loop have 2 s left (parent.c); a worker is ended by its manager's at once.
 */
static void
die_with_parent(const struct steps *steps)
{
	const bool worker = steps->row->program == PROGRAM_WORKER;
	pid_t parent = getppid();

	if (here.alone)
		return;
	if (prctl(PR_SET_PDEATHSIG, worker ? SIGKILL : SIGUSR2, 0, 0, 0) != 0)
		fatal("PR_SET_PDEATHSIG");
	if (getppid() != parent)
		_exit(1);
}

static void
forbid_new_privileges(const struct steps *steps)
{
	/* Where the filter only logs, the leak check traces its own program. */
	bool dumpable = !filter_enforces();

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_DUMPABLE, dumpable, 0, 0, 0) != 0)
		refused(steps, "no_new_privs");
	else
		report(steps, "no_new_privs", true, dumpable ?
		    "set; may be traced" : "set; may not be traced");
}

static void
restrict_files(struct steps *steps)
{
	const bool connects = steps->row->sets & (FILTER_CONNECT | FILTER_BIND);
	const char *directory = here.chrooted ? "/" : here.directory;
	int version;

	version = landlock_confine(steps->row->folder ? directory : NULL,
	    connects);
	if (version == -1 && steps->files_kept) {
		report(steps, "landlock", false, "not there: %s",
		    strerror(errno));
		return;
	}
	if (version == -1) {
		refused(steps, "landlock");
		return;
	}
	steps->files_kept = true;
	report(steps, "landlock", true, "version %d, %s", version,
	    steps->row->folder ? "its own folder" : "no file");
}

static void
filter_calls(const struct steps *steps)
{
	char words[128];
	int count = filter_load(steps->row->sets);

	if (count == -1)
		refused(steps, "seccomp");
	else
		report(steps, "seccomp", filter_enforces(), "%d rules: %s%s",
		    count, filter_words(steps->row->sets, words,
		    sizeof(words)),
		    filter_enforces() ? "" : " (others are only logged)");
}

/* A worker is forked in its manager's confinement: it adds to that. */
static void
confine_worker(struct steps *steps)
{
	die_with_parent(steps);
	if (steps->sandbox == CONFIG_SANDBOX_OFF)
		return;
	limit_resources(steps);
	filter_calls(steps);
}

static void
confine(enum program program, const struct config *config,
    const char *directory)
{
	struct steps steps = { .row = row_of(program), .config = config };

	steps.sandbox = config != NULL ? config->sandbox : CONFIG_SANDBOX_ON;
	if (program == PROGRAM_WORKER) {
		confine_worker(&steps);
		return;
	}
	here.directory = directory != NULL ? mem_copy(directory) : NULL;
	if (steps.sandbox == CONFIG_SANDBOX_OFF) {
		report(&steps, "sandbox", false, "off");
		give_up_account(&steps);
		die_with_parent(&steps);
		return;
	}
	limit_resources(&steps);
	change_root(&steps);
	give_up_account(&steps);
	die_with_parent(&steps);
	forbid_new_privileges(&steps);
	restrict_files(&steps);
	filter_calls(&steps);
}

void
proc_confine(enum program program, const struct config *config,
    const char *directory)
{
	confine(program, config, directory);
}

/* As the parent would have done before exec; without a spool as nobody. */
static void
become_account(enum program program, const struct config *config)
{
	struct account owner = { 65534, 65534 }, account = owner;
	struct buffer error = { NULL, 0, 0 };

	if (config != NULL &&
	    !account_owner(config->spool, &owner, &error)) {
		errno = 0;
		fatal("%s", error.text);
	}
	account = owner;
	if (config != NULL && !row_of(program)->owner)
		account_net(&owner, &account);
	if (account_become(&account) != 0)
		fatal("uid %u is refused", (unsigned)account.uid);
}

/* Who asked is a person at a terminal, not a log: what is wrong, plainly. */
static void
log_to_person(void *unused, enum log_level level, const char *line)
{
	(void)unused;
	if (level == LOG_LEVEL_ERROR)
		fprintf(stderr, "%s\n", line);
}

void
proc_confine_alone(enum program program, const struct config *config,
    const char *directory)
{
	here.alone = true;
	log_to(log_to_person, NULL);
	signal(SIGPIPE, SIG_IGN);
	/* As who we are still: the account may not walk the path. */
	if (directory != NULL && chdir(directory) != 0)
		fatal("%s", directory);
	become_account(program, config);
	confine(program, config, directory);
}

const char *
proc_path(const char *name)
{
	const char *folder = here.directory != NULL ? here.directory : ".";
	int len;

	len = snprintf(here.path, sizeof(here.path), "%s/%s",
	    here.chrooted ? "" : folder, name);
	if (len < 0 || (size_t)len >= sizeof(here.path))
		bug("path %s/%s is too long", folder, name);
	return here.path;
}
