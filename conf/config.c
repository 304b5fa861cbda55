/*
 * What did the operator say, and is it something culver can do?
 *
 * One table of keywords: name, how often, parser,
 * printer, default, what is accepted.  The parent and culverctl read the file
 * through it (config_read), children are told the outcome setting by setting
 * and parse it by the same rows (config_set), and `culverd -n` prints it
 * (config_each).  A keyword of a later version has a row without a parser.
 *
 * How a line is cut is known to words.c, how files include each other to
 * configfile.c; what is said of the whole (defaults that are found, warnings)
 * stands at the end.  It opens no file but the configuration, what that
 * includes, /etc/hosts and /etc/mailname; it asks neither DNS nor NSS, and
 * does not look whether paths that it is given exist (culverd does).
 */
#include "conf/config.h"

#include "conf/configfile.h"
#include "conf/hostname.h"
#include "conf/utf8.h"
#include "conf/words.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define ITEMS_MAX	1500		/* of one keyword that repeats */
#define SMALL_MAX_OCTETS	(1u << 20)	/* of /etc/hosts */

#define SECOND	1
#define MINUTE	60
#define HOUR	3600
#define DAY	86400

enum repeat {
	ONCE,		/* one line, one value or a list */
	MANY		/* each line adds */
};

/* A word and what it means; NOT_YET: known, not built. */
struct choice {
	const char	*word;
	int		 value;
};
#define NOT_YET	(-1)

struct keyword {
	const char	*name;
	enum repeat	 repeat;
	/* NULL: not built yet.  False: *why says what is wrong, or is "". */
	bool		(*parse)(struct config *, const struct keyword *,
			    const struct words *, const char **why);
	/* Value number n of this keyword; false: there are only n. */
	bool		(*print)(const struct config *, const struct keyword *,
			    size_t n, struct buffer *out);
	const char	*standard;	/* NULL: none, or found in finish() */
	const char	*accepted;
	size_t		 offset;	/* of the member, for plain kinds */
	uint64_t	 least, most;
	const struct choice *choices;
};

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

/* ---- plain kinds of value ---- */

static void *
member(struct config *config, const struct keyword *keyword)
{
	return (char *)config + keyword->offset;
}

static const void *
member_of(const struct config *config, const struct keyword *keyword)
{
	return (const char *)config + keyword->offset;
}

static bool
in_bounds(const struct keyword *keyword, uint64_t number, const char **why)
{
	if (number < keyword->least)
		*why = "is too little";
	else if (number > keyword->most)
		*why = "is too much";
	else
		return true;
	return false;
}

static bool
parse_number(struct config *config, const struct keyword *keyword,
    const struct words *words, const char **why)
{
	uint64_t number;
	uint32_t value;

	if (words->n != 1 ||
	    !slice_number(slice_of(words->word[0]), UINT64_MAX, &number) ||
	    !in_bounds(keyword, number, why))
		return false;
	value = (uint32_t)number;
	memcpy(member(config, keyword), &value, sizeof(value));
	return true;
}

static bool
print_number(const struct config *config, const struct keyword *keyword,
    size_t n, struct buffer *out)
{
	uint32_t value;

	if (n > 0)
		return false;
	memcpy(&value, member_of(config, keyword), sizeof(value));
	buffer_printf(out, "%" PRIu32, value);
	return true;
}

struct unit {
	char		letter;
	uint64_t	factor;
};
static const struct unit sizes[] = {
	{ 'T', 1ull << 40 }, { 'G', 1ull << 30 }, { 'M', 1ull << 20 },
	{ 'K', 1ull << 10 }, { '\0', 0 }
};
static const struct unit durations[] = {
	{ 'd', DAY }, { 'h', HOUR }, { 'm', MINUTE }, { 's', SECOND },
	{ '\0', 0 }
};

/* "64K" by units, or (bare) "65536". */
static bool
unit_parse(const char *word, const struct unit *units, bool bare,
    uint64_t *number)
{
	struct slice digits = slice_of(word);
	uint64_t count;

	if (digits.len == 0)
		return false;
	for (; units->letter != '\0'; units++)
		if (digits.at[digits.len - 1] == units->letter)
			break;
	if (units->letter == '\0')
		return bare && slice_number(digits, UINT64_MAX, number);
	digits.len--;
	if (!slice_number(digits, UINT64_MAX / units->factor, &count))
		return false;
	*number = count * units->factor;
	return true;
}

static void
unit_print(uint64_t number, const struct unit *units, struct buffer *out)
{
	for (; units->letter != '\0'; units++)
		if (number > 0 && number % units->factor == 0) {
			buffer_printf(out, "%" PRIu64 "%c",
			    number / units->factor, units->letter);
			return;
		}
	buffer_printf(out, "%" PRIu64, number);
}

static bool
parse_size(struct config *config, const struct keyword *keyword,
    const struct words *words, const char **why)
{
	uint64_t number;

	if (words->n != 1 ||
	    !unit_parse(words->word[0], sizes, true, &number) ||
	    !in_bounds(keyword, number, why))
		return false;
	memcpy(member(config, keyword), &number, sizeof(number));
	return true;
}

static bool
print_size(const struct config *config, const struct keyword *keyword,
    size_t n, struct buffer *out)
{
	uint64_t number;

	if (n > 0)
		return false;
	memcpy(&number, member_of(config, keyword), sizeof(number));
	unit_print(number, sizes, out);
	return true;
}

static bool
parse_duration(struct config *config, const struct keyword *keyword,
    const struct words *words, const char **why)
{
	uint64_t number;
	int64_t value_s;

	if (words->n != 1 ||
	    !unit_parse(words->word[0], durations, false, &number) ||
	    !in_bounds(keyword, number, why))
		return false;
	value_s = (int64_t)number;
	memcpy(member(config, keyword), &value_s, sizeof(value_s));
	return true;
}

static bool
print_duration(const struct config *config, const struct keyword *keyword,
    size_t n, struct buffer *out)
{
	int64_t value_s;

	if (n > 0)
		return false;
	memcpy(&value_s, member_of(config, keyword), sizeof(value_s));
	unit_print((uint64_t)value_s, durations, out);
	return true;
}

/* The member is an enum, which has the size and alignment of an int here. */
_Static_assert(sizeof(enum config_ip) == sizeof(int), "enums are ints");
_Static_assert(sizeof(enum log_level) == sizeof(int), "enums are ints");

static bool
parse_choice(struct config *config, const struct keyword *keyword,
    const struct words *words, const char **why)
{
	const struct choice *choice;

	if (words->n != 1)
		return false;
	for (choice = keyword->choices; choice->word != NULL; choice++)
		if (strcmp(choice->word, words->word[0]) == 0)
			break;
	if (choice->word == NULL)
		return false;
	if (choice->value == NOT_YET) {
		*why = "is not built yet";
		return false;
	}
	memcpy(member(config, keyword), &choice->value, sizeof(int));
	return true;
}

static bool
print_choice(const struct config *config, const struct keyword *keyword,
    size_t n, struct buffer *out)
{
	const struct choice *choice;
	int value;

	if (n > 0)
		return false;
	memcpy(&value, member_of(config, keyword), sizeof(value));
	for (choice = keyword->choices; choice->word != NULL; choice++)
		if (choice->value == value) {
			buffer_add(out, slice_of(choice->word));
			return true;
		}
	return false;	/* `log` as nobody chose it */
}

static const struct choice yes_no[] = {
	{ "yes", true }, { "no", false }, { NULL, 0 }
};
static const struct choice on_off[] = {
	{ "on", true }, { "off", false }, { NULL, 0 }
};
static const struct choice body_choices[] = {
	{ "headers", false }, { "full", true }, { NULL, 0 }
};

static bool
parse_bool(struct config *config, const struct keyword *keyword,
    const struct words *words, const char **why)
{
	const struct choice *choice;
	bool value;

	(void)why;
	for (choice = keyword->choices; choice->word != NULL; choice++)
		if (words->n == 1 && strcmp(choice->word, words->word[0]) == 0)
			break;
	if (choice->word == NULL)
		return false;
	value = choice->value != 0;
	memcpy(member(config, keyword), &value, sizeof(value));
	return true;
}

static bool
print_bool(const struct config *config, const struct keyword *keyword,
    size_t n, struct buffer *out)
{
	const struct choice *choice = keyword->choices;
	bool value;

	memcpy(&value, member_of(config, keyword), sizeof(value));
	while ((choice->value != 0) != value)
		choice++;
	if (n == 0)
		buffer_add(out, slice_of(choice->word));
	return n == 0;
}

static void
set_text(struct config *config, const struct keyword *keyword,
    const char *text)
{
	char *old, *copy = mem_copy(text);

	memcpy(&old, member(config, keyword), sizeof(old));
	free(old);
	memcpy(member(config, keyword), &copy, sizeof(copy));
}

/* An absolute path; most is its greatest length. */
static bool
parse_path(struct config *config, const struct keyword *keyword,
    const struct words *words, const char **why)
{
	if (words->n != 1 || words->word[0][0] == '\0')
		return false;
	if (words->word[0][0] != '/') {
		*why = "is not an absolute path";
		return false;
	}
	if (strlen(words->word[0]) > keyword->most) {
		*why = "is too long a path";
		return false;
	}
	set_text(config, keyword, words->word[0]);
	return true;
}

static bool
print_text(const struct config *config, const struct keyword *keyword,
    size_t n, struct buffer *out)
{
	const char *text;

	memcpy(&text, member_of(config, keyword), sizeof(text));
	if (n > 0 || text == NULL)
		return false;
	words_put(out, text);
	return true;
}

static bool
parse_group(struct config *config, const struct keyword *keyword,
    const struct words *words, const char **why)
{
	(void)why;
	if (words->n != 1 || words->word[0][0] == '\0' ||
	    strpbrk(words->word[0], ":/ ,") != NULL)
		return false;
	set_text(config, keyword, words->word[0]);
	return true;
}

/* ---- lists ---- */

/*
 * Room for one more of size octets behind the n that *items holds, or NULL
 * when there are too many.
 */
static void *
list_grow(void *items, size_t *n, size_t size, const char **why)
{
	char *grown;
	void *old;

	if (*n >= ITEMS_MAX) {
		*why = "is one too many (1,500 at most)";
		return NULL;
	}
	memcpy(&old, items, sizeof(old));
	grown = mem_grow(old, (*n + 1) * size);
	memset(grown + *n * size, 0, size);
	memcpy(items, &grown, sizeof(grown));
	return grown + (*n)++ * size;
}

static bool
add_local_domain(struct config *config, const struct domain *domain,
    const char **why)
{
	struct domain *added;

	if (domain->name[0] == '\0' || config_is_local(config, domain))
		return true;
	added = list_grow(&config->local_domains, &config->local_domains_n,
	    sizeof(*added), why);
	if (added != NULL)
		*added = *domain;
	return added != NULL;
}

/* A domain that is a name. */
static bool
name_parse(const char *word, struct domain *domain, const char **why)
{
	const char *at;

	for (at = word; *at != '\0'; at++)
		if ((unsigned char)*at > 127) {
			/* EXT-6531-3.7.1-1: nothing but ASCII in EHLO */
			*why = "has letters beyond ASCII: write its xn-- form";
			return false;
		}
	if (domain_parse(slice_of(word), domain) && !domain_is_literal(domain))
		return true;
	*why = "is no domain name";
	return false;
}

static bool
parse_local_domain(struct config *config, const struct keyword *keyword,
    const struct words *words, const char **why)
{
	struct domain domain;
	size_t i;

	(void)keyword;
	for (i = 0; i < words->n; i++)
		if (!name_parse(words->word[i], &domain, why) ||
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
		added = list_grow(&config->relay_from, &config->relay_from_n,
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
parse_bind(struct config *config, const struct keyword *keyword,
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
		added = list_grow(&config->bind, &config->bind_n,
		    sizeof(*added), why);
		if (added == NULL)
			return false;
		*added = address;
	}
	return words->n > 0;
}

static bool
print_bind(const struct config *config, const struct keyword *keyword,
    size_t n, struct buffer *out)
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
		if (!unit_parse(words->word[i], durations, false, &number) ||
		    !in_bounds(keyword, number, why))
			return false;
		added = list_grow(&config->retry_s, &config->retry_n,
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
		unit_print((uint64_t)config->retry_s[i], durations, out);
	}
	return n == 0 && config->retry_n > 0;
}

/* ---- endpoints ---- */

/*
 * ADDR:PORT, with an IPv6 address in brackets; where port is not 0 it stands
 * for a missing one, and ADDR may then be a bare IPv6 address.
 */
static bool
endpoint_parse(const char *word, uint16_t port, struct config_endpoint *out)
{
	struct slice text = slice_of(word), address = text;
	uint64_t number = port;
	const char *end;

	memset(out, 0, sizeof(*out));
	if (port != 0 && address_parse(text, &out->address)) {
		out->port = port;
		return true;
	}
	end = word[0] == '[' ? strchr(word, ']') : strchr(word, ':');
	if (end == NULL)
		return false;
	address.at += word[0] == '[';
	address.len = (size_t)(end - address.at);
	end += word[0] == '[';
	if (!address_parse(address, &out->address) ||
	    (word[0] == '[') != (out->address.family == 6))
		return false;
	if (*end == ':' ? !slice_number(slice_of(end + 1), 65535, &number) :
	    *end != '\0' || port == 0)
		return false;
	out->port = (uint16_t)number;
	return number > 0;
}

static void
endpoint_print(const struct config_endpoint *endpoint, struct buffer *out)
{
	char text[ADDRESS_TEXT_MAX];

	if (out->len > 0)
		buffer_add(out, SLICE(" "));
	buffer_printf(out, endpoint->address.family == 6 ? "[%s]:%u" : "%s:%u",
	    address_print(&endpoint->address, text), endpoint->port);
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
	    !endpoint_parse(words->word[0], 0, &endpoint))
		return false;
	if (listens(config, &endpoint)) {
		*why = "is there already";
		return false;
	}
	if (config->listeners_n >= 64) {
		*why = "is one too many (1,500 at most)";
		return false;
	}
	added = list_grow(&config->listeners, &config->listeners_n,
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
	endpoint_print(&config->listeners[n], out);
	return true;
}

/* Most resolvers: what a P_RESOLVERS can hold, and more than is of use. */
#define RESOLVERS_MAX	16

static bool
parse_resolver(struct config *config, const struct keyword *keyword,
    const struct words *words, const char **why)
{
	struct config_endpoint endpoint, *added;
	size_t i;

	(void)keyword;
	if (words->n > RESOLVERS_MAX)
		*why = "has too many addresses";
	if (words->n == 0 || words->n > RESOLVERS_MAX)
		return false;
	for (i = 0; i < words->n; i++) {
		if (!endpoint_parse(words->word[i], 53, &endpoint))
			return false;
		added = list_grow(&config->resolvers, &config->resolvers_n,
		    sizeof(*added), why);
		*added = endpoint;
	}
	return true;
}

static bool
print_resolver(const struct config *config, const struct keyword *keyword,
    size_t n, struct buffer *out)
{
	size_t i;

	(void)keyword;
	for (i = 0; n == 0 && i < config->resolvers_n; i++)
		endpoint_print(&config->resolvers[i], out);
	return n == 0 && config->resolvers_n > 0;
}

/* ---- the others ---- */

static bool
parse_hostname(struct config *config, const struct keyword *keyword,
    const struct words *words, const char **why)
{
	struct domain domain;

	(void)keyword;
	if (words->n != 1 || !name_parse(words->word[0], &domain, why))
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
	if (words->n != 1 || !name_parse(words->word[0], &domain, why))
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

/* An address with its domain, ASCII. */
static bool
address_word(const struct words *words, struct mailbox *mailbox,
    const char **why)
{
	if (words->n != 1)
		return false;
	if (mailbox_parse(slice_of(words->word[0]), mailbox) &&
	    mailbox->domain.name[0] != '\0')
		return true;
	*why = "is no full address";
	return false;
}

static bool
parse_root_mail(struct config *config, const struct keyword *keyword,
    const struct words *words, const char **why)
{
	struct mailbox mailbox;

	(void)keyword;
	if (!address_word(words, &mailbox, why))
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

static const struct choice trust_choices[] = {
	{ "auto", CONFIG_TRUST_AUTO }, { "yes", CONFIG_TRUST_YES },
	{ "no", CONFIG_TRUST_NO }, { NULL, 0 }
};

static bool
parse_trust(struct config *config, const struct keyword *keyword,
    const struct words *words, const char **why)
{
	struct words mode = { .n = 1, .word = { words->word[0] } };
	struct domain signed_name = { "" }, bogus_name = { "" };

	if (words->n == 0 || words->n > 3)
		return false;
	if (words->n > 1 && strcmp(words->word[1], ".") != 0 &&
	    !name_parse(words->word[1], &signed_name, why))
		return false;
	if (words->n > 2 && !name_parse(words->word[2], &bogus_name, why))
		return false;
	if (!parse_choice(config, keyword, &mode, why))
		return false;
	config->trust_signed_name = signed_name;
	config->trust_bogus_name = bogus_name;
	return true;
}

static bool
print_trust(const struct config *config, const struct keyword *keyword,
    size_t n, struct buffer *out)
{
	const char *signed_name = config->trust_signed_name.name;

	if (!print_choice(config, keyword, n, out))
		return false;
	words_put(out, signed_name[0] != '\0' ? signed_name : ".");
	if (config->trust_bogus_name.name[0] != '\0')
		words_put(out, config->trust_bogus_name.name);
	return true;
}

/* ---- reports ---- */

/*
 * report-from and report-contact: a signature is made for its domain, so that
 * must be a name.
 */
static bool
parse_report_address(struct config *config, const struct keyword *keyword,
    const struct words *words, const char **why)
{
	struct mailbox mailbox;

	if (!address_word(words, &mailbox, why))
		return false;
	if (domain_is_literal(&mailbox.domain)) {
		*why = "has no domain name";
		return false;
	}
	memcpy(member(config, keyword), &mailbox, sizeof(mailbox));
	return true;
}

static bool
print_report_address(const struct config *config,
    const struct keyword *keyword, size_t n, struct buffer *out)
{
	char text[MAILBOX_TEXT_MAX];
	struct mailbox mailbox;

	memcpy(&mailbox, member_of(config, keyword), sizeof(mailbox));
	if (n > 0 || mailbox.domain.name[0] == '\0')
		return false;
	words_put(out, mailbox_print(&mailbox, text));
	return true;
}

/* One line of UTF-8 that is fit for a header and for JSON. */
static bool
parse_line_of_text(struct config *config, const struct keyword *keyword,
    const struct words *words, const char **why)
{
	struct slice rest;
	unsigned len;

	if (words->n != 1 || words->word[0][0] == '\0')
		return false;
	rest = slice_of(words->word[0]);
	if (rest.len > keyword->most) {
		*why = "is too long";
		return false;
	}
	for (; rest.len > 0; rest.at += len, rest.len -= len) {
		len = utf8_length(rest);
		if (len == 0 || utf8_is_control(rest.at, len)) {
			*why = "holds what is no text in UTF-8";
			return false;
		}
	}
	set_text(config, keyword, words->word[0]);
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

static bool
parse_report_at(struct config *config, const struct keyword *keyword,
    const struct words *words, const char **why)
{
	uint64_t spread_s = SPREAD_STANDARD;

	if ((words->n != 1 && words->n != 3) ||
	    !time_parse(words->word[0], &config->report_at_s))
		return false;
	if (words->n == 3 && (strcmp(words->word[1], "spread") != 0 ||
	    !unit_parse(words->word[2], durations, false, &spread_s) ||
	    !in_bounds(keyword, spread_s, why)))
		return false;
	config->report_spread_s = (int64_t)spread_s;
	return true;
}

static bool
print_report_at(const struct config *config, const struct keyword *keyword,
    size_t n, struct buffer *out)
{
	(void)keyword;
	if (n > 0)
		return false;
	buffer_printf(out, "%02u:%02u spread ",
	    (unsigned)(config->report_at_s / HOUR),
	    (unsigned)(config->report_at_s % HOUR / MINUTE));
	unit_print((uint64_t)config->report_spread_s, durations, out);
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
	if (!name_parse(word, &labels, why) ||
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
	if (!name_parse(words->word[0], &dkim->domain, why) ||
	    !selector_parse(words->word[1], &dkim->domain, dkim, why))
		return false;
	*why = "names no absolute path";
	if (words->word[2][0] != '/')
		return false;
	*why = "names too long a path";
	return strlen(words->word[2]) <= keyword->most;
}

static bool
parse_dkim(struct config *config, const struct keyword *keyword,
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
	added = list_grow(&config->dkim, &config->dkim_n, sizeof(*added),
	    why);
	*added = dkim;
	added->file = mem_copy(words->word[2]);
	return true;
}
_Static_assert(CONFIG_DKIM_MAX == 16, "as parse_dkim says");

static bool
print_dkim(const struct config *config, const struct keyword *keyword,
    size_t n, struct buffer *out)
{
	(void)keyword;
	if (n >= config->dkim_n)
		return false;
	words_put(out, config->dkim[n].domain.name);
	words_put(out, config->dkim[n].selector);
	words_put(out, config->dkim[n].file);
	return true;
}

/* ---- the table ---- */

static const struct choice ip_choices[] = {
	{ "both", CONFIG_IP_BOTH }, { "4", CONFIG_IP_4 },
	{ "6", CONFIG_IP_6 }, { NULL, 0 }
};
static const struct choice sts_choices[] = {
	{ "enforce", CONFIG_STS_ENFORCE }, { "off", CONFIG_STS_OFF },
	{ "report", NOT_YET }, { NULL, 0 }
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
#define NUMBER		.parse = parse_number, .print = print_number
#define SIZE		.parse = parse_size, .print = print_size
#define DURATION	.parse = parse_duration, .print = print_duration
#define CHOICE(list)	.parse = parse_choice, .print = print_choice, \
			.choices = list
#define BOOL(list)	.parse = parse_bool, .print = print_bool, \
			.choices = list
#define PATH		.parse = parse_path, .print = print_text
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
	{ "relayhost", MANY, .accepted = "a URL" },
	{ "relayhost-password", ONCE, .accepted = "a file" },
	{ "relayhost-password-command", ONCE, .accepted = "a command" },
	{ "bind", ONCE, OTHER(bind),
	  .accepted = "addresses of this machine, as 192.0.2.1" },
	{ "ip", ONCE, CHOICE(ip_choices), AT(ip), .standard = "both",
	  .accepted = "both, 4 or 6" },
	{ "resolver", ONCE, OTHER(resolver),
	  .accepted = "ADDR or ADDR:PORT, up to 16, as 127.0.0.1 or "
	      "[::1]:5353" },
	{ "trust-resolver", ONCE, OTHER(trust), AT(trust_resolver),
	  .choices = trust_choices, .standard = "auto .",
	  .accepted = "yes, no or auto, then perhaps a signed name, then "
	      "perhaps a bogus one" },
	{ "ca-file", ONCE, PATH, AT(ca_file), .most = 4000,
	  .accepted = "the absolute path of a file of certificates" },
	{ "mta-sts", ONCE, CHOICE(sts_choices), AT(mta_sts),
	  .standard = "enforce", .accepted = "enforce or off" },
	{ "dane", ONCE, .accepted = "enforce or off" },
	{ "tls-required", MANY, .accepted = "domains" },
	{ "exempt", MANY,
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
	{ "report-from", ONCE, OTHER(report_address), AT(report_from),
	  .accepted = "an address with its domain, as "
	      "tls-reports@example.org" },
	/* RPT-4.4-2 RFC 8460 4.4 */
	{ "report-organization", ONCE, .parse = parse_line_of_text,
	  .print = print_text, AT(report_organization), .most = 200,
	  .accepted = "a text of at most 200 octets, in double quotes if it "
	      "has blanks" },
	{ "report-contact", ONCE, OTHER(report_address), AT(report_contact),
	  .accepted = "an address at the domain of report-from" },
	{ "report-at", ONCE, OTHER(report_at), .most = DAY,
	  .standard = "00:00 spread 4h",
	  .accepted = "HH:MM [spread DURATION] (UTC, up to 24h), as 00:00 "
	      "spread 4h" },
	{ "dkim", MANY, OTHER(dkim), .most = KEY_FILE_MAX,
	  .accepted = "DOMAIN SELECTOR KEYFILE, as example.org tlsrpt "
	      "/etc/culver/dkim.key" },
	/* run */
	{ "control", ONCE, PATH, AT(control), .most = SOCKET_PATH_MAX,
	  .standard = "/run/culver/control",
	  .accepted = "an absolute path of at most 107 octets" },
	{ "admin-group", ONCE, .parse = parse_group, .print = print_text,
	  AT(admin_group), .accepted = "the name of a group" },
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
	while (old->dkim_n > 0)
		free(old->dkim[--old->dkim_n].file);
	free(old->dkim);
	free(old->report_organization);
	free(old->local_domains);
	free(old->listeners);
	free(old->submit_socket);
	free(old->relay_from);
	free(old->bind);
	free(old->resolvers);
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
config_signs_reports(const struct config *config)
{
	size_t i;

	for (i = 0; i < config->dkim_n; i++)
		if (domain_equal(&config->dkim[i].domain,
		    &config->report_from.domain))
			return true;
	return false;
}

/* ---- defaults that are found, and warnings ---- */

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

static void
finish_local_domains(struct config *config)
{
	struct domain domain = { "localhost" };
	const char *why;

	add_local_domain(config, &config->mail_domain, &why);
	add_local_domain(config, &domain, &why);
	memcpy(domain.name, config->hostname, sizeof(domain.name));
	add_local_domain(config, &domain, &why);
}

static void
finish_listeners(struct config *config)
{
	static const char *const standard[] = { "127.0.0.1:25", "[::1]:25" };
	struct config_endpoint endpoint, *added;
	const char *why;
	size_t i;

	for (i = 0; i < 2; i++) {
		endpoint_parse(standard[i], 0, &endpoint);
		added = list_grow(&config->listeners, &config->listeners_n,
		    sizeof(*added), &why);
		*added = endpoint;
		added->optional = true;
	}
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

/* Fill in what the file left out; the defaults of the table are sound. */
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
	if (config->hostname[0] == '\0')
		finish_hostname(config);
	if (config->mail_domain.name[0] == '\0')
		finish_mail_domain(config);
	if (config->local_domains_n == 0)
		finish_local_domains(config);
	if (config->listeners_n == 0)
		finish_listeners(config);
	finish_reports(config);
	if (config->relay_from_n == 0 &&
	    !config_set(config, "relay-from", "127.0.0.0/8 ::1/128", &why))
		bug("default: %s", why.text);
}

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

/* What is taken, but is hardly meant. */
static void
warn(const struct config *config)
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
	if (config->tls_report)
		warn_of_reports(config);
}

/* ---- what must hold of the whole ---- */

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

/*
 * Ruling 24: who signs, who sends and who is to be asked are one domain, so
 * that nobody can reject a report for misalignment.
 */
static bool
check_reports(const struct config *config, struct buffer *error)
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

/* ---- the whole ---- */

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

static bool
take_line(void *context, const char *where, const char *keyword,
    const char *value, struct buffer *why)
{
	struct reader *reader = context;
	struct config *config = is_outranked(reader, keyword) ?
	    reader->outranked : reader->config;

	if (!config_set(config, keyword, value, why))
		return false;
	add_place(config, keyword, where);
	return true;
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
	done = config_set(config, keyword, value.at, error);
	if (done)
		add_place(config, keyword, "-o");
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
		good = check_reports(config, error);
	}
	if (good)
		warn(config);
	else
		config_free(&config);
	return config;
}
