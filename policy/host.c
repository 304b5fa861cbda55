/*
 * Where is one host, and does DNS say what it must prove?
 *
 * Called by route.c for each MX host, by obtain.c for policy hosts and by
 * inquiry.c for the receivers of reports.  One
 * search runs through these steps:
 *	ADDRESSES	A and AAAA, side by side
 *	ALIAS		the host is an alias whose end is insecure: is the
 *			alias itself secure?
 *	TLSA		_PORT._tcp under each candidate base in turn
 * and ends at the first that leaves nothing to ask.  RFC 7672 2.2.2, 2.2.3
 *
 * Does not decide what a state means for mail (decide.c), and compares no
 * certificate.
 */
#include "policy/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TTL_MOST_S	3600

/* What one of the two address questions brought. */
struct family {
	bool		 asked;
	bool		 answered;
	const char	*failure;
	bool		 missing;	/* NXDOMAIN */
	bool		 secure;
	bool		 alias;
	struct domain	 canonical;
	struct address	 addresses[ROUTE_ADDRESSES_MAX];
	unsigned	 addresses_n;
};

struct search {
	struct dns		*dns;
	uint16_t		 tlsa_port;	/* 0: TLSA is not asked for */
	host_call		*call;
	void			*context;
	struct host_found	*found;
	struct family		 six, four;
	/* TLSA base domains still to try, best first. */
	struct domain		 bases[2];
	unsigned		 bases_n, base;
};

static void	ask_tlsa(struct search *);

static void
search_end(struct search *search)
{
	search->call(search->context, search->found);
	free(search);
}

static void
note_ttl(struct search *search, const struct rr_answer *answer)
{
	if (answer->ttl_s < search->found->ttl_s)
		search->found->ttl_s = answer->ttl_s;
}

/*
 * TLSA.
 */

static void
tlsa_end(struct search *search, enum tlsa_state state)
{
	search->found->tlsa_state = state;
	search_end(search);
}

/* Keep the records as struct r_host has them.  False: too many. */
static bool
keep_tlsa(struct host_found *found, const struct rr_answer *answer)
{
	const struct slice *data;
	size_t i;

	found->tlsa = mem_alloc(ROUTE_TLSA_MAX);
	for (i = 0; i < answer->records_n; i++) {
		data = &answer->records[i].data;
		if (data->len > 65535 ||
		    found->tlsa_len + 2 + data->len > ROUTE_TLSA_MAX)
			return false;
		found->tlsa[found->tlsa_len++] = (uint8_t)(data->len & 0xff);
		found->tlsa[found->tlsa_len++] = (uint8_t)(data->len >> 8);
		memcpy(found->tlsa + found->tlsa_len, data->at, data->len);
		found->tlsa_len += (uint32_t)data->len;
	}
	return true;
}

static bool
any_usable(const struct rr_answer *answer)
{
	size_t i;

	for (i = 0; i < answer->records_n; i++)
		if (rr_tlsa_usable(answer->records[i].data))
			return true;
	return false;
}

static void
on_tlsa(void *context, const struct rr_answer *answer, const char *failure)
{
	struct search *search = context;
	struct host_found *found = search->found;

	/* DANE-7672-2.1.2-4 RFC 7672 2.1.2: a host we know too little of. */
	if (failure != NULL) {
		snprintf(found->text, sizeof(found->text), "TLSA: %s",
		    failure);
		tlsa_end(search, TLSA_FAILED);
		return;
	}
	note_ttl(search, answer);
	/* DANE-7672-2.2.3-3, DANE-7672-2.2.3-6, DANE-7672-2.1.1-2,
	 * DANE-7672-2.2.3-4: insecure records are as good as none. */
	if (!answer->secure || answer->records_n == 0) {
		search->base++;
		ask_tlsa(search);
		return;
	}
	/* DANE-7672-2.2.3-2: wherever the records' own aliases led. */
	found->tlsa_base = search->bases[search->base];
	if (!keep_tlsa(found, answer)) {
		snprintf(found->text, sizeof(found->text),
		    "TLSA: more than %d octets", ROUTE_TLSA_MAX);
		found->tlsa_len = 0;
		tlsa_end(search, TLSA_FAILED);
		return;
	}
	tlsa_end(search, any_usable(answer) ? TLSA_USABLE : TLSA_UNUSABLE);
}

/*
 * DANE-7672-2.2.3-1 RFC 7672 2.2.3: at the port that is used, always 25 for
 * an MX.  DANE-7672-2.1.2-3, DANE-7672-2.2.1-7: for every host of its own.
 */
static void
ask_tlsa(struct search *search)
{
	char prefix[sizeof("_65535._tcp")];
	struct domain name;

	snprintf(prefix, sizeof(prefix), "_%u._tcp",
	    (unsigned)search->tlsa_port);
	while (search->base < search->bases_n &&
	    !dns_under(prefix, &search->bases[search->base], &name))
		search->base++;
	if (search->base >= search->bases_n)
		tlsa_end(search, TLSA_ABSENT);
	else
		dns_ask(search->dns, &name, RR_TLSA, on_tlsa, search);
}

static void
add_base(struct search *search, const struct domain *base)
{
	search->bases[search->bases_n++] = *base;
}

/* DANE-7672-2.2.2-4 RFC 7672 2.2.2: the first alias' own security. */
static void
on_alias(void *context, const struct rr_answer *answer, const char *failure)
{
	struct search *search = context;

	if (failure != NULL) {
		snprintf(search->found->text, sizeof(search->found->text),
		    "CNAME: %s", failure);
		tlsa_end(search, TLSA_FAILED);
		return;
	}
	note_ttl(search, answer);
	if (!answer->secure) {
		tlsa_end(search, TLSA_INSECURE);
		return;
	}
	add_base(search, &search->found->name);
	ask_tlsa(search);
}

/*
 * Which names may bear this host's TLSA records?  The end of the alias chain
 * if all of it is secure, then the name itself; never one between
 * (DANE-7672-2.2.3-7).
 */
static void
find_bases(struct search *search, const struct family *family)
{
	struct host_found *found = search->found;

	if (found->secure && family->alias)
		found->canonical = family->canonical;
	if (search->tlsa_port == 0) {
		tlsa_end(search, TLSA_INSECURE);
	} else if (found->secure) {
		/* DANE-7672-2.2.2-5, DANE-7672-2.2.2-3 RFC 7672 2.2.2 */
		if (family->alias)
			add_base(search, &family->canonical);
		add_base(search, &found->name);
		ask_tlsa(search);
	} else if (family->alias) {
		dns_ask(search->dns, &found->name, RR_CNAME, on_alias, search);
	} else {
		/* DANE-7672-2.2.2-2 RFC 7672 2.2.2 */
		tlsa_end(search, TLSA_INSECURE);
	}
}

/*
 * Addresses.
 */

/* IPv6 and IPv4 in turn: one broken family costs every second address. */
static void
mix(struct search *search)
{
	struct host_found *found = search->found;
	unsigned i;

	for (i = 0; i < ROUTE_ADDRESSES_MAX; i++) {
		if (i < search->six.addresses_n &&
		    found->addresses_n < ROUTE_ADDRESSES_MAX)
			found->addresses[found->addresses_n++] =
			    search->six.addresses[i];
		if (i < search->four.addresses_n &&
		    found->addresses_n < ROUTE_ADDRESSES_MAX)
			found->addresses[found->addresses_n++] =
			    search->four.addresses[i];
	}
}

/*
 * No address: for good, or for now?  DANE-7672-2.2.2-6 RFC 7672 2.2.2,
 * DANE-7672-2.1.2-2: either way the host is passed over.
 */
static void
no_address(struct search *search)
{
	struct host_found *found = search->found;
	const char *failure = search->four.failure != NULL ?
	    search->four.failure : search->six.failure;

	if (failure != NULL) {
		found->lookup = ROUTE_AGAIN;
		snprintf(found->text, sizeof(found->text), "%s: %s",
		    search->four.failure != NULL ? "A" : "AAAA", failure);
	} else {
		found->lookup = ROUTE_FAIL;
		snprintf(found->text, sizeof(found->text), "%s",
		    search->four.missing || search->six.missing ?
		    "no such name" : !search->six.asked ? "no A record" :
		    !search->four.asked ? "no AAAA record" :
		    "no address record");
	}
	tlsa_end(search, TLSA_INSECURE);
}

/* Secure is what every answer that brought addresses was. */
static void
on_both(struct search *search)
{
	const struct family *six = &search->six, *four = &search->four;
	struct host_found *found = search->found;

	mix(search);
	if (found->addresses_n == 0) {
		no_address(search);
		return;
	}
	found->lookup = ROUTE_OK;
	found->secure = (six->addresses_n == 0 || six->secure) &&
	    (four->addresses_n == 0 || four->secure);
	find_bases(search, four->addresses_n > 0 ? four : six);
}

static void
take_family(struct family *family, const struct rr_answer *answer,
    const char *failure)
{
	size_t i;

	family->answered = true;
	family->failure = failure;
	family->missing = answer->status == RR_NXDOMAIN;
	family->secure = answer->secure;
	family->alias = answer->alias;
	family->canonical = answer->canonical;
	for (i = 0; i < answer->records_n && i < ROUTE_ADDRESSES_MAX; i++)
		family->addresses[family->addresses_n++] =
		    answer->records[i].address;
}

static void
on_address(struct search *search, struct family *family,
    const struct rr_answer *answer, const char *failure)
{
	take_family(family, answer, failure);
	/* A family without addresses says nothing that must be asked anew
	 * as long as the other has some. */
	if (family->addresses_n > 0)
		note_ttl(search, answer);
	if (search->six.answered == search->six.asked &&
	    search->four.answered == search->four.asked)
		on_both(search);
}

static void
on_six(void *context, const struct rr_answer *answer, const char *failure)
{
	struct search *search = context;

	on_address(search, &search->six, answer, failure);
}

static void
on_four(void *context, const struct rr_answer *answer, const char *failure)
{
	struct search *search = context;

	on_address(search, &search->four, answer, failure);
}

/* DANE-7672-2.2.2-1 RFC 7672 2.2.2: addresses first. */
void
host_find(struct dns *dns, const struct domain *name, enum config_ip ip,
    uint16_t tlsa_port, host_call *call, void *context)
{
	struct search *search;

	search = mem_alloc(sizeof(*search));
	search->dns = dns;
	search->tlsa_port = tlsa_port;
	search->call = call;
	search->context = context;
	search->found = mem_alloc(sizeof(*search->found));
	search->found->name = *name;
	search->found->ttl_s = TTL_MOST_S;
	search->six.asked = ip != CONFIG_IP_4;
	search->four.asked = ip != CONFIG_IP_6;
	if (search->six.asked)
		dns_ask(dns, name, RR_AAAA, on_six, search);
	if (search->four.asked)
		dns_ask(dns, name, RR_A, on_four, search);
}

/* RPT-7-4 RFC 8460 7: whoever writes a record names no host of ours. */
void
host_permit(struct host_found *found, bool private_too,
    char refused[ADDRESS_TEXT_MAX])
{
	unsigned i, n = 0;

	refused[0] = '\0';
	for (i = 0; i < found->addresses_n; i++) {
		if (private_too || !address_is_private(&found->addresses[i]))
			found->addresses[n++] = found->addresses[i];
		else if (refused[0] == '\0')
			address_print(&found->addresses[i], refused);
	}
	found->addresses_n = n;
}

void
host_free(struct host_found **found)
{
	if (*found == NULL)
		return;
	free((*found)->tlsa);
	free(*found);
	*found = NULL;
}
