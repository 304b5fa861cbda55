/*
 * How do a mail and a document get into the pipe that queue or fetch reads?
 *
 * Called by mailer.c and poster.c.  States: writing; over (closed, the call
 * was made or is being made).  Knows nothing of what it writes.
 */
#include "reports/pour.h"

#include "conf/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define WRITES_A_WAKE	16

struct pour {
	int		 fd;		/* -1: over */
	struct watch	*watch;
	struct slice	 left;
	void		(*call)(void *, bool);
	void		*context;
};

static void
end(struct pour *pour, bool whole)
{
	watch_free(&pour->watch);
	close(pour->fd);
	pour->fd = -1;
	/* The last thing: the callee may free us. */
	pour->call(pour->context, whole);
}

static void
on_writable(void *context, int what)
{
	struct pour *pour = context;
	unsigned n;
	ssize_t written;

	(void)what;
	for (n = 0; n < WRITES_A_WAKE && pour->left.len > 0; n++) {
		written = write(pour->fd, pour->left.at, pour->left.len);
		if (written == -1 && (errno == EAGAIN || errno == EINTR))
			return;
		if (written == -1) {
			end(pour, false);
			return;
		}
		pour->left.at += written;
		pour->left.len -= (size_t)written;
	}
	if (pour->left.len == 0)
		end(pour, true);
}

void
pour_pipe(int ends[2])
{
	if (pipe2(ends, O_CLOEXEC) == -1 ||
	    fcntl(ends[1], F_SETFL, O_NONBLOCK) == -1)
		fatal("pipe");
}

struct pour *
pour_new(struct loop *loop, int fd, struct slice octets,
    void (*call)(void *context, bool whole), void *context)
{
	struct pour *pour = mem_alloc(sizeof(*pour));

	pour->fd = fd;
	pour->left = octets;
	pour->call = call;
	pour->context = context;
	pour->watch = watch_new(loop, fd, WATCH_WRITE, on_writable, pour);
	return pour;
}

void
pour_free(struct pour **pour)
{
	if (*pour == NULL)
		return;
	watch_free(&(*pour)->watch);
	if ((*pour)->fd != -1)
		close((*pour)->fd);
	free(*pour);
	*pour = NULL;
}
