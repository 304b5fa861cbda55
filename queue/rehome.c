/*
 * Does what waits go where the relayhost and tls-required lines say?
 *
 * Called by dispatch.c at both ends of each turn.  A recipient's destination
 * is chosen when its message begins to exist.  When the lines change, at a
 * start or with new settings, all recipients are walked in slices between
 * other work and those whose next hop is another now are moved to its
 * destination, as they are: due when they were, with their attempts, held if
 * they were.
 *
 *	settled		the mark in the store is that of the lines: nothing is
 *			done, and nothing but the mark is compared
 *	walking		the mark is gone, in the same turn that notices the
 *			change: no message is deposited by lines that no mark
 *			tells of.  A walk that is cut off begins again
 *	waiting		all have been seen, and some were with delivery: they
 *			are left alone, so that nobody is written to twice at
 *			the same time, and looked at again every second
 *
 * The mark is written with the last of them.  It lies among the names of
 * destinations (spool.h), at one that no destination has.
 *
 * A turn that is lost is forgotten with all that this module had done in it:
 * the walk begins again, and passes by what is right already.
 */
#include "queue/rehome.h"

#include "queue/destination.h"
#include "queue/relayed.h"

#include <stdlib.h>
#include <string.h>

#define MARK_NAME	"relayhosts"
#define MARK_CLASS	0		/* destinations have others */
#define SLICE_ROWS	500
#define SLICE_MS	3
#define AGAIN_MS	1000

/* A recipient that is looked at again. */
struct left {
	uint64_t	id;
	uint32_t	number;
};

struct rehome {
	struct books	*books;
	struct flight	*flight;
	struct timer	*again_timer;
	uint64_t	 mark;		/* of the lines; 0: not compared yet */
	bool		 walking, waiting;
	struct left	 seen;		/* the last of the walk */
	bool		 begun;
	bool		 done;		/* with this turn, if it is durable */
	bool		 more;
	struct left	*left;
	size_t		 left_n, left_size;
	size_t		 left_at;	/* the next to be looked at again */
	uint64_t	 moved, held;	/* recipients */
	/* in a slice */
	int64_t		 until_ms;
	unsigned	 rows;
	struct message	 message;	/* of the last recipient */
	struct destination from, to;	/* number 0: not read */
	bool		 touched;	/* from is to be settled */
};

/* The turn that the timer makes looks again. */
static void
on_again(void *context)
{
	(void)context;
}

struct rehome *
rehome_new(struct loop *loop, struct books *books, struct flight *flight)
{
	struct rehome *rehome = mem_alloc(sizeof(*rehome));

	rehome->books = books;
	rehome->flight = flight;
	rehome->again_timer = timer_new(loop, on_again, rehome);
	return rehome;
}

void
rehome_free(struct rehome **rehome)
{
	timer_free(&(*rehome)->again_timer);
	free((*rehome)->left);
	free(*rehome);
	*rehome = NULL;
}

static void
put_mark(struct rehome *rehome, uint64_t mark)
{
	const struct destination name = { .number = mark,
	    .domain = MARK_NAME, .class = MARK_CLASS };

	spool_put_name(rehome->books->spool, &name);
}

/* ---- has anything changed? ---- */

static void
begin(struct rehome *rehome)
{
	rehome->walking = true;
	rehome->waiting = rehome->begun = rehome->done = false;
	rehome->seen = (struct left){ 0, 0 };
	rehome->left_n = rehome->left_at = 0;
	rehome->moved = rehome->held = 0;
}

static void
compare(struct rehome *rehome)
{
	uint64_t mark = relayed_mark(*rehome->books->config), stored;

	if (mark == rehome->mark)
		return;
	rehome->mark = mark;
	stored = spool_get_name(rehome->books->spool, MARK_NAME, MARK_CLASS);
	rehome->walking = rehome->waiting = false;
	if (stored == mark)
		return;
	if (stored != 0)
		put_mark(rehome, 0);
	begin(rehome);
}

/* ---- one recipient ---- */

static void
add_left(struct rehome *rehome, const struct recipient *recipient)
{
	if (rehome->left_n == rehome->left_size) {
		rehome->left_size = rehome->left_size * 2 + 64;
		rehome->left = mem_grow(rehome->left, rehome->left_size *
		    sizeof(*rehome->left));
	}
	rehome->left[rehome->left_n++] = (struct left){ recipient->id,
	    recipient->number };
}

/* Whoever serves a destination settles it at the end. */
static bool
is_served(const struct rehome *rehome, uint64_t number)
{
	const struct active *active = flight_find(rehome->flight, number);

	return active != NULL && (active->handed || active->ending != NULL);
}

static void
leave_destination(struct rehome *rehome)
{
	struct spool *spool = rehome->books->spool;

	if (rehome->touched && !is_served(rehome, rehome->from.number)) {
		if (rehome->from.domain[0] == '\0')
			destination_settle_number(spool, rehome->from.number);
		else
			destination_settle(spool, &rehome->from);
	}
	rehome->touched = false;
	rehome->from.number = 0;
}

/* from is the recipient's destination now, as its record has it. */
static void
enter_destination(struct rehome *rehome, const struct recipient *recipient)
{
	uint64_t number = recipient->destination;

	if (rehome->from.number == number)
		return;
	leave_destination(rehome);
	if (rehome->to.number == number)
		rehome->to.number = 0;
	/* One that cannot be read has no name: all of it moves. */
	if (spool_get_destination(rehome->books->spool, number,
	    &rehome->from) != STORE_FOUND)
		rehome->from = (struct destination){ .number = number };
}

/* Its message cannot be read: draw.c will hold it. */
static bool
read_message(struct rehome *rehome, uint64_t id)
{
	if (rehome->message.id == id)
		return true;
	if (spool_get_message(rehome->books->spool, id, &rehome->message) ==
	    STORE_FOUND)
		return true;
	rehome->message.id = 0;
	return false;
}

static bool
find_to(struct rehome *rehome, const char *next_hop, uint32_t class)
{
	struct destination *to = &rehome->to;

	if (to->number != 0 && to->class == class &&
	    strcmp(to->domain, next_hop) == 0)
		return true;
	to->number = 0;
	return destination_for(rehome->books->spool, next_hop, class, to);
}

/*
 * What waits behind a hold of its destination is not let go by being moved:
 * it waits for the hold's end, or for the operator.
 */
static uint64_t
due_of(const struct rehome *rehome, const struct recipient *recipient)
{
	uint64_t until_ms = destination_held_until(&rehome->from,
	    (uint64_t)loop_wall_ms());

	if (until_ms == HELD_FOR_EVER)
		return DUE_HELD;
	return until_ms > recipient->due_ms ? until_ms : recipient->due_ms;
}

/* Attempts that its old destination counted are its own now. */
static void
carry_attempts(struct rehome *rehome, struct recipient *recipient)
{
	const struct destination *from = &rehome->from;

	if (from->failures > recipient->failures_before)
		recipient->attempts += (uint32_t)(from->failures -
		    recipient->failures_before);
	recipient->failures_before = rehome->to.failures;
	/* Its number says nothing there. */
	recipient->attempt = 0;
}

/* Its delay may have to be told from here on. */
static void
keep_unwarned(struct rehome *rehome)
{
	struct destination *to = &rehome->to;

	if (rehome->message.arrived_ms >= to->unwarned_ms)
		return;
	to->unwarned_ms = rehome->message.arrived_ms;
	spool_put_destination(rehome->books->spool, to);
}

static void
move(struct rehome *rehome, struct recipient *recipient)
{
	struct spool *spool = rehome->books->spool;
	uint64_t due_ms = due_of(rehome, recipient);

	spool_delete_recipient(spool, recipient);
	carry_attempts(rehome, recipient);
	recipient->destination = rehome->to.number;
	recipient->due_ms = due_ms;
	spool_put_recipient(spool, recipient);
	destination_owe(spool, &rehome->to, due_ms,
	    rehome->message.arrived_ms);
	keep_unwarned(rehome);
	rehome->touched = true;
	rehome->moved++;
	rehome->held += due_ms == DUE_HELD;
	spool_count_event(spool);
}

/*
 * False: not now.  The end of an attempt at its new destination is being
 * written down, which it had no part in.
 */
static bool
look(struct rehome *rehome, struct recipient *recipient)
{
	char next_hop[DOMAIN_TEXT_MAX];
	const struct active *active;
	uint32_t class;

	if (flight_has(rehome->flight, recipient->destination, recipient->id,
	    recipient->number)) {
		add_left(rehome, recipient);
		return true;
	}
	if (!read_message(rehome, recipient->id) || !relayed_next_hop(
	    &rehome->message, recipient->address, next_hop))
		return true;
	class = relayed_class(&rehome->message);
	enter_destination(rehome, recipient);
	if (rehome->from.class == class &&
	    strcmp(rehome->from.domain, next_hop) == 0)
		return true;
	if (!find_to(rehome, next_hop, class))
		return false;
	active = flight_find(rehome->flight, rehome->to.number);
	if (active != NULL && active->ending != NULL)
		return false;
	if (rehome->to.number != recipient->destination)
		move(rehome, recipient);
	return true;
}

/* ---- slices ---- */

static bool
slice_is_over(struct rehome *rehome)
{
	return rehome->rows++ >= SLICE_ROWS ||
	    loop_now_ms() >= rehome->until_ms ||
	    spool_turn_is_full(rehome->books->spool) ||
	    spool_turn_lost(rehome->books->spool);
}

static void
walk_slice(struct rehome *rehome)
{
	struct recipient recipient;
	enum store_found found;

	while (!slice_is_over(rehome)) {
		found = spool_walk_recipients(rehome->books->spool,
		    rehome->seen.id, rehome->seen.number, rehome->begun,
		    &recipient);
		if (found != STORE_FOUND && found != STORE_DAMAGED) {
			rehome->waiting = found == STORE_ABSENT;
			return;
		}
		if (found == STORE_FOUND && !look(rehome, &recipient))
			return;
		rehome->begun = true;
		rehome->seen = (struct left){ recipient.id,
		    recipient.number };
	}
}

/* Those that were with delivery: who is still, goes to the list again. */
static void
left_slice(struct rehome *rehome)
{
	struct recipient recipient;

	while (rehome->left_at > 0 && !slice_is_over(rehome)) {
		struct left one = rehome->left[rehome->left_at - 1];

		rehome->left[rehome->left_at - 1] =
		    rehome->left[--rehome->left_n];
		rehome->left_at--;
		if (spool_get_recipient(rehome->books->spool, one.id,
		    one.number, &recipient) != STORE_FOUND)
			continue;
		if (!look(rehome, &recipient)) {
			add_left(rehome, &recipient);
			return;
		}
	}
}

static void
slice(struct rehome *rehome)
{
	rehome->rows = 0;
	rehome->until_ms = loop_now_ms() + SLICE_MS;
	rehome->message.id = 0;
	rehome->to.number = 0;
	if (!rehome->waiting)
		walk_slice(rehome);
	else
		left_slice(rehome);
	leave_destination(rehome);
	rehome->done = rehome->waiting && rehome->left_n == 0 &&
	    !spool_turn_lost(rehome->books->spool);
	if (rehome->done)
		put_mark(rehome, rehome->mark);
}

void
rehome_before_commit(struct rehome *rehome, bool may_move)
{
	compare(rehome);
	rehome->more = rehome->walking && may_move;
	if (!rehome->more)
		return;
	/* A round through those that are left: not before the second is up. */
	if (rehome->waiting && rehome->left_at == 0) {
		if (timer_is_set(rehome->again_timer))
			return;
		rehome->left_at = rehome->left_n;
	}
	slice(rehome);
}

/* ---- after ---- */

static void
say_done(struct rehome *rehome)
{
	if (rehome->moved > 0)
		log_line(LOG_LEVEL_INFO, "relayhost or tls-required lines "
		    "have changed: %llu recipients go by other next hops "
		    "now, %llu of them are held",
		    (unsigned long long)rehome->moved,
		    (unsigned long long)rehome->held);
}

bool
rehome_after_commit(struct rehome *rehome, bool durable)
{
	if (!durable) {
		/* Whatever it was: compare and begin again. */
		rehome->mark = 0;
		return false;
	}
	if (!rehome->more)
		return false;
	if (rehome->done) {
		rehome->walking = false;
		say_done(rehome);
		return false;
	}
	if (!rehome->waiting || rehome->left_at > 0)
		return true;
	if (!timer_is_set(rehome->again_timer))
		timer_set(rehome->again_timer, AGAIN_MS);
	return false;
}
