/*
 * What culver-reports asks and is told (policy.h): who wants reports, where
 * their receivers are, what a policy's text was, and which fetches failed.
 */
#ifndef CULVER_INQUIRY_H
#define CULVER_INQUIRY_H

#include "conf/config.h"
#include "conf/loop.h"
#include "policy/cache.h"
#include "policy/dns.h"
#include "policy/policy.h"

struct inquiry;

/* All are borrowed for the inquiry's life. */
struct inquiry	*inquiry_new(struct loop *, struct dns *, struct cache *);
/*
 * ip, fetch-private-addresses and tls-report hold from now on.  With
 * tls-report off nothing is kept for culver-reports, and what was is dropped.
 */
void	 inquiry_set(struct inquiry *, const struct config *);
/*
 * Serve this link to culver-reports (fd is taken over); an older one's
 * questions are dropped.  Each question is answered exactly once while its
 * link lives: R_TEXT at once, R_TXT and R_PIN after the deadlines of txt_ask
 * and host_find.  Some run at a time; then, and while the link is full, no
 * more are read.
 */
void	 inquiry_link(struct inquiry *, int fd);
/*
 * A fetch failed (obtain_failed of obtain.h; inquiry is a struct inquiry): it
 * is said until culver-reports has it on disk (conf/outbox.h).
 */
void	 inquiry_failed(void *inquiry, struct r_failed *);

#endif
