/*
 * Where does a message go?
 *
 * Called wherever a destination is chosen: when a message begins to exist
 * (deposit.c), when a destination's record was lost (destination.c), and when
 * the relayhost or tls-required lines have changed (rehome.c).
 * conf/relayhost.c knows the lines; here is what they mean for a message.  A notice and a report are mail
 * like any other: "<>" or the reports' sender may have a relayhost of their
 * own.
 *
 * The settings are followed by a pointer: the calls stand too deep in what
 * mends the store to hand them down there.
 */
#include "queue/relayed.h"

#include "conf/relayhost.h"

#include <string.h>

static const struct config *const *followed;

void
relayed_follow(const struct config *const *config)
{
	followed = config;
}

bool
relayed_next_hop(const struct message *message, const char *recipient,
    char next_hop[DOMAIN_TEXT_MAX])
{
	struct mailbox to, sender = { .local = "" };

	if (!mailbox_parse(slice_of(recipient), &to) ||
	    to.domain.name[0] == '\0')
		return false;
	/* One that is none of ours to judge is matched by no sender=. */
	if (message->sender[0] != '\0' &&
	    !mailbox_parse(slice_of(message->sender), &sender))
		sender = (struct mailbox){ .local = "?" };
	if (followed == NULL || !relayhost_choose(*followed, &sender,
	    &to.domain, next_hop))
		memcpy(next_hop, to.domain.name, sizeof(to.domain.name));
	return true;
}

/* RTLS-5-5 RFC 8689 5 */
uint32_t
relayed_class(const struct message *message)
{
	return message->class == CLASS_REQUIRETLS &&
	    message->sender[0] == '\0' ? CLASS_MAIL : message->class;
}

/* FNV-1a, with an end to each text. */
static uint64_t
add_text(uint64_t mark, const char *text)
{
	do
		mark = (mark ^ (uint8_t)*text) * 1099511628211u;
	while (*text++ != '\0');
	return mark;
}

/* It makes other next hops of relays, and of nothing else. */
static uint64_t
add_required(uint64_t mark, const struct config *config)
{
	for (size_t i = 0; i < config->tls_required_n; i++) {
		const struct config_domains *domains =
		    &config->tls_required[i];

		mark = add_text(mark, domains->below ? "all below" :
		    "required");
		mark = add_text(mark, domains->domain.name);
	}
	return mark;
}

uint64_t
relayed_mark(const struct config *config)
{
	uint64_t mark = 14695981039346656037u;

	for (size_t i = 0; i < config->relayhosts_n; i++) {
		const struct config_relayhost *line = &config->relayhosts[i];

		mark = add_text(mark, line->url);
		mark = add_text(mark, line->sender != NULL ? line->sender :
		    "");
		if (line->for_some)
			mark = add_text(mark, line->for_domain.below ?
			    "below" : "for");
		mark = add_text(mark, line->for_domain.domain.name);
	}
	if (config->relayhosts_n > 0)
		mark = add_required(mark, config);
	return mark != 0 ? mark : 1;
}

bool
relayed_leads_to(const char *next_hop, const struct domain *host)
{
	char url[DOMAIN_TEXT_MAX];
	struct relayhost relay;
	const char *why;

	if (!relayhost_is(next_hop))
		return strcmp(next_hop, host->name) == 0;
	for (unsigned n = 0; relayhost_nth(next_hop, n, url); n++)
		if (relayhost_parse(slice_of(url), &relay, &why) &&
		    domain_equal(&relay.host, host))
			return true;
	return false;
}

bool
relayed_exempts(void)
{
	return followed != NULL && (*followed)->exempt_n > 0;
}

bool
relayed_is_exempt(const char *next_hop, int64_t now_s)
{
	const struct config_exempt *exempt;

	if (!relayed_exempts())
		return false;
	for (size_t i = 0; i < (*followed)->exempt_n; i++) {
		exempt = &(*followed)->exempt[i];
		if (exempt->until_s > now_s &&
		    relayed_leads_to(next_hop, &exempt->domain))
			return true;
	}
	return false;
}
