/*
 * queue's notifications: which of them are made, of what, to whom, how often
 * (notice.c, result.c, ending.c, receive.c and dispatch.c with them), on a
 * real store.  Their text is bounce.c's.
 */
#include "queue_fixture.h"

#define DAY_S	86400
#define HOUR_S	3600

static char *const quick[] = { (char[]){ "retry=1m" },
	(char[]){ "expire=5d" } };

/* ---- a message with requests ---- */

struct request {
	const char	*sender;
	const char	*client;	/* NULL: sendmail's */
	enum dsn_ret	 ret;
	const char	*envid, *orcpt;
	uint32_t	 notify;
	uint32_t	 class;
};

static const struct request plain = { .sender = "a@near.example",
	.client = "127.0.0.1", .envid = "", .orcpt = "",
	.class = CLASS_MAIL };

static uint64_t
take_request(struct world *world, const struct request *request,
    const char *const *recipients)
{
	struct q_open open = { .id = queue_id_new(), .ret = request->ret,
	    .class = request->class == CLASS_TLS_OPTIONAL ? CLASS_MAIL :
	    request->class, .local = request->client == NULL,
	    .uid = 1000, .proto = "ESMTP", .auth = "none", .tls = "none" };
	int fd;

	set_text(open.sender, sizeof(open.sender), request->sender);
	set_text(open.envid, sizeof(open.envid), request->envid);
	if (request->client != NULL)
		set_text(open.client, sizeof(open.client), request->client);
	say(&world->smtpd, Q_OPEN, &open);
	for (uint32_t i = 0; recipients[i] != NULL; i++) {
		struct q_rcpt rcpt = { .id = open.id, .number = i,
		    .notify = request->notify };

		set_text(rcpt.recipient, sizeof(rcpt.recipient),
		    recipients[i]);
		set_text(rcpt.orcpt, sizeof(rcpt.orcpt), request->orcpt);
		say(&world->smtpd, Q_RCPT, &rcpt);
		expect(world, &world->smtpd, Q_RCPT_ANSWER);
	}
	fd = ask_data(world, open.id);
	expect(world, &world->smtpd, Q_GO);
	write_body(world, fd, SMALL, sizeof(SMALL) - 1);
	close(fd);
	if (request->class == CLASS_TLS_OPTIONAL)
		say_end_optional(world, open.id, sizeof(SMALL) - 1);
	else
		say_end(world, open.id, sizeof(SMALL) - 1, false);
	expect(world, &world->smtpd, Q_TAKEN);
	return open.id;
}

static uint64_t
take(struct world *world, const struct request *request)
{
	static const char *const one[] = { "b@far.example", NULL };

	return take_request(world, request, one);
}

/* ---- results ---- */

static void
give(struct world *world, const struct d_job *job, const char *recipient,
    enum outcome outcome, bool passed)
{
	struct d_result result = { .sequence = ++world->sequence,
	    .job = job->job, .message = job->message,
	    .session = job->session, .destination = job->destination,
	    .outcome = outcome, .host = "mx.far.example",
	    .address = "192.0.2.25", .dsn_passed = passed,
	    .rule = "a-rule", .clause = "RFC 5321 4.2",
	    .repair = "ask them" };
	const char *reply = outcome == OUTCOME_DELIVERED ? "250 2.0.0 taken" :
	    outcome == OUTCOME_DEFERRED ? "450 4.2.0 later" :
	    "550 5.1.1 no such user";

	result.code = (uint32_t)strtoul(reply, NULL, 10);
	set_text(result.recipient, sizeof(result.recipient), recipient);
	memcpy(result.enhanced, reply + 4, 5);
	set_text(result.reply, sizeof(result.reply), reply);
	say(&world->delivery, D_RESULT, &result);
	expect_settled(world, result.sequence);
}

/* One attempt for b@far.example with this outcome. */
static void
attempt(struct world *world, enum outcome outcome, bool passed)
{
	struct d_job job = draw(world, "far.example");

	give(world, &job, "b@far.example", outcome, passed);
	say_ended(world, job.destination, 0, "", "");
	turns(world);
}

/* ---- notifications ---- */

static unsigned
count_notices(struct world *world)
{
	struct message message = { .id = 0 };
	unsigned n = 0;

	while (spool_next_message(world->spool, message.id, &message) ==
	    STORE_FOUND)
		n += message.sender[0] == '\0';
	return n;
}

/* The class of the newest one. */
static uint32_t
notice_class(struct world *world)
{
	struct message message = { .id = 0 };
	uint32_t class = 0;

	while (spool_next_message(world->spool, message.id, &message) ==
	    STORE_FOUND)
		if (message.sender[0] == '\0')
			class = message.class;
	return class;
}

/* The text of the newest one. */
static struct buffer
notice_text(struct world *world)
{
	struct message message = { .id = 0 }, notice = { .id = 0 };
	struct buffer text = { NULL, 0, 0 };
	struct slice chunk;

	while (spool_next_message(world->spool, message.id, &message) ==
	    STORE_FOUND)
		if (message.sender[0] == '\0')
			notice = message;
	assert_int_not_equal(notice.id, 0);
	for (uint32_t n = 0; n < notice.chunks; n++) {
		assert_int_equal(spool_get_chunk(world->spool, notice.id, n,
		    &chunk), STORE_FOUND);
		buffer_add(&text, chunk);
	}
	return text;
}

static void
assert_says(struct world *world, const char *words)
{
	struct buffer text = notice_text(world);

	if (strstr(text.text, words) == NULL)
		fail_msg("%s is not in\n%s", words, text.text);
	buffer_free(&text);
}

static void
assert_says_not(struct world *world, const char *words)
{
	struct buffer text = notice_text(world);

	if (strstr(text.text, words) != NULL)
		fail_msg("%s is in\n%s", words, text.text);
	buffer_free(&text);
}

/* ---- what was asked for ---- */

#define N	NOTIFY_NEVER
#define S	NOTIFY_SUCCESS
#define F	NOTIFY_FAILURE
#define D	NOTIFY_DELAY

static const struct {
	uint32_t	notify;
	bool		failed, delayed, relayed;	/* is it told? */
} requests[] = {
	{ 0, true, true, false },
	{ N, false, false, false },
	{ S, false, false, true },
	{ F, true, false, false },
	{ D, false, true, false },
	{ S | F, true, false, true },
	{ S | D, false, true, true },
	{ F | D, true, true, false },
	{ S | F | D, true, true, true },
};

static void
failure_is_told_who_wants_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(requests); i++) {
		struct world *world = new_world(quick, COUNT(quick));
		struct request request = plain;

		request.notify = requests[i].notify;
		say_synced(world);
		take(world, &request);
		attempt(world, OUTCOME_FAILED, false);
		assert_int_equal(count_notices(world), requests[i].failed);
		assert_int_equal(count_messages(world), requests[i].failed);
		if (requests[i].failed) {
			assert_says(world, "Action: failed\r\n");
			assert_logged("outcome=queued");
		} else {
			assert_logged("outcome=unwanted rcpts=1 "
			    "rcpt=b@far.example action=failed ");
		}
		end_world(&world);
	}
}

static void
expiry_is_told_who_wants_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(requests); i++) {
		struct world *world = new_world(quick, COUNT(quick));
		struct request request = plain;
		struct d_due due;

		request.notify = requests[i].notify;
		say_synced(world);
		take(world, &request);
		clock_offset_s += 6 * DAY_S;
		due = expect_due(world, "far.example");
		/* its attempt begins past the end */
		connect_delivery(world);
		say_synced(world);
		due = expect_due(world, "far.example");
		say_ended(world, due.destination, OUTCOME_DEFERRED, "4.4.1",
		    "no answer");
		turns(world);
		assert_int_equal(count_notices(world), requests[i].failed);
		assert_int_equal(count_messages(world), requests[i].failed);
		if (requests[i].failed)
			assert_says(world, "Action: failed\r\n");
		end_world(&world);
	}
}

static void
success_is_told_who_wants_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * COUNT(requests); i++) {
		struct world *world = new_world(quick, COUNT(quick));
		bool passed = i >= COUNT(requests);
		bool told = !passed && requests[i].relayed;
		struct request request = plain;

		request.notify = requests[i % COUNT(requests)].notify;
		say_synced(world);
		take(world, &request);
		attempt(world, OUTCOME_DELIVERED, passed);
		assert_int_equal(count_notices(world), told);
		assert_int_equal(count_messages(world), told);
		if (told) {
			assert_says(world, "Action: relayed\r\n");
			assert_says(world, "Status: 2.0.0\r\n");
			assert_says(world, "Remote-MTA: dns; mx.far.example");
		}
		end_world(&world);
	}
}

static void
delay_is_told_who_wants_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * COUNT(requests); i++) {
		struct world *world = new_world(quick, COUNT(quick));
		/* by its own result, or by that of the destination */
		bool own = i >= COUNT(requests);
		struct request request = plain;
		unsigned told = requests[i % COUNT(requests)].delayed;

		request.notify = requests[i % COUNT(requests)].notify;
		say_synced(world);
		take(world, &request);
		for (int hour = 0; hour < 12; hour++) {
			if (own) {
				attempt(world, OUTCOME_DEFERRED, false);
			} else {
				struct d_due due = expect_due(world,
				    "far.example");

				say_ended(world, due.destination,
				    OUTCOME_DEFERRED, "4.4.1", "no answer");
				turns(world);
			}
			assert_int_equal(count_notices(world),
			    hour < 4 ? 0 : told);
			if (hour == 4 && told) {
				assert_says(world, "Action: delayed\r\n");
				assert_says(world, own ? "Status: 4.2.0\r\n" :
				    "Status: 4.4.1\r\n");
				/* it waits for good, out of the way */
				assert_int_equal(deliver_all(world,
				    "near.example"), 1);
				told = 0;
			}
			clock_offset_s += HOUR_S;
			connect_delivery(world);
			say_synced(world);
		}
		assert_int_equal(count_messages(world), 1);
		end_world(&world);
	}
}

/* ---- delays ---- */

/* A fresh delivery, given far.example; notifications may be due before. */
static struct d_due
far_is_due(struct world *world)
{
	const struct d_due *due;

	connect_delivery(world);
	say_synced(world);
	do
		due = expect(world, &world->delivery, D_DUE);
	while (strcmp(due->domain, "far.example") != 0);
	return *due;
}

static void
defer_all(struct world *world)
{
	struct d_due due = far_is_due(world);

	say_ended(world, due.destination, OUTCOME_DEFERRED, "4.7.5",
	    "mx.far.example: its certificate expired");
	turns(world);
}

static const struct {
	const char	*sender, *client;
	uint32_t	 class;
	unsigned	 told;
} senders[] = {
	{ "a@near.example", NULL, CLASS_MAIL, 1 },		/* sendmail */
	{ "a@near.example", "127.0.0.1", CLASS_MAIL, 1 },	/* relay-from */
	{ "a@near.example", "::1", CLASS_MAIL, 1 },
	{ "a@near.example", "192.0.2.7", CLASS_MAIL, 0 },	/* a stranger */
	{ "a@near.example", "2001:db8::1", CLASS_MAIL, 0 },
	{ "", NULL, CLASS_MAIL, 0 },
	{ "", "127.0.0.1", CLASS_MAIL, 0 },
	{ "a@near.example", NULL, CLASS_REQUIRETLS, 1 },
	{ "a@near.example", NULL, CLASS_TLS_OPTIONAL, 1 },
};

static void
whose_delays_are_told(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(senders); i++) {
		struct world *world = new_world(quick, COUNT(quick));
		struct request request = plain;

		request.sender = senders[i].sender;
		request.client = senders[i].client;
		request.class = senders[i].class;
		take(world, &request);
		clock_offset_s += 5 * HOUR_S;
		defer_all(world);
		if (count_notices(world) != senders[i].told +
		    (request.sender[0] == '\0'))
			fail_msg("row %zu", i);
		if (senders[i].told) {
			assert_logged("action=delayed");
			/* RTLS-5-1 */
			assert_int_equal(notice_class(world),
			    request.class == CLASS_REQUIRETLS ?
			    CLASS_REQUIRETLS : CLASS_MAIL);
		} else {
			assert_false(logged("action=delayed"));
		}
		end_world(&world);
	}
}

/* What it says, and what it does not return. */
static void
a_delay_says_all(void **state)
{
	char *const full[] = { (char[]){ "retry=1m" },
	    (char[]){ "bounce-body=full" }, (char[]){ "expire=5d" } };
	struct world *world = new_world(full, COUNT(full));
	struct request request = plain;

	(void)state;
	request.envid = "aB+2B1";
	request.orcpt = "rfc822;UsEr+2Btag@Old.example";
	request.ret = RET_FULL;
	take(world, &request);
	clock_offset_s += 5 * HOUR_S;
	defer_all(world);
	assert_int_equal(count_notices(world), 1);
	assert_says(world, "Original-Envelope-Id: aB+1\r\n");
	assert_says(world, "Original-Recipient: rfc822; "
	    "UsEr+tag@Old.example\r\nFinal-Recipient: rfc822; "
	    "b@far.example\r\nAction: delayed\r\nStatus: 4.7.5\r\n");
	assert_says(world, "Will-Retry-Until: ");
	assert_says(world, "its certificate expired");
	assert_says(world, "Rule: sts (RFC 8461 5)\r\n");
	assert_says(world, "What helps: renew the certificate\r\n");
	assert_says(world, "Next try: ");
	assert_says(world, "Tried until: ");
	assert_says(world, "Auto-Submitted: auto-replied\r\n");
	/* RET=FULL is for what failed: DSN-3461-6.2-1 */
	assert_says(world, "Content-Type: text/rfc822-headers");
	assert_says_not(world, "\r\nbody\r\n");
	end_world(&world);
}

/* Not by a tick: only an attempt that fails past `warn` tells. */
static void
told_after_an_attempt(void **state)
{
	char *const soon[] = { (char[]){ "retry=1h" },
	    (char[]){ "warn=10m" } };
	struct world *world = new_world(soon, COUNT(soon));
	struct d_due due;

	(void)state;
	take(world, &plain);
	defer_all(world);
	assert_int_equal(count_notices(world), 0);
	clock_offset_s += 20 * 60;	/* past warn, not due */
	turns_for(world, 30);
	assert_int_equal(count_notices(world), 0);
	clock_offset_s += 2 * HOUR_S;
	connect_delivery(world);
	say_synced(world);
	due = expect_due(world, "far.example");
	turns_for(world, 30);
	assert_int_equal(count_notices(world), 0);
	say_ended(world, due.destination, OUTCOME_DEFERRED, "4.4.1", "no");
	turns(world);
	assert_int_equal(count_notices(world), 1);
	end_world(&world);
}

static void
told_once_across_restarts(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));

	(void)state;
	take(world, &plain);
	for (int i = 0; i < 6; i++) {
		clock_offset_s += 5 * HOUR_S;
		defer_all(world);
		assert_int_equal(times_logged("action=delayed"), 1);
		stop_queue(world);
		start_queue(world);
	}
	assert_int_equal(count_notices(world), 1);
	end_world(&world);
}

/* Each when it has waited itself, however many came before or after. */
static void
each_in_its_time(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	char sender[32];

	(void)state;
	for (int hour = 0; hour < 12; hour++) {
		if (hour < 6) {
			struct request request = plain;

			snprintf(sender, sizeof(sender), "a%d@near.example",
			    hour);
			request.sender = sender;
			take(world, &request);
		}
		defer_all(world);
		/* taken at 0 and waiting at 4: told then, the next at 5 */
		assert_int_equal(times_logged("action=delayed"), hour < 4 ? 0 :
		    hour < 10 ? hour - 3 : 6);
		clock_offset_s += HOUR_S;
	}
	for (int i = 0; i < 6; i++) {
		snprintf(sender, sizeof(sender), "to=a%d@near.example", i);
		assert_int_equal(times_logged(sender), 1);
	}
	end_world(&world);
}

/* More than one slice of them, of one message and of many. */
static void
many_are_told(void **state)
{
	static char addresses[250][32];
	static const char *recipients[251];
	struct world *world = new_world(quick, COUNT(quick));
	struct request request = plain;

	(void)state;
	for (int i = 0; i < 250; i++) {
		snprintf(addresses[i], sizeof(addresses[i]),
		    "b%d@far.example", i);
		recipients[i] = addresses[i];
	}
	take_request(world, &request, recipients);
	request.sender = "c@near.example";
	for (int i = 0; i < 30; i++)
		take(world, &request);
	clock_offset_s += 5 * HOUR_S;
	defer_all(world);
	turns(world);
	/* 250 in slices of 100: a notification each */
	assert_int_equal(times_logged("to=a@near.example outcome=queued"), 3);
	assert_int_equal(times_logged("to=c@near.example outcome=queued"),
	    30);
	clock_offset_s += 5 * HOUR_S;
	defer_all(world);
	assert_int_equal(times_logged("action=delayed"), 33);
	end_world(&world);
}

/* ---- RET ---- */

static const struct {
	const char	*keyword;
	enum dsn_ret	 ret;
	uint32_t	 class;
	bool		 whole;
} returns[] = {
	{ "bounce-body=headers", RET_NONE, CLASS_MAIL, false },
	{ "bounce-body=headers", RET_HDRS, CLASS_MAIL, false },
	{ "bounce-body=headers", RET_FULL, CLASS_MAIL, true },
	{ "bounce-body=full", RET_NONE, CLASS_MAIL, true },
	{ "bounce-body=full", RET_HDRS, CLASS_MAIL, false },
	{ "bounce-body=full", RET_FULL, CLASS_MAIL, true },
	/* RTLS-5-2 */
	{ "bounce-body=full", RET_FULL, CLASS_REQUIRETLS, false },
};

static void
what_is_returned(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(returns); i++) {
		char keyword[32];
		char *const overrides[] = { keyword };
		struct request request = plain;
		struct world *world;

		strcpy(keyword, returns[i].keyword);
		world = new_world(overrides, 1);
		request.ret = returns[i].ret;
		request.class = returns[i].class;
		say_synced(world);
		take(world, &request);
		attempt(world, OUTCOME_FAILED, false);
		assert_says(world, "Subject: x\r\n");
		if (returns[i].whole)
			assert_says(world, "\r\nbody\r\n");
		else
			assert_says_not(world, "\r\nbody\r\n");
		end_world(&world);
	}
}

/* One of two failed, the other was handed on: one notification of both. */
static void
both_in_one(void **state)
{
	static const char *const two[] = { "b@far.example", "c@far.example",
	    NULL };
	struct world *world = new_world(quick, COUNT(quick));
	struct request request = plain;
	struct d_result result = { .outcome = OUTCOME_DELIVERED, .code = 250,
	    .host = "mx.far.example", .enhanced = "2.0.0",
	    .reply = "250 ok" };
	struct d_job job;

	(void)state;
	request.notify = S | F;
	request.ret = RET_FULL;
	say_synced(world);
	take_request(world, &request, two);
	job = draw(world, "far.example");
	assert_int_equal(job.recipients, 2);
	result.job = job.job;
	result.message = job.message;
	result.session = job.session;
	result.destination = job.destination;
	result.sequence = ++world->sequence;
	strcpy(result.recipient, two[0]);
	say(&world->delivery, D_RESULT, &result);
	result.sequence = ++world->sequence;
	strcpy(result.recipient, two[1]);
	result.outcome = OUTCOME_FAILED;
	result.code = 550;
	strcpy(result.enhanced, "5.1.1");
	say(&world->delivery, D_RESULT, &result);
	settle_all(world);
	assert_int_equal(count_notices(world), 1);
	assert_says(world, "Final-Recipient: rfc822; b@far.example\r\n"
	    "Action: relayed\r\n");
	assert_says(world, "Final-Recipient: rfc822; c@far.example\r\n"
	    "Action: failed\r\n");
	assert_says(world, "\r\nbody\r\n");
	end_world(&world);
}

/* ---- handed on to delivery ---- */

static void
requests_reach_delivery(void **state)
{
	static const char *const two[] = { "b@far.example", "C@far.example",
	    NULL };
	char envid[ENVID_TEXT_MAX], orcpt[ORCPT_TEXT_MAX];
	struct world *world = new_world(quick, COUNT(quick));
	struct request request = plain;
	struct d_due due;

	(void)state;
	memset(envid, 'e', sizeof(envid) - 1);
	envid[sizeof(envid) - 1] = '\0';
	memset(orcpt, 'o', sizeof(orcpt) - 1);
	memcpy(orcpt, "rfc822;+2B", 10);
	orcpt[sizeof(orcpt) - 1] = '\0';
	request.envid = envid;
	request.orcpt = orcpt;
	request.ret = RET_HDRS;
	request.notify = S | D;
	take_request(world, &request, two);
	for (int round = 0; round < 2; round++) {
		const struct d_job *job;

		say_synced(world);
		due = expect_due(world, "far.example");
		ask_next(world, due.destination, 1);
		job = expect(world, &world->delivery, D_JOB);
		assert_int_equal(job->ret, RET_HDRS);
		assert_string_equal(job->envid, envid);
		for (uint32_t i = 0; i < 2; i++) {
			const struct d_rcpt *rcpt = expect(world,
			    &world->delivery, D_RCPT);

			assert_string_equal(rcpt->recipient, two[i]);
			assert_int_equal(rcpt->notify, S | D);
			assert_string_equal(rcpt->orcpt, orcpt);
		}
		/* and after a restart as well */
		stop_queue(world);
		start_queue(world);
	}
	end_world(&world);
}

static void
nothing_is_made_up(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	struct d_due due;
	const struct d_job *job;
	const struct d_rcpt *rcpt;

	(void)state;
	say_synced(world);
	take(world, &plain);
	due = expect_due(world, "far.example");
	ask_next(world, due.destination, 1);
	job = expect(world, &world->delivery, D_JOB);
	assert_int_equal(job->ret, RET_NONE);
	assert_string_equal(job->envid, "");
	rcpt = expect(world, &world->delivery, D_RCPT);
	assert_int_equal(rcpt->notify, 0);
	assert_string_equal(rcpt->orcpt, "");
	end_world(&world);
}

/* An smtpd that was taken over adds no line to what a worker says. */
static void
requests_are_one_word(void **state)
{
	static const char *const texts[] = { "x\r\nDATA", "\n", "a b", "\x7f",
	    "\xc3\xa4" };
	struct world *world = new_world(quick, COUNT(quick));

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct q_open open = { .id = queue_id_new(),
		    .class = CLASS_MAIL };
		struct q_rcpt rcpt = { .recipient = "b@far.example" };
		const struct q_rcpt_answer *answer;
		const struct q_refused *refused;

		set_text(open.envid, sizeof(open.envid), texts[i]);
		say(&world->smtpd, Q_OPEN, &open);
		refused = expect(world, &world->smtpd, Q_REFUSED);
		assert_int_equal(refused->code, 451);
		rcpt.id = open_message(world, "a@near.example", 100);
		set_text(rcpt.orcpt, sizeof(rcpt.orcpt), texts[i]);
		say(&world->smtpd, Q_RCPT, &rcpt);
		answer = expect(world, &world->smtpd, Q_RCPT_ANSWER);
		assert_int_equal(answer->code, 451);
	}
	assert_int_equal(count_messages(world), 0);
	end_world(&world);
}

/* ---- no storm ---- */

/* Fail all that is due at once. */
static void
fail_all(struct world *world)
{
	struct d_due due = far_is_due(world);

	say_ended(world, due.destination, OUTCOME_FAILED, "5.1.2",
	    "far.example does not exist");
	for (int i = 0; i < 10; i++)
		turns(world);
}

static void
a_hundred_an_hour(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	struct request request = plain;

	(void)state;
	for (int i = 0; i < 130; i++)
		take(world, &request);
	request.sender = "other@near.example";
	for (int i = 0; i < 10; i++)
		take(world, &request);
	fail_all(world);
	assert_int_equal(times_logged("to=a@near.example outcome=queued"),
	    100);
	assert_int_equal(times_logged("to=a@near.example outcome=limited"),
	    30);
	/* somebody else has an hour of his own */
	assert_int_equal(times_logged("to=other@near.example outcome=queued"),
	    10);
	assert_int_equal(count_notices(world), 110);
	/* the same mailbox in capitals is no other */
	request.sender = "A@near.example";
	take(world, &request);
	fail_all(world);
	assert_int_equal(times_logged("to=A@near.example outcome=limited"),
	    1);
	/* an hour later */
	uptime_offset_s += HOUR_S + 1;
	take(world, &plain);
	fail_all(world);
	assert_int_equal(times_logged("to=a@near.example outcome=queued"),
	    101);
	uptime_offset_s = 0;
	end_world(&world);
}

/* More return paths than are counted at a time: all are told. */
static void
many_return_paths(void **state)
{
	struct world *world = new_world(quick, COUNT(quick));
	struct request request = plain;
	char sender[40];

	(void)state;
	request.sender = sender;
	for (int i = 0; i < 600; i++) {
		snprintf(sender, sizeof(sender), "s%d@near.example", i);
		take(world, &request);
	}
	fail_all(world);
	assert_int_equal(times_logged("outcome=queued"), 600);
	assert_int_equal(times_logged("outcome=limited"), 0);
	end_world(&world);
}

/* A notification that fails, waits or is handed on makes no other. */
static void
no_loops(void **state)
{
	static const uint32_t notify[] = { 0, S, F, D, S | F | D, N };

	(void)state;
	for (size_t i = 0; i < COUNT(notify); i++)
		for (int outcome = OUTCOME_DELIVERED;
		    outcome <= OUTCOME_FAILED; outcome++) {
			struct world *world = new_world(quick, COUNT(quick));
			struct request request = plain;

			request.sender = "";
			request.client = NULL;
			request.notify = notify[i];
			take(world, &request);
			clock_offset_s += 5 * HOUR_S;
			connect_delivery(world);
			say_synced(world);
			attempt(world, (enum outcome)outcome, false);
			assert_int_equal(count_messages(world),
			    outcome == OUTCOME_DEFERRED);
			assert_false(logged("outcome=queued"));
			end_world(&world);
		}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		{ "DSN-3461-5.2.6-1, DSN-3461-5.2.2-3 failure is told who "
		    "wants to know it", failure_is_told_who_wants_it, NULL,
		    NULL, NULL },
		{ "DSN-3461-5.2.6-1, DSN-3461-5.2.2-3 expiry is told who "
		    "wants to know it", expiry_is_told_who_wants_it, NULL,
		    NULL, NULL },
		{ "DSN-3461-5.2.2-2, DSN-3461-5.2.1-4, DSN-3464-2.3.3-2 what "
		    "was handed on to a server without DSN is told who asked",
		    success_is_told_who_wants_it, NULL, NULL, NULL },
		{ "DSN-3461-5.2.5-1, DSN-3461-5.2.2-3 a delay is told who "
		    "wants to know it, once", delay_is_told_who_wants_it,
		    NULL, NULL, NULL },
		{ "DSN-3461-5.2-1, RTLS-5-1 whose delays are told",
		    whose_delays_are_told, NULL, NULL, NULL },
		{ "DSN-3461-6.2-1, DSN-3461-6.3-1, DSN-3464-2.3.9-1, "
		    "DSN-3834-3.1.7-1 a delay says all", a_delay_says_all,
		    NULL, NULL, NULL },
		{ "a delay is told after an attempt, not by a tick",
		    told_after_an_attempt, NULL, NULL, NULL },
		{ "DSN-3461-5.2.5-1 once, across restarts",
		    told_once_across_restarts, NULL, NULL, NULL },
		{ "each message in its own time", each_in_its_time, NULL,
		    NULL, NULL },
		{ "DSN-3464-2-5 more than one slice of a destination",
		    many_are_told, NULL, NULL, NULL },
		{ "DSN-3461-4.3-1, DSN-3461-6.2-1, RTLS-5-2 RET and "
		    "bounce-body", what_is_returned, NULL, NULL, NULL },
		{ "DSN-3464-2-5 a failure and a success in one",
		    both_in_one, NULL, NULL, NULL },
		{ "DSN-3461-5.2.1-1 requests reach delivery as they came",
		    requests_reach_delivery, NULL, NULL, NULL },
		{ "DSN-3461-5.2.1-2, DSN-3464-2.2.1-2 nothing is made up",
		    nothing_is_made_up, NULL, NULL, NULL },
		{ "a request that is more than a word is refused",
		    requests_are_one_word, NULL, NULL, NULL },
		{ "a hundred an hour to one return path, and a line for each "
		    "further one", a_hundred_an_hour, NULL, NULL, NULL },
		{ "many return paths are all told", many_return_paths, NULL,
		    NULL, NULL },
		{ "DSN-3461-5.2-1, DSN-3834-5-1 a notification makes no other",
		    no_loops, NULL, NULL, NULL },
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("queue_notice", tests, NULL, NULL);
}
