/*
 * What does the operator say about reports: from whom, when, and which keys
 * sign them?
 *
 * The values of "reports" that are no plain kind; called by the rows of
 * config.c's table.  Whether a key is fit to sign is culverd's question.
 */
#include "conf/configreport.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * report-from and report-contact: a signature is made for its domain, so that
 * must be a name.
 */
bool
configreport_parse_report_address(struct config *config,
    const struct keyword *keyword, const struct words *words,
    const char **why)
{
	struct mailbox mailbox;

	if (!kind_address(words, &mailbox, why))
		return false;
	if (domain_is_literal(&mailbox.domain)) {
		*why = "has no domain name";
		return false;
	}
	memcpy(kind_member(config, keyword), &mailbox, sizeof(mailbox));
	return true;
}

bool
configreport_print_report_address(const struct config *config,
    const struct keyword *keyword, size_t n, struct buffer *out)
{
	char text[MAILBOX_TEXT_MAX];
	struct mailbox mailbox;

	memcpy(&mailbox, kind_member_of(config, keyword), sizeof(mailbox));
	if (n > 0 || mailbox.domain.name[0] == '\0')
		return false;
	words_put(out, mailbox_print(&mailbox, text));
	return true;
}

bool
configreport_parse_text(struct config *config, const struct keyword *keyword,
    const struct words *words, const char **why)
{
	if (words->n != 1 || !kind_line(words->word[0], keyword->most, why))
		return false;
	kind_set_text(config, keyword, words->word[0]);
	return true;
}

/* "HH:MM" as seconds of the day. */
static bool
time_parse(const char *word, uint32_t *second)
{
	struct slice minutes = slice_of(word), hours;
	uint64_t hour, minute;

	hours = slice_cut(&minutes, ':');
	if (hours.len != 2 || minutes.at == NULL || minutes.len != 2 ||
	    !slice_number(hours, 23, &hour) ||
	    !slice_number(minutes, 59, &minute))
		return false;
	*second = (uint32_t)(hour * HOUR + minute * MINUTE);
	return true;
}

#define SPREAD_STANDARD	(4 * HOUR)

bool
configreport_parse_report_at(struct config *config,
    const struct keyword *keyword, const struct words *words,
    const char **why)
{
	uint64_t spread_s = SPREAD_STANDARD;

	if ((words->n != 1 && words->n != 3) ||
	    !time_parse(words->word[0], &config->report_at_s))
		return false;
	if (words->n == 3 && (strcmp(words->word[1], "spread") != 0 ||
	    !kind_duration(words->word[2], &spread_s) ||
	    !kind_in_bounds(keyword, spread_s, why)))
		return false;
	config->report_spread_s = (int64_t)spread_s;
	return true;
}

bool
configreport_print_report_at(const struct config *config,
    const struct keyword *keyword, size_t n, struct buffer *out)
{
	(void)keyword;
	if (n > 0)
		return false;
	buffer_printf(out, "%02u:%02u spread ",
	    (unsigned)(config->report_at_s / HOUR),
	    (unsigned)(config->report_at_s % HOUR / MINUTE));
	kind_duration_print((uint64_t)config->report_spread_s, out);
	if (config->report_spread_s == 0)
		buffer_add(out, SLICE("s"));
	return true;
}

/* RFC 6376 3.1: labels as those of a host, joined by dots. */
static bool
selector_parse(const char *word, const struct domain *domain,
    struct config_dkim *dkim, const char **why)
{
	struct domain labels, whole;
	char name[2 * DOMAIN_TEXT_MAX];

	*why = "has no selector of letters, digits and hyphens";
	if (!kind_name(word, &labels, why) ||
	    strchr(labels.name, '_') != NULL)
		return false;
	*why = "has too long a selector";
	if (!slice_store(slice_of(labels.name), dkim->selector,
	    sizeof(dkim->selector)))
		return false;
	snprintf(name, sizeof(name), "%s._domainkey.%s", dkim->selector,
	    domain->name);
	return domain_parse(slice_of(name), &whole);
}

static bool
is_second_key(const struct config *config, const struct config_dkim *dkim)
{
	size_t i;

	for (i = 0; i < config->dkim_n; i++)
		if (domain_equal(&config->dkim[i].domain, &dkim->domain) &&
		    strcmp(config->dkim[i].selector, dkim->selector) == 0)
			return true;
	return false;
}

static bool
dkim_words(const struct keyword *keyword, const struct words *words,
    struct config_dkim *dkim, const char **why)
{
	if (words->n == 4 && strcmp(words->word[3], "all") == 0)
		*why = "signs reports; to sign all mail of a domain is not "
		    "yet built";
	if (words->n != 3)
		return false;
	if (!kind_name(words->word[0], &dkim->domain, why) ||
	    !selector_parse(words->word[1], &dkim->domain, dkim, why))
		return false;
	*why = "names no absolute path";
	if (words->word[2][0] != '/')
		return false;
	*why = "names too long a path";
	return strlen(words->word[2]) <= keyword->most;
}

bool
configreport_parse_dkim(struct config *config, const struct keyword *keyword,
    const struct words *words, const char **why)
{
	struct config_dkim dkim = { .file = NULL }, *added;

	if (!dkim_words(keyword, words, &dkim, why))
		return false;
	*why = "is there already";
	if (is_second_key(config, &dkim))
		return false;
	*why = "is one too many (16 at most)";
	if (config->dkim_n == CONFIG_DKIM_MAX)
		return false;
	added = kind_grow(&config->dkim, &config->dkim_n, sizeof(*added),
	    why);
	*added = dkim;
	added->file = mem_copy(words->word[2]);
	return true;
}
_Static_assert(CONFIG_DKIM_MAX == 16, "as configreport_parse_dkim says");

bool
configreport_print_dkim(const struct config *config,
    const struct keyword *keyword, size_t n, struct buffer *out)
{
	(void)keyword;
	if (n >= config->dkim_n)
		return false;
	words_put(out, config->dkim[n].domain.name);
	words_put(out, config->dkim[n].selector);
	words_put(out, config->dkim[n].file);
	return true;
}

void
configreport_free(struct config *config)
{
	while (config->dkim_n > 0)
		free(config->dkim[--config->dkim_n].file);
	free(config->dkim);
	free(config->report_organization);
}
