/*
 * queue's verbs: ctl.c, listing.c, explain.c, row.c, by the control link.
 */
#include "queue_asking.h"

#include "conf/stamp.h"
#include "queue/listing.h"
#include "queue/row.h"

/* ---- list ---- */

/* The shape of interfaces.md, to the letter. */
static void
a_row_of_the_list(void **state)
{
	struct world *world = new_world(NULL, 0);
	uint64_t id = take_message(world, "a@near.example", "b@far.example");
	char text[ID_TEXT_MAX], stamp[STAMP_MAX];
	struct message message;
	struct answer answer;
	const json_t *row, *recipient, *last;
	struct d_job job;

	(void)state;
	answer = ask(world, 0, true, "queue list");
	assert_int_equal(answer.status, 0);
	assert_int_equal(json_array_size(answer.rows), 1);
	row = json_array_get(answer.rows, 0);
	spool_get_message(world->spool, id, &message);
	assert_string_equal(text_at(row, "id"), queue_id_print(id, text));
	assert_string_equal(text_at(row, "from"), "a@near.example");
	assert_int_equal(json_integer_value(json_object_get(row, "size")),
	    sizeof(SMALL) - 1);
	assert_int_equal(json_array_size(json_object_get(row, "tags")), 0);
	assert_string_equal(text_at(row, "arrived"),
	    stamp_json(message.arrived_ms, stamp));
	recipient = json_array_get(json_object_get(row, "recipients"), 0);
	assert_string_equal(text_at(recipient, "to"), "b@far.example");
	assert_string_equal(text_at(recipient, "state"), "waiting");
	assert_int_equal(json_integer_value(json_object_get(recipient,
	    "attempts")), 0);
	assert_true(json_is_string(json_object_get(recipient, "next")));
	assert_true(json_is_null(json_object_get(recipient, "last")));
	forget(&answer);

	say_synced(world);
	job = draw(world, "far.example");
	answer = ask(world, 0, true, "queue list --state active");
	assert_int_equal(json_array_size(answer.rows), 1);
	forget(&answer);
	say_result(world, &job, "b@far.example", OUTCOME_DEFERRED, 450,
	    "4.2.1", "450 4.2.1 \"later\"\n\\ \xff");
	expect_settled(world, 1);
	say_ended(world, job.destination, 0, "", "");
	turns(world);
	answer = ask(world, 0, true, "queue list");
	recipient = json_array_get(json_object_get(json_array_get(answer.rows,
	    0), "recipients"), 0);
	assert_string_equal(text_at(recipient, "state"), "waiting");
	assert_int_equal(json_integer_value(json_object_get(recipient,
	    "attempts")), 1);
	last = json_object_get(recipient, "last");
	assert_string_equal(text_at(last, "host"), "mx.far.example");
	assert_string_equal(text_at(last, "address"), "192.0.2.25");
	assert_int_equal(json_integer_value(json_object_get(last, "code")),
	    450);
	assert_string_equal(text_at(last, "enhanced"), "4.2.1");
	assert_string_equal(text_at(last, "text"),
	    "450 4.2.1 \"later\"\n\\ \xef\xbf\xbd");
	assert_string_equal(text_at(last, "verdict"), "");
	assert_string_equal(text_at(last, "clause"), "");
	forget(&answer);
	end_world(&world);
}

/* An attempt that reached nobody is told of each recipient. */
static void
a_destinations_failure_shows(void **state)
{
	char *const quick[] = { (char[]){ "retry=1m" } };
	struct world *world = new_world(quick, 1);
	const json_t *recipient;
	struct answer answer;
	struct d_due due;

	(void)state;
	take_message(world, "a@near.example", "b@dead.example");
	say_synced(world);
	for (int i = 1; i <= 3; i++) {
		due = expect_due(world, "dead.example");
		say_ended(world, due.destination, OUTCOME_DEFERRED, "4.7.5",
		    "certificate expired");
		turns(world);
		answer = ask(world, 0, true, "queue list");
		recipient = json_array_get(json_object_get(json_array_get(
		    answer.rows, 0), "recipients"), 0);
		assert_int_equal(json_integer_value(json_object_get(
		    recipient, "attempts")), i);
		assert_string_equal(text_at(json_object_get(recipient,
		    "last"), "enhanced"), "4.7.5");
		assert_string_equal(text_at(json_object_get(recipient,
		    "last"), "clause"), "RFC 8461 5");
		forget(&answer);
		clock_offset_s += 120;
		loop_again(world->loop);
	}
	/* what comes later has had none of them */
	take_message(world, "a@near.example", "c@dead.example");
	answer = ask(world, 0, true, "queue list");
	recipient = json_array_get(json_object_get(json_array_get(answer.rows,
	    1), "recipients"), 0);
	assert_int_equal(json_integer_value(json_object_get(recipient,
	    "attempts")), 0);
	forget(&answer);
	end_world(&world);
}

static const struct {
	const char	*words;
	bool		 admin;
	int		 status;
	int		 rows;		/* -1: not looked at */
} requests[] = {
	/* 6 messages; see many_requests */
	{ "queue list", true, 0, 6 },
	{ "queue list --domain far.example", true, 0, 3 },
	{ "queue list --domain FAR.example", true, 0, 3 },
	{ "queue list --domain other.example", true, 0, 2 },
	{ "queue list --domain none.example", true, 1, 0 },
	{ "queue list --sender a@near.example", true, 0, 3 },
	{ "queue list --sender A@NEAR.example", true, 0, 3 },
	{ "queue list --sender <>", true, 0, 1 },
	{ "queue list --sender nobody@x", true, 1, 0 },
	{ "queue list --state waiting", true, 0, 6 },
	{ "queue list --state held", true, 1, 0 },
	{ "queue list --state active", true, 1, 0 },
	{ "queue list --older 1h", true, 1, 0 },
	{ "queue list --older 0s", true, 0, -1 },
	{ "queue list --domain far.example --sender a@near.example", true, 0,
	  2 },
	{ "queue list --state", true, 64, 0 },
	{ "queue list --state lost", true, 64, 0 },
	{ "queue list --older 1w", true, 64, 0 },
	{ "queue list --older h", true, 64, 0 },
	{ "queue list --domain a..b", true, 64, 0 },
	{ "queue list --nonsense x", true, 64, 0 },
	{ "queue list 0123456789abcdef", true, 64, 0 },
	{ "queue list --all", true, 64, 0 },
	{ "queue list", false, 0, 2 },
	{ "queue list --domain far.example", false, 0, 1 },
	{ "queue count", true, 0, 1 },
	{ "queue count", false, 0, 1 },
	{ "queue count --warn 7 --crit 8", true, 0, 1 },
	{ "queue count --warn 6 --crit 8", true, 1, 1 },
	{ "queue count --warn 5 --crit 6", true, 2, 1 },
	{ "queue count --crit 6", true, 2, 1 },
	{ "queue count --warn x", true, 64, 0 },
	{ "queue list --warn 1", true, 64, 0 },
	{ "queue show", true, 64, 0 },
	{ "queue show x", true, 64, 0 },
	{ "queue show 0123456789abcdef", true, 1, 0 },
	{ "queue show 0123456789abcdef", false, 77, 0 },
	{ "queue message 0123456789abcdef", true, 1, 0 },
	{ "queue message 0123456789abcdef", false, 77, 0 },
	{ "queue remove", true, 64, 0 },
	{ "queue remove 0123456789abcdef", true, 1, -1 },
	{ "queue remove --all", false, 77, 0 },
	{ "queue remove x", true, 64, 0 },
	{ "queue flush", true, 64, 0 },
	{ "queue flush --domain none.example", true, 1, -1 },
	{ "queue flush --domain", true, 64, 0 },
	{ "queue flush --all --older 5", true, 64, 0 },
	/* one or the other, for all that change something */
	{ "queue flush --all --domain far.example", true, 64, 0 },
	{ "queue hold --domain far.example --all", true, 64, 0 },
	{ "queue release --all --state held", true, 64, 0 },
	{ "queue remove --all 0123456789abcdef", true, 64, 0 },
	{ "queue bounce --all --domain far.example", true, 64, 0 },
	{ "queue remove 0123456789abcdef --older 5d", true, 64, 0 },
	{ "queue count --warn 5 --crit 2", true, 64, 0 },
	{ "queue hold", true, 64, 0 },
	{ "queue hold --all", false, 77, 0 },
	{ "queue hold x", true, 64, 0 },
	{ "queue hold --warn 1", true, 64, 0 },
	{ "queue hold --state held", true, 1, -1 },
	{ "queue hold 0123456789abcdef", true, 1, -1 },
	{ "queue release", true, 64, 0 },
	{ "queue release --all", true, 1, -1 },
	{ "queue release --all", false, 77, 0 },
	{ "queue bounce", true, 64, 0 },
	{ "queue bounce --domain none.example", true, 1, -1 },
	{ "queue bounce --all", false, 77, 0 },
	{ "queue", true, 64, 0 },
	{ "queue count --crit 0", true, 64, 0 },
	{ "domain show", true, 64, 0 },
	{ "domain show none.example", true, 1, 0 },
	{ "domain show FAR.example", true, 0, 1 },
	{ "domain show far.example", false, 77, 0 },
	{ "domain show far.example other.example", true, 64, 0 },
	{ "domain show far.example --for 1h", true, 64, 0 },
	{ "domain hold", true, 64, 0 },
	{ "domain hold a..b", true, 64, 0 },
	{ "domain hold far.example --for", true, 64, 0 },
	{ "domain hold far.example --for 0s", true, 64, 0 },
	{ "domain hold far.example --for soon", true, 64, 0 },
	{ "domain hold far.example", false, 77, 0 },
	{ "domain release", true, 64, 0 },
	{ "domain release far.example", true, 1, 0 },
	{ "domain release far.example", false, 77, 0 },
	{ "domain list", true, 0, 4 },
	{ "domain list", false, 77, 0 },
	{ "domain list x", true, 64, 0 },
	{ "explain 0123456789abcdef", true, 1, 0 },
	{ "explain", true, 64, 0 },
	{ "explain x", false, 77, 0 },
};

static void
many_requests(void **state)
{
	static const char *const both[] = { "b@far.example",
	    "c@other.example", NULL };
	struct world *world = new_world(NULL, 0);

	(void)state;
	take_message(world, "a@near.example", "b@far.example");
	begin_message(world, "a@near.example", both, SLICE(SMALL), 0, false);
	expect(world, &world->smtpd, Q_TAKEN);
	take_message(world, "a@near.example", "b@other.example");
	take_message(world, "", "b@third.example");
	take_of_uid(world, 1000, "b@far.example");
	take_of_uid(world, 1000, "b@fourth.example");
	usleep(2000);
	for (size_t i = 0; i < COUNT(requests); i++) {
		struct answer answer = ask(world, 1000, requests[i].admin,
		    requests[i].words);

		if (answer.status != requests[i].status ||
		    (requests[i].rows != -1 && (int)json_array_size(
		    answer.rows) != requests[i].rows))
			fail_msg("%s: status %d, %zu rows: %s",
			    requests[i].words, answer.status,
			    json_array_size(answer.rows), answer.out.text);
		if (answer.status >= 64)
			assert_int_equal(answer.errors, 1);
		forget(&answer);
	}
	assert_int_equal(count_messages(world), 6);
	end_world(&world);
}

/* More than a slice, and more than a turn. */
static void
long_lists_come_in_slices(void **state)
{
	struct world *world = new_world(NULL, 0);
	struct answer answer;
	char before[ID_TEXT_MAX] = "";

	(void)state;
	for (int i = 0; i < 1200; i++) {
		struct message message = { .id = (uint64_t)i + 1,
		    .arrived_ms = 5, .class = CLASS_MAIL };

		spool_put_message(world->spool, &message);
		spool_put_recipient(world->spool, &(struct recipient){
		    .id = message.id, .destination = 1, .due_ms = 5,
		    .address = "b@far.example" });
	}
	assert_true(turn_end(world->queue));
	answer = ask(world, 0, true, "queue list");
	assert_int_equal(answer.status, 0);
	assert_int_equal(json_array_size(answer.rows), 1200);
	for (size_t i = 0; i < 1200; i++) {
		const char *id = text_at(json_array_get(answer.rows, i),
		    "id");

		assert_true(strcmp(before, id) < 0);
		set_text(before, sizeof(before), id);
	}
	forget(&answer);
	answer = ask(world, 0, true, "queue remove --all");
	assert_int_equal(answer.status, 0);
	assert_int_equal(count_messages(world), 0);
	forget(&answer);
	end_world(&world);
}

/* ---- one message ---- */

static void
show_and_message(void **state)
{
	static const size_t sizes[] = { 0, 10, 40000, 100000, 400000 };
	static const char *const one[] = { "b@far.example", NULL };
	struct world *world = new_world(NULL, 0);

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++)
		for (int announced = 0; announced < 2; announced++) {
			struct buffer body = { NULL, 0, 0 };
			char id[ID_TEXT_MAX], words[64];
			struct answer answer;
			uint64_t number;

			while (body.len < sizes[i])
				buffer_printf(&body, "%zu:", body.len);
			number = begin_message(world, "a@near.example", one,
			    (struct slice){ body.text, body.len },
			    announced ? body.len : 0, false);
			expect(world, &world->smtpd, Q_TAKEN);
			queue_id_print(number, id);
			snprintf(words, sizeof(words), "queue show %s", id);
			answer = ask(world, 0, true, words);
			assert_int_equal(answer.status, 0);
			assert_string_equal(text_at(json_array_get(
			    answer.rows, 0), "id"), id);
			forget(&answer);
			snprintf(words, sizeof(words), "queue message %s",
			    id);
			answer = ask(world, 0, true, words);
			assert_int_equal(answer.status, 0);
			assert_int_equal(answer.out.len, body.len);
			if (body.len > 0)
				assert_memory_equal(answer.out.text,
				    body.text, body.len);
			forget(&answer);
			buffer_free(&body);
		}
	end_world(&world);
}

static void
removed_is_gone(void **state)
{
	static const char *const one[] = { "b@far.example", NULL };
	struct world *world = new_world(NULL, 0);
	struct buffer body = { NULL, 0, 0 };
	char id[ID_TEXT_MAX], words[64];
	struct answer answer;

	(void)state;
	while (body.len < 300000)
		buffer_add(&body, SLICE("twelve chars"));
	queue_id_print(begin_message(world, "a@near.example", one,
	    (struct slice){ body.text, body.len }, body.len, false), id);
	expect(world, &world->smtpd, Q_TAKEN);
	take_message(world, "a@near.example", "c@far.example");
	assert_int_equal(count_body_files(world), 1);
	snprintf(words, sizeof(words), "queue remove %s", id);
	answer = ask(world, 0, true, words);
	assert_int_equal(answer.status, 0);
	forget(&answer);
	assert_int_equal(count_messages(world), 1);
	assert_int_equal(count_body_files(world), 0);
	assert_logged("admin verb=\"queue remove\" uid=0 id=");
	assert_logged(" from=a@near.example to=b@far.example");
	/* only the other goes out */
	say_synced(world);
	assert_int_equal(deliver_all(world, "far.example"), 1);
	assert_empty(world);
	buffer_free(&body);
	end_world(&world);
}

/* ---- flush ---- */

static void
flush_is_at_once(void **state)
{
	static const char *const two[] = { "b@far.example", "c@dead.example",
	    NULL };
	struct world *world = new_world(NULL, 0);
	uint64_t dead = 0, far = 0;
	struct answer answer;
	struct d_due due;
	struct d_job job;

	(void)state;
	begin_message(world, "a@near.example", two, SLICE(SMALL), 0, false);
	expect(world, &world->smtpd, Q_TAKEN);
	say_synced(world);
	for (int i = 0; i < 2; i++) {
		due = *(const struct d_due *)expect(world, &world->delivery,
		    D_DUE);
		if (strcmp(due.domain, "dead.example") == 0)
			dead = due.destination;
		else
			far = due.destination;
	}
	say_ended(world, dead, OUTCOME_DEFERRED, "4.4.1", "no answer");
	ask_next(world, far, 1);
	job = expect_job(world, NULL);
	say_result(world, &job, "b@far.example", OUTCOME_DEFERRED, 450,
	    "4.2.1", "450 later");
	expect_settled(world, 1);
	say_ended(world, far, 0, "", "");
	expect_nothing(world, &world->delivery, 20);
	/* somebody else's messages are not his to flush */
	answer = ask(world, 1000, false, "queue flush --all");
	assert_int_equal(answer.status, 1);
	expect_nothing(world, &world->delivery, 20);
	forget(&answer);
	answer = ask(world, 0, true, "queue flush --all");
	assert_int_equal(answer.status, 0);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(
	    answer.rows, 0), "recipients")), 2);
	forget(&answer);
	expect(world, &world->delivery, D_DUE);
	expect(world, &world->delivery, D_DUE);
	assert_logged("admin verb=\"queue flush\" args=--all uid=0 "
	    "messages=1 recipients=2 outcome=done");
	end_world(&world);
}

static void
an_owner_flushes_his_own(void **state)
{
	struct world *world = new_world(NULL, 0);
	struct answer answer;
	struct d_due due;

	(void)state;
	take_of_uid(world, 1000, "b@dead.example");
	say_synced(world);
	due = expect_due(world, "dead.example");
	say_ended(world, due.destination, OUTCOME_DEFERRED, "4.4.1", "no");
	expect_nothing(world, &world->delivery, 20);
	answer = ask(world, 1001, false, "queue flush --all");
	assert_int_equal(answer.status, 1);
	forget(&answer);
	expect_nothing(world, &world->delivery, 20);
	answer = ask(world, 1000, false, "queue flush --all");
	assert_int_equal(answer.status, 0);
	forget(&answer);
	expect_due(world, "dead.example");
	end_world(&world);
}

/* ---- mailq ---- */

static void
mailq_is_postfixs(void **state)
{
	char *const quick[] = { (char[]){ "retry=1m" } };
	struct world *world = new_world(quick, 1);
	char id[ID_TEXT_MAX], line[200], wanted[400];
	struct answer answer;
	struct message message;
	char stamp[STAMP_MAX];
	struct d_job job;
	uint64_t number;

	(void)state;
	answer = ask(world, 0, true, "queue mailq");
	assert_int_equal(answer.status, 0);
	assert_string_equal(answer.out.text, "Mail queue is empty\n");
	forget(&answer);

	number = take_message(world, "", "b@far.example");
	queue_id_print(number, id);
	spool_get_message(world->spool, number, &message);
	stamp_mailq(message.arrived_ms, stamp);
	stamp[19] = '\0';
	answer = ask(world, 0, true, "queue mailq");
	snprintf(line, sizeof(line), "%-17s %8zu %-19s %s\n", id,
	    sizeof(SMALL) - 1, stamp, "MAILER-DAEMON");
	snprintf(wanted, sizeof(wanted), "%s%s%s%s",
	    "----Queue ID----- --Size-- ---Arrival Time---- "
	    "--Sender/Recipient------\n", line,
	    "                                               "
	    "b@far.example\n",
	    "\n-- 0 Kbytes in 1 Request.\n");
	assert_string_equal(answer.out.text, wanted);
	forget(&answer);

	say_synced(world);
	job = draw(world, "far.example");
	answer = ask(world, 0, true, "queue mailq");
	snprintf(line, sizeof(line), "\n%s* ", id);
	assert_non_null(strstr(answer.out.text, line));
	forget(&answer);
	say_result(world, &job, "b@far.example", OUTCOME_DEFERRED, 450,
	    "4.2.1", "450 later\nmore");
	expect_settled(world, 1);
	take_of_uid(world, 1000, "c@far.example");
	answer = ask(world, 0, true, "queue mailq");
	assert_non_null(strstr(answer.out.text,
	    " (mx.far.example said: 450 later more)\n"));
	assert_non_null(strstr(answer.out.text,
	    "\n\n-- 0 Kbytes in 2 Requests.\n"));
	forget(&answer);
	/* anybody: his own */
	answer = ask(world, 1000, false, "queue mailq");
	assert_non_null(strstr(answer.out.text, "in 1 Request.\n"));
	assert_null(strstr(answer.out.text, "b@far.example"));
	forget(&answer);
	end_world(&world);
}

/* ---- domain list, explain ---- */

static void
domains(void **state)
{
	struct world *world = new_world(NULL, 0);
	const json_t *row;
	struct answer answer;
	struct d_due due;

	(void)state;
	take_message(world, "a@near.example", "b@dead.example");
	take_message(world, "a@near.example", "c@dead.example");
	answer = ask(world, 0, true, "domain list");
	row = json_array_get(answer.rows, 0);
	assert_string_equal(text_at(row, "domain"), "dead.example");
	assert_string_equal(text_at(row, "class"), "mail");
	assert_string_equal(text_at(row, "state"), "waiting");
	assert_int_equal(json_integer_value(json_object_get(row, "waiting")),
	    2);
	assert_true(json_is_null(json_object_get(row, "last")));
	forget(&answer);
	say_synced(world);
	due = expect_due(world, "dead.example");
	answer = ask(world, 0, true, "domain list");
	assert_string_equal(text_at(json_array_get(answer.rows, 0), "state"),
	    "active");
	forget(&answer);
	say_ended(world, due.destination, OUTCOME_DEFERRED, "4.4.1",
	    "no answer");
	turns(world);
	answer = ask(world, 0, true, "domain list");
	row = json_array_get(answer.rows, 0);
	assert_string_equal(text_at(row, "state"), "backoff");
	assert_string_equal(text_at(json_object_get(row, "last"), "text"),
	    "no answer");
	assert_true(json_is_string(json_object_get(row, "next")));
	forget(&answer);
	end_world(&world);
}

static void
explained(void **state)
{
	static const char *const two[] = { "b@dead.example", "c@far.example",
	    NULL };
	char *const quick[] = { (char[]){ "retry=1m" } };
	struct world *world = new_world(quick, 1);
	char id[ID_TEXT_MAX], words[64];
	const json_t *row, *host;
	struct answer answer;
	struct d_due due = { .destination = 0 };
	struct d_host facts = { .host = "mx.dead.example",
	    .address = "192.0.2.9", .policy = "sts", .sts = "enforce",
	    .sts_id = "20261124", .sts_cached = true, .mx_match = true,
	    .requirement = "pkix", .verdict = "next", .connected = true,
	    .starttls = "done", .certificate = "expired",
	    .clause = "RFC 8461 4.2", .tls_version = "TLSv1.3",
	    .tls_cipher = "X", .repair = "renew it",
	    .result = "certificate-expired",
	    .policy_error = "sts-policy-fetch-error: HTTP 403" };

	(void)state;
	queue_id_print(begin_message(world, "a@near.example", two,
	    SLICE(SMALL), 0, false), id);
	expect(world, &world->smtpd, Q_TAKEN);
	snprintf(words, sizeof(words), "explain %s", id);
	answer = ask(world, 0, true, words);
	assert_int_equal(answer.status, 1);
	assert_string_equal(answer.error, "no attempt is known yet");
	forget(&answer);
	say_synced(world);
	for (int i = 0; i < 2; i++) {
		due = *(const struct d_due *)expect(world, &world->delivery,
		    D_DUE);
		if (strcmp(due.domain, "dead.example") != 0)
			continue;
		facts.destination = due.destination;
		say(&world->delivery, D_HOST, &facts);
		say_ended(world, due.destination, OUTCOME_DEFERRED, "4.7.5",
		    "certificate expired");
	}
	turns(world);
	answer = ask(world, 0, true, words);
	assert_int_equal(answer.status, 0);
	assert_int_equal(json_array_size(answer.rows), 1);
	row = json_array_get(answer.rows, 0);
	assert_string_equal(text_at(row, "id"), id);
	assert_string_equal(text_at(row, "domain"), "dead.example");
	assert_string_equal(json_string_value(json_array_get(json_object_get(
	    row, "recipients"), 0)), "b@dead.example");
	assert_int_equal(json_array_size(json_object_get(row, "recipients")),
	    1);
	assert_string_equal(text_at(json_object_get(row, "policy"), "type"),
	    "sts");
	assert_string_equal(text_at(json_object_get(row, "policy"), "id"),
	    "20261124");
	assert_string_equal(text_at(json_object_get(row, "policy"), "mode"),
	    "enforce");
	assert_string_equal(text_at(row, "outcome"), "deferred");
	assert_string_equal(text_at(row, "enhanced"), "4.7.5");
	host = json_array_get(json_object_get(row, "hosts"), 0);
	assert_string_equal(text_at(host, "host"), "mx.dead.example");
	assert_string_equal(text_at(host, "address"), "192.0.2.9");
	assert_string_equal(text_at(host, "requirement"), "pkix");
	assert_string_equal(text_at(host, "verdict"), "next");
	assert_string_equal(text_at(host, "clause"), "RFC 8461 4.2");
	assert_string_equal(text_at(json_object_get(host, "tls"), "version"),
	    "TLSv1.3");
	assert_string_equal(text_at(json_object_get(host, "facts"),
	    "certificate"), "expired");
	assert_true(json_is_true(json_object_get(json_object_get(host,
	    "facts"), "sts_cached")));
	/* trap T49 */
	assert_string_equal(text_at(json_object_get(host, "facts"),
	    "policy_error"), "sts-policy-fetch-error: HTTP 403");
	assert_string_equal(text_at(host, "repair"), "renew it");
	forget(&answer);
	/* mail that came later has had no attempt */
	usleep(2000);
	snprintf(words, sizeof(words), "explain %s", queue_id_print(
	    take_message(world, "a@near.example", "d@dead.example"), id));
	answer = ask(world, 0, true, words);
	assert_int_equal(answer.status, 1);
	forget(&answer);
	end_world(&world);
}

/* No host was found: of the policy nothing is known. */
static void
explained_without_hosts(void **state)
{
	char *const quick[] = { (char[]){ "retry=1m" } };
	struct world *world = new_world(quick, 1);
	uint64_t id = take_message(world, "a@near.example", "b@dead.example");
	char text[ID_TEXT_MAX], words[64];
	struct answer answer;
	const json_t *row;
	struct d_due due;

	(void)state;
	say_synced(world);
	due = *(const struct d_due *)expect(world, &world->delivery, D_DUE);
	say_ended(world, due.destination, OUTCOME_DEFERRED, "4.4.3",
	    "no answer from the resolver");
	turns(world);
	snprintf(words, sizeof(words), "explain %s", queue_id_print(id,
	    text));
	answer = ask(world, 0, true, words);
	assert_int_equal(answer.status, 0);
	row = json_array_get(answer.rows, 0);
	assert_string_equal(text_at(json_object_get(row, "policy"), "type"),
	    "");
	assert_int_equal(json_array_size(json_object_get(row, "hosts")), 0);
	forget(&answer);
	end_world(&world);
}

/* ---- exemptions ---- */

static bool
is_tagged_exempt(struct world *world, const char *words)
{
	struct answer answer = ask(world, 0, true, words);
	const json_t *tags = json_object_get(json_array_get(answer.rows, 0),
	    "tags"), *tag;
	bool tagged = false;
	size_t i;

	assert_int_equal(json_array_size(answer.rows), 1);
	json_array_foreach(tags, i, tag)
		tagged = tagged ||
		    strcmp(json_string_value(tag), "exempt") == 0;
	forget(&answer);
	return tagged;
}

/* By the domain of any of its recipients, and by no other. */
static void
exempt_in_the_list(void **state)
{
	static const char *const two[] = { "b@other.example",
	    "c@far.example", NULL };
	char *const exempt[] = {
		(char[]){ "exempt=far.example until 2099-12-31 because x" } };
	struct world *world = new_world(exempt, 1);

	(void)state;
	begin_message(world, "two@near.example", two, SLICE(SMALL), 0, false);
	expect(world, &world->smtpd, Q_TAKEN);
	take_message(world, "one@near.example", "b@other.example");
	assert_true(is_tagged_exempt(world,
	    "queue list --sender two@near.example"));
	assert_false(is_tagged_exempt(world,
	    "queue list --sender one@near.example"));
	end_world(&world);
}

/* ---- small things ---- */

static void
durations(void **state)
{
	static const struct {
		const char	*text;
		bool		 valid;
		uint64_t	 ms;
	} rows[] = {
		{ "1s", true, 1000 }, { "15m", true, 900000 },
		{ "4h", true, 14400000 }, { "5d", true, 432000000 },
		{ "0s", true, 0 }, { "", false, 0 }, { "s", false, 0 },
		{ "5", false, 0 }, { "5w", false, 0 }, { "-5s", false, 0 },
		{ "5 s", false, 0 }, { "5ss", false, 0 },
		{ "99999999999999999999s", false, 0 }, { "1.5h", false, 0 },
	};
	uint64_t ms;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (listing_duration(rows[i].text, &ms) != rows[i].valid)
			fail_msg("%s", rows[i].text);
		if (rows[i].valid)
			assert_int_equal(ms, rows[i].ms);
	}
}

static void
stamps(void **state)
{
	char text[STAMP_MAX];

	(void)state;
	assert_string_equal(stamp_json(1795489200000, text),
	    "2026-11-24T03:00:00Z");
	assert_string_equal(stamp_mail(1795489200999, text),
	    "Tue, 24 Nov 2026 03:00:00 +0000");
	assert_string_equal(stamp_mailq(1795489200000, text),
	    "Tue Nov 24 03:00:00 2026");
	assert_string_equal(stamp_json(0, text), "1970-01-01T00:00:00Z");
	assert_string_equal(stamp_json(UINT64_MAX, text),
	    "1970-01-01T00:00:00Z");
	assert_string_equal(stamp_json(253402300799999, text),
	    "9999-12-31T23:59:59Z");
}

static void
rows_are_json(void **state)
{
	struct buffer row = { NULL, 0, 0 };

	(void)state;
	row_open(&row, NULL, '{');
	row_text(&row, "a", "x\"\\\n");
	row_number(&row, "b", UINT64_MAX);
	row_open(&row, "c", '[');
	row_text(&row, NULL, "1");
	row_open(&row, NULL, '{');
	row_close(&row, '}');
	row_null(&row, NULL);
	row_close(&row, ']');
	row_bool(&row, "d", true);
	row_time(&row, "e", 0);
	row_close(&row, '}');
	assert_string_equal(row.text, "{\"a\":\"x\\\"\\\\\\n\","
	    "\"b\":18446744073709551615,\"c\":[\"1\",{},null],\"d\":true,"
	    "\"e\":null}");
	buffer_free(&row);
}

/* ---- reports ---- */

static void
a_report_in_the_list(void **state)
{
	struct world *world = new_world(NULL, 0);
	uint64_t id = take_report(world, "k", "b@far.example");
	char words[64], text[ID_TEXT_MAX];
	struct answer answer;
	const json_t *row, *tags;

	(void)state;
	queue_id_print(id, text);
	answer = ask(world, 0, true, "queue list");
	row = json_array_get(answer.rows, 0);
	tags = json_object_get(row, "tags");
	assert_int_equal(json_array_size(tags), 2);
	assert_string_equal(json_string_value(json_array_get(tags, 0)),
	    "report");
	assert_string_equal(json_string_value(json_array_get(tags, 1)),
	    "unsigned");
	assert_int_equal(json_integer_value(json_object_get(row, "size")),
	    sizeof(REPORT) - 1);
	forget(&answer);
	snprintf(words, sizeof(words), "explain %s", text);
	answer = ask(world, 0, true, words);
	assert_int_equal(answer.status, 1);
	assert_non_null(strstr(answer.error, "waits to be signed"));
	forget(&answer);
	/* flush is a word for the impatient */
	connect_sign(world);
	expect_sign(world, NULL);
	answer_sign(world, id, "no key");
	expect_nothing(world, &world->sign, 30);
	answer = ask(world, 0, true, "queue flush --all");
	forget(&answer);
	expect_sign(world, NULL);
	answer_sign(world, id, NULL);
	turns(world);
	answer = ask(world, 0, true, "queue list");
	row = json_array_get(answer.rows, 0);
	assert_int_equal(json_array_size(json_object_get(row, "tags")), 1);
	assert_int_equal(json_integer_value(json_object_get(row, "size")),
	    sizeof(SIGNED REPORT) - 1);
	forget(&answer);
	/* what it shows is what leaves */
	snprintf(words, sizeof(words), "queue message %s", text);
	answer = ask(world, 0, true, words);
	assert_int_equal(answer.out.len, sizeof(SIGNED REPORT) - 1);
	assert_memory_equal(answer.out.text, SIGNED REPORT,
	    answer.out.len);
	forget(&answer);
	end_world(&world);
}

/* Signed or not: nothing is left of it, and its key says so. */
static void
a_report_is_removed(void **state)
{
	(void)state;
	for (int is_signed = 0; is_signed < 2; is_signed++) {
		struct world *world = new_world(NULL, 0);
		struct answer answer;
		struct q_key key;

		if (is_signed)
			take_signed_report(world, "k", "b@far.example");
		else
			take_report(world, "k", "b@far.example");
		turns(world);
		answer = ask(world, 0, true, "queue remove --all");
		assert_int_equal(answer.status, 0);
		forget(&answer);
		key = ask_key(world, "k");
		assert_int_equal(key.state, KEY_EXPIRED);
		assert_int_equal(key.code, 0);
		assert_string_equal(key.text, "removed by the operator");
		say_synced(world);
		expect_nothing(world, &world->delivery, 20);
		assert_empty(world);
		end_world(&world);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "EXT-3463-3-1, STS-5-7 queue list: the row of interfaces.md",
		    a_row_of_the_list, NULL, NULL, NULL },
		{ "a destination's failure shows with each recipient",
		    a_destinations_failure_shows, NULL, NULL, NULL },
		{ "verbs, filters, rights and exit codes", many_requests,
		    NULL, NULL, NULL },
		{ "1,200 messages are listed and removed in slices",
		    long_lists_come_in_slices, NULL, NULL, NULL },
		{ "queue show and queue message", show_and_message, NULL,
		    NULL, NULL },
		{ "SMTP-6.2-1 removed is gone, with a line", removed_is_gone,
		    NULL, NULL, NULL },
		{ "queue flush works at once, on back-off too",
		    flush_is_at_once, NULL, NULL, NULL },
		{ "anybody flushes his own", an_owner_flushes_his_own, NULL,
		    NULL, NULL },
		{ "mailq prints what Postfix prints", mailq_is_postfixs, NULL,
		    NULL, NULL },
		{ "domain list", domains, NULL, NULL, NULL },
		{ "explain: without a host no policy is known",
		    explained_without_hosts, NULL, NULL, NULL },
		{ "queue list: what is exempt has a tag", exempt_in_the_list,
		    NULL, NULL, NULL },
		{ "explain: the row of interfaces.md", explained, NULL, NULL,
		    NULL },
		{ "durations", durations, NULL, NULL, NULL },
		{ "times as text", stamps, NULL, NULL, NULL },
		{ "rows are JSON", rows_are_json, NULL, NULL, NULL },
		{ "a report is listed as such, and as unsigned until it is "
		    "signed", a_report_in_the_list, NULL, NULL, NULL },
		{ "a report that is removed is known to be",
		    a_report_is_removed, NULL, NULL, NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("queue_ctl", tests, NULL, NULL);
}
