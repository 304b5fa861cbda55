/*
 * How does a program of culver say what happened?
 *
 * Called by everybody.  A line is built here, escaped so that it stays one
 * line and one value stays one value whatever a peer sent, and goes to one
 * sink: standard error at first, the parent for children, syslog or standard
 * error for the parent.  It does not open files, and it never blocks longer
 * than its sink does.
 */
#include "conf/log.h"

#include "conf/utf8.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_OCTETS	4000

static const char *program = "culver";
static enum log_level level_shown = LOG_LEVEL_INFO;
static void (*sink)(void *, enum log_level, const char *) = log_stderr;
static void *sink_context;
/* A sink that logs would call itself: such lines are counted, not written. */
static bool in_sink;
static uint64_t lost;

void
log_start(const char *name)
{
	static const time_t epoch;
	struct tm parts;

	program = name;
	sink = log_stderr;
	sink_context = NULL;
	/*
	 * The first gmtime_r reads the time zone file: here, before any
	 * confinement.  Not tzset, which does so each time: a worker names
	 * itself when it is confined already.
	 */
	gmtime_r(&epoch, &parts);
}

const char *
log_name(void)
{
	return program;
}

void
log_set_level(enum log_level level)
{
	level_shown = level;
}

enum log_level
log_level(void)
{
	return level_shown;
}

void
log_to(void (*to)(void *, enum log_level, const char *), void *context)
{
	sink = to;
	sink_context = context;
}

static void
write_line(enum log_level level, const char *line)
{
	char said[128];

	if (level > level_shown)
		return;
	if (in_sink) {
		lost++;
		return;
	}
	in_sink = true;
	if (lost > 0) {
		snprintf(said, sizeof(said),
		    "%s: %llu log lines could not be written", program,
		    (unsigned long long)lost);
		lost = 0;
		sink(sink_context, LOG_LEVEL_ERROR, said);
	}
	sink(sink_context, level, line);
	in_sink = false;
}

/* "2026-11-24T03:00:00.123Z " into text; returns its length. */
static size_t
print_time(char *text, size_t size)
{
	struct timespec now;
	struct tm parts;
	size_t len;

	clock_gettime(CLOCK_REALTIME, &now);
	if (gmtime_r(&now.tv_sec, &parts) == NULL)
		return 0;
	len = strftime(text, size, "%Y-%m-%dT%H:%M:%S", &parts);
	return len + (size_t)snprintf(text + len, size - len, ".%03ldZ ",
	    now.tv_nsec / 1000000);
}

void
log_stderr(void *unused, enum log_level level, const char *line)
{
	/* One write a line: several processes may share the descriptor. */
	char out[4096 + 128];
	size_t len = 0;
	ssize_t written;
	int n;

	(void)unused;
	(void)level;
	if (getenv("JOURNAL_STREAM") == NULL)
		len = print_time(out, sizeof(out));
	n = snprintf(out + len, sizeof(out) - len, "%s\n", line);
	len += (size_t)n < sizeof(out) - len ? (size_t)n :
	    sizeof(out) - len - 1;
	out[len - 1] = '\n';
	do
		written = write(STDERR_FILENO, out, len);
	while (written == -1 && errno == EINTR);
	if (written == -1)
		lost++;
}

void
log_syslog(void *unused, enum log_level level, const char *line)
{
	static const int priorities[] = { LOG_ERR, LOG_INFO, LOG_DEBUG };
	/* The line's own program is the ident: "culver-queue: accept ...". */
	static char ident[64];
	struct slice rest = slice_of(line), name;

	(void)unused;
	name = slice_cut(&rest, ':');
	if (rest.len > 0 && rest.at[0] == ' ' &&
	    slice_store(name, ident, sizeof(ident)))
		line = rest.at + 1;
	else
		snprintf(ident, sizeof(ident), "%s", program);
	openlog(ident, LOG_NDELAY, LOG_MAIL);
	syslog(priorities[level], "%s", line);
}

/*
 * Append the octets of piece, whole or not at all, leaving room for spare
 * more.  Returns false when it did not fit.
 */
static bool
add(struct event *event, struct slice piece, size_t spare)
{
	if (event->len + piece.len + spare > LINE_MAX_OCTETS)
		return false;
	memcpy(event->line + event->len, piece.at, piece.len);
	event->len += piece.len;
	event->line[event->len] = '\0';
	return true;
}

/* The octets of text one by one as \xHH. */
static bool
add_hex(struct event *event, struct slice text, size_t spare)
{
	char hex[8];
	size_t i;

	for (i = 0; i < text.len; i++) {
		snprintf(hex, sizeof(hex), "\\x%02x",
		    (unsigned char)text.at[i]);
		if (!add(event, slice_of(hex), spare))
			return false;
	}
	return true;
}

/*
 * Append text, escaped.  In a value quotes and backslashes are escaped too,
 * so that its end and the escapes themselves are certain.
 */
static void
add_escaped(struct event *event, struct slice text, bool is_value,
    size_t spare)
{
	struct slice piece;
	unsigned len;
	bool fits = true;

	for (; text.len > 0 && fits; text.at += len, text.len -= len) {
		len = utf8_length(text);
		piece = (struct slice){ text.at, len > 0 ? len : 1 };
		if (len == 0 || utf8_is_control(text.at, len))
			fits = add_hex(event, piece, spare);
		else if (is_value && text.at[0] == '"')
			fits = add(event, SLICE("\\\""), spare);
		else if (is_value && text.at[0] == '\\')
			fits = add(event, SLICE("\\\\"), spare);
		else
			fits = add(event, piece, spare);
		len = (unsigned)piece.len;
	}
}

void
event_begin(struct event *event, enum log_level level, const char *name)
{
	event->level = level;
	event->len = 0;
	event->line[0] = '\0';
	add(event, slice_of(program), 0);
	add(event, SLICE(": "), 0);
	add(event, slice_of(name), 0);
}

/*
 * " key=": false when the line is full.  A value that was cut leaves less
 * than five octets, so that no key follows a cut value.
 */
static bool
add_key(struct event *event, const char *key)
{
	if (event->len + strlen(key) + 4 > LINE_MAX_OCTETS)
		return false;
	add(event, SLICE(" "), 0);
	add(event, slice_of(key), 0);
	return add(event, SLICE("="), 0);
}

void
event_slice(struct event *event, const char *key, struct slice value)
{
	bool quoted;

	if (!add_key(event, key))
		return;
	quoted = value.len == 0 || memchr(value.at, ' ', value.len) != NULL;
	if (quoted)
		add(event, SLICE("\""), 1);
	add_escaped(event, value, true, 1);
	if (quoted)
		add(event, SLICE("\""), 0);
}

void
event_text(struct event *event, const char *key, const char *value)
{
	event_slice(event, key, slice_of(value != NULL ? value : ""));
}

void
event_number(struct event *event, const char *key, int64_t value)
{
	char number[24];

	snprintf(number, sizeof(number), "%lld", (long long)value);
	if (event->len + strlen(key) + 2 + strlen(number) <= LINE_MAX_OCTETS &&
	    add_key(event, key))
		add(event, slice_of(number), 0);
}

void
event_end(struct event *event)
{
	write_line(event->level, event->line);
}

/* "program: " and a sentence, which may quote a peer: kept to one line. */
static void
write_sentence(enum log_level level, const char *sentence)
{
	struct event event = { .level = level };

	add(&event, slice_of(program), 0);
	add(&event, SLICE(": "), 0);
	add_escaped(&event, slice_of(sentence), false, 0);
	write_line(level, event.line);
}

void
log_line(enum log_level level, const char *format, ...)
{
	char sentence[LINE_MAX_OCTETS];
	va_list values;

	if (level > level_shown)
		return;
	va_start(values, format);
	vsnprintf(sentence, sizeof(sentence), format, values);
	va_end(values);
	write_sentence(level, sentence);
}

void
log_alarm(const char *what, const char *format, ...)
{
	struct event event;
	char text[1024];
	va_list values;

	va_start(values, format);
	vsnprintf(text, sizeof(text), format, values);
	va_end(values);
	event_begin(&event, LOG_LEVEL_ERROR, "alarm");
	event_text(&event, "what", what);
	event_text(&event, "text", text);
	event_end(&event);
}

void
bug_at(const char *file, int line, const char *format, ...)
{
	char sentence[1024];
	va_list values;
	size_t len;

	len = (size_t)snprintf(sentence, sizeof(sentence), "bug at %s:%d: ",
	    file, line);
	if (len >= sizeof(sentence))
		len = 0;
	va_start(values, format);
	vsnprintf(sentence + len, sizeof(sentence) - len, format, values);
	va_end(values);
	write_sentence(LOG_LEVEL_ERROR, sentence);
	abort();
}

void
fatal(const char *format, ...)
{
	int error = errno;
	char sentence[2048];
	va_list values;
	size_t len;

	va_start(values, format);
	vsnprintf(sentence, sizeof(sentence), format, values);
	va_end(values);
	len = strlen(sentence);
	if (error != 0)
		snprintf(sentence + len, sizeof(sentence) - len, ": %s",
		    strerror(error));
	write_sentence(LOG_LEVEL_ERROR, sentence);
	exit(1);
}
