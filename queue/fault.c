/*
 * Did the database fault over this store?
 *
 * Called by spool.c.  A damaged page can send the library anywhere, in
 * recovery as well, and then every start would end in the same way.  A fault
 * is told from all other deaths (killed, power lost, a limit) by who comes by:
 * nobody but the kernel or abort() delivers these signals.
 *
 * The state is global because signals are.
 */
#include "queue/fault.h"

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

static const int signals[] = { SIGSEGV, SIGBUS, SIGABRT };
#define SIGNALS_N	(sizeof(signals) / sizeof(signals[0]))

static struct {
	int			 dir_fd;
	const char		*name;
	char			 letter;
	bool			 watching;
	struct sigaction	 old[SIGNALS_N];
} fault = { .dir_fd = -1 };

/* Only calls that are safe here; then whoever was there before. */
static void
on_fault(int number)
{
	ssize_t written = 0;
	int fd;

	for (size_t i = 0; i < SIGNALS_N; i++)
		sigaction(signals[i], &fault.old[i], NULL);
	fd = fault.dir_fd == -1 ? -1 : openat(fault.dir_fd, fault.name,
	    O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd != -1)
		written = write(fd, &fault.letter, 1);
	(void)written;
	(void)number;
	/* The instruction is done again; abort() raises again itself. */
}

static void
install(void)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_handler = on_fault;
	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < SIGNALS_N; i++)
		sigaction(signals[i], &action, &fault.old[i]);
	fault.watching = true;
}

void
fault_watch(int dir_fd, const char *name, bool recovering)
{
	fault.name = name;
	fault.letter = recovering ? 'r' : 'f';
	fault.dir_fd = dir_fd;
	if (!fault.watching && dir_fd != -1)
		install();
}

bool
fault_in_recovery(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char letters[64];
	ssize_t len;

	if (fd == -1)
		return false;
	len = read(fd, letters, sizeof(letters));
	close(fd);
	return len > 0 && memchr(letters, 'r', (size_t)len) != NULL;
}
