/*
 * Which answers of DNS do we still have?
 *
 * Called by dns.c.  A table of bounded size: what was used least lately goes
 * first.  An answer that somebody holds lives on when it is no longer kept.
 *
 * Asks nobody, and knows no clock: `now_ms' is an argument.
 */
#include "policy/kept.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS		1024
#define OCTETS_MAX	(8u << 20)
#define TTL_MAX_S	86400
#define NEGATIVE_MAX_S	300

struct kept {
	struct answer	*buckets[BUCKETS];
	struct answer	*newest, *oldest;
	size_t		 octets;
};

/* The records and their data, behind each other in one piece. */
static void
copy_records(struct answer *answer, const struct rr_answer *from)
{
	size_t octets = from->records_n * sizeof(from->records[0]), i;
	struct rr *records;
	char *data;

	for (i = 0; i < from->records_n; i++)
		octets += from->records[i].data.len;
	answer->octets = sizeof(*answer) + octets;
	answer->rr.records = records = mem_alloc(octets + 1);
	data = (char *)(records + from->records_n);
	for (i = 0; i < from->records_n; i++) {
		records[i] = from->records[i];
		records[i].data.at = data;
		if (records[i].data.len > 0)
			memcpy(data, from->records[i].data.at,
			    records[i].data.len);
		data += records[i].data.len;
	}
}

struct answer *
answer_new(const struct domain *name, enum rr_type type,
    const struct rr_answer *from, const char *failure)
{
	struct answer *answer;

	answer = mem_alloc(sizeof(*answer));
	answer->held = 1;
	answer->name = *name;
	answer->type = type;
	answer->rr = *from;
	answer->failure = failure;
	copy_records(answer, from);
	return answer;
}

struct answer *
answer_failed(const struct domain *name, enum rr_type type,
    const char *failure)
{
	const struct rr_answer none = {
		.status = RR_SERVFAIL, .canonical = *name
	};

	return answer_new(name, type, &none, failure);
}

struct answer *
answer_hold(struct answer *answer)
{
	answer->held++;
	return answer;
}

void
answer_release(struct answer **pointer)
{
	struct answer *answer = *pointer;

	*pointer = NULL;
	if (answer == NULL || --answer->held > 0)
		return;
	free(answer->rr.records);
	free(answer);
}

struct kept *
kept_new(void)
{
	return mem_alloc(sizeof(struct kept));
}

static struct answer **
bucket_of(struct kept *kept, const struct domain *name, enum rr_type type)
{
	uint32_t hash = 2166136261u ^ (uint32_t)type;
	const char *at;

	for (at = name->name; *at != '\0'; at++)
		hash = (hash ^ (uint8_t)*at) * 16777619u;
	return &kept->buckets[hash % BUCKETS];
}

static void
use_add(struct kept *kept, struct answer *answer)
{
	answer->older = kept->newest;
	answer->newer = NULL;
	if (kept->newest != NULL)
		kept->newest->newer = answer;
	else
		kept->oldest = answer;
	kept->newest = answer;
}

static void
use_remove(struct kept *kept, struct answer *answer)
{
	if (answer->newer != NULL)
		answer->newer->older = answer->older;
	else
		kept->newest = answer->older;
	if (answer->older != NULL)
		answer->older->newer = answer->newer;
	else
		kept->oldest = answer->newer;
}

static void
forget(struct kept *kept, struct answer *answer)
{
	struct answer **at = bucket_of(kept, &answer->name, answer->type);

	while (*at != answer)
		at = &(*at)->next;
	*at = answer->next;
	use_remove(kept, answer);
	kept->octets -= answer->octets;
	answer_release(&answer);
}

void
kept_forget_all(struct kept *kept)
{
	while (kept->oldest != NULL)
		forget(kept, kept->oldest);
}

struct answer *
kept_find(struct kept *kept, const struct domain *name, enum rr_type type,
    int64_t now_ms)
{
	struct answer *answer = *bucket_of(kept, name, type);

	while (answer != NULL && (answer->type != type ||
	    !domain_equal(&answer->name, name)))
		answer = answer->next;
	if (answer == NULL)
		return NULL;
	if (answer->expires_ms <= now_ms) {
		forget(kept, answer);
		return NULL;
	}
	use_remove(kept, answer);
	use_add(kept, answer);
	return answer;
}

static uint32_t
lifetime_s(const struct answer *answer)
{
	uint32_t most_s = answer->rr.records_n == 0 ? NEGATIVE_MAX_S :
	    TTL_MAX_S;

	return answer->rr.ttl_s < most_s ? answer->rr.ttl_s : most_s;
}

/* STS-8.1-1 RFC 8461 8.1: for its TTL, and not a second longer. */
void
kept_add(struct kept *kept, struct answer *answer, int64_t now_ms)
{
	uint32_t ttl_s = lifetime_s(answer);
	struct answer **bucket, *old;

	answer->expires_ms = now_ms + (int64_t)ttl_s * 1000;
	if (answer->failure != NULL)
		return;
	old = kept_find(kept, &answer->name, answer->type, now_ms);
	if (old != NULL)
		forget(kept, old);
	if (ttl_s == 0)
		return;
	bucket = bucket_of(kept, &answer->name, answer->type);
	answer->next = *bucket;
	*bucket = answer_hold(answer);
	use_add(kept, answer);
	kept->octets += answer->octets;
	while (kept->octets > OCTETS_MAX && kept->oldest != answer)
		forget(kept, kept->oldest);
}
