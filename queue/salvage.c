/*
 * What of a damaged queue can be saved?
 *
 * Called by spool.c when the database refuses a store, or a table's file is
 * damaged in its structure; what is merely wrong in a record is no reason,
 * that record is left out by itself.  States, in the file `salvage`:
 *
 *	(none)		nothing to be done
 *	move NAME	the old files are on their way into folder NAME
 *	fill NAME	they are all there; the new store is being filled from
 *			them, and is thrown away if that is cut off
 *
 * Copied as they are: messages, recipients, chunks, keys, destinations,
 * attempts, intakes.  Made from these: names and the indexes.  A message of
 * which no recipient is left, or a recipient without message, is known to be
 * lost; the file NAME/lost has what is known of it, and body files that no
 * message names go there too.  What was written since the last checkpoint may
 * be missing without a trace: only the log had it.
 */
#include "queue/salvage.h"

#include "conf/log.h"
#include "conf/storemark.h"
#include "queue/destination.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define STATE_FILE	"salvage"
#define STATE_NEW	"salvage.new"
#define NAME_MAX_LEN	64
#define PATH_SIZE	4096
/* Beside the data: the new log. */
#define ROOM_OCTETS	(64ull << 20)
#define BLOCK_OCTETS	512	/* unit of st_blocks */

const char *const salvage_tables[] = { "messages", "recipients", "chunks",
	"keys", "destinations", "attempts", "intakes", NULL };

struct salvage {
	struct spool	*spool;
	bool		 failed;
	FILE		*lost_list;
	uint64_t	 saved, lost, held, files;
	const char	*table;
};

/* ---- the state ---- */

static bool
read_state(int dir_fd, char word[8], char name[NAME_MAX_LEN])
{
	int fd = openat(dir_fd, STATE_FILE,
	    O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char text[128];
	ssize_t len;

	if (fd == -1)
		return false;
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[len > 0 ? len : 0] = '\0';
	return sscanf(text, "%7s %63[a-z0-9-]", word, name) == 2;
}

static bool
write_state(int dir_fd, const char *word, const char *name)
{
	int fd = openat(dir_fd, STATE_NEW, O_WRONLY | O_CREAT | O_TRUNC |
	    O_CLOEXEC | O_NOFOLLOW, 0600);
	bool good;

	if (fd == -1)
		return false;
	good = dprintf(fd, "%s %s\n", word, name) > 0 && fsync(fd) == 0;
	close(fd);
	return good && renameat(dir_fd, STATE_NEW, dir_fd, STATE_FILE) ==
	    0 && fsync(dir_fd) == 0;
}

bool
salvage_is_pending(int dir_fd)
{
	char word[8], name[NAME_MAX_LEN];

	return read_state(dir_fd, word, name);
}

/* ---- the old files ---- */

static bool
is_of_store(const char *name)
{
	size_t len = strlen(name);

	return strncmp(name, "log.", 4) == 0 ||
	    strncmp(name, "__db.", 5) == 0 ||
	    strcmp(name, STOREMARK_FILE) == 0 ||
	    (len > 3 && strcmp(name + len - 3, ".db") == 0);
}

/* Call act for each file of the store; the first errno that it gives, or 0. */
static int
each_file(int dir_fd, int (*act)(int dir_fd, const char *name, void *context),
    void *context)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *all = fd == -1 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int error = 0;

	if (all == NULL)
		return errno;
	while (error == 0 && (entry = readdir(all)) != NULL)
		if (is_of_store(entry->d_name))
			error = act(dir_fd, entry->d_name, context);
	closedir(all);
	return error;
}

static int
add_size(int dir_fd, const char *name, void *context)
{
	uint64_t *octets = context;
	struct stat status;

	if (fstatat(dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
	    strncmp(name, "log.", 4) != 0)
		*octets += (uint64_t)status.st_blocks * BLOCK_OCTETS;
	return 0;
}

static int
move_file(int dir_fd, const char *name, void *context)
{
	const int *to = context;

	return renameat(dir_fd, name, *to, name) == 0 ? 0 : errno;
}

static int
remove_file(int dir_fd, const char *name, void *context)
{
	(void)context;
	return unlinkat(dir_fd, name, 0) == 0 ? 0 : errno;
}

const char *
salvage_damaged_table(const char *dir, const struct storefile_end *end)
{
	static const char *const all[] = { "messages", "recipients", "due",
		"destinations", "names", "soon", "chunks", "intakes", "keys",
		"attempts", "unsigned", "clock" };
	char path[PATH_SIZE];

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s.db", dir, all[i]);
		if (storefile_is_damaged(path, end))
			return all[i];
	}
	return NULL;
}

/* ---- a log that lost its end ---- */

static bool
copy_octets(int from, int to)
{
	static char octets[65536];
	ssize_t n;

	while ((n = read(from, octets, sizeof(octets))) > 0)
		if (write(to, octets, (size_t)n) != n)
			return false;
	return n == 0 && fsync(to) == 0;
}

static int
copy_log(int dir_fd, const char *name, void *context)
{
	const int *folder = context;
	int from, to, error = 0;

	if (strncmp(name, "log.", 4) != 0)
		return 0;
	from = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	to = openat(*folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW |
	    O_CLOEXEC, 0600);
	if (from == -1 || to == -1 || !copy_octets(from, to))
		error = errno != 0 ? errno : EIO;
	if (from != -1)
		close(from);
	if (to != -1)
		close(to);
	return error;
}

void
salvage_keep_log(int dir_fd, const struct storefile_end *end,
    const struct storefile_end *was)
{
	char name[NAME_MAX_LEN];
	int to, error;

	snprintf(name, sizeof(name), "damaged-%lld", (long long)time(NULL));
	to = mkdirat(dir_fd, name, 0700) == -1 && errno != EEXIST ? -1 :
	    openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
	    O_CLOEXEC);
	error = to == -1 ? errno : each_file(dir_fd, copy_log, &to);
	if (to != -1)
		close(to);
	log_alarm("store", "the queue's log is damaged: it can be read up to "
	    "%u/%u, and reached up to %u/%u on stable storage. What was taken "
	    "in between is lost, and what was delivered then is delivered "
	    "again; a copy of the log is in queue/%s%s%s",
	    (unsigned)end->file, (unsigned)end->offset, (unsigned)was->file,
	    (unsigned)was->offset, name, error != 0 ? ", but not all of it: " :
	    "", error != 0 ? strerror(error) : "");
}

/* ---- beginning ---- */

static bool
has_room(int dir_fd, uint64_t *need)
{
	struct statvfs status;

	*need = ROOM_OCTETS;
	return each_file(dir_fd, add_size, need) == 0 &&
	    fstatvfs(dir_fd, &status) == 0 &&
	    (uint64_t)status.f_bavail * status.f_frsize >= *need;
}

bool
salvage_begin(int dir_fd, const char *why, char *error, size_t error_size)
{
	char name[NAME_MAX_LEN], reason[512];
	uint64_t need;

	snprintf(reason, sizeof(reason), "%s", why);
	if (!has_room(dir_fd, &need)) {
		snprintf(error, error_size, "%s; to salvage it %llu MiB of "
		    "room are needed beside it", reason,
		    (unsigned long long)(need >> 20));
		return false;
	}
	snprintf(name, sizeof(name), "damaged-%lld", (long long)time(NULL));
	log_alarm("store", "the queue's files are damaged (%s): they are "
	    "moved to queue/%s, and what can be read of them goes into new "
	    "ones", reason, name);
	if ((mkdirat(dir_fd, name, 0700) == -1 && errno != EEXIST) ||
	    !write_state(dir_fd, "move", name)) {
		snprintf(error, error_size, "%s; and a folder for it cannot "
		    "be made: %s", reason, strerror(errno));
		return false;
	}
	return true;
}

bool
salvage_make_way(int dir_fd, char *error, size_t error_size)
{
	char word[8], name[NAME_MAX_LEN];
	int to = -1, code = EINVAL;

	if (read_state(dir_fd, word, name) && (to = openat(dir_fd, name,
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) != -1)
		code = strcmp(word, "move") == 0 ?
		    each_file(dir_fd, move_file, &to) :
		    each_file(dir_fd, remove_file, NULL);
	if (code == 0 && (fsync(to) == -1 || fsync(dir_fd) == -1 ||
	    !write_state(dir_fd, "fill", name)))
		code = errno;
	if (to != -1)
		close(to);
	if (code != 0)
		snprintf(error, error_size, "the damaged queue cannot be "
		    "moved aside: %s", strerror(code));
	return code == 0;
}

/* ---- filling ---- */

/* A turn that is full is ended, without waiting for the device. */
static void
go_on(struct salvage *salvage)
{
	spool_count_event(salvage->spool);
	if (!salvage->failed && spool_turn_is_full(salvage->spool) &&
	    spool_turn_end(salvage->spool) != STORE_DURABLE)
		salvage->failed = true;
}

static void
take_entry(void *context, struct slice key, struct slice raw)
{
	struct salvage *salvage = context;

	if (salvage->failed)
		return;
	spool_put_raw(salvage->spool, salvage->table, key, raw);
	go_on(salvage);
}

static void
copy_tables(struct salvage *salvage, const char *dir, const char *name)
{
	char path[PATH_SIZE];

	for (size_t i = 0; salvage_tables[i] != NULL; i++) {
		salvage->table = salvage_tables[i];
		snprintf(path, sizeof(path), "%s/%s/%s.db", dir, name,
		    salvage_tables[i]);
		if (!storefile_salvage(path, take_entry, salvage))
			log_line(LOG_LEVEL_ERROR, "nothing can be read of "
			    "table %s", salvage_tables[i]);
	}
}

/* What is known of something that is lost, for the operator. */
static void
say_lost(struct salvage *salvage, uint64_t id, const char *what,
    const char *address)
{
	char text[ID_TEXT_MAX];

	if (salvage->lost_list != NULL)
		fprintf(salvage->lost_list, "%s %s %s\n",
		    queue_id_print(id, text), what, address);
}

/* Names and no entries in the index: recipients will make those. */
static void
mend_destinations(struct salvage *salvage)
{
	struct destination destination;
	uint64_t number = 0;

	while (!salvage->failed && spool_next_destination(salvage->spool,
	    number, &destination) == STORE_FOUND) {
		number = destination.number;
		destination.next_ms = destination.oldest_ms = 0;
		spool_put_destination(salvage->spool, &destination);
		if (spool_get_name(salvage->spool, destination.domain,
		    destination.class) == 0)
			spool_put_name(salvage->spool, &destination);
		go_on(salvage);
	}
}

/* Its record was lost: one by the same number, for the same next hop. */
static bool
make_destination(struct spool *spool, const struct recipient *recipient,
    const struct message *message, struct destination *destination)
{
	struct mailbox mailbox;

	if (!mailbox_parse(slice_of(recipient->address), &mailbox) ||
	    mailbox.domain.name[0] == '\0')
		return false;
	*destination = (struct destination){ .number =
	    recipient->destination, .class = message->class };
	if (!slice_store(slice_of(mailbox.domain.name), destination->domain,
	    sizeof(destination->domain)))
		return false;
	spool_put_destination(spool, destination);
	if (spool_get_name(spool, destination->domain,
	    destination->class) == 0)
		spool_put_name(spool, destination);
	return true;
}

/* One whose message is there: it waits again, or is held. */
static void
mend_recipient(struct salvage *salvage, struct recipient *recipient,
    const struct message *message)
{
	struct spool *spool = salvage->spool;
	struct destination destination;

	if (message == NULL || (spool_get_destination(spool,
	    recipient->destination, &destination) != STORE_FOUND &&
	    !make_destination(spool, recipient, message, &destination))) {
		recipient->due_ms = DUE_HELD;
		salvage->held++;
		spool_put_recipient(spool, recipient);
		return;
	}
	spool_put_recipient(spool, recipient);
	destination_owe(spool, &destination, recipient->due_ms,
	    message->arrived_ms);
}

static void
mend_recipients(struct salvage *salvage)
{
	struct spool *spool = salvage->spool;
	struct recipient recipient = { .id = 0 };
	uint64_t lost = 0;
	bool after = false;
	enum store_found found;

	while (!salvage->failed && ((found = spool_walk_recipients(spool,
	    recipient.id, recipient.number, after, &recipient)) ==
	    STORE_FOUND || found == STORE_DAMAGED)) {
		struct message message;
		enum store_found owner = spool_get_message(spool,
		    recipient.id, &message);

		after = true;
		if (found == STORE_DAMAGED) {
			salvage->held++;
		} else if (owner == STORE_FOUND ||
		    spool_has_message(spool, recipient.id)) {
			mend_recipient(salvage, &recipient,
			    owner == STORE_FOUND ? &message : NULL);
		} else {
			say_lost(salvage, recipient.id, "to",
			    recipient.address);
			salvage->lost += lost != recipient.id;
			lost = recipient.id;
			spool_delete_recipient(spool, &recipient);
		}
		go_on(salvage);
	}
}

/* Is all of its body there, and as it was stored? */
static bool
has_body(struct spool *spool, const struct message *message)
{
	char name[ID_TEXT_MAX];
	struct slice chunk;
	struct stat status;

	for (uint32_t n = 0; n < message->chunks; n++)
		if (spool_get_chunk(spool, message->id, n, &chunk) !=
		    STORE_FOUND)
			return false;
	return message->file_bytes == 0 || (fstatat(spool_bodies_fd(spool),
	    spool_body_name(message->id, name), &status,
	    AT_SYMLINK_NOFOLLOW) == 0 &&
	    (uint64_t)status.st_size == message->file_bytes);
}

static void
mend_message(struct salvage *salvage, const struct message *message)
{
	struct spool *spool = salvage->spool;

	if (!spool_is_owed(spool, message->id)) {
		say_lost(salvage, message->id, "from", message->sender);
		salvage->lost++;
	} else if (!has_body(spool, message)) {
		say_lost(salvage, message->id, "incomplete, from",
		    message->sender);
		spool_hold_message(spool, message->id);
		salvage->held++;
	} else {
		salvage->saved++;
	}
	if (message->needs_signature)
		spool_mark_unsigned(spool, message->id);
}

static void
mend_messages(struct salvage *salvage)
{
	struct message message;
	uint64_t id = 0;

	while (!salvage->failed && spool_next_message(salvage->spool, id,
	    &message) == STORE_FOUND) {
		id = message.id;
		mend_message(salvage, &message);
		go_on(salvage);
	}
}

/* Parts of bodies whose message is gone, and was not still on its way in. */
static void
mend_chunks(struct salvage *salvage)
{
	struct spool *spool = salvage->spool;
	uint64_t id = 0;

	while (!salvage->failed && spool_next_chunk_id(spool, id, &id)) {
		if (spool_has_message(spool, id) ||
		    spool_has_intake(spool, id))
			continue;
		if (!spool_is_owed(spool, id)) {
			say_lost(salvage, id, "body", "");
			salvage->lost++;
		}
		spool_drop_chunks(spool, id);
		go_on(salvage);
	}
}

/* Body files that no message names: kept, beside the damaged tables. */
static void
move_bodies(struct salvage *salvage, int to)
{
	int fd = dup(spool_bodies_fd(salvage->spool));
	DIR *all = fd == -1 ? NULL : fdopendir(fd);
	struct dirent *entry;
	uint64_t id;

	if (all == NULL)
		return;
	rewinddir(all);
	mkdirat(to, "bodies", 0700);
	while ((entry = readdir(all)) != NULL) {
		char path[NAME_MAX_LEN];

		if (strlen(entry->d_name) != ID_TEXT_MAX - 1 ||
		    !queue_id_parse(entry->d_name, &id) ||
		    spool_has_message(salvage->spool, id))
			continue;
		snprintf(path, sizeof(path), "bodies/%.32s", entry->d_name);
		salvage->files += renameat(fd, entry->d_name, to, path) == 0;
	}
	closedir(all);
}

static void
say_end(const struct salvage *salvage, const char *name)
{
	log_alarm("store", "%llu messages were saved from the damaged queue, "
	    "and %llu are known to be lost (queue/%s/lost names them); %llu "
	    "records or bodies are damaged and held, %llu body files without "
	    "message are in queue/%s/bodies. What was taken shortly before "
	    "the damage may be missing without a trace, and what was "
	    "delivered then may be delivered again",
	    (unsigned long long)salvage->saved,
	    (unsigned long long)salvage->lost, name,
	    (unsigned long long)salvage->held,
	    (unsigned long long)salvage->files, name);
}

/* All that is done with the tables; false: the store failed. */
static bool
fill(struct salvage *salvage, const char *dir, const char *name, int to)
{
	int fd = openat(to, "lost", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC |
	    O_NOFOLLOW, 0600);

	salvage->lost_list = fd == -1 ? NULL : fdopen(fd, "w");
	copy_tables(salvage, dir, name);
	mend_destinations(salvage);
	mend_chunks(salvage);
	mend_recipients(salvage);
	mend_messages(salvage);
	move_bodies(salvage, to);
	spool_want_flush(salvage->spool);
	if (spool_turn_end(salvage->spool) != STORE_DURABLE)
		salvage->failed = true;
	if (salvage->lost_list != NULL)
		fclose(salvage->lost_list);
	return !salvage->failed;
}

bool
salvage_fill(struct spool *spool, const char *dir, char *error,
    size_t error_size)
{
	struct salvage salvage = { .spool = spool };
	int dir_fd = spool_dir_fd(spool), to = -1;
	char word[8], name[NAME_MAX_LEN];
	bool good;

	good = read_state(dir_fd, word, name) && (to = openat(dir_fd, name,
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) != -1 &&
	    fill(&salvage, dir, name, to);
	if (to != -1)
		close(to);
	if (!good) {
		snprintf(error, error_size, "the damaged queue cannot be "
		    "salvaged now (%s); it is in %s and will be tried again",
		    strerror(errno), name);
		return false;
	}
	say_end(&salvage, name);
	unlinkat(dir_fd, STATE_FILE, 0);
	return fsync(dir_fd) == 0;
}
