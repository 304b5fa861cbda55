/*
 * What does a client say, and what do we answer?
 *
 * Called by visitor.c for each command line and each block of a message, and
 * by transaction.c with what queue answers.  Here RFC 5321's state machine is
 * held: greeted or not, with a transaction or not, and the phases of
 * visitor.h.  Judging is done elsewhere: lines by command.c, addresses by
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
our_name(const struct visitor *visitor, char text[DOMAIN_TEXT_MAX])
{
	const char *name = server_name(visitor->server);
	struct sockaddr_storage socket;
	socklen_t len = sizeof(socket);
	struct address address;

	if (name[0] != '\0')
		return name;
	if (visitor->local || getsockname(visitor->fd,
	    (struct sockaddr *)&socket, &len) == -1 ||
	    !address_from_sockaddr((struct sockaddr *)&socket, &address, NULL))
		return "[127.0.0.1]";
	return trace_literal(&address, text);
}

/* The client as log lines name it. */
static const char *
client_name(const struct visitor *visitor, char text[ADDRESS_TEXT_MAX])
{
	return visitor->local ? "local" :
	    address_print(&visitor->address, text);
}

static const char *
protocol(const struct visitor *visitor)
{
	/* SMTP-4.4-5 RFC 3848 */
	return visitor->local ? "local" : visitor->extended ? "ESMTP" : "SMTP";
}

static void
log_connect(const struct visitor *visitor)
{
	char client[ADDRESS_TEXT_MAX];
	struct event event;

	if (log_level() < LOG_LEVEL_DEBUG)
		return;
	event_begin(&event, LOG_LEVEL_DEBUG, "connect");
	event_text(&event, "client", client_name(visitor, client));
	if (visitor->local)
		event_number(&event, "uid", visitor->uid);
	event_end(&event);
}

/* Something of a transaction was refused; to may be NULL. */
static void
log_reject(const struct visitor *visitor, const char *from, const char *to,
    unsigned code, const char *text)
{
	char client[ADDRESS_TEXT_MAX];
	struct event event;

	event_begin(&event, LOG_LEVEL_INFO, "reject");
	event_text(&event, "client", client_name(visitor, client));
	event_text(&event, "helo", visitor->hello != NULL ?
	    visitor->hello->name : "");
	event_text(&event, "from", from);
	event_text(&event, "to", to);
	event_number(&event, "code", code);
	event_text(&event, "reply", text);
	event_end(&event);
}

static void
close_with(struct visitor *visitor, unsigned code, const char *text)
{
	transaction_abort(&visitor->transaction);
	visitor->phase = VISITOR_COMMAND;
	visitor_close(visitor, code, text);
}

/*
 * The reply to this command.  Those of a group may wait for each other.
 * EXT-2920-3.2-4 RFC 2920 3.2
 */
static void
reply_to(struct visitor *visitor, enum command_verb verb, unsigned code,
    const char *text)
{
	if (verb == COMMAND_MAIL || verb == COMMAND_RCPT ||
	    verb == COMMAND_RSET)
		visitor_reply_in_group(visitor, code, text);
	else
		visitor_reply(visitor, code, text);
}

/* A command that was none, or came where it may not. */
static void
reply_fault(struct visitor *visitor, enum command_verb verb, unsigned code,
    const char *text)
{
	reply_to(visitor, verb, code, text);
	if (++visitor->faults >= FAULTS_MAX)
		close_with(visitor, 421, "4.7.0 too many errors");
}

/* SMTP-3.3-8, SMTP-3.3-4, SMTP-4.1.4-3 RFC 5321 3.3, 4.1.4 */
static void
reply_sequence(struct visitor *visitor, enum command_verb verb,
    const char *text)
{
	reply_fault(visitor, verb, 503, text);
}

void
dialogue_greet(struct visitor *visitor)
{
	char name[DOMAIN_TEXT_MAX], text[DOMAIN_TEXT_MAX + 32];

	log_connect(visitor);
	/* SMTP-3.1-1 RFC 5321 3.1 */
	snprintf(text, sizeof(text), "%s ESMTP culver",
	    our_name(visitor, name));
	visitor_reply(visitor, 220, text);
}

void
dialogue_long_line(struct visitor *visitor)
{
	/* SMTP-4.5.3.1.4-1, SMTP-4.5.3.1.9-1 RFC 5321 4.5.3.1.9 */
	reply_fault(visitor, COMMAND_UNKNOWN, 500, "5.5.2 line too long");
}

/*
 * May this client say REQUIRETLS?  It needs TLS between us, or no wire, and a
 * way to keep the promise: where neither MTA-STS nor DANE is asked for,
 * nothing vouches for a host but a relay's name that the operator gave.
 * RTLS-8-1 RFC 8689 8, RTLS-3-5 RFC 8689 3
 */
static bool
offers_requiretls(const struct visitor *visitor)
{
	const struct config *config = visitor->server->config;

	return visitor->local && (config->relayhosts_n > 0 ||
	    config->mta_sts != CONFIG_STS_OFF ||
	    config->dane != CONFIG_DANE_OFF);
}

/* EHLO and HELO; SMTP-4.1.4-1 RFC 5321 4.1.4: any time, and like RSET */
static void
say_hello(struct visitor *visitor, const struct command *command)
{
	char name[DOMAIN_TEXT_MAX], text[DOMAIN_TEXT_MAX + 128];
	const char *us = our_name(visitor, name);

	transaction_abort(&visitor->transaction);
	if (visitor->hello == NULL)
		visitor->hello = mem_alloc(sizeof(*visitor->hello));
	*visitor->hello = command->name;
	visitor->extended = command->verb == COMMAND_EHLO;
	if (!visitor->extended) {	/* SMTP-3.2-1, SMTP-2.2.1-3 */
		visitor_reply(visitor, 250, us);
		return;
	}
	/* SMTP-2.2.1-1, SMTP-2.2.2-1, EXT-1870-3-1, EXT-6152-2-1,
	 * EXT-2034-4-1, DSN-3461-4-1, SUB-6409-7-2 */
	snprintf(text, sizeof(text), "%s\nPIPELINING\nSIZE %llu\n8BITMIME\n"
	    "ENHANCEDSTATUSCODES\nDSN%s", us, (unsigned long long)
	    visitor->server->config->max_message_size,
	    offers_requiretls(visitor) ? "\nREQUIRETLS" : "");
	visitor_reply(visitor, 250, text);
}

/*
 * What queue is told of a MAIL.  DSN-3461-5.1-1 RFC 3461 5.1: what was asked
 * for goes along, and is judged nowhere.
 */
static struct q_open
describe(const struct visitor *visitor, const struct command *command)
{
	struct q_open open = {
		.size_bytes = command->size_bytes,
		.body = command->body,
		.ret = command->ret,
		.class = command->requiretls ? CLASS_REQUIRETLS : CLASS_MAIL,
		.local = visitor->local,
		.uid = visitor->local ? visitor->uid : 0
	};

	mailbox_print(&command->mailbox, open.sender);
	memcpy(open.envid, command->envid, sizeof(open.envid));
	if (!visitor->local)
		address_print(&visitor->address, open.client);
	strcpy(open.proto, protocol(visitor));
	/* Neither is offered yet. */
	strcpy(open.tls, "none");
	strcpy(open.auth, "none");
	return open;
}

/* What is against a MAIL that is well-formed; completes its address. */
static struct answer
judge_mail(const struct visitor *visitor, struct command *command)
{
	const struct config *config = visitor->server->config;

	/* EXT-1870-6.1-1 RFC 1870 6.1 */
	if (command->size_bytes > config->max_message_size)
		return (struct answer){ 552, "5.3.4 message too large" };
	if (!transactions_is_up(visitor->server->transactions))
		return (struct answer){ 451,
		    "4.3.0 mail system is not ready, try again" };
	return access_sender(config, visitor->may_relay, &command->mailbox);
}

static void
begin_mail(struct visitor *visitor, struct command *command)
{
	char sender[MAILBOX_TEXT_MAX];
	struct answer answer;
	struct q_open open;

	if (visitor->hello == NULL) {
		reply_sequence(visitor, COMMAND_MAIL, "5.5.1 EHLO first");
		return;
	}
	if (visitor->transaction != NULL) {	/* SMTP-4.1.1.2-2 */
		reply_sequence(visitor, COMMAND_MAIL,
		    "5.5.1 a transaction is under way");
		return;
	}
	answer = judge_mail(visitor, command);
	if (answer.code != 0) {	/* SMTP-3.3-1 RFC 5321 3.3 */
		log_reject(visitor, mailbox_print(&command->mailbox, sender),
		    NULL, answer.code, answer.text);
		reply_to(visitor, COMMAND_MAIL, answer.code, answer.text);
		return;
	}
	open = describe(visitor, command);
	visitor->transaction = transaction_open(
	    visitor->server->transactions, &open, visitor);
	reply_to(visitor, COMMAND_MAIL, 250, "2.1.0 ok");
}

/* What is against an RCPT that is well-formed; replaces its address. */
static struct answer
judge_rcpt(const struct visitor *visitor, struct mailbox *recipient)
{
	const struct transaction *transaction = visitor->transaction;
	const struct config *config = visitor->server->config;

	if (transaction->refusal.code != 0)
		return (struct answer){ transaction->refusal.code,
		    transaction->refusal.text };
	/* SMTP-4.5.3.1.8-1, SMTP-4.5.3.1.8-2, SMTP-4.5.3.1.10-2 */
	if (transaction->asked - transaction->refused >=
	    config->max_recipients)
		return (struct answer){ 452, "4.5.3 too many recipients" };
	return access_recipient(config, visitor->may_relay, recipient);
}

/*
 * root-mail is an alias with one target: what was asked for about the
 * recipient goes on unchanged (DSN-3461-5.2.7-1 RFC 3461 5.2.7), and ORCPT
 * says whom the client meant where it did not (DSN-3461-5.2.1-3 5.2.1).
 */
static void
name_original(const struct config *config, const struct command *command,
    const struct mailbox *recipient, char orcpt[ORCPT_TEXT_MAX])
{
	struct buffer text = { NULL, 0, 0 };
	struct mailbox meant = command->mailbox;
	char address[MAILBOX_TEXT_MAX];

	memcpy(orcpt, command->orcpt, ORCPT_TEXT_MAX);
	if (meant.domain.name[0] == '\0')
		meant.domain = config->mail_domain;
	if (orcpt[0] != '\0' || (strcmp(meant.local, recipient->local) == 0 &&
	    domain_equal(&meant.domain, &recipient->domain)))
		return;
	buffer_add(&text, SLICE("rfc822;"));
	command_put_xtext(&text, mailbox_print(&meant, address));
	slice_store((struct slice){ text.text, text.len }, orcpt,
	    ORCPT_TEXT_MAX);
	buffer_free(&text);
}

static void
add_rcpt(struct visitor *visitor, const struct command *command)
{
	struct transaction *transaction = visitor->transaction;
	char orcpt[ORCPT_TEXT_MAX];
	struct mailbox recipient = command->mailbox;
	char to[MAILBOX_TEXT_MAX];
	struct answer answer;

	if (transaction == NULL) {
		reply_sequence(visitor, COMMAND_RCPT, "5.5.1 MAIL first");
		return;
	}
	answer = judge_rcpt(visitor, &recipient);
	if (answer.code != 0) {
		log_reject(visitor, transaction->sender,
		    mailbox_print(&command->mailbox, to), answer.code,
		    answer.text);
		reply_to(visitor, COMMAND_RCPT, answer.code, answer.text);
		return;
	}
	visitor_expect(visitor, transaction->asked);
	name_original(visitor->server->config, command, &recipient, orcpt);
	transaction_rcpt(transaction, &recipient, command->notify, orcpt);
}

/* SMTP-3.3-9, EXT-2920-3.2-2, EXT-2920-3.2-3 */
static void
begin_data(struct visitor *visitor)
{
	struct transaction *transaction = visitor->transaction;

	if (transaction == NULL) {
		reply_sequence(visitor, COMMAND_DATA, "5.5.1 MAIL first");
		return;
	}
	if (transaction->refusal.code != 0) {
		visitor_reply(visitor, transaction->refusal.code,
		    transaction->refusal.text);
		transaction_abort(&visitor->transaction);
		return;
	}
	if (transaction->accepted == 0) {
		transaction_no_data(transaction);
		reply_fault(visitor, COMMAND_DATA, 554,
		    "5.5.1 no valid recipient");
		return;
	}
	visitor->phase = VISITOR_GO;
	transaction_data(transaction);
}

static void
obey(struct visitor *visitor, struct command *command)
{
	switch (command->verb) {
	case COMMAND_EHLO:
	case COMMAND_HELO:
		say_hello(visitor, command);
		break;
	case COMMAND_MAIL:
		begin_mail(visitor, command);
		break;
	case COMMAND_RCPT:
		add_rcpt(visitor, command);
		break;
	case COMMAND_DATA:
		begin_data(visitor);
		break;
	case COMMAND_RSET:	/* SMTP-4.1.1.5-1 RFC 5321 4.1.1.5 */
		transaction_abort(&visitor->transaction);
		reply_to(visitor, COMMAND_RSET, 250, "2.0.0 ok");
		break;
	/* SMTP-4.1.4-5 RFC 5321 4.1.4: these need no EHLO */
	case COMMAND_NOOP:	/* SMTP-4.1.1.9-1 RFC 5321 4.1.1.9 */
		visitor_reply(visitor, 250, "2.0.0 ok");
		break;
	case COMMAND_VRFY:	/* SMTP-3.5.3-1, SMTP-3.5.3-2 */
		visitor_reply(visitor, 252, "2.0.0 send some mail and see");
		break;
	case COMMAND_HELP:	/* SMTP-4.1.1.8-1 RFC 5321 4.1.1.8 */
		visitor_reply(visitor, 214, "2.0.0 EHLO HELO MAIL RCPT DATA "
		    "RSET NOOP VRFY HELP QUIT");
		break;
	case COMMAND_QUIT:	/* SMTP-4.1.1.10-2 RFC 5321 4.1.1.10 */
		close_with(visitor, 221, "2.0.0 bye");
		break;
	case COMMAND_UNKNOWN:
	case COMMAND_UNBUILT:
		bug("command %d was not refused", command->verb);
	}
}

/*
 * A line that has to wait for queue's answers to RCPTs.  Where it is DATA
 * queue can be asked for its 354 together with them: one way there and back
 * for the whole group.
 */
static void
look_ahead(struct visitor *visitor, struct slice line)
{
	struct transaction *transaction = visitor->transaction;
	struct command command;

	if (command_verb(line) == COMMAND_DATA && transaction != NULL &&
	    transaction->known && command_parse(line, &command).code == 0)
		transaction_data_ahead(transaction);
}

/*
 * Only RCPT may be taken while queue's answer to another is awaited; there is
 * no more order to keep than that of the replies (EXT-2920-3.2-6).
 */
bool
dialogue_line(struct visitor *visitor, struct slice line)
{
	struct command command;
	struct answer answer;

	if (visitor_awaits(visitor) && (command_verb(line) != COMMAND_RCPT ||
	    visitor->slots_n == VISITOR_SLOTS_MAX)) {
		look_ahead(visitor, line);
		return false;
	}
	answer = command_parse_offered(line, offers_requiretls(visitor),
	    &command);
	if (answer.code != 0)
		reply_fault(visitor, command.verb, answer.code, answer.text);
	else
		obey(visitor, &command);
	return true;
}

/* The transaction is over, however it went; perhaps we are too. */
static void
finish(struct visitor *visitor)
{
	transaction_abort(&visitor->transaction);
	visitor->phase = VISITOR_COMMAND;
	if (visitor->server->stopping)
		close_with(visitor, 421, "4.3.2 shutting down");
}

static void
refuse_message(struct visitor *visitor, unsigned code, const char *text)
{
	log_reject(visitor, visitor->transaction->sender, NULL, code, text);
	visitor_reply(visitor, code, text);
	finish(visitor);
}

/* RTLS-4-4 RFC 8689 4: they count as none, and who wrote them may wonder. */
static void
log_several(const struct transaction *transaction)
{
	char id[ID_TEXT_MAX];

	log_line(LOG_LEVEL_INFO, "warning: %s has %u fields TLS-Required: "
	    "none of them counts (RFC 8689 4)",
	    queue_id_print(transaction->id, id),
	    transaction->required.fields);
}

/* The final dot.  SMTP-6.1-4 RFC 5321 6.1: nothing slow stands before it */
static void
end_data(struct visitor *visitor)
{
	struct transaction *transaction = visitor->transaction;
	struct answer answer;

	answer = data_refusal(&transaction->data,
	    visitor->server->config->max_message_size);
	if (answer.code != 0) {
		refuse_message(visitor, answer.code, answer.text);
		return;
	}
	if (transaction->refusal.code != 0) {
		refuse_message(visitor, transaction->refusal.code,
		    transaction->refusal.text);
		return;
	}
	if (transaction->required.fields > 1)
		log_several(transaction);
	visitor->phase = VISITOR_TAKEN;
	transaction_end(transaction);
}

void
dialogue_data(struct visitor *visitor, struct slice *input)
{
	struct transaction *transaction = visitor->transaction;
	struct data *data = &transaction->data;
	struct iovec runs[TRANSACTION_RUNS_MAX];
	struct slice run;
	int n = 0;

	while (input->len > 0 && data->state != DATA_ENDED &&
	    n < TRANSACTION_RUNS_MAX) {
		data_take(data, input, &run);
		if (run.len > 0)
			runs[n++] = (struct iovec){ (void *)(uintptr_t)run.at,
			    run.len };
	}
	/* What will be refused needs no room in the queue any more. */
	if (data_refusal(data,
	    visitor->server->config->max_message_size).code != 0)
		transaction_drop(transaction);
	if (transaction->known)
		transaction_write(transaction, runs, n);
	if (data->state == DATA_ENDED)
		end_data(visitor);
}

void
dialogue_timeout(struct visitor *visitor)
{
	close_with(visitor, 421, "4.4.2 nothing was heard for too long");
}

/*
 * SMTP-3.8-2 RFC 5321 3.8.  To wait for the end of a message makes sense as
 * long as there is a queue to take it.
 */
void
dialogue_stop(struct visitor *visitor, bool cut)
{
	if (visitor->closing || visitor->phase == VISITOR_TAKEN ||
	    (visitor->phase == VISITOR_DATA && !cut &&
	    transactions_is_up(visitor->server->transactions)))
		return;
	close_with(visitor, 421, "4.3.2 shutting down");
}

static void
on_rcpt_answer(void *context, uint32_t number, unsigned code,
    const char *text)
{
	struct visitor *visitor = context;
	struct transaction *transaction = visitor->transaction;

	if (code == 250) {
		transaction->accepted++;
	} else {
		transaction->refused++;
		log_reject(visitor, transaction->sender, NULL, code, text);
	}
	visitor_answer(visitor, number, code, text);
}

/* SMTP-4.1.1.4-4, SMTP-4.4-4 RFC 5321 4.4: Received goes on top */
static void
on_go(void *context)
{
	struct visitor *visitor = context;
	struct transaction *transaction = visitor->transaction;
	char name[DOMAIN_TEXT_MAX], id[ID_TEXT_MAX];
	struct trace trace = {
		.local = visitor->local, .uid = visitor->uid,
		.helo = visitor->hello->name, .client = visitor->address,
		.by = our_name(visitor, name), .proto = protocol(visitor),
		.id = queue_id_print(transaction->id, id),
		.wall_s = loop_wall_s()
	};
	struct buffer received = { NULL, 0, 0 };

	if (visitor->phase != VISITOR_GO)
		return;
	trace_received(&trace, &received);
	transaction_prepend(transaction, (struct slice){ received.text,
	    received.len });
	buffer_free(&received);
	data_begin(&transaction->data);
	visitor->phase = VISITOR_DATA;
	visitor_reply(visitor, 354, "end with CRLF.CRLF");
}

static void
on_room(void *context)
{
	visitor_touch(context);
}

static void
on_taken(void *context)
{
	struct visitor *visitor = context;
	char text[64], id[ID_TEXT_MAX];

	if (visitor->phase != VISITOR_TAKEN)
		return;
	snprintf(text, sizeof(text), "2.0.0 queued as %s",
	    queue_id_print(visitor->transaction->id, id));
	visitor->faults = 0;
	visitor_reply(visitor, 250, text);
	finish(visitor);
}

/* RCPTs that queue will not answer any more hear why. */
static void
answer_awaited(struct visitor *visitor)
{
	const struct transaction *transaction = visitor->transaction;
	unsigned i;

	for (i = visitor->slots_first; visitor_awaits(visitor) &&
	    i < visitor->slots_n; i++)
		if (!visitor->slots[i].done)
			visitor_answer(visitor, visitor->slots[i].number,
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
	struct visitor *visitor = context;
	const struct transaction *transaction = visitor->transaction;

	switch (visitor->phase) {
	case VISITOR_COMMAND:
		answer_awaited(visitor);
		break;
	case VISITOR_DATA:
		if (visitor->server->stopping &&
		    !transactions_is_up(visitor->server->transactions))
			close_with(visitor, 421, "4.3.0 shutting down");
		visitor_touch(visitor);
		break;
	case VISITOR_GO:
	case VISITOR_TAKEN:
		refuse_message(visitor, transaction->refusal.code,
		    transaction->refusal.text);
		break;
	}
}

/* The link to queue takes more again: sessions that waited for that go on. */
static void
on_drained(void *context)
{
	struct server *server = context;
	struct visitor *visitor;

	for (visitor = server->visitors; visitor != NULL;
	    visitor = visitor->next)
		visitor_touch(visitor);
}

const struct transaction_calls dialogue_calls = {
	.rcpt_answer = on_rcpt_answer, .go = on_go, .room = on_room,
	.taken = on_taken, .refused = on_refused, .drained = on_drained
};
