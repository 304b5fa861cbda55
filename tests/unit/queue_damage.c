/*
 * Bits that flip in the queue's files, and what comes of them: the record is
 * held and named, the rest is delivered; files that the database refuses are
 * salvaged; and nothing else ever is.
 */
#include "queue_fixture.h"

#include "queue/deposit.h"
#include "queue/format.h"

#include <dirent.h>
#include <signal.h>
#include <sys/wait.h>

void	__lsan_disable(void) __attribute__((weak));

/* ---- a bad world, which is no damage ---- */

static int write_error;		/* of every write to a file; 0: none */

static bool
is_refused(int fd)
{
	struct stat status;

	errno = write_error;
	return write_error != 0 && fstat(fd, &status) == 0 &&
	    S_ISREG(status.st_mode) && (errno = write_error) != 0;
}

ssize_t
write(int fd, const void *octets, size_t len)
{
	return is_refused(fd) ? -1 : (ssize_t)syscall(SYS_write, fd, octets,
	    len);
}

ssize_t
pwrite64(int fd, const void *octets, size_t len, off64_t at)
{
	return is_refused(fd) ? -1 : (ssize_t)syscall(SYS_pwrite64, fd,
	    octets, len, at);
}

ssize_t
pwrite(int fd, const void *octets, size_t len, off_t at)
{
	return pwrite64(fd, octets, len, at);
}

/* ---- files ---- */

static void
path_of(const struct world *world, const char *name, char path[160])
{
	snprintf(path, 160, "%s/%s", world->dir, name);
}

/* All of a file; the caller frees it. */
static uint8_t *
read_all(const char *path, size_t *len)
{
	int fd = open(path, O_RDONLY);
	struct stat status;
	uint8_t *octets;

	assert_int_not_equal(fd, -1);
	assert_int_equal(fstat(fd, &status), 0);
	*len = (size_t)status.st_size;
	octets = mem_alloc(*len + 1);
	assert_int_equal(read(fd, octets, *len), (ssize_t)*len);
	close(fd);
	return octets;
}

static void
flip_at(const char *path, size_t at, unsigned bit)
{
	int fd = open(path, O_RDWR);
	uint8_t octet;

	assert_int_equal(pread(fd, &octet, 1, (off_t)at), 1);
	octet ^= (uint8_t)(1u << bit);
	assert_int_equal(syscall(SYS_pwrite64, fd, &octet, 1, (off_t)at), 1);
	close(fd);
}

/* Flip a bit of those octets where they lie in a table's file. */
static void
flip_octets(const struct world *world, const char *name, const void *octets,
    size_t len, size_t nth)
{
	char path[160];
	uint8_t *all, *at;
	size_t size;

	path_of(world, name, path);
	all = read_all(path, &size);
	at = memmem(all, size, octets, len);
	assert_non_null(at);
	flip_at(path, (size_t)(at - all) + nth, 4);
	free(all);
}

/* Is there a folder of files that were moved aside? */
static bool
has_aside(const struct world *world)
{
	DIR *all = opendir(world->dir);
	struct dirent *entry;
	bool found = false;

	assert_non_null(all);
	while ((entry = readdir(all)) != NULL)
		found |= strncmp(entry->d_name, "damaged-", 8) == 0;
	closedir(all);
	return found;
}

/* ---- one record ---- */

static void
start_and_mend(struct world *world)
{
	start_queue(world);
	say_synced(world);
	/* the audit's first slice */
	turns_for(world, 250);
}

/* The entry of a recipient in the order of what is due goes astray. */
static void
a_stray_place(void **state)
{
	uint8_t key[8];

	(void)state;
	for (size_t nth = 0; nth < 28; nth += 5) {
		struct world *world = new_world(NULL, 0);
		struct recipient recipient;
		uint64_t id = take_message(world, "a@near.example",
		    "b@far.example");

		spool_get_recipient(world->spool, id, 0, &recipient);
		store_key_u64(key, recipient.destination);
		stop_queue(world);
		flip_octets(world, "due.db", key, 8, nth);
		start_and_mend(world);
		assert_int_equal(deliver_all(world, "far.example"), 1);
		assert_false(has_aside(world));
		end_world(&world);
	}
}

/* The entry of a destination in the index, or its record, or its name. */
static void
a_stray_destination(void **state)
{
	static const char *const files[] = { "soon.db", "destinations.db",
		"names.db" };
	uint8_t key[8];

	(void)state;
	for (size_t i = 0; i < COUNT(files) * 3; i++) {
		struct world *world = new_world(NULL, 0);
		struct recipient recipient;
		uint64_t id = take_message(world, "a@near.example",
		    "b@far.example");

		spool_get_recipient(world->spool, id, 0, &recipient);
		store_key_u64(key, recipient.destination);
		stop_queue(world);
		flip_octets(world, files[i / 3], key, 8, i % 3 * 3 + 1);
		start_and_mend(world);
		assert_int_equal(deliver_all(world, "far.example"), 1);
		assert_false(has_aside(world));
		end_world(&world);
	}
}

/* That one is held and named, others go. */
static void
a_damaged_recipient(void **state)
{
	static const char middle[] = "b1@far.example";

	(void)state;
	for (size_t i = 0; i < sizeof(middle) - 1; i += 4) {
		struct world *world = new_world(NULL, 0);
		unsigned n;

		for (n = 0; n < 3; n++)
			take_message(world, "a@near.example",
			    n == 0 ? "b0@far.example" : n == 1 ? middle :
			    "b2@far.example");
		stop_queue(world);
		flip_octets(world, "recipients.db", middle,
		    sizeof(middle) - 1, i);
		start_and_mend(world);
		assert_logged("alarm what=record text=\"recipient ");
		assert_int_equal(deliver_all(world, "far.example"), 2);
		/* its message stays, for the operator */
		assert_int_equal(count_messages(world), 1);
		assert_false(has_aside(world));
		end_world(&world);
	}
}

/* ---- any bit ---- */

static void
deposit_one(struct spool *spool, const struct message *message,
    const char *address)
{
	struct addressees addressees = { NULL, 0, 0, NULL, 0 };
	const struct addressee one = { address, 0, "" };

	assert_true(addressee_add(&addressees, &one));
	deposit_message(spool, message, &addressees);
	addressee_free(&addressees);
}

#define MESSAGES	40

static void
put_some(struct world *world)
{
	static char body[CHUNK_OCTETS];

	for (unsigned i = 0; i < MESSAGES; i++) {
		struct message message = { .id = 1000 + i,
		    .sender = "a@near.example", .size_bytes = 30000,
		    .arrived_ms = 1790000000000, .chunks = 2 };

		memset(body, 'a' + (int)(i % 26), sizeof(body));
		spool_put_chunk(world->spool, message.id, 0, body,
		    sizeof(body));
		spool_put_chunk(world->spool, message.id, 1, body,
		    30000 - sizeof(body));
		deposit_one(world->spool, &message, i % 2 == 0 ?
		    "b@far.example" : "c@wide.example");
		spool_want_flush(world->spool);
		assert_int_equal(spool_turn_end(world->spool),
		    STORE_DURABLE);
	}
}

/* How many are there, found by a walk and by their keys alike? */
static unsigned
count_good(struct spool *spool)
{
	struct recipient recipient = { .id = 0 };
	bool after = false;
	enum store_found found;
	unsigned good = 0;

	/* Two steps for each, and an end: a walk in circles is none. */
	for (unsigned n = 0; n < 4 * MESSAGES; n++) {
		found = spool_walk_recipients(spool, recipient.id,
		    recipient.number, after, &recipient);
		after = true;
		if (found != STORE_FOUND && found != STORE_DAMAGED)
			break;
	}
	for (unsigned i = 0; i < MESSAGES; i++) {
		struct message message;
		struct slice chunk;

		good += spool_get_message(spool, 1000 + i, &message) ==
		    STORE_FOUND && spool_get_recipient(spool, 1000 + i, 0,
		    &recipient) == STORE_FOUND && spool_get_chunk(spool,
		    1000 + i, 0, &chunk) == STORE_FOUND &&
		    spool_get_chunk(spool, 1000 + i, 1, &chunk) ==
		    STORE_FOUND;
	}
	return good;
}

/* A program that opens it, reads all and writes; the exit status. */
static void
use(const struct world *world)
{
	static const int ends[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL };
	char error[512];
	struct spool *spool;
	unsigned good;

	/* Berkeley DB may crash on it: that is an end, not a test's failure. */
	for (size_t n = 0; n < COUNT(ends); n++)
		signal(ends[n], SIG_DFL);
	if (__lsan_disable != NULL)
		__lsan_disable();
	/* A sanitizer sees the library step beyond a damaged page. */
	if (freopen("/dev/null", "w", stderr) == NULL)
		_exit(96);
	alarm(20);
	spool = spool_open(world->dir, error, sizeof(error));
	if (spool == NULL)
		_exit(99);
	good = count_good(spool);
	if (spool_is_suspect(spool))
		_exit(98);
	for (unsigned i = 0; i < 20; i++) {
		struct message message = { .id = 5000 + i,
		    .arrived_ms = 1790000000000 };

		deposit_one(spool, &message, "d@new.example");
	}
	spool_want_flush(spool);
	if (spool_turn_end(spool) != STORE_DURABLE)
		_exit(97);
	spool_close(&spool);
	_exit((int)good);
}

/* As culverd does: started again when it ends badly. */
static int
use_until_it_works(const struct world *world)
{
	int status;

	for (int n = 0; n < 9; n++) {
		pid_t pid = fork();

		if (pid == 0)
			use(world);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (WIFEXITED(status) && WEXITSTATUS(status) <= MESSAGES)
			return WEXITSTATUS(status);
	}
	fail_msg("it does not come back: status %x", status);
	return -1;
}

/* Which octet of a file is changed in this round? */
static size_t
pick(unsigned round, size_t size, bool heads)
{
	size_t at = (round * 2654435761u) % size;

	return heads ? at / 4096 * 4096 + at % 26 : at;
}

static void
flip_any(const char *name, bool heads, unsigned rounds, unsigned least)
{
	for (unsigned round = 1; round <= rounds; round++) {
		struct world *world = new_world(NULL, 0);
		char path[160];
		struct stat status;
		int good;

		put_some(world);
		stop_queue(world);
		path_of(world, name, path);
		assert_int_equal(stat(path, &status), 0);
		flip_at(path, pick(round, (size_t)status.st_size, heads),
		    round % 8);
		good = use_until_it_works(world);
		if (good < (int)least)
			fail_msg("%s, round %u: only %d", name, round, good);
		start_queue(world);
		end_world(&world);
	}
}

static void
any_bit_of_a_table(void **state)
{
	static const char *const files[] = { "messages.db", "recipients.db",
		"chunks.db", "due.db", "destinations.db", "soon.db",
		"names.db", "keys.db", "attempts.db", "intakes.db" };

	(void)state;
	for (size_t i = 0; i < COUNT(files); i++)
		flip_any(files[i], false, 2, MESSAGES - 1);
}

/* The head of a page may take with it what is on that page. */
static void
any_bit_of_a_head(void **state)
{
	static const char *const files[] = { "messages.db", "recipients.db",
		"chunks.db", "due.db", "soon.db" };

	(void)state;
	for (size_t i = 0; i < COUNT(files); i++)
		flip_any(files[i], true, 3, 0);
}

/* ---- the log ---- */

/* As a program that is killed leaves it. */
static void
put_some_and_die(struct world *world)
{
	pid_t pid;

	stop_queue(world);
	pid = fork();
	if (pid == 0) {
		char error[256];

		if (__lsan_disable != NULL)
			__lsan_disable();
		world->spool = spool_open(world->dir, error, sizeof(error));
		put_some(world);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

/* What was in the tables is saved, and the old files are kept. */
static void
a_flipped_log(void **state)
{
	struct world *world = new_world(NULL, 0);
	char path[160];
	unsigned before;

	(void)state;
	for (int i = 0; i < 5; i++)
		take_message(world, "a@near.example", "b@far.example");
	before = count_messages(world);
	put_some_and_die(world);
	path_of(world, "log.0000000001", path);
	for (unsigned i = 0; i < 60000; i += 700)
		flip_at(path, 100 + i, 3);
	use_until_it_works(world);
	assert_true(has_aside(world));
	start_queue(world);
	assert_logged("alarm what=damaged");
	assert_true(count_messages(world) >= before);
	end_world(&world);
}

/* Cut off at any time, a salvage is begun again. */
static void
a_salvage_that_is_cut_off(void **state)
{
	struct world *world = new_world(NULL, 0);
	char path[160], text[64];
	FILE *file;

	(void)state;
	put_some(world);
	stop_queue(world);
	path_of(world, "damaged-17", path);
	assert_int_equal(mkdir(path, 0700), 0);
	/* it stopped before the first file, and then in the middle of all */
	for (int i = 0; i < 3; i++) {
		path_of(world, "salvage", path);
		file = fopen(path, "w");
		snprintf(text, sizeof(text), "%s damaged-17\n",
		    i == 0 ? "move" : "fill");
		fputs(text, file);
		fclose(file);
		assert_int_equal(use_until_it_works(world), MESSAGES);
		assert_int_equal(access(path, F_OK), -1);
	}
	start_queue(world);
	end_world(&world);
}

/* ---- what is no damage ---- */

static void
assert_refused(struct world *world, const char *why)
{
	char error[512] = "";

	if (spool_open(world->dir, error, sizeof(error)) != NULL)
		fail_msg("opened in spite of %s", why);
	if (has_aside(world) || strstr(error, why) == NULL)
		fail_msg("%s: %s", why, error);
}

static void
a_healthy_queue_is_never_salvaged(void **state)
{
	static const int errors[] = { EIO, ENOSPC, EACCES, EROFS, EINVAL,
		ENOMEM, EDQUOT };
	struct world *world = new_world(NULL, 0);
	char path[160], error[256];
	struct spool *spool;

	(void)state;
	put_some_and_die(world);
	/* a device that fails, a disk that is full while it recovers */
	for (size_t i = 0; i < COUNT(errors); i++) {
		write_error = errors[i];
		assert_refused(world, "cannot be opened");
	}
	write_error = 0;
	/* distrusted in every way there is: it is looked at, and is sound */
	path_of(world, "opens", path);
	close(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600));
	path_of(world, STORE_SUSPECT, path);
	for (int i = 0; i < 3; i++) {
		int fd = open(path, O_WRONLY | O_CREAT, 0600);

		assert_int_equal(write(fd, "rf", i), i);
		close(fd);
		spool = spool_open(world->dir, error, sizeof(error));
		assert_non_null(spool);
		assert_int_equal(count_good(spool), MESSAGES);
		spool_close(&spool);
		assert_false(has_aside(world));
	}
	assert_logged("looked through: they are sound");
	start_queue(world);
	end_world(&world);
}

/* ---- versions ---- */

/* One number for all that lies in the folder. */
static uint32_t
crc_of_folder(const struct world *world)
{
	DIR *all = opendir(world->dir);
	struct dirent *entry;
	uint32_t crc = 0;

	while ((entry = readdir(all)) != NULL) {
		char path[512];
		struct stat status;
		uint8_t *octets;
		size_t len;

		snprintf(path, sizeof(path), "%s/%s", world->dir,
		    entry->d_name);
		if (stat(path, &status) != 0 || !S_ISREG(status.st_mode) ||
		    strcmp(entry->d_name, "ballast") == 0)
			continue;
		octets = read_all(path, &len);
		crc += store_crc(store_crc(0, entry->d_name,
		    strlen(entry->d_name)), octets, len);
		free(octets);
	}
	closedir(all);
	return crc;
}

static void
a_newer_queue_is_left_alone(void **state)
{
	static const struct format_table newer[] = { { "messages", 77 } };
	static const struct format_table unknown[] = { { "later", 1 } };
	struct world *world = new_world(NULL, 0);
	char error[512], path[160];
	uint32_t before;
	int fd;

	(void)state;
	put_some_and_die(world);
	fd = open(world->dir, O_RDONLY | O_DIRECTORY);
	assert_true(format_write(fd, newer, 1, error, sizeof(error)));
	before = crc_of_folder(world);
	assert_refused(world, "table messages has records of version 77");
	assert_refused(world, "written by a newer culver");
	assert_int_equal(crc_of_folder(world), before);
	assert_true(format_write(fd, unknown, 1, error, sizeof(error)));
	assert_refused(world, "there is a table later");
	/* a flipped bit is no newer version */
	assert_true(format_write(fd, newer, 1, error, sizeof(error)));
	path_of(world, "format", path);
	flip_at(path, 9, 1);
	start_queue(world);
	assert_int_equal(count_good(world->spool), MESSAGES);
	close(fd);
	end_world(&world);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "a stray place among what is due is mended",
		    a_stray_place, NULL, NULL, NULL },
		{ "a stray destination is mended", a_stray_destination, NULL,
		    NULL, NULL },
		{ "a damaged recipient is named, the others are delivered",
		    a_damaged_recipient, NULL, NULL, NULL },
		{ "any bit of a table costs one message at most",
		    any_bit_of_a_table, NULL, NULL, NULL },
		{ "any bit of a page's head: it starts again, with the rest",
		    any_bit_of_a_head, NULL, NULL, NULL },
		{ "a flipped log: the tables are salvaged", a_flipped_log,
		    NULL, NULL, NULL },
		{ "a salvage that is cut off is done again",
		    a_salvage_that_is_cut_off, NULL, NULL, NULL },
		{ "a healthy queue is never salvaged",
		    a_healthy_queue_is_never_salvaged, NULL, NULL, NULL },
		{ "a newer queue is refused and left alone",
		    a_newer_queue_is_left_alone, NULL, NULL, NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("queue_damage", tests, NULL, NULL);
}
