/*
 * Which of the octets after 354 are the message, where does it end, and is
 * it one that we take?
 *
 * Called by dialogue.c for each block that was read; all pure.  The states
 * are in data.h.  A message that will be refused is still read to its true
 * end, so that nothing in it is ever taken for a command.  It changes
 * nothing: dots are un-stuffed and that is all (SMTP-3.6.3-5, SMTP-2.4-3,
 * SMTP-4.5.2-3, EXT-6152-3-1).
 *
 * The work is done by memchr over whole lines and by words over whole runs;
 * no loop here looks at single octets of a body.
 */
#include "smtpd/data.h"

#include <string.h>

void
data_begin(struct data *data)
{
	memset(data, 0, sizeof(*data));
	data->state = DATA_LINE_START;
	data->in_header = true;
}

static void
advance(struct slice *cursor, size_t octets)
{
	cursor->at += octets;
	cursor->len -= octets;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Keep the value of a Message-ID field, which may begin in the next line. */
static void
note_msgid(struct data *data, struct slice value)
{
	value = slice_trim(value);
	if (value.len >= sizeof(data->msgid))
		value.len = sizeof(data->msgid) - 1;
	if (data->msgid[0] == '\0')
		slice_store(value, data->msgid, sizeof(data->msgid));
	data->in_msgid = data->msgid[0] == '\0';
}

/*
 * A whole line of the header.  SMTP-3.3-6, SMTP-3.3-7: what is no field is
 * let through; only an empty line ends the header here, so that a loop shows
 * even where somebody broke the header.
 */
static void
note_header_line(struct data *data)
{
	struct slice value = { data->field, data->field_len }, name;

	if (value.len == 0) {
		data->in_header = false;
		return;
	}
	if (is_blank(value.at[0])) {
		if (data->in_msgid)
			note_msgid(data, value);
		return;
	}
	data->in_msgid = false;
	name = slice_trim(slice_cut(&value, ':'));
	if (value.at == NULL)
		return;
	/* SMTP-6.3-1 RFC 5321 6.3 */
	if (slice_equal_nocase(name, SLICE("Received")))
		data->received++;
	else if (slice_equal_nocase(name, SLICE("Message-ID")) &&
	    data->msgid[0] == '\0')
		note_msgid(data, value);
}

/* Keep what is looked at of a header line; the rest of it may be long. */
static void
add_field(struct data *data, const char *at, size_t len)
{
	size_t room = sizeof(data->field) - data->field_len;

	if (len > room)
		len = room;
	memcpy(data->field + data->field_len, at, len);
	data->field_len += len;
}

static void
count_line(struct data *data, size_t octets)
{
	data->line_octets += octets;
	if (data->line_octets > DATA_LINE_MAX)
		data->long_line = true;
}

/*
 * A piece of one line without the CR and LF that end it: a CR in here is a
 * lone one.
 */
static void
take_text(struct data *data, const char *at, size_t len)
{
	if (len == 0)
		return;
	if (memchr(at, '\r', len) != NULL)
		data->bare = true;
	count_line(data, len);
	if (data->in_header)
		add_field(data, at, len);
}

static void
end_line(struct data *data)
{
	if (data->in_header)
		note_header_line(data);
	data->field_len = 0;
	data->line_octets = 0;
}

/*
 * Text from *at to an LF or to stop.  Returns true when a CRLF ended the
 * line.  SMTP-2.3.8-1 RFC 5321 2.3.8: a lone LF is noted and ends nothing.
 */
static bool
take_line(struct data *data, const char **at, const char *stop)
{
	const char *start = *at, *lf, *end;
	bool after_cr = data->state == DATA_TEXT_CR;

	lf = memchr(start, '\n', (size_t)(stop - start));
	end = lf != NULL ? lf : stop;
	*at = lf != NULL ? lf + 1 : stop;
	if (end > start) {
		if (after_cr)
			data->bare = true;
		after_cr = end[-1] == '\r';
		take_text(data, start, (size_t)(end - start) - after_cr);
	}
	data->state = after_cr ? DATA_TEXT_CR : DATA_TEXT;
	if (lf == NULL)
		return false;
	data->state = DATA_TEXT;
	if (!after_cr) {
		data->bare = true;
		return false;
	}
	end_line(data);
	return true;
}

static bool
has_eight_bit(const char *at, size_t len)
{
	uint64_t word, all = 0;

	for (; len >= sizeof(word); at += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		all |= word;
	}
	for (; len > 0; at++, len--)
		all |= (unsigned char)*at;
	return (all & 0x8080808080808080u) != 0;
}

/* Lines from *input up to one that begins with a dot, or all of it. */
static struct slice
take_lines(struct data *data, struct slice *input)
{
	const char *at = input->at, *stop = at + input->len;
	struct slice run = *input;

	while (at < stop && data->state != DATA_LINE_START)
		if (take_line(data, &at, stop) && (at == stop || *at == '.'))
			data->state = DATA_LINE_START;
	run.len = (size_t)(at - run.at);
	advance(input, run.len);
	data->size_bytes += run.len;
	if (memchr(run.at, '\0', run.len) != NULL)
		data->bare = true;
	if (!data->eight_bit)
		data->eight_bit = has_eight_bit(run.at, run.len);
	return run;
}

/*
 * The octet behind a dot that begins a line, or behind that dot's CR.  False
 * when it is text.  SMTP-4.1.1.4-1, SMTP-4.5.2-2 RFC 5321 4.5.2
 */
static bool
take_after_dot(struct data *data, char c)
{
	if (data->state == DATA_DOT && c == '\r') {
		data->state = DATA_DOT_CR;
		return true;
	}
	if (data->state == DATA_DOT_CR && c == '\n') {	/* SMTP-D-1 */
		data->state = DATA_ENDED;
		return true;
	}
	if (data->state == DATA_DOT_CR)
		data->bare = true;
	data->state = DATA_TEXT;
	return false;
}

void
data_take(struct data *data, struct slice *input, struct slice *run)
{
	*run = (struct slice){ input->at, 0 };
	if (input->len == 0 || data->state == DATA_ENDED)
		return;
	if (data->state == DATA_LINE_START) {
		data->state = DATA_TEXT;
		if (input->at[0] == '.') {
			data->state = DATA_DOT;
			advance(input, 1);
			return;
		}
	} else if (data->state == DATA_DOT || data->state == DATA_DOT_CR) {
		if (take_after_dot(data, input->at[0])) {
			advance(input, 1);
			return;
		}
	}
	*run = take_lines(data, input);
}

struct answer
data_refusal(const struct data *data, uint64_t max_bytes)
{
	/* SMTP-2.3.8-1, ruling 12 */
	if (data->bare)
		return (struct answer){ 550, "5.5.2 lone CR or LF, or NUL" };
	/* SMTP-4.5.3.1.6-1, MSG-5322-2.1.1-1, ruling 13 */
	if (data->long_line)
		return (struct answer){ 550,
		    "5.6.0 line longer than 65536 octets" };
	if (data->received > DATA_RECEIVED_MAX)
		return (struct answer){ 554,
		    "5.4.6 more than 100 Received fields: a loop" };
	if (data->size_bytes > max_bytes)
		return (struct answer){ 552, "5.3.4 message too large" };
	return (struct answer){ 0, NULL };
}
