/*
 * In what order are a domain's MX hosts to be tried?
 *
 * Called by route.c with the records of one answer.  All of them are looked
 * at before any is dropped for its number: the one that a policy permits may
 * be the last.
 *
 * Does not look anything up; does not know policies: a host outside a policy
 * keeps its place and is passed over in its turn (RFC 8461 8.4).
 */
#include "policy/mx.h"

#include <stdlib.h>
#include <string.h>

/* SplitMix64: a small step that makes random bits of any seed. */
static uint64_t
step(uint64_t *seed)
{
	uint64_t bits = *seed += 0x9e3779b97f4a7c15u;

	bits = (bits ^ bits >> 30) * 0xbf58476d1ce4e5b9u;
	bits = (bits ^ bits >> 27) * 0x94d049bb133111ebu;
	return bits ^ bits >> 31;
}

/* One candidate: a record's host, and a random place among its equals. */
struct candidate {
	const struct rr	*record;
	uint64_t	 lot;
};

static int
by_preference(const void *a, const void *b)
{
	const struct candidate *one = a, *other = b;

	if (one->record->preference != other->record->preference)
		return one->record->preference < other->record->preference ?
		    -1 : 1;
	if (one->lot != other->lot)
		return one->lot < other->lot ? -1 : 1;
	return 0;
}

/*
 * DANE-7672-2.2-10 RFC 7672 2.2: an address in the place of a name is no
 * host; nor is the root, nor what no host may be called (RFC 5321 4.1.2): DNS
 * has names like "-mx.example", mail has not, and no certificate.
 */
static bool
is_host(const struct domain *name)
{
	struct address address;
	struct domain parsed;

	return domain_parse(slice_of(name->name), &parsed) &&
	    !domain_is_literal(&parsed) &&
	    !address_parse(slice_of(name->name), &address);
}

static void
ignore(struct mx_list *list, const struct domain *name)
{
	if (list->ignored++ == 0)
		strcpy(list->ignored_name,
		    name->name[0] == '\0' ? "." : name->name);
}

static bool
is_listed(const struct candidate *candidates, size_t n,
    const struct domain *name)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (domain_equal(&candidates[i].record->name, name))
			return true;
	return false;
}

/* The hosts among the records, in order, each once with its best number. */
static size_t
sort(const struct rr *records, size_t n, uint64_t seed,
    struct candidate *candidates, struct mx_list *list)
{
	size_t all = 0, kept = 0, i;

	for (i = 0; i < n; i++) {
		if (!is_host(&records[i].name)) {
			ignore(list, &records[i].name);
			continue;
		}
		candidates[all].record = &records[i];
		candidates[all++].lot = step(&seed);
	}
	/* SMTP-5.1-11, SMTP-5.1-12 RFC 5321 5.1; DANE-7672-2.2.1-1 */
	qsort(candidates, all, sizeof(candidates[0]), by_preference);
	for (i = 0; i < all; i++)
		if (!is_listed(candidates, kept, &candidates[i].record->name))
			candidates[kept++] = candidates[i];
	return kept;
}

/*
 * SMTP-5.1-14 RFC 5321 5.1, by name: how many are better than ourselves?  Of
 * all hosts, whatever a policy says of one (STS-8.4-2 RFC 8461 8.4).
 */
static size_t
better_than(const struct candidate *candidates, size_t n,
    const char *hostname)
{
	size_t i, better = 0;

	for (i = 0; i < n; i++) {
		if (candidates[i].record->preference !=
		    candidates[better].record->preference)
			better = i;
		if (hostname[0] != '\0' && slice_equal_nocase(
		    slice_of(candidates[i].record->name.name),
		    slice_of(hostname)))
			return better;
	}
	return n;
}

/* EXT-7505-3-1 RFC 7505 3; EXT-7505-3-2: beside others "." means nothing. */
static bool
is_null(const struct rr *records, size_t n)
{
	return n == 1 && records[0].preference == 0 &&
	    records[0].name.name[0] == '\0';
}

enum mx_outcome
mx_order(const struct rr *records, size_t records_n, const char *hostname,
    uint64_t seed, struct mx_list *list)
{
	struct candidate *candidates;
	size_t n, better, i;

	memset(list, 0, sizeof(*list));
	if (is_null(records, records_n))
		return MX_NULL;
	candidates = mem_alloc(records_n * sizeof(candidates[0]));
	n = sort(records, records_n, seed, candidates, list);
	better = better_than(candidates, n, hostname);
	for (i = 0; i < better && i < ROUTE_HOSTS_MAX; i++) {
		list->hosts[i].name = candidates[i].record->name;
		list->hosts[i].preference = candidates[i].record->preference;
	}
	list->hosts_n = (unsigned)i;
	list->dropped = (unsigned)(better - i);
	free(candidates);
	if (list->hosts_n > 0)
		return MX_HOSTS;
	return n > 0 ? MX_LOOP : MX_UNUSABLE;
}

bool
mx_keep_better(struct mx_list *list, uint32_t preference)
{
	unsigned n = 0;

	while (n < list->hosts_n && list->hosts[n].preference < preference)
		n++;
	list->hosts_n = n;
	list->dropped = 0;
	return n > 0;
}
