/*
 * Which report is to be taken up now, and how far is it?
 *
 * Called by main.c at both ends of each turn, and by ctl.c (`report send').
 * What a report is, stands in the book (enum report_phase); a work is what is
 * being done for one of them at the moment, at most WORKS_MAX.  A work that
 * dies with the program is found again by the time that was written before it
 * began.
 *
 * A timer looks at the wall clock once a minute at least, for it may jump.
 * While it is not believed (steady.h) nothing becomes due and nothing is
 * forgotten, or half a day would leave as a whole one; what is being done goes
 * on.
 */
#include "reports/work.h"

#include "conf/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BEGIN_MS	3000	/* after the start: links are there by then */
#define LOOK_MS		60000
#define HOLD_MS		5000	/* after a lost turn */
#define LOOKS_A_TURN	64
#define WALKS_A_TURN	100
#define AGAIN_S		60
#define PLACE_S		20	/* until one more may wait to be posted */
/* No report and no receiver waits longer than that for its next time. */
#define NEXT_MAX_S	86400
#define FORGET_MS	3600000
#define TEXT_PAUSE_MS	60000
#define TEXT_TRIES	3

/* ---- states ---- */

bool
work_get_report(const struct work *work, struct report_state *state)
{
	if (work->extra == NULL)
		return book_get_report(work->life->book, work->day,
		    work->domain, state);
	*state = work->extra->state;
	return true;
}

void
work_put_report(struct work *work, const struct report_state *state)
{
	if (work->extra == NULL)
		book_put_report(work->life->book, state);
	else
		work->extra->state = *state;
}

bool
work_get_receiver(const struct work *work, const struct report_state *state,
    uint32_t n, struct receiver_state *receiver)
{
	if (work->extra == NULL)
		return book_get_receiver(work->life->book, state, n,
		    receiver);
	*receiver = work->extra->receivers[n];
	return true;
}

void
work_put_receiver(struct work *work, const struct report_state *state,
    const struct receiver_state *receiver)
{
	if (work->extra == NULL)
		book_put_receiver(work->life->book, state, receiver);
	else
		work->extra->receivers[receiver->n] = *receiver;
}

static bool
is_open(const struct receiver_state *receiver)
{
	return receiver->phase == RECEIVER_WAITING ||
	    receiver->phase == RECEIVER_OWED;
}

/* RPT-3-23 RFC 8460 3: done only when at least one of them accepted it. */
void
work_settle(struct work *work, struct report_state *state)
{
	struct receiver_state receiver;
	bool accepted = false, open = false;
	int64_t next_s = 0;
	uint32_t n;

	state->why[0] = '\0';
	for (n = 0; n < state->receivers; n++) {
		if (!work_get_receiver(work, state, n, &receiver))
			continue;
		accepted |= receiver.phase == RECEIVER_ACCEPTED;
		if (receiver.phase != RECEIVER_ACCEPTED)
			slice_store(slice_of(receiver.text).len <
			    sizeof(state->why) ? slice_of(receiver.text) :
			    (struct slice){ receiver.text,
			    sizeof(state->why) - 1 }, state->why,
			    sizeof(state->why));
		if (!is_open(&receiver))
			continue;
		if (!open || receiver.next_s < next_s)
			next_s = receiver.next_s;
		open = true;
	}
	state->phase = open ? REPORT_SENDING : accepted ? REPORT_DONE :
	    REPORT_GIVEN_UP;
	state->next_s = !open ? 0 : next_s > 0 ? next_s : 1;
	if (state->phase == REPORT_DONE)
		state->why[0] = '\0';
	work_put_report(work, state);
}

void
work_log(const struct work *work, const struct work_line *line)
{
	char day[DAY_TEXT_MAX], id[REPORT_ID_MAX];
	struct report report = { .day = work->day, .number = line->number };
	struct reporter_texts texts;
	struct event event;

	memcpy(report.domain, work->domain, sizeof(report.domain));
	event_begin(&event, line->level, "report");
	event_text(&event, "domain", work->domain);
	event_text(&event, "day", day_print(work->day, day));
	event_text(&event, "id", line->number == 0 ? "" : report_id(&report,
	    reporter_of(work->life->config, &texts), id));
	event_text(&event, "to", line->to);
	event_text(&event, "outcome", line->outcome);
	if (line->code != 0)
		event_number(&event, "code", line->code);
	else
		event_text(&event, "code", "");
	event_text(&event, "tls", line->tls);
	event_text(&event, "text", line->text);
	event_end(&event);
}

/* ---- works ---- */

static struct work *
work_new(struct life *life, const struct report_state *state,
    struct extra *extra)
{
	struct work *work = mem_alloc(sizeof(*work));

	work->life = life;
	work->day = state->day;
	memcpy(work->domain, state->domain, sizeof(work->domain));
	work->extra = extra;
	TAILQ_INSERT_TAIL(&life->works, work, works);
	return work;
}

static void
work_free(struct work *work)
{
	unsigned n;

	TAILQ_REMOVE(&work->life->works, work, works);
	for (n = 0; n < RUA_MAX; n++)
		trial_free(&work->trials[n]);
	free(work->rua);
	free(work);
}

/* It is looked at again when its time comes; an extra may be over. */
static void
work_end(struct work *work)
{
	struct life *life = work->life;
	struct extra *extra = work->extra;

	work_free(work);
	if (extra != NULL && extra->state.next_s == 0)
		today_free(life, extra);
	life->look = true;
	loop_again(life->loop);
}

static struct work *
find_work(const struct life *life, const struct report_state *state,
    const struct extra *extra)
{
	struct work *work;

	TAILQ_FOREACH(work, &life->works, works)
		if (work->extra == extra && work->day == state->day &&
		    strcmp(work->domain, state->domain) == 0)
			return work;
	return NULL;
}

static bool
is_busy(const struct work *work)
{
	unsigned n;

	for (n = 0; n < RUA_MAX; n++)
		if (work->trials[n] != NULL && !trial_waits(work->trials[n]))
			return true;
	return work->step != WORK_SENDING;
}

/* What waits for a slow receiver keeps no others from theirs. */
static bool
has_room(const struct life *life)
{
	const struct work *work;
	unsigned busy = 0;

	TAILQ_FOREACH(work, &life->works, works)
		busy += is_busy(work);
	return busy < WORKS_MAX;
}

/* The receivers whose time has come; false: none, settle it. */
static bool
start_trials(struct work *work, const struct report_state *state)
{
	struct receiver_state receiver;
	int64_t now_s = loop_wall_s();
	bool any = false;
	uint32_t n;

	work->step = WORK_SENDING;
	for (n = 0; n < state->receivers && n < RUA_MAX; n++) {
		if (!work_get_receiver(work, state, n, &receiver) ||
		    !is_open(&receiver) || receiver.next_s > now_s)
			continue;
		work->trials[n] = trial_new(work, &receiver);
		if (work->trials[n] == NULL) {
			receiver.next_s = now_s + PLACE_S;
			work_put_receiver(work, state, &receiver);
		}
		any |= work->trials[n] != NULL;
	}
	return any;
}

static void
on_txt(void *context, const struct r_txt_answer *answer)
{
	making_answer(context, answer);
}

/* RPT-3-26 RFC 8460 3: now, not when it was counted. */
static void
start_asking(struct work *work, struct report_state *state)
{
	int64_t now_s = loop_wall_s(), delay_s;

	work->lift = order_lifts(state);
	if (state->first_s == 0)
		state->first_s = now_s;
	state->attempts++;
	delay_s = life_retry_s(state->attempts, state->first_s, now_s);
	state->phase = REPORT_ASKING;
	state->next_s = now_s + (delay_s < 0 ? AGAIN_S : delay_s);
	work_put_report(work, state);
	work->step = WORK_ASKED;
	asker_txt(work->life->asker, work->domain, on_txt, work);
}

static void
take_up(struct life *life, struct report_state *state, struct extra *extra)
{
	struct work *work = work_new(life, state, extra);

	if (state->phase != REPORT_SENDING) {
		start_asking(work, state);
	} else if (!start_trials(work, state)) {
		work_settle(work, state);
		work_free(work);
	}
}

static void
work_write(struct work *work, int64_t now_s)
{
	unsigned n;

	if (work->step == WORK_ANSWERED)
		making_write(work, now_s);
	for (n = 0; n < RUA_MAX; n++)
		if (work->trials[n] != NULL)
			trial_write(work->trials[n], now_s);
}

/* What followed from the answer is kept. */
static void
answer_kept(struct work *work)
{
	struct report_state state;

	making_log(work);
	if (!work_get_report(work, &state) || state.phase != REPORT_SENDING) {
		work_end(work);
	} else if (!start_trials(work, &state)) {
		work_settle(work, &state);
		work_end(work);
	} else {
		loop_again(work->life->loop);
	}
}

static void
trials_turn_ended(struct work *work, bool kept)
{
	bool any = false;
	unsigned n;

	for (n = 0; n < RUA_MAX; n++) {
		if (work->trials[n] != NULL &&
		    trial_turn_ended(work->trials[n], kept)) {
			trial_free(&work->trials[n]);
			/* room for another one */
			loop_again(work->life->loop);
		}
		any |= work->trials[n] != NULL;
	}
	if (!any)
		work_end(work);
}

static void
work_turn_ended(struct work *work, bool kept)
{
	bool written = work->written;

	work->written = false;
	if (work->step == WORK_SENDING)
		trials_turn_ended(work, kept);
	else if (work->step == WORK_ANSWERED && written && kept)
		answer_kept(work);
}

/* ---- what is due ---- */

static void
put_next(struct life *life, struct report_state *state, int64_t next_s)
{
	state->next_s = next_s;
	book_put_report(life->book, state);
}

/* Its time has come by the book: take it up, or write when to look again. */
static void
look_at(struct life *life, struct report_state *state, int64_t now_s)
{
	int64_t due_s;

	if (find_work(life, state, NULL) != NULL) {
		put_next(life, state, now_s + AGAIN_S);
		return;
	}
	if (state->phase != REPORT_COUNTING && state->phase != REPORT_ASKING &&
	    state->phase != REPORT_SENDING) {
		put_next(life, state, 0);
		return;
	}
	if (state->phase == REPORT_COUNTING) {
		due_s = life_due_s(life->config, state->day, state->domain);
		if (due_s <= now_s && making_must_wait(life, state))
			due_s = now_s + AGAIN_S;
		if (due_s > now_s) {
			put_next(life, state, due_s);
			return;
		}
	}
	take_up(life, state, NULL);
}

static void
look_at_extras(struct life *life, int64_t now_s)
{
	struct report_state state;
	struct extra *extra;

	LIST_FOREACH(extra, &life->extras, extras) {
		state = extra->state;
		if (has_room(life) && state.next_s <= now_s &&
		    find_work(life, &state, extra) == NULL)
			take_up(life, &state, extra);
	}
}

/* How long until something is due, a minute at most? */
static int64_t
wait_ms(struct life *life, int64_t now_s)
{
	struct report_state state;
	struct extra *extra;
	int64_t next_s = now_s + LOOK_MS / 1000;

	if (!has_room(life))
		return LOOK_MS;		/* one that ends looks again */
	if (book_soonest_report(life->book, &state) && state.next_s < next_s)
		next_s = state.next_s;
	LIST_FOREACH(extra, &life->extras, extras)
		if (extra->state.next_s < next_s &&
		    find_work(life, &extra->state, extra) == NULL)
			next_s = extra->state.next_s;
	return next_s <= now_s ? 1000 : (next_s - now_s) * 1000;
}

/* RPT-4.1-3 RFC 8460 4.1: each missed day is a report of its own. */
static void
look_at_due(struct life *life, int64_t now_s)
{
	struct report_state state;
	unsigned n;

	for (n = 0; has_room(life) &&
	    book_soonest_report(life->book, &state) && state.next_s <= now_s;
	    n++) {
		if (n == LOOKS_A_TURN) {
			life->look = true;
			loop_again(life->loop);
			break;
		}
		look_at(life, &state, now_s);
	}
}

static void
look(struct life *life)
{
	int64_t now_s = loop_wall_s();

	life->look = false;
	if (!life->doubted)
		look_at_due(life, now_s);
	look_at_extras(life, now_s);
	timer_set(life->timer, life->doubted ? LOOK_MS :
	    wait_ms(life, now_s));
}

/* ---- the clock ---- */

static int64_t
boot_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Read all that is open once more, and forget nothing at once. */
static void
begin_walk(struct life *life)
{
	life->walked = false;
	life->walk_day = 0;
	life->walk_domain[0] = '\0';
	life->forget_ms = loop_now_ms() + FORGET_MS;
	loop_again(life->loop);
}

static void
look_at_clock(struct life *life)
{
	const struct steady_time now = {
		loop_wall_ms(), loop_now_ms(), boot_ms()
	};
	bool moved, before = life->doubted;

	life->doubted = !steady_look(&life->steady, &now, &moved);
	if (life->doubted && !before)
		log_line(LOG_LEVEL_ERROR, "the clock went far ahead at once: "
		    "no report is made, and nothing is forgotten, until it is "
		    "back or an hour has passed");
	if (moved)
		begin_walk(life);
}

/* ---- after the start, and when clock or settings changed ---- */

/* Asked for: what became of those that queue has. */
static void
walk_receivers(struct life *life, struct report_state *state, int64_t now_s)
{
	struct receiver_state receiver;
	uint32_t n;

	for (n = 0; n < state->receivers; n++) {
		if (!book_get_receiver(life->book, state, n, &receiver) ||
		    !is_open(&receiver))
			continue;
		if (receiver.last_s > now_s)
			receiver.last_s = now_s;
		if (receiver.phase == RECEIVER_OWED ||
		    receiver.next_s > now_s + NEXT_MAX_S)
			receiver.next_s = now_s;
		book_put_receiver(life->book, state, &receiver);
		if (receiver.next_s < state->next_s)
			state->next_s = receiver.next_s;
	}
}

/* A clock that was far ahead wrote times that would not come for long. */
static void
walk_report(struct life *life, struct report_state *state)
{
	int64_t now_s = loop_wall_s(), next_s = state->next_s;
	int64_t first_s = state->first_s;

	if (state->phase == REPORT_COUNTING) {
		if (next_s > now_s)
			state->next_s = life_due_s(life->config, state->day,
			    state->domain);
	} else if (state->phase == REPORT_ASKING ||
	    state->phase == REPORT_SENDING) {
		if (first_s > now_s)
			state->first_s = now_s;
		if (next_s > now_s + NEXT_MAX_S)
			state->next_s = now_s;
		if (state->phase == REPORT_SENDING)
			walk_receivers(life, state, now_s);
	}
	if (state->next_s != next_s || state->first_s != first_s)
		book_put_report(life->book, state);
}

/*
 * A relay that was off for so long, or a clock that is wrong since before the
 * start: there is time to find out.
 */
static void
end_walk(struct life *life)
{
	int64_t last_s = ((int64_t)life->walk_day + 1 + BOOK_DAYS) * DAY_S;

	life->walked = true;
	if (!life->started && life->walk_day > 0 && last_s < loop_wall_s()) {
		steady_doubt(&life->steady);
		life->doubted = true;
		log_line(LOG_LEVEL_ERROR, "nothing was counted for more than "
		    "%d days, or the clock is far ahead: reports of days "
		    "before wait for an hour", BOOK_DAYS);
	}
	life->started = true;
}

/* Some reports a turn. */
static void
walk(struct life *life)
{
	struct report_state state;
	unsigned n;

	for (n = 0; n < WALKS_A_TURN && !life->walked; n++) {
		if (!book_next_report(life->book, life->walk_day,
		    life->walk_domain, &state)) {
			end_walk(life);
			break;
		}
		life->walk_day = state.day;
		memcpy(life->walk_domain, state.domain,
		    sizeof(life->walk_domain));
		walk_report(life, &state);
	}
	life->look = true;
	if (!life->walked)
		loop_again(life->loop);
}

/* ---- texts, and what is forgotten ---- */

static void
on_policy_text(void *context, enum route_outcome outcome, struct slice text)
{
	struct life *life = context;

	life->text_asked = false;
	if (outcome == ROUTE_AGAIN && ++life->text_tries < TEXT_TRIES) {
		life->text_ms = loop_now_ms() + TEXT_PAUSE_MS;
		return;
	}
	life->text_tries = 0;
	if (outcome != ROUTE_OK)
		text = (struct slice){ NULL, 0 };
	book_put_text(life->book, life->text_domain, life->text_mark, text);
}

static void
ask_for_text(struct life *life)
{
	if (life->text_asked || loop_now_ms() < life->text_ms ||
	    !book_wanted_text(life->book, life->text_domain,
	    &life->text_mark))
		return;
	life->text_asked = true;
	asker_text(life->asker, life->text_domain, life->text_mark,
	    on_policy_text, life);
}

static void
forget(struct life *life)
{
	int64_t today = loop_wall_s() / DAY_S;

	if (life->doubted || loop_now_ms() < life->forget_ms ||
	    today <= BOOK_DAYS)
		return;
	if (book_forget_before(life->book, (uint32_t)(today - BOOK_DAYS)))
		loop_again(life->loop);
	else
		life->forget_ms = loop_now_ms() + FORGET_MS;
}

/* ---- lost turns ---- */

/* Nothing of the turn exists: all is written again, but not at once. */
static void
turn_lost(struct life *life)
{
	life->hold_ms = loop_now_ms() + HOLD_MS;
	life->look = true;
	timer_set(life->timer, HOLD_MS);
	if (life->behind_ms == 0)
		life->behind_ms = life->hold_ms;
}

/*
 * What policy told is lost: it tells it again on a fresh link, but not while
 * a disk that is full would lose it at once.
 */
static void
restart_behind(struct life *life, int64_t now_ms)
{
	if (life->behind_ms == 0 || now_ms < life->behind_ms)
		return;
	life->behind_ms = 0;
	if (book_is_behind(life->book, PROGRAM_POLICY))
		asker_restart(life->asker);
}

/* ---- what others call ---- */

void
life_turn(struct life *life)
{
	int64_t now_ms = loop_now_ms(), now_s = loop_wall_s();
	struct work *work;

	restart_behind(life, now_ms);
	if (life->config == NULL || !life->config->tls_report ||
	    now_ms < life->hold_ms)
		return;
	ask_for_text(life);
	look_at_clock(life);
	if (now_ms < life->begin_ms)
		return;
	if (!life->walked)
		walk(life);
	forget(life);
	if (life->look && life->walked)
		look(life);
	TAILQ_FOREACH(work, &life->works, works)
		work_write(work, now_s);
}

void
life_turn_ended(struct life *life, bool kept)
{
	struct work *work, *next;
	uint64_t sequence;

	if (!kept)
		turn_lost(life);
	sequence = kept ? book_kept(life->book, PROGRAM_POLICY) : 0;
	if (sequence != 0)
		asker_kept(life->asker, sequence);
	for (work = TAILQ_FIRST(&life->works); work != NULL; work = next) {
		next = TAILQ_NEXT(work, works);
		work_turn_ended(work, kept);
	}
}

static void
on_failed(void *context, const struct r_failed *failed)
{
	struct life *life = context;

	if (!book_is_repeated(life->book, PROGRAM_POLICY, failed->epoch,
	    failed->sequence))
		book_count_failed(life->book, failed);
}

/* life_turn follows at the end of this turn. */
static void
on_timer(void *context)
{
	struct life *life = context;

	life->look = true;
	timer_set(life->timer, LOOK_MS);
}

static int64_t
due_of(void *context, uint32_t day, const char *domain)
{
	const struct life *life = context;

	return life == NULL || life->config == NULL ?
	    ((int64_t)day + 1) * DAY_S :
	    life_due_s(life->config, day, domain);
}

struct life *
life_new(struct loop *loop, struct book *book)
{
	struct life *life = mem_alloc(sizeof(*life));

	life->loop = loop;
	life->book = book;
	life->asker = asker_new(loop, on_failed, life);
	life->mailer = mailer_new(loop);
	life->poster = poster_new(loop);
	life->timer = timer_new(loop, on_timer, life);
	life->begin_ms = loop_now_ms() + BEGIN_MS;
	life->forget_ms = loop_now_ms() + FORGET_MS;
	life->no_key_day = -1;
	TAILQ_INIT(&life->works);
	LIST_INIT(&life->extras);
	timer_set(life->timer, BEGIN_MS);
	book_set_due(book, due_of, life);
	return life;
}

void
life_free(struct life **pointer)
{
	struct life *life = *pointer;

	if (life == NULL)
		return;
	*pointer = NULL;
	asker_free(&life->asker);
	mailer_free(&life->mailer);
	poster_free(&life->poster);
	while (!TAILQ_EMPTY(&life->works))
		work_free(TAILQ_FIRST(&life->works));
	while (!LIST_EMPTY(&life->extras))
		today_free(life, LIST_FIRST(&life->extras));
	timer_free(&life->timer);
	book_set_due(life->book, due_of, NULL);
	free(life);
}

void
life_set(struct life *life, const struct config *config)
{
	life->config = config;
	life->look = true;
	/* What only counts is due at another time, perhaps. */
	if (life->started)
		begin_walk(life);
}

bool
life_doubts_clock(const struct life *life)
{
	return life->doubted;
}

void
life_link(struct life *life, enum program peer, int fd)
{
	switch (peer) {
	case PROGRAM_POLICY:
		book_fresh_peer(life->book, PROGRAM_POLICY);
		asker_link(life->asker, fd);
		break;
	case PROGRAM_QUEUE:
		mailer_link(life->mailer, fd);
		break;
	case PROGRAM_FETCH:
		poster_link(life->poster, fd);
		break;
	default:
		bug("a link to %s", program_name(peer));
	}
}

/* ---- `report send' ---- */

static bool
send_past(struct life *life, struct report_state *state, bool lift,
    struct order *order)
{
	char day[DAY_TEXT_MAX];

	if (find_work(life, state, NULL) == NULL)
		return order_past(life->book, state, lift, loop_wall_s(),
		    order);
	buffer_printf(&order->text, "the report for %s of %s is under way",
	    state->domain, day_print(state->day, day));
	return false;
}

bool
life_send_now(struct life *life, uint32_t day, const char *domain, bool lift,
    struct order *order)
{
	int64_t today = loop_wall_s() / DAY_S;
	struct report_state state;
	char text[DAY_TEXT_MAX];

	life->look = true;
	loop_again(life->loop);
	/* Who says so looked at the day, too. */
	steady_believe(&life->steady);
	order->state = "asked";
	if (day >= today)
		return today_begin(life, day, domain, lift, &order->text);
	if (book_get_report(life->book, day, domain, &state))
		return send_past(life, &state, lift, order);
	buffer_printf(&order->text, "nothing was counted for %s on %s", domain,
	    day_print(day, text));
	return false;
}
