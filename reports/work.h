/*
 * The parts of a life that know each other: life.c (what is due), making.c
 * (from the record to receivers), trial.c (one receiver, once), today.c
 * (a report of a day that is not over); and order.c, an operator's word.
 *
 * What is to be written stands here in memory until a turn that held it was
 * kept; it is written in each turn until then.  Nothing leaves, and nothing
 * is logged, before.
 */
#ifndef CULVER_REPORTS_WORK_H
#define CULVER_REPORTS_WORK_H

#include "reports/asker.h"
#include "reports/life.h"
#include "reports/mailer.h"
#include "reports/order.h"
#include "reports/poster.h"
#include "reports/steady.h"

#include <sys/queue.h>

/* Reports in the making at a time; none that only wait (trial_waits). */
#define WORKS_MAX	16

/* A report that counts for nothing later, in memory alone: today.c. */
struct extra {
	LIST_ENTRY(extra)	 extras;
	struct report_state	 state;
	struct receiver_state	 receivers[RUA_MAX];
	struct region		*region;	/* of report; NULL: not made */
	struct report		 report;
};

struct life {
	struct loop		*loop;
	struct book		*book;
	const struct config	*config;	/* NULL: none yet */
	struct asker		*asker;
	struct mailer		*mailer;
	struct poster		*poster;
	struct timer		*timer;		/* look again */
	TAILQ_HEAD(, work)	 works;
	LIST_HEAD(, extra)	 extras;
	unsigned		 extras_n;
	unsigned		 posting;	/* trials with poster, or on
						   their way to it */
	bool			 look;		/* something may be due */
	int64_t			 begin_ms;	/* monotonic: nothing is */
	int64_t			 hold_ms;	/* written before these */
	int64_t			 behind_ms;	/* policy is, until then; 0 */
	struct steady		 steady;	/* the wall clock */
	bool			 doubted;	/* it is, since the last turn */
	/* After the start, and when clock or settings changed: what queue has
	   is asked for, and times that cannot be are mended. */
	bool			 started;	/* the first walk is over */
	bool			 walked;
	uint32_t		 walk_day;
	char			 walk_domain[DOMAIN_TEXT_MAX];
	/* A text of a policy is on its way. */
	bool			 text_asked;
	char			 text_domain[DOMAIN_TEXT_MAX];
	uint64_t		 text_mark;
	unsigned		 text_tries;
	int64_t			 text_ms;	/* monotonic: ask not before */
	bool			 forgetting;
	int64_t			 forget_ms;	/* monotonic: the next time */
	int64_t			 no_key_day;	/* when that was said last */
};

enum work_step {
	WORK_ASKED,	/* who wants it? */
	WORK_ANSWERED,	/* what follows from the answer is to be written */
	WORK_SENDING	/* receivers are tried */
};

/* A report that something is done for now. */
struct work {
	TAILQ_ENTRY(work)	 works;
	struct life		*life;
	uint32_t		 day;
	char			 domain[DOMAIN_TEXT_MAX];
	struct extra		*extra;		/* NULL: it is in the book */
	bool			 lift;		/* order.h: no peace for its
						   receivers */
	enum work_step		 step;
	bool			 written;	/* in this turn */
	/* the answer */
	enum route_outcome	 outcome;
	enum rua_found		 found;
	struct rua		*rua;
	char			 text[256];
	uint64_t		 number;	/* that it gets when made */
	const char		*said;		/* outcome, for the log */
	struct trial		*trials[RUA_MAX];
};

/* The states, from the book or the extra.  False: it is forgotten. */
bool	 work_get_report(const struct work *, struct report_state *);
void	 work_put_report(struct work *, const struct report_state *);
bool	 work_get_receiver(const struct work *, const struct report_state *,
	    uint32_t n, struct receiver_state *);
void	 work_put_receiver(struct work *, const struct report_state *,
	    const struct receiver_state *);
/*
 * From its receivers: is it done, given up, or when is it to be looked at?
 * Changes the state, which is put.
 */
void	 work_settle(struct work *, struct report_state *);

/* One line of the log; to "": the report as a whole. */
struct work_line {
	enum log_level	 level;
	uint64_t	 number;
	const char	*to, *outcome, *tls, *text;
	uint32_t	 code;
};
void	 work_log(const struct work *, const struct work_line *);

/* ---- making.c ---- */

/* Keep what the answer means; nothing is written yet. */
void	 making_answer(struct work *, const struct r_txt_answer *);
/* Write what follows from it. */
void	 making_write(struct work *, int64_t now_s);
/* It was kept: say so in the log. */
void	 making_log(const struct work *);
/*
 * Must the report of a TLSA base domain wait for those of the domains whose
 * mail it counts (ruling 11)?
 */
bool	 making_must_wait(struct life *, const struct report_state *);

/* ---- trial.c ---- */

/*
 * For a receiver whose time has come.  NULL: too many wait for a place to be
 * posted to as it is.
 */
struct trial	*trial_new(struct work *, const struct receiver_state *);
void	 trial_free(struct trial **);
/* Has it nothing to do but to wait until others were posted? */
bool	 trial_waits(const struct trial *);
/* Write its beginning, or its end. */
void	 trial_write(struct trial *, int64_t now_s);
/* The turn has ended.  True: the trial is over (free it). */
bool	 trial_turn_ended(struct trial *, bool kept);

/* ---- today.c ---- */

/* `report send' of a day that is not over.  False, and *text says why. */
bool	 today_begin(struct life *, uint32_t day, const char *domain,
	    bool lift, struct buffer *text);
void	 today_free(struct life *, struct extra *);

/* ---- reporter.c ---- */

struct reporter_texts {
	struct reporter	 reporter;	/* points into this and config */
	char		 contact[MAILBOX_TEXT_MAX];
	char		 from[MAILBOX_TEXT_MAX];
};
/* Who reports, as configured.  Borrows config. */
const struct reporter *reporter_of(const struct config *,
	    struct reporter_texts *);

#endif
