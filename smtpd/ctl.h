/*
 * smtpd's verbs of culverctl: `check address`.
 */
#ifndef CULVER_SMTPD_CTL_H
#define CULVER_SMTPD_CTL_H

#include "conf/control.h"

/*
 * Run one verb, answering on standard output; returns its exit status.
 * Needs no relay.  May block on standard input.
 */
int	smtpd_ctl(int argc, char **argv);

#endif
