/*
 * What do the messages about routes and policies look like, field by field?
 *
 * Both ends of a link include these rows: culver-delivery and culver-policy
 * (route_wire), culver-policy and culver-fetch (fetch_wire).  Addresses
 * travel packed, 17 octets each, so that a host is one message; how they are
 * packed stands here too.
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
	WIRE_FIELD(struct r_route, mx_implicit, WIRE_BOOL, 0),
	WIRE_FIELD(struct r_route, valid_until, WIRE_I64, 0),
	WIRE_FIELD(struct r_route, sts, WIRE_U32, STS_ENFORCE),
	WIRE_FIELD_TEXT(struct r_route, sts_id),
	WIRE_FIELD(struct r_route, sts_cached, WIRE_BOOL, 0),
	WIRE_FIELD(struct r_route, sts_expires, WIRE_I64, 0),
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

static const struct wire_message fetch_messages[] = {
	WIRE_ROW(F_GET, struct f_get, get_fields, 1),
	WIRE_ROW(F_DONE, struct f_done, done_fields, 0),
};
const struct wire_table fetch_wire = { "fetch", ROWS(fetch_messages) };

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
