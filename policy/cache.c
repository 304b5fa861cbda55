/*
 * Which MTA-STS policies do we keep?
 *
 * Called by discover.c, obtain.c, refresher.c and ctl.c.  Two tables,
 * "policy" (records) and "body" (texts), by domain.
 *
 * A record that was put stands in the list of unsaved ones until its turn is
 * durable: after a turn that failed the list answers before the store does,
 * and all of it is put again a minute later.
 *
 * Does not ask anybody and does not decide whether a policy applies: see
 * currency.c.  Damage of the whole is aside.c's business.
 */
#include "policy/cache.h"

#include "conf/log.h"
#include "conf/store.h"
#include "policy/aside.h"
#include "policy/policy.h"
#include "policy/replaced.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define VERSION		1
#define UNSAVED_MAX	1000
#define AGAIN_MS	60000
/* An open that ended the program this often is not tried once more. */
#define OPENS_MAX	3

struct unsaved {
	struct unsaved		*next;
	struct cache_record	 record;
	bool			 forgotten;	/* delete, not put */
	char			*body;		/* NULL: as before */
	size_t			 body_len;
};

struct cache {
	struct store		*store;
	struct store_table	*policies, *bodies;
	struct unsaved		*unsaved;
	unsigned		 unsaved_n;
	struct replaced		*replaced;
	bool			 flush;
	int64_t			 again_ms;	/* 0: the last turn was good */
	int64_t			 lost_s;
};

static const struct wire_field record_fields[] = {
	WIRE_FIELD_TEXT(struct cache_record, id),
	WIRE_FIELD(struct cache_record, mode, WIRE_U32, STS_ENFORCE),
	WIRE_FIELD(struct cache_record, max_age_s, WIRE_U64, 0),
	WIRE_FIELD(struct cache_record, fetched_s, WIRE_I64, 0),
	WIRE_FIELD(struct cache_record, checked_s, WIRE_I64, 0),
	WIRE_FIELD(struct cache_record, txt_until_s, WIRE_I64, 0),
	WIRE_FIELD(struct cache_record, error, WIRE_U32,
	    RESULT_STS_POLICY_FETCH_ERROR),
	WIRE_FIELD_TEXT(struct cache_record, error_text),
	WIRE_FIELD(struct cache_record, error_s, WIRE_I64, 0),
	WIRE_FIELD_TEXT(struct cache_record, failed_id),
	WIRE_FIELD(struct cache_record, failures, WIRE_U32, 0),
	WIRE_FIELD(struct cache_record, failing_since_s, WIRE_I64, 0),
	WIRE_FIELD(struct cache_record, mail_s, WIRE_I64, 0),
	WIRE_FIELD(struct cache_record, refresh_s, WIRE_I64, 0),
	WIRE_FIELD(struct cache_record, lost_s, WIRE_I64, 0),
};
static const struct wire_message record_row =
	WIRE_ROW(1, struct cache_record, record_fields, 0);

static const struct store_options options = {
	.cache_bytes = 1u << 20,
	.log_file_bytes = 1u << 20,
	/* What a log file and a checkpoint take, so that a full disk can be
	 * recovered from. */
	.ballast_bytes = 4u << 20
};

int64_t
cache_expires(const struct cache_record *record)
{
	if (record->id[0] == '\0')
		return 0;
	/* STS-3.2-8, STS-3.2-9 RFC 8461 3.2 */
	return sts_expires(record->fetched_s, record->max_age_s);
}

bool
cache_is_known(const struct cache_record *record, int64_t now_s)
{
	return record->id[0] != '\0' && now_s < cache_expires(record);
}

/*
 * Unsaved records.
 */

static struct unsaved *
unsaved_find(const struct cache *cache, const struct domain *domain)
{
	struct unsaved *unsaved = cache->unsaved;

	while (unsaved != NULL &&
	    !domain_equal(&unsaved->record.domain, domain))
		unsaved = unsaved->next;
	return unsaved;
}

static void
unsaved_free(struct unsaved **at)
{
	struct unsaved *unsaved = *at;

	*at = unsaved->next;
	free(unsaved->body);
	free(unsaved);
}

/*
 * One goes to make room: the oldest that is but a note (when mail came, what
 * failed), else the oldest of all.  A policy, or that one was forgotten, is
 * known here alone.
 */
static void
unsaved_evict(struct cache *cache)
{
	struct unsaved **at, **note = NULL, **last = NULL;

	for (at = &cache->unsaved; *at != NULL; at = &(*at)->next) {
		last = at;
		if ((*at)->body == NULL && !(*at)->forgotten)
			note = at;
	}
	unsaved_free(note != NULL ? note : last);
	cache->unsaved_n--;
}

/* The entry of this domain, first in the list. */
static struct unsaved *
unsaved_new(struct cache *cache, const struct domain *domain)
{
	struct unsaved *unsaved = unsaved_find(cache, domain);

	if (unsaved != NULL)
		return unsaved;
	if (cache->unsaved_n >= UNSAVED_MAX)
		unsaved_evict(cache);
	unsaved = mem_alloc(sizeof(*unsaved));
	unsaved->record.domain = *domain;
	unsaved->next = cache->unsaved;
	cache->unsaved = unsaved;
	cache->unsaved_n++;
	return unsaved;
}

static void
unsaved_drop_all(struct cache *cache)
{
	while (cache->unsaved != NULL)
		unsaved_free(&cache->unsaved);
	cache->unsaved_n = 0;
}

static struct slice
key_of(const struct domain *domain)
{
	return slice_of(domain->name);
}

/* Into this turn's transaction. */
static void
store_unsaved(struct cache *cache, const struct unsaved *unsaved)
{
	struct slice key = key_of(&unsaved->record.domain);

	if (unsaved->forgotten) {
		store_delete(cache->policies, key);
		store_delete(cache->bodies, key);
		return;
	}
	store_put_record(cache->policies, key, &record_row, &unsaved->record);
	if (unsaved->body == NULL)
		return;
	store_put(cache->bodies, key,
	    (struct slice){ unsaved->body, unsaved->body_len });
	cache->flush = true;
}

/*
 * Records.
 */

/* The text that stands here and will not any more. */
static void
keep_replaced(struct cache *cache, const struct domain *domain,
    struct slice body)
{
	struct cache_record record;
	struct slice old;

	if (cache_get(cache, domain, &record) && record.id[0] != '\0' &&
	    cache_body(cache, domain, &old) && !slice_equal(old, body))
		replaced_add(cache->replaced, domain, old);
}

void
cache_put(struct cache *cache, const struct cache_record *record,
    const struct slice *body)
{
	struct unsaved *unsaved;

	if (body != NULL)
		keep_replaced(cache, &record->domain, *body);
	unsaved = unsaved_new(cache, &record->domain);
	unsaved->record = *record;
	unsaved->forgotten = false;
	if (body != NULL) {
		free(unsaved->body);
		unsaved->body = mem_alloc(body->len + 1);
		memcpy(unsaved->body, body->at, body->len);
		unsaved->body_len = body->len;
	}
	if (cache->again_ms == 0)
		store_unsaved(cache, unsaved);
}

void
cache_forget(struct cache *cache, const struct domain *domain)
{
	struct unsaved *unsaved = unsaved_new(cache, domain);

	unsaved->forgotten = true;
	free(unsaved->body);
	unsaved->body = NULL;
	cache->flush = true;
	if (cache->again_ms == 0)
		store_unsaved(cache, unsaved);
}

void
cache_bury(struct cache *cache, const struct domain *domain,
    struct cache_record *record)
{
	log_alarm("policy-cache", "what was known of %s is damaged and lost",
	    domain->name);
	memset(record, 0, sizeof(*record));
	record->domain = *domain;
	record->lost_s = time(NULL);
	cache_put(cache, record, NULL);
}

bool
cache_get(struct cache *cache, const struct domain *domain,
    struct cache_record *record)
{
	const struct unsaved *unsaved = unsaved_find(cache, domain);
	enum store_found found;

	memset(record, 0, sizeof(*record));
	record->domain = *domain;
	if (unsaved != NULL) {
		if (!unsaved->forgotten)
			*record = unsaved->record;
		return true;
	}
	found = store_get_record(cache->policies, key_of(domain), &record_row,
	    record);
	if (found == STORE_DAMAGED || found == STORE_NEWER)
		cache_bury(cache, domain, record);
	else if (found != STORE_FOUND)
		memset(record, 0, sizeof(*record));
	record->domain = *domain;
	return found != STORE_FAILED;
}

bool
cache_body(struct cache *cache, const struct domain *domain,
    struct slice *body)
{
	const struct unsaved *unsaved = unsaved_find(cache, domain);
	struct cache_record record;
	enum store_found found;

	if (unsaved != NULL && unsaved->body != NULL) {
		*body = (struct slice){ unsaved->body, unsaved->body_len };
		return true;
	}
	found = store_get(cache->bodies, key_of(domain), body);
	if (found == STORE_FOUND)
		return true;
	if (found != STORE_FAILED)
		cache_bury(cache, domain, &record);
	return false;
}

bool
cache_text(struct cache *cache, const struct domain *domain, uint64_t mark,
    struct slice *body)
{
	struct cache_record record;

	return (cache_get(cache, domain, &record) && record.id[0] != '\0' &&
	    cache_body(cache, domain, body) &&
	    policy_text_mark(*body) == mark) ||
	    replaced_find(cache->replaced, domain, mark, body);
}

bool
cache_next(struct cache *cache, const struct domain *after,
    struct cache_record *record)
{
	struct slice from = key_of(after), key, value;
	enum store_found found;
	struct domain domain;

	found = store_next(cache->policies, from, from.len > 0, &key, &value);
	if (found == STORE_ABSENT || found == STORE_FAILED ||
	    !slice_store(key, domain.name, sizeof(domain.name)))
		return false;
	/* cache_get buries what is damaged, and knows what is unsaved. */
	return cache_get(cache, &domain, record);
}

/*
 * Turns.
 */

static void
put_all(struct cache *cache)
{
	const struct unsaved *unsaved;

	for (unsaved = cache->unsaved; unsaved != NULL;
	    unsaved = unsaved->next)
		store_unsaved(cache, unsaved);
}

/* T6: a policy that the store did not take goes on to be applied. */
static void
keep_unsaved(struct cache *cache, int64_t now_ms)
{
	if (cache->unsaved == NULL)
		return;
	if (cache->again_ms == 0)
		log_line(LOG_LEVEL_ERROR, "the policy cache cannot be "
		    "written: %u records are kept in memory",
		    cache->unsaved_n);
	cache->again_ms = now_ms + AGAIN_MS;
}

void
cache_turn_end(struct cache *cache, int64_t now_ms)
{
	bool again = cache->again_ms != 0 && now_ms >= cache->again_ms;

	if (again)
		put_all(cache);
	switch (store_turn_end(cache->store, cache->flush)) {
	case STORE_DURABLE:
		if (cache->again_ms != 0 && !again)
			break;		/* the list is not in it */
		unsaved_drop_all(cache);
		cache->again_ms = 0;
		break;
	case STORE_NOT_DURABLE:
		keep_unsaved(cache, now_ms);
		break;
	case STORE_GONE:
		fatal("the policy cache failed; recovery is at the next "
		    "start");
	}
	cache->flush = false;
}

unsigned
cache_unsaved(const struct cache *cache)
{
	return cache->again_ms == 0 ? 0 : cache->unsaved_n;
}

int64_t
cache_lost_s(const struct cache *cache)
{
	return cache->lost_s;
}

/*
 * Opening.
 */

static void
open_tables(struct cache *cache)
{
	cache->policies = store_table(cache->store, "policy", VERSION);
	cache->bodies = store_table(cache->store, "body", VERSION);
}

/* Can every page be read?  A record of its own may be damaged. */
static bool
can_be_walked(struct store_table *table)
{
	struct domain at = { "" };
	struct slice key, value;
	enum store_found found;

	do {
		found = store_next(table, key_of(&at), at.name[0] != '\0',
		    &key, &value);
		if (found == STORE_FAILED)
			return false;
		/* Damaged keys would be walked over again and again. */
		if (found != STORE_ABSENT &&
		    !slice_store(key, at.name, sizeof(at.name)))
			return false;
	} while (found != STORE_ABSENT);
	return true;
}

/* Move away what cannot be read and begin anew, or end the program. */
static void
begin_anew(struct cache *cache, const char *dir, const char *why)
{
	char error[512];

	store_close(&cache->store);
	if (!aside_move(dir, why, error, sizeof(error)))
		fatal("%s", error);
	cache->store = store_open(dir, &options, error, sizeof(error));
	if (cache->store == NULL)
		fatal("%s", error);
	open_tables(cache);
}

static void
open_and_mend(struct cache *cache, const char *dir)
{
	char error[512] = "it could not be opened three times";

	if (aside_opens(dir) < OPENS_MAX)
		cache->store = store_open(dir, &options, error,
		    sizeof(error));
	if (cache->store == NULL) {
		begin_anew(cache, dir, error);
		return;
	}
	aside_opening(dir);
	open_tables(cache);
	if (!can_be_walked(cache->policies) || !can_be_walked(cache->bodies))
		begin_anew(cache, dir, "not all of it can be read");
	aside_opened(dir);
}

struct cache *
cache_open(const char *dir, char *in_use, size_t size)
{
	struct cache *cache;

	cache = mem_alloc(sizeof(*cache));
	cache->replaced = replaced_new();
	if (in_use == NULL) {
		open_and_mend(cache, dir);
		cache->lost_s = aside_last_s(dir);
		return cache;
	}
	cache->store = store_open(dir, &options, in_use, size);
	if (cache->store == NULL) {
		replaced_free(&cache->replaced);
		free(cache);
		return NULL;
	}
	open_tables(cache);
	return cache;
}

void
cache_close(struct cache **cache)
{
	if (*cache == NULL)
		return;
	/* The minute is not waited for: there may be room by now. */
	if ((*cache)->again_ms != 0)
		cache_turn_end(*cache, (*cache)->again_ms);
	unsaved_drop_all(*cache);
	replaced_free(&(*cache)->replaced);
	store_close(&(*cache)->store);
	free(*cache);
	*cache = NULL;
}
