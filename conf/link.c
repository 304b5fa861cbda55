/*
 * How do two programs with loops exchange messages?
 *
 * Called by every program that has a loop.  Reads at most PACKETS_A_WAKE
 * packets a turn, so that one busy peer does not starve the others; queues
 * what the socket does not take.  A peer that lets the queue overflow is
 * stuck, and is treated as gone.
 *
 * States: open; mute (sending failed: the peer is gone, but what it sent
 * before is still to be read); broken (`closed` is owed, the timer brings
 * it); freed (the owner closed it inside one of its calls: the structure
 * waits for that call to return).
 */
#include "conf/link.h"

#include "conf/log.h"
#include "conf/packet.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OUT_MAX_OCTETS	(4u << 20)
#define OUT_MAX_MESSAGES	4096
#define PACKETS_A_WAKE	64

struct waiting {
	struct waiting	*next;
	size_t		 len;
	unsigned	 fds_n;
	int		 fds[WIRE_FDS_MAX];
	uint8_t		 octets[];
};

struct link {
	struct loop			*loop;
	int				 fd;
	const struct wire_table		*table;
	const struct link_calls		*calls;
	void				*context;
	struct watch			*watch;
	struct timer			*end_timer;
	struct timer			*more_timer;
	struct packet			 packet;	/* just received */
	void				*message;
	uint8_t				*gathered;	/* WIRE_MAX, or NULL */
	size_t				 gathered_len;
	struct loop_late		 late;	/* send what is gathered */
	struct waiting			*first, **last;
	size_t				 waiting_octets;
	size_t				 waiting_n;
	unsigned			 depth;	/* calls under way */
	bool				 was_full;
	bool				 paused;
	bool				 mute;
	bool				 broken;
	bool				 freed;
};

static void	on_ready(void *context, int what);
static void	on_end(void *context);
static void	on_more(void *context);
static void	send_gathered(void *context);

static void
drop_waiting(struct link *link)
{
	struct waiting *waiting = link->first;

	link->first = waiting->next;
	if (link->first == NULL)
		link->last = &link->first;
	link->waiting_octets -= waiting->len;
	link->waiting_n--;
	packet_close(waiting->fds, waiting->fds_n);
	free(waiting);
}

static void
watch_what_is_needed(struct link *link)
{
	int what = 0;

	if (link->freed)
		return;
	if (!link->paused && !link->broken)
		what |= WATCH_READ;
	if (link->first != NULL)
		what |= WATCH_WRITE;
	watch_set(link->watch, what);
	/* The rest of a packet is there already. */
	if ((what & WATCH_READ) && packet_has_more(&link->packet))
		timer_set(link->more_timer, 0);
}

struct link *
link_new(struct loop *loop, int fd, const struct wire_table *table,
    const struct link_calls *calls, void *context)
{
	struct link *link;

	link = mem_alloc(sizeof(*link));
	link->loop = loop;
	link->fd = fd;
	link->table = table;
	link->calls = calls;
	link->context = context;
	link->packet.octets = mem_alloc(WIRE_MAX);
	link->message = mem_alloc(packet_room(table));
	link->last = &link->first;
	link->watch = watch_new(loop, fd, WATCH_READ, on_ready, link);
	link->end_timer = timer_new(loop, on_end, link);
	link->more_timer = timer_new(loop, on_more, link);
	return link;
}

/* The peer takes nothing any more; what it sent may still be read. */
static void
stop_sending(struct link *link)
{
	link->mute = true;
	link->gathered_len = 0;
	while (link->first != NULL)
		drop_waiting(link);
}

/* `closed` is owed: from the loop, whoever finds out. */
static void
break_link(struct link *link)
{
	stop_sending(link);
	link->broken = true;
	timer_set(link->end_timer, 0);
}

/* Give up all but the structure itself, which its calls may still read. */
static void
release(struct link *link)
{
	link->freed = true;
	stop_sending(link);
	watch_free(&link->watch);
	timer_free(&link->end_timer);
	timer_free(&link->more_timer);
	loop_not_late(link->loop, &link->late);
	close(link->fd);
}

static void
free_if_over(struct link *link)
{
	if (!link->freed || link->depth > 0)
		return;
	free(link->packet.octets);
	free(link->message);
	free(link->gathered);
	free(link);
}

static void
on_end(void *context)
{
	struct link *link = context;

	/* The count lets the callee call link_close after all. */
	link->depth++;
	link->calls->closed(link->context, link);
	link->depth--;
	if (!link->freed)
		release(link);
	free_if_over(link);
}

/* Send what waits, as far as the socket takes it. */
static void
flush_waiting(struct link *link)
{
	int sent = 1;

	while (link->first != NULL && sent == 1) {
		sent = packet_send(link->fd, link->first->octets,
		    link->first->len, link->first->fds, link->first->fds_n);
		if (sent == 1)
			drop_waiting(link);
	}
	if (sent == -1)
		stop_sending(link);
}

static void
say_drained(struct link *link)
{
	if (!link->was_full || link_full(link))
		return;
	link->was_full = false;
	if (link->calls->drained != NULL && !link->mute)
		link->calls->drained(link->context, link);
}

static void
refuse_packet(struct link *link)
{
	struct packet *packet = &link->packet;

	log_line(LOG_LEVEL_ERROR, "link %s: a message of kind %#x, %zu octets "
	    "and %u descriptors is refused", link->table->name,
	    wire_kind(packet->octets + packet->at, packet->len - packet->at),
	    packet->len - packet->at, packet->fds_n);
	packet_close(packet->fds, packet->fds_n);
	packet->at = packet->len;
	break_link(link);
}

/* One message: false when there is no more to read for now, or ever. */
static bool
read_message(struct link *link)
{
	struct packet *packet = &link->packet;
	enum packet_state state = PACKET_HERE;
	const struct wire_message *row;

	if (!packet_has_more(packet))
		state = packet_receive(link->fd, packet);
	if (state == PACKET_NONE)
		return false;
	if (state == PACKET_GONE) {
		break_link(link);
		return false;
	}
	row = state == PACKET_HERE ?
	    packet_decode(packet, link->table, link->message) : NULL;
	if (row == NULL) {
		refuse_packet(link);
		return false;
	}
	link->calls->message(link->context, link, row->kind, link->message,
	    packet->fds);
	packet_close(packet->fds, packet->fds_n);
	return true;
}

static void
on_ready(void *context, int what)
{
	struct link *link = context;
	unsigned packets = 0;

	link->depth++;
	if (what & WATCH_WRITE) {
		flush_waiting(link);
		say_drained(link);
	}
	while ((what & WATCH_READ) && (packet_has_more(&link->packet) ||
	    packets++ < PACKETS_A_WAKE))
		if (link->freed || link->broken || link->paused ||
		    !read_message(link))
			break;
	link->depth--;
	watch_what_is_needed(link);
	free_if_over(link);
}

static void
on_more(void *context)
{
	on_ready(context, WATCH_READ);
}

void
link_close(struct link **link)
{
	struct link *old = *link;

	*link = NULL;
	if (old == NULL || old->freed)
		return;
	send_gathered(old);
	flush_waiting(old);
	release(old);
	free_if_over(old);
}

static void
queue_message(struct link *link, const uint8_t *octets, size_t len,
    const int *fds, unsigned fds_n)
{
	struct waiting *waiting;

	waiting = mem_alloc(sizeof(*waiting) + len);
	waiting->len = len;
	waiting->fds_n = fds_n;
	if (fds_n > 0)
		memcpy(waiting->fds, fds, fds_n * sizeof(*fds));
	memcpy(waiting->octets, octets, len);
	*link->last = waiting;
	link->last = &waiting->next;
	link->waiting_octets += len;
	link->waiting_n++;
	if (link_full(link))
		link->was_full = true;
	if (link->waiting_octets <= OUT_MAX_OCTETS &&
	    link->waiting_n <= OUT_MAX_MESSAGES)
		return;
	log_line(LOG_LEVEL_ERROR, "link %s: the peer does not read; closed",
	    link->table->name);
	break_link(link);
}

static void
close_sent(const int *fds, unsigned fds_n)
{
	unsigned i;

	for (i = 0; i < fds_n; i++)
		close(fds[i]);
}

static void
send_packet(struct link *link, const uint8_t *octets, size_t len,
    const int *fds, unsigned fds_n)
{
	int sent = 0;

	if (link->first == NULL)
		sent = packet_send(link->fd, octets, len, fds, fds_n);
	if (sent == 0) {
		queue_message(link, octets, len, fds, fds_n);
		watch_what_is_needed(link);
		return;
	}
	close_sent(fds, fds_n);
	if (sent == -1)
		stop_sending(link);
}

static void
send_gathered(void *context)
{
	struct link *link = context;
	size_t len = link->gathered_len;

	link->gathered_len = 0;
	if (len > 0)
		send_packet(link, link->gathered, len, NULL, 0);
}

void
link_gather(struct link *link)
{
	link->gathered = mem_alloc(WIRE_MAX);
	link->late.call = send_gathered;
	link->late.context = link;
}

void
link_flush(struct link *link)
{
	send_gathered(link);
}

static void
gather(struct link *link, const struct wire_message *row, const void *message)
{
	size_t len = wire_encode(row, message, link->gathered +
	    link->gathered_len, WIRE_MAX - link->gathered_len);

	if (len == 0) {
		send_gathered(link);
		len = wire_encode(row, message, link->gathered, WIRE_MAX);
	}
	if (len == 0)
		bug("message %s is too long", row->name);
	link->gathered_len += len;
	loop_late(link->loop, &link->late);
}

/*
 * Encoded here and not in the packet's place: the message may be an answer to
 * what is being read there.
 */
static void
send_alone(struct link *link, const struct wire_message *row,
    const void *message, const int *fds)
{
	uint8_t octets[WIRE_MAX];
	size_t len = wire_encode(row, message, octets, sizeof(octets));

	if (len == 0)
		bug("message %s is too long", row->name);
	send_packet(link, octets, len, fds, row->fds);
}

void
link_send(struct link *link, unsigned kind, const void *message,
    const int *fds)
{
	const struct wire_message *row = wire_find(link->table, kind);

	if (row == NULL || (row->fds > 0 && fds == NULL))
		bug("no message %#x to send on link %s", kind,
		    link->table->name);
	if (link->mute || link->freed) {
		close_sent(fds, row->fds);
	} else if (link->gathered != NULL && row->fds == 0) {
		gather(link, row, message);
	} else {
		send_gathered(link);
		if (link->mute)
			close_sent(fds, row->fds);
		else
			send_alone(link, row, message, fds);
	}
}

bool
link_full(const struct link *link)
{
	return link->waiting_octets > OUT_MAX_OCTETS / 2 ||
	    link->waiting_n > OUT_MAX_MESSAGES / 2;
}

void
link_pause(struct link *link, bool paused)
{
	link->paused = paused;
	watch_what_is_needed(link);
}
