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
 * Nothing but session_serve frees a session, so that everybody may go on
 * using one for the rest of the turn.  A client that speaks before it is
 * asked is served: what it sends waits in the socket (EXT-2920-3.2-7).
 */
#include "smtpd/session.h"

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

struct session *
session_open(struct server *server, int fd, const struct session *who)
{
	struct session *session;

	session = mem_alloc(sizeof(*session));
	session->server = server;
	session->fd = fd;
	session->local = who->local;
	session->uid = who->uid;
	session->address = who->address;
	session->client = who->client;
	session->may_relay = who->may_relay;
	session->next = server->sessions;
	session->place = &server->sessions;
	if (session->next != NULL)
		session->next->place = &session->next;
	server->sessions = session;
	session->watch = watch_new(server->loop, fd, WATCH_READ, on_ready,
	    session);
	session->timer = timer_new(server->loop, on_timer, session);
	timer_set(session->timer, TIMEOUT_MS);
	dialogue_greet(session);
	return session;
}

static void
drop_slots(struct session *session)
{
	for (; session_awaits(session); session->slots_first++)
		free(session->slots[session->slots_first].text);
	session->slots_first = session->slots_n = 0;
}

void
session_free(struct session *session)
{
	*session->place = session->next;
	if (session->next != NULL)
		session->next->place = session->place;
	server_forget(session->server, session);
	intake_abort(&session->transaction);	/* SMTP-4.1.1.10-1 */
	watch_free(&session->watch);
	timer_free(&session->timer);
	close(session->fd);
	drop_slots(session);
	free(session->slots);
	buffer_free(&session->held);
	buffer_free(&session->out);
	free(session->hello);
	free(session);
}

void
session_touch(struct session *session)
{
	if (!session->dirty)
		server_touch(session->server, session);
	session->dirty = true;
}

/* The client has TIMEOUT_MS again. */
static void
set_deadline(struct session *session)
{
	session->deadline_ms = loop_now_ms() + TIMEOUT_MS;
	session->progress_bytes = 0;
}

bool
session_awaits(const struct session *session)
{
	return session->slots_first < session->slots_n;
}

static struct session_slot *
add_slot(struct session *session)
{
	if (session->slots == NULL)
		session->slots = mem_alloc(SESSION_SLOTS_MAX *
		    sizeof(*session->slots));
	if (session->slots_n == SESSION_SLOTS_MAX)
		bug("more than %u replies wait", SESSION_SLOTS_MAX);
	memset(&session->slots[session->slots_n], 0,
	    sizeof(*session->slots));
	return &session->slots[session->slots_n++];
}

void
session_reply(struct session *session, unsigned code, const char *text)
{
	struct session_slot *slot;

	set_deadline(session);
	session_touch(session);
	if (!session_awaits(session)) {
		answer_print(&session->out, code, text);
		return;
	}
	slot = add_slot(session);
	slot->done = true;
	slot->code = code;
	slot->text = mem_copy(text);
}

void
session_expect(struct session *session, uint32_t number)
{
	add_slot(session)->number = number;
}

/* Replies whose turn has come. */
static void
print_done(struct session *session)
{
	struct session_slot *slot;

	while (session_awaits(session)) {
		slot = &session->slots[session->slots_first];
		if (!slot->done)
			return;
		answer_print(&session->out, slot->code, slot->text);
		free(slot->text);
		session->slots_first++;
	}
	session->slots_first = session->slots_n = 0;
}

void
session_answer(struct session *session, uint32_t number, unsigned code,
    const char *text)
{
	struct session_slot *slot;
	unsigned i;

	for (i = session->slots_first; i < session->slots_n; i++) {
		slot = &session->slots[i];
		if (slot->done || slot->number != number)
			continue;
		slot->done = true;
		slot->code = code;
		slot->text = mem_copy(text);
		break;
	}
	set_deadline(session);
	print_done(session);
	session_touch(session);
}

/* Is it us, not the client, who is waited for? */
static bool
waits_for_queue(const struct session *session)
{
	return session->phase == SESSION_GO ||
	    session->phase == SESSION_TAKEN || session_awaits(session) ||
	    intake_is_full(session->server->intake) ||
	    (session->transaction != NULL && session->transaction->full);
}

/* May what came be used now? */
static bool
is_ready(const struct session *session)
{
	if (session->closing || session->gone || session->clogged)
		return false;
	/* RCPTs may follow an RCPT whose answer is awaited. */
	if (session->phase == SESSION_COMMAND)
		return !session->blocked &&
		    !intake_is_full(session->server->intake);
	return !waits_for_queue(session);
}

void
session_close(struct session *session, unsigned code, const char *text)
{
	drop_slots(session);
	session_reply(session, code, text);
	session->closing = true;
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

/* SMTP-4.5.3.1.4-1 RFC 5321 4.5.3.1.4, and what SIZE and BODY add */
static size_t
line_limit(struct slice input)
{
	return slice_begins_nocase(input, SLICE("MAIL")) ?
	    COMMAND_MAIL_LINE_MAX : COMMAND_LINE_MAX;
}

/*
 * A line that has not ended: wait for more, or, when it is too long already,
 * drop it as it comes, all but a CR that may be half of its end.
 */
static bool
take_part(struct session *session, struct slice *input)
{
	if (!session->overlong && input->len < line_limit(*input))
		return false;
	session->overlong = true;
	advance(input, input->len - (input->at[input->len - 1] == '\r'));
	return false;
}

/*
 * Take one command line from input.  False: there is none, or it has to wait
 * (blocked).
 */
static bool
take_line(struct session *session, struct slice *input)
{
	const char *crlf = find_crlf(*input);
	struct slice line = *input;

	if (crlf == NULL)
		return take_part(session, input);
	line.len = (size_t)(crlf - input->at);
	if (session->overlong || line.len + 2 > line_limit(line)) {
		session->blocked = session_awaits(session);
		if (session->blocked)
			return false;
		session->overlong = false;
		dialogue_long_line(session);
	} else {
		session->blocked = !dialogue_line(session, line);
		if (session->blocked)
			return false;
	}
	advance(input, line.len + 2);
	return true;
}

/* In DATA the client has time again for each KiB that came. */
static void
take_data(struct session *session, struct slice *input)
{
	size_t before = input->len;

	dialogue_data(session, input);
	session->progress_bytes += before - input->len;
	if (session->progress_bytes >= 1024)
		set_deadline(session);
}

/* Use what can be used; returns how many octets were. */
static size_t
use(struct session *session, struct slice input)
{
	size_t all = input.len;

	while (input.len > 0 && is_ready(session)) {
		if (session->phase == SESSION_DATA)
			take_data(session, &input);
		else if (!take_line(session, &input))
			break;
	}
	return all - input.len;
}

/* Keep octets of the shared block for later.  They may be held already. */
static void
hold(struct session *session, struct slice rest)
{
	buffer_free(&session->held);
	if (rest.len > 0)
		buffer_add(&session->held, rest);
}

static void
use_held(struct session *session)
{
	struct slice input = { session->held.text, session->held.len };
	struct buffer rest = { NULL, 0, 0 };
	size_t used;

	session->blocked = false;
	used = use(session, input);
	if (used == 0)
		return;
	if (used < input.len)
		buffer_add(&rest, (struct slice){ input.at + used,
		    input.len - used });
	buffer_free(&session->held);
	session->held = rest;
}

/*
 * Read a block behind what is held.  What is held of a ready session is less
 * than a line.
 */
static void
read_block(struct session *session)
{
	struct slice input = { session->server->block, session->held.len };
	ssize_t n;

	if (session->held.len > SERVER_BLOCK)
		bug("%zu octets held of a session that is read from",
		    session->held.len);
	n = recv(session->fd, session->server->block + input.len,
	    SERVER_BLOCK, MSG_DONTWAIT);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		session->gone = true;
		session_touch(session);
		return;
	}
	if (input.len > 0)
		memcpy(session->server->block, session->held.text, input.len);
	input.len += (size_t)n;
	advance(&input, use(session, input));
	hold(session, input);
}

static void
watch_what_is_needed(struct session *session)
{
	watch_set(session->watch, (session->paused ? 0 : WATCH_READ) |
	    (session->clogged ? WATCH_WRITE : 0));
}

/*
 * Reading stops when octets come that cannot be used, not before: mostly the
 * wait is over first, and the two system calls are saved.
 */
static void
on_ready(void *context, int what)
{
	struct session *session = context;

	if (what & WATCH_WRITE)
		session_touch(session);
	if (!(what & WATCH_READ))
		return;
	if (!is_ready(session) || session->held.len >= SERVER_BLOCK) {
		session->paused = true;
		watch_what_is_needed(session);
		return;
	}
	read_block(session);
}

static void
on_timer(void *context)
{
	struct session *session = context;
	int64_t now_ms = loop_now_ms();

	if (!session->clogged && waits_for_queue(session))
		set_deadline(session);
	if (now_ms < session->deadline_ms) {
		timer_set(session->timer, session->deadline_ms - now_ms);
		return;
	}
	/* Once said and still not sent: nobody is there to hear it. */
	if (session->closing || session->clogged)
		session->gone = true;
	else
		dialogue_timeout(session);
	timer_set(session->timer, TIMEOUT_MS);
	session_touch(session);
}

/* EXT-2920-3.2-5 RFC 2920 3.2: all that is said so far, in one write */
static void
write_out(struct session *session)
{
	ssize_t n = 0;

	if (session->out.len > session->out_sent)
		n = send(session->fd, session->out.text + session->out_sent,
		    session->out.len - session->out_sent,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n == -1 && errno != EAGAIN && errno != EINTR)
		session->gone = true;
	if (n > 0) {
		session->out_sent += (size_t)n;
		if (session->clogged)
			set_deadline(session);
	}
	session->clogged = session->out_sent < session->out.len;
	if (session->clogged)
		return;
	session->out_sent = 0;
	/* A session at rest holds no buffer. */
	if (session->out.len > 0)
		buffer_free(&session->out);
}

/*
 * What came and was not read would make the kernel reset the connection, and
 * the client lose our last words.
 */
static void
drain(struct session *session)
{
	int i;

	for (i = 0; i < DRAIN_READS; i++)
		if (recv(session->fd, session->server->block, SERVER_BLOCK,
		    MSG_DONTWAIT) <= 0)
			return;
}

void
session_serve(struct session *session)
{
	session->dirty = false;
	if (session->clogged)
		write_out(session);
	if (session->held.len > 0)
		use_held(session);
	session->blocked = session->blocked && session_awaits(session);
	if (!session->clogged && !session->gone)
		write_out(session);
	if (session->gone || (session->closing && !session->clogged)) {
		if (!session->gone)
			drain(session);
		session_free(session);
		return;
	}
	if (is_ready(session))
		session->paused = false;
	watch_what_is_needed(session);
}
