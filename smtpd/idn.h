/*
 * Domains as people write them, with U-labels; linked by sendmail alone.
 */
#ifndef CULVER_SMTPD_IDN_H
#define CULVER_SMTPD_IDN_H

#include "conf/addr.h"

/*
 * Is text a domain, perhaps with U-labels in UTF-8, or an address literal?
 * Pure.  U-labels become A-labels (IDNA 2008, mapped as UTS 46 says).
 */
bool	idn_parse(struct slice text, struct domain *domain);

#endif
