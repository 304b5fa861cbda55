/*
 * A DKIM key record; the same octets also as culver-policy's line about one,
 * and as a message to sign: whatever they are, a key comes out only whole, a
 * reason is fit for a person, and a body is the same in any pieces.
 */
#include "queue/dkim.h"
#include "queue/dkimkey.h"
#include "queue/dkimline.h"

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
check_key(const struct dkimkey *key)
{
	demand(key->octets_len <= sizeof(key->octets));
	demand(key->revoked == (key->octets_len == 0));
	if (key->type == DKIMKEY_ED25519 && !key->revoked)
		demand(key->octets_len == DKIMKEY_ED25519_OCTETS);
}

static void
check_reason(const char *reason)
{
	demand(reason != NULL && reason[0] != '\0');
	for (; *reason != '\0'; reason++)
		demand(*reason >= 0x20 && *reason <= 0x7e);
}

/* What was taken once is taken again with blanks around it. */
static void
check_blanks(struct slice record, const struct dkimkey *key)
{
	struct buffer wider = { NULL, 0, 0 };
	struct dkimkey again;
	const char *reason;

	buffer_add(&wider, SLICE(" \t"));
	buffer_add(&wider, record);
	buffer_add(&wider, SLICE("\r\n "));
	demand(dkimkey_parse((struct slice){ wider.text, wider.len }, &again,
	    &reason));
	demand(memcmp(key, &again, sizeof(again)) == 0);
	buffer_free(&wider);
}

static void
play_record(struct slice record)
{
	struct dkimkey key;
	const char *reason = NULL;

	if (dkimkey_parse(record, &key, &reason)) {
		check_key(&key);
		check_blanks(record, &key);
	} else {
		check_reason(reason);
	}
}

static void
play_line(struct slice text)
{
	struct region *region = region_new();
	struct dkimline line;
	size_t i;

	if (dkimline_parse(text, region, &line)) {
		demand(line.name.len + line.outcome.len + line.text.len <=
		    text.len);
		for (i = 0; i < line.records_n && i < DKIMLINE_RECORDS_MAX;
		    i++)
			play_record(line.records[i]);
	}
	region_free(&region);
}

/* In pieces of this size: what a signature of it would cover. */
static const char *
digest(struct slice text, size_t piece, struct buffer *body,
    uint8_t header[DKIMSECRET_DIGEST_SIZE])
{
	struct dkim *dkim = dkim_new();
	const char *error;
	size_t n;

	for (; text.len > 0; text.at += n, text.len -= n) {
		n = piece < text.len ? piece : text.len;
		dkim_add(dkim, text.at, n);
	}
	error = dkim_end(dkim);
	dkim_digest(dkim, SLICE("v:from:From:to:to"), SLICE("S: b="), header);
	dkim_body_hash(dkim, body);
	dkim_free(&dkim);
	return error;
}

static void
play_message(struct slice text)
{
	uint8_t whole[DKIMSECRET_DIGEST_SIZE], pieces[DKIMSECRET_DIGEST_SIZE];
	struct buffer body = { NULL, 0, 0 }, again = { NULL, 0, 0 };

	demand(digest(text, text.len, &body, whole) ==
	    digest(text, 1, &again, pieces));
	demand(memcmp(whole, pieces, sizeof(whole)) == 0);
	demand(strcmp(body.text, again.text) == 0);
	buffer_free(&body);
	buffer_free(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len)
{
	struct slice text = { len > 0 ? (const char *)octets : "", len };

	play_record(text);
	play_line(text);
	play_message(text);
	return 0;
}
