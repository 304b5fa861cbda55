/*
 * Verbs about destinations, in the form of struct control_verb.
 */
#ifndef CULVER_QUEUE_DOMAINS_H
#define CULVER_QUEUE_DOMAINS_H

#include "conf/control.h"

void	domains_list(void *queue, struct control *, int argc, char **argv);
/* DOMAIN */
void	domains_show(void *queue, struct control *, int argc, char **argv);
/* DOMAIN [--for DURATION] */
void	domains_hold(void *queue, struct control *, int argc, char **argv);
/* DOMAIN */
void	domains_release(void *queue, struct control *, int argc, char **argv);

#endif
