/*
 * The life of a report when things break: killed at each step, and the disk
 * full at each write.  What left once leaves no second time.
 */
#include "life_fixture.h"

#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define MAIL_A	"mailto:tls@a.example"
#define URL_A	"https://r.a.example/tls"
#define BOTH	"v=TLSRPTv1;rua=" MAIL_A "," URL_A
#define STEPS_MAX	200
#define QUIET_TURNS	25
#define WRITTEN_TURNS	4	/* it is read, written and flushed */

/* ---- a disk that is full when it is told to be ---- */

static bool disk_full;
static unsigned refused_writes;

static bool
is_refused(int fd)
{
	struct stat status;

	if (!disk_full || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
		return false;
	refused_writes++;
	errno = ENOSPC;
	return true;
}

/* Instead of libc's, also for Berkeley DB. */
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

int
posix_fallocate(int fd, off_t at, off_t len)
{
	return disk_full ? ENOSPC : (int)syscall(SYS_fallocate, fd, 0, at,
	    len) == 0 ? 0 : errno;
}

/* ---- a child that is killed ---- */

static pid_t child;
static unsigned step, kill_at;		/* events; 0: never */
static char killed_at[32];
/* The turn in which fetch's answer was said last, and whether the child died
   before it can have written it. */
static uint64_t answered_turn;
static bool answer_lost;

static void
serve_for_ever(struct world *world, const int ends[3])
{
	char error[512];

	world->loop = loop_new();
	world->book = book_open(world->dir, error, sizeof(error));
	if (world->book == NULL) {
		fprintf(stderr, "# %s\n", error);
		_exit(1);
	}
	world->life = life_new(world->loop, world->book);
	life_set(world->life, world->config);
	loop_at_turn_end(world->loop, end_turn, world);
	life_link(world->life, PROGRAM_POLICY, ends[0]);
	life_link(world->life, PROGRAM_QUEUE, ends[1]);
	life_link(world->life, PROGRAM_FETCH, ends[2]);
	shared->ready = true;
	for (;;) {
		loop_turn(world->loop, false);
		__atomic_add_fetch(&shared->turns, 1, __ATOMIC_SEQ_CST);
		usleep(200);
	}
}

static void
open_port(struct wire_port *port, const struct wire_table *table, int *end)
{
	int ends[2];

	wire_port_close(port);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    ends), 0);
	wire_port_open(port, ends[0], table);
	*end = ends[1];
}

static void
start_child(struct world *world)
{
	int ends[3], i;

	open_port(&world->policy, &inquiry_wire, &ends[0]);
	open_port(&world->queue, &intake_wire, &ends[1]);
	open_port(&world->fetch, &fetch_wire, &ends[2]);
	shared->ready = false;
	child = fork();
	assert_int_not_equal(child, -1);
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(world->policy.fd);
		close(world->queue.fd);
		close(world->fetch.fd);
		serve_for_ever(world, ends);
	}
	for (i = 0; i < 3; i++)
		close(ends[i]);
	for (i = 0; i < 10000 && !shared->ready; i++)
		usleep(1000);
	assert_true(shared->ready);
	pass_s(5);
}

static void
kill_child(struct world *world)
{
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	child = 0;
	wire_port_close(&world->policy);
	wire_port_close(&world->queue);
	wire_port_close(&world->fetch);
	world->policy.fd = world->queue.fd = world->fetch.fd = -1;
	forget_coming(world);
}

static bool
on_event(struct world *world, const char *name)
{
	if (strcmp(name, "F_POSTED") == 0)
		answered_turn = shared->turns;
	if (++step != kill_at)
		return false;
	answer_lost = strcmp(name, "F_POST") == 0 || (world->posts_n > 0 &&
	    shared->turns < answered_turn + WRITTEN_TURNS);
	snprintf(killed_at, sizeof(killed_at), "%s", name);
	kill_child(world);
	return true;
}

/* Until the child has nothing to say for some of its turns. */
static void
play_child(struct world *world)
{
	uint64_t since;

	if (child == 0)
		start_child(world);
	since = shared->turns;
	while (shared->turns < since + QUIET_TURNS) {
		bool any = play_policy(world);

		any |= play_queue(world);
		any |= play_fetch(world);
		if (child == 0)
			start_child(world);
		if (any)
			since = shared->turns;
		else
			usleep(200);
	}
	on_event(world, "quiet");
}

static void
check_end(struct world *world)
{
	struct receiver_state mail, post;
	unsigned i;

	start_life(world);
	mail = get_receiver(world, DAY, "a.example", 0);
	post = get_receiver(world, DAY, "a.example", 1);
	if (mail.phase != RECEIVER_ACCEPTED ||
	    post.phase != RECEIVER_ACCEPTED ||
	    get_report(world, DAY, "a.example").phase != REPORT_DONE)
		fail_msg("killed at step %u, %s: mail %u %s, post %u %s",
		    kill_at, killed_at, mail.phase, mail.text, post.phase,
		    post.text);
	if (world->taken_n != 1)
		fail_msg("killed at step %u, %s: %u mails", kill_at,
		    killed_at, world->taken_n);
	if (world->posts_n != 1 && !answer_lost)
		fail_msg("killed at step %u, %s: %u posts", kill_at,
		    killed_at, world->posts_n);
	assert_in_range(world->posts_n, 1, 2);
	for (i = 1; i < world->posts_n; i++) {
		assert_int_equal(world->posts[i].gzip.len,
		    world->posts[0].gzip.len);
		assert_memory_equal(world->posts[i].gzip.text,
		    world->posts[0].gzip.text, world->posts[0].gzip.len);
	}
	stop_life(world);
}

/* One life, killed at that step; false: there was no such step. */
static bool
live_and_die(unsigned at)
{
	static const char *const settings[] = { SIGNED, NULL };
	struct world *world = make_world(settings);
	unsigned i;

	start_life(world);
	count_session(world, "a.example");
	pass_s(2);
	play(world);
	stop_life(world);
	add_record(world, "a.example", BOTH);
	go_to(((int64_t)DAY + 1) * DAY_S + 10);
	step = 0;
	kill_at = at;
	killed_at[0] = '\0';
	answer_lost = false;
	world->event = on_event;
	start_child(world);
	for (i = 0; i < 4; i++) {
		play_child(world);
		pass_s(400);
	}
	play_child(world);
	world->event = NULL;
	if (child != 0)
		kill_child(world);
	check_end(world);
	free_world(&world);
	return at == 0 || killed_at[0] != '\0';
}

static void
test_killed(void **state)
{
	unsigned at = 0;

	(void)state;
	while (live_and_die(at))
		assert_true(++at < STEPS_MAX);
	/* R_TXT, R_PIN, F_POST, Q_OPEN to Q_TAKEN, Q_ASK_KEY; and answers */
	assert_true(at >= 16);
}

/* ---- the disk ---- */

/* Does the disk get full at that turn, for some turns and seconds? */
static void
live_with_full_disk(unsigned at)
{
	static const char *const settings[] = { SIGNED, NULL };
	struct world *world = make_world(settings);
	unsigned turn, mails, posts;

	start_life(world);
	count_session(world, "a.example");
	pass_s(2);
	play(world);
	add_record(world, "a.example", BOTH);
	go_to(((int64_t)DAY + 1) * DAY_S + 10);
	pass_s(61);
	for (turn = 0; turn < at; turn++) {
		loop_turn(world->loop, false);
		play_policy(world);
		play_queue(world);
		play_fetch(world);
	}
	disk_full = true;
	refused_writes = 0;
	play_for(world, 40, 2);
	/* not in a hot loop */
	assert_true(refused_writes < 1000);
	disk_full = false;
	mails = world->taken_n;
	posts = world->posts_n;
	play_for(world, 2000, 20);
	if (mails > 1 || posts > 1 || world->taken_n != 1 ||
	    world->posts_n != 1 || get_report(world, DAY, "a.example").phase !=
	    REPORT_DONE)
		fail_msg("full at turn %u: %u and %u mails, %u and %u posts, "
		    "phase %u", at, mails, world->taken_n, posts,
		    world->posts_n, get_report(world, DAY, "a.example").phase);
	assert_int_equal(times_logged("outcome=accepted"), 2);
	free_world(&world);
}

static void
test_full_disk(void **state)
{
	unsigned at;

	(void)state;
	for (at = 0; at < 24; at++)
		live_with_full_disk(at);
}

/*
 * Fetches that failed, told on each fresh link, as policy would; more than
 * the store keeps in memory.
 */
#define FAILED_N	200

static unsigned
tell_failed(struct world *world)
{
	struct r_failed failed = { .epoch = 7, .when_s = loop_wall_s(),
	    .result = RESULT_STS_POLICY_FETCH_ERROR, .reason = "HTTP 403" };

	if (world->policy_needed == 0)
		return 0;
	world->policy_needed = 0;
	connect_policy(world);
	while (failed.sequence++ < FAILED_N) {
		snprintf(failed.domain, sizeof(failed.domain),
		    "d%u.a.example", (unsigned)failed.sequence);
		if (wire_port_send(&world->policy, R_FAILED, &failed, NULL,
		    wire_now_ms()) == -1)
			break;
		if (failed.sequence % 20 == 0)
			loop_turn(world->loop, false);
	}
	return 1;
}

static void
test_full_disk_failed(void **state)
{
	struct world *world = make_world(NULL);
	uint64_t succeeded, failed;
	unsigned links = 0, i;
	char domain[32];

	(void)state;
	start_life(world);
	play(world);
	disk_full = true;
	refused_writes = 0;
	world->policy_needed = 1;
	for (i = 0; i < 400; i++) {
		links += tell_failed(world);
		pass_s(i % 10 == 0);
		loop_turn(world->loop, false);
	}
	/* 40 s: a fresh link for every five of them */
	assert_in_range(links, 3, 12);
	assert_true(refused_writes < 1000);
	disk_full = false;
	for (i = 0; i < 200; i++) {
		tell_failed(world);
		pass_s(i % 10 == 0);
		loop_turn(world->loop, false);
	}
	for (i = 1; i <= FAILED_N; i++) {
		snprintf(domain, sizeof(domain), "d%u.a.example", i);
		book_totals(world->book, (uint32_t)(loop_wall_s() / DAY_S),
		    domain, &succeeded, &failed);
		assert_int_equal(failed, 1);
	}
	free_world(&world);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "T36 killed at each step: one mail, one post, or the same "
		    "post after a lost answer", test_killed, NULL, NULL,
		    NULL },
		{ "a full disk at each step: nothing leaves twice",
		    test_full_disk, NULL, NULL, NULL },
		{ "a full disk: failed fetches are told again, in peace, and "
		    "count once", test_full_disk_failed, NULL, NULL, NULL },
	};

	log_is_shown = getenv("SHOW_LOG") != NULL;
	if (getenv("ONLY") != NULL)
		cmocka_set_test_filter(getenv("ONLY"));
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
