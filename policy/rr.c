/*
 * What does a DNS answer say about one name and type?
 *
 * Called by dns.c with every answer that the resolver sent.  Octets come
 * from the network: each length is checked before it is used, a compressed
 * name may only point backwards, nothing is kept that points into them.
 *
 * An answer is read in three steps: its records are listed (place and type,
 * nothing else), the aliases are followed through that list, and what stands
 * at the end of them is decoded.  What cannot be read is RR_MALFORMED and
 * counts as a failed look-up; it is never "no such record".
 *
 * It asks nobody and retries nothing: an alias without its target's data,
 * truncation and other resolvers are dns.c's business.
 */
#include "policy/rr.h"

#include <string.h>

#define HEADER_BYTES	12
#define RECORDS_MOST	512
#define RECORD_BYTES_LEAST 11	/* root, type, class, TTL, length */
#define ALIASES_MOST	8
#define LABEL_MOST	63
#define NAME_BYTES_MOST	255	/* on the wire, the root's octet included */
#define CLASS_IN	1
#define TYPE_OPT	41
#define EDNS_BYTES	1232
#define FLAG_QR		0x8000
#define FLAG_OPCODE	0x7800
#define FLAG_TC		0x0200
#define FLAG_RD		0x0100
#define FLAG_AD		0x0020
#define RCODE_NXDOMAIN	3

/* Where we are in the octets. */
struct cursor {
	const uint8_t	*octets;
	size_t		 len;
	size_t		 at;
};

static bool
take_u16(struct cursor *cursor, uint16_t *number)
{
	if (cursor->len - cursor->at < 2)
		return false;
	*number = (uint16_t)(cursor->octets[cursor->at] << 8 |
	    cursor->octets[cursor->at + 1]);
	cursor->at += 2;
	return true;
}

static bool
take_u32(struct cursor *cursor, uint32_t *number)
{
	uint16_t high, low;

	if (!take_u16(cursor, &high) || !take_u16(cursor, &low))
		return false;
	*number = (uint32_t)high << 16 | low;
	return true;
}

/*
 * Names.
 */

/* A label's octet in a host's or service's name; 0: it has no place there. */
static char
name_octet(uint8_t octet)
{
	if (octet >= 'A' && octet <= 'Z')
		return (char)(octet - 'A' + 'a');
	if ((octet >= 'a' && octet <= 'z') || (octet >= '0' && octet <= '9') ||
	    octet == '-' || octet == '_')
		return (char)octet;
	return 0;
}

/* A name while its labels are put together. */
struct spelling {
	struct domain	*domain;
	size_t		 len;		/* of the text so far */
	size_t		 bytes;		/* on the wire so far */
	bool		 odd;		/* an octet that no host name has */
};

static bool
add_label(struct spelling *spelling, const uint8_t *octets, size_t len)
{
	char *text = spelling->domain->name;
	size_t i;
	char c;

	spelling->bytes += len + 1;
	if (spelling->bytes >= NAME_BYTES_MOST)	/* the root's octet follows */
		return false;
	if (spelling->len > 0)
		text[spelling->len++] = '.';
	for (i = 0; i < len; i++) {
		c = name_octet(octets[i]);
		spelling->odd = spelling->odd || c == 0;
		text[spelling->len++] = c == 0 ? '?' : c;
	}
	text[spelling->len] = '\0';
	return true;
}

/*
 * RFC 1035 4.1.4: labels, or a pointer to earlier ones.  Each pointer must
 * lead before the place where the labels it ends began: so no loop exists.
 * On success the cursor stands behind the name.  A name with octets that no
 * host name has is well-formed and comes out as RR_NAME_ODD.
 * DANE-7671-10.1.1-1: in lower case, whatever case was sent.
 */
static bool
take_name(struct cursor *cursor, struct domain *domain)
{
	struct spelling spelling = { .domain = domain };
	size_t at = cursor->at, start = cursor->at, target;
	bool jumped = false;
	uint8_t len;

	domain->name[0] = '\0';
	for (;;) {
		if (at >= cursor->len)
			return false;
		len = cursor->octets[at];
		if (len == 0)
			break;
		if ((len & 0xc0) == 0xc0) {
			if (at + 1 >= cursor->len)
				return false;
			target = (size_t)(len & 0x3f) << 8 |
			    cursor->octets[at + 1];
			if (target >= start || target < HEADER_BYTES)
				return false;
			if (!jumped)
				cursor->at = at + 2;
			jumped = true;
			at = start = target;
			continue;
		}
		if (len > LABEL_MOST || len >= cursor->len - at ||
		    !add_label(&spelling, cursor->octets + at + 1, len))
			return false;
		at += len + 1u;
	}
	if (!jumped)
		cursor->at = at + 1;
	if (spelling.odd)
		*domain = (struct domain){ RR_NAME_ODD };
	return true;
}

/*
 * Records as they stand.
 */

struct place {
	struct domain	owner;
	uint16_t	type;
	uint16_t	class;
	uint32_t	ttl_s;
	size_t		at;		/* of the RDATA */
	uint16_t	len;
};

static bool
take_place(struct cursor *cursor, struct place *place)
{
	if (!take_name(cursor, &place->owner) ||
	    !take_u16(cursor, &place->type) ||
	    !take_u16(cursor, &place->class) ||
	    !take_u32(cursor, &place->ttl_s) ||
	    !take_u16(cursor, &place->len) ||
	    cursor->len - cursor->at < place->len)
		return false;
	if (place->ttl_s > INT32_MAX)
		place->ttl_s = 0;	/* RFC 2181 8 */
	place->at = cursor->at;
	cursor->at += place->len;
	return true;
}

bool
rr_name_is_odd(const struct domain *name)
{
	return strcmp(name->name, RR_NAME_ODD) == 0;
}

/* A whole message, listed. */
struct listing {
	struct cursor	 cursor;
	uint16_t	 flags;
	uint16_t	 counts[4];	/* by section, in their order */
	struct place	*answers;
	size_t		 answers_n;
	unsigned	 rcode;
	bool		 has_soa;
	uint32_t	 negative_s;	/* RFC 2308 5 */
};

static bool
take_header(struct listing *listing)
{
	struct cursor *cursor = &listing->cursor;
	uint16_t id;
	size_t i;

	if (!take_u16(cursor, &id) || !take_u16(cursor, &listing->flags))
		return false;
	for (i = 0; i < 4; i++)
		if (!take_u16(cursor, &listing->counts[i]))
			return false;
	listing->rcode = listing->flags & 0xf;
	return (listing->flags & (FLAG_QR | FLAG_OPCODE | FLAG_TC)) == FLAG_QR;
}

/* The question must be ours, or this answers somebody else's. */
static bool
take_question(struct listing *listing, const struct domain *name,
    enum rr_type type)
{
	struct cursor *cursor = &listing->cursor;
	uint16_t asked, class;
	struct domain owner;

	return listing->counts[0] == 1 && take_name(cursor, &owner) &&
	    take_u16(cursor, &asked) && take_u16(cursor, &class) &&
	    domain_equal(&owner, name) && asked == type && class == CLASS_IN;
}

static bool
list_answers(struct listing *listing, struct region *region)
{
	size_t most = listing->counts[1], i;
	struct place spare;

	if (most > RECORDS_MOST)
		most = RECORDS_MOST;
	/* The count is a stranger's word: no record is shorter than this. */
	if (most > listing->cursor.len / RECORD_BYTES_LEAST)
		most = listing->cursor.len / RECORD_BYTES_LEAST;
	listing->answers = region_alloc(region,
	    (most + 1) * sizeof(listing->answers[0]));
	for (i = 0; i < listing->counts[1]; i++) {
		if (!take_place(&listing->cursor,
		    i < most ? &listing->answers[i] : &spare))
			return false;
	}
	listing->answers_n = most;
	return true;
}

/* How long a "no" may be believed: RFC 2308 5, the lesser of the two. */
static bool
note_soa(struct listing *listing, const struct place *place)
{
	struct cursor cursor = listing->cursor;
	uint32_t minimum_s = 0;
	struct domain name;
	int i;

	cursor.at = place->at;
	if (!take_name(&cursor, &name) || !take_name(&cursor, &name))
		return false;
	for (i = 0; i < 5; i++)
		if (!take_u32(&cursor, &minimum_s))
			return false;
	if (cursor.at != place->at + place->len)
		return false;
	if (minimum_s > place->ttl_s)
		minimum_s = place->ttl_s;
	listing->negative_s = minimum_s;
	listing->has_soa = true;
	return true;
}

/* Authority and additional records: the SOA, and the rcode's upper octet. */
static bool
list_rest(struct listing *listing)
{
	size_t n = (size_t)listing->counts[2] + listing->counts[3], i;
	struct place place;

	for (i = 0; i < n; i++) {
		if (!take_place(&listing->cursor, &place))
			return false;
		if (i < listing->counts[2]) {
			if (place.type == RR_SOA && place.class == CLASS_IN &&
			    !listing->has_soa && !note_soa(listing, &place))
				return false;
		} else if (place.type == TYPE_OPT) {
			/* RFC 6891 6.1.3: first octet of what would be the
			 * TTL, which stands six before the RDATA. */
			listing->rcode |= (unsigned)
			    listing->cursor.octets[place.at - 6] << 4;
		}
	}
	return true;
}

/*
 * Decoding.
 */

static bool
decode_address(const struct cursor *message, const struct place *place,
    size_t bytes, struct rr *rr)
{
	if (place->len != bytes)
		return false;
	rr->address.family = bytes == 4 ? 4 : 6;
	memcpy(rr->address.ip, message->octets + place->at, bytes);
	return true;
}

/* MX and CNAME: [preference] name, and nothing behind it. */
static bool
decode_name(const struct cursor *message, const struct place *place,
    struct rr *rr)
{
	struct cursor cursor = *message;
	uint16_t preference = 0;

	cursor.at = place->at;
	if (rr->type == RR_MX && !take_u16(&cursor, &preference))
		return false;
	rr->preference = preference;
	return take_name(&cursor, &rr->name) &&
	    cursor.at == place->at + place->len;
}

/* STS-3.1-16 RFC 8461 3.1: character-strings joined, nothing between. */
static bool
decode_text(const struct cursor *message, const struct place *place,
    struct region *region, struct rr *rr)
{
	const uint8_t *at = message->octets + place->at;
	const uint8_t *end = at + place->len;
	char *text = region_alloc(region, (size_t)place->len + 1);
	size_t len = 0;

	while (at < end) {
		if ((size_t)(end - at) < (size_t)*at + 1)
			return false;
		memcpy(text + len, at + 1, *at);
		len += *at;
		at += *at + 1;
	}
	rr->data = (struct slice){ text, len };
	return true;
}

static bool
decode_octets(const struct cursor *message, const struct place *place,
    struct region *region, struct rr *rr)
{
	char *data = region_alloc(region, (size_t)place->len + 1);

	memcpy(data, message->octets + place->at, place->len);
	rr->data = (struct slice){ data, place->len };
	return true;
}

static bool
decode(const struct cursor *message, const struct place *place,
    struct region *region, struct rr *rr)
{
	rr->type = (enum rr_type)place->type;
	rr->ttl_s = place->ttl_s;
	switch (rr->type) {
	case RR_A:
		return decode_address(message, place, 4, rr);
	case RR_AAAA:
		return decode_address(message, place, 16, rr);
	case RR_MX:
	case RR_CNAME:
		return decode_name(message, place, rr);
	case RR_TXT:
		return decode_text(message, place, region, rr);
	case RR_TLSA:
	case RR_SOA:
		return decode_octets(message, place, region, rr);
	}
	return decode_octets(message, place, region, rr);
}

/* Two odd names look the same and need not be: none is at another. */
static bool
is_at(const struct place *place, const struct domain *owner, uint16_t type)
{
	return place->class == CLASS_IN && place->type == type &&
	    domain_equal(&place->owner, owner) && !rr_name_is_odd(owner);
}

/* The alias that stands at this owner, if any. */
static const struct place *
find_alias(const struct listing *listing, const struct domain *owner)
{
	size_t i;

	for (i = 0; i < listing->answers_n; i++)
		if (is_at(&listing->answers[i], owner, RR_CNAME))
			return &listing->answers[i];
	return NULL;
}

static void
shorten(uint32_t *ttl_s, uint32_t other_s)
{
	if (other_s < *ttl_s)
		*ttl_s = other_s;
}

/*
 * From the question to the name that the records stand at.  A loop or a
 * chain longer than ALIASES_MOST is a failure.
 * STS-3.1-17 RFC 8461 3.1, DANE-7672-2.1.3-3 RFC 7672 2.1.3; a DNAME comes
 * with a CNAME made of it (DANE-7672-2.1.3-6)
 */
static bool
follow_aliases(const struct listing *listing, enum rr_type type,
    struct rr_answer *answer)
{
	const struct place *alias;
	struct rr rr = { .type = RR_CNAME };
	unsigned followed = 0;

	while (type != RR_CNAME &&
	    (alias = find_alias(listing, &answer->canonical)) != NULL) {
		if (++followed > ALIASES_MOST ||
		    !decode_name(&listing->cursor, alias, &rr))
			return false;
		answer->canonical = rr.name;
		answer->alias = true;
		shorten(&answer->ttl_s, alias->ttl_s);
	}
	return true;
}

/* All records of the type at the canonical name. */
static bool
collect(const struct listing *listing, enum rr_type type,
    struct region *region, struct rr_answer *answer)
{
	const struct place *place = listing->answers;
	size_t i;

	answer->records = region_alloc(region,
	    (listing->answers_n + 1) * sizeof(answer->records[0]));
	for (i = 0; i < listing->answers_n; i++, place++) {
		if (!is_at(place, &answer->canonical, (uint16_t)type))
			continue;
		if (!decode(&listing->cursor, place, region,
		    &answer->records[answer->records_n]))
			return false;
		shorten(&answer->ttl_s, place->ttl_s);
		answer->records_n++;
	}
	return true;
}

static bool
read_answer(struct listing *listing, const struct domain *name,
    enum rr_type type, struct region *region, struct rr_answer *answer)
{
	if (!take_header(listing) || !take_question(listing, name, type) ||
	    !list_answers(listing, region) || !list_rest(listing))
		return false;
	answer->rcode = listing->rcode;
	if (listing->rcode != 0 && listing->rcode != RCODE_NXDOMAIN) {
		answer->status = RR_SERVFAIL;
		return true;
	}
	answer->status = listing->rcode == 0 ? RR_OK : RR_NXDOMAIN;
	answer->secure = (listing->flags & FLAG_AD) != 0;
	answer->ttl_s = UINT32_MAX;
	if (!follow_aliases(listing, type, answer))
		return false;
	if (answer->status == RR_OK &&
	    !collect(listing, type, region, answer))
		return false;
	if (answer->records_n == 0)
		shorten(&answer->ttl_s, listing->negative_s);
	return true;
}

/* DANE-7672-2.1.1-1 RFC 7672 2.1.1: whatever cannot be read is a failure. */
void
rr_parse(struct slice octets, const struct domain *name, enum rr_type type,
    struct region *region, struct rr_answer *answer)
{
	struct listing listing = {
		.cursor = { (const uint8_t *)octets.at, octets.len, 0 },
	};

	memset(answer, 0, sizeof(*answer));
	answer->canonical = *name;
	if (read_answer(&listing, name, type, region, answer))
		return;
	memset(answer, 0, sizeof(*answer));
	answer->canonical = *name;
	answer->status = RR_MALFORMED;
	answer->rcode = listing.rcode;
}

/*
 * The query.
 */

struct writer {
	uint8_t	*octets;
	size_t	 size;
	size_t	 len;
	bool	 full;
};

static void
put_u8(struct writer *writer, uint8_t number)
{
	if (writer->len == writer->size)
		writer->full = true;
	else
		writer->octets[writer->len++] = number;
}

static void
put_u16(struct writer *writer, uint16_t number)
{
	put_u8(writer, (uint8_t)(number >> 8));
	put_u8(writer, (uint8_t)(number & 0xff));
}

/* False: no name of hosts or services. */
static bool
put_label(struct writer *writer, struct slice label)
{
	size_t i;

	if (label.len == 0 || label.len > LABEL_MOST)
		return false;
	put_u8(writer, (uint8_t)label.len);
	for (i = 0; i < label.len; i++) {
		if (name_octet((uint8_t)label.at[i]) == 0)
			return false;
		put_u8(writer, (uint8_t)name_octet((uint8_t)label.at[i]));
	}
	return true;
}

/* "" is the root.  SMTP-5.1-3: nothing is ever appended to a name. */
static bool
put_name(struct writer *writer, const struct domain *name)
{
	struct slice rest = slice_of(name->name);
	size_t start = writer->len;

	while (rest.len > 0 || (rest.at != NULL && writer->len > start)) {
		if (!put_label(writer, slice_cut(&rest, '.')))
			return false;
	}
	put_u8(writer, 0);
	return writer->len - start <= NAME_BYTES_MOST;
}

/*
 * DANE-7672-2.1.3-2 RFC 7672 2.1.3: the AD bit asks for AD in the answer
 * (RFC 6840 5.7); without DO no signatures come along.
 */
size_t
rr_query(const struct domain *name, enum rr_type type, uint16_t id,
    uint8_t *octets, size_t size)
{
	struct writer writer = { octets, size, 0, false };

	put_u16(&writer, id);
	put_u16(&writer, FLAG_RD | FLAG_AD);
	put_u16(&writer, 1);		/* questions */
	put_u16(&writer, 0);
	put_u16(&writer, 0);
	put_u16(&writer, 1);		/* OPT */
	if (!put_name(&writer, name))
		return 0;
	put_u16(&writer, (uint16_t)type);
	put_u16(&writer, CLASS_IN);
	put_u8(&writer, 0);		/* OPT: at the root */
	put_u16(&writer, TYPE_OPT);
	put_u16(&writer, EDNS_BYTES);
	put_u16(&writer, 0);		/* rcode's upper octet, version */
	put_u16(&writer, 0);		/* flags */
	put_u16(&writer, 0);		/* no options */
	return writer.full ? 0 : writer.len;
}

/*
 * TLSA.
 */

/*
 * Could it be one DER value: a SEQUENCE whose length is what follows?  A
 * certificate and a public key are; what else is wrong with one is found by
 * the worker that decodes it.
 */
static bool
is_der_sequence(const uint8_t *octets, size_t len)
{
	size_t bytes, i, value = 0;

	if (len < 2 || octets[0] != 0x30)
		return false;
	if (octets[1] < 0x80)
		return len - 2 == octets[1];
	bytes = octets[1] & 0x7f;
	if (bytes == 0 || bytes > 3 || len < 2 + bytes)
		return false;
	for (i = 0; i < bytes; i++)
		value = value << 8 | octets[2 + i];
	return value >= 0x80 && len - 2 - bytes == value;
}

/*
 * DANE-7672-3.1.3-1 RFC 7672 3.1.3: usages 0 and 1 are unusable.
 * DANE-7671-4.1-1 RFC 7671 4.1: so is what is unknown, has an impossible
 * length or does not decode.  DANE-6698-2.1-1 RFC 6698 2.1: three octets,
 * then data.
 */
bool
rr_tlsa_usable(struct slice rdata)
{
	const uint8_t *octets = (const uint8_t *)rdata.at;

	if (rdata.len < 4)
		return false;
	if ((octets[0] != 2 && octets[0] != 3) || octets[1] > 1)
		return false;
	switch (octets[2]) {
	case 0:
		return is_der_sequence(octets + 3, rdata.len - 3);
	case 1:
		return rdata.len == 3 + 32;	/* SHA-256 */
	case 2:
		return rdata.len == 3 + 64;	/* SHA-512 */
	}
	return false;
}
