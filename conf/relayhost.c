/*
 * Which next hop did the operator give for this mail, and what does its URL
 * say?
 *
 * Called by config.c (is the line right?), queue (which next hop?), policy
 * (which host is asked for?) and delivery (how is it spoken to?).  It looks
 * nothing up and knows no protocol: a scheme is a name, a port and two
 * promises that others keep.
 */
#include "conf/relayhost.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char	*prefix;
	uint16_t	port;
} schemes[] = {
	[RELAYHOST_SMTP] = { "smtp://", 25 },
	[RELAYHOST_SUBMISSION] = { "submission://", 587 },
	[RELAYHOST_SMTPS] = { "smtps://", 465 },
	[RELAYHOST_SMTP_TLS] = { "smtp+tls://", 25 },
};
#define SCHEMES_N	(sizeof(schemes) / sizeof(schemes[0]))

/* ---- URLs ---- */

static struct slice
rest_of(struct slice text, size_t from)
{
	return (struct slice){ text.at + from, text.len - from };
}

static bool
take_scheme(struct slice *url, struct relayhost *relay)
{
	struct slice prefix;
	size_t i;

	for (i = 0; i < SCHEMES_N; i++) {
		prefix = slice_of(schemes[i].prefix);
		if (!slice_begins_nocase(*url, prefix))
			continue;
		relay->scheme = (enum relayhost_scheme)i;
		relay->port = schemes[i].port;
		*url = rest_of(*url, prefix.len);
		return true;
	}
	return false;
}

/* What stands in brackets: an address, in any of its forms, or a name. */
static bool
take_bracketed(struct slice text, struct domain *host)
{
	char literal[DOMAIN_TEXT_MAX + 8];
	struct address address;

	if (address_parse(text, &address)) {
		snprintf(literal, sizeof(literal), "[%s%.*s]",
		    address.family == 6 ? "IPv6:" : "", (int)text.len,
		    text.at);
		return domain_parse(slice_of(literal), host);
	}
	if (slice_begins_nocase(text, SLICE("IPv6:"))) {
		snprintf(literal, sizeof(literal), "[%.*s]", (int)text.len,
		    text.at);
		return text.len < DOMAIN_TEXT_MAX &&
		    domain_parse(slice_of(literal), host);
	}
	return domain_parse(text, host) && !domain_is_literal(host);
}

/* *url then begins behind the host. */
static bool
take_host(struct slice *url, struct relayhost *relay)
{
	struct slice host = *url;
	struct address address;
	const char *end;

	if (url->len == 0)
		return false;
	relay->direct = url->at[0] == '[';
	end = memchr(url->at, relay->direct ? ']' : ':', url->len);
	if (relay->direct && end == NULL)
		return false;
	if (end != NULL)
		host.len = (size_t)(end - url->at);
	*url = rest_of(*url, host.len + relay->direct);
	if (relay->direct)
		return take_bracketed(rest_of(host, 1), &relay->host);
	/* A bare address has no MX to be looked up. */
	return !address_parse(host, &address) &&
	    domain_parse(host, &relay->host);
}

static bool
is_ascii(struct slice text)
{
	size_t i;

	for (i = 0; i < text.len; i++)
		if ((unsigned char)text.at[i] > 127)
			return false;
	return true;
}

static bool
take_port(struct slice url, uint16_t *port)
{
	uint64_t number;

	if (url.len == 0)
		return true;
	if (url.at[0] != ':' ||
	    !slice_number(rest_of(url, 1), 65535, &number) || number == 0)
		return false;
	*port = (uint16_t)number;
	return true;
}

bool
relayhost_parse(struct slice url, struct relayhost *relay, const char **why)
{
	*relay = (struct relayhost){ .scheme = RELAYHOST_SMTP };
	*why = "begins with none of smtp://, submission:// and smtps://";
	if (!take_scheme(&url, relay))
		return false;
	*why = "names a user: to authenticate is not yet built";
	if (memchr(url.at, '@', url.len) != NULL)
		return false;
	*why = "has letters beyond ASCII: write its xn-- form";
	if (!is_ascii(url))
		return false;
	*why = "has a \"/\": nothing but a port stands behind its host";
	if (memchr(url.at, '/', url.len) != NULL)
		return false;
	*why = "names no host (an address stands in brackets)";
	if (!take_host(&url, relay))
		return false;
	*why = "has no port from 1 to 65535 behind its host";
	return take_port(url, &relay->port);
}

char *
relayhost_print(const struct relayhost *relay, char text[RELAYHOST_TEXT_MAX])
{
	bool bracket = relay->direct && !domain_is_literal(&relay->host);
	size_t len;

	len = (size_t)snprintf(text, RELAYHOST_TEXT_MAX, "%s%s%s%s",
	    schemes[relay->scheme].prefix, bracket ? "[" : "",
	    relay->host.name, bracket ? "]" : "");
	if (relay->port != schemes[relay->scheme].port)
		snprintf(text + len, RELAYHOST_TEXT_MAX - len, ":%u",
		    relay->port);
	return text;
}

/* ---- lists of them ---- */

bool
relayhost_is(const char *next_hop)
{
	return strstr(next_hop, "://") != NULL;
}

bool
relayhost_nth(const char *next_hop, unsigned n, char url[DOMAIN_TEXT_MAX])
{
	struct slice rest = slice_of(next_hop), one;

	one = slice_cut(&rest, ',');
	for (; n > 0 && rest.at != NULL; n--)
		one = slice_cut(&rest, ',');
	return n == 0 && slice_store(one, url, DOMAIN_TEXT_MAX);
}

/* Append a URL; false: no room. */
static bool
append(char next_hop[DOMAIN_TEXT_MAX], const char *url)
{
	size_t len = strlen(next_hop);
	int more;

	more = snprintf(next_hop + len, DOMAIN_TEXT_MAX - len, "%s%s",
	    len > 0 ? "," : "", url);
	return more >= 0 && (size_t)more < DOMAIN_TEXT_MAX - len;
}

static bool
same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool
same_selectors(const struct config_relayhost *a,
    const struct config_relayhost *b)
{
	return a->for_some == b->for_some &&
	    a->for_domain.below == b->for_domain.below &&
	    strcmp(a->for_domain.domain.name, b->for_domain.domain.name) ==
	    0 && same_text(a->sender, b->sender);
}

/* All lines with the selectors of that one, joined. */
static bool
join(const struct config *config, const struct config_relayhost *like,
    char next_hop[DOMAIN_TEXT_MAX])
{
	size_t i;

	next_hop[0] = '\0';
	for (i = 0; i < config->relayhosts_n; i++)
		if (same_selectors(&config->relayhosts[i], like) &&
		    !append(next_hop, config->relayhosts[i].url))
			return false;
	return true;
}

bool
relayhost_has(const struct config *config,
    const struct config_relayhost *line)
{
	size_t i;

	for (i = 0; i < config->relayhosts_n; i++)
		if (same_selectors(&config->relayhosts[i], line) &&
		    strcmp(config->relayhosts[i].url, line->url) == 0)
			return true;
	return false;
}

bool
relayhost_list(const struct config *config, size_t line,
    char next_hop[DOMAIN_TEXT_MAX])
{
	return join(config, &config->relayhosts[line], next_hop);
}

/* As it is demanded: see relayhost_require. */
static bool
append_required(char next_hop[DOMAIN_TEXT_MAX], const char *url)
{
	const struct slice plain = slice_of(schemes[RELAYHOST_SMTP].prefix);
	char text[RELAYHOST_TEXT_MAX];

	if (!slice_begins_nocase(slice_of(url), plain))
		return append(next_hop, url);
	snprintf(text, sizeof(text), "%s%s",
	    schemes[RELAYHOST_SMTP_TLS].prefix, url + plain.len);
	return append(next_hop, text);
}

/* TLS-3207-6-1 RFC 3207 6 */
bool
relayhost_require(const char *next_hop, char required[DOMAIN_TEXT_MAX])
{
	char url[DOMAIN_TEXT_MAX];
	unsigned n;

	required[0] = '\0';
	for (n = 0; relayhost_nth(next_hop, n, url); n++)
		if (!append_required(required, url))
			return false;
	return n > 0;
}

bool
relayhost_fits(const struct config *config, size_t line)
{
	char next_hop[DOMAIN_TEXT_MAX], required[DOMAIN_TEXT_MAX];

	return relayhost_list(config, line, next_hop) &&
	    relayhost_require(next_hop, required);
}

/* ---- choosing ---- */

bool
relayhost_is_sender(const char *pattern, const struct mailbox *sender)
{
	struct mailbox exact;
	struct domain domain;

	if (mailbox_is_null(sender))
		return strcmp(pattern, "<>") == 0;
	if (strncmp(pattern, "*@", 2) == 0)
		pattern++;
	if (pattern[0] == '@')
		return domain_parse(slice_of(pattern + 1), &domain) &&
		    domain_equal(&domain, &sender->domain);
	return mailbox_parse(slice_of(pattern), &exact) &&
	    strcmp(exact.local, sender->local) == 0 &&
	    domain_equal(&exact.domain, &sender->domain);
}

/* How exactly does for= name this domain?  0: not at all. */
static unsigned
rank_domain(const struct config_relayhost *line, const struct domain *domain)
{
	const struct config_domains *meant = &line->for_domain;

	if (!config_covers(meant, domain))
		return 0;
	if (domain_equal(&meant->domain, domain))
		return 2 * DOMAIN_TEXT_MAX;
	return 1 + (unsigned)strlen(meant->domain.name);
}

static unsigned
rank_sender(const struct config_relayhost *line, const struct mailbox *sender)
{
	if (!relayhost_is_sender(line->sender, sender))
		return 0;
	return line->sender[0] == '@' || line->sender[0] == '*' ? 1 : 2;
}

/* More than exactness makes up for. */
#define RANK_OF_KIND	(16 * DOMAIN_TEXT_MAX)

/* How telling is this line about such mail?  0: it is not meant. */
static unsigned
rank(const struct config_relayhost *line, const struct mailbox *sender,
    const struct domain *domain)
{
	unsigned by_domain = 0, by_sender = 0, kind = 0;

	if (line->for_some) {
		kind += 2;
		by_domain = rank_domain(line, domain);
		if (by_domain == 0)
			return 0;
	}
	if (line->sender != NULL) {
		kind += 1;
		by_sender = rank_sender(line, sender);
		if (by_sender == 0)
			return 0;
	}
	return 1 + kind * RANK_OF_KIND + 4 * by_domain + by_sender;
}

bool
relayhost_choose(const struct config *config, const struct mailbox *sender,
    const struct domain *domain, char next_hop[DOMAIN_TEXT_MAX])
{
	const struct config_relayhost *best = NULL, *line;
	char list[DOMAIN_TEXT_MAX];
	unsigned best_rank = 0, its_rank;
	size_t i;

	for (i = 0; i < config->relayhosts_n; i++) {
		line = &config->relayhosts[i];
		its_rank = rank(line, sender, domain);
		if (its_rank > best_rank) {
			best_rank = its_rank;
			best = line;
		}
	}
	if (best == NULL)
		return false;
	return config_tls_required(config, domain) ?
	    join(config, best, list) && relayhost_require(list, next_hop) :
	    join(config, best, next_hop);
}
