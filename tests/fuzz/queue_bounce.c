/*
 * queue/bounce.c: whatever peers, senders and originals say, a notification
 * is 7 bit, in lines of at most 998 octets, in exactly three parts.
 *
 * The input is cut at octet 0 into: reply, enhanced code, host, address,
 * clause, repair, recipient, sender, and the original (the rest); its first
 * octet chooses what is no text.  ENVID, ORCPT and rule are the clause, the
 * repair and the enhanced code once more.
 */
#include "queue/bounce.h"

#include <stdlib.h>
#include <string.h>

int	LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len);

#define TEXTS	8
#define BOUNDARY "--=_culver/6883a40000000001"

/* The next text, as a peer's field of that size would hold it. */
static char *
next_text(struct slice *rest, size_t most)
{
	struct slice text = slice_cut(rest, '\0');
	char *copy = mem_alloc(most + 1);

	if (text.len > most)
		text.len = most;
	if (text.len > 0)
		memcpy(copy, text.at, text.len);
	if (rest->at == NULL)
		*rest = SLICE("");
	return copy;
}

/* No line too long, no octet that is not text; how many boundaries? */
static unsigned
check(struct slice text)
{
	unsigned boundaries = 0;
	size_t start = 0;

	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.at[i];

		if (c == '\n')
			abort();	/* bare */
		if (c != '\r') {
			if ((c < 0x20 && c != '\t') || c > 0x7e)
				abort();
			continue;
		}
		if (i + 1 == text.len || text.at[i + 1] != '\n' ||
		    i - start > 998)
			abort();
		boundaries += slice_begins((struct slice){ text.at + start,
		    i - start }, SLICE(BOUNDARY));
		start = ++i + 1;
	}
	if (start != text.len)
		abort();
	return boundaries;
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len)
{
	static const size_t sizes[TEXTS] = { 2047, 15, 255, 45, 63, 255, 386,
	    386 };
	char *texts[TEXTS];
	uint8_t choice = len > 0 ? octets[0] : 0;
	struct slice rest = { (const char *)octets + (len > 0),
	    len > 0 ? len - 1 : 0 };
	struct bounce_recipient one[2] = { { .code = 0 } };
	struct buffer text = { NULL, 0, 0 };
	struct bounce bounce = { .hostname = choice & 8 ? "" : "our.example",
	    .id = "6883a40000000001", .now_ms = 1790000000000,
	    .original_id = "6883a30000000001", .expire_s = choice * 1000,
	    .recipients = one, .recipients_n = choice & 4 ? 2 : 1,
	    .complete = choice & 1 };

	for (size_t i = 0; i < TEXTS; i++)
		texts[i] = next_text(&rest, sizes[i]);
	one[0] = (struct bounce_recipient){ .code = choice & 2 ? 550 : 0,
	    .action = (choice >> 5) % BOUNCE_ACTIONS, .orcpt = texts[5],
	    .rule = texts[1], .next_ms = (uint64_t)choice << 38,
	    .reply = texts[0], .enhanced = texts[1], .host = texts[2],
	    .ip = texts[3], .clause = texts[4], .repair = texts[5],
	    .address = texts[6], .expired = choice & 16,
	    .tried_ms = (uint64_t)choice << 40 };
	one[1] = one[0];
	bounce.to = texts[7];
	bounce.envid = texts[4];
	bounce.original = rest;
	bounce_build(&bounce, &text);
	/* three that begin a part, one that ends the last */
	if (check((struct slice){ text.text, text.len }) != 4)
		abort();
	buffer_free(&text);
	for (size_t i = 0; i < TEXTS; i++)
		free(texts[i]);
	return 0;
}
