/*
 * The verbs of `culverctl policy', over the control socket of a running relay
 * or alone (`culver-policy ctl'), and the way to those of check.h and
 * lookup.h.
 */
#ifndef CULVER_POLICY_CTL_H
#define CULVER_POLICY_CTL_H

#include "conf/control.h"
#include "policy/cache.h"
#include "policy/refresher.h"

/* The program behind the verbs of `policy'. */
struct ctl_policy {
	struct cache		*cache;
	struct refresher	*refresher;	/* NULL: no relay */
};

/* `policy list|show|refresh|forget'; the program is a struct ctl_policy. */
extern const struct control_verb ctl_policy_verbs[];

/*
 * The domain that an operator wrote, in A- or U-labels.  Pure.  False when it
 * is none.
 */
bool	ctl_policy_domain(const char *text, struct domain *domain);

/*
 * `culver-policy ctl [-c FILE] NOUN VERB ARGUMENT...': run one verb without a
 * relay; returns its exit status.  argv stands behind "ctl".  May block for
 * 5 s when the store is in use, reads standard input for checks, and asks
 * resolvers for `check txt'.
 */
int	ctl_policy_alone(int argc, char **argv);

#endif
