/*
 * Which address of a host is the best one to try first?
 *
 * Called by connect.c with the source address that the kernel would choose.
 * The rules of RFC 6724 6 that can be known from the two addresses: 1, 2, 5,
 * 6, 8, 9 (IPv6 only, as IPv4's order comes from the name server for a
 * reason), 10.  Whether an address is deprecated or a tunnel's is not known
 * here.
 */
#include "delivery/order.h"

#include <string.h>

/* IPv4 as ::ffff:a.b.c.d, the form that RFC 6724 speaks of. */
static void
map(const struct address *address, uint8_t ip[16])
{
	if (address->family == 6) {
		memcpy(ip, address->ip, 16);
		return;
	}
	memset(ip, 0, 10);
	ip[10] = ip[11] = 0xff;
	memcpy(ip + 12, address->ip, 4);
}

static unsigned
common_bits(const uint8_t a[16], const uint8_t b[16])
{
	unsigned bits = 0, i;
	uint8_t differ;

	for (i = 0; i < 16 && a[i] == b[i]; i++)
		bits += 8;
	if (i == 16)
		return bits;
	for (differ = a[i] ^ b[i]; (differ & 0x80) == 0; differ <<= 1)
		bits++;
	return bits;
}

/* The default policy table of RFC 6724 2.1, the longest prefix first. */
struct policy {
	uint8_t		prefix[16];
	unsigned	bits, precedence, label;
};
static const struct policy policies[] = {
	{ { [15] = 1 }, 128, 50, 0 },			/* ::1 */
	{ { [10] = 0xff, [11] = 0xff }, 96, 35, 4 },	/* IPv4 */
	{ { 0 }, 96, 1, 3 },				/* ::/96 */
	{ { 0x20, 0x01 }, 32, 5, 5 },			/* Teredo */
	{ { 0x20, 0x02 }, 16, 30, 2 },			/* 6to4 */
	{ { 0x3f, 0xfe }, 16, 1, 12 },
	{ { 0xfe, 0xc0 }, 10, 1, 11 },
	{ { 0xfc }, 7, 3, 13 },
	{ { 0 }, 0, 40, 1 }				/* all */
};

static const struct policy *
policy_of(const struct address *address)
{
	const struct policy *policy;
	uint8_t ip[16];

	map(address, ip);
	for (policy = policies; common_bits(ip, policy->prefix) < policy->bits;
	    policy++)
		continue;
	return policy;
}

/* RFC 6724 3.1, 3.2: how far does an address reach? */
static unsigned
scope(const struct address *address)
{
	enum { LINK = 2, SITE = 5, GLOBAL = 14 };
	const uint8_t *ip = address->ip;

	if (address->family == 4)
		return ip[0] == 127 || (ip[0] == 169 && ip[1] == 254) ? LINK :
		    GLOBAL;
	if (ip[0] == 0xff)
		return ip[1] & 0x0f;
	if (ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80)
		return LINK;
	if (ip[0] == 0xfe && (ip[1] & 0xc0) == 0xc0)
		return SITE;
	return policy_of(address)->bits == 128 ? LINK : GLOBAL;
}

static unsigned
prefix(const struct order_candidate *candidate)
{
	if (candidate->address.family != 6 || candidate->source.family != 6)
		return 0;
	return common_bits(candidate->address.ip, candidate->source.ip);
}

/* Does b go before a? */
static bool
is_better(const struct order_candidate *b, const struct order_candidate *a)
{
	bool can_a = a->source.family != 0, can_b = b->source.family != 0;
	bool match_a, match_b;

	/* Rule 1 */
	if (can_a != can_b || !can_a)
		return can_b && !can_a;
	/* Rule 2 */
	match_a = scope(&a->address) == scope(&a->source);
	match_b = scope(&b->address) == scope(&b->source);
	if (match_a != match_b)
		return match_b;
	/* Rule 5 */
	match_a = policy_of(&a->address)->label == policy_of(&a->source)->label;
	match_b = policy_of(&b->address)->label == policy_of(&b->source)->label;
	if (match_a != match_b)
		return match_b;
	/* Rule 6 */
	if (policy_of(&a->address)->precedence !=
	    policy_of(&b->address)->precedence)
		return policy_of(&b->address)->precedence >
		    policy_of(&a->address)->precedence;
	/* Rule 8 */
	if (scope(&a->address) != scope(&b->address))
		return scope(&b->address) < scope(&a->address);
	/* Rules 9, 10 */
	return a->address.family == 6 && b->address.family == 6 &&
	    prefix(b) > prefix(a);
}

void
order_addresses(struct order_candidate *candidates, unsigned n)
{
	struct order_candidate one;
	unsigned i, j;

	/* Insertion keeps equal ones in place; there are at most 16. */
	for (i = 1; i < n; i++) {
		one = candidates[i];
		for (j = i; j > 0 && is_better(&one, &candidates[j - 1]); j--)
			candidates[j] = candidates[j - 1];
		candidates[j] = one;
	}
}
