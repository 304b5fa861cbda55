/*
 * A policy body: what is taken can be written down plainly and read again as
 * the same policy; what is refused leaves nothing behind, and a reason that
 * is fit for a log line.
 */
#include "policy/sts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int	LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len);

static void
demand(bool holds)
{
	if (!holds)
		abort();
}

static void
check_refusal(const struct sts_policy *policy, const struct sts_fault *fault)
{
	const char *at;

	demand(policy->mx == NULL && policy->mx_n == 0);
	demand(fault->reason[0] != '\0' && fault->clause != NULL);
	for (at = fault->reason; *at != '\0'; at++)
		demand(*at >= 0x20 && *at <= 0x7e);
}

static void
print_policy(const struct sts_policy *policy, struct buffer *text)
{
	size_t i;

	buffer_printf(text, "version: STSv1\nmode: %s\nmax_age: %" PRIu64 "\n",
	    sts_mode_name(policy->mode), policy->max_age_s);
	for (i = 0; i < policy->mx_n; i++)
		buffer_printf(text, "mx: %s%s\n",
		    policy->mx[i].wildcard ? "*." : "",
		    policy->mx[i].domain.name);
}

static void
check_same(const struct sts_policy *a, const struct sts_policy *b)
{
	size_t i;

	demand(a->mode == b->mode && a->max_age_s == b->max_age_s &&
	    a->mx_n == b->mx_n);
	for (i = 0; i < a->mx_n; i++)
		demand(a->mx[i].wildcard == b->mx[i].wildcard &&
		    domain_equal(&a->mx[i].domain, &b->mx[i].domain));
}

/* A plain pattern covers its own name; a wildcard one label and not two. */
static void
check_matches(const struct sts_policy *policy)
{
	struct domain host;
	struct sts_mx *mx;
	size_t i, len;

	for (i = 0; i < policy->mx_n; i++) {
		mx = &policy->mx[i];
		demand(sts_mx_covers(mx, &mx->domain) == !mx->wildcard);
		len = strlen(mx->domain.name);
		if (len + 4 >= sizeof(host.name))
			continue;
		memcpy(host.name, "a.", 2);
		memcpy(host.name + 2, mx->domain.name, len + 1);
		demand(sts_mx_covers(mx, &host) == mx->wildcard);
		demand(!mx->wildcard || sts_match_mx(policy, &host) >= 0);
		memcpy(host.name, "a.b.", 4);
		memcpy(host.name + 4, mx->domain.name, len + 1);
		demand(!sts_mx_covers(mx, &host));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len)
{
	struct sts_policy policy, again;
	struct sts_fault fault;
	struct buffer text = { NULL, 0, 0 };

	if (!sts_parse_policy((struct slice){ (const char *)octets, len },
	    &policy, &fault)) {
		check_refusal(&policy, &fault);
		return 0;
	}
	demand(policy.mode == STS_NONE || policy.mx_n > 0);
	demand(policy.max_age_s <= 9999999999);
	demand(sts_expires(0, policy.max_age_s) <= STS_MAX_AGE_MOST);
	print_policy(&policy, &text);
	if (text.len <= STS_BODY_MAX) {
		demand(sts_parse_policy((struct slice){ text.text, text.len },
		    &again, &fault));
		check_same(&policy, &again);
		sts_policy_free(&again);
	}
	check_matches(&policy);
	buffer_free(&text);
	sts_policy_free(&policy);
	return 0;
}
