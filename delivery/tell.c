/*
 * Which sessions count, and is it told once?
 *
 * Called by channel.c (a connection begins, its proof is known), attempt.c
 * (hosts that are refused by name alone), manager.c (links, settings).
 *
 * What counts (ruling 18): a connection on which EHLO was answered and that
 * came to know how STARTTLS goes, whatever became of mail on it; never the
 * retry in clear, never what our own program's death or stop cut off, never a
 * session that is to carry our own reports.  A channel holds what will be
 * told from its beginning to its proof, and no longer: so it is told once.
 *
 * A `session` line is written for each block that counts it, at the place
 * where it is put into the outbox, so that the log's totals are the reports'.
 * A program that is dead or slow holds no mail: see conf/outbox.h.
 */
#include "delivery/tell.h"

#include "conf/log.h"
#include "conf/outbox.h"
#include "conf/parent.h"
#include "delivery/facts.h"
#include "delivery/telling.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct outbox_bounds bounds = { 10000, 16u << 20 };

/* ---- the link ---- */

static void
on_message(void *context, struct link *link, unsigned kind,
    const void *message, int *fds)
{
	struct manager *manager = context;

	(void)link;
	(void)fds;
	if (kind != T_COUNTED)
		bug("message %#x from reports", kind);
	if (manager->sessions != NULL)
		outbox_settled(manager->sessions,
		    ((const struct t_counted *)message)->sequence);
}

static void
on_closed(void *context, struct link *link)
{
	struct manager *manager = context;

	(void)link;
	manager->reports = NULL;
	if (manager->sessions == NULL)
		return;
	outbox_link(manager->sessions, NULL);
	if (!manager->stopping)
		parent_need(PROGRAM_REPORTS);
}

static void
on_drained(void *context, struct link *link)
{
	struct manager *manager = context;

	(void)link;
	if (manager->sessions != NULL)
		outbox_drained(manager->sessions);
}

static const struct link_calls calls = {
	.message = on_message, .closed = on_closed, .drained = on_drained
};

void
tell_link(struct manager *manager, int fd)
{
	if (manager->sessions == NULL) {
		close(fd);
		return;
	}
	outbox_link(manager->sessions, NULL);
	link_close(&manager->reports);
	manager->reports = link_new(manager->loop, fd, &session_wire, &calls,
	    manager);
	outbox_link(manager->sessions, manager->reports);
}

void
tell_settings(struct manager *manager)
{
	if (manager->config->tls_report && manager->sessions == NULL) {
		manager->sessions = outbox_new(wire_find(&session_wire,
		    T_SESSION), "sessions", &bounds);
	} else if (!manager->config->tls_report) {
		outbox_free(&manager->sessions);
		link_close(&manager->reports);
	}
}

bool
tell_is_owed(const struct manager *manager)
{
	return manager->reports != NULL && manager->sessions != NULL &&
	    outbox_kept(manager->sessions) > 0;
}

/* ---- telling ---- */

/* The verdict's first of this block, by ruling 29's order. */
static void
log_block(const struct t_session *session, uint32_t block)
{
	struct report_detail detail;
	struct event event;

	if (!telling_first(session, block, &detail))
		return;
	event_begin(&event, LOG_LEVEL_INFO, "session");
	event_text(&event, "domain", block == REPORT_TLSA ?
	    session->tlsa_base : session->domain);
	event_text(&event, "type", report_block_name(block));
	event_text(&event, "policy", block == REPORT_STS ?
	    session->sts_id : "");
	event_text(&event, "host", session->host);
	event_text(&event, "addr", session->address);
	event_text(&event, "result",
	    tls_result_name((enum tls_result)detail.result));
	event_text(&event, "reason", detail.reason);
	event_end(&event);
}

static void
tell(struct manager *manager, struct t_session *session)
{
	session->when_s = loop_wall_s();
	outbox_put(manager->sessions, session);
	log_block(session, REPORT_STS);
	log_block(session, REPORT_TLSA);
	log_block(session, REPORT_NO_POLICY);
}

/*
 * RPT-3-11 RFC 8460 3: not what carries reports.  An address literal is no
 * policy domain, and nobody can ask for reports about it (T43).
 */
static bool
is_of_interest(const struct attempt *attempt)
{
	return attempt->manager->sessions != NULL &&
	    attempt->class != CLASS_REPORT && !attempt->route->literal;
}

struct t_session *
tell_begin(const struct attempt *attempt, const struct nexthop_host *host,
    const struct host_facts *facts)
{
	struct t_session *session;

	if (!is_of_interest(attempt))
		return NULL;
	session = mem_alloc(sizeof(*session));
	telling_begin(session, nexthop_name(attempt->route), attempt->route,
	    host, facts);
	return session;
}

/* RPT-4.3.4-1 RFC 8460 4.3.4: what never spoke of TLS counts as nothing. */
static bool
is_counted(const struct w_proof *proof)
{
	return proof->starttls_known && proof->failure != PROOF_CUT;
}

/*
 * RPT-4.2.1-1, RPT-4.2.2-1, RPT-4.2.2-2 RFC 8460 4.2: once, by what the
 * manager itself makes of the facts.
 */
void
tell_proof(struct channel *channel, const struct w_proof *proof)
{
	struct t_session *session = channel->telling;
	struct session_verdict verdict;
	struct session_facts facts;

	channel->telling = NULL;
	/* The second: reports were turned off since. */
	if (session == NULL || channel->manager->sessions == NULL ||
	    !is_counted(proof)) {
		free(session);
		return;
	}
	facts_of_proof(&channel->facts, channel->clear_retry, proof, &facts);
	verdict = decide_session(&facts);
	/* RPT-4.4-12, RPT-4.4-15 RFC 8460 4.4 */
	telling_address(&channel->own, session->local);
	telling_address(&channel->address, session->address);
	if (telling_end(session, &facts, &verdict.blocks, proof))
		tell(channel->manager, session);
	free(session);
}

void
tell_refused(const struct attempt *attempt, const struct walk_step *step)
{
	struct session_facts facts = { .host = step->facts };
	struct t_session *session;

	session = tell_begin(attempt, step->host, &step->facts);
	if (session == NULL)
		return;
	/* RPT-4.4-20 RFC 8460 4.4: no address, there was no connection. */
	if (telling_end(session, &facts, &step->verdict.blocks, NULL))
		tell(attempt->manager, session);
	free(session);
}
