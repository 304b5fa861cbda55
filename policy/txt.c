/*
 * What do a name's TXT records say, and a domain's _mta-sts record above all?
 *
 * Called by discover.c for mail and by refresher.c; txt_ask also by inquiry.c
 * and lookup.c.  Only this one name is asked: never a parent domain's
 * (STS-3.4-3).  A domain that is too long to have such a name has no record.
 */
#include "policy/txt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One question, the second time if need be. */
struct asking {
	struct dns	*dns;
	struct domain	 name;
	bool		 again;		/* this is the second question */
	dns_call	*call;
	void		*context;
};

struct finding {
	txt_call	*call;
	void		*context;
};

static void
on_answer(void *context, const struct rr_answer *answer, const char *failure)
{
	struct asking *asking = context;

	if (failure != NULL && !asking->again) {
		asking->again = true;
		dns_ask(asking->dns, &asking->name, RR_TXT, on_answer,
		    asking);
		return;
	}
	asking->call(asking->context, answer, failure);
	free(asking);
}

void
txt_ask(struct dns *dns, const struct domain *name, bool fresh,
    dns_call *call, void *context)
{
	struct asking *asking;

	asking = mem_alloc(sizeof(*asking));
	asking->dns = dns;
	asking->name = *name;
	asking->call = call;
	asking->context = context;
	if (fresh)
		dns_ask_fresh(dns, name, RR_TXT, on_answer, asking);
	else
		dns_ask(dns, name, RR_TXT, on_answer, asking);
}

static void
read_records(const struct rr_answer *answer, struct txt_found *found)
{
	struct sts_fault fault = { 0 };
	struct slice *texts;
	size_t i;

	texts = mem_alloc((answer->records_n + 1) * sizeof(texts[0]));
	for (i = 0; i < answer->records_n; i++)
		texts[i] = answer->records[i].data;
	found->txt = TXT_NONE;
	if (sts_parse_records(texts, answer->records_n, found->id, &fault))
		found->txt = TXT_OTHER;
	else if (strcmp(fault.reason, "none") != 0)
		snprintf(found->text, sizeof(found->text), "STS record: %s",
		    fault.reason);
	free(texts);
}

static void
on_records(void *context, const struct rr_answer *answer, const char *failure)
{
	struct finding *finding = context;
	struct txt_found found = { .txt = TXT_FAILED };

	found.ttl_s = answer->ttl_s;
	if (failure != NULL)
		snprintf(found.text, sizeof(found.text), "TXT: %s", failure);
	else
		read_records(answer, &found);
	finding->call(finding->context, &found);
	free(finding);
}

const char *
txt_reason(const struct txt_found *found)
{
	return found->id[0] == '\0' && found->text[0] == '\0' ?
	    "no STS record" : found->text;
}

/* STS-3.1-1 RFC 8461 3.1 */
void
txt_find(struct dns *dns, const struct domain *domain, bool fresh,
    txt_call *call, void *context)
{
	struct finding *finding;
	struct domain name;

	finding = mem_alloc(sizeof(*finding));
	finding->call = call;
	finding->context = context;
	/* The resolver refuses what is no name, which is "not a name". */
	if (!dns_under("_mta-sts", domain, &name))
		name = (struct domain){ RR_NAME_ODD };
	txt_ask(dns, &name, fresh, on_records, finding);
}
