/*
 * What does smtpd's address parser think of these lines?
 *
 * Called by main.c for `culver-smtpd ctl check address`, which culverctl
 * starts; no relay and no configuration is needed.  It answers a JSON object
 * for each line of standard input.
 */
#include "smtpd/ctl.h"

#include "conf/addr.h"
#include "conf/proc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINES_A_SLICE	100

/* The answer while it goes on. */
struct checking {
	char	*line;		/* getline's */
	size_t	 size;
	bool	 any, invalid;
};

static void
release(void *state)
{
	struct checking *checking = state;

	free(checking->line);
	free(checking);
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

/* The last "@" that no quoted string holds, or NULL. */
static const char *
find_at(struct slice text)
{
	const char *at = NULL;
	bool quoted = false;
	size_t i;

	for (i = 0; i < text.len; i++) {
		if (quoted && text.at[i] == '\\')
			i++;
		else if (text.at[i] == '"')
			quoted = !quoted;
		else if (text.at[i] == '@' && !quoted)
			at = &text.at[i];
	}
	return at;
}

/* Why mailbox_parse refuses this text, and by which clause. */
static const char *
reason_of(struct slice text, const char **clause)
{
	const char *at = find_at(text);
	struct domain domain;
	struct slice name;

	*clause = "RFC 5321 4.1.2";
	if (text.len == 0)
		return "empty";
	if (has_eight_bit(text)) {
		*clause = "RFC 6531 3.3";
		return "non-ASCII, which needs SMTPUTF8";
	}
	if (at == NULL)
		return "no domain";
	name = (struct slice){ at + 1,
	    (size_t)(text.at + text.len - at) - 1 };
	if (domain_parse(name, &domain))
		return "local part is no dot-string and no quoted-string, "
		    "or longer than 64 octets";
	if (name.len == 0 || name.at[0] != '[')
		return "domain is malformed, or longer than 255 octets";
	*clause = "RFC 5321 4.1.3";
	return "address literal is malformed";
}

static void
answer_valid(struct control *control, const struct mailbox *mailbox)
{
	struct buffer json = { NULL, 0, 0 };

	buffer_add(&json, SLICE("{\"valid\":true,\"local\":"));
	buffer_json(&json, slice_of(mailbox->local));
	buffer_add(&json, SLICE(",\"domain\":"));
	buffer_json(&json, slice_of(mailbox->domain.name));
	buffer_add(&json, SLICE("}"));
	control_line(control, &json);
	buffer_free(&json);
}

static void
answer_invalid(struct control *control, struct slice text)
{
	struct buffer json = { NULL, 0, 0 };
	const char *clause, *reason = reason_of(text, &clause);

	buffer_add(&json, SLICE("{\"valid\":false,\"reason\":"));
	buffer_json(&json, slice_of(reason));
	buffer_add(&json, SLICE(",\"clause\":"));
	buffer_json(&json, slice_of(clause));
	buffer_add(&json, SLICE("}"));
	control_line(control, &json);
	buffer_free(&json);
}

/* One line of input; false when there is none. */
static bool
check_line(struct control *control, struct checking *checking)
{
	struct mailbox mailbox;
	struct slice text;
	ssize_t len;

	len = getline(&checking->line, &checking->size, stdin);
	if (len <= 0)
		return false;
	text = (struct slice){ checking->line, (size_t)len };
	if (text.len > 0 && text.at[text.len - 1] == '\n')
		text.len--;
	if (text.len > 0 && text.at[text.len - 1] == '\r')
		text.len--;
	checking->any = true;
	if (mailbox_parse(text, &mailbox)) {
		answer_valid(control, &mailbox);
	} else {
		checking->invalid = true;
		answer_invalid(control, text);
	}
	return true;
}

static void
check_lines(void *program, struct control *control, void *state)
{
	struct checking *checking = state;
	int i;

	(void)program;
	for (i = 0; i < LINES_A_SLICE; i++)
		if (!check_line(control, checking)) {
			control_end(control, checking->any &&
			    !checking->invalid ? CONTROL_OK : CONTROL_NO);
			return;
		}
	control_again(control, check_lines, checking, release);
}

static void
check_address(void *program, struct control *control, int argc, char **argv)
{
	(void)program;
	(void)argv;
	if (argc > 0) {
		control_error(control, "check address takes no argument: one "
		    "address a line on standard input");
		control_end(control, CONTROL_USAGE);
		return;
	}
	control_again(control, check_lines,
	    mem_alloc(sizeof(struct checking)), release);
}

static const struct control_verb verbs[] = {
	{ "check", "address", true, check_address },
	{ NULL, NULL, false, NULL }
};

int
smtpd_ctl(int argc, char **argv)
{
	proc_confine_alone(PROGRAM_SMTPD, NULL, NULL);
	return control_run(verbs, NULL, argc, argv);
}
