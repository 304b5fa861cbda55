/*
 * How a program of culver is started, confined and told what it is.
 *
 * The parent (culverd) forks and execs each private program with its end of
 * their link as descriptor 3 and the class as argv[1].  It sends settings,
 * descriptors and links, then P_GO; the program confines itself by its row of
 * the table in proc.c, says P_READY and serves.  Start and restart are the
 * same path.  Programs without a loop (fetch) use this header alone; others
 * add parent.h.
 */
#ifndef CULVER_PROC_H
#define CULVER_PROC_H

#include "config.h"
#include "wire.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PROC_PARENT_FD	3
#define CULVER_VERSION	"0.1"

enum program {
	PROGRAM_NONE,
	PROGRAM_PARENT,		/* culverd */
	PROGRAM_SMTPD,		/* culver-smtpd, class local or open */
	PROGRAM_QUEUE,		/* culver-queue */
	PROGRAM_POLICY,		/* culver-policy */
	PROGRAM_FETCH,		/* culver-fetch */
	PROGRAM_DELIVERY,	/* culver-delivery, the manager */
	PROGRAM_WORKER,		/* forked by culver-delivery */
	PROGRAM_REPORTS,	/* culver-reports, unless tls-report is off */
	PROGRAM_SIGN,		/* culver-sign, where there is a dkim line */
	PROGRAMS_N
};

/* "culver-queue"; the worker's is "culver-worker". */
const char	*program_name(enum program);

/* Messages between the parent and a program: see wire rows in proc.c. */
enum {
	/* parent to program */
	P_SETTING = 0x0101,	/* keyword and value; begin with P_SETTINGS */
	P_SETTINGS,		/* forget settings: a full set follows */
	P_SETTINGS_END,		/* the set is whole: use it */
	P_RESOLVERS,		/* nameservers of resolv.conf, for policy */
	P_CA,			/* fd: the CA bundle, for fetch, delivery */
	P_LINK,			/* fd: a link to that program, fresh */
	P_LISTENER,		/* fd: a listening socket, for smtpd */
	P_UNLISTEN,		/* stop accepting on that listener */
	P_CONNECTION,		/* fd: an accepted local connection */
	P_GO,			/* all is there: confine, say P_READY */
	P_STOP,			/* finish what is under way, then exit 0 */
	/* program to parent */
	P_READY,
	P_LOG,
	P_NEED,			/* fetch: start it; a peer: a fresh link */
	P_ALARM,		/* a standing alarm begins or ends */
	P_CONFINED,		/* one confinement step and how it went */
	/* parent to program, between P_SETTINGS and P_SETTINGS_END */
	P_KEY			/* fd: a private key, for sign */
};

struct p_setting {
	char		keyword[64];
	char		value[CONFIG_VALUE_MAX];
};
struct p_resolvers {
	char		text[1024];	/* "127.0.0.1:53 [::1]:53" */
};
struct p_key {
	char		domain[DOMAIN_TEXT_MAX];
	char		selector[64];
	char		file[256];	/* its name, for the log */
};	/* fd: the file, at its start */
struct p_program {			/* P_LINK, P_NEED */
	uint32_t	program;
};
struct p_listener {			/* P_LISTENER, P_UNLISTEN */
	uint32_t	number;		/* the parent's, for P_UNLISTEN */
	char		address[64];	/* "127.0.0.1:25", "[::1]:25" */
};
enum proc_socket { PROC_SUBMIT = 1, PROC_CONTROL = 2 };
struct p_connection {
	uint32_t	socket;		/* enum proc_socket */
	uint32_t	uid;		/* of the caller, seen by the kernel */
	uint32_t	gid;
	bool		admin;		/* root, owner or admin-group */
};
struct p_log {
	uint32_t	level;
	char		line[4096];
};
struct p_alarm {
	bool		standing;	/* false: it is over */
	char		what[64];	/* "disk", "resolver": the key */
	char		text[512];
};
struct p_confined {
	char		step[32];	/* "uid", "chroot", "landlock", ... */
	bool		done;
	char		text[256];	/* what holds now, or why not */
};
extern const struct wire_table proc_wire;

/*
 * Begin a private program: names its log lines, hands them to the parent,
 * reads settings and descriptors from PROC_PARENT_FD until P_GO.  Blocks
 * until then.  Ends the program when descriptor 3 is not such a link ("is
 * started by culverd").
 */
struct proc_start {
	enum program	 program;
	struct config	*config;	/* owned by the caller from now on */
	char		 resolvers[1024];	/* resolv.conf's, maybe "" */
	int		 ca_fd;		/* CA bundle, -1: none */
	struct proc_link {
		enum program	peer;
		int		fd;
	}		 links[16];
	size_t		 links_n;
	struct proc_listener {
		struct p_listener	listener;
		int			fd;
	}		 listeners[64];
	size_t		 listeners_n;
	struct proc_key {
		struct p_key	key;
		int		fd;
	}		 keys[16];
	size_t		 keys_n;
};
void	proc_begin(enum program, struct proc_start *);

/*
 * Give up what this program's row of the table does not allow: uid, chroot,
 * Landlock, rlimits, no_new_privs, seccomp.  Each step is told to the parent
 * (P_CONFINED); with `sandbox required` a refused step is fatal, with `off`
 * only the uid changes.  From here on nothing may be loaded lazily.
 * directory: the program's own folder under the spool (queue, policy), or
 * NULL; afterwards paths in it are to be opened as proc_path says.
 */
void	proc_confine(enum program, const struct config *,
	    const char *directory);
/*
 * The path by which a file of the program's own directory is opened after
 * confinement ("/" + name when chrooted, else directory/name).  Valid until
 * the next call.
 */
const char *proc_path(const char *name);
/* For programs that run without a parent (`ctl` mode): same row, no links. */
void	proc_confine_alone(enum program, const struct config *,
	    const char *directory);

/*
 * From now on log lines for the parent travel together, and go with the next
 * error or proc_log_singly: a turn that has hundreds of them pays for few
 * packets.
 */
void	proc_log_together(void);
void	proc_log_singly(void);

/* Tell the parent (blocking programs; those with a loop use parent.h). */
void	proc_send(unsigned kind, const void *message);

/*
 * The table, for `culverctl status --sandbox` and culver-sandbox(7): calls
 * once for each program with what its row allows, as words.
 */
void	proc_table(void (*call)(void *context, const char *program,
	    const char *user, const char *files, const char *network,
	    const char *system_calls), void *context);

#endif
