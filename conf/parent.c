/*
 * How does a program with a loop hear from culverd, and what does it say?
 *
 * Called by smtpd, queue, policy and delivery once they are confined.  The
 * parent's messages become calls of the program; settings are gathered until
 * the set is whole.  Log lines do not come through here (proc.c).
 *
 * When the parent is gone the program is told to stop and has two seconds.
 * Two things say so: the link closes, and the kernel sends SIGUSR2, for which
 * an alarm is set that ends even a program whose loop stands still.
 */
#include "conf/parent.h"

#include "conf/log.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LAST_SECONDS	2

/* An alarm that stands, so that it is not said twice. */
struct standing {
	struct standing	*next;
	char		 what[64];
};

/* The talk of this program with its parent: there is one. */
static struct {
	struct link			*link;
	const struct parent_calls	*calls;
	void				*context;
	struct config			*config;	/* being gathered */
	int				 ca_fd;
	struct standing			*standing;
	struct timer			*end;
} talk = { .ca_fd = -1 };

/* Take a descriptor out of its message; close the one it replaces. */
static int
take(int *fd, int old)
{
	int taken = *fd;

	*fd = -1;
	if (old != -1)
		close(old);
	return taken;
}

static void
add_setting(const struct p_setting *setting)
{
	struct buffer error = { NULL, 0, 0 };

	/* The parent parsed it before us, by the same table. */
	if (talk.config == NULL || !config_set(talk.config, setting->keyword,
	    setting->value, &error))
		bug("setting from the parent: %s",
		    error.text != NULL ? error.text : "out of order");
}

static void
settings_are_whole(void)
{
	struct config *config = talk.config;
	int ca_fd = talk.ca_fd;

	talk.config = NULL;
	talk.ca_fd = -1;
	if (config == NULL)
		return;
	log_set_level(config->log_level);
	if (talk.calls->settings != NULL) {
		talk.calls->settings(talk.context, config, ca_fd);
		return;
	}
	config_free(&config);
	if (ca_fd != -1)
		close(ca_fd);
}

static void
stop(void)
{
	if (talk.calls->stop == NULL)
		exit(0);
	talk.calls->stop(talk.context);
}

/* Messages that carry a descriptor. */
static void
on_descriptor(unsigned kind, const void *message, int *fd)
{
	const struct parent_calls *calls = talk.calls;

	if (kind == P_CA)
		talk.ca_fd = take(fd, talk.ca_fd);
	else if (kind == P_LINK && calls->link != NULL)
		calls->link(talk.context,
		    ((const struct p_program *)message)->program,
		    take(fd, -1));
	else if (kind == P_LISTENER && calls->listener != NULL)
		calls->listener(talk.context, message, take(fd, -1));
	else if (kind == P_CONNECTION && calls->connection != NULL)
		calls->connection(talk.context, message, take(fd, -1));
}

static void
on_message(void *context, struct link *link, unsigned kind,
    const void *message, int *fds)
{
	const struct parent_calls *calls = talk.calls;

	(void)context;
	(void)link;
	switch (kind) {
	case P_SETTINGS:
		config_free(&talk.config);
		talk.config = config_new();
		return;
	case P_SETTING:
		add_setting(message);
		return;
	case P_SETTINGS_END:
		settings_are_whole();
		return;
	case P_RESOLVERS:
		if (calls->resolvers != NULL)
			calls->resolvers(talk.context,
			    ((const struct p_resolvers *)message)->text);
		return;
	case P_UNLISTEN:
		if (calls->unlisten != NULL)
			calls->unlisten(talk.context,
			    ((const struct p_listener *)message)->number);
		return;
	case P_STOP:
		stop();
		return;
	case P_CA:
	case P_LINK:
	case P_LISTENER:
	case P_CONNECTION:
		on_descriptor(kind, message, &fds[0]);
		return;
	default:
		bug("message %#x from the parent", kind);
	}
}

static void
on_end(void *unused)
{
	(void)unused;
	_exit(1);
}

static void
on_closed(void *context, struct link *link)
{
	(void)context;
	(void)link;
	talk.link = NULL;
	timer_set(talk.end, LAST_SECONDS * 1000);
	stop();
}

/* Async-signal-safe; SIGALRM is not caught and ends the program. */
static void
on_parent_death(int number)
{
	(void)number;
	alarm(LAST_SECONDS);
}

void
parent_serve(struct loop *loop, const struct parent_calls *calls,
    void *context)
{
	static const struct link_calls link_calls = {
		.message = on_message, .closed = on_closed
	};
	struct sigaction action = { .sa_handler = on_parent_death,
	    .sa_flags = SA_RESTART };

	talk.calls = calls;
	talk.context = context;
	talk.end = timer_new(loop, on_end, NULL);
	talk.link = link_new(loop, PROC_PARENT_FD, &proc_wire, &link_calls,
	    NULL);
	if (sigaction(SIGUSR2, &action, NULL) != 0)
		fatal("sigaction");
	link_send(talk.link, P_READY, NULL, NULL);
}

void
parent_need(enum program program)
{
	const struct p_program message = { .program = (uint32_t)program };

	if (talk.link != NULL)
		link_send(talk.link, P_NEED, &message, NULL);
}

/* The place in the list where what stands, or would be added. */
static struct standing **
find_standing(const char *what)
{
	struct standing **at = &talk.standing;

	while (*at != NULL && strcmp((*at)->what, what) != 0)
		at = &(*at)->next;
	return at;
}

/* Note that it stands or is over.  False: that was so before. */
static bool
note(const char *what, bool standing)
{
	struct standing **at = find_standing(what), *old = *at;

	if ((old != NULL) == standing)
		return false;
	if (standing) {
		*at = mem_alloc(sizeof(**at));
		snprintf((*at)->what, sizeof((*at)->what), "%s", what);
	} else {
		*at = old->next;
		free(old);
	}
	return true;
}

void
parent_alarm(const char *what, bool standing, const char *format, ...)
{
	struct p_alarm message = { .standing = standing };
	va_list values;
	bool changed;

	snprintf(message.what, sizeof(message.what), "%s", what);
	va_start(values, format);
	vsnprintf(message.text, sizeof(message.text), format, values);
	va_end(values);
	changed = note(message.what, standing);
	if (changed && standing)
		log_alarm(message.what, "%s", message.text);
	else if (changed)
		log_line(LOG_LEVEL_INFO, "alarm %s is over: %s", message.what,
		    message.text);
	/* A new text for what stands already is for `status` alone. */
	if ((changed || standing) && talk.link != NULL)
		link_send(talk.link, P_ALARM, &message, NULL);
}
