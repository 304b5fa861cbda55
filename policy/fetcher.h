/*
 * culver-policy's end of its talk with culver-fetch: questions go there, the
 * program is started when there are any, and its death is no fact about a
 * policy host.
 */
#ifndef CULVER_FETCHER_H
#define CULVER_FETCHER_H

#include "conf/loop.h"
#include "policy/policy.h"

struct fetcher;

/*
 * The answer, borrowed for the call.  done NULL: our own programs failed
 * (fetch died twice, or did not answer): nothing is known of the policy host.
 * body is what came when done->outcome is FETCH_BODY.
 */
typedef void	fetcher_call(void *context, const struct f_done *done,
		    struct slice body);

struct fetcher	*fetcher_new(struct loop *);
/* A fresh link to culver-fetch (fd is taken over). */
void	 fetcher_link(struct fetcher *, int fd);
/*
 * Fetch domain's policy from these addresses of its policy host.  call is made
 * exactly once, never inside this call: at most FETCHER_DEADLINE_MS after the
 * question was sent, a start of the program and a second try beside.
 */
#define FETCHER_DEADLINE_MS	75000	/* fetch's own is 60 s */
/*
 * So many at a time are with culver-fetch.  After FETCHER_FRESH_MS a fetch
 * holds no place any more that a fresh one could have: a host that hangs holds
 * up its own mail (trap T45).  Where fetch itself has no more room it gives up
 * the oldest.
 */
#define FETCHER_FRESH_MAX	64
#define FETCHER_FRESH_MS	3000
#define FETCHER_ASKED_MAX	512	/* fresh or not */
void	 fetcher_get(struct fetcher *, const struct domain *,
	    const struct address *addresses, unsigned addresses_n,
	    fetcher_call *call, void *context);

#endif
