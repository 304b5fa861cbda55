/*
 * How do octets get to a server and back in time?
 *
 * Called by session.c.  One wait for everything: it watches the socket, the
 * link to our manager, and the clock.  Plain and TLS differ in read_some and
 * write_some alone.  It knows no SMTP.
 */
#include "delivery/stream.h"

#include "conf/log.h"
#include "conf/wire.h"
#include "delivery/tls.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void
stream_open(struct stream *stream, int fd, int watch_fd)
{
	*stream = (struct stream){ .fd = fd, .watch_fd = watch_fd };
	stream->in = mem_alloc(STREAM_BUFFER);
	stream->out = mem_alloc(STREAM_BUFFER);
}

void
stream_close(struct stream *stream)
{
	SSL_free(stream->ssl);
	stream->ssl = NULL;
	if (stream->fd >= 0)
		close(stream->fd);
	stream->fd = -1;
	free(stream->in);
	free(stream->out);
	stream->in = stream->out = NULL;
	stream->in_at = stream->in_len = stream->out_len = 0;
	if (stream->state == STREAM_OK)
		stream->state = STREAM_CLOSED;
}

/* Give up for this reason; always false. */
static bool
fail(struct stream *stream, enum stream_state state, const char *error)
{
	stream->state = state;
	snprintf(stream->error, sizeof(stream->error), "%s", error);
	return false;
}

/*
 * Wait for events on fd; what came is in *got.  A hang-up or error counts as
 * what was asked for: the next call on fd tells.
 */
static bool
await(struct stream *stream, int fd, short events, short *got,
    int64_t deadline_ms)
{
	struct pollfd fds[2] = {
		{ fd, events, 0 },
		{ stream->watch_fd, stream->patient ? 0 : POLLIN, 0 }
	};
	int64_t left_ms;
	int n;

	do {
		left_ms = deadline_ms - wire_now_ms();
		if (left_ms <= 0)
			return fail(stream, STREAM_TIMEOUT, "timed out");
		n = poll(fds, 2, left_ms > INT_MAX ? INT_MAX : (int)left_ms);
		if (n == -1 && errno != EINTR)
			fatal("poll");
	} while (n <= 0);
	if (fds[1].revents != 0)
		return fail(stream, STREAM_CUT, "stopped by us");
	*got = fds[0].revents & (POLLERR | POLLHUP | POLLNVAL) ?
	    events : fds[0].revents;
	return true;
}

/*
 * Of what TLS itself says a handshake has some dozens of messages and records,
 * a session a ticket or two behind it and a fresh key now and then.
 */
#define IDLE_RECORDS_MAX	256

static bool
is_flooded(const struct stream *stream)
{
	return stream->idle_records > IDLE_RECORDS_MAX;
}

/*
 * The library saw something of the peer's.  It does not come back to us before
 * there are data or nothing is left to be read, so that a peer who sends
 * KeyUpdate, tickets or HelloRequest as fast as they are read would hold us
 * past every deadline: above a number of them the library finds an end.
 */
static void
note_record(int written, int version, int type, const void *octets,
    size_t len, SSL *ssl, void *context)
{
	struct stream *stream = context;
	bool is_record = type == SSL3_RT_HEADER ||
	    type == SSL3_RT_INNER_CONTENT_TYPE;
	BIO *nothing;

	(void)version;
	if (written || len == 0 || is_flooded(stream) ||
	    (type != SSL3_RT_HANDSHAKE && !is_record) || (is_record &&
	    *(const uint8_t *)octets == SSL3_RT_APPLICATION_DATA))
		return;
	stream->idle_records++;
	if (!is_flooded(stream))
		return;
	nothing = BIO_new(BIO_s_null());
	if (nothing == NULL)
		fatal("no memory for TLS");
	SSL_set0_rbio(ssl, nothing);
}

/* What a call on the connection came to. */
enum some { SOME_DONE, SOME_WANTS_READ, SOME_WANTS_WRITE, SOME_FAILED };

/* A pipe is what the kernel sees; to people it is a peer that went. */
static const char *
words_for(int error)
{
	return error == 0 || error == EPIPE ?
	    "connection closed by the peer" : strerror(error);
}

static enum some
plain_error(struct stream *stream, ssize_t n, enum some wants)
{
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return wants;
	fail(stream, STREAM_CLOSED, words_for(n == 0 ? 0 : errno));
	return SOME_FAILED;
}

static enum some
tls_error(struct stream *stream, int n)
{
	int error = errno;
	char reason[100];

	if (is_flooded(stream)) {
		fail(stream, STREAM_TLS, "too many TLS records without data");
		return SOME_FAILED;
	}
	switch (SSL_get_error(stream->ssl, n)) {
	case SSL_ERROR_WANT_READ:
		return SOME_WANTS_READ;
	case SSL_ERROR_WANT_WRITE:
		return SOME_WANTS_WRITE;
	case SSL_ERROR_ZERO_RETURN:
		fail(stream, STREAM_CLOSED, "connection closed by the peer");
		return SOME_FAILED;
	case SSL_ERROR_SYSCALL:
		fail(stream, STREAM_CLOSED, words_for(error));
		return SOME_FAILED;
	default:
		/* TLS-8446-6.1-1: an end without close_notify is one too. */
		fail(stream, tls_reason(reason, sizeof(reason)) ?
		    STREAM_CLOSED : STREAM_TLS, reason);
		return SOME_FAILED;
	}
}

/* Read once, without waiting, into the room behind what is unread. */
static enum some
read_some(struct stream *stream)
{
	uint8_t *at;
	size_t room;
	ssize_t n;

	if (stream->in_at > 0) {
		stream->in_len -= stream->in_at;
		memmove(stream->in, stream->in + stream->in_at,
		    stream->in_len);
		stream->in_at = 0;
	}
	at = stream->in + stream->in_len;
	room = STREAM_BUFFER - stream->in_len;
	if (stream->ssl != NULL) {
		ERR_clear_error();
		errno = 0;
		n = SSL_read(stream->ssl, at, (int)room);
		if (n <= 0)
			return tls_error(stream, (int)n);
	} else {
		n = recv(stream->fd, at, room, 0);
		if (n <= 0)
			return plain_error(stream, n, SOME_WANTS_READ);
	}
	stream->in_len += (size_t)n;
	return SOME_DONE;
}

/* Write once, without waiting; *written octets of the buffer are gone. */
static enum some
write_some(struct stream *stream, size_t at, size_t *written)
{
	size_t len = stream->out_len - at;
	ssize_t n;

	if (stream->ssl != NULL) {
		ERR_clear_error();
		errno = 0;
		n = SSL_write(stream->ssl, stream->out + at, (int)len);
		if (n <= 0)
			return tls_error(stream, (int)n);
	} else {
		n = send(stream->fd, stream->out + at, len, MSG_NOSIGNAL);
		if (n < 0)
			return plain_error(stream, n, SOME_WANTS_WRITE);
	}
	*written = (size_t)n;
	return SOME_DONE;
}

struct slice
stream_read_so_far(const struct stream *stream)
{
	return (struct slice){ (const char *)stream->in + stream->in_at,
	    stream->in_len - stream->in_at };
}

void
stream_take(struct stream *stream, size_t len)
{
	if (len > stream->in_len - stream->in_at)
		bug("%zu octets taken of a stream's %zu", len,
		    stream->in_len - stream->in_at);
	stream->in_at += len;
}

bool
stream_is_quiet(struct stream *stream)
{
	if (stream->state == STREAM_OK && stream->in_at == stream->in_len)
		read_some(stream);
	return stream->state == STREAM_OK &&
	    stream->in_at == stream->in_len;
}

/* Has the TLS library read what it has not given us yet? */
static bool
tls_holds(const struct stream *stream)
{
	return stream->ssl != NULL && SSL_has_pending(stream->ssl);
}

bool
stream_read(struct stream *stream, int64_t deadline_ms)
{
	bool asked = stream->out_len > 0;
	enum some some;
	short got;

	if (!stream_flush(stream, deadline_ms))
		return false;
	/* An answer takes its time: a look for it now would be in vain. */
	if (asked && stream->in_at == stream->in_len && !tls_holds(stream) &&
	    !await(stream, stream->fd, POLLIN, &got, deadline_ms))
		return false;
	while (stream->in_at == stream->in_len) {
		some = read_some(stream);
		if (some == SOME_FAILED)
			return false;
		if (some != SOME_DONE && !await(stream, stream->fd,
		    some == SOME_WANTS_READ ? POLLIN : POLLOUT, &got,
		    deadline_ms))
			return false;
	}
	return true;
}

bool
stream_put(struct stream *stream, const void *octets, size_t len,
    int64_t deadline_ms)
{
	const uint8_t *at = octets;
	size_t part;

	while (stream->state == STREAM_OK && len > 0) {
		part = STREAM_BUFFER - stream->out_len;
		if (part > len)
			part = len;
		memcpy(stream->out + stream->out_len, at, part);
		stream->out_len += part;
		at += part;
		len -= part;
		if (stream->out_len == STREAM_BUFFER)
			stream_flush(stream, deadline_ms);
	}
	return stream->state == STREAM_OK;
}

/*
 * The peer takes nothing now: wait, and read what it says meanwhile if it
 * wants to be heard first (EXT-2920-3.1-6).
 */
static bool
await_room(struct stream *stream, enum some some, int64_t deadline_ms)
{
	bool room = stream->in_len - stream->in_at < STREAM_BUFFER;
	short events, got;

	events = some == SOME_WANTS_WRITE ? POLLOUT : POLLIN;
	if (room)
		events |= POLLIN;
	if (!await(stream, stream->fd, events, &got, deadline_ms))
		return false;
	if ((got & POLLIN) && room)
		return read_some(stream) != SOME_FAILED;
	return true;
}

bool
stream_flush(struct stream *stream, int64_t deadline_ms)
{
	size_t at = 0, written = 0;
	enum some some;

	while (stream->state == STREAM_OK && at < stream->out_len) {
		some = write_some(stream, at, &written);
		if (some == SOME_DONE)
			at += written;
		else if (some == SOME_FAILED ||
		    !await_room(stream, some, deadline_ms))
			break;
	}
	stream->out_len = 0;
	return stream->state == STREAM_OK;
}

bool
stream_start_tls(struct stream *stream, SSL *ssl, int64_t deadline_ms)
{
	enum some some;
	short got;
	int n;

	stream->ssl = ssl;
	if (SSL_set_fd(ssl, stream->fd) != 1)
		return fail(stream, STREAM_TLS, "no memory");
	SSL_set_msg_callback(ssl, note_record);
	SSL_set_msg_callback_arg(ssl, stream);
	for (;;) {
		ERR_clear_error();
		errno = 0;
		n = SSL_connect(ssl);
		if (n == 1)
			return true;
		some = tls_error(stream, n);
		if (some == SOME_FAILED || !await(stream, stream->fd,
		    some == SOME_WANTS_READ ? POLLIN : POLLOUT, &got,
		    deadline_ms))
			return false;
	}
}

void
stream_end_tls(struct stream *stream)
{
	if (stream->ssl == NULL || stream->state != STREAM_OK)
		return;
	ERR_clear_error();
	SSL_shutdown(stream->ssl);
	ERR_clear_error();
}

ssize_t
stream_read_other(struct stream *stream, int fd, void *octets, size_t size,
    int64_t deadline_ms)
{
	ssize_t n;
	short got;

	do {
		if (stream->state != STREAM_OK ||
		    !await(stream, fd, POLLIN, &got, deadline_ms))
			return -1;
		n = read(fd, octets, size);
	} while (n == -1 && (errno == EAGAIN || errno == EINTR));
	if (n == -1)
		fail(stream, STREAM_CUT, strerror(errno));
	return n;
}
