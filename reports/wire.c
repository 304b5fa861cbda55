/*
 * The rows of T_SESSION and T_COUNTED, and how the details of a session are
 * packed.
 *
 * Both ends of the link include this: culver-delivery tells, culver-reports
 * counts.  What a detail's reason says came, in part, from a peer; it is
 * cleaned where it is read, so that no reader of counts has to.
 *
 * Does not send anything: see conf/link.c, conf/outbox.c.
 */
#include "reports/reports.h"

#include "conf/log.h"
#include "conf/utf8.h"
#include "policy/policy.h"

#include <string.h>

#define ROWS(rows)	rows, sizeof(rows) / sizeof((rows)[0])

static const struct wire_field session_fields[] = {
	WIRE_FIELD(struct t_session, epoch, WIRE_U64, 0),
	WIRE_FIELD(struct t_session, sequence, WIRE_U64, 0),
	WIRE_FIELD(struct t_session, when_s, WIRE_I64, 0),
	WIRE_FIELD_TEXT(struct t_session, domain),
	WIRE_FIELD_TEXT(struct t_session, sts_id),
	WIRE_FIELD(struct t_session, sts_text, WIRE_U64, 0),
	WIRE_FIELD_TEXT(struct t_session, tlsa_base),
	WIRE_FIELD_BYTES(struct t_session, tlsa),
	WIRE_FIELD_TEXT(struct t_session, local),
	WIRE_FIELD_TEXT(struct t_session, host),
	WIRE_FIELD_TEXT(struct t_session, helo),
	WIRE_FIELD_TEXT(struct t_session, address),
	WIRE_FIELD_BYTES(struct t_session, details),
};

static const struct wire_field counted_fields[] = {
	WIRE_FIELD(struct t_counted, sequence, WIRE_U64, 0),
};

static const struct wire_message session_rows[] = {
	WIRE_ROW(T_SESSION, struct t_session, session_fields, 0),
	WIRE_ROW(T_COUNTED, struct t_counted, counted_fields, 0),
};
const struct wire_table session_wire = { "session", ROWS(session_rows) };

const char *
report_block_name(uint32_t block)
{
	/* RPT-4.4-6 RFC 8460 4.4 */
	switch (block) {
	case REPORT_STS:
		return "sts";
	case REPORT_TLSA:
		return "tlsa";
	case REPORT_NO_POLICY:
		return "no-policy-found";
	}
	bug("report block %u", block);
}

/*
 * A detail: block, result, length of the reason (an octet each), the reason.
 */
#define DETAIL_HEAD	3

static bool
is_detail(uint32_t block, uint32_t result)
{
	return block >= REPORT_STS && block <= REPORT_NO_POLICY &&
	    result > RESULT_NONE && result <= RESULT_STS_POLICY_FETCH_ERROR;
}

bool
report_put_detail(uint8_t *octets, uint32_t *len, uint32_t size,
    const struct report_detail *detail)
{
	size_t reason_len = strnlen(detail->reason, sizeof(detail->reason));

	if (!is_detail(detail->block, detail->result) ||
	    reason_len == sizeof(detail->reason))
		bug("detail of block %u, result %u", detail->block,
		    detail->result);
	if (*len > size || size - *len < DETAIL_HEAD + reason_len)
		return false;
	octets += *len;
	octets[0] = (uint8_t)detail->block;
	octets[1] = (uint8_t)detail->result;
	octets[2] = (uint8_t)reason_len;
	memcpy(octets + DETAIL_HEAD, detail->reason, reason_len);
	*len += DETAIL_HEAD + (uint32_t)reason_len;
	return true;
}

/* RPT-4.3.3-2 RFC 8460 4.3.3, RPT-4.4-21 RFC 8460 4.4 */
void
report_clean(struct slice from, char *text, size_t size)
{
	unsigned len;
	bool good;

	for (; from.len > 0; from.at += len, from.len -= len) {
		len = utf8_length(from);
		good = len > 0 && !utf8_is_control(from.at, len);
		len += len == 0;
		if (size <= (good ? len : 1))
			break;
		memcpy(text, good ? from.at : "?", good ? len : 1);
		text += good ? len : 1;
		size -= good ? len : 1;
	}
	*text = '\0';
}

bool
report_get_detail(const uint8_t *octets, uint32_t len, uint32_t *offset,
    struct report_detail *detail)
{
	uint32_t reason_len;

	memset(detail, 0, sizeof(*detail));
	if (*offset > len || len - *offset < DETAIL_HEAD)
		return false;
	octets += *offset;
	reason_len = octets[2];
	if (!is_detail(octets[0], octets[1]) ||
	    len - *offset - DETAIL_HEAD < reason_len)
		return false;
	detail->block = octets[0];
	detail->result = octets[1];
	report_clean((struct slice){ (const char *)octets + DETAIL_HEAD,
	    reason_len }, detail->reason, sizeof(detail->reason));
	*offset += DETAIL_HEAD + reason_len;
	return true;
}
