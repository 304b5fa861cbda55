/*
 * Which messages are meant, and what is done with each?
 *
 * Called by ctl.c.  Works in slices, with the last id that was seen as the
 * place to go on from; whatever changes something ends the turn itself, so
 * that "removed" is said when it is so.  Who is no admin sees, counts and
 * flushes what his own uid sent.
 */
#include "queue/bulk.h"

#include "conf/log.h"
#include "queue/ctl.h"
#include "queue/destination.h"
#include "queue/keys.h"
#include "queue/listing.h"
#include "queue/row.h"
#include "queue/turn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLICE_ROWS	500
#define SLICE_OCTETS	65536	/* of output */

struct work;

/* What a verb does with each message that is meant, and at the end. */
struct task {
	const char	*name;
	void		(*act)(struct work *, const struct message *);
	int		(*end)(struct work *);	/* exit status */
	bool		 takes_ids;	/* and needs those, a filter or --all */
	bool		 takes_limits;	/* --warn, --crit */
	bool		 changes;
};

/* A verb on many messages under way. */
struct work {
	const struct task	*task;
	struct queue		*queue;
	struct control		*control;
	struct filter		 filter;
	char			*sender;	/* of filter */
	bool			 filtered, all;
	uint64_t		*ids;
	size_t			 ids_n, ids_at;
	uint64_t		 after;		/* the last that was seen */
	uint64_t		 messages, octets, recipients;
	bool			 limits;
	uint64_t		 warn, crit;
	size_t			 said;		/* octets, in this slice */
};

static void
release(void *memory)
{
	struct work *work = memory;

	free(work->sender);
	free(work->ids);
	free(work);
}

/* ---- arguments ---- */

static bool
set_state(struct filter *filter, const char *value)
{
	static const char *const names[] = { "waiting", "held", "active" };

	for (int i = 0; i < 3; i++)
		if (strcmp(value, names[i]) == 0) {
			filter->state = i;
			return true;
		}
	return false;
}

static bool
set_domain(struct filter *filter, const char *value)
{
	struct domain domain;

	if (!domain_parse(slice_of(value), &domain))
		return false;
	memcpy(filter->domain, domain.name, sizeof(filter->domain));
	return true;
}

static bool
set_older(struct filter *filter, const char *value)
{
	uint64_t now_ms = (uint64_t)loop_wall_ms(), ms;

	if (!listing_duration(value, &ms))
		return false;
	filter->before_ms = ms < now_ms ? now_ms - ms : 1;
	return true;
}

/* "<>" is the null sender, as it is written elsewhere. */
static bool
set_sender(struct work *work, const char *value)
{
	free(work->sender);
	work->sender = mem_copy(strcmp(value, "<>") == 0 ? "" : value);
	work->filter.sender = work->sender;
	return true;
}

static bool
set_limit(struct work *work, const char *value, uint64_t *limit)
{
	work->limits = true;
	return work->task->takes_limits &&
	    slice_number(slice_of(value), UINT64_MAX, limit);
}

/* An option with its value; false: unknown or wrong. */
static bool
take_option(struct work *work, const char *option, const char *value)
{
	if (strcmp(option, "--warn") == 0)
		return set_limit(work, value, &work->warn);
	if (strcmp(option, "--crit") == 0)
		return set_limit(work, value, &work->crit);
	work->filtered = true;
	if (strcmp(option, "--domain") == 0)
		return set_domain(&work->filter, value);
	if (strcmp(option, "--sender") == 0)
		return set_sender(work, value);
	if (strcmp(option, "--state") == 0)
		return set_state(&work->filter, value);
	if (strcmp(option, "--older") == 0)
		return set_older(&work->filter, value);
	return false;
}

static bool
take_id(struct work *work, const char *text)
{
	uint64_t id;

	if (!work->task->takes_ids || !queue_id_parse(text, &id))
		return false;
	work->ids = mem_grow(work->ids, (work->ids_n + 1) *
	    sizeof(*work->ids));
	work->ids[work->ids_n++] = id;
	return true;
}

/* All words; NULL or the one that is wrong. */
static const char *
take_words(struct work *work, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--all") == 0 && work->task->takes_ids)
			work->all = true;
		else if (argv[i][0] != '-' && !take_id(work, argv[i]))
			return argv[i];
		else if (argv[i][0] == '-' && (i + 1 == argc ||
		    !take_option(work, argv[i], argv[i + 1])))
			return argv[i];
		else if (argv[i][0] == '-')
			i++;
	}
	return NULL;
}

/* ---- many messages ---- */

static bool
next_message(struct work *work, struct message *message)
{
	char text[ID_TEXT_MAX];

	if (work->ids_n == 0) {
		if (spool_next_message(work->queue->spool, work->after,
		    message) != STORE_FOUND)
			return false;
		work->after = message->id;
		return true;
	}
	while (work->ids_at < work->ids_n) {
		uint64_t id = work->ids[work->ids_at++];

		if (spool_get_message(work->queue->spool, id, message) ==
		    STORE_FOUND)
			return true;
		control_error(work->control, "there is no message %s",
		    queue_id_print(id, text));
	}
	return false;
}

static void
end_work(struct work *work)
{
	control_end(work->control, work->task->end(work));
}

/* What was changed is safe now; or nothing of it happened. */
static bool
end_change(struct work *work)
{
	if (!work->task->changes)
		return true;
	spool_want_flush(work->queue->spool);
	if (turn_end(work->queue))
		return true;
	ctl_refuse(work->control, CONTROL_AGAIN, "the store could not take the "
	    "change, see the log", "");
	return false;
}

static void
do_slice(void *program, struct control *control, void *memory)
{
	struct work *work = memory;
	struct message message;

	work->said = 0;
	for (int n = 0; n < SLICE_ROWS && work->said < SLICE_OCTETS &&
	    !spool_turn_is_full(work->queue->spool); n++) {
		if (!next_message(work, &message)) {
			if (end_change(work))
				end_work(work);
			return;
		}
		if (listing_fits(work->queue->spool, work->queue->dispatch,
		    &work->filter, &message)) {
			work->messages++;
			work->octets += record_octets(&message);
			work->task->act(work, &message);
		}
	}
	(void)program;
	if (end_change(work))
		control_again(control, do_slice, work, release);
}

static void
begin(struct queue *queue, struct control *control, const struct task *task,
    int argc, char **argv)
{
	struct work *work = mem_alloc(sizeof(*work));
	const char *wrong;

	work->task = task;
	work->queue = queue;
	work->control = control;
	work->filter.state = -1;
	work->filter.own = !control_is_admin(control);
	work->filter.uid = control_uid(control);
	wrong = take_words(work, argc, argv);
	if (wrong != NULL || (task->takes_ids && work->ids_n == 0 &&
	    !work->filtered && !work->all)) {
		ctl_refuse(control, CONTROL_USAGE, wrong != NULL ?
		    "not understood" : "which? name messages by their ids, a "
		    "filter, or --all", wrong != NULL ? wrong : "");
		release(work);
		return;
	}
	control_again(control, do_slice, work, release);
}

static int
end_matched(struct work *work)
{
	return work->messages > 0 ? CONTROL_OK : CONTROL_NO;
}

/* ---- list, count, mailq ---- */

static void
say_row(struct work *work, struct buffer *row)
{
	control_line(work->control, row);
	work->said += row->len;
	buffer_free(row);
}

static void
list_one(struct work *work, const struct message *message)
{
	struct buffer row = { NULL, 0, 0 };

	listing_row(work->queue->spool, work->queue->dispatch, message, &row);
	say_row(work, &row);
}

/* An empty queue is as good a list as any; a filter may match nothing. */
static int
list_end(struct work *work)
{
	return work->filtered ? end_matched(work) : CONTROL_OK;
}

static void
count_one(struct work *work, const struct message *message)
{
	(void)work;
	(void)message;
}

static int
count_end(struct work *work)
{
	struct buffer row = { NULL, 0, 0 };

	row_open(&row, NULL, '{');
	row_number(&row, "count", work->messages);
	row_number(&row, "bytes", work->octets);
	row_close(&row, '}');
	say_row(work, &row);
	if (!work->limits)
		return CONTROL_OK;
	if (work->crit > 0 && work->messages >= work->crit)
		return 2;
	return work->warn > 0 && work->messages >= work->warn ? 1 : 0;
}

static void
say_text(struct work *work, struct buffer *text)
{
	control_octets(work->control, text->text, text->len);
	work->said += text->len;
	buffer_free(text);
}

static void
mailq_one(struct work *work, const struct message *message)
{
	struct buffer text = { NULL, 0, 0 };

	if (work->messages == 1)
		listing_mailq_heading(&text);
	else
		buffer_add(&text, SLICE("\n"));
	listing_mailq(work->queue->spool, work->queue->dispatch, message,
	    &text);
	say_text(work, &text);
}

static int
mailq_end(struct work *work)
{
	struct buffer text = { NULL, 0, 0 };

	listing_mailq_end(&text, work->messages, work->octets);
	say_text(work, &text);
	return CONTROL_OK;
}

/* ---- flush, remove ---- */

/* The destination may be tried now, whatever its back-off was. */
static void
wake_destination(struct queue *queue, uint64_t number, uint64_t now_ms)
{
	struct destination destination;

	if (dispatch_serves(queue->dispatch, number))
		return;
	if (spool_get_destination(queue->spool, number, &destination) !=
	    STORE_FOUND) {
		destination_settle_number(queue->spool, number);
		return;
	}
	if (destination.next_ms != 0 && destination.next_ms <= now_ms &&
	    destination.backoff_ms <= now_ms)
		return;
	destination.backoff_ms = 0;
	destination_settle(queue->spool, &destination);
}

static void
flush_one(struct work *work, const struct message *message)
{
	struct queue *queue = work->queue;
	uint64_t now_ms = (uint64_t)loop_wall_ms();
	struct recipient recipient;
	uint32_t number = 0;

	while (spool_next_recipient(queue->spool, message->id, number,
	    &recipient) == STORE_FOUND) {
		number = recipient.number + 1;
		if (!DUE_IS_TIME(recipient.due_ms) ||
		    dispatch_has(queue->dispatch, &recipient))
			continue;
		if (recipient.due_ms > now_ms)
			spool_move_recipient(queue->spool, &recipient,
			    now_ms);
		wake_destination(queue, recipient.destination, now_ms);
		work->recipients++;
	}
	if (message->needs_signature)
		signer_hurry(queue->signer);
	spool_count_event(queue->spool);
}

static int
change_end(struct work *work)
{
	struct buffer row = { NULL, 0, 0 };
	struct event event;

	row_open(&row, NULL, '{');
	row_text(&row, "done", work->task->name);
	row_number(&row, "messages", work->messages);
	row_number(&row, "recipients", work->recipients);
	row_close(&row, '}');
	say_row(work, &row);
	event_begin(&event, LOG_LEVEL_INFO, "admin");
	event_text(&event, "verb", work->task->name);
	event_number(&event, "uid", (int64_t)control_uid(work->control));
	event_number(&event, "messages", (int64_t)work->messages);
	event_end(&event);
	return end_matched(work);
}

/* SMTP-6.2-1 RFC 5321 6.2: never silently */
static void
log_removed(struct work *work, const struct message *message,
    const struct recipient *recipient)
{
	char id[ID_TEXT_MAX];
	struct event event;

	event_begin(&event, LOG_LEVEL_INFO, "admin");
	event_text(&event, "verb", work->task->name);
	event_number(&event, "uid", (int64_t)control_uid(work->control));
	event_text(&event, "id", queue_id_print(message->id, id));
	event_text(&event, "from", message->sender);
	event_text(&event, "to", recipient->address);
	ledger_add(&work->queue->books.ledger, &event);
}

static void
remove_one(struct work *work, const struct message *message)
{
	const struct key_outcome removed = { KEY_EXPIRED, 0, "",
	    "removed by the operator" };
	struct spool *spool = work->queue->spool;
	struct recipient recipient;

	keys_settle(spool, message, &removed);
	while (spool_next_recipient(spool, message->id, 0, &recipient) ==
	    STORE_FOUND) {
		log_removed(work, message, &recipient);
		spool_delete_recipient(spool, &recipient);
		work->recipients++;
	}
	if (!spool_is_owed(spool, message->id))
		spool_delete_message(spool, message);
	spool_count_event(spool);
}

static const struct task list_task = { "queue list", list_one, list_end,
	false, false, false };
static const struct task count_task = { "queue count", count_one, count_end,
	false, true, false };
static const struct task mailq_task = { "queue mailq", mailq_one, mailq_end,
	false, false, false };
static const struct task flush_task = { "queue flush", flush_one, change_end,
	true, false, true };
static const struct task remove_task = { "queue remove", remove_one,
	change_end, true, false, true };

void
bulk_list(void *program, struct control *control, int argc, char **argv)
{
	begin(program, control, &list_task, argc, argv);
}

void
bulk_count(void *program, struct control *control, int argc, char **argv)
{
	begin(program, control, &count_task, argc, argv);
}

void
bulk_mailq(void *program, struct control *control, int argc, char **argv)
{
	begin(program, control, &mailq_task, argc, argv);
}

void
bulk_flush(void *program, struct control *control, int argc, char **argv)
{
	begin(program, control, &flush_task, argc, argv);
}

void
bulk_remove(void *program, struct control *control, int argc, char **argv)
{
	begin(program, control, &remove_task, argc, argv);
}
