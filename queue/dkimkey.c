/*
 * What does a DKIM key record say?
 *
 * Called by dkimctl.c (`dkim check`).  A record is a tag-list: names and
 * values with semicolons between them.  Whether its key is that of a file,
 * the caller compares.
 */
#include "queue/dkimkey.h"

#include <string.h>

/* All tags of RFC 6376 3.6.1, of RFC 4871, and room for as many others. */
#define TAGS_MAX	32

struct tag {
	struct slice	name, value;
};
struct tags {
	size_t		n;
	struct tag	tag[TAGS_MAX];
};

/*
 * The tag-list of RFC 6376 3.2.
 */

static bool
is_white(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct slice
trim_white(struct slice text)
{
	while (text.len > 0 && is_white(text.at[0])) {
		text.at++;
		text.len--;
	}
	while (text.len > 0 && is_white(text.at[text.len - 1]))
		text.len--;
	return text;
}

static bool
is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* ALPHA *(ALPHA / DIGIT / "_") */
static bool
is_tag_name(struct slice name)
{
	size_t at;

	if (name.len == 0 || !is_alpha(name.at[0]))
		return false;
	for (at = 1; at < name.len; at++)
		if (!is_alpha(name.at[at]) && !is_digit(name.at[at]) &&
		    name.at[at] != '_')
			return false;
	return true;
}

/* Printable ASCII and white space; semicolons are gone before. */
static bool
is_tag_value(struct slice value)
{
	size_t at;

	for (at = 0; at < value.len; at++)
		if (!is_white(value.at[at]) &&
		    (value.at[at] < '!' || value.at[at] > '~'))
			return false;
	return true;
}

static const struct slice *
find_tag(const struct tags *tags, struct slice name)
{
	size_t i;

	for (i = 0; i < tags->n; i++)
		if (slice_equal(tags->tag[i].name, name))
			return &tags->tag[i].value;
	return NULL;
}

/* One tag-spec; NULL: taken, else what is wrong. */
static const char *
take_tag(struct tags *tags, struct slice spec)
{
	struct slice name, value = spec;

	name = trim_white(slice_cut(&value, '='));
	if (value.at == NULL)
		return "a tag has no \"=\"";
	value = trim_white(value);
	if (!is_tag_name(name))
		return "a tag has a malformed name";
	if (!is_tag_value(value))
		return "a tag holds an octet that is not printable ASCII";
	/* RFC 6376 3.2: then the whole list is invalid. */
	if (find_tag(tags, name) != NULL)
		return "a tag stands twice";
	if (tags->n == TAGS_MAX)
		return "it has more than 32 tags";
	tags->tag[tags->n++] = (struct tag){ name, value };
	return NULL;
}

static const char *
take_tags(struct tags *tags, struct slice record)
{
	const char *reason = NULL;
	struct slice spec;

	tags->n = 0;
	if (trim_white(record).len == 0)
		return "it is empty";
	while (record.at != NULL && reason == NULL) {
		spec = slice_cut(&record, ';');
		/* One semicolon may stand behind the last tag. */
		if (record.at == NULL && trim_white(spec).len == 0)
			break;
		reason = take_tag(tags, spec);
	}
	return reason;
}

/*
 * base64 (RFC 4648 4).
 */

/* The value of a character, or -1. */
static int
base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (is_digit(c))
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Four characters so far: bits of `characters` of them, then padding. */
struct quantum {
	uint32_t	bits;
	unsigned	characters, padding;
};

static bool
quantum_add(struct quantum *quantum, char c)
{
	int value = base64_value(c);

	if (c == '=') {
		quantum->padding++;
		quantum->bits <<= 6;
		return quantum->characters >= 2 && quantum->padding <= 2;
	}
	if (value == -1 || quantum->padding > 0)
		return false;
	quantum->characters++;
	quantum->bits = quantum->bits << 6 | (uint32_t)value;
	return true;
}

/* Its octets; false: no room, or bits that padding should have made zero. */
static bool
quantum_end(struct quantum *quantum, uint8_t *octets, size_t size,
    size_t *len)
{
	unsigned n = 3 - quantum->padding, i;

	if (size - *len < n || quantum->bits &
	    ((1u << 8 * quantum->padding) - 1))
		return false;
	for (i = 0; i < n; i++)
		octets[(*len)++] = (uint8_t)(quantum->bits >> (16 - 8 * i));
	quantum->bits = quantum->characters = 0;
	return true;
}

bool
dkimkey_base64(struct slice text, uint8_t *octets, size_t size, size_t *len)
{
	struct quantum quantum = { 0, 0, 0 };
	bool ended = false;
	size_t at;

	*len = 0;
	for (at = 0; at < text.len; at++) {
		if (is_white(text.at[at]))
			continue;
		if (ended || !quantum_add(&quantum, text.at[at]))
			return false;
		if (quantum.characters + quantum.padding < 4)
			continue;
		ended = quantum.padding > 0;
		if (!quantum_end(&quantum, octets, size, len))
			return false;
	}
	return quantum.characters == 0;
}

/*
 * The tags.
 */

/* Is one of these words in the list with colons?  No list: yes. */
static bool
lists(const struct slice *list, struct slice word, struct slice or_this)
{
	struct slice rest, one;

	if (list == NULL)
		return true;
	rest = *list;
	while (rest.at != NULL) {
		one = trim_white(slice_cut(&rest, ':'));
		if (slice_equal(one, word) || slice_equal(one, or_this))
			return true;
	}
	return false;
}

static const char *
take_version(const struct tags *tags)
{
	const struct slice *version = find_tag(tags, SLICE("v"));

	if (version == NULL)
		return NULL;
	if (!slice_equal(*version, SLICE("DKIM1")))
		return "v= is not DKIM1";
	if (version != &tags->tag[0].value)
		return "v= is not its first tag";
	return NULL;
}

static const char *
take_type(const struct tags *tags, struct dkimkey *key)
{
	const struct slice *type = find_tag(tags, SLICE("k"));

	key->type = DKIMKEY_RSA;
	if (type == NULL || slice_equal(*type, SLICE("rsa")))
		return NULL;
	key->type = DKIMKEY_ED25519;
	/* DKIM-8463-3-1 RFC 8463 4.1 */
	if (slice_equal(*type, SLICE("ed25519")))
		return NULL;
	return "k= is neither rsa nor ed25519";
}

static const char *
take_key(const struct tags *tags, struct dkimkey *key)
{
	const struct slice *octets = find_tag(tags, SLICE("p"));

	if (octets == NULL)
		return "it has no p=";
	if (!dkimkey_base64(*octets, key->octets, sizeof(key->octets),
	    &key->octets_len))
		return "p= is no base64 of a key";
	key->revoked = key->octets_len == 0;
	if (!key->revoked && key->type == DKIMKEY_ED25519 &&
	    key->octets_len != DKIMKEY_ED25519_OCTETS)
		return "p= is not the 32 octets of an Ed25519 key";
	return NULL;
}

/* DKIM-6376-3.6.1-1 RFC 6376 3.6.1 */
bool
dkimkey_parse(struct slice record, struct dkimkey *key, const char **reason)
{
	const struct slice *flags;
	struct tags tags;

	memset(key, 0, sizeof(*key));
	*reason = take_tags(&tags, record);
	if (*reason == NULL)
		*reason = take_version(&tags);
	if (*reason == NULL)
		*reason = take_type(&tags, key);
	if (*reason == NULL)
		*reason = take_key(&tags, key);
	if (*reason != NULL)
		return false;
	/* RPT-3-15 RFC 8460 3 */
	key->for_tlsrpt = lists(find_tag(&tags, SLICE("s")),
	    SLICE("tlsrpt"), SLICE("*"));
	key->sha256 = lists(find_tag(&tags, SLICE("h")), SLICE("sha256"),
	    SLICE("sha256"));
	flags = find_tag(&tags, SLICE("t"));
	key->testing = flags != NULL &&
	    lists(flags, SLICE("y"), SLICE("y"));
	return true;
}
