/*
 * May this message be taken, and is it whole and safe?
 *
 * Called by the loop for the links of smtpd and reports and for the pipes of
 * bodies; its two ends of the turn are called by turn.c.  States of an intake:
 *
 *	open	sender and recipients come in; memory only
 *	waiting	wants to send DATA, and too many others do already
 *	data	Q_GO was said; the body comes whole, or through its pipe
 *	whole	it is here, count right: written by the end of this turn, or
 *		a moment later together with others that are just coming
 *
 * From each it ends by Q_TAKEN, Q_REFUSED, Q_ABORT or the death of its link.
 * It does not judge addresses or relaying: smtpd does.
 *
 * Mail of our own making has its class and its key by the link on which it
 * comes, never by what it looks like (RPT-5.3.1-2 RFC 8460 5.3.1).
 */
#include "queue/receive.h"

#include "conf/link.h"
#include "conf/log.h"
#include "queue/body.h"
#include "queue/deposit.h"
#include "queue/addressee.h"
#include "queue/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#define BUCKETS		1024
#define IN_DATA_MAX	256
/* Of all open transactions together. */
#define ADDRESSES_MAX	(16u << 20)
#define READS_A_WAKE	16
/* smtpd adds Received to what the client may send. */
#define TRACE_OCTETS	(64u << 10)
/*
 * Most bodies fit into the pipe.  One that is not announced as larger is
 * read when Q_END says that it is there, at the latest after this time: one
 * wake a message instead of one for each piece.
 */
#define FITS_OCTETS	(48u << 10)
#define UNWATCHED_MS	20
/* The pipe of a larger one: a wake of each side for so much of it. */
#define PIPE_OCTETS	(256 << 10)
/* What a turn takes; of a body counts what is not stored yet. */
#define WHOLE_MAX	256
#define WHOLE_OCTETS_MAX	(1u << 20)
/*
 * Who heard 354 so short a time ago is about to be whole; for so long others
 * wait for him, to share his flush.
 */
#define COMING_MS	2

enum state { STATE_OPEN, STATE_WAITING, STATE_DATA, STATE_WHOLE };

struct source {			/* one smtpd, or reports */
	struct receiver		*receiver;
	bool			 reports;
	struct link		*link;
	LIST_HEAD(, intake)	 all;
	LIST_ENTRY(source)	 sources;
};

struct intake {
	LIST_ENTRY(intake)	 bucket;
	LIST_ENTRY(intake)	 of_source;
	TAILQ_ENTRY(intake)	 line;	/* waiting, coming, unwatched or
					   whole */
	struct source		*source;
	struct q_open		 open;
	enum state		 state;
	bool			 placed;	/* by Q_PLACE: no pipe yet */
	struct addressees	 addressees;
	int			 pipe;	/* -1: not yet, or at its end */
	struct watch		*watch;
	bool			 unwatched;	/* stands in that line */
	int64_t			 go_ms;
	struct body		 body;
	bool			 eof;
	bool			 ended;	/* Q_END came */
	struct q_end		*end;
	uint32_t		 whole_octets;	/* in memory, when whole */
	bool			 known;	/* its key was used before */
	struct message		 message;
};

TAILQ_HEAD(intake_line, intake);

struct receiver {
	struct loop			*loop;
	struct spool			*spool;
	struct space			 space;
	const struct config *const	*config;
	void				(*end_turn)(void *);
	void				*context;
	LIST_HEAD(, source)		 sources;
	LIST_HEAD(, intake)		 buckets[BUCKETS];
	struct intake_line		 waiting, coming, unwatched, whole;
	unsigned			 in_data;
	unsigned			 whole_n;
	uint64_t			 whole_octets;
	int64_t				 whole_ms;	/* since when */
	bool				 deposited;	/* the whole ones are,
							   in this turn */
	struct timer			*deposit_timer;
	size_t				 addresses_octets;
	struct timer			*watch_timer;
	uint8_t				*room;
	uint64_t			 turn;	/* about to end */
	bool				 stopping;
};

static void	on_message(void *context, struct link *, unsigned kind,
		    const void *message, int *fds);
static void	on_closed(void *context, struct link *);
static void	on_drained(void *context, struct link *);
static void	on_pipe(void *context, int what);
static void	on_watch_timer(void *context);
static void	on_deposit_timer(void *context);
static void	start_waiting(struct receiver *);

static const struct link_calls calls = { on_message, on_closed, on_drained };

struct receiver *
receive_new(struct loop *loop, struct spool *spool,
    const struct config *const *config, void (*end_turn)(void *),
    void *context)
{
	struct receiver *receiver = mem_alloc(sizeof(*receiver));

	receiver->loop = loop;
	receiver->spool = spool;
	space_init(&receiver->space, spool_dir_fd(spool), (*config)->min_free);
	receiver->config = config;
	receiver->end_turn = end_turn;
	receiver->context = context;
	TAILQ_INIT(&receiver->waiting);
	TAILQ_INIT(&receiver->coming);
	TAILQ_INIT(&receiver->unwatched);
	TAILQ_INIT(&receiver->whole);
	receiver->watch_timer = timer_new(loop, on_watch_timer, receiver);
	receiver->deposit_timer = timer_new(loop, on_deposit_timer, receiver);
	receiver->room = mem_alloc(BODY_ROOM);
	return receiver;
}

static void
serve(struct receiver *receiver, int fd, bool reports)
{
	struct source *source = mem_alloc(sizeof(*source));

	source->receiver = receiver;
	source->reports = reports;
	LIST_INIT(&source->all);
	LIST_INSERT_HEAD(&receiver->sources, source, sources);
	source->link = link_new(receiver->loop, fd, &intake_wire, &calls,
	    source);
	link_gather(source->link);
}

void
receive_serve(struct receiver *receiver, int fd)
{
	serve(receiver, fd, false);
}

void
receive_serve_reports(struct receiver *receiver, int fd)
{
	serve(receiver, fd, true);
}

static struct intake *
find(const struct receiver *receiver, uint64_t id)
{
	struct intake *intake;

	LIST_FOREACH(intake, &receiver->buckets[id % BUCKETS], bucket)
		if (intake->open.id == id)
			return intake;
	return NULL;
}

bool
receive_has(const struct receiver *receiver, uint64_t id)
{
	return find(receiver, id) != NULL;
}

/* ---- the end of an intake ---- */

static void
leave_line(struct receiver *receiver, struct intake *intake)
{
	if (intake->state == STATE_WAITING) {
		TAILQ_REMOVE(&receiver->waiting, intake, line);
	} else if (intake->state == STATE_WHOLE) {
		TAILQ_REMOVE(&receiver->whole, intake, line);
		receiver->whole_n--;
		receiver->whole_octets -= intake->whole_octets;
	} else if (intake->state == STATE_DATA && intake->placed) {
		TAILQ_REMOVE(&receiver->coming, intake, line);
	} else if (intake->unwatched) {
		TAILQ_REMOVE(&receiver->unwatched, intake, line);
	}
	intake->unwatched = false;
}

static void
close_pipe(struct intake *intake)
{
	watch_free(&intake->watch);
	if (intake->pipe != -1)
		close(intake->pipe);
	intake->pipe = -1;
}

/* Whoever ends it has dealt with its body before. */
static void
free_intake(struct intake *intake)
{
	struct receiver *receiver = intake->source->receiver;

	leave_line(receiver, intake);
	if (intake->state == STATE_DATA || intake->state == STATE_WHOLE)
		receiver->in_data--;
	close_pipe(intake);
	receiver->addresses_octets -= intake->addressees.size;
	LIST_REMOVE(intake, bucket);
	LIST_REMOVE(intake, of_source);
	addressee_free(&intake->addressees);
	free(intake->end);
	free(intake);
}

static void
drop(struct intake *intake)
{
	struct receiver *receiver = intake->source->receiver;

	if (intake->state == STATE_DATA || intake->state == STATE_WHOLE)
		body_drop(&intake->body);
	free_intake(intake);
	start_waiting(receiver);
}

static void
say_refused(const struct intake *intake, uint32_t code, const char *text)
{
	struct q_refused refused = { .id = intake->open.id, .code = code };

	slice_store(slice_of(text), refused.text, sizeof(refused.text));
	link_send(intake->source->link, Q_REFUSED, &refused, NULL);
}

static void
refuse(struct intake *intake, uint32_t code, const char *text)
{
	say_refused(intake, code, text);
	drop(intake);
}

static void
say_full(const struct intake *intake)
{
	say_refused(intake, 452, "4.3.1 not enough room on the disk, "
	    "try later");
}

/* ---- the envelope ---- */

static void
refuse_open(struct source *source, uint64_t id, const char *text)
{
	struct intake none = { .source = source, .open = { .id = id } };

	say_refused(&none, 451, text);
}

/*
 * Is this what may come on this link?  From reports alone, and there nothing
 * else: class report, with a key.  From smtpd mail with or without REQUIRETLS;
 * what its header asks for is known at its end.
 */
static bool
fits_link(const struct source *source, const struct q_open *open)
{
	bool key = open->key[0] != '\0';

	if (source->reports ? open->class == CLASS_REPORT && key :
	    (open->class == CLASS_MAIL || open->class == CLASS_REQUIRETLS) &&
	    !key)
		return true;
	log_line(LOG_LEVEL_ERROR, "%s sends a message of class %u with%s "
	    "key, which is not for it to send", source->reports ?
	    "culver-reports" : "culver-smtpd", open->class,
	    key ? " a" : "out");
	return false;
}

static void
on_open(struct source *source, const struct q_open *open)
{
	struct receiver *receiver = source->receiver;
	struct intake *intake;

	if (receiver->stopping) {
		refuse_open(source, open->id, "4.3.2 shutting down");
		return;
	}
	/* No smtpd can reach a message that is there by taking its id. */
	if (open->id == 0 || open->class == 0 || receive_has(receiver,
	    open->id) || spool_has_message(receiver->spool, open->id) ||
	    !addressee_is_graphic(open->envid) || !fits_link(source, open)) {
		refuse_open(source, open->id, "4.3.0 try again");
		return;
	}
	intake = mem_alloc(sizeof(*intake));
	intake->source = source;
	intake->open = *open;
	intake->pipe = -1;
	intake->known = keys_known(receiver->spool, open->key);
	LIST_INSERT_HEAD(&receiver->buckets[open->id % BUCKETS], intake,
	    bucket);
	LIST_INSERT_HEAD(&source->all, intake, of_source);
}

static void
answer_rcpt(const struct intake *intake, uint32_t number, uint32_t code,
    const char *text)
{
	struct q_rcpt_answer answer = { .id = intake->open.id,
	    .number = number, .code = code };

	slice_store(slice_of(text), answer.text, sizeof(answer.text));
	link_send(intake->source->link, Q_RCPT_ANSWER, &answer, NULL);
}

/* NULL, and the recipient is one of the message's; or the refusal's text. */
static const char *
add_recipient(struct intake *intake, const struct q_rcpt *rcpt, uint32_t *code)
{
	const struct addressee one = { rcpt->recipient, rcpt->notify,
	    rcpt->orcpt };
	struct receiver *receiver = intake->source->receiver;
	struct addressees *addressees = &intake->addressees;
	size_t before = addressees->size;

	*code = 452;
	if (addressees->n >= (*receiver->config)->max_recipients)
		return "4.5.3 too many recipients";
	/* What became of it is one answer to its one key. */
	if (intake->source->reports && addressees->n > 0)
		return "4.5.3 a report has one recipient";
	*code = 451;
	if (receiver->addresses_octets > ADDRESSES_MAX)
		return "4.3.2 too many recipients at once, try later";
	if (intake->state != STATE_OPEN || !addressee_add(addressees, &one))
		return "4.3.0 try again";
	receiver->addresses_octets += addressees->size - before;
	return NULL;
}

static void
on_rcpt(struct intake *intake, const struct q_rcpt *rcpt)
{
	uint32_t code;
	const char *refusal = add_recipient(intake, rcpt, &code);

	if (refusal == NULL)
		answer_rcpt(intake, rcpt->number, 250, "2.1.5 ok");
	else
		answer_rcpt(intake, rcpt->number, code, refusal);
}

/* ---- the body ---- */

static void
watch_pipe(struct intake *intake)
{
	struct receiver *receiver = intake->source->receiver;

	if (intake->unwatched)
		TAILQ_REMOVE(&receiver->unwatched, intake, line);
	intake->unwatched = false;
	if (intake->watch == NULL && intake->pipe != -1)
		intake->watch = watch_new(receiver->loop, intake->pipe,
		    WATCH_READ, on_pipe, intake);
}

static void
set_watch_timer(struct receiver *receiver)
{
	struct intake *first = TAILQ_FIRST(&receiver->unwatched);

	if (first != NULL && !timer_is_set(receiver->watch_timer))
		timer_set(receiver->watch_timer, first->go_ms + UNWATCHED_MS -
		    loop_now_ms());
}

static void
on_watch_timer(void *context)
{
	struct receiver *receiver = context;
	struct intake *first;

	while ((first = TAILQ_FIRST(&receiver->unwatched)) != NULL &&
	    loop_now_ms() - first->go_ms >= UNWATCHED_MS)
		watch_pipe(first);
	set_watch_timer(receiver);
}

/* A user's pipes have a limit together: past it this one stays as it is. */
static void
widen(const struct intake *intake)
{
	fcntl(intake->pipe, F_SETPIPE_SZ, PIPE_OCTETS);
}

/* It has a place among those in DATA. */
static void
start_data(struct intake *intake)
{
	struct receiver *receiver = intake->source->receiver;
	struct q_id go = { .id = intake->open.id };

	if (!body_begin(&intake->body, receiver->spool, &receiver->space,
	    intake->open.id, intake->open.size_bytes)) {
		say_full(intake);
		free_intake(intake);
		return;
	}
	intake->state = STATE_DATA;
	receiver->in_data++;
	intake->go_ms = loop_now_ms();
	link_send(intake->source->link, Q_GO, &go, NULL);
	if (intake->placed) {
		TAILQ_INSERT_TAIL(&receiver->coming, intake, line);
		return;
	}
	if (intake->open.size_bytes > FITS_OCTETS) {
		widen(intake);
		watch_pipe(intake);
		return;
	}
	TAILQ_INSERT_TAIL(&receiver->unwatched, intake, line);
	intake->unwatched = true;
	set_watch_timer(receiver);
}

static void
start_waiting(struct receiver *receiver)
{
	struct intake *intake;

	while (receiver->in_data < IN_DATA_MAX &&
	    (intake = TAILQ_FIRST(&receiver->waiting)) != NULL) {
		leave_line(receiver, intake);
		intake->state = STATE_OPEN;
		start_data(intake);
	}
}

/* It was taken before, and is not stored again. */
static void
say_known(struct intake *intake)
{
	struct q_id taken = { .id = intake->open.id };

	link_send(intake->source->link, Q_TAKEN, &taken, NULL);
	free_intake(intake);
}

static void
wait_for_place(struct intake *intake)
{
	struct receiver *receiver = intake->source->receiver;

	intake->state = STATE_WAITING;
	TAILQ_INSERT_TAIL(&receiver->waiting, intake, line);
	start_waiting(receiver);
}

/* smtpd may ask before it knows whether one of its recipients was taken. */
static void
on_place(struct intake *intake)
{
	if (intake->state != STATE_OPEN || intake->known ||
	    intake->source->receiver->stopping) {
		refuse(intake, 451, "4.3.0 try again");
		return;
	}
	if (intake->addressees.n == 0)
		return;
	intake->placed = true;
	wait_for_place(intake);
}

/* Nothing of its body has come yet. */
static bool
is_fresh(const struct intake *intake)
{
	return intake->state == STATE_DATA && intake->placed && !intake->ended;
}

/* What is in DATA already goes on when we are stopping. */
static void
on_late_pipe(struct intake *intake, int *fd)
{
	leave_line(intake->source->receiver, intake);
	intake->placed = false;
	intake->pipe = *fd;
	*fd = -1;
	if (fcntl(intake->pipe, F_SETFL, O_NONBLOCK) == -1) {
		refuse(intake, 451, "4.3.0 try again");
		return;
	}
	widen(intake);
	watch_pipe(intake);
}

static void
on_data(struct intake *intake, int *fd)
{
	struct receiver *receiver = intake->source->receiver;

	if (is_fresh(intake)) {
		on_late_pipe(intake, fd);
		return;
	}
	if (intake->state != STATE_OPEN || intake->pipe != -1 ||
	    intake->addressees.n == 0 || receiver->stopping ||
	    fcntl(*fd, F_SETFL, O_NONBLOCK) == -1) {
		refuse(intake, 451, "4.3.0 try again");
		return;
	}
	if (intake->known) {
		say_known(intake);
		return;
	}
	intake->pipe = *fd;
	*fd = -1;
	wait_for_place(intake);
}

/* Both Q_END and the end of the pipe are there: are they about the same? */
static void
judge_whole(struct intake *intake)
{
	struct receiver *receiver = intake->source->receiver;

	if (intake->body.size_bytes != intake->end->size_bytes) {
		log_line(LOG_LEVEL_ERROR, "a body of %llu octets was "
		    "announced and %llu came",
		    (unsigned long long)intake->end->size_bytes,
		    (unsigned long long)intake->body.size_bytes);
		refuse(intake, 451, "4.3.0 try again");
		return;
	}
	leave_line(receiver, intake);
	if (TAILQ_EMPTY(&receiver->whole))
		receiver->whole_ms = loop_now_ms();
	intake->state = STATE_WHOLE;
	TAILQ_INSERT_TAIL(&receiver->whole, intake, line);
	receiver->whole_n++;
	intake->whole_octets = intake->body.buffered;
	receiver->whole_octets += intake->whole_octets;
	body_start_sync(&intake->body);
}

static bool
is_too_large(const struct intake *intake)
{
	const struct config *config = *intake->source->receiver->config;

	return intake->body.size_bytes > config->max_message_size +
	    TRACE_OCTETS;
}

/* After a read; true: go on reading.  The intake may be gone. */
static bool
after_read(struct intake *intake, enum body_read result)
{
	switch (result) {
	case BODY_MORE:
		if (!is_too_large(intake))
			return true;
		refuse(intake, 552, "5.3.4 message too large");
		return false;
	case BODY_DRY:
		if (intake->ended)
			watch_pipe(intake);
		return false;
	case BODY_EOF:
		intake->eof = true;
		close_pipe(intake);
		if (intake->ended)
			judge_whole(intake);
		return false;
	case BODY_FULL:
		say_full(intake);
		drop(intake);
		return false;
	case BODY_FAILED:
		log_line(LOG_LEVEL_ERROR, "a body cannot be stored: %s",
		    strerror(errno));
		refuse(intake, 451, "4.3.0 the message cannot be stored");
		return false;
	}
	bug("body_read %d", result);
}

static void
read_pipe(struct intake *intake)
{
	struct receiver *receiver = intake->source->receiver;

	for (int n = 0; n < READS_A_WAKE; n++)
		if (!after_read(intake, body_read(&intake->body,
		    intake->pipe, receiver->room)))
			return;
	/* Others' turn; there is more. */
	watch_pipe(intake);
}

/* Do those that are whole make a turn as large as one may be? */
static bool
is_turn_full(const struct receiver *receiver)
{
	return receiver->whole_n >= WHOLE_MAX ||
	    receiver->whole_octets >= WHOLE_OCTETS_MAX ||
	    spool_turn_is_full(receiver->spool);
}

static void
end_full_turn(struct receiver *receiver)
{
	if (is_turn_full(receiver))
		receiver->end_turn(receiver->context);
}

static void
on_pipe(void *context, int what)
{
	struct intake *intake = context;
	struct receiver *receiver = intake->source->receiver;

	(void)what;
	read_pipe(intake);
	end_full_turn(receiver);
}

static void
on_end(struct intake *intake, const struct q_end *end)
{
	if (intake->state != STATE_DATA || intake->placed || intake->ended) {
		refuse(intake, 451, "4.3.0 try again");
		return;
	}
	intake->ended = true;
	intake->end = mem_alloc(sizeof(*end));
	*intake->end = *end;
	if (intake->eof)
		judge_whole(intake);
	else
		read_pipe(intake);
}

static void
on_whole(struct intake *intake, const struct q_whole *whole)
{
	if (!is_fresh(intake)) {
		refuse(intake, 451, "4.3.0 try again");
		return;
	}
	intake->ended = true;
	intake->end = mem_alloc(sizeof(*intake->end));
	intake->end->size_bytes = whole->body_len;
	intake->end->eight_bit = whole->eight_bit;
	intake->end->tls_optional = whole->tls_optional;
	memcpy(intake->end->msgid, whole->msgid, sizeof(whole->msgid));
	if (body_take(&intake->body, whole->body, whole->body_len) ==
	    BODY_FULL) {
		say_full(intake);
		drop(intake);
	} else if (is_too_large(intake)) {
		refuse(intake, 552, "5.3.4 message too large");
	} else {
		judge_whole(intake);
	}
}

/* ---- the link ---- */

static void
on_ask_key(struct source *source, const struct q_ask_key *ask)
{
	struct q_key answer;

	/* Nobody else has keys. */
	if (!source->reports)
		return;
	keys_answer(source->receiver->spool, ask->key, &answer);
	link_send(source->link, Q_KEY, &answer, NULL);
}

/* Every one of these begins with the id. */
static void
on_intake(struct source *source, unsigned kind, const void *message,
    int *fds)
{
	struct intake *intake = find(source->receiver,
	    *(const uint64_t *)message);

	if (intake == NULL || intake->source != source)
		return;		/* crossed our Q_REFUSED: it is forgotten */
	if (kind == Q_RCPT)
		on_rcpt(intake, message);
	else if (kind == Q_PLACE)
		on_place(intake);
	else if (kind == Q_DATA)
		on_data(intake, &fds[0]);
	else if (kind == Q_END)
		on_end(intake, message);
	else if (kind == Q_WHOLE)
		on_whole(intake, message);
	else if (kind == Q_ABORT)
		drop(intake);
}

static void
on_message(void *context, struct link *link, unsigned kind,
    const void *message, int *fds)
{
	struct source *source = context;
	struct receiver *receiver = source->receiver;

	if (kind == Q_OPEN)
		on_open(source, message);
	else if (kind == Q_ASK_KEY)
		on_ask_key(source, message);
	else
		on_intake(source, kind, message, fds);
	if (link_full(link))
		link_pause(link, true);
	end_full_turn(receiver);
}

static void
on_drained(void *context, struct link *link)
{
	(void)context;
	link_pause(link, false);
}

static void
free_source(struct source *source)
{
	struct intake *intake;

	while ((intake = LIST_FIRST(&source->all)) != NULL)
		drop(intake);
	LIST_REMOVE(source, sources);
	free(source);
}

/* Its clients hear 451 from the parent's next smtpd, or nothing. */
static void
on_closed(void *context, struct link *link)
{
	(void)link;
	free_source(context);
}

void
receive_stop(struct receiver *receiver)
{
	struct intake *intake;

	receiver->stopping = true;
	while ((intake = TAILQ_FIRST(&receiver->waiting)) != NULL)
		refuse(intake, 451, "4.3.2 shutting down");
}

bool
receive_idle(const struct receiver *receiver)
{
	return receiver->in_data == 0;
}

void
receive_free(struct receiver **pointer)
{
	struct receiver *receiver = *pointer;
	struct source *source;

	*pointer = NULL;
	while ((source = LIST_FIRST(&receiver->sources)) != NULL) {
		struct link *link = source->link;

		free_source(source);
		link_close(&link);
	}
	timer_free(&receiver->watch_timer);
	timer_free(&receiver->deposit_timer);
	free(receiver->room);
	free(receiver);
}

/* ---- the end of the turn ---- */

static void
refuse_unstored(struct intake *intake)
{
	refuse(intake, 451, "4.3.0 the message cannot be stored");
}

/*
 * See to it that what lies in files is safe before a record names it.  What
 * fails is refused, and is in no other's way.
 */
static void
sync_files(struct receiver *receiver)
{
	struct intake *intake, *next;
	unsigned files = 0;
	bool synced;

	for (intake = TAILQ_FIRST(&receiver->whole); intake != NULL;
	    intake = next) {
		next = TAILQ_NEXT(intake, line);
		if (!body_sync(&intake->body, &files))
			refuse_unstored(intake);
	}
	synced = files == 0 || fsync(spool_bodies_fd(receiver->spool)) == 0;
	for (intake = TAILQ_FIRST(&receiver->whole); !synced && intake != NULL;
	    intake = next) {
		next = TAILQ_NEXT(intake, line);
		if (intake->body.file_bytes > 0)
			refuse_unstored(intake);
	}
}

/*
 * Did somebody send it who may relay here: with sendmail, by AUTH, or from an
 * address of relay-from?  Strangers, who write to relay-to, are not told of
 * delays: their senders may be anybody's.
 */
static bool
is_ours(const struct intake *intake)
{
	const struct config *config = *intake->source->receiver->config;
	const struct q_open *open = &intake->open;
	struct address client;

	if (open->local || (open->auth[0] != '\0' &&
	    strcmp(open->auth, "none") != 0))
		return true;
	if (!address_parse(slice_of(open->client), &client))
		return false;
	for (size_t i = 0; i < config->relay_from_n; i++)
		if (network_holds(&config->relay_from[i], &client))
			return true;
	return false;
}

/*
 * RTLS-4.1-1, RTLS-4.1-2 RFC 8689 4.1; the option outranks the field, which
 * stays in the message either way (RTLS-4.1-4)
 */
static uint32_t
class_of(const struct intake *intake)
{
	return intake->open.class == CLASS_MAIL && intake->end->tls_optional ?
	    CLASS_TLS_OPTIONAL : intake->open.class;
}

static void
deposit(struct intake *intake, uint64_t now_ms)
{
	struct receiver *receiver = intake->source->receiver;
	struct message *message = &intake->message;
	const struct q_open *open = &intake->open;

	message->id = open->id;
	body_finish(&intake->body, message);
	memcpy(message->sender, open->sender, sizeof(message->sender));
	message->arrived_ms = now_ms;
	message->body = open->body;	/* EXT-6152-3-4 RFC 6152 3 */
	message->class = class_of(intake);
	message->eight_bit = intake->end->eight_bit;
	message->local = open->local;
	message->uid = open->uid;
	memcpy(message->key, open->key, sizeof(message->key));
	message->ret = open->ret;
	memcpy(message->envid, open->envid, sizeof(message->envid));
	message->ours = is_ours(intake);
	/* RPT-3-13 RFC 8460 3: none leaves without a signature */
	message->needs_signature = intake->source->reports;
	deposit_message(receiver->spool, message, &intake->addressees);
	keys_owe(receiver->spool, message);
}

/* The end of its turn looks again. */
static void
on_deposit_timer(void *context)
{
	(void)context;
}

/*
 * Are at least as many about to be whole as are?  Then a moment's wait halves
 * the flushes.  One who comes alone never waits, and nobody for somebody who
 * is slow.
 */
static bool
wait_for_more(struct receiver *receiver)
{
	int64_t now_ms = loop_now_ms();
	struct intake *intake;
	unsigned n = 0;

	if (receiver->stopping || is_turn_full(receiver) ||
	    now_ms - receiver->whole_ms >= COMING_MS)
		return false;
	TAILQ_FOREACH_REVERSE(intake, &receiver->coming, intake_line, line) {
		if (now_ms - intake->go_ms >= COMING_MS)
			return false;
		if (++n >= receiver->whole_n)
			return true;
	}
	return false;
}

void
receive_before_commit(struct receiver *receiver)
{
	uint64_t now_ms = (uint64_t)loop_wall_ms();
	struct source *source;
	struct intake *intake;

	receiver->turn = spool_turn(receiver->spool);
	receiver->deposited = false;
	if (TAILQ_EMPTY(&receiver->whole))
		return;
	if (wait_for_more(receiver)) {
		timer_set(receiver->deposit_timer, 1);
		return;
	}
	/* Who is answered already may go on while we wait for the disk. */
	LIST_FOREACH(source, &receiver->sources, sources)
		link_flush(source->link);
	receiver->deposited = true;
	spool_want_flush(receiver->spool);
	sync_files(receiver);
	TAILQ_FOREACH(intake, &receiver->whole, line) {
		/* Another of the same key may have come between. */
		if (!intake->known && keys_known(receiver->spool,
		    intake->open.key)) {
			intake->known = true;
			body_discard(&intake->body);
		}
		if (!intake->known)
			deposit(intake, now_ms);
	}
}

static void
log_accept(const struct intake *intake)
{
	const struct q_open *open = &intake->open;
	char id[ID_TEXT_MAX];
	struct event event;

	event_begin(&event, LOG_LEVEL_INFO, "accept");
	event_text(&event, "id", queue_id_print(open->id, id));
	event_text(&event, "from", open->sender);
	event_number(&event, "rcpts", intake->addressees.n);
	event_number(&event, "size", (int64_t)intake->body.size_bytes);
	event_text(&event, "msgid", intake->end->msgid);
	event_text(&event, "client", open->client);
	event_text(&event, "proto", open->proto);
	event_text(&event, "tls", open->tls);
	event_text(&event, "auth", open->auth);
	if (open->local)
		event_number(&event, "uid", open->uid);
	else
		event_text(&event, "uid", "none");
	event_end(&event);
}

/* SMTP-2.1-1 RFC 5321 2.1: from here on it is ours */
static void
say_taken(struct intake *intake)
{
	struct q_id taken = { .id = intake->open.id };

	link_send(intake->source->link, Q_TAKEN, &taken, NULL);
	if (!intake->known)
		log_accept(intake);
	body_end(&intake->body);
	free_intake(intake);
}

/* Nothing of the turn exists: SMTP-4.2.5-1 RFC 5321 4.2.5 */
static void
refuse_lost(struct intake *intake)
{
	if (space_take(&intake->source->receiver->space, 0))
		say_refused(intake, 451, "4.3.0 the message cannot be "
		    "stored");
	else
		say_full(intake);
	body_lost(&intake->body);
	free_intake(intake);
}

static void
refuse_touched(struct receiver *receiver)
{
	struct source *source;
	struct intake *intake, *next;

	LIST_FOREACH(source, &receiver->sources, sources)
		for (intake = LIST_FIRST(&source->all); intake != NULL;
		    intake = next) {
			next = LIST_NEXT(intake, of_source);
			if ((intake->state == STATE_WHOLE &&
			    receiver->deposited) ||
			    (intake->body.turn == receiver->turn &&
			    (intake->state == STATE_DATA ||
			    intake->state == STATE_WHOLE)))
				refuse_lost(intake);
		}
}

void
receive_after_commit(struct receiver *receiver, bool durable)
{
	struct intake *intake;

	receiver->space.min_free = (*receiver->config)->min_free;
	if (!durable)
		refuse_touched(receiver);
	while (receiver->deposited &&
	    (intake = TAILQ_FIRST(&receiver->whole)) != NULL)
		say_taken(intake);
	receiver->deposited = false;
	start_waiting(receiver);
}
