/*
 * How does a message get from a session into the queue?
 *
 * Called by dialogue.c; owns the link to queue and the write ends of the
 * pipes.  A transaction's life: opened, RCPTs asked and answered, waiting for
 * a pipe, waiting for Q_GO, in data, ended, taken; refused or dropped from
 * anywhere.  It knows no SMTP.
 *
 * The link's death is no fact about a client: what was under way is refused
 * for now (451) and sessions go on with the next link.
 */
#include "smtpd/intake.h"

#include "conf/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHAINS	1024u

struct intake {
	struct loop			*loop;
	const struct intake_calls	*calls;
	void				*context;
	struct link			*link;		/* NULL: none */
	struct transaction		*chains[CHAINS];	/* known ones */
	struct transaction		*first_waiting, **last_waiting;
	unsigned			 data_n;	/* that have a pipe */
};

static void	on_message(void *context, struct link *link, unsigned kind,
		    const void *message, int *fds);
static void	on_closed(void *context, struct link *link);
static void	on_drained(void *context, struct link *link);

static const struct link_calls link_calls = {
	.message = on_message, .closed = on_closed, .drained = on_drained
};

struct intake *
intake_new(struct loop *loop, const struct intake_calls *calls, void *context)
{
	struct intake *intake;

	intake = mem_alloc(sizeof(*intake));
	intake->loop = loop;
	intake->calls = calls;
	intake->context = context;
	intake->last_waiting = &intake->first_waiting;
	return intake;
}

void
intake_free(struct intake **intake)
{
	if (*intake == NULL)
		return;
	link_close(&(*intake)->link);
	free(*intake);
	*intake = NULL;
}

bool
intake_is_up(const struct intake *intake)
{
	return intake->link != NULL;
}

bool
intake_is_full(const struct intake *intake)
{
	return intake->link != NULL && link_full(intake->link);
}

/* The low bits of an id are random. */
static struct transaction **
chain_of(struct intake *intake, uint64_t id)
{
	return &intake->chains[id % CHAINS];
}

static struct transaction *
find(struct intake *intake, uint64_t id)
{
	struct transaction *transaction = *chain_of(intake, id);

	while (transaction != NULL && transaction->id != id)
		transaction = transaction->next;
	return transaction;
}

static void
leave_chain(struct transaction *transaction)
{
	struct transaction **place;

	place = chain_of(transaction->intake, transaction->id);
	while (*place != transaction)
		place = &(*place)->next;
	*place = transaction->next;
}

/* It may wait for a pipe; that queue is short. */
static void
leave_waiting(struct transaction *transaction)
{
	struct intake *intake = transaction->intake;
	struct transaction **place = &intake->first_waiting;

	while (*place != NULL && *place != transaction)
		place = &(*place)->next_waiting;
	if (*place == NULL)
		return;
	*place = transaction->next_waiting;
	if (*place == NULL)
		intake->last_waiting = place;
}

static void
close_pipe(struct transaction *transaction)
{
	watch_free(&transaction->watch);
	if (transaction->pipe != -1)
		close(transaction->pipe);
	transaction->pipe = -1;
	transaction->full = false;
	buffer_free(&transaction->held);
}

/* Queue knows it no more. */
static void
forget(struct transaction *transaction)
{
	if (!transaction->known)
		return;
	transaction->known = false;
	leave_chain(transaction);
	leave_waiting(transaction);
	close_pipe(transaction);
	if (transaction->counted)
		transaction->intake->data_n--;
	transaction->counted = false;
}

static void
refuse(struct transaction *transaction, unsigned code, const char *text)
{
	struct intake *intake = transaction->intake;

	forget(transaction);
	transaction->refusal.code = code;
	if (!slice_store(slice_of(text), transaction->refusal.text,
	    sizeof(transaction->refusal.text)))
		bug("refusal of %zu octets", strlen(text));
	intake->calls->refused(transaction->session);
}

/*
 * Give the next a pipe and ask for its 354.  The pipe's other end is not
 * ours from then on.
 */
static void
start(struct transaction *transaction)
{
	struct q_data data = { .id = transaction->id };
	int ends[2];

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) == -1) {
		log_line(LOG_LEVEL_ERROR, "no pipe for a message: %s",
		    strerror(errno));
		link_send(transaction->intake->link, Q_ABORT,
		    &(struct q_id){ transaction->id }, NULL);
		refuse(transaction, 451, "4.3.0 try again later");
		return;
	}
	transaction->pipe = ends[1];
	transaction->counted = true;
	transaction->intake->data_n++;
	link_send(transaction->intake->link, Q_DATA, &data, &ends[0]);
}

static void
start_waiting(struct intake *intake)
{
	struct transaction *transaction;

	while (intake->first_waiting != NULL && intake->link != NULL &&
	    intake->data_n < INTAKE_DATA_MAX) {
		transaction = intake->first_waiting;
		leave_waiting(transaction);
		start(transaction);
	}
}

static void
drop_all(struct intake *intake)
{
	size_t i;

	for (i = 0; i < CHAINS; i++)
		while (intake->chains[i] != NULL)
			refuse(intake->chains[i], 451,
			    "4.3.0 mail system was interrupted, try again");
}

void
intake_link(struct intake *intake, int fd)
{
	if (intake->link != NULL) {
		link_close(&intake->link);
		drop_all(intake);
	}
	intake->link = link_new(intake->loop, fd, &intake_wire, &link_calls,
	    intake);
	intake->calls->drained(intake->context);
}

static void
on_closed(void *context, struct link *link)
{
	struct intake *intake = context;

	(void)link;
	intake->link = NULL;
	drop_all(intake);
	intake->calls->drained(intake->context);
}

static void
on_drained(void *context, struct link *link)
{
	struct intake *intake = context;

	(void)link;
	intake->calls->drained(intake->context);
}

static void
on_rcpt_answer(struct intake *intake, const struct q_rcpt_answer *answer)
{
	struct transaction *transaction = find(intake, answer->id);

	if (transaction != NULL)
		intake->calls->rcpt_answer(transaction->session,
		    answer->number, answer->code, answer->text);
}

static void
on_taken(struct transaction *transaction)
{
	struct intake *intake = transaction->intake;

	forget(transaction);
	intake->calls->taken(transaction->session);
	start_waiting(intake);
}

/*
 * What queue says may cross an abort of ours: an id that is not known any
 * more is no fault.
 */
static void
on_message(void *context, struct link *link, unsigned kind,
    const void *message, int *fds)
{
	const struct q_refused *refused = message;
	const struct q_id *id = message;
	struct intake *intake = context;
	struct transaction *transaction;

	(void)link;
	(void)fds;
	switch (kind) {
	case Q_RCPT_ANSWER:
		on_rcpt_answer(intake, message);
		break;
	case Q_GO:
		transaction = find(intake, id->id);
		if (transaction != NULL && transaction->pipe != -1)
			intake->calls->go(transaction->session);
		break;
	case Q_TAKEN:
		transaction = find(intake, id->id);
		if (transaction != NULL && transaction->ended)
			on_taken(transaction);
		break;
	case Q_REFUSED:
		transaction = find(intake, refused->id);
		if (transaction != NULL) {
			refuse(transaction, refused->code, refused->text);
			start_waiting(intake);
		}
		break;
	}
}

struct transaction *
intake_open(struct intake *intake, struct q_open *open, void *session)
{
	struct transaction *transaction, **chain;

	transaction = mem_alloc(sizeof(*transaction));
	transaction->intake = intake;
	transaction->session = session;
	transaction->pipe = -1;
	transaction->sender = mem_copy(open->sender);
	do
		transaction->id = open->id = queue_id_new();
	while (find(intake, open->id) != NULL);
	chain = chain_of(intake, open->id);
	transaction->next = *chain;
	*chain = transaction;
	transaction->known = true;
	link_send(intake->link, Q_OPEN, open, NULL);
	return transaction;
}

void
intake_rcpt(struct transaction *transaction, const struct mailbox *recipient)
{
	struct q_rcpt rcpt = {
		.id = transaction->id, .number = transaction->asked++
	};

	if (!transaction->known)
		bug("a recipient for a transaction that queue does not know");
	mailbox_print(recipient, rcpt.recipient);
	link_send(transaction->intake->link, Q_RCPT, &rcpt, NULL);
}

void
intake_data(struct transaction *transaction)
{
	struct intake *intake = transaction->intake;

	if (!transaction->known)
		bug("data for a transaction that queue does not know");
	*intake->last_waiting = transaction;
	intake->last_waiting = &transaction->next_waiting;
	start_waiting(intake);
}

void
intake_prepend(struct transaction *transaction, struct slice text)
{
	buffer_add(&transaction->held, text);
	transaction->size_bytes += text.len;
}

/* Octets that the pipe did not take, of held and of runs, are held. */
static void
hold_rest(struct transaction *transaction, const struct iovec *runs,
    int runs_n, size_t written)
{
	struct buffer rest = { NULL, 0, 0 };
	int i;

	for (i = 0; i < runs_n; i++) {
		if (written >= runs[i].iov_len) {
			written -= runs[i].iov_len;
			continue;
		}
		buffer_add(&rest, (struct slice){
		    (const char *)runs[i].iov_base + written,
		    runs[i].iov_len - written });
		written = 0;
	}
	buffer_free(&transaction->held);
	transaction->held = rest;
}

/*
 * One writev of all runs, held octets being the first.  True when there is
 * nothing left to write: the pipe took all, or queue let it go and its word
 * why will follow.
 */
static bool
write_runs(struct transaction *transaction, const struct iovec *runs,
    int runs_n)
{
	ssize_t written;

	do
		written = writev(transaction->pipe, runs, runs_n);
	while (written == -1 && errno == EINTR);
	if (written == -1 && errno != EAGAIN) {
		close_pipe(transaction);
		return true;
	}
	hold_rest(transaction, runs, runs_n,
	    written > 0 ? (size_t)written : 0);
	return transaction->held.len == 0;
}

static void
end_if_whole(struct transaction *transaction)
{
	struct q_end end = {
		.id = transaction->id,
		.size_bytes = transaction->size_bytes,
		.eight_bit = transaction->data.eight_bit
	};

	if (!transaction->whole || transaction->full)
		return;
	close_pipe(transaction);
	strcpy(end.msgid, transaction->data.msgid);
	transaction->ended = true;
	link_send(transaction->intake->link, Q_END, &end, NULL);
}

static void
on_room(void *context, int what)
{
	struct transaction *transaction = context;
	struct iovec held = { transaction->held.text, transaction->held.len };

	(void)what;
	if (!write_runs(transaction, &held, 1))
		return;
	watch_free(&transaction->watch);
	transaction->full = false;
	end_if_whole(transaction);
	transaction->intake->calls->room(transaction->session);
}

void
intake_write(struct transaction *transaction, const struct iovec *runs,
    int runs_n)
{
	struct iovec all[INTAKE_RUNS_MAX + 1];
	int i, n = 0;

	if (transaction->full || runs_n > INTAKE_RUNS_MAX)
		bug("octets for a full pipe, or in %d runs", runs_n);
	for (i = 0; i < runs_n; i++)
		transaction->size_bytes += runs[i].iov_len;
	if (transaction->pipe == -1)	/* queue let it go */
		return;
	if (transaction->held.len > 0)
		all[n++] = (struct iovec){ transaction->held.text,
		    transaction->held.len };
	if (runs_n > 0)
		memcpy(all + n, runs, (size_t)runs_n * sizeof(*runs));
	n += runs_n;
	if (n == 0 || write_runs(transaction, all, n))
		return;
	transaction->full = true;
	transaction->watch = watch_new(transaction->intake->loop,
	    transaction->pipe, WATCH_WRITE, on_room, transaction);
}

void
intake_end(struct transaction *transaction)
{
	if (!transaction->known)
		bug("the end of a message that queue does not know");
	/* The text before an empty message is not written yet. */
	if (!transaction->full)
		intake_write(transaction, NULL, 0);
	transaction->whole = true;
	end_if_whole(transaction);
}

void
intake_drop(struct transaction *transaction)
{
	struct q_id id = { .id = transaction->id };
	struct intake *intake = transaction->intake;

	if (!transaction->known)
		return;
	forget(transaction);
	link_send(intake->link, Q_ABORT, &id, NULL);
	start_waiting(intake);
}

void
intake_abort(struct transaction **transaction)
{
	struct transaction *old = *transaction;

	*transaction = NULL;
	if (old == NULL)
		return;
	intake_drop(old);
	free(old->sender);
	free(old);
}
