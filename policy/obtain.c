/*
 * What does a domain's policy host say now?
 *
 * Called by discover.c, for mail and for refreshes alike.  One errand: the
 * policy host's addresses, the fetch, the parser, the record.  Addresses are
 * looked up here, with the other questions to DNS, and pinned; fetch resolves
 * nothing and goes nowhere else.
 *
 * Errands for one domain under different ids may run at a time (mail has seen
 * a new TXT, a refresh an old one).  The one that began last knows most: an
 * older one that ends after it changes nothing.
 *
 * Does not decide whether to fetch, nor what the outcome means for mail:
 * currency.c.
 */
#include "policy/obtain.h"

#include "conf/log.h"
#include "policy/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct waiting {
	struct waiting	*next;
	obtain_call	*call;
	void		*context;
};

struct errand {
	struct errand	*next;
	struct obtain	*obtain;
	struct domain	 domain;
	char		 id[STS_ID_SIZE];
	bool		 outdone;	/* a younger one ended well */
	struct waiting	*waiting;
};

struct obtain {
	struct dns	*dns;
	struct cache	*cache;
	struct fetcher	*fetcher;
	enum config_ip	 ip;
	bool		 private_too;
	struct errand	*errands;	/* youngest first */
	obtain_failed	*failed;
	void		*context;
};

static void
errand_end(struct errand *errand, const struct obtained *obtained)
{
	struct errand **at = &errand->obtain->errands;
	struct waiting *waiting, *next;

	while (*at != errand)
		at = &(*at)->next;
	*at = errand->next;
	for (waiting = errand->waiting; waiting != NULL; waiting = next) {
		next = waiting->next;
		waiting->call(waiting->context, obtained);
		free(waiting);
	}
	free(errand);
}

static void
say(enum log_level level, const struct errand *errand,
    const struct cache_record *record, enum tls_result result,
    const char *text, const char *clause)
{
	struct event event;

	event_begin(&event, level, "policy");
	event_text(&event, "domain", errand->domain.name);
	event_text(&event, "id", errand->id);
	event_text(&event, "mode", record->id[0] == '\0' ? "" :
	    sts_mode_name(record->mode));
	event_text(&event, "source", "fetch");
	event_text(&event, "result", tls_result_name(result));
	event_text(&event, "clause", clause);
	if (text[0] != '\0')
		event_text(&event, "reason", text);
	event_end(&event);
}

/* The cached policy that goes on to hold, if one does (ruling 31). */
static void
name_kept(struct cache *cache, const struct cache_record *record,
    struct r_failed *failed)
{
	struct slice body;

	if (!cache_is_known(record, failed->when_s) ||
	    !cache_body(cache, &record->domain, &body))
		return;
	memcpy(failed->sts_id, record->id, sizeof(record->id));
	failed->sts_text = policy_text_mark(body);
}

/*
 * STS-3.3-17 RFC 8461 3.3: the line, and its twin for the day's report.  All
 * failures come this way, so that both count the same.  STS-6-2 RFC 8461 6,
 * STS-3.3-18 RFC 8461 3.3: whose kept policy says none, wants neither.
 */
static void
tell_failed(struct errand *errand, const struct cache_record *record,
    enum tls_result result, const char *text, const char *clause)
{
	struct obtain *obtain = errand->obtain;
	struct r_failed failed = { .when_s = loop_wall_s(), .result = result };
	bool quiet = record->mode == STS_NONE && cache_is_known(record,
	    failed.when_s);

	say(quiet ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, errand, record, result,
	    text, clause);
	if (quiet || obtain->failed == NULL)
		return;
	memcpy(failed.domain, errand->domain.name, sizeof(failed.domain));
	snprintf(failed.reason, sizeof(failed.reason), "%s", text);
	name_kept(obtain->cache, record, &failed);
	obtain->failed(obtain->context, &failed);
}

static void
errand_failed(struct errand *errand, enum tls_result result,
    const char *text, const char *clause)
{
	struct obtained obtained = { FETCHED_BAD, result, text };
	struct cache *cache = errand->obtain->cache;
	struct cache_record record;

	if (cache_get(cache, &errand->domain, &record) && !errand->outdone) {
		currency_note_failed(&record, errand->id, result, text,
		    loop_wall_s());
		cache_put(cache, &record, NULL);
	}
	tell_failed(errand, &record, result, text, clause);
	errand_end(errand, &obtained);
}

/* What older ones may still bring of this domain is older. */
static void
outdo_older(const struct errand *errand)
{
	struct errand *older;

	for (older = errand->next; older != NULL; older = older->next)
		if (domain_equal(&older->domain, &errand->domain))
			older->outdone = true;
}

static void
keep_policy(struct errand *errand, const struct sts_policy *policy,
    struct slice body)
{
	struct cache *cache = errand->obtain->cache;
	struct cache_record record;

	cache_get(cache, &errand->domain, &record);
	if (!errand->outdone) {
		currency_note_fetched(&record, errand->id, policy,
		    loop_wall_s());
		cache_put(cache, &record, &body);
		outdo_older(errand);
	}
	say(LOG_LEVEL_INFO, errand, &record, RESULT_SUCCESS, "", "RFC 8461 3.3");
}

/*
 * RPT-4.3.2.2-1 RFC 8460 4.3.2.2: with the line, so that it can be mended.
 */
static void
take_body(struct errand *errand, struct slice body)
{
	struct obtained obtained = { FETCHED_GOOD, RESULT_SUCCESS, "" };
	struct sts_policy policy;
	struct sts_fault fault = { 0 };
	char text[256];

	if (!sts_parse_policy(body, &policy, &fault)) {
		if (fault.line > 0)
			snprintf(text, sizeof(text), "line %u: %s", fault.line,
			    fault.reason);
		else
			snprintf(text, sizeof(text), "%s", fault.reason);
		errand_failed(errand, RESULT_STS_POLICY_INVALID, text,
		    fault.clause);
		return;
	}
	keep_policy(errand, &policy, body);
	sts_policy_free(&policy);
	errand_end(errand, &obtained);
}

/* RPT-4.3.2.2-2, RPT-4.3.2.2-3 RFC 8460 4.3.2.2 */
static void
on_fetched(void *context, const struct f_done *done, struct slice body)
{
	struct obtained ours = { FETCHED_OURS, RESULT_NONE,
	    "our own fetch program failed" };
	struct errand *errand = context;

	if (done == NULL)
		errand_end(errand, &ours);
	else if (done->outcome == FETCH_BODY)
		take_body(errand, body);
	else
		errand_failed(errand, done->outcome == FETCH_WEBPKI ?
		    RESULT_STS_WEBPKI_INVALID : RESULT_STS_POLICY_FETCH_ERROR,
		    done->text, "RFC 8461 3.3");
}

/* STS-8.2-2 RFC 8461 8.2: an alias serves for the addresses alone. */
static void
on_host(void *context, struct host_found *found)
{
	struct errand *errand = context;
	char refused[ADDRESS_TEXT_MAX], text[256];

	host_permit(found, errand->obtain->private_too, refused);
	if (found->addresses_n > 0) {
		fetcher_get(errand->obtain->fetcher, &errand->domain,
		    found->addresses, found->addresses_n, on_fetched, errand);
		host_free(&found);
		return;
	}
	if (refused[0] != '\0')
		snprintf(text, sizeof(text), "private address %s", refused);
	else
		snprintf(text, sizeof(text), "policy host: %s", found->text);
	host_free(&found);
	errand_failed(errand, RESULT_STS_POLICY_FETCH_ERROR, text,
	    "RFC 8461 3.3");
}

struct obtain *
obtain_new(struct dns *dns, struct cache *cache, struct fetcher *fetcher,
    obtain_failed *failed, void *context)
{
	struct obtain *obtain;

	obtain = mem_alloc(sizeof(*obtain));
	obtain->dns = dns;
	obtain->cache = cache;
	obtain->fetcher = fetcher;
	obtain->failed = failed;
	obtain->context = context;
	return obtain;
}

void
obtain_set(struct obtain *obtain, const struct config *config)
{
	obtain->ip = config->ip;
	obtain->private_too = config->fetch_private_addresses;
}

static struct errand *
errand_find(const struct obtain *obtain, const struct domain *domain,
    const char *id)
{
	struct errand *errand = obtain->errands;

	while (errand != NULL && (strcmp(errand->id, id) != 0 ||
	    !domain_equal(&errand->domain, domain)))
		errand = errand->next;
	return errand;
}

/* STS-3.2-1 RFC 8461 3.2: the domain is all that the host's name has. */
static void
errand_begin(struct errand *errand)
{
	struct obtain *obtain = errand->obtain;
	struct domain host;

	/* It fits: the TXT's name is longer. */
	if (!dns_under("mta-sts", &errand->domain, &host))
		bug("policy host of %s", errand->domain.name);
	host_find(obtain->dns, &host, obtain->ip, 0, on_host, errand);
}

void
obtain_policy(struct obtain *obtain, const struct domain *domain,
    const char *id, obtain_call *call, void *context)
{
	struct errand *errand = errand_find(obtain, domain, id);
	struct waiting *waiting;

	waiting = mem_alloc(sizeof(*waiting));
	waiting->call = call;
	waiting->context = context;
	if (errand != NULL) {
		waiting->next = errand->waiting;
		errand->waiting = waiting;
		return;
	}
	errand = mem_alloc(sizeof(*errand));
	errand->obtain = obtain;
	errand->domain = *domain;
	snprintf(errand->id, sizeof(errand->id), "%s", id);
	errand->waiting = waiting;
	errand->next = obtain->errands;
	obtain->errands = errand;
	errand_begin(errand);
}
