/*
 * Which DKIM-Signature does a message get?
 *
 * Called by sign.c and dkimctl.c.  The header is kept, the body goes through
 * its relaxed form into a digest; the field is then written without the value
 * of b=, digested with the fields that it names, and finished.
 *
 * It reads no descriptor and holds no key.
 */
#include "queue/dkim.h"

#include "conf/log.h"
#include "queue/dkimcanon.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX	78
/* Fields that are signed; a report mail has a dozen. */
#define NAMES_MAX	100

struct dkim {
	struct buffer		 header;	/* fields, without the end */
	bool			 in_body;
	bool			 too_long;	/* the header */
	struct dkimcanon_body	 body;
	EVP_MD_CTX		*digest;	/* of the body */
	uint8_t			 body_hash[DKIMSECRET_DIGEST_SIZE];
	struct buffer		 names;		/* h= */
};

/*
 * DKIM-6376-5.4.1-1 RFC 6376 5.4.1, RPT-5.3-5 RFC 8460 5.3: signed where they
 * are present, each as often as it is.
 */
static const char *const signed_names[] = {
	"From", "Reply-To", "To", "Cc", "Subject", "Date", "Message-ID",
	"In-Reply-To", "References", "MIME-Version", "Content-Type",
	"Content-Transfer-Encoding", "Auto-Submitted", "TLS-Required",
	"TLS-Report-Domain", "TLS-Report-Submitter"
};
#define SIGNED_NAMES_N	(sizeof(signed_names) / sizeof(signed_names[0]))

/*
 * Digests.  libcrypto makes them or has no memory: then the program ends, as
 * it does wherever there is none.
 */

static void
must(int result)
{
	if (result != 1)
		fatal("libcrypto makes no SHA-256");
}

static void
put_in_digest(void *context, const void *octets, size_t len)
{
	must(EVP_DigestUpdate(context, octets, len));
}

static EVP_MD_CTX *
digest_new(void)
{
	EVP_MD_CTX *digest = EVP_MD_CTX_new();

	must(digest != NULL);
	must(EVP_DigestInit_ex(digest, EVP_sha256(), NULL));
	return digest;
}

static void
digest_end(EVP_MD_CTX **digest, uint8_t hash[DKIMSECRET_DIGEST_SIZE])
{
	must(EVP_DigestFinal_ex(*digest, hash, NULL));
	EVP_MD_CTX_free(*digest);
	*digest = NULL;
}

struct dkim *
dkim_new(void)
{
	struct dkim *dkim = mem_alloc(sizeof(*dkim));

	dkim->digest = digest_new();
	dkim->body.put = put_in_digest;
	dkim->body.context = dkim->digest;
	return dkim;
}

void
dkim_free(struct dkim **dkim)
{
	if (*dkim == NULL)
		return;
	EVP_MD_CTX_free((*dkim)->digest);
	buffer_free(&(*dkim)->header);
	buffer_free(&(*dkim)->names);
	free(*dkim);
	*dkim = NULL;
}

/*
 * Reading the message.
 */

/*
 * Where the body begins in what there is of the header, at the earliest at
 * `from`; 0: not yet.  A message may begin with the empty line.
 */
static size_t
find_body(const struct buffer *header, size_t from)
{
	const char *end;

	if (header->len >= 2 && memcmp(header->text, "\r\n", 2) == 0)
		return 2;
	from = from > 3 ? from - 3 : 0;
	if (header->len < from + 4)
		return 0;
	end = memmem(header->text + from, header->len - from, "\r\n\r\n", 4);
	return end == NULL ? 0 : (size_t)(end - header->text) + 4;
}

/* Header octets until the empty line; what is behind it is of the body. */
static void
add_to_header(struct dkim *dkim, const char *octets, size_t len)
{
	const size_t before = dkim->header.len;
	size_t begin;

	buffer_add(&dkim->header, (struct slice){ octets, len });
	begin = find_body(&dkim->header, before);
	if (begin == 0)
		return;
	dkim->in_body = true;
	dkimcanon_body_add(&dkim->body, dkim->header.text + begin,
	    dkim->header.len - begin);
	dkim->header.len = begin - 2;
}

void
dkim_add(struct dkim *dkim, const void *octets, size_t len)
{
	const char *at = octets;
	size_t n;

	while (len > 0 && !dkim->in_body && !dkim->too_long) {
		n = len < 4096 ? len : 4096;
		add_to_header(dkim, at, n);
		at += n;
		len -= n;
		dkim->too_long = dkim->header.len > DKIM_HEADER_MAX;
	}
	if (dkim->in_body)
		dkimcanon_body_add(&dkim->body, at, len);
}

/*
 * Which fields are signed.
 */

static struct slice
header_of(const struct dkim *dkim)
{
	return (struct slice){ dkim->header.len > 0 ? dkim->header.text : "",
	    dkim->header.len };
}

static unsigned
count_fields(const struct dkim *dkim, struct slice name)
{
	struct slice header = header_of(dkim), field;
	unsigned n = 0;

	while ((field = dkimcanon_cut_field(&header)).len > 0)
		n += slice_equal_nocase(dkimcanon_name(field), name);
	return n;
}

/*
 * h= in full: each name as often as it is there, so that none can be put
 * before the others unsigned; From once more, so that none can be added.
 * Returns how many.
 */
static unsigned
list_names(struct dkim *dkim)
{
	unsigned n, all = 0;
	size_t i;

	for (i = 0; i < SIGNED_NAMES_N; i++) {
		n = count_fields(dkim, slice_of(signed_names[i]));
		/* DKIM-6376-3.5-3 RFC 6376 3.5, DKIM-6376-5.4-1 RFC 6376
		 * 5.4: From stands first in the table. */
		n += i == 0;
		for (all += n; n > 0 && all <= NAMES_MAX; n--)
			buffer_printf(&dkim->names, "%s%s",
			    dkim->names.len > 0 ? ":" : "", signed_names[i]);
	}
	return all;
}

const char *
dkim_end(struct dkim *dkim)
{
	dkimcanon_body_end(&dkim->body);
	digest_end(&dkim->digest, dkim->body_hash);
	if (dkim->too_long || dkim->header.len > DKIM_HEADER_MAX)
		return "the message's header is longer than 65536 octets";
	if (count_fields(dkim, slice_of(signed_names[0])) == 0)
		return "the message has no From field";
	if (list_names(dkim) > NAMES_MAX)
		return "the message has more than 100 fields to sign";
	return NULL;
}

/*
 * The digest of the header.
 */

/* The nth field of that name from the bottom, counted from 1; or len 0. */
static struct slice
field_from_bottom(const struct dkim *dkim, struct slice name, unsigned nth)
{
	struct slice header = header_of(dkim), field;
	unsigned skip = count_fields(dkim, name);

	if (nth > skip)
		return (struct slice){ "", 0 };
	for (skip -= nth;; ) {
		field = dkimcanon_cut_field(&header);
		if (slice_equal_nocase(dkimcanon_name(field), name) &&
		    skip-- == 0)
			return field;
	}
}

/* How often name stands in the part of the list that was done before. */
static unsigned
count_names(struct slice done, struct slice name)
{
	unsigned n = 0;

	while (done.at != NULL)
		n += slice_equal_nocase(slice_trim(slice_cut(&done, ':')),
		    name);
	return n;
}

/*
 * DKIM-6376-5.4-1 RFC 6376 5.4.2: the first time the last of its name, then
 * the one above; a name without a field, or with none left, adds nothing.
 */
static void
digest_fields(const struct dkim *dkim, struct slice names, EVP_MD_CTX *digest)
{
	struct buffer relaxed = { NULL, 0, 0 };
	struct slice rest = names, name, field, done;

	while (rest.at != NULL) {
		done = (struct slice){ names.at,
		    (size_t)(rest.at - names.at) };
		name = slice_trim(slice_cut(&rest, ':'));
		field = field_from_bottom(dkim, name,
		    count_names(done, name) + 1);
		if (field.len == 0)
			continue;
		relaxed.len = 0;
		dkimcanon_field(&relaxed, field);
		buffer_add(&relaxed, SLICE("\r\n"));
		put_in_digest(digest, relaxed.text, relaxed.len);
	}
	buffer_free(&relaxed);
}

void
dkim_digest(const struct dkim *dkim, struct slice names, struct slice field,
    uint8_t hash[DKIMSECRET_DIGEST_SIZE])
{
	struct buffer relaxed = { NULL, 0, 0 };
	EVP_MD_CTX *digest = digest_new();

	digest_fields(dkim, names, digest);
	/* DKIM-6376-3.7-1 RFC 6376 3.7: itself last, without CRLF. */
	dkimcanon_field(&relaxed, field);
	put_in_digest(digest, relaxed.text, relaxed.len);
	buffer_free(&relaxed);
	digest_end(&digest, hash);
}

void
dkim_body_hash(const struct dkim *dkim, struct buffer *out)
{
	dkimsecret_base64(out, dkim->body_hash, sizeof(dkim->body_hash));
}

/*
 * The field.
 */

/* A field under way; column counts what stands on its last line. */
struct writer {
	struct buffer	*out;
	size_t		 column;
};

/* text, on a line of its own if it does not fit on this one. */
static void
write_word(struct writer *writer, struct slice text, bool blank)
{
	if (writer->column + blank + text.len > COLUMNS_MAX &&
	    writer->column > 1) {
		buffer_add(writer->out, SLICE("\r\n "));
		writer->column = 1;
	} else if (blank) {
		buffer_add(writer->out, SLICE(" "));
		writer->column++;
	}
	buffer_add(writer->out, text);
	writer->column += text.len;
}

/* "name=value;", not broken. */
static void
write_tag(struct writer *writer, const char *name, const char *value)
{
	struct buffer tag = { NULL, 0, 0 };

	buffer_printf(&tag, "%s=%s;", name, value);
	write_word(writer, (struct slice){ tag.text, tag.len }, true);
	buffer_free(&tag);
}

/* "h=a:b:c;", broken behind colons (FWS may stand there, RFC 6376 3.5). */
static void
write_names(struct writer *writer, struct slice names)
{
	struct buffer word = { NULL, 0, 0 };
	struct slice name;
	bool first = true;

	while (names.at != NULL) {
		name = slice_cut(&names, ':');
		word.len = 0;
		buffer_printf(&word, "%s%.*s%s", first ? "h=" : "",
		    (int)name.len, name.at, names.at != NULL ? ":" : ";");
		write_word(writer, (struct slice){ word.text, word.len },
		    first);
		first = false;
	}
	buffer_free(&word);
}

/* base64 may be broken anywhere. */
static void
write_base64(struct writer *writer, struct slice text)
{
	size_t n;

	for (; text.len > 0; text.at += n, text.len -= n) {
		if (writer->column >= COLUMNS_MAX) {
			buffer_add(writer->out, SLICE("\r\n "));
			writer->column = 1;
		}
		n = COLUMNS_MAX - writer->column;
		n = n < text.len ? n : text.len;
		buffer_add(writer->out, (struct slice){ text.at, n });
		writer->column += n;
	}
}

/*
 * DKIM-6376-3.5-1, DKIM-6376-3.5-2 RFC 6376 3.5, RPT-3-14 RFC 8460 3: all
 * tags that must be there, and t; no x, no l.  All that comes from outside
 * (domain, selector) is ASCII: DKIM-6376-5.3-1 RFC 6376 5.3.
 */
static void
write_field(struct writer *writer, const struct dkim *dkim,
    enum dkimkey_type type, const struct dkim_terms *terms)
{
	struct buffer hash = { NULL, 0, 0 };
	char time[32];

	write_word(writer, SLICE("DKIM-Signature:"), false);
	write_tag(writer, "v", "1");
	write_tag(writer, "a", type == DKIMKEY_RSA ? "rsa-sha256" :
	    "ed25519-sha256");
	write_tag(writer, "c", "relaxed/relaxed");
	write_tag(writer, "d", terms->domain);
	write_tag(writer, "s", terms->selector);
	snprintf(time, sizeof(time), "%" PRId64, terms->now_s);
	write_tag(writer, "t", time);
	write_names(writer, (struct slice){ dkim->names.text,
	    dkim->names.len });
	dkim_body_hash(dkim, &hash);
	write_tag(writer, "bh", hash.text);
	write_word(writer, SLICE("b="), true);
	buffer_free(&hash);
}

bool
dkim_sign(const struct dkim *dkim, const struct dkimsecret *secret,
    const struct dkim_terms *terms, struct buffer *out)
{
	uint8_t digest[DKIMSECRET_DIGEST_SIZE];
	uint8_t signature[DKIMSECRET_SIGNATURE_MAX];
	struct buffer field = { NULL, 0, 0 }, text = { NULL, 0, 0 };
	struct writer writer = { &field, 0 };
	size_t len;

	write_field(&writer, dkim, dkimsecret_type(secret), terms);
	dkim_digest(dkim, (struct slice){ dkim->names.text, dkim->names.len },
	    (struct slice){ field.text, field.len }, digest);
	len = dkimsecret_sign(secret, digest, signature);
	if (len > 0) {
		dkimsecret_base64(&text, signature, len);
		write_base64(&writer, (struct slice){ text.text, text.len });
		buffer_add(&field, SLICE("\r\n"));
		buffer_add(out, (struct slice){ field.text, field.len });
	}
	buffer_free(&field);
	buffer_free(&text);
	return len > 0;
}
