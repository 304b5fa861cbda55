/*
 * One packet with its descriptors through a SOCK_SEQPACKET socket: what
 * blocking ports (wire.h) and links in a loop (link.h) have in common.
 */
#ifndef CULVER_PACKET_H
#define CULVER_PACKET_H

#include "wire.h"

#include <stddef.h>
#include <stdint.h>

/*
 * Try to send without waiting.  Local I/O; fds stay the caller's.
 * Returns 1 when sent, 0 when the socket is full, -1 when the peer is gone.
 */
int	packet_send(int fd, const uint8_t *octets, size_t len, const int *fds,
	    unsigned fds_n);

enum packet_state {
	PACKET_HERE,		/* a packet; its descriptors are the caller's */
	PACKET_NONE,		/* nothing to read now */
	PACKET_GONE,		/* the peer is gone */
	PACKET_REFUSED		/* too long, or its descriptors were cut */
};
struct packet {
	uint8_t		*octets;	/* WIRE_MAX, the caller's */
	size_t		 len;
	size_t		 at;		/* so far it is decoded */
	int		 fds[WIRE_FDS_MAX];	/* close-on-exec; -1: none */
	unsigned	 fds_n;
};
/* Try to receive without waiting.  Local I/O. */
enum packet_state packet_receive(int fd, struct packet *packet);
/* Close those of n descriptors that are not -1. */
void	packet_close(int *fds, unsigned n);

/*
 * Decode the next message of a packet, at `at`, by table into message (room
 * for the table's largest); `at` moves behind it.  A message with descriptors
 * has its packet for itself.  Returns the row, or NULL when kind, octets or
 * number of descriptors are not as the table says.  Does no I/O.
 */
const struct wire_message *packet_decode(struct packet *packet,
	    const struct wire_table *table, void *message);
/* Is there a further message in the packet?  Pure. */
bool	packet_has_more(const struct packet *packet);
/* The largest struct of a table, at least 1.  Pure. */
size_t	packet_room(const struct wire_table *table);

#endif
