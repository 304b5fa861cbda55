/*
 * A life of reports between a policy, a queue and a fetch that the test
 * plays: the real modules on a real book in a folder of its own, three
 * socketpairs, and both clocks in the test's hand.
 *
 * Header of the life*.c programs; each is one process with one loop, or
 * (life_crash.c) a child that is killed and its parent, who plays.
 */
#ifndef CULVER_LIFE_FIXTURE_H
#define CULVER_LIFE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conf/log.h"
#include "conf/parent.h"
#include "policy/policy.h"
#include "queue/queue.h"
#include "reports/life.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))
#define DAY		20000u		/* the first day counted; 2024-10-04 */
#define KEYS_MAX	64
#define POSTS_MAX	64
#define RECORDS_MAX	24
#define COMING_MAX	16

/* ---- clocks of our own, shared with a child ---- */

static struct shared {
	int64_t	wall_s;		/* added to the wall clock */
	int64_t	ms;		/* added to both */
	bool	ready;		/* the child serves */
	uint64_t turns;		/* that it made */
} *shared;

static inline void
add_ms(struct timespec *time, int64_t ms)
{
	int64_t ns = time->tv_nsec + ms % 1000 * 1000000;

	time->tv_sec += ms / 1000 + ns / 1000000000;
	time->tv_nsec = ns % 1000000000;
}

/* Instead of libc's, for everything linked into this program. */
int
clock_gettime(clockid_t clock, struct timespec *now)
{
	long result = syscall(SYS_clock_gettime, clock, now);

	if (shared == NULL)
		return (int)result;
	if (clock == CLOCK_REALTIME)
		now->tv_sec += shared->wall_s;
	if (clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC ||
	    clock == CLOCK_MONOTONIC_COARSE || clock == CLOCK_BOOTTIME)
		add_ms(now, shared->ms);
	return (int)result;
}

time_t
time(time_t *at)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (at != NULL)
		*at = now.tv_sec;
	return now.tv_sec;
}

/* The wall clock is set: no time passes, and it is that second. */
static inline void
set_wall(int64_t wall_s)
{
	shared->wall_s += wall_s - loop_wall_s();
}

static inline void
pass_s(int64_t s)
{
	shared->ms += s * 1000;
}

/* Time passes until that second. */
static inline void
go_to(int64_t wall_s)
{
	assert_true(wall_s >= loop_wall_s());
	pass_s(wall_s - loop_wall_s());
}

static inline int64_t
real_ms(void)
{
	struct timespec now;

	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- the log ---- */

static struct buffer log_text;
static bool log_is_shown;

static inline void
keep_line(void *unused, enum log_level level, const char *line)
{
	(void)unused;
	buffer_printf(&log_text, "%s%s\n", level == LOG_LEVEL_DEBUG ?
	    "debug " : "", line);
	if (log_is_shown)
		fprintf(stderr, "# %s\n", line);
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
	if (times_logged(text) == 0)
		fail_msg("not logged: %s\nbut:\n%s", text,
		    log_text.text != NULL ? log_text.text : "");
}

/* ---- the world ---- */

struct taken {			/* a mail that queue has */
	char		 key[64];
	char		 sender[MAILBOX_TEXT_MAX];
	char		 recipient[MAILBOX_TEXT_MAX];
	enum key_state	 state;
	uint32_t	 code;
	char		 text[64];
	unsigned	 opened;	/* how often it was handed in */
	struct buffer	 message;
};
struct posted {			/* a document that came over https */
	char		 url[POST_URL_MAX];
	uint64_t	 question;
	struct buffer	 gzip;
};

struct world {
	char			 dir[64];
	struct config		*config;
	/* in this process; NULL in the parent of a child */
	struct loop		*loop;
	struct book		*book;
	struct life		*life;
	struct wire_port	 policy, queue, fetch;
	unsigned		 policy_needed, queue_needed, fetch_needed;
	/* DNS */
	struct {
		const char *domain, *record;	/* NULL: nobody answers */
	}			 records[RECORDS_MAX];
	unsigned		 records_n;
	unsigned		 asked_txt, asked_pin;
	bool			 pin_refuses;
	/* queue */
	struct taken		 taken[KEYS_MAX];
	unsigned		 taken_n;
	enum key_state		 becomes;	/* of what it takes */
	uint32_t		 becomes_code;
	uint32_t		 refuses_code;	/* at Q_RCPT; 0: none */
	struct coming {			/* mails under way */
		struct q_open	 open;
		struct q_rcpt	 rcpt;
		int		 body;		/* read end; -1 */
		struct buffer	 message;
	}			 coming[COMING_MAX];
	unsigned		 asked_key;
	/* fetch */
	struct posted		 posts[POSTS_MAX];
	unsigned		 posts_n;
	struct f_posted		 answer;	/* to each of them */
	bool			 answers;	/* else it keeps silent */
	/*
	 * Each message that is heard or said calls this, if set; true: the
	 * other end is dead.
	 */
	bool			(*event)(struct world *, const char *name);
};

static struct world *present;

/* In the place of conf/parent.c. */
void
parent_need(enum program program)
{
	if (present == NULL)
		return;
	present->policy_needed += program == PROGRAM_POLICY;
	present->queue_needed += program == PROGRAM_QUEUE;
	present->fetch_needed += program == PROGRAM_FETCH;
}

static inline int
remove_one_path(const char *path, const struct stat *status, int kind,
    struct FTW *ftw)
{
	(void)status;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static inline struct config *
read_settings(const char *const *more)
{
	static char settings[16][256];
	char *all[16];
	struct buffer error = { NULL, 0, 0 };
	struct config *config;
	size_t n = 0;

	snprintf(settings[n++], 256, "hostname=relay.our.example");
	snprintf(settings[n++], 256, "mail-domain=our.example");
	if (more == NULL || *more == NULL ||
	    strncmp(*more, "report-at", 9) != 0)
		snprintf(settings[n++], 256, "report-at=00:00 spread 0s");
	snprintf(settings[n++], 256, "log-level=debug");
	for (; more != NULL && *more != NULL; more++)
		snprintf(settings[n++], 256, "%s", *more);
	for (size_t i = 0; i < n; i++)
		all[i] = settings[i];
	config = config_read("/dev/null", all, n, &error);
	if (config == NULL)
		fail_msg("%s", error.text);
	buffer_free(&error);
	return config;
}

#define SIGNED	"dkim=our.example s1 /dev/null"
#define UNSIGNED	NULL

static inline void
end_turn(void *context)
{
	struct world *world = context;
	bool kept;

	life_turn(world->life);
	kept = book_turn_end(world->book);
	life_turn_ended(world->life, kept);
}

static inline void
connect_peer(struct world *world, struct wire_port *port, enum program peer,
    const struct wire_table *table)
{
	int ends[2];

	wire_port_close(port);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    ends), 0);
	wire_port_open(port, ends[0], table);
	life_link(world->life, peer, ends[1]);
}

static inline void
connect_policy(struct world *world)
{
	connect_peer(world, &world->policy, PROGRAM_POLICY, &inquiry_wire);
}

/* A link that breaks ends what came over it. */
static inline void
forget_coming(struct world *world)
{
	unsigned i;

	for (i = 0; i < COMING_MAX; i++) {
		struct coming *coming = &world->coming[i];

		if (coming->open.id != 0 && coming->body != -1)
			close(coming->body);
		buffer_free(&coming->message);
		memset(coming, 0, sizeof(*coming));
		coming->body = -1;
	}
}

static inline void
connect_queue(struct world *world)
{
	forget_coming(world);
	connect_peer(world, &world->queue, PROGRAM_QUEUE, &intake_wire);
}

static inline void
connect_fetch(struct world *world)
{
	connect_peer(world, &world->fetch, PROGRAM_FETCH, &fetch_wire);
}

/* The program starts; its first seconds pass. */
static inline void
start_life(struct world *world)
{
	char error[512];

	world->loop = loop_new();
	world->book = book_open(world->dir, error, sizeof(error));
	if (world->book == NULL)
		fail_msg("%s", error);
	world->life = life_new(world->loop, world->book);
	life_set(world->life, world->config);
	loop_at_turn_end(world->loop, end_turn, world);
	connect_policy(world);
	connect_queue(world);
	connect_fetch(world);
	pass_s(5);
}

static inline void
stop_life(struct world *world)
{
	life_free(&world->life);
	book_close(&world->book);
	loop_free(&world->loop);
}

static inline void
make_shared(void)
{
	if (shared == NULL)
		shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(shared != MAP_FAILED);
	memset(shared, 0, sizeof(*shared));
}

/*
 * The folder of the present world: a test that fails leaves the function that
 * would have removed it.
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

/* Nothing is started yet. */
static inline struct world *
make_world(const char *const *settings)
{
	struct world *world = mem_alloc(sizeof(*world));
	const char *tmp = getenv("TMPDIR");

	make_shared();
	signal(SIGPIPE, SIG_IGN);
	log_start("test");
	log_to(keep_line, NULL);
	log_set_level(LOG_LEVEL_DEBUG);
	log_text.len = 0;
	if (log_text.text != NULL)
		log_text.text[0] = '\0';
	set_wall((int64_t)DAY * DAY_S + 12 * 3600);
	snprintf(world->dir, sizeof(world->dir), "%s/lifeXXXXXX",
	    tmp != NULL && strlen(tmp) < 40 ? tmp : "/tmp");
	remove_present();
	if (owner == 0)
		atexit(remove_present);
	owner = getpid();
	assert_non_null(mkdtemp(world->dir));
	memcpy(present_dir, world->dir, sizeof(present_dir));
	world->config = read_settings(settings);
	world->policy.fd = world->queue.fd = world->fetch.fd = -1;
	forget_coming(world);
	world->becomes = KEY_ACCEPTED;
	world->becomes_code = 250;
	world->answers = true;
	world->answer.outcome = POST_ACCEPTED;
	world->answer.status = 201;
	world->answer.verified = true;
	strcpy(world->answer.text, "HTTP 201");
	present = world;
	return world;
}

static inline struct world *
new_world(const char *setting)
{
	const char *const settings[] = { setting, NULL };
	struct world *world = make_world(settings);

	start_life(world);
	return world;
}

static inline void
free_world(struct world **pointer)
{
	struct world *world = *pointer;
	unsigned i;

	if (world->life != NULL)
		stop_life(world);
	wire_port_close(&world->policy);
	wire_port_close(&world->queue);
	wire_port_close(&world->fetch);
	forget_coming(world);
	for (i = 0; i < world->taken_n; i++)
		buffer_free(&world->taken[i].message);
	for (i = 0; i < world->posts_n; i++)
		buffer_free(&world->posts[i].gzip);
	config_free(&world->config);
	remove_present();
	free(world);
	present = NULL;
	*pointer = NULL;
}

static inline void
add_record(struct world *world, const char *domain, const char *record)
{
	world->records[world->records_n].domain = domain;
	world->records[world->records_n++].record = record;
}

static inline bool
happens(struct world *world, const char *name)
{
	return world->event != NULL && world->event(world, name);
}

static inline void
say(struct world *world, struct wire_port *port, unsigned kind,
    const void *message, const int *fds)
{
	if (port->fd == -1)
		return;
	wire_port_send(port, kind, message, fds, wire_now_ms() + 1000);
	happens(world, wire_find(port->table, kind)->name);
}

/* ---- policy's part ---- */

static inline void
put_records(struct r_txt_answer *answer, const char *records)
{
	struct slice rest = slice_of(records), one;

	while (rest.at != NULL) {
		one = slice_cut(&rest, '\n');
		answer->records[answer->records_len++] = (uint8_t)one.len;
		answer->records[answer->records_len++] =
		    (uint8_t)(one.len >> 8);
		memcpy(answer->records + answer->records_len, one.at,
		    one.len);
		answer->records_len += (uint32_t)one.len;
	}
}

static inline void
answer_txt(struct world *world, const struct r_txt *txt)
{
	static struct r_txt_answer answer;
	unsigned i;

	memset(&answer, 0, sizeof(answer));
	world->asked_txt++;
	answer.question = txt->question;
	answer.outcome = ROUTE_FAIL;
	strcpy(answer.text, "no such name");
	for (i = 0; i < world->records_n; i++) {
		if (strcmp(world->records[i].domain, txt->domain) != 0)
			continue;
		answer.outcome = world->records[i].record == NULL ?
		    ROUTE_AGAIN : ROUTE_OK;
		strcpy(answer.text, answer.outcome == ROUTE_OK ? "" :
		    "SERVFAIL");
		if (answer.outcome == ROUTE_OK)
			put_records(&answer, world->records[i].record);
	}
	say(world, &world->policy, R_TXT_ANSWER, &answer, NULL);
}

static inline void
answer_pin(struct world *world, const struct r_pin *pin)
{
	struct r_pinned pinned = { .question = pin->question,
	    .outcome = world->pin_refuses ? ROUTE_FAIL : ROUTE_OK };
	struct address address;

	world->asked_pin++;
	assert_true(address_parse(SLICE("192.0.2.80"), &address));
	if (world->pin_refuses)
		strcpy(pinned.text, "127.0.0.1 is private");
	else
		route_put_address(pinned.addresses, &pinned.addresses_len,
		    sizeof(pinned.addresses), &address);
	say(world, &world->policy, R_PINNED, &pinned, NULL);
}

#define POLICY_TEXT	"version: STSv1\r\nmode: enforce\r\nmx: mx.a.example" \
			"\r\nmax_age: 86400\r\n"

static inline void
answer_text(struct world *world, const struct r_text *text)
{
	struct r_text_answer answer = { .question = text->question };
	bool found = policy_text_mark(SLICE(POLICY_TEXT)) == text->sts_text;
	int ends[2];

	answer.found = found;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	if (found)
		assert_int_equal(write(ends[1], POLICY_TEXT,
		    sizeof(POLICY_TEXT) - 1), sizeof(POLICY_TEXT) - 1);
	close(ends[1]);
	say(world, &world->policy, R_TEXT_ANSWER, &answer, ends);
	close(ends[0]);
}

static inline bool
play_policy(struct world *world)
{
	const void *message;
	int fds[WIRE_FDS_MAX], kind;

	if (world->policy.fd == -1)
		return false;
	kind = wire_port_receive(&world->policy, &message, fds,
	    wire_now_ms());
	if (kind <= 0)
		return false;
	if (happens(world, wire_find(&inquiry_wire, (unsigned)kind)->name))
		return true;
	if (kind == R_TXT)
		answer_txt(world, message);
	else if (kind == R_PIN)
		answer_pin(world, message);
	else if (kind == R_TEXT)
		answer_text(world, message);
	return true;
}

/* ---- queue's part ---- */

static inline struct taken *
find_taken(struct world *world, const char *key)
{
	unsigned i;

	for (i = 0; i < world->taken_n; i++)
		if (strcmp(world->taken[i].key, key) == 0)
			return &world->taken[i];
	return NULL;
}

static inline struct coming *
find_coming(struct world *world, uint64_t id)
{
	unsigned i;

	for (i = 0; i < COMING_MAX; i++)
		if (world->coming[i].open.id == id)
			return &world->coming[i];
	fail_msg("an id that is not open");
	return NULL;
}

static inline void
read_body(struct coming *coming)
{
	char part[65536];
	ssize_t n;

	if (coming->body == -1)
		return;
	while ((n = read(coming->body, part, sizeof(part))) > 0)
		buffer_add(&coming->message, (struct slice){ part,
		    (size_t)n });
	if (n == 0) {
		close(coming->body);
		coming->body = -1;
	}
}

static inline void
keep_mail(struct world *world, struct coming *coming)
{
	struct taken *taken = &world->taken[world->taken_n];

	assert_true(world->taken_n < KEYS_MAX);
	assert_null(find_taken(world, coming->open.key));
	world->taken_n++;
	memcpy(taken->key, coming->open.key, sizeof(taken->key));
	memcpy(taken->sender, coming->open.sender, sizeof(taken->sender));
	memcpy(taken->recipient, coming->rcpt.recipient,
	    sizeof(taken->recipient));
	taken->state = world->becomes;
	taken->code = world->becomes_code;
	strcpy(taken->text, world->becomes == KEY_REFUSED ? "no such user" :
	    "thanks");
	taken->message = coming->message;
	coming->message = (struct buffer){ NULL, 0, 0 };
}

static inline void
take_mail(struct world *world, const struct q_end *end)
{
	struct coming *coming = find_coming(world, end->id);
	struct q_id id = { .id = end->id };

	for (int i = 0; i < 1000 && coming->body != -1; i++) {
		read_body(coming);
		usleep(100);
	}
	assert_int_equal(end->size_bytes, coming->message.len);
	keep_mail(world, coming);
	memset(&coming->open, 0, sizeof(coming->open));
	say(world, &world->queue, Q_TAKEN, &id, NULL);
}

static inline void
open_mail(struct world *world, const struct q_open *open)
{
	struct coming *coming = find_coming(world, 0);

	coming->open = *open;
	coming->message.len = 0;
	assert_int_equal(open->class, CLASS_REPORT);
}

static inline void
answer_rcpt(struct world *world, const struct q_rcpt *rcpt)
{
	struct q_rcpt_answer answer = { .id = rcpt->id, .code = 250 };

	find_coming(world, rcpt->id)->rcpt = *rcpt;
	if (world->refuses_code != 0) {
		answer.code = world->refuses_code;
		strcpy(answer.text, "4.3.1 no room");
	}
	say(world, &world->queue, Q_RCPT_ANSWER, &answer, NULL);
}

static inline void
answer_data(struct world *world, const struct q_data *data, int fd)
{
	struct coming *coming = find_coming(world, data->id);
	struct q_id id = { .id = data->id };

	if (find_taken(world, coming->open.key) != NULL) {
		close(fd);
		memset(&coming->open, 0, sizeof(coming->open));
		say(world, &world->queue, Q_TAKEN, &id, NULL);
		return;
	}
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	coming->body = fd;
	say(world, &world->queue, Q_GO, &id, NULL);
}

static inline void
answer_key(struct world *world, const struct q_ask_key *ask)
{
	struct taken *taken = find_taken(world, ask->key);
	struct q_key key = { .state = KEY_UNKNOWN };

	world->asked_key++;
	memcpy(key.key, ask->key, sizeof(key.key));
	if (taken != NULL) {
		key.state = taken->state;
		key.code = taken->code;
		strcpy(key.host, "mx.b.example");
		strcpy(key.text, taken->text);
	}
	say(world, &world->queue, Q_KEY, &key, NULL);
}

static inline void
abort_mail(struct world *world, const struct q_id *id)
{
	struct coming *coming = find_coming(world, id->id);

	if (coming->body != -1)
		close(coming->body);
	coming->body = -1;
	memset(&coming->open, 0, sizeof(coming->open));
}

static inline bool
play_queue(struct world *world)
{
	const void *message;
	int fds[WIRE_FDS_MAX], kind;

	for (unsigned i = 0; i < COMING_MAX; i++)
		read_body(&world->coming[i]);
	if (world->queue.fd == -1)
		return false;
	kind = wire_port_receive(&world->queue, &message, fds,
	    wire_now_ms());
	if (kind <= 0)
		return false;
	if (happens(world, wire_find(&intake_wire, (unsigned)kind)->name)) {
		if (kind == Q_DATA)
			close(fds[0]);
		return true;
	}
	if (kind == Q_OPEN)
		open_mail(world, message);
	else if (kind == Q_RCPT)
		answer_rcpt(world, message);
	else if (kind == Q_DATA)
		answer_data(world, message, fds[0]);
	else if (kind == Q_END)
		take_mail(world, message);
	else if (kind == Q_ASK_KEY)
		answer_key(world, message);
	else if (kind == Q_ABORT)
		abort_mail(world, message);
	return true;
}

/* ---- fetch's part ---- */

/* False: its writer died before it was whole. */
static inline bool
read_document(struct posted *posted, int fd, uint64_t size)
{
	char part[65536];
	ssize_t n;

	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	for (int i = 0; i < 5000; i++) {
		n = read(fd, part, sizeof(part));
		if (n == 0)
			break;
		if (n > 0)
			buffer_add(&posted->gzip, (struct slice){ part,
			    (size_t)n });
		else if (present->loop != NULL)
			loop_turn(present->loop, false);
		else
			usleep(1000);
	}
	close(fd);
	return posted->gzip.len == size;
}

static inline void
answer_post(struct world *world, const struct f_post *post, int fd, bool dead)
{
	struct posted *posted = &world->posts[world->posts_n];
	struct f_posted answer = world->answer;

	assert_true(world->posts_n < POSTS_MAX);
	memcpy(posted->url, post->url, sizeof(posted->url));
	posted->question = answer.question = post->question;
	assert_string_equal(post->media_type, "application/tlsrpt+gzip");
	assert_true(post->addresses_len == 17);
	if (!read_document(posted, fd, post->size_bytes)) {
		assert_true(dead);
		buffer_free(&posted->gzip);
		return;
	}
	world->posts_n++;
	if (world->answers && !dead)
		say(world, &world->fetch, F_POSTED, &answer, NULL);
}

static inline bool
play_fetch(struct world *world)
{
	static struct f_post post;
	const void *message;
	int fds[WIRE_FDS_MAX], kind;

	if (world->fetch.fd == -1)
		return false;
	kind = wire_port_receive(&world->fetch, &message, fds,
	    wire_now_ms());
	if (kind <= 0)
		return false;
	post = *(const struct f_post *)message;
	/* What is in the pipe goes to the receiver, whoever has died. */
	answer_post(world, &post, fds[0], happens(world, "F_POST"));
	return true;
}

/* ---- together ---- */

/* Until nobody says anything more at this time. */
static inline void
play(struct world *world)
{
	unsigned quiet = 0;

	while (quiet < 12) {
		bool any = false;

		loop_turn(world->loop, false);
		any |= play_policy(world);
		any |= play_queue(world);
		any |= play_fetch(world);
		quiet = any ? 0 : quiet + 1;
	}
}

/* Time passes in steps, each of them played. */
static inline void
play_for(struct world *world, int64_t s, int64_t step_s)
{
	int64_t passed;

	for (passed = 0; passed < s; passed += step_s) {
		pass_s(step_s);
		play(world);
	}
}

/* A session that counts: in clear, without a policy. */
static inline void
fill_session(struct t_session *session, const char *domain)
{
	struct report_detail detail = { .block = REPORT_NO_POLICY,
	    .result = RESULT_STARTTLS_NOT_SUPPORTED };

	memset(session, 0, sizeof(*session));
	session->when_s = loop_wall_s();
	snprintf(session->domain, sizeof(session->domain), "%s", domain);
	strcpy(session->local, "192.0.2.7");
	strcpy(session->host, "mx.far.example");
	strcpy(session->address, "192.0.2.25");
	assert_true(report_put_detail(session->details, &session->details_len,
	    sizeof(session->details), &detail));
}

static inline void
count_session(struct world *world, const char *domain)
{
	static struct t_session session;

	fill_session(&session, domain);
	book_count_session(world->book, &session);
	book_want_flush(world->book);
	loop_turn(world->loop, false);
}

/* Through a TLSA base domain too. */
static inline void
count_dane_session(struct world *world, const char *domain, const char *base)
{
	static const uint8_t tlsa[] = { 35, 0, 3, 1, 1, 1, 2, 3 };
	struct report_detail detail = { .block = REPORT_TLSA,
	    .result = RESULT_SUCCESS };
	static struct t_session session;

	fill_session(&session, domain);
	session.details_len = 0;
	assert_true(report_put_detail(session.details, &session.details_len,
	    sizeof(session.details), &detail));
	strcpy(session.tlsa_base, base);
	session.tlsa_len = 37;
	memcpy(session.tlsa, tlsa, sizeof(tlsa));
	book_count_session(world->book, &session);
	book_want_flush(world->book);
	loop_turn(world->loop, false);
}

static inline struct report_state
get_report(struct world *world, uint32_t day, const char *domain)
{
	struct report_state state;

	if (!book_get_report(world->book, day, domain, &state))
		fail_msg("no report for %s", domain);
	return state;
}

static inline struct receiver_state
get_receiver(struct world *world, uint32_t day, const char *domain,
    uint32_t n)
{
	struct report_state state = get_report(world, day, domain);
	struct receiver_state receiver;

	if (!book_get_receiver(world->book, &state, n, &receiver))
		fail_msg("no receiver %u for %s", n, domain);
	return receiver;
}

/* The day after, some seconds past report-at. */
static inline void
go_past_day(struct world *world, uint32_t day)
{
	go_to(((int64_t)day + 1) * DAY_S + 10);
	pass_s(61);
	play(world);
}

/* The document that a gzip holds. */
static inline char *
gunzip(const struct buffer *gzip)
{
	static char text[1 << 20];
	z_stream stream = { .next_in = (Bytef *)gzip->text,
	    .avail_in = (uInt)gzip->len, .next_out = (Bytef *)text,
	    .avail_out = sizeof(text) - 1 };

	assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
	assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
	text[stream.total_out] = '\0';
	inflateEnd(&stream);
	return text;
}

#endif
