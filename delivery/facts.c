/*
 * What is known of this host, in the words of log and `explain`?
 *
 * Called by attempt.c and channel.c for every host that was judged, tried or
 * proven.  The words are decide.h's; this file only puts them where queue.h
 * wants them.
 */
#include "delivery/facts.h"

#include "delivery/x509.h"

#include <stdio.h>
#include <string.h>

static void
put(char *to, size_t size, const char *text)
{
	snprintf(to, size, "%s", text != NULL ? text : "");
}
#define PUT(member, text)	put(member, sizeof(member), text)

static void
put_rule(struct d_host *note, const struct rule *rule)
{
	PUT(note->rule, rule->name);
	PUT(note->enhanced, rule->enhanced);
	PUT(note->clause, rule->clause);
	PUT(note->repair, rule->repair);
}

/* "" while there is nothing to say. */
static void
put_result(struct d_host *note, enum tls_result result)
{
	PUT(note->result, result == RESULT_NONE ? "" :
	    tls_result_name(result));
}

/* Is it known whether its address is signed? */
static bool
has_looked(const struct nexthop *nexthop, const struct nexthop_host *host)
{
	return !nexthop->literal && (host->addresses_n > 0 ||
	    host->tlsa == TLSA_FAILED);
}

/*
 * Trap T49: whether a policy was not there, or could not be had.  It is told
 * beside a policy that is kept from before, too.
 */
static void
put_policy_error(struct d_host *note, const struct r_route *route)
{
	const char *text = route->sts_error_text;

	if (route->sts_error == RESULT_NONE)
		PUT(note->policy_error, text);
	else
		snprintf(note->policy_error, sizeof(note->policy_error),
		    "%s%s%s", tls_result_name(route->sts_error),
		    text[0] != '\0' ? ": " : "", text);
}

void
facts_host(struct d_host *note, uint64_t destination,
    const struct nexthop *nexthop, const struct nexthop_host *host,
    const struct host_facts *facts, const struct host_verdict *verdict)
{
	*note = (struct d_host){ .destination = destination };
	/* DANE-7672-2.2.1-4, RPT-4.4-13: the name that MX gave. */
	PUT(note->host, host->name);
	PUT(note->policy, policy_type_name(facts));
	if (facts->sts != STS_ABSENT) {
		PUT(note->sts, sts_mode_name(facts->sts));
		PUT(note->sts_id, nexthop->route.sts_id);
		note->sts_cached = nexthop->route.sts_cached;
	}
	put_policy_error(note, &nexthop->route);
	note->mx_match = facts->mx_match;
	note->mx_secure = facts->mx_secure;
	note->name_given = facts->name_given;
	note->address_secure = host->address_secure;
	PUT(note->tlsa, has_looked(nexthop, host) ?
	    tlsa_state_name(facts->tlsa) : "");
	PUT(note->requirement, verdict->action == HOST_SKIP ? "" :
	    requirement_name(verdict->requirement));
	PUT(note->verdict, verdict->action == HOST_SKIP ? "skip" : "try");
	note->exempt = verdict->exempt;
	put_result(note, verdict->result);
	/* DANE-7672-2.2.1-5: the rule's name tells host from domain. */
	put_rule(note, &verdict->rule);
}

void
facts_unreachable(struct d_host *note, const char *why)
{
	PUT(note->verdict, "unreachable");
	PUT(note->result, "");
	PUT(note->rule, "unreachable");
	PUT(note->enhanced, "4.4.1");
	PUT(note->clause, "RFC 5321 5.1");
	PUT(note->repair, "");
	PUT(note->reply, why);
}

static const char *
failure_word(const struct w_proof *proof)
{
	switch ((enum proof_failure)proof->failure) {
	case PROOF_READY:
		return "send";
	case PROOF_POLICY:
		return "next";
	case PROOF_RECONNECT:
		return "reconnect";
	case PROOF_REFUSED:
		return "refused";
	case PROOF_CLOSED:
		return "closed";
	case PROOF_TIMEOUT:
		return "timeout";
	case PROOF_VIOLATION:
		return "violation";
	case PROOF_CUT:
		return "stopped";
	}
	return "";
}

/* What DANE said; "" where nothing was compared. */
static void
put_dane(struct d_host *note, const struct w_proof *proof)
{
	uint32_t errors_n = proof->dane_errors_len;

	if (proof->dane == 0 && proof->tlsa_matched[0] != '\0')
		snprintf(note->dane, sizeof(note->dane), "matches %s",
		    proof->tlsa_matched);
	else
		x509_print(proof->dane_errors, errors_n < PROOF_ERRORS_MAX ?
		    errors_n : PROOF_ERRORS_MAX, note->dane,
		    sizeof(note->dane));
}

/*
 * Had it nothing to compare with?  A comparison that found neither a match
 * nor a defect has met records that only the library could tell to be none.
 * DANE-7671-4.1-1 RFC 7671 4.1
 */
static bool
compared_nothing(const struct w_proof *proof)
{
	return proof->starttls_known && proof->starttls == STARTTLS_DONE &&
	    proof->dane == 0 && proof->tlsa_matched[0] == '\0';
}

/*
 * Of a host whose records turned out to be none: DANE asks it for TLS alone,
 * and whoever else asked for proof asks for a certificate.  The rule of its
 * session tells which.
 */
static void
put_unusable(struct d_host *note, const struct rule *rule)
{
	PUT(note->tlsa, tlsa_state_name(TLSA_UNUSABLE));
	if (strcmp(note->requirement, requirement_name(REQUIRE_NONE)) != 0)
		PUT(note->requirement, requirement_name(
		    strcmp(rule->name, "dane-unusable-encrypted") == 0 ?
		    REQUIRE_ENCRYPT : REQUIRE_PKIX));
}

void
facts_session(struct d_host *note, const struct w_proof *proof,
    const struct session_verdict *verdict)
{
	note->connected = true;
	PUT(note->verdict, failure_word(proof));
	PUT(note->starttls, proof->starttls_known ?
	    starttls_name((enum starttls)proof->starttls) : "");
	PUT(note->certificate, proof->certificate);
	put_dane(note, proof);
	PUT(note->tls_version, proof->tls_version);
	PUT(note->tls_cipher, proof->tls_cipher);
	PUT(note->reply, proof->reply);
	if (verdict != NULL) {
		if (compared_nothing(proof) && strcmp(note->tlsa,
		    tlsa_state_name(TLSA_USABLE)) == 0)
			put_unusable(note, &verdict->rule);
		put_result(note, verdict->result);
		put_rule(note, &verdict->rule);
		return;
	}
	PUT(note->result, "");
	PUT(note->rule, failure_word(proof));
	PUT(note->enhanced, proof->failure == PROOF_REFUSED ? "4.3.2" :
	    "4.4.2");
	PUT(note->clause, proof->failure == PROOF_REFUSED ?
	    "RFC 5321 4.2.1" : "RFC 5321 3.8");
	PUT(note->repair, "");
}

void
facts_of_proof(const struct host_facts *host, bool clear_retry,
    const struct w_proof *proof, struct session_facts *facts)
{
	*facts = (struct session_facts){
		.host = *host,
		.starttls = (enum starttls)proof->starttls,
		.cert = proof->cert,
		.dane = proof->dane,
		.clear_retry = clear_retry,
		.requiretls = proof->requiretls
	};
	if (host->tlsa == TLSA_USABLE && compared_nothing(proof))
		facts->host.tlsa = TLSA_UNUSABLE;
}
