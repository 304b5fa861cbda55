/*
 * culver-reports: what happened to TLS today, and who asked to know?
 *
 * Started by culverd, or alone as `culver-reports ctl'.  This file wires: the
 * sessions that culver-delivery tells (count.c), the book (book.c), the lives
 * of reports with their links to policy, queue and fetch (life.c), and the
 * operator's verbs (ctl.c).
 *
 * States: serving; behind (a turn was lost: what delivery tells is not taken
 * for a while, then the link is made anew, and it tells all again); stopping
 * (what delivery has said is read to its end).
 */
#include "conf/control.h"
#include "conf/log.h"
#include "conf/parent.h"
#include "reports/ctl.h"
#include "reports/life.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A disk that took nothing is tried again after so long. */
#define BEHIND_MS	5000
/* Delivery is gone by now: its last words are read, and no more. */
#define STOP_MS		3000
/* So long `status' shows that a damaged book was moved aside. */
#define MOVED_S		86400

struct reporting {
	struct loop		*loop;
	struct config		*config;
	struct book		*book;
	struct life		*life;
	struct link		*delivery;	/* NULL: gone */
	struct timer		*flush_timer;
	struct timer		*behind_timer;
	struct timer		*stop_timer;
	uint64_t		 lost_at;	/* book_flushes; see alarm */
	bool			 alarm;		/* a turn was lost */
	int64_t			 moved_s;	/* a book, aside; 0 */
	bool			 moved_stands;	/* that is an alarm yet */
	bool			 stopping;
	struct ctl_reports	 ctl;
};

/*
 * What delivery tells.
 */

static void
on_told(void *context, struct link *link, unsigned kind, const void *message,
    int *fds)
{
	struct reporting *reporting = context;
	const struct t_session *session = message;

	(void)link;
	(void)fds;
	if (kind != T_SESSION)
		return;
	if (!book_is_repeated(reporting->book, PROGRAM_DELIVERY,
	    session->epoch, session->sequence))
		book_count_session(reporting->book, session);
}

static void
on_delivery_closed(void *context, struct link *link)
{
	struct reporting *reporting = context;

	(void)link;
	reporting->delivery = NULL;
	if (reporting->stopping)
		loop_stop(reporting->loop);
}

static void
link_delivery(struct reporting *reporting, int fd)
{
	static const struct link_calls calls = {
		.message = on_told, .closed = on_delivery_closed
	};

	timer_stop(reporting->behind_timer);
	link_close(&reporting->delivery);
	book_fresh_peer(reporting->book, PROGRAM_DELIVERY);
	reporting->delivery = link_new(reporting->loop, fd, &session_wire,
	    &calls, reporting);
}

/* Delivery asks for a fresh link, and tells on it all that we have not. */
static void
on_behind(void *context)
{
	struct reporting *reporting = context;

	link_close(&reporting->delivery);
}

static void
on_lost(struct reporting *reporting)
{
	reporting->alarm = true;
	reporting->lost_at = book_flushes(reporting->book);
	if (reporting->delivery == NULL || timer_is_set(
	    reporting->behind_timer) || !book_is_behind(reporting->book,
	    PROGRAM_DELIVERY))
		return;
	link_pause(reporting->delivery, true);
	timer_set(reporting->behind_timer, BEHIND_MS);
}

static void
acknowledge(struct reporting *reporting)
{
	struct t_counted counted;

	if (reporting->delivery == NULL)
		return;
	counted.sequence = book_kept(reporting->book, PROGRAM_DELIVERY);
	if (counted.sequence != 0)
		link_send(reporting->delivery, T_COUNTED, &counted, NULL);
}

/*
 * The turn.
 */

/* A turn that ends for the sake of the flush. */
static void
on_flush_timer(void *context)
{
	(void)context;
}

static void
set_flush_timer(struct reporting *reporting)
{
	int64_t at_ms = book_flush_at_ms(reporting->book), now_ms;

	if (at_ms == -1) {
		timer_stop(reporting->flush_timer);
		return;
	}
	now_ms = loop_now_ms();
	timer_set(reporting->flush_timer, at_ms > now_ms ? at_ms - now_ms :
	    0);
}

/* Also after a restart; a clock that was wrong then makes it no longer. */
static void
say_moved(struct reporting *reporting)
{
	int64_t age_s = loop_wall_s() - reporting->moved_s;
	bool stands = age_s >= 0 && age_s < MOVED_S;

	if (stands == reporting->moved_stands)
		return;
	reporting->moved_stands = stands;
	parent_alarm("reports-book", stands, "what was counted for TLS "
	    "reports could not be read: it is kept in reports/damaged-%lld, "
	    "and the reports of those days lack it",
	    (long long)reporting->moved_s);
}

static void
on_turn_end(void *context)
{
	struct reporting *reporting = context;
	bool kept;

	life_turn(reporting->life);
	kept = book_turn_end(reporting->book);
	life_turn_ended(reporting->life, kept);
	if (kept)
		acknowledge(reporting);
	else
		on_lost(reporting);
	if (book_flushes(reporting->book) != reporting->lost_at)
		reporting->alarm = false;
	parent_alarm("reports-disk", reporting->alarm, "the disk did not take "
	    "what was counted for TLS reports; it is told again");
	parent_alarm("reports-clock", life_doubts_clock(reporting->life),
	    "the clock is far ahead of what was counted last: reports wait "
	    "until it is back, or for an hour");
	say_moved(reporting);
	set_flush_timer(reporting);
}

/*
 * What the parent says.
 */

static void
on_link(void *context, enum program peer, int fd)
{
	struct reporting *reporting = context;

	switch (peer) {
	case PROGRAM_DELIVERY:
		link_delivery(reporting, fd);
		return;
	case PROGRAM_POLICY:
	case PROGRAM_QUEUE:
	case PROGRAM_FETCH:
		life_link(reporting->life, peer, fd);
		return;
	default:
		close(fd);
	}
}

static void
on_connection(void *context, const struct p_connection *connection, int fd)
{
	struct reporting *reporting = context;

	if (connection->socket == PROC_CONTROL)
		control_serve(reporting->loop, fd, connection->uid,
		    connection->admin, ctl_reports_verbs, &reporting->ctl);
	else
		close(fd);
}

static void
take_config(struct reporting *reporting, struct config *config)
{
	struct config *old = reporting->config;

	reporting->config = config;
	reporting->ctl.config = config;
	life_set(reporting->life, config);
	config_free(&old);
}

static void
on_settings(void *context, struct config *config, int ca_fd)
{
	if (ca_fd != -1)
		close(ca_fd);
	take_config(context, config);
}

static void
on_stop_timer(void *context)
{
	struct reporting *reporting = context;

	loop_stop(reporting->loop);
}

static void
on_stop(void *context)
{
	struct reporting *reporting = context;

	if (reporting->stopping)
		return;
	reporting->stopping = true;
	timer_set(reporting->stop_timer, reporting->delivery == NULL ? 0 :
	    STOP_MS);
}

/*
 * The beginning and the end.
 */

static void
make_parts(struct reporting *reporting)
{
	reporting->flush_timer = timer_new(reporting->loop, on_flush_timer,
	    reporting);
	reporting->behind_timer = timer_new(reporting->loop, on_behind,
	    reporting);
	reporting->stop_timer = timer_new(reporting->loop, on_stop_timer,
	    reporting);
	reporting->life = life_new(reporting->loop, reporting->book);
	reporting->ctl.book = reporting->book;
	reporting->ctl.life = reporting->life;
}

/* All that was told is on disk, and delivery hears it if it still listens. */
static void
end(struct reporting *reporting)
{
	book_want_flush(reporting->book);
	on_turn_end(reporting);
	link_close(&reporting->delivery);
	life_free(&reporting->life);
	timer_free(&reporting->flush_timer);
	timer_free(&reporting->behind_timer);
	timer_free(&reporting->stop_timer);
	book_close(&reporting->book);
	config_free(&reporting->config);
}

static void
serve(struct reporting *reporting, const struct proc_start *start)
{
	static const struct parent_calls calls = {
		.link = on_link, .connection = on_connection,
		.settings = on_settings, .stop = on_stop
	};
	struct config *config = reporting->config;
	size_t i;

	make_parts(reporting);
	reporting->config = NULL;
	take_config(reporting, config);
	parent_serve(reporting->loop, &calls, reporting);
	for (i = 0; i < start->links_n; i++)
		on_link(reporting, start->links[i].peer, start->links[i].fd);
	loop_at_turn_end(reporting->loop, on_turn_end, reporting);
	loop_run(reporting->loop);
	end(reporting);
}

int
main(int argc, char **argv)
{
	struct reporting reporting = { .loop = NULL };
	struct proc_start start;
	char dir[4096];

	if (argc > 1 && strcmp(argv[1], "ctl") == 0)
		return ctl_reports_alone(argc - 2, argv + 2);
	proc_begin(PROGRAM_REPORTS, &start);
	reporting.config = start.config;
	if (start.ca_fd != -1)
		close(start.ca_fd);
	if (snprintf(dir, sizeof(dir), "%s/reports",
	    reporting.config->spool) >= (int)sizeof(dir))
		fatal("spool %s: the path is too long",
		    reporting.config->spool);
	proc_confine(PROGRAM_REPORTS, reporting.config, dir);
	signal(SIGPIPE, SIG_IGN);
	reporting.loop = loop_new();
	reporting.book = book_open_or_begin(proc_path(""));
	reporting.moved_s = book_moved_s(proc_path(""));
	serve(&reporting, &start);
	return 0;
}
