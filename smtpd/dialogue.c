/*
 * What does a client say, and what do we answer?
 *
 * Called by session.c for each command line and each block of a message, and
 * by intake.c with what queue answers.  Here RFC 5321's state machine is
 * held: greeted or not, with a transaction or not, and the phases of
 * session.h.  Judging is done elsewhere: lines by command.c, addresses by
 * access.c, octets by data.c.
 *
 * EXT-5248-2-1: codes are from the registry.  Every command gets exactly one
 * reply (SMTP-4.2-6), and one that fails leaves the state as it was
 * (SMTP-4.1.4-6).
 */
#include "smtpd/dialogue.h"

#include "conf/log.h"
#include "smtpd/access.h"
#include "smtpd/command.h"
#include "smtpd/trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* SMTP-3.8-1 RFC 5321 3.8: so much nonsense is taken before 421 */
#define FAULTS_MAX	20

/* The name we go by: the operator's, or the address that was connected to. */
static const char *
our_name(const struct session *session, char text[DOMAIN_TEXT_MAX])
{
	const char *name = server_name(session->server);
	struct sockaddr_storage socket;
	socklen_t len = sizeof(socket);
	struct address address;

	if (name[0] != '\0')
		return name;
	if (session->local || getsockname(session->fd,
	    (struct sockaddr *)&socket, &len) == -1 ||
	    !address_from_sockaddr((struct sockaddr *)&socket, &address, NULL))
		return "[127.0.0.1]";
	return trace_literal(&address, text);
}

/* The client as log lines name it. */
static const char *
client_name(const struct session *session, char text[ADDRESS_TEXT_MAX])
{
	return session->local ? "local" :
	    address_print(&session->address, text);
}

static const char *
protocol(const struct session *session)
{
	/* SMTP-4.4-5 RFC 3848 */
	return session->local ? "local" : session->extended ? "ESMTP" : "SMTP";
}

static void
log_connect(const struct session *session)
{
	char client[ADDRESS_TEXT_MAX];
	struct event event;

	if (log_level() < LOG_LEVEL_DEBUG)
		return;
	event_begin(&event, LOG_LEVEL_DEBUG, "connect");
	event_text(&event, "client", client_name(session, client));
	if (session->local)
		event_number(&event, "uid", session->uid);
	event_end(&event);
}

/* Something of a transaction was refused; to may be NULL. */
static void
log_reject(const struct session *session, const char *from, const char *to,
    unsigned code, const char *text)
{
	char client[ADDRESS_TEXT_MAX];
	struct event event;

	event_begin(&event, LOG_LEVEL_INFO, "reject");
	event_text(&event, "client", client_name(session, client));
	event_text(&event, "helo", session->hello != NULL ?
	    session->hello->name : "");
	event_text(&event, "from", from);
	event_text(&event, "to", to);
	event_number(&event, "code", code);
	event_text(&event, "reply", text);
	event_end(&event);
}

static void
log_accept(const struct session *session)
{
	const struct transaction *transaction = session->transaction;
	char client[ADDRESS_TEXT_MAX], id[ID_TEXT_MAX];
	struct event event;

	event_begin(&event, LOG_LEVEL_INFO, "accept");
	event_text(&event, "id", queue_id_print(transaction->id, id));
	event_text(&event, "from", transaction->sender);
	event_number(&event, "rcpts", transaction->accepted);
	event_number(&event, "size", (int64_t)transaction->size_bytes);
	event_text(&event, "msgid", transaction->data.msgid);
	event_text(&event, "client", client_name(session, client));
	event_text(&event, "proto", protocol(session));
	event_text(&event, "tls", "none");
	event_text(&event, "auth", "none");
	if (session->local)
		event_number(&event, "uid", session->uid);
	else
		event_text(&event, "uid", "none");
	event_end(&event);
}

static void
close_with(struct session *session, unsigned code, const char *text)
{
	intake_abort(&session->transaction);
	session->phase = SESSION_COMMAND;
	session_close(session, code, text);
}

/* A command that was none, or came where it may not. */
static void
reply_fault(struct session *session, unsigned code, const char *text)
{
	session_reply(session, code, text);
	if (++session->faults >= FAULTS_MAX)
		close_with(session, 421, "4.7.0 too many errors");
}

/* SMTP-3.3-8, SMTP-3.3-4, SMTP-4.1.4-3 RFC 5321 3.3, 4.1.4 */
static void
reply_sequence(struct session *session, const char *text)
{
	reply_fault(session, 503, text);
}

void
dialogue_greet(struct session *session)
{
	char name[DOMAIN_TEXT_MAX], text[DOMAIN_TEXT_MAX + 32];

	log_connect(session);
	/* SMTP-3.1-1 RFC 5321 3.1 */
	snprintf(text, sizeof(text), "%s ESMTP culver",
	    our_name(session, name));
	session_reply(session, 220, text);
}

void
dialogue_long_line(struct session *session)
{
	/* SMTP-4.5.3.1.4-1, SMTP-4.5.3.1.9-1 RFC 5321 4.5.3.1.9 */
	reply_fault(session, 500, "5.5.2 line too long");
}

/* EHLO and HELO; SMTP-4.1.4-1 RFC 5321 4.1.4: any time, and like RSET */
static void
say_hello(struct session *session, const struct command *command)
{
	char name[DOMAIN_TEXT_MAX], text[DOMAIN_TEXT_MAX + 128];
	const char *us = our_name(session, name);

	intake_abort(&session->transaction);
	if (session->hello == NULL)
		session->hello = mem_alloc(sizeof(*session->hello));
	*session->hello = command->name;
	session->extended = command->verb == COMMAND_EHLO;
	if (!session->extended) {	/* SMTP-3.2-1, SMTP-2.2.1-3 */
		session_reply(session, 250, us);
		return;
	}
	/* SMTP-2.2.1-1, SMTP-2.2.2-1, EXT-1870-3-1, EXT-6152-2-1,
	 * EXT-2034-4-1 */
	snprintf(text, sizeof(text), "%s\nPIPELINING\nSIZE %llu\n8BITMIME\n"
	    "ENHANCEDSTATUSCODES", us, (unsigned long long)
	    session->server->config->max_message_size);
	session_reply(session, 250, text);
}

/* What queue is told of a MAIL. */
static struct q_open
describe(const struct session *session, const struct command *command)
{
	struct q_open open = {
		.size_bytes = command->size_bytes,
		.body = command->body,
		.class = CLASS_MAIL,
		.local = session->local,
		.uid = session->local ? session->uid : 0
	};

	mailbox_print(&command->mailbox, open.sender);
	if (!session->local)
		address_print(&session->address, open.client);
	strcpy(open.proto, protocol(session));
	return open;
}

/* What is against a MAIL that is well-formed; completes its address. */
static struct answer
judge_mail(const struct session *session, struct command *command)
{
	const struct config *config = session->server->config;

	/* EXT-1870-6.1-1 RFC 1870 6.1 */
	if (command->size_bytes > config->max_message_size)
		return (struct answer){ 552, "5.3.4 message too large" };
	if (!intake_is_up(session->server->intake))
		return (struct answer){ 451,
		    "4.3.0 mail system is not ready, try again" };
	return access_sender(config, session->may_relay, &command->mailbox);
}

static void
begin_mail(struct session *session, struct command *command)
{
	char sender[MAILBOX_TEXT_MAX];
	struct answer answer;
	struct q_open open;

	if (session->hello == NULL) {
		reply_sequence(session, "5.5.1 EHLO first");
		return;
	}
	if (session->transaction != NULL) {	/* SMTP-4.1.1.2-2 */
		reply_sequence(session, "5.5.1 a transaction is under way");
		return;
	}
	answer = judge_mail(session, command);
	if (answer.code != 0) {	/* SMTP-3.3-1 RFC 5321 3.3 */
		log_reject(session, mailbox_print(&command->mailbox, sender),
		    NULL, answer.code, answer.text);
		session_reply(session, answer.code, answer.text);
		return;
	}
	open = describe(session, command);
	session->transaction = intake_open(session->server->intake, &open,
	    session);
	session_reply(session, 250, "2.1.0 ok");
}

/* What is against an RCPT that is well-formed; replaces its address. */
static struct answer
judge_rcpt(const struct session *session, struct mailbox *recipient)
{
	const struct transaction *transaction = session->transaction;
	const struct config *config = session->server->config;

	if (transaction->refusal.code != 0)
		return (struct answer){ transaction->refusal.code,
		    transaction->refusal.text };
	/* SMTP-4.5.3.1.8-1, SMTP-4.5.3.1.8-2, SMTP-4.5.3.1.10-2 */
	if (transaction->asked - transaction->refused >=
	    config->max_recipients)
		return (struct answer){ 452, "4.5.3 too many recipients" };
	return access_recipient(config, session->may_relay, recipient);
}

static void
add_rcpt(struct session *session, const struct command *command)
{
	struct transaction *transaction = session->transaction;
	struct mailbox recipient = command->mailbox;
	char to[MAILBOX_TEXT_MAX];
	struct answer answer;

	if (transaction == NULL) {
		reply_sequence(session, "5.5.1 MAIL first");
		return;
	}
	answer = judge_rcpt(session, &recipient);
	if (answer.code != 0) {
		log_reject(session, transaction->sender,
		    mailbox_print(&command->mailbox, to), answer.code,
		    answer.text);
		session_reply(session, answer.code, answer.text);
		return;
	}
	session_expect(session, transaction->asked);
	intake_rcpt(transaction, &recipient);
}

/* SMTP-3.3-9, EXT-2920-3.2-2, EXT-2920-3.2-3 */
static void
begin_data(struct session *session)
{
	struct transaction *transaction = session->transaction;

	if (transaction == NULL) {
		reply_sequence(session, "5.5.1 MAIL first");
		return;
	}
	if (transaction->refusal.code != 0) {
		session_reply(session, transaction->refusal.code,
		    transaction->refusal.text);
		intake_abort(&session->transaction);
		return;
	}
	if (transaction->accepted == 0) {
		reply_fault(session, 554, "5.5.1 no valid recipient");
		return;
	}
	session->phase = SESSION_GO;
	intake_data(transaction);
}

static void
obey(struct session *session, struct command *command)
{
	switch (command->verb) {
	case COMMAND_EHLO:
	case COMMAND_HELO:
		say_hello(session, command);
		break;
	case COMMAND_MAIL:
		begin_mail(session, command);
		break;
	case COMMAND_RCPT:
		add_rcpt(session, command);
		break;
	case COMMAND_DATA:
		begin_data(session);
		break;
	case COMMAND_RSET:	/* SMTP-4.1.1.5-1 RFC 5321 4.1.1.5 */
		intake_abort(&session->transaction);
		session_reply(session, 250, "2.0.0 ok");
		break;
	case COMMAND_NOOP:	/* SMTP-4.1.1.9-1 RFC 5321 4.1.1.9 */
		session_reply(session, 250, "2.0.0 ok");
		break;
	case COMMAND_VRFY:	/* SMTP-3.5.3-1, SMTP-3.5.3-2 */
		session_reply(session, 252, "2.0.0 send some mail and see");
		break;
	case COMMAND_HELP:	/* SMTP-4.1.1.8-1 RFC 5321 4.1.1.8 */
		session_reply(session, 214, "2.0.0 EHLO HELO MAIL RCPT DATA "
		    "RSET NOOP VRFY HELP QUIT");
		break;
	case COMMAND_QUIT:	/* SMTP-4.1.1.10-2 RFC 5321 4.1.1.10 */
		close_with(session, 221, "2.0.0 bye");
		break;
	case COMMAND_UNKNOWN:
	case COMMAND_UNBUILT:
		bug("command %d was not refused", command->verb);
	}
}

/*
 * Only RCPT may be taken while queue's answer to another is awaited; there is
 * no more order to keep than that of the replies (EXT-2920-3.2-6).
 */
bool
dialogue_line(struct session *session, struct slice line)
{
	struct command command;
	struct answer answer;

	if (session_awaits(session) && (command_verb(line) != COMMAND_RCPT ||
	    session->slots_n == SESSION_SLOTS_MAX))
		return false;
	answer = command_parse(line, &command);
	if (answer.code != 0)
		reply_fault(session, answer.code, answer.text);
	else
		obey(session, &command);
	return true;
}

/* The transaction is over, however it went; perhaps we are too. */
static void
finish(struct session *session)
{
	intake_abort(&session->transaction);
	session->phase = SESSION_COMMAND;
	if (session->server->stopping)
		close_with(session, 421, "4.3.2 shutting down");
}

static void
refuse_message(struct session *session, unsigned code, const char *text)
{
	log_reject(session, session->transaction->sender, NULL, code, text);
	session_reply(session, code, text);
	finish(session);
}

/* The final dot.  SMTP-6.1-4 RFC 5321 6.1: nothing slow stands before it */
static void
end_data(struct session *session)
{
	struct transaction *transaction = session->transaction;
	struct answer answer;

	answer = data_refusal(&transaction->data,
	    session->server->config->max_message_size);
	if (answer.code != 0) {
		refuse_message(session, answer.code, answer.text);
		return;
	}
	if (transaction->refusal.code != 0) {
		refuse_message(session, transaction->refusal.code,
		    transaction->refusal.text);
		return;
	}
	session->phase = SESSION_TAKEN;
	intake_end(transaction);
}

void
dialogue_data(struct session *session, struct slice *input)
{
	struct transaction *transaction = session->transaction;
	struct data *data = &transaction->data;
	struct iovec runs[INTAKE_RUNS_MAX];
	struct slice run;
	int n = 0;

	while (input->len > 0 && data->state != DATA_ENDED &&
	    n < INTAKE_RUNS_MAX) {
		data_take(data, input, &run);
		if (run.len > 0)
			runs[n++] = (struct iovec){ (void *)(uintptr_t)run.at,
			    run.len };
	}
	/* What will be refused needs no room in the queue any more. */
	if (data_refusal(data,
	    session->server->config->max_message_size).code != 0)
		intake_drop(transaction);
	if (transaction->known)
		intake_write(transaction, runs, n);
	if (data->state == DATA_ENDED)
		end_data(session);
}

void
dialogue_timeout(struct session *session)
{
	close_with(session, 421, "4.4.2 nothing was heard for too long");
}

/* SMTP-3.8-2 RFC 5321 3.8 */
void
dialogue_stop(struct session *session, bool cut)
{
	if (session->closing || session->phase == SESSION_TAKEN ||
	    (session->phase == SESSION_DATA && !cut))
		return;
	close_with(session, 421, "4.3.2 shutting down");
}

static void
on_rcpt_answer(void *context, uint32_t number, unsigned code,
    const char *text)
{
	struct session *session = context;
	struct transaction *transaction = session->transaction;

	if (code == 250) {
		transaction->accepted++;
	} else {
		transaction->refused++;
		log_reject(session, transaction->sender, NULL, code, text);
	}
	session_answer(session, number, code, text);
}

/* SMTP-4.1.1.4-4, SMTP-4.4-4 RFC 5321 4.4: Received goes on top */
static void
on_go(void *context)
{
	struct session *session = context;
	struct transaction *transaction = session->transaction;
	char name[DOMAIN_TEXT_MAX], id[ID_TEXT_MAX];
	struct trace trace = {
		.local = session->local, .uid = session->uid,
		.helo = session->hello->name, .client = session->address,
		.by = our_name(session, name), .proto = protocol(session),
		.id = queue_id_print(transaction->id, id),
		.wall_s = loop_wall_s()
	};
	struct buffer received = { NULL, 0, 0 };

	if (session->phase != SESSION_GO)
		return;
	trace_received(&trace, &received);
	intake_prepend(transaction, (struct slice){ received.text,
	    received.len });
	buffer_free(&received);
	data_begin(&transaction->data);
	session->phase = SESSION_DATA;
	session_reply(session, 354, "end with CRLF.CRLF");
}

static void
on_room(void *context)
{
	session_touch(context);
}

static void
on_taken(void *context)
{
	struct session *session = context;
	char text[64], id[ID_TEXT_MAX];

	if (session->phase != SESSION_TAKEN)
		return;
	snprintf(text, sizeof(text), "2.0.0 queued as %s",
	    queue_id_print(session->transaction->id, id));
	log_accept(session);
	session->faults = 0;
	session_reply(session, 250, text);
	finish(session);
}

/* RCPTs that queue will not answer any more hear why. */
static void
answer_awaited(struct session *session)
{
	const struct transaction *transaction = session->transaction;
	unsigned i;

	for (i = session->slots_first; session_awaits(session) &&
	    i < session->slots_n; i++)
		if (!session->slots[i].done)
			session_answer(session, session->slots[i].number,
			    transaction->refusal.code,
			    transaction->refusal.text);
}

/*
 * Queue refused the whole transaction, or is gone.  A message under way is
 * read to its end, and then refused; when we are stopping and nobody is left
 * to take it, at once.
 */
static void
on_refused(void *context)
{
	struct session *session = context;
	const struct transaction *transaction = session->transaction;

	switch (session->phase) {
	case SESSION_COMMAND:
		answer_awaited(session);
		break;
	case SESSION_DATA:
		if (session->server->stopping &&
		    !intake_is_up(session->server->intake))
			close_with(session, 421, "4.3.0 shutting down");
		session_touch(session);
		break;
	case SESSION_GO:
	case SESSION_TAKEN:
		refuse_message(session, transaction->refusal.code,
		    transaction->refusal.text);
		break;
	}
}

/* The link to queue takes more again: sessions that waited for that go on. */
static void
on_drained(void *context)
{
	struct server *server = context;
	struct session *session;

	for (session = server->sessions; session != NULL;
	    session = session->next)
		session_touch(session);
}

const struct intake_calls dialogue_intake_calls = {
	.rcpt_answer = on_rcpt_answer, .go = on_go, .room = on_room,
	.taken = on_taken, .refused = on_refused, .drained = on_drained
};
