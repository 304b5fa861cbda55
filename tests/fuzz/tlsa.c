/*
 * One TLSA RDATA: usable is only what has usage, selector and matching type
 * that mail knows and data that could be what they say.
 */
#include "policy/rr.h"

#include <stdlib.h>

int	LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len);

static void
demand(bool holds)
{
	if (!holds)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len)
{
	if (!rr_tlsa_usable((struct slice){ (const char *)octets, len }))
		return 0;
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
	return 0;
}
