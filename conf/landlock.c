/*
 * How is a program kept to its own folder without being root?
 *
 * Called by proc_confine alone.  Debian 12's header is older than the kernels
 * that culver meets, so the few constants stand here; the kernel says which
 * version it speaks, and bits that it does not know are masked.
 */
#include "conf/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's structures: linux/landlock.h. */
struct ruleset {
	uint64_t	files;
	uint64_t	network;	/* version 4 */
	uint64_t	scoped;		/* version 6 */
};
struct path_rule {
	uint64_t	allowed;
	int32_t		fd;
} __attribute__((packed));

enum { ASK_VERSION = 1, RULE_PATH = 1 };

enum {
	FILE_WRITE = 1 << 1,
	FILE_READ = 1 << 2,
	FOLDER_READ = 1 << 3,
	REMOVE_FOLDER = 1 << 4,
	REMOVE_FILE = 1 << 5,
	MAKE_FOLDER = 1 << 7,
	MAKE_FILE = 1 << 8,
	REFER = 1 << 13,		/* version 2 */
	TRUNCATE = 1 << 14		/* version 3 */
};
enum { NETWORK_BIND = 1 << 0, NETWORK_CONNECT = 1 << 1 };
enum { SCOPE_ABSTRACT = 1 << 0, SCOPE_SIGNAL = 1 << 1 };

/* All rights on files that this version knows. */
static uint64_t
file_rights(int version)
{
	static const unsigned bits[] = { 0, 13, 14, 15, 15, 16 };

	return (1ull << bits[version < 5 ? version : 5]) - 1;
}

/* What a program may do in its own folder. */
static uint64_t
own_rights(int version)
{
	return file_rights(version) & (FILE_WRITE | FILE_READ | FOLDER_READ |
	    REMOVE_FOLDER | REMOVE_FILE | MAKE_FOLDER | MAKE_FILE | REFER |
	    TRUNCATE);
}

static int
allow(int ruleset_fd, const char *directory, uint64_t rights)
{
	struct path_rule rule = { .allowed = rights };
	int result, error;

	rule.fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (rule.fd == -1)
		return -1;
	result = (int)syscall(SYS_landlock_add_rule, ruleset_fd, RULE_PATH,
	    &rule, 0);
	error = errno;
	close(rule.fd);
	errno = error;
	return result;
}

int
landlock_confine(const char *directory, bool connects)
{
	struct ruleset ruleset = { 0, 0, 0 };
	int version, fd, result, error;

	version = (int)syscall(SYS_landlock_create_ruleset, NULL, 0,
	    ASK_VERSION);
	if (version < 1)
		return -1;
	ruleset.files = file_rights(version);
	if (version >= 4 && !connects)
		ruleset.network = NETWORK_BIND | NETWORK_CONNECT;
	if (version >= 6)
		ruleset.scoped = SCOPE_ABSTRACT | SCOPE_SIGNAL;
	/* An older kernel takes the longer structure: its end is zero. */
	fd = (int)syscall(SYS_landlock_create_ruleset, &ruleset,
	    sizeof(ruleset), 0);
	if (fd == -1)
		return -1;
	result = directory == NULL ? 0 :
	    allow(fd, directory, own_rights(version));
	if (result == 0)
		result = (int)syscall(SYS_landlock_restrict_self, fd, 0);
	error = errno;
	close(fd);
	errno = error;
	return result == 0 ? version : -1;
}
