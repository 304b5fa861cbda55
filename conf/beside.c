/*
 * Where do the private programs lie?
 *
 * Called by culverd and culverctl.  A program is opened once and executed by
 * its descriptor: what culverd restarts is what it started with, also after an
 * upgrade and where its later self may not walk the path any more.
 */
#include "conf/beside.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int
beside_open(enum program program)
{
	static const char *const places[] = {
		"../libexec/culver", "../libexec"
	};
	char self[PATH_MAX], path[PATH_MAX + 64];
	ssize_t len;
	size_t i;
	int fd = -1;

	len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (len <= 0)
		return -1;
	self[len] = '\0';
	*strrchr(self, '/') = '\0';
	for (i = 0; i < 2 && fd == -1; i++) {
		snprintf(path, sizeof(path), "%s/%s/%s", self, places[i],
		    program_name(program));
		fd = open(path, O_PATH | O_CLOEXEC);
	}
	return fd;
}

void
beside_execute(int fd, char *const *argv)
{
	syscall(SYS_execveat, fd, "", argv, environ, AT_EMPTY_PATH);
}
