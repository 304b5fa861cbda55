/*
 * Who is told that a message did not arrive, and does it still exist?
 *
 * Called by result.c and ending.c for each recipient that is given up, and
 * at the end of the turn.  bounce.c writes the text; here is decided whether
 * there is a notice and to whom it goes:
 *
 *	null sender		none, one log line (DSN-3461-5.2-1)
 *	a report of our own	the same: its key says what became of it
 *	sender at a domain of	root, postmaster, mailer-daemon: root-mail;
 *	ours			others cannot get mail until local mail is
 *				built: one log line
 *	else			the sender
 */
#include "queue/notice.h"

#include "conf/loop.h"
#include "queue/deposit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#define HEADER_OCTETS	65536	/* read of the original for its header */
#define COMPLETE_OCTETS	(256u << 10)

struct notice {
	TAILQ_ENTRY(notice)	 notices;
	struct message		 message;
	struct bounce_recipient	*recipients;
	uint32_t		 n, size;
};

struct notices {
	struct spool			*spool;
	const struct config *const	*config;
	struct ledger			*ledger;
	bool				(*in_use)(void *, uint64_t);
	void				*context;
	TAILQ_HEAD(, notice)		 all;
	struct region			*region;	/* texts of this turn */
	uint64_t			*over;
	size_t				 over_n, over_size;
};

struct notices *
notice_new(struct spool *spool, const struct config *const *config,
    struct ledger *ledger, bool (*in_use)(void *, uint64_t), void *context)
{
	struct notices *notices = mem_alloc(sizeof(*notices));

	notices->spool = spool;
	notices->config = config;
	notices->ledger = ledger;
	notices->in_use = in_use;
	notices->context = context;
	TAILQ_INIT(&notices->all);
	return notices;
}

void
notice_clear(struct notices *notices)
{
	struct notice *notice;

	while ((notice = TAILQ_FIRST(&notices->all)) != NULL) {
		TAILQ_REMOVE(&notices->all, notice, notices);
		free(notice->recipients);
		free(notice);
	}
	if (notices->region != NULL)
		region_free(&notices->region);
	notices->over_n = 0;
}

void
notice_free(struct notices **notices)
{
	notice_clear(*notices);
	free((*notices)->over);
	free(*notices);
	*notices = NULL;
}

/* SMTP-4.4-3 RFC 5321 4.4: one notice for all recipients of a message */
static struct notice *
notice_of(struct notices *notices, const struct message *message)
{
	struct notice *notice;

	TAILQ_FOREACH(notice, &notices->all, notices)
		if (notice->message.id == message->id)
			return notice;
	notice = mem_alloc(sizeof(*notice));
	notice->message = *message;
	TAILQ_INSERT_TAIL(&notices->all, notice, notices);
	return notice;
}

static const char *
keep(struct notices *notices, const char *text)
{
	return region_text(notices->region, slice_of(text));
}

void
notice_add(struct notices *notices, const struct message *message,
    const struct bounce_recipient *recipient)
{
	struct notice *notice = notice_of(notices, message);
	struct bounce_recipient *copy;

	if (notices->region == NULL)
		notices->region = region_new();
	if (notice->n == notice->size) {
		notice->size = notice->size * 2 + 4;
		notice->recipients = mem_grow(notice->recipients,
		    notice->size * sizeof(*notice->recipients));
	}
	copy = &notice->recipients[notice->n++];
	*copy = *recipient;
	copy->address = keep(notices, recipient->address);
	copy->enhanced = keep(notices, recipient->enhanced);
	copy->host = keep(notices, recipient->host);
	copy->ip = keep(notices, recipient->ip);
	copy->reply = keep(notices, recipient->reply);
	copy->clause = keep(notices, recipient->clause);
	copy->repair = keep(notices, recipient->repair);
}

void
notice_perhaps_over(struct notices *notices, uint64_t id)
{
	if (notices->over_n > 0 && notices->over[notices->over_n - 1] == id)
		return;
	if (notices->over_n == notices->over_size) {
		notices->over_size = notices->over_size * 2 + 64;
		notices->over = mem_grow(notices->over, notices->over_size *
		    sizeof(*notices->over));
	}
	notices->over[notices->over_n++] = id;
}

/* ---- to whom ---- */

static bool
is_responsible(const char *local)
{
	static const char *const names[] = {
		"root", "postmaster", "mailer-daemon"
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (slice_equal_nocase(slice_of(local), slice_of(names[i])))
			return true;
	return false;
}

/*
 * Where a notice about this message goes; NULL and why when there is
 * nowhere.
 */
static const char *
addressee(const struct config *config, const struct message *message,
    char text[MAILBOX_TEXT_MAX], const char **outcome)
{
	const char *sender = message->sender;
	struct mailbox mailbox;

	*outcome = "dropped";
	/* DSN-3461-5.2-1, SMTP-3.6.3-3; RPT-5.5-1 RFC 8460 5.5 */
	if (sender[0] == '\0' || message->class == CLASS_REPORT)
		return NULL;
	*outcome = "undeliverable";
	if (!mailbox_parse(slice_of(sender), &mailbox))
		return NULL;
	if (mailbox.domain.name[0] != '\0' && !config_is_local(config,
	    &mailbox.domain))
		return sender;
	if (!is_responsible(mailbox.local) ||
	    config->root_mail.domain.name[0] == '\0')
		return NULL;
	return mailbox_print(&config->root_mail, text);
}

static void
say(struct notices *notices, const struct notice *notice, const char *outcome,
    uint64_t bounce)
{
	const struct bounce_recipient *first = &notice->recipients[0];
	char id[ID_TEXT_MAX];
	struct event event;

	event_begin(&event, LOG_LEVEL_INFO, "bounce");
	event_text(&event, "id", queue_id_print(notice->message.id, id));
	event_text(&event, "to", notice->message.sender);
	event_text(&event, "outcome", outcome);
	if (bounce != 0)
		event_text(&event, "bounce", queue_id_print(bounce, id));
	event_number(&event, "rcpts", notice->n);
	event_text(&event, "rcpt", first->address);
	event_text(&event, "clause", first->clause);
	/* DSN-3461-5.2-2 RFC 3461 5.2: the postmaster learns it here */
	event_text(&event, "reason", first->reply);
	ledger_add(notices->ledger, &event);
}

/* ---- the original ---- */

static void
read_file(struct notices *notices, uint64_t id, size_t octets,
    struct buffer *out)
{
	char name[ID_TEXT_MAX], part[8192];
	int fd = openat(spool_bodies_fd(notices->spool),
	    spool_body_name(id, name), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n;

	if (fd == -1)
		return;
	while (out->len < octets && (n = read(fd, part, sizeof(part))) > 0)
		buffer_add(out, (struct slice){ part, (size_t)n });
	close(fd);
}

/* As much of the body as is wanted: octets, or what can be read of them. */
static void
read_original(struct notices *notices, const struct message *message,
    size_t octets, struct buffer *out)
{
	struct slice chunk;

	for (uint32_t n = 0; n < message->chunks && out->len < octets; n++) {
		if (spool_get_chunk(notices->spool, message->id, n, &chunk) !=
		    STORE_FOUND)
			return;
		buffer_add(out, chunk);
	}
	if (message->file_bytes > 0 && out->len < octets)
		read_file(notices, message->id, octets, out);
}

static bool
wants_complete(const struct notices *notices, const struct message *message)
{
	/* RTLS-5-2, RTLS-5-3 RFC 8689 5 */
	return (*notices->config)->bounce_full &&
	    message->class != CLASS_REQUIRETLS && !message->eight_bit &&
	    message->file_bytes == 0 && message->size_bytes <= COMPLETE_OCTETS;
}

/* ---- the notice ---- */

static void
build(struct notices *notices, const struct notice *notice,
    const struct message *bounce, struct buffer *text)
{
	const struct message *message = &notice->message;
	bool complete = wants_complete(notices, message);
	struct buffer original = { NULL, 0, 0 };
	char id[ID_TEXT_MAX], original_id[ID_TEXT_MAX];
	struct bounce facts = {
		.hostname = (*notices->config)->hostname,
		.id = queue_id_print(bounce->id, id),
		.to = message->sender,
		.now_ms = bounce->arrived_ms,
		.original_id = queue_id_print(message->id, original_id),
		.arrived_ms = message->arrived_ms,
		.expire_s = (*notices->config)->expire_s,
		.recipients = notice->recipients,
		.recipients_n = notice->n
	};

	read_original(notices, message, complete ? message->size_bytes :
	    HEADER_OCTETS, &original);
	facts.original = (struct slice){ original.text, original.len };
	facts.complete = complete && original.len == message->size_bytes;
	bounce_build(&facts, text);
	buffer_free(&original);
}

static void
put_body(struct notices *notices, struct message *message,
    struct slice text)
{
	message->size_bytes = text.len;
	while (text.len > 0) {
		size_t len = text.len < CHUNK_OCTETS ? text.len :
		    CHUNK_OCTETS;

		spool_put_chunk(notices->spool, message->id,
		    message->chunks++, text.at, len);
		text.at += len;
		text.len -= len;
	}
}

static uint64_t
fresh_id(struct notices *notices)
{
	uint64_t id;

	do
		id = queue_id_new();
	while ((!spool_turn_lost(notices->spool) &&
	    spool_has_message(notices->spool, id)) ||
	    (notices->in_use != NULL && notices->in_use(notices->context,
	    id)));
	return id;
}

static void
write_notice(struct notices *notices, const struct notice *notice)
{
	char text[MAILBOX_TEXT_MAX];
	const char *outcome, *to = addressee(*notices->config,
	    &notice->message, text, &outcome);
	struct buffer octets = { NULL, 0, 0 };
	/* DSN-3464-2-4 RFC 3464 2: sender "" */
	struct message bounce = {
		.id = fresh_id(notices),
		.arrived_ms = (uint64_t)loop_wall_ms(),
		.body = BODY_7BIT,
		/* RTLS-5-1 RFC 8689 5 */
		.class = notice->message.class == CLASS_REQUIRETLS ?
		    CLASS_REQUIRETLS : CLASS_MAIL
	};

	if (to == NULL) {
		say(notices, notice, outcome, 0);
		return;
	}
	build(notices, notice, &bounce, &octets);
	put_body(notices, &bounce, (struct slice){ octets.text, octets.len });
	deposit_message(notices->spool, &bounce, to, 1);
	spool_want_flush(notices->spool);
	say(notices, notice, "queued", bounce.id);
	buffer_free(&octets);
}

static void
delete_if_over(struct notices *notices, uint64_t id)
{
	struct message message;

	if (spool_is_owed(notices->spool, id) ||
	    spool_get_message(notices->spool, id, &message) != STORE_FOUND)
		return;
	spool_delete_message(notices->spool, &message);
}

void
notice_write(struct notices *notices)
{
	const struct notice *notice;

	TAILQ_FOREACH(notice, &notices->all, notices)
		write_notice(notices, notice);
	for (size_t i = 0; i < notices->over_n; i++)
		delete_if_over(notices, notices->over[i]);
}
