/*
 * Under which account does a program run, and how does it get there?
 *
 * The owner of the spool is the relay's owner.  Where that is the account
 * `culver` and there is `culver-net` too, programs that own no file take the
 * latter; else all take the owner's.  Without root everything keeps the
 * caller's.
 */
#ifndef CULVER_ACCOUNT_H
#define CULVER_ACCOUNT_H

#include "mem.h"

#include <stdbool.h>
#include <sys/types.h>

#define ACCOUNT_OWNER	"culver"
#define ACCOUNT_NET	"culver-net"

struct account {
	uid_t	uid;
	gid_t	gid;
};

/*
 * The relay's owner, by the spool.  Local I/O (NSS).  False with a sentence
 * in *error when the spool cannot be looked at, or is root's and we are root.
 */
bool	account_owner(const char *spool, struct account *,
	    struct buffer *error);
/*
 * The account of a missing spool's future owner, when we are root: `culver`.
 * Local I/O (NSS).  False with a sentence in *error when there is none.
 */
bool	account_default(struct account *, struct buffer *error);
/* The account for programs that own no file.  Local I/O (NSS). */
void	account_net(const struct account *owner, struct account *);
/*
 * Become this account for good, keeping one capability, CAP_SYS_CHROOT, even
 * across exec: proc_confine uses it and gives it up.  When we are not root
 * nothing changes.  -1 with errno when the kernel refuses.
 */
int	account_become(const struct account *);
/* Give up every capability.  -1 with errno when the kernel refuses. */
int	account_drop_capabilities(void);
/*
 * Keep only these capabilities (a mask of 1 << CAP_...), now and in all that
 * is executed from here.  -1 with errno when the kernel refuses.
 */
int	account_keep_capabilities(uint64_t mask);

#endif
