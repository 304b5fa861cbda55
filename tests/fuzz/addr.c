/*
 * Fuzz: every parser of addr.c on the same text.  What parses must print, and
 * what is printed must parse to the same thing.
 */
#include "conf/addr.h"

#include <stdint.h>
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
check_domain(struct slice text)
{
	struct domain domain, again;
	struct address address;

	if (!domain_parse(text, &domain)) {
		must(domain.name[0] == '\0');
		return;
	}
	must(domain_parse(slice_of(domain.name), &again));
	must(domain_equal(&domain, &again));
	must(domain_literal_address(&domain, &address) ==
	    domain_is_literal(&domain));
}

static void
check_mailbox(struct slice text)
{
	struct mailbox mailbox, again;
	char printed[MAILBOX_TEXT_MAX];

	if (!mailbox_parse(text, &mailbox)) {
		must(mailbox_is_null(&mailbox));
		return;
	}
	must(!mailbox_is_null(&mailbox));
	mailbox_print(&mailbox, printed);
	must(strlen(printed) < MAILBOX_TEXT_MAX);
	must(mailbox_parse(slice_of(printed), &again));
	must(strcmp(mailbox.local, again.local) == 0);
	must(domain_equal(&mailbox.domain, &again.domain));
}

static void
check_address(struct slice text)
{
	struct address address, again;
	struct network network;
	char printed[ADDRESS_TEXT_MAX];

	if (address_parse(text, &address)) {
		address_is_private(&address);
		address_print(&address, printed);
		must(address_parse(slice_of(printed), &again));
		must(address_equal(&address, &again));
		must(network_parse(text, &network));
		must(network_holds(&network, &address));
	}
	if (network_parse(text, &network))
		must(network_holds(&network, &network.address));
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len)
{
	struct slice text = { (const char *)octets, len };

	check_domain(text);
	check_mailbox(text);
	check_address(text);
	return 0;
}
