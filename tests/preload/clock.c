/*
 * Time travel for tests: a preload that adds an offset to every clock.
 *
 *	CULVER_CLOCK=/path LD_PRELOAD=build/tests/preload/clock.so culverd ...
 *
 * The file has 4096 octets; the first eight are the offset, a native int64 of
 * nanoseconds: time passes, by every clock.  The next eight are added to the
 * wall clock alone: somebody set it.  It is mapped when the program is loaded, so a chroot, a
 * system call filter and a changed user do not matter later; children that
 * are forked or exec'd see the same page.  Without the variable nothing
 * changes.
 *
 * Waits are cut into slices of at most 20 ms and end when their time has
 * come by the shifted clock: a jump of an hour ends a wait of a minute at
 * once, and leaves 23 hours of a day.  A jump backwards ends every wait.
 * Waits without an end stay whole.
 *
 * Not reached: calls that libc makes within itself, time-outs of sockets
 * (SO_RCVTIMEO), timerfd, condition variables, signals of interval timers.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS	INT64_C(1000000000)
#define SLICE_NS	INT64_C(20000000)
#define PAGE_OCTETS	4096

static const volatile int64_t *page;

/*
 * What stands behind us, found when we are loaded.  Each call goes on to the
 * one of its own name: the filter of a confined program allows that one.
 */
static struct {
	int	(*clock_gettime)(clockid_t, struct timespec *);
	int	(*epoll_wait)(int, struct epoll_event *, int, int);
	int	(*epoll_pwait)(int, struct epoll_event *, int, int,
		    const sigset_t *);
	int	(*epoll_pwait2)(int, struct epoll_event *, int,
		    const struct timespec *, const sigset_t *);
	int	(*poll)(struct pollfd *, nfds_t, int);
	int	(*ppoll)(struct pollfd *, nfds_t, const struct timespec *,
		    const sigset_t *);
	int	(*select)(int, fd_set *, fd_set *, fd_set *,
		    struct timeval *);
	int	(*pselect)(int, fd_set *, fd_set *, fd_set *,
		    const struct timespec *, const sigset_t *);
	int	(*nanosleep)(const struct timespec *, struct timespec *);
	int	(*clock_nanosleep)(clockid_t, int, const struct timespec *,
		    struct timespec *);
} real;

static void *
find(const char *name)
{
	void *symbol = dlsym(RTLD_NEXT, name);

	if (symbol == NULL) {
		fprintf(stderr, "clock.so: no %s\n", name);
		_exit(99);
	}
	return symbol;
}

static void
map_page(const char *path)
{
	void *memory;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	memory = fd == -1 ? MAP_FAILED :
	    mmap(NULL, PAGE_OCTETS, PROT_READ, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		fprintf(stderr, "clock.so: %s: %s\n", path, strerror(errno));
	else
		page = memory;
	if (fd != -1)
		close(fd);
}

/* Function pointers from void pointers, as POSIX has it. */
#define FIND(name)	(*(void **)&real.name = find(#name))

__attribute__((constructor))
static void
begin(void)
{
	const char *path = getenv("CULVER_CLOCK");

	FIND(clock_gettime);
	FIND(epoll_wait);
	FIND(epoll_pwait);
	FIND(epoll_pwait2);
	FIND(poll);
	FIND(ppoll);
	FIND(select);
	FIND(pselect);
	FIND(nanosleep);
	FIND(clock_nanosleep);
	if (path != NULL && path[0] != '\0')
		map_page(path);
}

static int64_t
offset_ns(void)
{
	return page != NULL ? *page : 0;
}

static int64_t
set_ns(void)
{
	return page != NULL ? page[1] : 0;
}

/* Before begin() ran (another library's constructor) the kernel is asked. */
static int
real_clock(clockid_t id, struct timespec *now)
{
	if (real.clock_gettime != NULL)
		return real.clock_gettime(id, now);
	return (int)syscall(SYS_clock_gettime, id, now);
}

static int64_t
ns_of(const struct timespec *time)
{
	return time->tv_sec * SECOND_NS + time->tv_nsec;
}

static struct timespec
timespec_of(int64_t ns)
{
	struct timespec time = { ns / SECOND_NS, ns % SECOND_NS };

	if (time.tv_nsec < 0) {
		time.tv_nsec += SECOND_NS;
		time.tv_sec--;
	}
	return time;
}

static bool
is_shifted(clockid_t id)
{
	switch (id) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_REALTIME_ALARM:
	case CLOCK_TAI:
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_BOOTTIME:
	case CLOCK_BOOTTIME_ALARM:
		return true;
	default:		/* processor time does not travel */
		return false;
	}
}

static bool
is_wall(clockid_t id)
{
	switch (id) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_REALTIME_ALARM:
	case CLOCK_TAI:
		return true;
	default:
		return false;
	}
}

int
clock_gettime(clockid_t id, struct timespec *now)
{
	int result = real_clock(id, now);

	if (result == 0 && page != NULL && is_shifted(id))
		*now = timespec_of(ns_of(now) + offset_ns() +
		    (is_wall(id) ? set_ns() : 0));
	return result;
}

time_t
time(time_t *to)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	if (to != NULL)
		*to = now.tv_sec;
	return now.tv_sec;
}

int
gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	struct timespec precise;

	clock_gettime(CLOCK_REALTIME, &precise);
	now->tv_sec = precise.tv_sec;
	now->tv_usec = precise.tv_nsec / 1000;
	if (zone != NULL)
		memset(zone, 0, sizeof(struct timezone));
	return 0;
}

static int64_t
monotonic_ns(void)
{
	struct timespec now;

	real_clock(CLOCK_MONOTONIC, &now);
	return ns_of(&now);
}

/* A wait that has begun: when it ends by the shifted clock. */
struct wait {
	int64_t	begun_offset_ns;
	int64_t	end_ns;
};

static struct wait
wait_for(int64_t delay_ns)
{
	struct wait wait = { offset_ns(), 0 };
	int64_t now_ns = monotonic_ns() + wait.begun_offset_ns;

	wait.end_ns = delay_ns > INT64_MAX - now_ns ? INT64_MAX :
	    now_ns + delay_ns;
	return wait;
}

/* What is left of it; 0: it is over, or time went backwards. */
static int64_t
left_ns(const struct wait *wait)
{
	int64_t now_offset_ns = offset_ns(), left;

	if (now_offset_ns < wait->begun_offset_ns)
		return 0;
	left = wait->end_ns - monotonic_ns() - now_offset_ns;
	return left > 0 ? left : 0;
}

/* The next slice of it as a time-out; false when nothing is left. */
static bool
next_slice(const struct wait *wait, struct timespec *slice)
{
	int64_t left = left_ns(wait);

	*slice = timespec_of(left < SLICE_NS ? left : SLICE_NS);
	return left > 0;
}

/* A slice in ms is rounded up: it must not become a busy loop. */
static int
ms_of(const struct timespec *time)
{
	return (int)((ns_of(time) + 999999) / 1000000);
}

/* Is there a page, and a time-out that a jump could end? */
static bool
is_timed(bool ends, int64_t delay_ns)
{
	return page != NULL && ends && delay_ns > 0;
}

#define MS_NS(ms)	((ms) * (SECOND_NS / 1000))

int
poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	struct timespec slice;
	struct wait wait;
	bool more;
	int result;

	if (!is_timed(timeout_ms >= 0, timeout_ms))
		return real.poll(fds, n, timeout_ms);
	wait = wait_for(MS_NS(timeout_ms));
	do {
		more = next_slice(&wait, &slice);
		result = real.poll(fds, n, ms_of(&slice));
	} while (result == 0 && more);
	return result;
}

int
ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
    const sigset_t *mask)
{
	struct timespec slice;
	struct wait wait;
	bool more;
	int result;

	if (timeout == NULL || !is_timed(true, ns_of(timeout)))
		return real.ppoll(fds, n, timeout, mask);
	wait = wait_for(ns_of(timeout));
	do {
		more = next_slice(&wait, &slice);
		result = real.ppoll(fds, n, &slice, mask);
	} while (result == 0 && more);
	return result;
}

/* What a fortified build calls. */
int
__poll_chk(struct pollfd *fds, nfds_t n, int timeout_ms, size_t size)
{
	if (size / sizeof(*fds) < n)
		abort();
	return poll(fds, n, timeout_ms);
}

int
__ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
    const sigset_t *mask, size_t size)
{
	if (size / sizeof(*fds) < n)
		abort();
	return ppoll(fds, n, timeout, mask);
}

int
epoll_wait(int epoll, struct epoll_event *events, int n, int timeout_ms)
{
	struct timespec slice;
	struct wait wait;
	bool more;
	int result;

	if (!is_timed(timeout_ms >= 0, timeout_ms))
		return real.epoll_wait(epoll, events, n, timeout_ms);
	wait = wait_for(MS_NS(timeout_ms));
	do {
		more = next_slice(&wait, &slice);
		result = real.epoll_wait(epoll, events, n, ms_of(&slice));
	} while (result == 0 && more);
	return result;
}

int
epoll_pwait(int epoll, struct epoll_event *events, int n, int timeout_ms,
    const sigset_t *mask)
{
	struct timespec slice;
	struct wait wait;
	bool more;
	int result;

	if (!is_timed(timeout_ms >= 0, timeout_ms))
		return real.epoll_pwait(epoll, events, n, timeout_ms, mask);
	wait = wait_for(MS_NS(timeout_ms));
	do {
		more = next_slice(&wait, &slice);
		result = real.epoll_pwait(epoll, events, n, ms_of(&slice),
		    mask);
	} while (result == 0 && more);
	return result;
}

int
epoll_pwait2(int epoll, struct epoll_event *events, int n,
    const struct timespec *timeout, const sigset_t *mask)
{
	struct timespec slice;
	struct wait wait;
	bool more;
	int result;

	if (timeout == NULL || !is_timed(true, ns_of(timeout)))
		return real.epoll_pwait2(epoll, events, n, timeout, mask);
	wait = wait_for(ns_of(timeout));
	do {
		more = next_slice(&wait, &slice);
		result = real.epoll_pwait2(epoll, events, n, &slice, mask);
	} while (result == 0 && more);
	return result;
}

/* The three sets of select: a slice that runs out empties them. */
struct sets {
	fd_set	*given[3];
	fd_set	was[3];
};

static struct sets
keep_sets(fd_set *in, fd_set *out, fd_set *odd)
{
	struct sets sets = { .given = { in, out, odd } };
	int i;

	for (i = 0; i < 3; i++)
		if (sets.given[i] != NULL)
			sets.was[i] = *sets.given[i];
	return sets;
}

static void
give_sets(const struct sets *sets)
{
	int i;

	for (i = 0; i < 3; i++)
		if (sets->given[i] != NULL)
			*sets->given[i] = sets->was[i];
}

int
pselect(int n, fd_set *restrict in, fd_set *restrict out,
    fd_set *restrict odd, const struct timespec *restrict timeout,
    const sigset_t *restrict mask)
{
	struct timespec slice;
	struct wait wait;
	struct sets sets;
	bool more;
	int result;

	if (timeout == NULL || !is_timed(true, ns_of(timeout)))
		return real.pselect(n, in, out, odd, timeout, mask);
	sets = keep_sets(in, out, odd);
	wait = wait_for(ns_of(timeout));
	do {
		give_sets(&sets);
		more = next_slice(&wait, &slice);
		result = real.pselect(n, in, out, odd, &slice, mask);
	} while (result == 0 && more);
	return result;
}

static struct timeval
timeval_of(int64_t ns)
{
	return (struct timeval){ ns / SECOND_NS, ns % SECOND_NS / 1000 };
}

int
select(int n, fd_set *restrict in, fd_set *restrict out, fd_set *restrict odd,
    struct timeval *restrict timeout)
{
	struct timespec slice;
	struct timeval part;
	struct wait wait;
	struct sets sets;
	bool more;
	int result;

	if (timeout == NULL || !is_timed(true, timeout->tv_sec * SECOND_NS +
	    timeout->tv_usec * 1000))
		return real.select(n, in, out, odd, timeout);
	sets = keep_sets(in, out, odd);
	wait = wait_for(timeout->tv_sec * SECOND_NS +
	    timeout->tv_usec * 1000);
	do {
		give_sets(&sets);
		more = next_slice(&wait, &slice);
		part = timeval_of(ns_of(&slice));
		result = real.select(n, in, out, odd, &part);
	} while (result == 0 && more);
	/* Linux says what is left. */
	*timeout = timeval_of(left_ns(&wait));
	return result;
}

int
nanosleep(const struct timespec *request, struct timespec *left)
{
	struct timespec slice;
	struct wait wait;
	int result = 0;

	if (!is_timed(true, ns_of(request)))
		return real.nanosleep(request, left);
	wait = wait_for(ns_of(request));
	while (result == 0 && next_slice(&wait, &slice))
		result = real.nanosleep(&slice, NULL);
	if (result == -1 && left != NULL)
		*left = timespec_of(left_ns(&wait));
	return result;
}

int
clock_nanosleep(clockid_t id, int flags, const struct timespec *request,
    struct timespec *left)
{
	struct timespec slice, now = { 0, 0 };
	struct wait wait;
	int error = 0;

	if (page == NULL || !is_shifted(id))
		return real.clock_nanosleep(id, flags, request, left);
	if (flags & TIMER_ABSTIME)
		clock_gettime(id, &now);
	wait = wait_for(ns_of(request) - ns_of(&now));
	while (error == 0 && next_slice(&wait, &slice))
		error = real.clock_nanosleep(CLOCK_MONOTONIC, 0, &slice,
		    NULL);
	if (error == EINTR && left != NULL && !(flags & TIMER_ABSTIME))
		*left = timespec_of(left_ns(&wait));
	return error;
}

int
usleep(useconds_t us)
{
	struct timespec request = timespec_of((int64_t)us * 1000);

	return nanosleep(&request, NULL);
}

unsigned
sleep(unsigned seconds)
{
	struct timespec request = { seconds, 0 }, left = { 0, 0 };

	if (nanosleep(&request, &left) == 0)
		return 0;
	return (unsigned)left.tv_sec + (left.tv_nsec > 0);
}
