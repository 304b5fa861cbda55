/*
 * What does an operator see and do of policies?
 *
 * Called by main.c, for a running relay and for `ctl'.  Every answer is one
 * JSON object a line (interfaces.md); culverctl makes text for people of it.
 * Checks read what publishers write with the relay's own parsers, and need
 * neither configuration nor store.
 */
#include "policy/ctl.h"

#include "conf/log.h"
#include "conf/proc.h"
#include "policy/decide.h"

#include <errno.h>
#include <idn2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SLICE_ROWS	200
#define INPUT_MAX	(1u << 20)
#define RECORDS_MAX	1024

/*
 * Records as JSON.
 */

static void
add_text(struct buffer *json, const char *key, const char *text)
{
	buffer_printf(json, "\"%s\":", key);
	buffer_json(json, slice_of(text));
}

/* RFC 3339, UTC; 0 is null. */
static void
add_time(struct buffer *json, const char *key, int64_t when_s)
{
	time_t when = (time_t)when_s;
	struct tm tm;
	char text[32];

	if (when_s == 0 || gmtime_r(&when, &tm) == NULL) {
		buffer_printf(json, "\"%s\":null", key);
		return;
	}
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	add_text(json, key, text);
}

static void
add_patterns(struct buffer *json, const struct sts_policy *policy)
{
	char pattern[DOMAIN_TEXT_MAX + 2];
	size_t i;

	buffer_add(json, SLICE("\"mx\":["));
	for (i = 0; i < policy->mx_n; i++) {
		snprintf(pattern, sizeof(pattern), "%s%s",
		    policy->mx[i].wildcard ? "*." : "",
		    policy->mx[i].domain.name);
		if (i > 0)
			buffer_add(json, SLICE(","));
		buffer_json(json, slice_of(pattern));
	}
	buffer_add(json, SLICE("]"));
}

static void
add_policy(struct buffer *json, struct cache *cache,
    const struct cache_record *record)
{
	struct sts_policy policy = { 0 };
	struct sts_fault fault;
	struct slice body;

	if (cache_body(cache, &record->domain, &body))
		sts_parse_policy(body, &policy, &fault);
	add_text(json, "id", record->id);
	buffer_add(json, SLICE(","));
	add_text(json, "mode", sts_mode_name(record->mode));
	buffer_printf(json, ",\"max_age\":%llu,",
	    (unsigned long long)record->max_age_s);
	add_patterns(json, &policy);
	buffer_add(json, SLICE(","));
	add_time(json, "fetched", record->fetched_s);
	buffer_add(json, SLICE(","));
	add_time(json, "expires", cache_expires(record));
	sts_policy_free(&policy);
}

/* STS-3.3-17 RFC 8461 3.3: the last failure stands beside the policy. */
static void
add_error(struct buffer *json, const struct cache_record *record)
{
	if (record->error == RESULT_NONE) {
		buffer_add(json, SLICE("\"error\":null"));
		return;
	}
	buffer_add(json, SLICE("\"error\":{"));
	add_text(json, "result", tls_result_name(record->error));
	buffer_add(json, SLICE(","));
	add_text(json, "text", record->error_text);
	buffer_add(json, SLICE(","));
	add_text(json, "id", record->failed_id);
	buffer_add(json, SLICE(","));
	add_time(json, "time", record->error_s);
	buffer_add(json, SLICE("}"));
}

/* A policy that has ended is none. */
static void
show_record(struct control *control, struct cache *cache,
    const struct cache_record *record)
{
	struct buffer json = { NULL, 0, 0 };

	buffer_add(&json, SLICE("{"));
	add_text(&json, "domain", record->domain.name);
	buffer_add(&json, SLICE(","));
	if (cache_is_known(record, time(NULL)))
		add_policy(&json, cache, record);
	else
		buffer_add(&json, SLICE("\"id\":null,\"mode\":null,"
		    "\"max_age\":null,\"mx\":[],\"fetched\":null,"
		    "\"expires\":null"));
	buffer_add(&json, SLICE(","));
	add_time(&json, "checked", record->checked_s);
	buffer_add(&json, SLICE(","));
	add_time(&json, "refresh", record->refresh_s);
	buffer_add(&json, SLICE(","));
	add_error(&json, record);
	buffer_add(&json, SLICE("}"));
	control_line(control, &json);
	buffer_free(&json);
}

/*
 * The verbs of `policy'.
 */

/* EXT-6531-3.2-1 RFC 6531 3.2: an operator may write U-labels. */
static bool
parse_domain(const char *text, struct domain *domain)
{
	uint8_t *alabels = NULL;
	bool parsed;

	if (domain_parse(slice_of(text), domain))
		return true;
	if (idn2_lookup_u8((const uint8_t *)text, &alabels,
	    IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
		return false;
	parsed = domain_parse(slice_of((const char *)alabels), domain);
	idn2_free(alabels);
	return parsed;
}

/* The one argument of most verbs.  False: the request has ended. */
static bool
take_domain(struct control *control, int argc, char **argv,
    struct domain *domain)
{
	if (argc != 1)
		control_error(control, "one domain is wanted");
	else if (!parse_domain(argv[0], domain) ||
	    domain_is_literal(domain))
		control_error(control, "\"%s\" is no domain", argv[0]);
	else
		return true;
	control_end(control, CONTROL_USAGE);
	return false;
}

static void
list_slice(void *program, struct control *control, void *state)
{
	struct ctl_policy *ctl = program;
	struct domain *after = state;
	struct cache_record record;
	unsigned rows;

	for (rows = 0; rows < SLICE_ROWS; rows++) {
		if (!cache_next(ctl->cache, after, &record)) {
			control_end(control, CONTROL_OK);
			return;
		}
		*after = record.domain;
		/* STS-8.3-2 RFC 8461 8.3 */
		if (cache_is_known(&record, time(NULL)))
			show_record(control, ctl->cache, &record);
	}
	control_again(control, list_slice, after, NULL);
}

static void
run_list(void *program, struct control *control, int argc, char **argv)
{
	(void)argv;
	if (argc != 0) {
		control_error(control, "policy list takes no argument");
		control_end(control, CONTROL_USAGE);
		return;
	}
	control_again(control, list_slice, mem_alloc(sizeof(struct domain)),
	    NULL);
	(void)program;
}

static bool
is_empty(const struct cache_record *record)
{
	return record->id[0] == '\0' && record->error == RESULT_NONE;
}

/* False: the request has ended. */
static bool
find_record(struct ctl_policy *ctl, struct control *control,
    const struct domain *domain, struct cache_record *record)
{
	if (!cache_get(ctl->cache, domain, record)) {
		control_error(control, "the policy cache cannot be read");
		control_end(control, CONTROL_AGAIN);
		return false;
	}
	if (!is_empty(record))
		return true;
	control_error(control, "nothing is known of %s", domain->name);
	control_end(control, CONTROL_NO);
	return false;
}

static void
run_show(void *program, struct control *control, int argc, char **argv)
{
	struct ctl_policy *ctl = program;
	struct cache_record record;
	struct domain domain;

	if (!take_domain(control, argc, argv, &domain) ||
	    !find_record(ctl, control, &domain, &record))
		return;
	show_record(control, ctl->cache, &record);
	control_end(control, CONTROL_OK);
}

static void
run_forget(void *program, struct control *control, int argc, char **argv)
{
	struct ctl_policy *ctl = program;
	struct cache_record record;
	struct domain domain;
	struct event event;

	if (!take_domain(control, argc, argv, &domain) ||
	    !find_record(ctl, control, &domain, &record))
		return;
	cache_forget(ctl->cache, &domain);
	event_begin(&event, LOG_LEVEL_INFO, "admin");
	event_text(&event, "verb", "policy forget");
	event_text(&event, "domain", domain.name);
	event_number(&event, "uid", control_uid(control));
	event_end(&event);
	control_end(control, CONTROL_OK);
}

/* One `policy refresh': held by the request, and by the refresh. */
struct refresh_wait {
	unsigned	 held;
	struct domain	 domain;
	bool		 done, good;
	char		 text[256];
};

static void
wait_release(void *state)
{
	struct refresh_wait *wait = state;

	if (--wait->held == 0)
		free(wait);
}

static void
on_refreshed(void *context, bool good, const char *text)
{
	struct refresh_wait *wait = context;

	wait->done = true;
	wait->good = good;
	snprintf(wait->text, sizeof(wait->text), "%s", text);
	wait_release(wait);
}

static void
refresh_slice(void *program, struct control *control, void *state)
{
	struct ctl_policy *ctl = program;
	struct refresh_wait *wait = state;
	struct cache_record record;

	if (!wait->done) {
		control_again(control, refresh_slice, wait, wait_release);
		return;
	}
	if (cache_get(ctl->cache, &wait->domain, &record) &&
	    !is_empty(&record))
		show_record(control, ctl->cache, &record);
	if (!wait->good)
		control_error(control, "%s: %s", wait->domain.name,
		    wait->text);
	control_end(control, wait->good ? CONTROL_OK : CONTROL_NO);
}

static void
run_refresh(void *program, struct control *control, int argc, char **argv)
{
	struct ctl_policy *ctl = program;
	struct refresh_wait *wait;
	struct domain domain;

	if (!take_domain(control, argc, argv, &domain))
		return;
	if (ctl->refresher == NULL) {
		control_error(control, "policy refresh needs a running relay");
		control_end(control, CONTROL_DOWN);
		return;
	}
	wait = mem_alloc(sizeof(*wait));
	wait->held = 2;
	wait->domain = domain;
	refresher_now(ctl->refresher, &domain, on_refreshed, wait);
	control_again(control, refresh_slice, wait, wait_release);
}

const struct control_verb ctl_policy_verbs[] = {
	{ "policy", "list", false, run_list },
	{ "policy", "show", false, run_show },
	{ "policy", "refresh", false, run_refresh },
	{ "policy", "forget", false, run_forget },
	{ NULL, NULL, false, NULL }
};

/*
 * The verbs of `check'.
 */

/* All of standard input, cut above INPUT_MAX. */
static struct slice
read_input(char *octets)
{
	size_t len = 0;
	ssize_t n;

	while (len < INPUT_MAX &&
	    (n = read(STDIN_FILENO, octets + len, INPUT_MAX - len)) != 0) {
		if (n == -1 && errno != EINTR)
			break;
		if (n > 0)
			len += (size_t)n;
	}
	return (struct slice){ octets, len };
}

static void
say_invalid(struct control *control, const struct sts_fault *fault)
{
	struct buffer json = { NULL, 0, 0 };

	buffer_add(&json, SLICE("{\"valid\":false,"));
	add_text(&json, "reason", fault->reason);
	if (fault->line > 0)
		buffer_printf(&json, ",\"line\":%u", fault->line);
	buffer_add(&json, SLICE(","));
	add_text(&json, "clause", fault->clause != NULL ? fault->clause : "");
	buffer_add(&json, SLICE("}"));
	control_line(control, &json);
	buffer_free(&json);
	control_end(control, CONTROL_NO);
}

static bool
no_arguments(struct control *control, int argc)
{
	if (argc == 0)
		return true;
	control_error(control, "it reads standard input and takes no "
	    "argument");
	control_end(control, CONTROL_USAGE);
	return false;
}

/* One record a line, its strings already joined. */
static void
check_record(struct control *control, struct slice input)
{
	struct slice records[RECORDS_MAX], line;
	struct buffer json = { NULL, 0, 0 };
	struct sts_fault fault = { 0 };
	char id[STS_ID_SIZE];
	size_t n = 0;

	while (input.at != NULL && input.len > 0 && n < RECORDS_MAX) {
		line = slice_cut(&input, '\n');
		if (line.len > 0 && line.at[line.len - 1] == '\r')
			line.len--;
		records[n++] = line;
	}
	if (!sts_parse_records(records, n, id, &fault)) {
		say_invalid(control, &fault);
		return;
	}
	buffer_add(&json, SLICE("{\"valid\":true,"));
	add_text(&json, "id", id);
	buffer_add(&json, SLICE("}"));
	control_line(control, &json);
	buffer_free(&json);
	control_end(control, CONTROL_OK);
}

static void
run_check_record(void *program, struct control *control, int argc,
    char **argv)
{
	char *octets;

	(void)program;
	(void)argv;
	if (!no_arguments(control, argc))
		return;
	octets = mem_alloc(INPUT_MAX);
	check_record(control, read_input(octets));
	free(octets);
}

static void
check_policy(struct control *control, struct slice input)
{
	struct sts_fault fault = { 0, "longer than 65536 octets",
	    "RFC 8461 3.3" };
	struct buffer json = { NULL, 0, 0 };
	struct sts_policy policy;

	if (input.len > STS_BODY_MAX ||
	    !sts_parse_policy(input, &policy, &fault)) {
		say_invalid(control, &fault);
		return;
	}
	buffer_add(&json, SLICE("{\"valid\":true,\"version\":\"STSv1\","));
	add_text(&json, "mode", sts_mode_name(policy.mode));
	buffer_printf(&json, ",\"max_age\":%llu,",
	    (unsigned long long)policy.max_age_s);
	add_patterns(&json, &policy);
	buffer_add(&json, SLICE("}"));
	control_line(control, &json);
	buffer_free(&json);
	sts_policy_free(&policy);
	control_end(control, CONTROL_OK);
}

static void
run_check_policy(void *program, struct control *control, int argc,
    char **argv)
{
	char *octets;

	(void)program;
	(void)argv;
	if (!no_arguments(control, argc))
		return;
	octets = mem_alloc(INPUT_MAX);
	check_policy(control, read_input(octets));
	free(octets);
}

/* STS-4.1-2, STS-4.1-6 RFC 8461 4.1: a host with "*" is no host at all. */
static const char *
first_cover(struct control *control, const char *host, int argc, char **argv)
{
	struct domain domain;
	struct sts_mx mx;
	int i;

	if (!parse_domain(host, &domain))
		return NULL;
	for (i = 0; i < argc; i++) {
		if (!sts_parse_mx(slice_of(argv[i]), &mx))
			control_error(control, "\"%s\" is no mx pattern",
			    argv[i]);
		else if (sts_mx_covers(&mx, &domain))
			return argv[i];
	}
	return NULL;
}

static void
run_check_mx_match(void *program, struct control *control, int argc,
    char **argv)
{
	struct buffer json = { NULL, 0, 0 };
	const char *pattern;

	(void)program;
	if (argc < 2) {
		control_error(control, "check mx-match HOST PATTERN...");
		control_end(control, CONTROL_USAGE);
		return;
	}
	pattern = first_cover(control, argv[0], argc - 1, argv + 1);
	buffer_printf(&json, "{\"match\":%s", pattern != NULL ? "true" :
	    "false");
	if (pattern != NULL) {
		buffer_add(&json, SLICE(","));
		add_text(&json, "pattern", pattern);
	}
	buffer_add(&json, SLICE("}"));
	control_line(control, &json);
	buffer_free(&json);
	control_end(control, pattern != NULL ? CONTROL_OK : CONTROL_NO);
}

const struct control_verb ctl_policy_checks[] = {
	{ "check", "sts-record", true, run_check_record },
	{ "check", "sts-policy", true, run_check_policy },
	{ "check", "mx-match", true, run_check_mx_match },
	{ NULL, NULL, false, NULL }
};

/*
 * Without a relay.
 */

/* The configuration, or the end of the program. */
static struct config *
read_config(const char *file)
{
	struct buffer error = { NULL, 0, 0 };
	struct config *config;

	config = config_read(file, NULL, 0, &error);
	if (config != NULL)
		return config;
	fprintf(stderr, "%s\n", error.text != NULL ? error.text :
	    "the configuration cannot be read");
	exit(CONTROL_DATA);
}

/* Open the store as its owner.  Returns 0, or the exit status. */
static int
open_cache(const struct config *config, struct cache **cache)
{
	char dir[4096], error[512];
	struct stat status;

	if (snprintf(dir, sizeof(dir), "%s/policy", config->spool) >=
	    (int)sizeof(dir))
		fatal("spool %s: the path is too long", config->spool);
	if (stat(dir, &status) == -1 || access(dir, R_OK | X_OK) == -1) {
		fprintf(stderr, "%s: %s\n", dir, strerror(errno));
		return errno == ENOENT ? CONTROL_NO : CONTROL_DOWN;
	}
	proc_confine_alone(PROGRAM_POLICY, config, dir);
	*cache = cache_open(proc_path(""), error, sizeof(error));
	if (*cache != NULL)
		return 0;
	fprintf(stderr, "%s\n", error);
	return CONTROL_AGAIN;
}

static int
run_on_store(const char *file, int argc, char **argv)
{
	struct ctl_policy ctl = { NULL, NULL };
	struct config *config = read_config(file);
	int status;

	status = open_cache(config, &ctl.cache);
	if (status == 0) {
		status = control_run(ctl_policy_verbs, &ctl, argc, argv);
		cache_turn_end(ctl.cache, wire_now_ms());
		if (cache_unsaved(ctl.cache) > 0)
			status = CONTROL_AGAIN;
		cache_close(&ctl.cache);
	}
	config_free(&config);
	return status;
}

int
ctl_policy_alone(int argc, char **argv)
{
	const char *file = NULL;

	if (argc >= 2 && strcmp(argv[0], "-c") == 0) {
		file = argv[1];
		argc -= 2;
		argv += 2;
	}
	tzset();
	if (argc < 1 || strcmp(argv[0], "check") != 0)
		return run_on_store(file, argc, argv);
	proc_confine_alone(PROGRAM_POLICY, NULL, NULL);
	return control_run(ctl_policy_checks, NULL, argc, argv);
}
