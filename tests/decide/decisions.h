/*
 * The decisions as others may test theirs against them: tests/vectors.
 */
#ifndef CULVER_TEST_DECISIONS_H
#define CULVER_TEST_DECISIONS_H

#include "conf/mem.h"

/* Append all of decisions.json: facts of a host and its session, and what
   becomes of the message. */
void	decisions_print(struct buffer *json);

#endif
