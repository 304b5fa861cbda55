/*
 * How does a body get to the worker that sends it?
 *
 * Called by dispatch.c for each D_BODY, and by signer.c.  States of a pull:
 *
 *	checking	a body that is a file, and nothing before it: its
 *			checksum is computed in slices, then its descriptor is
 *			handed over
 *	feeding		signature, chunks and file, whichever there are, are
 *			written into a pipe as it drains
 *
 * Most bodies fit into the pipe and are over inside pull_begin.  It does not
 * know who reads, and keeps no octets of chunks: where the pipe was full they
 * are read again.
 */
#include "queue/pull.h"

#include "conf/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#define PIECE_OCTETS	65536
/* Checked a turn, of all files together. */
#define CHECK_OCTETS	(2u << 20)

struct pull {
	LIST_ENTRY(pull)	 pulls;
	struct pulls		*of;
	uint64_t		 job;
	uint64_t		 message;
	bool			 signature;	/* is still to be written */
	uint32_t		 chunks;
	uint64_t		 file_bytes;
	uint32_t		 file_crc;
	uint32_t		 chunk;		/* the next */
	size_t			 offset;	/* in it, or in piece */
	int			 pipe;		/* write end, -1: checking */
	struct watch		*watch;
	int			 file;
	uint64_t		 file_read;
	uint32_t		 crc;
	bool			 failed;	/* we could not read: no fault
						   of the file's */
	uint8_t			*piece;		/* of the file, feeding */
	size_t			 piece_len;
};

struct pulls {
	struct loop			*loop;
	struct spool			*spool;
	const struct pull_calls		*calls;
	void				*context;
	LIST_HEAD(, pull)		 feeding, checking;
	uint8_t				*room;
	int				 ended;	/* a pipe that is at its end,
						   for want of another; -1 */
};

static void	on_pipe(void *context, int what);

/* Kept for when no descriptor is to be had. */
static void
keep_ended(struct pulls *pulls)
{
	int ends[2];

	if (pulls->ended != -1 || pipe2(ends, O_CLOEXEC) == -1)
		return;
	close(ends[1]);
	pulls->ended = ends[0];
}

struct pulls *
pull_new(struct loop *loop, struct spool *spool,
    const struct pull_calls *calls, void *context)
{
	struct pulls *pulls = mem_alloc(sizeof(*pulls));

	pulls->loop = loop;
	pulls->spool = spool;
	pulls->calls = calls;
	pulls->context = context;
	LIST_INIT(&pulls->feeding);
	LIST_INIT(&pulls->checking);
	pulls->room = mem_alloc(PIECE_OCTETS);
	pulls->ended = -1;
	keep_ended(pulls);
	return pulls;
}

static void
end_pull(struct pull *pull)
{
	watch_free(&pull->watch);
	if (pull->pipe != -1)
		close(pull->pipe);
	if (pull->file != -1)
		close(pull->file);
	LIST_REMOVE(pull, pulls);
	free(pull->piece);
	free(pull);
}

void
pull_stop(struct pulls *pulls)
{
	struct pull *pull;

	while ((pull = LIST_FIRST(&pulls->feeding)) != NULL)
		end_pull(pull);
	while ((pull = LIST_FIRST(&pulls->checking)) != NULL)
		end_pull(pull);
}

void
pull_free(struct pulls **pulls)
{
	pull_stop(*pulls);
	if ((*pulls)->ended != -1)
		close((*pulls)->ended);
	free((*pulls)->room);
	free(*pulls);
	*pulls = NULL;
}

/*
 * The pipe ends before its count: whoever reads knows what to think.  A body
 * that was asked for ahead may go because its message is over meanwhile.
 */
static void
say_damaged(struct pull *pull, const char *what)
{
	char id[ID_TEXT_MAX];

	if (!spool_has_message(pull->of->spool, pull->message))
		return;
	log_alarm("record", "the body of message %s is damaged (%s); it is "
	    "held", queue_id_print(pull->message, id), what);
	pull->of->calls->damaged(pull->of->context, pull->message);
}

static bool
open_file(struct pull *pull)
{
	char name[ID_TEXT_MAX];

	if (pull->file == -1)
		pull->file = openat(spool_bodies_fd(pull->of->spool),
		    spool_body_name(pull->message, name),
		    O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	pull->failed = pull->file == -1 && errno != ENOENT;
	return pull->file != -1;
}

/* Read on in the file; 0 at its end or when it is not as it was written. */
static size_t
read_file(struct pull *pull, uint8_t *octets, size_t len)
{
	ssize_t n;

	if (!open_file(pull))
		return 0;
	if (len > pull->file_bytes - pull->file_read)
		len = (size_t)(pull->file_bytes - pull->file_read);
	n = pread(pull->file, octets, len, (off_t)pull->file_read);
	pull->failed = n == -1;
	if (n <= 0)
		return 0;
	pull->crc = store_crc(pull->crc, octets, (size_t)n);
	pull->file_read += (uint64_t)n;
	return (size_t)n;
}

/* Was all of the file read, and is it what was stored? */
static bool
file_is_good(const struct pull *pull)
{
	return pull->file_read == pull->file_bytes &&
	    pull->crc == pull->file_crc;
}

/* ---- feeding ---- */

enum fed { FED_MORE, FED_FULL, FED_OVER };

/* Write from offset on; moves it. */
static enum fed
feed(struct pull *pull, const void *octets, size_t len)
{
	ssize_t n;

	do
		n = write(pull->pipe, (const uint8_t *)octets + pull->offset,
		    len - pull->offset);
	while (n == -1 && errno == EINTR);
	if (n == -1)
		return errno == EAGAIN ? FED_FULL : FED_OVER;
	pull->offset += (size_t)n;
	return pull->offset < len ? FED_FULL : FED_MORE;
}

/* n: CHUNK_SIGNATURE, or the next of the body. */
static enum fed
feed_chunk(struct pull *pull, uint32_t n)
{
	struct slice chunk;
	enum store_found found = spool_get_chunk(pull->of->spool,
	    pull->message, n, &chunk);
	enum fed fed;

	if (found == STORE_FAILED)
		return FED_OVER;	/* the job is cut, and comes again */
	if (found != STORE_FOUND) {
		say_damaged(pull, "chunk");
		return FED_OVER;
	}
	fed = feed(pull, chunk.at, chunk.len);
	if (fed != FED_MORE)
		return fed;
	if (n == CHUNK_SIGNATURE)
		pull->signature = false;
	else
		pull->chunk++;
	pull->offset = 0;
	return fed;
}

/* The last piece is held back until the checksum of all is known. */
static enum fed
feed_piece(struct pull *pull)
{
	enum fed fed;

	if (pull->piece == NULL)
		pull->piece = mem_alloc(PIECE_OCTETS);
	if (pull->piece_len == 0) {
		pull->piece_len = read_file(pull, pull->piece, PIECE_OCTETS);
		if (pull->failed)
			return FED_OVER;	/* the job is cut, as above */
		if (pull->piece_len == 0 || (pull->file_read ==
		    pull->file_bytes && !file_is_good(pull))) {
			say_damaged(pull, "file");
			return FED_OVER;
		}
	}
	fed = feed(pull, pull->piece, pull->piece_len);
	if (fed == FED_MORE)
		pull->piece_len = pull->offset = 0;
	return fed;
}

static enum fed
feed_next(struct pull *pull)
{
	if (pull->signature)
		return feed_chunk(pull, CHUNK_SIGNATURE);
	if (pull->chunk < pull->chunks)
		return feed_chunk(pull, pull->chunk);
	if (pull->file_read < pull->file_bytes || pull->piece_len > 0)
		return feed_piece(pull);
	return FED_OVER;
}

static void
feed_pipe(struct pull *pull)
{
	enum fed fed;

	do
		fed = feed_next(pull);
	while (fed == FED_MORE);
	if (fed == FED_OVER)
		end_pull(pull);
	else if (pull->watch == NULL)
		pull->watch = watch_new(pull->of->loop, pull->pipe,
		    WATCH_WRITE, on_pipe, pull);
}

static void
on_pipe(void *context, int what)
{
	(void)what;
	feed_pipe(context);
}

/*
 * There is no pipe: the job comes to nothing at once, and comes again.  If
 * that is too early as well, whoever waits gives up by himself.
 */
static void
say_no_pipe(struct pulls *pulls, uint64_t job, int error)
{
	int fd = pulls->ended;

	log_line(LOG_LEVEL_ERROR, "no pipe for a body: %s", strerror(error));
	pulls->ended = -1;
	if (fd != -1)
		pulls->calls->ready(pulls->context, job, fd);
}

/* A pipe for the job; false when there is none to be had. */
static bool
open_pipe(struct pulls *pulls, struct pull *pull)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) == -1) {
		say_no_pipe(pulls, pull->job, errno);
		return false;
	}
	fcntl(ends[1], F_SETFL, O_NONBLOCK);
	pull->pipe = ends[1];
	pulls->calls->ready(pulls->context, pull->job, ends[0]);
	keep_ended(pulls);
	return true;
}

/* ---- checking ---- */

/*
 * Check some of it; *octets is what may still be read in this turn.  True:
 * done, one way or the other.
 */
static bool
check(struct pull *pull, size_t *octets)
{
	while (*octets > 0 && pull->file_read < pull->file_bytes) {
		size_t n = read_file(pull, pull->of->room, PIECE_OCTETS);

		if (n == 0)
			return true;
		*octets -= n < *octets ? n : *octets;
	}
	return pull->file_read == pull->file_bytes;
}

static void
end_check(struct pull *pull)
{
	struct pulls *pulls = pull->of;

	if (pull->failed || !file_is_good(pull)) {
		if (!pull->failed)
			say_damaged(pull, "file");
		open_pipe(pulls, pull);
	} else {
		/* Read by pread: the place in the file is its beginning. */
		pulls->calls->ready(pulls->context, pull->job, pull->file);
		pull->file = -1;
	}
	end_pull(pull);
}

bool
pull_turn(struct pulls *pulls)
{
	size_t octets = CHECK_OCTETS;
	struct pull *pull;

	while ((pull = LIST_FIRST(&pulls->checking)) != NULL) {
		if (!check(pull, &octets))
			return true;
		end_check(pull);
	}
	return false;
}

void
pull_begin(struct pulls *pulls, uint64_t job, const struct message *message)
{
	struct pull *pull = mem_alloc(sizeof(*pull));

	pull->of = pulls;
	pull->job = job;
	pull->pipe = pull->file = -1;
	if (message != NULL) {
		pull->message = message->id;
		pull->signature = message->signature_bytes > 0;
		pull->chunks = message->chunks;
		pull->file_bytes = message->file_bytes;
		pull->file_crc = message->file_crc;
	}
	if (pull->chunks == 0 && pull->file_bytes > 0 && !pull->signature &&
	    !message->needs_signature) {
		LIST_INSERT_HEAD(&pulls->checking, pull, pulls);
		return;
	}
	LIST_INSERT_HEAD(&pulls->feeding, pull, pulls);
	if (open_pipe(pulls, pull))
		feed_pipe(pull);
	else
		end_pull(pull);
}
