/*
 * The store: turns, records, locks, kills, full disks, and the nth call that
 * fails for every n.
 *
 * This program has write, pwrite, fdatasync and clock_gettime of its own:
 * the library and the store call these, which fail when told to.
 */
#include "conf/store.h"
#include "conf/storemark.h"

#include "conf/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

static char dir[64];
static char error_text[512];
static const struct store_options small = { 1u << 20, 1u << 20, 0, true };
/* So small that a short run goes through several log files. */
static const struct store_options tiny = { 1u << 19, 1u << 17, 1u << 20,
	true };
static const struct store_options ballasted = { 1u << 20, 1u << 20,
	3u << 20, true };

/*
 * Faults: the call of this number fails, and some after it: the library tries
 * a write that found no room once more by another call, and a broken one a
 * hundred times.
 */
static long calls_n, fail_at, fail_n;
static int fail_errno;
static bool fail_sync;		/* fdatasync counts, else only writes */
static bool full_with_ballast;	/* ENOSPC as long as the ballast is there */
static int64_t clock_offset_s;

static bool
fails(bool is_sync)
{
	char path[128];

	if (full_with_ballast && !is_sync) {
		snprintf(path, sizeof(path), "%s/ballast", dir);
		if (access(path, F_OK) == 0) {
			errno = ENOSPC;
			return true;
		}
	}
	if (fail_at == 0 || is_sync != fail_sync)
		return false;
	calls_n++;
	errno = fail_errno;
	return calls_n >= fail_at && calls_n - fail_at < fail_n;
}

ssize_t
write(int fd, const void *octets, size_t len)
{
	if (fd > 2 && fails(false))
		return -1;
	return syscall(SYS_write, fd, octets, len);
}

ssize_t
pwrite(int fd, const void *octets, size_t len, off_t offset)
{
	if (fails(false))
		return -1;
	return syscall(SYS_pwrite64, fd, octets, len, offset);
}

int
fdatasync(int fd)
{
	if (fails(true))
		return -1;
	return (int)syscall(SYS_fdatasync, fd);
}

int
clock_gettime(clockid_t id, struct timespec *now)
{
	int result = (int)syscall(SYS_clock_gettime, id, now);

	now->tv_sec += clock_offset_s;
	return result;
}

static void
quiet(void *context, enum log_level level, const char *line)
{
	(void)context;
	(void)level;
	if (getenv("STORE_TEST_LOG") != NULL)
		fprintf(stderr, "# %s\n", line);
}

static void
each_file(void (*call)(const char *path, const char *name, void *), void *to)
{
	struct dirent *entry;
	char path[400];
	DIR *folder = opendir(dir);

	if (folder == NULL)
		return;
	while ((entry = readdir(folder)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		if (entry->d_name[0] != '.')
			call(path, entry->d_name, to);
	}
	closedir(folder);
}

static void
remove_file(const char *path, const char *name, void *unused)
{
	(void)name;
	(void)unused;
	unlink(path);
}

static void
empty_dir(void)
{
	each_file(remove_file, NULL);
	rmdir(dir);
}

static int
begin(void **unused)
{
	(void)unused;
	log_to(quiet, NULL);
	snprintf(dir, sizeof(dir), "/tmp/culver-store-%ld", (long)getpid());
	empty_dir();
	fail_at = calls_n = 0;
	fail_sync = full_with_ballast = false;
	clock_offset_s = 0;
	return 0;
}

static int
end(void **unused)
{
	(void)unused;
	fail_at = 0;
	full_with_ballast = false;
	empty_dir();
	return 0;
}

static struct store *
open_store(const struct store_options *options)
{
	struct store *store = store_open(dir, options, error_text,
	    sizeof(error_text));

	if (store == NULL)
		fail_msg("%s", error_text);
	return store;
}

static void
put_text(struct store_table *table, const char *key, const char *value)
{
	store_put(table, slice_of(key), slice_of(value));
}

/* The value of key as text in a static buffer, or NULL when absent. */
static const char *
get_text(struct store_table *table, const char *key)
{
	static char text[4096];
	struct slice value;
	enum store_found found = store_get(table, slice_of(key), &value);

	if (found == STORE_ABSENT)
		return NULL;
	assert_int_equal(found, STORE_FOUND);
	assert_true(slice_store(value, text, sizeof(text)));
	return text;
}

static void
test_crc(void **unused)
{
	static const char digits[] = "123456789";
	uint8_t octets[32];
	uint32_t crc = 0;
	unsigned i;

	(void)unused;
	assert_int_equal(store_crc(0, NULL, 0), 0);
	assert_int_equal(store_crc(0, digits, 9), 0xe3069283);
	for (i = 0; i < 9; i++)
		crc = store_crc(crc, digits + i, 1);
	assert_int_equal(crc, 0xe3069283);
	/* The vectors of RFC 3720 B.4. */
	memset(octets, 0, 32);
	assert_int_equal(store_crc(0, octets, 32), 0x8a9136aa);
	memset(octets, 0xff, 32);
	assert_int_equal(store_crc(0, octets, 32), 0x62a8ab43);
	for (i = 0; i < 32; i++)
		octets[i] = (uint8_t)i;
	assert_int_equal(store_crc(0, octets, 32), 0x46dd794e);
	for (i = 0; i < 32; i++)
		octets[i] = (uint8_t)(31 - i);
	assert_int_equal(store_crc(0, octets, 32), 0x113fdb5c);
}

static void
test_keys(void **unused)
{
	static const uint64_t numbers[] = { 0, 1, 255, 256, 65535, 65536,
		1ull << 31, 1ull << 32, INT64_MAX, 1ull << 63, UINT64_MAX };
	uint8_t key[8], before[8];
	size_t i;

	(void)unused;
	for (i = 0; i < COUNT(numbers); i++) {
		store_key_u64(key, numbers[i]);
		assert_int_equal(store_u64_of_key(key), numbers[i]);
		if (i > 0)
			assert_true(memcmp(before, key, 8) < 0);
		memcpy(before, key, 8);
	}
}

static void
test_turns(void **unused)
{
	struct store *store = open_store(&small);
	struct store_table *table = store_table(store, "t", 1);
	uint64_t flushes = store_flushes(store);

	(void)unused;
	/* Nothing to do is durable, without a flush. */
	assert_int_equal(store_turn_end(store, true), STORE_DURABLE);
	assert_int_equal(store_flushes(store), flushes);
	put_text(table, "a", "one");
	put_text(table, "a", "two");
	put_text(table, "b", "");
	/* A turn sees its own changes. */
	assert_string_equal(get_text(table, "a"), "two");
	assert_string_equal(get_text(table, "b"), "");
	assert_null(get_text(table, "c"));
	assert_int_equal(store_turn_end(store, true), STORE_DURABLE);
	assert_int_equal(store_flushes(store), flushes + 1);
	store_delete(table, SLICE("a"));
	store_delete(table, SLICE("never"));
	assert_null(get_text(table, "a"));
	assert_int_equal(store_turn_end(store, false), STORE_DURABLE);
	assert_int_equal(store_flushes(store), flushes + 1);
	/* What no turn ended is undone. */
	put_text(table, "c", "lost");
	store_close(&store);
	assert_null(store);
	store_close(&store);
	store = open_store(&small);
	table = store_table(store, "t", 1);
	assert_null(get_text(table, "a"));
	assert_string_equal(get_text(table, "b"), "");
	assert_null(get_text(table, "c"));
	store_close(&store);
}

/* All keys in order, found by walking. */
static void
test_walk(void **unused)
{
	struct store *store = open_store(&small);
	struct store_table *table = store_table(store, "t", 1);
	struct store_table *other = store_table(store, "other", 1);
	struct slice found, value;
	uint8_t key[8], last[8] = { 0 };
	struct slice key_slice = { (char *)key, 8 };
	unsigned n = 0;
	uint64_t i;

	(void)unused;
	assert_int_equal(store_next(table, (struct slice){ NULL, 0 }, false,
	    &found, &value), STORE_ABSENT);
	for (i = 0; i < 1000; i++) {
		store_key_u64(key, i * 7919 % 1000 * 3);
		store_put(table, key_slice, key_slice);
	}
	put_text(other, "x", "y");
	while (store_next(table, (struct slice){ (char *)last, n ? 8 : 0 },
	    n > 0, &found, &value) == STORE_FOUND) {
		assert_int_equal(found.len, 8);
		assert_true(slice_equal(found, value));
		assert_int_equal(store_u64_of_key((const uint8_t *)found.at),
		    n * 3);
		memcpy(last, found.at, 8);
		n++;
	}
	assert_int_equal(n, 1000);
	/* From a key that is there, from between, and past the end. */
	store_key_u64(key, 30);
	assert_int_equal(store_next(table, key_slice, false, &found, &value),
	    STORE_FOUND);
	assert_memory_equal(found.at, key, 8);
	assert_int_equal(store_next(table, key_slice, true, &found, &value),
	    STORE_FOUND);
	assert_int_equal(store_u64_of_key((const uint8_t *)found.at), 33);
	store_key_u64(key, 31);
	assert_int_equal(store_next(table, key_slice, true, &found, &value),
	    STORE_FOUND);
	assert_int_equal(store_u64_of_key((const uint8_t *)found.at), 33);
	store_key_u64(key, 2997);
	assert_int_equal(store_next(table, key_slice, true, &found, &value),
	    STORE_ABSENT);
	/* The slice that the store itself returned may be given again. */
	store_key_u64(key, 0);
	assert_int_equal(store_next(table, key_slice, false, &found, &value),
	    STORE_FOUND);
	assert_int_equal(store_next(table, found, true, &found, &value),
	    STORE_FOUND);
	assert_int_equal(store_u64_of_key((const uint8_t *)found.at), 3);
	/* Deleting while walking. */
	store_delete(table, found);
	assert_int_equal(store_next(table, key_slice, true, &found, &value),
	    STORE_FOUND);
	assert_int_equal(store_u64_of_key((const uint8_t *)found.at), 6);
	assert_int_equal(store_turn_end(store, true), STORE_DURABLE);
	store_close(&store);
}

static void
test_sizes(void **unused)
{
	static const size_t sizes[] = { 0, 1, 900, 1000, 1100, 4065, 4066,
		4096, 16275, 16276, 65536, 300000 };
	struct store *store = open_store(&small);
	struct store_table *table = store_table(store, "t", 1);
	struct slice value;
	char *octets = mem_alloc(300000);
	char key[16];
	size_t i, at;

	(void)unused;
	for (i = 0; i < COUNT(sizes); i++) {
		snprintf(key, sizeof(key), "%zu", sizes[i]);
		memset(octets, (int)i + 1, 300000);
		store_put(table, slice_of(key), (struct slice){ octets,
		    sizes[i] });
	}
	assert_int_equal(store_turn_end(store, true), STORE_DURABLE);
	for (i = 0; i < COUNT(sizes); i++) {
		snprintf(key, sizeof(key), "%zu", sizes[i]);
		assert_int_equal(store_get(table, slice_of(key), &value),
		    STORE_FOUND);
		assert_int_equal(value.len, sizes[i]);
		for (at = 0; at < value.len; at++)
			assert_int_equal(value.at[at], i + 1);
	}
	store_close(&store);
	free(octets);
}

struct thing {
	uint64_t	number;
	char		text[40];
};
static const struct wire_field thing_fields[] = {
	WIRE_FIELD(struct thing, number, WIRE_U64, 0),
	WIRE_FIELD_TEXT(struct thing, text),
};
static const struct wire_message thing_row =
    WIRE_ROW(1, struct thing, thing_fields, 0);
enum { ANOTHER_KIND = 2 };
static const struct wire_message another_row =
    WIRE_ROW(ANOTHER_KIND, struct thing, thing_fields, 0);

static void
test_records(void **unused)
{
	struct store *store = open_store(&small);
	struct store_table *table = store_table(store, "t", 1);
	struct thing thing = { 42, "answer" }, found;
	struct slice key, value;

	(void)unused;
	store_put_record(table, SLICE("k"), &thing_row, &thing);
	assert_int_equal(store_get_record(table, SLICE("k"), &thing_row,
	    &found), STORE_FOUND);
	assert_int_equal(found.number, 42);
	assert_string_equal(found.text, "answer");
	assert_int_equal(store_next(table, SLICE(""), false, &key, &value),
	    STORE_FOUND);
	assert_true(store_decode(value, &thing_row, &found));
	assert_string_equal(found.text, "answer");
	assert_false(store_decode(value, &another_row, &found));
	assert_int_equal(store_get_record(table, SLICE("k"), &another_row,
	    &found), STORE_DAMAGED);
	assert_int_equal(store_get_record(table, SLICE("x"), &thing_row,
	    &found), STORE_ABSENT);
	/* Damage is a fact about one record, not about the turn. */
	assert_false(store_turn_lost(store));
	assert_int_equal(store_turn_end(store, true), STORE_DURABLE);
	store_close(&store);
}

static void
test_versions(void **unused)
{
	struct store *store = open_store(&small);
	struct store_table *table = store_table(store, "t", 2);
	struct slice key, value;

	(void)unused;
	put_text(table, "k", "new");
	assert_int_equal(store_turn_end(store, true), STORE_DURABLE);
	store_close(&store);
	store = open_store(&small);
	table = store_table(store, "t", 1);
	assert_int_equal(store_get(table, SLICE("k"), &value), STORE_NEWER);
	assert_int_equal(store_next(table, SLICE(""), false, &key, &value),
	    STORE_NEWER);
	assert_true(slice_equal(key, SLICE("k")));
	store_close(&store);
	store = open_store(&small);
	table = store_table(store, "t", 3);
	assert_string_equal(get_text(table, "k"), "new");
	store_close(&store);
}

/* Flip a bit of the text where it lies in the table's file. */
static void
flip_in_file(const char *name, const char *text)
{
	char path[128];
	char *octets, *at;
	struct stat status;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDWR);
	assert_int_not_equal(fd, -1);
	assert_int_equal(fstat(fd, &status), 0);
	octets = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE,
	    MAP_SHARED, fd, 0);
	assert_ptr_not_equal(octets, MAP_FAILED);
	at = memmem(octets, (size_t)status.st_size, text, strlen(text));
	assert_non_null(at);
	*at ^= 1;
	munmap(octets, (size_t)status.st_size);
	close(fd);
}

static void
test_damage(void **unused)
{
	struct store *store = open_store(&small);
	struct store_table *table = store_table(store, "t", 1);
	struct slice key, value;

	(void)unused;
	put_text(table, "a", "first");
	put_text(table, "b", "treasure");
	put_text(table, "c", "third");
	assert_int_equal(store_turn_end(store, true), STORE_DURABLE);
	store_close(&store);
	flip_in_file("t.db", "treasure");
	store = open_store(&small);
	table = store_table(store, "t", 1);
	assert_int_equal(store_get(table, SLICE("b"), &value),
	    STORE_DAMAGED);
	assert_int_equal(store_next(table, SLICE("a"), true, &key, &value),
	    STORE_DAMAGED);
	assert_true(slice_equal(key, SLICE("b")));
	assert_int_equal(store_next(table, SLICE("b"), true, &key, &value),
	    STORE_FOUND);
	assert_true(slice_equal(key, SLICE("c")));
	assert_string_equal(get_text(table, "a"), "first");
	/* It can be deleted and written anew. */
	store_delete(table, SLICE("b"));
	put_text(table, "b", "again");
	assert_int_equal(store_turn_end(store, true), STORE_DURABLE);
	assert_string_equal(get_text(table, "b"), "again");
	store_close(&store);
}

/* A child that runs act with the write end of a pipe; the read end is ours. */
static pid_t
start(void (*act)(int fd), int *from)
{
	int fds[2];
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		close(fds[0]);
		act(fds[1]);
		_exit(0);
	}
	close(fds[1]);
	*from = fds[0];
	return pid;
}

static void
tell(int fd, uint32_t number)
{
	if (syscall(SYS_write, fd, &number, sizeof(number)) !=
	    sizeof(number))
		_exit(3);
}

static bool
hear(int fd, uint32_t *number)
{
	return read(fd, number, sizeof(*number)) == sizeof(*number);
}

static void
hold_long(int fd)
{
	struct store *store = store_open(dir, &small, error_text,
	    sizeof(error_text));

	tell(fd, store != NULL);
	pause();
}

static void
hold_shortly(int fd)
{
	struct store *store = store_open(dir, &small, error_text,
	    sizeof(error_text));

	tell(fd, store != NULL);
	usleep(400000);
	store_close(&store);
}

static void
test_lock(void **unused)
{
	char pid_text[32];
	uint32_t opened;
	int from;
	pid_t pid = start(hold_long, &from);

	(void)unused;
	assert_true(hear(from, &opened) && opened);
	assert_null(store_open(dir, &small, error_text,
	    sizeof(error_text)));
	snprintf(pid_text, sizeof(pid_text), " process %ld", (long)pid);
	assert_non_null(strstr(error_text, pid_text));
	assert_non_null(strstr(error_text, dir));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(from);
	/* It dies with its holder. */
	struct store *store = open_store(&small);
	store_close(&store);
}

static void
test_lock_wait(void **unused)
{
	uint32_t opened;
	int from;
	pid_t pid = start(hold_shortly, &from);

	(void)unused;
	assert_true(hear(from, &opened) && opened);
	struct store *store = open_store(&small);
	store_close(&store);
	waitpid(pid, NULL, 0);
	close(from);
}

static void
put_number(struct store_table *table, uint32_t number)
{
	char key[16], value[2000];

	snprintf(key, sizeof(key), "%08u", number);
	memset(value, 'a' + number % 26, sizeof(value));
	store_put(table, slice_of(key), (struct slice){ value,
	    number * 37 % sizeof(value) });
}

static enum store_found
find_number(struct store_table *table, uint32_t number)
{
	struct slice value;
	enum store_found found;
	char key[16];
	size_t i;

	snprintf(key, sizeof(key), "%08u", number);
	found = store_get(table, slice_of(key), &value);
	if (found != STORE_FOUND)
		return found;
	assert_int_equal(value.len, number * 37 % 2000);
	for (i = 0; i < value.len; i++)
		assert_int_equal(value.at[i], 'a' + number % 26);
	return found;
}

/* Three numbers a turn; every third turn is flushed and told. */
static void
write_for_ever(int fd)
{
	struct store *store = store_open(dir, &small, error_text,
	    sizeof(error_text));
	struct store_table *table;
	uint32_t n, first;

	if (store == NULL)
		_exit(2);
	table = store_table(store, "t", 1);
	for (first = 0; find_number(table, first) == STORE_FOUND; first++)
		continue;
	tell(fd, first);
	for (n = first; ; n++) {
		put_number(table, n);
		if (n % 3 == 0 && store_turn_end(store, n % 9 == 0) !=
		    STORE_DURABLE)
			_exit(2);
		if (n % 9 == 0)
			tell(fd, n);
	}
}

static void
test_kill(void **unused)
{
	uint32_t told, last = 0, n;
	int from, round;
	pid_t pid;

	(void)unused;
	for (round = 0; round < 12; round++) {
		pid = start(write_for_ever, &from);
		assert_true(hear(from, &told));
		/* All that was told before is there. */
		assert_true(told > last || round == 0);
		usleep(15000 * (unsigned)(round % 5 + 1));
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		while (hear(from, &told))
			last = told;
		close(from);
	}
	struct store *store = open_store(&small);
	struct store_table *table = store_table(store, "t", 1);
	for (n = 0; n <= last; n++)
		assert_int_equal(find_number(table, n), STORE_FOUND);
	assert_true(last > 100);
	/* Turns are whole: none of the last one, or all. */
	for (n = last; find_number(table, n) == STORE_FOUND; n++)
		continue;
	assert_int_equal((n - 1) % 3, 0);
	store_close(&store);
}

static void
count_log(const char *path, const char *name, void *count)
{
	struct stat status;

	if (strncmp(name, "log.", 4) != 0 || stat(path, &status) != 0)
		return;
	++*(unsigned *)count;
	assert_true(status.st_size <= 1 << 20);
	assert_int_equal(status.st_mode & 0777, 0600);
}

/* Log files go as they become old. */
static void
test_log_files(void **unused)
{
	struct store *store = open_store(&small);
	struct store_table *table = store_table(store, "t", 1);
	unsigned logs = 0;
	uint32_t n;

	(void)unused;
	for (n = 0; n < 9000; n++) {
		put_number(table, n);
		if (n % 100 == 0)
			assert_int_equal(store_turn_end(store, n % 500 == 0),
			    STORE_DURABLE);
	}
	assert_int_equal(store_turn_end(store, true), STORE_DURABLE);
	each_file(count_log, &logs);
	assert_in_range(logs, 1, 4);
	store_close(&store);
	store = open_store(&small);
	table = store_table(store, "t", 1);
	for (n = 0; n < 9000; n++)
		assert_int_equal(find_number(table, n), STORE_FOUND);
	store_close(&store);
}

static void
test_directory(void **unused)
{
	struct stat status;
	struct store *store;

	(void)unused;
	store = open_store(&small);
	assert_int_equal(stat(dir, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0700);
	store_close(&store);
	snprintf(error_text, sizeof(error_text), "x");
	assert_null(store_open("/proc/nowhere/at/all", &small, error_text,
	    sizeof(error_text)));
	assert_non_null(strstr(error_text, "/proc/nowhere/at/all"));
}

static bool
has_file(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return access(path, F_OK) == 0;
}

static void
test_ballast(void **unused)
{
	struct store *store = open_store(&ballasted);
	struct store_table *table = store_table(store, "t", 1);
	struct stat status;
	char path[128];

	(void)unused;
	snprintf(path, sizeof(path), "%s/ballast", dir);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_size, 3 << 20);
	assert_true(status.st_blocks * 512 >= status.st_size);
	put_text(table, "a", "before");
	assert_int_equal(store_turn_end(store, true), STORE_DURABLE);
	/* The disk fills: this turn is lost, the next one has room. */
	full_with_ballast = true;
	put_text(table, "a", "lost");
	assert_int_equal(store_turn_end(store, true), STORE_NOT_DURABLE);
	assert_false(has_file("ballast"));
	assert_string_equal(get_text(table, "a"), "before");
	put_text(table, "b", "after");
	assert_int_equal(store_turn_end(store, true), STORE_DURABLE);
	store_delete(table, SLICE("a"));
	assert_int_equal(store_turn_end(store, true), STORE_DURABLE);
	/* Not at once; when there is room, some time later. */
	full_with_ballast = false;
	assert_int_equal(store_turn_end(store, true), STORE_DURABLE);
	assert_false(has_file("ballast"));
	clock_offset_s = 60;
	assert_int_equal(store_turn_end(store, true), STORE_DURABLE);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_size, 3 << 20);
	store_close(&store);
	store = open_store(&ballasted);
	table = store_table(store, "t", 1);
	assert_null(get_text(table, "a"));
	assert_string_equal(get_text(table, "b"), "after");
	store_close(&store);
}

static void
write_and_die(int fd)
{
	struct store *store = store_open(dir, &ballasted, error_text,
	    sizeof(error_text));
	struct store_table *table = store_table(store, "t", 1);
	uint32_t n;

	for (n = 0; n < 300; n++)
		put_number(table, n);
	tell(fd, store_turn_end(store, true));
	_exit(0);
}

/* Recovery, too, gets the ballast's room. */
static void
test_ballast_recovery(void **unused)
{
	struct store_table *table;
	struct store *store;
	uint32_t ended, n;
	int from;
	pid_t pid = start(write_and_die, &from);

	(void)unused;
	assert_true(hear(from, &ended));
	assert_int_equal(ended, STORE_DURABLE);
	waitpid(pid, NULL, 0);
	close(from);
	assert_true(has_file("ballast"));
	full_with_ballast = true;
	store = open_store(&ballasted);
	assert_false(has_file("ballast"));
	table = store_table(store, "t", 1);
	for (n = 0; n < 300; n++)
		assert_int_equal(find_number(table, n), STORE_FOUND);
	put_number(table, 300);
	assert_int_equal(store_turn_end(store, true), STORE_DURABLE);
	store_close(&store);
}

/* A flush that fails: nobody knows, and nothing goes on. */
static void
test_gone(void **unused)
{
	struct store *store = open_store(&small);
	struct store_table *table = store_table(store, "t", 1);
	struct slice key, value;

	(void)unused;
	put_text(table, "a", "good");
	assert_int_equal(store_turn_end(store, true), STORE_DURABLE);
	fail_sync = true;
	fail_errno = EIO;
	fail_n = 1000;
	fail_at = 1;
	put_text(table, "b", "unknown");
	assert_int_equal(store_turn_end(store, true), STORE_GONE);
	fail_at = 0;
	assert_true(store_turn_lost(store));
	put_text(table, "c", "never");
	assert_int_equal(store_get(table, SLICE("a"), &value), STORE_FAILED);
	assert_int_equal(store_next(table, SLICE(""), false, &key, &value),
	    STORE_FAILED);
	assert_int_equal(store_turn_end(store, true), STORE_GONE);
	assert_int_equal(store_turn_end(store, false), STORE_GONE);
	store_close(&store);
	store = open_store(&small);
	table = store_table(store, "t", 1);
	assert_string_equal(get_text(table, "a"), "good");
	assert_null(get_text(table, "c"));
	store_close(&store);
}

/*
 * The work of a child in which one call fails: turns of three numbers, and
 * what each one's end was.  A store that is gone ends the program.
 */
#define TURNS	30

static void
work_with_faults(int fd)
{
	struct store *store = store_open(dir, &tiny, error_text,
	    sizeof(error_text));
	struct store_table *table;
	enum durability ended;
	uint32_t turn, n;

	if (store == NULL)
		_exit(0);	/* a failure that is said */
	table = store_table(store, "t", 1);
	for (turn = 0; turn < TURNS; turn++) {
		for (n = 0; n < 12; n++)
			put_number(table, turn * 12 + n);
		ended = store_turn_end(store, turn % 2 == 0);
		tell(fd, ended);
		if (ended == STORE_GONE)
			_exit(0);
	}
	store_close(&store);
	tell(fd, (uint32_t)calls_n);
}

/* After any fault: what was durable is there, what was not is not. */
static void
check_after_faults(const uint32_t *ended, unsigned turns)
{
	struct store *store = open_store(&tiny);
	struct store_table *table = store_table(store, "t", 1);
	unsigned turn, durable = 0, n, found;

	/* An unflushed turn is durable with the next flush. */
	for (turn = 0; turn < turns; turn++)
		if (turn % 2 == 0 && ended[turn] == STORE_DURABLE)
			durable = turn + 1;
	for (turn = 0; turn < turns; turn++) {
		for (n = found = 0; n < 12; n++)
			found += find_number(table, turn * 12 + n) ==
			    STORE_FOUND;
		if (found != 0 && found != 12)
			fail_msg("turn %u is torn", turn);
		if (ended[turn] == STORE_DURABLE && turn < durable &&
		    found == 0)
			fail_msg("turn %u is lost", turn);
		if (ended[turn] == STORE_NOT_DURABLE && found != 0)
			fail_msg("turn %u exists", turn);
	}
	store_close(&store);
}

/* Returns how many calls the work made, if it came to its end. */
static long
run_with_fault(long n, int error, bool sync, long width)
{
	uint32_t told[TURNS + 1];
	unsigned told_n = 0;
	int from, status;
	pid_t pid;

	empty_dir();
	fail_at = n;
	fail_errno = error;
	fail_sync = sync;
	fail_n = width;
	calls_n = 0;
	pid = start(work_with_faults, &from);
	fail_at = 0;
	while (told_n <= TURNS && hear(from, &told[told_n]))
		told_n++;
	close(from);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status))
		fail_msg("call %ld failing ended with signal %d", n,
		    WTERMSIG(status));
	check_after_faults(told, told_n < TURNS ? told_n : TURNS);
	return told_n > TURNS ? told[TURNS] : 0;
}

static void
run_with_faults(int error, bool sync, long width)
{
	long n, calls = run_with_fault(LONG_MAX, error, sync, width);

	/* Several log files were begun, and more than that written. */
	if (calls < 30)
		fail_msg("only %ld calls", calls);
	for (n = 1; n <= calls; n++)
		run_with_fault(n, error, sync, width);
}

static void
test_nth_write_full(void **unused)
{
	(void)unused;
	run_with_faults(ENOSPC, false, 2);
}

static void
test_nth_write_full_for_good(void **unused)
{
	(void)unused;
	run_with_faults(ENOSPC, false, 1000000);
}

static void
test_nth_write_broken(void **unused)
{
	(void)unused;
	run_with_faults(EIO, false, 1000);
}

static void
test_nth_sync_broken(void **unused)
{
	(void)unused;
	run_with_faults(EIO, true, 1000);
}

/* As in the confined programs: the store's directory is all there is. */
static void
work_in_chroot(int fd)
{
	struct store *store;
	struct store_table *table;
	uint32_t n;

	if (mkdir(dir, 0700) == -1 || chroot(dir) == -1 || chdir("/") == -1)
		_exit(2);
	store = store_open("/", &ballasted, error_text, sizeof(error_text));
	if (store == NULL) {
		fprintf(stderr, "# %s\n", error_text);
		_exit(3);
	}
	table = store_table(store, "t", 1);
	for (n = 0; n < 3000; n++)
		put_number(table, n);
	tell(fd, store_turn_end(store, true));
	store_close(&store);
}

static void
test_chroot(void **unused)
{
	uint32_t ended, n;
	int from;
	pid_t pid = start(work_in_chroot, &from);

	(void)unused;
	assert_true(hear(from, &ended));
	assert_int_equal(ended, STORE_DURABLE);
	waitpid(pid, NULL, 0);
	close(from);
	struct store *store = open_store(&ballasted);
	struct store_table *table = store_table(store, "t", 1);
	for (n = 0; n < 3000; n++)
		assert_int_equal(find_number(table, n), STORE_FOUND);
	store_close(&store);
}

/* A small disk of its own for dir, in a namespace that goes with us. */
static bool
mount_small_disk(void)
{
	return (mkdir(dir, 0700) == 0 || errno == EEXIST) &&
	    unshare(CLONE_NEWNS) == 0 &&
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	    mount("none", dir, "tmpfs", 0, "size=16M") == 0;
}

/* Put until the disk is full, then delete every second; die without closing. */
static void
fill_and_delete(int fd)
{
	static const struct store_options options = { 1u << 20, 1u << 18,
		4u << 20, true };
	struct store *store = store_open(dir, &options, error_text,
	    sizeof(error_text));
	struct store_table *table = store_table(store, "t", 1);
	enum durability ended = STORE_DURABLE;
	uint32_t n, last;
	char key[16];

	for (last = 0; has_file("ballast"); ) {
		for (n = 0; n < 10; n++)
			put_number(table, last + n);
		ended = store_turn_end(store, true);
		if (ended == STORE_DURABLE)
			last += 10;
	}
	tell(fd, last);
	for (n = 0; n < last; n += 2) {
		snprintf(key, sizeof(key), "%08u", n);
		store_delete(table, slice_of(key));
		if (n % 20 == 0)
			tell(fd, store_turn_end(store, true));
	}
	tell(fd, store_turn_end(store, true));
	_exit(0);
}

static void
work_on_small_disk(int fd)
{
	struct store_table *table;
	struct store *store;
	uint32_t last, ended, n;
	unsigned bad = 0;
	int from;

	if (!mount_small_disk())
		_exit(2);
	start(fill_and_delete, &from);
	if (!hear(from, &last) || last < 1000)
		_exit(3);
	while (hear(from, &ended))
		bad += ended != STORE_DURABLE;
	store = store_open(dir, &ballasted, error_text, sizeof(error_text));
	if (store == NULL)
		_exit(4);
	table = store_table(store, "t", 1);
	for (n = 0; n < last; n++)
		bad += find_number(table, n) !=
		    (n % 2 == 0 ? STORE_ABSENT : STORE_FOUND);
	tell(fd, bad);
	store_close(&store);
}

/* Where the disk is really full, deletes and recovery still have room. */
static void
test_full_disk(void **unused)
{
	uint32_t bad;
	int from;
	pid_t pid = start(work_on_small_disk, &from);

	(void)unused;
	assert_true(hear(from, &bad));
	assert_int_equal(bad, 0);
	waitpid(pid, NULL, 0);
	close(from);
}

/* May we make namespaces and mounts (root outside most containers)? */
static bool
may_mount(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(unshare(CLONE_NEWNS) != 0);
	return pid != -1 && waitpid(pid, &status, 0) == pid && status == 0;
}

/* Turns, and then as if killed. */
static void
flush_and_die(void)
{
	struct store *store = open_store(&small);
	struct store_table *table = store_table(store, "t", 1);
	char key[16];

	for (int i = 0; i < 200; i++) {
		snprintf(key, sizeof(key), "k%03d", i);
		put_text(table, key, "a value that can be found in the log");
		if (store_turn_end(store, true) != STORE_DURABLE)
			_exit(2);
	}
	_exit(0);
}

/* Flip a bit of the log where it speaks of that key. */
static void
flip_log(const char *key)
{
	static char octets[1u << 20];
	char path[128];
	char *at;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/log.0000000001", dir);
	fd = open(path, O_RDWR);
	assert_int_not_equal(fd, -1);
	n = read(fd, octets, sizeof(octets));
	assert_true(n > 0);
	at = memmem(octets, (size_t)n, key, strlen(key));
	assert_non_null(at);
	*at ^= 1;
	assert_int_equal(pwrite(fd, at, 1, at - octets), 1);
	close(fd);
}

/* Is it told, and then no more? */
static void
assert_cut(bool cut)
{
	struct storefile_end end, was;
	struct store *store = store_lock(dir, &small, error_text,
	    sizeof(error_text));
	bool damaged;

	assert_non_null(store);
	assert_int_equal(store_log_is_cut(store, &end, &was), cut);
	if (cut)
		assert_true(end.file == was.file && end.offset < was.offset);
	assert_true(store_recover(store, &damaged, error_text,
	    sizeof(error_text)));
	store_close(&store);
}

static void
test_cut_log(void **unused)
{
	static const char *const flipped[] = { NULL, "k199", "k100" };
	int status;
	pid_t pid;

	(void)unused;
	for (size_t i = 0; i < COUNT(flipped); i++) {
		empty_dir();
		pid = fork();
		if (pid == 0)
			flush_and_die();
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		if (flipped[i] != NULL)
			flip_log(flipped[i]);
		assert_cut(flipped[i] != NULL);
		assert_cut(false);
	}
}

/* A note that is no note, and one of half a sector. */
static void
test_mark(void **unused)
{
	const struct storefile_end end = { 7, 4711 };
	struct storefile_end found;
	struct storemark *mark;
	int fd, file;

	(void)unused;
	assert_int_equal(mkdir(dir, 0700), 0);
	fd = open(dir, O_RDONLY | O_DIRECTORY);
	assert_int_not_equal(fd, -1);
	assert_false(storemark_read(fd, &found));
	mark = storemark_open(fd);
	assert_non_null(mark);
	assert_false(storemark_read(fd, &found));
	storemark_set(mark, &end);
	assert_true(storemark_read(fd, &found));
	assert_int_equal(found.file, 7);
	assert_int_equal(found.offset, 4711);
	storemark_close(&mark);
	file = openat(fd, STOREMARK_FILE, O_RDWR);
	assert_int_equal(pwrite(file, "\001", 1, 5), 1);
	assert_false(storemark_read(fd, &found));
	close(file);
	close(fd);
	storemark_set(NULL, &end);
}

int
main(void)
{
	/* The last two need more than a user's rights: left out then. */
	size_t without = geteuid() != 0 ? 2 : may_mount() ? 0 : 1;
	static const struct CMUnitTest tests[] = {
		{ "CRC-32C has the published values", test_crc, NULL, NULL,
		    NULL },
		{ "keys of numbers sort as numbers", test_keys, NULL, NULL,
		    NULL },
		{ "turns change, see themselves, are undone", test_turns,
		    begin, end, NULL },
		{ "a walk finds every key in order", test_walk, begin, end,
		    NULL },
		{ "values of every size", test_sizes, begin, end, NULL },
		{ "records are wire rows", test_records, begin, end, NULL },
		{ "newer values are known as such", test_versions, begin,
		    end, NULL },
		{ "a damaged value is found, the rest goes on", test_damage,
		    begin, end, NULL },
		{ "one owner: a second is told the pid", test_lock, begin,
		    end, NULL },
		{ "a leaving owner is waited for", test_lock_wait, begin,
		    end, NULL },
		{ "killed at any time: what was flushed is there",
		    test_kill, begin, end, NULL },
		{ "old log files are removed", test_log_files, begin, end,
		    NULL },
		{ "the directory is made, or its name is said",
		    test_directory, begin, end, NULL },
		{ "the ballast is given up, and made again", test_ballast,
		    begin, end, NULL },
		{ "the ballast is given up for recovery",
		    test_ballast_recovery, begin, end, NULL },
		{ "a flush that fails ends the store", test_gone, begin, end,
		    NULL },
		{ "the nth write finds no room, for every n",
		    test_nth_write_full, begin, end, NULL },
		{ "no write has room from the nth on, for every n",
		    test_nth_write_full_for_good, begin, end, NULL },
		{ "the nth write fails, for every n", test_nth_write_broken,
		    begin, end, NULL },
		{ "the nth flush fails, for every n", test_nth_sync_broken,
		    begin, end, NULL },
		{ "a log that lost its end is known by a note", test_cut_log,
		    begin, end, NULL },
		{ "a note that is damaged is none", test_mark, begin, end,
		    NULL },
		{ "a chroot is enough", test_chroot, begin, end, NULL },
		{ "a full disk takes deletes and recovers", test_full_disk,
		    begin, end, NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return _cmocka_run_group_tests("store", tests,
	    COUNT(tests) - without, NULL, NULL);
}
