/*
 * Fuzz target: a message's octets (smtpd/required.c).
 *
 * However they are cut, what is found is the same; and once the header is
 * over nothing that follows changes it.
 */
#include "smtpd/required.h"

#include <stdlib.h>
#include <string.h>

int	LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len);

static void
must(bool holds)
{
	if (!holds)
		abort();
}

static struct required
take_in_pieces(const uint8_t *octets, size_t len, size_t piece)
{
	struct required required;
	size_t at, part;

	memset(&required, 0, sizeof(required));
	for (at = 0; at < len; at += part) {
		part = len - at < piece ? len - at : piece;
		required_take(&required, (struct slice){
		    (const char *)octets + at, part });
	}
	return required;
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len)
{
	struct required whole = take_in_pieces(octets, len, len + 1);
	struct required single = take_in_pieces(octets, len, 1);
	struct required some = take_in_pieces(octets, len, 7);
	struct required more;

	must(memcmp(&whole, &single, sizeof(whole)) == 0);
	must(memcmp(&whole, &some, sizeof(whole)) == 0);
	must(!required_is_no(&whole) || whole.fields == 1);
	more = whole;
	required_take(&more, SLICE("\r\n\r\nTLS-Required: No\r\n"));
	/* An open line may end as a field that was not one before. */
	if (whole.state == REQUIRED_BODY)
		must(memcmp(&whole, &more, sizeof(whole)) == 0);
	must(more.state == REQUIRED_BODY);
	return 0;
}
