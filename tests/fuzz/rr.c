/*
 * A DNS answer.  The first octet chooses the type that was asked for, the
 * rest is the message; the name is that of its question, if it can be asked
 * for at all, so that the corpus need not agree on one.
 */
#include "policy/rr.h"

#include <stdlib.h>
#include <string.h>

int	LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len);

static void
demand(bool holds)
{
	if (!holds)
		abort();
}

/* The question's name as far as it is plain; anything else: example.org. */
static struct domain
question_name(const uint8_t *octets, size_t len)
{
	struct domain name = { "" };
	size_t at = 12, to = 0, i;

	while (at < len && octets[at] != 0) {
		if (octets[at] > 63 || at + octets[at] >= len ||
		    to + octets[at] + 1 >= 254)
			return (struct domain){ "example.org" };
		if (to > 0)
			name.name[to++] = '.';
		for (i = 1; i <= octets[at]; i++)
			name.name[to++] = (char)octets[at + i];
		at += octets[at] + 1u;
	}
	return name;
}

static void
check_name(const struct domain *name)
{
	size_t len = strnlen(name->name, sizeof(name->name));

	demand(len < 254);
	demand(rr_name_is_odd(name) || strspn(name->name,
	    "abcdefghijklmnopqrstuvwxyz0123456789-_.") == len);
}

/* Every octet is read, so that ASan sees what is not ours. */
static void
check_record(const struct rr *rr, enum rr_type type)
{
	volatile char sum = 0;
	size_t i;

	demand(rr->type == type && rr->ttl_s <= INT32_MAX);
	for (i = 0; i < rr->data.len; i++)
		sum = (char)(sum ^ rr->data.at[i]);
	if (type == RR_A)
		demand(rr->address.family == 4);
	if (type == RR_AAAA)
		demand(rr->address.family == 6);
	if (type == RR_MX || type == RR_CNAME)
		check_name(&rr->name);
	if (type == RR_TLSA)
		rr_tlsa_usable(rr->data);
}

static void
check_answer(const struct rr_answer *answer, const struct domain *name,
    enum rr_type type)
{
	size_t i;

	demand(answer->records_n <= 512);
	demand(answer->status == RR_OK || answer->records_n == 0);
	demand(answer->status <= RR_NXDOMAIN || !answer->secure);
	demand(answer->alias || domain_equal(&answer->canonical, name));
	for (i = 0; i < answer->records_n; i++) {
		check_record(&answer->records[i], type);
		demand(answer->ttl_s <= answer->records[i].ttl_s);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len)
{
	static const enum rr_type types[] = {
		RR_A, RR_CNAME, RR_SOA, RR_MX, RR_TXT, RR_AAAA, RR_TLSA
	};
	struct region *region;
	struct rr_answer answer;
	uint8_t query[512];
	struct domain name;
	enum rr_type type;
	size_t asked;

	if (len == 0)
		return 0;
	type = types[octets[0] % 7];
	name = question_name(octets + 1, len - 1);
	asked = rr_query(&name, type, 1, query, sizeof(query));
	demand(asked == 0 || (asked >= 12 + 1 + 4 + 11 && asked <= 282));
	region = region_new();
	rr_parse((struct slice){ (const char *)octets + 1, len - 1 }, &name,
	    type, region, &answer);
	check_answer(&answer, &name, type);
	region_free(&region);
	return 0;
}
