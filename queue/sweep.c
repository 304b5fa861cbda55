/*
 * What lies in the spool that nobody needs any more?
 *
 * Called by turn.c in every turn; does something at start, after a lost turn
 * and once an hour:
 *
 *	intake marks	parts of messages that never came to exist
 *	body files	that no message names (at start only)
 *	keys		seven days after their last change
 *	recipients	that no index finds (audit.c; at start, once a day)
 *
 * All in slices, so that a start answers at once.  What is on its way in is
 * known to receive.c and left alone.  It also says how the files are: that
 * they did well for a while, that damaged ones lie aside, that they must be
 * looked through, which takes a new start.
 */
#include "queue/sweep.h"

#include "conf/log.h"
#include "conf/parent.h"
#include "queue/audit.h"
#include "queue/keys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SLICE_MARKS	16
#define SLICE_FILES	100
#define SLICE_KEYS	200
#define HOUR_MS		3600000
#define HOURS_A_DAY	24
/* Between two slices of the audit: some hundred recipients a second. */
#define AUDIT_MS	100
#define WELL_MS		60000
#define ASIDE		"damaged-"	/* see salvage.h */

struct sweep {
	struct spool	*spool;
	struct receiver	*receiver;
	bool		 marks;		/* being swept */
	uint64_t	 mark;		/* the last that was seen */
	DIR		*files;		/* NULL: done */
	bool		 keys;
	bool		 forget;	/* the clock can be believed */
	char		 key[64];
	struct timer	*timer;
	unsigned	 hours;
	struct audit	 audit;
	bool		 audit_now;	/* a slice in this turn */
	bool		 told;		/* the parent listens by then */
	struct timer	*audit_timer, *well_timer;
};

/* For `status`, until the operator has looked at it and removed it. */
static void
say_aside(struct sweep *sweep)
{
	int fd = openat(spool_dir_fd(sweep->spool), ".",
	    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *all = fd == -1 ? NULL : fdopendir(fd);
	struct dirent *entry;
	char name[64] = "";

	if (all == NULL)
		return;
	while ((entry = readdir(all)) != NULL)
		if (strncmp(entry->d_name, ASIDE, strlen(ASIDE)) == 0)
			slice_store(slice_of(entry->d_name), name,
			    sizeof(name));
	closedir(all);
	parent_alarm("damaged", name[0] != '\0', "files of a damaged queue "
	    "lie in queue/%s; remove them when nothing is missed", name);
}

static void
begin_audit(struct sweep *sweep)
{
	audit_begin(&sweep->audit, sweep->spool);
	timer_set(sweep->audit_timer, AUDIT_MS);
}

static void
on_hour(void *context)
{
	struct sweep *sweep = context;

	sweep->keys = true;
	timer_set(sweep->timer, HOUR_MS);
	say_aside(sweep);
	if (++sweep->hours % HOURS_A_DAY == 0)
		begin_audit(sweep);
}

static void
on_audit(void *context)
{
	struct sweep *sweep = context;

	sweep->audit_now = true;
	if (!sweep->told)
		say_aside(sweep);
	sweep->told = true;
}

static void
on_well(void *context)
{
	struct sweep *sweep = context;

	spool_is_well(sweep->spool);
}

struct sweep *
sweep_new(struct loop *loop, struct spool *spool, struct receiver *receiver)
{
	struct sweep *sweep = mem_alloc(sizeof(*sweep));
	int fd = dup(spool_bodies_fd(spool));

	sweep->spool = spool;
	sweep->receiver = receiver;
	sweep->marks = sweep->keys = sweep->forget = true;
	sweep->timer = timer_new(loop, on_hour, sweep);
	timer_set(sweep->timer, HOUR_MS);
	sweep->audit_timer = timer_new(loop, on_audit, sweep);
	sweep->well_timer = timer_new(loop, on_well, sweep);
	timer_set(sweep->well_timer, WELL_MS);
	begin_audit(sweep);
	say_aside(sweep);
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
	timer_free(&(*sweep)->audit_timer);
	timer_free(&(*sweep)->well_timer);
	free(*sweep);
	*sweep = NULL;
}

void
sweep_intakes(struct sweep *sweep)
{
	sweep->marks = true;
	sweep->mark = 0;
}

void
sweep_forget(struct sweep *sweep, bool forget)
{
	sweep->forget = forget;
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
		/* A damaged mark may name anything. */
		if (!spool_has_message(sweep->spool, sweep->mark))
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

static void
sweep_audit(struct sweep *sweep)
{
	sweep->audit_now = false;
	if (audit_slice(&sweep->audit))
		timer_set(sweep->audit_timer, AUDIT_MS);
}

/*
 * Keys out of order hide others: the next start looks through all files and
 * salvages them if it is so.
 */
static void
end_if_suspect(const struct sweep *sweep)
{
	if (!spool_is_suspect(sweep->spool))
		return;
	log_alarm("store", "a table of the queue looks damaged: the queue "
	    "starts again and looks through its files");
	errno = 0;
	fatal("the queue's files must be looked through");
}

void
sweep_before_commit(struct sweep *sweep)
{
	end_if_suspect(sweep);
	if (sweep->audit_now)
		sweep_audit(sweep);
	if (sweep->marks)
		sweep_marks(sweep);
	if (sweep->files != NULL)
		sweep_files(sweep);
	/* If not now, in an hour. */
	if (!sweep->forget)
		sweep->keys = false;
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
