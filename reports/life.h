/*
 * The life of a report after its day: due, asked for, made, handed to each
 * receiver, done.  Everything is in the book; a life goes on from there after
 * a restart (design.md 5, life "report").
 */
#ifndef CULVER_LIFE_H
#define CULVER_LIFE_H

#include "conf/config.h"
#include "conf/link.h"
#include "conf/loop.h"
#include "conf/proc.h"
#include "reports/book.h"
#include "reports/order.h"

struct life;

struct life	*life_new(struct loop *, struct book *);
void	 life_free(struct life **);
/* Keywords of reports hold from now on; borrowed until replaced. */
void	 life_set(struct life *, const struct config *);
/* A fresh link to queue, policy or fetch (fd is the callee's). */
void	 life_link(struct life *, enum program peer, int fd);
/*
 * At the end of each turn, before book_turn_end: take up what is due, ask for
 * texts that are wanted.
 */
void	 life_turn(struct life *);
/* After book_turn_end: was the turn kept?  Only then things leave. */
void	 life_turn_ended(struct life *, bool kept);

/* Does it wait because the wall clock went far ahead at once (steady.h)? */
bool	 life_doubts_clock(const struct life *);

/*
 * `report send': now, not when it would be due.  A day that is over: as
 * order_past; today: what was counted so far, as a report of its own that
 * counts for nothing later.  False, and a sentence, when there is nothing to
 * send.
 */
bool	 life_send_now(struct life *, uint32_t day, const char *domain,
	    bool lift, struct order *);

/*
 * When is the report of this day and domain due?  Wall clock, seconds: some
 * seconds after report-at of the next day at the earliest, spread over
 * report-spread by domain and day.  Pure.
 */
int64_t	 life_due_s(const struct config *, uint32_t day, const char *domain);
/*
 * How long until the next attempt, after so many?  Doubles; at most what is
 * left of 24 h after the first; -1: given up.  Pure.
 */
int64_t	 life_retry_s(unsigned attempts, int64_t first_s, int64_t now_s);

#endif
