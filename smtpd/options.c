/*
 * What does the caller of sendmail want?
 *
 * Called by sendmail.c; pure.  Letters are read as getopt does (groups,
 * attached and separate values), but options may also stand behind
 * recipients, until "--".  What old programs pass and nothing depends on is
 * taken and ignored; what would change what becomes of the mail, and is not
 * built, is refused by name.
 */
#include "smtpd/options.h"

#include "smtpd/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool	fail(struct buffer *error, const char *format, ...)
		    __attribute__((format(printf, 2, 3)));

static bool
fail(struct buffer *error, const char *format, ...)
{
	char text[256];
	va_list values;

	va_start(values, format);
	vsnprintf(text, sizeof(text), format, values);
	va_end(values);
	buffer_add(error, slice_of(text));
	return false;
}

static bool
is_one_of(const char *value, const char *const *known)
{
	for (; *known != NULL; known++)
		if (slice_equal_nocase(slice_of(value), slice_of(*known)))
			return true;
	return false;
}

static bool
take_nothing(struct options *options, char letter, const char *value,
    struct buffer *error)
{
	(void)options;
	(void)letter;
	(void)value;
	(void)error;
	return true;
}

static bool
take_flag(struct options *options, char letter, const char *value,
    struct buffer *error)
{
	(void)value;
	(void)error;
	options->from_header |= letter == 't';
	options->dots |= letter == 'i';
	options->gateway |= letter == 'G';
	options->verbose |= letter == 'v';
	return true;
}

static bool
take_text(struct options *options, char letter, const char *value,
    struct buffer *error)
{
	(void)error;
	if (letter == 'F')
		options->name = value;
	else if (letter == 'C')
		options->config_file = value;
	else if (letter == 'V')
		options->envelope_id = value;
	else			/* SMTP-B-3: -f, -r */
		options->sender = value;
	return true;
}

static bool
take_mode(struct options *options, char letter, const char *value,
    struct buffer *error)
{
	if (strcmp(value, "m") == 0)
		options->mode = OPTIONS_SEND;
	else if (strcmp(value, "p") == 0)
		options->mode = OPTIONS_LIST;
	else if (strcmp(value, "s") == 0 || strcmp(value, "i") == 0 ||
	    strcmp(value, "v") == 0)
		return fail(error, "-%c%s: not yet: this version of culver "
		    "does not have it", letter, value);
	else if (strcmp(value, "d") != 0)
		return fail(error, "unknown mode -%c%s (-bm, -bp)", letter,
		    value);
	return true;
}

static bool
take_queue_run(struct options *options, char letter, const char *value,
    struct buffer *error)
{
	(void)options;
	return fail(error, "-%c%s: not yet: culverctl queue flush does that",
	    letter, value);
}

static bool
take_body(struct options *options, char letter, const char *value,
    struct buffer *error)
{
	static const char *const known[] = { "7BIT", "8BITMIME", NULL };

	(void)options;
	/* The message itself shows which it is. */
	return is_one_of(value, known) ||
	    fail(error, "-%c %s: 7BIT or 8BITMIME expected", letter, value);
}

/* RFC 3461 4.1 */
static bool
take_notify(struct options *options, char letter, const char *value,
    struct buffer *error)
{
	return command_parse_notify(slice_of(value), &options->notify) ||
	    fail(error, "-%c %s: never, or of success, failure and delay "
	    "expected", letter, value);
}

/* RFC 3461 4.3 */
static bool
take_return(struct options *options, char letter, const char *value,
    struct buffer *error)
{
	return command_parse_ret(slice_of(value), &options->ret) ||
	    fail(error, "-%c %s: hdrs or full expected", letter, value);
}

/* -o: one letter and its value; of all of them only -oi means something. */
static bool
take_old_option(struct options *options, char letter, const char *value,
    struct buffer *error)
{
	(void)letter;
	(void)error;
	options->dots |= strcmp(value, "i") == 0;
	return true;
}

/* -O: a name and its value; names that mean nothing here are ignored. */
static bool
take_new_option(struct options *options, char letter, const char *value,
    struct buffer *error)
{
	static const char *const unbuilt[] = { "SMTPUTF8=yes", NULL };
	struct slice rest = slice_of(value), name = slice_cut(&rest, '=');

	if (is_one_of(value, unbuilt))
		return fail(error, "-%c %s: not yet: this version of culver "
		    "does not have it", letter, value);
	if (!slice_equal_nocase(slice_trim(name), SLICE("REQUIRETLS")))
		return true;
	/* RTLS-4.3-1 RFC 8689 4.3: never ignored */
	options->requiretls = rest.at != NULL &&
	    slice_equal_nocase(rest, SLICE("yes"));
	return options->requiretls || (rest.at != NULL &&
	    slice_equal_nocase(rest, SLICE("no"))) ||
	    fail(error, "-%c %s: yes or no expected", letter, value);
}

enum argument { NONE, NEEDED, ATTACHED };

static const struct letter {
	char		 letter;
	enum argument	 argument;
	bool		(*take)(struct options *options, char letter,
			    const char *value, struct buffer *error);
} letters[] = {
	{ 't', NONE, take_flag },
	{ 'i', NONE, take_flag },
	{ 'G', NONE, take_flag },
	{ 'v', NONE, take_flag },
	{ 'f', NEEDED, take_text },
	{ 'r', NEEDED, take_text },
	{ 'F', NEEDED, take_text },
	{ 'C', NEEDED, take_text },
	{ 'b', NEEDED, take_mode },
	{ 'q', ATTACHED, take_queue_run },
	{ 'B', NEEDED, take_body },
	{ 'N', NEEDED, take_notify },
	{ 'R', NEEDED, take_return },
	{ 'o', NEEDED, take_old_option },
	{ 'O', NEEDED, take_new_option },
	{ 'V', NEEDED, take_text },
	{ 'L', NEEDED, take_nothing },	/* tag of log lines */
	{ 'A', NEEDED, take_nothing },	/* -Ac, -Am */
	{ 'D', NEEDED, take_nothing },	/* debug file */
	{ 'X', NEEDED, take_nothing },	/* traffic log */
	{ 'd', NEEDED, take_nothing },	/* debug level */
	{ 'e', NEEDED, take_nothing },	/* how errors are told */
	{ 'h', NEEDED, take_nothing },	/* hops */
	{ 'p', NEEDED, take_nothing },	/* protocol */
	{ 'U', NONE, take_nothing },	/* first submission */
	{ 'm', NONE, take_nothing },	/* me too */
	{ 'n', NONE, take_nothing },	/* no aliases */
	{ 'x', NONE, take_nothing },
};

static const struct letter *
find_letter(char c)
{
	size_t i;

	for (i = 0; i < sizeof(letters) / sizeof(letters[0]); i++)
		if (letters[i].letter == c)
			return &letters[i];
	return NULL;
}

/*
 * One argument that begins with a dash, and perhaps the next, its value.
 * Returns how many were taken, 0 for a fault.
 */
static int
take_argument(struct options *options, char *const *argv,
    struct buffer *error)
{
	const struct letter *letter;
	const char *at = argv[0] + 1, *value;

	for (; *at != '\0'; at++) {
		letter = find_letter(*at);
		if (letter == NULL) {
			fail(error, "unknown option -%c", *at);
			return 0;
		}
		value = "";
		if (letter->argument != NONE)
			value = at + 1;
		if (letter->argument == NEEDED && *value == '\0')
			value = argv[1];
		if (value == NULL) {
			fail(error, "option -%c needs a value", *at);
			return 0;
		}
		if (!letter->take(options, *at, value, error))
			return 0;
		if (letter->argument != NONE)
			return value == argv[1] ? 2 : 1;
	}
	return 1;
}

/* mailq and newaliases are other names of sendmail. */
static bool
take_name(struct options *options, const char *path, struct buffer *error)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash != NULL ? slash + 1 : path;

	if (strcmp(name, "mailq") == 0)
		options->mode = OPTIONS_LIST;
	if (strcmp(name, "newaliases") != 0)
		return true;
	return fail(error, "newaliases: not yet: this version of culver has "
	    "no aliases");
}

static void
add_recipient(struct options *options, const char *text)
{
	options->recipients[options->recipients_n++] = text;
}

bool
options_parse(int argc, char *const *argv, struct options *options,
    struct buffer *error)
{
	bool only_recipients = false;
	int i, taken;

	memset(options, 0, sizeof(*options));
	options->recipients = mem_alloc(((size_t)argc + 1) * sizeof(char *));
	if (argc > 0 && !take_name(options, argv[0], error))
		return false;
	for (i = 1; i < argc; i += taken) {
		taken = 1;
		if (only_recipients || argv[i][0] != '-' ||
		    argv[i][1] == '\0')
			add_recipient(options, argv[i]);
		else if (strcmp(argv[i], "--") == 0)
			only_recipients = true;
		else
			taken = take_argument(options, argv + i, error);
		if (taken == 0)
			return false;
	}
	return true;
}

void
options_free(struct options *options)
{
	free(options->recipients);
	options->recipients = NULL;
}
