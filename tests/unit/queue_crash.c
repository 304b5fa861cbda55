/*
 * The queue when things break: killed at any moment, the disk full, the store
 * failing.  What was acknowledged is there, what was settled is gone.
 */
#include "queue_fixture.h"

#include <poll.h>
#include <sys/wait.h>

/* ---- a disk that is full when it is told to be ---- */

static bool disk_full;
static unsigned refused_writes;

/* Counts down to 0, then 2 fail: the library tries a write once more. */
static unsigned nth_write, failing;

static bool
is_refused(int fd)
{
	struct stat status;

	if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
		return false;
	if (nth_write > 0 && --nth_write == 0)
		failing = 2;
	if (!disk_full && failing == 0)
		return false;
	failing -= failing > 0;
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

/* ---- a program that dies right before it says something ---- */

static unsigned die_before;	/* kind of message; 0: it lives */

/* Does a packet hold such a message?  Those of a turn may share one. */
static bool
packet_holds(const uint8_t *octets, size_t len, unsigned kind)
{
	union {
		struct q_rcpt_answer	answer;
		struct q_refused	refused;
		struct q_key		key;
	} room;
	size_t taken;

	for (; len > 0; octets += taken, len -= taken) {
		const struct wire_message *row = wire_find(&intake_wire,
		    wire_kind(octets, len));

		if (wire_kind(octets, len) == kind)
			return true;
		if (row == NULL || row->size > sizeof(room))
			return false;
		taken = wire_decode_first(row, octets, len, &room);
		if (taken == 0)
			return false;
	}
	return false;
}

/* Instead of libc's, for links. */
ssize_t
sendmsg(int fd, const struct msghdr *message, int flags)
{
	if (die_before != 0 && message->msg_iovlen > 0 && packet_holds(
	    message->msg_iov[0].iov_base, message->msg_iov[0].iov_len,
	    die_before))
		kill(getpid(), SIGKILL);
	return syscall(SYS_sendmsg, fd, message, flags);
}

/* ---- a device that fails when it is told to ---- */

static unsigned nth_flush;	/* counts down; it and all further fail */
static bool flush_fails;

static bool
is_failed(void)
{
	if (nth_flush > 0 && --nth_flush == 0)
		flush_fails = true;
	if (flush_fails)
		errno = EIO;
	return flush_fails;
}

int
fdatasync(int fd)
{
	return is_failed() ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int
fsync(int fd)
{
	return is_failed() ? -1 : (int)syscall(SYS_fsync, fd);
}

static void
a_full_disk_refuses(void **state)
{
	static const char *const one[] = { "b@far.example", NULL };
	static const size_t sizes[] = { 40, 40000, 300000 };
	struct world *world = new_world(NULL, 0);

	(void)state;
	turns(world);
	for (size_t i = 0; i < COUNT(sizes); i++) {
		struct buffer body = { NULL, 0, 0 };
		const struct q_refused *refused;
		const void *message;
		unsigned kind;
		uint64_t id;
		int fd;

		while (body.len < sizes[i])
			buffer_add(&body, SLICE("1234567890"));
		id = open_message(world, "a@near.example", sizes[i]);
		add_recipient(world, id, 0, one[0]);
		fd = ask_data(world, id);
		expect(world, &world->smtpd, Q_GO);
		disk_full = true;
		signal(SIGPIPE, SIG_IGN);
		/* a large body is refused in the middle */
		for (size_t sent = 0; sent < sizes[i];) {
			ssize_t n = write(fd, body.text + sent,
			    sizes[i] - sent);

			if (n == -1 && errno == EPIPE)
				break;
			sent += n > 0 ? (size_t)n : 0;
			loop_turn(world->loop, false);
		}
		close(fd);
		say_end(world, id, sizes[i], false);
		kind = hear_within(world, &world->smtpd, &message, NULL,
		    ANSWER_MS);
		assert_int_equal(kind, Q_REFUSED);
		refused = message;
		assert_true(refused->code == 451 || refused->code == 452);
		disk_full = false;
		assert_true(refused_writes > 0);
		assert_int_equal(count_messages(world), 0);
		assert_false(logged("accept id="));
		buffer_free(&body);
	}
	/* and goes on when there is room */
	take_message(world, "a@near.example", "b@far.example");
	stop_queue(world);
	start_queue(world);
	turns(world);
	assert_int_equal(count_messages(world), 1);
	assert_int_equal(count_body_files(world), 0);
	end_world(&world);
}

/* Only the transactions of the lost turn hear of it. */
static void
a_lost_turn_is_its_own(void **state)
{
	struct world *world = new_world(NULL, 0);
	uint64_t small, other;
	int fd, other_fd;

	(void)state;
	turns(world);
	other = open_message(world, "a@near.example", 100);
	add_recipient(world, other, 0, "c@far.example");
	other_fd = ask_data(world, other);
	expect(world, &world->smtpd, Q_GO);
	small = open_message(world, "a@near.example", 100);
	add_recipient(world, small, 0, "b@far.example");
	fd = ask_data(world, small);
	expect(world, &world->smtpd, Q_GO);
	write_body(world, fd, SMALL, sizeof(SMALL) - 1);
	close(fd);
	disk_full = true;
	say_end(world, small, sizeof(SMALL) - 1, false);
	expect(world, &world->smtpd, Q_REFUSED);
	disk_full = false;
	write_body(world, other_fd, SMALL, sizeof(SMALL) - 1);
	close(other_fd);
	say_end(world, other, sizeof(SMALL) - 1, false);
	expect(world, &world->smtpd, Q_TAKEN);
	assert_int_equal(count_messages(world), 1);
	end_world(&world);
}

/* A result that could not be written is kept and settled later. */
static void
results_wait_for_the_disk(void **state)
{
	struct world *world = new_world(NULL, 0);
	struct d_job job;
	uint64_t id;

	(void)state;
	say_synced(world);
	id = take_message(world, "a@near.example", "b@far.example");
	job = draw(world, "far.example");
	disk_full = true;
	refused_writes = 0;
	say_result(world, &job, "b@far.example", OUTCOME_FAILED, 550, "5.1.1",
	    "550 no");
	say_ended(world, job.destination, 0, "", "");
	expect_nothing(world, &world->delivery, 1300);
	assert_int_equal(count_recipients(world, id), 1);
	assert_false(logged("attempt id="));
	/* not in a hot loop */
	assert_in_range(refused_writes, 1, 100);
	disk_full = false;
	expect_settled(world, 1);
	assert_int_equal(count_recipients(world, id), 0);
	assert_int_equal(times_logged("attempt id="), 1);
	assert_int_equal(times_logged("bounce id="), 1);
	assert_int_equal(deliver_all(world, "near.example"), 1);
	assert_empty(world);
	end_world(&world);
}

/*
 * One write fails, whichever: each message is taken or refused, and what was
 * taken leaves the queue exactly once.
 */
static void
any_one_write_fails(void **state)
{
	static const char *const one[] = { "b@far.example", NULL };
	unsigned refused = 0;

	(void)state;
	for (unsigned n = 1; n <= 25; n++) {
		struct world *world = new_world(NULL, 0);
		unsigned taken = 0;

		turns(world);
		nth_write = n;
		for (int i = 0; i < 6; i++) {
			const void *message;
			unsigned kind;

			begin_message(world, "", one, SLICE(SMALL), 0,
			    false);
			kind = hear_within(world, &world->smtpd, &message,
			    NULL, ANSWER_MS);
			assert_true(kind == Q_TAKEN || kind == Q_REFUSED);
			taken += kind == Q_TAKEN;
			refused += kind == Q_REFUSED;
		}
		nth_write = failing = 0;
		assert_int_equal(count_messages(world), taken);
		stop_queue(world);
		start_queue(world);
		assert_int_equal(count_messages(world), taken);
		say_synced(world);
		if (taken > 0)
			assert_int_equal(deliver_all(world, "far.example"),
			    taken);
		turns(world);
		assert_empty(world);
		end_world(&world);
	}
	assert_true(refused > 0);
}

/* ---- killed ---- */

/* The queue as a process of its own, on sockets that the test keeps. */
struct victim {
	pid_t			 pid;
	struct wire_port	 smtpd, delivery, reports, sign;
};

/* Its ends of them. */
struct ends {
	int	smtpd, delivery, reports, sign;
};

void	__lsan_disable(void) __attribute__((weak));

static void
run_victim(struct world *world, const struct ends *ends)
{
	char error[512];

	/* It ends in the middle: what it holds then is no leak. */
	if (__lsan_disable != NULL)
		__lsan_disable();
	world->loop = loop_new();
	world->spool = spool_open(world->dir, error, sizeof(error));
	if (world->spool == NULL)
		_exit(9);
	world->queue = turn_new(world->loop, world->spool, world->config);
	receive_serve(world->queue->receiver, ends->smtpd);
	dispatch_serve(world->queue->dispatch, ends->delivery);
	receive_serve_reports(world->queue->receiver, ends->reports);
	signer_serve(world->queue->signer, ends->sign);
	loop_run(world->loop);
	_exit(0);
}

/* A port of the test's; the victim's end. */
static int
open_end(struct wire_port *port, const struct wire_table *table)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    ends), 0);
	wire_port_open(port, ends[0], table);
	return ends[1];
}

static void
close_ports(struct victim *victim)
{
	wire_port_close(&victim->smtpd);
	wire_port_close(&victim->delivery);
	wire_port_close(&victim->reports);
	wire_port_close(&victim->sign);
}

static void
start_victim(struct world *world, struct victim *victim)
{
	struct ends ends = {
		open_end(&victim->smtpd, &intake_wire),
		open_end(&victim->delivery, &feed_wire),
		open_end(&victim->reports, &intake_wire),
		open_end(&victim->sign, &sign_wire)
	};

	victim->pid = fork();
	if (victim->pid == 0) {
		close(victim->smtpd.fd);
		close(victim->delivery.fd);
		close(victim->reports.fd);
		close(victim->sign.fd);
		run_victim(world, &ends);
	}
	close(ends.smtpd);
	close(ends.delivery);
	close(ends.reports);
	close(ends.sign);
}

static void
kill_victim(struct victim *victim)
{
	int status;

	kill(victim->pid, SIGKILL);
	waitpid(victim->pid, &status, 0);
	close_ports(victim);
}

/* What the test was promised. */
struct promise {
	uint64_t	id;
	bool		taken;
	bool		sent;		/* its result was said */
	bool		settled;
};

#define PROMISES_MAX	20000
static struct promise promises[PROMISES_MAX];
static size_t promises_n;

static struct promise *
promise_of(uint64_t id)
{
	for (size_t i = promises_n; i-- > 0;)
		if (promises[i].id == id)
			return &promises[i];
	return NULL;
}

/* One transaction without waiting for any answer. */
static bool
send_whole(struct wire_port *port, const struct q_open *open)
{
	static char body[70000];
	struct q_rcpt rcpt = { .id = open->id,
	    .recipient = "b@far.example" };
	struct q_data data = { open->id };
	struct q_end end = { .id = open->id,
	    .size_bytes = open->size_bytes };
	int64_t soon = wire_now_ms() + 200;
	bool sent;
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(syscall(SYS_write, ends[1], body,
	    open->size_bytes), open->size_bytes);
	close(ends[1]);
	sent = wire_port_send(port, Q_OPEN, open, NULL, soon) == 0 &&
	    wire_port_send(port, Q_RCPT, &rcpt, NULL, soon) == 0 &&
	    wire_port_send(port, Q_DATA, &data, ends, soon) == 0 &&
	    wire_port_send(port, Q_END, &end, NULL, soon) == 0;
	close(ends[0]);
	return sent;
}

static bool
send_message(struct victim *victim, size_t size)
{
	struct q_open open = { .id = queue_id_new(), .class = CLASS_MAIL,
	    .size_bytes = size, .sender = "" };
	bool sent = send_whole(&victim->smtpd, &open);

	if (sent)
		promises[promises_n++] = (struct promise){ .id = open.id };
	return sent;
}

/* What smtpd hears: only Q_TAKEN matters. */
static void
hear_smtpd(struct victim *victim)
{
	const void *message;
	int fds[WIRE_FDS_MAX], kind;

	while ((kind = wire_port_receive(&victim->smtpd, &message, fds,
	    wire_now_ms())) > 0)
		if (kind == Q_TAKEN)
			promise_of(*(const uint64_t *)message)->taken = true;
}

struct sender {
	uint64_t	sequence;
	uint64_t	of[PROMISES_MAX];	/* message by sequence */
	struct d_job	job;
};

static void
answer_delivery(struct victim *victim, struct sender *sender, unsigned kind,
    const void *message)
{
	struct d_next next = { .session = 1, .has_8bitmime = true };
	struct d_result result = { .outcome = OUTCOME_DELIVERED, .code = 250 };
	const struct d_settled *settled = message;
	int64_t soon = wire_now_ms() + 200;

	if (kind == D_DUE) {
		next.destination = ((const struct d_due *)message)->
		    destination;
		wire_port_send(&victim->delivery, D_NEXT, &next, NULL, soon);
	} else if (kind == D_JOB) {
		sender->job = *(const struct d_job *)message;
	} else if (kind == D_RCPT) {
		result.sequence = ++sender->sequence;
		result.job = sender->job.job;
		result.message = sender->job.message;
		result.destination = next.destination =
		    sender->job.destination;
		set_text(result.recipient, sizeof(result.recipient),
		    ((const struct d_rcpt *)message)->recipient);
		sender->of[result.sequence] = result.message;
		promise_of(result.message)->sent = true;
		wire_port_send(&victim->delivery, D_RESULT, &result, NULL,
		    soon);
		wire_port_send(&victim->delivery, D_NEXT, &next, NULL, soon);
	} else if (kind == D_NONE) {
		struct d_ended ended = { .destination =
		    ((const struct d_none *)message)->destination };

		wire_port_send(&victim->delivery, D_ENDED, &ended, NULL,
		    soon);
	} else if (kind == D_SETTLED) {
		for (uint64_t i = settled->sequence; i > 0; i--) {
			struct promise *promise = promise_of(sender->of[i]);

			if (promise->settled)
				break;
			promise->settled = true;
		}
	}
}

static void
hear_delivery(struct victim *victim, struct sender *sender)
{
	const void *message;
	int fds[WIRE_FDS_MAX], kind;

	while ((kind = wire_port_receive(&victim->delivery, &message, fds,
	    wire_now_ms())) > 0)
		answer_delivery(victim, sender, (unsigned)kind, message);
}

static size_t
kept_promises(bool settled)
{
	size_t n = 0;

	for (size_t i = 0; i < promises_n; i++)
		n += settled ? promises[i].settled : promises[i].taken;
	return n;
}

/*
 * Load it until it has taken (or settled) so many more, and for some time
 * more, then kill it in the middle of it.
 */
static void
play_round(struct world *world, int ms, bool deliver)
{
	static struct sender sender;
	size_t wanted = kept_promises(deliver) + 5;
	struct victim victim;
	int64_t until, latest;

	memset(&sender, 0, sizeof(sender));
	start_victim(world, &victim);
	if (deliver)
		wire_port_send(&victim.delivery, D_SYNCED, NULL, NULL,
		    wire_now_ms() + 1000);
	until = loop_now_ms() + ms;
	latest = until + 20000;
	while ((loop_now_ms() < until || (kept_promises(deliver) < wanted &&
	    loop_now_ms() < latest)) && promises_n < PROMISES_MAX) {
		size_t size = 10 + promises_n * 7919 % 60000;

		/* While it recovers it reads nothing: that is no reason. */
		send_message(&victim, size);
		hear_smtpd(&victim);
		if (deliver)
			hear_delivery(&victim, &sender);
	}
	kill(victim.pid, SIGKILL);
	hear_smtpd(&victim);
	hear_delivery(&victim, &sender);
	kill_victim(&victim);
}

/* Look with our own eyes. */
static void
check_promises(struct world *world)
{
	char error[512];
	struct spool *spool = spool_open(world->dir, error, sizeof(error));
	assert_non_null(spool);
	for (size_t i = 0; i < promises_n; i++) {
		const struct promise *promise = &promises[i];
		struct recipient recipient;
		struct message message;
		struct slice chunk;
		size_t octets = 0;
		bool there = spool_get_message(spool, promise->id, &message)
		    == STORE_FOUND;

		if (promise->taken && !promise->sent && !there)
			fail_msg("taken and lost: %zu", i);
		if (promise->settled && there)
			fail_msg("settled and there: %zu", i);
		if (!there)
			continue;
		/* what is there is whole */
		assert_int_equal(spool_get_recipient(spool, promise->id, 0,
		    &recipient), STORE_FOUND);
		for (uint32_t n = 0; n < message.chunks; n++) {
			assert_int_equal(spool_get_chunk(spool, promise->id,
			    n, &chunk), STORE_FOUND);
			octets += chunk.len;
		}
		assert_int_equal(octets, message.size_bytes);
	}
	spool_close(&spool);
}

/*
 * A flush fails: what is on disk nobody knows.  The program ends and has
 * acknowledged nothing of it.
 */
static void
a_failed_flush_ends_it(void **state)
{
	struct world *world = new_world(NULL, 0);

	(void)state;
	stop_queue(world);
	promises_n = 0;
	for (unsigned n = 1; n <= 6; n++) {
		struct victim victim;
		int status, waited = 0;

		nth_flush = n;		/* the victim inherits it */
		start_victim(world, &victim);
		nth_flush = 0;
		while (waited == 0) {
			send_message(&victim, 1000);
			hear_smtpd(&victim);
			usleep(2000);
			waited = waitpid(victim.pid, &status, WNOHANG);
		}
		hear_smtpd(&victim);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 0);
		close_ports(&victim);
		check_promises(world);
	}
	start_queue(world);
	turns(world);
	end_world(&world);
}

static void
killed_while_accepting(void **state)
{
	struct world *world = new_world(NULL, 0);

	(void)state;
	stop_queue(world);
	promises_n = 0;
	for (int round = 0; round < 8; round++) {
		play_round(world, 10 + round * 23 % 70, false);
		check_promises(world);
	}
	assert_true(kept_promises(false) >= 8 * 5);
	/* and starts again by itself, sweeping the rest */
	start_queue(world);
	turns(world);
	end_world(&world);
}

static void
killed_while_delivering(void **state)
{
	struct world *world = new_world(NULL, 0);

	(void)state;
	stop_queue(world);
	promises_n = 0;
	for (int round = 0; round < 8; round++) {
		play_round(world, 10 + round * 31 % 70, true);
		check_promises(world);
	}
	assert_true(kept_promises(true) >= 8 * 5);
	start_queue(world);
	turns(world);
	end_world(&world);
}

/* ---- keys ---- */

static uint64_t
send_report(struct victim *victim, unsigned key, size_t size)
{
	struct q_open open = { .id = queue_id_new(), .class = CLASS_REPORT,
	    .size_bytes = size, .sender = "tls-reports@our.example" };

	snprintf(open.key, sizeof(open.key), "day.%u", key);
	return send_whole(&victim->reports, &open) ? open.id : 0;
}

/* Does it say Q_TAKEN for this before it dies or the time is over? */
static bool
is_taken(struct victim *victim, uint64_t id)
{
	const void *message;
	int fds[WIRE_FDS_MAX], kind;

	while ((kind = wire_port_receive(&victim->reports, &message, fds,
	    wire_now_ms() + ANSWER_MS)) > 0)
		if (kind == Q_TAKEN && *(const uint64_t *)message == id)
			return true;
	return false;
}

static unsigned
messages_on_disk(struct world *world)
{
	char error[512];
	unsigned n;

	world->spool = spool_open(world->dir, error, sizeof(error));
	assert_non_null(world->spool);
	n = count_messages(world);
	spool_close(&world->spool);
	return n;
}

/*
 * It is durable, and the program dies before it says so: sent again it is
 * taken, and there once.
 */
static void
killed_before_it_says_taken(void **state)
{
	static const size_t sizes[] = { 10, 40000, 65536 };
	struct world *world = new_world(NULL, 0);

	(void)state;
	stop_queue(world);
	for (unsigned i = 0; i < COUNT(sizes); i++) {
		struct victim victim;

		die_before = Q_TAKEN;	/* the victim inherits it */
		start_victim(world, &victim);
		die_before = 0;
		assert_false(is_taken(&victim, send_report(&victim, i,
		    sizes[i])));
		kill_victim(&victim);
		assert_int_equal(messages_on_disk(world), i + 1);
		start_victim(world, &victim);
		assert_true(is_taken(&victim, send_report(&victim, i,
		    sizes[i])));
		kill_victim(&victim);
		assert_int_equal(messages_on_disk(world), i + 1);
	}
	start_queue(world);
	turns(world);
	end_world(&world);
}

/* Each key is sent until it is taken, by a queue that is killed all along. */
static void
killed_while_keys_come(void **state)
{
	struct world *world = new_world(NULL, 0);
	unsigned key = 0, kills = 0;

	(void)state;
	stop_queue(world);
	while (kills < 12) {
		struct victim victim;
		int64_t until;
		bool alive = true;

		start_victim(world, &victim);
		until = loop_now_ms() + 20 + kills * 17 % 60;
		while (alive) {
			uint64_t id = send_report(&victim, key,
			    10 + key * 7919 % 60000);

			/* In the middle of this one. */
			if (loop_now_ms() > until && key >= kills) {
				usleep(kills * 997 % 3000);
				kill(victim.pid, SIGKILL);
			}
			alive = is_taken(&victim, id) &&
			    loop_now_ms() <= until;
			key += alive;
		}
		kill_victim(&victim);
		kills++;
	}
	assert_in_range(messages_on_disk(world), key, key + 1);
	start_queue(world);
	turns(world);
	end_world(&world);
}

/* The signature cannot be written: it is written later, and asked once. */
static void
a_signature_waits_for_the_disk(void **state)
{
	struct world *world = new_world(NULL, 0);
	struct message message;
	uint64_t id;

	(void)state;
	say_synced(world);
	connect_sign(world);
	id = take_report(world, "k", "b@far.example");
	expect_sign(world, NULL);
	disk_full = true;
	refused_writes = 0;
	answer_sign(world, id, NULL);
	expect_nothing(world, &world->delivery, 1300);
	assert_in_range(refused_writes, 1, 100);
	spool_get_message(world->spool, id, &message);
	assert_true(message.needs_signature);
	disk_full = false;
	assert_int_equal(deliver_all(world, "far.example"), 1);
	expect_nothing(world, &world->sign, 20);
	assert_empty(world);
	end_world(&world);
}

/* A second owner of the spool is refused while there is a first. */
static void
one_owner(void **state)
{
	struct world *world = new_world(NULL, 0);
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	if (pid == 0) {
		char error[512];

		_exit(spool_open(world->dir, error, sizeof(error)) == NULL &&
		    strstr(error, "in use by process") != NULL ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	end_world(&world);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "SMTP-6.1-1, SMTP-4.2.5-1 a full disk refuses and keeps "
		    "nothing", a_full_disk_refuses, NULL, NULL, NULL },
		{ "only the transactions of a lost turn are refused",
		    a_lost_turn_is_its_own, NULL, NULL, NULL },
		{ "results wait for the disk and are told once",
		    results_wait_for_the_disk, NULL, NULL, NULL },
		{ "SMTP-6.1-1 one write fails, whichever: taken is delivered "
		    "once, refused is not there", any_one_write_fails, NULL,
		    NULL, NULL },
		{ "SMTP-6.1-1 a failed flush ends the program, and "
		    "acknowledges nothing", a_failed_flush_ends_it, NULL,
		    NULL, NULL },
		{ "SMTP-2.1-1, SMTP-6.1-1 killed while accepting: what was "
		    "taken is there, whole", killed_while_accepting, NULL,
		    NULL, NULL },
		{ "SMTP-6.1-1 killed while delivering: settled is gone, the "
		    "rest is there", killed_while_delivering, NULL, NULL,
		    NULL },
		{ "T36 killed between taking a report and saying so: sent "
		    "again it is there once", killed_before_it_says_taken,
		    NULL, NULL, NULL },
		{ "T36 killed while reports come: each key once",
		    killed_while_keys_come, NULL, NULL, NULL },
		{ "a signature waits for the disk and is asked for once",
		    a_signature_waits_for_the_disk, NULL, NULL, NULL },
		{ "the spool has one owner", one_owner, NULL, NULL, NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("queue_crash", tests, NULL, NULL);
}
