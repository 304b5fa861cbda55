/*
 * A TXT answer, one record a line: whatever it is, who is to be sent to is a
 * mailbox or a host, none twice and five at most; reasons fit a log line; and
 * `check' agrees with what the relay does.
 */
#include "reports/rua.h"

#include <stdlib.h>
#include <string.h>

#define RECORDS_MOST	64

int	LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len);

static void
demand(bool holds)
{
	if (!holds)
		abort();
}

static void
check_printable(const char *text)
{
	for (; *text != '\0'; text++)
		demand(*text >= 0x20 && *text <= 0x7e);
}

/* RPT-3-9: it is a mailbox, and stays the same one on the wire. */
static void
check_mailbox(const struct mailbox *mailbox)
{
	char text[MAILBOX_TEXT_MAX];
	struct mailbox again;

	demand(mailbox->domain.name[0] != '\0');
	demand(mailbox_parse(slice_of(mailbox_print(mailbox, text)), &again));
	demand(strcmp(again.local, mailbox->local) == 0);
	demand(domain_equal(&again.domain, &mailbox->domain));
}

static void
check_host(const struct rua_receiver *receiver)
{
	struct domain domain;

	demand(domain_parse(slice_of(receiver->host), &domain));
	demand(strcmp(domain.name, receiver->host) == 0);
	demand(receiver->port >= 1 && receiver->port <= 65535);
}

static void
check_receivers(const struct rua *rua)
{
	for (unsigned i = 0; i < rua->n; i++) {
		const struct rua_receiver *receiver = &rua->receiver[i];

		check_printable(receiver->uri);
		demand(strpbrk(receiver->uri, " ,;!") == NULL);
		if (receiver->scheme == RUA_MAILTO)
			check_mailbox(&receiver->mailbox);
		else
			check_host(receiver);
		for (unsigned k = 0; k < i; k++)
			demand(strcmp(rua->receiver[k].uri, receiver->uri));
	}
}

/* What was taken once is taken again beside strangers. */
static void
check_discard(struct slice *records, unsigned n, const struct rua *rua)
{
	struct rua again;

	records[n] = SLICE("v=spf1 -all");
	demand(rua_read(records, n + 1, &again) == RUA_FOUND);
	demand(again.n == rua->n && again.skipped == rua->skipped);
	records[n] = SLICE("v=TLSRPTv1;rua=mailto:a@b.example");
	demand(rua_read(records, n + 1, &again) == RUA_INVALID);
	demand(again.n == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len)
{
	struct slice rest = { (const char *)octets, len };
	struct slice records[RECORDS_MOST + 1];
	struct buffer json = { 0 };
	enum rua_found found;
	struct rua rua;
	unsigned n = 0;
	bool valid;

	while (rest.at != NULL && n < RECORDS_MOST)
		records[n++] = slice_cut(&rest, '\n');
	found = rua_read(records, n, &rua);
	valid = rua_check(records, n, &json);
	demand((found == RUA_FOUND) == (rua.n > 0) && rua.n <= RUA_MAX);
	demand(found == RUA_FOUND || rua.reason[0] != '\0');
	demand(valid || found != RUA_FOUND);
	check_printable(rua.reason);
	check_receivers(&rua);
	if (found == RUA_FOUND)
		check_discard(records, n, &rua);
	buffer_free(&json);
	return 0;
}
