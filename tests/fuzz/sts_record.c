/*
 * A TXT answer, one record a line: whatever it is, an id comes out only if it
 * is one, and a reason is fit for a log line.
 */
#include "policy/sts.h"

#include <stdlib.h>
#include <string.h>

#define RECORDS_MOST	64

int	LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len);

static void
demand(bool holds)
{
	if (!holds)
		abort();
}

static void
check_id(const char *id)
{
	size_t len = strlen(id);

	demand(len >= 1 && len <= 32);
	demand(strspn(id, "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == len);
}

static void
check_reason(const char *reason)
{
	demand(reason[0] != '\0');
	for (; *reason != '\0'; reason++)
		demand(*reason >= 0x20 && *reason <= 0x7e);
}

/* What was taken once is taken again beside strangers, with the same id. */
static void
check_discard(struct slice *records, size_t n, const char *id)
{
	char again[STS_ID_SIZE];
	struct sts_fault fault;

	records[n] = SLICE("v=spf1 -all");
	demand(sts_parse_records(records, n + 1, again, &fault));
	demand(strcmp(id, again) == 0);
	records[n] = SLICE("v=STSv1; id=other;");
	demand(!sts_parse_records(records, n + 1, again, &fault));
	demand(again[0] == '\0');
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len)
{
	struct slice rest = { (const char *)octets, len };
	struct slice records[RECORDS_MOST + 1];
	char id[STS_ID_SIZE];
	struct sts_fault fault;
	size_t n = 0;

	while (rest.at != NULL && n < RECORDS_MOST)
		records[n++] = slice_cut(&rest, '\n');
	if (sts_parse_records(records, n, id, &fault)) {
		check_id(id);
		check_discard(records, n, id);
	} else {
		demand(id[0] == '\0');
		check_reason(fault.reason);
	}
	return 0;
}
