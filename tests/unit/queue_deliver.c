/*
 * queue's sending half: dispatch.c, flight.c, pull.c, result.c, ending.c,
 * destination.c, notice.c, on a real store.
 */
#include "queue_fixture.h"

#include "queue/listing.h"

#define DAY_S	86400

static char *const quick[] = { (char[]){ "retry=1m 5m" },
	(char[]){ "expire=5d" } };

static void
accepted_then_delivered(void **state)
{
	struct world *world = new_world(NULL, 0);
	char addresses[100][MAILBOX_TEXT_MAX];
	struct buffer body;
	struct d_due due;
	struct d_job job;
	uint64_t id, size;

	(void)state;
	say_synced(world);
	id = take_message(world, "a@near.example", "B@Far.example");
	due = expect_due(world, "far.example");
	assert_int_equal(due.class, CLASS_MAIL);
	assert_int_equal(due.waiting, 1);
	ask_next(world, due.destination, 7);
	job = expect_job(world, addresses);
	assert_int_equal(job.message, id);
	assert_int_equal(job.session, 7);
	assert_int_equal(job.recipients, 1);
	assert_int_equal(job.more, 0);
	assert_string_equal(job.sender, "a@near.example");
	assert_string_equal(addresses[0], "B@Far.example");
	body = pull_octets(world, job.job, &size);
	assert_int_equal(size, sizeof(SMALL) - 1);
	assert_int_equal(body.len, size);
	assert_memory_equal(body.text, SMALL, body.len);
	expect_settled(world, say_result(world, &job, addresses[0],
	    OUTCOME_DELIVERED, 250, "2.0.0", "250 2.0.0 ok"));
	ask_next(world, due.destination, 7);
	expect(world, &world->delivery, D_NONE);
	say_ended(world, due.destination, 0, "", "");
	expect_nothing(world, &world->delivery, 30);
	assert_empty(world);
	assert_logged("attempt id=");
	assert_logged(" to=B@Far.example domain=far.example "
	    "host=mx.far.example addr=192.0.2.25 outcome=delivered code=250 "
	    "enh=2.0.0 ");
	buffer_free(&body);
	end_world(&world);
}

static void
nothing_before_synced(void **state)
{
	struct world *world = new_world(NULL, 0);

	(void)state;
	take_message(world, "a@near.example", "b@far.example");
	expect_nothing(world, &world->delivery, 50);
	say_synced(world);
	expect_due(world, "far.example");
	end_world(&world);
}

static void
no_workers_nothing_out(void **state)
{
	char *const none[] = { (char[]){ "workers=0" } };
	struct world *world = new_world(none, 1);

	(void)state;
	say_synced(world);
	take_message(world, "a@near.example", "b@far.example");
	expect_nothing(world, &world->delivery, 50);
	assert_int_equal(count_messages(world), 1);
	end_world(&world);
}

static void
outstanding_is_bounded(void **state)
{
	char *const few[] = { (char[]){ "workers=2" } };
	struct world *world = new_world(few, 1);
	struct d_due due[4];
	char address[64];

	(void)state;
	say_synced(world);
	for (int i = 0; i < 10; i++) {
		snprintf(address, sizeof(address), "b@d%d.example", i);
		take_message(world, "a@near.example", address);
		usleep(2000);
		if (i < 4) {
			snprintf(address, sizeof(address), "d%d.example", i);
			due[i] = expect_due(world, address);
		}
	}
	expect_nothing(world, &world->delivery, 50);
	say_ended(world, due[1].destination, OUTCOME_DEFERRED, "4.4.1",
	    "no answer");
	/* the earliest that waits */
	expect_due(world, "d4.example");
	expect_nothing(world, &world->delivery, 50);
	end_world(&world);
}

static void
many_recipients_in_jobs_of_100(void **state)
{
	static char addresses[100][MAILBOX_TEXT_MAX];
	struct world *world = new_world(NULL, 0);
	uint64_t id = open_message(world, "a@near.example", 100);
	static const uint32_t sizes[] = { 100, 100, 50 };
	bool seen[250] = { false };
	struct d_job job;
	struct d_due due;
	char address[64];
	int fd;

	(void)state;
	say_synced(world);
	for (uint32_t i = 0; i < 250; i++) {
		snprintf(address, sizeof(address), "u%u@far.example", i);
		add_recipient(world, id, i, address);
	}
	fd = ask_data(world, id);
	expect(world, &world->smtpd, Q_GO);
	write_body(world, fd, SMALL, sizeof(SMALL) - 1);
	close(fd);
	say_end(world, id, sizeof(SMALL) - 1, false);
	expect(world, &world->smtpd, Q_TAKEN);
	due = expect_due(world, "far.example");
	for (size_t i = 0; i < COUNT(sizes); i++) {
		ask_next(world, due.destination, i + 1);
		job = expect_job(world, addresses);
		assert_int_equal(job.recipients, sizes[i]);
		for (uint32_t j = 0; j < job.recipients; j++) {
			int n = atoi(addresses[j] + 1);

			assert_false(seen[n]);
			seen[n] = true;
			say_result(world, &job, addresses[j],
			    OUTCOME_DELIVERED, 250, "2.0.0", "250 ok");
		}
		settle_all(world);
	}
	assert_int_equal(count_messages(world), 0);
	end_world(&world);
}

/* Sessions of one destination draw different messages. */
static void
sessions_share_a_destination(void **state)
{
	struct world *world = new_world(NULL, 0);
	struct d_due due;
	struct d_job one, two;

	(void)state;
	say_synced(world);
	take_message(world, "a@near.example", "b@far.example");
	take_message(world, "a@near.example", "c@far.example");
	due = expect_due(world, "far.example");
	ask_next(world, due.destination, 1);
	one = expect_job(world, NULL);
	ask_next(world, due.destination, 2);
	two = expect_job(world, NULL);
	assert_int_not_equal(one.message, two.message);
	assert_int_equal(one.more + two.more, 1);
	ask_next(world, due.destination, 3);
	expect(world, &world->delivery, D_NONE);
	/* one comes back: it is drawn again, the other is not */
	say(&world->delivery, D_RETURN, &(struct d_return){ two.job });
	ask_next(world, due.destination, 3);
	two = expect_job(world, NULL);
	assert_int_not_equal(one.message, two.message);
	ask_next(world, due.destination, 3);
	expect(world, &world->delivery, D_NONE);
	end_world(&world);
}

/*
 * Mail that stands before what was drawn (of the same millisecond with a lower
 * id; here: of a clock that was set back) is drawn too.
 */
static void
before_what_was_drawn(void **state)
{
	struct world *world = new_world(NULL, 0);
	struct d_due due;
	struct d_job one, two;

	(void)state;
	say_synced(world);
	take_message(world, "a@near.example", "b@far.example");
	due = expect_due(world, "far.example");
	ask_next(world, due.destination, 1);
	one = expect_job(world, NULL);
	clock_offset_s--;
	take_message(world, "a@near.example", "c@far.example");
	ask_next(world, due.destination, 2);
	two = expect_job(world, NULL);
	assert_int_not_equal(one.message, two.message);
	ask_next(world, due.destination, 3);
	expect(world, &world->delivery, D_NONE);
	clock_offset_s++;
	end_world(&world);
}

static void
deferred_comes_again(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	struct recipient recipient;
	struct d_job job;
	uint64_t id;

	(void)state;
	say_synced(world);
	id = take_message(world, "a@near.example", "b@far.example");
	job = draw(world, "far.example");
	expect_settled(world, say_result(world, &job, "b@far.example",
	    OUTCOME_DEFERRED, 450, "4.2.1", "450 4.2.1 try later"));
	ask_next(world, job.destination, 1);
	expect(world, &world->delivery, D_NONE);
	say_ended(world, job.destination, 0, "", "");
	expect_nothing(world, &world->delivery, 50);
	assert_int_equal(spool_get_recipient(world->spool, id, 0, &recipient),
	    STORE_FOUND);
	assert_int_equal(recipient.attempts, 1);
	assert_int_equal(recipient.code, 450);
	assert_string_equal(recipient.enhanced, "4.2.1");
	assert_true(recipient.due_ms >= (uint64_t)loop_wall_ms() + 59000);
	clock_offset_s = 59;
	expect_nothing(world, &world->delivery, 30);
	clock_offset_s = 75;
	loop_again(world->loop);
	job = draw(world, "far.example");
	assert_int_equal(job.message, id);
	expect_settled(world, say_result(world, &job, "b@far.example",
	    OUTCOME_DELIVERED, 250, "2.0.0", "250 ok"));
	say_ended(world, job.destination, 0, "", "");
	turns(world);
	assert_empty(world);
	end_world(&world);
}

/* A timer, not a tick: with nothing else to do it wakes by itself. */
static void
due_mail_wakes_the_loop(void **state)
{
	char *const second[] = { (char[]){ "retry=1s" } };
	struct world *world = new_world(second, 1);
	int64_t began_ms;
	struct d_job job;

	(void)state;
	say_synced(world);
	take_message(world, "a@near.example", "b@far.example");
	job = draw(world, "far.example");
	say_result(world, &job, "b@far.example", OUTCOME_DEFERRED, 450,
	    "4.2.1", "450 later");
	say_ended(world, job.destination, 0, "", "");
	expect_settled(world, world->sequence);
	turns(world);
	began_ms = loop_now_ms();
	for (;;) {
		const void *message;
		int fds[WIRE_FDS_MAX];
		int kind;

		loop_turn(world->loop, true);
		kind = wire_port_receive(&world->delivery, &message, fds,
		    wire_now_ms());
		if (kind == D_DUE)
			break;
		assert_true(loop_now_ms() - began_ms < 4000);
	}
	end_world(&world);
}

/* One back-off for all that waits there, and it grows. */
static void
a_dead_destination_is_one_record(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	struct destination destination;
	struct d_due due;
	uint64_t id;

	(void)state;
	say_synced(world);
	id = take_message(world, "a@near.example", "b@dead.example");
	due = expect_due(world, "dead.example");
	say_ended(world, due.destination, OUTCOME_DEFERRED, "4.4.1",
	    "no answer");
	turns(world);
	assert_int_equal(spool_get_destination(world->spool, due.destination,
	    &destination), STORE_FOUND);
	assert_int_equal(destination.step, 1);
	assert_true(destination.backoff_ms >= (uint64_t)loop_wall_ms() +
	    59000);
	assert_int_equal(destination.next_ms, destination.backoff_ms);
	/* new mail waits with the old */
	take_message(world, "a@near.example", "c@dead.example");
	expect_nothing(world, &world->delivery, 30);
	assert_logged("defer domain=dead.example failures=1 ");
	assert_logged(" to=b@dead.example domain=dead.example host=\"\" "
	    "addr=\"\" outcome=deferred code=0 enh=4.4.1 ");
	clock_offset_s = 80;
	loop_again(world->loop);
	due = expect_due(world, "dead.example");
	assert_int_equal(due.waiting, 2);
	say_ended(world, due.destination, OUTCOME_DEFERRED, "4.4.1",
	    "no answer");
	turns(world);
	spool_get_destination(world->spool, due.destination, &destination);
	assert_int_equal(destination.step, 2);
	assert_true(destination.backoff_ms >= (uint64_t)loop_wall_ms() +
	    299000);
	clock_offset_s = 500;
	loop_again(world->loop);
	assert_int_equal(deliver_all(world, "dead.example"), 2);
	assert_empty(world);
	assert_int_equal(count_recipients(world, id), 0);
	end_world(&world);
}

/* A dead domain with much mail beside a healthy one. */
static void
others_do_not_wait(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	struct d_due due;

	(void)state;
	for (int i = 0; i < 50; i++)
		take_message(world, "a@near.example", "b@dead.example");
	say_synced(world);
	due = expect_due(world, "dead.example");
	take_message(world, "a@near.example", "b@far.example");
	assert_int_equal(deliver_all(world, "far.example"), 1);
	say_ended(world, due.destination, OUTCOME_DEFERRED, "4.4.1", "dead");
	turns(world);
	assert_int_equal(times_logged("attempt id="), 51);
	take_message(world, "a@near.example", "b@far.example");
	assert_int_equal(deliver_all(world, "far.example"), 1);
	expect_nothing(world, &world->delivery, 20);
	assert_int_equal(count_messages(world), 50);
	end_world(&world);
}

static void
our_own_end_is_no_failure(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	struct d_ended ended = { .outcome = OUTCOME_DEFERRED, .ours = true };
	struct destination destination;
	struct d_due due;

	(void)state;
	say_synced(world);
	take_message(world, "a@near.example", "b@far.example");
	due = expect_due(world, "far.example");
	ended.destination = due.destination;
	say(&world->delivery, D_ENDED, &ended);
	/* at once, but not in a hot loop */
	expect_nothing(world, &world->delivery, 300);
	expect_due(world, "far.example");
	spool_get_destination(world->spool, due.destination, &destination);
	assert_int_equal(destination.step, 0);
	assert_int_equal(destination.failures, 0);
	end_world(&world);
}

/* Served, nothing drawn, mail still there: not a hot loop either. */
static void
an_idle_end_is_no_hot_loop(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	struct d_due due;

	(void)state;
	say_synced(world);
	take_message(world, "a@near.example", "b@far.example");
	due = expect_due(world, "far.example");
	say_ended(world, due.destination, 0, "", "");
	expect_nothing(world, &world->delivery, 300);
	expect_due(world, "far.example");
	end_world(&world);
}

/* ---- failure ---- */

/* The text of the only other message in the queue. */
static struct buffer
bounce_text(struct world *world, struct message *bounce)
{
	struct buffer text = { NULL, 0, 0 };
	struct message message = { .id = 0 };
	struct slice chunk;

	while (spool_next_message(world->spool, message.id, &message) ==
	    STORE_FOUND)
		if (message.sender[0] == '\0')
			*bounce = message;
	assert_int_not_equal(bounce->id, 0);
	for (uint32_t n = 0; n < bounce->chunks; n++) {
		assert_int_equal(spool_get_chunk(world->spool, bounce->id, n,
		    &chunk), STORE_FOUND);
		buffer_add(&text, chunk);
	}
	return text;
}

static void
failed_is_told(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	struct message bounce = { .id = 0 };
	struct recipient recipient;
	struct buffer text;
	struct d_job job;

	(void)state;
	say_synced(world);
	take_message(world, "Ann@near.example", "b@far.example");
	job = draw(world, "far.example");
	expect_settled(world, say_result(world, &job, "b@far.example",
	    OUTCOME_FAILED, 550, "5.1.1", "550 5.1.1 no such user"));
	text = bounce_text(world, &bounce);
	assert_int_equal(count_messages(world), 1);
	assert_string_equal(bounce.sender, "");
	assert_int_equal(spool_get_recipient(world->spool, bounce.id, 0,
	    &recipient), STORE_FOUND);
	assert_string_equal(recipient.address, "Ann@near.example");
	assert_non_null(strstr(text.text, "Final-Recipient: rfc822; "
	    "b@far.example\r\nAction: failed\r\nStatus: 5.1.1\r\n"
	    "Remote-MTA: dns; mx.far.example\r\n"
	    "Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n"));
	assert_non_null(strstr(text.text, "Subject: x\r\n"));
	assert_null(strstr(text.text, "body\r\n"));
	assert_logged("outcome=failed code=550");
	assert_logged("bounce id=");
	assert_logged(" to=Ann@near.example outcome=queued ");
	/* it goes out like any other */
	assert_int_equal(deliver_all(world, "near.example"), 1);
	assert_int_equal(count_messages(world), 0);
	buffer_free(&text);
	end_world(&world);
}

static void
failed_notice_is_dropped(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	struct d_job job;

	(void)state;
	say_synced(world);
	take_message(world, "", "b@far.example");
	job = draw(world, "far.example");
	expect_settled(world, say_result(world, &job, "b@far.example",
	    OUTCOME_FAILED, 550, "5.1.1", "550 no"));
	say_ended(world, job.destination, 0, "", "");
	turns(world);
	assert_empty(world);
	assert_logged("bounce id=");
	assert_logged(" to=\"\" outcome=dropped rcpts=1 rcpt=b@far.example ");
	end_world(&world);
}

static const struct {
	const char	*sender, *root_mail, *to, *logged;
} locals[] = {
	{ "joe@our.example", NULL, NULL, "outcome=undeliverable" },
	{ "joe@our.example", "root-mail=op@far.example", NULL,
	  "outcome=undeliverable" },
	{ "root@our.example", NULL, NULL, "outcome=undeliverable" },
	{ "root@our.example", "root-mail=op@far.example", "op@far.example",
	  "outcome=queued" },
	{ "PostMaster@relay.our.example", "root-mail=op@far.example",
	  "op@far.example", "outcome=queued" },
	{ "mailer-daemon@our.example", "root-mail=op@far.example",
	  "op@far.example", "outcome=queued" },
	{ "root@other.example", "root-mail=op@far.example",
	  "root@other.example", "outcome=queued" },
};

static void
notices_to_local_senders(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(locals); i++) {
		char setting[64];
		char *const one[] = { setting };
		struct message bounce = { .id = 0 };
		struct recipient recipient;
		struct world *world;
		struct d_job job;

		snprintf(setting, sizeof(setting), "%s",
		    locals[i].root_mail != NULL ? locals[i].root_mail : "");
		world = new_world(one, locals[i].root_mail != NULL);
		say_synced(world);
		take_message(world, locals[i].sender, "b@gone.example");
		job = draw(world, "gone.example");
		expect_settled(world, say_result(world, &job,
		    "b@gone.example", OUTCOME_FAILED, 550, "5.1.1",
		    "550 no"));
		assert_logged(locals[i].logged);
		assert_int_equal(count_messages(world), locals[i].to != NULL);
		if (locals[i].to != NULL) {
			spool_next_message(world->spool, 0, &bounce);
			spool_get_recipient(world->spool, bounce.id, 0,
			    &recipient);
			assert_string_equal(recipient.address, locals[i].to);
		}
		end_world(&world);
	}
}

static void
one_notice_for_all_that_failed(void **state)
{
	static const char *const three[] = { "b@far.example", "c@far.example",
	    "d@far.example", NULL };
	struct world *world = new_world(quick, COUNT(quick));
	struct message bounce = { .id = 0 };
	struct buffer text;
	struct d_job job;
	uint64_t id;

	(void)state;
	say_synced(world);
	id = begin_message(world, "a@near.example", three, SLICE(SMALL), 0,
	    false);
	expect(world, &world->smtpd, Q_TAKEN);
	job = draw(world, "far.example");
	assert_int_equal(job.recipients, 3);
	say_result(world, &job, "b@far.example", OUTCOME_FAILED, 550, "5.1.1",
	    "550 no");
	say_result(world, &job, "c@far.example", OUTCOME_DELIVERED, 250,
	    "2.0.0", "250 ok");
	say_result(world, &job, "d@far.example", OUTCOME_FAILED, 550, "5.1.1",
	    "550 no");
	expect_settled(world, 3);
	text = bounce_text(world, &bounce);
	assert_int_equal(count_messages(world), 1);
	assert_int_equal(count_recipients(world, id), 0);
	assert_non_null(strstr(text.text, "rfc822; b@far.example"));
	assert_null(strstr(text.text, "c@far.example"));
	assert_non_null(strstr(text.text, "rfc822; d@far.example"));
	buffer_free(&text);
	end_world(&world);
}

/* NXDOMAIN, null MX: what was due there fails, in slices. */
static void
a_failed_destination_bounces_all(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	struct message bounce = { .id = 0 };
	unsigned bounces = 0;
	char sender[32];
	struct buffer text;
	struct d_due due;

	(void)state;
	/* One sender would not be told of each (NOTICES_AN_HOUR). */
	for (int i = 0; i < 250; i++) {
		snprintf(sender, sizeof(sender), "a%d@near.example", i % 3);
		take_message(world, sender, "b@nx.example");
	}
	say_synced(world);
	due = expect_due(world, "nx.example");
	say_ended(world, due.destination, OUTCOME_FAILED, "5.1.2",
	    "nx.example does not exist");
	turns(world);
	turns(world);
	text = bounce_text(world, &bounce);
	assert_non_null(strstr(text.text, "Status: 5.1.2\r\n"));
	assert_null(strstr(text.text, "Remote-MTA"));
	assert_null(strstr(text.text, "Diagnostic-Code"));
	assert_non_null(strstr(text.text, "nx.example does not exist"));
	bounces = times_logged("outcome=queued");
	assert_int_equal(bounces, 250);
	assert_int_equal(count_messages(world), 250);
	assert_int_equal(times_logged("outcome=failed"), 250);
	assert_int_equal(deliver_all(world, "near.example"), 250);
	assert_empty(world);
	buffer_free(&text);
	end_world(&world);
}

/* ---- classes ---- */

#define OPTIONAL_BODY	"TLS-Required: No\r\nSubject: x\r\n\r\nbody\r\n"

static const struct tagged {
	enum mail_class	opened;
	bool		field;		/* TLS-Required: No */
	enum mail_class	class, bounce;
	const char	*tag;
	bool		whole;		/* it comes back in a bounce */
} tagged[] = {
	{ CLASS_MAIL, false, CLASS_MAIL, CLASS_MAIL, "[]", true },
	{ CLASS_MAIL, true, CLASS_TLS_OPTIONAL, CLASS_MAIL,
	  "[\"tls-required-no\"]", true },
	{ CLASS_REQUIRETLS, false, CLASS_REQUIRETLS, CLASS_REQUIRETLS,
	  "[\"requiretls\"]", false },
	/* RTLS-4.1-3: the option outranks the field */
	{ CLASS_REQUIRETLS, true, CLASS_REQUIRETLS, CLASS_REQUIRETLS,
	  "[\"requiretls\"]", false },
};

/* Through a pipe, or (whole) as one message of the link. */
static uint64_t
take_tagged(struct world *world, const struct tagged *row, const char *sender,
    bool whole)
{
	static struct q_whole all;
	struct q_open open = { .id = queue_id_new(), .class = row->opened };
	struct q_id place = { open.id };
	int fd;

	set_text(open.sender, sizeof(open.sender), sender);
	say(&world->smtpd, Q_OPEN, &open);
	add_recipient(world, open.id, 0, "b@far.example");
	if (whole) {
		say(&world->smtpd, Q_PLACE, &place);
		expect(world, &world->smtpd, Q_GO);
		all = (struct q_whole){ .id = open.id,
		    .tls_optional = row->field,
		    .body_len = sizeof(OPTIONAL_BODY) - 1 };
		memcpy(all.body, OPTIONAL_BODY, all.body_len);
		say(&world->smtpd, Q_WHOLE, &all);
	} else {
		fd = ask_data(world, open.id);
		expect(world, &world->smtpd, Q_GO);
		write_body(world, fd, OPTIONAL_BODY,
		    sizeof(OPTIONAL_BODY) - 1);
		close(fd);
		if (row->field)
			say_end_optional(world, open.id,
			    sizeof(OPTIONAL_BODY) - 1);
		else
			say_end(world, open.id, sizeof(OPTIONAL_BODY) - 1,
			    false);
	}
	expect(world, &world->smtpd, Q_TAKEN);
	return open.id;
}

static void
assert_tag(struct world *world, uint64_t id, const char *tag)
{
	struct buffer row = { NULL, 0, 0 };
	struct message message;
	char words[64];

	snprintf(words, sizeof(words), "\"tags\":%s", tag);
	assert_int_equal(spool_get_message(world->spool, id, &message),
	    STORE_FOUND);
	listing_row(world->spool, world->queue->dispatch, &message, &row);
	if (strstr(row.text, words) == NULL)
		fail_msg("%s is not in %s", words, row.text);
	buffer_free(&row);
}

/* A class goes with the message: durably, into its list and its bounce. */
static void
class_stays(const struct tagged *row, bool whole)
{
	char *const full[] = { (char[]){ "bounce-body=full" } };
	struct world *world = new_world(full, 1);
	struct message bounce = { .id = 0 };
	struct buffer text, body;
	struct d_due due;
	struct d_job job;
	uint64_t id, octets;

	id = take_tagged(world, row, "a@near.example", whole);
	stop_queue(world);
	start_queue(world);
	assert_tag(world, id, row->tag);
	say_synced(world);
	due = expect_due(world, "far.example");
	assert_int_equal(due.class, row->class);
	ask_next(world, due.destination, 1);
	job = expect_job(world, NULL);
	assert_int_equal(job.requiretls, row->class == CLASS_REQUIRETLS);
	/* RTLS-4.1-4: octet for octet, with the field */
	body = pull_octets(world, job.job, &octets);
	assert_int_equal(body.len, sizeof(OPTIONAL_BODY) - 1);
	assert_memory_equal(body.text, OPTIONAL_BODY, body.len);
	buffer_free(&body);
	expect_settled(world, say_result(world, &job, "b@far.example",
	    OUTCOME_FAILED, 0, "5.7.30", "no REQUIRETLS"));
	text = bounce_text(world, &bounce);
	assert_int_equal(bounce.class, row->bounce);
	assert_non_null(strstr(text.text, "Status: 5.7.30\r\n"));
	assert_true((strstr(text.text, "body\r\n") != NULL) == row->whole);
	assert_tag(world, bounce.id, row->bounce == CLASS_REQUIRETLS ?
	    "[\"requiretls\"]" : "[]");
	buffer_free(&text);
	end_world(&world);
}

static void
classes_stay(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(tagged); i++) {
		class_stays(&tagged[i], false);
		class_stays(&tagged[i], true);
	}
}

/*
 * No host qualified: who sent it is told with the verdict's status; and what
 * tells him is owed to class mail, where nobody demands the keyword of it.
 */
static void
unmet_requiretls(void **state)
{
	static const char *const codes[] = { "5.7.30", "5.7.10" };
	static const struct tagged row = { .opened = CLASS_REQUIRETLS };

	(void)state;
	for (size_t i = 0; i < COUNT(codes); i++) {
		struct world *world = new_world(quick, COUNT(quick));
		struct message bounce = { .id = 0 };
		char status[32];
		struct buffer text;
		struct d_due due;
		struct d_job job;

		say_synced(world);
		take_tagged(world, &row, "a@near.example", false);
		due = expect_due(world, "far.example");
		assert_int_equal(due.class, CLASS_REQUIRETLS);
		say_ended(world, due.destination, OUTCOME_FAILED, codes[i],
		    "no host will do");
		due = expect_due(world, "near.example");
		/* RTLS-5-5, RTLS-5-6 */
		assert_int_equal(due.class, CLASS_MAIL);
		text = bounce_text(world, &bounce);
		assert_int_equal(bounce.class, CLASS_REQUIRETLS);
		snprintf(status, sizeof(status), "\r\nStatus: %s\r\n",
		    codes[i]);
		assert_non_null(strstr(text.text, status));
		assert_null(strstr(text.text, "body\r\n"));
		buffer_free(&text);
		ask_next(world, due.destination, 1);
		job = expect_job(world, NULL);
		assert_string_equal(job.sender, "");
		assert_true(job.requiretls);
		/* it is lost without a sound, and no other comes of it */
		say_ended(world, due.destination, OUTCOME_FAILED, codes[i],
		    "no host will do");
		say(&world->delivery, D_RETURN,
		    &(struct d_return){ job.job });
		turns(world);
		end_world(&world);
	}
}

/* A notification that another system made and passes on. */
static void
null_senders_are_not_lost(void **state)
{
	static const struct tagged row = { .opened = CLASS_REQUIRETLS };
	struct world *world = new_world(quick, COUNT(quick));
	struct d_due due;
	struct d_job job;
	uint64_t id;

	(void)state;
	say_synced(world);
	id = take_tagged(world, &row, "", false);
	assert_tag(world, id, "[\"requiretls\"]");
	due = expect_due(world, "far.example");
	assert_int_equal(due.class, CLASS_MAIL);
	ask_next(world, due.destination, 1);
	job = expect_job(world, NULL);
	assert_true(job.requiretls);
	end_world(&world);
}

/* TLS-Required: No, and the server itself will have none of it in clear. */
static void
server_demands_tls(void **state)
{
	static const struct tagged row = { .opened = CLASS_MAIL,
	    .field = true };
	struct world *world = new_world(quick, COUNT(quick));
	struct message bounce = { .id = 0 };
	struct buffer text;
	struct d_due due;
	struct d_job job;

	(void)state;
	say_synced(world);
	take_tagged(world, &row, "a@near.example", false);
	due = expect_due(world, "far.example");
	assert_int_equal(due.class, CLASS_TLS_OPTIONAL);
	ask_next(world, due.destination, 1);
	job = expect_job(world, NULL);
	expect_settled(world, say_result(world, &job, "b@far.example",
	    OUTCOME_FAILED, 530, "5.7.0", "530 5.7.0 STARTTLS first"));
	text = bounce_text(world, &bounce);
	assert_non_null(strstr(text.text, "Diagnostic-Code: smtp; 530 5.7.0 "
	    "STARTTLS first\r\n"));
	buffer_free(&text);
	end_world(&world);
}

/* ---- expiry ---- */

static void
expiry_is_judged_after_an_attempt(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	struct message bounce = { .id = 0 };
	struct buffer text;
	struct d_due due;

	(void)state;
	take_message(world, "a@near.example", "b@dead.example");
	/* off for a week: it is tried before it is given up */
	clock_offset_s = 7 * DAY_S;
	turns(world);
	assert_int_equal(count_messages(world), 1);
	say_synced(world);
	due = expect_due(world, "dead.example");
	take_message(world, "a@near.example", "young@dead.example");
	say_ended(world, due.destination, OUTCOME_DEFERRED, "4.4.1",
	    "no answer");
	turns(world);
	text = bounce_text(world, &bounce);
	assert_non_null(strstr(text.text, "Status: 4.4.7\r\n"));
	assert_non_null(strstr(text.text, "Action: failed\r\n"));
	assert_non_null(strstr(text.text, "5 days"));
	assert_non_null(strstr(text.text, "b@dead.example"));
	assert_null(strstr(text.text, "young@dead.example"));
	/* the bounce and the young one */
	assert_int_equal(count_messages(world), 2);
	buffer_free(&text);
	end_world(&world);
}

static void
an_attempt_that_began_before_expires_nothing(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	struct d_due due;

	(void)state;
	take_message(world, "a@near.example", "b@dead.example");
	clock_offset_s = 5 * DAY_S - 100;
	say_synced(world);
	due = expect_due(world, "dead.example");
	clock_offset_s = 5 * DAY_S + 100;
	say_ended(world, due.destination, OUTCOME_DEFERRED, "4.4.1",
	    "no answer");
	turns(world);
	assert_int_equal(count_messages(world), 1);
	assert_false(logged("bounce "));
	end_world(&world);
}

static void
a_late_result_expires_its_recipient(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	struct message bounce = { .id = 0 };
	struct buffer text;
	struct d_job job;

	(void)state;
	take_message(world, "a@near.example", "b@far.example");
	clock_offset_s = 5 * DAY_S + 1;
	say_synced(world);
	job = draw(world, "far.example");
	expect_settled(world, say_result(world, &job, "b@far.example",
	    OUTCOME_DEFERRED, 450, "4.2.2", "450 4.2.2 mailbox full"));
	text = bounce_text(world, &bounce);
	assert_non_null(strstr(text.text, "Status: 4.4.7\r\n"));
	assert_non_null(strstr(text.text, "450 4.2.2 mailbox full"));
	buffer_free(&text);
	end_world(&world);
}

/* Ruling 20: refused by a policy that could not be asked for. */
static void
policy_gives_a_day_more(void **state)
{
	static const struct {
		int64_t	age_s;
		bool	refused, checked, kept;
	} rows[] = {
		{ 5 * DAY_S + 10, true, false, true },
		{ 5 * DAY_S + 10, true, true, false },
		{ 5 * DAY_S + 10, false, false, false },
		{ 6 * DAY_S - 60, true, false, true },
		{ 6 * DAY_S + 10, true, false, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct world *world = new_world(quick, COUNT(quick));
		struct d_ended ended = { .outcome = OUTCOME_DEFERRED,
		    .policy_refused = rows[i].refused,
		    .policy_checked = rows[i].checked, .enhanced = "4.7.5",
		    .clause = "RFC 8461 5", .text = "certificate expired" };
		struct message bounce = { .id = 0 };
		struct d_due due;

		take_message(world, "a@near.example", "b@sts.example");
		clock_offset_s = rows[i].age_s;
		say_synced(world);
		due = expect_due(world, "sts.example");
		ended.destination = due.destination;
		say(&world->delivery, D_ENDED, &ended);
		turns(world);
		if (logged("bounce ") == rows[i].kept)
			fail_msg("row %zu", i);
		if (!rows[i].kept) {
			struct buffer text = bounce_text(world, &bounce);

			assert_non_null(strstr(text.text,
			    "Status: 4.7.5\r\n"));
			assert_non_null(strstr(text.text, "RFC 8461 5"));
			buffer_free(&text);
		}
		end_world(&world);
	}
}

/* ---- repeated, late and unknown ---- */

static void
results_may_be_repeated(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	struct recipient recipient;
	struct d_job job;
	uint64_t id;

	(void)state;
	say_synced(world);
	id = take_message(world, "a@near.example", "b@far.example");
	job = draw(world, "far.example");
	say_result(world, &job, "b@far.example", OUTCOME_DEFERRED, 450,
	    "4.2.1", "450 later");
	expect_settled(world, 1);
	world->sequence = 0;
	say_result(world, &job, "b@far.example", OUTCOME_DEFERRED, 450,
	    "4.2.1", "450 later");
	expect_settled(world, 1);
	spool_get_recipient(world->spool, id, 0, &recipient);
	assert_int_equal(recipient.attempts, 1);
	/* of somebody that never was */
	say_result(world, &job, "x@far.example", OUTCOME_FAILED, 550, "5.1.1",
	    "550 no");
	expect_settled(world, 2);
	assert_int_equal(count_messages(world), 1);
	end_world(&world);
}

/* Queue dies between the server's 250 and D_SETTLED. */
static void
a_result_survives_the_queue(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	struct d_held held = { .running = false };
	struct d_job job, other;
	uint64_t id;

	(void)state;
	say_synced(world);
	id = take_message(world, "a@near.example", "b@far.example");
	job = draw(world, "far.example");
	stop_queue(world);
	start_queue(world);
	held.job = job.job;
	held.message = id;
	held.destination = job.destination;
	snprintf(held.recipient, sizeof(held.recipient), "b@far.example");
	say(&world->delivery, D_HELD, &held);
	say_synced(world);
	/* it is in somebody's hand: not handed out again */
	expect_nothing(world, &world->delivery, 50);
	take_message(world, "a@near.example", "c@far.example");
	other = draw(world, "far.example");
	assert_int_not_equal(other.message, id);
	say_result(world, &job, "b@far.example", OUTCOME_DELIVERED, 250,
	    "2.0.0", "250 ok");
	expect_settled(world, 1);
	assert_int_equal(count_recipients(world, id), 0);
	end_world(&world);
}

/* Its D_HOST was said to the queue that died: the result has the facts. */
static void
a_result_brings_its_facts(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	struct d_held held = { .running = false };
	struct d_result result = { .sequence = 1, .outcome = OUTCOME_DELIVERED,
	    .code = 250, .enhanced = "2.0.0", .clause = "RFC 8461 4.2",
	    .host = "mx.far.example", .address = "192.0.2.25",
	    .recipient = "b@far.example", .policy = "sts",
	    .requirement = "pkix", .verdict = "send", .rule = "sts-verified",
	    .tls_version = "TLSv1.3", .tls_cipher = "TLS_AES_256_GCM_SHA384" };
	struct d_job job;

	(void)state;
	say_synced(world);
	held.message = take_message(world, "a@near.example", "b@far.example");
	job = draw(world, "far.example");
	stop_queue(world);
	start_queue(world);
	held.job = result.job = job.job;
	held.destination = result.destination = job.destination;
	result.message = held.message;
	result.session = job.session;
	set_text(held.recipient, sizeof(held.recipient), result.recipient);
	say(&world->delivery, D_HELD, &held);
	say(&world->delivery, D_RESULT, &result);
	say_synced(world);
	expect_settled(world, 1);
	assert_logged("outcome=delivered code=250 enh=2.0.0 policy=sts "
	    "require=pkix tls=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 "
	    "verdict=sts-verified clause=\"RFC 8461 4.2\"");
	end_world(&world);
}

static void
a_held_job_that_returns_goes_out(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	struct d_held held = { .running = true };
	struct d_job job;
	uint64_t id;

	(void)state;
	say_synced(world);
	id = take_message(world, "a@near.example", "b@far.example");
	job = draw(world, "far.example");
	stop_queue(world);
	start_queue(world);
	held.job = job.job;
	held.message = id;
	held.destination = job.destination;
	snprintf(held.recipient, sizeof(held.recipient), "b@far.example");
	say(&world->delivery, D_HELD, &held);
	say_synced(world);
	expect_nothing(world, &world->delivery, 50);
	say(&world->delivery, D_RETURN, &(struct d_return){ job.job });
	job = draw(world, "far.example");
	assert_int_equal(job.message, id);
	end_world(&world);
}

/* Delivery dies: its work simply waits again, nothing is held against it. */
static void
delivery_dies(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	struct d_job job;
	uint64_t id;

	(void)state;
	say_synced(world);
	id = take_message(world, "a@near.example", "b@far.example");
	draw(world, "far.example");
	connect_delivery(world);
	expect_nothing(world, &world->delivery, 30);
	say_synced(world);
	job = draw(world, "far.example");
	assert_int_equal(job.message, id);
	end_world(&world);
}

/* What it said before it died still counts. */
static void
last_words_count(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	struct d_job job;

	(void)state;
	say_synced(world);
	take_message(world, "a@near.example", "b@far.example");
	job = draw(world, "far.example");
	say_result(world, &job, "b@far.example", OUTCOME_DELIVERED, 250,
	    "2.0.0", "250 ok");
	wire_port_close(&world->delivery);
	world->has_delivery = false;
	turns(world);
	assert_int_equal(count_messages(world), 0);
	connect_delivery(world);
	say_synced(world);
	expect_nothing(world, &world->delivery, 30);
	end_world(&world);
}

static void
unknown_things_are_answered(void **state)
{
	struct world *world = new_world(NULL, 0);
	struct d_job none = { .job = 77, .message = 88, .destination = 99 };
	struct buffer body;
	uint64_t size;

	(void)state;
	say_synced(world);
	ask_next(world, 12345, 6);
	expect(world, &world->delivery, D_NONE);
	say_ended(world, 12345, OUTCOME_FAILED, "5.0.0", "");
	say(&world->delivery, D_RETURN, &(struct d_return){ 5 });
	expect_settled(world, say_result(world, &none, "b@far.example",
	    OUTCOME_DELIVERED, 250, "2.0.0", "250"));
	turns(world);
	(void)body;
	(void)size;
	end_world(&world);
}

/* ---- what a message needs ---- */

/*
 * Whether the server can take it, delivery finds out, host by host: here it
 * is said what the message needs, whatever the session offers.
 */
static void
needs_are_said(void **state)
{
	static const struct {
		bool		eight_bit, has_8bitmime;
		uint64_t	limit;
		uint32_t	body;
	} rows[] = {
		{ false, false, 0, BODY_7BIT },
		{ false, true, 20, BODY_7BIT },
		{ true, true, 1000, BODY_8BITMIME },
		{ true, false, 0, BODY_8BITMIME },
		{ true, false, 20, BODY_8BITMIME },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		static const char *const one[] = { "b@far.example", NULL };
		struct world *world = new_world(NULL, 0);
		struct d_next next = { .session = 3,
		    .has_8bitmime = rows[i].has_8bitmime,
		    .has_size = rows[i].limit != 0,
		    .size_limit = rows[i].limit };
		struct d_job job;

		say_synced(world);
		begin_message(world, "a@near.example", one, SLICE(SMALL), 0,
		    rows[i].eight_bit);
		expect(world, &world->smtpd, Q_TAKEN);
		next.destination = expect_due(world, "far.example").destination;
		say(&world->delivery, D_NEXT, &next);
		job = expect_job(world, NULL);
		assert_int_equal(job.body, rows[i].body);
		assert_int_equal(job.size_bytes, sizeof(SMALL) - 1);
		end_world(&world);
	}
}

/* ---- reports: signed before they leave ---- */

/* Overwrite a file's octet. */
static void
damage_file(struct world *world, uint64_t id)
{
	char path[160], name[ID_TEXT_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/bodies/%s", world->dir,
	    queue_id_print(id, name));
	fd = open(path, O_WRONLY);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "X", 1, 200000), 1);
	close(fd);
}

static void
assert_tags(struct world *world, uint64_t id, const char *tags)
{
	struct buffer row = { NULL, 0, 0 };
	struct message message;

	assert_int_equal(spool_get_message(world->spool, id, &message),
	    STORE_FOUND);
	listing_row(world->spool, world->queue->dispatch, &message, &row);
	if (strstr(row.text, tags) == NULL)
		fail_msg("%s not in %s", tags, row.text);
	buffer_free(&row);
}

static void
a_report_is_signed_first(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	struct buffer octets = { NULL, 0, 0 }, sent;
	struct s_sign sign;
	struct q_key key;
	struct d_due due;
	struct d_job job;
	uint64_t id, size;

	(void)state;
	say_synced(world);
	id = take_report(world, "k", "b@far.example");
	/* nobody signs: it waits, and is not handed out */
	expect_nothing(world, &world->delivery, 50);
	assert_tags(world, id, "\"tags\":[\"report\",\"unsigned\"]");
	assert_tags(world, id, "\"state\":\"waiting\",\"attempts\":0,"
	    "\"next\":null");
	assert_logged("alarm what=signing text=\"reports by mail wait to be "
	    "signed: culver-sign does not run");
	connect_sign(world);
	sign = expect_sign(world, &octets);
	assert_int_equal(sign.id, id);
	assert_string_equal(sign.domain, "our.example");
	assert_int_equal(sign.size_bytes, sizeof(REPORT) - 1);
	assert_true(sign.now_s - loop_wall_s() <= 1);
	assert_int_equal(octets.len, sign.size_bytes);
	assert_memory_equal(octets.text, REPORT, octets.len);
	expect_nothing(world, &world->delivery, 30);
	answer_sign(world, id, NULL);
	due = expect_due(world, "far.example");
	assert_int_equal(due.class, CLASS_REPORT);
	assert_logged("alarm signing is over");
	assert_tags(world, id, "\"tags\":[\"report\"]");
	ask_next(world, due.destination, 1);
	job = expect_job(world, NULL);
	assert_int_equal(job.size_bytes, sizeof(SIGNED REPORT) - 1);
	sent = pull_octets(world, job.job, &size);
	assert_int_equal(size, sizeof(SIGNED REPORT) - 1);
	assert_int_equal(sent.len, size);
	assert_memory_equal(sent.text, SIGNED REPORT, size);
	assert_key(world, "k", KEY_OWED);
	say_result(world, &job, "b@far.example", OUTCOME_DELIVERED, 250,
	    "2.0.0", "250 2.0.0 taken");
	expect_settled(world, 1);
	key = ask_key(world, "k");
	assert_int_equal(key.state, KEY_ACCEPTED);
	assert_int_equal(key.code, 250);
	assert_string_equal(key.host, "mx.far.example");
	assert_string_equal(key.text, "250 2.0.0 taken");
	say_ended(world, due.destination, 0, "", "");
	turns(world);
	assert_empty(world);
	buffer_free(&octets);
	buffer_free(&sent);
	end_world(&world);
}

/* Chunks, chunks and a file, a file: all go to sign by a pipe. */
static void
every_form_is_signed(void **state)
{
	static const struct {
		size_t		size;
		uint64_t	announced;
		bool		file_alone;
	} rows[] = {
		{ 40000, 40000, false }, { 300000, 0, false },
		{ 300000, 300000, true },
	};
	struct world *world = new_world(NULL, 0);

	(void)state;
	connect_reports(world);
	connect_sign(world);
	say_synced(world);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct q_open report = { .id = queue_id_new(),
		    .class = CLASS_REPORT, .size_bytes = rows[i].announced,
		    .sender = "tls-reports@our.example" };
		struct buffer body = { NULL, 0, 0 }, seen = { NULL, 0, 0 };
		struct buffer sent;
		struct message message;
		struct d_job job;
		uint64_t size;
		int fd;

		while (body.len < rows[i].size)
			buffer_printf(&body, "%015zu\n", body.len);
		snprintf(report.key, sizeof(report.key), "k%zu", i);
		world->intake = &world->reports;
		say(&world->reports, Q_OPEN, &report);
		add_recipient(world, report.id, 0, "b@far.example");
		fd = ask_data(world, report.id);
		expect(world, &world->reports, Q_GO);
		write_body(world, fd, body.text, body.len);
		close(fd);
		say_end(world, report.id, body.len, false);
		expect(world, &world->reports, Q_TAKEN);
		assert_int_equal(expect_sign(world, &seen).id, report.id);
		assert_int_equal(seen.len, body.len);
		assert_memory_equal(seen.text, body.text, body.len);
		spool_get_message(world->spool, report.id, &message);
		assert_int_equal(message.chunks == 0, rows[i].file_alone);
		answer_sign(world, report.id, NULL);
		job = draw(world, "far.example");
		sent = pull_octets(world, job.job, &size);
		assert_int_equal(size, body.len + sizeof(SIGNED) - 1);
		assert_int_equal(sent.len, size);
		assert_memory_equal(sent.text, SIGNED, sizeof(SIGNED) - 1);
		assert_memory_equal(sent.text + sizeof(SIGNED) - 1, body.text,
		    body.len);
		say_result(world, &job, "b@far.example", OUTCOME_DELIVERED,
		    250, "2.0.0", "250 ok");
		expect_settled(world, world->sequence);
		say_ended(world, job.destination, 0, "", "");
		turns(world);
		assert_empty(world);
		buffer_free(&body);
		buffer_free(&seen);
		buffer_free(&sent);
	}
	end_world(&world);
}

static void
what_cannot_be_signed_waits(void **state)
{
	struct world *world = new_world(NULL, 0);
	uint64_t id, other;

	(void)state;
	say_synced(world);
	connect_sign(world);
	id = take_report(world, "k", "b@far.example");
	expect_sign(world, NULL);
	answer_sign(world, id, "no key for our.example");
	expect_nothing(world, &world->sign, 50);
	assert_logged("alarm what=signing text=\"reports by mail wait to be "
	    "signed: no key for our.example\"");
	/* another comes: both wait, not in a hot loop */
	usleep(2000);
	other = take_report(world, "l", "b@far.example");
	expect_nothing(world, &world->sign, 50);
	expect_nothing(world, &world->delivery, 20);
	/* after a minute, then after two */
	uptime_offset_s += 58;
	expect_nothing(world, &world->sign, 20);
	uptime_offset_s += 3;
	assert_int_equal(expect_sign(world, NULL).id, id);
	answer_sign(world, id, "no key for our.example");
	/* one that fails is not in the way of the next */
	assert_int_equal(expect_sign(world, NULL).id, other);
	answer_sign(world, other, NULL);
	expect_due(world, "far.example");
	turns(world);
	uptime_offset_s += 61;
	expect_nothing(world, &world->sign, 20);
	uptime_offset_s += 60;
	assert_int_equal(expect_sign(world, NULL).id, id);
	answer_sign(world, id, "no key for our.example");
	turns(world);
	/* at once with new settings, and on a fresh link */
	turn_configure(world->queue, world->config);
	assert_int_equal(expect_sign(world, NULL).id, id);
	answer_sign(world, id, "no key for our.example");
	turns(world);
	connect_sign(world);
	assert_int_equal(expect_sign(world, NULL).id, id);
	assert_int_equal(times_logged("alarm what=signing"), 1);
	answer_sign(world, id, NULL);
	turns(world);
	assert_logged("alarm signing is over");
	end_world(&world);
}

static void
delays_of_signing_grow(void **state)
{
	static const int64_t minutes[] = { 1, 1, 2, 4, 8, 16, 32, 60, 60 };

	(void)state;
	for (unsigned n = 0; n < COUNT(minutes); n++)
		assert_int_equal(signer_delay_ms(n), minutes[n] * 60000);
	assert_int_equal(signer_delay_ms(UINT32_MAX), 3600000);
}

/* What is no header field is not put before a message. */
static void
nonsense_is_no_signature(void **state)
{
	static const char *const answers[] = {
		"", "\r\n", "DKIM-Signature: b=A", "DKIM-Signature: b=A\n",
		"Subject: x\r\n", "DKIM-Signature: b=A\r\n\r\nbody\r\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(answers); i++) {
		struct world *world = new_world(NULL, 0);
		struct s_header header = { .done = true };
		struct message message;

		connect_sign(world);
		header.id = take_report(world, "k", "b@far.example");
		header.header_len = (uint32_t)strlen(answers[i]);
		memcpy(header.header, answers[i], header.header_len);
		expect_sign(world, NULL);
		say(&world->sign, S_HEADER, &header);
		turns(world);
		spool_get_message(world->spool, header.id, &message);
		if (!message.needs_signature || !logged("alarm what=signing"))
			fail_msg("row %zu", i);
		end_world(&world);
	}
}

static void
the_death_of_sign_loses_nothing(void **state)
{
	struct world *world = new_world(NULL, 0);
	uint64_t first, second;

	(void)state;
	say_synced(world);
	connect_sign(world);
	first = take_report(world, "k", "b@far.example");
	usleep(2000);		/* ids of one millisecond have no order */
	second = take_report(world, "l", "b@far.example");
	assert_int_equal(expect_sign(world, NULL).id, first);
	close_sign(world);
	turns(world);
	/* it will be back in a moment: no alarm for that */
	assert_false(logged("alarm"));
	connect_sign(world);
	assert_int_equal(expect_sign(world, NULL).id, first);
	/* and again: perhaps it is the message that kills it */
	close_sign(world);
	turns(world);
	connect_sign(world);
	assert_int_equal(expect_sign(world, NULL).id, second);
	answer_sign(world, second, NULL);
	expect_due(world, "far.example");
	/* it stays away */
	close_sign(world);
	turns(world);
	uptime_offset_s += 6;
	turns(world);
	assert_logged("alarm what=signing");
	connect_sign(world);
	assert_int_equal(expect_sign(world, NULL).id, first);
	answer_sign(world, first, NULL);
	turns(world);
	assert_tags(world, first, "\"tags\":[\"report\"]");
	end_world(&world);
}

/* It lives, reads, and never answers. */
static void
a_silent_sign_is_left(void **state)
{
	struct world *world = new_world(NULL, 0);
	const void *message;
	int fds[WIRE_FDS_MAX];
	uint64_t id;

	(void)state;
	connect_sign(world);
	id = take_report(world, "k", "b@far.example");
	expect_sign(world, NULL);
	uptime_offset_s += 121;
	turns(world);
	assert_int_equal(wire_port_receive(&world->sign, &message, fds,
	    wire_now_ms() + 1000), 0);
	assert_logged("culver-sign does not answer");
	connect_sign(world);
	assert_int_equal(expect_sign(world, NULL).id, id);
	end_world(&world);
}

/* Before the answer, and after it. */
static void
a_restart_finds_the_unsigned(void **state)
{
	struct world *world = new_world(NULL, 0);
	uint64_t id;

	(void)state;
	take_message(world, "a@near.example", "b@far.example");
	id = take_report(world, "k", "b@far.example");
	connect_sign(world);
	expect_sign(world, NULL);
	stop_queue(world);
	start_queue(world);
	assert_int_equal(expect_sign(world, NULL).id, id);
	answer_sign(world, id, NULL);
	turns(world);
	stop_queue(world);
	start_queue(world);
	expect_nothing(world, &world->sign, 30);
	assert_tags(world, id, "\"tags\":[\"report\"]");
	end_world(&world);
}

static void
never_signed_is_given_up(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	struct q_key key;

	(void)state;
	say_synced(world);
	connect_sign(world);
	answer_sign(world, take_report(world, "k", "b@far.example"),
	    "no key");
	turns(world);
	clock_offset_s = DAY_S - 10;
	turn_configure(world->queue, world->config);
	turns(world);
	assert_key(world, "k", KEY_OWED);
	clock_offset_s = DAY_S + 10;
	connect_sign(world);
	turns(world);
	key = ask_key(world, "k");
	assert_int_equal(key.state, KEY_EXPIRED);
	assert_int_equal(key.code, 0);
	assert_non_null(strstr(key.text, "it could not be signed for a day"));
	assert_logged("outcome=dropped rcpts=1 rcpt=b@far.example");
	expect_nothing(world, &world->delivery, 20);
	assert_empty(world);
	end_world(&world);
}

/* Damage that is found while it is read for its signature. */
static void
a_damaged_report_is_held(void **state)
{
	struct world *world = new_world(NULL, 0);
	struct q_open report = { .id = queue_id_new(), .class = CLASS_REPORT,
	    .size_bytes = 300000, .key = "k" };
	struct buffer body = { NULL, 0, 0 }, seen = { NULL, 0, 0 };
	struct recipient recipient;
	int fd;

	(void)state;
	while (body.len < 300000)
		buffer_add(&body, SLICE("twelve chars"));
	connect_reports(world);
	say_synced(world);
	world->intake = &world->reports;
	say(&world->reports, Q_OPEN, &report);
	add_recipient(world, report.id, 0, "b@far.example");
	fd = ask_data(world, report.id);
	expect(world, &world->reports, Q_GO);
	write_body(world, fd, body.text, body.len);
	close(fd);
	say_end(world, report.id, body.len, false);
	expect(world, &world->reports, Q_TAKEN);
	damage_file(world, report.id);
	connect_sign(world);
	/* not a whole one is ever signed */
	assert_int_equal(expect_sign(world, &seen).size_bytes, body.len);
	assert_true(seen.len < body.len);
	answer_sign(world, report.id, "the message is shorter");
	turns(world);
	assert_logged("alarm what=record ");
	spool_get_recipient(world->spool, report.id, 0, &recipient);
	assert_true(recipient.due_ms == DUE_HELD);
	turn_configure(world->queue, world->config);
	expect_nothing(world, &world->sign, 30);
	expect_nothing(world, &world->delivery, 10);
	buffer_free(&body);
	buffer_free(&seen);
	end_world(&world);
}

/* ---- reports: a day from the first attempt ---- */

static void
say_dead(struct world *world, uint64_t destination)
{
	struct d_ended ended = { .destination = destination,
	    .outcome = OUTCOME_DEFERRED, .enhanced = "4.4.1",
	    .text = "no answer" };

	say(&world->delivery, D_ENDED, &ended);
	turns(world);
}

/* The time of the next attempt, wall clock; 0: there is none. */
static int64_t
next_attempt_s(struct world *world, uint64_t destination)
{
	struct destination found;

	if (spool_get_destination(world->spool, destination, &found) !=
	    STORE_FOUND || found.next_ms == 0)
		return 0;
	return (int64_t)(found.next_ms + 999) / 1000;
}

/*
 * No host is to be had.  `expire` is of no account; what is measured begins
 * with the first attempt, two hours after it was taken.
 */
static void
a_dead_receivers_report_expires(void **state)
{
	char *const settings_of[] = { (char[]){ "expire=5d" },
	    (char[]){ "expire=1h" } };

	(void)state;
	for (size_t i = 0; i < COUNT(settings_of); i++) {
		struct world *world = new_world(&settings_of[i], 1);
		int64_t first_s = 0, began_s = 0, gap_s = 0;
		unsigned attempts = 0;
		struct q_key key;
		struct d_due due;

		take_signed_report(world, "k", "b@dead.example");
		turns(world);
		clock_offset_s = 7200;
		say_synced(world);
		for (;;) {
			int64_t next_s;

			due = expect_due(world, "dead.example");
			next_s = loop_wall_s();
			if (attempts++ == 0)
				first_s = next_s;
			else if (next_s - began_s + 1 < 2 * gap_s)
				fail_msg("%u: %lld after %lld", attempts,
				    (long long)(next_s - began_s),
				    (long long)gap_s);
			gap_s = attempts > 1 ? next_s - began_s : 0;
			began_s = next_s;
			say_dead(world, due.destination);
			next_s = next_attempt_s(world, due.destination);
			if (next_s == 0)
				break;
			assert_true(next_s <= first_s + DAY_S + 2);
			assert_key(world, "k", KEY_OWED);
			clock_offset_s += next_s - loop_wall_s();
			loop_again(world->loop);
		}
		assert_in_range(attempts, 6, 12);
		assert_in_range(began_s - first_s, DAY_S - 1, DAY_S + 2);
		key = ask_key(world, "k");
		assert_int_equal(key.state, KEY_EXPIRED);
		assert_string_equal(key.text, "no answer");
		/* no bounce: a line */
		assert_int_equal(times_logged("bounce "), 1);
		assert_logged(" to=tls-reports@our.example outcome=dropped ");
		assert_empty(world);
		end_world(&world);
	}
}

/* The receiver says 450 and 451, for a day. */
static void
a_deferred_report_expires(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	int64_t first_s = 0, began_s = 0, gap_s = 0;
	unsigned attempts = 0;
	struct q_key key;
	uint64_t id;

	(void)state;
	say_synced(world);
	id = take_signed_report(world, "k", "b@far.example");
	for (;;) {
		struct recipient recipient;
		struct d_job job = draw(world, "far.example");
		int64_t now_s = loop_wall_s();

		if (attempts++ == 0)
			first_s = now_s;
		else
			assert_true(now_s - began_s + 1 >= 2 * gap_s);
		gap_s = attempts > 1 ? now_s - began_s : 0;
		began_s = now_s;
		say_result(world, &job, "b@far.example", OUTCOME_DEFERRED,
		    451, "4.7.1", "451 4.7.1 greylisted");
		expect_settled(world, world->sequence);
		say_ended(world, job.destination, 0, "", "");
		turns(world);
		if (spool_get_recipient(world->spool, id, 0, &recipient) !=
		    STORE_FOUND)
			break;
		clock_offset_s += (int64_t)(recipient.due_ms / 1000) + 1 -
		    loop_wall_s();
		loop_again(world->loop);
	}
	assert_in_range(attempts, 6, 12);
	assert_in_range(began_s - first_s, DAY_S - 1, DAY_S + 20);
	key = ask_key(world, "k");
	assert_int_equal(key.state, KEY_EXPIRED);
	assert_int_equal(key.code, 451);
	assert_string_equal(key.host, "mx.far.example");
	assert_string_equal(key.text, "451 4.7.1 greylisted");
	assert_int_equal(times_logged("bounce "), 1);
	assert_logged("outcome=dropped");
	assert_empty(world);
	end_world(&world);
}

/* The relay was off for a week: it is tried before it is given up. */
static void
an_old_report_is_tried_first(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	struct d_due due;

	(void)state;
	say_synced(world);
	take_signed_report(world, "k", "b@dead.example");
	due = expect_due(world, "dead.example");
	say_dead(world, due.destination);
	stop_queue(world);
	clock_offset_s = 7 * DAY_S;
	start_queue(world);
	turns(world);
	assert_key(world, "k", KEY_OWED);
	say_synced(world);
	assert_int_equal(deliver_all(world, "dead.example"), 1);
	assert_key(world, "k", KEY_ACCEPTED);
	end_world(&world);
}

/* One that is a day old is given up, the one of today is not. */
static void
each_report_has_its_day(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	struct destination destination;
	struct d_due due;

	(void)state;
	say_synced(world);
	take_signed_report(world, "old", "b@dead.example");
	due = expect_due(world, "dead.example");
	say_dead(world, due.destination);
	take_signed_report(world, "new", "b@dead.example");
	turns(world);
	clock_offset_s = DAY_S - 3600;
	loop_again(world->loop);
	due = expect_due(world, "dead.example");
	assert_int_equal(due.waiting, 2);
	say_dead(world, due.destination);
	assert_key(world, "old", KEY_OWED);
	clock_offset_s = DAY_S + 2;
	loop_again(world->loop);
	due = expect_due(world, "dead.example");
	say_dead(world, due.destination);
	assert_key(world, "old", KEY_EXPIRED);
	assert_key(world, "new", KEY_OWED);
	clock_offset_s = 2 * DAY_S + 60;
	loop_again(world->loop);
	due = expect_due(world, "dead.example");
	say_dead(world, due.destination);
	assert_key(world, "new", KEY_EXPIRED);
	/* what failed is not held against tomorrow's */
	take_signed_report(world, "next", "b@dead.example");
	due = expect_due(world, "dead.example");
	say_dead(world, due.destination);
	spool_get_destination(world->spool, due.destination, &destination);
	assert_int_equal(destination.step, 1);
	end_world(&world);
}

/* A program of ours that dies is no attempt: the day has not begun. */
static void
our_own_end_is_no_first_attempt(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	struct d_ended ended = { .outcome = OUTCOME_DEFERRED, .ours = true };
	struct recipient recipient;
	uint64_t id;

	(void)state;
	say_synced(world);
	id = take_signed_report(world, "k", "b@far.example");
	ended.destination = expect_due(world, "far.example").destination;
	say(&world->delivery, D_ENDED, &ended);
	turns(world);
	spool_get_recipient(world->spool, id, 0, &recipient);
	assert_int_equal(recipient.first_ms, 0);
	end_world(&world);
}

static void
a_refused_report_makes_no_bounce(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	struct d_due due;
	struct d_job job;
	struct q_key key;

	(void)state;
	say_synced(world);
	take_signed_report(world, "k", "b@far.example");
	job = draw(world, "far.example");
	say_result(world, &job, "b@far.example", OUTCOME_FAILED, 550, "5.1.1",
	    "550 5.1.1 no such user");
	expect_settled(world, 1);
	key = ask_key(world, "k");
	assert_int_equal(key.state, KEY_REFUSED);
	assert_int_equal(key.code, 550);
	assert_string_equal(key.host, "mx.far.example");
	assert_string_equal(key.text, "550 5.1.1 no such user");
	say_ended(world, job.destination, 0, "", "");
	/* NXDOMAIN */
	take_signed_report(world, "l", "b@nx.example");
	due = expect_due(world, "nx.example");
	say_ended(world, due.destination, OUTCOME_FAILED, "5.1.2",
	    "nx.example does not exist");
	turns(world);
	key = ask_key(world, "l");
	assert_int_equal(key.state, KEY_REFUSED);
	assert_int_equal(key.code, 0);
	assert_string_equal(key.text, "nx.example does not exist");
	assert_int_equal(times_logged("outcome=dropped"), 2);
	assert_false(logged("outcome=queued"));
	assert_empty(world);
	end_world(&world);
}

/* ---- damage ---- */

/* A damaged body file is never sent as if it were whole, and is held. */
static void
damaged_bodies_are_held(void **state)
{
	static const char *const one[] = { "b@far.example", NULL };
	static const uint64_t announced[] = { 300000, 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(announced); i++) {
		struct world *world = new_world(NULL, 0);
		struct buffer octets = { NULL, 0, 0 }, got;
		struct recipient recipient;
		struct d_job job;
		uint64_t id, size;

		while (octets.len < 300000)
			buffer_add(&octets, SLICE("twelve chars"));
		octets.len = 300000;
		say_synced(world);
		id = begin_message(world, "a@near.example", one,
		    (struct slice){ octets.text, octets.len }, announced[i],
		    false);
		expect(world, &world->smtpd, Q_TAKEN);
		damage_file(world, id);
		job = draw(world, "far.example");
		got = pull_octets(world, job.job, &size);
		assert_int_equal(size, 300000);
		assert_true(got.len < size);
		say(&world->delivery, D_RETURN,
		    &(struct d_return){ job.job });
		turns(world);
		assert_logged("alarm what=record ");
		spool_get_recipient(world->spool, id, 0, &recipient);
		assert_true(recipient.due_ms == DUE_HELD);
		ask_next(world, job.destination, 2);
		expect(world, &world->delivery, D_NONE);
		say_ended(world, job.destination, 0, "", "");
		/* others go out */
		take_message(world, "a@near.example", "c@far.example");
		turns_for(world, 1100);
		assert_int_equal(deliver_all(world, "far.example"), 1);
		expect_nothing(world, &world->delivery, 30);
		assert_int_equal(count_messages(world), 1);
		buffer_free(&octets);
		buffer_free(&got);
		end_world(&world);
	}
}

/* A body that was asked for ahead, and whose message is over meanwhile. */
static void
a_message_that_is_over_is_not_damaged(void **state)
{
	static const char *const one[] = { "b@far.example", NULL };
	static const uint64_t announced[] = { 300000, 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(announced); i++) {
		struct world *world = new_world(NULL, 0);
		struct buffer octets = { NULL, 0, 0 };
		int fds[WIRE_FDS_MAX];
		struct d_job job;
		char part[65536];

		while (octets.len < 300000)
			buffer_add(&octets, SLICE("twelve chars"));
		octets.len = 300000;
		say_synced(world);
		begin_message(world, "", one,
		    (struct slice){ octets.text, octets.len }, announced[i],
		    false);
		expect(world, &world->smtpd, Q_TAKEN);
		job = draw(world, "far.example");
		say(&world->delivery, D_BODY, &(struct d_body){ job.job });
		if (announced[i] == 0)
			expect_fd(world, &world->delivery, D_PIPE, fds);
		expect_settled(world, say_result(world, &job, "b@far.example",
		    OUTCOME_FAILED, 550, "5.1.1", "550 5.1.1 nobody"));
		for (int n = 0; n < 20 && announced[i] == 0; n++) {
			if (read(fds[0], part, sizeof(part)) == 0)
				break;
			loop_turn(world->loop, false);
		}
		turns(world);
		assert_int_equal(count_messages(world), 0);
		assert_int_equal(times_logged("alarm what=record "), 0);
		if (announced[i] == 0)
			close(fds[0]);
		buffer_free(&octets);
		end_world(&world);
	}
}

/*
 * There is no descriptor to be had for a body: whoever waits for it learns so
 * at once, and the message goes out when there are some again.
 */
static void
a_body_without_a_pipe(void **state)
{
	struct world *world = new_world(NULL, 0);
	struct rlimit limit, few;
	int fds[WIRE_FDS_MAX];
	struct d_job job;
	char octet;

	(void)state;
	say_synced(world);
	take_message(world, "a@near.example", "b@far.example");
	job = draw(world, "far.example");
	say(&world->delivery, D_BODY, &(struct d_body){ job.job });
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	few = limit;
	few.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	turns(world);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_logged("no pipe for a body");
	expect_fd(world, &world->delivery, D_PIPE, fds);
	assert_int_equal(read(fds[0], &octet, 1), 0);
	close(fds[0]);
	say(&world->delivery, D_RETURN, &(struct d_return){ job.job });
	ask_next(world, job.destination, 2);
	job = *(const struct d_job *)expect(world, &world->delivery, D_JOB);
	expect(world, &world->delivery, D_RCPT);
	say(&world->delivery, D_BODY, &(struct d_body){ job.job });
	expect_fd(world, &world->delivery, D_PIPE, fds);
	assert_int_equal(read(fds[0], &octet, 1), 1);
	close(fds[0]);
	assert_int_equal(times_logged("alarm what=record "), 0);
	end_world(&world);
}

/* Flip an octet in each place of a table's file where text stands. */
static void
damage_table(struct world *world, const char *table, const char *text)
{
	static char octets[1 << 20];
	char path[160], *at = octets;
	size_t len;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s.db", world->dir, table);
	file = fopen(path, "r+");
	assert_non_null(file);
	len = fread(octets, 1, sizeof(octets), file);
	assert_true(len < sizeof(octets));
	while ((at = memmem(at, len - (size_t)(at - octets), text,
	    strlen(text))) != NULL)
		*at++ ^= 0x20;
	rewind(file);
	assert_int_equal(fwrite(octets, 1, len, file), len);
	fclose(file);
}

/* The record of a destination is damaged: its mail goes out all the same. */
static void
a_damaged_destination_strands_nothing(void **state)
{
	(void)state;
	for (int more = 0; more < 2; more++) {
		struct world *world = new_world(quick, COUNT(quick));
		struct d_job job;
		uint64_t id;

		id = take_message(world, "a@near.example", "b@far.example");
		usleep(2000);	/* ids of one millisecond have no order */
		take_message(world, "a@near.example", "c@far.example");
		stop_queue(world);
		damage_table(world, "destinations", "far.example");
		start_queue(world);
		if (more)
			take_message(world, "a@near.example",
			    "d@far.example");
		say_synced(world);
		job = draw(world, "far.example");
		assert_int_equal(job.message, id);
		assert_logged("alarm what=record text=\"destination ");
		say(&world->delivery, D_RETURN,
		    &(struct d_return){ job.job });
		say_ended(world, job.destination, OUTCOME_DEFERRED, "4.4.1",
		    "no answer");
		turns(world);
		/* one destination, with one back-off */
		expect_nothing(world, &world->delivery, 20);
		clock_offset_s = 80;
		loop_again(world->loop);
		assert_int_equal(deliver_all(world, "far.example"),
		    2 + more);
		expect_nothing(world, &world->delivery, 20);
		assert_empty(world);
		end_world(&world);
	}
}

/* It is lost while it is served; or nothing waits behind its entry. */
static void
a_destination_lost_in_service(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	struct destination destination;
	struct recipient recipient;
	struct soon soon = { 0, 0 };
	struct message message;
	struct d_job job;
	uint64_t id;

	(void)state;
	say_synced(world);
	id = take_message(world, "a@near.example", "b@far.example");
	job = draw(world, "far.example");
	spool_get_destination(world->spool, job.destination, &destination);
	spool_delete_destination(world->spool, &destination);
	assert_true(turn_end(world->queue));
	say_result(world, &job, "b@far.example", OUTCOME_DEFERRED, 450,
	    "4.2.1", "450 later");
	expect_settled(world, 1);
	say_ended(world, job.destination, 0, "", "");
	turns(world);
	clock_offset_s = 80;
	loop_again(world->loop);
	job = draw(world, "far.example");
	assert_int_equal(job.message, id);
	/* all of it goes, but for an entry */
	spool_get_destination(world->spool, job.destination, &destination);
	spool_get_message(world->spool, id, &message);
	spool_get_recipient(world->spool, id, 0, &recipient);
	spool_delete_recipient(world->spool, &recipient);
	spool_delete_message(world->spool, &message);
	spool_delete_destination(world->spool, &destination);
	assert_true(turn_end(world->queue));
	assert_true(spool_next_soon(world->spool, &soon, &soon));
	stop_queue(world);
	start_queue(world);
	say_synced(world);
	expect_nothing(world, &world->delivery, 20);
	assert_empty(world);
	end_world(&world);
}

/* Removed while it is with delivery: the pipe ends before its count. */
static void
removed_in_flight_is_not_sent(void **state)
{
	struct world *world = new_world(NULL, 0);
	struct recipient recipient;
	struct message message;
	struct buffer got;
	struct d_job job;
	uint64_t id, size;

	(void)state;
	say_synced(world);
	id = take_message(world, "a@near.example", "b@far.example");
	job = draw(world, "far.example");
	spool_get_message(world->spool, id, &message);
	spool_get_recipient(world->spool, id, 0, &recipient);
	spool_delete_recipient(world->spool, &recipient);
	spool_delete_message(world->spool, &message);
	assert_true(turn_end(world->queue));
	got = pull_octets(world, job.job, &size);
	assert_int_equal(got.len, 0);
	assert_true(size > 0);
	say(&world->delivery, D_RETURN, &(struct d_return){ job.job });
	ask_next(world, job.destination, 2);
	expect(world, &world->delivery, D_NONE);
	say_ended(world, job.destination, 0, "", "");
	turns(world);
	assert_empty(world);
	buffer_free(&got);
	end_world(&world);
}

/* ---- what is remembered ---- */

static void
say_host(struct world *world, uint64_t destination, uint64_t session,
    bool ready, const char *verdict)
{
	struct d_host host = { .destination = destination,
	    .session = session, .ready = ready, .host = "mx.far.example",
	    .address = "192.0.2.25", .policy = "sts", .sts = "enforce",
	    .requirement = "pkix", .connected = true, .starttls = "done",
	    .tls_version = "TLSv1.3", .tls_cipher = "TLS_AES_256_GCM_SHA384",
	    .rule = "sts-verified", .clause = "RFC 8461 4.2" };

	set_text(host.verdict, sizeof(host.verdict), verdict);
	snprintf(host.certificate, sizeof(host.certificate), "%s",
	    ready ? "valid" : "expired");
	say(&world->delivery, D_HOST, &host);
}

static void
facts_of_hosts_are_kept(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	struct destination destination;
	struct attempt attempt;
	struct d_host host;
	struct d_job job;
	struct d_due due;

	(void)state;
	say_synced(world);
	take_message(world, "a@near.example", "b@far.example");
	due = expect_due(world, "far.example");
	say_host(world, due.destination, 0, false, "skip");
	say_host(world, due.destination, 4, true, "send");
	ask_next(world, due.destination, 4);
	job = expect_job(world, NULL);
	say_result(world, &job, "b@far.example", OUTCOME_DEFERRED, 450,
	    "4.2.1", "450 later");
	expect_settled(world, 1);
	assert_logged("policy=sts require=pkix tls=TLSv1.3 "
	    "cipher=TLS_AES_256_GCM_SHA384 verdict=sts-verified ");
	/* already while it is being served */
	assert_int_equal(spool_next_attempt(world->spool, due.destination, 0,
	    &attempt), STORE_FOUND);
	assert_int_equal(attempt.number, 1);
	assert_int_equal(spool_get_host(world->spool, due.destination, 1, 1,
	    &host), STORE_FOUND);
	assert_string_equal(host.verdict, "send");
	say_ended(world, due.destination, 0, "", "");
	turns(world);
	assert_int_equal(spool_get_destination(world->spool, due.destination,
	    &destination), STORE_FOUND);
	assert_string_equal(destination.proof, "pkix");
	/* delivered: the attempts go, what it proved stays */
	clock_offset_s = 100;
	loop_again(world->loop);
	assert_int_equal(deliver_all(world, "far.example"), 1);
	assert_int_equal(spool_next_attempt(world->spool, due.destination, 0,
	    &attempt), STORE_ABSENT);
	assert_int_equal(spool_get_destination(world->spool, due.destination,
	    &destination), STORE_FOUND);
	assert_empty(world);
	end_world(&world);
}

/* What an attempt's end says, and the host it says it of, go together. */
static void
the_end_speaks_of_one_host(void **state)
{
	static const struct {
		const char	*text, *rule, *host, *address;
	} rows[] = {
		/* by its name, whatever came later */
		{ "mx1.far.example: certificate expired", "sts",
		  "mx1.far.example", "192.0.2.1" },
		{ "mx2.far.example: no answer", "connect",
		  "mx2.far.example", "192.0.2.2" },
		/* of two addresses of that name the one whose rule it is */
		{ "mx3.far.example: no TLS", "sts", "mx3.far.example",
		  "192.0.2.3" },
		/* by its rule */
		{ "certificate expired", "sts", "mx3.far.example",
		  "192.0.2.3" },
		/* of none of them */
		{ "a worker of this relay ended", "own-failure", "", "" },
		{ "mx: x", "", "", "" },
	};
	static const struct d_host hosts[] = {
		{ .host = "mx1.far.example", .address = "192.0.2.1",
		  .rule = "sts", .policy = "sts" },
		{ .host = "mx2.far.example", .address = "192.0.2.2",
		  .rule = "connect", .policy = "sts" },
		{ .host = "mx3.far.example", .address = "192.0.2.3",
		  .rule = "sts", .policy = "sts" },
		{ .host = "mx3.far.example", .address = "192.0.2.33",
		  .rule = "connect", .policy = "sts" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct world *world = new_world(quick, COUNT(quick));
		struct d_ended ended = { .outcome = OUTCOME_DEFERRED,
		    .enhanced = "4.7.5" };
		struct destination destination;
		char wanted[128];

		say_synced(world);
		take_message(world, "a@near.example", "b@far.example");
		ended.destination = expect_due(world, "far.example").
		    destination;
		for (size_t j = 0; j < COUNT(hosts); j++) {
			struct d_host host = hosts[j];

			host.destination = ended.destination;
			say(&world->delivery, D_HOST, &host);
		}
		set_text(ended.text, sizeof(ended.text), rows[i].text);
		set_text(ended.rule, sizeof(ended.rule), rows[i].rule);
		say(&world->delivery, D_ENDED, &ended);
		turns(world);
		spool_get_destination(world->spool, ended.destination,
		    &destination);
		assert_string_equal(destination.host, rows[i].host);
		assert_string_equal(destination.address, rows[i].address);
		assert_string_equal(destination.text, rows[i].text);
		assert_string_equal(destination.rule, rows[i].rule);
		snprintf(wanted, sizeof(wanted), "host=%s addr=%s "
		    "outcome=deferred", rows[i].host[0] != '\0' ?
		    rows[i].host : "\"\"", rows[i].host[0] != '\0' ?
		    rows[i].address : "\"\"");
		assert_logged(wanted);
		end_world(&world);
	}
}

static void
twenty_attempts_are_kept(void **state)
{
	char *const second[] = { (char[]){ "retry=1s" } };
	struct world *world = new_world(second, 1);
	struct attempt attempt;
	uint64_t number = 0, first = 0;
	unsigned n = 0;
	struct d_due due = { .destination = 0 };

	(void)state;
	say_synced(world);
	take_message(world, "a@near.example", "b@dead.example");
	for (int i = 0; i < 25; i++) {
		due = expect_due(world, "dead.example");
		say_host(world, due.destination, 0, false, "next");
		say_ended(world, due.destination, OUTCOME_DEFERRED, "4.4.1",
		    "no answer");
		turns(world);
		clock_offset_s += 3;
		loop_again(world->loop);
	}
	while (spool_next_attempt(world->spool, due.destination, number,
	    &attempt) == STORE_FOUND) {
		if (n++ == 0)
			first = attempt.number;
		number = attempt.number + 1;
		assert_int_equal(attempt.outcome, OUTCOME_DEFERRED);
	}
	assert_int_equal(n, 20);
	assert_int_equal(first, 6);
	end_world(&world);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "accepted, due, drawn, delivered, settled, gone",
		    accepted_then_delivered, NULL, NULL, NULL },
		{ "nothing is handed out before D_SYNCED",
		    nothing_before_synced, NULL, NULL, NULL },
		{ "workers 0 hands out nothing", no_workers_nothing_out, NULL,
		    NULL, NULL },
		{ "two destinations a worker are handed out, earliest first",
		    outstanding_is_bounded, NULL, NULL, NULL },
		{ "250 recipients are drawn in jobs of 100, each once",
		    many_recipients_in_jobs_of_100, NULL, NULL, NULL },
		{ "mail that stands before what was drawn is drawn too",
		    before_what_was_drawn, NULL, NULL, NULL },
		{ "sessions of a destination draw different messages",
		    sessions_share_a_destination, NULL, NULL, NULL },
		{ "SMTP-4.5.4.1-1, SMTP-4.5.4.1-2, STS-5-7 a deferred "
		    "recipient is tried again after its delay",
		    deferred_comes_again, NULL, NULL, NULL },
		{ "mail that becomes due wakes the loop by itself",
		    due_mail_wakes_the_loop, NULL, NULL, NULL },
		{ "SMTP-4.5.4.1-6 a dead destination has one back-off for all "
		    "its mail", a_dead_destination_is_one_record, NULL, NULL,
		    NULL },
		{ "a dead destination does not hold up another",
		    others_do_not_wait, NULL, NULL, NULL },
		{ "an end of our own doing is no failure of the peer's",
		    our_own_end_is_no_failure, NULL, NULL, NULL },
		{ "an end without any result is no hot loop",
		    an_idle_end_is_no_hot_loop, NULL, NULL, NULL },
		{ "SMTP-3.6.3-1, DSN-3464-2-2, DSN-3464-2-4, SMTP-4.2.5-1 a "
		    "failed recipient's sender is told, from the null sender",
		    failed_is_told, NULL, NULL, NULL },
		{ "SMTP-3.6.3-3, DSN-3461-5.2-1, DSN-3461-5.2-2, DSN-3834-5-1 "
		    "a notice that fails is dropped with a line",
		    failed_notice_is_dropped, NULL, NULL, NULL },
		{ "notices to local senders go to root-mail or are logged",
		    notices_to_local_senders, NULL, NULL, NULL },
		{ "SMTP-4.4-3, DSN-3464-2-5, DSN-3464-3-1 one notice for all "
		    "that failed", one_notice_for_all_that_failed, NULL, NULL,
		    NULL },
		{ "SMTP-5.1-4 a failed destination bounces all that was due",
		    a_failed_destination_bounces_all, NULL, NULL, NULL },
		{ "RTLS-4.1-1, RTLS-4.1-2, RTLS-4.1-3, RTLS-4.1-4, RTLS-5-1, "
		    "RTLS-5-2, RTLS-5-3 a class stays with its message and its "
		    "bounce", classes_stay, NULL, NULL, NULL },
		{ "RTLS-4.2.1-11, RTLS-4.2.1-12, RTLS-4.2.1-13, RTLS-5-5, "
		    "RTLS-5-6 REQUIRETLS that nobody meets", unmet_requiretls,
		    NULL, NULL, NULL },
		{ "RTLS-5-5 REQUIRETLS of the null sender goes in class mail",
		    null_senders_are_not_lost, NULL, NULL, NULL },
		{ "RTLS-4.2.2-2 a server that demands STARTTLS bounces "
		    "TLS-Required: No", server_demands_tls, NULL, NULL, NULL },
		{ "expiry is judged after an attempt past it",
		    expiry_is_judged_after_an_attempt, NULL, NULL, NULL },
		{ "an attempt that began before the end expires nothing",
		    an_attempt_that_began_before_expires_nothing, NULL, NULL,
		    NULL },
		{ "a temporary result after the end expires its recipient",
		    a_late_result_expires_its_recipient, NULL, NULL, NULL },
		{ "STS-5-6, STS-5.1-4, EXT-3463-3.8-1 a refusing policy that "
		    "could not be asked for gives a day more",
		    policy_gives_a_day_more, NULL, NULL, NULL },
		{ "results may be repeated", results_may_be_repeated, NULL,
		    NULL, NULL },
		{ "a result survives the death of the queue",
		    a_result_survives_the_queue, NULL, NULL, NULL },
		{ "a result that is repeated to a fresh queue has its facts",
		    a_result_brings_its_facts, NULL, NULL, NULL },
		{ "a held job that returns goes out again",
		    a_held_job_that_returns_goes_out, NULL, NULL, NULL },
		{ "the death of delivery returns its work", delivery_dies,
		    NULL, NULL, NULL },
		{ "results heard before delivery died count",
		    last_words_count, NULL, NULL, NULL },
		{ "unknown destinations, jobs and messages harm nothing",
		    unknown_things_are_answered, NULL, NULL, NULL },
		{ "EXT-6152-3-4 what a session "
		    "cannot carry fails", needs_are_said, NULL, NULL,
		    NULL },
		{ "RPT-3-13 a report waits until it is signed, and leaves "
		    "with its signature before it", a_report_is_signed_first,
		    NULL, NULL, NULL },
		{ "RPT-3-13 bodies of every form are signed and sent whole",
		    every_form_is_signed, NULL, NULL, NULL },
		{ "what cannot be signed waits, with an alarm, and is tried "
		    "again", what_cannot_be_signed_waits, NULL, NULL, NULL },
		{ "signing is tried again after delays that grow to an hour",
		    delays_of_signing_grow, NULL, NULL, NULL },
		{ "what is no header field is no signature",
		    nonsense_is_no_signature, NULL, NULL, NULL },
		{ "the death of culver-sign loses nothing",
		    the_death_of_sign_loses_nothing, NULL, NULL, NULL },
		{ "a culver-sign that says nothing is left",
		    a_silent_sign_is_left, NULL, NULL, NULL },
		{ "a restart finds what is not signed yet",
		    a_restart_finds_the_unsigned, NULL, NULL, NULL },
		{ "a report that is damaged is not signed, and held",
		    a_damaged_report_is_held, NULL, NULL, NULL },
		{ "RPT-3-13 what could not be signed for a day is given up",
		    never_signed_is_given_up, NULL, NULL, NULL },
		{ "RPT-5.5-1, RPT-5.5-2 a report that no host takes is tried "
		    "for a day from its first attempt, then dropped with a "
		    "line", a_dead_receivers_report_expires, NULL, NULL,
		    NULL },
		{ "RPT-5.5-1, RPT-5.5-2 the same with a host that defers it",
		    a_deferred_report_expires, NULL, NULL, NULL },
		{ "RPT-5.5-1 a relay that was off tries a report once more",
		    an_old_report_is_tried_first, NULL, NULL, NULL },
		{ "RPT-5.5-1 each report has its own day",
		    each_report_has_its_day, NULL, NULL, NULL },
		{ "RPT-5.5-1 an end of our own doing is no first attempt",
		    our_own_end_is_no_first_attempt, NULL, NULL, NULL },
		{ "RPT-5.5-1 a report that is refused makes no bounce, and "
		    "its key says why", a_refused_report_makes_no_bounce,
		    NULL, NULL, NULL },
		{ "the body of a message that is over is not damaged",
		    a_message_that_is_over_is_not_damaged, NULL, NULL, NULL },
		{ "a body for which there is no pipe",
		    a_body_without_a_pipe, NULL, NULL, NULL },
		{ "a damaged body is never sent whole, and held",
		    damaged_bodies_are_held, NULL, NULL, NULL },
		{ "SMTP-6.1-1 mail of a destination whose record is damaged "
		    "goes out", a_damaged_destination_strands_nothing, NULL,
		    NULL, NULL },
		{ "a destination that is lost while it is served is made "
		    "anew, an entry without mail goes",
		    a_destination_lost_in_service, NULL, NULL, NULL },
		{ "what is removed in flight is not sent",
		    removed_in_flight_is_not_sent, NULL, NULL, NULL },
		{ "facts of hosts are kept while mail is owed, the proof "
		    "longer", facts_of_hosts_are_kept, NULL, NULL, NULL },
		{ "what an attempt's end says is shown of the host it is said "
		    "of", the_end_speaks_of_one_host, NULL, NULL, NULL },
		{ "the newest twenty attempts are kept",
		    twenty_attempts_are_kept, NULL, NULL, NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("queue_deliver", tests, NULL,
	    NULL);
}
