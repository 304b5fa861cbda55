/*
 * Kinds of value that a keyword of the configuration takes.  Private to
 * config.c and the files split off it.
 *
 * A parser takes the words of a line: false where they are wrong, with what
 * is wrong in *why, or "" there for "is not understood".  A printer appends
 * value number n of the keyword, in the form that its parser takes; false:
 * there are only n.  All pure.
 */
#ifndef CULVER_KIND_H
#define CULVER_KIND_H

#include "config.h"
#include "words.h"

#define MINUTE	60
#define HOUR	3600
#define DAY	86400

#define KIND_ITEMS_MAX	1500		/* of one keyword that repeats */

enum repeat {
	ONCE,		/* one line, one value or a list */
	MANY		/* each line adds */
};

/* A word and what it means. */
struct choice {
	const char	*word;		/* NULL ends a list */
	int		 value;
};

/* A row of the table. */
struct keyword {
	const char	*name;
	enum repeat	 repeat;
	/* NULL: not built yet. */
	bool		(*parse)(struct config *, const struct keyword *,
			    const struct words *, const char **why);
	bool		(*print)(const struct config *, const struct keyword *,
			    size_t n, struct buffer *out);
	const char	*standard;	/* NULL: none, or found (configwhole) */
	const char	*accepted;
	size_t		 offset;	/* of the member, for plain kinds */
	uint64_t	 least, most;
	const struct choice *choices;
};

#define KIND_PARSER(name)	bool name(struct config *, \
	const struct keyword *, const struct words *, const char **why)
#define KIND_PRINTER(name)	bool name(const struct config *, \
	const struct keyword *, size_t n, struct buffer *out)

/* Plain kinds: one word, one member of struct config. */
KIND_PARSER(kind_parse_number);		/* uint32_t */
KIND_PRINTER(kind_print_number);
KIND_PARSER(kind_parse_size);		/* uint64_t, octets */
KIND_PRINTER(kind_print_size);
KIND_PARSER(kind_parse_duration);	/* int64_t, seconds */
KIND_PRINTER(kind_print_duration);
KIND_PARSER(kind_parse_choice);		/* an enum */
KIND_PRINTER(kind_print_choice);
KIND_PARSER(kind_parse_bool);
KIND_PRINTER(kind_print_bool);
KIND_PARSER(kind_parse_path);		/* absolute, at most `most' octets */
KIND_PARSER(kind_parse_group);
KIND_PRINTER(kind_print_text);		/* char *, NULL: none */

/* What other parsers are made of. */

void	*kind_member(struct config *, const struct keyword *);
const void *kind_member_of(const struct config *, const struct keyword *);
bool	 kind_in_bounds(const struct keyword *, uint64_t number,
	    const char **why);
/* The member becomes a copy of text. */
void	 kind_set_text(struct config *, const struct keyword *,
	    const char *text);
/* "4h" in seconds. */
bool	 kind_duration(const char *word, uint64_t *seconds);
void	 kind_duration_print(uint64_t seconds, struct buffer *out);
/*
 * Room for one more of size octets, zeroed, behind the n that *items (a
 * pointer to the array) holds; NULL, with why, when there are too many.
 */
void	*kind_grow(void *items, size_t *n, size_t size, const char **why);
/* A domain that is a name, in ASCII. */
bool	 kind_name(const char *word, struct domain *, const char **why);
/* The same, where people would write an address: what is none is refused. */
bool	 kind_no_address(const char *word, struct domain *,
	    const char **why);
/* "example.org", or ".example.org" with what is below it. */
bool	 kind_domains(const char *word, struct config_domains *,
	    const char **why);
/* In the same form; returns text. */
#define KIND_DOMAINS_MAX	(DOMAIN_TEXT_MAX + 1)
char	*kind_domains_print(const struct config_domains *,
	    char text[KIND_DOMAINS_MAX]);
/* One line of UTF-8, of 1 to most octets, fit for a header and for JSON. */
bool	 kind_line(const char *word, size_t most, const char **why);
/* One word: an address with its domain, ASCII. */
bool	 kind_address(const struct words *, struct mailbox *,
	    const char **why);
/*
 * ADDR:PORT, with an IPv6 address in brackets; where port is not 0 it stands
 * for a missing one, and ADDR may then be a bare IPv6 address.
 */
bool	 kind_endpoint(const char *word, uint16_t port,
	    struct config_endpoint *);
/* Appends a blank first where out holds something. */
void	 kind_endpoint_print(const struct config_endpoint *,
	    struct buffer *out);

#endif
