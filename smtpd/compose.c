/*
 * What becomes of a message that a local user submits?
 *
 * Called by sendmail.c; pure but for the time zone of Date.  Lines get CRLF,
 * what must be in a header and is missing is added at its end, blind copies
 * are taken out, bare names get a domain.  All else stays as it was, octet
 * for octet (MSG-6532-3.2-1).
 */
#include "smtpd/compose.h"

#include "conf/utf8.h"
#include "smtpd/date.h"
#include "smtpd/headers.h"

#include <stdlib.h>
#include <string.h>

/* Longest name that is put into From. */
#define NAME_MAX_OCTETS	200
/* RFC 2047 2: an encoded word has 75 characters at most. */
#define ENCODED_MAX	75

/* ---- lines ---- */

/*
 * MSG-5322-2.1-1, MSG-5322-2.3-1 RFC 5322 2.1, 2.3: LF, CRLF and a lone CR
 * each end a line, and each becomes CRLF.
 */
static void
make_lines(struct slice text, struct buffer *out)
{
	const char *at = text.at, *end = at, *stop;

	if (text.len > 0)
		end += text.len;
	while (at < end) {
		for (stop = at; stop < end && *stop != '\r' && *stop != '\n';)
			stop++;
		buffer_add(out, (struct slice){ at, (size_t)(stop - at) });
		buffer_add(out, SLICE("\r\n"));
		if (stop + 1 < end && stop[0] == '\r' && stop[1] == '\n')
			stop++;
		at = stop < end ? stop + 1 : end;
	}
}

/* MSG-5322-2.2-2: the line by which a mailbox file parts messages */
static struct slice
drop_mbox_line(struct slice text)
{
	if (slice_begins(text, SLICE("From ")) ||
	    slice_begins(text, SLICE(">From ")))
		slice_cut(&text, '\n');
	return text;
}

/* ---- names ---- */

static bool
is_atom_or_blank(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') ||
	    (c != '\0' && strchr(" !#$%&'*+-/=?^_`{|}~", c) != NULL);
}

/* One encoded character of RFC 2047 4.2, as 5 (3) allows in a phrase. */
static void
encode(struct buffer *out, unsigned char c)
{
	if (c == ' ')
		buffer_add(out, SLICE("_"));
	else if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9'))
		buffer_printf(out, "%c", c);
	else
		buffer_printf(out, "=%02X", c);
}

/* Whole characters as encoded words, folded between them. */
static void
encode_words(struct buffer *out, struct slice name, const char *charset)
{
	struct buffer word = { NULL, 0, 0 }, character = { NULL, 0, 0 };
	const size_t frame = strlen("=?" "?Q?" "?=") + strlen(charset);
	unsigned len, i;

	while (name.len > 0) {
		len = utf8_length(name);
		if (len == 0)
			len = 1;
		for (i = 0; i < len; i++)
			encode(&character, (unsigned char)name.at[i]);
		if (frame + word.len + character.len > ENCODED_MAX) {
			buffer_printf(out, "=?%s?Q?%s?=\r\n ", charset,
			    word.text);
			buffer_free(&word);
		}
		buffer_add(&word, (struct slice){ character.text,
		    character.len });
		buffer_free(&character);
		name.at += len;
		name.len -= len;
	}
	buffer_printf(out, "=?%s?Q?%s?=", charset, word.text);
	buffer_free(&word);
}

static void
quote(struct buffer *out, struct slice name)
{
	size_t i;

	buffer_add(out, SLICE("\""));
	for (i = 0; i < name.len; i++) {
		if (name.at[i] == '"' || name.at[i] == '\\')
			buffer_add(out, SLICE("\\"));
		buffer_add(out, (struct slice){ name.at + i, 1 });
	}
	buffer_add(out, SLICE("\""));
}

/* Without line ends and other controls (MSG-5322-5-1), and not too long. */
static struct slice
clean_name(const char *name, char clean[NAME_MAX_OCTETS + 1])
{
	struct slice rest = slice_of(name);
	size_t n = 0;
	unsigned len;

	while (rest.len > 0) {
		len = utf8_length(rest);
		len = len > 0 ? len : 1;
		if (n + len > NAME_MAX_OCTETS)
			break;
		memcpy(clean + n, rest.at, len);
		if ((unsigned char)clean[n] < ' ' || clean[n] == 0x7f)
			clean[n] = ' ';
		n += len;
		rest.at += len;
		rest.len -= len;
	}
	return slice_trim((struct slice){ clean, n });
}

void
compose_phrase(struct buffer *out, const char *name)
{
	char clean[NAME_MAX_OCTETS + 1];
	struct slice text = clean_name(name, clean);
	bool ascii = true, plain = true, utf8 = true;
	size_t i, len;

	for (i = 0; i < text.len; i += len > 0 ? len : 1) {
		len = utf8_length((struct slice){ text.at + i, text.len - i });
		ascii = ascii && len == 1;
		utf8 = utf8 && len > 0;
		plain = plain && is_atom_or_blank(text.at[i]);
	}
	if (!ascii)
		encode_words(out, text, utf8 ? "UTF-8" : "unknown-8bit");
	else if (plain && memmem(text.at, text.len, "=?", 2) == NULL)
		buffer_add(out, text);
	else
		quote(out, text);
}

/* ---- the header ---- */

/* Which fields there are. */
struct found {
	bool	from, date, message_id, resent_to;
};

/* Fields with addresses, and what is done with them. */
static const struct field_kind {
	const char	*name;
	bool		 recipients, resent, blind;
} field_kinds[] = {
	{ "To", true, false, false },
	{ "Cc", true, false, false },
	{ "Bcc", true, false, true },
	{ "Resent-To", true, true, false },
	{ "Resent-Cc", true, true, false },
	{ "Resent-Bcc", true, true, true },
	{ "From", false, false, false },
	{ "Sender", false, false, false },
	{ "Reply-To", false, false, false },
	{ "Resent-From", false, true, false },
	{ "Resent-Sender", false, true, false },
	{ "Resent-Reply-To", false, true, false },
};

/* MSG-5322-4.5-1: names without case */
static const struct field_kind *
kind_of(const struct headers_field *field)
{
	size_t i;

	for (i = 0; i < sizeof(field_kinds) / sizeof(field_kinds[0]); i++)
		if (headers_is(field, field_kinds[i].name))
			return &field_kinds[i];
	return NULL;
}

static struct found
find_fields(struct slice text)
{
	struct found found = { false, false, false, false };
	const struct field_kind *kind;
	struct headers_field field;

	while (headers_next(&text, &field)) {
		kind = kind_of(&field);
		found.from |= headers_is(&field, "From");
		found.date |= headers_is(&field, "Date");
		found.message_id |= headers_is(&field, "Message-ID");
		found.resent_to |= kind != NULL && kind->resent &&
		    kind->recipients;
	}
	return found;
}

/* A field on its way out: what of it is copied already. */
struct completing {
	struct buffer		*out;
	const char		*copied;
	const struct domain	*mail_domain;
};

/* MSG-5322-3.4.1-1: a bare name gets its domain behind it. */
static void
complete_address(void *context, const struct headers_address *address)
{
	struct completing *completing = context;

	if (address->domain[0] != '\0')
		return;
	buffer_add(completing->out, (struct slice){ completing->copied,
	    (size_t)(address->local_end - completing->copied) });
	buffer_printf(completing->out, "@%s", completing->mail_domain->name);
	completing->copied = address->local_end;
}

/*
 * Copy a field with addresses.  One that is malformed is copied as it is: it
 * is not ours to mend.
 */
static void
copy_addresses(const struct compose *compose,
    const struct headers_field *field, struct buffer *out)
{
	struct buffer copy = { NULL, 0, 0 };
	struct completing completing = { &copy, field->whole.at,
	    &compose->mail_domain };
	const char *end = field->whole.at + field->whole.len;
	struct slice fault;

	if (headers_addresses(field->body, complete_address, &completing,
	    &fault)) {
		buffer_add(&copy, (struct slice){ completing.copied,
		    (size_t)(end - completing.copied) });
		buffer_add(out, (struct slice){ copy.text, copy.len });
	} else {
		buffer_add(out, field->whole);
	}
	buffer_free(&copy);
}

/* SMTP-B-1, MSG-5322-3.6.6-1: are these -t's recipients? */
static bool
names_recipients(const struct compose *compose, const struct field_kind *kind,
    const struct found *found)
{
	return compose->from_header && kind->recipients &&
	    kind->resent == found->resent_to;
}

/* One field of the message: its recipients, and itself. */
static bool
take_field(const struct compose *compose, const struct found *found,
    const struct headers_field *field, struct envelope *envelope,
    struct buffer *message, struct buffer *error)
{
	const struct field_kind *kind = kind_of(field);

	if (kind == NULL) {
		buffer_add(message, field->whole);
		return true;
	}
	if (names_recipients(compose, kind, found) &&
	    !envelope_add(envelope, field->body, &compose->mail_domain,
	    error))
		return false;
	/* SMTP-B-2, MSG-5322-3.6.3-1, MSG-5322-3.6.6-2 */
	if (kind->blind)
		return true;
	if (compose->as_it_is || compose->mail_domain.name[0] == '\0')
		buffer_add(message, field->whole);
	else
		copy_addresses(compose, field, message);
	return true;
}

static void
add_from(const struct compose *compose, struct buffer *message)
{
	char address[MAILBOX_TEXT_MAX];
	struct buffer phrase = { NULL, 0, 0 };

	mailbox_print(&compose->author, address);
	if (compose->name != NULL)
		compose_phrase(&phrase, compose->name);
	if (phrase.len > 0)
		buffer_printf(message, "From: %s <%s>\r\n", phrase.text,
		    address);
	else
		buffer_printf(message, "From: %s\r\n", address);
	buffer_free(&phrase);
}

/*
 * MSG-5322-3.6-1, MSG-5322-3.6-2, MSG-5322-3.6.4-1 RFC 5322 3.6.  What is
 * there stays (MSG-6854-2-1: also a group in From), and To and Cc may be
 * missing (MSG-5322-3.6.3-2).
 */
static void
add_missing(const struct compose *compose, const struct found *found,
    struct buffer *message)
{
	char date[DATE_TEXT_MAX];

	if (compose->as_it_is)
		return;
	if (!found->from)
		add_from(compose, message);
	if (!found->date)
		buffer_printf(message, "Date: %s\r\n",
		    date_print(compose->wall_s, date));
	/* MSG-5322-3.6.4-3: 128 random bits need no clock and no pid */
	if (!found->message_id)
		buffer_printf(message, "Message-ID: <%016llx%016llx@%s>\r\n",
		    (unsigned long long)compose->random[0],
		    (unsigned long long)compose->random[1], compose->host);
}

/* The empty line and the body; MSG-5322-2.2-1: the line may be missing */
static void
add_body(struct slice rest, struct buffer *message)
{
	if (!slice_begins(rest, SLICE("\r\n")))
		buffer_add(message, SLICE("\r\n"));
	buffer_add(message, rest);
}

static bool
compose_lines(const struct compose *compose, struct slice rest,
    struct envelope *envelope, struct buffer *message, struct buffer *error)
{
	const struct found found = find_fields(rest);
	struct headers_field field;

	while (headers_next(&rest, &field))
		if (!take_field(compose, &found, &field, envelope, message,
		    error))
			return false;
	add_missing(compose, &found, message);
	add_body(rest, message);
	return true;
}

bool
compose_message(const struct compose *compose, struct slice text,
    struct envelope *envelope, struct buffer *message, struct buffer *error)
{
	struct buffer lines = { NULL, 0, 0 };
	bool good;

	if (text.len > 0 && memchr(text.at, '\0', text.len) != NULL) {
		buffer_add(error, SLICE("the message holds a NUL"));
		return false;
	}
	make_lines(drop_mbox_line(text), &lines);
	good = compose_lines(compose, (struct slice){ lines.text, lines.len },
	    envelope, message, error);
	buffer_free(&lines);
	return good;
}
