/*
 * The manager's own structures, for its modules: manager.c (links, who is
 * served), attempt.c (one destination's search for a host), channel.c (one
 * session, seen from here), job.c (messages and their results), tell.c (what
 * reports are told), pool.c (worker processes).
 *
 * Who owns whom: the manager owns everything.  An attempt is freed by itself
 * when it ends; a channel when its worker has let go of it; a job when all
 * its recipients have a result or are given back.  Pointers between them are
 * nulled by who goes first.  An attempt does nothing in the call that changed
 * it: it is marked, and advanced at the end of the turn.
 */
#ifndef CULVER_MANAGER_H
#define CULVER_MANAGER_H

#include "conf/link.h"
#include "conf/proc.h"
#include "delivery/delivery.h"
#include "delivery/walk.h"

#include <sys/queue.h>

struct pool_worker;
struct outbox;

TAILQ_HEAD(attempts, attempt);

/* Connections that an address has from us, and who waits for one. */
struct load {
	LIST_ENTRY(load)	 entry;
	struct address		 address;
	unsigned		 channels;
	struct attempts		 waiting;
};

/*
 * A result that is not durable yet; or what must not be said before results
 * that were not said yet: that a job's other recipients are given back, that
 * an attempt is over.
 */
struct unsettled {
	TAILQ_ENTRY(unsettled)	entry;
	unsigned		kind;	/* D_RESULT, D_RETURN, D_ENDED */
	struct d_ended		*ended;		/* D_ENDED; else NULL */
	bool			held;		/* D_HELD was said */
	unsigned		place;		/* its recipient's in the job */
	struct d_result		result;
};
TAILQ_HEAD(unsettled_list, unsettled);

/* A destination that a worker of ours died on. */
struct death {
	uint64_t	destination;	/* 0: none */
	int64_t		last_ms;
};

#define ATTEMPT_BUCKETS	1024
#define CHANNEL_BUCKETS	256
#define JOB_BUCKETS	512
#define DEATHS_KEPT	256
#define ALARM_DOMAINS	5

struct manager {
	struct loop		*loop;
	struct config		*config;
	struct link		*queue;		/* NULL: gone, one comes */
	struct link		*policy;	/* likewise */
	struct link		*reports;	/* likewise, or unwanted */
	struct outbox		*sessions;	/* for it; NULL: unwanted */
	bool			 stopping;

	LIST_HEAD(, attempt)	 attempts[ATTEMPT_BUCKETS];
	unsigned		 attempts_n;
	struct attempts		 marked;	/* to be advanced */
	struct attempts		 fresh;		/* wait to ask for a route */
	struct attempts		 for_slot;	/* wait for a connection */
	struct attempts		 asking;	/* wait for policy's answer */
	unsigned		 asks_n;	/* of these, that are young */
	unsigned		 slow_asks_n;	/* and all others */
	struct timer		*ask_timer;	/* runs while any asks */
	/* Of the configuration: a route found under another is none. */
	uint64_t		 settings;	/* policy_settings_mark */

	TAILQ_HEAD(, channel)	 channels;
	unsigned		 channels_n;	/* slots in use */
	LIST_HEAD(, channel)	 by_session[CHANNEL_BUCKETS];
	LIST_HEAD(, load)	 loads;

	TAILQ_HEAD(, job)	 jobs;
	LIST_HEAD(, job)	 by_job[JOB_BUCKETS];	/* not stale ones */
	struct unsettled_list	 unsettled;	/* oldest first */
	struct unsettled	*unsent;	/* the first not said */
	bool			 synced;	/* all D_HELD are said */

	struct link		*spawner;
	LIST_HEAD(, pool_worker) workers;
	unsigned		 idle_workers;
	unsigned		 generation;	/* of the CA bundle */

	uint64_t		 last_session, last_question, last_sequence;
	int64_t			 body_ms;	/* queue may take for one */
	struct timer		*stop_timer;
	int64_t			 stop_ms;	/* when stopping began */
	/* Has any connection to port 25 succeeded?  Else who timed out. */
	bool			 has_connected;
	unsigned		 timed_out_n;
	char			 timed_out[ALARM_DOMAINS][DOMAIN_TEXT_MAX];
	bool			 loads_changed;
	/* Destinations that workers died on: see attempt.c. */
	struct death		 deaths[DEATHS_KEPT];
};

/* ---- manager.c ---- */

struct manager	*manager_new(struct loop *loop, struct config *config,
		    int spawner_fd);
/* A fresh link to queue or policy (fd is the callee's). */
void	 manager_link(struct manager *, enum program peer, int fd);
/* New settings (the callee's) and CA bundle (-1: as before). */
void	 manager_settings(struct manager *, struct config *, int bundle_fd);
void	 manager_stop(struct manager *);
/* The end of a turn: everything that was marked takes its next step. */
void	 manager_turn(void *manager);
/* Say it to queue, if there is one. */
void	 manager_tell_queue(struct manager *, unsigned kind,
	    const void *message);
/* May one more connection be begun? */
bool	 manager_has_slot(const struct manager *);
/* None may, and a destination that has none waits for it. */
bool	 manager_is_short(const struct manager *);
/* What we have at this address; made when there is nothing. */
struct load *manager_load(struct manager *, const struct address *);
/* Connections succeed, or one destination's all timed out. */
void	 manager_note_connected(struct manager *);
void	 manager_note_timed_out(struct manager *, const char *domain);

/* ---- attempt.c ---- */

struct attempt {
	LIST_ENTRY(attempt)	 entry;
	TAILQ_ENTRY(attempt)	 mark;
	TAILQ_ENTRY(attempt)	 wait;
	struct attempts		*waits_in;	/* for_slot, fresh, a load's */
	TAILQ_ENTRY(attempt)	 ask;
	struct manager		*manager;
	uint64_t		 destination;
	char			 domain[DOMAIN_TEXT_MAX];	/* next hop */
	enum mail_class		 class;
	bool			 is_marked;

	/* Of relayhosts that stand in for each other the one in question. */
	unsigned		 relay_n;
	char			 target[DOMAIN_TEXT_MAX];	/* of R_ASK */

	uint64_t		 question;	/* 0: none is put */
	int64_t			 asked_ms;	/* when it was put first */
	bool			 slow;		/* it is not young any more */
	int64_t			 repeat_ms;	/* put it again then; 0: no */
	unsigned		 repeats;	/* in a row */
	struct nexthop		*route;		/* NULL: not known yet */
	struct nexthop		*coming;	/* between R_ROUTE and R_END */
	bool			 route_unused;	/* came, and no step was made */

	struct walk		 walk;
	struct channel		*walker;	/* the one not proven yet */
	TAILQ_HEAD(, channel)	 channels;	/* proven ones */
	unsigned		 channels_n;
	TAILQ_HEAD(, job)	 homeless;	/* for another host */

	bool			 proven;	/* some session was ready */
	bool			 beyond;	/* the relay in question is for
						   homeless messages alone */
	bool			 asked;		/* one asked for a message */
	const char		*change;	/* why a proof was for nothing */
	bool			 walked_again;	/* its host, by new facts */
	char			 proven_host[DOMAIN_TEXT_MAX];
	struct address		 proven_address;
	bool			 extra_failed;
	bool			 drained;	/* D_NONE was heard */
	uint32_t		 more;		/* D_JOB.more, the last */
	bool			 over;		/* nothing is sought any more */
	bool			 lost;		/* a message found no host, the
						   connection having broken */
	struct walk_host	 loser;		/* where that was */
	bool			 unchecked;	/* a relay's policy was not
						   had anew: sts_cached */
	unsigned		 timeouts;	/* of connects to port 25 */
	unsigned		 ours;		/* workers that died on us */
	unsigned		 spoiled;	/* of them once it was proven */
	bool			 again;		/* not the first, or before */
	unsigned		 nexts_n;	/* D_NEXT without answer */
	struct d_ended		 ended;		/* what is told at the end */
};

void	 attempt_new(struct manager *, const struct d_due *);
struct attempt *attempt_find(struct manager *, uint64_t destination);
void	 attempt_mark(struct attempt *);
/* Take the next step, whatever it is; may free the attempt. */
void	 attempt_advance(struct attempt *);
/* Stop it (D_HOLD): what runs is finished, nothing is begun. */
void	 attempt_stop(struct attempt *);
/* Drop it without a word (queue is gone): its channels are orphans. */
void	 attempt_drop(struct attempt *);
/*
 * policy's answers.  One found under other settings than ours is not taken;
 * the question is put again a moment later, for they may be under way, and
 * some times only.
 */
void	 attempt_take_route(struct manager *, const struct r_route *);
void	 attempt_take_host(struct manager *, const struct r_host *);
void	 attempt_take_end(struct manager *, const struct r_end *);
/* All questions once more, on a fresh link. */
void	 attempt_ask_again(struct manager *);
/* Those that are due to be put again, and those that grow old. */
void	 attempt_look_at_questions(struct manager *);
/* Leave whatever list it waits in. */
void	 attempt_stop_waiting(struct attempt *);
/* Is the route known, in its time, and found under the settings we have? */
bool	 attempt_route_holds(const struct attempt *);
/*
 * Is it past its time, or of other settings?  Then it is asked for (once)
 * from here.
 */
bool	 attempt_route_is_old(struct attempt *);
/* The channel that was sought is ready; or is not: the caller lets it go. */
void	 attempt_found(struct attempt *, struct channel *);
void	 attempt_failed(struct attempt *, struct channel *, enum walk_end,
	    const struct rule *rule, const char *what);
/* A session is ready, but by now something else is asked of it. */
void	 attempt_note_change(struct attempt *, const struct channel *,
	    const char *what);
/* A connection broke under a message. */
void	 attempt_note_loss(struct attempt *, struct channel *,
	    const char *what);
/* A worker died on a session of this attempt, before or after its proof. */
void	 attempt_note_death(struct attempt *, bool proven);
/* D_JOB or D_NONE came for a session that it has, or had. */
void	 attempt_take_answer(struct manager *, uint64_t destination);
/* A message leaves this host for the next one. */
void	 attempt_take_homeless(struct attempt *, struct job *);

/* ---- channel.c ---- */

enum channel_state {
	CHANNEL_CONNECTING,
	CHANNEL_PROVING,
	CHANNEL_READY,		/* what next? */
	CHANNEL_ASKED,		/* D_NEXT was sent, nothing else to do */
	CHANNEL_FILLING,	/* D_JOB came, D_RCPTs follow */
	CHANNEL_RUNNING,	/* a message is under way */
	CHANNEL_CLOSING		/* until the worker lets go */
};

struct channel {
	TAILQ_ENTRY(channel)	 entry;
	LIST_ENTRY(channel)	 bucket;
	TAILQ_ENTRY(channel)	 in_attempt;
	struct manager		*manager;
	struct attempt		*attempt;	/* NULL: orphan */
	struct pool_worker	*worker;
	struct job		*job;
	struct job		*ahead;		/* drawn while that runs */
	bool			 asked;		/* D_NEXT has no answer yet */
	struct load		*load;
	uint64_t		 number;
	enum channel_state	 state;
	char			 domain[DOMAIN_TEXT_MAX];	/* said */
	char			 host[DOMAIN_TEXT_MAX];
	struct address		 address;
	char			 address_text[ADDRESS_TEXT_MAX];
	uint16_t		 port;
	struct w_socket		*socket;	/* for its worker; then NULL */
	struct address		 own;		/* our end; family 0: unknown */
	struct host_facts	 facts;
	struct d_host		 note;		/* what queue is told of it */
	struct t_session	*telling;	/* until its proof; or NULL */
	bool			 clear_retry;
	bool			 cut;		/* W_CUT was said */
	bool			 extra;		/* not its attempt's first */
	bool			 secondary;	/* only for homeless messages */
	int			 fd;		/* while connecting */
	struct watch		*watch;
	struct timer		*timer;
	bool			 has_8bitmime, has_size;
	uint64_t		 size_limit;
	unsigned		 messages;	/* given to it */
	int64_t			 since_ms;
};

/* What a channel is opened for. */
struct channel_plan {
	const struct nexthop_host	*host;
	struct address			 address;
	bool				 clear_retry;
	bool				 extra;
	bool				 secondary;
};
/*
 * Open one for this attempt, as its walker.  False: it failed at once, and
 * the attempt was told (attempt_failed).
 */
bool	 channel_open(struct attempt *, const struct channel_plan *);
struct channel *channel_find(struct manager *, uint64_t number);
/* READY: decide what it does next. */
void	 channel_next(struct channel *);
/* May it carry one more message by a route that has not run out? */
bool	 channel_still_good(const struct channel *);
/* QUIT when it is idle, cut before it is proven; finishes a message first. */
void	 channel_leave(struct channel *);
/* The attempt is gone, the channel not yet. */
void	 channel_orphan(struct channel *);
/*
 * Close at once (stop, queue gone); the job's end tells how far it was.  What
 * is past its final dot waits for the answer all the same.
 */
void	 channel_cut(struct channel *);
/* The time for that is over too: its worker goes, its job is given back. */
void	 channel_end(struct channel *);
/* From queue: D_NONE; a message, of which the recipients follow. */
void	 channel_take_none(struct manager *, const struct d_none *);
/* False: it wants none any more. */
bool	 channel_take_job(struct channel *, struct job *);
/*
 * Its message waits for its body from now on, or has it.  One that does not
 * come in time is nobody's fault but ours: the message is given back.
 */
void	 channel_await_body(struct channel *, bool awaits);
/* A message begins: ask for the one behind it already? */
void	 channel_look_ahead(struct channel *);
/* From its worker; its worker is gone. */
void	 channel_take(struct channel *, unsigned kind, const void *message);
void	 channel_worker_gone(struct channel *);

/* ---- job.c ---- */

struct job_rcpt {
	bool	over;		/* has a result */
	char	recipient[MAILBOX_TEXT_MAX];
	uint32_t notify;	/* set of enum dsn_notify */
	char	orcpt[ORCPT_TEXT_MAX];
};

struct job {
	TAILQ_ENTRY(job)	 entry;
	LIST_ENTRY(job)		 bucket;
	TAILQ_ENTRY(job)	 in_attempt;	/* homeless */
	struct manager		*manager;
	struct channel		*channel;	/* NULL: homeless */
	struct attempt		*attempt;	/* whose homeless it is */
	struct d_job		 about;
	bool			 stale;		/* of a queue that died */
	bool			 dotted;	/* past the final dot */
	unsigned		 rcpts_n;	/* that have come */
	unsigned		 open_n;	/* without result */
	unsigned		 held_n;	/* told by D_HELD, of rcpts */
	struct job_rcpt		*rcpts;
	struct unsettled_list	 results;	/* said at its end */
	bool			 body_asked;	/* D_BODY has no answer yet */
	bool			 body_due;	/* its worker waits for it */
	int			 body_fd;	/* until then; -1: none */
	uint64_t		 body_bytes;
	/* Hosts that it has been to; how many of them lacked something. */
	char			(*hosts)[DOMAIN_TEXT_MAX];
	unsigned		 hosts_n;
	unsigned		 lacking_8bit, lacking_size;
	bool			 lost;		/* its last session broke */
	/* Where it was last, and what was said there. */
	uint64_t		 session;
	char			 host[DOMAIN_TEXT_MAX];
	char			 address[ADDRESS_TEXT_MAX];
	char			 clause[64];	/* why it may go there */
	struct {		/* the session's, as its D_HOST has them */
		char		 policy[20], requirement[16], verdict[16];
		char		 rule[64], repair[256];
		char		 tls_version[16], tls_cipher[64];
	}			 facts;
	uint32_t		 code;
	char			 enhanced[16];
	char			 reply[REPLY_TEXT_MAX];
};

/* From queue. */
void	 job_take(struct manager *, const struct d_job *);
void	 job_take_rcpt(struct manager *, const struct d_rcpt *);
/* fds[0] is the body; taken (set to -1) when it is passed on. */
void	 job_take_pipe(struct manager *, const struct d_pipe *, int *fds);
void	 job_settle(struct manager *, const struct d_settled *);
/* Its queue died: its number means nothing any more. */
void	 job_make_stale(struct job *);
/* A fresh link to queue: what is held is to be said, all results again. */
void	 job_begin_sync(struct manager *);
/* Say what is still to be said, as far as the link takes it. */
void	 job_say_results(struct manager *);
/* All of it is there, and its channel is ready: send it, if it may go. */
void	 job_begin(struct job *);
/* Does this host take such a message?  If not, *job remembers what lacks. */
bool	 job_fits(struct job *, const struct channel *);
/* Give it to a ready channel. */
void	 job_run(struct job *, struct channel *);
/* Let the body come, so that it is here when the server wants it. */
void	 job_ask_body(struct job *);
/* From the worker of its channel. */
void	 job_take_body(struct job *);
void	 job_take_dot(struct job *);
/* False: no such recipient waits for one. */
bool	 job_take_result(struct job *, const struct w_result *);
/* The channel has let go of it; what is left is for others, or given back. */
void	 job_take_done(struct job *, struct channel *,
	    const struct w_done *);
/* It has been to this host in vain. */
void	 job_note_host(struct job *, const char *host);
/* No further host: a result for each recipient that has none; freed. */
void	 job_end(struct job *, const struct nexthop *route);
/* Recipients without result wait as before; freed. */
void	 job_return(struct job *);
void	 job_free(struct job *);
/*
 * An attempt is over: said behind the results that are still to be said, so
 * that no verdict on a destination comes before those of its messages.
 */
void	 job_say_ended(struct manager *, const struct d_ended *);

/* ---- pool.c ---- */

/* An idle worker, or a new one, for this channel. */
void	 pool_take(struct channel *);
void	 pool_send(struct pool_worker *, unsigned kind, const void *message,
	    const int *fds);
/* The worker forgets its channel (which is freed) without ending. */
void	 pool_release(struct pool_worker *);
/* Close the link: the worker ends. */
void	 pool_end(struct pool_worker *);
void	 pool_begin(struct manager *, int spawner_fd);
void	 pool_set_bundle(struct manager *, int bundle_fd);

#endif
