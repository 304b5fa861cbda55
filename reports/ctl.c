/*
 * What does an operator see and do of reports?
 *
 * Called by main.c, for a running relay and for `ctl'.  Lists go in slices;
 * every row is one JSON object a line (show.c).  The check of a record needs
 * neither book nor configuration, and asks nobody.
 */
#include "reports/ctl.h"

#include "conf/alone.h"
#include "conf/log.h"
#include "conf/proc.h"
#include "reports/rua.h"
#include "reports/show.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SLICE_ROWS	200
#define INPUT_MAX	(1u << 20)
#define RECORDS_MAX	1024

/* What was asked for, and how far it is answered. */
struct request {
	char		domain[DOMAIN_TEXT_MAX];	/* "": all */
	uint32_t	day;				/* 0: all */
	bool		text;
	/* of walks */
	uint32_t	at_day;
	char		at_domain[DOMAIN_TEXT_MAX];
	bool		todays;		/* `send': no day over is left */
	unsigned	sent;
	int		status;		/* CONTROL_NO: until one is sent */
};

static uint32_t
today(void)
{
	return (uint32_t)(time(NULL) / DAY_S);
}

/* False: a sentence was said. */
static bool
take_domain(struct control *control, const char *text,
    struct request *request)
{
	struct domain domain;

	if (!domain_parse(slice_of(text), &domain)) {
		control_error(control, "\"%s\" is no domain (in A-labels)",
		    text);
		return false;
	}
	memcpy(request->domain, domain.name, sizeof(request->domain));
	return true;
}

static bool
take_day(struct control *control, const char *text, struct request *request)
{
	if (day_parse(text, &request->day) && request->day > 0)
		return true;
	control_error(control, "\"%s\" is no day (YYYY-MM-DD)", text);
	return false;
}

/* One word and its value, if it takes one; the number of words, or 0. */
static int
take_option(struct control *control, int argc, char **argv,
    const char *allowed, struct request *request)
{
	const char *option = argv[0];

	if (strstr(allowed, option) == NULL) {
		control_error(control, "unknown option %s", option);
		return 0;
	}
	if (strcmp(option, "--text") == 0) {
		request->text = true;
		return 1;
	}
	if (argc < 2) {
		control_error(control, "%s needs a value", option);
		return 0;
	}
	if (strcmp(option, "--day") == 0)
		return take_day(control, argv[1], request) ? 2 : 0;
	if (strcmp(option, "--domain") == 0)
		return take_domain(control, argv[1], request) ? 2 : 0;
	control_error(control, "unknown option %s", option);
	return 0;
}

/* Options in any place, and one domain at most.  False: ended. */
static bool
take_request(struct control *control, int argc, char **argv,
    const char *allowed, bool domain, struct request *request)
{
	int taken = 1;

	memset(request, 0, sizeof(*request));
	while (argc > 0 && taken > 0) {
		if (argv[0][0] == '-')
			taken = take_option(control, argc, argv, allowed,
			    request);
		else if (domain && request->domain[0] == '\0')
			taken = take_domain(control, argv[0], request);
		else {
			control_error(control, "too many words: \"%s\"",
			    argv[0]);
			taken = 0;
		}
		argc -= taken;
		argv += taken;
	}
	if (taken > 0)
		return true;
	control_end(control, CONTROL_USAGE);
	return false;
}

/* Go on with that request in a later turn. */
static void
go_on_with(struct control *control, void (*go_on)(void *program,
    struct control *, void *state), const struct request *request)
{
	struct request *kept = mem_alloc(sizeof(*kept));

	*kept = *request;
	control_again(control, go_on, kept, NULL);
}

/* ---- walks ---- */

static void
begin_walk(struct request *request)
{
	request->at_day = request->day;
	request->at_domain[0] = '\0';
}

static bool
is_asked_for(const struct request *request, const struct report_state *state)
{
	return request->domain[0] == '\0' ||
	    strcmp(request->domain, state->domain) == 0;
}

/* The next report of the days asked for, or false: that was all. */
static bool
walk(struct ctl_reports *ctl, struct request *request,
    struct report_state *state)
{
	if (!book_next_report(ctl->book, request->at_day, request->at_domain,
	    state) || (request->day != 0 && state->day != request->day))
		return false;
	request->at_day = state->day;
	memcpy(request->at_domain, state->domain,
	    sizeof(request->at_domain));
	return true;
}

/* ---- list ---- */

static void
list_slice(void *program, struct control *control, void *context)
{
	struct ctl_reports *ctl = program;
	struct request *request = context;
	struct report_state state;
	unsigned rows;

	for (rows = 0; rows < SLICE_ROWS; rows++) {
		struct buffer json = { NULL, 0, 0 };

		if (!walk(ctl, request, &state)) {
			control_end(control, CONTROL_OK);
			return;
		}
		if (!is_asked_for(request, &state))
			continue;
		report_row_json(&json, ctl->book, ctl->config, &state);
		control_line(control, &json);
		buffer_free(&json);
	}
	control_again(control, list_slice, request, NULL);
}

static void
run_list(void *program, struct control *control, int argc, char **argv)
{
	struct request request;

	(void)program;
	if (!take_request(control, argc, argv, "--domain --day", false,
	    &request))
		return;
	begin_walk(&request);
	go_on_with(control, list_slice, &request);
}

/* ---- show ---- */

/* The newest day that counted something, or 0. */
static uint32_t
newest_day(struct book *book, const char *domain)
{
	uint64_t succeeded, failed;
	uint32_t day = today() + 1, back;

	for (back = 0; back < BOOK_DAYS + 4 && day > 0; back++, day--) {
		book_totals(book, day, domain, &succeeded, &failed);
		if (succeeded + failed > 0)
			return day;
	}
	return 0;
}

static void
show_report(struct ctl_reports *ctl, struct control *control,
    const struct request *request)
{
	uint32_t day = request->day != 0 ? request->day :
	    newest_day(ctl->book, request->domain);
	struct buffer out = { NULL, 0, 0 };
	char text[DAY_TEXT_MAX];
	int status = CONTROL_OK;

	if (day == 0 || !report_print(&out, ctl->book, ctl->config, day,
	    request->domain, request->text)) {
		control_error(control, "nothing was counted for %s%s%s",
		    request->domain, request->day != 0 ? " on " : "",
		    request->day != 0 ? day_print(day, text) : "");
		status = CONTROL_NO;
	} else if (request->text)
		control_octets(control, out.text, out.len);
	else
		control_line(control, &out);
	buffer_free(&out);
	control_end(control, status);
}

static void
run_show(void *program, struct control *control, int argc, char **argv)
{
	struct request request;

	if (!take_request(control, argc, argv, "--day --text", true,
	    &request))
		return;
	if (request.domain[0] == '\0') {
		control_error(control, "a domain is wanted");
		control_end(control, CONTROL_USAGE);
		return;
	}
	show_report(program, control, &request);
}

/* ---- send ---- */

static void
say_sent(struct control *control, const struct report_state *state,
    const struct order *order, bool sent)
{
	struct buffer json = { NULL, 0, 0 };
	char day[DAY_TEXT_MAX];

	buffer_add(&json, SLICE("{\"domain\":"));
	buffer_json(&json, slice_of(state->domain));
	buffer_printf(&json, ",\"day\":\"%s\",", day_print(state->day, day));
	if (sent)
		buffer_printf(&json, "\"state\":\"%s\",", order->state);
	buffer_add(&json, sent ? SLICE("\"text\":") : SLICE("\"error\":"));
	buffer_json(&json, slice_of(order->text.text));
	buffer_add(&json, SLICE("}"));
	control_line(control, &json);
	buffer_free(&json);
}

/* Without a relay: it is the first thing that the next one does. */
static bool
mark(struct ctl_reports *ctl, struct request *request,
    struct report_state *state, bool lift, struct order *order)
{
	bool marked;

	if (state->day >= today()) {
		request->status = CONTROL_DOWN;
		buffer_printf(&order->text, "today's report needs a running "
		    "relay");
		return false;
	}
	marked = order_past(ctl->book, state, lift, time(NULL), order);
	if (marked)
		buffer_printf(&order->text, " (at the next start)");
	book_want_flush(ctl->book);
	return marked;
}

static void
send_one(struct ctl_reports *ctl, struct control *control,
    struct request *request, struct report_state *state)
{
	struct order order = { .state = "" };
	/* Both were named: it is meant. */
	bool lift = request->domain[0] != '\0' && request->day != 0, sent;

	if (ctl->life != NULL)
		sent = life_send_now(ctl->life, state->day, state->domain,
		    lift, &order);
	else
		sent = mark(ctl, request, state, lift, &order);
	say_sent(control, state, &order, sent);
	request->sent += sent;
	buffer_free(&order.text);
}

/* Is this one meant, when no day was named? */
static bool
is_to_send(const struct request *request, const struct report_state *state)
{
	if (!is_asked_for(request, state))
		return false;
	if (request->day != 0)
		return true;
	if (request->todays)
		return state->day >= today();
	return state->day < today() && (state->phase == REPORT_COUNTING ||
	    state->phase == REPORT_ASKING || state->phase == REPORT_SENDING);
}

static void
end_send(struct control *control, const struct request *request)
{
	if (request->sent > 0) {
		control_end(control, CONTROL_OK);
		return;
	}
	if (request->status == CONTROL_NO)
		control_error(control, "there is no report to send");
	else
		control_error(control, "today's report needs a running "
		    "relay");
	control_end(control, request->status);
}

static void
send_slice(void *program, struct control *control, void *context)
{
	struct ctl_reports *ctl = program;
	struct request *request = context;
	struct report_state state;
	unsigned rows;

	for (rows = 0; rows < SLICE_ROWS; rows++) {
		if (walk(ctl, request, &state)) {
			if (is_to_send(request, &state))
				send_one(ctl, control, request, &state);
			continue;
		}
		if (request->sent > 0 || request->day != 0 ||
		    request->todays) {
			end_send(control, request);
			return;
		}
		/* No day that is over: what today has so far. */
		request->todays = true;
		begin_walk(request);
	}
	control_again(control, send_slice, request, NULL);
}

static void
run_send(void *program, struct control *control, int argc, char **argv)
{
	const struct ctl_reports *ctl = program;
	struct request request;
	struct event event;

	if (!take_request(control, argc, argv, "--day", true, &request))
		return;
	if (!ctl->config->tls_report) {
		control_error(control, "tls-report is off: no report leaves");
		control_end(control, CONTROL_NO);
		return;
	}
	event_begin(&event, LOG_LEVEL_INFO, "admin");
	event_text(&event, "verb", "report send");
	event_text(&event, "domain", request.domain);
	event_number(&event, "uid", control_uid(control));
	event_end(&event);
	request.status = CONTROL_NO;
	begin_walk(&request);
	go_on_with(control, send_slice, &request);
}

const struct control_verb ctl_reports_verbs[] = {
	{ "report", "list", false, run_list },
	{ "report", "show", false, run_show },
	{ "report", "send", false, run_send },
	{ NULL, NULL, false, NULL }
};

/* ---- check tlsrpt-record ---- */

/* All of standard input; false: that is more than INPUT_MAX, or unreadable. */
static bool
read_input(char *octets, struct slice *input)
{
	size_t len = 0;
	ssize_t n;

	while ((n = read(STDIN_FILENO, octets + len,
	    INPUT_MAX + 1 - len)) != 0) {
		if (n == -1 && errno != EINTR)
			return false;
		if (n > 0)
			len += (size_t)n;
		if (len > INPUT_MAX)
			return false;
	}
	*input = (struct slice){ octets, len };
	return true;
}

/* One record a line, its strings already joined.  False: too many. */
static bool
split_lines(struct slice input, struct slice *records, unsigned *n)
{
	struct slice line;

	for (*n = 0; input.at != NULL && input.len > 0; (*n)++) {
		if (*n == RECORDS_MAX)
			return false;
		line = slice_cut(&input, '\n');
		if (line.len > 0 && line.at[line.len - 1] == '\r')
			line.len--;
		records[*n] = line;
	}
	return true;
}

static void
check_input(struct control *control, char *octets)
{
	struct slice records[RECORDS_MAX];
	struct buffer json = { NULL, 0, 0 };
	struct slice input;
	unsigned n;
	bool valid;

	if (!read_input(octets, &input)) {
		control_error(control, "standard input is too long (%u octets "
		    "at most) or cannot be read", INPUT_MAX);
		control_end(control, CONTROL_DATA);
	} else if (!split_lines(input, records, &n)) {
		control_error(control, "standard input is too long (%u lines "
		    "at most, a record each)", RECORDS_MAX);
		control_end(control, CONTROL_DATA);
	} else {
		valid = rua_check(records, n, &json);
		control_line(control, &json);
		control_end(control, valid ? CONTROL_OK : CONTROL_NO);
	}
	buffer_free(&json);
}

static void
run_check(void *program, struct control *control, int argc, char **argv)
{
	char *octets;

	(void)program;
	(void)argv;
	if (argc != 0) {
		control_error(control, "it reads standard input and takes no "
		    "argument");
		control_end(control, CONTROL_USAGE);
		return;
	}
	octets = mem_alloc(INPUT_MAX + 1);
	check_input(control, octets);
	free(octets);
}

static const struct control_verb check_verbs[] = {
	{ "check", "tlsrpt-record", true, run_check },
	{ NULL, NULL, false, NULL }
};

/* ---- without a relay ---- */

/* Open the book as its owner.  Returns 0, or the exit status. */
static int
open_book(const struct config *config, struct book **book)
{
	char error[512];
	int status = alone_enter(PROGRAM_REPORTS, config, "reports");

	if (status != 0)
		return status;
	*book = book_open(proc_path(""), error, sizeof(error));
	if (*book != NULL)
		return 0;
	fprintf(stderr, "culverctl: %s\n", error);
	return CONTROL_AGAIN;
}

static int
run_on_book(const char *file, int argc, char **argv)
{
	struct ctl_reports ctl = { NULL, NULL, NULL };
	struct config *config = alone_config(file);
	int status;

	ctl.config = config;
	status = open_book(config, &ctl.book);
	log_set_level(LOG_LEVEL_INFO);
	if (status == 0) {
		status = control_run(ctl_reports_verbs, &ctl, argc, argv);
		if (!book_turn_end(ctl.book)) {
			fprintf(stderr, "culverctl: the disk did not take it\n");
			status = CONTROL_AGAIN;
		}
		book_close(&ctl.book);
	}
	config_free(&config);
	return status;
}

int
ctl_reports_alone(int argc, char **argv)
{
	const char *file = alone_begin(PROGRAM_REPORTS, &argc, &argv);

	if (argc < 1 || strcmp(argv[0], "check") != 0)
		return run_on_book(file, argc, argv);
	proc_confine_alone(PROGRAM_REPORTS, NULL, NULL);
	return control_run(check_verbs, NULL, argc, argv);
}
