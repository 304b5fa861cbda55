/*
 * The operator's verbs that queue answers.
 */
#ifndef CULVER_QUEUE_CTL_H
#define CULVER_QUEUE_CTL_H

#include "conf/control.h"

/* For control_serve and control_run, with a struct queue as the program. */
extern const struct control_verb queue_verbs[];

/* End a request with a sentence, and what it is about ("" nothing). */
void	ctl_refuse(struct control *, int status, const char *text,
	    const char *about);

/* End it with what the option wants as its value; NULL: there was none. */
void	ctl_refuse_value(struct control *, const char *option,
	    const char *wanted, const char *value);

#endif
