/*
 * Where does a message's body go while it comes in?
 *
 * Called by receive.c with one body a message.  States: in memory (less than
 * one chunk was read: nothing is stored), chunks (the store has some, and an
 * intake mark, so that a crash leaves nothing unnamed), file (further octets
 * are written there; started on their way to the device as they come, so
 * that the sync at the end finds little to do).
 * It does not know SMTP, and does not decide whether a body is whole.
 */
#include "queue/body.h"

#include "conf/log.h"
#include "conf/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Chunks before a file begins. */
#define CHUNKS_UNANNOUNCED	4	/* 64 KiB */
#define CHUNKS_ANNOUNCED	16	/* 256 KiB */
#define WRITE_BACK_OCTETS	(256u << 10)
/* Reserved at a time for what was not announced. */
#define RESERVE_OCTETS		(1u << 20)

bool
body_begin(struct body *body, struct spool *spool, struct space *space,
    uint64_t id, uint64_t announced)
{
	uint64_t reserve = announced > 0 ? announced : BODY_ROOM;

	if (!space_take(space, reserve))
		return false;
	*body = (struct body){ .spool = spool, .space = space, .id = id,
	    .announced = announced, .reserved = reserve, .file = -1 };
	return true;
}

/* More than was announced is coming: is there room for that too? */
static bool
reserve_more(struct body *body)
{
	if (body->size_bytes <= body->reserved)
		return true;
	if (!space_take(body->space, RESERVE_OCTETS))
		return false;
	body->reserved += RESERVE_OCTETS;
	return true;
}

static bool
wants_file(const struct body *body)
{
	if (body->announced > BODY_FILE_ABOVE)
		return true;
	return body->chunks >= (body->announced == 0 ? CHUNKS_UNANNOUNCED :
	    CHUNKS_ANNOUNCED);
}

/* What is in memory: a chunk, the last one, or all of a small body. */
static void
put_buffered(struct body *body)
{
	const uint8_t *octets = body->buffer;

	while (body->buffered > 0) {
		uint32_t n = body->buffered < CHUNK_OCTETS ? body->buffered :
		    CHUNK_OCTETS;

		spool_put_chunk(body->spool, body->id, body->chunks++, octets,
		    n);
		octets += n;
		body->buffered -= n;
	}
	body->turn = spool_turn(body->spool);
}

/* A full chunk, and more may come: it has to be known as a part. */
static void
put_full_chunk(struct body *body)
{
	if (!body->marked)
		spool_mark_intake(body->spool, body->id,
		    (uint64_t)loop_wall_ms());
	body->marked = true;
	put_buffered(body);
}

static enum body_read
failure(void)
{
	return errno == ENOSPC || errno == EDQUOT ? BODY_FULL : BODY_FAILED;
}

static bool
write_all(int fd, const uint8_t *octets, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, octets, len);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		octets += n;
		len -= (size_t)n;
	}
	return true;
}

static bool
open_file(struct body *body)
{
	char name[ID_TEXT_MAX];

	if (body->file != -1)
		return true;
	body->file = openat(spool_bodies_fd(body->spool),
	    spool_body_name(body->id, name),
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return body->file != -1;
}

void
body_start_sync(struct body *body)
{
	/* Only a hint: the sync at the end is what counts. */
	if (body->file_bytes > body->started_bytes)
		sync_file_range(body->file, (off_t)body->started_bytes,
		    (off_t)(body->file_bytes - body->started_bytes),
		    SYNC_FILE_RANGE_WRITE);
	body->started_bytes = body->file_bytes;
}

static enum body_read
put_into_file(struct body *body, const uint8_t *octets, size_t len)
{
	if (!open_file(body) || !write_all(body->file, octets, len))
		return failure();
	body->file_crc = store_crc(body->file_crc, octets, len);
	body->file_bytes += len;
	if (body->file_bytes - body->started_bytes >= WRITE_BACK_OCTETS)
		body_start_sync(body);
	return BODY_MORE;
}

/* After read(2) gave n octets. */
static enum body_read
take(struct body *body, const uint8_t *octets, size_t n, bool into_file)
{
	body->size_bytes += n;
	if (body->discard) {
		body->buffered = 0;
		return BODY_MORE;
	}
	if (!reserve_more(body))
		return BODY_FULL;
	if (into_file)
		return put_into_file(body, octets, n);
	body->buffered += (uint32_t)n;
	if (body->buffered == CHUNK_OCTETS)
		put_full_chunk(body);
	return BODY_MORE;
}

enum body_read
body_read(struct body *body, int pipe, uint8_t *room)
{
	bool into_file = !body->discard && wants_file(body);
	size_t len = into_file ? BODY_ROOM : CHUNK_OCTETS - body->buffered;
	uint8_t *octets;
	ssize_t n;

	if (!into_file && body->buffer == NULL)
		body->buffer = mem_alloc(CHUNK_OCTETS);
	octets = into_file ? room : body->buffer + body->buffered;

	do
		n = read(pipe, octets, len);
	while (n == -1 && errno == EINTR);
	if (n == 0)
		return BODY_EOF;
	if (n == -1)
		return errno == EAGAIN ? BODY_DRY : BODY_FAILED;
	return take(body, octets, (size_t)n, into_file);
}

enum body_read
body_take(struct body *body, const uint8_t *octets, size_t len)
{
	if (body->size_bytes != 0)
		bug("a body of which %llu octets are here comes as a whole",
		    (unsigned long long)body->size_bytes);
	body->size_bytes = len;
	if (!reserve_more(body))
		return BODY_FULL;
	body->buffer = mem_alloc(len);
	if (len > 0)
		memcpy(body->buffer, octets, len);
	body->buffered = (uint32_t)len;
	return BODY_EOF;
}

bool
body_sync(struct body *body, unsigned *files)
{
	if (body->file == -1)
		return true;
	(*files)++;
	return fdatasync(body->file) == 0;
}

void
body_finish(struct body *body, struct message *message)
{
	put_buffered(body);
	if (body->marked)
		spool_unmark_intake(body->spool, body->id);
	body->turn = spool_turn(body->spool);
	message->size_bytes = body->size_bytes;
	message->chunks = body->chunks;
	message->file_bytes = body->file_bytes;
	message->file_crc = body->file_crc;
}

static void
give_up(struct body *body, uint64_t written)
{
	space_give(body->space, body->reserved, written);
	body->reserved = 0;
	free(body->buffer);
	body->buffer = NULL;
	if (body->file != -1)
		close(body->file);
	body->file = -1;
}

void
body_end(struct body *body)
{
	give_up(body, body->discard ? 0 : body->size_bytes);
}

static void
remove_file(struct body *body)
{
	char name[ID_TEXT_MAX];

	if (body->file != -1)
		unlinkat(spool_bodies_fd(body->spool),
		    spool_body_name(body->id, name), 0);
}

static void
take_back(struct body *body)
{
	if (body->chunks > 0)
		spool_drop_body(body->spool, body->id);
	else
		remove_file(body);
	if (body->marked)
		spool_unmark_intake(body->spool, body->id);
	body->chunks = 0;
	body->marked = false;
	body->turn = spool_turn(body->spool);
}

void
body_discard(struct body *body)
{
	take_back(body);
	body->discard = true;
}

void
body_drop(struct body *body)
{
	take_back(body);
	give_up(body, body->file_bytes);
}

void
body_lost(struct body *body)
{
	remove_file(body);
	give_up(body, body->file_bytes);
}
