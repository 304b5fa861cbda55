/*
 * TLSA records: one RDATA, and then the same octets as a list of them
 * (delivery/dane.c).
 *
 * Usable is only what has usage, selector and matching type that mail knows
 * and data that could be what they say.  Of a list only what is usable
 * counts, and of digests only the strongest of their usage and selector.
 */
#include "delivery/dane.h"
#include "policy/rr.h"

#include <stdlib.h>

int	LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len);

static void
demand(bool holds)
{
	if (!holds)
		abort();
}

/* Is there a usable digest like this one, but stronger? */
static bool
is_outranked(struct slice records, struct slice rdata)
{
	struct slice other;

	while (dane_next(&records, &other))
		if (rr_tlsa_usable(other) && other.at[2] != 0 &&
		    other.at[0] == rdata.at[0] &&
		    other.at[1] == rdata.at[1] && other.at[2] > rdata.at[2])
			return true;
	return false;
}

/* DANE-7671-9-1, DANE-7671-9-2, DANE-7671-9-3 */
static void
check_list(struct slice records)
{
	struct slice rest = records, rdata;
	struct dane_digests digests;
	size_t octets = 0;
	bool counts;

	dane_weigh(records, &digests);
	while (dane_next(&rest, &rdata)) {
		octets += 2 + rdata.len;
		counts = dane_counts(&digests, rdata);
		if (counts && rdata.at[2] != 0)
			demand(rr_tlsa_usable(rdata) &&
			    !is_outranked(records, rdata));
		if (!counts && rr_tlsa_usable(rdata))
			demand(rdata.at[2] != 0 &&
			    is_outranked(records, rdata));
	}
	demand(octets <= records.len && rest.len == records.len - octets);
}

static void
check_one(const uint8_t *octets, size_t len)
{
	if (!rr_tlsa_usable((struct slice){ (const char *)octets, len }))
		return;
	demand(len >= 4);
	demand(octets[0] == 2 || octets[0] == 3);
	demand(octets[1] <= 1 && octets[2] <= 2);
	if (octets[2] == 0)
		demand(octets[3] == 0x30);
	else
		demand(len == (octets[2] == 1 ? 35 : 67));
	/* One octet less is never usable too. */
	demand(!rr_tlsa_usable((struct slice){ (const char *)octets,
	    len - 1 }));
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len)
{
	check_one(octets, len);
	/* More is never kept of a host. */
	if (len <= 4096)
		check_list((struct slice){ (const char *)octets, len });
	return 0;
}
