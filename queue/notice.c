/*
 * Who is told what became of a message, and does it still exist?
 *
 * Called by result.c for each recipient that is given up, waits for long, or
 * was handed on and had asked for that, and at the end of the turn.  bounce.c
 * writes the text; here is decided whether there is a notice and to whom it
 * goes:
 *
 *	NOTIFY does not want it	none; of a failure one log line
 *	null sender		none, one log line (DSN-3461-5.2-1)
 *	a report of our own	the same: its key says what became of it
 *	a delay, sent by a	none: its sender may be anybody's
 *	stranger
 *	sender at a domain of	root, postmaster, mailer-daemon: root-mail;
 *	ours			others cannot get mail until local mail is
 *				built: one log line
 *	his hundred of this	one log line
 *	hour are used up
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
#define HOUR_MS		3600000
#define ALLOWANCES	4096	/* return paths that are counted at a time */
#define ALLOWANCE_SLOTS	8	/* where one of them may stand */

/* What one return path has had in the hour that began with the first. */
struct allowance {
	uint64_t	hash;		/* of its address; 0: nobody's */
	int64_t		began_ms;	/* monotonic */
	unsigned	sent;
	unsigned	pending;	/* of them, in the turn under way */
};

struct notice {
	TAILQ_ENTRY(notice)	 notices;
	struct message		 message;
	struct bounce_recipient	*recipients;
	uint32_t		 n, size;
	struct allowance	*allowance;	/* that it used; NULL: none */
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
	struct allowance		 allowances[ALLOWANCES];
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

/* What a lost turn wrote was not sent. */
static void
settle_allowance(struct allowance *allowance, bool durable)
{
	if (allowance == NULL)
		return;
	allowance->pending--;
	allowance->sent -= !durable;
}

void
notice_clear(struct notices *notices, bool durable)
{
	struct notice *notice;

	while ((notice = TAILQ_FIRST(&notices->all)) != NULL) {
		TAILQ_REMOVE(&notices->all, notice, notices);
		settle_allowance(notice->allowance, durable);
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
	notice_clear(*notices, false);
	free((*notices)->over);
	free(*notices);
	*notices = NULL;
}

/*
 * SMTP-4.4-3 RFC 5321 4.4, DSN-3464-2-5 RFC 3464 2: one notice for all
 * recipients of a message
 */
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

static void
append(struct notices *notices, struct notice *notice,
    const struct recipient *recipient, const struct bounce_recipient *what)
{
	struct bounce_recipient *copy;

	if (notices->region == NULL)
		notices->region = region_new();
	if (notice->n == notice->size) {
		notice->size = notice->size * 2 + 4;
		notice->recipients = mem_grow(notice->recipients,
		    notice->size * sizeof(*notice->recipients));
	}
	copy = &notice->recipients[notice->n++];
	*copy = *what;
	copy->address = keep(notices, what->address);
	copy->orcpt = keep(notices, recipient->orcpt);
	copy->enhanced = keep(notices, what->enhanced);
	copy->host = keep(notices, what->host);
	copy->ip = keep(notices, what->ip);
	copy->reply = keep(notices, what->reply);
	if (what->rule != NULL)
		copy->rule = keep(notices, what->rule);
	copy->clause = keep(notices, what->clause);
	copy->repair = keep(notices, what->repair);
}

/* ---- the log ---- */

static void
say(struct notices *notices, const struct message *message,
    const struct bounce_recipient *first, uint32_t n, const char *outcome,
    uint64_t bounce)
{
	char id[ID_TEXT_MAX];
	struct event event;

	event_begin(&event, LOG_LEVEL_INFO, "bounce");
	event_text(&event, "id", queue_id_print(message->id, id));
	event_text(&event, "to", message->sender);
	event_text(&event, "outcome", outcome);
	if (bounce != 0)
		event_text(&event, "bounce", queue_id_print(bounce, id));
	event_number(&event, "rcpts", n);
	event_text(&event, "rcpt", first->address);
	event_text(&event, "action", bounce_action(first->action));
	event_text(&event, "clause", first->clause);
	/* DSN-3461-5.2-2 RFC 3461 5.2: the postmaster learns it here */
	event_text(&event, "reason", first->reply);
	ledger_add(notices->ledger, &event);
}

/* ---- whether ---- */

/* RFC 3461 4.1 */
static bool
is_wanted(const struct message *message, const struct recipient *recipient,
    enum bounce_action action)
{
	if (action != BOUNCE_FAILED && (message->sender[0] == '\0' ||
	    message->class == CLASS_REPORT))
		return false;
	switch (action) {
	case BOUNCE_FAILED:	/* DSN-3461-5.2.6-1 RFC 3461 5.2.6 */
		return recipient->notify == 0 ||
		    (recipient->notify & NOTIFY_FAILURE) != 0;
	case BOUNCE_DELAYED:	/* DSN-3461-5.2.5-1 RFC 3461 5.2.5 */
		return recipient->notify == 0 ||
		    (recipient->notify & NOTIFY_DELAY) != 0;
	case BOUNCE_RELAYED:	/* DSN-3461-5.2.2-2, DSN-3464-2.3.3-2 */
		return (recipient->notify & NOTIFY_SUCCESS) != 0;
	case BOUNCE_ACTIONS:
		break;
	}
	bug("action %d", action);
}

bool
notice_wants_delay(const struct message *message,
    const struct recipient *recipient)
{
	return message->ours && is_wanted(message, recipient, BOUNCE_DELAYED);
}

void
notice_add(struct notices *notices, const struct message *message,
    const struct recipient *recipient, const struct bounce_recipient *what)
{
	/* DSN-3461-5.2.2-3 RFC 3461 5.2.2, 4.1: a log line instead */
	if (is_wanted(message, recipient, what->action))
		append(notices, notice_of(notices, message), recipient, what);
	else if (what->action == BOUNCE_FAILED)
		say(notices, message, what, 1, "unwanted", 0);
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
	/*
	 * DSN-3461-5.2-1, SMTP-3.6.3-3; RPT-5.5-1 RFC 8460 5.5;
	 * DSN-3834-5-1 RFC 3834 5: what is generated makes nothing
	 */
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

/* The gravest of a notice, for its log line. */
static const struct bounce_recipient *
gravest(const struct notice *notice)
{
	const struct bounce_recipient *found = &notice->recipients[0];

	for (uint32_t i = 1; i < notice->n; i++)
		if (notice->recipients[i].action < found->action)
			found = &notice->recipients[i];
	return found;
}

static void
say_notice(struct notices *notices, const struct notice *notice,
    const char *outcome, uint64_t bounce)
{
	say(notices, &notice->message, gravest(notice), notice->n, outcome,
	    bounce);
}

/* ---- how many ---- */

/* FNV-1a, without regard to case. */
static uint64_t
hash_of(const char *text)
{
	uint64_t hash = 14695981039346656037u;

	for (; *text != '\0'; text++)
		hash = (hash ^ (*text >= 'A' && *text <= 'Z' ?
		    (uint8_t)(*text - 'A' + 'a') : (uint8_t)*text)) *
		    1099511628211u;
	return hash != 0 ? hash : 1;
}

/*
 * Where this return path is counted: its own place, or else that of who has
 * had the fewest.  NULL: all that it may have are in use in this turn; then it
 * is not counted.
 */
static struct allowance *
allowance_of(struct notices *notices, const char *address, int64_t now_ms)
{
	uint64_t hash = hash_of(address);
	struct allowance *found = NULL;

	for (unsigned i = 0; i < ALLOWANCE_SLOTS; i++) {
		struct allowance *one = &notices->allowances[(hash + i) %
		    ALLOWANCES];

		if (now_ms - one->began_ms >= HOUR_MS && one->pending == 0)
			*one = (struct allowance){ .hash = one->hash,
			    .began_ms = now_ms };
		if (one->hash == hash)
			return one;
		if (one->pending == 0 && (found == NULL ||
		    one->sent < found->sent))
			found = one;
	}
	if (found != NULL)
		*found = (struct allowance){ .hash = hash,
		    .began_ms = now_ms };
	return found;
}

/* May one more go to this address?  Then it is counted. */
static bool
may_send(struct notices *notices, struct notice *notice, const char *to)
{
	struct allowance *allowance = allowance_of(notices, to,
	    loop_now_ms());

	if (allowance == NULL)
		return true;
	if (allowance->sent >= NOTICES_AN_HOUR)
		return false;
	allowance->sent++;
	allowance->pending++;
	notice->allowance = allowance;
	return true;
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
wants_complete(const struct notices *notices, const struct notice *notice)
{
	const struct message *message = &notice->message;
	/* DSN-3461-6.2-1 RFC 3461 6.2 */
	bool full = message->ret == RET_NONE ?
	    (*notices->config)->bounce_full : message->ret == RET_FULL;

	/* RTLS-5-2, RTLS-5-3 RFC 8689 5 */
	return full && gravest(notice)->action == BOUNCE_FAILED &&
	    message->class != CLASS_REQUIRETLS && !message->eight_bit &&
	    message->file_bytes == 0 && message->size_bytes <= COMPLETE_OCTETS;
}

/* ---- the notice ---- */

static void
build(struct notices *notices, const struct notice *notice,
    const struct message *bounce, struct buffer *text)
{
	const struct message *message = &notice->message;
	bool complete = wants_complete(notices, notice);
	struct buffer original = { NULL, 0, 0 };
	char id[ID_TEXT_MAX], original_id[ID_TEXT_MAX];
	struct bounce facts = {
		.hostname = (*notices->config)->hostname,
		.id = queue_id_print(bounce->id, id),
		.to = message->sender,
		.now_ms = bounce->arrived_ms,
		.original_id = queue_id_print(message->id, original_id),
		.envid = message->envid,
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

/* The notice as a message of its own, owed to this address. */
static uint64_t
put_notice(struct notices *notices, const struct notice *notice,
    const char *to)
{
	struct addressees addressees = { NULL, 0, 0, NULL, 0 };
	const struct addressee one = { to, 0, "" };
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

	build(notices, notice, &bounce, &octets);
	put_body(notices, &bounce, (struct slice){ octets.text, octets.len });
	addressee_add(&addressees, &one);
	deposit_message(notices->spool, &bounce, &addressees);
	spool_want_flush(notices->spool);
	addressee_free(&addressees);
	buffer_free(&octets);
	return bounce.id;
}

static void
write_notice(struct notices *notices, struct notice *notice)
{
	char text[MAILBOX_TEXT_MAX];
	const char *outcome, *to = addressee(*notices->config,
	    &notice->message, text, &outcome);

	if (to == NULL)
		say_notice(notices, notice, outcome, 0);
	else if (!may_send(notices, notice, to))
		say_notice(notices, notice, "limited", 0);
	else
		say_notice(notices, notice, "queued",
		    put_notice(notices, notice, to));
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
	struct notice *notice;

	TAILQ_FOREACH(notice, &notices->all, notices)
		write_notice(notices, notice);
	for (size_t i = 0; i < notices->over_n; i++)
		delete_if_over(notices, notices->over[i]);
}
