/*
 * Which domain, mailbox or network address does this text name?
 *
 * Called by every folder on text from the wire, the configuration and the
 * command line.  Grammar functions carry the names of RFC 5321 4.1.2 and
 * 4.1.3.  All pure.  It resolves nothing and knows no U-labels.
 *
 * Text is read through a cursor, a slice that shrinks from the front; a
 * grammar function that fails leaves it anywhere, for its caller fails too.
 */
#include "conf/addr.h"

#include "conf/log.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define LABEL_MAX	63
#define DOMAIN_MAX	255
#define LOCAL_MAX	64

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* The value of a hexadecimal digit, or -1. */
static int
hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	c = lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void
advance(struct slice *cursor, size_t octets)
{
	cursor->at += octets;
	cursor->len -= octets;
}

/* Take c from the cursor if it stands there. */
static bool
take(struct slice *cursor, char c)
{
	if (cursor->len == 0 || cursor->at[0] != c)
		return false;
	advance(cursor, 1);
	return true;
}

/*
 * SMTP-4.1.2-5 RFC 5321 4.1.2: sub-domain.  An underscore counts as a letter:
 * hosts that are named so exist, and the DNS has no objection.
 */
static bool
is_let_dig(char c)
{
	return is_letter(c) || is_digit(c) || c == '_';
}

static bool
is_sub_domain(struct slice label)
{
	size_t i;

	if (label.len == 0 || label.len > LABEL_MAX)
		return false;
	for (i = 0; i < label.len; i++)
		if (!is_let_dig(label.at[i]) && label.at[i] != '-')
			return false;
	return label.at[0] != '-' && label.at[label.len - 1] != '-';
}

/*
 * SMTP-4.1.3-1 RFC 5321 4.1.3: IPv4-address-literal, decimal, also with
 * leading zeros there; elsewhere a zero in front may mean octal to the
 * writer and is refused.
 */
static bool
take_snum(struct slice *cursor, bool zeros, uint8_t *octet)
{
	unsigned value = 0;
	size_t n = 0;

	while (n < 3 && n < cursor->len && is_digit(cursor->at[n]))
		value = value * 10 + (unsigned)(cursor->at[n++] - '0');
	if (n == 0 || value > 255 || (!zeros && n > 1 && cursor->at[0] == '0'))
		return false;
	advance(cursor, n);
	*octet = (uint8_t)value;
	return true;
}

static bool
take_ip4(struct slice *cursor, bool zeros, uint8_t ip[4])
{
	unsigned i;

	for (i = 0; i < 4; i++)
		if ((i > 0 && !take(cursor, '.')) ||
		    !take_snum(cursor, zeros, &ip[i]))
			return false;
	return true;
}

/* IPv6-hex: one group of 1 to 4 digits. */
static bool
take_group(struct slice *cursor, uint8_t ip[2])
{
	unsigned value = 0;
	size_t n = 0;

	while (n < 4 && n < cursor->len && hex_value(cursor->at[n]) >= 0)
		value = value << 4 | (unsigned)hex_value(cursor->at[n++]);
	if (n == 0)
		return false;
	advance(cursor, n);
	ip[0] = (uint8_t)(value >> 8);
	ip[1] = (uint8_t)value;
	return true;
}

/* Does the next element have a dot before any colon: an IPv4 tail? */
static bool
at_ip4(struct slice cursor)
{
	size_t i;

	for (i = 0; i < cursor.len && cursor.at[i] != ':'; i++)
		if (cursor.at[i] == '.')
			return true;
	return false;
}

/*
 * Octets from the groups in cursor, up to "::" or the end.  Returns how many
 * octets, at most room, or -1 when it is malformed.
 */
static int
take_groups(struct slice *cursor, bool zeros, uint8_t *ip, int room)
{
	int n = 0;

	for (;;) {
		if (at_ip4(*cursor)) {
			if (room - n < 4 || !take_ip4(cursor, zeros, ip + n))
				return -1;
			return cursor->len == 0 ? n + 4 : -1;
		}
		if (room - n < 2 || !take_group(cursor, ip + n))
			return -1;
		n += 2;
		if (cursor->len == 0 ||
		    slice_begins(*cursor, SLICE("::")))
			return n;
		if (!take(cursor, ':'))
			return -1;
	}
}

/*
 * IPv6-addr, wholly.  `::` stands for one group or more (RFC 4291 2.2), in a
 * literal for two or more (RFC 5321 4.1.3): the least is what the caller says.
 */
static bool
parse_ip6(struct slice text, bool zeros, int least, uint8_t ip[16])
{
	uint8_t tail[16] = { 0 };
	int head_n = 0, tail_n = 0;

	memset(ip, 0, 16);
	if (!slice_begins(text, SLICE("::")))
		head_n = take_groups(&text, zeros, ip, 16);
	if (head_n < 0)
		return false;
	if (text.len == 0)
		return head_n == 16;
	if (!slice_begins(text, SLICE("::")))
		return false;
	advance(&text, 2);
	if (text.len > 0)
		tail_n = take_groups(&text, zeros, tail, 16);
	if (tail_n < 0 || text.len > 0 || head_n + tail_n + 2 * least > 16)
		return false;
	memcpy(ip + 16 - tail_n, tail, (size_t)tail_n);
	return true;
}

bool
address_parse(struct slice text, struct address *address)
{
	struct slice cursor = text;

	memset(address, 0, sizeof(*address));
	if (take_ip4(&cursor, false, address->ip) && cursor.len == 0) {
		address->family = 4;
		return true;
	}
	if (parse_ip6(text, false, 1, address->ip)) {
		address->family = 6;
		return true;
	}
	memset(address, 0, sizeof(*address));
	return false;
}

/* What stands between the brackets; other tags than IPv6 are not known. */
static bool
parse_literal(struct slice text, struct address *address)
{
	struct slice cursor = text;

	memset(address, 0, sizeof(*address));
	if (slice_begins_nocase(text, SLICE("IPv6:"))) {
		advance(&cursor, sizeof("IPv6:") - 1);
		address->family = 6;
		return parse_ip6(cursor, true, 2, address->ip);
	}
	address->family = 4;
	return take_ip4(&cursor, true, address->ip) && cursor.len == 0;
}

static bool
parse_address_literal(struct slice text, struct domain *domain)
{
	struct address address;
	char canonical[ADDRESS_TEXT_MAX];

	if (text.len < 2 || text.at[text.len - 1] != ']')
		return false;
	if (!parse_literal((struct slice){ text.at + 1, text.len - 2 },
	    &address))
		return false;
	snprintf(domain->name, sizeof(domain->name), "[%s%s]",
	    address.family == 6 ? "IPv6:" : "",
	    address_print(&address, canonical));
	return true;
}

static bool
parse_name(struct slice text, struct domain *domain)
{
	struct slice rest = text;
	size_t i;

	if (text.len > 0 && text.at[text.len - 1] == '.')
		rest.len = text.len -= 1;
	/* SMTP-4.5.3.1.2-1 */
	if (text.len == 0 || text.len > DOMAIN_MAX)
		return false;
	while (rest.at != NULL)
		if (!is_sub_domain(slice_cut(&rest, '.')))
			return false;
	for (i = 0; i < text.len; i++)
		domain->name[i] = lower(text.at[i]);
	domain->name[text.len] = '\0';
	return true;
}

bool
domain_parse(struct slice text, struct domain *domain)
{
	domain->name[0] = '\0';
	if (text.len == 0)
		return false;
	return text.at[0] == '[' ? parse_address_literal(text, domain) :
	    parse_name(text, domain);
}

bool
domain_is_literal(const struct domain *domain)
{
	return domain->name[0] == '[';
}

bool
domain_equal(const struct domain *a, const struct domain *b)
{
	return strcmp(a->name, b->name) == 0;
}

bool
domain_literal_address(const struct domain *domain, struct address *address)
{
	struct slice text = slice_of(domain->name);

	memset(address, 0, sizeof(*address));
	return domain_is_literal(domain) && parse_literal(
	    (struct slice){ text.at + 1, text.len - 2 }, address);
}

static bool
is_atext(char c)
{
	return is_letter(c) || is_digit(c) ||
	    (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

/* Append to the local part; false when it is full. */
static bool
add_local(struct mailbox *mailbox, size_t *len, char c)
{
	if (*len == LOCAL_MAX)		/* SMTP-4.5.3.1.1-1 */
		return false;
	mailbox->local[(*len)++] = c;
	mailbox->local[*len] = '\0';
	return true;
}

/* RFC 5321 4.1.2: Dot-string = Atom *("." Atom) */
static bool
take_dot_string(struct slice *cursor, struct mailbox *mailbox)
{
	size_t len = 0;
	bool atom = false;

	for (; cursor->len > 0 && cursor->at[0] != '@'; advance(cursor, 1)) {
		if (cursor->at[0] == '.' ? !atom : !is_atext(cursor->at[0]))
			return false;
		atom = cursor->at[0] != '.';
		if (!add_local(mailbox, &len, cursor->at[0]))
			return false;
	}
	return atom;
}

/*
 * RFC 5321 4.1.2: Quoted-string.  SMTP-4.1.2-2: what is kept has no quotes,
 * so that equal local parts are equal octets.
 */
static bool
take_quoted_string(struct slice *cursor, struct mailbox *mailbox)
{
	size_t len = 0;

	advance(cursor, 1);
	while (!take(cursor, '"')) {
		take(cursor, '\\');
		/* SMTP-4.1.2-6: no controls, quoted or not */
		if (cursor->len == 0 || cursor->at[0] < ' ' ||
		    cursor->at[0] > '~' ||
		    !add_local(mailbox, &len, cursor->at[0]))
			return false;
		advance(cursor, 1);
	}
	return true;
}

bool
mailbox_parse(struct slice text, struct mailbox *mailbox)
{
	struct slice cursor = text;

	/* SMTP-4.1.2-1 RFC 5321 4.1.2: Local-part "@" Domain */
	memset(mailbox, 0, sizeof(*mailbox));
	if (text.len > 0 &&
	    (text.at[0] == '"' ? take_quoted_string(&cursor, mailbox) :
	    take_dot_string(&cursor, mailbox)) &&
	    take(&cursor, '@') && domain_parse(cursor, &mailbox->domain))
		return true;
	memset(mailbox, 0, sizeof(*mailbox));
	return false;
}

static bool
is_dot_string(const char *local)
{
	bool atom = false;

	for (; *local != '\0'; local++) {
		if (*local == '.' ? !atom : !is_atext(*local))
			return false;
		atom = *local != '.';
	}
	return atom;
}

char *
mailbox_print(const struct mailbox *mailbox, char text[MAILBOX_TEXT_MAX])
{
	const char *local;
	char *at = text;

	if (mailbox_is_null(mailbox)) {
		*at = '\0';
		return text;
	}
	if (is_dot_string(mailbox->local)) {
		at = stpcpy(at, mailbox->local);
	} else {		/* SMTP-4.1.2-3 */
		*at++ = '"';
		for (local = mailbox->local; *local != '\0'; local++) {
			if (*local == '"' || *local == '\\')
				*at++ = '\\';
			*at++ = *local;
		}
		*at++ = '"';
	}
	if (mailbox->domain.name[0] != '\0')
		*at++ = '@';
	stpcpy(at, mailbox->domain.name);
	return text;
}

bool
mailbox_is_null(const struct mailbox *mailbox)
{
	return mailbox->local[0] == '\0' && mailbox->domain.name[0] == '\0';
}

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

static bool
is_mapped(const struct address *address)
{
	return address->family == 6 &&
	    memcmp(address->ip, mapped, sizeof(mapped)) == 0;
}

static unsigned
group_at(const struct address *address, unsigned i)
{
	return (unsigned)address->ip[2 * i] << 8 | address->ip[2 * i + 1];
}

/* RFC 5952 4.2: the first of the longest runs of two zero groups or more. */
static void
find_zeros(const struct address *address, unsigned *start, unsigned *count)
{
	unsigned i, n;

	*start = 8;
	*count = 1;
	for (i = 0; i < 8; i += n + 1) {
		for (n = 0; i + n < 8 && group_at(address, i + n) == 0; n++)
			continue;
		if (n > *count) {
			*start = i;
			*count = n;
		}
	}
}

static void
print_ip6(const struct address *address, char text[ADDRESS_TEXT_MAX])
{
	unsigned i, start, count;
	char *at = text;

	find_zeros(address, &start, &count);
	for (i = 0; i < 8; i++) {
		if (i == start) {
			at = stpcpy(at, "::");
			i += count - 1;
			continue;
		}
		if (i > 0 && at[-1] != ':')
			*at++ = ':';
		at += sprintf(at, "%x", group_at(address, i));
	}
	*at = '\0';
}

char *
address_print(const struct address *address, char text[ADDRESS_TEXT_MAX])
{
	const uint8_t *ip = address->ip;
	const char *prefix = "";

	if (is_mapped(address)) {	/* RFC 5952 5 */
		prefix = "::ffff:";
		ip += 12;
	}
	if (address->family == 4 || ip != address->ip)
		snprintf(text, ADDRESS_TEXT_MAX, "%s%u.%u.%u.%u", prefix,
		    ip[0], ip[1], ip[2], ip[3]);
	else if (address->family == 6)
		print_ip6(address, text);
	else
		text[0] = '\0';
	return text;
}

static size_t
ip_size(const struct address *address)
{
	return address->family == 4 ? 4 : address->family == 6 ? 16 : 0;
}

bool
address_equal(const struct address *a, const struct address *b)
{
	return a->family == b->family &&
	    memcmp(a->ip, b->ip, ip_size(a)) == 0;
}

bool
address_from_sockaddr(const struct sockaddr *sockaddr,
    struct address *address, uint16_t *port)
{
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;
	uint16_t number = 0;

	memset(address, 0, sizeof(*address));
	/* By copies: what the caller has need not be aligned. */
	if (sockaddr->sa_family == AF_INET) {
		memcpy(&in4, sockaddr, sizeof(in4));
		address->family = 4;
		memcpy(address->ip, &in4.sin_addr, 4);
		number = ntohs(in4.sin_port);
	} else if (sockaddr->sa_family == AF_INET6) {
		memcpy(&in6, sockaddr, sizeof(in6));
		address->family = 6;
		memcpy(address->ip, &in6.sin6_addr, 16);
		number = ntohs(in6.sin6_port);
	}
	if (port != NULL)
		*port = number;
	return address->family != 0;
}

socklen_t
address_to_sockaddr(const struct address *address, uint16_t port,
    struct sockaddr_storage *storage)
{
	struct sockaddr_in in4 = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

	memset(storage, 0, sizeof(*storage));
	if (address->family == 4) {
		memcpy(&in4.sin_addr, address->ip, 4);
		in4.sin_port = htons(port);
		memcpy(storage, &in4, sizeof(in4));
		return sizeof(in4);
	}
	if (address->family != 6)
		bug("no address to connect to or bind");
	memcpy(&in6.sin6_addr, address->ip, 16);
	in6.sin6_port = htons(port);
	memcpy(storage, &in6, sizeof(in6));
	return sizeof(in6);
}

/* Are the first bits of both the same? */
static bool
same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	uint8_t mask = (uint8_t)(0xff00u >> bits % 8);

	if (memcmp(a, b, bits / 8) != 0)
		return false;
	return bits % 8 == 0 || ((a[bits / 8] ^ b[bits / 8]) & mask) == 0;
}

struct range {
	uint8_t		prefix[16];
	unsigned	bits;
};

/* Addresses that mean something else, or nothing, on every machine. */
static const struct range private4[] = {
	{ { 0 }, 8 },				/* unspecified */
	{ { 10 }, 8 },				/* private, RFC 1918 */
	{ { 100, 64 }, 10 },			/* shared, RFC 6598 */
	{ { 127 }, 8 },				/* loopback */
	{ { 169, 254 }, 16 },			/* link-local */
	{ { 172, 16 }, 12 },			/* private */
	{ { 192, 168 }, 16 },			/* private */
	{ { 224 }, 4 },				/* multicast */
	{ { 240 }, 4 },				/* reserved, broadcast */
};
static const struct range private6[] = {
	/* unspecified, loopback, and addresses of IPv4 in an old clothing */
	{ { 0 }, 96 },				/* compatible, RFC 4291 */
	{ { [10] = 0xff, [11] = 0xff }, 96 },	/* mapped */
	{ { 0x20, 0x01, 0, 0 }, 32 },		/* tunnelled: Teredo */
	{ { 0x20, 0x02 }, 16 },			/* tunnelled: 6to4 */
	{ { 0x00, 0x64, 0xff, 0x9b, 0, 1 }, 48 }, /* NAT64 local, RFC 8215 */
	{ { 0xfc }, 7 },			/* unique local */
	{ { 0xfe, 0x80 }, 10 },			/* link-local */
	{ { 0xfe, 0xc0 }, 10 },			/* site-local, once */
	{ { 0xff }, 8 },			/* multicast */
};

/* NAT64 (RFC 6052) is how a machine without IPv4 meets one that has it. */
static const struct range nat64 = { { 0x00, 0x64, 0xff, 0x9b }, 96 };

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

static bool
in_ranges(const uint8_t *ip, const struct range *ranges, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (same_bits(ip, ranges[i].prefix, ranges[i].bits))
			return true;
	return false;
}

bool
address_is_private(const struct address *address)
{
	const uint8_t *ip = address->ip;

	if (address->family == 6 && same_bits(ip, nat64.prefix, nat64.bits))
		return in_ranges(ip + 12, private4, COUNT(private4));
	return address->family == 4 ?
	    in_ranges(ip, private4, COUNT(private4)) :
	    in_ranges(ip, private6, COUNT(private6));
}

/* A mapped IPv6 address as the IPv4 address that it is. */
static void
unmap(struct address *address)
{
	struct address inner = { .family = 4 };

	memcpy(inner.ip, address->ip + 12, 4);
	*address = inner;
}

bool
network_parse(struct slice text, struct network *network)
{
	struct slice address = slice_cut(&text, '/');
	struct address *start = &network->address;
	uint64_t bits;
	size_t i;

	memset(network, 0, sizeof(*network));
	if (!address_parse(address, start))
		return false;
	bits = ip_size(start) * 8;
	if (text.at != NULL && (text.len > 3 ||
	    !slice_number(text, bits, &bits))) {
		memset(network, 0, sizeof(*network));
		return false;
	}
	if (is_mapped(start) && bits >= 96) {
		unmap(start);
		bits -= 96;
	}
	/* Bits behind the prefix say nothing: 10.1.2.3/8 is 10.0.0.0/8. */
	for (i = bits / 8; i < ip_size(start); i++)
		start->ip[i] &= (uint8_t)(i == bits / 8 ?
		    0xff00u >> bits % 8 : 0);
	network->bits = (uint8_t)bits;
	return true;
}

bool
network_holds(const struct network *network, const struct address *address)
{
	struct address plain = *address;

	if (is_mapped(&plain))
		unmap(&plain);
	return plain.family == network->address.family &&
	    same_bits(plain.ip, network->address.ip, network->bits);
}
