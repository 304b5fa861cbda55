/*
 * One thread, many descriptors: a thin face of libevent (epoll, no locks).
 *
 * The one thing it adds is the turn: everything that is ready runs, then
 * turn_end runs once.  That is where the store commits and where
 * acknowledgements go out (queue), and where output is flushed.
 */
#ifndef CULVER_LOOP_H
#define CULVER_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct watch;
struct timer;

/* A call that is wanted behind the end of this turn; made by its owner. */
struct loop_late {
	struct loop_late	*next;
	bool			 listed;
	void			(*call)(void *context);
	void			*context;
};

struct loop	*loop_new(void);
void	 loop_free(struct loop **);
/* Call after every turn's events; one only. */
void	 loop_at_turn_end(struct loop *, void (*call)(void *), void *context);
/*
 * Call late->call once, behind turn_end (and before the loop waits again):
 * what was gathered in the turn is sent.
 */
void	 loop_late(struct loop *, struct loop_late *late);
/* Don't, after all; nothing when it is not listed. */
void	 loop_not_late(struct loop *, struct loop_late *late);
/* Run until loop_stop. */
void	 loop_run(struct loop *);
/*
 * One turn and its end: waits for events, unless wait is false or turns were
 * asked for by loop_again.
 */
void	 loop_turn(struct loop *, bool wait);
void	 loop_stop(struct loop *);
/* Let the next turn run without waiting (work is left over in slices). */
void	 loop_again(struct loop *);

enum { WATCH_READ = 1, WATCH_WRITE = 2 };
/*
 * Call when fd is readable or writable, as often as it is, until freed.
 * fd stays the caller's; free the watch before closing or passing the fd
 * (facts.md: a stale epoll registration costs wake-ups for ever).
 */
struct watch	*watch_new(struct loop *, int fd, int what,
		    void (*call)(void *context, int what), void *context);
/* Change what is waited for (0: nothing for now). */
void	 watch_set(struct watch *, int what);
void	 watch_free(struct watch **);	/* NULL is fine */

/* A timer runs once when set; set it again for more.  Not running at first. */
struct timer	*timer_new(struct loop *, void (*call)(void *), void *context);
void	 timer_set(struct timer *, int64_t delay_ms);
void	 timer_stop(struct timer *);
bool	 timer_is_set(const struct timer *);
void	 timer_free(struct timer **);
/* Call when the process gets this signal (parent only; for ever). */
void	 loop_on_signal(struct loop *, int signal, void (*call)(void *),
	    void *context);

/* Monotonic milliseconds: for timeouts and deadlines. */
int64_t	loop_now_ms(void);
/* Wall clock: for due times, policies, certificates.  Seconds, ms. */
int64_t	loop_wall_s(void);
int64_t	loop_wall_ms(void);

#endif
