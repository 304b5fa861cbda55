/*
 * A program taken over: what an attacker tries from inside a confined one.
 *
 * CULVER_ATTACK names the program ("culver-smtpd", "culver-queue",
 * "culver-policy", "culver-worker"), CULVER_ATTACK_LOG a file that is mapped
 * at load, before confinement, to write results to: TAP lines, "ok" where the
 * attempt failed.  The attack runs once, when the program first has a peer's
 * descriptor in its hands: smtpd after accept4, a worker after it received
 * its socket, queue and policy with the first message on a link.  The clock of the attack is the filter itself:
 * seccomp_load is wrapped, and nothing is tried before it has returned (for a
 * worker, the second one, after the fork).
 *
 * Used by tests/attack.py.  Not used by, or known to, any program of culver.
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

enum { RESULTS_SIZE = 65536 };

static struct {
	char	*results;	/* mapped, shared */
	size_t	 used;
	char	 program[64];
	pid_t	 loaded_in;
	unsigned filters;
	bool	 done;
	unsigned number;
} attack;

__attribute__((constructor)) static void
load(void)
{
	const char *wanted = getenv("CULVER_ATTACK");
	const char *file = getenv("CULVER_ATTACK_LOG");
	char self[256];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (wanted == NULL || file == NULL || len <= 0)
		return;
	self[len] = '\0';
	const char *name = strrchr(self, '/') + 1;
	bool worker = strcmp(wanted, "culver-worker") == 0;
	if (strcmp(name, worker ? "culver-delivery" : wanted) != 0)
		return;
	int fd = open(file, O_RDWR | O_CLOEXEC);
	if (fd == -1)
		return;
	attack.results = mmap(NULL, RESULTS_SIZE, PROT_READ | PROT_WRITE,
	    MAP_SHARED, fd, 0);
	close(fd);
	attack.loaded_in = getpid();
	snprintf(attack.program, sizeof(attack.program), "%s", wanted);
}

/* One attempt: it is well when it failed, and by our filter's word. */
static void
attempt(long result, const char *format, ...)
{
	int error = errno;
	char what[160];
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	attack.used += (size_t)snprintf(attack.results + attack.used,
	    RESULTS_SIZE - attack.used, "%s %u - %s: %s is refused (%s)\n",
	    result == -1 && error == EPERM ? "ok" : "not ok",
	    ++attack.number, attack.program, what,
	    result == -1 ? strerrorname_np(error) : "it worked");
}

static struct sockaddr_in
elsewhere(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
	    .sin_port = htons(80) };
	inet_pton(AF_INET, "203.0.113.99", &to.sin_addr);
	return to;
}

/* Turn a socket we were given into one to somewhere else. */
static void
turn(int fd, const char *which)
{
	struct sockaddr_in to = elsewhere();
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	attempt(connect(fd, (struct sockaddr *)&to, sizeof(to)),
	    "connect on %s", which);
	attempt(connect(fd, &none, sizeof(none)),
	    "connect to AF_UNSPEC on %s", which);
	attempt(sendto(fd, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL,
	    (struct sockaddr *)&to, sizeof(to)), "MSG_FASTOPEN on %s", which);
	char octet = 'x';
	struct iovec part = { .iov_base = &octet, .iov_len = 1 };
	struct msghdr message = { .msg_name = &to, .msg_namelen = sizeof(to),
	    .msg_iov = &part, .msg_iovlen = 1 };
	attempt(sendmsg(fd, &message, MSG_FASTOPEN | MSG_NOSIGNAL),
	    "sendmsg with MSG_FASTOPEN on %s", which);
	attempt(bind(fd, (struct sockaddr *)&to, sizeof(to)),
	    "bind on %s", which);
	attempt(listen(fd, 1), "listen on %s", which);
}

static void
turn_closed(int fd)
{
	struct sockaddr_in to = elsewhere();
	int copy = dup(fd);
	if (copy == -1)
		copy = fd;
	(void)shutdown(copy, SHUT_RDWR);
	attempt(connect(copy, (struct sockaddr *)&to, sizeof(to)),
	    "connect after shutdown");
}

static void
others(void)
{
	char byte;
	struct iovec here = { &byte, 1 }, there = { (void *)attack.results, 1 };
	attempt(socket(AF_UNIX, SOCK_STREAM, 0), "a local socket");
	attempt(socket(AF_NETLINK, SOCK_RAW, 0), "a netlink socket");
	attempt(execl("/bin/sh", "sh", "-c", "true", NULL), "execve");
	attempt(ptrace(PTRACE_ATTACH, getppid(), 0, 0), "ptrace");
	attempt(process_vm_readv(getppid(), &here, 1, &there, 1, 0),
	    "process_vm_readv");
	attempt(kill(getppid(), 0), "kill of the parent");
	attempt(kill(getpid() + 1, 0), "kill of a sibling");
	attempt(syscall(SYS_tgkill, getppid(), getppid(), 0),
	    "tgkill of the parent");
	attempt(syscall(SYS_pidfd_open, getppid(), 0), "pidfd_open");
	attempt(syscall(SYS_unshare, 0x10000000), "unshare");
	attempt(syscall(SYS_bpf, 0, 0, 0), "bpf");
	attempt(syscall(SYS_io_uring_setup, 8, NULL), "io_uring_setup");
	attempt(syscall(SYS_setuid, 0), "setuid");
	attempt(syscall(SYS_mount, "x", "/", "tmpfs", 0, NULL), "mount");
}

static bool
is_program(const char *name)
{
	return strcmp(attack.program, name) == 0;
}

/* These own no file and make no connection. */
static void
without_files(void)
{
	attempt(open("/etc/passwd", O_RDONLY), "open of /etc/passwd");
	attempt(open("/", O_RDONLY | O_DIRECTORY), "open of /");
	attempt(syscall(SYS_openat2, AT_FDCWD, "/", NULL, 0), "openat2");
	attempt(socket(AF_INET, SOCK_STREAM, 0), "a TCP socket");
	attempt(socket(AF_INET6, SOCK_DGRAM, 0), "a UDP socket");
}

/* Landlock or chroot, not the filter, keeps these in their folder. */
static void
closed(const char *path, int flags)
{
	int fd = open(path, flags);
	if (fd == -1)
		errno = EPERM;
	attempt(fd, "open of %s", path);
}

static void
in_a_folder(void)
{
	char path[64];
	closed("/etc/passwd", O_RDONLY);
	closed("/etc/resolv.conf", O_RDONLY);
	closed("/proc/self/mem", O_RDWR);
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)getppid());
	closed(path, O_RDWR);
	closed("../queue/lock", O_RDWR);
	closed("../policy/lock", O_RDWR);
}

/* Policy asks name servers: it may connect, but nobody connects to it. */
static void
as_server(void)
{
	struct sockaddr_in here = { .sin_family = AF_INET,
	    .sin_port = htons(5353) };
	int tcp = socket(AF_INET, SOCK_STREAM, 0);
	int udp = socket(AF_INET, SOCK_DGRAM, 0);
	attempt(bind(tcp, (struct sockaddr *)&here, sizeof(here)),
	    "bind of a TCP socket");
	attempt(listen(tcp, 1), "listen");
	attempt(accept4(tcp, NULL, NULL, 0), "accept");
	attempt(bind(udp, (struct sockaddr *)&here, sizeof(here)),
	    "bind of a UDP socket");
	attempt(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP), "a raw socket");
	attempt(socket(AF_PACKET, SOCK_RAW, 0), "a packet socket");
}

static bool
is_tcp(int fd)
{
	int domain = 0;
	socklen_t len = sizeof(domain);
	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 &&
	    (domain == AF_INET || domain == AF_INET6);
}

static void
run(int fd, const char *which)
{
	if (attack.done || attack.results == NULL)
		return;
	bool worker = is_program("culver-worker");
	if (attack.filters < (worker ? 2U : 1U) ||
	    (worker && getpid() == attack.loaded_in))
		return;
	attack.done = true;
	others();
	if (is_program("culver-policy")) {
		in_a_folder();
		as_server();
	} else if (is_program("culver-queue")) {
		in_a_folder();
		attempt(socket(AF_INET, SOCK_STREAM, 0), "a TCP socket");
	} else {
		without_files();
	}
	if (!is_program("culver-policy")) {
		turn(fd, which);
		/* Its end of a link closed, a program goes: in order. */
		if (is_tcp(fd))
			turn_closed(fd);
	}
	snprintf(attack.results + attack.used, RESULTS_SIZE - attack.used,
	    "1..%u\n", attack.number);
}

int
seccomp_load(void *context)
{
	int (*next)(void *) = (int (*)(void *))dlsym(RTLD_NEXT,
	    "seccomp_load");
	int result = next(context);
	if (result == 0)
		attack.filters++;
	return result;
}

int
accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
	int (*next)(int, struct sockaddr *, socklen_t *, int) =
	    (int (*)(int, struct sockaddr *, socklen_t *, int))
	    dlsym(RTLD_NEXT, "accept4");
	int got = next(fd, address, len, flags);
	if (got != -1)
		run(got, "an accepted socket");
	return got;
}

ssize_t
recvmsg(int fd, struct msghdr *message, int flags)
{
	ssize_t (*next)(int, struct msghdr *, int) =
	    (ssize_t (*)(int, struct msghdr *, int))
	    dlsym(RTLD_NEXT, "recvmsg");
	ssize_t got = next(fd, message, flags);
	if (got <= 0 || attack.results == NULL || attack.done)
		return got;
	if (is_program("culver-queue") || is_program("culver-policy")) {
		run(fd, "an inherited link");
		return got;
	}
	for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL;
	    part = CMSG_NXTHDR(message, part)) {
		int passed;
		if (part->cmsg_type != SCM_RIGHTS)
			continue;
		memcpy(&passed, CMSG_DATA(part), sizeof(passed));
		if (is_tcp(passed))
			run(passed, "the socket it was given");
	}
	return got;
}
