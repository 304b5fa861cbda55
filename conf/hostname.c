/*
 * What is the full name of this machine, without asking anybody?
 *
 * Called by config.c when the operator does not say it.  /etc/hosts alone
 * decides, as text: DNS and NSS would make a start depend on the network.
 */
#include "conf/hostname.h"

#include <string.h>

/* Is word this machine's name, or begins with it and a dot? */
static bool
is_full_name_of(struct slice word, struct slice node)
{
	return word.len > node.len && word.at[node.len] == '.' &&
	    slice_begins_nocase(word, node);
}

static bool
take_name(struct slice word, char name[DOMAIN_TEXT_MAX])
{
	struct domain domain;

	if (memchr(word.at, '.', word.len) == NULL ||
	    slice_begins_nocase(word, SLICE("localhost.")) ||
	    !domain_parse(word, &domain) || domain_is_literal(&domain))
		return false;
	memcpy(name, domain.name, DOMAIN_TEXT_MAX);
	return true;
}

/* The next word of a line of /etc/hosts; at NULL: there is none. */
static struct slice
hosts_word(struct slice *line)
{
	struct slice word = { NULL, 0 };

	*line = slice_trim(*line);
	while (line->len > 0 && line->at[0] != ' ' && line->at[0] != '\t') {
		if (word.at == NULL)
			word.at = line->at;
		word.len++;
		line->at++;
		line->len--;
	}
	return word;
}

/*
 * What does this line of hosts(5) say of node?  NODE.DOMAIN where it has
 * that, else the line's first name with a dot, if node is one of its names.
 */
static bool
hosts_line(struct slice line, struct slice node, char name[DOMAIN_TEXT_MAX])
{
	char first[DOMAIN_TEXT_MAX] = "", full[DOMAIN_TEXT_MAX] = "";
	struct slice word;
	bool ours = false;

	line = slice_cut(&line, '#');
	hosts_word(&line);
	while ((word = hosts_word(&line)).at != NULL) {
		ours = ours || slice_equal_nocase(word, node);
		if (full[0] == '\0' && is_full_name_of(word, node))
			take_name(word, full);
		if (first[0] == '\0')
			take_name(word, first);
	}
	if (full[0] == '\0' && !ours)
		return false;
	memcpy(name, full[0] != '\0' ? full : first, DOMAIN_TEXT_MAX);
	return name[0] != '\0';
}

/* SMTP-2.3.5-2 RFC 5321 2.3.5 */
void
hostname_find(struct slice node, struct slice hosts,
    char name[DOMAIN_TEXT_MAX])
{
	struct slice line;

	name[0] = '\0';
	if (node.len == 0)
		return;
	while (hosts.at != NULL) {
		line = slice_cut(&hosts, '\n');
		if (hosts_line(line, node, name))
			return;
	}
	take_name(node, name);
}
