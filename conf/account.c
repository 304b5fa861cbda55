/*
 * Under which account does a program run, and how does it get there?
 *
 * Called by culverd, before it starts a program, and by proc for programs that
 * run alone (`ctl`).  The change is made before exec, so that no private
 * program ever runs a line as root.  It makes no account.
 */
#include "conf/account.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The group to go with a spool's owner: its account's, never root's. */
static gid_t
group_of(const struct stat *spool)
{
	const struct passwd *entry = getpwuid(spool->st_uid);

	if (entry != NULL && entry->pw_gid != 0)
		return entry->pw_gid;
	return spool->st_gid != 0 ? spool->st_gid : (gid_t)spool->st_uid;
}

bool
account_owner(const char *spool, struct account *account,
    struct buffer *error)
{
	struct stat status;

	if (stat(spool, &status) != 0) {
		buffer_printf(error, "spool %s: %s", spool, strerror(errno));
		return false;
	}
	if (!S_ISDIR(status.st_mode)) {
		buffer_printf(error, "spool %s is not a folder", spool);
		return false;
	}
	if (geteuid() != 0) {
		*account = (struct account){ geteuid(), getegid() };
		return true;
	}
	if (status.st_uid == 0) {
		buffer_printf(error, "the spool %s belongs to root, and culver "
		    "does not run as root; give it away: chown -R nobody %s",
		    spool, spool);
		return false;
	}
	*account = (struct account){ status.st_uid, group_of(&status) };
	return true;
}

bool
account_default(struct account *account, struct buffer *error)
{
	const struct passwd *entry = getpwnam(ACCOUNT_OWNER);

	if (entry == NULL || entry->pw_uid == 0) {
		buffer_add(error, SLICE("there is no account " ACCOUNT_OWNER
		    " to own the spool; make it: useradd --system "
		    "--user-group " ACCOUNT_OWNER));
		return false;
	}
	*account = (struct account){ entry->pw_uid, entry->pw_gid };
	return true;
}

void
account_net(const struct account *owner, struct account *account)
{
	const struct passwd *entry;

	*account = *owner;
	entry = getpwnam(ACCOUNT_OWNER);
	if (geteuid() != 0 || entry == NULL || entry->pw_uid != owner->uid)
		return;
	entry = getpwnam(ACCOUNT_NET);
	if (entry != NULL && entry->pw_uid != 0)
		*account = (struct account){ entry->pw_uid, entry->pw_gid };
}

static int
set_capabilities(uint64_t mask)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	struct __user_cap_data_struct data[2];
	unsigned i;

	for (i = 0; i < 2; i++) {
		data[i].permitted = (uint32_t)(mask >> 32 * i);
		data[i].effective = data[i].permitted;
		data[i].inheritable = data[i].permitted;
	}
	return (int)syscall(SYS_capset, &header, data);
}

int
account_become(const struct account *account)
{
	const uint64_t chroot_only = 1ull << CAP_SYS_CHROOT;

	if (geteuid() != 0)
		return 0;
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 ||
	    setgroups(0, NULL) != 0 ||
	    setresgid(account->gid, account->gid, account->gid) != 0 ||
	    setresuid(account->uid, account->uid, account->uid) != 0)
		return -1;
	/* A container may not have given us that one: then no chroot. */
	if (set_capabilities(chroot_only) != 0 || prctl(PR_CAP_AMBIENT,
	    PR_CAP_AMBIENT_RAISE, CAP_SYS_CHROOT, 0, 0) != 0)
		return set_capabilities(0);
	return 0;
}

int
account_drop_capabilities(void)
{
	return set_capabilities(0);
}

int
account_keep_capabilities(uint64_t mask)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	struct __user_cap_data_struct now[2];
	int capability, held;

	if (syscall(SYS_capget, &header, now) != 0)
		return -1;
	/* What a container did not give us cannot be kept. */
	mask &= now[0].permitted | (uint64_t)now[1].permitted << 32;
	for (capability = 0;; capability++) {
		held = prctl(PR_CAPBSET_READ, capability, 0, 0, 0);
		if (held == -1)
			break;
		/* Without CAP_SETPCAP not; no program of ours runs as root. */
		if (held == 1 && !(mask >> capability & 1) &&
		    prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0 &&
		    errno != EPERM)
			return -1;
	}
	return set_capabilities(mask);
}
