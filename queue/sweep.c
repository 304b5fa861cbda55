/*
 * What lies in the spool that nobody needs any more?
 *
 * Called by turn.c in every turn; does something at start, after a lost turn
 * and once an hour:
 *
 *	intake marks	parts of messages that never came to exist
 *	body files	that no message names (at start only)
 *	keys		seven days after their last change
 *
 * All in slices, so that a start answers at once.  What is on its way in is
 * known to receive.c and left alone.
 */
#include "queue/sweep.h"

#include "conf/log.h"
#include "queue/keys.h"

#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

#define SLICE_MARKS	16
#define SLICE_FILES	100
#define SLICE_KEYS	200
#define HOUR_MS		3600000

struct sweep {
	struct spool	*spool;
	struct receiver	*receiver;
	bool		 marks;		/* being swept */
	uint64_t	 mark;		/* the last that was seen */
	DIR		*files;		/* NULL: done */
	bool		 keys;
	char		 key[64];
	struct timer	*timer;
};

static void
on_hour(void *context)
{
	struct sweep *sweep = context;

	sweep->keys = true;
	timer_set(sweep->timer, HOUR_MS);
}

struct sweep *
sweep_new(struct loop *loop, struct spool *spool, struct receiver *receiver)
{
	struct sweep *sweep = mem_alloc(sizeof(*sweep));
	int fd = dup(spool_bodies_fd(spool));

	sweep->spool = spool;
	sweep->receiver = receiver;
	sweep->marks = sweep->keys = true;
	sweep->timer = timer_new(loop, on_hour, sweep);
	timer_set(sweep->timer, HOUR_MS);
	sweep->files = fd == -1 ? NULL : fdopendir(fd);
	if (sweep->files == NULL)
		log_line(LOG_LEVEL_ERROR, "body files cannot be listed");
	else
		rewinddir(sweep->files);
	return sweep;
}

void
sweep_free(struct sweep **sweep)
{
	if ((*sweep)->files != NULL)
		closedir((*sweep)->files);
	timer_free(&(*sweep)->timer);
	free(*sweep);
	*sweep = NULL;
}

void
sweep_intakes(struct sweep *sweep)
{
	sweep->marks = true;
	sweep->mark = 0;
}

static void
sweep_marks(struct sweep *sweep)
{
	for (int n = 0; n < SLICE_MARKS; n++) {
		if (!spool_next_intake(sweep->spool, sweep->mark,
		    &sweep->mark)) {
			sweep->marks = false;
			return;
		}
		if (receive_has(sweep->receiver, sweep->mark))
			continue;
		spool_drop_body(sweep->spool, sweep->mark);
		spool_unmark_intake(sweep->spool, sweep->mark);
	}
}

/* A name that is none of ours is left alone. */
static void
sweep_file(struct sweep *sweep, const char *name)
{
	char id_text[ID_TEXT_MAX];
	uint64_t id;

	if (!slice_store(slice_of(name), id_text, sizeof(id_text)) ||
	    !queue_id_parse(id_text, &id) ||
	    receive_has(sweep->receiver, id) ||
	    spool_has_message(sweep->spool, id))
		return;
	if (unlinkat(spool_bodies_fd(sweep->spool), id_text, 0) == 0)
		log_line(LOG_LEVEL_INFO, "body file %s belonged to no "
		    "message and is removed", id_text);
}

static void
sweep_files(struct sweep *sweep)
{
	const struct dirent *entry;

	for (int n = 0; n < SLICE_FILES; n++) {
		entry = readdir(sweep->files);
		if (entry == NULL) {
			closedir(sweep->files);
			sweep->files = NULL;
			return;
		}
		sweep_file(sweep, entry->d_name);
	}
}

static void
sweep_keys(struct sweep *sweep)
{
	uint64_t now_ms = (uint64_t)loop_wall_ms();
	struct used_key used;

	for (int n = 0; n < SLICE_KEYS; n++) {
		if (!spool_next_key(sweep->spool, sweep->key, &used)) {
			sweep->keys = false;
			sweep->key[0] = '\0';
			return;
		}
		if (keys_over(sweep->spool, &used, now_ms))
			spool_delete_key(sweep->spool, sweep->key);
	}
}

void
sweep_before_commit(struct sweep *sweep)
{
	if (sweep->marks)
		sweep_marks(sweep);
	if (sweep->files != NULL)
		sweep_files(sweep);
	if (sweep->keys)
		sweep_keys(sweep);
}

bool
sweep_after_commit(struct sweep *sweep, bool durable)
{
	/* Not at once: a store that fails is asked again by the hour. */
	if (!durable)
		sweep_intakes(sweep);
	return durable && (sweep->marks || sweep->files != NULL ||
	    sweep->keys);
}
