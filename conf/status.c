/*
 * How are the programs, and what is wrong?
 *
 * Called by culverd for connections on its control socket that ask for
 * itself.  `status` is a line a program, then a line a standing alarm; with
 * --sandbox a line for each step of confinement as well.  Exit 1 when an
 * alarm stands.
 */
#include "conf/status.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

/* One answer being made. */
struct answer {
	struct control	*control;
	bool		 alarm;
};

static void
add_text(struct buffer *json, const char *key, const char *value)
{
	buffer_printf(json, ",\"%s\":", key);
	if (value != NULL)
		buffer_json(json, slice_of(value));
	else
		buffer_add(json, SLICE("null"));
}

static void
add_time(struct buffer *json, const char *key, int64_t wall_s)
{
	time_t time = (time_t)wall_s;
	struct tm parts;
	char text[32];

	if (gmtime_r(&time, &parts) == NULL)
		return;
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
	add_text(json, key, text);
}

static void
begin(struct buffer *json, const char *key, const char *value)
{
	buffer_printf(json, "{\"%s\":", key);
	buffer_json(json, slice_of(value));
}

static void
end(struct answer *answer, struct buffer *json)
{
	buffer_add(json, SLICE("}"));
	control_line(answer->control, json);
	buffer_free(json);
}

static void
say_child(void *context, const struct children_state *child)
{
	struct buffer json = { NULL, 0, 0 };

	begin(&json, "program", child->program);
	add_text(&json, "class", child->class);
	if (child->pid != 0)
		buffer_printf(&json, ",\"pid\":%d", (int)child->pid);
	else
		buffer_add(&json, SLICE(",\"pid\":null"));
	add_text(&json, "state", child->state);
	if (child->since != 0)
		add_time(&json, "since", child->since);
	else
		add_text(&json, "since", NULL);
	buffer_printf(&json, ",\"restarts\":%u", child->restarts);
	end(context, &json);
}

static void
say_alarm(void *context, const char *program, const char *what,
    const char *text, int64_t since)
{
	struct buffer json = { NULL, 0, 0 };
	struct answer *answer = context;

	begin(&json, "alarm", what);
	add_text(&json, "program", program);
	add_time(&json, "since", since);
	add_text(&json, "text", text);
	end(answer, &json);
	answer->alarm = true;
}

static void
say_step(void *context, const char *program, const char *class,
    const struct p_confined *confined)
{
	struct buffer json = { NULL, 0, 0 };

	begin(&json, "step", confined->step);
	add_text(&json, "program", program);
	add_text(&json, "class", class);
	buffer_printf(&json, ",\"done\":%s",
	    confined->done ? "true" : "false");
	add_text(&json, "text", confined->text);
	end(context, &json);
}

static void
say_row(void *context, const char *program, const char *user,
    const char *files, const char *network, const char *system_calls)
{
	struct buffer json = { NULL, 0, 0 };

	begin(&json, "row", program);
	add_text(&json, "user", user);
	add_text(&json, "files", files);
	add_text(&json, "network", network);
	add_text(&json, "system_calls", system_calls);
	end(context, &json);
}

static void
run_status(void *program, struct control *control, int argc, char **argv)
{
	const struct status *status = program;
	struct answer answer = { .control = control };
	struct children_state own = { .program = program_name(PROGRAM_PARENT),
	    .pid = getpid(), .state = status->state, .since = status->since };
	bool sandbox = argc == 1 && strcmp(argv[0], "--sandbox") == 0;

	if (argc > 0 && !sandbox) {
		control_error(control, "usage: status [--sandbox]");
		control_end(control, CONTROL_USAGE);
		return;
	}
	say_child(&answer, &own);
	children_each(status->children, say_child, &answer);
	children_alarms(status->children, say_alarm, &answer);
	if (sandbox) {
		proc_table(say_row, &answer);
		children_steps(status->children, say_step, &answer);
	}
	control_end(control, answer.alarm ? CONTROL_NO : CONTROL_OK);
}

void
status_serve(struct loop *loop, int fd, const struct p_connection *who,
    struct status *status)
{
	static const struct control_verb verbs[] = {
		{ "status", NULL, false, run_status },
		{ NULL, NULL, false, NULL }
	};

	control_serve(loop, fd, who->uid, who->admin, verbs, status);
}

static void
run_refuse(void *program, struct control *control, int argc, char **argv)
{
	(void)program;
	(void)argc;
	(void)argv;
	control_error(control, "the program that answers this is not running "
	    "just now (culverctl status says more)");
	control_end(control, CONTROL_AGAIN);
}

void
status_refuse(struct loop *loop, int fd, const struct p_connection *who)
{
	static const struct control_verb verbs[] = {
		{ "*", NULL, true, run_refuse },
		{ NULL, NULL, false, NULL }
	};

	control_serve(loop, fd, who->uid, who->admin, verbs, NULL);
}
