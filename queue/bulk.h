/*
 * Verbs about many messages, in the form of struct control_verb.
 */
#ifndef CULVER_QUEUE_BULK_H
#define CULVER_QUEUE_BULK_H

#include "conf/control.h"

/* [--domain D] [--sender S] [--state S] [--older DURATION] each */
void	bulk_list(void *queue, struct control *, int argc, char **argv);
/* and [--warn N] [--crit N] */
void	bulk_count(void *queue, struct control *, int argc, char **argv);
void	bulk_mailq(void *queue, struct control *, int argc, char **argv);
/* ID..., a filter, or --all */
void	bulk_flush(void *queue, struct control *, int argc, char **argv);
void	bulk_hold(void *queue, struct control *, int argc, char **argv);
void	bulk_release(void *queue, struct control *, int argc, char **argv);
void	bulk_remove(void *queue, struct control *, int argc, char **argv);
void	bulk_bounce(void *queue, struct control *, int argc, char **argv);

#endif
