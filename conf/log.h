/*
 * Log lines, one an event: "program: event key=value ...".
 *
 * Before confinement, and in the parent, lines go where `log` says.  A child
 * hands its lines to the parent by log_to (see proc.c), because a chroot
 * cannot reopen /dev/log.  Lines that cannot be passed on are counted and
 * said later.
 */
#ifndef CULVER_LOG_H
#define CULVER_LOG_H

#include "mem.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/*
 * Name this program in its lines and write them to standard error until
 * log_to says otherwise.  name is borrowed for ever.
 */
void	log_start(const char *name);
/* The name that log_start was given. */
const char *log_name(void);
void	log_set_level(enum log_level);
enum log_level	log_level(void);
/* Hand every further line (no newline, no time) to sink. */
void	log_to(void (*sink)(void *context, enum log_level, const char *line),
	    void *context);
/*
 * The parent's sinks.  log_stderr writes "TIME line\n" (RFC 3339, no time
 * when JOURNAL_STREAM is set); log_syslog uses syslog(3), facility mail.
 */
void	log_stderr(void *unused, enum log_level, const char *line);
void	log_syslog(void *unused, enum log_level, const char *line);

/*
 * One event.  Build it, then log_end writes it:
 *
 *	struct event event;
 *	event_begin(&event, LOG_LEVEL_INFO, "accept");
 *	event_text(&event, "id", id);
 *	event_number(&event, "size", size_bytes);
 *	event_end(&event);
 *
 * Values with blanks are quoted; control characters, quotes, backslashes and
 * octets above 126 that are not UTF-8 are escaped (\xHH).  A line is cut at
 * 4,000 octets.  A NULL or empty text is written as key="" .
 */
struct event {
	enum log_level	 level;
	size_t		 len;
	char		 line[4096];
};
void	event_begin(struct event *, enum log_level, const char *event);
void	event_text(struct event *, const char *key, const char *value);
void	event_slice(struct event *, const char *key, struct slice value);
void	event_number(struct event *, const char *key, int64_t value);
void	event_end(struct event *);

/* A plain sentence (debug, or an operator's error): "program: sentence". */
void	log_line(enum log_level, const char *format, ...)
	    __attribute__((format(printf, 2, 3)));

/* An event of name "alarm" with what= and text=: see `culverctl status`. */
void	log_alarm(const char *what, const char *format, ...)
	    __attribute__((format(printf, 2, 3)));

/* Our bug: says file and line, then abort(). */
#define bug(...)	bug_at(__FILE__, __LINE__, __VA_ARGS__)
void	bug_at(const char *file, int line, const char *format, ...)
	    __attribute__((format(printf, 3, 4), noreturn));
/* The environment failed for good: one error line (with errno), exit 1. */
void	fatal(const char *format, ...)
	    __attribute__((format(printf, 1, 2), noreturn));

#endif
