/*
 * culver-reports' end of its talk with culver-policy: questions go there, and
 * are put once more when it dies; the failed fetches that it tells come here.
 */
#ifndef CULVER_ASKER_H
#define CULVER_ASKER_H

#include "conf/loop.h"
#include "policy/policy.h"

struct asker;

/* For each R_FAILED, repeated ones too. */
struct asker	*asker_new(struct loop *, void (*failed)(void *context,
		    const struct r_failed *), void *context);
/* Questions that stand are dropped without their call.  NULL is fine. */
void	 asker_free(struct asker **);
/* A fresh link to culver-policy (fd is taken over). */
void	 asker_link(struct asker *, int fd);
/* Ask for a fresh link: what policy told must be told again. */
void	 asker_restart(struct asker *);
/* Say R_FAILED_KEPT. */
void	 asker_kept(struct asker *, uint64_t sequence);

/*
 * Each call is made once, from the loop, never inside asker_*; what it is
 * given is borrowed for the call.  An answer that does not come within
 * ASKER_DEADLINE_MS is ROUTE_AGAIN: that is no fact about the domain.
 */
#define ASKER_DEADLINE_MS	300000
typedef void	asker_txt_call(void *context, const struct r_txt_answer *);
typedef void	asker_pin_call(void *context, const struct r_pinned *);
/* OK: text is the one with that mark; FAIL: there is none; AGAIN. */
typedef void	asker_text_call(void *context, enum route_outcome,
		    struct slice text);

void	 asker_txt(struct asker *, const char *domain, asker_txt_call *,
	    void *context);
void	 asker_pin(struct asker *, const char *host, asker_pin_call *,
	    void *context);
void	 asker_text(struct asker *, const char *domain, uint64_t sts_text,
	    asker_text_call *, void *context);

#endif
