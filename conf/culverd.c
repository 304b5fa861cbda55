/*
 * culverd: the parent.  Who starts the relay, and who keeps it in order?
 *
 * Called by an operator or by systemd.  This file reads the command line and
 * the configuration, makes the spool, opens the doors (doors.c), gives up its
 * rights but five capabilities, starts the programs (children.c), and then
 * waits for signals: TERM and INT stop, HUP reads the configuration again.
 * It also writes everybody's log lines, watches /etc/resolv.conf, and answers
 * `status`.
 *
 * States: starting, ready, stopping.  It parses nothing that came from the
 * network, and speaks neither SMTP nor DNS.
 */
#include "conf/account.h"
#include "conf/beside.h"
#include "conf/children.h"
#include "conf/config.h"
#include "conf/doors.h"
#include "conf/keyfile.h"
#include "conf/log.h"
#include "conf/status.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define OVERRIDES_MAX	256
#define RESOLV_CONF	"/etc/resolv.conf"
#define RESOLV_MS	5000
/* What a killed relay's programs may hold on to: 2 s, and some. */
#define PATIENCE_MS	5000
/* For culver-sign to say what all the keys are. */
#define KEYS_MS		5000

static struct culverd {
	const char	*file;		/* NULL: the standard one */
	char		*overrides[OVERRIDES_MAX];
	size_t		 overrides_n;
	bool		 foreground;
	bool		 check;
	struct config	*config;
	struct loop	*loop;
	struct doors	*doors;
	struct children	*children;
	struct status	 status;
	void		(*sink)(void *, enum log_level, const char *);
	int		 caller_fd;	/* of the shell's process, or -1 */
	struct timer	*resolv_timer;
	struct stat	 resolv_status;
	int		 lock_fd;
	int		 result;	/* exit status */
} culverd = { .caller_fd = -1, .lock_fd = -1 };

/* ---- the command line ---- */

static void
usage(FILE *out)
{
	fprintf(out, "usage: culverd [-nfvV] [-c FILE] "
	    "[-o KEYWORD=VALUE]...\n"
	    "  -n  check the configuration and print the effective one\n"
	    "  -f  stay in the foreground, log to standard error\n"
	    "  -v  log-level debug\n"
	    "  -V  print the version\n"
	    "  -c  another configuration than %s\n"
	    "  -o  override one keyword\n", CONFIG_FILE);
}

static void
add_override(const char *text)
{
	if (culverd.overrides_n == OVERRIDES_MAX) {
		fprintf(stderr, "culverd: too many -o\n");
		exit(CONTROL_USAGE);
	}
	culverd.overrides[culverd.overrides_n++] = mem_copy(text);
}

/* The same file also after a change of folder. */
static const char *
absolute(const char *file)
{
	char folder[PATH_MAX];
	struct buffer path = { NULL, 0, 0 };

	if (file[0] == '/' || getcwd(folder, sizeof(folder)) == NULL)
		return mem_copy(file);
	buffer_printf(&path, "%s/%s", folder, file);
	return path.text;
}

static void
take_option(int option)
{
	switch (option) {
	case 'n':
		culverd.check = true;
		return;
	case 'f':
		culverd.foreground = true;
		return;
	case 'v':
		add_override("log-level=debug");
		return;
	case 'V':
		printf("culverd %s\n", CULVER_VERSION);
		exit(0);
	case 'c':
		culverd.file = absolute(optarg);
		return;
	case 'o':
		add_override(optarg);
		return;
	case 'h':
		usage(stdout);
		exit(0);
	default:
		usage(stderr);
		exit(CONTROL_USAGE);
	}
}

static void
take_options(int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "nfvVc:o:h")) != -1)
		take_option(option);
	if (optind == argc)
		return;
	fprintf(stderr, "culverd: what is %s for?\n", argv[optind]);
	usage(stderr);
	exit(CONTROL_USAGE);
}

/* ---- configuration ---- */

static void
check_group(const struct config *config, struct buffer *error)
{
	if (config->admin_group == NULL ||
	    getgrnam(config->admin_group) != NULL)
		return;
	config_blame(config, "admin-group", 0, error);
	buffer_printf(error, "there is no group %s; accepted: the name of a "
	    "group", config->admin_group);
}

/* Without a look into them: that is done where TLS is known. */
static bool
holds_certificates(FILE *file)
{
	char line[1024];

	while (fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, "-----BEGIN ", 11) == 0 &&
		    strstr(line, "CERTIFICATE-----") != NULL)
			return true;
	return false;
}

static void
check_ca(const struct config *config, struct buffer *error)
{
	FILE *file;
	int fd = -1;

	if (config->ca_file == NULL)
		return;
	fd = open(config->ca_file, O_RDONLY | O_NONBLOCK | O_NOCTTY |
	    O_CLOEXEC);
	file = fd == -1 ? NULL : fdopen(fd, "r");
	if (file == NULL || !holds_certificates(file)) {
		config_blame(config, "ca-file", 0, error);
		buffer_printf(error, "%s: %s; accepted: a file of "
		    "certificates in PEM", config->ca_file, file == NULL ?
		    strerror(errno) : "holds no certificate");
	}
	if (file != NULL)
		fclose(file);
}

/* DKIM-8301-3.2-1 RFC 8301 3.2 */
static void
warn_of_key(const struct config_dkim *dkim, const struct keyfile *found)
{
	if (strcmp(found->type, "rsa") == 0 && found->bits < KEYFILE_RSA_GOOD)
		log_line(LOG_LEVEL_INFO, "warning: %s (dkim %s %s) is an RSA "
		    "key of %u bits; %d are recommended (RFC 8301 3.2)",
		    dkim->file, dkim->domain.name, dkim->selector,
		    found->bits, KEYFILE_RSA_GOOD);
}

/* All keys, within one deadline. */
static void
check_keys(const struct config *config, struct buffer *error)
{
	const int64_t deadline_ms = wire_now_ms() + KEYS_MS;
	int program_fd = config->dkim_n > 0 ? beside_open(PROGRAM_SIGN) : -1;
	struct buffer why = { NULL, 0, 0 };
	struct keyfile found;
	size_t i;

	if (config->dkim_n > 0 && program_fd == -1) {
		config_blame(config, "dkim", 0, error);
		buffer_printf(error, "%s is not beside culverd: %s",
		    program_name(PROGRAM_SIGN), strerror(errno));
		return;
	}
	for (i = 0; i < config->dkim_n; i++) {
		if (keyfile_check(program_fd, config->dkim[i].file,
		    deadline_ms, &found, &why)) {
			warn_of_key(&config->dkim[i], &found);
			continue;
		}
		config_blame(config, "dkim", i, error);
		buffer_add(error, slice_of(why.text));
		why.len = 0;
	}
	buffer_free(&why);
	if (program_fd != -1)
		close(program_fd);
}

/*
 * What the file alone does not show: NSS, other files; but for the keys.
 * Lines in *error.
 */
static bool
check_surroundings(const struct config *config, struct buffer *error)
{
	check_group(config, error);
	check_ca(config, error);
	return error->len == 0;
}

/* The keys are the caller's to check. */
static struct config *
read_config(struct buffer *error)
{
	struct config *config;

	config = config_read(culverd.file, culverd.overrides,
	    culverd.overrides_n, error);
	if (config != NULL && !check_surroundings(config, error))
		config_free(&config);
	if (config == NULL)
		return NULL;
	/* interfaces.md: the standard depends on who started us, and where. */
	if (config->log == CONFIG_LOG_DEFAULT)
		config->log = culverd.foreground || getpid() == 1 ||
		    access("/dev/log", F_OK) != 0 ? CONFIG_LOG_STDERR :
		    CONFIG_LOG_SYSLOG;
	return config;
}

/* Each line of an error as a line of ours. */
static void
complain(struct buffer *error)
{
	char *line, *rest = error->text;

	while ((line = strsep(&rest, "\n")) != NULL)
		fprintf(stderr, "culverd: %s\n", line);
}

static void
print_setting(void *unused, const char *keyword, const char *value)
{
	(void)unused;
	printf("%s %s\n", keyword, value);
}

static void
print_config(void)
{
	config_each(culverd.config, print_setting, NULL);
	printf("# A mail server with secure TLSA records must do TLS, but its "
	    "certificate\n# is not compared with them yet.\n");
}

static void
use_log(const struct config *config)
{
	culverd.sink = config->log == CONFIG_LOG_SYSLOG ? log_syslog :
	    log_stderr;
	log_to(culverd.sink, NULL);
	log_set_level(config->log_level);
}

static void
use_group(const struct config *config)
{
	const struct group *group = config->admin_group == NULL ? NULL :
	    getgrnam(config->admin_group);

	doors_admin_group(culverd.doors, group != NULL,
	    group != NULL ? group->gr_gid : 0);
}

/* A path that a running relay cannot change: the old one stays. */
static void
keep_path(const char *keyword, char **old, char **new)
{
	char *path;

	if (strcmp(*old, *new) == 0)
		return;
	log_line(LOG_LEVEL_ERROR, "%s: %s is used after a restart; until then "
	    "it is %s", keyword, *new, *old);
	path = *old;
	*old = *new;
	*new = path;
}

static void
log_config(const char *result, const char *why)
{
	struct event event;

	event_begin(&event, why == NULL ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR,
	    "config");
	event_text(&event, "file",
	    culverd.file != NULL ? culverd.file : CONFIG_FILE);
	event_text(&event, "result", result);
	if (why != NULL)
		event_text(&event, "reason", why);
	event_end(&event);
}

/* A bad one is said, and the old one stays. */
static void
refuse_config(struct buffer *error)
{
	char *line, *rest = error->text;

	while ((line = strsep(&rest, "\n")) != NULL)
		log_config("refused", line);
	buffer_free(error);
}

static void	watch_resolvers(void *unused);

static void
on_hangup(void *unused)
{
	struct buffer error = { NULL, 0, 0 };
	struct config *config, *old = culverd.config;

	(void)unused;
	config = read_config(&error);
	if (config != NULL)
		check_keys(config, &error);
	if (error.len > 0 || !doors_listen(culverd.doors, config, 0,
	    &error)) {
		config_free(&config);
		refuse_config(&error);
		return;
	}
	keep_path("spool", &old->spool, &config->spool);
	keep_path("control", &old->control, &config->control);
	keep_path("submit-socket", &old->submit_socket,
	    &config->submit_socket);
	culverd.config = config;
	use_log(config);
	use_group(config);
	children_configure(culverd.children, config);
	memset(&culverd.resolv_status, 0, sizeof(culverd.resolv_status));
	watch_resolvers(NULL);
	config_free(&old);
	log_config("taken", NULL);
}

/* ---- resolv.conf ---- */

/* "nameserver ADDR" as "ADDR:53"; false: it is another line. */
static bool
take_nameserver(struct slice line, struct buffer *text)
{
	struct address address;
	char printed[ADDRESS_TEXT_MAX];

	line = slice_trim(line);
	if (!slice_begins(line, SLICE("nameserver ")) &&
	    !slice_begins(line, SLICE("nameserver\t")))
		return false;
	line.at += strlen("nameserver");
	line.len -= strlen("nameserver");
	if (!address_parse(slice_trim(line), &address))
		return false;
	buffer_printf(text, address.family == 6 ? "%s[%s]:53" : "%s%s:53",
	    text->len > 0 ? " " : "", address_print(&address, printed));
	return true;
}

/* As resolv.conf(5) has it, at most three, and the machine's own if none. */
static void
read_resolvers(struct buffer *text)
{
	FILE *file = fopen(RESOLV_CONF, "re");
	char line[1024];
	unsigned n = 0;

	while (file != NULL && n < 3 &&
	    fgets(line, sizeof(line), file) != NULL) {
		line[strcspn(line, "\r\n#;")] = '\0';
		n += take_nameserver(slice_of(line), text);
	}
	if (file != NULL)
		fclose(file);
	if (n == 0)
		buffer_add(text, SLICE("127.0.0.1:53"));
}

static bool
resolvers_changed(void)
{
	struct stat status;

	memset(&status, 0, sizeof(status));
	if (stat(RESOLV_CONF, &status) != 0)
		status.st_ino = 1;	/* not there: is that new? */
	if (status.st_ino == culverd.resolv_status.st_ino &&
	    status.st_dev == culverd.resolv_status.st_dev &&
	    status.st_size == culverd.resolv_status.st_size &&
	    status.st_mtim.tv_sec == culverd.resolv_status.st_mtim.tv_sec &&
	    status.st_mtim.tv_nsec == culverd.resolv_status.st_mtim.tv_nsec)
		return false;
	culverd.resolv_status = status;
	return true;
}

static void
watch_resolvers(void *unused)
{
	struct buffer text = { NULL, 0, 0 };

	(void)unused;
	timer_set(culverd.resolv_timer, RESOLV_MS);
	if (culverd.config->resolvers_n > 0 || !resolvers_changed())
		return;
	read_resolvers(&text);
	log_line(LOG_LEVEL_DEBUG, "resolvers are %s", text.text);
	children_resolvers(culverd.children, text.text);
	buffer_free(&text);
}

/* ---- systemd, and whoever called us ---- */

/* Tell systemd, if it wants to know; sd_notify(3) by hand. */
static void
notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (path == NULL || (path[0] != '/' && path[0] != '@') ||
	    !slice_store(slice_of(path), address.sun_path,
	    sizeof(address.sun_path)))
		return;
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return;
	sendto(fd, state, strlen(state), MSG_NOSIGNAL,
	    (struct sockaddr *)&address,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
	    strlen(path)));
	close(fd);
}

/* While the one who called us waits, it is told as well. */
static void
log_both(void *unused, enum log_level level, const char *line)
{
	culverd.sink(unused, level, line);
	if (level == LOG_LEVEL_ERROR && culverd.sink != log_stderr)
		fprintf(stderr, "%s\n", line);
}

/*
 * Leave the terminal: the first process waits until the relay is ready, or
 * has failed, and says so by its exit status.
 */
static void
daemonise(void)
{
	int ends[2];
	char result;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) != 0 || (pid = fork()) == -1)
		fatal("cannot go into the background");
	if (pid != 0) {
		close(ends[1]);
		/* A byte: ready.  The end without one: it has failed. */
		_exit(read(ends[0], &result, 1) == 1 ? 0 : 1);
	}
	close(ends[0]);
	culverd.caller_fd = ends[1];
	setsid();
	log_to(log_both, NULL);
}

/* The caller need not wait any longer, and gets its terminal back. */
static void
release_caller(void)
{
	int null;

	if (culverd.caller_fd == -1)
		return;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	if (culverd.sink != log_stderr)
		dup2(null, STDERR_FILENO);
	close(null);
	log_to(culverd.sink, NULL);
	if (write(culverd.caller_fd, "", 1) == -1)
		log_line(LOG_LEVEL_DEBUG, "the caller is gone");
	close(culverd.caller_fd);
	culverd.caller_fd = -1;
}

/* ---- the programs ---- */

static void
on_all_ready(void *unused)
{
	struct event event;

	(void)unused;
	culverd.status.state = "ready";
	event_begin(&event, LOG_LEVEL_INFO, "start");
	event_text(&event, "state", "culver ready");
	event_text(&event, "version", CULVER_VERSION);
	event_number(&event, "pid", getpid());
	event_number(&event, "listeners", (int64_t)doors_count(culverd.doors));
	event_end(&event);
	notify("READY=1");
	release_caller();
}

static void
stop(const char *reason)
{
	struct event event;

	if (strcmp(culverd.status.state, "stopping") == 0)
		return;
	culverd.status.state = "stopping";
	event_begin(&event, LOG_LEVEL_INFO, "stop");
	event_text(&event, "reason", reason);
	event_end(&event);
	notify("STOPPING=1");
	doors_close_local(culverd.doors);
	children_stop(culverd.children);
}

static void
on_failed(void *unused)
{
	(void)unused;
	culverd.result = 1;
	stop("a program cannot start");
}

static void
on_stopped(void *unused)
{
	(void)unused;
	loop_stop(culverd.loop);
}

static void
on_term(void *unused)
{
	(void)unused;
	stop("SIGTERM");
}

static void
on_interrupt(void *unused)
{
	(void)unused;
	stop("SIGINT");
}

static void
on_child_log(void *unused, enum log_level level, const char *line)
{
	(void)unused;
	if (level > log_level())
		return;
	if (culverd.caller_fd != -1)
		log_both(NULL, level, line);
	else
		culverd.sink(NULL, level, line);
}

/* ---- the doors ---- */

static void
on_listen(void *unused, const char *class, const struct p_listener *listener,
    int fd)
{
	(void)unused;
	log_line(LOG_LEVEL_INFO, "listens on %s (%s)", listener->address,
	    class);
	children_listen(culverd.children, class, listener, fd);
}

static void
on_unlisten(void *unused, uint32_t number)
{
	(void)unused;
	children_unlisten(culverd.children, number);
}

static bool
on_connection(void *unused, enum program program,
    const struct p_connection *who, int fd)
{
	(void)unused;
	if (program == PROGRAM_PARENT)
		status_serve(culverd.loop, fd, who, &culverd.status);
	else if (children_connect(culverd.children, program, who, fd))
		return true;
	else if (who->socket == PROC_CONTROL)
		status_refuse(culverd.loop, fd, who);
	else
		return false;
	return true;
}

/* ---- the start ---- */

/* 0 to 2 are open, 3 is nobody's: a program finds its link there. */
static void
reserve_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd != -1 && fd < PROC_PARENT_FD);
	if (fd > PROC_PARENT_FD) {
		dup3(fd, PROC_PARENT_FD, O_CLOEXEC);
		close(fd);
	}
}

static void
fail(struct buffer *error)
{
	errno = 0;
	fatal("%s", error->text);
}

/* SPOOL, made for its owner where it lacks its last step. */
static void
make_spool(struct account *owner)
{
	struct buffer error = { NULL, 0, 0 };
	const char *spool = culverd.config->spool;
	struct account account = { geteuid(), getegid() };
	struct stat status;

	if (stat(spool, &status) != 0 && errno == ENOENT) {
		if (geteuid() == 0 && !account_default(&account, &error))
			fail(&error);
		if (mkdir(spool, 0755) != 0 || (geteuid() == 0 &&
		    chown(spool, account.uid, account.gid) != 0))
			fatal("cannot make the spool %s", spool);
	}
	if (!account_owner(spool, owner, &error))
		fail(&error);
}

/* One culverd a spool: the lock dies with this process. */
static void
lock_spool(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct buffer path = { NULL, 0, 0 };
	int fd;

	buffer_printf(&path, "%s/culverd.lock", culverd.config->spool);
	fd = open(path.text, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd == -1)
		fatal("%s", path.text);
	if (fcntl(fd, F_SETLK, &lock) != 0) {
		if (errno != EAGAIN && errno != EACCES)
			fatal("%s", path.text);
		fcntl(fd, F_GETLK, &lock);
		errno = 0;
		fatal("another culverd (pid %d) runs with the spool %s",
		    (int)lock.l_pid, culverd.config->spool);
	}
	if (ftruncate(fd, 0) != 0 || dprintf(fd, "%d\n", (int)getpid()) < 0)
		fatal("%s", path.text);
	culverd.lock_fd = fd;
	buffer_free(&path);
}

static void
give_up_rights(void)
{
	const uint64_t kept = 1ull << CAP_SETUID | 1ull << CAP_SETGID |
	    1ull << CAP_SYS_CHROOT | 1ull << CAP_NET_BIND_SERVICE |
	    1ull << CAP_KILL;

	if (geteuid() == 0 && account_keep_capabilities(kept) != 0)
		fatal("capabilities cannot be given up");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		fatal("no_new_privs");
}

/* Let programs have as many descriptors as this machine allows. */
static void
raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static void
open_doors(const struct account *owner)
{
	static const struct doors_calls calls = {
		.listen = on_listen, .unlisten = on_unlisten,
		.connection = on_connection
	};
	struct buffer error = { NULL, 0, 0 };

	culverd.doors = doors_new(culverd.loop, owner->uid, &calls, NULL);
	use_group(culverd.config);
	if (!doors_open_local(culverd.doors, culverd.config, &error) ||
	    !doors_listen(culverd.doors, culverd.config, PATIENCE_MS,
	    &error)) {
		doors_close_local(culverd.doors);
		fail(&error);
	}
}

static void
make_programs(const struct account *owner)
{
	static const struct children_calls calls = {
		.ready = on_all_ready, .failed = on_failed,
		.stopped = on_stopped, .log = on_child_log
	};
	struct buffer error = { NULL, 0, 0 };

	culverd.children = children_new(culverd.loop, culverd.config, owner,
	    &calls, NULL, &error);
	if (culverd.children == NULL)
		fail(&error);
}

/*
 * smtpd comes to life while culver-sign looks at the keys; where one is bad
 * nothing else is started, and smtpd ends with us.
 */
static bool
start_programs(void)
{
	struct buffer error = { NULL, 0, 0 };

	children_start_smtpd(culverd.children);
	check_keys(culverd.config, &error);
	if (error.len > 0) {
		complain(&error);
		return false;
	}
	children_start(culverd.children);
	return true;
}

static void
serve(void)
{
	struct account owner;

	umask(022);
	signal(SIGPIPE, SIG_IGN);
	make_spool(&owner);
	lock_spool();
	raise_descriptors();
	culverd.loop = loop_new();
	culverd.resolv_timer = timer_new(culverd.loop, watch_resolvers, NULL);
	make_programs(&owner);
	culverd.status = (struct status){ .children = culverd.children,
	    .state = "starting", .since = loop_wall_s() };
	open_doors(&owner);
	if (chdir("/") != 0)
		fatal("chdir");
	give_up_rights();
	loop_on_signal(culverd.loop, SIGTERM, on_term, NULL);
	loop_on_signal(culverd.loop, SIGINT, on_interrupt, NULL);
	loop_on_signal(culverd.loop, SIGHUP, on_hangup, NULL);
	watch_resolvers(NULL);
	if (!start_programs()) {
		doors_close_local(culverd.doors);
		exit(1);
	}
	loop_run(culverd.loop);
	doors_free(&culverd.doors);
}

int
main(int argc, char **argv)
{
	struct buffer error = { NULL, 0, 0 };
	struct event event;

	log_start("culverd");
	take_options(argc, argv);
	reserve_descriptors();
	culverd.config = read_config(&error);
	if (culverd.config != NULL && culverd.check)
		check_keys(culverd.config, &error);
	if (error.len > 0) {
		complain(&error);
		/* Overrides come first; they are the command line's fault. */
		return slice_begins(slice_of(error.text), SLICE("-o: ")) ?
		    CONTROL_USAGE : 1;
	}
	if (culverd.check) {
		print_config();
		return 0;
	}
	use_log(culverd.config);
	if (!culverd.foreground)
		daemonise();
	serve();
	event_begin(&event, LOG_LEVEL_INFO, "stop");
	event_text(&event, "state", "stopped");
	event_end(&event);
	return culverd.result;
}
