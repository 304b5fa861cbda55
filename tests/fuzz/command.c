/*
 * Fuzz target: a command line of an SMTP client (smtpd/command.c).
 *
 * Whatever it is, the answer is nothing or a 5yz with a code of its class; a
 * line that is taken holds no octet that could end a line elsewhere; and a
 * mailbox that was taken, printed and parsed again, is itself.
 */
#include "smtpd/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int	LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len);

static void
check_refusal(const struct answer *answer)
{
	if (answer->code < 500 || answer->code > 555 ||
	    strncmp(answer->text, "5.", 2) != 0 ||
	    strpbrk(answer->text, "\r\n") != NULL)
		abort();
}

static void
check_mailbox(const struct command *command)
{
	char text[MAILBOX_TEXT_MAX], line[MAILBOX_TEXT_MAX + 16];
	struct command again;

	mailbox_print(&command->mailbox, text);
	for (const char *at = text; *at != '\0'; at++)
		if (*at < ' ' || *at > '~')
			abort();
	snprintf(line, sizeof(line), "%s<%s>", command->verb == COMMAND_MAIL ?
	    "MAIL FROM:" : "RCPT TO:", text);
	if (command_parse(slice_of(line), &again).code != 0 ||
	    strcmp(again.mailbox.local, command->mailbox.local) != 0 ||
	    !domain_equal(&again.mailbox.domain, &command->mailbox.domain))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len)
{
	struct slice line = { (const char *)octets, len };
	struct command command;
	struct answer answer;

	answer = command_parse(line, &command);
	if (command_verb(line) != command.verb)
		abort();
	if (answer.code != 0) {
		check_refusal(&answer);
		return 0;
	}
	for (size_t i = 0; i < len; i++)
		if (octets[i] == '\0' || octets[i] == '\r' ||
		    octets[i] == '\n' || octets[i] > 0x7f)
			abort();
	if (command.verb == COMMAND_MAIL || command.verb == COMMAND_RCPT)
		check_mailbox(&command);
	return 0;
}
