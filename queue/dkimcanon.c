/*
 * What of a message does a DKIM signature cover?
 *
 * Called by dkim.c.  Blanks are spaces and tabs, a line ends with CRLF; a CR
 * or LF that stands alone is an octet like any other.
 *
 * It makes no digest and knows no tag: see dkim.c.
 */
#include "queue/dkimcanon.h"

#include <string.h>

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/*
 * Header fields.
 */

struct slice
dkimcanon_cut_field(struct slice *header)
{
	struct slice field = { header->at, header->len };
	size_t at;

	for (at = 0; at + 1 < header->len; at++)
		if (header->at[at] == '\r' && header->at[at + 1] == '\n' &&
		    (at + 2 == header->len || !is_blank(header->at[at + 2]))) {
			field.len = at + 2;
			break;
		}
	header->at += field.len;
	header->len -= field.len;
	return field;
}

struct slice
dkimcanon_name(struct slice field)
{
	const char *colon = memchr(field.at, ':', field.len);

	field.len = colon == NULL ? 0 : (size_t)(colon - field.at);
	return slice_trim(field);
}

/* Lower case, whatever the locale. */
static void
put_name(struct buffer *out, struct slice name)
{
	size_t at;
	char c;

	for (at = 0; at < name.len; at++) {
		c = name.at[at];
		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		buffer_add(out, (struct slice){ &c, 1 });
	}
}

/* Is there a CRLF at this place of a field?  It is a fold, or the end. */
static bool
is_line_end(struct slice text, size_t at)
{
	return at + 1 < text.len && text.at[at] == '\r' &&
	    text.at[at + 1] == '\n';
}

/* Unfolded, runs of blanks as one space, none at either end. */
static void
put_value(struct buffer *out, struct slice value)
{
	bool blank = false, begun = false;
	size_t at;

	for (at = 0; at < value.len; at++) {
		if (is_line_end(value, at)) {
			at++;
		} else if (is_blank(value.at[at])) {
			blank = true;
		} else {
			if (blank && begun)
				buffer_add(out, SLICE(" "));
			buffer_add(out, (struct slice){ value.at + at, 1 });
			begun = true;
			blank = false;
		}
	}
}

/* DKIM-6376-3.4.2-1 RFC 6376 3.4.2 */
void
dkimcanon_field(struct buffer *out, struct slice field)
{
	const char *colon = memchr(field.at, ':', field.len);
	size_t len;

	if (colon == NULL)
		return;
	put_name(out, dkimcanon_name(field));
	buffer_add(out, SLICE(":"));
	len = (size_t)(colon - field.at) + 1;
	put_value(out, (struct slice){ field.at + len, field.len - len });
}

/*
 * The body.
 */

static void
put(struct dkimcanon_body *body, uint8_t octet)
{
	body->out[body->len++] = octet;
	if (body->len == sizeof(body->out)) {
		body->put(body->context, body->out, body->len);
		body->len = 0;
	}
}

static void
put_line_end(struct dkimcanon_body *body)
{
	put(body, '\r');
	put(body, '\n');
}

/*
 * An octet that is no blank: what was put off because it could have been the
 * end of a line, or of the body, was not.
 */
static void
put_text(struct dkimcanon_body *body, uint8_t octet)
{
	for (; body->lines > 0; body->lines--)
		put_line_end(body);
	if (body->blank)
		put(body, ' ');
	body->blank = false;
	body->any = true;
	put(body, octet);
}

static void
end_line(struct dkimcanon_body *body)
{
	body->blank = false;
	body->lines++;
}

static void
add_octet(struct dkimcanon_body *body, uint8_t octet)
{
	if (body->cr && octet == '\n') {
		body->cr = false;
		end_line(body);
		return;
	}
	if (body->cr)
		put_text(body, '\r');
	body->cr = octet == '\r';
	if (body->cr)
		return;
	if (is_blank((char)octet))
		body->blank = true;
	else
		put_text(body, octet);
}

/* DKIM-6376-3.4.2-1 RFC 6376 3.4.4 */
void
dkimcanon_body_add(struct dkimcanon_body *body, const void *octets, size_t len)
{
	const uint8_t *octet = octets;

	while (len-- > 0)
		add_octet(body, *octet++);
}

/*
 * Empty lines at the end are nothing, and so is a body of them alone: it ends
 * with one CRLF if anything was put at all.
 */
void
dkimcanon_body_end(struct dkimcanon_body *body)
{
	if (body->cr)
		put_text(body, '\r');
	body->cr = false;
	/* DKIM-6376-3.4.3-1 RFC 6376 3.4.4: nothing stays nothing. */
	if (body->any)
		put_line_end(body);
	if (body->len > 0)
		body->put(body->context, body->out, body->len);
	body->len = 0;
}
