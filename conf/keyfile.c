/*
 * Is this file a private key that may sign, and that nobody else reads?
 *
 * Called by culverd when it reads its configuration.  What the file holds is
 * said by culver-sign (`culver-sign ctl key`, the file as standard input), so
 * that no key is parsed here and no key enters this process.  Blocks until the
 * caller's deadline at most.  Whose the file may be keyline.c says.
 */
#include "conf/keyfile.h"

#include "conf/beside.h"
#include "conf/keyline.h"
#include "conf/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANSWER_MAX	512

/* ---- what culver-sign says ---- */

struct asked {
	pid_t	pid;
	int	fd[2];			/* its standard output and error */
	size_t	len[2];
	char	text[2][ANSWER_MAX];
};

/* In the new process, until it is culver-sign. */
static void
become_sign(int program_fd, int key_fd, int out_fd, int error_fd)
{
	char name[] = "culver-sign", ctl[] = "ctl", key[] = "key";
	char *argv[] = { name, ctl, key, NULL };

	if (dup2(key_fd, STDIN_FILENO) != -1 &&
	    dup2(out_fd, STDOUT_FILENO) != -1 &&
	    dup2(error_fd, STDERR_FILENO) != -1)
		beside_execute(program_fd, argv);
	_exit(127);
}

/* Start it; false: errno says why not. */
static bool
begin(struct asked *asked, int program_fd, int key_fd)
{
	int out[2], error[2];

	if (pipe2(out, O_CLOEXEC) != 0)
		return false;
	if (pipe2(error, O_CLOEXEC) != 0) {
		close(out[0]);
		close(out[1]);
		return false;
	}
	asked->pid = fork();
	if (asked->pid == 0)
		become_sign(program_fd, key_fd, out[1], error[1]);
	close(out[1]);
	close(error[1]);
	asked->fd[0] = out[0];
	asked->fd[1] = error[0];
	if (asked->pid != -1)
		return true;
	close(out[0]);
	close(error[0]);
	return false;
}

/* Read what one of the two has; more than fits is thrown away. */
static void
take(struct asked *asked, unsigned which)
{
	char octets[ANSWER_MAX];
	size_t room = ANSWER_MAX - 1 - asked->len[which];
	ssize_t n = read(asked->fd[which], octets, sizeof(octets));

	if (n <= 0) {
		close(asked->fd[which]);
		asked->fd[which] = -1;
		return;
	}
	if ((size_t)n < room)
		room = (size_t)n;
	memcpy(asked->text[which] + asked->len[which], octets, room);
	asked->len[which] += room;
}

/* Until both are at their end; false: the deadline came first. */
static bool
listen_to(struct asked *asked, int64_t deadline_ms)
{
	struct pollfd ready[2];
	int64_t left_ms;
	unsigned i;

	while (asked->fd[0] != -1 || asked->fd[1] != -1) {
		left_ms = deadline_ms - wire_now_ms();
		if (left_ms <= 0)
			return false;
		for (i = 0; i < 2; i++)
			ready[i] = (struct pollfd){ asked->fd[i], POLLIN, 0 };
		if (poll(ready, 2, (int)left_ms) <= 0)
			continue;
		for (i = 0; i < 2; i++)
			if (asked->fd[i] != -1 && ready[i].revents != 0)
				take(asked, i);
	}
	return true;
}

/* Its exit status; -1: it was killed, or had to be. */
static int
end(struct asked *asked, bool in_time)
{
	int status = 0;
	unsigned i;

	for (i = 0; i < 2; i++)
		if (asked->fd[i] != -1)
			close(asked->fd[i]);
	if (!in_time)
		kill(asked->pid, SIGKILL);
	while (waitpid(asked->pid, &status, 0) == -1 && errno == EINTR)
		continue;
	return in_time && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* {"type":"rsa","bits":2048} */
static bool
parse_answer(const char *text, struct keyfile *found)
{
	static const char type[] = "\"type\":\"", bits[] = "\"bits\":";
	const char *at = strstr(text, type);
	struct slice word;
	uint64_t number;

	if (at == NULL)
		return false;
	at += sizeof(type) - 1;
	if (!slice_store((struct slice){ at, strcspn(at, "\"") }, found->type,
	    sizeof(found->type)))
		return false;
	at = strstr(text, bits);
	if (at == NULL)
		return false;
	at += sizeof(bits) - 1;
	word = (struct slice){ at, strspn(at, "0123456789") };
	if (!slice_number(word, 1000000, &number))
		return false;
	found->bits = (unsigned)number;
	return true;
}

/* What it said is wrong, in one line. */
static void
say_refusal(const struct asked *asked, int status, const char *file,
    struct buffer *why)
{
	struct slice text = slice_of(asked->text[1]);

	text = slice_cut(&text, '\n');
	if (slice_begins(text, SLICE("culver-sign: ")))
		text = (struct slice){ text.at + 13, text.len - 13 };
	buffer_printf(why, "%s: ", file);
	if (status == -1)
		buffer_printf(why, "culver-sign did not say what key it is");
	else if (text.len == 0)
		buffer_printf(why, "culver-sign refuses it (status %d)",
		    status);
	else
		buffer_add(why, text);
	buffer_printf(why, "; accepted: an RSA (%d bits or more) or Ed25519 "
	    "private key in PEM (culverctl dkim generate makes one)",
	    KEYFILE_RSA_LEAST);
}

static bool
ask_sign(int program_fd, int key_fd, const char *file, int64_t deadline_ms,
    struct keyfile *found, struct buffer *why)
{
	struct asked asked = { .pid = -1 };
	int status;

	if (!begin(&asked, program_fd, key_fd)) {
		buffer_printf(why, "culver-sign cannot be started: %s",
		    strerror(errno));
		return false;
	}
	status = end(&asked, listen_to(&asked, deadline_ms));
	if (status == 0 && parse_answer(asked.text[0], found))
		return true;
	say_refusal(&asked, status, file, why);
	return false;
}

/* DKIM-8301-3.2-1 RFC 8301 3.2 */
static bool
is_strong(const struct keyfile *found, const char *file, struct buffer *why)
{
	if (strcmp(found->type, "rsa") != 0 ||
	    found->bits >= KEYFILE_RSA_LEAST)
		return true;
	buffer_printf(why, "%s is an RSA key of %u bits, which verifiers "
	    "refuse (RFC 8301 3.2); accepted: %d bits or more, %d are "
	    "recommended", file, found->bits, KEYFILE_RSA_LEAST,
	    KEYFILE_RSA_GOOD);
	return false;
}

bool
keyfile_check(int program_fd, const char *file, int64_t deadline_ms,
    struct keyfile *found, struct buffer *why)
{
	bool good;
	int fd;

	memset(found, 0, sizeof(*found));
	/* What is no file is not waited for. */
	fd = open(file, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd == -1) {
		buffer_printf(why, "%s: %s; accepted: a private key that "
		    "culverd can read (culverctl dkim generate makes one)",
		    file, strerror(errno));
		return false;
	}
	good = keyline_look(fd, file, why) == KEYLINE_PRIVATE &&
	    ask_sign(program_fd, fd, file, deadline_ms, found, why) &&
	    is_strong(found, file, why);
	close(fd);
	return good;
}
