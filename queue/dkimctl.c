/*
 * What does an operator do with a key?
 *
 * Called by sign.c for `culver-sign ctl ...'.  A key file is read or made
 * first, as who we are; then the program confines itself as it does beside a
 * relay, and only then is looked at what came from outside: standard input.
 *
 * Sentences begin with the name under which it was started: culverctl has it
 * started as culverctl, for that is what the operator called.
 *
 * It asks no DNS: see `culver-policy ctl check txt`.
 */
#include "queue/dkimctl.h"

#include "conf/control.h"
#include "conf/keyline.h"
#include "conf/log.h"
#include "conf/proc.h"
#include "conf/words.h"
#include "queue/dkim.h"
#include "queue/dkimfile.h"
#include "queue/dkimjudge.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* One verb's command line. */
struct request {
	struct keyline		 names;
	const char		*file;
	enum dkimkey_type	 type;
	unsigned		 bits;
};

static int	say(int status, const char *format, ...)
		    __attribute__((format(printf, 2, 3)));

/*
 * A sentence on standard error; returns status.  Words that were typed are
 * cut by the format: see KEYLINE_SHOWN_MAX.
 */
static int
say(int status, const char *format, ...)
{
	struct buffer shown = { NULL, 0, 0 };
	char sentence[2048];
	va_list values;

	va_start(values, format);
	vsnprintf(sentence, sizeof(sentence), format, values);
	va_end(values);
	keyline_show(&shown, sentence, sizeof(sentence));
	fprintf(stderr, "%s: %s\n", program_invocation_short_name,
	    shown.text);
	buffer_free(&shown);
	return status;
}

/* The sentence of why, which is freed; returns status. */
static int
say_why(int status, struct buffer *why)
{
	say(status, "%s", why->text);
	buffer_free(why);
	return status;
}

/* The answer is whole: one line.  Returns status, if it could be written. */
static int
answer(int status, struct buffer *json)
{
	bool written;

	buffer_add(json, SLICE("\n"));
	written = fwrite(json->text, 1, json->len, stdout) == json->len &&
	    fflush(stdout) == 0;
	buffer_free(json);
	return written ? status : say(CONTROL_AGAIN, "standard output: %s",
	    strerror(errno));
}

/*
 * The command line.
 */

_Static_assert(KEYLINE_SHOWN_MAX == 200, "as say's formats have it");

/* --NAME VALUE; 0, or the exit status. */
static int
take_option(struct request *request, const char *name, const char *value,
    bool makes)
{
	uint64_t bits;

	if (strcmp(name, "--file") == 0) {
		request->file = value;
		return 0;
	}
	if (makes && strcmp(name, "--type") == 0) {
		request->type = strcmp(value, "ed25519") == 0 ?
		    DKIMKEY_ED25519 : DKIMKEY_RSA;
		return strcmp(value, "ed25519") == 0 ||
		    strcmp(value, "rsa") == 0 ? 0 : say(CONTROL_USAGE,
		    "--type is rsa or ed25519, not \"%.200s\"", value);
	}
	if (!makes || strcmp(name, "--bits") != 0)
		return say(CONTROL_USAGE, "%.200s is no option here", name);
	/* DKIM-8301-3.2-1 RFC 8301 3.2 */
	if (!slice_number(slice_of(value), DKIMSECRET_BITS_MOST, &bits) ||
	    bits < DKIMSECRET_BITS_LEAST)
		return say(CONTROL_USAGE, "--bits is a number from %d to %d, "
		    "not \"%.200s\"", DKIMSECRET_BITS_LEAST,
		    DKIMSECRET_BITS_MOST, value);
	request->bits = (unsigned)bits;
	return 0;
}

/* 0, or the exit status. */
static int
take_words(struct request *request, int argc, char **argv, bool makes)
{
	struct buffer why = { NULL, 0, 0 };
	const char *names[2];
	int names_n = 0, status, i;

	memset(request, 0, sizeof(*request));
	for (i = 0; i < argc; i++) {
		if (strncmp(argv[i], "--", 2) != 0 && names_n == 2)
			return say(CONTROL_USAGE, "\"%.200s\" is one word too "
			    "many", argv[i]);
		if (strncmp(argv[i], "--", 2) != 0) {
			names[names_n++] = argv[i];
			continue;
		}
		if (i + 1 == argc)
			return say(CONTROL_USAGE, "%.200s needs a value",
			    argv[i]);
		status = take_option(request, argv[i], argv[i + 1], makes);
		if (status != 0)
			return status;
		i++;
	}
	if (request->file != NULL && request->file[0] == '\0')
		return say(CONTROL_USAGE, "--file names no file");
	if (names_n != 2 || request->file == NULL)
		return say(CONTROL_USAGE, "DOMAIN SELECTOR --file PATH are "
		    "wanted");
	if (request->type == DKIMKEY_ED25519 && request->bits != 0)
		return say(CONTROL_USAGE, "--bits is for RSA keys");
	return keyline_parse(names[0], names[1], &request->names, &why) ? 0 :
	    say_why(CONTROL_USAGE, &why);
}

/*
 * The key file, opened as who we are; then the program is confined, and the
 * key read.  0, or the exit status.  *warning: see dkimfile_open.
 */
static int
load_key(const char *file, struct dkimsecret **secret, struct buffer *warning)
{
	struct buffer why = { NULL, 0, 0 };
	const char *error;
	int fd, status;

	fd = dkimfile_open(file, warning, &status, &why);
	if (fd == -1)
		return say_why(status, &why);
	dkimsecret_begin();
	proc_confine_alone(PROGRAM_SIGN, NULL, NULL);
	*secret = dkimsecret_read(fd, &error);
	close(fd);
	return *secret != NULL ? 0 :
	    say(CONTROL_DATA, "%.200s: %s", file, error);
}

/*
 * key: may this file sign?
 */

static int
run_key(int argc, char **argv)
{
	struct buffer json = { NULL, 0, 0 };
	struct dkimsecret *secret;
	const char *error;

	(void)argv;
	if (argc != 0)
		return say(CONTROL_USAGE, "key takes no argument");
	dkimsecret_begin();
	proc_confine_alone(PROGRAM_SIGN, NULL, NULL);
	secret = dkimsecret_read(STDIN_FILENO, &error);
	if (secret == NULL)
		return say(CONTROL_NO, "%s", error);
	buffer_printf(&json, "{\"type\":\"%s\",\"bits\":%u}",
	    dkimsecret_type_name(secret), dkimsecret_bits(secret));
	dkimsecret_free(&secret);
	return answer(CONTROL_OK, &json);
}

/*
 * The record: what is to be published of a key.
 */

/* `"NAME":VALUE,` */
static void
put_member(struct buffer *json, const char *name, const char *value)
{
	buffer_printf(json, "\"%s\":", name);
	buffer_json(json, slice_of(value));
	buffer_add(json, SLICE(","));
}

/* `"warnings":[...]`; NULL is none. */
static void
put_warnings(struct buffer *json, const char *const *warnings, size_t n)
{
	const char *comma = "";
	size_t i;

	buffer_add(json, SLICE("\"warnings\":["));
	for (i = 0; i < n; i++) {
		if (warnings[i] == NULL)
			continue;
		buffer_add(json, slice_of(comma));
		buffer_json(json, slice_of(warnings[i]));
		comma = ",";
	}
	buffer_add(json, SLICE("]"));
}

/*
 * The record as a line of a zone file: strings of 255 octets at most (RFC
 * 1035 3.3.14).
 */
static void
put_zone_line(struct buffer *zone, const char *name, struct slice value)
{
	size_t n;

	buffer_printf(zone, "%s. IN TXT (", name);
	for (; value.len > 0; value.at += n, value.len -= n) {
		n = value.len < 250 ? value.len : 250;
		buffer_printf(zone, " \"%.*s\"", (int)n, value.at);
	}
	buffer_add(zone, SLICE(" )"));
}

static void
put_record(struct buffer *json, const char *name,
    const struct dkimsecret *secret)
{
	struct buffer value = { NULL, 0, 0 }, zone = { NULL, 0, 0 };

	/*
	 * RPT-3-15 RFC 8460 3: for reports, and for email, because they come
	 * by mail: what filters that must ignore a key that is not for email
	 * (RFC 6376 3.6.1).  A list of both is not read by all who verify.
	 */
	buffer_printf(&value, "v=DKIM1; k=%s; s=*; p=",
	    dkimsecret_type_name(secret));
	dkimsecret_public(secret, &value);
	put_zone_line(&zone, name, (struct slice){ value.text, value.len });
	buffer_add(json, SLICE("\"record\":{"));
	put_member(json, "name", name);
	put_member(json, "type", "TXT");
	put_member(json, "value", value.text);
	buffer_add(json, SLICE("\"zone\":"));
	buffer_json(json, (struct slice){ zone.text, zone.len });
	buffer_add(json, SLICE("},"));
	buffer_free(&value);
	buffer_free(&zone);
}

/*
 * dkim generate: a key.
 */

/* The line of culver.conf(5). */
static void
put_config(struct buffer *json, const struct request *request,
    const char *file)
{
	struct buffer line = { NULL, 0, 0 };

	words_put(&line, "dkim");
	words_put(&line, request->names.domain.name);
	words_put(&line, request->names.selector);
	words_put(&line, file);
	buffer_add(json, SLICE("\"config\":"));
	buffer_json(json, (struct slice){ line.text, line.len });
	buffer_free(&line);
	buffer_add(json, SLICE(","));
}

static int
describe(const struct request *request, const struct dkimsecret *secret,
    const char *file)
{
	const char *const warnings[] = {
		dkimjudge_weakness(secret),
		/* RFC 8463 6 */
		dkimsecret_type(secret) != DKIMKEY_ED25519 ? NULL :
		    "many receivers verify only RSA yet: best is one key of "
		    "each type for the domain"
	};
	struct buffer json = { NULL, 0, 0 };

	buffer_add(&json, SLICE("{"));
	put_member(&json, "domain", request->names.domain.name);
	put_member(&json, "selector", request->names.selector);
	put_member(&json, "file", file);
	put_member(&json, "type", dkimsecret_type_name(secret));
	buffer_printf(&json, "\"bits\":%u,", dkimsecret_bits(secret));
	put_record(&json, request->names.name, secret);
	put_config(&json, request, file);
	put_warnings(&json, warnings, 2);
	buffer_add(&json, SLICE("}"));
	return answer(CONTROL_OK, &json);
}

/* As a shell takes it for one word. */
static void
put_shell_word(struct buffer *out, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+@%,:=";

	if (word[strspn(word, plain)] == '\0') {
		buffer_add(out, slice_of(word));
		return;
	}
	buffer_add(out, SLICE("'"));
	for (; *word != '\0'; word++)
		buffer_printf(out, *word == '\'' ? "'\\%c'" : "%c", *word);
	buffer_add(out, SLICE("'"));
}

/* No key is overwritten; but its record is to be had. */
static int
say_exists(const struct request *request, const char *file)
{
	struct buffer why = { NULL, 0, 0 };

	buffer_printf(&why, "%.200s exists already, and is left as it is; the "
	    "record of its key is printed by: culverctl dkim check %s %s "
	    "--file ", file, request->names.domain.name,
	    request->names.selector);
	put_shell_word(&why, file);
	return say_why(CONTROL_NO, &why);
}

/* The key's octets go into the file, and nowhere else.  0, or the status. */
static int
keep_key(const struct request *request, const struct dkimsecret *secret,
    const char *file)
{
	struct buffer pem = { NULL, 0, 0 };
	int status = 0;

	if (!dkimsecret_print(secret, &pem))
		status = say(CONTROL_AGAIN, "libcrypto writes no such key");
	else if (!dkimfile_make(file, &pem))
		status = errno == EEXIST ? say_exists(request, file) :
		    say(errno == EACCES ? CONTROL_DENIED : CONTROL_NO,
		    "%.200s: %s", file, strerror(errno));
	dkimsecret_wipe(&pem);
	return status;
}

/* A new key in this file, as the configuration can name it. */
static int
make_key(const struct request *request, const char *file)
{
	struct dkimsecret *secret;
	const char *error;
	int status;

	secret = dkimsecret_make(request->type, request->bits != 0 ?
	    request->bits : DKIMSECRET_BITS_WANTED, &error);
	if (secret == NULL)
		return say(CONTROL_AGAIN, "%s", error);
	status = keep_key(request, secret, file);
	if (status == 0) {
		proc_confine_alone(PROGRAM_SIGN, NULL, NULL);
		status = describe(request, secret, file);
	}
	dkimsecret_free(&secret);
	return status;
}

static int
run_generate(int argc, char **argv)
{
	struct buffer path = { NULL, 0, 0 }, why = { NULL, 0, 0 };
	struct request request;
	int status;

	status = take_words(&request, argc, argv, true);
	if (status != 0)
		return status;
	status = dkimfile_place(request.file, &path, &why);
	if (status != 0)
		say(status, "%s", why.text);
	else
		status = make_key(&request, path.text);
	buffer_free(&path);
	buffer_free(&why);
	return status;
}

/*
 * dkim check: is the key published?
 */

/* file_warning: of the file, or NULL. */
static int
say_verdict(const struct request *request, const struct dkimsecret *secret,
    const struct dkimjudge *judge, const char *file_warning)
{
	const char *warnings[DKIMJUDGE_WARNINGS_MAX + 1] = { file_warning };
	struct buffer json = { NULL, 0, 0 };

	memcpy(warnings + 1, judge->warnings, sizeof(judge->warnings));
	buffer_add(&json, SLICE("{"));
	put_member(&json, "domain", request->names.domain.name);
	put_member(&json, "selector", request->names.selector);
	put_member(&json, "verdict", dkimjudge_name(judge->verdict));
	put_member(&json, "text", judge->text);
	/* RPT-3-15 RFC 8460 3 */
	if (judge->verdict != DKIMJUDGE_FITS)
		put_record(&json, request->names.name, secret);
	put_warnings(&json, warnings, judge->warnings_n + 1);
	buffer_add(&json, SLICE("}"));
	return answer(judge->verdict == DKIMJUDGE_FITS ? CONTROL_OK :
	    judge->verdict == DKIMJUDGE_UNKNOWN ? CONTROL_AGAIN : CONTROL_NO,
	    &json);
}

/* Standard input, so much of it as can be a line of culver-policy. */
static void
read_line(struct buffer *line)
{
	char octets[4096];
	ssize_t n;

	while (line->len <= DKIMLINE_MAX) {
		n = read(STDIN_FILENO, octets, sizeof(octets));
		if (n == 0 || (n == -1 && errno != EINTR))
			return;
		if (n > 0)
			buffer_add(line, (struct slice){ octets, (size_t)n });
	}
}

/* What culver-policy said, from standard input. */
static void
judge_input(const struct request *request, const struct dkimsecret *secret,
    struct dkimjudge *judge)
{
	struct region *region = region_new();
	struct buffer input = { NULL, 0, 0 };
	struct dkimline found;

	read_line(&input);
	/* No line, or none of this form, is no answer about this name. */
	if (!dkimline_parse((struct slice){ input.text, input.len }, region,
	    &found))
		found.name = SLICE("");
	dkimjudge_judge(secret, request->names.name, &found, judge);
	buffer_free(&input);
	region_free(&region);
}

static int
run_check(int argc, char **argv)
{
	struct buffer warning = { NULL, 0, 0 };
	struct dkimsecret *secret = NULL;
	struct dkimjudge judge;
	struct request request;
	int status;

	status = take_words(&request, argc, argv, false);
	if (status == 0)
		status = load_key(request.file, &secret, &warning);
	if (status == 0) {
		judge_input(&request, secret, &judge);
		status = say_verdict(&request, secret, &judge, warning.text);
	}
	dkimsecret_free(&secret);
	buffer_free(&warning);
	return status;
}

/*
 * dkim sign: what would be put before a message?
 */

/*
 * DKIM-6376-5.3-1 RFC 6376 5.3: signed as it is sent, every line end as CRLF.
 * *cr: the last octet was a CR, whose LF may follow.
 */
static void
add_lines(struct dkim *dkim, const char *octets, size_t len, bool *cr)
{
	size_t at;

	for (at = 0; at < len; at++) {
		if (octets[at] == '\r' || (octets[at] == '\n' && !*cr))
			dkim_add(dkim, "\r\n", 2);
		else if (octets[at] != '\n')
			dkim_add(dkim, octets + at, 1);
		*cr = octets[at] == '\r';
	}
}

/* NULL, or why it cannot be signed. */
static const char *
read_message(struct dkim *dkim)
{
	char octets[16384];
	bool cr = false;
	ssize_t n;

	while ((n = read(STDIN_FILENO, octets, sizeof(octets))) != 0) {
		if (n == -1 && errno != EINTR)
			return strerror(errno);
		if (n > 0)
			add_lines(dkim, octets, (size_t)n, &cr);
	}
	return dkim_end(dkim);
}

static int
sign_input(const struct request *request, const struct dkimsecret *secret)
{
	const struct dkim_terms terms = {
		request->names.domain.name, request->names.selector, time(NULL)
	};
	struct buffer field = { NULL, 0, 0 };
	struct dkim *dkim = dkim_new();
	const char *error = read_message(dkim);
	int status = CONTROL_OK;

	if (error != NULL)
		status = say(CONTROL_DATA, "%s", error);
	else if (!dkim_sign(dkim, secret, &terms, &field))
		status = say(CONTROL_AGAIN, "libcrypto does not sign");
	else if (fwrite(field.text, 1, field.len, stdout) != field.len ||
	    fflush(stdout) != 0)
		status = say(CONTROL_AGAIN, "standard output: %s",
		    strerror(errno));
	buffer_free(&field);
	dkim_free(&dkim);
	return status;
}

static int
run_sign(int argc, char **argv)
{
	struct buffer warning = { NULL, 0, 0 };
	struct dkimsecret *secret = NULL;
	struct request request;
	int status;

	status = take_words(&request, argc, argv, false);
	if (status == 0)
		status = load_key(request.file, &secret, &warning);
	if (status == 0)
		status = sign_input(&request, secret);
	dkimsecret_free(&secret);
	buffer_free(&warning);
	return status;
}

static const struct {
	const char	*noun, *verb;	/* verb NULL: takes none */
	int		(*run)(int argc, char **argv);
} verbs[] = {
	{ "key", NULL, run_key },
	{ "dkim", "generate", run_generate },
	{ "dkim", "check", run_check },
	{ "dkim", "sign", run_sign },
};
#define VERBS_N	(sizeof(verbs) / sizeof(verbs[0]))

int
dkimctl_run(int argc, char **argv)
{
	size_t i;
	int words;

	log_start(program_invocation_short_name);
	log_set_level(LOG_LEVEL_ERROR);
	/* Then a file that may not grow is an error, as a full disk is. */
	signal(SIGXFSZ, SIG_IGN);
	/* No setting is needed; who asks for all programs says it to all. */
	if (argc >= 2 && strcmp(argv[0], "-c") == 0) {
		argc -= 2;
		argv += 2;
	}
	for (i = 0; i < VERBS_N; i++) {
		words = verbs[i].verb != NULL ? 2 : 1;
		if (argc >= words && strcmp(argv[0], verbs[i].noun) == 0 &&
		    (words == 1 || strcmp(argv[1], verbs[i].verb) == 0))
			return verbs[i].run(argc - words, argv + words);
	}
	return say(CONTROL_USAGE, "key, dkim generate, dkim check and dkim "
	    "sign are answered");
}
