/*
 * Fuzz target: the octets after 354 (smtpd/data.c).
 *
 * The first octet says in which pieces the rest is fed.  However it is cut,
 * the message ends at the same place, is refused or taken alike, and, when it
 * is taken, has the same octets; and a reading octet by octet agrees.
 */
#include "smtpd/data.h"

#include <stdlib.h>
#include <string.h>

int	LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len);

struct reading {
	struct data	data;
	size_t		used;
	size_t		len;
	char		*message;
};

static void
feed(struct reading *reading, struct slice input, size_t piece)
{
	struct slice part, run;
	size_t before;

	data_begin(&reading->data);
	reading->message = malloc(input.len + 1);
	while (reading->used < input.len &&
	    reading->data.state != DATA_ENDED) {
		part = (struct slice){ input.at + reading->used,
		    input.len - reading->used };
		if (part.len > piece)
			part.len = piece;
		while (part.len > 0 && reading->data.state != DATA_ENDED) {
			before = part.len;
			data_take(&reading->data, &part, &run);
			if (part.len >= before)
				abort();
			reading->used += before - part.len;
			memcpy(reading->message + reading->len, run.at,
			    run.len);
			reading->len += run.len;
		}
	}
	if (reading->len != reading->data.size_bytes ||
	    strnlen(reading->data.msgid, sizeof(reading->data.msgid)) ==
	    sizeof(reading->data.msgid))
		abort();
}

/* Where CRLF "." CRLF ends it, and is there a lone CR, LF, or a NUL? */
static size_t
find_end(struct slice input, bool *ends, bool *bare)
{
	char before = '\n', earlier = '\r';
	size_t i;

	*ends = *bare = false;
	for (i = 0; i < input.len; i++) {
		char c = input.at[i];

		if (before == '\n' && earlier == '\r' && c == '.' &&
		    i + 2 < input.len && input.at[i + 1] == '\r' &&
		    input.at[i + 2] == '\n') {
			*ends = true;
			return i + 3;
		}
		if (c == '\0' || (c == '\n' && (before != '\r' || i == 0)) ||
		    (before == '\r' && i > 0 && c != '\n'))
			*bare = true;
		earlier = before;
		before = c;
	}
	return i;
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len)
{
	struct reading whole = { .used = 0 }, cut = { .used = 0 };
	struct slice input = { (const char *)octets + 1, len - 1 };
	bool ends, bare;
	size_t end;

	if (len < 2)
		return 0;
	feed(&whole, input, SIZE_MAX);
	feed(&cut, input, (size_t)octets[0] + 1);
	end = find_end(input, &ends, &bare);
	if (whole.used != end || cut.used != end ||
	    (whole.data.state == DATA_ENDED) != ends ||
	    whole.data.state != cut.data.state ||
	    whole.data.bare != bare || cut.data.bare != bare)
		abort();
	if (!bare && (whole.len != cut.len ||
	    memcmp(whole.message, cut.message, cut.len) != 0 ||
	    whole.data.eight_bit != cut.data.eight_bit ||
	    whole.data.received != cut.data.received ||
	    whole.data.long_line != cut.data.long_line ||
	    strcmp(whole.data.msgid, cut.data.msgid) != 0))
		abort();
	free(whole.message);
	free(cut.message);
	return 0;
}
