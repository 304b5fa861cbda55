/*
 * What does a domain's MTA-STS record or policy say, and does it cover a
 * host?
 *
 * Called by the policy program (records, bodies, matches) and by `culverctl
 * check`.  Texts come from strangers and are read to the letter of RFC 8461
 * 3.1 and 3.2, so that publishers learn of their faults; the leniencies are
 * blank lines at the very end of a policy and a lifetime that is cut instead
 * of refused.  It looks nothing up, keeps no policy and does not decide what
 * a match means: that is decide.c.
 */
#include "policy/sts.h"

#include "conf/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_CLAUSE	"RFC 8461 3.1"
#define POLICY_CLAUSE	"RFC 8461 3.2"
#define ID_MOST		(STS_ID_SIZE - 1)
#define NAME_MOST	32	/* of an extension, both grammars */
#define MAX_AGE_DIGITS	10
#define SHOWN_MOST	40	/* octets of a stranger's text in a reason */

/* A stranger's text made fit for one line of a reason. */
struct shown {
	char	text[SHOWN_MOST + 1];
};

static struct shown
show(struct slice text)
{
	struct shown shown;
	size_t i;

	for (i = 0; i < text.len && i < SHOWN_MOST; i++)
		shown.text[i] = text.at[i];
	shown.text[i] = '\0';
	while (i-- > 0)
		if (shown.text[i] < 0x20 || shown.text[i] > 0x7e ||
		    shown.text[i] == '"' || shown.text[i] == '\\')
			shown.text[i] = '?';
	return shown;
}

static bool
refuse(struct sts_fault *fault, unsigned line, const char *clause,
    const char *format, ...) __attribute__((format(printf, 4, 5)));

static bool
refuse(struct sts_fault *fault, unsigned line, const char *clause,
    const char *format, ...)
{
	va_list args;

	fault->line = line;
	fault->clause = clause;
	va_start(args, format);
	vsnprintf(fault->reason, sizeof(fault->reason), format, args);
	va_end(args);
	return false;
}

static bool
is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9');
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct slice
skip(struct slice text, size_t n)
{
	return (struct slice){ text.at + n, text.len - n };
}

static struct slice
skip_blanks(struct slice text)
{
	while (text.len > 0 && is_blank(text.at[0]))
		text = skip(text, 1);
	return text;
}

/* sts-ext-name and sts-policy-ext-name: the same in both grammars. */
static bool
is_field_name(struct slice name)
{
	size_t i;

	if (name.len == 0 || name.len > NAME_MOST || !is_alnum(name.at[0]))
		return false;
	for (i = 1; i < name.len; i++)
		if (!is_alnum(name.at[i]) && name.at[i] != '_' &&
		    name.at[i] != '-' && name.at[i] != '.')
			return false;
	return true;
}

/*
 * The record.
 */

/* sts-ext-value.  STS-3.1-2, STS-3.1-11 RFC 8461 3.1 */
static bool
is_record_value(struct slice value)
{
	size_t i;

	for (i = 0; i < value.len; i++)
		if (value.at[i] < 0x21 || value.at[i] > 0x7e ||
		    value.at[i] == '=' || value.at[i] == ';')
			return false;
	return value.len > 0;
}

/* sts-id.  STS-3.1-4 RFC 8461 3.1 */
static bool
is_id(struct slice value)
{
	size_t i;

	for (i = 0; i < value.len; i++)
		if (!is_alnum(value.at[i]))
			return false;
	return value.len >= 1 && value.len <= ID_MOST;
}

/*
 * What follows the version, which is compared with its case and without
 * blanks before it (STS-3.1-3); .at is NULL when the text begins otherwise.
 */
static struct slice
after_version(struct slice record)
{
	struct slice version = SLICE("v=STSv1");

	if (!slice_begins(record, version))
		return (struct slice){ NULL, 0 };
	return skip_blanks(skip(record, version.len));
}

/*
 * One field of a record.  The first id counts, later ones pass as
 * extensions (STS-3.2-19), and so does "ID" (STS-3.1-5).
 */
static bool
parse_record_field(struct slice field, char id[STS_ID_SIZE],
    struct sts_fault *fault)
{
	struct slice value = field, name = slice_cut(&value, '=');

	if (value.at == NULL)
		return refuse(fault, 0, RECORD_CLAUSE,
		    "field \"%s\" has no \"=\"", show(field).text);
	if (slice_equal(name, SLICE("id")) && id[0] == '\0') {
		if (!is_id(value))
			return refuse(fault, 0, RECORD_CLAUSE,
			    "id \"%s\" is not 1 to 32 letters and digits",
			    show(value).text);
		return slice_store(value, id, STS_ID_SIZE);
	}
	/* STS-3.2-17: what fits the grammar is passed over. */
	if (!is_field_name(name))
		return refuse(fault, 0, RECORD_CLAUSE,
		    "\"%s\" is no field name", show(name).text);
	if (!is_record_value(value))
		return refuse(fault, 0, RECORD_CLAUSE,
		    "field \"%s\" has an empty or impossible value",
		    show(name).text);
	return true;
}

/*
 * The fields behind "v=STSv1": each led by a semicolon with optional blanks
 * round it, in any order, one semicolon allowed to close.
 * STS-3.1-8, STS-3.1-9, STS-3.1-10 RFC 8461 3.1
 */
static bool
parse_record_fields(struct slice rest, char id[STS_ID_SIZE],
    struct sts_fault *fault)
{
	struct slice field;

	slice_cut(&rest, ';');
	while (rest.at != NULL) {
		field = skip_blanks(slice_cut(&rest, ';'));
		if (rest.at == NULL && field.len == 0)
			break;
		if (rest.at != NULL)
			field = slice_trim(field);
		if (!parse_record_field(field, id, fault))
			return false;
	}
	if (id[0] == '\0')
		return refuse(fault, 0, RECORD_CLAUSE,
		    "the id field is missing");
	return true;
}

bool
sts_parse_records(const struct slice *records, size_t records_n,
    char id[STS_ID_SIZE], struct sts_fault *fault)
{
	struct slice rest, chosen = { NULL, 0 };
	size_t i, found = 0;
	bool bare = false;

	id[0] = '\0';
	memset(fault, 0, sizeof(*fault));
	/* STS-3.1-12 RFC 8461 3.1, with blanks before ";" by ruling 1. */
	for (i = 0; i < records_n; i++) {
		rest = after_version(records[i]);
		if (rest.len > 0 && rest.at[0] == ';') {
			chosen = rest;
			found++;
		} else if (rest.at != NULL && rest.len == 0) {
			bare = true;
		}
	}
	/* STS-3.1-13 RFC 8461 3.1 */
	if (found > 1)
		return refuse(fault, 0, RECORD_CLAUSE,
		    "%zu STS records where one is allowed", found);
	if (found == 0)
		return refuse(fault, 0, RECORD_CLAUSE,
		    bare ? "the id field is missing" : "none");
	if (!parse_record_fields(chosen, id, fault)) {	/* STS-3.1-14 */
		id[0] = '\0';
		return false;
	}
	return true;
}

/*
 * The policy.
 */

enum field { FIELD_VERSION, FIELD_MODE, FIELD_MAX_AGE, FIELD_MX, FIELDS_N };

/* A policy while its lines are read. */
struct reading {
	struct sts_policy	*policy;
	struct sts_fault	*fault;
	unsigned		 line;
	bool			 seen[FIELDS_N];
	size_t			 mx_room;
};

/* STS-3.2-5 RFC 8461 3.2 */
static bool
take_version(struct reading *reading, struct slice value)
{
	if (!slice_equal(value, SLICE("STSv1")))
		return refuse(reading->fault, reading->line, POLICY_CLAUSE,
		    "version \"%s\" is not STSv1", show(value).text);
	return true;
}

/* STS-3.2-6 RFC 8461 3.2 */
static bool
take_mode(struct reading *reading, struct slice value)
{
	static const enum sts_mode modes[] = {
		STS_ENFORCE, STS_TESTING, STS_NONE
	};
	size_t i;

	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (slice_equal(value, slice_of(sts_mode_name(modes[i])))) {
			reading->policy->mode = modes[i];
			return true;
		}
	return refuse(reading->fault, reading->line, POLICY_CLAUSE,
	    "mode \"%s\" is none of enforce, testing, none",
	    show(value).text);
}

/* STS-3.2-7 RFC 8461 3.2: digits alone, at most ten of them. */
static bool
take_max_age(struct reading *reading, struct slice value)
{
	if (value.len > MAX_AGE_DIGITS ||
	    !slice_number(value, UINT64_MAX, &reading->policy->max_age_s))
		return refuse(reading->fault, reading->line, POLICY_CLAUSE,
		    "max_age \"%s\" is not 1 to 10 digits", show(value).text);
	return true;
}

/*
 * RFC 5321's Domain, which has no final dot; and no underscore, though
 * domain_parse takes one for hosts that exist.
 */
static bool
parse_pattern_domain(struct slice text, struct domain *domain)
{
	if (text.len == 0 || text.at[0] == '[' ||
	    text.at[text.len - 1] == '.' ||
	    memchr(text.at, '_', text.len) != NULL)
		return false;
	return domain_parse(text, domain);
}

/* STS-3.2-12, STS-3.2-13 RFC 8461 3.2: ["*."] Domain, in A-labels. */
bool
sts_parse_mx(struct slice pattern, struct sts_mx *mx)
{
	mx->wildcard = slice_begins(pattern, SLICE("*."));
	if (mx->wildcard)
		pattern = skip(pattern, 2);
	return parse_pattern_domain(pattern, &mx->domain);
}

/* STS-3.2-11 RFC 8461 3.2: one pattern a line. */
static bool
take_mx(struct reading *reading, struct slice value)
{
	struct sts_policy *policy = reading->policy;

	if (policy->mx_n == STS_MX_MAX)
		return refuse(reading->fault, reading->line, POLICY_CLAUSE,
		    "more than %d mx patterns", STS_MX_MAX);
	if (policy->mx_n == reading->mx_room) {
		reading->mx_room = reading->mx_room * 2 + 4;
		policy->mx = mem_grow(policy->mx,
		    reading->mx_room * sizeof(policy->mx[0]));
	}
	if (!sts_parse_mx(value, &policy->mx[policy->mx_n]))
		return refuse(reading->fault, reading->line, POLICY_CLAUSE,
		    "mx \"%s\" is no host name or \"*.\" and a domain",
		    show(value).text);
	policy->mx_n++;
	return true;
}

static const struct {
	struct slice	name;
	bool		(*take)(struct reading *, struct slice);
} fields[FIELDS_N] = {
	[FIELD_VERSION] = { { "version", 7 }, take_version },
	[FIELD_MODE] = { { "mode", 4 }, take_mode },
	[FIELD_MAX_AGE] = { { "max_age", 7 }, take_max_age },
	[FIELD_MX] = { { "mx", 2 }, take_mx },
};

/*
 * sts-policy-ext-value: visible characters of UTF-8 with blanks (no tabs)
 * between them.  STS-3.2-18, STS-3.2-20 RFC 8461 3.2
 */
static bool
is_policy_value(struct slice value)
{
	unsigned len;

	if (value.len == 0)
		return false;
	while (value.len > 0) {
		len = utf8_length(value);
		if (len == 0 || (unsigned char)value.at[0] < 0x20 ||
		    value.at[0] == 0x7f)
			return false;
		value = skip(value, len);
	}
	return true;
}

/*
 * A field by name, which is compared with its case (STS-3.2-15).  Of a
 * repeated one, but mx, the first counts (STS-3.2-19); what is unknown or
 * repeated need only fit the grammar (STS-3.2-17).
 */
static bool
take_field(struct reading *reading, struct slice name, struct slice value)
{
	size_t i;

	for (i = 0; i < FIELDS_N; i++)
		if (slice_equal(name, fields[i].name) &&
		    (!reading->seen[i] || i == FIELD_MX)) {
			reading->seen[i] = true;
			return fields[i].take(reading, value);
		}
	if (!is_policy_value(value))
		return refuse(reading->fault, reading->line, POLICY_CLAUSE,
		    "field \"%s\" has an empty or impossible value",
		    show(name).text);
	return true;
}

/*
 * One line: name, colon at once, blanks, value; blanks at the end are
 * already off.  STS-3.2-14 RFC 8461 3.2
 */
static bool
parse_line(struct reading *reading, struct slice line)
{
	struct slice value = line, name = slice_cut(&value, ':');

	if (slice_begins(line, SLICE("\xef\xbb\xbf")))
		return refuse(reading->fault, reading->line, POLICY_CLAUSE,
		    "a byte order mark before the text");
	if (value.at == NULL)
		return refuse(reading->fault, reading->line, POLICY_CLAUSE,
		    "\"%s\" has no colon", show(line).text);
	if (!is_field_name(name))
		return refuse(reading->fault, reading->line, POLICY_CLAUSE,
		    "\"%s\" is no field name", show(name).text);
	return take_field(reading, name, skip_blanks(value));
}

/*
 * The next line without its end, LF or CRLF; the last may lack one, but a
 * CR alone ends nothing.  Blanks at the end do not count.  STS-3.2-4
 */
static struct slice
cut_line(struct slice *rest)
{
	struct slice line = slice_cut(rest, '\n');

	if (rest->at != NULL && line.len > 0 && line.at[line.len - 1] == '\r')
		line.len--;
	while (line.len > 0 && is_blank(line.at[line.len - 1]))
		line.len--;
	return line;
}

/* Lines in any order (STS-3.2-16); blank ones only at the end (ruling 3). */
static bool
parse_lines(struct reading *reading, struct slice body)
{
	unsigned blank = 0;
	struct slice line;

	while (body.at != NULL) {
		line = cut_line(&body);
		reading->line++;
		if (line.len == 0) {
			if (blank == 0)
				blank = reading->line;
			continue;
		}
		if (blank != 0)
			return refuse(reading->fault, blank, POLICY_CLAUSE,
			    "a blank line before the end");
		if (!parse_line(reading, line))
			return false;
	}
	return true;
}

/* STS-3.2-5, STS-3.2-6, STS-3.2-7, STS-3.2-10 RFC 8461 3.2 */
static bool
is_complete(struct reading *reading)
{
	size_t i;

	for (i = 0; i < FIELD_MX; i++)
		if (!reading->seen[i])
			return refuse(reading->fault, 0, POLICY_CLAUSE,
			    "the %s field is missing", fields[i].name.at);
	if (reading->policy->mx_n == 0 && reading->policy->mode != STS_NONE)
		return refuse(reading->fault, 0, POLICY_CLAUSE,
		    "mode %s without an mx pattern",
		    sts_mode_name(reading->policy->mode));
	return true;
}

bool
sts_parse_policy(struct slice body, struct sts_policy *policy,
    struct sts_fault *fault)
{
	struct reading reading = { .policy = policy, .fault = fault };

	memset(policy, 0, sizeof(*policy));
	memset(fault, 0, sizeof(*fault));
	if (body.len > STS_BODY_MAX)	/* STS-3.3-13 RFC 8461 3.3 */
		return refuse(fault, 0, "RFC 8461 3.3",
		    "longer than %d octets", STS_BODY_MAX);
	if (parse_lines(&reading, body) && is_complete(&reading))
		return true;
	sts_policy_free(policy);
	return false;
}

void
sts_policy_free(struct sts_policy *policy)
{
	free(policy->mx);
	memset(policy, 0, sizeof(*policy));
}

/*
 * The match.
 */

/*
 * STS-4.1-3 RFC 8461 4.1: "*." stands for exactly one whole label.  Both
 * sides are A-labels in lower case without a final dot since their parsers
 * made them so (STS-4.1-4).  A "*" in a host's own name is never a wildcard
 * and matches nothing (STS-4.1-6).
 */
bool
sts_mx_covers(const struct sts_mx *mx, const struct domain *host)
{
	const char *dot = strchr(host->name, '.');

	if (host->name[0] == '\0' || strchr(host->name, '*') != NULL)
		return false;
	if (!mx->wildcard)
		return domain_equal(&mx->domain, host);
	return dot != NULL && dot != host->name &&
	    strcmp(dot + 1, mx->domain.name) == 0;
}

/* STS-4-1, STS-4.1-2 RFC 8461 4.1: one of several is enough. */
int
sts_match_mx(const struct sts_policy *policy, const struct domain *host)
{
	size_t i;

	for (i = 0; i < policy->mx_n; i++)
		if (sts_mx_covers(&policy->mx[i], host))
			return (int)i;
	return -1;
}

/*
 * STS-3.2-8, STS-3.2-9 RFC 8461 3.2, ruling 2: max_age counts from the fetch
 * and is cut at a year; 0 ends at once, so that the policy serves the attempt
 * that fetched it.
 */
int64_t
sts_expires(int64_t fetched_s, uint64_t max_age_s)
{
	int64_t age_s = STS_MAX_AGE_MOST;

	if (max_age_s < STS_MAX_AGE_MOST)
		age_s = (int64_t)max_age_s;
	return fetched_s > INT64_MAX - age_s ? INT64_MAX : fetched_s + age_s;
}
