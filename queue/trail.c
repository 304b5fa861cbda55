/*
 * What was found out in this attempt, and who will want to know?
 *
 * Called by dispatch.c with each D_HOST, by result.c and ending.c where mail
 * stays owed or is given up.  An attempt after which nothing is owed leaves
 * no trail on disk: it would be written and deleted for every message.
 * It judges nothing: the verdicts are delivery's.
 */
#include "queue/trail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
trail_add(struct trail *trail, const struct d_host *host)
{
	uint8_t octets[2 * sizeof(*host)];
	struct trail_host *kept;

	if (trail->hosts_n == TRAIL_HOSTS_MAX)
		return;
	kept = &trail->hosts[trail->hosts_n++];
	kept->session = host->session;
	kept->ready = host->ready;
	kept->len = wire_encode(record_host(), host, octets, sizeof(octets));
	kept->octets = mem_alloc(kept->len);
	memcpy(kept->octets, octets, kept->len);
	/* The next one to write it writes this host too. */
	trail->turn = 0;
}

void
trail_free(struct trail *trail)
{
	for (unsigned i = 0; i < trail->hosts_n; i++)
		free(trail->hosts[i].octets);
	trail->hosts_n = 0;
}

static bool
decode(const struct trail_host *kept, struct d_host *host)
{
	return wire_decode(record_host(), kept->octets, kept->len, host);
}

bool
trail_find(const struct trail *trail, uint64_t session, struct d_host *host)
{
	for (unsigned i = trail->hosts_n; session != 0 && i-- > 0;)
		if (trail->hosts[i].session == session)
			return decode(&trail->hosts[i], host);
	memset(host, 0, sizeof(*host));
	return false;
}

/* How well does a host fit what is said of the attempt?  0: not at all. */
static unsigned
fits(const struct d_host *host, const struct d_ended *ended)
{
	size_t len = strlen(host->host);
	bool named = len > 0 && strncmp(ended->text, host->host, len) == 0 &&
	    ended->text[len] == ':';
	bool ruled = host->rule[0] != '\0' &&
	    strcmp(host->rule, ended->rule) == 0;

	return (named ? 2 : 0) + (ruled ? 1 : 0);
}

bool
trail_decider(const struct trail *trail, const struct d_ended *ended,
    struct d_host *host)
{
	unsigned best = 0, rank;
	struct d_host one;

	memset(host, 0, sizeof(*host));
	for (unsigned i = 0; i < trail->hosts_n; i++) {
		if (trail->hosts[i].ready || !decode(&trail->hosts[i], &one))
			continue;
		rank = fits(&one, ended);
		/* Of two addresses the later: it was tried last. */
		if (rank > 0 && rank >= best) {
			best = rank;
			*host = one;
		}
	}
	return best > 0;
}

/*
 * How much a proof is worth; its name at the same place.  DANE-7672-2.2.1-5
 * RFC 7672 2.2.1: DANE for a host that an insecure answer named says nothing
 * of the domain.
 */
enum proof { PROVED_NOTHING, PROVED_TLS, PROVED_HOST, PROVED_NAME,
	PROVED_DOMAIN };
static const char *const proofs[] = {
	[PROVED_NOTHING] = "", [PROVED_TLS] = "encrypt",
	[PROVED_HOST] = "dane-host", [PROVED_NAME] = "pkix",
	[PROVED_DOMAIN] = "dane"
};
#define PROOFS_N	(sizeof(proofs) / sizeof(proofs[0]))

static size_t
rank_of(const char *proof)
{
	size_t rank = PROOFS_N - 1;

	while (rank > 0 && strcmp(proofs[rank], proof) != 0)
		rank--;
	return rank;
}

bool
trail_is_weaker(const char *proof, const char *than)
{
	return rank_of(proof) < rank_of(than);
}

static size_t
shown_by(const struct d_host *host)
{
	bool dane = strcmp(host->result, "success") == 0 &&
	    slice_begins(slice_of(host->requirement), SLICE("dane"));

	if (strcmp(host->starttls, "done") != 0)
		return PROVED_NOTHING;
	if (dane && (host->mx_secure || host->name_given))
		return PROVED_DOMAIN;
	if (strcmp(host->certificate, "valid") == 0)
		return PROVED_NAME;
	return dane ? PROVED_HOST : PROVED_TLS;
}

const char *
trail_proof(const struct trail *trail, const char *best)
{
	size_t rank = rank_of(best), shown;
	struct d_host host;

	for (unsigned i = 0; i < trail->hosts_n; i++) {
		if (!trail->hosts[i].ready || !decode(&trail->hosts[i], &host))
			continue;
		shown = shown_by(&host);
		if (shown > rank)
			rank = shown;
	}
	return proofs[rank];
}

/* A handshake that broke off says nothing about what would have been shown. */
static bool
is_seen(const struct d_host *host)
{
	return host->connected && (strcmp(host->starttls, "done") == 0 ||
	    strcmp(host->starttls, "absent") == 0 ||
	    strcmp(host->starttls, "refused") == 0);
}

const char *
trail_shown(const struct trail *trail)
{
	struct d_host host;
	size_t rank = 0;
	bool seen = false;

	for (unsigned i = 0; i < trail->hosts_n; i++) {
		if (!decode(&trail->hosts[i], &host) || !is_seen(&host))
			continue;
		seen = true;
		if (shown_by(&host) > rank)
			rank = shown_by(&host);
	}
	if (!seen)
		return "";
	return rank == 0 ? "none" : proofs[rank];
}

static struct attempt
attempt_of(const struct trail *trail, const struct d_ended *ended,
    uint64_t ended_ms)
{
	struct attempt attempt = { .destination = trail->destination,
	    .number = trail->attempt, .began_ms = trail->began_ms };

	if (ended == NULL)
		return attempt;
	attempt.ended_ms = ended_ms;
	attempt.outcome = ended->outcome;
	attempt.ours = ended->ours;
	memcpy(attempt.enhanced, ended->enhanced, sizeof(attempt.enhanced));
	memcpy(attempt.rule, ended->rule, sizeof(attempt.rule));
	memcpy(attempt.clause, ended->clause, sizeof(attempt.clause));
	memcpy(attempt.repair, ended->repair, sizeof(attempt.repair));
	memcpy(attempt.text, ended->text, sizeof(attempt.text));
	return attempt;
}

void
trail_write(struct trail *trail, struct spool *spool,
    struct destination *destination, const struct d_ended *ended,
    uint64_t ended_ms)
{
	struct attempt attempt = attempt_of(trail, ended, ended_ms);

	if (ended == NULL && trail->turn == spool_turn(spool))
		return;
	trail->turn = spool_turn(spool);
	trail->written = true;
	if (destination->attempts < trail->attempt)
		destination->attempts = trail->attempt;
	spool_put_attempt(spool, &attempt);
	for (unsigned i = 0; i < trail->hosts_n; i++)
		spool_put_host(spool, trail->destination, trail->attempt, i,
		    (struct slice){ (const char *)trail->hosts[i].octets,
		    trail->hosts[i].len });
	if (trail->attempt > TRAIL_ATTEMPTS_MAX)
		spool_drop_attempt(spool, trail->destination,
		    trail->attempt - TRAIL_ATTEMPTS_MAX);
}

const char *
trail_outcome(uint32_t outcome)
{
	static const char *const names[] = {
		"", "delivered", "deferred", "failed"
	};

	return outcome <= OUTCOME_FAILED ? names[outcome] : "";
}

void
trail_log(struct ledger *ledger, const struct trail_line *line,
    const struct d_host *host)
{
	uint64_t delay_ms = line->now_ms > line->arrived_ms ?
	    line->now_ms - line->arrived_ms : 0;
	char id[ID_TEXT_MAX], delay[32];
	struct event event;

	snprintf(delay, sizeof(delay), "%llu.%03llu",
	    (unsigned long long)(delay_ms / 1000),
	    (unsigned long long)(delay_ms % 1000));
	event_begin(&event, LOG_LEVEL_INFO, "attempt");
	event_text(&event, "id", queue_id_print(line->id, id));
	event_text(&event, "to", line->to);
	event_text(&event, "domain", line->domain);
	event_text(&event, "host", line->host);
	event_text(&event, "addr", line->address);
	event_text(&event, "outcome", trail_outcome(line->outcome));
	event_number(&event, "code", line->code);
	event_text(&event, "enh", line->enhanced);
	event_text(&event, "policy", host->policy);
	event_text(&event, "require", host->requirement);
	event_text(&event, "tls", host->tls_version);
	event_text(&event, "cipher", host->tls_cipher);
	/* The rule tells more than what it led to, which is the outcome. */
	event_text(&event, "verdict", line->rule != NULL ? line->rule :
	    host->rule);
	event_text(&event, "clause", line->clause);
	event_text(&event, "delay", delay);
	event_text(&event, "reply", line->reply);
	ledger_add(ledger, &event);
}
