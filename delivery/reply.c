/*
 * What did the server answer?
 *
 * Called by session.c with octets as they come, by its fuzz target with
 * anything.  One reply at a time: what follows stays in the caller's buffer,
 * so that answers to pipelined commands are never taken for one another.  It
 * does not judge what a code means for mail: session.c does.
 */
#include "delivery/reply.h"

#include <stdio.h>
#include <string.h>

void
reply_begin(struct reply_parser *parser, struct reply *reply,
    void (*line)(void *context, struct slice text, bool first), void *context)
{
	*reply = (struct reply){ 0 };
	parser->reply = reply;
	parser->line = line;
	parser->context = context;
	parser->state = REPLY_MORE;
	parser->octets = 0;
	parser->text_len = 0;
	parser->line_len = 0;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* One number of a status, 1 to 3 digits without leading zero; 0: none. */
static size_t
status_number(struct slice text)
{
	size_t n = 0;

	while (n < text.len && n < 4 && is_digit(text.at[n]))
		n++;
	if (n > 3 || (n > 1 && text.at[0] == '0'))
		return 0;
	return n;
}

/*
 * The status at the beginning of a line's text: class "." subject "." detail
 * (RFC 2034 4, RFC 3463 2).  Returns its length, 0 when there is none.
 */
static size_t
status_length(struct slice text)
{
	size_t at, n;
	unsigned i;

	if (text.len < 5 || !is_digit(text.at[0]))
		return 0;
	at = 1;
	for (i = 0; i < 2; i++) {
		if (at >= text.len || text.at[at] != '.')
			return 0;
		at++;
		n = status_number((struct slice){ text.at + at,
		    text.len - at });
		if (n == 0)
			return 0;
		at += n;
	}
	return at == text.len || text.at[at] == ' ' ? at : 0;
}

/* EXT-2034-4-5: believed when its class is the reply's and it says one. */
static void
take_status(struct reply *reply, struct slice text)
{
	size_t len;

	len = status_length(text);
	if (len == 0 || (unsigned)(text.at[0] - '0') != reply->code / 100 ||
	    reply->code / 100 == 3)
		return;
	slice_store((struct slice){ text.at, len }, reply->enhanced,
	    sizeof(reply->enhanced));
}

/* Keep the line for log and DSN; what has no room is cut (trap T50). */
static void
keep_line(struct reply_parser *parser, struct slice line)
{
	struct reply *reply = parser->reply;
	size_t room, i;

	if (reply->lines > 0 && parser->text_len + 1 < sizeof(reply->text))
		reply->text[parser->text_len++] = '\n';
	room = sizeof(reply->text) - 1 - parser->text_len;
	if (line.len > room)
		line.len = room;
	/* Texts between programs hold no NUL. */
	for (i = 0; i < line.len; i++)
		reply->text[parser->text_len++] =
		    line.at[i] != '\0' ? line.at[i] : '?';
}

/* The code of a line, 0 when it has none.  SMTP-4.2-3: 2 to 5 begin one. */
static unsigned
line_code(struct slice line)
{
	if (line.len < 3 || line.at[0] < '2' || line.at[0] > '5' ||
	    !is_digit(line.at[1]) || !is_digit(line.at[2]))
		return 0;
	/* SMTP-4.2-5: "250" alone is understood. */
	if (line.len > 3 && line.at[3] != ' ' && line.at[3] != '-')
		return 0;
	return (unsigned)(line.at[0] - '0') * 100 +
	    (unsigned)(line.at[1] - '0') * 10 + (unsigned)(line.at[2] - '0');
}

/* It is no reply: nothing of it is believed, its text is kept. */
static enum reply_state
violation(struct reply *reply)
{
	reply->code = 0;
	reply->enhanced[0] = '\0';
	return REPLY_VIOLATION;
}

/* A line is complete.  SMTP-4.2-1: the one without hyphen is the last. */
static enum reply_state
end_line(struct reply_parser *parser)
{
	struct reply *reply = parser->reply;
	struct slice line = { parser->kept, parser->line_len };
	struct slice text;
	unsigned code;

	if (line.len > sizeof(parser->kept))
		line.len = sizeof(parser->kept);
	else if (line.len > 0 && line.at[line.len - 1] == '\r')
		line.len--;
	keep_line(parser, line);
	parser->line_len = 0;
	code = line_code(line);
	/* SMTP-4.2.1-1: lines of one reply agree, or it is none. */
	if (code == 0 || (reply->lines > 0 && code != reply->code))
		return violation(reply);
	reply->code = code;
	text = (struct slice){ line.at + 4, line.len > 4 ? line.len - 4 : 0 };
	if (reply->lines == 0)
		take_status(reply, text);
	if (parser->line != NULL)
		parser->line(parser->context, text, reply->lines == 0);
	reply->lines++;
	return line.len > 3 && line.at[3] == '-' ? REPLY_MORE : REPLY_WHOLE;
}

/* SMTP-4.5.3.1.5-1: long lines are read to their end and kept in part. */
enum reply_state
reply_feed(struct reply_parser *parser, const char *octets, size_t len,
    size_t *used)
{
	size_t i;

	for (i = 0; i < len && parser->state == REPLY_MORE; i++) {
		parser->octets++;
		if (octets[i] == '\n') {
			parser->state = end_line(parser);
		} else {
			if (parser->line_len < sizeof(parser->kept))
				parser->kept[parser->line_len] = octets[i];
			parser->line_len++;
			if (parser->octets >= REPLY_OCTETS_MAX)
				parser->state = violation(parser->reply);
		}
	}
	*used = i;
	return parser->state;
}

/* SMTP-4.2-2: all that decides; the text is for log and status. */
unsigned
reply_class(const struct reply *reply)
{
	return reply->code / 100;
}

void
reply_status(const struct reply *reply, char *status, size_t size)
{
	unsigned class = reply_class(reply);

	if (reply->enhanced[0] != '\0')
		snprintf(status, size, "%s", reply->enhanced);
	else if (class == 2 || class == 4 || class == 5)
		snprintf(status, size, "%u.0.0", class);
	else
		snprintf(status, size, "%s", "");
}
