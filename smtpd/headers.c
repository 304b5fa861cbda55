/*
 * Which fields and which addresses does this header hold?
 *
 * Called by compose.c for messages that a local user submits, and for
 * recipients on the command line; all pure.  Messages from the network never
 * come here.  Fields are found by RFC 5322 2.2; addresses by 3.4 with the
 * obsolete syntax of 4.4 (MSG-5322-4-1), read token by token.
 *
 * Lenient, because such headers are common and mean one thing only: a group
 * that is not closed, and an unquoted address as display name ("a@b <a@b>").
 */
#include "smtpd/headers.h"

#include <string.h>

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

/* The length of the line at the start of text, its CRLF included. */
static size_t
line_len(struct slice text)
{
	const char *lf;

	lf = text.len > 0 ? memchr(text.at, '\n', text.len) : NULL;
	return lf != NULL ? (size_t)(lf - text.at) + 1 : text.len;
}

/* MSG-5322-2.2-1 RFC 5322 2.2, 3.6.8: ftext = %d33-57 / %d59-126 */
static size_t
name_len(struct slice text)
{
	size_t i = 0;

	while (i < text.len && text.at[i] > ' ' && text.at[i] < 0x7f &&
	    text.at[i] != ':')
		i++;
	return i;
}

bool
headers_next(struct slice *text, struct headers_field *field)
{
	struct slice rest = *text;
	size_t len = name_len(rest);

	field->name = (struct slice){ rest.at, len };
	while (len < rest.len && is_blank(rest.at[len]))
		len++;			/* MSG-5322-4-1 RFC 5322 4.5 */
	if (field->name.len == 0 || len == rest.len || rest.at[len] != ':')
		return false;
	field->body.at = rest.at + len + 1;
	do				/* MSG-5322-2.2.3-1 RFC 5322 2.2.3 */
		advance(&rest, line_len(rest));
	while (rest.len > 0 && is_blank(rest.at[0]));
	field->whole = (struct slice){ text->at,
	    (size_t)(rest.at - text->at) };
	field->body.len = (size_t)(rest.at - field->body.at);
	*text = rest;
	return true;
}

bool
headers_is(const struct headers_field *field, const char *name)
{
	return slice_equal_nocase(field->name, slice_of(name));
}

/* ---- tokens ---- */

enum token_kind {
	TOKEN_END,
	TOKEN_FAULT,
	TOKEN_ATOM,
	TOKEN_QUOTED,		/* quotes are in its text */
	TOKEN_LITERAL,		/* "[...]", brackets are in its text */
	TOKEN_SPECIAL		/* one of < > @ , ; : . */
};

struct token {
	enum token_kind	kind;
	struct slice	text;
};

static bool
is_space(char c)
{
	return is_blank(c) || c == '\r' || c == '\n';
}

/* MSG-5322-3.2.2-1 RFC 5322 3.2.2: nested, with quoted pairs */
static bool
skip_comment(struct slice *cursor)
{
	size_t depth = 0;

	while (cursor->len > 0) {
		char c = cursor->at[0];

		if (c == '\\' && cursor->len > 1)
			advance(cursor, 1);
		else if (c == '(')
			depth++;
		else if (c == ')')
			depth--;
		advance(cursor, 1);
		if (depth == 0)
			return true;
	}
	return false;
}

static bool
skip_cfws(struct slice *cursor)
{
	while (cursor->len > 0) {
		if (is_space(cursor->at[0]))
			advance(cursor, 1);
		else if (cursor->at[0] != '(')
			return true;
		else if (!skip_comment(cursor))
			return false;
	}
	return true;
}

/* Up to and with the closing mark; quoted pairs hide it. */
static bool
take_until(struct slice *cursor, char mark, struct slice *text)
{
	size_t i;

	for (i = 1; i < cursor->len; i++) {
		if (cursor->at[i] == '\\')
			i++;
		else if (cursor->at[i] == mark)
			break;
	}
	if (i >= cursor->len)
		return false;
	*text = (struct slice){ cursor->at, i + 1 };
	advance(cursor, i + 1);
	return true;
}

static bool
is_atom(char c)
{
	return (unsigned char)c > ' ' && c != 0x7f &&
	    strchr("()<>[]:;@\\,.\"", c) == NULL;
}

static struct token
take_token(struct slice *cursor)
{
	struct token token = { TOKEN_FAULT, { cursor->at, 0 } };
	char c;

	if (!skip_cfws(cursor))
		return token;
	token.text.at = cursor->at;
	if (cursor->len == 0) {
		token.kind = TOKEN_END;
		return token;
	}
	c = cursor->at[0];
	if (c == '"' && take_until(cursor, '"', &token.text)) {
		token.kind = TOKEN_QUOTED;
	} else if (c == '[' && take_until(cursor, ']', &token.text)) {
		token.kind = TOKEN_LITERAL;
	} else if (strchr("<>@,;:.", c) != NULL && c != '\0') {
		token.kind = TOKEN_SPECIAL;
		token.text.len = 1;
		advance(cursor, 1);
	} else if (is_atom(c)) {
		token.kind = TOKEN_ATOM;
		while (token.text.len < cursor->len &&
		    is_atom(cursor->at[token.text.len]))
			token.text.len++;
		advance(cursor, token.text.len);
	}
	return token;
}

static struct token
peek_token(struct slice cursor)
{
	return take_token(&cursor);
}

static bool
is_special(struct token token, char c)
{
	return token.kind == TOKEN_SPECIAL && token.text.at[0] == c;
}

/* Does the token end a member of a list? */
static bool
ends_member(struct token token)
{
	return token.kind == TOKEN_END || is_special(token, ',') ||
	    is_special(token, ';');
}

/* ---- addresses ---- */

struct list {
	struct slice	cursor;
	bool		in_group;
	void		(*call)(void *, const struct headers_address *);
	void		*context;
};

/*
 * Words and dots as they come: a phrase, or the local part of an address;
 * which of them is only known behind them.
 */
struct words {
	struct headers_address	address;
	size_t			len;
	bool			any;
	bool			no_local;	/* it can only be a phrase */
	bool			after_word;
};

static void
add_local(struct words *words, char c)
{
	if (words->len + 1 >= sizeof(words->address.local)) {
		words->no_local = true;
		return;
	}
	words->address.local[words->len++] = c;
	words->address.local[words->len] = '\0';
}

/* MSG-5322-3.2.4-1 RFC 5322 3.2.4: without quotes, pairs and folds */
static void
add_quoted(struct words *words, struct slice text)
{
	size_t i;

	for (i = 1; i + 1 < text.len; i++) {
		if (text.at[i] == '\\' && i + 2 < text.len)
			i++;
		if (text.at[i] == '\r' || text.at[i] == '\n')
			continue;
		if ((unsigned char)text.at[i] < ' ' || text.at[i] == 0x7f)
			words->no_local = true;
		add_local(words, text.at[i]);
	}
}

static void
add_word(struct words *words, struct token token)
{
	size_t i;

	if (words->after_word || token.kind == TOKEN_LITERAL)
		words->no_local = true;
	if (token.kind == TOKEN_QUOTED)
		add_quoted(words, token.text);
	else
		for (i = 0; i < token.text.len; i++)
			add_local(words, token.text.at[i]);
	words->any = words->after_word = true;
	words->address.local_end = token.text.at + token.text.len;
}

static void
add_dot(struct words *words)
{
	if (!words->after_word)
		words->no_local = true;
	add_local(words, '.');
	words->after_word = false;
}

/* Words and dots up to what is neither. */
static void
take_words(struct list *list, struct words *words)
{
	struct token token;

	memset(words, 0, sizeof(*words));
	for (;;) {
		token = peek_token(list->cursor);
		if (is_special(token, '.'))
			add_dot(words);
		else if (token.kind == TOKEN_ATOM ||
		    token.kind == TOKEN_QUOTED ||
		    token.kind == TOKEN_LITERAL)
			add_word(words, token);
		else
			return;
		take_token(&list->cursor);
	}
}

static bool
is_local(const struct words *words)
{
	return words->any && !words->no_local && words->after_word;
}

static bool
add_domain(char *domain, struct slice text)
{
	size_t len = strlen(domain), i;

	for (i = 0; i < text.len; i++) {
		if (is_space(text.at[i]))
			continue;
		if (len + 1 >= HEADERS_DOMAIN_MAX)
			return false;
		domain[len++] = text.at[i];
		domain[len] = '\0';
	}
	return true;
}

/*
 * MSG-5322-3.4.1-2 RFC 5322 3.4.1, 4.4: a literal, or atoms and dots with
 * blanks between them.  Behind the "@".
 */
static bool
take_domain(struct list *list, char domain[HEADERS_DOMAIN_MAX])
{
	struct token token = peek_token(list->cursor);
	bool after_atom = false;

	domain[0] = '\0';
	if (token.kind == TOKEN_LITERAL) {
		take_token(&list->cursor);
		return add_domain(domain, token.text);
	}
	while ((token.kind == TOKEN_ATOM && !after_atom) ||
	    is_special(token, '.')) {
		if (!add_domain(domain, token.text))
			return false;
		after_atom = token.kind == TOKEN_ATOM;
		take_token(&list->cursor);
		token = peek_token(list->cursor);
	}
	return domain[0] != '\0';
}

/* RFC 5322 4.4: obs-route, "@x,@y:", is dropped. */
static bool
drop_route(struct list *list)
{
	char domain[HEADERS_DOMAIN_MAX];
	struct token token = peek_token(list->cursor);

	if (!is_special(token, '@') && !is_special(token, ','))
		return true;
	for (;;) {
		token = take_token(&list->cursor);
		if (is_special(token, ':'))
			return true;
		if (is_special(token, ','))
			continue;
		if (!is_special(token, '@') || !take_domain(list, domain))
			return false;
	}
}

/* Behind "<": the address, its ">" and the end of the member. */
static bool
take_angle(struct list *list)
{
	struct words words;
	struct token token;

	if (!drop_route(list))
		return false;
	take_words(list, &words);
	if (!is_local(&words))
		return false;
	token = take_token(&list->cursor);
	if (is_special(token, '@')) {
		if (!take_domain(list, words.address.domain))
			return false;
		token = take_token(&list->cursor);
	}
	if (!is_special(token, '>') ||
	    !ends_member(peek_token(list->cursor)))
		return false;
	list->call(list->context, &words.address);
	return true;
}

/* Behind words and "@": the domain; or it was a phrase after all. */
static bool
take_addr_spec(struct list *list, struct words *words)
{
	if (!is_local(words) || !take_domain(list, words->address.domain))
		return false;
	if (is_special(peek_token(list->cursor), '<')) {
		take_token(&list->cursor);
		return take_angle(list);
	}
	if (!ends_member(peek_token(list->cursor)))
		return false;
	list->call(list->context, &words->address);
	return true;
}

/* One member, or the name of a group with its colon. */
static bool
take_member(struct list *list)
{
	struct words words;
	struct token token;

	take_words(list, &words);
	token = peek_token(list->cursor);
	if (ends_member(token)) {
		if (!is_local(&words))
			return false;
		list->call(list->context, &words.address);
		return true;
	}
	take_token(&list->cursor);
	if (is_special(token, '<'))
		return take_angle(list);
	if (is_special(token, '@'))
		return take_addr_spec(list, &words);
	/* MSG-5322-3.4-2 RFC 5322 3.4: a group, not within another */
	if (!is_special(token, ':') || list->in_group || !words.any)
		return false;
	list->in_group = true;
	return true;
}

/* MSG-5322-3.4-1 RFC 5322 3.4, 4.4: members may be empty */
static bool
take_members(struct list *list, struct slice *fault)
{
	struct token token;

	for (;;) {
		token = peek_token(list->cursor);
		*fault = (struct slice){ token.text.at, (size_t)
		    (list->cursor.at + list->cursor.len - token.text.at) };
		if (token.kind == TOKEN_END)
			return true;
		if (is_special(token, ',') ||
		    (is_special(token, ';') && list->in_group)) {
			if (is_special(token, ';'))
				list->in_group = false;
			take_token(&list->cursor);
		} else if (!take_member(list)) {
			return false;
		}
	}
}

bool
headers_addresses(struct slice text, void (*call)(void *context,
    const struct headers_address *address), void *context,
    struct slice *fault)
{
	struct list list = {
		.cursor = text, .call = call, .context = context
	};

	return take_members(&list, fault);
}
