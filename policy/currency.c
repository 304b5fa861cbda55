/*
 * Is what we keep of a domain's policy current?
 *
 * Called by discover.c and obtain.c.  The whole of RFC 8461's rules on cached
 * policies that needs no network: which TXT answer leads where, what a failed
 * fetch leaves standing, and how an event changes a record.
 *
 * A policy's age moves by a good fetch alone; what has expired is gone, with
 * the same id or not (T2).  Nothing that DNS says, or fails to say, ends or
 * shortens a policy (T1).
 */
#include "policy/currency.h"

#include <stdio.h>
#include <string.h>

/* STS-3.3-10 RFC 8461 3.3 */
#define FAILED_ID_WAIT_S	300
#define MAIL_NOTED_EACH_S	(6 * 3600)
#define TXT_HOLDS_MAX_S		86400

enum currency_step
currency_judge(const struct currency_facts *facts)
{
	switch (facts->txt) {
	case TXT_SAME:
		/* STS-3-2: no HTTPS for what has not changed.  T2: the same
		 * id does not revive what has expired. */
		if (facts->known)
			return CURRENCY_KEPT;
		break;
	case TXT_OTHER:
		/* STS-3.1-7 RFC 8461 3.1: any other id, T3 */
		break;
	case TXT_NONE:
		/* STS-3.1-15 RFC 8461 3.1; STS-3.1-13, STS-3.1-14 */
		return facts->known ? CURRENCY_KEPT : CURRENCY_NONE;
	case TXT_FAILED:
		/* STS-3.3-15 RFC 8461 3.3; without a policy: ruling 7 */
		if (facts->known)
			return CURRENCY_KEPT;
		return facts->lost ? CURRENCY_AGAIN : CURRENCY_NONE;
	}
	/* STS-3-1 RFC 8461 3, STS-3.3-11: the wait is of one id only */
	if (!facts->waiting)
		return CURRENCY_FETCH;
	return currency_after_fetch(FETCHED_BAD, facts->known, facts->lost);
}

enum currency_step
currency_after_fetch(enum currency_fetch fetch, bool known, bool lost)
{
	if (fetch == FETCHED_OURS)
		return CURRENCY_AGAIN;
	/* STS-5.1-7, STS-3.3-15 RFC 8461 3.3 (T5) */
	if (fetch == FETCHED_GOOD || known)
		return CURRENCY_KEPT;
	/* STS-3.3-14 RFC 8461 3.3, unless a policy may have stood here */
	return lost ? CURRENCY_AGAIN : CURRENCY_NONE;
}

static bool
is_within(int64_t since_s, int64_t span_s, int64_t now_s)
{
	return since_s != 0 && now_s >= since_s && now_s - since_s < span_s;
}

struct currency_facts
currency_facts(const struct cache_record *record, enum currency_txt txt,
    const char *id, int64_t now_s, int64_t lost_s, int64_t expire_s)
{
	struct currency_facts facts = {
		.known = cache_is_known(record, now_s),
		.txt = txt,
		.lost = is_within(lost_s, expire_s, now_s) ||
		    is_within(record->lost_s, expire_s, now_s)
	};

	if (txt != TXT_SAME && txt != TXT_OTHER)
		return facts;
	/* STS-3.1-6 RFC 8461 3.1: as an exact string */
	facts.txt = strcmp(record->id, id) == 0 ? TXT_SAME : TXT_OTHER;
	facts.waiting = strcmp(record->failed_id, id) == 0 &&
	    is_within(record->error_s, FAILED_ID_WAIT_S, now_s);
	return facts;
}

bool
currency_txt_holds(const struct cache_record *record, int64_t now_s)
{
	/* A clock that was set back must not make it hold for years. */
	return cache_is_known(record, now_s) && now_s < record->txt_until_s &&
	    record->txt_until_s - now_s <= TXT_HOLDS_MAX_S;
}

/* STS-8.1-1 RFC 8461 8.1 */
void
currency_note_txt(struct cache_record *record, uint32_t ttl_s, int64_t now_s)
{
	record->checked_s = now_s;
	record->txt_until_s = now_s + ttl_s;
}

/*
 * STS-5.1-6, STS-8.3-1, STS-10.3-2: whatever its mode and lifetime, it
 * replaces the old.
 */
void
currency_note_fetched(struct cache_record *record, const char *id,
    const struct sts_policy *policy, int64_t now_s)
{
	snprintf(record->id, sizeof(record->id), "%s", id);
	record->mode = policy->mode;
	record->max_age_s = policy->max_age_s;
	record->fetched_s = record->checked_s = now_s;
	record->txt_until_s = 0;
	record->error = RESULT_NONE;
	record->error_text[0] = record->failed_id[0] = '\0';
	record->error_s = 0;
	record->failures = 0;
	record->failing_since_s = 0;
	record->lost_s = 0;
}

void
currency_note_failed(struct cache_record *record, const char *id,
    enum tls_result result, const char *text, int64_t now_s)
{
	record->error = result;
	snprintf(record->error_text, sizeof(record->error_text), "%s", text);
	record->error_s = now_s;
	snprintf(record->failed_id, sizeof(record->failed_id), "%s", id);
	if (record->failures++ == 0)
		record->failing_since_s = now_s;
}

bool
currency_note_mail(struct cache_record *record, int64_t now_s)
{
	if (is_within(record->mail_s, MAIL_NOTED_EACH_S, now_s))
		return false;
	record->mail_s = now_s;
	return true;
}
