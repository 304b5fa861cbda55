/*
 * Fuzz target: URLs of next hops, joined by "," (conf/relayhost.c).
 *
 * A URL that is taken is printed in a form that holds no comma and no blank,
 * fits where it has to, and is taken for the same; the octets as a sender's
 * pattern never end the program.
 */
#include "conf/relayhost.h"

#include <stdlib.h>
#include <string.h>

int	LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len);

static void
must(bool holds)
{
	if (!holds)
		abort();
}

static void
check_url(const struct relayhost *relay)
{
	char text[RELAYHOST_TEXT_MAX], url[DOMAIN_TEXT_MAX];
	struct relayhost again;
	const char *why, *at;

	relayhost_print(relay, text);
	must(strlen(text) < RELAYHOST_TEXT_MAX - 1 && relayhost_is(text));
	for (at = text; *at != '\0'; at++)
		must(*at > ' ' && *at <= '~' && *at != ',');
	must(relayhost_parse(slice_of(text), &again, &why));
	must(again.scheme == relay->scheme && again.port == relay->port &&
	    again.direct == relay->direct &&
	    domain_equal(&again.host, &relay->host));
	must(relay->port != 0);
	must(!domain_is_literal(&relay->host) || relay->direct);
	if (strlen(text) < sizeof(url))
		must(relayhost_nth(text, 0, url) && strcmp(url, text) == 0);
	must(!relayhost_nth(text, 1, url));
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len)
{
	struct slice rest = { (const char *)octets, len }, one;
	char *pattern = mem_alloc(len + 1), url[DOMAIN_TEXT_MAX];
	struct mailbox sender = { "me", { "example.org" } };
	struct relayhost relay;
	const char *why;
	unsigned n = 0;

	while (rest.at != NULL) {
		one = slice_cut(&rest, ',');
		why = NULL;
		if (relayhost_parse(one, &relay, &why))
			check_url(&relay);
		else
			must(why != NULL && why[0] != '\0');
	}
	if (len > 0)
		memcpy(pattern, octets, len);
	relayhost_is_sender(pattern, &sender);
	if (relayhost_require(pattern, url))
		must(strlen(url) < sizeof(url));
	while (n < 1000 && relayhost_nth(pattern, n, url))
		n++;
	free(pattern);
	return 0;
}
