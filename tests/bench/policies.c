/*
 * What do many kept policies cost?
 *
 *	policies fill DIR N		keep N policies in a cache of its own
 *	policies look DIR N TIMES	look up TIMES of them, one by one
 *
 * Prints one line: for fill, seconds; for look, what a look-up takes (record,
 * text, parser: all that a delivery needs of a kept policy), and the memory of
 * this process (PSS) before and after.
 *
 * The policies are such as domains publish: three patterns, 86400 s to 90
 * days, fetched and planned over the last day.
 */
#include "conf/loop.h"
#include "policy/cache.h"
#include "policy/refresh.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TURN_POLICIES	256
#define HOUR_S		3600

static int64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void
name_domain(struct domain *domain, unsigned n)
{
	memset(domain, 0, sizeof(*domain));
	snprintf(domain->name, sizeof(domain->name), "d%u.policies.example",
	    n);
}

/* KiB; 0: the kernel does not say. */
static long
pss_kib(void)
{
	FILE *file = fopen("/proc/self/smaps_rollup", "r");
	char line[256];
	long kib = 0;

	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "Pss: %ld", &kib) == 1)
			break;
	if (file != NULL)
		fclose(file);
	return kib;
}

static void
keep(struct cache *cache, unsigned n, int64_t now_s)
{
	static const uint64_t lives_s[] = { 86400, 604800, 7776000 };
	struct cache_record record = { .mode = STS_ENFORCE };
	char text[512];
	struct slice body = { text, 0 };

	name_domain(&record.domain, n);
	snprintf(record.id, sizeof(record.id), "20261130T%06u", n);
	record.max_age_s = lives_s[n % 3];
	record.fetched_s = record.checked_s = record.mail_s =
	    now_s - random() % (6 * HOUR_S);
	record.refresh_s = refresh_next(&record, now_s,
	    (uint32_t)random() << 1);
	body.len = (size_t)snprintf(text, sizeof(text),
	    "version: STSv1\r\nmode: enforce\r\nmx: mx1.%s\r\nmx: mx2.%s\r\n"
	    "mx: *.mail.%s\r\nmax_age: %llu\r\n", record.domain.name,
	    record.domain.name, record.domain.name,
	    (unsigned long long)record.max_age_s);
	cache_put(cache, &record, &body);
}

static int
fill(const char *dir, unsigned n)
{
	struct cache *cache = cache_open(dir, NULL, 0);
	int64_t began_ns = now_ns(), now_s = loop_wall_s();
	unsigned i;

	for (i = 0; i < n; i++) {
		keep(cache, i, now_s);
		if (i % TURN_POLICIES == TURN_POLICIES - 1)
			cache_turn_end(cache, loop_now_ms());
	}
	cache_turn_end(cache, loop_now_ms());
	i = cache_unsaved(cache);
	cache_close(&cache);
	printf("policies=%u seconds=%.2f unsaved=%u\n", n,
	    (double)(now_ns() - began_ns) / 1e9, i);
	return i > 0;
}

/* All that a delivery needs.  False: it is not there. */
static bool
look_up(struct cache *cache, unsigned n)
{
	struct cache_record record;
	struct sts_policy policy;
	struct sts_fault fault;
	struct domain domain;
	struct slice body;
	bool good;

	name_domain(&domain, n);
	if (!cache_get(cache, &domain, &record) || record.id[0] == '\0' ||
	    !cache_body(cache, &domain, &body) ||
	    !sts_parse_policy(body, &policy, &fault))
		return false;
	good = policy.mx_n == 3;
	sts_policy_free(&policy);
	return good;
}

static int
by_value(const void *a, const void *b)
{
	int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;

	return one < other ? -1 : one > other;
}

static int
look(const char *dir, unsigned n, unsigned times)
{
	struct cache *cache = cache_open(dir, NULL, 0);
	int64_t *taken_ns = calloc(times, sizeof(*taken_ns)), began_ns;
	long before_kib = pss_kib();
	unsigned i, missing = 0;

	for (i = 0; i < times; i++) {
		began_ns = now_ns();
		missing += !look_up(cache, (unsigned)random() % n);
		taken_ns[i] = now_ns() - began_ns;
	}
	qsort(taken_ns, times, sizeof(taken_ns[0]), by_value);
	printf("lookups=%u missing=%u median_us=%.1f p99_us=%.1f "
	    "most_us=%.1f pss_kib=%ld more_kib=%ld\n", times, missing,
	    (double)taken_ns[times / 2] / 1e3,
	    (double)taken_ns[times - 1 - times / 100] / 1e3,
	    (double)taken_ns[times - 1] / 1e3, pss_kib(),
	    pss_kib() - before_kib);
	free(taken_ns);
	cache_close(&cache);
	return missing > 0;
}

int
main(int argc, char **argv)
{
	unsigned n = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
	unsigned times = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 0;

	if (argc == 4 && n > 0 && strcmp(argv[1], "fill") == 0)
		return fill(argv[2], n);
	if (argc == 5 && n > 0 && times > 0 && strcmp(argv[1], "look") == 0)
		return look(argv[2], n, times);
	fprintf(stderr, "policies fill DIR N | policies look DIR N TIMES\n");
	return 64;
}
