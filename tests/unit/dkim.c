/*
 * DKIM signatures: what they cover (queue/dkimcanon.c), which keys make them
 * (queue/dkimsecret.c), and how the field looks (queue/dkim.c).
 *
 * Keys and signed message of RFC 8463 appendix A, and signatures that dkimpy
 * made with the same keys, say what must come out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "queue/dkim.h"
#include "queue/dkimcanon.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N(array)	(sizeof(array) / sizeof((array)[0]))
#define NAMED(name, test)	{ name, test, NULL, NULL, NULL }

/* RFC 8463 appendix A.1 (RFC 8032 7.1, test 1), as PKCS #8. */
#define RFC_ED25519							\
	"-----BEGIN PRIVATE KEY-----\n"					\
	"MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n" \
	"-----END PRIVATE KEY-----\n"
#define RFC_ED25519_P	"11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="

/* RFC 8463 appendix A.2, as PKCS #1. */
#define RFC_RSA								\
	"-----BEGIN RSA PRIVATE KEY-----\n"				\
	"MIICXQIBAAKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQi\n" \
	"Y/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqM\n" \
	"KrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB\n" \
	"AoGAH0cxOhFZDgzXWhDhnAJDw5s4roOXN4OhjiXa8W7Y3rhX3FJqmJSPuC8N9vQm\n" \
	"6SVbaLAE4SG5mLMueHlh4KXffEpuLEiNp9Ss3O4YfLiQpbRqE7Tm5SxKjvvQoZZe\n" \
	"zHorimOaChRL2it47iuWxzxSiRMv4c+j70GiWdxXnxe4UoECQQDzJB/0U58W7RZy\n" \
	"6enGVj2kWF732CoWFZWzi1FicudrBFoy63QwcowpoCazKtvZGMNlPWnC7x/6o8Gc\n" \
	"uSe0ga2xAkEA8C7PipPm1/1fTRQvj1o/dDmZp243044ZNyxjg+/OPN0oWCbXIGxy\n" \
	"WvmZbXriOWoSALJTjExEgraHEgnXssuk7QJBALl5ICsYMu6hMxO73gnfNayNgPxd\n" \
	"WFV6Z7ULnKyV7HSVYF0hgYOHjeYe9gaMtiJYoo0zGN+L3AAtNP9huqkWlzECQE1a\n" \
	"licIeVlo1e+qJ6Mgqr0Q7Aa7falZ448ccbSFYEPD6oFxiOl9Y9se9iYHZKKfIcst\n" \
	"o7DUw1/hz2Ck4N5JrgUCQQCyKveNvjzkkd8HjYs0SwM0fPjK16//5qDZ2UiDGnOe\n" \
	"uEzxBDAr518Z8VFbR41in3W4Y3yCDgQlLlcETrS+zYcL\n"		\
	"-----END RSA PRIVATE KEY-----\n"
#define RFC_RSA_P							\
	"MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWR"		\
	"iGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutAC" \
	"DfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3" \
	"Ip3G+2kryOTIKT+l/K4w3QIDAQAB"

/* Of nothing at all, and of CRLF. */
#define EMPTY_SHA256	"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
#define CRLF_SHA256	"frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY="

/*
 * Helpers.
 */

/* What a test made, freed at its end. */
static struct dkim *
message_of(struct slice text)
{
	struct dkim *dkim = dkim_new();

	dkim_add(dkim, text.at, text.len);
	return dkim;
}

static struct dkimsecret *
key_of(const char *pem)
{
	const char *error = NULL;
	struct dkimsecret *secret = dkimsecret_parse(slice_of(pem), &error);

	if (secret == NULL)
		fail_msg("%s", error);
	return secret;
}

static void
collect(void *context, const void *octets, size_t len)
{
	buffer_add(context, (struct slice){ octets, len });
}

static void
assert_buffer(const struct buffer *buffer, struct slice expected)
{
	struct slice is = { buffer->text != NULL ? buffer->text : "",
	    buffer->len };

	if (!slice_equal(is, expected))
		fail_msg("[%.*s] instead of [%.*s]", (int)is.len, is.at,
		    (int)expected.len, expected.at);
}

/* The field without folds, to look for tags in it; freed by the caller. */
static char *
unfold(const char *field)
{
	char *text = mem_copy(field), *at;

	while ((at = strstr(text, "\r\n")) != NULL)
		memmove(at, at + 2, strlen(at + 2) + 1);
	return text;
}

/* The value of a tag, blanks in it removed; "" and *there false: none. */
static char *
tag(const char *field, const char *name, bool *there)
{
	char *text = unfold(field), *at = strchr(text, ':') + 1, *end;
	char *value = mem_alloc(strlen(text) + 1), *out = value;
	size_t len = strlen(name);

	*there = false;
	for (; !*there && *at != '\0'; at = end + (*end == ';')) {
		at += strspn(at, " ");
		end = at + strcspn(at, ";");
		if (strncmp(at, name, len) != 0 || at[len] != '=')
			continue;
		*there = true;
		for (at += len + 1; at < end; at++)
			if (*at != ' ')
				*out++ = *at;
	}
	free(text);
	return value;
}

static void
assert_tag(const char *field, const char *name, const char *expected)
{
	bool there;
	char *value = tag(field, name, &there);

	if (there != (expected != NULL) ||
	    (there && strcmp(value, expected) != 0))
		fail_msg("%s=%s in %s", name, value, field);
	free(value);
}

/* A field for this message and key; the caller frees it. */
static char *
sign(struct slice message, const char *pem, const char *domain,
    const char *selector)
{
	const struct dkim_terms terms = { domain, selector, 1528637909 };
	struct dkim *dkim = message_of(message);
	struct dkimsecret *secret = key_of(pem);
	struct buffer out = { NULL, 0, 0 };

	assert_null(dkim_end(dkim));
	assert_true(dkim_sign(dkim, secret, &terms, &out));
	dkimsecret_free(&secret);
	dkim_free(&dkim);
	return out.text;
}

/*
 * Canonicalisation.
 */

static void
test_field(void **state)
{
	static const struct {
		struct slice	field, relaxed;
	} rows[] = {
		/* the example of RFC 6376 3.4.5 */
		{ { "A: X\r\n", 6 }, { "a:X", 3 } },
		{ { "B : Y\t\r\n\tZ  \r\n", 14 }, { "b:Y Z", 5 } },
		/* each rule of 3.4.2 */
		{ { "SUBJect: AbC\r\n", 14 }, { "subject:AbC", 11 } },
		{ { "a:\r\n b\r\n\tc\r\n", 12 }, { "a:b c", 5 } },
		{ { "a:b\r\n \r\n c\r\n", 12 }, { "a:b c", 5 } },
		{ { "a: \t b \t\t c \t \r\n", 16 }, { "a:b c", 5 } },
		{ { "a \t:\t b\r\n", 9 }, { "a:b", 3 } },
		{ { "a:b:c : d\r\n", 11 }, { "a:b:c : d", 9 } },
		{ { "a:\r\n", 4 }, { "a:", 2 } },
		{ { "a: \r\n \r\n", 8 }, { "a:", 2 } },
		/* without CRLF, as a signature's own field */
		{ { "a: b", 4 }, { "a:b", 3 } },
		/* a lone CR or LF is an octet */
		{ { "a:b\rc\nd\r\n", 9 }, { "a:b\rc\nd", 7 } },
		{ { "a:\xc3\xa9\x00 z\r\n", 9 }, { "a:\xc3\xa9\x00 z", 7 } },
		{ { "no field\r\n", 10 }, { "", 0 } },
	};
	struct buffer out = { NULL, 0, 0 };
	size_t i;

	(void)state;
	for (i = 0; i < N(rows); i++) {
		dkimcanon_field(&out, rows[i].field);
		assert_buffer(&out, rows[i].relaxed);
		buffer_free(&out);
	}
}

static void
check_body(struct slice body, struct slice expected, size_t piece)
{
	struct buffer out = { NULL, 0, 0 };
	struct dkimcanon_body canon = { .put = collect, .context = &out };
	size_t n;

	for (; body.len > 0; body.at += n, body.len -= n) {
		n = piece < body.len ? piece : body.len;
		dkimcanon_body_add(&canon, body.at, n);
	}
	dkimcanon_body_end(&canon);
	assert_buffer(&out, expected);
	buffer_free(&out);
}

#define B(from, to)	{ { from, sizeof(from) - 1 }, { to, sizeof(to) - 1 } }

static void
test_body(void **state)
{
	static const struct {
		struct slice	body, relaxed;
	} rows[] = {
		/* the example of RFC 6376 3.4.5 */
		B(" C \r\nD \t E\r\n\r\n\r\n", " C\r\nD E\r\n"),
		B("", ""), B("\r\n", ""), B("\r\n\r\n\r\n", ""),
		B(" \t\r\n \r\n", ""), B("  ", ""),
		B("a", "a\r\n"), B("a\r\n", "a\r\n"), B("a \t", "a\r\n"),
		B("a\r\n\r\n", "a\r\n"), B("a\r\n \t\r\n\r\n", "a\r\n"),
		B("a\r\n  ", "a\r\n"), B("\r\na", "\r\na\r\n"),
		B("\r\n \r\na\r\n", "\r\n\r\na\r\n"),
		B("a\r\n\r\n\r\nb\r\n", "a\r\n\r\n\r\nb\r\n"),
		B("\t a\t\tb \tc\t \r\n", " a b c\r\n"),
		/* a lone CR or LF ends no line */
		B("a\rb\r\n", "a\rb\r\n"), B("a\nb\r\n", "a\nb\r\n"),
		B("a\r\r\n", "a\r\r\n"), B("a\r", "a\r\r\n"),
		B("a \r b\r\n", "a \r b\r\n"), B("\r\n\r", "\r\n\r\r\n"),
		B(".\r\n..\r\n", ".\r\n..\r\n"),
		B("\0\xff \r\n", "\0\xff\r\n"),
	};
	size_t i, piece;

	(void)state;
	for (i = 0; i < N(rows); i++)
		for (piece = 1; piece <= rows[i].body.len + 1; piece++)
			check_body(rows[i].body, rows[i].relaxed, piece);
}

/* More empty lines than any buffer holds, in the middle and at the end. */
static void
test_long_body(void **state)
{
	struct buffer body = { NULL, 0, 0 }, relaxed = { NULL, 0, 0 };
	int i;

	(void)state;
	for (i = 0; i < 5000; i++)
		buffer_add(&body, SLICE("x  \r\n \r\n"));
	for (i = 0; i < 4999; i++)
		buffer_add(&relaxed, SLICE("x\r\n\r\n"));
	buffer_add(&relaxed, SLICE("x\r\n"));
	for (i = 0; i < 5000; i++)
		buffer_add(&body, SLICE("\t\r\n"));
	check_body((struct slice){ body.text, body.len },
	    (struct slice){ relaxed.text, relaxed.len }, 4097);
	buffer_free(&body);
	buffer_free(&relaxed);
}

static void
test_empty_body(void **state)
{
	static const struct slice messages[] = {
		{ "From: a\r\n\r\n", 11 }, { "From: a\r\n", 9 },
		{ "From: a", 7 }, { "From: a\r\n\r\n\r\n", 13 },
		{ "From: a\r\n\r\n \r\n\t", 15 },
	};
	struct buffer hash = { NULL, 0, 0 };
	struct dkim *dkim;
	size_t i;

	(void)state;
	for (i = 0; i < N(messages); i++) {
		dkim = message_of(messages[i]);
		assert_null(dkim_end(dkim));
		dkim_body_hash(dkim, &hash);
		assert_string_equal(hash.text, EMPTY_SHA256);
		/* as the simple form would have it */
		assert_string_not_equal(hash.text, CRLF_SHA256);
		buffer_free(&hash);
		dkim_free(&dkim);
	}
}

/*
 * Reading a message.
 */

static void
test_pieces(void **state)
{
	const struct slice message = SLICE("To: b\r\nFrom:\r\n a\r\n"
	    "X: y\r\n\r\nbody \r\n\r\nmore\r\n\r\n");
	struct slice left;
	uint8_t whole[DKIMSECRET_DIGEST_SIZE], pieces[DKIMSECRET_DIGEST_SIZE];
	struct buffer hash = { NULL, 0, 0 }, again = { NULL, 0, 0 };
	struct dkim *dkim = message_of(message);
	size_t piece, n;

	(void)state;
	assert_null(dkim_end(dkim));
	dkim_digest(dkim, SLICE("from:to:x"), SLICE("S: b="), whole);
	dkim_body_hash(dkim, &hash);
	dkim_free(&dkim);
	for (piece = 1; piece < message.len; piece++) {
		dkim = dkim_new();
		for (left = message; left.len > 0; left.len -= n) {
			n = piece < left.len ? piece : left.len;
			dkim_add(dkim, left.at, n);
			left.at += n;
		}
		assert_null(dkim_end(dkim));
		dkim_digest(dkim, SLICE("from:to:x"), SLICE("S: b="),
		    pieces);
		assert_memory_equal(whole, pieces, sizeof(whole));
		dkim_body_hash(dkim, &again);
		assert_string_equal(hash.text, again.text);
		buffer_free(&again);
		dkim_free(&dkim);
	}
	buffer_free(&hash);
}

/* A header of len octets, then a body. */
static const char *
try_header(size_t len)
{
	struct buffer text = { NULL, 0, 0 };
	struct dkim *dkim = dkim_new();
	const char *error;

	buffer_add(&text, SLICE("From: a\r\nX: "));
	while (text.len < len - 2)
		buffer_add(&text, SLICE("x"));
	buffer_add(&text, SLICE("\r\n\r\nFrom: no field\r\n"));
	dkim_add(dkim, text.text, text.len);
	error = dkim_end(dkim);
	dkim_free(&dkim);
	buffer_free(&text);
	return error;
}

static void
test_bounds(void **state)
{
	struct buffer many = { NULL, 0, 0 };
	struct dkim *dkim;
	int i;

	(void)state;
	assert_null(try_header(DKIM_HEADER_MAX));
	assert_non_null(strstr(try_header(DKIM_HEADER_MAX + 1), "longer"));
	assert_non_null(strstr(try_header(1000000), "longer"));
	for (i = 0; i < 98; i++)
		buffer_add(&many, SLICE("Subject: x\r\n"));
	buffer_add(&many, SLICE("From: x\r\n"));
	dkim = message_of((struct slice){ many.text, many.len });
	assert_null(dkim_end(dkim));
	dkim_free(&dkim);
	buffer_add(&many, SLICE("To: x\r\n"));
	dkim = message_of((struct slice){ many.text, many.len });
	assert_non_null(strstr(dkim_end(dkim), "more than 100 fields"));
	dkim_free(&dkim);
	buffer_free(&many);
}

static void
test_no_from(void **state)
{
	static const char *const messages[] = {
		"", "\r\n", "\r\nFrom: a\r\n", "To: b\r\n\r\nFrom: a\r\n",
		"From\r\nTo: b\r\n\r\n", "X-From: a\r\n", "To: b\r\n From: a",
	};
	struct dkim *dkim;
	size_t i;

	(void)state;
	for (i = 0; i < N(messages); i++) {
		dkim = message_of(slice_of(messages[i]));
		assert_non_null(strstr(dkim_end(dkim), "no From"));
		dkim_free(&dkim);
	}
}

/*
 * Digest of the header.
 */

/* SHA-256 of expected is what a signature with these names covers. */
static void
check_digest(const char *message, const char *names, const char *field,
    const char *expected)
{
	uint8_t is[DKIMSECRET_DIGEST_SIZE], want[DKIMSECRET_DIGEST_SIZE];
	struct dkim *dkim = message_of(slice_of(message));

	dkim_end(dkim);
	dkim_digest(dkim, slice_of(names), slice_of(field), is);
	assert_int_equal(EVP_Digest(expected, strlen(expected), want, NULL,
	    EVP_sha256(), NULL), 1);
	if (memcmp(is, want, sizeof(is)) != 0)
		fail_msg("h=%s is not over [%s]", names, expected);
	dkim_free(&dkim);
}

#define TWO	"Subject: first\r\nFrom: a\r\nSUBJECT: second\r\nTo: b\r\n\r\n"

static void
test_from_the_bottom(void **state)
{
	(void)state;
	check_digest(TWO, "subject", "S: b=", "subject:second\r\ns:b=");
	check_digest(TWO, "Subject:subject", "S: b=",
	    "subject:second\r\nsubject:first\r\ns:b=");
	check_digest(TWO, "subject:to:subject:subject", "S: b=",
	    "subject:second\r\nto:b\r\nsubject:first\r\ns:b=");
	/* not the order of the message but that of the list */
	check_digest(TWO, "to:from", "S: b=", "to:b\r\nfrom:a\r\ns:b=");
	check_digest(TWO, "from : none : from", "S: b=", "from:a\r\ns:b=");
}

static void
test_own_field(void **state)
{
	(void)state;
	check_digest(TWO, "from", "DKIM-Signature: v=1;  a=x;\r\n b=",
	    "from:a\r\ndkim-signature:v=1; a=x; b=");
	check_digest(TWO, "none", "S: b=", "s:b=");
}

/*
 * Signatures made by others.
 */

#define RFC_MESSAGE							\
	"From: Joe SixPack <joe@football.example.com>\r\n"		\
	"To: Suzie Q <suzie@shopping.example.net>\r\n"			\
	"Subject: Is dinner ready?\r\n"					\
	"Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"		\
	"Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n" \
	"\r\n"								\
	"Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n"
#define RFC_FIELD_ED25519						\
	"DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"	\
	" d=football.example.com; i=@football.example.com;\r\n"		\
	" q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n"	\
	" subject : date : message-id : from : subject : date;\r\n"	\
	" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n b="
#define RFC_FIELD_RSA							\
	"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n"	\
	" d=football.example.com; i=@football.example.com;\r\n"		\
	" q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n"	\
	" date : message-id : from : subject : date;\r\n"		\
	" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n b="

/* A message with most that canonicalisation is about; signed by dkimpy. */
#define OTHER_MESSAGE							\
	"Received: by x\r\n"						\
	"From: Joe  SixPack <joe@football.example.com>\r\n"		\
	"Subject: first\r\n"						\
	"To: Suzie Q\r\n\t<suzie@shopping.example.net>\r\n"		\
	"Subject:  second\t\r\n\t part \r\n"				\
	"Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"		\
	"\r\n"								\
	" Hi. \r\n\r\nWe lost\tthe  game.\r\n\r\n\r\n"
#define OTHER_FIELD_RSA							\
	"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n"	\
	" d=football.example.com; i=@football.example.com; q=dns/txt; s=test;" \
	"\r\n t=1528637909; h=from : from : to : subject : date : x-none;\r\n" \
	" bh=QOPYwfGWcr2YDB9qMYuA5cZ6xJvzq/jLSkNeuQ45mrA=;\r\n b="
#define OTHER_FIELD_ED25519						\
	"DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"	\
	" d=football.example.com; i=@football.example.com; q=dns/txt;\r\n" \
	" s=brisbane; t=1528637909; h=from : from : to : subject : date :\r\n" \
	" x-none; bh=QOPYwfGWcr2YDB9qMYuA5cZ6xJvzq/jLSkNeuQ45mrA=;\r\n b="

static void
check_vector(const char *message, const char *names, const char *field,
    const char *pem, const char *signature)
{
	struct dkim *dkim = message_of(slice_of(message));
	struct dkimsecret *secret = key_of(pem);
	uint8_t digest[DKIMSECRET_DIGEST_SIZE];
	uint8_t octets[DKIMSECRET_SIGNATURE_MAX];
	struct buffer text = { NULL, 0, 0 };
	size_t len;

	assert_null(dkim_end(dkim));
	dkim_body_hash(dkim, &text);
	assert_non_null(strstr(field, text.text));
	buffer_free(&text);
	dkim_digest(dkim, slice_of(names), slice_of(field), digest);
	len = dkimsecret_sign(secret, digest, octets);
	dkimsecret_base64(&text, octets, len);
	assert_string_equal(text.text, signature);
	buffer_free(&text);
	dkimsecret_free(&secret);
	dkim_free(&dkim);
}

static void
test_rfc_example(void **state)
{
	static const char names[] =
	    "from:to:subject:date:message-id:from:subject:date";

	(void)state;
	check_vector(RFC_MESSAGE, names, RFC_FIELD_ED25519, RFC_ED25519,
	    "/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY"
	    "5OsU7ZbnKELq+eXdp1Q1Dw==");
	check_vector(RFC_MESSAGE, names, RFC_FIELD_RSA, RFC_RSA,
	    "F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3"
	    "DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz"
	    "dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=");
}

static void
test_dkimpy_example(void **state)
{
	static const char names[] = "from:from:to:subject:date:x-none";

	(void)state;
	check_vector(OTHER_MESSAGE, names, OTHER_FIELD_RSA, RFC_RSA,
	    "rGKFqYQbZjlYjUW7sW0qyUPzHPRk4U6E1suJM/wBm/6xXT6us2lJ/F24rXbB9hE7"
	    "oelMm91wspwWZOBLxuf3QT28qkLOJWGr+3+Jc9FuvuuqVf1hb9ZRY9LGMwbXXW+S"
	    "CTIPZWXygrWmDExcGSDLm6EDd6gBc1P6bWLUj9qwSBo=");
	check_vector(OTHER_MESSAGE, names, OTHER_FIELD_ED25519, RFC_ED25519,
	    "rx3ONasol6OVBRGRVIdPtASQkRyQwKikOXcaV/i6yMq4TgQa5JS5rCGfRK1zM9kA"
	    "wI1WvFOZtAhqMn6eDACNCA==");
}

/*
 * The field.
 */

#define REPORT								\
	"From: tls-reports@relay.example\r\n"				\
	"To: reports@their.example\r\n"					\
	"Subject: Report Domain: their.example Submitter: relay.example\r\n" \
	" Report-ID: <1@relay.example>\r\n"				\
	"Date: Fri, 11 Jul 2003 21:00:37 -0700\r\n"			\
	"Message-ID: <1@relay.example>\r\n"				\
	"TLS-Report-Domain: their.example\r\n"				\
	"TLS-Report-Submitter: relay.example\r\n"			\
	"TLS-Required: No\r\n"						\
	"Auto-Submitted: auto-generated\r\n"				\
	"MIME-Version: 1.0\r\n"						\
	"Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n"	\
	"\tboundary=\"x\"\r\n"						\
	"Content-Transfer-Encoding: 7bit\r\n"				\
	"X-Other: not signed\r\n"					\
	"\r\n--x\r\n\r\n--x--\r\n"

static void
test_tags(void **state)
{
	char *field = sign(SLICE(REPORT), RFC_RSA, "relay.example", "sel");
	bool there;
	char *b;

	(void)state;
	assert_int_equal(strncmp(field, "DKIM-Signature: ", 16), 0);
	assert_tag(field, "v", "1");
	assert_tag(field, "a", "rsa-sha256");
	assert_tag(field, "c", "relaxed/relaxed");
	assert_tag(field, "d", "relay.example");
	assert_tag(field, "s", "sel");
	assert_tag(field, "t", "1528637909");
	assert_tag(field, "bh",
	    "IFBSMXaJWX82Gwo1JR8vmX1yBh9baAdS46lq8WJUKzQ=");
	b = tag(field, "b", &there);
	assert_int_equal(strlen(b), 172);	/* of 128 octets */
	free(b);
	assert_tag(field, "l", NULL);
	assert_tag(field, "x", NULL);
	free(field);
}

static void
test_names(void **state)
{
	char *field = sign(SLICE(REPORT), RFC_ED25519, "relay.example", "s");

	(void)state;
	assert_tag(field, "a", "ed25519-sha256");
	assert_tag(field, "h", "From:From:To:Subject:Date:Message-ID:"
	    "MIME-Version:Content-Type:Content-Transfer-Encoding:"
	    "Auto-Submitted:TLS-Required:TLS-Report-Domain:"
	    "TLS-Report-Submitter");
	free(field);
	field = sign(SLICE("From: a\r\nSubject: x\r\nfrom: b\r\n"
	    "Reply-To: c\r\nCc: d\r\nIn-Reply-To: e\r\nReferences: f\r\n"
	    "Subject : y\r\n\r\n"), RFC_ED25519, "relay.example", "s");
	assert_tag(field, "h", "From:From:From:Reply-To:Cc:Subject:Subject:"
	    "In-Reply-To:References");
	free(field);
}

/* A From that is put before or behind, and the signature is void. */
static void
test_oversigned(void **state)
{
	static const char names[] = "From:From:To";

	(void)state;
	check_digest("From: a\r\nTo: b\r\n\r\n", names, "S: b=",
	    "from:a\r\nto:b\r\ns:b=");
	check_digest("From: evil\r\nFrom: a\r\nTo: b\r\n\r\n", names, "S: b=",
	    "from:a\r\nfrom:evil\r\nto:b\r\ns:b=");
	check_digest("From: a\r\nTo: b\r\nFrom: evil\r\n\r\n", names, "S: b=",
	    "from:evil\r\nfrom:a\r\nto:b\r\ns:b=");
}

/* Lines of a field: at most 78 columns, CRLF, blank at the fold, 7 bit. */
static void
check_lines(const char *field, size_t most)
{
	const char *line = field, *end, *at;

	for (; *line != '\0'; line = end + 2) {
		end = strstr(line, "\r\n");
		assert_non_null(end);
		if ((size_t)(end - line) > most)
			fail_msg("%zu columns: %.*s", (size_t)(end - line),
			    (int)(end - line), line);
		assert_true(line == field || *line == ' ');
		for (at = line; at < end; at++)
			assert_true(*at >= ' ' && *at <= '~');
		/* a line of blanks alone would be obsolete syntax */
		assert_true(line[strspn(line, " ")] != '\r');
	}
}

static void
test_folding(void **state)
{
	char domain[254], selector[64], *field;
	size_t d, s;

	(void)state;
	for (d = 3; d <= 74; d++)
		for (s = 1; s <= 63; s += 3) {
			memset(domain, 'd', d);
			domain[d] = '\0';
			memset(selector, 's', s);
			selector[s] = '\0';
			field = sign(SLICE(REPORT), RFC_ED25519, domain,
			    selector);
			check_lines(field, 78);
			assert_tag(field, "d", domain);
			assert_tag(field, "s", selector);
			free(field);
		}
	memset(domain, 'd', 253);
	domain[253] = '\0';
	field = sign(SLICE(REPORT), RFC_RSA, domain, "s");
	check_lines(field, 257);
	free(field);
}

/* What dkim_sign makes is what its own public key verifies. */
static void
check_signature(const char *pem)
{
	char *field = sign(SLICE(REPORT), pem, "relay.example", "s"), *names;
	struct dkim *dkim = message_of(SLICE(REPORT));
	struct dkimsecret *secret = key_of(pem);
	uint8_t digest[DKIMSECRET_DIGEST_SIZE];
	uint8_t octets[DKIMSECRET_SIGNATURE_MAX];
	struct buffer text = { NULL, 0, 0 };
	bool there;
	char *b = tag(field, "b", &there);
	size_t len;

	assert_null(dkim_end(dkim));
	names = tag(field, "h", &there);
	strstr(field, " b=")[3] = '\0';
	dkim_digest(dkim, slice_of(names), slice_of(field), digest);
	/* Both schemes are deterministic. */
	len = dkimsecret_sign(secret, digest, octets);
	dkimsecret_base64(&text, octets, len);
	assert_string_equal(text.text, b);
	buffer_free(&text);
	free(b);
	free(names);
	free(field);
	dkimsecret_free(&secret);
	dkim_free(&dkim);
}

static void
test_signature(void **state)
{
	(void)state;
	check_signature(RFC_RSA);
	check_signature(RFC_ED25519);
}

/*
 * Keys.
 */

/* A key of libcrypto's as PEM; cipher: encrypted. */
static char *
pem_of(EVP_PKEY *key, bool whole, const EVP_CIPHER *cipher)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text, *copy;
	long len;

	assert_non_null(key);
	assert_int_equal(whole ? PEM_write_bio_PKCS8PrivateKey(bio, key,
	    cipher, "secret", cipher != NULL ? 6 : 0, NULL, NULL) :
	    PEM_write_bio_PUBKEY(bio, key), 1);
	len = BIO_get_mem_data(bio, &text);
	copy = mem_alloc((size_t)len + 1);
	memcpy(copy, text, (size_t)len);
	BIO_free(bio);
	EVP_PKEY_free(key);
	return copy;
}

static EVP_PKEY *
rsa(size_t bits)
{
	return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", bits);
}

/* words NULL: it is taken. */
static void
check_pem(char *pem, enum dkimkey_type type, unsigned bits,
    const char *words)
{
	struct dkimsecret *secret;
	const char *error = NULL;

	secret = dkimsecret_parse(slice_of(pem), &error);
	if (words != NULL) {
		assert_null(secret);
		if (strstr(error, words) == NULL)
			fail_msg("%s instead of %s", error, words);
	} else {
		assert_non_null(secret);
		assert_int_equal(dkimsecret_type(secret), type);
		assert_int_equal(dkimsecret_bits(secret), bits);
	}
	dkimsecret_free(&secret);
	free(pem);
}

static void
test_rsa_bits(void **state)
{
	(void)state;
	check_pem(pem_of(rsa(512), true, NULL), DKIMKEY_RSA, 0,
	    "less than 1024 bits");
	check_pem(pem_of(rsa(1016), true, NULL), DKIMKEY_RSA, 0,
	    "less than 1024 bits");
	check_pem(pem_of(rsa(1024), true, NULL), DKIMKEY_RSA, 1024, NULL);
	check_pem(pem_of(rsa(2048), true, NULL), DKIMKEY_RSA, 2048, NULL);
}

static void
test_other_keys(void **state)
{
	static const char *const cut = "-----BEGIN PRIVATE KEY-----\nMC4C\n"
	    "-----END PRIVATE KEY-----\n";
	char *long_one = mem_alloc(DKIMSECRET_PEM_MAX + 2);

	(void)state;
	memset(long_one, 'x', DKIMSECRET_PEM_MAX + 1);
	check_pem(long_one, DKIMKEY_RSA, 0, "longer than a key");
	check_pem(mem_copy(""), DKIMKEY_RSA, 0, "empty");
	check_pem(mem_copy("nonsense\n"), DKIMKEY_RSA, 0, "no private key");
	check_pem(mem_copy(cut), DKIMKEY_RSA, 0, "no private key");
	check_pem(pem_of(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"), true,
	    NULL), DKIMKEY_RSA, 0, "neither RSA nor Ed25519");
	check_pem(pem_of(EVP_PKEY_Q_keygen(NULL, NULL, "ED448"), true, NULL),
	    DKIMKEY_RSA, 0, "neither RSA nor Ed25519");
	check_pem(pem_of(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), true,
	    NULL), DKIMKEY_ED25519, 256, NULL);
	check_pem(pem_of(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), false,
	    NULL), DKIMKEY_ED25519, 0, "no private key");
	check_pem(pem_of(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), true,
	    EVP_aes_256_cbc()), DKIMKEY_ED25519, 0, "encrypted");
	check_pem(mem_copy(RFC_RSA), DKIMKEY_RSA, 1024, NULL);
	check_pem(mem_copy(RFC_ED25519), DKIMKEY_ED25519, 256, NULL);
}

/* An octet of d and of dP changed: it signs, and nobody can verify. */
static void
test_halves(void **state)
{
	char *pem = mem_copy(RFC_RSA);

	(void)state;
	strstr(pem, "ECQQDz")[0] = 'M';
	strstr(pem, "ECQE1a")[0] = 'M';
	check_pem(pem, DKIMKEY_RSA, 0, "do not belong together");
}

static void
check_public(const char *pem, const char *expected)
{
	struct dkimsecret *secret = key_of(pem);
	struct buffer text = { NULL, 0, 0 };

	dkimsecret_public(secret, &text);
	assert_string_equal(text.text, expected);
	buffer_free(&text);
	dkimsecret_free(&secret);
}

static void
test_public(void **state)
{
	(void)state;
	check_public(RFC_ED25519, RFC_ED25519_P);
	check_public(RFC_RSA, RFC_RSA_P);
}

/* What was made can be written and read again, and is the same key. */
static void
check_made(enum dkimkey_type type, unsigned bits)
{
	struct buffer pem = { NULL, 0, 0 }, one = { NULL, 0, 0 };
	struct buffer other = { NULL, 0, 0 };
	struct dkimsecret *made, *again;
	const char *error;

	made = dkimsecret_make(type, bits, &error);
	assert_non_null(made);
	assert_int_equal(dkimsecret_type(made), type);
	assert_true(dkimsecret_print(made, &pem));
	again = key_of(pem.text);
	dkimsecret_public(made, &one);
	dkimsecret_public(again, &other);
	assert_string_equal(one.text, other.text);
	dkimsecret_wipe(&pem);
	assert_null(pem.text);
	buffer_free(&one);
	buffer_free(&other);
	dkimsecret_free(&made);
	dkimsecret_free(&again);
	assert_null(again);
}

static void
test_made(void **state)
{
	struct dkimsecret *none;
	const char *error = NULL;

	(void)state;
	check_made(DKIMKEY_RSA, 2048);
	check_made(DKIMKEY_ED25519, 0);
	none = dkimsecret_make(DKIMKEY_RSA, 512, &error);
	assert_null(none);
	assert_non_null(strstr(error, "less than 1024"));
	dkimsecret_begin();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		NAMED("DKIM-6376-3.4.2-1 relaxed header fields", test_field),
		NAMED("DKIM-6376-3.4.2-1 relaxed bodies, in pieces of any "
		    "size", test_body),
		NAMED("DKIM-6376-3.4.2-1 a body with thousands of empty "
		    "lines", test_long_body),
		NAMED("DKIM-6376-3.4.3-1 an empty body is nothing",
		    test_empty_body),
		NAMED("a message in pieces of any size", test_pieces),
		NAMED("a header that is too long, too many fields",
		    test_bounds),
		NAMED("DKIM-6376-3.5-3 without From nothing is signed",
		    test_no_from),
		NAMED("DKIM-6376-5.4-1 repeated fields are picked from the "
		    "bottom", test_from_the_bottom),
		NAMED("DKIM-6376-5.4-1 From is oversigned", test_oversigned),
		NAMED("DKIM-6376-3.7-1 the signature's own field comes last, "
		    "without CRLF", test_own_field),
		NAMED("DKIM-8463-3-1, DKIM-6376-3.3-1, DKIM-6376-3.7-1 the "
		    "example of RFC 8463 A", test_rfc_example),
		NAMED("DKIM-6376-3.7-1 signatures that dkimpy made",
		    test_dkimpy_example),
		NAMED("DKIM-6376-3.5-1, DKIM-6376-3.5-2, RPT-3-14 the tags",
		    test_tags),
		NAMED("DKIM-6376-5.4.1-1, DKIM-6376-5.4-1, DKIM-6376-3.5-3, "
		    "RPT-5.3-5 the fields that are signed", test_names),
		NAMED("DKIM-6376-5.3-1 the field is folded at 78 columns, "
		    "7 bit, CRLF", test_folding),
		NAMED("DKIM-6376-3.7-1 what is made is over what it says",
		    test_signature),
		NAMED("DKIM-8301-3.2-1 RSA keys of 512, 1024, 2048 bits",
		    test_rsa_bits),
		NAMED("what is no key for signing is refused in words",
		    test_other_keys),
		NAMED("a private half that is not the public one's",
		    test_halves),
		NAMED("DKIM-8463-3-1 p= of both types", test_public),
		NAMED("keys are made, written, read again", test_made),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
