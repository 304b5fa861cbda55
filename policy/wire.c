/*
 * What do the messages about routes and policies look like, field by field?
 *
 * Both ends of a link include these rows: culver-delivery and culver-policy
 * (route_wire), culver-policy or culver-reports and culver-fetch (fetch_wire),
 * culver-reports and culver-policy (inquiry_wire).  Addresses travel packed,
 * 17 octets each, so that a host is one message; how they are packed, and how
 * a policy's text is marked, stands here too.
 *
 * Does not send anything: see conf/link.c, conf/wire.c.
 */
#include "policy/policy.h"

#include <string.h>

#define ADDRESS_OCTETS	17	/* family, then 16 octets of address */
#define ROWS(rows)	rows, sizeof(rows) / sizeof((rows)[0])

static const struct wire_field ask_fields[] = {
	WIRE_FIELD(struct r_ask, question, WIRE_U64, 0),
	WIRE_FIELD_TEXT(struct r_ask, domain),
	WIRE_FIELD(struct r_ask, class, WIRE_U32, CLASS_REPORT),
};

static const struct wire_field route_fields[] = {
	WIRE_FIELD(struct r_route, question, WIRE_U64, 0),
	WIRE_FIELD(struct r_route, outcome, WIRE_U32, ROUTE_FAIL),
	WIRE_FIELD_TEXT(struct r_route, enhanced),
	WIRE_FIELD_TEXT(struct r_route, rule),
	WIRE_FIELD_TEXT(struct r_route, clause),
	WIRE_FIELD_TEXT(struct r_route, text),
	WIRE_FIELD(struct r_route, mx_secure, WIRE_BOOL, 0),
	WIRE_FIELD(struct r_route, settings, WIRE_U64, 0),
	WIRE_FIELD(struct r_route, dnssec_judged, WIRE_BOOL, 0),
	WIRE_FIELD(struct r_route, mx_implicit, WIRE_BOOL, 0),
	WIRE_FIELD_TEXT(struct r_route, canonical),
	WIRE_FIELD_TEXT(struct r_route, policy_domain),
	WIRE_FIELD(struct r_route, valid_until, WIRE_I64, 0),
	WIRE_FIELD(struct r_route, sts, WIRE_U32, STS_ENFORCE),
	WIRE_FIELD_TEXT(struct r_route, sts_id),
	WIRE_FIELD(struct r_route, sts_cached, WIRE_BOOL, 0),
	WIRE_FIELD(struct r_route, sts_expires, WIRE_I64, 0),
	WIRE_FIELD(struct r_route, sts_text, WIRE_U64, 0),
	WIRE_FIELD(struct r_route, sts_error, WIRE_U32,
	    RESULT_STS_POLICY_FETCH_ERROR),
	WIRE_FIELD_TEXT(struct r_route, sts_error_text),
	WIRE_FIELD(struct r_route, hosts, WIRE_U32, ROUTE_HOSTS_MAX),
	WIRE_FIELD(struct r_route, hosts_dropped, WIRE_U32, 0),
};

static const struct wire_field host_fields[] = {
	WIRE_FIELD(struct r_host, question, WIRE_U64, 0),
	WIRE_FIELD_TEXT(struct r_host, name),
	WIRE_FIELD(struct r_host, preference, WIRE_U32, 65535),
	WIRE_FIELD(struct r_host, port, WIRE_U32, 65535),
	WIRE_FIELD(struct r_host, mx_match, WIRE_BOOL, 0),
	WIRE_FIELD(struct r_host, lookup, WIRE_U32, ROUTE_FAIL),
	WIRE_FIELD_TEXT(struct r_host, lookup_text),
	WIRE_FIELD(struct r_host, address_secure, WIRE_BOOL, 0),
	WIRE_FIELD_BYTES(struct r_host, addresses),
	WIRE_FIELD(struct r_host, tlsa_state, WIRE_U32, TLSA_FAILED),
	WIRE_FIELD_TEXT(struct r_host, tlsa_base),
	WIRE_FIELD_BYTES(struct r_host, tlsa),
};

static const struct wire_field end_fields[] = {
	WIRE_FIELD(struct r_end, question, WIRE_U64, 0),
};

static const struct wire_message route_messages[] = {
	WIRE_ROW(R_ASK, struct r_ask, ask_fields, 0),
	WIRE_ROW(R_ROUTE, struct r_route, route_fields, 0),
	WIRE_ROW(R_HOST, struct r_host, host_fields, 0),
	WIRE_ROW(R_END, struct r_end, end_fields, 0),
};
const struct wire_table route_wire = { "route", ROWS(route_messages) };

static const struct wire_field get_fields[] = {
	WIRE_FIELD(struct f_get, question, WIRE_U64, 0),
	WIRE_FIELD_TEXT(struct f_get, domain),
	WIRE_FIELD_BYTES(struct f_get, addresses),
};

static const struct wire_field done_fields[] = {
	WIRE_FIELD(struct f_done, question, WIRE_U64, 0),
	WIRE_FIELD(struct f_done, outcome, WIRE_U32, FETCH_ERROR),
	WIRE_FIELD(struct f_done, body_bytes, WIRE_U32, 65536),
	WIRE_FIELD(struct f_done, status, WIRE_U32, 0),
	WIRE_FIELD_TEXT(struct f_done, text),
};

static const struct wire_field post_fields[] = {
	WIRE_FIELD(struct f_post, question, WIRE_U64, 0),
	WIRE_FIELD_TEXT(struct f_post, url),
	WIRE_FIELD_TEXT(struct f_post, host),
	WIRE_FIELD(struct f_post, port, WIRE_U32, 65535),
	WIRE_FIELD_TEXT(struct f_post, media_type),
	WIRE_FIELD(struct f_post, size_bytes, WIRE_U64, 0),
	WIRE_FIELD_BYTES(struct f_post, addresses),
};

static const struct wire_field posted_fields[] = {
	WIRE_FIELD(struct f_posted, question, WIRE_U64, 0),
	WIRE_FIELD(struct f_posted, outcome, WIRE_U32, POST_UNKNOWN),
	WIRE_FIELD(struct f_posted, status, WIRE_U32, 0),
	WIRE_FIELD(struct f_posted, verified, WIRE_BOOL, 0),
	WIRE_FIELD_TEXT(struct f_posted, text),
};

static const struct wire_message fetch_messages[] = {
	WIRE_ROW(F_GET, struct f_get, get_fields, 1),
	WIRE_ROW(F_DONE, struct f_done, done_fields, 0),
	WIRE_ROW(F_POST, struct f_post, post_fields, 1),
	WIRE_ROW(F_POSTED, struct f_posted, posted_fields, 0),
};
const struct wire_table fetch_wire = { "fetch", ROWS(fetch_messages) };

static const struct wire_field txt_fields[] = {
	WIRE_FIELD(struct r_txt, question, WIRE_U64, 0),
	WIRE_FIELD_TEXT(struct r_txt, domain),
};

static const struct wire_field txt_answer_fields[] = {
	WIRE_FIELD(struct r_txt_answer, question, WIRE_U64, 0),
	WIRE_FIELD(struct r_txt_answer, outcome, WIRE_U32, ROUTE_FAIL),
	WIRE_FIELD_TEXT(struct r_txt_answer, text),
	WIRE_FIELD_BYTES(struct r_txt_answer, records),
};

static const struct wire_field pin_fields[] = {
	WIRE_FIELD(struct r_pin, question, WIRE_U64, 0),
	WIRE_FIELD_TEXT(struct r_pin, host),
};

static const struct wire_field pinned_fields[] = {
	WIRE_FIELD(struct r_pinned, question, WIRE_U64, 0),
	WIRE_FIELD(struct r_pinned, outcome, WIRE_U32, ROUTE_FAIL),
	WIRE_FIELD_TEXT(struct r_pinned, text),
	WIRE_FIELD_BYTES(struct r_pinned, addresses),
};

static const struct wire_field text_fields[] = {
	WIRE_FIELD(struct r_text, question, WIRE_U64, 0),
	WIRE_FIELD_TEXT(struct r_text, domain),
	WIRE_FIELD(struct r_text, sts_text, WIRE_U64, 0),
};

static const struct wire_field text_answer_fields[] = {
	WIRE_FIELD(struct r_text_answer, question, WIRE_U64, 0),
	WIRE_FIELD(struct r_text_answer, found, WIRE_BOOL, 0),
};

static const struct wire_field failed_fields[] = {
	WIRE_FIELD(struct r_failed, epoch, WIRE_U64, 0),
	WIRE_FIELD(struct r_failed, sequence, WIRE_U64, 0),
	WIRE_FIELD(struct r_failed, when_s, WIRE_I64, 0),
	WIRE_FIELD_TEXT(struct r_failed, domain),
	WIRE_FIELD(struct r_failed, result, WIRE_U32,
	    RESULT_STS_POLICY_FETCH_ERROR),
	WIRE_FIELD_TEXT(struct r_failed, reason),
	WIRE_FIELD_TEXT(struct r_failed, sts_id),
	WIRE_FIELD(struct r_failed, sts_text, WIRE_U64, 0),
};

static const struct wire_field failed_kept_fields[] = {
	WIRE_FIELD(struct r_failed_kept, sequence, WIRE_U64, 0),
};

static const struct wire_message inquiry_messages[] = {
	WIRE_ROW(R_TXT, struct r_txt, txt_fields, 0),
	WIRE_ROW(R_PIN, struct r_pin, pin_fields, 0),
	WIRE_ROW(R_TEXT, struct r_text, text_fields, 0),
	WIRE_ROW(R_FAILED_KEPT, struct r_failed_kept, failed_kept_fields, 0),
	WIRE_ROW(R_TXT_ANSWER, struct r_txt_answer, txt_answer_fields, 0),
	WIRE_ROW(R_PINNED, struct r_pinned, pinned_fields, 0),
	WIRE_ROW(R_TEXT_ANSWER, struct r_text_answer, text_answer_fields, 1),
	WIRE_ROW(R_FAILED, struct r_failed, failed_fields, 0),
};
const struct wire_table inquiry_wire = { "inquiry", ROWS(inquiry_messages) };

uint64_t
policy_text_mark(struct slice text)
{
	uint64_t mark = 14695981039346656037u;
	size_t i;

	for (i = 0; i < text.len; i++)
		mark = (mark ^ (uint8_t)text.at[i]) * 1099511628211u;
	return mark == 0 ? 1 : mark;
}

/* Are routes looked for otherwise under another value of this keyword? */
static bool
leads_routes(const char *keyword)
{
	static const char *const keywords[] = {
		"mta-sts", "dane", "resolver", "trust-resolver", "ip"
	};
	size_t i;

	for (i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++)
		if (strcmp(keywords[i], keyword) == 0)
			return true;
	return false;
}

static void
add_setting(void *context, const char *keyword, const char *value)
{
	struct buffer *text = context;

	if (leads_routes(keyword))
		buffer_printf(text, "%s %s\n", keyword, value);
}

uint64_t
policy_settings_mark(const struct config *config)
{
	struct buffer text = { NULL, 0, 0 };
	uint64_t mark;

	config_each(config, add_setting, &text);
	mark = policy_text_mark((struct slice){ text.text, text.len });
	buffer_free(&text);
	return mark;
}

bool
route_put_address(uint8_t *octets, uint32_t *len, uint32_t size,
    const struct address *address)
{
	if (size < ADDRESS_OCTETS || *len > size - ADDRESS_OCTETS)
		return false;
	octets[*len] = address->family;
	memcpy(octets + *len + 1, address->ip, 16);
	*len += ADDRESS_OCTETS;
	return true;
}

bool
route_get_address(const uint8_t *octets, uint32_t len, unsigned index,
    struct address *address)
{
	if (index >= len / ADDRESS_OCTETS)
		return false;
	octets += (size_t)index * ADDRESS_OCTETS;
	if (octets[0] != 4 && octets[0] != 6)
		return false;
	address->family = octets[0];
	memcpy(address->ip, octets + 1, 16);
	return true;
}
