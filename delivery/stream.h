/*
 * Octets to and from one server, plain or TLS, on a non-blocking socket:
 * every wait has an absolute deadline (milliseconds of wire_now_ms), so that
 * a peer who feeds octet by octet gains no time.
 *
 * All functions but stream_open and stream_close may block up to their
 * deadline.  A failure is final: the stream keeps it in `state` and every
 * later call fails at once.
 */
#ifndef CULVER_STREAM_H
#define CULVER_STREAM_H

#include "conf/mem.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#define STREAM_BUFFER	65536

enum stream_state {
	STREAM_OK,
	STREAM_CLOSED,		/* closed or reset; TLS: also without notice */
	STREAM_TIMEOUT,		/* the deadline passed */
	STREAM_TLS,		/* the TLS library gave up, or was made to:
				   too much of TLS that is no data */
	STREAM_CUT		/* our own program wants us to stop */
};

struct stream {
	int		 fd;
	/* Readable or closed while we wait: STREAM_CUT; -1: none. */
	int		 watch_fd;
	bool		 patient;	/* only closed: what is readable on it
					   has to wait */
	SSL		*ssl;		/* NULL in clear; the stream's */
	enum stream_state state;
	char		 error[128];	/* for people, once state is not OK */
	unsigned	 idle_records;	/* TLS: came, and brought no data */
	size_t		 in_at, in_len;	/* what was read lies in between */
	size_t		 out_len;
	uint8_t		*in, *out;	/* STREAM_BUFFER each */
};

/* Take fd over (non-blocking, connected); watch_fd stays the caller's. */
void	stream_open(struct stream *stream, int fd, int watch_fd);
/* Close at once; what is not flushed is lost.  Safe to call twice. */
void	stream_close(struct stream *stream);

/* What has been read and not taken; and take len of it.  Don't block. */
struct slice	stream_read_so_far(const struct stream *stream);
void	stream_take(struct stream *stream, size_t len);
/*
 * Read what is there already, without waiting.  True: nothing is unread, and
 * the connection is as good as before.
 */
bool	stream_is_quiet(struct stream *stream);
/* Flush, then wait until there is something to take. */
bool	stream_read(struct stream *stream, int64_t deadline_ms);

/* Append to what is to be written; flushes when the buffer is full. */
bool	stream_put(struct stream *stream, const void *octets, size_t len,
	    int64_t deadline_ms);
/*
 * Write all that was put.  While the peer takes nothing its own octets are
 * read, as long as there is room: two full pipes are no deadlock
 * (EXT-2920-3.1-6).
 */
bool	stream_flush(struct stream *stream, int64_t deadline_ms);

/*
 * TLS from here on: ssl is taken over, its handshake made.  Must be called
 * with nothing unread, nothing unwritten (TLS-3207-4.2-7: the caller checks
 * the first).  On failure `error` holds OpenSSL's reason.
 */
bool	stream_start_tls(struct stream *stream, SSL *ssl,
	    int64_t deadline_ms);
/* Say close_notify, as far as it goes without waiting. */
void	stream_end_tls(struct stream *stream);

/*
 * Read from another descriptor (a body's pipe): as read(2), but with the
 * deadline and watch_fd of this stream.  -1: see state.
 */
ssize_t	stream_read_other(struct stream *stream, int fd, void *octets,
	    size_t size, int64_t deadline_ms);

#endif
