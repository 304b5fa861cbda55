/*
 * How does sendmail hand a message to the relay, and what did it say?
 *
 * Called by sendmail.c.  Blocking and straight on: the other end is our own
 * smtpd.  Recipients beyond what one transaction takes (452) go into the next
 * one of the same session.  It is an SMTP client of one server only, and
 * knows no network.
 */
#include "smtpd/handover.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define REPLY_S		(10 * 60)
#define RCPTS_A_GROUP	100
/* A relay that is full (421) or starts just now is tried for so long. */
#define TRIES		50
#define BETWEEN_TRIES_MS	200

struct reply {
	unsigned	code;		/* 0: the relay is gone */
	char		text[512];	/* of its last line */
};

enum fate { OPEN, TAKEN, LATER, REFUSED };

struct talk {
	int			 fd;
	struct buffer		 in;	/* replies not yet read */
	size_t			 in_read;
	const struct envelope	*envelope;
	enum fate		*fates;	/* of each recipient */
	struct slice		 message;
	bool			 eight_bit;
	/* the relay offers: */
	bool			 dsn;
	bool			 requiretls;
	int			 status;	/* of refusals so far */
	size_t			 refused_n, taken_n;
	struct buffer		*said;
};

/* ---- octets ---- */

static bool
send_all(struct talk *talk, struct slice octets)
{
	ssize_t n;

	while (octets.len > 0) {
		n = send(talk->fd, octets.at, octets.len, MSG_NOSIGNAL);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		octets.at += n;
		octets.len -= (size_t)n;
	}
	return true;
}

static bool
receive_more(struct talk *talk)
{
	char octets[4096];
	ssize_t n;

	do
		n = recv(talk->fd, octets, sizeof(octets), 0);
	while (n == -1 && errno == EINTR);
	if (n <= 0)
		return false;
	buffer_add(&talk->in, (struct slice){ octets, (size_t)n });
	return true;
}

static bool
read_line(struct talk *talk, struct slice *line)
{
	char *start, *lf;

	for (;;) {
		start = talk->in.text + talk->in_read;
		lf = talk->in.text == NULL ? NULL : memchr(start, '\n',
		    talk->in.len - talk->in_read);
		if (lf != NULL)
			break;
		if (!receive_more(talk))
			return false;
	}
	*line = (struct slice){ start, (size_t)(lf - start) };
	talk->in_read += line->len + 1;
	if (line->len > 0 && line->at[line->len - 1] == '\r')
		line->len--;
	return true;
}

/*
 * A line that says "DSN" or "REQUIRETLS" and no more is EHLO's.
 */
static void
note_offer(struct talk *talk, struct slice text)
{
	talk->dsn |= slice_equal_nocase(text, SLICE("DSN"));
	talk->requiretls |= slice_equal_nocase(text, SLICE("REQUIRETLS"));
}

/*
 * The next reply; code 0 when there is none, or it makes no sense.
 */
static struct reply
hear(struct talk *talk)
{
	struct reply reply = { 0, "the relay went away" };
	struct slice line;
	uint64_t code;

	do {
		if (!read_line(talk, &line) || line.len < 4 ||
		    !slice_number((struct slice){ line.at, 3 }, 599, &code))
			return reply;
		note_offer(talk, (struct slice){ line.at + 4, line.len - 4 });
	} while (line.at[3] == '-');
	reply.code = (unsigned)code;
	line.at += 4;
	line.len -= 4;
	if (line.len >= sizeof(reply.text))
		line.len = sizeof(reply.text) - 1;
	slice_store(line, reply.text, sizeof(reply.text));
	return reply;
}

/* ---- what a reply means ---- */

static bool
has_status(const struct reply *reply, const char *status)
{
	return strncmp(reply->text, status, strlen(status)) == 0;
}

static int
status_of(const struct reply *reply)
{
	static const char *const bad_data[] = {
		"5.1.3 ", "5.1.7 ", "5.5.2 ", "5.6."
	};
	size_t i;

	if (reply->code < 500)
		return HANDOVER_AGAIN;
	if (has_status(reply, "5.1.1 "))
		return HANDOVER_UNKNOWN;
	if (has_status(reply, "5.7."))
		return HANDOVER_DENIED;
	for (i = 0; i < sizeof(bad_data) / sizeof(bad_data[0]); i++)
		if (has_status(reply, bad_data[i]))
			return HANDOVER_DATA;
	return HANDOVER_REFUSED;
}

/*
 * Several refusals make one exit status: that they share; to try again where
 * one of them may pass; else "refused".
 */
static void
add_status(struct talk *talk, int status)
{
	if (talk->status == HANDOVER_TAKEN || talk->status == status)
		talk->status = status;
	else if (talk->status == HANDOVER_AGAIN || status == HANDOVER_AGAIN)
		talk->status = HANDOVER_AGAIN;
	else
		talk->status = HANDOVER_REFUSED;
}

/* The first refusal is what the caller reads. */
static void
refuse(struct talk *talk, const char *whom, const struct reply *reply)
{
	if (talk->said->len == 0)
		buffer_printf(talk->said, "%s%s%s", whom,
		    whom[0] != '\0' ? ": " : "", reply->text);
	add_status(talk, status_of(reply));
}

/* ---- one transaction ---- */

static bool
say_mail(struct talk *talk)
{
	static const char *const rets[] = { "", " RET=FULL", " RET=HDRS" };
	const struct envelope *envelope = talk->envelope;
	char sender[MAILBOX_TEXT_MAX];
	struct buffer line = { NULL, 0, 0 };
	bool good;

	buffer_printf(&line, "MAIL FROM:<%s> SIZE=%zu%s%s",
	    mailbox_print(&envelope->sender, sender),
	    talk->message.len, talk->eight_bit ? " BODY=8BITMIME" : "",
	    envelope->requiretls ? " REQUIRETLS" : "");
	if (talk->dsn)
		buffer_printf(&line, "%s%s%s", rets[envelope->ret],
		    envelope->envid[0] != '\0' ? " ENVID=" : "",
		    envelope->envid);
	buffer_add(&line, SLICE("\r\n"));
	good = send_all(talk, (struct slice){ line.text, line.len });
	buffer_free(&line);
	return good;
}

/* RFC 3461 4.1; the same for every recipient */
static void
add_notify(struct buffer *line, uint32_t notify)
{
	static const struct {
		uint32_t	 bit;
		const char	*name;
	} names[] = {
		{ NOTIFY_NEVER, "NEVER" }, { NOTIFY_SUCCESS, "SUCCESS" },
		{ NOTIFY_FAILURE, "FAILURE" }, { NOTIFY_DELAY, "DELAY" }
	};
	const char *before = " NOTIFY=";
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if ((notify & names[i].bit) == 0)
			continue;
		buffer_printf(line, "%s%s", before, names[i].name);
		before = ",";
	}
}

static void
judge_rcpt(struct talk *talk, size_t i, const struct reply *reply,
    size_t *accepted)
{
	char recipient[MAILBOX_TEXT_MAX];

	if (reply->code / 100 == 2) {
		talk->fates[i] = TAKEN;
		(*accepted)++;
		return;
	}
	/* SMTP-4.5.3.1.10: the rest in a further transaction. */
	if (reply->code == 452 && has_status(reply, "4.5.3 ") &&
	    *accepted > 0) {
		talk->fates[i] = LATER;
		return;
	}
	talk->fates[i] = REFUSED;
	talk->refused_n++;
	refuse(talk, mailbox_print(&talk->envelope->recipients[i],
	    recipient), reply);
}

/* RCPT for the open ones of these, in one go: they fit into the socket. */
static bool
say_rcpts(struct talk *talk, size_t from, size_t to)
{
	char recipient[MAILBOX_TEXT_MAX];
	struct buffer lines = { NULL, 0, 0 };
	bool good;

	for (; from < to; from++) {
		if (talk->fates[from] != OPEN)
			continue;
		buffer_printf(&lines, "RCPT TO:<%s>",
		    mailbox_print(&talk->envelope->recipients[from],
		    recipient));
		if (talk->dsn)
			add_notify(&lines, talk->envelope->notify);
		buffer_add(&lines, SLICE("\r\n"));
	}
	good = send_all(talk, (struct slice){ lines.text, lines.len });
	buffer_free(&lines);
	return good;
}

static bool
hear_rcpts(struct talk *talk, size_t from, size_t to, size_t *accepted)
{
	struct reply reply;

	for (; from < to; from++) {
		if (talk->fates[from] != OPEN)
			continue;
		reply = hear(talk);
		if (reply.code == 0)
			return false;
		judge_rcpt(talk, from, &reply, accepted);
	}
	return true;
}

/* All open recipients, group by group; false when the relay is gone. */
static bool
ask_rcpts(struct talk *talk, size_t *accepted)
{
	const size_t n = talk->envelope->recipients_n;
	size_t from, to;

	for (from = 0; from < n; from = to) {
		to = n - from > RCPTS_A_GROUP ? from + RCPTS_A_GROUP : n;
		if (!say_rcpts(talk, from, to) ||
		    !hear_rcpts(talk, from, to, accepted))
			return false;
	}
	return true;
}

/* RFC 5321 4.5.2: a dot before each that begins a line, and the last. */
static bool
say_message(struct talk *talk)
{
	struct slice rest = talk->message, line;
	struct buffer out = { NULL, 0, 0 };
	bool good = true;

	while (rest.len > 0 && good) {
		if (rest.at[0] == '.')
			buffer_add(&out, SLICE("."));
		line = slice_cut(&rest, '\n');
		buffer_add(&out, (struct slice){ line.at, line.len + 1 });
		if (out.len < 65536)
			continue;
		good = send_all(talk, (struct slice){ out.text, out.len });
		out.len = 0;
	}
	buffer_add(&out, SLICE(".\r\n"));
	good = good && send_all(talk, (struct slice){ out.text, out.len });
	buffer_free(&out);
	return good;
}

/* Behind accepted recipients: the message, and the word that it is durable. */
static bool
give_message(struct talk *talk, struct reply *reply)
{
	if (!send_all(talk, SLICE("DATA\r\n")))
		return false;
	*reply = hear(talk);
	if (reply->code != 354)
		return false;
	if (!say_message(talk)) {
		reply->code = 0;
		return false;
	}
	*reply = hear(talk);
	return reply->code / 100 == 2;
}

/* Recipients that waited for a further transaction are open again. */
static bool
reopen(struct talk *talk)
{
	bool any = false;
	size_t i;

	for (i = 0; i < talk->envelope->recipients_n; i++)
		if (talk->fates[i] == LATER) {
			talk->fates[i] = OPEN;
			any = true;
		}
	return any;
}

/* One MAIL with its recipients; true when there is another to be made. */
static bool
transact(struct talk *talk)
{
	struct reply reply = { 0, "the relay went away" };
	const struct reply gone = reply;
	size_t accepted = 0;

	if (say_mail(talk))
		reply = hear(talk);
	if (reply.code / 100 != 2) {
		refuse(talk, "", &reply);
		return false;
	}
	if (!ask_rcpts(talk, &accepted)) {
		refuse(talk, "", &gone);
		return false;
	}
	if (accepted == 0)
		return false;
	if (!give_message(talk, &reply)) {
		refuse(talk, "", &reply);
		return false;
	}
	talk->taken_n += accepted;
	if (talk->refused_n == 0) {
		talk->said->len = 0;
		buffer_printf(talk->said, "%u %s", reply.code, reply.text);
	}
	return reopen(talk);
}

/* ---- the session ---- */

static bool
begin(struct talk *talk)
{
	struct reply reply = hear(talk);

	if (reply.code == 220) {
		if (send_all(talk, SLICE("EHLO localhost\r\n")))
			reply = hear(talk);
		else
			reply.code = 0;
	}
	/* RTLS-8-1 RFC 8689 8: never without it */
	if (reply.code == 250 && talk->envelope->requiretls &&
	    !talk->requiretls)
		reply = (struct reply){ 550, "REQUIRETLS cannot be kept: the "
		    "relay asks for neither MTA-STS nor DANE" };
	if (reply.code == 250)
		return true;
	refuse(talk, "", &reply);
	return false;
}

static void
say_result(struct talk *talk)
{
	if (talk->status == HANDOVER_TAKEN)
		return;
	if (talk->refused_n > 1)
		buffer_printf(talk->said, " (and %zu more)",
		    talk->refused_n - 1);
	if (talk->taken_n == 0)
		return;
	buffer_printf(talk->said, "; taken for the other %zu", talk->taken_n);
	/* 67 is said when nobody is known. */
	if (talk->status != HANDOVER_AGAIN)
		talk->status = HANDOVER_REFUSED;
}

/* Connected, or -1 with errno. */
static int
connect_relay(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const struct timeval patience = { .tv_sec = REPLY_S };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* One connection; the status.  *full: it was turned away before it began. */
static int
converse(const char *path, const struct envelope *envelope,
    struct slice message, struct buffer *said, bool *full)
{
	struct talk talk = { .envelope = envelope, .message = message,
	    .said = said };
	size_t i;

	*full = false;
	talk.fd = connect_relay(path);
	if (talk.fd == -1) {
		buffer_printf(said, "the relay is not running (%s: %s)", path,
		    strerror(errno));
		return HANDOVER_AGAIN;
	}
	talk.fates = mem_alloc((envelope->recipients_n + 1) *
	    sizeof(*talk.fates));
	for (i = 0; i < message.len && !talk.eight_bit; i++)
		talk.eight_bit = (unsigned char)message.at[i] > 0x7f;
	if (begin(&talk)) {
		while (transact(&talk))
			continue;
		send_all(&talk, SLICE("QUIT\r\n"));
	} else {
		*full = talk.status == HANDOVER_AGAIN;
	}
	say_result(&talk);
	close(talk.fd);
	buffer_free(&talk.in);
	free(talk.fates);
	return talk.status;
}

int
handover(const char *path, const struct envelope *envelope,
    struct slice message, struct buffer *said)
{
	const struct timespec pause = {
		.tv_nsec = BETWEEN_TRIES_MS * 1000000L
	};
	bool full;
	int status, i;

	for (i = 1;; i++) {
		status = converse(path, envelope, message, said, &full);
		if (!full || i == TRIES)
			return status;
		buffer_free(said);
		nanosleep(&pause, NULL);
	}
}
