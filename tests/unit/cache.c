/*
 * The policy cache: what it keeps over restarts and kills, and what becomes of
 * it on a full disk and when it cannot be read.
 *
 * This program has write, pwrite and posix_fallocate of its own, which find no
 * room when told so.
 */
#include "policy/cache.h"

#include "conf/log.h"
#include "policy/policy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

static char dir[64];
static bool full;

ssize_t
write(int fd, const void *octets, size_t len)
{
	errno = ENOSPC;
	return full && fd > 2 ? -1 : syscall(SYS_write, fd, octets, len);
}

ssize_t
pwrite(int fd, const void *octets, size_t len, off_t at)
{
	errno = ENOSPC;
	return full ? -1 : syscall(SYS_pwrite64, fd, octets, len, at);
}

int
posix_fallocate(int fd, off_t at, off_t len)
{
	if (full)
		return ENOSPC;
	return syscall(SYS_fallocate, fd, 0, at, len) == 0 ? 0 : errno;
}

static int
begin(void **state)
{
	(void)state;
	full = false;
	strcpy(dir, "/tmp/culver-cache-XXXXXX");
	return mkdtemp(dir) == NULL;
}

static int
end(void **state)
{
	char command[128];

	(void)state;
	full = false;
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

/* Log lines of expected trouble are no output of a test. */
static void
no_log(void *context, enum log_level level, const char *line)
{
	(void)context;
	(void)level;
	(void)line;
}

static struct domain
domain_of(const char *name)
{
	struct domain domain = { "" };

	assert_true(domain_parse(slice_of(name), &domain));
	return domain;
}

static struct cache_record
record_of(const char *name, const char *id)
{
	struct cache_record record = {
		.domain = domain_of(name),
		.mode = STS_ENFORCE,
		.max_age_s = 604800,
		.fetched_s = 1800000000,
		.checked_s = 1800000001,
		.txt_until_s = 1800000002,
		.error = RESULT_STS_POLICY_INVALID,
		.error_text = "line 3: no mx",
		.error_s = 1800000003,
		.failed_id = "next",
		.failures = 4,
		.failing_since_s = 1800000005,
		.mail_s = 1800000006,
		.refresh_s = 1800000007
	};

	strcpy(record.id, id);
	return record;
}

static void
put(struct cache *cache, const char *name, const char *id, const char *body)
{
	struct cache_record record = record_of(name, id);
	struct slice text = slice_of(body);

	cache_put(cache, &record, &text);
}

/* "1:body" is what is known of a domain, "" nothing, "lost" that. */
static void
expect(struct cache *cache, const char *name, const char *wanted)
{
	struct domain domain = domain_of(name);
	struct cache_record record, whole;
	char text[256] = "";
	struct slice body;

	assert_true(cache_get(cache, &domain, &record));
	assert_string_equal(record.domain.name, domain.name);
	if (record.lost_s != 0)
		strcpy(text, "lost");
	if (record.id[0] != '\0') {
		assert_true(cache_body(cache, &domain, &body));
		snprintf(text, sizeof(text), "%s:%.*s", record.id,
		    (int)body.len, body.at);
		whole = record_of(name, record.id);
		assert_memory_equal(&record, &whole, sizeof(whole));
	}
	assert_string_equal(text, wanted);
}

static void
test_keep(void **state)
{
	struct cache *cache = cache_open(dir, NULL, 0);
	struct cache_record record;
	struct domain domain;

	(void)state;
	expect(cache, "a.t", "");
	put(cache, "a.t", "1", "text of a");
	put(cache, "b.t", "1", "text of b");
	expect(cache, "a.t", "1:text of a");
	cache_turn_end(cache, 0);
	assert_int_equal(cache_unsaved(cache), 0);
	expect(cache, "a.t", "1:text of a");
	/* Without a body the old one stays. */
	record = record_of("a.t", "2");
	cache_put(cache, &record, NULL);
	expect(cache, "a.t", "2:text of a");
	cache_turn_end(cache, 0);
	expect(cache, "a.t", "2:text of a");
	put(cache, "a.t", "3", "");
	expect(cache, "a.t", "3:");
	cache_turn_end(cache, 0);
	domain = domain_of("b.t");
	cache_forget(cache, &domain);
	expect(cache, "b.t", "");
	cache_turn_end(cache, 0);
	expect(cache, "b.t", "");
	cache_close(&cache);
	assert_null(cache);
	cache = cache_open(dir, NULL, 0);
	expect(cache, "a.t", "3:");
	expect(cache, "b.t", "");
	assert_int_equal(cache_lost_s(cache), 0);
	cache_close(&cache);
}

/* The greatest body that there can be, and the longest names. */
static void
test_sizes(void **state)
{
	struct cache *cache = cache_open(dir, NULL, 0);
	char *body = mem_alloc(STS_BODY_MAX + 1), name[DOMAIN_TEXT_MAX] = "";
	struct domain domain;
	struct slice kept;
	unsigned i;

	(void)state;
	memset(body, 'x', STS_BODY_MAX);
	for (i = 0; i < 61; i++)
		strcat(name, "abc.");
	strcat(name, "t");
	put(cache, name, "12345678901234567890123456789012", body);
	cache_turn_end(cache, 0);
	domain = domain_of(name);
	assert_true(cache_body(cache, &domain, &kept));
	assert_int_equal(kept.len, STS_BODY_MAX);
	cache_close(&cache);
	free(body);
}

static void
test_walk(void **state)
{
	struct cache *cache = cache_open(dir, NULL, 0);
	struct cache_record record;
	struct domain after = { "" };
	char name[32];
	unsigned i;

	(void)state;
	assert_false(cache_next(cache, &after, &record));
	for (i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "d%03u.t", i);
		put(cache, name, "1", "body");
		if (i % 50 == 49)
			cache_turn_end(cache, 0);
	}
	for (i = 0; cache_next(cache, &after, &record); i++) {
		snprintf(name, sizeof(name), "d%03u.t", i);
		assert_string_equal(record.domain.name, name);
		after = record.domain;
	}
	assert_int_equal(i, 1000);
	cache_close(&cache);
}

/* A child does this and dies without a word. */
static int
in_child(void (*act)(void))
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		log_to(no_log, NULL);
		act();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
put_and_die(void)
{
	struct cache *cache = cache_open(dir, NULL, 0);

	put(cache, "a.t", "1", "text");
	cache_turn_end(cache, 0);
	put(cache, "a.t", "2", "other");
	_exit(0);
}

static void
test_kill(void **state)
{
	struct cache *cache;

	(void)state;
	assert_int_equal(in_child(put_and_die), 0);
	cache = cache_open(dir, NULL, 0);
	expect(cache, "a.t", "1:text");
	cache_close(&cache);
}

static void
test_full(void **state)
{
	struct cache *cache = cache_open(dir, NULL, 0);
	struct domain domain = domain_of("b.t");

	(void)state;
	put(cache, "a.t", "1", "old");
	put(cache, "b.t", "1", "old");
	cache_turn_end(cache, 0);
	full = true;
	put(cache, "a.t", "2", "new");
	put(cache, "c.t", "1", "first");
	cache_turn_end(cache, 1000);
	assert_int_equal(cache_unsaved(cache), 2);
	/* What was fetched applies all the same. */
	expect(cache, "a.t", "2:new");
	expect(cache, "c.t", "1:first");
	cache_forget(cache, &domain);
	expect(cache, "b.t", "");
	cache_turn_end(cache, 2000);
	assert_int_equal(cache_unsaved(cache), 3);
	cache_turn_end(cache, 62000);
	assert_int_equal(cache_unsaved(cache), 3);
	/* There is room again: after a minute all of it is stored. */
	full = false;
	cache_turn_end(cache, 63000);
	assert_int_equal(cache_unsaved(cache), 3);
	cache_turn_end(cache, 200000);
	assert_int_equal(cache_unsaved(cache), 0);
	cache_close(&cache);
	cache = cache_open(dir, NULL, 0);
	expect(cache, "a.t", "2:new");
	expect(cache, "b.t", "");
	expect(cache, "c.t", "1:first");
	cache_close(&cache);
}

static void
test_full_for_long(void **state)
{
	struct cache *cache = cache_open(dir, NULL, 0);
	char name[32];
	unsigned i;

	(void)state;
	full = true;
	for (i = 0; i < 1500; i++) {
		snprintf(name, sizeof(name), "d%04u.t", i);
		put(cache, name, "1", "body");
		cache_turn_end(cache, (int64_t)i * 1000);
	}
	/* Bounded; the newest are there. */
	assert_int_equal(cache_unsaved(cache), 1000);
	expect(cache, "d1499.t", "1:body");
	expect(cache, "d0500.t", "1:body");
	full = false;
	cache_turn_end(cache, 2000000);
	expect(cache, "d0499.t", "");
	expect(cache, "d1499.t", "1:body");
	cache_close(&cache);
}

/* T6: notes go before what a policy host said. */
static void
test_full_of_notes(void **state)
{
	struct cache *cache = cache_open(dir, NULL, 0);
	struct domain gone = domain_of("gone.t");
	struct cache_record record;
	char name[32];
	unsigned i;

	(void)state;
	put(cache, "gone.t", "1", "body");
	cache_turn_end(cache, 0);
	full = true;
	put(cache, "policy.t", "1", "body");
	cache_forget(cache, &gone);
	cache_turn_end(cache, 0);
	for (i = 0; i < 1500; i++) {
		snprintf(name, sizeof(name), "d%04u.t", i);
		record = record_of(name, "");
		cache_put(cache, &record, NULL);
		cache_turn_end(cache, (int64_t)i * 1000);
	}
	assert_int_equal(cache_unsaved(cache), 1000);
	expect(cache, "policy.t", "1:body");
	expect(cache, "gone.t", "");
	/* The oldest notes went, and policies only for policies. */
	for (i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "p%04u.t", i);
		put(cache, name, "1", "body");
	}
	assert_int_equal(cache_unsaved(cache), 1000);
	expect(cache, "p0000.t", "1:body");
	expect(cache, "p0999.t", "1:body");
	full = false;
	cache_turn_end(cache, 2000000);
	expect(cache, "p0000.t", "1:body");
	cache_close(&cache);
}

/* Change the octets of text wherever they stand in a file of the cache. */
static void
damage(const char *file, const char *text)
{
	char path[128], *octets;
	size_t len, i, n = 0;
	FILE *stream;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	stream = fopen(path, "r+");
	assert_non_null(stream);
	octets = mem_alloc(1 << 22);
	len = fread(octets, 1, 1 << 22, stream);
	for (i = 0; i + strlen(text) <= len; i++)
		if (memcmp(octets + i, text, strlen(text)) == 0) {
			octets[i] ^= 1;
			n++;
		}
	assert_true(n > 0);
	rewind(stream);
	assert_int_equal(fwrite(octets, 1, len, stream), len);
	fclose(stream);
	free(octets);
}

static void
test_damaged_record(void **state)
{
	struct cache *cache = cache_open(dir, NULL, 0);

	(void)state;
	put(cache, "a.t", "1", "text");
	put(cache, "b.t", "marked", "text");
	put(cache, "c.t", "1", "text");
	cache_turn_end(cache, 0);
	cache_close(&cache);
	damage("policy.db", "marked");
	cache = cache_open(dir, NULL, 0);
	expect(cache, "a.t", "1:text");
	expect(cache, "b.t", "lost");
	expect(cache, "c.t", "1:text");
	cache_turn_end(cache, 0);
	cache_close(&cache);
	cache = cache_open(dir, NULL, 0);
	expect(cache, "b.t", "lost");
	assert_int_equal(cache_lost_s(cache), 0);
	cache_close(&cache);
}

static void
test_damaged_body(void **state)
{
	struct cache *cache = cache_open(dir, NULL, 0);
	struct domain domain = domain_of("b.t");
	struct slice body;

	(void)state;
	put(cache, "b.t", "1", "marked");
	cache_turn_end(cache, 0);
	cache_close(&cache);
	damage("body.db", "marked");
	cache = cache_open(dir, NULL, 0);
	assert_false(cache_body(cache, &domain, &body));
	expect(cache, "b.t", "lost");
	cache_close(&cache);
}

static void
fill(const char *file, const char *text)
{
	char path[128];
	FILE *stream;
	int i;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	stream = fopen(path, "w");
	assert_non_null(stream);
	for (i = 0; i < 4096; i++)
		fputs(text, stream);
	fclose(stream);
}

/* How many folders of moved caches are there? */
static unsigned
moved(void)
{
	struct dirent *entry;
	unsigned n = 0;
	DIR *all = opendir(dir);

	assert_non_null(all);
	while ((entry = readdir(all)) != NULL)
		n += strncmp(entry->d_name, "damaged-", 8) == 0;
	closedir(all);
	return n;
}

static void
open_and_end(void)
{
	struct cache *cache = cache_open(dir, NULL, 0);

	cache_close(&cache);
}

static void
make_one(void)
{
	struct cache *cache = cache_open(dir, NULL, 0);

	put(cache, "a.t", "1", "text");
	cache_turn_end(cache, 0);
	cache_close(&cache);
}

static void
expect_anew(void)
{
	struct cache *cache = cache_open(dir, NULL, 0);
	int64_t lost_s;

	expect(cache, "a.t", "");
	assert_int_equal(moved(), 1);
	lost_s = cache_lost_s(cache);
	assert_in_range(lost_s, time(NULL) - 30, time(NULL));
	put(cache, "a.t", "2", "new");
	cache_turn_end(cache, 0);
	cache_close(&cache);
	/* That it was lost is not forgotten. */
	cache = cache_open(dir, NULL, 0);
	expect(cache, "a.t", "2:new");
	assert_int_equal(cache_lost_s(cache), lost_s);
	assert_int_equal(moved(), 1);
	cache_close(&cache);
}

static void
test_broken_log(void **state)
{
	char command[160];

	(void)state;
	make_one();
	snprintf(command, sizeof(command),
	    "for f in %s/log.*; do head -c 500000 /dev/zero | "
	    "tr '\\0' 'x' >$f; done", dir);
	assert_int_equal(system(command), 0);
	assert_int_equal(in_child(open_and_end), 0);
	expect_anew();
}

/* A table that cannot be opened ends the program: three times, no more. */
static void
test_broken_table(void **state)
{
	unsigned i;

	(void)state;
	make_one();
	fill("policy.db", "nonsense");
	for (i = 0; i < 3; i++) {
		assert_int_equal(in_child(open_and_end), 1);
		assert_int_equal(moved(), 0);
	}
	assert_int_equal(in_child(open_and_end), 0);
	expect_anew();
}

/* Kills while it opens are not its fault. */
static void
test_counted_opens(void **state)
{
	struct cache *cache;
	unsigned i;

	(void)state;
	make_one();
	for (i = 0; i < 5; i++)
		assert_int_equal(in_child(put_and_die), 0);
	cache = cache_open(dir, NULL, 0);
	expect(cache, "a.t", "1:text");
	assert_int_equal(moved(), 0);
	cache_close(&cache);
}

static void
open_used(void)
{
	char why[256] = "";

	if (cache_open(dir, why, sizeof(why)) != NULL ||
	    strstr(why, "in use") == NULL)
		_exit(9);
}

/* Another owner: no reason to move anything. */
static void
test_in_use(void **state)
{
	struct cache *cache;

	(void)state;
	make_one();
	cache = cache_open(dir, NULL, 0);
	assert_int_equal(in_child(open_used), 0);
	assert_int_equal(in_child(open_and_end), 1);
	assert_int_equal(moved(), 0);
	expect(cache, "a.t", "1:text");
	cache_close(&cache);
}

static void
open_full(void)
{
	full = true;
	open_and_end();
}

/* No room to recover in: no reason either. */
static void
test_no_room(void **state)
{
	struct cache *cache;

	(void)state;
	assert_int_equal(in_child(put_and_die), 0);
	in_child(open_full);
	assert_int_equal(moved(), 0);
	cache = cache_open(dir, NULL, 0);
	expect(cache, "a.t", "1:text");
	cache_close(&cache);
}

static bool
has_text(struct cache *cache, const char *name, const char *text)
{
	struct domain domain = domain_of(name);
	struct slice body;

	if (!cache_text(cache, &domain, policy_text_mark(slice_of(text)),
	    &body))
		return false;
	assert_true(slice_equal(body, slice_of(text)));
	return true;
}

/* Sessions that began under it are still to be counted. */
static void
test_replaced(void **state)
{
	struct cache *cache = cache_open(dir, NULL, 0);
	char text[64];
	unsigned i;

	(void)state;
	put(cache, "a.t", "1", "one");
	put(cache, "b.t", "1", "other");
	/* In one turn, and after it. */
	put(cache, "a.t", "2", "two");
	cache_turn_end(cache, 0);
	put(cache, "a.t", "3", "three");
	cache_turn_end(cache, 0);
	assert_true(has_text(cache, "a.t", "one"));
	assert_true(has_text(cache, "a.t", "two"));
	assert_true(has_text(cache, "a.t", "three"));
	assert_false(has_text(cache, "a.t", "other"));
	assert_false(has_text(cache, "b.t", "one"));
	/* The same text again replaces nothing; many push the old out. */
	for (i = 0; i < 100; i++)
		put(cache, "b.t", "2", "other");
	assert_true(has_text(cache, "a.t", "one"));
	for (i = 0; i < 63; i++) {
		snprintf(text, sizeof(text), "text %u", i);
		put(cache, "b.t", "2", text);
	}
	assert_false(has_text(cache, "a.t", "one"));
	assert_true(has_text(cache, "a.t", "two"));
	assert_true(has_text(cache, "b.t", "other"));
	cache_turn_end(cache, 0);
	cache_close(&cache);
}

/* A mebibyte of them, however few. */
static void
test_replaced_octets(void **state)
{
	struct cache *cache = cache_open(dir, NULL, 0);
	char *body = mem_alloc(STS_BODY_MAX + 1);
	unsigned i, found = 0;

	(void)state;
	memset(body, 'x', STS_BODY_MAX);
	for (i = 0; i < 30; i++) {
		body[0] = (char)('A' + i);
		put(cache, "a.t", "1", body);
	}
	for (i = 0; i < 30; i++) {
		body[0] = (char)('A' + i);
		found += has_text(cache, "a.t", body);
	}
	assert_int_equal(found, 17);
	free(body);
	cache_turn_end(cache, 0);
	cache_close(&cache);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "STS-3.2-9 policies are kept over a restart", test_keep,
		    begin, end, NULL },
		{ "T42 STS-3.3-13 the longest policy, the longest name",
		    test_sizes, begin, end, NULL },
		{ "a walk finds every domain once", test_walk, begin, end,
		    NULL },
		{ "killed: what a turn ended is there, no more", test_kill,
		    begin, end, NULL },
		{ "T6 a full disk takes no policy from mail", test_full, begin,
		    end, NULL },
		{ "a long time without room is bounded", test_full_for_long,
		    begin, end, NULL },
		{ "without room notes go before policies",
		    test_full_of_notes, begin, end, NULL },
		{ "a damaged record is lost, and that is known",
		    test_damaged_record, begin, end, NULL },
		{ "a damaged text likewise", test_damaged_body, begin, end,
		    NULL },
		{ "a log that cannot be read: moved aside", test_broken_log,
		    begin, end, NULL },
		{ "a table that cannot be opened: moved aside after three "
		    "tries", test_broken_table, begin, end, NULL },
		{ "kills move nothing aside", test_counted_opens, begin, end,
		    NULL },
		{ "nor does another owner", test_in_use, begin, end, NULL },
		{ "nor does a full disk", test_no_room, begin, end, NULL },
		{ "T41 a text that was replaced is there a while",
		    test_replaced, begin, end, NULL },
		{ "replaced texts are bounded by their octets",
		    test_replaced_octets, begin, end, NULL },
	};

	log_to(no_log, NULL);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
