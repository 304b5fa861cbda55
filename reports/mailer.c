/*
 * How does the mail of a report get into the queue, and what became of it?
 *
 * Called by trial.c.  A mail goes the way of smtpd's (queue.h):
 *
 *	opened	Q_OPEN and Q_RCPT are said, Q_RCPT_ANSWER is awaited
 *	data	Q_DATA is said: Q_GO, or Q_TAKEN for a key that is known
 *	going	the message goes into the pipe
 *	ended	Q_END is said, Q_TAKEN is awaited
 *
 * In each of them Q_REFUSED, the death of the link or the deadline may come.
 * Does not decide when, to whom or how often.
 */
#include "reports/mailer.h"

#include "conf/link.h"
#include "conf/log.h"
#include "conf/parent.h"
#include "reports/pour.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

enum mail_step { MAIL_OPENED, MAIL_DATA, MAIL_GOING, MAIL_ENDED };

struct mail {
	LIST_ENTRY(mail)	 mails;
	struct mailer		*mailer;
	enum mail_step		 step;
	uint64_t		 id;
	struct buffer		 message;
	mailer_call		*call;
	void			*context;
	struct timer		*timer;
	int			 pipe;		/* write end; -1: none */
	struct pour		*pour;
};

struct inquiry_by_key {
	TAILQ_ENTRY(inquiry_by_key) line;
	struct mailer		*mailer;
	struct timer		*timer;
	struct q_ask_key	 ask;
	mailer_key_call		*call;
	void			*context;
};

struct mailer {
	struct loop		*loop;
	struct link		*link;
	LIST_HEAD(, mail)	 mails;
	unsigned		 mails_n;
	TAILQ_HEAD(, inquiry_by_key) inquiries;
};

/* ---- mails ---- */

static void
mail_free(struct mail *mail)
{
	LIST_REMOVE(mail, mails);
	mail->mailer->mails_n--;
	pour_free(&mail->pour);
	if (mail->pipe != -1)
		close(mail->pipe);
	timer_free(&mail->timer);
	buffer_free(&mail->message);
	free(mail);
}

static void
mail_end(struct mail *mail, enum mailed mailed, uint32_t code,
    const char *text)
{
	mailer_call *call = mail->call;
	void *context = mail->context;

	mail_free(mail);
	call(context, mailed, code, text);
}

/* Only what was said to the end can have been taken. */
static void
mail_end_lost(struct mail *mail, const char *text)
{
	mail_end(mail, mail->step == MAIL_OPENED || mail->step == MAIL_GOING ?
	    MAILED_NOT : MAILED_UNKNOWN, 0, text);
}

static void
on_deadline(void *context)
{
	struct mail *mail = context;
	struct q_id abort = { .id = mail->id };

	log_line(LOG_LEVEL_ERROR, "queue does not answer about a report");
	if (mail->mailer->link != NULL)
		link_send(mail->mailer->link, Q_ABORT, &abort, NULL);
	mail_end_lost(mail, "no answer from our own queue");
}

/* Of the header; "" when there is none. */
static void
find_message_id(const struct buffer *message, char *id, size_t size)
{
	static const struct slice name = { "Message-ID:", 11 };
	struct slice rest = { message->text, message->len }, line;

	id[0] = '\0';
	while (rest.at != NULL) {
		line = slice_cut(&rest, '\n');
		if (line.len <= 1)
			return;
		if (!slice_begins_nocase(line, name))
			continue;
		line.at += name.len;
		line.len -= name.len + 1;	/* and CR */
		slice_store(slice_trim(line), id, size);
		return;
	}
}

static void
say_end(struct mail *mail)
{
	struct q_end end = { .id = mail->id,
	    .size_bytes = mail->message.len };

	find_message_id(&mail->message, end.msgid, sizeof(end.msgid));
	mail->step = MAIL_ENDED;
	link_send(mail->mailer->link, Q_END, &end, NULL);
}

/* A queue that closed the pipe says why, or is dead: both come by the link. */
static void
on_poured(void *context, bool whole)
{
	struct mail *mail = context;

	pour_free(&mail->pour);
	if (whole && mail->mailer->link != NULL)
		say_end(mail);
}

static void
on_go(struct mail *mail)
{
	if (mail->step != MAIL_DATA)
		return;
	mail->step = MAIL_GOING;
	mail->pour = pour_new(mail->mailer->loop, mail->pipe, (struct slice){
	    mail->message.text, mail->message.len }, on_poured, mail);
	mail->pipe = -1;
}

static void
on_rcpt_answer(struct mail *mail, const struct q_rcpt_answer *answer)
{
	struct q_id abort = { .id = mail->id };
	struct q_data data = { .id = mail->id };
	int ends[2];

	if (mail->step != MAIL_OPENED)
		return;
	if (answer->code != 250) {
		link_send(mail->mailer->link, Q_ABORT, &abort, NULL);
		mail_end(mail, MAILED_NOT, answer->code, answer->text);
		return;
	}
	pour_pipe(ends);
	mail->pipe = ends[1];
	mail->step = MAIL_DATA;
	link_send(mail->mailer->link, Q_DATA, &data, &ends[0]);
}

static void
say_open(const struct mail *mail, const char *key, const char *sender,
    const char *recipient)
{
	struct q_open open = { .id = mail->id, .class = CLASS_REPORT,
	    .body = BODY_7BIT, .size_bytes = mail->message.len,
	    .proto = "local", .tls = "none", .auth = "none" };
	struct q_rcpt rcpt = { .id = mail->id };

	slice_store(slice_of(key), open.key, sizeof(open.key));
	slice_store(slice_of(sender), open.sender, sizeof(open.sender));
	slice_store(slice_of(recipient), rcpt.recipient,
	    sizeof(rcpt.recipient));
	link_send(mail->mailer->link, Q_OPEN, &open, NULL);
	link_send(mail->mailer->link, Q_RCPT, &rcpt, NULL);
}

void
mailer_send(struct mailer *mailer, const char *key, const char *sender,
    const char *recipient, struct buffer *message, mailer_call *call,
    void *context)
{
	struct mail *mail = mem_alloc(sizeof(*mail));

	if (!mailer_has_room(mailer))
		bug("a mail without room for it");
	mail->mailer = mailer;
	mail->id = queue_id_new();
	mail->message = *message;
	*message = (struct buffer){ NULL, 0, 0 };
	mail->call = call;
	mail->context = context;
	mail->pipe = -1;
	mail->timer = timer_new(mailer->loop, on_deadline, mail);
	timer_set(mail->timer, MAILER_DEADLINE_MS);
	LIST_INSERT_HEAD(&mailer->mails, mail, mails);
	mailer->mails_n++;
	say_open(mail, key, sender, recipient);
}

bool
mailer_is_linked(const struct mailer *mailer)
{
	return mailer->link != NULL;
}

bool
mailer_has_room(const struct mailer *mailer)
{
	return mailer->link != NULL && mailer->mails_n < MAILER_MAX;
}

/* ---- keys ---- */

static void
inquiry_free(struct inquiry_by_key *inquiry)
{
	TAILQ_REMOVE(&inquiry->mailer->inquiries, inquiry, line);
	timer_free(&inquiry->timer);
	free(inquiry);
}

static void
inquiry_end(struct inquiry_by_key *inquiry, const struct q_key *key)
{
	mailer_key_call *call = inquiry->call;
	void *context = inquiry->context;

	inquiry_free(inquiry);
	call(context, key);
}

static void
on_key_deadline(void *context)
{
	inquiry_end(context, NULL);
}

void
mailer_ask(struct mailer *mailer, const char *key, mailer_key_call *call,
    void *context)
{
	struct inquiry_by_key *inquiry = mem_alloc(sizeof(*inquiry));

	inquiry->mailer = mailer;
	inquiry->timer = timer_new(mailer->loop, on_key_deadline, inquiry);
	timer_set(inquiry->timer, MAILER_DEADLINE_MS);
	slice_store(slice_of(key), inquiry->ask.key,
	    sizeof(inquiry->ask.key));
	inquiry->call = call;
	inquiry->context = context;
	TAILQ_INSERT_TAIL(&mailer->inquiries, inquiry, line);
	if (mailer->link != NULL)
		link_send(mailer->link, Q_ASK_KEY, &inquiry->ask, NULL);
}

static void
on_key(struct mailer *mailer, const struct q_key *key)
{
	struct inquiry_by_key *inquiry;

	TAILQ_FOREACH(inquiry, &mailer->inquiries, line)
		if (strcmp(inquiry->ask.key, key->key) == 0)
			break;
	if (inquiry != NULL)
		inquiry_end(inquiry, key);
}

/* ---- the link ---- */

static struct mail *
find(const struct mailer *mailer, uint64_t id)
{
	struct mail *mail;

	LIST_FOREACH(mail, &mailer->mails, mails)
		if (mail->id == id)
			return mail;
	return NULL;
}

static void
on_message(void *context, struct link *link, unsigned kind,
    const void *message, int *fds)
{
	const struct q_refused *refused = message;
	struct mailer *mailer = context;
	struct mail *mail;

	(void)link;
	(void)fds;
	if (kind == Q_KEY) {
		on_key(mailer, message);
		return;
	}
	/* All others begin with the id. */
	mail = find(mailer, *(const uint64_t *)message);
	if (mail == NULL)
		return;		/* its deadline has passed */
	if (kind == Q_RCPT_ANSWER)
		on_rcpt_answer(mail, message);
	else if (kind == Q_GO)
		on_go(mail);
	else if (kind == Q_TAKEN)
		mail_end(mail, MAILED_TAKEN, 250, "");
	else if (kind == Q_REFUSED)
		mail_end(mail, MAILED_NOT, refused->code, refused->text);
}

/* Calls may send more mails: those that are lost are taken off before. */
static void
lose_mails(struct mailer *mailer)
{
	struct mail *mail;

	while ((mail = LIST_FIRST(&mailer->mails)) != NULL)
		mail_end_lost(mail, "our own queue went away");
}

static void
on_closed(void *context, struct link *link)
{
	struct mailer *mailer = context;

	(void)link;
	mailer->link = NULL;
	parent_need(PROGRAM_QUEUE);
	lose_mails(mailer);
}

void
mailer_link(struct mailer *mailer, int fd)
{
	static const struct link_calls calls = {
		.message = on_message, .closed = on_closed
	};
	struct inquiry_by_key *inquiry;

	link_close(&mailer->link);
	lose_mails(mailer);
	mailer->link = link_new(mailer->loop, fd, &intake_wire, &calls,
	    mailer);
	TAILQ_FOREACH(inquiry, &mailer->inquiries, line)
		link_send(mailer->link, Q_ASK_KEY, &inquiry->ask, NULL);
}

struct mailer *
mailer_new(struct loop *loop)
{
	struct mailer *mailer = mem_alloc(sizeof(*mailer));

	mailer->loop = loop;
	TAILQ_INIT(&mailer->inquiries);
	return mailer;
}

void
mailer_free(struct mailer **mailer)
{
	if (*mailer == NULL)
		return;
	while (!LIST_EMPTY(&(*mailer)->mails))
		mail_free(LIST_FIRST(&(*mailer)->mails));
	while (!TAILQ_EMPTY(&(*mailer)->inquiries))
		inquiry_free(TAILQ_FIRST(&(*mailer)->inquiries));
	link_close(&(*mailer)->link);
	free(*mailer);
	*mailer = NULL;
}
