/*
 * How does one message with its descriptors get through a socket?
 *
 * Called by wire.c for ports that block and by link.c for links in a loop.
 * It never waits: that is what its two callers do in their own ways.
 */
#include "conf/packet.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
	struct cmsghdr	header;		/* for its alignment */
	char		octets[CMSG_SPACE(sizeof(int) * WIRE_FDS_MAX)];
};

static void
attach(struct msghdr *message, union control *control, const int *fds,
    unsigned fds_n)
{
	struct cmsghdr *header;

	if (fds_n == 0)
		return;
	memset(control, 0, sizeof(*control));
	message->msg_control = control->octets;
	message->msg_controllen = CMSG_SPACE(sizeof(int) * fds_n);
	header = CMSG_FIRSTHDR(message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int) * fds_n);
	memcpy(CMSG_DATA(header), fds, sizeof(int) * fds_n);
}

int
packet_send(int fd, const uint8_t *octets, size_t len, const int *fds,
    unsigned fds_n)
{
	/* sendmsg only reads; iovec has no const. */
	union { const uint8_t *in; void *out; } base = { .in = octets };
	struct iovec iovec = { base.out, len };
	struct msghdr message = { .msg_iov = &iovec, .msg_iovlen = 1 };
	union control control;
	ssize_t sent;

	attach(&message, &control, fds, fds_n);
	do
		sent = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent == -1 && errno == EINTR);
	if (sent >= 0)
		return 1;
	return errno == EAGAIN ? 0 : -1;
}

/* Take the descriptors out; those beyond our room are not in here. */
static void
collect(struct packet *packet, struct msghdr *message)
{
	struct cmsghdr *header;
	size_t n;

	for (header = CMSG_FIRSTHDR(message); header != NULL;
	    header = CMSG_NXTHDR(message, header)) {
		if (header->cmsg_level != SOL_SOCKET ||
		    header->cmsg_type != SCM_RIGHTS)
			continue;
		n = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(packet->fds + packet->fds_n, CMSG_DATA(header),
		    n * sizeof(int));
		packet->fds_n += (unsigned)n;
	}
}

enum packet_state
packet_receive(int fd, struct packet *packet)
{
	struct iovec iovec = { packet->octets, WIRE_MAX };
	union control control;
	struct msghdr message = {
		.msg_iov = &iovec, .msg_iovlen = 1,
		.msg_control = control.octets,
		.msg_controllen = sizeof(control)
	};
	ssize_t len;

	packet->len = packet->at = 0;
	packet->fds_n = 0;
	memset(packet->fds, 0xff, sizeof(packet->fds));
	/*
	 * A peer that closed with our packets unread leaves ECONNRESET in
	 * front of what it sent before; the kernel says it once, then goes on.
	 */
	do
		len = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (len == -1 && (errno == EINTR || errno == ECONNRESET));
	if (len == -1)
		return errno == EAGAIN ? PACKET_NONE : PACKET_GONE;
	collect(packet, &message);
	if (message.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) {
		packet_close(packet->fds, packet->fds_n);
		return PACKET_REFUSED;
	}
	packet->len = (size_t)len;
	if (len == 0)
		packet_close(packet->fds, packet->fds_n);
	return len == 0 ? PACKET_GONE : PACKET_HERE;
}

void
packet_close(int *fds, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
}

const struct wire_message *
packet_decode(struct packet *packet, const struct wire_table *table,
    void *message)
{
	const uint8_t *octets = packet->octets + packet->at;
	size_t len = packet->len - packet->at, used;
	const struct wire_message *row;

	row = wire_find(table, wire_kind(octets, len));
	if (row == NULL || row->fds != packet->fds_n)
		return NULL;
	used = wire_decode_first(row, octets, len, message);
	if (used == 0 || (packet->fds_n > 0 && used < packet->len))
		return NULL;
	packet->at += used;
	return row;
}

bool
packet_has_more(const struct packet *packet)
{
	return packet->at < packet->len;
}

size_t
packet_room(const struct wire_table *table)
{
	size_t room = 1;
	unsigned i;

	for (i = 0; i < table->messages_n; i++)
		if (table->messages[i].size > room)
			room = table->messages[i].size;
	return room;
}
