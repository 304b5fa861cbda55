/*
 * What does `report send' change of the report of a day that is over?
 *
 * Called by life.c, by ctl.c without a relay, and (who is forgiven) where
 * reports are made and tried.  By how far the report is:
 *
 *	not made, unwanted	asked for
 *	made			receivers that wait are tried
 *	done			nothing: never a second time (RPT-7-2)
 *	given up		asked for, if it was named; it has no receiver,
 *				so that another report-id doubles nothing
 *
 * It sends nothing, and says nothing to the log.
 */
#include "reports/order.h"

bool
order_forgive(struct book *book, const char *uri)
{
	static const struct refuser none;
	struct refuser refuser;

	book_get_refuser(book, uri, &refuser);
	if (refuser.refusals == 0)
		return false;
	book_put_refuser(book, uri, &none);
	return true;
}

/* first_s is the mark: 0 with an order that lifts, and until it is begun. */
void
order_ask(struct report_state *state, bool lift, int64_t now_s)
{
	state->phase = REPORT_ASKING;
	state->number = 0;
	state->receivers = 0;
	state->attempts = 0;
	state->first_s = lift ? 0 : now_s;
	state->next_s = now_s;
}

bool
order_lifts(const struct report_state *state)
{
	return state->phase == REPORT_ASKING && state->attempts == 0 &&
	    state->first_s == 0;
}

static bool
forgive_all(struct book *book, const struct report_state *state)
{
	struct receiver_state receiver;
	bool any = false;
	uint32_t n;

	for (n = 0; n < state->receivers; n++)
		if (book_get_receiver(book, state, n, &receiver))
			any |= order_forgive(book, receiver.uri);
	return any;
}

/* The receivers that wait are due now. */
static bool
wake_waiting(struct book *book, const struct report_state *state,
    int64_t now_s)
{
	struct receiver_state receiver;
	bool any = false;
	uint32_t n;

	for (n = 0; n < state->receivers; n++) {
		if (!book_get_receiver(book, state, n, &receiver) ||
		    receiver.phase != RECEIVER_WAITING)
			continue;
		receiver.next_s = now_s;
		book_put_receiver(book, state, &receiver);
		any = true;
	}
	return any;
}

static bool
order_asking(struct book *book, struct report_state *state, bool lift,
    int64_t now_s, struct order *order)
{
	order_ask(state, lift, now_s);
	book_put_report(book, state);
	order->state = "asked";
	buffer_printf(&order->text, "asks whether %s wants it; log and list "
	    "say what comes of it", state->domain);
	return true;
}

/* It is made, and not given up. */
static bool
order_made(struct book *book, struct report_state *state, bool lift,
    int64_t now_s, struct order *order)
{
	bool done = state->phase == REPORT_DONE, lifted, woken;

	lifted = lift && forgive_all(book, state);
	woken = !done && wake_waiting(book, state, now_s);
	order->state = woken ? "tried" : "lifted";
	if (woken) {
		state->next_s = now_s;
		book_put_report(book, state);
		buffer_printf(&order->text, "its receivers that wait are tried "
		    "now");
	} else {
		buffer_printf(&order->text, "%s", done ? "it was accepted" :
		    "the queue has it");
		if (lifted)
			buffer_printf(&order->text, "; who was left alone "
			    "gets the next one");
	}
	return woken || lifted;
}

bool
order_past(struct book *book, struct report_state *state, bool lift,
    int64_t now_s, struct order *order)
{
	bool given_up = state->phase == REPORT_GIVEN_UP && state->number != 0;
	char day[DAY_TEXT_MAX];

	if (state->phase == REPORT_DONE || state->phase == REPORT_SENDING)
		return order_made(book, state, lift, now_s, order);
	if (!given_up || lift)
		return order_asking(book, state, lift, now_s, order);
	buffer_printf(&order->text, "it was given up: name domain and day "
	    "(report send %s --day %s)", state->domain,
	    day_print(state->day, day));
	return false;
}
