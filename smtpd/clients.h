/*
 * How many connections each client has.
 */
#ifndef CULVER_CLIENTS_H
#define CULVER_CLIENTS_H

#include "conf/addr.h"

#include <sys/types.h>

struct clients;

/*
 * Whom a connection counts for: an IPv4 address, the /64 of an IPv6 address
 * (a host has that many to choose from), or a local uid.
 */
struct client {
	uint8_t	kind;		/* 4, 6, or 1: a uid */
	uint8_t	octets[8];
};
/* Pure. */
struct client	clients_address(const struct address *address);
struct client	clients_uid(uid_t uid);

struct clients	*clients_new(void);
void	 clients_free(struct clients **clients);
/* One more connection; returns how many it has now. */
unsigned clients_add(struct clients *clients, const struct client *client);
/* One less; the client must have one. */
void	 clients_drop(struct clients *clients, const struct client *client);

#endif
