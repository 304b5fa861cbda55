/*
 * Fuzz target: SMTP replies (delivery/reply.c).
 *
 * The first octet says in which pieces the rest is fed.  However it is cut,
 * the same must come of it as when it is fed at once; and whatever it is, a
 * reply that is whole has a code of 200 to 599, a bounded text without NUL,
 * and a status of its own class or none.
 */
#include "delivery/reply.h"

#include <stdlib.h>
#include <string.h>

int	LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len);

static void
check(const struct reply *reply, enum reply_state state)
{
	char status[REPLY_STATUS_MAX];
	size_t len = strnlen(reply->text, sizeof(reply->text));

	if (len == sizeof(reply->text))
		abort();
	if (state == REPLY_WHOLE && (reply->code < 200 || reply->code > 599 ||
	    reply->lines == 0 || len < 3))
		abort();
	if (state == REPLY_VIOLATION && reply->code != 0)
		abort();
	reply_status(reply, status, sizeof(status));
	if (status[0] != '\0' &&
	    (unsigned)(status[0] - '0') != reply_class(reply))
		abort();
	if (reply->enhanced[0] != '\0' &&
	    strspn(reply->enhanced, "0123456789.") !=
	    strlen(reply->enhanced))
		abort();
}

static void
count_line(void *context, struct slice text, bool first)
{
	unsigned *lines = context;

	if (first != (*lines == 0) || text.len > REPLY_LINE_MAX)
		abort();
	++*lines;
}

/* Returns how many octets the reply took. */
static size_t
feed(const char *octets, size_t len, size_t piece, struct reply *reply,
    enum reply_state *state)
{
	struct reply_parser parser;
	size_t at = 0, part, used;
	unsigned lines = 0;

	*state = REPLY_MORE;
	reply_begin(&parser, reply, count_line, &lines);
	while (at < len && *state == REPLY_MORE) {
		part = len - at < piece ? len - at : piece;
		*state = reply_feed(&parser, octets + at, part, &used);
		if (used > part || (*state == REPLY_MORE && used != part))
			abort();
		at += used;
	}
	if (lines != reply->lines)
		abort();
	check(reply, *state);
	return at;
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len)
{
	static struct reply whole, cut;
	enum reply_state whole_state, cut_state;
	size_t used, piece;

	if (len == 0)
		return 0;
	piece = (size_t)octets[0] + 1;
	octets++;
	len--;
	used = feed((const char *)octets, len, len + 1, &whole, &whole_state);
	if (feed((const char *)octets, len, piece, &cut, &cut_state) != used ||
	    cut_state != whole_state || cut.code != whole.code ||
	    cut.lines != whole.lines ||
	    strcmp(cut.text, whole.text) != 0 ||
	    strcmp(cut.enhanced, whole.enhanced) != 0)
		abort();
	return 0;
}
