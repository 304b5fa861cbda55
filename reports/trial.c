/*
 * One receiver, once: how does the report get to it, and what came of that?
 *
 * Called by life.c.  A trial:
 *
 *	begin	that it is made is to be written: who comes after a crash
 *		knows that the receiver may have it, and waits for the next
 *		time
 *	ready	that is on disk; it leaves when there is room
 *	out	it is with queue or fetch
 *	end	its result is to be written
 *
 * A mail whose answer was lost is asked for by its key before it is handed in
 * again; a document over https may be seen twice, with the same report-id,
 * but only if the answer to the first was lost (T36).  Each receiver is
 * tracked for itself (T37), and nothing is said of it before it answered
 * (T38).
 */
#include "reports/work.h"

#include "conf/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BEGUN_S		330	/* next time, if we never hear of this one */
#define NO_QUEUE_MS	60000
#define ASK_MIN_S	60	/* what became of a mail? */
#define ASK_MAX_S	3600
#define NO_KEY_S	3600
#define ATTEMPTS_FOR_S	86400
#define REFUSALS_MAX	3
#define ALONE_DAYS	30
#define KEY_MAX		64
#define POSTS_A_HOST	(POSTER_MAX / 2)
/* With their beginning written, until there is a place for a post. */
#define WAITS_MAX	256
#define WAITS_A_HOST	64

enum trial_step { STEP_BEGIN, STEP_READY, STEP_OUT, STEP_END };

enum ending {
	ENDING_ACCEPTED,
	ENDING_REFUSED,		/* for good */
	ENDING_LOCAL,		/* by ourselves */
	ENDING_EXPIRED,		/* queue tried it long enough */
	ENDING_LATER,		/* try again, if there is time */
	ENDING_OWED,		/* queue has it: ask again */
	ENDING_NO_KEY,		/* a mail that nobody would sign */
	ENDING_ALONE		/* it has its peace */
};

struct trial {
	struct work		*work;
	uint32_t		 n;
	struct rua_receiver	 to;
	enum trial_step	 step;
	bool			 written;	/* in this turn */
	bool			 asks;		/* queue may have it */
	bool			 posting;	/* counted in life */
	int64_t			 ready_ms;	/* since, monotonic */
	/* the end */
	enum ending		 ending;
	bool			 refusal;	/* it was its answer */
	const char		*tls;		/* for the log */
	uint32_t		 code;
	char			 text[512];
	const char		*said;		/* outcome; NULL: no line */
};

/* ---- ends ---- */

static void
trial_end(struct trial *trial, enum ending ending, uint32_t code,
    const char *text)
{
	trial->step = STEP_END;
	trial->ending = ending;
	trial->code = code;
	snprintf(trial->text, sizeof(trial->text), "%s", text);
	if (trial->posting)
		trial->work->life->posting--;
	trial->posting = false;
}

/* Once a day, and for all of them: not a line for each (RPT-3-16). */
static void
say_no_key(struct life *life)
{
	int64_t today = loop_wall_s() / DAY_S;
	struct event event;

	if (life->no_key_day == today)
		return;
	life->no_key_day = today;
	event_begin(&event, LOG_LEVEL_INFO, "report");
	event_text(&event, "outcome", "deferred");
	event_text(&event, "text", "no dkim key signs for the domain of "
	    "report-from: reports by mail wait");
	event_text(&event, "clause", "RFC 8460 3");
	event_end(&event);
}

static void
count_refusal(struct trial *trial, int64_t now_s)
{
	struct book *book = trial->work->life->book;
	struct refuser refuser;

	book_get_refuser(book, trial->to.uri, &refuser);
	if (refuser.refusals < REFUSALS_MAX)
		refuser.refusals++;
	if (refuser.refusals == REFUSALS_MAX)
		refuser.until_s = now_s + (int64_t)ALONE_DAYS * DAY_S;
	book_put_refuser(book, trial->to.uri, &refuser);
}

static void
stop_trying(struct receiver_state *receiver, enum receiver_phase phase)
{
	receiver->phase = phase;
	receiver->next_s = 0;
}

/* RPT-5.5-1, RPT-5.5-2 RFC 8460 5.5 */
static void
write_later(struct trial *trial, const struct report_state *report,
    struct receiver_state *receiver, int64_t now_s)
{
	unsigned attempts = receiver->attempts > 0 ? receiver->attempts : 1;
	int64_t delay_s = life_retry_s(attempts, report->first_s, now_s);

	receiver->phase = RECEIVER_WAITING;
	receiver->next_s = now_s + delay_s;
	trial->said = "deferred";
	if (delay_s >= 0)
		return;
	stop_trying(receiver, RECEIVER_REFUSED);
	trial->said = "given-up";
	if (trial->refusal)
		count_refusal(trial, now_s);
}

/* RPT-3-16 RFC 8460 3: it waits for a key, for a day. */
static void
write_no_key(struct trial *trial, const struct report_state *report,
    struct receiver_state *receiver, int64_t now_s)
{
	int64_t end_s = report->first_s + ATTEMPTS_FOR_S;

	say_no_key(trial->work->life);
	receiver->phase = RECEIVER_WAITING;
	receiver->next_s = now_s + NO_KEY_S < end_s ? now_s + NO_KEY_S : end_s;
	trial->said = NULL;
	if (now_s < end_s)
		return;
	stop_trying(receiver, RECEIVER_REFUSED);
	trial->said = "given-up";
}

/* Soon at first, each hour in the end. */
static void
write_owed(struct trial *trial, struct receiver_state *receiver,
    int64_t now_s)
{
	int64_t age_s;

	if (receiver->last_s == 0)
		receiver->last_s = now_s;
	age_s = now_s - receiver->last_s;
	receiver->phase = RECEIVER_OWED;
	receiver->next_s = now_s + (age_s < ASK_MIN_S ? ASK_MIN_S :
	    age_s > ASK_MAX_S ? ASK_MAX_S : age_s);
	trial->said = NULL;
}

static void
write_ending(struct trial *trial, const struct report_state *report,
    struct receiver_state *receiver, int64_t now_s)
{
	switch (trial->ending) {
	case ENDING_ACCEPTED:	/* RPT-7-2 RFC 8460 7: never again */
		stop_trying(receiver, RECEIVER_ACCEPTED);
		trial->said = "accepted";
		order_forgive(trial->work->life->book, trial->to.uri);
		break;
	case ENDING_REFUSED:
		stop_trying(receiver, RECEIVER_REFUSED);
		trial->said = "refused";
		count_refusal(trial, now_s);
		break;
	case ENDING_LOCAL:
		stop_trying(receiver, RECEIVER_REFUSED);
		trial->said = "refused";
		break;
	case ENDING_EXPIRED:
		stop_trying(receiver, RECEIVER_REFUSED);
		trial->said = "given-up";
		break;
	case ENDING_ALONE:
		stop_trying(receiver, RECEIVER_LEFT_ALONE);
		trial->said = "given-up";
		break;
	case ENDING_LATER:
		write_later(trial, report, receiver, now_s);
		break;
	case ENDING_NO_KEY:
		write_no_key(trial, report, receiver, now_s);
		break;
	case ENDING_OWED:
		write_owed(trial, receiver, now_s);
		break;
	}
}

static void
write_end(struct trial *trial, const struct report_state *report,
    struct receiver_state *receiver, int64_t now_s)
{
	if (trial->ending != ENDING_OWED && trial->ending != ENDING_ALONE &&
	    trial->ending != ENDING_NO_KEY)
		receiver->last_s = now_s;
	receiver->code = trial->code;
	receiver->unverified = strcmp(trial->tls, "unverified") == 0;
	slice_store(slice_of(trial->text), receiver->text,
	    sizeof(receiver->text));
	write_ending(trial, report, receiver, now_s);
}

/* ---- beginnings ---- */

/*
 * Of one that queue may have only the time to ask again is written; last_s 0:
 * whether it has it, is not known.
 */
static void
write_begin(struct trial *trial, const struct report_state *report,
    struct receiver_state *receiver, int64_t now_s)
{
	int64_t delay_s;

	if (trial->asks) {
		receiver->next_s = now_s + ASK_MAX_S;
		return;
	}
	receiver->attempts++;
	delay_s = life_retry_s(receiver->attempts, report->first_s, now_s);
	receiver->next_s = now_s + (delay_s < 0 ? BEGUN_S : delay_s);
	if (trial->to.scheme != RUA_MAILTO)
		return;
	receiver->phase = RECEIVER_OWED;
	receiver->last_s = 0;
	receiver->code = 0;
	snprintf(receiver->text, sizeof(receiver->text), "handed to the "
	    "queue");
}

void
trial_write(struct trial *trial, int64_t now_s)
{
	struct work *work = trial->work;
	struct receiver_state receiver;
	struct report_state report;

	if (trial->step != STEP_BEGIN && trial->step != STEP_END)
		return;
	trial->written = true;
	trial->said = NULL;
	if (!work_get_report(work, &report) ||
	    !work_get_receiver(work, &report, trial->n, &receiver))
		return;
	if (trial->step == STEP_BEGIN)
		write_begin(trial, &report, &receiver, now_s);
	else
		write_end(trial, &report, &receiver, now_s);
	work_put_receiver(work, &report, &receiver);
	work_settle(work, &report);
	book_want_flush(work->life->book);
}

/* ---- by mail ---- */

static void	on_key(void *context, const struct q_key *);

static void
key_print(const struct trial *trial, const struct report_state *report,
    char key[KEY_MAX])
{
	snprintf(key, KEY_MAX, "report-%016llx-%u",
	    (unsigned long long)report->number, trial->n);
}

/* A copy of what was counted, with who reports. */
static bool
load(const struct trial *trial, const struct report_state *state,
    struct region *region, struct report *report)
{
	const struct work *work = trial->work;

	if (work->extra != NULL && work->extra->region != NULL)
		*report = work->extra->report;
	else if (!book_load(work->life->book, work->day, work->domain, region,
	    report))
		return false;
	report->number = state->number;
	return true;
}

static void
make_document(const struct report *report, const struct reporter *reporter,
    struct buffer *gzip)
{
	struct buffer json = { NULL, 0, 0 };

	report_json(report, reporter, &json);
	report_gzip((struct slice){ json.text, json.len }, gzip);
	buffer_free(&json);
}

static void
on_mailed(void *context, enum mailed mailed, uint32_t code, const char *text)
{
	struct trial *trial = context;

	if (mailed == MAILED_TAKEN) {
		trial_end(trial, ENDING_OWED, 0, "in the queue");
	} else if (mailed == MAILED_NOT) {
		trial_end(trial, ENDING_LATER, code, text);
	} else {
		trial->asks = true;
		trial->step = STEP_READY;
		trial->ready_ms = loop_now_ms();
	}
}

/* Who gets mail for it?  Not always who is named.  False: nobody. */
static bool
find_recipient(const struct trial *trial, char text[MAILBOX_TEXT_MAX])
{
	const struct config *config = trial->work->life->config;
	struct mailbox recipient = trial->to.mailbox;

	if (config_is_local(config, &recipient.domain) &&
	    config_lead_local(config, &recipient) != LOCAL_TAKEN)
		return false;
	mailbox_print(&recipient, text);
	return true;
}

static void
hand_in(struct trial *trial, const struct report_state *state)
{
	struct life *life = trial->work->life;
	struct buffer gzip = { NULL, 0, 0 }, message = { NULL, 0, 0 };
	struct region *region = region_new();
	char key[KEY_MAX], recipient[MAILBOX_TEXT_MAX];
	struct reporter_texts texts;
	const struct reporter *reporter = reporter_of(life->config, &texts);
	struct report report;

	key_print(trial, state, key);
	if (!find_recipient(trial, recipient)) {
		trial_end(trial, ENDING_LOCAL, 0, "it is local here, and "
		    "nobody takes it");
	} else if (load(trial, state, region, &report)) {
		make_document(&report, reporter, &gzip);
		report_mail(&report, reporter, &trial->to.mailbox,
		    (struct slice){ gzip.text, gzip.len }, loop_wall_s(),
		    &message);
		trial->step = STEP_OUT;
		mailer_send(life->mailer, key, texts.from, recipient,
		    &message, on_mailed, trial);
	} else {
		trial_end(trial, ENDING_EXPIRED, 0, "its counts are gone");
	}
	buffer_free(&gzip);
	region_free(&region);
}

/* It was taken once, and longer ago than the queue tries or remembers? */
static bool
is_over(const struct trial *trial)
{
	const struct work *work = trial->work;
	struct receiver_state receiver;
	struct report_state report;

	return !work_get_report(work, &report) ||
	    !work_get_receiver(work, &report, trial->n, &receiver) ||
	    (receiver.last_s != 0 &&
	    loop_wall_s() >= receiver.last_s + ATTEMPTS_FOR_S);
}

/* Queue never had it, or has it no more. */
static void
on_unknown_key(struct trial *trial)
{
	if (is_over(trial)) {
		trial_end(trial, ENDING_EXPIRED, 0, "what became of it is "
		    "not known");
	} else if (!config_signs_reports(trial->work->life->config)) {
		trial_end(trial, ENDING_NO_KEY, 0, "no dkim key");
	} else {
		trial->asks = false;
		trial->step = STEP_READY;
		trial->ready_ms = loop_now_ms();
	}
}

/* "mx.example.net: 550 5.1.1 no such user" */
static void
end_by_key(struct trial *trial, enum ending ending,
    const struct q_key *key)
{
	struct buffer text = { NULL, 0, 0 };

	if (key->host[0] != '\0')
		buffer_printf(&text, "%s: ", key->host);
	buffer_printf(&text, "%s", key->text);
	trial_end(trial, ending, key->code, text.text);
	buffer_free(&text);
}

static void
on_key(void *context, const struct q_key *key)
{
	struct trial *trial = context;

	if (key == NULL || key->state == KEY_OWED)
		trial_end(trial, ENDING_OWED, 0, "in the queue");
	else if (key->state == KEY_ACCEPTED)
		end_by_key(trial, ENDING_ACCEPTED, key);
	else if (key->state == KEY_REFUSED)
		end_by_key(trial, ENDING_REFUSED, key);
	else if (key->state == KEY_EXPIRED)
		end_by_key(trial, ENDING_EXPIRED, key);
	else
		on_unknown_key(trial);
}

/* Queue is gone: nothing was handed in, or it is asked for later. */
static void
end_without_queue(struct trial *trial)
{
	if (loop_now_ms() < trial->ready_ms + NO_QUEUE_MS ||
	    mailer_is_linked(trial->work->life->mailer))
		return;
	if (trial->asks)
		trial_end(trial, ENDING_OWED, 0, "in the queue");
	else
		trial_end(trial, ENDING_LATER, 0, "our own queue is gone");
}

static void
leave_by_mail(struct trial *trial, const struct report_state *state)
{
	struct mailer *mailer = trial->work->life->mailer;
	char key[KEY_MAX];

	if (trial->asks && mailer_is_linked(mailer)) {
		key_print(trial, state, key);
		trial->step = STEP_OUT;
		mailer_ask(mailer, key, on_key, trial);
	} else if (!trial->asks && mailer_has_room(mailer)) {
		hand_in(trial, state);
	} else {
		end_without_queue(trial);
	}
}

/* ---- over https ---- */

static void
on_posted(void *context, const struct f_posted *posted)
{
	struct trial *trial = context;

	if (posted->verified)
		trial->tls = "verified";
	else if (posted->status != 0 || posted->outcome == POST_ACCEPTED)
		trial->tls = "unverified";	/* RPT-3-8 RFC 8460 3 */
	/* RPT-5.4-2 RFC 8460 5.4: any answer but 2xx is tried again */
	trial->refusal = posted->outcome == POST_REFUSED;
	trial_end(trial, posted->outcome == POST_ACCEPTED ?
	    ENDING_ACCEPTED : ENDING_LATER, posted->status, posted->text);
}

static void
post(struct trial *trial, struct f_post *what)
{
	const struct work *work = trial->work;
	struct buffer document = { NULL, 0, 0 };
	struct region *region = region_new();
	struct reporter_texts texts;
	struct report_state state;
	struct report report;

	if (work_get_report(work, &state) &&
	    load(trial, &state, region, &report)) {
		make_document(&report, reporter_of(work->life->config, &texts),
		    &document);
		poster_send(work->life->poster, what, &document, on_posted,
		    trial);
	} else {
		trial_end(trial, ENDING_EXPIRED, 0, "its counts are gone");
	}
	region_free(&region);
}

static void
on_pinned(void *context, const struct r_pinned *pinned)
{
	struct trial *trial = context;
	struct f_post *what;

	if (pinned->outcome != ROUTE_OK) {
		/* one that may not be used is no better than a no */
		trial->refusal = pinned->outcome == ROUTE_FAIL;
		trial_end(trial, ENDING_LATER, 0, pinned->text);
		return;
	}
	what = mem_alloc(sizeof(*what));
	/* RPT-3-7 RFC 8460 3: as it stands */
	slice_store(slice_of(trial->to.uri), what->url, sizeof(what->url));
	memcpy(what->host, trial->to.host, sizeof(what->host));
	what->port = trial->to.port;
	/* RPT-5.4-1 RFC 8460 5.4 */
	strcpy(what->media_type, "application/tlsrpt+gzip");
	what->addresses_len = pinned->addresses_len;
	memcpy(what->addresses, pinned->addresses, pinned->addresses_len);
	post(trial, what);
	free(what);
}

/* For this host, or NULL: for all: how many wait, or are with poster? */
static unsigned
count_trials(const struct life *life, const char *host, bool posting)
{
	const struct trial *trial;
	const struct work *work;
	unsigned n, found = 0;

	TAILQ_FOREACH(work, &life->works, works)
		for (n = 0; n < RUA_MAX; n++) {
			trial = work->trials[n];
			if (trial != NULL && (posting ? trial->posting :
			    trial_waits(trial)) && (host == NULL ||
			    strcmp(trial->to.host, host) == 0))
				found++;
		}
	return found;
}

bool
trial_waits(const struct trial *trial)
{
	return trial->to.scheme == RUA_HTTPS && !trial->posting &&
	    (trial->step == STEP_BEGIN || trial->step == STEP_READY);
}

/*
 * One that does not answer, under however many names, leaves room for others:
 * to post, and to wait for that.
 */
static bool
has_place(const struct life *life, const char *host)
{
	return life->posting < POSTER_MAX &&
	    count_trials(life, host, true) < POSTS_A_HOST;
}

static bool
may_wait(const struct life *life, const char *host)
{
	return count_trials(life, NULL, false) < WAITS_MAX &&
	    count_trials(life, host, false) < WAITS_A_HOST;
}

static void
leave_by_https(struct trial *trial)
{
	struct life *life = trial->work->life;

	life->posting++;
	trial->posting = true;
	trial->step = STEP_OUT;
	asker_pin(life->asker, trial->to.host, on_pinned, trial);
}

/* ---- a trial ---- */

/* The receiver that this URI names, as the record's reader has it. */
static bool
read_uri(const char *uri, struct rua_receiver *to)
{
	struct buffer record = { NULL, 0, 0 };
	struct rua *rua = mem_alloc(sizeof(*rua));
	struct slice text;
	bool found;

	buffer_printf(&record, "v=TLSRPTv1;rua=%s", uri);
	text = (struct slice){ record.text, record.len };
	found = rua_read(&text, 1, rua) == RUA_FOUND;
	if (found)
		*to = rua->receiver[0];
	buffer_free(&record);
	free(rua);
	return found;
}

/*
 * T51: who refused three reports is left alone; NULL: it is not.  A clock that
 * was wrong then does not make its peace longer.
 */
static const char *
peace_of(struct life *life, const char *uri, char text[128])
{
	int64_t now_s = loop_wall_s();
	char day[DAY_TEXT_MAX];
	struct refuser refuser;

	book_get_refuser(life->book, uri, &refuser);
	if (refuser.until_s <= now_s ||
	    refuser.until_s > now_s + (int64_t)ALONE_DAYS * DAY_S)
		return NULL;
	snprintf(text, 128, "refused three reports in a row, left alone "
	    "until %s", day_print((uint32_t)(refuser.until_s / DAY_S), day));
	return text;
}

struct trial *
trial_new(struct work *work, const struct receiver_state *receiver)
{
	struct trial *trial = mem_alloc(sizeof(*trial));
	bool owed = receiver->phase == RECEIVER_OWED;
	char peace[128];

	trial->work = work;
	trial->n = receiver->n;
	trial->tls = "none";
	trial->asks = owed;
	if (!read_uri(receiver->uri, &trial->to)) {
		slice_store(slice_of(receiver->uri), trial->to.uri,
		    sizeof(trial->to.uri));
		trial_end(trial, ENDING_EXPIRED, 0, "not a URI that is "
		    "served");
	} else if (!owed &&
	    peace_of(work->life, receiver->uri, peace) != NULL) {
		trial_end(trial, ENDING_ALONE, receiver->code, peace);
	} else if (!owed && trial->to.scheme == RUA_MAILTO &&
	    !config_signs_reports(work->life->config)) {
		trial_end(trial, ENDING_NO_KEY, 0, "no dkim key");
	} else if (trial_waits(trial) &&
	    !may_wait(work->life, trial->to.host)) {
		trial_free(&trial);
	}
	return trial;
}

void
trial_free(struct trial **trial)
{
	if (*trial == NULL)
		return;
	if ((*trial)->posting)
		(*trial)->work->life->posting--;
	free(*trial);
	*trial = NULL;
}

static void
trial_log(const struct trial *trial)
{
	struct work_line line = { .level = LOG_LEVEL_INFO,
	    .to = trial->to.uri, .outcome = trial->said,
	    .tls = trial->tls, .code = trial->code,
	    .text = trial->text };
	struct report_state state;

	if (trial->said == NULL)
		return;
	if (work_get_report(trial->work, &state))
		line.number = state.number;
	work_log(trial->work, &line);
}

static void
leave(struct trial *trial)
{
	struct report_state state;

	if (trial_waits(trial) && !has_place(trial->work->life,
	    trial->to.host))
		return;
	if (!work_get_report(trial->work, &state))
		trial_end(trial, ENDING_EXPIRED, 0, "its day is "
		    "forgotten");
	else if (trial->to.scheme == RUA_MAILTO)	/* RPT-5-1 */
		leave_by_mail(trial, &state);
	else
		leave_by_https(trial);
}

bool
trial_turn_ended(struct trial *trial, bool kept)
{
	bool written = trial->written && kept;

	trial->written = false;
	if (written && trial->step == STEP_END) {
		trial_log(trial);
		return true;
	}
	if (written && trial->step == STEP_BEGIN) {
		trial->step = STEP_READY;
		trial->ready_ms = loop_now_ms();
	}
	if (trial->step == STEP_READY)
		leave(trial);
	return false;
}
