/*
 * Fuzz target: a message as a local user submits it (smtpd/headers.c,
 * envelope.c, compose.c).
 *
 * Fields and addresses lie in the text they were found in.  A message that is
 * composed has CRLF and nothing else for line ends, no blind copies, and what
 * a header must have; composing it again changes nothing but that.
 */
#include "smtpd/compose.h"
#include "smtpd/headers.h"

#include <stdlib.h>
#include <string.h>

int	LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len);

static void
check_address(void *context, const struct headers_address *address)
{
	const struct slice *list = context;

	if (strnlen(address->local, HEADERS_LOCAL_MAX) == HEADERS_LOCAL_MAX ||
	    strnlen(address->domain, HEADERS_DOMAIN_MAX) ==
	    HEADERS_DOMAIN_MAX || address->local_end <= list->at ||
	    address->local_end > list->at + list->len)
		abort();
}

static void
check_list(struct slice list)
{
	struct slice fault;

	if (!headers_addresses(list, check_address, &list, &fault) &&
	    (fault.at < list.at || fault.at + fault.len >
	    list.at + list.len))
		abort();
}

/* How many fields have this name? */
static unsigned
count(struct slice text, const char *name)
{
	struct headers_field field;
	unsigned n = 0;

	while (headers_next(&text, &field))
		n += headers_is(&field, name);
	return n;
}

static void
check_lines(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((text.at[i] == '\n' && (i == 0 ||
		    text.at[i - 1] != '\r')) || (text.at[i] == '\r' &&
		    (i + 1 == text.len || text.at[i + 1] != '\n')))
			abort();
	if (text.len < 2 || text.at[text.len - 1] != '\n')
		abort();
}

static void
check_recipients(const struct envelope *envelope)
{
	char text[MAILBOX_TEXT_MAX];
	struct mailbox again;

	for (size_t i = 0; i < envelope->recipients_n; i++)
		if (!mailbox_parse(slice_of(mailbox_print(
		    &envelope->recipients[i], text)), &again))
			abort();
}

static void
check_again(const struct compose *compose, struct slice message)
{
	struct envelope envelope = { .recipients = NULL };
	struct buffer again = { NULL, 0, 0 }, error = { NULL, 0, 0 };
	struct compose second = *compose;

	second.from_header = false;
	if (slice_begins(message, SLICE("From ")) ||
	    slice_begins(message, SLICE(">From ")))
		return;
	if (!compose_message(&second, message, &envelope, &again, &error) ||
	    !slice_equal((struct slice){ again.text, again.len }, message))
		abort();
	buffer_free(&again);
	envelope_free(&envelope);
}

static void
check_message(const struct compose *compose, struct slice text)
{
	struct envelope envelope = { .recipients = NULL };
	struct buffer message = { NULL, 0, 0 }, error = { NULL, 0, 0 };
	struct slice made;

	if (compose_message(compose, text, &envelope, &message, &error)) {
		made = (struct slice){ message.text, message.len };
		check_lines(made);
		if (count(made, "Bcc") > 0 || count(made, "Resent-Bcc") > 0)
			abort();
		if (!compose->as_it_is && (count(made, "From") == 0 ||
		    count(made, "Date") == 0 ||
		    count(made, "Message-ID") == 0))
			abort();
		check_recipients(&envelope);
		check_again(compose, made);
	} else if (error.len == 0 || strchr(error.text, '\n') != NULL) {
		abort();
	}
	buffer_free(&message);
	buffer_free(&error);
	envelope_free(&envelope);
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len)
{
	struct slice text = { (const char *)octets, len };
	struct compose compose = {
		.author = { "jo", { "our.test" } }, .name = "Jo",
		.mail_domain = { "our.test" }, .host = "relay.test",
	};
	struct headers_field field;
	struct slice rest = text;

	while (headers_next(&rest, &field)) {
		if (field.whole.len == 0 || field.body.at + field.body.len !=
		    field.whole.at + field.whole.len)
			abort();
		check_list(field.body);
	}
	check_list(text);
	for (int i = 0; i < 4; i++) {
		compose.from_header = i & 1;
		compose.as_it_is = i & 2;
		check_message(&compose, text);
	}
	return 0;
}
