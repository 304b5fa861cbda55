/*
 * conf/proc.c, parent.c: what a program hears before P_GO and after, and what
 * it can still do once it is confined.
 *
 * Each test forks a program of its own and plays culverd.  As root the
 * program becomes uid 65534 first, as culverd would have it.  The filter is
 * included, so that it refuses in this test whatever the build says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#undef CONFINE_REFUSE
#define CONFINE_REFUSE	SCMP_ACT_ERRNO(EPERM)
#include "conf/filter.c"

#include "conf/account.h"
#include "conf/log.h"
#include "conf/parent.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))
#define NOBODY		65534

/* ---- a program and its culverd ---- */

struct played {
	pid_t			 pid;
	struct wire_port	 port;
	struct buffer		 log;		/* its lines */
	struct buffer		 steps;		/* "step=done " */
	bool			 ready, over;
	unsigned		 needs;
	struct buffer		 alarms;
};

static struct config *
standard_config(void)
{
	struct buffer error = { NULL, 0, 0 };
	struct config *config;

	config = config_read("/dev/null", NULL, 0, &error);
	if (config == NULL)
		fail_msg("%s", error.text);
	return config;
}

/* A folder for the program to live in, its own where we are root. */
static char *
make_folder(void)
{
	static char path[64];

	strcpy(path, "/tmp/culver-proc-XXXXXX");
	assert_non_null(mkdtemp(path));
	if (geteuid() == 0)
		assert_int_equal(chown(path, NOBODY, NOBODY), 0);
	return path;
}

static void
remove_folder(const char *path)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", path);
	assert_int_equal(system(command), 0);
}

/* What culverd does between fork and exec. */
static void
become_program(int link_fd, const char *folder)
{
	const struct account nobody = { NOBODY, NOBODY };

	if (chdir(folder) != 0 || account_become(&nobody) != 0 ||
	    dup2(link_fd, PROC_PARENT_FD) == -1)
		_exit(99);
}

static void
play(struct played *played, const char *folder, void (*run)(const char *))
{
	int ends[2];

	memset(played, 0, sizeof(*played));
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    ends), 0);
	fflush(stdout);
	played->pid = fork();
	assert_true(played->pid >= 0);
	if (played->pid == 0) {
		close(ends[0]);
		become_program(ends[1], folder);
		run(folder);
		_exit(0);
	}
	close(ends[1]);
	wire_port_open(&played->port, ends[0], &proc_wire);
}

static void
say(struct played *played, unsigned kind, const void *message, const int *fd)
{
	assert_int_equal(wire_port_send(&played->port, kind, message, fd,
	    wire_now_ms() + 1000), 0);
}

static void
say_setting(struct played *played, const char *keyword, const char *value)
{
	struct p_setting setting;

	memset(&setting, 0, sizeof(setting));
	strcpy(setting.keyword, keyword);
	strcpy(setting.value, value);
	say(played, P_SETTING, &setting, NULL);
}

static void
say_each(void *context, const char *keyword, const char *value)
{
	say_setting(context, keyword, value);
}

static void
say_settings(struct played *played, const char *sandbox)
{
	struct config *config = standard_config();

	if (strcmp(sandbox, "off") == 0)
		config->sandbox = CONFIG_SANDBOX_OFF;
	say(played, P_SETTINGS, NULL, NULL);
	config_each(config, say_each, played);
	say(played, P_SETTINGS_END, NULL, NULL);
	config_free(&config);
}

static void
hear(struct played *played, unsigned kind, const void *message)
{
	const struct p_confined *confined = message;
	const struct p_alarm *alarm = message;

	switch (kind) {
	case P_READY:
		played->ready = true;
		return;
	case P_LOG:
		buffer_printf(&played->log, "%s\n",
		    ((const struct p_log *)message)->line);
		return;
	case P_NEED:
		played->needs |= 1u << ((const struct p_program *)message)
		    ->program;
		return;
	case P_ALARM:
		buffer_printf(&played->alarms, "%s=%d:%s\n", alarm->what,
		    alarm->standing, alarm->text);
		return;
	case P_CONFINED:
		buffer_printf(&played->steps, "%s=%d ", confined->step,
		    confined->done);
		return;
	default:
		fail_msg("the program said %#x", kind);
	}
}

/* Hear until text is in the log, or the program is gone; false: neither. */
static bool
hear_until(struct played *played, const char *text)
{
	int64_t until_ms = wire_now_ms() + 10000;
	const void *message;
	int kind;

	while (!played->over) {
		if (text != NULL && played->log.text != NULL &&
		    strstr(played->log.text, text) != NULL)
			return true;
		kind = wire_port_receive(&played->port, &message, NULL,
		    until_ms);
		if (kind == -1)
			return false;
		if (kind == 0)
			played->over = true;
		else
			hear(played, (unsigned)kind, message);
	}
	return text == NULL || (played->log.text != NULL &&
	    strstr(played->log.text, text) != NULL);
}

/* Wait for its end; the status of waitpid. */
static int
end(struct played *played)
{
	int status = -1;

	assert_true(hear_until(played, NULL));
	assert_int_equal(waitpid(played->pid, &status, 0), played->pid);
	wire_port_close(&played->port);
	buffer_free(&played->log);
	buffer_free(&played->steps);
	buffer_free(&played->alarms);
	return status;
}

/* ---- the beginning ---- */

static void
run_begin(const char *unused)
{
	struct proc_start start;
	size_t i;

	(void)unused;
	proc_begin(PROGRAM_QUEUE, &start);
	log_line(LOG_LEVEL_INFO, "program %d host %s level %d",
	    (int)start.program, start.config->hostname, (int)log_level());
	log_line(LOG_LEVEL_INFO, "resolvers %s ca %s", start.resolvers,
	    start.ca_fd != -1 && fcntl(start.ca_fd, F_GETFD) == FD_CLOEXEC ?
	    "yes" : "no");
	for (i = 0; i < start.links_n; i++)
		log_line(LOG_LEVEL_INFO, "link %s",
		    program_name(start.links[i].peer));
	for (i = 0; i < start.listeners_n; i++)
		log_line(LOG_LEVEL_INFO, "listener %u %s",
		    start.listeners[i].listener.number,
		    start.listeners[i].listener.address);
	for (i = 0; i < start.keys_n; i++)
		log_line(LOG_LEVEL_INFO, "key %s %s %s %s",
		    start.keys[i].key.domain, start.keys[i].key.selector,
		    start.keys[i].key.file,
		    fcntl(start.keys[i].fd, F_GETFD) == FD_CLOEXEC ? "yes" :
		    "no");
	log_line(LOG_LEVEL_INFO, "end");
}

static int
some_fd(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void
say_all(struct played *played)
{
	struct p_resolvers resolvers = { "127.0.0.1:53 [::1]:53" };
	struct p_program peer = { .program = PROGRAM_SMTPD };
	struct p_listener listener = { .number = 7,
	    .address = "127.0.0.1:25" };
	struct p_key key = { "old.example", "s", "/etc/old.key" };
	int fd = some_fd();

	say(played, P_SETTINGS, NULL, NULL);
	say_setting(played, "hostname", "old.example");
	say(played, P_KEY, &key, &fd);
	say(played, P_KEY, &key, &fd);
	say(played, P_SETTINGS_END, NULL, NULL);
	say_settings(played, "on");
	say(played, P_SETTINGS, NULL, NULL);
	say_setting(played, "hostname", "mx.example");
	say_setting(played, "log-level", "debug");
	key = (struct p_key){ "example.org", "s1", "/etc/a.key" };
	say(played, P_KEY, &key, &fd);
	key = (struct p_key){ "example.org", "s2", "/etc/b.key" };
	say(played, P_KEY, &key, &fd);
	say(played, P_SETTINGS_END, NULL, NULL);
	say(played, P_RESOLVERS, &resolvers, NULL);
	say(played, P_CA, NULL, &fd);
	say(played, P_CA, NULL, &fd);
	say(played, P_LINK, &peer, &fd);
	peer.program = PROGRAM_DELIVERY;
	say(played, P_LINK, &peer, &fd);
	say(played, P_LISTENER, &listener, &fd);
	listener.number = 8;
	strcpy(listener.address, "[::1]:25");
	say(played, P_LISTENER, &listener, &fd);
	listener.number = 7;
	say(played, P_UNLISTEN, &listener, NULL);
	say(played, P_GO, NULL, NULL);
	close(fd);
}

static void
test_begin(void **unused)
{
	struct played played;

	(void)unused;
	play(&played, "/", run_begin);
	say_all(&played);
	assert_true(hear_until(&played, "end"));
	assert_string_equal(played.log.text,
	    "culver-queue: program 3 host mx.example level 2\n"
	    "culver-queue: resolvers 127.0.0.1:53 [::1]:53 ca yes\n"
	    "culver-queue: link culver-smtpd\n"
	    "culver-queue: link culver-delivery\n"
	    "culver-queue: listener 8 [::1]:25\n"
	    "culver-queue: key example.org s1 /etc/a.key yes\n"
	    "culver-queue: key example.org s2 /etc/b.key yes\n"
	    "culver-queue: end\n");
	assert_int_equal(end(&played), 0);
}

/* How a program ends that hears something else first. */
static int
end_after(unsigned kind, const void *message, const int *fd,
    const char *says)
{
	struct played played;

	play(&played, "/", run_begin);
	say(&played, kind, message, fd);
	if (says != NULL)
		assert_true(hear_until(&played, says));
	return end(&played);
}

static void
test_begin_ends(void **unused)
{
	struct p_setting bad = { "workers", "-1" };
	struct p_connection connection = { .socket = PROC_CONTROL };
	struct played played;
	int fd = some_fd();

	(void)unused;
	assert_int_equal(WEXITSTATUS(end_after(P_STOP, NULL, NULL, NULL)), 0);
	assert_int_equal(WEXITSTATUS(end_after(P_GO, NULL, NULL,
	    "no settings came")), 1);
	assert_int_equal(WEXITSTATUS(end_after(P_SETTING, &bad, NULL,
	    "out of order")), 1);
	assert_int_equal(WEXITSTATUS(end_after(P_CONNECTION, &connection, &fd,
	    "came before its time")), 1);
	close(fd);
	/* A setting that cannot be. */
	play(&played, "/", run_begin);
	say(&played, P_SETTINGS, NULL, NULL);
	say(&played, P_SETTING, &bad, NULL);
	assert_true(hear_until(&played, "setting from the parent: workers: "));
	assert_int_equal(WEXITSTATUS(end(&played)), 1);
	/* culverd dies. */
	play(&played, "/", run_begin);
	shutdown(played.port.fd, SHUT_WR);
	assert_int_equal(WEXITSTATUS(end(&played)), 1);
}

/* Descriptor 3 is something else, or nothing. */
static void
test_by_hand(void **unused)
{
	struct proc_start start;
	int status, which, ends[2];
	pid_t pid;

	(void)unused;
	for (which = 0; which < 3; which++) {
		fflush(stdout);
		pid = fork();
		if (pid == 0) {
			dup2(some_fd(), STDERR_FILENO);
			close(PROC_PARENT_FD);
			if (which == 1)
				dup2(some_fd(), PROC_PARENT_FD);
			if (which == 2 && socketpair(AF_UNIX, SOCK_STREAM, 0,
			    ends) == 0)
				dup2(ends[0], PROC_PARENT_FD);
			proc_begin(PROGRAM_QUEUE, &start);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 64);
	}
}

/* A log line never goes to what took descriptor 3's place. */
static void
run_lose_parent(const char *unused)
{
	struct proc_start start;
	char octets[100];
	int ends[2];

	(void)unused;
	proc_begin(PROGRAM_DELIVERY, &start);
	log_line(LOG_LEVEL_INFO, "to the parent");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) != 0)
		_exit(98);
	dup2(ends[0], PROC_PARENT_FD);
	log_line(LOG_LEVEL_INFO, "to nobody");
	proc_send(P_READY, NULL);
	_exit(recv(ends[1], octets, sizeof(octets), MSG_DONTWAIT) == -1 ?
	    0 : 97);
}

static void
test_parent_replaced(void **unused)
{
	struct played played;

	(void)unused;
	play(&played, "/", run_lose_parent);
	say_settings(&played, "on");
	say(&played, P_GO, NULL, NULL);
	assert_true(hear_until(&played, "to the parent"));
	assert_int_equal(end(&played), 0);
}

/* A parent that does not read stops no program; lost lines are counted. */
static void
run_flood(const char *unused)
{
	struct proc_start start;
	struct pollfd pollfd = { PROC_PARENT_FD, POLLIN, 0 };
	int i;

	(void)unused;
	proc_begin(PROGRAM_QUEUE, &start);
	for (i = 0; i < 20000; i++)
		log_line(LOG_LEVEL_INFO, "line %d", i);
	/* The test reads now, and says so. */
	poll(&pollfd, 1, 10000);
	log_line(LOG_LEVEL_INFO, "last");
}

static void
test_log_flood(void **unused)
{
	struct played played;
	struct pollfd wait = { .events = 0 };
	int64_t begun_ms = wire_now_ms();

	(void)unused;
	play(&played, "/", run_flood);
	say_settings(&played, "on");
	say(&played, P_GO, NULL, NULL);
	wait.fd = played.port.fd;
	poll(&wait, 1, 1000);
	say(&played, P_STOP, NULL, NULL);
	assert_true(hear_until(&played, "culver-queue: last"));
	assert_non_null(strstr(played.log.text, "line 0\n"));
	assert_null(strstr(played.log.text, "line 19999\n"));
	assert_non_null(strstr(played.log.text,
	    "log lines could not be passed on"));
	assert_int_equal(end(&played), 0);
	assert_true(wire_now_ms() - begun_ms < 8000);
}

/* ---- confinement ---- */

/* What a program tries; the errno that it gets, 0 when it worked. */
static struct {
	int	tcp;		/* connected: accepted, or inherited */
	int	listener;
	char	own[256];	/* a path in its own folder */
} tools;

static int
result(long value)
{
	return value == -1 ? errno : 0;
}

static struct sockaddr_in
elsewhere(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
	    .sin_port = htons(64999) };

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return to;
}

static int
try_open_root(void)
{
	return result(open("/", O_RDONLY | O_DIRECTORY));
}

static int
try_open_passwd(void)
{
	return result(open("/etc/passwd", O_RDONLY));
}

static int
try_open_own(void)
{
	return result(open(proc_path("own"), O_RDWR | O_CREAT, 0600));
}

static int
try_rename_own(void)
{
	snprintf(tools.own, sizeof(tools.own), "%s", proc_path("own"));
	return result(rename(tools.own, proc_path("other")));
}

static int
try_unlink_own(void)
{
	return result(unlink(proc_path("other")));
}

static int
try_write_device(void)
{
	return result(open("/dev/null", O_WRONLY));
}

static int
try_socket4(void)
{
	return result(socket(AF_INET, SOCK_STREAM, 0));
}

static int
try_socket6(void)
{
	return result(socket(AF_INET6, SOCK_DGRAM, 0));
}

static int
try_socket_local(void)
{
	return result(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int
try_socket_netlink(void)
{
	return result(socket(AF_NETLINK, SOCK_RAW, 0));
}

static int
try_socket_packet(void)
{
	return result(socket(AF_PACKET, SOCK_RAW, 0));
}

static int
try_pair(void)
{
	int ends[2];

	return result(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends));
}

static int
try_connect(void)
{
	struct sockaddr_in to = elsewhere();

	return result(connect(tools.tcp, (struct sockaddr *)&to,
	    sizeof(to)));
}

static int
try_disconnect(void)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };

	return result(connect(tools.tcp, &none, sizeof(none)));
}

static int
try_sendto_elsewhere(void)
{
	struct sockaddr_in to = elsewhere();

	return result(sendto(tools.tcp, "x", 1, MSG_NOSIGNAL,
	    (struct sockaddr *)&to, sizeof(to)));
}

static int
try_sendto_fastopen(void)
{
	return result(sendto(tools.tcp, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL,
	    NULL, 0));
}

static int
try_sendmsg_fastopen(void)
{
	struct sockaddr_in to = elsewhere();
	char octet = 'x';
	struct iovec part = { &octet, 1 };
	struct msghdr message = { .msg_name = &to, .msg_namelen = sizeof(to),
	    .msg_iov = &part, .msg_iovlen = 1 };

	return result(sendmsg(tools.tcp, &message,
	    MSG_FASTOPEN | MSG_NOSIGNAL));
}

static int
try_send(void)
{
	return result(send(tools.tcp, "x", 1, MSG_NOSIGNAL));
}

static int
try_sendmsg(void)
{
	char octet = 'x';
	struct iovec part = { &octet, 1 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	return result(sendmsg(tools.tcp, &message, MSG_NOSIGNAL));
}

static int
try_bind(void)
{
	struct sockaddr_in to = elsewhere();

	return result(bind(tools.tcp, (struct sockaddr *)&to, sizeof(to)));
}

static int
try_listen(void)
{
	return result(listen(tools.listener, 1));
}

static int
try_accept(void)
{
	return result(accept4(tools.listener, NULL, NULL, SOCK_NONBLOCK));
}

static int
try_pipe(void)
{
	int ends[2];

	return result(pipe2(ends, O_CLOEXEC));
}

static int
try_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return result(pid);
}

static int
try_thread(void)
{
	return result(syscall(SYS_clone, CLONE_VM | CLONE_SIGHAND |
	    CLONE_THREAD, 0, 0, 0, 0));
}

static int
try_namespace(void)
{
	return result(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0,
	    0));
}

static int
try_unshare(void)
{
	return result(syscall(SYS_unshare, CLONE_NEWUSER));
}

static int
try_execve(void)
{
	char *const words[] = { NULL };

	return result(execve("/bin/true", words, words));
}

static int
try_ptrace(void)
{
	return result(ptrace(PTRACE_ATTACH, getppid(), 0, 0));
}

static int
try_read_memory(void)
{
	char octet;
	struct iovec here = { &octet, 1 }, there = { &tools, 1 };

	return result(process_vm_readv(getppid(), &here, 1, &there, 1, 0));
}

static int
try_kill(void)
{
	return result(kill(getppid(), 0));
}

static int
try_kill_thread(void)
{
	return result(syscall(SYS_tgkill, getppid(), getppid(), 0));
}

static int
try_owner(void)
{
	return result(fcntl(tools.tcp, F_SETOWN, getppid()));
}

static int
try_flags(void)
{
	return result(fcntl(tools.tcp, F_GETFL));
}

static int
try_execute_memory(void)
{
	void *memory = mmap(NULL, 4096, PROT_READ | PROT_EXEC,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? errno : 0;
}

static int
try_make_executable(void)
{
	void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return errno;
	return result(mprotect(memory, 4096, PROT_READ | PROT_EXEC));
}

static int
try_stat(void)
{
	struct stat status;

	return result(stat("/etc/passwd", &status));
}

static int
try_fstat(void)
{
	struct stat status;

	return result(fstat(tools.tcp, &status));
}

static int
try_setuid(void)
{
	return result(syscall(SYS_setuid, 0));
}

static int
try_chroot(void)
{
	return result(chroot("."));
}

static int
try_mount(void)
{
	return result(syscall(SYS_mount, "x", "/", "tmpfs", 0, NULL));
}

static int
try_uring(void)
{
	return result(syscall(SYS_io_uring_setup, 8, NULL));
}

static int
try_bpf(void)
{
	return result(syscall(SYS_bpf, 0, NULL, 0));
}

static int
try_memory(void)
{
	char *memory = malloc(10 << 20);

	if (memory == NULL)
		return errno;
	memset(memory, 1, 10 << 20);
	free(memory);
	return 0;
}

static int
try_time(void)
{
	struct timespec now;

	return result(syscall(SYS_clock_gettime, CLOCK_REALTIME, &now));
}

static int
try_random(void)
{
	char octets[8];

	return result(syscall(SYS_getrandom, octets, sizeof(octets), 0));
}

static int
try_wait(void)
{
	struct epoll_event event = { .events = EPOLLIN };
	int fd = epoll_create1(EPOLL_CLOEXEC);

	if (fd == -1 || epoll_ctl(fd, EPOLL_CTL_ADD, tools.tcp, &event) != 0)
		return errno;
	return result(epoll_wait(fd, &event, 1, 0));
}

/*
 * Which programs may: s(mtpd) q(ueue) p(olicy) f(etch) d(elivery) w(orker)
 * r(eports) k(eys: sign).  All others get EPERM from the filter, or, for
 * files, whatever keeps them out.
 */
struct attempt {
	const char	*name;
	int		(*try)(void);
	const char	*may;
	bool		 any_error;	/* not only EPERM */
};

static const struct attempt attempts[] = {
	{ "open /etc/passwd", try_open_passwd, "", true },
	{ "open a device", try_write_device, "", true },
	{ "open its own file", try_open_own, "qpr", false },
	{ "rename its own file", try_rename_own, "qpr", false },
	{ "remove its own file", try_unlink_own, "qpr", false },
	{ "IPv4 socket", try_socket4, "pfd", false },
	{ "IPv6 socket", try_socket6, "pfd", false },
	{ "local socket", try_socket_local, "", false },
	{ "netlink socket", try_socket_netlink, "", false },
	{ "packet socket", try_socket_packet, "", false },
	{ "socket pair", try_pair, "fd", false },
	{ "send", try_send, "sqpfdwrk", false },
	{ "sendmsg", try_sendmsg, "sqpfdwrk", false },
	{ "sendto elsewhere", try_sendto_elsewhere, "", false },
	{ "sendto by MSG_FASTOPEN", try_sendto_fastopen, "", false },
	{ "sendmsg by MSG_FASTOPEN", try_sendmsg_fastopen, "", false },
	{ "fcntl F_GETFL", try_flags, "sqpfdwrk", false },
	{ "fcntl F_SETOWN", try_owner, "", false },
	{ "fstat", try_fstat, "sqpfdwrk", false },
	{ "listen", try_listen, "", false },
	{ "pipe", try_pipe, "sqpfdr", false },
	{ "fork", try_fork, "d", false },
	{ "thread", try_thread, "", false },
	{ "user namespace", try_namespace, "", false },
	{ "unshare", try_unshare, "", false },
	{ "execve", try_execve, "", false },
	{ "ptrace", try_ptrace, "", false },
	{ "process_vm_readv", try_read_memory, "", false },
	{ "kill", try_kill, "", false },
	{ "tgkill of another", try_kill_thread, "", false },
	{ "executable memory", try_execute_memory, "", false },
	{ "memory made executable", try_make_executable, "", false },
	{ "setuid", try_setuid, "", false },
	{ "chroot", try_chroot, "", false },
	{ "mount", try_mount, "", false },
	{ "io_uring", try_uring, "", false },
	{ "bpf", try_bpf, "", false },
	{ "memory", try_memory, "sqpfdwrk", false },
	{ "the time without vdso", try_time, "sqpfdwrk", false },
	{ "random octets", try_random, "sqpfdwrk", false },
	{ "epoll", try_wait, "sqpfdwrk", false },
	/* These change or use up what others need: last. */
	{ "accept", try_accept, "s", false },
	{ "bind", try_bind, "d", false },
	{ "connect of a connected socket", try_connect, "pfd", false },
	{ "connect to AF_UNSPEC", try_disconnect, "pfd", false },
};
/* What the kernel says on its own where the filter lets it through. */
static const int natural[] = { EAGAIN, EINVAL, EISCONN, ECONNREFUSED };

/* Shared with the programs, which cannot tell otherwise. */
static int *results;
static enum program tried;

static void
try_all(void)
{
	struct loop *loop;
	size_t i;

	for (i = 0; i < COUNT(attempts); i++)
		results[i] = attempts[i].try();
	if (tried == PROGRAM_WORKER || tried == PROGRAM_SIGN)
		return;
	/* A loop can also be begun in confinement; this ends us if not. */
	loop = loop_new();
	loop_turn(loop, false);
	loop_free(&loop);
}

static void
run_confined(const char *folder)
{
	const bool own = tried == PROGRAM_QUEUE || tried == PROGRAM_POLICY ||
	    tried == PROGRAM_REPORTS;
	struct proc_start start;
	pid_t pid;

	proc_begin(tried == PROGRAM_WORKER ? PROGRAM_DELIVERY : tried,
	    &start);
	proc_confine(start.program, start.config, own ? folder : NULL);
	if (tried == PROGRAM_WORKER) {
		pid = fork();
		if (pid > 0) {
			waitpid(pid, NULL, 0);
			_exit(0);
		}
		proc_confine(PROGRAM_WORKER, start.config, NULL);
	}
	try_all();
	results[COUNT(attempts)] = 1;
	_exit(0);
}

static bool
is_natural(int error)
{
	size_t i;

	for (i = 0; i < COUNT(natural); i++)
		if (natural[i] == error)
			return true;
	return error == 0;
}

static void
check_attempts(const char *name, char letter)
{
	bool may, did;
	size_t i;

	for (i = 0; i < COUNT(attempts); i++) {
		may = strchr(attempts[i].may, letter) != NULL;
		did = may ? is_natural(results[i]) : attempts[i].any_error ?
		    results[i] != 0 : results[i] == EPERM;
		if (!did)
			fail_msg("%s: %s: %s", name, attempts[i].name,
			    results[i] == 0 ? "it works" :
			    strerror(results[i]));
	}
}

/* A connected TCP socket and a listener, as if inherited. */
static void
make_tools(void)
{
	struct sockaddr_in here = elsewhere();
	socklen_t len = sizeof(here);
	int from;

	here.sin_port = 0;
	tools.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(tools.listener, (struct sockaddr *)&here,
	    sizeof(here)), 0);
	assert_int_equal(listen(tools.listener, 5), 0);
	getsockname(tools.listener, (struct sockaddr *)&here, &len);
	from = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(from, (struct sockaddr *)&here,
	    sizeof(here)), 0);
	tools.tcp = accept(tools.listener, NULL, NULL);
	assert_true(tools.tcp >= 0);
}

static void
test_confinement(void **unused)
{
	static const struct {
		enum program	program;
		char		letter;
	} all[] = {
		{ PROGRAM_SMTPD, 's' }, { PROGRAM_QUEUE, 'q' },
		{ PROGRAM_POLICY, 'p' }, { PROGRAM_FETCH, 'f' },
		{ PROGRAM_DELIVERY, 'd' }, { PROGRAM_WORKER, 'w' },
		{ PROGRAM_REPORTS, 'r' }, { PROGRAM_SIGN, 'k' },
	};
	struct played played;
	char *folder;
	size_t i;

	(void)unused;
	results = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (i = 0; i < COUNT(all); i++) {
		memset(results, 0, 4096);
		make_tools();
		folder = make_folder();
		tried = all[i].program;
		play(&played, folder, run_confined);
		say_settings(&played, "on");
		say(&played, P_GO, NULL, NULL);
		assert_true(hear_until(&played, NULL));
		assert_int_equal(results[COUNT(attempts)], 1);
		assert_non_null(strstr(played.steps.text, "seccomp=1"));
		assert_non_null(strstr(played.steps.text, "no_new_privs=1"));
		assert_int_equal(end(&played), 0);
		check_attempts(program_name(all[i].program), all[i].letter);
		remove_folder(folder);
		close(tools.tcp);
		close(tools.listener);
	}
}

/* Without sandbox only the account and its rights are given up. */
static void
run_unconfined(const char *unused)
{
	struct proc_start start;

	(void)unused;
	proc_begin(PROGRAM_SMTPD, &start);
	proc_confine(PROGRAM_SMTPD, start.config, NULL);
	results[0] = try_open_root();
	results[1] = try_socket4();
	results[2] = try_chroot();
	results[3] = try_stat();
}

static void
test_sandbox_off(void **unused)
{
	struct played played;

	(void)unused;
	memset(results, 0, 4096);
	play(&played, "/", run_unconfined);
	say_settings(&played, "off");
	say(&played, P_GO, NULL, NULL);
	assert_true(hear_until(&played, NULL));
	assert_string_equal(played.steps.text, "sandbox=0 uid=1 ");
	assert_int_equal(end(&played), 0);
	assert_int_equal(results[0], 0);
	assert_int_equal(results[1], 0);
	assert_int_equal(results[2], EPERM);
	assert_int_equal(results[3], 0);
}

/* Root is refused: culverd gives a program its account before exec. */
static void
run_as_root(const char *unused)
{
	struct proc_start start;

	(void)unused;
	proc_begin(PROGRAM_SMTPD, &start);
	proc_confine(PROGRAM_SMTPD, start.config, NULL);
}

static void
test_root_is_refused(void **unused)
{
	struct played played;
	int ends[2];

	(void)unused;
	if (geteuid() != 0)
		return;
	memset(&played, 0, sizeof(played));
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    ends), 0);
	fflush(stdout);
	played.pid = fork();
	if (played.pid == 0) {
		close(ends[0]);
		dup2(ends[1], PROC_PARENT_FD);
		run_as_root(NULL);
		_exit(0);
	}
	close(ends[1]);
	wire_port_open(&played.port, ends[0], &proc_wire);
	say_settings(&played, "off");
	say(&played, P_GO, NULL, NULL);
	assert_true(hear_until(&played, "does not run as root"));
	assert_int_equal(WEXITSTATUS(end(&played)), 1);
}

/* ---- alone ---- */

static void
test_alone(void **unused)
{
	char *folder = make_folder();
	struct config *config = standard_config();
	pid_t pid;
	int status;

	(void)unused;
	free(config->spool);
	config->spool = mem_copy(folder);
	memset(results, 0, 4096);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		proc_confine_alone(PROGRAM_QUEUE, config, folder);
		results[0] = try_open_own();
		results[1] = try_open_passwd();
		results[2] = try_socket4();
		results[3] = (int)geteuid();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(results[0], 0);
	assert_int_not_equal(results[1], 0);
	assert_int_equal(results[2], EPERM);
	assert_int_equal(results[3], geteuid() == 0 ? NOBODY : geteuid());
	config_free(&config);
	remove_folder(folder);
}

/* What it says, a person reads: no time, and only what is wrong. */
static void
test_alone_speaks_plainly(void **unused)
{
	char said[256] = "";
	int ends[2], status;
	pid_t pid;

	(void)unused;
	assert_int_equal(pipe(ends), 0);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		dup2(ends[1], STDERR_FILENO);
		log_start("culver-queue");
		proc_confine_alone(PROGRAM_SMTPD, NULL, NULL);
		log_line(LOG_LEVEL_INFO, "a detail");
		log_line(LOG_LEVEL_ERROR, "a fault");
		_exit(0);
	}
	close(ends[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(read(ends[0], said, sizeof(said) - 1) > 0);
	close(ends[0]);
	assert_string_equal(said, "culver-queue: a fault\n");
}

/* A check needs neither configuration nor folder. */
static void
test_alone_without_settings(void **unused)
{
	pid_t pid;
	int status;

	(void)unused;
	memset(results, 0, 4096);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		proc_confine_alone(PROGRAM_SMTPD, NULL, NULL);
		results[0] = try_open_root();
		results[1] = (int)geteuid();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(results[0], EPERM);
	assert_int_equal(results[1], geteuid() == 0 ? NOBODY : geteuid());
}

/* ---- serving ---- */

static struct loop *served;

static void
on_link(void *context, enum program peer, int fd)
{
	(void)context;
	log_line(LOG_LEVEL_INFO, "link %s %d", program_name(peer), fd >= 0);
	close(fd);
}

static void
on_listener(void *context, const struct p_listener *listener, int fd)
{
	(void)context;
	log_line(LOG_LEVEL_INFO, "listener %s", listener->address);
	close(fd);
}

static void
on_unlisten(void *context, uint32_t number)
{
	(void)context;
	log_line(LOG_LEVEL_INFO, "unlisten %u", number);
}

static void
on_connection(void *context, const struct p_connection *connection, int fd)
{
	(void)context;
	log_line(LOG_LEVEL_INFO, "connection %u of %u", connection->socket,
	    connection->uid);
	close(fd);
}

static void
on_settings(void *context, struct config *config, int ca_fd)
{
	(void)context;
	log_line(LOG_LEVEL_INFO, "settings %s ca %d", config->hostname,
	    ca_fd != -1);
	if (ca_fd != -1)
		close(ca_fd);
	config_free(&config);
}

static void
on_resolvers(void *context, const char *text)
{
	(void)context;
	log_line(LOG_LEVEL_INFO, "resolvers %s", text);
}

static void
on_stop(void *context)
{
	log_line(LOG_LEVEL_INFO, "stop %s", (const char *)context);
	loop_stop(served);
}

static void
run_serve(const char *unused)
{
	static const struct parent_calls calls = {
		.link = on_link, .listener = on_listener,
		.unlisten = on_unlisten, .connection = on_connection,
		.settings = on_settings, .resolvers = on_resolvers,
		.stop = on_stop
	};
	struct proc_start start;

	(void)unused;
	proc_begin(PROGRAM_POLICY, &start);
	served = loop_new();
	parent_serve(served, &calls, (void *)(uintptr_t)"context");
	parent_need(PROGRAM_FETCH);
	parent_alarm("resolver", true, "first %d", 1);
	parent_alarm("resolver", true, "second");
	parent_alarm("disk", false, "never was");
	parent_alarm("resolver", false, "good again");
	parent_alarm("resolver", false, "good still");
	loop_run(served);
}

static void
serve(struct played *played, void (*run)(const char *))
{
	play(played, "/", run);
	say_settings(played, "on");
	say(played, P_GO, NULL, NULL);
}

static void
test_serve(void **unused)
{
	struct p_program peer = { .program = PROGRAM_DELIVERY };
	struct p_listener listener = { .number = 3, .address = "[::1]:25" };
	struct p_connection connection = { .socket = PROC_SUBMIT,
	    .uid = 1000 };
	struct p_resolvers resolvers = { "[::1]:53" };
	struct played played;
	int fd = some_fd();

	(void)unused;
	serve(&played, run_serve);
	say(&played, P_LINK, &peer, &fd);
	say(&played, P_LISTENER, &listener, &fd);
	say(&played, P_UNLISTEN, &listener, NULL);
	say(&played, P_CONNECTION, &connection, &fd);
	say(&played, P_RESOLVERS, &resolvers, NULL);
	say(&played, P_SETTINGS, NULL, NULL);
	say_setting(&played, "hostname", "new.example");
	say_setting(&played, "log-level", "info");
	say(&played, P_CA, NULL, &fd);
	say(&played, P_SETTINGS_END, NULL, NULL);
	say(&played, P_SETTINGS, NULL, NULL);
	say_setting(&played, "hostname", "newer.example");
	say_setting(&played, "log-level", "info");
	say(&played, P_SETTINGS_END, NULL, NULL);
	say(&played, P_STOP, NULL, NULL);
	close(fd);
	assert_true(hear_until(&played, NULL));
	assert_true(played.ready);
	assert_int_equal(played.needs, 1u << PROGRAM_FETCH);
	assert_string_equal(played.alarms.text, "resolver=1:first 1\n"
	    "resolver=1:second\nresolver=0:good again\n");
	assert_string_equal(played.log.text,
	    "culver-policy: alarm what=resolver text=\"first 1\"\n"
	    "culver-policy: alarm resolver is over: good again\n"
	    "culver-policy: link culver-delivery 1\n"
	    "culver-policy: listener [::1]:25\n"
	    "culver-policy: unlisten 3\n"
	    "culver-policy: connection 1 of 1000\n"
	    "culver-policy: resolvers [::1]:53\n"
	    "culver-policy: settings new.example ca 1\n"
	    "culver-policy: settings newer.example ca 0\n"
	    "culver-policy: stop context\n");
	assert_int_equal(end(&played), 0);
}

/* culverd goes away: the program stops by itself. */
static void
test_parent_closes(void **unused)
{
	struct played played;
	int status;

	(void)unused;
	serve(&played, run_serve);
	while (!played.ready)
		hear_until(&played, "alarm resolver is over");
	wire_port_close(&played.port);
	assert_int_equal(waitpid(played.pid, &status, 0), played.pid);
	assert_int_equal(status, 0);
	buffer_free(&played.log);
	buffer_free(&played.alarms);
}

/* It does not: two seconds later it is ended. */
static void
on_stop_never(void *context)
{
	(void)context;
}

static void
run_never_stop(const char *unused)
{
	static const struct parent_calls calls = { .stop = on_stop_never };
	struct proc_start start;

	(void)unused;
	proc_begin(PROGRAM_QUEUE, &start);
	served = loop_new();
	parent_serve(served, &calls, NULL);
	log_line(LOG_LEVEL_INFO, "serves");
	loop_run(served);
}

static void
test_program_that_does_not_stop(void **unused)
{
	struct played played;
	int64_t begun_ms;
	int status;

	(void)unused;
	serve(&played, run_never_stop);
	assert_true(hear_until(&played, "serves"));
	begun_ms = wire_now_ms();
	wire_port_close(&played.port);
	assert_int_equal(waitpid(played.pid, &status, 0), played.pid);
	assert_int_equal(WEXITSTATUS(status), 1);
	assert_in_range(wire_now_ms() - begun_ms, 1500, 5000);
	buffer_free(&played.log);
}

/*
 * One whose loop stands still does not notice: the kernel's signal does it.
 * Between the test and the program stands a culverd that is killed.
 */
static void
run_stand_still(const char *unused)
{
	static const struct parent_calls calls = { .stop = on_stop_never };
	struct proc_start start;

	(void)unused;
	proc_begin(PROGRAM_SMTPD, &start);
	start.config->sandbox = CONFIG_SANDBOX_OFF;
	proc_confine(PROGRAM_SMTPD, start.config, NULL);
	served = loop_new();
	parent_serve(served, &calls, NULL);
	log_line(LOG_LEVEL_INFO, "stands still");
	for (;;)
		pause();
}

static void
test_parent_is_killed(void **unused)
{
	struct played played;
	int alive[2], status;
	struct pollfd gone;
	pid_t middle;

	(void)unused;
	assert_int_equal(pipe(alive), 0);
	fflush(stdout);
	middle = fork();
	if (middle == 0) {
		close(alive[0]);
		serve(&played, run_stand_still);
		if (!hear_until(&played, "stands still"))
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	close(alive[1]);
	assert_int_equal(waitpid(middle, &status, 0), middle);
	assert_true(WIFSIGNALED(status));
	/* The program alone holds the pipe's other end now. */
	gone = (struct pollfd){ alive[0], POLLIN, 0 };
	assert_int_equal(poll(&gone, 1, 500), 0);
	assert_int_equal(poll(&gone, 1, 5000), 1);
	close(alive[0]);
}

/* ---- tables ---- */

static void
test_names(void **unused)
{
	int program;

	(void)unused;
	for (program = PROGRAM_PARENT; program < PROGRAMS_N; program++)
		assert_string_not_equal(program_name(program), "culver");
	assert_string_equal(program_name(PROGRAM_NONE), "culver");
	assert_string_equal(program_name(PROGRAMS_N), "culver");
	assert_string_equal(program_name(PROGRAM_QUEUE), "culver-queue");
	assert_string_equal(program_name(PROGRAM_WORKER), "culver-worker");
}

static void
gather_row(void *context, const char *name, const char *user,
    const char *files_allowed, const char *network, const char *calls)
{
	(void)network;
	buffer_printf(context, "%s %s %s: %s\n", name, user, files_allowed,
	    calls);
}

static void
test_table(void **unused)
{
	struct buffer rows = { NULL, 0, 0 };

	(void)unused;
	proc_table(gather_row, &rows);
	assert_string_equal(rows.text,
	    "culverd root its configuration, programs and sockets: "
	    "not filtered\n"
	    "culver-smtpd culver-net none: base, pipes, accept\n"
	    "culver-queue culver its own folder: base, pipes, files\n"
	    "culver-policy culver its own folder: base, pipes, files, "
	    "connect\n"
	    "culver-fetch culver-net none: base, pipes, connect, pair\n"
	    "culver-delivery culver-net none: base, pipes, connect, bind, "
	    "pair, fork\n"
	    "culver-worker culver-net none: base\n"
	    "culver-reports culver its own folder: base, pipes, files\n"
	    "culver-sign culver none: base\n");
	buffer_free(&rows);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_begin),
		cmocka_unit_test(test_begin_ends),
		cmocka_unit_test(test_by_hand),
		cmocka_unit_test(test_parent_replaced),
		cmocka_unit_test(test_log_flood),
		cmocka_unit_test(test_confinement),
		cmocka_unit_test(test_sandbox_off),
		cmocka_unit_test(test_root_is_refused),
		cmocka_unit_test(test_alone),
		cmocka_unit_test(test_alone_without_settings),
		{ "alone it speaks to a person", test_alone_speaks_plainly,
		    NULL, NULL, NULL },
		cmocka_unit_test(test_serve),
		cmocka_unit_test(test_parent_closes),
		cmocka_unit_test(test_program_that_does_not_stop),
		cmocka_unit_test(test_parent_is_killed),
	};

	log_start("test");
	log_set_level(LOG_LEVEL_ERROR);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
