/*
 * culverctl: the operator's tool.  Who answers what, and how does it look?
 *
 * A table of nouns and verbs says which program answers, whether it also does
 * so without a relay, and how its answer is shown.  A running relay is asked
 * through the control socket; without one, root and the relay's owner get the
 * same answer from the program itself (`culver-queue ctl ...`), in its own
 * confinement.  `check` verbs never need a relay, `config` is answered here.
 * `dkim` verbs are culver-sign's, which sees one key file and nothing else:
 * what is published is asked by culver-policy and given to it.
 *
 * A program that answers without a relay says what it changed in lines of a
 * log; they go where the relay's would, and look like those.
 *
 * It knows nothing of messages and policies.
 */
#include "conf/beside.h"
#include "conf/config.h"
#include "conf/control.h"
#include "conf/domainwords.h"
#include "conf/keyline.h"
#include "conf/log.h"
#include "conf/proc.h"
#include "conf/render.h"
#include "conf/unpack.h"
#include "conf/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* A relay that says nothing for so long is stuck. */
#define ANSWER_MS	60000

enum answered {
	BY_RELAY,		/* running, or not at all */
	BY_EITHER,		/* the relay, or its program alone */
	BY_PROGRAM,		/* its program alone: no relay, no settings */
	BY_SIGN,		/* culver-sign alone, and a key file */
	HERE,
	NOT_YET
};

struct verb {
	const char		*noun, *verb;	/* verb NULL: takes none */
	enum program		 program;
	enum answered		 answered;
	enum render_form	 form;
	const char		*arguments;	/* for usage */
};

#define FILTER	"[--domain D] [--sender ADDRESS] " \
	"[--state waiting|held|active] [--older DURATION]"
#define MESSAGES	"ID...|FILTER|--all"

static const struct verb verbs[] = {
	{ "queue", "list", PROGRAM_QUEUE, BY_EITHER, RENDER_QUEUE,
	  "[FILTER]" },
	{ "queue", "count", PROGRAM_QUEUE, BY_EITHER, RENDER_OBJECT,
	  "[FILTER] [--warn N] [--crit N]" },
	{ "queue", "show", PROGRAM_QUEUE, BY_EITHER, RENDER_OBJECT, "ID" },
	{ "queue", "message", PROGRAM_QUEUE, BY_EITHER, RENDER_JSON, "ID" },
	{ "queue", "flush", PROGRAM_QUEUE, BY_EITHER, RENDER_OBJECT,
	  MESSAGES },
	{ "queue", "hold", PROGRAM_QUEUE, BY_EITHER, RENDER_OBJECT,
	  MESSAGES },
	{ "queue", "release", PROGRAM_QUEUE, BY_EITHER, RENDER_OBJECT,
	  MESSAGES "|--clock" },
	{ "queue", "remove", PROGRAM_QUEUE, BY_EITHER, RENDER_OBJECT,
	  MESSAGES },
	{ "queue", "bounce", PROGRAM_QUEUE, BY_EITHER, RENDER_OBJECT,
	  MESSAGES },
	{ "queue", "backup", PROGRAM_QUEUE, BY_EITHER, RENDER_OBJECT, "DIR" },
	{ "domain", "list", PROGRAM_QUEUE, BY_EITHER, RENDER_DOMAINS, "" },
	{ "domain", "show", PROGRAM_QUEUE, BY_EITHER, RENDER_OBJECT,
	  "DOMAIN" },
	{ "domain", "hold", PROGRAM_QUEUE, BY_RELAY, RENDER_OBJECT,
	  "DOMAIN [--for DURATION]" },
	{ "domain", "release", PROGRAM_QUEUE, BY_RELAY, RENDER_OBJECT,
	  "DOMAIN" },
	{ "explain", NULL, PROGRAM_QUEUE, BY_EITHER, RENDER_EXPLAIN, "ID" },
	{ "policy", "list", PROGRAM_POLICY, BY_EITHER, RENDER_POLICIES, "" },
	{ "policy", "show", PROGRAM_POLICY, BY_EITHER, RENDER_OBJECT,
	  "DOMAIN" },
	{ "policy", "refresh", PROGRAM_POLICY, BY_EITHER, RENDER_OBJECT,
	  "DOMAIN" },
	{ "policy", "forget", PROGRAM_POLICY, BY_EITHER, RENDER_OBJECT,
	  "DOMAIN" },
	{ "check", "sts-record", PROGRAM_POLICY, BY_PROGRAM, RENDER_OBJECT,
	  "< TXT" },
	{ "check", "sts-policy", PROGRAM_POLICY, BY_PROGRAM, RENDER_OBJECT,
	  "< POLICY" },
	{ "check", "mx-match", PROGRAM_POLICY, BY_PROGRAM, RENDER_OBJECT,
	  "HOST PATTERN..." },
	{ "check", "address", PROGRAM_SMTPD, BY_PROGRAM, RENDER_ADDRESSES,
	  "< ADDRESSES" },
	{ "check", "domain", PROGRAM_NONE, NOT_YET, RENDER_JSON, "" },
	{ "check", "tlsrpt-record", PROGRAM_REPORTS, BY_PROGRAM,
	  RENDER_OBJECT, "< TXT" },
	{ "check", "headers", PROGRAM_NONE, NOT_YET, RENDER_JSON, "" },
	{ "check", "verdict", PROGRAM_POLICY, BY_PROGRAM, RENDER_OBJECT,
	  "[FACT=VALUE...]" },
	{ "config", NULL, PROGRAM_NONE, HERE, RENDER_JSON, "[KEYWORD]" },
	{ "status", NULL, PROGRAM_PARENT, BY_RELAY, RENDER_TABLE,
	  "[--sandbox]" },
	{ "report", "list", PROGRAM_REPORTS, BY_EITHER, RENDER_REPORTS,
	  "[--domain D] [--day YYYY-MM-DD]" },
	{ "report", "show", PROGRAM_REPORTS, BY_EITHER, RENDER_TEXT,
	  "DOMAIN [--day YYYY-MM-DD]" },
	{ "report", "send", PROGRAM_REPORTS, BY_EITHER, RENDER_TABLE,
	  "[DOMAIN] [--day YYYY-MM-DD]" },
	{ "report", "read", PROGRAM_REPORTS, NOT_YET, RENDER_JSON, "" },
	{ "stats", NULL, PROGRAM_NONE, NOT_YET, RENDER_JSON, "" },
	{ "user", NULL, PROGRAM_NONE, NOT_YET, RENDER_JSON, "" },
	{ "dkim", "generate", PROGRAM_SIGN, BY_SIGN, RENDER_KEY,
	  "DOMAIN SELECTOR [--file PATH] [--type rsa|ed25519] [--bits N]" },
	{ "dkim", "check", PROGRAM_SIGN, BY_SIGN, RENDER_KEY_CHECK,
	  "DOMAIN SELECTOR [--file PATH]" },
	{ "aliases", NULL, PROGRAM_NONE, NOT_YET, RENDER_JSON, "" },
};
#define VERBS_N	(sizeof(verbs) / sizeof(verbs[0]))

/* What was asked for on the command line. */
struct question {
	const struct verb	*verb;
	const char		*file;		/* -c, or NULL */
	bool			 json;
	bool			 plain;		/* "--" was there */
	bool			 syslog;	/* log lines go there */
	char			**words;	/* noun, verb, arguments */
	int			 words_n;
	struct unpack		*unpack;	/* of a backup, or NULL */
};

/* ---- the command line ---- */

static void
write_verb(FILE *out, const char *before, const struct verb *verb)
{
	fprintf(out, "%s%s%s%s%s%s\n", before, verb->noun,
	    verb->verb != NULL ? " " : "",
	    verb->verb != NULL ? verb->verb : "",
	    verb->arguments[0] != '\0' ? " " : "", verb->arguments);
}

static void
explain_filter(FILE *out)
{
	fprintf(out, "  a FILTER is any of " FILTER ";\n"
	    "  a DURATION is a number and s, m, h or d, as 90m\n");
}

/* All verbs; or, with a noun, those of it. */
static void
usage(FILE *out, const char *noun)
{
	size_t i;

	fprintf(out, "usage: culverctl [-c FILE] [--json] NOUN VERB ...\n");
	for (i = 0; i < VERBS_N; i++)
		if (verbs[i].answered != NOT_YET && (noun == NULL ||
		    strcmp(verbs[i].noun, noun) == 0))
			write_verb(out, "  ", &verbs[i]);
	if (noun == NULL || strcmp(noun, "queue") == 0)
		explain_filter(out);
}

/* What this verb accepts: somebody said something else. */
static void
usage_of(const struct verb *verb)
{
	write_verb(stderr, "usage: culverctl ", verb);
	if (strstr(verb->arguments, "FILTER") != NULL)
		explain_filter(stderr);
}

static void	give_up(int status, const char *format, ...)
		    __attribute__((format(printf, 2, 3), noreturn));

static void
give_up(int status, const char *format, ...)
{
	va_list values;

	fputs("culverctl: ", stderr);
	va_start(values, format);
	vfprintf(stderr, format, values);
	va_end(values);
	fputc('\n', stderr);
	exit(status);
}

/* Our own options, before the noun; returns where the words begin. */
static int
take_options(int argc, char **argv, struct question *question)
{
	int i;

	for (i = 1; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "--json") == 0) {
			question->json = true;
		} else if (strcmp(argv[i], "-c") == 0 && i + 1 < argc) {
			question->file = argv[++i];
		} else if (strcmp(argv[i], "-V") == 0) {
			printf("culverctl %s\n", CULVER_VERSION);
			exit(0);
		} else if (strcmp(argv[i], "-h") == 0 ||
		    strcmp(argv[i], "--help") == 0) {
			usage(stdout, NULL);
			exit(0);
		} else {
			fprintf(stderr, "culverctl: %s is not understood "
			    "here\n", argv[i]);
			usage(stderr, NULL);
			exit(CONTROL_USAGE);
		}
	}
	return i;
}

/*
 * The words, without a --json among them.  The first "--" ends all options:
 * what follows it is taken as it is.
 */
static void
take_words(int argc, char **argv, struct question *question)
{
	int i;

	question->words = mem_alloc(((size_t)argc + 3) * sizeof(*argv));
	for (i = 0; i < argc; i++) {
		if (!question->plain && strcmp(argv[i], "--") == 0)
			question->plain = true;
		else if (!question->plain && strcmp(argv[i], "--json") == 0)
			question->json = true;
		else
			question->words[question->words_n++] = argv[i];
	}
}

/* One more word; take_words left room for two. */
static void
add_word(struct question *question, const char *word)
{
	question->words[question->words_n++] = mem_copy(word);
}

static bool
is_noun(const char *word)
{
	size_t i;

	for (i = 0; i < VERBS_N; i++)
		if (strcmp(verbs[i].noun, word) == 0)
			return true;
	return false;
}

static const struct verb *
find_verb(const struct question *question)
{
	const char *noun = question->words[0];
	const char *verb = question->words_n > 1 ? question->words[1] : "";
	size_t i;

	for (i = 0; i < VERBS_N; i++)
		if (strcmp(verbs[i].noun, noun) == 0 &&
		    (verbs[i].verb == NULL ||
		    strcmp(verbs[i].verb, verb) == 0))
			return &verbs[i];
	if (!is_noun(noun))
		fprintf(stderr, "culverctl: there is no %s\n", noun);
	else if (verb[0] == '\0')
		fprintf(stderr, "culverctl: %s needs a verb\n", noun);
	else
		fprintf(stderr, "culverctl: there is no %s %s\n", noun, verb);
	usage(stderr, is_noun(noun) ? noun : NULL);
	exit(CONTROL_USAGE);
}

/* ---- answers ---- */

static struct render *
show(const struct question *question)
{
	return render_new(question->json ? RENDER_JSON :
	    question->verb->form, stdout);
}

/* Octets of the answer: to be shown, or of files. */
static void
take_output(const struct question *question, struct render *render,
    const void *octets, size_t len)
{
	char error[1024];

	if (question->unpack == NULL)
		render_add(render, octets, len);
	else if (!unpack_add(question->unpack, octets, len, error,
	    sizeof(error)))
		give_up(CONTROL_AGAIN, "%s; what is there is no backup",
		    error);
}

static struct config *
read_config(const struct question *question)
{
	struct buffer error = { NULL, 0, 0 };
	struct config *config;
	char *line, *rest;

	config = config_read(question->file, NULL, 0, &error);
	if (config != NULL)
		return config;
	rest = error.text;
	while ((line = strsep(&rest, "\n")) != NULL)
		fprintf(stderr, "culverctl: %s\n", line);
	exit(CONTROL_DATA);
}

/* Connected to the relay, or -1: nobody answers. */
static int
connect_relay(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd == -1)
		give_up(CONTROL_AGAIN, "socket: %s", strerror(errno));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	if (errno != ENOENT && errno != ECONNREFUSED && errno != ENOTDIR)
		give_up(errno == EACCES || errno == EPERM ? CONTROL_DENIED :
		    CONTROL_AGAIN, "%s: %s", path, strerror(errno));
	close(fd);
	return -1;
}

static void
put_words(struct c_request *request, const struct question *question)
{
	size_t size;
	int i;

	for (i = 0; i < question->words_n; i++) {
		size = strlen(question->words[i]) + 1;
		if (size > sizeof(request->words) - request->words_len)
			give_up(CONTROL_USAGE, "that is too much at once");
		memcpy(request->words + request->words_len,
		    question->words[i], size);
		request->words_len += (uint32_t)size;
	}
}

/* Show what comes until the end; the status. */
static int
take_answer(const struct question *question, struct wire_port *port,
    struct render *render)
{
	const struct c_output *output;
	const void *message;
	int kind;

	for (;;) {
		kind = wire_port_receive(port, &message, NULL,
		    wire_now_ms() + ANSWER_MS);
		switch (kind) {
		case C_OUTPUT:
			output = message;
			take_output(question, render, output->octets,
			    output->octets_len);
			break;
		case C_ERROR:
			fprintf(stderr, "culverctl: %s\n",
			    ((const struct c_error *)message)->text);
			break;
		case C_END:
			return (int)((const struct c_end *)message)->status;
		default:
			fprintf(stderr, "culverctl: the relay %s\n",
			    kind == -1 ? "does not answer" :
			    "went away or is too busy");
			return CONTROL_AGAIN;
		}
	}
}

static int
ask_relay(const struct question *question, int fd)
{
	const uint8_t program = (uint8_t)question->verb->program;
	struct c_request request = { .words_len = 0 };
	struct render *render = show(question);
	struct wire_port port;
	int status;

	put_words(&request, question);
	wire_port_open(&port, fd, &control_wire);
	if (send(fd, &program, 1, MSG_NOSIGNAL) != 1 ||
	    wire_port_send(&port, C_REQUEST, &request, NULL,
	    wire_now_ms() + ANSWER_MS) != 0)
		give_up(CONTROL_AGAIN, "the relay went away");
	status = take_answer(question, &port, render);
	render_end(&render);
	wire_port_close(&port);
	return status;
}

/* ---- programs alone ---- */

/* "culver-queue", "ctl", "-c", FILE, words. */
static char **
program_words(const struct question *question)
{
	const size_t most = (size_t)question->words_n + 5;
	char **argv = mem_alloc(most * sizeof(*argv));
	int n = 0, i;

	/* culver-sign tells the operator what is wrong in our name. */
	argv[n++] = mem_copy(question->verb->answered == BY_SIGN ?
	    "culverctl" : program_name(question->verb->program));
	argv[n++] = mem_copy("ctl");
	if (question->file != NULL &&
	    question->verb->answered == BY_EITHER) {
		argv[n++] = mem_copy("-c");
		argv[n++] = mem_copy(question->file);
	}
	for (i = 0; i < question->words_n; i++)
		argv[n++] = question->words[i];
	return argv;
}

static int
open_program(enum program program)
{
	int fd = beside_open(program);

	if (fd == -1)
		give_up(CONTROL_AGAIN, "%s is not beside culverctl: %s",
		    program_name(program), strerror(errno));
	return fd;
}

/* Become that program; log_fd: -1 for none. */
static void
execute(enum program program, int program_fd, char **argv, int out_fd,
    int log_fd)
{
	char number[16];

	dup2(out_fd, STDOUT_FILENO);
	snprintf(number, sizeof(number), "%d", log_fd);
	if (log_fd != -1)
		fcntl(log_fd, F_SETFD, 0);
	if (log_fd == -1 ? unsetenv(CONTROL_LOG) == 0 :
	    setenv(CONTROL_LOG, number, 1) == 0)
		beside_execute(program_fd, argv);
	fprintf(stderr, "culverctl: %s: %s\n", program_name(program),
	    strerror(errno));
	_exit(CONTROL_AGAIN);
}

/* A program that answers for us. */
struct answering {
	pid_t	pid;
	int	out_fd;
	int	log_fd;		/* -1: none */
};

/* Run it; what it says is read from the descriptors. */
static struct answering
start(enum program program, char **argv, bool with_log)
{
	struct answering answering = { .log_fd = -1 };
	int program_fd = open_program(program);
	int out[2], log[2] = { -1, -1 };

	fflush(stdout);
	if (pipe2(out, O_CLOEXEC) != 0 ||
	    (with_log && pipe2(log, O_CLOEXEC) != 0) ||
	    (answering.pid = fork()) == -1)
		give_up(CONTROL_AGAIN, "%s", strerror(errno));
	if (answering.pid == 0)
		execute(program, program_fd, argv, out[1], log[1]);
	close(out[1]);
	if (with_log)
		close(log[1]);
	close(program_fd);
	answering.out_fd = out[0];
	answering.log_fd = log[0];
	return answering;
}

/* A line of its log. */
static void
log_further(const struct question *question, const char *line)
{
	if (question->syslog)
		log_syslog(NULL, LOG_LEVEL_INFO, line);
	else
		log_stderr(NULL, LOG_LEVEL_INFO, line);
}

/* Octets of its log, cut anywhere. */
static void
take_log(const struct question *question, struct buffer *line,
    const char *octets, size_t len)
{
	struct slice rest = { octets, len };

	while (rest.len > 0) {
		buffer_add(line, slice_cut(&rest, '\n'));
		if (rest.at == NULL)
			return;		/* the line goes on */
		log_further(question, line->text);
		line->len = 0;
	}
}

/* Show all it says, until it has closed both. */
static void
show_all(const struct question *question, const struct answering *answering,
    struct render *render)
{
	struct pollfd fds[2] = {
		{ .fd = answering->out_fd, .events = POLLIN },
		{ .fd = answering->log_fd, .events = POLLIN }
	};
	struct buffer line = { NULL, 0, 0 };
	char octets[16384];
	ssize_t len;

	while (fds[0].fd != -1 || fds[1].fd != -1) {
		if (poll(fds, 2, -1) == -1 && errno != EINTR)
			give_up(CONTROL_AGAIN, "poll: %s", strerror(errno));
		for (int i = 0; i < 2; i++) {
			if (fds[i].fd == -1 || fds[i].revents == 0)
				continue;
			len = read(fds[i].fd, octets, sizeof(octets));
			if (len <= 0)
				fds[i].fd = -1;
			else if (i == 0)
				take_output(question, render, octets,
				    (size_t)len);
			else
				take_log(question, &line, octets,
				    (size_t)len);
		}
	}
	buffer_free(&line);
}

/* The program answers on a pipe; its exit status is ours. */
static int
ask_program(const struct question *question)
{
	const enum program program = question->verb->program;
	struct answering answering = start(program, program_words(question),
	    question->verb->answered == BY_EITHER);
	struct render *render = show(question);
	int status;

	show_all(question, &answering, render);
	render_end(&render);
	if (waitpid(answering.pid, &status, 0) != answering.pid ||
	    !WIFEXITED(status))
		give_up(CONTROL_AGAIN, "%s died", program_name(program));
	return WEXITSTATUS(status);
}

/* The same file, wherever it is spoken of. */
static char *
absolute(const char *file)
{
	struct buffer path = { NULL, 0, 0 };
	char folder[PATH_MAX];

	if (file[0] == '/')
		return mem_copy(file);
	if (getcwd(folder, sizeof(folder)) == NULL)
		give_up(CONTROL_NO, "the current folder: %s",
		    strerror(errno));
	buffer_printf(&path, "%s/%s", folder, file);
	return path.text;
}

/* ---- keys that sign ---- */

/*
 * The domain and the selector as the configuration has them: whatever case
 * they were typed in, they have one record and one file.
 */
static void
take_names(struct question *question)
{
	struct buffer why = { NULL, 0, 0 };
	struct keyline names;

	if (!keyline_parse(question->words[2], question->words[3], &names,
	    &why))
		give_up(CONTROL_USAGE, "%s", why.text);
	question->words[2] = mem_copy(names.domain.name);
	question->words[3] = mem_copy(names.selector);
}

/* The key file of a dkim line, or NULL. */
static char *
configured_key(const struct question *question)
{
	struct config *config = read_config(question);
	char *file = NULL;
	size_t i;

	for (i = 0; i < config->dkim_n && file == NULL; i++)
		if (strcmp(config->dkim[i].domain.name,
		    question->words[2]) == 0 &&
		    strcmp(config->dkim[i].selector, question->words[3]) == 0)
			file = mem_copy(config->dkim[i].file);
	config_free(&config);
	return file;
}

/* DOMAIN.SELECTOR.key beside the configuration. */
static char *
new_key(const struct question *question)
{
	struct buffer path = { NULL, 0, 0 };
	char *config = absolute(question->file != NULL ? question->file :
	    CONFIG_FILE);

	*strrchr(config, '/') = '\0';
	buffer_printf(&path, "%s/%s.%s.key", config, question->words[2],
	    question->words[3]);
	free(config);
	return path.text;
}

/* Name the key file last, unless it was named, then as a whole path. */
static void
name_key(struct question *question)
{
	char *file = NULL;
	int i;

	for (i = 4; i < question->words_n; i++) {
		if (strcmp(question->words[i], "--file") != 0)
			continue;
		/* What is not there, or "", culver-sign refuses. */
		if (i + 1 < question->words_n &&
		    question->words[i + 1][0] != '\0')
			question->words[i + 1] =
			    absolute(question->words[i + 1]);
		return;
	}
	file = configured_key(question);
	if (file == NULL && strcmp(question->verb->verb, "generate") == 0)
		file = new_key(question);
	if (file == NULL)
		give_up(CONTROL_NO, "no dkim line of the configuration is for "
		    "%.200s %s (or name its file by --file PATH)",
		    question->words[2], question->words[3]);
	add_word(question, "--file");
	add_word(question, file);
	free(file);
}

/* What culver-policy finds at SELECTOR._domainkey.DOMAIN: to be read. */
static int
ask_published(const struct question *question)
{
	static const struct verb txt = { "check", "txt", PROGRAM_POLICY,
	    BY_EITHER, RENDER_JSON, "NAME" };
	struct buffer name = { NULL, 0, 0 };
	char check[] = "check", verb[] = "txt";
	struct question other = { .verb = &txt, .file = question->file };
	char *words[3] = { check, verb, NULL };

	buffer_printf(&name, "%s._domainkey.%s", question->words[3],
	    question->words[2]);
	words[2] = name.text;
	other.words = words;
	other.words_n = 3;
	return start(PROGRAM_POLICY, program_words(&other), false).out_fd;
}

static int
ask_sign(struct question *question)
{
	struct config *config;

	if (question->words_n < 4 || question->words[2][0] == '-' ||
	    question->words[3][0] == '-')
		give_up(CONTROL_USAGE, "usage: dkim %s %s",
		    question->verb->verb, question->verb->arguments);
	take_names(question);
	name_key(question);
	if (strcmp(question->verb->verb, "check") == 0) {
		/* culver-policy reads it too: its faults are said but once. */
		config = read_config(question);
		config_free(&config);
		dup2(ask_published(question), STDIN_FILENO);
	}
	return ask_program(question);
}

/* ---- either ---- */

/* May we look into the spool ourselves? */
static bool
is_owner(const struct config *config)
{
	struct stat status;

	return geteuid() == 0 || (stat(config->spool, &status) == 0 &&
	    status.st_uid == geteuid());
}

static int
ask(struct question *question)
{
	struct config *config = read_config(question);
	int fd = connect_relay(config->control);

	question->syslog = config->log == CONFIG_LOG_SYSLOG &&
	    access("/dev/log", F_OK) == 0;
	/* A relay without tls-report has no program that would answer. */
	if (fd != -1 && question->verb->program == PROGRAM_REPORTS &&
	    !config->tls_report && is_owner(config)) {
		close(fd);
		return ask_program(question);
	}
	if (fd != -1)
		return ask_relay(question, fd);
	if (question->verb->answered == BY_EITHER && is_owner(config))
		return ask_program(question);
	fprintf(stderr, "culverctl: the relay is not running (nobody answers "
	    "on %s)\n", config->control);
	return CONTROL_DOWN;
}

/*
 * Wrong words are wrong also where nobody is there to say so; false: that was
 * said.
 */
static bool
check_words(const struct question *question)
{
	struct domain_words words;
	char why[512];

	if (question->verb->answered != BY_RELAY ||
	    question->verb->program != PROGRAM_QUEUE ||
	    domain_words_parse(question->words_n - 2, question->words + 2,
	    strcmp(question->verb->verb, "hold") == 0, &words, why,
	    sizeof(why)))
		return true;
	fprintf(stderr, "culverctl: %s\n", why);
	return false;
}

/* ---- a backup ---- */

static void
show_backup(const struct question *question, uint64_t files, uint64_t octets)
{
	struct render *render = show(question);
	struct buffer json = { NULL, 0, 0 };

	buffer_add(&json, SLICE("{\"folder\":"));
	buffer_json(&json, slice_of(question->words[2]));
	buffer_printf(&json, ",\"files\":%llu,\"octets\":%llu}\n",
	    (unsigned long long)files, (unsigned long long)octets);
	render_add(render, json.text, json.len);
	render_end(&render);
	buffer_free(&json);
}

/* The queue says what is in the files; we write them. */
/* Why a folder is not there to be written into: rights, or what may pass. */
static int
status_of(int error)
{
	switch (error) {
	case EACCES:
	case EPERM:
	case EROFS:
		return CONTROL_DENIED;
	case ENOSPC:
	case EDQUOT:
	case EIO:
	case EMFILE:
	case ENFILE:
		return CONTROL_AGAIN;
	default:
		return CONTROL_NO;
	}
}

/*
 * The folder above it, as the kernel knows it, NULL where there is none; what
 * is to be made does not exist yet.
 */
static char *
folder_above(const char *path)
{
	char *copy = mem_copy(path), *real;
	size_t len = strlen(copy);

	while (len > 1 && copy[len - 1] == '/')
		copy[--len] = '\0';
	real = realpath(dirname(copy), NULL);
	free(copy);
	return real;
}

/* A backup inside the spool would go with it, and is no file of a queue. */
static void
refuse_spool(const struct question *question)
{
	struct config *config = read_config(question);
	char *spool = realpath(config->spool, NULL);
	char *real = realpath(question->words[2], NULL);
	size_t len = spool != NULL ? strlen(spool) : 0;

	if (real == NULL)
		real = folder_above(question->words[2]);
	if (len > 1 && real != NULL && strncmp(real, spool, len) == 0 &&
	    (real[len] == '/' || real[len] == '\0'))
		give_up(CONTROL_USAGE, "%s is inside the spool, %s; wanted is "
		    "a folder elsewhere", question->words[2], config->spool);
	free(real);
	free(spool);
	config_free(&config);
}

static int
make_backup(struct question *question)
{
	uint64_t files, octets;
	char error[1024];
	int status;

	if (question->words_n != 3 || question->words[2][0] == '\0' ||
	    (question->words[2][0] == '-' && !question->plain))
		give_up(CONTROL_USAGE, "usage: culverctl queue backup DIR; "
		    "wanted is a folder that is empty or does not exist");
	question->words[2] = absolute(question->words[2]);
	refuse_spool(question);
	question->unpack = unpack_new(question->words[2], error,
	    sizeof(error));
	if (question->unpack == NULL)
		give_up(status_of(errno), "%s", error);
	status = ask(question);
	unpack_count(question->unpack, &files, &octets);
	if (unpack_end(&question->unpack) && status == CONTROL_OK) {
		show_backup(question, files, octets);
		return CONTROL_OK;
	}
	if (files > 0)
		fprintf(stderr, "culverctl: %s is no backup, as the file "
		    UNPACK_INCOMPLETE " in it says\n", question->words[2]);
	return status != CONTROL_OK ? status : CONTROL_AGAIN;
}

/* ---- config ---- */

struct printing {
	const char	*wanted;	/* NULL: all */
	bool		 json;
	bool		 found;
};

static void
print_setting(void *context, const char *keyword, const char *value)
{
	struct printing *printing = context;
	struct buffer json = { NULL, 0, 0 };

	if (printing->wanted != NULL && strcmp(printing->wanted, keyword) != 0)
		return;
	printing->found = true;
	if (!printing->json) {
		printf("%s %s\n", keyword, value);
		return;
	}
	buffer_add(&json, SLICE("{\"keyword\":"));
	buffer_json(&json, slice_of(keyword));
	buffer_add(&json, SLICE(",\"value\":"));
	buffer_json(&json, slice_of(value));
	printf("%s}\n", json.text);
	buffer_free(&json);
}

/* Why there is nothing to print for this keyword. */
static int
not_found(const char *keyword)
{
	struct config *config = config_new();
	struct buffer error = { NULL, 0, 0 };
	int status = CONTROL_NO;

	/* No keyword takes the empty value: the error says of which kind. */
	config_set(config, keyword, "", &error);
	if (strncmp(error.text, "unknown keyword", 15) == 0 ||
	    strstr(error.text, ": not yet") != NULL) {
		fprintf(stderr, "culverctl: %s\n", error.text);
		status = CONTROL_USAGE;
	}
	buffer_free(&error);
	config_free(&config);
	return status;
}

static int
print_config(const struct question *question)
{
	struct printing printing = { .json = question->json };
	struct config *config;

	if (question->words_n > 2)
		give_up(CONTROL_USAGE, "usage: config [KEYWORD]");
	if (question->words_n == 2)
		printing.wanted = question->words[1];
	config = read_config(question);
	config_each(config, print_setting, &printing);
	config_free(&config);
	return printing.found ? CONTROL_OK : not_found(printing.wanted);
}

/*
 * At the very end: an answer that nobody got is no success, whatever it was
 * (a full disk, say).
 */
static void
check_output(void)
{
	const bool failed = ferror(stdout);

	if (fflush(stdout) == 0 && !failed)
		return;
	/* The first failure's reason is gone. */
	fprintf(stderr, "culverctl: standard output: %s\n", failed ?
	    "not all of it could be written" : strerror(errno));
	_exit(CONTROL_AGAIN);
}

static int
answer(struct question *question)
{
	switch (question->verb->answered) {
	case NOT_YET:
		give_up(CONTROL_USAGE, "%s%s%s: not yet: this version of "
		    "culver does not have it", question->verb->noun,
		    question->verb->verb != NULL ? " " : "",
		    question->verb->verb != NULL ? question->verb->verb : "");
	case HERE:
		return print_config(question);
	case BY_PROGRAM:
		return ask_program(question);
	case BY_SIGN:
		return ask_sign(question);
	default:
		if (question->verb->verb != NULL &&
		    strcmp(question->verb->verb, "backup") == 0)
			return make_backup(question);
		/* The program makes this text: it has the whole report. */
		if (question->verb->form == RENDER_TEXT && !question->json)
			add_word(question, "--text");
		return check_words(question) ? ask(question) :
		    CONTROL_USAGE;
	}
}

int
main(int argc, char **argv)
{
	static struct question question;
	int first, status;

	log_start("culverctl");
	/* Warnings about the configuration are culverd's business. */
	log_set_level(LOG_LEVEL_ERROR);
	signal(SIGPIPE, SIG_DFL);
	atexit(check_output);
	first = take_options(argc, argv, &question);
	take_words(argc - first, argv + first, &question);
	if (question.words_n == 0) {
		usage(stderr, NULL);
		return CONTROL_USAGE;
	}
	question.verb = find_verb(&question);
	status = answer(&question);
	/* Whoever refused said what he did not understand. */
	if (status == CONTROL_USAGE && question.verb->answered != HERE)
		usage_of(question.verb);
	return status;
}
