/*
 * culver-sign: which DKIM-Signature fields does a message get?
 *
 * Started by culverd where there is a `dkim` line.  It holds the private
 * keys, which come as descriptors, and nothing else; culver-queue hands it a
 * message through a pipe (S_SIGN) and gets a field for each key of the domain
 * (S_HEADER).  One message at a time.
 *
 * A key that cannot be used is a standing alarm, the others serve.  It ends
 * when culverd does; when culver-queue is gone it waits for a fresh link.
 *
 * It opens no file, keeps no message and decides nothing.
 */
#include "conf/filter.h"
#include "conf/log.h"
#include "conf/proc.h"
#include "queue/dkim.h"
#include "queue/dkimctl.h"
#include "queue/queue.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define KEYS_MAX		CONFIG_DKIM_MAX
#define MESSAGE_MS		60000	/* from S_SIGN to its last octet */
#define ANSWER_MS		10000

struct key {
	struct p_key		 named;
	struct dkimsecret	*secret;	/* NULL: cannot be used */
};
struct keys {
	size_t			 n;
	struct key		 key[KEYS_MAX];
};

struct sign {
	struct wire_port	 parent;
	struct wire_port	 queue;
	bool			 linked;	/* to queue */
	unsigned		 links;		/* so far: which one is it? */
	struct keys		 keys;
	/* a set of settings under way, or NULL */
	struct config		*config;
	struct keys		 next;
};

/*
 * Keys.
 */

/* The alarm's name tells one key from another. */
static void
say_alarm(const struct key *key, bool standing, const char *text)
{
	struct p_alarm alarm = { .standing = standing };

	snprintf(alarm.what, sizeof(alarm.what), "dkim %.30s %.26s",
	    key->named.domain, key->named.selector);
	snprintf(alarm.text, sizeof(alarm.text), "%s: %s%s", key->named.file,
	    text, standing ? ": nothing is signed with it" : "");
	if (standing)
		log_alarm("dkim", "%s", alarm.text);
	proc_send(P_ALARM, &alarm);
}

/* fd is closed. */
static void
take_key(struct keys *keys, const struct p_key *named, int fd)
{
	struct key *key = &keys->key[keys->n];
	const char *error;

	if (keys->n == KEYS_MAX)
		fatal("too many keys");
	keys->n++;
	key->named = *named;
	key->secret = dkimsecret_read(fd, &error);
	close(fd);
	if (key->secret == NULL)
		say_alarm(key, true, error);
}

static bool
is_same_key(const struct key *a, const struct key *b)
{
	return strcmp(a->named.domain, b->named.domain) == 0 &&
	    strcmp(a->named.selector, b->named.selector) == 0;
}

static bool
still_fails(const struct keys *keys, const struct key *old)
{
	size_t i;

	for (i = 0; i < keys->n; i++)
		if (is_same_key(&keys->key[i], old))
			return keys->key[i].secret == NULL;
	return false;
}

/* Wiped, all of them; the set is empty. */
static void
forget_keys(struct keys *keys)
{
	size_t i;

	for (i = 0; i < keys->n; i++)
		dkimsecret_free(&keys->key[i].secret);
	keys->n = 0;
}

/* The next set is whole: it replaces the one in use. */
static void
replace_keys(struct sign *sign)
{
	const struct key *old;
	size_t i;

	for (i = 0; i < sign->keys.n; i++) {
		old = &sign->keys.key[i];
		if (old->secret == NULL && !still_fails(&sign->next, old))
			say_alarm(old, false, "it is used no more, or mended");
	}
	forget_keys(&sign->keys);
	sign->keys = sign->next;
	sign->next.n = 0;
}

/*
 * What the parent says.
 */

/* Queue, or culverd for a new one, makes another: of both ends one asks. */
static void
unlink_queue(struct sign *sign)
{
	if (sign->linked)
		wire_port_close(&sign->queue);
	sign->linked = false;
}

static void
take_link(struct sign *sign, enum program peer, int fd)
{
	if (peer != PROGRAM_QUEUE) {
		close(fd);
		return;
	}
	unlink_queue(sign);
	wire_port_open(&sign->queue, fd, &sign_wire);
	sign->linked = true;
	sign->links++;
}

static void
take_setting(struct sign *sign, const struct p_setting *setting)
{
	struct buffer error = { NULL, 0, 0 };

	if (sign->config != NULL && !config_set(sign->config,
	    setting->keyword, setting->value, &error))
		log_line(LOG_LEVEL_ERROR, "setting from the parent: %s",
		    error.text != NULL ? error.text : setting->keyword);
	buffer_free(&error);
}

static void
end_settings(struct sign *sign)
{
	if (sign->config == NULL)
		return;
	log_set_level(sign->config->log_level);
	config_free(&sign->config);
	replace_keys(sign);
}

static void
take_order(struct sign *sign)
{
	int fds[WIRE_FDS_MAX], kind;
	const void *message;

	kind = wire_port_receive(&sign->parent, &message, fds, wire_now_ms());
	switch (kind) {
	case 0:
	case P_STOP:
		exit(0);
	case P_LINK:
		take_link(sign, ((const struct p_program *)message)->program,
		    fds[0]);
		return;
	case P_SETTINGS:
		config_free(&sign->config);
		sign->config = config_new();
		forget_keys(&sign->next);
		return;
	case P_SETTING:
		take_setting(sign, message);
		return;
	case P_KEY:
		if (sign->config != NULL)
			take_key(&sign->next, message, fds[0]);
		else
			close(fds[0]);
		return;
	case P_SETTINGS_END:
		end_settings(sign);
		return;
	default:
		/* What else there is carries at most one descriptor. */
		if (kind > 0 && wire_find(&proc_wire, (unsigned)kind)->fds > 0)
			close(fds[0]);
	}
}

/*
 * A message.
 */

/* Wait for octets of fd, and hear the parent.  False: the time is over. */
static bool
wait_octets(struct sign *sign, int fd, int64_t deadline_ms)
{
	struct pollfd ready[2] = {
		{ fd, POLLIN, 0 }, { sign->parent.fd, POLLIN, 0 }
	};
	int64_t left_ms = deadline_ms - wire_now_ms();

	if (left_ms <= 0)
		return false;
	if (poll(ready, 2, (int)left_ms) <= 0)
		return true;
	if (ready[1].revents != 0)
		take_order(sign);
	return true;
}

/* Is there something to be read of it, be it its end? */
static bool
has_octets(int fd)
{
	struct pollfd ready = { fd, POLLIN, 0 };

	return poll(&ready, 1, 0) == 1;
}

/* The message, to its end.  NULL, or why it cannot be signed. */
static const char *
read_message(struct sign *sign, const struct s_sign *request, int fd,
    struct dkim *dkim)
{
	const int64_t deadline_ms = wire_now_ms() + MESSAGE_MS;
	uint64_t left = request->size_bytes;
	uint8_t octets[16384];
	ssize_t n;

	for (;;) {
		if (!wait_octets(sign, fd, deadline_ms))
			return "the message did not end within 60 s";
		if (!has_octets(fd))
			continue;
		n = read(fd, octets, sizeof(octets));
		if (n == -1 && errno != EINTR && errno != EAGAIN)
			return "the message cannot be read";
		if (n == 0)
			break;
		if (n > 0 && (uint64_t)n > left)
			return "the message is longer than was announced";
		left -= n > 0 ? (uint64_t)n : 0;
		dkim_add(dkim, octets, n > 0 ? (size_t)n : 0);
	}
	if (left > 0)
		return "the message is shorter than was announced";
	return dkim_end(dkim);
}

static bool
signs_for(const struct key *key, const char *domain)
{
	return key->secret != NULL && slice_equal_nocase(
	    slice_of(key->named.domain), slice_of(domain));
}

/* One field more, if the key makes one and there is room. */
static void
add_field(const struct key *key, const struct s_sign *request,
    const struct dkim *dkim, struct s_header *header)
{
	const struct dkim_terms terms = {
		key->named.domain, key->named.selector, request->now_s
	};
	struct buffer field = { NULL, 0, 0 };

	if (!dkim_sign(dkim, key->secret, &terms, &field)) {
		log_line(LOG_LEVEL_ERROR, "%s: libcrypto does not sign",
		    key->named.file);
	} else if (field.len > SIGNATURES_MAX - header->header_len) {
		log_line(LOG_LEVEL_ERROR, "%s: so many signatures do not "
		    "fit: the first ones are used", key->named.file);
	} else {
		memcpy(header->header + header->header_len, field.text,
		    field.len);
		header->header_len += (uint32_t)field.len;
	}
	buffer_free(&field);
}

/* DKIM-8463-3-2 RFC 8463 3: a field for each key, whatever its type. */
static void
sign_message(struct sign *sign, const struct s_sign *request,
    const struct dkim *dkim, struct s_header *header)
{
	size_t i;

	for (i = 0; i < sign->keys.n; i++)
		if (signs_for(&sign->keys.key[i], request->domain))
			add_field(&sign->keys.key[i], request, dkim, header);
	header->done = header->header_len > 0;
	/* RPT-3-13 RFC 8460 3: without a signature no report is mailed. */
	if (!header->done)
		snprintf(header->error, sizeof(header->error), "there is no "
		    "key that can sign for %.200s", request->domain);
}

/* Sign what comes from fd, which is closed. */
static void
serve(struct sign *sign, const struct s_sign *request, int fd)
{
	struct s_header header;
	struct dkim *dkim = dkim_new();
	const unsigned link = sign->links;
	const char *error;

	memset(&header, 0, sizeof(header));
	header.id = request->id;
	error = read_message(sign, request, fd, dkim);
	close(fd);
	if (error != NULL)
		snprintf(header.error, sizeof(header.error), "%s", error);
	else
		sign_message(sign, request, dkim, &header);
	dkim_free(&dkim);
	/* Who asked is gone: the next queue asks again. */
	if (!sign->linked || sign->links != link)
		return;
	if (wire_port_send(&sign->queue, S_HEADER, &header, NULL,
	    wire_now_ms() + ANSWER_MS) == -1)
		unlink_queue(sign);
}

static void
take_request(struct sign *sign)
{
	int fds[WIRE_FDS_MAX], kind;
	const void *message;
	struct s_sign request;

	kind = wire_port_receive(&sign->queue, &message, fds, wire_now_ms());
	if (kind == 0)
		unlink_queue(sign);
	if (kind != S_SIGN)
		return;
	request = *(const struct s_sign *)message;
	serve(sign, &request, fds[0]);
}

static void
turn(struct sign *sign)
{
	struct pollfd ready[2] = {
		{ sign->parent.fd, POLLIN, 0 },
		{ sign->linked ? sign->queue.fd : -1, POLLIN, 0 }
	};

	if (poll(ready, 2, -1) == -1) {
		if (errno != EINTR)
			fatal("poll");
		return;
	}
	/* An order first: it may bring the link that the next turn reads. */
	if (ready[0].revents != 0)
		take_order(sign);
	else if (ready[1].revents != 0)
		take_request(sign);
}

/*
 * Keys are in this memory, also with `sandbox off`.  Where the filter only
 * logs, the leak check traces its own program.
 */
static void
keep_from_tracers(void)
{
	if (filter_enforces() && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		fatal("PR_SET_DUMPABLE");
}

int
main(int argc, char **argv)
{
	struct sign sign = { .linked = false };
	struct proc_start start;
	size_t i;

	keep_from_tracers();
	if (argc > 1 && strcmp(argv[1], "ctl") == 0)
		return dkimctl_run(argc - 2, argv + 2);
	proc_begin(PROGRAM_SIGN, &start);
	tzset();
	dkimsecret_begin();
	proc_confine(PROGRAM_SIGN, start.config, NULL);
	config_free(&start.config);
	wire_port_open(&sign.parent, PROC_PARENT_FD, &proc_wire);
	for (i = 0; i < start.keys_n; i++)
		take_key(&sign.keys, &start.keys[i].key, start.keys[i].fd);
	proc_send(P_READY, NULL);
	for (i = 0; i < start.links_n; i++)
		take_link(&sign, start.links[i].peer, start.links[i].fd);
	for (;;)
		turn(&sign);
}
