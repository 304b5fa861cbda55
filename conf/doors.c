/*
 * Who may come in, and who says who a local caller is?
 *
 * Called by culverd alone.  TCP listeners are bound here and passed to the
 * smtpd of their class; while that one is dead, callers wait in the kernel's
 * queue.  On the two local sockets culverd accepts itself, takes the caller's
 * uid from the kernel and passes connection and uid on, so that no other
 * program says who a caller is.
 *
 * A caller on the control socket is waiting until its first packet names the
 * program it asks for (one octet): at most 64 wait, 5 s each.
 */
#include "conf/doors.h"

#include "conf/log.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define BACKLOG		1024
#define ACCEPTS_A_TURN	64
#define CALLERS_MAX	64
#define CALLER_MS	5000
/* After an accept that failed for want of descriptors or memory. */
#define PAUSE_MS	1000
#define GROUPS_MAX	256

struct listener {
	struct listener		*next;
	struct config_endpoint	 endpoint;
	const char		*class;
	struct p_listener	 told;
	int			 fd;
};

/* One of the two local sockets. */
struct door {
	struct doors		*doors;
	enum proc_socket	 socket;
	char			*path;
	int			 fd;
	struct watch		*watch;
	struct timer		*pause;
};

/* Connected to the control socket, has not said what it wants. */
struct caller {
	struct caller		*next;
	struct doors		*doors;
	struct p_connection	 who;
	int			 fd;
	struct watch		*watch;
	struct timer		*timer;
};

struct doors {
	struct loop			*loop;
	uid_t				 owner;
	bool				 any_group;
	gid_t				 group;
	const struct doors_calls	*calls;
	void				*context;
	struct listener			*listeners;
	uint32_t			 number;	/* of the last one */
	struct door			 submit, control;
	struct caller			*callers;
	unsigned			 callers_n;
};

struct doors *
doors_new(struct loop *loop, uid_t owner, const struct doors_calls *calls,
    void *context)
{
	struct doors *doors = mem_alloc(sizeof(*doors));

	doors->loop = loop;
	doors->owner = owner;
	doors->calls = calls;
	doors->context = context;
	doors->submit.fd = doors->control.fd = -1;
	return doors;
}

/* ---- TCP ---- */

static bool
is_loopback(const struct address *address)
{
	static const struct network loopback4 = {
		{ 4, { 127, 0, 0, 0 } }, 8
	};
	static const struct network loopback6 = {
		{ 6, { [15] = 1 } }, 128
	};

	return network_holds(&loopback4, address) ||
	    network_holds(&loopback6, address);
}

static bool
same_endpoint(const struct config_endpoint *a, const struct config_endpoint *b)
{
	return a->port == b->port && address_equal(&a->address, &b->address);
}

/* A listening socket, or -1 with errno. */
static int
open_tcp(const struct config_endpoint *endpoint)
{
	struct sockaddr_storage address;
	socklen_t len = address_to_sockaddr(&endpoint->address,
	    endpoint->port, &address);
	const int yes = 1;
	int fd, error;

	fd = socket(address.ss_family,
	    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (address.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof(yes));
	if (bind(fd, (struct sockaddr *)&address, len) == 0 &&
	    listen(fd, BACKLOG) == 0)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

static void
say_patience(const struct config_endpoint *endpoint, int64_t patience_ms)
{
	char text[ADDRESS_TEXT_MAX];

	log_line(LOG_LEVEL_INFO, "listen %s port %u: another program has it; "
	    "it is tried again for %lld s", address_print(&endpoint->address,
	    text), endpoint->port, (long long)(patience_ms + 999) / 1000);
}

/*
 * The same, with patience: a relay that was killed a moment ago still has
 * programs that hold its addresses.
 */
static int
open_tcp_patiently(const struct config_endpoint *endpoint,
    int64_t patience_ms)
{
	const struct timespec pause = { .tv_nsec = 100 * 1000000 };
	int64_t until_ms = loop_now_ms() + patience_ms;
	bool said = false;
	int fd;

	for (;;) {
		fd = open_tcp(endpoint);
		if (fd != -1 || errno != EADDRINUSE ||
		    loop_now_ms() >= until_ms)
			return fd;
		if (!said)
			say_patience(endpoint, patience_ms);
		said = true;
		nanosleep(&pause, NULL);
	}
}

static struct listener *
find_listener(const struct doors *doors,
    const struct config_endpoint *endpoint)
{
	struct listener *listener = doors->listeners;

	while (listener != NULL &&
	    !same_endpoint(&listener->endpoint, endpoint))
		listener = listener->next;
	return listener;
}

static struct listener *
listener_new(struct doors *doors, const struct config_endpoint *endpoint,
    int fd)
{
	struct listener *listener = mem_alloc(sizeof(*listener));
	char text[ADDRESS_TEXT_MAX];

	listener->endpoint = *endpoint;
	listener->class = is_loopback(&endpoint->address) ? "local" : "open";
	listener->fd = fd;
	listener->told.number = ++doors->number;
	snprintf(listener->told.address, sizeof(listener->told.address),
	    endpoint->address.family == 6 ? "[%s]:%u" : "%s:%u",
	    address_print(&endpoint->address, text), endpoint->port);
	return listener;
}

static void
listener_free(struct listener *listener)
{
	close(listener->fd);
	free(listener);
}

/* Why there is no listener: a skipped default, or a sentence in *error. */
static bool
may_lack(const struct config_endpoint *endpoint, struct buffer *error)
{
	char text[ADDRESS_TEXT_MAX];
	int why = errno;

	address_print(&endpoint->address, text);
	if (endpoint->optional &&
	    (why == EADDRNOTAVAIL || why == EAFNOSUPPORT)) {
		log_line(LOG_LEVEL_INFO, "listen: this machine has no %s; "
		    "skipped", text);
		return true;
	}
	buffer_printf(error, "listen %s port %u: %s%s", text, endpoint->port,
	    strerror(why), why == EACCES || why == EPERM ?
	    " (ports below 1024 are root's)" : "");
	return false;
}

/* Open what is new, onto *opened; false: one cannot be had. */
static bool
open_new(struct doors *doors, const struct config *config,
    int64_t patience_ms, struct listener **opened, struct buffer *error)
{
	struct listener *listener;
	size_t i;
	int fd;

	for (i = 0; i < config->listeners_n; i++) {
		if (find_listener(doors, &config->listeners[i]) != NULL)
			continue;
		fd = open_tcp_patiently(&config->listeners[i], patience_ms);
		if (fd == -1 && !may_lack(&config->listeners[i], error))
			return false;
		if (fd == -1)
			continue;
		listener = listener_new(doors, &config->listeners[i], fd);
		listener->next = *opened;
		*opened = listener;
	}
	return true;
}

static bool
is_asked_for(const struct listener *listener, const struct config *config)
{
	size_t i;

	for (i = 0; i < config->listeners_n; i++)
		if (same_endpoint(&listener->endpoint, &config->listeners[i]))
			return true;
	return false;
}

/* SMTP-4.5.4.2-1: those that stay are not touched, so that none is missed. */
static void
withdraw_old(struct doors *doors, const struct config *config)
{
	struct listener **at = &doors->listeners, *old;

	while ((old = *at) != NULL) {
		if (is_asked_for(old, config)) {
			at = &old->next;
			continue;
		}
		*at = old->next;
		doors->calls->unlisten(doors->context, old->told.number);
		listener_free(old);
	}
}

bool
doors_listen(struct doors *doors, const struct config *config,
    int64_t patience_ms, struct buffer *error)
{
	struct listener *opened = NULL, *listener;
	bool all;

	all = open_new(doors, config, patience_ms, &opened, error);
	if (all)
		withdraw_old(doors, config);
	while ((listener = opened) != NULL) {
		opened = listener->next;
		if (!all) {
			listener_free(listener);
			continue;
		}
		listener->next = doors->listeners;
		doors->listeners = listener;
		doors->calls->listen(doors->context, listener->class,
		    &listener->told, listener->fd);
	}
	return all;
}

size_t
doors_count(const struct doors *doors)
{
	const struct listener *listener;
	size_t n = 0;

	for (listener = doors->listeners; listener != NULL;
	    listener = listener->next)
		n++;
	return n;
}

/* ---- local callers ---- */

void
doors_admin_group(struct doors *doors, bool any, gid_t group)
{
	doors->any_group = any;
	doors->group = group;
}

/* Is the caller in the admin group?  Asked of the kernel, not of NSS. */
static bool
is_in_group(const struct doors *doors, int fd, gid_t gid)
{
	gid_t groups[GROUPS_MAX];
	socklen_t len = sizeof(groups);
	size_t i;

	if (!doors->any_group)
		return false;
	if (gid == doors->group)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) != 0)
		return false;
	for (i = 0; i < len / sizeof(groups[0]); i++)
		if (groups[i] == doors->group)
			return true;
	return false;
}

/* Who is at the other end?  False: the kernel does not say. */
static bool
identify(const struct door *door, int fd, struct p_connection *who)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
		return false;
	who->socket = door->socket;
	who->uid = peer.uid;
	who->gid = peer.gid;
	who->admin = peer.uid == 0 || peer.uid == door->doors->owner ||
	    is_in_group(door->doors, fd, peer.gid);
	return true;
}

static void
caller_free(struct caller *caller)
{
	struct caller **at = &caller->doors->callers;

	while (*at != caller)
		at = &(*at)->next;
	*at = caller->next;
	caller->doors->callers_n--;
	watch_free(&caller->watch);
	timer_free(&caller->timer);
	if (caller->fd != -1)
		close(caller->fd);
	free(caller);
}

static void
on_caller_timer(void *context)
{
	caller_free(context);
}

/* The first packet: one octet. */
static void
on_caller(void *context, int what)
{
	struct caller *caller = context;
	struct doors *doors = caller->doors;
	uint8_t octets[2] = { PROGRAM_NONE, 0 };
	struct p_connection who = caller->who;
	ssize_t len;
	int fd = caller->fd;

	(void)what;
	len = recv(fd, octets, sizeof(octets), MSG_DONTWAIT);
	if (len == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (len == 1)
		caller->fd = -1;	/* passed on, or closed below */
	caller_free(caller);
	if (len == 1 && !doors->calls->connection(doors->context, octets[0],
	    &who, fd))
		close(fd);
}

static void
wait_for_caller(struct doors *doors, const struct p_connection *who, int fd)
{
	struct caller *caller, *oldest = doors->callers;

	/* A newcomer is worth more than one who has said nothing so far. */
	while (oldest != NULL && oldest->next != NULL)
		oldest = oldest->next;
	if (doors->callers_n >= CALLERS_MAX)
		caller_free(oldest);
	caller = mem_alloc(sizeof(*caller));
	caller->doors = doors;
	caller->who = *who;
	caller->fd = fd;
	caller->watch = watch_new(doors->loop, fd, WATCH_READ, on_caller,
	    caller);
	caller->timer = timer_new(doors->loop, on_caller_timer, caller);
	timer_set(caller->timer, CALLER_MS);
	caller->next = doors->callers;
	doors->callers = caller;
	doors->callers_n++;
}

static void
take_connection(struct door *door, int fd)
{
	struct doors *doors = door->doors;
	struct p_connection who;

	if (!identify(door, fd, &who))
		close(fd);
	else if (door->socket == PROC_CONTROL)
		wait_for_caller(doors, &who, fd);
	else if (!doors->calls->connection(doors->context, PROGRAM_SMTPD,
	    &who, fd))
		close(fd);
}

static void
on_door(void *context, int what)
{
	struct door *door = context;
	unsigned n;
	int fd;

	(void)what;
	for (n = 0; n < ACCEPTS_A_TURN; n++) {
		fd = accept4(door->fd, NULL, NULL,
		    SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd != -1) {
			take_connection(door, fd);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
		    errno == ENOMEM) {
			log_line(LOG_LEVEL_ERROR, "accept on %s: %s",
			    door->path, strerror(errno));
			watch_set(door->watch, 0);
			timer_set(door->pause, PAUSE_MS);
		}
		return;
	}
}

static void
on_pause(void *context)
{
	struct door *door = context;

	watch_set(door->watch, WATCH_READ);
}

/* ---- local sockets ---- */

static bool
local_address(const char *path, struct sockaddr_un *address)
{
	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	return slice_store(slice_of(path), address->sun_path,
	    sizeof(address->sun_path));
}

/*
 * Does anybody answer on the socket that stands at this address?  -1: nobody;
 * else a pid, 0 when it is not known.
 */
static pid_t
who_answers(const struct sockaddr_un *address, int type)
{
	struct ucred peer = { .pid = 0 };
	socklen_t len = sizeof(peer);
	pid_t pid = -1;
	int fd;

	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return 0;
	if (connect(fd, (const struct sockaddr *)address,
	    sizeof(*address)) == 0) {
		getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len);
		pid = peer.pid;
	} else if (errno != ECONNREFUSED && errno != ENOENT) {
		pid = 0;
	}
	close(fd);
	return pid;
}

/* Remove what a dead relay left at path; false: there is something else. */
static bool
clear_path(const char *path, const struct sockaddr_un *address, int type,
    struct buffer *error)
{
	struct stat status;
	pid_t pid;

	if (lstat(path, &status) != 0)
		return true;
	if (!S_ISSOCK(status.st_mode)) {
		buffer_printf(error, "%s exists and is not a socket", path);
		return false;
	}
	pid = who_answers(address, type);
	if (pid == -1) {
		unlink(path);
		return true;
	}
	buffer_printf(error, "another program (pid %d) answers on %s",
	    (int)pid, path);
	return false;
}

/* The folder of a socket: made when it is only its last step that lacks. */
static void
make_folder_of(const char *path)
{
	char *folder = mem_copy(path), *slash = strrchr(folder, '/');

	if (slash != folder) {
		*slash = '\0';
		mkdir(folder, 0755);
	}
	free(folder);
}

/* A listening socket at path that anyone may connect to, or -1. */
static int
open_path(const char *path, int type, struct buffer *error)
{
	struct sockaddr_un address;
	mode_t mask;
	int fd, result;

	if (!local_address(path, &address)) {
		buffer_printf(error, "%s is too long a path", path);
		return -1;
	}
	make_folder_of(path);
	if (!clear_path(path, &address, type, error))
		return -1;
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mask = umask(0111);
	result = fd == -1 ? -1 :
	    bind(fd, (struct sockaddr *)&address, sizeof(address));
	umask(mask);
	if (result == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	buffer_printf(error, "%s: %s", path, strerror(errno));
	if (fd != -1)
		close(fd);
	return -1;
}

static bool
open_door(struct doors *doors, struct door *door, enum proc_socket socket,
    const char *path, int type, struct buffer *error)
{
	door->doors = doors;
	door->socket = socket;
	door->fd = open_path(path, type, error);
	if (door->fd == -1)
		return false;
	door->path = mem_copy(path);
	door->watch = watch_new(doors->loop, door->fd, WATCH_READ, on_door,
	    door);
	door->pause = timer_new(doors->loop, on_pause, door);
	return true;
}

bool
doors_open_local(struct doors *doors, const struct config *config,
    struct buffer *error)
{
	return open_door(doors, &doors->control, PROC_CONTROL,
	    config->control, SOCK_SEQPACKET, error) &&
	    open_door(doors, &doors->submit, PROC_SUBMIT,
	    config->submit_socket, SOCK_STREAM, error);
}

/*
 * Remove a socket's name.  Root without the right to override permissions
 * does it as the folder's owner.
 */
static void
remove_name(const char *path)
{
	char *folder = mem_copy(path);
	struct stat status;

	*(strrchr(folder, '/') + 1) = '\0';
	if (unlink(path) != 0 && errno == EACCES && geteuid() == 0 &&
	    stat(folder, &status) == 0) {
		setfsuid(status.st_uid);
		unlink(path);
		setfsuid(0);
	}
	free(folder);
}

static void
close_door(struct door *door)
{
	if (door->fd == -1)
		return;
	watch_free(&door->watch);
	timer_free(&door->pause);
	close(door->fd);
	door->fd = -1;
	remove_name(door->path);
	free(door->path);
	door->path = NULL;
}

void
doors_close_local(struct doors *doors)
{
	close_door(&doors->control);
	close_door(&doors->submit);
	while (doors->callers != NULL)
		caller_free(doors->callers);
}

void
doors_free(struct doors **at)
{
	struct doors *doors = *at;
	struct listener *listener;

	doors_close_local(doors);
	while ((listener = doors->listeners) != NULL) {
		doors->listeners = listener->next;
		listener_free(listener);
	}
	free(doors);
	*at = NULL;
}
