/*
 * The doors of the relay: TCP listeners, and the two local sockets on which
 * culverd itself accepts.
 */
#ifndef CULVER_DOORS_H
#define CULVER_DOORS_H

#include "control.h"
#include "proc.h"

struct doors;

struct doors_calls {
	/* A listener is open (its descriptor stays ours), or withdrawn. */
	void	(*listen)(void *context, const char *class,
		    const struct p_listener *, int fd);
	void	(*unlisten)(void *context, uint32_t number);
	/*
	 * A local caller, and for PROC_CONTROL the program it asks for.
	 * True: fd is taken over.
	 */
	bool	(*connection)(void *context, enum program,
		    const struct p_connection *, int fd);
};

/*
 * No door yet.  owner is the relay's owner, calls and context are borrowed
 * for ever.
 */
struct doors	*doors_new(struct loop *, uid_t owner,
		    const struct doors_calls *, void *context);
/*
 * Open what config asks for and is not open, withdraw what it does not ask
 * for any more; patience_ms: wait so long for an address in use (blocks).  A
 * default address that the machine lacks is skipped with a log line.  False
 * with a sentence in *error when a configured one cannot be had: then nothing
 * has changed.
 */
bool	 doors_listen(struct doors *, const struct config *,
	    int64_t patience_ms, struct buffer *error);
/*
 * Open the submit and control sockets, which anyone may connect to.  Local
 * I/O.  False with a sentence in *error, also when another culverd answers on
 * one of them.
 */
bool	 doors_open_local(struct doors *, const struct config *,
	    struct buffer *error);
/* Accept no more local callers, and remove the two sockets' names. */
void	 doors_close_local(struct doors *);
/* Who may administer: besides root and the owner, members of this group. */
void	 doors_admin_group(struct doors *, bool any, gid_t group);
/* How many listeners are open. */
size_t	 doors_count(const struct doors *);
/* Close all that is open, telling nobody; nulls. */
void	 doors_free(struct doors **);

#endif
