/*
 * What does an operator do with a key?
 *
 * Called by sign.c for `culver-sign ctl ...'.  A key file is read or made
 * first, as who we are; then the program confines itself as it does beside a
 * relay, and only then is looked at what came from outside: standard input.
 *
 * It asks no DNS: see `culver-policy ctl check txt`.
 */
#include "queue/dkimctl.h"

#include "conf/addr.h"
#include "conf/control.h"
#include "conf/log.h"
#include "conf/proc.h"
#include "conf/words.h"
#include "queue/dkim.h"
#include "queue/dkimjudge.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* One verb's command line. */
struct request {
	struct domain		 domain;
	char			 selector[64];
	char			 name[DOMAIN_TEXT_MAX];	/* of the record */
	const char		*file;
	enum dkimkey_type	 type;
	unsigned		 bits;
};

static int	say(int status, const char *format, ...)
		    __attribute__((format(printf, 2, 3)));

/* A sentence on standard error; returns status. */
static int
say(int status, const char *format, ...)
{
	va_list values;

	fputs("culver-sign: ", stderr);
	va_start(values, format);
	vfprintf(stderr, format, values);
	va_end(values);
	fputc('\n', stderr);
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

/* domain and selector, and the name that both make; 0, or the exit status. */
static int
take_names(struct request *request, const char *domain, const char *selector)
{
	char name[2 * DOMAIN_TEXT_MAX];
	struct domain labels, whole;

	if (!domain_parse(slice_of(domain), &request->domain) ||
	    domain_is_literal(&request->domain))
		return say(CONTROL_USAGE, "\"%s\" is no domain (letters "
		    "beyond ASCII: write its xn-- form)", domain);
	/* RFC 6376 3.1: sub-domains, as of a mail address */
	if (!domain_parse(slice_of(selector), &labels) ||
	    domain_is_literal(&labels) || strchr(labels.name, '_') != NULL ||
	    !slice_store(slice_of(labels.name), request->selector,
	    sizeof(request->selector)))
		return say(CONTROL_USAGE, "\"%s\" is no selector: letters, "
		    "digits and hyphens are, at most 63", selector);
	snprintf(name, sizeof(name), "%s._domainkey.%s", request->selector,
	    request->domain.name);
	if (!domain_parse(slice_of(name), &whole))
		return say(CONTROL_USAGE, "%s is too long a name", name);
	memcpy(request->name, whole.name, sizeof(request->name));
	return 0;
}

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
		    "--type is rsa or ed25519, not \"%s\"", value);
	}
	if (!makes || strcmp(name, "--bits") != 0)
		return say(CONTROL_USAGE, "%s is no option here", name);
	/* DKIM-8301-3.2-1 RFC 8301 3.2 */
	if (!slice_number(slice_of(value), DKIMSECRET_BITS_MOST, &bits) ||
	    bits < DKIMSECRET_BITS_LEAST)
		return say(CONTROL_USAGE, "--bits is a number from %d to %d, "
		    "not \"%s\"", DKIMSECRET_BITS_LEAST,
		    DKIMSECRET_BITS_MOST, value);
	request->bits = (unsigned)bits;
	return 0;
}

/* 0, or the exit status. */
static int
take_words(struct request *request, int argc, char **argv, bool makes)
{
	const char *names[2];
	int names_n = 0, status, i;

	memset(request, 0, sizeof(*request));
	for (i = 0; i < argc; i++) {
		if (strncmp(argv[i], "--", 2) != 0 && names_n == 2)
			return say(CONTROL_USAGE, "\"%s\" is one word too "
			    "many", argv[i]);
		if (strncmp(argv[i], "--", 2) != 0) {
			names[names_n++] = argv[i];
			continue;
		}
		if (i + 1 == argc)
			return say(CONTROL_USAGE, "%s needs a value",
			    argv[i]);
		status = take_option(request, argv[i], argv[i + 1], makes);
		if (status != 0)
			return status;
		i++;
	}
	if (names_n != 2 || request->file == NULL)
		return say(CONTROL_USAGE, "DOMAIN SELECTOR --file PATH are "
		    "wanted");
	if (request->type == DKIMKEY_ED25519 && request->bits != 0)
		return say(CONTROL_USAGE, "--bits is for RSA keys");
	return take_names(request, names[0], names[1]);
}

/*
 * Files.
 */

/*
 * The key file, opened as who we are; then the program is confined, and the
 * key read.  0, or the exit status.
 */
static int
load_key(const char *file, struct dkimsecret **secret)
{
	const char *error;
	int fd;

	fd = open(file, O_RDONLY | O_NOCTTY | O_CLOEXEC);
	if (fd == -1)
		return say(errno == EACCES ? CONTROL_DENIED : CONTROL_NO,
		    "%s: %s", file, strerror(errno));
	dkimsecret_begin();
	proc_confine_alone(PROGRAM_SIGN, NULL, NULL);
	*secret = dkimsecret_read(fd, &error);
	close(fd);
	return *secret != NULL ? 0 :
	    say(CONTROL_DATA, "%s: %s", file, error);
}

static bool
write_all(int fd, const struct buffer *pem)
{
	size_t done = 0;
	ssize_t n;

	while (done < pem->len) {
		n = write(fd, pem->text + done, pem->len - done);
		if (n == -1 && errno != EINTR)
			return false;
		done += n > 0 ? (size_t)n : 0;
	}
	return fsync(fd) == 0;
}

/* A name in a folder lasts when the folder is written, too. */
static bool
sync_folder(const char *file)
{
	char *folder = mem_copy(file), *slash = strrchr(folder, '/');
	bool done;
	int fd;

	if (slash != NULL)
		slash[slash == folder] = '\0';
	fd = open(slash != NULL ? folder : ".", O_RDONLY | O_DIRECTORY |
	    O_CLOEXEC);
	done = fd != -1 && fsync(fd) == 0;
	if (fd != -1)
		close(fd);
	free(folder);
	return done;
}

/* A file that was not there; none is left that is not whole. */
static bool
write_file(const char *file, const struct buffer *pem)
{
	int fd, error;

	fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd == -1)
		return false;
	if (write_all(fd, pem) && close(fd) == 0 && sync_folder(file))
		return true;
	error = errno;
	unlink(file);
	errno = error;
	return false;
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
 * dkim generate: a key, and what is to be published of it.
 */

/* `"NAME":VALUE,` */
static void
put_member(struct buffer *json, const char *name, const char *value)
{
	buffer_printf(json, "\"%s\":", name);
	buffer_json(json, slice_of(value));
	buffer_add(json, SLICE(","));
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

/* The line of culver.conf(5). */
static void
put_config(struct buffer *json, const struct request *request,
    const char *file)
{
	struct buffer line = { NULL, 0, 0 };

	words_put(&line, "dkim");
	words_put(&line, request->domain.name);
	words_put(&line, request->selector);
	words_put(&line, file);
	buffer_add(json, SLICE("\"config\":"));
	buffer_json(json, (struct slice){ line.text, line.len });
	buffer_free(&line);
}

static int
describe(const struct request *request, const struct dkimsecret *secret,
    const char *file)
{
	struct buffer json = { NULL, 0, 0 };

	buffer_add(&json, SLICE("{"));
	put_member(&json, "domain", request->domain.name);
	put_member(&json, "selector", request->selector);
	put_member(&json, "file", file);
	put_member(&json, "type", dkimsecret_type_name(secret));
	buffer_printf(&json, "\"bits\":%u,", dkimsecret_bits(secret));
	put_record(&json, request->name, secret);
	put_config(&json, request, file);
	buffer_add(&json, SLICE("}"));
	return answer(CONTROL_OK, &json);
}

/* The key's octets go into the file, and nowhere else.  0, or the status. */
static int
keep_key(const struct dkimsecret *secret, const char *file)
{
	struct buffer pem = { NULL, 0, 0 };
	int status = 0;

	if (!dkimsecret_print(secret, &pem))
		status = say(CONTROL_AGAIN, "libcrypto writes no such key");
	else if (!write_file(file, &pem))
		status = say(errno == EACCES ? CONTROL_DENIED : CONTROL_NO,
		    "%s: %s", file, strerror(errno));
	dkimsecret_wipe(&pem);
	return status;
}

static int
run_generate(int argc, char **argv)
{
	struct dkimsecret *secret;
	struct request request;
	char path[PATH_MAX];
	const char *error;
	int status;

	status = take_words(&request, argc, argv, true);
	if (status != 0)
		return status;
	secret = dkimsecret_make(request.type, request.bits != 0 ?
	    request.bits : DKIMSECRET_BITS_WANTED, &error);
	if (secret == NULL)
		return say(CONTROL_AGAIN, "%s", error);
	status = keep_key(secret, request.file);
	if (status == 0) {
		/* The configuration names keys by absolute paths. */
		if (realpath(request.file, path) == NULL)
			snprintf(path, sizeof(path), "%s", request.file);
		proc_confine_alone(PROGRAM_SIGN, NULL, NULL);
		status = describe(&request, secret, path);
	}
	dkimsecret_free(&secret);
	return status;
}

/*
 * dkim check: is the key published?
 */

static int
say_verdict(const struct request *request, const struct dkimjudge *judge)
{
	struct buffer json = { NULL, 0, 0 };
	size_t i;

	buffer_add(&json, SLICE("{"));
	put_member(&json, "domain", request->domain.name);
	put_member(&json, "selector", request->selector);
	put_member(&json, "verdict", dkimjudge_name(judge->verdict));
	put_member(&json, "text", judge->text);
	buffer_add(&json, SLICE("\"warnings\":["));
	for (i = 0; i < judge->warnings_n; i++) {
		buffer_add(&json, slice_of(i > 0 ? "," : ""));
		buffer_json(&json, slice_of(judge->warnings[i]));
	}
	buffer_add(&json, SLICE("]}"));
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
	dkimjudge_judge(secret, request->name, &found, judge);
	buffer_free(&input);
	region_free(&region);
}

static int
run_check(int argc, char **argv)
{
	struct dkimsecret *secret;
	struct dkimjudge judge;
	struct request request;
	int status;

	status = take_words(&request, argc, argv, false);
	if (status == 0)
		status = load_key(request.file, &secret);
	if (status != 0)
		return status;
	judge_input(&request, secret, &judge);
	dkimsecret_free(&secret);
	return say_verdict(&request, &judge);
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
		request->domain.name, request->selector, time(NULL)
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
	struct dkimsecret *secret;
	struct request request;
	int status;

	status = take_words(&request, argc, argv, false);
	if (status == 0)
		status = load_key(request.file, &secret);
	if (status != 0)
		return status;
	status = sign_input(&request, secret);
	dkimsecret_free(&secret);
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

	log_start(program_name(PROGRAM_SIGN));
	log_set_level(LOG_LEVEL_ERROR);
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
