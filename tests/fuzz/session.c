/*
 * What a session was (T_SESSION) and its details, from octets (trap T32):
 * reading ends, every reason is one clean line, and what was read can be
 * written and read again as the same.
 *
 * The first octet says whether details alone follow (even) or a message.
 */
#include "conf/utf8.h"
#include "policy/policy.h"
#include "reports/reports.h"

#include <stdlib.h>
#include <string.h>

int	LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len);

static void
demand(bool holds)
{
	if (!holds)
		abort();
}

static void
check_reason(const char *reason)
{
	struct slice left = slice_of(reason);
	unsigned len;

	demand(left.len < REPORT_REASON_MAX);
	for (; left.len > 0; left.at += len, left.len -= len) {
		len = utf8_length(left);
		demand(len > 0 && !utf8_is_control(left.at, len));
	}
}

static void
check_again(const struct report_detail *detail)
{
	static uint8_t again[REPORT_DETAILS_MAX];
	struct report_detail same;
	uint32_t len = 0, offset = 0;

	demand(report_put_detail(again, &len, sizeof(again), detail));
	demand(report_get_detail(again, len, &offset, &same));
	demand(offset == len && memcmp(detail, &same, sizeof(same)) == 0);
	/* one octet less is no room, and writes nothing */
	offset = 0;
	demand(!report_put_detail(again, &offset, len - 1, detail));
	demand(offset == 0);
}

static void
check_details(const uint8_t *octets, uint32_t len)
{
	struct report_detail detail;
	uint32_t offset = 0, before = 0;

	while (report_get_detail(octets, len, &offset, &detail)) {
		demand(offset > before && offset <= len);
		before = offset;
		demand(report_block_name(detail.block) != NULL);
		demand(detail.result > RESULT_NONE);
		demand(tls_result_name(detail.result) != NULL);
		check_reason(detail.reason);
		check_again(&detail);
	}
	demand(offset == before);
}

static void
check_message(const uint8_t *octets, size_t len)
{
	static struct t_session session;
	static uint8_t again[WIRE_MAX];
	const struct wire_message *row = wire_find(&session_wire, T_SESSION);
	size_t n;

	if (!wire_decode(row, octets, len, &session))
		return;
	n = wire_encode(row, &session, again, sizeof(again));
	demand(n == len && memcmp(again, octets, n) == 0);
	check_details(session.details, session.details_len);
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len)
{
	uint8_t *copy;

	if (len < 1)
		return 0;
	/* exactly so long, for the sanitizer */
	copy = mem_alloc(len > 1 ? len - 1 : 1);
	memcpy(copy, octets + 1, len - 1);
	if (octets[0] % 2 == 0)
		check_details(copy, (uint32_t)len - 1);
	else
		check_message(copy, len - 1);
	free(copy);
	return 0;
}
