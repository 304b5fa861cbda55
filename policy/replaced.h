/*
 * Texts of policies that were replaced a short while ago.  Somebody may still
 * ask for one: a session that began under it is counted when it ends.
 */
#ifndef CULVER_REPLACED_H
#define CULVER_REPLACED_H

#include "conf/addr.h"

struct replaced;

struct replaced	*replaced_new(void);
void	 replaced_free(struct replaced **);
/*
 * Keep this text; body is copied.  Of too many the oldest goes.  Not on disk:
 * it is lost with the program.
 */
void	 replaced_add(struct replaced *, const struct domain *,
	    struct slice body);
/* The text of this mark (policy_text_mark), borrowed.  False: it is gone. */
bool	 replaced_find(const struct replaced *, const struct domain *,
	    uint64_t mark, struct slice *body);

#endif
