/*
 * queue/backup.c: a copy of the queue while mail comes and goes, and what is
 * in it when it is put back.
 */
#include "queue_fixture.h"

#include "queue/backup.h"

#define KEPT	60

/* Write a piece where the restored queue will lie. */
static void
write_piece(const char *to, const struct backup_piece *piece)
{
	char path[192];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", to, piece->name);
	fd = open(path, O_WRONLY | O_CREAT | (piece->offset == 0 ? O_TRUNC :
	    0), 0600);
	assert_int_not_equal(fd, -1);
	assert_int_equal(pwrite(fd, piece->octets, piece->len,
	    (off_t)piece->offset), (ssize_t)piece->len);
	close(fd);
}

static uint64_t
take_sized(struct world *world, const char *recipient, size_t size)
{
	const char *const recipients[] = { recipient, NULL };
	struct buffer body = { NULL, 0, 0 };
	uint64_t id;

	while (body.len < size)
		buffer_printf(&body, "line %zu of this body\r\n", body.len);
	id = begin_message(world, "a@near.example", recipients,
	    (struct slice){ body.text, size }, size, false);
	expect(world, &world->smtpd, Q_TAKEN);
	buffer_free(&body);
	return id;
}

/* Is it there, owed, with all octets as they were? */
static void
assert_whole(struct spool *spool, uint64_t id)
{
	struct recipient recipient;
	struct message message;
	static char octets[1u << 20];
	char name[ID_TEXT_MAX];
	struct slice chunk;
	ssize_t n;
	int fd;

	assert_int_equal(spool_get_message(spool, id, &message), STORE_FOUND);
	assert_int_equal(spool_get_recipient(spool, id, 0, &recipient),
	    STORE_FOUND);
	for (uint32_t i = 0; i < message.chunks; i++)
		assert_int_equal(spool_get_chunk(spool, id, i, &chunk),
		    STORE_FOUND);
	if (message.file_bytes == 0)
		return;
	fd = openat(spool_bodies_fd(spool), spool_body_name(id, name),
	    O_RDONLY);
	assert_int_not_equal(fd, -1);
	n = read(fd, octets, sizeof(octets));
	close(fd);
	assert_int_equal(n, message.file_bytes);
	assert_int_equal(store_crc(0, octets, (size_t)n), message.file_crc);
}

/* All of it into that folder, with `work` after each piece. */
static enum backup_step
make_backup(struct world *world, const char *to,
    void (*work)(struct world *, unsigned piece))
{
	struct backup_piece piece;
	enum backup_step step;
	char error[256], path[128];
	struct backup *backup = backup_new(world->spool, error,
	    sizeof(error));
	unsigned n = 0;

	assert_non_null(backup);
	assert_null(backup_new(world->spool, error, sizeof(error)));
	snprintf(path, sizeof(path), "%s/bodies", to);
	assert_int_equal(mkdir(to, 0700), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	while ((step = backup_next(backup, &piece)) == BACKUP_PIECE) {
		write_piece(to, &piece);
		work(world, n++);
	}
	backup_free(&backup);
	return step;
}

static void
take_more_and_deliver(struct world *world, unsigned piece)
{
	if (piece == 5) {
		say_synced(world);
		expect_due(world, "kept.example");
		assert_int_equal(deliver_all(world, "gone.example"), 20);
	}
	/* Enough for several checkpoints and log files meanwhile. */
	for (int i = 0; i < 20 && piece > 5 && piece < 40; i++)
		take_sized(world, "b@more.example", 40000);
	if (piece > 5 && piece % 8 == 0)
		take_sized(world, "b@more.example", 300000);
}

static void
a_backup_under_load(void **state)
{
	static const size_t sizes[] = { 40, 40000, 300000 };
	struct world *world = new_world(NULL, 0);
	uint64_t kept[KEPT];
	char to[96], error[256];
	struct spool *copy;
	struct message message = { .id = 0 };
	unsigned before;

	(void)state;
	snprintf(to, sizeof(to), "%s/copy", world->dir);
	for (int i = 0; i < KEPT; i++)
		kept[i] = take_sized(world, "b@kept.example",
		    sizes[i % COUNT(sizes)]);
	for (int i = 0; i < 20; i++)
		take_sized(world, "b@gone.example", sizes[i % COUNT(sizes)]);
	before = count_messages(world);
	assert_int_equal(make_backup(world, to, take_more_and_deliver),
	    BACKUP_DONE);
	/* body files that had to stay go now */
	turns(world);
	copy = spool_open(to, error, sizeof(error));
	if (copy == NULL)
		fail_msg("%s", error);
	for (int i = 0; i < KEPT; i++)
		assert_whole(copy, kept[i]);
	/* what came meanwhile is there or not, but never in part */
	while (spool_next_message(copy, message.id, &message) == STORE_FOUND)
		assert_whole(copy, message.id);
	assert_int_equal(spool_get_name(copy, "gone.example", CLASS_MAIL), 0);
	spool_close(&copy);
	/* and as a queue it delivers */
	stop_queue(world);
	memcpy(world->dir, to, sizeof(world->dir));
	start_queue(world);
	assert_true(count_messages(world) > before - 20);
	say_synced(world);
	expect_due(world, "kept.example");
	assert_false(logged("alarm what=record"));
	end_world(&world);
}

/* Pages go while the file that they are in is read: it becomes shorter. */
static void
a_table_that_shrinks(void **state)
{
	struct world *world = new_world(NULL, 0);
	struct backup_piece piece;
	enum backup_step step;
	struct backup *backup;
	char to[96], path[128], error[256];
	uint64_t told = 0, read = 0, kept;
	struct spool *copy;

	(void)state;
	snprintf(to, sizeof(to), "%s/copy", world->dir);
	snprintf(path, sizeof(path), "%s/bodies", to);
	assert_int_equal(mkdir(to, 0700), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	kept = take_sized(world, "b@kept.example", 40000);
	for (int i = 0; i < 40; i++)
		take_sized(world, "b@gone.example", 40000);
	backup = backup_new(world->spool, error, sizeof(error));
	assert_non_null(backup);
	while ((step = backup_next(backup, &piece)) == BACKUP_PIECE) {
		write_piece(to, &piece);
		if (strcmp(piece.name, "chunks.db") != 0)
			continue;
		read += piece.len;
		if (piece.offset != 0)
			continue;
		told = piece.size;
		say_synced(world);
		expect_due(world, "kept.example");
		assert_int_equal(deliver_all(world, "gone.example"), 40);
	}
	assert_int_equal(step, BACKUP_DONE);
	assert_true(read < told);
	backup_free(&backup);
	copy = spool_open(to, error, sizeof(error));
	if (copy == NULL)
		fail_msg("%s", error);
	assert_whole(copy, kept);
	spool_close(&copy);
	end_world(&world);
}

/* A backup that was cut off is told by a file, and never opened. */
static void
what_is_incomplete_is_refused(void **state)
{
	struct world *world = new_world(NULL, 0);
	char path[128], error[256];

	(void)state;
	stop_queue(world);
	snprintf(path, sizeof(path), "%s/incomplete", world->dir);
	close(open(path, O_WRONLY | O_CREAT, 0600));
	assert_null(spool_open(world->dir, error, sizeof(error)));
	assert_non_null(strstr(error, "cut off"));
	unlink(path);
	start_queue(world);
	end_world(&world);
}

static void
nothing(struct world *world, unsigned piece)
{
	(void)world;
	(void)piece;
}

/* Put back, killed while it recovers, put back again: all the same. */
static void
a_restore_is_done_again(void **state)
{
	struct world *world = new_world(NULL, 0);
	char to[96], path[128], error[256];
	struct spool *copy;
	uint64_t id;

	(void)state;
	snprintf(to, sizeof(to), "%s/copy", world->dir);
	id = take_message(world, "a@near.example", "b@far.example");
	make_backup(world, to, nothing);
	snprintf(path, sizeof(path), "%s/%s", to, STORE_BACKUP);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(access(path, F_OK), 0);
		copy = spool_open(to, error, sizeof(error));
		assert_non_null(copy);
		assert_whole(copy, id);
		assert_int_equal(access(path, F_OK), -1);
		spool_close(&copy);
		/* as if it had died right before it said so */
		close(open(path, O_WRONLY | O_CREAT, 0600));
	}
	end_world(&world);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "a backup under load has all that was acknowledged before",
		    a_backup_under_load, NULL, NULL, NULL },
		{ "a table that becomes shorter while it is copied",
		    a_table_that_shrinks, NULL, NULL, NULL },
		{ "what is incomplete is refused",
		    what_is_incomplete_is_refused, NULL, NULL, NULL },
		{ "a restore that is cut off is done again",
		    a_restore_is_done_again, NULL, NULL, NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("queue_backup", tests, NULL, NULL);
}
