/*
 * What does the operator ask of the queue?
 *
 * Called by control.c for a running queue, and for `culver-queue ctl` without
 * one.  Here is the table of verbs, and those about one message; bulk.c has
 * those about many, domains.c those about destinations, backupctl.c the one
 * about all.
 */
#include "queue/ctl.h"

#include "queue/backupctl.h"
#include "queue/bulk.h"
#include "queue/domains.h"
#include "queue/explain.h"
#include "queue/listing.h"
#include "queue/row.h"
#include "queue/turn.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void
ctl_refuse(struct control *control, int status, const char *text,
    const char *about)
{
	control_error(control, "%s%s%s", text, about[0] != '\0' ? ": " : "",
	    about);
	control_end(control, status);
}

void
ctl_refuse_value(struct control *control, const char *option,
    const char *wanted, const char *value)
{
	if (value != NULL)
		control_error(control, "%s wants %s, not \"%s\"", option,
		    wanted, value);
	else
		control_error(control, "%s wants %s", option, wanted);
	control_end(control, CONTROL_USAGE);
}

/* The message that the only argument names; false: it was answered. */
static bool
named_message(struct queue *queue, struct control *control, int argc,
    char **argv, struct message *message)
{
	uint64_t id;

	if (argc != 1 || !queue_id_parse(argv[0], &id)) {
		ctl_refuse(control, CONTROL_USAGE, "the id of one message is "
		    "wanted, 16 digits as queue list shows them", argc > 0 ?
		    argv[argc - 1] : "");
		return false;
	}
	if (spool_get_message(queue->spool, id, message) == STORE_FOUND)
		return true;
	ctl_refuse(control, CONTROL_NO, "there is no such message", argv[0]);
	return false;
}

static void
show(void *program, struct control *control, int argc, char **argv)
{
	struct queue *queue = program;
	struct buffer row = { NULL, 0, 0 };
	struct message message;

	if (!named_message(queue, control, argc, argv, &message))
		return;
	listing_row(queue->spool, queue->dispatch, &message, &row);
	control_line(control, &row);
	buffer_free(&row);
	control_end(control, CONTROL_OK);
}

/* Its octets on their way out. */
struct octets {
	struct queue	*queue;
	struct message	 message;
	bool		 signature;	/* said, or there is none */
	uint32_t	 chunk;
	uint64_t	 file_read;
	int		 file;
};

static void
close_octets(void *memory)
{
	struct octets *octets = memory;

	if (octets->file != -1)
		close(octets->file);
	free(octets);
}

static void
say_chunk(struct control *control, struct octets *octets, uint32_t n)
{
	struct slice chunk;

	if (spool_get_chunk(octets->queue->spool, octets->message.id, n,
	    &chunk) == STORE_FOUND) {
		control_octets(control, chunk.at, chunk.len);
		return;
	}
	octets->chunk = octets->message.chunks;
	octets->file_read = octets->message.file_bytes;
	control_error(control, "the message is damaged here");
}

static void
say_file(struct control *control, struct octets *octets)
{
	char name[ID_TEXT_MAX], part[32768];
	ssize_t n = -1;

	if (octets->file == -1)
		octets->file = openat(spool_bodies_fd(octets->queue->spool),
		    spool_body_name(octets->message.id, name),
		    O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (octets->file != -1)
		n = pread(octets->file, part, sizeof(part),
		    (off_t)octets->file_read);
	if (n > 0) {
		control_octets(control, part, (size_t)n);
		octets->file_read += (uint64_t)n;
		return;
	}
	octets->file_read = octets->message.file_bytes;
	control_error(control, "the message is damaged here");
}

static void
say_octets(void *program, struct control *control, void *memory)
{
	struct octets *octets = memory;

	(void)program;
	if (!octets->signature && octets->message.signature_bytes > 0)
		say_chunk(control, octets, CHUNK_SIGNATURE);
	else if (octets->chunk < octets->message.chunks)
		say_chunk(control, octets, octets->chunk++);
	else if (octets->file_read < octets->message.file_bytes)
		say_file(control, octets);
	else {
		control_end(control, CONTROL_OK);
		return;
	}
	octets->signature = true;
	control_again(control, say_octets, octets, close_octets);
}

static void
message_octets(void *program, struct control *control, int argc, char **argv)
{
	struct octets *octets = mem_alloc(sizeof(*octets));

	octets->queue = program;
	octets->file = -1;
	if (named_message(program, control, argc, argv, &octets->message))
		control_again(control, say_octets, octets, close_octets);
	else
		close_octets(octets);
}

static void
explain_on(void *program, struct control *control, void *memory)
{
	struct queue *queue = program;
	struct explain *explain = memory;

	if (!explain_slice(queue->spool, control, explain)) {
		control_again(control, explain_on, explain, explain_free);
		return;
	}
	if (explain->rows == 0)
		control_error(control, explain->message.needs_signature ?
		    "it waits to be signed; no attempt is made before" :
		    "no attempt is known yet");
	control_end(control, explain->rows > 0 ? CONTROL_OK : CONTROL_NO);
}

static void
explain(void *program, struct control *control, int argc, char **argv)
{
	struct explain *state = mem_alloc(sizeof(*state));

	if (named_message(program, control, argc, argv, &state->message))
		control_again(control, explain_on, state, explain_free);
	else
		explain_free(state);
}

/* `queue release --clock`: what waits for the clock. */
static void
release_clock(struct queue *queue, struct control *control)
{
	struct buffer row = { NULL, 0, 0 };
	struct event event;
	bool doubted = turn_believe_clock(queue);

	if (!turn_end(queue)) {
		ctl_refuse(control, CONTROL_AGAIN, "the store could not take "
		    "the change, see the log", "");
		return;
	}
	event_begin(&event, LOG_LEVEL_INFO, "admin");
	event_text(&event, "verb", "queue release");
	event_text(&event, "args", "--clock");
	control_who(control, &event);
	event_text(&event, "outcome", doubted ? "done" : "not doubted");
	event_end(&event);
	row_open(&row, NULL, '{');
	row_text(&row, "done", "queue release");
	row_text(&row, "clock", doubted ? "believed" : "was not doubted");
	row_close(&row, '}');
	control_line(control, &row);
	buffer_free(&row);
	control_end(control, doubted ? CONTROL_OK : CONTROL_NO);
}

static void
release(void *program, struct control *control, int argc, char **argv)
{
	if (argc == 1 && strcmp(argv[0], "--clock") == 0)
		release_clock(program, control);
	else
		bulk_release(program, control, argc, argv);
}

const struct control_verb queue_verbs[] = {
	{ "queue", "list", true, bulk_list },
	{ "queue", "count", true, bulk_count },
	{ "queue", "mailq", true, bulk_mailq },
	{ "queue", "flush", true, bulk_flush },
	{ "queue", "hold", false, bulk_hold },
	{ "queue", "release", false, release },
	{ "queue", "remove", false, bulk_remove },
	{ "queue", "bounce", false, bulk_bounce },
	{ "queue", "backup", false, backupctl_run },
	{ "queue", "show", false, show },
	{ "queue", "message", false, message_octets },
	{ "domain", "list", false, domains_list },
	{ "domain", "show", false, domains_show },
	{ "domain", "hold", false, domains_hold },
	{ "domain", "release", false, domains_release },
	{ "explain", NULL, false, explain },
	{ NULL, NULL, false, NULL }
};
