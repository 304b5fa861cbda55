/*
 * Which texts did policies have until a short while ago?
 *
 * Called by cache.c when a policy is replaced, and for culver-reports, which
 * wants the text that a session was under (RFC 8460 4.5).  A ring of bounded
 * size: a stranger who changes his policy with each fetch pushes out others'
 * old texts, nothing more.
 */
#include "policy/replaced.h"

#include "policy/policy.h"

#include <stdlib.h>
#include <string.h>

#define TEXTS_MAX	64
#define OCTETS_MAX	(1u << 20)

struct text {
	struct domain	domain;
	uint64_t	mark;
	char		*octets;	/* NULL: the place is free */
	size_t		len;
};

struct replaced {
	struct text	texts[TEXTS_MAX];
	unsigned	oldest, n;
	size_t		octets;
};

struct replaced *
replaced_new(void)
{
	return mem_alloc(sizeof(struct replaced));
}

static void
drop_oldest(struct replaced *replaced)
{
	struct text *text = &replaced->texts[replaced->oldest];

	replaced->octets -= text->len;
	free(text->octets);
	text->octets = NULL;
	replaced->oldest = (replaced->oldest + 1) % TEXTS_MAX;
	replaced->n--;
}

void
replaced_free(struct replaced **replaced)
{
	if (*replaced == NULL)
		return;
	while ((*replaced)->n > 0)
		drop_oldest(*replaced);
	free(*replaced);
	*replaced = NULL;
}

void
replaced_add(struct replaced *replaced, const struct domain *domain,
    struct slice body)
{
	struct text *text;

	if (body.len > OCTETS_MAX)
		return;
	while (replaced->n == TEXTS_MAX || (replaced->n > 0 &&
	    replaced->octets + body.len > OCTETS_MAX))
		drop_oldest(replaced);
	text = &replaced->texts[(replaced->oldest + replaced->n++) %
	    TEXTS_MAX];
	text->domain = *domain;
	text->mark = policy_text_mark(body);
	text->octets = mem_alloc(body.len + 1);
	if (body.len > 0)
		memcpy(text->octets, body.at, body.len);
	text->len = body.len;
	replaced->octets += body.len;
}

bool
replaced_find(const struct replaced *replaced, const struct domain *domain,
    uint64_t mark, struct slice *body)
{
	const struct text *text;
	unsigned i;

	for (i = 0; i < replaced->n; i++) {
		text = &replaced->texts[(replaced->oldest + i) % TEXTS_MAX];
		if (text->mark != mark || !domain_equal(&text->domain, domain))
			continue;
		*body = (struct slice){ text->octets, text->len };
		return true;
	}
	return false;
}
