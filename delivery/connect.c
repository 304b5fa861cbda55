/*
 * How does the manager get a connection to a server?
 *
 * Called by channel.c (connect) and attempt.c (order).  Waiting and its
 * deadline are channel.c's.  Nothing is read or written here: what is
 * connected goes to a worker.
 */
#include "delivery/connect.h"

#include "delivery/order.h"
#include "policy/policy.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The `bind` address of this family whose turn it is; NULL: any will do. */
static const struct address *
source_for(const struct config *config, uint8_t family, uint64_t turn)
{
	const struct address *found = NULL;
	size_t i, n = 0;

	for (i = 0; i < config->bind_n; i++)
		n += config->bind[i].family == family;
	if (n == 0)
		return NULL;
	turn %= n;
	for (i = 0; i < config->bind_n; i++)
		if (config->bind[i].family == family && turn-- == 0)
			found = &config->bind[i];
	return found;
}

static int
bind_source(int fd, const struct address *source)
{
	struct sockaddr_storage storage;
	socklen_t len;
	int yes = 1;

	/* Ports are given at connect, for each peer: many more fit. */
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof(yes));
	len = address_to_sockaddr(source, 0, &storage);
	return bind(fd, (struct sockaddr *)&storage, len);
}

static int
begin(int fd, const struct address *to, uint16_t port,
    const struct address *source, const char **what)
{
	struct sockaddr_storage storage;
	socklen_t len;
	int yes = 1;

	*what = "bind";
	if (source != NULL && bind_source(fd, source) != 0)
		return -1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	*what = "connect";
	len = address_to_sockaddr(to, port, &storage);
	if (connect(fd, (struct sockaddr *)&storage, len) != 0 &&
	    errno != EINPROGRESS)
		return -1;
	return 0;
}

int
connect_begin(const struct address *to, uint16_t port,
    const struct config *config, uint64_t turn, char *text, size_t size)
{
	const char *what = "socket";
	int fd, error;

	fd = socket(to->family == 4 ? AF_INET : AF_INET6,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0 && begin(fd, to, port,
	    source_for(config, to->family, turn), &what) == 0)
		return fd;
	error = errno;
	if (fd >= 0)
		close(fd);
	snprintf(text, size, "%s: %s", what, strerror(error));
	return -1;
}

int
connect_result(int fd)
{
	socklen_t len = sizeof(int);
	int error = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		return errno;
	return error;
}

bool
connect_own_address(int fd, struct address *address)
{
	struct sockaddr_storage storage;
	socklen_t len = sizeof(storage);
	uint16_t port;

	return getsockname(fd, (struct sockaddr *)&storage, &len) == 0 &&
	    address_from_sockaddr((struct sockaddr *)&storage, address, &port);
}

/* Where would we come from?  A UDP socket's connect asks only the kernel. */
static void
find_source(const struct config *config, struct order_candidate *candidate)
{
	struct sockaddr_storage storage;
	const struct address *source;
	socklen_t len;
	int fd;

	source = source_for(config, candidate->address.family, 0);
	candidate->source.family = 0;
	fd = socket(candidate->address.family == 4 ? AF_INET : AF_INET6,
	    SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	len = address_to_sockaddr(&candidate->address, CONNECT_PORT, &storage);
	if (connect(fd, (struct sockaddr *)&storage, len) == 0) {
		if (source != NULL)
			candidate->source = *source;
		else if (!connect_own_address(fd, &candidate->source))
			candidate->source.family = 0;
	}
	close(fd);
}

void
connect_order(struct address *addresses, unsigned n,
    const struct config *config)
{
	struct order_candidate candidates[ROUTE_ADDRESSES_MAX];
	unsigned i;

	if (n < 2)
		return;
	for (i = 0; i < n; i++) {
		candidates[i].address = addresses[i];
		find_source(config, &candidates[i]);
	}
	order_addresses(candidates, n);
	for (i = 0; i < n; i++)
		addresses[i] = candidates[i].address;
}
