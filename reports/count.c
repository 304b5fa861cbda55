/*
 * What is counted of a session, and where?
 *
 * Called by main.c for every T_SESSION and by life.c for every R_FAILED.  A
 * session is counted once in each block that judged it (ruling 10): as a
 * success, or as one failed session with an entry for each of its defects.
 *
 * A block is found by what it is of: the policy's id and text, the TLSA
 * records in a fixed order (a resolver turns them round).  A failure is found
 * by a hash of all its members, and compared: who makes two hashes meet gains
 * nothing.
 *
 * Totals are exact whatever a peer does; what is bounded is how finely they
 * are told apart.
 */
#include "reports/tables.h"

#include "conf/log.h"

#include <stdlib.h>
#include <string.h>

/* As many failures of one hash are told apart. */
#define SAME_HASH_MAX	4
#define BLOCKS_ALL	(BLOCKS_MAX + 3)	/* and one without text each */
/* More defects than a certificate has; further ones are not told apart. */
#define DEFECTS_MAX	32
#define CONTRIBUTORS_MAX	20
#define GROUPED		"further ones of more than 100 different failures"

/* One session in the eyes of one block. */
struct judged {
	uint32_t		 day;
	const char		*domain;	/* whose report */
	struct policy_row	*policy;
	const struct failure_row *failures;	/* sessions 1 each */
	unsigned		 failures_n;	/* 0: it succeeded */
};

/* ---- what a block is of ---- */

static int
compare_records(const void *a, const void *b)
{
	const struct slice *one = a, *other = b;
	size_t len = one->len < other->len ? one->len : other->len;
	int order = memcmp(one->at, other->at, len);

	return order != 0 ? order : (one->len > other->len) -
	    (one->len < other->len);
}

/* The records, length and all; what is no whole record ends them. */
static unsigned
cut_records(const uint8_t *octets, uint32_t len, struct slice *records,
    unsigned most)
{
	uint32_t at = 0, record;
	unsigned n = 0;

	while (n < most && len - at >= 2) {
		record = octets[at] | (uint32_t)octets[at + 1] << 8;
		if (record == 0 || len - at - 2 < record)
			break;
		records[n++] = (struct slice){ (const char *)octets + at,
		    2 + record };
		at += 2 + record;
	}
	return n;
}

/* The same records are the same block, in whatever order they came. */
static void
take_tlsa(const struct t_session *session, struct policy_row *policy)
{
	struct slice records[REPORT_TLSA_MAX / 3];
	unsigned n, i;

	n = cut_records(session->tlsa, session->tlsa_len, records,
	    sizeof(records) / sizeof(records[0]));
	qsort(records, n, sizeof(records[0]), compare_records);
	for (i = 0; i < n; i++) {
		if (i > 0 && slice_equal(records[i], records[i - 1]))
			continue;
		memcpy(policy->tlsa + policy->tlsa_len, records[i].at,
		    records[i].len);
		policy->tlsa_len += (uint32_t)records[i].len;
	}
}

static bool
is_name(const char *text)
{
	struct domain domain;

	return text[0] != '\0' && domain_parse(slice_of(text), &domain) &&
	    strcmp(domain.name, text) == 0;
}

/* RFC 8460 1.1: of DANE the policy domain is the TLSA base domain. */
static const char *
tlsa_domain(const struct t_session *session)
{
	if (is_name(session->tlsa_base))
		return session->tlsa_base;
	return is_name(session->host) ? session->host : session->domain;
}

static void
name_policy(const struct t_session *session, uint32_t block,
    struct policy_row *policy)
{
	memset(policy, 0, sizeof(*policy));
	policy->block = block;
	slice_store(slice_of(block == REPORT_TLSA ? tlsa_domain(session) :
	    session->domain), policy->domain, sizeof(policy->domain));
	if (block == REPORT_TLSA)
		take_tlsa(session, policy);
	if (block != REPORT_STS)
		return;
	report_clean(slice_of(session->sts_id), policy->sts_id,
	    sizeof(policy->sts_id));
	policy->sts_text = session->sts_text;
}

static bool
is_same_policy(const struct policy_row *a, const struct policy_row *b)
{
	return a->block == b->block && strcmp(a->domain, b->domain) == 0 &&
	    strcmp(a->sts_id, b->sts_id) == 0 &&
	    a->sts_text == b->sts_text && a->tlsa_len == b->tlsa_len &&
	    memcmp(a->tlsa, b->tlsa, a->tlsa_len) == 0;
}

/* One of its type for all that has no place of its own? */
static bool
is_plain(const struct policy_row *policy, const char *domain)
{
	return strcmp(policy->domain, domain) == 0 &&
	    policy->sts_id[0] == '\0' && policy->sts_text == 0 &&
	    policy->tlsa_len == 0;
}

/* ---- which block ---- */

/* What stands in the book for a domain and day. */
struct blocks {
	unsigned	n;		/* numbers in use, from 0 */
	unsigned	named;		/* not plain, or not readable */
	int		found;		/* the one looked for, or -1 */
};

static struct blocks
look_for(struct book *book, const struct judged *judged)
{
	struct policy_row row;
	struct blocks blocks = { 0, 0, -1 };
	enum store_found found;
	struct key key;

	for (; blocks.n < BLOCKS_ALL; blocks.n++) {
		key = key_of(judged->day, judged->domain);
		key_u8(&key, (uint8_t)blocks.n);
		found = store_get_record(book->policies, key_slice(&key),
		    &policy_row, &row);
		if (found == STORE_ABSENT || found == STORE_FAILED)
			break;
		if (found != STORE_FOUND || !is_plain(&row, judged->domain))
			blocks.named++;
		if (found == STORE_FOUND && blocks.found == -1 &&
		    is_same_policy(&row, judged->policy))
			blocks.found = (int)blocks.n;
	}
	return blocks;
}

static void
want_text(struct book *book, const struct judged *judged)
{
	const struct policy_row *policy = judged->policy;
	struct key key = key_of(judged->day, judged->domain);
	struct key wanted = { .len = 0 };
	struct slice value;

	key_u64(&key, policy->sts_text);
	if (policy->sts_text == 0 || store_get(book->texts, key_slice(&key),
	    &value) == STORE_FOUND)
		return;
	key_text(&wanted, judged->domain);
	key_u64(&wanted, policy->sts_text);
	key_u32(&wanted, judged->day);
	book_change(book, book->wanted, &wanted, SLICE(""));
	book_change(book, book->texts, &key, SLICE("w"));
}

/* It has no place of its own: what it is of is not said. */
static void
make_plain(struct judged *judged)
{
	struct policy_row *policy = judged->policy;

	policy->sts_id[0] = '\0';
	policy->sts_text = 0;
	policy->tlsa_len = 0;
	slice_store(slice_of(judged->domain), policy->domain,
	    sizeof(policy->domain));
}

/*
 * The number of the session's block, a new one if need be.  The policy comes
 * back plain when there are too many (trap T40, RPT-7-3 RFC 8460 7).
 */
static uint8_t
take_block(struct book *book, struct judged *judged)
{
	struct blocks blocks = look_for(book, judged);
	struct key key;

	if (blocks.found == -1 && blocks.named >= BLOCKS_MAX &&
	    !is_plain(judged->policy, judged->domain)) {
		make_plain(judged);
		blocks = look_for(book, judged);
	}
	if (blocks.found != -1)
		return (uint8_t)blocks.found;
	/* Unreadable ones took all places: the last is written anew. */
	if (blocks.n == BLOCKS_ALL)
		blocks.n--;
	key = key_of(judged->day, judged->domain);
	key_u8(&key, (uint8_t)blocks.n);
	book_change_record(book, book->policies, &key, &policy_row,
	    judged->policy);
	want_text(book, judged);
	return (uint8_t)blocks.n;
}

/* ---- failures ---- */

static uint64_t
hash_octets(uint64_t hash, const void *octets, size_t len)
{
	const uint8_t *at = octets;

	while (len-- > 0)
		hash = (hash ^ *at++) * 0x100000001b3u;
	return hash;
}

static uint64_t
hash_failure(const struct failure_row *row)
{
	const char *const texts[] = { row->reason, row->local, row->host,
		row->helo, row->address };
	uint64_t hash = hash_octets(0xcbf29ce484222325u, &row->result,
	    sizeof(row->result));
	unsigned i;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		hash = hash_octets(hash, texts[i], strlen(texts[i]) + 1);
	return hash;
}

/* RPT-4.4-17 RFC 8460 4.4: merged by the whole key. */
static bool
is_same_failure(const struct failure_row *a, const struct failure_row *b)
{
	return a->result == b->result && strcmp(a->reason, b->reason) == 0 &&
	    strcmp(a->local, b->local) == 0 &&
	    strcmp(a->host, b->host) == 0 &&
	    strcmp(a->helo, b->helo) == 0 &&
	    strcmp(a->address, b->address) == 0;
}

/*
 * Add one session to that entry; false: it is not there and no_new.  A
 * damaged one begins anew.
 */
static bool
add_to_failure(struct book *book, const struct judged *judged, uint8_t block,
    const struct failure_row *failure, struct totals_row *totals, bool no_new)
{
	uint64_t hash = hash_failure(failure);
	struct failure_row row;
	enum store_found found;
	struct key key;
	unsigned i;

	for (i = 0; i < SAME_HASH_MAX; i++) {
		key = key_of(judged->day, judged->domain);
		key_u8(&key, block);
		key_u64(&key, hash);
		key_u8(&key, (uint8_t)i);
		found = store_get_record(book->failures, key_slice(&key),
		    &failure_row, &row);
		if (found == STORE_FOUND && !is_same_failure(&row, failure))
			continue;
		if (found != STORE_FOUND) {
			if (no_new && found == STORE_ABSENT)
				return false;
			totals->failures += found == STORE_ABSENT;
			row = *failure;
			row.sessions = 0;
		}
		row.sessions++;
		book_change_record(book, book->failures, &key, &failure_row,
		    &row);
		return true;
	}
	return false;
}

/* The entry for all of that result that have none of their own. */
static void
add_to_group(struct book *book, const struct judged *judged, uint8_t block,
    const struct failure_row *failure, struct totals_row *totals)
{
	struct failure_row group = { .result = failure->result };

	slice_store(SLICE(GROUPED), group.reason, sizeof(group.reason));
	add_to_failure(book, judged, block, &group, totals, false);
}

/*
 * RPT-4-6 RFC 8460 4, ruling 29: each defect its entry, the session once.
 * One that is grouped with another defect of the session counts once there.
 */
static void
add_failures(struct book *book, const struct judged *judged, uint8_t block,
    struct totals_row *totals)
{
	uint32_t grouped = 0;
	unsigned i;

	for (i = 0; i < judged->failures_n; i++) {
		const struct failure_row *failure = &judged->failures[i];

		if (add_to_failure(book, judged, block, failure, totals,
		    totals->failures >= FAILURES_MAX))
			continue;
		if ((grouped & 1u << failure->result) == 0)
			add_to_group(book, judged, block, failure, totals);
		grouped |= 1u << failure->result;
	}
}

/* ---- one block of one report ---- */

static bool
takes_counts(const struct report_state *state)
{
	return state->number == 0 && (state->phase == REPORT_COUNTING ||
	    state->phase == REPORT_ASKING);
}

/* The report begins with its first count.  False: it is made already. */
static bool
begin_report(struct book *book, const struct judged *judged)
{
	struct report_state state = { .day = judged->day };
	struct event event;
	char day[DAY_TEXT_MAX];

	if (!book_get_report(book, judged->day, judged->domain, &state)) {
		memset(&state, 0, sizeof(state));
		state.day = judged->day;
		slice_store(slice_of(judged->domain), state.domain,
		    sizeof(state.domain));
		state.next_s = book->due_s(book->due_context, state.day,
		    state.domain);
		book_put_report(book, &state);
		return true;
	}
	if (takes_counts(&state))
		return true;
	event_begin(&event, LOG_LEVEL_INFO, "report");
	event_text(&event, "domain", judged->domain);
	event_text(&event, "day", day_print(judged->day, day));
	event_text(&event, "outcome", "late");
	event_text(&event, "type", report_block_name(judged->policy->block));
	event_text(&event, "text", "a session came after the report of its "
	    "day was made, and is not counted");
	event_end(&event);
	return false;
}

/*
 * RPT-4.2.1-1 RFC 8460 4.2.1, RPT-4.2.2-1 RFC 8460 4.2.2.  False: the day's
 * report is made.
 */
static bool
count_block(struct book *book, struct judged *judged)
{
	struct totals_row totals;
	struct key key;
	uint8_t block;

	if (!begin_report(book, judged))
		return false;
	block = take_block(book, judged);
	key = key_of(judged->day, judged->domain);
	key_u8(&key, block);
	if (store_get_record(book->blocks, key_slice(&key), &totals_row,
	    &totals) != STORE_FOUND)
		memset(&totals, 0, sizeof(totals));
	if (judged->failures_n == 0)
		totals.succeeded++;
	else {
		totals.failed++;
		add_failures(book, judged, block, &totals);
	}
	book_change_record(book, book->blocks, &key, &totals_row, &totals);
	return true;
}

/* ---- the TLSA base's own report (ruling 11) ---- */

static void
note_own(struct book *book, uint32_t day, const char *domain)
{
	struct key key = key_of(day, domain);
	struct slice value;

	key_text(&key, "");
	if (store_get(book->contributors, key_slice(&key), &value) !=
	    STORE_FOUND)
		book_change(book, book->contributors, &key, SLICE(""));
}

/* Is there room for another one beside those noted? */
static bool
has_room(struct book *book, uint32_t day, const char *base)
{
	char domain[DOMAIN_TEXT_MAX];

	return !book_contributor(book, day, base, CONTRIBUTORS_MAX - 1,
	    domain);
}

static void
note_contributor(struct book *book, uint32_t day, const char *base,
    const char *domain)
{
	struct key key = key_of(day, base);
	struct slice value;

	key_text(&key, domain);
	if (store_get(book->contributors, key_slice(&key), &value) ==
	    STORE_ABSENT && has_room(book, day, base))
		book_change(book, book->contributors, &key, SLICE(""));
}

/*
 * A block without a place of its own counts for no base: so a recipient
 * domain reaches BLOCKS_MAX bases a day at most.
 */
static void
count_for_base(struct book *book, const struct judged *judged)
{
	struct judged other = *judged;
	char base[DOMAIN_TEXT_MAX];

	if (judged->policy->block != REPORT_TLSA ||
	    strcmp(judged->policy->domain, judged->domain) == 0)
		return;
	memcpy(base, judged->policy->domain, sizeof(base));
	other.domain = base;
	if (count_block(book, &other))
		note_contributor(book, judged->day, base, judged->domain);
}

/* ---- a session ---- */

/* RPT-4.1-1 RFC 8460 4.1: days are UTC's, whatever TZ says. */
static bool
day_of(int64_t when_s, uint32_t *day)
{
	if (when_s < DAY_S || when_s / DAY_S > UINT32_MAX)
		return false;
	*day = (uint32_t)(when_s / DAY_S);
	return true;
}

static void
take_address(const char *text, char *to)
{
	struct address address;

	to[0] = '\0';
	if (address_parse(slice_of(text), &address))
		address_print(&address, to);
}

/* RPT-4.4-20 RFC 8460 4.4: what is not known is left out. */
static void
take_connection(const struct t_session *session, struct failure_row *row)
{
	take_address(session->local, row->local);
	take_address(session->address, row->address);
	report_clean(slice_of(session->host), row->host, sizeof(row->host));
	report_clean(slice_of(session->helo), row->helo, sizeof(row->helo));
}

static bool
is_noted(const struct failure_row *failures, unsigned n,
    const struct failure_row *failure)
{
	while (n-- > 0)
		if (is_same_failure(&failures[n], failure))
			return true;
	return false;
}

/* The block's details; false: it did not judge the session. */
static bool
judge(const struct t_session *session, uint32_t block,
    struct failure_row *failures, unsigned *n)
{
	struct report_detail detail;
	struct failure_row failure;
	uint32_t offset = 0;
	bool judged = false;

	*n = 0;
	while (report_get_detail(session->details, session->details_len,
	    &offset, &detail)) {
		if (detail.block != block)
			continue;
		judged = true;
		if (detail.result == RESULT_SUCCESS)
			continue;
		memset(&failure, 0, sizeof(failure));
		failure.result = detail.result;
		memcpy(failure.reason, detail.reason, sizeof(failure.reason));
		take_connection(session, &failure);
		if (*n < DEFECTS_MAX && !is_noted(failures, *n, &failure))
			failures[(*n)++] = failure;
	}
	return judged;
}

static void
say_strange(const char *domain, const char *what)
{
	log_line(LOG_LEVEL_ERROR, "a session of %s is not counted: %s",
	    domain[0] != '\0' ? domain : "nobody", what);
}

/*
 * Count one judgement in the domain's report and, for DANE, in the base's.
 * False: the domain's is made.
 */
static bool
count_judged(struct book *book, struct judged *judged)
{
	if (!count_block(book, judged))
		return false;
	note_own(book, judged->day, judged->domain);
	count_for_base(book, judged);
	return true;
}

/* STS-6-3 RFC 8461 6 */
void
book_count_session(struct book *book, const struct t_session *session)
{
	struct failure_row failures[DEFECTS_MAX];
	struct policy_row policy;
	struct judged judged = { .domain = session->domain, .policy = &policy,
		.failures = failures };
	bool any = false;
	uint32_t block;

	if (!is_name(session->domain) || !day_of(session->when_s,
	    &judged.day)) {
		say_strange(session->domain, "no domain, or no such day");
		return;
	}
	for (block = REPORT_STS; block <= REPORT_NO_POLICY; block++) {
		if (!judge(session, block, failures, &judged.failures_n))
			continue;
		any = true;
		name_policy(session, block, &policy);
		if (!count_judged(book, &judged))
			return;
	}
	if (!any)
		say_strange(session->domain, "no block judged it");
}

/*
 * STS-6-1 RFC 8461 6, ruling 31: one failed session in a block of its own
 * kind, without a connection (RPT-4.4-20 RFC 8460 4.4).
 */
void
book_count_failed(struct book *book, const struct r_failed *failed)
{
	struct policy_row policy;
	struct failure_row failure = { .result = failed->result };
	struct judged judged = { .domain = failed->domain, .policy = &policy,
		.failures = &failure, .failures_n = 1 };

	if (!is_name(failed->domain) || !day_of(failed->when_s,
	    &judged.day) || failed->result <= RESULT_SUCCESS ||
	    failed->result > RESULT_STS_POLICY_FETCH_ERROR) {
		say_strange(failed->domain, "no failed fetch");
		return;
	}
	report_clean(slice_of(failed->reason), failure.reason,
	    sizeof(failure.reason));
	memset(&policy, 0, sizeof(policy));
	policy.block = REPORT_STS;
	slice_store(slice_of(failed->domain), policy.domain,
	    sizeof(policy.domain));
	report_clean(slice_of(failed->sts_id), policy.sts_id,
	    sizeof(policy.sts_id));
	policy.sts_text = failed->sts_text;
	count_judged(book, &judged);
}
