/*
 * Which messages has the peer not on disk yet?
 *
 * Called by culver-delivery (sessions) and culver-policy (failed fetches),
 * which tell culver-reports.  Messages are kept as they travel, a few hundred
 * octets each, in the order of their sequence; a mark stands at the first that
 * this link was not given yet.  The link takes them until it is half full, and
 * again when it has drained; a fresh one takes all from the first.
 *
 * It asks for no link and reads none: its owner does, and hears the peer's
 * "durable up to here".
 */
#include "conf/outbox.h"

#include "conf/log.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* How often at most it is said that messages are lost. */
#define SAY_MS	1000

struct kept {
	struct kept	*next;
	uint64_t	 sequence;
	size_t		 len;
	uint8_t		 octets[];	/* encoded */
};

/* What every message begins with. */
struct head {
	uint64_t	epoch;
	uint64_t	sequence;
};

struct outbox {
	const struct wire_message	*row;
	const char			*name;
	struct outbox_bounds		 bounds;
	struct link			*link;		/* borrowed, or NULL */
	struct head			 head;		/* of the last one */
	struct kept			*first, **last;
	struct kept			*unsaid;	/* on this link */
	size_t				 messages;
	size_t				 octets;
	void				*message;	/* to decode into */
	uint64_t			 lost;		/* not said yet */
	int64_t				 said_ms;
};

struct outbox *
outbox_new(const struct wire_message *row, const char *name,
    const struct outbox_bounds *bounds)
{
	struct outbox *outbox = mem_alloc(sizeof(*outbox));

	if (row->fds > 0 || row->size < sizeof(struct head))
		bug("%s is no message for an outbox", row->name);
	outbox->row = row;
	outbox->name = name;
	outbox->bounds = *bounds;
	outbox->last = &outbox->first;
	outbox->message = mem_alloc(row->size);
	outbox->said_ms = loop_now_ms() - SAY_MS;
	if (getrandom(&outbox->head.epoch, sizeof(outbox->head.epoch), 0) !=
	    sizeof(outbox->head.epoch))
		fatal("getrandom");
	return outbox;
}

/* Say what is lost, if it is time to. */
static void
say_lost(struct outbox *outbox, bool now)
{
	if (outbox->lost == 0 ||
	    (!now && loop_now_ms() - outbox->said_ms < SAY_MS))
		return;
	log_line(LOG_LEVEL_ERROR, "%llu %s are lost: %zu are waiting for a "
	    "program that does not take them",
	    (unsigned long long)outbox->lost, outbox->name,
	    outbox->messages);
	outbox->lost = 0;
	outbox->said_ms = loop_now_ms();
}

/* Let go of the first. */
static void
drop_first(struct outbox *outbox)
{
	struct kept *kept = outbox->first;

	if (outbox->unsaid == kept)
		outbox->unsaid = kept->next;
	outbox->first = kept->next;
	if (outbox->first == NULL)
		outbox->last = &outbox->first;
	outbox->messages--;
	outbox->octets -= kept->len;
	free(kept);
}

void
outbox_free(struct outbox **outbox)
{
	struct outbox *old = *outbox;

	*outbox = NULL;
	if (old == NULL)
		return;
	say_lost(old, true);
	while (old->first != NULL)
		drop_first(old);
	free(old->message);
	free(old);
}

/* Give the link what it takes. */
static void
say(struct outbox *outbox)
{
	const struct kept *kept;

	while (outbox->link != NULL && !link_full(outbox->link) &&
	    (kept = outbox->unsaid) != NULL) {
		if (!wire_decode(outbox->row, kept->octets, kept->len,
		    outbox->message))
			bug("%s is not what was kept", outbox->row->name);
		link_send(outbox->link, outbox->row->kind, outbox->message,
		    NULL);
		outbox->unsaid = kept->next;
	}
}

void
outbox_link(struct outbox *outbox, struct link *link)
{
	outbox->link = link;
	outbox->unsaid = outbox->first;
	say_lost(outbox, false);
	say(outbox);
}

static void
keep(struct outbox *outbox, const uint8_t *octets, size_t len)
{
	struct kept *kept = mem_alloc(sizeof(*kept) + len);

	kept->sequence = outbox->head.sequence;
	kept->len = len;
	memcpy(kept->octets, octets, len);
	*outbox->last = kept;
	outbox->last = &kept->next;
	if (outbox->unsaid == NULL)
		outbox->unsaid = kept;
	outbox->messages++;
	outbox->octets += len;
}

void
outbox_put(struct outbox *outbox, void *message)
{
	struct head head = { outbox->head.epoch, outbox->head.sequence + 1 };
	uint8_t octets[WIRE_MAX];
	size_t len;

	memcpy(message, &head, sizeof(head));
	len = wire_encode(outbox->row, message, octets, sizeof(octets));
	if (len == 0)
		bug("message %s is too long", outbox->row->name);
	if (outbox->messages >= outbox->bounds.messages ||
	    len > outbox->bounds.octets - outbox->octets) {
		outbox->lost++;
	} else {
		/* What is lost takes no number: the peer misses none. */
		outbox->head = head;
		keep(outbox, octets, len);
	}
	say_lost(outbox, false);
	say(outbox);
}

void
outbox_settled(struct outbox *outbox, uint64_t sequence)
{
	while (outbox->first != NULL && outbox->first->sequence <= sequence)
		drop_first(outbox);
	say_lost(outbox, false);
	say(outbox);
}

void
outbox_drained(struct outbox *outbox)
{
	say_lost(outbox, false);
	say(outbox);
}

size_t
outbox_kept(const struct outbox *outbox)
{
	return outbox->messages;
}
