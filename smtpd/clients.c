/*
 * How many connections does this client have?
 *
 * Called by visitor.c when a connection begins and ends.  A table of chains;
 * a client without connections has no entry, so it is as large as what is
 * open (max-connections).
 */
#include "smtpd/clients.h"

#include "conf/log.h"

#include <stdlib.h>
#include <string.h>

#define CHAINS	1024u

struct entry {
	struct entry	*next;
	struct client	 client;
	unsigned	 connections;
};

struct clients {
	struct entry	*chains[CHAINS];
};

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

struct client
clients_address(const struct address *address)
{
	struct client client = { .kind = address->family };

	/* An IPv4 client of a listener for both is itself, not all of IPv4. */
	if (address->family == 6 && memcmp(address->ip, mapped, 12) == 0) {
		client.kind = 4;
		memcpy(client.octets, address->ip + 12, 4);
		return client;
	}
	memcpy(client.octets, address->ip, address->family == 6 ? 8 : 4);
	return client;
}

struct client
clients_uid(uid_t uid)
{
	struct client client = { .kind = 1 };
	uint32_t number = uid;

	memcpy(client.octets, &number, sizeof(number));
	return client;
}

struct clients *
clients_new(void)
{
	return mem_alloc(sizeof(struct clients));
}

void
clients_free(struct clients **clients)
{
	struct entry *entry, *next;
	size_t i;

	if (*clients == NULL)
		return;
	for (i = 0; i < CHAINS; i++)
		for (entry = (*clients)->chains[i]; entry != NULL;
		    entry = next) {
			next = entry->next;
			free(entry);
		}
	free(*clients);
	*clients = NULL;
}

/* FNV-1a.  A chain is at worst as long as max-connections. */
static size_t
chain_of(const struct client *client)
{
	uint32_t hash = 2166136261u ^ client->kind;
	size_t i;

	for (i = 0; i < sizeof(client->octets); i++)
		hash = (hash * 16777619u) ^ client->octets[i];
	return (hash ^ hash >> 16) % CHAINS;
}

/* The place of the pointer to a client's entry, or to the chain's end. */
static struct entry **
find(struct clients *clients, const struct client *client)
{
	struct entry **place = &clients->chains[chain_of(client)];

	while (*place != NULL && ((*place)->client.kind != client->kind ||
	    memcmp((*place)->client.octets, client->octets,
	    sizeof(client->octets)) != 0))
		place = &(*place)->next;
	return place;
}

unsigned
clients_add(struct clients *clients, const struct client *client)
{
	struct entry **place = find(clients, client);

	if (*place == NULL) {
		*place = mem_alloc(sizeof(**place));
		(*place)->client = *client;
	}
	return ++(*place)->connections;
}

void
clients_drop(struct clients *clients, const struct client *client)
{
	struct entry **place = find(clients, client), *entry = *place;

	if (entry == NULL)
		bug("a client without connections loses one");
	if (--entry->connections > 0)
		return;
	*place = entry->next;
	free(entry);
}
