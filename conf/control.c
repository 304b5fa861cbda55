/*
 * How does a program answer what an operator asks?
 *
 * Called by queue, policy and the parent with their tables of verbs.  A
 * request is a noun, a verb and arguments; a row whose verb is NULL is a noun
 * that takes none (`status`, `explain ID`), a row with noun "*" answers
 * whatever no earlier row did.  The verb's function is given the words behind
 * noun and verb.
 *
 * States of a request: asked for (5 s), running (a slice a turn, while the
 * caller reads; a slice that had nothing to do is followed by a short pause,
 * so that waiting for something costs little, any other by twice the time it
 * took, so that the program's own work goes on), ended (the caller closes).  A
 * caller that does not read for a minute is cut off; one that waits longer
 * than some seconds gets a sign of life, an empty output.
 *
 * The same rows run without a loop, on standard output (control_run).  It
 * knows no verb and no noun itself.
 */
#include "conf/control.h"

#include "conf/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <time.h>
#include <unistd.h>

#define WORDS_MAX	2048
#define REQUEST_MS	5000
#define STALLED_MS	60000
#define PAUSE_MS	20
#define SHARE		2	/* a slice's time is followed by so many, */
#define SHARE_MAX_MS	100	/* up to this */
#define LIFE_MS		10000	/* culverctl waits for a minute */

/* Requests at a time: in all, and of callers without rights. */
#define REQUESTS_MAX	64
#define ANYBODYS_MAX	16

enum state { ASKED, RUNNING, ENDED };

struct control {
	struct control	*next;
	enum state	 state;
	uid_t		 uid;
	bool		 admin;
	const struct control_verb *verbs;
	void		*program;
	struct link	*link;		/* NULL: standard output */
	struct timer	*timer;
	struct buffer	 out;		/* not sent yet */
	bool		 said;		/* something, in this slice */
	int64_t		 said_ms;	/* the last time, monotonic */
	int64_t		 took_ms;	/* the last slice */
	bool		 broken;	/* standard output is gone */
	int		 status;
	/* control_again */
	void		(*go_on)(void *, struct control *, void *);
	void		*work;
	void		(*release)(void *);
	/* The request's words live as long as it does. */
	char		*words;
	char		*argv[WORDS_MAX + 1];
	int		 argc;
};

/* Requests under way in this program: to bound them. */
static struct control *requests;

uid_t
control_uid(const struct control *control)
{
	return control->uid;
}

bool
control_is_admin(const struct control *control)
{
	return control->admin;
}

void
control_who(const struct control *control, struct event *event)
{
	event_number(event, "uid", (int64_t)control->uid);
}

/* ---- output ---- */

static void
send_output(struct control *control)
{
	struct c_output message;
	size_t done, part;

	for (done = 0; done < control->out.len; done += part) {
		part = control->out.len - done;
		if (part > sizeof(message.octets))
			part = sizeof(message.octets);
		message.octets_len = (uint32_t)part;
		memcpy(message.octets, control->out.text + done, part);
		link_send(control->link, C_OUTPUT, &message, NULL);
	}
}

static void
flush(struct control *control)
{
	if (control->out.len == 0)
		return;
	if (control->link != NULL)
		send_output(control);
	else if (fwrite(control->out.text, 1, control->out.len, stdout) !=
	    control->out.len)
		control->broken = true;
	control->out.len = 0;
}

static void
put(struct control *control, struct slice octets)
{
	if (control->state != RUNNING)
		bug("output after the end of a request");
	buffer_add(&control->out, octets);
	control->said = true;
	if (control->out.len >= CONTROL_OUTPUT_MAX)
		flush(control);
}

void
control_line(struct control *control, const struct buffer *json)
{
	put(control, (struct slice){ json->text, json->len });
	put(control, SLICE("\n"));
}

void
control_octets(struct control *control, const void *octets, size_t len)
{
	put(control, (struct slice){ octets, len });
}

void
control_error(struct control *control, const char *format, ...)
{
	struct c_error message;
	va_list values;

	va_start(values, format);
	vsnprintf(message.text, sizeof(message.text), format, values);
	va_end(values);
	flush(control);
	control->said = true;
	if (control->link != NULL)
		link_send(control->link, C_ERROR, &message, NULL);
	else
		fprintf(stderr, "culverctl: %s\n", message.text);
}

/* It takes long, and goes on. */
static void
show_life(struct control *control)
{
	const struct c_output nothing = { .octets_len = 0 };
	int64_t now_ms = loop_now_ms();

	if (!control->said && now_ms - control->said_ms >= LIFE_MS)
		link_send(control->link, C_OUTPUT, &nothing, NULL);
	else if (!control->said)
		return;
	control->said_ms = now_ms;
}

/* ---- the life of a request ---- */

void
control_again(struct control *control, void (*go_on)(void *,
    struct control *, void *), void *work, void (*release)(void *))
{
	if (control->state != RUNNING)
		bug("control_again after the end of a request");
	control->go_on = go_on;
	control->work = work;
	control->release = release != NULL ? release : free;
}

void
control_end(struct control *control, int status)
{
	if (control->state != RUNNING)
		bug("a request ends twice");
	control->state = ENDED;
	control->status = status;
}

static void
release_work(struct control *control)
{
	if (control->work != NULL)
		control->release(control->work);
	control->work = NULL;
	control->go_on = NULL;
}

/* Off the list, and everything freed. */
static void
control_free(struct control *control)
{
	struct control **at = &requests;

	while (*at != NULL && *at != control)
		at = &(*at)->next;
	if (*at != NULL)
		*at = control->next;
	release_work(control);
	timer_free(&control->timer);
	link_close(&control->link);
	buffer_free(&control->out);
	free(control->words);
	free(control);
}

/* How long before the next slice? */
static int64_t
pause_ms(const struct control *control)
{
	int64_t share_ms = SHARE * control->took_ms;

	if (!control->said && control->took_ms == 0)
		return PAUSE_MS;
	return share_ms < SHARE_MAX_MS ? share_ms : SHARE_MAX_MS;
}

/*
 * A slice is over: send what it said, and arrange for what comes next.  A
 * slice that neither ended the request nor asked to go on has lost it.
 */
static void
settle(struct control *control)
{
	const struct c_end end = { .status = (uint32_t)control->status };

	flush(control);
	if (control->state == ENDED) {
		release_work(control);
		link_send(control->link, C_END, &end, NULL);
		timer_set(control->timer, STALLED_MS);
		return;
	}
	if (control->go_on == NULL)
		bug("a request was neither ended nor goes on");
	show_life(control);
	timer_set(control->timer, link_full(control->link) ? STALLED_MS :
	    pause_ms(control));
}

/* The next slice.  Its work stays ours unless it asks to go on with other. */
static void
slice(struct control *control)
{
	void (*go_on)(void *, struct control *, void *) = control->go_on;
	void *work = control->work;
	void (*release)(void *) = control->release;
	int64_t began_ms = loop_now_ms();

	control->go_on = NULL;
	control->work = NULL;
	control->said = false;
	go_on(control->program, control, work);
	if (work != NULL && control->work != work)
		release(work);
	control->took_ms = loop_now_ms() - began_ms;
}

static void
on_timer(void *context)
{
	struct control *control = context;

	if (control->state != RUNNING || link_full(control->link)) {
		control_free(control);	/* the caller is too slow */
		return;
	}
	slice(control);
	settle(control);
}

static void
on_drained(void *context, struct link *link)
{
	struct control *control = context;

	(void)link;
	if (control->state == RUNNING && control->go_on != NULL)
		timer_set(control->timer, 0);
}

static void
on_closed(void *context, struct link *link)
{
	struct control *control = context;

	(void)link;
	control->link = NULL;	/* frees itself */
	control_free(control);
}

/* Cut the words, each ended by NUL; false when they are not so. */
static bool
take_words(struct control *control, const struct c_request *request)
{
	char *at, *end;

	control->words = mem_alloc(request->words_len + 1u);
	memcpy(control->words, request->words, request->words_len);
	at = control->words;
	end = at + request->words_len;
	if (at == end || end[-1] != '\0')
		return false;
	for (; at < end; at += strlen(at) + 1) {
		if (control->argc == WORDS_MAX)
			return false;
		control->argv[control->argc++] = at;
	}
	return true;
}

/* The row for these words, and how many of them it takes for itself. */
static const struct control_verb *
find_verb(const struct control *control, int *taken)
{
	const struct control_verb *row;
	const char *verb = control->argc > 1 ? control->argv[1] : "";

	for (row = control->verbs; row->noun != NULL; row++) {
		*taken = row->verb == NULL ? 1 : 2;
		if (strcmp(row->noun, "*") == 0 ||
		    (strcmp(row->noun, control->argv[0]) == 0 &&
		    (row->verb == NULL || strcmp(row->verb, verb) == 0)))
			return row;
	}
	return NULL;
}

/* Run the verb, up to its end or its first control_again. */
static void
begin(struct control *control)
{
	const struct control_verb *row;
	int taken = 0;

	control->state = RUNNING;
	/* What it begins may go on at once. */
	control->said = true;
	control->said_ms = loop_now_ms();
	row = find_verb(control, &taken);
	if (row == NULL) {
		control_error(control, "there is no %s %s", control->argv[0],
		    control->argc > 1 ? control->argv[1] : "");
		control_end(control, CONTROL_USAGE);
	} else if (!row->anybody && !control->admin) {
		control_error(control, "not permitted: that is for root, the "
		    "relay's owner and admin-group");
		control_end(control, CONTROL_DENIED);
	} else {
		if (taken > control->argc)
			taken = control->argc;
		row->run(control->program, control, control->argc - taken,
		    control->argv + taken);
	}
}

static void
on_message(void *context, struct link *link, unsigned kind,
    const void *message, int *fds)
{
	struct control *control = context;

	(void)link;
	(void)fds;
	if (control->state != ASKED || kind != C_REQUEST ||
	    !take_words(control, message)) {
		control_free(control);
		return;
	}
	begin(control);
	settle(control);
}

/* Is there no room for one more request of such a caller? */
static bool
too_many(bool admin)
{
	const struct control *control;
	unsigned all = 0, anybodys = 0;

	for (control = requests; control != NULL; control = control->next) {
		all++;
		anybodys += !control->admin;
	}
	return all >= REQUESTS_MAX || (!admin && anybodys >= ANYBODYS_MAX);
}

void
control_serve(struct loop *loop, int fd, uid_t uid, bool admin,
    const struct control_verb *verbs, void *program)
{
	static const struct link_calls calls = {
		.message = on_message, .closed = on_closed,
		.drained = on_drained
	};
	struct control *control;

	if (too_many(admin)) {
		close(fd);
		return;
	}
	control = mem_alloc(sizeof(*control));
	control->uid = uid;
	control->admin = admin;
	control->verbs = verbs;
	control->program = program;
	control->next = requests;
	requests = control;
	control->timer = timer_new(loop, on_timer, control);
	control->link = link_new(loop, fd, &control_wire, &calls, control);
	timer_set(control->timer, REQUEST_MS);
}

/* ---- without a relay ---- */

/* Who asked is a person: what is wrong, plainly. */
static void
log_alone(void *context, enum log_level level, const char *line)
{
	const int *fd = context;

	if (level == LOG_LEVEL_ERROR)
		fprintf(stderr, "%s\n", line);
	else if (*fd != -1)
		dprintf(*fd, "%s\n", line);
}

/* Run until the end; the status. */
static int
run_to_end(struct control *control)
{
	const struct timespec pause = { .tv_nsec = PAUSE_MS * 1000000 };

	begin(control);
	while (control->state == RUNNING && !control->broken) {
		if (control->go_on == NULL)
			bug("a request was neither ended nor goes on");
		flush(control);
		if (!control->said)
			nanosleep(&pause, NULL);
		slice(control);
	}
	flush(control);
	if (fflush(stdout) != 0 || control->broken)
		return CONTROL_AGAIN;
	return control->status;
}

int
control_run(const struct control_verb *verbs, void *program, int argc,
    char **argv)
{
	static int log_fd;
	const char *log = getenv(CONTROL_LOG);
	struct control *control;
	int i, status;

	log_fd = log != NULL ? atoi(log) : -1;
	if (argc < 1 || argc > WORDS_MAX) {
		fprintf(stderr, "culverctl: a noun and a verb are "
		    "missing\n");
		return CONTROL_USAGE;
	}
	log_to(log_alone, &log_fd);
	control = mem_alloc(sizeof(*control));
	/* Whoever called: we have the owner's uid since. */
	control->uid = (uid_t)getauxval(AT_UID);
	control->admin = true;
	control->verbs = verbs;
	control->program = program;
	for (i = 0; i < argc; i++)
		control->argv[control->argc++] = argv[i];
	status = run_to_end(control);
	control_free(control);
	return status;
}
