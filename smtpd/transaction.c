/*
 * How does a message get from a session into the queue?
 *
 * Called by dialogue.c; owns the link to queue and the write ends of the
 * pipes.  A transaction's life: opened, RCPTs asked and answered, waiting for
 * a place among those in DATA, waiting for Q_GO, in data, ended, taken;
 * refused or dropped from anywhere.  It knows no SMTP.
 *
 * Most messages are small and go to queue in one piece, without a pipe: making
 * one, passing it on and reading it cost more than the octets.
 *
 * The link's death is no fact about a client: what was under way is refused
 * for now (451) and sessions go on with the next link.
 */
#include "smtpd/transaction.h"

#include "conf/log.h"
#include "conf/parent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHAINS	1024u

struct transactions {
	struct loop			*loop;
	const struct transaction_calls	*calls;
	void				*context;
	struct link			*link;		/* NULL: none */
	struct transaction		*chains[CHAINS];	/* known ones */
	struct transaction		*first_waiting, **last_waiting;
	unsigned			 data_n;	/* in DATA */
	struct q_whole			 whole;		/* room to build one in */
};

static void	on_message(void *context, struct link *link, unsigned kind,
		    const void *message, int *fds);
static void	on_closed(void *context, struct link *link);
static void	on_drained(void *context, struct link *link);

static const struct link_calls link_calls = {
	.message = on_message, .closed = on_closed, .drained = on_drained
};

struct transactions *
transactions_new(struct loop *loop, const struct transaction_calls *calls,
    void *context)
{
	struct transactions *all;

	all = mem_alloc(sizeof(*all));
	all->loop = loop;
	all->calls = calls;
	all->context = context;
	all->last_waiting = &all->first_waiting;
	return all;
}

void
transactions_free(struct transactions **all)
{
	if (*all == NULL)
		return;
	link_close(&(*all)->link);
	free(*all);
	*all = NULL;
}

bool
transactions_is_up(const struct transactions *all)
{
	return all->link != NULL;
}

bool
transactions_is_full(const struct transactions *all)
{
	return all->link != NULL && link_full(all->link);
}

/* The low bits of an id are random. */
static struct transaction **
chain_of(struct transactions *all, uint64_t id)
{
	return &all->chains[id % CHAINS];
}

static struct transaction *
find(struct transactions *all, uint64_t id)
{
	struct transaction *transaction = *chain_of(all, id);

	while (transaction != NULL && transaction->id != id)
		transaction = transaction->next;
	return transaction;
}

static void
leave_chain(struct transaction *transaction)
{
	struct transaction **place;

	place = chain_of(transaction->all, transaction->id);
	while (*place != transaction)
		place = &(*place)->next;
	*place = transaction->next;
}

/* It may wait for a place; that queue is short. */
static void
leave_waiting(struct transaction *transaction)
{
	struct transactions *all = transaction->all;
	struct transaction **place = &all->first_waiting;

	while (*place != NULL && *place != transaction)
		place = &(*place)->next_waiting;
	if (*place == NULL)
		return;
	*place = transaction->next_waiting;
	transaction->next_waiting = NULL;
	if (*place == NULL)
		all->last_waiting = place;
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
		transaction->all->data_n--;
	transaction->counted = false;
}

static void
refuse(struct transaction *transaction, unsigned code, const char *text)
{
	struct transactions *all = transaction->all;

	forget(transaction);
	transaction->refusal.code = code;
	if (!slice_store(slice_of(text), transaction->refusal.text,
	    sizeof(transaction->refusal.text)))
		bug("refusal of %zu octets", strlen(text));
	all->calls->refused(transaction->visitor);
}

static void
start(struct transaction *transaction)
{
	struct q_id place = { .id = transaction->id };

	transaction->counted = true;
	transaction->all->data_n++;
	link_send(transaction->all->link, Q_PLACE, &place, NULL);
}

static void
start_waiting(struct transactions *all)
{
	struct transaction *transaction;

	while (all->first_waiting != NULL && all->link != NULL &&
	    all->data_n < TRANSACTION_DATA_MAX) {
		transaction = all->first_waiting;
		leave_waiting(transaction);
		start(transaction);
	}
}

static void
drop_all(struct transactions *all)
{
	size_t i;

	for (i = 0; i < CHAINS; i++)
		while (all->chains[i] != NULL)
			refuse(all->chains[i], 451,
			    "4.3.0 mail system was interrupted, try again");
}

void
transactions_link(struct transactions *all, int fd)
{
	if (all->link != NULL) {
		link_close(&all->link);
		drop_all(all);
	}
	all->link = link_new(all->loop, fd, &intake_wire, &link_calls,
	    all);
	link_gather(all->link);
	all->calls->drained(all->context);
}

static void
on_closed(void *context, struct link *link)
{
	struct transactions *all = context;

	(void)link;
	all->link = NULL;
	drop_all(all);
	all->calls->drained(all->context);
	parent_need(PROGRAM_QUEUE);
}

static void
on_drained(void *context, struct link *link)
{
	struct transactions *all = context;

	(void)link;
	all->calls->drained(all->context);
}

static void
on_rcpt_answer(struct transactions *all,
    const struct q_rcpt_answer *answer)
{
	struct transaction *transaction = find(all, answer->id);

	if (transaction != NULL)
		all->calls->rcpt_answer(transaction->visitor,
		    answer->number, answer->code, answer->text);
}

static void
on_taken(struct transaction *transaction)
{
	struct transactions *all = transaction->all;

	forget(transaction);
	all->calls->taken(transaction->visitor);
	start_waiting(all);
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
	struct transactions *all = context;
	struct transaction *transaction;

	(void)link;
	(void)fds;
	switch (kind) {
	case Q_RCPT_ANSWER:
		on_rcpt_answer(all, message);
		break;
	case Q_GO:
		transaction = find(all, id->id);
		if (transaction == NULL || !transaction->counted)
			break;
		transaction->went = true;
		all->calls->go(transaction->visitor);
		break;
	case Q_TAKEN:
		transaction = find(all, id->id);
		if (transaction != NULL && transaction->ended)
			on_taken(transaction);
		break;
	case Q_REFUSED:
		transaction = find(all, refused->id);
		if (transaction != NULL) {
			refuse(transaction, refused->code, refused->text);
			start_waiting(all);
		}
		break;
	}
}

struct transaction *
transaction_open(struct transactions *all, struct q_open *open,
    void *visitor)
{
	struct transaction *transaction, **chain;

	transaction = mem_alloc(sizeof(*transaction));
	transaction->all = all;
	transaction->visitor = visitor;
	transaction->pipe = -1;
	transaction->sender = mem_copy(open->sender);
	transaction->announced = open->size_bytes;
	transaction->requiretls = open->class == CLASS_REQUIRETLS;
	do
		transaction->id = open->id = queue_id_new();
	while (find(all, open->id) != NULL);
	chain = chain_of(all, open->id);
	transaction->next = *chain;
	*chain = transaction;
	transaction->known = true;
	link_send(all->link, Q_OPEN, open, NULL);
	return transaction;
}

void
transaction_rcpt(struct transaction *transaction,
    const struct mailbox *recipient, uint32_t notify, const char *orcpt)
{
	struct q_rcpt rcpt = {
		.id = transaction->id, .number = transaction->asked++,
		.notify = notify
	};

	if (!transaction->known)
		bug("a recipient for a transaction that queue does not know");
	mailbox_print(recipient, rcpt.recipient);
	if (!slice_store(slice_of(orcpt), rcpt.orcpt, sizeof(rcpt.orcpt)))
		bug("ORCPT of %zu octets", strlen(orcpt));
	link_send(transaction->all->link, Q_RCPT, &rcpt, NULL);
}

void
transaction_data_ahead(struct transaction *transaction)
{
	struct transactions *all = transaction->all;

	if (transaction->asked_place)
		return;
	if (!transaction->known)
		bug("data for a transaction that queue does not know");
	transaction->asked_place = true;
	*all->last_waiting = transaction;
	all->last_waiting = &transaction->next_waiting;
	start_waiting(all);
}

void
transaction_no_data(struct transaction *transaction)
{
	struct transactions *all = transaction->all;

	if (!transaction->asked_place)
		return;
	/* Queue ignored it too: it took no recipient either. */
	transaction->asked_place = false;
	leave_waiting(transaction);
	if (transaction->counted)
		all->data_n--;
	transaction->counted = false;
	start_waiting(all);
}

void
transaction_data(struct transaction *transaction)
{
	if (transaction->went)
		transaction->all->calls->go(transaction->visitor);
	else
		transaction_data_ahead(transaction);
}

void
transaction_prepend(struct transaction *transaction, struct slice text)
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

/*
 * May TLS be done without?  RTLS-4.1-2 RFC 8689 4.1: as the header says, and
 * RTLS-4.1-3: where REQUIRETLS was not given.
 */
static bool
is_tls_optional(const struct transaction *transaction)
{
	return !transaction->requiretls &&
	    required_is_no(&transaction->required);
}

static void
send_end(struct transaction *transaction)
{
	struct q_end end = {
		.id = transaction->id,
		.size_bytes = transaction->size_bytes,
		.eight_bit = transaction->data.eight_bit,
		.tls_optional = is_tls_optional(transaction)
	};

	strcpy(end.msgid, transaction->data.msgid);
	link_send(transaction->all->link, Q_END, &end, NULL);
}

/* Its octets are those that are held. */
static void
send_whole(struct transaction *transaction)
{
	struct q_whole *whole = &transaction->all->whole;

	whole->id = transaction->id;
	whole->eight_bit = transaction->data.eight_bit;
	whole->tls_optional = is_tls_optional(transaction);
	strcpy(whole->msgid, transaction->data.msgid);
	whole->body_len = (uint32_t)transaction->held.len;
	if (whole->body_len > 0)
		memcpy(whole->body, transaction->held.text, whole->body_len);
	link_send(transaction->all->link, Q_WHOLE, whole, NULL);
}

static void
end_if_whole(struct transaction *transaction)
{
	if (!transaction->whole || transaction->full)
		return;
	transaction->ended = true;
	if (transaction->piped)
		send_end(transaction);
	else
		send_whole(transaction);
	close_pipe(transaction);
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
	transaction->all->calls->room(transaction->visitor);
}

/* May all that came be kept, until it goes in one piece? */
static bool
is_small(const struct transaction *transaction)
{
	return !transaction->piped &&
	    transaction->size_bytes <= SMALL_BODY_MAX &&
	    transaction->announced <= SMALL_BODY_MAX;
}

/* Give it a pipe.  The other end is not ours from then on. */
static void
open_pipe(struct transaction *transaction)
{
	struct q_data data = { .id = transaction->id };
	int ends[2];

	transaction->piped = true;
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) == -1) {
		log_line(LOG_LEVEL_ERROR, "no pipe for a message: %s",
		    strerror(errno));
		link_send(transaction->all->link, Q_ABORT,
		    &(struct q_id){ transaction->id }, NULL);
		refuse(transaction, 451, "4.3.0 try again later");
		return;
	}
	transaction->pipe = ends[1];
	link_send(transaction->all->link, Q_DATA, &data, &ends[0]);
}

static void
keep_runs(struct transaction *transaction, const struct iovec *runs,
    int runs_n)
{
	int i;

	for (i = 0; i < runs_n; i++)
		buffer_add(&transaction->held, (struct slice){
		    runs[i].iov_base, runs[i].iov_len });
}

void
transaction_write(struct transaction *transaction, const struct iovec *runs,
    int runs_n)
{
	struct iovec all[TRANSACTION_RUNS_MAX + 1];
	int i, n = 0;

	if (transaction->full || runs_n > TRANSACTION_RUNS_MAX)
		bug("octets for a full pipe, or in %d runs", runs_n);
	for (i = 0; i < runs_n; i++) {
		transaction->size_bytes += runs[i].iov_len;
		required_take(&transaction->required, (struct slice){
		    runs[i].iov_base, runs[i].iov_len });
	}
	if (is_small(transaction)) {
		keep_runs(transaction, runs, runs_n);
		return;
	}
	if (!transaction->piped)
		open_pipe(transaction);
	if (transaction->pipe == -1)	/* there is none, or queue let it go */
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
	transaction->watch = watch_new(transaction->all->loop,
	    transaction->pipe, WATCH_WRITE, on_room, transaction);
}

void
transaction_end(struct transaction *transaction)
{
	if (!transaction->known)
		bug("the end of a message that queue does not know");
	/* The text before an empty message is not written yet, where there is
	 * a pipe. */
	if (!transaction->full)
		transaction_write(transaction, NULL, 0);
	transaction->whole = true;
	end_if_whole(transaction);
}

void
transaction_drop(struct transaction *transaction)
{
	struct q_id id = { .id = transaction->id };
	struct transactions *all = transaction->all;

	if (!transaction->known)
		return;
	forget(transaction);
	link_send(all->link, Q_ABORT, &id, NULL);
	start_waiting(all);
}

void
transaction_abort(struct transaction **transaction)
{
	struct transaction *old = *transaction;

	*transaction = NULL;
	if (old == NULL)
		return;
	transaction_drop(old);
	free(old->sender);
	free(old);
}
