/*
 * What an operator changes: bulk.c, change.c, domains.c; and what holds in
 * destination.c, flight.c, handout.c, ending.c while something is held.
 */
#include "queue_asking.h"

#include "queue/destination.h"

#define DAY_S	86400

static char *const quick[] = { (char[]){ "retry=1m 5m" },
	(char[]){ "expire=5d" } };

/* The only row of an answer. */
static const json_t *
only_row(const struct answer *answer)
{
	assert_int_equal(json_array_size(answer->rows), 1);
	return json_array_get(answer->rows, 0);
}

/* Recipient n of the list's row m. */
static const json_t *
listed(const struct answer *answer, size_t m, size_t n)
{
	const json_t *recipient = json_array_get(json_object_get(
	    json_array_get(answer->rows, m), "recipients"), n);

	if (recipient == NULL)
		fail_msg("no recipient %zu/%zu: %s", m, n,
		    answer->out.text);
	return recipient;
}

static void
jump(struct world *world, int64_t seconds)
{
	clock_offset_s += seconds;
	loop_again(world->loop);
	turns(world);
}

/* All is delivered, but for what is held. */
static void
expect_held(struct world *world, unsigned messages)
{
	expect_nothing(world, &world->delivery, 30);
	assert_int_equal(count_messages(world), messages);
}

/* ---- messages ---- */

static void
held_until_released(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	char id[ID_TEXT_MAX];
	struct answer answer;

	(void)state;
	queue_id_print(take_message(world, "a@near.example",
	    "b@far.example"), id);
	take_message(world, "a@near.example", "c@far.example");
	answer = command(world, 0, "queue hold %s", id);
	assert_string_equal(text_at(only_row(&answer), "done"), "queue hold");
	assert_int_equal(number_at(only_row(&answer), "messages"), 1);
	assert_int_equal(number_at(only_row(&answer), "recipients"), 1);
	forget(&answer);
	/* once more is no fault */
	COMMAND(world, 0, "queue hold %s", id);
	say_synced(world);
	assert_int_equal(deliver_all(world, "far.example"), 1);
	expect_held(world, 1);
	answer = command(world, 0, "queue list --state held");
	assert_string_equal(text_at(listed(&answer, 0, 0), "state"), "held");
	assert_string_equal(text_at(listed(&answer, 0, 0), "held_by"),
	    "message");
	assert_true(is_null_at(listed(&answer, 0, 0), "held_until"));
	assert_true(is_null_at(listed(&answer, 0, 0), "next"));
	forget(&answer);
	/* flush is not release, and says so */
	answer = command(world, 1, "queue flush --all");
	assert_int_equal(number_at(only_row(&answer), "held"), 1);
	assert_int_equal(number_at(only_row(&answer), "recipients"), 0);
	assert_non_null(strstr(answer.error, "1 recipient is held"));
	forget(&answer);
	expect_held(world, 1);
	COMMAND(world, 0, "queue release %s", id);
	assert_int_equal(deliver_all(world, "far.example"), 1);
	assert_empty(world);
	COMMAND(world, 1, "queue release %s", id);
	assert_logged("admin verb=\"queue release\" args=");
	end_world(&world);
}

/* Life is judged after an attempt, and held is none. */
static void
held_mail_does_not_expire(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	char id[ID_TEXT_MAX];
	struct d_due due;

	(void)state;
	say_synced(world);
	queue_id_print(take_message(world, "a@near.example",
	    "b@dead.example"), id);
	due = expect_due(world, "dead.example");
	say_ended(world, due.destination, OUTCOME_DEFERRED, "4.4.1", "no");
	turns(world);
	COMMAND(world, 0, "queue hold --all");
	jump(world, 30 * DAY_S);
	/* others of the destination expire meanwhile */
	take_message(world, "a@near.example", "c@dead.example");
	due = expect_due(world, "dead.example");
	say_ended(world, due.destination, OUTCOME_DEFERRED, "4.4.1", "no");
	turns(world);
	jump(world, 6 * DAY_S);
	due = expect_due(world, "dead.example");
	say_ended(world, due.destination, OUTCOME_DEFERRED, "4.4.1", "no");
	turns(world);
	assert_int_equal(times_logged(" bounce id="), 1);
	/* the notice goes out; then only the held one is there */
	assert_int_equal(deliver_all(world, "near.example"), 1);
	expect_held(world, 1);
	/* after release: an attempt, and only then the end */
	COMMAND(world, 0, "queue release %s", id);
	due = expect_due(world, "dead.example");
	assert_int_equal(times_logged(" bounce id="), 1);
	say_ended(world, due.destination, OUTCOME_DEFERRED, "4.4.1", "no");
	turns(world);
	assert_int_equal(times_logged(" bounce id="), 2);
	end_world(&world);
}

/* A filter names recipients: those of one domain, not their messages. */
static void
a_filter_means_recipients(void **state)
{
	static const char *const three[] = { "b@far.example",
	    "c@other.example", "d@far.example", NULL };
	static const struct {
		const char	*words;
		unsigned	 left;		/* recipients of the message */
		unsigned	 changed;
	} rows[] = {
		{ "queue hold --domain far.example", 3, 2 },
		{ "queue hold --domain far.example --state held", 3, 0 },
		{ "queue flush --domain other.example", 3, 1 },
		{ "queue release --domain far.example --state held", 3, 2 },
		{ "queue remove --domain far.example --sender a@near.example",
		  1, 2 },
		{ "queue bounce --sender A@near.example --older 0s", 0, 1 },
	};
	struct world *world = new_world(NULL, 0);
	uint64_t id = begin_message(world, "a@near.example", three,
	    SLICE(SMALL), 0, false);

	(void)state;
	expect(world, &world->smtpd, Q_TAKEN);
	usleep(2000);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct answer answer = command(world, 0, "%s", rows[i].words);

		if (number_at(only_row(&answer), "recipients") !=
		    rows[i].changed || count_recipients(world, id) !=
		    rows[i].left)
			fail_msg("%s: %s%u left", rows[i].words,
			    answer.out.text, count_recipients(world, id));
		forget(&answer);
	}
	assert_int_equal(count_messages(world), 1);	/* the notice */
	end_world(&world);
}

/* What runs may end; only what is deferred stays, and stays held. */
static void
held_in_flight(void **state)
{
	static const char *const two[] = { "b@far.example", "c@far.example",
	    NULL };
	struct world *world = new_world(quick, COUNT(quick));
	struct d_job job;

	(void)state;
	begin_message(world, "a@near.example", two, SLICE(SMALL), 0, false);
	expect(world, &world->smtpd, Q_TAKEN);
	say_synced(world);
	job = draw(world, "far.example");
	COMMAND(world, 0, "queue hold --all");
	COMMAND(world, 0, "queue list --state active");
	say_result(world, &job, "b@far.example", OUTCOME_DELIVERED, 250,
	    "2.0.0", "250 ok");
	say_result(world, &job, "c@far.example", OUTCOME_DEFERRED, 450,
	    "4.2.1", "450 later");
	settle_all(world);
	ask_next(world, job.destination, 1);
	expect(world, &world->delivery, D_NONE);
	say_ended(world, job.destination, 0, "", "");
	assert_int_equal(count_recipients(world, job.message), 1);
	jump(world, 3600);
	expect_held(world, 1);
	COMMAND(world, 0, "queue list --state held");
	COMMAND(world, 0, "queue release --all");
	assert_int_equal(deliver_all(world, "far.example"), 1);
	assert_empty(world);
	end_world(&world);
}

/* Of several ids those that exist are done, and the others named. */
static void
unknown_ids_are_named(void **state)
{
	static const char *const verbs[] = { "flush", "hold", "release",
	    "bounce", "remove" };
	struct world *world = new_world(NULL, 0);

	(void)state;
	for (size_t i = 0; i < COUNT(verbs); i++) {
		char id[ID_TEXT_MAX];
		struct answer answer;

		queue_id_print(take_message(world, "", "b@far.example"), id);
		if (strcmp(verbs[i], "release") == 0)
			COMMAND(world, 0, "queue hold %s", id);
		answer = command(world, 1, "queue %s 00000000deadbeef %s",
		    verbs[i], id);
		assert_string_equal(answer.error,
		    "there is no message 00000000deadbeef");
		assert_int_equal(number_at(only_row(&answer), "recipients"),
		    1);
		forget(&answer);
	}
	/* of others' messages nothing is said that tells they exist */
	end_world(&world);
}

static void
others_messages_are_not_there(void **state)
{
	struct world *world = new_world(NULL, 0);
	char id[ID_TEXT_MAX], words[64];
	struct answer answer;

	(void)state;
	queue_id_print(take_of_uid(world, 1000, "b@far.example"), id);
	snprintf(words, sizeof(words), "queue flush %s", id);
	answer = ask(world, 1001, false, words);
	assert_int_equal(answer.status, 1);
	assert_non_null(strstr(answer.error, "there is no message"));
	forget(&answer);
	answer = ask(world, 1000, false, words);
	assert_int_equal(answer.status, 0);
	forget(&answer);
	end_world(&world);
}

/* ---- bounce ---- */

static void
bounced_at_once(void **state)
{
	static const char *const two[] = { "b@far.example", "c@far.example",
	    NULL };
	struct world *world = new_world(NULL, 0);
	struct message notice = { .id = 0 };
	struct buffer text;
	struct d_job job;
	uint64_t id, size;

	(void)state;
	say_synced(world);
	id = begin_message(world, "a@near.example", two, SLICE(SMALL), 0,
	    false);
	expect(world, &world->smtpd, Q_TAKEN);
	job = draw(world, "far.example");
	say_result(world, &job, "b@far.example", OUTCOME_DEFERRED, 450,
	    "4.2.1", "450 try later");
	say_result(world, &job, "c@far.example", OUTCOME_DEFERRED, 451,
	    "4.3.0", "451 no room");
	settle_all(world);
	say_ended(world, job.destination, 0, "", "");
	turns(world);
	COMMAND(world, 0, "queue hold --domain far.example");
	COMMAND(world, 0, "queue bounce --all");
	assert_int_equal(count_recipients(world, id), 0);
	assert_int_equal(count_messages(world), 1);
	spool_next_message(world->spool, 0, &notice);
	assert_string_equal(notice.sender, "");
	job = draw(world, "near.example");
	text = pull_octets(world, job.job, &size);
	assert_non_null(strstr(text.text, "b@far.example"));
	assert_non_null(strstr(text.text, "c@far.example"));
	assert_non_null(strstr(text.text, "Action: failed"));
	assert_non_null(strstr(text.text, "Status: 5.0.0"));
	assert_non_null(strstr(text.text, "returned by the operator"));
	assert_non_null(strstr(text.text, "450 try later"));
	buffer_free(&text);
	assert_logged("admin verb=\"queue bounce\" args=--all uid=0 "
	    "messages=1 recipients=2 outcome=done");
	end_world(&world);
}

/* Null sender: none is told.  What may be delivered yet is left. */
static void
not_everything_bounces(void **state)
{
	struct world *world = new_world(NULL, 0);
	struct answer answer;
	struct q_key key;
	struct d_job job;

	(void)state;
	take_message(world, "", "b@far.example");
	usleep(2000);
	COMMAND(world, 0, "queue bounce --all");
	assert_int_equal(count_messages(world), 0);
	take_signed_report(world, "k", "b@far.example");
	turns(world);
	COMMAND(world, 0, "queue bounce --all");
	assert_int_equal(count_messages(world), 0);
	key = ask_key(world, "k");
	assert_int_equal(key.state, KEY_EXPIRED);
	assert_non_null(strstr(key.text, "operator"));
	assert_int_equal(times_logged("outcome=dropped"), 2);
	say_synced(world);
	take_message(world, "a@near.example", "b@far.example");
	job = draw(world, "far.example");
	answer = command(world, 1, "queue bounce --all");
	assert_int_equal(number_at(only_row(&answer), "active"), 1);
	assert_non_null(strstr(answer.error, "is being delivered"));
	forget(&answer);
	say_result(world, &job, "b@far.example", OUTCOME_DELIVERED, 250,
	    "2.0.0", "250 ok");
	expect_settled(world, 1);
	say_ended(world, job.destination, 0, "", "");
	turns(world);
	assert_empty(world);
	end_world(&world);
}

/* One notice for a message, however many it was for. */
static void
a_thousand_bounce_in_one(void **state)
{
	static const char *thousand[1001];
	static char addresses[1000][32];
	struct world *world = new_world(NULL, 0);

	(void)state;
	for (int i = 0; i < 1000; i++) {
		snprintf(addresses[i], sizeof(addresses[i]),
		    "u%d@d%d.example", i, i % 7);
		thousand[i] = addresses[i];
	}
	begin_message(world, "a@near.example", thousand, SLICE(SMALL), 0,
	    false);
	expect(world, &world->smtpd, Q_TAKEN);
	COMMAND(world, 0, "queue hold --all");
	COMMAND(world, 0, "queue release --domain d3.example");
	COMMAND(world, 0, "queue bounce --all");
	assert_int_equal(count_messages(world), 1);
	assert_int_equal(times_logged(" bounce id="), 1);
	assert_logged("rcpts=1000 ");
	end_world(&world);
}

/* ---- domains ---- */

static unsigned
count_destinations(struct world *world)
{
	struct destination destination = { .number = 0 };
	unsigned n = 0;

	while (spool_next_destination(world->spool, destination.number,
	    &destination) == STORE_FOUND)
		n++;
	return n;
}

static void
a_domain_is_held(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	struct answer answer;
	struct d_due due;
	const json_t *row;

	(void)state;
	say_synced(world);
	take_message(world, "a@near.example", "b@far.example");
	due = expect_due(world, "far.example");
	say_ended(world, due.destination, OUTCOME_DEFERRED, "4.4.1", "no");
	turns(world);
	answer = command(world, 0, "domain hold Far.Example");
	assert_string_equal(text_at(only_row(&answer), "domain"),
	    "far.example");
	assert_true(is_null_at(only_row(&answer), "held_until"));
	forget(&answer);
	/* also what comes later, of any class */
	take_message(world, "a@near.example", "c@far.example");
	take_message(world, "a@near.example", "c@near.example");
	take_signed_report(world, "k", "r@far.example");
	assert_int_equal(deliver_all(world, "near.example"), 1);
	jump(world, 30 * DAY_S);
	expect_held(world, 3);
	answer = command(world, 0, "queue list --state held");
	assert_int_equal(json_array_size(answer.rows), 3);
	assert_string_equal(text_at(listed(&answer, 1, 0), "held_by"),
	    "domain");
	forget(&answer);
	answer = command(world, 1, "queue flush --all");
	assert_int_equal(number_at(only_row(&answer), "held"), 3);
	assert_non_null(strstr(answer.error, "3 recipients are held"));
	forget(&answer);
	answer = command(world, 1, "queue release --all");
	assert_int_equal(number_at(only_row(&answer), "held"), 3);
	forget(&answer);
	expect_held(world, 3);
	answer = command(world, 0, "domain show far.example");
	assert_int_equal(json_array_size(answer.rows), CLASSES_N - 1);
	row = json_array_get(answer.rows, 0);
	assert_string_equal(text_at(row, "class"), "mail");
	assert_string_equal(text_at(row, "state"), "held");
	assert_int_equal(number_at(row, "waiting"), 2);
	assert_int_equal(number_at(row, "failed"), 1);
	assert_true(is_null_at(row, "next"));
	assert_true(is_null_at(row, "shown"));
	assert_string_equal(text_at(row, "proof"), "none");
	assert_string_equal(text_at(json_object_get(row, "last"), "text"),
	    "no");
	forget(&answer);
	COMMAND(world, 0, "domain release far.example");
	expect(world, &world->delivery, D_DUE);
	expect(world, &world->delivery, D_DUE);
	COMMAND(world, 1, "domain release far.example");
	assert_logged("admin verb=\"domain hold\" domain=far.example uid=0 "
	    "destinations=4");
	assert_logged("admin verb=\"domain release\" domain=far.example");
	end_world(&world);
}

/* Nothing is left of a hold that is over, nor of a domain without mail. */
static void
nothing_stays_behind(void **state)
{
	struct world *world = new_world(NULL, 0);
	char id[ID_TEXT_MAX];

	(void)state;
	say_synced(world);
	COMMAND(world, 0, "domain hold far.example");
	assert_int_equal(count_destinations(world), CLASSES_N - 1);
	COMMAND(world, 0, "domain release far.example");
	assert_int_equal(count_destinations(world), 0);
	COMMAND(world, 0, "domain hold far.example --for 1h");
	assert_int_equal(count_destinations(world), CLASSES_N - 1);
	jump(world, 3601);
	turns_for(world, 20);
	assert_int_equal(count_destinations(world), 0);
	connect_delivery(world);
	for (int i = 0; i < 2; i++) {
		queue_id_print(take_message(world, "", "b@far.example"), id);
		COMMAND(world, 0, "queue hold %s", id);
		turns_for(world, 20);
		COMMAND(world, 0, "queue %s %s", i == 0 ? "remove" : "bounce",
		    id);
		turns_for(world, 20);
		assert_int_equal(count_destinations(world), 0);
		assert_empty(world);
	}
	end_world(&world);
}

/* Its own timer ends it: nobody looks. */
static void
a_hold_ends_by_itself(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	struct answer answer;
	int64_t began_ms;

	(void)state;
	say_synced(world);
	COMMAND(world, 0, "domain hold far.example --for 2s");
	began_ms = loop_now_ms();
	take_message(world, "a@near.example", "b@far.example");
	answer = command(world, 0, "queue list");
	assert_string_equal(text_at(listed(&answer, 0, 0), "state"), "held");
	assert_true(json_is_string(json_object_get(listed(&answer, 0, 0),
	    "held_until")));
	forget(&answer);
	expect_nothing(world, &world->delivery, 1000);
	assert_int_equal(deliver_all(world, "far.example"), 1);
	assert_in_range(loop_now_ms() - began_ms, 1900, 2500);
	turns_for(world, 20);
	assert_int_equal(count_destinations(world), 0);
	end_world(&world);
}

/* Longer, shorter, for ever: the last word counts. */
static void
a_hold_is_changed(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));

	(void)state;
	say_synced(world);
	COMMAND(world, 0, "domain hold far.example --for 1h");
	take_message(world, "a@near.example", "b@far.example");
	COMMAND(world, 0, "domain hold far.example --for 5h");
	jump(world, 2 * 3600);
	expect_held(world, 1);
	COMMAND(world, 0, "domain hold far.example");
	jump(world, 9 * 3600);
	expect_held(world, 1);
	COMMAND(world, 0, "domain hold far.example --for 1m");
	jump(world, 61);
	assert_int_equal(deliver_all(world, "far.example"), 1);
	assert_empty(world);
	end_world(&world);
}

static void
holds_survive_a_restart(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	struct answer answer;

	(void)state;
	take_message(world, "a@near.example", "b@far.example");
	COMMAND(world, 0, "queue hold --all");
	take_message(world, "a@near.example", "b@ever.example");
	COMMAND(world, 0, "domain hold ever.example");
	take_message(world, "a@near.example", "b@hour.example");
	COMMAND(world, 0, "domain hold hour.example --for 1h");
	stop_queue(world);
	start_queue(world);
	say_synced(world);
	expect_held(world, 3);
	answer = command(world, 0, "queue list --state held");
	assert_int_equal(json_array_size(answer.rows), 3);
	forget(&answer);
	stop_queue(world);
	clock_offset_s = 3601;
	start_queue(world);
	say_synced(world);
	assert_int_equal(deliver_all(world, "hour.example"), 1);
	expect_held(world, 2);
	COMMAND(world, 0, "domain release ever.example");
	assert_int_equal(deliver_all(world, "ever.example"), 1);
	COMMAND(world, 0, "queue release --all");
	assert_int_equal(deliver_all(world, "far.example"), 1);
	assert_empty(world);
	end_world(&world);
}

/* Delivery is told; what it has may end, and it gets no more. */
static void
held_while_served(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	const struct d_destination *hold;
	struct d_job job;

	(void)state;
	say_synced(world);
	take_message(world, "a@near.example", "b@far.example");
	take_message(world, "a@near.example", "c@far.example");
	job = draw(world, "far.example");
	COMMAND(world, 0, "domain hold far.example");
	hold = expect(world, &world->delivery, D_HOLD);
	assert_int_equal(hold->destination, job.destination);
	say_result(world, &job, "b@far.example", OUTCOME_DELIVERED, 250,
	    "2.0.0", "250 ok");
	expect_settled(world, 1);
	ask_next(world, job.destination, 1);
	expect(world, &world->delivery, D_NONE);
	say_ended(world, job.destination, 0, "", "");
	expect_held(world, 1);
	/* a delivery that survives us is not given any either */
	stop_queue(world);
	start_queue(world);
	say_synced(world);
	ask_next(world, job.destination, 9);
	expect(world, &world->delivery, D_NONE);
	/* released while it is still being served */
	COMMAND(world, 0, "domain release far.example");
	ask_next(world, job.destination, 9);
	job = expect_job(world, NULL);
	say_result(world, &job, "c@far.example", OUTCOME_DELIVERED, 250,
	    "2.0.0", "250 ok");
	expect_settled(world, 1);
	say_ended(world, job.destination, 0, "", "");
	turns(world);
	assert_empty(world);
	end_world(&world);
}

/* Its last attempt failed after the end of its mail's life, and it is held. */
static void
a_held_domain_does_not_expire(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	struct d_due due;

	(void)state;
	take_message(world, "a@near.example", "b@dead.example");
	clock_offset_s = 9 * DAY_S;
	say_synced(world);
	due = expect_due(world, "dead.example");
	COMMAND(world, 0, "domain hold dead.example");
	expect(world, &world->delivery, D_HOLD);
	say_ended(world, due.destination, OUTCOME_DEFERRED, "4.4.1", "no");
	expect_held(world, 1);
	assert_int_equal(times_logged(" bounce id="), 0);
	COMMAND(world, 0, "domain release dead.example");
	due = expect_due(world, "dead.example");
	say_ended(world, due.destination, OUTCOME_DEFERRED, "4.4.1", "no");
	turns(world);
	assert_int_equal(times_logged(" bounce id="), 1);
	end_world(&world);
}

/* ---- what TLS a destination proved ---- */

static const struct {
	const char	*starttls, *certificate, *requirement;
	bool		 ready;
	const char	*proof, *shown;
	unsigned	 alarms;	/* so far */
	bool		 mx_secure, name_given;
} shows[] = {
	{ "absent", "", "none", true, "none", "none", 0, true, false },
	{ "done", "expired", "none", true, "encrypt", "encrypt", 0, true,
	  false },
	/* DANE for a host that nothing vouches for proves no domain */
	{ "done", "not-trusted", "dane", true, "dane-host", "dane-host", 0,
	  false, false },
	{ "done", "valid", "pkix", true, "pkix", "pkix", 0, true, false },
	{ "done", "valid", "dane", true, "pkix", "pkix", 0, false, false },
	{ "done", "valid", "dane+pkix", true, "pkix", "pkix", 0, false,
	  false },
	{ "done", "valid", "dane", true, "dane", "dane", 0, true, false },
	{ "done", "not-trusted", "dane", true, "dane", "dane", 0, false,
	  true },
	/* a fall is told once */
	{ "done", "valid", "pkix", true, "dane", "pkix", 1, true, false },
	{ "done", "valid", "pkix", true, "dane", "pkix", 1, true, false },
	/* and a deeper one again */
	{ "done", "not-trusted", "dane", true, "dane", "dane-host", 2, false,
	  false },
	{ "absent", "", "none", true, "dane", "none", 3, true, false },
	{ "refused", "", "none", false, "dane", "none", 3, true, false },
	/* nothing was seen of it */
	{ "broken", "", "pkix", false, "dane", "none", 3, true, false },
	{ "", "", "pkix", false, "dane", "none", 3, true, false },
	/* half way up is no alarm; up and down is */
	{ "done", "expired", "pkix", false, "dane", "encrypt", 3, true,
	  false },
	{ "done", "valid", "dane", true, "dane", "dane", 3, true, false },
	{ "absent", "", "pkix", false, "dane", "none", 4, true, false },
};

static void
what_was_proved(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	struct answer answer;
	struct d_due due;

	(void)state;
	say_synced(world);
	take_message(world, "a@near.example", "b@far.example");
	for (size_t i = 0; i < COUNT(shows); i++) {
		struct d_host host = { .host = "mx.far.example",
		    .address = "192.0.2.25", .connected = true,
		    .session = i + 1, .ready = shows[i].ready,
		    .mx_secure = shows[i].mx_secure,
		    .name_given = shows[i].name_given };

		due = expect_due(world, "far.example");
		host.destination = due.destination;
		set_text(host.result, sizeof(host.result),
		    shows[i].ready ? "success" : "");
		set_text(host.starttls, sizeof(host.starttls),
		    shows[i].starttls);
		set_text(host.certificate, sizeof(host.certificate),
		    shows[i].certificate);
		set_text(host.requirement, sizeof(host.requirement),
		    shows[i].requirement);
		say(&world->delivery, D_HOST, &host);
		say_ended(world, due.destination, OUTCOME_DEFERRED, "4.7.5",
		    "not good");
		turns(world);
		answer = command(world, 0, "domain show far.example");
		if (strcmp(text_at(only_row(&answer), "proof"),
		    shows[i].proof) != 0 || strcmp(text_at(only_row(&answer),
		    "shown"), shows[i].shown) != 0 || times_logged(
		    "alarm what=tls-proof") != shows[i].alarms)
			fail_msg("row %zu: %s%u alarms", i, answer.out.text,
			    times_logged("alarm what=tls-proof"));
		forget(&answer);
		jump(world, 600);
	}
	assert_logged("alarm what=tls-proof text=\"far.example once proved "
	    "its TLS (dane) and does not now (pkix)\" domain=far.example "
	    "proof=dane shown=pkix");
	end_world(&world);
}

/* ---- much of it ---- */

static void
fill(struct world *world, uint64_t messages, uint32_t recipients)
{
	for (uint64_t i = 1; i <= messages; i++) {
		struct message message = { .id = i, .arrived_ms = 5,
		    .class = CLASS_MAIL };

		spool_put_message(world->spool, &message);
		for (uint32_t n = 0; n < recipients; n++)
			spool_put_recipient(world->spool, &(struct recipient){
			    .id = i, .number = n, .destination = 1,
			    .due_ms = 5, .address = "b@far.example" });
	}
	assert_true(turn_end(world->queue));
}

static unsigned
count_state(struct world *world, uint64_t due_ms)
{
	struct message message = { .id = 0 };
	struct recipient recipient;
	unsigned n = 0;

	while (spool_next_message(world->spool, message.id, &message) ==
	    STORE_FOUND)
		for (uint32_t i = 0; spool_next_recipient(world->spool,
		    message.id, i, &recipient) == STORE_FOUND;
		    i = recipient.number + 1)
			n += recipient.due_ms == due_ms;
	return n;
}

/* It is cut off, said so in the log, and goes on when it is asked again. */
static void
cut_off_and_asked_again(void **state)
{
	static struct c_request request;
	static const char words[] = "queue\0hold\0--all";
	struct world *world = new_world(NULL, 0);
	struct wire_port port;
	unsigned held;
	int ends[2];

	(void)state;
	fill(world, 30, 1000);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    ends), 0);
	control_serve(world->loop, ends[1], 7, true, queue_verbs,
	    world->queue);
	wire_port_open(&port, ends[0], &control_wire);
	request.words_len = sizeof(words);
	memcpy(request.words, words, sizeof(words));
	say(&port, C_REQUEST, &request);
	while (count_state(world, DUE_HELD) == 0)
		loop_turn(world->loop, false);
	wire_port_close(&port);
	turns(world);
	held = count_state(world, DUE_HELD);
	assert_in_range(held, 1, 29999);
	assert_logged("admin verb=\"queue hold\" args=--all uid=7 ");
	assert_logged("outcome=\"cut off\"");
	COMMAND(world, 0, "queue hold --all");
	assert_int_equal(count_state(world, DUE_HELD), 30000);
	end_world(&world);
}

/* No turn of a hold of many recipients is long. */
static void
no_turn_is_long(void **state)
{
	static struct c_request request;
	static const char words[] = "queue\0hold\0--all";
	struct world *world = new_world(NULL, 0);
	struct wire_port port;
	const void *message;
	int64_t longest_ms = 0;
	unsigned turns_n = 0;
	int ends[2];

	(void)state;
	fill(world, 20, 1000);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
	    ends), 0);
	control_serve(world->loop, ends[1], 0, true, queue_verbs,
	    world->queue);
	wire_port_open(&port, ends[0], &control_wire);
	request.words_len = sizeof(words);
	memcpy(request.words, words, sizeof(words));
	say(&port, C_REQUEST, &request);
	while (wire_port_receive(&port, &message, NULL, wire_now_ms()) !=
	    C_END) {
		int64_t began_ms = loop_now_ms(), took_ms;

		loop_turn(world->loop, false);
		took_ms = loop_now_ms() - began_ms;
		if (took_ms > longest_ms)
			longest_ms = took_ms;
		turns_n++;
	}
	wire_port_close(&port);
	assert_int_equal(count_state(world, DUE_HELD), 20000);
	/* Bounded by what a slice is, not by how much there is. */
	assert_in_range(longest_ms, 0, 500);
	assert_true(turns_n >= 20000 / 500);
	end_world(&world);
}

/* ---- a doubted clock ---- */

/* The wall clock is set, and a turn looks at it. */
static void
set_clock(struct world *world, int64_t seconds)
{
	wall_offset_s = seconds;
	loop_again(world->loop);
	turns(world);
}

/* A session that is open gets no further mail; true: while it stays open. */
static void
doubted(bool stays, int64_t jump_s, const char *release)
{
	struct world *world = new_world(quick, COUNT(quick));
	struct d_job job;

	say_synced(world);
	for (int i = 0; i < 3; i++)
		take_message(world, "a@near.example", "b@far.example");
	job = draw(world, "far.example");
	set_clock(world, jump_s);
	assert_logged("the clock jumped to");
	/* what is under way ends as it ends */
	say_result(world, &job, "b@far.example", OUTCOME_DELIVERED, 250,
	    "2.0.0", "250 ok");
	expect_settled(world, 1);
	ask_next(world, job.destination, 1);
	expect(world, &world->delivery, D_NONE);
	/* nor is there any for one that was about to be opened */
	ask_next(world, job.destination, 2);
	expect(world, &world->delivery, D_NONE);
	if (!stays) {
		say_ended(world, job.destination, 0, "", "");
		expect_nothing(world, &world->delivery, 30);
	}
	assert_int_equal(count_messages(world), 2);
	if (release != NULL)
		COMMAND(world, 0, "%s", release);
	else
		set_clock(world, 0);
	turns(world);
	for (int i = 0; stays && i < 2; i++) {
		ask_next(world, job.destination, 1);
		job = expect_job(world, NULL);
		say_result(world, &job, "b@far.example", OUTCOME_DELIVERED,
		    250, "2.0.0", "250 ok");
		settle_all(world);
	}
	if (stays)
		say_ended(world, job.destination, 0, "", "");
	else
		assert_int_equal(deliver_all(world, "far.example"), 2);
	turns(world);
	assert_empty(world);
	end_world(&world);
}

static void
sessions_wait_for_the_clock(void **state)
{
	(void)state;
	doubted(true, 3 * DAY_S, "queue release --clock");
	doubted(true, -3 * DAY_S, "queue release --clock");
	doubted(true, 3 * DAY_S, NULL);
	doubted(false, 3 * DAY_S, "queue release --clock");
	doubted(false, 3 * DAY_S, NULL);
	doubted(false, -3 * DAY_S, NULL);
}

/* No back-off that only a wrong clock would see the end of. */
static void
an_idle_end_leaves_no_time(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	struct d_due due;

	(void)state;
	say_synced(world);
	take_message(world, "a@near.example", "b@far.example");
	due = expect_due(world, "far.example");
	set_clock(world, 30 * 3600);
	ask_next(world, due.destination, 1);
	expect(world, &world->delivery, D_NONE);
	say_ended(world, due.destination, 0, "", "");
	expect_nothing(world, &world->delivery, 30);
	set_clock(world, 0);
	assert_int_equal(deliver_all(world, "far.example"), 1);
	assert_empty(world);
	end_world(&world);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "queue hold: not handed out, not flushed, released at once",
		    held_until_released, NULL, NULL, NULL },
		{ "held mail does not expire; after release an "
		    "attempt comes first", held_mail_does_not_expire, NULL,
		    NULL, NULL },
		{ "a filter means recipients where something is changed",
		    a_filter_means_recipients, NULL, NULL, NULL },
		{ "what is held in flight ends, and stays held if it is "
		    "deferred", held_in_flight, NULL, NULL, NULL },
		{ "unknown ids are named, the others done",
		    unknown_ids_are_named, NULL, NULL, NULL },
		{ "others' messages are not there",
		    others_messages_are_not_there, NULL, NULL, NULL },
		{ "queue bounce: the sender is told at once, and why",
		    bounced_at_once, NULL, NULL, NULL },
		{ "DSN-3461-5.2-1 no notice to a null sender or of a report; "
		    "what is in flight is left", not_everything_bounces,
		    NULL, NULL, NULL },
		{ "SMTP-4.4-3 a thousand recipients bounce in one notice",
		    a_thousand_bounce_in_one, NULL, NULL, NULL },
		{ "domain hold: all that is there and comes, of all classes",
		    a_domain_is_held, NULL, NULL, NULL },
		{ "nothing stays behind of what was held",
		    nothing_stays_behind, NULL, NULL, NULL },
		{ "domain hold --for ends by itself", a_hold_ends_by_itself,
		    NULL, NULL, NULL },
		{ "a hold is made longer, shorter, endless",
		    a_hold_is_changed, NULL, NULL, NULL },
		{ "holds survive a restart", holds_survive_a_restart, NULL,
		    NULL, NULL },
		{ "a domain that is being served is held",
		    held_while_served, NULL, NULL, NULL },
		{ "a held domain's mail does not expire",
		    a_held_domain_does_not_expire, NULL, NULL, NULL },
		{ "the best TLS ever proved, and one alarm for each fall",
		    what_was_proved, NULL, NULL, NULL },
		{ "a hold that is cut off is logged, and done by the next",
		    cut_off_and_asked_again, NULL, NULL, NULL },
		{ "a hold of everything comes in short turns",
		    no_turn_is_long, NULL, NULL, NULL },
		{ "while the clock is doubted open sessions draw nothing",
		    sessions_wait_for_the_clock, NULL, NULL, NULL },
		{ "an attempt that ends with nothing meanwhile leaves no "
		    "back-off", an_idle_end_leaves_no_time, NULL, NULL, NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("queue_operator", tests, NULL,
	    NULL);
}
