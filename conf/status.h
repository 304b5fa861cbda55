/*
 * `culverctl status`: what culverd says of its programs.
 */
#ifndef CULVER_STATUS_H
#define CULVER_STATUS_H

#include "children.h"
#include "control.h"

struct status {
	const struct children	*children;
	const char		*state;		/* of culverd itself */
	int64_t			 since;		/* wall clock, seconds */
};

/*
 * Answer a caller on the control socket (fd is taken over): status is
 * borrowed for as long as the loop runs.
 */
void	status_serve(struct loop *, int fd, const struct p_connection *,
	    struct status *);
/* The same for a caller whose program does not run: "try again". */
void	status_refuse(struct loop *, int fd, const struct p_connection *);

#endif
