/*
 * How does one thread serve many descriptors?
 *
 * Called by every program that has a loop.  libevent_core does the work; this
 * file adds the turn and its end, and keeps libevent's header out of all
 * others.  It does no I/O on anybody's descriptor.
 *
 * Watches and timers may be freed in anybody's call of the same turn: taking
 * an event out of libevent also takes it off the list of those about to run,
 * and after a call nothing of the watch or timer is touched.
 */
#include "conf/loop.h"

#include "conf/mem.h"
/* A log line and libevent are both a struct event; here it is libevent's. */
#define event log_event
#include "conf/log.h"
#undef event

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

struct signal_call {
	struct signal_call	*next;
	struct event		 event;
	void			(*call)(void *);
	void			*context;
};

struct loop {
	struct event_base	*base;
	void			(*turn_end)(void *);
	void			*turn_end_context;
	struct loop_late	*late;
	struct signal_call	*signals;
	bool			 again;
	bool			 stopped;
};

struct watch {
	struct event	 event;
	struct loop	*loop;
	int		 fd;
	int		 what;
	void		(*call)(void *, int);
	void		*context;
};

struct timer {
	struct event	 event;
	int64_t		 due_ms;
	void		(*call)(void *);
	void		*context;
};

/* What libevent uses beside epoll; no locks, for there is one thread. */
static struct event_base *
base_new(void)
{
	static const char *const others[] = {
		"select", "poll", "devpoll", "kqueue", "evport", "win32"
	};
	struct event_config *config;
	struct event_base *base;
	size_t i;

	config = event_config_new();
	if (config == NULL)
		fatal("no memory for the event loop");
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	/* The environment may not choose for us. */
	event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV);
	/* A timer set late in a long turn counts from then. */
	event_config_set_flag(config, EVENT_BASE_FLAG_NO_CACHE_TIME);
	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		event_config_avoid_method(config, others[i]);
	base = event_base_new_with_config(config);
	event_config_free(config);
	if (base == NULL)
		fatal("the event loop cannot begin");
	return base;
}

struct loop *
loop_new(void)
{
	struct loop *loop;

	loop = mem_alloc(sizeof(*loop));
	loop->base = base_new();
	return loop;
}

void
loop_free(struct loop **loop)
{
	struct signal_call *signal, *next;

	if (*loop == NULL)
		return;
	for (signal = (*loop)->signals; signal != NULL; signal = next) {
		next = signal->next;
		event_del(&signal->event);
		free(signal);
	}
	event_base_free((*loop)->base);
	free(*loop);
	*loop = NULL;
}

void
loop_at_turn_end(struct loop *loop, void (*call)(void *), void *context)
{
	loop->turn_end = call;
	loop->turn_end_context = context;
}

void
loop_late(struct loop *loop, struct loop_late *late)
{
	if (late->listed)
		return;
	late->listed = true;
	late->next = loop->late;
	loop->late = late;
}

void
loop_not_late(struct loop *loop, struct loop_late *late)
{
	struct loop_late **place = &loop->late;

	if (!late->listed)
		return;
	while (*place != late)
		place = &(*place)->next;
	*place = late->next;
	late->listed = false;
}

static void
call_late(struct loop *loop)
{
	struct loop_late *late;

	while ((late = loop->late) != NULL) {
		loop->late = late->next;
		late->listed = false;
		late->call(late->context);
	}
}

void
loop_turn(struct loop *loop, bool wait)
{
	int flags = EVLOOP_ONCE, result;

	/* What was said outside of a turn must not wait for the next event. */
	call_late(loop);
	if (!wait || loop->again)
		flags |= EVLOOP_NONBLOCK;
	loop->again = false;
	result = event_base_loop(loop->base, flags);
	if (result == -1)
		fatal("the event loop failed");
	if (result == 1 && !(flags & EVLOOP_NONBLOCK))
		bug("the loop has nothing to wait for");
	if (loop->turn_end != NULL)
		loop->turn_end(loop->turn_end_context);
	call_late(loop);
}

void
loop_run(struct loop *loop)
{
	while (!loop->stopped)
		loop_turn(loop, true);
	loop->stopped = false;
}

void
loop_stop(struct loop *loop)
{
	loop->stopped = true;
}

void
loop_again(struct loop *loop)
{
	loop->again = true;
}

static void
on_watch(evutil_socket_t fd, short events, void *context)
{
	struct watch *watch = context;
	int what = 0;

	(void)fd;
	if (events & EV_READ)
		what |= WATCH_READ;
	if (events & EV_WRITE)
		what |= WATCH_WRITE;
	watch->call(watch->context, what);
}

struct watch *
watch_new(struct loop *loop, int fd, int what,
    void (*call)(void *context, int what), void *context)
{
	struct watch *watch;

	watch = mem_alloc(sizeof(*watch));
	watch->loop = loop;
	watch->fd = fd;
	watch->call = call;
	watch->context = context;
	watch_set(watch, what);
	return watch;
}

void
watch_set(struct watch *watch, int what)
{
	short events = EV_PERSIST;

	if (what == watch->what)
		return;
	if (watch->what != 0)
		event_del(&watch->event);
	watch->what = what;
	if (what == 0)
		return;
	if (what & WATCH_READ)
		events |= EV_READ;
	if (what & WATCH_WRITE)
		events |= EV_WRITE;
	if (event_assign(&watch->event, watch->loop->base, watch->fd, events,
	    on_watch, watch) != 0 || event_add(&watch->event, NULL) != 0)
		fatal("descriptor %d cannot be watched", watch->fd);
}

void
watch_free(struct watch **watch)
{
	if (*watch == NULL)
		return;
	watch_set(*watch, 0);
	free(*watch);
	*watch = NULL;
}

static void
start_timer(struct timer *timer, int64_t delay_ms)
{
	struct timeval delay = {
		.tv_sec = delay_ms / 1000,
		.tv_usec = delay_ms % 1000 * 1000
	};

	if (event_add(&timer->event, &delay) != 0)
		fatal("a timer cannot be set");
}

/*
 * libevent counts on a coarse clock and may be some milliseconds early by
 * loop_now_ms; a caller that compares would run twice.
 */
static void
on_timer(evutil_socket_t fd, short events, void *context)
{
	struct timer *timer = context;
	int64_t left_ms = timer->due_ms - loop_now_ms();

	(void)fd;
	(void)events;
	if (left_ms > 0)
		start_timer(timer, left_ms);
	else
		timer->call(timer->context);
}

struct timer *
timer_new(struct loop *loop, void (*call)(void *), void *context)
{
	struct timer *timer;

	timer = mem_alloc(sizeof(*timer));
	timer->call = call;
	timer->context = context;
	if (evtimer_assign(&timer->event, loop->base, on_timer, timer) != 0)
		bug("a timer cannot be made");
	return timer;
}

void
timer_set(struct timer *timer, int64_t delay_ms)
{
	if (delay_ms < 0)
		delay_ms = 0;
	timer->due_ms = loop_now_ms() + delay_ms;
	start_timer(timer, delay_ms);
}

void
timer_stop(struct timer *timer)
{
	event_del(&timer->event);
}

bool
timer_is_set(const struct timer *timer)
{
	return evtimer_pending(&timer->event, NULL) != 0;
}

void
timer_free(struct timer **timer)
{
	if (*timer == NULL)
		return;
	timer_stop(*timer);
	free(*timer);
	*timer = NULL;
}

static void
on_signal(evutil_socket_t number, short events, void *context)
{
	struct signal_call *signal = context;

	(void)number;
	(void)events;
	signal->call(signal->context);
}

void
loop_on_signal(struct loop *loop, int number, void (*call)(void *),
    void *context)
{
	struct signal_call *signal;

	signal = mem_alloc(sizeof(*signal));
	signal->call = call;
	signal->context = context;
	signal->next = loop->signals;
	loop->signals = signal;
	if (evsignal_assign(&signal->event, loop->base, number, on_signal,
	    signal) != 0 || event_add(&signal->event, NULL) != 0)
		fatal("signal %d cannot be watched", number);
}

int64_t
loop_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t
loop_wall_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t
loop_wall_s(void)
{
	return loop_wall_ms() / 1000;
}
