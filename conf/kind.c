/*
 * Which number, size, duration, choice, path, domain, address or endpoint does
 * a word of the configuration say, and how is it written?
 *
 * Called by the rows of config.c's table and by the parsers of other values
 * (configout.c, configreport.c).  A plain kind knows its keyword by the row:
 * where its member lies, its bounds, its choices.  What a value is good for
 * is not known here.
 */
#include "conf/kind.h"

#include "conf/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *
kind_member(struct config *config, const struct keyword *keyword)
{
	return (char *)config + keyword->offset;
}

const void *
kind_member_of(const struct config *config, const struct keyword *keyword)
{
	return (const char *)config + keyword->offset;
}

bool
kind_in_bounds(const struct keyword *keyword, uint64_t number,
    const char **why)
{
	if (number < keyword->least)
		*why = "is too little";
	else if (number > keyword->most)
		*why = "is too much";
	else
		return true;
	return false;
}

bool
kind_parse_number(struct config *config, const struct keyword *keyword,
    const struct words *words, const char **why)
{
	uint64_t number;
	uint32_t value;

	if (words->n != 1 ||
	    !slice_number(slice_of(words->word[0]), UINT64_MAX, &number) ||
	    !kind_in_bounds(keyword, number, why))
		return false;
	value = (uint32_t)number;
	memcpy(kind_member(config, keyword), &value, sizeof(value));
	return true;
}

bool
kind_print_number(const struct config *config, const struct keyword *keyword,
    size_t n, struct buffer *out)
{
	uint32_t value;

	if (n > 0)
		return false;
	memcpy(&value, kind_member_of(config, keyword), sizeof(value));
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
	{ 'd', DAY }, { 'h', HOUR }, { 'm', MINUTE }, { 's', 1 },
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

bool
kind_duration(const char *word, uint64_t *seconds)
{
	return unit_parse(word, durations, false, seconds);
}

void
kind_duration_print(uint64_t seconds, struct buffer *out)
{
	unit_print(seconds, durations, out);
}

bool
kind_parse_size(struct config *config, const struct keyword *keyword,
    const struct words *words, const char **why)
{
	uint64_t number;

	if (words->n != 1 ||
	    !unit_parse(words->word[0], sizes, true, &number) ||
	    !kind_in_bounds(keyword, number, why))
		return false;
	memcpy(kind_member(config, keyword), &number, sizeof(number));
	return true;
}

bool
kind_print_size(const struct config *config, const struct keyword *keyword,
    size_t n, struct buffer *out)
{
	uint64_t number;

	if (n > 0)
		return false;
	memcpy(&number, kind_member_of(config, keyword), sizeof(number));
	unit_print(number, sizes, out);
	return true;
}

bool
kind_parse_duration(struct config *config, const struct keyword *keyword,
    const struct words *words, const char **why)
{
	uint64_t number;
	int64_t value_s;

	if (words->n != 1 ||
	    !kind_duration(words->word[0], &number) ||
	    !kind_in_bounds(keyword, number, why))
		return false;
	value_s = (int64_t)number;
	memcpy(kind_member(config, keyword), &value_s, sizeof(value_s));
	return true;
}

bool
kind_print_duration(const struct config *config, const struct keyword *keyword,
    size_t n, struct buffer *out)
{
	int64_t value_s;

	if (n > 0)
		return false;
	memcpy(&value_s, kind_member_of(config, keyword), sizeof(value_s));
	kind_duration_print((uint64_t)value_s, out);
	return true;
}

/* The member is an enum, which has the size and alignment of an int here. */
_Static_assert(sizeof(enum config_ip) == sizeof(int), "enums are ints");
_Static_assert(sizeof(enum log_level) == sizeof(int), "enums are ints");

bool
kind_parse_choice(struct config *config, const struct keyword *keyword,
    const struct words *words, const char **why)
{
	const struct choice *choice;

	(void)why;
	if (words->n != 1)
		return false;
	for (choice = keyword->choices; choice->word != NULL; choice++)
		if (strcmp(choice->word, words->word[0]) == 0)
			break;
	if (choice->word == NULL)
		return false;
	memcpy(kind_member(config, keyword), &choice->value, sizeof(int));
	return true;
}

bool
kind_print_choice(const struct config *config, const struct keyword *keyword,
    size_t n, struct buffer *out)
{
	const struct choice *choice;
	int value;

	if (n > 0)
		return false;
	memcpy(&value, kind_member_of(config, keyword), sizeof(value));
	for (choice = keyword->choices; choice->word != NULL; choice++)
		if (choice->value == value) {
			buffer_add(out, slice_of(choice->word));
			return true;
		}
	return false;	/* `log` as nobody chose it */
}

bool
kind_parse_bool(struct config *config, const struct keyword *keyword,
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
	memcpy(kind_member(config, keyword), &value, sizeof(value));
	return true;
}

bool
kind_print_bool(const struct config *config, const struct keyword *keyword,
    size_t n, struct buffer *out)
{
	const struct choice *choice = keyword->choices;
	bool value;

	memcpy(&value, kind_member_of(config, keyword), sizeof(value));
	while ((choice->value != 0) != value)
		choice++;
	if (n == 0)
		buffer_add(out, slice_of(choice->word));
	return n == 0;
}

void
kind_set_text(struct config *config, const struct keyword *keyword,
    const char *text)
{
	char *old, *copy = mem_copy(text);

	memcpy(&old, kind_member(config, keyword), sizeof(old));
	free(old);
	memcpy(kind_member(config, keyword), &copy, sizeof(copy));
}

/* An absolute path; most is its greatest length. */
bool
kind_parse_path(struct config *config, const struct keyword *keyword,
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
	kind_set_text(config, keyword, words->word[0]);
	return true;
}

bool
kind_print_text(const struct config *config, const struct keyword *keyword,
    size_t n, struct buffer *out)
{
	const char *text;

	memcpy(&text, kind_member_of(config, keyword), sizeof(text));
	if (n > 0 || text == NULL)
		return false;
	words_put(out, text);
	return true;
}

bool
kind_parse_group(struct config *config, const struct keyword *keyword,
    const struct words *words, const char **why)
{
	(void)why;
	if (words->n != 1 || words->word[0][0] == '\0' ||
	    strpbrk(words->word[0], ":/ ,") != NULL)
		return false;
	kind_set_text(config, keyword, words->word[0]);
	return true;
}

void *
kind_grow(void *items, size_t *n, size_t size, const char **why)
{
	char *grown;
	void *old;

	if (*n >= KIND_ITEMS_MAX) {
		*why = "is one too many (1,500 at most)";
		return NULL;
	}
	memcpy(&old, items, sizeof(old));
	grown = mem_grow(old, (*n + 1) * size);
	memset(grown + *n * size, 0, size);
	memcpy(items, &grown, sizeof(grown));
	return grown + (*n)++ * size;
}

bool
kind_name(const char *word, struct domain *domain, const char **why)
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

bool
kind_no_address(const char *word, struct domain *domain, const char **why)
{
	struct address address;

	if (address_parse(slice_of(word), &address)) {
		*why = "is an address, no domain name";
		return false;
	}
	return kind_name(word, domain, why);
}

bool
kind_domains(const char *word, struct config_domains *domains,
    const char **why)
{
	domains->below = word[0] == '.';
	return kind_no_address(word + domains->below, &domains->domain, why);
}

char *
kind_domains_print(const struct config_domains *domains,
    char text[KIND_DOMAINS_MAX])
{
	snprintf(text, KIND_DOMAINS_MAX, "%s%s", domains->below ? "." : "",
	    domains->domain.name);
	return text;
}

bool
kind_line(const char *word, size_t most, const char **why)
{
	struct slice rest = slice_of(word);
	unsigned len;

	if (rest.len == 0)
		return false;
	if (rest.len > most) {
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
	return true;
}

bool
kind_address(const struct words *words, struct mailbox *mailbox,
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

bool
kind_endpoint(const char *word, uint16_t port, struct config_endpoint *out)
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

void
kind_endpoint_print(const struct config_endpoint *endpoint, struct buffer *out)
{
	char text[ADDRESS_TEXT_MAX];

	if (out->len > 0)
		buffer_add(out, SLICE(" "));
	buffer_printf(out, endpoint->address.family == 6 ? "[%s]:%u" : "%s:%u",
	    address_print(&endpoint->address, text), endpoint->port);
}
