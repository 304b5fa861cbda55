/*
 * How does an answer look to a person?
 *
 * Called by culverctl.  Lines of JSON come in, cut anywhere; aligned text goes
 * out.  Tables are made in blocks of 500 rows, the first of which decides how
 * wide a column is at least, so that a queue of a million messages is neither
 * held in memory nor waited for.  A line that is no JSON is written as it is.
 *
 * What servers said comes along in these texts: control characters never reach
 * the terminal.
 */
#include "conf/render.h"

#include "conf/mem.h"
#include "conf/utf8.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_ROWS	500
#define COLUMNS_MAX	16
/* A column that is no wider than this is filled up; wider cells stick out. */
#define WIDTH_MAX	60

struct row {
	char	*cell[COLUMNS_MAX];
};

/* A column of a table: the key its cells stand under. */
struct column {
	char	title[64];
	char	key[64];
	size_t	width;
	bool	number;		/* to the right */
};

struct render {
	enum render_form form;
	FILE		*out;
	struct buffer	 line;
	unsigned	 objects;	/* so far */
	struct column	 column[COLUMNS_MAX];
	size_t		 columns_n;
	bool		 headed;	/* the titles are written */
	struct row	*rows;
	size_t		 rows_n;
};

/* ---- text ---- */

/* Append text, on one line and harmless to a terminal. */
static void
put_clean(struct buffer *out, const char *text)
{
	struct slice rest = slice_of(text);
	unsigned len;

	while (rest.len > 0) {
		len = utf8_length(rest);
		if (len == 0 || utf8_is_control(rest.at, len))
			buffer_add(out, rest.at[0] == '\n' ? SLICE(" ") :
			    SLICE("?"));
		else
			buffer_add(out, (struct slice){ rest.at, len });
		len = len > 0 ? len : 1;
		rest.at += len;
		rest.len -= len;
	}
}

static void	put_value(struct buffer *out, const json_t *value);

static void
put_array(struct buffer *out, const json_t *array)
{
	size_t i;

	for (i = 0; i < json_array_size(array); i++) {
		if (i > 0)
			buffer_add(out, SLICE(", "));
		put_value(out, json_array_get(array, i));
	}
}

/* An object in a line: "key=value key=value". */
static void
put_pairs(struct buffer *out, const json_t *object)
{
	const char *key;
	json_t *value;
	size_t before = out->len;

	json_object_foreach((json_t *)(uintptr_t)object, key, value) {
		if (out->len > before)
			buffer_add(out, SLICE(" "));
		put_clean(out, key);
		buffer_add(out, SLICE("="));
		put_value(out, value);
	}
}

static void
put_value(struct buffer *out, const json_t *value)
{
	if (value == NULL || json_is_null(value))
		return;
	if (json_is_string(value))
		put_clean(out, json_string_value(value));
	else if (json_is_integer(value))
		buffer_printf(out, "%" JSON_INTEGER_FORMAT,
		    json_integer_value(value));
	else if (json_is_real(value))
		buffer_printf(out, "%g", json_real_value(value));
	else if (json_is_boolean(value))
		buffer_printf(out, "%s", json_is_true(value) ? "yes" : "no");
	else if (json_is_array(value))
		put_array(out, value);
	else
		put_pairs(out, value);
}

/* A value as text of its own, never NULL. */
static char *
text_of(const json_t *value)
{
	struct buffer text = { NULL, 0, 0 };

	buffer_add(&text, SLICE(""));
	put_value(&text, value);
	return text.text;
}

/* How many places text takes, if a character takes one. */
static size_t
width_of(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

/* "max_age" as "MAX AGE". */
static void
title_of(const char *key, char *title, size_t size)
{
	size_t i;

	for (i = 0; key[i] != '\0' && i + 1 < size; i++)
		title[i] = key[i] == '_' ? ' ' :
		    key[i] >= 'a' && key[i] <= 'z' ?
		    (char)(key[i] - 'a' + 'A') : key[i];
	title[i] = '\0';
}

/* ---- tables ---- */

static void
measure(struct render *render)
{
	struct column *column;
	size_t i, j, width;

	for (j = 0; j < render->columns_n; j++) {
		column = &render->column[j];
		width = width_of(column->title);
		if (width > column->width)
			column->width = width;
		for (i = 0; i < render->rows_n; i++) {
			width = width_of(render->rows[i].cell[j]);
			if (width > column->width && width <= WIDTH_MAX)
				column->width = width;
		}
	}
}

static void
put_cell(struct buffer *line, const struct column *column, const char *text)
{
	size_t width = width_of(text);
	int fill = width < column->width ? (int)(column->width - width) : 0;

	if (column->number)
		buffer_printf(line, "%*s%s  ", fill, "", text);
	else
		buffer_printf(line, "%s%*s  ", text, fill, "");
}

/* A line of cells; without a row, the titles. */
static void
write_row(const struct render *render, const struct row *row)
{
	struct buffer line = { NULL, 0, 0 };
	size_t j;

	for (j = 0; j < render->columns_n; j++)
		put_cell(&line, &render->column[j], row != NULL ?
		    row->cell[j] : render->column[j].title);
	while (line.len > 0 && line.text[line.len - 1] == ' ')
		line.len--;
	fprintf(render->out, "%.*s\n", (int)line.len,
	    line.text != NULL ? line.text : "");
	buffer_free(&line);
}

static void
write_rows(struct render *render)
{
	size_t i, j;

	if (render->rows_n == 0)
		return;
	measure(render);
	if (!render->headed)
		write_row(render, NULL);
	render->headed = true;
	for (i = 0; i < render->rows_n; i++) {
		write_row(render, &render->rows[i]);
		for (j = 0; j < render->columns_n; j++)
			free(render->rows[i].cell[j]);
	}
	render->rows_n = 0;
}

static struct row *
next_row(struct render *render)
{
	if (render->rows_n == BLOCK_ROWS)
		write_rows(render);
	if (render->rows == NULL)
		render->rows = mem_alloc(BLOCK_ROWS * sizeof(*render->rows));
	return &render->rows[render->rows_n++];
}

static void
add_column(struct render *render, const char *key, const char *title,
    bool number)
{
	struct column *column = &render->column[render->columns_n++];

	memset(column, 0, sizeof(*column));
	snprintf(column->key, sizeof(column->key), "%s", key);
	snprintf(column->title, sizeof(column->title), "%s", title);
	column->number = number;
}

/* Has the object other keys than the table has columns? */
static bool
is_other_table(const struct render *render, const json_t *object)
{
	size_t j;

	if (json_object_size(object) != render->columns_n &&
	    render->columns_n < COLUMNS_MAX)
		return true;
	for (j = 0; j < render->columns_n; j++)
		if (json_object_get(object, render->column[j].key) == NULL)
			return true;
	return false;
}

/* Columns from the object's keys; a table of another kind begins below. */
static void
begin_table(struct render *render, json_t *object)
{
	char title[64];
	const char *key;
	json_t *value;

	if (!is_other_table(render, object))
		return;
	write_rows(render);
	if (render->headed)
		fputc('\n', render->out);
	render->headed = false;
	render->columns_n = 0;
	json_object_foreach(object, key, value) {
		if (render->columns_n == COLUMNS_MAX)
			break;
		title_of(key, title, sizeof(title));
		add_column(render, key, title, json_is_number(value));
	}
}

static void
add_object_row(struct render *render, const json_t *object)
{
	struct row *row = next_row(render);
	size_t j;

	for (j = 0; j < render->columns_n; j++)
		row->cell[j] = text_of(json_object_get(object,
		    render->column[j].key));
}

/* ---- objects ---- */

/*
 * "key  value" lines, indented; objects inside, and arrays of them, as
 * paragraphs of their own below their key.
 */
static void	write_object(struct render *, json_t *object, int indent);

static bool
is_nested(const json_t *value)
{
	return json_is_object(value) || (json_is_array(value) &&
	    json_is_object(json_array_get(value, 0)));
}

static void
write_pair(const struct render *render, int indent, int width,
    const char *key, const json_t *value)
{
	char *text = text_of(value);

	if (text[0] == '\0')
		fprintf(render->out, "%*s%s\n", indent, "", key);
	else
		fprintf(render->out, "%*s%-*s  %s\n", indent, "", width, key,
		    text);
	free(text);
}

static void
write_nested(struct render *render, int indent, const char *key,
    json_t *value)
{
	size_t i;

	if (json_is_object(value)) {
		fprintf(render->out, "%*s%s\n", indent, "", key);
		write_object(render, value, indent + 4);
		return;
	}
	for (i = 0; i < json_array_size(value); i++) {
		fprintf(render->out, "%*s%s %zu\n", indent, "", key, i + 1);
		write_object(render, json_array_get(value, i), indent + 4);
	}
}

static void
write_object(struct render *render, json_t *object, int indent)
{
	const char *key;
	json_t *value;
	int width = 0, length;

	json_object_foreach(object, key, value) {
		length = (int)width_of(key);
		if (!is_nested(value) && length > width)
			width = length;
	}
	json_object_foreach(object, key, value) {
		if (is_nested(value))
			write_nested(render, indent, key, value);
		else
			write_pair(render, indent, width, key, value);
	}
}

/* ---- the queue ---- */

static const char *
string_at(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? text : "";
}

/* "450 4.7.5 text (RFC 8461 5)" of a recipient's last attempt. */
static char *
reason_of(const json_t *last)
{
	struct buffer text = { NULL, 0, 0 };
	json_int_t code = json_integer_value(json_object_get(last, "code"));
	const char *enhanced = string_at(last, "enhanced");
	const char *clause = string_at(last, "clause");

	buffer_add(&text, SLICE(""));
	if (code > 0)
		buffer_printf(&text, "%" JSON_INTEGER_FORMAT " ", code);
	if (enhanced[0] != '\0') {
		put_clean(&text, enhanced);
		buffer_add(&text, SLICE(" "));
	}
	put_clean(&text, string_at(last, "text"));
	if (clause[0] != '\0') {
		buffer_add(&text, SLICE(" ("));
		put_clean(&text, clause);
		buffer_add(&text, SLICE(")"));
	}
	return text.text;
}

enum { Q_ID, Q_SIZE, Q_ARRIVED, Q_FROM, Q_TO, Q_STATE, Q_TRIES, Q_NEXT,
	Q_REASON };

static void
begin_queue(struct render *render)
{
	if (render->columns_n > 0)
		return;
	add_column(render, "id", "ID", false);
	add_column(render, "size", "SIZE", true);
	add_column(render, "arrived", "ARRIVED", false);
	add_column(render, "from", "FROM", false);
	add_column(render, "to", "TO", false);
	add_column(render, "state", "STATE", false);
	add_column(render, "attempts", "TRIES", true);
	add_column(render, "next", "NEXT", false);
	add_column(render, "last", "REASON", false);
}

/* When it is next; of what is held, until when it is. */
static char *
next_of(const json_t *object)
{
	const json_t *until = json_object_get(object, "held_until");
	struct buffer text = { NULL, 0, 0 };

	if (!json_is_string(until))
		return text_of(json_object_get(object, "next"));
	buffer_add(&text, SLICE("held until "));
	put_value(&text, until);
	return text.text;
}

static void
set_cell(struct row *row, size_t column, char *text)
{
	free(row->cell[column]);
	row->cell[column] = text;
}

/* The first row of a message says what all its recipients share. */
static void
add_recipient(struct render *render, const json_t *message,
    const json_t *recipient, bool first)
{
	struct row *row = next_row(render);
	size_t j;

	for (j = 0; j <= Q_FROM; j++)
		row->cell[j] = first ? text_of(json_object_get(message,
		    render->column[j].key)) : mem_copy("");
	if (first && row->cell[Q_FROM][0] == '\0') {
		free(row->cell[Q_FROM]);
		row->cell[Q_FROM] = mem_copy("<>");
	}
	for (j = Q_TO; j <= Q_NEXT; j++)
		row->cell[j] = text_of(json_object_get(recipient,
		    render->column[j].key));
	set_cell(row, Q_NEXT, next_of(recipient));
	row->cell[Q_REASON] = reason_of(json_object_get(recipient, "last"));
}

static void
add_message(struct render *render, const json_t *message)
{
	const json_t *recipients = json_object_get(message, "recipients");
	size_t i;

	begin_queue(render);
	if (json_array_size(recipients) == 0)
		add_recipient(render, message, NULL, true);
	for (i = 0; i < json_array_size(recipients); i++)
		add_recipient(render, message, json_array_get(recipients, i),
		    i == 0);
}

/* ---- destinations ---- */

enum { D_DOMAIN, D_CLASS, D_STATE, D_WAITING, D_FAILURES, D_NEXT, D_PROOF,
	D_REASON };

static void
add_destination(struct render *render, const json_t *destination)
{
	static const char *const keys[] = { "domain", "class", "state",
		"waiting", "failures", "next", "proof", "last" };
	struct row *row;
	char title[64];
	size_t j;

	for (j = 0; render->columns_n == j && j <= D_REASON; j++) {
		title_of(keys[j], title, sizeof(title));
		add_column(render, keys[j], j == D_REASON ? "REASON" : title,
		    j == D_WAITING || j == D_FAILURES);
	}
	row = next_row(render);
	for (j = 0; j < D_REASON; j++)
		row->cell[j] = text_of(json_object_get(destination, keys[j]));
	set_cell(row, D_NEXT, next_of(destination));
	row->cell[D_REASON] = reason_of(json_object_get(destination, "last"));
}

/* ---- tables whose columns do not depend on the first row ---- */

static const char *const policy_keys[] = {
	"domain", "mode", "id", "expires", "mx", "error", NULL
};
static const char *const address_keys[] = {
	"valid", "local", "domain", "reason", "clause", NULL
};

static void
add_fixed_row(struct render *render, const char *const *keys,
    const json_t *object)
{
	char title[64];
	size_t j;

	for (j = 0; render->columns_n == j && keys[j] != NULL; j++) {
		title_of(keys[j], title, sizeof(title));
		add_column(render, keys[j], title, false);
	}
	add_object_row(render, object);
}

/* ---- explain ---- */

#define SCREEN_WIDTH	80
#define LABEL_WIDTH	12

/* What a value means to a postmaster; others are shown as they are. */
struct wording {
	const char	*key, *value, *text;	/* text "": not worth a word */
};
static const struct wording wordings[] = {
	{ "type", "sts", "MTA-STS" },
	{ "type", "tlsa", "DANE: the host's TLSA records" },
	{ "type", "no-policy-found", "none found" },
	{ "requirement", "none", "nothing: TLS if it can be had" },
	{ "requirement", "encrypt", "encryption, with whatever certificate" },
	{ "requirement", "pkix", "a certificate for its name, of a known CA, "
	  "in date" },
	{ "requirement", "dane", "a key of its TLSA records" },
	{ "requirement", "dane+pkix", "a key of its TLSA records, and a "
	  "certificate for its name, of a known CA, in date" },
	{ "mx_match", "yes", "covered by the policy" },
	{ "mx_match", "no", "not covered by the policy" },
	{ "sts_cached", "yes", "the policy is the one kept from before" },
	{ "sts_cached", "no", "" },
	{ "mx_secure", "yes", "MX signed" },
	{ "mx_secure", "no", "MX not signed" },
	{ "address_secure", "yes", "address signed" },
	{ "address_secure", "no", "address not signed" },
	{ "tlsa", "insecure", "" },	/* as its MX or address is */
	{ "tlsa", "absent", "no TLSA records" },
	{ "tlsa", "usable", "TLSA records" },
	{ "tlsa", "unusable", "TLSA records that mail cannot use" },
	{ "tlsa", "failed", "the answer about TLSA records is broken" },
	{ "connected", "yes", "connected" },
	{ "connected", "no", "not connected" },
	{ "starttls", "absent", "STARTTLS not offered" },
	{ "starttls", "refused", "STARTTLS offered and refused" },
	{ "starttls", "broken", "STARTTLS broke off" },
	{ "starttls", "done", "STARTTLS done" },
	{ "exempt", "yes", "exempt by culver.conf" },
	{ "exempt", "no", "" },
	{ "name_given", "yes", "name not by MX" },
	{ "name_given", "no", "" },
	{ "verdict", "try", "may be tried" },
	{ "verdict", "skip", "not tried" },
	{ "verdict", "unreachable", "could not be reached" },
	{ "verdict", "send", "good enough: it was given mail" },
	{ "verdict", "next", "not good enough: it was given no mail" },
	{ "verdict", "reconnect", "TLS failed: again without" },
	{ "verdict", "refused", "would not serve us" },
	{ "verdict", "closed", "closed the connection" },
	{ "verdict", "timeout", "did not answer in time" },
	{ "verdict", "violation", "did not speak SMTP" },
	{ "verdict", "stopped", "stopped by us" },
};

/* The words for it, or NULL. */
static const char *
wording_of(const char *key, const char *value)
{
	size_t i;

	for (i = 0; i < sizeof(wordings) / sizeof(wordings[0]); i++)
		if (strcmp(wordings[i].key, key) == 0 &&
		    strcmp(wordings[i].value, value) == 0)
			return wordings[i].text;
	return NULL;
}

/* How many octets of this text go on a line of so many places. */
static size_t
line_length(const char *text, size_t places)
{
	size_t i, used = 0, best = 0;

	for (i = 0; text[i] != '\0'; i++) {
		if (text[i] == ' ' && (used <= places || best == 0))
			best = i;
		used += ((unsigned char)text[i] & 0xc0) != 0x80;
		if (used > places && best > 0)
			return best;
	}
	/* A word that is too long for any line is not cut. */
	return used <= places || best == 0 ? i : best;
}

/* "label  text", which goes on below itself; nothing if there is no text. */
static void
write_labelled(const struct render *render, int indent, const char *label,
    const char *text)
{
	const int left = indent + LABEL_WIDTH;
	size_t len;

	if (text[0] == '\0')
		return;
	fprintf(render->out, "%*s%-*s", indent, "", LABEL_WIDTH - 1, label);
	for (;;) {
		len = line_length(text, (size_t)(SCREEN_WIDTH - left));
		fprintf(render->out, " %.*s\n", (int)len, text);
		text += len;
		text += strspn(text, " ");
		if (text[0] == '\0')
			return;
		fprintf(render->out, "%*s", left - 1, "");
	}
}

static void
add_item(struct buffer *text, const char *separator, const char *item)
{
	if (item[0] == '\0')
		return;
	if (text->len > 0)
		buffer_add(text, slice_of(separator));
	buffer_add(text, slice_of(item));
}

/* "certificate expired" of a fact; "" if it is not worth a word. */
static void
add_fact(struct buffer *text, const char *key, const json_t *value)
{
	char *plain = text_of(value);
	const char *words = wording_of(key, plain);
	struct buffer item = { NULL, 0, 0 };
	size_t i;

	buffer_add(&item, SLICE(""));
	if (words != NULL) {
		buffer_add(&item, slice_of(words));
	} else if (plain[0] != '\0') {
		put_clean(&item, key);
		buffer_add(&item, SLICE(" "));
		for (i = 0; i < item.len; i++)
			if (item.text[i] == '_')
				item.text[i] = ' ';
		buffer_add(&item, slice_of(plain));
	}
	add_item(text, ", ", item.text);
	buffer_free(&item);
	free(plain);
}

/* What was found out about a host; its policy is told above all hosts. */
static void
explain_facts(const struct render *render, const json_t *facts)
{
	const bool has_sts = string_at(facts, "sts")[0] != '\0';
	struct buffer text = { NULL, 0, 0 };
	const char *key;
	json_t *value;

	buffer_add(&text, SLICE(""));
	json_object_foreach((json_t *)(uintptr_t)facts, key, value) {
		if (strcmp(key, "policy") == 0 || strcmp(key, "sts") == 0 ||
		    strcmp(key, "sts_id") == 0 ||
		    strcmp(key, "policy_error") == 0 ||
		    (strcmp(key, "mx_match") == 0 && !has_sts))
			continue;
		add_fact(&text, key, value);
	}
	write_labelled(render, 4, "found", text.text);
	buffer_free(&text);
}

/* A value by itself, in words if there are any. */
static void
explain_line(const struct render *render, int indent, const char *label,
    const char *key, const json_t *object)
{
	char *text = text_of(json_object_get(object, key));
	const char *words = wording_of(key, text);

	write_labelled(render, indent, label, words != NULL ? words : text);
	free(text);
}

/* The values of two keys on one line. */
static void
explain_both(const struct render *render, int indent, const char *label,
    const json_t *object, const char *key, const char *other)
{
	char *one = text_of(json_object_get(object, key));
	char *two = text_of(json_object_get(object, other));
	struct buffer text = { NULL, 0, 0 };

	buffer_add(&text, SLICE(""));
	add_item(&text, "", one);
	add_item(&text, ", ", two);
	write_labelled(render, indent, label, text.text);
	buffer_free(&text);
	free(one);
	free(two);
}

/* What kept us from it is known of the route, and told with each host. */
static const char *
policy_error_of(const json_t *attempt)
{
	const json_t *host = json_array_get(json_object_get(attempt, "hosts"),
	    0);

	return string_at(json_object_get(host, "facts"), "policy_error");
}

static void
explain_policy(const struct render *render, const json_t *attempt)
{
	const json_t *policy = json_object_get(attempt, "policy");
	const char *error = policy_error_of(attempt);
	const char *type = string_at(policy, "type");
	const char *words = policy != NULL && type[0] == '\0' ?
	    "not known: no host was found" : wording_of("type", type);
	const char *mode = string_at(policy, "mode");
	struct buffer text = { NULL, 0, 0 };

	buffer_add(&text, SLICE(""));
	put_clean(&text, words != NULL ? words : type);
	if (mode[0] != '\0') {
		buffer_add(&text, strcmp(type, "sts") == 0 ? SLICE(" ") :
		    SLICE("; MTA-STS "));
		put_clean(&text, mode);
		buffer_add(&text, SLICE(", id "));
		put_clean(&text, string_at(policy, "id"));
	}
	if (error[0] != '\0') {
		buffer_add(&text, text.len > 0 ? SLICE("; ") : SLICE(""));
		put_clean(&text, error);
	}
	write_labelled(render, 2, "policy", text.text);
	buffer_free(&text);
}

/* What is told elsewhere, so that keys added later are told below. */
static bool
is_told(const char *key)
{
	static const char *const told[] = {
		"host", "address", "facts", "requirement", "verdict", "rule",
		"clause", "enhanced", "tls", "reply", "text", "repair", "id",
		"time", "domain", "recipients", "policy", "hosts", "outcome"
	};
	size_t i;

	for (i = 0; i < sizeof(told) / sizeof(told[0]); i++)
		if (strcmp(told[i], key) == 0)
			return true;
	return false;
}

static void
explain_rest(const struct render *render, int indent, json_t *object)
{
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value)
		if (!is_told(key))
			explain_line(render, indent, key, key, object);
}

static void
explain_host(const struct render *render, json_t *host)
{
	char *name = text_of(json_object_get(host, "host"));
	char *address = text_of(json_object_get(host, "address"));
	const json_t *tls = json_object_get(host, "tls");

	fprintf(render->out, "\n  %s%s%s%s\n", name,
	    address[0] != '\0' ? " [" : "", address,
	    address[0] != '\0' ? "]" : "");
	explain_facts(render, json_object_get(host, "facts"));
	explain_both(render, 4, "TLS", tls, "version", "cipher");
	explain_line(render, 4, "must prove", "requirement", host);
	explain_line(render, 4, "verdict", "verdict", host);
	explain_both(render, 4, "rule", host, "rule", "clause");
	explain_line(render, 4, "reply", "reply", host);
	explain_rest(render, 4, host);
	explain_line(render, 4, "to mend it", "repair", host);
	free(name);
	free(address);
}

/* Is what would mend it told with one of the hosts? */
static bool
repair_is_told(const json_t *hosts, const char *repair)
{
	size_t i;

	for (i = 0; i < json_array_size(hosts); i++)
		if (strcmp(string_at(json_array_get(hosts, i), "repair"),
		    repair) == 0)
			return true;
	return false;
}

/* The last word about the attempt, unless it is "HOST: " and the repair. */
static bool
says_more(const char *text, const char *repair)
{
	const size_t len = strlen(text), tail = strlen(repair);

	return tail == 0 || len < tail ||
	    strcmp(text + len - tail, repair) != 0;
}

static void
explain_head(const struct render *render, json_t *attempt)
{
	char *time = text_of(json_object_get(attempt, "time"));
	char *domain = text_of(json_object_get(attempt, "domain"));
	char *outcome = text_of(json_object_get(attempt, "outcome"));
	char *enhanced = text_of(json_object_get(attempt, "enhanced"));

	fprintf(render->out, "%s  %s  %s%s%s\n", time, domain,
	    outcome[0] != '\0' ? outcome : "not attempted yet",
	    enhanced[0] != '\0' ? " " : "", enhanced);
	explain_line(render, 2, "message", "id", attempt);
	explain_line(render, 2, "for", "recipients", attempt);
	explain_policy(render, attempt);
	free(time);
	free(domain);
	free(outcome);
	free(enhanced);
}

static void
add_attempt(struct render *render, json_t *attempt)
{
	const json_t *hosts = json_object_get(attempt, "hosts");
	const char *repair = string_at(attempt, "repair");
	size_t i;

	if (render->objects > 1)
		fputc('\n', render->out);
	explain_head(render, attempt);
	if (says_more(string_at(attempt, "text"), repair))
		explain_line(render, 2, "why", "text", attempt);
	explain_both(render, 2, "rule", attempt, "rule", "clause");
	explain_rest(render, 2, attempt);
	if (!repair_is_told(hosts, repair))
		explain_line(render, 2, "to mend it", "repair", attempt);
	for (i = 0; i < json_array_size(hosts); i++)
		explain_host(render, json_array_get(hosts, i));
}

/* ---- reports ---- */

enum { R_DOMAIN, R_DAY, R_PHASE, R_GOOD, R_BAD, R_URI, R_STATE, R_TRIES,
	R_NEXT, R_WHY };

static void
begin_reports(struct render *render)
{
	if (render->columns_n > 0)
		return;
	add_column(render, "domain", "DOMAIN", false);
	add_column(render, "day", "DAY", false);
	add_column(render, "phase", "PHASE", false);
	add_column(render, "succeeded", "GOOD", true);
	add_column(render, "failed", "FAILED", true);
	add_column(render, "uri", "RECEIVER", false);
	add_column(render, "phase", "STATE", false);
	add_column(render, "attempts", "TRIES", true);
	add_column(render, "next", "NEXT", false);
	add_column(render, "why", "WHY", false);
}

/* Is this number one of the words of text ("HTTP 201")? */
static bool
says_number(const char *text, const char *number)
{
	const char *at = strstr(text, number);
	const size_t len = strlen(number);

	for (; at != NULL; at = strstr(at + 1, number))
		if ((at == text || at[-1] == ' ') &&
		    strchr(" -", at[len]) != NULL)
			return true;
	return false;
}

/* "550 text" of a receiver's last answer, and whether it proved its name. */
static char *
answer_of(const json_t *receiver)
{
	struct buffer text = { NULL, 0, 0 };
	char *code = text_of(json_object_get(receiver, "code"));

	buffer_add(&text, SLICE(""));
	if (strcmp(code, "0") != 0 &&
	    !says_number(string_at(receiver, "text"), code))
		add_item(&text, " ", code);
	if (string_at(receiver, "text")[0] != '\0') {
		if (text.len > 0)
			buffer_add(&text, SLICE(" "));
		put_clean(&text, string_at(receiver, "text"));
	}
	if (json_is_true(json_object_get(receiver, "unverified")))
		add_item(&text, "; ", "certificate not verified");
	free(code);
	return text.text;
}

/* The first row of a day says what is true of all its receivers. */
static void
add_receiver(struct render *render, const json_t *day,
    const json_t *receiver, bool first)
{
	struct row *row = next_row(render);
	size_t j;

	for (j = R_DOMAIN; j <= R_BAD; j++)
		row->cell[j] = first ? text_of(json_object_get(day,
		    render->column[j].key)) : mem_copy("");
	/* Its day is over, and it waits for its time. */
	if (first && json_is_true(json_object_get(day, "due"))) {
		free(row->cell[R_PHASE]);
		row->cell[R_PHASE] = mem_copy("due");
	}
	for (j = R_URI; j <= R_NEXT; j++)
		row->cell[j] = text_of(json_object_get(receiver,
		    render->column[j].key));
	row->cell[R_WHY] = receiver != NULL ? answer_of(receiver) :
	    text_of(json_object_get(day, "why"));
	if (receiver == NULL) {
		free(row->cell[R_NEXT]);
		row->cell[R_NEXT] = text_of(json_object_get(day, "next"));
	}
}

static void
add_day(struct render *render, const json_t *day)
{
	const json_t *receivers = json_object_get(day, "receivers");
	size_t i;

	begin_reports(render);
	if (json_array_size(receivers) == 0)
		add_receiver(render, day, NULL, true);
	for (i = 0; i < json_array_size(receivers); i++)
		add_receiver(render, day, json_array_get(receivers, i),
		    i == 0);
}

/* ---- keys that sign ---- */

static void
write_warnings(const struct render *render, const json_t *warnings)
{
	char *text;
	size_t i;

	for (i = 0; i < json_array_size(warnings); i++) {
		text = text_of(json_array_get(warnings, i));
		write_labelled(render, 2, "warning", text);
		free(text);
	}
}

/* A new key: what is to be published of it, and the line that uses it. */
static void
write_key(const struct render *render, const json_t *key)
{
	char *kind = text_of(json_object_get(key, "type"));
	char *bits = text_of(json_object_get(key, "bits"));
	char *file = text_of(json_object_get(key, "file"));
	char *line = text_of(json_object_get(key, "config"));
	char *zone = text_of(json_object_get(json_object_get(key, "record"),
	    "zone"));

	fprintf(render->out, "%s holds a new key (%s, %s bits).\n", file,
	    kind, bits);
	write_warnings(render, json_object_get(key, "warnings"));
	fprintf(render->out, "\nPublish this record:\n\n%s\n\n"
	    "Then have it used, in culver.conf:\n\n%s\n", zone, line);
	free(kind);
	free(bits);
	free(file);
	free(line);
	free(zone);
}

static const struct wording verdict_words[] = {
	{ "verdict", "fits", "the published key fits" },
	{ "verdict", "absent", "no key is published" },
	{ "verdict", "another-key", "another key is published" },
	{ "verdict", "unusable", "what is published cannot be used" },
	{ "verdict", "unknown", "could not tell" },
};

static void
write_key_check(const struct render *render, const json_t *check)
{
	const json_t *record = json_object_get(check, "record");
	char *domain = text_of(json_object_get(check, "domain"));
	char *selector = text_of(json_object_get(check, "selector"));
	char *verdict = text_of(json_object_get(check, "verdict"));
	const char *words = verdict;
	char *text;
	size_t i;

	for (i = 0; i < sizeof(verdict_words) / sizeof(verdict_words[0]); i++)
		if (strcmp(verdict_words[i].value, verdict) == 0)
			words = verdict_words[i].text;
	fprintf(render->out, "%s._domainkey.%s: %s\n", selector, domain,
	    words);
	text = text_of(json_object_get(check, "text"));
	write_labelled(render, 2, "why", text);
	free(text);
	write_warnings(render, json_object_get(check, "warnings"));
	text = text_of(json_object_get(record, "zone"));
	if (text[0] != '\0')
		fprintf(render->out, "\nThe record of the file's key:\n\n"
		    "%s\n", text);
	free(text);
	free(domain);
	free(selector);
	free(verdict);
}

/* ---- lines ---- */

static void
add_object(struct render *render, json_t *object)
{
	render->objects++;
	switch (render->form) {
	case RENDER_TABLE:
		begin_table(render, object);
		add_object_row(render, object);
		return;
	case RENDER_QUEUE:
		add_message(render, object);
		return;
	case RENDER_DOMAINS:
		add_destination(render, object);
		return;
	case RENDER_POLICIES:
		add_fixed_row(render, policy_keys, object);
		return;
	case RENDER_ADDRESSES:
		add_fixed_row(render, address_keys, object);
		return;
	case RENDER_EXPLAIN:
		add_attempt(render, object);
		return;
	case RENDER_REPORTS:
		add_day(render, object);
		return;
	case RENDER_KEY:
		write_key(render, object);
		return;
	case RENDER_KEY_CHECK:
		write_key_check(render, object);
		return;
	case RENDER_OBJECT:
		if (render->objects > 1)
			fputc('\n', render->out);
		write_object(render, object, 0);
		return;
	case RENDER_JSON:
	case RENDER_TEXT:
		return;
	}
}

static void
add_line(struct render *render, const char *line, size_t len)
{
	json_t *object = json_loadb(line, len, 0, NULL);

	if (json_is_object(object))
		add_object(render, object);
	else
		fprintf(render->out, "%.*s\n", (int)len, line);
	json_decref(object);
}

struct render *
render_new(enum render_form form, FILE *out)
{
	struct render *render = mem_alloc(sizeof(*render));

	render->form = form;
	render->out = out;
	return render;
}

void
render_add(struct render *render, const void *octets, size_t len)
{
	struct slice rest = { octets, len }, line;

	if (render->form == RENDER_JSON || render->form == RENDER_TEXT) {
		fwrite(octets, 1, len, render->out);
		return;
	}
	while (rest.len > 0) {
		line = slice_cut(&rest, '\n');
		buffer_add(&render->line, line);
		if (rest.at == NULL)
			return;		/* the line goes on */
		add_line(render, render->line.text, render->line.len);
		render->line.len = 0;
	}
}

void
render_end(struct render **at)
{
	struct render *render = *at;

	if (render->line.len > 0)
		add_line(render, render->line.text, render->line.len);
	write_rows(render);
	fflush(render->out);
	free(render->rows);
	buffer_free(&render->line);
	free(render);
	*at = NULL;
}
