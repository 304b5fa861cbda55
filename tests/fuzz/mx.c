/*
 * A list of MX records, as a stranger may publish it: each line of the input
 * is one record, its first two octets the preference, the rest the exchange.
 */
#include "policy/mx.h"

#include <stdlib.h>
#include <string.h>

#define RECORDS_MAX	512

int	LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len);

static void
demand(bool holds)
{
	if (!holds)
		abort();
}

/* ".a", "a..b", "a.": the wire has no such names. */
static bool
has_empty_label(struct slice text)
{
	struct slice rest = text;

	while (text.len > 0 && rest.at != NULL)
		if (slice_cut(&rest, '.').len == 0)
			return true;
	return false;
}

/*
 * As rr_parse has them: letters in lower case, digits, "-" and "_", wherever
 * they stand; or the root, or odd.
 */
static void
read_name(struct slice text, struct domain *name)
{
	static const char octets[] =
	    "abcdefghijklmnopqrstuvwxyz0123456789-_.";
	size_t i;

	if (text.len > 253 || has_empty_label(text)) {
		strcpy(name->name, RR_NAME_ODD);
		return;
	}
	for (i = 0; i < text.len; i++) {
		name->name[i] = text.at[i];
		if (name->name[i] == '\0' ||
		    strchr(octets, name->name[i]) == NULL) {
			strcpy(name->name, RR_NAME_ODD);
			return;
		}
	}
	name->name[i] = '\0';
}

static size_t
read_records(struct slice rest, struct rr *records)
{
	struct slice line;
	size_t n = 0;

	while (rest.at != NULL && n < RECORDS_MAX) {
		line = slice_cut(&rest, '\n');
		if (line.len < 2)
			continue;
		memset(&records[n], 0, sizeof(records[n]));
		records[n].type = RR_MX;
		records[n].preference = (uint8_t)line.at[0] * 256u +
		    (uint8_t)line.at[1];
		line.at += 2;
		line.len -= 2;
		read_name(line, &records[n].name);
		n++;
	}
	return n;
}

static bool
is_listed(const struct mx_list *list, unsigned n, const struct domain *name)
{
	unsigned i;

	for (i = 0; i < n; i++)
		if (domain_equal(&list->hosts[i].name, name))
			return true;
	return false;
}

static void
check_list(const struct mx_list *list, size_t records_n)
{
	struct domain parsed;
	unsigned i;

	demand(list->hosts_n <= ROUTE_HOSTS_MAX);
	demand(list->hosts_n + list->dropped + list->ignored <= records_n);
	demand(list->dropped == 0 || list->hosts_n == ROUTE_HOSTS_MAX);
	for (i = 0; i < list->hosts_n; i++) {
		demand(list->hosts[i].name.name[0] != '\0');
		demand(!rr_name_is_odd(&list->hosts[i].name));
		/* What delivery takes for granted of a host's name. */
		demand(domain_parse(slice_of(list->hosts[i].name.name),
		    &parsed));
		demand(domain_equal(&list->hosts[i].name, &parsed));
		demand(strcmp(list->hosts[i].name.name, "relay.example") != 0);
		demand(!is_listed(list, i, &list->hosts[i].name));
		demand(i == 0 || list->hosts[i - 1].preference <=
		    list->hosts[i].preference);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len)
{
	static struct rr records[RECORDS_MAX];
	enum mx_outcome outcome;
	struct mx_list list;
	size_t n;

	n = read_records((struct slice){ (const char *)octets, len },
	    records);
	if (n == 0)
		return 0;
	outcome = mx_order(records, n, "relay.example", len * 77, &list);
	check_list(&list, n);
	demand((outcome == MX_HOSTS) == (list.hosts_n > 0));
	while (list.hosts_n > 0)
		mx_keep_better(&list,
		    list.hosts[list.hosts_n - 1].preference);
	return 0;
}
