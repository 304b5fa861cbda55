/*
 * Next hops that the operator gives: relayed.c, and rehome.c with a real queue:
 * chosen when a message begins to exist, followed when the lines change, never
 * lost and never with delivery twice.
 */
#include "queue_asking.h"

#include "queue/destination.h"
#include "queue/relayed.h"

#include <sys/wait.h>

#define RELAY	"smtp://relay.example"
#define OTHER	"submission://[other.example]"
#define MANY	10000
#define A_MESSAGE	100	/* recipients of each */

static char *const quick[] = { (char[]){ "retry=1m 5m" },
	(char[]){ "expire=5d" } };

/* ---- settings ---- */

/* Other lines from now on, as after a reload; they end with NULL. */
static void
set_lines(struct world *world, const char *const *lines)
{
	char texts[8][200];
	char *overrides[8];
	struct config *old = world->config;
	size_t n = 0;

	/* A line that names another keyword is of that. */
	for (; lines[n] != NULL; n++) {
		snprintf(texts[n], sizeof(texts[n]), "%s%s",
		    strncmp(lines[n], "exempt=", 7) != 0 &&
		    strncmp(lines[n], "tls-required=", 13) != 0 ?
		    "relayhost=" : "", lines[n]);
		overrides[n] = texts[n];
	}
	world->config = settings(overrides, n);
	if (world->queue != NULL)
		turn_configure(world->queue, world->config);
	config_free(&old);
}

static const char *const no_lines[] = { NULL };
static const char *const one_line[] = { RELAY, NULL };
static const char *const other_line[] = { OTHER, NULL };

/* ---- pure ---- */

static const struct hop {
	const char	*lines[6];
	const char	*sender, *to, *hop;
} hops[] = {
	{ { NULL }, "a@near.example", "b@far.example", "far.example" },
	{ { NULL }, "a@near.example", "b@[192.0.2.1]", "[192.0.2.1]" },
	{ { RELAY }, "a@near.example", "b@FAR.example", RELAY },
	{ { RELAY }, "", "b@far.example", RELAY },
	{ { RELAY }, "a@near.example", "b@[192.0.2.1]", RELAY },
	{ { RELAY, OTHER }, "a@near.example", "b@far.example",
	  RELAY "," OTHER },
	{ { RELAY " for=far.example" }, "a@near.example", "b@far.example",
	  RELAY },
	{ { RELAY " for=far.example" }, "a@near.example", "b@other.example",
	  "other.example" },
	/* the null sender: by its own line, or by those without sender= */
	{ { RELAY " sender=<>" }, "", "b@far.example", RELAY },
	{ { RELAY " sender=<>" }, "a@near.example", "b@far.example",
	  "far.example" },
	{ { RELAY " sender=@near.example", OTHER }, "", "b@far.example",
	  OTHER },
	{ { RELAY " sender=@near.example", OTHER }, "a@near.example",
	  "b@far.example", RELAY },
	/* TLS-3207-6-1: one whose domain demands proof */
	{ { RELAY, OTHER, "tls-required=far.example" }, "a@near.example",
	  "b@FAR.example", "smtp+tls://relay.example," OTHER },
	{ { RELAY, "tls-required=far.example" }, "", "b@other.example",
	  RELAY },
	{ { "tls-required=far.example" }, "a@near.example", "b@far.example",
	  "far.example" },
	/* a sender that is no mailbox fits no pattern */
	{ { RELAY " sender=@near.example" }, "nonsense", "b@far.example",
	  "far.example" },
	{ { RELAY " sender=<>" }, "nonsense", "b@far.example",
	  "far.example" },
};

static void
next_hops(void **state)
{
	(void)state;
	log_to(keep_line, NULL);
	for (size_t i = 0; i < COUNT(hops); i++) {
		struct world world = { .config = NULL };
		struct message message = { .class = CLASS_MAIL };
		const struct config *config;
		char hop[DOMAIN_TEXT_MAX];

		world.config = settings(NULL, 0);
		set_lines(&world, hops[i].lines);
		config = world.config;
		relayed_follow(&config);
		set_text(message.sender, sizeof(message.sender),
		    hops[i].sender);
		assert_true(relayed_next_hop(&message, hops[i].to, hop));
		if (strcmp(hop, hops[i].hop) != 0)
			fail_msg("row %zu: %s", i, hop);
		assert_false(relayed_next_hop(&message, "postmaster", hop));
		/* without settings as without lines */
		relayed_follow(NULL);
		assert_true(relayed_next_hop(&message, "b@far.example", hop));
		assert_string_equal(hop, "far.example");
		config_free(&world.config);
	}
}

/* Lines that differ in anything, or in their order, have another mark. */
static void
marks(void **state)
{
	static const char *const all[][4] = {
		{ NULL },
		{ RELAY },
		{ OTHER },
		{ RELAY, OTHER },
		{ OTHER, RELAY },
		{ RELAY " for=far.example" },
		{ RELAY " for=.far.example" },
		{ RELAY " sender=@far.example" },
		{ RELAY " sender=u@far.example" },
		{ RELAY " sender=<>" },
		{ RELAY " sender=<> for=far.example" },
		{ RELAY ":26" },
		{ RELAY, "tls-required=far.example" },
		{ RELAY, "tls-required=.far.example" },
		{ RELAY, "tls-required=other.example" },
	};
	static const char *const of_domains[] = { "tls-required=far.example",
	    NULL };
	struct world plain = { .config = settings(NULL, 0) };
	uint64_t seen[COUNT(all)];

	(void)state;
	log_to(keep_line, NULL);
	for (size_t i = 0; i < COUNT(all); i++) {
		struct world world = { .config = settings(NULL, 0) };

		set_lines(&world, all[i]);
		seen[i] = relayed_mark(world.config);
		assert_int_not_equal(seen[i], 0);
		for (size_t j = 0; j < i; j++)
			assert_int_not_equal(seen[i], seen[j]);
		set_lines(&world, all[i]);
		assert_int_equal(relayed_mark(world.config), seen[i]);
		config_free(&world.config);
	}
	/* Where there is no relay it makes no other next hop. */
	set_lines(&plain, of_domains);
	assert_int_equal(relayed_mark(plain.config), seen[0]);
	config_free(&plain.config);
}

/* A domain whose mail goes elsewhere cannot be held: its next hop is named. */
static void
holds(void **state)
{
	static const char *const lines[] = { RELAY,
		OTHER " for=some.example sender=eve@near.example",
		"tls-required=secret.example", NULL };
	static const char *const some[] = {
		OTHER " sender=eve@near.example", NULL };
	static const struct {
		const char	*words;
		int		status;
		const char	*error;
	} rows[] = {
		{ "domain hold far.example", 1,
		  "far.example goes to " RELAY ": that is the next hop" },
		{ "domain hold secret.example --for 1h", 1,
		  "goes to smtp+tls://relay.example: that" },
		{ "domain hold some.example", 1, "goes to " RELAY },
		{ "domain show far.example", 1, "nothing is known" },
		{ "domain release far.example", 1, "is not held" },
		{ "domain hold relay.example", 0, "" },
		{ "domain hold smtp+tls://relay.example", 0, "" },
		{ "domain hold other.example", 0, "" },
	};
	struct world *world = new_world(NULL, 0);
	struct answer answer;

	(void)state;
	set_lines(world, lines);
	for (size_t i = 0; i < COUNT(rows); i++) {
		answer = ask(world, 0, true, rows[i].words);
		if (answer.status != rows[i].status ||
		    strstr(answer.error, rows[i].error) == NULL)
			fail_msg("%s: %d %s", rows[i].words, answer.status,
			    answer.error);
		forget(&answer);
	}
	/* both forms of the relay */
	answer = ask(world, 0, true, "domain show relay.example");
	assert_int_equal(answer.status, 0);
	assert_non_null(strstr(answer.out.text, "\"" RELAY "\""));
	assert_non_null(strstr(answer.out.text,
	    "\"smtp+tls://relay.example\""));
	forget(&answer);
	/* Some of its mail goes to the domain itself: that is held. */
	set_lines(world, some);
	answer = ask(world, 0, true, "domain hold far.example");
	assert_int_equal(answer.status, 0);
	forget(&answer);
	end_world(&world);
}

/* Exemptions of the domain itself, or of a relay of the list. */
static void
exemptions(void **state)
{
	static const char *const lines[] = {
		"exempt=far.example until 2099-12-31 because x",
		"exempt=relay.example until 2099-12-31 because x", NULL };
	static const struct {
		const char	*hop;
		bool		exempt;
	} rows[] = {
		{ "far.example", true }, { "x.far.example", false },
		{ RELAY, true }, { OTHER, false }, { OTHER "," RELAY, true },
		{ "smtp+tls://[relay.example]", true }, { "", false },
		{ "[192.0.2.1]", false },
	};
	const int64_t now_s = loop_wall_s(), late_s = now_s + 100 * 86400;
	struct world world = { .config = settings(NULL, 0) };
	const struct config *config;

	(void)state;
	relayed_follow(NULL);
	assert_false(relayed_exempts());
	assert_false(relayed_is_exempt("far.example", now_s));
	set_lines(&world, lines);
	config = world.config;
	relayed_follow(&config);
	assert_true(relayed_exempts());
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(relayed_is_exempt(rows[i].hop, now_s),
		    rows[i].exempt);
		assert_false(relayed_is_exempt(rows[i].hop, late_s));
	}
	relayed_follow(NULL);
	config_free(&world.config);
}

static void
who_is_meant(void **state)
{
	static const struct {
		const char	*hop, *host;
		bool		meant;
	} rows[] = {
		{ "far.example", "far.example", true },
		{ "far.example", "x.far.example", false },
		{ "[192.0.2.1]", "[192.0.2.1]", true },
		{ RELAY, "relay.example", true },
		{ RELAY "," OTHER, "other.example", true },
		{ RELAY "," OTHER, "relay.example", true },
		{ RELAY "," OTHER, "far.example", false },
		{ "smtps://[192.0.2.1]:466", "[192.0.2.1]", true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct domain host;

		assert_true(domain_parse(slice_of(rows[i].host), &host));
		if (relayed_leads_to(rows[i].hop, &host) != rows[i].meant)
			fail_msg("row %zu", i);
	}
}

static void
classes_of_destinations(void **state)
{
	static const struct {
		enum mail_class	class;
		const char	*sender;
		enum mail_class	theirs;
	} rows[] = {
		{ CLASS_MAIL, "", CLASS_MAIL },
		{ CLASS_REQUIRETLS, "a@near.example", CLASS_REQUIRETLS },
		{ CLASS_REQUIRETLS, "", CLASS_MAIL },
		{ CLASS_TLS_OPTIONAL, "", CLASS_TLS_OPTIONAL },
		{ CLASS_REPORT, "r@near.example", CLASS_REPORT },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct message message = { .class = rows[i].class };

		set_text(message.sender, sizeof(message.sender),
		    rows[i].sender);
		assert_int_equal(relayed_class(&message), rows[i].theirs);
	}
}

/* ---- what lies in the queue ---- */

/* The next hop of each recipient, counted by text. */
struct census {
	unsigned	n, direct, relay, other, held;
};

static struct census
take_census(struct world *world)
{
	struct census census = { 0, 0, 0, 0, 0 };
	struct destination destination;
	struct recipient recipient;
	struct due due;
	uint64_t id = 0;
	uint32_t number = 0;

	while (spool_walk_recipients(world->spool, id, number, census.n > 0,
	    &recipient) == STORE_FOUND) {
		id = recipient.id;
		number = recipient.number;
		census.n++;
		assert_int_equal(spool_get_destination(world->spool,
		    recipient.destination, &destination), STORE_FOUND);
		census.direct += strstr(destination.domain, "://") == NULL;
		census.relay += strcmp(destination.domain, RELAY) == 0;
		census.other += strcmp(destination.domain, OTHER) == 0;
		census.held += recipient.due_ms == DUE_HELD;
		/* it is found where it is looked for */
		due = (struct due){ recipient.destination, recipient.due_ms,
		    recipient.id, recipient.number };
		assert_true(spool_next_due(world->spool, &due, false, &due));
		assert_int_equal(due.id, recipient.id);
		assert_int_equal(due.number, recipient.number);
		if (!destination.held && DUE_IS_TIME(recipient.due_ms))
			assert_int_not_equal(destination.next_ms, 0);
	}
	return census;
}

/* Messages of a hundred recipients each at so many domains. */
static void
fill_from(struct world *world, const char *sender, unsigned recipients,
    unsigned domains)
{
	char addresses[A_MESSAGE][48];
	const char *to[A_MESSAGE + 1];

	for (unsigned done = 0; done < recipients; done += A_MESSAGE) {
		for (unsigned i = 0; i < A_MESSAGE; i++) {
			snprintf(addresses[i], sizeof(addresses[i]),
			    "r%u@far%u.example", done + i, i % domains);
			to[i] = addresses[i];
		}
		to[A_MESSAGE] = NULL;
		begin_message(world, sender, to, SLICE(SMALL),
		    sizeof(SMALL) - 1, false);
		expect(world, &world->smtpd, Q_TAKEN);
	}
}

static void
fill(struct world *world, unsigned recipients)
{
	fill_from(world, "a@near.example", recipients, 10);
}

static bool
is_settled(struct world *world)
{
	return spool_get_name(world->spool, "relayhosts", 0) ==
	    relayed_mark(world->config);
}

static void
settle_lines(struct world *world)
{
	int64_t until = loop_now_ms() + 60000;

	while (!is_settled(world) && loop_now_ms() < until) {
		loop_turn(world->loop, false);
		usleep(100);
	}
	assert_true(is_settled(world));
}

static void
forget_due(struct world *world)
{
	const void *message;

	while (hear_within(world, &world->delivery, &message, NULL, 20) != 0)
		;
}

/* ---- chosen at the beginning ---- */

static void
chosen_at_deposit(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	const char *const two[] = { "b@far.example", "c@other.example",
	    NULL };
	struct d_job job;
	struct d_due due;

	(void)state;
	set_lines(world, one_line);
	say_synced(world);
	settle_lines(world);
	begin_message(world, "a@near.example", two, SLICE(SMALL), 0, false);
	expect(world, &world->smtpd, Q_TAKEN);
	/* one destination, one job, whatever their domains */
	due = expect_due(world, RELAY);
	ask_next(world, due.destination, 1);
	job = expect_job(world, NULL);
	assert_int_equal(job.recipients, 2);
	/* the notice is mail like any other */
	say_result(world, &job, "b@far.example", OUTCOME_FAILED, 550,
	    "5.1.1", "550 5.1.1 no");
	say_result(world, &job, "c@other.example", OUTCOME_DELIVERED, 250,
	    "2.0.0", "250 ok");
	settle_all(world);
	assert_logged("to=b@far.example domain=far.example host=");
	ask_next(world, due.destination, 1);
	job = expect_job(world, NULL);
	assert_string_equal(job.sender, "");
	expect_settled(world, say_result(world, &job, "a@near.example",
	    OUTCOME_DELIVERED, 250, "2.0.0", "250 ok"));
	say_ended(world, due.destination, 0, "", "");
	turns(world);
	assert_empty(world);
	/* and so are reports */
	take_signed_report(world, "k1", "r@collector.example");
	due = expect_due(world, RELAY);
	assert_int_equal(due.class, CLASS_REPORT);
	end_world(&world);
}

/* ---- followed when they change ---- */

static void
all_of_it_follows(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	struct census census;

	(void)state;
	fill(world, MANY);
	say_synced(world);
	settle_lines(world);
	forget_due(world);
	census = take_census(world);
	assert_int_equal(census.n, MANY);
	assert_int_equal(census.direct, MANY);
	set_lines(world, one_line);
	settle_lines(world);
	census = take_census(world);
	assert_int_equal(census.n, MANY);
	assert_int_equal(census.relay, MANY);
	assert_logged("10000 recipients go by other next hops now, 0 of them");
	/* and back, and on to another, across a restart */
	set_lines(world, other_line);
	stop_queue(world);
	start_queue(world);
	say_synced(world);
	settle_lines(world);
	census = take_census(world);
	assert_int_equal(census.other, MANY);
	set_lines(world, no_lines);
	settle_lines(world);
	census = take_census(world);
	assert_int_equal(census.n, MANY);
	assert_int_equal(census.direct, MANY);
	end_world(&world);
}

/* Mail that comes in meanwhile waits for a slice at most. */
static void
others_do_not_wait(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	int64_t began_ms, longest_ms = 0;
	unsigned n = 0;

	(void)state;
	fill(world, MANY);
	say_synced(world);
	settle_lines(world);
	forget_due(world);
	set_lines(world, one_line);
	while (!is_settled(world)) {
		began_ms = loop_now_ms();
		take_message(world, "a@near.example", "x@far0.example");
		if (loop_now_ms() - began_ms > longest_ms)
			longest_ms = loop_now_ms() - began_ms;
		n++;
	}
	assert_true(n > 1);
	/* four messages of the link, a slice before each; sanitized */
	if (longest_ms > 500)
		fail_msg("%lld ms", (long long)longest_ms);
	assert_int_equal(take_census(world).relay, MANY + n);
	end_world(&world);
}

/* Killed at any moment of the walk: nothing is lost, and it goes on. */
static void
killed_in_the_middle(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	struct census census;
	unsigned partly = 0;

	(void)state;
	fill(world, MANY);
	stop_queue(world);
	for (unsigned turn = 1; turn <= 64; turn *= 4) {
		pid_t child = fork();
		int status;

		if (child == 0) {
			/* Its delivery is another's as well. */
			world->queue = NULL;
			set_lines(world, turn % 2 == 0 ? one_line :
			    other_line);
			start_queue(world);
			say_synced(world);
			for (unsigned i = 0; i < turn + 2; i++)
				loop_turn(world->loop, false);
			kill(getpid(), SIGKILL);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status));
		start_queue(world);
		census = take_census(world);
		assert_int_equal(census.n, MANY);
		partly += census.relay > 0 && census.direct > 0;
		stop_queue(world);
	}
	assert_true(partly > 0);
	/* then with lines like at first, and with others */
	start_queue(world);
	say_synced(world);
	settle_lines(world);
	census = take_census(world);
	assert_int_equal(census.n, MANY);
	assert_int_equal(census.direct, MANY);
	set_lines(world, one_line);
	settle_lines(world);
	census = take_census(world);
	assert_int_equal(census.relay, MANY);
	end_world(&world);
}

/* The lines change again while the first change is under way. */
static void
changed_on_the_way(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	struct census census;

	(void)state;
	fill(world, 3000);
	say_synced(world);
	settle_lines(world);
	forget_due(world);
	set_lines(world, one_line);
	loop_turn(world->loop, false);
	loop_turn(world->loop, false);
	census = take_census(world);
	assert_true(census.relay > 0 && census.direct > 0);
	set_lines(world, no_lines);
	settle_lines(world);
	census = take_census(world);
	assert_int_equal(census.n, 3000);
	assert_int_equal(census.direct, 3000);
	end_world(&world);
}

/* ---- what is with delivery ---- */

static void
in_flight_is_left(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	const char *const two[] = { "c@far.example", "d@far.example", NULL };
	struct d_held held = { .running = true };
	struct census census;
	struct d_due due;
	struct d_job first, job;

	(void)state;
	say_synced(world);
	settle_lines(world);
	take_message(world, "a@near.example", "b@far.example");
	begin_message(world, "a@near.example", two, SLICE(SMALL), 0, false);
	expect(world, &world->smtpd, Q_TAKEN);
	due = expect_due(world, "far.example");
	ask_next(world, due.destination, 1);
	first = expect_job(world, NULL);
	ask_next(world, due.destination, 2);
	job = expect_job(world, NULL);
	assert_int_equal(job.recipients, 2);
	set_lines(world, one_line);
	expect_nothing(world, &world->delivery, 100);
	assert_int_equal(take_census(world).direct, 3);
	assert_false(is_settled(world));
	/* who is back goes on by the new line, two are there yet */
	expect_settled(world, say_result(world, &first, "b@far.example",
	    OUTCOME_DEFERRED, 450, "4.2.0", "450 4.2.0 later"));
	turns_for(world, 1300);
	census = take_census(world);
	assert_int_equal(census.n, 3);
	assert_int_equal(census.relay, 1);
	assert_false(is_settled(world));
	/* the queue is started anew, and delivery still has them */
	stop_queue(world);
	start_queue(world);
	/* nothing moves before delivery has said what it has */
	turns_for(world, 50);
	assert_int_equal(take_census(world).relay, 1);
	held.job = job.job;
	held.message = job.message;
	held.destination = job.destination;
	for (unsigned i = 0; i < 2; i++) {
		strcpy(held.recipient, two[i]);
		say(&world->delivery, D_HELD, &held);
	}
	say_synced(world);
	turns_for(world, 1300);
	census = take_census(world);
	assert_int_equal(census.relay, 1);
	assert_int_equal(census.direct, 2);
	expect_nothing(world, &world->delivery, 50);
	say_result(world, &job, "c@far.example", OUTCOME_DELIVERED, 250,
	    "2.0.0", "250 ok");
	say_result(world, &job, "d@far.example", OUTCOME_DEFERRED, 450,
	    "4.2.0", "450 4.2.0 later");
	settle_all(world);
	settle_lines(world);
	census = take_census(world);
	assert_int_equal(census.n, 2);
	assert_int_equal(census.relay, 2);
	end_world(&world);
}

/* ---- as it was ---- */

static struct recipient
recipient_of(struct world *world, uint64_t id, uint32_t number)
{
	struct recipient recipient;

	assert_int_equal(spool_get_recipient(world->spool, id, number,
	    &recipient), STORE_FOUND);
	return recipient;
}

/* Due, attempts and holds; the destination's failures are counted on. */
static void
due_and_attempts_stay(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	struct recipient before, after;
	struct answer answer;
	struct d_due due;
	struct d_job job;
	uint64_t id, held;
	char text[ID_TEXT_MAX];

	(void)state;
	say_synced(world);
	settle_lines(world);
	id = take_message(world, "a@near.example", "b@far.example");
	due = expect_due(world, "far.example");
	ask_next(world, due.destination, 1);
	job = expect_job(world, NULL);
	expect_settled(world, say_result(world, &job, "b@far.example",
	    OUTCOME_DEFERRED, 450, "4.2.0", "450 4.2.0 later"));
	say_ended(world, due.destination, OUTCOME_DEFERRED, "4.4.1", "no");
	turns(world);
	held = take_message(world, "a@near.example", "c@far.example");
	COMMAND(world, 0, "queue hold %s", queue_id_print(held, text));
	before = recipient_of(world, id, 0);
	assert_int_equal(before.attempts, 1);
	set_lines(world, one_line);
	settle_lines(world);
	after = recipient_of(world, id, 0);
	assert_int_equal(after.due_ms, before.due_ms);
	assert_int_equal(after.attempts, 2);
	assert_int_equal(after.first_ms, before.first_ms);
	assert_string_equal(after.reply, "450 4.2.0 later");
	assert_int_equal(recipient_of(world, held, 0).due_ms, DUE_HELD);
	answer = command(world, 0, "queue show %s", queue_id_print(id, text));
	assert_int_equal(number_at(json_array_get(json_object_get(
	    json_array_get(answer.rows, 0), "recipients"), 0), "attempts"),
	    2);
	forget(&answer);
	/* a filter is about the recipient's domain */
	answer = command(world, 0, "queue list --domain far.example");
	assert_int_equal(json_array_size(answer.rows), 2);
	forget(&answer);
	COMMAND(world, 1, "queue list --domain relay.example");
	end_world(&world);
}

/* A hold of a domain is not undone by another way out. */
static void
held_domains_stay_held(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	uint64_t ever, hour, now_ms;

	(void)state;
	say_synced(world);
	settle_lines(world);
	COMMAND(world, 0, "domain hold far.example");
	COMMAND(world, 0, "domain hold far2.example --for 1h");
	now_ms = (uint64_t)loop_wall_ms();
	ever = take_message(world, "a@near.example", "b@far.example");
	hour = take_message(world, "a@near.example", "b@far2.example");
	take_message(world, "a@near.example", "b@far3.example");
	set_lines(world, one_line);
	settle_lines(world);
	assert_int_equal(take_census(world).relay, 3);
	assert_int_equal(recipient_of(world, ever, 0).due_ms, DUE_HELD);
	assert_true(recipient_of(world, hour, 0).due_ms >= now_ms + 3500000);
	forget_due(world);
	assert_logged("3 recipients go by other next hops now, 1 of them");
	end_world(&world);
}

/* Nothing has changed: nothing is walked, whatever lies there. */
static void
unchanged_costs_nothing(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	struct destination wrong;
	struct recipient recipient;
	uint64_t id, turn;

	(void)state;
	set_lines(world, one_line);
	say_synced(world);
	settle_lines(world);
	id = take_message(world, "a@near.example", "b@far.example");
	forget_due(world);
	/* by hand, where it does not belong */
	assert_true(destination_for(world->spool, "wrong.example",
	    CLASS_MAIL, &wrong));
	recipient = recipient_of(world, id, 0);
	spool_delete_recipient(world->spool, &recipient);
	recipient.destination = wrong.number;
	recipient.due_ms = DUE_HELD;
	spool_put_recipient(world->spool, &recipient);
	destination_owe(world->spool, &wrong, DUE_HELD, 1);
	spool_want_flush(world->spool);
	turns(world);
	stop_queue(world);
	start_queue(world);
	say_synced(world);
	turns_for(world, 50);
	assert_int_equal(recipient_of(world, id, 0).destination,
	    wrong.number);
	/* the same lines, read again */
	set_lines(world, one_line);
	turns_for(world, 50);
	assert_int_equal(recipient_of(world, id, 0).destination,
	    wrong.number);
	/* and a turn in which nothing is done flushes nothing */
	turn = spool_flushes(world->spool);
	turns(world);
	assert_int_equal(spool_flushes(world->spool), turn);
	end_world(&world);
}

/* A slip of the operator's pen returns nobody's mail. */
static void
relay_that_is_none(void **state)
{
	static const char *const codes[] = { "5.1.2", "5.4.4", "5.4.6" };
	struct world *world = new_world(quick, COUNT(quick));
	struct d_due due;

	(void)state;
	fill(world, 1000);
	set_lines(world, one_line);
	say_synced(world);
	settle_lines(world);
	for (size_t i = 0; i < COUNT(codes); i++) {
		do
			due = *(const struct d_due *)expect(world,
			    &world->delivery, D_DUE);
		while (strcmp(due.domain, RELAY) != 0);
		say_ended(world, due.destination, OUTCOME_FAILED, codes[i],
		    "relay.example does not exist");
		for (int j = 0; j < 5; j++)
			turns(world);
		assert_int_equal(times_logged("outcome=failed"), 0);
		assert_int_equal(times_logged("defer domain=" RELAY), i + 1);
		assert_int_equal(take_census(world).relay, 1000);
		COMMAND(world, 0, "queue flush --all");
	}
	assert_int_equal(times_logged("enh=4.3.5 rule="), COUNT(codes));
	end_world(&world);
}

/* But that it has no REQUIRETLS is so for good. */
static void
relay_without_requiretls(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	struct q_open open = { .id = queue_id_new(),
	    .class = CLASS_REQUIRETLS, .sender = "a@near.example" };
	struct d_due due;
	int fd;

	(void)state;
	set_lines(world, one_line);
	say_synced(world);
	say(&world->smtpd, Q_OPEN, &open);
	add_recipient(world, open.id, 0, "b@far.example");
	fd = ask_data(world, open.id);
	expect(world, &world->smtpd, Q_GO);
	close(fd);
	say_end(world, open.id, 0, false);
	expect(world, &world->smtpd, Q_TAKEN);
	due = expect_due(world, RELAY);
	assert_int_equal(due.class, CLASS_REQUIRETLS);
	say_ended(world, due.destination, OUTCOME_FAILED, "5.7.30",
	    "relay.example does not offer REQUIRETLS");
	/* the notice goes the same way */
	due = expect_due(world, RELAY);
	assert_int_equal(due.class, CLASS_MAIL);
	assert_logged("outcome=failed");
	end_world(&world);
}

/* While the end of an attempt is written down nothing is put under it. */
static void
no_part_in_an_end(void **state)
{
	const char *const split[] = { RELAY " sender=other@near.example",
	    NULL };
	struct world *world = new_world(quick, COUNT(quick));
	struct census census;
	struct d_due due;

	(void)state;
	set_lines(world, split);
	fill_from(world, "a@near.example", 2000, 1);
	fill_from(world, "other@near.example", 1000, 1);
	assert_int_equal(take_census(world).relay, 1000);
	say_synced(world);
	settle_lines(world);
	do
		due = *(const struct d_due *)expect(world, &world->delivery,
		    D_DUE);
	while (strcmp(due.domain, "far0.example") != 0);
	say_ended(world, due.destination, OUTCOME_FAILED, "5.1.2",
	    "far0.example does not exist");
	while (times_logged("outcome=failed") == 0)
		loop_turn(world->loop, false);
	set_lines(world, no_lines);
	settle_lines(world);
	census = take_census(world);
	assert_int_equal(times_logged("outcome=failed"), 2000);
	assert_true(census.direct >= 1000);
	assert_int_equal(census.relay, 0);
	end_world(&world);
}

/* A record that is lost is made anew with the next hop of today. */
static void
lost_destination(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	struct destination destination;
	struct d_due due;
	uint64_t id;

	(void)state;
	set_lines(world, one_line);
	say_synced(world);
	settle_lines(world);
	stop_queue(world);
	start_queue(world);
	id = take_message(world, "a@near.example", "b@far.example");
	assert_int_equal(spool_get_destination(world->spool,
	    recipient_of(world, id, 0).destination, &destination),
	    STORE_FOUND);
	spool_delete_destination(world->spool, &destination);
	spool_want_flush(world->spool);
	turns(world);
	say_synced(world);
	due = expect_due(world, RELAY);
	assert_int_equal(due.destination, destination.number);
	end_world(&world);
}

/* ---- the operator ---- */

static void
domain_verbs(void **state)
{
	const char *const lines[] = { RELAY, OTHER, NULL };
	const char *const list = RELAY "," OTHER;
	static const char *const names[] = { "relay.example",
	    "other.example", RELAY "," OTHER };
	struct world *world = new_world(quick, COUNT(quick));
	struct answer answer;

	(void)state;
	set_lines(world, lines);
	say_synced(world);
	settle_lines(world);
	for (size_t i = 0; i < COUNT(names); i++) {
		/* before any mail has met it */
		COMMAND(world, 0, "domain hold %s", names[i]);
		take_message(world, "a@near.example", "b@far.example");
		expect_nothing(world, &world->delivery, 30);
		answer = command(world, 0, "domain show %s", names[i]);
		for (size_t j = 0; j < json_array_size(answer.rows); j++)
			assert_string_equal(text_at(json_array_get(
			    answer.rows, j), "state"), "held");
		assert_non_null(strstr(answer.out.text, list));
		forget(&answer);
		COMMAND(world, 1, "domain show far.example");
		COMMAND(world, 1, "domain release far.example");
		COMMAND(world, 0, "domain release %s", names[i]);
		assert_int_equal(deliver_all(world, list), 1);
		COMMAND(world, 1, "domain release %s", names[i]);
	}
	COMMAND(world, 64, "domain hold");
	COMMAND(world, 64, "domain hold nonsense!");
	COMMAND(world, 64, "domain hold relay.example other.example");
	COMMAND(world, 64, "domain hold relay.example --for ever");
	/* the recipient's domain is no next hop */
	COMMAND(world, 1, "domain hold far.example");
	take_message(world, "a@near.example", "b@far.example");
	assert_int_equal(deliver_all(world, list), 1);
	end_world(&world);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "the next hop of a message", next_hops, NULL, NULL, NULL },
		{ "lines that differ have another mark", marks, NULL, NULL,
		    NULL },
		{ "domain hold: not where the mail goes by a relay", holds,
		    NULL, NULL, NULL },
		{ "which next hops are exempt now", exemptions, NULL, NULL,
		    NULL },
		{ "which next hops a host's name means", who_is_meant, NULL,
		    NULL, NULL },
		{ "RTLS-5-5 the class of a destination",
		    classes_of_destinations, NULL, NULL, NULL },
		{ "mail, notices and reports go by relayhosts",
		    chosen_at_deposit, NULL, NULL, NULL },
		{ "ten thousand recipients follow the lines",
		    all_of_it_follows, NULL, NULL, NULL },
		{ "others do not wait meanwhile", others_do_not_wait, NULL,
		    NULL, NULL },
		{ "killed in the middle", killed_in_the_middle, NULL, NULL,
		    NULL },
		{ "lines that change again on the way", changed_on_the_way,
		    NULL, NULL, NULL },
		{ "what is with delivery is left, and looked at again",
		    in_flight_is_left, NULL, NULL, NULL },
		{ "due time, attempts and holds stay", due_and_attempts_stay,
		    NULL, NULL, NULL },
		{ "what a domain's hold kept stays held",
		    held_domains_stay_held, NULL, NULL, NULL },
		{ "where nothing has changed nothing is walked",
		    unchanged_costs_nothing, NULL, NULL, NULL },
		{ "the end of an attempt without it", no_part_in_an_end,
		    NULL, NULL, NULL },
		{ "a relayhost that is no host returns nothing",
		    relay_that_is_none, NULL, NULL, NULL },
		{ "RTLS-4.2.1-11, RTLS-5-5 a relayhost without REQUIRETLS",
		    relay_without_requiretls, NULL, NULL, NULL },
		{ "a lost destination gets the next hop of today",
		    lost_destination, NULL, NULL, NULL },
		{ "domain verbs and relayhosts", domain_verbs, NULL, NULL,
		    NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("queue_relayed", tests, NULL,
	    NULL);
}
