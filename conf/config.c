/*
 * What did the operator say, and is it something culver can do?
 *
 * One table of keywords: name, how often, parser, printer, default, what is
 * accepted.  The parent and culverctl read the file through it (config_read),
 * children are told the outcome setting by setting and parse it by the same
 * rows (config_set), and `culverd -n` prints it (config_each).  A keyword of
 * a later version has a row without a parser.
 *
 * How a line is cut is known to words.c, how files include each other to
 * configfile.c; plain kinds of value are in kind.c, others here (identity,
 * mail in, queue), in configout.c and in configreport.c; what is found or
 * must hold of the whole is in configwhole.c.  Whether paths that it is given
 * exist is not looked at here (culverd does).
 */
#include "conf/config.h"

#include "conf/configfile.h"
#include "conf/configout.h"
#include "conf/configreport.h"
#include "conf/configwhole.h"
#include "conf/kind.h"
#include "conf/words.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* What config_new makes: the public part, and which lines were seen. */
#define KEYWORDS_MAX	80
struct place {
	const char	*keyword;	/* of the table */
	char		*text;		/* "FILE:LINE" */
};
struct whole {
	struct config	 config;	/* first: the pointer is the same */
	bool		 given[KEYWORDS_MAX];
	struct place	*places;	/* of what the operator said */
	size_t		 places_n;
};

static const struct keyword keywords[];
static size_t	keywords_n(void);

/* ---- identity and mail in ---- */

static bool
parse_hostname(struct config *config, const struct keyword *keyword,
    const struct words *words, const char **why)
{
	struct domain domain;

	(void)keyword;
	if (words->n != 1 || !kind_name(words->word[0], &domain, why))
		return false;
	memcpy(config->hostname, domain.name, sizeof(config->hostname));
	return true;
}

static bool
print_hostname(const struct config *config, const struct keyword *keyword,
    size_t n, struct buffer *out)
{
	(void)keyword;
	if (n > 0 || config->hostname[0] == '\0')
		return false;
	words_put(out, config->hostname);
	return true;
}

static bool
parse_mail_domain(struct config *config, const struct keyword *keyword,
    const struct words *words, const char **why)
{
	struct domain domain;

	(void)keyword;
	if (words->n != 1 || !kind_name(words->word[0], &domain, why))
		return false;
	config->mail_domain = domain;
	return true;
}

static bool
print_mail_domain(const struct config *config, const struct keyword *keyword,
    size_t n, struct buffer *out)
{
	(void)keyword;
	if (n > 0 || config->mail_domain.name[0] == '\0')
		return false;
	words_put(out, config->mail_domain.name);
	return true;
}

static bool
parse_root_mail(struct config *config, const struct keyword *keyword,
    const struct words *words, const char **why)
{
	struct mailbox mailbox;

	(void)keyword;
	if (!kind_address(words, &mailbox, why))
		return false;
	config->root_mail = mailbox;
	return true;
}

static bool
print_root_mail(const struct config *config, const struct keyword *keyword,
    size_t n, struct buffer *out)
{
	char text[MAILBOX_TEXT_MAX];

	(void)keyword;
	if (n > 0 || config->root_mail.domain.name[0] == '\0')
		return false;
	words_put(out, mailbox_print(&config->root_mail, text));
	return true;
}

/* Local mail is a later issue; that there is none can be said already. */
static bool
parse_local(struct config *config, const struct keyword *keyword,
    const struct words *words, const char **why)
{
	(void)config;
	(void)keyword;
	if (words->n != 1)
		return false;
	if (strcmp(words->word[0], "mbox") == 0 ||
	    strncmp(words->word[0], "lmtp:", 5) == 0)
		*why = "is not built yet";
	return strcmp(words->word[0], "none") == 0;
}

static bool
print_local(const struct config *config, const struct keyword *keyword,
    size_t n, struct buffer *out)
{
	(void)config;
	(void)keyword;
	if (n == 0)
		buffer_add(out, SLICE("none"));
	return n == 0;
}

static bool
add_local_domain(struct config *config, const struct domain *domain,
    const char **why)
{
	struct domain *added;

	if (domain->name[0] == '\0' || config_is_local(config, domain))
		return true;
	added = kind_grow(&config->local_domains, &config->local_domains_n,
	    sizeof(*added), why);
	if (added != NULL)
		*added = *domain;
	return added != NULL;
}

static bool
parse_local_domain(struct config *config, const struct keyword *keyword,
    const struct words *words, const char **why)
{
	struct domain domain;
	size_t i;

	(void)keyword;
	for (i = 0; i < words->n; i++)
		if (!kind_name(words->word[i], &domain, why) ||
		    !add_local_domain(config, &domain, why))
			return false;
	return words->n > 0;
}

static bool
print_local_domain(const struct config *config, const struct keyword *keyword,
    size_t n, struct buffer *out)
{
	(void)keyword;
	if (n >= config->local_domains_n)
		return false;
	words_put(out, config->local_domains[n].name);
	return true;
}

static bool
parse_relay_from(struct config *config, const struct keyword *keyword,
    const struct words *words, const char **why)
{
	struct network network, *added;
	size_t i;

	(void)keyword;
	for (i = 0; i < words->n; i++) {
		if (!network_parse(slice_of(words->word[i]), &network)) {
			*why = "is no network";
			return false;
		}
		added = kind_grow(&config->relay_from, &config->relay_from_n,
		    sizeof(*added), why);
		if (added == NULL)
			return false;
		*added = network;
	}
	return words->n > 0;
}

static bool
print_relay_from(const struct config *config, const struct keyword *keyword,
    size_t n, struct buffer *out)
{
	char text[ADDRESS_TEXT_MAX];

	(void)keyword;
	if (n >= config->relay_from_n)
		return false;
	buffer_printf(out, "%s/%u",
	    address_print(&config->relay_from[n].address, text),
	    config->relay_from[n].bits);
	return true;
}

static bool
listens(const struct config *config, const struct config_endpoint *endpoint)
{
	size_t i;

	for (i = 0; i < config->listeners_n; i++)
		if (config->listeners[i].port == endpoint->port &&
		    address_equal(&config->listeners[i].address,
		    &endpoint->address))
			return true;
	return false;
}

/* The words behind ADDR:PORT. */
static bool
listen_role(const struct words *words, const char **why)
{
	static const char *const later[] = { "starttls", "tls", "submission" };
	size_t i, j;

	for (i = 1; i < words->n; i++) {
		for (j = 0; j < sizeof(later) / sizeof(later[0]); j++)
			if (strcmp(words->word[i], later[j]) == 0) {
				*why = "TLS and submission are not built yet";
				return false;
			}
		if (i > 1 || strcmp(words->word[i], "plain") != 0)
			return false;
	}
	return true;
}

static bool
parse_listen(struct config *config, const struct keyword *keyword,
    const struct words *words, const char **why)
{
	struct config_endpoint endpoint, *added;

	(void)keyword;
	if (words->n == 0 || !listen_role(words, why) ||
	    !kind_endpoint(words->word[0], 0, &endpoint))
		return false;
	if (listens(config, &endpoint)) {
		*why = "is there already";
		return false;
	}
	if (config->listeners_n >= 64) {
		*why = "is one too many (1,500 at most)";
		return false;
	}
	added = kind_grow(&config->listeners, &config->listeners_n,
	    sizeof(*added), why);
	*added = endpoint;
	return true;
}

static bool
print_listen(const struct config *config, const struct keyword *keyword,
    size_t n, struct buffer *out)
{
	(void)keyword;
	if (n >= config->listeners_n)
		return false;
	kind_endpoint_print(&config->listeners[n], out);
	return true;
}

/* ---- the queue ---- */

/* Most waits that `retry` takes. */
#define RETRY_MAX	100

static bool
parse_retry(struct config *config, const struct keyword *keyword,
    const struct words *words, const char **why)
{
	uint64_t number;
	int64_t *added;
	size_t i;

	if (words->n > RETRY_MAX)
		*why = "has too many durations";
	if (words->n == 0 || words->n > RETRY_MAX)
		return false;
	/* SMTP-4.5.4.1-5: every wait is the operator's. */
	for (i = 0; i < words->n; i++) {
		if (!kind_duration(words->word[i], &number) ||
		    !kind_in_bounds(keyword, number, why))
			return false;
		added = kind_grow(&config->retry_s, &config->retry_n,
		    sizeof(*added), why);
		*added = (int64_t)number;
	}
	return true;
}

static bool
print_retry(const struct config *config, const struct keyword *keyword,
    size_t n, struct buffer *out)
{
	size_t i;

	(void)keyword;
	for (i = 0; n == 0 && i < config->retry_n; i++) {
		if (i > 0)
			buffer_add(out, SLICE(" "));
		kind_duration_print((uint64_t)config->retry_s[i], out);
	}
	return n == 0 && config->retry_n > 0;
}

/* ---- the table ---- */

static const struct choice yes_no[] = {
	{ "yes", true }, { "no", false }, { NULL, 0 }
};
static const struct choice on_off[] = {
	{ "on", true }, { "off", false }, { NULL, 0 }
};
static const struct choice body_choices[] = {
	{ "headers", false }, { "full", true }, { NULL, 0 }
};
static const struct choice ip_choices[] = {
	{ "both", CONFIG_IP_BOTH }, { "4", CONFIG_IP_4 },
	{ "6", CONFIG_IP_6 }, { NULL, 0 }
};
static const struct choice trust_choices[] = {
	{ "auto", CONFIG_TRUST_AUTO }, { "yes", CONFIG_TRUST_YES },
	{ "no", CONFIG_TRUST_NO }, { NULL, 0 }
};
static const struct choice sts_choices[] = {
	{ "enforce", CONFIG_STS_ENFORCE }, { "report", CONFIG_STS_REPORT },
	{ "off", CONFIG_STS_OFF }, { NULL, 0 }
};
static const struct choice dane_choices[] = {
	{ "enforce", CONFIG_DANE_ENFORCE }, { "off", CONFIG_DANE_OFF },
	{ NULL, 0 }
};
static const struct choice sandbox_choices[] = {
	{ "on", CONFIG_SANDBOX_ON }, { "off", CONFIG_SANDBOX_OFF },
	{ "required", CONFIG_SANDBOX_REQUIRED }, { NULL, 0 }
};
static const struct choice log_choices[] = {
	{ "syslog", CONFIG_LOG_SYSLOG }, { "stderr", CONFIG_LOG_STDERR },
	{ NULL, 0 }
};
static const struct choice level_choices[] = {
	{ "error", LOG_LEVEL_ERROR }, { "info", LOG_LEVEL_INFO },
	{ "debug", LOG_LEVEL_DEBUG }, { NULL, 0 }
};

#define AT(member)	.offset = offsetof(struct config, member)
#define NUMBER		.parse = kind_parse_number, \
			.print = kind_print_number
#define SIZE		.parse = kind_parse_size, .print = kind_print_size
#define DURATION	.parse = kind_parse_duration, \
			.print = kind_print_duration
#define CHOICE(list)	.parse = kind_parse_choice, \
			.print = kind_print_choice, .choices = list
#define BOOL(list)	.parse = kind_parse_bool, .print = kind_print_bool, \
			.choices = list
#define PATH		.parse = kind_parse_path, .print = kind_print_text
#define OUT(name)	.parse = configout_parse_##name, \
			.print = configout_print_##name
#define REPORT(name)	.parse = configreport_parse_##name, \
			.print = configreport_print_##name
#define OTHER(name)	.parse = parse_##name, .print = print_##name
#define KEY_FILE_MAX	255	/* what a P_KEY can name */
#define SOCKET_PATH_MAX	(sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

/* In the order of culver.conf(5). */
static const struct keyword keywords[] = {
	/* identity */
	{ "hostname", ONCE, OTHER(hostname),
	  .accepted = "the full name of this machine, as mx.example.org" },
	{ "mail-domain", ONCE, OTHER(mail_domain),
	  .accepted = "a domain, as example.org" },
	{ "local-domain", MANY, OTHER(local_domain),
	  .accepted = "domains, as example.org" },
	{ "masquerade", ONCE, .accepted = "a domain" },
	{ "root-mail", ONCE, OTHER(root_mail),
	  .accepted = "an address with its domain, as admin@example.org" },
	{ "aliases", ONCE, .accepted = "a file" },
	{ "local", ONCE, OTHER(local), .accepted = "none" },
	/* in */
	{ "listen", MANY, OTHER(listen),
	  .accepted = "ADDR:PORT [plain], as 127.0.0.1:25 or [::1]:25" },
	{ "submit-socket", ONCE, PATH, AT(submit_socket),
	  .most = SOCKET_PATH_MAX, .standard = "/run/culver/submit",
	  .accepted = "an absolute path of at most 107 octets" },
	{ "relay-from", MANY, OTHER(relay_from),
	  .accepted = "networks, as 192.0.2.0/24 or 2001:db8::/32" },
	{ "relay-to", MANY, .accepted = "domains" },
	{ "tls-cert", MANY, .accepted = "a file" },
	{ "tls-key", MANY, .accepted = "a file" },
	{ "auth-users", ONCE, .accepted = "a file" },
	/* SMTP-4.5.3.1.7-1 RFC 5321 4.5.3.1.7 */
	{ "max-message-size", ONCE, SIZE, AT(max_message_size),
	  .least = 64 << 10, .most = 1ull << 40, .standard = "50M",
	  .accepted = "a size from 64K (RFC 5321 4.5.3.1.7) to 1T" },
	{ "max-recipients", ONCE, NUMBER, AT(max_recipients),
	  .least = 100, .most = 100000, .standard = "1000",
	  .accepted =
	      "a number from 100 (RFC 5321 4.5.3.1.8) to 100000" },
	{ "max-connections", ONCE, NUMBER, AT(max_connections),
	  .least = 1, .most = 1000000, .standard = "10000",
	  .accepted = "a number from 1 to 1000000" },
	{ "max-connections-per-client", ONCE, NUMBER,
	  AT(max_connections_per_client),
	  .least = 1, .most = 1000000, .standard = "50",
	  .accepted = "a number from 1 to 1000000" },
	{ "rate-client", ONCE, .accepted = "N/DURATION" },
	{ "rate-user", ONCE, .accepted = "N/DURATION" },
	{ "min-free", ONCE, SIZE, AT(min_free),
	  .least = 0, .most = 1ull << 50, .standard = "64M",
	  .accepted = "a size, as 64M" },
	/* out */
	{ "relayhost", MANY, OUT(relayhost),
	  .accepted = "URL [sender=PATTERN] [for=DOMAIN], as "
	      "smtp://mx.example.org or submission://[smtp.example.org]:587" },
	{ "relayhost-password", ONCE, .accepted = "a file" },
	{ "relayhost-password-command", ONCE, .accepted = "a command" },
	{ "bind", ONCE, OUT(bind),
	  .accepted = "addresses of this machine, as 192.0.2.1" },
	{ "ip", ONCE, CHOICE(ip_choices), AT(ip), .standard = "both",
	  .accepted = "both, 4 or 6" },
	{ "resolver", ONCE, OUT(resolver),
	  .accepted = "ADDR or ADDR:PORT, up to 16, as 127.0.0.1 or "
	      "[::1]:5353" },
	{ "trust-resolver", ONCE, OUT(trust), AT(trust_resolver),
	  .choices = trust_choices, .standard = "auto .",
	  .accepted = "yes, no or auto, then perhaps a signed name, then "
	      "perhaps a bogus one" },
	{ "ca-file", ONCE, PATH, AT(ca_file), .most = 4000,
	  .accepted = "the absolute path of a file of certificates" },
	{ "mta-sts", ONCE, CHOICE(sts_choices), AT(mta_sts),
	  .standard = "enforce", .accepted = "enforce, report or off" },
	{ "dane", ONCE, CHOICE(dane_choices), AT(dane),
	  .standard = "enforce", .accepted = "enforce or off" },
	/* TLS-3207-6-1 RFC 3207 6 */
	{ "tls-required", MANY, OUT(tls_required),
	  .accepted = "domains, as example.org or, with those below it, "
	      ".example.org" },
	{ "exempt", MANY, OUT(exempt),
	  .accepted = "DOMAIN until YYYY-MM-DD because \"TEXT\"" },
	{ "fetch-private-addresses", ONCE, BOOL(yes_no),
	  AT(fetch_private_addresses), .standard = "no",
	  .accepted = "yes or no" },
	{ "workers", ONCE, NUMBER, AT(workers),
	  .least = 0, .most = 10000, .standard = "200",
	  .accepted = "a number from 0 to 10000" },
	{ "per-domain", ONCE, NUMBER, AT(per_domain),
	  .least = 1, .most = 10000, .standard = "20",
	  .accepted = "a number from 1 to 10000" },
	{ "per-host", ONCE, NUMBER, AT(per_host),
	  .least = 1, .most = 10000, .standard = "10",
	  .accepted = "a number from 1 to 10000" },
	{ "connect-timeout", ONCE, DURATION, AT(connect_timeout_s),
	  .least = 1, .most = 10 * MINUTE, .standard = "30s",
	  .accepted = "a duration from 1s to 10m" },
	/* queue */
	{ "spool", ONCE, PATH, AT(spool), .most = 2000,
	  .standard = "/var/spool/culver",
	  .accepted = "the absolute path of a folder" },
	{ "retry", ONCE, OTHER(retry), .least = 1, .most = 30 * DAY,
	  .standard = "1m 5m 15m 30m 1h 2h 4h",
	  .accepted = "durations from 1s to 30d, up to 100, as 1m 15m 4h" },
	{ "warn", ONCE, DURATION, AT(warn_s),
	  .least = MINUTE, .most = 365 * DAY, .standard = "4h",
	  .accepted = "a duration from 1m to 365d" },
	{ "expire", ONCE, DURATION, AT(expire_s),
	  .least = MINUTE, .most = 365 * DAY, .standard = "5d",
	  .accepted = "a duration from 1m to 365d" },
	{ "bounce-body", ONCE, BOOL(body_choices), AT(bounce_full),
	  .standard = "headers", .accepted = "headers or full" },
	{ "history", ONCE, .accepted = "a duration" },
	{ "history-size", ONCE, .accepted = "a size" },
	/* reports */
	{ "tls-report", ONCE, BOOL(on_off), AT(tls_report),
	  .standard = "on", .accepted = "on or off" },
	{ "report-from", ONCE, REPORT(report_address), AT(report_from),
	  .accepted = "an address with its domain, as "
	      "tls-reports@example.org" },
	/* RPT-4.4-2 RFC 8460 4.4 */
	{ "report-organization", ONCE, .parse = configreport_parse_text,
	  .print = kind_print_text, AT(report_organization), .most = 200,
	  .accepted = "a text of at most 200 octets, in double quotes if it "
	      "has blanks" },
	{ "report-contact", ONCE, REPORT(report_address), AT(report_contact),
	  .accepted = "an address at the domain of report-from" },
	{ "report-at", ONCE, REPORT(report_at), .most = DAY,
	  .standard = "00:00 spread 4h",
	  .accepted = "HH:MM [spread DURATION] (UTC, up to 24h), as 00:00 "
	      "spread 4h" },
	{ "dkim", MANY, REPORT(dkim), .most = KEY_FILE_MAX,
	  .accepted = "DOMAIN SELECTOR KEYFILE, as example.org tlsrpt "
	      "/etc/culver/dkim.key" },
	/* run */
	{ "control", ONCE, PATH, AT(control), .most = SOCKET_PATH_MAX,
	  .standard = "/run/culver/control",
	  .accepted = "an absolute path of at most 107 octets" },
	{ "admin-group", ONCE, .parse = kind_parse_group,
	  .print = kind_print_text, AT(admin_group),
	  .accepted = "the name of a group" },
	{ "sandbox", ONCE, CHOICE(sandbox_choices), AT(sandbox),
	  .standard = "on", .accepted = "on, off or required" },
	{ "log", ONCE, CHOICE(log_choices), AT(log),
	  .accepted = "syslog or stderr" },
	{ "log-level", ONCE, CHOICE(level_choices), AT(log_level),
	  .standard = "info", .accepted = "error, info or debug" },
	{ "metrics", ONCE, .accepted = "a path or ADDR:PORT" }
};
_Static_assert(sizeof(keywords) / sizeof(keywords[0]) <= KEYWORDS_MAX,
    "room for every keyword");

static size_t
keywords_n(void)
{
	return sizeof(keywords) / sizeof(keywords[0]);
}

static const struct keyword *
find(const char *name)
{
	size_t i;

	for (i = 0; i < keywords_n(); i++)
		if (strcmp(keywords[i].name, name) == 0)
			return &keywords[i];
	return NULL;
}

/* ---- near misses ---- */

#define NAME_MAX_OCTETS	64

static size_t
least3(size_t a, size_t b, size_t c)
{
	a = a < b ? a : b;
	return a < c ? a : c;
}

/*
 * In how many single edits (drop, add, change, without regard to case) does
 * a become b?  Both at most NAME_MAX_OCTETS octets.
 */
static size_t
edits(const char *a, const char *b)
{
	size_t row[NAME_MAX_OCTETS + 1], i, j, corner, above;
	size_t b_len = strlen(b);

	for (j = 0; j <= b_len; j++)
		row[j] = j;
	for (i = 0; a[i] != '\0'; i++) {
		corner = row[0];
		row[0] = i + 1;
		for (j = 0; j < b_len; j++) {
			above = row[j + 1];
			row[j + 1] = least3(above + 1, row[j] + 1, corner +
			    (tolower((unsigned char)a[i]) !=
			    tolower((unsigned char)b[j])));
			corner = above;
		}
	}
	return row[b_len];
}

/* The keyword that name comes nearest to; what is built comes first. */
static const struct keyword *
nearest(const char *name)
{
	char text[NAME_MAX_OCTETS + 1];
	const struct keyword *best = NULL;
	size_t i, cost, best_cost = SIZE_MAX;

	snprintf(text, sizeof(text), "%s", name);
	for (i = 0; i < keywords_n(); i++) {
		cost = 2 * edits(text, keywords[i].name) +
		    (keywords[i].parse == NULL);
		if (cost < best_cost) {
			best = &keywords[i];
			best_cost = cost;
		}
	}
	return best;
}

static void
say_unknown(const char *name, struct buffer *error)
{
	const struct keyword *near = nearest(name);

	buffer_add(error, SLICE("unknown keyword "));
	words_quote(error, name);
	buffer_printf(error, "; the nearest is %s, which %s %s", near->name,
	    near->parse != NULL ? "takes" : "is not built yet and will take",
	    near->accepted);
}

/* ---- settings one by one ---- */

struct config *
config_new(void)
{
	struct whole *whole = mem_alloc(sizeof(*whole));

	return &whole->config;
}

static bool
apply(struct config *config, const struct keyword *keyword, const char *value,
    struct buffer *error)
{
	struct whole *whole = (struct whole *)config;
	bool *given = &whole->given[keyword - keywords];
	const char *why = "";
	struct words words;

	if (*given && keyword->repeat == ONCE) {
		buffer_printf(error, "%s is given twice", keyword->name);
		return false;
	}
	*given = true;
	why = words_cut(value, &words);
	if (why == NULL) {
		why = "";
		if (keyword->parse(config, keyword, &words, &why))
			return true;
	}
	buffer_printf(error, "%s: ", keyword->name);
	words_quote(error, value);
	buffer_printf(error, " %s; accepted: %s",
	    why[0] != '\0' ? why : "is not understood", keyword->accepted);
	return false;
}

bool
config_set(struct config *config, const char *name, const char *value,
    struct buffer *error)
{
	const struct keyword *keyword = find(name);

	if (keyword == NULL) {
		say_unknown(name, error);
		return false;
	}
	if (keyword->parse == NULL) {
		buffer_printf(error, "%s: not yet: this version of culver "
		    "does not have it", name);
		return false;
	}
	return apply(config, keyword, value, error);
}

void
config_each(const struct config *config, void (*call)(void *context,
    const char *keyword, const char *value), void *context)
{
	struct buffer value = { NULL, 0, 0 };
	size_t i, n;

	for (i = 0; i < keywords_n(); i++) {
		if (keywords[i].print == NULL)
			continue;
		for (n = 0; keywords[i].print(config, &keywords[i], n,
		    &value); n++) {
			call(context, keywords[i].name, value.text);
			value.len = 0;
		}
	}
	buffer_free(&value);
}

static void
add_place(struct config *config, const char *keyword, const char *text)
{
	struct whole *whole = (struct whole *)config;
	struct place *place;

	whole->places = mem_grow(whole->places,
	    (whole->places_n + 1) * sizeof(*place));
	place = &whole->places[whole->places_n++];
	place->keyword = find(keyword)->name;
	place->text = mem_copy(text);
}

static void
forget_places(struct whole *whole)
{
	while (whole->places_n > 0)
		free(whole->places[--whole->places_n].text);
	free(whole->places);
}

const char *
config_where(const struct config *config, const char *keyword, size_t n)
{
	const struct whole *whole = (const struct whole *)config;
	size_t i;

	for (i = 0; i < whole->places_n; i++)
		if (strcmp(whole->places[i].keyword, keyword) == 0 && n-- == 0)
			return whole->places[i].text;
	return "";
}

void
config_free(struct config **config)
{
	struct config *old = *config;

	if (old == NULL)
		return;
	forget_places((struct whole *)old);
	configout_free(old);
	configreport_free(old);
	free(old->local_domains);
	free(old->listeners);
	free(old->submit_socket);
	free(old->relay_from);
	free(old->ca_file);
	free(old->spool);
	free(old->retry_s);
	free(old->control);
	free(old->admin_group);
	free(old);
	*config = NULL;
}

bool
config_is_local(const struct config *config, const struct domain *domain)
{
	size_t i;

	for (i = 0; i < config->local_domains_n; i++)
		if (domain_equal(&config->local_domains[i], domain))
			return true;
	return false;
}

static bool
is_root_name(const char *local)
{
	static const char *const names[] = {
		"postmaster", "root", "mailer-daemon"
	};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (slice_equal_nocase(slice_of(local), slice_of(names[i])))
			return true;
	return false;
}

enum local_mail
config_lead_local(const struct config *config, struct mailbox *mailbox)
{
	if (!is_root_name(mailbox->local))
		return LOCAL_NOBODY;
	if (mailbox_is_null(&config->root_mail))
		return LOCAL_UNSET;
	*mailbox = config->root_mail;
	return LOCAL_TAKEN;
}

bool
config_covers(const struct config_domains *domains,
    const struct domain *domain)
{
	size_t tail = strlen(domains->domain.name), len = strlen(domain->name);

	return domain_equal(&domains->domain, domain) || (domains->below &&
	    len > tail && domain->name[len - tail - 1] == '.' &&
	    strcmp(domain->name + len - tail, domains->domain.name) == 0);
}

bool
config_tls_required(const struct config *config, const struct domain *domain)
{
	size_t i;

	for (i = 0; i < config->tls_required_n; i++)
		if (config_covers(&config->tls_required[i], domain))
			return true;
	return false;
}

const struct config_exempt *
config_exempt_for(const struct config *config, const struct domain *domain,
    int64_t now_s)
{
	size_t i;

	for (i = 0; i < config->exempt_n; i++)
		if (config->exempt[i].until_s > now_s &&
		    domain_equal(&config->exempt[i].domain, domain))
			return &config->exempt[i];
	return NULL;
}

bool
config_signs_reports(const struct config *config)
{
	size_t i;

	for (i = 0; i < config->dkim_n; i++)
		if (domain_equal(&config->dkim[i].domain,
		    &config->report_from.domain))
			return true;
	return false;
}

void
config_blame(const struct config *config, const char *keyword, size_t n,
    struct buffer *error)
{
	const char *where = config_where(config, keyword, n);

	if (error->len > 0)
		buffer_add(error, SLICE("\n"));
	buffer_printf(error, "%s%s%s: ", where, where[0] != '\0' ? ": " : "",
	    keyword);
}

/* ---- the whole ---- */

/* The defaults of the table, which are sound, and those that are found. */
static void
finish(struct config *config)
{
	struct buffer why = { NULL, 0, 0 };
	const bool *given = ((struct whole *)config)->given;
	size_t i;

	for (i = 0; i < keywords_n(); i++)
		if (!given[i] && keywords[i].standard != NULL &&
		    !apply(config, &keywords[i], keywords[i].standard, &why))
			bug("default: %s", why.text);
	configwhole_finish(config);
}

struct reader {
	struct config	*config;
	/* Takes what an override outranks: it must be right all the same. */
	struct config	*outranked;
	char *const	*overrides;
	size_t		 overrides_n;
};

static bool
is_outranked(const struct reader *reader, const char *keyword)
{
	struct slice text;
	size_t i;

	for (i = 0; i < reader->overrides_n; i++) {
		text = slice_of(reader->overrides[i]);
		if (slice_equal(slice_cut(&text, '='), slice_of(keyword)))
			return true;
	}
	return false;
}

/* One setting of the operator's, and where it stands. */
static bool
take(struct config *config, const char *keyword, const char *value,
    const char *where, struct buffer *why)
{
	if (!config_set(config, keyword, value, why))
		return false;
	if (strcmp(keyword, "exempt") != 0 ||
	    configout_settle_exempt(config, (int64_t)time(NULL), where))
		add_place(config, keyword, where);
	return true;
}

static bool
take_line(void *context, const char *where, const char *keyword,
    const char *value, struct buffer *why)
{
	struct reader *reader = context;
	struct config *config = is_outranked(reader, keyword) ?
	    reader->outranked : reader->config;

	return take(config, keyword, value, where, why);
}

static bool
take_override(struct config *config, const char *override,
    struct buffer *error)
{
	struct slice value = slice_of(override), name;
	char *keyword;
	bool done;

	if (error->len > 0)
		buffer_add(error, SLICE("\n"));
	buffer_add(error, SLICE("-o: "));
	name = slice_cut(&value, '=');
	if (value.at == NULL) {
		buffer_add(error, SLICE("KEYWORD=VALUE is meant, not "));
		words_quote(error, override);
		return false;
	}
	keyword = mem_alloc(name.len + 1);
	memcpy(keyword, name.at, name.len);
	done = take(config, keyword, value.at, "-o", error);
	free(keyword);
	return done;
}

/* Each override that is wrong as a line of *error; false: there is one. */
static bool
take_overrides(const struct reader *reader, struct buffer *error)
{
	bool all = true;
	size_t i, before;

	for (i = 0; i < reader->overrides_n; i++) {
		before = error->len;
		if (take_override(reader->config, reader->overrides[i],
		    error))
			error->len = before;
		else
			all = false;
	}
	return all;
}

struct config *
config_read(const char *file, char *const *overrides, size_t overrides_n,
    struct buffer *error)
{
	struct config *config = config_new(), *outranked = config_new();
	const struct reader reader = { .config = config,
	    .outranked = outranked, .overrides = overrides,
	    .overrides_n = overrides_n };
	bool good;

	good = take_overrides(&reader, error);
	if (file != NULL || access(CONFIG_FILE, F_OK) == 0)
		good = configfile_read(file != NULL ? file : CONFIG_FILE,
		    take_line, (void *)(uintptr_t)&reader, error) && good;
	config_free(&outranked);
	if (good) {
		finish(config);
		good = configwhole_check(config, error);
	}
	if (good)
		configwhole_warn(config);
	else
		config_free(&config);
	return config;
}
