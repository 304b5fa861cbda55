/*
 * How do the octets of a question reach one resolver, and come back?
 *
 * Called by dns.c and trust.c.  c-ares does sockets, repetition and TCP; this
 * file gives it a loop, and an id it cannot repeat: ares_send puts the id on
 * the wire that we gave, so it is drawn from the kernel and never twice in
 * flight.  c-ares judges nothing (NOCHECKRESP): a SERVFAIL is an answer.
 *
 * Does not read answers, keep them, or go on to another resolver.
 */
#include "policy/resolvers.h"

#include "conf/log.h"

#include <ares.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/time.h>

/* 2 s, 4 s, 8 s: silent after 14 s. */
#define FIRST_TRY_MS	2000
#define TRIES		3
#define EDNS_OCTETS	1232
#define QUERY_OCTETS	320

struct socket_watch {
	struct socket_watch	*next;
	struct channel		*channel;
	int			 fd;
	struct watch		*watch;
};

struct channel {
	struct resolvers	*all;
	ares_channel		 ares;
	struct socket_watch	*sockets;
	struct timer		*timer;
};

struct resolvers {
	struct loop	*loop;
	struct channel	 channels[RESOLVERS_MAX];
	unsigned	 in_flight;
	uint8_t		 ids[65536 / 8];	/* bit set: in flight */
};

struct query {
	struct channel	*channel;
	uint16_t	 id;
	resolvers_call	*call;
	void		*context;
	bool		 sending;	/* ares_send has not returned */
	struct timer	*late;		/* it failed inside ares_send */
};

static void
id_mark(struct resolvers *all, uint16_t id, bool used)
{
	if (used)
		all->ids[id / 8] |= (uint8_t)(1u << id % 8);
	else
		all->ids[id / 8] &= (uint8_t)~(1u << id % 8);
}

static uint16_t
id_new(struct resolvers *all)
{
	uint16_t id;

	do {
		if (getrandom(&id, sizeof(id), 0) != sizeof(id))
			fatal("no random number for a DNS question");
	} while (all->ids[id / 8] & (1u << id % 8));
	id_mark(all, id, true);
	return id;
}

/* Wake for c-ares when its next repetition is due. */
static void
arm(struct channel *channel)
{
	struct timeval wait;

	if (ares_timeout(channel->ares, NULL, &wait) == NULL)
		timer_stop(channel->timer);
	else
		timer_set(channel->timer,
		    (int64_t)wait.tv_sec * 1000 + wait.tv_usec / 1000 + 1);
}

static void
on_timer(void *context)
{
	struct channel *channel = context;

	ares_process_fd(channel->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	arm(channel);
}

/* c-ares may close the socket, and with it free this watch, in the call. */
static void
on_socket(void *context, int what)
{
	struct socket_watch *socket = context;
	struct channel *channel = socket->channel;
	int fd = socket->fd;

	ares_process_fd(channel->ares,
	    what & WATCH_READ ? fd : ARES_SOCKET_BAD,
	    what & WATCH_WRITE ? fd : ARES_SOCKET_BAD);
	arm(channel);
}

/* c-ares says what it waits for on a socket; nothing: about to close it. */
static void
on_socket_state(void *context, ares_socket_t fd, int readable, int writable)
{
	struct channel *channel = context;
	struct socket_watch **at = &channel->sockets, *socket;
	int what = (readable ? WATCH_READ : 0) | (writable ? WATCH_WRITE : 0);

	while (*at != NULL && (*at)->fd != fd)
		at = &(*at)->next;
	socket = *at;
	if (socket != NULL && what != 0) {
		watch_set(socket->watch, what);
	} else if (socket != NULL) {
		*at = socket->next;
		watch_free(&socket->watch);
		free(socket);
	} else if (what != 0) {
		socket = mem_alloc(sizeof(*socket));
		socket->channel = channel;
		socket->fd = fd;
		socket->watch = watch_new(channel->all->loop, fd, what,
		    on_socket, socket);
		*at = socket;
	}
}

/*
 * Everything that c-ares would otherwise look up in files or in the
 * environment is given here, down to empty lists.
 */
static void
channel_open(struct channel *channel)
{
	struct in_addr nowhere = { .s_addr = htonl(INADDR_LOOPBACK) };
	/* DANE-7671-8-1 RFC 7671 8: no ARES_FLAG_IGNTC; what was cut is asked
	 * for again, over TCP. */
	char lookups[] = "b";
	struct ares_options options = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES |
		    ARES_FLAG_NOCHECKRESP | ARES_FLAG_EDNS,
		.timeout = FIRST_TRY_MS,
		.tries = TRIES,
		.ndots = 1,
		.servers = &nowhere,
		.nservers = 1,
		.ndomains = 0,		/* SMTP-5.1-3 no search list */
		.lookups = lookups,
		.nsort = 0,
		.ednspsz = EDNS_OCTETS,
		.sock_state_cb = on_socket_state,
		.sock_state_cb_data = channel
	};
	int status;

	status = ares_init_options(&channel->ares, &options, ARES_OPT_FLAGS |
	    ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS |
	    ARES_OPT_SERVERS | ARES_OPT_DOMAINS | ARES_OPT_LOOKUPS |
	    ARES_OPT_SORTLIST | ARES_OPT_EDNSPSZ | ARES_OPT_NOROTATE |
	    ARES_OPT_SOCK_STATE_CB);
	if (status != ARES_SUCCESS)
		fatal("c-ares cannot begin: %s", ares_strerror(status));
}

struct resolvers *
resolvers_new(struct loop *loop)
{
	struct resolvers *all;
	unsigned i;

	if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
		fatal("c-ares cannot begin");
	all = mem_alloc(sizeof(*all));
	all->loop = loop;
	for (i = 0; i < RESOLVERS_MAX; i++) {
		all->channels[i].all = all;
		all->channels[i].timer = timer_new(loop, on_timer,
		    &all->channels[i]);
		channel_open(&all->channels[i]);
	}
	return all;
}

void
resolvers_set(struct resolvers *all, unsigned index,
    const struct config_endpoint *endpoint)
{
	struct ares_addr_port_node node = {
		.family = endpoint->address.family == 4 ? AF_INET : AF_INET6,
		.udp_port = endpoint->port,
		.tcp_port = endpoint->port
	};
	ares_channel ares = all->channels[index].ares;
	int status;

	if (endpoint->address.family == 4)
		memcpy(&node.addr.addr4, endpoint->address.ip, 4);
	else
		memcpy(&node.addr.addr6, endpoint->address.ip, 16);
	/* c-ares takes no new resolver while questions are under way. */
	ares_cancel(ares);
	status = ares_set_servers_ports(ares, &node);
	if (status != ARES_SUCCESS)
		bug("c-ares refuses a resolver: %s", ares_strerror(status));
	arm(&all->channels[index]);
}

static void
query_end(struct query *query, struct slice octets)
{
	struct resolvers *all = query->channel->all;

	id_mark(all, query->id, false);
	all->in_flight--;
	query->call(query->context, octets);
	timer_free(&query->late);
	free(query);
}

static void
on_late(void *context)
{
	query_end(context, (struct slice){ NULL, 0 });
}

static void
on_answer(void *context, int status, int timeouts, unsigned char *octets,
    int len)
{
	struct query *query = context;

	(void)timeouts;
	if (query->sending) {
		/* Not even sent; who asked is not to hear it in his call. */
		query->late = timer_new(query->channel->all->loop, on_late,
		    query);
		timer_set(query->late, 0);
	} else if (status == ARES_SUCCESS && octets != NULL && len > 0) {
		query_end(query, (struct slice){ (const char *)octets,
		    (size_t)len });
	} else {
		query_end(query, (struct slice){ NULL, 0 });
	}
}

bool
resolvers_ask(struct resolvers *all, unsigned index,
    const struct domain *name, enum rr_type type, resolvers_call *call,
    void *context)
{
	uint8_t octets[QUERY_OCTETS];
	struct query *query;
	uint16_t id = id_new(all);
	size_t len;

	len = rr_query(name, type, id, octets, sizeof(octets));
	if (len == 0) {
		id_mark(all, id, false);
		return false;
	}
	query = mem_alloc(sizeof(*query));
	query->channel = &all->channels[index];
	query->id = id;
	query->call = call;
	query->context = context;
	all->in_flight++;
	query->sending = true;
	ares_send(query->channel->ares, octets, (int)len, on_answer, query);
	query->sending = false;
	arm(&all->channels[index]);
	return true;
}

unsigned
resolvers_in_flight(const struct resolvers *all)
{
	return all->in_flight;
}

/* "192.0.2.1:53", "[2001:db8::1]:53". */
static bool
parse_one(struct slice word, struct config_endpoint *endpoint)
{
	size_t colon = word.len;
	struct slice address, port;
	uint64_t number;

	while (colon > 0 && word.at[colon - 1] != ':')
		colon--;
	if (colon == 0)
		return false;
	address = (struct slice){ word.at, colon - 1 };
	port = (struct slice){ word.at + colon, word.len - colon };
	if (address.len >= 2 && address.at[0] == '[' &&
	    address.at[address.len - 1] == ']')
		address = (struct slice){ address.at + 1, address.len - 2 };
	if (!slice_number(port, 65535, &number) || number == 0 ||
	    !address_parse(address, &endpoint->address))
		return false;
	endpoint->port = (uint16_t)number;
	return true;
}

size_t
resolvers_parse(const char *text, struct config_endpoint *list, size_t max)
{
	struct slice rest = slice_of(text), word;
	size_t n = 0;

	while (rest.at != NULL && n < max) {
		word = slice_cut(&rest, ' ');
		memset(&list[n], 0, sizeof(list[n]));
		if (parse_one(word, &list[n]))
			n++;
	}
	return n;
}
