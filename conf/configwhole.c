/*
 * What holds of a configuration as a whole: which defaults are found on this
 * machine, do the settings agree with each other, and which are hardly meant?
 *
 * Called by config_read once every line is taken.  It reads /etc/hosts and
 * /etc/mailname and asks the kernel for the node's name; neither DNS nor NSS.
 */
#include "conf/configwhole.h"

#include "conf/hostname.h"
#include "conf/kind.h"
#include "conf/relayhost.h"
#include "conf/words.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SMALL_MAX_OCTETS	(1u << 20)	/* of /etc/hosts */

/* ---- defaults that are found ---- */

/* A small file as it is, "" when it is not there. */
static struct buffer
read_small(const char *path)
{
	struct buffer text = { NULL, 0, 0 };
	char octets[4096];
	FILE *file;
	size_t len;

	buffer_add(&text, SLICE(""));
	file = fopen(path, "re");
	while (file != NULL && text.len < SMALL_MAX_OCTETS &&
	    (len = fread(octets, 1, sizeof(octets), file)) > 0)
		buffer_add(&text, (struct slice){ octets, len });
	if (file != NULL)
		fclose(file);
	return text;
}

static void
finish_hostname(struct config *config)
{
	struct buffer hosts = read_small("/etc/hosts");
	char node[DOMAIN_TEXT_MAX] = "";

	if (gethostname(node, sizeof(node) - 1) == 0)
		hostname_find(slice_of(node),
		    (struct slice){ hosts.text, hosts.len },
		    config->hostname);
	buffer_free(&hosts);
}

/*
 * Mail must go even from a machine that nobody named: cron's would wait for
 * ever.  "NODE.localdomain", as other mail systems say it; the warning about
 * hostname tells the operator.
 */
static void
mail_domain_of_last_resort(struct config *config)
{
	char node[DOMAIN_TEXT_MAX] = "", name[DOMAIN_TEXT_MAX + 16];

	if (gethostname(node, sizeof(node) - 1) != 0)
		node[0] = '\0';
	snprintf(name, sizeof(name), "%s.localdomain", node);
	if (!domain_parse(slice_of(name), &config->mail_domain))
		domain_parse(SLICE("localhost.localdomain"),
		    &config->mail_domain);
}

static void
finish_mail_domain(struct config *config)
{
	struct buffer text = read_small("/etc/mailname");
	struct slice rest = { text.text, text.len }, line;

	line = slice_trim(slice_cut(&rest, '\n'));
	if (line.len > 0 && (!domain_parse(line, &config->mail_domain) ||
	    domain_is_literal(&config->mail_domain))) {
		config->mail_domain.name[0] = '\0';
		log_line(LOG_LEVEL_INFO,
		    "warning: /etc/mailname holds no domain");
	}
	if (config->mail_domain.name[0] == '\0')
		memcpy(config->mail_domain.name, config->hostname,
		    sizeof(config->hostname));
	if (config->mail_domain.name[0] == '\0')
		mail_domain_of_last_resort(config);
	buffer_free(&text);
}

/* A default that config_set takes. */
static void
set(struct config *config, const char *keyword, const char *value)
{
	struct buffer why = { NULL, 0, 0 };

	if (!config_set(config, keyword, value, &why))
		bug("default: %s", why.text);
}

static void
finish_local_domains(struct config *config)
{
	set(config, "local-domain", config->mail_domain.name);
	set(config, "local-domain", "localhost");
	if (config->hostname[0] != '\0')
		set(config, "local-domain", config->hostname);
}

static void
finish_listeners(struct config *config)
{
	size_t i;

	set(config, "listen", "127.0.0.1:25");
	set(config, "listen", "[::1]:25");
	for (i = 0; i < config->listeners_n; i++)
		config->listeners[i].optional = true;
}

static void
finish_reports(struct config *config)
{
	struct mailbox *from = &config->report_from;

	if (from->domain.name[0] == '\0') {
		snprintf(from->local, sizeof(from->local), "tls-reports");
		from->domain = config->mail_domain;
	}
	if (config->report_contact.domain.name[0] == '\0')
		config->report_contact = *from;
	if (config->report_organization == NULL)
		config->report_organization =
		    mem_copy(config->mail_domain.name);
}

void
configwhole_finish(struct config *config)
{
	if (config->hostname[0] == '\0')
		finish_hostname(config);
	if (config->mail_domain.name[0] == '\0')
		finish_mail_domain(config);
	if (config->local_domains_n == 0)
		finish_local_domains(config);
	if (config->listeners_n == 0)
		finish_listeners(config);
	if (config->relay_from_n == 0)
		set(config, "relay-from", "127.0.0.0/8 ::1/128");
	finish_reports(config);
}

/* ---- what is taken, but is hardly meant ---- */

static bool
relays_for_all(const struct config *config)
{
	size_t i;

	for (i = 0; i < config->relay_from_n; i++)
		if (config->relay_from[i].bits == 0)
			return true;
	return false;
}

/* Does mail to that domain find no way from elsewhere? */
static bool
is_unreachable(const struct domain *domain)
{
	const char *last = strrchr(domain->name, '.');

	return !domain_is_literal(domain) && (last == NULL ||
	    strcmp(last, ".localdomain") == 0 || strcmp(last, ".local") == 0);
}

/* RPT-3-16 RFC 8460 3; RPT-4.4-4 RFC 8460 4.4: who reads it may answer. */
static void
warn_of_reports(const struct config *config)
{
	const struct mailbox *from = &config->report_from;

	if (is_unreachable(&from->domain))
		log_line(LOG_LEVEL_INFO, "warning: report-from is at %s, a "
		    "name that is known nowhere else: TLS reports name a "
		    "contact that cannot be reached (set mail-domain or "
		    "report-from)", from->domain.name);
	if (!config_signs_reports(config))
		log_line(LOG_LEVEL_INFO, "warning: no dkim line signs for %s "
		    "(report-from): TLS reports are sent over https, and none "
		    "by mail (RFC 8460 3)", from->domain.name);
}

/* T22: the exemption stays, and weakens nothing of the rule. */
static void
warn_of_exempt(const struct config *config)
{
	const struct domain *domain;
	size_t i;

	for (i = 0; i < config->exempt_n; i++) {
		domain = &config->exempt[i].domain;
		if (config_tls_required(config, domain))
			log_line(LOG_LEVEL_INFO, "warning: exempt: %s is in "
			    "tls-required too, which holds: without verified "
			    "TLS its mail waits", domain->name);
	}
}

void
configwhole_warn(const struct config *config)
{
	/* SMTP-2.3.5-2 RFC 5321 2.3.5 */
	if (config->hostname[0] == '\0')
		log_line(LOG_LEVEL_INFO, "warning: the full name of this "
		    "machine is not in /etc/hosts: EHLO will be an address "
		    "(set hostname)");
	else if (strchr(config->hostname, '.') == NULL)
		log_line(LOG_LEVEL_INFO, "warning: hostname %s has no dot: "
		    "servers may refuse it", config->hostname);
	/* SMTP-4.5.4.1-4 RFC 5321 4.5.4.1 */
	if (config->expire_s < 4 * DAY)
		log_line(LOG_LEVEL_INFO, "warning: expire is less than 4d "
		    "(RFC 5321 4.5.4.1)");
	if (relays_for_all(config))
		log_line(LOG_LEVEL_INFO, "warning: relay-from lets everybody "
		    "send through this machine");
	if (config->root_mail.domain.name[0] != '\0' &&
	    config_is_local(config, &config->root_mail.domain))
		log_line(LOG_LEVEL_INFO, "warning: root-mail is at %s, a "
		    "local domain: its mail goes to the MX of that, which "
		    "must be another machine", config->root_mail.domain.name);
	warn_of_exempt(config);
	if (config->tls_report)
		warn_of_reports(config);
}

/* ---- what must hold ---- */

static bool
is_unspecified(const struct address *address)
{
	size_t i;

	for (i = 0; i < (address->family == 6 ? 16 : 4); i++)
		if (address->ip[i] != 0)
			return false;
	return true;
}

static bool
is_loopback(const struct address *address)
{
	static const uint8_t one[16] = { [15] = 1 };

	return address->family == 6 ? memcmp(address->ip, one, 16) == 0 :
	    address->ip[0] == 127;
}

/* Does a connection to that address and port come to one of ours? */
static bool
is_ours(const struct config *config, const struct address *address,
    uint16_t port)
{
	const struct config_endpoint *listener;
	size_t i;

	for (i = 0; i < config->listeners_n; i++) {
		listener = &config->listeners[i];
		if (listener->port == port &&
		    listener->address.family == address->family &&
		    (address_equal(&listener->address, address) ||
		    (is_unspecified(&listener->address) &&
		    is_loopback(address))))
			return true;
	}
	return false;
}

/* A relay that is ourselves is a loop. */
static bool
check_relayhost(const struct config *config, size_t n, struct buffer *error)
{
	const char *url = config->relayhosts[n].url, *why;
	struct relayhost relay;
	struct address address;

	if (!relayhost_parse(slice_of(url), &relay, &why) ||
	    !domain_literal_address(&relay.host, &address) ||
	    !is_ours(config, &address, relay.port))
		return true;
	config_blame(config, "relayhost", n, error);
	words_quote(error, url);
	buffer_add(error, SLICE(" is this relay itself: it listens there; "
	    "accepted: the URL of another machine"));
	return false;
}

/*
 * Ruling 24: who signs, who sends and who is to be asked are one domain, so
 * that nobody can reject a report for misalignment.
 */
static bool
check_report_contact(const struct config *config, struct buffer *error)
{
	const struct mailbox *from = &config->report_from;
	const struct mailbox *contact = &config->report_contact;
	char from_text[MAILBOX_TEXT_MAX], contact_text[MAILBOX_TEXT_MAX];

	if (domain_equal(&from->domain, &contact->domain))
		return true;
	config_blame(config, "report-contact", 0, error);
	words_quote(error, mailbox_print(contact, contact_text));
	buffer_printf(error, " is at another domain than report-from, %s, "
	    "which signs reports (RFC 8460 3); accepted: an address at %s",
	    mailbox_print(from, from_text), from->domain.name);
	return false;
}

bool
configwhole_check(const struct config *config, struct buffer *error)
{
	bool good = check_report_contact(config, error);
	size_t i;

	for (i = 0; i < config->relayhosts_n; i++)
		good = check_relayhost(config, i, error) && good;
	return good;
}
