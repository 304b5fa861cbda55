/*
 * What is with delivery now: destinations that are being served, and jobs.
 *
 * Memory only.  On disk what is in flight still waits; when either side dies
 * it simply waits again.
 */
#ifndef CULVER_QUEUE_FLIGHT_H
#define CULVER_QUEUE_FLIGHT_H

#include "queue/ending.h"
#include "queue/trail.h"

#include <sys/queue.h>

#define JOB_RECIPIENTS_MAX	100
#define WINDOW_PLACES		128

/* One message for some of its recipients, given to one session. */
struct job {
	LIST_ENTRY(job)	 bucket;
	LIST_ENTRY(job)	 of_active;
	struct active	*active;
	uint64_t	 number;
	uint64_t	 session;
	uint64_t	 began_ms;	/* wall clock */
	struct message	 message;
	uint32_t	 n;		/* recipients, 1 to 100 */
	uint32_t	 left;		/* without result */
	uint32_t	 heard;		/* results that are not durable yet */
	bool		 returned;	/* no further result will come */
	struct {
		uint32_t	number;	/* of the recipient */
		uint32_t	hash;	/* of its address */
		bool		done;
	}		 to[JOB_RECIPIENTS_MAX];
};

/* A destination of which delivery knows. */
struct active {
	LIST_ENTRY(active)	 bucket;
	TAILQ_ENTRY(active)	 endings;
	uint64_t		 number;	/* destination's */
	char			 domain[DOMAIN_TEXT_MAX];
	uint32_t		 class;
	bool			 handed;	/* D_DUE was said, or D_NEXT
						   heard: D_ENDED will come */
	unsigned		 results;	/* heard in this attempt */
	uint64_t		 held_until_ms;	/* nothing is drawn before */
	LIST_HEAD(, job)	 jobs;
	struct trail		 trail;
	/*
	 * What is due, read ahead: places up to scan are in the window, in
	 * flight, or were settled.  A place in it may be stale.
	 */
	struct due		 scan;
	bool			 scanned;	/* scan itself was seen */
	struct due		 window[WINDOW_PLACES];
	unsigned		 window_first, window_n;
	/* The end of its attempt under way; next: as of this turn. */
	struct ending		*ending;
	struct ending		 ending_next;
	bool			 ending_done;
	uint64_t		 ending_turn;
};

struct flight;

struct flight	*flight_new(void);
/* Forget all of it: delivery is gone. */
void	 flight_clear(struct flight *);
void	 flight_free(struct flight **);

struct active	*flight_find(const struct flight *, uint64_t destination);
/* A destination delivery does not know of yet. */
struct active	*flight_add(struct flight *, const struct destination *);
/* It was handed to delivery as its next attempt (counted). */
void	 flight_hand(struct flight *, struct active *,
	    const struct destination *, uint64_t now_ms);
/* The operator held it, as destination_held_until says; 0: released it. */
void	 flight_hold(struct active *, uint64_t until_ms);
/*
 * Its attempt is over.  Freed, unless jobs of an older delivery or queue
 * still run: then it stays, not handed.
 */
void	 flight_end(struct flight *, struct active *);
/* How many are handed? */
unsigned flight_handed(const struct flight *);

/* A job for a message; add recipients with flight_add_to. */
struct job	*flight_new_job(struct flight *, struct active *,
		    uint64_t number, const struct message *);
struct job	*flight_find_job(const struct flight *, uint64_t number);
void	 flight_add_to(struct job *, const struct recipient *);
/* The place of an address in a job; -1: it is not in it. */
int	 flight_place(const struct job *, const char *address);
/* One of its recipients has its result; frees the job with the last. */
void	 flight_done(struct flight *, struct job *, int place);
/* It was never given to anybody. */
void	 flight_drop(struct flight *, struct job *);
/* The rest of it waits as before; frees the job. */
void	 flight_return(struct flight *, struct job *);
/* How many jobs are under way? */
unsigned flight_jobs(const struct flight *);

/* Is this recipient with delivery? */
bool	 flight_has(const struct flight *, uint64_t destination, uint64_t id,
	    uint32_t number);

/*
 * The next place of the destination that is due by now_ms and not in flight;
 * NULL: none, or the destination is held.  It stays the next until flight_pop.
 */
const struct due *flight_peek(struct active *, struct spool *,
	    uint64_t now_ms);
void	 flight_pop(struct active *);
/* How many messages are known to be due there, at most 128? */
uint32_t flight_waiting(const struct active *);

#endif
