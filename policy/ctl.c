/*
 * What does an operator see and do of policies?
 *
 * Called by main.c, for a running relay and for `ctl'.  Every answer is one
 * JSON object a line (show.c); culverctl makes text for people of it.  Verbs
 * that need nothing of a relay are in check.c and lookup.c.
 */
#include "policy/ctl.h"

#include "conf/alone.h"
#include "conf/log.h"
#include "conf/proc.h"
#include "policy/check.h"
#include "policy/lookup.h"
#include "policy/refresh.h"
#include "policy/show.h"

#include <idn2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SLICE_ROWS	200

/*
 * The verbs of `policy'.
 */

/* EXT-6531-3.2-1 RFC 6531 3.2: an operator may write U-labels. */
bool
ctl_policy_domain(const char *text, struct domain *domain)
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
	else if (!ctl_policy_domain(argv[0], domain) ||
	    domain_is_literal(domain))
		control_error(control, "\"%s\" is no domain", argv[0]);
	else
		return true;
	control_end(control, CONTROL_USAGE);
	return false;
}

static void
say_record(struct control *control, struct cache *cache,
    const struct cache_record *record)
{
	struct buffer json = { NULL, 0, 0 };

	show_record(&json, cache, record, time(NULL));
	control_line(control, &json);
	buffer_free(&json);
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
			say_record(control, ctl->cache, &record);
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
	say_record(control, ctl->cache, &record);
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
		say_record(control, ctl->cache, &record);
	if (!wait->good)
		control_error(control, "%s: %s", wait->domain.name,
		    wait->text);
	control_end(control, wait->good ? CONTROL_OK : CONTROL_NO);
}

/* Nobody is there to fetch it: the relay will, first of all. */
static void
ask_refresh(struct ctl_policy *ctl, struct control *control,
    const struct domain *domain)
{
	struct cache_record record;

	if (!find_record(ctl, control, domain, &record))
		return;
	record.refresh_s = REFRESH_ASKED;
	cache_put(ctl->cache, &record, NULL);
	say_record(control, ctl->cache, &record);
	control_error(control, "the relay is down: it fetches the policy of "
	    "%s when it starts", domain->name);
	control_end(control, CONTROL_OK);
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
		ask_refresh(ctl, control, &domain);
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
 * Without a relay.
 */

/* Open the store as its owner.  Returns 0, or the exit status. */
static int
open_cache(const struct config *config, struct cache **cache)
{
	char error[512];
	int status = alone_enter(PROGRAM_POLICY, config, "policy");

	if (status != 0)
		return status;
	*cache = cache_open(proc_path(""), error, sizeof(error));
	if (*cache != NULL)
		return 0;
	fprintf(stderr, "culverctl: %s\n", error);
	return CONTROL_AGAIN;
}

static int
run_on_store(const char *file, int argc, char **argv)
{
	struct ctl_policy ctl = { NULL, NULL };
	struct config *config = alone_config(file);
	int status;

	status = open_cache(config, &ctl.cache);
	log_set_level(LOG_LEVEL_INFO);
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

/* It needs the network, but neither relay nor store. */
static int
run_lookup(const char *file, int argc, char **argv)
{
	struct config *config = alone_config(file);
	struct lookup *lookup = lookup_new(config);
	int status;

	proc_confine_alone(PROGRAM_POLICY, NULL, NULL);
	status = control_run(lookup_verbs, lookup, argc, argv);
	lookup_free(&lookup);
	config_free(&config);
	return status;
}

int
ctl_policy_alone(int argc, char **argv)
{
	const char *file = alone_begin(PROGRAM_POLICY, &argc, &argv);

	tzset();
	if (argc < 1 || strcmp(argv[0], "check") != 0)
		return run_on_store(file, argc, argv);
	if (argc > 1 && strcmp(argv[1], "txt") == 0)
		return run_lookup(file, argc, argv);
	proc_confine_alone(PROGRAM_POLICY, NULL, NULL);
	return control_run(check_policy_verbs, NULL, argc, argv);
}
