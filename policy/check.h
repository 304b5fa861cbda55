/*
 * The verbs `check sts-record|sts-policy|mx-match|verdict' of
 * culverctl.
 */
#ifndef CULVER_POLICY_CHECK_H
#define CULVER_POLICY_CHECK_H

#include "conf/control.h"

/* They need no program; the first two read standard input, and may block. */
extern const struct control_verb check_policy_verbs[];

#endif
