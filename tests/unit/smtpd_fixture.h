/*
 * A world for culver-smtpd: the real program, with a parent, a queue and
 * clients played by the test through the links' own tables.
 *
 * Everything happens in pump(), which serves parent, queue and the submit
 * socket while the test waits for something on a client's connection.  The
 * queue takes everything unless a test asks for something else, and keeps
 * what it got in `mails`.
 *
 * Dialogues are written as text: "> " is what the client says (CRLF is
 * added), "< " what it must hear, "< end" that the connection ends.
 */
#ifndef CULVER_SMTPD_FIXTURE_H
#define CULVER_SMTPD_FIXTURE_H

#include "conf/log.h"
#include "conf/proc.h"
#include "queue/queue.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAYBE_UNUSED	__attribute__((unused))
#define MAILS_MAX	2048
#define PATIENCE_MS	20000
#define NOBODY		65534

/* A transaction as queue sees it. */
struct mail {
	struct q_open	open;
	struct buffer	rcpts;		/* each with a blank behind it */
	unsigned	rcpts_n, taken_n;
	struct q_rcpt	rcpt;		/* the last */
	int		pipe;		/* -1: none, or read to its end */
	struct buffer	body;
	bool		data, piped, went, ended, aborted, taken, refused;
	struct q_end	end;
};

struct world {
	pid_t		 pid;
	char		 directory[64];	/* spool, submit socket */
	struct wire_port parent, queue;
	bool		 ready, parent_gone, queue_gone;
	unsigned	 queues_needed;	/* P_NEED: a fresh link, please */
	int		 listener;	/* ours is closed; the port counts */
	uint16_t	 port;
	int		 submit;	/* listening, -1: none */
	uid_t		 submit_uid;	/* that smtpd is told */
	struct mail	 mails[MAILS_MAX];
	unsigned	 mails_n;
	struct buffer	 log;
	int64_t		*clock_ns;	/* smtpd's clock is so much ahead */
	/* what queue does */
	bool		 hold_rcpts, hold_go, hold_taken, hold_bodies;
	const char	*refuse_rcpt;	/* this recipient is refused with 452 */
	unsigned	 rcpts_seen;
};

struct client {
	int		 fd;
	struct buffer	 in;
	bool		 ended;
};

/* ---- the queue ---- */

static struct mail *
mail_of(struct world *world, uint64_t id)
{
	for (unsigned i = world->mails_n; i > 0; i--)
		if (world->mails[i - 1].open.id == id)
			return &world->mails[i - 1];
	fail_msg("queue does not know this id");
	return NULL;
}

static MAYBE_UNUSED struct mail *
last_mail(struct world *world)
{
	assert_true(world->mails_n > 0);
	return &world->mails[world->mails_n - 1];
}

static void
queue_say(struct world *world, unsigned kind, const void *message)
{
	assert_int_equal(wire_port_send(&world->queue, kind, message, NULL,
	    wire_now_ms() + PATIENCE_MS), 0);
}

static void
queue_go(struct world *world, struct mail *mail)
{
	mail->went = true;
	queue_say(world, Q_GO, &(struct q_id){ mail->open.id });
}

static MAYBE_UNUSED void
queue_refuse(struct world *world, struct mail *mail, unsigned code,
    const char *text)
{
	struct q_refused refused = { .id = mail->open.id, .code = code };

	strcpy(refused.text, text);
	mail->refused = true;
	queue_say(world, Q_REFUSED, &refused);
}

static void
queue_answer_rcpt(struct world *world, uint64_t id, uint32_t number,
    unsigned code, const char *text)
{
	struct q_rcpt_answer answer = {
		.id = id, .number = number, .code = code
	};

	strcpy(answer.text, text);
	queue_say(world, Q_RCPT_ANSWER, &answer);
}

/* Read what the pipe of a message holds. */
static void
read_body(struct mail *mail)
{
	char octets[65536];
	ssize_t n;

	while (mail->pipe != -1) {
		n = read(mail->pipe, octets, sizeof(octets));
		if (n == -1 && errno == EAGAIN)
			return;
		assert_true(n >= 0);
		if (n == 0) {
			close(mail->pipe);
			mail->pipe = -1;
			return;
		}
		buffer_add(&mail->body, (struct slice){ octets, (size_t)n });
	}
}

static void
queue_take(struct world *world, struct mail *mail)
{
	read_body(mail);
	assert_int_equal(mail->pipe, -1);
	assert_int_equal(mail->body.len, mail->end.size_bytes);
	mail->taken = true;
	queue_say(world, Q_TAKEN, &(struct q_id){ mail->open.id });
}

static void
on_queue_rcpt(struct world *world, const struct q_rcpt *rcpt)
{
	struct mail *mail = mail_of(world, rcpt->id);

	assert_int_equal(rcpt->number, mail->rcpts_n);
	mail->rcpts_n++;
	mail->rcpt = *rcpt;
	world->rcpts_seen++;
	buffer_printf(&mail->rcpts, "%s ", rcpt->recipient);
	if (world->refuse_rcpt != NULL &&
	    strcmp(world->refuse_rcpt, rcpt->recipient) == 0) {
		if (!world->hold_rcpts)
			queue_answer_rcpt(world, rcpt->id, rcpt->number, 452,
			    "4.3.1 no space");
		return;
	}
	mail->taken_n++;
	if (!world->hold_rcpts)
		queue_answer_rcpt(world, rcpt->id, rcpt->number, 250,
		    "2.1.5 ok");
}

static void
on_queue_whole(struct world *world, const struct q_whole *whole)
{
	struct mail *mail = mail_of(world, whole->id);

	assert_true(mail->went);
	buffer_add(&mail->body, (struct slice){ (const char *)whole->body,
	    whole->body_len });
	mail->end.id = whole->id;
	mail->end.size_bytes = whole->body_len;
	mail->end.eight_bit = whole->eight_bit;
	mail->end.tls_optional = whole->tls_optional;
	memcpy(mail->end.msgid, whole->msgid, sizeof(whole->msgid));
	mail->ended = true;
	if (!world->hold_taken)
		queue_take(world, mail);
}

static void
on_queue_message(struct world *world, unsigned kind, const void *message,
    const int *fds)
{
	struct mail *mail;

	if (kind == Q_OPEN) {
		assert_true(world->mails_n < MAILS_MAX);
		mail = &world->mails[world->mails_n++];
		memset(mail, 0, sizeof(*mail));
		mail->open = *(const struct q_open *)message;
		mail->pipe = -1;
	} else if (kind == Q_RCPT) {
		on_queue_rcpt(world, message);
	} else if (kind == Q_PLACE) {
		mail = mail_of(world, ((const struct q_id *)message)->id);
		mail->data = mail->taken_n > 0;
		if (mail->data && !world->hold_go)
			queue_go(world, mail);
	} else if (kind == Q_DATA) {
		mail = mail_of(world, ((const struct q_id *)message)->id);
		assert_true(mail->data && mail->went);
		mail->piped = true;
		mail->pipe = fds[0];
		fcntl(mail->pipe, F_SETFL, O_NONBLOCK);
	} else if (kind == Q_WHOLE) {
		on_queue_whole(world, message);
	} else if (kind == Q_END) {
		mail = mail_of(world, ((const struct q_end *)message)->id);
		mail->end = *(const struct q_end *)message;
		mail->ended = true;
		if (!world->hold_taken)
			queue_take(world, mail);
	} else {
		assert_int_equal(kind, Q_ABORT);
		mail = mail_of(world, ((const struct q_id *)message)->id);
		mail->aborted = true;
		if (mail->pipe != -1)
			close(mail->pipe);
		mail->pipe = -1;
	}
}

static void
serve_queue(struct world *world)
{
	int fds[WIRE_FDS_MAX], kind;
	const void *message;

	do {
		kind = wire_port_receive(&world->queue, &message, fds,
		    wire_now_ms() + PATIENCE_MS);
		assert_true(kind >= 0);
		if (kind == 0)
			world->queue_gone = true;
		else
			on_queue_message(world, (unsigned)kind, message, fds);
	} while (wire_port_has_more(&world->queue));
}

/* ---- the parent ---- */

static void
parent_say(struct world *world, unsigned kind, const void *message,
    const int *fds)
{
	assert_int_equal(wire_port_send(&world->parent, kind, message, fds,
	    wire_now_ms() + PATIENCE_MS), 0);
}

static void
serve_parent(struct world *world)
{
	int fds[WIRE_FDS_MAX], kind;
	const void *message;

	kind = wire_port_receive(&world->parent, &message, fds,
	    wire_now_ms() + PATIENCE_MS);
	assert_true(kind >= 0);
	if (kind == 0)
		world->parent_gone = true;
	else if (kind == P_READY)
		world->ready = true;
	else if (kind == P_NEED && ((const struct p_program *)message)->program
	    == PROGRAM_QUEUE)
		world->queues_needed++;
	else if (kind == P_LOG)
		buffer_printf(&world->log, "%s\n",
		    ((const struct p_log *)message)->line);
}

/* Hand one end of a fresh link to smtpd; the other is our queue. */
static void
link_queue(struct world *world)
{
	struct p_program peer = { .program = PROGRAM_QUEUE };
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    ends), 0);
	wire_port_open(&world->queue, ends[0], &intake_wire);
	world->queue_gone = false;
	parent_say(world, P_LINK, &peer, &ends[1]);
	close(ends[1]);
}

static MAYBE_UNUSED void
kill_queue(struct world *world)
{
	int fd = world->queue.fd;

	wire_port_close(&world->queue);
	close(fd);
	world->queue.fd = -1;
	world->queue_gone = true;
}

static void
give_listener(struct world *world, uint32_t number)
{
	struct p_listener listener = { .number = number };
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)
	};
	socklen_t len = sizeof(address);
	int fd;

	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(fd, 100), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len),
	    0);
	world->port = ntohs(address.sin_port);
	snprintf(listener.address, sizeof(listener.address), "127.0.0.1:%u",
	    world->port);
	parent_say(world, P_LISTENER, &listener, &fd);
	close(fd);
}

static void
give_setting(void *context, const char *keyword, const char *value)
{
	struct p_setting setting;

	memset(&setting, 0, sizeof(setting));
	snprintf(setting.keyword, sizeof(setting.keyword), "%s", keyword);
	snprintf(setting.value, sizeof(setting.value), "%s", value);
	parent_say(context, P_SETTING, &setting, NULL);
}

/*
 * The whole set, as culverd sends it: lines of culver.conf (NULL: a relay for
 * loopback with root-mail and no limit a client) behind what names us.
 */
static void
give_settings(struct world *world, const char *lines)
{
	struct buffer error = { NULL, 0, 0 };
	struct config *config;
	char path[128];
	FILE *file;

	if (lines == NULL)
		lines = "relay-from 127.0.0.0/8\nroot-mail admin@far.test\n"
		    "max-connections-per-client 2000\n";
	snprintf(path, sizeof(path), "%s/conf", world->directory);
	file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, "spool %s\nsubmit-socket %s/submit\n"
	    "control %s/control\n"
	    "hostname relay.test\nmail-domain our.test\n"
	    "local-domain our.test relay.test localhost\n%s",
	    world->directory, world->directory, world->directory, lines);
	assert_int_equal(fclose(file), 0);
	config = config_read(path, NULL, 0, &error);
	if (config == NULL)
		fail_msg("%s", error.text);
	parent_say(world, P_SETTINGS, NULL, NULL);
	config_each(config, give_setting, world);
	parent_say(world, P_SETTINGS_END, NULL, NULL);
	config_free(&config);
}

/* ../NAME from the folder that this test program lies in. */
static const char *
beside(const char *name)
{
	static char path[PATH_MAX + 64];
	ssize_t len;

	len = readlink("/proc/self/exe", path, PATH_MAX);
	assert_true(len > 0);
	path[len] = '\0';
	*strrchr(path, '/') = '\0';
	snprintf(strrchr(path, '/'), 64, "/%s", name);
	return path;
}

/* As culverd does: by descriptor, in an empty folder, never as root. */
static void
become_program(struct world *world, int program, int parent)
{
	char *const arguments[] = { (char []){ "culver-smtpd" },
	    (char []){ "local" }, NULL };

	if (chdir(world->directory) != 0 || (getuid() == 0 &&
	    (setgid(NOBODY) != 0 || setuid(NOBODY) != 0)))
		_exit(126);
	if (parent == PROC_PARENT_FD)
		fcntl(parent, F_SETFD, 0);
	else
		dup2(parent, PROC_PARENT_FD);
	fexecve(program, arguments, environ);
	_exit(127);
}

static void
start_program(struct world *world)
{
	int ends[2], program;

	ends[0] = open(beside("libexec/culver-smtpd"), O_PATH | O_CLOEXEC);
	assert_true(ends[0] >= 0);
	/* Not 3, which becomes the parent's link. */
	program = fcntl(ends[0], F_DUPFD_CLOEXEC, PROC_PARENT_FD + 1);
	close(ends[0]);

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    ends), 0);
	world->pid = fork();
	assert_true(world->pid >= 0);
	if (world->pid == 0)
		become_program(world, program, ends[1]);
	close(program);
	close(ends[1]);
	wire_port_open(&world->parent, ends[0], &proc_wire);
}

/* ---- waiting ---- */

static void	take_submit(struct world *world);

/* Serve everybody once; is fd (-1: none) readable? */
static bool
pump(struct world *world, int fd, int timeout_ms)
{
	struct pollfd fds[4 + MAILS_MAX];
	struct mail *of[4 + MAILS_MAX];
	nfds_t n = 4;

	fds[0] = (struct pollfd){ fd, POLLIN, 0 };
	fds[1] = (struct pollfd){ world->parent_gone ? -1 : world->parent.fd,
	    POLLIN, 0 };
	fds[2] = (struct pollfd){ world->queue_gone ? -1 : world->queue.fd,
	    POLLIN, 0 };
	fds[3] = (struct pollfd){ world->submit, POLLIN, 0 };
	for (unsigned i = 0; i < world->mails_n && !world->hold_bodies; i++)
		if (world->mails[i].pipe != -1) {
			of[n] = &world->mails[i];
			fds[n++] = (struct pollfd){ world->mails[i].pipe,
			    POLLIN, 0 };
		}
	if (poll(fds, n, timeout_ms) <= 0)
		return false;
	for (nfds_t i = 4; i < n; i++)
		if (fds[i].revents != 0)
			read_body(of[i]);
	if (fds[1].revents != 0)
		serve_parent(world);
	if (fds[2].revents != 0 && !world->queue_gone)
		serve_queue(world);
	if (fds[3].revents != 0)
		take_submit(world);
	return fds[0].revents != 0;
}

#define WAIT_FOR(world, condition)					\
	do {								\
		int64_t until_ = wire_now_ms() + PATIENCE_MS;		\
		while (!(condition)) {					\
			if (wire_now_ms() > until_ ||			\
			    (world)->parent_gone)			\
				fail_msg("waited for " #condition	\
				    "; log: %s", (world)->log.text);	\
			pump(world, -1, 50);				\
		}							\
	} while (0)

/* Serve for a while in which nothing should happen. */
static MAYBE_UNUSED void
pump_idle(struct world *world, int ms)
{
	int64_t until = wire_now_ms() + ms;

	while (wire_now_ms() < until)
		pump(world, -1, 10);
}

/*
 * Let smtpd, when it is started, have a clock that can be moved
 * (tests/preload/clock.c).
 */
static void
preload_clock(struct world *world)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/clock", world->directory);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, 0666), 0);
	assert_int_equal(ftruncate(fd, 4096), 0);
	world->clock_ns = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED,
	    fd, 0);
	assert_ptr_not_equal(world->clock_ns, MAP_FAILED);
	close(fd);
	setenv("CULVER_CLOCK", path, 1);
	setenv("LD_PRELOAD", beside("tests/preload/clock.so"), 1);
	assert_int_equal(access(getenv("LD_PRELOAD"), R_OK), 0);
}

static MAYBE_UNUSED void
pass_time(struct world *world, int seconds)
{
	*world->clock_ns += (int64_t)seconds * 1000000000;
	pump_idle(world, 150);
}

static struct world *
world_new(const char *settings)
{
	struct world *world = mem_alloc(sizeof(*world));

	signal(SIGPIPE, SIG_IGN);
	world->submit = -1;
	strcpy(world->directory, "/tmp/culver-unit-XXXXXX");
	assert_non_null(mkdtemp(world->directory));
	assert_int_equal(chmod(world->directory, 0755), 0);
	if (getuid() == 0)
		assert_int_equal(chown(world->directory, NOBODY, NOBODY), 0);
	preload_clock(world);
	start_program(world);
	unsetenv("LD_PRELOAD");
	give_settings(world, settings);
	link_queue(world);
	give_listener(world, 1);
	parent_say(world, P_GO, NULL, NULL);
	WAIT_FOR(world, world->ready);
	return world;
}

/* Wait for the program's end; returns its exit status. */
static int
world_wait(struct world *world)
{
	int64_t until = wire_now_ms() + PATIENCE_MS;
	int status = -1;

	while (waitpid(world->pid, &status, WNOHANG) == 0) {
		if (wire_now_ms() > until) {
			kill(world->pid, SIGKILL);
			fail_msg("smtpd does not end");
		}
		pump(world, -1, 10);
	}
	world->pid = -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static void
world_free(struct world **world)
{
	struct world *old = *world;
	char path[128];

	if (old->pid != -1) {
		parent_say(old, P_STOP, NULL, NULL);
		while (!old->parent_gone)
			pump(old, -1, 50);
		if (world_wait(old) != 0)
			fail_msg("smtpd ended badly; log: %s", old->log.text);
	}
	if (!old->queue_gone || old->queue.fd != -1)
		kill_queue(old);
	close(old->parent.fd);
	wire_port_close(&old->parent);
	if (old->submit != -1)
		close(old->submit);
	for (unsigned i = 0; i < old->mails_n; i++) {
		buffer_free(&old->mails[i].rcpts);
		buffer_free(&old->mails[i].body);
		if (old->mails[i].pipe != -1)
			close(old->mails[i].pipe);
	}
	snprintf(path, sizeof(path), "%s/submit", old->directory);
	unlink(path);
	munmap(old->clock_ns, 4096);
	snprintf(path, sizeof(path), "%s/clock", old->directory);
	unlink(path);
	snprintf(path, sizeof(path), "%s/control", old->directory);
	unlink(path);
	snprintf(path, sizeof(path), "%s/conf", old->directory);
	unlink(path);
	rmdir(old->directory);
	buffer_free(&old->log);
	free(old);
	*world = NULL;
}

/* ---- clients ---- */

static struct client
client_new(struct world *world)
{
	struct client client = { .fd = -1 };
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(world->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)
	};

	client.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(client.fd, (struct sockaddr *)&address,
	    sizeof(address)), 0);
	return client;
}

/* A connection as culverd passes it from the submit socket. */
static void
pass_connection(struct world *world, int fd, uid_t uid)
{
	struct p_connection connection = {
		.socket = PROC_SUBMIT, .uid = uid, .gid = uid
	};

	parent_say(world, P_CONNECTION, &connection, &fd);
	close(fd);
}

static MAYBE_UNUSED struct client
client_local(struct world *world, uid_t uid)
{
	struct client client = { .fd = -1 };
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
	    ends), 0);
	client.fd = ends[0];
	pass_connection(world, ends[1], uid);
	return client;
}

/* Listen where sendmail connects. */
static MAYBE_UNUSED void
give_submit(struct world *world)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/submit",
	    world->directory);
	world->submit = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(world->submit, (struct sockaddr *)&address,
	    sizeof(address)), 0);
	assert_int_equal(chmod(address.sun_path, 0777), 0);
	assert_int_equal(listen(world->submit, 10), 0);
}

static void
take_submit(struct world *world)
{
	int fd = accept4(world->submit, NULL, NULL, SOCK_CLOEXEC);

	if (fd != -1)
		pass_connection(world, fd, world->submit_uid);
}

static void
client_free(struct client *client)
{
	close(client->fd);
	buffer_free(&client->in);
}

static void
client_send(struct client *client, struct slice octets)
{
	while (octets.len > 0) {
		ssize_t n = send(client->fd, octets.at, octets.len, 0);

		assert_true(n > 0);
		octets.at += n;
		octets.len -= (size_t)n;
	}
}

static MAYBE_UNUSED void
client_say(struct client *client, const char *text)
{
	client_send(client, slice_of(text));
}

/* One octet, and wait until smtpd has read it (of a local connection). */
static void
client_dribble(struct world *world, struct client *client, struct slice octets)
{
	int unread;

	for (size_t i = 0; i < octets.len; i++) {
		client_send(client, (struct slice){ octets.at + i, 1 });
		do {
			pump(world, -1, 0);
			assert_int_equal(ioctl(client->fd, SIOCOUTQ, &unread),
			    0);
			if (unread > 0)
				sched_yield();
		} while (unread > 0 && !client->ended);
	}
}

/* Where the first reply in text ends, or 0. */
static size_t
reply_len(const struct buffer *in)
{
	size_t at = 0;
	char *end;

	while (at < in->len) {
		end = strstr(in->text + at, "\r\n");
		if (end == NULL)
			return 0;
		if (end - in->text < (ptrdiff_t)at + 4 ||
		    in->text[at + 3] != '-')
			return (size_t)(end - in->text) + 2;
		at = (size_t)(end - in->text) + 2;
	}
	return 0;
}

/* EXT-5248-2-1: the registry's greatest detail for each subject. */
static bool
is_registered(unsigned subject, unsigned detail)
{
	static const unsigned most[] = { 0, 11, 4, 6, 7, 6, 10, 30 };

	return subject < 8 && detail <= most[subject];
}

/*
 * The grammar of every reply.  SMTP-4.2-6, EXT-2034-4-1, EXT-2034-4-2,
 * EXT-2034-4-3, EXT-5248-2-1
 */
static void
check_reply(const char *reply)
{
	unsigned code, this_code, class, subject, detail, first = 0;
	const char *line;
	bool plain;
	char mark;

	assert_int_equal(sscanf(reply, "%3u%c", &code, &mark), 2);
	plain = code == 354 || strncmp(reply + 4, "relay.test", 10) == 0;
	for (line = reply; *line != '\0'; line = strstr(line, "\r\n") + 2) {
		assert_int_equal(sscanf(line, "%3u%c", &this_code, &mark), 2);
		assert_int_equal(this_code, code);
		assert_int_equal(mark, strstr(line, "\r\n")[2] == '\0' ?
		    ' ' : '-');
		assert_true(strcspn(line, "\r") <= 510);
		if (plain)
			continue;
		if (sscanf(line + 4, "%u.%u.%u ", &class, &subject,
		    &detail) != 3)
			fail_msg("no enhanced code: %s", reply);
		assert_int_equal(class, code / 100);
		assert_true(is_registered(subject, detail));
		if (line == reply)
			first = subject * 100 + detail;
		assert_int_equal(subject * 100 + detail, first);
	}
}

/* Read until a reply is whole; NULL when the connection ended. */
static char *
client_hear(struct world *world, struct client *client)
{
	int64_t until = wire_now_ms() + PATIENCE_MS;
	char octets[65537], *reply;
	size_t len;
	ssize_t n;

	while ((len = reply_len(&client->in)) == 0) {
		if (wire_now_ms() > until)
			fail_msg("nothing was heard");
		if (!pump(world, client->fd, 50))
			continue;
		n = recv(client->fd, octets, sizeof(octets) - 1, 0);
		if (n <= 0) {
			client->ended = true;
			assert_int_equal(client->in.len, 0);
			return NULL;
		}
		buffer_add(&client->in, (struct slice){ octets, (size_t)n });
	}
	reply = mem_alloc(len + 1);
	memcpy(reply, client->in.text, len);
	memmove(client->in.text, client->in.text + len,
	    client->in.len - len + 1);
	client->in.len -= len;
	check_reply(reply);
	return reply;
}

/* The next reply begins so; "end": there is none. */
static void
client_expect(struct world *world, struct client *client, const char *begins)
{
	char *reply = client_hear(world, client);

	if (strcmp(begins, "end") == 0) {
		if (reply != NULL)
			fail_msg("expected the end, heard %s", reply);
		return;
	}
	if (reply == NULL)
		fail_msg("expected %s, the connection ended", begins);
	if (strncmp(reply, begins, strlen(begins)) != 0)
		fail_msg("expected %s, heard %s", begins, reply);
	free(reply);
}

/* Nothing is said to this client for a while. */
static MAYBE_UNUSED void
client_expect_silence(struct world *world, struct client *client)
{
	int64_t until = wire_now_ms() + 100;

	while (wire_now_ms() < until)
		if (pump(world, client->fd, 10))
			fail_msg("something was said");
}

enum manner {
	LINE_BY_LINE,		/* each line in its own segment */
	IN_BURSTS,		/* all up to the next reply in one */
	DRIBBLING		/* octet by octet; of a local client */
};

static void
speak(struct world *world, struct client *client, struct slice octets,
    enum manner manner)
{
	if (manner == DRIBBLING)
		client_dribble(world, client, octets);
	else
		client_send(client, octets);
}

/* Play a dialogue. */
static MAYBE_UNUSED void
play(struct world *world, struct client *client, const char *script,
    enum manner manner)
{
	struct slice rest = slice_of(script), line;
	struct buffer out = { NULL, 0, 0 };
	char expected[512];

	while (rest.len > 0) {
		line = slice_cut(&rest, '\n');
		if (slice_begins(line, SLICE("> "))) {
			buffer_add(&out, (struct slice){ line.at + 2,
			    line.len - 2 });
			buffer_add(&out, SLICE("\r\n"));
			if (manner == IN_BURSTS &&
			    slice_begins(rest, SLICE("> ")))
				continue;
			speak(world, client, (struct slice){ out.text,
			    out.len }, manner);
			buffer_free(&out);
		} else {
			assert_true(slice_begins(line, SLICE("< ")));
			assert_true(slice_store((struct slice){ line.at + 2,
			    line.len - 2 }, expected, sizeof(expected)));
			client_expect(world, client, expected);
		}
	}
}

/* Is this in the log? */
static MAYBE_UNUSED bool
logged(const struct world *world, const char *text)
{
	return world->log.text != NULL &&
	    strstr(world->log.text, text) != NULL;
}

/* The message behind our Received field. */
static MAYBE_UNUSED const char *
after_received(const struct mail *mail)
{
	const char *at = mail->body.text;

	assert_memory_equal(at, "Received: ", 10);
	do
		at = strstr(at, "\r\n") + 2;
	while (*at == '\t');
	return at;
}

#endif
