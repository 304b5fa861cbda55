/*
 * What does the operator say about mail that leaves: to which hosts, by which
 * resolvers, and what TLS must prove?
 *
 * The values of "mail out" that are no plain kind; called by the rows of
 * config.c's table.  The URL of a relayhost is read by relayhost.c.  Nothing
 * is resolved or opened; the clock is an argument.
 */
#include "conf/configout.h"

#include "conf/relayhost.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- addresses and resolvers ---- */

bool
configout_parse_bind(struct config *config, const struct keyword *keyword,
    const struct words *words, const char **why)
{
	struct address address, *added;
	size_t i;

	(void)keyword;
	for (i = 0; i < words->n; i++) {
		if (!address_parse(slice_of(words->word[i]), &address)) {
			*why = "is no address";
			return false;
		}
		added = kind_grow(&config->bind, &config->bind_n,
		    sizeof(*added), why);
		if (added == NULL)
			return false;
		*added = address;
	}
	return words->n > 0;
}

bool
configout_print_bind(const struct config *config,
    const struct keyword *keyword, size_t n, struct buffer *out)
{
	char text[ADDRESS_TEXT_MAX];
	size_t i;

	(void)keyword;
	if (n > 0 || config->bind_n == 0)
		return false;
	for (i = 0; i < config->bind_n; i++)
		words_put(out, address_print(&config->bind[i], text));
	return true;
}

/* Most resolvers: what a P_RESOLVERS can hold, and more than is of use. */
#define RESOLVERS_MAX	16

bool
configout_parse_resolver(struct config *config,
    const struct keyword *keyword, const struct words *words,
    const char **why)
{
	struct config_endpoint endpoint, *added;
	size_t i;

	(void)keyword;
	if (words->n > RESOLVERS_MAX)
		*why = "has too many addresses";
	if (words->n == 0 || words->n > RESOLVERS_MAX)
		return false;
	for (i = 0; i < words->n; i++) {
		if (!kind_endpoint(words->word[i], 53, &endpoint))
			return false;
		added = kind_grow(&config->resolvers, &config->resolvers_n,
		    sizeof(*added), why);
		*added = endpoint;
	}
	return true;
}

bool
configout_print_resolver(const struct config *config,
    const struct keyword *keyword, size_t n, struct buffer *out)
{
	size_t i;

	(void)keyword;
	for (i = 0; n == 0 && i < config->resolvers_n; i++)
		kind_endpoint_print(&config->resolvers[i], out);
	return n == 0 && config->resolvers_n > 0;
}

bool
configout_parse_trust(struct config *config,
    const struct keyword *keyword, const struct words *words,
    const char **why)
{
	struct words mode = { .n = 1, .word = { words->word[0] } };
	struct domain signed_name = { "" }, bogus_name = { "" };

	if (words->n == 0 || words->n > 3)
		return false;
	if (words->n > 1 && strcmp(words->word[1], ".") != 0 &&
	    !kind_name(words->word[1], &signed_name, why))
		return false;
	if (words->n > 2 && !kind_name(words->word[2], &bogus_name, why))
		return false;
	if (!kind_parse_choice(config, keyword, &mode, why))
		return false;
	config->trust_signed_name = signed_name;
	config->trust_bogus_name = bogus_name;
	return true;
}

bool
configout_print_trust(const struct config *config,
    const struct keyword *keyword, size_t n, struct buffer *out)
{
	const char *signed_name = config->trust_signed_name.name;

	if (!kind_print_choice(config, keyword, n, out))
		return false;
	words_put(out, signed_name[0] != '\0' ? signed_name : ".");
	if (config->trust_bogus_name.name[0] != '\0')
		words_put(out, config->trust_bogus_name.name);
	return true;
}

/* ---- tls-required ---- */

static bool
same_domains(const struct config_domains *a, const struct config_domains *b)
{
	return a->below == b->below && domain_equal(&a->domain, &b->domain);
}

static bool
is_required(const struct config *config, const struct config_domains *domains)
{
	size_t i;

	for (i = 0; i < config->tls_required_n; i++)
		if (same_domains(&config->tls_required[i], domains))
			return true;
	return false;
}

/* What others take for a switch. */
static bool
is_switch(const char *word)
{
	static const char *const words[] = { "yes", "no", "on", "off", "true",
	    "false", "all", "none" };
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (slice_equal_nocase(slice_of(word), slice_of(words[i])))
			return true;
	return false;
}

bool
configout_parse_tls_required(struct config *config,
    const struct keyword *keyword, const struct words *words,
    const char **why)
{
	struct config_domains domains, *added;
	size_t i;

	(void)keyword;
	for (i = 0; i < words->n; i++) {
		*why = "names no domain";
		if (is_switch(words->word[i]) ||
		    !kind_domains(words->word[i], &domains, why))
			return false;
		if (is_required(config, &domains))
			continue;
		added = kind_grow(&config->tls_required,
		    &config->tls_required_n, sizeof(*added), why);
		if (added == NULL)
			return false;
		*added = domains;
	}
	return words->n > 0;
}

bool
configout_print_tls_required(const struct config *config,
    const struct keyword *keyword, size_t n, struct buffer *out)
{
	char text[KIND_DOMAINS_MAX];

	(void)keyword;
	if (n >= config->tls_required_n)
		return false;
	words_put(out, kind_domains_print(&config->tls_required[n], text));
	return true;
}

/* ---- exempt ---- */

#define EXEMPT_DAYS	90
#define BECAUSE_MAX	200

/* The second that the day "2026-11-24" ends with, in UTC. */
static bool
day_parse(const char *word, int64_t *end_s)
{
	struct slice rest = slice_of(word), year, month;
	uint64_t y, m, d;
	struct tm tm;
	time_t begin;

	year = slice_cut(&rest, '-');
	month = rest.at != NULL ? slice_cut(&rest, '-') : rest;
	if (rest.at == NULL || year.len != 4 || month.len != 2 ||
	    rest.len != 2 || !slice_number(year, 9999, &y) || y < 1970 ||
	    !slice_number(month, 12, &m) || m == 0 ||
	    !slice_number(rest, 31, &d) || d == 0)
		return false;
	tm = (struct tm){ .tm_year = (int)y - 1900, .tm_mon = (int)m - 1,
	    .tm_mday = (int)d };
	begin = timegm(&tm);
	*end_s = (int64_t)begin + DAY;
	/* 31 June is 1 July to timegm. */
	return tm.tm_mday == (int)d;
}

/* The last day of an exemption, as day_parse reads it. */
#define DAY_TEXT_MAX	16
static const char *
day_print(int64_t end_s, char text[DAY_TEXT_MAX])
{
	time_t second = (time_t)(end_s - 1);
	struct tm tm;

	gmtime_r(&second, &tm);
	if (strftime(text, DAY_TEXT_MAX, "%Y-%m-%d", &tm) == 0)
		text[0] = '\0';
	return text;
}

static bool
is_exempt(const struct config *config, const struct domain *domain)
{
	size_t i;

	for (i = 0; i < config->exempt_n; i++)
		if (domain_equal(&config->exempt[i].domain, domain))
			return true;
	return false;
}

static bool
exempt_words(const struct words *words, struct config_exempt *exempt,
    const char **why)
{
	if (words->n == 0 || !kind_no_address(words->word[0], &exempt->domain,
	    why))
		return false;
	*why = "gives no end: \"until YYYY-MM-DD\"";
	if (words->n < 3 || strcmp(words->word[1], "until") != 0)
		return false;
	*why = "ends at no day of the calendar";
	if (!day_parse(words->word[2], &exempt->until_s))
		return false;
	*why = "gives no reason: \"because\" and a text in quotes";
	if (words->n != 5 || strcmp(words->word[3], "because") != 0)
		return false;
	return kind_line(words->word[4], BECAUSE_MAX, why);
}

bool
configout_parse_exempt(struct config *config, const struct keyword *keyword,
    const struct words *words, const char **why)
{
	struct config_exempt exempt = { .because = NULL }, *added;

	(void)keyword;
	if (!exempt_words(words, &exempt, why))
		return false;
	*why = "names a domain that is exempt already";
	if (is_exempt(config, &exempt.domain))
		return false;
	added = kind_grow(&config->exempt, &config->exempt_n, sizeof(*added),
	    why);
	if (added == NULL)
		return false;
	*added = exempt;
	added->because = mem_copy(words->word[4]);
	return true;
}

bool
configout_print_exempt(const struct config *config,
    const struct keyword *keyword, size_t n, struct buffer *out)
{
	const struct config_exempt *exempt;
	char text[DAY_TEXT_MAX];

	(void)keyword;
	if (n >= config->exempt_n)
		return false;
	exempt = &config->exempt[n];
	words_put(out, exempt->domain.name);
	words_put(out, "until");
	words_put(out, day_print(exempt->until_s, text));
	words_put(out, "because");
	words_put(out, exempt->because);
	return true;
}

bool
configout_settle_exempt(struct config *config, int64_t now_s,
    const char *where)
{
	struct config_exempt *last = &config->exempt[config->exempt_n - 1];
	const int64_t latest_s = now_s - now_s % DAY +
	    (EXEMPT_DAYS + 1) * (int64_t)DAY;
	char text[DAY_TEXT_MAX];

	if (last->until_s <= now_s) {
		log_line(LOG_LEVEL_INFO, "warning: %s: exempt: %s was exempt "
		    "until %s, which is past: the line is ignored", where,
		    last->domain.name, day_print(last->until_s, text));
		free(last->because);
		config->exempt_n--;
		return false;
	}
	if (last->until_s > latest_s) {
		last->until_s = latest_s;
		log_line(LOG_LEVEL_INFO, "warning: %s: exempt: %s is exempt "
		    "until %s, %d days from now, and no longer", where,
		    last->domain.name, day_print(latest_s, text),
		    EXEMPT_DAYS);
	}
	return true;
}

/* ---- relayhost ---- */

/*
 * A sender=: an address, "@" and a domain ("*@" and a domain is the same), or
 * "<>".  Returns a copy in one form, or NULL.
 */
static char *
sender_copy(const char *word, const char **why)
{
	char text[MAILBOX_TEXT_MAX];
	struct mailbox mailbox;
	struct domain domain;

	if (strcmp(word, "<>") == 0)
		return mem_copy(word);
	if (strncmp(word, "*@", 2) == 0)
		word++;
	if (word[0] == '@') {
		if (!kind_name(word + 1, &domain, why))
			return NULL;
		snprintf(text, sizeof(text), "@%s", domain.name);
		return mem_copy(text);
	}
	*why = "has a sender= that is no address, \"@DOMAIN\" or \"<>\"";
	if (!mailbox_parse(slice_of(word), &mailbox) ||
	    mailbox.domain.name[0] == '\0')
		return NULL;
	return mem_copy(mailbox_print(&mailbox, text));
}

/* One of the words behind the URL, each of which is said once. */
static bool
take_selector(const char *word, struct config_relayhost *line,
    const char **why)
{
	if (strncmp(word, "sender=", 7) == 0 && line->sender == NULL) {
		line->sender = sender_copy(word + 7, why);
		return line->sender != NULL;
	}
	if (strncmp(word, "for=", 4) == 0 && !line->for_some) {
		line->for_some = true;
		return kind_domains(word + 4, &line->for_domain, why);
	}
	return false;
}

static bool
relayhost_words(const struct words *words, struct config_relayhost *line,
    const char **why)
{
	char url[RELAYHOST_TEXT_MAX];
	struct relayhost relay;
	size_t i;

	if (words->n == 0 ||
	    !relayhost_parse(slice_of(words->word[0]), &relay, why))
		return false;
	*why = "begins with smtp+tls://, which tls-required makes of smtp://";
	if (relay.scheme == RELAYHOST_SMTP_TLS)
		return false;
	*why = "";
	for (i = 1; i < words->n; i++)
		if (!take_selector(words->word[i], line, why))
			return false;
	line->url = mem_copy(relayhost_print(&relay, url));
	return true;
}

/* Add it, which must be new and leave its group short enough. */
static bool
add_relayhost(struct config *config, const struct config_relayhost *line,
    const char **why)
{
	struct config_relayhost *added;

	*why = "is there already";
	if (relayhost_has(config, line))
		return false;
	added = kind_grow(&config->relayhosts, &config->relayhosts_n,
	    sizeof(*added), why);
	if (added == NULL)
		return false;
	*added = *line;
	*why = "is one alternative too many: with those before it, its list "
	    "exceeds 255 octets (smtp:// counts as smtp+tls://)";
	if (relayhost_fits(config, config->relayhosts_n - 1))
		return true;
	config->relayhosts_n--;
	return false;
}

bool
configout_parse_relayhost(struct config *config,
    const struct keyword *keyword, const struct words *words,
    const char **why)
{
	struct config_relayhost line = { .url = NULL };

	(void)keyword;
	if (relayhost_words(words, &line, why) &&
	    add_relayhost(config, &line, why))
		return true;
	free(line.url);
	free(line.sender);
	return false;
}

bool
configout_print_relayhost(const struct config *config,
    const struct keyword *keyword, size_t n, struct buffer *out)
{
	const struct config_relayhost *line;
	char text[MAILBOX_TEXT_MAX + 8], domains[KIND_DOMAINS_MAX];

	(void)keyword;
	if (n >= config->relayhosts_n)
		return false;
	line = &config->relayhosts[n];
	words_put(out, line->url);
	if (line->sender != NULL) {
		snprintf(text, sizeof(text), "sender=%s", line->sender);
		words_put(out, text);
	}
	if (line->for_some) {
		snprintf(text, sizeof(text), "for=%s",
		    kind_domains_print(&line->for_domain, domains));
		words_put(out, text);
	}
	return true;
}

void
configout_free(struct config *config)
{
	while (config->relayhosts_n > 0) {
		config->relayhosts_n--;
		free(config->relayhosts[config->relayhosts_n].url);
		free(config->relayhosts[config->relayhosts_n].sender);
	}
	free(config->relayhosts);
	while (config->exempt_n > 0)
		free(config->exempt[--config->exempt_n].because);
	free(config->exempt);
	free(config->tls_required);
	free(config->bind);
	free(config->resolvers);
}
