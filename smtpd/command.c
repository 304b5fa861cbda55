/*
 * What does this command line say, and is it well-formed?
 *
 * Called by dialogue.c for each line that a client sent; all pure.  It does
 * not know what state the session is in, nor who may relay.  Grammar
 * functions carry the names of RFC 5321 4.1.2; a cursor is a slice that
 * shrinks from the front.
 *
 * Leniency, and no more than this: blanks before CRLF (SMTP-4.1.1-1), blanks
 * after "FROM:" and "TO:", blanks between parameters.
 */
#include "smtpd/command.h"

#include <string.h>

static const struct answer good = { 0, NULL };

enum arguments { ARGUMENT_NONE, ARGUMENT_OPTIONAL, ARGUMENT_NEEDED };

static const struct verb {
	const char		*name;
	enum command_verb	 verb;
	enum arguments		 arguments;
} verbs[] = {
	/* SMTP-4.5.1-1 RFC 5321 4.5.1: the nine that everybody has */
	{ "EHLO", COMMAND_EHLO, ARGUMENT_NEEDED },
	{ "HELO", COMMAND_HELO, ARGUMENT_NEEDED },
	{ "MAIL", COMMAND_MAIL, ARGUMENT_NEEDED },
	{ "RCPT", COMMAND_RCPT, ARGUMENT_NEEDED },
	{ "DATA", COMMAND_DATA, ARGUMENT_NONE },
	{ "RSET", COMMAND_RSET, ARGUMENT_NONE },
	{ "NOOP", COMMAND_NOOP, ARGUMENT_OPTIONAL },
	{ "QUIT", COMMAND_QUIT, ARGUMENT_NONE },
	{ "VRFY", COMMAND_VRFY, ARGUMENT_NEEDED },
	{ "HELP", COMMAND_HELP, ARGUMENT_OPTIONAL },
	/* SMTP-4.2.4-1 RFC 5321 4.2.4: known, but not implemented */
	{ "EXPN", COMMAND_UNBUILT, ARGUMENT_OPTIONAL },
	{ "STARTTLS", COMMAND_UNBUILT, ARGUMENT_OPTIONAL },
	{ "AUTH", COMMAND_UNBUILT, ARGUMENT_OPTIONAL },
	{ "BDAT", COMMAND_UNBUILT, ARGUMENT_OPTIONAL },	/* EXT-3030-2-5 */
	{ "BURL", COMMAND_UNBUILT, ARGUMENT_OPTIONAL },
	{ "ETRN", COMMAND_UNBUILT, ARGUMENT_OPTIONAL },
	{ "ATRN", COMMAND_UNBUILT, ARGUMENT_OPTIONAL },
	{ "TURN", COMMAND_UNBUILT, ARGUMENT_OPTIONAL },
	{ "SEND", COMMAND_UNBUILT, ARGUMENT_OPTIONAL },
	{ "SOML", COMMAND_UNBUILT, ARGUMENT_OPTIONAL },
	{ "SAML", COMMAND_UNBUILT, ARGUMENT_OPTIONAL },
};

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

static void
advance(struct slice *cursor, size_t octets)
{
	cursor->at += octets;
	cursor->len -= octets;
}

static void
skip_blanks(struct slice *cursor)
{
	while (cursor->len > 0 && cursor->at[0] == ' ')
		advance(cursor, 1);
}

/* SMTP-4.1.1-1 RFC 5321 4.1.1: blanks and tabs before CRLF are tolerated. */
static struct slice
trim_end(struct slice line)
{
	while (line.len > 0 && (line.at[line.len - 1] == ' ' ||
	    line.at[line.len - 1] == '\t'))
		line.len--;
	return line;
}

static bool
has_control(struct slice text)
{
	size_t i;

	for (i = 0; i < text.len; i++)
		if ((unsigned char)text.at[i] < ' ' || text.at[i] == 0x7f)
			return true;
	return false;
}

static bool
has_eight_bit(struct slice text)
{
	size_t i;

	for (i = 0; i < text.len; i++)
		if ((unsigned char)text.at[i] > 0x7f)
			return true;
	return false;
}

/* The row of the line's first word, or NULL.  SMTP-2.4-1: without case. */
static const struct verb *
find_verb(struct slice line)
{
	struct slice word = slice_cut(&line, ' ');
	size_t i;

	for (i = 0; i < COUNT(verbs); i++)
		if (slice_equal_nocase(word, slice_of(verbs[i].name)))
			return &verbs[i];
	return NULL;
}

enum command_verb
command_verb(struct slice line)
{
	const struct verb *verb = find_verb(trim_end(line));

	return verb != NULL ? verb->verb : COMMAND_UNKNOWN;
}

/* RFC 5321 4.1.2: A-d-l = At-domain *( "," At-domain ), then ":". */
static bool
drop_source_route(struct slice *path)
{
	struct slice route, at_domain;
	struct domain domain;

	route = slice_cut(path, ':');
	while (path->at != NULL && route.at != NULL) {
		at_domain = slice_cut(&route, ',');
		if (at_domain.len == 0 || at_domain.at[0] != '@')
			return false;
		advance(&at_domain, 1);
		if (!domain_parse(at_domain, &domain) ||
		    domain_is_literal(&domain))
			return false;
	}
	return path->at != NULL;
}

/* A local part without domain: one in front of a domain that is dropped. */
static bool
parse_bare(struct slice text, struct mailbox *mailbox)
{
	char completed[MAILBOX_TEXT_MAX];

	if (text.len + sizeof("@x") > sizeof(completed))
		return false;
	memcpy(completed, text.at, text.len);
	memcpy(completed + text.len, "@x", sizeof("@x"));
	if (!mailbox_parse((struct slice){ completed, text.len + 2 }, mailbox))
		return false;
	mailbox->domain.name[0] = '\0';
	return mailbox->local[0] != '\0';
}

/*
 * Take "<" ... ">" from the cursor: *path is what stands between them.  A
 * quoted string may hold a ">".
 */
static bool
take_path(struct slice *cursor, struct slice *path)
{
	bool quoted = false;
	size_t i;

	if (cursor->len == 0 || cursor->at[0] != '<')
		return false;
	for (i = 1; i < cursor->len; i++) {
		if (quoted && cursor->at[i] == '\\')
			i++;
		else if (cursor->at[i] == '"')
			quoted = !quoted;
		else if (cursor->at[i] == '>' && !quoted)
			break;
	}
	if (i >= cursor->len)
		return false;
	*path = (struct slice){ cursor->at + 1, i - 1 };
	advance(cursor, i + 1);
	return true;
}

/*
 * SMTP-4.1.1.2-1, SMTP-3.3-3 RFC 5321 4.1.1.2, 4.1.1.3: a path, whose source
 * route is parsed and ignored.
 */
static bool
parse_path(struct slice path, struct mailbox *mailbox)
{
	memset(mailbox, 0, sizeof(*mailbox));
	if (path.len > 0 && path.at[0] == '@' && !drop_source_route(&path))
		return false;
	/*
	 * SMTP-4.1.2-1, SMTP-4.1.2-5, SMTP-4.5.3.1.1-1, SMTP-4.5.3.1.2-1,
	 * SMTP-4.5.3.1.3-1: a path is as long as its parts may be
	 */
	return path.len > 0 &&
	    (mailbox_parse(path, mailbox) || parse_bare(path, mailbox));
}

/* EXT-1870-6.1-4 RFC 1870 3: size-value = 1*20DIGIT */
static bool
parse_size(struct slice value, struct command *command)
{
	size_t i;

	if (value.len < 1 || value.len > 20)
		return false;
	for (i = 0; i < value.len; i++)
		if (value.at[i] < '0' || value.at[i] > '9')
			return false;
	/* 20 digits may exceed 64 bits: too large for anybody all the same. */
	if (!slice_number(value, UINT64_MAX, &command->size_bytes))
		command->size_bytes = UINT64_MAX;
	return true;
}

/* EXT-6152-2-1, EXT-3030-3-2 RFC 6152 2: body-value */
static bool
parse_body(struct slice value, struct command *command)
{
	if (slice_equal_nocase(value, SLICE("8BITMIME")))
		command->body = BODY_8BITMIME;
	else if (!slice_equal_nocase(value, SLICE("7BIT")))
		return false;
	return true;
}

/* ---- the DSN extension, RFC 3461 ---- */

bool
command_parse_ret(struct slice value, enum dsn_ret *ret)
{
	/* DSN-3461-4.3-1, DSN-3461-5.1-2 RFC 3461 4.3 */
	if (slice_equal_nocase(value, SLICE("FULL")))
		*ret = RET_FULL;
	else if (slice_equal_nocase(value, SLICE("HDRS")))
		*ret = RET_HDRS;
	else
		return false;
	return true;
}

static bool
parse_ret(struct slice value, struct command *command)
{
	return command_parse_ret(value, &command->ret);
}

/* One element of the list; 0: it is none. */
static uint32_t
notify_element(struct slice element)
{
	static const struct {
		const char	*name;
		uint32_t	 bit;
	} known[] = {
		{ "SUCCESS", NOTIFY_SUCCESS },
		{ "FAILURE", NOTIFY_FAILURE },
		{ "DELAY", NOTIFY_DELAY },
	};
	size_t i;

	for (i = 0; i < COUNT(known); i++)
		if (slice_equal_nocase(element, slice_of(known[i].name)))
			return known[i].bit;
	return 0;
}

bool
command_parse_notify(struct slice value, uint32_t *notify)
{
	uint32_t set = 0, bit;

	/* DSN-3461-4.1-1, DSN-3461-5.1-3 RFC 3461 4.1: NEVER stands alone */
	if (slice_equal_nocase(value, SLICE("NEVER"))) {
		*notify = NOTIFY_NEVER;
		return true;
	}
	while (value.at != NULL) {
		bit = notify_element(slice_cut(&value, ','));
		if (bit == 0)
			return false;
		set |= bit;
	}
	if (set == 0)
		return false;
	*notify = set;
	return true;
}

static bool
parse_notify(struct slice value, struct command *command)
{
	return command_parse_notify(value, &command->notify);
}

/* The value of a hexadecimal digit in upper case; -1: it is none. */
static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/*
 * DSN-3461-4-2 RFC 3461 4: xtext = *( xchar / hexchar ).  What it stands for
 * is printable, for it has to fit into a header field (RFC 3461 4.2, 4.4).
 */
static bool
is_xtext(struct slice text)
{
	size_t i;
	int high, low;

	for (i = 0; i < text.len; i++) {
		if (text.at[i] < '!' || text.at[i] > '~' || text.at[i] == '=')
			return false;
		if (text.at[i] != '+')
			continue;
		if (text.len - i < 3)
			return false;
		high = hex_digit(text.at[i + 1]);
		low = hex_digit(text.at[i + 2]);
		if (high < 0 || low < 0 || high * 16 + low < ' ' ||
		    high * 16 + low > '~')
			return false;
		i += 2;
	}
	return true;
}

bool
command_is_envid(struct slice value)
{
	/* DSN-3461-4.4-1 RFC 3461 4.4: 100 characters, as encoded */
	return value.len > 0 && value.len < ENVID_TEXT_MAX &&
	    is_xtext(value);
}

static bool
parse_envid(struct slice value, struct command *command)
{
	return command_is_envid(value) && slice_store(value, command->envid,
	    sizeof(command->envid));
}

/* RFC 3461 4.2: addr-type = atom, of RFC 822 */
static bool
is_atom(struct slice text)
{
	size_t i;

	for (i = 0; i < text.len; i++)
		if (text.at[i] <= ' ' || text.at[i] > '~' ||
		    strchr("()<>@,;:\\\".[]", text.at[i]) != NULL)
			return false;
	return text.len > 0;
}

/* DSN-3461-4.2-1, DSN-3461-5.1-3 RFC 3461 4.2: addr-type ";" xtext */
static bool
parse_orcpt(struct slice value, struct command *command)
{
	struct slice rest = value, type = slice_cut(&rest, ';');

	return rest.at != NULL && rest.len > 0 && is_atom(type) &&
	    is_xtext(rest) && slice_store(value, command->orcpt,
	    sizeof(command->orcpt));
}

/* ---- parameters ---- */

/* RTLS-2-2 RFC 8689 2: the keyword alone */
static bool
parse_requiretls(struct slice value, struct command *command)
{
	command->requiretls = true;
	return value.at == NULL;
}

static const struct parameter {
	enum command_verb	 verb;
	const char		*keyword;
	/* value.at is NULL where there is none */
	bool			(*parse)(struct slice value,
				    struct command *command);
	bool			 alone;		/* has no value */
} parameters[] = {
	{ COMMAND_MAIL, "SIZE", parse_size, false },
	{ COMMAND_MAIL, "BODY", parse_body, false },
	{ COMMAND_MAIL, "RET", parse_ret, false },
	{ COMMAND_MAIL, "ENVID", parse_envid, false },
	{ COMMAND_MAIL, "REQUIRETLS", parse_requiretls, true },
	{ COMMAND_RCPT, "NOTIFY", parse_notify, false },
	{ COMMAND_RCPT, "ORCPT", parse_orcpt, false },
};

static bool
is_let_dig(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9');
}

/* RFC 5321 4.1.2: esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-") */
static bool
is_keyword(struct slice text)
{
	size_t i;

	if (text.len == 0 || text.at[0] == '-')
		return false;
	for (i = 0; i < text.len; i++)
		if (!is_let_dig(text.at[i]) && text.at[i] != '-')
			return false;
	return true;
}

/* RFC 5321 4.1.2: esmtp-value, %d33-60 / %d62-126; controls were refused. */
static bool
is_value(struct slice text)
{
	return text.len > 0 && memchr(text.at, '=', text.len) == NULL &&
	    !has_eight_bit(text);
}

static const struct parameter *
find_parameter(enum command_verb verb, bool requiretls, struct slice keyword)
{
	size_t i;

	for (i = 0; i < COUNT(parameters); i++)
		if (parameters[i].verb == verb && slice_equal_nocase(keyword,
		    slice_of(parameters[i].keyword)) &&
		    (requiretls || parameters[i].parse != parse_requiretls))
			return &parameters[i];
	return NULL;
}

/* SMTP-4.1.1.11-1 RFC 5321 4.1.1.11: unknown 555, malformed 501 */
static struct answer
parse_parameter(struct slice value, bool requiretls, struct command *command,
    unsigned *seen)
{
	static const struct answer malformed = { 501,
	    "5.5.4 malformed parameter" };
	const struct parameter *parameter;
	struct slice keyword;
	unsigned bit;

	keyword = slice_cut(&value, '=');
	if (!is_keyword(keyword) || (value.at != NULL && !is_value(value)))
		return malformed;
	parameter = find_parameter(command->verb, requiretls, keyword);
	if (parameter == NULL)	/* EXT-6531-3.1-2: SMTPUTF8 too */
		return (struct answer){ 555, "5.5.4 parameter not offered" };
	bit = 1U << (parameter - parameters);
	if (*seen & bit)	/* DSN-3461-4.5-1 RFC 3461 5.5 */
		return (struct answer){ 501, "5.5.4 parameter given twice" };
	*seen |= bit;
	if ((value.at == NULL && !parameter->alone) ||
	    !parameter->parse(value, command))
		return (struct answer){ 501, "5.5.4 bad parameter value" };
	return good;
}

static struct answer
parse_parameters(struct slice cursor, bool requiretls,
    struct command *command)
{
	struct answer answer = good;
	struct slice parameter;
	unsigned seen = 0;

	if (cursor.len > 0 && cursor.at[0] != ' ')
		return (struct answer){ 501, "5.5.2 blank expected after >" };
	while (cursor.at != NULL && answer.code == 0) {
		parameter = slice_cut(&cursor, ' ');
		if (parameter.len > 0)
			answer = parse_parameter(parameter, requiretls,
			    command, &seen);
	}
	return answer;
}

/* EXT-6531-3.5-1 RFC 6531 3.5: while SMTPUTF8 is not offered */
static struct answer
refuse_eight_bit(enum command_verb verb)
{
	return (struct answer){ verb == COMMAND_MAIL ? 550 : 553,
	    "5.6.7 non-ASCII address, SMTPUTF8 is not offered" };
}

static struct answer
refuse_path(enum command_verb verb)
{
	if (verb == COMMAND_MAIL)
		return (struct answer){ 501, "5.1.7 bad sender address" };
	return (struct answer){ 501, "5.1.3 bad recipient address" };
}

static struct answer
parse_mail_rcpt(struct slice cursor, bool requiretls,
    struct command *command)
{
	bool mail = command->verb == COMMAND_MAIL;
	struct slice prefix = slice_of(mail ? "FROM:" : "TO:");
	struct slice path;

	if (!slice_begins_nocase(cursor, prefix))
		return (struct answer){ 501, mail ?
		    "5.5.4 MAIL FROM:<address> expected" :
		    "5.5.4 RCPT TO:<address> expected" };
	advance(&cursor, prefix.len);
	skip_blanks(&cursor);
	if (!take_path(&cursor, &path))
		return has_eight_bit(cursor) ? refuse_eight_bit(command->verb) :
		    refuse_path(command->verb);
	if (has_eight_bit(path))
		return refuse_eight_bit(command->verb);
	if (!(mail && path.len == 0) && !parse_path(path, &command->mailbox))
		return refuse_path(command->verb);
	return parse_parameters(cursor, requiretls, command);
}

static struct answer
parse_hello(struct slice argument, struct command *command)
{
	/* SMTP-4.1.4-2 RFC 5321 4.1.4; SMTP-4.1.4-4: only the syntax counts */
	if (!domain_parse(argument, &command->name))
		return (struct answer){ 501,
		    "5.5.4 domain or address literal expected" };
	return good;
}

static struct answer
parse_arguments(struct slice argument, const struct verb *verb,
    bool requiretls, struct command *command)
{
	/* SMTP-4.3.2-1, SMTP-4.1.1.5-1 RFC 5321 4.3.2 */
	if (verb->arguments == ARGUMENT_NONE && argument.len > 0)
		return (struct answer){ 501, "5.5.4 no argument expected" };
	if (verb->arguments == ARGUMENT_NEEDED && argument.len == 0)
		return (struct answer){ 501, "5.5.4 argument expected" };
	if (verb->verb == COMMAND_MAIL || verb->verb == COMMAND_RCPT)
		return parse_mail_rcpt(argument, requiretls, command);
	/* SMTP-2.4-4 RFC 5321 2.4 */
	if (has_eight_bit(argument))
		return (struct answer){ 501, "5.5.2 octet above 127" };
	if (verb->verb == COMMAND_EHLO || verb->verb == COMMAND_HELO)
		return parse_hello(argument, command);
	return good;
}

struct answer
command_parse_offered(struct slice line, bool requiretls,
    struct command *command)
{
	const struct verb *verb;

	memset(command, 0, sizeof(*command));
	line = trim_end(line);
	verb = find_verb(line);
	if (verb == NULL)	/* SMTP-4.2.4-1 RFC 5321 4.2.4 */
		return (struct answer){ 500, "5.5.1 command not known" };
	command->verb = verb->verb;
	/* SMTP-4.1.2-6, SMTP-4.1.2-4 RFC 5321 4.1.2: NUL, lone CR or LF too */
	if (has_control(line))
		return (struct answer){ 501, "5.5.2 control character" };
	if (verb->verb == COMMAND_UNBUILT)
		return (struct answer){ 502, "5.5.1 not implemented" };
	slice_cut(&line, ' ');
	if (line.at != NULL)
		skip_blanks(&line);
	return parse_arguments(line, verb, requiretls, command);
}

struct answer
command_parse(struct slice line, struct command *command)
{
	return command_parse_offered(line, false, command);
}

void
command_put_xtext(struct buffer *out, const char *text)
{
	for (; *text != '\0'; text++)
		if (*text > ' ' && *text <= '~' && *text != '+' &&
		    *text != '=')
			buffer_add(out, (struct slice){ text, 1 });
		else
			buffer_printf(out, "+%02X", (unsigned char)*text);
}
