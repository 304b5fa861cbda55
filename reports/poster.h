/*
 * culver-reports' end of its talk with culver-fetch: documents go there for
 * receivers that want them over https.
 */
#ifndef CULVER_POSTER_H
#define CULVER_POSTER_H

#include "conf/loop.h"
#include "policy/policy.h"

struct poster;

struct poster	*poster_new(struct loop *);
/* What is under way is dropped without its call.  NULL is fine. */
void	 poster_free(struct poster **);
/* A fresh link to culver-fetch (fd is taken over). */
void	 poster_link(struct poster *, int fd);

/* Is there room for one more?  No link is needed: fetch is started. */
#define POSTER_MAX	4
bool	 poster_has_room(const struct poster *);

/*
 * Hand a document in.  what says where to (question is filled in, size_bytes
 * too); document is taken over.  Only while poster_has_room.  call is made
 * once, from the loop, never inside this call.  The death of fetch is no fact
 * about the receiver: what it had not begun to read is put once more, what it
 * had is POST_UNKNOWN.
 */
#define POSTER_DEADLINE_MS	180000
typedef void	poster_call(void *context, const struct f_posted *);
void	 poster_send(struct poster *, const struct f_post *what,
	    struct buffer *document, poster_call *, void *context);

#endif
