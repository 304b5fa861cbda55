/*
 * May this message leave yet?
 *
 * Called by the loop for culver-sign's link and by turn.c for the two ends of
 * the turn.  One question at a time, in rounds over what is marked in the
 * spool.  States:
 *
 *	idle	nothing is marked, as far as is known
 *	asking	S_SIGN was said, its S_HEADER will come
 *	heard	the answer is written at the end of this turn
 *	resting	something could not be signed, or nobody is there to do it;
 *		a round begins when the timer says so, on a fresh link, or with
 *		new settings
 *
 * What a round could not sign is said as a standing alarm.  It knows nothing
 * of DKIM: the fields that it is given are written before the body as they
 * came.
 */
#include "queue/signer.h"

#include "conf/link.h"
#include "conf/parent.h"
#include "queue/destination.h"
#include "queue/pull.h"
#include "queue/result.h"
#include "queue/schedule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SLICE_MARKS	50
#define LIFE_MS		86400000	/* unsigned, from arrival */
#define ANSWER_MS	120000	/* it gives a message 60 s itself */
#define ABSENCE_MS	5000	/* until its absence is worth an alarm */
#define AGAIN_MS	1000		/* after a lost turn */
#define FIRST_MS	60000
#define LONGEST_MS	3600000
#define DEATHS_MAX	2		/* of culver-sign over one message */

struct signer {
	struct loop		*loop;
	struct books		*books;
	struct pulls		*pulls;
	struct link		*link;		/* NULL: nobody signs */
	/* the question */
	uint64_t		 asked;		/* message; 0: none is out */
	struct message		 message;	/* the same */
	struct s_header		*heard;		/* its answer */
	uint64_t		 asked_last;	/* over which sign died */
	unsigned		 deaths;
	struct timer		*answer_timer;
	/* the round */
	bool			 look;		/* there may be marks behind */
	uint64_t		 after;		/* the last that was seen */
	uint64_t		 next;		/* to be asked; 0: none yet */
	bool			 failed;	/* of this round, something */
	unsigned		 rounds;	/* that failed, in a row */
	char			 why[256];
	struct timer		*timer;		/* resting */
	bool			 lost;		/* a turn was: write nothing
						   before the timer */
	uint64_t		*damaged;	/* messages to be held */
	size_t			 damaged_n;
	bool			 standing;	/* the alarm */
};

static void	on_message(void *context, struct link *, unsigned kind,
		    const void *message, int *fds);
static void	on_closed(void *context, struct link *);
static void	on_ready(void *context, uint64_t job, int fd);
static void	on_damaged(void *context, uint64_t message);
static void	on_no_answer(void *context);
static void	on_rested(void *context);

static const struct link_calls calls = { on_message, on_closed, NULL };
static const struct pull_calls pull_calls = { on_ready, on_damaged };

struct signer *
signer_new(struct loop *loop, struct books *books)
{
	struct signer *signer = mem_alloc(sizeof(*signer));

	signer->loop = loop;
	signer->books = books;
	signer->pulls = pull_new(loop, books->spool, &pull_calls, signer);
	signer->answer_timer = timer_new(loop, on_no_answer, signer);
	signer->timer = timer_new(loop, on_rested, signer);
	return signer;
}

void
signer_free(struct signer **pointer)
{
	struct signer *signer = *pointer;

	*pointer = NULL;
	link_close(&signer->link);
	pull_free(&signer->pulls);
	timer_free(&signer->answer_timer);
	timer_free(&signer->timer);
	free(signer->heard);
	free(signer->damaged);
	free(signer);
}

int64_t
signer_delay_ms(unsigned rounds)
{
	int64_t delay_ms = FIRST_MS;

	while (rounds-- > 1 && delay_ms < LONGEST_MS)
		delay_ms *= 2;
	return delay_ms < LONGEST_MS ? delay_ms : LONGEST_MS;
}

static void
begin_round(struct signer *signer)
{
	timer_stop(signer->timer);
	signer->lost = false;
	signer->look = true;
	signer->after = signer->next = 0;
	signer->failed = false;
}

static void
on_rested(void *context)
{
	begin_round(context);
}

void
signer_hurry(struct signer *signer)
{
	signer->rounds = 0;
	begin_round(signer);
	loop_again(signer->loop);
}

/* ---- the question ---- */

static void
fail(struct signer *signer, const char *why)
{
	signer->failed = true;
	snprintf(signer->why, sizeof(signer->why), "%s", why);
}

static void
forget_question(struct signer *signer)
{
	timer_stop(signer->answer_timer);
	pull_stop(signer->pulls);
	signer->asked = 0;
}

/* The domain that signs is the sender's: they are ours, and one. */
static void
domain_of(const struct config *config, const struct message *message,
    char *text, size_t size)
{
	struct mailbox sender;
	bool has = mailbox_parse(slice_of(message->sender), &sender) &&
	    sender.domain.name[0] != '\0';

	snprintf(text, size, "%s", has ? sender.domain.name :
	    config->report_from.domain.name);
}

/* The body can be read: now the question is whole. */
static void
on_ready(void *context, uint64_t id, int fd)
{
	struct signer *signer = context;
	struct s_sign sign = { .id = id, .now_s = loop_wall_s(),
	    .size_bytes = signer->message.size_bytes };

	domain_of(*signer->books->config, &signer->message, sign.domain,
	    sizeof(sign.domain));
	signer->asked = id;
	timer_set(signer->answer_timer, ANSWER_MS);
	link_send(signer->link, S_SIGN, &sign, &fd);
}

/* on_ready follows inside this, unless there is no pipe to be had. */
static void
ask(struct signer *signer)
{
	uint64_t id = signer->next;

	signer->next = 0;
	if (spool_get_message(signer->books->spool, id, &signer->message) !=
	    STORE_FOUND)
		return;		/* removed; or it is met again */
	pull_begin(signer->pulls, id, &signer->message);
	if (signer->asked == 0)
		fail(signer, "there is no pipe for a message");
}

/*
 * Nothing of it can be read: it is held, and asked for no more.  The pipe ends
 * early, and so the answer will be that it could not be signed.
 */
static void
on_damaged(void *context, uint64_t message)
{
	struct signer *signer = context;

	signer->damaged = mem_grow(signer->damaged, (signer->damaged_n + 1) *
	    sizeof(*signer->damaged));
	signer->damaged[signer->damaged_n++] = message;
}

/* It lives and says nothing: another link, in case it was that. */
static void
on_no_answer(void *context)
{
	struct signer *signer = context;

	forget_question(signer);
	fail(signer, "culver-sign does not answer");
	link_close(&signer->link);
	parent_need(PROGRAM_SIGN);
}

/* ---- the link ---- */

/* Are these header fields that may stand before a message? */
static bool
is_signature(const struct s_header *header)
{
	struct slice text = { (const char *)header->header,
	    header->header_len };

	return slice_begins_nocase(text, SLICE("DKIM-Signature:")) &&
	    text.at[text.len - 1] == '\n' && text.at[text.len - 2] == '\r' &&
	    memmem(text.at, text.len, "\r\n\r\n", 4) == NULL &&
	    memchr(text.at, '\0', text.len) == NULL;
}

static void
on_header(struct signer *signer, const struct s_header *header)
{
	if (header->id != signer->asked || signer->heard != NULL)
		return;		/* of an older question */
	forget_question(signer);
	signer->deaths = 0;
	if (header->done && is_signature(header)) {
		signer->heard = mem_alloc(sizeof(*header));
		*signer->heard = *header;
		return;
	}
	fail(signer, header->done ? "culver-sign's answer is no signature" :
	    header->error);
}

static void
on_message(void *context, struct link *link, unsigned kind,
    const void *message, int *fds)
{
	(void)link;
	(void)fds;
	if (kind == S_HEADER)
		on_header(context, message);
}

/*
 * The question is put again on the next link; but not the same one for ever,
 * should it be what kills it.
 */
static void
lose_link(struct signer *signer)
{
	uint64_t asked = signer->asked;

	forget_question(signer);
	if (asked == 0)
		return;
	signer->deaths = signer->asked_last == asked ? signer->deaths + 1 :
	    1;
	signer->asked_last = asked;
}

static void
on_closed(void *context, struct link *link)
{
	struct signer *signer = context;

	(void)link;
	signer->link = NULL;
	lose_link(signer);
	begin_round(signer);
	timer_set(signer->timer, ABSENCE_MS);
	parent_need(PROGRAM_SIGN);
}

void
signer_serve(struct signer *signer, int fd)
{
	if (signer->link != NULL) {
		link_close(&signer->link);
		lose_link(signer);
	}
	signer->link = link_new(signer->loop, fd, &sign_wire, &calls, signer);
	signer_hurry(signer);
}

/* ---- before the end of the turn ---- */

/* From here on it is like any other message that was taken just now. */
static void
write_signature(struct signer *signer, struct message *message)
{
	struct spool *spool = signer->books->spool;
	const struct s_header *heard = signer->heard;
	uint64_t now_ms = (uint64_t)loop_wall_ms();
	struct destination destination;
	struct recipient recipient;
	uint32_t number = 0;

	spool_put_chunk(spool, message->id, CHUNK_SIGNATURE, heard->header,
	    heard->header_len);
	message->signature_bytes = heard->header_len;
	message->needs_signature = false;
	spool_put_message(spool, message);
	spool_unmark_unsigned(spool, message->id);
	while (spool_next_recipient(spool, message->id, number, &recipient)
	    == STORE_FOUND) {
		number = recipient.number + 1;
		if (recipient.due_ms != DUE_UNSIGNED)
			continue;
		spool_move_recipient(spool, &recipient, now_ms);
		if (spool_get_destination(spool, recipient.destination,
		    &destination) == STORE_FOUND)
			destination_owe(spool, &destination, now_ms,
			    message->arrived_ms);
		else
			destination_settle_number(spool,
			    recipient.destination);
	}
	spool_want_flush(spool);
}

/* It may have been removed meanwhile. */
static void
apply_heard(struct signer *signer)
{
	struct message message;

	if (spool_get_message(signer->books->spool, signer->heard->id,
	    &message) == STORE_FOUND && message.needs_signature)
		write_signature(signer, &message);
}

/* RPT-3-13 RFC 8460 3: rather not at all than unsigned */
static void
give_up(struct signer *signer, const struct message *message)
{
	struct spool *spool = signer->books->spool;
	uint64_t now_ms = (uint64_t)loop_wall_ms();
	struct recipient recipient;
	char text[512];

	snprintf(text, sizeof(text), "it could not be signed for a day: %s",
	    signer->why[0] != '\0' ? signer->why : "culver-sign does not run");
	while (spool_next_recipient(spool, message->id, 0, &recipient) ==
	    STORE_FOUND) {
		const struct bounce_recipient why = {
			.address = recipient.address, .enhanced = "5.3.5",
			.host = "", .ip = "", .reply = text, .clause = "",
			.repair = "", .expired = true, .tried_ms = now_ms
		};

		result_give_up(signer->books, message, &recipient, &why);
		destination_settle_number(spool, recipient.destination);
	}
	/* Also where its record is damaged and it stays. */
	spool_unmark_unsigned(spool, message->id);
}

static bool
is_over(const struct message *message)
{
	return schedule_expired(message->arrived_ms, LIFE_MS / 1000, 0,
	    (uint64_t)loop_wall_ms());
}

/* Should it be asked for at once? */
static bool
may_ask(struct signer *signer, uint64_t id)
{
	if (signer->link == NULL) {
		fail(signer, "culver-sign does not run: is there a dkim line "
		    "for the domain of report-from?");
		return false;
	}
	if (signer->deaths < DEATHS_MAX || signer->asked_last != id)
		return true;
	fail(signer, "culver-sign dies of it");
	signer->deaths = 0;
	return false;
}

/* One mark; true: its message is the next to be asked for. */
static bool
look_at(struct signer *signer, uint64_t id)
{
	struct spool *spool = signer->books->spool;
	struct message message;
	enum store_found found = spool_get_message(spool, id, &message);

	if (found == STORE_FAILED)
		return false;
	if (found != STORE_FOUND || !message.needs_signature) {
		/* A damaged one is held where it is. */
		spool_unmark_unsigned(spool, id);
		return false;
	}
	if (is_over(&message)) {
		give_up(signer, &message);
		return false;
	}
	return may_ask(signer, id);
}

/* Go on in the round until there is a question, or nothing left. */
static void
find_next(struct signer *signer)
{
	uint64_t id;

	for (int n = 0; n < SLICE_MARKS && signer->next == 0; n++) {
		if (!spool_next_unsigned(signer->books->spool, signer->after,
		    &id)) {
			signer->look = false;
			return;
		}
		signer->after = id;
		if (look_at(signer, id))
			signer->next = id;
	}
}

/* One was marked, most often behind all others. */
static void
look_for_new(struct signer *signer)
{
	uint64_t lowest;

	if (!spool_unsigned_marked(signer->books->spool, &lowest))
		return;
	signer->look = true;
	if (lowest <= signer->after)
		signer->after = lowest - 1;
}

void
signer_before_commit(struct signer *signer)
{
	struct spool *spool = signer->books->spool;

	look_for_new(signer);
	if (signer->lost)
		return;
	if (signer->heard != NULL)
		apply_heard(signer);
	for (size_t i = 0; i < signer->damaged_n; i++) {
		spool_hold_message(spool, signer->damaged[i]);
		spool_unmark_unsigned(spool, signer->damaged[i]);
	}
	if (signer->look && signer->asked == 0 && signer->next == 0 &&
	    !timer_is_set(signer->timer))
		find_next(signer);
}

/* ---- after it ---- */

/* All that is marked was looked at. */
static void
end_round(struct signer *signer)
{
	signer->after = 0;
	if (!signer->failed) {
		if (signer->standing)
			parent_alarm("signing", false, "all is signed");
		signer->standing = false;
		signer->rounds = 0;
		signer->why[0] = '\0';
		return;
	}
	signer->standing = true;
	parent_alarm("signing", true, "reports by mail wait to be signed: %s",
	    signer->why);
	signer->rounds++;
	signer->look = true;
	signer->failed = false;
	timer_set(signer->timer, signer_delay_ms(signer->rounds));
}

static void
start_over(struct signer *signer)
{
	begin_round(signer);
	signer->lost = true;
	timer_set(signer->timer, AGAIN_MS);
}

bool
signer_after_commit(struct signer *signer, bool durable)
{
	if (!durable && signer->asked == 0)
		start_over(signer);
	if (!durable || signer->lost)
		return false;
	free(signer->heard);
	signer->heard = NULL;
	signer->damaged_n = 0;
	if (signer->asked == 0 && !timer_is_set(signer->timer)) {
		if (signer->next != 0 && signer->link != NULL)
			ask(signer);
		else if (!signer->look)
			end_round(signer);
	}
	return pull_turn(signer->pulls) || (signer->asked == 0 &&
	    signer->look && !timer_is_set(signer->timer));
}
