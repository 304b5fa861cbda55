/*
 * The way of one attempt through the hosts of a route: in order, each address
 * in turn, what was tried, how it ended, and when it is enough.  Where several
 * relayhosts stand in for each other it goes on with the next one's route.
 * Pure.
 */
#ifndef CULVER_WALK_H
#define CULVER_WALK_H

#include "delivery/nexthop.h"

#define WALK_CONNECTIONS_MAX	10
#define WALK_CONNECT_MS		(5 * 60 * 1000)
#define WALK_HOSTS_MAX		(2 * ROUTE_HOSTS_MAX)
#define WALK_TEXT_MAX		256

/* How a host ended; the greater outranks the lesser. */
enum walk_end {
	END_OPEN,		/* it did not */
	END_NONEXISTENT,	/* no such name, no address: definite */
	END_UNFIT_TLS,		/* REQUIRETLS: a definite no */
	END_TEMPORARY,
	END_POLICY		/* a policy refused it */
};

struct walk {
	unsigned	hosts_n;
	struct walk_host {
		char		name[DOMAIN_TEXT_MAX];
		enum walk_end	end;
		bool		over;	/* nothing of it is left to try */
		struct rule	rule;	/* of END_POLICY, END_UNFIT_TLS */
		char		text[WALK_TEXT_MAX];	/* said or happened */
	}		hosts[WALK_HOSTS_MAX];
	const struct walk_host *last;	/* that ended; NULL: none */
	unsigned	tried_n;
	struct walk_tried {
		char		name[DOMAIN_TEXT_MAX];
		struct address	address;
	}		tried[2 * WALK_CONNECTIONS_MAX];
	unsigned	connections;	/* of those that count */
	/* Of relays that came to nothing before this route's. */
	unsigned	past_connections;
	struct domain_facts past;	/* the counts; hosts 0: none */
	bool		past_policy;	/* one of them was refused so, */
	bool		past_unfit;	/* or so: then the last of these */
	struct walk_host past_refused, past_last;
	int64_t		begun_ms;	/* the first of this route's */
};

enum walk_what {
	WALK_CONNECT,	/* to this address of this host */
	WALK_SKIP,	/* this host is refused by its verdict */
	WALK_NOWHERE,	/* this host has no address for us */
	WALK_ASK,	/* the route is too old: ask anew, then go on */
	WALK_OVER	/* nothing is left, or it is enough */
};
struct walk_step {
	enum walk_what			 what;
	const struct nexthop_host	*host;
	struct host_facts		 facts;
	struct host_verdict		 verdict;
	struct address			 address;
	const char			*text;		/* WALK_NOWHERE: why */
};

/* Hosts that a message has been to; NULL and 0: a walk for any message. */
struct walk_except {
	char		(*names)[DOMAIN_TEXT_MAX];
	unsigned	names_n;
};

/*
 * What comes next?  Hosts are taken in the route's order, none is left out
 * before its turn (STS-8.4-1); one that is over, in except, or whose
 * addresses were all tried is passed.  SKIP and NOWHERE come again until the
 * caller notes them.  wall_s: for the route's age; now_ms: for the limit.
 */
void	walk_next(struct walk *walk, const struct nexthop *nexthop,
	    enum mail_class class, const struct config *config,
	    const struct walk_except *except, int64_t wall_s, int64_t now_ms,
	    struct walk_step *step);

/* A connection to this address is opened; counts: towards the limit. */
void	walk_note_try(struct walk *walk, const char *name,
	    const struct address *address, int64_t now_ms);
/* It led to nothing that counts: the address may be tried once more. */
void	walk_forget_try(struct walk *walk, const char *name,
	    const struct address *address);
/*
 * One address of a host, or (over) the host itself, ended so; text says how,
 * cut at the room.  Of several ends rule and text are those of the greatest,
 * of like ones the first's; where there is no rule the last's.
 */
void	walk_note_end(struct walk *walk, const char *name, enum walk_end end,
	    bool over, const struct rule *rule, const char *text);
/*
 * Whose rule and text stand for the domain?  The first host in the route's
 * order that a policy refused, else that is unfit, else the one that ended
 * last; NULL: none ended.  Of several relays the last that has such a host.
 */
const struct walk_host *walk_decider(const struct walk *walk,
	    const struct nexthop *nexthop);

/*
 * This relay came to nothing: by its hosts, or (route.outcome) because there
 * is no way to it.  What follows is of the next one: other hosts, and limits
 * that begin anew; counts and verdicts go on.
 */
void	walk_next_relay(struct walk *walk, const struct nexthop *nexthop,
	    enum mail_class class);

/* The counts for decide_domain, of all relays if there were several. */
void	walk_domain_facts(const struct walk *walk,
	    const struct nexthop *nexthop, enum mail_class class,
	    struct domain_facts *facts);

#endif
