/*
 * How does what we know of a policy look to an operator?
 *
 * Called by ctl.c and check.c.  The JSON of interfaces.md, key by key; it
 * reads a policy's text from the cache for its patterns, and nothing else.
 */
#include "policy/show.h"

#include "policy/refresh.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void
show_text(struct buffer *json, const char *key, const char *text)
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
	show_text(json, key, text);
}

void
show_patterns(struct buffer *json, const struct sts_policy *policy)
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
	show_text(json, "id", record->id);
	buffer_add(json, SLICE(","));
	show_text(json, "mode", sts_mode_name(record->mode));
	buffer_printf(json, ",\"max_age\":%llu,",
	    (unsigned long long)record->max_age_s);
	show_patterns(json, &policy);
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
	show_text(json, "result", tls_result_name(record->error));
	buffer_add(json, SLICE(","));
	show_text(json, "text", record->error_text);
	buffer_add(json, SLICE(","));
	show_text(json, "id", record->failed_id);
	buffer_add(json, SLICE(","));
	add_time(json, "time", record->error_s);
	buffer_add(json, SLICE("}"));
}

/* A policy that has ended is none. */
void
show_record(struct buffer *json, struct cache *cache,
    const struct cache_record *record, int64_t now_s)
{
	buffer_add(json, SLICE("{"));
	show_text(json, "domain", record->domain.name);
	buffer_add(json, SLICE(","));
	if (cache_is_known(record, now_s))
		add_policy(json, cache, record);
	else
		buffer_add(json, SLICE("\"id\":null,\"mode\":null,"
		    "\"max_age\":null,\"mx\":[],\"fetched\":null,"
		    "\"expires\":null"));
	buffer_add(json, SLICE(","));
	add_time(json, "checked", record->checked_s);
	buffer_add(json, SLICE(","));
	add_time(json, "refresh", record->refresh_s == REFRESH_ASKED ? now_s :
	    record->refresh_s);
	buffer_add(json, SLICE(","));
	add_error(json, record);
	buffer_add(json, SLICE("}"));
}
