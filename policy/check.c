/*
 * What would the relay make of this record, this policy, this match?
 *
 * Called by ctl.c for `culver-policy ctl check ...'.  Publishers show their
 * texts to the relay's own parsers, and anybody his facts to the functions
 * that decide: nothing is asked, looked up or kept, and neither configuration
 * nor store is needed.
 */
#include "policy/check.h"

#include "policy/ctl.h"
#include "policy/show.h"
#include "policy/verdict.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INPUT_MAX	(1u << 20)
#define RECORDS_MAX	1024

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
	show_text(&json, "reason", fault->reason);
	if (fault->line > 0)
		buffer_printf(&json, ",\"line\":%u", fault->line);
	buffer_add(&json, SLICE(","));
	show_text(&json, "clause", fault->clause != NULL ? fault->clause : "");
	buffer_add(&json, SLICE("}"));
	control_line(control, &json);
	buffer_free(&json);
	control_end(control, CONTROL_NO);
}

/* For a verb that judges what stands on standard input. */
static void
on_input(struct control *control, int argc,
    void (*judge)(struct control *, struct slice))
{
	char *octets;

	if (argc > 0) {
		control_error(control, "it reads standard input and takes no "
		    "argument");
		control_end(control, CONTROL_USAGE);
		return;
	}
	octets = mem_alloc(INPUT_MAX);
	judge(control, read_input(octets));
	free(octets);
}

/* One record a line, its strings already joined. */
static void
judge_record(struct control *control, struct slice input)
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
	show_text(&json, "id", id);
	buffer_add(&json, SLICE("}"));
	control_line(control, &json);
	buffer_free(&json);
	control_end(control, CONTROL_OK);
}

static void
run_record(void *program, struct control *control, int argc,
    char **argv)
{
	(void)program;
	(void)argv;
	on_input(control, argc, judge_record);
}

static void
judge_policy(struct control *control, struct slice input)
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
	show_text(&json, "mode", sts_mode_name(policy.mode));
	buffer_printf(&json, ",\"max_age\":%llu,",
	    (unsigned long long)policy.max_age_s);
	show_patterns(&json, &policy);
	buffer_add(&json, SLICE("}"));
	control_line(control, &json);
	buffer_free(&json);
	sts_policy_free(&policy);
	control_end(control, CONTROL_OK);
}

static void
run_policy(void *program, struct control *control, int argc,
    char **argv)
{
	(void)program;
	(void)argv;
	on_input(control, argc, judge_policy);
}

/* STS-4.1-2, STS-4.1-6 RFC 8461 4.1: a host with "*" is no host at all. */
static const char *
first_cover(struct control *control, const char *host, int argc, char **argv)
{
	struct domain domain;
	struct sts_mx mx;
	int i;

	if (!ctl_policy_domain(host, &domain))
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
run_mx_match(void *program, struct control *control, int argc,
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
		show_text(&json, "pattern", pattern);
	}
	buffer_add(&json, SLICE("}"));
	control_line(control, &json);
	buffer_free(&json);
	control_end(control, pattern != NULL ? CONTROL_OK : CONTROL_NO);
}

static void
refuse_fact(struct control *control, const char *word, const char *wrong)
{
	struct buffer facts = { NULL, 0, 0 };

	verdict_list(&facts);
	control_error(control, "\"%s\" %s.  The first holds where none is "
	    "named; what is joined by \",\" may stand together:\n%.*s", word,
	    wrong, (int)facts.len - 1, facts.text);
	buffer_free(&facts);
	control_end(control, CONTROL_USAGE);
}

static void
run_verdict(void *program, struct control *control, int argc, char **argv)
{
	struct session_facts facts = verdict_harmless();
	struct buffer json = { NULL, 0, 0 };
	struct verdict verdict;
	unsigned taken = 0;
	const char *wrong;
	int i;

	(void)program;
	for (i = 0; i < argc; i++) {
		wrong = verdict_take(&facts, &taken, argv[i]);
		if (wrong != NULL) {
			refuse_fact(control, argv[i], wrong);
			return;
		}
	}
	verdict = verdict_of(&facts);
	verdict_print(&verdict, &json);
	control_line(control, &json);
	buffer_free(&json);
	control_end(control, verdict.fate == FATE_SEND ? CONTROL_OK :
	    CONTROL_NO);
}

const struct control_verb check_policy_verbs[] = {
	{ "check", "sts-record", true, run_record },
	{ "check", "sts-policy", true, run_policy },
	{ "check", "mx-match", true, run_mx_match },
	{ "check", "verdict", true, run_verdict },
	{ NULL, NULL, false, NULL }
};
