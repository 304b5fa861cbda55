/*
 * sendmail: the command line by which programs hand over mail.
 *
 * Reads a message and hands it to the running relay over submit-socket; says
 * nothing when that went well, one line when it did not, and exits as
 * sysexits.h has it.  Never loses, never discloses, never reinterprets: what
 * it exits 0 for is durable.  It has no rights but its caller's.
 *
 * As mailq or with -bp it prints the queue instead.
 */
#include "conf/config.h"
#include "conf/log.h"
#include "smtpd/compose.h"
#include "smtpd/handover.h"
#include "smtpd/mailq.h"
#include "smtpd/options.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum { USAGE = 64, DATA = 65, AGAIN = 75 };

/* One line for people, and the exit status for programs. */
static int
complain(int status, const char *what, const struct buffer *why)
{
	const char *text = why != NULL && why->text != NULL ? why->text : "";

	fprintf(stderr, "sendmail: %s%s%.*s\n", what,
	    what[0] != '\0' && text[0] != '\0' ? ": " : "",
	    (int)strcspn(text, "\n"), text);
	return status;
}

/* ---- what there is to read ---- */

static bool
is_lone_dot(const struct buffer *text, size_t line)
{
	struct slice rest = { text->text + line, text->len - line };

	return slice_equal(rest, SLICE(".")) ||
	    slice_equal(rest, SLICE(".\n")) ||
	    slice_equal(rest, SLICE(".\r\n"));
}

/* Where the last line begins. */
static size_t
last_line(const struct buffer *text)
{
	size_t at = text->len;

	if (at > 0 && text->text[at - 1] == '\n')
		at--;
	while (at > 0 && text->text[at - 1] != '\n')
		at--;
	return at;
}

/*
 * Read until max octets are exceeded.  A terminal's input ends at a line with
 * nothing but a dot; other input is read to its end.
 */
static bool
read_input(const struct options *options, uint64_t max, struct buffer *text)
{
	const bool terminal = isatty(STDIN_FILENO) != 0 && !options->dots;
	char octets[65536];
	ssize_t n;

	do {
		n = read(STDIN_FILENO, octets, sizeof(octets));
		if (n == -1 && errno == EINTR)
			continue;
		if (n > 0)
			buffer_add(text, (struct slice){ octets, (size_t)n });
		if (terminal && n > 0 && is_lone_dot(text, last_line(text)))
			break;
	} while ((n > 0 && text->len <= max) || (n == -1 && errno == EINTR));
	return n >= 0;
}

/*
 * Without -i a lone dot that is the very last line is no text; one before it
 * is (nothing is ever cut).
 */
static struct slice
without_dot(const struct options *options, const struct buffer *text)
{
	size_t line = last_line(text);

	if (!options->dots && text->len > 0 && is_lone_dot(text, line))
		return (struct slice){ text->text, line };
	return (struct slice){ text->text, text->len };
}

/* ---- who sends ---- */

/* Full name of a passwd entry: up to a comma, "&" being the login name. */
static char *
full_name(const struct passwd *entry)
{
	struct slice gecos = slice_of(entry->pw_gecos != NULL ?
	    entry->pw_gecos : "");
	struct buffer name = { NULL, 0, 0 };
	size_t i, start;

	gecos = slice_cut(&gecos, ',');
	for (i = 0; i < gecos.len; i++) {
		if (gecos.at[i] != '&') {
			buffer_add(&name, (struct slice){ gecos.at + i, 1 });
			continue;
		}
		start = name.len;
		buffer_add(&name, slice_of(entry->pw_name));
		if (name.text[start] >= 'a' && name.text[start] <= 'z')
			name.text[start] = (char)(name.text[start] - 'a' +
			    'A');
	}
	return name.text;
}

/*
 * SMTP-B-3: user@mail-domain.  A uid that passwd does not know has a name all
 * the same (trap S21).
 */
static bool
find_user(const struct config *config, struct mailbox *user, char **name)
{
	const struct passwd *entry = getpwuid(getuid());
	char unknown[LOCAL_TEXT_MAX];

	memset(user, 0, sizeof(*user));
	snprintf(unknown, sizeof(unknown), "uid%lu",
	    (unsigned long)getuid());
	if (!slice_store(slice_of(entry != NULL ? entry->pw_name : unknown),
	    user->local, sizeof(user->local)))
		strcpy(user->local, unknown);
	user->domain = config->mail_domain;
	*name = entry != NULL ? full_name(entry) : NULL;
	return user->domain.name[0] != '\0';
}

/* ---- the message ---- */

static bool
add_arguments(const struct options *options, const struct config *config,
    struct envelope *envelope, struct buffer *error)
{
	size_t i;

	for (i = 0; i < options->recipients_n; i++)
		if (!envelope_add(envelope,
		    slice_of(options->recipients[i]), &config->mail_domain,
		    error))
			return false;
	return true;
}

/* The right side of our Message-IDs; the left one is unique by itself. */
static const char *
id_host(const struct config *config)
{
	if (config->hostname[0] != '\0')
		return config->hostname;
	return config->mail_domain.name[0] != '\0' ?
	    config->mail_domain.name : "localhost";
}

static struct compose
describe(const struct options *options, const struct config *config,
    const struct mailbox *author, const char *name)
{
	struct compose compose = {
		.from_header = options->from_header,
		.as_it_is = options->gateway,
		.name = options->name != NULL ? options->name : name,
		.author = *author,
		.mail_domain = config->mail_domain,
		.host = id_host(config),
		.wall_s = time(NULL)
	};

	if (getrandom(compose.random, sizeof(compose.random), 0) !=
	    (ssize_t)sizeof(compose.random))
		fatal("getrandom");
	return compose;
}

static int
hand_over(const struct options *options, const struct config *config,
    const struct envelope *envelope, struct slice message)
{
	struct buffer said = { NULL, 0, 0 };
	int status;

	status = handover(config->submit_socket, envelope, message, &said);
	if (status != HANDOVER_TAKEN)
		return complain(status, "", &said);
	if (options->verbose)
		fprintf(stderr, "sendmail: %s\n", said.text);
	return status;
}

/* The envelope as far as the command line has it; 0 or the exit status. */
static int
begin_envelope(const struct options *options, const struct config *config,
    struct envelope *envelope, struct mailbox *author, char **name)
{
	struct buffer error = { NULL, 0, 0 };

	if (!find_user(config, author, name) && options->sender == NULL)
		return complain(AGAIN, "mail-domain is not known: set it, or "
		    "write it into /etc/mailname", NULL);
	envelope->sender = *author;
	if (options->sender != NULL && !envelope_set_sender(envelope,
	    options->sender, &config->mail_domain, &error))
		return complain(USAGE, "-f", &error);
	if (!mailbox_is_null(&envelope->sender))
		*author = envelope->sender;
	if (!add_arguments(options, config, envelope, &error))
		return complain(USAGE, "recipient", &error);
	envelope->notify = options->notify;
	envelope->ret = options->ret;
	envelope->requiretls = options->requiretls;
	if (options->envelope_id != NULL &&
	    !envelope_set_id(envelope, options->envelope_id))
		return complain(USAGE, "-V: printable ASCII, at most 100 "
		    "characters in xtext, expected", NULL);
	if (envelope->recipients_n == 0 && !options->from_header)
		return complain(USAGE, "no recipient", NULL);
	return 0;
}

static int
submit(const struct options *options, const struct config *config)
{
	struct envelope envelope = { .recipients = NULL };
	struct buffer text = { NULL, 0, 0 }, message = { NULL, 0, 0 };
	struct buffer error = { NULL, 0, 0 };
	struct mailbox author;
	struct compose compose;
	char *name;
	int status;

	status = begin_envelope(options, config, &envelope, &author, &name);
	if (status != 0)
		return status;
	if (!read_input(options, config->max_message_size, &text))
		return complain(AGAIN, strerror(errno), NULL);
	compose = describe(options, config, &author, name);
	if (!compose_message(&compose, without_dot(options, &text), &envelope,
	    &message, &error))
		return complain(DATA, "", &error);
	buffer_free(&text);
	if (envelope.recipients_n == 0)
		return complain(USAGE, "no recipient", NULL);
	status = hand_over(options, config, &envelope,
	    (struct slice){ message.text, message.len });
	buffer_free(&message);
	envelope_free(&envelope);
	return status;
}

/* Warnings are culverd's to say; errors come out as ours. */
static void
log_errors(void *unused, enum log_level level, const char *line)
{
	(void)unused;
	if (level == LOG_LEVEL_ERROR)
		fprintf(stderr, "%s\n", line);
}

int
main(int argc, char **argv)
{
	struct options options;
	struct buffer error = { NULL, 0, 0 };
	struct config *config;
	int status;

	log_start("sendmail");
	log_to(log_errors, NULL);
	if (!options_parse(argc, argv, &options, &error))
		return complain(USAGE, "", &error);
	if (options.config_file != NULL &&
	    access(options.config_file, R_OK) != 0)
		return complain(USAGE, options.config_file,
		    &(struct buffer){ .text = strerror(errno) });
	config = config_read(options.config_file, NULL, 0, &error);
	if (config == NULL)
		return complain(AGAIN, "", &error);
	if (options.mode == OPTIONS_LIST)
		status = mailq(config, options.config_file);
	else
		status = submit(&options, config);
	config_free(&config);
	options_free(&options);
	return status;
}
