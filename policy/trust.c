/*
 * Whose AD bit counts?
 *
 * Called by main.c with the resolvers, at start and when they change.  Probes
 * each resolver on loopback: each minute while there is no answer, each ten
 * minutes while none is believed (somebody may mend it), each hour else (a
 * resolver that stops validating says nothing of itself).
 *
 * A later probe without answer changes nothing: what was proven holds, and a
 * dead resolver shows in the questions themselves.
 *
 * States: enum trust_state.  It speaks past the cache of dns.c, and tells
 * dns.c what to use.
 */
#include "policy/trust.h"

#include "conf/log.h"
#include "conf/parent.h"

#include <stdlib.h>
#include <string.h>

#define SILENT_EACH_MS		60000
#define OFF_EACH_MS		600000
#define ON_EACH_MS		3600000
#define ALARM_AFTER_MS		600000

/* One resolver's probe. */
struct probe {
	struct trust		*trust;
	unsigned		 round;	/* answers to older ones are dropped */
	unsigned		 index;
	bool			 bogus;
};

struct trust {
	struct loop		*loop;
	struct dns		*dns;
	void			(*changed)(void *);
	void			*context;
	struct timer		*timer;
	enum trust_state	 state;
	struct domain		 signed_name, bogus_name;
	unsigned		 n;
	struct config_endpoint	 list[RESOLVERS_MAX];
	enum trust_proof	 proof[RESOLVERS_MAX];
	struct region		*region;	/* of the answers below */
	struct rr_answer	 signed_answer[RESOLVERS_MAX];
	struct rr_answer	 bogus_answer[RESOLVERS_MAX];
	unsigned		 round;
	unsigned		 outstanding;
	int64_t			 silent_since_ms;	/* 0: not */
};

enum trust_proof
trust_judge(const struct rr_answer *signed_name, const struct rr_answer *bogus)
{
	if (signed_name->status != RR_OK && signed_name->status != RR_NXDOMAIN)
		return TRUST_SILENT;
	if (!signed_name->secure)
		return TRUST_REFUSED;
	if (bogus != NULL && bogus->status == RR_OK && bogus->records_n > 0)
		return TRUST_REFUSED;
	return TRUST_PROVEN;
}

static unsigned
with_proof(const enum trust_proof *proof, unsigned n, enum trust_proof wanted)
{
	unsigned bits = 0, i;

	for (i = 0; i < n; i++)
		if (proof[i] == wanted)
			bits |= 1u << i;
	return bits;
}

struct trust_choice
trust_choose(const enum trust_proof *proof, unsigned n)
{
	struct trust_choice choice = { TRUST_OFF, (1u << n) - 1, 0 };
	unsigned proven = with_proof(proof, n, TRUST_PROVEN);

	if (proven != 0) {
		choice.state = TRUST_ON;
		choice.used = choice.believed = proven;
	} else if (with_proof(proof, n, TRUST_REFUSED) == 0 &&
	    with_proof(proof, n, TRUST_SILENT) != 0) {
		choice.state = TRUST_WAITING;
		choice.used = 0;
	}
	return choice;
}

static bool
is_loopback(const struct address *address)
{
	static const uint8_t six[16] = { [15] = 1 };

	if (address->family == 4)
		return address->ip[0] == 127;
	return memcmp(address->ip, six, 16) == 0;
}

/* The first resolver that has shown this, as text. */
static const char *
name_of(const struct trust *trust, enum trust_proof proof,
    char text[ADDRESS_TEXT_MAX])
{
	unsigned i;

	for (i = 0; i < trust->n; i++)
		if (trust->proof[i] == proof)
			return address_print(&trust->list[i].address, text);
	return "?";
}

/* What an operator must know, as long as it is so. */
static void
say_alarm(struct trust *trust)
{
	char text[ADDRESS_TEXT_MAX];

	if (trust->state == TRUST_ON) {
		parent_alarm("resolver", false, "DNS answers are validated");
	} else if (trust->state == TRUST_WAITING) {
		if (loop_now_ms() - trust->silent_since_ms < ALARM_AFTER_MS)
			return;
		parent_alarm("resolver", true, "resolver %s does not answer "
		    "for \"%s\" and mail waits; `trust-resolver no' delivers "
		    "without DANE",
		    name_of(trust, TRUST_SILENT, text),
		    trust->signed_name.name[0] == '\0' ? "." :
		    trust->signed_name.name);
	} else if (with_proof(trust->proof, trust->n, TRUST_REFUSED) != 0) {
		parent_alarm("resolver", true, "DANE is off: resolver %s does "
		    "not validate DNSSEC",
		    name_of(trust, TRUST_REFUSED, text));
	} else {
		parent_alarm("resolver", true, "DANE is off: no resolver on "
		    "loopback; `trust-resolver yes' believes %s",
		    name_of(trust, TRUST_REMOTE, text));
	}
}

static void
take_state(struct trust *trust, const struct trust_choice *choice)
{
	bool other = trust->state != choice->state;

	dns_use(trust->dns, choice->used, choice->believed);
	trust->state = choice->state;
	if (choice->state != TRUST_WAITING)
		trust->silent_since_ms = 0;
	else if (trust->silent_since_ms == 0)
		trust->silent_since_ms = loop_now_ms();
	if (other)
		trust->changed(trust->context);
}

/* Once something was proven, or refused, silence does not undo it. */
static void
probes_end(struct trust *trust)
{
	struct trust_choice choice;
	bool bogus = trust->bogus_name.name[0] != '\0';
	enum trust_proof proof;
	unsigned i;

	for (i = 0; i < trust->n; i++) {
		if (trust->proof[i] == TRUST_REMOTE)
			continue;
		proof = trust_judge(&trust->signed_answer[i],
		    bogus ? &trust->bogus_answer[i] : NULL);
		if (proof != TRUST_SILENT)
			trust->proof[i] = proof;
	}
	region_free(&trust->region);
	choice = trust_choose(trust->proof, trust->n);
	take_state(trust, &choice);
	say_alarm(trust);
	timer_set(trust->timer, choice.state == TRUST_WAITING ?
	    SILENT_EACH_MS : choice.state == TRUST_ON ? ON_EACH_MS :
	    OFF_EACH_MS);
}

static void
on_probe(void *context, struct slice octets)
{
	struct probe probe = *(struct probe *)context;
	struct trust *trust = probe.trust;
	struct rr_answer *answer;

	free(context);
	if (probe.round != trust->round)
		return;
	answer = probe.bogus ? &trust->bogus_answer[probe.index] :
	    &trust->signed_answer[probe.index];
	answer->status = RR_SERVFAIL;
	if (octets.at != NULL)
		rr_parse(octets,
		    probe.bogus ? &trust->bogus_name : &trust->signed_name,
		    probe.bogus ? RR_A : RR_SOA, trust->region, answer);
	if (--trust->outstanding == 0)
		probes_end(trust);
}

static void
probe_begin(struct trust *trust, unsigned index, bool bogus)
{
	struct probe *probe;

	probe = mem_alloc(sizeof(*probe));
	probe->trust = trust;
	probe->round = trust->round;
	probe->index = index;
	probe->bogus = bogus;
	trust->outstanding++;
	if (!resolvers_ask(dns_resolvers(trust->dns), index,
	    bogus ? &trust->bogus_name : &trust->signed_name,
	    bogus ? RR_A : RR_SOA, on_probe, probe))
		bug("trust-resolver holds no name");
}

static void
probes_begin(void *context)
{
	struct trust *trust = context;
	unsigned i;

	trust->round++;
	trust->outstanding = 0;
	region_free(&trust->region);
	trust->region = region_new();
	for (i = 0; i < trust->n; i++) {
		if (trust->proof[i] == TRUST_REMOTE)
			continue;
		probe_begin(trust, i, false);
		if (trust->bogus_name.name[0] != '\0')
			probe_begin(trust, i, true);
	}
	if (trust->outstanding == 0)
		probes_end(trust);
}

struct trust *
trust_new(struct loop *loop, struct dns *dns, void (*changed)(void *),
    void *context)
{
	struct trust *trust;

	trust = mem_alloc(sizeof(*trust));
	trust->loop = loop;
	trust->dns = dns;
	trust->changed = changed;
	trust->context = context;
	trust->timer = timer_new(loop, probes_begin, trust);
	return trust;
}

/* Without probes: the operator has said what to believe, by this keyword. */
static void
take_word(struct trust *trust, bool yes, const char *keyword)
{
	unsigned all = (1u << trust->n) - 1;
	struct trust_choice choice = {
		yes ? TRUST_ON : TRUST_OFF, all, yes ? all : 0
	};

	if (!yes)
		log_line(LOG_LEVEL_INFO, "DANE is off: %s", keyword);
	parent_alarm("resolver", false, "%s", keyword);
	take_state(trust, &choice);
}

/*
 * Is there anything to be proven?  `dane off' asks for no proof: nobody is
 * believed then, unless the operator says so.
 */
static void
judge(struct trust *trust, const struct config *config)
{
	switch (config->trust_resolver) {
	case CONFIG_TRUST_YES:
		take_word(trust, true, "trust-resolver yes");
		return;
	case CONFIG_TRUST_NO:
		take_word(trust, false, "trust-resolver no");
		return;
	case CONFIG_TRUST_AUTO:
		if (config->dane == CONFIG_DANE_OFF)
			take_word(trust, false, "dane off");
		else
			probes_begin(trust);
	}
}

void
trust_set(struct trust *trust, const struct config *config,
    const struct config_endpoint *list, size_t n)
{
	unsigned i;

	timer_stop(trust->timer);
	trust->round++;
	trust->state = TRUST_ASKING;
	trust->silent_since_ms = 0;
	trust->signed_name = config->trust_signed_name;
	trust->bogus_name = config->trust_bogus_name;
	trust->n = n > RESOLVERS_MAX ? RESOLVERS_MAX : (unsigned)n;
	dns_set_resolvers(trust->dns, list, trust->n);
	for (i = 0; i < trust->n; i++) {
		trust->list[i] = list[i];
		trust->proof[i] = is_loopback(&list[i].address) ?
		    TRUST_SILENT : TRUST_REMOTE;
	}
	judge(trust, config);
}

enum trust_state
trust_state(const struct trust *trust)
{
	return trust->state;
}
