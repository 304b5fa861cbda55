/*
 * The nth failure for tests: a preload that lets one call of a program fail,
 * or lets the program end there, as by kill -9.
 *
 *	CULVER_FAULT=/path LD_PRELOAD=build/tests/preload/fault.so culverd ...
 *
 * The file has 4096 octets and begins with a struct fault; whoever maps it
 * (tests/fault.py, tests/torture.py) arms it while the programs run.  Calls
 * are counted from the moment that nth is set, in the program of that name
 * alone (workers are culver-delivery): the nth one and `times - 1` behind it
 * fail with that error; or, by `action`, the program ends before the call, or
 * with half of a write done, or the call is said to have gone well and was
 * not made.  Only what goes to regular files counts as a write: log lines and
 * pipes are no disk.  It is mapped when the program is loaded, so a chroot
 * and a system call filter do not matter later.
 *
 * Not reached: calls that libc makes within itself.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE_OCTETS	4096

enum {
	FAULT_WRITE = 1, FAULT_SYNC = 2, FAULT_CREATE = 4, FAULT_MEMORY = 8,
	FAULT_UNLINK = 16
};

/* What becomes of the call. */
enum { ACTION_FAIL, ACTION_DIE, ACTION_DIE_HALF, ACTION_LIE };
#define DIED	137	/* as a shell says of kill -9; the filter has no kill */

struct fault {
	char			program[32];	/* "culver-queue" */
	uint32_t		calls;		/* set of FAULT_... */
	uint32_t		error;		/* errno */
	volatile uint64_t	nth;		/* 0: not armed */
	uint64_t		times;
	volatile uint64_t	seen, failed;
	uint32_t		action;
};

static struct fault *page;
static char program[PATH_MAX];

extern void	*__libc_malloc(size_t size);
extern void	*__libc_calloc(size_t n, size_t size);
extern void	*__libc_realloc(void *old, size_t size);

static struct {
	ssize_t	(*write)(int, const void *, size_t);
	ssize_t	(*pwrite)(int, const void *, size_t, off_t);
	ssize_t	(*pwrite64)(int, const void *, size_t, off64_t);
	ssize_t	(*writev)(int, const struct iovec *, int);
	int	(*fsync)(int);
	int	(*fdatasync)(int);
	int	(*ftruncate)(int, off_t);
	int	(*ftruncate64)(int, off64_t);
	int	(*fallocate)(int, int, off_t, off_t);
	int	(*fallocate64)(int, int, off64_t, off64_t);
	int	(*open)(const char *, int, ...);
	int	(*open64)(const char *, int, ...);
	int	(*openat)(int, const char *, int, ...);
	int	(*openat64)(int, const char *, int, ...);
	int	(*unlink)(const char *);
	int	(*unlinkat)(int, const char *, int);
} real;

static void *
find(const char *name)
{
	void *symbol = dlsym(RTLD_NEXT, name);

	if (symbol == NULL) {
		fprintf(stderr, "fault.so: no %s\n", name);
		_exit(99);
	}
	return symbol;
}

#define FIND(name)	(*(void **)&real.name = find(#name))

static void
map_page(const char *path)
{
	const char *base;
	void *memory;
	ssize_t n;
	int fd = real.open(path, O_RDWR | O_CLOEXEC);

	n = readlink("/proc/self/exe", program, sizeof(program) - 1);
	program[n > 0 ? n : 0] = '\0';
	base = strrchr(program, '/');
	if (base != NULL)
		memmove(program, base + 1, strlen(base));
	memory = fd == -1 ? MAP_FAILED :
	    mmap(NULL, PAGE_OCTETS, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		fprintf(stderr, "fault.so: %s: %s\n", path, strerror(errno));
	else
		page = memory;
	if (fd != -1)
		close(fd);
}

__attribute__((constructor))
static void
begin(void)
{
	const char *path = getenv("CULVER_FAULT");

	FIND(write);
	FIND(pwrite);
	FIND(pwrite64);
	FIND(writev);
	FIND(fsync);
	FIND(fdatasync);
	FIND(ftruncate);
	FIND(ftruncate64);
	FIND(fallocate);
	FIND(fallocate64);
	FIND(open);
	FIND(open64);
	FIND(openat);
	FIND(openat64);
	FIND(unlink);
	FIND(unlinkat);
	if (path != NULL && path[0] != '\0')
		map_page(path);
}

/* Is this call the one? */
static bool
fails(unsigned call)
{
	struct fault *fault = page;
	uint64_t n;

	if (fault == NULL || fault->nth == 0 || !(fault->calls & call) ||
	    strncmp(fault->program, program, sizeof(fault->program)) != 0)
		return false;
	n = __atomic_add_fetch(&fault->seen, 1, __ATOMIC_SEQ_CST);
	if (n < fault->nth || n - fault->nth >= fault->times)
		return false;
	__atomic_add_fetch(&fault->failed, 1, __ATOMIC_SEQ_CST);
	if (fault->action == ACTION_DIE)
		_exit(DIED);
	errno = (int)fault->error;
	return true;
}

/* What the caller of a call that fails() gets. */
static ssize_t
outcome(size_t success)
{
	if (page->action == ACTION_DIE_HALF)
		_exit(DIED);
	return page->action == ACTION_LIE ? (ssize_t)success : -1;
}

static bool
write_fails(int fd)
{
	struct stat status;
	int error = errno;

	if (page == NULL || page->nth == 0)
		return false;
	if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
		errno = error;
		return false;
	}
	return fails(FAULT_WRITE);
}

/*
 * What a kill in the middle of a write leaves of it: the kernel looks for a
 * deadly signal between two pages of the file, never within one.
 */
static size_t
half(size_t len, off_t at)
{
	size_t done = len / 2, beyond;

	if (at < 0)
		return 0;
	beyond = ((size_t)at + done) % PAGE_OCTETS;
	return beyond > done ? 0 : done - beyond;
}

static void
write_half(int fd, const void *octets, size_t len, off_t at)
{
	if (page->action != ACTION_DIE_HALF)
		return;
	if (at == -1)
		real.write(fd, octets, half(len, lseek(fd, 0, SEEK_CUR)));
	else
		real.pwrite(fd, octets, half(len, at), at);
}

ssize_t
write(int fd, const void *octets, size_t len)
{
	if (!write_fails(fd))
		return real.write(fd, octets, len);
	write_half(fd, octets, len, -1);
	return outcome(len);
}

ssize_t
pwrite(int fd, const void *octets, size_t len, off_t at)
{
	if (!write_fails(fd))
		return real.pwrite(fd, octets, len, at);
	write_half(fd, octets, len, at);
	return outcome(len);
}

ssize_t
pwrite64(int fd, const void *octets, size_t len, off64_t at)
{
	if (!write_fails(fd))
		return real.pwrite64(fd, octets, len, at);
	write_half(fd, octets, len, at);
	return outcome(len);
}

ssize_t
writev(int fd, const struct iovec *parts, int n)
{
	size_t len = 0;
	int i;

	if (!write_fails(fd))
		return real.writev(fd, parts, n);
	for (i = 0; i < n; i++)
		len += parts[i].iov_len;
	write_half(fd, n > 0 ? parts[0].iov_base : NULL,
	    n > 0 ? parts[0].iov_len : 0, -1);
	return outcome(len);
}

int
ftruncate(int fd, off_t size)
{
	return fails(FAULT_WRITE) ? (int)outcome(0) :
	    real.ftruncate(fd, size);
}

int
ftruncate64(int fd, off64_t size)
{
	return fails(FAULT_WRITE) ? (int)outcome(0) :
	    real.ftruncate64(fd, size);
}

int
fallocate(int fd, int mode, off_t at, off_t len)
{
	return fails(FAULT_WRITE) ? (int)outcome(0) :
	    real.fallocate(fd, mode, at, len);
}

int
fallocate64(int fd, int mode, off64_t at, off64_t len)
{
	return fails(FAULT_WRITE) ? (int)outcome(0) :
	    real.fallocate64(fd, mode, at, len);
}

int
fsync(int fd)
{
	return fails(FAULT_SYNC) ? (int)outcome(0) : real.fsync(fd);
}

int
fdatasync(int fd)
{
	return fails(FAULT_SYNC) ? (int)outcome(0) : real.fdatasync(fd);
}

/* The mode behind the flags, where there is one. */
#define MODE(flags)							\
	__extension__({							\
		mode_t mode_ = 0;					\
		va_list list_;						\
		if ((flags) & O_CREAT) {				\
			va_start(list_, flags);				\
			mode_ = va_arg(list_, mode_t);			\
			va_end(list_);					\
		}							\
		mode_;							\
	})

int
open(const char *path, int flags, ...)
{
	mode_t mode = MODE(flags);

	if ((flags & O_CREAT) && fails(FAULT_CREATE))
		return -1;
	return real.open(path, flags, mode);
}

int
open64(const char *path, int flags, ...)
{
	mode_t mode = MODE(flags);

	if ((flags & O_CREAT) && fails(FAULT_CREATE))
		return -1;
	return real.open64(path, flags, mode);
}

int
openat(int folder, const char *path, int flags, ...)
{
	mode_t mode = MODE(flags);

	if ((flags & O_CREAT) && fails(FAULT_CREATE))
		return -1;
	return real.openat(folder, path, flags, mode);
}

int
openat64(int folder, const char *path, int flags, ...)
{
	mode_t mode = MODE(flags);

	if ((flags & O_CREAT) && fails(FAULT_CREATE))
		return -1;
	return real.openat64(folder, path, flags, mode);
}

int
unlink(const char *path)
{
	return fails(FAULT_UNLINK) ? (int)outcome(0) : real.unlink(path);
}

int
unlinkat(int folder, const char *path, int flags)
{
	return fails(FAULT_UNLINK) ? (int)outcome(0) :
	    real.unlinkat(folder, path, flags);
}

void *
malloc(size_t size)
{
	return fails(FAULT_MEMORY) ? NULL : __libc_malloc(size);
}

void *
calloc(size_t n, size_t size)
{
	return fails(FAULT_MEMORY) ? NULL : __libc_calloc(n, size);
}

void *
realloc(void *old, size_t size)
{
	return fails(FAULT_MEMORY) ? NULL : __libc_realloc(old, size);
}
