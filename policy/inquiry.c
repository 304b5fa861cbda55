/*
 * What does culver-reports want to know, and what must it be told?
 *
 * Called by main.c; serves the link to culver-reports.  One asking is one
 * R_TXT or R_PIN that waits for DNS; R_TEXT is answered at once, from the
 * cache.  Failed fetches (obtain.c) are said through an outbox, which keeps
 * them while culver-reports is away.
 *
 * Does not read the records it finds (reports/rua.c), sends nothing to a
 * report's receiver (culver-fetch), and counts nothing.
 */
#include "policy/inquiry.h"

#include "conf/link.h"
#include "conf/log.h"
#include "conf/outbox.h"
#include "policy/host.h"
#include "policy/txt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RECORD_PREFIX	"_smtp._tls"
/* With DNS at a time; a day's reports are spread over hours. */
#define ASKINGS_MAX	32

static const struct outbox_bounds bounds = {
	.messages = 10000, .octets = 4u << 20
};

struct inquiry {
	struct loop	*loop;
	struct dns	*dns;
	struct cache	*cache;
	enum config_ip	 ip;
	bool		 private_too;
	struct outbox	*outbox;	/* NULL: tls-report off */
	struct link	*link;
	unsigned	 asker;		/* counts links */
	unsigned	 askings;	/* of all links */
};

/* One question that waits for DNS. */
struct asking {
	struct inquiry	*inquiry;
	unsigned	 asker;		/* inquiry->asker then */
	uint64_t	 question;
};

static struct asking *
asking_new(struct inquiry *inquiry, uint64_t question)
{
	struct asking *asking;

	asking = mem_alloc(sizeof(*asking));
	asking->inquiry = inquiry;
	asking->asker = inquiry->asker;
	asking->question = question;
	inquiry->askings++;
	return asking;
}

/* Take questions while there is room for them and for their answers. */
static void
pause_or_go_on(struct inquiry *inquiry)
{
	if (inquiry->link != NULL)
		link_pause(inquiry->link, inquiry->askings >= ASKINGS_MAX ||
		    link_full(inquiry->link));
}

/* The end of an asking: message is its answer. */
static void
asking_end(struct asking *asking, unsigned kind, const void *message)
{
	struct inquiry *inquiry = asking->inquiry;

	if (inquiry->link != NULL && asking->asker == inquiry->asker)
		link_send(inquiry->link, kind, message, NULL);
	free(asking);
	inquiry->askings--;
	pause_or_go_on(inquiry);
}

/*
 * The record.
 */

static bool
put_record(struct r_txt_answer *answer, struct slice record)
{
	if (record.len > 65535 ||
	    record.len + 2 > TXT_RECORDS_MAX - answer->records_len)
		return false;
	answer->records[answer->records_len++] = (uint8_t)(record.len & 0xff);
	answer->records[answer->records_len++] = (uint8_t)(record.len >> 8);
	memcpy(answer->records + answer->records_len, record.at, record.len);
	answer->records_len += (uint32_t)record.len;
	return true;
}

/* RPT-3-21 RFC 8460 3: a record's strings were joined by rr_parse. */
static void
take_records(const struct rr_answer *found, struct r_txt_answer *answer)
{
	size_t i;

	answer->outcome = ROUTE_FAIL;
	if (found->records_n == 0) {
		snprintf(answer->text, sizeof(answer->text), "%s",
		    found->status == RR_NXDOMAIN ? "no such name" :
		    "no TXT record");
		return;
	}
	for (i = 0; i < found->records_n; i++)
		if (!put_record(answer, found->records[i].data)) {
			answer->records_len = 0;
			snprintf(answer->text, sizeof(answer->text),
			    "TXT: more than %d octets", TXT_RECORDS_MAX);
			return;
		}
	answer->outcome = ROUTE_OK;
}

static void
on_txt(void *context, const struct rr_answer *found, const char *failure)
{
	struct asking *asking = context;
	struct r_txt_answer *answer = mem_alloc(sizeof(*answer));

	answer->question = asking->question;
	if (failure != NULL) {
		answer->outcome = ROUTE_AGAIN;
		snprintf(answer->text, sizeof(answer->text), "TXT: %s",
		    failure);
	} else {
		take_records(found, answer);
	}
	asking_end(asking, R_TXT_ANSWER, answer);
	free(answer);
}

/*
 * RPT-3-1 RFC 8460 3: at the policy domain itself, in A-labels; no parent is
 * asked.  An answer of DNS is used as long as its TTL says, not longer.
 */
static void
take_txt(struct inquiry *inquiry, const struct r_txt *txt)
{
	struct asking *asking = asking_new(inquiry, txt->question);
	struct r_txt_answer answer = {
		.question = txt->question, .outcome = ROUTE_FAIL
	};
	struct domain domain, name;

	if (!domain_parse(slice_of(txt->domain), &domain) ||
	    domain_is_literal(&domain))
		snprintf(answer.text, sizeof(answer.text), "it is no domain");
	else if (!dns_under(RECORD_PREFIX, &domain, &name))
		snprintf(answer.text, sizeof(answer.text),
		    "its name is too long for a record under %s",
		    RECORD_PREFIX);
	else {
		txt_ask(inquiry->dns, &name, false, on_txt, asking);
		return;
	}
	asking_end(asking, R_TXT_ANSWER, &answer);
}

/*
 * Addresses of a receiver.
 */

/* RPT-7-4 RFC 8460 7: as for policy hosts. */
static void
pin(struct asking *asking, struct host_found *found)
{
	struct r_pinned pinned = {
		.question = asking->question, .outcome = found->lookup
	};
	char refused[ADDRESS_TEXT_MAX];
	unsigned i;

	host_permit(found, asking->inquiry->private_too, refused);
	for (i = 0; i < found->addresses_n; i++)
		route_put_address(pinned.addresses, &pinned.addresses_len,
		    sizeof(pinned.addresses), &found->addresses[i]);
	if (found->lookup != ROUTE_OK) {
		memcpy(pinned.text, found->text, sizeof(pinned.text));
	} else if (found->addresses_n == 0) {
		pinned.outcome = ROUTE_FAIL;
		snprintf(pinned.text, sizeof(pinned.text), "%s is private",
		    refused);
	}
	asking_end(asking, R_PINNED, &pinned);
}

static void
on_host(void *context, struct host_found *found)
{
	pin(context, found);
	host_free(&found);
}

/* A literal is its own address, if its family may be used. */
static void
pin_literal(struct asking *asking, const struct domain *host)
{
	struct host_found found = { .lookup = ROUTE_FAIL };
	enum config_ip ip = asking->inquiry->ip;
	struct address *address = &found.addresses[0];

	if (!domain_literal_address(host, address)) {
		snprintf(found.text, sizeof(found.text), "it is no address");
	} else if ((ip == CONFIG_IP_4 && address->family != 4) ||
	    (ip == CONFIG_IP_6 && address->family != 6)) {
		snprintf(found.text, sizeof(found.text), "no IPv%d address",
		    ip == CONFIG_IP_4 ? 4 : 6);
	} else {
		found.lookup = ROUTE_OK;
		found.addresses_n = 1;
	}
	pin(asking, &found);
}

static void
take_pin(struct inquiry *inquiry, const struct r_pin *message)
{
	struct asking *asking = asking_new(inquiry, message->question);
	struct host_found none = {
		.lookup = ROUTE_FAIL, .text = "it is no host's name"
	};
	struct domain host;

	if (!domain_parse(slice_of(message->host), &host))
		pin(asking, &none);
	else if (domain_is_literal(&host))
		pin_literal(asking, &host);
	else
		host_find(inquiry->dns, &host, inquiry->ip, 0, on_host,
		    asking);
}

/*
 * The text of a policy.
 */

/* The kept text of this mark.  Borrowed from the cache. */
static bool
find_text(struct inquiry *inquiry, const struct r_text *text,
    struct slice *body)
{
	struct domain domain;

	return domain_parse(slice_of(text->domain), &domain) &&
	    cache_text(inquiry->cache, &domain, text->sts_text, body);
}

/*
 * A pipe that holds the text, and its end; or an empty one.  Returns the read
 * end, or -1.  A text is at most STS_BODY_MAX: what a pipe holds.
 */
static int
text_pipe(struct slice body)
{
	int ends[2];
	ssize_t n = 0;

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) == -1)
		return -1;
	if (body.len > 0)
		n = write(ends[1], body.at, body.len);
	close(ends[1]);
	if (n == (ssize_t)body.len)
		return ends[0];
	/* The kernel gives short pipes to those who have many. */
	close(ends[0]);
	return -1;
}

static void
take_text(struct inquiry *inquiry, const struct r_text *text)
{
	struct r_text_answer answer = { .question = text->question };
	struct slice body = { NULL, 0 };
	int fd;

	answer.found = find_text(inquiry, text, &body);
	if (!answer.found)
		body = (struct slice){ NULL, 0 };
	fd = text_pipe(body);
	if (fd != -1) {
		link_send(inquiry->link, R_TEXT_ANSWER, &answer, &fd);
		return;
	}
	/* Not an answer: asked again over a fresh link, in better times. */
	log_line(LOG_LEVEL_ERROR, "no pipe for the policy of %s: %s",
	    text->domain, strerror(errno));
	link_close(&inquiry->link);
	if (inquiry->outbox != NULL)
		outbox_link(inquiry->outbox, NULL);
}

/*
 * The link.
 */

void
inquiry_failed(void *context, struct r_failed *failed)
{
	struct inquiry *inquiry = context;

	if (inquiry->outbox != NULL)
		outbox_put(inquiry->outbox, failed);
}

static void
on_message(void *context, struct link *link, unsigned kind,
    const void *message, int *fds)
{
	struct inquiry *inquiry = context;

	(void)link;
	(void)fds;
	switch (kind) {
	case R_TXT:
		take_txt(inquiry, message);
		break;
	case R_PIN:
		take_pin(inquiry, message);
		break;
	case R_TEXT:
		take_text(inquiry, message);
		break;
	case R_FAILED_KEPT:
		if (inquiry->outbox != NULL)
			outbox_settled(inquiry->outbox,
			    ((const struct r_failed_kept *)message)->sequence);
		break;
	}
	pause_or_go_on(inquiry);
}

static void
on_drained(void *context, struct link *link)
{
	struct inquiry *inquiry = context;

	(void)link;
	if (inquiry->outbox != NULL)
		outbox_drained(inquiry->outbox);
	pause_or_go_on(inquiry);
}

static void
on_closed(void *context, struct link *link)
{
	struct inquiry *inquiry = context;

	(void)link;
	inquiry->link = NULL;
	if (inquiry->outbox != NULL)
		outbox_link(inquiry->outbox, NULL);
}

void
inquiry_link(struct inquiry *inquiry, int fd)
{
	static const struct link_calls calls = {
		.message = on_message, .closed = on_closed,
		.drained = on_drained
	};

	link_close(&inquiry->link);
	inquiry->asker++;
	inquiry->link = link_new(inquiry->loop, fd, &inquiry_wire, &calls,
	    inquiry);
	if (inquiry->outbox != NULL)
		outbox_link(inquiry->outbox, inquiry->link);
	pause_or_go_on(inquiry);
}

/* Begin or end to keep what failed. */
static void
set_outbox(struct inquiry *inquiry, bool wanted)
{
	if (wanted == (inquiry->outbox != NULL))
		return;
	if (!wanted) {
		outbox_free(&inquiry->outbox);
		return;
	}
	inquiry->outbox = outbox_new(wire_find(&inquiry_wire, R_FAILED),
	    "failed fetches", &bounds);
	outbox_link(inquiry->outbox, inquiry->link);
}

void
inquiry_set(struct inquiry *inquiry, const struct config *config)
{
	inquiry->ip = config->ip;
	inquiry->private_too = config->fetch_private_addresses;
	set_outbox(inquiry, config->tls_report);
}

struct inquiry *
inquiry_new(struct loop *loop, struct dns *dns, struct cache *cache)
{
	struct inquiry *inquiry;

	inquiry = mem_alloc(sizeof(*inquiry));
	inquiry->loop = loop;
	inquiry->dns = dns;
	inquiry->cache = cache;
	return inquiry;
}
