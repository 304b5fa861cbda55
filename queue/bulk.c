/*
 * Which messages are meant, and what is done with each?
 *
 * Called by ctl.c.  Works in slices of at most 500 rows and a few
 * milliseconds: mail that comes in meanwhile waits for one at most.  Message
 * and recipient that were seen last are the place to go on from.  A verb that is cut off has done what it did, and is simply given
 * again.  Whatever changes something ends the turn itself, so that "removed"
 * is said when it is so.
 *
 * A filter names messages for the verbs that show them, and recipients for
 * those that change something: to bounce what waits for a dead domain leaves
 * the other recipients of those messages alone.
 *
 * Who is no admin sees, counts and flushes what his own uid sent.
 */
#include "queue/bulk.h"

#include "conf/log.h"
#include "queue/change.h"
#include "queue/ctl.h"
#include "queue/listing.h"
#include "queue/row.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLICE_ROWS	500
#define SLICE_OCTETS	65536	/* of output */
#define SHOW_MS		2	/* of a slice that shows */
#define CHANGE_MS	5	/* and of one that changes: it has a commit */

struct work;

/* What a verb does, and at the end.  One of show and change is there. */
struct task {
	const char	*name;
	void		(*show)(struct work *, const struct message *);
	change_act	*change;
	int		(*end)(struct work *);	/* exit status */
	bool		 takes_limits;	/* --warn, --crit */
	bool		 whole;	/* a message's recipients in one slice */
};

/* A verb on many messages under way. */
struct work {
	const struct task	*task;
	struct queue		*queue;
	struct control		*control;
	struct filter		 filter;
	char			*sender;	/* of filter */
	char			*words;		/* as they were given */
	bool			 filtered, all;
	uint64_t		*ids;
	size_t			 ids_n, ids_at;
	bool			 missing;	/* an id that is none */
	uint64_t		 after;		/* the last that was seen */
	uint64_t		 began_ms;	/* wall clock */
	/* The message whose recipients are being changed. */
	bool			 inside, counted;
	struct message		 message;
	uint32_t		 number;	/* the next of them */
	struct change		 change;
	uint64_t		 messages, octets, recipients;
	uint64_t		 same, held, active;	/* recipients: left */
	bool			 logged;
	bool			 limits;
	uint64_t		 warn, crit;
	/* in this slice */
	unsigned		 rows;
	size_t			 said;		/* octets */
	int64_t			 until_ms;
};

/* Who did it, to what, and with which outcome: also if he went away. */
static void
log_change(struct work *work, const char *outcome)
{
	struct event event;

	work->logged = true;
	event_begin(&event, LOG_LEVEL_INFO, "admin");
	event_text(&event, "verb", work->task->name);
	event_text(&event, "args", work->words);
	control_who(work->control, &event);
	event_number(&event, "messages", (int64_t)work->messages);
	event_number(&event, "recipients", (int64_t)work->recipients);
	event_text(&event, "outcome", outcome);
	event_end(&event);
}

static void
release(void *memory)
{
	struct work *work = memory;

	if (work->task->change != NULL && work->recipients > 0 &&
	    !work->logged)
		log_change(work, "cut off");
	free(work->sender);
	free(work->words);
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
static void
set_sender(struct work *work, const char *value)
{
	free(work->sender);
	work->sender = mem_copy(strcmp(value, "<>") == 0 ? "" : value);
	work->filter.sender = work->sender;
}

static bool
set_limit(struct work *work, const char *value, uint64_t *limit)
{
	work->limits = true;
	return slice_number(slice_of(value), UINT64_MAX, limit) && *limit > 0;
}

static bool
take_sender(struct work *work, const char *value)
{
	set_sender(work, value);
	return true;
}

static bool
take_domain(struct work *work, const char *value)
{
	return set_domain(&work->filter, value);
}

static bool
take_state(struct work *work, const char *value)
{
	return set_state(&work->filter, value);
}

static bool
take_older(struct work *work, const char *value)
{
	return set_older(&work->filter, value);
}

static bool
take_warn(struct work *work, const char *value)
{
	return set_limit(work, value, &work->warn);
}

static bool
take_crit(struct work *work, const char *value)
{
	return set_limit(work, value, &work->crit);
}

static const struct option {
	const char	*name;
	const char	*wanted;	/* the value */
	bool		(*take)(struct work *, const char *value);
	bool		 limit;
} options[] = {
	{ "--domain", "a domain", take_domain, false },
	{ "--sender", "an address, or <>", take_sender, false },
	{ "--state", "waiting, held or active", take_state, false },
	{ "--older", DURATION_WANTED, take_older, false },
	{ "--warn", "a number from 1", take_warn, true },
	{ "--crit", "a number from 1", take_crit, true },
};
#define OPTIONS_N	(sizeof(options) / sizeof(options[0]))

static const struct option *
find_option(const struct work *work, const char *word)
{
	for (size_t i = 0; i < OPTIONS_N; i++)
		if (strcmp(options[i].name, word) == 0 &&
		    (!options[i].limit || work->task->takes_limits))
			return &options[i];
	return NULL;
}

static bool
take_id(struct work *work, const char *text)
{
	uint64_t id;

	if (work->task->change == NULL || !queue_id_parse(text, &id))
		return false;
	work->ids = mem_grow(work->ids, (work->ids_n + 1) *
	    sizeof(*work->ids));
	work->ids[work->ids_n++] = id;
	return true;
}

/* An option and its value (NULL: there is none).  False: it was refused. */
static bool
take_option(struct work *work, const char *word, const char *value)
{
	const struct option *option = find_option(work, word);

	if (option == NULL) {
		ctl_refuse(work->control, CONTROL_USAGE, "not understood",
		    word);
		return false;
	}
	if (value == NULL || !option->take(work, value)) {
		ctl_refuse_value(work->control, word, option->wanted, value);
		return false;
	}
	work->filtered |= !option->limit;
	return true;
}

/* Do the words agree?  False: they were refused. */
static bool
check_words(const struct work *work)
{
	int ways = (work->ids_n > 0) + work->filtered + work->all;
	const char *what = NULL;

	if (work->task->change != NULL && ways != 1)
		what = ways == 0 ? "which? name messages by their ids, a "
		    "filter, or --all" : "ids, a filter and --all exclude "
		    "each other";
	else if (work->warn != 0 && work->crit != 0 &&
	    work->warn > work->crit)
		what = "--warn is beyond --crit, and would never be said";
	if (what != NULL)
		ctl_refuse(work->control, CONTROL_USAGE, what, "");
	return what == NULL;
}

/* All words.  False: one was refused. */
static bool
take_words(struct work *work, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		const char *word = argv[i];

		if (strcmp(word, "--all") == 0 && work->task->change != NULL) {
			work->all = true;
		} else if (word[0] == '-') {
			if (!take_option(work, word, argv[++i]))
				return false;
		} else if (!take_id(work, word)) {
			ctl_refuse(work->control, CONTROL_USAGE,
			    work->task->change != NULL ? "no id of a message" :
			    "not understood", word);
			return false;
		}
	}
	return check_words(work);
}

/* ---- many messages ---- */

/* What is not his is not there for him. */
static bool
is_his(const struct work *work, const struct message *message)
{
	return !work->filter.own || (message->local &&
	    message->uid == work->filter.uid);
}

static bool
next_named(struct work *work, struct message *message)
{
	char text[ID_TEXT_MAX];

	while (work->ids_at < work->ids_n) {
		uint64_t id = work->ids[work->ids_at++];

		if (spool_get_message(work->queue->spool, id, message) ==
		    STORE_FOUND && is_his(work, message))
			return true;
		work->missing = true;
		control_error(work->control, "there is no message %s",
		    queue_id_print(id, text));
	}
	return false;
}

static bool
next_message(struct work *work, struct message *message)
{
	work->rows++;
	if (work->ids_n > 0)
		return next_named(work, message);
	if (spool_next_message(work->queue->spool, work->after, message) !=
	    STORE_FOUND)
		return false;
	work->after = message->id;
	return true;
}

/* ---- a slice that shows ---- */

static void
show_slice(void *program, struct control *control, void *memory)
{
	struct work *work = memory;
	struct message message;

	(void)program;
	work->rows = 0;
	work->said = 0;
	work->until_ms = loop_now_ms() + SHOW_MS;
	while (work->rows < SLICE_ROWS && work->said < SLICE_OCTETS &&
	    loop_now_ms() < work->until_ms) {
		if (!next_message(work, &message)) {
			control_end(control, work->task->end(work));
			return;
		}
		if (!listing_fits(work->queue->spool, work->queue->dispatch,
		    &work->filter, &message, &work->rows))
			continue;
		work->messages++;
		work->octets += record_octets(&message);
		work->task->show(work, &message);
	}
	control_again(control, show_slice, work, release);
}

/* ---- a slice that changes ---- */

static void
count_change(struct work *work, enum changed changed)
{
	if (changed == NOT_MEANT)
		return;
	if (!work->counted)
		work->messages++;
	work->counted = true;
	work->recipients += changed == CHANGED;
	work->same += changed == UNCHANGED;
	work->held += changed == LEFT_HELD;
	work->active += changed == LEFT_ACTIVE;
}

/* False: it has no more recipients. */
static bool
change_next(struct work *work)
{
	struct spool *spool = work->queue->spool;
	struct recipient recipient;

	if (spool_next_recipient(spool, work->message.id, work->number,
	    &recipient) != STORE_FOUND)
		return false;
	work->rows++;
	work->number = recipient.number + 1;
	change_enter(&work->change, &recipient);
	if (listing_fits_recipient(work->queue->dispatch, &work->filter,
	    &recipient, &work->change.destination)) {
		spool_count_event(spool);
		count_change(work, work->task->change(&work->change,
		    &work->message, &recipient));
	}
	return true;
}

/* A notice that came of this very verb would be bounced by it in turn. */
static bool
is_ours(const struct work *work)
{
	return work->task->change == change_bounce && work->ids_n == 0 &&
	    work->message.sender[0] == '\0' &&
	    work->message.arrived_ms >= work->began_ms;
}

/* Enter the next message that is meant; false: there is none. */
static bool
enter_message(struct work *work)
{
	work->inside = next_message(work, &work->message);
	work->number = 0;
	work->counted = false;
	return work->inside;
}

static bool
slice_is_over(const struct work *work)
{
	if (work->task->whole && work->inside)
		return false;
	return work->rows >= SLICE_ROWS || loop_now_ms() >= work->until_ms ||
	    spool_turn_is_full(work->queue->spool);
}

/* False: all is done. */
static bool
change_some(struct work *work)
{
	while (!slice_is_over(work)) {
		if (!work->inside && !enter_message(work))
			return false;
		if (!listing_fits_message(&work->filter, &work->message) ||
		    is_ours(work) || !change_next(work))
			work->inside = false;
	}
	return true;
}

/*
 * What was changed is safe at the end; before, other slices may go with the
 * flush of whoever needs one.
 */
static void
change_slice(void *program, struct control *control, void *memory)
{
	struct work *work = memory;
	bool more;

	(void)program;
	work->rows = 0;
	work->until_ms = loop_now_ms() + CHANGE_MS;
	more = change_some(work);
	change_settle(&work->change);
	if (!more)
		spool_want_flush(work->queue->spool);
	if (!turn_end(work->queue))
		ctl_refuse(control, CONTROL_AGAIN, "the store could not take "
		    "the change, see the log", "");
	else if (more)
		control_again(control, change_slice, work, release);
	else
		control_end(control, work->task->end(work));
}

/* ---- the beginning ---- */

static char *
joined(int argc, char **argv)
{
	struct buffer words = { NULL, 0, 0 };

	buffer_add(&words, SLICE(""));
	for (int i = 0; i < argc; i++)
		buffer_printf(&words, "%s%s", i > 0 ? " " : "", argv[i]);
	return words.text;
}

static void
begin(struct queue *queue, struct control *control, const struct task *task,
    int argc, char **argv)
{
	struct work *work = mem_alloc(sizeof(*work));

	work->task = task;
	work->queue = queue;
	work->control = control;
	work->words = joined(argc, argv);
	work->began_ms = (uint64_t)loop_wall_ms();
	work->filter.state = -1;
	work->filter.own = !control_is_admin(control);
	work->filter.uid = control_uid(control);
	work->change.queue = queue;
	work->change.verb = task->name;
	work->change.uid = work->filter.uid;
	if (!take_words(work, argc, argv))
		release(work);
	else
		control_again(control, task->change != NULL ? change_slice :
		    show_slice, work, release);
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

/* ---- what changes ---- */

/* What was left as it was, and which verb is for that. */
static void
say_left(const struct work *work)
{
	const bool bounces = work->task->change == change_bounce;

	if (work->held > 0)
		control_error(work->control, "%llu recipient%s held and "
		    "stay%s so: queue release is for messages, domain release "
		    "for domains", (unsigned long long)work->held,
		    work->held == 1 ? " is" : "s are",
		    work->held == 1 ? "s" : "");
	if (work->change.behind_domain > 0)
		control_error(work->control, "%llu recipient%s on, because "
		    "the domain is held (domain release)",
		    (unsigned long long)work->change.behind_domain,
		    work->change.behind_domain == 1 ? " waits" : "s wait");
	if (work->active > 0 && bounces)
		control_error(work->control, "%llu recipient%s being "
		    "delivered: ask again when that has ended",
		    (unsigned long long)work->active,
		    work->active == 1 ? " is" : "s are");
}

/* Nothing there, or all of it was left: no. */
static int
change_end(struct work *work)
{
	struct buffer row = { NULL, 0, 0 };

	row_open(&row, NULL, '{');
	row_text(&row, "done", work->task->name);
	row_number(&row, "messages", work->messages);
	row_number(&row, "recipients", work->recipients);
	row_number(&row, "held", work->held);
	row_number(&row, "active", work->active);
	row_close(&row, '}');
	say_row(work, &row);
	say_left(work);
	log_change(work, "done");
	return work->missing || work->recipients + work->same == 0 ?
	    CONTROL_NO : CONTROL_OK;
}

static const struct task list_task = {
	.name = "queue list",
	.show = list_one, .end = list_end
};
static const struct task count_task = {
	.name = "queue count",
	.show = count_one, .end = count_end, .takes_limits = true
};
static const struct task mailq_task = {
	.name = "queue mailq",
	.show = mailq_one, .end = mailq_end
};
static const struct task flush_task = {
	.name = "queue flush",
	.change = change_flush, .end = change_end
};
static const struct task hold_task = {
	.name = "queue hold",
	.change = change_hold, .end = change_end
};
static const struct task release_task = {
	.name = "queue release",
	.change = change_release, .end = change_end
};
static const struct task remove_task = {
	.name = "queue remove",
	.change = change_remove, .end = change_end
};
static const struct task bounce_task = {
	.name = "queue bounce",
	/* One notice for each message. */
	.change = change_bounce, .end = change_end, .whole = true
};

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
bulk_hold(void *program, struct control *control, int argc, char **argv)
{
	begin(program, control, &hold_task, argc, argv);
}

void
bulk_release(void *program, struct control *control, int argc, char **argv)
{
	begin(program, control, &release_task, argc, argv);
}

void
bulk_remove(void *program, struct control *control, int argc, char **argv)
{
	begin(program, control, &remove_task, argc, argv);
}

void
bulk_bounce(void *program, struct control *control, int argc, char **argv)
{
	begin(program, control, &bounce_task, argc, argv);
}
