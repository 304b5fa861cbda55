/*
 * Which addresses lead back to this relay?
 *
 * Called by route.c for each address of each host.  The machine's addresses
 * are read once: after confinement nobody can.
 */
#include "policy/self.h"

#include "conf/log.h"

#include <ifaddrs.h>
#include <stdlib.h>
#include <string.h>

#define SMTP_PORT	25

struct self {
	struct address	*machine;
	size_t		 machine_n;
	struct config_endpoint *listeners;
	size_t		 listeners_n;
};

static bool
is_unspecified(const struct address *address)
{
	static const uint8_t zero[16];

	return memcmp(address->ip, zero, address->family == 4 ? 4 : 16) == 0;
}

static bool
is_among(const struct address *list, size_t n, const struct address *address)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (address_equal(&list[i], address))
			return true;
	return false;
}

struct self *
self_new(void)
{
	struct ifaddrs *all = NULL, *at;
	struct self *self;
	uint16_t port;

	self = mem_alloc(sizeof(*self));
	if (getifaddrs(&all) == -1)
		log_line(LOG_LEVEL_ERROR, "the machine's addresses cannot be "
		    "read: loops through them are not seen");
	for (at = all; at != NULL; at = at->ifa_next) {
		self->machine = mem_grow(self->machine,
		    (self->machine_n + 1) * sizeof(self->machine[0]));
		if (at->ifa_addr != NULL && address_from_sockaddr(
		    at->ifa_addr, &self->machine[self->machine_n], &port))
			self->machine_n++;
	}
	freeifaddrs(all);
	return self;
}

void
self_free(struct self **self)
{
	if (*self == NULL)
		return;
	free((*self)->machine);
	free((*self)->listeners);
	free(*self);
	*self = NULL;
}

void
self_set(struct self *self, const struct config *config)
{
	size_t i;

	self->listeners = mem_grow(self->listeners,
	    (config->listeners_n + 1) * sizeof(self->listeners[0]));
	self->listeners_n = config->listeners_n;
	for (i = 0; i < config->listeners_n; i++)
		self->listeners[i] = config->listeners[i];
}

/* Does what comes to this address of the machine come to this listener? */
static bool
is_heard(const struct self *self, const struct address *listener,
    const struct address *address)
{
	if (address_equal(listener, address))
		return true;
	return is_unspecified(listener) &&
	    listener->family == address->family &&
	    is_among(self->machine, self->machine_n, address);
}

bool
self_is(const struct self *self, const struct address *address, uint16_t port)
{
	size_t i;

	if (is_unspecified(address))
		return true;
	for (i = 0; i < self->listeners_n; i++)
		if ((port == SMTP_PORT || port == self->listeners[i].port) &&
		    is_heard(self, &self->listeners[i].address, address))
			return true;
	return false;
}
