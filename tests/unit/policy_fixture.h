/*
 * A DNS of text for tests of what asks it.  It stands in the place of
 * policy/dns.c: a test program that includes this file links that one not.
 *
 * A zone is lines "NAME TYPE SIGN DATA...":
 *	mx.s A + 192.0.2.1 192.0.2.2	secure ("-": insecure)
 *	al.s A + @mx.s 192.0.2.1	the same, found at the alias' end mx.s
 *	mx.s TLSA + 3/1/1/32		usage, selector, matching, octets
 *	s MX + 10:mx.s 20:.		preference and exchange
 *	s TXT - v=STSv1;_id=1;		"_" stands for a blank
 *	bad.s A ! SERVFAIL		a failure
 *	gone.s A + NX			no such name
 * What is not listed: no such data if the name has other lines, else no such
 * name; insecure.  Answers come when dns_play runs, in the order of questions
 * or in that of a shuffle.
 */
#ifndef CULVER_POLICY_FIXTURE_H
#define CULVER_POLICY_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/dns.h"

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))
#define TTL_S		100

struct dns {
	const char	*zone;
	char		 log[8192];	/* "A mx.s\n" for the first ones */
	struct asked {
		struct asked	*next;
		struct domain	 name;
		enum rr_type	 type;
		dns_call	*call;
		void		*context;
	}		*asked;
};

static const char *
type_name(enum rr_type type)
{
	switch (type) {
	case RR_A:
		return "A";
	case RR_AAAA:
		return "AAAA";
	case RR_CNAME:
		return "CNAME";
	case RR_MX:
		return "MX";
	case RR_TXT:
		return "TXT";
	case RR_TLSA:
		return "TLSA";
	case RR_SOA:
		return "SOA";
	}
	return "?";
}

bool
dns_under(const char *prefix, const struct domain *base, struct domain *name)
{
	int len = snprintf(name->name, sizeof(name->name), "%s.%s", prefix,
	    base->name);

	return len > 0 && len <= 253;
}

void
dns_ask(struct dns *dns, const struct domain *name, enum rr_type type,
    dns_call *call, void *context)
{
	struct asked **at = &dns->asked, *asked = mem_alloc(sizeof(*asked));

	if (strlen(dns->log) + sizeof(name->name) + 16 < sizeof(dns->log))
		sprintf(dns->log + strlen(dns->log), "%s %s\n",
		    type_name(type), name->name);
	asked->name = *name;
	asked->type = type;
	asked->call = call;
	asked->context = context;
	while (*at != NULL)
		at = &(*at)->next;
	*at = asked;
}

void
dns_ask_fresh(struct dns *dns, const struct domain *name, enum rr_type type,
    dns_call *call, void *context)
{
	strcat(dns->log, "fresh ");
	dns_ask(dns, name, type, call, context);
}

/* One word of a line's data as a record. */
static void
read_record(struct region *region, struct slice word, struct rr *rr)
{
	unsigned usage, selector, matching, octets, i;
	char *data = region_text(region, word);

	switch (rr->type) {
	case RR_A:
	case RR_AAAA:
		assert_true(address_parse(word, &rr->address));
		return;
	case RR_MX:
		assert_int_equal(sscanf(data, "%u:%255s", &rr->preference,
		    rr->name.name), 2);
		if (strcmp(rr->name.name, ".") == 0)
			rr->name.name[0] = '\0';
		return;
	case RR_CNAME:
		assert_true(domain_parse(word, &rr->name));
		return;
	case RR_TXT:
		for (i = 0; i < word.len; i++)
			if (data[i] == '_')
				data[i] = ' ';
		rr->data = (struct slice){ data, word.len };
		return;
	case RR_TLSA:
		assert_int_equal(sscanf(data, "%u/%u/%u/%u", &usage,
		    &selector, &matching, &octets), 4);
		data = region_alloc(region, 3 + octets);
		data[0] = (char)usage;
		data[1] = (char)selector;
		data[2] = (char)matching;
		rr->data = (struct slice){ data, 3 + octets };
		return;
	case RR_SOA:
		return;
	}
}

static void
read_words(struct region *region, struct slice rest, enum rr_type type,
    struct rr_answer *answer)
{
	struct slice word;

	while (rest.at != NULL) {
		word = slice_cut(&rest, ' ');
		if (slice_equal(word, SLICE("NX"))) {
			answer->status = RR_NXDOMAIN;
		} else if (word.len > 0 && word.at[0] == '@') {
			answer->alias = true;
			slice_store((struct slice){ word.at + 1,
			    word.len - 1 }, answer->canonical.name,
			    sizeof(answer->canonical.name));
		} else if (word.len > 0) {
			answer->records[answer->records_n].type = type;
			answer->records[answer->records_n].ttl_s = TTL_S;
			read_record(region, word,
			    &answer->records[answer->records_n++]);
		}
	}
}

/* The line for a question, if there is one; exists: the name has others. */
static bool
find_line(const char *zone, const struct asked *asked, struct slice *data,
    bool *exists)
{
	struct slice lines = slice_of(zone), line, name;

	*exists = false;
	while (lines.at != NULL) {
		line = slice_trim(slice_cut(&lines, '\n'));
		name = slice_cut(&line, ' ');
		if (!slice_equal(name, slice_of(asked->name.name)))
			continue;
		*exists = true;
		if (!slice_equal(slice_cut(&line, ' '),
		    slice_of(type_name(asked->type))))
			continue;
		*data = line;
		return true;
	}
	return false;
}

/* A failure's text is static, as dns.h has it. */
static const char *
failure_text(struct slice text)
{
	static const char *const texts[] = {
		"SERVFAIL", "REFUSED", "timeout", "malformed answer"
	};
	size_t i;

	for (i = 0; i < COUNT(texts); i++)
		if (slice_equal(slice_of(texts[i]), text))
			return texts[i];
	fail_msg("no such failure: %.*s", (int)text.len, text.at);
	return NULL;
}

static void
answer_one(struct dns *dns, struct asked *asked)
{
	struct rr_answer answer = {
		.canonical = asked->name, .ttl_s = TTL_S
	};
	struct region *region = region_new();
	struct slice data, sign = { "-", 1 };
	const char *failure = NULL;
	bool exists;

	answer.records = region_alloc(region, 256 * sizeof(struct rr));
	if (find_line(dns->zone, asked, &data, &exists)) {
		sign = slice_cut(&data, ' ');
		if (sign.at[0] == '!')
			failure = failure_text(data);
		else
			read_words(region, data, asked->type, &answer);
	} else if (!exists) {
		answer.status = RR_NXDOMAIN;
	}
	answer.secure = sign.at[0] == '+';
	if (failure != NULL)
		answer.status = RR_SERVFAIL;
	asked->call(asked->context, &answer, failure);
	region_free(&region);
	free(asked);
}

/*
 * Answer until nothing is asked any more; last: the newest question first.
 * True when there was one.
 */
static bool
dns_play(struct dns *dns, bool last)
{
	struct asked **at, *asked;
	bool any = false;

	for (; dns->asked != NULL; any = true) {
		at = &dns->asked;
		while (last && (*at)->next != NULL)
			at = &(*at)->next;
		asked = *at;
		*at = asked->next;
		answer_one(dns, asked);
	}
	return any;
}

#endif
