/*
 * A queue between an smtpd and a delivery that the test plays (and, where it
 * wants them, a reports and a sign): the real modules on a real store in a
 * folder of its own, socketpairs, and a wall clock that jumps when it is told
 * to.
 *
 * Header of the queue_*.c programs; each is one process with one loop.
 */
#ifndef CULVER_QUEUE_FIXTURE_H
#define CULVER_QUEUE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conf/log.h"
#include "conf/parent.h"
#include "queue/turn.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))
#define SETTINGS_MAX	8
#define ANSWER_MS	5000
#define NAME_IN_BODIES	"bodies/"

/* ---- a wall clock of our own ---- */

static int64_t clock_offset_s;		/* so much time has passed */
static int64_t wall_offset_s;		/* the wall clock was set */
static int64_t uptime_offset_s;		/* of timers */

/* Instead of libc's, for everything linked into this program. */
int
clock_gettime(clockid_t clock, struct timespec *now)
{
	long result = syscall(SYS_clock_gettime, clock, now);

	now->tv_sec += clock == CLOCK_REALTIME || clock == CLOCK_BOOTTIME ?
	    clock_offset_s : uptime_offset_s;
	if (clock == CLOCK_REALTIME)
		now->tv_sec += wall_offset_s;
	return (int)result;
}

/* ---- the log ---- */

static struct buffer log_text;

static inline void
keep_line(void *unused, enum log_level level, const char *line)
{
	(void)unused;
	(void)level;
	buffer_printf(&log_text, "%s\n", line);
}

static inline bool
logged(const char *text)
{
	return log_text.text != NULL && strstr(log_text.text, text) != NULL;
}

static inline unsigned
times_logged(const char *text)
{
	const char *at = log_text.text;
	unsigned n = 0;

	while (at != NULL && (at = strstr(at, text)) != NULL) {
		at += strlen(text);
		n++;
	}
	return n;
}

static inline void
assert_logged(const char *text)
{
	if (!logged(text))
		fail_msg("not logged: %s\nbut:\n%s", text,
		    log_text.text != NULL ? log_text.text : "");
}

static inline void
set_text(char *to, size_t size, const char *from)
{
	if (!slice_store(slice_of(from), to, size))
		fail_msg("%s is too long", from);
}

/* ---- the world ---- */

struct world {
	char			 dir[64];
	struct config		*config;
	struct loop		*loop;
	struct spool		*spool;
	struct queue		*queue;
	struct wire_port	 smtpd, delivery, reports, sign;
	bool			 has_smtpd, has_delivery;
	bool			 has_reports, has_sign;
	struct wire_port	*intake;	/* smtpd's or reports' */
	uint64_t		 sequence;
};

static inline int
remove_one_path(const char *path, const struct stat *status, int kind,
    struct FTW *ftw)
{
	(void)status;
	(void)kind;
	(void)ftw;
	return remove(path);
}

/*
 * The folder of the present world: a test that fails leaves the function that
 * would have removed it, and each holds a ballast of 48 MiB.
 */
static char present_dir[64];
static pid_t owner;

static inline void
remove_present(void)
{
	if (present_dir[0] != '\0' && getpid() == owner)
		nftw(present_dir, remove_one_path, 16, FTW_DEPTH | FTW_PHYS);
	present_dir[0] = '\0';
}

static inline struct config *
settings(char *const *overrides, size_t n)
{
	struct buffer error = { NULL, 0, 0 };
	char *all[SETTINGS_MAX + 4] = {
		(char[]){ "hostname=relay.our.example" },
		(char[]){ "local-domain=our.example relay.our.example" }
	};
	char none[] = "min-free=0K";
	size_t count = 2;
	struct config *config;
	bool min_free = false;

	for (size_t i = 0; i < n; i++) {
		all[count++] = overrides[i];
		min_free |= strncmp(overrides[i], "min-free", 8) == 0;
	}
	/* The disk of whoever runs the tests may be small. */
	if (!min_free)
		all[count++] = none;
	config = config_read("/dev/null", all, count, &error);
	if (config == NULL)
		fail_msg("%s", error.text);
	buffer_free(&error);
	return config;
}

/* Wire a fresh smtpd to the queue. */
static inline void
connect_smtpd(struct world *world)
{
	int ends[2];

	if (world->has_smtpd)
		wire_port_close(&world->smtpd);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    ends), 0);
	wire_port_open(&world->smtpd, ends[0], &intake_wire);
	receive_serve(world->queue->receiver, ends[1]);
	world->has_smtpd = true;
	world->intake = &world->smtpd;
}

/* Wire a fresh reports to the queue. */
static inline void
connect_reports(struct world *world)
{
	int ends[2];

	if (world->has_reports)
		wire_port_close(&world->reports);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    ends), 0);
	wire_port_open(&world->reports, ends[0], &intake_wire);
	receive_serve_reports(world->queue->receiver, ends[1]);
	world->has_reports = true;
}

/* culver-sign is gone. */
static inline void
close_sign(struct world *world)
{
	if (world->has_sign)
		wire_port_close(&world->sign);
	world->has_sign = false;
}

/* Wire a fresh sign to the queue. */
static inline void
connect_sign(struct world *world)
{
	int ends[2];

	close_sign(world);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    ends), 0);
	wire_port_open(&world->sign, ends[0], &sign_wire);
	signer_serve(world->queue->signer, ends[1]);
	world->has_sign = true;
}

/* Wire a fresh delivery; it says nothing yet. */
static inline void
connect_delivery(struct world *world)
{
	int ends[2];

	if (world->has_delivery)
		wire_port_close(&world->delivery);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    ends), 0);
	wire_port_open(&world->delivery, ends[0], &feed_wire);
	dispatch_serve(world->queue->dispatch, ends[1]);
	world->has_delivery = true;
	world->sequence = 0;
}

static inline void
start_queue(struct world *world)
{
	char error[512];

	world->loop = loop_new();
	world->spool = spool_open(world->dir, error, sizeof(error));
	if (world->spool == NULL)
		fail_msg("%s", error);
	world->queue = turn_new(world->loop, world->spool, world->config);
	connect_smtpd(world);
	connect_delivery(world);
	if (world->has_reports)
		connect_reports(world);
	if (world->has_sign)
		connect_sign(world);
	signer_hurry(world->queue->signer);
}

/* Three hundred transactions have nine hundred descriptors. */
static inline void
raise_limit(void)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static inline struct world *
new_world(char *const *overrides, size_t n)
{
	struct world *world = mem_alloc(sizeof(*world));
	const char *tmp = getenv("TMPDIR");

	raise_limit();
	clock_offset_s = wall_offset_s = 0;
	log_start("test");
	log_to(keep_line, NULL);
	/* What an earlier world said stands in this process. */
	parent_alarm("signing", false, "a new world");
	log_text.len = 0;
	if (log_text.text != NULL)
		log_text.text[0] = '\0';
	snprintf(world->dir, sizeof(world->dir), "%s/queueXXXXXX",
	    tmp != NULL && strlen(tmp) < 40 ? tmp : "/tmp");
	remove_present();
	if (owner == 0)
		atexit(remove_present);
	owner = getpid();
	assert_non_null(mkdtemp(world->dir));
	memcpy(present_dir, world->dir, sizeof(present_dir));
	world->config = settings(overrides, n);
	start_queue(world);
	return world;
}

static inline void
stop_queue(struct world *world)
{
	turn_free(&world->queue);
	spool_close(&world->spool);
	loop_free(&world->loop);
}

static inline void
end_world(struct world **pointer)
{
	struct world *world = *pointer;

	stop_queue(world);
	wire_port_close(&world->smtpd);
	wire_port_close(&world->delivery);
	if (world->has_reports)
		wire_port_close(&world->reports);
	close_sign(world);
	config_free(&world->config);
	remove_present();
	free(world);
	*pointer = NULL;
}

/* A few turns without waiting: all that was said is heard. */
static inline void
turns(struct world *world)
{
	for (int i = 0; i < 8; i++)
		loop_turn(world->loop, false);
}

/* Turns for as long as the test says. */
static inline void
turns_for(struct world *world, int ms)
{
	int64_t until = loop_now_ms() + ms;

	while (loop_now_ms() < until) {
		loop_turn(world->loop, false);
		usleep(1000);
	}
}

static inline void
say(struct wire_port *port, unsigned kind, const void *message)
{
	assert_int_equal(wire_port_send(port, kind, message, NULL,
	    wire_now_ms() + ANSWER_MS), 0);
}

/* The next message on a port, while the queue turns; 0: none in time. */
static inline unsigned
hear_within(struct world *world, struct wire_port *port, const void **message,
    int *fds, int ms)
{
	int64_t until = loop_now_ms() + ms;
	int none[WIRE_FDS_MAX];
	int kind;

	do {
		loop_turn(world->loop, false);
		kind = wire_port_receive(port, message, fds != NULL ? fds :
		    none, wire_now_ms());
		if (kind > 0)
			return (unsigned)kind;
		usleep(500);
	} while (loop_now_ms() < until);
	return 0;
}

/* The next message, which must be of that kind. */
static inline const void *
expect_fd(struct world *world, struct wire_port *port, unsigned kind, int *fds)
{
	const void *message = NULL;
	unsigned heard = hear_within(world, port, &message, fds, ANSWER_MS);

	if (heard != kind) {
		const struct wire_message *row = wire_find(port->table,
		    heard), *wanted = wire_find(port->table, kind);

		fail_msg("%s instead of %s\n%s", row != NULL ? row->name :
		    "nothing", wanted->name, log_text.text);
	}
	return message;
}

static inline const void *
expect(struct world *world, struct wire_port *port, unsigned kind)
{
	return expect_fd(world, port, kind, NULL);
}

static inline void
expect_nothing(struct world *world, struct wire_port *port, int ms)
{
	const void *message;
	unsigned heard = hear_within(world, port, &message, NULL, ms);

	if (heard != 0)
		fail_msg("%s instead of nothing",
		    wire_find(port->table, heard)->name);
}

/* ---- smtpd's part ---- */

static inline uint64_t
open_message(struct world *world, const char *sender, uint64_t size)
{
	struct q_open open = { .id = queue_id_new(), .size_bytes = size,
	    .class = CLASS_MAIL, .client = "192.0.2.7", .proto = "ESMTP" };

	set_text(open.sender, sizeof(open.sender), sender);
	say(&world->smtpd, Q_OPEN, &open);
	return open.id;
}

static inline void
add_recipient(struct world *world, uint64_t id, uint32_t number,
    const char *address)
{
	struct q_rcpt rcpt = { .id = id, .number = number };
	const struct q_rcpt_answer *answer;

	set_text(rcpt.recipient, sizeof(rcpt.recipient), address);
	say(world->intake, Q_RCPT, &rcpt);
	answer = expect(world, world->intake, Q_RCPT_ANSWER);
	assert_int_equal(answer->number, number);
	assert_int_equal(answer->code, 250);
}

/* Ask for DATA; the write end of the pipe. */
static inline int
ask_data(struct world *world, uint64_t id)
{
	struct q_data data = { id };
	int ends[2];

	loop_turn(world->loop, false);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(wire_port_send(world->intake, Q_DATA, &data, ends,
	    wire_now_ms() + ANSWER_MS), 0);
	close(ends[0]);
	return ends[1];
}

/* Write while the queue reads. */
static inline void
write_body(struct world *world, int fd, const char *octets, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, octets, len);

		if (n == -1 && errno != EAGAIN)
			fail_msg("pipe: %s", strerror(errno));
		if (n > 0) {
			octets += n;
			len -= (size_t)n;
		}
		loop_turn(world->loop, false);
		if (n == -1)
			usleep(1000);
	}
}

static inline void
say_end(struct world *world, uint64_t id, size_t size, bool eight_bit)
{
	struct q_end end = { .id = id, .size_bytes = size,
	    .eight_bit = eight_bit, .msgid = "<m@example>" };

	say(world->intake, Q_END, &end);
}

/* The same of a message with "TLS-Required: No". */
static inline void
say_end_optional(struct world *world, uint64_t id, size_t size)
{
	struct q_end end = { .id = id, .size_bytes = size,
	    .tls_optional = true, .msgid = "<m@example>" };

	say(world->intake, Q_END, &end);
}

/* A whole transaction up to Q_END; recipients end with NULL. */
static inline uint64_t
begin_message(struct world *world, const char *sender,
    const char *const *recipients, struct slice body, uint64_t announced,
    bool eight_bit)
{
	uint64_t id = open_message(world, sender, announced);
	int fd;

	for (uint32_t i = 0; recipients[i] != NULL; i++)
		add_recipient(world, id, i, recipients[i]);
	fd = ask_data(world, id);
	expect(world, &world->smtpd, Q_GO);
	write_body(world, fd, body.at, body.len);
	close(fd);
	say_end(world, id, body.len, eight_bit);
	return id;
}

#define SMALL	"From: a@far.example\r\nSubject: x\r\n\r\nbody\r\n"

/* A small message to one recipient, taken. */
static inline uint64_t
take_message(struct world *world, const char *sender, const char *recipient)
{
	const char *const recipients[] = { recipient, NULL };
	uint64_t id = begin_message(world, sender, recipients, SLICE(SMALL),
	    sizeof(SMALL) - 1, false);
	const struct q_id *taken = expect(world, &world->smtpd, Q_TAKEN);

	assert_int_equal(taken->id, id);
	return id;
}

/* ---- reports' and sign's part ---- */

#define REPORT	"From: tls-reports@our.example\r\nSubject: r\r\n\r\nr\r\n"
#define SIGNED	"DKIM-Signature: v=1; d=our.example; b=AAAA\r\n"

/* A report up to Q_DATA; the write end of its pipe. */
static inline int
open_report(struct world *world, const char *key, const char *recipient,
    uint64_t *id)
{
	struct q_open report = { .id = queue_id_new(), .class = CLASS_REPORT,
	    .sender = "tls-reports@our.example", .proto = "local" };
	int fd;

	if (!world->has_reports)
		connect_reports(world);
	world->intake = &world->reports;
	*id = report.id;
	set_text(report.key, sizeof(report.key), key);
	say(&world->reports, Q_OPEN, &report);
	add_recipient(world, report.id, 0, recipient);
	fd = ask_data(world, report.id);
	world->intake = &world->smtpd;
	return fd;
}

static inline void
end_report(struct world *world, uint64_t id, int fd, struct slice body)
{
	expect(world, &world->reports, Q_GO);
	write_body(world, fd, body.at, body.len);
	close(fd);
	world->intake = &world->reports;
	say_end(world, id, body.len, false);
	world->intake = &world->smtpd;
}

/* A report, taken and not yet signed. */
static inline uint64_t
take_report(struct world *world, const char *key, const char *recipient)
{
	const struct q_id *taken;
	uint64_t id;
	int fd = open_report(world, key, recipient, &id);

	end_report(world, id, fd, SLICE(REPORT));
	taken = expect(world, &world->reports, Q_TAKEN);
	assert_int_equal(taken->id, id);
	return id;
}

static inline struct q_key
ask_key(struct world *world, const char *key)
{
	struct q_ask_key ask = { .key = "" };
	struct q_key answer;

	set_text(ask.key, sizeof(ask.key), key);
	say(&world->reports, Q_ASK_KEY, &ask);
	answer = *(const struct q_key *)expect(world, &world->reports, Q_KEY);
	assert_string_equal(answer.key, key);
	return answer;
}

static inline void
assert_key(struct world *world, const char *key, enum key_state state)
{
	assert_int_equal(ask_key(world, key).state, state);
}

/* The next question, and the octets that came with it. */
static inline struct s_sign
expect_sign(struct world *world, struct buffer *octets)
{
	int fds[WIRE_FDS_MAX];
	struct s_sign sign = *(const struct s_sign *)expect_fd(world,
	    &world->sign, S_SIGN, fds);
	char part[65536];
	ssize_t n;

	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	while ((n = read(fds[0], part, sizeof(part))) != 0) {
		if (n > 0 && octets != NULL)
			buffer_add(octets, (struct slice){ part,
			    (size_t)n });
		if (n == -1)
			usleep(500);
		loop_turn(world->loop, false);
	}
	close(fds[0]);
	return sign;
}

/* error NULL: signed. */
static inline void
answer_sign(struct world *world, uint64_t id, const char *error)
{
	static struct s_header header;

	memset(&header, 0, sizeof(header));
	header.id = id;
	header.done = error == NULL;
	if (error != NULL) {
		set_text(header.error, sizeof(header.error), error);
	} else {
		header.header_len = sizeof(SIGNED) - 1;
		memcpy(header.header, SIGNED, header.header_len);
	}
	say(&world->sign, S_HEADER, &header);
}

/* A report, taken and signed. */
static inline uint64_t
take_signed_report(struct world *world, const char *key,
    const char *recipient)
{
	uint64_t id = take_report(world, key, recipient);

	if (!world->has_sign)
		connect_sign(world);
	assert_int_equal(expect_sign(world, NULL).id, id);
	answer_sign(world, id, NULL);
	return id;
}

/* ---- delivery's part ---- */

static inline void
say_synced(struct world *world)
{
	say(&world->delivery, D_SYNCED, NULL);
}

static inline struct d_due
expect_due(struct world *world, const char *domain)
{
	const struct d_due *due = expect(world, &world->delivery, D_DUE);

	assert_string_equal(due->domain, domain);
	return *due;
}

static inline void
ask_next(struct world *world, uint64_t destination, uint64_t session)
{
	struct d_next next = { .destination = destination, .session = session,
	    .has_8bitmime = true, .has_size = true };

	say(&world->delivery, D_NEXT, &next);
}

/* A job and its recipients; addresses has room for 100. */
static inline struct d_job
expect_job(struct world *world, char addresses[][MAILBOX_TEXT_MAX])
{
	const struct d_job *heard = expect(world, &world->delivery, D_JOB);
	struct d_job job = *heard;

	for (uint32_t i = 0; i < job.recipients; i++) {
		const struct d_rcpt *rcpt = expect(world, &world->delivery,
		    D_RCPT);

		assert_int_equal(rcpt->job, job.job);
		assert_int_equal(rcpt->number, i);
		if (addresses != NULL)
			memcpy(addresses[i], rcpt->recipient,
			    sizeof(rcpt->recipient));
	}
	return job;
}

/* All octets of a job's body, ended; announced is what D_PIPE said. */
static inline struct buffer
pull_octets(struct world *world, uint64_t job, uint64_t *announced)
{
	struct buffer body = { NULL, 0, 0 };
	struct d_body ask = { job };
	const struct d_pipe *pipe;
	int fds[WIRE_FDS_MAX], fd;
	char part[65536];
	ssize_t n;

	say(&world->delivery, D_BODY, &ask);
	pipe = expect_fd(world, &world->delivery, D_PIPE, fds);
	assert_int_equal(pipe->job, job);
	*announced = pipe->size_bytes;
	fd = fds[0];
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	while ((n = read(fd, part, sizeof(part))) != 0) {
		if (n > 0)
			buffer_add(&body, (struct slice){ part, (size_t)n });
		loop_turn(world->loop, false);
		if (n == -1)
			usleep(500);
	}
	close(fd);
	return body;
}

/* A result for one recipient of a job; not waited for. */
static inline uint64_t
say_result(struct world *world, const struct d_job *job, const char *recipient,
    enum outcome outcome, uint32_t code, const char *enhanced,
    const char *reply)
{
	struct d_result result = { .sequence = ++world->sequence,
	    .job = job->job, .message = job->message,
	    .session = job->session, .destination = job->destination,
	    .outcome = outcome, .code = code, .host = "mx.far.example",
	    .address = "192.0.2.25" };

	set_text(result.recipient, sizeof(result.recipient), recipient);
	set_text(result.enhanced, sizeof(result.enhanced), enhanced);
	set_text(result.reply, sizeof(result.reply), reply);
	say(&world->delivery, D_RESULT, &result);
	return result.sequence;
}

static inline void
expect_settled(struct world *world, uint64_t sequence)
{
	const struct d_settled *settled = expect(world, &world->delivery,
	    D_SETTLED);

	assert_int_equal(settled->sequence, sequence);
}

static inline void
say_ended(struct world *world, uint64_t destination, uint32_t outcome,
    const char *enhanced, const char *text)
{
	struct d_ended ended = { .destination = destination,
	    .outcome = outcome, .clause = "RFC 8461 5", .rule = "sts",
	    .repair = "renew the certificate" };

	set_text(ended.enhanced, sizeof(ended.enhanced), enhanced);
	set_text(ended.text, sizeof(ended.text), text);
	say(&world->delivery, D_ENDED, &ended);
}

static inline struct d_job
draw(struct world *world, const char *domain)
{
	struct d_due due = expect_due(world, domain);

	ask_next(world, due.destination, 1);
	return expect_job(world, NULL);
}

/* The results of a job may be settled in several turns. */
static inline void
settle_all(struct world *world)
{
	const struct d_settled *settled;

	do
		settled = expect(world, &world->delivery, D_SETTLED);
	while (settled->sequence != world->sequence);
}

/* Serve a destination until nothing is left: all is delivered. */
static inline unsigned
deliver_all(struct world *world, const char *domain)
{
	static char addresses[100][MAILBOX_TEXT_MAX];
	struct d_due due = expect_due(world, domain);
	unsigned n = 0;

	for (;;) {
		const void *message;
		struct d_job job;
		unsigned kind;

		ask_next(world, due.destination, 1);
		kind = hear_within(world, &world->delivery, &message, NULL,
		    ANSWER_MS);
		if (kind == D_NONE)
			break;
		assert_int_equal(kind, D_JOB);
		job = *(const struct d_job *)message;
		for (uint32_t i = 0; i < job.recipients; i++) {
			const struct d_rcpt *rcpt = expect(world,
			    &world->delivery, D_RCPT);

			memcpy(addresses[i], rcpt->recipient,
			    sizeof(addresses[i]));
		}
		for (uint32_t i = 0; i < job.recipients; i++, n++)
			say_result(world, &job, addresses[i],
			    OUTCOME_DELIVERED, 250, "2.0.0", "250 ok");
		settle_all(world);
	}
	say_ended(world, due.destination, 0, "", "");
	turns(world);
	return n;
}

/* ---- what is on disk ---- */

static inline unsigned
count_messages(struct world *world)
{
	struct message message = { .id = 0 };
	unsigned n = 0;

	while (spool_next_message(world->spool, message.id, &message) ==
	    STORE_FOUND)
		n++;
	return n;
}

static inline unsigned
count_recipients(struct world *world, uint64_t id)
{
	struct recipient recipient = { .number = 0 };
	unsigned n = 0;

	while (spool_next_recipient(world->spool, id, n == 0 ? 0 :
	    recipient.number + 1, &recipient) == STORE_FOUND)
		n++;
	return n;
}

static inline unsigned
count_body_files(struct world *world)
{
	char command[128], line[32] = "0";
	FILE *out;

	snprintf(command, sizeof(command), "ls %s/" NAME_IN_BODIES " | wc -l",
	    world->dir);
	out = popen(command, "r");
	assert_non_null(out);
	assert_non_null(fgets(line, sizeof(line), out));
	pclose(out);
	return (unsigned)atoi(line);
}

/* Is the queue as if nothing had ever come: no row and no file left? */
static inline void
assert_empty(struct world *world)
{
	struct due due = { .destination = 0 };
	struct soon soon = { 0, 0 };
	uint64_t id = 0;

	assert_int_equal(count_messages(world), 0);
	assert_false(spool_next_soon(world->spool, &soon, &soon));
	assert_false(spool_next_intake(world->spool, 0, &id));
	assert_false(spool_next_unsigned(world->spool, 0, &id));
	assert_int_equal(count_body_files(world), 0);
	(void)due;
}

#endif
