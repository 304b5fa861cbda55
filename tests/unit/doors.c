/*
 * conf/doors.c: listeners that come, stay and go; local sockets, who calls on
 * them, and what a dead relay left.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conf/doors.h"
#include "conf/log.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- a culverd that notes ---- */

static struct {
	struct buffer		 told;	/* "+local 127.0.0.1:1 -3 " */
	unsigned		 calls;
	struct p_connection	 who;
	enum program		 program;
	int			 fd;
	bool			 refuse;
} seen;

static char folder[] = "/tmp/culver-doors-XXXXXX";

static void
on_listen(void *context, const char *class, const struct p_listener *listener,
    int fd)
{
	int on = 0;
	socklen_t len = sizeof(on);

	(void)context;
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on,
	    &len), 0);
	assert_int_equal(on, 1);
	buffer_printf(&seen.told, "+%u %s %s;", listener->number, class,
	    listener->address);
}

static void
on_unlisten(void *context, uint32_t number)
{
	(void)context;
	buffer_printf(&seen.told, "-%u;", number);
}

static bool
on_connection(void *context, enum program program,
    const struct p_connection *who, int fd)
{
	(void)context;
	seen.calls++;
	seen.who = *who;
	seen.program = program;
	seen.fd = seen.refuse ? -1 : fd;
	return !seen.refuse;
}

static const struct doors_calls calls = {
	.listen = on_listen, .unlisten = on_unlisten,
	.connection = on_connection
};

static void
forget(void)
{
	buffer_free(&seen.told);
	memset(&seen, 0, sizeof(seen));
	seen.fd = -1;
}

static const char *
told(void)
{
	return seen.told.text != NULL ? seen.told.text : "";
}

/* A port of 127.0.0.1 that nobody has. */
static uint16_t
free_port(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&address,
	    sizeof(address)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len),
	    0);
	close(fd);
	return ntohs(address.sin_port);
}

static struct config *
config_with(const char *const *listeners)
{
	struct buffer error = { NULL, 0, 0 };
	struct config *config = config_new();
	char path[64];

	for (; *listeners != NULL; listeners++)
		assert_true(config_set(config, "listen", *listeners, &error));
	snprintf(path, sizeof(path), "%s/run/control", folder);
	assert_true(config_set(config, "control", path, &error));
	snprintf(path, sizeof(path), "%s/run/submit", folder);
	assert_true(config_set(config, "submit-socket", path, &error));
	return config;
}

static bool
answers(uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
	    .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), result;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	result = connect(fd, (struct sockaddr *)&address, sizeof(address));
	close(fd);
	return result == 0;
}

/* ---- listeners ---- */

static void
test_listeners_come_and_go(void **unused)
{
	struct buffer error = { NULL, 0, 0 };
	struct loop *loop = loop_new();
	struct doors *doors = doors_new(loop, 1, &calls, NULL);
	uint16_t a = free_port(), b = free_port(), c = free_port();
	char text[3][64], expected[256];
	const char *first[] = { text[0], text[1], NULL };
	const char *second[] = { text[1], text[2], NULL };
	struct config *config;

	(void)unused;
	forget();
	snprintf(text[0], sizeof(text[0]), "127.0.0.1:%u", a);
	snprintf(text[1], sizeof(text[1]), "127.0.0.1:%u", b);
	snprintf(text[2], sizeof(text[2]), "0.0.0.0:%u", c);
	config = config_with(first);
	assert_true(doors_listen(doors, config, 0, &error));
	config_free(&config);
	snprintf(expected, sizeof(expected), "+2 local 127.0.0.1:%u;"
	    "+1 local 127.0.0.1:%u;", b, a);
	assert_string_equal(told(), expected);
	assert_true(answers(a) && answers(b) && !answers(c));
	assert_int_equal(doors_count(doors), 2);
	forget();
	config = config_with(second);
	assert_true(doors_listen(doors, config, 0, &error));
	config_free(&config);
	/* The one that stays is not mentioned. */
	snprintf(expected, sizeof(expected), "-1;+3 open 0.0.0.0:%u;", c);
	assert_string_equal(told(), expected);
	assert_true(!answers(a) && answers(b) && answers(c));
	assert_int_equal(doors_count(doors), 2);
	doors_free(&doors);
	loop_free(&loop);
	assert_true(!answers(b) && !answers(c));
	forget();
}

/* One that cannot be had: nothing changes. */
static void
test_bad_listener_changes_nothing(void **unused)
{
	struct buffer error = { NULL, 0, 0 };
	struct loop *loop = loop_new();
	struct doors *doors = doors_new(loop, 1, &calls, NULL);
	uint16_t a = free_port(), b = free_port();
	char text[2][64];
	const char *first[] = { text[0], NULL };
	const char *second[] = { text[1], "192.0.2.77:25", NULL };
	struct config *config;

	(void)unused;
	forget();
	snprintf(text[0], sizeof(text[0]), "127.0.0.1:%u", a);
	snprintf(text[1], sizeof(text[1]), "127.0.0.1:%u", b);
	config = config_with(first);
	assert_true(doors_listen(doors, config, 0, &error));
	config_free(&config);
	forget();
	config = config_with(second);
	assert_false(doors_listen(doors, config, 0, &error));
	assert_non_null(strstr(error.text, "listen 192.0.2.77 port 25: "));
	assert_string_equal(told(), "");
	assert_true(answers(a));
	assert_false(answers(b));
	buffer_free(&error);
	/* As a default it is skipped. */
	config->listeners[1].optional = true;
	assert_true(doors_listen(doors, config, 0, &error));
	assert_true(answers(b));
	assert_int_equal(doors_count(doors), 1);
	config_free(&config);
	doors_free(&doors);
	loop_free(&loop);
	forget();
}

static unsigned said_in_use;

static void
note_in_use(void *unused, enum log_level level, const char *line)
{
	(void)unused;
	(void)level;
	said_in_use += strstr(line, ": another program has it; it is tried "
	    "again for 1 s") != NULL;
}

static void
test_address_in_use(void **unused)
{
	struct buffer error = { NULL, 0, 0 };
	struct loop *loop = loop_new();
	struct doors *one = doors_new(loop, 1, &calls, NULL);
	struct doors *two = doors_new(loop, 1, &calls, NULL);
	char text[64];
	const char *both[] = { text, NULL };
	struct config *config;
	int64_t begun_ms = loop_now_ms();

	(void)unused;
	forget();
	snprintf(text, sizeof(text), "127.0.0.1:%u", free_port());
	config = config_with(both);
	assert_true(doors_listen(one, config, 0, &error));
	/* A default that is in use is no address that lacks. */
	config->listeners[0].optional = true;
	said_in_use = 0;
	log_set_level(LOG_LEVEL_INFO);
	log_to(note_in_use, NULL);
	assert_false(doors_listen(two, config, 300, &error));
	log_to(log_stderr, NULL);
	log_set_level(LOG_LEVEL_ERROR);
	/* What the operator waits for is said, once. */
	assert_int_equal(said_in_use, 1);
	assert_non_null(strstr(error.text, "Address already in use"));
	assert_in_range(loop_now_ms() - begun_ms, 300, 2000);
	buffer_free(&error);
	config_free(&config);
	doors_free(&one);
	doors_free(&two);
	loop_free(&loop);
	forget();
}

/* While listeners are changed back and forth, one that stays takes all. */
static void
test_no_connection_is_refused(void **unused)
{
	struct buffer error = { NULL, 0, 0 };
	struct loop *loop = loop_new();
	struct doors *doors = doors_new(loop, 1, &calls, NULL);
	uint16_t a = free_port(), b = free_port();
	char text[2][64];
	const char *one[] = { text[0], NULL };
	const char *two[] = { text[1], text[0], NULL };
	struct config *configs[2];
	int i;

	(void)unused;
	forget();
	snprintf(text[0], sizeof(text[0]), "127.0.0.1:%u", a);
	snprintf(text[1], sizeof(text[1]), "127.0.0.1:%u", b);
	configs[0] = config_with(one);
	configs[1] = config_with(two);
	for (i = 0; i < 100; i++) {
		assert_true(doors_listen(doors, configs[i % 2], 0, &error));
		assert_true(answers(a));
		assert_int_equal(answers(b), i % 2);
	}
	config_free(&configs[0]);
	config_free(&configs[1]);
	doors_free(&doors);
	loop_free(&loop);
	forget();
}

/* ---- local sockets ---- */

static int
call_on(const char *name, int type)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/run/%s",
	    folder, name);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

static void
turns(struct loop *loop)
{
	int i;

	for (i = 0; i < 10; i++)
		loop_turn(loop, false);
}

static struct doors *
open_local(struct loop *loop, uid_t owner)
{
	const char *none[] = { NULL };
	struct buffer error = { NULL, 0, 0 };
	struct config *config = config_with(none);
	struct doors *doors = doors_new(loop, owner, &calls, NULL);

	if (!doors_open_local(doors, config, &error))
		fail_msg("%s", error.text);
	config_free(&config);
	return doors;
}

static void
test_local_callers(void **unused)
{
	struct loop *loop = loop_new();
	struct doors *doors = open_local(loop, geteuid());
	struct stat status;
	char path[64];
	int fd;

	(void)unused;
	forget();
	snprintf(path, sizeof(path), "%s/run/submit", folder);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0666);
	/* sendmail: passed on at once. */
	fd = call_on("submit", SOCK_STREAM);
	assert_true(fd >= 0);
	turns(loop);
	assert_int_equal(seen.calls, 1);
	assert_int_equal(seen.program, PROGRAM_SMTPD);
	assert_int_equal(seen.who.socket, PROC_SUBMIT);
	assert_int_equal(seen.who.uid, geteuid());
	assert_int_equal(seen.who.gid, getegid());
	assert_true(seen.who.admin);
	close(seen.fd);
	close(fd);
	/* culverctl: when it has said whom it wants. */
	fd = call_on("control", SOCK_SEQPACKET);
	turns(loop);
	assert_int_equal(seen.calls, 1);
	assert_int_equal(send(fd, "\003", 1, 0), 1);
	assert_int_equal(send(fd, "more", 4, 0), 4);
	turns(loop);
	assert_int_equal(seen.calls, 2);
	assert_int_equal(seen.program, PROGRAM_QUEUE);
	assert_int_equal(seen.who.socket, PROC_CONTROL);
	assert_int_equal(recv(seen.fd, path, sizeof(path), 0), 4);
	close(seen.fd);
	close(fd);
	doors_close_local(doors);
	assert_int_equal(call_on("submit", SOCK_STREAM), -1);
	snprintf(path, sizeof(path), "%s/run/control", folder);
	assert_int_not_equal(stat(path, &status), 0);
	doors_free(&doors);
	loop_free(&loop);
}

/* Refused, nonsense, gone: closed, and nothing is left. */
static void
test_local_callers_that_are_closed(void **unused)
{
	struct loop *loop = loop_new();
	struct doors *doors = open_local(loop, 1);
	char octet;
	int fd;

	(void)unused;
	forget();
	seen.refuse = true;
	fd = call_on("submit", SOCK_STREAM);
	turns(loop);
	assert_int_equal(recv(fd, &octet, 1, 0), 0);
	close(fd);
	fd = call_on("control", SOCK_SEQPACKET);
	assert_int_equal(send(fd, "\003", 1, 0), 1);
	turns(loop);
	assert_int_equal(recv(fd, &octet, 1, 0), 0);
	close(fd);
	assert_int_equal(seen.calls, 2);
	fd = call_on("control", SOCK_SEQPACKET);
	assert_int_equal(send(fd, "\003\003", 2, 0), 2);
	turns(loop);
	assert_int_equal(recv(fd, &octet, 1, 0), 0);
	close(fd);
	fd = call_on("control", SOCK_SEQPACKET);
	close(fd);
	turns(loop);
	assert_int_equal(seen.calls, 2);
	doors_free(&doors);
	loop_free(&loop);
}

/* Whoever is silent longest makes room. */
static void
test_silent_callers_are_bounded(void **unused)
{
	struct loop *loop = loop_new();
	struct doors *doors = open_local(loop, 1);
	int fd[65], i;
	char octet;

	(void)unused;
	forget();
	for (i = 0; i < 64; i++) {
		fd[i] = call_on("control", SOCK_SEQPACKET);
		turns(loop);
	}
	assert_int_equal(recv(fd[0], &octet, 1, MSG_DONTWAIT), -1);
	fd[64] = call_on("control", SOCK_SEQPACKET);
	turns(loop);
	assert_int_equal(recv(fd[0], &octet, 1, MSG_DONTWAIT), 0);
	for (i = 1; i < 65; i++)
		assert_int_equal(recv(fd[i], &octet, 1, MSG_DONTWAIT), -1);
	assert_int_equal(send(fd[64], "\003", 1, 0), 1);
	turns(loop);
	assert_int_equal(seen.calls, 1);
	close(seen.fd);
	for (i = 0; i < 65; i++)
		close(fd[i]);
	doors_free(&doors);
	loop_free(&loop);
}

static void
test_who_administers(void **unused)
{
	struct loop *loop = loop_new();
	struct doors *doors = open_local(loop, geteuid() + 1);
	int fd;

	(void)unused;
	forget();
	fd = call_on("submit", SOCK_STREAM);
	turns(loop);
	assert_int_equal(seen.who.admin, geteuid() == 0);
	close(seen.fd);
	close(fd);
	doors_admin_group(doors, true, getegid());
	fd = call_on("submit", SOCK_STREAM);
	turns(loop);
	assert_true(seen.who.admin);
	close(seen.fd);
	close(fd);
	doors_admin_group(doors, true, getegid() + 12345);
	fd = call_on("submit", SOCK_STREAM);
	turns(loop);
	assert_int_equal(seen.who.admin, geteuid() == 0);
	close(seen.fd);
	close(fd);
	doors_free(&doors);
	loop_free(&loop);
}

/* ---- what stands there already ---- */

static bool
opens(struct loop *loop, struct buffer *error)
{
	const char *none[] = { NULL };
	struct config *config = config_with(none);
	struct doors *doors = doors_new(loop, 1, &calls, NULL);
	bool opened = doors_open_local(doors, config, error);

	doors_free(&doors);
	config_free(&config);
	return opened;
}

static void
test_stale_and_answering_sockets(void **unused)
{
	struct buffer error = { NULL, 0, 0 };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct loop *loop = loop_new();
	struct doors *doors;
	char expected[128];
	FILE *file;
	int fd;

	(void)unused;
	/* A dead relay's. */
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/run/control",
	    folder);
	fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address,
	    sizeof(address)), 0);
	close(fd);
	assert_true(opens(loop, &error));
	/* A living one's, and one of another kind. */
	doors = open_local(loop, 1);
	assert_false(opens(loop, &error));
	snprintf(expected, sizeof(expected), "another program (pid %d) "
	    "answers on %s/run/control", (int)getpid(), folder);
	assert_string_equal(error.text, expected);
	buffer_free(&error);
	doors_free(&doors);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address,
	    sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_false(opens(loop, &error));
	buffer_free(&error);
	close(fd);
	unlink(address.sun_path);
	/* No socket at all is not removed. */
	file = fopen(address.sun_path, "w");
	fclose(file);
	assert_false(opens(loop, &error));
	assert_non_null(strstr(error.text, "exists and is not a socket"));
	buffer_free(&error);
	assert_int_equal(unlink(address.sun_path), 0);
	loop_free(&loop);
}

static int
make_folder(void **unused)
{
	(void)unused;
	log_start("test");
	log_set_level(LOG_LEVEL_ERROR);
	return mkdtemp(folder) == NULL;
}

static int
remove_folder(void **unused)
{
	char command[128];

	(void)unused;
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_listeners_come_and_go),
		cmocka_unit_test(test_bad_listener_changes_nothing),
		cmocka_unit_test(test_address_in_use),
		{ "SMTP-4.5.4.2-1 a listener that stays refuses nobody "
		  "during a reload", test_no_connection_is_refused, NULL,
		  NULL, NULL },
		cmocka_unit_test(test_local_callers),
		cmocka_unit_test(test_local_callers_that_are_closed),
		cmocka_unit_test(test_silent_callers_are_bounded),
		cmocka_unit_test(test_who_administers),
		cmocka_unit_test(test_stale_and_answering_sockets),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
