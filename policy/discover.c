/*
 * Which MTA-STS policy applies to mail for this domain now?
 *
 * Called by route.c, beside the MX look-up.  One search runs: the record, the
 * TXT (unless the last one still holds), perhaps a fetch; currency.c says
 * where to go at each point.  The record is read anew after every wait:
 * a refresh may have ended meanwhile.
 *
 * Does not match hosts (sts.c) and does not say what a mode means (decide.c).
 */
#include "policy/discover.h"

#include "conf/log.h"
#include "policy/currency.h"
#include "policy/refresh.h"
#include "policy/txt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

struct waiting {
	struct waiting	*next;
	discover_call	*call;
	void		*context;
};

struct search {
	struct search		*next;
	struct discover		*discover;
	struct domain		 domain;
	struct waiting		*waiting;
	struct timer		*timer;		/* the TXT holds: answer */
	struct txt_found	 txt;
};

struct discover {
	struct loop	*loop;
	struct dns	*dns;
	struct cache	*cache;
	struct obtain	*obtain;
	void		(*planned)(void *, const struct domain *, int64_t);
	void		*context;
	int64_t		 expire_s;
	struct search	*searches;
};

struct discovered *
discovered_hold(struct discovered *found)
{
	found->held++;
	return found;
}

void
discovered_release(struct discovered **found)
{
	struct discovered *old = *found;

	*found = NULL;
	if (old == NULL || --old->held > 0)
		return;
	sts_policy_free(&old->policy);
	free(old);
}

/* Tell everybody.  Takes found. */
static void
search_end(struct search *search, struct discovered *found)
{
	struct search **at = &search->discover->searches;
	struct waiting *waiting, *next;

	while (*at != search)
		at = &(*at)->next;
	*at = search->next;
	for (waiting = search->waiting; waiting != NULL; waiting = next) {
		next = waiting->next;
		waiting->call(waiting->context, found);
		free(waiting);
	}
	discovered_release(&found);
	timer_free(&search->timer);
	free(search);
}

static struct discovered *
found_new(const struct search *search)
{
	struct discovered *found;

	found = mem_alloc(sizeof(*found));
	found->held = 1;
	found->ttl_s = search->txt.ttl_s;
	return found;
}

/* How a policy that applies was come by. */
enum origin {
	CONFIRMED,	/* kept; the TXT has its id */
	FALLBACK,	/* kept; the live one could not be had */
	FETCHED		/* just now */
};

/* A policy from the cache; one from the host was logged by obtain.c. */
static void
say_kept(const struct search *search, const struct discovered *found,
    const char *clause)
{
	struct event event;

	event_begin(&event, LOG_LEVEL_INFO, "policy");
	event_text(&event, "domain", search->domain.name);
	event_text(&event, "id", found->id);
	event_text(&event, "mode", sts_mode_name(found->mode));
	event_text(&event, "source", "cache");
	event_text(&event, "result", tls_result_name(
	    found->error == RESULT_NONE ? RESULT_SUCCESS : found->error));
	event_text(&event, "clause", clause);
	if (found->error_text[0] != '\0')
		event_text(&event, "reason", found->error_text);
	event_end(&event);
}

/*
 * Put the record's policy into found.  False: its text is damaged, or was
 * valid for an older culver only; the next mail has it fetched.
 */
static bool
take_policy(const struct search *search, const struct cache_record *record,
    struct discovered *found)
{
	struct cache *cache = search->discover->cache;
	struct cache_record buried;
	struct sts_fault fault;
	struct slice body;

	if (!cache_body(cache, &search->domain, &body))
		return false;
	if (!sts_parse_policy(body, &found->policy, &fault)) {
		cache_bury(cache, &search->domain, &buried);
		return false;
	}
	found->mode = found->policy.mode;
	found->text_mark = policy_text_mark(body);
	strcpy(found->id, record->id);
	found->expires_s = cache_expires(record);
	return true;
}

/* As a domain without MTA-STS, perhaps because of a failure. */
static void
end_without(struct search *search, enum tls_result error, const char *text)
{
	struct discovered *found = found_new(search);

	found->error = error;
	snprintf(found->error_text, sizeof(found->error_text), "%s", text);
	search_end(search, found);
}

/* Not to be decided now; lost: because damage took what was known. */
static void
end_again(struct search *search, bool lost, const char *text)
{
	struct discovered *found = found_new(search);

	found->again = true;
	snprintf(found->error_text, sizeof(found->error_text), "%s%.192s",
	    lost ? "the kept policy, if any, was lost, and it cannot be "
	    "had: " : "", text);
	search_end(search, found);
}

static bool
read_record(struct search *search, struct cache_record *record)
{
	if (cache_get(search->discover->cache, &search->domain, record))
		return true;
	end_again(search, false, "the policy cache cannot be read");
	return false;
}

static void
end_kept(struct search *search, const struct cache_record *record,
    enum origin origin, enum tls_result error, const char *text)
{
	struct discovered *found = found_new(search);

	if (!take_policy(search, record, found)) {
		discovered_release(&found);
		end_again(search, false, "the kept policy is damaged");
		return;
	}
	found->cached = origin == FALLBACK;
	found->error = error;
	snprintf(found->error_text, sizeof(found->error_text), "%s", text);
	if (origin != FETCHED)
		say_kept(search, found, origin == FALLBACK ? "RFC 8461 3.3" :
		    "RFC 8461 3.1");
	search_end(search, found);
}

/*
 * Mail came: a refresh that had stopped for want of it goes on, or one begins
 * beside it.  True when the record changed.
 */
static bool
note_mail(struct discover *discover, struct cache_record *record)
{
	int64_t now_s = loop_wall_s();
	bool noted = currency_note_mail(record, now_s);
	uint32_t random;

	if (record->refresh_s != 0)
		return noted;
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		fatal("no random number for a refresh");
	record->refresh_s = refresh_next(record, now_s, random);
	if (record->refresh_s == 0 && refresh_beside(record, now_s))
		record->refresh_s = now_s;
	if (record->refresh_s == 0)
		return noted;
	discover->planned(discover->context, &record->domain,
	    record->refresh_s);
	return true;
}

/* The fetch for this mail has ended, well or not. */
static void
on_obtained(void *context, const struct obtained *obtained)
{
	struct search *search = context;
	struct discover *discover = search->discover;
	bool bad = obtained->outcome == FETCHED_BAD, same;
	struct cache_record record;
	struct currency_facts facts;

	if (!read_record(search, &record))
		return;
	/* A younger fetch, under another id, may have come first. */
	same = strcmp(record.id, search->txt.id) == 0;
	facts = currency_facts(&record, search->txt.txt, search->txt.id,
	    loop_wall_s(), cache_lost_s(discover->cache), discover->expire_s);
	if (obtained->outcome != FETCHED_OURS) {
		currency_note_txt(&record, bad || !same ? 0 :
		    search->txt.ttl_s, loop_wall_s());
		record.refresh_s = 0;
		note_mail(discover, &record);
		cache_put(discover->cache, &record, NULL);
	}
	switch (currency_after_fetch(obtained->outcome, facts.known,
	    facts.lost)) {
	case CURRENCY_KEPT:
		end_kept(search, &record, bad ? FALLBACK : FETCHED,
		    bad ? obtained->result : RESULT_NONE, obtained->text);
		return;
	case CURRENCY_AGAIN:
		end_again(search, bad, obtained->text);
		return;
	case CURRENCY_NONE:
	case CURRENCY_FETCH:
		end_without(search, obtained->result, obtained->text);
	}
}

/* A policy is kept and stays; the TXT has confirmed it, or not. */
static void
keep(struct search *search, struct cache_record *record,
    const struct currency_facts *facts)
{
	bool same = facts->txt == TXT_SAME, failed = facts->txt == TXT_OTHER;

	if (same)
		currency_note_txt(record, search->txt.ttl_s, loop_wall_s());
	if (note_mail(search->discover, record) || same)
		cache_put(search->discover->cache, record, NULL);
	end_kept(search, record, same ? CONFIRMED : FALLBACK,
	    failed ? record->error : RESULT_NONE,
	    failed ? record->error_text : txt_reason(&search->txt));
}

static void
on_txt(void *context, const struct txt_found *txt)
{
	struct search *search = context;
	struct discover *discover = search->discover;
	struct cache_record record;
	struct currency_facts facts;

	search->txt = *txt;
	if (!read_record(search, &record))
		return;
	facts = currency_facts(&record, txt->txt, txt->id, loop_wall_s(),
	    cache_lost_s(discover->cache), discover->expire_s);
	switch (currency_judge(&facts)) {
	case CURRENCY_KEPT:
		keep(search, &record, &facts);
		return;
	case CURRENCY_FETCH:
		obtain_policy(discover->obtain, &search->domain, txt->id,
		    on_obtained, search);
		return;
	case CURRENCY_NONE:
		end_without(search, facts.waiting ? record.error : RESULT_NONE,
		    facts.waiting ? record.error_text : txt->text);
		return;
	case CURRENCY_AGAIN:
		end_again(search, true, facts.waiting ? record.error_text :
		    txt->text);
	}
}

/* The last TXT holds: nothing is asked. */
static void
on_kept(void *context)
{
	struct search *search = context;
	struct cache_record record;
	int64_t now_s = loop_wall_s();

	if (!read_record(search, &record))
		return;
	if (!currency_txt_holds(&record, now_s)) {
		txt_find(search->discover->dns, &search->domain, false,
		    on_txt, search);
		return;
	}
	search->txt.ttl_s = (uint32_t)(record.txt_until_s - now_s);
	if (note_mail(search->discover, &record))
		cache_put(search->discover->cache, &record, NULL);
	end_kept(search, &record, CONFIRMED, RESULT_NONE, "");
}

struct discover *
discover_new(struct loop *loop, struct dns *dns, struct cache *cache,
    struct obtain *obtain, void (*planned)(void *, const struct domain *,
    int64_t), void *context)
{
	struct discover *discover;

	discover = mem_alloc(sizeof(*discover));
	discover->loop = loop;
	discover->dns = dns;
	discover->cache = cache;
	discover->obtain = obtain;
	discover->planned = planned;
	discover->context = context;
	return discover;
}

void
discover_set(struct discover *discover, const struct config *config)
{
	discover->expire_s = config->expire_s;
}

static struct search *
search_find(const struct discover *discover, const struct domain *domain)
{
	struct search *search = discover->searches;

	while (search != NULL && !domain_equal(&search->domain, domain))
		search = search->next;
	return search;
}

static struct search *
search_new(struct discover *discover, const struct domain *domain)
{
	struct search *search;

	search = mem_alloc(sizeof(*search));
	search->discover = discover;
	search->domain = *domain;
	search->timer = timer_new(discover->loop, on_kept, search);
	search->next = discover->searches;
	discover->searches = search;
	timer_set(search->timer, 0);
	return search;
}

/*
 * STS-1.1-1, STS-8.2-1: the domain that mail is for, whatever its aliases.
 * STS-5.1-2 RFC 8461 5.1: beside the MX look-up, and awaited.
 */
void
discover_policy(struct discover *discover, const struct domain *domain,
    discover_call *call, void *context)
{
	struct search *search = search_find(discover, domain);
	struct waiting *waiting;

	waiting = mem_alloc(sizeof(*waiting));
	waiting->call = call;
	waiting->context = context;
	if (search == NULL)
		search = search_new(discover, domain);
	waiting->next = search->waiting;
	search->waiting = waiting;
}
