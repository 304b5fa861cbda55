/*
 * A queue that an earlier culver left: it is read as it lies on disk, its
 * records are written anew as they change, and a start that is killed in the
 * middle of that is followed by one that goes on.
 *
 * It is as the version before the next hops `relayhost' had it: destinations
 * of version 3, attempts of version 1, no table "clock", no mark of the lines.
 */
#include "queue_asking.h"

#include "conf/storefile.h"
#include "queue/format.h"
#include "queue/relayed.h"

#include <sys/mman.h>
#include <sys/wait.h>

#define FAR	600		/* more than moves in one turn */
#define DEAD	3
#define RELAY	"smtp://relay.example"

static char *const lines[] = { (char[]){ "retry=1m 5m" },
	(char[]){ "relayhost=" RELAY " for=far.example" } };

/* ---- a program that dies right before it writes ---- */

static unsigned nth_call;	/* counts down to its death; 0: it lives */
static unsigned calls;		/* made so far */

static void
count_call(void)
{
	calls++;
	if (nth_call > 0 && --nth_call == 0)
		kill(getpid(), SIGKILL);
}

/* Instead of libc's, also for Berkeley DB. */
ssize_t
write(int fd, const void *octets, size_t len)
{
	count_call();
	return syscall(SYS_write, fd, octets, len);
}

ssize_t
pwrite64(int fd, const void *octets, size_t len, off64_t at)
{
	count_call();
	return syscall(SYS_pwrite64, fd, octets, len, at);
}

ssize_t
pwrite(int fd, const void *octets, size_t len, off_t at)
{
	return pwrite64(fd, octets, len, at);
}

int
fdatasync(int fd)
{
	count_call();
	return (int)syscall(SYS_fdatasync, fd);
}

int
fsync(int fd)
{
	count_call();
	return (int)syscall(SYS_fsync, fd);
}

int
renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	count_call();
	return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, 0);
}

/* ---- as it was left ---- */

static const struct format_table old_tables[] = {
	{ "messages", 3 }, { "recipients", 3 }, { "due", 1 },
	{ "destinations", 3 }, { "names", 1 }, { "soon", 1 },
	{ "chunks", 1 }, { "intakes", 1 }, { "keys", 2 }, { "attempts", 1 },
	{ "unsigned", 1 }
};

static const struct wire_message *
old_host(void)
{
	static struct wire_message old;

	old = *record_host();
	old.fields_n = 27;
	return &old;
}

static void
put_old(void *context, struct slice key, struct slice raw)
{
	static struct d_host host;
	struct store_table *table = context;
	/* Without version and CRC. */
	struct slice value = { raw.at + 1, raw.len - 5 };

	if (memmem(key.at, key.len, "relayhosts", 10) != NULL)
		return;
	if (record_decode(value, record_host(), &host))
		store_put_record(table, key, old_host(), &host);
	else
		store_put(table, key, value);
}

/* All that lies in one folder, in another one, as the older program wrote. */
static void
write_old(const char *from, const char *to)
{
	static const struct store_options options = { .cache_bytes = 1u << 20,
		.log_file_bytes = 1u << 20 };
	char path[160], error[256];
	struct store *store;
	int fd;

	assert_int_equal(mkdir(to, 0700), 0);
	store = store_open(to, &options, error, sizeof(error));
	assert_non_null(store);
	for (size_t i = 0; i < COUNT(old_tables); i++) {
		snprintf(path, sizeof(path), "%s/%s.db", from,
		    old_tables[i].name);
		assert_true(storefile_salvage(path, put_old, store_table(
		    store, old_tables[i].name, old_tables[i].version)));
		assert_int_equal(store_turn_end(store, true), STORE_DURABLE);
	}
	store_close(&store);
	fd = open(to, O_RDONLY | O_DIRECTORY);
	assert_true(format_write(fd, old_tables, COUNT(old_tables), error,
	    sizeof(error)));
	close(fd);
}

/* Mail for two domains, one of which was tried; to is its id. */
static void
put_mail(struct world *world, char tried[ID_TEXT_MAX])
{
	struct d_host facts = { .host = "mx.dead.example",
	    .address = "192.0.2.9", .policy = "sts", .sts = "enforce",
	    .verdict = "next", .connected = true, .starttls = "done",
	    .certificate = "expired", .exempt = true };
	struct d_due due = { .destination = 0 };

	for (int i = 0; i < DEAD; i++)
		queue_id_print(take_message(world, "a@near.example",
		    "b@dead.example"), tried);
	say_synced(world);
	due = expect_due(world, "dead.example");
	facts.destination = due.destination;
	say(&world->delivery, D_HOST, &facts);
	say_ended(world, due.destination, OUTCOME_DEFERRED, "4.7.5",
	    "certificate expired");
	turns(world);
	for (unsigned n = 0; n < FAR; n += 100) {
		uint64_t id = open_message(world, "a@near.example", 0);
		char address[64];
		int fd;

		for (unsigned i = 0; i < 100; i++) {
			snprintf(address, sizeof(address), "b%u@far.example",
			    i);
			add_recipient(world, id, i, address);
		}
		fd = ask_data(world, id);
		expect(world, &world->smtpd, Q_GO);
		write_body(world, fd, SMALL, sizeof(SMALL) - 1);
		close(fd);
		say_end(world, id, sizeof(SMALL) - 1, false);
		expect(world, &world->smtpd, Q_TAKEN);
	}
}

/*
 * A world whose queue is not open; present_dir holds "old", as it was left,
 * and "queue", where it is worked on.
 */
static struct world *
make_old(char tried[ID_TEXT_MAX])
{
	struct world *world = new_world(lines, 1);
	char old[160], now[160];

	put_mail(world, tried);
	stop_queue(world);
	snprintf(old, sizeof(old), "%s/old", present_dir);
	write_old(world->dir, old);
	snprintf(now, sizeof(now), "%.50s/queue", present_dir);
	memcpy(world->dir, now, sizeof(world->dir));
	config_free(&world->config);
	world->config = settings(lines, COUNT(lines));
	wire_port_close(&world->smtpd);
	wire_port_close(&world->delivery);
	return world;
}

static void
put_back(const struct world *world)
{
	char command[256];

	snprintf(command, sizeof(command), "rm -rf %s && cp -a %s/old %s",
	    world->dir, present_dir, world->dir);
	assert_int_equal(system(command), 0);
}

/* ---- what is there ---- */

struct counted {
	unsigned	old, new, damaged;
};

static void
count_entry(void *context, struct slice key, struct slice raw)
{
	struct counted *counted = context;

	if (!store_is_whole(key, raw))
		counted->damaged++;
	else if (((uint8_t)raw.at[0] & 0x7f) < 4)
		counted->old++;
	else
		counted->new++;
}

/* Destinations by the version that they are written in. */
static struct counted
count_versions(const struct world *world)
{
	struct counted counted = { 0, 0, 0 };
	char path[160], error[256];
	/* Recovered, and nothing else. */
	struct spool *spool = spool_open(world->dir, error, sizeof(error));

	if (spool == NULL)
		fail_msg("%s", error);
	spool_close(&spool);
	snprintf(path, sizeof(path), "%s/destinations.db", world->dir);
	assert_true(storefile_salvage(path, count_entry, &counted));
	assert_int_equal(counted.damaged, 0);
	return counted;
}

static bool
is_settled(struct world *world)
{
	return spool_get_name(world->spool, "relayhosts", 0) ==
	    relayed_mark(world->config);
}

static void
settle_lines(struct world *world)
{
	int64_t until = loop_now_ms() + 60000;

	while (!is_settled(world) && loop_now_ms() < until) {
		loop_turn(world->loop, false);
		usleep(100);
	}
}

/* It starts, all mail is there, old attempts can be read, and all goes. */
static void
check_all(struct world *world, const char *tried)
{
	struct answer answer;
	const json_t *host;

	world->has_smtpd = world->has_delivery = false;
	start_queue(world);
	assert_int_equal(count_messages(world), FAR / 100 + DEAD);
	answer = command(world, 0, "explain %s", tried);
	assert_int_equal(json_array_size(answer.rows), 1);
	host = json_array_get(json_object_get(json_array_get(answer.rows, 0),
	    "hosts"), 0);
	assert_string_equal(text_at(host, "host"), "mx.dead.example");
	/* it had another meaning then */
	assert_null(strstr(answer.out.text, "exempt\":true"));
	forget(&answer);
	say_synced(world);
	settle_lines(world);
	assert_true(is_settled(world));
	/* Some was handed out where it was. */
	stop_queue(world);
	start_queue(world);
	say_synced(world);
	assert_int_equal(deliver_all(world, RELAY), FAR);
	clock_offset_s = 100;
	loop_again(world->loop);
	assert_int_equal(deliver_all(world, "dead.example"), DEAD);
	assert_empty(world);
	assert_false(logged("is damaged"));
	stop_queue(world);
	clock_offset_s = 0;
	wire_port_close(&world->smtpd);
	wire_port_close(&world->delivery);
}

/* ---- the tests ---- */

static void
read_as_it_lies(void **state)
{
	char tried[ID_TEXT_MAX], path[160], text[512] = "";
	struct world *world = make_old(tried);
	struct counted counted;
	FILE *file;

	(void)state;
	put_back(world);
	snprintf(path, sizeof(path), "%s/format", world->dir);
	counted = count_versions(world);
	assert_int_equal(counted.old, 2);
	assert_int_equal(counted.new, 0);
	/* from now on an older one leaves it alone */
	file = fopen(path, "r");
	assert_non_null(file);
	assert_true(fread(text, 1, sizeof(text) - 1, file) > 0);
	fclose(file);
	assert_non_null(strstr(text, "destinations 4"));
	check_all(world, tried);
	config_free(&world->config);
	free(world);
	remove_present();
}

void	__lsan_disable(void) __attribute__((weak));

/* Calls of a start that lives: until it is open, and in all. */
struct life {
	unsigned	open, all;
};

/* A start as a process of its own, which dies at the nth call. */
static void
start_and_die(struct world *world, unsigned nth, struct life *life)
{
	/* It ends in the middle: what it holds then is no leak. */
	if (__lsan_disable != NULL)
		__lsan_disable();
	nth_call = nth;
	calls = 0;
	world->has_smtpd = world->has_delivery = false;
	start_queue(world);
	life->open = calls;
	say_synced(world);
	settle_lines(world);
	stop_queue(world);
	life->all = calls;
	_exit(0);
}

static bool
was_killed(struct world *world, unsigned nth, struct life *life)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		start_and_die(world, nth, life);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status))
		assert_int_equal(WEXITSTATUS(status), 0);
	else
		assert_int_equal(WTERMSIG(status), SIGKILL);
	return WIFSIGNALED(status);
}

static void
killed_anywhere(void **state)
{
	struct life *life = mmap(NULL, sizeof(*life), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char tried[ID_TEXT_MAX];
	struct world *world = make_old(tried);
	unsigned before = 0, between = 0, nth;

	(void)state;
	assert_true(life != MAP_FAILED);
	put_back(world);
	assert_false(was_killed(world, 0, life));
	/* Sparsely while it opens what it found, closely behind that. */
	for (nth = 1; put_back(world), was_killed(world, nth, life);
	    nth += nth < life->open ? 1 + life->open / 12 :
	    1 + (life->all - life->open) / 40) {
		struct counted counted = count_versions(world);

		before += counted.new == 0;
		between += counted.old > 0 && counted.new > 0;
		check_all(world, tried);
	}
	/* and one that was killed again and again */
	put_back(world);
	for (unsigned i = 1; i < nth; i += 1 + i / 4)
		was_killed(world, i, life);
	check_all(world, tried);
	if (before < 5 || between < 5)
		fail_msg("killed %u times before, %u in the middle", before,
		    between);
	munmap(life, sizeof(*life));
	config_free(&world->config);
	free(world);
	remove_present();
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "an earlier version's queue is read as it lies",
		    read_as_it_lies, NULL, NULL, NULL },
		{ "a killed upgrade goes on, wherever it was killed",
		    killed_anywhere, NULL, NULL, NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("queue_upgrade", tests, NULL, NULL);
}
