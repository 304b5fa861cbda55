/*
 * Which TXT records has a name, seen from here?
 *
 * Called by ctl.c for `culver-policy ctl check txt NAME', which needs neither
 * a relay nor its store.  It asks as the relay would, but looks at no AD bit:
 * what a record says is its reader's business.
 */
#include "policy/lookup.h"

#include "policy/ctl.h"
#include "policy/txt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RESOLV_CONF	"/etc/resolv.conf"
#define NAMESERVERS_MAX	3
#define DNS_PORT	53

struct lookup {
	struct loop	*loop;
	struct dns	*dns;
};

/* The resolvers. */

static bool
take_nameserver(struct slice line, struct config_endpoint *endpoint)
{
	struct slice word = slice_cut(&line, ' ');

	memset(endpoint, 0, sizeof(*endpoint));
	endpoint->port = DNS_PORT;
	return slice_equal(word, SLICE("nameserver")) && line.at != NULL &&
	    address_parse(slice_trim(line), &endpoint->address);
}

size_t
lookup_read_conf(const char *file, struct config_endpoint *list, size_t max)
{
	FILE *stream = fopen(file, "re");
	char line[1024], *at;
	size_t n = 0;

	while (stream != NULL && n < max && n < NAMESERVERS_MAX &&
	    fgets(line, sizeof(line), stream) != NULL) {
		line[strcspn(line, "\r\n#;")] = '\0';
		while ((at = strchr(line, '\t')) != NULL)
			*at = ' ';
		n += take_nameserver(slice_trim(slice_of(line)), &list[n]);
	}
	if (stream != NULL)
		fclose(stream);
	return n;
}

struct lookup *
lookup_new(const struct config *config)
{
	struct config_endpoint list[RESOLVERS_MAX];
	size_t n = config->resolvers_n, i;
	struct lookup *lookup;

	if (n > RESOLVERS_MAX)
		n = RESOLVERS_MAX;
	for (i = 0; i < n; i++)
		list[i] = config->resolvers[i];
	if (n == 0)
		n = lookup_read_conf(RESOLV_CONF, list, RESOLVERS_MAX);
	if (n == 0)
		n = resolvers_parse(RESOLVER_DEFAULT, list, RESOLVERS_MAX);
	lookup = mem_alloc(sizeof(*lookup));
	lookup->loop = loop_new();
	lookup->dns = dns_new(lookup->loop);
	dns_set_resolvers(lookup->dns, list, n);
	dns_use(lookup->dns, (1u << n) - 1, 0);
	return lookup;
}

/* The loop and its resolvers go with the program. */
void
lookup_free(struct lookup **lookup)
{
	free(*lookup);
	*lookup = NULL;
}

/* The answer. */

/* Octets, one by one: a record is no text of any character set. */
static void
add_octets(struct buffer *json, struct slice octets)
{
	size_t i;
	uint8_t octet;

	buffer_add(json, SLICE("\""));
	for (i = 0; i < octets.len; i++) {
		octet = (uint8_t)octets.at[i];
		if (octet == '"' || octet == '\\')
			buffer_printf(json, "\\%c", octet);
		else if (octet >= ' ' && octet <= '~')
			buffer_printf(json, "%c", octet);
		else
			buffer_printf(json, "\\u%04x", octet);
	}
	buffer_add(json, SLICE("\""));
}

static const char *
outcome_of(const struct rr_answer *answer, const char *failure)
{
	return failure != NULL ? "again" : answer->records_n == 0 ? "none" :
	    "ok";
}

void
lookup_print(struct buffer *json, const struct domain *name,
    const struct rr_answer *answer, const char *failure)
{
	const char *text = failure != NULL ? failure :
	    answer->records_n > 0 ? "" :
	    answer->status == RR_NXDOMAIN ? "no such name" : "no TXT record";
	size_t i;

	buffer_printf(json, "{\"name\":\"%s\",\"outcome\":\"%s\","
	    "\"text\":\"%s\",\"records\":[", name->name,
	    outcome_of(answer, failure), text);
	for (i = 0; failure == NULL && i < answer->records_n; i++) {
		if (i > 0)
			buffer_add(json, SLICE(","));
		add_octets(json, answer->records[i].data);
	}
	buffer_add(json, SLICE("]}"));
}

struct wait {
	struct control	*control;
	struct domain	 name;
	bool		 done;
};

static void
on_txt(void *context, const struct rr_answer *answer, const char *failure)
{
	struct buffer json = { NULL, 0, 0 };
	struct wait *wait = context;

	wait->done = true;
	lookup_print(&json, &wait->name, answer, failure);
	control_line(wait->control, &json);
	buffer_free(&json);
	control_end(wait->control, failure != NULL ? CONTROL_AGAIN :
	    answer->records_n == 0 ? CONTROL_NO : CONTROL_OK);
}

static void
run_txt(void *program, struct control *control, int argc, char **argv)
{
	struct wait wait = { .control = control };
	struct lookup *lookup = program;

	if (argc != 1 || !ctl_policy_domain(argv[0], &wait.name) ||
	    domain_is_literal(&wait.name)) {
		control_error(control, "check txt NAME");
		control_end(control, CONTROL_USAGE);
		return;
	}
	txt_ask(lookup->dns, &wait.name, true, on_txt, &wait);
	while (!wait.done)
		loop_turn(lookup->loop, true);
}

const struct control_verb lookup_verbs[] = {
	{ "check", "txt", true, run_txt },
	{ NULL, NULL, false, NULL }
};
