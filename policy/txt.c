/*
 * What does a domain's _mta-sts record say?
 *
 * Called by discover.c for mail and by refresher.c.  Only this one name is
 * asked: never a parent domain's (STS-3.4-3).  A domain that is too long to
 * have such a name has no record.
 */
#include "policy/txt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct finding {
	struct dns	*dns;
	struct domain	 name;
	bool		 again;		/* this is the second question */
	txt_call	*call;
	void		*context;
};

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
on_answer(void *context, const struct rr_answer *answer, const char *failure)
{
	struct finding *finding = context;
	struct txt_found found = { .txt = TXT_FAILED };

	if (failure != NULL && !finding->again) {
		finding->again = true;
		dns_ask(finding->dns, &finding->name, RR_TXT, on_answer,
		    finding);
		return;
	}
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

	finding = mem_alloc(sizeof(*finding));
	finding->dns = dns;
	finding->call = call;
	finding->context = context;
	/* The resolver refuses what is no name, which is "not a name". */
	if (!dns_under("_mta-sts", domain, &finding->name))
		finding->name = (struct domain){ RR_NAME_ODD };
	if (fresh)
		dns_ask_fresh(dns, &finding->name, RR_TXT, on_answer, finding);
	else
		dns_ask(dns, &finding->name, RR_TXT, on_answer, finding);
}
