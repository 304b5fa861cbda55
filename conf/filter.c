/*
 * Which system calls may a program make?
 *
 * Called by proc_confine alone.  Everything that is not in the sets below is
 * refused (CONFINE_REFUSE: fails with EPERM; in a sanitizer build the kernel
 * logs it, because the sanitizers make calls of their own).  What turns one
 * descriptor into another power is refused by leaving it out: connect (also
 * of a socket that was accepted or inherited, also to AF_UNSPEC), listen,
 * bind, ptrace, kill, execve; where a call that is needed can do such a thing
 * by an argument, the argument is compared: MSG_FASTOPEN of sendto and
 * sendmsg, F_SETOWN of fcntl, PROT_EXEC of mmap, threads and namespaces of
 * clone.
 */
#include "conf/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* A call, and what its arguments must be (n comparisons). */
struct call {
	int			number;
	unsigned		n;
	struct scmp_arg_cmp	is[2];
};

#define ANY(name)	{ .number = SCMP_SYS(name) }
#define IS(name, place, value)						\
	{ .number = SCMP_SYS(name), .n = 1,				\
	  .is = { { place, SCMP_CMP_EQ, value, 0 } } }
/* None of these bits is set in that argument. */
#define WITHOUT(name, place, bits)					\
	{ .number = SCMP_SYS(name), .n = 1,				\
	  .is = { { place, SCMP_CMP_MASKED_EQ, bits, 0 } } }

/* What memory, time, waiting, and descriptors that it has, take. */
static const struct call base[] = {
	ANY(read), ANY(readv), ANY(write), ANY(writev), ANY(close),
	ANY(lseek), ANY(fstat), ANY(dup), ANY(dup2), ANY(dup3),
	/* fstat by another name, for glibc: of a descriptor, not a path. */
	IS(newfstatat, 3, AT_EMPTY_PATH),
	WITHOUT(mmap, 2, PROT_EXEC), WITHOUT(mprotect, 2, PROT_EXEC),
	ANY(munmap), ANY(mremap), ANY(madvise), ANY(brk),
	ANY(rt_sigaction), ANY(rt_sigprocmask), ANY(rt_sigreturn),
	ANY(sigaltstack), ANY(alarm), ANY(setitimer),
	ANY(getpid), ANY(gettid), ANY(getppid), ANY(getuid), ANY(geteuid),
	ANY(getgid), ANY(getegid), ANY(uname), ANY(sysinfo), ANY(getrusage),
	ANY(clock_gettime), ANY(clock_getres), ANY(gettimeofday), ANY(time),
	ANY(clock_nanosleep), ANY(nanosleep), ANY(getrandom),
	ANY(epoll_create1), ANY(epoll_ctl), ANY(epoll_wait),
	ANY(epoll_pwait), ANY(poll), ANY(ppoll), ANY(select), ANY(pselect6),
	ANY(futex), ANY(sched_yield), IS(sched_getaffinity, 0, 0),
	ANY(restart_syscall), ANY(exit),
	ANY(exit_group), ANY(getrlimit), ANY(setrlimit),
	IS(prlimit64, 0, 0),
	IS(fcntl, 1, F_GETFD), IS(fcntl, 1, F_SETFD), IS(fcntl, 1, F_GETFL),
	IS(fcntl, 1, F_SETFL), IS(fcntl, 1, F_DUPFD),
	IS(fcntl, 1, F_DUPFD_CLOEXEC), IS(fcntl, 1, F_SETPIPE_SZ),
	IS(fcntl, 1, F_GETPIPE_SZ),
	IS(ioctl, 1, FIONREAD), IS(ioctl, 1, FIONBIO),
	WITHOUT(sendmsg, 2, MSG_FASTOPEN),
	/* send() only: to nobody but the peer it has. */
	{ .number = SCMP_SYS(sendto), .n = 2, .is = {
	    { 3, SCMP_CMP_MASKED_EQ, MSG_FASTOPEN, 0 },
	    { 4, SCMP_CMP_EQ, 0, 0 } } },
	ANY(recvmsg), ANY(recvfrom), ANY(shutdown), ANY(getsockopt),
	ANY(setsockopt), ANY(getsockname), ANY(getpeername)
};

static const struct call pipes[] = { ANY(pipe2), ANY(pipe) };

/* Where is said by chroot and Landlock; which calls, here. */
static const struct call files[] = {
	ANY(open), ANY(openat), ANY(newfstatat), ANY(stat), ANY(lstat),
	ANY(statx), ANY(access), ANY(faccessat), ANY(faccessat2),
	ANY(fstatfs), ANY(statfs), ANY(getdents64), ANY(getcwd),
	ANY(pread64), ANY(pwrite64), ANY(preadv), ANY(pwritev),
	ANY(fsync), ANY(fdatasync), ANY(ftruncate), ANY(fallocate),
	ANY(sync_file_range), ANY(fadvise64), ANY(msync),
	ANY(rename), ANY(renameat), ANY(renameat2), ANY(unlink),
	ANY(unlinkat), ANY(mkdir), ANY(mkdirat), ANY(rmdir), ANY(fchmod),
	ANY(umask), IS(fcntl, 1, F_SETLK), IS(fcntl, 1, F_GETLK),
	IS(fcntl, 1, F_SETLKW)
};

static const struct call accepting[] = { ANY(accept4), ANY(accept) };

static const struct call connecting[] = {
	IS(socket, 0, AF_INET), IS(socket, 0, AF_INET6), ANY(connect)
};

static const struct call binding[] = { ANY(bind) };

static const struct call pairing[] = { IS(socketpair, 0, AF_UNIX) };

/* A new process, no thread and no namespace; and its own, harder row. */
#define CLONE_REFUSED							\
	(~(unsigned long)(0xff | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID))
static const struct call forking[] = {
	WITHOUT(clone, 0, CLONE_REFUSED),
	ANY(wait4), ANY(waitid), ANY(set_robust_list), ANY(rseq),
	ANY(close_range), ANY(seccomp),
	IS(prctl, 0, PR_SET_NO_NEW_PRIVS), IS(prctl, 0, PR_SET_PDEATHSIG),
	IS(prctl, 0, PR_SET_DUMPABLE), IS(prctl, 0, PR_SET_NAME),
	/* libseccomp asks what the kernel can do, and loads, by these too. */
	IS(prctl, 0, PR_GET_SECCOMP), IS(prctl, 0, PR_SET_SECCOMP)
};

struct set {
	unsigned		 bit;
	const char		*name;
	const struct call	*calls;
	size_t			 n;
};
#define SET(bit, name, calls)	\
	{ bit, name, calls, sizeof(calls) / sizeof((calls)[0]) }
static const struct set sets_known[] = {
	SET(0, "base", base),
	SET(FILTER_PIPES, "pipes", pipes),
	SET(FILTER_FILES, "files", files),
	SET(FILTER_ACCEPT, "accept", accepting),
	SET(FILTER_CONNECT, "connect", connecting),
	SET(FILTER_BIND, "bind", binding),
	SET(FILTER_PAIR, "pair", pairing),
	SET(FILTER_FORK, "fork", forking)
};
#define SETS_N	(sizeof(sets_known) / sizeof(sets_known[0]))

static int
add_call(scmp_filter_ctx filter, const struct call *call)
{
	int result;

	result = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call->number,
	    call->n, call->is);
	/* This machine has no such call: then nobody makes it. */
	return result == -EDOM ? 0 : result;
}

/* Abort needs a signal to ourselves; to nobody else. */
static int
add_abort(scmp_filter_ctx filter)
{
	const struct call call = IS(tgkill, 0, (scmp_datum_t)getpid());

	return add_call(filter, &call);
}

static int
add_sets(scmp_filter_ctx filter, unsigned sets)
{
	int result = add_abort(filter), count = 1;
	size_t i, j;

	for (i = 0; i < SETS_N; i++) {
		if (sets_known[i].bit != 0 && !(sets & sets_known[i].bit))
			continue;
		for (j = 0; j < sets_known[i].n && result == 0; j++)
			result = add_call(filter, &sets_known[i].calls[j]);
		count += (int)sets_known[i].n;
	}
	return result == 0 ? count : result;
}

int
filter_load(unsigned sets)
{
	scmp_filter_ctx filter;
	int count, result;

	filter = seccomp_init(CONFINE_REFUSE);
	if (filter == NULL) {
		errno = ENOMEM;
		return -1;
	}
	/* A search tree instead of a chain: the filter runs at each call. */
	seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	count = add_sets(filter, sets);
	result = count < 0 ? count : seccomp_load(filter);
	seccomp_release(filter);
	if (result == 0)
		return count;
	errno = -result;
	return -1;
}

bool
filter_enforces(void)
{
	return CONFINE_REFUSE != SCMP_ACT_LOG;
}

const char *
filter_words(unsigned sets, char *text, unsigned size)
{
	size_t i, len = 0;

	text[0] = '\0';
	for (i = 0; i < SETS_N && len < size; i++)
		if (sets_known[i].bit == 0 || (sets & sets_known[i].bit))
			len += (size_t)snprintf(text + len, size - len,
			    "%s%s", i > 0 ? ", " : "", sets_known[i].name);
	return text;
}
