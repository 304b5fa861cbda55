/*
 * How does a backup leave the queue program, which may write nowhere else?
 *
 * Called for the verb `queue backup DIR`.  Pieces (backup.c) go out as they
 * are read, one a slice, between turns that take and deliver mail; culverctl
 * writes them (conf/unpack.c).  A caller that goes away ends it, and the queue
 * is as if nothing had been.
 */
#include "queue/backupctl.h"

#include "queue/backup.h"
#include "queue/ctl.h"
#include "queue/turn.h"

#include <stdio.h>
#include <stdlib.h>

/* A backup on its way out. */
struct saying {
	struct control	*control;
	const char	*dir;		/* the request's */
	struct backup	*backup;
	uint64_t	 files, octets;
	bool		 logged;
};

static void
log_backup(struct saying *saying, const char *outcome)
{
	struct event event;

	saying->logged = true;
	event_begin(&event, LOG_LEVEL_INFO, "admin");
	event_text(&event, "verb", "queue backup");
	event_text(&event, "args", saying->dir);
	control_who(saying->control, &event);
	event_number(&event, "files", (int64_t)saying->files);
	event_number(&event, "octets", (int64_t)saying->octets);
	event_text(&event, "outcome", outcome);
	event_end(&event);
}

static void
release(void *memory)
{
	struct saying *saying = memory;

	if (!saying->logged)
		log_backup(saying, "cut off");
	backup_free(&saying->backup);
	free(saying);
}

static void
say_piece(struct saying *saying, const struct backup_piece *piece)
{
	char line[BACKUP_NAME_MAX + 32];
	int len = snprintf(line, sizeof(line), "%s %zu\n", piece->name,
	    piece->len);

	control_octets(saying->control, line, (size_t)len);
	control_octets(saying->control, piece->octets, piece->len);
	saying->files += piece->offset == 0;
	saying->octets += piece->len;
}

static void
say_further(void *program, struct control *control, void *memory)
{
	struct saying *saying = memory;
	struct backup_piece piece;

	(void)program;
	switch (backup_next(saying->backup, &piece)) {
	case BACKUP_PIECE:
		say_piece(saying, &piece);
		control_again(control, say_further, saying, release);
		break;
	case BACKUP_DONE:
		control_octets(control, "end\n", 4);
		log_backup(saying, "done");
		control_end(control, CONTROL_OK);
		break;
	case BACKUP_FAILED:
		log_backup(saying, "failed");
		ctl_refuse(control, CONTROL_AGAIN, "a file of the queue could "
		    "not be read: this is no backup", "");
		break;
	}
}

void
backupctl_run(void *program, struct control *control, int argc, char **argv)
{
	struct queue *queue = program;
	struct saying *saying;
	struct backup *backup;
	char error[256];

	if (argc != 1 || argv[0][0] == '\0') {
		ctl_refuse(control, CONTROL_USAGE, "a folder that is empty or "
		    "does not exist is wanted", argc > 0 ? argv[argc - 1] :
		    "");
		return;
	}
	backup = backup_new(queue->spool, error, sizeof(error));
	if (backup == NULL) {
		ctl_refuse(control, CONTROL_AGAIN, error, "");
		return;
	}
	saying = mem_alloc(sizeof(*saying));
	saying->control = control;
	saying->dir = argv[0];
	saying->backup = backup;
	control_again(control, say_further, saying, release);
}
