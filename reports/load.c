/*
 * What was counted for a domain on a day?
 *
 * Called by life.c to make a report, and by ctl.c and show.c to show it.
 * Reads only.  Blocks stand in the order in which they were first seen,
 * failures with the most frequent first; both are the same at every reading.
 */
#include "reports/tables.h"

#include <stdlib.h>
#include <string.h>

#define BLOCKS_ALL	(BLOCKS_MAX + 3)
/* FAILURES_MAX, and a group of each result. */
#define FAILURES_ALL	(FAILURES_MAX + RESULT_STS_POLICY_FETCH_ERROR)

/* Lines under way. */
struct lines {
	struct region	 *region;
	const char	**line;
	unsigned	  n, room;
};

static void
add_line(struct lines *lines, struct slice text)
{
	char *line = region_alloc(lines->region, text.len + 1);
	const char **more;

	if (lines->n == lines->room) {
		lines->room = lines->room == 0 ? 8 : 2 * lines->room;
		more = region_alloc(lines->region,
		    lines->room * sizeof(more[0]));
		if (lines->n > 0)
			memcpy(more, lines->line,
			    lines->n * sizeof(more[0]));
		lines->line = more;
	}
	report_clean(text, line, text.len + 1);
	lines->line[lines->n++] = line;
}

/*
 * The pattern of a line "mx: PATTERN", or an empty slice.  The text was read
 * as a policy once, so a loose look is enough.
 */
static struct slice
mx_pattern(struct slice line)
{
	struct slice rest = line;

	if (!slice_equal(slice_trim(slice_cut(&rest, ':')), SLICE("mx")) ||
	    rest.at == NULL)
		return SLICE("");
	return slice_trim(rest);
}

/*
 * RPT-4.5-2 RFC 8460 4.5: the lines as declared; RPT-4.4-9 RFC 8460 4.4: each
 * pattern for itself.
 */
static void
read_policy_text(struct slice text, struct lines *lines, struct lines *mx)
{
	struct slice line, pattern;

	while (text.at != NULL && text.len > 0) {
		line = slice_cut(&text, '\n');
		if (line.len > 0 && line.at[line.len - 1] == '\r')
			line.len--;
		if (line.len > 0)
			add_line(lines, line);
		pattern = mx_pattern(line);
		if (pattern.len > 0)
			add_line(mx, pattern);
	}
}

static void
load_text(struct book *book, const struct report *report,
    const struct policy_row *row, struct report_policy *policy,
    struct region *region)
{
	struct lines lines = { region, NULL, 0, 0 }, mx = lines;
	struct key key = key_of(report->day, report->domain);
	struct slice value;

	key_u64(&key, row->sts_text);
	if (row->sts_text == 0 || store_get(book->texts, key_slice(&key),
	    &value) != STORE_FOUND || value.len == 0 ||
	    value.at[0] != TEXT_HERE)
		return;
	value.at++;
	value.len--;
	read_policy_text(value, &lines, &mx);
	policy->lines = lines.line;
	policy->lines_n = lines.n;
	policy->mx = mx.line;
	policy->mx_n = mx.n;
}

/* RPT-4.5-1 RFC 8460 4.5 */
static void
load_tlsa(const struct policy_row *row, struct report_policy *policy,
    struct region *region)
{
	struct lines lines = { region, NULL, 0, 0 };
	char line[2 * REPORT_TLSA_MAX + 12];
	uint32_t at = 0, len;

	while (row->tlsa_len - at >= 2) {
		len = row->tlsa[at] | (uint32_t)row->tlsa[at + 1] << 8;
		at += 2;
		if (row->tlsa_len - at < len)
			break;
		if (report_tlsa_line(row->tlsa + at, len, line, sizeof(line)))
			add_line(&lines, slice_of(line));
		at += len;
	}
	policy->lines = lines.line;
	policy->lines_n = lines.n;
}

static void
load_failure(const struct failure_row *row, struct report_failure *failure,
    struct region *region)
{
	failure->result = row->result;
	failure->reason = region_text(region, slice_of(row->reason));
	failure->local = region_text(region, slice_of(row->local));
	failure->host = region_text(region, slice_of(row->host));
	failure->helo = region_text(region, slice_of(row->helo));
	failure->address = region_text(region, slice_of(row->address));
	failure->sessions = row->sessions;
}

static int
compare_failures(const void *a, const void *b)
{
	const struct report_failure *one = a, *other = b;
	int order;

	if (one->sessions != other->sessions)
		return one->sessions > other->sessions ? -1 : 1;
	if (one->result != other->result)
		return one->result < other->result ? -1 : 1;
	if ((order = strcmp(one->host, other->host)) != 0 ||
	    (order = strcmp(one->address, other->address)) != 0 ||
	    (order = strcmp(one->reason, other->reason)) != 0 ||
	    (order = strcmp(one->helo, other->helo)) != 0)
		return order;
	return strcmp(one->local, other->local);
}

static void
load_failures(struct book *book, const struct key *prefix,
    struct report_policy *policy, struct region *region)
{
	struct report_failure *failures = region_alloc(region,
	    FAILURES_ALL * sizeof(failures[0]));
	struct key at = *prefix;
	struct slice key, value;
	struct failure_row row;
	enum store_found found;
	unsigned n = 0;

	while (n < FAILURES_ALL) {
		found = store_next(book->failures, key_slice(&at), true, &key,
		    &value);
		if (found == STORE_ABSENT || found == STORE_FAILED ||
		    !key_begins(key, prefix) || !key_copy(&at, key))
			break;
		if (found == STORE_FOUND &&
		    store_decode(value, &failure_row, &row))
			load_failure(&row, &failures[n++], region);
	}
	qsort(failures, n, sizeof(failures[0]), compare_failures);
	policy->failures = failures;
	policy->failures_n = n;
}

/* False: that block cannot be read. */
static bool
load_block(struct book *book, const struct report *report, unsigned block,
    struct report_policy *policy, struct region *region)
{
	struct key key = key_of(report->day, report->domain);
	struct totals_row totals;
	struct policy_row row;

	key_u8(&key, (uint8_t)block);
	if (store_get_record(book->policies, key_slice(&key), &policy_row,
	    &row) != STORE_FOUND || store_get_record(book->blocks,
	    key_slice(&key), &totals_row, &totals) != STORE_FOUND)
		return false;
	memset(policy, 0, sizeof(*policy));
	policy->block = row.block;
	policy->domain = region_text(region, slice_of(row.domain));
	policy->succeeded = totals.succeeded;
	policy->failed = totals.failed;
	if (row.block == REPORT_STS)
		load_text(book, report, &row, policy, region);
	else if (row.block == REPORT_TLSA)
		load_tlsa(&row, policy, region);
	load_failures(book, &key, policy, region);
	return true;
}

bool
book_load(struct book *book, uint32_t day, const char *domain,
    struct region *region, struct report *report)
{
	struct report_policy *policies = region_alloc(region,
	    BLOCKS_ALL * sizeof(policies[0]));
	struct report_state state;
	unsigned block;

	memset(report, 0, sizeof(*report));
	report->day = day;
	slice_store(slice_of(domain), report->domain, sizeof(report->domain));
	if (book_get_report(book, day, domain, &state))
		report->number = state.number;
	for (block = 0; block < BLOCKS_ALL; block++)
		if (load_block(book, report, block,
		    &policies[report->policies_n], region))
			report->policies_n++;
	report->policies = policies;
	return report->policies_n > 0;
}

void
book_totals(struct book *book, uint32_t day, const char *domain,
    uint64_t *succeeded, uint64_t *failed)
{
	struct totals_row totals;
	struct key key;
	unsigned block;

	*succeeded = *failed = 0;
	for (block = 0; block < BLOCKS_ALL; block++) {
		key = key_of(day, domain);
		key_u8(&key, (uint8_t)block);
		if (store_get_record(book->blocks, key_slice(&key),
		    &totals_row, &totals) != STORE_FOUND)
			continue;
		*succeeded += totals.succeeded;
		*failed += totals.failed;
	}
}

/* The own mark stands under an empty name, before all others. */
bool
book_contributor(struct book *book, uint32_t day, const char *base,
    unsigned n, char domain[DOMAIN_TEXT_MAX])
{
	struct key prefix = key_of(day, base), at = prefix;
	struct slice key, value;
	enum store_found found;
	size_t offset;

	key_text(&at, "");
	do {
		found = store_next(book->contributors, key_slice(&at), true,
		    &key, &value);
		if (found == STORE_ABSENT || found == STORE_FAILED ||
		    !key_begins(key, &prefix) || !key_copy(&at, key))
			return false;
	} while (n-- > 0);
	offset = prefix.len;
	return key_get_text(key_slice(&at), &offset, domain,
	    DOMAIN_TEXT_MAX);
}

bool
book_has_own(struct book *book, uint32_t day, const char *domain)
{
	struct key key = key_of(day, domain);
	struct slice value;
	enum store_found found;

	key_text(&key, "");
	found = store_get(book->contributors, key_slice(&key), &value);
	return found == STORE_FOUND || found == STORE_DAMAGED;
}
