/*
 * What did culver-policy find at a name?
 *
 * Called by dkimctl.c.  The line is made by a program of our own, by
 * buffer_json; this reads that much of JSON and no more.
 */
#include "queue/dkimline.h"

#include <string.h>

struct reader {
	const char	*at, *end;
	struct region	*region;
	bool		 octets;	/* \u00ff is an octet, not UTF-8 */
};

static void
skip_blanks(struct reader *reader)
{
	while (reader->at < reader->end && (*reader->at == ' ' ||
	    *reader->at == '\t' || *reader->at == '\r' ||
	    *reader->at == '\n'))
		reader->at++;
}

/* Is this the next character?  Then take it. */
static bool
take(struct reader *reader, char c)
{
	skip_blanks(reader);
	if (reader->at == reader->end || *reader->at != c)
		return false;
	reader->at++;
	return true;
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The code of \uXXXX, behind its u. */
static bool
take_code(struct reader *reader, unsigned *code)
{
	unsigned i;
	int value;

	*code = 0;
	for (i = 0; i < 4; i++) {
		if (reader->at == reader->end)
			return false;
		value = hex_value(*reader->at++);
		if (value == -1)
			return false;
		*code = *code << 4 | (unsigned)value;
	}
	/* Halves of pairs: buffer_json writes such characters as they are. */
	return *code < 0xd800 || *code > 0xdfff;
}

static void
put_code(const struct reader *reader, unsigned code, char *out, size_t *len)
{
	if (code < 0x80 || (reader->octets && code < 0x100)) {
		out[(*len)++] = (char)code;
	} else if (code < 0x800) {
		out[(*len)++] = (char)(0xc0 | code >> 6);
		out[(*len)++] = (char)(0x80 | (code & 0x3f));
	} else {
		out[(*len)++] = (char)(0xe0 | code >> 12);
		out[(*len)++] = (char)(0x80 | (code >> 6 & 0x3f));
		out[(*len)++] = (char)(0x80 | (code & 0x3f));
	}
}

/* What follows a backslash. */
static bool
take_escape(struct reader *reader, char *out, size_t *len)
{
	static const char letters[] = "\"\\/bfnrt";
	static const char meant[] = "\"\\/\b\f\n\r\t";
	const char *letter;
	unsigned code;
	char c;

	if (reader->at == reader->end)
		return false;
	c = *reader->at++;
	if (c == 'u') {
		if (!take_code(reader, &code))
			return false;
		put_code(reader, code, out, len);
		return true;
	}
	letter = c != '\0' ? strchr(letters, c) : NULL;
	if (letter == NULL)
		return false;
	out[(*len)++] = meant[letter - letters];
	return true;
}

/* How long a string is as written, at most: to its quote, or to the end. */
static size_t
string_length(const struct reader *reader)
{
	const char *at = reader->at;

	while (at < reader->end && *at != '"')
		at += *at == '\\' && at + 1 < reader->end ? 2 : 1;
	return (size_t)(at - reader->at);
}

/* A string; decoded it is never longer than written. */
static bool
take_string(struct reader *reader, struct slice *text)
{
	size_t len = 0;
	char *out, c;

	if (!take(reader, '"'))
		return false;
	out = region_alloc(reader->region, string_length(reader) + 1);
	while (reader->at < reader->end) {
		c = *reader->at++;
		if (c == '"') {
			*text = (struct slice){ out, len };
			return true;
		}
		if ((unsigned char)c < ' ')
			return false;
		if (c != '\\')
			out[len++] = c;
		else if (!take_escape(reader, out, &len))
			return false;
	}
	return false;
}

/* A list of strings; the first are kept. */
static bool
take_list(struct reader *reader, struct slice *list, size_t most, size_t *n)
{
	struct slice text;

	*n = 0;
	if (!take(reader, '['))
		return false;
	if (take(reader, ']'))
		return true;
	do {
		if (!take_string(reader, &text))
			return false;
		if (*n < most)
			list[*n] = text;
		++*n;
	} while (take(reader, ','));
	return take(reader, ']');
}

/* A number, true, false or null. */
static bool
skip_word(struct reader *reader)
{
	const char *begin;

	skip_blanks(reader);
	begin = reader->at;
	while (reader->at < reader->end && *reader->at != '\0' &&
	    strchr("abcdefghijklmnopqrstuvwxyzE0123456789+-.",
	    *reader->at) != NULL)
		reader->at++;
	return reader->at > begin;
}

static bool
skip_value(struct reader *reader)
{
	struct slice text;
	size_t n;

	skip_blanks(reader);
	if (reader->at < reader->end && *reader->at == '"')
		return take_string(reader, &text);
	if (reader->at < reader->end && *reader->at == '[')
		return take_list(reader, NULL, 0, &n);
	return skip_word(reader);
}

static bool
take_member(struct reader *reader, struct dkimline *line)
{
	struct slice name;
	bool taken;

	if (!take_string(reader, &name) || !take(reader, ':'))
		return false;
	if (slice_equal(name, SLICE("name")))
		return take_string(reader, &line->name);
	if (slice_equal(name, SLICE("outcome")))
		return take_string(reader, &line->outcome);
	if (slice_equal(name, SLICE("text")))
		return take_string(reader, &line->text);
	if (!slice_equal(name, SLICE("records")))
		return skip_value(reader);
	reader->octets = true;
	taken = take_list(reader, line->records, DKIMLINE_RECORDS_MAX,
	    &line->records_n);
	reader->octets = false;
	return taken;
}

bool
dkimline_parse(struct slice text, struct region *region, struct dkimline *line)
{
	struct reader reader = { text.at, text.at + text.len, region, false };

	memset(line, 0, sizeof(*line));
	line->name = line->outcome = line->text = SLICE("");
	if (text.len > DKIMLINE_MAX || !take(&reader, '{'))
		return false;
	if (!take(&reader, '}')) {
		do {
			if (!take_member(&reader, line))
				return false;
		} while (take(&reader, ','));
		if (!take(&reader, '}'))
			return false;
	}
	skip_blanks(&reader);
	return reader.at == reader.end;
}
