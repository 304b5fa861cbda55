/*
 * How do octets of a connection become lines and replies become octets?
 *
 * Called by the loop (readable, writable, timer) and by server.c at the end
 * of each turn.  Replies of a turn go out in one write; a session whose
 * client does not read, or that waits for queue, is not read from.
 *
 * A connection is read into one block that all sessions share: a session
 * that waits for its client's next command holds no buffer at all.
 *
 * Nothing but visitor_serve frees a visitor, so that everybody may go on
 * using one for the rest of the turn.  A client that speaks before it is
 * asked is served: what it sends waits in the socket (EXT-2920-3.2-7).
 */
#include "smtpd/visitor.h"

#include "conf/log.h"
#include "smtpd/command.h"
#include "smtpd/dialogue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* SMTP-4.5.3.2.7-1 RFC 5321 4.5.3.2.7 */
#define TIMEOUT_MS	(5 * 60 * 1000)
/* Read and forget so much before a close that is not the client's wish. */
#define DRAIN_READS	16

static void	on_ready(void *context, int what);
static void	on_timer(void *context);

struct visitor *
visitor_open(struct server *server, int fd, const struct visitor *who)
{
	struct visitor *visitor;

	visitor = mem_alloc(sizeof(*visitor));
	visitor->server = server;
	visitor->fd = fd;
	visitor->local = who->local;
	visitor->uid = who->uid;
	visitor->address = who->address;
	visitor->client = who->client;
	visitor->may_relay = who->may_relay;
	visitor->next = server->visitors;
	visitor->place = &server->visitors;
	if (visitor->next != NULL)
		visitor->next->place = &visitor->next;
	server->visitors = visitor;
	visitor->watch = watch_new(server->loop, fd, WATCH_READ, on_ready,
	    visitor);
	visitor->timer = timer_new(server->loop, on_timer, visitor);
	timer_set(visitor->timer, TIMEOUT_MS);
	dialogue_greet(visitor);
	return visitor;
}

static void
drop_slots(struct visitor *visitor)
{
	for (; visitor_awaits(visitor); visitor->slots_first++)
		free(visitor->slots[visitor->slots_first].text);
	visitor->slots_first = visitor->slots_n = 0;
}

void
visitor_free(struct visitor *visitor)
{
	*visitor->place = visitor->next;
	if (visitor->next != NULL)
		visitor->next->place = visitor->place;
	server_forget(visitor->server, visitor);
	transaction_abort(&visitor->transaction);	/* SMTP-4.1.1.10-1 */
	watch_free(&visitor->watch);
	timer_free(&visitor->timer);
	close(visitor->fd);
	drop_slots(visitor);
	free(visitor->slots);
	buffer_free(&visitor->held);
	buffer_free(&visitor->out);
	free(visitor->hello);
	free(visitor);
}

void
visitor_touch(struct visitor *visitor)
{
	if (!visitor->dirty)
		server_touch(visitor->server, visitor);
	visitor->dirty = true;
}

/* The client has TIMEOUT_MS again. */
static void
set_deadline(struct visitor *visitor)
{
	visitor->deadline_ms = loop_now_ms() + TIMEOUT_MS;
	visitor->progress_bytes = 0;
}

bool
visitor_awaits(const struct visitor *visitor)
{
	return visitor->slots_first < visitor->slots_n;
}

static struct visitor_slot *
add_slot(struct visitor *visitor)
{
	if (visitor->slots == NULL)
		visitor->slots = mem_alloc(VISITOR_SLOTS_MAX *
		    sizeof(*visitor->slots));
	if (visitor->slots_n == VISITOR_SLOTS_MAX)
		bug("more than %u replies wait", VISITOR_SLOTS_MAX);
	memset(&visitor->slots[visitor->slots_n], 0,
	    sizeof(*visitor->slots));
	return &visitor->slots[visitor->slots_n++];
}

void
visitor_reply(struct visitor *visitor, unsigned code, const char *text)
{
	visitor->urgent = true;		/* EXT-2920-3.2-4 */
	visitor_reply_in_group(visitor, code, text);
}

void
visitor_reply_in_group(struct visitor *visitor, unsigned code,
    const char *text)
{
	struct visitor_slot *slot;

	set_deadline(visitor);
	visitor_touch(visitor);
	if (!visitor_awaits(visitor)) {
		answer_print(&visitor->out, code, text);
		return;
	}
	slot = add_slot(visitor);
	slot->done = true;
	slot->code = code;
	slot->text = mem_copy(text);
}

void
visitor_expect(struct visitor *visitor, uint32_t number)
{
	add_slot(visitor)->number = number;
}

/* Replies whose turn has come. */
static void
print_done(struct visitor *visitor)
{
	struct visitor_slot *slot;

	while (visitor_awaits(visitor)) {
		slot = &visitor->slots[visitor->slots_first];
		if (!slot->done)
			return;
		answer_print(&visitor->out, slot->code, slot->text);
		free(slot->text);
		visitor->slots_first++;
	}
	visitor->slots_first = visitor->slots_n = 0;
}

void
visitor_answer(struct visitor *visitor, uint32_t number, unsigned code,
    const char *text)
{
	struct visitor_slot *slot;
	unsigned i;

	for (i = visitor->slots_first; i < visitor->slots_n; i++) {
		slot = &visitor->slots[i];
		if (slot->done || slot->number != number)
			continue;
		slot->done = true;
		slot->code = code;
		slot->text = mem_copy(text);
		break;
	}
	set_deadline(visitor);
	print_done(visitor);
	visitor_touch(visitor);
}

/* Is it us, not the client, who is waited for? */
static bool
waits_for_queue(const struct visitor *visitor)
{
	return visitor->phase == VISITOR_GO ||
	    visitor->phase == VISITOR_TAKEN || visitor_awaits(visitor) ||
	    transactions_is_full(visitor->server->transactions) ||
	    (visitor->transaction != NULL && visitor->transaction->full);
}

/* May what came be used now? */
static bool
is_ready(const struct visitor *visitor)
{
	if (visitor->closing || visitor->gone || visitor->clogged)
		return false;
	/* RCPTs may follow an RCPT whose answer is awaited. */
	if (visitor->phase == VISITOR_COMMAND)
		return !visitor->blocked &&
		    !transactions_is_full(visitor->server->transactions);
	return !waits_for_queue(visitor);
}

void
visitor_close(struct visitor *visitor, unsigned code, const char *text)
{
	drop_slots(visitor);
	visitor_reply(visitor, code, text);
	visitor->closing = true;
}

/* The first CRLF of input, or NULL.  SMTP-2.3.8-1: LF alone ends no line. */
static const char *
find_crlf(struct slice input)
{
	const char *at = input.at, *end = input.at + input.len, *lf;

	while ((lf = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		if (lf > input.at && lf[-1] == '\r')
			return lf - 1;
		at = lf + 1;
	}
	return NULL;
}

static void
advance(struct slice *cursor, size_t octets)
{
	cursor->at += octets;
	cursor->len -= octets;
}

/* SMTP-4.5.3.1.4-1 RFC 5321 4.5.3.1.4, and what extensions add */
static size_t
line_limit(struct slice input)
{
	if (slice_begins_nocase(input, SLICE("MAIL")))
		return COMMAND_MAIL_LINE_MAX;
	return slice_begins_nocase(input, SLICE("RCPT")) ?
	    COMMAND_RCPT_LINE_MAX : COMMAND_LINE_MAX;
}

/*
 * A line that has not ended: wait for more, or, when it is too long already,
 * drop it as it comes, all but a CR that may be half of its end.
 */
static bool
take_part(struct visitor *visitor, struct slice *input)
{
	if (!visitor->overlong && input->len < line_limit(*input))
		return false;
	visitor->overlong = true;
	advance(input, input->len - (input->at[input->len - 1] == '\r'));
	return false;
}

/*
 * Take one command line from input.  False: there is none, or it has to wait
 * (blocked).
 */
static bool
take_line(struct visitor *visitor, struct slice *input)
{
	const char *crlf = find_crlf(*input);
	struct slice line = *input;

	if (crlf == NULL)
		return take_part(visitor, input);
	line.len = (size_t)(crlf - input->at);
	if (visitor->overlong || line.len + 2 > line_limit(line)) {
		visitor->blocked = visitor_awaits(visitor);
		if (visitor->blocked)
			return false;
		visitor->overlong = false;
		dialogue_long_line(visitor);
	} else {
		visitor->blocked = !dialogue_line(visitor, line);
		if (visitor->blocked)
			return false;
	}
	advance(input, line.len + 2);
	return true;
}

/* In DATA the client has time again for each KiB that came. */
static void
take_data(struct visitor *visitor, struct slice *input)
{
	size_t before = input->len;

	dialogue_data(visitor, input);
	visitor->progress_bytes += before - input->len;
	if (visitor->progress_bytes >= 1024)
		set_deadline(visitor);
}

/* Use what can be used; returns how many octets were. */
static size_t
use(struct visitor *visitor, struct slice input)
{
	size_t all = input.len;

	while (input.len > 0 && is_ready(visitor)) {
		if (visitor->phase == VISITOR_DATA)
			take_data(visitor, &input);
		else if (!take_line(visitor, &input))
			break;
	}
	return all - input.len;
}

/* Keep octets of the shared block for later. */
static void
hold(struct visitor *visitor, struct slice rest)
{
	buffer_free(&visitor->held);
	if (rest.len > 0)
		buffer_add(&visitor->held, rest);
}

static void
use_held(struct visitor *visitor)
{
	struct slice input = { visitor->held.text, visitor->held.len };
	struct buffer rest = { NULL, 0, 0 };
	size_t used;

	visitor->blocked = false;
	used = use(visitor, input);
	if (used == 0)
		return;
	if (used < input.len)
		buffer_add(&rest, (struct slice){ input.at + used,
		    input.len - used });
	buffer_free(&visitor->held);
	visitor->held = rest;
}

/*
 * Read a block behind what is held.  What is held of a ready session is less
 * than a line.
 */
static void
read_block(struct visitor *visitor)
{
	struct slice input = { visitor->server->block, visitor->held.len };
	ssize_t n;

	if (visitor->held.len > SERVER_BLOCK)
		bug("%zu octets held of a session that is read from",
		    visitor->held.len);
	n = recv(visitor->fd, visitor->server->block + input.len,
	    SERVER_BLOCK, MSG_DONTWAIT);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		visitor->gone = true;
		visitor_touch(visitor);
		return;
	}
	if (input.len > 0)
		memcpy(visitor->server->block, visitor->held.text, input.len);
	input.len += (size_t)n;
	advance(&input, use(visitor, input));
	hold(visitor, input);
}

static void
watch_what_is_needed(struct visitor *visitor)
{
	watch_set(visitor->watch, (visitor->paused ? 0 : WATCH_READ) |
	    (visitor->clogged ? WATCH_WRITE : 0));
}

/*
 * Reading stops when octets come that cannot be used, not before: mostly the
 * wait is over first, and the two system calls are saved.
 */
static void
on_ready(void *context, int what)
{
	struct visitor *visitor = context;

	if (what & WATCH_WRITE)
		visitor_touch(visitor);
	if (!(what & WATCH_READ))
		return;
	if (!is_ready(visitor) || visitor->held.len >= SERVER_BLOCK) {
		visitor->paused = true;
		watch_what_is_needed(visitor);
		return;
	}
	read_block(visitor);
}

static void
on_timer(void *context)
{
	struct visitor *visitor = context;
	int64_t now_ms = loop_now_ms();

	if (!visitor->clogged && waits_for_queue(visitor))
		set_deadline(visitor);
	if (now_ms < visitor->deadline_ms) {
		timer_set(visitor->timer, visitor->deadline_ms - now_ms);
		return;
	}
	/* Once said and still not sent: nobody is there to hear it. */
	if (visitor->closing || visitor->clogged)
		visitor->gone = true;
	else
		dialogue_timeout(visitor);
	timer_set(visitor->timer, TIMEOUT_MS);
	visitor_touch(visitor);
}

/* EXT-2920-3.2-5 RFC 2920 3.2: all that is said so far, in one write */
static void
write_out(struct visitor *visitor)
{
	ssize_t n = 0;

	if (visitor->out.len > visitor->out_sent)
		n = send(visitor->fd, visitor->out.text + visitor->out_sent,
		    visitor->out.len - visitor->out_sent,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n == -1 && errno != EAGAIN && errno != EINTR)
		visitor->gone = true;
	if (n > 0) {
		visitor->out_sent += (size_t)n;
		if (visitor->clogged)
			set_deadline(visitor);
	}
	visitor->clogged = visitor->out_sent < visitor->out.len;
	if (visitor->clogged)
		return;
	visitor->out_sent = 0;
	visitor->urgent = false;
	/* A session at rest holds no buffer. */
	if (visitor->out.len > 0)
		buffer_free(&visitor->out);
}

/*
 * What came and was not read would make the kernel reset the connection, and
 * the client lose our last words.
 */
static void
drain(struct visitor *visitor)
{
	int i;

	for (i = 0; i < DRAIN_READS; i++)
		if (recv(visitor->fd, visitor->server->block, SERVER_BLOCK,
		    MSG_DONTWAIT) <= 0)
			return;
}

void
visitor_serve(struct visitor *visitor)
{
	if (visitor->clogged)
		write_out(visitor);
	if (visitor->held.len > 0)
		use_held(visitor);
	visitor->blocked = visitor->blocked && visitor_awaits(visitor);
	/* What came is not used up: more replies will go with these. */
	if (!visitor->clogged && !visitor->gone &&
	    (visitor->urgent || !visitor->blocked))
		write_out(visitor);
	if (visitor->gone || (visitor->closing && !visitor->clogged)) {
		if (!visitor->gone)
			drain(visitor);
		visitor_free(visitor);
		return;
	}
	/* Not before: it must not be put on the list while it is served. */
	visitor->dirty = false;
	if (is_ready(visitor))
		visitor->paused = false;
	watch_what_is_needed(visitor);
}
