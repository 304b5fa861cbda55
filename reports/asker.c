/*
 * What does culver-policy know: a domain's _smtp._tls record, the addresses of
 * a receiver's host, the text of a policy?
 *
 * Called by life.c, making.c and trial.c.  A question is waiting (there is
 * no link), asked, or reads the text that its answer announced; when the link
 * closes it waits once more.  It ends with its call: by an answer, or by its
 * deadline.
 *
 * Does not judge what it is told.
 */
#include "reports/asker.h"

#include "conf/link.h"
#include "conf/log.h"
#include "conf/parent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#define TEXT_OCTETS_MAX	65536	/* of a policy, RFC 8461 3.3 */
#define READ_OCTETS	16384

struct question {
	TAILQ_ENTRY(question)	 line;
	struct asker		*asker;
	unsigned		 kind;		/* R_TXT, R_PIN, R_TEXT */
	uint64_t		 number;
	char			 name[DOMAIN_TEXT_MAX];
	uint64_t		 mark;		/* of R_TEXT */
	union {
		asker_txt_call	*txt;
		asker_pin_call	*pin;
		asker_text_call	*text;
	}			 call;
	void			*context;
	bool			 asked;
	struct timer		*timer;
	/* of R_TEXT: what comes through the pipe */
	int			 pipe;		/* -1: none */
	struct watch		*watch;
	struct buffer		 text;
};

struct asker {
	struct loop		*loop;
	struct link		*link;
	void			(*failed)(void *, const struct r_failed *);
	void			*context;
	uint64_t		 number;
	TAILQ_HEAD(, question)	 questions;
};

static void
pipe_close(struct question *question)
{
	watch_free(&question->watch);
	if (question->pipe != -1)
		close(question->pipe);
	question->pipe = -1;
}

static void
question_free(struct question *question)
{
	TAILQ_REMOVE(&question->asker->questions, question, line);
	pipe_close(question);
	timer_free(&question->timer);
	buffer_free(&question->text);
	free(question);
}

static void
end_txt(struct question *question, const struct r_txt_answer *answer)
{
	asker_txt_call *call = question->call.txt;
	void *context = question->context;

	question_free(question);
	call(context, answer);
}

static void
end_pin(struct question *question, const struct r_pinned *answer)
{
	asker_pin_call *call = question->call.pin;
	void *context = question->context;

	question_free(question);
	call(context, answer);
}

/* The text goes with the question; it is freed after the call. */
static void
end_text(struct question *question, enum route_outcome outcome)
{
	asker_text_call *call = question->call.text;
	struct buffer text = question->text;
	void *context = question->context;

	question->text = (struct buffer){ NULL, 0, 0 };
	question_free(question);
	call(context, outcome, outcome == ROUTE_OK ?
	    (struct slice){ text.text, text.len } : (struct slice){ "", 0 });
	buffer_free(&text);
}

/* No answer: of the domain nothing is known. */
static void
on_deadline(void *context)
{
	static const struct r_txt_answer no_txt = { .outcome = ROUTE_AGAIN,
	    .text = "no answer from our own resolver" };
	static const struct r_pinned no_pin = { .outcome = ROUTE_AGAIN,
	    .text = "no answer from our own resolver" };
	struct question *question = context;

	log_line(LOG_LEVEL_ERROR, "policy does not answer about %s",
	    question->name);
	if (question->kind == R_TXT)
		end_txt(question, &no_txt);
	else if (question->kind == R_PIN)
		end_pin(question, &no_pin);
	else
		end_text(question, ROUTE_AGAIN);
}

/* ---- putting them ---- */

static void
put_question(struct question *question)
{
	struct link *link = question->asker->link;
	struct r_txt txt = { .question = question->number };
	struct r_pin pin = { .question = question->number };
	struct r_text text = { .question = question->number,
	    .sts_text = question->mark };

	question->asked = true;
	if (question->kind == R_TXT) {
		memcpy(txt.domain, question->name, sizeof(txt.domain));
		link_send(link, R_TXT, &txt, NULL);
	} else if (question->kind == R_PIN) {
		memcpy(pin.host, question->name, sizeof(pin.host));
		link_send(link, R_PIN, &pin, NULL);
	} else {
		memcpy(text.domain, question->name, sizeof(text.domain));
		link_send(link, R_TEXT, &text, NULL);
	}
}

static struct question *
question_new(struct asker *asker, unsigned kind, const char *name,
    void *context)
{
	struct question *question = mem_alloc(sizeof(*question));

	question->asker = asker;
	question->kind = kind;
	question->number = ++asker->number;
	slice_store(slice_of(name), question->name, sizeof(question->name));
	question->context = context;
	question->pipe = -1;
	question->timer = timer_new(asker->loop, on_deadline, question);
	timer_set(question->timer, ASKER_DEADLINE_MS);
	TAILQ_INSERT_TAIL(&asker->questions, question, line);
	return question;
}

static void
put_if_linked(struct question *question)
{
	if (question->asker->link != NULL)
		put_question(question);
}

/* Policy puts _smtp._tls before it. */
void
asker_txt(struct asker *asker, const char *domain, asker_txt_call *call,
    void *context)
{
	struct question *question = question_new(asker, R_TXT, domain,
	    context);

	question->call.txt = call;
	put_if_linked(question);
}

void
asker_pin(struct asker *asker, const char *host, asker_pin_call *call,
    void *context)
{
	struct question *question = question_new(asker, R_PIN, host, context);

	question->call.pin = call;
	put_if_linked(question);
}

void
asker_text(struct asker *asker, const char *domain, uint64_t sts_text,
    asker_text_call *call, void *context)
{
	struct question *question = question_new(asker, R_TEXT, domain,
	    context);

	question->mark = sts_text;
	question->call.text = call;
	put_if_linked(question);
}

/* ---- what comes back ---- */

/* It ends where its writer ended it, or died: the mark tells. */
static void
end_pipe(struct question *question)
{
	struct slice text = { question->text.text, question->text.len };
	bool whole = text.len > 0 && policy_text_mark(text) == question->mark;

	if (!whole)
		log_line(LOG_LEVEL_ERROR, "policy's text for %s is cut or "
		    "another one", question->name);
	end_text(question, whole ? ROUTE_OK : ROUTE_AGAIN);
}

static void
on_text(void *context, int what)
{
	struct question *question = context;
	char octets[READ_OCTETS];
	ssize_t n;

	(void)what;
	n = read(question->pipe, octets, sizeof(octets));
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0 && question->text.len + (size_t)n <= TEXT_OCTETS_MAX)
		buffer_add(&question->text, (struct slice){ octets,
		    (size_t)n });
	else
		end_pipe(question);
}

static void
on_text_answer(struct question *question, const struct r_text_answer *answer,
    int *fd)
{
	if (!answer->found) {
		end_text(question, ROUTE_FAIL);
		return;
	}
	if (question->pipe != -1 || fcntl(*fd, F_SETFL, O_NONBLOCK) == -1)
		return;
	question->pipe = *fd;
	*fd = -1;
	question->watch = watch_new(question->asker->loop, question->pipe,
	    WATCH_READ, on_text, question);
}

/* NULL: it was answered, or its deadline has passed. */
static struct question *
find(struct asker *asker, unsigned kind, uint64_t number)
{
	struct question *question;

	TAILQ_FOREACH(question, &asker->questions, line)
		if (question->number == number && question->kind == kind &&
		    question->asked)
			return question;
	return NULL;
}

static void
on_message(void *context, struct link *link, unsigned kind,
    const void *message, int *fds)
{
	const struct r_text_answer *text = message;
	const struct r_txt_answer *txt = message;
	const struct r_pinned *pinned = message;
	struct asker *asker = context;
	struct question *question;

	(void)link;
	if (kind == R_FAILED)
		asker->failed(asker->context, message);
	else if (kind == R_TXT_ANSWER &&
	    (question = find(asker, R_TXT, txt->question)) != NULL)
		end_txt(question, txt);
	else if (kind == R_PINNED &&
	    (question = find(asker, R_PIN, pinned->question)) != NULL)
		end_pin(question, pinned);
	else if (kind == R_TEXT_ANSWER &&
	    (question = find(asker, R_TEXT, text->question)) != NULL)
		on_text_answer(question, text, &fds[0]);
}

/*
 * ---- the link ----
 */

/* What was asked is asked once more; a text that comes is read on. */
static void
on_closed(void *context, struct link *link)
{
	struct asker *asker = context;
	struct question *question;

	(void)link;
	asker->link = NULL;
	TAILQ_FOREACH(question, &asker->questions, line)
		question->asked = question->pipe != -1;
	parent_need(PROGRAM_POLICY);
}

void
asker_link(struct asker *asker, int fd)
{
	static const struct link_calls calls = {
		.message = on_message, .closed = on_closed
	};
	struct question *question;

	link_close(&asker->link);
	asker->link = link_new(asker->loop, fd, &inquiry_wire, &calls, asker);
	TAILQ_FOREACH(question, &asker->questions, line)
		if (question->pipe == -1)
			put_question(question);
}

void
asker_restart(struct asker *asker)
{
	if (asker->link == NULL)
		return;		/* a fresh one is on its way */
	link_close(&asker->link);
	on_closed(asker, NULL);
}

void
asker_kept(struct asker *asker, uint64_t sequence)
{
	struct r_failed_kept kept = { .sequence = sequence };

	if (asker->link != NULL)
		link_send(asker->link, R_FAILED_KEPT, &kept, NULL);
}

struct asker *
asker_new(struct loop *loop, void (*failed)(void *context,
    const struct r_failed *), void *context)
{
	struct asker *asker = mem_alloc(sizeof(*asker));

	asker->loop = loop;
	asker->failed = failed;
	asker->context = context;
	TAILQ_INIT(&asker->questions);
	return asker;
}

void
asker_free(struct asker **asker)
{
	struct question *question;

	if (*asker == NULL)
		return;
	while ((question = TAILQ_FIRST(&(*asker)->questions)) != NULL)
		question_free(question);
	link_close(&(*asker)->link);
	free(*asker);
	*asker = NULL;
}
