/*
 * queue's receiving half: receive.c, body.c, space.c, deposit.c, on a real
 * store.
 */
#include "queue_fixture.h"

#include "queue/keys.h"

static const char *const one[] = { "b@far.example", NULL };

/* Octets that differ everywhere, as lines. */
static struct buffer
long_body(size_t len)
{
	struct buffer body = { NULL, 0, 0 };

	buffer_add(&body, SLICE("Subject: long\r\n\r\n"));
	while (body.len + 64 < len)
		buffer_printf(&body, "%08zx of %08zx: the quick brown fox "
		    "jumps over it\r\n", body.len, len);
	while (body.len < len)
		buffer_add(&body, SLICE("."));
	return body;
}

static void
taken_is_there(void **state)
{
	struct world *world = new_world(NULL, 0);
	uint64_t id = take_message(world, "a@near.example", "b@far.example");
	struct message message;
	struct recipient recipient;

	(void)state;
	stop_queue(world);
	start_queue(world);
	assert_int_equal(spool_get_message(world->spool, id, &message),
	    STORE_FOUND);
	assert_string_equal(message.sender, "a@near.example");
	assert_int_equal(message.size_bytes, sizeof(SMALL) - 1);
	assert_int_equal(message.chunks, 1);
	assert_int_equal(spool_get_recipient(world->spool, id, 0, &recipient),
	    STORE_FOUND);
	assert_string_equal(recipient.address, "b@far.example");
	assert_logged("accept id=");
	assert_logged(" from=a@near.example rcpts=1 ");
	assert_logged(" msgid=<m@example> client=192.0.2.7 proto=ESMTP ");
	end_world(&world);
}

/* Sizes at which the form of the body changes. */
static const struct {
	size_t		size;
	uint64_t	announced;
	uint32_t	chunks;
	size_t		file;
} forms[] = {
	{ 0, 0, 0, 0 },
	{ 1, 1, 1, 0 },
	{ 16279, 16279, 1, 0 },
	{ 16280, 16280, 1, 0 },
	{ 16281, 16281, 2, 0 },
	{ 32560, 32560, 2, 0 },
	{ 65119, 0, 4, 0 },
	{ 65120, 0, 4, 0 },
	{ 65121, 0, 4, 1 },
	{ 300000, 0, 4, 300000 - 65120 },
	{ 100000, 100000, 7, 0 },
	{ 262144, 262144, 16, 262144 - 16 * 16280 },
	{ 260480, 260480, 16, 0 },
	{ 300000, 300000, 0, 300000 },
	{ 262145, 262145, 0, 262145 },
	{ 5000000, 5000000, 0, 5000000 },
	/* announced wrongly: what came counts */
	{ 1000, 300000, 0, 1000 },
	{ 300000, 10, 16, 300000 - 16 * 16280 },
};

static void
bodies_come_back(void **state)
{
	struct world *world = new_world(NULL, 0);

	(void)state;
	say_synced(world);
	for (size_t i = 0; i < COUNT(forms); i++) {
		struct buffer body = long_body(forms[i].size);
		uint64_t id, announced;
		struct message message;
		struct buffer back;
		struct d_job job;

		/* "Subject" makes short ones longer than asked for. */
		body.len = forms[i].size;
		id = begin_message(world, "a@near.example", one,
		    (struct slice){ body.text, body.len },
		    forms[i].announced, false);
		expect(world, &world->smtpd, Q_TAKEN);
		assert_int_equal(spool_get_message(world->spool, id,
		    &message), STORE_FOUND);
		assert_int_equal(message.size_bytes, forms[i].size);
		assert_int_equal(message.chunks, forms[i].chunks);
		assert_int_equal(message.file_bytes, forms[i].file);
		job = draw(world, "far.example");
		back = pull_octets(world, job.job, &announced);
		assert_int_equal(announced, forms[i].size);
		assert_int_equal(back.len, forms[i].size);
		if (back.len > 0)
			assert_memory_equal(back.text, body.text, back.len);
		say_result(world, &job, "b@far.example", OUTCOME_DELIVERED,
		    250, "2.0.0", "250 ok");
		expect_settled(world, world->sequence);
		say_ended(world, job.destination, 0, "", "");
		turns(world);
		assert_empty(world);
		buffer_free(&body);
		buffer_free(&back);
	}
	end_world(&world);
}

static void
say_whole(struct world *world, uint64_t id, const char *octets, size_t len)
{
	struct q_whole *whole = mem_alloc(sizeof(*whole));

	whole->id = id;
	whole->eight_bit = true;
	set_text(whole->msgid, sizeof(whole->msgid), "<w@example>");
	whole->body_len = (uint32_t)len;
	memcpy(whole->body, octets, len);
	say(&world->smtpd, Q_WHOLE, whole);
	free(whole);
}

/* A small body comes in one message, without a pipe. */
static void
whole_bodies_come_back(void **state)
{
	static const size_t sizes[] = { 1, 16279, 16280, 16281, 48840, 48841,
	    SMALL_BODY_MAX };
	struct world *world = new_world(NULL, 0);

	(void)state;
	say_synced(world);
	for (size_t i = 0; i < COUNT(sizes); i++) {
		struct buffer body = long_body(sizes[i]), back;
		uint64_t id = open_message(world, "a@near.example", i);
		struct message message;
		uint64_t announced;
		struct d_job job;

		add_recipient(world, id, 0, "b@far.example");
		say(&world->smtpd, Q_PLACE, &(struct q_id){ id });
		expect(world, &world->smtpd, Q_GO);
		say_whole(world, id, body.text, sizes[i]);
		expect(world, &world->smtpd, Q_TAKEN);
		assert_int_equal(spool_get_message(world->spool, id,
		    &message), STORE_FOUND);
		assert_true(message.eight_bit);
		assert_int_equal(message.chunks, (sizes[i] + 16279) / 16280);
		job = draw(world, "far.example");
		back = pull_octets(world, job.job, &announced);
		assert_int_equal(announced, sizes[i]);
		assert_int_equal(back.len, sizes[i]);
		assert_memory_equal(back.text, body.text, back.len);
		say_result(world, &job, "b@far.example", OUTCOME_DELIVERED,
		    250, "2.0.0", "250 ok");
		expect_settled(world, world->sequence);
		say_ended(world, job.destination, 0, "", "");
		turns(world);
		assert_empty(world);
		buffer_free(&body);
		buffer_free(&back);
	}
	assert_logged(" msgid=<w@example> ");
	end_world(&world);
}

/* Two of whom one is whole a moment before the other: the flushes of it. */
static uint64_t
flushes_of_two(struct world *world)
{
	uint64_t ids[2], before;

	for (size_t i = 0; i < 2; i++) {
		ids[i] = open_message(world, "a@near.example", 0);
		add_recipient(world, ids[i], 0, "b@far.example");
	}
	for (size_t i = 0; i < 2; i++)
		say(&world->smtpd, Q_PLACE, &(struct q_id){ ids[i] });
	expect(world, &world->smtpd, Q_GO);
	expect(world, &world->smtpd, Q_GO);
	before = spool_flushes(world->spool);
	say_whole(world, ids[0], SMALL, sizeof(SMALL) - 1);
	loop_turn(world->loop, false);
	say_whole(world, ids[1], SMALL, sizeof(SMALL) - 1);
	expect(world, &world->smtpd, Q_TAKEN);
	expect(world, &world->smtpd, Q_TAKEN);
	return spool_flushes(world->spool) - before;
}

/*
 * Who is about to be whole is waited for, for a moment; who is slow, or
 * nobody, is not.
 */
static void
a_flush_is_shared(void **state)
{
	struct world *world = new_world(NULL, 0);
	uint64_t id, slow, before;
	unsigned tries = 0;

	(void)state;
	/* A busy machine may need longer than the moment. */
	while (flushes_of_two(world) != 1)
		assert_in_range(++tries, 1, 200);
	slow = open_message(world, "a@near.example", 0);
	add_recipient(world, slow, 0, "b@far.example");
	say(&world->smtpd, Q_PLACE, &(struct q_id){ slow });
	expect(world, &world->smtpd, Q_GO);
	turns_for(world, 10);
	id = open_message(world, "a@near.example", 0);
	add_recipient(world, id, 0, "b@far.example");
	say(&world->smtpd, Q_PLACE, &(struct q_id){ id });
	expect(world, &world->smtpd, Q_GO);
	before = spool_flushes(world->spool);
	say_whole(world, id, SMALL, sizeof(SMALL) - 1);
	loop_turn(world->loop, false);
	assert_int_equal(spool_flushes(world->spool) - before, 1);
	expect(world, &world->smtpd, Q_TAKEN);
	end_world(&world);
}

/* Asked for a place, and the body is large after all. */
static void
a_pipe_behind_the_place(void **state)
{
	struct world *world = new_world(NULL, 0);
	struct buffer body = long_body(200000);
	uint64_t id = open_message(world, "a@near.example", 0);
	struct message message;
	int fd;

	(void)state;
	add_recipient(world, id, 0, "b@far.example");
	say(&world->smtpd, Q_PLACE, &(struct q_id){ id });
	expect(world, &world->smtpd, Q_GO);
	fd = ask_data(world, id);
	write_body(world, fd, body.text, body.len);
	close(fd);
	say_end(world, id, body.len, false);
	expect(world, &world->smtpd, Q_TAKEN);
	assert_int_equal(spool_get_message(world->spool, id, &message),
	    STORE_FOUND);
	assert_int_equal(message.size_bytes, body.len);
	buffer_free(&body);
	end_world(&world);
}

/* What does not fit to the state is refused, and leaves nothing. */
static void
places_out_of_order(void **state)
{
	struct world *world = new_world(NULL, 0);
	uint64_t id = open_message(world, "a@near.example", 0);
	struct q_id place = { id };
	const struct q_refused *refused;
	int fd;

	(void)state;
	/* without a recipient it is not heard */
	say(&world->smtpd, Q_PLACE, &place);
	expect_nothing(world, &world->smtpd, 30);
	add_recipient(world, id, 0, "b@far.example");
	say_whole(world, id, SMALL, sizeof(SMALL) - 1);
	refused = expect(world, &world->smtpd, Q_REFUSED);
	assert_int_equal(refused->code, 451);
	for (int way = 0; way < 4; way++) {
		place.id = id = open_message(world, "a@near.example", 0);
		add_recipient(world, id, 0, "b@far.example");
		say(&world->smtpd, Q_PLACE, &place);
		expect(world, &world->smtpd, Q_GO);
		if (way == 0)
			say(&world->smtpd, Q_PLACE, &place);
		else if (way == 1)
			say_end(world, id, 0, false);
		fd = way >= 2 ? ask_data(world, id) : -1;
		if (way == 2)
			close(ask_data(world, id));
		else if (way == 3)
			say_whole(world, id, SMALL, sizeof(SMALL) - 1);
		refused = expect(world, &world->smtpd, Q_REFUSED);
		assert_int_equal(refused->id, id);
		assert_int_equal(refused->code, 451);
		if (fd != -1)
			close(fd);
	}
	/* the last word may be an abort in the same turn */
	place.id = id = open_message(world, "a@near.example", 0);
	add_recipient(world, id, 0, "b@far.example");
	say(&world->smtpd, Q_PLACE, &place);
	expect(world, &world->smtpd, Q_GO);
	say_whole(world, id, SMALL, sizeof(SMALL) - 1);
	say(&world->smtpd, Q_ABORT, &place);
	turns(world);
	assert_true(receive_idle(world->queue->receiver));
	assert_empty(world);
	end_world(&world);
}

static void
wrong_count_is_refused(void **state)
{
	struct world *world = new_world(NULL, 0);
	const struct q_refused *refused;

	(void)state;
	for (int difference = -1; difference <= 1; difference += 2) {
		uint64_t id = open_message(world, "a@near.example", 0);
		int fd;

		add_recipient(world, id, 0, "b@far.example");
		fd = ask_data(world, id);
		expect(world, &world->smtpd, Q_GO);
		write_body(world, fd, SMALL, sizeof(SMALL) - 1);
		close(fd);
		say_end(world, id, sizeof(SMALL) - 1 + (size_t)difference,
		    false);
		refused = expect(world, &world->smtpd, Q_REFUSED);
		assert_int_equal(refused->code, 451);
		assert_empty(world);
	}
	end_world(&world);
}

/* Q_END may overtake what still is in the pipe. */
static void
end_before_the_pipes_end(void **state)
{
	struct world *world = new_world(NULL, 0);
	uint64_t id = open_message(world, "a@near.example", 0);
	int fd;

	(void)state;
	add_recipient(world, id, 0, "b@far.example");
	fd = ask_data(world, id);
	expect(world, &world->smtpd, Q_GO);
	say_end(world, id, sizeof(SMALL) - 1, false);
	turns(world);
	write_body(world, fd, SMALL, sizeof(SMALL) - 1);
	expect_nothing(world, &world->smtpd, 30);
	close(fd);
	expect(world, &world->smtpd, Q_TAKEN);
	end_world(&world);
}

/* A body larger than the pipe is read before Q_END, announced or not. */
static void
unannounced_is_read(void **state)
{
	struct world *world = new_world(NULL, 0);
	struct buffer body = long_body(200000);
	uint64_t id = begin_message(world, "a@near.example", one,
	    (struct slice){ body.text, body.len }, 1, false);

	(void)state;
	expect(world, &world->smtpd, Q_TAKEN);
	assert_int_equal(count_recipients(world, id), 1);
	buffer_free(&body);
	end_world(&world);
}

static void
abort_leaves_nothing(void **state)
{
	static const size_t sizes[] = { 0, 100, 40000, 100000, 400000 };
	struct world *world = new_world(NULL, 0);

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++)
		for (int way = 0; way < 2; way++) {
			struct buffer body = long_body(sizes[i] + 1);
			uint64_t id = open_message(world, "a@near.example",
			    sizes[i]);
			struct q_id abort = { id };
			int fd;

			add_recipient(world, id, 0, "b@far.example");
			fd = ask_data(world, id);
			expect(world, &world->smtpd, Q_GO);
			write_body(world, fd, body.text, sizes[i]);
			turns_for(world, 40);
			if (way == 0)
				say(&world->smtpd, Q_ABORT, &abort);
			else
				connect_smtpd(world);
			close(fd);
			turns(world);
			assert_empty(world);
			assert_true(receive_idle(world->queue->receiver));
			buffer_free(&body);
		}
	end_world(&world);
}

/* Crash in the middle: what intake named goes at the next start. */
static void
crash_leaves_nothing(void **state)
{
	static const size_t sizes[] = { 100, 40000, 100000, 400000 };
	struct world *world = new_world(NULL, 0);

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		struct buffer body = long_body(sizes[i]);
		uint64_t id = open_message(world, "a@near.example",
		    sizes[i] + 1), mark;
		int fd;

		add_recipient(world, id, 0, "b@far.example");
		fd = ask_data(world, id);
		expect(world, &world->smtpd, Q_GO);
		write_body(world, fd, body.text, sizes[i]);
		turns_for(world, 40);
		if (sizes[i] == 40000 || sizes[i] == 100000)
			assert_true(spool_next_intake(world->spool, 0,
			    &mark));
		if (sizes[i] == 400000)
			assert_int_equal(count_body_files(world), 1);
		stop_queue(world);
		close(fd);
		start_queue(world);
		turns(world);
		assert_empty(world);
		buffer_free(&body);
	}
	end_world(&world);
}

static void
repeated_recipient_is_one(void **state)
{
	static const char *const same[] = { "b@far.example",
	    "\"b\"@far.example", "b@FAR.example", "B@far.example", NULL };
	struct world *world = new_world(NULL, 0);
	uint64_t id = begin_message(world, "a@near.example", same,
	    SLICE(SMALL), 0, false);

	(void)state;
	expect(world, &world->smtpd, Q_TAKEN);
	/* local parts differ by case, domains do not */
	assert_int_equal(count_recipients(world, id), 2);
	end_world(&world);
}

static void
too_many_recipients(void **state)
{
	char *const limits[] = { (char[]){ "max-recipients=100" } };
	struct world *world = new_world(limits, 1);
	uint64_t id = open_message(world, "a@near.example", 0);
	struct q_rcpt rcpt = { .id = id, .number = 100,
	    .recipient = "more@far.example" };
	const struct q_rcpt_answer *answer;
	char address[64];

	(void)state;
	for (uint32_t i = 0; i < 100; i++) {
		snprintf(address, sizeof(address), "u%u@far.example", i);
		add_recipient(world, id, i, address);
	}
	say(&world->smtpd, Q_RCPT, &rcpt);
	answer = expect(world, &world->smtpd, Q_RCPT_ANSWER);
	assert_int_equal(answer->code, 452);
	end_world(&world);
}

static void
a_taken_id_is_refused(void **state)
{
	struct world *world = new_world(NULL, 0);
	uint64_t id = take_message(world, "a@near.example", "b@far.example");
	struct q_open again = { .id = id, .class = CLASS_MAIL };
	const struct q_refused *refused;

	(void)state;
	say(&world->smtpd, Q_OPEN, &again);
	refused = expect(world, &world->smtpd, Q_REFUSED);
	assert_int_equal(refused->code, 451);
	again.id = open_message(world, "a@near.example", 0);
	say(&world->smtpd, Q_OPEN, &again);
	refused = expect(world, &world->smtpd, Q_REFUSED);
	assert_int_equal(refused->code, 451);
	assert_int_equal(count_messages(world), 1);
	end_world(&world);
}

/* Another smtpd cannot speak of somebody else's transaction. */
static void
an_id_belongs_to_its_link(void **state)
{
	struct world *world = new_world(NULL, 0);
	uint64_t id = open_message(world, "a@near.example", 0);
	struct q_id abort = { id };
	struct wire_port other;
	int ends[2];

	(void)state;
	turns(world);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    ends), 0);
	wire_port_open(&other, ends[0], &intake_wire);
	receive_serve(world->queue->receiver, ends[1]);
	say(&other, Q_ABORT, &abort);
	turns(world);
	add_recipient(world, id, 0, "b@far.example");
	wire_port_close(&other);
	end_world(&world);
}

static void
many_in_data_wait(void **state)
{
	struct world *world = new_world(NULL, 0);
	static uint64_t ids[300];
	static int fds[300];
	unsigned going = 0, taken = 0;
	const void *message;

	(void)state;
	for (int i = 0; i < 300; i++) {
		ids[i] = open_message(world, "a@near.example", 100);
		add_recipient(world, ids[i], 0, "b@far.example");
	}
	for (int i = 0; i < 300; i++)
		fds[i] = ask_data(world, ids[i]);
	while (hear_within(world, &world->smtpd, &message, NULL, 50) == Q_GO)
		going++;
	assert_int_equal(going, 256);
	for (int i = 0; i < 300; i++) {
		assert_int_equal(write(fds[i], SMALL, sizeof(SMALL) - 1),
		    sizeof(SMALL) - 1);
		close(fds[i]);
	}
	/* Each that ends lets one more go; the late say Q_END when they may. */
	for (int i = 0; i < 256; i++)
		say_end(world, ids[i], sizeof(SMALL) - 1, false);
	while (taken < 300) {
		unsigned kind = hear_within(world, &world->smtpd, &message,
		    NULL, ANSWER_MS);

		if (kind == Q_GO)
			say_end(world, *(const uint64_t *)message,
			    sizeof(SMALL) - 1, false);
		else
			assert_int_equal(kind, Q_TAKEN);
		taken += kind == Q_TAKEN;
	}
	assert_int_equal(count_messages(world), 300);
	end_world(&world);
}

/* Many messages of a turn share its flush. */
static void
a_turn_has_one_flush(void **state)
{
	struct world *world = new_world(NULL, 0);
	static uint64_t ids[64];
	uint64_t before;

	(void)state;
	turns(world);
	for (int i = 0; i < 32; i++) {
		int fd;

		ids[i] = open_message(world, "a@near.example", 100);
		add_recipient(world, ids[i], 0, "b@far.example");
		fd = ask_data(world, ids[i]);
		expect(world, &world->smtpd, Q_GO);
		write_body(world, fd, SMALL, sizeof(SMALL) - 1);
		close(fd);
	}
	before = spool_flushes(world->spool);
	for (int i = 0; i < 32; i++)
		say_end(world, ids[i], sizeof(SMALL) - 1, false);
	for (int i = 0; i < 32; i++)
		expect(world, &world->smtpd, Q_TAKEN);
	assert_int_equal(spool_flushes(world->spool) - before, 1);
	end_world(&world);
}

static void
min_free_is_kept(void **state)
{
	char *const limits[] = { (char[]){ "min-free=900000000M" } };
	struct world *world = new_world(limits, 1);
	uint64_t id = open_message(world, "a@near.example", 100);
	const struct q_refused *refused;
	int fd;

	(void)state;
	add_recipient(world, id, 0, "b@far.example");
	fd = ask_data(world, id);
	refused = expect(world, &world->smtpd, Q_REFUSED);
	assert_int_equal(refused->code, 452);
	assert_string_equal(refused->id == id ? "same" : "other", "same");
	close(fd);
	end_world(&world);
}

static void
too_large_is_552(void **state)
{
	char *const limits[] = { (char[]){ "max-message-size=1M" } };
	struct world *world = new_world(limits, 1);
	struct buffer body = long_body(1300000);
	uint64_t id = open_message(world, "a@near.example", 0);
	const struct q_refused *refused;
	const void *message;
	unsigned kind = 0;
	size_t sent = 0;
	int fd;

	(void)state;
	add_recipient(world, id, 0, "b@far.example");
	fd = ask_data(world, id);
	expect(world, &world->smtpd, Q_GO);
	signal(SIGPIPE, SIG_IGN);
	while (kind == 0 && sent < body.len) {
		ssize_t n = write(fd, body.text + sent, body.len - sent);

		sent += n > 0 ? (size_t)n : 0;
		kind = hear_within(world, &world->smtpd, &message, NULL, 1);
	}
	assert_int_equal(kind, Q_REFUSED);
	refused = message;
	assert_int_equal(refused->code, 552);
	turns(world);
	assert_empty(world);
	close(fd);
	buffer_free(&body);
	end_world(&world);
}

/* ---- mail of our own making ---- */

/* RPT-5.3.1-2: by the link on which it comes, by nothing that it says. */
static void
reports_alone_sends_reports(void **state)
{
	static const struct {
		bool		reports;
		enum mail_class	class;
		const char	*key;
		bool		taken;
	} rows[] = {
		{ false, CLASS_MAIL, "", true },
		{ false, CLASS_REQUIRETLS, "", true },
		{ false, CLASS_TLS_OPTIONAL, "", false },
		{ false, 0, "", false },
		{ false, CLASS_REPORT, "", false },
		{ false, CLASS_REPORT, "k", false },
		{ false, CLASS_MAIL, "k", false },
		{ true, CLASS_REPORT, "k", true },
		{ true, CLASS_REPORT, "", false },
		{ true, CLASS_MAIL, "k", false },
		{ true, CLASS_MAIL, "", false },
		{ true, CLASS_TLS_OPTIONAL, "k", false },
	};
	struct world *world = new_world(NULL, 0);

	(void)state;
	connect_reports(world);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct wire_port *port = rows[i].reports ? &world->reports :
		    &world->smtpd;
		struct q_open open = { .id = queue_id_new(),
		    .class = rows[i].class };
		struct q_rcpt rcpt = { .id = open.id,
		    .recipient = "b@far.example" };
		const void *message;
		unsigned kind;

		set_text(open.key, sizeof(open.key), rows[i].key);
		say(port, Q_OPEN, &open);
		say(port, Q_RCPT, &rcpt);
		kind = hear_within(world, port, &message, NULL, ANSWER_MS);
		if (kind != (rows[i].taken ? Q_RCPT_ANSWER : Q_REFUSED))
			fail_msg("row %zu", i);
		if (!rows[i].taken)
			assert_int_equal(((const struct q_refused *)
			    message)->code, 451);
	}
	assert_logged("culver-smtpd sends a message of class 4 with a key");
	end_world(&world);
}

/* It looks like one, octet for octet, and is none. */
static void
what_looks_like_a_report_is_mail(void **state)
{
	struct world *world = new_world(NULL, 0);
	struct message message;
	uint64_t id = begin_message(world, "tls-reports@our.example", one,
	    SLICE("From: tls-reports@our.example\r\n"
	    "TLS-Report-Domain: far.example\r\n"
	    "TLS-Report-Submitter: our.example\r\n"
	    "Content-Type: multipart/report; report-type=\"tlsrpt\"\r\n"
	    "\r\n"), 0, false);

	(void)state;
	expect(world, &world->smtpd, Q_TAKEN);
	spool_get_message(world->spool, id, &message);
	assert_int_equal(message.class, CLASS_MAIL);
	assert_false(message.needs_signature);
	say_synced(world);
	assert_int_equal(expect_due(world, "far.example").class, CLASS_MAIL);
	end_world(&world);
}

static void
a_report_has_one_recipient(void **state)
{
	struct world *world = new_world(NULL, 0);
	struct q_open open = { .id = queue_id_new(), .class = CLASS_REPORT,
	    .key = "k" };
	struct q_rcpt rcpt = { .id = open.id, .number = 1,
	    .recipient = "c@far.example" };
	const struct q_rcpt_answer *answer;

	(void)state;
	connect_reports(world);
	world->intake = &world->reports;
	say(&world->reports, Q_OPEN, &open);
	add_recipient(world, open.id, 0, "b@far.example");
	say(&world->reports, Q_RCPT, &rcpt);
	answer = expect(world, &world->reports, Q_RCPT_ANSWER);
	assert_int_equal(answer->code, 452);
	end_world(&world);
}

/* It says so at Q_DATA: nothing of the body is read. */
static void
expect_known(struct world *world, const char *key)
{
	const struct q_id *taken;
	uint64_t id;
	int fd = open_report(world, key, "b@far.example", &id);

	taken = expect(world, &world->reports, Q_TAKEN);
	assert_int_equal(taken->id, id);
	close(fd);
}

static void
a_key_is_taken_once(void **state)
{
	struct world *world = new_world(NULL, 0);

	(void)state;
	take_report(world, "2026-11-24!a", "b@far.example");
	expect_known(world, "2026-11-24!a");
	stop_queue(world);
	start_queue(world);
	expect_known(world, "2026-11-24!a");
	assert_int_equal(count_messages(world), 1);
	take_report(world, "2026-11-24!b", "b@far.example");
	assert_int_equal(count_messages(world), 2);
	assert_int_equal(times_logged("accept id="), 2);
	assert_true(receive_idle(world->queue->receiver));
	end_world(&world);
}

/* Two of one key in the same turn. */
static void
a_key_is_taken_once_a_turn(void **state)
{
	struct world *world = new_world(NULL, 0);
	uint64_t id[2];
	int fd[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		fd[i] = open_report(world, "k", "b@far.example", &id[i]);
		expect(world, &world->reports, Q_GO);
		write_body(world, fd[i], REPORT, sizeof(REPORT) - 1);
		close(fd[i]);
	}
	world->intake = &world->reports;
	for (int i = 0; i < 2; i++)
		say_end(world, id[i], sizeof(REPORT) - 1, false);
	expect(world, &world->reports, Q_TAKEN);
	expect(world, &world->reports, Q_TAKEN);
	assert_int_equal(count_messages(world), 1);
	end_world(&world);
}

static void
a_key_says_what_became_of_it(void **state)
{
	struct world *world = new_world(NULL, 0);
	uint64_t id;
	int fd;

	(void)state;
	connect_reports(world);
	assert_key(world, "k", KEY_UNKNOWN);
	fd = open_report(world, "k", "b@far.example", &id);
	expect(world, &world->reports, Q_GO);
	/* it is not taken yet */
	assert_key(world, "k", KEY_UNKNOWN);
	write_body(world, fd, REPORT, sizeof(REPORT) - 1);
	close(fd);
	world->intake = &world->reports;
	say_end(world, id, sizeof(REPORT) - 1, false);
	expect(world, &world->reports, Q_TAKEN);
	assert_key(world, "k", KEY_OWED);
	assert_key(world, "K", KEY_UNKNOWN);
	stop_queue(world);
	start_queue(world);
	assert_key(world, "k", KEY_OWED);
	/* smtpd is told nothing */
	say(&world->smtpd, Q_ASK_KEY, &(struct q_ask_key){ .key = "k" });
	expect_nothing(world, &world->smtpd, 30);
	end_world(&world);
}

/* Days after its last change, and not while its message is there. */
static void
keys_are_forgotten(void **state)
{
	static const struct {
		int64_t		days;
		bool		owed, known;
	} rows[] = {
		{ 6, false, true }, { 8, false, false }, { 8, true, true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct world *world = new_world(NULL, 0);
		struct key_outcome outcome = { KEY_ACCEPTED, 250, "", "" };
		struct message message;
		uint64_t id = take_report(world, "k", "b@far.example");

		/* what counts is the change, not when it was taken */
		clock_offset_s = 5 * 86400;
		spool_get_message(world->spool, id, &message);
		if (!rows[i].owed)
			keys_settle(world->spool, &message, &outcome);
		assert_true(turn_end(world->queue));
		clock_offset_s += rows[i].days * 86400;
		stop_queue(world);
		/* nobody signs it, and it is not given up meanwhile */
		world->loop = loop_new();
		world->spool = spool_open(world->dir, (char[512]){ "" }, 512);
		world->queue = turn_new(world->loop, world->spool,
		    world->config);
		turns(world);
		connect_reports(world);
		if ((ask_key(world, "k").state != KEY_UNKNOWN) !=
		    rows[i].known)
			fail_msg("row %zu", i);
		end_world(&world);
	}
}

static void
stopping_takes_no_more(void **state)
{
	struct world *world = new_world(NULL, 0);
	uint64_t id = open_message(world, "a@near.example", 100);
	const struct q_refused *refused;
	int fd;

	(void)state;
	add_recipient(world, id, 0, "b@far.example");
	fd = ask_data(world, id);
	expect(world, &world->smtpd, Q_GO);
	receive_stop(world->queue->receiver);
	assert_false(receive_idle(world->queue->receiver));
	open_message(world, "a@near.example", 100);
	refused = expect(world, &world->smtpd, Q_REFUSED);
	assert_int_equal(refused->code, 451);
	/* what is in DATA ends well */
	write_body(world, fd, SMALL, sizeof(SMALL) - 1);
	close(fd);
	say_end(world, id, sizeof(SMALL) - 1, false);
	expect(world, &world->smtpd, Q_TAKEN);
	assert_true(receive_idle(world->queue->receiver));
	end_world(&world);
}

/* A body file that no message names is no longer there after a start. */
static void
orphans_are_swept(void **state)
{
	struct world *world = new_world(NULL, 0);
	char path[160];
	FILE *file;

	(void)state;
	snprintf(path, sizeof(path), "%s/bodies/00000000000000aa", world->dir);
	file = fopen(path, "w");
	assert_non_null(file);
	fclose(file);
	snprintf(path, sizeof(path), "%s/bodies/README", world->dir);
	file = fopen(path, "w");
	assert_non_null(file);
	fclose(file);
	stop_queue(world);
	start_queue(world);
	turns(world);
	assert_int_equal(access(path, F_OK), 0);
	unlink(path);
	assert_int_equal(count_body_files(world), 0);
	end_world(&world);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "SMTP-2.1-1, SMTP-4.1.1.4-2 what was taken is there after "
		    "a restart", taken_is_there, NULL, NULL, NULL },
		{ "bodies of every form come back octet for octet and leave "
		    "nothing behind", bodies_come_back, NULL, NULL, NULL },
		{ "small bodies come whole, without a pipe",
		    whole_bodies_come_back, NULL, NULL, NULL },
		{ "a flush is shared with who is just coming",
		    a_flush_is_shared, NULL, NULL, NULL },
		{ "a pipe after all", a_pipe_behind_the_place, NULL, NULL,
		    NULL },
		{ "places, bodies and ends out of order", places_out_of_order,
		    NULL, NULL, NULL },
		{ "a body of another length than announced is refused",
		    wrong_count_is_refused, NULL, NULL, NULL },
		{ "Q_END may come before the end of the pipe",
		    end_before_the_pipes_end, NULL, NULL, NULL },
		{ "a body larger than its pipe is read while it comes",
		    unannounced_is_read, NULL, NULL, NULL },
		{ "an abort, or the death of smtpd, leaves nothing",
		    abort_leaves_nothing, NULL, NULL, NULL },
		{ "parts of a message that never was whole go at the next "
		    "start", crash_leaves_nothing, NULL, NULL, NULL },
		{ "SMTP-4.1.2-2 a recipient named twice is one",
		    repeated_recipient_is_one, NULL, NULL, NULL },
		{ "recipients above max-recipients are 452",
		    too_many_recipients, NULL, NULL, NULL },
		{ "an id that is in use is refused", a_taken_id_is_refused,
		    NULL, NULL, NULL },
		{ "a transaction belongs to the smtpd that opened it",
		    an_id_belongs_to_its_link, NULL, NULL, NULL },
		{ "at most 256 messages are in DATA, others wait",
		    many_in_data_wait, NULL, NULL, NULL },
		{ "messages of a turn share one flush", a_turn_has_one_flush,
		    NULL, NULL, NULL },
		{ "min-free is kept: 452", min_free_is_kept, NULL, NULL,
		    NULL },
		{ "a message above max-message-size is 552",
		    too_large_is_552, NULL, NULL, NULL },
		{ "RPT-5.3.1-2 class report and a key come from reports "
		    "alone, and from there nothing else",
		    reports_alone_sends_reports, NULL, NULL, NULL },
		{ "RPT-5.3.1-2 what a client sends that looks like a report "
		    "is mail", what_looks_like_a_report_is_mail, NULL, NULL,
		    NULL },
		{ "a report has one recipient", a_report_has_one_recipient,
		    NULL, NULL, NULL },
		{ "T36 a key says what became of its message",
		    a_key_says_what_became_of_it, NULL, NULL, NULL },
		{ "a key is known for seven days after its last change, and "
		    "while its message is there", keys_are_forgotten, NULL,
		    NULL, NULL },
		{ "T36 a key is taken once, across restarts",
		    a_key_is_taken_once, NULL, NULL, NULL },
		{ "a key is taken once within a turn",
		    a_key_is_taken_once_a_turn, NULL, NULL, NULL },
		{ "a queue that stops takes no more and ends what is in DATA",
		    stopping_takes_no_more, NULL, NULL, NULL },
		{ "body files that no message names are swept, others not",
		    orphans_are_swept, NULL, NULL, NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("queue_accept", tests, NULL, NULL);
}
