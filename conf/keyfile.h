/*
 * Private keys that `dkim' lines name: may they sign?
 */
#ifndef CULVER_KEYFILE_H
#define CULVER_KEYFILE_H

#include "mem.h"

#include <stdbool.h>
#include <stdint.h>

/* RSA keys, in bits: less is refused, less is warned of (RFC 8301 3.2). */
#define KEYFILE_RSA_LEAST	1024
#define KEYFILE_RSA_GOOD	2048

struct keyfile {
	char		type[16];	/* "rsa", "ed25519" */
	unsigned	bits;
};

/*
 * Is file a key that may sign, and its owner's alone?  program_fd: culver-sign
 * (beside_open), which is run to say what it holds.  Local I/O; may block
 * until deadline_ms (wire_now_ms).  True: *found says what it is.  False: *why
 * has a sentence with the file and what is accepted appended.
 */
bool	keyfile_check(int program_fd, const char *file, int64_t deadline_ms,
	    struct keyfile *found, struct buffer *why);

#endif
